/* image/image.c - which format it is, the limits, and rows into the pixels that were asked for. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "image/job.h"

/* --- rows -------------------------------------------------------------------------------------------- */

us_err us_job_fail_at(us_job *j, us_err code, const char *file, int line, const char *fmt, ...)
{
    char text[300];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return us_fail_at(j->c, code, file, line, "%s image: %s", j->format, text);
}

us_err us_job_begin(us_job *j, uint64_t h, uint64_t w)
{
    if (h == 0 || w == 0) return us_job_fail(j, US_FORMAT, "it has no pixels");
    if (h > US_IMAGE_MAX_SIDE || w > US_IMAGE_MAX_SIDE || h * w > j->limits.max_pixels)
        return us_job_fail(j, US_LIMIT,
                           "it is %llu pixels high and %llu wide; at most %d each way and %llu "
                           "in all are taken",
                           (unsigned long long)h, (unsigned long long)w, US_IMAGE_MAX_SIDE,
                           (unsigned long long)j->limits.max_pixels);
    uint8_t *out;
    US_TRY(j->place(j->c, j->arg, (int64_t)h, (int64_t)w, &out));
    j->h = (int64_t)h;
    j->w = (int64_t)w;
    j->out = out;
    return US_OK;
}

static uint8_t luma(const uint8_t *rgb)
{
    return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

void us_job_put_rgb_part(us_job *j, int64_t y, int64_t x, int64_t n, const uint8_t *rgb)
{
    uint8_t *to = j->out + (y * j->w + x) * us_pixels_channels(j->pixels);
    if (j->pixels == US_PIXELS_RGB) {
        memcpy(to, rgb, (size_t)n * 3);
    } else if (j->pixels == US_PIXELS_GRAY) {
        for (int64_t i = 0; i < n; i++)
            to[i] = luma(rgb + 3 * i);
    } else {
        for (int64_t i = 0; i < n; i++) {
            to[3 * i] = rgb[3 * i + 2];
            to[3 * i + 1] = rgb[3 * i + 1];
            to[3 * i + 2] = rgb[3 * i];
        }
    }
}

void us_job_put_rgb(us_job *j, int64_t y, const uint8_t *row)
{
    us_job_put_rgb_part(j, y, 0, j->w, row);
}

void us_job_put_gray(us_job *j, int64_t y, const uint8_t *row)
{
    uint8_t *to = j->out + y * j->w * us_pixels_channels(j->pixels);
    if (j->pixels == US_PIXELS_GRAY) {
        memcpy(to, row, (size_t)j->w);
        return;
    }
    for (int64_t i = 0; i < j->w; i++)
        memset(to + 3 * i, row[i], 3);
}

/* --- formats ----------------------------------------------------------------------------------------------- */

typedef struct format {
    const char *name;
    bool (*is)(us_sv b);
    us_image_reader *read; /* NULL: not in this build */
    const char *library;
} format;

static bool starts(us_sv b, const char *with, size_t n)
{
    return b.n >= n && memcmp(b.p, with, n) == 0;
}
#define STARTS(b, z) starts((b), (z), sizeof(z) - 1)

static bool is_jpeg(us_sv b)
{
    return STARTS(b, "\xFF\xD8\xFF");
}

static bool is_png(us_sv b)
{
    return STARTS(b, "\x89PNG\r\n\x1A\n");
}

static bool is_webp(us_sv b)
{
    return b.n >= 12 && STARTS(b, "RIFF") && memcmp(b.p + 8, "WEBP", 4) == 0;
}

static bool is_tiff(us_sv b)
{
    return starts(b, "II*\0", 4) || starts(b, "MM\0*", 4) || starts(b, "II+\0", 4) ||
           starts(b, "MM\0+", 4);
}

static bool is_jp2(us_sv b)
{
    return starts(b, "\0\0\0\x0CjP  \r\n\x87\n", 12) || STARTS(b, "\xFF\x4F\xFF\x51");
}

static bool is_bmp(us_sv b)
{
    return STARTS(b, "BM");
}

static bool is_pnm(us_sv b)
{
    return b.n > 2 && b.p[0] == 'P' && b.p[1] >= '1' && b.p[1] <= '6' &&
           (b.p[2] == '#' || b.p[2] == ' ' || (b.p[2] >= '\t' && b.p[2] <= '\r'));
}

#ifdef US_HAVE_WEBP
#    define WEBP us_webp_read
#else
#    define WEBP NULL
#endif
#ifdef US_HAVE_TIFF
#    define TIFF us_tiff_read
#else
#    define TIFF NULL
#endif
#ifdef US_HAVE_JP2
#    define JP2 us_jp2_read
#else
#    define JP2 NULL
#endif

static const format formats[] = {
    {"JPEG", is_jpeg, us_jpeg_read, "libjpeg-turbo"},
    {"PNG", is_png, us_png_read, "libpng"},
    {"WebP", is_webp, WEBP, "libwebp"},
    {"TIFF", is_tiff, TIFF, "libtiff"},
    {"JPEG 2000", is_jp2, JP2, "openjpeg"},
    {"BMP", is_bmp, us_bmp_read, "built in"},
    {"PNM", is_pnm, us_pnm_read, "built in"},
};

static const format *format_of(us_sv bytes)
{
    for (size_t i = 0; i < US_LEN(formats); i++)
        if (formats[i].is(bytes)) return &formats[i];
    return NULL;
}

const char *us_image_format(us_sv bytes)
{
    const format *f = format_of(bytes);
    return f ? f->name : NULL;
}

bool us_image_formats(size_t i, const char **name, const char **library)
{
    if (i >= US_LEN(formats)) return false;
    *name = formats[i].name;
    *library = formats[i].read ? formats[i].library : NULL;
    return true;
}

bool us_image_name(us_sv path)
{
    static const char *const ends[] = {".jpg",  ".jpeg", ".png", ".webp", ".tif",
                                       ".tiff", ".jp2",  ".j2k", ".bmp",  ".pnm",
                                       ".pbm",  ".pgm",  ".ppm"};
    for (size_t i = 0; i < US_LEN(ends); i++) {
        size_t n = strlen(ends[i]), k = 0;
        if (path.n <= n) continue;
        const char *tail = path.p + path.n - n;
        while (k < n &&
               (tail[k] >= 'A' && tail[k] <= 'Z' ? tail[k] + 32 : tail[k]) == ends[i][k])
            k++;
        if (k == n) return true;
    }
    return false;
}

/* --- the way in ---------------------------------------------------------------------------------------------- */

static us_err unknown_format(us_ctx *c, us_sv bytes)
{
    char hex[32] = "";
    for (size_t i = 0; i < US_MIN(bytes.n, 4); i++)
        (void)snprintf(hex + 3 * i, sizeof hex - 3 * i, "%02x ", (unsigned)(uint8_t)bytes.p[i]);
    return us_fail(c, US_FORMAT,
                   "%zu bytes that start with %sare no image: expected JPEG, PNG, WebP, TIFF, "
                   "JPEG 2000, BMP or PNM",
                   bytes.n, hex);
}

static us_err decode(us_ctx *c, us_sv bytes, us_pixels pixels, const us_image_limits *limits,
                     us_image_place_fn *place, void *arg, const char **name)
{
    us_image_limits l = {US_IMAGE_MAX_BYTES, US_IMAGE_MAX_PIXELS};
    if (limits && limits->max_bytes) l.max_bytes = limits->max_bytes;
    if (limits && limits->max_pixels) l.max_pixels = limits->max_pixels;
    if (bytes.n > l.max_bytes)
        return us_fail(c, US_LIMIT, "an image of %zu bytes; at most %llu are taken", bytes.n,
                       (unsigned long long)l.max_bytes);
    const format *f = format_of(bytes);
    if (!f) return unknown_format(c, bytes);
    if (!f->read)
        return us_fail(c, US_UNSUPP, "%s image: this program was built without %s", f->name,
                       f->library);
    us_job j = {.c = c,
                .p = (const uint8_t *)bytes.p,
                .n = bytes.n,
                .limits = l,
                .pixels = pixels,
                .place = place,
                .arg = arg,
                .format = f->name};
    US_TRY(f->read(&j));
    *name = f->name;
    return US_OK;
}

static us_err codec_decode(us_ctx *c, void *ud, us_sv bytes, us_pixels pixels,
                           us_image_place_fn *place, void *arg)
{
    const char *name;
    return decode(c, bytes, pixels, ud, place, arg, &name);
}

const us_image_codec us_image_codecs = {codec_decode, NULL};

typedef struct arena_place {
    us_arena *a;
    us_image image;
} arena_place;

static us_err place_in_arena(us_ctx *c, void *arg, int64_t h, int64_t w, uint8_t **pixels)
{
    arena_place *p = arg;
    uint8_t *data =
        us_arena_alloc(p->a, (size_t)(h * w), (size_t)us_pixels_channels(p->image.pixels), 64);
    if (!data) return us_arena_fail(c, p->a);
    p->image.h = h;
    p->image.w = w;
    p->image.data = data;
    *pixels = data;
    return US_OK;
}

us_err us_image_decode(us_ctx *c, us_arena *a, const char *what, us_sv bytes, us_pixels pixels,
                       const us_image_limits *limits, us_image *out)
{
    arena_place p = {.a = a, .image = {.pixels = pixels}};
    us_err e = decode(c, bytes, pixels, limits, place_in_arena, &p, &p.image.format);
    if (e != US_OK) return us_wrap(c, e, "%s", what);
    *out = p.image;
    return US_OK;
}

us_err us_image_read(us_ctx *c, us_arena *a, const char *path, us_pixels pixels, us_image *out)
{
    us_buf b;
    us_buf_init(&b, c, (size_t)US_IMAGE_MAX_BYTES);
    us_err e = us_file_read(c, path, &b);
    if (e == US_OK) e = us_image_decode(c, a, path, us_buf_sv(&b), pixels, NULL, out);
    us_buf_deinit(&b);
    return e;
}
