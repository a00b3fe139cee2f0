/* pass/cancel.c - a node and the one before it that undo each other, or do in two steps what one does.
 *
 *   Transpose of Transpose            one Transpose with the composed order
 *   Reshape, Flatten, Squeeze and Unsqueeze in a row   nothing, when the shape is an earlier one again; a Reshape reads
 *                                     the first of them, when its constant shape refers to no input dimension
 *   Unsqueeze of Gather by one number  Gather by a list of one, from a vector: how exporters take a dimension of a shape
 *   Cast of Cast                      the last alone, when the type between holds every value exactly
 *   Neg of Neg, Not of Not            nothing;   Relu of Relu, Abs of Abs, Ceil of Floor and the like: the inner one
 * The first node stays for its other readers; without any, dce takes it.
 */
#include "pass/passes.h"

/* The node that makes v in this graph; NULL. */
static const us_node *maker(const us_graph *g, us_vid v)
{
    if (v == US_NIL) return NULL;
    const us_val *val = &g->vals.at[v];
    if (val->storage != US_ST_TEMP || val->def == US_NIL || val->def_out != 0) return NULL;
    return &g->nodes.at[val->def];
}

static bool is_plain(const us_node *n, const char *name)
{
    return n && us_is_op(n, "", name) && n->n_in >= 1 && n->in[0] != US_NIL;
}

/* --- transposes ------------------------------------------------------------------------------------------- */

/* The order of a Transpose over `rank` axes; the default turns it round. */
static bool order_of(const us_node *n, int32_t rank, int64_t *p)
{
    const us_attr *a = us_node_attr(n, "perm");
    if (rank < 0 || (a && a->n != (size_t)rank)) return false;
    for (int32_t i = 0; i < rank; i++) {
        p[i] = a ? a->ints[i] : rank - 1 - i;
        if (p[i] < 0 || p[i] >= rank) return false;
    }
    return true;
}

static us_err join_transposes(us_ctx *c, us_graph *g, us_nid nid, bool *changed)
{
    us_node *n = &g->nodes.at[nid];
    const us_node *first = maker(g, n->in[0]);
    int64_t p[US_MAX_RANK], q[US_MAX_RANK];
    if (!is_plain(first, "Transpose")) return US_OK;
    const us_type *x = &g->vals.at[first->in[0]].type;
    int32_t rank = x->kind == US_KIND_TENSOR ? x->rank : -1;
    if (!order_of(first, rank, p) || !order_of(n, rank, q)) return US_OK;
    int64_t *r = us_new_n(g->model->arena, int64_t, (size_t)rank);
    if (!r) return us_arena_fail(c, g->model->arena);
    for (int32_t i = 0; i < rank; i++)
        r[i] = p[q[i]];
    us_attr perm = {.name = US_SV("perm"), .kind = US_AT_INTS, .ints = r, .n = (size_t)rank};
    n->in[0] = first->in[0];
    *changed = true;
    return us_node_set_attr(c, g, nid, &perm);
}

/* --- views --------------------------------------------------------------------------------------------------- */

static bool is_view(const us_node *n)
{
    return is_plain(n, "Reshape") || is_plain(n, "Flatten") || is_plain(n, "Squeeze") ||
           is_plain(n, "Unsqueeze");
}

/* A constant shape without a 0, which would stand for a dimension of the input. */
static bool names_no_input_dim(const us_graph *g, const us_node *n)
{
    const us_tensor *t =
        n->n_in == 2 && n->in[1] != US_NIL ? us_const_tensor(g, n->in[1]) : NULL;
    const us_attr *allowzero = us_node_attr(n, "allowzero");
    if (!t || (allowzero && allowzero->i)) return false;
    for (int64_t i = 0; i < us_tensor_count(t); i++)
        if (us_tensor_i64_at(t, i) == 0) return false;
    return true;
}

static us_err join_views(us_graph *g, us_nid nid, us_rewire *r, bool *changed)
{
    us_node *n = &g->nodes.at[nid];
    const us_type *y = &g->vals.at[n->out[0]].type;
    us_vid first = n->in[0];
    int steps = 8; /* chains are short; a hostile one must not cost its square */
    for (const us_node *p = maker(g, first); is_view(p) && steps-- > 0; p = maker(g, first)) {
        first = p->in[0];
        const us_type *x = &g->vals.at[first].type;
        if (y->kind != US_KIND_TENSOR || y->rank < 0 || !us_type_eq(x, y) ||
            us_rewire_is_output(r, n->out[0]))
            continue;
        us_rewire_set(r, n->out[0], first);
        us_rewire_drop(r, nid);
        *changed = true;
        return US_OK;
    }
    if (first != n->in[0] && us_is_op(n, "", "Reshape") && names_no_input_dim(g, n)) {
        n->in[0] = first;
        *changed = true;
    }
    return US_OK;
}

/* --- dimensions --------------------------------------------------------------------------------------------- */

static bool has_rank(const us_graph *g, us_vid v, int32_t rank)
{
    return g->vals.at[v].type.kind == US_KIND_TENSOR && g->vals.at[v].type.rank == rank;
}

