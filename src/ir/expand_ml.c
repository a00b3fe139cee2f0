/* ir/expand_ml.c - what the numeric operators of ai.onnx.ml are made of.
 *
 * Sums run in double and the result is rounded to float once, as in the kernels.
 */
#include "ir/ml_post.h"
#include "ir/op_util.h"

#include <math.h>

us_err ml_scaler_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ml_scaler *p = g->nodes.at[n].params;
    const int t = us_expand_dtype(g, n, 0) == US_F32 ? (int)US_F32 : (int)US_F64;
    us_expand_buf b = {.n = 0};
    us_expand_add(&b, "v = Cast<to=%d>(x0);", t);
    if (p->offset.n) us_expand_add(&b, "v = Sub(v, Cast<to=%d>($offset));", t);
    if (p->scale.n) us_expand_add(&b, "v = Mul(v, Cast<to=%d>($scale));", t);
    us_expand_add(&b, "y = Cast<to=1>(v)");
    return us_expand_buffer(c, m, g, n, &b);
}

us_err ml_imputer_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ml_imputer *p = g->nodes.at[n].params;
    us_dclass cls = (us_dclass)us_dtype_get(us_expand_dtype(g, n, 0))->cls;
    if (cls == US_DC_INT && p->imputed_value_int64s.n)
        return us_expand_text(c, m, g, n,
                              "y = Where(Equal(Cast<to=7>(x0), #$replaced_value_int64),"
                              " Cast<to=@x0>($imputed_value_int64s), x0)");
    if (cls != US_DC_FLOAT || !p->imputed_value_floats.n)
        return us_expand_refuse(c, g, n, "its input is not known to be of numbers");
    return us_expand_fmt(c, m, g, n, "y = Where(%s, Cast<to=@x0>($imputed_value_floats), x0)",
                         isnan(p->replaced_value_float) ? "IsNaN(x0)"
                                                        : "Equal(x0, $replaced_value_float)");
}

US_EXPAND(ml_binarizer, "y = Cast<to=@x0>(Greater(Cast<to=11>(x0), $threshold@11))")

/* A row whose norm is 0 stays as it is; the largest number of a row passes over NaN. */
us_err ml_normalizer_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ml_normalizer *p = g->nodes.at[n].params;
    const char *norm = us_sv_is(p->norm, "MAX")  ? "ReduceMax(Where(IsNaN(v), -inf, v), [-1])"
                       : us_sv_is(p->norm, "L1") ? "ReduceL1(v, [-1])"
                                                 : "ReduceL2(v, [-1])";
    return us_expand_fmt(c, m, g, n,
                         "@11 v = Cast<to=11>(x0); s = %s;"
                         "y = Cast<to=1>(Div(v, Where(Equal(s, 0), 1, s)))",
                         norm);
}

us_err ml_array_feature_extractor_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    int rank = us_expand_rank(g, n, 0);
    if (rank < 1) return us_expand_refuse(c, g, n, "the rank of its input is not known");
    return us_expand_fmt(c, m, g, n, "y = Gather<axis=-1>(%s, Reshape(x1, [-1]))",
                         rank == 1 ? "Unsqueeze(x0, [0])" : "x0");
}

/* Each input cut or padded with zeros to the columns it is to give. */
us_err ml_feature_vectorizer_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ml_feature_vectorizer *p = g->nodes.at[n].params;
    uint32_t n_in = g->nodes.at[n].n_in;
    us_expand_buf b = {.n = 0};
    if (p->inputdimensions.n != n_in || n_in > 48)
        return us_expand_refuse(c, g, n, "inputdimensions do not fit, or too many inputs");
    for (uint32_t i = 0; i < n_in; i++) {
        int rank = us_expand_rank(g, n, i);
        int64_t d = us_expand_dim(g, n, i, rank - 1), want = p->inputdimensions.p[i];
        if (rank < 1 || rank > 2 || d < 0)
            return us_expand_refuse(c, g, n, "the shape of an input is not known");
        us_expand_add(&b, "v%u = Reshape(Cast<to=1>(x%u), [%d, %lld]);", i, i,
                      rank == 1 ? 1 : -1, (long long)d);
        if (d != want)
            us_expand_add(&b, "v%u = Pad(v%u, [0, 0, 0, %lld]);", i, i, (long long)(want - d));
    }
    us_expand_add(&b, "y = Concat<axis=1>(");
    for (uint32_t i = 0; i < n_in; i++)
        us_expand_add(&b, "v%u,", i);
    us_expand_add(&b, ")");
    return us_expand_buffer(c, m, g, n, &b);
}

/* --- linear models --------------------------------------------------------------------------------- */

