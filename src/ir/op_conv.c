/* ir/op_conv.c - Conv and ConvTranspose for any number of spatial dimensions.
 *
 * Conv in float: blocks of output positions are unrolled into a matrix (a column per position, a row per
 * weight) and multiplied by the weights; a 1x1 kernel without padding needs no unrolling. Blocks bound
 * the matrix to COL_BYTES and change no sum. In double: the sum as it is written, for gradient checks.
 * ConvTranspose in float: weights times input, then every product is added where it belongs. In double: as it is written.
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
    bool known = w && w->rank > 2; /* the weight's sizes count, kernel_shape repeats them */
    for (int i = 2; known && i < w->rank; i++) {
        known = us_dim_known(w->dims[i]);
        dims[i - 2] = w->dims[i].add;
    }
    if (known) kernel = (us_ints){dims, (size_t)w->rank - 2};
    if (w && w->rank > 2 && kernel.n == 0) return us_infer_rank(k, 0, US_DT_NONE, w->rank);
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
    us_conv_shape d;
} conv;

static us_err conv_open(us_eval *k, conv *v)
{
    US_TRY(us_eval_in_dense(k, 0, &v->x));
    US_TRY(us_eval_in_dense(k, 1, &v->w));
    v->has_b = us_eval_opt(k, 2) != NULL;
    if (v->has_b) US_TRY(us_eval_in_dense(k, 2, &v->b));
    if (v->w.dtype != v->x.dtype)
        return us_eval_fail(k, US_ARG, "input and weight differ in type");
    US_TRY(us_conv_shape_of(k, &v->x, &v->w, &v->d));
    if (v->has_b && us_tensor_count(&v->b) != v->d.m)
        return us_eval_fail(k, US_SHAPE, "bias of %lld for %lld outputs",
                            (long long)us_tensor_count(&v->b), (long long)v->d.m);
    int64_t dims[US_MAX_RANK];
    us_conv_shape_out(&v->d, dims);
    return us_eval_out(k, 0, v->x.dtype, v->x.rank, dims, &v->y);
}

/* Rows (channel, tap), columns: output positions p0..p1. */
static void unroll(const conv *v, const float *x, int64_t p0, int64_t p1, float *col)
{
    const us_window *w = &v->d.win;
    int64_t kp[US_MAX_RANK], op[US_MAX_RANK], first[US_MAX_RANK];
    us_window_at(w->n, w->out, p0, first);
    for (int64_t c = 0; c < v->d.cg; c++, x += v->d.in_size) {
        memset(kp, 0, sizeof kp);
        for (int64_t t = 0; t < v->d.taps; t++, us_window_next(w->n, w->kernel, kp)) {
            memcpy(op, first, sizeof op);
            for (int64_t p = p0; p < p1; p++, us_window_next(w->n, w->out, op)) {
                int64_t at = us_window_source(w, kp, op);
                *col++ = at < 0 ? 0 : x[at];
            }
        }
    }
}

