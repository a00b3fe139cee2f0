/* inspect/layers.c - the costs of a model's nodes.
 *
 * Works on a clone: sizes are put in for the symbols of its inputs, it is inlined, upgraded, folded and inferred, then composites
 * are expanded. Each node made on the way has an owner, the node of the file it stems from. A clone's values have the
 * numbers they had, so owners are found by walking up from a file node's inputs and outputs through made nodes.
 */
#include <string.h>

#include "base/ctx.h"
#include "inspect/cost.h"
#include "pass/facts.h"
#include "pass/pass.h"

#define LAYERS_CAP ((size_t)2 << 30)
#define MAX_ROUNDS 16 /* expansions of expansions */
#define NOBODY     UINT32_MAX

typedef struct owners {     /* of one graph of the clone */
    US_VEC(uint32_t) layer; /* per node */
    uint32_t holder;        /* graphs that are not in the file: the layer they are in */
    bool used; /* not the body of a function, which is looked at where it is inlined */
} owners;

typedef struct work {
    us_ctx *c;
    us_arena *a, *keep; /* scratch; the caller's */
    const us_model *m;
    us_model *x;
    us_layers *out;
    US_VEC(us_layer) layers;
    US_VEC(owners) graphs; /* per graph of x */
    US_VEC(us_nid) stack;
    const us_dim_size *sizes;
    size_t n_sizes;
    US_VEC(us_dim_size) dims;
    bool expanded; /* in this round */
} work;

/* --- sizes of symbols ----------------------------------------------------------------------------------------------- */

static us_err size_of(work *k, us_sym s, int64_t *size)
{
    us_sv name = k->m->syms.names.at[s];
    us_dim_size d = {.name = name, .size = 1};
    for (size_t i = 0; i < k->n_sizes; i++)
        if (us_sv_eq(k->sizes[i].name, name)) d = (us_dim_size){name, k->sizes[i].size, true};
    *size = d.size;
    if (k->out->why[0]) return US_OK; /* only those of inputs are told of */
    for (size_t i = 0; i < k->dims.n; i++)
        if (us_sv_eq(k->dims.at[i].name, name)) return US_OK;
    if (us_sv_starts(name, "?")) {
        k->out->n_unnamed++;
        return US_OK;
    }
    return us_vec_push(k->c, k->keep, &k->dims, d);
}

static us_err size_type(work *k, us_type *t)
{
    us_type y;
    US_TRY(us_type_dup(k->c, k->x->arena, t, &y));
    for (int32_t d = 0; y.kind == US_KIND_TENSOR && d < y.rank; d++) {
        int64_t size;
        if (us_dim_known(y.dims[d])) continue;
        US_TRY(size_of(k, y.dims[d].sym, &size));
        double n = (double)y.dims[d].mul * (double)size + (double)y.dims[d].add;
        y.dims[d] = US_DIM(n < 0                         ? 0
                           : n > (double)US_MAX_ELEMENTS ? US_MAX_ELEMENTS
                                                         : (int64_t)n);
    }
    *t = y;
    return US_OK;
}

static us_err no_dim(work *k, us_sv name)
{
    us_buf names;
    us_buf_init(&names, k->c, 300);
    for (size_t i = 0; i < k->dims.n; i++)
        us_buf_addf(&names, "%s" US_SV_FMT, i ? ", " : "", US_SV_ARG(k->dims.at[i].name));
    us_err e = us_fail(k->c, US_ARG, "no input has a dimension '" US_SV_FMT "'; %s" US_SV_FMT,
                       US_SV_ARG(name), k->dims.n ? "there are: " : "all are fixed or unnamed",
                       US_SV_ARG(us_buf_sv(&names)));
    us_buf_deinit(&names);
    return e;
}

static us_err put_sizes(work *k)
{
    us_graph *g = k->x->main;
    for (us_vid v = 0; v < g->vals.n; v++)
        if (g->vals.at[v].storage == US_ST_INPUT) US_TRY(size_type(k, &g->vals.at[v].type));
    for (size_t i = 0; i < k->n_sizes; i++) {
        size_t j = 0;
        while (j < k->dims.n && !us_sv_eq(k->dims.at[j].name, k->sizes[i].name))
            j++;
        if (j == k->dims.n) return no_dim(k, k->sizes[i].name);
    }
    return US_OK;
}

