/* ir/op_blocked_deconv.c - usta.ConvTranspose: ConvTranspose on channels in blocks, with a residual and a clamp.
 *
 * Y = min(hi, max(lo, ConvTranspose(X, W, B) + Z)); X, Y and Z lie in blocks, one or two dimensions of space. The kernels take it phase
 * by phase (kernel/conv.h), weights packed once per plan. The plain form takes everything apart and runs ConvTranspose.
 */
#include <math.h>
#include <string.h>

#include "base/ctx.h"
#include "ir/op_blocked.h"

/* clang-format off */
static const us_param blocked_deconv_in[] = {
    {"X", '\0', US_M(F32), 0}, {"W", '\0', US_M(F32), 0}, {"B", '\0', US_M(F32), US_P_OPTIONAL},
    {"Z", '\0', US_M(F32), US_P_OPTIONAL}, US_PARAM_END};
static const us_param blocked_deconv_out[] = {{"Y", '\0', US_M(F32), 0}, US_PARAM_END};
#define P us_p_blocked_deconv
static const us_attr_row blocked_deconv_attrs[] = {
    US_AS(P, conv.auto_pad, "auto_pad", "NOTSET"), US_AI(P, block, "block", 16), US_AIS(P, conv.dilations, "dilations"),
    US_AI(P, conv.group, "group", 1), US_AF(P, hi, "hi", INFINITY), US_AIS(P, conv.kernel_shape, "kernel_shape"),
    US_AF(P, lo, "lo", -INFINITY), US_AIS(P, conv.output_padding, "output_padding"),
    US_AIS(P, conv.output_shape, "output_shape"), US_AIS(P, conv.pads, "pads"),
    US_AI(P, plain_out, "plain_out", 0), US_AIS(P, conv.strides, "strides"), US_ATTR_END};
#undef P
const us_schema blocked_deconv_schemas[] = {
    {1, blocked_deconv_in, blocked_deconv_out, blocked_deconv_attrs, sizeof(us_p_blocked_deconv), NULL},
    {0}};
/* clang-format on */

_Static_assert(offsetof(us_p_blocked_deconv, conv) == 0, "conv must be first");

us_err blocked_deconv_infer(us_infer *k)
{
    const us_p_blocked_deconv *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, 1);
    if (!x || !w) return us_infer_out(k, 0, US_F32, -1, NULL);
    if (w->rank < 3 || w->rank > 4 || x->rank != 5 || p->block < 1)
        return us_infer_fail(k, US_SHAPE, "input and weight do not fit each other");
    int n = w->rank - 2, first = p->plain_out ? 2 : 4 - n;
    bool known;
    us_dim d[5] = {x->dims[0], US_DIM(1), US_DIM(1), US_DIM(1), US_DIM(p->block)};
    US_TRY(us_transposed_dims(k, &p->conv, n, x->dims + 4 - n, w->dims + 2, d + first, &known));
    if (!known) return us_infer_out(k, 0, US_F32, -1, NULL);
    if (us_dim_known(w->dims[1]) && p->conv.group > 0) {
        int64_t m = w->dims[1].add * p->conv.group;
        d[1] = US_DIM(p->plain_out ? m : us_blocks_of(m, p->block));
    } else {
        US_TRY(us_infer_fresh(k, &d[1]));
    }
    return us_infer_out(k, 0, US_F32, p->plain_out ? w->rank : 5, d);
}

static us_blocked said(const us_p_blocked_deconv *p)
{
    return (us_blocked){.block = p->block,
                        .group = p->conv.group,
                        .transposed = true,
                        .plain_out = p->plain_out != 0,
                        .lo = p->lo,
                        .hi = p->hi};
}

us_err blocked_deconv_eval(us_eval *k)
{
    const us_p_blocked_deconv *p = k->params;
    us_blocked how = said(p);
    return us_blocked_eval(k, &how, conv_transpose_eval, &p->conv);
}

/* --- prepared and bound ------------------------------------------------------------------------------------ */

typedef struct ready {
    const us_conv_kernels *f;
    us_deconv_choice choice;
    float *packed;
} ready;

static size_t entry(us_ints a, int n, int i)
{
    return a.n == (size_t)n ? (size_t)a.p[i] : 1;
}

/* What the weights say; sizes of the input are not known yet. */
static us_conv_dims dims_of(const us_p_blocked_deconv *p, const us_tensor *w)
{
    const us_p_conv_transpose *a = &p->conv;
    int n = w->rank - 2;
    bool two = n == 2;
    return (us_conv_dims){.groups = (size_t)a->group,
                          .m = (size_t)(w->dims[1] * a->group),
                          .c = (size_t)w->dims[0],
                          .kh = two ? (size_t)w->dims[2] : 1,
                          .kw = (size_t)w->dims[w->rank - 1],
                          .sh = two ? entry(a->strides, n, 0) : 1,
                          .sw = entry(a->strides, n, n - 1),
                          .dh = two ? entry(a->dilations, n, 0) : 1,
                          .dw = entry(a->dilations, n, n - 1)};
}

