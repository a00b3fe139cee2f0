/* image/jp2.c - JPEG 2000 by openjpeg: .jp2 files and bare codestreams.
 *
 * openjpeg allocates by what the codestream's SIZ marker says: a structure of several kilobytes for each of up to 65,535 tiles,
 * times components. So that marker is found and checked first, and only then is the library asked. Components may have any
 * precision up to 16 bits, signs and subsampling; sYCC is turned into RGB (full range, ITU-R 601).
 * Source: ISO/IEC 15444-1, annexes A.5.1 (SIZ) and I (boxes).
 */
#include <stdio.h>
#include <string.h>

#include <openjpeg.h>

#include "image/job.h"

#define MAX_COMPONENTS 4
#define MAX_TILES      4096

typedef struct state {
    us_job *j;
    size_t at;
    char text[200]; /* the first error */
    opj_image_t *image;
} state;

/* --- the SIZ marker ---------------------------------------------------------------------------------------- */

/* Where the codestream begins; j->n when there is none. */
static size_t find_codestream(const us_job *j)
{
    size_t at = 0;
    if (us_be32(j->p) == 0xFF4FFF51u) return 0;
    while (j->n - at >= 8) {
        uint64_t len = us_be32(j->p + at);
        size_t head = 8;
        if (len == 1 && j->n - at >= 16) {
            len = (uint64_t)us_be32(j->p + at + 8) << 32 | us_be32(j->p + at + 12);
            head = 16;
        }
        if (memcmp(j->p + at + 4, "jp2c", 4) == 0) return at + head;
        if (len < head || len > j->n - at) break;
        at += (size_t)len;
    }
    return j->n;
}

static us_err check_siz(us_job *j, uint64_t *h, uint64_t *w)
{
    size_t at = find_codestream(j);
    if (at > j->n || j->n - at < 42 || us_be32(j->p + at) != 0xFF4FFF51u)
        return us_job_fail(j, US_FORMAT, "it has no codestream");
    const uint8_t *p = j->p + at + 6; /* past SOC, SIZ and its length; first Rsiz */
    uint64_t x1 = us_be32(p + 2), y1 = us_be32(p + 6), x0 = us_be32(p + 10),
             y0 = us_be32(p + 14), tw = us_be32(p + 18), th = us_be32(p + 22),
             tx0 = us_be32(p + 26), ty0 = us_be32(p + 30);
    unsigned n = us_be16(p + 34);
    if (x1 <= x0 || y1 <= y0 || tw == 0 || th == 0 || tx0 > x0 || ty0 > y0)
        return us_job_fail(j, US_FORMAT, "its size makes no sense");
    if (n == 0 || n > MAX_COMPONENTS)
        return us_job_fail(j, US_UNSUPP, "%u components, at most %d are taken", n,
                           MAX_COMPONENTS);
    uint64_t tiles = ((x1 - tx0 + tw - 1) / tw) * ((y1 - ty0 + th - 1) / th);
    if (tiles > MAX_TILES)
        return us_job_fail(j, US_LIMIT, "%llu tiles, at most %d are taken",
                           (unsigned long long)tiles, MAX_TILES);
    *h = y1 - y0;
    *w = x1 - x0;
    return US_OK;
}

/* --- the file in memory ---------------------------------------------------------------------------------------- */

static OPJ_SIZE_T on_read(void *to, OPJ_SIZE_T n, void *ud)
{
    state *s = ud;
    size_t k = US_MIN(n, s->j->n - s->at);
    if (k == 0) return (OPJ_SIZE_T)-1;
    memcpy(to, s->j->p + s->at, k);
    s->at += k;
    return k;
}

static OPJ_OFF_T on_skip(OPJ_OFF_T n, void *ud)
{
    state *s = ud;
    if (n < 0 || (uint64_t)n > s->j->n - s->at) {
        s->at = s->j->n;
        return -1;
    }
    s->at += (size_t)n;
    return n;
}

static OPJ_BOOL on_seek(OPJ_OFF_T to, void *ud)
{
    state *s = ud;
    if (to < 0 || (uint64_t)to > s->j->n) return OPJ_FALSE;
    s->at = (size_t)to;
    return OPJ_TRUE;
}

static void on_error(const char *text, void *ud)
{
    state *s = ud;
    if (s->text[0]) return;
    (void)snprintf(s->text, sizeof s->text, "%s", text);
    s->text[strcspn(s->text, "\n")] = '\0';
}

static void on_message(const char *text, void *ud)
{
    (void)text;
    (void)ud;
}

/* --- pixels ----------------------------------------------------------------------------------------------------- */

