/* ir/op_qconv_bind.c - com.microsoft.QLinearConv with channels last, bound: windows of an image are rows of a matrix.
 *
 * An output position's window is a row of K numbers (by kernel rows, columns, channels): copied into a block of rows that the product
 * reads while it is in the cache, the padding filled with the zero point. A 1x1 window without stride needs no copy. Groups of few
 * outputs are joined while their columns fit one vector: a joined window has the channels of all, and a column has weights equal to its
 * zero point, which count nothing, where they are not its own. The products of a vector cost the same, windows are fetched
 * once. With one channel in and one out per group (depthwise) there is no product: each output row is summed by the kernel for that, the border
 * positions one by one with their missing taps on a row of zero points.
 */
#include "ir/op_util.h"
#include "ir/op_window.h"
#include "ir/params_ms.h"
#include "ir/qproduct.h"

#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"

enum { TAPS = 64, ROWS_OF_PART = 1 << 16 };

/* What prepare makes: a product's weights, or a depthwise kernel's. */
typedef struct ready {
    const us_qpacked *product;
    int64_t joined; /* groups in one of the product's */
    const int8_t *dw;
    const int32_t *sums; /* of a channel's taps, depthwise */
    const us_int8_kernels *kernels;
} ready;

static const us_tensor *held(us_eval *k, size_t i)
{
    const us_tensor *t = us_eval_opt(k, i);
    return t && t->data && us_tensor_contiguous(t) && us_tensor_count(t) > 0 ? t : NULL;
}

static bool is_depthwise(const us_tensor *w, int64_t groups)
{
    return groups > 1 && w->dims[1] == 1 && w->dims[0] == groups &&
           us_dims_product(w->dims, 2, w->rank) <= TAPS;
}

static int number_at(const us_tensor *t, size_t i)
{
    return t->dtype == US_U8 ? ((const uint8_t *)t->data)[i] : ((const int8_t *)t->data)[i];
}

/* Weights less their zero points, as long as those are 8 bits again. */
static us_err prepare_depthwise(us_eval *k, const us_tensor *w, const us_tensor *zero, ready *r)
{
    const us_int8_layout *l = &r->kernels->layout;
    size_t c = (size_t)w->dims[0], taps = (size_t)us_dims_product(w->dims, 2, w->rank),
           block = us_int8_dw_block(l), wide = (c + block - 1) / block * block,
           n_zero = (size_t)us_tensor_count(zero);
    void *packed, *sums, *centred;
    if (n_zero != 1 && n_zero != c) return US_OK;
    US_TRY(us_eval_keep(k, wide * ((taps + 3) / 4 * 4), &packed));
    US_TRY(us_eval_keep(k, c * sizeof(int32_t), &sums));
    US_TRY(us_eval_scratch(k, c * taps, &centred));
    for (size_t i = 0; i < c * taps; i++) {
        int v = number_at(w, i) - number_at(zero, n_zero == 1 ? 0 : i / taps);
        if (v < -128 || v > 127) return US_OK;
        ((int8_t *)centred)[i] = (int8_t)v;
        ((int32_t *)sums)[i / taps] += v;
    }
    us_int8_dw_pack(l, c, taps, centred, false, packed);
    r->dw = packed;
    r->sums = sums;
    return US_OK;
}

/* How many groups are joined: as many as share them out evenly and fit a vector of columns. */
static int64_t joined_groups(const us_int8_layout *l, int64_t groups, int64_t mg)
{
    int64_t n = US_MIN(groups, US_MAX((int64_t)l->vw / mg, 1));
    while (groups % n)
        n--;
    return n;
}

/* [M, C, taps] as [M, taps, n * C]: those of column i of a joined group lie at its own group's channels, among its zero points. */
static void turn_joined(const us_tensor *w, const us_tensor *zero, int64_t n, int64_t mg,
                        uint8_t *to)
{
    int64_t c = w->dims[1], taps = us_dims_product(w->dims, 2, w->rank);
    bool one = us_tensor_count(zero) == 1;
    const uint8_t *from = w->data, *z = zero->data;
    for (int64_t i = 0; i < w->dims[0]; i++, from += c * taps, to += n * c * taps) {
        memset(to, z[one ? 0 : i], (size_t)(n * c * taps));
        uint8_t *own = to + i / mg % n * c;
        for (int64_t t = 0; t < taps; t++)
            for (int64_t j = 0; j < c; j++)
                own[t * n * c + j] = from[j * taps + t];
    }
}

