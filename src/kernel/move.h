/* kernel/move.h - moving elements without looking at them. */
#ifndef USTA_KERNEL_MOVE_H
#define USTA_KERNEL_MOVE_H

#include "base/err.h"

/* y[c * y_row + r] = x[r * x_row + c] for r < rows, c < columns: elements of 1, 2, 4, 8 or 16 bytes, strides in elements. */
typedef void us_transpose_fn(size_t bytes, size_t rows, size_t columns, const void *x,
                             ptrdiff_t x_row, void *y, ptrdiff_t y_row);

typedef struct us_move_kernels {
    const char *name;
    us_transpose_fn *transpose;
} us_move_kernels;

#endif
