/* kernel/x86/int8_avx512.c - 8-bit products for AVX-512 without VNNI: tiles of 8x32. */
#include "kernel/variants.h"
#include "kernel/x86/int8_words_avx512.h"

#define MR  8
#define ISA __avx512

/* clang-format off */
#define WORDS_OF_W(v, x) const VI w_##v = (x), we_##v = _mm512_srai_epi16(_mm512_slli_epi16(w_##v, 8), 8), wo_##v = _mm512_srai_epi16(w_##v, 8);
#define WORDS_OF_A(x)    const VI a_x = (x), ae = _mm512_and_si512(a_x, _mm512_set1_epi16(255)), ao = _mm512_srli_epi16(a_x, 8);
#define DP(c, v)         c = ADDI(c, ADDI(_mm512_madd_epi16(ae, we_##v), _mm512_madd_epi16(ao, wo_##v)));
/* clang-format on */

#include "kernel/simd/int8.inc"
