/* capi/profile.c - what a session has cost: per node, and in memory. */
#include "capi/capi.h"

#define ROW_TEXTS 3 /* node, operator, type of the output */

static us_err row_texts(us_ctx *c, usta_session *s, const us_profile_row *r, us_buf *b,
                        const char **out)
{
    us_buf_clear(b);
    us_type_print(&us_plan_model(s->m->plan)->syms, &r->out_type, b);
    US_TRY(us_buf_check(b));
    out[0] = us_str_dup(s->arena, r->node);
    out[1] = us_str_dup(s->arena, r->op);
    out[2] = us_str_dup(s->arena, us_buf_sv(b));
    return out[0] && out[1] && out[2] ? US_OK : us_arena_fail(c, s->arena);
}

us_err us_capi_profile(us_ctx *c, usta_session *s)
{
    us_buf b;
    s->n_rows = us_session_profile(s->s, &s->rows);
    if (!s->n_rows) return US_OK;
    s->row_text = us_new_n(s->arena, const char *, s->n_rows *ROW_TEXTS);
    if (!s->row_text) return us_arena_fail(c, s->arena);
    us_buf_init(&b, c, (size_t)1 << 20);
    us_err e = US_OK;
    for (size_t i = 0; i < s->n_rows && e == US_OK; i++)
        e = row_texts(c, s, &s->rows[i], &b, &s->row_text[i * ROW_TEXTS]);
    us_buf_deinit(&b);
    return e;
}

size_t usta_session_n_profile(const usta_session *s)
{
    return s ? s->n_rows : 0;
}

usta_err usta_session_profile(const usta_session *s, size_t i, usta_profile_row *out)
{
    if (!s || i >= s->n_rows || !out) return USTA_ARG;
    const us_profile_row *r = &s->rows[i];
    const char *const *text = &s->row_text[i * ROW_TEXTS];
    usta_profile_row row = {.node = text[0],
                            .op_type = text[1],
                            .kernel = r->kernel ? r->kernel : "",
                            .output = text[2],
                            .n_calls = r->n_calls,
                            .ns = r->ns};
    return us_capi_give(out, &row, sizeof row) ? USTA_OK : USTA_ARG;
}

void usta_session_profile_reset(usta_session *s)
{
    if (s) us_session_profile_reset(s->s);
}

usta_err usta_session_about(const usta_session *s, usta_session_info *out)
{
    if (!s || !out) return USTA_ARG;
    us_session_stats st;
    us_session_stats_get(s->s, &st);
    usta_session_info info = {.n_steps = st.n_steps,
                              .n_static_steps = st.n_static_steps,
                              .planned_bytes = st.arena_bytes,
                              .least_bytes = st.live_peak_bytes,
                              .constant_bytes = st.const_bytes,
                              .n_bindings = st.n_bindings};
    return us_capi_give(out, &info, sizeof info) ? USTA_OK : USTA_ARG;
}
