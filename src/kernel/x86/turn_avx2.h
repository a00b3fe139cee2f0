/* kernel/x86/turn_avx2.h - 8 x 8 floats turned: row i of the result is column i. Neighbours, then pairs, then halves change places. */
#ifndef USTA_KERNEL_X86_TURN_AVX2_H
#define USTA_KERNEL_X86_TURN_AVX2_H

#include <immintrin.h>
#include <stddef.h>

static inline __attribute__((always_inline)) void turn_registers(__m256 r[8])
{
    __m256 t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x20);
        t[4 + i] = _mm256_permute2f128_ps(r[i], r[4 + i], 0x31);
    }
    for (int i = 0; i < 8; i++)
        r[i] = t[i];
}

/* Rows of both lie x_row and y_row floats apart. */
static inline __attribute__((always_inline)) void turn_8x8(const float *x, ptrdiff_t x_row,
                                                           float *y, ptrdiff_t y_row)
{
    __m256 r[8];
    for (int i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(x + i * x_row);
    turn_registers(r);
    for (int i = 0; i < 8; i++)
        _mm256_storeu_ps(y + i * y_row, r[i]);
}

#endif
