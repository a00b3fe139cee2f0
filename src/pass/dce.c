/* pass/dce.c - nodes whose outputs nobody uses go, then those that only they used, and constants nobody reads.
 *
 * A constant that is listed among the graph's inputs is part of its interface and stays.
 */
#include "pass/passes.h"

static bool has_subgraph(const us_node *n)
{
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].kind == US_AT_GRAPH || n->attrs[i].kind == US_AT_GRAPHS) return true;
    return false;
}

static bool unused(const us_node *n, const uint32_t *uses)
{
    for (uint32_t k = 0; k < n->n_out; k++)
        if (n->out[k] != US_NIL && uses[n->out[k]] > 0) return false;
    return true;
}

static us_err drop_constants(us_ctx *c, us_graph *g, us_arena *a, bool *changed)
{
    uint32_t *uses;
    US_TRY(us_graph_uses(c, g, a, &uses));
    for (us_vid v = 0; v < g->vals.n; v++) {
        us_val *val = &g->vals.at[v];
        if (val->storage != US_ST_CONST || uses[v] > 0 || val->also_input) continue;
        val->storage = US_ST_TEMP; /* a name without a definition */
        val->data = NULL;
        *changed = true;
    }
    return US_OK;
}

us_err us_pass_dce(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    (void)m;
    us_arena *a;
    US_TRY(us_arena_new(c, "dce", (size_t)1 << 30, &a));
    us_err e = US_OK;
    bool again = true;
    us_rewire r = {.g = g};
    while (again) { /* once more only when a node with captures went */
        again = false;
        uint32_t *uses;
        us_mark mark = us_arena_mark(a);
        US_GO(us_graph_uses(c, g, a, &uses));
        for (size_t i = g->order.n; i-- > 0;) {
            us_nid nid = g->order.at[i];
            const us_node *n = &g->nodes.at[nid];
            if (!unused(n, uses)) continue;
            for (uint32_t k = 0; k < n->n_in; k++)
                if (n->in[k] != US_NIL && uses[n->in[k]] > 0) uses[n->in[k]]--;
            again = again || has_subgraph(n);
            us_rewire_drop(&r, nid);
            *changed = true;
        }
        us_rewire_end(&r);
        us_arena_reset(a, mark);
    }
    e = drop_constants(c, g, a, changed);
out:
    us_arena_free(a);
    return e;
}
