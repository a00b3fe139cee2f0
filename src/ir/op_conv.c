/* ir/op_conv.c - Conv and ConvTranspose for any number of spatial dimensions.
 *
 * Conv in float: blocks of output positions are unrolled into a matrix (a column per position, a row per
 * weight) and multiplied by the weights; a 1x1 kernel without padding needs no unrolling. Blocks bound
 * the matrix to COL_BYTES and change no sum. In double: the sum as it is written, for gradient checks.
 * ConvTranspose adds every input element times the kernel into the output.
 */
#include "ir/op_qint.h"
#include "ir/op_window.h"

#include <string.h>

/* clang-format off */
static const us_param conv_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"W", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param conv_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row conv_attrs[] = {
    US_AS(us_p_conv, auto_pad, "auto_pad", "NOTSET"), US_AIS(us_p_conv, dilations, "dilations"),
    US_AI(us_p_conv, group, "group", 1), US_AIS(us_p_conv, kernel_shape, "kernel_shape"),
    US_AIS(us_p_conv, pads, "pads"), US_AIS(us_p_conv, strides, "strides"), US_ATTR_END};
const us_schema conv_schemas[] = {
    {1, conv_in, conv_out, conv_attrs, sizeof(us_p_conv), NULL},
    {11, conv_in, conv_out, conv_attrs, sizeof(us_p_conv), NULL},
    {22, conv_in, conv_out, conv_attrs, sizeof(us_p_conv), NULL},
    {0}};

static const us_attr_row conv_transpose_attrs[] = {
    US_AS(us_p_conv_transpose, auto_pad, "auto_pad", "NOTSET"), US_AIS(us_p_conv_transpose, dilations, "dilations"),
    US_AI(us_p_conv_transpose, group, "group", 1), US_AIS(us_p_conv_transpose, kernel_shape, "kernel_shape"),
    US_AIS(us_p_conv_transpose, output_padding, "output_padding"),
    US_AIS(us_p_conv_transpose, output_shape, "output_shape"), US_AIS(us_p_conv_transpose, pads, "pads"),
    US_AIS(us_p_conv_transpose, strides, "strides"), US_ATTR_END};
const us_schema conv_transpose_schemas[] = {
    {1, conv_in, conv_out, conv_transpose_attrs, sizeof(us_p_conv_transpose), NULL},
    {11, conv_in, conv_out, conv_transpose_attrs, sizeof(us_p_conv_transpose), NULL},
    {22, conv_in, conv_out, conv_transpose_attrs, sizeof(us_p_conv_transpose), NULL},
    {0}};
/* clang-format on */

#define COL_BYTES ((int64_t)4 << 20)

static us_window_attrs attrs_of(const us_p_conv *p, us_ints kernel)
{
    return (us_window_attrs){kernel, p->strides, p->dilations, p->pads, p->auto_pad, false};
}

us_err us_infer_conv(us_infer *k, size_t iw)
{
    const us_p_conv *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, iw);
    us_dim m;
    us_ints kernel = p->kernel_shape;
    int64_t dims[US_MAX_RANK];
    if (w && w->rank > 2 && kernel.n == 0) {
        for (int i = 2; i < w->rank; i++) {
            if (!us_dim_known(w->dims[i])) return us_infer_rank(k, 0, US_DT_NONE, w->rank);
            dims[i - 2] = w->dims[i].add;
        }
        kernel = (us_ints){dims, (size_t)w->rank - 2};
    }
    if (!x || kernel.n == 0) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (w && w->rank > 0)
        m = w->dims[0];
    else
        US_TRY(us_infer_fresh(k, &m));
    us_window_attrs a = attrs_of(p, kernel);
    return us_window_infer(k, &a, &m, 1);
}

us_err conv_infer(us_infer *k)
{
    return us_infer_conv(k, 1);
}

/* Everything a convolution needs to know, checked. */
typedef struct conv {
    us_tensor x, w, b, *y;
    bool has_b;
    us_window win;
    int64_t n, c, m, groups, cg, mg; /* channels in and out, per group */
    int64_t taps, in_size, out_size; /* products of kernel, input and output dims */
} conv;

