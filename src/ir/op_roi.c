/* ir/op_roi.c - RoiAlign and MaxRoiPool: features of regions of a picture, pooled to one size.
 *
 * Source: the ONNX documents; RoiAlign's sampling as in ONNX Runtime, whose mode `max` takes the largest of the four
 * weighted corners (the official test has it recorded so). Regions may lie anywhere: what is outside counts as 0.
 */
#include "ir/op_f64.h"

#include <math.h>

static us_upgrade_fn upgrade_pixel;

/* clang-format off */
static const us_param roi_align_in[] = {
    {"X", 'T', US_M_FLOATS, 0}, {"rois", 'T', US_M_FLOATS, 0}, {"batch_indices", '\0', US_M(I64), 0}, US_PARAM_END};
static const us_param roi_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
#define COMMON                                                                                                 \
    US_AS(us_p_roi_align, mode, "mode", "avg"), US_AI(us_p_roi_align, output_height, "output_height", 1),      \
    US_AI(us_p_roi_align, output_width, "output_width", 1),                                                    \
    US_AI(us_p_roi_align, sampling_ratio, "sampling_ratio", 0),                                                \
    US_AF(us_p_roi_align, spatial_scale, "spatial_scale", 1.0F)
static const us_attr_row roi_align_attrs[] = {COMMON, US_ATTR_END};
static const us_attr_row roi_align_attrs_16[] = {
    COMMON, US_AS(us_p_roi_align, coordinate_transformation_mode, "coordinate_transformation_mode", "half_pixel"),
    US_ATTR_END};
const us_schema roi_align_schemas[] = {
    {10, roi_align_in, roi_out, roi_align_attrs, sizeof(us_p_roi_align), upgrade_pixel},
    {16, roi_align_in, roi_out, roi_align_attrs_16, sizeof(us_p_roi_align), NULL},
    {22, roi_align_in, roi_out, roi_align_attrs_16, sizeof(us_p_roi_align), NULL},
    {0}};

