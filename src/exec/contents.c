/* exec/contents.c - see contents.h. */
#include "exec/contents.h"

#include "exec/plan.h"
#include "ir/params.h"

enum { MOST_INPUTS = 64, ANY = 255 };

/* Operators whose outputs have elements of these inputs, as they are. */
static const struct {
    us_op_id op;
    uint8_t from, to; /* inputs [from, to) */
} movers[] = {
    {US_OP_CAST, 0, 1},      {US_OP_IDENTITY, 0, 1},  {US_OP_RESHAPE, 0, 1},
    {US_OP_SQUEEZE, 0, 1},   {US_OP_UNSQUEEZE, 0, 1}, {US_OP_FLATTEN, 0, 1},
    {US_OP_TRANSPOSE, 0, 1}, {US_OP_SLICE, 0, 1},     {US_OP_SPLIT, 0, 1},
    {US_OP_EXPAND, 0, 1},    {US_OP_TILE, 0, 1},      {US_OP_GATHER, 0, 1},
    {US_OP_CONCAT, 0, ANY},  {US_OP_WHERE, 1, 3},
};

/* What an operator asks of an input: an index into axis `axis` of its input `of` (the attribute axis where that is ANY), as many as there are
 * there, or a number of [lo, hi], or so much more than there are there (than one, where that is not known). */
typedef enum kind { INDEX, COUNT, WITHIN, BEYOND } kind;
static const struct {
    us_op_id op;
    uint8_t input;
    kind kind;
    uint8_t of, axis;
    int64_t lo, hi;
} asks[] = {
    {US_OP_GATHER, 1, INDEX, 0, ANY, 0, 0},
    {US_OP_GATHER_ELEMENTS, 1, INDEX, 0, ANY, 0, 0},
    {US_OP_MS_EMBED_LAYER_NORMALIZATION, 0, INDEX, 2, 0, 0, 0},
    {US_OP_MS_EMBED_LAYER_NORMALIZATION, 1, INDEX, 4, 0, 0, 0},
    {US_OP_MS_QEMBED_LAYER_NORMALIZATION, 0, INDEX, 2, 0, 0, 0},
    {US_OP_MS_QEMBED_LAYER_NORMALIZATION, 1, INDEX, 4, 0, 0, 0},
    {US_OP_RNN, 4, COUNT, 0, 0, 0, 0},
    {US_OP_GRU, 4, COUNT, 0, 0, 0, 0},
    {US_OP_LSTM, 4, COUNT, 0, 0, 0, 0},
    {US_OP_TOPK, 1, WITHIN, 0, 0, 1, 1},
    {US_OP_RANGE, 2, WITHIN, 0, 0, 1, 1},
    {US_OP_EXPAND, 1, WITHIN, 0, 0, 1, 1},
    {US_OP_TILE, 1, WITHIN, 0, 0, 1, 1},
    {US_OP_CONSTANT_OF_SHAPE, 0, WITHIN, 0, 0, 1, 1},
    /* sequences of 7 tokens more than are given, one of 2 beams returned */
    {US_OP_MS_BEAM_SEARCH, 1, BEYOND, 0, 1, 7, 7},
    {US_OP_MS_BEAM_SEARCH, 2, WITHIN, 0, 0, 0, 1},
    {US_OP_MS_BEAM_SEARCH, 3, WITHIN, 0, 0, 2, 2},
    {US_OP_MS_BEAM_SEARCH, 4, WITHIN, 0, 0, 1, 1},
    {US_OP_MS_GREEDY_SEARCH, 1, BEYOND, 0, 1, 7, 7},
    {US_OP_MS_GREEDY_SEARCH, 2, WITHIN, 0, 0, 0, 1},
    {US_OP_MS_SAMPLING, 1, BEYOND, 0, 1, 7, 7},
    {US_OP_MS_SAMPLING, 2, WITHIN, 0, 0, 0, 1},
};

/* Inputs of a node that are inputs of its sub-graphs, at the same places. */
static const struct {
    us_op_id op;
    uint8_t from, to;
} enters[] = {{US_OP_LOOP, 2, ANY},
              {US_OP_MS_BEAM_SEARCH, 0, 1},
              {US_OP_MS_GREEDY_SEARCH, 0, 1},
              {US_OP_MS_SAMPLING, 0, 1}};

typedef struct walker {
    us_ctx *c;
    us_arena *a;
    const us_syms *syms;
    const int64_t *sizes;
    us_bounds *out;
} walker;

/* One graph: per value which inputs of the plan its elements come from, a bit each. */
typedef struct level {
    const us_graph *g;
    uint64_t *from;
} level;

static void narrow(const walker *w, uint64_t from, int64_t lo, int64_t hi)
{
    for (size_t i = 0; i < MOST_INPUTS; i++) {
        if (!(from >> i & 1)) continue;
        w->out[i].lo = US_MAX(w->out[i].lo, lo);
        w->out[i].hi = US_MIN(w->out[i].hi, hi);
    }
}