static us_err conv_open(us_eval *k, conv *v)
{
    const us_p_conv *p = k->params;
    US_TRY(us_eval_in_dense(k, 0, &v->x));
    US_TRY(us_eval_in_dense(k, 1, &v->w));
    v->has_b = us_eval_opt(k, 2) != NULL;
    if (v->has_b) US_TRY(us_eval_in_dense(k, 2, &v->b));
    if (v->x.rank < 3 || v->w.rank != v->x.rank || v->w.dtype != v->x.dtype)
        return us_eval_fail(k, US_SHAPE, "input of rank %d, weight of rank %d", v->x.rank,
                            v->w.rank);
    us_ints kernel = {v->w.dims + 2, (size_t)v->w.rank - 2};
    us_window_attrs a = attrs_of(p, kernel);
    const char *bad = us_window_set(&v->win, v->x.rank - 2, v->x.dims + 2, &a);
    if (bad) return us_eval_fail(k, US_SHAPE, "%s", bad);
    v->n = v->x.dims[0];
    v->c = v->x.dims[1];
    v->m = v->w.dims[0];
    v->groups = p->group;
    if (v->groups < 1 || v->c % v->groups || v->m % v->groups ||
        v->w.dims[1] != v->c / v->groups)
        return us_eval_fail(
            k, US_SHAPE, "input has %lld channels, weight expects %lld in each of %lld groups",
            (long long)v->c, (long long)v->w.dims[1], (long long)v->groups);
    if (v->has_b && us_tensor_count(&v->b) != v->m)
        return us_eval_fail(k, US_SHAPE, "bias of %lld for %lld outputs",
                            (long long)us_tensor_count(&v->b), (long long)v->m);
    v->cg = v->c / v->groups;
    v->mg = v->m / v->groups;
    US_TRY(us_window_work(k, &v->win, (double)v->n * (double)v->m * (double)v->cg, &v->taps));
    v->in_size = us_dims_product(v->win.in, 0, v->win.n);
    int64_t dims[US_MAX_RANK] = {v->n, v->m};
    memcpy(dims + 2, v->win.out, (size_t)v->win.n * sizeof *dims);
    US_TRY(us_eval_out(k, 0, v->x.dtype, v->x.rank, dims, &v->y));
    v->out_size = us_dims_product(v->win.out, 0, v->win.n);
    return US_OK;
}

/* Input offset that tap `kp` sees from output `op`, or -1 in the padding. */
static int64_t source(const us_window *w, const int64_t *kp, const int64_t *op)
{
    int64_t at = 0;
    for (int i = 0; i < w->n; i++) {
        int64_t q = op[i] * w->stride[i] - w->begin[i] + kp[i] * w->dilation[i];
        if (q < 0 || q >= w->in[i]) return -1;
        at = at * w->in[i] + q;
    }
    return at;
}

/* Rows (channel, tap), columns: output positions p0..p1. */
static void unroll(const conv *v, const float *x, int64_t p0, int64_t p1, float *col)
{
    const us_window *w = &v->win;
    int64_t kp[US_MAX_RANK], op[US_MAX_RANK], first[US_MAX_RANK];
    us_window_at(w->n, w->out, p0, first);
    for (int64_t c = 0; c < v->cg; c++, x += v->in_size) {
        memset(kp, 0, sizeof kp);
        for (int64_t t = 0; t < v->taps; t++, us_window_next(w->n, w->kernel, kp)) {
            memcpy(op, first, sizeof op);
            for (int64_t p = p0; p < p1; p++, us_window_next(w->n, w->out, op)) {
                int64_t at = source(w, kp, op);
                *col++ = at < 0 ? 0 : x[at];
            }
        }
    }
}

static bool is_pointwise(const us_window *w)
{
    for (int i = 0; i < w->n; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->begin[i] || w->end[i]) return false;
    return true;
}

