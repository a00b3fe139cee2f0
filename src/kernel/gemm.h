/* kernel/gemm.h - products of f32 matrices by weights that are packed once.
 *
 * C[M,N] = clamp(A[M,K] W[K,N] + bias[N] + residual[M,N]): a dense layer with what follows it. The weights are brought
 * into the order in which the register tiles read them (us_gemm_pack), once per model; A, the residual and C are
 * plain rows. Products of two matrices that both change are us_kernels.f32_gemm.
 *
 * Order of W, told by the level's us_gemm_layout: columns go in panels of nr, one after the other; a panel lies by rows,
 * [K][nr]. The last panel may be narrower, its columns rounded up to vw, the columns beyond N zero. So column j, a
 * multiple of nr, starts at float j * K. N <= thin has no panels: each column lies by itself, K rounded up to 16,
 * and its products are dot products.
 *
 * Every element of C is a sum over k in an order that N and K alone decide. So callers may split M anywhere
 * and N at multiples of nr, between threads too, without changing a bit.
 */
#ifndef USTA_KERNEL_GEMM_H
#define USTA_KERNEL_GEMM_H

#include "kernel/kernels.h"

typedef struct us_gemm_layout {
    size_t nr, vw, thin;
} us_gemm_layout;

/* Weights as they come: [K,N], or [N,K] when trans, rows of ldb floats; each multiplied by scale on the way. */
typedef struct us_gemm_weights {
    size_t n, k;
    const float *b;
    size_t ldb;
    bool trans;
    float scale;
} us_gemm_weights;

/* Called on each piece of C that is done, while it is in the first-level cache: rows [i0, i0 + rows), columns [j0, j0 + cols)
 * of the matrix that the call makes; c is its first element. A piece has at most US_GEMM_PIECE elements. */
typedef void us_gemm_tail_fn(void *arg, size_t i0, size_t rows, size_t j0, size_t cols,
                             float *c, size_t ldc);
enum { US_GEMM_PIECE = 512 };

typedef struct us_pgemm_args {
    size_t m, n, k;
    size_t j0, j1; /* columns to make: j0 a multiple of nr, j1 too, or n */
    const float *a;
    size_t lda;
    const float *w;    /* packed, 64-byte aligned; all of it, whatever j0 */
    const float *bias; /* n floats; NULL: none */
    const float *res;  /* [m, n]; NULL: none. May be C itself, else it does not overlap it */
    size_t ldres;
    float lo, hi; /* -INFINITY and INFINITY: no clamp. NaN stays NaN */
    float *c;     /* column 0, whatever j0 */
    size_t ldc;
    us_gemm_tail_fn *tail; /* NULL: none */
    void *tail_arg;
    /* scratch(m, j1 - j0, k) bytes, 64-byte aligned; NULL when that is 0. What m and n take is enough for less */
    void *scratch;
} us_pgemm_args;

typedef struct us_gemm_kernels us_gemm_kernels;
struct us_gemm_kernels {
    const char *name;
    us_gemm_layout layout;
    size_t mr; /* rows of a tile: multiples of it are good places to split M */
    size_t (*scratch)(size_t m, size_t n, size_t k);
    void (*run)(const us_pgemm_args *g);
    void (*pack)(const us_gemm_weights *w, float *to); /* us_gemm_pack, the same bits */
    /* narrower vectors, which fit some n better, where the level has them too; or NULL */
    const us_gemm_kernels *narrow;
};

/* Bytes of packed weights; false when they are past all bounds. */
bool us_gemm_pack_bytes(const us_gemm_layout *l, size_t n, size_t k, size_t *bytes) US_MUST;
void us_gemm_pack(const us_gemm_layout *l, const us_gemm_weights *w, float *to);

#endif
