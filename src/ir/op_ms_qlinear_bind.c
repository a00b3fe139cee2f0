/* ir/op_ms_qlinear_bind.c - com.microsoft's operators on 8-bit tensors, bound: QLinearAdd, QLinearMul, QLinearSigmoid, QLinearLeakyRelu,
 * QLinearConcat, and with channels last the pools.
 *
 * A function of one byte is a table of 256. Scales and zero points are constant here, whatever else is left to eval. An average is a sum
 * of the 256 floats that bytes stand for, each exact in double, and so is their sum for as many as a window has: the
 * order does not matter.
 */
#include "ir/op_qint.h"
#include "ir/op_window.h"
#include "ir/params_ms.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "kernel/int8.h"
#include "kernel/ref.h"

enum { CHUNK = 1 << 15, ROW = 1024, TAPS = 256 };

/* A constant scale and zero point (inputs i and i + 1). */
typedef struct quant {
    float scale;
    int zero;
} quant;

static bool read_quant(us_eval *k, size_t i, us_dtype type, quant *out)
{
    const us_tensor *s = us_eval_opt(k, i), *z = us_eval_opt(k, i + 1);
    if (!s || !s->data || s->dtype != US_F32 || us_tensor_count(s) != 1) return false;
    if (z && (!z->data || z->dtype != type || us_tensor_count(z) != 1)) return false;
    out->scale = *(const float *)s->data;
    out->zero = !z                  ? 0
                : z->dtype == US_I8 ? *(const int8_t *)z->data
                                    : *(const uint8_t *)z->data;
    return isfinite(out->scale) && out->scale > 0;
}

static const char *const not_constant = "scales or zero points that are not constant";

/* What a byte stands for, and the byte that stands for a number. */
static float value_of(unsigned byte, bool is_signed, const quant *q)
{
    int x = is_signed && byte > 127 ? (int)byte - 256 : (int)byte;
    return q->scale * (float)(x - q->zero);
}

static uint8_t byte_of(float v, bool is_signed, const quant *q)
{
    float lo = is_signed ? -128 : 0, hi = is_signed ? 127 : 255;
    float r = nearbyintf(v / q->scale) + (float)q->zero;
    r = isnan(r) ? (float)q->zero : fminf(fmaxf(r, lo), hi);
    return (uint8_t)(int)r;
}

/* --- two tensors ---------------------------------------------------------------------------------------- */

typedef struct two {
    const us_int8_kernels *kernels;
    bool adds, swapped; /* swapped: input 3 comes first */
    us_int8_add add;
    us_int8_mul mul;
    size_t n, mid,
        row;  /* numbers; of each outer part the second operand has one row for `mid` rows */
    bool one; /* a row of the second operand is one number */
} two;

typedef struct two_job {
    const two *v;
    const uint8_t *a, *b;
    uint8_t *y;
} two_job;

static void two_run(const two *v, const uint8_t *a, const uint8_t *b, size_t n, uint8_t *y)
{
    if (v->adds && v->swapped && !v->one)
        v->kernels->add(b, a, n, &v->add, y);
    else if (v->adds)
        v->kernels->add(a, b, n, &v->add, y);
    else
        v->kernels->mul(a, b, n, &v->mul, y);
}

static void two_piece(void *arg, size_t i0, size_t i1)
{
    const two_job *j = arg;
    const two *v = j->v;
    uint8_t same[ROW];
    const size_t part = v->mid * v->row;
    while (i0 < i1) {
        size_t outer = i0 / part,
               end = (v->one ? outer + 1 : i0 / v->row + 1) * (v->one ? part : v->row),
               n = US_MIN(i1, end) - i0;
        const uint8_t *b = j->b + outer * v->row + i0 % v->row;
        if (v->one) {
            n = US_MIN(n, (size_t)ROW);
            memset(same, *b, n);
            b = same;
        }
        two_run(v, j->a + i0, b, n, j->y + i0);
        i0 += n;
    }
}

static us_err run_two(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    const two *v = state;
    two_job j = {v, k->in[v->swapped ? 3 : 0]->t.data, k->in[v->swapped ? 0 : 3]->t.data,
                 k->out[0]->t.data};
    us_pool_run(k->c->pool, v->n, CHUNK, two_piece, &j);
    return US_OK;
}

