/* ir/op_old.c - Affine, Crop, DynamicSlice, ImageScaler, ParametricSoftplus, Scale and ScaledTanh: "experimental" operators of the
 * first opsets, which the standard dropped with opset 10.
 *
 * Files converted from Caffe and CoreML have them (fast neural style, for one), and ONNX Runtime still runs them; the meaning is
 * taken from there where the old text is silent. All are said in core operators; they are also evaluated whole, because the
 * expansion of ImageScaler would make a constant per channel.
 */
#include "ir/op_util.h"

#include <math.h>
#include <string.h>

typedef struct us_p_affine {
    float alpha, beta;
} us_p_affine;
typedef struct us_p_old_scale {
    float scale;
} us_p_old_scale;
typedef struct us_p_crop {
    us_ints border, scale;
} us_p_crop;
typedef struct us_p_image_scaler {
    us_floats bias;
    float scale;
} us_p_image_scaler;

enum { MAX_CHANNELS = 32 /* of an ImageScaler that is expanded */ };

/* clang-format off */
static const us_param old_in[] = {{"X", 'T', US_M_FLOAT3, 0}, US_PARAM_END};
static const us_param old_out[] = {{"Y", 'T', US_M_FLOAT3, 0}, US_PARAM_END};
static const us_attr_row affine_attrs[] = {
    US_AF(us_p_affine, alpha, "alpha", 1), US_AF(us_p_affine, beta, "beta", 0), US_ATTR_END};
static const us_attr_row curve_attrs[] = {
    {.name = "alpha", .kind = US_AT_FLOAT, .offset = offsetof(us_p_affine, alpha), .required = true},
    {.name = "beta", .kind = US_AT_FLOAT, .offset = offsetof(us_p_affine, beta), .required = true}, US_ATTR_END};
