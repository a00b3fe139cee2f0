/* image/bmp.c - Windows and OS/2 bitmaps: 1, 4, 8, 16, 24 and 32 bits, RLE4, RLE8, bit fields; either row order.
 *
 * Run-length rows may leave pixels out (they are colour 0 then, as Pillow and GDI have it). An alpha field is read over, not
 * applied. Source: "Bitmap Header Types" and "Bitmap Compression" of the Windows GDI documentation.
 */
#include <string.h>

#include "image/job.h"

enum { FILE_HEADER = 14, MAX_COLORS = 256 };
enum { BI_RGB = 0, BI_RLE8 = 1, BI_RLE4 = 2, BI_BITFIELDS = 3, BI_ALPHABITFIELDS = 6 };

typedef struct field { /* of a pixel of 16 or 32 bits */
    uint32_t mask;
    int shift, bits;
} field;

typedef struct bmp {
    us_job *j;
    int64_t w, h;
    bool top_down;
    uint32_t bits, compression;
    size_t pixels_at;
    uint8_t colors[MAX_COLORS][3]; /* those the file has not are black */
    field f[3];
} bmp;

/* --- headers -------------------------------------------------------------------------------------------- */

static us_err set_field(bmp *b, int i, uint32_t mask)
{
    field f = {mask, 0, 0};
    while (mask && !(mask & 1)) {
        mask >>= 1;
        f.shift++;
    }
    while (mask & 1) {
        mask >>= 1;
        f.bits++;
    }
    if (mask || f.bits == 0)
        return us_job_fail(b->j, US_FORMAT, "bit field %d is no run of bits", i);
    b->f[i] = f;
    return US_OK;
}

static us_err read_fields(bmp *b)
{
    static const uint32_t f16[3] = {0x7C00, 0x03E0, 0x001F}, f32[3] = {0xFF0000, 0xFF00, 0xFF};
    const us_job *j = b->j;
    bool given = b->compression == BI_BITFIELDS || b->compression == BI_ALPHABITFIELDS;
    if (given && j->n < FILE_HEADER + 40 + 12)
        return us_job_fail(b->j, US_FORMAT, "it ends before the bit fields");
    /* They stand at the same place whether the header ends before them or has them. */
    for (int i = 0; i < 3; i++) {
        uint32_t mask = given ? us_le32(j->p + FILE_HEADER + 40 + 4 * i)
                              : (b->bits == 16 ? f16[i] : f32[i]);
        US_TRY(set_field(b, i, mask));
    }
    return US_OK;
}

static void read_colors(bmp *b, size_t at, size_t entry, uint32_t used)
{
    const us_job *j = b->j;
    size_t n = (size_t)1 << b->bits;
    if (used && used < n) n = used;
    /* Pixels may begin early: what lies between is the table, and colours past it are black. */
    if (b->pixels_at > at) n = US_MIN(n, (b->pixels_at - at) / entry);
    n = at < j->n ? US_MIN(n, (j->n - at) / entry) : 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = j->p + at + i * entry; /* blue, green, red */
        b->colors[i][0] = p[2];
        b->colors[i][1] = p[1];
        b->colors[i][2] = p[0];
    }
}

static us_err check_kind(bmp *b)
{
    static const struct {
        uint32_t compression, bits;
    } kinds[] = {{BI_RGB, 1},
                 {BI_RGB, 4},
                 {BI_RGB, 8},
                 {BI_RGB, 16},
                 {BI_RGB, 24},
                 {BI_RGB, 32},
                 {BI_RLE8, 8},
                 {BI_RLE4, 4},
                 {BI_BITFIELDS, 16},
                 {BI_BITFIELDS, 32},
                 {BI_ALPHABITFIELDS, 16},
                 {BI_ALPHABITFIELDS, 32}};
    for (size_t i = 0; i < US_LEN(kinds); i++)
        if (kinds[i].compression == b->compression && kinds[i].bits == b->bits) return US_OK;
    return us_job_fail(b->j, US_UNSUPP, "%u bits with compression %u", (unsigned)b->bits,
                       (unsigned)b->compression);
}

