/* ir/op_deform_conv.c - DeformConv: a convolution whose taps are moved by offsets and scaled by a mask.
 *
 * Source: the ONNX document and its reference implementation; two spatial dimensions, bilinear between pixels, zero
 * outside. Offsets are ordered [offset group, tap, (y, x)].
 */
#include "ir/op_f64.h"
#include "ir/op_window.h"

#include <math.h>

/* clang-format off */
static const us_param deform_conv_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"W", 'T', US_M_FLOATS, 0}, {"offset", 'T', US_M_FLOATS, 0},
    {"B", 'T', US_M_FLOATS, US_P_OPTIONAL}, {"mask", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param deform_conv_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row deform_conv_attrs[] = {
    US_AIS(us_p_deform_conv, dilations, "dilations"), US_AI(us_p_deform_conv, group, "group", 1),
    US_AIS(us_p_deform_conv, kernel_shape, "kernel_shape"), US_AI(us_p_deform_conv, offset_group, "offset_group", 1),
    US_AIS(us_p_deform_conv, pads, "pads"), US_AIS(us_p_deform_conv, strides, "strides"), US_ATTR_END};
const us_schema deform_conv_schemas[] = {
    {19, deform_conv_in, deform_conv_out, deform_conv_attrs, sizeof(us_p_deform_conv), NULL},
    {22, deform_conv_in, deform_conv_out, deform_conv_attrs, sizeof(us_p_deform_conv), NULL},
    {0}};
/* clang-format on */

us_err deform_conv_infer(us_infer *k)
{
    const us_p_deform_conv *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, 1);
    int64_t kernel[2];
    if (!x || !w) return us_infer_rank(k, 0, US_DT_NONE, 4);
    if (x->rank != 4 || w->rank != 4)
        return us_infer_fail(k, US_SHAPE, "X and W must have rank 4");
    for (int i = 0; i < 2; i++) {
        if (!us_dim_known(w->dims[2 + i])) return us_infer_rank(k, 0, US_DT_NONE, 4);
        kernel[i] = w->dims[2 + i].add;
    }
    us_window_attrs a = {{kernel, 2}, p->strides,      p->dilations,
                         p->pads,     US_SV("NOTSET"), false};
    return us_window_infer(k, &a, &w->dims[0], 1);
}

static double pixel(const double *x, int64_t h, int64_t w, int64_t i, int64_t j)
{
    return i >= 0 && i < h && j >= 0 && j < w ? x[i * w + j] : 0;
}

static double bilinear(const double *x, int64_t h, int64_t w, double y_at, double x_at)
{
    if (!(y_at > -1 && y_at < (double)h && x_at > -1 && x_at < (double)w)) return 0;
    int64_t i = (int64_t)floor(y_at), j = (int64_t)floor(x_at);
    double a = y_at - (double)i, b = x_at - (double)j;
    return (1 - a) * ((1 - b) * pixel(x, h, w, i, j) + b * pixel(x, h, w, i, j + 1)) +
           a * ((1 - b) * pixel(x, h, w, i + 1, j) + b * pixel(x, h, w, i + 1, j + 1));
}

typedef struct deform {
    us_tensor x, w, offset, bias, mask;
    bool has_bias, has_mask;
    us_window win;
    int64_t group, offset_group, taps, places, plane;
} deform;

/* What channel c of picture n shows at every tap of place o: taps numbers. */
static void columns(const deform *d, int64_t n, int64_t c, int64_t o, double *to)
{
    const us_window *w = &d->win;
    int64_t og = c / (d->x.dims[1] / d->offset_group);
    const double *x = (const double *)d->x.data + (n * d->x.dims[1] + c) * d->plane;
    for (int64_t t = 0; t < d->taps; t++) {
        int64_t row = (n * d->offset_group + og) * d->taps + t;
        const double *off = (const double *)d->offset.data + row * 2 * d->places + o;
        double y_at = (double)(o / w->out[1] * w->stride[0] - w->begin[0] +
                               t / w->kernel[1] * w->dilation[0]) +
                      off[0];
        double x_at = (double)(o % w->out[1] * w->stride[1] - w->begin[1] +
                               t % w->kernel[1] * w->dilation[1]) +
                      off[d->places];
        to[t] = bilinear(x, w->in[0], w->in[1], y_at, x_at);
        if (d->has_mask) to[t] *= ((const double *)d->mask.data)[row * d->places + o];
    }
}

