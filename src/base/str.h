/* base/str.h - string views, growing buffers, number parsing and printing, hashes. */
#ifndef USTA_BASE_STR_H
#define USTA_BASE_STR_H

#include <stdarg.h>

#include "base/arena.h"

/* Borrowed bytes, usually UTF-8, not terminated. */
typedef struct us_sv {
    const char *p;
    size_t n;
} us_sv;

#define US_SV(lit)   ((us_sv){(lit), sizeof(lit) - 1})
#define US_SV_FMT    "%.*s"
#define US_SV_ARG(s) (int)((s).n > 4096 ? 4096 : (s).n), ((s).n ? (s).p : "")

us_sv us_sv_of(const char *z); /* NULL gives the empty view */
bool us_sv_eq(us_sv a, us_sv b);
bool us_sv_is(us_sv a, const char *z);
int us_sv_cmp(us_sv a, us_sv b); /* bytewise */
bool us_sv_starts(us_sv a, const char *z);
bool us_sv_ends(us_sv a, const char *z);
us_sv us_sv_trim(us_sv a); /* blanks, tabs, CR, LF at both ends */

/* Copies into an arena; us_str_dup's result is zero-terminated as well. NULL/empty p on failure. */
char *us_str_dup(us_arena *a, us_sv s) US_MUST;
char *us_str_printf(us_arena *a, const char *fmt, ...) US_MUST US_PRINTF(2, 3);
us_err us_sv_dup(struct us_ctx *c, us_arena *a, us_sv s, us_sv *out) US_MUST;

/* Growing byte buffer on the context's allocator with a cap chosen at init; sticky error: after a
 * failed append all later ones do nothing, us_buf_check tells. Contents always zero-terminated; p is
 * NULL until something was added. */
typedef struct us_buf {
    struct us_ctx *c;
    char *p;
    size_t n;
    size_t cap;
    size_t max; /* the most bytes it may hold */
    us_err err;
} us_buf;
void us_buf_init(us_buf *b, struct us_ctx *c, size_t max_bytes);
void us_buf_deinit(us_buf *b);
void us_buf_clear(us_buf *b);
void us_buf_add(us_buf *b, const void *p, size_t n);
void us_buf_adds(us_buf *b, const char *z);
void us_buf_addsv(us_buf *b, us_sv s);
void us_buf_addc(us_buf *b, char ch);
void us_buf_addf(us_buf *b, const char *fmt, ...) US_PRINTF(2, 3);
void us_buf_addfv(us_buf *b, const char *fmt, va_list ap) US_PRINTF(2, 0);
us_err us_buf_check(us_buf *b) US_MUST; /* US_OK, US_NOMEM or US_LIMIT, with detail */
us_sv us_buf_sv(const us_buf *b);

/* Numbers, independent of the locale, whole view or failure (false, *out untouched). The float parser
 * is correctly rounded, takes decimal and exponent forms, inf/infinity/nan in any case, no hex. */
bool us_parse_i64(us_sv s, int64_t *out);
bool us_parse_u64(us_sv s, uint64_t *out);
bool us_parse_f64(us_sv s, double *out);
/* The number at p: returns the place after it, NULL when there is none. For readers of large files. */
const char *us_parse_f64_prefix(const char *p, const char *end, double *out);
bool us_parse_bool(us_sv s, bool *out); /* true false yes no y n on off 1 0, any case */
/* Shortest text that reads back as the same value; returns length, out holds >= 32 bytes. */
size_t us_print_f64(double v, char out[32]);
size_t us_print_f32(float v, char out[32]);
/* "1.5 MB", "873 B"; returns out. */
const char *us_print_bytes(uint64_t n, char out[32]);

bool us_utf8_valid(us_sv s);

/* 64-bit hash of bytes (not cryptographic; stable across machines and versions: files may hold it). */
uint64_t us_hash64(const void *p, size_t n, uint64_t seed);

/* Nearest candidate to `word` by edit distance, for "did you mean"; NULL when none is near. */
const char *us_nearest(us_sv word, const char *const *candidates, size_t n);

#endif
