/* ir/squeeze.c - a model that no pass will change any more, in as little memory as it needs.
 *
 * Passes leave behind what they replaced: dead nodes, values nobody reads, arrays outgrown, weights folded into others. So what is
 * alive moves into a new arena, with new numbers in the old order; of the old arena only larger weights stay, where they are, and all
 * its other pages go back. What the model shares with the one it was cloned from is neither moved nor copied.
 *
 * Alive are the inputs and outputs of the main graph, the nodes in `order` with their ends, and what their sub-graphs capture.
 * Functions go: after inlining nothing calls them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"

#define SCRATCH_CAP ((size_t)1 << 30)

typedef struct squeezer {
    us_ctx *c;
    us_arena *a;       /* new */
    us_arena *scratch; /* until it is done */
    const us_model *from;
    us_model to;
    /* per graph of `from`, per value: its new number; US_NIL: gone. NULL: the graph is gone */
    us_vid **now;
    US_VEC(us_piece) kept; /* in the old arena */
} squeezer;

/* --- what is alive ------------------------------------------------------------------------------------- */

#define ALIVE ((us_vid)0) /* until they are numbered */

static bool holds_graphs(const us_attr *at)
{
    return at->kind == US_AT_GRAPH || at->kind == US_AT_GRAPHS;
}

static us_err mark(squeezer *k, const us_graph *g, int depth);

static us_err mark_subs(squeezer *k, const us_node *n, us_vid *now, int depth)
{
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t j = 0; holds_graphs(&n->attrs[i]) && j < n->attrs[i].n; j++) {
            const us_graph *sub = n->attrs[i].graphs[j];
            US_TRY(mark(k, sub, depth + 1));
            for (size_t v = 0; v < sub->vals.n; v++) {
                us_vid outer = sub->vals.at[v].outer;
                bool captures = sub->vals.at[v].storage == US_ST_OUTER && outer != US_NIL;
                if (captures && k->now[sub->index][v] != US_NIL) now[outer] = ALIVE;
            }
        }
    return US_OK;
}

static void mark_ids(us_vid *now, const us_vid *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] != US_NIL) now[ids[i]] = ALIVE;
}

static us_err mark(squeezer *k, const us_graph *g, int depth)
{
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(k->c, US_LIMIT, "sub-graphs are nested deeper than %d",
                       US_MAX_GRAPH_DEPTH);
    us_vid *now = us_new_n(k->scratch, us_vid, g->vals.n);
    if (!now) return us_arena_fail(k->c, k->scratch);
    memset(now, 0xFF, g->vals.n * sizeof *now);
    k->now[g->index] = now;
    mark_ids(now, g->inputs.at, g->inputs.n);
    mark_ids(now, g->outputs.at, g->outputs.n);
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        mark_ids(now, n->in, n->n_in);
        mark_ids(now, n->out, n->n_out);
        US_TRY(mark_subs(k, n, now, depth));
    }
    return US_OK;
}

static size_t number(us_vid *now, size_t n)
{
    us_vid next = 0;
    for (size_t v = 0; v < n; v++)
        if (now[v] != US_NIL) now[v] = next++;
    return next;
}

/* --- moving --------------------------------------------------------------------------------------------- */

static bool is_old(const squeezer *k, const void *p)
{
    return us_arena_holds(k->from->arena, p);
}

/* The same bytes, moved when they lie in the old arena. */
static us_err move(squeezer *k, const void *from, size_t bytes, size_t align, void **out)
{
    union {
        const void *in;
        void *out;
    } same = {.in = from};
    *out = same.out;
    if (!from || !is_old(k, from)) return US_OK;
    void *p = us_arena_alloc_raw(k->a, bytes, 1, align);
    if (!p) return us_arena_fail(k->c, k->a);
    if (bytes) memcpy(p, from, bytes);
    *out = p;
    return US_OK;
}

#define MOVE(k, at, T, n)                                                                      \
    do {                                                                                       \
        void *moved_;                                                                          \
        US_TRY(move((k), (at), (n) * sizeof(T), _Alignof(T), &moved_));                        \
        (at) = moved_;                                                                         \
    } while (0)

static us_err move_sv(squeezer *k, us_sv *s)
{
    return s->p && is_old(k, s->p) ? us_sv_dup(k->c, k->a, *s, s) : US_OK;
}

