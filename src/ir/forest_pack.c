/* ir/forest_pack.c - a forest as the operators have it, packed for kernel/forest.h; see forest.h.
 *
 * A tree is laid out level by level, so that its upper nodes, which every walk visits, share cache lines.
 */
#include "ir/forest_in.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"

enum {
    ROWS = 64, /* at once, or fewer for KEYS */
    KEYS = 1 << 14,
    FEW_OUT = 8 /* outputs, of which every leaf may as well have a value */
};
us_err us_forest_room(us_eval *k, size_t n, size_t size, void **out)
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
static void place_branch(us_packer *p, const us_raw_node *r, uint32_t at, size_t *end)
{
    bool is_less = r->mode == US_TREE_LEQ || r->mode == US_TREE_LT;
    bool above = r->mode == US_TREE_LEQ || r->mode == US_TREE_GT;
    uint32_t less = is_less ? r->yes : r->no, other = is_less ? r->no : r->yes;
    if (is_odd(r) || p->seen[less] || p->seen[other] || less == other) {
        p->odd = true;
        return;
    }
    p->seen[less] = p->seen[other] = 1;
    us_placed *to = &p->at[at];
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

static void place_tree(us_packer *p, size_t tree)
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

static us_err place_all(us_packer *p)
{
    const us_raw_forest *raw = p->raw;
    size_t n = raw->n_nodes, trees = raw->n_roots;
    void *mem, *lists, *by_tree;
    US_TRY(us_forest_room(p->k, n + 2 * trees + 2, sizeof *p->at, &mem));
    p->at = mem;
    US_TRY(us_forest_room(p->k, 3 * n, sizeof(uint32_t), &lists));
    p->queue = lists;
    p->places = p->queue + n;
    p->leaf_of = p->places + n;
    US_TRY(us_forest_room(p->k, 3 * trees + 1, sizeof(uint32_t), &by_tree));
    p->roots = by_tree;
    p->depth = p->roots + trees;
    p->first_leaf = p->depth + trees;
    US_TRY(us_forest_room(p->k, n, 1, &mem));
    p->seen = mem;
    for (size_t i = 0; i < trees && !p->odd; i++)
        place_tree(p, i);
    p->first_leaf[trees] = (uint32_t)p->n_leaves;
    return US_OK;
}

/* --- chunks ------------------------------------------------------------------------------------------ */

static us_err list_deep(us_packer *p, size_t from, us_tree_chunk *c)
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

static us_err make_chunk(us_packer *p, size_t from, us_tree_chunk *c)
{
    c->n = (uint32_t)US_MIN(p->f->n_roots - from, p->f->wide);
    US_TRY(us_forest_upper(p, from, c));
    return p->f->sets || p->f->hops ? US_OK : list_deep(p, from, c);
}

static us_err make_chunks(us_packer *p)
{
    us_forest *f = p->f;
    void *mem;
    f->n_chunks = (f->n_roots + f->wide - 1) / f->wide;
    US_TRY(us_eval_keep(p->k, f->n_chunks * sizeof(us_tree_chunk), &mem));
    f->chunks = mem;
    for (size_t i = 0; i < f->n_chunks; i++)
        US_TRY(make_chunk(p, i * f->wide, (us_tree_chunk *)mem + i));
    return US_OK;
}

/* --- nodes ------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The features that branches ask for, in order, and how many keys a row has. */
static us_err find_features(us_packer *p)
{
    size_t n = 0, some = 0;
    void *mem, *keep;
    US_TRY(us_forest_room(p->k, p->n, sizeof(uint32_t), &mem));
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

static uint32_t key_number(const us_forest *f, const us_placed *b)
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

static us_err make_nodes(us_packer *p)
{
    static const uint32_t first = 0;
    us_forest *f = p->f;
    void *mem;
    US_TRY(us_eval_keep_raw(p->k, p->n * sizeof(us_tree_node), &mem));
    us_tree_node *to = mem;
    for (size_t i = 0; i < p->n; i++) {
        const us_placed *b = &p->at[i];
        uint32_t key = b->child ? key_number(f, b) : (uint32_t)f->n_keys - 1, t = b->leaf;
        if (b->child) us_forest_keys(1, &first, &b->t, &t, NULL);
        to[i] = (us_tree_node){t, key, b->child ? b->child : (uint32_t)i};
    }
    f->nodes = to;
    return US_OK;
}

/* --- values ------------------------------------------------------------------------------------------ */

static const us_raw_node *leaf_at(const us_packer *p, size_t i)
{
    return &p->raw->nodes[p->leaf_of[i]];
}

/* Outputs of which each leaf of some tree has a score always get one, those of no leaf never do. Others would depend on the row. */
static bool settle_outputs(const us_packer *p, uint8_t *has, uint32_t *count, uint32_t *stamp)
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

/* No output has two values in a leaf. */
static bool is_plain(const us_packer *p, const us_raw_node *leaf)
{
    for (uint32_t i = leaf->w0; i < leaf->w1; i++)
        for (uint32_t j = leaf->w0; j < i; j++)
            if (p->raw->weights[j].id == p->raw->weights[i].id) return false;
    return true;
}

/* How leaves' values lie. What a leaf has no value for is 0 in its row, which leaves a sum as it is. */
static void find_layout(const us_packer *p)
{
    us_forest *f = p->f;
    const us_raw_weight *w = p->raw->weights;
    bool few = f->n_out <= FEW_OUT, all = true, only = true;
    f->only = SIZE_MAX;
    for (size_t i = 0; i < p->n_leaves; i++) {
        const us_raw_node *leaf = leaf_at(p, i);
        size_t n = leaf->w1 - leaf->w0;
        few = few && is_plain(p, leaf);
        all = all && n == f->n_out;
        for (size_t j = 0; j < n && all; j++)
            all = w[leaf->w0 + j].id == j;
        if (n == 1 && f->only == SIZE_MAX) f->only = w[leaf->w0].id;
        only = only && n == 1 && w[leaf->w0].id == f->only;
    }
    if (!only) f->only = SIZE_MAX;
    f->rows = only || few || all;
    f->width = only ? 1 : f->n_out;
    if (f->rows && f->width > 1) f->width = (f->width + 3) / 4 * 4; /* whole vectors */
}

static us_err put_rows(us_packer *p)
{
    us_forest *f = p->f;
    void *values;
    size_t room;
    if (!us_mul_size(p->n_leaves * f->width, sizeof(double), &room))
        return us_eval_fail(p->k, US_LIMIT, "%zu leaves", p->n_leaves);
    US_TRY(us_eval_keep(p->k, room, &values));
    for (size_t i = 0; i < p->n_leaves; i++) {
        double *row = (double *)values + i * f->width;
        for (uint32_t w = leaf_at(p, i)->w0; w < leaf_at(p, i)->w1; w++)
            row[f->width == 1 ? 0 : p->raw->weights[w].id] = p->raw->weights[w].value;
    }
    f->values = values;
    return US_OK;
}

static us_err put_lists(us_packer *p)
{
    us_forest *f = p->f;
    size_t n = 0;
    void *values, *ids, *at;
    for (size_t i = 0; i < p->n_leaves; i++)
        n += leaf_at(p, i)->w1 - leaf_at(p, i)->w0;
    if (n > UINT32_MAX) return us_eval_fail(p->k, US_LIMIT, "%zu weights", n);
    US_TRY(us_eval_keep(p->k, n * sizeof(double), &values));
    US_TRY(us_eval_keep(p->k, n * sizeof(uint32_t), &ids));
    US_TRY(us_eval_keep(p->k, (p->n_leaves + 1) * sizeof(uint32_t), &at));
    n = 0;
    for (size_t i = 0; i < p->n_leaves; i++) {
        for (uint32_t w = leaf_at(p, i)->w0; w < leaf_at(p, i)->w1; w++, n++) {
            ((double *)values)[n] = p->raw->weights[w].value;
            ((uint32_t *)ids)[n] = p->raw->weights[w].id;
        }
        ((uint32_t *)at)[i + 1] = (uint32_t)n;
    }
    f->values = values;
    f->ids = ids;
    f->leaf_at = at;
    return US_OK;
}

us_err us_forest_pack(us_eval *k, const us_raw_forest *raw, const us_forest **out)
{
    us_packer p = {.k = k, .raw = raw};
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
    US_TRY(us_forest_room(k, f->n_out, sizeof(uint32_t), &count));
    US_TRY(us_forest_room(k, f->n_out, sizeof(uint32_t), &stamp));
    if (!settle_outputs(&p, has, count, stamp)) return US_OK;
    f->has = has;
    US_TRY(find_features(&p));
    US_TRY(us_forest_choose(&p));
    if (!f->sets && !f->hops) US_TRY(make_nodes(&p));
    US_TRY(make_chunks(&p));
    find_layout(&p);
    US_TRY(f->rows ? put_rows(&p) : put_lists(&p));
    f->block = US_MIN(KEYS / f->n_keys / US_FOREST_GROUP * US_FOREST_GROUP, (size_t)ROWS);
    f->block = US_MAX(f->block, (size_t)US_FOREST_GROUP);
    *out = f;
    return US_OK;
}
