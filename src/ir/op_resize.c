/* ir/op_resize.c - Resize and Upsample: interpolation along each axis by itself.
 *
 * Per axis a table says for every output position from which input positions it is made, and with which weights
 * (`taps`). The modes differ only in how the table is filled; the axes are then applied one after another in double.
 * Nearest copies elements, so it serves every type.
 *
 * Source: the ONNX document and the reference implementation beside it. Followed where they leave room:
 * output sizes are floor(in * scale) in float and do not depend on roi (ONNX's shape inference and ONNX
 * Runtime); align_corners and half_pixel_symmetric use the resized length before rounding (the reference);
 * version 10 and Upsample are asymmetric, nearest rounds down, when shrinking by constant scales up (ONNX Runtime).
 */
#include "base/ctx.h"
#include "base/pool.h"
#include "ir/infer_dims.h"
#include "ir/op_f64.h"
#include "kernel/conv.h"

#include <math.h>
#include <string.h>

static us_upgrade_fn upgrade_resize_10, upgrade_height_width, upgrade_scales;

/* clang-format off */
static const us_param resize_in_10[] = {{"X", 'T', US_M_ALL, 0}, {"scales", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_param resize_in_11[] = {
    {"X", 'T', US_M_ALL, 0}, {"roi", 'R', US_M_FLOATS, US_P_OPTIONAL}, {"scales", '\0', US_M(F32), US_P_OPTIONAL},
    {"sizes", '\0', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_param resize_out[] = {{"Y", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row resize_attrs_10[] = {US_AS(us_p_resize, mode, "mode", "nearest"), US_ATTR_END};
#define COMMON                                                                                        \
    US_AS(us_p_resize, coordinate_transformation_mode, "coordinate_transformation_mode", "half_pixel"), \
    US_AF(us_p_resize, cubic_coeff_a, "cubic_coeff_a", -0.75F),                                       \
    US_AI(us_p_resize, exclude_outside, "exclude_outside", 0),                                        \
    US_AF(us_p_resize, extrapolation_value, "extrapolation_value", 0.0F),                             \
    US_AS(us_p_resize, mode, "mode", "nearest"),                                                      \
    US_AS(us_p_resize, nearest_mode, "nearest_mode", "round_prefer_floor")
static const us_attr_row resize_attrs_11[] = {COMMON, US_ATTR_END};
static const us_attr_row resize_attrs_18[] = {
    COMMON, US_AI(us_p_resize, antialias, "antialias", 0), US_AIS(us_p_resize, axes, "axes"),
    US_AS(us_p_resize, keep_aspect_ratio_policy, "keep_aspect_ratio_policy", "stretch"), US_ATTR_END};
const us_schema resize_schemas[] = {
    {10, resize_in_10, resize_out, resize_attrs_10, sizeof(us_p_resize), upgrade_resize_10},
    {11, resize_in_11, resize_out, resize_attrs_11, sizeof(us_p_resize), NULL},
    {13, resize_in_11, resize_out, resize_attrs_11, sizeof(us_p_resize), NULL},
    {18, resize_in_11, resize_out, resize_attrs_18, sizeof(us_p_resize), NULL},
    {19, resize_in_11, resize_out, resize_attrs_18, sizeof(us_p_resize), NULL},
    {0}};

static const us_param upsample_in[] = {{"X", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row upsample_attrs[] = {
    {.name = "height_scale", .kind = US_AT_FLOAT, .offset = offsetof(us_p_upsample, height_scale), .required = true},
    {.name = "width_scale", .kind = US_AT_FLOAT, .offset = offsetof(us_p_upsample, width_scale), .required = true},
    US_AS(us_p_upsample, mode, "mode", "nearest"), US_ATTR_END};
static const us_attr_row upsample_attrs_7[] = {
    {.name = "scales", .kind = US_AT_FLOATS, .offset = offsetof(us_p_upsample, scales), .required = true},
    US_AS(us_p_upsample, mode, "mode", "nearest"), US_ATTR_END};
static const us_attr_row upsample_attrs_9[] = {US_AS(us_p_upsample, mode, "mode", "nearest"), US_ATTR_END};
const us_schema upsample_schemas[] = {
    {1, upsample_in, resize_out, upsample_attrs, sizeof(us_p_upsample), upgrade_height_width},
    {7, upsample_in, resize_out, upsample_attrs_7, sizeof(us_p_upsample), upgrade_scales},
    {9, resize_in_10, resize_out, upsample_attrs_9, sizeof(us_p_upsample), NULL},
    {10, resize_in_10, resize_out, upsample_attrs_9, sizeof(us_p_upsample), NULL},
    {0}};
/* clang-format on */

/* --- upgrades ------------------------------------------------------------------------------------ */

/* true: the scales are known, none enlarges and one shrinks. */
static bool shrinks(const us_graph *g, us_vid v)
{
    const us_tensor *t = us_known_tensor(g, v);
    bool some = false;
    if (!t || t->dtype != US_F32) return false;
    for (int64_t j = 0; j < us_tensor_count(t); j++) {
        double s = us_tensor_f64_at(t, j);
        if (s > 1) return false;
        some = some || s < 1;
    }
    return some;
}

static us_err set_string(us_ctx *c, us_graph *g, us_nid n, const char *name, const char *v)
{
    us_attr a = {.name = us_sv_of(name), .kind = US_AT_STRING, .s = us_sv_of(v)};
    return us_node_set_attr(c, g, n, &a);
}

static us_err upgrade_resize_10(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_vid scales = g->nodes.at[n].in[1];
    US_TRY(us_node_set_input(c, m, g, n, 2, scales));
    g->nodes.at[n].in[1] = US_NIL;
    US_TRY(set_string(c, g, n, "coordinate_transformation_mode", "asymmetric"));
    return set_string(c, g, n, "nearest_mode", shrinks(g, scales) ? "ceil" : "floor");
}

static us_err upgrade_height_width(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_attr *h = us_node_attr(&g->nodes.at[n], "height_scale"),
                  *w = us_node_attr(&g->nodes.at[n], "width_scale");
    float *s = us_new_n(m->arena, float, 4);
    if (!s) return us_arena_fail(c, m->arena);
    s[0] = s[1] = 1;
    s[2] = h ? h->f : 1;
    s[3] = w ? w->f : 1;
    us_attr a = {.name = US_SV("scales"), .kind = US_AT_FLOATS, .n = 4, .floats = s};
    US_TRY(us_node_set_attr(c, g, n, &a));
    return us_upgrade_drop(c, m, g, n);
}

static us_err upgrade_scales(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_attr *a = us_node_attr(&g->nodes.at[n], "scales");
    if (!a || a->n > US_MAX_RANK) return us_upgrade_fail(c, g, n, "scales do not fit");
    int64_t len = (int64_t)a->n;
    us_tensor t;
    us_vid v;
    US_TRY(us_tensor_new(c, m->arena, US_F32, 1, &len, &t));
    if (a->n) memcpy(t.data, a->floats, a->n * sizeof *a->floats);
    US_TRY(us_graph_add_const(c, g, US_SV(""), US_ST_CONST, &t, &v));
    US_TRY(us_node_set_input(c, m, g, n, 1, v));
    return us_upgrade_drop(c, m, g, n);
}

/* --- sizes --------------------------------------------------------------------------------------- */

enum { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC };
static const char *const modes[] = {"nearest", "linear", "cubic"};
enum {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_CROP,
    TF_HALF_PIXEL
};
static const char *const coordinates[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
    "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
enum { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL };
static const char *const nearests[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                       "ceil"};

typedef struct axis {
    int64_t in, out;
    double scale;
    double roi0, roi1;
} axis;

typedef struct tap_rule {
    int mode, coordinate, nearest;
    bool antialias, exclude;
    double a;
    double fill; /* outside of the region, TF_CROP */
} tap_rule;

static bool word(us_sv w, const char *const *list, size_t n, int *out)
{
    for (size_t i = 0; i < n; i++)
        if (us_sv_is(w, list[i])) {
            *out = (int)i;
            return true;
        }
    return false;
}

/* axes (all of them when none is given) without repetition; false: they do not fit. */
static bool axes_of(us_ints a, int rank, int *axes, int *n)
{
    bool seen[US_MAX_RANK] = {false};
    *n = a.n ? (int)US_MIN(a.n, (size_t)US_MAX_RANK) : rank;
    if (a.n > (size_t)rank) return false;
    for (int i = 0; i < *n; i++) {
        if (!us_axis_norm(a.n ? a.p[i] : i, rank, &axes[i]) || seen[axes[i]]) return false;
        seen[axes[i]] = true;
    }
    return true;
}

/* NULL, or what is wrong: a scale that is no positive number or gives an absurd size. */
static const char *size_by_scale(axis *v, double scale)
{
    double out = floor((double)((float)v->in * (float)scale));
    if (!(scale > 0) || !isfinite(scale)) return "a scale is not a positive number";
    if (!(out <= (double)US_MAX_ELEMENTS)) return "a scale is absurdly large";
    v->scale = scale;
    v->out = (int64_t)out;
    return NULL;
}

static const char *sizes_by_policy(axis *v, const int *axes, int n, const int64_t *sizes,
                                   us_sv policy)
{
    bool larger = us_sv_is(policy, "not_smaller"), smaller = us_sv_is(policy, "not_larger");
    double common = 0;
    if (!larger && !smaller && !us_sv_is(policy, "stretch"))
        return "unknown keep_aspect_ratio_policy";
    for (int i = 0; i < n; i++) {
        axis *x = &v[axes[i]];
        if (sizes[i] < 0 || sizes[i] > US_MAX_ELEMENTS) return "a size is out of range";
        if (x->in == 0 && sizes[i] > 0) return "nothing to enlarge in an empty dimension";
        x->out = sizes[i];
        x->scale = x->in ? (double)x->out / (double)x->in : 1;
        if (i == 0 || (larger ? x->scale > common : x->scale < common)) common = x->scale;
    }
    for (int i = 0; (larger || smaller) && i < n; i++) {
        axis *x = &v[axes[i]];
        double out = floor(common * (double)x->in + 0.5);
        if (!(out <= (double)US_MAX_ELEMENTS)) return "a size is out of range";
        x->scale = common;
        x->out = (int64_t)out;
    }
    return NULL;
}

/* --- tables -------------------------------------------------------------------------------------- */

/* Output j is the sum of weight[j*most + i] * input[first[j] + i] for i < count[j]; count 0: the fill value. */
typedef struct taps {
    int64_t most;
    int64_t *first, *count;
    double *weight;
} taps;

static double source_of(const axis *v, int coordinate, int64_t j)
{
    double x = (double)j, in = (double)v->in, s = v->scale, resized = s * in;
    bool one = resized == 1;
    switch (coordinate) {
    case ALIGN_CORNERS: return one ? 0 : x * (in - 1) / (resized - 1);
    case ASYMMETRIC: return x / s;
    case TF_CROP: {
        double span = (v->roi1 - v->roi0) * (in - 1);
        return v->roi0 * (in - 1) + (one ? span / 2 : x * span / (resized - 1));
    }
    case PYTORCH_HALF_PIXEL: return one ? -0.5 : (x + 0.5) / s - 0.5;
    case HALF_PIXEL_SYMMETRIC:
        return in / 2 * (1 - (double)v->out / resized) + (x + 0.5) / s - 0.5;
    case TF_HALF_PIXEL: return (x + 0.5) / s;
    default: return (x + 0.5) / s - 0.5;
    }
}

static double cubic_at(double x, double a)
{
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static double weight_at(const tap_rule *r, double x)
{
    if (r->mode == MODE_CUBIC) return cubic_at(x, r->a);
    return US_MAX(1 - fabs(x), 0);
}

static int64_t nearest_of(int nearest, double x)
{
    double low = floor(x), ratio = x - low;
    bool up = nearest == CEIL           ? ratio > 0
              : nearest == PREFER_CEIL  ? ratio >= 0.5
              : nearest == PREFER_FLOOR ? ratio > 0.5
                                        : false;
    return (int64_t)low + up;
}

static int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Half the width of the filter in input positions. */
static double reach_of(const tap_rule *r, const axis *v)
{
    double support = r->mode == MODE_CUBIC ? 2 : 1;
    return r->antialias && v->scale < 1 ? support / v->scale : support;
}

static void fill_weights(const tap_rule *r, const axis *v, double x, double *w, int64_t *first,
                         int64_t *count)
{
    double scale = r->antialias && v->scale < 1 ? v->scale : 1, sum = 0;
    int64_t reach = (int64_t)ceil(reach_of(r, v)), low = (int64_t)floor(x);
    int64_t from = clamp(low - reach + 1, v->in), to = clamp(low + reach, v->in);
    *first = from;
    *count = to - from + 1;
    memset(w, 0, (size_t)*count * sizeof *w);
    for (int64_t i = low - reach + 1; i <= low + reach; i++) {
        double one = weight_at(r, scale * ((double)i - x));
        if (r->exclude && (i < 0 || i >= v->in)) continue;
        w[clamp(i, v->in) - from] += one;
        sum += one;
    }
    for (int64_t i = 0; i < *count; i++)
        w[i] = sum != 0 ? w[i] / sum : i == 0 ? 1 : 0;
}

static us_err taps_make(us_eval *k, const tap_rule *r, const axis *v, taps *t)
{
    const double far = (double)(1 << 20);
    double reach = r->mode == MODE_NEAREST ? 0 : reach_of(r, v);
    void *p;
    if (!(reach <= far)) return us_eval_fail(k, US_LIMIT, "scale %g is too small", v->scale);
    t->most = r->mode == MODE_NEAREST ? 1 : US_MIN(2 * (int64_t)ceil(reach), v->in);
    US_TRY(us_eval_work(k, 2 * (reach + 2) * (double)v->out)); /* far from the edges, too */
    US_TRY(us_eval_room(k, 2, (int64_t[]){v->out, t->most}, &t->weight));
    US_TRY(us_eval_scratch(k, (size_t)v->out * 2 * sizeof *t->first + 1, &p));
    t->first = p;
    t->count = t->first + v->out;
    for (int64_t j = 0; j < v->out; j++) {
        double x = source_of(v, r->coordinate, j), last = (double)(v->in - 1);
        t->first[j] = t->count[j] = 0;
        if (r->coordinate == TF_CROP && !(x >= 0 && x <= last)) continue;
        if (!(x >= -far)) x = -far; /* beyond the edges all is the same */
        if (x > last + far) x = last + far;
        t->count[j] = 1;
        if (r->mode == MODE_NEAREST)
            t->first[j] = clamp(nearest_of(r->nearest, x), v->in);
        else
            fill_weights(r, v, x, t->weight + j * t->most, &t->first[j], &t->count[j]);
    }
    return US_OK;
}

/* --- evaluation ---------------------------------------------------------------------------------- */

static us_err nearest(us_eval *k, const tap_rule *r, const us_tensor *x, const taps *t,
                      const axis *v)
{
    const us_dtype_info *d = us_dtype_get(x->dtype);
    int64_t dims[US_MAX_RANK], at[US_MAX_RANK] = {0};
    char fill[64] = {0};
    size_t size = d->bits / 8;
    us_tensor *y;
    if (d->bits % 8) return us_eval_no_type(k, x->dtype);
    if (d->from_f64) d->from_f64(fill, 0, 1, &r->fill);
    for (int i = 0; i < x->rank; i++)
        dims[i] = v[i].out;
    US_TRY(us_eval_out(k, 0, x->dtype, x->rank, dims, &y));
    for (int64_t o = 0, all = us_tensor_count(y); o < all; o++) {
        int64_t from = 0;
        bool inside = true;
        for (int i = 0; i < x->rank; i++) {
            from += t[i].first[at[i]] * x->strides[i];
            inside = inside && t[i].count[at[i]] > 0;
        }
        memcpy(us_at(y, o), inside ? us_at(x, from) : fill, size);
        for (int i = x->rank - 1; i >= 0; i--) {
            if (++at[i] < dims[i]) break;
            at[i] = 0;
        }
    }
    return US_OK;
}

/* One axis: x [outer, in, inner] to y [outer, out, inner]. */
static void along(const taps *t, const axis *v, double fill, int64_t outer, int64_t inner,
                  const double *x, double *y)
{
    for (int64_t o = 0; o < outer; o++, x += v->in * inner)
        for (int64_t j = 0; j < v->out; j++, y += inner) {
            const double *w = t->weight + j * t->most;
            for (int64_t q = 0; q < inner; q++)
                y[q] = t->count[j] ? 0 : fill;
            for (int64_t i = 0; i < t->count[j]; i++)
                for (int64_t q = 0; q < inner; q++)
                    y[q] += w[i] * x[(t->first[j] + i) * inner + q];
        }
}

static us_err separable(us_eval *k, const tap_rule *r, const taps *t, const axis *v)
{
    us_tensor x;
    US_TRY(us_eval_f64(k, 0, -1, &x, NULL));
    int64_t dims[US_MAX_RANK];
    const double *from = x.data;
    double *to = NULL;
    memcpy(dims, x.dims, sizeof dims);
    for (int i = x.rank - 1; i >= 0; i--) {
        if (!t[i].first) continue;
        dims[i] = v[i].out;
        US_TRY(us_eval_room(k, x.rank, dims, &to));
        US_TRY(us_eval_work(k, (double)us_dims_product(dims, 0, x.rank) * (double)t[i].most));
        along(&t[i], &v[i], r->fill, us_dims_product(dims, 0, i),
              us_dims_product(dims, i + 1, x.rank), from, to);
        from = to;
    }
    us_dtype t_out = us_eval_opt(k, 0)->dtype;
    if (to) us_means_to(t_out, r->antialias, us_dims_product(dims, 0, x.rank), to);
    return us_eval_put_f64(k, 0, t_out, x.rank, dims, from);
}

/* The tables, then the sums. An axis that stays as it is has no table (but for nearest). */
static us_err resize(us_eval *k, const tap_rule *r, const us_tensor *x, const axis *v)
{
    taps t[US_MAX_RANK];
    memset(t, 0, sizeof t);
    for (int i = 0; i < x->rank; i++) {
        bool same = v[i].in == v[i].out && v[i].scale == 1 && r->coordinate != TF_CROP;
        if (v[i].in == 0 && v[i].out > 0)
            return us_eval_fail(k, US_SHAPE, "nothing to enlarge in an empty dimension");
        if (same && r->mode != MODE_NEAREST) continue;
        US_TRY(taps_make(k, r, &v[i], &t[i]));
    }
    if (r->mode == MODE_NEAREST) return nearest(k, r, x, t, v);
    return separable(k, r, t, v);
}

/* A list that is absent or empty is not given. */
static us_err numbers(us_eval *k, size_t i, us_tensor *out, size_t *n)
{
    bool there;
    *n = 0;
    US_TRY(us_eval_f64(k, i, -1, out, &there));
    if (there) *n = (size_t)us_tensor_count(out);
    return US_OK;
}

static us_err roi_of(us_eval *k, const int *axes, int n, axis *v)
{
    us_tensor roi;
    size_t m;
    US_TRY(numbers(k, 1, &roi, &m));
    if (m != 2 * (size_t)n)
        return us_eval_fail(k, US_SHAPE, "roi has %zu numbers, expected %d", m, 2 * n);
    for (int i = 0; i < n; i++) {
        v[axes[i]].roi0 = ((const double *)roi.data)[i];
        v[axes[i]].roi1 = ((const double *)roi.data)[n + i];
        if (!isfinite(v[axes[i]].roi0) || !isfinite(v[axes[i]].roi1))
            return us_eval_fail(k, US_ARG, "roi holds a number that is not finite");
    }
    return US_OK;
}

static us_err scales_of(us_eval *k, size_t i_scales, const int *axes, int n, axis *v)
{
    us_tensor s;
    size_t m;
    US_TRY(numbers(k, i_scales, &s, &m));
    if (m != (size_t)n) return us_eval_fail(k, US_SHAPE, "%zu scales for %d axes", m, n);
    for (int i = 0; i < n; i++) {
        const char *bad = size_by_scale(&v[axes[i]], ((const double *)s.data)[i]);
        if (bad) return us_eval_fail(k, US_ARG, "%s", bad);
    }
    return US_OK;
}

static void axes_plain(const us_tensor *x, axis *v)
{
    for (int i = 0; i < x->rank; i++)
        v[i] = (axis){x->dims[i], x->dims[i], 1, 0, 1};
}

static bool words_of(const us_p_resize *p, tap_rule *r)
{
    return word(p->mode, modes, US_LEN(modes), &r->mode) &&
           word(p->coordinate_transformation_mode, coordinates, US_LEN(coordinates),
                &r->coordinate) &&
           word(p->nearest_mode, nearests, US_LEN(nearests), &r->nearest);
}

us_err resize_eval(us_eval *k)
{
    const us_p_resize *p = k->params;
    us_tensor x;
    axis v[US_MAX_RANK];
    int axes[US_MAX_RANK], n;
    tap_rule r = {.antialias = p->antialias != 0,
                  .exclude = p->exclude_outside != 0,
                  .a = (double)p->cubic_coeff_a,
                  .fill = (double)p->extrapolation_value};
    const int64_t *sizes;
    size_t n_sizes;
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_ints(k, 3, &n_sizes, &sizes));
    axes_plain(&x, v);
    if (!words_of(p, &r))
        return us_eval_fail(k, US_ARG,
                            "mode '" US_SV_FMT "', coordinates '" US_SV_FMT
                            "' or nearest_mode '" US_SV_FMT "' is not known",
                            US_SV_ARG(p->mode), US_SV_ARG(p->coordinate_transformation_mode),
                            US_SV_ARG(p->nearest_mode));
    if (!axes_of(p->axes, x.rank, axes, &n))
        return us_eval_fail(k, US_SHAPE, "axes do not fit an input of rank %d", x.rank);
    if (r.coordinate == TF_CROP) US_TRY(roi_of(k, axes, n, v));
    if (n_sizes == 0) {
        US_TRY(scales_of(k, 2, axes, n, v));
        return resize(k, &r, &x, v);
    }
    if (n_sizes != (size_t)n)
        return us_eval_fail(k, US_SHAPE, "%zu sizes for %d axes", n_sizes, n);
    const char *bad = sizes_by_policy(v, axes, n, sizes, p->keep_aspect_ratio_policy);
    if (bad) return us_eval_fail(k, US_ARG, "%s", bad);
    return resize(k, &r, &x, v);
}

/* --- bound: float32, height and width, of channels in blocks or with nothing behind ----------------------- */

typedef struct bound {
    us_conv_mix_fn *mix; /* NULL: one number wide */
    const us_conv_tap *y, *x;
    size_t planes, h, w, oh, ow, wide;
    bool nearest;
} bound;

static us_err bind_axis(us_eval *k, const tap_rule *r, const axis *v, const us_conv_tap **out)
{
    void *p;
    US_TRY(us_eval_keep(k, (size_t)v->out * sizeof(us_conv_tap), &p));
    us_conv_tap *t = p;
    for (int64_t j = 0; j < v->out; j++) {
        double x = source_of(v, r->coordinate, j), w[4] = {1, 0}, far = (double)(1 << 20);
        int64_t first, count = 1;
        if (!(x >= -far)) x = -far;
        if (x > (double)v->in + far) x = (double)v->in + far;
        if (r->mode == MODE_NEAREST)
            first = clamp(nearest_of(r->nearest, x), v->in);
        else if (v->in == v->out && v->scale == 1)
            first = j;
        else
            fill_weights(r, v, x, w, &first, &count);
        t[j] = (us_conv_tap){(size_t)first, (size_t)(first + count - 1), (float)w[0],
                             count > 1 ? (float)w[1] : 0};
    }
    *out = t;
    return US_OK;
}

static void narrow_row(const us_conv_mix *t)
{
    for (size_t o = 0; o < t->ow; o++) {
        const us_conv_tap p = t->taps[o];
        t->y[o] = t->x1 ? t->w0 * (p.wa * t->x0[p.a] + p.wb * t->x0[p.b]) +
                              t->w1 * (p.wa * t->x1[p.a] + p.wb * t->x1[p.b])
                        : t->x0[p.a];
    }
}

#define PART_FLOATS ((size_t)20000) /* worth a thread: some 10 us */

typedef struct job {
    const bound *b;
    const float *x;
    float *y;
} job;

/* Output rows of all planes. */
static void run_rows(void *arg, size_t r0, size_t r1)
{
    const job *j = arg;
    const bound *b = j->b;
    size_t row = b->w * b->wide;
    for (size_t r = r0; r < r1; r++) {
        const us_conv_tap *t = &b->y[r % b->oh];
        const float *x = j->x + r / b->oh * b->h * row;
        us_conv_mix m = {.x0 = x + t->a * row,
                         .x1 = b->nearest ? NULL : x + t->b * row,
                         .w0 = t->wa,
                         .w1 = t->wb,
                         .taps = b->x,
                         .ow = b->ow,
                         .y = j->y + r * b->ow * b->wide};
        b->mix(&m);
    }
}

static us_err run_bound(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    const bound *b = state;
    job j = {b, k->in[0]->t.data, k->out[0]->t.data};
    size_t rows = b->planes * b->oh, grain = PART_FLOATS / (b->ow * b->wide) + 1;
    us_pool_run(rows < 4 * grain ? NULL : k->c->pool, rows, grain, run_rows, &j);
    return US_OK;
}

/* Scales and sizes of the axes as eval finds them; false: eval is to say what is wrong. */
static bool axes_bound(us_eval *k, const us_tensor *x, const us_tensor *y, axis *v)
{
    const us_p_resize *p = k->params;
    const us_tensor *scales = us_eval_opt(k, 2), *sizes = us_eval_opt(k, 3);
    int axes[US_MAX_RANK], n;
    axes_plain(x, v);
    if (!axes_of(p->axes, x->rank, axes, &n) ||
        !us_sv_is(p->keep_aspect_ratio_policy, "stretch"))
        return false;
    bool by_size = sizes && us_tensor_count(sizes) > 0;
    if (!by_size &&
        (!scales || !scales->data || scales->dtype != US_F32 || us_tensor_count(scales) != n))
        return false;
    for (int i = 0; i < n; i++) {
        axis *a = &v[axes[i]];
        if (by_size) {
            a->out = y->dims[axes[i]];
            a->scale = (double)a->out / (double)a->in;
        } else if (size_by_scale(a, us_tensor_f64_at(scales, i))) {
            return false;
        }
    }
    for (int i = 0; i < x->rank; i++)
        if (v[i].out != y->dims[i]) return false;
    return true;
}

us_err resize_bind(us_eval *k, us_call *call)
{
    const us_p_resize *p = k->params;
    const us_conv_kernels *f = us_kernels_get(k->c)->conv;
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    tap_rule r = {.exclude = p->exclude_outside != 0};
    axis v[US_MAX_RANK];
    call->kernel = "not height and width of floats, nearest or linear";
    if (!x || !y || x->dtype != US_F32 || x->rank < 4 || x->rank > 5 || !words_of(p, &r) ||
        r.mode == MODE_CUBIC || r.coordinate == TF_CROP || p->antialias != 0 ||
        (x->rank == 5 && (size_t)x->dims[4] != f->block) || !axes_bound(k, x, y, v))
        return US_OK;
    for (int i = 0; i < x->rank; i++)
        if (i != 2 && i != 3 && (v[i].in != v[i].out || v[i].scale != 1)) return US_OK;
    void *mem;
    US_TRY(us_eval_keep(k, sizeof(bound), &mem));
    bound *b = mem;
    *b = (bound){.mix = x->rank == 5 ? f->mix : narrow_row,
                 .planes = (size_t)(x->dims[0] * x->dims[1]),
                 .h = (size_t)v[2].in,
                 .w = (size_t)v[3].in,
                 .oh = (size_t)v[2].out,
                 .ow = (size_t)v[3].out,
                 .wide = x->rank == 5 ? f->block : 1,
                 .nearest = r.mode == MODE_NEAREST};
    US_TRY(bind_axis(k, &r, &v[2], &b->y));
    US_TRY(bind_axis(k, &r, &v[3], &b->x));
    *call = (us_call){.run = run_bound,
                      .state = b,
                      .kernel = b->nearest ? "resize nearest" : "resize linear"};
    return US_OK;
}

us_err upsample_eval(us_eval *k)
{
    const us_p_upsample *p = k->params;
    us_tensor x;
    axis v[US_MAX_RANK];
    int axes[US_MAX_RANK], n;
    bool down = true, some = false;
    tap_rule r = {.coordinate = ASYMMETRIC, .nearest = FLOOR};
    US_TRY(us_eval_in_dense(k, 0, &x));
    axes_plain(&x, v);
    r.mode = us_sv_is(p->mode, "nearest") ? MODE_NEAREST : MODE_LINEAR;
    if (r.mode == MODE_LINEAR && !us_sv_is(p->mode, "linear") && !us_sv_is(p->mode, "bilinear"))
        return us_eval_fail(k, US_ARG, "mode '" US_SV_FMT "'", US_SV_ARG(p->mode));
    if (!axes_of((us_ints){0}, x.rank, axes, &n)) return us_eval_fail(k, US_SHAPE, "axes");
    US_TRY(scales_of(k, 1, axes, n, v));
    for (int i = 0; i < n; i++) {
        down = down && v[i].scale <= 1;
        some = some || v[i].scale < 1;
    }
    if (down && some) r.nearest = CEIL;
    return resize(k, &r, &x, v);
}

us_err upsample_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)m;
    const us_attr *mode = us_node_attr(&g->nodes.at[n], "mode");
    us_builder b = us_b_begin(c, g, "upsample");
    bool nearest_mode = !mode || us_sv_is(mode->s, "nearest");
    us_vid scales = g->nodes.at[n].in[1];
    us_vid in[3] = {g->nodes.at[n].in[0], US_NIL, scales};
    b.before = n;
    us_vid y = us_b_node(&b, "", "Resize", 3, in, 1, NULL);
    us_b_str(&b, "mode", nearest_mode ? "nearest" : "linear");
    us_b_str(&b, "coordinate_transformation_mode", "asymmetric");
    us_b_str(&b, "nearest_mode", shrinks(g, scales) ? "ceil" : "floor");
    US_TRY(us_b_end(&b));
    us_graph_replace_uses(g, g->nodes.at[n].out[0], y);
    return US_OK;
}

/* --- inference ----------------------------------------------------------------------------------- */

/* Sizes of the axes that constant scales give; the others are fresh. */
static us_err infer_scales(us_infer *k, size_t i_scales, const us_type *x, const int *axes,
                           int n, us_dim *d)
{
    const us_tensor *s = us_infer_const(k, i_scales);
    if (s && (s->dtype != US_F32 || us_tensor_count(s) != n))
        return us_infer_fail(k, US_SHAPE, "scales do not fit the axes");
    for (int i = 0; i < n; i++) {
        us_dim in = x->dims[axes[i]];
        double scale = s ? us_tensor_f64_at(s, i) : 0;
        axis v = {.in = in.add};
        if (s && scale == 1) continue;
        if (!us_dim_known(in) && scale >= 1 && scale <= 1024 && scale == floor(scale)) {
            US_TRY(us_dim_mul(k->c, &k->m->syms, in, US_DIM((int64_t)scale), &d[axes[i]]));
            continue;
        }
        if (!s || !us_dim_known(in)) {
            US_TRY(us_infer_fresh(k, &d[axes[i]]));
            continue;
        }
        const char *bad = size_by_scale(&v, scale);
        if (bad) return us_infer_fail(k, US_ARG, bad);
        d[axes[i]] = US_DIM(v.out);
    }
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

static bool given(us_infer *k, size_t i)
{
    const us_type *t = us_infer_ranked(k, i);
    if (!us_infer_has(k, i)) return false;
    return !(t && t->rank == 1 && us_dim_known(t->dims[0]) && t->dims[0].add == 0);
}

us_err resize_infer(us_infer *k)
{
    const us_p_resize *p = k->params;
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK], sizes[US_MAX_RANK];
    int axes[US_MAX_RANK], n;
    size_t m;
    bool known;
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (!axes_of(p->axes, x->rank, axes, &n))
        return us_infer_fail(k, US_SHAPE, "axes do not fit the input's rank");
    us_copy_dims(d, x);
    if (!given(k, 3)) return infer_scales(k, 2, x, axes, n, d);
    US_TRY(us_infer_shape(k, 3, &known, &m, sizes));
    known = known && us_sv_is(p->keep_aspect_ratio_policy, "stretch");
    if (known && m != (size_t)n) return us_infer_fail(k, US_SHAPE, "sizes do not fit the axes");
    for (int i = 0; i < n; i++) {
        if (known)
            d[axes[i]] = sizes[i];
        else
            US_TRY(us_infer_fresh(k, &d[axes[i]]));
    }
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

us_err upsample_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK];
    int axes[US_MAX_RANK], n;
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (!axes_of((us_ints){0}, x->rank, axes, &n)) return us_infer_fail(k, US_BUG, "axes");
    us_copy_dims(d, x);
    return infer_scales(k, 1, x, axes, n, d);
}
