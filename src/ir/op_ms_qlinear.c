/* ir/op_ms_qlinear.c - com.microsoft operators on quantised tensors that ONNX Runtime's quantiser writes: QLinearAdd, QLinearMul,
 * QLinearAveragePool, QLinearGlobalAveragePool, QLinearSoftmax, QLinearSigmoid, QLinearLeakyRelu.
 *
 * Each is: numbers back to float, the plain operator, quantised again (round half to even). Meaning from ONNX Runtime's
 * ContribOperators document. Core rows although they could be expanded: the expansion into DequantizeLinear and
 * QuantizeLinear would take what tells a backend that the arithmetic is meant to be of 8 bits.
 */
#include "ir/op_qint.h"
#include "ir/params_ms.h"

#include <math.h>
#include <string.h>

/* clang-format off */
#define M_8 (US_M(U8) | US_M(I8))
#define X_ROWS {"X", 'T', M_8, 0}, {"x_scale", '\0', US_M(F32), 0}, {"x_zero_point", 'T', M_8, US_P_OPTIONAL}
#define Y_ROWS {"y_scale", '\0', US_M(F32), 0}, {"y_zero_point", 'T', M_8, US_P_OPTIONAL}
static const us_param two_in[] = {
    {"A", 'T', M_8, 0}, {"A_scale", '\0', US_M(F32), 0}, {"A_zero_point", 'T', M_8, US_P_OPTIONAL},
    {"B", 'T', M_8, 0}, {"B_scale", '\0', US_M(F32), 0}, {"B_zero_point", 'T', M_8, US_P_OPTIONAL},
    {"C_scale", '\0', US_M(F32), 0}, {"C_zero_point", 'T', M_8, US_P_OPTIONAL}, US_PARAM_END};
static const us_param one_in[] = {X_ROWS, Y_ROWS, US_PARAM_END};
static const us_param any_out[] = {{"Y", 'T', M_8, 0}, US_PARAM_END};
const us_schema ms_qlinear_add_schemas[] = {
    {1, two_in, any_out, NULL, 0, NULL},
    {0}};
const us_schema ms_qlinear_mul_schemas[] = {
    {1, two_in, any_out, NULL, 0, NULL},
    {0}};
const us_schema ms_qlinear_sigmoid_schemas[] = {
    {1, one_in, any_out, NULL, 0, NULL},
    {0}};

static const us_attr_row leaky_attrs[] = {US_AF(us_p_leaky_relu, alpha, "alpha", 0.01F), US_ATTR_END};
const us_schema ms_qlinear_leaky_relu_schemas[] = {
    {1, one_in, any_out, leaky_attrs, sizeof(us_p_leaky_relu), NULL},
    {0}};

static const us_attr_row pool_attrs[] = {
    US_AS(us_p_ms_qlinear_pool, pool.auto_pad, "auto_pad", "NOTSET"), US_AI(us_p_ms_qlinear_pool, pool.ceil_mode, "ceil_mode", 0),
    US_AI(us_p_ms_qlinear_pool, channels_last, "channels_last", 0),
    US_AI(us_p_ms_qlinear_pool, pool.count_include_pad, "count_include_pad", 0),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_ms_qlinear_pool, pool.kernel_shape), .required = true},
    US_AIS(us_p_ms_qlinear_pool, pool.pads, "pads"), US_AIS(us_p_ms_qlinear_pool, pool.strides, "strides"), US_ATTR_END};
const us_schema ms_qlinear_average_pool_schemas[] = {
    {1, one_in, any_out, pool_attrs, sizeof(us_p_ms_qlinear_pool), NULL},
    {0}};
static const us_attr_row global_attrs[] = {US_AI(us_p_ms_qlinear_pool, channels_last, "channels_last", 0), US_ATTR_END};
const us_schema ms_qlinear_global_average_pool_schemas[] = {
    {1, one_in, any_out, global_attrs, sizeof(us_p_ms_qlinear_pool), NULL},
    {0}};

