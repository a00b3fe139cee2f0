/* pass/identity.c - nodes that give back their input are removed; an output of the graph keeps its name.
 *
 * A row tells for which operator under which condition; shapes count as equal only when proved so.
 */
#include "pass/passes.h"

/* Which input the node gives back, or -1. */
typedef int noop_fn(const us_graph *g, const us_node *n);

static const us_type *type_of(const us_graph *g, us_vid v)
{
    return &g->vals.at[v].type;
}

static bool same_types(const us_type *x, const us_type *y)
{
    return x->kind == US_KIND_TENSOR && x->rank >= 0 && us_type_eq(x, y);
}

static int always(const us_graph *g, const us_node *n)
{
    (void)g;
    (void)n;
    return 0;
}

static int same_shape(const us_graph *g, const us_node *n)
{
    return same_types(type_of(g, n->in[0]), type_of(g, n->out[0])) ? 0 : -1;
}

static int same_dtype(const us_graph *g, const us_node *n)
{
    const us_type *x = type_of(g, n->in[0]), *y = type_of(g, n->out[0]);
    return x->kind == US_KIND_TENSOR && x->dtype != US_DT_NONE && y->dtype == x->dtype ? 0 : -1;
}

/* Concat, Sum, Max, Min and Mean of one. */
static int only_input(const us_graph *g, const us_node *n)
{
    (void)g;
    return n->n_in == 1 ? 0 : -1;
}

/* Every element of input i is x; an input left out counts as yes. */
static bool all_are(const us_graph *g, const us_node *n, uint32_t i, double x)
{
    if (i >= n->n_in || n->in[i] == US_NIL) return true;
    const us_tensor *t = us_const_tensor(g, n->in[i]);
    if (!t || !t->data || !us_dtype_get(t->dtype)->to_f64) return false;
    for (int64_t k = 0; k < us_tensor_count(t); k++)
        if (us_tensor_f64_at(t, k) != x) return false;
    return true;
}

/* x + 0, x * 1 and the like, when broadcasting the constant leaves the shape alone. */
static int neutral(const us_graph *g, const us_node *n, double x, bool either_side)
{
    if (n->n_in != 2 || n->in[1] == US_NIL) return -1;
    const us_type *y = type_of(g, n->out[0]);
    if (all_are(g, n, 1, x) && same_types(type_of(g, n->in[0]), y)) return 0;
    return either_side && all_are(g, n, 0, x) && same_types(type_of(g, n->in[1]), y) ? 1 : -1;
}

static int adds_zero(const us_graph *g, const us_node *n)
{
    return neutral(g, n, 0, us_is_op(n, "", "Add"));
}

static int times_one(const us_graph *g, const us_node *n)
{
    return neutral(g, n, 1, us_is_op(n, "", "Mul"));
}

/* No element added or cut off anywhere: as an attribute (pads; opset 1: paddings) or an input. */
static int pads_nothing(const us_graph *g, const us_node *n)
{
    const us_attr *a = us_node_attr(n, "pads");
    if (!a) a = us_node_attr(n, "paddings");
    if (!a) return n->n_in >= 2 && all_are(g, n, 1, 0) ? 0 : -1;
    for (size_t i = 0; i < a->n; i++)
        if (a->ints[i] != 0) return -1;
    return 0;
}

/* Backwards has the same shape too. */
static int slices_all(const us_graph *g, const us_node *n)
{
    return all_are(g, n, 4, 1) ? same_shape(g, n) : -1;
}

/* Dropout drops only when its third input says so. */
static int not_training(const us_graph *g, const us_node *n)
{
    if (n->n_in < 3 || n->in[2] == US_NIL) return 0;
    const us_tensor *t = us_const_tensor(g, n->in[2]);
    return t && us_tensor_count(t) == 1 && us_tensor_i64_at(t, 0) == 0 ? 0 : -1;
}

static int keeps_order(const us_graph *g, const us_node *n)
{
    (void)g;
    const us_attr *a = us_node_attr(n, "perm");
    if (!a || a->n == 0) return -1; /* reverses */
    for (size_t i = 0; i < a->n; i++)
        if (a->ints[i] != (int64_t)i) return -1;
    return 0;
}

static const struct noop {
    const char *name;
    noop_fn *gives_back;
} rows[] = {
    {"Identity", always},     {"Dropout", not_training},    {"Cast", same_dtype},
    {"CastLike", same_dtype}, {"Reshape", same_shape},      {"Flatten", same_shape},
    {"Squeeze", same_shape},  {"Unsqueeze", same_shape},    {"Expand", same_shape},
    {"Tile", same_shape},     {"DepthToSpace", same_shape}, {"SpaceToDepth", same_shape},
    {"Slice", slices_all},    {"Pad", pads_nothing},        {"Transpose", keeps_order},
    {"Concat", only_input},   {"Sum", only_input},          {"Max", only_input},
    {"Min", only_input},      {"Mean", only_input},         {"Add", adds_zero},
    {"Sub", adds_zero},       {"Mul", times_one},           {"Div", times_one},
};

static int noop_input(const us_graph *g, const us_node *n)
{
    if (n->domain.n != 0 || n->n_in == 0 || n->in[0] == US_NIL || n->n_out == 0 ||
        n->out[0] == US_NIL)
        return -1;
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (us_sv_is(n->op_type, rows[i].name)) return rows[i].gives_back(g, n);
    return -1;
}

static bool only_first_used(const us_node *n, const uint32_t *uses)
{
    for (uint32_t k = 1; k < n->n_out; k++)
        if (n->out[k] != US_NIL && uses[n->out[k]] > 0) return false;
    return n->out[0] != US_NIL;
}

/* A graph's output that is what another value is: that one takes the name over, when a node makes it and it is no output itself. */
static us_err settle_outputs(us_ctx *c, us_graph *g, us_arena *a, bool *changed)
{
    us_rewire r = {0};
    US_TRY(us_rewire_begin(c, g, a, &r));
    size_t budget = 256; /* each costs a walk over the graph */
    for (size_t i = 0; i < g->outputs.n && budget > 0; i++) {
        us_vid y = g->outputs.at[i];
        us_nid nid = g->vals.at[y].def;
        if (nid == US_NIL || g->vals.at[y].storage != US_ST_TEMP) continue;
        const us_node *n = &g->nodes.at[nid];
        int k = noop_input(g, n);
        if (k < 0 || n->n_out != 1) continue;
        us_vid x = n->in[k];
        if (g->vals.at[x].storage != US_ST_TEMP || us_rewire_is_output(&r, x)) continue;
        us_graph_replace_uses(g, y, x);
        if (g->outputs.at[i] != x) continue;
        us_graph_remove_node(g, nid);
        r.is_output[x] = true;
        *changed = true;
        budget--;
    }
    return US_OK;
}

us_err us_pass_identity(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    us_arena *a;
    uint32_t *uses;
    us_rewire r = {0};
    US_TRY(us_arena_new(c, "identity", (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &r);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++) {
        us_nid nid = g->order.at[i];
        us_rewire_node(&r, nid);
        const us_node *n = &g->nodes.at[nid];
        int k = noop_input(g, n);
        if (k < 0 || !only_first_used(n, uses) || us_rewire_is_output(&r, n->out[0])) continue;
        us_rewire_set(&r, n->out[0], n->in[k]);
        us_rewire_drop(&r, nid);
        *changed = true;
    }
    if (e == US_OK) us_rewire_end(&r);
    if (e == US_OK) e = settle_outputs(c, g, a, changed);
    us_arena_free(a);
    return e;
}
