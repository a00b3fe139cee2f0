/* inspect/values.c - types of all values by way of an inferred clone, in which values have the numbers they had. */
#include "inspect/values.h"

#include <string.h>

#include "base/ctx.h"
#include "pass/facts.h"

typedef struct lister {
    us_ctx *c;
    us_arena *a;
    const us_model *m;
    us_values *out;
    US_VEC(us_value_info) rows;
} lister;

static us_err add_value(lister *k, const us_graph *g, us_vid v, const us_value_info *place)
{
    const us_val *was = &g->vals.at[v];
    const us_val *now = &k->out->from->graphs.at[g->index]->vals.at[v];
    us_value_info r = *place;
    r.name = was->name;
    r.storage = was->storage;
    r.type = now->type;
    r.known = now->known;
    r.n_known = now->n_known;
    return us_vec_push(k->c, k->a, &k->rows, r);
}

static us_err add_graph(lister *k, const us_graph *g, const us_value_info *place, int depth);

static us_err add_sub_graphs(lister *k, const us_graph *g, const us_node *n, int depth)
{
    us_sv holder = {0};
    for (uint32_t i = 0; i < n->n_out && !holder.n; i++)
        if (n->out[i] != US_NIL) holder = g->vals.at[n->out[i]].name;
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t j = 0; n->attrs[i].graphs && j < n->attrs[i].n; j++) {
            const us_graph *sub = n->attrs[i].graphs[j];
            us_value_info place = {
                .graph = sub->name, .holder = holder, .attribute = n->attrs[i].name};
            US_TRY(add_graph(k, sub, &place, depth + 1));
        }
    return US_OK;
}

/* What nodes do not make, then what they make. A captured value stands in the graph that made it. */
static us_err add_graph(lister *k, const us_graph *g, const us_value_info *place, int depth)
{
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(k->c, US_LIMIT, "sub-graphs are nested deeper than %d",
                       US_MAX_GRAPH_DEPTH);
    for (us_vid v = 0; v < g->vals.n; v++)
        if (g->vals.at[v].storage != US_ST_TEMP && g->vals.at[v].storage != US_ST_OUTER)
            US_TRY(add_value(k, g, v, place));
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        US_TRY(add_sub_graphs(k, g, n, depth));
        for (uint32_t j = 0; j < n->n_out; j++)
            if (n->out[j] != US_NIL) US_TRY(add_value(k, g, n->out[j], place));
    }
    return US_OK;
}

static us_err infer(lister *k)
{
    us_values *out = k->out;
    us_err e = us_facts_infer(k->c, k->m, &out->from);
    out->inferred = e == US_OK;
    if (e == US_OK || e == US_NOMEM || e == US_CANCELLED) return e;
    memcpy(out->why, k->c->diag.text, sizeof out->why);
    return us_model_clone(k->c, k->m, &out->from);
}

us_err us_values_get(us_ctx *c, us_arena *a, const us_model *m, us_values *out)
{
    us_values r = {0};
    lister k = {.c = c, .a = a, .m = m, .out = &r};
    us_err e = infer(&k);
    if (e == US_OK) e = add_graph(&k, m->main, &(us_value_info){.name = {0}}, 0);
    if (e != US_OK) {
        us_model_free(r.from);
        return e;
    }
    r.at = k.rows.at;
    r.n = k.rows.n;
    *out = r;
    return US_OK;
}

void us_values_free(us_values *v)
{
    us_model_free(v->from);
    v->from = NULL;
}
