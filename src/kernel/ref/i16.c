/* kernel/ref/i16.c - products of centred 8-bit numbers as they are defined, the packing they read, and what stands around them.
 *
 * Values minus their zero point need 9 bits, so 16-bit integers hold them; products are summed in 32 bits, exactly as long as the
 * caller sees to it that the sums fit. Everything here is exact, so every variant gives the same bytes.
 */
#include "kernel/ref.h"
#include "kernel/variants.h"

void us_i16_gemm__ref(const us_i16_gemm_args *g)
{
    for (size_t j0 = 0; j0 < g->n; j0 += US_I16_NR) {
        const int16_t *b = g->b + j0 * g->k;
        for (size_t i = 0; i < g->m; i++) {
            int32_t sum[US_I16_NR] = {0};
            for (size_t p = 0; p < g->k; p += 2) {
                int32_t a0 = g->a[i * g->lda + p], a1 = g->a[i * g->lda + p + 1];
                const int16_t *two = b + p * US_I16_NR;
                for (size_t j = 0; j < US_I16_NR; j++)
                    sum[j] += a0 * two[2 * j] + a1 * two[2 * j + 1];
            }
            for (size_t j = 0; j < US_I16_NR; j++)
                g->c[i * g->ldc + j0 + j] = sum[j];
        }
    }
}

void us_i16_rows__ref(size_t k, const int16_t *w, const int16_t *const *rows, size_t n,
                      int32_t *c)
{
    for (size_t j = 0; j < n; j++)
        c[j] = 0;
    for (size_t p = 0; p < k; p++)
        for (size_t j = 0; j < n; j++)
            c[j] += w[p] * rows[p][j];
}

void us_ref_i16_pack(size_t n, const int16_t *r0, const int16_t *r1, size_t k, size_t p,
                     int16_t *to)
{
    for (size_t j0 = 0; j0 < n; j0 += US_I16_NR) {
        int16_t *two = to + j0 * k + p * US_I16_NR;
        for (size_t j = 0; j < US_I16_NR; j++) {
            two[2 * j] = r0[j0 + j];
            two[2 * j + 1] = r1[j0 + j];
        }
    }
}

void us_ref_centre8(const void *x, bool is_signed, int zero, int64_t n, int64_t stride,
                    int16_t *y)
{
    const uint8_t *u = x;
    const int8_t *s = x;
    if (is_signed && stride == 1)
        for (int64_t i = 0; i < n; i++)
            y[i] = (int16_t)(s[i] - zero);
    else if (stride == 1)
        for (int64_t i = 0; i < n; i++)
            y[i] = (int16_t)(u[i] - zero);
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = (int16_t)((is_signed ? s[i * stride] : u[i * stride]) - zero);
}

/* Adding and taking away 1.5 * 2^23 rounds half to even, for numbers below 2^22 in the rounding mode C starts with; unlike
 * nearbyintf it is two instructions. */
#define ROUNDER 12582912.0F

void us_ref_requant8(const int32_t *sums, int64_t n, int32_t bias, float scale, int zero,
                     bool is_signed, void *y)
{
    float lo = (float)((is_signed ? -128 : 0) - zero),
          hi = (float)((is_signed ? 127 : 255) - zero);
    uint8_t *to = y;
    for (int64_t i = 0; i < n; i++) {
        float q = (float)(int32_t)((uint32_t)sums[i] + (uint32_t)bias) * scale;
        q = q == q ? q : 0.0F;
        q = q < lo ? lo : q;
        q = q > hi ? hi : q;
        to[i] = (uint8_t)((int)((q + ROUNDER) - ROUNDER) + zero);
    }
}
