/* ir/op_dft.c - DFT and STFT, in double whatever the type, O(n log n) for every length (kernel/ref/fft.c).
 *
 * The last dimension holds real numbers (1) or real and imaginary parts (2). onesided: a real signal's first n/2 + 1 bins;
 * with inverse those bins are completed by symmetry and the result is real. STFT takes [batch, length] for a real signal
 * too, as ONNX Runtime does.
 */
#include "ir/op_util.h"
#include "ir/params_signal.h"

#include <string.h>

/* clang-format off */
static const us_param dft_in[] = {
    {"input", '1', US_M_FLOATS, 0}, {"dft_length", '2', US_M(I32) | US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_param dft_out[] = {{"output", '1', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row dft_attrs[] = {
    US_AI(us_p_dft, axis, "axis", 1), US_AI(us_p_dft, inverse, "inverse", 0),
    US_AI(us_p_dft, onesided, "onesided", 0), US_ATTR_END};
static const us_param dft_in_20[] = {
    {"input", '1', US_M_FLOATS, 0}, {"dft_length", '2', US_M(I32) | US_M(I64), US_P_OPTIONAL},
    {"axis", '\0', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row dft_attrs_20[] = {
    US_AI(us_p_dft, inverse, "inverse", 0), US_AI(us_p_dft, onesided, "onesided", 0), US_ATTR_END};
static us_upgrade_fn axis_to_input;
const us_schema dft_schemas[] = {
    {17, dft_in, dft_out, dft_attrs, sizeof(us_p_dft), axis_to_input},
    {20, dft_in_20, dft_out, dft_attrs_20, sizeof(us_p_dft), NULL},
    {0}};

static const us_param stft_in[] = {
    {"signal", '1', US_M_FLOATS, 0}, {"frame_step", '2', US_M(I32) | US_M(I64), 0},
    {"window", '1', US_M_FLOATS, US_P_OPTIONAL},
    {"frame_length", '2', US_M(I32) | US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row stft_attrs[] = {US_AI(us_p_stft, onesided, "onesided", 1), US_ATTR_END};
const us_schema stft_schemas[] = {
    {17, stft_in, dft_out, stft_attrs, sizeof(us_p_stft), NULL},
    {0}};
/* clang-format on */

/* A longer transform is refused: its tables alone would take gigabytes. */
#define DFT_MAX ((int64_t)1 << 26)

/* The attribute, absent 1, becomes input 2, absent -2. */
static us_err axis_to_input(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_attr *a = us_node_attr(&g->nodes.at[n], "axis");
    int64_t axis = a ? a->i : 1;
    us_builder b = us_b_begin(c, g, "axis");
    us_vid v = us_b_i64(&b, axis);
    US_TRY(us_b_end(&b));
    US_TRY(us_node_set_input(c, m, g, n, 2, v));
    us_node_del_attr(&g->nodes.at[n], "axis");
    return US_OK;
}

us_err dft_infer(us_infer *k)
{
    const us_p_dft *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    int64_t axis_at = -2, length;
    size_t n;
    int axis;
    us_dim d[US_MAX_RANK];
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (x->rank < 2) return us_infer_fail(k, US_SHAPE, "the input has fewer than 2 dimensions");
    us_copy_dims(d, x);
    d[x->rank - 1] = US_DIM(p->inverse && p->onesided ? 1 : 2);
    if (us_infer_has(k, 2) && (!us_infer_ints(k, 2, 1, &axis_at, &n) || n != 1)) {
        bool keeps = !us_infer_has(k, 1) && !p->onesided; /* whatever the axis */
        for (int i = 0; i < x->rank - 1 && !keeps; i++)
            US_TRY(us_infer_fresh(k, &d[i]));
        return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
    }
    US_TRY(us_infer_axis(k, axis_at, x->rank, &axis));
    if (us_infer_has(k, 1)) {
        if (us_infer_ints(k, 1, 1, &length, &n) && n == 1 && length > 0)
            d[axis] = US_DIM(length);
        else
            US_TRY(us_infer_fresh(k, &d[axis]));
    } else if (p->onesided && p->inverse) {
        d[axis] = US_DIM_SYM(0);
        if (us_dim_known(x->dims[axis]))
            d[axis] = US_DIM(US_MAX(2 * x->dims[axis].add - 2, 0));
        else
            US_TRY(us_infer_fresh(k, &d[axis]));
    }
    if (p->onesided && !p->inverse) {
        if (us_dim_known(d[axis]))
            d[axis] = US_DIM(d[axis].add / 2 + 1);
        else
            US_TRY(us_infer_fresh(k, &d[axis]));
    }
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

/* Lines of a transform along one axis; offsets in complex (or real) numbers. */
typedef struct lines {
    int64_t n, n_in, n_out,
        inner; /* points of the transform, given, wanted; elements after the axis */
    int parts_in, parts_out;
    bool inverse, half_in; /* half_in: the other bins follow by symmetry */
    double *line, *work;
} lines;

static us_err open_lines(us_eval *k, lines *l, double n_lines)
{
    size_t table = us_ref_fft_doubles((size_t)l->n);
    void *p;
    US_TRY(us_eval_work(k, 64 * (double)l->n *
                               n_lines)); /* at most: 3 transforms of log2 n passes */
    US_TRY(us_eval_scratch(k, 2 * (size_t)l->n * sizeof(double), &p));
    l->line = p;
    US_TRY(us_eval_scratch(k, table * sizeof(double), &p));
    l->work = p;
    us_ref_fft_plan((size_t)l->n, l->work);
    return US_OK;
}

static void load(const lines *l, const double *x)
{
    int64_t n = US_MIN(l->n, l->n_in);
    memset(l->line, 0, 2 * (size_t)l->n * sizeof *l->line);
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < l->parts_in; c++)
            l->line[2 * i + c] = x[i * l->inner * l->parts_in + c];
    for (int64_t i = l->n / 2 + 1; i < l->n && l->half_in; i++) {
        l->line[2 * i] = l->line[2 * (l->n - i)];
        l->line[2 * i + 1] = -l->line[2 * (l->n - i) + 1];
    }
}

/* An inverse transform is the conjugate of the conjugate's, divided by n. */
static void transform(const lines *l, const double *x, double *y)
{
    load(l, x);
    double sign = l->inverse ? -1 : 1, by = l->inverse ? 1 / (double)l->n : 1;
    for (int64_t i = 0; i < l->n; i++)
        l->line[2 * i + 1] *= sign;
    us_ref_fft((size_t)l->n, l->line, l->work);
    for (int64_t i = 0; i < l->n_out; i++) {
        double *to = y + i * l->inner * l->parts_out;
        to[0] = l->line[2 * i] * by;
        if (l->parts_out == 2) to[1] = sign * l->line[2 * i + 1] * by;
    }
}

/* y in double: output 0 itself, or scratch that put_double converts. */
static us_err out_double(us_eval *k, us_dtype t, int rank, const int64_t *dims, us_tensor **y,
                         us_tensor *wide)
{
    US_TRY(us_eval_out(k, 0, t, rank, dims, y));
    US_TRY(us_tensor_init(k->c, wide, US_F64, rank, dims, NULL));
    if (t != US_F64) return us_eval_scratch(k, us_tensor_bytes(wide), &wide->data);
    wide->data = (*y)->data;
    return US_OK;
}

static us_err length_of(us_eval *k, size_t i, int64_t fallback, int64_t *out)
{
    double v;
    US_TRY(us_eval_scalar(k, i, (double)fallback, &v));
    if (!(v >= 1 && v <= (double)DFT_MAX))
        return us_eval_fail(k, US_LIMIT, "%g points, from 1 to %lld are possible", v,
                            (long long)DFT_MAX);
    *out = (int64_t)v;
    return US_OK;
}

us_err dft_eval(us_eval *k)
{
    const us_p_dft *p = k->params;
    const us_tensor *in;
    us_tensor x, *y, wide;
    double axis_at;
    int axis = 0;
    lines l = {.inverse = p->inverse != 0};
    US_TRY(us_eval_in(k, 0, &in));
    US_TRY(us_eval_scalar(k, 2, -2, &axis_at));
    US_TRY(us_eval_axis(k, axis_at >= -1e6 && axis_at <= 1e6 ? (int64_t)axis_at : INT64_MAX,
                        in->rank, &axis));
    if (in->rank < 2 || axis == in->rank - 1 || in->dims[in->rank - 1] < 1 ||
        in->dims[in->rank - 1] > 2)
        return us_eval_fail(k, US_SHAPE,
                            "the last dimension must be 1 or 2, and the axis another one");
    US_TRY(us_eval_as(k, in, US_F64, &x));
    bool back = p->onesided && p->inverse;
    l.n_in = x.dims[axis];
    US_TRY(length_of(k, 1, back ? 2 * l.n_in - 2 : l.n_in, &l.n));
    l.half_in = back;
    if (back) l.n_in = US_MIN(l.n_in, l.n / 2 + 1);
    l.parts_in = (int)x.dims[x.rank - 1];
    l.parts_out = back ? 1 : 2;
    l.n_out = p->onesided && !p->inverse ? l.n / 2 + 1 : l.n;
    l.inner = us_dims_product(x.dims, axis + 1, x.rank - 1);
    int64_t dims[US_MAX_RANK], outer = us_dims_product(x.dims, 0, axis);
    memcpy(dims, x.dims, (size_t)x.rank * sizeof *dims);
    dims[axis] = l.n_out;
    dims[x.rank - 1] = l.parts_out;
    US_TRY(out_double(k, in->dtype, x.rank, dims, &y, &wide));
    US_TRY(open_lines(k, &l, (double)outer * (double)l.inner));
    for (int64_t i = 0; i < outer * l.inner; i++) {
        int64_t o = i / l.inner, q = i % l.inner;
        US_TRY(us_ctx_poll(k->c));
        transform(&l, (const double *)x.data + (o * x.dims[axis] * l.inner + q) * l.parts_in,
                  (double *)wide.data + (o * l.n_out * l.inner + q) * l.parts_out);
    }
    return y->data == wide.data ? US_OK : us_tensor_convert(k->c, y, &wide);
}

/* --- STFT ---------------------------------------------------------------------------------------- */

us_err stft_infer(us_infer *k)
{
    const us_p_stft *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, 2);
    int64_t length = 0, step = 0;
    size_t n;
    us_dim d[4];
    if (!x) return us_infer_rank(k, 0, US_DT_NONE, 4);
    if (x->rank != 2 && x->rank != 3)
        return us_infer_fail(k, US_SHAPE, "the signal needs two or three dimensions");
    if (!us_infer_ints(k, 3, 1, &length, &n) || n != 1) length = 0;
    if (!us_infer_has(k, 3) && w && w->rank == 1 && us_dim_known(w->dims[0]))
        length = w->dims[0].add;
    if (!us_infer_ints(k, 1, 1, &step, &n) || n != 1) step = 0;
    d[0] = x->dims[0];
    if (step > 0 && length > 0 && us_dim_known(x->dims[1]) && x->dims[1].add >= length)
        d[1] = US_DIM((x->dims[1].add - length) / step + 1);
    else
        US_TRY(us_infer_fresh(k, &d[1]));
    if (length > 0)
        d[2] = US_DIM(p->onesided ? length / 2 + 1 : length);
    else
        US_TRY(us_infer_fresh(k, &d[2]));
    d[3] = US_DIM(2);
    return us_infer_out(k, 0, US_DT_NONE, 4, d);
}

us_err stft_eval(us_eval *k)
{
    const us_p_stft *p = k->params;
    const us_tensor *in, *window = us_eval_opt(k, 2);
    us_tensor x, w = {0}, *y, wide;
    int64_t step;
    lines l = {.inner = 1, .parts_out = 2};
    US_TRY(us_eval_in(k, 0, &in));
    if (in->rank < 2 || in->rank > 3 || (in->rank == 3 && (in->dims[2] < 1 || in->dims[2] > 2)))
        return us_eval_fail(k, US_SHAPE, "the signal must be [batch, length, 1 or 2]");
    US_TRY(us_eval_as(k, in, US_F64, &x));
    US_TRY(length_of(k, 1, 0, &step));
    US_TRY(length_of(k, 3, window ? us_tensor_count(window) : 0, &l.n));
    if (window && (window->rank != 1 || window->dims[0] != l.n))
        return us_eval_fail(k, US_SHAPE, "the window has %lld points, a frame %lld",
                            (long long)us_tensor_count(window), (long long)l.n);
    if (window) US_TRY(us_eval_as(k, window, US_F64, &w));
    l.n_in = l.n;
    l.parts_in = x.rank == 3 ? (int)x.dims[2] : 1;
    l.n_out = p->onesided ? l.n / 2 + 1 : l.n;
    if (p->onesided && l.parts_in == 2)
        return us_eval_fail(k, US_ARG, "onesided needs a real signal");
    if (x.dims[1] < l.n)
        return us_eval_fail(k, US_SHAPE, "a frame of %lld points of a signal of %lld",
                            (long long)l.n, (long long)x.dims[1]);
    int64_t frames = (x.dims[1] - l.n) / step + 1;
    US_TRY(out_double(k, in->dtype, 4, (int64_t[]){x.dims[0], frames, l.n_out, 2}, &y, &wide));
    US_TRY(open_lines(k, &l, (double)x.dims[0] * (double)frames));
    void *frame;
    US_TRY(us_eval_scratch(k, (size_t)(l.n * l.parts_in) * sizeof(double), &frame));
    for (int64_t i = 0; i < x.dims[0] * frames; i++) {
        const double *from =
            (const double *)x.data + (i / frames * x.dims[1] + i % frames * step) * l.parts_in;
        double *at = frame;
        US_TRY(us_ctx_poll(k->c));
        for (int64_t j = 0; j < l.n * l.parts_in; j++)
            at[j] = from[j] * (window ? ((const double *)w.data)[j / l.parts_in] : 1);
        transform(&l, at, (double *)wide.data + i * l.n_out * 2);
    }
    return y->data == wide.data ? US_OK : us_tensor_convert(k->c, y, &wide);
}