/* How x repeats to make y: its axes are y's up to some, then ones, then y's again. */
static bool repeats(const us_tensor *x, const us_tensor *y, two *v)
{
    int64_t outer = 1, mid = 1, row = 1;
    int at = 0, lead = y->rank - x->rank;
    while (at < y->rank && at >= lead && x->dims[at - lead] == y->dims[at])
        outer *= y->dims[at++];
    for (; at < y->rank && (at < lead || x->dims[at - lead] == 1); at++)
        mid *= y->dims[at];
    for (; at < y->rank && x->dims[at - lead] == y->dims[at]; at++)
        row *= y->dims[at];
    v->mid = (size_t)mid;
    v->row = (size_t)(mid == 1 ? outer * row : row);
    v->one = mid > 1 && row == 1;
    return at == y->rank;
}

/* One that broadcasts to y and has as many numbers has its dims. */
static bool same_count(const us_tensor *x, const us_tensor *y)
{
    return us_tensor_count(x) == us_tensor_count(y);
}

/* As op_ms_qlinear.c gathers the constants: the operand that is one number, else the second, joins the zero points first. */
static bool set_add(two *v, const quant *a, const quant *b, const quant *y, bool is_signed)
{
    float ra = a->scale / y->scale, rb = b->scale / y->scale;
    const float za = (float)a->zero, zb = (float)b->zero, zy = (float)y->zero;
    v->add = (us_int8_add){.is_signed = is_signed, .ra = ra, .rb = rb};
    v->add.fixed = zy - fmaf(ra, za, rb * zb);
    if (v->swapped && v->one)
        v->add = (us_int8_add){is_signed, rb, ra, zy - fmaf(rb, zb, ra * za)};
    return isfinite(v->add.ra) && isfinite(v->add.rb) && isfinite(v->add.fixed);
}

static bool set_mul(two *v, const quant *a, const quant *b, const quant *y, bool is_signed)
{
    v->mul = (us_int8_mul){.is_signed = is_signed,
                           .za = (float)(v->swapped ? b : a)->zero,
                           .zb = (float)(v->swapped ? a : b)->zero,
                           .ratio = a->scale * b->scale / y->scale,
                           .zero = (float)y->zero};
    return isfinite(v->mul.ratio);
}

static us_err bind_two(us_eval *k, bool adds, us_call *call)
{
    const us_tensor *a = us_eval_opt(k, 0), *b = us_eval_opt(k, 3), *y = us_eval_opt_out(k, 0);
    quant qa, qb, qy;
    two v = {.kernels = us_kernels_get(k->c)->int8, .adds = adds};
    if (!us_is_8bit(a) || !b || !y || b->dtype != a->dtype || y->dtype != a->dtype)
        return US_OK;
    call->kernel = not_constant;
    if (!read_quant(k, 1, a->dtype, &qa) || !read_quant(k, 4, a->dtype, &qb) ||
        !read_quant(k, 6, a->dtype, &qy))
        return US_OK;
    v.n = (size_t)us_tensor_count(y);
    v.swapped = !same_count(a, y);
    call->kernel = "operands that broadcast in several axes, or both";
    if (!same_count(v.swapped ? b : a, y) || !repeats(v.swapped ? a : b, y, &v)) return US_OK;
    bool is_signed = a->dtype == US_I8;
    if (!(adds ? set_add(&v, &qa, &qb, &qy, is_signed) : set_mul(&v, &qa, &qb, &qy, is_signed)))
        return US_OK;
    return us_call_make(k, call, run_two, &v, sizeof v, v.kernels->rows_name);
}

us_err ms_qlinear_add_bind(us_eval *k, us_call *call)
{
    return bind_two(k, true, call);
}
us_err ms_qlinear_mul_bind(us_eval *k, us_call *call)
{
    return bind_two(k, false, call);
}

/* --- tables --------------------------------------------------------------------------------------------- */

typedef struct table {
    const us_int8_kernels *kernels;
    uint8_t of[256];
} table;

typedef struct table_job {
    const table *v;
    const uint8_t *x;
    uint8_t *y;
} table_job;

static void look_up(void *arg, size_t i0, size_t i1)
{
    const table_job *j = arg;
    j->v->kernels->look_up(j->v->of, j->x + i0, i1 - i0, j->y + i0);
}

static us_err run_table(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    table_job j = {state, k->in[0]->t.data, k->out[0]->t.data};
    size_t n = (size_t)us_tensor_count(&k->in[0]->t);
    us_pool_run(k->c->pool, n, CHUNK, look_up, &j);
    return US_OK;
}

