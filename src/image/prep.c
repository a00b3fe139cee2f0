/* image/prep.c - fit a picture to a size and turn its bytes into a tensor's elements. */
#include "image/prep.h"

#include <math.h>
#include <string.h>

#define RUN 256

us_image_prep us_image_prep_plain(void)
{
    return (us_image_prep){.scale = 1, .std = {1, 1, 1}};
}

us_err us_image_crop(us_ctx *c, us_arena *a, const us_image *in, int64_t h, int64_t w,
                     us_image *out)
{
    if (h < 1 || w < 1 || h > in->h || w > in->w)
        return us_fail(c, US_SHAPE,
                       "cannot cut %lld x %lld (height, width) from a picture of %lld x %lld",
                       (long long)h, (long long)w, (long long)in->h, (long long)in->w);
    size_t ch = (size_t)us_pixels_channels(in->pixels), row = (size_t)w * ch;
    uint8_t *data = us_arena_alloc(a, (size_t)h, row, 64);
    if (!data) return us_arena_fail(c, a);
    int64_t top = (int64_t)rint((double)(in->h - h) / 2.0),
            left = (int64_t)rint((double)(in->w - w) / 2.0);
    for (int64_t y = 0; y < h; y++)
        memcpy(data + (size_t)y * row, in->data + (size_t)((top + y) * in->w + left) * ch, row);
    *out = (us_image){h, w, in->pixels, data, in->format};
    return US_OK;
}

us_err us_image_fit(us_ctx *c, us_arena *a, const us_image *in, const us_image_prep *p,
                    us_image *out)
{
    us_image im = *in;
    if (p->shorter) {
        bool tall = im.w <= im.h;
        int64_t shorter = tall ? im.w : im.h, longer = tall ? im.h : im.w;
        int64_t other = p->shorter * longer / shorter;
        US_TRY(us_image_resize(c, a, &im, tall ? other : p->shorter, tall ? p->shorter : other,
                               &im));
        if (p->h && p->w) US_TRY(us_image_crop(c, a, &im, p->h, p->w, &im));
    } else if (p->h && p->w && (im.h != p->h || im.w != p->w)) {
        US_TRY(us_image_resize(c, a, &im, p->h, p->w, &im));
    }
    *out = im;
    return US_OK;
}

/* The next element of [C,H,W], and of [H,W,C]. */
static void next(int64_t *pixel, int64_t n, int *k)
{
    if (++*pixel < n) return;
    *pixel = 0;
    ++*k;
}

static void next_channel(int *k, int ch, int64_t *pixel)
{
    if (++*k < ch) return;
    *k = 0;
    ++*pixel;
}

us_err us_image_fill(us_ctx *c, const us_image *in, const us_image_prep *p, us_dtype dtype,
                     void *to)
{
    const us_dtype_info *d = us_dtype_get(dtype);
    int ch = us_pixels_channels(in->pixels);
    int64_t n = in->h * in->w;
    bool whole = d->cls == US_DC_INT || d->cls == US_DC_UINT;
    if (!d->from_f64 || d->bits < 8 || (!whole && d->cls != US_DC_FLOAT))
        return us_fail(c, US_UNSUPP, "pixels cannot become elements of type %s", d->name);
    double table[3][256], run[RUN]; /* every value a pixel may have; elements on their way */
    for (int k = 0; k < ch; k++)
        for (int v = 0; v < 256; v++) {
            double x = (v * p->scale - p->mean[k]) / p->std[k];
            table[k][v] = whole ? rint(x) : x;
        }
    int64_t total = n * ch, at = 0;
    int k = 0; /* the channel and pixel of element at + i */
    int64_t pixel = 0;
    while (at < total) {
        int64_t m = US_MIN((int64_t)RUN, total - at);
        for (int64_t i = 0; i < m; i++) {
            run[i] = table[k][in->data[pixel * ch + k]];
            if (p->channels_first)
                next(&pixel, n, &k);
            else
                next_channel(&k, ch, &pixel);
        }
        d->from_f64((char *)to + at * (d->bits / 8), 0, (size_t)m, run);
        at += m;
    }
    return US_OK;
}
