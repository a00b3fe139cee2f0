/* ir/ml_post.c - see ml_post.h. Rules where the ONNX document is silent: those of ONNX Runtime. */
#include "ir/ml_post.h"

#include <math.h>

us_err us_ml_post_find(us_eval *k, us_sv name, us_post *out)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                        "PROBIT"};
    for (size_t i = 0; i < US_LEN(names); i++)
        if (us_sv_is(name, names[i])) {
            *out = (us_post)i;
            return US_OK;
        }
    return us_eval_fail(k, US_ARG, "post_transform '" US_SV_FMT "'", US_SV_ARG(name));
}

static double logistic(double x)
{
    double e = exp(-fabs(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
}

/* Inverse of the normal distribution function by that of the error function. Source: S. Winitzki, "A handy approximation
 * for the error function and its inverse", 2008, with a = 0.147; ONNX's reference and ONNX Runtime use the same. */
static double probit(double p)
{
    double x = 2 * p - 1, l = log((1 - x) * (1 + x));
    double v = 2 / (3.14159 * 0.147) + 0.5 * l;
    double root = sqrt(-v + sqrt(v * v - l / 0.147));
    return 1.41421356 * (x < 0 ? -root : root);
}

static void softmax(double *s, size_t n, bool keep_zero)
{
    double top = -(double)INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, s[i]);
    for (size_t i = 0; i < n; i++) {
        bool zero = keep_zero && fabs(s[i]) < 1e-7;
        s[i] = zero ? s[i] * exp(-top) : exp(s[i] - top);
        sum += s[i];
    }
    for (size_t i = 0; i < n && sum != 0; i++)
        s[i] /= sum;
}

void us_ml_post(us_post post, double *s, size_t n)
{
    if (n == 1 && post != US_POST_PROBIT) return;
    if (post == US_POST_SOFTMAX || post == US_POST_SOFTMAX_ZERO)
        softmax(s, n, post == US_POST_SOFTMAX_ZERO);
    for (size_t i = 0; i < n; i++) {
        if (post == US_POST_LOGISTIC) s[i] = logistic(s[i]);
        if (post == US_POST_PROBIT) s[i] = probit(s[i]);
    }
}

void us_ml_post_pair(us_post post, bool complement, double s, double out[2])
{
    out[0] = complement ? 1 - s : -s;
    out[1] = s;
    if (post == US_POST_LOGISTIC) {
        out[0] = logistic(-s);
        out[1] = logistic(s);
    } else if (post == US_POST_PROBIT) {
        out[1] = probit(s);
        out[0] = -out[1];
    }
}

size_t us_labels_count(const us_labels *l)
{
    return l->strs.n ? l->strs.n : l->ints.n;
}

us_dtype us_labels_type(const us_labels *l)
{
    return l->strs.n ? US_STRING : US_I64;
}

void us_labels_put(const us_labels *l, size_t i_class, us_tensor *y, int64_t row)
{
    if (l->strs.n)
        ((us_sv *)y->data)[row] = l->strs.p[i_class];
    else
        ((int64_t *)y->data)[row] = i_class < l->ints.n ? l->ints.p[i_class] : (int64_t)i_class;
}

us_err us_ml_rows(us_eval *k, us_tensor *x, int64_t *n, int64_t *d)
{
    const us_tensor *t;
    US_TRY(us_eval_in(k, 0, &t));
    if (t->dtype == US_STRING) return us_eval_no_type(k, t->dtype);
    US_TRY(us_eval_as(k, t, t->dtype == US_F64 ? US_F64 : US_F32, x));
    if (t->rank < 1 || t->rank > 2)
        return us_eval_fail(k, US_SHAPE, "input of rank %d, expected [N,D]", t->rank);
    *n = t->rank == 2 ? t->dims[0] : 1;
    *d = t->dims[t->rank - 1];
    return US_OK;
}

us_err us_ml_infer_rows(us_infer *k, us_dim *n)
{
    const us_type *x = us_infer_ranked(k, 0);
    if (x && x->rank == 2)
        *n = x->dims[0];
    else if (x && x->rank == 1)
        *n = US_DIM(1);
    else
        return us_infer_fresh(k, n);
    return US_OK;
}