static us_err move_type(squeezer *k, us_type *t, int depth)
{
    if (depth > US_MAX_VALUE_DEPTH)
        return us_fail(k->c, US_LIMIT, "types are nested deeper than %d", US_MAX_VALUE_DEPTH);
    if (t->rank > 0) MOVE(k, t->dims, us_dim, (size_t)t->rank);
    if (!t->elem || !is_old(k, t->elem)) return US_OK;
    us_type *elem = us_new(k->a, us_type);
    if (!elem) return us_arena_fail(k->c, k->a);
    *elem = *t->elem;
    t->elem = elem;
    return move_type(k, elem, depth + 1);
}

/* Contents: small ones move; larger ones, and those not yet computed, keep their place. */
static us_err move_tensor(squeezer *k, us_tensor *t)
{
    if (!t->data || !is_old(k, t->data)) return US_OK;
    if (t->dtype == US_STRING || !us_tensor_contiguous(t))
        return us_tensor_dup(k->c, k->a, t, t);
    size_t bytes = us_tensor_bytes(t);
    if (bytes >= US_STAY_MIN)
        return us_vec_push(k->c, k->scratch, &k->kept, (us_piece){t->data, bytes});
    return move(k, t->data, bytes, 64, &t->data);
}

static us_err move_value(squeezer *k, us_value **data)
{
    if (!*data || !is_old(k, *data)) return US_OK;
    us_value *to = us_new(k->a, us_value);
    if (!to) return us_arena_fail(k->c, k->a);
    *to = **data;
    if (to->kind == US_KIND_TENSOR)
        US_TRY(move_tensor(k, &to->t));
    else if (to->kind == US_KIND_SEQUENCE || to->kind == US_KIND_MAP)
        US_TRY(us_value_dup(k->c, k->a, *data, to));
    *data = to;
    return US_OK;
}

static us_err move_val(squeezer *k, us_val *v)
{
    US_TRY(move_sv(k, &v->name));
    US_TRY(move_type(k, &v->type, 0));
    US_TRY(move_value(k, &v->data));
    MOVE(k, v->known, us_dim, v->n_known);
    US_TRY(move_sv(k, &v->doc));
    return move_sv(k, &v->unknown);
}

/* --- attributes ------------------------------------------------------------------------------------------- */

static us_err squeeze_graph(squeezer *k, const us_graph *from, us_graph *parent,
                            us_graph **out);

static us_err move_strings(squeezer *k, us_attr *at)
{
    if (!at->strs) return US_OK;
    us_sv *strs = us_new_n(k->a, us_sv, at->n);
    if (!strs) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < at->n; i++) {
        strs[i] = at->strs[i];
        US_TRY(move_sv(k, &strs[i]));
    }
    at->strs = strs;
    return US_OK;
}

static us_err move_tensors(squeezer *k, us_attr *at)
{
    if (!at->tensors || !is_old(k, at->tensors)) return US_OK;
    MOVE(k, at->tensors, us_tensor, at->n);
    for (size_t i = 0; i < at->n; i++)
        US_TRY(move_tensor(k, &at->tensors[i]));
    return US_OK;
}

static us_err move_types(squeezer *k, us_attr *at)
{
    if (!at->types || !is_old(k, at->types)) return US_OK;
    MOVE(k, at->types, us_type, at->n);
    for (size_t i = 0; i < at->n; i++)
        US_TRY(move_type(k, &at->types[i], 0));
    return US_OK;
}

static us_err move_graphs(squeezer *k, us_attr *at, us_graph *g)
{
    if (!holds_graphs(at)) return US_OK;
    us_graph **graphs = us_new_n(k->a, us_graph *, at->n);
    if (!graphs) return us_arena_fail(k->c, k->a);
    for (size_t j = 0; j < at->n; j++)
        US_TRY(squeeze_graph(k, at->graphs[j], g, &graphs[j]));
    at->graphs = graphs;
    return US_OK;
}

static us_err move_attr(squeezer *k, us_attr *at, us_graph *g)
{
    US_TRY(move_sv(k, &at->name));
    US_TRY(move_sv(k, &at->ref));
    US_TRY(move_sv(k, &at->s));
    US_TRY(move_sv(k, &at->raw));
    US_TRY(move_sv(k, &at->doc));
    MOVE(k, at->ints, int64_t, at->n);
    MOVE(k, at->floats, float, at->n);
    US_TRY(move_strings(k, at));
    US_TRY(move_tensors(k, at));
    US_TRY(move_types(k, at));
    return move_graphs(k, at, g);
}

/* --- nodes and graphs ---------------------------------------------------------------------------------------- */

static us_err new_ids(squeezer *k, const us_vid *now, us_vid **ids, size_t n)
{
    us_vid *to = us_new_n(k->a, us_vid, n);
    if (!to) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < n; i++)
        to[i] = (*ids)[i] == US_NIL ? US_NIL : now[(*ids)[i]];
    *ids = to;
    return US_OK;
}

