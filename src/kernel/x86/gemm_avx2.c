/* kernel/x86/gemm_avx2.c - f32 matrix products for AVX2 and FMA: tiles of 6x16.
 *
 * 6 x 16 floats are 12 accumulators; with two registers of B and one broadcast of A that is 15 of the 16, and 12 independent
 * chains cover the latency of two multiply-add units.
 */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernel/variants.h"
#include "kernel/x86/turn_avx2.h"

/* clang-format off */
#define VEC  __m256
#define MASK __m256i
#define ISA  __avx2
enum { W = 8, THIN = 4 };
#define MR  6
#define S1  2 /* chains of a sum in a product of at most W columns */
#define MR1 6
#define MR2 3
#define MR4 2
#define MR42 1
#define ZERO()       _mm256_setzero_ps()
#define SET1(x)      _mm256_set1_ps(x)
#define SPREAD(p)    _mm256_broadcast_ss((const float *)(const void *)(p))
#define LOAD(p)      _mm256_loadu_ps(p)
#define LOADM(p, m)  _mm256_maskload_ps(p, m)
#define STORE(p, x)  _mm256_storeu_ps(p, x)
#define STOREM(p, m, n, x) store_first(p, m, n, x)
#define MASK_OF(n)   first_lanes(n)
#define FMA(a, b, c) _mm256_fmadd_ps(a, b, c)
#define ADD(a, b)    _mm256_add_ps(a, b)
#define MUL(a, b)    _mm256_mul_ps(a, b)
#define MIN(a, b)    _mm256_min_ps(a, b) /* of a NaN in b: b */
#define MAX(a, b)    _mm256_max_ps(a, b)
#define SUM(x)       sum_lanes(x)
/* clang-format on */

static inline __m256i first_lanes(size_t n)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + W - n));
}

/* A masked store costs several times a plain one on many processors. */
static inline void store_first(float *p, __m256i mask, size_t n, __m256 x)
{
    if (n == W)
        _mm256_storeu_ps(p, x);
    else
        _mm256_maskstore_ps(p, mask, x);
}

static inline float sum_lanes(__m256 x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

#define GEMM         us_f32_gemm_6x16__avx2
#define GEMM_SCRATCH us_f32_gemm_scratch_6x16__avx2
#define TABLE        us_gemm__avx2
#define TABLE_NAME   "us_f32_pgemm_6x16__avx2"
#define NARROWER     NULL
#include "kernel/simd/gemm.inc"
