/* kernel/x86/conv_avx2.c - convolution tiles in AVX2: 16 registers, of which 12 are sums. */
#include <immintrin.h>

#include "kernel/x86/turn_avx2.h"

#define V             __m256
#define LANES         8
#define LD(p)         _mm256_loadu_ps(p)
#define ST(p, v)      _mm256_storeu_ps((p), (v))
#define ST_PAST(p, v) _mm256_stream_ps((p), (v))
#define FENCE()       _mm_sfence()
#define SET1(x)       _mm256_set1_ps(x)
#define BC(p)         _mm256_broadcast_ss(p)
#define FMA(a, b, c)  _mm256_fmadd_ps((a), (b), (c))
#define ADD(a, b)     _mm256_add_ps((a), (b))
#define MAX(a, b)     _mm256_max_ps((a), (b))
#define MIN(a, b)     _mm256_min_ps((a), (b))

#define DIV(a, b)      _mm256_div_ps((a), (b))
#define IN_REGISTER(x) __asm__("" : "+x"(x))

#define SUM(v)            sum_lanes(v)
#define MASK              __m256i
#define FIRST(n)          first_lanes(n)
#define BETWEEN(a, b)     _mm256_andnot_si256(first_lanes(a), first_lanes(b))
#define LD_FIRST(p, mask) _mm256_maskload_ps((p), (mask))
#define ST_SOME(p, m, v)  _mm256_maskstore_ps((p), (m), (v))

/* Lanes in which one of two vectors has a NaN. */
#define BAD            __m256
#define NOT_BAD        _mm256_setzero_ps()
#define BAD_IF(a, b)   _mm256_cmp_ps((a), (b), _CMP_UNORD_Q)
#define BAD_OR(a, b)   _mm256_or_ps((a), (b))
#define IS_BAD(b)      (_mm256_movemask_ps(b) != 0)
#define BLEND(a, b, m) _mm256_blendv_ps((a), (b), (m))

/* Of halves of 16 bytes, which then go into order. */
#define PICK_2(a, b, which)                                                                    \
    _mm256_castpd_ps(                                                                          \
        _mm256_permute4x64_pd(_mm256_castps_pd(_mm256_shuffle_ps((a), (b), (which))), 0xd8))
#define EVENS(a, b) PICK_2(a, b, 0x88)
#define ODDS(a, b)  PICK_2(a, b, 0xdd)

#define TILE_NAME(q, p, in) tile_conv_##q##x##p##_##in##__avx2
/* clang-format off */
#define TILES(X) \
    X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8) X(1, 9) X(1, 10) X(1, 11) X(1, 12) \
    X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) \
    X(3, 1) X(3, 2) X(3, 3) X(3, 4)
/* clang-format on */

#include <stddef.h>
#include <stdint.h>

/* Lanes below n: a mask for loads and stores. */
static inline __m256i first_lanes(size_t n)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - n));
}

static inline float sum_lanes(__m256 v)
{
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps(x, x, 1)));
}

#include "kernel/simd/conv.inc"

/* What a step's words say: where each lane reads, and ones in those that do. */
typedef struct turn_step {
    __m256i from;
    __m256 some;
} turn_step;

static inline turn_step turn_of(const float *words)
{
    turn_step t = {.from = _mm256_loadu_si256((const __m256i *)(const void *)words)};
    t.some = _mm256_castsi256_ps(_mm256_cmpgt_epi32(t.from, _mm256_set1_epi32(-1)));
    return t;
}

#define TURN         turn_step
#define TURN_OF(p)   turn_of(p)
#define TURNED(v, t) _mm256_and_ps(_mm256_permutevar8x32_ps((v), (t).from), (t).some)
#include "kernel/simd/conv_lanes.inc"

#define TABLE      us_conv__avx2
#define TABLE_NAME "avx2"
#define MOST_P                                                                                 \
    {                                                                                          \
        0, 12, 6, 4, 0                                                                         \
    }
#include "kernel/simd/conv_table.inc"
