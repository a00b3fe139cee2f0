/* image/jpeg.c - JPEG by libjpeg-turbo.
 *
 * Decoded as the library does by default: the accurate integer transform and "fancy" chroma upsampling, which is what the ONNX
 * standard describes for ImageDecoder and what Pillow and torchvision do. Gray is made of RGB, not taken from the luma channel, so
 * that it is the same for every format.
 *
 * The library reports a fatal error by a call that must not return: longjmp to where decoding began. Nothing between owns
 * memory but what `state` names. Warnings are counted, not printed. A file that ends early is an error: the library would go on
 * with gray; it is told apart from one that only lacks its end marker by the warning about missing data.
 *
 * Hostile files: the size is checked first; a progressive file may hold thousands of scans over the whole picture, so their
 * number is limited (libjpeg-turbo's own advice).
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "image/job.h"

#define MAX_SCANS 200
#define MEMORY_CAP                                                                             \
    (1L << 30) /* where the library would begin to use temporary files; it has none and fails */

typedef struct state {
    struct jpeg_decompress_struct d;
    struct jpeg_error_mgr err;
    struct jpeg_source_mgr src;
    struct jpeg_progress_mgr progress;
    jmp_buf back;
    us_job *j;
    bool ran_out, broken;
    char text[JMSG_LENGTH_MAX];
    uint8_t *row;
    size_t row_bytes;
} state;

static state *of(j_common_ptr d)
{
    return d->client_data;
}

static void on_error(j_common_ptr d)
{
    state *s = of(d);
    s->err.format_message(d, s->text);
    longjmp(s->back, 1);
}

static void on_message(j_common_ptr d, int level)
{
    state *s = of(d);
    if (level < 0 && s->ran_out && s->err.msg_code == JWRN_HIT_MARKER) s->broken = true;
}

static void no_output(j_common_ptr d)
{
    (void)d;
}

/* --- the file as a source --------------------------------------------------------------------------------- */

static void src_nothing(j_decompress_ptr d)
{
    (void)d;
}

/* Past the end: an end marker, again and again. */
static boolean src_fill(j_decompress_ptr d)
{
    static const JOCTET end[2] = {0xFF, JPEG_EOI};
    state *s = of((j_common_ptr)d);
    s->ran_out = true;
    s->src.next_input_byte = end;
    s->src.bytes_in_buffer = sizeof end;
    return TRUE;
}

static void src_skip(j_decompress_ptr d, long n)
{
    state *s = of((j_common_ptr)d);
    if (n <= 0) return;
    if ((size_t)n > s->src.bytes_in_buffer) {
        (void)src_fill(d);
        return;
    }
    s->src.next_input_byte += n;
    s->src.bytes_in_buffer -= (size_t)n;
}

static void on_progress(j_common_ptr d)
{
    state *s = of(d);
    if (s->d.input_scan_number <= MAX_SCANS) return;
    (void)snprintf(s->text, sizeof s->text, "more than %d scans", MAX_SCANS);
    longjmp(s->back, 1);
}

/* --- decoding ------------------------------------------------------------------------------------------------ */

/* Adobe's CMYK is stored inverted: c' = 255 - C. */
static void rgb_of_cmyk(uint8_t *row, int64_t w)
{
    for (int64_t x = 0; x < w; x++)
        for (int k = 0; k < 3; k++) {
            unsigned v = (unsigned)row[4 * x + k] * row[4 * x + 3] + 127;
            row[3 * x + k] = (uint8_t)(v / 255);
        }
}

static us_err read_rows(state *s)
{
    us_job *j = s->j;
    while (s->d.output_scanline < s->d.output_height) {
        int64_t y = s->d.output_scanline;
        JSAMPROW row = s->row;
        (void)jpeg_read_scanlines(&s->d, &row, 1);
        if (s->broken)
            return us_job_fail(j, US_FORMAT, "it ends early, in row %lld of %lld", (long long)y,
                               (long long)j->h);
        if (s->d.out_color_space == JCS_GRAYSCALE) {
            us_job_put_gray(j, y, s->row);
        } else {
            if (s->d.out_color_space == JCS_CMYK) rgb_of_cmyk(s->row, j->w);
            us_job_put_rgb(j, y, s->row);
        }
    }
    return US_OK;
}

static us_err read_header(state *s)
{
    us_job *j = s->j;
    (void)jpeg_read_header(&s->d, TRUE);
    US_TRY(us_job_begin(j, s->d.image_height, s->d.image_width));
    bool gray = s->d.jpeg_color_space == JCS_GRAYSCALE;
    bool inks = s->d.jpeg_color_space == JCS_CMYK || s->d.jpeg_color_space == JCS_YCCK;
    s->d.out_color_space = gray ? JCS_GRAYSCALE : inks ? JCS_CMYK : JCS_RGB;
    s->row_bytes = (size_t)j->w * (gray ? 1 : inks ? 4 : 3);
    s->row = us_mem_get(&j->c->alloc, s->row_bytes, 1);
    return s->row ? US_OK : us_nomem(j->c);
}

/* A progressive file that ends between two scans lacks bits of some coefficient. */
static bool all_bits_came(const state *s)
{
    for (int k = 0; s->d.coef_bits && k < s->d.num_components; k++)
        for (int i = 0; i < DCTSIZE2; i++)
            if (s->d.coef_bits[k][i] != 0) return false;
    return true;
}

/* Everything during which the library may jump back. */
static us_err guarded(state *s)
{
    if (setjmp(s->back)) return us_job_fail(s->j, US_FORMAT, "%s", s->text);
    jpeg_create_decompress(&s->d);
    s->d.mem->max_memory_to_use = MEMORY_CAP;
    s->d.src = &s->src;
    s->d.progress = &s->progress;
    US_TRY(read_header(s));
    (void)jpeg_start_decompress(&s->d);
    if (s->ran_out && !all_bits_came(s))
        return us_job_fail(s->j, US_FORMAT, "it ends before its last scan");
    return read_rows(s);
}

us_err us_jpeg_read(us_job *j)
{
    state s;
    memset(&s, 0, sizeof s);
    s.j = j;
    s.d.client_data = &s; /* kept by jpeg_create_decompress */
    s.d.err = jpeg_std_error(&s.err);
    s.err.error_exit = on_error;
    s.err.emit_message = on_message;
    s.err.output_message = no_output;
    s.progress.progress_monitor = on_progress;
    s.src = (struct jpeg_source_mgr){.next_input_byte = j->p,
                                     .bytes_in_buffer = j->n,
                                     .init_source = src_nothing,
                                     .fill_input_buffer = src_fill,
                                     .skip_input_data = src_skip,
                                     .resync_to_restart = jpeg_resync_to_restart,
                                     .term_source = src_nothing};
    us_err e = guarded(&s);
    jpeg_destroy_decompress(&s.d);
    us_mem_put(&j->c->alloc, s.row, s.row_bytes, 1);
    return e;
}