static us_err read_header(bmp *b)
{
    us_job *j = b->j;
    const uint8_t *p = j->p + FILE_HEADER;
    if (j->n < FILE_HEADER + 12)
        return us_job_fail(j, US_FORMAT, "%zu bytes are no header", j->n);
    uint32_t header = us_le32(p);
    b->pixels_at = us_le32(j->p + 10);
    if ((header != 12 && header < 40) || header > 1024 || j->n < FILE_HEADER + (size_t)header)
        return us_job_fail(j, US_FORMAT, "a header of %u bytes, expected 12 or 40 and more",
                           (unsigned)header);
    uint32_t used = 0;
    if (header == 12) {
        b->w = us_le16(p + 4);
        b->h = us_le16(p + 6);
        b->bits = us_le16(p + 10);
    } else {
        int64_t h = (int32_t)us_le32(p + 8);
        b->w = (int32_t)us_le32(p + 4);
        b->top_down = h < 0;
        b->h = h < 0 ? -h : h;
        b->bits = us_le16(p + 14);
        b->compression = us_le32(p + 16);
        used = us_le32(p + 32);
    }
    if (b->w < 0) return us_job_fail(j, US_FORMAT, "a negative width");
    US_TRY(check_kind(b));
    if (b->bits == 16 || b->bits == 32) return read_fields(b);
    if (b->bits == 24) return US_OK;
    read_colors(b, FILE_HEADER + (size_t)header, header == 12 ? 3 : 4, used);
    return US_OK;
}

/* --- rows of stored pixels --------------------------------------------------------------------------------- */

static uint8_t field_of(const field *f, uint32_t v)
{
    uint64_t x = (v & f->mask) >> f->shift, max = ((uint64_t)1 << f->bits) - 1;
    return (uint8_t)((x * 255 + max / 2) / max);
}

static void unpack(const bmp *b, const uint8_t *p, uint8_t *rgb)
{
    for (int64_t x = 0; x < b->w; x++, rgb += 3) {
        if (b->bits <= 8) {
            int64_t bit = x * (int64_t)b->bits;
            unsigned i = p[bit / 8] >> (8 - b->bits - (unsigned)(bit % 8));
            memcpy(rgb, b->colors[i & ((1u << b->bits) - 1)], 3);
        } else if (b->bits == 24) {
            rgb[0] = p[3 * x + 2];
            rgb[1] = p[3 * x + 1];
            rgb[2] = p[3 * x];
        } else {
            uint32_t v = b->bits == 16 ? us_le16(p + 2 * x) : us_le32(p + 4 * x);
            for (int k = 0; k < 3; k++)
                rgb[k] = field_of(&b->f[k], v);
        }
    }
}

static us_err stored_rows(bmp *b, uint8_t *rgb)
{
    us_job *j = b->j;
    size_t stride = ((size_t)b->w * b->bits + 31) / 32 * 4;
    size_t used =
        ((size_t)b->w * b->bits + 7) / 8; /* of the last row, whose padding may be missing */
    if (b->pixels_at > j->n || j->n - b->pixels_at < (size_t)(b->h - 1) * stride + used)
        return us_job_fail(j, US_FORMAT, "%lld rows of %zu bytes from byte %zu do not fit %zu",
                           (long long)b->h, stride, b->pixels_at, j->n);
    US_TRY(us_job_begin(j, (uint64_t)b->h, (uint64_t)b->w));
    for (int64_t y = 0; y < b->h; y++) {
        unpack(b, j->p + b->pixels_at + (size_t)y * stride, rgb);
        us_job_put_rgb(j, b->top_down ? y : b->h - 1 - y, rgb);
    }
    return US_OK;
}

/* --- run-length rows ------------------------------------------------------------------------------------------ */

