/* ir/op_ml_bind.c - operators of ai.onnx.ml on columns of floats for known shapes: impute, scale, normalise, threshold, pick, join.
 *
 * They stand in front of trees and linear models and mostly see one row, where looking at types and shapes again takes longer than the work.
 */
#include "ir/ml_post.h"

#include <math.h>
#include <string.h>

typedef struct columns {
    size_t n, d;        /* rows, columns */
    const void *params; /* of the node */
    int kind;
} columns;

/* Floats, and as many come out. */
static us_err bind_columns(us_eval *k, int kind, us_call_fn *run, us_call *call)
{
    const us_tensor *x = us_eval_dense_f32(k, 0), *y = us_eval_opt_out(k, 0);
    void *keep;
    if (!x || !y || us_tensor_count(x) != us_tensor_count(y)) {
        call->kernel = "not float32";
        return US_OK;
    }
    US_TRY(us_eval_keep(k, sizeof(columns), &keep));
    columns *c = keep;
    c->d = x->rank ? (size_t)x->dims[x->rank - 1] : 1;
    c->n = (size_t)us_tensor_count(x) / c->d;
    c->params = k->params;
    c->kind = kind;
    call->state = c;
    call->run = run;
    call->kernel = "us_columns";
    return US_OK;
}

static bool is_one_or_per_column(us_floats v, const us_tensor *x)
{
    return v.n == 1 || (x && v.n == (x->rank ? (size_t)x->dims[x->rank - 1] : 1));
}

/* --- Imputer, Scaler, Binarizer ------------------------------------------------------------------ */

static us_err run_imputer(us_eval *k, const void *state, void *scratch)
{
    const columns *c = state;
    const us_p_ml_imputer *p = c->params;
    const float *x = k->in[0]->t.data;
    float *y = k->out[0]->t.data, from = p->replaced_value_float;
    us_floats to = p->imputed_value_floats;
    bool nan = isnan(from) != 0;
    (void)scratch;
    for (size_t i = 0; i < c->n; i++, x += c->d, y += c->d)
        for (size_t j = 0; j < c->d; j++)
            y[j] = (nan ? isnan(x[j]) != 0 : x[j] == from) ? to.p[to.n == 1 ? 0 : j] : x[j];
    return US_OK;
}

us_err ml_imputer_bind(us_eval *k, us_call *call)
{
    const us_p_ml_imputer *p = k->params;
    if (!is_one_or_per_column(p->imputed_value_floats, us_eval_opt(k, 0))) return US_OK;
    return bind_columns(k, 0, run_imputer, call);
}

static us_err run_scaler(us_eval *k, const void *state, void *scratch)
{
    const columns *c = state;
    const us_p_ml_scaler *p = c->params;
    const float *x = k->in[0]->t.data, none[] = {0, 1};
    float *y = k->out[0]->t.data;
    const float *o = p->offset.n ? p->offset.p : &none[0],
                *s = p->scale.n ? p->scale.p : &none[1];
    size_t so = p->offset.n > 1, ss = p->scale.n > 1;
    (void)scratch;
    for (size_t i = 0; i < c->n; i++, x += c->d, y += c->d)
        for (size_t j = 0; j < c->d; j++)
            y[j] = (x[j] - o[so * j]) * s[ss * j];
    return US_OK;
}

us_err ml_scaler_bind(us_eval *k, us_call *call)
{
    const us_p_ml_scaler *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0);
    if ((p->offset.n && !is_one_or_per_column(p->offset, x)) ||
        (p->scale.n && !is_one_or_per_column(p->scale, x)))
        return US_OK;
    return bind_columns(k, 0, run_scaler, call);
}

static us_err run_binarizer(us_eval *k, const void *state, void *scratch)
{
    const columns *c = state;
    const us_p_ml_binarizer *p = c->params;
    const float *x = k->in[0]->t.data;
    float *y = k->out[0]->t.data;
    (void)scratch;
    for (size_t i = 0; i < c->n * c->d; i++)
        y[i] = x[i] > p->threshold ? 1.0F : 0.0F;
    return US_OK;
}

us_err ml_binarizer_bind(us_eval *k, us_call *call)
{
    return bind_columns(k, 0, run_binarizer, call);
}

/* --- Normalizer ------------------------------------------------------------------------------------ */

enum { NORM_MAX, NORM_L1, NORM_L2 };

static double norm_of(int kind, size_t d, const float *x)
{
    double s = kind == NORM_MAX ? -(double)INFINITY : 0;
    for (size_t j = 0; j < d && kind == NORM_MAX; j++)
        s = fmax(s, (double)x[j]);
    for (size_t j = 0; j < d && kind == NORM_L1; j++)
        s += fabs((double)x[j]);
    for (size_t j = 0; j < d && kind == NORM_L2; j++)
        s += (double)x[j] * (double)x[j];
    return kind == NORM_L2 ? sqrt(s) : s;
}

