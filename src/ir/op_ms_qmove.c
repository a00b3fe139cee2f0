/* ir/op_ms_qmove.c - com.microsoft operators that are ai.onnx ones on quantised tensors or with channels last: QuantizeLinear,
 * DequantizeLinear, QLinearConcat, QLinearWhere, QLinearConv, NhwcMaxPool.
 *
 * QuantizeLinear and DequantizeLinear had 4 and 16 bits here before the standard had them. ONNX Runtime goes through a table of
 * 256 bytes where usta goes through floats; the numbers are the same.
 */
#include "ir/op_qint.h"
#include "ir/params_ms.h"

/* clang-format off */
#define M_8 (US_M(U8) | US_M(I8))
#define M_Q (M_8 | US_M(U16) | US_M(I16) | US_M(U4) | US_M(I4))
#define M_F (US_M(F32) | US_M(F16))
static const us_param quantize_in[] = {
    {"x", 'F', M_F, 0}, {"y_scale", 'F', M_F, 0}, {"y_zero_point", 'Q', M_Q, US_P_OPTIONAL}, US_PARAM_END};
static const us_param quantize_out[] = {{"y", 'Q', M_Q, 0}, US_PARAM_END};
static const us_attr_row quantize_attrs[] = {US_AI(us_p_quantize_linear, axis, "axis", 1), US_ATTR_END};
const us_schema ms_quantize_linear_schemas[] = {
    {1, quantize_in, quantize_out, quantize_attrs, sizeof(us_p_quantize_linear), NULL},
    {0}};
static const us_param dequantize_in[] = {
    {"x", 'Q', M_Q | US_M(I32), 0}, {"x_scale", 'F', M_F, 0}, {"x_zero_point", 'Q', M_Q | US_M(I32), US_P_OPTIONAL}, US_PARAM_END};
static const us_param dequantize_out[] = {{"y", 'F', M_F, 0}, US_PARAM_END};
static const us_attr_row dequantize_attrs[] = {US_AI(us_p_dequantize_linear, axis, "axis", 1), US_ATTR_END};
const us_schema ms_dequantize_linear_schemas[] = {
    {1, dequantize_in, dequantize_out, dequantize_attrs, sizeof(us_p_dequantize_linear), NULL},
    {0}};

static const us_param concat_in[] = {
    {"Y_scale", '\0', US_M(F32), 0}, {"Y_zero_point", 'T', M_8, 0},
    {"inputs", '\0', M_8 | US_M(F32), US_P_VARIADIC | US_P_HETERO}, US_PARAM_END};
static const us_param concat_out[] = {{"Y", 'T', M_8, 0}, US_PARAM_END};
static const us_attr_row concat_attrs[] = {
    {.name = "axis", .kind = US_AT_INT, .offset = offsetof(us_p_concat, axis), .required = true}, US_ATTR_END};
const us_schema ms_qlinear_concat_schemas[] = {
    {1, concat_in, concat_out, concat_attrs, sizeof(us_p_concat), NULL},
    {0}};

static const us_param where_in[] = {
    {"condition", '\0', US_M(BOOL), 0},
    {"X", 'T', M_8, 0}, {"x_scale", '\0', US_M(F32), 0}, {"x_zero_point", 'T', M_8, 0},
    {"Y", 'T', M_8, 0}, {"y_scale", '\0', US_M(F32), 0}, {"y_zero_point", 'T', M_8, 0},
    {"z_scale", '\0', US_M(F32), 0}, {"z_zero_point", 'T', M_8, 0}, US_PARAM_END};
static const us_param where_out[] = {{"Z", 'T', M_8, 0}, US_PARAM_END};
const us_schema ms_qlinear_where_schemas[] = {
    {1, where_in, where_out, NULL, 0, NULL},
    {0}};

static const us_param conv_in[] = {
    {"x", '1', M_8, 0}, {"x_scale", '\0', US_M(F32), 0}, {"x_zero_point", '1', M_8, 0},
    {"w", '2', M_8, 0}, {"w_scale", '\0', US_M(F32), 0}, {"w_zero_point", '2', M_8, 0},
    {"y_scale", '\0', US_M(F32), 0}, {"y_zero_point", '3', M_8, 0}, {"B", '\0', US_M(I32), US_P_OPTIONAL}, US_PARAM_END};
