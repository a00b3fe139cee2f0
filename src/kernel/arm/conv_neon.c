/* kernel/arm/conv_neon.c - convolution tiles in NEON: blocks of 4 channels, 32 registers, of which up to 24 are sums.
 *
 * A pixel's block is one vector, whose lanes multiply without being spread first. A tile of q blocks and p pixels takes p * q + p + 1 registers
 * at least; four lanes of it are 4 * p * q multiply-adds for p + 4 * q loads.
 */
#include "kernel/arm/first_neon.h"
#include "kernel/arm/turn_neon.h"

#define V                    float32x4_t
#define LANES                4
#define LD(p)                vld1q_f32(p)
#define ST(p, v)             vst1q_f32((p), (v))
#define SET1(x)              vdupq_n_f32(x)
#define BC(p)                vld1q_dup_f32(p)
#define FMA(a, b, c)         vfmaq_f32((c), (a), (b))
#define FMA_LANE(w, x, l, s) vfmaq_laneq_f32((s), (w), (x), (l))
#define ADD(a, b)            vaddq_f32((a), (b))
#define MAX(a, b)            vmaxq_f32((a), (b))
#define MIN(a, b)            vminq_f32((a), (b))
#define DIV(a, b)            vdivq_f32((a), (b))
#define IN_REGISTER(x)       __asm__("" : "+w"(x))
#define DW_TWO_ROWS

/* Lanes [from, to). */
typedef struct some_lanes {
    size_t from, to;
} some_lanes;

#define SUM(v)            vaddvq_f32(v)
#define MASK              some_lanes
#define FIRST(n)          ((some_lanes){0, (n)})
#define BETWEEN(a, b)     ((some_lanes){(a), (b)})
#define LD_FIRST(p, mask) load_first((p), (mask).to)
#define ST_SOME(p, m, v)  store_some((p), (m), (v))

/* The larger of a NaN and a number is a NaN here: nothing to remember. */
#define BAD            bool
#define NOT_BAD        false
#define BAD_IF(a, b)   false
#define BAD_OR(a, b)   false
#define IS_BAD(b)      (b)
#define BLEND(a, b, m) (m ? (b) : (a))

/* Lane by lane: the others may be another thread's. */
static inline void store_some(float *p, some_lanes m, float32x4_t v)
{
    if (m.from == 0 && m.to == LANES) {
        vst1q_f32(p, v);
        return;
    }
    if (m.from == 0 && m.to > 0) vst1q_lane_f32(p, v, 0);
    if (m.from <= 1 && m.to > 1) vst1q_lane_f32(p + 1, v, 1);
    if (m.from <= 2 && m.to > 2) vst1q_lane_f32(p + 2, v, 2);
    if (m.to > 3) vst1q_lane_f32(p + 3, v, 3);
}

#define EVENS(a, b) vuzp1q_f32((a), (b))
#define ODDS(a, b)  vuzp2q_f32((a), (b))

#define TILE_NAME(q, p, in) tile_conv_##q##x##p##_##in##__neon
/* clang-format off */
#define TILES(X) \
    X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8) X(1, 9) X(1, 10) X(1, 11) X(1, 12) X(1, 13) X(1, 14) \
    X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8) X(2, 9) X(2, 10) \
    X(3, 1) X(3, 2) X(3, 3) X(3, 4) X(3, 5) X(3, 6) \
    X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5)
/* clang-format on */

#include "kernel/simd/conv.inc"

/* What a step's words say: the bytes that each lane reads, or bytes that are not there, for a zero. */
static inline uint8x16_t turn_of(const float *words)
{
    const int32x4_t w = vreinterpretq_s32_f32(vld1q_f32(words)),
                    lane = vandq_s32(w, vdupq_n_s32(LANES - 1)),
                    bytes = vmlaq_s32(vdupq_n_s32(0x03020100), lane, vdupq_n_s32(0x04040404));
    return vreinterpretq_u8_s32(vorrq_s32(bytes, vshrq_n_s32(w, 31)));
}

#define TURN         uint8x16_t
#define TURN_OF(p)   turn_of(p)
#define TURNED(v, t) vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(v), (t)))
#include "kernel/simd/conv_lanes.inc"

#define TABLE      us_conv__neon
#define TABLE_NAME "neon"
#define MOST_P                                                                                 \
    {                                                                                          \
        0, 14, 10, 6, 5                                                                        \
    }
#include "kernel/simd/conv_table.inc"
