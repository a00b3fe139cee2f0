/* ir/edit.c - changing graphs: removal, replacement of uses, order, counting uses.
 *
 * A capture (OUTER value of a sub-graph) is a use of the enclosing graph's value by the node that holds the
 * sub-graph. Deeper captures go through the graphs between, so only direct sub-graphs need a look.
 */
#include <string.h>

#include "base/ctx.h"
#include "ir/graph.h"

void us_graph_remove_node(us_graph *g, us_nid n)
{
    us_node *node = &g->nodes.at[n];
    if (node->dead) return;
    node->dead = true;
    for (uint32_t i = 0; i < node->n_out; i++)
        if (node->out[i] != US_NIL) g->vals.at[node->out[i]].def = US_NIL;
    for (size_t i = 0; i < g->order.n; i++)
        if (g->order.at[i] == n) {
            g->order.n--;
            memmove(g->order.at + i, g->order.at + i + 1,
                    (g->order.n - i) * sizeof *g->order.at);
            return;
        }
}

static void swap_names(us_graph *g, us_vid a, us_vid b)
{
    us_val *va = &g->vals.at[a], *vb = &g->vals.at[b];
    us_sv t = va->name;
    va->name = vb->name;
    vb->name = t;
    (void)us_map_set(&g->by_name, va->name, a); /* both names are in the map */
    (void)us_map_set(&g->by_name, vb->name, b);
}

static bool is_output(const us_graph *g, us_vid v)
{
    for (size_t i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i] == v) return true;
    return false;
}

/* Graph outputs keep their names: see the contract. */
static void replace_outputs(us_graph *g, us_vid from, us_vid to)
{
    if (!is_output(g, from) || is_output(g, to)) return;
    if (g->vals.at[to].storage != US_ST_TEMP) return;
    swap_names(g, from, to);
    for (size_t i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i] == from) g->outputs.at[i] = to;
}

static void replace_captures(us_node *n, us_vid from, us_vid to)
{
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        us_attr *a = &n->attrs[i];
        for (size_t j = 0; a->graphs && j < a->n; j++) {
            us_graph *sub = a->graphs[j];
            for (size_t k = 0; k < sub->vals.n; k++) {
                us_val *v = &sub->vals.at[k];
                if (v->storage == US_ST_OUTER && v->outer == from) v->outer = to;
            }
        }
    }
}

void us_graph_replace_uses(us_graph *g, us_vid from, us_vid to)
{
    if (from == to) return;
    for (size_t i = 0; i < g->order.n; i++) {
        us_node *n = &g->nodes.at[g->order.at[i]];
        for (uint32_t j = 0; j < n->n_in; j++)
            if (n->in[j] == from) n->in[j] = to;
        replace_captures(n, from, to);
    }
    replace_outputs(g, from, to);
}

/* --- order --------------------------------------------------------------------------------------------- */

/* Calls fn for every value the node reads: inputs, then captures of its sub-graphs. */
static us_err each_read(const us_node *n, us_err (*fn)(void *ud, us_vid v), void *ud)
{
    for (uint32_t i = 0; i < n->n_in; i++)
        if (n->in[i] != US_NIL) US_TRY(fn(ud, n->in[i]));
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        const us_attr *a = &n->attrs[i];
        for (size_t j = 0; a->graphs && j < a->n; j++) {
            const us_graph *sub = a->graphs[j];
            for (size_t k = 0; k < sub->vals.n; k++)
                if (sub->vals.at[k].storage == US_ST_OUTER && sub->vals.at[k].outer != US_NIL)
                    US_TRY(fn(ud, sub->vals.at[k].outer));
        }
    }
    return US_OK;
}

typedef struct sorter {
    us_ctx *c;
    us_graph *g;
    us_arena *a;
    uint8_t *state; /* per node: 0 not seen, 1 on the stack, 2 placed */
    US_VEC(us_nid) stack;
    US_VEC(us_nid) placed;
    us_nid waits_for; /* an unplaced node that the one looked at needs */
} sorter;

