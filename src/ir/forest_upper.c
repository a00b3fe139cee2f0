/* ir/forest_upper.c - what of a forest is decided by ranks alone (kernel/forest.h): sets of leaves, or the tops of trees. See forest_in.h. */
#include "ir/forest_in.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Some cycles, as measured: a node of 64 trees, the rank of a number, a walk's beginning and end and a step of it, a key. */
#define COST_TOP  2.7
#define COST_WALK 8.0
#define COST_STEP 5.0
#define COST_KEY  3.0
#define COST_SET  3.0  /* a column's row of 64 trees, */
#define COST_SETS 20.0 /* and what follows, */
#define COST_HOP  1.0  /* a hop of a tree, */
#define STEPS                                                                                  \
    6.0 /* of a walk below tops, where there are more: few leaves are as low as the lowest */
#define SOME_COLUMNS 16 /* from here on buckets pay */
#define MOST_COPIES  4  /* of leaves on average, for hops */
#define HOP_LEVELS   3
#define TOPS_BYTES   ((US_FOREST_SUBTREES - 1) * 3 * (size_t)US_FOREST_WIDE)
#define SETS_BYTES   ((size_t)1 << 17) /* of all rows: more come from afar */

/* --- columns ----------------------------------------------------------------------------------------- */

static int by_column(const void *a, const void *b)
{
    const us_placed *x = *(const us_placed *const *)a, *y = *(const us_placed *const *)b;
    if (x->low != y->low) return x->low ? 1 : -1;
    if (x->feature != y->feature) return x->feature < y->feature ? -1 : 1;
    return (x->t > y->t) - (x->t < y->t);
}

/* Branches that columns may be made of, sorted: all, or those of the upper levels. */
static us_err sort_upper(us_packer *p)
{
    void *mem;
    US_TRY(us_forest_room(p->k, p->n, sizeof(us_placed *), &mem));
    p->sorted = mem;
    for (size_t i = 0; i < p->n; i++)
        if (p->at[i].child &&
            (p->most_leaves <= US_FOREST_FEW || p->at[i].level < US_FOREST_LEVELS))
            p->sorted[p->n_sorted++] = &p->at[i];
    if (p->n_sorted) qsort(p->sorted, p->n_sorted, sizeof(us_placed *), by_column);
    return us_eval_work(p->k, 16 * (double)p->n_sorted);
}

/* A walk over the sorted branches above a level, column by column, limit by limit. */
typedef struct column_walk {
    const us_placed *last;
    size_t n_columns, n_all, n_limits; /* columns, their limits, those of the last column */
    bool is_new_column, is_new_limit;
} column_walk;

static void walk_column(column_walk *w, const us_placed *b)
{
    const us_placed *a = w->last;
    bool same = a && a->low == b->low && a->feature == b->feature;
    w->is_new_limit = !same || a->t < b->t;
    w->is_new_column = !same || (w->is_new_limit && w->n_limits == US_FOREST_LIMITS);
    if (w->is_new_column) {
        w->n_columns++;
        w->n_limits = 0;
    }
    w->n_limits += w->is_new_limit;
    w->n_all += w->is_new_limit;
    w->last = b;
}

/* All columns of the branches above a level, and their limits. */
static column_walk walk_columns(const us_packer *p, unsigned levels)
{
    column_walk w = {0};
    for (size_t i = 0; i < p->n_sorted; i++)
        if (p->sorted[i]->level < levels) walk_column(&w, p->sorted[i]);
    return w;
}

/* --- the choice -------------------------------------------------------------------------------------- */

#define ALL_LEVELS UINT_MAX

static double n_chunks(const us_packer *p)
{
    return ceil((double)p->raw->n_roots / US_FOREST_WIDE);
}

/* Cycles of a row by sets. */
static double cost_of_sets(const us_packer *p)
{
    column_walk w = walk_columns(p, ALL_LEVELS);
    double columns = (double)w.n_columns, rows = columns + (double)w.n_all;
    if (p->most_leaves > US_FOREST_FEW || w.n_columns > US_FOREST_COLUMNS ||
        rows * n_chunks(p) * US_FOREST_WIDE * sizeof(uint16_t) > (double)SETS_BYTES)
        return HUGE_VAL;
    return columns * p->f->kernels->rank + n_chunks(p) * (columns * COST_SET + COST_SETS);
}

