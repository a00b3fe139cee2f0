/* ir/forest_pack.c - a forest as the operators have it, packed for kernel/forest.h; see forest.h.
 *
 * A tree is laid out level by level, so that its upper nodes, which every walk visits, share cache lines. How many levels become tops is a
 * matter of cost alone: all nodes of a level of perfect trees against the steps that walks take there.
 */
#include "ir/forest_in.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"

enum {
    ROWS = 64, /* at once, or fewer for KEYS */
    KEYS = 1 << 14
};
/* Some cycles, as measured: a node of 64 trees, the rank of a number, a walk's beginning and end and a step of it, a key. */
#define COST_TOP  2.7
#define COST_RANK 5.5
#define COST_WALK 8.0
#define COST_STEP 5.0
#define COST_KEY  3.0
#define STEPS                                                                                  \
    6.0 /* of a walk below tops, where there are more: few leaves are as low as the lowest */

typedef struct placed {
    float t;
    uint32_t feature;
    uint32_t child;        /* the first of two; 0: a leaf */
    uint32_t leaf;         /* a leaf's number */
    uint32_t level;        /* steps from the root */
    bool low;              /* NaN is below t */
    uint8_t column, limit; /* in tops */
} placed;

typedef struct packer {
    us_eval *k;
    const us_raw_forest *raw;
    us_forest *f;
    placed *at; /* n, by place; gaps are leaves that nobody comes to */
    size_t n, n_leaves;
    uint32_t *queue;      /* raw nodes in the order they are placed in */
    uint32_t *places;     /* where each of these goes */
    uint32_t *leaf_of;    /* raw node of each leaf */
    uint32_t *roots;      /* by tree: its place */
    uint32_t *first_leaf; /* by tree, and the end */
    uint32_t *first_end;  /* by tree: of a deep one in starts, else a leaf */
    uint32_t *starts;
    uint32_t n_starts;
    uint32_t *depth;       /* by tree */
    const placed **sorted; /* branches of the upper levels by column and limit */
    size_t n_sorted;
    uint8_t *seen;
    bool any_low, odd;
} packer;

static us_err scratch(us_eval *k, size_t n, size_t size, void **out)
{
    size_t bytes;
    if (!us_mul_size(US_MAX(n, 1), size, &bytes))
        return us_eval_fail(k, US_LIMIT, "%zu nodes", n);
    US_TRY(us_eval_scratch(k, bytes, out));
    memset(*out, 0, bytes);
    return US_OK;
}

/* --- places ------------------------------------------------------------------------------------------ */

/* The smallest float above v, or not below it. */
static float bound(double v, bool above)
{
    float f = (float)v;
    bool low = above ? (double)f <= v : (double)f < v;
    return low ? nextafterf(f, INFINITY) : f;
}

static bool is_odd(const us_raw_node *r)
{
    return r->mode >= US_TREE_EQ || !(fabs(r->value) < (double)FLT_MAX);
}

/* Node r at place `at`, its children at two places side by side: what is below the threshold is the second. */
static void place_branch(packer *p, const us_raw_node *r, uint32_t at, size_t *end)
{
    bool is_less = r->mode == US_TREE_LEQ || r->mode == US_TREE_LT;
    bool above = r->mode == US_TREE_LEQ || r->mode == US_TREE_GT;
    uint32_t less = is_less ? r->yes : r->no, other = is_less ? r->no : r->yes;
    if (is_odd(r) || p->seen[less] || p->seen[other] || less == other) {
        p->odd = true;
        return;
    }
    p->seen[less] = p->seen[other] = 1;
    placed *to = &p->at[at];
    to->t = bound(r->value, above);
    to->feature = r->feature;
    to->child = (uint32_t)p->n;
    to->low = r->nan_yes == is_less;
    p->any_low = p->any_low || to->low;
    for (int i = 0; i < 2; i++, ++*end) {
        p->queue[*end] = i ? less : other;
        p->places[*end] = (uint32_t)p->n;
        p->at[p->n++].level = to->level + 1;
    }
}

