/* pass/own_gemm.c - MatMul and Gemm by constant weights become usta.Gemm, to which other passes give what follows.
 *
 * Holds for floats, a first operand of known rank that is no vector and not transposed, a matrix of weights, and a C that is constant:
 * a number per column, or one for all. The result is the same; the order of sums is the kernel's either way.
 */
#include "pass/passes.h"

static bool is_row(const us_graph *g, us_vid v, int64_t n)
{
    const us_tensor *t = us_const_tensor(g, v);
    if (!t || t->dtype != US_F32 || !t->data) return false;
    int64_t count = us_tensor_count(t);
    return count == 1 || (count == n && t->rank > 0 && t->dims[t->rank - 1] == n);
}

static bool fits(const us_graph *g, const us_node *n)
{
    bool gemm = us_is_op(n, "", "Gemm");
    if ((!gemm && !us_is_op(n, "", "MatMul")) || n->in[0] == US_NIL || n->in[1] == US_NIL)
        return false;
    const us_attr *ta = us_node_attr(n, "transA"), *tb = us_node_attr(n, "transB");
    const us_type *a = &g->vals.at[n->in[0]].type;
    const us_tensor *w = us_const_shape(g, n->in[1]);
    if (a->kind != US_KIND_TENSOR || a->dtype != US_F32 || a->rank < 2 || !w || !w->data ||
        w->dtype != US_F32 || w->rank != 2 || us_tensor_count(w) == 0)
        return false;
    if (!gemm) return true;
    if ((ta && ta->i) || a->rank != 2) return false;
    return n->n_in < 3 || n->in[2] == US_NIL || is_row(g, n->in[2], w->dims[!(tb && tb->i)]);
}

us_err us_pass_own_gemm(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)c;
    (void)m;
    for (size_t i = 0; i < g->order.n; i++) {
        us_node *n = &g->nodes.at[g->order.at[i]];
        if (!fits(g, n)) continue;
        us_node_del_attr(n, "transA");
        n->domain = US_SV("usta");
        n->version = 1;
        us_node_set_op(n, "Gemm");
        *changed = true;
    }
    return US_OK;
}
