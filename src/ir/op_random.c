/* ir/op_random.c - RandomNormal, RandomUniform, their Like forms, Multinomial, Bernoulli.
 *
 * Philox streams: with attribute seed the same numbers on every call, without it those of the session's seed, node and
 * call. The standard fixes no generator; only type, shape and distribution are comparable with others.
 */
#include "ir/op_util.h"
#include "ir/params_signal.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

/* clang-format off */
#define SEED_ROW {.name = "seed", .kind = US_AT_FLOAT, .offset = offsetof(us_p_random, seed), .has_offset = offsetof(us_p_random, has_seed)}
#define SHAPE_ROW {.name = "shape", .kind = US_AT_INTS, .offset = offsetof(us_p_random, shape), .required = true}
static const us_param none_in[] = {US_PARAM_END};
static const us_param float_out[] = {{"output", 'T', US_M_FLOAT3, 0}, US_PARAM_END};
static const us_param float_out_22[] = {{"output", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param like_in[] = {{"input", '1', US_M_ALL, 0}, US_PARAM_END};
static const us_param like_out[] = {{"output", '2', US_M_FLOAT3, 0}, US_PARAM_END};
static const us_param like_out_22[] = {{"output", '2', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row normal_attrs[] = {
    US_AI(us_p_random, dtype, "dtype", 1), US_AF(us_p_random, a, "mean", 0.0F), US_AF(us_p_random, b, "scale", 1.0F),
    SEED_ROW, SHAPE_ROW, US_ATTR_END};
static const us_attr_row uniform_attrs[] = {
    US_AI(us_p_random, dtype, "dtype", 1), US_AF(us_p_random, b, "high", 1.0F), US_AF(us_p_random, a, "low", 0.0F),
    SEED_ROW, SHAPE_ROW, US_ATTR_END};
static const us_attr_row normal_like_attrs[] = {
    US_AI(us_p_random, dtype, "dtype", 0), US_AF(us_p_random, a, "mean", 0.0F), US_AF(us_p_random, b, "scale", 1.0F),
    SEED_ROW, US_ATTR_END};
static const us_attr_row uniform_like_attrs[] = {
    US_AI(us_p_random, dtype, "dtype", 0), US_AF(us_p_random, b, "high", 1.0F), US_AF(us_p_random, a, "low", 0.0F),
    SEED_ROW, US_ATTR_END};
const us_schema random_normal_schemas[] = {
    {1, none_in, float_out, normal_attrs, sizeof(us_p_random), NULL},
    {22, none_in, float_out_22, normal_attrs, sizeof(us_p_random), NULL},
    {0}};
const us_schema random_uniform_schemas[] = {
    {1, none_in, float_out, uniform_attrs, sizeof(us_p_random), NULL},
    {22, none_in, float_out_22, uniform_attrs, sizeof(us_p_random), NULL},
    {0}};
const us_schema random_normal_like_schemas[] = {
    {1, like_in, like_out, normal_like_attrs, sizeof(us_p_random), NULL},
    {22, like_in, like_out_22, normal_like_attrs, sizeof(us_p_random), NULL},
    {0}};
const us_schema random_uniform_like_schemas[] = {
    {1, like_in, like_out, uniform_like_attrs, sizeof(us_p_random), NULL},
    {22, like_in, like_out_22, uniform_like_attrs, sizeof(us_p_random), NULL},
    {0}};

static const us_param multinomial_in[] = {{"input", '1', US_M_FLOAT3, 0}, US_PARAM_END};
static const us_param multinomial_in_22[] = {{"input", '1', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param multinomial_out[] = {{"output", '2', US_M(I32) | US_M(I64), 0}, US_PARAM_END};
static const us_attr_row multinomial_attrs[] = {
    US_AI(us_p_random, dtype, "dtype", 6), US_AI(us_p_random, sample_size, "sample_size", 1), SEED_ROW, US_ATTR_END};
const us_schema multinomial_schemas[] = {
    {7, multinomial_in, multinomial_out, multinomial_attrs, sizeof(us_p_random), NULL},
    {22, multinomial_in_22, multinomial_out, multinomial_attrs, sizeof(us_p_random), NULL},
    {0}};

static const us_param bernoulli_out[] = {{"output", '2', US_M_NUM | US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row bernoulli_attrs[] = {US_AI(us_p_random, dtype, "dtype", 0), SEED_ROW, US_ATTR_END};
const us_schema bernoulli_schemas[] = {
    {15, multinomial_in, bernoulli_out, bernoulli_attrs, sizeof(us_p_random), NULL},
    {22, multinomial_in_22, bernoulli_out, bernoulli_attrs, sizeof(us_p_random), NULL},
    {0}};
/* clang-format on */

static us_dtype type_of(const us_p_random *p, us_dtype like)
{
    return p->dtype > 0 && p->dtype < US_DTYPE_N ? (us_dtype)p->dtype : like;
}

static us_rng stream(us_eval *k, const char *purpose)
{
    const us_p_random *p = k->params;
    uint64_t seed = 0;
    if (p->has_seed) {
        double wide = (double)p->seed;
        memcpy(&seed, &wide, sizeof seed);
    } else if (k->env->seed) {
        seed = k->env->seed(k->env, k);
    }
    return us_rng_new(seed, purpose, 0);
}

/* --- inference ----------------------------------------------------------------------------------- */

static us_err shaped_infer(us_infer *k)
{
    const us_p_random *p = k->params;
    us_dim d[US_MAX_RANK];
    if (p->shape.n > US_MAX_RANK) return us_infer_fail(k, US_SHAPE, "too many dimensions");
    for (size_t i = 0; i < p->shape.n; i++)
        d[i] = US_DIM(p->shape.p[i]);
    return us_infer_out(k, 0, type_of(p, US_F32), (int)p->shape.n, d);
}

static us_err like_infer(us_infer *k)
{
    const us_type *x = us_infer_in(k, 0);
    us_dtype t = type_of(k->params, x && x->kind == US_KIND_TENSOR ? x->dtype : US_DT_NONE);
    if (t == US_DT_NONE) return US_OK;
    x = us_infer_ranked(k, 0);
    return us_infer_out(k, 0, t, x ? x->rank : -1, x ? x->dims : NULL);
}
US_INFER_AS(random_normal, shaped_infer)
US_INFER_AS(random_uniform, shaped_infer)
US_INFER_AS(random_normal_like, like_infer)
US_INFER_AS(random_uniform_like, like_infer)
US_INFER_AS(bernoulli, like_infer)

us_err multinomial_infer(us_infer *k)
{
    const us_p_random *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[2];
    if (x && x->rank != 2) return us_infer_fail(k, US_SHAPE, "the input must be a matrix");
    if (x)
        d[0] = x->dims[0];
    else
        US_TRY(us_infer_fresh(k, &d[0]));
    d[1] = US_DIM(p->sample_size);
    return us_infer_out(k, 0, type_of(p, US_I32), 2, d);
}

/* --- evaluation ---------------------------------------------------------------------------------- */

typedef double draw_fn(us_rng *r, const us_p_random *p);

static double draw_normal(us_rng *r, const us_p_random *p)
{
    return (double)p->a + (double)p->b * us_rng_normal(r);
}
static double draw_uniform(us_rng *r, const us_p_random *p)
{
    return (double)p->a + ((double)p->b - (double)p->a) * us_rng_f64(r);
}

static us_err fill(us_eval *k, us_dtype t, int rank, const int64_t *dims, draw_fn *draw)
{
    us_tensor *y;
    if (us_dtype_get(t)->cls != US_DC_FLOAT || us_dtype_get(t)->bits < 16)
        return us_eval_no_type(k, t);
    US_TRY(us_eval_out(k, 0, t, rank, dims, &y));
    us_rng r = stream(k, "random");
    for (int64_t i = 0, n = us_tensor_count(y); i < n; i++) {
        double v = draw(&r, k->params);
        us_dtype_get(t)->from_f64(y->data, (size_t)i, 1, &v);
    }
    return US_OK;
}

static us_err shaped(us_eval *k, draw_fn *draw)
{
    const us_p_random *p = k->params;
    if (p->shape.n > US_MAX_RANK)
        return us_eval_fail(k, US_SHAPE, "%zu dimensions", p->shape.n);
    return fill(k, type_of(p, US_F32), (int)p->shape.n, p->shape.p, draw);
}

static us_err like(us_eval *k, draw_fn *draw)
{
    const us_tensor *x;
    US_TRY(us_eval_in(k, 0, &x));
    return fill(k, type_of(k->params, x->dtype), x->rank, x->dims, draw);
}

us_err random_normal_eval(us_eval *k)
{
    return shaped(k, draw_normal);
}
us_err random_uniform_eval(us_eval *k)
{
    return shaped(k, draw_uniform);
}
us_err random_normal_like_eval(us_eval *k)
{
    return like(k, draw_normal);
}
us_err random_uniform_like_eval(us_eval *k)
{
    return like(k, draw_uniform);
}

us_err bernoulli_eval(us_eval *k)
{
    const us_tensor *in;
    us_tensor x, *y;
    US_TRY(us_eval_in(k, 0, &in));
    us_dtype t = type_of(k->params, in->dtype);
    if (!us_dtype_get(t)->from_f64) return us_eval_no_type(k, t);
    US_TRY(us_eval_as(k, in, US_F64, &x));
    US_TRY(us_eval_out(k, 0, t, x.rank, x.dims, &y));
    us_rng r = stream(k, "bernoulli");
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++) {
        double v = us_rng_f64(&r) < ((const double *)x.data)[i];
        us_dtype_get(t)->from_f64(y->data, (size_t)i, 1, &v);
    }
    return US_OK;
}

/* The first class whose running sum exceeds `at`. */
static int64_t pick(const double *sums, int64_t n, double at)
{
    int64_t lo = 0, hi = n - 1;
    while (lo < hi) {
        int64_t mid = lo + (hi - lo) / 2;
        if (sums[mid] > at)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* Inputs are logarithms of weights; running sums, then a binary search for each sample. */
us_err multinomial_eval(us_eval *k)
{
    const us_p_random *p = k->params;
    const us_tensor *in;
    us_tensor x, *y;
    void *scratch;
    us_dtype t = type_of(p, US_I32);
    US_TRY(us_eval_in(k, 0, &in));
    if (t != US_I32 && t != US_I64) return us_eval_no_type(k, t);
    if (in->rank != 2 || in->dims[1] < 1 || p->sample_size < 0)
        return us_eval_fail(k, US_SHAPE, "needs [batch, classes] and a number of samples");
    US_TRY(us_eval_as(k, in, US_F64, &x));
    int64_t n = x.dims[1];
    US_TRY(us_eval_out(k, 0, t, 2, (int64_t[]){x.dims[0], p->sample_size}, &y));
    US_TRY(us_eval_scratch(k, (size_t)n * sizeof(double), &scratch));
    double *sums = scratch;
    us_rng r = stream(k, "multinomial");
    for (int64_t b = 0; b < x.dims[0]; b++) {
        const double *w = (const double *)x.data + b * n;
        double top = w[0], total = 0;
        for (int64_t i = 1; i < n; i++)
            top = fmax(top, w[i]);
        for (int64_t i = 0; i < n; i++) {
            double share = exp(w[i] - top);
            total += isnan(share) ? 0 : share;
            sums[i] = total;
        }
        for (int64_t i = 0; i < p->sample_size; i++) {
            int64_t c = pick(sums, n, us_rng_f64(&r) * total);
            us_dtype_get(t)->from_i64(y->data, (size_t)(b * p->sample_size + i), 1, &c);
        }
    }
    return US_OK;
}