static us_err bind_table(us_eval *k, us_unary f, const double *par, us_call *call)
{
    const us_tensor *x = us_eval_opt(k, 0);
    us_un_fn *fn = us_ref_unary(f, US_F32);
    quant from, to;
    float in[256], out[256];
    if (!us_is_8bit(x) || !us_eval_opt_out(k, 0) || !fn) return US_OK;
    call->kernel = not_constant;
    if (!read_quant(k, 1, x->dtype, &from) || !read_quant(k, 3, x->dtype, &to)) return US_OK;
    bool is_signed = x->dtype == US_I8;
    for (unsigned i = 0; i < 256; i++)
        in[i] = value_of(i, is_signed, &from);
    fn(out, in, 256, 1, par);
    table v = {.kernels = us_kernels_get(k->c)->int8};
    for (unsigned i = 0; i < 256; i++)
        v.of[i] = byte_of(out[i], is_signed, &to);
    return us_call_make(k, call, run_table, &v, sizeof v, "table of 256");
}

us_err ms_qlinear_sigmoid_bind(us_eval *k, us_call *call)
{
    return bind_table(k, US_UN_SIGMOID, NULL, call);
}

us_err ms_qlinear_leaky_relu_bind(us_eval *k, us_call *call)
{
    const us_p_leaky_relu *p = k->params;
    const double par[4] = {(double)p->alpha};
    return bind_table(k, US_UN_LEAKY_RELU, par, call);
}

/* --- QLinearConcat -------------------------------------------------------------------------------------- */

/* A table for each input; `same` where it would be no change. */
typedef struct joined {
    size_t n, outer;
    const size_t *piece; /* bytes of each input in a row of the output */
    const bool *same;
    const uint8_t *table; /* 256 each */
    const us_int8_kernels *kernels;
    size_t row; /* of the output */
} joined;

typedef struct joined_job {
    const joined *v;
    const us_eval *k;
} joined_job;

static void join_rows(void *arg, size_t o0, size_t o1)
{
    const joined_job *j = arg;
    const joined *v = j->v;
    uint8_t *y = (uint8_t *)j->k->out[0]->t.data + o0 * v->row;
    for (size_t o = o0; o < o1; o++)
        for (size_t i = 0; i < v->n; i++) {
            size_t n = v->piece[i];
            const uint8_t *x = (const uint8_t *)j->k->in[2 + 3 * i]->t.data + o * n;
            if (v->same[i])
                memcpy(y, x, n);
            else
                v->kernels->look_up(v->table + 256 * i, x, n, y);
            y += n;
        }
}

static us_err run_concat(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    const joined *v = state;
    joined_job j = {v, k};
    us_pool_run(k->c->pool, v->outer, CHUNK / US_MAX(v->row, 1) + 1, join_rows, &j);
    return US_OK;
}

us_err ms_qlinear_concat_bind(us_eval *k, us_call *call)
{
    const us_p_concat *p = k->params;
    const us_tensor *y = us_eval_opt_out(k, 0);
    quant to, from;
    void *pieces, *same, *tables;
    if (!us_is_8bit(y) || k->n_in < 5 || (k->n_in - 2) % 3) return US_OK;
    call->kernel = not_constant;
    if (!read_quant(k, 0, y->dtype, &to)) return US_OK;
    size_t n = (k->n_in - 2) / 3;
    int axis = (int)(p->axis < 0 ? p->axis + y->rank : p->axis);
    bool is_signed = y->dtype == US_I8;
    if (axis < 0 || axis >= y->rank) return US_OK;
    US_TRY(us_eval_keep(k, n * sizeof(size_t), &pieces));
    US_TRY(us_eval_keep(k, n, &same));
    US_TRY(us_eval_keep(k, n * 256, &tables));
    for (size_t i = 0; i < n; i++) {
        const us_tensor *x = us_eval_opt(k, 2 + 3 * i);
        if (!x || x->dtype != y->dtype || x->rank != y->rank ||
            !read_quant(k, 3 + 3 * i, y->dtype, &from))
            return US_OK;
        ((size_t *)pieces)[i] = (size_t)us_dims_product(x->dims, axis, x->rank);
        uint8_t *of = (uint8_t *)tables + 256 * i;
        bool unchanged = true;
        for (unsigned b = 0; b < 256; b++) {
            of[b] = byte_of(value_of(b, is_signed, &from), is_signed, &to);
            unchanged = unchanged && of[b] == b;
        }
        ((bool *)same)[i] = unchanged;
    }
    joined v = {n,
                (size_t)us_dims_product(y->dims, 0, axis),
                pieces,
                same,
                tables,
                us_kernels_get(k->c)->int8,
                (size_t)us_dims_product(y->dims, axis, y->rank)};
    return us_call_make(k, call, run_concat, &v, sizeof v, "tables of 256");
}

/* --- pools with channels last --------------------------------------------------------------------------- */

