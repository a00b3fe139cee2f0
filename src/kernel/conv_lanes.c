/* kernel/conv_lanes.c - groups narrower than a block, or of widths that no block divides: each lane of the output reads lanes of its own.
 *
 * An output block's lanes belong to several groups, so no single lane of the input serves them all, as in the direct tiles. Instead a
 * step turns an input vector round, so that every lane of it holds a channel of that lane's group; then the taps go by
 * as in a depthwise convolution. Where groups of C channels divide a block that takes C steps and no product is wasted.
 * Others meet several input blocks, and in some steps some lanes nothing (they read a zero, never another group's number: it
 * could be a NaN).
 *
 * Items are rows of blocks. Sums go step by step (input blocks in order, then channels), tap by tap.
 */
#include "kernel/conv_algo.h"

#include <string.h>

/* Channels [*c0, *c1) of the input that output channel m reads. */
static void read_by(const us_conv_dims *s, size_t m, size_t *c0, size_t *c1)
{
    size_t cg = s->c / s->groups;
    *c0 = m / (s->m / s->groups) * cg;
    *c1 = *c0 + cg;
}

/* Those of them in input block ib; false: none. */
static bool read_in(const us_conv_dims *s, size_t block, size_t m, size_t ib, size_t *c0,
                    size_t *c1)
{
    read_by(s, m, c0, c1);
    *c0 = US_MAX(*c0, ib * block);
    *c1 = US_MIN(*c1, (ib + 1) * block);
    return *c0 < *c1;
}

/* Input blocks [*i0, *i1) that lanes of output block ob read. */
static void blocks_of(const us_conv_dims *s, size_t block, size_t ob, size_t *i0, size_t *i1)
{
    size_t c0, c1, last = US_MIN((ob + 1) * block, s->m) - 1;
    read_by(s, ob * block, &c0, &c1);
    *i0 = c0 / block;
    read_by(s, last, &c0, &c1);
    *i1 = us_conv_blocks(c1, block);
}

/* Steps that output block ob takes over input block ib: as many as its busiest lane has channels there. */
static size_t steps_in(const us_conv_dims *s, size_t block, size_t ob, size_t ib)
{
    size_t most = 0, c0, c1, end = US_MIN((ob + 1) * block, s->m);
    for (size_t m = ob * block; m < end; m++)
        if (read_in(s, block, m, ib, &c0, &c1)) most = US_MAX(most, c1 - c0);
    return most;
}

static size_t steps_of(const us_conv_dims *s, size_t block, size_t ob)
{
    size_t i0, i1, n = 0;
    blocks_of(s, block, ob, &i0, &i1);
    for (; i0 < i1; i0++)
        n += steps_in(s, block, ob, i0);
    return n;
}

static size_t all_steps(const us_conv_dims *s, size_t block)
{
    size_t n = 0;
    for (size_t ob = 0; ob < us_conv_blocks(s->m, block); ob++)
        n += steps_of(s, block, ob);
    return n;
}

/* --- choice and weights ---------------------------------------------------------------------------------------------- */

static bool fits(const us_conv_kernels *f, const us_conv_dims *s)
{
    bool depthwise = s->groups == s->c && s->m == s->c;
    return f->lanes && s->groups > 1 && s->c >= s->groups && !depthwise && !s->plain &&
           s->c <= INT32_MAX;
}

/* A turned vector serves the columns' taps; each turn costs about half a product. */
static double cost(const us_conv_kernels *f, const us_conv_dims *s, size_t q)
{
    size_t ow = s->ow ? s->ow : 4 * US_CONV_MAX_P;
    (void)q;
    return (double)all_steps(s, f->block) * (double)US_MAX(s->oh, 1) * (double)ow *
           (double)s->kh * ((double)s->kw + (double)s->sw / 2 + 0.5) / 2;
}

/* After the bias: for each output block the number of the first of its steps, then all steps. */
static size_t table_floats(size_t blocks, size_t block)
{
    return us_conv_blocks(blocks + 1, block) * block;
}

