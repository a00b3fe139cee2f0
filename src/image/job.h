/* image/job.h - inside of image: one decoding, and what every format's reader is written with.
 *
 * A reader finds the size, calls us_job_begin (limits, memory) and puts rows in any order; the job turns them into the pixels
 * that were asked for. Readers own nothing of the job and leave nothing behind on failure.
 */
#ifndef USTA_IMAGE_JOB_H
#define USTA_IMAGE_JOB_H

#include "image/image.h"

typedef struct us_job {
    us_ctx *c;
    const uint8_t *p; /* the file */
    size_t n;
    us_image_limits limits;
    us_pixels pixels;
    us_image_place_fn *place;
    void *arg;
    const char *format;
    int64_t h, w; /* after us_job_begin */
    uint8_t *out;
} us_job;

/* Once, before rows. US_LIMIT, US_FORMAT (no pixels), or what `place` says. */
us_err us_job_begin(us_job *j, uint64_t h, uint64_t w) US_MUST;
void us_job_put_rgb(us_job *j, int64_t y, const uint8_t *row);  /* w * 3 bytes */
void us_job_put_gray(us_job *j, int64_t y, const uint8_t *row); /* w bytes */
/* Part of a row: pixels x .. x + n. */
void us_job_put_rgb_part(us_job *j, int64_t y, int64_t x, int64_t n, const uint8_t *rgb);
/* us_fail with the format's name in front. */
#define us_job_fail(j, code, ...) us_job_fail_at((j), (code), __FILE__, __LINE__, __VA_ARGS__)
us_err us_job_fail_at(us_job *j, us_err code, const char *file, int line, const char *fmt, ...)
    US_PRINTF(5, 6);

typedef us_err us_image_reader(us_job *j);
us_image_reader us_bmp_read, us_jp2_read, us_jpeg_read, us_png_read, us_pnm_read, us_tiff_read,
    us_webp_read;

static inline uint32_t us_le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static inline uint32_t us_le32(const uint8_t *p)
{
    return us_le16(p) | us_le16(p + 2) << 16;
}
static inline uint32_t us_be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}
static inline uint32_t us_be32(const uint8_t *p)
{
    return us_be16(p) << 16 | us_be16(p + 2);
}

#endif
