/* ir/op_optimizer.c - ai.onnx.preview.training: Adagrad, Adam and Momentum, one step of many tensors at once.
 *
 * After rate and count the inputs come in groups: all values, all gradients, then each kind of state; the outputs
 * are the new values and the new states, in the same groups.
 */
#include "ir/op_f64.h"
#include "ir/params_train.h"

#include <math.h>

/* clang-format off */
static const us_param step_in[] = {
    {"R", 'R', US_M(F32) | US_M(F64), 0}, {"T", 'I', US_M(I64), 0},
    {"inputs", 'V', US_M(F32) | US_M(F64), US_P_HETERO | US_P_VARIADIC}, US_PARAM_END};
static const us_param step_out[] = {
    {"outputs", 'V', US_M(F32) | US_M(F64), US_P_HETERO | US_P_VARIADIC}, US_PARAM_END};
static const us_attr_row adagrad_attrs[] = {
    US_AF(us_p_optimizer, decay_factor, "decay_factor", 0), US_AF(us_p_optimizer, epsilon, "epsilon", 1e-6F),
    US_AF(us_p_optimizer, norm_coefficient, "norm_coefficient", 0), US_ATTR_END};
const us_schema train_adagrad_schemas[] = {
    {1, step_in, step_out, adagrad_attrs, sizeof(us_p_optimizer), NULL},
    {0}};
static const us_attr_row adam_attrs[] = {
    US_AF(us_p_optimizer, alpha, "alpha", 0.9F), US_AF(us_p_optimizer, beta, "beta", 0.999F),
    US_AF(us_p_optimizer, epsilon, "epsilon", 1e-6F),
    US_AF(us_p_optimizer, norm_coefficient, "norm_coefficient", 0),
    US_AF(us_p_optimizer, norm_coefficient_post, "norm_coefficient_post", 0), US_ATTR_END};
const us_schema train_adam_schemas[] = {
    {1, step_in, step_out, adam_attrs, sizeof(us_p_optimizer), NULL},
    {0}};
static const us_attr_row momentum_attrs[] = {
    {.name = "alpha", .kind = US_AT_FLOAT, .offset = offsetof(us_p_optimizer, alpha), .required = true},
    {.name = "beta", .kind = US_AT_FLOAT, .offset = offsetof(us_p_optimizer, beta), .required = true},
    {.name = "mode", .kind = US_AT_STRING, .offset = offsetof(us_p_optimizer, mode), .required = true},
    {.name = "norm_coefficient", .kind = US_AT_FLOAT, .offset = offsetof(us_p_optimizer, norm_coefficient), .required = true},
    US_ATTR_END};
const us_schema train_momentum_schemas[] = {
    {1, step_in, step_out, momentum_attrs, sizeof(us_p_optimizer), NULL},
    {0}};
/* clang-format on */

/* One number of a tensor: v holds value, gradient, states on entry, new value and new states on return. */
typedef struct moment {
    const us_p_optimizer *p;
    double rate;  /* in force at this step */
    double first; /* Momentum: the gradient's coefficient */
    bool nesterov;
} moment;
typedef void step_fn(const moment *s, double v[4]);

static void adagrad_step(const moment *s, double v[4])
{
    double g = (double)s->p->norm_coefficient * v[0] + v[1], h = v[2] + g * g;
    v[0] -= s->rate * g / (sqrt(h) + (double)s->p->epsilon);
    v[1] = h;
}

static void adam_step(const moment *s, double v[4])
{
    double a = (double)s->p->alpha, b = (double)s->p->beta;
    double g = (double)s->p->norm_coefficient * v[0] + v[1];
    double m = a * v[2] + (1 - a) * g, h = b * v[3] + (1 - b) * g * g;
    double x = v[0] - s->rate * m / (sqrt(h) + (double)s->p->epsilon);
    v[0] = (1 - (double)s->p->norm_coefficient_post) * x;
    v[1] = m;
    v[2] = h;
}

static void momentum_step(const moment *s, double v[4])
{
    double a = (double)s->p->alpha, g = (double)s->p->norm_coefficient * v[0] + v[1];
    double m = a * v[2] + s->first * g;
    v[0] -= s->rate * (s->nesterov ? g + a * m : m);
    v[1] = m;
}