static const us_param max_roi_pool_in[] = {{"X", 'T', US_M_FLOATS, 0}, {"rois", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row max_roi_pool_attrs[] = {
    {.name = "pooled_shape", .kind = US_AT_INTS, .offset = offsetof(us_p_max_roi_pool, pooled_shape), .required = true},
    US_AF(us_p_max_roi_pool, spatial_scale, "spatial_scale", 1.0F), US_ATTR_END};
const us_schema max_roi_pool_schemas[] = {
    {1, max_roi_pool_in, roi_out, max_roi_pool_attrs, sizeof(us_p_max_roi_pool), NULL},
    {22, max_roi_pool_in, roi_out, max_roi_pool_attrs, sizeof(us_p_max_roi_pool), NULL},
    {0}};
/* clang-format on */

/* Version 10 did not shift by half a pixel. */
static us_err upgrade_pixel(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)m;
    us_attr a = {.name = US_SV("coordinate_transformation_mode"),
                 .kind = US_AT_STRING,
                 .s = US_SV("output_half_pixel")};
    return us_node_set_attr(c, g, n, &a);
}

static us_err infer_regions(us_infer *k, int64_t h, int64_t w)
{
    const us_type *x = us_infer_ranked(k, 0), *rois = us_infer_ranked(k, 1);
    us_dim d[4] = {US_DIM(0), US_DIM(0), US_DIM(h), US_DIM(w)};
    if (!x || !rois) return us_infer_rank(k, 0, US_DT_NONE, 4);
    if (x->rank != 4 || rois->rank != 2)
        return us_infer_fail(k, US_SHAPE, "expected X of rank 4 and rois of rank 2");
    d[0] = rois->dims[0];
    d[1] = x->dims[1];
    return us_infer_out(k, 0, US_DT_NONE, 4, d);
}

static bool size_ok(int64_t n)
{
    return n > 0 && n <= (int64_t)1 << 20;
}

us_err roi_align_infer(us_infer *k)
{
    const us_p_roi_align *p = k->params;
    if (!size_ok(p->output_height) || !size_ok(p->output_width))
        return us_infer_fail(k, US_ARG, "output_height or output_width out of range");
    return infer_regions(k, p->output_height, p->output_width);
}

us_err max_roi_pool_infer(us_infer *k)
{
    const us_p_max_roi_pool *p = k->params;
    if (p->pooled_shape.n != 2 || !size_ok(p->pooled_shape.p[0]) ||
        !size_ok(p->pooled_shape.p[1]))
        return us_infer_fail(k, US_ARG, "pooled_shape must be two sizes");
    return infer_regions(k, p->pooled_shape.p[0], p->pooled_shape.p[1]);
}

/* --- RoiAlign ------------------------------------------------------------------------------------ */

typedef struct align {
    int64_t h, w;        /* of the picture */
    double y, x, dy, dx; /* beginning and size of a bin */
    int64_t n_y, n_x;    /* samples per bin */
    bool max;
} align;

/* Neighbours and the weight of the upper one; false: outside. */
static bool corner(double at, int64_t n, int64_t *low, int64_t *high, double *part)
{
    if (!(at >= -1 && at <= (double)n)) return false;
    at = US_MAX(at, 0);
    *low = (int64_t)at;
    if (*low >= n - 1) {
        *low = *high = n - 1;
        *part = 0;
    } else {
        *high = *low + 1;
        *part = at - (double)*low;
    }
    return true;
}

static double one_bin(const align *a, const double *x, int64_t ph, int64_t pw)
{
    double sum = 0, most = 0;
    bool first = true;
    for (int64_t iy = 0; iy < a->n_y; iy++)
        for (int64_t ix = 0; ix < a->n_x; ix++) {
            double at_y = a->y + a->dy * ((double)ph + ((double)iy + 0.5) / (double)a->n_y);
            double at_x = a->x + a->dx * ((double)pw + ((double)ix + 0.5) / (double)a->n_x);
            double ly = 0, lx = 0, v[4] = {0};
            int64_t y0 = 0, y1 = 0, x0 = 0, x1 = 0;
            if (corner(at_y, a->h, &y0, &y1, &ly) && corner(at_x, a->w, &x0, &x1, &lx)) {
                v[0] = (1 - ly) * (1 - lx) * x[y0 * a->w + x0];
                v[1] = (1 - ly) * lx * x[y0 * a->w + x1];
                v[2] = ly * (1 - lx) * x[y1 * a->w + x0];
                v[3] = ly * lx * x[y1 * a->w + x1];
            }
            double top = US_MAX(US_MAX(v[0], v[1]), US_MAX(v[2], v[3]));
            most = first || top > most ? top : most;
            first = false;
            sum += v[0] + v[1] + v[2] + v[3];
        }
    return a->max ? most : sum / (double)US_MAX(a->n_y * a->n_x, 1);
}

static us_err region(us_eval *k, const us_p_roi_align *p, const double *r, align *a)
{
    const double most = 4096;
    bool half = us_sv_is(p->coordinate_transformation_mode, "half_pixel");
    double shift = half ? 0.5 : 0, scale = (double)p->spatial_scale;
    double w = (r[2] - r[0]) * scale, h = (r[3] - r[1]) * scale;
    if (!half) {
        w = US_MAX(w, 1);
        h = US_MAX(h, 1);
    }
    a->x = r[0] * scale - shift;
    a->y = r[1] * scale - shift;
    a->dy = h / (double)p->output_height;
    a->dx = w / (double)p->output_width;
    double n_y = p->sampling_ratio > 0 ? (double)p->sampling_ratio : ceil(a->dy);
    double n_x = p->sampling_ratio > 0 ? (double)p->sampling_ratio : ceil(a->dx);
    if (!isfinite(a->x) || !isfinite(a->y) || !(n_y <= most) || !(n_x <= most))
        return us_eval_fail(k, US_ARG, "region [%g,%g,%g,%g] needs %g x %g samples per bin",
                            r[0], r[1], r[2], r[3], n_y, n_x);
    a->n_y = (int64_t)US_MAX(n_y, 0);
    a->n_x = (int64_t)US_MAX(n_x, 0);
    return US_OK;
}

us_err roi_align_eval(us_eval *k)
{
    const us_p_roi_align *p = k->params;
    us_tensor x, rois;
    const int64_t *batch;
    size_t n;
    double *y;
    align a = {.max = us_sv_is(p->mode, "max")};
    US_TRY(us_eval_f64(k, 0, 4, &x, NULL));
    US_TRY(us_eval_f64(k, 1, 2, &rois, NULL));
    US_TRY(us_eval_ints(k, 2, &n, &batch));
    US_TRY(us_eval_want_dims(k, 1, &rois, 2, (int64_t[]){(int64_t)n, 4}));
    if (!size_ok(p->output_height) || !size_ok(p->output_width))
        return us_eval_fail(k, US_ARG, "output_height or output_width out of range");
    if (!a.max && !us_sv_is(p->mode, "avg"))
        return us_eval_fail(k, US_ARG, "mode '" US_SV_FMT "'", US_SV_ARG(p->mode));
    int64_t dims[4] = {(int64_t)n, x.dims[1], p->output_height, p->output_width};
    a.h = x.dims[2];
    a.w = x.dims[3];
    US_TRY(us_eval_room(k, 4, dims, &y));
    double *to = y;
    for (size_t i = 0; i < n; i++) {
        if (batch[i] < 0 || batch[i] >= x.dims[0])
            return us_eval_fail(k, US_ARG, "batch index %lld of %lld", (long long)batch[i],
                                (long long)x.dims[0]);
        US_TRY(region(k, p, (const double *)rois.data + i * 4, &a));
        if (a.h == 0 || a.w == 0) continue; /* nothing there: zeros */
        US_TRY(us_eval_work(k, (double)x.dims[1] * (double)dims[2] * (double)dims[3] *
                                   (double)a.n_y * (double)a.n_x * 4));
        for (int64_t c = 0; c < x.dims[1]; c++)
            for (int64_t ph = 0; ph < dims[2]; ph++)
                for (int64_t pw = 0; pw < dims[3]; pw++)
                    *to++ = one_bin(
                        &a, (const double *)x.data + (batch[i] * x.dims[1] + c) * a.h * a.w, ph,
                        pw);
    }
    return us_eval_put_f64(k, 0, us_eval_opt(k, 0)->dtype, 4, dims, y);
}

/* --- MaxRoiPool ---------------------------------------------------------------------------------- */

typedef struct span {
    int64_t from, size; /* pixels, the last one included */
} span;

/* Pixels of bin i of n, cut to the picture. */
static span bin_of(span s, int64_t i, int64_t n, int64_t picture)
{
    double bin = (double)s.size / (double)n;
    int64_t from = (int64_t)floor((double)i * bin) + s.from;
    int64_t to = (int64_t)ceil((double)(i + 1) * bin) + s.from;
    from = US_MIN(US_MAX(from, 0), picture);
    to = US_MIN(US_MAX(to, 0), picture);
    return (span){from, to - from};
}

static double most_of(const double *x, int64_t width, span h, span w)
{
    double m = 0;
    for (int64_t i = 0; i < h.size; i++)
        for (int64_t j = 0; j < w.size; j++) {
            double v = x[(h.from + i) * width + w.from + j];
            if ((i == 0 && j == 0) || v > m) m = v;
        }
    return m;
}

static us_err span_of(us_eval *k, double from, double to, span *s)
{
    const double far = 1e9;
    if (!(fabs(from) <= far && fabs(to) <= far))
        return us_eval_fail(k, US_ARG, "region from %g to %g is out of range", from, to);
    s->from = (int64_t)round(from);
    s->size = US_MAX((int64_t)round(to) - s->from + 1, 1);
    return US_OK;
}

us_err max_roi_pool_eval(us_eval *k)
{
    const us_p_max_roi_pool *p = k->params;
    us_tensor x, rois;
    double *y;
    US_TRY(us_eval_f64(k, 0, 4, &x, NULL));
    US_TRY(us_eval_f64(k, 1, 2, &rois, NULL));
    US_TRY(us_eval_want_dims(k, 1, &rois, 2, (int64_t[]){-1, 5}));
    if (p->pooled_shape.n != 2 || !size_ok(p->pooled_shape.p[0]) ||
        !size_ok(p->pooled_shape.p[1]))
        return us_eval_fail(k, US_ARG, "pooled_shape must be two sizes");
    int64_t dims[4] = {rois.dims[0], x.dims[1], p->pooled_shape.p[0], p->pooled_shape.p[1]};
    US_TRY(us_eval_room(k, 4, dims, &y));
    double *to = y, scale = (double)p->spatial_scale;
    for (int64_t i = 0; i < rois.dims[0]; i++) {
        const double *r = (const double *)rois.data + i * 5;
        span h, w;
        if (!(r[0] >= 0 && r[0] < (double)x.dims[0]))
            return us_eval_fail(k, US_ARG, "batch index %g of %lld", r[0],
                                (long long)x.dims[0]);
        US_TRY(span_of(k, r[1] * scale, r[3] * scale, &w));
        US_TRY(span_of(k, r[2] * scale, r[4] * scale, &h));
        US_TRY(us_eval_work(k, (double)x.dims[1] * (double)(dims[2] + x.dims[2]) *
                                   (double)(dims[3] + x.dims[3])));
        for (int64_t c = 0; c < x.dims[1]; c++) {
            const double *from = (const double *)x.data +
                                 ((int64_t)r[0] * x.dims[1] + c) * x.dims[2] * x.dims[3];
            for (int64_t ph = 0; ph < dims[2]; ph++)
                for (int64_t pw = 0; pw < dims[3]; pw++)
                    *to++ = most_of(from, x.dims[3], bin_of(h, ph, dims[2], x.dims[2]),
                                    bin_of(w, pw, dims[3], x.dims[3]));
        }
    }
    return us_eval_put_f64(k, 0, us_eval_opt(k, 0)->dtype, 4, dims, y);
}