typedef struct pooled {
    const us_int8_kernels *kernels;
    us_window w; /* two spatial dimensions */
    size_t n, c;
    uint8_t flip;
    bool include_pad, is_signed;
    quant from, to;
    const double *value; /* what a byte stands for */
    float scale;         /* global average: of a sum */
    bool last;           /* global average: channels are last */
} pooled;

/* The taps of output (oy, ox) that are inside; *reach: those that are inside or in the padding. */
static size_t taps_at(const pooled *v, const uint8_t *x, int64_t oy, int64_t ox,
                      const uint8_t **tap, size_t *reach)
{
    const us_window *w = &v->w;
    size_t n = 0;
    *reach = 0;
    for (int64_t ky = 0; ky < w->kernel[0]; ky++)
        for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
            int64_t iy = oy * w->stride[0] - w->begin[0] + ky * w->dilation[0],
                    ix = ox * w->stride[1] - w->begin[1] + kx * w->dilation[1];
            *reach += iy < w->in[0] + w->end[0] && ix < w->in[1] + w->end[1];
            if (iy >= 0 && iy < w->in[0] && ix >= 0 && ix < w->in[1])
                tap[n++] = x + (size_t)(iy * w->in[1] + ix) * v->c;
        }
    return n;
}

static void average(const pooled *v, size_t n, const uint8_t *const *tap, size_t count,
                    uint8_t *y)
{
    float mean[ROW / 4];
    const double by = (double)US_MAX(count, (size_t)1);
    const int32_t lo = v->is_signed ? -128 : 0, hi = v->is_signed ? 127 : 255;
    for (size_t j0 = 0; j0 < v->c; j0 += US_LEN(mean)) {
        size_t some = US_MIN(US_LEN(mean), v->c - j0);
        for (size_t j = 0; j < some; j++) {
            double s = 0;
            for (size_t t = 0; t < n; t++)
                s += v->value[tap[t][j0 + j]];
            mean[j] = (float)(s / by);
        }
        v->kernels->quantize(mean, some, v->to.scale, v->to.zero, lo, hi, y + j0);
    }
}

typedef struct pool_job {
    const pooled *v;
    const uint8_t *x;
    uint8_t *y;
} pool_job;

/* Rows of outputs. */
static void pool_rows(void *arg, size_t r0, size_t r1)
{
    const pool_job *j = arg;
    const pooled *v = j->v;
    const uint8_t *tap[TAPS];
    size_t out_h = (size_t)v->w.out[0], out_w = (size_t)v->w.out[1], reach;
    for (size_t r = r0; r < r1; r++) {
        const uint8_t *x = j->x + r / out_h * (size_t)(v->w.in[0] * v->w.in[1]) * v->c;
        for (size_t ox = 0; ox < out_w; ox++) {
            uint8_t *y = j->y + (r * out_w + ox) * v->c;
            size_t n = taps_at(v, x, (int64_t)(r % out_h), (int64_t)ox, tap, &reach);
            if (v->value)
                average(v, n, tap, v->include_pad ? reach : n, y);
            else if (n > 0)
                v->kernels->max(n, tap, v->c, v->flip, y);
            else
                memset(y, 0, v->c); /* as eval has it */
        }
    }
}

static us_err run_pool(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    const pooled *v = state;
    pool_job j = {v, k->in[0]->t.data, k->out[0]->t.data};
    size_t rows = v->n * (size_t)v->w.out[0], each = CHUNK / (v->c * (size_t)v->w.out[1]) + 1;
    us_pool_run(k->c->pool, rows, each, pool_rows, &j);
    return US_OK;
}

/* Input 0 is [n, h, w, c] and the window one that fits. */
static bool set_window(us_eval *k, const us_window_attrs *a, pooled *v)
{
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    if (!us_is_8bit(x) || !y || x->rank != 4 || y->rank != 4 || y->dtype != x->dtype)
        return false;
    if (us_window_set(&v->w, 2, x->dims + 1, a)) return false;
    v->kernels = us_kernels_get(k->c)->int8;
    v->n = (size_t)x->dims[0];
    v->c = (size_t)x->dims[3];
    v->is_signed = x->dtype == US_I8;
    v->flip = v->is_signed ? 0x80 : 0;
    return v->w.kernel[0] <= TAPS && v->w.kernel[1] <= TAPS / v->w.kernel[0] &&
           v->w.out[0] == y->dims[1] && v->w.out[1] == y->dims[2] && y->dims[3] == x->dims[3];
}

