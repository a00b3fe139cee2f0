/* grad/grad.c - the driver of reverse mode, and the table of gradients.
 *
 * 1. Mark the values that depend on the wanted ones (forward), and those the loss depends on (backward); only nodes
 *    on both sides take part, and only through floating-point values: comparisons, shapes and indices cut the
 *    path, as they must.
 * 2. Expand the composites among them, until none is left that has no gradient of its own.
 * 3. Walk the order backward: the sum of the gradients that reached a node's outputs goes to its function,
 *    which writes nodes for its inputs' gradients; several contributions to one value are added in the order they come.
 *
 * Source of the method: Griewank and Walther, "Evaluating Derivatives", 2nd ed., chapter 3.
 */
#include "grad/grad.h"

#include "grad/grad_table.h"

static us_grad_fn *const grads[US_OP_N] = {
#define US_CORE(id, domain, name, flags, fn)      [US_OP_##id] = fn##_grad,
#define US_COMPOSITE(id, domain, name, flags, fn) /* through its expansion, or DIRECT below */
#include "ir/ops.def"
#undef US_CORE
#undef US_COMPOSITE
#define DIRECT(id, fn) [US_OP_##id] = fn##_grad,
    US_GRAD_DIRECT(DIRECT)
#undef DIRECT
};

typedef struct ad {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    us_arena *tmp;
    bool *depends; /* per value: a wanted value flows into it */
    bool *reaches; /* per value: it flows into the loss */
    us_vid *dv;    /* per value: gradient so far, US_NIL */
} ad;

static bool is_float(const us_graph *g, us_vid v)
{
    const us_type *t = &g->vals.at[v].type;
    return t->kind == US_KIND_TENSOR && us_dtype_get(t->dtype)->cls == US_DC_FLOAT;
}

static bool captures(const us_graph *sub, const us_graph *outer, const bool *depends);

static bool node_captures(const us_node *n, const us_graph *outer, const bool *depends)
{
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t j = 0; n->attrs[i].graphs && j < n->attrs[i].n; j++)
            if (captures(n->attrs[i].graphs[j], outer, depends)) return true;
    return false;
}

/* Whether a sub-graph, or one inside it, uses a value of `outer` that is marked. */
static bool captures(const us_graph *sub, const us_graph *outer, const bool *depends)
{
    if (sub->parent == outer)
        for (size_t i = 0; i < sub->vals.n; i++)
            if (sub->vals.at[i].storage == US_ST_OUTER && depends[sub->vals.at[i].outer])
                return true;
    for (size_t i = 0; i < sub->order.n; i++)
        if (node_captures(&sub->nodes.at[sub->order.at[i]], outer, depends)) return true;
    return false;
}

static void mark_depends(ad *s, size_t n, const us_vid *wrt)
{
    for (size_t i = 0; i < n; i++)
        s->depends[wrt[i]] = true;
    for (size_t i = 0; i < s->g->order.n; i++) {
        const us_node *nd = &s->g->nodes.at[s->g->order.at[i]];
        bool any = nd->n_attrs && node_captures(nd, s->g, s->depends);
        for (uint32_t j = 0; j < nd->n_in; j++)
            any = any || (nd->in[j] != US_NIL && s->depends[nd->in[j]]);
        if (!any) continue;
        for (uint32_t j = 0; j < nd->n_out; j++)
            if (nd->out[j] != US_NIL && is_float(s->g, nd->out[j]))
                s->depends[nd->out[j]] = true;
    }
}

static bool takes_part(const ad *s, const us_node *nd)
{
    for (uint32_t j = 0; j < nd->n_out; j++)
        if (nd->out[j] != US_NIL && s->depends[nd->out[j]] && s->reaches[nd->out[j]])
            return true;
    return false;
}

static void mark_reaches(ad *s, us_vid loss)
{
    s->reaches[loss] = true;
    for (size_t i = s->g->order.n; i-- > 0;) {
        const us_node *nd = &s->g->nodes.at[s->g->order.at[i]];
        if (!takes_part(s, nd)) continue;
        for (uint32_t j = 0; j < nd->n_in; j++)
            if (nd->in[j] != US_NIL) s->reaches[nd->in[j]] = true;
    }
}

static us_err mark(ad *s, us_vid loss, size_t n, const us_vid *wrt)
{
    s->depends = us_new_n(s->tmp, bool, s->g->vals.n);
    s->reaches = us_new_n(s->tmp, bool, s->g->vals.n);
    if (!s->depends || !s->reaches) return us_arena_fail(s->c, s->tmp);
    mark_depends(s, n, wrt);
    mark_reaches(s, loss);
    return US_OK;
}

static us_err no_gradient(ad *s, const us_node *nd, const char *why)
{
    return us_fail(s->c, US_UNSUPP, "%s '" US_SV_FMT "' has no gradient: %s",
                   nd->op ? nd->op->name : "operator", US_SV_ARG(nd->name), why);
}

/* Expands every composite that takes part and has no gradient of its own; *any tells whether there was one. */
static us_err expand_round(ad *s, bool *any)
{
    *any = false;
    us_nid *todo = us_new_n(s->tmp, us_nid, s->g->order.n + 1);
    if (!todo) return us_arena_fail(s->c, s->tmp);
    size_t n = 0;
    for (size_t i = 0; i < s->g->order.n; i++) {
        const us_node *nd = &s->g->nodes.at[s->g->order.at[i]];
        if (!takes_part(s, nd)) continue;
        if (!nd->op) return no_gradient(s, nd, "the operator is not known");
        if (grads[us_op_index(nd->op)]) continue;
        if (!nd->op->expand)
            return no_gradient(s, nd, "it is not expanded into core operators");
        todo[n++] = s->g->order.at[i];
    }
    for (size_t i = 0; i < n; i++) {
        US_TRY(us_node_expand(s->c, s->m, s->g, todo[i]));
        us_graph_remove_node(s->g, todo[i]);
        *any = true;
    }
    if (*any) US_TRY(us_graph_infer(s->c, s->g));
    return US_OK;
}

