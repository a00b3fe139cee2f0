/* base/num.c - numbers to and from text, independent of the locale.
 *
 * Reading: digits are gathered into 64 bits; when the mantissa is below 2^53 and the power of ten within
 * +-22 both are exact doubles and one operation rounds correctly (Clinger, "How to read floating point
 * numbers accurately", PLDI 1990). Everything else goes through strtod, which is correctly rounded.
 * Writing: the fewest digits that read back as the same value.
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define NUM_MAX 400 /* characters of a number that the slow path looks at */

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

/* strtod on a copy, with the decimal point of whatever locale the process is in. */
static bool slow_parse(const char *p, size_t n, double *out)
{
    char text[NUM_MAX + 32];
    const char *point = localeconv()->decimal_point;
    size_t k = 0;
    if (n > NUM_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '.') {
            text[k++] = p[i];
            continue;
        }
        for (const char *q = point; *q && k < sizeof text - 2; q++)
            text[k++] = *q;
    }
    text[k] = 0;
    char *end;
    *out = strtod(text, &end);
    return *end == 0;
}

/* Digits after the 400th cannot change the result except by a sticky tail: cut them, keeping the exponent. */
static bool long_parse(const char *p, const char *end, double *out)
{
    char text[NUM_MAX];
    size_t k = 0;
    long dropped = 0, exp10 = 0;
    bool point = false, sticky = false;
    if (*p == '-' || *p == '+') text[k++] = *p++;
    const size_t first = k;
    for (; p < end && (digit(*p) || *p == '.'); p++) {
        if (*p == '.') {
            point = true;
        } else if (k == first + 1 && text[first] == '0') {
            text[k - 1] = *p; /* leading zero */
            dropped -= point;
        } else if (k < NUM_MAX - 32) {
            text[k++] = *p;
            dropped -= point;
        } else {
            sticky |= *p != '0';
            dropped += !point;
        }
    }
    if (p < end && lower(*p) == 'e') {
        us_sv e = {p + 1, (size_t)(end - p - 1)};
        int64_t v;
        if (e.n && e.p[0] == '+') {
            e.p++;
            e.n--;
        }
        bool neg = e.n && e.p[0] == '-';
        exp10 = us_parse_i64(e, &v) ? (long)(v > 100000    ? 100000
                                             : v < -100000 ? -100000
                                                           : v)
                : neg               ? -100000
                                    : 100000;
    }
    if (sticky) {
        text[k++] = '1';
        dropped--;
    }
    (void)snprintf(text + k, sizeof text - k, "e%ld", exp10 + dropped);
    return slow_parse(text, strlen(text), out);
}

const char *us_parse_f64_prefix(const char *p, const char *end, double *out)
{
    const char *start = p;
    bool neg = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    uint64_t m = 0;
    int n_digits = 0, exp10 = 0;
    const char *digits = p;
    while (p < end && digit(*p)) {
        m = m * 10 + (uint64_t)(*p++ - '0');
    }
    n_digits = (int)US_MIN(p - digits, 1000);
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        while (p < end && digit(*p))
            m = m * 10 + (uint64_t)(*p++ - '0');
        n_digits += (int)US_MIN(p - fraction, 1000);
        exp10 = -(int)US_MIN(p - fraction, 1000);
    }
    if (!n_digits) return special(digits, end, neg, out);
    bool huge_exp = false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char *q = p + 1;
        bool eneg = q < end && *q == '-';
        if (q < end && (*q == '-' || *q == '+')) q++;
        if (q < end && digit(*q)) {
            int e = 0;
            for (; q < end && digit(*q); q++) {
                if (e < 10000) e = e * 10 + (*q - '0');
                huge_exp |= e >= 10000;
            }
            exp10 += eneg ? -e : e;
            p = q;
        }
    }
    /* up to 19 digits cannot have overflowed 64 bits */
    if (n_digits <= 19 && !huge_exp && m <= (UINT64_C(1) << 53) && exp10 >= -22 &&
        exp10 <= 22) {
        double v = (double)m;
        v = exp10 < 0 ? v / pow10_exact[-exp10] : v * pow10_exact[exp10];
        *out = neg ? -v : v;
        return p;
    }
    size_t n = (size_t)(p - start);
    bool ok = n <= NUM_MAX ? slow_parse(start, n, out) : long_parse(start, p, out);
    return ok ? p : NULL;
}

bool us_parse_f64(us_sv s, double *out)
{
    double v;
    const char *end = s.p + s.n;
    if (!s.n || us_parse_f64_prefix(s.p, end, &v) != end) return false;
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

static size_t print_integer(int64_t v, char out[32])
{
    char rev[24];
    size_t n = 0, k = 0;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do
        rev[n++] = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0) out[k++] = '-';
    while (n)
        out[k++] = rev[--n];
    out[k] = 0;
    return k;
}

/* Values that need no search; 0 when v is none of them. */
static size_t print_plain(double v, char out[32])
{
    if (isnan(v)) return (size_t)snprintf(out, 32, "nan");
    if (isinf(v)) return (size_t)snprintf(out, 32, v < 0 ? "-inf" : "inf");
    if (fabs(v) < 1e15 && v == floor(v) && !(v == 0 && signbit(v)))
        return print_integer((int64_t)v, out);
    return 0;
}

/* A foreign locale's decimal point becomes '.'. */
static size_t print_digits(double v, int digits, char out[32])
{
    int n = snprintf(out, 32, "%.*g", digits, v);
    for (int i = 0; i < n; i++)
        if (out[i] == ',') out[i] = '.';
    return (size_t)n;
}

size_t us_print_f64(double v, char out[32])
{
    size_t n = print_plain(v, out);
    for (int digits = 15; !n && digits <= 17; digits++) {
        size_t k = print_digits(v, digits, out);
        double back;
        if (digits == 17 || (us_parse_f64((us_sv){out, k}, &back) && back == v)) n = k;
    }
    return n;
}

size_t us_print_f32(float v, char out[32])
{
    size_t n = print_plain((double)v, out);
    for (int digits = 6; !n && digits <= 9; digits++) {
        size_t k = print_digits((double)v, digits, out);
        double back;
        if (digits == 9 || (us_parse_f64((us_sv){out, k}, &back) && (float)back == v)) n = k;
    }
    return n;
}
