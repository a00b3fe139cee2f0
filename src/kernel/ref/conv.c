/* kernel/ref/conv.c - the tiles of conv.h in portable C: what every instruction set's must equal, up to the rounding of a product.
 *
 * One pixel and one output block at a time, B sums side by side for the compiler's vectors; the order of the sums is that of
 * the register tiles.
 */
#include <math.h>
#include <string.h>

#include "kernel/conv.h"
#include "kernel/variants.h"

enum { B = 16 };

/* Rounded once where the processor does so; elsewhere fmaf() is a call for each lane, thirty times as slow as two roundings. */
static inline float mul_add(float a, float b, float c)
{
#ifdef FP_FAST_FMAF
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

static inline float clamp(float x, float lo, float hi)
{
    x = x < lo ? lo : x; /* NaN passes */
    return x > hi ? hi : x;
}

static void finish(const float *sum, const float *res, float lo, float hi, float *y)
{
    for (size_t l = 0; l < B; l++)
        y[l] = clamp(res ? sum[l] + res[l] : sum[l], lo, hi);
}

/* sum += one pixel's products with weights `wide` floats apart per lane. */
static void add_lanes(float *sum, const float *x, const float *w, size_t lanes, size_t wide)
{
    for (size_t k = 0; k < lanes; k++, w += wide)
        for (size_t l = 0; l < B; l++)
            sum[l] = mul_add(x[k], w[l], sum[l]);
}

static void tile_at(const us_conv_tile *t, size_t p, size_t q, size_t step)
{
    float sum[B], *y = t->y + q * t->y_plane + p * t->y_step;
    memcpy(sum, t->bias ? t->bias + q * B : y, sizeof sum);
    const float *x = t->x + p * step, *w = t->w + q * B;
    size_t wide = t->q * B, from = q == 0 ? t->y_first : 0, to = q + 1 == t->q ? t->y_last : B;
    for (size_t i = 0; i < t->n_blocks; i++) {
        size_t first = i == 0 ? t->first : 0;
        size_t lanes = (i + 1 < t->n_blocks ? t->lanes : t->last_lanes) - first;
        const float *wt = w + t->skip * lanes * wide, *block = x + i * t->plane + first;
        w += t->all_taps * lanes * wide;
        for (size_t k = 0; k < t->n_taps; k++, wt += lanes * wide)
            add_lanes(sum, block + t->taps[k], wt, lanes, wide);
    }
    float out[B];
    memcpy(out, sum, sizeof out);
    if (!t->more)
        finish(sum, t->res ? t->res + q * t->y_plane + p * t->y_step : NULL, t->lo, t->hi, out);
    memcpy(y + from, out + from, (to - from) * sizeof *y);
}

static void tile_blocked(const us_conv_tile *t)
{
    for (size_t q = 0; q < t->q; q++)
        for (size_t p = 0; p < t->n * t->p; p++)
            tile_at(t, p, q, B);
}

static void tile_plain(const us_conv_tile *t)
{
    for (size_t q = 0; q < t->q; q++)
        for (size_t p = 0; p < t->n * t->p; p++)
            tile_at(t, p, q, 1);
}

static us_conv_tile_fn *tile(size_t q, size_t p, bool plain)
{
    (void)q;
    (void)p;
    return plain ? tile_plain : tile_blocked;
}

static void dw_row(const us_conv_dw *t)
{
    for (size_t o = 0; o < t->ow; o++) {
        float sum[B];
        memcpy(sum, t->bias, sizeof sum);
        for (size_t i = 0; i < t->n_kh; i++)
            for (size_t k = 0; k < t->kw; k++) {
                ptrdiff_t col = (ptrdiff_t)(o * t->sw + k * t->dw) - t->left;
                if (col < 0 || col >= (ptrdiff_t)t->width) continue;
                const float *x = t->x + i * t->row + (size_t)col * B,
                            *w = t->w + (i * t->kw + k) * B;
                for (size_t l = 0; l < B; l++)
                    sum[l] = mul_add(x[l], w[l], sum[l]);
            }
        finish(sum, t->res ? t->res + o * B : NULL, t->lo, t->hi, t->y + o * B);
    }
}

static us_conv_dw_fn *dw(size_t kw, size_t sw, size_t dil)
{
    (void)kw;
    (void)sw;
    (void)dil;
    return dw_row;
}

/* A pixel's sum gains one step: `x` is column 0 of the step's input block. */
static void add_step(const us_conv_lanes *t, size_t o, const float *x, const int32_t *at,
                     const float *w, float *sum)
{
    const us_conv_dw *d = &t->row;
    for (size_t i = 0; i < d->n_kh; i++)
        for (size_t k = 0; k < d->kw; k++, w += B) {
            ptrdiff_t col = (ptrdiff_t)(o * d->sw + k * d->dw) - d->left;
            if (col < 0 || col >= (ptrdiff_t)d->width) continue;
            const float *from = x + i * d->row + (size_t)col * B;
            for (size_t l = 0; l < B; l++)
                sum[l] = mul_add(at[l] < 0 ? 0 : from[at[l] % B], w[l], sum[l]);
        }
}

static void lanes_row(const us_conv_lanes *t)
{
    const us_conv_dw *d = &t->row;
    for (size_t o = 0; o < d->ow; o++) {
        float sum[B];
        memcpy(sum, d->bias, sizeof sum);
        for (size_t i = 0; i < t->n_steps; i++) {
            int32_t at[B];
            memcpy(at, t->words + i * t->step, sizeof at);
            size_t block = (size_t)(at[0] & INT32_MAX) / B;
            add_step(t, o, d->x + block * t->plane, at, d->w + i * t->step, sum);
        }
        finish(sum, d->res ? d->res + o * B : NULL, d->lo, d->hi, d->y + o * B);
    }
}

static us_conv_lanes_fn *lanes(size_t kw, size_t sw, size_t dil)
{
    (void)kw;
    (void)sw;
    (void)dil;
    return lanes_row;
}

static void pool_max(const us_conv_pool *t)
{
    for (size_t o = 0; o < t->ow; o++) {
        const us_conv_span s = t->spans[o];
        for (size_t l = 0; l < B; l++) {
            float best = t->n_kh && s.n ? -INFINITY : 0;
            for (size_t i = 0; i < t->n_kh; i++)
                for (size_t k = 0; k < s.n; k++) {
                    float x = t->x[i * t->row + s.x * B + k * t->step + l];
                    if (best == best && (x > best || x != x)) best = x; /* a NaN stays */
                }
            t->y[o * B + l] = best;
        }
    }
}

static void pool_mean(const us_conv_pool *t)
{
    for (size_t o = 0; o < t->ow; o++) {
        const us_conv_span s = t->spans[o];
        for (size_t l = 0; l < B; l++) {
            float sum = 0, n = t->count * s.count;
            for (size_t i = 0; i < t->n_kh; i++) {
                float row = 0; /* of its own: long chains lose digits */
                for (size_t k = 0; k < s.n; k++)
                    row += t->x[i * t->row + s.x * B + k * t->step + l];
                sum += row;
            }
            t->y[o * B + l] = sum / (n < 1 ? 1 : n);
        }
    }
}

static void mix(const us_conv_mix *t)
{
    for (size_t o = 0; o < t->ow; o++) {
        const us_conv_tap p = t->taps[o];
        const float *a = t->x0 + p.a * B, *b = t->x0 + p.b * B;
        for (size_t l = 0; l < B; l++)
            t->y[o * B + l] =
                t->x1 ? t->w0 * (p.wa * a[l] + p.wb * b[l]) +
                            t->w1 * (p.wa * t->x1[p.a * B + l] + p.wb * t->x1[p.b * B + l])
                      : a[l];
    }
}

static void block_in(size_t lanes, size_t pixels, const float *x, float *y)
{
    us_conv_block(B, lanes, pixels, x, y);
}

static void block_out(size_t lanes, size_t pixels, const float *x, float *y)
{
    us_conv_unblock(B, lanes, pixels, x, y);
}

static void pick(size_t n, size_t stride, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        memcpy(y + i * B, x + i * stride, B * sizeof *y);
}

static void apart(size_t n, const float *x, float *even, float *odd)
{
    for (size_t i = 0; i < n; i++) {
        even[i] = x[2 * i];
        odd[i] = x[2 * i + 1];
    }
}

const us_conv_kernels us_conv__ref = {.name = "ref",
                                      .block = B,
                                      .max_p = {0, 8, 8},
                                      .tile = tile,
                                      .dw = dw,
                                      .lanes = lanes,
                                      .pool_max = pool_max,
                                      .pool_mean = pool_mean,
                                      .mix = mix,
                                      .block_in = block_in,
                                      .block_out = block_out,
                                      .pick = pick,
                                      .apart = apart};