static void give(ad *s, us_builder *b, us_vid v, us_vid dx)
{
    s->dv[v] = s->dv[v] == US_NIL ? dx : us_b2(b, "Add", s->dv[v], dx);
}

static us_err one_node(ad *s, us_builder *b, us_nid n)
{
    us_node *nd = &s->g->nodes.at[n];
    if (!nd->params) US_TRY(us_node_decode(s->c, s->m, nd));
    us_vid *dy = us_new_n(s->tmp, us_vid, nd->n_out + 1);
    us_vid *dx = us_new_n(s->tmp, us_vid, nd->n_in + 1);
    bool *wanted = us_new_n(s->tmp, bool, nd->n_in + 1);
    if (!dy || !dx || !wanted) return us_arena_fail(s->c, s->tmp);
    bool any = false;
    for (uint32_t i = 0; i < nd->n_out; i++) {
        dy[i] = nd->out[i] == US_NIL ? US_NIL : s->dv[nd->out[i]];
        any = any || dy[i] != US_NIL;
    }
    if (!any) return US_OK; /* every path from here to the loss has derivative zero */
    for (uint32_t i = 0; i < nd->n_in; i++) {
        dx[i] = US_NIL;
        wanted[i] = nd->in[i] != US_NIL && s->depends[nd->in[i]] && is_float(s->g, nd->in[i]);
    }
    us_grad k = {.c = s->c,
                 .g = s->g,
                 .n = n,
                 .params = nd->params,
                 .b = b,
                 .dy = dy,
                 .dx = dx,
                 .wanted = wanted};
    US_TRY(grads[us_op_index(nd->op)](&k));
    if (b->err != US_OK) return b->err;
    nd = &s->g->nodes.at[n]; /* nodes may have moved */
    for (uint32_t i = 0; i < nd->n_in; i++)
        if (wanted[i] && dx[i] != US_NIL) give(s, b, nd->in[i], dx[i]);
    return b->err;
}

static us_vid seed_of(ad *s, us_builder *b, us_vid loss)
{
    const us_type *t = &s->g->vals.at[loss].type;
    int64_t dims[US_MAX_RANK];
    for (int i = 0; i < t->rank; i++)
        dims[i] = 1;
    uint64_t room = 0;
    const double one = 1;
    us_dtype_get(t->dtype)->from_f64(&room, 0, 1, &one);
    return us_b_const(b, NULL, t->dtype, t->rank, dims, &room);
}

static us_err check_args(ad *s, us_vid loss, size_t n, const us_vid *wrt)
{
    for (size_t i = 0; i < n; i++)
        if (wrt[i] >= s->g->vals.n)
            return us_fail(s->c, US_ARG, "gradient: value %u is not in the graph", wrt[i]);
    if (loss >= s->g->vals.n)
        return us_fail(s->c, US_ARG, "gradient: the loss is not in the graph");
    const us_val *v = &s->g->vals.at[loss];
    if (!is_float(s->g, loss) || v->type.rank < 0)
        return us_fail(s->c, US_ARG,
                       "gradient: the loss '" US_SV_FMT
                       "' must be a float tensor of known shape",
                       US_SV_ARG(v->name));
    for (int i = 0; i < v->type.rank; i++)
        if (!us_dim_known(v->type.dims[i]) || v->type.dims[i].add != 1)
            return us_fail(s->c, US_SHAPE,
                           "gradient: the loss '" US_SV_FMT
                           "' must be a scalar; its rank is %d and "
                           "dimension %d is not 1",
                           US_SV_ARG(v->name), (int)v->type.rank, i);
    return US_OK;
}

static us_err backward(ad *s, us_vid loss)
{
    size_t n_vals = s->g->vals.n, n_order = s->g->order.n;
    s->dv = us_new_n(s->tmp, us_vid, n_vals);
    us_nid *order = us_new_n(s->tmp, us_nid, n_order + 1); /* the graph's own grows as we add */
    if (!s->dv || !order) return us_arena_fail(s->c, s->tmp);
    for (size_t i = 0; i < n_vals; i++)
        s->dv[i] = US_NIL;
    for (size_t i = 0; i < n_order; i++)
        order[i] = s->g->order.at[i];
    us_builder b = us_b_begin(s->c, s->g, "grad");
    if (s->depends[loss]) s->dv[loss] = seed_of(s, &b, loss);
    for (size_t i = n_order; i-- > 0;) {
        if (!takes_part(s, &s->g->nodes.at[order[i]])) continue;
        us_err e = one_node(s, &b, order[i]);
        if (e != US_OK) return e;
    }
    return us_b_end(&b);
}

us_err us_grad_build(us_ctx *c, us_model *m, us_graph *g, us_vid loss, size_t n,
                     const us_vid *wrt, us_vid *dwrt)
{
    ad s = {.c = c, .m = m, .g = g};
    us_err e;
    US_TRY(check_args(&s, loss, n, wrt));
    US_TRY(us_arena_new(c, "gradient", (size_t)1 << 30, &s.tmp));
    for (bool any = true; any;) {
        US_GO(mark(&s, loss, n, wrt));
        US_GO(expand_round(&s, &any));
    }
    US_GO(backward(&s, loss));
    US_GO(us_graph_sort(c, g));
    US_GO(us_graph_infer(c, g));
    for (size_t i = 0; i < n; i++)
        dwrt[i] = s.dv[wrt[i]];
out:
    us_arena_free(s.tmp);
    return e;
}
