/* image/tiff.c - TIFF by libtiff, the first picture of the file, whatever its compression and colours.
 *
 * libtiff's RGBA interface reads everything (strips, tiles, palettes, YCbCr, CMYK, 1 to 16 bits); it wants the whole picture in
 * 4 bytes a pixel. Messages and limits go by the handle (libtiff 4.5), not by the library's global handlers.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <tiffio.h>

#include "image/job.h"

#define MAX_ALLOC                                                                              \
    ((uint64_t)1 << 30) /* of one allocation; less when fewer pixels are allowed */

typedef struct state {
    us_job *j;
    uint64_t at;
    char text[200]; /* the first error */
    uint32_t *raster;
    size_t n;
} state;

static int on_error(TIFF *t, void *ud, const char *module, const char *fmt, va_list ap)
    US_PRINTF(4, 0);

static int on_error(TIFF *t, void *ud, const char *module, const char *fmt, va_list ap)
{
    state *s = ud;
    (void)t;
    (void)module;
    if (!s->text[0]) (void)vsnprintf(s->text, sizeof s->text, fmt, ap);
    return 1; /* and no global handler */
}

static int on_warning(TIFF *t, void *ud, const char *module, const char *fmt, va_list ap)
{
    (void)t;
    (void)ud;
    (void)module;
    (void)fmt;
    (void)ap;
    return 1;
}

/* --- the file in memory -------------------------------------------------------------------------------------- */

static tmsize_t on_read(thandle_t h, void *to, tmsize_t n)
{
    state *s = h;
    if (n <= 0 || s->at >= s->j->n) return 0;
    uint64_t k = US_MIN((uint64_t)n, s->j->n - s->at);
    memcpy(to, s->j->p + s->at, (size_t)k);
    s->at += k;
    return (tmsize_t)k;
}

static tmsize_t on_write(thandle_t h, void *p, tmsize_t n)
{
    (void)h;
    (void)p;
    (void)n;
    return -1;
}

static toff_t on_seek(thandle_t h, toff_t to, int whence)
{
    state *s = h;
    uint64_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? s->at : s->j->n;
    s->at = from + to; /* past the end: reads give nothing */
    return s->at;
}

static int on_close(thandle_t h)
{
    (void)h;
    return 0;
}

static toff_t on_size(thandle_t h)
{
    return ((state *)h)->j->n;
}

static TIFF *open_memory(state *s)
{
    TIFFOpenOptions *o = TIFFOpenOptionsAlloc();
    if (!o) return NULL;
    uint64_t cap = US_MIN(MAX_ALLOC, s->j->limits.max_pixels * 64 + (1 << 20));
    TIFFOpenOptionsSetMaxSingleMemAlloc(o, (tmsize_t)cap);
    TIFFOpenOptionsSetErrorHandlerExtR(o, on_error, s);
    TIFFOpenOptionsSetWarningHandlerExtR(o, on_warning, s);
    TIFF *t = TIFFClientOpenExt("image", "rm", s, on_read, on_write, on_seek, on_close, on_size,
                                NULL, NULL, o);
    TIFFOpenOptionsFree(o);
    return t;
}

/* --- decoding -------------------------------------------------------------------------------------------------- */

static us_err failed(state *s)
{
    return us_job_fail(s->j, US_FORMAT, "%s",
                       s->text[0] ? s->text : "libtiff cannot read it and does not say why");
}

static us_err put_rows(state *s)
{
    us_job *j = s->j;
    size_t n = (size_t)j->w * 3;
    uint8_t *row = us_mem_get(&j->c->alloc, n, 1);
    if (!row) return us_nomem(j->c);
    for (int64_t y = 0; y < j->h; y++) {
        const uint32_t *p = s->raster + (size_t)(y * j->w);
        for (int64_t x = 0; x < j->w; x++) {
            row[3 * x] = (uint8_t)TIFFGetR(p[x]);
            row[3 * x + 1] = (uint8_t)TIFFGetG(p[x]);
            row[3 * x + 2] = (uint8_t)TIFFGetB(p[x]);
        }
        us_job_put_rgb(j, y, row);
    }
    us_mem_put(&j->c->alloc, row, n, 1);
    return US_OK;
}

static us_err decode(state *s, TIFF *t)
{
    us_job *j = s->j;
    uint32_t w = 0, h = 0;
    char why[1024] = "";
    if (!TIFFGetField(t, TIFFTAG_IMAGEWIDTH, &w) || !TIFFGetField(t, TIFFTAG_IMAGELENGTH, &h))
        return us_job_fail(j, US_FORMAT, "it has no size");
    if (!TIFFRGBAImageOK(t, why)) return us_job_fail(j, US_UNSUPP, "%.200s", why);
    US_TRY(us_job_begin(j, h, w));
    s->n = (size_t)w * h;
    s->raster = us_mem_get(&j->c->alloc, s->n, sizeof *s->raster);
    if (!s->raster) return us_nomem(j->c);
    if (!TIFFReadRGBAImageOriented(t, w, h, s->raster, ORIENTATION_TOPLEFT, 1))
        return failed(s);
    return put_rows(s);
}

us_err us_tiff_read(us_job *j)
{
    state s = {.j = j};
    TIFF *t = open_memory(&s);
    if (!t) return failed(&s);
    us_err e = decode(&s, t);
    TIFFClose(t);
    us_mem_put(&j->c->alloc, s.raster, s.n, sizeof *s.raster);
    return e;
}
