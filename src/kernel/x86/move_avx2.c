/* kernel/x86/move_avx2.c - transposes of 4-byte elements, 8 x 8 at a time in registers. */
#include "kernel/variants.h"
#include "kernel/x86/turn_avx2.h"

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
                turn_8x8(x + (ptrdiff_t)r * x_row + (ptrdiff_t)c, x_row,
                         y + (ptrdiff_t)c * y_row + (ptrdiff_t)r, y_row);
    if (whole_c < columns)
        us_transpose__ref(bytes, whole_r, columns - whole_c, x + whole_c, x_row,
                          y + (ptrdiff_t)whole_c * y_row, y_row);
    if (whole_r < rows)
        us_transpose__ref(bytes, rows - whole_r, columns, x + (ptrdiff_t)whole_r * x_row, x_row,
                          y + whole_r, y_row);
}

const us_move_kernels us_move__avx2 = {"us_move__avx2", transpose};
