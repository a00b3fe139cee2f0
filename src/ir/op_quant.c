/* ir/op_quant.c - QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
 *
 * Scale and zero point hold for the whole tensor, for one index of `axis`, or for a block of block_size
 * indices along it. Quantising rounds half to even and saturates to the type; float8 goes through its
 * own conversion.
 */
#include "ir/op_qint.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param quantize_linear_in[] = {
    {"x", '1', US_M(F32) | US_M(I32) | US_M(F16) | US_M(BF16), 0}, {"y_scale", '\0', US_M(F32), 0},
    {"y_zero_point", '2', US_M(F32) | US_M(U8) | US_M(I8) | US_M(U16) | US_M(I16) | US_M(I32) | US_M(F16) | US_M(BF16) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ) | US_M(U4) | US_M(I4) | US_M(F8E8M0), US_P_OPTIONAL},
    US_PARAM_END};
static const us_param quantize_linear_out[] = {
    {"y", '2', US_M(F32) | US_M(U8) | US_M(I8) | US_M(U16) | US_M(I16) | US_M(I32) | US_M(F16) | US_M(BF16) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ) | US_M(U4) | US_M(I4) | US_M(F8E8M0), 0},
    US_PARAM_END};
static const us_attr_row quantize_linear_attrs[] = {US_AI(us_p_quantize_linear, axis, "axis", 1), US_ATTR_END};
static const us_param quantize_linear_in_19[] = {
    {"x", '1', US_M(F32) | US_M(I32) | US_M(F16) | US_M(BF16), 0},
    {"y_scale", '1', US_M(F32) | US_M(I32) | US_M(F16) | US_M(BF16), 0},
    {"y_zero_point", '2', US_M(F32) | US_M(U8) | US_M(I8) | US_M(U16) | US_M(I16) | US_M(I32) | US_M(F16) | US_M(BF16) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ) | US_M(U4) | US_M(I4) | US_M(F8E8M0), US_P_OPTIONAL},
    US_PARAM_END};
static const us_attr_row quantize_linear_attrs_19[] = {
    US_AI(us_p_quantize_linear, axis, "axis", 1), US_AI(us_p_quantize_linear, saturate, "saturate", 1), US_ATTR_END};
static const us_attr_row quantize_linear_attrs_21[] = {
    US_AI(us_p_quantize_linear, axis, "axis", 1), US_AI(us_p_quantize_linear, block_size, "block_size", 0),
    US_AI(us_p_quantize_linear, output_dtype, "output_dtype", 0),
    US_AI(us_p_quantize_linear, saturate, "saturate", 1), US_ATTR_END};
static const us_param quantize_linear_in_23[] = {
    {"x", '1', US_M(F32) | US_M(I32) | US_M(F16) | US_M(BF16), 0},
    {"y_scale", '2', US_M(F32) | US_M(U8) | US_M(I8) | US_M(U16) | US_M(I16) | US_M(I32) | US_M(F16) | US_M(BF16) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ) | US_M(U4) | US_M(I4) | US_M(F8E8M0), 0},
    {"y_zero_point", '3', US_M_SMALLI | US_M(U8) | US_M(I8) | US_M(U16) | US_M(I16) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ) | US_M(F4E2M1), US_P_OPTIONAL},
    US_PARAM_END};
static const us_param quantize_linear_out_23[] = {
    {"y", '3', US_M_SMALLI | US_M(U8) | US_M(I8) | US_M(U16) | US_M(I16) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ) | US_M(F4E2M1), 0},
    US_PARAM_END};
static const us_attr_row quantize_linear_attrs_23[] = {
    US_AI(us_p_quantize_linear, axis, "axis", 1), US_AI(us_p_quantize_linear, block_size, "block_size", 0),
    US_AI(us_p_quantize_linear, output_dtype, "output_dtype", 0),
    US_AI(us_p_quantize_linear, precision, "precision", 0), US_AI(us_p_quantize_linear, saturate, "saturate", 1),
    US_ATTR_END};
const us_schema quantize_linear_schemas[] = {
    {10, quantize_linear_in, quantize_linear_out, NULL, sizeof(us_p_quantize_linear), NULL},
    {13, quantize_linear_in, quantize_linear_out, quantize_linear_attrs, sizeof(us_p_quantize_linear), NULL},
    {19, quantize_linear_in_19, quantize_linear_out, quantize_linear_attrs_19, sizeof(us_p_quantize_linear), NULL},
    {21, quantize_linear_in_19, quantize_linear_out, quantize_linear_attrs_21, sizeof(us_p_quantize_linear), NULL},
    {23, quantize_linear_in_23, quantize_linear_out_23, quantize_linear_attrs_23, sizeof(us_p_quantize_linear), NULL},
    {24, quantize_linear_in_23, quantize_linear_out_23, quantize_linear_attrs_23, sizeof(us_p_quantize_linear), NULL},
    {25, quantize_linear_in_23, quantize_linear_out_23, quantize_linear_attrs_23, sizeof(us_p_quantize_linear), NULL},
    {28, quantize_linear_in_23, quantize_linear_out_23, quantize_linear_attrs_23, sizeof(us_p_quantize_linear), NULL},
    {0}};

