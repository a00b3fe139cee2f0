/* ir/forest.c - see forest.h. A tree is laid out level by level, so that its upper nodes, which every walk visits, share cache lines;
 * many rows go through one tree before the next, a block of rows at a time, so that a tree is read from afar once per block. */
#include "ir/forest.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/ctx.h"
#include "base/pool.h"

enum {
    TREES = 64, /* of one row at once */
    ROWS = 64,  /* of one tree at once, or fewer for KEYS */
    KEYS = 1 << 14,
    COLUMNS = 4,
    MOST_PARTS = 16
};
#define PART_WALKS 2e4 /* that are worth a thread: some 100 us */

struct us_forest {
    const us_tree_node *nodes;
    const uint32_t *roots;   /* then leaves up to a multiple of the group */
    const uint32_t *depths;  /* of each tree */
    const uint32_t *deepest; /* of each group of trees */
    size_t n_roots, n_out, n_features;
    size_t block; /* rows at once */
    bool any_nan;
    bool single; /* one weight in every leaf, all of one output: leaf i has values[i] */
    bool dense;  /* every leaf has all outputs in order: leaf i has values[i * n_out ...] */
    size_t only; /* single: that output */
    const double *values;
    const uint32_t *ids;     /* of each value */
    const uint32_t *leaf_at; /* leaf i has the values leaf_at[i] .. leaf_at[i + 1] */
    const uint8_t *has;      /* per output */
};

/* --- packing --------------------------------------------------------------------------------------- */

typedef struct packer {
    us_eval *k;
    const us_raw_forest *raw;
    us_tree_node *nodes;
    size_t n, n_leaves, n_features;
    uint32_t *queue;  /* raw nodes in the order they are placed in */
    uint32_t *places; /* where each of these goes */
    uint32_t *levels; /* steps from the root */
    uint8_t *seen;
    uint32_t *leaf_of; /* raw node of each leaf */
    bool any_nan, odd;
} packer;

/* The key of the smallest float above v, or not below it. */
static uint32_t bound(double v, bool above)
{
    uint32_t key;
    float f = (float)v;
    bool low = above ? (double)f <= v : (double)f < v;
    if (low) f = nextafterf(f, INFINITY);
    (void)us_forest_keys(1, &f, &key);
    return key;
}

static bool is_odd(const us_raw_node *r)
{
    return r->mode >= US_TREE_EQ || !(fabs(r->value) < (double)FLT_MAX);
}

/* Node r at place `at`, its children at two places side by side. */
static void place_branch(packer *p, const us_raw_node *r, uint32_t at, uint32_t level,
                         size_t *end)
{
    bool is_less = r->mode == US_TREE_LEQ || r->mode == US_TREE_LT;
    bool above = r->mode == US_TREE_LEQ || r->mode == US_TREE_GT;
    uint32_t less = is_less ? r->yes : r->no, other = is_less ? r->no : r->yes;
    bool nan_less = r->nan_yes == is_less;
    if (is_odd(r) || p->seen[less] || p->seen[other] || less == other) {
        p->odd = true;
        return;
    }
    p->seen[less] = p->seen[other] = 1;
    p->any_nan = p->any_nan || nan_less;
    p->nodes[at] = (us_tree_node){.t = bound(r->value, above),
                                  .feature = r->feature,
                                  .child = (uint32_t)p->n,
                                  .more = nan_less};
    p->n_features = US_MAX(p->n_features, (size_t)r->feature + 1);
    for (int i = 0; i < 2; i++, ++*end) {
        p->queue[*end] = i ? less : other;
        p->places[*end] = (uint32_t)p->n++;
        p->levels[*end] = level + 1;
    }
}

static void place_tree(packer *p, uint32_t root, uint32_t *depth)
{
    size_t begin = 0, end = 1;
    p->n += p->n & 1; /* pairs stay within a cache line */
    p->queue[0] = root;
    p->places[0] = (uint32_t)p->n++;
    p->levels[0] = 0;
    p->n += p->n & 1;
    p->odd = p->odd || p->seen[root];
    p->seen[root] = 1;
    for (; begin < end && !p->odd; begin++) {
        uint32_t i = p->queue[begin], at = p->places[begin];
        const us_raw_node *r = &p->raw->nodes[i];
        if (r->mode != US_TREE_LEAF) {
            place_branch(p, r, at, p->levels[begin], &end);
            continue;
        }
        *depth = p->levels[begin]; /* ends as the lowest */
        p->nodes[at] = (us_tree_node){.child = at, .more = (uint32_t)p->n_leaves};
        p->leaf_of[p->n_leaves++] = i;
    }
}

static us_err scratch(us_eval *k, size_t n, size_t size, void **out)
{
    US_TRY(us_eval_scratch(k, US_MAX(n, 1) * size, out));
    memset(*out, 0, US_MAX(n, 1) * size);
    return US_OK;
}