static void place_tree(packer *p, size_t tree)
{
    size_t begin = 0, end = 1;
    uint32_t root = p->raw->roots[tree];
    p->n += p->n & 1; /* pairs stay within a cache line */
    p->roots[tree] = (uint32_t)p->n;
    p->first_leaf[tree] = (uint32_t)p->n_leaves;
    p->queue[0] = root;
    p->places[0] = (uint32_t)p->n++;
    p->n += p->n & 1;
    p->odd = p->odd || p->seen[root];
    p->seen[root] = 1;
    for (; begin < end && !p->odd; begin++) {
        uint32_t i = p->queue[begin], at = p->places[begin];
        const us_raw_node *r = &p->raw->nodes[i];
        if (r->mode != US_TREE_LEAF) {
            place_branch(p, r, at, &end);
            continue;
        }
        p->depth[tree] = p->at[at].level; /* ends as the lowest */
        p->at[at].leaf = (uint32_t)p->n_leaves;
        p->leaf_of[p->n_leaves++] = i;
    }
}

static us_err place_all(packer *p)
{
    const us_raw_forest *raw = p->raw;
    size_t n = raw->n_nodes, trees = raw->n_roots;
    void *mem, *lists, *by_tree;
    US_TRY(scratch(p->k, n + 2 * trees + 2, sizeof *p->at, &mem));
    p->at = mem;
    US_TRY(scratch(p->k, 3 * n, sizeof(uint32_t), &lists));
    p->queue = lists;
    p->places = p->queue + n;
    p->leaf_of = p->places + n;
    US_TRY(scratch(p->k, 3 * trees + 1, sizeof(uint32_t), &by_tree));
    p->roots = by_tree;
    p->depth = p->roots + trees;
    p->first_leaf = p->depth + trees;
    US_TRY(scratch(p->k, n, 1, &mem));
    p->seen = mem;
    for (size_t i = 0; i < trees && !p->odd; i++)
        place_tree(p, i);
    p->first_leaf[trees] = (uint32_t)p->n_leaves;
    return US_OK;
}

/* --- tops -------------------------------------------------------------------------------------------- */

static int by_column(const void *a, const void *b)
{
    const placed *x = *(const placed *const *)a, *y = *(const placed *const *)b;
    if (x->low != y->low) return x->low ? 1 : -1;
    if (x->feature != y->feature) return x->feature < y->feature ? -1 : 1;
    return (x->t > y->t) - (x->t < y->t);
}

/* Branches of the upper levels, sorted. */
static us_err sort_upper(packer *p)
{
    void *mem;
    US_TRY(scratch(p->k, p->n, sizeof(placed *), &mem));
    p->sorted = mem;
    for (size_t i = 0; i < p->n; i++)
        if (p->at[i].child && p->at[i].level < US_FOREST_LEVELS)
            p->sorted[p->n_sorted++] = &p->at[i];
    if (p->n_sorted) qsort(p->sorted, p->n_sorted, sizeof(placed *), by_column);
    US_TRY(us_eval_work(p->k, 16 * (double)p->n_sorted));
    return US_OK;
}

/* A walk over the sorted branches above a level, column by column, limit by limit. */
typedef struct column_walk {
    const placed *last;
    size_t n_columns, n_limits; /* until now; of the column */
    bool is_new_column, is_new_limit;
} column_walk;

static void walk_column(column_walk *w, const placed *b)
{
    const placed *a = w->last;
    bool same = a && a->low == b->low && a->feature == b->feature;
    w->is_new_limit = !same || a->t < b->t;
    w->is_new_column = !same || (w->is_new_limit && w->n_limits == US_FOREST_LIMITS);
    if (w->is_new_column) {
        w->n_columns++;
        w->n_limits = 0;
    }
    w->n_limits += w->is_new_limit;
    w->last = b;
}

static size_t count_columns(const packer *p, unsigned levels)
{
    column_walk w = {0};
    for (size_t i = 0; i < p->n_sorted; i++)
        if (p->sorted[i]->level < levels) walk_column(&w, p->sorted[i]);
    return w.n_columns;
}

