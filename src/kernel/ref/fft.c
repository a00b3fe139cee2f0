/* kernel/ref/fft.c - discrete Fourier transform of any length in O(n log n), in double.
 *
 * A power of two: Cooley and Tukey's iteration with bit reversal. Any other length: Bluestein's convolution with a chirp,
 * by transforms of a power of two (L. Bluestein, "A linear filtering approach to the computation of discrete
 * Fourier transform", 1970). Angles are computed one by one, so the error stays near log n roundings.
 */
#include <math.h>
#include <string.h>

#include "kernel/ref.h"

#define PI 3.14159265358979323846

static size_t power_for(size_t n)
{
    size_t m = 1;
    if ((n & (n - 1)) == 0) return n;
    while (m < 2 * n - 1)
        m *= 2;
    return m;
}

size_t us_ref_fft_doubles(size_t n)
{
    size_t m = power_for(n);
    return m == n ? m : m + 2 * n + 4 * m; /* twiddles; chirp; its transform and a buffer */
}

static void multiply(double *x, const double *y)
{
    double re = x[0] * y[0] - x[1] * y[1];
    x[1] = x[0] * y[1] + x[1] * y[0];
    x[0] = re;
}

static void reverse_bits(size_t m, double *x)
{
    for (size_t i = 0, j = 0; i < m; i++) {
        if (i < j)
            for (int c = 0; c < 2; c++) {
                double t = x[2 * i + (size_t)c];
                x[2 * i + (size_t)c] = x[2 * j + (size_t)c];
                x[2 * j + (size_t)c] = t;
            }
        size_t bit = m >> 1;
        for (; bit && (j & bit); bit >>= 1)
            j ^= bit;
        j |= bit;
    }
}

/* m a power of two; w: m/2 complex roots exp(-2 pi i k / m). */
static void power_of_two(size_t m, double *x, const double *w)
{
    reverse_bits(m, x);
    for (size_t half = 1; half < m; half *= 2)
        for (size_t at = 0; at < m; at += 2 * half)
            for (size_t k = 0; k < half; k++) {
                double *a = x + 2 * (at + k), *b = a + 2 * half;
                double t[2] = {b[0], b[1]};
                multiply(t, w + 2 * (k * (m / 2 / half)));
                b[0] = a[0] - t[0];
                b[1] = a[1] - t[1];
                a[0] += t[0];
                a[1] += t[1];
            }
}

void us_ref_fft_plan(size_t n, double *work)
{
    size_t m = power_for(n);
    for (size_t k = 0; k < m / 2; k++) {
        work[2 * k] = cos(2 * PI * (double)k / (double)m);
        work[2 * k + 1] = -sin(2 * PI * (double)k / (double)m);
    }
    if (m == n) return;
    double *chirp = work + m, *filter = chirp + 2 * n;
    memset(filter, 0, 2 * m * sizeof *filter);
    for (size_t k = 0; k < n; k++) {
        /* k * k modulo 2n keeps the angle small and so exact */
        double angle = PI * (double)((uint64_t)k * k % (2 * (uint64_t)n)) / (double)n;
        chirp[2 * k] = cos(angle);
        chirp[2 * k + 1] = -sin(angle);
        for (size_t at = k, once = 0; once < 2; once++, at = k ? m - k : 0) {
            filter[2 * at] = chirp[2 * k];
            filter[2 * at + 1] = -chirp[2 * k + 1];
        }
    }
    power_of_two(m, filter, work);
}

static void bluestein(size_t n, size_t m, double *x, double *work)
{
    double *chirp = work + m, *filter = chirp + 2 * n, *buf = filter + 2 * m;
    memset(buf, 0, 2 * m * sizeof *buf);
    memcpy(buf, x, 2 * n * sizeof *buf);
    for (size_t k = 0; k < n; k++)
        multiply(buf + 2 * k, chirp + 2 * k);
    power_of_two(m, buf, work);
    for (size_t k = 0; k < m; k++) {
        multiply(buf + 2 * k, filter + 2 * k);
        buf[2 * k + 1] = -buf[2 * k + 1]; /* back by the conjugate's transform */
    }
    power_of_two(m, buf, work);
    for (size_t k = 0; k < n; k++) {
        x[2 * k] = buf[2 * k] / (double)m;
        x[2 * k + 1] = -buf[2 * k + 1] / (double)m;
        multiply(x + 2 * k, chirp + 2 * k);
    }
}

void us_ref_fft(size_t n, double *x, double *work)
{
    size_t m = power_for(n);
    if (m == n)
        power_of_two(n, x, work);
    else
        bluestein(n, m, x, work);
}
