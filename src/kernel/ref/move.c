/* kernel/ref/move.c - transposes in blocks that a cache line on both sides serves. */
#include <string.h>

#include "kernel/variants.h"

enum { BLOCK = 16 };

/* One size of element each, so that a copy is a move and not a call; three rows, as the colours of pictures, without a loop. */
#define TRANSPOSE(size)                                                                        \
    static void transpose_##size(size_t rows, size_t columns, const char *x, ptrdiff_t x_row,  \
                                 char *y, ptrdiff_t y_row)                                     \
    {                                                                                          \
        const char *second = x + x_row * (size), *third = second + x_row * (size);             \
        for (size_t c = 0; rows == 3 && c < columns; c++, y += y_row * (size)) {               \
            memcpy(y, x + c * (size), (size));                                                 \
            memcpy(y + (size), second + c * (size), (size));                                   \
            memcpy(y + 2 * (size), third + c * (size), (size));                                \
        }                                                                                      \
        if (rows == 3) return;                                                                 \
        for (size_t r0 = 0; r0 < rows; r0 += BLOCK)                                            \
            for (size_t c = 0; c < columns; c++)                                               \
                for (size_t r = r0; r < rows && r < r0 + BLOCK; r++)                           \
                    memcpy(y + ((ptrdiff_t)c * y_row + (ptrdiff_t)r) * (size),                 \
                           x + ((ptrdiff_t)r * x_row + (ptrdiff_t)c) * (size), (size));        \
    }
/* clang-format off */
TRANSPOSE(1) TRANSPOSE(2) TRANSPOSE(4) TRANSPOSE(8) TRANSPOSE(16)
    /* clang-format on */

    void us_transpose__ref(size_t bytes, size_t rows, size_t columns, const void *x,
                           ptrdiff_t x_row, void *y, ptrdiff_t y_row)
{
    static void (*const sizes[])(size_t, size_t, const char *, ptrdiff_t, char *,
                                 ptrdiff_t) = {[1] = transpose_1,
                                               [2] = transpose_2,
                                               [4] = transpose_4,
                                               [8] = transpose_8,
                                               [16] = transpose_16};
    sizes[bytes](rows, columns, x, x_row, y, y_row);
}

const us_move_kernels us_move__ref = {"us_move__ref", us_transpose__ref};