/* Cycles of a row. */
static double cost_of(const packer *p, unsigned levels)
{
    size_t n = p->raw->n_roots, columns = count_columns(p, levels);
    double deep = 0, chunks = ceil((double)n / US_FOREST_WIDE);
    if (columns > US_FOREST_COLUMNS) return HUGE_VAL;
    for (size_t i = 0; i < n; i++)
        if (p->depth[i] > levels)
            deep += COST_WALK + COST_STEP * US_MIN((double)(p->depth[i] - levels), STEPS);
    if (deep > 0) deep += (double)p->f->n_keys * COST_KEY;
    return (double)columns * COST_RANK + chunks * (double)((1U << levels) - 1) * COST_TOP +
           deep;
}

static unsigned best_levels(const packer *p)
{
    double least = HUGE_VAL;
    unsigned best = 0;
    if (!p->f->kernels->tops_pay) return 0;
    for (unsigned l = 0; l <= US_FOREST_LEVELS; l = l ? l + 1 : US_FOREST_LEAST) {
        double cost = cost_of(p, l);
        if (cost < least) best = l;
        least = US_MIN(cost, least);
    }
    return best;
}

/* Columns with their limits; each branch of the tops learns its own. */
static us_err make_columns(packer *p)
{
    us_forest *f = p->f;
    size_t n = count_columns(p, f->levels), done = 0;
    void *columns, *which;
    US_TRY(us_eval_keep(p->k, n * US_FOREST_STRIDE * sizeof(float), &columns));
    US_TRY(us_eval_keep(p->k, n * sizeof(uint32_t), &which));
    float *all = columns, *limits = NULL;
    for (size_t i = 0; i < n * US_FOREST_STRIDE; i++)
        all[i] = INFINITY;
    column_walk w = {0};
    for (size_t i = 0; i < p->n_sorted; i++) {
        placed *b = &p->at[p->sorted[i] - p->at];
        if (b->level >= f->levels) continue;
        walk_column(&w, b);
        if (w.is_new_column) {
            limits = all + done * US_FOREST_STRIDE;
            ((uint32_t *)which)[done++] = b->feature;
            f->columns.n_high += !b->low;
        }
        size_t at = w.n_limits - 1;
        limits[16 + at] = b->t;
        if (at % 16 == 15 && at / 16 < US_FOREST_HEADS) limits[at / 16] = b->t;
        b->column = (uint8_t)(done - 1);
        b->limit = (uint8_t)at;
    }
    f->columns.limits = columns;
    f->columns.x = which;
    f->columns.n = n;
    return US_OK;
}

/* The upper part of a tree as a perfect one: node h has the children 2 h and 2 h + 1, and what is a leaf above its lowest level is its only end
 * there, the first. */
typedef struct upper {
    uint32_t at[2 << US_FOREST_LEVELS];  /* places */
    uint8_t ends[2 << US_FOREST_LEVELS]; /* under each */
} upper;

static void find_upper(const packer *p, size_t tree, upper *u)
{
    size_t n = (size_t)1 << p->f->levels;
    u->at[1] = p->roots[tree];
    for (size_t h = 1; h < n; h++) {
        const placed *b = &p->at[u->at[h]];
        u->at[2 * h] = b->child ? b->child : u->at[h];
        u->at[2 * h + 1] = b->child ? b->child + 1 : u->at[h];
    }
    memset(u->ends + n, 1, n);
    for (size_t h = n - 1; h > 0; h--)
        u->ends[h] = p->at[u->at[h]].child ? u->ends[2 * h] + u->ends[2 * h + 1] : 1;
}

/* The ends of a tree in order: those of a deep one are listed to walk on from, and leaves of another are numbered as its ends. */
static void number_ends(packer *p, size_t tree)
{
    upper u;
    uint32_t raw[1 << US_FOREST_LEVELS], e = 0;
    size_t n = (size_t)1 << p->f->levels;
    bool deep = p->depth[tree] > p->f->levels;
    find_upper(p, tree, &u);
    p->first_end[tree] = deep ? p->n_starts : p->first_leaf[tree];
    for (size_t h = n; h < 2 * n; h++) {
        uint32_t place = u.at[h];
        if (h > n && place == u.at[h - 1]) continue;
        if (deep) {
            p->starts[p->n_starts++] = place;
        } else {
            raw[e] = p->leaf_of[p->at[place].leaf];
            p->at[place].leaf = p->first_leaf[tree] + e++;
        }
    }
    if (e) memcpy(p->leaf_of + p->first_leaf[tree], raw, e * sizeof *raw);
}

