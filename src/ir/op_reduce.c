/* ir/op_reduce.c - reductions over axes.
 *
 * One walk for all: the output is viewed with stride 0 along the reduced axes, so input and accumulators are
 * visited together in memory order. Floats accumulate in double, integers in 64 bits; half precision goes
 * through float. An empty reduction gives the neutral element (the smallest or largest value of the type
 * for Max and Min), as the standard says.
 */
#include "ir/op_util.h"

#include <math.h>

/* clang-format off */
static const us_param reduce_sum_in[] = {
    {"data", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0}, US_PARAM_END};
static const us_param reduce_sum_out[] = {
    {"reduced", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0}, US_PARAM_END};
static const us_attr_row reduce_sum_attrs[] = {
    US_AIS(us_p_reduce, axes, "axes"), US_AI(us_p_reduce, keepdims, "keepdims", 1), US_ATTR_END};
static const us_param reduce_sum_in_13[] = {
    {"data", 'T', US_M_FLOATS | US_M(I32) | US_M(I64) | US_M(U32) | US_M(U64), 0},
    {"axes", '\0', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row reduce_sum_attrs_13[] = {
    US_AI(us_p_reduce, keepdims, "keepdims", 1),
    US_AI(us_p_reduce, noop_with_empty_axes, "noop_with_empty_axes", 0), US_ATTR_END};
const us_schema reduce_sum_schemas[] = {
    {1, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {13, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};

const us_schema reduce_mean_schemas[] = {
    {1, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {13, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {18, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};

static const us_param reduce_max_in[] = {
    {"data", 'T', US_M_FLOATS | US_M(U8) | US_M(I8) | US_M(I32) | US_M(I64) | US_M(BOOL) | US_M(U32) | US_M(U64), 0},
    US_PARAM_END};
static const us_param reduce_max_out[] = {
    {"reduced", 'T', US_M_FLOATS | US_M(U8) | US_M(I8) | US_M(I32) | US_M(I64) | US_M(BOOL) | US_M(U32) | US_M(U64), 0},
    US_PARAM_END};
static const us_param reduce_max_in_18[] = {
    {"data", 'T', US_M_FLOATS | US_M(U8) | US_M(I8) | US_M(I32) | US_M(I64) | US_M(BOOL) | US_M(U32) | US_M(U64), 0},
    {"axes", '\0', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
const us_schema reduce_max_schemas[] = {
    {1, reduce_max_in, reduce_max_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_max_in, reduce_max_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {12, reduce_max_in, reduce_max_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {13, reduce_max_in, reduce_max_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {18, reduce_max_in_18, reduce_max_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {20, reduce_max_in_18, reduce_max_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};

const us_schema reduce_min_schemas[] = {
    {1, reduce_max_in, reduce_max_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_max_in, reduce_max_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {12, reduce_max_in, reduce_max_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {13, reduce_max_in, reduce_max_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {18, reduce_max_in_18, reduce_max_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {20, reduce_max_in_18, reduce_max_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};

const us_schema reduce_prod_schemas[] = {
    {1, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {13, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {18, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};

const us_schema reduce_l1_schemas[] = {
    {1, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {13, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {18, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};

const us_schema reduce_l2_schemas[] = {
    {1, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {13, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {18, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};

const us_schema reduce_log_sum_schemas[] = {
    {1, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {13, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {18, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {28, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};

const us_schema reduce_log_sum_exp_schemas[] = {
    {1, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {13, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {18, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {28, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};

const us_schema reduce_sum_square_schemas[] = {
    {1, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {11, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), NULL},
    {13, reduce_sum_in, reduce_sum_out, reduce_sum_attrs, sizeof(us_p_reduce), us_upgrade_axes},
    {18, reduce_sum_in_13, reduce_sum_out, reduce_sum_attrs_13, sizeof(us_p_reduce), NULL},
    {0}};
/* clang-format on */

/* --- inference ----------------------------------------------------------------------------------- */

static us_err reduce_infer(us_infer *k)
{
    const us_p_reduce *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    int64_t axes[US_MAX_RANK];
    size_t n = 0;
    if (us_infer_has(k, 1) && !us_infer_ints(k, 1, US_MAX_RANK, axes, &n)) {
        int64_t m;
        if (p->keepdims) return us_infer_rank(k, 0, US_DT_NONE, x->rank);
        if (!us_infer_length(k, 1, &m) || m < 1 || m > x->rank)
            return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
        return us_infer_rank(k, 0, US_DT_NONE, x->rank - (int)m);
    }
    if (n == 0 && p->noop_with_empty_axes)
        return us_infer_out(k, 0, US_DT_NONE, x->rank, x->dims);
    bool gone[US_MAX_RANK] = {false};
    for (size_t i = 0; i < n; i++) {
        int a;
        US_TRY(us_infer_axis(k, axes[i], x->rank, &a));
        gone[a] = true;
    }
    us_dim d[US_MAX_RANK];
    int r = 0;
    for (int i = 0; i < x->rank; i++) {
        if (n == 0 || gone[i]) {
            if (p->keepdims) d[r++] = US_DIM(1);
        } else {
            d[r++] = x->dims[i];
        }
    }
    return us_infer_out(k, 0, US_DT_NONE, r, d);
}

/* --- evaluation ---------------------------------------------------------------------------------- */

typedef enum how {
    SUM,
    MEAN,
    MAXIMUM,
    MINIMUM,
    PROD,
    L1,
    L2,
    LOG_SUM,
    LOG_SUM_EXP,
    SUM_SQUARE
} how;

/* n elements at x into accumulators at acc; S: the accumulating type; top: what LogSumExp subtracts. */
#define EACH(expr)                                                                             \
    for (int64_t i = 0; i < n; i++) {                                                          \
        const S v = (S)x[i * sx];                                                              \
        S *a = acc + i * sa;                                                                   \
        expr;                                                                                  \
    }                                                                                          \
    return;
#define ACCUMULATE(name, T, S_, ABS)                                                           \
    static void name(how h, void *acc_, const double *top, const void *x_, int64_t n,          \
                     int64_t sa, int64_t sx)                                                   \
    {                                                                                          \
        typedef S_ S;                                                                          \
        S *acc = acc_;                                                                         \
        const T *x = x_;                                                                       \
        if (h == MAXIMUM) {                                                                    \
            EACH(if (v > *a || v != v) *a = v)                                                 \
        }                                                                                      \
        if (h == MINIMUM) {                                                                    \
            EACH(if (v < *a || v != v) *a = v)                                                 \
        }                                                                                      \
        if (h == PROD) {                                                                       \
            EACH(*a = MUL(*a, v))                                                              \
        }                                                                                      \
        if (h == L1) {                                                                         \
            EACH(*a = ADD(*a, ABS(v)))                                                         \
        }                                                                                      \
        if (h == L2 || h == SUM_SQUARE) {                                                      \
            EACH(*a = ADD(*a, MUL(v, v)))                                                      \
        }                                                                                      \
        if (h == LOG_SUM_EXP) {                                                                \
            EACH(*a += (S)exp((double)v - top[i * sa]))                                        \
        }                                                                                      \
        EACH(*a = ADD(*a, v))                                                                  \
    }
#define ADD(a, b) ((a) + (b))
#define MUL(a, b) ((a) * (b))
#define ABS_I(v)  (S)((v) < 0 ? 0 - (uint64_t)(v) : (uint64_t)(v)) /* integers wrap */
#define ABS_U(v)  (v)
ACCUMULATE(acc_f32, float, double, fabs)
ACCUMULATE(acc_f64, double, double, fabs)
#undef ADD
#undef MUL
#define ADD(a, b) (S)((uint64_t)(a) + (uint64_t)(b))
#define MUL(a, b) (S)((uint64_t)(a) * (uint64_t)(b))
ACCUMULATE(acc_i8, int8_t, int64_t, ABS_I)
ACCUMULATE(acc_i32, int32_t, int64_t, ABS_I)
ACCUMULATE(acc_i64, int64_t, int64_t, ABS_I)
ACCUMULATE(acc_u8, uint8_t, uint64_t, ABS_U)
ACCUMULATE(acc_u32, uint32_t, uint64_t, ABS_U)
ACCUMULATE(acc_u64, uint64_t, uint64_t, ABS_U)

typedef struct type_row {
    void (*step)(how, void *, const double *, const void *, int64_t, int64_t, int64_t);
    double lowest, highest; /* for floats; integers take theirs from the bits */
} type_row;
static const type_row types[US_DTYPE_N] = {
    [US_F32] = {acc_f32},
    [US_F64] = {acc_f64},
    [US_BOOL] = {acc_u8, 0, 1},
    [US_I8] = {acc_i8, -128, 127},
    [US_U8] = {acc_u8, 0, 255},
    [US_I32] = {acc_i32, (double)INT32_MIN, (double)INT32_MAX},
    [US_U32] = {acc_u32, 0, (double)UINT32_MAX},
    [US_I64] = {acc_i64, -9223372036854775808.0, 9223372036854775807.0},
    [US_U64] = {acc_u64, 0, 18446744073709551615.0}};

/* First value of every accumulator. */
static void start(how h, us_dtype t, void *acc, int64_t n)
{
    const us_dclass cls = (us_dclass)us_dtype_get(t)->cls;
    double *f = acc;
    int64_t *j = acc;
    for (int64_t i = 0; i < n; i++) {
        if (cls == US_DC_FLOAT) {
            f[i] = h == MAXIMUM   ? -(double)INFINITY
                   : h == MINIMUM ? (double)INFINITY
                   : h == PROD    ? 1
                                  : 0;
        } else if (h == MAXIMUM || h == MINIMUM) {
            if (t == US_I64)
                j[i] = h == MAXIMUM ? INT64_MIN : INT64_MAX;
            else if (t == US_U64)
                j[i] = h == MAXIMUM ? 0 : -1;
            else
                j[i] = (int64_t)(h == MAXIMUM ? types[t].lowest : types[t].highest);
        } else {
            j[i] = h == PROD;
        }
    }
}

static double finish_one(how h, double v, double n, double top)
{
    if (h == MEAN) return v / n;
    if (h == L2) return sqrt(v);
    if (h == LOG_SUM) return log(v);
    if (h == LOG_SUM_EXP) return isinf(top) ? top : log(v) + top;
    return v;
}

/* Accumulators to the output's type; integers of roots and logarithms are truncated. */
static void finish(how h, us_dtype t, void *acc, const double *top, us_tensor *y,
                   int64_t reduced)
{
    const us_dtype_info *info = us_dtype_get(t);
    int64_t n = us_tensor_count(y), *j = acc;
    double *f = acc, n_d = (double)reduced;
    bool real = h == L2 || h == LOG_SUM || h == LOG_SUM_EXP;
    for (int64_t i = 0; i < n; i++) {
        double tp = top ? top[i] : 0, v;
        if (info->cls == US_DC_FLOAT) {
            v = finish_one(h, f[i], n_d, tp);
            info->from_f64(y->data, (size_t)i, 1, &v);
        } else if (real) {
            v = finish_one(h, t == US_U64 ? (double)(uint64_t)j[i] : (double)j[i], n_d, tp);
            info->from_f64(y->data, (size_t)i, 1, &v);
        } else {
            int64_t w = h == MEAN && reduced
                            ? (t == US_U64 ? (int64_t)((uint64_t)j[i] / (uint64_t)reduced)
                                           : j[i] / reduced)
                            : j[i];
            info->from_i64(y->data, (size_t)i, 1, &w);
        }
    }
}

static void walk(how h, const us_tensor *x, const us_tensor *over, void *acc, const double *top)
{
    us_nd_iter it;
    for (us_nd_iter_init(&it, 2, (const us_tensor *[]){x, over}); !it.done;
         us_nd_iter_next(&it))
        types[x->dtype].step(h, (char *)acc + it.offset[1] * 8, top ? top + it.offset[1] : NULL,
                             us_at(x, it.offset[0]), it.inner, it.inner_stride[1],
                             it.inner_stride[0]);
}

/* Axes to a mask; *noop when there is nothing to do. */
static us_err axes_of(us_eval *k, int rank, bool *gone, bool *noop)
{
    const us_p_reduce *p = k->params;
    const int64_t *axes;
    size_t n;
    US_TRY(us_eval_ints(k, 1, &n, &axes));
    *noop = n == 0 && p->noop_with_empty_axes;
    for (int i = 0; i < rank; i++)
        gone[i] = n == 0;
    for (size_t i = 0; i < n; i++) {
        int a;
        US_TRY(us_eval_axis(k, axes[i], rank, &a));
        gone[a] = true;
    }
    return US_OK;
}

static us_err reduce(us_eval *k, how h, us_eval_fn *self)
{
    const us_p_reduce *p = k->params;
    const us_tensor *x;
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, self);
    if (!types[x->dtype].step) return us_eval_no_type(k, x->dtype);
    bool gone[US_MAX_RANK], noop;
    US_TRY(axes_of(k, x->rank, gone, &noop));
    if (noop) { /* nothing is reduced, but the function of one element still holds */
        for (int i = 0; i < x->rank; i++)
            gone[i] = false;
    }
    us_tensor over = *x, *y; /* the accumulators, seen with the input's dims */
    int64_t dims[US_MAX_RANK], stride = 1, reduced = 1;
    int r = 0;
    for (int i = 0; i < x->rank; i++)
        if (!gone[i] || p->keepdims) dims[r++] = gone[i] ? 1 : x->dims[i];
    for (int i = x->rank - 1; i >= 0; i--) {
        over.strides[i] = gone[i] ? 0 : stride;
        if (gone[i])
            reduced *= x->dims[i];
        else
            stride *= x->dims[i];
    }
    US_TRY(us_eval_out(k, 0, x->dtype, r, dims, &y));
    US_TRY(us_eval_work(k, (double)us_tensor_count(x)));
    int64_t n = us_tensor_count(y);
    void *acc, *top = NULL;
    US_TRY(us_eval_scratch(k, (size_t)(n + 1) * 8, &acc));
    if (h == LOG_SUM_EXP) {
        us_tensor wide = *x;
        US_TRY(us_eval_scratch(k, (size_t)(n + 1) * 8, &top));
        start(MAXIMUM, US_F64, top, n);
        US_TRY(us_eval_as(k, x, US_F64, &wide));
        walk(MAXIMUM, &wide, &over, top, NULL);
        start(h, US_F64, acc, n);
        for (int64_t i = 0; i < n; i++) /* an infinite top would make NaN of inf - inf */
            if (isinf(((double *)top)[i])) ((double *)acc)[i] = 1;
        walk(h, &wide, &over, acc, top);
        finish(
            h, US_F64, acc, top,
            &(us_tensor){.dtype = US_F64, .rank = 1, .dims = {n}, .strides = {1}, .data = acc},
            reduced);
        us_dtype_get(x->dtype)->from_f64(y->data, 0, (size_t)n, acc);
        return US_OK;
    }
    start(h, x->dtype, acc, n);
    walk(h, x, &over, acc, NULL);
    finish(h, x->dtype, acc, NULL, y, reduced);
    return US_OK;
}

#define REDUCE(fn, h)                                                                          \
    US_INFER_AS(fn, reduce_infer)                                                              \
    us_err fn##_eval(us_eval *k)                                                               \
    {                                                                                          \
        return reduce(k, h, fn##_eval);                                                        \
    }
REDUCE(reduce_sum, SUM)
REDUCE(reduce_mean, MEAN)
REDUCE(reduce_max, MAXIMUM)
REDUCE(reduce_min, MINIMUM)
REDUCE(reduce_prod, PROD)
REDUCE(reduce_l1, L1)
REDUCE(reduce_l2, L2)
REDUCE(reduce_log_sum, LOG_SUM)
REDUCE(reduce_log_sum_exp, LOG_SUM_EXP)
REDUCE(reduce_sum_square, SUM_SQUARE)

/* --- expansions ---------------------------------------------------------------------------------- */

#define ATTRS "<keepdims=$keepdims, noop_with_empty_axes=$noop_with_empty_axes>"
US_EXPAND(reduce_l1, "y = ReduceSum" ATTRS "(Abs(x0), x1)")
US_EXPAND(reduce_l2, "y = Sqrt(ReduceSum" ATTRS "(Mul(x0, x0), x1))")
US_EXPAND(reduce_log_sum, "y = Log(ReduceSum" ATTRS "(x0, x1))")
US_EXPAND(reduce_log_sum_exp,
          "top = ReduceMax<keepdims=1, noop_with_empty_axes=$noop_with_empty_axes>(x0, x1);"
          "s = Log(ReduceSum" ATTRS "(Exp(Sub(x0, top)), x1));"
          "y = Add(s, ReduceMax" ATTRS "(x0, x1))")
US_EXPAND(reduce_sum_square, "y = ReduceSum" ATTRS "(Mul(x0, x0), x1)")
