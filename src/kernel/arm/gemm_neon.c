/* kernel/arm/gemm_neon.c - f32 matrix products for NEON: tiles of 8x8.
 *
 * 8 x 8 floats are 16 accumulators; 8 vectors hold four steps of k of 8 rows of A, whose lanes multiply without being spread
 * first, and two registers of B: 26 of the 32. 16 loads feed 64 multiply-adds. 16 independent chains cover the latency of
 * four units of latency 4.
 */
#include <math.h>
#include <string.h>

#include "kernel/arm/first_neon.h"
#include "kernel/arm/turn_neon.h"
#include "kernel/variants.h"

/* clang-format off */
#define VEC  float32x4_t
#define MASK size_t
#define ISA  __neon
enum { W = 4, THIN = 4 };
#define MR  8
#define S1  4 /* chains of a sum in a product of at most W columns */
#define MR1 4
#define MR2 4
#define MR4 4
#define MR42 2
#define ZERO()       vdupq_n_f32(0.0F)
#define SET1(x)      vdupq_n_f32(x)
#define SPREAD(p)    vld1q_dup_f32((const float *)(const void *)(p))
#define LOAD(p)      vld1q_f32(p)
#define LOADM(p, m)  load_first(p, m)
#define STORE(p, x)  vst1q_f32(p, x)
#define STOREM(p, m, n, x) store_first(p, n, x)
#define MASK_OF(n)   (n)
#define FMA(a, b, c) vfmaq_f32(c, a, b)
#define FMA_LANE(a, l, b, c) vfmaq_laneq_f32(c, b, a, l)
#define ADD(a, b)    vaddq_f32(a, b)
#define MUL(a, b)    vmulq_f32(a, b)
#define MIN(a, b)    vminq_f32(a, b) /* NaN where either is one */
#define MAX(a, b)    vmaxq_f32(a, b)
#define SUM(x)       vaddvq_f32(x)
/* clang-format on */

#define GEMM         us_f32_gemm_8x8__neon
#define GEMM_SCRATCH us_f32_gemm_scratch_8x8__neon
#define TABLE        us_gemm__neon
#define TABLE_NAME   "us_f32_pgemm_8x8__neon"
#define NARROWER     NULL
#include "kernel/simd/gemm.inc"