static us_err deform_open(us_eval *k, const us_p_deform_conv *p, deform *d)
{
    US_TRY(us_eval_f64(k, 0, 4, &d->x, NULL));
    US_TRY(us_eval_f64(k, 1, 4, &d->w, NULL));
    US_TRY(us_eval_f64(k, 2, 4, &d->offset, NULL));
    US_TRY(us_eval_f64(k, 3, 1, &d->bias, &d->has_bias));
    US_TRY(us_eval_f64(k, 4, 4, &d->mask, &d->has_mask));
    const int64_t *xd = d->x.dims, *wd = d->w.dims;
    us_window_attrs a = {{wd + 2, 2}, p->strides,      p->dilations,
                         p->pads,     US_SV("NOTSET"), false};
    const char *bad = us_window_set(&d->win, 2, xd + 2, &a);
    if (bad) return us_eval_fail(k, US_SHAPE, "%s", bad);
    d->group = p->group;
    d->offset_group = p->offset_group;
    if (d->group < 1 || d->offset_group < 1 || xd[1] < 1 || xd[1] % d->group ||
        wd[0] % d->group || xd[1] % d->offset_group || wd[1] != xd[1] / d->group)
        return us_eval_fail(k, US_SHAPE, "channels %lld do not fit groups and weight",
                            (long long)xd[1]);
    d->taps = wd[2] * wd[3];
    d->places = d->win.out[0] * d->win.out[1];
    d->plane = xd[2] * xd[3];
    int64_t rows = d->offset_group * d->taps;
    int64_t want[4] = {xd[0], rows * 2, d->win.out[0], d->win.out[1]};
    US_TRY(us_eval_want_dims(k, 2, &d->offset, 4, want));
    want[1] = rows;
    if (d->has_mask) US_TRY(us_eval_want_dims(k, 4, &d->mask, 4, want));
    return d->has_bias ? us_eval_want_dims(k, 3, &d->bias, 1, wd) : US_OK;
}

us_err deform_conv_eval(us_eval *k)
{
    deform d;
    double *y, *col;
    US_TRY(deform_open(k, k->params, &d));
    int64_t m = d.w.dims[0], channels = d.x.dims[1], per = d.w.dims[1];
    int64_t dims[4] = {d.x.dims[0], m, d.win.out[0], d.win.out[1]};
    US_TRY(us_eval_room(k, 4, dims, &y));
    US_TRY(us_eval_room(k, 1, &d.taps, &col));
    US_TRY(us_eval_work(k, (double)dims[0] * (double)d.places * (double)d.taps *
                               (double)channels * (double)(8 + m / d.group)));
    for (int64_t n = 0; n < dims[0]; n++)
        for (int64_t o = 0; o < d.places; o++) {
            for (int64_t f = 0; d.has_bias && f < m; f++)
                y[(n * m + f) * d.places + o] = ((const double *)d.bias.data)[f];
            for (int64_t c = 0; c < channels; c++) {
                int64_t first = c / per * (m / d.group);
                columns(&d, n, c, o, col);
                for (int64_t f = first; f < first + m / d.group; f++) {
                    const double *w = (const double *)d.w.data + (f * per + c % per) * d.taps;
                    for (int64_t t = 0; t < d.taps; t++)
                        y[(n * m + f) * d.places + o] += w[t] * col[t];
                }
            }
        }
    return us_eval_put_f64(k, 0, us_eval_opt(k, 0)->dtype, 4, dims, y);
}
