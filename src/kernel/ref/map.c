/* kernel/ref/map.c - the definition of map instructions: one plain loop and one formula each, functions of libm. */
#include <math.h>

#include "kernel/variants.h"

static inline float sigmoid(float x)
{
    float e = expf(-fabsf(x)); /* never exp of a positive number */
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
static inline float softplus(float x)
{
    return log1pf(expf(-fabsf(x))) + (x > 0 || x != x ? x : 0);
}
static inline float gelu(float x)
{
    float h = 0.5F * x;
    return fmaf(h, erff(0.70710678118654752440F * x), h);
}
/* Python's sign rule: the result has the divisor's sign. */
static inline float modulo(float x, float y)
{
    double a = (double)x, b = (double)y, r = fmod(a, b);
    return (float)(r != 0 && (r < 0) != (b < 0) ? r + b : r);
}
static inline float least(float a, float b)
{
    return b < a || b != b ? b : a;
}
static inline float greatest(float a, float b)
{
    return b > a || b != b ? b : a;
}

/* X(code, formula on a, b, c) */
/* clang-format off */
#define FORMULAS(X)                                                                            \
    X(COPY, a)                       X(NEG, -a)                       X(ABS, fabsf(a))         \
    X(SQRT, sqrtf(a))                X(RECIPROCAL, 1 / a)             X(FLOOR, floorf(a))      \
    X(CEIL, ceilf(a))                X(ROUND, nearbyintf(a))                                   \
    X(SIGN, a != a ? a : (float)((a > 0) - (a < 0)))                  X(RELU, a < 0 ? 0 : a)   \
    X(NOT, a == 0)                   X(IS_NAN, a != a)                                         \
    X(IS_INF, fabsf(a) > 3.40282346638528859811704183484516925e38F)                            \
    X(EXP, expf(a))                  X(EXPM1, expm1f(a))              X(LOG, logf(a))          \
    X(TANH, tanhf(a))                X(SIGMOID, sigmoid(a))           X(ERF, erff(a))          \
    X(SOFTPLUS, softplus(a))         X(SIN, sinf(a))                  X(COS, cosf(a))          \
    X(TAN, tanf(a))                  X(ASIN, asinf(a))                X(ACOS, acosf(a))        \
    X(ATAN, atanf(a))                X(SINH, sinhf(a))                X(COSH, coshf(a))        \
    X(ASINH, asinhf(a))              X(ACOSH, acoshf(a))              X(ATANH, atanhf(a))      \
    X(SILU, a * sigmoid(a))                                                                    \
    X(HARDSWISH, a * least(greatest(fmaf(a, 1.0F / 6, 0.5F), 0), 1))                           \
    X(GELU, gelu(a))                                                                           \
    X(ADD, a + b)                    X(SUB, a - b)                    X(MUL, a * b)            \
    X(DIV, a / b)                    X(MIN, least(a, b))              X(MAX, greatest(a, b))   \
    X(POW, powf(a, b))               X(MOD, modulo(a, b))             X(FMOD, fmodf(a, b))     \
    X(PRELU, a < 0 ? a * b : a)      X(EQ, a == b)                    X(GT, a > b)             \
    X(GE, a >= b)                    X(LT, a < b)                     X(LE, a <= b)            \
    X(AND, a != 0 && b != 0)         X(OR, a != 0 || b != 0)          X(XOR, (a != 0) != (b != 0)) \
    X(FMA, fmaf(a, b, c))            X(SELECT, a != 0 ? b : c)                                 \
    X(CLAMP, least(greatest(a, b), c))
/* clang-format on */

#define X(code, formula)                                                                       \
    static void do_##code(size_t n, float *y, const float *pa, size_t sa, const float *pb,     \
                          size_t sb, const float *pc, size_t sc)                               \
    {                                                                                          \
        for (size_t i = 0; i < n; i++, pa += sa, pb += sb, pc += sc) {                         \
            const float a = *pa, b = *pb, c = *pc;                                             \
            (void)b, (void)c;                                                                  \
            y[i] = (float)(formula);                                                           \
        }                                                                                      \
    }
FORMULAS(X)
#undef X

const us_ew_kernels us_ew__ref = {.name = "us_ew__ref",
                                  .width = 1,
                                  .codes = {
#define X(code, formula) [US_EW_##code] = do_##code,
                                      FORMULAS(X)
#undef X
                                  }};