static us_err find_ends(packer *p)
{
    void *ends, *starts;
    size_t n = p->raw->n_roots;
    US_TRY(scratch(p->k, n, sizeof *p->first_end, &ends));
    p->first_end = ends;
    if (p->f->levels == 0) return US_OK;
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        if (p->depth[i] > p->f->levels) most += (size_t)1 << p->f->levels;
    US_TRY(us_eval_keep(p->k, most * sizeof *p->starts, &starts));
    p->starts = starts;
    for (size_t i = 0; i < n; i++)
        number_ends(p, i);
    p->f->starts = starts;
    return US_OK;
}

/* Tree i of a chunk: its bytes in the tops. True when all its ends are on the lowest level. */
static bool put_top(const packer *p, size_t tree, size_t i, uint8_t *tops)
{
    upper u;
    size_t n = (size_t)1 << p->f->levels;
    find_upper(p, tree, &u);
    for (size_t h = 1; h < n; h++) {
        const placed *b = &p->at[u.at[h]];
        uint8_t *to = tops + (h - 1) * 3 * US_FOREST_WIDE + i;
        to[0] = b->child ? b->column : 0;
        to[US_FOREST_WIDE] = b->child ? b->limit : 0;
        to[2 * US_FOREST_WIDE] = b->child ? u.ends[2 * h] : 0;
    }
    return u.ends[1] == n;
}

/* --- chunks ------------------------------------------------------------------------------------------ */

static us_err list_deep(packer *p, size_t from, us_tree_chunk *c)
{
    uint32_t n = 0;
    void *deep, *depths;
    US_TRY(us_eval_keep(p->k, US_FOREST_WIDE, &deep));
    US_TRY(us_eval_keep(
        p->k, (US_FOREST_WIDE + US_FOREST_WIDE / US_FOREST_GROUP) * sizeof(uint32_t), &depths));
    uint32_t *depth = depths, *deepest = depth + US_FOREST_WIDE;
    for (size_t i = 0; i < c->n; i++) {
        uint32_t d = p->depth[from + i];
        if (p->f->levels > 0 && d <= p->f->levels) continue;
        deepest[n / US_FOREST_GROUP] = US_MAX(deepest[n / US_FOREST_GROUP], d - p->f->levels);
        depth[n] = d - p->f->levels;
        ((uint8_t *)deep)[n++] = (uint8_t)i;
    }
    c->n_deep = n;
    p->f->any_deep = p->f->any_deep || n > 0;
    for (; n % US_FOREST_GROUP; n++) /* as deep as its group knows */
        ((uint8_t *)deep)[n] = ((uint8_t *)deep)[n - 1];
    c->deep = deep;
    c->depth = depth;
    c->deepest = deepest;
    return US_OK;
}

static us_err make_chunk(packer *p, size_t from, us_tree_chunk *c)
{
    const us_forest *f = p->f;
    size_t n = (size_t)1 << f->levels;
    void *nodes, *base;
    c->n = (uint32_t)US_MIN(f->n_roots - from, (size_t)US_FOREST_WIDE);
    c->tops = (us_tree_tops){.levels = f->levels, .even = true};
    US_TRY(list_deep(p, from, c));
    US_TRY(us_eval_keep(p->k, US_FOREST_WIDE * sizeof(uint32_t), &base));
    US_TRY(us_eval_keep(p->k, (n - 1) * 3 * US_FOREST_WIDE, &nodes));
    for (size_t i = 0; i < c->n; i++) {
        ((uint32_t *)base)[i] = f->levels ? p->first_end[from + i] : p->roots[from + i];
        if (f->levels) c->tops.even &= put_top(p, from + i, i, nodes);
    }
    c->tops.nodes = nodes;
    c->tops.base = base;
    return US_OK;
}