/* `groups` of inputs; the outputs have one group fewer. */
static us_err infer_groups(us_infer *k, size_t groups)
{
    size_t n_in = us_infer_n_in(k), n_out = k->g->nodes.at[k->n].n_out;
    if (n_in < 2 + groups || (n_in - 2) % groups)
        return us_infer_fail(k, US_ARG, "the inputs do not come in equal groups");
    size_t n = (n_in - 2) / groups;
    if (n_out > n * (groups - 1))
        return us_infer_fail(k, US_ARG, "there are more outputs than new values and states");
    for (size_t i = 0; i < n_out; i++) {
        const us_type *x = us_infer_in(k, 2 + i % n);
        if (x && x->kind == US_KIND_TENSOR)
            US_TRY(us_infer_out(k, i, x->dtype, x->rank, x->dims));
    }
    return US_OK;
}
us_err train_adagrad_infer(us_infer *k)
{
    return infer_groups(k, 3);
}
us_err train_adam_infer(us_infer *k)
{
    return infer_groups(k, 4);
}
us_err train_momentum_infer(us_infer *k)
{
    return infer_groups(k, 3);
}

/* Tensor i of n. */
static us_err one(us_eval *k, size_t i, size_t n, size_t groups, const moment *s, step_fn *step)
{
    us_tensor in[4];
    double *out[3];
    for (size_t g = 0; g < groups; g++) {
        US_TRY(us_eval_f64(k, 2 + g * n + i, -1, &in[g], NULL));
        US_TRY(us_eval_want_dims(k, 2 + g * n + i, &in[g], in[0].rank, in[0].dims));
    }
    for (size_t g = 0; g + 1 < groups; g++)
        US_TRY(us_eval_room(k, in[0].rank, in[0].dims, &out[g]));
    for (int64_t j = 0; j < us_tensor_count(&in[0]); j++) {
        double v[4] = {0};
        for (size_t g = 0; g < groups; g++)
            v[g] = ((const double *)in[g].data)[j];
        step(s, v);
        for (size_t g = 0; g + 1 < groups; g++)
            out[g][j] = v[g];
    }
    us_dtype t = k->in[2 + i]->t.dtype;
    for (size_t g = 0; g + 1 < groups; g++)
        US_TRY(us_eval_put_f64(k, g * n + i, t, in[0].rank, in[0].dims, out[g]));
    return US_OK;
}

static us_err all(us_eval *k, size_t groups, const moment *s, step_fn *step)
{
    if (k->n_in < 2 + groups || (k->n_in - 2) % groups)
        return us_eval_fail(k, US_ARG, "%zu inputs do not come in %zu equal groups",
                            k->n_in < 2 ? (size_t)0 : k->n_in - 2, groups);
    size_t n = (k->n_in - 2) / groups;
    for (size_t i = 0; i < n; i++)
        US_TRY(one(k, i, n, groups, s, step));
    return US_OK;
}

/* Learning rate and number of the step. */
static us_err open_step(us_eval *k, moment *s, double *t)
{
    *s = (moment){.p = k->params};
    const us_tensor *r, *count;
    US_TRY(us_eval_in(k, 0, &r));
    US_TRY(us_eval_in(k, 1, &count));
    US_TRY(us_eval_scalar(k, 0, 0, &s->rate));
    return us_eval_scalar(k, 1, 0, t);
}

us_err train_adagrad_eval(us_eval *k)
{
    moment s;
    double t;
    US_TRY(open_step(k, &s, &t));
    s.rate /= 1 + t * (double)s.p->decay_factor;
    return all(k, 3, &s, adagrad_step);
}

us_err train_adam_eval(us_eval *k)
{
    moment s;
    double t;
    US_TRY(open_step(k, &s, &t));
    if (t > 0) s.rate *= sqrt(1 - pow((double)s.p->beta, t)) / (1 - pow((double)s.p->alpha, t));
    return all(k, 4, &s, adam_step);
}

us_err train_momentum_eval(us_eval *k)
{
    moment s;
    double t;
    US_TRY(open_step(k, &s, &t));
    s.nesterov = us_sv_is(s.p->mode, "nesterov");
    if (!s.nesterov && !us_sv_is(s.p->mode, "standard"))
        return us_eval_fail(k, US_ARG, "mode '" US_SV_FMT "'", US_SV_ARG(s.p->mode));
    s.first = t > 0 ? (double)s.p->beta : 1;
    return all(k, 3, &s, momentum_step);
}