static const us_attr_row softmax_attrs[] = {
    US_AI(us_p_ms_qlinear_softmax, axis, "axis", -1),
    {.name = "opset", .kind = US_AT_INT, .offset = offsetof(us_p_ms_qlinear_softmax, opset), .required = true}, US_ATTR_END};
const us_schema ms_qlinear_softmax_schemas[] = {
    {1, one_in, any_out, softmax_attrs, sizeof(us_p_ms_qlinear_softmax), NULL},
    {0}};
/* clang-format on */

/* --- inference ----------------------------------------------------------------------------------- */

static us_err two_infer(us_infer *k)
{
    const us_type *a = us_infer_ranked(k, 0), *b = us_infer_ranked(k, 3);
    us_dim d[US_MAX_RANK], one = US_DIM(1);
    if (!a || !b) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    int r = US_MAX(a->rank, b->rank);
    for (int i = 0; i < r; i++) {
        int ia = i - (r - a->rank), ib = i - (r - b->rank);
        us_dim x = ia < 0 ? one : a->dims[ia], y = ib < 0 ? one : b->dims[ib];
        if (us_dim_eq(x, y) || us_dim_eq(y, one))
            d[i] = x;
        else if (us_dim_eq(x, one))
            d[i] = y;
        else if (us_dim_known(x) && us_dim_known(y))
            return us_infer_fail(k, US_SHAPE, "the operands do not broadcast");
        else
            d[i] = us_dim_known(x) ? x : y; /* a number other than 1 wins over a symbol */
    }
    return us_infer_out(k, 0, US_DT_NONE, r, d);
}
US_INFER_AS(ms_qlinear_add, two_infer)
US_INFER_AS(ms_qlinear_mul, two_infer)
US_INFER_AS(ms_qlinear_sigmoid, us_infer_same)
US_INFER_AS(ms_qlinear_leaky_relu, us_infer_same)
US_INFER_AS(ms_qlinear_softmax, us_infer_same)

/* Shown to `plain` with channels first, for as long as it looks. */
us_err us_infer_channels_last(us_infer *k, us_infer_fn *plain)
{
    const us_node *n = &k->g->nodes.at[k->n];
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK];
    if (!x || x->rank < 3 || x->rank > US_MAX_RANK || n->n_out < 1 || n->out[0] == US_NIL)
        return us_infer_rank(k, 0, US_DT_NONE, x ? x->rank : -1);
    us_type *in = &k->g->vals.at[n->in[0]].type, *out = &k->g->vals.at[n->out[0]].type;
    us_type was_in = *in, was_out = *out;
    for (int i = 0; i < x->rank; i++)
        d[i] = was_in.dims[i == 0 ? 0 : i == 1 ? x->rank - 1 : i - 1];
    in->dims = d;
    *out = (us_type){.kind = US_KIND_NONE, .rank = -1};
    us_err e = plain(k);
    us_type made = *out;
    *in = was_in;
    *out = was_out;
    if (e != US_OK || made.rank != was_in.rank)
        return e != US_OK ? e : us_infer_rank(k, 0, US_DT_NONE, was_in.rank);
    for (int i = 0; i < made.rank; i++)
        d[i] = made.dims[i == 0 ? 0 : i == made.rank - 1 ? 1 : i + 1];
    return us_infer_out(k, 0, US_DT_NONE, made.rank, d);
}

static us_err pool_infer(us_infer *k, us_infer_fn *plain)
{
    const us_p_ms_qlinear_pool *p = k->params;
    return p->channels_last ? us_infer_channels_last(k, plain) : plain(k);
}
us_err ms_qlinear_average_pool_infer(us_infer *k)
{
    return pool_infer(k, average_pool_infer);
}
us_err ms_qlinear_global_average_pool_infer(us_infer *k)
{
    return pool_infer(k, global_average_pool_infer);
}

