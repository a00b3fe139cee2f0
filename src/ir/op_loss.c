/* ir/op_loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
 *
 * Input [N, C, d1, ...], target [N, d1, ...] of class numbers, optional weight per class. A target equal to
 * ignore_index counts nothing. "mean" divides by the sum of the weights that counted.
 */
#include "ir/op_util.h"

#include <math.h>

/* clang-format off */
static const us_param negative_log_likelihood_loss_in[] = {
    {"input", 'T', US_M_FLOATS, 0}, {"target", 'A', US_M(I32) | US_M(I64), 0},
    {"weight", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param negative_log_likelihood_loss_out[] = {{"loss", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row negative_log_likelihood_loss_attrs[] = {
    {.name = "ignore_index", .kind = US_AT_INT, .offset = offsetof(us_p_negative_log_likelihood_loss, ignore_index), .has_offset = offsetof(us_p_negative_log_likelihood_loss, has_ignore_index)},
    US_AS(us_p_negative_log_likelihood_loss, reduction, "reduction", "mean"), US_ATTR_END};
const us_schema negative_log_likelihood_loss_schemas[] = {
    {12, negative_log_likelihood_loss_in, negative_log_likelihood_loss_out, negative_log_likelihood_loss_attrs, sizeof(us_p_negative_log_likelihood_loss), NULL},
    {13, negative_log_likelihood_loss_in, negative_log_likelihood_loss_out, negative_log_likelihood_loss_attrs, sizeof(us_p_negative_log_likelihood_loss), NULL},
    {22, negative_log_likelihood_loss_in, negative_log_likelihood_loss_out, negative_log_likelihood_loss_attrs, sizeof(us_p_negative_log_likelihood_loss), NULL},
    {0}};

static const us_param softmax_cross_entropy_loss_in[] = {
    {"scores", 'T', US_M_FLOATS, 0}, {"labels", 'A', US_M(I32) | US_M(I64), 0},
    {"weights", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param softmax_cross_entropy_loss_out[] = {
    {"output", 'T', US_M_FLOATS, 0}, {"log_prob", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row softmax_cross_entropy_loss_attrs[] = {
    {.name = "ignore_index", .kind = US_AT_INT, .offset = offsetof(us_p_softmax_cross_entropy_loss, ignore_index), .has_offset = offsetof(us_p_softmax_cross_entropy_loss, has_ignore_index)},
    US_AS(us_p_softmax_cross_entropy_loss, reduction, "reduction", "mean"), US_ATTR_END};
const us_schema softmax_cross_entropy_loss_schemas[] = {
    {12, softmax_cross_entropy_loss_in, softmax_cross_entropy_loss_out, softmax_cross_entropy_loss_attrs, sizeof(us_p_softmax_cross_entropy_loss), NULL},
    {13, softmax_cross_entropy_loss_in, softmax_cross_entropy_loss_out, softmax_cross_entropy_loss_attrs, sizeof(us_p_softmax_cross_entropy_loss), NULL},
    {0}};
/* clang-format on */

static us_err loss_infer(us_infer *k)
{
    const us_p_negative_log_likelihood_loss *p = k->params;
    const us_type *t = us_infer_ranked(k, 1);
    if (!us_sv_is(p->reduction, "none")) return us_infer_out(k, 0, US_DT_NONE, 0, NULL);
    if (!t) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    return us_infer_out(k, 0, US_DT_NONE, t->rank, t->dims);
}
US_INFER_AS(negative_log_likelihood_loss, loss_infer)
us_err softmax_cross_entropy_loss_infer(us_infer *k)
{
    US_TRY(loss_infer(k));
    const us_type *x = us_infer_ranked(k, 0);
    if (k->g->nodes.at[k->n].n_out < 2 || !x) return US_OK;
    return us_infer_out(k, 1, US_DT_NONE, x->rank, x->dims);
}

typedef struct loss_in {
    us_tensor x;           /* as double: [n, classes, inner] */
    const int64_t *target; /* [n, inner] */
    const double *weight;  /* [classes] or NULL */
    int64_t n, classes, inner;
    us_dtype type;
} loss_in;

static us_err loss_inputs(us_eval *k, loss_in *l)
{
    const us_tensor *x, *t, *w = us_eval_opt(k, 2);
    us_tensor wide;
    size_t n;
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_in(k, 1, &t));
    US_TRY(us_eval_as(k, x, US_F64, &l->x));
    US_TRY(us_eval_ints(k, 1, &n, &l->target));
    if (x->rank < 2)
        return us_eval_fail(k, US_SHAPE, "input of rank %d, expected [N,C,...]", x->rank);
    l->type = x->dtype;
    l->n = x->dims[0];
    l->classes = x->dims[1];
    l->inner = us_dims_product(x->dims, 2, x->rank);
    bool fits = t->rank == x->rank - 1 && t->dims[0] == l->n;
    for (int i = 1; fits && i < t->rank; i++)
        fits = t->dims[i] == x->dims[i + 1];
    if (!fits || (w && us_tensor_count(w) != l->classes))
        return us_eval_fail(k, US_SHAPE, "target or weight does not fit the input");
    l->weight = NULL;
    if (w) {
        US_TRY(us_eval_as(k, w, US_F64, &wide));
        l->weight = wide.data;
    }
    return US_OK;
}

/* x to log-probabilities, in place (x is a copy in scratch unless it was double). */
static void log_probabilities(const loss_in *l, double *x)
{
    for (int64_t i = 0; i < l->n; i++)
        for (int64_t j = 0; j < l->inner; j++) {
            double *v = x + i * l->classes * l->inner + j, top = -(double)INFINITY, sum = 0;
            for (int64_t c = 0; c < l->classes; c++)
                top = fmax(top, v[c * l->inner]);
            for (int64_t c = 0; c < l->classes; c++)
                sum += exp(v[c * l->inner] - top);
            for (int64_t c = 0; c < l->classes; c++)
                v[c * l->inner] -= top + log(sum);
        }
}

static us_err put_loss(us_eval *k, const loss_in *l, const double *logp)
{
    const us_p_negative_log_likelihood_loss *p = k->params;
    bool none = us_sv_is(p->reduction, "none"), mean = us_sv_is(p->reduction, "mean");
    const us_tensor *t = &k->in[1]->t;
    if (!none && !mean && !us_sv_is(p->reduction, "sum"))
        return us_eval_fail(k, US_ARG, "reduction '" US_SV_FMT "'", US_SV_ARG(p->reduction));
    us_tensor *y = NULL;
    if (us_eval_wants(k, 0))
        US_TRY(us_eval_out(k, 0, l->type, none ? t->rank : 0, t->dims, &y));
    double sum = 0, weights = 0;
    for (int64_t i = 0; i < l->n * l->inner; i++) {
        int64_t c = l->target[i];
        bool skip = p->has_ignore_index && c == p->ignore_index;
        if (!skip && (c < 0 || c >= l->classes))
            return us_eval_fail(k, US_ARG, "target %lld of %lld classes", (long long)c,
                                (long long)l->classes);
        double w = skip ? 0 : l->weight ? l->weight[c] : 1;
        double v =
            skip ? 0 : -w * logp[(i / l->inner * l->classes + c) * l->inner + i % l->inner];
        sum += v;
        weights += w;
        if (none && y) us_dtype_get(l->type)->from_f64(y->data, (size_t)i, 1, &v);
    }
    if (mean) sum /= weights;
    if (!none && y) us_dtype_get(l->type)->from_f64(y->data, 0, 1, &sum);
    return US_OK;
}

us_err negative_log_likelihood_loss_eval(us_eval *k)
{
    loss_in l;
    US_TRY(loss_inputs(k, &l));
    return put_loss(k, &l, l.x.data);
}

us_err softmax_cross_entropy_loss_eval(us_eval *k)
{
    loss_in l;
    US_TRY(loss_inputs(k, &l));
    us_tensor own = l.x, *y;
    if (l.type == US_F64) {
        US_TRY(us_eval_scratch(k, us_tensor_bytes(&own), &own.data));
        US_TRY(us_tensor_copy(k->c, &own, &l.x));
    }
    log_probabilities(&l, own.data);
    US_TRY(put_loss(k, &l, own.data));
    if (!us_eval_wants(k, 1)) return US_OK;
    US_TRY(us_eval_out(k, 1, l.type, l.x.rank, l.x.dims, &y));
    us_dtype_get(l.type)->from_f64(y->data, 0, (size_t)us_tensor_count(y), own.data);
    return US_OK;
}
