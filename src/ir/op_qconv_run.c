/* ir/op_qconv_run.c - QLinearConv fast: sums in 32 bits by the kernel table, rounded while they are in the cache.
 *
 * A unit of work is a block of output positions of one group of one image. Its columns are centred and packed into panels straight from the
 * 8-bit input, multiplied by the weights some channels at a time, and requantised. With one input channel per group (depthwise) there
 * is nothing to share between rows of weights: each input row is centred once, its padding written out and its columns sorted by
 * their remainder modulo the stride, so that each tap reads consecutive numbers. Sums are exact: blocks and threads change no byte.
 */
#include "ir/op_qconv.h"

#include <string.h>

#include "base/pool.h"
#include "kernel/kernels.h"

enum {
    PARTS = 8,          /* units are dealt in so many portions, each with its scratch */
    PANEL = 128 * 1024, /* numbers of a block's packed columns, about */
    BLOCK = 512,        /* positions of a block at most */
    ROWS = 32,          /* output channels at a time */
    TAPS = 64,          /* of a depthwise kernel; more go the general way */
    STRIDE = 4,
    SLACK = 32, /* numbers that kernels may read or write past a row's end */
};

typedef struct job {
    const us_qconv *v;
    const us_qconv_end *end;
    const us_kernels *kernels;
    const uint8_t *x;
    uint8_t *y;
    const int16_t *w; /* rows of k numbers */
    int64_t k;        /* v->rows, rounded up to even */
    bool is_signed;
    int zx;
    int64_t block, n_blocks; /* of one group */
    size_t grain;
    char *scratch; /* per portion */
    size_t scratch_bytes;
    int64_t phase, in_row; /* depthwise: numbers of one remainder, of one input row */
} job;

int64_t us_qconv_max_rows(int64_t bias)
{
    return bias > INT32_MAX ? 0 : (INT32_MAX - bias) / (255 * 255);
}

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

static void put(const job *b, const int32_t *sums, int64_t channel, int64_t n, uint8_t *y)
{
    const us_qconv_end *e = b->end;
    us_ref_requant8(sums, n, e->bias ? e->bias[channel] : 0,
                    e->scale[e->n_scale == 1 ? 0 : channel], e->zero, e->type == US_I8, y);
}

/* --- general ------------------------------------------------------------------------------------------------------ */

/* n numbers of one image row that starts at x (NULL: in the padding), from column `at` on in steps of `stride`. */
static void fetch_run(const job *b, const uint8_t *x, int64_t at, int64_t stride, int64_t width,
                      int64_t n, int16_t *to)
{
    int64_t lead = at < 0 ? US_MIN((-at + stride - 1) / stride, n) : 0;
    int64_t end = at >= width ? 0 : US_MIN((width - 1 - at) / stride + 1, n);
    if (!x || end <= lead) {
        memset(to, 0, (size_t)n * sizeof *to);
        return;
    }
    memset(to, 0, (size_t)lead * sizeof *to);
    us_ref_centre8(x + at + lead * stride, b->is_signed, b->zx, end - lead, stride, to + lead);
    memset(to + end, 0, (size_t)(n - end) * sizeof *to);
}

/* Row `row` (channel, tap) of the matrix of columns: positions p0 .. p0 + n - 1. x: the group's first channel. */
static void fetch(const job *b, const uint8_t *x, int64_t row, int64_t p0, int64_t n,
                  int16_t *to)
{
    const us_window *w = &b->v->d.win;
    int64_t kp[US_MAX_RANK], op[US_MAX_RANK];
    int last = w->n - 1;
    x += row / b->v->d.taps * b->v->d.in_size;
    if (b->v->direct) {
        us_ref_centre8(x + p0, b->is_signed, b->zx, n, 1, to);
        return;
    }
    us_window_at(w->n, w->kernel, row % b->v->d.taps, kp);
    us_window_at(w->n, w->out, p0, op);
    while (n > 0) {
        int64_t run = US_MIN(n, w->out[last] - op[last]), at = 0;
        bool inside = true;
        for (int i = 0; i < last; i++) {
            int64_t q = op[i] * w->stride[i] - w->begin[i] + kp[i] * w->dilation[i];
            inside = inside && q >= 0 && q < w->in[i];
            at = at * w->in[i] + (inside ? q : 0);
        }
        fetch_run(b, inside ? x + at * w->in[last] : NULL,
                  op[last] * w->stride[last] - w->begin[last] + kp[last] * w->dilation[last],
                  w->stride[last], w->in[last], run, to);
        to += run;
        n -= run;
        op[last] += run - 1;
        us_window_next(w->n, w->out, op);
    }
}

