/* ir/op_pool.c - MaxPool, AveragePool, LpPool and their global forms, for any number of spatial dimensions.
 *
 * Padding never takes part in a maximum; in an average it counts only when count_include_pad is set, and even
 * then only as far as the padded input reaches (ceil_mode may let the last window stick out).
 */
#include "ir/op_window.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param max_pool_in[] = {{"X", 'T', US_M_FLOATS | US_M(U8) | US_M(I8), 0}, US_PARAM_END};
static const us_param max_pool_out[] = {{"Y", 'T', US_M_FLOATS | US_M(U8) | US_M(I8), 0}, US_PARAM_END};
static const us_attr_row max_pool_attrs[] = {
    US_AS(us_p_max_pool, auto_pad, "auto_pad", "NOTSET"),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_max_pool, kernel_shape), .required = true},
    US_AIS(us_p_max_pool, pads, "pads"), US_AIS(us_p_max_pool, strides, "strides"), US_ATTR_END};
static const us_param max_pool_out_8[] = {
    {"Y", 'T', US_M_FLOATS | US_M(U8) | US_M(I8), 0}, {"Indices", 'I', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row max_pool_attrs_8[] = {
    US_AS(us_p_max_pool, auto_pad, "auto_pad", "NOTSET"),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_max_pool, kernel_shape), .required = true},
    US_AIS(us_p_max_pool, pads, "pads"), US_AI(us_p_max_pool, storage_order, "storage_order", 0),
    US_AIS(us_p_max_pool, strides, "strides"), US_ATTR_END};
static const us_attr_row max_pool_attrs_10[] = {
    US_AS(us_p_max_pool, auto_pad, "auto_pad", "NOTSET"), US_AI(us_p_max_pool, ceil_mode, "ceil_mode", 0),
    US_AIS(us_p_max_pool, dilations, "dilations"),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_max_pool, kernel_shape), .required = true},
    US_AIS(us_p_max_pool, pads, "pads"), US_AI(us_p_max_pool, storage_order, "storage_order", 0),
    US_AIS(us_p_max_pool, strides, "strides"), US_ATTR_END};
const us_schema max_pool_schemas[] = {
    {1, max_pool_in, max_pool_out, max_pool_attrs, sizeof(us_p_max_pool), NULL},
    {8, max_pool_in, max_pool_out_8, max_pool_attrs_8, sizeof(us_p_max_pool), NULL},
    {10, max_pool_in, max_pool_out_8, max_pool_attrs_10, sizeof(us_p_max_pool), NULL},
    {11, max_pool_in, max_pool_out_8, max_pool_attrs_10, sizeof(us_p_max_pool), NULL},
    {12, max_pool_in, max_pool_out_8, max_pool_attrs_10, sizeof(us_p_max_pool), NULL},
    {22, max_pool_in, max_pool_out_8, max_pool_attrs_10, sizeof(us_p_max_pool), NULL},
    {0}};

static const us_param average_pool_in[] = {{"X", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param average_pool_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row average_pool_attrs[] = {
    US_AS(us_p_average_pool, auto_pad, "auto_pad", "NOTSET"),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_average_pool, kernel_shape), .required = true},
    US_AIS(us_p_average_pool, pads, "pads"), US_AIS(us_p_average_pool, strides, "strides"), US_ATTR_END};
static const us_attr_row average_pool_attrs_7[] = {
    US_AS(us_p_average_pool, auto_pad, "auto_pad", "NOTSET"),
    US_AI(us_p_average_pool, count_include_pad, "count_include_pad", 0),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_average_pool, kernel_shape), .required = true},
    US_AIS(us_p_average_pool, pads, "pads"), US_AIS(us_p_average_pool, strides, "strides"), US_ATTR_END};
static const us_attr_row average_pool_attrs_10[] = {
    US_AS(us_p_average_pool, auto_pad, "auto_pad", "NOTSET"), US_AI(us_p_average_pool, ceil_mode, "ceil_mode", 0),
    US_AI(us_p_average_pool, count_include_pad, "count_include_pad", 0),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_average_pool, kernel_shape), .required = true},
    US_AIS(us_p_average_pool, pads, "pads"), US_AIS(us_p_average_pool, strides, "strides"), US_ATTR_END};