/* Roots and depths, and what fills up the last group: leaves. */
static us_err get_roots(us_eval *k, size_t n, size_t whole, us_forest *f, uint32_t **roots,
                        uint32_t **depths, uint32_t **deepest)
{
    void *mem;
    US_TRY(us_eval_keep(k, (2 * whole + whole / US_FOREST_GROUP + 1) * sizeof **roots, &mem));
    *roots = mem;
    *depths = *roots + whole;
    *deepest = *depths + whole;
    f->roots = *roots;
    f->depths = *depths;
    f->deepest = *deepest;
    f->n_roots = n;
    return US_OK;
}

static us_err get_lists(packer *p)
{
    size_t n = p->raw->n_nodes;
    void *mem;
    US_TRY(scratch(p->k, 4 * n, sizeof *p->queue, &mem));
    p->queue = mem;
    p->places = p->queue + n;
    p->levels = p->places + n;
    p->leaf_of = p->levels + n;
    US_TRY(scratch(p->k, n, 1, &mem));
    p->seen = mem;
    return US_OK;
}

static us_err place_all(packer *p, us_forest *f)
{
    const us_raw_forest *raw = p->raw;
    void *nodes;
    uint32_t *roots, *depths, *deepest;
    size_t n = raw->n_roots,
           whole = (n + US_FOREST_GROUP - 1) / US_FOREST_GROUP * US_FOREST_GROUP;
    US_TRY(us_eval_keep(p->k, (raw->n_nodes + 2 * n + 3) * sizeof *p->nodes, &nodes));
    US_TRY(get_roots(p->k, n, whole, f, &roots, &depths, &deepest));
    US_TRY(get_lists(p));
    p->nodes = nodes;
    for (size_t i = 0; i < n && !p->odd; i++) {
        roots[i] = (uint32_t)(p->n + (p->n & 1));
        place_tree(p, raw->roots[i], &depths[i]);
        deepest[i / US_FOREST_GROUP] = US_MAX(deepest[i / US_FOREST_GROUP], depths[i]);
    }
    for (size_t i = n; i < whole; i++)
        roots[i] = (uint32_t)p->n;
    p->nodes[p->n] = (us_tree_node){.child = (uint32_t)p->n};
    f->nodes = nodes;
    f->n_out = raw->n_out;
    f->n_features = US_MAX(p->n_features, (size_t)1); /* leaves look at the first */
    f->block = US_MIN(KEYS / f->n_features / US_FOREST_GROUP * US_FOREST_GROUP, (size_t)ROWS);
    f->block = US_MAX(f->block, (size_t)US_FOREST_GROUP);
    f->any_nan = p->any_nan;
    return US_OK;
}

/* Outputs of which each leaf of some tree has a score always get one, those of no leaf never do. Others would depend on the row. */
static bool settle_outputs(const us_raw_forest *raw, const packer *p, const us_forest *f,
                           uint8_t *has, uint32_t *count, uint32_t *stamp)
{
    for (size_t i = 0; i < f->n_roots; i++) {
        memset(count, 0, f->n_out * sizeof *count);
        uint32_t leaves = 0;
        size_t from = f->roots[i], to = i + 1 < f->n_roots ? f->roots[i + 1] : p->n;
        for (size_t j = from; j < to; j++) {
            const us_tree_node *n = &f->nodes[j];
            if (n->child != j)
                continue; /* a branch, or a gap (whose child is 0, never its own) */
            const us_raw_node *leaf = &raw->nodes[p->leaf_of[n->more]];
            leaves++;
            for (uint32_t w = leaf->w0; w < leaf->w1; w++) {
                uint32_t id = raw->weights[w].id;
                count[id] += stamp[id] != n->more + 1;
                stamp[id] = n->more + 1;
            }
        }
        for (size_t o = 0; o < f->n_out; o++)
            has[o] |= leaves > 0 && count[o] == leaves;
    }
    for (size_t o = 0; o < f->n_out; o++)
        if (stamp[o] && !has[o]) return false;
    return true;
}

