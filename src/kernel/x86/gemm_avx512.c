/* kernel/x86/gemm_avx512.c - f32 matrix products for AVX-512: tiles of 14x32.
 *
 * 14 x 32 floats are 28 accumulators; with two registers of B and one broadcast of A that is 31 of the 32. 28 independent
 * chains cover the latency of two multiply-add units, and 16 loads feed 28 multiply-adds.
 */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernel/variants.h"
#include "kernel/x86/turn_avx2.h"

/* clang-format off */
#define VEC  __m512
#define MASK __mmask16
#define ISA  __avx512
enum { W = 16, THIN = 4 };
#define MR  14
#define S1  4 /* chains of a sum in a product of at most W columns */
#define MR1 7
#define MR2 7
#define MR4 3
#define MR42 3
#define ZERO()       _mm512_setzero_ps()
#define SET1(x)      _mm512_set1_ps(x)
#define SPREAD(p)    _mm512_set1_ps(*(const float *)(const void *)(p))
#define LOAD(p)      _mm512_loadu_ps(p)
#define LOADM(p, m)  _mm512_maskz_loadu_ps(m, p)
#define STORE(p, x)  _mm512_storeu_ps(p, x)
#define STOREM(p, m, n, x) _mm512_mask_storeu_ps(p, m, x)
#define MASK_OF(n)   ((__mmask16)((1U << (n)) - 1U)) /* n lanes, 1 to W */
#define FMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define ADD(a, b)    _mm512_add_ps(a, b)
#define MUL(a, b)    _mm512_mul_ps(a, b)
#define MIN(a, b)    _mm512_min_ps(a, b) /* of a NaN in b: b */
#define MAX(a, b)    _mm512_max_ps(a, b)
#define SUM(x)       _mm512_reduce_add_ps(x)
/* clang-format on */

#define GEMM         us_f32_gemm_14x32__avx512
#define GEMM_SCRATCH us_f32_gemm_scratch_14x32__avx512
#define TABLE        us_gemm__avx512
#define TABLE_NAME   "us_f32_pgemm_14x32__avx512"
#define NARROWER     &us_gemm__avx2
#include "kernel/simd/gemm.inc"
