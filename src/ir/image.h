/* ir/image.h - how an embedder lends the engine a decoder of images.
 *
 * ImageDecoder needs codecs; codecs are libraries and the engine has none but libc. So whoever embeds it may hand a
 * function over with the session (us_session_opts.images, usta_session_settings.decode_image); src/image is ours. Without one a
 * model with ImageDecoder gets no session.
 */
#ifndef USTA_IR_IMAGE_H
#define USTA_IR_IMAGE_H

#include "base/ctx.h"
#include "base/str.h"

typedef enum us_pixels { /* numbers are ABI: usta/usta.h has them too */
                         US_PIXELS_RGB = 0,
                         US_PIXELS_BGR = 1,
                         US_PIXELS_GRAY = 2
} us_pixels;

/* Bytes of one pixel. */
static inline int us_pixels_channels(us_pixels p)
{
    return p == US_PIXELS_GRAY ? 1 : 3;
}

/* Memory for h * w pixels; asked for once, when the size is known, before any pixel is written. */
typedef us_err us_image_place_fn(us_ctx *c, void *arg, int64_t h, int64_t w, uint8_t **pixels);

typedef struct us_image_codec {
    /* Decodes one image: gets memory by `place(c, arg, ...)` and writes rows from the top, pixels from the left, 8 bits a
     * channel, no gaps. US_FORMAT: the bytes are no image, or a broken one. US_UNSUPP: a kind of image this decoder has not.
     * US_LIMIT, US_NOMEM. After an error what was placed has no meaning. */
    us_err (*decode)(us_ctx *c, void *ud, us_sv bytes, us_pixels pixels,
                     us_image_place_fn *place, void *arg);
    void *ud;
} us_image_codec;

typedef struct us_p_image_decoder { /* ImageDecoder; see params.h */
    us_sv pixel_format;
} us_p_image_decoder;

#endif