/* --- the clone --------------------------------------------------------------------------------------------------------- */

/* What a file claims of computed values is not known (pass/facts.c). */
static us_err forget_types(us_ctx *c, us_graph *g, void *arg)
{
    (void)c, (void)arg;
    for (us_vid v = 0; v < g->vals.n; v++)
        if (g->vals.at[v].storage == US_ST_TEMP)
            g->vals.at[v].type = (us_type){.kind = US_KIND_NONE, .rank = -1};
    return US_OK;
}

static us_err prepare(work *k)
{
    US_TRY(us_model_clone(k->c, k->m, &k->x));
    US_TRY(put_sizes(k));
    us_err e = us_graph_each(k->c, k->x->main, forget_types, NULL);
    if (e == US_OK) e = us_facts_hollow(k->c, k->x);
    if (e == US_OK) e = us_pass_run(k->c, k->x, "inline,upgrade,fold-const");
    if (e == US_OK || e == US_NOMEM || e == US_CANCELLED) {
        k->out->inferred = e == US_OK;
        return e;
    }
    memcpy(k->out->why, k->c->diag.text, sizeof k->out->why);
    us_model_free(k->x);
    k->x = NULL;
    US_TRY(us_model_clone(k->c, k->m, &k->x));
    for (size_t i = 0; i < k->x->graphs.n; i++) {
        us_graph *g = k->x->graphs.at[i];
        for (us_vid v = 0; v < g->vals.n; v++)
            US_TRY(size_type(k, &g->vals.at[v].type));
    }
    return US_OK;
}

/* --- owners ---------------------------------------------------------------------------------------------------------------- */

static us_err own(work *k, owners *o, us_nid nid, uint32_t layer)
{
    while (o->layer.n <= nid)
        US_TRY(us_vec_push(k->c, k->a, &o->layer, NOBODY));
    o->layer.at[nid] = layer;
    return US_OK;
}

static uint32_t owner_of(const owners *o, us_nid nid)
{
    return nid < o->layer.n ? o->layer.at[nid] : NOBODY;
}

/* The made node that defines v, when nobody owns it yet. */
static us_err climb(work *k, const us_graph *g, size_t n_was, us_vid v, const owners *o)
{
    if (v == US_NIL || v >= g->vals.n) return US_OK;
    us_nid def = g->vals.at[v].def;
    if (def == US_NIL || def < n_was || owner_of(o, def) != NOBODY) return US_OK;
    return us_vec_push(k->c, k->a, &k->stack, def);
}

static us_err claim(work *k, const us_graph *g, const us_graph *was, us_nid nid, uint32_t layer)
{
    owners *o = &k->graphs.at[g->index];
    const us_node *n = &was->nodes.at[nid], *now = &g->nodes.at[nid];
    US_TRY(own(k, o, nid, layer));
    for (uint32_t i = 0; i < n->n_out; i++)
        US_TRY(climb(k, g, was->nodes.n, n->out[i], o));
    for (uint32_t i = 0; !now->dead && i < now->n_in; i++)
        US_TRY(climb(k, g, was->nodes.n, now->in[i], o));
    while (k->stack.n) {
        us_nid made = k->stack.at[--k->stack.n];
        if (owner_of(o, made) != NOBODY) continue;
        US_TRY(own(k, o, made, layer));
        for (uint32_t i = 0; i < g->nodes.at[made].n_in; i++)
            US_TRY(climb(k, g, was->nodes.n, g->nodes.at[made].in[i], o));
    }
    return US_OK;
}

/* A graph that is not in the file counts for the layer that holds it. */
static void hold(work *k, const us_graph *g)
{
    const owners *o = &k->graphs.at[g->index];
    for (us_nid nid = 0; nid < g->nodes.n; nid++) {
        const us_node *n = &g->nodes.at[nid];
        uint32_t layer = o->holder != NOBODY ? o->holder : owner_of(o, nid);
        for (uint32_t i = 0; i < n->n_attrs; i++)
            for (size_t j = 0; n->attrs[i].graphs && j < n->attrs[i].n; j++) {
                uint32_t sub = n->attrs[i].graphs[j]->index;
                if (sub < k->m->graphs.n || sub >= k->graphs.n || layer == NOBODY) continue;
                k->graphs.at[sub].holder = layer;
                k->graphs.at[sub].used = true;
            }
    }
}

