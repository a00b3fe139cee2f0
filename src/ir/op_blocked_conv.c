/* ir/op_blocked_conv.c - usta.Conv: Conv with its result in blocks of channels, a residual, a clamp and a program.
 *
 * Y = program(min(hi, max(lo, Conv(X, W, B) + Z)), E...), where Z lies as Y does. The program, if there is one, is elementwise (ir/ewise.h) and
 * runs over each row of a block while that is in the first-level cache; its further inputs E have Y's shape, or a number per channel.
 * X is blocked or plain. Weights are packed once per plan,
 * geometry is settled once per binding, a run computes (kernel/conv.h). The plain form takes everything apart and runs
 * Conv: it is the meaning.
 */
#include <math.h>

#include "base/ctx.h"
#include "ir/ewise.h"
#include "ir/op_blocked.h"

/* clang-format off */
static const us_param blocked_conv_in[] = {
    {"X", '\0', US_M(F32), 0}, {"W", '\0', US_M(F32), 0}, {"B", '\0', US_M(F32), US_P_OPTIONAL},
    {"Z", '\0', US_M(F32), US_P_OPTIONAL},
    {"E", '\0', US_M(F32), US_P_OPTIONAL | US_P_VARIADIC}, US_PARAM_END};
static const us_param blocked_conv_out[] = {{"Y", '\0', US_M(F32), 0}, US_PARAM_END};
#define P us_p_blocked_conv
static const us_attr_row blocked_conv_attrs[] = {
    US_AS(P, conv.auto_pad, "auto_pad", "NOTSET"), US_AI(P, block, "block", 16), US_AIS(P, code, "code"),
    US_AIS(P, conv.dilations, "dilations"),
    US_AI(P, conv.group, "group", 1), US_AF(P, hi, "hi", INFINITY), US_AIS(P, hint, "hint"),
    US_AFS(P, imm, "imm"),
    US_AIS(P, conv.kernel_shape, "kernel_shape"), US_AF(P, lo, "lo", -INFINITY),
    US_AIS(P, conv.pads, "pads"), US_AI(P, plain, "plain", 0),
    US_AI(P, plain_out, "plain_out", 0), US_AIS(P, conv.strides, "strides"), US_ATTR_END};
#undef P
const us_schema blocked_conv_schemas[] = {
    {1, blocked_conv_in, blocked_conv_out, blocked_conv_attrs, sizeof(us_p_blocked_conv), NULL},
    {0}};
/* clang-format on */

_Static_assert(offsetof(us_p_blocked_conv, conv) == 0, "conv must be first");

static us_blocked said(const us_p_blocked_conv *p)
{
    return (us_blocked){.block = p->block,
                        .group = p->conv.group,
                        .plain = p->plain != 0,
                        .plain_out = p->plain_out != 0,
                        .lo = p->lo,
                        .hi = p->hi};
}

static us_window_attrs window_attrs(const us_p_conv *p, us_ints kernel)
{
    return (us_window_attrs){kernel, p->strides, p->dilations, p->pads, p->auto_pad, false};
}

/* Where space begins in x: behind the channels, of a blocked one before the lanes. */
static int space_at(const us_p_blocked_conv *p, int w_rank)
{
    return p->plain ? 2 : 6 - w_rank;
}

