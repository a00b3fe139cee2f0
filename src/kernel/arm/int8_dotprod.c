/* kernel/arm/int8_dotprod.c - 8-bit products for NEON with dot products of signed bytes: tiles of 8x8.
 *
 * There is no product of unsigned by signed here: A is taken less 128, by its top bit, and 128 times the sum of the weights is added. A tile
 * gathers that sum beside its own, once for all rows. 64 products of four for 8 loads of A, 8 of weights and 8 for the sum.
 */
#include "kernel/arm/int8_words_neon.h"
#include "kernel/variants.h"

#define ISA     __dotprod
#define A_QUADS 4

/* clang-format off */
#define WORDS_OF_W(v, x) const int8x16_t w_##v = S8(x);
#define WORDS_OF_A(x)    const int8x16_t a_x = less_128(U8(x));
#define DP(c, v)         c = vdotq_s32(plus_128((c), w_##v), w_##v, a_x);
#define LOAD_A(x, i)     const int8x16_t a_##i = less_128(vld1q_u8(A_##i));
#define QUADS_START(x, v) int32x4_t sum_##v = ZERO();
#define QUAD_OF_W(x, v)  sum_##v = vdotq_s32(sum_##v, w_##v, vdupq_n_s8(64));
#define QUADS_END(c, v)  vaddq_s32((c), vshlq_n_s32(sum_##v, 1))
#define DP_0(c, v, i)    c = vdotq_laneq_s32(c, w_##v, a_##i, 0);
#define DP_1(c, v, i)    c = vdotq_laneq_s32(c, w_##v, a_##i, 1);
#define DP_2(c, v, i)    c = vdotq_laneq_s32(c, w_##v, a_##i, 2);
#define DP_3(c, v, i)    c = vdotq_laneq_s32(c, w_##v, a_##i, 3);
/* clang-format on */

static inline __attribute__((always_inline)) int8x16_t less_128(uint8x16_t a)
{
    return vreinterpretq_s8_u8(veorq_u8(a, vdupq_n_u8(0x80)));
}

/* 128 times the sums of the weights: as a byte, in two halves. */
static inline __attribute__((always_inline)) VI plus_128(VI c, int8x16_t w)
{
    const int8x16_t half = vdupq_n_s8(64);
    return vdotq_s32(vdotq_s32(c, w, half), w, half);
}

#include "kernel/simd/int8.inc"
