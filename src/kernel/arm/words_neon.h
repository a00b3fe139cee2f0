/* kernel/arm/words_neon.h - the words that simd/math.inc and its users are written in, for NEON of AArch64.
 *
 * V is a vector of W floats, VI of integers, M the result of a comparison, TM how many elements of a tail exist. LESS_THAN(a, b) and its like
 * give M; PICK(m, a, b) is a where m is set; X86_MIN(a, b) is a < b ? a : b, so a NaN in b passes, one in a does not: two
 * instructions here, for ARM's own minimum keeps every NaN. SCALE(a, n) is a * 2^n, rounded once; OR, AND work on bits.
 */
#ifndef USTA_KERNEL_ARM_WORDS_NEON_H
#define USTA_KERNEL_ARM_WORDS_NEON_H

#include <math.h>

#include "kernel/arm/first_neon.h"

typedef float32x4_t V;
typedef int32x4_t VI;
typedef uint32x4_t M;
typedef size_t TM;

#define W                   4
#define LOAD(p)             vld1q_f32(p)
#define STORE(p, a)         vst1q_f32((p), (a))
#define TAIL(n)             (n)
#define LOAD_SOME(p, m)     load_first((p), (m))
#define STORE_SOME(p, m, a) store_first((p), (m), (a))
#define SET(x)              vdupq_n_f32(x)
#define ISET(x)             vdupq_n_s32(x)
#define FROM_BITS(x)        vreinterpretq_f32_s32(vdupq_n_s32(x))
#define ADD(a, b)           vaddq_f32((a), (b))
#define SUB(a, b)           vsubq_f32((a), (b))
#define MUL(a, b)           vmulq_f32((a), (b))
#define DIV(a, b)           vdivq_f32((a), (b))
#define ROOT(a)             vsqrtq_f32(a)
#define FMA(a, b, c)        vfmaq_f32((c), (a), (b))
#define FNMA(a, b, c)       vfmsq_f32((c), (a), (b))
#define X86_MIN(a, b)       x86_min((a), (b))
#define X86_MAX(a, b)       x86_max((a), (b))
#define NEAREST(a)          vrndnq_f32(a)
#define DOWN(a)             vrndmq_f32(a)
#define UP(a)               vrndpq_f32(a)
#define AND(a, b)           UNBITS(vandq_s32(BITS(a), BITS(b)))
#define OR(a, b)            UNBITS(vorrq_s32(BITS(a), BITS(b)))
#define XOR(a, b)           UNBITS(veorq_s32(BITS(a), BITS(b)))
#define LESS_THAN(a, b)     vcltq_f32((a), (b))
#define LESS_OR_EQUAL(a, b) vcleq_f32((a), (b))
#define EQUAL(a, b)         vceqq_f32((a), (b))
#define NOT_EQUAL(a, b)     vmvnq_u32(vceqq_f32((a), (b)))
#define UNORDERED(a, b)     vmvnq_u32(vandq_u32(vceqq_f32((a), (a)), vceqq_f32((b), (b))))
#define PICK(m, a, b)       vbslq_f32((m), (a), (b))
#define ALL(m)              (vminvq_u32(m) != 0)
#define BITS(a)             vreinterpretq_s32_f32(a)
#define UNBITS(a)           vreinterpretq_f32_s32(a)
#define IADD(a, b)          vaddq_s32((a), (b))
#define ISUB(a, b)          vsubq_s32((a), (b))
#define IAND(a, b)          vandq_s32((a), (b))
#define SHIFT_RIGHT(a, n)   vshrq_n_s32((a), (n))
#define SHIFT_LEFT(a, n)    vshlq_n_s32((a), (n))
#define FLOAT(a)            vcvtq_f32_s32(a)
#define INTEGER(a)          vcvtnq_s32_f32(a)
#define SCALE(a, n)         scale((a), (n))
#define POWER_OF_2(n)       power_of_2(INTEGER(n))
#define FIRST(a)            vgetq_lane_f32((a), 0)
/* Vector a with its halves, neighbours exchanged. */
#define SWAPS(X)        X(vextq_f32(a, a, 2)) X(vrev64q_f32(a))
#define CHOOSE(m, a, b) vbslq_f32(first_lanes(m), (a), (b)) /* as PICK, by TM */

static inline M first_lanes(TM n)
{
    static const uint32_t at[4] = {0, 1, 2, 3};
    return vcltq_u32(vld1q_u32(at), vdupq_n_u32((uint32_t)n));
}

static inline V x86_min(V a, V b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
static inline V x86_max(V a, V b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
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