static const us_attr_row average_pool_attrs_19[] = {
    US_AS(us_p_average_pool, auto_pad, "auto_pad", "NOTSET"), US_AI(us_p_average_pool, ceil_mode, "ceil_mode", 0),
    US_AI(us_p_average_pool, count_include_pad, "count_include_pad", 0),
    US_AIS(us_p_average_pool, dilations, "dilations"),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_average_pool, kernel_shape), .required = true},
    US_AIS(us_p_average_pool, pads, "pads"), US_AIS(us_p_average_pool, strides, "strides"), US_ATTR_END};
const us_schema average_pool_schemas[] = {
    {1, average_pool_in, average_pool_out, average_pool_attrs, sizeof(us_p_average_pool), NULL},
    {7, average_pool_in, average_pool_out, average_pool_attrs_7, sizeof(us_p_average_pool), NULL},
    {10, average_pool_in, average_pool_out, average_pool_attrs_10, sizeof(us_p_average_pool), NULL},
    {11, average_pool_in, average_pool_out, average_pool_attrs_10, sizeof(us_p_average_pool), NULL},
    {19, average_pool_in, average_pool_out, average_pool_attrs_19, sizeof(us_p_average_pool), NULL},
    {22, average_pool_in, average_pool_out, average_pool_attrs_19, sizeof(us_p_average_pool), NULL},
    {0}};

static const us_attr_row lp_pool_attrs[] = {
    US_AS(us_p_lp_pool, auto_pad, "auto_pad", "NOTSET"), US_AIS(us_p_lp_pool, kernel_shape, "kernel_shape"),
    US_AF(us_p_lp_pool, p_1, "p", 2.0F), US_AIS(us_p_lp_pool, pads, "pads"),
    US_AIS(us_p_lp_pool, strides, "strides"), US_ATTR_END};
static const us_attr_row lp_pool_attrs_2[] = {
    US_AS(us_p_lp_pool, auto_pad, "auto_pad", "NOTSET"),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_lp_pool, kernel_shape), .required = true},
    US_AI(us_p_lp_pool, p, "p", 2), US_AIS(us_p_lp_pool, pads, "pads"), US_AIS(us_p_lp_pool, strides, "strides"),
    US_ATTR_END};
