/* kernel/rows.h - functions of whole rows: softmax, normalisations, reductions; along a row or across rows.
 *
 * Along: `rows` rows of n numbers, each without gaps, one after the other. Across: the n numbers of a column lie `inner` apart, inner columns side by
 * side. Sums are taken in an order that depends on n and on the level alone: rows, and columns, may be split among threads at will.
 * A NaN anywhere makes the whole result NaN, as the formulas have it; so do two infinities that meet.
 */
#ifndef USTA_KERNEL_ROWS_H
#define USTA_KERNEL_ROWS_H

#include "base/err.h"

/* y = e^(x - max) / sum, or its logarithm. y may be x. */
typedef struct us_softmax_args {
    size_t rows, n;
    size_t inner;  /* 1: along. Else across: rows blocks of n x inner */
    size_t j0, j1; /* across: columns of each block to do; 0, inner for all */
    bool logarithm;
    const float *x;
    float *y;
} us_softmax_args;

/* y = (x - mean) / sqrt(variance + epsilon) * scale + bias; without `centre` the mean counts as 0. scale, bias: n numbers each, or NULL. mean, inverse:
 * a number per row, or NULL. row_scale, row_bias: `period` numbers each, one for row (first + r) % period, or both NULL. y may be x. */
typedef struct us_norm_args {
    size_t rows, n;
    bool centre;
    float epsilon;
    const float *x, *scale, *bias, *row_scale, *row_bias;
    size_t first, period;
    float *y, *mean, *inverse;
} us_norm_args;

/* Scores of queries become weights, in place: x = scale * s + add[0] + add[1] for the keys [begin, end) of a row, then s = e^(x - the largest x),
 * 0 outside, and inverse = 1 / their sum, by which whoever sums values with these weights multiplies at the end. A row without a key has
 * weights and inverse 0; so has one whose x are all -INFINITY, where `zeros` (else NaN, as the formula has it). */
typedef struct us_scores_args {
    size_t rows, n, ld;
    float *s;
    float scale;
    const float
        *add[2];       /* n numbers for row 0; NULL: nothing to add. add[1] only with add[0] */
    size_t add_row[2]; /* floats to the next row's; 0: the same for all */
    const size_t *begin, *end; /* per row; NULL: 0 and n */
    const float *sink; /* the x of no key, which takes part in the sum alone; NULL: none */
    bool zeros;
    float *inverse; /* per row */
} us_scores_args;

/* What a reduction sums up, of v = x: MEAN is SUM here, L2 SQUARES; whoever asks finishes. MAX and MIN pass NaN on. */
typedef enum us_reduction {
    US_RED_SUM,
    US_RED_SQUARES,
    US_RED_ABS,
    US_RED_MAX,
    US_RED_MIN,
    US_RED_PROD,
    US_RED_N
} us_reduction;

/* y[r] = over the n numbers of row r */
typedef void us_reduce_along_fn(us_reduction what, size_t rows, size_t n, const float *x,
                                float *y);
/* y[j] = over x[i * step + j], i < n, for j < columns */
typedef void us_reduce_across_fn(us_reduction what, size_t n, size_t step, size_t columns,
                                 const float *x, float *y);

typedef struct us_row_kernels {
    const char *name;
    void (*softmax)(const us_softmax_args *a);
    void (*norm)(const us_norm_args *a);
    us_reduce_along_fn *along;
    us_reduce_across_fn *across;
    void (*scores)(const us_scores_args *a);
    void (*scale)(size_t rows, size_t n, float *y, size_t ld,
                  const float *by); /* by: per row */
} us_row_kernels;

#endif
