/* kernel/x86/words_avx2.h - the words that math.inc and its users are written in, for AVX2 and FMA.
 *
 * V is a vector of W floats, VI of integers, M the result of a comparison, TM which elements of a tail exist. LESS_THAN(a, b) and its like
 * give M; PICK(m, a, b) is a where m is set; X86_MIN(a, b) is a < b ? a : b, so a NaN in b passes, one in a does not; SCALE(a, n) is a * 2^n,
 * rounded once; OR, AND work on bits.
 */
#ifndef USTA_KERNEL_X86_WORDS_AVX2_H
#define USTA_KERNEL_X86_WORDS_AVX2_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>

typedef __m256 V;
typedef __m256i VI;
typedef __m256 M;
typedef __m256i TM;

#define W                   8
#define LOAD(p)             _mm256_loadu_ps(p)
#define STORE(p, a)         _mm256_storeu_ps((p), (a))
#define TAIL(n)             tail(n)
#define LOAD_SOME(p, m)     _mm256_maskload_ps((p), (m))
#define STORE_SOME(p, m, a) _mm256_maskstore_ps((p), (m), (a))
#define SET(x)              _mm256_set1_ps(x)
#define ISET(x)             _mm256_set1_epi32(x)
#define FROM_BITS(x)        _mm256_castsi256_ps(_mm256_set1_epi32(x))
#define ADD(a, b)           _mm256_add_ps((a), (b))
#define SUB(a, b)           _mm256_sub_ps((a), (b))
#define MUL(a, b)           _mm256_mul_ps((a), (b))
#define DIV(a, b)           _mm256_div_ps((a), (b))
#define ROOT(a)             _mm256_sqrt_ps(a)
#define FMA(a, b, c)        _mm256_fmadd_ps((a), (b), (c))
#define FNMA(a, b, c)       _mm256_fnmadd_ps((a), (b), (c))
#define X86_MIN(a, b)       _mm256_min_ps((a), (b))
#define X86_MAX(a, b)       _mm256_max_ps((a), (b))
#define NEAREST(a)          _mm256_round_ps((a), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define DOWN(a)             _mm256_round_ps((a), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
#define UP(a)               _mm256_round_ps((a), _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)
#define AND(a, b)           _mm256_and_ps((a), (b))
#define OR(a, b)            _mm256_or_ps((a), (b))
#define XOR(a, b)           _mm256_xor_ps((a), (b))
#define LESS_THAN(a, b)     _mm256_cmp_ps((a), (b), _CMP_LT_OQ)
#define LESS_OR_EQUAL(a, b) _mm256_cmp_ps((a), (b), _CMP_LE_OQ)
#define EQUAL(a, b)         _mm256_cmp_ps((a), (b), _CMP_EQ_OQ)
#define NOT_EQUAL(a, b)     _mm256_cmp_ps((a), (b), _CMP_NEQ_UQ)
#define UNORDERED(a, b)     _mm256_cmp_ps((a), (b), _CMP_UNORD_Q)
#define PICK(m, a, b)       _mm256_blendv_ps((b), (a), (m))
#define ALL(m)              (_mm256_movemask_ps(m) == 0xff)
#define BITS(a)             _mm256_castps_si256(a)
#define UNBITS(a)           _mm256_castsi256_ps(a)
#define IADD(a, b)          _mm256_add_epi32((a), (b))
#define ISUB(a, b)          _mm256_sub_epi32((a), (b))
#define IAND(a, b)          _mm256_and_si256((a), (b))
#define SHIFT_RIGHT(a, n)   _mm256_srai_epi32((a), (n))
#define SHIFT_LEFT(a, n)    _mm256_slli_epi32((a), (n))
#define FLOAT(a)            _mm256_cvtepi32_ps(a)
#define INTEGER(a)          _mm256_cvtps_epi32(a)
#define SCALE(a, n)         scale((a), (n))
#define POWER_OF_2(n)       power_of_2(_mm256_cvtps_epi32(n))
#define FIRST(a)            _mm256_cvtss_f32(a)
/* Vector a with its halves, quarters, neighbours exchanged. */
#define SWAPS(X)                                                                               \
    X(_mm256_permute2f128_ps(a, a, 1))                                                         \
    X(_mm256_permute_ps(a, 0x4e)) X(_mm256_permute_ps(a, 0xb1))
#define CHOOSE(m, a, b) _mm256_blendv_ps((b), (a), _mm256_castsi256_ps(m)) /* as PICK, by TM */

static inline TM tail(size_t n)
{
    const __m256i at = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), at);
}

static inline V power_of_2(VI n)
{
    return UNBITS(SHIFT_LEFT(IADD(n, ISET(127)), 23));
}

/* In two steps, of which the first is exact: 2^n alone may be too large or too small. A NaN stays one whatever n is. */
static inline V scale(V a, V n)
{
    VI all = INTEGER(n), half = SHIFT_RIGHT(all, 1);
    return MUL(MUL(a, power_of_2(half)), power_of_2(ISUB(all, half)));
}

#endif
