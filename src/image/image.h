/* image/image.h - image files in memory to pixels.
 *
 * Formats: JPEG (libjpeg-turbo), PNG (libpng), WebP (libwebp), TIFF (libtiff), JPEG 2000 (openjpeg), BMP and PNM (readers of our
 * own). The format is told by the first bytes, never by a name. A build may lack libwebp, libtiff or openjpeg; it then says so.
 *
 * What comes out is 8 bits a channel, rows from the top, no gaps:
 *   - 16-bit channels are scaled to 8, palettes and packed bits are spread out, gray becomes three equal channels;
 *   - an alpha channel is dropped, not blended (TIFF's unassociated alpha is multiplied in: libtiff's way);
 *   - CMYK becomes RGB without colour profiles, as Pillow does it; profiles are ignored altogether;
 *   - gray of colours is (19595 R + 38470 G + 7471 B + 32768) >> 16, ITU-R 601-2 as Pillow rounds it;
 *   - the orientation that EXIF notes is not applied (neither Pillow nor torchvision do): pixels are as stored;
 *   - the first picture of a file with several; animated WebP is refused.
 * A truncated file is an error, not a picture with a gray end.
 *
 * Limits are checked against the header before pixels are asked for, and given to the libraries where they take them.
 */
#ifndef USTA_IMAGE_IMAGE_H
#define USTA_IMAGE_IMAGE_H

#include "base/ctx.h"
#include "ir/image.h"

#define US_IMAGE_MAX_BYTES  ((uint64_t)512 << 20) /* of a file */
#define US_IMAGE_MAX_SIDE   65535
#define US_IMAGE_MAX_PIXELS ((uint64_t)1 << 27) /* 134 million: 400 MB of RGB */

typedef struct us_image_limits {
    uint64_t max_bytes, max_pixels; /* 0: the constants above */
} us_image_limits;

typedef struct us_image {
    int64_t h, w;
    us_pixels pixels;
    uint8_t *data;      /* h * w * us_pixels_channels(pixels) bytes */
    const char *format; /* "JPEG" */
} us_image;

/* Decodes into the arena. what: named in messages (a path). limits NULL: the constants.
 * US_FORMAT: no image we know, or a broken one; US_UNSUPP: a kind this build has not; US_LIMIT. */
us_err us_image_decode(us_ctx *c, us_arena *a, const char *what, us_sv bytes, us_pixels pixels,
                       const us_image_limits *limits, us_image *out) US_MUST;
/* Reads the file, then the same. */
us_err us_image_read(us_ctx *c, us_arena *a, const char *path, us_pixels pixels,
                     us_image *out) US_MUST;

/* "JPEG", "PNG", ... by the first bytes; NULL when they are of no format we know. */
const char *us_image_format(us_sv bytes);
/* Whether a file's name ends like an image's (.jpg, .jpeg, .png, .webp, .tif, .tiff, .jp2, .j2k, .bmp, .pnm, .pbm, .pgm, .ppm), whatever the
 * case of the letters: to pick images from a folder. */
bool us_image_name(us_sv path);
/* Format i with "libjpeg-turbo" or "built in", or NULL for its library when this build lacks it; false after the last. */
bool us_image_formats(size_t i, const char **format, const char **library);

/* What ImageDecoder asks (us_session_opts.images). ud: a const us_image_limits, or NULL. */
extern const us_image_codec us_image_codecs;

#endif