static us_err make_chunks(packer *p)
{
    us_forest *f = p->f;
    void *mem;
    f->n_chunks = (f->n_roots + US_FOREST_WIDE - 1) / US_FOREST_WIDE;
    US_TRY(us_eval_keep(p->k, f->n_chunks * sizeof(us_tree_chunk), &mem));
    f->chunks = mem;
    for (size_t i = 0; i < f->n_chunks; i++)
        US_TRY(make_chunk(p, i * US_FOREST_WIDE, (us_tree_chunk *)mem + i));
    return US_OK;
}

/* --- nodes ------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The features that branches ask for, in order, and how many keys a row has. */
static us_err find_features(packer *p)
{
    size_t n = 0, some = 0;
    void *mem, *keep;
    US_TRY(scratch(p->k, p->n, sizeof(uint32_t), &mem));
    uint32_t *all = mem;
    for (size_t i = 0; i < p->n; i++)
        if (p->at[i].child) all[n++] = p->at[i].feature;
    if (n) qsort(all, n, sizeof *all, by_number);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || all[i] != all[i - 1]) all[some++] = all[i];
    US_TRY(us_eval_keep(p->k, (some + 1) * sizeof(uint32_t), &keep));
    if (some) memcpy(keep, all, some * sizeof *all);
    p->f->which = keep;
    p->f->n_which = some;
    p->f->n_keys = some * (p->any_low ? 2 : 1) + 1;
    return US_OK;
}

static uint32_t key_number(const us_forest *f, const placed *b)
{
    size_t lo = 0, hi = f->n_which;
    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;
        if (f->which[mid] <= b->feature)
            lo = mid;
        else
            hi = mid;
    }
    return (uint32_t)(lo + (b->low ? f->n_which : 0));
}

static us_err make_nodes(packer *p)
{
    static const uint32_t first = 0;
    us_forest *f = p->f;
    void *mem;
    US_TRY(us_eval_keep_raw(p->k, p->n * sizeof(us_tree_node), &mem));
    us_tree_node *to = mem;
    for (size_t i = 0; i < p->n; i++) {
        const placed *b = &p->at[i];
        uint32_t key = b->child ? key_number(f, b) : (uint32_t)f->n_keys - 1, t = b->leaf;
        if (b->child) us_forest_keys(1, &first, &b->t, &t, NULL);
        to[i] = (us_tree_node){t, key, b->child ? b->child : (uint32_t)i};
    }
    f->nodes = to;
    return US_OK;
}

/* --- values ------------------------------------------------------------------------------------------ */

static const us_raw_node *leaf_at(const packer *p, size_t i)
{
    return &p->raw->nodes[p->leaf_of[i]];
}

/* Outputs of which each leaf of some tree has a score always get one, those of no leaf never do. Others would depend on the row. */
static bool settle_outputs(const packer *p, uint8_t *has, uint32_t *count, uint32_t *stamp)
{
    const us_raw_forest *raw = p->raw;
    for (size_t t = 0; t < raw->n_roots; t++) {
        size_t from = p->first_leaf[t], to = p->first_leaf[t + 1];
        memset(count, 0, raw->n_out * sizeof *count);
        for (size_t i = from; i < to; i++)
            for (uint32_t w = leaf_at(p, i)->w0; w < leaf_at(p, i)->w1; w++) {
                uint32_t id = raw->weights[w].id;
                count[id] += stamp[id] != i + 1;
                stamp[id] = (uint32_t)i + 1;
            }
        for (size_t o = 0; o < raw->n_out; o++)
            has[o] |= to > from && count[o] == to - from;
    }
    for (size_t o = 0; o < raw->n_out; o++)
        if (stamp[o] && !has[o]) return false;
    return true;
}

