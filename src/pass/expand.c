/* pass/expand.c - composite operators without a kernel become core ones.
 *
 * The legality table of the CPU plan is the operators' own: what has an evaluation function is kept whole. Expansions
 * may contain composites again, so the pass repeats until nothing is left, a bounded number of times.
 */
#include "pass/passes.h"

#define MAX_ROUNDS 16

static us_err expand_once(us_ctx *c, us_model *m, us_graph *g, bool *any)
{
    size_t n_before = g->nodes.n;
    for (us_nid n = 0; n < n_before; n++) {
        const us_node *node = &g->nodes.at[n];
        if (node->dead || !node->op || node->op->eval || !node->op->expand) continue;
        US_TRY(node->op->expand(c, m, g, n));
        us_graph_remove_node(g, n);
        *any = true;
    }
    for (us_nid n = (us_nid)n_before; n < g->nodes.n; n++) {
        us_node *node = &g->nodes.at[n];
        if (!node->dead && (!node->op || !node->params)) US_TRY(us_node_decode(c, m, node));
    }
    return US_OK;
}

us_err us_pass_expand(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        bool any = false;
        US_TRY(expand_once(c, m, g, &any));
        if (!any) return US_OK;
        *changed = true;
    }
    return us_fail(c, US_LIMIT, "operators expand into each other more than %d deep",
                   MAX_ROUNDS);
}
