/* kernel/x86/int8_words_avx512.h - the words that int8.inc is written in, for AVX-512 (F, BW, DQ, VL). */
#ifndef USTA_KERNEL_X86_INT8_WORDS_AVX512_H
#define USTA_KERNEL_X86_INT8_WORDS_AVX512_H

#include <immintrin.h>

#include "kernel/x86/quad_sse2.h"

typedef __m512i VI;
typedef __m512 VF;

enum { W = 16 };

#define BYTES 64
#define NR    32

/* clang-format off */
#define MASK16(n)       ((__mmask16)((1U << (n)) - 1U))
#define MASK64(n)       ((n) >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (n)) - 1)
#define ZERO()          _mm512_setzero_si512()
#define SETI(x)         _mm512_set1_epi32(x)
#define SET8(x)         _mm512_set1_epi8(x)
#define SETF(x)         _mm512_set1_ps(x)
#define LOAD_B(p)       _mm512_loadu_si512(p)
#define LOAD_N(p, n)    _mm512_maskz_loadu_epi8(MASK64(n), (p))
#define STORE_N(p, n, x) _mm512_mask_storeu_epi8((p), MASK64(n), (x))
#define SPREAD(p)       _mm512_set1_epi32(int_at(p))
#define LOADI(p)        _mm512_loadu_si512(p)
#define STORE_W(p, x)   _mm512_storeu_si512((p), (x))
#define LOADF(p)        _mm512_loadu_ps(p)
#define LOADF_N(p, n)   _mm512_maskz_loadu_ps(MASK16(n), (p))
#define ADDI(a, b)      _mm512_add_epi32((a), (b))
#define SUBI(a, b)      _mm512_sub_epi32((a), (b))
#define MULI(a, b)      _mm512_mullo_epi32((a), (b))
#define XORI(a, b)      _mm512_xor_si512((a), (b))
#define FLOAT(a)        _mm512_cvtepi32_ps(a)
#define ROUND(a)        _mm512_cvtps_epi32(a)
#define SUBF(a, b)      _mm512_sub_ps((a), (b))
#define MAXB(a, b)      _mm512_max_epu8((a), (b))
#define ADDF(a, b)      _mm512_add_ps((a), (b))
#define MULF(a, b)      _mm512_mul_ps((a), (b))
#define DIVF(a, b)      _mm512_div_ps((a), (b))
#define FMAF(a, b, c)   _mm512_fmadd_ps((a), (b), (c))
#define MINF(a, b)      _mm512_min_ps((a), (b))
#define MAXF(a, b)      _mm512_max_ps((a), (b))
#define LEAST(a)        _mm512_reduce_min_ps(a)
#define MOST(a)         _mm512_reduce_max_ps(a)
#define STOREI(p, n, x) _mm512_mask_storeu_epi32((p), MASK16(n), (x))
#define STOREF(p, n, x) _mm512_mask_storeu_ps((p), MASK16(n), (x))
#define STOREB(p, n, x) _mm_mask_storeu_epi8((p), MASK16(n), _mm512_cvtepi32_epi8(x))
#define WIDEN8(p, n)    _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(MASK16(n), (p)))
#define ZERO_NAN(q, r)  _mm512_maskz_mov_epi32(_mm512_cmp_ps_mask((q), (q), _CMP_ORD_Q), (r))
#define UNPACKLO8(a, b)  _mm512_unpacklo_epi8((a), (b))
#define UNPACKHI8(a, b)  _mm512_unpackhi_epi8((a), (b))
#define UNPACKLO16(a, b) _mm512_unpacklo_epi16((a), (b))
#define UNPACKHI16(a, b) _mm512_unpackhi_epi16((a), (b))
#define PACK16(a, b)    _mm512_packs_epi32((a), (b))
#define PACK8(a, b)     _mm512_packus_epi16(_mm512_and_si512((a), _mm512_set1_epi16(255)), _mm512_and_si512((b), _mm512_set1_epi16(255)))
#define AND(a, b)       _mm512_and_si512((a), (b))
#define HALF_BYTE(a)    _mm512_srli_epi16((a), 4)
#define LOOK_UP(r, part, h, t, at) _mm512_mask_shuffle_epi8((r), _mm512_cmpeq_epi8_mask((part), _mm512_set1_epi8(h)), \
    _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)(t))), (at))
#define SAD8(a)         _mm512_sad_epu8((a), _mm512_setzero_si512())
#define ADD64(a, b)     _mm512_add_epi64((a), (b))
#define SUM64(a)        _mm512_reduce_add_epi64(a)
/* clang-format on */

#endif
