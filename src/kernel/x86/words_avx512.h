/* kernel/x86/words_avx512.h - the words that math.inc and its users are written in, for AVX-512 (F, DQ).
 *
 * V is a vector of W floats, VI of integers, M the result of a comparison, TM which elements of a tail exist. LESS_THAN(a, b) and its like
 * give M; PICK(m, a, b) is a where m is set; X86_MIN(a, b) is a < b ? a : b, so a NaN in b passes, one in a does not; SCALE(a, n) is a * 2^n,
 * rounded once; OR, AND work on bits.
 */
#ifndef USTA_KERNEL_X86_WORDS_AVX512_H
#define USTA_KERNEL_X86_WORDS_AVX512_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>

typedef __m512 V;
typedef __m512i VI;
typedef __mmask16 M;
typedef __mmask16 TM;

#define W                   16
#define LOAD(p)             _mm512_loadu_ps(p)
#define STORE(p, a)         _mm512_storeu_ps((p), (a))
#define TAIL(n)             ((__mmask16)((1U << (n)) - 1))
#define LOAD_SOME(p, m)     _mm512_maskz_loadu_ps((m), (p))
#define STORE_SOME(p, m, a) _mm512_mask_storeu_ps((p), (m), (a))
#define SET(x)              _mm512_set1_ps(x)
#define ISET(x)             _mm512_set1_epi32(x)
#define FROM_BITS(x)        _mm512_castsi512_ps(_mm512_set1_epi32(x))
#define ADD(a, b)           _mm512_add_ps((a), (b))
#define SUB(a, b)           _mm512_sub_ps((a), (b))
#define MUL(a, b)           _mm512_mul_ps((a), (b))
#define DIV(a, b)           _mm512_div_ps((a), (b))
#define ROOT(a)             _mm512_sqrt_ps(a)
#define FMA(a, b, c)        _mm512_fmadd_ps((a), (b), (c))
#define FNMA(a, b, c)       _mm512_fnmadd_ps((a), (b), (c))
#define X86_MIN(a, b)       _mm512_min_ps((a), (b))
#define X86_MAX(a, b)       _mm512_max_ps((a), (b))
#define NEAREST(a)          _mm512_roundscale_ps((a), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define DOWN(a)             _mm512_roundscale_ps((a), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
#define UP(a)               _mm512_roundscale_ps((a), _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)
#define AND(a, b)           _mm512_and_ps((a), (b))
#define OR(a, b)            _mm512_or_ps((a), (b))
#define XOR(a, b)           _mm512_xor_ps((a), (b))
#define LESS_THAN(a, b)     _mm512_cmp_ps_mask((a), (b), _CMP_LT_OQ)
#define LESS_OR_EQUAL(a, b) _mm512_cmp_ps_mask((a), (b), _CMP_LE_OQ)
#define EQUAL(a, b)         _mm512_cmp_ps_mask((a), (b), _CMP_EQ_OQ)
#define NOT_EQUAL(a, b)     _mm512_cmp_ps_mask((a), (b), _CMP_NEQ_UQ)
#define UNORDERED(a, b)     _mm512_cmp_ps_mask((a), (b), _CMP_UNORD_Q)
#define PICK(m, a, b)       _mm512_mask_blend_ps((m), (b), (a))
#define ALL(m)              ((m) == 0xffff)
#define BITS(a)             _mm512_castps_si512(a)
#define UNBITS(a)           _mm512_castsi512_ps(a)
#define IADD(a, b)          _mm512_add_epi32((a), (b))
#define ISUB(a, b)          _mm512_sub_epi32((a), (b))
#define IAND(a, b)          _mm512_and_si512((a), (b))
#define SHIFT_RIGHT(a, n)   _mm512_srai_epi32((a), (n))
#define SHIFT_LEFT(a, n)    _mm512_slli_epi32((a), (n))
#define FLOAT(a)            _mm512_cvtepi32_ps(a)
#define INTEGER(a)          _mm512_cvtps_epi32(a)
#define SCALE(a, n)         _mm512_scalef_ps((a), (n))
#define POWER_OF_2(n)       _mm512_scalef_ps(SET(1.0F), (n))
#define FIRST(a)            _mm512_cvtss_f32(a)
/* Vector a with its halves, quarters, eighths, neighbours exchanged. */
#define SWAPS(X)                                                                               \
    X(_mm512_shuffle_f32x4(a, a, 0x4e))                                                        \
    X(_mm512_shuffle_f32x4(a, a, 0xb1))                                                        \
    X(_mm512_permute_ps(a, 0x4e)) X(_mm512_permute_ps(a, 0xb1))
#define WITHIN(a, most) _mm512_range_ps((a), _mm512_set1_ps(most), 2)
#define CHOOSE(m, a, b) _mm512_mask_blend_ps((m), (b), (a)) /* as PICK, by TM */

#endif