static const us_attr_row lp_pool_attrs_18[] = {
    US_AS(us_p_lp_pool, auto_pad, "auto_pad", "NOTSET"), US_AI(us_p_lp_pool, ceil_mode, "ceil_mode", 0),
    US_AIS(us_p_lp_pool, dilations, "dilations"),
    {.name = "kernel_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_lp_pool, kernel_shape), .required = true},
    US_AI(us_p_lp_pool, p, "p", 2), US_AIS(us_p_lp_pool, pads, "pads"), US_AIS(us_p_lp_pool, strides, "strides"),
    US_ATTR_END};
const us_schema lp_pool_schemas[] = {
    {1, average_pool_in, average_pool_out, lp_pool_attrs, sizeof(us_p_lp_pool), NULL},
    {2, average_pool_in, average_pool_out, lp_pool_attrs_2, sizeof(us_p_lp_pool), NULL},
    {11, average_pool_in, average_pool_out, lp_pool_attrs_2, sizeof(us_p_lp_pool), NULL},
    {18, average_pool_in, average_pool_out, lp_pool_attrs_18, sizeof(us_p_lp_pool), NULL},
    {22, average_pool_in, average_pool_out, lp_pool_attrs_18, sizeof(us_p_lp_pool), NULL},
    {0}};

const us_schema global_average_pool_schemas[] = {
    {1, average_pool_in, average_pool_out, NULL, 0, NULL},
    {22, average_pool_in, average_pool_out, NULL, 0, NULL},
    {0}};

const us_schema global_max_pool_schemas[] = {
    {1, average_pool_in, average_pool_out, NULL, 0, NULL},
    {22, average_pool_in, average_pool_out, NULL, 0, NULL},
    {0}};

static const us_attr_row global_lp_pool_attrs[] = {US_AF(us_p_global_pool, p_1, "p", 2.0F), US_ATTR_END};
static const us_attr_row global_lp_pool_attrs_2[] = {US_AI(us_p_global_pool, p, "p", 2), US_ATTR_END};
const us_schema global_lp_pool_schemas[] = {
    {1, average_pool_in, average_pool_out, global_lp_pool_attrs, sizeof(us_p_global_pool), NULL},
    {2, average_pool_in, average_pool_out, global_lp_pool_attrs_2, sizeof(us_p_global_pool), NULL},
    {22, average_pool_in, average_pool_out, global_lp_pool_attrs_2, sizeof(us_p_global_pool), NULL},
    {0}};
/* clang-format on */

static us_window_attrs max_attrs(const us_p_max_pool *p)
{
    return (us_window_attrs){p->kernel_shape, p->strides,  p->dilations,
                             p->pads,         p->auto_pad, p->ceil_mode != 0};
}
static us_window_attrs average_attrs(const us_p_average_pool *p)
{
    return (us_window_attrs){p->kernel_shape, p->strides,  p->dilations,
                             p->pads,         p->auto_pad, p->ceil_mode != 0};
}
static us_window_attrs lp_attrs(const us_p_lp_pool *p)
{
    return (us_window_attrs){p->kernel_shape, p->strides,  p->dilations,
                             p->pads,         p->auto_pad, p->ceil_mode != 0};
}

us_err max_pool_infer(us_infer *k)
{
    us_window_attrs a = max_attrs(k->params);
    return us_window_infer(k, &a, NULL, 2);
}
us_err average_pool_infer(us_infer *k)
{
    us_window_attrs a = average_attrs(k->params);
    return us_window_infer(k, &a, NULL, 1);
}
us_err lp_pool_infer(us_infer *k)
{
    us_window_attrs a = lp_attrs(k->params);
    return us_window_infer(k, &a, NULL, 1);
}

typedef struct pool {
    us_tensor x;
    us_window w;
    int64_t planes, in_size, out_size, taps;
    int64_t dims[US_MAX_RANK];
} pool;

static us_err pool_open(us_eval *k, const us_window_attrs *a, pool *v)
{
    US_TRY(us_eval_in_dense(k, 0, &v->x));
    if (v->x.rank < 3)
        return us_eval_fail(k, US_SHAPE, "input of rank %d, expected [N,C,...]", v->x.rank);
    const char *bad = us_window_set(&v->w, v->x.rank - 2, v->x.dims + 2, a);
    if (bad) return us_eval_fail(k, US_SHAPE, "%s", bad);
    v->planes = v->x.dims[0] * v->x.dims[1];
    v->in_size = us_dims_product(v->w.in, 0, v->w.n);
    memcpy(v->dims, v->x.dims, 2 * sizeof *v->dims);
    memcpy(v->dims + 2, v->w.out, (size_t)v->w.n * sizeof *v->dims);
    int64_t n;
    if (!us_dims_count(v->x.rank, v->dims, &n))
        return us_eval_fail(k, US_LIMIT, "the output would be too large");
    v->out_size = us_dims_product(v->w.out, 0, v->w.n);
    return us_window_work(k, &v->w, (double)v->planes, &v->taps);
}

/* Input offset of tap kp seen from output op, or -1 in the padding; *reach: still inside the padded input. */
static int64_t source(const us_window *w, const int64_t *kp, const int64_t *op, bool *reach)
{
    int64_t at = 0;
    bool inside = true;
    *reach = true;
    for (int i = 0; i < w->n; i++) {
        int64_t q = op[i] * w->stride[i] - w->begin[i] + kp[i] * w->dilation[i];
        if (q < 0 || q >= w->in[i]) inside = false;
        if (q >= w->in[i] + w->end[i]) *reach = false;
        at = at * w->in[i] + q;
    }
    return inside ? at : -1;
}

/* --- MaxPool ------------------------------------------------------------------------------------- */

#define MAX_PLANE(name, T, GREATER)                                                            \
    static void name(const pool *v, const void *x_, void *y_, int64_t *index)                  \
    {                                                                                          \
        const T *x = x_;                                                                       \
        T *y = y_;                                                                             \
        int64_t op[US_MAX_RANK] = {0};                                                         \
        bool reach;                                                                            \
        for (int64_t p = 0; p < v->out_size; p++, us_window_next(v->w.n, v->w.out, op)) {      \
            int64_t best = -1, kp[US_MAX_RANK] = {0};                                          \
            for (int64_t t = 0; t < v->taps; t++, us_window_next(v->w.n, v->w.kernel, kp)) {   \
                int64_t at = source(&v->w, kp, op, &reach);                                    \
                if (at >= 0 && (best < 0 || GREATER(x[at], x[best]))) best = at;               \
            }                                                                                  \
            y[p] = best < 0 ? 0 : x[best];                                                     \
            if (index) index[p] = best;                                                        \
        }                                                                                      \
    }
#define GREATER_F(a, b) ((a) > (b) || ((a) != (a) && (b) == (b)))
#define GREATER_I(a, b) ((a) > (b))
MAX_PLANE(max_f32, float, GREATER_F)
MAX_PLANE(max_f64, double, GREATER_F)
MAX_PLANE(max_i8, int8_t, GREATER_I)
MAX_PLANE(max_u8, uint8_t, GREATER_I)
typedef void plane_fn(const pool *, const void *, void *, int64_t *);
static plane_fn *const max_planes[US_DTYPE_N] = {
    [US_F32] = max_f32, [US_F64] = max_f64, [US_I8] = max_i8, [US_U8] = max_u8};

/* Offset within a plane in column-major order. */
static int64_t column_major(const us_window *w, int64_t at)
{
    int64_t pos[US_MAX_RANK], r = 0;
    us_window_at(w->n, w->in, at, pos);
    for (int i = w->n - 1; i >= 0; i--)
        r = r * w->in[i] + pos[i];
    return r;
}

us_err max_pool_eval(us_eval *k)
{
    const us_p_max_pool *p = k->params;
    us_window_attrs a = max_attrs(p);
    pool v;
    us_tensor *y, *index = NULL;
    US_TRY(pool_open(k, &a, &v));
    if (us_is_half(v.x.dtype)) return us_eval_widened(k, v.x.dtype, max_pool_eval);
    if (!max_planes[v.x.dtype]) return us_eval_no_type(k, v.x.dtype);
    US_TRY(us_eval_out(k, 0, v.x.dtype, v.x.rank, v.dims, &y));
    if (us_eval_wants(k, 1)) US_TRY(us_eval_out(k, 1, US_I64, v.x.rank, v.dims, &index));
    for (int64_t i = 0; i < v.planes; i++) {
        int64_t *to = index ? (int64_t *)index->data + i * v.out_size : NULL;
        max_planes[v.x.dtype](&v, us_at(&v.x, i * v.in_size), us_at(y, i * v.out_size), to);
        for (int64_t j = 0; to && j < v.out_size; j++)
            to[j] = i * v.in_size + (p->storage_order ? column_major(&v.w, to[j]) : to[j]);
    }
    return US_OK;
}

/* --- sums over windows --------------------------------------------------------------------------- */

typedef struct sum_rule {
    double p;         /* 0: average, else the norm's exponent */
    bool include_pad; /* of averages */
} sum_rule;

static us_err sum_pool(us_eval *k, const us_window_attrs *a, sum_rule r, us_eval_fn *self)
{
    pool v;
    us_tensor *y;
    US_TRY(pool_open(k, a, &v));
    if (us_is_half(v.x.dtype)) return us_eval_widened(k, v.x.dtype, self);
    if (v.x.dtype != US_F32 && v.x.dtype != US_F64) return us_eval_no_type(k, v.x.dtype);
    US_TRY(us_eval_out(k, 0, v.x.dtype, v.x.rank, v.dims, &y));
    for (int64_t i = 0; i < v.planes; i++) {
        int64_t op[US_MAX_RANK] = {0};
        for (int64_t q = 0; q < v.out_size; q++, us_window_next(v.w.n, v.w.out, op)) {
            int64_t kp[US_MAX_RANK] = {0}, count = 0;
            double s = 0;
            bool reach;
            for (int64_t t = 0; t < v.taps; t++, us_window_next(v.w.n, v.w.kernel, kp)) {
                int64_t at = source(&v.w, kp, op, &reach);
                count += r.include_pad ? reach : at >= 0;
                if (at < 0) continue;
                at += i * v.in_size;
                double e = v.x.dtype == US_F64 ? ((double *)v.x.data)[at]
                                               : (double)((float *)v.x.data)[at];
                s += r.p == 0 ? e : r.p == 1 ? fabs(e) : r.p == 2 ? e * e : pow(fabs(e), r.p);
            }
            if (r.p == 0)
                s /= (double)US_MAX(count, 1);
            else if (r.p != 1)
                s = r.p == 2 ? sqrt(s) : pow(s, 1 / r.p);
            if (v.x.dtype == US_F64)
                ((double *)y->data)[i * v.out_size + q] = s;
            else
                ((float *)y->data)[i * v.out_size + q] = (float)s;
        }
    }
    return US_OK;
}

us_err average_pool_eval(us_eval *k)
{
    const us_p_average_pool *p = k->params;
    us_window_attrs a = average_attrs(p);
    return sum_pool(k, &a, (sum_rule){0, p->count_include_pad != 0}, average_pool_eval);
}

us_err lp_pool_eval(us_eval *k)
{
    const us_p_lp_pool *p = k->params;
    us_window_attrs a = lp_attrs(p);
    if (p->p < 1) return us_eval_fail(k, US_ARG, "p is %lld", (long long)p->p);
    return sum_pool(k, &a, (sum_rule){(double)p->p, false}, lp_pool_eval);
}

/* --- global forms: one window as large as the input ---------------------------------------------- */

static us_err global_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK];
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    for (int i = 0; i < x->rank; i++)
        d[i] = i < 2 ? x->dims[i] : US_DIM(1);
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}
US_INFER_AS(global_average_pool, global_infer)
US_INFER_AS(global_max_pool, global_infer)
US_INFER_AS(global_lp_pool, global_infer)

