/* kernel/fft.h - Fourier transforms of real signals of a power of two samples, several at once: each lane of a vector has one.
 *
 * So every instruction works on whole vectors at every stage, and no lane changes its place. Numbers of the lanes lie side by side: a point is `lanes`
 * real parts, then `lanes` imaginary parts.
 *
 * n samples go in as n / 2 points, sample 2j real and 2j + 1 imaginary, point j at place order[j]; bins 0 .. n / 2 come out in order. Roots are
 * computed in double and rounded once, so the error of a bin stays near log2(n) roundings of the signal's size.
 */
#ifndef USTA_KERNEL_FFT_H
#define USTA_KERNEL_FFT_H

#include "base/err.h"

enum { US_FFT_LEAST = 4, US_FFT_MOST = 1 << 16 }; /* samples */

/* roots: 2 n floats, exp(-2 pi i k / n) for k < n, real and imaginary part in turn; order: n / 2 places. */
void us_fft_tables(size_t n, float *roots, uint32_t *order);

typedef struct us_fft_kernels {
    const char *name;
    size_t lanes;
    /* x: n / 2 + 1 points, aligned to 64 bytes. The last is not read. */
    void (*real)(size_t n, const float *roots, float *x);
} us_fft_kernels;

#endif
