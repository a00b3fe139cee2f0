/* kernel/arm/turn_neon.h - squares of floats turned: row i of the result is column i. Neighbours, then pairs change places. */
#ifndef USTA_KERNEL_ARM_TURN_NEON_H
#define USTA_KERNEL_ARM_TURN_NEON_H

#include <arm_neon.h>
#include <stddef.h>

static inline __attribute__((always_inline)) void turn_registers(float32x4_t r[4])
{
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])),
                      b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1])),
                      c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])),
                      d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    r[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    r[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    r[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

/* Rows of both lie x_row and y_row floats apart. */
static inline __attribute__((always_inline)) void turn_4x4(const float *x, ptrdiff_t x_row,
                                                           float *y, ptrdiff_t y_row)
{
    float32x4_t r[4];
    for (int i = 0; i < 4; i++)
        r[i] = vld1q_f32(x + i * x_row);
    turn_registers(r);
    for (int i = 0; i < 4; i++)
        vst1q_f32(y + i * y_row, r[i]);
}

static inline __attribute__((always_inline)) void turn_8x8(const float *x, ptrdiff_t x_row,
                                                           float *y, ptrdiff_t y_row)
{
    turn_4x4(x, x_row, y, y_row);
    turn_4x4(x + 4, x_row, y + 4 * y_row, y_row);
    turn_4x4(x + 4 * x_row, x_row, y + 4, y_row);
    turn_4x4(x + 4 * x_row + 4, x_row, y + 4 * y_row + 4, y_row);
}

#endif
