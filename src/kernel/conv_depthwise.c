/* kernel/conv_depthwise.c - one filter per channel: a block of B channels is B convolutions side by side.
 *
 * The kernel of an instruction set makes one output row of one block: there is no sum over channels, so each input vector
 * serves all taps that meet it and the padding is left out rather than read. Items are rows of blocks.
 */
#include "kernel/conv_algo.h"

#include <string.h>

static bool fits(const us_conv_kernels *f, const us_conv_dims *s)
{
    (void)f;
    return s->groups == s->c && s->m == s->c && !s->plain;
}

/* The direct row takes a depthwise convolution only where each group is one block, and then needs B times the work. */
static double cost(const us_conv_kernels *f, const us_conv_dims *s, size_t q)
{
    size_t ow = s->ow ? s->ow : 4 * US_CONV_MAX_P;
    (void)q;
    return (double)us_conv_blocks(s->c, f->block) * (double)US_MAX(s->oh, 1) * (double)ow *
           (double)(s->kh * s->kw);
}

static size_t floats(const us_conv_kernels *f, const us_conv_dims *s)
{
    return us_conv_blocks(s->m, f->block) * f->block * (1 + s->kh * s->kw);
}

/* [block][tap][B] */
static void pack(const us_conv_kernels *f, const us_conv_dims *s, size_t q, const float *w,
                 float *to)
{
    size_t taps = s->kh * s->kw, b = f->block;
    (void)q;
    memset(to, 0, us_conv_blocks(s->m, b) * b * taps * sizeof *to);
    for (size_t m = 0; m < s->m; m++)
        for (size_t t = 0; t < taps; t++)
            to[(m / b * taps + t) * b + m % b] = w[m * taps + t];
}

static void open_depthwise(us_conv *cv)
{
    const us_conv_dims *s = &cv->s;
    us_conv_set_rows(cv, s->ow * s->kh * s->kw);
}

static void run_rows(const us_conv *cv, const us_conv_args *a, size_t image_block, size_t y0,
                     size_t y1)
{
    const us_conv_dims *s = &cv->s;
    size_t b = cv->f->block, block = image_block % cv->out_blocks, taps = s->kh * s->kw;
    us_conv_dw_fn *fn = cv->f->dw(s->kw, s->sw, s->dw);
    const float *x = a->x + image_block * s->h * s->w * b,
                *w = a->packed + (cv->out_blocks + block * taps) * b;
    us_conv_dw t = us_conv_row(cv, a, block);
    bool pairs =
        cv->f->dw_two_rows && s->kh == 3 && s->kw == 3 && s->sh * s->sw * s->dh * s->dw == 1;
    for (size_t y = y0; y < y1; y++) {
        ptrdiff_t row = us_conv_row_at(cv, a, image_block, y, x, w, &t);
        bool two = pairs && y + 1 < y1 && row >= 0 && t.n_kh == 3 && (size_t)row + 4 <= s->h;
        (two ? cv->f->dw_two_rows : fn)(&t);
        if (a->tail)
            a->tail(a->tail_arg, image_block, (size_t)(t.y - a->y), t.y,
                    (1u + two) * s->ow * b);
        y += two;
    }
}

static void run(const us_conv *cv, const us_conv_args *a, struct us_pool *pool)
{
    us_conv_by_rows(cv, a, pool, run_rows);
}

const us_conv_algo us_conv_depthwise = {.name = "conv depthwise",
                                        .fits = fits,
                                        .cost = cost,
                                        .floats = floats,
                                        .pack = pack,
                                        .open = open_depthwise,
                                        .run = run};