static us_err run_normalizer(us_eval *k, const void *state, void *scratch)
{
    const columns *c = state;
    const float *x = k->in[0]->t.data;
    float *y = k->out[0]->t.data;
    (void)scratch;
    for (size_t i = 0; i < c->n; i++, x += c->d, y += c->d) {
        double norm = norm_of(c->kind, c->d, x);
        if (norm == 0) norm = 1;
        for (size_t j = 0; j < c->d; j++)
            y[j] = (float)((double)x[j] / norm);
    }
    return US_OK;
}

us_err ml_normalizer_bind(us_eval *k, us_call *call)
{
    static const char *const names[] = {"MAX", "L1", "L2"};
    const us_p_ml_normalizer *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0);
    if (!x || x->rank < 1 || x->rank > 2) return US_OK;
    for (int i = 0; i < 3; i++)
        if (us_sv_is(p->norm, names[i])) return bind_columns(k, i, run_normalizer, call);
    return US_OK;
}

/* --- ArrayFeatureExtractor ------------------------------------------------------------------------- */

typedef struct picked {
    size_t rows, d, n, size;
} picked;

static us_err run_extractor(us_eval *k, const void *state, void *scratch)
{
    const picked *p = state;
    const int64_t *index = k->in[1]->t.data;
    const char *x = k->in[0]->t.data;
    char *y = k->out[0]->t.data;
    (void)scratch;
    for (size_t j = 0; j < p->n; j++)
        if (index[j] < 0 || index[j] >= (int64_t)p->d)
            return us_eval_fail(k, US_ARG, "index %lld of %zu columns", (long long)index[j],
                                p->d);
    for (size_t i = 0; i < p->rows; i++, x += p->d * p->size)
        for (size_t j = 0; j < p->n; j++, y += p->size)
            memcpy(y, x + (size_t)index[j] * p->size, p->size);
    return US_OK;
}

us_err ml_array_feature_extractor_bind(us_eval *k, us_call *call)
{
    const us_tensor *x = us_eval_opt(k, 0), *i = us_eval_opt(k, 1), *y = us_eval_opt_out(k, 0);
    void *keep;
    if (!x || !i || !y || x->rank < 1 || x->dtype == US_STRING || i->dtype != US_I64 ||
        !us_tensor_contiguous(x) || !us_tensor_contiguous(i))
        return US_OK;
    US_TRY(us_eval_keep(k, sizeof(picked), &keep));
    picked *p = keep;
    p->d = (size_t)x->dims[x->rank - 1];
    p->rows = (size_t)us_tensor_count(x) / p->d;
    p->n = (size_t)us_tensor_count(i);
    p->size = us_dtype_get(x->dtype)->bits / 8;
    if ((size_t)us_tensor_count(y) != p->rows * p->n || y->dtype != x->dtype) return US_OK;
    call->state = p;
    call->run = run_extractor;
    call->kernel = "us_columns";
    return US_OK;
}

/* --- FeatureVectorizer ----------------------------------------------------------------------------- */

typedef struct joined {
    size_t n, total;
    size_t *d; /* columns of each input */
} joined;

static us_err run_vectorizer(us_eval *k, const void *state, void *scratch)
{
    const joined *v = state;
    const us_p_ml_feature_vectorizer *p = k->params;
    float *y = k->out[0]->t.data;
    size_t at = 0;
    (void)scratch;
    for (size_t i = 0; i < k->n_in; i++) {
        const float *x = k->in[i]->t.data;
        size_t want = (size_t)p->inputdimensions.p[i], take = US_MIN(v->d[i], want);
        for (size_t r = 0; r < v->n; r++) {
            memcpy(y + r * v->total + at, x + r * v->d[i], take * sizeof *y);
            memset(y + r * v->total + at + take, 0, (want - take) * sizeof *y);
        }
        at += want;
    }
    return US_OK;
}

us_err ml_feature_vectorizer_bind(us_eval *k, us_call *call)
{
    const us_p_ml_feature_vectorizer *p = k->params;
    const us_tensor *y = us_eval_opt_out(k, 0);
    void *keep, *d;
    if (!y || y->rank != 2 || k->n_in == 0 || p->inputdimensions.n != k->n_in) return US_OK;
    US_TRY(us_eval_keep(k, sizeof(joined), &keep));
    US_TRY(us_eval_keep(k, k->n_in * sizeof(size_t), &d));
    joined *v = keep;
    v->n = (size_t)y->dims[0];
    v->d = d;
    for (size_t i = 0; i < k->n_in; i++) {
        const us_tensor *x = us_eval_dense_f32(k, i);
        int64_t want = p->inputdimensions.p[i];
        if (!x || x->rank < 1 || x->rank > 2 || want < 0 || want > INT32_MAX ||
            (x->rank == 2 ? x->dims[0] : 1) != y->dims[0])
            return US_OK;
        v->d[i] = (size_t)x->dims[x->rank - 1];
        v->total += (size_t)want;
    }
    if ((int64_t)v->total != y->dims[1]) return US_OK;
    call->state = v;
    call->run = run_vectorizer;
    call->kernel = "us_columns";
    return US_OK;
}