static const us_param conv_out[] = {{"y", '3', M_8, 0}, US_PARAM_END};
#define CONV_ROW(kind, f) kind(us_p_ms_qlinear_conv, conv.f, #f)
static const us_attr_row conv_attrs[] = {
    US_AS(us_p_ms_qlinear_conv, conv.auto_pad, "auto_pad", "NOTSET"), US_AI(us_p_ms_qlinear_conv, channels_last, "channels_last", 0),
    CONV_ROW(US_AIS, dilations), US_AI(us_p_ms_qlinear_conv, conv.group, "group", 1), CONV_ROW(US_AIS, kernel_shape),
    CONV_ROW(US_AIS, pads), CONV_ROW(US_AIS, strides), US_ATTR_END};
const us_schema ms_qlinear_conv_schemas[] = {
    {1, conv_in, conv_out, conv_attrs, sizeof(us_p_ms_qlinear_conv), NULL},
    {0}};

static const us_param nhwc_in[] = {{"x", 'T', M_8, 0}, US_PARAM_END};
static const us_param nhwc_out[] = {{"y", 'T', M_8, 0}, US_PARAM_END};
static const us_attr_row nhwc_attrs[] = {
    US_AS(us_p_max_pool, auto_pad, "auto_pad", "NOTSET"), US_AI(us_p_max_pool, ceil_mode, "ceil_mode", 0),
    US_AIS(us_p_max_pool, dilations, "dilations"),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_max_pool, kernel_shape), .required = true},
    US_AIS(us_p_max_pool, pads, "pads"), US_AIS(us_p_max_pool, strides, "strides"), US_ATTR_END};
const us_schema ms_nhwc_max_pool_schemas[] = {
    {1, nhwc_in, nhwc_out, nhwc_attrs, sizeof(us_p_max_pool), NULL},
    {0}};
/* clang-format on */

_Static_assert(offsetof(us_p_ms_qlinear_conv, conv) == 0, "conv must be first");

/* --- QuantizeLinear, DequantizeLinear --------------------------------------------------------------- */

US_INFER_AS(ms_quantize_linear, quantize_linear_infer)
US_INFER_AS(ms_dequantize_linear, dequantize_linear_infer)
/* Always in float here, where the standard divides in the type of the scale. */
us_err ms_quantize_linear_eval(us_eval *k)
{
    const us_tensor *x;
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, quantize_linear_eval);
    return quantize_linear_eval(k);
}
us_err ms_dequantize_linear_eval(us_eval *k)
{
    return dequantize_linear_eval(k);
}
US_EXPAND(ms_quantize_linear,
          "y = QuantizeLinear<axis=$axis>(Cast<to=1>(x0), Cast<to=1>(x1), x2)")
US_EXPAND(ms_dequantize_linear, "y = DequantizeLinear<axis=$axis>(x0, x1, x2)")

/* --- QLinearConcat ---------------------------------------------------------------------------------- */

us_err ms_qlinear_concat_infer(us_infer *k)
{
    const us_p_concat *p = k->params;
    size_t n = us_infer_n_in(k);
    int axis = 0;
    if (n < 5 || (n - 2) % 3)
        return us_infer_fail(k, US_ARG, "inputs must be tensor, scale and zero point each");
    us_dim d[US_MAX_RANK];
    const us_type *first = us_infer_ranked(k, 2);
    if (!first) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    US_TRY(us_infer_axis(k, p->axis, first->rank, &axis));
    for (int i = 0; i < first->rank; i++)
        d[i] = first->dims[i];
    for (size_t j = 5; j < n; j += 3) {
        const us_type *x = us_infer_ranked(k, j);
        if (!x) return us_infer_rank(k, 0, US_DT_NONE, first->rank);
        if (x->rank != first->rank) return us_infer_fail(k, US_SHAPE, "inputs differ in rank");
        for (int i = 0; i < x->rank; i++)
            if (i != axis && !us_dim_known(d[i])) d[i] = x->dims[i];
        if (us_dim_known(d[axis]) && us_dim_known(x->dims[axis]))
            d[axis] = US_DIM(d[axis].add + x->dims[axis].add);
        else
            US_TRY(us_infer_fresh(k, &d[axis]));
    }
    return us_infer_out(k, 0, US_DT_NONE, first->rank, d);
}

