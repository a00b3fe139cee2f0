/* capi/session.c - sessions: a plan of a clone made once, a context per session, runs on the caller's structs. */
#include "capi/capi.h"

#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"

_Static_assert(USTA_PIXELS_RGB == (int)US_PIXELS_RGB && USTA_PIXELS_BGR == (int)US_PIXELS_BGR &&
                   USTA_PIXELS_GRAY == (int)US_PIXELS_GRAY,
               "the same numbers");

#define KEPT_BYTES                                                                             \
    ((size_t)1 << 18) /* of views of outputs that stay, before they are made anew */

void usta_session_defaults(usta_session_settings *s)
{
    if (s) *s = (usta_session_settings){.struct_size = sizeof *s};
}

/* --- planning ---------------------------------------------------------------------------------------------- */

static us_err plan_once(us_ctx *c, usta_model *m)
{
    us_model *copy;
    uint64_t t0 = us_now_ns();
    if (m->no_weights)
        return us_fail(c, US_UNSUPP, "the model was opened without its weights (no_weights)");
    if (m->plan) return US_OK;
    US_TRY(us_model_clone(c, m->ir, &copy));
    us_err e = us_plan_new(c, copy, &(us_plan_opts){.source = m->ir}, &m->plan);
    if (e != US_OK) {
        us_model_free(copy);
        return e;
    }
    us_logf(c, US_LOG_INFO, "planned in %.1f ms", (double)(us_now_ns() - t0) / 1e6);
    return US_OK;
}

/* --- what the engine asks back ------------------------------------------------------------------------------- */

typedef struct placing { /* the engine's place, as the caller's function knows it */
    us_ctx *c;
    us_image_place_fn *place;
    void *arg;
    bool done;
} placing;

static usta_err place_image(void *place_arg, int64_t height, int64_t width, uint8_t **pixels)
{
    placing *p = place_arg;
    p->done = true;
    return (usta_err)p->place(p->c, p->arg, height, width, pixels);
}

static us_err decode_image(us_ctx *c, void *ud, us_sv bytes, us_pixels pixels,
                           us_image_place_fn *place, void *arg)
{
    usta_session *s = ud;
    placing p = {.c = c, .place = place, .arg = arg};
    c->diag.text[0] = '\0';
    us_err e = (us_err)s->decode_image(s->decode_image_user, bytes.p, bytes.n, (int32_t)pixels,
                                       place_image, &p);
    if (e == US_OK && !p.done)
        return us_fail(
            c, US_ARG,
            "the caller's decoder of images returned USTA_OK, but never called place");
    if (e == US_OK || c->diag.text[0]) return e;
    return us_fail(c, e, "the caller's decoder of images: %s", us_err_text(e));
}

static bool stopped(void *ud)
{
    usta_session *s = ud;
    if (atomic_load_explicit(&s->stop, memory_order_relaxed)) return true;
    return s->env_cancelled && s->env_cancelled(s->env_cancelled_user) != 0;
}

/* --- life --------------------------------------------------------------------------------------------------- */

static us_err make_room(us_ctx *c, usta_session *ses)
{
    us_arena *a = ses->arena;
    const usta_model *m = ses->m;
    ses->n_in = usta_model_n_inputs(m);
    ses->n_out = usta_model_n_outputs(m);
    ses->in = us_new_n(a, us_value, ses->n_in);
    ses->out = us_new_n(a, usta_value, ses->n_out);
    ses->kept = us_new_n(a, us_kept, 2 * ses->n_out);
    ses->into = us_new_n(a, us_tensor, ses->n_out);
    if (!ses->in || !ses->out || !ses->kept || !ses->into) return us_arena_fail(c, a);
    US_TRY(us_arena_new(c, "values of the C API", US_SESSION_DYNAMIC_CAP, &ses->taken));
    US_TRY(us_arena_new(c, "values of the C API", US_SESSION_DYNAMIC_CAP, &ses->kept_items));
    ses->taken_start = us_arena_mark(ses->taken);
    ses->kept_start = us_arena_mark(ses->kept_items);
    for (int i = 0; i < 2; i++) {
        US_TRY(us_arena_new(c, "values of the C API", US_SESSION_DYNAMIC_CAP, &ses->values[i]));
        ses->start[i] = us_arena_mark(ses->values[i]);
    }
    return US_OK;
}

static us_err fill_session(us_ctx *c, usta_session *ses, const usta_session_settings *set)
{
    us_session_opts o = {.dynamic_cap_bytes = set->max_memory,
                         .static_cap_bytes = set->max_memory,
                         .max_steps = set->max_steps,
                         .max_work = set->max_work,
                         .seed = set->seed,
                         .profile = set->profile != 0};
    US_TRY(make_room(c, ses));
    ses->decode_image = set->decode_image;
    ses->decode_image_user = set->decode_image_user;
    ses->images = (us_image_codec){decode_image, ses};
    if (set->decode_image) o.images = &ses->images;
    us_err e = us_session_new(c, ses->m->plan, &o, &ses->s);
    if (e == US_UNSUPP && !set->decode_image)
        return us_wrap(c, e, "usta_session_settings.decode_image is NULL");
    US_TRY(e);
    return us_capi_profile(c, ses);
}