static size_t floats(const us_conv_kernels *f, const us_conv_dims *s)
{
    size_t b = f->block, blocks = us_conv_blocks(s->m, b);
    return blocks * b + table_floats(blocks, b) + all_steps(s, b) * b * (1 + s->kh * s->kw);
}

/* Step `k` of output block ob over input block ib. */
static void pack_step(const us_conv_dims *s, size_t block, size_t ob, size_t ib, size_t k,
                      const float *w, float *to)
{
    size_t taps = s->kh * s->kw, cg = s->c / s->groups;
    memset(to, 0, (1 + taps) * block * sizeof *to);
    for (size_t l = 0; l < block; l++) {
        size_t m = ob * block + l, c0, c1;
        bool there = m < s->m && read_in(s, block, m, ib, &c0, &c1) && c0 + k < c1;
        int32_t word = (int32_t)(ib * block) +
                       (there ? (int32_t)((c0 + k) % block) : (int32_t)US_CONV_NO_LANE);
        memcpy(to + l, &word, sizeof word);
        if (!there) continue;
        const float *from = w + (m * cg + (c0 + k) % cg) * taps;
        for (size_t t = 0; t < taps; t++)
            to[(1 + t) * block + l] = from[t];
    }
}

static void pack(const us_conv_kernels *f, const us_conv_dims *s, size_t q, const float *w,
                 float *to)
{
    size_t b = f->block, blocks = us_conv_blocks(s->m, b), step = b * (1 + s->kh * s->kw);
    float *table = to, *at = to + table_floats(blocks, b);
    uint32_t n = 0;
    (void)q;
    memset(table, 0, table_floats(blocks, b) * sizeof *table);
    for (size_t ob = 0; ob < blocks; ob++) {
        size_t i0, i1;
        memcpy(table + ob, &n, sizeof n);
        for (blocks_of(s, b, ob, &i0, &i1); i0 < i1; i0++)
            for (size_t k = 0, most = steps_in(s, b, ob, i0); k < most; k++, n++, at += step)
                pack_step(s, b, ob, i0, k, w, at);
    }
    memcpy(table + blocks, &n, sizeof n);
}

/* --- run ---------------------------------------------------------------------------------------------------------------- */

static void open_lanes(us_conv *cv)
{
    const us_conv_dims *s = &cv->s;
    cv->in_blocks = us_conv_blocks(s->c, cv->f->block);
    us_conv_set_rows(cv, s->ow * s->kh * s->kw * US_MAX(s->c / s->groups, 1));
}

static void run_rows(const us_conv *cv, const us_conv_args *a, size_t image_block, size_t y0,
                     size_t y1)
{
    const us_conv_dims *s = &cv->s;
    size_t b = cv->f->block, block = image_block % cv->out_blocks, plane = s->h * s->w * b;
    const float *table = a->packed + cv->out_blocks * b;
    uint32_t first, end;
    memcpy(&first, table + block, sizeof first);
    memcpy(&end, table + block + 1, sizeof end);
    us_conv_lanes_fn *fn = cv->f->lanes(s->kw, s->sw, s->dw);
    us_conv_lanes t = {.plane = plane, .n_steps = end - first, .step = b * (1 + s->kh * s->kw)};
    t.words = table + table_floats(cv->out_blocks, b) + first * t.step;
    t.row = us_conv_row(cv, a, block);
    const float *x = a->x + image_block / cv->out_blocks * cv->in_blocks * plane;
    for (size_t y = y0; y < y1; y++) {
        (void)us_conv_row_at(cv, a, image_block, y, x, t.words + b, &t.row);
        fn(&t);
        if (a->tail)
            a->tail(a->tail_arg, image_block, (size_t)(t.row.y - a->y), t.row.y, s->ow * b);
    }
}

static void run(const us_conv *cv, const us_conv_args *a, struct us_pool *pool)
{
    us_conv_by_rows(cv, a, pool, run_rows);
}

const us_conv_algo us_conv_by_lanes = {.name = "conv narrow groups",
                                       .fits = fits,
                                       .cost = cost,
                                       .floats = floats,
                                       .pack = pack,
                                       .open = open_lanes,
                                       .run = run};
