/* ir/op_ml_prep.c - ai.onnx.ml operators on columns: impute, scale, normalise, threshold, pick, join. */
#include "ir/ml_post.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param imputer_in[] = {{"X", 'T', US_M(F32) | US_M(I32) | US_M(I64) | US_M(F64), 0}, US_PARAM_END};
static const us_param imputer_out[] = {{"Y", 'T', US_M(F32) | US_M(I32) | US_M(I64) | US_M(F64), 0}, US_PARAM_END};
static const us_attr_row imputer_attrs[] = {
    US_AFS(us_p_ml_imputer, imputed_value_floats, "imputed_value_floats"),
    US_AIS(us_p_ml_imputer, imputed_value_int64s, "imputed_value_int64s"),
    US_AF(us_p_ml_imputer, replaced_value_float, "replaced_value_float", 0.0F),
    US_AI(us_p_ml_imputer, replaced_value_int64, "replaced_value_int64", 0), US_ATTR_END};
const us_schema ml_imputer_schemas[] = {
    {1, imputer_in, imputer_out, imputer_attrs, sizeof(us_p_ml_imputer), NULL},
    {0}};

static const us_param scaler_out[] = {{"Y", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row scaler_attrs[] = {
    US_AFS(us_p_ml_scaler, offset, "offset"), US_AFS(us_p_ml_scaler, scale, "scale"), US_ATTR_END};
const us_schema ml_scaler_schemas[] = {
    {1, imputer_in, scaler_out, scaler_attrs, sizeof(us_p_ml_scaler), NULL},
    {0}};

static const us_attr_row normalizer_attrs[] = {US_AS(us_p_ml_normalizer, norm, "norm", "MAX"), US_ATTR_END};
const us_schema ml_normalizer_schemas[] = {
    {1, imputer_in, scaler_out, normalizer_attrs, sizeof(us_p_ml_normalizer), NULL},
    {0}};

static const us_attr_row binarizer_attrs[] = {US_AF(us_p_ml_binarizer, threshold, "threshold", 0.0F), US_ATTR_END};
const us_schema ml_binarizer_schemas[] = {
    {1, imputer_in, imputer_out, binarizer_attrs, sizeof(us_p_ml_binarizer), NULL},
    {0}};

static const us_param array_feature_extractor_in[] = {
    {"X", 'T', US_M(F32) | US_M(I32) | US_M(I64) | US_M(STRING) | US_M(F64), 0}, {"Y", '\0', US_M(I64), 0},
    US_PARAM_END};
static const us_param array_feature_extractor_out[] = {
    {"Z", 'T', US_M(F32) | US_M(I32) | US_M(I64) | US_M(STRING) | US_M(F64), 0}, US_PARAM_END};
const us_schema ml_array_feature_extractor_schemas[] = {
    {1, array_feature_extractor_in, array_feature_extractor_out, NULL, 0, NULL},
    {0}};

static const us_param feature_vectorizer_in[] = {
    {"X", '1', US_M(F32) | US_M(I32) | US_M(I64) | US_M(F64), US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row feature_vectorizer_attrs[] = {
    US_AIS(us_p_ml_feature_vectorizer, inputdimensions, "inputdimensions"), US_ATTR_END};
const us_schema ml_feature_vectorizer_schemas[] = {
    {1, feature_vectorizer_in, scaler_out, feature_vectorizer_attrs, sizeof(us_p_ml_feature_vectorizer), NULL},
    {0}};
/* clang-format on */

/* --- Imputer ------------------------------------------------------------------------------------- */

US_INFER_AS(ml_imputer, us_infer_same)

static us_err one_or_per_column(us_eval *k, const char *what, size_t n, int64_t d)
{
    if (n == 1 || (int64_t)n == d) return US_OK;
    return us_eval_fail(k, US_ARG, "%zu values of %s for %lld columns", n, what, (long long)d);
}

us_err ml_imputer_eval(us_eval *k)
{
    const us_p_ml_imputer *p = k->params;
    us_tensor x, *y;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    int64_t n = us_tensor_count(&x), d = x.rank ? x.dims[x.rank - 1] : 1;
    us_dclass cls = (us_dclass)us_dtype_get(x.dtype)->cls;
    if (cls == US_DC_INT) {
        US_TRY(one_or_per_column(k, "imputed_value_int64s", p->imputed_value_int64s.n, d));
        for (int64_t i = 0; i < n; i++) {
            int64_t v = us_tensor_i64_at(&x, i);
            size_t j = p->imputed_value_int64s.n == 1 ? 0 : (size_t)(i % d);
            if (v == p->replaced_value_int64) v = p->imputed_value_int64s.p[j];
            us_dtype_get(x.dtype)->from_i64(y->data, (size_t)i, 1, &v);
        }
        return US_OK;
    }
    if (cls != US_DC_FLOAT) return us_eval_no_type(k, x.dtype);
    US_TRY(one_or_per_column(k, "imputed_value_floats", p->imputed_value_floats.n, d));
    bool nan = isnan(p->replaced_value_float) != 0;
    for (int64_t i = 0; i < n; i++) {
        double v = us_tensor_f64_at(&x, i);
        size_t j = p->imputed_value_floats.n == 1 ? 0 : (size_t)(i % d);
        if (nan ? isnan(v) : v == (double)p->replaced_value_float)
            v = (double)p->imputed_value_floats.p[j];
        us_dtype_get(x.dtype)->from_f64(y->data, (size_t)i, 1, &v);
    }
    return US_OK;
}

/* --- Scaler -------------------------------------------------------------------------------------- */

static us_err same_as_float(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    if (!x) return us_infer_out(k, 0, US_F32, -1, NULL);
    return us_infer_out(k, 0, US_F32, x->rank, x->dims);
}
US_INFER_AS(ml_scaler, same_as_float)

us_err ml_scaler_eval(us_eval *k)
{
    const us_p_ml_scaler *p = k->params;
    const us_tensor *in;
    us_tensor x, *y;
    US_TRY(us_eval_in(k, 0, &in));
    US_TRY(us_eval_as(k, in, in->dtype == US_F32 ? US_F32 : US_F64, &x));
    int64_t n = us_tensor_count(&x), d = x.rank ? x.dims[x.rank - 1] : 1;
    if (p->offset.n) US_TRY(one_or_per_column(k, "offset", p->offset.n, d));
    if (p->scale.n) US_TRY(one_or_per_column(k, "scale", p->scale.n, d));
    US_TRY(us_eval_out(k, 0, US_F32, x.rank, x.dims, &y));
    float *out = y->data;
    for (int64_t i = 0; i < n; i++) {
        size_t j = (size_t)(i % d);
        float o = p->offset.n ? p->offset.p[p->offset.n == 1 ? 0 : j] : 0;
        float s = p->scale.n ? p->scale.p[p->scale.n == 1 ? 0 : j] : 1;
        if (x.dtype == US_F32)
            out[i] = (((float *)x.data)[i] - o) * s;
        else
            out[i] = (float)((((double *)x.data)[i] - (double)o) * (double)s);
    }
    return US_OK;
}

/* --- Normalizer, Binarizer ----------------------------------------------------------------------- */

US_INFER_AS(ml_normalizer, same_as_float)
us_err ml_normalizer_eval(us_eval *k)
{
    const us_p_ml_normalizer *p = k->params;
    us_tensor x, *y;
    int64_t n, d;
    US_TRY(us_ml_rows(k, &x, &n, &d));
    bool max = us_sv_is(p->norm, "MAX"), l1 = us_sv_is(p->norm, "L1");
    if (!max && !l1 && !us_sv_is(p->norm, "L2"))
        return us_eval_fail(k, US_ARG, "norm '" US_SV_FMT "'", US_SV_ARG(p->norm));
    US_TRY(us_eval_out(k, 0, US_F32, x.rank, x.dims, &y));
    for (int64_t i = 0; i < n; i++) {
        double norm = max ? -(double)INFINITY : 0;
        for (int64_t j = 0; j < d; j++) {
            double v = us_tensor_f64_at(&x, i * d + j);
            norm = max ? fmax(norm, v) : norm + (l1 ? fabs(v) : v * v);
        }
        if (!max && !l1) norm = sqrt(norm);
        for (int64_t j = 0; j < d; j++) {
            double v = us_tensor_f64_at(&x, i * d + j);
            ((float *)y->data)[i * d + j] = (float)(norm != 0 ? v / norm : v);
        }
    }
    return US_OK;
}

US_INFER_AS(ml_binarizer, us_infer_same)
us_err ml_binarizer_eval(us_eval *k)
{
    const us_p_ml_binarizer *p = k->params;
    us_tensor x, *y;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (!us_dtype_get(x.dtype)->to_f64) return us_eval_no_type(k, x.dtype);
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, x.dims, &y));
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++) {
        double v = us_tensor_f64_at(&x, i) > (double)p->threshold;
        us_dtype_get(x.dtype)->from_f64(y->data, (size_t)i, 1, &v);
    }
    return US_OK;
}

/* --- ArrayFeatureExtractor ----------------------------------------------------------------------- */

us_err ml_array_feature_extractor_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0), *i = us_infer_ranked(k, 1);
    us_dim d[US_MAX_RANK], n = US_DIM(1);
    if (!x || x->rank < 1) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (!i) US_TRY(us_infer_fresh(k, &n));
    for (int j = 0; i && j < i->rank; j++)
        US_TRY(us_dim_mul(k->c, &k->m->syms, n, i->dims[j], &n));
    if (x->rank == 1) return us_infer_out(k, 0, US_DT_NONE, 2, (us_dim[]){US_DIM(1), n});
    us_copy_dims(d, x);
    d[x->rank - 1] = n;
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