static const us_param dequantize_linear_in[] = {
    {"x", 'T', US_M(U8) | US_M(I8) | US_M(I32), 0}, {"x_scale", '\0', US_M(F32), 0},
    {"x_zero_point", 'T', US_M(U8) | US_M(I8) | US_M(I32), US_P_OPTIONAL}, US_PARAM_END};
static const us_param dequantize_linear_out[] = {{"y", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row dequantize_linear_attrs[] = {US_AI(us_p_dequantize_linear, axis, "axis", 1), US_ATTR_END};
static const us_param dequantize_linear_in_19[] = {
    {"x", '1', US_M_SMALLI | US_M(U8) | US_M(I8) | US_M(U16) | US_M(I16) | US_M(I32) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ) | US_M(F4E2M1), 0},
    {"x_scale", '2', US_M(F32) | US_M(F16) | US_M(BF16) | US_M(F8E8M0), 0},
    {"x_zero_point", '1', US_M_SMALLI | US_M(U8) | US_M(I8) | US_M(U16) | US_M(I16) | US_M(I32) | US_M(F8E4M3FN) | US_M(F8E4M3FNUZ) | US_M(F8E5M2) | US_M(F8E5M2FNUZ) | US_M(F4E2M1), US_P_OPTIONAL},
    US_PARAM_END};
static const us_param dequantize_linear_out_19[] = {
    {"y", '2', US_M(F32) | US_M(F16) | US_M(BF16) | US_M(F8E8M0), 0}, US_PARAM_END};
static const us_attr_row dequantize_linear_attrs_21[] = {
    US_AI(us_p_dequantize_linear, axis, "axis", 1), US_AI(us_p_dequantize_linear, block_size, "block_size", 0),
    US_ATTR_END};
static const us_param dequantize_linear_out_23[] = {{"y", '3', US_M(F32) | US_M(F16) | US_M(BF16), 0}, US_PARAM_END};
static const us_attr_row dequantize_linear_attrs_23[] = {
    US_AI(us_p_dequantize_linear, axis, "axis", 1), US_AI(us_p_dequantize_linear, block_size, "block_size", 0),
    US_AI(us_p_dequantize_linear, output_dtype, "output_dtype", 0), US_ATTR_END};
const us_schema dequantize_linear_schemas[] = {
    {10, dequantize_linear_in, dequantize_linear_out, NULL, sizeof(us_p_dequantize_linear), NULL},
    {13, dequantize_linear_in, dequantize_linear_out, dequantize_linear_attrs, sizeof(us_p_dequantize_linear), NULL},
    {19, dequantize_linear_in_19, dequantize_linear_out_19, dequantize_linear_attrs, sizeof(us_p_dequantize_linear), NULL},
    {21, dequantize_linear_in_19, dequantize_linear_out_19, dequantize_linear_attrs_21, sizeof(us_p_dequantize_linear), NULL},
    {23, dequantize_linear_in_19, dequantize_linear_out_23, dequantize_linear_attrs_23, sizeof(us_p_dequantize_linear), NULL},
    {24, dequantize_linear_in_19, dequantize_linear_out_23, dequantize_linear_attrs_23, sizeof(us_p_dequantize_linear), NULL},
    {25, dequantize_linear_in_19, dequantize_linear_out_23, dequantize_linear_attrs_23, sizeof(us_p_dequantize_linear), NULL},
    {28, dequantize_linear_in_19, dequantize_linear_out_23, dequantize_linear_attrs_23, sizeof(us_p_dequantize_linear), NULL},
    {0}};

static const us_param dynamic_quantize_linear_in[] = {{"x", '1', US_M(F32), 0}, US_PARAM_END};
static const us_param dynamic_quantize_linear_out[] = {
    {"y", '2', US_M(U8), 0}, {"y_scale", '\0', US_M(F32), 0}, {"y_zero_point", '2', US_M(U8), 0}, US_PARAM_END};
const us_schema dynamic_quantize_linear_schemas[] = {
    {11, dynamic_quantize_linear_in, dynamic_quantize_linear_out, NULL, 0, NULL},
    {0}};
/* clang-format on */

/* Which scale belongs to element i. */
typedef struct blocks {
    int64_t n, inner, size,
        per; /* axis length, elements after it, block size, scales along the axis */
    bool single;
} blocks;

static us_err blocks_of(us_eval *k, const us_tensor *x, const us_tensor *scale,
                        int64_t axis_attr, int64_t block, blocks *b)
{
    int axis = 0;
    int64_t n_scale = us_tensor_count(scale);
    *b = (blocks){.single =
                      scale->rank == 0 || (scale->rank == 1 && n_scale == 1 && block == 0)};
    if (b->single) return n_scale == 1 ? US_OK : us_eval_fail(k, US_SHAPE, "scale is empty");
    US_TRY(us_eval_axis(k, axis_attr, x->rank, &axis));
    b->n = x->dims[axis];
    b->inner = us_dims_product(x->dims, axis + 1, x->rank);
    b->size = block > 0 ? block : 1;
    b->per = block > 0 ? b->n / block + (b->n % block != 0) : b->n;
    int64_t want = block > 0 ? us_dims_product(x->dims, 0, axis) * b->per * b->inner : b->n;
    if (n_scale == want) return US_OK;
    return us_eval_fail(k, US_SHAPE, "%lld scales, expected %lld", (long long)n_scale,
                        (long long)want);
}

static int64_t scale_at(const blocks *b, int64_t block, int64_t i)
{
    if (b->single) return 0;
    int64_t a = i / b->inner % b->n;
    if (block <= 0) return a;
    return (i / b->inner / b->n * b->per + a / b->size) * b->inner + i % b->inner;
}

/* Smallest and largest of an integer type. */
static void limits(us_dtype t, double *lo, double *hi)
{
    const us_dtype_info *info = us_dtype_get(t);
    *lo = info->cls == US_DC_UINT ? 0 : -ldexp(1, info->bits - 1);
    *hi = ldexp(1, info->cls == US_DC_UINT ? info->bits : info->bits - 1) - 1;
}

/* --- QuantizeLinear ------------------------------------------------------------------------------ */

static us_dtype target(const us_p_quantize_linear *p, us_dtype zero)
{
    if (zero != US_DT_NONE) return zero;
    return p->output_dtype > 0 && p->output_dtype < US_DTYPE_N ? (us_dtype)p->output_dtype
                                                               : US_U8;
}

us_err quantize_linear_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0), *z = us_infer_in(k, 2);
    if (us_infer_has(k, 2) && (!z || z->dtype == US_DT_NONE)) return US_OK;
    us_dtype t = target(k->params, us_infer_has(k, 2) ? z->dtype : US_DT_NONE);
    return x ? us_infer_out(k, 0, t, x->rank, x->dims) : us_infer_out(k, 0, t, -1, NULL);
}

