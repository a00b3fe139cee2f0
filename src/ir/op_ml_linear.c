/* ir/op_ml_linear.c - ai.onnx.ml.LinearClassifier and LinearRegressor. */
#include "ir/ml_post.h"
#include "ir/product.h"

#include <math.h>
#include <string.h>

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

/* What is made of the scores of a row, and where it goes. */
typedef struct classes {
    us_labels labels;
    us_post post;
    size_t rows, width; /* of coefficients; of the outcome */
    bool pair; /* one row of coefficients with two labels: a score above 0 means the second */
    us_tensor *yl, *ys; /* NULL: not wanted */
} classes;

/* s has room for two. */
static void put_class(const classes *c, double *s, int64_t i)
{
    size_t best = 0;
    for (size_t e = 1; e < c->rows; e++)
        if (s[e] > s[best]) best = e;
    if (c->rows == 1) best = s[0] > 0 && us_labels_count(&c->labels) != 1;
    if (c->pair)
        us_ml_post_pair(c->post, true, s[0], s);
    else
        us_ml_post(c->post, s, c->rows);
    if (c->yl) us_labels_put(&c->labels, best, c->yl, i);
    for (size_t e = 0; c->ys && e < c->width; e++)
        ((float *)c->ys->data)[i * (int64_t)c->width + (int64_t)e] = (float)s[e];
}

static bool settle_classes(const us_p_ml_linear_classifier *p, size_t rows, classes *c)
{
    c->labels = labels_of(p);
    size_t n = us_labels_count(&c->labels);
    c->rows = rows;
    c->pair = rows == 1 && n == 2;
    c->width = c->pair ? 2 : rows;
    return !n || n == rows || c->pair;
}