static us_err session_new(us_ctx *c, usta_model *m, const usta_session_settings *set,
                          usta_session **out)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "session of the C API", US_CAPI_MEM, &a));
    usta_session *ses = us_new(a, usta_session);
    if (!ses) {
        us_err e = us_arena_fail(c, a);
        us_arena_free(a);
        return e;
    }
    ses->m = m;
    ses->arena = a;
    us_err e = fill_session(c, ses, set);
    if (e != US_OK) {
        usta_session_free(ses);
        return e;
    }
    ses->c = *c; /* from here on apart: another thread may run it */
    ses->c.diag = (us_diag){0};
    ses->env_cancelled = m->env->set.cancelled;
    ses->env_cancelled_user = m->env->set.cancelled_user;
    ses->c.cancelled = stopped;
    ses->c.cancel_ud = ses;
    *out = ses;
    return US_OK;
}

usta_err usta_session_new(usta_model *m, const usta_session_settings *s, usta_session **out)
{
    if (!m) return USTA_ARG;
    us_ctx *c = &m->env->c;
    usta_session_settings own;
    usta_session_defaults(&own);
    if (!out || (s && s->struct_size <= sizeof(size_t)))
        return (usta_err)us_fail(c, US_ARG,
                                 "out is NULL, or the settings' struct_size is not set");
    if (s) memcpy(&own, s, US_MIN(s->struct_size, sizeof own));
    us_err e = plan_once(c, m);
    return (usta_err)(e == US_OK ? session_new(c, m, &own, out) : e);
}

void usta_session_free(usta_session *s)
{
    if (!s) return;
    us_session_free(s->s);
    us_arena_free(s->values[0]);
    us_arena_free(s->values[1]);
    us_arena_free(s->taken);
    us_arena_free(s->kept_items);
    us_arena_free(s->arena);
}

const char *usta_session_error(const usta_session *s)
{
    return s ? s->c.diag.text : "";
}

void usta_session_cancel(usta_session *s)
{
    if (s) atomic_store_explicit(&s->stop, 1, memory_order_relaxed);
}

/* --- runs --------------------------------------------------------------------------------------------------- */

static us_err check_counts(usta_session *s, bool has_in, size_t n_in, bool has_out,
                           size_t n_out)
{
    if (n_in != s->n_in || n_out != s->n_out || (n_in && !has_in) || (n_out && !has_out))
        return us_fail(&s->c, US_ARG,
                       "%zu inputs%s and %zu outputs%s given, the model has %zu and %zu", n_in,
                       n_in && !has_in ? " (NULL)" : "", n_out,
                       n_out && !has_out ? " (NULL)" : "", s->n_in, s->n_out);
    atomic_store_explicit(&s->stop, 0, memory_order_relaxed);
    return US_OK;
}

/* The other arena, for whoever needs one: what the last run gave may be what this one takes. */
static us_arena *next_arena(usta_session *s)
{
    s->now = !s->now;
    us_arena_reset(s->values[s->now], s->start[s->now]);
    return s->values[s->now];
}

/* s->same: the engine was called with inputs like s->in, and not with others since. */
static us_err take_tensors(usta_session *s, const usta_tensor *in, size_t n_in)
{
    for (size_t i = 0; i < n_in; i++) {
        us_tensor t;
        if (us_capi_like_tensor(&s->in[i], &in[i])) continue;
        s->same = false;
        US_TRY(us_capi_tensor(&s->c, &in[i], "input", i, true, &t));
        s->in[i] = us_value_of(&t);
    }
    return US_OK;
}

/* All of them anew when one is not like that of the last call. */
static us_err take_values(usta_session *s, const usta_value *in, size_t n_in)
{
    bool like = true;
    for (size_t i = 0; i < n_in && like; i++)
        like = us_capi_like(&s->in[i], &in[i]);
    if (like) return US_OK;
    s->same = false;
    for (size_t i = 0; i < n_in; i++)
        s->in[i].kind = US_KIND_NONE;
    us_arena_reset(s->taken, s->taken_start);
    for (size_t i = 0; i < n_in; i++)
        US_TRY(us_capi_value_in(&s->c, s->taken, &in[i], i, &s->in[i]));
    return US_OK;
}

static us_err call(usta_session *s)
{
    if (s->same) return us_session_again(&s->c, s->s, s->in);
    s->same = true;
    return us_session_call(&s->c, s->s, s->in);
}