typedef struct joined {
    const us_tensor *w, *zero;
    int64_t n, mg;
} joined;

static us_err make_joined(us_eval *k, const void *arg, const void **b)
{
    const joined *j = arg;
    void *turned;
    US_TRY(us_eval_scratch(k, (size_t)j->n * us_tensor_bytes(j->w), &turned));
    turn_joined(j->w, j->zero, j->n, j->mg, turned);
    *b = turned;
    return US_OK;
}

us_err ms_qlinear_conv_prepare(us_eval *k, const void **out)
{
    const us_p_ms_qlinear_conv *p = k->params;
    const us_tensor *w = held(k, 3), *zero = held(k, 5);
    void *mem;
    if (!p->channels_last || !us_is_8bit(w) || !zero || zero->dtype != w->dtype ||
        w->rank < 3 || p->conv.group < 1 || w->dims[0] % p->conv.group)
        return US_OK;
    US_TRY(us_eval_keep(k, sizeof(ready), &mem));
    ready *r = mem;
    r->kernels = us_kernels_get(k->c)->int8;
    *out = r;
    if (is_depthwise(w, p->conv.group)) return prepare_depthwise(k, w, zero, r);
    int64_t n_zero = us_tensor_count(zero), mg = w->dims[0] / p->conv.group,
            n = joined_groups(&r->kernels->layout, p->conv.group, mg);
    if (n_zero != 1 && n_zero != w->dims[0]) return US_OK;
    r->joined = n;
    joined j = {w, zero, n, mg};
    us_int8_weights b = {.n = (size_t)(mg * n),
                         .k = (size_t)(n * us_dims_product(w->dims, 1, w->rank)),
                         .trans = true,
                         .flip = w->dtype == US_U8};
    b.ldb = b.k;
    us_qsource from = {.w = b,
                       .n_groups = (size_t)(p->conv.group / n),
                       .step = b.n * b.k,
                       .make = make_joined,
                       .arg = &j};
    return us_qpacked_new(k, &from, zero, &r->product);
}

/* --- windows as rows ------------------------------------------------------------------------------------ */

typedef struct windows {
    us_conv_shape d;
    const us_int8_kernels *kernels;
    bool flip;
    int in_zero;
    us_window two; /* the same with two spatial dimensions, where there is at most one more */
} windows;

/* The byte that padding holds: the zero point, as x has it. */
static uint8_t padding(const us_eval *k, int in_zero)
{
    return in_zero < 0 || !k->in[in_zero] ? 0 : *(const uint8_t *)k->in[in_zero]->t.data;
}