static us_err look(void *ud, us_vid v)
{
    sorter *s = ud;
    us_nid def = s->g->vals.at[v].def;
    if (s->waits_for == US_NIL && def != US_NIL && s->state[def] != 2) s->waits_for = def;
    return US_OK;
}

/* Depth first from one node: everything it needs is placed before it. */
static us_err place(sorter *s, us_nid root)
{
    if (s->state[root] == 2) return US_OK;
    s->state[root] = 1;
    US_TRY(us_vec_push(s->c, s->a, &s->stack, root));
    while (s->stack.n) {
        us_nid n = s->stack.at[s->stack.n - 1];
        s->waits_for = US_NIL;
        US_TRY(each_read(&s->g->nodes.at[n], look, s));
        us_nid need = s->waits_for;
        if (need == US_NIL) {
            s->state[n] = 2;
            s->stack.n--;
            US_TRY(us_vec_push(s->c, s->a, &s->placed, n));
            continue;
        }
        const us_node *at = &s->g->nodes.at[need];
        if (s->state[need] == 1)
            return us_fail(s->c, US_FORMAT,
                           US_SV_FMT " '" US_SV_FMT
                                     "' needs its own output: the graph '" US_SV_FMT
                                     "' has a cycle",
                           US_SV_ARG(at->op_type), US_SV_ARG(at->name), US_SV_ARG(s->g->name));
        s->state[need] = 1;
        US_TRY(us_vec_push(s->c, s->a, &s->stack, need));
    }
    return US_OK;
}

us_err us_graph_sort(us_ctx *c, us_graph *g)
{
    us_arena *a;
    us_err e;
    US_TRY(us_arena_new(c, "sort", US_MODEL_ARENA_CAP, &a));
    sorter s = {.c = c, .g = g, .a = a};
    s.state = us_new_n(a, uint8_t, g->nodes.n);
    if (!s.state) {
        e = us_arena_fail(c, a);
        goto out;
    }
    for (size_t i = 0; i < g->order.n; i++)
        US_GO(place(&s, g->order.at[i]));
    e = US_OK;
    if (s.placed.n != g->order.n)
        e = us_fail(c, US_BUG, "sorting found %zu of %zu nodes", s.placed.n, g->order.n);
    else if (s.placed.n)
        memcpy(g->order.at, s.placed.at, s.placed.n * sizeof *g->order.at);
out:
    us_arena_free(a);
    return e;
}

static us_err count(void *ud, us_vid v)
{
    uint32_t *uses = ud;
    if (uses[v] < UINT32_MAX) uses[v]++;
    return US_OK;
}

us_err us_graph_uses(us_ctx *c, const us_graph *g, us_arena *a, uint32_t **out)
{
    uint32_t *uses = us_new_n(a, uint32_t, g->vals.n);
    if (!uses) return us_arena_fail(c, a);
    for (size_t i = 0; i < g->order.n; i++)
        US_TRY(each_read(&g->nodes.at[g->order.at[i]], count, uses));
    for (size_t i = 0; i < g->outputs.n; i++)
        US_TRY(count(uses, g->outputs.at[i]));
    *out = uses;
    return US_OK;
}

static us_err each_graph(us_ctx *c, us_graph *g, int depth, us_graph_fn *fn, void *arg)
{
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(c, US_LIMIT, "sub-graphs are nested deeper than %d", US_MAX_GRAPH_DEPTH);
    for (size_t i = 0; i < g->order.n; i++) {
        us_nid nid = g->order.at[i];
        for (uint32_t k = 0; k < g->nodes.at[nid].n_attrs; k++)
            for (size_t j = 0; j < g->nodes.at[nid].attrs[k].n; j++) {
                const us_attr *a = &g->nodes.at[nid].attrs[k];
                if (!a->graphs) break;
                US_TRY(each_graph(c, a->graphs[j], depth + 1, fn, arg));
            }
    }
    return fn(c, g, arg);
}

us_err us_graph_each(us_ctx *c, us_graph *g, us_graph_fn *fn, void *arg)
{
    return each_graph(c, g, 0, fn, arg);
}