/* s = scores [N, rows] in double. */
static us_err add_scores(us_ctx *c, const us_graph *g, us_nid n, us_expand_buf *b,
                         us_floats coef, us_floats intercepts, int64_t *rows)
{
    int rank = us_expand_rank(g, n, 0);
    int64_t d = us_expand_dim(g, n, 0, rank - 1);
    if (rank < 1 || rank > 2 || d < 1 || coef.n == 0 || coef.n % (size_t)d)
        return us_expand_refuse(c, g, n,
                                "the columns of its input are not known, or do not fit");
    *rows = (int64_t)(coef.n / (size_t)d);
    if (intercepts.n && (int64_t)intercepts.n != *rows)
        return us_expand_refuse(c, g, n, "not an intercept for each row of coefficients");
    us_expand_add(b,
                  "@11 w = Reshape(Cast<to=11>($coefficients), [%lld, %lld]);"
                  "s = MatMul(Cast<to=11>(%s), Transpose<perm=[1,0]>(w));",
                  (long long)*rows, (long long)d, rank == 1 ? "Unsqueeze(x0, [0])" : "x0");
    if (intercepts.n) us_expand_add(b, "s = Add(s, Cast<to=11>($intercepts));");
    return US_OK;
}

/* Sources of the formulas: ml_post.c. */
#define LOGISTIC "s = Sigmoid(s);"
#define PROBIT                                                                                 \
    "t = Sub(Add(s, s), 1); l = Log(Mul(Sub(1, t), Add(1, t)));"                               \
    "v = Add(4.330746750799873, Mul(l, 0.5));"                                                 \
    "r = Sqrt(Sub(Sqrt(Sub(Mul(v, v), Div(l, 0.147))), v));"                                   \
    "s = Mul(1.41421356, Where(Less(t, 0), Neg(r), r));"

static const char *post(us_sv name, int64_t rows)
{
    if (us_sv_is(name, "PROBIT")) return PROBIT;
    if (rows == 1) return "";
    if (us_sv_is(name, "LOGISTIC")) return LOGISTIC;
    if (us_sv_is(name, "SOFTMAX")) return "s = Softmax<axis=1>(s);";
    if (us_sv_is(name, "SOFTMAX_ZERO"))
        return "top = ReduceMax<keepdims=1>(s, [1]);"
               "e = Where(Less(Abs(s), 1e-7), Mul(s, Exp(Neg(top))), Exp(Sub(s, top)));"
               "z = ReduceSum<keepdims=1>(e, [1]); s = Div(e, Where(Equal(z, 0), 1, z));";
    return us_sv_is(name, "NONE") ? "" : NULL;
}

us_err ml_linear_regressor_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ml_linear_regressor *p = g->nodes.at[n].params;
    us_expand_buf b = {.n = 0};
    int64_t rows;
    US_TRY(add_scores(c, g, n, &b, p->coefficients, p->intercepts, &rows));
    const char *last = post(p->post_transform, rows);
    if (!last || rows != p->targets)
        return us_expand_refuse(c, g, n, "no such post_transform, or targets do not fit");
    us_expand_add(&b, "%s y = Cast<to=1>(s)", last);
    return us_expand_buffer(c, m, g, n, &b);
}

/* Both scores of two classes from the one of the second. */
static const char *post_pair(us_sv name)
{
    if (us_sv_is(name, "LOGISTIC")) return "s = Concat<axis=1>(Sigmoid(Neg(s)), Sigmoid(s));";
    if (us_sv_is(name, "PROBIT")) return PROBIT "s = Concat<axis=1>(Neg(s), s);";
    return "s = Concat<axis=1>(Sub(1, s), s);";
}

us_err ml_linear_classifier_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_p_ml_linear_classifier *p = g->nodes.at[n].params;
    us_labels l = {p->classlabels_ints, p->classlabels_strings};
    size_t n_labels = us_labels_count(&l);
    us_expand_buf b = {.n = 0};
    int64_t rows;
    US_TRY(add_scores(c, g, n, &b, p->coefficients, p->intercepts, &rows));
    bool pair = rows == 1 && n_labels == 2;
    const char *last = post(p->post_transform, rows);
    if (!last || (n_labels && (int64_t)n_labels != rows && !pair))
        return us_expand_refuse(c, g, n, "no such post_transform, or labels do not fit");
    us_expand_add(&b, "i = %s;",
                  rows > 1        ? "ArgMax<axis=1,keepdims=0>(s)"
                  : n_labels == 1 ? "Cast<to=7>(Mul(Squeeze(s, [1]), 0))"
                                  : "Cast<to=7>(Greater(Squeeze(s, [1]), 0))");
    us_expand_add(&b, "%s y1 = Cast<to=1>(s);", pair ? post_pair(p->post_transform) : last);
    us_expand_add(&b, "%s",
                  l.strs.n   ? "y = Gather($classlabels_strings, i)"
                  : l.ints.n ? "y = Gather($classlabels_ints, i)"
                             : "y = Identity(i)");
    return us_expand_buffer(c, m, g, n, &b);
}