us_err ml_array_feature_extractor_eval(us_eval *k)
{
    us_tensor x, *y;
    const int64_t *index;
    size_t n;
    int64_t dims[US_MAX_RANK] = {1};
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_ints(k, 1, &n, &index));
    if (x.rank < 1 || n < 1)
        return us_eval_fail(k, US_SHAPE, "needs a tensor and at least one index");
    int rank = US_MAX(x.rank, 2);
    for (int i = 0; i + 1 < x.rank; i++)
        dims[i] = x.dims[i];
    dims[rank - 1] = (int64_t)n;
    US_TRY(us_eval_out(k, 0, x.dtype, rank, dims, &y));
    size_t size = us_dtype_get(x.dtype)->bits / 8;
    int64_t d = x.dims[x.rank - 1], rows = us_dims_product(x.dims, 0, x.rank - 1);
    for (size_t j = 0; j < n; j++) {
        if (index[j] < 0 || index[j] >= d)
            return us_eval_fail(k, US_ARG, "index %lld of %lld columns", (long long)index[j],
                                (long long)d);
        for (int64_t i = 0; i < rows; i++)
            memcpy(us_at(y, i * (int64_t)n + (int64_t)j), us_at(&x, i * d + index[j]), size);
    }
    return US_OK;
}

/* --- FeatureVectorizer --------------------------------------------------------------------------- */