us_err blocked_conv_infer(us_infer *k)
{
    const us_p_blocked_conv *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, 1);
    if (!x || !w) return us_infer_out(k, 0, US_F32, -1, NULL);
    if (w->rank < 3 || w->rank > 4 || x->rank != (p->plain ? w->rank : 5) || p->block < 1)
        return us_infer_fail(k, US_SHAPE, "input and weight do not fit each other");
    int n = w->rank - 2, at = space_at(p, w->rank);
    int64_t in[2], kernel[2];
    for (int i = 0; i < n; i++) {
        if (!us_dim_known(w->dims[2 + i])) return us_infer_out(k, 0, US_F32, -1, NULL);
        kernel[i] = w->dims[2 + i].add;
        in[i] = us_dim_known(x->dims[at + i]) ? x->dims[at + i].add : -1;
    }
    us_window win;
    us_window_attrs a = window_attrs(&p->conv, (us_ints){kernel, (size_t)n});
    const char *bad = us_window_set(&win, n, in, &a);
    if (bad) return us_infer_fail(k, US_SHAPE, bad);
    int first = p->plain_out ? 2 : 4 - n;
    us_dim d[5] = {x->dims[0], w->dims[0], US_DIM(1), US_DIM(1), US_DIM(p->block)};
    if (!p->plain_out && us_dim_known(d[1]))
        d[1] = US_DIM(us_blocks_of(d[1].add, p->block));
    else if (!p->plain_out)
        US_TRY(us_infer_fresh(k, &d[1]));
    for (int i = 0; i < n; i++) {
        if (win.out[i] >= 0)
            d[first + i] = US_DIM(win.out[i]);
        else
            US_TRY(us_infer_fresh(k, &d[first + i]));
    }
    return us_infer_out(k, 0, US_F32, p->plain_out ? w->rank : 5, d);
}

/* --- as it is meant -------------------------------------------------------------------------------------- */

enum { FIRST_E = 4 };

static bool program_of(const us_eval *k, us_ew_prog *prog)
{
    const us_p_blocked_conv *p = k->params;
    size_t n_in = k->n_in > FIRST_E ? k->n_in - FIRST_E + 1 : 1;
    return n_in <= US_EW_IN && us_ew_read(n_in, p->code.n, p->code.p, p->imm.n, p->imm.p, prog);
}

/* Over all of the output, which is its input 0, too. */
static us_err run_program(us_eval *k)
{
    us_ew_prog prog;
    us_ew_walk w;
    us_tensor dense[US_EW_IN], *y = &k->out[0]->t;
    const us_tensor *in[US_EW_IN] = {y};
    const void *data[US_EW_IN] = {y->data};
    void *scratch;
    if (us_tensor_count(y) == 0) return US_OK;
    bool ok = program_of(k, &prog);
    for (size_t i = 1; ok && i < prog.n_in; i++) {
        US_TRY(us_eval_in_dense(k, FIRST_E + i - 1, &dense[i]));
        in[i] = &dense[i];
        data[i] = dense[i].data;
    }
    if (!ok || !us_ew_walk_init(&w, us_kernels_get(k->c)->map, &prog, in, y))
        return us_eval_fail(k, US_SHAPE, "its program does not fit");
    US_TRY(us_eval_scratch(k, w.scratch, &scratch));
    us_ew_walk_run(&w, NULL, data, y->data, scratch);
    return US_OK;
}

us_err blocked_conv_eval(us_eval *k)
{
    const us_p_blocked_conv *p = k->params;
    us_blocked how = said(p);
    US_TRY(us_blocked_eval(k, &how, conv_eval, &p->conv));
    return p->code.n ? run_program(k) : US_OK;
}

/* --- prepared and bound ------------------------------------------------------------------------------------ */

typedef struct ready {
    const us_conv_kernels *f;
    us_conv_choice choice;
    float *packed;
} ready;

/* What the weights say; sizes of the input are not known yet. */
static us_conv_dims dims_of(const us_p_blocked_conv *p, const us_tensor *w)
{
    const us_ints *st = &p->conv.strides, *di = &p->conv.dilations;
    bool two = w->rank == 4;
    us_conv_dims s = {.groups = (size_t)p->conv.group,
                      .m = (size_t)w->dims[0],
                      .c = (size_t)(w->dims[1] * p->conv.group),
                      .kh = two ? (size_t)w->dims[2] : 1,
                      .kw = (size_t)w->dims[w->rank - 1],
                      .sh = two && st->n ? (size_t)st->p[0] : 1,
                      .sw = st->n ? (size_t)st->p[st->n - 1] : 1,
                      .dh = two && di->n ? (size_t)di->p[0] : 1,
                      .dw = di->n ? (size_t)di->p[di->n - 1] : 1,
                      .plain = p->plain != 0};
    if (p->hint.n == 2) {
        bool lies = s.kw == 1 && p->hint.p[1] == 1; /* see lay_down */
        s.oh = (size_t)p->hint.p[lies ? 1 : 0];
        s.ow = (size_t)p->hint.p[lies ? 0 : 1];
    }
    return s;
}

