/* pass/static_reshape.c - a Reshape whose shape is computed gets a constant one where inference knows the result.
 *
 * Exporters compute the new shape with a dozen nodes of Shape, Gather, Unsqueeze and Concat to keep one axis dynamic. When
 * one dimension of the result at most is not a number (-1 says it), or those that are not are the input's at the same
 * place (0 says so), the constant says the same, also for sizes nobody has seen: nothing is frozen.
 */
#include "pass/passes.h"

/* The constant, of the result's rank; false when it cannot be said. 0 and -1 together would fail for an empty tensor. */
static bool target_of(const us_type *x, const us_type *y, int64_t *to)
{
    int n_open = 0, n_same = 0;
    for (int32_t i = 0; i < y->rank; i++) {
        us_dim d = y->dims[i];
        bool open = !us_dim_known(d);
        bool same = x->kind == US_KIND_TENSOR && i < x->rank && us_dim_eq(x->dims[i], d);
        if (!open && d.add <= 0) return false; /* an empty tensor: 0 means something else */
        to[i] = open ? 0 : d.add;
        n_open += open;
        n_same += open && same;
    }
    for (int32_t i = 0; i < y->rank && n_open == 1; i++)
        if (to[i] == 0) to[i] = -1;
    return n_open <= 1 || n_open == n_same;
}

static us_err settle(us_ctx *c, us_model *m, us_graph *g, us_nid nid, bool *changed)
{
    us_node *n = &g->nodes.at[nid];
    if (!us_is_op(n, "", "Reshape") || n->n_in != 2 || n->in[1] == US_NIL ||
        n->in[0] == US_NIL || n->n_out == 0 || n->out[0] == US_NIL)
        return US_OK;
    const us_attr *allowzero = us_node_attr(n, "allowzero");
    const us_type *x = &g->vals.at[n->in[0]].type, *y = &g->vals.at[n->out[0]].type;
    int64_t to[US_MAX_RANK], rank = y->rank;
    if (us_const_tensor(g, n->in[1]) || y->kind != US_KIND_TENSOR || y->rank < 0 ||
        (allowzero && allowzero->i) || !target_of(x, y, to))
        return US_OK;
    us_tensor t;
    us_vid v;
    US_TRY(us_tensor_new(c, m->arena, US_I64, 1, &rank, &t));
    for (int64_t i = 0; i < rank; i++)
        ((int64_t *)t.data)[i] = to[i];
    US_TRY(us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, &t, &v));
    g->nodes.at[nid].in[1] = v;
    *changed = true;
    return US_OK;
}

us_err us_pass_static_reshape(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    for (size_t i = 0; i < g->order.n; i++)
        US_TRY(settle(c, m, g, g->order.at[i], changed));
    return US_OK;
}
