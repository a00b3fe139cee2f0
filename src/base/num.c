/* base/num.c - numbers from text, independent of the locale. Printing is in print.c.
 *
 * Floating point, three ways, each correctly rounded:
 * 1. mantissa below 2^53 and power of ten within +-22: both are exact doubles, one operation rounds
 *    (Clinger, "How to read floating point numbers accurately", PLDI 1990);
 * 2. mantissa of up to 19 digits times a 128-bit power of ten (Eisel and Lemire; Lemire, "Number parsing at a
 *    gigabyte per second", 2021, section 5). More digits: when the first 19 and their successor give the
 *    same double, it is the answer;
 * 3. strtod on the digits without a point, so that no locale matters. 768 digits decide any double; what
 *    follows them is one sticky digit.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pow10.h"
#include "base/str.h"

#define DIGITS_DECIDE 770 /* more than the 767 a halfway point between doubles can have */

static const double pow10_exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool digit(char ch)
{
    return (unsigned char)(ch - '0') < 10;
}

static char lower(char ch)
{
    return ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch;
}

/* Does [p,end) start with this lower-case word, in any case? Returns the place after it. */
static const char *word_at(const char *p, const char *end, const char *word)
{
    for (; *word; word++, p++)
        if (p >= end || lower(*p) != *word) return NULL;
    return p;
}

/* inf, infinity, nan after the sign. */
static const char *special(const char *p, const char *end, bool neg, double *out)
{
    const char *q = word_at(p, end, "inf");
    if (q) {
        const char *r = word_at(q, end, "inity");
        *out = neg ? -(double)INFINITY : (double)INFINITY;
        return r ? r : q;
    }
    q = word_at(p, end, "nan");
    if (q) *out = (double)NAN;
    return q;
}

/* A number as found in the text: digits without sign and exponent, the point among them. */
typedef struct decimal {
    const char *first, *end; /* of the digits and the point */
    int64_t exp10;           /* of the last digit */
} decimal;

static double from_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* w * 10^q rounded to nearest even, w > 0. False in the few cases that 128 bits cannot decide. */
static bool eisel_lemire(uint64_t w, int64_t q, double *out)
{
    if (q < US_POW10_MIN || q > 308) {
        *out = q < 0 ? 0.0 : (double)INFINITY;
        return true;
    }
    int lz = __builtin_clzll(w);
    w <<= lz;
    us_wide t = us_pow10_table[q - US_POW10_MIN], p = us_wide_product(w, t.hi);
    uint64_t hi = p.hi, lo = p.lo;
    if ((hi & 0x1FF) ==
        0x1FF) { /* the bits below the rounding bit are all ones: look further */
        uint64_t more = us_wide_product(w, t.lo).hi;
        lo += more;
        hi += lo < more;
        if (lo == UINT64_MAX && (q < -27 || q > 55)) return false;
    }
    int top = (int)(hi >> 63), shift = top + 9;
    uint64_t m = hi >> shift; /* 54 bits: the double's 53 and the rounding bit */
    // cppcheck-suppress shiftNegativeLHS ; gcc and clang shift arithmetically: floor(q * log2(10))
    int64_t e = ((217706 * q) >> 16) + 63 + top - lz + 1023;
    if (e <= 0) { /* subnormal, or zero */
        if (e <= -63) {
            *out = 0;
            return true;
        }
        m >>= 1 - e;
        m = (m + (m & 1)) >> 1;
        *out = from_bits(m); /* a carry makes the smallest normal number by itself */
        return true;
    }
    /* exactly between two doubles: to the even one (possible for small powers only) */
    if (lo <= 1 && q >= -4 && q <= 23 && (m & 3) == 1 && m << shift == hi) m &= ~UINT64_C(1);
    m = (m + (m & 1)) >> 1;
    if (m >> 53) {
        m >>= 1;
        e++;
    }
    *out = e >= 2047 ? (double)INFINITY
                     : from_bits((uint64_t)e << 52 | (m & ((UINT64_C(1) << 52) - 1)));
    return true;
}