static const us_attr_row old_scale_attrs[] = {US_AF(us_p_old_scale, scale, "scale", 1), US_ATTR_END};
#define ANY (US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL))
static const us_param dynamic_slice_in[] = {
    {"data", 'T', ANY, 0}, {"starts", 'I', US_M(I32) | US_M(I64), 0}, {"ends", 'I', US_M(I32) | US_M(I64), 0},
    {"axes", 'I', US_M(I32) | US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_param dynamic_slice_out[] = {{"output", 'T', ANY, 0}, US_PARAM_END};
static const us_attr_row crop_attrs[] = {
    US_AIS(us_p_crop, border, "border"), US_AIS(us_p_crop, scale, "scale"), US_ATTR_END};
static const us_attr_row image_scaler_attrs[] = {
    US_AFS(us_p_image_scaler, bias, "bias"), US_AF(us_p_image_scaler, scale, "scale", 1), US_ATTR_END};
const us_schema affine_schemas[] = {{1, old_in, old_out, affine_attrs, sizeof(us_p_affine), NULL}, {0}};
const us_schema parametric_softplus_schemas[] = {{1, old_in, old_out, curve_attrs, sizeof(us_p_affine), NULL}, {0}};
const us_schema scaled_tanh_schemas[] = {{1, old_in, old_out, curve_attrs, sizeof(us_p_affine), NULL}, {0}};
const us_schema old_scale_schemas[] = {{1, old_in, old_out, old_scale_attrs, sizeof(us_p_old_scale), NULL}, {0}};
const us_schema dynamic_slice_schemas[] = {{1, dynamic_slice_in, dynamic_slice_out, NULL, 0, NULL}, {0}};
const us_schema crop_schemas[] = {{1, old_in, old_out, crop_attrs, sizeof(us_p_crop), NULL}, {0}};
const us_schema image_scaler_schemas[] = {
    {1, old_in, old_out, image_scaler_attrs, sizeof(us_p_image_scaler), NULL}, {0}};
/* clang-format on */

/* --- one element after the other: x * scale + bias of the channel ---------------------------------------------------------------------- */

/* What becomes of element i. */
typedef double element_fn(const void *arg, int64_t i, double x);

static us_err each(us_eval *k, element_fn *fn, const void *arg)
{
    us_tensor x, *y;
    US_TRY(us_eval_in_dense(k, 0, &x));
    const us_dtype_info *d = us_dtype_get(x.dtype);
    if (d->cls != US_DC_FLOAT || d->bits < 16) return us_eval_no_type(k, x.dtype);
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    int64_t n = us_tensor_count(&x);
    double run[256];
    for (int64_t at = 0; at < n; at += (int64_t)US_LEN(run)) {
        size_t m = (size_t)US_MIN(n - at, (int64_t)US_LEN(run));
        d->to_f64(us_at(&x, at), 0, m, run);
        for (size_t i = 0; i < m; i++)
            run[i] = fn(arg, at + (int64_t)i, run[i]);
        d->from_f64(us_at(y, at), 0, m, run);
    }
    return US_OK;
}

typedef struct scaling {
    double scale;
    const float *bias; /* bias[(i / inner) % n_bias] for element i */
    int64_t n_bias, inner;
} scaling;

static double scaled_by(const void *arg, int64_t i, double x)
{
    const scaling *s = arg;
    return x * s->scale + (double)s->bias[i / s->inner % s->n_bias];
}

static us_err scaled(us_eval *k, double scale, const float *bias, int64_t n_bias, int64_t inner)
{
    return each(k, scaled_by, &(scaling){scale, bias, n_bias, inner});
}

US_INFER_AS(affine, us_infer_same)
US_INFER_AS(image_scaler, us_infer_same)
US_EXPAND(affine, "y = Add(Mul(x0, $alpha), $beta)")

us_err affine_eval(us_eval *k)
{
    const us_p_affine *p = k->params;
    return scaled(k, (double)p->alpha, &p->beta, 1, 1);
}

/* --- curves with two parameters ----------------------------------------------------------------------------- */

static double softplus_of(const void *arg, int64_t i, double x)
{
    const us_p_affine *p = arg;
    (void)i;
    x *= (double)p->beta;
    return (double)p->alpha * ((x > 0 ? x : 0) + log1p(exp(-fabs(x)))); /* no overflow */
}

static double tanh_of(const void *arg, int64_t i, double x)
{
    const us_p_affine *p = arg;
    (void)i;
    return (double)p->alpha * tanh((double)p->beta * x);
}

US_INFER_AS(parametric_softplus, us_infer_same)
US_EXPAND(parametric_softplus, "y = Mul(Softplus(Mul(x0, $beta)), $alpha)")
us_err parametric_softplus_eval(us_eval *k)
{
    return each(k, softplus_of, k->params);
}

US_INFER_AS(scaled_tanh, us_infer_same)
US_EXPAND(scaled_tanh, "y = Mul(Tanh(Mul(x0, $beta)), $alpha)")
us_err scaled_tanh_eval(us_eval *k)
{
    return each(k, tanh_of, k->params);
}

US_INFER_AS(old_scale, us_infer_same)
US_EXPAND(old_scale, "y = Mul(x0, $scale)")
us_err old_scale_eval(us_eval *k)
{
    const us_p_old_scale *p = k->params;
    return scaled(k, (double)p->scale, (float[]){0}, 1, 1);
}

/* --- DynamicSlice: what Slice became in opset 10, without steps ------------------------------------------------ */

US_INFER_AS(dynamic_slice, slice_infer)
us_err dynamic_slice_eval(us_eval *k)
{
    return slice_eval(k);
}

us_err dynamic_slice_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_node *nd = &g->nodes.at[n];
    bool axes = nd->n_in > 3 && nd->in[3] != US_NIL;
    return us_expand_text(c, m, g, n,
                          axes ? "y = Slice(x0, x1, x2, x3)" : "y = Slice(x0, x1, x2)");
}

us_err image_scaler_eval(us_eval *k)
{
    const us_p_image_scaler *p = k->params;
    const us_tensor *x;
    US_TRY(us_eval_in(k, 0, &x));
    if (x->rank != 4 || (int64_t)p->bias.n != x->dims[1])
        return us_eval_fail(k, US_SHAPE, "the input is not [N,C,H,W] with a bias per channel");
    if (us_tensor_count(x) == 0) return scaled(k, 1, (float[]){0}, 1, 1);
    return scaled(k, (double)p->scale, p->bias.p, x->dims[1], x->dims[2] * x->dims[3]);
}

us_err image_scaler_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_image_scaler *p = g->nodes.at[n].params;
    bool told = p->bias.n > 0 && p->bias.n <= MAX_CHANNELS;
    for (size_t i = 0; i < p->bias.n; i++)
        told = told && isfinite(p->bias.p[i]);
    if (!told)
        return us_upgrade_fail(c, g, n, "it has no bias, or one that an expansion cannot hold");
    us_buf b;
    us_buf_init(&b, c, 4096);
    us_buf_addf(&b, "y = Add(Mul(x0, $scale), Reshape(Concat<axis=0>(");
    for (size_t i = 0; i < p->bias.n; i++)
        us_buf_addf(&b, "%sUnsqueeze(%.9g, [0])", i ? ", " : "", (double)p->bias.p[i]);
    us_buf_addf(&b, "), [1, %zu, 1, 1]))", p->bias.n);
    us_err e = us_buf_check(&b);
    if (e == US_OK) e = us_expand_text(c, m, g, n, b.p);
    us_buf_deinit(&b);
    return e;
}

