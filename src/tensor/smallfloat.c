/* tensor/smallfloat.c - encode and decode any format that us_smallfloat can describe.
 * Source of the float8 kinds: ONNX docs/docsgen "Float stored in 8 bits"; float4: OCP MX specification 1.0. */
#include "tensor/smallfloat.h"

#include <math.h>
#include <string.h>

#include "tensor/dtype.h"

const us_smallfloat us_sf_f16 = {5, 10, 15, .has_sign = true, .has_inf = true, .has_nan = true};
const us_smallfloat us_sf_bf16 = {
    8, 7, 127, .has_sign = true, .has_inf = true, .has_nan = true};
const us_smallfloat us_sf_e4m3fn = {
    4, 3, 7, .has_sign = true, .nan_all_ones = true, .has_nan = true};
const us_smallfloat us_sf_e4m3fnuz = {
    4, 3, 8, .has_sign = true, .nan_is_negzero = true, .has_nan = true};
const us_smallfloat us_sf_e5m2 = {5, 2, 15, .has_sign = true, .has_inf = true, .has_nan = true};
const us_smallfloat us_sf_e5m2fnuz = {
    5, 2, 16, .has_sign = true, .nan_is_negzero = true, .has_nan = true};
const us_smallfloat us_sf_e2m1 = {2, 1, 1, .has_sign = true};
const us_smallfloat us_sf_e8m0 = {8, 0, 127, .nan_all_ones = true, .has_nan = true};

static uint32_t ones(unsigned n)
{
    return (1u << n) - 1;
}

static uint32_t nan_bits(const us_smallfloat *f)
{
    unsigned width = (unsigned)f->exp_bits + f->man_bits;
    if (f->nan_is_negzero) return 1u << width;
    if (f->nan_all_ones) return ones(width);
    return (ones(f->exp_bits) << f->man_bits) | (1u << (f->man_bits - 1));
}

/* Largest finite value, without sign. */
static uint32_t max_bits(const us_smallfloat *f)
{
    unsigned width = (unsigned)f->exp_bits + f->man_bits;
    if (f->has_inf) return ((ones(f->exp_bits) - 1) << f->man_bits) | ones(f->man_bits);
    return f->nan_all_ones ? ones(width) - 1 : ones(width);
}

static bool is_nan_bits(const us_smallfloat *f, uint32_t bits)
{
    unsigned width = (unsigned)f->exp_bits + f->man_bits;
    if (!f->has_nan) return false;
    if (f->nan_is_negzero) return bits == 1u << width;
    if (f->nan_all_ones) return (bits & ones(width)) == ones(width);
    return ((bits >> f->man_bits) & ones(f->exp_bits)) == ones(f->exp_bits) &&
           (bits & ones(f->man_bits));
}

/* 2^e for e in -1022..1023. Weights are converted by the million: the bits are written, ldexp takes ten times as long. */
static double power_of_two(int e)
{
    uint64_t bits = (uint64_t)(e + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

double us_sf_decode(const us_smallfloat *f, uint32_t bits)
{
    unsigned width = (unsigned)f->exp_bits + f->man_bits;
    if (is_nan_bits(f, bits)) return (double)NAN;
    bool neg = f->has_sign && (bits >> width & 1);
    uint32_t e = bits >> f->man_bits & ones(f->exp_bits), m = bits & ones(f->man_bits);
    double v;
    if (f->has_inf && e == ones(f->exp_bits))
        v = (double)INFINITY;
    else if (e == 0 && f->man_bits) /* subnormal; E8M0 has none: its zero exponent is 2^-127 */
        v = (double)m * power_of_two(1 - f->bias - f->man_bits);
    else
        v = (double)(m + (1u << f->man_bits)) * power_of_two((int)e - f->bias - f->man_bits);
    return neg ? -v : v;
}

static uint32_t overflow_bits(const us_smallfloat *f, bool saturate)
{
    if (saturate) return max_bits(f);
    if (f->has_inf) return ones(f->exp_bits) << f->man_bits;
    return f->has_nan ? nan_bits(f) : max_bits(f);
}

/* Bits of a positive finite value. */
static uint32_t encode_positive(const us_smallfloat *f, double x, bool saturate)
{
    uint64_t x_bits;
    memcpy(&x_bits, &x, sizeof x_bits);
    int exp_field = (int)(x_bits >> 52) - 1023 + f->bias; /* x in [2^e, 2^(e+1)), e >= -1023 */
    if (exp_field > 1 << f->exp_bits) return overflow_bits(f, saturate);
    if (exp_field < 1 && f->man_bits) exp_field = 1; /* subnormal grid */
    if (exp_field < 0) exp_field = 0;
    /* Below 2^52, adding 2^52 leaves whole numbers, ties to even; may reach the next binade. */
    double steps = x * power_of_two(f->bias + f->man_bits - exp_field) + 0x1p52 - 0x1p52;
    uint32_t s = (uint32_t)steps;
    uint32_t hidden = 1u << f->man_bits;
    if (!f->man_bits) { /* only powers of two: steps is 0, 1 or 2 */
        uint32_t b = (uint32_t)exp_field + (s >= 2);
        return b > max_bits(f) ? overflow_bits(f, saturate) : b;
    }
    uint32_t bits = s < hidden ? s
                               : ((uint32_t)(exp_field - 1) << f->man_bits) +
                                     s; /* carry moves into the exponent */
    return bits > max_bits(f) ? overflow_bits(f, saturate) : bits;
}

uint32_t us_sf_encode(const us_smallfloat *f, double x, bool saturate)
{
    unsigned width = (unsigned)f->exp_bits + f->man_bits;
    if (isnan(x)) return f->has_nan ? nan_bits(f) : max_bits(f);
    bool neg = signbit(x) != 0;
    if (neg && !f->has_sign) return f->has_nan ? nan_bits(f) : 0;
    double a = fabs(x);
    uint32_t bits = isinf(a)                ? overflow_bits(f, saturate)
                    : a > 0 || !f->man_bits ? encode_positive(f, a, saturate)
                                            : 0;
    if (is_nan_bits(f, bits)) return bits;
    if (neg && !(f->nan_is_negzero && bits == 0)) bits |= 1u << width;
    return bits;
}

float us_f16_to_f32(uint16_t h)
{
    return (float)us_sf_decode(&us_sf_f16, h);
}

uint16_t us_f32_to_f16(float x)
{
    return (uint16_t)us_sf_encode(&us_sf_f16, (double)x, false);
}

float us_bf16_to_f32(uint16_t h)
{
    union {
        uint32_t u;
        float f;
    } v = {.u = (uint32_t)h << 16};
    return v.f;
}

uint16_t us_f32_to_bf16(float x)
{
    union {
        float f;
        uint32_t u;
    } v = {.f = x};
    if (isnan(x)) return (uint16_t)(v.u >> 16 | 0x40);
    return (uint16_t)((v.u + 0x7FFF + (v.u >> 16 & 1)) >> 16);
}