static us_err conv_f32(us_eval *k, const conv *v)
{
    int64_t rows = v->cg * v->taps;
    bool direct = is_pointwise(&v->win);
    int64_t step = direct ? v->out_size : US_MAX(COL_BYTES / 4 / US_MAX(rows, 1), 16);
    step = US_MAX(US_MIN(step, v->out_size), 1);
    float *col = NULL;
    if (!direct) US_TRY(us_eval_scratch(k, (size_t)(rows * step) * sizeof *col, (void **)&col));
    us_gemm_args g = {.m = (size_t)v->mg,
                      .k = (size_t)rows,
                      .alpha = 1,
                      .beta = v->has_b ? 1 : 0,
                      .lda = (size_t)rows,
                      .ldc = (size_t)v->out_size};
    for (int64_t i = 0; i < v->n * v->groups; i++) {
        const float *x = (const float *)v->x.data + i * v->cg * v->in_size;
        float *y = (float *)v->y->data + i * v->mg * v->out_size;
        int64_t group = i % v->groups;
        for (int64_t m = 0; m < v->mg && v->has_b; m++)
            for (int64_t p = 0; p < v->out_size; p++)
                y[m * v->out_size + p] = ((const float *)v->b.data)[group * v->mg + m];
        g.a = (const float *)v->w.data + group * v->mg * rows;
        for (int64_t p = 0; p < v->out_size; p += step) {
            int64_t n = US_MIN(step, v->out_size - p);
            if (!direct) unroll(v, x, p, p + n, col);
            g.b = direct ? x : col;
            g.n = g.ldb = (size_t)n;
            g.c = y + p;
            US_TRY(us_eval_gemm(k, &g));
        }
    }
    return US_OK;
}

static void conv_f64(const conv *v)
{
    const us_window *w = &v->win;
    const double *x = v->x.data, *k = v->w.data;
    double *y = v->y->data;
    for (int64_t i = 0; i < v->n * v->m; i++) {
        int64_t batch = i / v->m, m = i % v->m, group = m / v->mg;
        int64_t op[US_MAX_RANK] = {0};
        for (int64_t p = 0; p < v->out_size; p++, us_window_next(w->n, w->out, op)) {
            double s = v->has_b ? ((const double *)v->b.data)[m] : 0;
            for (int64_t c = 0; c < v->cg; c++) {
                const double *xc = x + (batch * v->c + group * v->cg + c) * v->in_size;
                int64_t kp[US_MAX_RANK] = {0};
                for (int64_t t = 0; t < v->taps; t++, us_window_next(w->n, w->kernel, kp)) {
                    int64_t at = source(w, kp, op);
                    if (at >= 0) s += xc[at] * k[(m * v->cg + c) * v->taps + t];
                }
            }
            y[i * v->out_size + p] = s;
        }
    }
}

us_err conv_eval(us_eval *k)
{
    const us_tensor *x;
    conv v;
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, conv_eval);
    if (x->dtype != US_F32 && x->dtype != US_F64) return us_eval_no_type(k, x->dtype);
    US_TRY(conv_open(k, &v));
    if (us_tensor_count(v.y) == 0) return US_OK;
    if (x->dtype == US_F32) return conv_f32(k, &v);
    conv_f64(&v);
    return US_OK;
}

/* --- ConvTranspose ------------------------------------------------------------------------------- */