/* Rounded to float, and from there to a half-precision type. */
static double quotient(double q, us_dtype precision)
{
    uint64_t cell = 0;
    q = (double)(float)q;
    if (!us_is_half(precision)) return q;
    us_dtype_get(precision)->from_f64(&cell, 0, 1, &q);
    us_dtype_get(precision)->to_f64(&cell, 0, 1, &q);
    return q;
}

us_err quantize_linear_eval(us_eval *k)
{
    const us_p_quantize_linear *p = k->params;
    const us_tensor *in, *s, *z = us_eval_opt(k, 2);
    us_tensor x, scale, zero = {0}, *y;
    blocks b;
    US_TRY(us_eval_in(k, 0, &in));
    US_TRY(us_eval_in(k, 1, &s));
    if (us_dtype_get(in->dtype)->cls == US_DC_COMPLEX || in->dtype == US_STRING)
        return us_eval_no_type(k, in->dtype);
    US_TRY(us_eval_as(k, in, US_F64, &x));
    US_TRY(us_eval_as(k, s, US_F64, &scale));
    US_TRY(blocks_of(k, &x, s, p->axis, p->block_size, &b));
    if (z && us_tensor_count(z) != us_tensor_count(s))
        return us_eval_fail(k, US_SHAPE, "scale and zero point differ in shape");
    if (z) US_TRY(us_eval_as(k, z, US_F64, &zero));
    us_dtype t = target(p, z ? z->dtype : US_DT_NONE);
    bool whole = us_dtype_get(t)->cls != US_DC_FLOAT;
    double lo, hi;
    limits(t, &lo, &hi);
    US_TRY(us_eval_out(k, 0, t, x.rank, x.dims, &y));
    const double *v = x.data, *sc = scale.data;
    const bool small =
        us_dtype_get(t)->bits == 8 && !whole; /* saturated or not, as Cast does it */
    double *room = NULL;
    if (small) US_TRY(us_eval_scratch(k, us_tensor_bytes(&x) + 1, (void **)&room));
    /* The quotient is of the scale's type unless `precision` says another: the same halves are met as there. */
    us_dtype precision = p->precision > 0 && p->precision < US_DTYPE_N ? (us_dtype)p->precision
                         : us_is_half(s->dtype)                        ? s->dtype
                                                                       : US_F32;
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++) {
        int64_t j = scale_at(&b, p->block_size, i);
        double q = us_is_half(precision) ? quotient(v[i], precision) : v[i];
        q = quotient(q / sc[j], precision);
        q = (whole ? nearbyint(q) : q) + (z ? ((double *)zero.data)[j] : 0);
        if (whole) q = isnan(q) ? 0 : fmin(fmax(q, lo), hi);
        if (small)
            room[i] = q;
        else
            us_dtype_get(t)->from_f64(y->data, (size_t)i, 1, &q);
    }
    if (!small) return US_OK;
    US_TRY(us_tensor_init(k->c, &x, US_F64, x.rank, x.dims, room));
    return us_cast_f8(k, &x, y, p->saturate != 0);
}