us_err ms_qlinear_concat_eval(us_eval *k)
{
    const us_p_concat *p = k->params;
    const us_tensor *zero;
    us_tensor x, y;
    int64_t dims[US_MAX_RANK] = {0}, at = 0;
    int axis = 0, rank = -1;
    if (k->n_in < 5 || (k->n_in - 2) % 3)
        return us_eval_fail(k, US_ARG, "inputs must be tensor, scale and zero point each");
    US_TRY(us_eval_in(k, 1, &zero));
    for (size_t j = 2; j < k->n_in; j += 3) {
        const us_tensor *in;
        US_TRY(us_eval_in(k, j, &in));
        if (rank < 0) {
            rank = in->rank;
            US_TRY(us_eval_axis(k, p->axis, rank, &axis));
            for (int i = 0; i < rank; i++)
                dims[i] = i == axis ? 0 : in->dims[i];
        }
        for (int i = 0; i < rank && in->rank == rank; i++)
            if (i != axis && in->dims[i] != dims[i])
                return us_eval_fail(k, US_SHAPE, "inputs differ in axis %d", i);
        if (in->rank != rank) return us_eval_fail(k, US_SHAPE, "inputs differ in rank");
        dims[axis] += in->dims[axis];
    }
    US_TRY(us_tensor_init(k->c, &y, US_F32, rank, dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&y), &y.data));
    int64_t outer = us_dims_product(dims, 0, axis),
            inner = us_dims_product(dims, axis + 1, rank), row = dims[axis] * inner;
    for (size_t j = 2; j < k->n_in; j += 3) {
        US_TRY(us_q_load(k, j, &x));
        int64_t n = x.dims[axis] * inner;
        for (int64_t o = 0; o < outer; o++)
            for (int64_t i = 0; i < n; i++)
                ((float *)y.data)[o * row + at + i] = ((const float *)x.data)[o * n + i];
        at += n;
    }
    return us_q_store(k, zero->dtype, &y, 0);
}

us_err ms_qlinear_concat_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_expand_buf b = {.n = 0};
    us_expand_add(&b, "y = QuantizeLinear(Concat<axis=$axis>(");
    for (size_t j = 2; us_expand_has(g, n, j); j += 3)
        us_expand_add(&b, "%sDequantizeLinear(x%zu, Reshape(x%zu, []), Reshape(x%zu, []))",
                      j > 2 ? "," : "", j, j + 1, j + 2);
    us_expand_add(&b, "), Reshape(x0, []), Reshape(x1, []))");
    return us_expand_buffer(c, m, g, n, &b);
}

/* --- QLinearWhere ----------------------------------------------------------------------------------- */

us_err ms_qlinear_where_infer(us_infer *k)
{
    const us_type *in[3] = {us_infer_ranked(k, 0), us_infer_ranked(k, 1),
                            us_infer_ranked(k, 4)};
    us_dim d[US_MAX_RANK], one = US_DIM(1);
    int r = 0;
    for (size_t i = 0; i < US_LEN(in); i++) {
        if (!in[i]) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
        r = US_MAX(r, in[i]->rank);
    }
    for (int i = 0; i < r; i++) {
        d[i] = one;
        for (size_t j = 0; j < US_LEN(in); j++) {
            int at = i - (r - in[j]->rank);
            us_dim x = at < 0 ? one : in[j]->dims[at];
            if (us_dim_eq(d[i], one) || (us_dim_known(x) && !us_dim_eq(x, one))) d[i] = x;
        }
    }
    return us_infer_out(k, 0, US_DT_NONE, r, d);
}

us_err ms_qlinear_where_eval(us_eval *k)
{
    const us_tensor *cond, *in;
    us_tensor x, y, z;
    US_TRY(us_eval_in(k, 0, &cond));
    US_TRY(us_eval_in(k, 1, &in));
    US_TRY(us_q_load(k, 1, &x));
    US_TRY(us_q_load(k, 4, &y));
    US_TRY(us_eval_inner(k, where_eval, NULL, 3, (const us_tensor *[]){cond, &x, &y}, &z));
    return us_q_store(k, in->dtype, &z, 7);
}

