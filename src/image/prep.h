/* image/prep.h - from a picture to what a network takes: resize, cut, scale, lay out. */
#ifndef USTA_IMAGE_PREP_H
#define USTA_IMAGE_PREP_H

#include "image/image.h"
#include "tensor/dtype.h"

/* Bilinear with antialiasing: the triangle filter is as wide as the scale when a side shrinks, so every pixel counts. The very
 * algorithm and rounding of Pillow's Image.resize(..., BILINEAR), which torchvision's Resize uses: same bytes. */
us_err us_image_resize(us_ctx *c, us_arena *a, const us_image *in, int64_t h, int64_t w,
                       us_image *out) US_MUST;
/* h x w from the middle (an odd rest is split as torchvision does: half to even). US_SHAPE when the picture is smaller. */
us_err us_image_crop(us_ctx *c, us_arena *a, const us_image *in, int64_t h, int64_t w,
                     us_image *out) US_MUST;

typedef struct us_image_prep {
    int64_t shorter; /* first resize so that the shorter side has so many pixels; 0: do not */
    int64_t h,
        w; /* then cut this from the middle; without `shorter` resize to it; 0: leave the size */
    bool channels_first; /* [C,H,W], else [H,W,C] */
    double scale;        /* element = (pixel * scale - mean[channel]) / std[channel] */
    double mean[3], std[3];
} us_image_prep;

/* scale 1, mean 0, std 1, everything else 0. */
us_image_prep us_image_prep_plain(void);

/* Resize and cut. */
us_err us_image_fit(us_ctx *c, us_arena *a, const us_image *in, const us_image_prep *p,
                    us_image *out) US_MUST;
/* Elements of this type (whole types: rounded to the nearest) to `to`, h * w * channels of them. */
us_err us_image_fill(us_ctx *c, const us_image *in, const us_image_prep *p, us_dtype dtype,
                     void *to) US_MUST;

#endif
