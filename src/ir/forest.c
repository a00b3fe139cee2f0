/* ir/forest.c - rows through a packed forest: see forest.h, and forest_in.h for how it is packed.
 *
 * Rows go in blocks, and a block goes through a chunk of trees before the next: first where its trees' tops end, then on to the leaves, a tree
 * after the other with all rows of the block side by side, or where rows are few a row after the other with trees side by side; then the
 * leaves' values are added. A tree is read from afar once per block.
 */
#include "ir/forest_in.h"

#include <string.h>

#include "base/ctx.h"
#include "base/pool.h"

enum { ROWS = 64, MOST_PARTS = 16 };
#define PART_WALKS 2e4 /* that are worth a thread */

/* Memory of one part of the rows. */
typedef struct room {
    double *sums; /* per row of a block US_FOREST_PARTS parts */
    double *one;  /* a row to be finished, */
    uint8_t *has; /* and which of its outputs have a score */
    uint32_t *keys;
    uint32_t *leaves; /* per row f->wide */
    uint8_t *ranks;   /* per row US_FOREST_COLUMNS */
} room;

typedef struct job {
    const us_forest *f;
    const us_forest_run *run;
    const float *x;
    size_t d;
    char *scratch;
    us_forest_row_fn *row;
    void *arg;
} job;

/* --- leaves ------------------------------------------------------------------------------------------ */

/* A row's walks through the deep trees of a chunk, side by side. Without tops all trees are deep. */
static void walk_one_row(const us_forest *f, const us_tree_chunk *c, const uint32_t *keys,
                         uint32_t *at)
{
    uint32_t deep[US_FOREST_WIDE];
    size_t whole = (c->n_deep + US_FOREST_GROUP - 1U) / US_FOREST_GROUP * US_FOREST_GROUP;
    if (f->levels == 0) {
        memcpy(deep, c->tops.base, sizeof deep);
        us_forest_walk_trees(f->nodes, whole, c->deepest, keys, deep);
        for (size_t i = 0; i < c->n; i++)
            at[i] = f->nodes[deep[i]].t;
        return;
    }
    for (size_t i = 0; i < whole; i++)
        deep[i] = f->starts[at[c->deep[i]]];
    us_forest_walk_trees(f->nodes, whole, c->deepest, keys, deep);
    for (size_t i = 0; i < c->n_deep; i++)
        at[c->deep[i]] = f->nodes[deep[i]].t;
}

/* Rows side by side through a tree after the other; rows: a multiple of the group. */
static void walk_rows(const us_forest *f, const us_tree_chunk *c, size_t rows,
                      const uint32_t *keys, uint32_t *at)
{
    uint32_t place[ROWS];
    for (size_t i = 0; i < c->n_deep; i++) {
        uint32_t *a = at + c->deep[i], root = c->tops.base[c->deep[i]];
        for (size_t r = 0; r < rows; r++)
            place[r] = f->levels ? f->starts[a[r * US_FOREST_WIDE]] : root;
        us_forest_walk_rows(f->nodes, c->depth[i], rows, keys, f->n_keys, place);
        for (size_t r = 0; r < rows; r++)
            a[r * US_FOREST_WIDE] = f->nodes[place[r]].t;
    }
}

static void find_leaves(const us_forest *f, const us_tree_chunk *c, size_t rows, const room *m)
{
    size_t whole = rows / US_FOREST_GROUP * US_FOREST_GROUP;
    for (size_t r = 0; r < rows && (f->sets || f->hops || f->levels); r++) {
        const uint8_t *ranks = m->ranks + r * US_FOREST_COLUMNS;
        uint32_t *at = m->leaves + r * f->wide;
        if (f->sets)
            f->kernels->sets(&c->sets, ranks, at);
        else if (f->hops)
            f->kernels->hops(&c->hops, ranks, at);
        else
            f->kernels->tops(&c->tops, ranks, at);
    }
    if (c->n_deep == 0) return;
    if (whole) walk_rows(f, c, whole, m->keys, m->leaves);
    for (size_t r = whole; r < rows; r++)
        walk_one_row(f, c, m->keys + r * f->n_keys, m->leaves + r * US_FOREST_WIDE);
}

/* --- sums -------------------------------------------------------------------------------------------- */

static void add_lists(const us_forest *f, size_t n, const uint32_t *leaves, double *parts)
{
    for (size_t i = 0; i < n; i++) {
        double *s = parts + i % US_FOREST_PARTS * f->width;
        for (uint32_t w = f->leaf_at[leaves[i]]; w < f->leaf_at[leaves[i] + 1]; w++)
            s[f->ids[w]] += f->values[w];
    }
}

