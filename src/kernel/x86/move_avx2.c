/* kernel/x86/move_avx2.c - transposes of 4-byte elements, 8 x 8 at a time in registers. */
#include <immintrin.h>

#include "kernel/variants.h"

/* Pairs, then fours, then halves change places. */
static inline void tile(const float *x, ptrdiff_t x_row, float *y, ptrdiff_t y_row)
{
    __m256 r0 = _mm256_loadu_ps(x), r1 = _mm256_loadu_ps(x + x_row),
           r2 = _mm256_loadu_ps(x + 2 * x_row), r3 = _mm256_loadu_ps(x + 3 * x_row),
           r4 = _mm256_loadu_ps(x + 4 * x_row), r5 = _mm256_loadu_ps(x + 5 * x_row),
           r6 = _mm256_loadu_ps(x + 6 * x_row), r7 = _mm256_loadu_ps(x + 7 * x_row);
    __m256 a0 = _mm256_unpacklo_ps(r0, r1), a1 = _mm256_unpackhi_ps(r0, r1),
           a2 = _mm256_unpacklo_ps(r2, r3), a3 = _mm256_unpackhi_ps(r2, r3),
           a4 = _mm256_unpacklo_ps(r4, r5), a5 = _mm256_unpackhi_ps(r4, r5),
           a6 = _mm256_unpacklo_ps(r6, r7), a7 = _mm256_unpackhi_ps(r6, r7);
    __m256 b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xee),
           b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xee),
           b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xee),
           b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xee);
    _mm256_storeu_ps(y, _mm256_permute2f128_ps(b0, b4, 0x20));
    _mm256_storeu_ps(y + y_row, _mm256_permute2f128_ps(b1, b5, 0x20));
    _mm256_storeu_ps(y + 2 * y_row, _mm256_permute2f128_ps(b2, b6, 0x20));
    _mm256_storeu_ps(y + 3 * y_row, _mm256_permute2f128_ps(b3, b7, 0x20));
    _mm256_storeu_ps(y + 4 * y_row, _mm256_permute2f128_ps(b0, b4, 0x31));
    _mm256_storeu_ps(y + 5 * y_row, _mm256_permute2f128_ps(b1, b5, 0x31));
    _mm256_storeu_ps(y + 6 * y_row, _mm256_permute2f128_ps(b2, b6, 0x31));
    _mm256_storeu_ps(y + 7 * y_row, _mm256_permute2f128_ps(b3, b7, 0x31));
}

/* Two tiles of one cache line of y before the next columns of x. What is left at the edges, the reference does. */
static void transpose(size_t bytes, size_t rows, size_t columns, const void *x_,
                      ptrdiff_t x_row, void *y_, ptrdiff_t y_row)
{
    if (bytes != sizeof(float)) {
        us_transpose__ref(bytes, rows, columns, x_, x_row, y_, y_row);
        return;
    }
    const float *x = x_;
    float *y = y_;
    size_t whole_r = rows / 8 * 8, whole_c = columns / 8 * 8;
    for (size_t r0 = 0; r0 < whole_r; r0 += 16)
        for (size_t c = 0; c < whole_c; c += 8)
            for (size_t r = r0; r < whole_r && r < r0 + 16; r += 8)
                tile(x + (ptrdiff_t)r * x_row + (ptrdiff_t)c, x_row,
                     y + (ptrdiff_t)c * y_row + (ptrdiff_t)r, y_row);
    if (whole_c < columns)
        us_transpose__ref(bytes, whole_r, columns - whole_c, x + whole_c, x_row,
                          y + (ptrdiff_t)whole_c * y_row, y_row);
    if (whole_r < rows)
        us_transpose__ref(bytes, rows - whole_r, columns, x + (ptrdiff_t)whole_r * x_row, x_row,
                          y + whole_r, y_row);
}

const us_move_kernels us_move__avx2 = {"us_move__avx2", transpose};