/* --- evaluation ---------------------------------------------------------------------------------- */

us_err us_q_load(us_eval *k, size_t i, us_tensor *out)
{
    const us_tensor *x, *z = us_eval_opt(k, i + 2);
    us_tensor zero, centred;
    double scale;
    US_TRY(us_eval_in(k, i, &x));
    US_TRY(us_eval_scalar(k, i + 1, 1, &scale));
    if (z && us_tensor_count(z) != 1)
        return us_eval_fail(k, US_SHAPE, "%lld zero points, expected one",
                            (long long)us_tensor_count(z));
    if (z) US_TRY(us_q_along(k, z, 0, &zero));
    US_TRY(us_q_centre(k, x, z ? &zero : NULL, &centred));
    US_TRY(us_tensor_init(k->c, out, US_F32, x->rank, x->dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(out), &out->data));
    for (int64_t j = 0, n = us_tensor_count(x); j < n; j++)
        ((float *)out->data)[j] = (float)scale * ((const int16_t *)centred.data)[j];
    return US_OK;
}

us_err us_q_store(us_eval *k, us_dtype t, const us_tensor *x, size_t i)
{
    us_tensor *y;
    double scale, zero;
    US_TRY(us_eval_scalar(k, i, 1, &scale));
    US_TRY(us_eval_scalar(k, i + 1, 0, &zero));
    US_TRY(us_eval_out(k, 0, t, x->rank, x->dims, &y));
    double lo = t == US_I8 ? -128 : 0, hi = t == US_I8 ? 127 : 255;
    for (int64_t j = 0, n = us_tensor_count(x); j < n; j++) {
        double q = (double)nearbyintf(((const float *)x->data)[j] / (float)scale) + zero;
        q = isnan(q) ? zero : fmin(fmax(q, lo), hi);
        us_dtype_get(t)->from_f64(y->data, (size_t)j, 1, &q);
    }
    return US_OK;
}

/* One number each, as float and integer. */
typedef struct quant {
    float scale;
    float zero;
} quant;

static us_err read_params(us_eval *k, size_t i, quant *out)
{
    double scale, zero;
    US_TRY(us_eval_scalar(k, i, 1, &scale));
    US_TRY(us_eval_scalar(k, i + 1, 0, &zero));
    *out = (quant){(float)scale, (float)zero};
    return US_OK;
}

/* Rounded half to even, saturated; what is no number becomes `otherwise`. */
static float rounded(float q, float otherwise, const float range[2])
{
    return isnan(q) ? otherwise : nearbyintf(fminf(fmaxf(q, range[0]), range[1]));
}

typedef struct two {
    quant a, b, y;
    float range[2]; /* of the output's type */
} two;

/* n elements; strides of 0 repeat one number. */
typedef void two_fn(const two *t, int64_t n, const float *a, int64_t sa, const float *b,
                    int64_t sb, float *y);

/* As ONNX Runtime adds on a processor with fused multiply-add: the zero points and, where it is one number, B are gathered in a constant first. */
static void add_two(const two *t, int64_t n, const float *a, int64_t sa, const float *b,
                    int64_t sb, float *y)
{
    float ra = t->a.scale / t->y.scale, rb = t->b.scale / t->y.scale;
    bool a_first = sa == 0 && sb != 0;
    float fixed = a_first ? t->y.zero - fmaf(rb, t->b.zero, ra * t->a.zero)
                          : t->y.zero - fmaf(ra, t->a.zero, rb * t->b.zero);
    for (int64_t i = 0; i < n; i++) {
        float va = a[i * sa], vb = b[i * sb];
        float q =
            a_first ? fmaf(vb, rb, fmaf(va, ra, fixed)) : fmaf(va, ra, fmaf(vb, rb, fixed));
        y[i] = rounded(q, t->y.zero, t->range);
    }
}

