/* image/png.c - PNG by libpng.
 *
 * Errors come by longjmp, warnings are dropped. Rows go through as they are decoded; interlaced pictures are kept whole, for each
 * pass fills in between the rows before it. Text and other ancillary chunks are limited, so a small file cannot ask for much.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "image/job.h"

#define MAX_CHUNKS      1000
#define MAX_CHUNK_BYTES ((png_alloc_size_t)8 << 20)

typedef struct state {
    png_structp png;
    png_infop info;
    us_job *j;
    size_t at;
    jmp_buf back;
    char text[200];
    uint8_t *rows;
    size_t rows_bytes;
} state;

static void on_error(png_structp png, png_const_charp text)
{
    state *s = png_get_error_ptr(png);
    (void)snprintf(s->text, sizeof s->text, "%s", text);
    longjmp(s->back, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    state *s = png_get_io_ptr(png);
    if (s->j->n - s->at < n) png_error(png, "it ends early");
    memcpy(to, s->j->p + s->at, n);
    s->at += n;
}

/* 8-bit gray or RGB, whatever is stored. */
static void ask_for_plain(state *s)
{
    png_set_expand(s->png);
    png_set_scale_16(s->png);
    png_set_strip_alpha(s->png);
    (void)png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
}

static us_err read_pixels(state *s)
{
    us_job *j = s->j;
    bool gray = png_get_channels(s->png, s->info) == 1;
    bool whole = png_get_interlace_type(s->png, s->info) != PNG_INTERLACE_NONE;
    size_t stride = png_get_rowbytes(s->png, s->info);
    if (stride != (size_t)j->w * (gray ? 1 : 3))
        return us_job_fail(j, US_UNSUPP, "rows of %zu bytes for %lld pixels", stride,
                           (long long)j->w);
    s->rows_bytes = stride * (whole ? (size_t)j->h : 1);
    s->rows = us_mem_get(&j->c->alloc, s->rows_bytes, 1);
    if (!s->rows) return us_nomem(j->c);
    for (int pass = 0; whole && pass < PNG_INTERLACE_ADAM7_PASSES - 1; pass++)
        for (int64_t y = 0; y < j->h; y++)
            png_read_row(s->png, s->rows + (size_t)y * stride, NULL);
    for (int64_t y = 0; y < j->h; y++) {
        uint8_t *row = s->rows + (whole ? (size_t)y * stride : 0);
        png_read_row(s->png, row, NULL);
        if (gray)
            us_job_put_gray(j, y, row);
        else
            us_job_put_rgb(j, y, row);
    }
    return US_OK;
}

/* Everything during which the library may jump back. */
static us_err guarded(state *s)
{
    us_job *j = s->j;
    if (setjmp(s->back)) return us_job_fail(j, US_FORMAT, "%s", s->text);
    s->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
    if (!s->png) return us_nomem(j->c);
    s->info = png_create_info_struct(s->png);
    if (!s->info) return us_nomem(j->c);
    png_set_user_limits(s->png, US_IMAGE_MAX_SIDE, US_IMAGE_MAX_SIDE);
    png_set_chunk_cache_max(s->png, MAX_CHUNKS);
    png_set_chunk_malloc_max(s->png, MAX_CHUNK_BYTES);
    png_set_read_fn(s->png, s, on_read);
    png_read_info(s->png, s->info);
    US_TRY(us_job_begin(j, png_get_image_height(s->png, s->info),
                        png_get_image_width(s->png, s->info)));
    ask_for_plain(s);
    return read_pixels(s);
}

us_err us_png_read(us_job *j)
{
    state s;
    memset(&s, 0, sizeof s);
    s.j = j;
    us_err e = guarded(&s);
    png_destroy_read_struct(&s.png, &s.info, NULL);
    us_mem_put(&j->c->alloc, s.rows, s.rows_bytes, 1);
    return e;
}
