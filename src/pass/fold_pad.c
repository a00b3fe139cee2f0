/* pass/fold_pad.c - a Pad with zeros in front of a Conv becomes the Conv's own padding.
 *
 * Holds for constant padding with 0 of the spatial axes alone, by amounts that are not negative, when nobody else reads
 * what Pad gives and the Conv pads explicitly or not at all.
 */
#include "pass/passes.h"

/* Amounts of a Pad, 2 * rank of them: attribute (opset 1: paddings) or input. */
static bool amounts(const us_graph *g, const us_node *n, size_t want, int64_t *p)
{
    const us_attr *a = us_node_attr(n, "pads");
    if (!a) a = us_node_attr(n, "paddings");
    const us_tensor *t = !a && n->n_in >= 2 ? us_const_tensor(g, n->in[1]) : NULL;
    bool has_axes = n->n_in >= 4 && n->in[3] != US_NIL;
    if (has_axes || (a ? a->n : t && t->data ? (size_t)us_tensor_count(t) : 0) != want)
        return false;
    for (size_t i = 0; i < want; i++)
        p[i] = a ? a->ints[i] : us_tensor_i64_at(t, (int64_t)i);
    return true;
}

static bool pads_with_zero(const us_graph *g, const us_node *n)
{
    const us_attr *mode = us_node_attr(n, "mode"), *value = us_node_attr(n, "value");
    if (mode && !us_sv_is(mode->s, "constant")) return false;
    if (value && value->f != 0) return false;
    if (n->n_in < 3 || n->in[2] == US_NIL) return true;
    const us_tensor *t = us_const_tensor(g, n->in[2]);
    return t && t->data && us_tensor_count(t) == 1 && us_tensor_f64_at(t, 0) == 0;
}

/* Conv's padding as it is, 2 * n_spatial numbers; false: it is chosen by the shapes. */
static bool own_pads(const us_node *conv, size_t n_spatial, int64_t *p)
{
    const us_attr *how = us_node_attr(conv, "auto_pad"), *a = us_node_attr(conv, "pads");
    if (how && !us_sv_is(how->s, "NOTSET") && !us_sv_is(how->s, "VALID")) return false;
    bool none = !a || (how && us_sv_is(how->s, "VALID"));
    if (!none && a->n != 2 * n_spatial) return false;
    for (size_t i = 0; i < 2 * n_spatial; i++)
        p[i] = none ? 0 : a->ints[i];
    return true;
}

static us_err fold(us_ctx *c, us_graph *g, us_nid nid, const uint32_t *uses, bool *changed)
{
    us_node *conv = &g->nodes.at[nid];
    if (!us_is_op(conv, "", "Conv") || conv->in[0] == US_NIL) return US_OK;
    const us_val *x = &g->vals.at[conv->in[0]];
    if (x->storage != US_ST_TEMP || x->def == US_NIL || uses[conv->in[0]] != 1) return US_OK;
    const us_node *pad = &g->nodes.at[x->def];
    int32_t rank = x->type.kind == US_KIND_TENSOR ? x->type.rank : -1;
    int64_t add[2 * US_MAX_RANK], own[2 * US_MAX_RANK];
    if (!us_is_op(pad, "", "Pad") || pad->in[0] == US_NIL || rank < 3 ||
        !amounts(g, pad, 2 * (size_t)rank, add) || !pads_with_zero(g, pad) ||
        !own_pads(conv, (size_t)rank - 2, own))
        return US_OK;
    size_t n = (size_t)rank - 2;
    int64_t *pads = us_new_n(g->model->arena, int64_t, 2 * n);
    if (!pads) return us_arena_fail(c, g->model->arena);
    for (size_t side = 0; side < 2; side++)
        for (size_t i = 0; i < (size_t)rank; i++) {
            int64_t more = add[side * (size_t)rank + i];
            if (more < 0 || more > INT32_MAX || (i < 2 && more != 0)) return US_OK;
            if (i >= 2) pads[side * n + i - 2] = own[side * n + i - 2] + more;
        }
    us_attr a = {.name = US_SV("pads"), .kind = US_AT_INTS, .ints = pads, .n = 2 * n};
    conv->in[0] = pad->in[0];
    us_node_del_attr(conv, "auto_pad");
    *changed = true;
    return us_node_set_attr(c, g, nid, &a);
}

us_err us_pass_fold_pad(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    us_arena *a;
    uint32_t *uses;
    US_TRY(us_arena_new(c, "fold-pad", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &uses);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++)
        e = fold(c, g, g->order.at[i], uses, changed);
    us_arena_free(a);
    return e;
}