static us_err conv_f32(us_eval *k, const conv *v)
{
    int64_t rows = v->d.cg * v->d.taps;
    bool direct = us_window_is_point(&v->d.win);
    int64_t step = direct ? v->d.out_size : US_MAX(COL_BYTES / 4 / US_MAX(rows, 1), 16);
    step = US_MAX(US_MIN(step, v->d.out_size), 1);
    float *col = NULL;
    if (!direct) US_TRY(us_eval_scratch(k, (size_t)(rows * step) * sizeof *col, (void **)&col));
    us_gemm_args g = {.m = (size_t)v->d.mg,
                      .k = (size_t)rows,
                      .alpha = 1,
                      .beta = v->has_b ? 1 : 0,
                      .lda = (size_t)rows,
                      .ldc = (size_t)v->d.out_size};
    for (int64_t i = 0; i < v->d.n * v->d.groups; i++) {
        const float *x = (const float *)v->x.data + i * v->d.cg * v->d.in_size;
        float *y = (float *)v->y->data + i * v->d.mg * v->d.out_size;
        int64_t group = i % v->d.groups;
        for (int64_t m = 0; m < v->d.mg && v->has_b; m++)
            for (int64_t p = 0; p < v->d.out_size; p++)
                y[m * v->d.out_size + p] = ((const float *)v->b.data)[group * v->d.mg + m];
        g.a = (const float *)v->w.data + group * v->d.mg * rows;
        for (int64_t p = 0; p < v->d.out_size; p += step) {
            int64_t n = US_MIN(step, v->d.out_size - p);
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
    const us_window *w = &v->d.win;
    const double *x = v->x.data, *k = v->w.data;
    double *y = v->y->data;
    for (int64_t i = 0; i < v->d.n * v->d.m; i++) {
        int64_t batch = i / v->d.m, m = i % v->d.m, group = m / v->d.mg;
        int64_t op[US_MAX_RANK] = {0};
        for (int64_t p = 0; p < v->d.out_size; p++, us_window_next(w->n, w->out, op)) {
            double s = v->has_b ? ((const double *)v->b.data)[m] : 0;
            for (int64_t c = 0; c < v->d.cg; c++) {
                const double *xc = x + (batch * v->d.c + group * v->d.cg + c) * v->d.in_size;
                int64_t kp[US_MAX_RANK] = {0};
                for (int64_t t = 0; t < v->d.taps; t++, us_window_next(w->n, w->kernel, kp)) {
                    int64_t at = us_window_source(w, kp, op);
                    if (at >= 0) s += xc[at] * k[(m * v->d.cg + c) * v->d.taps + t];
                }
            }
            y[i * v->d.out_size + p] = s;
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

const char *us_transposed_window(us_window *w, int n, const int64_t *in, us_ints kernel,
                                 const us_p_conv_transpose *p)
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

/* The output of an axis whose size is a symbol. */
static us_err transposed_symbol(us_infer *k, const us_p_conv_transpose *p, const us_window *w,
                                int i, us_dim in, us_dim *out)
{
    us_syms *s = &k->m->syms;
    int64_t more = (p->output_padding.n ? p->output_padding.p[i] : 0) - w->stride[i] +
                   (w->kernel[i] - 1) * w->dilation[i] + 1 - w->begin[i] - w->end[i];
    if (p->output_shape.n) {
        *out = US_DIM(p->output_shape.p[p->output_shape.n - (size_t)w->n + (size_t)i]);
        return out->add >= 0 ? US_OK : us_infer_fresh(k, out);
    }
    US_TRY(us_dim_mul(k->c, s, in, US_DIM(w->stride[i]), out));
    if (us_sv_starts(p->auto_pad, "SAME_")) return US_OK;
    if (us_sv_is(p->auto_pad, "VALID")) more += w->begin[i] + w->end[i];
    return us_dim_add(k->c, s, *out, US_DIM(more), out);
}

us_err us_transposed_dims(us_infer *k, const us_p_conv_transpose *p, int n, const us_dim *x,
                          const us_dim *kernel, us_dim *out, bool *known)
{
    int64_t in[US_MAX_RANK] = {0}, size[US_MAX_RANK] = {0};
    us_window win;
    *known = false;
    for (int i = 0; i < n; i++) {
        if (!us_dim_known(kernel[i])) return US_OK;
        in[i] = us_dim_known(x[i]) ? x[i].add : -1;
        size[i] = kernel[i].add;
    }
    const char *bad = us_transposed_window(&win, n, in, (us_ints){size, (size_t)n}, p);
    if (bad) return us_infer_fail(k, US_SHAPE, bad);
    *known = true;
    for (int i = 0; i < n; i++) {
        if (win.out[i] >= 0)
            out[i] = US_DIM(win.out[i]);
        else
            US_TRY(transposed_symbol(k, p, &win, i, x[i], &out[i]));
    }
    return US_OK;
}

us_err conv_transpose_infer(us_infer *k)
{
    const us_p_conv_transpose *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, 1);
    if (!x || !w || x->rank < 3 || w->rank != x->rank)
        return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    us_dim d[US_MAX_RANK];
    bool known;
    US_TRY(us_transposed_dims(k, p, x->rank - 2, x->dims + 2, w->dims + 2, d + 2, &known));
    if (!known) return us_infer_rank(k, 0, US_DT_NONE, x->rank);
    d[0] = x->dims[0];
    US_TRY(us_dim_mul(k->c, &k->m->syms, w->dims[1], US_DIM(p->group), &d[1]));
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

#define SPREAD(name, T)                                                                        \
    static void name(const conv *v)                                                            \
    {                                                                                          \
        const us_window *w = &v->d.win;                                                        \
        T *y = v->y->data;                                                                     \
        for (int64_t i = 0; i < v->d.n * v->d.m * v->d.out_size; i++)                          \
            y[i] = v->has_b ? ((const T *)v->b.data)[i / v->d.out_size % v->d.m] : 0;          \
        for (int64_t i = 0; i < v->d.n * v->d.c; i++) {                                        \
            int64_t batch = i / v->d.c, c = i % v->d.c, group = c / v->d.cg,                   \
                    ip[US_MAX_RANK] = {0};                                                     \
            const T *x = (const T *)v->x.data + i * v->d.in_size;                              \
            const T *k = (const T *)v->w.data + c * v->d.mg * v->d.taps;                       \
            for (int64_t p = 0; p < v->d.in_size; p++, us_window_next(w->n, w->in, ip)) {      \
                int64_t kp[US_MAX_RANK] = {0};                                                 \
                for (int64_t t = 0; t < v->d.taps; t++, us_window_next(w->n, w->kernel, kp)) { \
                    int64_t at = target(w, kp, ip);                                            \
                    for (int64_t m = 0; m < v->d.mg && at >= 0; m++)                           \
                        y[(batch * v->d.m + group * v->d.mg + m) * v->d.out_size + at] +=      \
                            x[p] * k[m * v->d.taps + t];                                       \
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
SPREAD(spread_f64, double)

/* Products of one output channel and tap with the input positions [p, p + n) land in its plane y. Along the last dimension
 * targets are `stride` apart, so a row is one loop. */
static void land(const us_window *w, const int64_t *kp, int64_t p, int64_t n, const float *col,
                 float *y)
{
    int last = w->n - 1;
    int64_t ip[US_MAX_RANK], s = w->stride[last];
    us_window_at(w->n, w->in, p, ip);
    while (n > 0) {
        int64_t run = US_MIN(n, w->in[last] - ip[last]), row = 0;
        for (int i = 0; i < last && row >= 0; i++) {
            int64_t q = ip[i] * w->stride[i] + kp[i] * w->dilation[i] - w->begin[i];
            row = q < 0 || q >= w->out[i] ? -1 : row * w->out[i] + q;
        }
        int64_t q = ip[last] * s + kp[last] * w->dilation[last] - w->begin[last];
        int64_t r0 = q < 0 ? (-q + s - 1) / s : 0, room = w->out[last] - q;
        int64_t r1 = room > 0 ? US_MIN(run, (room + s - 1) / s) : 0;
        float *to = row < 0 ? NULL : y + row * w->out[last] + q;
        for (int64_t r = r0; to && r < r1; r++)
            to[r * s] += col[r];
        col += run;
        n -= run;
        ip[last] += run - 1;
        us_window_next(w->n, w->in, ip);
    }
}

/* As a product of the weights, turned, with blocks of input positions, whose rows (a channel, a tap) then land. */
static us_err spread_f32(us_eval *k, const conv *v)
{
    int64_t rows = v->d.mg * v->d.taps, size = v->d.in_size;
    int64_t step = US_MIN(US_MAX(COL_BYTES / 4 / US_MAX(rows, 1), 64), size);
    float *col, *y = v->y->data;
    US_TRY(us_eval_scratch(k, (size_t)(rows * step) * sizeof *col, (void **)&col));
    for (int64_t i = 0; i < v->d.n * v->d.m * v->d.out_size; i++)
        y[i] = v->has_b ? ((const float *)v->b.data)[i / v->d.out_size % v->d.m] : 0;
    for (int64_t i = 0; i < v->d.n * v->d.groups; i++, y += v->d.mg * v->d.out_size)
        for (int64_t p = 0; p < size; p += step) {
            int64_t n = US_MIN(step, size - p);
            us_gemm_args g = {.trans_a = true,
                              .m = (size_t)rows,
                              .n = (size_t)n,
                              .k = (size_t)v->d.cg,
                              .alpha = 1,
                              .a = (const float *)v->w.data + i % v->d.groups * v->d.cg * rows,
                              .lda = (size_t)rows,
                              .b = (const float *)v->x.data + i * v->d.cg * size + p,
                              .ldb = (size_t)size,
                              .c = col,
                              .ldc = (size_t)n};
            US_TRY(us_eval_gemm(k, &g));
            for (int64_t m = 0; m < v->d.mg; m++) {
                int64_t kp[US_MAX_RANK] = {0};
                for (int64_t t = 0; t < v->d.taps;
                     t++, us_window_next(v->d.win.n, v->d.win.kernel, kp))
                    land(&v->d.win, kp, p, n, col + (m * v->d.taps + t) * n,
                         y + m * v->d.out_size);
            }
        }
    return US_OK;
}

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
    const char *bad = us_transposed_window(&v.d.win, v.x.rank - 2, v.x.dims + 2, kernel, p);
    if (bad) return us_eval_fail(k, US_SHAPE, "%s", bad);
    v.d.n = v.x.dims[0];
    v.d.c = v.x.dims[1];
    v.d.groups = p->group;
    v.d.mg = v.w.dims[1];
    v.d.m = v.d.mg * v.d.groups;
    v.d.cg = v.d.c / v.d.groups;
    if (v.has_b && us_tensor_count(&v.b) != v.d.m)
        return us_eval_fail(k, US_SHAPE, "bias of %lld for %lld outputs",
                            (long long)us_tensor_count(&v.b), (long long)v.d.m);
    v.d.taps = us_dims_product(v.d.win.kernel, 0, v.d.win.n);
    v.d.in_size = us_dims_product(v.d.win.in, 0, v.d.win.n);
    int64_t dims[US_MAX_RANK];
    us_conv_shape_out(&v.d, dims);
    US_TRY(us_eval_out(k, 0, v.x.dtype, v.x.rank, dims, &v.y));
    v.d.out_size = us_dims_product(v.d.win.out, 0, v.d.win.n);
    US_TRY(us_eval_work(k, (double)v.d.n * (double)v.d.c * (double)v.d.in_size *
                               (double)v.d.taps * (double)v.d.mg));
    if (us_tensor_count(v.y) == 0) return US_OK;
    if (v.x.dtype == US_F32) return spread_f32(k, &v);
    spread_f64(&v);
    return US_OK;
}
