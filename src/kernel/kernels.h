/* kernel/kernels.h - the table of kernels: reference first, then what the CPU at hand does better.
 *
 * Kernels take plain pointers and sizes: no graph, no allocation, no failure. The C reference is the
 * definition; every variant is checked against it (tests/kernel/check_kernels.c) on odd sizes, NaN,
 * infinities, guard bytes. To add a variant: a file in x86/ or arm/ (what they share lies in simd/) and its name in
 * levels.def. A family of kernels has a header of its own and one pointer here.
 * Names: us_<dtype>_<op>[_<fused>]_<tile>__<isa>; the reference ends in __ref.
 */
#ifndef USTA_KERNEL_KERNELS_H
#define USTA_KERNEL_KERNELS_H

#include "base/err.h"

/* Levels of the instruction-set ladder. USTA_CPU=ref|avx2|avx512|vnni|vbmi, on ARM ref|neon|dotprod|i8mm, masks what the CPU has. */
#define US_CPU_AVX2    1u  /* AVX2 + FMA + F16C */
#define US_CPU_AVX512  2u  /* F, BW, DQ, VL */
#define US_CPU_VNNI    4u  /* products of bytes, in vectors of 512 bits */
#define US_CPU_NEON    8u  /* Advanced SIMD of AArch64 */
#define US_CPU_DOTPROD 16u /* products of signed bytes */
#define US_CPU_I8MM    32u /* of unsigned by signed ones too */
#define US_CPU_VBMI    64u /* VBMI and BITALG: bytes permuted, bits of words counted */

unsigned us_cpu_detect(void);             /* what this processor and OS offer */
const char *us_cpu_level(unsigned flags); /* the name of a row of levels.def */
us_err us_cpu_mask(struct us_ctx *c, const char *level,
                   unsigned *flags) US_MUST; /* applies a USTA_CPU text */

/* C[M,N] = alpha * A[M,K] * B[K,N] + beta * C; row-major with leading dimensions in elements; trans_a: A is
 * stored [K,M], trans_b: B is stored [N,K]. beta == 0: C is written, never read. Each C element is a sum
 * over k in an order that depends on the kernel alone, not on threads: callers split M and N only.
 * scratch: us_kernels.f32_gemm_scratch(M, N, K) bytes, 64-byte aligned, or NULL when that is 0; what a product takes is enough for one
 * of fewer rows or columns. */
typedef struct us_gemm_args {
    bool trans_a, trans_b;
    size_t m, n, k;
    float alpha, beta;
    const float *a;
    size_t lda;
    const float *b;
    size_t ldb;
    float *c;
    size_t ldc;
    void *scratch;
} us_gemm_args;
typedef void us_f32_gemm_fn(const us_gemm_args *g);

typedef struct us_kernels {
    unsigned cpu; /* flags in force */
    us_f32_gemm_fn *f32_gemm;
    size_t (*f32_gemm_scratch)(size_t m, size_t n, size_t k);
    const char *f32_gemm_name;          /* as `usta doctor` prints it */
    const struct us_gemm_kernels *gemm; /* products by packed weights: kernel/gemm.h */
    const struct us_ew_kernels *map;    /* elementwise programs: kernel/map.h */
    const struct us_row_kernels *rows;  /* softmax, normalisations, reductions: kernel/rows.h */
    const struct us_move_kernels *move; /* transposes: kernel/move.h */
    const struct us_conv_kernels *conv; /* convolutions, channels in blocks: kernel/conv.h */
    const struct us_fft_kernels *fft;   /* Fourier transforms: kernel/fft.h */
    const struct us_cell_kernels *cells;    /* LSTM, GRU, RNN: kernel/cells.h */
    const struct us_int8_kernels *int8;     /* 8-bit products: kernel/int8.h */
    const struct us_forest_kernels *forest; /* decision trees: kernel/forest.h */
} us_kernels;

void us_kernels_init(us_kernels *k, unsigned cpu);
/* The table for this process: detection and USTA_CPU applied once; set into c->kernels and returned. */
const us_kernels *us_kernels_get(struct us_ctx *c);

#endif