static us_err settle_pool(us_eval *k, const pooled *v, us_call_fn *f, const char *name,
                          us_call *call)
{
    double taps = (double)v->w.kernel[0] * (double)v->w.kernel[1];
    US_TRY(us_eval_work(k, taps * (double)us_tensor_count(us_eval_opt_out(k, 0))));
    return us_call_make(k, call, f, v, sizeof *v, name);
}

static const char *const not_last = "channels that are not last, or a window too large";

us_err ms_nhwc_max_pool_bind(us_eval *k, us_call *call)
{
    const us_p_max_pool *p = k->params;
    us_window_attrs a = {p->kernel_shape, p->strides,  p->dilations,
                         p->pads,         p->auto_pad, p->ceil_mode != 0};
    pooled v = {.n = 0};
    call->kernel = not_last;
    if (!set_window(k, &a, &v)) return US_OK;
    return settle_pool(k, &v, run_pool, v.kernels->rows_name, call);
}

us_err ms_qlinear_average_pool_bind(us_eval *k, us_call *call)
{
    const us_p_ms_qlinear_pool *p = k->params;
    us_window_attrs a = {p->pool.kernel_shape, p->pool.strides,  {NULL, 0},
                         p->pool.pads,         p->pool.auto_pad, p->pool.ceil_mode != 0};
    pooled v = {.include_pad = p->pool.count_include_pad != 0};
    void *values;
    call->kernel = not_last;
    if (!p->channels_last || !set_window(k, &a, &v)) return US_OK;
    us_dtype type = us_eval_opt(k, 0)->dtype;
    call->kernel = not_constant;
    if (!read_quant(k, 1, type, &v.from) || !read_quant(k, 3, type, &v.to)) return US_OK;
    US_TRY(us_eval_keep(k, 256 * sizeof(double), &values));
    for (unsigned i = 0; i < 256; i++)
        ((double *)values)[i] = (double)value_of(i, v.is_signed, &v.from);
    v.value = values;
    return settle_pool(k, &v, run_pool, "table of 256", call);
}

/* float(sum) times one factor, as op_ms_qlinear.c has it. */
static us_err run_global(us_eval *k, const void *state, void *scratch)
{
    const pooled *v = state;
    int32_t *sums = scratch;
    const uint8_t *x = k->in[0]->t.data;
    uint8_t *y = k->out[0]->t.data;
    size_t area = (size_t)(v->w.in[0] * v->w.in[1]);
    int64_t zero = (int64_t)v->from.zero + (v->is_signed ? 128 : 0);
    float lo = v->is_signed ? -128 : 0, hi = v->is_signed ? 127 : 255;
    for (size_t i = 0; i < v->n; i++, x += area * v->c) {
        memset(sums, 0, v->c * sizeof *sums);
        if (v->last)
            v->kernels->sum_rows(area, x, v->c, v->c, v->flip, sums);
        else
            v->kernels->row_sums(v->c, area, x, area, v->flip, sums);
        for (size_t j = 0; j < v->c; j++) {
            float q = nearbyintf((float)(sums[j] - zero * (int64_t)area) * v->scale) +
                      (float)v->to.zero;
            *y++ = (uint8_t)(int)nearbyintf(fminf(fmaxf(q, lo), hi));
        }
    }
    return US_OK;
}

us_err ms_qlinear_global_average_pool_bind(us_eval *k, us_call *call)
{
    const us_p_ms_qlinear_pool *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    pooled v = {.last = p->channels_last != 0};
    call->kernel = "an input that is no batch of images";
    if (!us_is_8bit(x) || !y || x->rank != 4 || y->dtype != x->dtype) return US_OK;
    call->kernel = not_constant;
    if (!read_quant(k, 1, x->dtype, &v.from) || !read_quant(k, 3, x->dtype, &v.to))
        return US_OK;
    v.kernels = us_kernels_get(k->c)->int8;
    v.n = (size_t)x->dims[0];
    v.c = (size_t)x->dims[v.last ? 3 : 1];
    int64_t h = x->dims[v.last ? 1 : 2], w = x->dims[v.last ? 2 : 3];
    v.w = (us_window){.n = 2, .in = {h, w}, .kernel = {h, w}};
    v.is_signed = x->dtype == US_I8;
    v.flip = v.is_signed ? 0x80 : 0;
    int64_t area = h * w;
    v.scale = v.from.scale / (v.to.scale * (float)area);
    call->kernel = not_last;
    if (area > INT32_MAX / 255 || !isfinite(v.scale)) return US_OK;
    US_TRY(settle_pool(k, &v, run_global, v.kernels->rows_name, call));
    call->scratch = v.c * sizeof(int32_t);
    return US_OK;
}
