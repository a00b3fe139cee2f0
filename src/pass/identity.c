/* pass/identity.c - nodes that give back their input are removed; an output of the graph keeps its name.
 *
 * A row tells for which operator under which condition; shapes count as equal only when proved so.
 */
#include "pass/passes.h"

typedef bool noop_fn(const us_graph *g, const us_node *n);

static bool always(const us_graph *g, const us_node *n)
{
    (void)g;
    (void)n;
    return true;
}

static bool same_shape(const us_graph *g, const us_node *n)
{
    const us_type *x = &g->vals.at[n->in[0]].type, *y = &g->vals.at[n->out[0]].type;
    return x->kind == US_KIND_TENSOR && x->rank >= 0 && us_type_eq(x, y);
}

static bool same_dtype(const us_graph *g, const us_node *n)
{
    const us_type *x = &g->vals.at[n->in[0]].type, *y = &g->vals.at[n->out[0]].type;
    return x->kind == US_KIND_TENSOR && x->dtype != US_DT_NONE && y->dtype == x->dtype;
}

/* Dropout drops only when its third input says so. */
static bool not_training(const us_graph *g, const us_node *n)
{
    if (n->n_in < 3 || n->in[2] == US_NIL) return true;
    const us_tensor *t = us_const_tensor(g, n->in[2]);
    return t && us_tensor_count(t) == 1 && us_tensor_i64_at(t, 0) == 0;
}

static bool keeps_order(const us_graph *g, const us_node *n)
{
    (void)g;
    const us_attr *a = us_node_attr(n, "perm");
    if (!a) return false;
    for (size_t i = 0; i < a->n; i++)
        if (a->ints[i] != (int64_t)i) return false;
    return true;
}

static const struct noop {
    const char *name;
    noop_fn *is_noop;
} rows[] = {
    {"Identity", always},    {"Dropout", not_training}, {"Cast", same_dtype},
    {"Reshape", same_shape}, {"Flatten", same_shape},   {"Squeeze", same_shape},
    {"Expand", same_shape},  {"Unsqueeze", same_shape}, {"Transpose", keeps_order},
};

static bool is_noop(const us_graph *g, const us_node *n)
{
    if (n->domain.n != 0 || n->n_in == 0 || n->in[0] == US_NIL || n->n_out == 0 ||
        n->out[0] == US_NIL)
        return false;
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (us_sv_is(n->op_type, rows[i].name)) return rows[i].is_noop(g, n);
    return false;
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
        if (!is_noop(g, n) || n->n_out != 1) continue;
        us_vid x = n->in[0];
        if (g->vals.at[x].storage != US_ST_TEMP || us_rewire_is_output(&r, x)) continue;
        us_graph_replace_uses(g, y, x);
        if (g->outputs.at[i] != x) continue;
        us_graph_remove_node(g, nid);
        if (g->vals.at[y]
                .declared) { /* so does the type, with the file's names of dimensions */
            g->vals.at[x].type = g->vals.at[y].type;
            g->vals.at[x].declared = true;
        }
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
        if (!is_noop(g, n) || !only_first_used(n, uses) || us_rewire_is_output(&r, n->out[0]))
            continue;
        us_rewire_set(&r, n->out[0], n->in[0]);
        us_rewire_drop(&r, nid);
        *changed = true;
    }
    if (e == US_OK) us_rewire_end(&r);
    if (e == US_OK) e = settle_outputs(c, g, a, changed);
    us_arena_free(a);
    return e;
}
