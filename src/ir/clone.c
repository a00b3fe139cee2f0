/* ir/clone.c - a copy of a model with the same numbers.
 *
 * Arrays that are changed in place (values, nodes, their inputs, outputs and attributes, the order) are copied; what is only
 * ever replaced as a whole (names, types, weights, contents of attributes) is shared with the original.
 */
#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"

typedef struct cloner {
    us_ctx *c;
    us_arena *a;
    us_model *to;
} cloner;

/* All of a vector's elements, as they are. */
#define COPY_VEC(k, to_v, from_v)                                                              \
    do {                                                                                       \
        US_TRY(us_vec_reserve((k)->c, (k)->a, (to_v), (from_v)->n));                           \
        if ((from_v)->n) memcpy((to_v)->at, (from_v)->at, (from_v)->n * sizeof *(to_v)->at);   \
        (to_v)->n = (from_v)->n;                                                               \
    } while (0)

static us_err copy_ids(cloner *k, us_vid **ids, size_t n)
{
    us_vid *copy = us_new_n(k->a, us_vid, n);
    if (!copy) return us_arena_fail(k->c, k->a);
    if (n) memcpy(copy, *ids, n * sizeof *copy);
    *ids = copy;
    return US_OK;
}

/* Attributes that hold graphs hold the copies. */
static us_err copy_attrs(cloner *k, us_attr **attrs, size_t n)
{
    us_attr *copy = us_new_n(k->a, us_attr, n);
    if (!copy) return us_arena_fail(k->c, k->a);
    if (n) memcpy(copy, *attrs, n * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        if (!copy[i].graphs) continue;
        us_graph **graphs = us_new_n(k->a, us_graph *, copy[i].n);
        if (!graphs) return us_arena_fail(k->c, k->a);
        for (size_t j = 0; j < copy[i].n; j++)
            graphs[j] = k->to->graphs.at[copy[i].graphs[j]->index];
        copy[i].graphs = graphs;
    }
    *attrs = copy;
    return US_OK;
}

static us_err copy_node(cloner *k, us_node *n)
{
    US_TRY(copy_ids(k, &n->in, n->n_in));
    US_TRY(copy_ids(k, &n->out, n->n_out));
    US_TRY(copy_attrs(k, &n->attrs, n->n_attrs));
    n->params = NULL; /* may hold pointers to sub-graphs */
    return n->dead ? US_OK : us_node_decode(k->c, k->to, n);
}

static us_err copy_names(cloner *k, const us_graph *from, us_graph *to)
{
    us_map_init(&to->by_name, k->a);
    for (size_t i = 0; i < from->by_name.items.n; i++) {
        us_map_slot s = from->by_name.items.at[i];
        US_TRY(us_map_put(k->c, &to->by_name, s.key, s.value, NULL));
    }
    return US_OK;
}

static us_err fill_graph(cloner *k, const us_graph *from, us_graph *to)
{
    COPY_VEC(k, &to->vals, &from->vals);
    COPY_VEC(k, &to->nodes, &from->nodes);
    COPY_VEC(k, &to->order, &from->order);
    COPY_VEC(k, &to->inputs, &from->inputs);
    COPY_VEC(k, &to->outputs, &from->outputs);
    US_TRY(copy_names(k, from, to));
    to->parent = from->parent ? k->to->graphs.at[from->parent->index] : NULL;
    to->doc = from->doc;
    to->unknown = from->unknown;
    to->quant = from->quant;
    to->n_fresh = from->n_fresh;
    for (size_t i = 0; i < to->nodes.n; i++)
        US_TRY(copy_node(k, &to->nodes.at[i]));
    return US_OK;
}

static us_err copy_function(cloner *k, us_function *f)
{
    us_function from = *f;
    f->body = k->to->graphs.at[from.body->index];
    memset(&f->opsets, 0, sizeof f->opsets);
    memset(&f->attr_names, 0, sizeof f->attr_names);
    memset(&f->attr_defaults, 0, sizeof f->attr_defaults);
    COPY_VEC(k, &f->opsets, &from.opsets);
    COPY_VEC(k, &f->attr_names, &from.attr_names);
    COPY_VEC(k, &f->attr_defaults, &from.attr_defaults);
    return copy_attrs(k, &f->attr_defaults.at, f->attr_defaults.n);
}

static us_err copy_syms(cloner *k, const us_syms *from)
{
    us_syms *to = &k->to->syms;
    US_TRY(us_syms_init(k->c, to, k->a));
    for (size_t i = to->names.n; i < from->names.n; i++) {
        US_TRY(us_map_put(k->c, &to->by_name, from->names.at[i], (uint32_t)i, NULL));
        US_TRY(us_vec_push(k->c, k->a, &to->names, from->names.at[i]));
        US_TRY(us_vec_push(k->c, k->a, &to->defs, from->defs.at[i]));
    }
    to->n_fresh = from->n_fresh;
    return US_OK;
}

static us_err fill_model(cloner *k, const us_model *from)
{
    us_model *to = k->to;
    to->ir_version = from->ir_version;
    to->model_version = from->model_version;
    to->producer_name = from->producer_name;
    to->producer_version = from->producer_version;
    to->domain = from->domain;
    to->doc = from->doc;
    to->unknown = from->unknown;
    US_TRY(copy_syms(k, &from->syms));
    COPY_VEC(k, &to->opsets, &from->opsets);
    COPY_VEC(k, &to->props, &from->props);
    for (size_t i = 0; i < from->graphs.n; i++) { /* all shells first: nodes refer to them */
        us_graph *g;
        US_TRY(us_graph_new(k->c, to, NULL, from->graphs.at[i]->name, &g));
    }
    to->main = to->graphs.at[from->main->index];
    COPY_VEC(k, &to->functions, &from->functions);
    for (size_t i = 0; i < to->functions.n; i++)
        US_TRY(copy_function(k, &to->functions.at[i]));
    for (size_t i = 0; i < from->graphs.n; i++)
        US_TRY(fill_graph(k, from->graphs.at[i], to->graphs.at[i]));
    return US_OK;
}

us_err us_model_clone(us_ctx *c, const us_model *m, us_model **out)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "model copy", US_MODEL_ARENA_CAP, &a));
    us_model *to = us_new(a, us_model);
    us_err e = to ? US_OK : us_arena_fail(c, a);
    if (e == US_OK) {
        to->arena = a;
        cloner k = {c, a, to};
        e = fill_model(&k, m);
    }
    if (e == US_OK)
        *out = to;
    else
        us_arena_free(a);
    return e;
}
