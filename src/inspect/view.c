/* inspect/view.c - making and freeing a view. */
#include "inspect/view.h"

#include "inspect/scene.h"

#define ARENA_CAP ((size_t)4 << 30)

us_err us_view_new(us_ctx *c, us_model *m, const us_view_opts *o, us_view **out)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "view", ARENA_CAP, &a));
    us_view *v = us_new(a, us_view);
    if (!v) {
        us_err e = us_arena_fail(c, a);
        us_arena_free(a);
        return e;
    }
    *v = (us_view){.c = c, .a = a, .m = m, .o = *o};
    us_map_init(&v->kinds, a);
    us_err e = us_scene_build(v);
    if (e != US_OK) {
        us_view_free(v);
        return e;
    }
    *out = v;
    return US_OK;
}

static void count(us_buf *b, uint64_t n)
{
    if (n >= 1000000)
        us_buf_addf(b, "%.1f M", (double)n / 1e6);
    else if (n >= 10000)
        us_buf_addf(b, "%.1f k", (double)n / 1e3);
    else
        us_buf_addf(b, "%llu", (unsigned long long)n);
}

void us_view_about(const us_view *v, us_buf *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < v->m->graphs.n; i++) {
        const us_graph *g = v->m->graphs.at[i];
        for (size_t j = 0; j < g->vals.n; j++)
            if (g->vals.at[j].data && g->vals.at[j].data->kind == US_KIND_TENSOR)
                n += (uint64_t)us_tensor_count(&g->vals.at[j].data->t);
    }
    size_t drawn = us_view_n_drawn(v);
    us_buf_addf(b, "%zu nodes", v->n_nodes);
    if (v->o.brief && drawn < v->n_nodes)
        us_buf_addf(b, ", %zu drawn (the others compute from constants)", drawn);
    us_buf_adds(b, " \xC2\xB7 ");
    count(b, n);
    us_buf_adds(b, " parameters");
    for (size_t i = 0; i < v->m->opsets.n; i++) {
        us_sv d = v->m->opsets.at[i].domain;
        us_buf_adds(b, " \xC2\xB7 ");
        us_buf_addsv(b, d.n ? (us_sv){d.p, US_MIN(d.n, 40)} : US_SV("ai.onnx"));
        us_buf_addf(b, " %d", v->m->opsets.at[i].version);
    }
}

void us_view_free(us_view *v)
{
    if (!v) return;
    us_model_free(v->typed);
    us_arena_free(v->a);
}

size_t us_view_n_nodes(const us_view *v)
{
    return v->n_nodes;
}

size_t us_view_n_drawn(const us_view *v)
{
    size_t n = 0;
    for (size_t i = 0; i < v->items.n; i++)
        n += v->items.at[i]->role == US_ITEM_NODE;
    return n;
}
