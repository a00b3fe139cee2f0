/* kernel/arm/int8_i8mm.c - 8-bit products for NEON with dot products of unsigned by signed bytes (ARMv8.6): tiles of 8x8.
 *
 * 16 sums, 8 vectors with four steps of four of 8 rows of A, two of weights: 26 of 32 registers; 16 loads feed 64 instructions of 16 products.
 */
#include "kernel/arm/int8_words_neon.h"
#include "kernel/variants.h"

#define ISA     __i8mm
#define A_QUADS 4

/* clang-format off */
#define WORDS_OF_W(v, x) const int8x16_t w_##v = S8(x);
#define WORDS_OF_A(x)    const uint8x16_t a_x = U8(x);
#define DP(c, v)         c = vusdotq_s32((c), a_x, w_##v);
#define LOAD_A(x, i)     const uint8x16_t a_##i = vld1q_u8(A_##i);
#define DP_0(c, v, i)    c = vsudotq_laneq_s32(c, w_##v, a_##i, 0);
#define DP_1(c, v, i)    c = vsudotq_laneq_s32(c, w_##v, a_##i, 1);
#define DP_2(c, v, i)    c = vsudotq_laneq_s32(c, w_##v, a_##i, 2);
#define DP_3(c, v, i)    c = vsudotq_laneq_s32(c, w_##v, a_##i, 3);
/* clang-format on */

#include "kernel/simd/int8.inc"
