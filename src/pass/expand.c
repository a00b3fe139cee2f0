/* pass/expand.c - composite operators become the operators they are defined by.
 *
 * Who takes what is the caller's legality table: `keep` says of an operator whether it stays whole. The pass of the CPU plan
 * keeps whatever has an evaluation function, but for operators that say no (US_OP_EXPANDS); the check of the expansions keeps nothing. Expansions may contain composites
 * again, so rounds repeat until nothing is left, a bounded number of times, with types inferred between them: an
 * expansion looks at the types of what it replaces.
 */
#include "pass/passes.h"

#define MAX_ROUNDS 16

typedef struct expansion {
    us_ctx *c;
    us_model *m;
    us_keep_fn *keep;
    us_expanded *sum;
    bool any; /* in this round */
} expansion;

/* What an expansion refuses for this node stays whole where it has a kernel. */
static us_err expand_node(expansion *x, us_graph *g, us_nid n)
{
    us_err e = us_node_expand(x->c, x->m, g, n);
    if (e == US_UNSUPP && g->nodes.at[n].op->eval) {
        x->sum->n_refused++;
        return US_OK;
    }
    US_TRY(e);
    us_graph_remove_node(g, n);
    x->sum->n_expanded++;
    x->any = true;
    return US_OK;
}

static us_err expand_once(expansion *x, us_graph *g, int depth)
{
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(x->c, US_LIMIT, "sub-graphs are nested deeper than %d",
                       US_MAX_GRAPH_DEPTH);
    size_t n_before = g->nodes.n;
    for (us_nid n = 0; n < n_before; n++) {
        const us_node *node = &g->nodes.at[n];
        if (node->dead) continue;
        for (uint32_t k = 0; k < g->nodes.at[n].n_attrs; k++) {
            const us_attr a = g->nodes.at[n].attrs[k];
            for (size_t j = 0; a.graphs && j < a.n; j++)
                US_TRY(expand_once(x, a.graphs[j], depth + 1));
        }
        node = &g->nodes.at[n];
        if (!node->op || !node->op->expand || x->keep(node->op)) continue;
        US_TRY(expand_node(x, g, n));
    }
    for (us_nid n = (us_nid)n_before; n < g->nodes.n; n++) {
        us_node *node = &g->nodes.at[n];
        if (!node->dead && (!node->op || !node->params))
            US_TRY(us_node_decode(x->c, x->m, node));
    }
    return US_OK;
}

us_err us_expand_model(us_ctx *c, us_model *m, us_keep_fn *keep, us_expanded *sum)
{
    *sum = (us_expanded){0};
    for (int round = 0; round < MAX_ROUNDS; round++) {
        expansion x = {.c = c, .m = m, .keep = keep, .sum = sum};
        sum->n_refused = 0; /* those of the last round are what is left */
        US_TRY(expand_once(&x, m->main, 0));
        if (!x.any) return US_OK;
        US_TRY(us_graph_infer(c, m->main));
    }
    return us_fail(c, US_LIMIT, "operators expand into each other more than %d deep",
                   MAX_ROUNDS);
}

static bool has_kernel(const us_op *op)
{
    return op->eval != NULL && !(op->flags & US_OP_EXPANDS);
}

us_err us_pass_expand(us_ctx *c, us_model *m, us_graph *g, bool *changed)
{
    us_expanded sum;
    if (g->parent) return US_OK; /* the model's graphs go together */
    US_TRY(us_expand_model(c, m, has_kernel, &sum));
    *changed = sum.n_expanded > 0;
    return US_OK;
}
