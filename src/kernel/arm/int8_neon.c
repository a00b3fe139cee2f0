/* kernel/arm/int8_neon.c - 8-bit products for NEON without dot products: tiles of 8x8.
 *
 * Bytes are widened and multiplied as 16-bit numbers, exactly: what multiplies bytes has no form for unsigned by signed, and its sums of 16 bits
 * overflow. A row of A gives two steps of four at a time, whose lanes multiply without being spread first.
 */
#include "kernel/arm/int8_words_neon.h"
#include "kernel/variants.h"

#define ISA     __neon
#define A_QUADS 2

/* clang-format off */
/* Four columns of four steps, a step in each half of two vectors. */
#define WORDS_OF_W(v, x) const quad_words w_##v = words_of((x));
#define WORDS_OF_A(x)    const int16x8_t a_x = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(U8(x))));
#define DP(c, v)         c = four_steps_lo((c), w_##v, a_x);
#define LOAD_A(x, i)     const int16x8_t a_##i = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(A_##i)));
#define DP_0(c, v, i)    c = four_steps_lo(c, w_##v, a_##i);
#define DP_1(c, v, i)    c = four_steps_hi(c, w_##v, a_##i);
/* clang-format on */

typedef struct quad_words {
    int16x8_t k01, k23;
} quad_words;

static inline __attribute__((always_inline)) quad_words words_of(VI x)
{
    const int16x8_t lo = vmovl_s8(vget_low_s8(S8(x))), hi = vmovl_high_s8(S8(x)),
                    even = vuzp1q_s16(lo, hi), odd = vuzp2q_s16(lo, hi);
    return (quad_words){vuzp1q_s16(even, odd), vuzp2q_s16(even, odd)};
}

static inline __attribute__((always_inline)) VI four_steps_lo(VI c, quad_words w, int16x8_t a)
{
    c = vmlal_laneq_s16(c, vget_low_s16(w.k01), a, 0);
    c = vmlal_high_laneq_s16(c, w.k01, a, 1);
    c = vmlal_laneq_s16(c, vget_low_s16(w.k23), a, 2);
    return vmlal_high_laneq_s16(c, w.k23, a, 3);
}

static inline __attribute__((always_inline)) VI four_steps_hi(VI c, quad_words w, int16x8_t a)
{
    c = vmlal_laneq_s16(c, vget_low_s16(w.k01), a, 4);
    c = vmlal_high_laneq_s16(c, w.k01, a, 5);
    c = vmlal_laneq_s16(c, vget_low_s16(w.k23), a, 6);
    return vmlal_high_laneq_s16(c, w.k23, a, 7);
}

/* Depthwise: a tap of 16 channels by its weights, which lie four taps together. */
#define DW_TAP_OF(a, k)                                                                        \
    {                                                                                          \
        const int16x8_t wl_ = vmovl_s8(vget_low_s8(w4_.val[k])),                               \
                        wh_ = vmovl_high_s8(w4_.val[k]),                                       \
                        al_ = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(U8(a)))),             \
                        ah_ = vreinterpretq_s16_u16(vmovl_high_u8(U8(a)));                     \
        c_0 = vmlal_s16(c_0, vget_low_s16(wl_), vget_low_s16(al_));                            \
        c_1 = vmlal_high_s16(c_1, wl_, al_);                                                   \
        c_2 = vmlal_s16(c_2, vget_low_s16(wh_), vget_low_s16(ah_));                            \
        c_3 = vmlal_high_s16(c_3, wh_, ah_);                                                   \
    }
#define DW_QUAD(f, a0, a1, a2, a3)                                                             \
    {                                                                                          \
        const int8x16x4_t w4_ = vld4q_s8(w);                                                   \
        DW_TAP_OF(a0, 0)                                                                       \
        DW_TAP_OF(a1, 1)                                                                       \
        DW_TAP_OF(a2, 2)                                                                       \
        DW_TAP_OF(a3, 3)                                                                       \
    }

#include "kernel/simd/int8.inc"