/* What leaves hold, and the one output that all have, if they have one. */
static void find_kind(const packer *p)
{
    us_forest *f = p->f;
    const us_raw_weight *w = p->raw->weights;
    bool all = true, one = p->n_leaves > 0, only = true;
    uint32_t id =
        p->n_leaves > 0 && leaf_at(p, 0)->w1 > leaf_at(p, 0)->w0 ? w[leaf_at(p, 0)->w0].id : 0;
    for (size_t i = 0; i < p->n_leaves; i++) {
        const us_raw_node *leaf = leaf_at(p, i);
        size_t n = leaf->w1 - leaf->w0;
        all = all && n == f->n_out;
        one = one && n == 1;
        only = only && n == 1 && w[leaf->w0].id == id;
        for (size_t j = 0; j < n && all; j++)
            all = w[leaf->w0 + j].id == j;
    }
    f->only = one && only ? id : SIZE_MAX;
    f->kind = all || f->only != SIZE_MAX ? US_LEAVES_ROWS
              : one                      ? US_LEAVES_ONE
                                         : US_LEAVES_LISTS;
    f->width = f->only != SIZE_MAX ? 1 : f->n_out;
    if (f->kind == US_LEAVES_ROWS && f->width % 4 == 3) f->width++; /* whole vectors */
}

static us_err put_values(packer *p)
{
    us_forest *f = p->f;
    const us_raw_weight *weights = p->raw->weights;
    size_t n = 0, room;
    void *values, *ids, *at;
    find_kind(p);
    for (size_t i = 0; i < p->n_leaves; i++)
        n += leaf_at(p, i)->w1 - leaf_at(p, i)->w0;
    if (n > UINT32_MAX) return us_eval_fail(p->k, US_LIMIT, "%zu weights", n);
    bool rows = f->kind == US_LEAVES_ROWS;
    if (!us_mul_size(rows ? p->n_leaves * f->width : n, sizeof(double), &room))
        return us_eval_fail(p->k, US_LIMIT, "%zu weights", n);
    US_TRY(us_eval_keep(p->k, room, &values));
    US_TRY(us_eval_keep(p->k, rows ? 0 : n * sizeof(uint32_t), &ids));
    US_TRY(us_eval_keep(p->k, rows ? 0 : (p->n_leaves + 1) * sizeof(uint32_t), &at));
    n = 0;
    for (size_t i = 0; i < p->n_leaves; i++) {
        const us_raw_node *leaf = leaf_at(p, i);
        double *to = (double *)values + (rows ? i * f->width : n);
        for (uint32_t w = leaf->w0; w < leaf->w1; w++, n++) {
            *to++ = weights[w].value;
            if (!rows) ((uint32_t *)ids)[n] = weights[w].id;
        }
        if (!rows) ((uint32_t *)at)[i + 1] = (uint32_t)n;
    }
    f->values = values;
    f->ids = ids;
    f->leaf_at = at;
    return US_OK;
}

us_err us_forest_pack(us_eval *k, const us_raw_forest *raw, const us_forest **out)
{
    packer p = {.k = k, .raw = raw};
    void *keep, *has, *count, *stamp;
    if (raw->n_nodes > (size_t)1 << 30 || raw->n_out > (size_t)1 << 16) return US_OK;
    US_TRY(us_eval_keep(k, sizeof(us_forest), &keep));
    us_forest *f = p.f = keep;
    f->kernels = us_kernels_get(k->c)->forest;
    f->n_roots = raw->n_roots;
    f->n_out = raw->n_out;
    US_TRY(place_all(&p));
    if (p.odd) return US_OK;
    US_TRY(us_eval_keep(k, f->n_out + 1, &has));
    US_TRY(scratch(k, f->n_out, sizeof(uint32_t), &count));
    US_TRY(scratch(k, f->n_out, sizeof(uint32_t), &stamp));
    if (!settle_outputs(&p, has, count, stamp)) return US_OK;
    f->has = has;
    US_TRY(find_features(&p));
    US_TRY(sort_upper(&p));
    f->levels = best_levels(&p);
    US_TRY(make_columns(&p));
    US_TRY(find_ends(&p));
    US_TRY(make_nodes(&p));
    US_TRY(make_chunks(&p));
    US_TRY(put_values(&p));
    f->block = US_MIN(KEYS / f->n_keys / US_FOREST_GROUP * US_FOREST_GROUP, (size_t)ROWS);
    f->block = US_MAX(f->block, (size_t)US_FOREST_GROUP);
    *out = f;
    return US_OK;
}