static void finish_row(const job *j, size_t i, const double *parts, const room *m)
{
    const us_forest *f = j->f;
    if (f->n_out == 1) { /* no call for a number */
        m->one[0] = us_forest_total(parts, f->width);
        m->has[0] = f->has[0];
        m->has[1] = 0;
        j->row(j->arg, i, m->one, m->has);
        return;
    }
    if (f->only != SIZE_MAX) {
        memset(m->one, 0, f->n_out * sizeof *m->one);
        m->one[f->only] = us_forest_total(parts, 1);
    } else
        for (size_t o = 0; o < f->n_out; o++)
            m->one[o] = us_forest_total(parts + o, f->width);
    memcpy(m->has, f->has, f->n_out + 1);
    j->row(j->arg, i, m->one, m->has);
}

/* --- rows -------------------------------------------------------------------------------------------- */

static void look_at_row(const us_forest *f, const float *x, uint32_t *keys, uint8_t *ranks)
{
    bool low = f->n_keys > f->n_which + 1;
    if (f->any_deep)
        us_forest_keys(f->n_which, f->which, x, keys, low ? keys + f->n_which : NULL);
    keys[f->n_keys - 1] = US_FOREST_LAST;
    f->kernels->ranks(&f->columns, x, ranks);
}

static void run_block(const job *j, size_t i0, size_t rows, const room *m)
{
    const us_forest *f = j->f;
    size_t each = US_FOREST_PARTS * f->width;
    for (size_t r = 0; r < rows; r++)
        look_at_row(f, j->x + (i0 + r) * j->d, m->keys + r * f->n_keys,
                    m->ranks + r * US_FOREST_COLUMNS);
    memset(m->sums, 0, rows * each * sizeof *m->sums);
    for (size_t i = 0; i < f->n_chunks; i++) {
        const us_tree_chunk *c = &f->chunks[i];
        find_leaves(f, c, rows, m);
        for (size_t r = 0; r < rows; r++)
            if (f->rows)
                f->kernels->add(c->n, m->leaves + r * f->wide, f->values, f->width,
                                m->sums + r * each);
            else
                add_lists(f, c->n, m->leaves + r * f->wide, m->sums + r * each);
    }
    for (size_t r = 0; r < rows; r++)
        finish_row(j, i0 + r, m->sums + r * each, m);
}

static void run_rows(const job *j, size_t i0, size_t i1, char *scratch)
{
    const us_forest_run *l = j->run;
    room m = {(void *)scratch,
              (void *)(scratch + l->one),
              (void *)(scratch + l->has),
              (void *)(scratch + l->keys),
              (void *)(scratch + l->leaves),
              (void *)(scratch + l->ranks)};
    for (size_t i = i0; i < i1; i += j->f->block)
        run_block(j, i, US_MIN(j->f->block, i1 - i), &m);
}

static void run_parts(void *arg, size_t p0, size_t p1)
{
    const job *j = arg;
    const us_forest_run *l = j->run;
    for (size_t p = p0; p < p1; p++)
        run_rows(j, p * l->part, US_MIN(l->rows, (p + 1) * l->part), j->scratch + p * l->bytes);
}

/* Rows of a part. */
static size_t part_of(const us_forest *f, size_t rows)
{
    double walks = (double)rows * (double)f->n_roots / PART_WALKS;
    size_t n = walks < 2 ? 1 : (size_t)US_MIN(walks, (double)MOST_PARTS);
    size_t part = (rows + n - 1) / n;
    return n == 1 ? US_MAX(rows, (size_t)1) : (part + ROWS - 1) / ROWS * ROWS;
}

bool us_forest_plan(const us_forest *f, size_t rows, us_forest_run *l, size_t *scratch)
{
    size_t keys;
    l->rows = rows;
    l->part = part_of(f, rows);
    l->n_parts = (rows + l->part - 1) / l->part;
    size_t n = US_MIN(l->part, f->block);
    if (!us_mul_size(n * sizeof(uint32_t), f->n_keys, &keys)) return false;
    l->one = n * US_FOREST_PARTS * f->width * sizeof(double);
    l->has = l->one + (f->n_out + 2) * sizeof(double);
    l->leaves = (l->has + f->n_out + 1 + 63) / 64 * 64;
    l->ranks = l->leaves + n * f->wide * sizeof(uint32_t);
    l->keys = l->ranks + n * US_FOREST_COLUMNS;
    if (!us_add_size(l->keys, keys + 63, &l->bytes)) return false;
    l->bytes = l->bytes / 64 * 64;
    return us_mul_size(l->n_parts, l->bytes, scratch);
}

void us_forest_sums(const us_forest *f, const us_forest_run *run, us_ctx *c, const float *x,
                    size_t d, void *scratch, us_forest_row_fn *row, void *arg)
{
    job j = {f, run, x, d, scratch, row, arg};
    if (run->n_parts <= 1 || us_pool_n_threads(c->pool) == 1)
        run_rows(&j, 0, run->rows, scratch);
    else
        us_pool_run(c->pool, run->n_parts, 1, run_parts, &j);
}