/* memcpy of few bytes costs more than the bytes. */
static inline void copy(uint8_t *to, const uint8_t *from, size_t n)
{
    if (n > 128) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        for (size_t i = 0; i + 16 < n; i += 16)
            memcpy(to + i, from + i, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else if (n >= 4) {
        memcpy(to, from, 4);
        memcpy(to + n - 4, from + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    }
}

/* One kernel row of the window whose first column is x0, over a border of the image row at `from`. */
static void fetch_border(const windows *v, const uint8_t *from, int64_t x0, uint8_t pad,
                         uint8_t *to)
{
    const us_window *w = &v->two;
    const size_t c = (size_t)v->d.c, row = (size_t)w->kernel[1] * c;
    int64_t lo = US_MAX(x0, 0), hi = US_MIN(x0 + w->kernel[1], w->in[1]);
    memset(to, pad, row);
    if (lo < hi)
        memcpy(to + (size_t)(lo - x0) * c, from + (size_t)lo * c, (size_t)(hi - lo) * c);
}

/* One kernel row of the windows of n output positions from column ox on; from: the image row, NULL: all padding. */
static void fetch_run(const windows *v, const uint8_t *from, int64_t ox, size_t n, uint8_t pad,
                      uint8_t *to, size_t lda)
{
    const us_window *w = &v->two;
    const size_t c = (size_t)v->d.c, row = (size_t)w->kernel[1] * c;
    const int64_t step = w->stride[1], last = w->in[1] - w->kernel[1];
    int64_t x0 = ox * step - w->begin[1];
    size_t i = 0;
    for (; !from && i < n; i++, to += lda)
        memset(to, pad, row);
    for (; i < n && x0 < 0; i++, to += lda, x0 += step)
        fetch_border(v, from, x0, pad, to);
    for (; i < n && x0 <= last; i++, to += lda, x0 += step)
        copy(to, from + (size_t)x0 * c, row);
    for (; i < n; i++, to += lda, x0 += step)
        fetch_border(v, from, x0, pad, to);
}

/* At most two spatial dimensions, one group, kernel columns side by side: a kernel row is a run of bytes. */
static void fetch_flat(const void *state, us_eval *k, size_t group, size_t i0, size_t rows,
                       uint8_t *room, size_t lda)
{
    (void)group;
    const windows *v = state;
    const us_window *w = &v->two;
    const uint8_t pad = padding(k, v->in_zero), *x = k->in[0]->t.data;
    const size_t c = (size_t)v->d.c, row = (size_t)w->kernel[1] * c;
    int64_t at = (int64_t)i0;
    for (size_t done = 0; done < rows;) {
        int64_t ox = at % w->out[1], oy = at / w->out[1] % w->out[0],
                image = at / v->d.out_size;
        size_t n = US_MIN(rows - done, (size_t)(w->out[1] - ox));
        const uint8_t *plane = x + (size_t)(image * v->d.in_size) * c;
        for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
            int64_t iy = oy * w->stride[0] - w->begin[0] + ky * w->dilation[0];
            bool in = iy >= 0 && iy < w->in[0];
            fetch_run(v, in ? plane + (size_t)(iy * w->in[1]) * c : NULL, ox, n, pad,
                      room + done * lda + (size_t)ky * row, lda);
        }
        at += (int64_t)n;
        done += n;
    }
    if (v->flip) v->kernels->flip(room, rows * lda, 0x80, room);
}

/* At most two spatial dimensions, the channels of one group: tap after tap, along the output positions of a row. */
static void fetch_group(const void *state, us_eval *k, size_t group, size_t i0, size_t rows,
                        uint8_t *room, size_t lda)
{
    const windows *v = state;
    const us_window *w = &v->two;
    const uint8_t pad = padding(k, v->in_zero);
    const size_t cg = (size_t)v->d.cg, c = (size_t)v->d.c;
    const uint8_t *x = (const uint8_t *)k->in[0]->t.data + group * cg;
    int64_t at = (int64_t)i0;
    for (size_t done = 0, n; done < rows; done += n, at += (int64_t)n) {
        int64_t ox = at % w->out[1], oy = at / w->out[1] % w->out[0],
                image = at / v->d.out_size;
        n = US_MIN(rows - done, (size_t)(w->out[1] - ox));
        for (int64_t t = 0; t < v->d.taps; t++) {
            int64_t iy = oy * w->stride[0] - w->begin[0] + t / w->kernel[1] * w->dilation[0],
                    ix = ox * w->stride[1] - w->begin[1] + t % w->kernel[1] * w->dilation[1];
            bool in = iy >= 0 && iy < w->in[0];
            const uint8_t *row = x;
            uint8_t *to = room + done * lda + (size_t)t * cg;
            if (in) row += (size_t)(image * v->d.in_size + iy * w->in[1]) * c;
            for (size_t i = 0; i < n; i++, to += lda, ix += w->stride[1])
                if (in && ix >= 0 && ix < w->in[1])
                    copy(to, row + (size_t)ix * c, cg);
                else
                    memset(to, pad, cg);
        }
    }
    if (v->flip) v->kernels->flip(room, rows * lda, 0x80, room);
}

/* Any window, tap by tap. */
static void fetch_any(const void *state, us_eval *k, size_t group, size_t i0, size_t rows,
                      uint8_t *room, size_t lda)
{
    const windows *v = state;
    const us_conv_shape *d = &v->d;
    const size_t cg = (size_t)d->cg, c = (size_t)d->c;
    const uint8_t *x = (const uint8_t *)k->in[0]->t.data + group * cg;
    const uint8_t pad = padding(k, v->in_zero);
    for (size_t i = 0; i < rows; i++) {
        int64_t at = (int64_t)(i0 + i), op[US_MAX_RANK], kp[US_MAX_RANK] = {0};
        const uint8_t *image = x + (size_t)(at / d->out_size * d->in_size) * c;
        uint8_t *to = room + i * lda;
        us_window_at(d->win.n, d->win.out, at % d->out_size, op);
        for (int64_t t = 0; t < d->taps; t++, to += cg) {
            int64_t from = us_window_source(&d->win, kp, op);
            if (from < 0)
                memset(to, pad, cg);
            else
                memcpy(to, image + (size_t)from * c, cg);
            us_window_next(d->win.n, d->win.kernel, kp);
        }
    }
    if (v->flip) v->kernels->flip(room, rows * lda, 0x80, room);
}

/* One spatial dimension as two. */
static us_window as_two(const us_window *w)
{
    us_window two = *w;
    if (w->n != 1) return two;
    two = (us_window){.n = 2, .in = {1, w->in[0]}, .kernel = {1, w->kernel[0]}};
    two.stride[0] = two.dilation[0] = two.out[0] = 1;
    two.stride[1] = w->stride[0];
    two.dilation[1] = w->dilation[0];
    two.begin[1] = w->begin[0];
    two.end[1] = w->end[0];
    two.out[1] = w->out[0];
    return two;
}

/* --- depthwise ------------------------------------------------------------------------------------------ */

typedef struct depthwise {
    us_conv_shape d; /* two spatial dimensions */
    const ready *r;
    us_int8_end end;
    uint8_t flip;
    int64_t rows_each; /* output rows of a part */
    size_t n_parts;
    const uint8_t *zeros; /* a row of zero points */
} depthwise;

/* Output columns of a row for which tap column kx stays inside: [*lo, *hi). */
static void inside(const us_window *w, int64_t *lo, int64_t *hi)
{
    int64_t span = (w->kernel[1] - 1) * w->dilation[1], s = w->stride[1];
    *lo = US_MIN((w->begin[1] + s - 1) / s, w->out[1]);
    int64_t most = w->in[1] - 1 - span + w->begin[1];
    *hi = most < 0 ? 0 : US_MIN(most / s + 1, w->out[1]);
    *lo = US_MAX(*lo, 0);
    *hi = US_MAX(*hi, *lo);
}

/* Taps of output (oy, ox), for n outputs from there on whose taps stay inside, or one on the border. */
static void sum_some(const depthwise *v, const uint8_t *x, int64_t oy, int64_t ox, int64_t n,
                     uint8_t *y)
{
    const us_window *w = &v->d.win;
    const uint8_t *tap[TAPS];
    size_t step[TAPS], t = 0, c = (size_t)v->d.c;
    for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
        int64_t iy = oy * w->stride[0] - w->begin[0] + ky * w->dilation[0];
        for (int64_t kx = 0; kx < w->kernel[1]; kx++, t++) {
            int64_t ix = ox * w->stride[1] - w->begin[1] + kx * w->dilation[1];
            bool in = iy >= 0 && iy < w->in[0] && ix >= 0 && ix < w->in[1];
            tap[t] = in ? x + (size_t)(iy * w->in[1] + ix) * c : v->zeros;
            step[t] = in ? (size_t)w->stride[1] * c : 0;
        }
    }
    us_int8_dw_args a = {.n = (size_t)n,
                         .c = c,
                         .taps = t,
                         .tap = tap,
                         .step = step,
                         .flip = v->flip,
                         .w = v->r->dw,
                         .end = &v->end,
                         .y = y + (size_t)(oy * w->out[1] + ox) * c,
                         .ldy = c};
    v->r->kernels->dw(&a);
}