static us_err gather_list(us_ctx *c, us_graph *g, us_nid nid, const uint32_t *uses,
                          size_t n_uses, bool *changed)
{
    const us_node *n = &g->nodes.at[nid], *first = maker(g, n->in[0]);
    if (!is_plain(first, "Gather") || n->in[0] >= n_uses || uses[n->in[0]] != 1 ||
        first->n_in != 2 || !has_rank(g, first->in[0], 1) || !has_rank(g, n->in[0], 0) ||
        !has_rank(g, n->out[0], 1))
        return US_OK;
    const us_tensor *at = us_const_tensor(g, first->in[1]);
    us_tensor list;
    if (!at || !at->data || at->rank != 0) return US_OK;
    list = *at;
    list.rank = 1;
    list.dims[0] = list.strides[0] = 1;
    us_vid *in = us_new_n(g->model->arena, us_vid, 2);
    if (!in) return us_arena_fail(c, g->model->arena);
    in[0] = first->in[0];
    US_TRY(us_graph_add_const(c, g, (us_sv){0}, US_ST_CONST, &list, &in[1]));
    us_node_become(&g->nodes.at[nid], maker(g, g->nodes.at[nid].in[0]), 2, in);
    *changed = true;
    return US_OK;
}

/* --- casts ------------------------------------------------------------------------------------------------------ */

/* Bits of a whole number that a type holds exactly, sign apart; 0: not a type this is known for. */
static int exact_bits(const us_dtype_info *d, us_dtype t)
{
    if (t == US_F16) return 11;
    if (t == US_BF16) return 8;
    if (t == US_F32) return 24;
    if (t == US_F64) return 53;
    if (d->cls == US_DC_BOOL) return 1;
    if (d->cls == US_DC_UINT) return d->bits;
    return d->cls == US_DC_INT ? d->bits - 1 : 0;
}

/* Every value of `from` survives in `to`. */
static bool holds(us_dtype from, us_dtype to)
{
    const us_dtype_info *f = us_dtype_get(from), *t = us_dtype_get(to);
    int bits = exact_bits(f, from), room = exact_bits(t, to);
    if (from == to) return true;
    if (!bits || !room || t->cls == US_DC_BOOL || (from == US_BF16 && to == US_F16))
        return false;
    if (f->cls == US_DC_FLOAT && t->cls != US_DC_FLOAT) return false;
    if (f->cls == US_DC_INT && t->cls == US_DC_UINT) return false;
    return bits <= room;
}

static us_err join_casts(us_graph *g, us_nid nid, bool *changed)
{
    us_node *n = &g->nodes.at[nid];
    const us_node *first = maker(g, n->in[0]);
    if (!is_plain(first, "Cast")) return US_OK;
    const us_type *x = &g->vals.at[first->in[0]].type, *between = &g->vals.at[n->in[0]].type;
    if (x->kind != US_KIND_TENSOR || !x->dtype || !between->dtype ||
        !holds(x->dtype, between->dtype))
        return US_OK;
    n->in[0] = first->in[0];
    *changed = true;
    return US_OK;
}

/* --- functions of one number ---------------------------------------------------------------------------------------- */

/* after(before(x)) is x, or before(x). */
static const struct pair {
    const char *after, *before;
    bool undoes;
} pairs[] = {
    {"Neg", "Neg", true},     {"Not", "Not", true},      {"Relu", "Relu", false},
    {"Abs", "Abs", false},    {"Abs", "Relu", false},    {"Relu", "Abs", false},
    {"Ceil", "Ceil", false},  {"Floor", "Floor", false}, {"Round", "Round", false},
    {"Ceil", "Floor", false}, {"Floor", "Ceil", false},  {"Round", "Floor", false},
    {"Round", "Ceil", false}, {"Sign", "Sign", false},   {"Relu", "Sigmoid", false},
};

static us_err join_pairs(us_graph *g, us_nid nid, us_rewire *r, bool *changed)
{
    const us_node *n = &g->nodes.at[nid], *first = n->n_in == 1 ? maker(g, n->in[0]) : NULL;
    if (!first || us_rewire_is_output(r, n->out[0])) return US_OK;
    for (size_t i = 0; i < US_LEN(pairs); i++) {
        if (!us_is_op(n, "", pairs[i].after) || !is_plain(first, pairs[i].before)) continue;
        us_rewire_set(r, n->out[0], pairs[i].undoes ? first->in[0] : n->in[0]);
        us_rewire_drop(r, nid);
        *changed = true;
        return US_OK;
    }
    return US_OK;
}

static us_err join(us_ctx *c, us_graph *g, us_nid nid, us_rewire *r, const uint32_t *uses,
                   bool *changed)
{
    const us_node *n = &g->nodes.at[nid];
    if (n->n_in == 0 || n->in[0] == US_NIL || n->n_out != 1 || n->out[0] == US_NIL)
        return US_OK;
    if (us_is_op(n, "", "Transpose")) return join_transposes(c, g, nid, changed);
    if (us_is_op(n, "", "Cast")) return join_casts(g, nid, changed);
    if (us_is_op(n, "", "Unsqueeze")) US_TRY(gather_list(c, g, nid, uses, r->n, changed));
    n = &g->nodes.at[nid];
    if (is_view(n)) return join_views(g, nid, r, changed);
    return join_pairs(g, nid, r, changed);
}

us_err us_pass_cancel(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    us_arena *a;
    us_rewire r = {0};
    uint32_t *uses;
    US_TRY(us_arena_new(c, "cancel", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++) {
        us_rewire_node(&r, g->order.at[i]);
        e = join(c, g, g->order.at[i], &r, uses, changed);
    }
    if (e == US_OK) us_rewire_end(&r);
    us_arena_free(a);
    return e;
}
