/* image/webp.c - WebP by libwebp, lossy and lossless; of a picture with alpha the colours alone. */
#include <string.h>

#include <webp/decode.h>

#include "image/job.h"

us_err us_webp_read(us_job *j)
{
    WebPBitstreamFeatures f;
    VP8StatusCode st = WebPGetFeatures(j->p, j->n, &f);
    if (st != VP8_STATUS_OK)
        return us_job_fail(j, US_FORMAT, "its header cannot be read (libwebp's code %d)",
                           (int)st);
    if (f.has_animation) return us_job_fail(j, US_UNSUPP, "it is animated; give one picture");
    if (f.width <= 0 || f.height <= 0) return us_job_fail(j, US_FORMAT, "it has no pixels");
    US_TRY(us_job_begin(j, (uint64_t)f.height, (uint64_t)f.width));
    size_t stride = (size_t)j->w * 3, n = stride * (size_t)j->h;
    bool direct = j->pixels == US_PIXELS_RGB;
    uint8_t *rgb = direct ? j->out : us_mem_get(&j->c->alloc, n, 1);
    if (!rgb) return us_nomem(j->c);
    bool good = WebPDecodeRGBInto(j->p, j->n, rgb, n, (int)stride) != NULL;
    for (int64_t y = 0; good && !direct && y < j->h; y++)
        us_job_put_rgb(j, y, rgb + (size_t)y * stride);
    if (!direct) us_mem_put(&j->c->alloc, rgb, n, 1);
    return good ? US_OK : us_job_fail(j, US_FORMAT, "it is broken or ends early");
}