static uint64_t from_of(const level *l, const us_node *n, uint32_t i)
{
    return i < n->n_in && n->in[i] != US_NIL ? l->from[n->in[i]] : 0;
}

/* Size of an axis of input `of`, negative ones from the end; false: not known. */
static bool size_of(const walker *w, const level *l, const us_node *n, uint32_t of,
                    int64_t axis, int64_t *size)
{
    if (of >= n->n_in || n->in[of] == US_NIL) return false;
    const us_type *t = &l->g->vals.at[n->in[of]].type;
    if (t->kind != US_KIND_TENSOR || t->rank < 1) return false;
    if (axis < 0) axis += t->rank;
    return axis >= 0 && axis < t->rank && us_dim_eval(w->syms, t->dims[axis], w->sizes, size);
}

static void ask(const walker *w, const level *l, const us_node *n, us_op_id id)
{
    for (size_t i = 0; i < US_LEN(asks); i++) {
        uint64_t from = asks[i].op == id ? from_of(l, n, asks[i].input) : 0;
        int64_t axis = asks[i].axis, size;
        if (!from) continue;
        if (asks[i].kind == WITHIN) {
            narrow(w, from, asks[i].lo, asks[i].hi);
            continue;
        }
        if (axis == ANY) axis = n->params ? ((const us_p_gather *)n->params)->axis : 0;
        bool known = size_of(w, l, n, asks[i].of, axis, &size);
        if (asks[i].kind == BEYOND)
            narrow(w, from, (known ? size : 1) + asks[i].lo, (known ? size : 1) + asks[i].hi);
        else if (!known)
            continue;
        else if (asks[i].kind == INDEX)
            narrow(w, from, 0, size - 1);
        else
            narrow(w, from, size, size);
    }
}

static void move(const level *l, const us_node *n, us_op_id id)
{
    uint64_t from = 0;
    for (size_t i = 0; i < US_LEN(movers); i++)
        for (uint32_t k = movers[i].from; movers[i].op == id && k < movers[i].to; k++) {
            if (k >= n->n_in) break;
            from |= from_of(l, n, k);
        }
    for (uint32_t o = 0; from && o < n->n_out; o++)
        if (n->out[o] != US_NIL) l->from[n->out[o]] = from;
}

static us_err walk(const walker *w, const level *l, int depth);

static us_err walk_sub(const walker *w, const level *l, const us_node *n, us_op_id id,
                       const us_graph *g, int depth)
{
    level sub = {g, us_new_n(w->a, uint64_t, g->vals.n)};
    if (!sub.from) return us_arena_fail(w->c, w->a);
    for (size_t v = 0; v < g->vals.n; v++)
        if (g->vals.at[v].storage == US_ST_OUTER && g->vals.at[v].outer != US_NIL)
            sub.from[v] = l->from[g->vals.at[v].outer];
    for (size_t i = 0; i < US_LEN(enters); i++)
        for (uint32_t k = enters[i].from; enters[i].op == id && k < enters[i].to; k++) {
            if (k >= n->n_in || k >= g->inputs.n) break;
            sub.from[g->inputs.at[k]] |= from_of(l, n, k);
        }
    return walk(w, &sub, depth + 1);
}

static us_err walk(const walker *w, const level *l, int depth)
{
    if (depth > US_MAX_GRAPH_DEPTH) return US_OK;
    for (size_t i = 0; i < l->g->order.n; i++) {
        const us_node *n = &l->g->nodes.at[l->g->order.at[i]];
        us_op_id id = n->op ? us_op_index(n->op) : US_OP_NONE;
        ask(w, l, n, id);
        move(l, n, id);
        for (uint32_t k = 0; k < n->n_attrs; k++) {
            const us_attr *a = &n->attrs[k];
            bool graphs = a->kind == US_AT_GRAPH || a->kind == US_AT_GRAPHS;
            for (size_t j = 0; graphs && j < a->n; j++)
                US_TRY(walk_sub(w, l, n, id, a->graphs[j], depth));
        }
    }
    return US_OK;
}

us_err us_plan_bounds(us_ctx *c, us_arena *scratch, const us_plan *p, const int64_t *sizes,
                      us_bounds *out)
{
    const us_graph *g = p->m->main;
    level main = {g, us_new_n(scratch, uint64_t, g->vals.n)};
    if (!main.from) return us_arena_fail(c, scratch);
    for (size_t i = 0; i < p->n_in; i++)
        out[i] = (us_bounds){INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < US_MIN(p->n_in, (size_t)MOST_INPUTS); i++)
        main.from[p->in[i]] |= (uint64_t)1 << i;
    walker w = {.c = c, .a = scratch, .syms = &p->m->syms, .sizes = sizes, .out = out};
    return walk(&w, &main, 0);
}
