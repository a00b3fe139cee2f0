/* base/str.c - string views, buffers, hashes, nearest words. Numbers are in num.c. */
#include "base/str.h"

#include <stdio.h>
#include <string.h>

#include "base/ctx.h"

us_sv us_sv_of(const char *z)
{
    return z ? (us_sv){z, strlen(z)} : (us_sv){0};
}

bool us_sv_eq(us_sv a, us_sv b)
{
    return a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n));
}

bool us_sv_is(us_sv a, const char *z)
{
    return us_sv_eq(a, us_sv_of(z));
}

int us_sv_cmp(us_sv a, us_sv b)
{
    size_t n = US_MIN(a.n, b.n);
    int r = n ? memcmp(a.p, b.p, n) : 0;
    return r ? r : (a.n > b.n) - (a.n < b.n);
}

bool us_sv_starts(us_sv a, const char *z)
{
    us_sv b = us_sv_of(z);
    return a.n >= b.n && us_sv_eq((us_sv){a.p, b.n}, b);
}

bool us_sv_ends(us_sv a, const char *z)
{
    us_sv b = us_sv_of(z);
    return a.n >= b.n && (!b.n || us_sv_eq((us_sv){a.p + (a.n - b.n), b.n}, b));
}

static bool blank(char ch)
{
    return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

us_sv us_sv_trim(us_sv a)
{
    while (a.n && blank(a.p[0])) {
        a.p++;
        a.n--;
    }
    while (a.n && blank(a.p[a.n - 1]))
        a.n--;
    return a;
}

char *us_str_dup(us_arena *a, us_sv s)
{
    size_t n;
    if (!us_add_size(s.n, 1, &n)) return NULL;
    char *z = us_new_n(a, char, n);
    if (z && s.n) memcpy(z, s.p, s.n);
    return z;
}

char *us_str_printf(us_arena *a, const char *fmt, ...)
{
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *z = n < 0 ? NULL : us_new_n(a, char, (size_t)n + 1);
    if (z) (void)vsnprintf(z, (size_t)n + 1, fmt, ap2);
    va_end(ap2);
    return z;
}

us_err us_sv_dup(us_ctx *c, us_arena *a, us_sv s, us_sv *out)
{
    char *z = us_str_dup(a, s);
    if (!z) return us_arena_fail(c, a);
    *out = (us_sv){z, s.n};
    return US_OK;
}

void us_buf_init(us_buf *b, us_ctx *c, size_t max_bytes)
{
    *b = (us_buf){.c = c, .max = max_bytes};
}

void us_buf_deinit(us_buf *b)
{
    if (b->p) us_mem_put(&b->c->alloc, b->p, b->cap, 1);
    *b = (us_buf){.c = b->c, .max = b->max};
}

void us_buf_clear(us_buf *b)
{
    b->n = 0;
    b->err = US_OK;
    if (b->p) b->p[0] = 0;
}

/* Room for n more bytes and the terminator. */
static bool buf_room(us_buf *b, size_t n)
{
    if (b->err != US_OK) return false;
    if (n > b->max || b->n > b->max - n) {
        b->err = US_LIMIT;
        return false;
    }
    size_t want = b->n + n + 1;
    if (want <= b->cap) return true;
    size_t now = b->cap < 64 ? 64 : b->cap;
    while (now < want)
        now += now / 2 + 1;
    char *p = b->c->alloc.realloc_fn(b->c->alloc.ud, b->p, b->cap, now);
    if (!p) {
        b->err = US_NOMEM;
        return false;
    }
    b->p = p;
    b->cap = now;
    return true;
}

void us_buf_add(us_buf *b, const void *p, size_t n)
{
    if (!buf_room(b, n)) return;
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void us_buf_adds(us_buf *b, const char *z)
{
    us_buf_add(b, z, strlen(z));
}

void us_buf_addsv(us_buf *b, us_sv s)
{
    us_buf_add(b, s.p, s.n);
}

void us_buf_addc(us_buf *b, char ch)
{
    us_buf_add(b, &ch, 1);
}

void us_buf_addfv(us_buf *b, const char *fmt, va_list ap)
{
    va_list ap2;
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n >= 0 && buf_room(b, (size_t)n)) {
        (void)vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap2);
        b->n += (size_t)n;
    }
    va_end(ap2);
}