static us_err note_graphs(work *k)
{
    while (k->graphs.n < k->x->graphs.n)
        US_TRY(us_vec_push(k->c, k->a, &k->graphs, (owners){.holder = NOBODY}));
    for (size_t i = 0; i < k->x->graphs.n; i++)
        hold(k, k->x->graphs.at[i]);
    return US_OK;
}

/* --- layers ------------------------------------------------------------------------------------------------------------------ */

static uint64_t bytes_of(const us_type *t)
{
    int64_t dims[US_MAX_RANK], n;
    size_t bytes;
    if (t->kind != US_KIND_TENSOR || t->rank < 0 || t->rank > US_MAX_RANK) return 0;
    for (int32_t d = 0; d < t->rank; d++) {
        if (!us_dim_known(t->dims[d])) return 0;
        dims[d] = t->dims[d].add;
    }
    if (!us_dims_count(t->rank, dims, &n) || !us_dtype_bytes(t->dtype, (size_t)n, &bytes))
        return 0;
    return bytes;
}

/* Constants that the node reads, also through the captures of the graph it is in, that no layer before it did. */
static void add_weight(const us_graph *g, us_vid v, bool **seen, us_layer *l)
{
    while (v != US_NIL && g->vals.at[v].storage == US_ST_OUTER && g->parent) {
        v = g->vals.at[v].outer;
        g = g->parent;
    }
    if (v == US_NIL || seen[g->index][v]) return;
    const us_val *val = &g->vals.at[v];
    if (val->storage != US_ST_CONST || !val->data || val->data->kind != US_KIND_TENSOR) return;
    seen[g->index][v] = true;
    l->n_params += us_tensor_count(&val->data->t);
    l->weight_bytes += us_tensor_bytes(&val->data->t);
}

static us_err add_layer(work *k, const us_graph *was, us_nid nid, bool **seen)
{
    const us_node *n = &was->nodes.at[nid];
    const us_graph *g = k->x->graphs.at[was->index];
    us_layer l = {.graph = was->parent ? was->name : (us_sv){0},
                  .node = n->name,
                  .domain = n->domain,
                  .op = n->op_type,
                  .type = {.kind = US_KIND_NONE, .rank = -1},
                  .known = k->out->inferred};
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (n->out[i] == US_NIL) continue;
        const us_type *t = &g->vals.at[n->out[i]].type;
        if (!l.output.n) {
            l.output = was->vals.at[n->out[i]].name;
            US_TRY(us_type_dup(k->c, k->keep, t, &l.type));
        }
        l.activation_bytes += bytes_of(t);
    }
    for (uint32_t i = 0; i < n->n_in; i++)
        add_weight(was, n->in[i], seen, &l);
    US_TRY(claim(k, g, was, nid, (uint32_t)k->layers.n));
    return us_vec_push(k->c, k->keep, &k->layers, l);
}

static us_err add_graph(work *k, const us_graph *was, bool **seen, int depth)
{
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(k->c, US_LIMIT, "sub-graphs are nested deeper than %d",
                       US_MAX_GRAPH_DEPTH);
    k->graphs.at[was->index].used = true;
    for (size_t i = 0; i < was->order.n; i++) {
        const us_node *n = &was->nodes.at[was->order.at[i]];
        US_TRY(add_layer(k, was, was->order.at[i], seen));
        for (uint32_t j = 0; j < n->n_attrs; j++)
            for (size_t s = 0; n->attrs[j].graphs && s < n->attrs[j].n; s++)
                US_TRY(add_graph(k, n->attrs[j].graphs[s], seen, depth + 1));
    }
    return US_OK;
}

static us_err add_layers(work *k)
{
    bool **seen = us_new_n(k->a, bool *, k->m->graphs.n);
    if (!seen) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < k->m->graphs.n; i++) {
        seen[i] = us_new_n(k->a, bool, k->m->graphs.at[i]->vals.n);
        if (!seen[i]) return us_arena_fail(k->c, k->a);
    }
    while (k->graphs.n < k->x->graphs.n)
        US_TRY(us_vec_push(k->c, k->a, &k->graphs, (owners){.holder = NOBODY}));
    US_TRY(add_graph(k, k->m->main, seen, 0));
    return note_graphs(k);
}

