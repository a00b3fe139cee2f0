/* tensor/smallfloat.h - floating-point formats below 32 bits, described by rows: one encoder, one decoder. */
#ifndef USTA_TENSOR_SMALLFLOAT_H
#define USTA_TENSOR_SMALLFLOAT_H

#include "base/err.h"

/* How a format spends its bits and what it has at the top. */
typedef struct us_smallfloat {
    uint8_t exp_bits, man_bits;
    int8_t bias;
    bool has_sign;
    bool has_inf;        /* all-ones exponent, zero mantissa */
    bool nan_is_negzero; /* the ...UZ kinds: one NaN, 0x80, and no negative zero */
    bool nan_all_ones;   /* E4M3FN: only all ones is NaN; E8M0: 0xFF */
    bool has_nan;
} us_smallfloat;

extern const us_smallfloat us_sf_f16, us_sf_bf16, us_sf_e4m3fn, us_sf_e4m3fnuz, us_sf_e5m2,
    us_sf_e5m2fnuz, us_sf_e2m1, us_sf_e8m0;

double us_sf_decode(const us_smallfloat *f, uint32_t bits);
/* Nearest, ties to even; too large: infinity where there is one, else NaN where there is one and not `saturate`,
 * else the largest finite. */
uint32_t us_sf_encode(const us_smallfloat *f, double x, bool saturate);

#endif