static bool fits(us_ints per_axis, int n)
{
    return per_axis.n == 0 || per_axis.n == (size_t)n;
}

/* Of the candidates those that write the output as this node has it; none: choice->algo is NULL. */
static us_err choose(us_eval *k, const us_conv_kernels *f, const us_conv_dims *s,
                     us_conv_choice *choice)
{
    const us_p_blocked_conv *p = k->params;
    us_conv_choice all[US_CONV_WAYS];
    us_candidate list[US_CONV_WAYS];
    size_t best = 0, n = us_conv_candidates(f, s, false, all, &best), m = 0, m_best = 0, at;
    *choice = (us_conv_choice){0};
    if (n == 0 || (p->plain_out && !us_conv_plain_out(&all[best]))) return US_OK;
    for (size_t i = 0; i < n; i++) {
        if (p->plain_out && !us_conv_plain_out(&all[i])) continue;
        if (i == best) m_best = m;
        list[m] = (us_candidate){.name = all[i].name};
        all[m++] = all[i];
    }
    US_TRY(us_eval_choose(k, m, list, m_best, &at));
    *choice = all[at];
    return US_OK;
}

us_err blocked_conv_prepare(us_eval *k, const void **out)
{
    const us_p_blocked_conv *p = k->params;
    const us_conv_kernels *f = us_kernels_get(k->c)->conv;
    const us_tensor *w, *b;
    us_blocked how = said(p);
    if (!us_blocked_weights(k, &how, &w, &b) || !fits(p->conv.strides, w->rank - 2) ||
        !fits(p->conv.dilations, w->rank - 2))
        return US_OK;
    us_conv_dims s = dims_of(p, w);
    us_conv_choice choice;
    US_TRY(choose(k, f, &s, &choice));
    if (!choice.algo) return US_OK;
    void *mem, *packed;
    bool there;
    US_TRY(us_eval_keep(k, sizeof(ready), &mem));
    US_TRY(us_eval_packed(k, choice.floats * sizeof(float), &packed, &there));
    if (!there) us_conv_pack(f, &s, &choice, w->data, b ? b->data : NULL, packed);
    ready *r = mem;
    *r = (ready){f, choice, packed};
    *out = r;
    return US_OK;
}

/* The program's inputs from 1 on: Y's shape, or a number per channel. */
typedef struct tail {
    us_ew_ready prog;
    size_t blocks, block; /* of an image; numbers in a block */
} tail;

typedef struct bound {
    us_conv cv;
    const float *packed;
    float lo, hi;
    bool has_tail;
    tail tail;
} bound;

typedef struct tail_run {
    const tail *t;
    const float *in[US_EW_IN];
} tail_run;

static void run_tail(const void *arg, size_t block, size_t at, float *y, size_t n)
{
    const tail_run *r = arg;
    const tail *t = r->t;
    const float *in[US_EW_IN] = {y};
    _Alignas(64) char scratch[US_CONV_TAIL_SCRATCH];
    for (size_t i = 1; i < t->prog.prog.n_in; i++)
        in[i] = r->in[i] + (t->prog.repeats[i] ? block % t->blocks * t->block : at);
    us_ew_ready_run(&t->prog, n, y, in, scratch);
}

/* False: its inputs do not lie so, or it is too large. */
static bool set_tail(us_eval *k, const us_tensor *y, tail *t)
{
    const us_p_blocked_conv *p = k->params;
    const us_ew_kernels *map = us_kernels_get(k->c)->map;
    us_ew_prog prog;
    if (!program_of(k, &prog) || us_ew_ready_scratch(&prog) > US_CONV_TAIL_SCRATCH)
        return false;
    us_ew_ready_init(&t->prog, map, &prog);
    t->block = (size_t)p->block;
    t->blocks = (size_t)y->dims[1];
    for (size_t i = 1; i < prog.n_in; i++) {
        const us_tensor *x = us_eval_opt(k, FIRST_E + i - 1);
        int64_t steps[US_MAX_RANK];
        if (!x || x->dtype != US_F32 || !us_tensor_contiguous(x) || x->rank > y->rank ||
            !us_ew_strides(y->rank, y->dims, x->rank, x->dims, steps))
            return false;
        int axis = x->rank - y->rank + 1;
        bool channel = us_tensor_count(x) == (int64_t)(t->blocks * t->block) && axis >= 0 &&
                       x->dims[axis] == y->dims[1] && t->block == map->width;
        t->prog.repeats[i] = us_tensor_count(x) != us_tensor_count(y);
        if (t->prog.repeats[i] && (p->plain_out || !channel)) return false;
    }
    return true;
}