/* Strides and dilations that phases are made of. */
static bool has_phases(const us_p_conv_transpose *a)
{
    for (size_t i = 0; i < a->strides.n; i++)
        if (a->strides.p[i] < 1 || a->strides.p[i] > US_CONV_MAX_PHASES) return false;
    for (size_t i = 0; i < a->dilations.n; i++)
        if (a->dilations.p[i] < 1) return false;
    return true;
}

/* As the model has it, phase by phase, or all phases by one row. choice->n 0: none. */
static us_err choose(us_eval *k, const us_conv_kernels *f, const us_conv_dims *s,
                     us_deconv_choice *choice)
{
    const us_p_blocked_deconv *p = k->params;
    const char *names[US_CONV_WAYS];
    us_candidate list[US_CONV_WAYS + 1] = {{.name = "by phase"}};
    size_t ways[US_CONV_WAYS + 1], n = 1, at;
    us_deconv_choose(f, s, choice);
    if (choice->n && p->plain_out && !us_deconv_plain_out(choice)) choice->n = 0;
    if (!choice->n) return US_OK;
    us_deconv_choice other;
    size_t n_ways = us_deconv_ways(f, s, names);
    for (size_t i = 0; i < n_ways; i++) {
        if (!us_deconv_choose_way(f, s, i, &other) ||
            (p->plain_out && !us_deconv_plain_out(&other)))
            continue;
        ways[n] = i;
        list[n++] = (us_candidate){.name = names[i]};
    }
    US_TRY(us_eval_choose(k, n, list, 0, &at));
    if (at && !us_deconv_choose_way(f, s, ways[at], choice))
        return us_eval_fail(k, US_BUG, "a candidate that is none");
    return US_OK;
}

us_err blocked_deconv_prepare(us_eval *k, const void **out)
{
    const us_p_blocked_deconv *p = k->params;
    const us_conv_kernels *f = us_kernels_get(k->c)->conv;
    const us_tensor *w, *b;
    us_blocked how = said(p);
    if (!us_blocked_weights(k, &how, &w, &b) || !has_phases(&p->conv)) return US_OK;
    us_conv_dims s = dims_of(p, w);
    void *mem, *packed, *work;
    bool there;
    US_TRY(us_eval_keep(k, sizeof(ready), &mem));
    ready *r = mem;
    r->f = f;
    US_TRY(choose(k, f, &s, &r->choice));
    if (!r->choice.n) return US_OK;
    US_TRY(us_eval_packed(k, r->choice.floats * sizeof(float), &packed, &there));
    if (!there) {
        memset(packed, 0, r->choice.floats * sizeof(float));
        US_TRY(us_eval_scratch(k, r->choice.work_floats * sizeof(float), &work));
        us_deconv_pack(f, &s, &r->choice, w->data, b ? b->data : NULL, work, packed);
    }
    r->packed = packed;
    *out = r;
    return US_OK;
}

typedef struct bound {
    us_deconv dv;
    const float *packed;
    float lo, hi;
} bound;

static us_err run_bound(us_eval *k, const void *state, void *scratch)
{
    const bound *b = state;
    us_conv_args a = us_blocked_args(k, b->packed, b->lo, b->hi, scratch);
    us_deconv_run(&b->dv, &a, k->c->pool);
    return US_OK;
}

/* Everything that depends on shapes; false: they do not fit. */
static bool settle(us_eval *k, const us_tensor *x, const us_tensor *w, us_conv_dims *s)
{
    const us_p_blocked_deconv *p = k->params;
    us_blocked how = said(p);
    int n = w->rank - 2;
    us_window win;
    if (x->rank != 5 || us_transposed_window(&win, n, x->dims + 4 - n,
                                             (us_ints){w->dims + 2, (size_t)n}, &p->conv))
        return false;
    *s = dims_of(p, w);
    return us_blocked_settle(k, &how, &win, s);
}

us_err blocked_deconv_bind(us_eval *k, us_call *call)
{
    const us_p_blocked_deconv *p = k->params;
    const ready *r = k->prepared;
    const us_tensor *x = us_eval_opt(k, 0), *w = us_eval_opt(k, 1), *y = us_eval_opt_out(k, 0);
    us_conv_dims s;
    call->kernel = "weights are not constant, or no kernel takes their groups";
    if (!r || !x || !w || !y) return US_OK;
    call->kernel = "shapes do not fit";
    if (!settle(k, x, w, &s)) return US_OK;
    void *mem, *phases, *taps;
    US_TRY(us_eval_keep(k, sizeof(bound), &mem));
    US_TRY(us_eval_keep(k, r->choice.n * sizeof(us_conv), &phases));
    US_TRY(us_eval_keep(k, (s.kh * s.kw + r->choice.n) * sizeof(ptrdiff_t), &taps));
    bound *b = mem;
    call->kernel = "the padded input is too large";
    if (!us_deconv_open(r->f, &s, &r->choice, p->plain_out != 0, phases, taps, &b->dv))
        return US_OK;
    b->packed = r->packed;
    b->lo = p->lo;
    b->hi = p->hi;
    US_TRY(us_eval_work(k, b->dv.work / 2)); /* products, as others count */
    *call = (us_call){.run = run_bound,
                      .state = b,
                      .scratch = b->dv.scratch,
                      .kernel = "conv in phases",
                      .macs = b->dv.work / 2};
    return US_OK;
}