static us_err move_node(squeezer *k, us_node *n, const us_vid *now, us_graph *g)
{
    US_TRY(move_sv(k, &n->name));
    US_TRY(move_sv(k, &n->domain));
    US_TRY(move_sv(k, &n->op_type));
    US_TRY(move_sv(k, &n->doc));
    US_TRY(move_sv(k, &n->unknown));
    US_TRY(new_ids(k, now, &n->in, n->n_in));
    US_TRY(new_ids(k, now, &n->out, n->n_out));
    us_attr *attrs = us_new_n(k->a, us_attr, n->n_attrs);
    if (!attrs) return us_arena_fail(k->c, k->a);
    if (n->n_attrs) memcpy(attrs, n->attrs, n->n_attrs * sizeof *attrs);
    n->attrs = attrs;
    for (uint32_t i = 0; i < n->n_attrs; i++)
        US_TRY(move_attr(k, &attrs[i], g));
    n->params = NULL;
    return us_node_decode(k->c, &k->to, n);
}

static us_err fill_vals(squeezer *k, const us_graph *from, const us_vid *now, us_graph *g)
{
    const us_vid *outer = from->parent ? k->now[from->parent->index] : NULL;
    for (size_t v = 0; v < from->vals.n; v++) {
        if (now[v] == US_NIL) continue;
        us_val *val = &g->vals.at[g->vals.n++];
        *val = from->vals.at[v];
        US_TRY(move_val(k, val));
        val->def = US_NIL;
        if (val->storage == US_ST_OUTER && val->outer != US_NIL && outer)
            val->outer = outer[val->outer];
        US_TRY(us_map_put(k->c, &g->by_name, val->name, now[v], NULL));
    }
    return US_OK;
}

static us_err fill_nodes(squeezer *k, const us_graph *from, const us_vid *now, us_graph *g)
{
    for (size_t i = 0; i < from->order.n; i++) {
        us_nid id = (us_nid)i;
        us_node *n = &g->nodes.at[i];
        *n = from->nodes.at[from->order.at[i]];
        US_TRY(move_node(k, n, now, g));
        for (uint32_t o = 0; o < n->n_out; o++)
            if (n->out[o] != US_NIL) g->vals.at[n->out[o]].def = id;
        g->order.at[i] = id;
        g->nodes.n = g->order.n = i + 1;
    }
    return US_OK;
}

static us_err fill_ends(squeezer *k, const us_graph *from, const us_vid *now, us_graph *g)
{
    for (size_t i = 0; i < from->inputs.n; i++)
        US_TRY(us_vec_push(k->c, k->a, &g->inputs, now[from->inputs.at[i]]));
    for (size_t i = 0; i < from->outputs.n; i++)
        US_TRY(us_vec_push(k->c, k->a, &g->outputs, now[from->outputs.at[i]]));
    return US_OK;
}

static us_err squeeze_graph(squeezer *k, const us_graph *from, us_graph *parent, us_graph **out)
{
    us_vid *now = k->now[from->index];
    us_graph *g = us_new(k->a, us_graph);
    if (!g) return us_arena_fail(k->c, k->a);
    *g = (us_graph){.model = &k->to, /* until all is well */
                    .parent = parent,
                    .index = (uint32_t)k->to.graphs.n,
                    .name = from->name,
                    .doc = from->doc,
                    .unknown = from->unknown,
                    .quant = from->quant,
                    .n_fresh = from->n_fresh};
    us_map_init(&g->by_name, k->a);
    size_t n = number(now, from->vals.n);
    US_TRY(us_vec_push(k->c, k->a, &k->to.graphs, g));
    US_TRY(us_graph_expect(k->c, g, n, from->order.n));
    US_TRY(move_sv(k, &g->name));
    US_TRY(move_sv(k, &g->doc));
    US_TRY(move_sv(k, &g->unknown));
    US_TRY(move_sv(k, &g->quant));
    US_TRY(fill_vals(k, from, now, g));
    US_TRY(fill_ends(k, from, now, g));
    US_TRY(fill_nodes(k, from, now, g));
    *out = g;
    return US_OK;
}

/* --- the model ------------------------------------------------------------------------------------------------- */

