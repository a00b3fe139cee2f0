/* ir/op_window.c - see op_window.h. Source of the formulas: the ONNX documents of Conv and MaxPool. */
#include "ir/op_window.h"

#include <string.h>

static bool length_ok(us_ints v, size_t n)
{
    return v.n == 0 || v.n == n;
}

/* SAME_*: as many outputs as ceil(in / stride); the odd pixel of padding goes to the end or the beginning. */
static void pad_same(us_window *w, int i, int64_t span, bool upper)
{
    w->out[i] = (w->in[i] + w->stride[i] - 1) / w->stride[i];
    int64_t total = US_MAX((w->out[i] - 1) * w->stride[i] + span - w->in[i], 0);
    w->begin[i] = upper ? total / 2 : total - total / 2;
    w->end[i] = total - w->begin[i];
}

static const char *one_axis(us_window *w, int i, const us_window_attrs *a)
{
    const int64_t most = (int64_t)1 << 31;
    bool upper = us_sv_is(a->auto_pad, "SAME_UPPER"),
         lower = us_sv_is(a->auto_pad, "SAME_LOWER");
    if (w->kernel[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1 || w->kernel[i] > most ||
        w->stride[i] > most || w->dilation[i] > most || w->begin[i] < -most ||
        w->begin[i] > most || w->end[i] < -most || w->end[i] > most)
        return "kernel, stride, dilation or padding out of range";
    int64_t span = (w->kernel[i] - 1) * w->dilation[i] + 1;
    if (span > most) return "the window is too large";
    if (w->in[i] < 0) {
        w->out[i] = -1;
        return NULL;
    }
    if (upper || lower) {
        pad_same(w, i, span, upper);
        return NULL;
    }
    if (us_sv_is(a->auto_pad, "VALID")) w->begin[i] = w->end[i] = 0;
    int64_t room = w->in[i] + w->begin[i] + w->end[i] - span;
    if (room < 0) return "the window is larger than the padded input";
    w->out[i] = (a->ceil ? room + w->stride[i] - 1 : room) / w->stride[i] + 1;
    /* a window that would start in the padding at the end is left out */
    if (a->ceil && (w->out[i] - 1) * w->stride[i] >= w->in[i] + w->begin[i]) w->out[i]--;
    return NULL;
}

const char *us_window_set(us_window *w, int n, const int64_t *in, const us_window_attrs *a)
{
    size_t m = (size_t)n;
    if (a->kernel.n != m) return "kernel_shape does not fit the input's rank";
    if (!length_ok(a->strides, m) || !length_ok(a->dilations, m) || !length_ok(a->pads, 2 * m))
        return "strides, dilations or pads have the wrong length";
    *w = (us_window){.n = n};
    for (int i = 0; i < n; i++) {
        w->in[i] = in[i];
        w->kernel[i] = a->kernel.p[i];
        w->stride[i] = a->strides.n ? a->strides.p[i] : 1;
        w->dilation[i] = a->dilations.n ? a->dilations.p[i] : 1;
        w->begin[i] = a->pads.n ? a->pads.p[i] : 0;
        w->end[i] = a->pads.n ? a->pads.p[n + i] : 0;
        const char *bad = one_axis(w, i, a);
        if (bad) return bad;
    }
    return NULL;
}

/* The output of an axis whose size is a symbol; the same formulas. A ceiling window depends on the border: not known. */
static us_err out_symbol(us_infer *k, const us_window *w, int i, const us_window_attrs *a,
                         us_dim in, us_dim *out)
{
    us_syms *s = &k->m->syms;
    bool same = us_sv_starts(a->auto_pad, "SAME_"), valid = us_sv_is(a->auto_pad, "VALID");
    int64_t pads = valid ? 0 : w->begin[i] + w->end[i];
    int64_t more = same ? w->stride[i] - 1 : pads - (w->kernel[i] - 1) * w->dilation[i] - 1;
    if (a->ceil && !same) return us_infer_fresh(k, out);
    US_TRY(us_dim_add(k->c, s, in, US_DIM(more), out));
    US_TRY(us_dim_div(k->c, s, *out, w->stride[i], out));
    return same ? US_OK : us_dim_add(k->c, s, *out, US_DIM(1), out);
}

us_err us_window_infer(us_infer *k, const us_window_attrs *a, const us_dim *channels,
                       size_t n_out)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_window w;
    us_dim d[US_MAX_RANK];
    int64_t in[US_MAX_RANK];
    if (!x) {
        for (size_t i = 0; i < n_out; i++)
            US_TRY(us_infer_out(k, i, i ? US_I64 : US_DT_NONE, -1, NULL));
        return US_OK;
    }
    if (x->rank < 3)
        return us_infer_fail(k, US_SHAPE, "input needs a batch, channels and space");
    for (int i = 2; i < x->rank; i++)
        in[i - 2] = us_dim_known(x->dims[i]) ? x->dims[i].add : -1;
    const char *bad = us_window_set(&w, x->rank - 2, in, a);
    if (bad) return us_infer_fail(k, US_SHAPE, bad);
    d[0] = x->dims[0];
    d[1] = channels ? *channels : x->dims[1];
    for (int i = 2; i < x->rank; i++) {
        if (w.out[i - 2] >= 0)
            d[i] = US_DIM(w.out[i - 2]);
        else
            US_TRY(out_symbol(k, &w, i - 2, a, x->dims[i], &d[i]));
    }
    for (size_t i = 0; i < n_out; i++)
        US_TRY(us_infer_out(k, i, i ? US_I64 : US_DT_NONE, x->rank, d));
    return US_OK;
}