typedef struct dw_job {
    const depthwise *v;
    const uint8_t *x;
    uint8_t *y;
} dw_job;

static void dw_rows(void *arg, size_t p0, size_t p1)
{
    const dw_job *j = arg;
    const depthwise *v = j->v;
    const us_window *w = &v->d.win;
    int64_t lo, hi, n_rows = v->d.n * w->out[0];
    inside(w, &lo, &hi);
    for (int64_t r = (int64_t)p0 * v->rows_each; r < US_MIN((int64_t)p1 * v->rows_each, n_rows);
         r++) {
        int64_t image = r / w->out[0], oy = r % w->out[0];
        const uint8_t *x = j->x + image * v->d.in_size * v->d.c;
        uint8_t *y = j->y + image * v->d.out_size * v->d.c;
        for (int64_t ox = 0; ox < lo; ox++)
            sum_some(v, x, oy, ox, 1, y);
        if (hi > lo) sum_some(v, x, oy, lo, hi - lo, y);
        for (int64_t ox = hi; ox < w->out[1]; ox++)
            sum_some(v, x, oy, ox, 1, y);
    }
}

static us_err run_depthwise(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    const depthwise *v = state;
    dw_job j = {v, k->in[0]->t.data, k->out[0]->t.data};
    us_pool_run(k->c->pool, v->n_parts, 1, dw_rows, &j);
    return US_OK;
}