typedef struct rle {
    bmp *b;
    size_t at;
    int64_t x, y;
    uint8_t *rgb; /* the row being made */
    bool end;
} rle;

static void clear_row(rle *r)
{
    for (int64_t x = 0; x < r->b->w; x++)
        memcpy(r->rgb + 3 * x, r->b->colors[0], 3);
}

static void end_row(rle *r)
{
    if (r->y < r->b->h) us_job_put_rgb(r->b->j, r->b->h - 1 - r->y, r->rgb);
    r->y++;
    r->x = 0;
    clear_row(r);
}

static void put(rle *r, unsigned color)
{
    if (r->x < r->b->w && r->y < r->b->h) memcpy(r->rgb + 3 * r->x, r->b->colors[color], 3);
    r->x++;
}

/* n pixels by name; padded to two bytes. */
static bool literal(rle *r, unsigned n)
{
    const us_job *j = r->b->j;
    size_t bytes = r->b->bits == 8 ? n : (n + 1) / 2;
    if (j->n - r->at < bytes) return false;
    for (unsigned i = 0; i < n; i++) {
        uint8_t v = j->p[r->at + (r->b->bits == 8 ? i : i / 2)];
        put(r, r->b->bits == 8 ? v : i % 2 ? v & 15u : v >> 4);
    }
    r->at = US_MIN(j->n, r->at + ((bytes + 1) & ~(size_t)1));
    return true;
}

static bool escape(rle *r, unsigned what)
{
    const us_job *j = r->b->j;
    if (what > 2) return literal(r, what);
    if (what == 0) {
        end_row(r);
    } else if (what == 1) {
        r->end = true;
    } else { /* move right and down */
        if (j->n - r->at < 2) return false;
        int64_t x = r->x + j->p[r->at];
        unsigned down = j->p[r->at + 1];
        r->at += 2;
        while (down-- && r->y < r->b->h)
            end_row(r);
        r->x = x;
    }
    return true;
}

static us_err rle_rows(bmp *b, uint8_t *rgb)
{
    us_job *j = b->j;
    if (b->top_down) return us_job_fail(j, US_FORMAT, "run-length rows from the top");
    if (b->pixels_at > j->n) return us_job_fail(j, US_FORMAT, "its pixels lie past its end");
    US_TRY(us_job_begin(j, (uint64_t)b->h, (uint64_t)b->w));
    rle r = {.b = b, .at = b->pixels_at, .rgb = rgb};
    clear_row(&r);
    while (!r.end && r.y < b->h) {
        bool good = j->n - r.at >= 2;
        if (good) {
            unsigned n = j->p[r.at], v = j->p[r.at + 1];
            r.at += 2;
            if (n == 0) good = escape(&r, v);
            for (unsigned i = 0; i < n; i++)
                put(&r, b->bits == 8 ? v : i % 2 ? v & 15u : v >> 4);
        }
        if (!good)
            return us_job_fail(j, US_FORMAT, "it ends in row %lld of %lld", (long long)r.y,
                               (long long)b->h);
    }
    while (r.y < b->h)
        end_row(&r);
    return US_OK;
}

us_err us_bmp_read(us_job *j)
{
    bmp b = {.j = j};
    US_TRY(read_header(&b));
    if (b.w == 0 || b.h == 0 || b.w > US_IMAGE_MAX_SIDE || b.h > US_IMAGE_MAX_SIDE)
        return us_job_begin(j, (uint64_t)b.h, (uint64_t)b.w); /* its words */
    size_t n = (size_t)b.w * 3;
    uint8_t *rgb = us_mem_get(&j->c->alloc, n, 1);
    if (!rgb) return us_nomem(j->c);
    bool runs = b.compression == BI_RLE8 || b.compression == BI_RLE4;
    us_err e = runs ? rle_rows(&b, rgb) : stored_rows(&b, rgb);
    us_mem_put(&j->c->alloc, rgb, n, 1);
    return e;
}
