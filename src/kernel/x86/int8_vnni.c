/* kernel/x86/int8_vnni.c - 8-bit products for AVX-512 with VNNI: tiles of 14x32.
 *
 * 28 sums, two registers of weights and one of A: 31 of 32 registers; 16 loads feed 28 instructions of 64 products.
 */
#include "kernel/variants.h"
#include "kernel/x86/int8_words_avx512.h"

#define MR  14
#define ISA __vnni
#define KEEP_WEIGHTS

/* clang-format off */
#define WORDS_OF_W(v, x) const VI w_##v = (x);
#define WORDS_OF_A(x)    const VI a_x = (x);
#define DP(c, v)         c = _mm512_dpbusd_epi32(c, a_x, w_##v);
/* clang-format on */

#include "kernel/simd/int8.inc"