/* Cycles of a row by tops and walks. */
static double cost_of(const us_packer *p, unsigned levels)
{
    size_t columns = walk_columns(p, levels).n_columns;
    double deep = 0;
    if (columns > US_FOREST_COLUMNS) return HUGE_VAL;
    for (size_t i = 0; i < p->raw->n_roots; i++)
        if (p->depth[i] > levels)
            deep += COST_WALK + COST_STEP * US_MIN((double)(p->depth[i] - levels), STEPS);
    if (deep > 0) deep += (double)p->f->n_keys * COST_KEY;
    return (double)columns * p->f->kernels->rank +
           n_chunks(p) * (double)((1U << levels) - 1) * COST_TOP + deep;
}

/* Ends of each tree as a perfect one; 0: too deep. */
static size_t hop_ends(const us_packer *p)
{
    uint32_t most = 0;
    for (size_t i = 0; i < p->raw->n_roots; i++)
        most = US_MAX(most, p->depth[i]);
    if (most > US_FOREST_LEVELS) return 0;
    return most <= HOP_LEVELS ? US_FOREST_SUBTREES : US_FOREST_ENDS;
}

/* Cycles of a row by hops: trees of some leaves at least, for they are made perfect ones. */
static double cost_of_hops(const us_packer *p)
{
    size_t n = p->raw->n_roots, columns = walk_columns(p, ALL_LEVELS).n_columns,
           ends = hop_ends(p);
    if (!p->f->kernels->tops_pay || columns > US_FOREST_COLUMNS || ends == 0 ||
        n * ends > MOST_COPIES * p->n_leaves)
        return HUGE_VAL;
    return (double)columns * p->f->kernels->rank +
           n_chunks(p) * ((1U << HOP_LEVELS) - 1) * COST_TOP +
           (ends == US_FOREST_ENDS ? (double)n * COST_HOP : 0);
}

static void choose(us_packer *p)
{
    double least = cost_of_sets(p), hops = cost_of_hops(p);
    p->f->sets = least < HUGE_VAL && least <= hops;
    p->f->hops = hops < least;
    least = US_MIN(least, hops);
    for (unsigned l = 0; l <= US_FOREST_LEVELS; l = l ? l + 1 : US_FOREST_LEAST) {
        double cost = l == 0 || p->f->kernels->tops_pay ? cost_of(p, l) : HUGE_VAL;
        if (cost < least) {
            p->f->sets = p->f->hops = false;
            p->f->levels = l;
        }
        least = US_MIN(cost, least);
    }
    p->f->wide = p->f->hops ? US_FOREST_MANY : US_FOREST_WIDE;
}

/* Columns with their limits; each branch that is decided by rank learns its own. */
static us_err make_columns(us_packer *p)
{
    us_forest *f = p->f;
    unsigned levels = f->sets || f->hops ? ALL_LEVELS : f->levels;
    size_t n = walk_columns(p, levels).n_columns, done = 0;
    void *columns, *which, *rows;
    US_TRY(us_eval_keep(p->k, n * US_FOREST_STRIDE * sizeof(float), &columns));
    US_TRY(us_eval_keep(p->k, n * sizeof(uint32_t), &which));
    US_TRY(us_eval_keep(p->k, (n + 1) * sizeof(uint32_t), &rows));
    p->first_row = rows;
    float *all = columns, *limits = NULL;
    for (size_t i = 0; i < n * US_FOREST_STRIDE; i++)
        all[i] = NAN;
    column_walk w = {0};
    for (size_t i = 0; i < p->n_sorted; i++) {
        us_placed *b = &p->at[p->sorted[i] - p->at];
        if (b->level >= levels) continue;
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
        p->first_row[done] = (uint32_t)(w.n_all + done); /* ranks are one more than limits */
    }
    f->columns.limits = columns;
    f->columns.x = which;
    f->columns.n = n;
    return US_OK;
}

/* --- features ---------------------------------------------------------------------------------------- */