static us_err put_values(us_eval *k, const packer *p, us_forest *f)
{
    const us_raw_forest *raw = p->raw;
    size_t n = 0;
    void *values, *ids, *at;
    for (size_t i = 0; i < p->n_leaves; i++)
        n += raw->nodes[p->leaf_of[i]].w1 - raw->nodes[p->leaf_of[i]].w0;
    if (n > UINT32_MAX) return us_eval_fail(k, US_LIMIT, "%zu weights", n);
    US_TRY(us_eval_keep(k, (n + 1) * sizeof(double), &values));
    US_TRY(us_eval_keep(k, (n + 1) * sizeof(uint32_t), &ids));
    US_TRY(us_eval_keep(k, (p->n_leaves + 1) * sizeof(uint32_t), &at));
    f->dense = true;
    n = 0;
    for (size_t i = 0; i < p->n_leaves; i++) {
        const us_raw_node *leaf = &raw->nodes[p->leaf_of[i]];
        ((uint32_t *)at)[i] = (uint32_t)n;
        f->dense = f->dense && leaf->w1 - leaf->w0 == f->n_out;
        for (uint32_t w = leaf->w0; w < leaf->w1; w++, n++) {
            ((double *)values)[n] = raw->weights[w].value;
            ((uint32_t *)ids)[n] = raw->weights[w].id;
            f->dense = f->dense && raw->weights[w].id == w - leaf->w0;
        }
    }
    ((uint32_t *)at)[p->n_leaves] = (uint32_t)n;
    f->values = values;
    f->ids = ids;
    f->leaf_at = at;
    f->single = n == p->n_leaves && n > 0;
    f->only = n > 0 ? ((uint32_t *)ids)[0] : 0;
    for (size_t i = 0; i < n && f->single; i++)
        f->single = ((uint32_t *)at)[i] == i && ((uint32_t *)ids)[i] == f->only;
    return US_OK;
}

us_err us_forest_pack(us_eval *k, const us_raw_forest *raw, const us_forest **out)
{
    packer p = {.k = k, .raw = raw};
    void *keep, *has, *count, *stamp;
    if (raw->n_nodes > (size_t)1 << 30 || raw->n_out > (size_t)1 << 16) return US_OK;
    US_TRY(us_eval_keep(k, sizeof(us_forest), &keep));
    us_forest *f = keep;
    US_TRY(place_all(&p, f));
    if (p.odd) return US_OK;
    US_TRY(us_eval_keep(k, f->n_out + 1, &has));
    US_TRY(scratch(k, f->n_out, sizeof(uint32_t), &count));
    US_TRY(scratch(k, f->n_out, sizeof(uint32_t), &stamp));
    if (!settle_outputs(raw, &p, f, has, count, stamp)) return US_OK;
    f->has = has;
    US_TRY(put_values(k, &p, f));
    *out = f;
    return US_OK;
}

/* --- sums -------------------------------------------------------------------------------------------- */

static inline void add_leaf(const us_forest *f, uint32_t leaf, double *s)
{
    if (f->dense) {
        const double *v = f->values + leaf * f->n_out;
        for (size_t o = 0; o < f->n_out; o++)
            s[o] += v[o];
        return;
    }
    for (uint32_t w = f->leaf_at[leaf]; w < f->leaf_at[leaf + 1]; w++)
        s[f->ids[w]] += f->values[w];
}

/* Column o, o + 1, ... of the leaves' values: sums in registers, for a sum in memory waits for itself. */
static inline void add_columns(const us_forest *f, size_t n, const uint32_t *leaves, size_t o,
                               size_t cols, double *s)
{
    double sum[COLUMNS] = {0};
    for (size_t c = 0; c < cols; c++)
        sum[c] = s[o + c];
    for (size_t j = 0; j < n; j++) {
        const double *v = f->values + f->nodes[leaves[j]].more * f->n_out + o;
        for (size_t c = 0; c < cols; c++)
            sum[c] += v[c];
    }
    for (size_t c = 0; c < cols; c++)
        s[o + c] = sum[c];
}

static void add_leaves(const us_forest *f, size_t n, const uint32_t *leaves, double *s)
{
    size_t o = 0;
    double sum = s[f->only];
    for (size_t j = 0; j < n && f->single; j++)
        sum += f->values[f->nodes[leaves[j]].more];
    if (f->single) {
        s[f->only] = sum;
        return;
    }
    for (; f->dense && o + COLUMNS <= f->n_out; o += COLUMNS)
        add_columns(f, n, leaves, o, COLUMNS, s);
    for (; f->dense && o < f->n_out; o++)
        add_columns(f, n, leaves, o, 1, s);
    for (size_t j = 0; j < n && !f->dense; j++)
        add_leaf(f, f->nodes[leaves[j]].more, s);
}

/* keys: room for those of a row. */
static void sum_row(const us_forest *f, const float *x, uint32_t *keys, double *s)
{
    uint32_t leaves[TREES];
    bool nan = us_forest_keys(f->n_features, x, keys) && f->any_nan;
    memset(s, 0, f->n_out * sizeof *s);
    for (size_t i = 0; i < f->n_roots; i += TREES) {
        size_t n = US_MIN((size_t)TREES, f->n_roots - i),
               whole = (n + US_FOREST_GROUP - 1) / US_FOREST_GROUP * US_FOREST_GROUP;
        us_forest_walk_trees(f->nodes, nan, whole, f->roots + i,
                             f->deepest + i / US_FOREST_GROUP, keys, leaves);
        add_leaves(f, n, leaves, s);
    }
}

