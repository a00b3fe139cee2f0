/* ir/op_norm.c - normalisation: BatchNormalization, LayerNormalization and relatives, LRN.
 *
 * Statistics are taken in double whatever the type. LayerNormalization, InstanceNormalization,
 * GroupNormalization, RMSNormalization and MeanVarianceNormalization share one loop: runs of elements that
 * are normalised together, then scale and bias.
 */
#include "ir/op_util.h"

#include <math.h>
#include <string.h>

static us_upgrade_fn upgrade_running;

/* clang-format off */
static const us_param batch_normalization_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"scale", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, 0},
    {"mean", 'T', US_M_FLOATS, 0}, {"var", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param batch_normalization_out[] = {
    {"Y", 'T', US_M_FLOATS, 0}, {"mean", 'T', US_M_FLOATS, US_P_OPTIONAL}, {"var", 'T', US_M_FLOATS, US_P_OPTIONAL},
    {"saved_mean", 'T', US_M_FLOATS, US_P_OPTIONAL}, {"saved_var", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row batch_normalization_attrs[] = {
    {.name = "consumed_inputs", .kind = US_AT_INTS, .offset = offsetof(us_p_batch_normalization, consumed_inputs), .required = true},
    US_AF(us_p_batch_normalization, epsilon, "epsilon", 1e-05F),
    US_AI(us_p_batch_normalization, is_test, "is_test", 0),
    US_AF(us_p_batch_normalization, momentum, "momentum", 0.9F),
    US_AI(us_p_batch_normalization, spatial, "spatial", 1), US_ATTR_END};
static const us_attr_row batch_normalization_attrs_6[] = {
    US_AF(us_p_batch_normalization, epsilon, "epsilon", 1e-05F),
    US_AI(us_p_batch_normalization, is_test, "is_test", 0),
    US_AF(us_p_batch_normalization, momentum, "momentum", 0.9F),
    US_AI(us_p_batch_normalization, spatial, "spatial", 1), US_ATTR_END};
static const us_attr_row batch_normalization_attrs_7[] = {
    US_AF(us_p_batch_normalization, epsilon, "epsilon", 1e-05F),
    US_AF(us_p_batch_normalization, momentum, "momentum", 0.9F),
    US_AI(us_p_batch_normalization, spatial, "spatial", 1), US_ATTR_END};
static const us_attr_row batch_normalization_attrs_9[] = {
    US_AF(us_p_batch_normalization, epsilon, "epsilon", 1e-05F),
    US_AF(us_p_batch_normalization, momentum, "momentum", 0.9F), US_ATTR_END};
static const us_param batch_normalization_in_14[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"scale", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, 0},
    {"input_mean", 'U', US_M_FLOATS, 0}, {"input_var", 'U', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param batch_normalization_out_14[] = {
    {"Y", 'T', US_M_FLOATS, 0}, {"running_mean", 'U', US_M_FLOATS, US_P_OPTIONAL},
    {"running_var", 'U', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row batch_normalization_attrs_14[] = {
    US_AF(us_p_batch_normalization, epsilon, "epsilon", 1e-05F),
    US_AF(us_p_batch_normalization, momentum, "momentum", 0.9F),
    US_AI(us_p_batch_normalization, training_mode, "training_mode", 0), US_ATTR_END};
static const us_param batch_normalization_in_15[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"scale", '1', US_M_FLOATS, 0}, {"B", '1', US_M_FLOATS, 0},
    {"input_mean", '2', US_M_FLOATS, 0}, {"input_var", '2', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param batch_normalization_out_15[] = {
    {"Y", 'T', US_M_FLOATS, 0}, {"running_mean", '2', US_M_FLOATS, US_P_OPTIONAL},
    {"running_var", '2', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
const us_schema batch_normalization_schemas[] = {
    {1, batch_normalization_in, batch_normalization_out, batch_normalization_attrs, sizeof(us_p_batch_normalization), us_upgrade_drop},
    {6, batch_normalization_in, batch_normalization_out, batch_normalization_attrs_6, sizeof(us_p_batch_normalization), us_upgrade_drop},
    {7, batch_normalization_in, batch_normalization_out, batch_normalization_attrs_7, sizeof(us_p_batch_normalization), upgrade_running},
    {9, batch_normalization_in, batch_normalization_out, batch_normalization_attrs_9, sizeof(us_p_batch_normalization), NULL},
    {14, batch_normalization_in_14, batch_normalization_out_14, batch_normalization_attrs_14, sizeof(us_p_batch_normalization), NULL},
    {15, batch_normalization_in_15, batch_normalization_out_15, batch_normalization_attrs_14, sizeof(us_p_batch_normalization), NULL},
    {0}};

static const us_param layer_normalization_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"Scale", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param layer_normalization_out[] = {
    {"Y", 'T', US_M_FLOATS, 0}, {"Mean", 'U', US_M(F32) | US_M(BF16), US_P_OPTIONAL},
    {"InvStdDev", 'U', US_M(F32) | US_M(BF16), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row layer_normalization_attrs[] = {
    US_AI(us_p_layer_normalization, axis, "axis", -1), US_AF(us_p_layer_normalization, epsilon, "epsilon", 1e-05F),
    US_AI(us_p_layer_normalization, stash_type, "stash_type", 1), US_ATTR_END};
const us_schema layer_normalization_schemas[] = {
    {1, layer_normalization_in, layer_normalization_out, layer_normalization_attrs, sizeof(us_p_layer_normalization), NULL}, /* ONNX Runtime wrote it into this domain before the standard had it */
    {17, layer_normalization_in, layer_normalization_out, layer_normalization_attrs, sizeof(us_p_layer_normalization), NULL},
    {0}};

static const us_param instance_normalization_in[] = {
    {"input", 'T', US_M_FLOATS, 0}, {"scale", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param instance_normalization_out[] = {{"output", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row instance_normalization_attrs[] = {
    US_AIS(us_p_instance_normalization, consumed_inputs, "consumed_inputs"),
    US_AF(us_p_instance_normalization, epsilon, "epsilon", 1e-05F), US_ATTR_END};
static const us_attr_row instance_normalization_attrs_6[] = {
    US_AF(us_p_instance_normalization, epsilon, "epsilon", 1e-05F), US_ATTR_END};
const us_schema instance_normalization_schemas[] = {
    {1, instance_normalization_in, instance_normalization_out, instance_normalization_attrs, sizeof(us_p_instance_normalization), us_upgrade_drop},
    {6, instance_normalization_in, instance_normalization_out, instance_normalization_attrs_6, sizeof(us_p_instance_normalization), NULL},
    {22, instance_normalization_in, instance_normalization_out, instance_normalization_attrs_6, sizeof(us_p_instance_normalization), NULL},
    {0}};

static const us_param group_normalization_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"scale", 'T', US_M_FLOATS, 0}, {"bias", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param group_normalization_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row group_normalization_attrs[] = {
    US_AF(us_p_group_normalization, epsilon, "epsilon", 1e-05F),
    {.name = "num_groups", .kind = US_AT_INT, .offset = offsetof(us_p_group_normalization, num_groups), .required = true},
    US_AI(us_p_group_normalization, stash_type, "stash_type", 1), US_ATTR_END};
const us_schema group_normalization_schemas[] = {
    {21, group_normalization_in, group_normalization_out, group_normalization_attrs, sizeof(us_p_group_normalization), NULL},
    {0}};

static const us_param rms_normalization_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"scale", 'V', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param rms_normalization_out[] = {{"Y", 'V', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row rms_normalization_attrs[] = {
    US_AI(us_p_rms_normalization, axis, "axis", -1), US_AF(us_p_rms_normalization, epsilon, "epsilon", 1e-05F),
    US_AI(us_p_rms_normalization, stash_type, "stash_type", 1), US_ATTR_END};
const us_schema rms_normalization_schemas[] = {
    {23, rms_normalization_in, rms_normalization_out, rms_normalization_attrs, sizeof(us_p_rms_normalization), NULL},
    {0}};
static const us_param simplified_layer_norm_out[] = {
    {"Y", 'V', US_M_FLOATS, 0}, {"inv_std_var", 'U', US_M(F32) | US_M(F64), US_P_OPTIONAL}, US_PARAM_END};
const us_schema simplified_layer_norm_schemas[] = {
    {1, rms_normalization_in, simplified_layer_norm_out, rms_normalization_attrs, sizeof(us_p_rms_normalization), NULL}, /* ONNX Runtime's, in this domain */
    {0}};

static const us_param lp_normalization_in[] = {{"input", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row lp_normalization_attrs[] = {
    US_AI(us_p_lp_normalization, axis, "axis", -1), US_AI(us_p_lp_normalization, p, "p", 2), US_ATTR_END};
const us_schema lp_normalization_schemas[] = {
    {1, lp_normalization_in, instance_normalization_out, lp_normalization_attrs, sizeof(us_p_lp_normalization), NULL},
    {22, lp_normalization_in, instance_normalization_out, lp_normalization_attrs, sizeof(us_p_lp_normalization), NULL},
    {0}};

static const us_param mean_variance_normalization_in[] = {{"X", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row mean_variance_normalization_attrs[] = {
    US_AIS(us_p_mean_variance_normalization, axes, "axes"), US_ATTR_END};
const us_schema mean_variance_normalization_schemas[] = {
    {9, mean_variance_normalization_in, group_normalization_out, mean_variance_normalization_attrs, sizeof(us_p_mean_variance_normalization), NULL},
    {13, mean_variance_normalization_in, group_normalization_out, mean_variance_normalization_attrs, sizeof(us_p_mean_variance_normalization), NULL},
    {0}};

static const us_attr_row lrn_attrs[] = {
    US_AF(us_p_lrn, alpha, "alpha", 1e-04F), US_AF(us_p_lrn, beta, "beta", 0.75F),
    US_AF(us_p_lrn, bias, "bias", 1.0F),
    {.name = "size", .kind = US_AT_INT, .offset = offsetof(us_p_lrn, size), .required = true}, US_ATTR_END};
const us_schema lrn_schemas[] = {
    {1, mean_variance_normalization_in, group_normalization_out, lrn_attrs, sizeof(us_p_lrn), NULL},
    {13, mean_variance_normalization_in, group_normalization_out, lrn_attrs, sizeof(us_p_lrn), NULL},
    {0}};
/* clang-format on */

/* An input as doubles; NULL when absent. */
static us_err doubles(us_eval *k, size_t i, int64_t want, const double **out)
{
    const us_tensor *t = us_eval_opt(k, i);
    us_tensor w;
    *out = NULL;
    if (!t) return US_OK;
    if (us_tensor_count(t) != want)
        return us_eval_fail(k, US_SHAPE, "input %zu has %lld elements, expected %lld", i,
                            (long long)us_tensor_count(t), (long long)want);
    US_TRY(us_eval_as(k, t, US_F64, &w));
    *out = w.data;
    return US_OK;
}

/* Input 0 as doubles in memory of its own, and output 0. */
static us_err open_x_to(us_eval *k, const us_tensor *like, double **x, us_tensor *shape,
                        us_tensor **y)
{
    const us_tensor *t;
    us_tensor w;
    US_TRY(us_eval_in(k, 0, &t));
    if (us_dtype_get(t->dtype)->cls != US_DC_FLOAT) return us_eval_no_type(k, t->dtype);
    US_TRY(us_tensor_init(k->c, &w, US_F64, t->rank, t->dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&w), &w.data));
    US_TRY(us_tensor_convert(k->c, &w, t));
    *x = w.data;
    *shape = w;
    return us_eval_out(k, 0, like ? like->dtype : t->dtype, t->rank, t->dims, y);
}
static us_err open_x(us_eval *k, double **x, us_tensor *shape, us_tensor **y)
{
    return open_x_to(k, NULL, x, shape, y);
}
static void put(us_tensor *y, const double *v)
{
    us_dtype_get(y->dtype)->from_f64(y->data, 0, (size_t)us_tensor_count(y), v);
}

/* --- BatchNormalization -------------------------------------------------------------------------- */

/* Before opset 14 training was told by the number of outputs. */
static us_err upgrade_running(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_attr *spatial = us_node_attr(&g->nodes.at[n], "spatial");
    if (spatial && spatial->i == 0)
        return us_upgrade_fail(c, g, n, "spatial = 0 (statistics per position)");
    return us_upgrade_drop(c, m, g, n);
}

us_err batch_normalization_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0), *mean = us_infer_ranked(k, 3);
    US_TRY(us_infer_same(k));
    us_dim c;
    if (mean && mean->rank == 1)
        c = mean->dims[0];
    else if (x && x->rank > 1)
        c = x->dims[1];
    else
        US_TRY(us_infer_fresh(k, &c));
    US_TRY(us_infer_out(k, 1, US_DT_NONE, 1, &c));
    return us_infer_out(k, 2, US_DT_NONE, 1, &c);
}

/* New running value: old * momentum + now * (1 - momentum). */
static us_err put_running(us_eval *k, size_t i, const double *old, const double *now, int64_t c,
                          double *room)
{
    const us_p_batch_normalization *p = k->params;
    us_tensor *y;
    if (!us_eval_wants(k, i)) return US_OK;
    US_TRY(us_eval_out(k, i, k->in[3]->t.dtype, 1, &c, &y));
    for (int64_t j = 0; j < c; j++)
        room[j] = old[j] * (double)p->momentum + now[j] * (1 - (double)p->momentum);
    put(y, room);
    return US_OK;
}

us_err batch_normalization_eval(us_eval *k)
{
    const us_p_batch_normalization *p = k->params;
    us_tensor shape, *y;
    double *x, *now;
    const double *scale, *bias, *mean, *var;
    US_TRY(open_x(k, &x, &shape, &y));
    int64_t c = shape.rank > 1 ? shape.dims[1] : 1, n = shape.rank ? shape.dims[0] : 1;
    int64_t inner = us_dims_product(shape.dims, 2, shape.rank);
    US_TRY(doubles(k, 1, c, &scale));
    US_TRY(doubles(k, 2, c, &bias));
    US_TRY(doubles(k, 3, c, &mean));
    US_TRY(doubles(k, 4, c, &var));
    if (!scale || !bias || !mean || !var) return us_eval_fail(k, US_ARG, "an input is missing");
    US_TRY(us_eval_scratch(k, (size_t)(3 * c + 1) * sizeof *now, (void **)&now));
    if (p->training_mode) {
        double count = (double)(n * inner);
        memset(now, 0, (size_t)(2 * c) * sizeof *now);
        for (int64_t i = 0; i < n * c * inner; i++)
            now[i / inner % c] += x[i] / count;
        for (int64_t i = 0; i < n * c * inner; i++) {
            double d = x[i] - now[i / inner % c];
            now[c + i / inner % c] += d * d / count;
        }
        US_TRY(put_running(k, 1, mean, now, c, now + 2 * c));
        US_TRY(put_running(k, 2, var, now + c, c, now + 2 * c));
        mean = now;
        var = now + c;
    }
    for (int64_t i = 0; i < n * c; i++) {
        int64_t j = i % c;
        double a = scale[j] / sqrt(var[j] + (double)p->epsilon), b = bias[j] - mean[j] * a;
        for (int64_t q = 0; q < inner; q++)
            x[i * inner + q] = x[i * inner + q] * a + b;
    }
    put(y, x);
    return US_OK;
}

/* --- runs normalised together -------------------------------------------------------------------- */

/* n runs of `len` in x: (x - mean) / sqrt(var + eps), or x / sqrt(mean of squares + eps) without centring.
 * mean and inv get one number per run when not NULL. */
static void normalise(double *x, int64_t n, int64_t len, double eps, bool centre, double *mean,
                      double *inv)
{
    for (int64_t r = 0; r < n; r++, x += len) {
        double m = 0, v = 0;
        for (int64_t i = 0; i < len && centre; i++)
            m += x[i];
        m /= (double)US_MAX(len, 1);
        for (int64_t i = 0; i < len; i++)
            v += (x[i] - m) * (x[i] - m);
        double s = 1 / sqrt(v / (double)US_MAX(len, 1) + eps);
        for (int64_t i = 0; i < len; i++)
            x[i] = (x[i] - m) * s;
        if (mean) mean[r] = m;
        if (inv) inv[r] = s;
    }
}

/* Type of the mean and of the inverse deviation: the attribute's, also when X is double. */
static us_dtype stash_of(const us_p_layer_normalization *p)
{
    return p->stash_type == US_BF16 || p->stash_type == US_F64 || p->stash_type == US_F16
               ? (us_dtype)p->stash_type
               : US_F32;
}

static us_err layer_infer(us_infer *k)
{
    const us_p_layer_normalization *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    US_TRY(us_infer_same(k));
    if (!x || k->g->nodes.at[k->n].n_out < 2) return US_OK;
    int axis;
    us_dim d[US_MAX_RANK];
    US_TRY(us_infer_axis(k, p->axis, x->rank, &axis));
    for (int i = 0; i < x->rank; i++)
        d[i] = i < axis ? x->dims[i] : US_DIM(1);
    us_dtype t = stash_of(p);
    US_TRY(us_infer_out(k, 1, t, x->rank, d));
    return us_infer_out(k, 2, t, x->rank, d);
}
US_INFER_AS(layer_normalization, layer_infer)

/* Input i broadcast against the shape [axis..], as doubles of that many elements; NULL when absent. */
static us_err affine(us_eval *k, size_t i, const us_tensor *shape, int axis, const double **out)
{
    const us_tensor *t = us_eval_opt(k, i);
    us_tensor w, v;
    *out = NULL;
    if (!t) return US_OK;
    US_TRY(us_eval_as(k, t, US_F64, &w));
    US_TRY(us_tensor_broadcast_view(k->c, &w, shape->rank - axis, shape->dims + axis, &v));
    US_TRY(us_eval_as(k, &v, US_F64, &w));
    *out = w.data;
    return US_OK;
}

/* stat_type: of the mean and the inverse deviation; NONE: float, or double for doubles. */
static us_err layer(us_eval *k, int64_t axis_attr, double eps, bool centre, us_dtype stat_type)
{
    us_tensor shape, *y, *stat[2] = {NULL, NULL};
    double *x, *mean, *inv;
    const double *scale, *bias;
    int axis;
    /* without a centre (RMS) the result has the scale's type */
    US_TRY(open_x_to(k, centre ? NULL : us_eval_opt(k, 1), &x, &shape, &y));
    US_TRY(us_eval_axis(k, axis_attr, shape.rank, &axis));
    int64_t len = us_dims_product(shape.dims, axis, shape.rank),
            n = us_dims_product(shape.dims, 0, axis);
    US_TRY(affine(k, 1, &shape, axis, &scale));
    US_TRY(affine(k, 2, &shape, axis, &bias));
    US_TRY(us_eval_scratch(k, (size_t)(n + 1) * sizeof *mean, (void **)&mean));
    US_TRY(us_eval_scratch(k, (size_t)(n + 1) * sizeof *inv, (void **)&inv));
    normalise(x, n, len, eps, centre, mean, inv);
    for (int64_t i = 0; i < n * len; i++) {
        if (scale) x[i] *= scale[i % len];
        if (bias) x[i] += bias[i % len];
    }
    put(y, x);
    int64_t dims[US_MAX_RANK];
    for (int i = 0; i < shape.rank; i++)
        dims[i] = i < axis ? shape.dims[i] : 1;
    us_dtype t = y->dtype == US_F64 ? US_F64 : US_F32;
    if (stat_type != US_DT_NONE) t = stat_type;
    for (size_t i = 1; i <= 2; i++) {
        if (!us_eval_wants(k, i)) continue;
        US_TRY(us_eval_out(k, i, t, shape.rank, dims, &stat[i - 1]));
        put(stat[i - 1], centre && i == 1 ? mean : inv);
    }
    return US_OK;
}

us_err layer_normalization_eval(us_eval *k)
{
    const us_p_layer_normalization *p = k->params;
    return layer(k, p->axis, (double)p->epsilon, true, stash_of(p));
}

US_INFER_AS(rms_normalization, us_infer_same)
us_err rms_normalization_eval(us_eval *k)
{
    const us_p_rms_normalization *p = k->params;
    return layer(k, p->axis, (double)p->epsilon, false, US_DT_NONE);
}

us_err simplified_layer_norm_infer(us_infer *k)
{
    const us_p_rms_normalization *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK];
    int axis;
    US_TRY(us_infer_same(k));
    if (!x || k->g->nodes.at[k->n].n_out < 2) return US_OK;
    US_TRY(us_infer_axis(k, p->axis, x->rank, &axis));
    for (int i = 0; i < x->rank; i++)
        d[i] = i < axis ? x->dims[i] : US_DIM(1);
    return us_infer_out(k, 1, x->dtype == US_F64 ? US_F64 : US_F32, x->rank, d);
}
us_err simplified_layer_norm_eval(us_eval *k)
{
    return rms_normalization_eval(k);
}

/* Text with the axes from `from` on in place of '#'. */
static us_err expand_axes(us_ctx *c, us_model *m, us_graph *g, us_nid n, int64_t from,
                          const char *text)
{
    const us_type *x = &g->vals.at[g->nodes.at[n].in[0]].type;
    int axis;
    if (x->kind != US_KIND_TENSOR || x->rank < 1 || !us_axis_norm(from, x->rank, &axis))
        return us_upgrade_fail(c, g, n, "expanding needs the rank of its input");
    char out[512];
    size_t at = 0;
    for (const char *s = text; *s && at + 64 < sizeof out; s++) {
        if (*s != '#') {
            out[at++] = *s;
            continue;
        }
        for (int i = axis; i < x->rank; i++) {
            if (i > axis) out[at++] = ',';
            if (i > 9) out[at++] = '1';
            out[at++] = (char)('0' + i % 10);
        }
    }
    out[at] = 0;
    return us_expand_text(c, m, g, n, out);
}

us_err layer_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_node *nd = &g->nodes.at[n];
    bool bias = nd->n_in > 2 && nd->in[2] != US_NIL;
    int64_t axis = ((const us_p_layer_normalization *)nd->params)->axis;
    return expand_axes(c, m, g, n, axis,
                       bias ? "a = ReduceMean<keepdims=1>(x0, [#]); d = Sub(x0, a);"
                              "v = ReduceMean<keepdims=1>(Mul(d, d), [#]);"
                              "i = Reciprocal(Sqrt(Add(v, $epsilon)));"
                              "y = Add(Mul(Mul(d, i), x1), x2); y1 = Cast<to=$stash_type>(a); "
                              "y2 = Cast<to=$stash_type>(i)"
                            : "a = ReduceMean<keepdims=1>(x0, [#]); d = Sub(x0, a);"
                              "v = ReduceMean<keepdims=1>(Mul(d, d), [#]);"
                              "i = Reciprocal(Sqrt(Add(v, $epsilon)));"
                              "y = Mul(Mul(d, i), x1); y1 = Cast<to=$stash_type>(a); y2 = "
                              "Cast<to=$stash_type>(i)");
}

us_err rms_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    int64_t axis = ((const us_p_rms_normalization *)g->nodes.at[n].params)->axis;
    return expand_axes(
        c, m, g, n, axis,
        us_expand_dtype(g, n, 0) == us_expand_dtype(g, n, 1)
            ? "v = ReduceMean<keepdims=1>(Mul(x0, x0), [#]);"
              "y = Mul(Mul(x0, Reciprocal(Sqrt(Add(v, $epsilon)))), x1)"
            : "v = ReduceMean<keepdims=1>(Mul(x0, x0), [#]);"
              "y = Mul(Cast<to=@x1>(Mul(x0, Reciprocal(Sqrt(Add(v, $epsilon))))), x1)");
}

us_err simplified_layer_norm_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    int64_t axis = ((const us_p_rms_normalization *)g->nodes.at[n].params)->axis;
    bool wide = g->vals.at[g->nodes.at[n].in[0]].type.dtype == US_F64;
    return expand_axes(c, m, g, n, axis,
                       wide ? "v = ReduceMean<keepdims=1>(Mul(x0, x0), [#]);"
                              "i = Reciprocal(Sqrt(Add(v, $epsilon)));"
                              "y = Mul(Mul(x0, i), x1); y1 = i"
                            : "v = ReduceMean<keepdims=1>(Mul(x0, x0), [#]);"
                              "i = Reciprocal(Sqrt(Add(v, $epsilon)));"
                              "y = Mul(Mul(x0, i), x1); y1 = Cast<to=1>(i)");
}

/* groups of channels normalised together; scale and bias per channel. */
static us_err by_groups(us_eval *k, int64_t groups, double eps)
{
    us_tensor shape, *y;
    double *x;
    const double *scale, *bias;
    US_TRY(open_x(k, &x, &shape, &y));
    if (shape.rank < 2 || groups < 1 || shape.dims[1] % groups)
        return us_eval_fail(k, US_SHAPE, "channels do not fall into %lld groups",
                            (long long)groups);
    int64_t n = shape.dims[0], c = shape.dims[1],
            inner = us_dims_product(shape.dims, 2, shape.rank);
    US_TRY(doubles(k, 1, c, &scale));
    US_TRY(doubles(k, 2, c, &bias));
    if (!scale || !bias) return us_eval_fail(k, US_ARG, "scale or bias is missing");
    normalise(x, n * groups, c / groups * inner, eps, true, NULL, NULL);
    for (int64_t i = 0; i < n * c * inner; i++)
        x[i] = x[i] * scale[i / inner % c] + bias[i / inner % c];
    put(y, x);
    return US_OK;
}

US_INFER_AS(instance_normalization, us_infer_same)
us_err instance_normalization_eval(us_eval *k)
{
    const us_tensor *x;
    US_TRY(us_eval_in(k, 0, &x));
    return by_groups(k, x->rank > 1 ? US_MAX(x->dims[1], 1) : 1,
                     (double)((const us_p_instance_normalization *)k->params)->epsilon);
}
us_err instance_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_type *x = &g->vals.at[g->nodes.at[n].in[0]].type;
    if (x->kind != US_KIND_TENSOR || x->rank < 3)
        return us_upgrade_fail(c, g, n, "expanding needs the rank of its input");
    /* scale and bias [C] get a trailing dimension per spatial one */
    static const char *const spread[] = {"[1]", "[1,2]", "[1,2,3]", "[1,2,3,4]"};
    if (x->rank > 6)
        return us_upgrade_fail(c, g, n, "expanding more than 4 spatial dimensions");
    char text[512];
    us_sv parts[] = {
        US_SV("a = ReduceMean<keepdims=1>(x0, [#]); d = Sub(x0, a);"
              "v = ReduceMean<keepdims=1>(Mul(d, d), [#]);"
              "s = Unsqueeze(x1, "),
        us_sv_of(spread[x->rank - 3]), US_SV("); b = Unsqueeze(x2, "),
        us_sv_of(spread[x->rank - 3]),
        US_SV("); y = Add(Mul(Mul(d, Reciprocal(Sqrt(Add(v, $epsilon)))), s), b)")};
    size_t at = 0;
    for (size_t i = 0; i < US_LEN(parts); i++) {
        memcpy(text + at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    text[at] = 0;
    return expand_axes(c, m, g, n, 2, text);
}

US_INFER_AS(group_normalization, us_infer_same)
us_err group_normalization_eval(us_eval *k)
{
    const us_p_group_normalization *p = k->params;
    return by_groups(k, p->num_groups, (double)p->epsilon);
}

/* --- LpNormalization, MeanVarianceNormalization, LRN ---------------------------------------------- */

US_INFER_AS(lp_normalization, us_infer_same)
us_err lp_normalization_eval(us_eval *k)
{
    const us_p_lp_normalization *p = k->params;
    us_tensor shape, *y;
    double *x;
    int axis;
    US_TRY(open_x(k, &x, &shape, &y));
    US_TRY(us_eval_axis(k, p->axis, shape.rank, &axis));
    if (p->p != 1 && p->p != 2)
        return us_eval_fail(k, US_ARG, "p is %lld, expected 1 or 2", (long long)p->p);
    int64_t n = shape.dims[axis], inner = us_dims_product(shape.dims, axis + 1, shape.rank);
    for (int64_t o = 0; o < us_dims_product(shape.dims, 0, axis); o++)
        for (int64_t j = 0; j < inner; j++) {
            double *v = x + o * n * inner + j, s = 0;
            for (int64_t i = 0; i < n; i++)
                s += p->p == 1 ? fabs(v[i * inner]) : v[i * inner] * v[i * inner];
            if (p->p == 2) s = sqrt(s);
            for (int64_t i = 0; i < n; i++)
                v[i * inner] = s == 0 ? 0 : v[i * inner] / s;
        }
    put(y, x);
    return US_OK;
}

US_INFER_AS(mean_variance_normalization, us_infer_same)
us_err mean_variance_normalization_eval(us_eval *k)
{
    const us_p_mean_variance_normalization *p = k->params;
    us_tensor shape, *y;
    double *x, *sum;
    bool gone[US_MAX_RANK] = {false};
    int64_t stride[US_MAX_RANK] = {0}, cells = 1, count = 1;
    static const int64_t usual[] = {0, 2, 3};
    us_ints axes = p->axes.n ? p->axes : (us_ints){usual, 3};
    US_TRY(open_x(k, &x, &shape, &y));
    for (size_t i = 0; i < axes.n; i++) {
        int a;
        US_TRY(us_eval_axis(k, axes.p[i], shape.rank, &a));
        gone[a] = true;
    }
    for (int i = shape.rank - 1; i >= 0; i--) {
        if (gone[i]) {
            count *= shape.dims[i];
            continue;
        }
        stride[i] = cells;
        cells *= shape.dims[i];
    }
    US_TRY(us_eval_scratch(k, (size_t)(2 * cells + 1) * sizeof *sum, (void **)&sum));
    memset(sum, 0, (size_t)(2 * cells) * sizeof *sum);
    for (int pass = 0; pass < 3; pass++) /* mean, variance, result */
        for (int64_t i = 0, n = us_tensor_count(&shape); i < n; i++) {
            int64_t cell = 0, rest = i;
            for (int j = shape.rank - 1; j >= 0; j--) {
                cell += rest % shape.dims[j] * stride[j];
                rest /= shape.dims[j];
            }
            double d = x[i] - sum[cell];
            if (pass == 0) sum[cell] += x[i] / (double)count;
            if (pass == 1) sum[cells + cell] += d * d / (double)count;
            if (pass == 2) x[i] = d / (sqrt(sum[cells + cell]) + 1e-9);
        }
    put(y, x);
    return US_OK;
}

US_INFER_AS(lrn, us_infer_same)
us_err lrn_eval(us_eval *k)
{
    const us_p_lrn *p = k->params;
    us_tensor shape, *y;
    double *x, *out;
    US_TRY(open_x(k, &x, &shape, &y));
    if (shape.rank < 2 || p->size < 1)
        return us_eval_fail(k, US_SHAPE, "needs channels and a size of at least 1");
    int64_t c = shape.dims[1], inner = us_dims_product(shape.dims, 2, shape.rank),
            n = us_tensor_count(&shape);
    US_TRY(us_eval_scratch(k, (size_t)(n + 1) * sizeof *out, (void **)&out));
    US_TRY(us_eval_work(k, (double)n * (double)US_MIN(p->size, c)));
    for (int64_t i = 0; i < n; i++) {
        int64_t ch = i / inner % c, lo = US_MAX(ch - (p->size - 1) / 2, 0),
                hi = US_MIN(ch + p->size / 2, c - 1);
        double s = 0;
        for (int64_t q = lo; q <= hi; q++)
            s += x[i + (q - ch) * inner] * x[i + (q - ch) * inner];
        out[i] = x[i] /
                 pow((double)p->bias + (double)p->alpha / (double)p->size * s, (double)p->beta);
    }
    put(y, out);
    return US_OK;
}