static void multiply_two(const two *t, int64_t n, const float *a, int64_t sa, const float *b,
                         int64_t sb, float *y)
{
    float ratio = t->a.scale * t->b.scale / t->y.scale;
    for (int64_t i = 0; i < n; i++) {
        float p = (a[i * sa] - t->a.zero) * (b[i * sb] - t->b.zero) * ratio;
        y[i] = rounded(p + t->y.zero, t->y.zero, t->range);
    }
}

static us_err two_eval(us_eval *k, two_fn *fn)
{
    const us_tensor *x[2];
    us_tensor v[2], *y;
    two t;
    int rank;
    int64_t dims[US_MAX_RANK];
    for (size_t i = 0; i < 2; i++) {
        US_TRY(us_eval_in(k, 3 * i, &x[i]));
        US_TRY(us_eval_as(k, x[i], US_F32, &v[i]));
        US_TRY(read_params(k, 3 * i + 1, i ? &t.b : &t.a));
    }
    US_TRY(read_params(k, 6, &t.y));
    bool is_signed = x[0]->dtype == US_I8;
    t.range[0] = is_signed ? -128 : 0;
    t.range[1] = is_signed ? 127 : 255;
    US_TRY(us_dims_broadcast(k->c, v[0].rank, v[0].dims, v[1].rank, v[1].dims, &rank, dims));
    US_TRY(us_eval_out(k, 0, x[0]->dtype, rank, dims, &y));
    for (size_t i = 0; i < 2; i++)
        US_TRY(us_tensor_broadcast_view(k->c, &v[i], rank, dims, &v[i]));
    us_nd_iter it;
    float row[256];
    for (us_nd_iter_init(&it, 3, (const us_tensor *[]){y, &v[0], &v[1]}); !it.done;
         us_nd_iter_next(&it))
        for (int64_t at = 0; at < it.inner; at += (int64_t)US_LEN(row)) {
            int64_t n = US_MIN(it.inner - at, (int64_t)US_LEN(row));
            fn(&t, n, (const float *)v[0].data + it.offset[1] + at * it.inner_stride[1],
               it.inner_stride[1],
               (const float *)v[1].data + it.offset[2] + at * it.inner_stride[2],
               it.inner_stride[2], row);
            for (int64_t i = 0; i < n; i++)
                ((uint8_t *)y->data)[it.offset[0] + at + i] = (uint8_t)(int)row[i];
        }
    return US_OK;
}
us_err ms_qlinear_add_eval(us_eval *k)
{
    return two_eval(k, add_two);
}
us_err ms_qlinear_mul_eval(us_eval *k)
{
    return two_eval(k, multiply_two);
}

static us_err one_eval(us_eval *k, us_eval_fn *plain, const void *params)
{
    const us_tensor *in;
    us_tensor x, y;
    US_TRY(us_eval_in(k, 0, &in));
    US_TRY(us_q_load(k, 0, &x));
    US_TRY(us_eval_inner(k, plain, params, 1, (const us_tensor *[]){&x}, &y));
    return us_q_store(k, in->dtype, &y, 3);
}
us_err ms_qlinear_sigmoid_eval(us_eval *k)
{
    return one_eval(k, sigmoid_eval, k->params);
}
us_err ms_qlinear_leaky_relu_eval(us_eval *k)
{
    return one_eval(k, leaky_relu_eval, k->params);
}

static us_err pool_eval(us_eval *k, us_eval_fn *plain)
{
    const us_p_ms_qlinear_pool *p = k->params;
    const us_tensor *in;
    us_tensor x, y;
    if (!p->channels_last) return one_eval(k, plain, &p->pool);
    US_TRY(us_eval_in(k, 0, &in));
    US_TRY(us_q_load(k, 0, &x));
    US_TRY(us_ms_channels(k, &x, false, &x));
    US_TRY(us_eval_inner(k, plain, &p->pool, 1, (const us_tensor *[]){&x}, &y));
    US_TRY(us_ms_channels(k, &y, true, &y));
    return us_q_store(k, in->dtype, &y, 3);
}
us_err ms_qlinear_average_pool_eval(us_eval *k)
{
    return pool_eval(k, average_pool_eval);
}

