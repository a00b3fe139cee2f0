/* kernel/fft.c - tables of kernel/fft.h. */
#include "kernel/fft.h"

#include <math.h>

#define PI 3.14159265358979323846

void us_fft_tables(size_t n, float *roots, uint32_t *order)
{
    for (size_t k = 0; k < n; k++) {
        double angle = 2 * PI * (double)k / (double)n;
        roots[2 * k] = (float)cos(angle);
        roots[2 * k + 1] = (float)-sin(angle);
    }
    for (size_t j = 0, r = 0; j < n / 2; j++) { /* bits reversed */
        order[j] = (uint32_t)r;
        size_t bit = n / 4;
        for (; bit && (r & bit); bit >>= 1)
            r ^= bit;
        r |= bit;
    }
}