static us_err run_bound(us_eval *k, const void *state, void *scratch)
{
    const bound *b = state;
    us_conv_args a = us_blocked_args(k, b->packed, b->lo, b->hi, scratch);
    tail_run r = {.t = &b->tail};
    if (b->has_tail) {
        for (size_t i = 1; i < b->tail.prog.prog.n_in; i++)
            r.in[i] = k->in[FIRST_E + i - 1]->t.data;
        a.tail = run_tail;
        a.tail_arg = &r;
    }
    us_conv_run(&b->cv, &a, k->c->pool);
    return US_OK;
}

/* A picture one pixel wide, under a kernel as wide, lies in memory as one that is one pixel high, weights too: turned, its rows are long, and
 * register tiles hold neighbours again. */
static void lay_down(us_conv_dims *s)
{
    if (s->w != 1 || s->ow != 1 || s->kw != 1 || s->left != 0 || s->h == 1) return;
    us_conv_dims u = *s;
    s->h = u.w;
    s->w = u.h;
    s->oh = u.ow;
    s->ow = u.oh;
    s->kh = u.kw;
    s->kw = u.kh;
    s->sh = u.sw;
    s->sw = u.sh;
    s->dh = u.dw;
    s->dw = u.dh;
    s->top = u.left;
    s->left = u.top;
}

/* Everything that depends on shapes; false: they do not fit. */
static bool settle(us_eval *k, const us_tensor *x, const us_tensor *w, us_conv_dims *s)
{
    const us_p_blocked_conv *p = k->params;
    us_blocked how = said(p);
    int n = w->rank - 2;
    if (x->rank != (p->plain ? w->rank : 5)) return false;
    us_window win;
    us_window_attrs a = window_attrs(&p->conv, (us_ints){w->dims + 2, (size_t)n});
    if (us_window_set(&win, n, x->dims + space_at(p, w->rank), &a)) return false;
    *s = dims_of(p, w);
    if (!us_blocked_settle(k, &how, &win, s)) return false;
    lay_down(s);
    return true;
}

us_err blocked_conv_bind(us_eval *k, us_call *call)
{
    const us_p_blocked_conv *p = k->params;
    const ready *r = k->prepared;
    const us_tensor *x = us_eval_opt(k, 0), *w = us_eval_opt(k, 1), *y = us_eval_opt_out(k, 0);
    us_conv_dims s;
    call->kernel = "weights are not constant, or no kernel takes their groups";
    if (!r || !x || !w || !y) return US_OK;
    call->kernel = "shapes do not fit";
    if (!settle(k, x, w, &s)) return US_OK;
    void *mem, *taps;
    US_TRY(us_eval_keep(k, sizeof(bound), &mem));
    US_TRY(us_eval_keep(k, s.kh * s.kw * sizeof(ptrdiff_t), &taps));
    bound *b = mem;
    call->kernel = "the padded input is too large";
    us_conv_grid all = {
        .h = s.oh, .w = s.ow, .row_step = 1, .col_step = 1, .plain = p->plain_out != 0};
    if (!us_conv_open_grid(r->f, &s, &r->choice, &all, taps, &b->cv)) return US_OK;
    call->kernel = "a program that does not go along";
    b->has_tail = p->code.n > 0;
    if (b->has_tail && !set_tail(k, y, &b->tail)) return US_OK;
    b->packed = r->packed;
    b->lo = p->lo;
    b->hi = p->hi;
    US_TRY(us_eval_work(k, b->cv.work / 2)); /* products, as others count */
    *call = (us_call){.run = run_bound,
                      .state = b,
                      .scratch = b->cv.scratch,
                      .kernel = b->cv.name,
                      .macs = b->cv.work / 2};
    return US_OK;
}
