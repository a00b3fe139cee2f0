/* kernel/arm/first_neon.h - the first n of a vector's four floats: NEON has no masks, so they go one or two at a time. Never a byte beyond. */
#ifndef USTA_KERNEL_ARM_FIRST_NEON_H
#define USTA_KERNEL_ARM_FIRST_NEON_H

#include <arm_neon.h>
#include <stddef.h>

/* Those that are not there are 0. */
static inline float32x4_t load_first(const float *p, size_t n)
{
    if (n >= 4) return vld1q_f32(p);
    float32x4_t v = vdupq_n_f32(0.0F);
    if (n >= 2) v = vcombine_f32(vld1_f32(p), vdup_n_f32(0.0F));
    if (n == 3) v = vld1q_lane_f32(p + 2, v, 2);
    if (n == 1) v = vld1q_lane_f32(p, v, 0);
    return v;
}

static inline void store_first(float *p, size_t n, float32x4_t v)
{
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    if (n >= 2) vst1_f32(p, vget_low_f32(v));
    if (n == 3) vst1q_lane_f32(p + 2, v, 2);
    if (n == 1) vst1q_lane_f32(p, v, 0);
}

#endif