/* out[] of w holds the output's sizes, in[] the input's; begin[] what is cut off at the front. */
static const char *transpose_window(const us_p_conv_transpose *p, int n, const int64_t *in,
                                    us_ints kernel, us_window *w)
{
    size_t m = (size_t)n;
    if (kernel.n != m || (p->strides.n && p->strides.n != m) ||
        (p->dilations.n && p->dilations.n != m) || (p->pads.n && p->pads.n != 2 * m) ||
        (p->output_padding.n && p->output_padding.n != m) ||
        (p->output_shape.n && p->output_shape.n != m && p->output_shape.n != m + 2))
        return "attributes do not fit the input's rank";
    *w = (us_window){.n = n};
    bool upper = us_sv_is(p->auto_pad, "SAME_UPPER"),
         lower = us_sv_is(p->auto_pad, "SAME_LOWER");
    const int64_t most = (int64_t)1 << 31;
    for (int i = 0; i < n; i++) {
        int64_t extra = p->output_padding.n ? p->output_padding.p[i] : 0;
        w->in[i] = in[i];
        w->kernel[i] = kernel.p[i];
        w->stride[i] = p->strides.n ? p->strides.p[i] : 1;
        w->dilation[i] = p->dilations.n ? p->dilations.p[i] : 1;
        w->begin[i] = p->pads.n ? p->pads.p[i] : 0;
        w->end[i] = p->pads.n ? p->pads.p[n + i] : 0;
        if (w->kernel[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1 || extra < 0 ||
            extra > most || w->kernel[i] > most || w->stride[i] > most ||
            w->dilation[i] > most || w->begin[i] < -most || w->begin[i] > most ||
            w->end[i] < -most || w->end[i] > most ||
            (double)in[i] * (double)w->stride[i] > (double)US_MAX_ELEMENTS ||
            (double)w->kernel[i] * (double)w->dilation[i] > (double)US_MAX_ELEMENTS)
            return "kernel, stride, dilation or padding out of range";
        int64_t full =
            (in[i] - 1) * w->stride[i] + extra + (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (in[i] < 0) {
            w->out[i] = -1;
            continue;
        }
        if (p->output_shape.n || upper || lower) {
            w->out[i] = p->output_shape.n ? p->output_shape.p[p->output_shape.n - m + (size_t)i]
                                          : in[i] * w->stride[i];
            if (w->out[i] < 0 || w->out[i] > US_MAX_ELEMENTS)
                return "the output would have a negative or huge size";
            int64_t cut = full - w->out[i], half = cut > 0 ? cut / 2 : 0;
            w->begin[i] = upper || cut < 0 ? half : cut - half;
            w->end[i] = cut - w->begin[i];
        } else {
            w->out[i] = full - w->begin[i] - w->end[i];
        }
        if (w->out[i] < 0 || w->out[i] > US_MAX_ELEMENTS)
            return "the output would have a negative or huge size";
    }
    return NULL;
}

us_err conv_transpose_infer(us_infer *k)
{
    const us_p_conv_transpose *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, 1);
    if (!x || !w || x->rank < 3 || w->rank != x->rank)
        return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    int64_t in[US_MAX_RANK], kernel[US_MAX_RANK];
    us_window win;
    us_dim d[US_MAX_RANK];
    for (int i = 2; i < x->rank; i++) {
        if (!us_dim_known(w->dims[i])) return us_infer_rank(k, 0, US_DT_NONE, x->rank);
        in[i - 2] = us_dim_known(x->dims[i]) ? x->dims[i].add : -1;
        kernel[i - 2] = w->dims[i].add;
    }
    const char *bad =
        transpose_window(p, x->rank - 2, in, (us_ints){kernel, (size_t)x->rank - 2}, &win);
    if (bad) return us_infer_fail(k, US_SHAPE, bad);
    d[0] = x->dims[0];
    US_TRY(us_dim_mul(k->c, &k->m->syms, w->dims[1], US_DIM(p->group), &d[1]));
    for (int i = 2; i < x->rank; i++) {
        if (win.out[i - 2] >= 0)
            d[i] = US_DIM(win.out[i - 2]);
        else
            US_TRY(us_infer_fresh(k, &d[i]));
    }
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

#define SPREAD(name, T)                                                                        \
    static void name(const conv *v)                                                            \
    {                                                                                          \
        const us_window *w = &v->win;                                                          \
        T *y = v->y->data;                                                                     \
        for (int64_t i = 0; i < v->n * v->m * v->out_size; i++)                                \
            y[i] = v->has_b ? ((const T *)v->b.data)[i / v->out_size % v->m] : 0;              \
        for (int64_t i = 0; i < v->n * v->c; i++) {                                            \
            int64_t batch = i / v->c, c = i % v->c, group = c / v->cg, ip[US_MAX_RANK] = {0};  \
            const T *x = (const T *)v->x.data + i * v->in_size;                                \
            const T *k = (const T *)v->w.data + c * v->mg * v->taps;                           \
            for (int64_t p = 0; p < v->in_size; p++, us_window_next(w->n, w->in, ip)) {        \
                int64_t kp[US_MAX_RANK] = {0};                                                 \
                for (int64_t t = 0; t < v->taps; t++, us_window_next(w->n, w->kernel, kp)) {   \
                    int64_t at = target(w, kp, ip);                                            \
                    for (int64_t m = 0; m < v->mg && at >= 0; m++)                             \
                        y[(batch * v->m + group * v->mg + m) * v->out_size + at] +=            \
                            x[p] * k[m * v->taps + t];                                         \
                }                                                                              \
            }                                                                                  \
        }                                                                                      \
    }
/* Output offset that input `ip` reaches through tap `kp`, or -1 when it is cut off. */
static int64_t target(const us_window *w, const int64_t *kp, const int64_t *ip)
{
    int64_t at = 0;
    for (int i = 0; i < w->n; i++) {
        int64_t q = ip[i] * w->stride[i] + kp[i] * w->dilation[i] - w->begin[i];
        if (q < 0 || q >= w->out[i]) return -1;
        at = at * w->out[i] + q;
    }
    return at;
}
SPREAD(spread_f32, float)
SPREAD(spread_f64, double)

us_err conv_transpose_eval(us_eval *k)
{
    const us_p_conv_transpose *p = k->params;
    conv v = {.has_b = us_eval_opt(k, 2) != NULL};
    US_TRY(us_eval_in_dense(k, 0, &v.x));
    US_TRY(us_eval_in_dense(k, 1, &v.w));
    if (us_is_half(v.x.dtype)) return us_eval_widened(k, v.x.dtype, conv_transpose_eval);
    if (v.x.dtype != US_F32 && v.x.dtype != US_F64) return us_eval_no_type(k, v.x.dtype);
    if (v.has_b) US_TRY(us_eval_in_dense(k, 2, &v.b));
    if (v.x.rank < 3 || v.w.rank != v.x.rank || v.w.dtype != v.x.dtype ||
        v.w.dims[0] != v.x.dims[1] || p->group < 1 || v.x.dims[1] % p->group)
        return us_eval_fail(k, US_SHAPE, "input, weight and group do not fit together");
    us_ints kernel = {v.w.dims + 2, (size_t)v.w.rank - 2};
    const char *bad = transpose_window(p, v.x.rank - 2, v.x.dims + 2, kernel, &v.win);
    if (bad) return us_eval_fail(k, US_SHAPE, "%s", bad);
    v.n = v.x.dims[0];
    v.c = v.x.dims[1];
    v.groups = p->group;
    v.mg = v.w.dims[1];
    v.m = v.mg * v.groups;
    v.cg = v.c / v.groups;
    if (v.has_b && us_tensor_count(&v.b) != v.m)
        return us_eval_fail(k, US_SHAPE, "bias of %lld for %lld outputs",
                            (long long)us_tensor_count(&v.b), (long long)v.m);
    v.taps = us_dims_product(v.win.kernel, 0, v.win.n);
    v.in_size = us_dims_product(v.win.in, 0, v.win.n);
    int64_t dims[US_MAX_RANK] = {v.n, v.m};
    memcpy(dims + 2, v.win.out, (size_t)v.win.n * sizeof *dims);
    US_TRY(us_eval_out(k, 0, v.x.dtype, v.x.rank, dims, &v.y));
    v.out_size = us_dims_product(v.win.out, 0, v.win.n);
    US_TRY(us_eval_work(k, (double)v.n * (double)v.c * (double)v.in_size * (double)v.taps *
                               (double)v.mg));
    if (us_tensor_count(v.y) == 0) return US_OK;
    if (v.x.dtype == US_F32)
        spread_f32(&v);
    else
        spread_f64(&v);
    return US_OK;
}
