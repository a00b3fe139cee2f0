/* ir/op_pool_bind.c - MaxPool and AveragePool over blocked channels: windows of height, width and 1 lane, bound to kernels.
 *
 * block-layout gives [N, C/B, H, W, B] with kernels [h, w, 1]; a row of one block is one call (kernel/conv.h). What a row or column
 * of a window has inside the image, and by what it counts in an average, is settled when the call is made.
 */
#include <string.h>

#include "base/ctx.h"
#include "base/pool.h"
#include "ir/op_window.h"
#include "kernel/conv.h"

typedef struct bound {
    us_conv_pool_fn *fn;
    const us_conv_span *rows, *cols;
    size_t planes, h, w, oh, ow, block, dh, dw;
} bound;

/* Taps of output position o inside the image, along dimension i. */
static us_conv_span span_of(const us_window *w, int i, int64_t o, bool include_pad)
{
    us_conv_span s = {0};
    int64_t counted = 0;
    for (int64_t k = 0; k < w->kernel[i]; k++) {
        int64_t q = o * w->stride[i] - w->begin[i] + k * w->dilation[i];
        bool inside = q >= 0 && q < w->in[i];
        if (inside && s.n++ == 0) s.x = (size_t)q;
        counted += include_pad ? q < w->in[i] + w->end[i] : inside;
    }
    s.count = (float)counted;
    return s;
}

static us_err spans_of(us_eval *k, const us_window *w, int i, bool include_pad,
                       const us_conv_span **out)
{
    void *p;
    US_TRY(us_eval_keep(k, (size_t)w->out[i] * sizeof(us_conv_span), &p));
    us_conv_span *s = p;
    for (int64_t o = 0; o < w->out[i]; o++)
        s[o] = span_of(w, i, o, include_pad);
    *out = s;
    return US_OK;
}

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
    for (size_t i = r0; i < r1; i++) {
        const us_conv_span *r = &b->rows[i % b->oh];
        us_conv_pool t = {.x = j->x + (i / b->oh * b->h + r->x) * b->w * b->block,
                          .row = b->dh * b->w * b->block,
                          .step = b->dw * b->block,
                          .n_kh = r->n,
                          .count = r->count,
                          .spans = b->cols,
                          .ow = b->ow,
                          .y = j->y + i * b->ow * b->block};
        b->fn(&t);
    }
}

#define PART_FLOATS 40000 /* of the input; worth a thread: some 10 us */

static us_err run_bound(us_eval *k, const void *state, void *scratch)
{
    (void)scratch;
    const bound *b = state;
    job j = {b, k->in[0]->t.data, k->out[0]->t.data};
    size_t rows = b->planes * b->oh, floats = b->planes * b->h * b->w * b->block,
           parts = floats / PART_FLOATS, grain = parts ? rows / parts + 1 : rows;
    us_pool_run(parts < 2 ? NULL : k->c->pool, rows, grain, run_rows, &j);
    return US_OK;
}

/* A window that looks along height and width of blocks, as the kernels have them. */
static bool over_blocks(const us_tensor *x, const us_window *w, size_t block)
{
    return w->n == 3 && (size_t)x->dims[4] == block && w->kernel[2] == 1 && w->stride[2] == 1 &&
           w->begin[2] == 0 && w->end[2] == 0;
}

static us_err bind_pool(us_eval *k, const us_window_attrs *a, bool max, bool include_pad,
                        us_call *call)
{
    const us_conv_kernels *f = us_kernels_get(k->c)->conv;
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    us_window w;
    call->kernel = "not over blocks of channels";
    if (!x || !y || x->dtype != US_F32 || x->rank != 5 || (k->n_out > 1 && k->out[1]))
        return US_OK;
    if (us_window_set(&w, 3, x->dims + 2, a) || !over_blocks(x, &w, f->block)) return US_OK;
    for (int i = 0; i < 3; i++)
        if (w.out[i] != y->dims[2 + i]) return US_OK;
    int64_t taps;
    double planes = (double)(x->dims[0] * x->dims[1] * x->dims[4]);
    if (us_window_work(k, &w, planes, &taps) != US_OK) return US_OK; /* eval says so */
    void *p;
    US_TRY(us_eval_keep(k, sizeof(bound), &p));
    bound *b = p;
    *b = (bound){.fn = max ? f->pool_max : f->pool_mean,
                 .planes = (size_t)(x->dims[0] * x->dims[1]),
                 .h = (size_t)w.in[0],
                 .w = (size_t)w.in[1],
                 .oh = (size_t)w.out[0],
                 .ow = (size_t)w.out[1],
                 .block = f->block,
                 .dh = (size_t)w.dilation[0],
                 .dw = (size_t)w.dilation[1]};
    US_TRY(spans_of(k, &w, 0, include_pad, &b->rows));
    US_TRY(spans_of(k, &w, 1, include_pad, &b->cols));
    *call = (us_call){.run = run_bound, .state = b, .kernel = max ? "pool max" : "pool mean"};
    return US_OK;
}

us_err max_pool_bind(us_eval *k, us_call *call)
{
    const us_p_max_pool *p = k->params;
    us_window_attrs a = {p->kernel_shape, p->strides,  p->dilations,
                         p->pads,         p->auto_pad, p->ceil_mode != 0};
    return bind_pool(k, &a, true, false, call);
}

us_err average_pool_bind(us_eval *k, us_call *call)
{
    const us_p_average_pool *p = k->params;
    us_window_attrs a = {p->kernel_shape, p->strides,  p->dilations,
                         p->pads,         p->auto_pad, p->ceil_mode != 0};
    return bind_pool(k, &a, false, p->count_include_pad != 0, call);
}