/* --- Crop ----------------------------------------------------------------------------------------------------- */

/* What is cut of [N,C,H,W]: first and end in H and W. border is left, top, right, bottom; scale is height, width. */
static bool crop_of(const us_p_crop *p, int64_t h, int64_t w, int64_t *from, int64_t *end)
{
    if (p->border.n != 4 || (p->scale.n != 0 && p->scale.n != 2)) return false;
    for (size_t i = 0; i < 4; i++)
        if (p->border.p[i] < 0 || p->border.p[i] > INT32_MAX) return false;
    from[0] = p->border.p[1];
    from[1] = p->border.p[0];
    end[0] = h - p->border.p[3];
    end[1] = w - p->border.p[2];
    for (size_t i = 0; i < p->scale.n; i++) {
        if (p->scale.p[i] < 0 || p->scale.p[i] > INT32_MAX) return false;
        end[i] = from[i] + p->scale.p[i];
    }
    return from[0] <= end[0] && end[0] <= h && from[1] <= end[1] && end[1] <= w;
}

us_err crop_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    int64_t from[2], end[2];
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (x->rank != 4) return us_infer_fail(k, US_SHAPE, "the input is not [N,C,H,W]");
    us_dim d[4] = {x->dims[0], x->dims[1]};
    US_TRY(us_infer_fresh(k, &d[2]));
    US_TRY(us_infer_fresh(k, &d[3]));
    if (us_dim_known(x->dims[2]) && us_dim_known(x->dims[3])) {
        if (!crop_of(k->params, x->dims[2].add, x->dims[3].add, from, end))
            return us_infer_fail(k, US_SHAPE, "border and scale do not fit the input");
        d[2] = US_DIM(end[0] - from[0]);
        d[3] = US_DIM(end[1] - from[1]);
    }
    return us_infer_out(k, 0, US_DT_NONE, 4, d);
}

us_err crop_eval(us_eval *k)
{
    const us_tensor *x;
    int64_t from[2], end[2];
    US_TRY(us_eval_in(k, 0, &x));
    if (x->rank != 4 || !crop_of(k->params, x->dims[2], x->dims[3], from, end))
        return us_eval_fail(k, US_SHAPE, "border and scale do not fit the input");
    us_tensor view = *x;
    int64_t skip = 0;
    for (int d = 0; d < 2; d++) {
        view.dims[2 + d] = end[d] - from[d];
        skip += from[d] * x->strides[2 + d];
    }
    if (us_tensor_count(&view) > 0) view.data = us_at(x, skip);
    return us_eval_put_view(k, 0, &view);
}

us_err crop_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_crop *p = g->nodes.at[n].params;
    int64_t from[2], end[2]; /* the ends, counted back from the end */
    if (p->scale.n || !crop_of(p, INT32_MAX, INT32_MAX, from, end))
        return us_upgrade_fail(c, g, n, "it has a scale, or no border");
    for (int d = 0; d < 2; d++)
        end[d] = end[d] == INT32_MAX ? INT32_MAX : end[d] - INT32_MAX;
    char *text = us_str_printf(m->arena, "y = Slice(x0, [%lld, %lld], [%lld, %lld], [2, 3])",
                               (long long)from[0], (long long)from[1], (long long)end[0],
                               (long long)end[1]);
    return text ? us_expand_text(c, m, g, n, text) : us_arena_fail(c, m->arena);
}
