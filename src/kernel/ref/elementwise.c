/* kernel/ref/elementwise.c - the lists of kernel/ref.h turned into loops, one per function and type.
 *
 * The formulas stand in the lists; elementwise.inc is the loop around them, included once per element
 * type with the words of that type: M(f) is the libm function, WRAP does integer arithmetic in unsigned so
 * that overflow wraps, DIVIDE and MODULO give 0 for a zero divisor. Loops with the usual strides (both
 * contiguous, one side a single element) stand apart so that the compiler vectorises them.
 */
#include "kernel/ref.h"

#include <math.h>
#include <string.h>

/* Lists hold for classes of types: A any number, F floats, S signed numbers, I integers. */
#define FLOAT_A(...) __VA_ARGS__
#define FLOAT_F(...) __VA_ARGS__
#define FLOAT_S(...) __VA_ARGS__
#define FLOAT_I(...)
#define SINT_A(...) __VA_ARGS__
#define SINT_F(...)
#define SINT_S(...) __VA_ARGS__
#define SINT_I(...) __VA_ARGS__
#define UINT_A(...) __VA_ARGS__
#define UINT_F(...)
#define UINT_S(...)
#define UINT_I(...) __VA_ARGS__

#define PASTE_(a, b, c) a##b##_##c
#define PASTE(a, b, c)  PASTE_(a, b, c)

