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

/* The program of a usta.Map node (attributes `code`, `imm`). Its inputs are the node's inputs in order. */
bool us_ew_of_map(const void *params, size_t n_in, us_ew_prog *out) US_MUST;

/* Nodes written into one program. */
typedef struct us_ew_join {
    us_ew_writer w;      /* us_ew_put: attributes; us_ew_end: the program */
    us_vid in[US_EW_IN]; /* inputs of the program, in order */
    size_t n_in;
    us_vid made[US_EW_INS]; /* values made on the way, and where */
    int16_t made_at[US_EW_INS];
    size_t n_made;
} us_ew_join;

/* The node is a usta.Map or an elementwise operator, in current form, on types that have a recipe; shapes are not looked at. */
bool us_ew_takes_node(const us_graph *g, us_nid n) US_MUST;
/* nodes: in order of execution, each taken by us_ew_takes_node; the last one's output is the program's. x, when not US_NIL, becomes input 0.
 * False: it does not fit.
 *
 * This is how a product or a convolution gets its epilogue: x is its output, which only node n reads and whose type equals that of n's
 * output (us_type_eq); us_ew_join_nodes(g, 1, &n, x, &j) gives the program whose input 0 is the tile, and the values in j.in from 1 on, which
 * become inputs of the product: residuals, numbers per channel. Where they lie us_ew_strides says, once shapes are known. */
bool us_ew_join_nodes(const us_graph *g, size_t n, const us_nid *nodes, us_vid x,
                      us_ew_join *out) US_MUST;

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
