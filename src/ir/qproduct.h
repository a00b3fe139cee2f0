/* ir/qproduct.h - products of 8-bit numbers of operators as calls: settled once per shape, then only computed.
 *
 * Rows of A by packed weights (kernel/int8.h), in as many groups as a convolution has; what the sums become is said by terms. Scales and zero
 * points that are constant are worked out when the call is bound, others at every run. Rows are those of input A as it
 * lies, or made by a function (a convolution's windows).
 *
 * Sums are exact, so products are cut for the pool as is convenient: no cut changes a bit.
 */
#ifndef USTA_IR_QPRODUCT_H
#define USTA_IR_QPRODUCT_H

#include "ir/op.h"
#include "kernel/int8.h"

/* Weights of one group, packed, with what zero points need. */
typedef struct us_qweights {
    size_t n, k;
    const int8_t *w;
    const int32_t *col_sums; /* per column, as the kernels read them */
    const int32_t *zero;     /* per column, less 128 where weights are unsigned; NULL: all 0 */
} us_qweights;

/* What prepare makes of constant weights: all groups. */
typedef struct us_qpacked {
    const us_int8_kernels *kernels;
    size_t n_groups;
    const us_qweights *group;
} us_qpacked;

/* n_groups matrices, one after the other `step` bytes apart, whose shape and type w says. With `make` w.b comes from there, when the
 * first of them is to be packed: a compiled plan has them packed already. */
typedef us_err us_qmake_fn(us_eval *k, const void *arg, const void **b);
typedef struct us_qsource {
    us_int8_weights w;
    size_t n_groups, step;
    us_qmake_fn *make;
    const void *arg;
} us_qsource;

/* zero: NULL, one number, or one per column of all groups. */
us_err us_qpacked_new(us_eval *k, const us_qsource *from, const us_tensor *zero,
                      const us_qpacked **out) US_MUST;
/* The same of matrix input i with its zero point at input iz (-1: none), where both are constant; else *out stays. */
us_err us_qpacked_of(us_eval *k, int i, int iz, bool trans, const us_qpacked **out) US_MUST;

/* Which inputs say what (-1: none). y_scale -1: floats of a_scale (times alpha) * b_scale come out; a_scale -1: sums do. */
typedef struct us_qterms {
    int a, a_zero, a_scale, b_scale, y_scale, y_zero;
    int bias; /* int32, added to sums; or float, added to floats */
    float alpha;
} us_qterms;
extern const us_qterms us_qterms_none;

/* Rows [i0, i0 + rows) of a group in `room` (rows of K rounded up to 4, lda): their numbers, unsigned (flip: see the input's type). */
typedef void us_qrows_fn(const void *state, us_eval *k, size_t group, size_t i0, size_t rows,
                         uint8_t *room, size_t lda);

typedef struct us_qproduct {
    us_qterms terms;
    size_t m, n, k; /* of a group */
    const us_qpacked *w;
    int b, b_zero;      /* inputs that are packed at every run, where w is NULL */
    us_qrows_fn *fetch; /* NULL: rows are those of input terms.a */
    const void *fetch_state;
    /* settled */
    us_int8_end end;
    uint8_t flip;
    bool b_flip, is_settled; /* is_settled: end's arrays are there */
    size_t n_up;             /* from group to group in end's arrays */
    size_t block, n_blocks, part_cols, n_col_parts, n_parts, k4;
    size_t at_parts, part_bytes, at_sums, at_chunk; /* in the scratch, and in that of a part */
    const us_int8_kernels *kernels;
} us_qproduct;

/* *call is made where the terms are of types and sizes that this is for, else it is declined with a reason. */
us_err us_qproduct_bind(us_eval *k, us_qproduct *p, us_call *call) US_MUST;

/* What the sums of a depthwise convolution of c channels become: end with its arrays, as us_int8_dw_place says; sums: of each channel's weights.
 * *why: NULL, or why not. */
us_err us_qproduct_dw_end(us_eval *k, const us_qterms *t, const us_int8_kernels *f, size_t c,
                          const int32_t *sums, us_int8_end *end, const char **why) US_MUST;

#endif