/* Limits of a feature, whose columns are `c` to `end`, side by side; false: too many or too close to each other. */
static bool put_feature(const us_packer *p, size_t c, size_t end, float *least, float *scale,
                        uint16_t *ranks, float *limits)
{
    size_t n = 0, close = 0;
    if (end - c > 2) return false;
    for (; c < end; c++)
        for (size_t j = 1; j < p->first_row[c + 1] - p->first_row[c]; j++)
            limits[n++] = p->f->columns.limits[c * US_FOREST_STRIDE + 15 + j];
    float span = limits[n - 1] - limits[0];
    *least = limits[0];
    *scale = span > 0 ? US_FOREST_BUCKETS / span : 1;
    if (!isfinite(span) || !isfinite(*scale)) return false;
    for (size_t b = 0, r = 0; b < US_FOREST_BUCKETS; b++) {
        size_t from = r;
        ranks[b] = (uint16_t)r;
        while (r < n && us_forest_bucket(limits[r], *least, *scale) <= b)
            r++;
        close = US_MAX(close, r - from);
    }
    return close <= US_FOREST_CLOSE;
}

/* Features instead of columns, where there are some and all can be had so. */
static us_err make_features(us_packer *p)
{
    us_tree_columns *all = &p->f->columns;
    size_t n = all->n, n_limits = p->first_row[n] + n * US_FOREST_CLOSE, at = 0, whole;
    void *numbers, *ranks, *first, *x, *column;
    if (n < SOME_COLUMNS || n >= US_FOREST_COLUMNS || !p->f->kernels->by_features) return US_OK;
    whole = (n + 15) / 16 * 16;
    US_TRY(us_eval_keep(p->k, (2 * whole + n_limits) * sizeof(float), &numbers));
    US_TRY(us_eval_keep(p->k, n * US_FOREST_BUCKETS * sizeof(uint16_t), &ranks));
    US_TRY(us_eval_keep(p->k, n * sizeof(uint32_t), &first));
    US_TRY(us_eval_keep(p->k, n * sizeof(uint32_t), &x));
    US_TRY(us_eval_keep(p->k, n, &column));
    float *least = numbers, *limits = least + 2 * whole;
    us_tree_features f = {.x = x,
                          .straight = true,
                          .least = least,
                          .scale = least + whole,
                          .ranks = ranks,
                          .first = first,
                          .limits = limits,
                          .column = column};
    for (size_t i = 0; i < n_limits; i++)
        limits[i] = NAN;
    for (size_t c = 0, end; c < n; c = end, f.n++) {
        for (end = c + 1; end < n && all->x[end] == all->x[c] && end != all->n_high;)
            end++;
        if (!put_feature(p, c, end, least + f.n, least + whole + f.n,
                         (uint16_t *)ranks + f.n * US_FOREST_BUCKETS, limits + at))
            return US_OK;
        ((uint32_t *)first)[f.n] = (uint32_t)at;
        ((uint32_t *)x)[f.n] = all->x[c];
        ((uint8_t *)column)[f.n] = (uint8_t)c;
        f.straight = f.straight && all->x[c] == all->x[0] + f.n;
        f.n_high += c < all->n_high;
        at += p->first_row[end] - p->first_row[c] + US_FOREST_CLOSE;
    }
    all->features = f;
    return us_eval_work(p->k, (double)n * US_FOREST_BUCKETS);
}

/* --- sets -------------------------------------------------------------------------------------------- */

static us_err find_under(us_packer *p)
{
    void *mem;
    US_TRY(us_forest_room(p->k, p->n, sizeof *p->under, &mem));
    p->under = mem;
    for (size_t t = p->raw->n_roots, end = p->n; t-- > 0; end = p->roots[t])
        for (size_t i = end; i-- > p->roots[t];) {
            const us_placed *a = &p->at[i];
            unsigned under = 1U << ((a->leaf - p->first_leaf[t]) & 15);
            if (a->child) under = (unsigned)p->under[a->child] | p->under[a->child + 1];
            p->under[i] = (uint16_t)under;
        }
    return US_OK;
}

