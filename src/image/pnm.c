/* image/pnm.c - PBM, PGM, PPM, plain and raw (P1 to P6), 8 or 16 bits.
 *
 * Values are scaled from 0..maxval to 0..255, rounded. Source: the Netpbm manual pages pbm(5), pgm(5), ppm(5).
 */
#include "image/job.h"

typedef struct scan {
    us_job *j;
    size_t at;
} scan;

static bool is_space(uint8_t ch)
{
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

/* The next number, past white space and comments. */
static us_err number(scan *s, const char *what, uint32_t max, uint32_t *out)
{
    const us_job *j = s->j;
    while (s->at < j->n && (is_space(j->p[s->at]) || j->p[s->at] == '#')) {
        if (j->p[s->at] == '#')
            while (s->at < j->n && j->p[s->at] != '\n')
                s->at++;
        else
            s->at++;
    }
    uint32_t v = 0;
    size_t start = s->at;
    while (s->at < j->n && j->p[s->at] >= '0' && j->p[s->at] <= '9') {
        v = v * 10 + (j->p[s->at++] - '0');
        if (v > max)
            return us_job_fail(s->j, US_FORMAT, "%s at byte %zu is over %u", what, start,
                               (unsigned)max);
    }
    if (s->at == start)
        return us_job_fail(s->j, US_FORMAT, "%s expected at byte %zu", what, start);
    *out = v;
    return US_OK;
}

static uint8_t scaled(uint32_t v, uint32_t max)
{
    if (v > max) v = max;
    return (uint8_t)(max == 255 ? v : (v * 255u + max / 2) / max);
}

/* One sample of a plain (text) file; bits of P1 need no space between them. */
static us_err text_sample(scan *s, bool bits, uint32_t max, uint8_t *out)
{
    uint32_t v;
    us_job *j = s->j;
    if (!bits) {
        US_TRY(number(s, "a sample", max, &v));
        *out = scaled(v, max);
        return US_OK;
    }
    while (s->at < j->n && is_space(j->p[s->at]))
        s->at++;
    if (s->at == j->n || (j->p[s->at] != '0' && j->p[s->at] != '1'))
        return us_job_fail(j, US_FORMAT, "0 or 1 expected at byte %zu", s->at);
    *out = j->p[s->at++] == '0' ? 255 : 0;
    return US_OK;
}

/* w * channels samples of a raw row at p. */
static void raw_row(const uint8_t *p, int64_t n, uint32_t max, bool bits, uint8_t *row)
{
    for (int64_t i = 0; i < n; i++) {
        if (bits)
            row[i] = (p[i / 8] >> (7 - i % 8)) & 1 ? 0 : 255;
        else
            row[i] = scaled(max > 255 ? us_be16(p + 2 * i) : p[i], max);
    }
}

static us_err rows(scan *s, bool text, bool bits, uint32_t max, int64_t channels, uint8_t *row)
{
    us_job *j = s->j;
    int64_t n = j->w * channels;
    size_t bytes = bits ? ((size_t)n + 7) / 8 : (size_t)n * (max > 255 ? 2 : 1);
    for (int64_t y = 0; y < j->h; y++) {
        if (text) {
            for (int64_t i = 0; i < n; i++)
                US_TRY(text_sample(s, bits, max, &row[i]));
        } else {
            if (j->n - s->at < bytes)
                return us_job_fail(j, US_FORMAT, "it ends in row %lld of %lld", (long long)y,
                                   (long long)j->h);
            raw_row(j->p + s->at, n, max, bits, row);
            s->at += bytes;
        }
        if (channels == 3)
            us_job_put_rgb(j, y, row);
        else
            us_job_put_gray(j, y, row);
    }
    return US_OK;
}

us_err us_pnm_read(us_job *j)
{
    scan s = {j, 2};
    int kind = j->p[1] - '0'; /* 1..3 plain bits, gray, colour; 4..6 raw */
    bool text = kind <= 3, bits = kind == 1 || kind == 4;
    int64_t channels = kind == 3 || kind == 6 ? 3 : 1;
    uint32_t w, h, max = 1;
    US_TRY(number(&s, "the width", US_IMAGE_MAX_SIDE, &w));
    US_TRY(number(&s, "the height", US_IMAGE_MAX_SIDE, &h));
    if (!bits) US_TRY(number(&s, "the largest value", 65535, &max));
    if (max == 0) return us_job_fail(j, US_FORMAT, "the largest value is 0");
    if (!text) { /* exactly one space before raw samples */
        if (s.at == j->n || !is_space(j->p[s.at]))
            return us_job_fail(j, US_FORMAT, "white space expected at byte %zu", s.at);
        s.at++;
    }
    /* Before memory is asked for: every row takes bytes of the file, at least one for eight pixels. */
    if ((uint64_t)h * w / 8 > j->n - s.at)
        return us_job_fail(j, US_FORMAT, "%zu bytes are too few for %u rows of %u pixels",
                           j->n - s.at, (unsigned)h, (unsigned)w);
    US_TRY(us_job_begin(j, h, w));
    size_t n = (size_t)w * (size_t)channels;
    uint8_t *row = us_mem_get(&j->c->alloc, n, 1);
    if (!row) return us_nomem(j->c);
    us_err e = rows(&s, text, bits, max, channels, row);
    us_mem_put(&j->c->alloc, row, n, 1);
    return e;
}