static us_err global_window(us_eval *k, us_window_attrs *a)
{
    const us_tensor *x;
    US_TRY(us_eval_in(k, 0, &x));
    if (x->rank < 3)
        return us_eval_fail(k, US_SHAPE, "input of rank %d, expected [N,C,...]", x->rank);
    *a = (us_window_attrs){.kernel = {x->dims + 2, (size_t)x->rank - 2}};
    return US_OK;
}

us_err global_average_pool_eval(us_eval *k)
{
    us_window_attrs a;
    US_TRY(global_window(k, &a));
    return sum_pool(k, &a, (sum_rule){0, false}, global_average_pool_eval);
}
us_err global_lp_pool_eval(us_eval *k)
{
    const us_p_global_pool *p = k->params;
    us_window_attrs a;
    US_TRY(global_window(k, &a));
    return sum_pool(k, &a, (sum_rule){(double)p->p, false}, global_lp_pool_eval);
}
us_err global_max_pool_eval(us_eval *k)
{
    us_window_attrs a;
    pool v;
    us_tensor *y;
    US_TRY(global_window(k, &a));
    US_TRY(pool_open(k, &a, &v));
    if (us_is_half(v.x.dtype)) return us_eval_widened(k, v.x.dtype, global_max_pool_eval);
    if (!max_planes[v.x.dtype]) return us_eval_no_type(k, v.x.dtype);
    US_TRY(us_eval_out(k, 0, v.x.dtype, v.x.rank, v.dims, &y));
    for (int64_t i = 0; i < v.planes; i++)
        max_planes[v.x.dtype](&v, us_at(&v.x, i * v.in_size), us_at(y, i), NULL);
    return US_OK;
}

/* Text with the spatial axes of x0 in place of '#'. */
static us_err expand_spatial(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *text)
{
    int rank = g->vals.at[g->nodes.at[n].in[0]].type.rank;
    if (g->vals.at[g->nodes.at[n].in[0]].type.kind != US_KIND_TENSOR || rank < 3)
        return us_upgrade_fail(c, g, n, "expanding needs the rank of its input");
    char out[256];
    size_t at = 0;
    for (const char *s = text; *s && at + 64 < sizeof out; s++) {
        if (*s != '#') {
            out[at++] = *s;
            continue;
        }
        for (int i = 2; i < rank; i++) {
            if (i > 2) out[at++] = ',';
            if (i > 9) out[at++] = '1';
            out[at++] = (char)('0' + i % 10);
        }
    }
    out[at] = 0;
    return us_expand_text(c, m, g, n, out);
}
us_err global_average_pool_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return expand_spatial(c, m, g, n, "y = ReduceMean<keepdims=1>(x0, [#])");
}
us_err global_max_pool_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return expand_spatial(c, m, g, n, "y = ReduceMax<keepdims=1>(x0, [#])");
}
