/* kernel/arm/int8_words_neon.h - the words that int8.inc is written in, for NEON; products apart. */
#ifndef USTA_KERNEL_ARM_INT8_WORDS_NEON_H
#define USTA_KERNEL_ARM_INT8_WORDS_NEON_H

#include <string.h>

#include "kernel/arm/first_neon.h"

typedef int32x4_t VI;
typedef float32x4_t VF;

enum { W = 4 };

#define BYTES 16
#define NR    8
#define MR    8

/* clang-format off */
#define U8(a)            vreinterpretq_u8_s32(a)
#define S8(a)            vreinterpretq_s8_s32(a)
#define S16(a)           vreinterpretq_s16_s32(a)
#define OF_U8(a)         vreinterpretq_s32_u8(a)
#define OF_S16(a)        vreinterpretq_s32_s16(a)

#define ZERO()           vdupq_n_s32(0)
#define SETI(x)          vdupq_n_s32(x)
#define SET8(x)          OF_U8(vdupq_n_u8((uint8_t)(x)))
#define SETF(x)          vdupq_n_f32(x)
#define LOAD_B(p)        OF_U8(vld1q_u8((const void *)(p)))
#define LOAD_N(p, n)     load_bytes((p), (n))
#define STORE_N(p, n, x) store_bytes((p), (n), (x))
#define SPREAD(p)        vdupq_n_s32(int_at(p))
#define LOADI(p)         LOAD_B(p)
#define STORE_W(p, x)    vst1q_u8((void *)(p), U8(x))
#define LOADF(p)         vld1q_f32(p)
#define LOADF_N(p, n)    load_first((p), (n))
#define ADDI(a, b)       vaddq_s32((a), (b))
#define SUBI(a, b)       vsubq_s32((a), (b))
#define MULI(a, b)       vmulq_s32((a), (b))
#define XORI(a, b)       veorq_s32((a), (b))
#define FLOAT(a)         vcvtq_f32_s32(a)
#define ROUND(a)         vcvtnq_s32_f32(a)
#define SUBF(a, b)       vsubq_f32((a), (b))
#define MAXB(a, b)       OF_U8(vmaxq_u8(U8(a), U8(b)))
#define ADDF(a, b)       vaddq_f32((a), (b))
#define MULF(a, b)       vmulq_f32((a), (b))
#define DIVF(a, b)       vdivq_f32((a), (b))
#define FMAF(a, b, c)    vfmaq_f32((c), (a), (b))
#define MINF(a, b)       vminnmq_f32((a), (b)) /* of a NaN and a number: the number */
#define MAXF(a, b)       vmaxnmq_f32((a), (b))
#define LEAST(a)         vminvq_f32(a)
#define MOST(a)          vmaxvq_f32(a)
#define STOREI(p, n, x)  store_bytes((p), (n) * 4, (x))
#define STOREF(p, n, x)  store_first((p), (n), (x))
#define STOREB(p, n, x)  store_low((p), (n), (x))
#define WIDEN8(p, n)     load_low((p), (n))
#define ZERO_NAN(q, r)   vandq_s32((r), vreinterpretq_s32_u32(vceqq_f32((q), (q))))
#define UNPACKLO8(a, b)  OF_U8(vzip1q_u8(U8(a), U8(b)))
#define UNPACKHI8(a, b)  OF_U8(vzip2q_u8(U8(a), U8(b)))
#define UNPACKLO16(a, b) OF_S16(vzip1q_s16(S16(a), S16(b)))
#define UNPACKHI16(a, b) OF_S16(vzip2q_s16(S16(a), S16(b)))
#define PACK16(a, b)     OF_S16(vuzp1q_s16(S16(a), S16(b)))
#define PACK8(a, b)      OF_U8(vuzp1q_u8(U8(a), U8(b)))
/* Four sums of 32 bits do as well as two of 64: they count modulo 2^32. */
#define SAD8(a)          vreinterpretq_s32_u32(vpaddlq_u16(vpaddlq_u8(U8(a))))
#define ADD64(a, b)      vaddq_s32((a), (b))
#define SUM64(a)         vaddvq_s32(a)
#define OWN_LOOK_UP
/* clang-format on */

static inline int32x4_t load_bytes(const void *p, size_t n)
{
    uint8_t room[BYTES] = {0};
    if (n >= sizeof room) return LOAD_B(p);
    memcpy(room, p, n);
    return LOAD_B(room);
}

static inline void store_bytes(void *p, size_t n, int32x4_t x)
{
    uint8_t room[BYTES];
    if (n >= sizeof room) {
        STORE_W(p, x);
        return;
    }
    STORE_W(room, x);
    memcpy(p, room, n);
}

/* n bytes as numbers, n <= 4. */
static inline int32x4_t load_low(const uint8_t *p, size_t n)
{
    uint32_t four = 0;
    memcpy(&four, p, n >= 4 ? 4 : n);
    const uint16x8_t wide = vmovl_u8(vcreate_u8(four));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
}

/* The low byte of each number. */
static inline void store_low(uint8_t *p, size_t n, int32x4_t x)
{
    const uint8x8_t bytes =
        vmovn_u16(vcombine_u16(vmovn_u32(vreinterpretq_u32_s32(x)), vcreate_u16(0)));
    const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    memcpy(p, &four, n >= 4 ? 4 : n);
}

/* 16 columns of `rows` rows (1 to 4; the others are zeros), ldb bytes apart: the four bytes of a column together. `flip` changes bits of
 * each byte that there is. */
static inline __attribute__((always_inline)) void
quads_of_16(const uint8_t *b, size_t ldb, size_t rows, uint8_t flip, int8_t *to)
{
    const uint8x16_t f = vdupq_n_u8(flip);
    uint8x16x4_t r;
    for (size_t i = 0; i < 4; i++)
        r.val[i] = i < rows ? veorq_u8(vld1q_u8(b + i * ldb), f) : vdupq_n_u8(0);
    vst4q_u8((uint8_t *)to, r);
}

/* The table is four times four vectors; a number outside of four leaves what is there. */
static void look_up(const uint8_t *table, const uint8_t *x, size_t n, uint8_t *y)
{
    const uint8x16x4_t a = vld1q_u8_x4(table), b = vld1q_u8_x4(table + 64),
                       c = vld1q_u8_x4(table + 128), d = vld1q_u8_x4(table + 192);
    const uint8x16_t next = vdupq_n_u8(64);
    size_t i = 0;
    for (; i + BYTES <= n; i += BYTES) {
        uint8x16_t at = vld1q_u8(x + i), r = vqtbl4q_u8(a, at);
        at = vsubq_u8(at, next);
        r = vqtbx4q_u8(r, b, at);
        at = vsubq_u8(at, next);
        r = vqtbx4q_u8(r, c, at);
        at = vsubq_u8(at, next);
        vst1q_u8(y + i, vqtbx4q_u8(r, d, at));
    }
    for (; i < n; i++)
        y[i] = table[x[i]];
}

#endif