us_err us_window_work(us_eval *k, const us_window *w, double planes, int64_t *taps)
{
    double all = 1, out = planes;
    for (int i = 0; i < w->n; i++) {
        all *= (double)w->kernel[i];
        out *= (double)w->out[i];
    }
    if (all > (double)US_MAX_ELEMENTS)
        return us_eval_fail(k, US_LIMIT, "a window of %.3g positions", all);
    *taps = us_dims_product(w->kernel, 0, w->n);
    return us_eval_work(k, all * out);
}

void us_window_at(int n, const int64_t *dims, int64_t at, int64_t *pos)
{
    for (int i = n - 1; i >= 0; i--) {
        pos[i] = at % dims[i];
        at /= dims[i];
    }
}

void us_window_next(int n, const int64_t *dims, int64_t *pos)
{
    for (int i = n - 1; i >= 0; i--) {
        if (++pos[i] < dims[i]) return;
        pos[i] = 0;
    }
}

int64_t us_window_source(const us_window *w, const int64_t *kp, const int64_t *op)
{
    int64_t at = 0;
    for (int i = 0; i < w->n; i++) {
        int64_t q = op[i] * w->stride[i] - w->begin[i] + kp[i] * w->dilation[i];
        if (q < 0 || q >= w->in[i]) return -1;
        at = at * w->in[i] + q;
    }
    return at;
}

bool us_window_is_point(const us_window *w)
{
    for (int i = 0; i < w->n; i++)
        if (w->kernel[i] != 1 || w->stride[i] != 1 || w->begin[i] || w->end[i]) return false;
    return true;
}

us_err us_conv_shape_of(us_eval *k, const us_tensor *x, const us_tensor *w, us_conv_shape *out)
{
    const us_p_conv *p = k->params;
    if (x->rank < 3 || w->rank != x->rank)
        return us_eval_fail(k, US_SHAPE, "input of rank %d, weight of rank %d", x->rank,
                            w->rank);
    us_conv_shape d = {.n = x->dims[0], .c = x->dims[1], .m = w->dims[0], .groups = p->group};
    us_ints kernel = {w->dims + 2, (size_t)w->rank - 2};
    bool repeats = !p->kernel_shape.n || p->kernel_shape.n == kernel.n;
    for (size_t i = 0; repeats && i < p->kernel_shape.n; i++)
        repeats = p->kernel_shape.p[i] == kernel.p[i];
    if (!repeats) return us_eval_fail(k, US_SHAPE, "kernel_shape is not that of the weight");
    us_window_attrs a = {kernel, p->strides, p->dilations, p->pads, p->auto_pad, false};
    const char *bad = us_window_set(&d.win, x->rank - 2, x->dims + 2, &a);
    if (bad) return us_eval_fail(k, US_SHAPE, "%s", bad);
    if (d.groups < 1 || d.c % d.groups || d.m % d.groups || w->dims[1] != d.c / d.groups)
        return us_eval_fail(
            k, US_SHAPE, "input has %lld channels, weight expects %lld in each of %lld groups",
            (long long)d.c, (long long)w->dims[1], (long long)d.groups);
    d.cg = d.c / d.groups;
    d.mg = d.m / d.groups;
    US_TRY(us_window_work(k, &d.win, (double)d.n * (double)d.m * (double)d.cg, &d.taps));
    d.in_size = us_dims_product(d.win.in, 0, d.win.n);
    d.out_size = us_dims_product(d.win.out, 0, d.win.n);
    *out = d;
    return US_OK;
}

void us_conv_shape_out(const us_conv_shape *d, int64_t *dims)
{
    dims[0] = d->n;
    dims[1] = d->m;
    memcpy(dims + 2, d->win.out, (size_t)d->win.n * sizeof *dims);
}