/* Tree i of a chunk: in each column, what each rank leaves. */
static void put_sets(const us_packer *p, size_t tree, size_t i, uint16_t *rows)
{
    size_t end = tree + 1 < p->raw->n_roots ? p->roots[tree + 1] : p->n;
    for (size_t at = p->roots[tree]; at < end; at++) {
        const us_placed *b = &p->at[at];
        if (!b->child) continue;
        uint32_t first = p->first_row[b->column], n = p->first_row[b->column + 1] - first;
        for (uint32_t r = 0; r < n; r++) /* up to its limit: to the second child */
            rows[(first + r) * (size_t)US_FOREST_WIDE + i] &=
                (uint16_t)~p->under[b->child + (r > b->limit)];
    }
}

static us_err make_sets(const us_packer *p, size_t from, us_tree_chunk *c)
{
    size_t n = (size_t)p->first_row[p->f->columns.n] * US_FOREST_WIDE;
    void *rows, *all, *base;
    US_TRY(us_eval_keep(p->k, n * sizeof(uint16_t), &rows));
    US_TRY(us_eval_keep(p->k, US_FOREST_WIDE * sizeof(uint16_t), &all));
    US_TRY(us_eval_keep(p->k, US_FOREST_WIDE * sizeof(uint32_t), &base));
    memset(rows, 0xff, n * sizeof(uint16_t));
    for (size_t i = 0; i < c->n; i++) {
        put_sets(p, from + i, i, rows);
        ((uint16_t *)all)[i] = p->under[p->roots[from + i]];
        ((uint32_t *)base)[i] = p->first_leaf[from + i];
    }
    c->sets = (us_tree_sets){rows, p->first_row, p->f->columns.n, all, base};
    return us_eval_work(p->k, (double)n);
}

/* --- tops -------------------------------------------------------------------------------------------- */

/* The upper part of a tree as a perfect one: node h has the children 2 h and 2 h + 1, and what is a leaf above its lowest level is its only end
 * there, the first. */
typedef struct upper {
    uint32_t at[2 << US_FOREST_LEVELS];  /* places */
    uint8_t ends[2 << US_FOREST_LEVELS]; /* under each */
} upper;

static void find_upper(const us_packer *p, size_t tree, unsigned levels, upper *u)
{
    size_t n = (size_t)1 << levels;
    u->at[1] = p->roots[tree];
    for (size_t h = 1; h < n; h++) {
        const us_placed *b = &p->at[u->at[h]];
        u->at[2 * h] = b->child ? b->child : u->at[h];
        u->at[2 * h + 1] = b->child ? b->child + 1 : u->at[h];
    }
    memset(u->ends + n, 1, n);
    for (size_t h = n - 1; h > 0; h--)
        u->ends[h] = p->at[u->at[h]].child ? u->ends[2 * h] + u->ends[2 * h + 1] : 1;
}