/* --- DequantizeLinear ---------------------------------------------------------------------------- */

us_err dequantize_linear_infer(us_infer *k)
{
    const us_p_dequantize_linear *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *s = us_infer_in(k, 1);
    us_dtype t = p->output_dtype > 0 && p->output_dtype < US_DTYPE_N ? (us_dtype)p->output_dtype
                 : s                                                 ? s->dtype
                                                                     : US_DT_NONE;
    if (t == US_DT_NONE) return US_OK;
    return x ? us_infer_out(k, 0, t, x->rank, x->dims) : us_infer_out(k, 0, t, -1, NULL);
}

us_err dequantize_linear_eval(us_eval *k)
{
    const us_p_dequantize_linear *p = k->params;
    const us_tensor *in, *s, *z = us_eval_opt(k, 2);
    us_tensor x, scale, zero = {0}, *y;
    blocks b;
    US_TRY(us_eval_in(k, 0, &in));
    US_TRY(us_eval_in(k, 1, &s));
    US_TRY(us_eval_as(k, in, US_F64, &x));
    US_TRY(us_eval_as(k, s, US_F64, &scale));
    US_TRY(blocks_of(k, &x, s, p->axis, p->block_size, &b));
    if (z && us_tensor_count(z) != us_tensor_count(s))
        return us_eval_fail(k, US_SHAPE, "scale and zero point differ in shape");
    if (z) US_TRY(us_eval_as(k, z, US_F64, &zero));
    us_dtype t = p->output_dtype > 0 && p->output_dtype < US_DTYPE_N ? (us_dtype)p->output_dtype
                                                                     : s->dtype;
    US_TRY(us_eval_out(k, 0, t, x.rank, x.dims, &y));
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++) {
        int64_t j = scale_at(&b, p->block_size, i);
        double q = (((double *)x.data)[i] - (z ? ((double *)zero.data)[j] : 0)) *
                   ((double *)scale.data)[j];
        us_dtype_get(t)->from_f64(y->data, (size_t)i, 1, &q);
    }
    return US_OK;
}

/* --- DynamicQuantizeLinear ----------------------------------------------------------------------- */

us_err dynamic_quantize_linear_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    US_TRY(us_infer_out(k, 0, US_U8, x ? x->rank : -1, x ? x->dims : NULL));
    US_TRY(us_infer_out(k, 1, US_F32, 0, NULL));
    return us_infer_out(k, 2, US_U8, 0, NULL);
}

void us_q_range_scale(float lo, float hi, float *scale, float *zero)
{
    *scale = hi == lo ? 1 : (hi - lo) / 255;
    *zero = nearbyintf(fminf(fmaxf(0 - lo / *scale, 0), 255));
}

/* The range, widened to hold 0, onto 0..255. */
void us_q_range(const float *x, int64_t n, float *scale, float *zero)
{
    float lo = 0, hi = 0;
    for (int64_t i = 0; i < n; i++) {
        lo = fminf(lo, x[i]);
        hi = fmaxf(hi, x[i]);
    }
    us_q_range_scale(lo, hi, scale, zero);
}

us_err dynamic_quantize_linear_eval(us_eval *k)
{
    us_tensor x, *y;
    float scale, zero;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (x.dtype != US_F32) return us_eval_no_type(k, x.dtype);
    const float *v = x.data;
    int64_t n = us_tensor_count(&x);
    us_q_range(v, n, &scale, &zero);
    if (us_eval_wants(k, 0)) {
        US_TRY(us_eval_out(k, 0, US_U8, x.rank, x.dims, &y));
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)y->data)[i] = us_q_byte(v[i], scale, zero);
    }
    if (us_eval_wants(k, 1)) {
        US_TRY(us_eval_out(k, 1, US_F32, 0, NULL, &y));
        *(float *)y->data = scale;
    }
    if (!us_eval_wants(k, 2)) return US_OK;
    US_TRY(us_eval_out(k, 2, US_U8, 0, NULL, &y));
    *(uint8_t *)y->data = (uint8_t)zero;
    return US_OK;
}
