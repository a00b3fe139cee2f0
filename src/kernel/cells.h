/* kernel/cells.h - cells of recurrent networks: from the gate sums of one sequence to its next hidden state, in one pass over the units.
 *
 * The sums come in two parts, x over the input (made for many steps at once) and s over the state, each gate after gate, n units per gate:
 * i o f c for LSTM, z r h for GRU, as ONNX has them. Gates are sigmoid, the new state is tanh. Every unit is computed by
 * the same formula wherever it stands in a vector.
 */
#ifndef USTA_KERNEL_CELLS_H
#define USTA_KERNEL_CELLS_H

#include "base/err.h"

typedef struct us_cell_args {
    size_t n; /* hidden units */
    const float *x, *s;
    const float *peep; /* LSTM: weights of c in i, o, f, n each; NULL: none */
    float clip;   /* sums are kept in [-clip, clip]; INFINITY: as they are. NaN stays NaN */
    bool coupled; /* LSTM: f is 1 - i */
    float *c;     /* LSTM: cells, old in, new out. GRU in two steps: z */
    float *h;     /* state, old in, new out */
    /* n numbers: the new state again. GRU's first step: r * h. Never NULL, may be h */
    float *y;
} us_cell_args;
typedef void us_cell_fn(const us_cell_args *a);

typedef struct us_cell_kernels {
    const char *name;
    us_cell_fn *lstm;
    us_cell_fn *gru; /* linear before reset: tanh(x + r * s) */
    /* else in two steps, with s over y in between: c = z, y = r * h by x and s of z and r; then h by x and s of h alone, and c */
    us_cell_fn *gru_reset, *gru_state;
    us_cell_fn *tanh, *relu; /* h = f(x + s) */
} us_cell_kernels;

#endif