us_err ml_feature_vectorizer_infer(us_infer *k)
{
    const us_p_ml_feature_vectorizer *p = k->params;
    us_dim n;
    int64_t total = 0;
    US_TRY(us_ml_infer_rows(k, &n));
    for (size_t i = 0; i < p->inputdimensions.n; i++)
        total += p->inputdimensions.p[i];
    return us_infer_out(k, 0, US_F32, 2, (us_dim[]){n, US_DIM(total)});
}

/* Input i gives inputdimensions[i] columns: cut when it has more, padded with zeros when fewer. */
us_err ml_feature_vectorizer_eval(us_eval *k)
{
    const us_p_ml_feature_vectorizer *p = k->params;
    const us_tensor *x;
    us_tensor *y;
    int64_t total = 0, at = 0, n = 0;
    if (p->inputdimensions.n != k->n_in)
        return us_eval_fail(k, US_ARG, "%zu inputdimensions for %zu inputs",
                            p->inputdimensions.n, k->n_in);
    for (size_t i = 0; i < k->n_in; i++) {
        US_TRY(us_eval_in(k, i, &x));
        int64_t rows = x->rank == 2 ? x->dims[0] : 1, want = p->inputdimensions.p[i];
        if (x->rank < 1 || x->rank > 2 || (i && rows != n) || want < 0 || want > INT32_MAX)
            return us_eval_fail(k, US_SHAPE, "input %zu does not fit beside the first", i);
        n = rows;
        total += want;
    }
    US_TRY(us_eval_out(k, 0, US_F32, 2, (int64_t[]){n, total}, &y));
    memset(y->data, 0, us_tensor_bytes(y));
    for (size_t i = 0; i < k->n_in; i++) {
        us_tensor v;
        US_TRY(us_eval_as(k, &k->in[i]->t, US_F32, &v));
        int64_t d = v.dims[v.rank - 1], want = p->inputdimensions.p[i], take = US_MIN(d, want);
        for (int64_t r = 0; r < n && take; r++)
            memcpy((float *)y->data + r * total + at, (float *)v.data + r * d,
                   (size_t)take * sizeof(float));
        at += want;
    }
    return US_OK;
}