static us_err move_syms(squeezer *k)
{
    const us_syms *from = &k->from->syms;
    us_syms *to = &k->to.syms;
    US_TRY(us_syms_init(k->c, to, k->a));
    US_TRY(us_vec_reserve(k->c, k->a, &to->names, from->names.n));
    US_TRY(us_vec_reserve(k->c, k->a, &to->defs, from->names.n));
    US_TRY(us_map_reserve(k->c, &to->by_name, from->names.n));
    for (size_t i = to->names.n; i < from->names.n; i++) {
        us_sv name = from->names.at[i];
        US_TRY(move_sv(k, &name));
        US_TRY(us_map_put(k->c, &to->by_name, name, (uint32_t)i, NULL));
        US_TRY(us_vec_push(k->c, k->a, &to->names, name));
        US_TRY(us_vec_push(k->c, k->a, &to->defs, from->defs.at[i]));
    }
    to->n_fresh = from->n_fresh;
    return US_OK;
}

/* Those of weights that are gone are never asked for. */
static us_err move_later(squeezer *k)
{
    for (size_t i = 0; i < k->from->later.n; i++) {
        us_later x = k->from->later.at[i];
        bool used = false;
        for (size_t j = 0; j < k->kept.n && !used; j++)
            used = k->kept.at[j].p == x.to;
        if (!used) continue;
        if (is_old(k, x.from) && !x.done)
            US_TRY(us_vec_push(k->c, k->scratch, &k->kept,
                               (us_piece){x.from, x.count * sizeof *x.from}));
        MOVE(k, x.k, double, x.n);
        US_TRY(us_vec_push(k->c, k->a, &k->to.later, x));
    }
    return US_OK;
}

static us_err move_rest(squeezer *k)
{
    us_model *to = &k->to;
    const us_model *from = k->from;
    US_TRY(move_sv(k, &to->producer_name));
    US_TRY(move_sv(k, &to->producer_version));
    US_TRY(move_sv(k, &to->domain));
    US_TRY(move_sv(k, &to->doc));
    US_TRY(move_sv(k, &to->unknown));
    for (size_t i = 0; i < from->opsets.n; i++) {
        us_opset o = from->opsets.at[i];
        US_TRY(move_sv(k, &o.domain));
        US_TRY(us_vec_push(k->c, k->a, &to->opsets, o));
    }
    for (size_t i = 0; i < from->props.n; i++) {
        us_prop p = from->props.at[i];
        US_TRY(move_sv(k, &p.key));
        US_TRY(move_sv(k, &p.value));
        US_TRY(us_vec_push(k->c, k->a, &to->props, p));
    }
    return US_OK;
}

static us_err squeeze(squeezer *k, us_model *m)
{
    k->from = m;
    k->now = us_new_n(k->scratch, us_vid *, m->graphs.n);
    if (!k->now) return us_arena_fail(k->c, k->scratch);
    k->to = (us_model){.arena = k->a,
                       .ir_version = m->ir_version,
                       .model_version = m->model_version,
                       .producer_name = m->producer_name,
                       .producer_version = m->producer_version,
                       .domain = m->domain,
                       .doc = m->doc,
                       .unknown = m->unknown,
                       .heavy = m->arena,
                       .defers = m->defers};
    US_TRY(us_vec_push(k->c, k->scratch, &k->kept, (us_piece){m, sizeof *m}));
    US_TRY(mark(k, m->main, 0));
    US_TRY(squeeze_graph(k, m->main, NULL, &k->to.main));
    US_TRY(move_syms(k));
    US_TRY(move_later(k));
    return move_rest(k);
}

static int by_place(const void *pa, const void *pb)
{
    const us_piece *a = pa, *b = pb;
    return ((uintptr_t)a->p > (uintptr_t)b->p) - ((uintptr_t)a->p < (uintptr_t)b->p);
}

us_err us_model_squeeze(us_ctx *c, us_model *m)
{
    squeezer k = {.c = c};
    US_ASSERT(!m->file && !m->heavy && m->externals.n == 0 && m->copies.n == 0);
    US_TRY(us_arena_new(c, "squeezing a model", SCRATCH_CAP, &k.scratch));
    us_err e = us_arena_new(c, "squeezed model", US_MODEL_ARENA_CAP, &k.a);
    if (e == US_OK) e = squeeze(&k, m);
    if (e == US_OK) {
        for (size_t i = 0; i < k.to.graphs.n; i++)
            k.to.graphs.at[i]->model = m;
        *m = k.to;
        qsort(k.kept.at, k.kept.n, sizeof *k.kept.at, by_place);
        us_arena_keep_only(m->heavy, k.kept.n, k.kept.at);
    } else {
        us_arena_free(k.a);
    }
    us_arena_free(k.scratch);
    return e;
}