/* --- binding -------------------------------------------------------------------------------------------- */

/* x, channels first in dims only: for the geometry. */
static us_err shape_of(us_eval *k, us_conv_shape *d, bool *good)
{
    const us_tensor *x = us_eval_opt(k, 0), *w = us_eval_opt(k, 3);
    us_tensor first = *x;
    first.dims[1] = x->dims[x->rank - 1];
    for (int i = 2; i < x->rank; i++)
        first.dims[i] = x->dims[i - 1];
    us_err e = us_conv_shape_of(k, &first, w, d);
    *good = e == US_OK;
    return e == US_NOMEM ? e : US_OK;
}

static us_err bind_depthwise(us_eval *k, const ready *r, const us_conv_shape *d,
                             us_qproduct *terms, us_call *call)
{
    void *mem, *zeros;
    US_TRY(us_eval_keep(k, sizeof(depthwise), &mem));
    US_TRY(us_eval_keep(k, (size_t)d->c, &zeros));
    depthwise *v = mem;
    *v = (depthwise){.d = *d, .r = r, .zeros = zeros};
    v->d.win = as_two(&d->win);
    v->flip = us_eval_opt(k, 0)->dtype == US_I8 ? 0x80 : 0;
    memset(zeros, padding(k, terms->terms.a_zero), (size_t)d->c);
    US_TRY(us_qproduct_dw_end(k, &terms->terms, r->kernels, (size_t)d->c, r->sums, &v->end,
                              &call->kernel));
    if (call->kernel) return US_OK;
    const us_window *two = &v->d.win;
    int64_t rows = d->n * two->out[0], each = ROWS_OF_PART / (d->c * two->out[1]) + 1;
    v->rows_each = each;
    v->n_parts = (size_t)((rows + each - 1) / each);
    *call = (us_call){.run = run_depthwise, .state = v, .kernel = r->kernels->dw_name};
    call->macs = (double)(d->n * d->c) * (double)(d->out_size * d->taps);
    call->bytes = true;
    return US_OK;
}

us_err ms_qlinear_conv_bind(us_eval *k, us_call *call)
{
    const us_p_ms_qlinear_conv *c = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *w = us_eval_opt(k, 3);
    const ready *r = k->prepared;
    us_conv_shape d;
    bool good;
    if (!c->channels_last || !r || !us_is_8bit(x) || !us_eval_opt_out(k, 0) ||
        x->rank != w->rank) {
        call->kernel = "channels are not last, or weights not constant";
        return US_OK;
    }
    US_TRY(shape_of(k, &d, &good));
    if (!good) return US_OK;
    us_qproduct p = {.terms = us_qterms_none, .b = 3, .b_zero = 5};
    p.terms.a_scale = 1;
    p.terms.a_zero = 2;
    p.terms.b_scale = 4;
    p.terms.y_scale = 6;
    p.terms.y_zero = 7;
    p.terms.bias = 8;
    if (r->dw && d.win.n <= 2) return bind_depthwise(k, r, &d, &p, call);
    if (!r->product) {
        call->kernel =
            "weights of single channels that less their zero point take more than 8 bits";
        return US_OK;
    }
    p.w = r->product;
    d.groups /= r->joined;
    d.cg *= r->joined;
    d.mg *= r->joined;
    p.m = (size_t)(d.n * d.out_size);
    p.n = (size_t)d.mg;
    p.k = (size_t)(d.cg * d.taps);
    if (!us_window_is_point(&d.win) || d.groups > 1) {
        void *mem;
        US_TRY(us_eval_keep(k, sizeof(windows), &mem));
        windows *v = mem;
        *v = (windows){.d = d,
                       .kernels = r->kernels,
                       .flip = x->dtype == US_I8,
                       .in_zero = p.terms.a_zero};
        v->two = as_two(&d.win);
        bool two = v->two.n == 2, flat = two && v->two.dilation[1] == 1 && d.groups == 1;
        p.fetch = flat ? fetch_flat : two ? fetch_group : fetch_any;
        p.fetch_state = v;
    }
    US_TRY(us_qproduct_bind(k, &p, call));
    call->macs /= (double)r->joined; /* the others are zeros */
    return US_OK;
}