us_err ml_linear_classifier_eval(us_eval *k)
{
    const us_p_ml_linear_classifier *p = k->params;
    classes c = {.yl = NULL};
    us_tensor x;
    int64_t n, d;
    size_t rows = 0;
    double *s;
    US_TRY(us_ml_rows(k, &x, &n, &d));
    US_TRY(widths(k, p->coefficients, d, &rows));
    US_TRY(us_ml_post_find(k, p->post_transform, &c.post));
    US_TRY(us_eval_work(k, (double)n * (double)d * (double)rows));
    if (!settle_classes(p, rows, &c))
        return us_eval_fail(k, US_SHAPE, "%zu labels for %zu rows of coefficients",
                            us_labels_count(&c.labels), rows);
    US_TRY(us_eval_scratch(k, (c.width + 2) * sizeof *s, (void **)&s));
    if (us_eval_wants(k, 0)) US_TRY(us_eval_out(k, 0, us_labels_type(&c.labels), 1, &n, &c.yl));
    if (us_eval_wants(k, 1))
        US_TRY(us_eval_out(k, 1, US_F32, 2, (int64_t[]){n, (int64_t)c.width}, &c.ys));
    for (int64_t i = 0; i < n; i++) {
        scores(&x, i, d, p->coefficients, p->intercepts, rows, s);
        put_class(&c, s, i);
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

/* --- calls ----------------------------------------------------------------------------------------- */

enum { BLOCK = 16 }; /* rows whose scores are made at once */

typedef struct linear_call {
    const us_weights *w;
    size_t n, at_double; /* rows; where in scratch the doubles of one row are */
    size_t at_gemm;
    classes c;
} linear_call;

/* Coefficients packed, room for a block's scores. *out stays NULL where eval is to say what is wrong. */
static us_err bind_linear(us_eval *k, us_floats coef, us_floats icept, linear_call **out,
                          us_call *call)
{
    const us_tensor *x = us_eval_opt(k, 0);
    void *keep, *bias;
    us_weights *w;
    if (!x || x->dtype != US_F32 || x->rank < 1 || x->rank > 2 || !us_tensor_contiguous(x)) {
        call->kernel = "not rows of float32";
        return US_OK;
    }
    size_t d = (size_t)x->dims[x->rank - 1], e = coef.n / d;
    if (coef.n == 0 || coef.n % d) return US_OK;
    US_TRY(us_eval_keep(k, e * sizeof(float), &bias)); /* zeros */
    if (icept.n) memcpy(bias, icept.p, US_MIN(icept.n, e) * sizeof(float));
    us_gemm_weights g = {.n = e, .k = d, .b = coef.p, .ldb = d, .trans = true, .scale = 1};
    US_TRY(us_weights_new(k, &g, bias, &w));
    US_TRY(us_eval_keep(k, sizeof(linear_call), &keep));
    linear_call *t = keep;
    t->w = w;
    t->n = x->rank == 2 ? (size_t)x->dims[0] : 1;
    t->at_double = (BLOCK * e + 15) / 16 * 16 * sizeof(float);
    t->at_gemm = t->at_double + (e + 2 + 7) / 8 * 8 * sizeof(double);
    call->scratch = t->at_gemm + w->kernels->scratch(BLOCK, e, d);
    US_TRY(us_eval_work(k, (double)t->n * (double)d * (double)e));
    *out = t;
    return US_OK;
}

typedef void row_fn(const us_eval *k, const classes *c, double *s, size_t row);

static void all_rows(const linear_call *t, us_eval *k, void *scratch, const classes *c,
                     row_fn *row)
{
    float *sums = scratch;
    double *s = (void *)((char *)scratch + t->at_double);
    us_pgemm_args g = {.n = t->w->n,
                       .k = t->w->k,
                       .j1 = t->w->n,
                       .a = k->in[0]->t.data,
                       .lda = t->w->k,
                       .w = t->w->w,
                       .bias = t->w->bias,
                       .lo = -INFINITY,
                       .hi = INFINITY,
                       .c = sums,
                       .ldc = t->w->n,
                       .scratch = (char *)scratch + t->at_gemm};
    for (size_t i = 0; i < t->n; i += BLOCK, g.a += BLOCK * g.lda) {
        g.m = US_MIN((size_t)BLOCK, t->n - i);
        t->w->kernels->run(&g);
        for (size_t r = 0; r < g.m; r++) {
            for (size_t e = 0; e < g.n; e++)
                s[e] = (double)sums[r * g.n + e];
            row(k, c, s, i + r);
        }
    }
}

static void class_row(const us_eval *k, const classes *c, double *s, size_t row)
{
    (void)k;
    put_class(c, s, (int64_t)row);
}

static us_err run_classifier(us_eval *k, const void *state, void *scratch)
{
    const linear_call *t = state;
    classes c = t->c;
    c.yl = us_eval_wants(k, 0) ? &k->out[0]->t : NULL;
    c.ys = us_eval_wants(k, 1) ? &k->out[1]->t : NULL;
    all_rows(t, k, scratch, &c, class_row);
    return US_OK;
}

us_err ml_linear_classifier_bind(us_eval *k, us_call *call)
{
    const us_p_ml_linear_classifier *p = k->params;
    linear_call *t = NULL;
    US_TRY(bind_linear(k, p->coefficients, p->intercepts, &t, call));
    if (!t || us_ml_post_find(k, p->post_transform, &t->c.post) != US_OK ||
        !settle_classes(p, t->w->n, &t->c))
        return US_OK;
    const us_tensor *ys = us_eval_opt_out(k, 1);
    if (ys && us_tensor_count(ys) != (int64_t)(t->n * t->c.width)) return US_OK;
    call->state = t;
    call->run = run_classifier;
    call->kernel = t->w->kernels->name;
    return US_OK;
}

static void target_row(const us_eval *k, const classes *c, double *s, size_t row)
{
    float *y = (float *)k->out[0]->t.data + row * c->rows;
    us_ml_post(c->post, s, c->rows);
    for (size_t e = 0; e < c->rows; e++)
        y[e] = (float)s[e];
}

static us_err run_regressor(us_eval *k, const void *state, void *scratch)
{
    const linear_call *t = state;
    all_rows(t, k, scratch, &t->c, target_row);
    return US_OK;
}

us_err ml_linear_regressor_bind(us_eval *k, us_call *call)
{
    const us_p_ml_linear_regressor *p = k->params;
    linear_call *t = NULL;
    US_TRY(bind_linear(k, p->coefficients, p->intercepts, &t, call));
    if (!t || us_ml_post_find(k, p->post_transform, &t->c.post) != US_OK) return US_OK;
    const us_tensor *y = us_eval_opt_out(k, 0);
    t->c.rows = t->w->n;
    if ((int64_t)t->c.rows != p->targets || !y ||
        us_tensor_count(y) != (int64_t)(t->n * t->c.rows))
        return US_OK;
    call->state = t;
    call->run = run_regressor;
    call->kernel = t->w->kernels->name;
    return US_OK;
}
