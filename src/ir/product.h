/* ir/product.h - f32 matrix products of operators as calls: settled once per shape, then only computed.
 *
 * Two kinds. By packed weights (kernel/gemm.h): the second matrix is constant and was packed once per plan; all rows of the first
 * form one matrix, and what follows the product (bias, residual, clamp, an elementwise program) is done in the tile. Of two matrices that
 * both change: batches broadcast as MatMul's do.
 *
 * Products are cut for the pool along M, or N where rows are few, or over the batch; no cut changes a bit. Small ones never
 * see the pool.
 */
#ifndef USTA_IR_PRODUCT_H
#define USTA_IR_PRODUCT_H

#include "ir/op.h"
#include "kernel/gemm.h"

/* What prepare makes of constant weights. */
typedef struct us_weights {
    const us_gemm_kernels *kernels; /* whose order w is in */
    size_t n, k;
    const float *w;
    const float *bias; /* n numbers; NULL: none, or not constant */
    double part;       /* of a part for a thread: its size over the usual */
} us_weights;

/* Packs [k, n] (trans: [n, k]) in memory that lasts as `prepared` does; bias: n numbers or NULL, copied. */
us_err us_weights_new(us_eval *k, const us_gemm_weights *b, const float *bias,
                      us_weights **out) US_MUST;
/* The same for the node's only product: how it is made is chosen among candidates (us_eval_choose; the table is in product.c). */
us_err us_weights_choose(us_eval *k, const us_gemm_weights *b, const float *bias,
                         us_weights **out) US_MUST;

/* That of the node's constant input 1, a matrix of floats, and its constant input 2 as bias where that is a number per column or one
 * for all. *out stays when input 1 is not such. */
us_err us_weights_of(us_eval *k, bool trans, float alpha, float beta, us_weights **out) US_MUST;

typedef struct us_p_usta_gemm { /* usta.Gemm */
    float alpha, beta, lo, hi;
    int64_t transB;
    us_ints code; /* program of what follows (ir/ewise.h); none: empty */
    us_floats imm;
} us_p_usta_gemm;

typedef struct us_p_usta_matmul { /* usta.MatMul */
    float alpha;
    us_ints permA, permB, permY; /* as Transpose has them; empty: as it lies */
} us_p_usta_matmul;

typedef struct us_p_usta_attention { /* usta.Attention */
    float alpha;
    us_ints permQ, permK, permV, permY;
} us_p_usta_attention;

/* perm (empty: as it lies) as axes of a tensor of this rank; false: it is no permutation. */
bool us_perm_axes(const us_ints *perm, int rank, int *out);
/* Dims and steps of a dense tensor's axes in another order. */
void us_perm_view(int rank, const int64_t *from, const int *perm, int64_t *dims, size_t *steps);

/* Called on each finished piece of the result; state is the product's own. */
typedef void us_product_tail_fn(const void *state, us_eval *k, void *scratch, size_t i0,
                                size_t rows, size_t j0, size_t cols, float *c, size_t ldc);

typedef struct us_product {
    size_t m, n, k;
    float lo, hi; /* by packed weights only: clamp; -INFINITY, INFINITY: none */
    const us_weights *w;
    int in_bias, in_res; /* inputs of the node, -1: none (bias: then that of w) */
    us_product_tail_fn *tail;
    const void *tail_state;
    size_t tail_scratch;
    /* both change (w NULL) */
    size_t batch;
    /* per item of the batch where A, B and the result begin, in turn; NULL: one item */
    const size_t *at;
    bool trans_a, trans_b;
    size_t lda, ldb, ldc; /* as us_gemm_args has them */
    float alpha, beta;    /* beta times what lies in the result already */
    int in_c;             /* input spread over the result before; -1: none */
    size_t c_rows;        /* 1: one row for all */
    /* set by us_product_settle */
    const us_kernels *kernels;
    size_t n_parts, part_rows, part_cols, part_items, scratch_each, scratch;
} us_product;

extern const us_product
    us_product_none; /* nothing but the product of inputs 0 and 1: m, n, k are to be set */

/* Leading dimensions of matrices without gaps. */
void us_product_dense(us_product *p);
enum { US_PRODUCT_ITEMS = 1 << 16 }; /* most of a batch: their places are written down */
/* Items of a batch of these dims: per axis the steps of A, B and the result, in floats; memory for `at` from us_eval_keep. */
us_err us_product_items(us_eval *k, us_product *p, int rank, const int64_t *dims,
                        const size_t (*steps)[3]) US_MUST;

/* How the product is cut and how much scratch it takes; false: past all bounds. */
bool us_product_settle(us_product *p, const us_kernels *kernels) US_MUST;
/* Inputs 0 and 1 (or the weights) of k into its output 0. */
void us_product_run(const us_product *p, us_eval *k, void *scratch);
/* For eval: settled, charged and run, with scratch of k. The output is made already. */
us_err us_product_eval(us_eval *k, us_product *p) US_MUST;
/* A call of it, p copied. */
us_err us_product_bind(us_eval *k, const us_product *p, us_call *call) US_MUST;

#endif