/* A view that is no dense tensor becomes one. */
static us_err give_dense(usta_session *s, const us_tensor *t, us_arena **a, usta_tensor *out)
{
    us_tensor dense;
    if (!*a) *a = next_arena(s);
    US_TRY(us_tensor_dup(&s->c, *a, t, &dense));
    us_capi_public(&dense, out);
    return US_OK;
}

static us_sv output_name(const usta_session *s, size_t i)
{
    return us_plan_output_name(s->m->plan, i);
}

static us_err session_run(usta_session *s, const usta_tensor *in, size_t n_in, usta_tensor *out,
                          size_t n_out)
{
    us_arena *a = NULL;
    US_TRY(check_counts(s, in != NULL, n_in, out != NULL, n_out));
    US_TRY(take_tensors(s, in, n_in));
    US_TRY(call(s));
    const us_value *const *got = us_session_outputs(s->s);
    for (size_t i = 0; i < n_out; i++)
        if (got[i]->kind != US_KIND_TENSOR)
            return us_fail(&s->c, US_UNSUPP,
                           "output '" US_SV_FMT
                           "' is not a tensor: usta_session_run_values gives it",
                           US_SV_ARG(output_name(s, i)));
    for (size_t i = 0; i < n_out; i++) {
        if (us_tensor_contiguous(&got[i]->t))
            us_capi_public(&got[i]->t, &out[i]);
        else
            US_TRY(give_dense(s, &got[i]->t, &a, &out[i]));
    }
    return US_OK;
}

usta_err usta_session_run(usta_session *s, const usta_tensor *in, size_t n_in, usta_tensor *out,
                          size_t n_out)
{
    return s ? (usta_err)session_run(s, in, n_in, out, n_out) : USTA_ARG;
}

static us_err session_run_into(usta_session *s, const usta_tensor *in, size_t n_in,
                               usta_tensor *out, size_t n_out)
{
    US_TRY(check_counts(s, in != NULL, n_in, out != NULL, n_out));
    US_TRY(take_tensors(s, in, n_in));
    for (size_t i = 0; i < n_out; i++)
        US_TRY(us_capi_tensor(&s->c, &out[i], "output", i, false, &s->into[i]));
    return us_session_run_into(&s->c, s->s, s->in, s->into);
}

usta_err usta_session_run_into(usta_session *s, const usta_tensor *in, size_t n_in,
                               usta_tensor *out, size_t n_out)
{
    return s ? (usta_err)session_run_into(s, in, n_in, out, n_out) : USTA_ARG;
}

/* What stays is not made into a view again. */
static us_err give_kept(usta_session *s, size_t i, const us_value *v, uint64_t number,
                        usta_value *out)
{
    us_kept *k = &s->kept[2 * i];
    if (k[1].number == number && k[1].items == v->items) k++;
    if (k->number != number || k->items != v->items) {
        if (k->number) k[1] = k[0]; /* the run after the next has it again */
        k->number = 0;
        US_TRY(us_capi_value_view(&s->c, s->kept_items, v, &k->value));
        k->number = number;
        k->items = v->items;
    }
    *out = k->value;
    return US_OK;
}

static us_err give_value(usta_session *s, size_t i, us_arena **a, usta_value *out)
{
    const us_value *v = us_session_outputs(s->s)[i];
    uint64_t number = v->kind == US_KIND_TENSOR ? 0 : us_session_output_kept(s->s, i);
    if (number) return give_kept(s, i, v, number, out);
    if (v->kind == US_KIND_TENSOR && us_tensor_contiguous(&v->t)) {
        *out = (usta_value){.kind = USTA_KIND_TENSOR};
        us_capi_public(&v->t, &out->tensor);
        return US_OK;
    }
    if (!*a) *a = next_arena(s);
    return us_capi_value_out(&s->c, *a, v, out);
}

static us_err session_run_values(usta_session *s, const usta_value *in, size_t n_in,
                                 usta_value *out, size_t n_out)
{
    us_arena *a = NULL;
    US_TRY(check_counts(s, in != NULL, n_in, out != NULL, n_out));
    US_TRY(take_values(s, in, n_in));
    US_TRY(call(s));
    if (us_arena_used(s->kept_items) > KEPT_BYTES) {
        us_arena_reset(s->kept_items, s->kept_start);
        memset(s->kept, 0, 2 * n_out * sizeof *s->kept);
    }
    if (n_out == 1) return give_value(s, 0, &a, out); /* whole or not at all */
    for (size_t i = 0; i < n_out; i++)
        US_TRY(give_value(s, i, &a, &s->out[i]));
    if (n_out) memcpy(out, s->out, n_out * sizeof *out);
    return US_OK;
}

usta_err usta_session_run_values(usta_session *s, const usta_value *in, size_t n_in,
                                 usta_value *out, size_t n_out)
{
    return s ? (usta_err)session_run_values(s, in, n_in, out, n_out) : USTA_ARG;
}