/* A block of rows, a multiple of the group, tree after tree: sums of row i at s + i * n_out. keys: room for those of all rows. */
static void sum_block(const us_forest *f, size_t rows, const float *x, size_t d, uint32_t *keys,
                      double *s)
{
    uint32_t leaves[ROWS];
    size_t width = f->n_features;
    bool nan = false;
    for (size_t i = 0; i < rows; i++)
        nan |= us_forest_keys(width, x + i * d, keys + i * width);
    nan = nan && f->any_nan;
    memset(s, 0, rows * f->n_out * sizeof *s);
    for (size_t i = 0; i < f->n_roots; i++) {
        us_forest_walk_rows(f->nodes, nan, f->roots[i], f->depths[i], rows, keys, width,
                            leaves);
        for (size_t j = 0; j < rows && f->single; j++)
            s[j * f->n_out + f->only] += f->values[f->nodes[leaves[j]].more];
        for (size_t j = 0; j < rows && !f->single; j++)
            add_leaf(f, f->nodes[leaves[j]].more, s + j * f->n_out);
    }
}

typedef struct job {
    const us_forest *f;
    size_t rows, part; /* rows of a part, a multiple of ROWS */
    const float *x;
    size_t d;
    char *scratch;
    size_t each; /* bytes of it for a part */
    us_forest_row_fn *row;
    void *arg;
} job;

/* Of one part: sums of a block of rows, one row to be finished, which of its outputs have a score, keys. */
static size_t scratch_doubles(const us_forest *f)
{
    size_t n = f->block * f->n_out + f->n_out + 2 + (f->n_out + 8) / 8;
    return (n + 7) / 8 * 8;
}

static bool scratch_each(const us_forest *f, size_t *bytes)
{
    return us_mul_size(f->block * sizeof(uint32_t), f->n_features, bytes) &&
           us_add_size(*bytes, scratch_doubles(f) * sizeof(double) + 63, bytes);
}

static void finish_row(const job *j, size_t i, const double *s, double *one)
{
    size_t n = j->f->n_out;
    uint8_t *has = (uint8_t *)(one + n + 2);
    memcpy(one, s, n * sizeof *one);
    memcpy(has, j->f->has, n + 1);
    j->row(j->arg, i, one, has);
}

/* Rows that fill no group go through all trees one by one: there trees are the walks at once. */
static void run_rows(const job *j, size_t i0, size_t i1, char *scratch)
{
    const us_forest *f = j->f;
    double *s = (void *)scratch, *one = s + f->block * f->n_out;
    uint32_t *keys = (void *)(s + scratch_doubles(f));
    size_t i = i0;
    while (i + US_FOREST_GROUP <= i1) {
        size_t n = US_MIN(f->block, (i1 - i) / US_FOREST_GROUP * US_FOREST_GROUP);
        sum_block(f, n, j->x + i * j->d, j->d, keys, s);
        for (size_t r = 0; r < n; r++)
            finish_row(j, i + r, s + r * f->n_out, one);
        i += n;
    }
    for (; i < i1; i++) {
        sum_row(f, j->x + i * j->d, keys, s);
        finish_row(j, i, s, one);
    }
}

static void run_parts(void *arg, size_t p0, size_t p1)
{
    const job *j = arg;
    for (size_t p = p0; p < p1; p++)
        run_rows(j, p * j->part, US_MIN(j->rows, (p + 1) * j->part), j->scratch + p * j->each);
}

/* Rows of a part. */
static size_t part_of(const us_forest *f, size_t rows)
{
    double walks = (double)rows * (double)f->n_roots / PART_WALKS;
    size_t n = walks < 2 ? 1 : (size_t)US_MIN(walks, (double)MOST_PARTS);
    size_t part = (rows + n - 1) / n;
    return n == 1 ? US_MAX(rows, (size_t)1) : (part + ROWS - 1) / ROWS * ROWS;
}

bool us_forest_scratch(const us_forest *f, size_t rows, size_t *bytes)
{
    size_t part = part_of(f, rows), each;
    return scratch_each(f, &each) &&
           us_mul_size((rows + part - 1) / part, each / 64 * 64, bytes);
}

void us_forest_sums(const us_forest *f, us_ctx *c, size_t rows, const float *x, size_t d,
                    void *scratch, us_forest_row_fn *row, void *arg)
{
    size_t each;
    if (!scratch_each(f, &each)) return; /* us_forest_scratch has said no */
    job j = {f, rows, part_of(f, rows), x, d, scratch, each / 64 * 64, row, arg};
    size_t n = (rows + j.part - 1) / j.part;
    if (n <= 1 || us_pool_n_threads(c->pool) == 1)
        run_rows(&j, 0, rows, scratch);
    else
        us_pool_run(c->pool, n, 1, run_parts, &j);
}
