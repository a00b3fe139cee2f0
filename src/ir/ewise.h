/* ir/ewise.h - elementwise operators as programs of kernel/map.h: how each is written down, and a program run over tensors.
 *
 * One recipe per operator (ewise.c) serves three: the operator's own bind, the pass fuse-map, which writes many nodes into one program
 * (usta.Map), and passes that give a program to a product or a convolution as its epilogue.
 *
 * Values of type bool are numbers 0 and 1 inside a program; only inputs and the output know bytes.
 */
#ifndef USTA_IR_EWISE_H
#define USTA_IR_EWISE_H

#include "ir/op.h"
#include "kernel/map.h"

enum { US_EW_ABSENT = INT16_MIN }; /* an optional input that is not given */

/* An input of a node to be written: what it is and where it stands in the program (an input of it, an immediate, a result). */
typedef struct us_ew_operand {
    us_dtype dtype;
    int at;
} us_ew_operand;

/* Writes node (operator, attributes) after what w holds; *result is its value. False: the operator has no recipe for these types,
 * nothing is written. What does not fit makes w full, as always. */
bool us_ew_write_op(us_ew_writer *w, const us_op *op, const void *params, size_t n_in,
                    const us_ew_operand *in, us_dtype out, int *result) US_MUST;
/* Input i of a node of op as an immediate: a constant of one number (t->data set). Exponents of Pow may be integers. False: it is an
 * input like others. */
bool us_ew_take_number(us_ew_writer *w, const us_op *op, size_t i, const us_tensor *t,
                       us_ew_operand *out) US_MUST;

typedef struct us_p_usta_map { /* usta.Map */
    us_ints code;              /* as us_ew_put gives them */
    us_floats imm;
    int64_t truth; /* the result is bool */
} us_p_usta_map;

/* The program of a usta.Map node (attributes `code`, `imm`). Its inputs are the node's inputs in order. As an epilogue of the node
 * that makes input 0: input 0 has to have the output's shape (compare the types), then X is the tile and the other inputs are
 * placed by us_ew_strides. */
bool us_ew_of_map(const void *params, size_t n_in, us_ew_prog *out) US_MUST;

/* Step from element to element of the output's axes in a dense tensor of these dims broadcast to it; 0 where it repeats. False: it
 * does not broadcast. */
bool us_ew_strides(int rank, const int64_t *out, int in_rank, const int64_t *in,
                   int64_t *strides) US_MUST;

/* --- a program over tensors ------------------------------------------------------------------------- */

/* All of a run that does not depend on contents: axes merged, one long row where possible, cut for threads. */
typedef struct us_ew_walk {
    const us_ew_kernels *kernels;
    us_ew_prog prog;
    us_ew_type types[US_EW_IN], out_type;
    int n_outer; /* axes around the rows */
    int64_t outer[US_MAX_RANK], outer_in[US_EW_IN][US_MAX_RANK], outer_out[US_MAX_RANK];
    size_t rows, n;
    ptrdiff_t row_in[US_EW_IN], row_out;
    uint8_t step[US_EW_IN];
    size_t units, grain; /* what is cut: elements of one row, or rows of all */
    size_t scratch, scratch_each;
} us_ew_walk;

/* in[i]: types and dims, dense; out the same. False: it cannot be run so. */
bool us_ew_walk_init(us_ew_walk *w, const us_ew_kernels *k, const us_ew_prog *prog,
                     const us_tensor *const *in, const us_tensor *out) US_MUST;
void us_ew_walk_run(const us_ew_walk *w, struct us_pool *pool, const void *const *in, void *out,
                    void *scratch);
double us_ew_cost(const us_ew_prog *p); /* nanoseconds per element, roughly */

#endif