/* The ends of a tree in order: those of a deep one are listed to walk on from, and leaves of another are numbered as its ends. */
static void number_ends(us_packer *p, size_t tree)
{
    upper u;
    uint32_t raw[1 << US_FOREST_LEVELS], e = 0;
    size_t n = (size_t)1 << p->f->levels;
    bool deep = p->depth[tree] > p->f->levels;
    find_upper(p, tree, p->f->levels, &u);
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

static us_err find_ends(us_packer *p)
{
    void *ends, *starts;
    size_t n = p->raw->n_roots;
    US_TRY(us_forest_room(p->k, n, sizeof *p->first_end, &ends));
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
static bool put_top(const us_packer *p, size_t tree, size_t i, uint8_t *tops)
{
    upper u;
    size_t n = (size_t)1 << p->f->levels;
    find_upper(p, tree, p->f->levels, &u);
    for (size_t h = 1; h < n; h++) {
        const us_placed *b = &p->at[u.at[h]];
        uint8_t *to = tops + (h - 1) * 3 * US_FOREST_WIDE + i;
        to[0] = b->child ? b->column : 0;
        to[US_FOREST_WIDE] = b->child ? b->limit : 0;
        to[2 * US_FOREST_WIDE] = b->child ? u.ends[2 * h] : 0;
    }
    return u.ends[1] == n;
}

static us_err make_tops(const us_packer *p, size_t from, us_tree_chunk *c)
{
    const us_forest *f = p->f;
    size_t n = (size_t)1 << f->levels;
    void *nodes, *base;
    c->tops = (us_tree_tops){.levels = f->levels, .even = true};
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

/* --- hops -------------------------------------------------------------------------------------------- */

/* Every tree becomes a perfect one: a leaf has a copy at each of the ends under it. */
static us_err copy_leaves(us_packer *p)
{
    upper u;
    void *mem;
    size_t n = p->raw->n_roots, ends = hop_ends(p);
    US_TRY(us_forest_room(p->k, n * ends, sizeof *p->leaf_of, &mem));
    uint32_t *leaf_of = mem;
    for (size_t i = 0; i < n; i++) {
        find_upper(p, i, ends == US_FOREST_ENDS ? US_FOREST_LEVELS : HOP_LEVELS, &u);
        for (size_t e = 0; e < ends; e++)
            leaf_of[i * ends + e] = p->leaf_of[p->at[u.at[ends + e]].leaf];
    }
    p->leaf_of = leaf_of;
    p->n_leaves = n * ends;
    return us_eval_work(p->k, (double)p->n_leaves);
}

/* One comparison; a leaf's goes either way. */
static void put_node(const us_packer *p, const upper *u, size_t h, uint8_t *to, size_t apart)
{
    const us_placed *b = &p->at[u->at[h]];
    to[0] = b->child ? b->column : 0;
    to[apart] = b->child ? b->limit : 0;
}

static void put_hops(const us_packer *p, size_t tree, size_t i, uint8_t *tops, uint8_t *under)
{
    upper u;
    find_upper(p, tree, US_FOREST_LEVELS, &u);
    tops += i / US_FOREST_WIDE * TOPS_BYTES + i % US_FOREST_WIDE;
    for (size_t h = 1; h < US_FOREST_SUBTREES; h++)
        put_node(p, &u, h, tops + (h - 1) * 3 * US_FOREST_WIDE, US_FOREST_WIDE);
    if (!under) return;
    under += i * US_FOREST_SUBTREES * US_FOREST_HOP;
    for (size_t s = US_FOREST_SUBTREES; s < 2 * (size_t)US_FOREST_SUBTREES;
         s++, under += US_FOREST_HOP)
        for (size_t l = 0, at = 0; l < HOP_LEVELS; l++)
            for (size_t j = 0; j < (size_t)1 << l; j++)
                put_node(p, &u, (s << l) + j, under + at++, US_FOREST_HOP / 2);
}

static us_err make_hops(const us_packer *p, size_t from, us_tree_chunk *c)
{
    void *tops, *under = NULL;
    size_t ends = hop_ends(p);
    size_t n = (c->n + US_FOREST_WIDE - 1U) / US_FOREST_WIDE, each = US_FOREST_WIDE;
    US_TRY(us_eval_keep(p->k, n * TOPS_BYTES, &tops));
    if (ends == US_FOREST_ENDS)
        US_TRY(us_eval_keep(p->k, n * each * US_FOREST_SUBTREES * US_FOREST_HOP, &under));
    for (size_t i = 0; i < c->n; i++)
        put_hops(p, from + i, i, tops, under);
    c->hops = (us_tree_hops){tops, under, (uint32_t)(from * ends), c->n};
    return us_eval_work(p->k, (double)c->n * US_FOREST_ENDS);
}

us_err us_forest_upper(const us_packer *p, size_t from, us_tree_chunk *c)
{
    if (p->f->hops) return make_hops(p, from, c);
    return p->f->sets ? make_sets(p, from, c) : make_tops(p, from, c);
}

us_err us_forest_choose(us_packer *p)
{
    for (size_t i = 0; i < p->raw->n_roots; i++)
        p->most_leaves =
            US_MAX(p->most_leaves, (size_t)(p->first_leaf[i + 1] - p->first_leaf[i]));
    US_TRY(sort_upper(p));
    choose(p);
    US_TRY(make_columns(p));
    US_TRY(make_features(p));
    if (p->f->hops) return copy_leaves(p);
    return p->f->sets ? find_under(p) : find_ends(p);
}