void us_buf_addf(us_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    us_buf_addfv(b, fmt, ap);
    va_end(ap);
}

us_err us_buf_check(us_buf *b)
{
    char max[32];
    if (b->err == US_OK) return US_OK;
    if (b->err == US_NOMEM) return us_nomem(b->c);
    return us_fail(b->c, b->err, "text would exceed its limit of %s",
                   us_print_bytes(b->max, max));
}

us_sv us_buf_sv(const us_buf *b)
{
    return (us_sv){b->p ? b->p : "", b->n};
}

const char *us_print_bytes(uint64_t n, char out[32])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)n;
    size_t u = 0;
    while (v >= 1000 && u + 1 < US_LEN(units)) {
        v /= 1000;
        u++;
    }
    (void)snprintf(out, 32, u && v < 100 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return out;
}

/* Length of the sequence that starts with byte b, 0 when it cannot start one. */
static size_t utf8_length(uint8_t b)
{
    return b < 0x80                ? 1
           : b >= 0xC2 && b < 0xE0 ? 2
           : b >= 0xE0 && b < 0xF0 ? 3
           : b >= 0xF0 && b < 0xF5 ? 4
                                   : 0;
}

bool us_utf8_valid(us_sv s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    for (size_t i = 0; i < s.n;) {
        size_t n = utf8_length(p[i]);
        if (!n || n > s.n - i) return false;
        for (size_t k = 1; k < n; k++)
            if ((p[i + k] & 0xC0) != 0x80) return false;
        if (p[i] == 0xE0 && p[i + 1] < 0xA0) return false; /* overlong */
        if (p[i] == 0xED && p[i + 1] > 0x9F) return false; /* surrogates */
        if (p[i] == 0xF0 && p[i + 1] < 0x90) return false;
        if (p[i] == 0xF4 && p[i + 1] > 0x8F) return false;
        i += n;
    }
    return true;
}

/* Murmur-like: 8 bytes at a time through a multiply-xorshift mix (finaliser constants of splitmix64). */
static uint64_t mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t us_hash64(const void *p, size_t n, uint64_t seed)
{
    const uint8_t *s = p;
    uint64_t h = mix64(seed ^ (UINT64_C(0x9E3779B97F4A7C15) * (n + 1)));
    while (n) {
        uint64_t w = 0;
        size_t k = US_MIN(n, 8);
        for (size_t i = 0; i < k; i++)
            w |= (uint64_t)s[i] << (8 * i); /* the same on any byte order */
        h = mix64(h ^ w) + UINT64_C(0x9E3779B97F4A7C15);
        s += k;
        n -= k;
    }
    return mix64(h);
}

#define NEAREST_MAX 64

/* Levenshtein distance with transpositions of neighbours; words longer than NEAREST_MAX are far from all. */
static size_t distance(us_sv a, us_sv b)
{
    size_t row[3][NEAREST_MAX + 1];
    if (a.n > NEAREST_MAX || b.n > NEAREST_MAX) return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = row[i % 3], *was = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t d = was[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            d = US_MIN(d, US_MIN(was[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                d = US_MIN(d, before[j - 2] + 1);
            now[j] = d;
        }
    }
    return row[a.n % 3][b.n];
}

const char *us_nearest(us_sv word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    /* farther than this is no likely slip; nor is a word of which no letter stays */
    size_t best_d = US_MIN(word.n / 3 + 2, word.n);
    for (size_t i = 0; i < n; i++) {
        size_t d = distance(word, us_sv_of(candidates[i]));
        if (d < best_d) {
            best_d = d;
            best = candidates[i];
        }
    }
    return best;
}
