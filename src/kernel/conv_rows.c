/* kernel/conv_rows.c - what convolutions share that make an output row of one block of channels at a time.
 *
 * Items are some rows of a block, those of the same rows side by side: a thread of the pool then has the same part of the image in
 * one convolution and in the next.
 */
#include "base/pool.h"
#include "kernel/conv_algo.h"

#define ITEM_PRODUCTS 10000 /* vectors: a few microseconds */

void us_conv_set_rows(us_conv *cv, size_t row_products)
{
    cv->rows = US_MAX(ITEM_PRODUCTS / US_MAX(row_products, 1), 1);
}

us_conv_dw us_conv_row(const us_conv *cv, const us_conv_args *a, size_t block)
{
    const us_conv_dims *s = &cv->s;
    size_t b = cv->f->block;
    return (us_conv_dw){.width = s->w,
                        .row = s->dh * s->w * b,
                        .kw = s->kw,
                        .sw = s->sw,
                        .dw = s->dw,
                        .left = s->left,
                        .ow = s->ow,
                        .bias = a->packed + block * b,
                        .lo = a->lo,
                        .hi = a->hi};
}

ptrdiff_t us_conv_row_at(const us_conv *cv, const us_conv_args *a, size_t image_block, size_t y,
                         const float *x, const float *w, us_conv_dw *row)
{
    const us_conv_dims *s = &cv->s;
    size_t b = cv->f->block, k0, k1, at = (image_block * s->oh + y) * s->ow * b;
    us_conv_tap_rows(s, y, &k0, &k1);
    ptrdiff_t first = k1 ? (ptrdiff_t)(y * s->sh + k0 * s->dh) - s->top : 0;
    row->x = x + (size_t)first * s->w * b;
    row->w = w + k0 * s->kw * b;
    row->n_kh = k1 - k0;
    row->y = a->y + at;
    row->res = a->res ? a->res + at : NULL;
    return first;
}

typedef struct job {
    const us_conv *cv;
    const us_conv_args *a;
    us_conv_rows_fn *rows;
    size_t per; /* items of a block */
} job;

static void run_items(void *arg, size_t i0, size_t i1)
{
    const job *j = arg;
    const us_conv *cv = j->cv;
    size_t blocks = cv->out_blocks, of_image = j->per * blocks;
    for (size_t i = i0; i < i1; i++) {
        size_t y0 = i % of_image / blocks * cv->rows;
        j->rows(cv, j->a, i / of_image * blocks + i % blocks, y0,
                US_MIN(y0 + cv->rows, cv->s.oh));
    }
}

void us_conv_by_rows(const us_conv *cv, const us_conv_args *a, us_pool *pool,
                     us_conv_rows_fn *rows)
{
    job j = {cv, a, rows, (cv->s.oh + cv->rows - 1) / cv->rows};
    if (cv->work < US_CONV_SERIAL_WORK) pool = NULL;
    us_pool_run(pool, cv->s.n * cv->out_blocks * j.per, 1, run_items, &j);
}
