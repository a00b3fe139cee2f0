/* kernel/cells.h - cells of recurrent networks: from the gate sums of one sequence to its next hidden state, in one pass over the units.
 *
 * The sums come in two parts, x over the input (made for many steps at once) and s over the state, each gate after gate, n units per gate:
 * i o f c for LSTM, z r h for GRU, as ONNX has them. Gates are sigmoid, the new state is tanh. Every unit is computed by
 * the same formula wherever it stands in a vector.
 */
#ifndef USTA_KERNEL_CELLS_H
#define USTA_KERNEL_CELLS_H

#include <stddef.h>

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

/* A step of a layer over one sequence: the sums over the state, then the cell. Beside it a share of the sums over the input of step_rows later
 * steps, which these will have as their cell.x. Weights lie as kernel/gemm.h has them, in panels of `panel` columns; the hidden units are a multiple
 * of that. The share is rows i0 .. i1 of the weights w, all panels one after the other: what is begun with row 0 and goes on with the share of
 * the next step is complete with row gates * n / panel * in. */
typedef struct us_step_args {
    us_cell_args cell; /* but cell.s is s */
    float *s, *state;  /* gates * n and n numbers for this step's use */
    const float *r;    /* weights of the state */
    const float *bias; /* of s, gates * n numbers; NULL: none */
    /* from the last unit to the first, and each sum too: after a step forwards the weights read last are the nearest */
    bool back;
    size_t in, i0,
        i1;         /* numbers in a step's input, at least one; the share, none when i0 == i1 */
    const float *x; /* the first of the later steps' inputs */
    ptrdiff_t ldx;  /* from a step's input to that of the one after it */
    const float *w, *w_bias; /* w_bias: gates * n numbers */
    float *sums;             /* step_rows * panel numbers, kept from a share to the next */
    float *z;                /* step_rows times gates * n sums */
} us_step_args;
typedef void us_step_fn(const us_step_args *a);

typedef struct us_cell_kernels {
    const char *name;
    us_cell_fn *lstm;
    us_cell_fn *gru; /* linear before reset: tanh(x + r * s) */
    /* else in two steps, with s over y in between: c = z, y = r * h by x and s of z and r; then h by x and s of h alone, and c */
    us_cell_fn *gru_reset, *gru_state;
    us_cell_fn *tanh, *relu; /* h = f(x + s) */
    size_t panel, step_rows; /* 0: no steps */
    us_step_fn *lstm_step, *gru_step;
} us_cell_kernels;

#endif
