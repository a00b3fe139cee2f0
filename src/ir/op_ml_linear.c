/* ir/op_ml_linear.c - ai.onnx.ml.LinearClassifier and LinearRegressor. */
#include "ir/ml_post.h"

#include <math.h>

/* clang-format off */
static const us_param linear_classifier_in[] = {
    {"X", '1', US_M(F32) | US_M(I32) | US_M(I64) | US_M(F64), 0}, US_PARAM_END};
static const us_param linear_classifier_out[] = {
    {"Y", '2', US_M(I64) | US_M(STRING), 0}, {"Z", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row linear_classifier_attrs[] = {
    US_AIS(us_p_ml_linear_classifier, classlabels_ints, "classlabels_ints"),
    US_ASS(us_p_ml_linear_classifier, classlabels_strings, "classlabels_strings"),
    {.name = "coefficients", .kind = US_AT_FLOATS, .offset = offsetof(us_p_ml_linear_classifier, coefficients), .required = true},
    US_AFS(us_p_ml_linear_classifier, intercepts, "intercepts"),
    US_AI(us_p_ml_linear_classifier, multi_class, "multi_class", 0),
    US_AS(us_p_ml_linear_classifier, post_transform, "post_transform", "NONE"), US_ATTR_END};
const us_schema ml_linear_classifier_schemas[] = {
    {1, linear_classifier_in, linear_classifier_out, linear_classifier_attrs, sizeof(us_p_ml_linear_classifier), NULL},
    {0}};

static const us_param linear_regressor_in[] = {
    {"X", 'T', US_M(F32) | US_M(I32) | US_M(I64) | US_M(F64), 0}, US_PARAM_END};
static const us_param linear_regressor_out[] = {{"Y", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row linear_regressor_attrs[] = {
    US_AFS(us_p_ml_linear_regressor, coefficients, "coefficients"),
    US_AFS(us_p_ml_linear_regressor, intercepts, "intercepts"),
    US_AS(us_p_ml_linear_regressor, post_transform, "post_transform", "NONE"),
    US_AI(us_p_ml_linear_regressor, targets, "targets", 1), US_ATTR_END};
const us_schema ml_linear_regressor_schemas[] = {
    {1, linear_regressor_in, linear_regressor_out, linear_regressor_attrs, sizeof(us_p_ml_linear_regressor), NULL},
    {0}};
/* clang-format on */

/* s[e] = sum_d x[d] coef[e,d] + intercept[e], summed in double. */
static void scores(const us_tensor *x, int64_t row, int64_t d, us_floats coef, us_floats icept,
                   size_t n, double *s)
{
    for (size_t e = 0; e < n; e++) {
        const float *c = coef.p + e * (size_t)d;
        double v = e < icept.n ? (double)icept.p[e] : 0;
        for (int64_t j = 0; j < d; j++)
            v += (double)c[j] * (x->dtype == US_F64
                                     ? ((const double *)x->data)[row * d + j]
                                     : (double)((const float *)x->data)[row * d + j]);
        s[e] = v;
    }
}

static us_err widths(us_eval *k, us_floats coef, int64_t d, size_t *n)
{
    if (d < 1 || coef.n == 0 || coef.n % (size_t)d)
        return us_eval_fail(k, US_SHAPE, "%zu coefficients for %lld columns", coef.n,
                            (long long)d);
    *n = coef.n / (size_t)d;
    return US_OK;
}

static us_labels labels_of(const us_p_ml_linear_classifier *p)
{
    return (us_labels){p->classlabels_ints, p->classlabels_strings};
}

us_err ml_linear_classifier_infer(us_infer *k)
{
    const us_p_ml_linear_classifier *p = k->params;
    us_labels l = labels_of(p);
    us_dim n;
    US_TRY(us_ml_infer_rows(k, &n));
    US_TRY(us_infer_out(k, 0, us_labels_type(&l), 1, &n));
    size_t k_out = us_labels_count(&l);
    const us_type *x = us_infer_ranked(k, 0);
    us_dim classes = US_DIM((int64_t)k_out);
    if (k_out == 0) { /* no labels: as many as there are rows of coefficients */
        us_dim d = x && x->rank ? x->dims[x->rank - 1] : US_DIM(0);
        if (us_dim_known(d) && d.add > 0)
            classes = US_DIM((int64_t)p->coefficients.n / d.add);
        else
            US_TRY(us_infer_fresh(k, &classes));
    }
    return us_infer_out(k, 1, US_F32, 2, (us_dim[]){n, classes});
}

/* One row of coefficients with two labels: a score above 0 means the second. */
us_err ml_linear_classifier_eval(us_eval *k)
{
    const us_p_ml_linear_classifier *p = k->params;
    us_labels l = labels_of(p);
    us_tensor x, *yl = NULL, *ys = NULL;
    int64_t n, d;
    size_t rows = 0, n_labels = us_labels_count(&l);
    us_post post;
    double *s;
    US_TRY(us_ml_rows(k, &x, &n, &d));
    US_TRY(widths(k, p->coefficients, d, &rows));
    US_TRY(us_ml_post_find(k, p->post_transform, &post));
    US_TRY(us_eval_work(k, (double)n * (double)d * (double)rows));
    bool pair = rows == 1 && n_labels == 2;
    if (n_labels && n_labels != rows && !pair)
        return us_eval_fail(k, US_SHAPE, "%zu labels for %zu rows of coefficients", n_labels,
                            rows);
    size_t width = pair ? 2 : rows;
    US_TRY(us_eval_scratch(k, (width + 2) * sizeof *s, (void **)&s));
    if (us_eval_wants(k, 0)) US_TRY(us_eval_out(k, 0, us_labels_type(&l), 1, &n, &yl));
    if (us_eval_wants(k, 1))
        US_TRY(us_eval_out(k, 1, US_F32, 2, (int64_t[]){n, (int64_t)width}, &ys));
    for (int64_t i = 0; i < n; i++) {
        size_t best = 0;
        scores(&x, i, d, p->coefficients, p->intercepts, rows, s);
        for (size_t e = 1; e < rows; e++)
            if (s[e] > s[best]) best = e;
        if (rows == 1) best = s[0] > 0;
        if (rows == 1 && n_labels == 1) best = 0;
        if (pair)
            us_ml_post_pair(post, true, s[0], s);
        else
            us_ml_post(post, s, rows);
        if (yl) us_labels_put(&l, best, yl, i);
        for (size_t e = 0; ys && e < width; e++)
            ((float *)ys->data)[i * (int64_t)width + (int64_t)e] = (float)s[e];
    }
    return US_OK;
}

us_err ml_linear_regressor_infer(us_infer *k)
{
    const us_p_ml_linear_regressor *p = k->params;
    us_dim n;
    US_TRY(us_ml_infer_rows(k, &n));
    return us_infer_out(k, 0, US_F32, 2, (us_dim[]){n, US_DIM(p->targets)});
}

us_err ml_linear_regressor_eval(us_eval *k)
{
    const us_p_ml_linear_regressor *p = k->params;
    us_tensor x, *y;
    int64_t n, d;
    size_t rows = 0;
    us_post post;
    double *s;
    US_TRY(us_ml_rows(k, &x, &n, &d));
    US_TRY(widths(k, p->coefficients, d, &rows));
    US_TRY(us_ml_post_find(k, p->post_transform, &post));
    US_TRY(us_eval_work(k, (double)n * (double)d * (double)rows));
    if ((int64_t)rows != p->targets)
        return us_eval_fail(k, US_SHAPE, "%zu rows of coefficients for %lld targets", rows,
                            (long long)p->targets);
    US_TRY(us_eval_scratch(k, rows * sizeof *s, (void **)&s));
    US_TRY(us_eval_out(k, 0, US_F32, 2, (int64_t[]){n, p->targets}, &y));
    for (int64_t i = 0; i < n; i++) {
        scores(&x, i, d, p->coefficients, p->intercepts, rows, s);
        us_ml_post(post, s, rows);
        for (size_t e = 0; e < rows; e++)
            ((float *)y->data)[i * (int64_t)rows + (int64_t)e] = (float)s[e];
    }
    return US_OK;
}