US_EXPAND(ms_qlinear_where,
          "y = QuantizeLinear(Where(x0, DequantizeLinear(x1, Reshape(x2, []), Reshape(x3, [])),"
          " DequantizeLinear(x4, Reshape(x5, []), Reshape(x6, []))), Reshape(x7, []), "
          "Reshape(x8, []))")

/* --- QLinearConv, NhwcMaxPool ----------------------------------------------------------------------- */

us_err ms_qlinear_conv_infer(us_infer *k)
{
    const us_p_ms_qlinear_conv *p = k->params;
    return p->channels_last ? us_infer_channels_last(k, qlinear_conv_infer)
                            : qlinear_conv_infer(k);
}

us_err ms_qlinear_conv_eval(us_eval *k)
{
    const us_p_ms_qlinear_conv *p = k->params;
    const us_tensor *in[9];
    us_tensor x, y;
    if (!p->channels_last) return qlinear_conv_eval(k);
    for (size_t i = 0; i < US_LEN(in); i++)
        in[i] = us_eval_opt(k, i);
    US_TRY(us_eval_in(k, 0, &in[0]));
    US_TRY(us_ms_channels(k, in[0], false, &x));
    in[0] = &x;
    US_TRY(us_eval_inner(k, qlinear_conv_eval, &p->conv, US_LEN(in), in, &y));
    US_TRY(us_ms_channels(k, &y, true, &y));
    return us_eval_put_view(k, 0, &y);
}

/* Transpose of input 0 to channels first (called a), and of a value to channels last. */
static us_err add_first(us_ctx *c, const us_graph *g, us_nid n, us_expand_buf *b)
{
    int rank = us_expand_rank(g, n, 0);
    if (rank < 3) return us_expand_refuse(c, g, n, "the rank of its input is not known");
    us_expand_add(b, "a = Transpose<perm=[0,%d", rank - 1);
    for (int i = 1; i < rank - 1; i++)
        us_expand_add(b, ",%d", i);
    us_expand_add(b, "]>(x0);");
    return US_OK;
}
static void add_last(const us_graph *g, us_nid n, us_expand_buf *b, const char *value)
{
    int rank = us_expand_rank(g, n, 0);
    us_expand_add(b, "y = Transpose<perm=[0");
    for (int i = 2; i < rank; i++)
        us_expand_add(b, ",%d", i);
    us_expand_add(b, ",1]>(%s)", value);
}

us_err ms_qlinear_conv_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ms_qlinear_conv *p = g->nodes.at[n].params;
    us_expand_buf b = {.n = 0};
    if (p->channels_last) US_TRY(add_first(c, g, n, &b));
    us_expand_add(&b,
                  "%s = QLinearConv<auto_pad=$auto_pad,dilations=[$dilations],group=$group,"
                  "kernel_shape=[$kernel_shape],pads=[$pads],strides=[$strides]>"
                  "(%s, x1, x2, x3, x4, x5, x6, x7%s);",
                  p->channels_last ? "p" : "y", p->channels_last ? "a" : "x0",
                  us_expand_has(g, n, 8) ? ", x8" : "");
    if (p->channels_last) add_last(g, n, &b, "p");
    return us_expand_buffer(c, m, g, n, &b);
}

us_err ms_nhwc_max_pool_infer(us_infer *k)
{
    return us_infer_channels_last(k, max_pool_infer);
}

us_err ms_nhwc_max_pool_eval(us_eval *k)
{
    const us_tensor *in;
    us_tensor x, y;
    US_TRY(us_eval_in(k, 0, &in));
    US_TRY(us_ms_channels(k, in, false, &x));
    US_TRY(us_eval_inner(k, max_pool_eval, k->params, 1, (const us_tensor *[]){&x}, &y));
    US_TRY(us_ms_channels(k, &y, true, &y));
    return us_eval_put_view(k, 0, &y);
}

us_err ms_nhwc_max_pool_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_expand_buf b = {.n = 0};
    US_TRY(add_first(c, g, n, &b));
    us_expand_add(&b,
                  "p = MaxPool<auto_pad=$auto_pad,ceil_mode=$ceil_mode,dilations=[$dilations],"
                  "kernel_shape=[$kernel_shape],pads=[$pads],strides=[$strides]>(a);");
    add_last(g, n, &b, "p");
    return us_expand_buffer(c, m, g, n, &b);
}