/* Component k at (x, y) of the picture, as 0..255. */
static uint8_t sample(const opj_image_t *m, unsigned k, int64_t y, int64_t x)
{
    const opj_image_comp_t *p = &m->comps[k];
    int64_t cy = US_MIN(y / p->dy, (int64_t)p->h - 1),
            cx = US_MIN(x / p->dx, (int64_t)p->w - 1);
    int64_t v = p->data[cy * p->w + cx];
    if (p->sgnd) v += (int64_t)1 << (p->prec - 1);
    int64_t max = ((int64_t)1 << p->prec) - 1;
    if (v < 0) v = 0;
    if (v > max) v = max;
    return (uint8_t)(max == 255 ? v : (v * 255 + max / 2) / max);
}

static uint8_t clip(double v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v + 0.5);
}

static void rgb_of_ycc(uint8_t *p)
{
    double y = p[0], cb = p[1] - 128.0, cr = p[2] - 128.0;
    p[0] = clip(y + 1.402 * cr);
    p[1] = clip(y - 0.344136 * cb - 0.714136 * cr);
    p[2] = clip(y + 1.772 * cb);
}

static us_err put_rows(state *s)
{
    us_job *j = s->j;
    const opj_image_t *m = s->image;
    bool gray = m->numcomps < 3, ycc = m->color_space == OPJ_CLRSPC_SYCC;
    for (unsigned k = 0; k < (gray ? 1 : 3); k++) {
        const opj_image_comp_t *p = &m->comps[k];
        if (!p->data || p->w == 0 || p->h == 0 || p->dx == 0 || p->dy == 0 || p->prec == 0 ||
            p->prec > 16)
            return us_job_fail(j, US_UNSUPP, "component %u of %u bits", k, (unsigned)p->prec);
    }
    size_t n = (size_t)j->w * (gray ? 1 : 3);
    uint8_t *row = us_mem_get(&j->c->alloc, n, 1);
    if (!row) return us_nomem(j->c);
    for (int64_t y = 0; y < j->h; y++) {
        for (int64_t x = 0; x < j->w; x++) {
            if (gray) {
                row[x] = sample(m, 0, y, x);
                continue;
            }
            for (unsigned k = 0; k < 3; k++)
                row[3 * x + k] = sample(m, k, y, x);
            if (ycc) rgb_of_ycc(row + 3 * x);
        }
        if (gray)
            us_job_put_gray(j, y, row);
        else
            us_job_put_rgb(j, y, row);
    }
    us_mem_put(&j->c->alloc, row, n, 1);
    return US_OK;
}

static us_err failed(state *s)
{
    return us_job_fail(s->j, US_FORMAT, "%s",
                       s->text[0] ? s->text : "openjpeg cannot read it and does not say why");
}

static us_err decode(state *s, opj_codec_t *codec, opj_stream_t *stream, uint64_t h, uint64_t w)
{
    us_job *j = s->j;
    opj_dparameters_t par;
    opj_set_default_decoder_parameters(&par);
    (void)opj_set_error_handler(codec, on_error, s);
    (void)opj_set_warning_handler(codec, on_message, s);
    (void)opj_set_info_handler(codec, on_message, s);
    if (!opj_setup_decoder(codec, &par) || !opj_read_header(stream, codec, &s->image))
        return failed(s);
    if (s->image->x1 - s->image->x0 != w || s->image->y1 - s->image->y0 != h)
        return us_job_fail(j, US_FORMAT, "it names two sizes");
    US_TRY(us_job_begin(j, h, w));
    if (!opj_decode(codec, stream, s->image) || !opj_end_decompress(codec, stream))
        return failed(s);
    return put_rows(s);
}

us_err us_jp2_read(us_job *j)
{
    state s = {.j = j};
    uint64_t h = 0, w = 0;
    US_TRY(check_siz(j, &h, &w));
    if (h > US_IMAGE_MAX_SIDE || w > US_IMAGE_MAX_SIDE || h * w > j->limits.max_pixels)
        return us_job_begin(j, h, w); /* its words, before openjpeg asks for memory */
    bool bare = j->p[0] == 0xFF;
    opj_codec_t *codec = opj_create_decompress(bare ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
    opj_stream_t *stream = opj_stream_create((OPJ_SIZE_T)1 << 16, OPJ_TRUE);
    us_err e = codec && stream ? US_OK : us_nomem(j->c);
    if (e == US_OK) {
        opj_stream_set_user_data(stream, &s, NULL);
        opj_stream_set_user_data_length(stream, j->n);
        opj_stream_set_read_function(stream, on_read);
        opj_stream_set_skip_function(stream, on_skip);
        opj_stream_set_seek_function(stream, on_seek);
        e = decode(&s, codec, stream, h, w);
    }
    opj_image_destroy(s.image);
    opj_stream_destroy(stream);
    opj_destroy_codec(codec);
    return e;
}