static size_t general_scratch(const job *b)
{
    int64_t numbers = (b->k + 2) * b->block;
    return (size_t)numbers * sizeof(int16_t) + (size_t)(ROWS * b->block) * sizeof(int32_t);
}

static void general_unit(const job *b, int64_t unit, char *scratch)
{
    const us_qconv *v = b->v;
    int64_t image = unit / b->n_blocks,
            p0 = unit % b->n_blocks * b->block, /* image and group */
        n = US_MIN(b->block, v->d.out_size - p0), group = image % v->d.groups;
    const uint8_t *x = b->x + image * v->d.cg * v->d.in_size;
    int32_t *sums = (int32_t *)(void *)scratch;
    int16_t *panels = (int16_t *)(void *)(sums + ROWS * b->block),
            *r0 = panels + b->k * b->block, *r1 = r0 + b->block;
    memset(r0, 0, 2 * (size_t)b->block * sizeof *r0);
    for (int64_t p = 0; p < b->k; p += 2) {
        fetch(b, x, p, p0, n, r0);
        if (p + 1 < v->rows)
            fetch(b, x, p + 1, p0, n, r1);
        else
            memset(r1, 0, (size_t)n * sizeof *r1);
        us_ref_i16_pack((size_t)n, r0, r1, (size_t)b->k, (size_t)p, panels);
    }
    for (int64_t m = 0; m < v->d.mg; m += ROWS) {
        int64_t channel = group * v->d.mg + m, rows = US_MIN((int64_t)ROWS, v->d.mg - m);
        us_i16_gemm_args g = {.m = (size_t)rows,
                              .n = (size_t)n,
                              .k = (size_t)b->k,
                              .a = b->w + channel * b->k,
                              .lda = (size_t)b->k,
                              .b = panels,
                              .c = sums,
                              .ldc = (size_t)b->block};
        b->kernels->i16_gemm(&g);
        for (int64_t i = 0; i < rows; i++)
            put(b, sums + i * b->block, channel + i, n,
                b->y + (image * v->d.mg + m + i) * v->d.out_size + p0);
    }
}

/* --- depthwise ------------------------------------------------------------------------------------------------------ */

static bool is_depthwise(const us_qconv *v)
{
    const us_window *w = &v->d.win;
    return v->d.cg == 1 && w->n == 2 && v->d.taps <= TAPS && w->stride[1] <= STRIDE &&
           (w->kernel[1] - 1) * w->dilation[1] <= w->in[1] + TAPS;
}

static size_t depthwise_scratch(const job *b)
{
    const us_window *w = &b->v->d.win;
    return (size_t)(round_up(w->out[1], 16) + SLACK) * sizeof(int32_t) +
           (size_t)((w->in[0] + 1) * b->in_row) * sizeof(int16_t);
}

/* Input columns sorted by remainder; column -begin is the first of remainder 0. */
static void sort_row(const job *b, const uint8_t *x, int16_t *to)
{
    const us_window *w = &b->v->d.win;
    int64_t s = w->stride[1], begin = w->begin[1];
    for (int64_t f = 0; f < s; f++)
        fetch_run(b, x, f - begin, s, w->in[1], b->phase, to + f * b->phase);
}

/* One row of outputs of a channel. */
static void depthwise_row(const job *b, const int16_t *in, const int16_t *w16, int64_t oy,
                          int32_t *sums)
{
    const us_window *w = &b->v->d.win;
    const int16_t *rows[TAPS];
    int16_t factors[TAPS];
    size_t n = 0;
    for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
        int64_t iy = oy * w->stride[0] - w->begin[0] + ky * w->dilation[0];
        if (iy < 0 || iy >= w->in[0]) continue;
        for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
            int64_t q = kx * w->dilation[1];
            rows[n] = in + iy * b->in_row + q % w->stride[1] * b->phase + q / w->stride[1];
            factors[n++] = w16[ky * w->kernel[1] + kx];
        }
    }
    b->kernels->i16_rows(n, factors, rows, (size_t)w->out[1], sums);
}

