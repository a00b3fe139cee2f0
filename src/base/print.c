/* base/print.c - numbers to text: the fewest digits that read back as the same value, and of those the nearest.
 *
 * Source: R. Giulietti, "The Schubfach way to render doubles", 2021, sections 8 and 9: the interval of
 * numbers that round to v, scaled by a power of ten so that it holds at least one integer and at most one multiple of ten.
 * Scaling is rounded to odd, which keeps every comparison exact.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/pow10.h"
#include "base/str.h"

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

typedef struct decimal {
    uint64_t digits;
    int exp10;
} decimal;

/* floor(cp * g / 2^128), with the lowest bit set when something was cut. */
static uint64_t scale_to_odd(us_wide g, uint64_t cp)
{
    uint64_t carried = us_wide_product(cp, g.lo).hi;
    us_wide y = us_wide_product(cp, g.hi);
    y.lo += carried;
    y.hi += y.lo < carried;
    return y.hi | (y.lo > 1);
}

/* 10^q to 128 bits, rounded up. */
static us_wide power(int q)
{
    us_wide g = us_pow10_table[q - US_POW10_MIN];
    bool up = q < -27 || q > 55;
    g.lo += up;
    g.hi += up && g.lo == 0;
    return g;
}

/* Shortest decimal of c * 2^q. near_below: the next smaller value is half as far as the next larger. */
static decimal shortest(uint64_t c, int q, bool near_below)
{
    /* floor(log10(2^q)), or of 3/4 of it; floor(log2(10^-k)) */
    int k = (int)((q * INT64_C(1262611) - (near_below ? 524031 : 0)) >> 22);
    int h = q + (int)((-k * INT64_C(1741647)) >> 19) + 1;
    us_wide g = power(-k);
    uint64_t odd = c & 1; /* ends of the interval belong to it when c is even */
    uint64_t low = scale_to_odd(g, (4 * c - 2 + near_below) << h) + odd;
    uint64_t v = scale_to_odd(g, (4 * c) << h);
    uint64_t high = scale_to_odd(g, (4 * c + 2) << h) - odd;
    uint64_t s = v / 4;
    if (s >= 10) { /* one digit fewer */
        uint64_t t = s / 10;
        bool down = low <= 40 * t, up = 40 * t + 40 <= high;
        if (down != up) return (decimal){t + up, k + 1};
    }
    bool down = low <= 4 * s, up = 4 * s + 4 <= high;
    if (down != up) return (decimal){s + up, k};
    uint64_t mid = 4 * s + 2;
    return (decimal){s + (v > mid || (v == mid && (s & 1))), k};
}

/* 123.45, 0.00012, 1e-05, 1.5e+16: plain from 1e-4 up to 1e16. */
static size_t format(bool neg, decimal d, char out[32])
{
    char digits[32];
    while (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exp10++;
    }
    int n = (int)print_integer((int64_t)d.digits, digits);
    int point = n + d.exp10; /* digits before the point */
    size_t k = 0;
    if (neg) out[k++] = '-';
    if (point > 16 || point < -3) {
        out[k++] = digits[0];
        if (n > 1) out[k++] = '.';
        memcpy(out + k, digits + 1, (size_t)n - 1);
        k += (size_t)n - 1;
        int e = point - 1;
        return k + (size_t)snprintf(out + k, 8, "e%c%02d", e < 0 ? '-' : '+', e < 0 ? -e : e);
    }
    if (point <= 0) {
        memcpy(out + k, "0.000", (size_t)(2 - point));
        k += (size_t)(2 - point);
        memcpy(out + k, digits, (size_t)n);
        k += (size_t)n;
    } else {
        int whole = US_MIN(n, point);
        memcpy(out + k, digits, (size_t)whole);
        memset(out + k + whole, '0', (size_t)(point - whole));
        k += (size_t)point;
        if (n > point) {
            out[k++] = '.';
            memcpy(out + k, digits + point, (size_t)(n - point));
            k += (size_t)(n - point);
        }
    }
    out[k] = 0;
    return k;
}

/* Values that need no search; 0 when v is none of them. */
static size_t print_plain(double v, char out[32])
{
    if (isnan(v)) return (size_t)snprintf(out, 32, "nan");
    if (isinf(v)) return (size_t)snprintf(out, 32, v < 0 ? "-inf" : "inf");
    if (v == 0) return (size_t)snprintf(out, 32, signbit(v) ? "-0" : "0");
    if (fabs(v) < 1e15 && v == (double)(int64_t)v) return print_integer((int64_t)v, out);
    return 0;
}

size_t us_print_f64(double v, char out[32])
{
    size_t n = print_plain(v, out);
    if (n) return n;
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint64_t m = bits & ((UINT64_C(1) << 52) - 1);
    int e = (int)(bits >> 52 & 0x7FF);
    uint64_t c = e ? m | UINT64_C(1) << 52 : m;
    return format(v < 0, shortest(c, (e ? e : 1) - 1075, !m && e > 1), out);
}

size_t us_print_f32(float v, char out[32])
{
    size_t n = fabsf(v) < 16777216 || !isfinite(v) ? print_plain((double)v, out) : 0;
    if (n) return n;
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    uint32_t m = bits & 0x7FFFFF;
    int e = (int)(bits >> 23 & 0xFF);
    uint64_t c = e ? m | 0x800000 : m;
    return format(v < 0, shortest(c, (e ? e : 1) - 150, !m && e > 1), out);
}
