/* pass/transpose_weights.c - Gemm's constant weights stored [N,K] become [K,N].
 *
 * Frameworks store a dense layer's weights as [out, in] and multiply by the transpose. Turned once here, a product of a few rows
 * reads them along its own inner loop instead of packing them at every run (kernel/x86/gemm_avx2.c, few rows).
 * Weights used by several nodes are turned once; past MAX_BYTES in sum they stay as they are, for the file's copy
 * stays in memory beside ours.
 */
#include "pass/passes.h"

#define MAX_BYTES ((size_t)512 << 20)

typedef struct turner {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    us_vid *turned; /* per value: its transpose, or US_NIL */
    size_t n;
    size_t spent;
} turner;

static us_err turn(turner *t, us_vid v, const us_tensor *w)
{
    if (t->turned[v] != US_NIL) return US_OK;
    us_tensor x, view = *w;
    view.dims[0] = w->dims[1];
    view.dims[1] = w->dims[0];
    view.strides[0] = w->strides[1];
    view.strides[1] = w->strides[0];
    US_TRY(us_tensor_new(t->c, t->m->arena, US_F32, 2, view.dims, &x));
    US_TRY(us_tensor_copy(t->c, &x, &view));
    t->spent += us_tensor_bytes(&x);
    return us_graph_add_const(t->c, t->g, (us_sv){0}, US_ST_CONST, &x, &t->turned[v]);
}

static us_err look(turner *t, us_nid nid, bool *changed)
{
    us_node *n = &t->g->nodes.at[nid];
    const us_attr *tb = us_node_attr(n, "transB");
    if (!us_is_op(n, "", "Gemm") || !tb || tb->i == 0 || n->n_in < 2 || n->in[1] >= t->n)
        return US_OK;
    us_vid v = n->in[1];
    const us_tensor *w = us_const_tensor(t->g, v);
    if (!w || w->dtype != US_F32 || w->rank != 2 || !w->data) return US_OK;
    if (us_tensor_bytes(w) > MAX_BYTES - t->spent) return US_OK;
    US_TRY(turn(t, v, w));
    us_vid *in = us_new_n(t->m->arena, us_vid, n->n_in); /* the old array may be shared */
    if (!in) return us_arena_fail(t->c, t->m->arena);
    for (uint32_t k = 0; k < n->n_in; k++)
        in[k] = k == 1 ? t->turned[v] : n->in[k];
    n->in = in;
    us_node_del_attr(n, "transB");
    n->params = NULL;
    *changed = true;
    return US_OK;
}

us_err us_pass_transpose_weights(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "transpose-weights", (size_t)1 << 30, &a));
    turner t = {.c = c, .m = m, .g = g, .n = g->vals.n};
    t.turned = us_new_n(a, us_vid, t.n);
    us_err e = t.turned ? US_OK : us_arena_fail(c, a);
    for (size_t v = 0; t.turned && v < t.n; v++)
        t.turned[v] = US_NIL;
    for (size_t i = 0; e == US_OK && i < g->order.n; i++)
        e = look(&t, g->order.at[i], changed);
    us_arena_free(a);
    return e;
}
