/* kernel/ref.h - elementwise reference kernels: one plain loop per function and element type.
 *
 * A kernel makes n contiguous results from operands read with a stride (in elements; 0 repeats one
 * element, 1 is contiguous). Tables are indexed by function and element type; NULL: the standard does not
 * define the pair, or (half precision) the caller converts to float and back.
 * Integers wrap; division by zero gives 0, so no input can trap.
 */
#ifndef USTA_KERNEL_REF_H
#define USTA_KERNEL_REF_H

#include "tensor/dtype.h"

/* par: up to four numbers that come from attributes (alpha, beta, ...). */
typedef void us_un_fn(void *y, const void *x, int64_t n, int64_t sx, const double *par);
typedef void us_bin_fn(void *y, const void *a, const void *b, int64_t n, int64_t sa,
                       int64_t sb);

/* X(id, types it has: A any number, F floats only, S signed numbers, I integers; formula on x, par p) */
/* clang-format off */
#define US_UNARY_LIST(X)                                                        \
    X(NEG, S, WRAP(x, *, (T)-1))        X(SQRT, F, M(sqrt)(x))                   \
    X(EXP, F, M(exp)(x))               X(LOG, F, M(log)(x))                     \
    X(RECIPROCAL, F, (T)1 / x)         X(FLOOR, F, M(floor)(x))                 \
    X(CEIL, F, M(ceil)(x))             X(ROUND, F, M(nearbyint)(x))             \
    X(SIGN, A, (T)((x > 0) - NEGATIVE(x)) + NAN_OF(x))                              \
    X(ERF, F, M(erf)(x))               X(SIN, F, M(sin)(x))                     \
    X(COS, F, M(cos)(x))               X(TAN, F, M(tan)(x))                     \
    X(ASIN, F, M(asin)(x))             X(ACOS, F, M(acos)(x))                   \
    X(ATAN, F, M(atan)(x))             X(SINH, F, M(sinh)(x))                   \
    X(COSH, F, M(cosh)(x))             X(ASINH, F, M(asinh)(x))                 \
    X(ACOSH, F, M(acosh)(x))           X(ATANH, F, M(atanh)(x))                 \
    X(TANH, F, M(tanh)(x))             X(ABS, A, NEGATIVE(x) ? WRAP(0, -, x) : x + 0)    \
    X(SIGMOID, F, SIGMOID(x))      X(RELU, A, NEGATIVE(x) ? (T)0 : x)             \
    X(LEAKY_RELU, F, x < 0 ? (T)p[0] * x : x)                                   \
    X(ELU, F, x < 0 ? (T)p[0] * M(expm1)(x) : x)                                \
    X(CELU, F, x < 0 ? (T)p[0] * M(expm1)(x / (T)p[0]) : x)                     \
    X(SELU, F, (T)p[1] * (x > 0 ? x : (T)p[0] * M(expm1)(x)))                   \
    X(THRESHOLDED_RELU, F, x > (T)p[0] ? x : (T)0)                              \
    X(HARD_SIGMOID, F, M(fmax)(0, M(fmin)(1, (T)p[0] * x + (T)p[1])) + NAN_OF(x)) \
    X(HARD_SWISH, F, x * M(fmax)(0, M(fmin)(1, x / 6 + (T)0.5)))                \
    X(SOFTPLUS, F, SOFTPLUS(x))                                             \
    X(SOFTSIGN, F, x / (1 + M(fabs)(x)))                                        \
    X(MISH, F, x * M(tanh)(SOFTPLUS(x)))                                    \
    X(SWISH, F, x * SIGMOID((T)p[0] * x))                                   \
    X(GELU, F, (T)0.5 * x * (1 + M(erf)(x * (T)0.70710678118654752440)))        \
    X(GELU_TANH, F, (T)0.5 * x * (1 + M(tanh)((T)0.79788456080286535588 *       \
                                  (x + (T)0.044715 * x * x * x))))              \
    X(SHRINK, A, WHOLE((double)x < -p[1] ? (double)x + p[0]                     \
                       : (double)x > p[1] ? (double)x - p[0] : 0))              \
    X(BITNOT, I, (T)~x)

/* X(id, types, formula on a, b): result of the operands' type */
#define US_BINARY_LIST(X)                                                       \
    X(ADD, A, WRAP(a, +, b))           X(SUB, A, WRAP(a, -, b))                 \
    X(MUL, A, WRAP(a, *, b))           X(DIV, A, DIVIDE(a, b))                  \
    X(POW, A, POWER(a, b))             X(MOD, A, MODULO(a, b))                  \
    X(FMOD, A, REMAINDER(a, b))                                                 \
    X(MIN, A, b < a || b != b ? b : a) X(MAX, A, b > a || b != b ? b : a)       \
    X(PRELU, A, NEGATIVE(a) ? WRAP(a, *, b) : a)                                      \
    X(BITAND, I, (T)(a & b))           X(BITOR, I, (T)(a | b))                  \
    X(BITXOR, I, (T)(a ^ b))                                                    \
    X(SHL, I, (uint64_t)b < 8 * sizeof(T) ? (T)((uint64_t)a << b) : (T)0)       \
    X(SHR, I, (uint64_t)b < 8 * sizeof(T) ? (T)((uint64_t)a >> b) : (T)0)

/* X(id, formula): result bool; EQ exists for strings and bool too */
#define US_COMPARE_LIST(X)                                                      \
    X(EQ, a == b) X(GT, a > b) X(GE, a >= b) X(LT, a < b) X(LE, a <= b)

/* X(id, formula): bool to bool */
#define US_BOOL_LIST(X)                                                         \
    X(AND, a && b) X(OR, a || b) X(XOR, !a != !b)
/* clang-format on */

typedef enum us_unary {
#define X(id, types, f) US_UN_##id,
    US_UNARY_LIST(X)
#undef X
        US_UN_N
} us_unary;

typedef enum us_binary {
#define X(id, types, f) US_BIN_##id,
    US_BINARY_LIST(X)
#undef X
#define X(id, f) US_BIN_##id,
        US_COMPARE_LIST(X) US_BOOL_LIST(X)
#undef X
            US_BIN_N
} us_binary;

us_un_fn *us_ref_unary(us_unary f, us_dtype t);
us_bin_fn *us_ref_binary(us_binary f, us_dtype t);

/* y[i] = c[i] ? a[i] : b[i] on elements of `bytes` bytes. */
void us_ref_where(void *y, const uint8_t *c, const void *a, const void *b, int64_t n,
                  int64_t sc, int64_t sa, int64_t sb, size_t bytes);

/* Fourier transform of n >= 1 points, interleaved real and imaginary parts, forward, in place. `work` has
 * us_ref_fft_doubles(n) numbers: us_ref_fft_plan fills in its tables once for a length. */
size_t us_ref_fft_doubles(size_t n);
void us_ref_fft_plan(size_t n, double *work);
void us_ref_fft(size_t n, double *x, double *work);

#endif
