/* pass/fuse_gemm.c - dense layers as one Gemm, as they are exported in two or three nodes.
 *
 *   MatMul of a matrix by constant weights, then Add of a constant bias that nobody else reads in between    Gemm
 *   Gemm that reads a Transpose of a matrix                                                                  Gemm with transA, transB
 * One step instead of two, and no pass over memory for the bias. Holds for float32 matrices. The later node becomes the Gemm:
 * its output, a graph's perhaps, keeps its name.
 */
#include "pass/passes.h"

static bool is_matrix(const us_type *t)
{
    return t->kind == US_KIND_TENSOR && t->rank == 2 && t->dtype == US_F32;
}

static bool is_bias(const us_tensor *b, int64_t n)
{
    return b && b->dtype == US_F32 && (b->rank == 1 || (b->rank == 2 && b->dims[0] == 1)) &&
           b->dims[b->rank - 1] == n;
}

/* The node of this operator that makes v; NULL. */
static const us_node *maker(const us_graph *g, us_vid v, const char *op)
{
    const us_val *val = v == US_NIL ? NULL : &g->vals.at[v];
    if (!val || val->storage != US_ST_TEMP || val->def == US_NIL) return NULL;
    const us_node *n = &g->nodes.at[val->def];
    return us_is_op(n, "", op) ? n : NULL;
}

static us_err add_bias(us_ctx *c, us_graph *g, us_rewire *r, us_nid nid, const uint32_t *uses,
                       bool *changed)
{
    us_node *add = &g->nodes.at[nid];
    for (uint32_t k = 0; k < 2; k++) {
        us_vid x = add->in[k], bias = add->in[1 - k];
        const us_node *mm = maker(g, x, "MatMul");
        if (!mm || bias == US_NIL || uses[x] != 1) continue;
        const us_tensor *w = us_const_tensor(g, mm->in[1]);
        if (!is_matrix(&g->vals.at[mm->in[0]].type) || !w || w->dtype != US_F32 ||
            w->rank != 2 || !is_bias(us_const_tensor(g, bias), w->dims[1]))
            continue;
        us_vid *in = us_new_n(g->model->arena, us_vid, 3);
        if (!in) return us_arena_fail(c, g->model->arena);
        in[0] = mm->in[0];
        in[1] = mm->in[1];
        in[2] = bias;
        us_nid product = g->vals.at[x].def;
        us_node_become(add, mm, 3, in);
        us_node_set_op(add, "Gemm");
        us_rewire_drop(r, product);
        *changed = true;
        return US_OK;
    }
    return US_OK;
}

/* Transpose of a matrix, which turns its two axes round unless it says otherwise. */
static const us_node *turned(const us_graph *g, us_vid v)
{
    const us_node *t = maker(g, v, "Transpose");
    const us_attr *perm = t ? us_node_attr(t, "perm") : NULL;
    if (!t || !is_matrix(&g->vals.at[t->in[0]].type)) return NULL;
    return !perm || (perm->n == 2 && perm->ints[0] == 1 && perm->ints[1] == 0) ? t : NULL;
}

static us_err read_turned(us_ctx *c, us_graph *g, us_nid nid, bool *changed)
{
    static const char *const names[2] = {"transA", "transB"};
    for (uint32_t k = 0; k < 2; k++) {
        const us_node *t = turned(g, g->nodes.at[nid].in[k]);
        if (!t) continue;
        const us_attr *was = us_node_attr(&g->nodes.at[nid], names[k]);
        us_attr now = {
            .name = us_sv_of(names[k]), .kind = US_AT_INT, .i = was && was->i != 0 ? 0 : 1};
        us_vid *in = us_new_n(g->model->arena, us_vid, g->nodes.at[nid].n_in);
        if (!in) return us_arena_fail(c, g->model->arena);
        for (uint32_t i = 0; i < g->nodes.at[nid].n_in; i++)
            in[i] = i == k ? t->in[0] : g->nodes.at[nid].in[i];
        g->nodes.at[nid].in = in; /* the old array may be shared */
        US_TRY(us_node_set_attr(c, g, nid, &now));
        g->nodes.at[nid].params = NULL;
        *changed = true;
    }
    return US_OK;
}

us_err us_pass_fuse_gemm(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    us_arena *a;
    uint32_t *uses;
    us_rewire r = {0};
    US_TRY(us_arena_new(c, "fuse-gemm", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++) {
        us_nid nid = g->order.at[i];
        const us_node *n = &g->nodes.at[nid];
        if (n->version < 7) continue; /* older forms broadcast on request */
        if (us_is_op(n, "", "Add")) e = add_bias(c, g, &r, nid, uses, changed);
        if (e == US_OK && us_is_op(n, "", "Gemm")) e = read_turned(c, g, nid, changed);
    }
    if (e == US_OK) us_rewire_end(&r);
    us_arena_free(a);
    return e;
}
