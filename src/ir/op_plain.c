/* ir/op_plain.c - sums, products and order for the element types that have no arithmetic kernels: complex numbers and truth
 * values.
 *
 * Only operators that combine single elements want them (reductions of Scatter, Col2Im), so there is no table of kernels for
 * them. As NumPy has it: a sum of truth values is their "or", a product their "and"; complex numbers are ordered by their
 * real part, then by the imaginary one.
 */
#include "ir/op_util.h"

#define COMPLEX(name, T)                                                                       \
    static bool name##_less(const T *a, const T *b)                                            \
    {                                                                                          \
        return a[0] < b[0] || (a[0] == b[0] && a[1] < b[1]);                                   \
    }                                                                                          \
    static void name##_add(void *y_, const void *a_, const void *b_, int64_t n, int64_t sa,    \
                           int64_t sb)                                                         \
    {                                                                                          \
        T *y = y_;                                                                             \
        const T *a = a_, *b = b_;                                                              \
        for (int64_t i = 0; i < n; i++, y += 2, a += 2 * sa, b += 2 * sb) {                    \
            y[0] = a[0] + b[0];                                                                \
            y[1] = a[1] + b[1];                                                                \
        }                                                                                      \
    }                                                                                          \
    static void name##_mul(void *y_, const void *a_, const void *b_, int64_t n, int64_t sa,    \
                           int64_t sb)                                                         \
    {                                                                                          \
        T *y = y_;                                                                             \
        const T *a = a_, *b = b_;                                                              \
        for (int64_t i = 0; i < n; i++, y += 2, a += 2 * sa, b += 2 * sb) {                    \
            T re = a[0] * b[0] - a[1] * b[1], im = a[0] * b[1] + a[1] * b[0]; /* y may be a */ \
            y[0] = re;                                                                         \
            y[1] = im;                                                                         \
        }                                                                                      \
    }                                                                                          \
    static void name##_max(void *y_, const void *a_, const void *b_, int64_t n, int64_t sa,    \
                           int64_t sb)                                                         \
    {                                                                                          \
        T *y = y_;                                                                             \
        const T *a = a_, *b = b_;                                                              \
        for (int64_t i = 0; i < n; i++, y += 2, a += 2 * sa, b += 2 * sb) {                    \
            const T *from = name##_less(a, b) ? b : a;                                         \
            T re = from[0], im = from[1];                                                      \
            y[0] = re;                                                                         \
            y[1] = im;                                                                         \
        }                                                                                      \
    }                                                                                          \
    static void name##_min(void *y_, const void *a_, const void *b_, int64_t n, int64_t sa,    \
                           int64_t sb)                                                         \
    {                                                                                          \
        T *y = y_;                                                                             \
        const T *a = a_, *b = b_;                                                              \
        for (int64_t i = 0; i < n; i++, y += 2, a += 2 * sa, b += 2 * sb) {                    \
            const T *from = name##_less(b, a) ? b : a;                                         \
            T re = from[0], im = from[1];                                                      \
            y[0] = re;                                                                         \
            y[1] = im;                                                                         \
        }                                                                                      \
    }
COMPLEX(c64, float)
COMPLEX(c128, double)

us_bin_fn *us_binary_plain(us_binary f, us_dtype t)
{
    static us_bin_fn *const c64[US_BIN_N] = {[US_BIN_ADD] = c64_add,
                                             [US_BIN_MUL] = c64_mul,
                                             [US_BIN_MAX] = c64_max,
                                             [US_BIN_MIN] = c64_min};
    static us_bin_fn *const c128[US_BIN_N] = {[US_BIN_ADD] = c128_add,
                                              [US_BIN_MUL] = c128_mul,
                                              [US_BIN_MAX] = c128_max,
                                              [US_BIN_MIN] = c128_min};
    if (t == US_C64) return c64[f];
    if (t == US_C128) return c128[f];
    if (t == US_BOOL && (f == US_BIN_ADD || f == US_BIN_MAX))
        return us_ref_binary(US_BIN_OR, t);
    if (t == US_BOOL && (f == US_BIN_MUL || f == US_BIN_MIN))
        return us_ref_binary(US_BIN_AND, t);
    return us_ref_binary(f, t);
}

us_err us_eval_parts(us_eval *k, const us_tensor *x, us_tensor *parts)
{
    us_tensor flat;
    const int64_t n = 2 * us_tensor_count(x);
    US_TRY(us_tensor_init(k->c, &flat, x->dtype == US_C64 ? US_F32 : US_F64, 1, &n, x->data));
    return us_eval_as(k, &flat, US_F64, parts);
}