/* --- expansions and sums -------------------------------------------------------------------------------------------------------- */

/* A node whose expansion wants to know more stays, and is counted by its outputs. */
static us_err expand_node(work *k, us_graph *g, us_nid nid, bool *refused)
{
    uint32_t layer = owner_of(&k->graphs.at[g->index], nid);
    size_t n_was = g->nodes.n;
    us_err e = us_node_expand(k->c, k->x, g, nid);
    *refused = e != US_OK;
    if (e == US_NOMEM || e == US_CANCELLED) return e;
    for (size_t i = n_was; i < g->nodes.n; i++)
        US_TRY(own(k, &k->graphs.at[g->index], (us_nid)i, e == US_OK ? layer : NOBODY));
    if (e != US_OK) return US_OK;
    us_graph_remove_node(g, nid);
    for (size_t i = n_was; i < g->nodes.n; i++)
        if (!g->nodes.at[i].dead) US_TRY(us_node_decode(k->c, k->x, &g->nodes.at[i]));
    k->expanded = true;
    return US_OK;
}

static us_err expand_graph(work *k, us_graph *g)
{
    size_t n = g->nodes.n;
    for (us_nid nid = 0; nid < n; nid++) {
        const us_node *node = &g->nodes.at[nid];
        bool refused;
        if (node->dead || !node->op || !node->op->expand || us_cost_has_row(node->op)) continue;
        US_TRY(expand_node(k, g, nid, &refused));
    }
    return US_OK;
}

static us_err expand_all(work *k)
{
    for (int round = 0; round < MAX_ROUNDS; round++) {
        k->expanded = false;
        for (size_t i = 0; i < k->graphs.n; i++)
            if (k->graphs.at[i].used) US_TRY(expand_graph(k, k->x->graphs.at[i]));
        if (!k->expanded) return US_OK;
        US_TRY(note_graphs(k));
        US_TRY(us_graph_infer(k->c, k->x->main));
    }
    return US_OK;
}

static void add_cost(work *k, const us_graph *g, us_nid nid)
{
    const owners *o = &k->graphs.at[g->index];
    uint32_t layer = o->holder != NOBODY ? o->holder : owner_of(o, nid);
    us_cost cost = {0};
    if (layer == NOBODY) return;
    us_layer *l = &k->layers.at[layer];
    if (!us_cost_of(g, &g->nodes.at[nid], &cost)) l->known = false;
    l->cost.macs += cost.macs;
    l->cost.ops += cost.ops;
}

static void sum_up(work *k)
{
    us_layers *out = k->out;
    for (size_t i = 0; i < k->layers.n; i++) {
        const us_layer *l = &k->layers.at[i];
        out->sum.cost.macs += l->cost.macs;
        out->sum.cost.ops += l->cost.ops;
        out->sum.n_params += l->n_params;
        out->sum.weight_bytes += l->weight_bytes;
        out->sum.activation_bytes += l->activation_bytes;
        out->n_unknown += !l->known;
    }
    out->sum.known = out->n_unknown == 0;
    out->at = k->layers.at;
    out->n = k->layers.n;
    out->dims = k->dims.at;
    out->n_dims = k->dims.n;
}

static us_err count_all(work *k)
{
    US_TRY(prepare(k));
    US_TRY(add_layers(k));
    if (k->out->inferred) {
        US_TRY(us_graph_infer(k->c, k->x->main)); /* folding said more of shapes */
        US_TRY(expand_all(k));
        for (size_t i = 0; i < k->graphs.n; i++) {
            const us_graph *g = k->x->graphs.at[i];
            for (size_t j = 0; k->graphs.at[i].used && j < g->order.n; j++)
                add_cost(k, g, g->order.at[j]);
        }
    }
    sum_up(k);
    return US_OK;
}

us_err us_layers_get(us_ctx *c, us_arena *a, const us_model *m, const us_dim_size *sizes,
                     size_t n_sizes, us_layers *out)
{
    us_layers r = {0};
    work k = {.c = c, .keep = a, .m = m, .out = &r, .sizes = sizes, .n_sizes = n_sizes};
    US_TRY(us_arena_new(c, "layers", LAYERS_CAP, &k.a));
    us_err e = count_all(&k);
    us_model_free(k.x);
    us_arena_free(k.a);
    if (e == US_OK) *out = r;
    return e;
}
