/* ir/model.c - the model around the graphs: arena, opset imports, properties. */
#include "base/ctx.h"
#include "ir/graph.h"

us_err us_model_new(us_ctx *c, us_model **out)
{
    us_arena *a;
    us_err e;
    US_TRY(us_arena_new(c, "model", US_MODEL_ARENA_CAP, &a));
    us_model *m = us_new(a, us_model);
    US_GO(m ? US_OK : us_arena_fail(c, a));
    m->arena = a;
    m->ir_version = 8;
    US_GO(us_syms_init(c, &m->syms, a));
    US_GO(us_model_set_opset(c, m, US_SV(""), 17));
    US_GO(us_graph_new(c, m, NULL, US_SV("main"), &m->main));
    *out = m;
    return US_OK;
out:
    us_arena_free(a);
    return e;
}

void us_model_free(us_model *m)
{
    if (!m) return;
    us_file_close(m->file);
    for (size_t i = 0; i < m->externals.n; i++)
        us_file_close(m->externals.at[i]);
    us_arena *heavy = m->heavy, *arena = m->arena; /* m lies in one of them */
    us_arena_free(heavy);
    us_arena_free(arena);
}

/* "ai.onnx" is the long name of the domain "". */
static us_sv canonical(us_sv domain)
{
    return us_sv_is(domain, "ai.onnx") ? (us_sv){"", 0} : domain;
}

int us_model_opset(const us_model *m, us_sv domain)
{
    us_sv d = canonical(domain);
    for (size_t i = 0; i < m->opsets.n; i++)
        if (us_sv_eq(canonical(m->opsets.at[i].domain), d)) return m->opsets.at[i].version;
    return 0;
}

us_err us_model_set_opset(us_ctx *c, us_model *m, us_sv domain, int version)
{
    us_sv d = canonical(domain);
    for (size_t i = 0; i < m->opsets.n; i++)
        if (us_sv_eq(canonical(m->opsets.at[i].domain), d)) {
            m->opsets.at[i].version = version;
            return US_OK;
        }
    us_opset o = {.version = version};
    US_TRY(us_sv_dup(c, m->arena, d, &o.domain));
    return us_vec_push(c, m->arena, &m->opsets, o);
}

us_err us_model_set_prop(us_ctx *c, us_model *m, us_sv key, us_sv value)
{
    us_prop p;
    US_TRY(us_sv_dup(c, m->arena, value, &p.value));
    for (size_t i = 0; i < m->props.n; i++)
        if (us_sv_eq(m->props.at[i].key, key)) {
            m->props.at[i].value = p.value;
            return US_OK;
        }
    US_TRY(us_sv_dup(c, m->arena, key, &p.key));
    return us_vec_push(c, m->arena, &m->props, p);
}

bool us_model_prop(const us_model *m, const char *key, us_sv *value)
{
    for (size_t i = 0; i < m->props.n; i++)
        if (us_sv_is(m->props.at[i].key, key)) {
            *value = m->props.at[i].value;
            return true;
        }
    return false;
}