static void depthwise_unit(const job *b, int64_t unit, char *scratch)
{
    const us_qconv *v = b->v;
    const us_window *w = &v->d.win;
    int32_t *sums = (int32_t *)(void *)scratch;
    int16_t *in = (int16_t *)(void *)(sums + round_up(w->out[1], 16) + SLACK);
    const uint8_t *x = b->x + unit * v->d.in_size;
    for (int64_t iy = 0; iy < w->in[0]; iy++)
        sort_row(b, x + iy * w->in[1], in + iy * b->in_row);
    for (int64_t m = 0; m < v->d.mg; m++) {
        int64_t channel = unit % v->d.groups * v->d.mg + m;
        uint8_t *y = b->y + (unit * v->d.mg + m) * v->d.out_size;
        for (int64_t oy = 0; oy < w->out[0]; oy++) {
            depthwise_row(b, in, b->w + channel * b->k, oy, sums);
            put(b, sums, channel, w->out[1], y + oy * w->out[1]);
        }
    }
}

/* --- dealing out -------------------------------------------------------------------------------------------------- */

static void general_units(void *arg, size_t i0, size_t i1)
{
    const job *b = arg;
    for (size_t i = i0; i < i1; i++)
        general_unit(b, (int64_t)i, b->scratch + i0 / b->grain * b->scratch_bytes);
}

static void depthwise_units(void *arg, size_t i0, size_t i1)
{
    const job *b = arg;
    for (size_t i = i0; i < i1; i++)
        depthwise_unit(b, (int64_t)i, b->scratch + i0 / b->grain * b->scratch_bytes);
}

/* Weights in rows of an even number. */
static us_err even_weights(us_eval *k, const us_qconv *v, int64_t even, const int16_t **out)
{
    void *to;
    *out = v->w.data;
    if (even == v->rows) return US_OK;
    US_TRY(us_eval_scratch(k, (size_t)(v->d.m * even) * sizeof(int16_t), &to));
    for (int64_t i = 0; i < v->d.m; i++) {
        int16_t *row = (int16_t *)to + i * even;
        memcpy(row, (const int16_t *)v->w.data + i * v->rows, (size_t)v->rows * sizeof *row);
        row[v->rows] = 0;
    }
    *out = to;
    return US_OK;
}

us_err us_qconv_run(us_eval *k, const us_qconv *v, const us_tensor *x, int zx,
                    const us_qconv_end *end, us_tensor *y)
{
    bool depthwise = is_depthwise(v);
    void *scratch;
    job b = {.v = v,
             .end = end,
             .kernels = us_kernels_get(k->c),
             .x = x->data,
             .y = y->data,
             .k = round_up(v->rows, 2),
             .is_signed = x->dtype == US_I8,
             .zx = zx};
    US_TRY(even_weights(k, v, b.k, &b.w));
    b.block = US_MAX(US_MIN(PANEL / b.k / US_I16_NR * US_I16_NR, BLOCK), (int64_t)US_I16_NR);
    b.block = US_MIN(b.block, round_up(v->d.out_size, US_I16_NR));
    b.n_blocks = depthwise ? 1 : (v->d.out_size + b.block - 1) / b.block;
    if (depthwise) {
        b.phase = v->d.win.out[1] + (v->d.win.kernel[1] - 1) * v->d.win.dilation[1] + SLACK;
        b.in_row = b.phase * v->d.win.stride[1];
    }
    size_t n_units = (size_t)(v->d.n * v->d.groups * b.n_blocks);
    b.grain = (n_units + PARTS - 1) / PARTS;
    b.scratch_bytes = (depthwise ? depthwise_scratch(&b) : general_scratch(&b)) / 64 * 64 + 64;
    US_TRY(us_eval_scratch(k, PARTS * b.scratch_bytes, &scratch));
    b.scratch = scratch;
    us_pool_run(k->c->pool, n_units, b.grain, depthwise ? depthwise_units : general_units, &b);
    return US_OK;
}
