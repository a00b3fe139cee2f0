/* ir/op_grid.c - GridSample and AffineGrid: a picture seen through a grid of positions from -1 to 1.
 *
 * Source: the ONNX documents and the reference implementation beside GridSample; the first number of a position is
 * that of the last dimension. Any number of spatial dimensions. A position that is not a number reads as far outside.
 */
#include "ir/op_f64.h"
#include "ir/op_window.h"

#include <math.h>
#include <string.h>

static us_upgrade_fn upgrade_modes;

/* clang-format off */
static const us_param grid_sample_in[] = {{"X", 'T', US_M_ALL, 0}, {"grid", 'G', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param grid_sample_out[] = {{"Y", 'T', US_M_ALL, 0}, US_PARAM_END};
static const us_attr_row grid_sample_attrs[] = {
    US_AI(us_p_grid_sample, align_corners, "align_corners", 0), US_AS(us_p_grid_sample, mode, "mode", "bilinear"),
    US_AS(us_p_grid_sample, padding_mode, "padding_mode", "zeros"), US_ATTR_END};
static const us_attr_row grid_sample_attrs_20[] = {
    US_AI(us_p_grid_sample, align_corners, "align_corners", 0), US_AS(us_p_grid_sample, mode, "mode", "linear"),
    US_AS(us_p_grid_sample, padding_mode, "padding_mode", "zeros"), US_ATTR_END};
const us_schema grid_sample_schemas[] = {
    {16, grid_sample_in, grid_sample_out, grid_sample_attrs, sizeof(us_p_grid_sample), upgrade_modes},
    {20, grid_sample_in, grid_sample_out, grid_sample_attrs_20, sizeof(us_p_grid_sample), NULL},
    {22, grid_sample_in, grid_sample_out, grid_sample_attrs_20, sizeof(us_p_grid_sample), NULL},
    {0}};

static const us_param affine_grid_in[] = {{"theta", 'T', US_M_FLOATS, 0}, {"size", '\0', US_M(I64), 0}, US_PARAM_END};
static const us_param affine_grid_out[] = {{"grid", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row affine_grid_attrs[] = {US_AI(us_p_affine_grid, align_corners, "align_corners", 0), US_ATTR_END};
const us_schema affine_grid_schemas[] = {
    {20, affine_grid_in, affine_grid_out, affine_grid_attrs, sizeof(us_p_affine_grid), NULL},
    {0}};
/* clang-format on */

/* Version 20 calls bilinear linear and bicubic cubic. */
static us_err upgrade_modes(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    (void)m;
    const us_attr *mode = us_node_attr(&g->nodes.at[n], "mode");
    if (!mode || us_sv_is(mode->s, "nearest")) return US_OK;
    us_attr a = {.name = US_SV("mode"), .kind = US_AT_STRING};
    a.s = us_sv_is(mode->s, "bilinear")  ? US_SV("linear")
          : us_sv_is(mode->s, "bicubic") ? US_SV("cubic")
                                         : mode->s;
    return us_node_set_attr(c, g, n, &a);
}

us_err grid_sample_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0), *grid = us_infer_ranked(k, 1);
    us_dim d[US_MAX_RANK];
    if (!x || !grid) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (x->rank < 3 || x->rank != grid->rank)
        return us_infer_fail(k, US_SHAPE, "X and grid differ in rank");
    us_copy_dims(d, grid);
    memmove(d + 2, grid->dims + 1, (size_t)(x->rank - 2) * sizeof *d);
    d[0] = x->dims[0];
    d[1] = x->dims[1];
    return us_infer_out(k, 0, US_DT_NONE, x->rank, d);
}

/* --- GridSample ---------------------------------------------------------------------------------- */

enum { ZEROS, BORDER, REFLECTION };
enum { NEAREST = 1, LINEAR = 2, CUBIC = 4 }; /* taps per axis */

typedef struct sampler {
    int n, pad, taps;
    bool align;
    const int64_t *dims; /* n of them */
} sampler;

static double reflect(double x, double low, double high)
{
    double range = high - low;
    if (!(range > 0)) return 0;
    double r = fmod(fabs(x - low), 2 * range);
    return low + (r > range ? 2 * range - r : r);
}

/* An index that may lie outside: -1 where it reads as zero. */
static int64_t fetch(const sampler *s, int64_t i, int64_t n)
{
    if (i >= 0 && i < n) return i;
    if (s->pad == ZEROS || n == 0) return -1;
    if (s->pad == BORDER) return i < 0 ? 0 : n - 1;
    double low = s->align ? 0 : -0.5, high = s->align ? (double)n - 1 : (double)n - 0.5;
    int64_t r = (int64_t)reflect((double)i, low, high);
    return US_MIN(US_MAX(r, 0), n - 1);
}

static double cubic_at(double x)
{
    const double a = -0.75;
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Indices and weights along one axis for position g. */
static void along(const sampler *s, int64_t n, double g, int64_t *index, double *weight)
{
    const double far = 1e9;
    double size = (double)n, low = s->align ? 0 : -0.5;
    double high = s->align ? size - 1 : size - 0.5;
    double x = s->align ? (g + 1) / 2 * (size - 1) : ((g + 1) * size - 1) / 2;
    if (s->taps == NEAREST) x = nearbyint(x);
    if (s->pad == BORDER && (x < low || x > high)) x = US_MIN(US_MAX(x, 0), size - 1);
    if (s->pad == REFLECTION && (x < low || x > high) && isfinite(x)) x = reflect(x, low, high);
    if (!(x >= -far)) x = -far;
    if (x > far) x = far;
    double base = s->taps == NEAREST ? nearbyint(x) : floor(x);
    int64_t first = (int64_t)base - (s->taps == CUBIC);
    for (int i = 0; i < s->taps; i++) {
        double d = x - (double)(first + i);
        index[i] = fetch(s, first + i, n);
        weight[i] = s->taps == NEAREST ? 1 : s->taps == LINEAR ? 1 - fabs(d) : cubic_at(d);
    }
}

/* The sum over the taps of all axes from `axis` on; elements of x lie `step` apart. */
static double gather(const sampler *s, int axis, const double *x, int64_t step, int64_t at,
                     int64_t (*index)[CUBIC], double (*weight)[CUBIC])
{
    double sum = 0;
    if (axis == s->n) return x[at * step];
    for (int i = 0; i < s->taps; i++)
        if (index[axis][i] >= 0)
            sum += weight[axis][i] * gather(s, axis + 1, x, step,
                                            at * s->dims[axis] + index[axis][i], index, weight);
    return sum;
}

static us_err sampler_of(us_eval *k, const us_p_grid_sample *p, sampler *s)
{
    s->align = p->align_corners != 0;
    s->taps = us_sv_is(p->mode, "nearest")  ? NEAREST
              : us_sv_is(p->mode, "linear") ? LINEAR
              : us_sv_is(p->mode, "cubic")  ? CUBIC
                                            : 0;
    s->pad = us_sv_is(p->padding_mode, "zeros")        ? ZEROS
             : us_sv_is(p->padding_mode, "border")     ? BORDER
             : us_sv_is(p->padding_mode, "reflection") ? REFLECTION
                                                       : -1;
    if (s->taps && s->pad >= 0) return US_OK;
    return us_eval_fail(k, US_ARG, "mode '" US_SV_FMT "' or padding_mode '" US_SV_FMT "'",
                        US_SV_ARG(p->mode), US_SV_ARG(p->padding_mode));
}

/* Elements are moved as they are, so that every type has it: y starts as zeros, or empty texts. */
static void pick_nearest(const sampler *s, const us_tensor *x, const us_tensor *grid,
                         us_tensor *y)
{
    const size_t bytes = us_dtype_get(x->dtype)->bits / 8;
    int64_t places = us_dims_product(y->dims, 2, y->rank),
            plane = us_dims_product(x->dims, 2, x->rank), index;
    double weight;
    for (int64_t r = 0; r < y->dims[0] * places; r++) {
        const double *g = (const double *)grid->data + r * s->n;
        int64_t b = r / places, o = r % places, at = 0;
        bool inside = true;
        for (int i = 0; i < s->n; i++) {
            along(s, s->dims[i], g[s->n - 1 - i], &index, &weight);
            inside = inside && index >= 0;
            at = at * s->dims[i] + index;
        }
        for (int64_t c = b * y->dims[1]; inside && c < (b + 1) * y->dims[1]; c++)
            memcpy(us_at(y, c * places + o), us_at(x, c * plane + at), bytes);
    }
}

/* x as doubles: complex numbers as two in turn. */
static us_err parts_of(us_eval *k, const us_tensor *x, int64_t *n_parts, us_tensor *out)
{
    *n_parts = us_dtype_get(x->dtype)->cls == US_DC_COMPLEX ? 2 : 1;
    if (*n_parts == 2) return us_eval_parts(k, x, out);
    if (!us_dtype_get(x->dtype)->to_f64) return us_eval_no_type(k, x->dtype);
    return us_eval_as(k, x, US_F64, out);
}

us_err grid_sample_eval(us_eval *k)
{
    us_tensor x, grid, wide, *out;
    sampler s;
    int64_t dims[US_MAX_RANK], index[US_MAX_RANK][CUBIC], parts;
    double *y, weight[US_MAX_RANK][CUBIC];
    US_TRY(us_eval_in_dense(k, 0, &x));
    US_TRY(us_eval_f64(k, 1, x.rank, &grid, NULL));
    US_TRY(sampler_of(k, k->params, &s));
    s.n = x.rank - 2;
    if (s.n < 1 || s.n > 4) return us_eval_fail(k, US_SHAPE, "input of rank %d", x.rank);
    if (grid.dims[0] != x.dims[0] || grid.dims[x.rank - 1] != s.n)
        return us_eval_fail(k, US_SHAPE, "grid does not fit an input of rank %d", x.rank);
    s.dims = x.dims + 2;
    memcpy(dims, x.dims, 2 * sizeof *dims);
    memcpy(dims + 2, grid.dims + 1, (size_t)s.n * sizeof *dims);
    US_TRY(us_eval_out(k, 0, x.dtype, x.rank, dims, &out));
    if (us_tensor_count(out) == 0) return US_OK;
    memset(out->data, 0, us_tensor_bytes(out));
    if (us_tensor_count(&x) == 0) return US_OK; /* its dimensions may be absurd */
    int64_t places = us_dims_product(dims, 2, x.rank),
            plane = us_dims_product(x.dims, 2, x.rank), n = us_tensor_count(out);
    US_TRY(us_eval_work(k, (double)n * pow(s.taps, s.n)));
    if (s.taps == NEAREST) {
        pick_nearest(&s, &x, &grid, out);
        return US_OK;
    }
    US_TRY(parts_of(k, &x, &parts, &wide));
    n *= parts;
    US_TRY(us_eval_room(k, 1, &n, &y));
    for (int64_t b = 0; b < dims[0]; b++)
        for (int64_t o = 0; o < places; o++) {
            const double *g = (const double *)grid.data + (b * places + o) * s.n;
            for (int i = 0; i < s.n; i++)
                along(&s, s.dims[i], g[s.n - 1 - i], index[i], weight[i]);
            for (int64_t c = 0; c < dims[1]; c++) {
                int64_t at = b * dims[1] + c;
                for (int64_t q = 0; q < parts; q++)
                    y[(at * places + o) * parts + q] =
                        gather(&s, 0, (const double *)wide.data + at * plane * parts + q, parts,
                               0, index, weight);
            }
        }
    us_means_to(x.dtype, false, n, y);
    us_dtype part = x.dtype == US_C64 ? US_F32 : x.dtype == US_C128 ? US_F64 : x.dtype;
    us_dtype_get(part)->from_f64(out->data, 0, (size_t)n, y);
    return US_OK;
}

/* --- AffineGrid ---------------------------------------------------------------------------------- */

us_err affine_grid_infer(us_infer *k)
{
    us_dim size[US_MAX_RANK], d[5];
    size_t n;
    bool known;
    US_TRY(us_infer_shape(k, 1, &known, &n, size));
    if (!known) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (n != 4 && n != 5) return us_infer_fail(k, US_SHAPE, "size must have 4 or 5 entries");
    d[0] = size[0];
    memcpy(d + 1, size + 2, (n - 2) * sizeof *d);
    d[n - 1] = US_DIM((int64_t)n - 2);
    return us_infer_out(k, 0, US_DT_NONE, (int)n, d);
}

static double position(int64_t i, int64_t n, bool align)
{
    if (align) return n > 1 ? -1 + 2 * (double)i / (double)(n - 1) : 0;
    return (2 * (double)i + 1) / (double)n - 1;
}

us_err affine_grid_eval(us_eval *k)
{
    const us_p_affine_grid *p = k->params;
    us_tensor theta;
    const int64_t *size;
    size_t m;
    int64_t dims[5], at[3] = {0};
    double *y;
    US_TRY(us_eval_f64(k, 0, 3, &theta, NULL));
    US_TRY(us_eval_ints(k, 1, &m, &size));
    if (m != 4 && m != 5) return us_eval_fail(k, US_SHAPE, "size has %zu entries", m);
    int n = (int)m - 2;
    US_TRY(us_eval_want_dims(k, 0, &theta, 3, (int64_t[]){size[0], n, n + 1}));
    dims[0] = size[0];
    memcpy(dims + 1, size + 2, (size_t)n * sizeof *dims);
    dims[n + 1] = n;
    US_TRY(us_eval_room(k, n + 2, dims, &y));
    double *to = y;
    int64_t places = us_dims_product(dims, 1, n + 1);
    for (int64_t b = 0; b < dims[0]; b++) {
        const double *t = (const double *)theta.data + b * n * (n + 1);
        for (int64_t o = 0; o < places; o++, us_window_next(n, dims + 1, at))
            for (int row = 0; row < n; row++) {
                double sum = t[row * (n + 1) + n];
                for (int i = 0; i < n; i++)
                    sum += t[row * (n + 1) + i] *
                           position(at[n - 1 - i], dims[n - i], p->align_corners != 0);
                *to++ = sum;
            }
    }
    return us_eval_put_f64(k, 0, us_eval_opt(k, 0)->dtype, n + 2, dims, y);
}