/* Way 3: digits of d without the point, cut after DIGITS_DECIDE. */
static double slow_parse(const decimal *d)
{
    char text[DIGITS_DECIDE + 32];
    size_t k = 0;
    int64_t exp10 = d->exp10;
    bool sticky = false;
    for (const char *p = d->first; p < d->end; p++) {
        if (*p == '.' || (!k && *p == '0')) continue;
        if (k < DIGITS_DECIDE) {
            text[k++] = *p;
        } else {
            sticky |= *p != '0';
            exp10++;
        }
    }
    if (sticky) { /* stands for all that was cut */
        text[k++] = '1';
        exp10--;
    }
    exp10 = exp10 > 9999 ? 9999 : exp10 < -9999 ? -9999 : exp10;
    (void)snprintf(text + k, sizeof text - k, "e%d", (int)exp10);
    return strtod(text, NULL);
}

/* More than 19 digits, leading zeros counted. */
static double parse_many(const decimal *d)
{
    uint64_t w = 0;
    int n = 0;
    int64_t exp10 = d->exp10;
    bool rest = false;
    for (const char *p = d->first; p < d->end; p++) {
        if (*p == '.' || (!n && *p == '0')) continue;
        if (n < 19) {
            w = w * 10 + (uint64_t)(*p - '0');
            n++;
        } else {
            rest |= *p != '0';
            exp10++;
        }
    }
    double low, high;
    if (!w) return 0;
    if (eisel_lemire(w, exp10, &low) &&
        (!rest || (eisel_lemire(w + 1, exp10, &high) && low == high)))
        return low;
    return slow_parse(d);
}

static double parse_few(const decimal *d, uint64_t m)
{
    double v;
    if (m <= UINT64_C(1) << 53 && d->exp10 >= -22 && d->exp10 <= 22)
        return d->exp10 < 0 ? (double)m / pow10_exact[-d->exp10]
                            : (double)m * pow10_exact[d->exp10];
    if (!m) return 0;
    return eisel_lemire(m, d->exp10, &v) ? v : slow_parse(d);
}

/* An exponent at p, or nothing: then p itself is returned. Huge ones stop growing far out of reach. */
static const char *exponent(const char *p, const char *end, int64_t *exp10)
{
    const char *q = p + 1;
    bool neg = q < end && *q == '-';
    if (q < end && (*q == '-' || *q == '+')) q++;
    if (q >= end || !digit(*q)) return p;
    int64_t e = 0;
    for (; q < end && digit(*q); q++)
        if (e < INT64_C(1000000000000000)) e = e * 10 + (*q - '0');
    *exp10 += neg ? -e : e;
    return q;
}

const char *us_parse_f64_prefix(const char *p, const char *end, double *out)
{
    bool neg = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    decimal d = {.first = p};
    uint64_t m = 0;
    while (p < end && digit(*p))
        m = m * 10 + (uint64_t)(*p++ - '0');
    int64_t n_digits = p - d.first;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        while (p < end && digit(*p))
            m = m * 10 + (uint64_t)(*p++ - '0');
        d.exp10 = fraction - p;
        n_digits += p - fraction;
    }
    if (!n_digits) return special(d.first, end, neg, out);
    d.end = p;
    if (p < end && (*p == 'e' || *p == 'E')) p = exponent(p, end, &d.exp10);
    double v = n_digits <= 19 ? parse_few(&d, m) : parse_many(&d); /* m holds 19 digits */
    *out = neg ? -v : v;
    return p;
}

bool us_parse_f64(us_sv s, double *out)
{
    double v;
    if (!s.n || us_parse_f64_prefix(s.p, s.p + s.n, &v) != s.p + s.n) return false;
    *out = v;
    return true;
}

bool us_parse_u64(us_sv s, uint64_t *out)
{
    uint64_t v = 0;
    if (!s.n) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!digit(s.p[i])) return false;
        uint64_t d = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - d) / 10) return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

bool us_parse_i64(us_sv s, int64_t *out)
{
    bool neg = s.n && s.p[0] == '-';
    uint64_t v;
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        s.p++;
        s.n--;
    }
    if (!us_parse_u64(s, &v) || v > (uint64_t)INT64_MAX + neg) return false;
    *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

bool us_parse_bool(us_sv s, bool *out)
{
    static const char *const words[2][5] = {{"false", "no", "off", "0", "n"},
                                            {"true", "yes", "on", "1", "y"}};
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < 5; i++)
            if (s.n == strlen(words[v][i]) && word_at(s.p, s.p + s.n, words[v][i])) {
                *out = v == 1;
                return true;
            }
    return false;
}