/* Stable for large |x|: never exp of a positive number. */
static inline float sigmoid_f32(float x)
{
    float e = expf(-fabsf(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
static inline double sigmoid_f64(double x)
{
    double e = exp(-fabs(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}
static inline float softplus_f32(float x)
{
    return log1pf(expf(-fabsf(x))) + (x > 0 || x != x ? x : 0);
}
static inline double softplus_f64(double x)
{
    return log1p(exp(-fabs(x))) + (x > 0 || x != x ? x : 0);
}

/* Python's sign rule: the result has the divisor's sign. */
static inline double mod_f64(double a, double b)
{
    double r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static inline int64_t rem_i64(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}
static inline int64_t mod_i64(int64_t a, int64_t b)
{
    int64_t r = rem_i64(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static inline int64_t div_i64(int64_t a, int64_t b)
{
    if (b == 0) return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}
/* Past its type an integer wraps, as sums of integers do. */
static inline uint64_t whole_u64(double x)
{
    if (x >= 0x1p63) return x < 0x1p64 ? (uint64_t)x : UINT64_MAX;
    return x > -0x1p63 ? (uint64_t)(int64_t)x : x < 0 ? (uint64_t)INT64_MIN : 0;
}
static inline uint64_t pow_u64(uint64_t a, uint64_t n)
{
    uint64_t r = 1;
    for (; n; n >>= 1, a *= a)
        if (n & 1) r *= a;
    return r;
}
/* Integer powers wrap; a negative exponent leaves 1, -1 or 0, as truncation does. */
static inline int64_t pow_i64(int64_t a, int64_t n)
{
    if (n >= 0) return (int64_t)pow_u64((uint64_t)a, (uint64_t)n);
    if (a == 1) return 1;
    return a == -1 ? (n & 1 ? -1 : 1) : 0;
}

/* Words of the floating types. */
#define NEGATIVE(x)    ((x) < 0)
#define TYPES(k)       FLOAT_##k
#define WRAP(a, op, b) ((a)op(b))
#define DIVIDE(a, b)   ((a) / (b))
#define NAN_OF(x)      ((x) != (x) ? (x) : 0)
#define WHOLE(x)       (x)
#define T              float
#define ID             F32
#define M(fn)          fn##f
#define SIGMOID        sigmoid_f32
#define SOFTPLUS       softplus_f32
#define POWER          powf
#define MODULO(a, b)   (float)mod_f64((double)(a), (double)(b))
#define REMAINDER      fmodf
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID
#undef M
#undef SIGMOID
#undef SOFTPLUS
#undef POWER
#undef MODULO
#undef REMAINDER
#define T         double
#define ID        F64
#define M(fn)     fn
#define SIGMOID   sigmoid_f64
#define SOFTPLUS  softplus_f64
#define POWER     pow
#define MODULO    mod_f64
#define REMAINDER fmod
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID
#undef TYPES
#undef WRAP
#undef DIVIDE
#undef NAN_OF
#undef WHOLE
#undef POWER
#undef MODULO
#undef REMAINDER

/* Words of the signed integers. */
#define TYPES(k)        SINT_##k
#define WRAP(a, op, b)  (T)((uint64_t)(a)op(uint64_t)(b))
#define DIVIDE(a, b)    (T) div_i64((a), (b))
#define NAN_OF(x)       0
#define WHOLE(x)        whole_u64(x)
#define POWER(a, b)     (T) pow_i64((a), (b))
#define MODULO(a, b)    (T) mod_i64((a), (b))
#define REMAINDER(a, b) (T) rem_i64((a), (b))
#define T               int8_t
#define ID              I8
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID
#define T  int16_t
#define ID I16
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID
#define T  int32_t
#define ID I32
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID
#define T  int64_t
#define ID I64
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID
#undef TYPES
#undef DIVIDE
#undef POWER
#undef MODULO
#undef REMAINDER

/* Words of the unsigned integers. */
#undef NEGATIVE
#define NEGATIVE(x)     false
#define TYPES(k)        UINT_##k
#define DIVIDE(a, b)    (T)((b) ? (a) / (b) : 0)
#define POWER(a, b)     (T) pow_u64((a), (b))
#define MODULO(a, b)    (T)((b) ? (a) % (b) : 0)
#define REMAINDER(a, b) (T)((b) ? (a) % (b) : 0)
#define T               uint8_t
#define ID              U8
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID
#define T  uint16_t
#define ID U16
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID
#define T  uint32_t
#define ID U32
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID
#define T  uint64_t
#define ID U64
#include "kernel/ref/elementwise.inc"
#undef T
#undef ID

/* --- bool and strings -------------------------------------------------------------------------- */

#define X(id, formula)                                                                         \
    static void bool_##id(void *y_, const void *a_, const void *b_, int64_t n, int64_t sa,     \
                          int64_t sb)                                                          \
    {                                                                                          \
        const uint8_t *pa = a_, *pb = b_;                                                      \
        uint8_t *y = y_;                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                      \
            const bool a = pa[i * sa] != 0, b = pb[i * sb] != 0;                               \
            y[i] = (uint8_t)(formula);                                                         \
        }                                                                                      \
    }
US_BOOL_LIST(X)
X(EQ, a == b)
#undef X

static void string_EQ(void *y_, const void *a_, const void *b_, int64_t n, int64_t sa,
                      int64_t sb)
{
    const us_sv *a = a_, *b = b_;
    uint8_t *y = y_;
    for (int64_t i = 0; i < n; i++)
        y[i] = us_sv_eq(a[i * sa], b[i * sb]);
}

static us_bin_fn *const bin_BOOL[US_BIN_N] = {
#define X(id, formula) [US_BIN_##id] = bool_##id,
    US_BOOL_LIST(X) X(EQ, )
#undef X
};
static us_bin_fn *const bin_STRING[US_BIN_N] = {[US_BIN_EQ] = string_EQ};

/* --- tables ------------------------------------------------------------------------------------ */

#define NUMBERS(X) X(F32) X(F64) X(I8) X(I16) X(I32) X(I64) X(U8) X(U16) X(U32) X(U64)
static us_un_fn *const *const unary[US_DTYPE_N] = {
#define X(id) [US_##id] = un_##id,
    NUMBERS(X)
#undef X
};
static us_bin_fn *const *const binary[US_DTYPE_N] = {
#define X(id) [US_##id] = bin_##id,
    NUMBERS(X) X(BOOL) X(STRING)
#undef X
};

us_un_fn *us_ref_unary(us_unary f, us_dtype t)
{
    return t < US_DTYPE_N && unary[t] ? unary[t][f] : NULL;
}

us_bin_fn *us_ref_binary(us_binary f, us_dtype t)
{
    return t < US_DTYPE_N && binary[t] ? binary[t][f] : NULL;
}

/* One size of element each, so that a copy is a move and not a call. Conditions are bytes: a file may hold any, which a C bool may not. */
#define WHERE(bytes)                                                                           \
    static void where_##bytes(char *to, const uint8_t *c, const char *a, const char *b,        \
                              int64_t n, int64_t sc, int64_t sa, int64_t sb)                   \
    {                                                                                          \
        for (int64_t i = 0; i < n; i++, to += bytes) {                                         \
            const char *from = c[i * sc] ? a + i * sa * bytes : b + i * sb * bytes;            \
            memcpy(to, from, bytes);                                                           \
        }                                                                                      \
    }
/* clang-format off */
WHERE(1) WHERE(2) WHERE(4) WHERE(8) WHERE(16)
    /* clang-format on */

    void us_ref_where(void *y, const uint8_t *c, const void *a, const void *b, int64_t n,
                      int64_t sc, int64_t sa, int64_t sb, size_t bytes)
{
    static void (*const sizes[])(char *, const uint8_t *, const char *, const char *, int64_t,
                                 int64_t, int64_t, int64_t) = {
        [1] = where_1, [2] = where_2, [4] = where_4, [8] = where_8, [16] = where_16};
    sizes[bytes](y, c, a, b, n, sc, sa, sb); /* every type's size is one of these */
}
