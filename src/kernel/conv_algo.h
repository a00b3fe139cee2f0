/* kernel/conv_algo.h - inside of the convolutions: an algorithm of the table of candidates. */
#ifndef USTA_KERNEL_CONV_ALGO_H
#define USTA_KERNEL_CONV_ALGO_H

#include "kernel/conv.h"

struct us_conv_algo {
    const char *name;
    bool grid;    /* writes outputs that lie apart */
    bool plain_y; /* and without blocks */
    bool (*fits)(const us_conv_kernels *f, const us_conv_dims *s);
    double (*cost)(const us_conv_kernels *f, const us_conv_dims *s, size_t q); /* cycles */
    size_t (*floats)(const us_conv_kernels *f, const us_conv_dims *s);
    /* weights only, all of them: the memory is not zeroed. The bias, out_blocks * B floats, lies before them */
    void (*pack)(const us_conv_kernels *f, const us_conv_dims *s, size_t q, const float *w,
                 float *to);
    void (*open)(us_conv *cv);
    void (*run)(const us_conv *cv, const us_conv_args *a, struct us_pool *pool);
};
extern const us_conv_algo us_conv_direct, us_conv_narrow, us_conv_depthwise, us_conv_by_lanes;

static inline size_t us_conv_blocks(size_t channels, size_t block)
{
    return (channels + block - 1) / block;
}

/* Rows of the kernel that meet the image for output row `oy`: [*k0, *k1); both 0 when none does. */
static inline void us_conv_tap_rows(const us_conv_dims *s, size_t oy, size_t *k0, size_t *k1)
{
    ptrdiff_t at = (ptrdiff_t)(oy * s->sh) - s->top, dh = (ptrdiff_t)s->dh, h = (ptrdiff_t)s->h,
              kh = (ptrdiff_t)s->kh;
    ptrdiff_t lo = at < 0 ? (-at + dh - 1) / dh : 0;
    ptrdiff_t hi = at < h ? US_MIN(kh, (h - at + dh - 1) / dh) : 0;
    bool none = lo >= hi;
    *k0 = none ? 0 : (size_t)lo;
    *k1 = none ? 0 : (size_t)hi;
}

#define US_CONV_ITEM_BYTES                                                                     \
    ((size_t)256 << 10) /* weights of an item: half of a second-level cache */

/* Pool or not: below this much work a second thread costs more than it brings. */
#define US_CONV_SERIAL_WORK 1e6

/* Convolutions that make an output row of a block of channels at a time. image_block counts blocks over all images. */
typedef void us_conv_rows_fn(const us_conv *cv, const us_conv_args *a, size_t image_block,
                             size_t y0, size_t y1);
void us_conv_set_rows(
    us_conv *cv,
    size_t row_products); /* vector products of a row: how many rows make an item */
void us_conv_by_rows(const us_conv *cv, const us_conv_args *a, struct us_pool *pool,
                     us_conv_rows_fn *rows);
/* What the rows of a block have in common, and what is of row y: from the block's input plane x and weights w, [kh][kw][B]. Gives the
 * first input row that a tap meets, negative where that is above the image. */
us_conv_dw us_conv_row(const us_conv *cv, const us_conv_args *a, size_t block);
ptrdiff_t us_conv_row_at(const us_conv *cv, const us_conv_args *a, size_t image_block, size_t y,
                         const float *x, const float *w, us_conv_dw *row);

#endif
