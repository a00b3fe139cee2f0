/* image/resize.c - bilinear resize with antialiasing, byte for byte as Pillow's.
 *
 * Two passes, rows then columns, in 8-bit fixed point: each output pixel is a sum of input pixels with weights of a triangle that
 * is as wide as the ratio of the sizes when shrinking, two pixels wide when growing. Between the passes values are rounded to
 * bytes. Why Pillow's rounding and not a more exact one: networks were trained on what it gave.
 * Pillow 13 does columns first where a picture gets lower and wider; there our bytes are those of earlier versions, one step away.
 * Source: Pillow, src/libImaging/Resample.c (the algorithm; the code is ours).
 */
#include <math.h>
#include <string.h>

#include "image/prep.h"

#define BITS                                                                                   \
    22 /* of the weights' fraction: 32 - 8 for the pixel - 2 for a sum that overshoots */

typedef struct taps { /* of one axis */
    int64_t n_out, width;
    int64_t *first, *count; /* per output pixel: which input pixels */
    int32_t *weight;        /* n_out * width */
} taps;

static us_err taps_new(us_ctx *c, us_arena *a, int64_t n_in, int64_t n_out, taps *out)
{
    double scale = (double)n_in / (double)n_out, wide = fmax(scale, 1.0);
    taps t = {.n_out = n_out, .width = (int64_t)ceil(wide) * 2 + 1};
    t.first = us_new_n(a, int64_t, (size_t)n_out);
    t.count = us_new_n(a, int64_t, (size_t)n_out);
    t.weight = us_new_n(a, int32_t, (size_t)(n_out * t.width));
    double *w = us_new_n(a, double, (size_t)t.width);
    if (!t.first || !t.count || !t.weight || !w) return us_arena_fail(c, a);
    for (int64_t o = 0; o < n_out; o++) {
        double center = ((double)o + 0.5) * scale, sum = 0;
        int64_t from = US_MAX((int64_t)(center - wide + 0.5), 0);
        int64_t n = US_MIN((int64_t)(center + wide + 0.5), n_in) - from;
        for (int64_t i = 0; i < n; i++) {
            double d = fabs(((double)(i + from) - center + 0.5) * (1.0 / wide));
            w[i] = d < 1.0 ? 1.0 - d : 0.0;
            sum += w[i];
        }
        for (int64_t i = 0; i < n; i++) {
            double v = sum != 0 ? w[i] / sum : w[i];
            t.weight[o * t.width + i] = (int32_t)(0.5 + v * (1 << BITS));
        }
        t.first[o] = from;
        t.count[o] = n;
    }
    *out = t;
    return US_OK;
}

static uint8_t rounded(int32_t sum)
{
    int32_t v = sum >> BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void resize_rows(const taps *t, const uint8_t *in, int64_t h, int64_t w_in, int ch,
                        uint8_t *out)
{
    for (int64_t y = 0; y < h; y++, in += w_in * ch)
        for (int64_t x = 0; x < t->n_out; x++)
            for (int k = 0; k < ch; k++) {
                int32_t sum = 1 << (BITS - 1);
                const uint8_t *p = in + t->first[x] * ch + k;
                for (int64_t i = 0; i < t->count[x]; i++)
                    sum += p[i * ch] * t->weight[x * t->width + i];
                *out++ = rounded(sum);
            }
}

static void resize_columns(const taps *t, const uint8_t *in, int64_t row, int32_t *sum,
                           uint8_t *out)
{
    for (int64_t y = 0; y < t->n_out; y++, out += row) {
        for (int64_t x = 0; x < row; x++)
            sum[x] = 1 << (BITS - 1);
        for (int64_t i = 0; i < t->count[y]; i++) {
            const uint8_t *p = in + (t->first[y] + i) * row;
            int32_t k = t->weight[y * t->width + i];
            for (int64_t x = 0; x < row; x++)
                sum[x] += p[x] * k;
        }
        for (int64_t x = 0; x < row; x++)
            out[x] = rounded(sum[x]);
    }
}

us_err us_image_resize(us_ctx *c, us_arena *a, const us_image *in, int64_t h, int64_t w,
                       us_image *out)
{
    int ch = us_pixels_channels(in->pixels);
    taps across, down;
    if (h < 1 || w < 1 || h > US_IMAGE_MAX_SIDE || w > US_IMAGE_MAX_SIDE ||
        (uint64_t)(h * w) > US_IMAGE_MAX_PIXELS || (uint64_t)(in->h * w) > US_IMAGE_MAX_PIXELS)
        return us_fail(c, US_LIMIT,
                       "a picture of %lld x %lld (height, width) to %lld x %lld: sides must be "
                       "1 to %d",
                       (long long)in->h, (long long)in->w, (long long)h, (long long)w,
                       US_IMAGE_MAX_SIDE);
    uint8_t *result = us_arena_alloc(a, (size_t)(h * w), (size_t)ch, 64);
    if (!result) return us_arena_fail(c, a);
    us_mark mark = us_arena_mark(a);
    US_TRY(taps_new(c, a, in->w, w, &across));
    US_TRY(taps_new(c, a, in->h, h, &down));
    uint8_t *between = us_arena_alloc(a, (size_t)(in->h * w), (size_t)ch, 64);
    int32_t *sum = us_new_n(a, int32_t, (size_t)(w * ch));
    if (!between || !sum) return us_arena_fail(c, a);
    resize_rows(&across, in->data, in->h, in->w, ch, between);
    resize_columns(&down, between, w * ch, sum, result);
    us_arena_reset(a, mark);
    *out = (us_image){h, w, in->pixels, result, in->format};
    return US_OK;
}
