/* kernel/ref/fft_real.c - kernel/fft.h in plain C: one lane, radix 2, Cooley and Tukey's iteration over points in reversed order. */
#include "kernel/variants.h"

/* a * b, times the root's conjugate where asked. */
static void multiply(const float *a, const float *w, float *to)
{
    float re = a[0] * w[0] - a[1] * w[1];
    to[1] = a[0] * w[1] + a[1] * w[0];
    to[0] = re;
}

static void transform(size_t n, size_t step, const float *roots, float *x)
{
    for (size_t half = 1; half < n; half *= 2)
        for (size_t at = 0; at < n; at += 2 * half)
            for (size_t k = 0; k < half; k++) {
                float *a = x + 2 * (at + k), *b = a + 2 * half, t[2];
                multiply(b, roots + 2 * (k * step * (n / 2 / half)), t);
                b[0] = a[0] - t[0];
                b[1] = a[1] - t[1];
                a[0] += t[0];
                a[1] += t[1];
            }
}

/* Bins k and n / 2 - k of a real signal whose even and odd samples were transformed as real and imaginary parts. */
static void part(size_t half, size_t k, const float *roots, float *x)
{
    float *a = x + 2 * k, *b = x + 2 * (half - k);
    float even[2] = {0.5F * (a[0] + b[0]), 0.5F * (a[1] - b[1])};
    float odd[2] = {0.5F * (a[1] + b[1]), 0.5F * (b[0] - a[0])}, t[2];
    multiply(odd, roots + 2 * k, t);
    a[0] = even[0] + t[0];
    a[1] = even[1] + t[1];
    b[0] = even[0] - t[0];
    b[1] = t[1] - even[1];
}

static void real(size_t n, const float *roots, float *x)
{
    size_t half = n / 2;
    transform(half, 2, roots, x);
    float first = x[0] + x[1], last = x[0] - x[1];
    x[0] = first;
    x[2 * half] = last;
    x[1] = x[2 * half + 1] = 0;
    for (size_t k = 1; k < half - k; k++)
        part(half, k, roots, x);
    x[half + 1] = -x[half + 1]; /* the middle */
}

const us_fft_kernels us_fft__ref = {.name = "us_fft__ref", .lanes = 1, .real = real};