/* The sum is exact and is scaled once: float(sum) * (x_scale / (y_scale * n)). */
us_err ms_qlinear_global_average_pool_eval(us_eval *k)
{
    const us_p_ms_qlinear_pool *p = k->params;
    const us_tensor *in;
    us_tensor x, *y;
    quant from, to;
    int64_t dims[US_MAX_RANK];
    US_TRY(us_eval_in(k, 0, &in));
    if (in->rank < 2) return us_eval_fail(k, US_SHAPE, "input of rank %d", in->rank);
    US_TRY(read_params(k, 1, &from));
    US_TRY(read_params(k, 3, &to));
    US_TRY(us_eval_as(k, in, US_I32, &x));
    if (p->channels_last) US_TRY(us_ms_channels(k, &x, false, &x));
    for (int i = 0; i < x.rank; i++)
        dims[i] = i == 0 ? x.dims[0] : 1;
    dims[p->channels_last ? x.rank - 1 : 1] = x.dims[1];
    US_TRY(us_eval_out(k, 0, in->dtype, x.rank, dims, &y));
    bool is_signed = in->dtype == US_I8;
    const float range[2] = {is_signed ? -128 : 0, is_signed ? 127 : 255};
    int64_t n = us_dims_product(x.dims, 2, x.rank);
    float scale = from.scale / (to.scale * (float)n);
    for (int64_t i = 0; i < us_tensor_count(y); i++) {
        int64_t sum = -(int64_t)from.zero * n;
        for (int64_t j = 0; j < n; j++)
            sum += ((const int32_t *)x.data)[i * n + j];
        /* rounded before the zero point is added: a half goes to the even step, not the even number */
        float q = nearbyintf((float)sum * scale) + to.zero;
        ((uint8_t *)y->data)[i] = (uint8_t)(int)rounded(q, to.zero, range);
    }
    return US_OK;
}

us_err us_ms_channels(us_eval *k, const us_tensor *x, bool last, us_tensor *out)
{
    us_tensor v = *x;
    int r = x->rank, from = last ? 1 : r - 1, to = last ? r - 1 : 1;
    if (r < 3) return us_eval_fail(k, US_SHAPE, "input of rank %d, expected at least 3", r);
    for (int i = from; i != to; i += last ? 1 : -1) {
        v.dims[i] = x->dims[last ? i + 1 : i - 1];
        v.strides[i] = x->strides[last ? i + 1 : i - 1];
    }
    v.dims[to] = x->dims[from];
    v.strides[to] = x->strides[from];
    return us_eval_as(k, &v, x->dtype, out);
}

/* Before opset 13 the axes from `axis` on were one. */
us_err ms_qlinear_softmax_eval(us_eval *k)
{
    const us_p_ms_qlinear_softmax *p = k->params;
    const us_tensor *in;
    us_tensor x, flat, y;
    us_p_softmax plain = {.axis = p->axis};
    int axis = 0;
    US_TRY(us_eval_in(k, 0, &in));
    US_TRY(us_eval_axis(k, p->axis, in->rank, &axis));
    US_TRY(us_q_load(k, 0, &x));
    flat = x;
    if (p->opset < 13) {
        int64_t dims[2] = {us_dims_product(x.dims, 0, axis),
                           us_dims_product(x.dims, axis, x.rank)};
        US_TRY(us_tensor_init(k->c, &flat, US_F32, 2, dims, x.data));
        plain.axis = 1;
    }
    US_TRY(us_eval_inner(k, softmax_eval, &plain, 1, (const us_tensor *[]){&flat}, &y));
    x.data = y.data;
    return us_q_store(k, in->dtype, &x, 3);
}
