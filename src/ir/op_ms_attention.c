/* ir/op_ms_attention.c - com.microsoft Attention and QAttention: the projections to Q, K and V, then attention over heads.
 *
 * Meaning from ONNX Runtime's ContribOperators document; where that is silent, as its CPU kernels do. Rotary embedding inside
 * Attention is refused, as they do: its angles are nowhere written down.
 */
#include "ir/op_ms_attend.h"
#include "ir/op_qint.h"

#include <string.h>

/* clang-format off */
#define F3 (US_M(F32) | US_M(F16) | US_M(BF16))
static const us_param attention_in[] = {
    {"input", 'T', F3, 0}, {"weights", 'T', F3, 0}, {"bias", 'T', F3, US_P_OPTIONAL},
    {"mask_index", 'M', US_M(I32), US_P_OPTIONAL}, {"past", 'T', F3, US_P_OPTIONAL},
    {"attention_bias", 'T', F3, US_P_OPTIONAL}, {"past_sequence_length", 'M', US_M(I32), US_P_OPTIONAL}, US_PARAM_END};
static const us_param attention_out[] = {{"output", 'T', F3, 0}, {"present", 'T', F3, US_P_OPTIONAL}, US_PARAM_END};
#define ATTRS                                                                                                              \
    US_AI(us_p_ms_attention, do_rotary, "do_rotary", 0), US_AF(us_p_ms_attention, mask_filter_value, "mask_filter_value", -10000.0F), \
    {.name = "num_heads", .kind = US_AT_INT, .offset = offsetof(us_p_ms_attention, num_heads), .required = true},          \
    US_AI(us_p_ms_attention, past_present_share_buffer, "past_present_share_buffer", 0),                                   \
    US_AF(us_p_ms_attention, scale, "scale", 0.0F), US_AI(us_p_ms_attention, unidirectional, "unidirectional", 0)
static const us_attr_row attention_attrs[] = {
    ATTRS, US_AIS(us_p_ms_attention, qkv_hidden_sizes, "qkv_hidden_sizes"),
    US_AI(us_p_ms_attention, rotary_embedding_dim, "rotary_embedding_dim", 0), US_ATTR_END};
const us_schema ms_attention_schemas[] = {
    {1, attention_in, attention_out, attention_attrs, sizeof(us_p_ms_attention), NULL},
    {0}};

#define Q8 (US_M(I8) | US_M(U8))
static const us_param qattention_in[] = {
    {"input", '1', Q8, 0}, {"weight", '2', Q8, 0}, {"bias", '3', US_M(F32) | US_M(F16), 0},
    {"input_scale", '3', US_M(F32) | US_M(F16), 0}, {"weight_scale", '3', US_M(F32) | US_M(F16), 0},
    {"mask_index", '4', US_M(I32), US_P_OPTIONAL}, {"input_zero_point", '1', Q8, US_P_OPTIONAL},
    {"weight_zero_point", '2', Q8, US_P_OPTIONAL}, {"past", '3', US_M(F32) | US_M(F16), US_P_OPTIONAL}, US_PARAM_END};
static const us_param qattention_out[] = {
    {"output", '3', US_M(F32) | US_M(F16), 0}, {"present", '3', US_M(F32) | US_M(F16), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row qattention_attrs[] = {ATTRS, US_ATTR_END};
const us_schema ms_qattention_schemas[] = {
    {1, qattention_in, qattention_out, qattention_attrs, sizeof(us_p_ms_attention), NULL},
    {0}};
/* clang-format on */

/* --- inference --------------------------------------------------------------------------------------- */

static us_err infer(us_infer *k, size_t i_past)
{
    const us_p_ms_attention *p = k->params;
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, 1),
                  *past = us_infer_ranked(k, i_past);
    us_dim y[3], state[5] = {US_DIM(2)};
    if ((x && x->rank != 3) || (w && w->rank != 2) || (past && past->rank != 5))
        return us_infer_fail(k, US_SHAPE,
                             "input has 3 dimensions, weights have 2 and past has 5");
    if (p->num_heads < 1) return us_infer_fail(k, US_ARG, "num_heads must be positive");
    if (!x) {
        US_TRY(us_infer_rank(k, 0, US_DT_NONE, 3));
        return us_infer_rank(k, 1, US_DT_NONE, 5);
    }
    memcpy(y, x->dims, 2 * sizeof *y);
    if (p->qkv_hidden_sizes.n == 3)
        y[2] = US_DIM(p->qkv_hidden_sizes.p[2]);
    else if (w)
        US_TRY(us_dim_div(k->c, &k->m->syms, w->dims[1], 3, &y[2]));
    else
        US_TRY(us_infer_fresh(k, &y[2]));
    US_TRY(us_infer_out(k, 0, US_DT_NONE, 3, y));
    state[1] = y[0];
    state[2] = US_DIM(p->num_heads);
    US_TRY(us_dim_div(k->c, &k->m->syms, y[2], p->num_heads, &state[4]));
    if (past && p->past_present_share_buffer)
        state[3] = past->dims[3];
    else if (past)
        US_TRY(us_dim_add(k->c, &k->m->syms, past->dims[3], y[1], &state[3]));
    else if (us_infer_has(k, i_past))
        US_TRY(us_infer_fresh(k, &state[3]));
    else
        state[3] = y[1];
    return us_infer_out(k, 1, US_DT_NONE, 5, state);
}

us_err ms_attention_infer(us_infer *k)
{
    return infer(k, 4);
}

us_err ms_qattention_infer(us_infer *k)
{
    return infer(k, 8);
}

/* --- attention over projected numbers ---------------------------------------------------------------- */

/* Where the inputs stand; SIZE_MAX: the operator has none. */
typedef struct places {
    size_t mask, past, bias, past_len;
} places;

/* n sequences of len tokens, heads of d (queries, keys) and dv numbers; all [n * len, wide] in `qkv`. */
typedef struct projected {
    const float *qkv;
    int64_t n, len, d, dv, wide;
} projected;

static us_err sizes(us_eval *k, const us_tensor *x, const us_tensor *w, projected *o)
{
    const us_p_ms_attention *p = k->params;
    us_ints s = p->qkv_hidden_sizes;
    if (x->rank != 3 || w->rank != 2 || w->dims[0] != x->dims[2])
        return us_eval_fail(k, US_SHAPE, "weights do not fit the input");
    if (p->do_rotary)
        return us_eval_fail(k, US_UNSUPP,
                            "do_rotary is not done here; use MultiHeadAttention after "
                            "RotaryEmbedding");
    int64_t q = s.n == 3 ? s.p[0] : w->dims[1] / 3, v = s.n == 3 ? s.p[2] : q, h = p->num_heads;
    if ((s.n && s.n != 3) || (s.n == 3 && s.p[0] != s.p[1]))
        return us_eval_fail(k, US_ARG,
                            "qkv_hidden_sizes must be three sizes, the first two alike");
    if (h < 1 || q < 0 || v < 0 || q % h || v % h || q > w->dims[1] || v > w->dims[1] ||
        2 * q + v != w->dims[1])
        return us_eval_fail(k, US_SHAPE,
                            "%lld columns of weights do not fall into Q, K and V of %lld heads",
                            (long long)w->dims[1], (long long)h);
    o->n = x->dims[0];
    o->len = x->dims[1];
    o->d = q / h;
    o->dv = v / h;
    o->wide = w->dims[1];
    return US_OK;
}

/* How many steps the past has, and how many the buffer has room for. */
static us_err past_length(us_eval *k, const places *at, const us_tensor *past, int64_t len,
                          int64_t *steps, int64_t *room)
{
    const us_p_ms_attention *p = k->params;
    double given;
    *steps = past->dims[3];
    *room = past->dims[3] + len;
    if (!p->past_present_share_buffer) return US_OK;
    US_TRY(us_eval_scalar(k, at->past_len, -1, &given));
    *room = past->dims[3];
    if (!(given >= 0) || given > (double)(*room - len))
        return us_eval_fail(k, US_ARG,
                            "past_sequence_length %g: %lld more do not fit a buffer of %lld",
                            given, (long long)len, (long long)*room);
    *steps = (int64_t)given;
    return US_OK;
}

/* Keys and values with the past in front of them, as [2,n,h,room,d] in `present`. */
static us_err join(us_eval *k, const places *at, us_ms_attend *a, int64_t *past_steps)
{
    us_tensor past, *y = NULL;
    bool there;
    int64_t steps = 0, room = a->k.len;
    *past_steps = 0;
    US_TRY(us_ms_floats(k, at->past, 5, &past, &there));
    if (!there && !us_eval_wants(k, 1)) return US_OK;
    if (a->k.d != a->v.d)
        return us_eval_fail(k, US_SHAPE, "past and present need keys and values of one size");
    if (there) {
        const int64_t want[] = {2, a->k.n, a->k.h, -1, a->k.d};
        US_TRY(us_eval_want_dims(k, at->past, &past, 5, want));
        US_TRY(past_length(k, at, &past, a->k.len, &steps, &room));
    }
    const int64_t dims[] = {2, a->k.n, a->k.h, room, a->k.d};
    US_TRY(us_eval_out(k, 1, US_F32, 5, dims, &y));
    int64_t half = us_dims_product(dims, 1, 5),
            old = there ? us_dims_product(past.dims, 1, 5) : 0;
    float *to = y->data;
    const float *from = there ? past.data : NULL;
    us_ms_join(to, room, from, there ? past.dims[3] : 0, steps, &a->k);
    us_ms_join(to + half, room, there ? from + old : NULL, there ? past.dims[3] : 0, steps,
               &a->v);
    a->k = us_ms_heads_apart(to, a->k.n, a->k.h, room, a->k.d);
    a->v = us_ms_heads_apart(to + half, a->v.n, a->v.h, room, a->v.d);
    a->k.len = a->v.len = steps + a->q.len;
    *past_steps = steps;
    return US_OK;
}

static us_err attend(us_eval *k, const places *at, const projected *o)
{
    const us_p_ms_attention *p = k->params;
    const int64_t h = p->num_heads, dims[] = {o->n, o->len, h * o->dv};
    us_ms_attend a = {.scale = (double)p->scale};
    int64_t past;
    us_tensor *y;
    a.q = (us_ms_heads){o->qkv, o->n, h, o->len, o->d, o->len * o->wide, o->d, o->wide};
    a.k = a.q;
    a.k.p += h * o->d;
    a.v = a.q;
    a.v.p += 2 * h * o->d;
    a.v.d = a.v.sh = o->dv;
    US_TRY(us_eval_out(k, 0, US_F32, 3, dims, &y));
    US_TRY(join(k, at, &a, &past));
    US_TRY(us_ms_mask(k,
                      &(us_ms_masking){.input = at->mask,
                                       .filter = p->mask_filter_value,
                                       .causal = p->unidirectional != 0,
                                       .n = o->n,
                                       .len = o->len,
                                       .past = past,
                                       .keys = a.k.len},
                      &a));
    US_TRY(us_ms_bias(k, at->bias, &a, &a));
    a.y = y->data;
    return us_ms_attend_run(k, &a);
}

/* --- Attention --------------------------------------------------------------------------------------- */

us_err ms_attention_eval(us_eval *k)
{
    static const places at = {.mask = 3, .past = 4, .bias = 5, .past_len = 6};
    const us_tensor *first;
    us_tensor x, w, bias;
    projected o;
    bool biased;
    float *to;
    US_TRY(us_eval_in(k, 0, &first));
    if (us_is_half(first->dtype)) return us_eval_widened(k, first->dtype, ms_attention_eval);
    US_TRY(us_ms_floats(k, 0, 3, &x, NULL));
    US_TRY(us_ms_floats(k, 1, 2, &w, NULL));
    US_TRY(us_ms_floats(k, 2, 1, &bias, &biased));
    US_TRY(sizes(k, &x, &w, &o));
    if (biased) US_TRY(us_eval_want_dims(k, 2, &bias, 1, &o.wide));
    const int64_t dims[] = {o.n, o.len, o.wide}, rows = o.n * o.len;
    US_TRY(us_ms_room(k, 3, dims, &to));
    US_TRY(us_eval_work(k, (double)rows * (double)o.wide * (double)x.dims[2]));
    for (int64_t r = 0; r < rows && biased && o.wide; r++)
        memcpy(to + r * o.wide, bias.data, (size_t)o.wide * sizeof *to);
    US_TRY(us_eval_gemm(k, &(us_gemm_args){.m = (size_t)rows,
                                           .n = (size_t)o.wide,
                                           .k = (size_t)x.dims[2],
                                           .alpha = 1,
                                           .beta = biased ? 1 : 0,
                                           .a = x.data,
                                           .lda = (size_t)x.dims[2],
                                           .b = w.data,
                                           .ldb = (size_t)o.wide,
                                           .c = to,
                                           .ldc = (size_t)o.wide}));
    o.qkv = to;
    return attend(k, &at, &o);
}

/* --- QAttention -------------------------------------------------------------------------------------- */

/* One number per column of the weights, or one for all: as a stride. */
static us_err per_column(us_eval *k, size_t i, int64_t wide, us_tensor *t, int64_t *stride)
{
    US_TRY(us_ms_floats(k, i, -1, t, NULL));
    if (us_tensor_count(t) != 1 && (t->rank != 1 || t->dims[0] != wide))
        return us_eval_fail(k, US_SHAPE, "input %zu is neither one number nor one per column",
                            i);
    *stride = us_tensor_count(t) == 1 ? 0 : 1;
    return US_OK;
}

static us_err scaled(us_eval *k, const int64_t *sums, const projected *o, float *to)
{
    us_tensor bias, sx, sw;
    int64_t by, none;
    US_TRY(us_ms_floats(k, 2, 1, &bias, NULL));
    US_TRY(us_eval_want_dims(k, 2, &bias, 1, &o->wide));
    US_TRY(per_column(k, 3, -1, &sx, &none));
    US_TRY(per_column(k, 4, o->wide, &sw, &by));
    float scale_x = *(const float *)sx.data;
    for (int64_t i = 0; i < o->n * o->len * o->wide; i++) {
        int64_t j = i % o->wide;
        to[i] = (float)sums[i] * (((const float *)sw.data)[j * by] * scale_x) +
                ((const float *)bias.data)[j];
    }
    return US_OK;
}

us_err ms_qattention_eval(us_eval *k)
{
    static const places at = {.mask = 5, .past = 8, .bias = SIZE_MAX, .past_len = SIZE_MAX};
    const us_tensor *x, *w, *zx = us_eval_opt(k, 6), *zw = us_eval_opt(k, 7);
    us_tensor a, b, z;
    projected o;
    us_q_product q;
    void *sums;
    float *to;
    const us_tensor *bias;
    US_TRY(us_eval_in(k, 2, &bias));
    if (us_is_half(bias->dtype)) return us_eval_widened(k, bias->dtype, ms_qattention_eval);
    US_TRY(us_eval_in(k, 0, &x));
    US_TRY(us_eval_in(k, 1, &w));
    US_TRY(sizes(k, x, w, &o));
    if (zx && us_tensor_count(zx) != 1)
        return us_eval_fail(k, US_SHAPE, "input_zero_point is one number");
    if (zx) US_TRY(us_q_along(k, zx, 0, &z));
    US_TRY(us_q_centre(k, x, zx ? &z : NULL, &a));
    if (zw) US_TRY(us_q_along(k, zw, 0, &z));
    US_TRY(us_q_centre(k, w, zw ? &z : NULL, &b));
    const int64_t dims[] = {o.n, o.len, o.wide}, rows = o.n * o.len;
    US_TRY(us_ms_room(k, 3, dims, &to));
    US_TRY(us_q_product_open(k, rows, o.wide, &q));
    US_TRY(us_eval_scratch(k, (size_t)(rows * o.wide + 1) * sizeof(int64_t), &sums));
    q.a = a.data;
    q.b = b.data;
    q.c = sums;
    q.k = w->dims[0];
    US_TRY(us_q_product_run(k, &q));
    US_TRY(scaled(k, sums, &o, to));
    o.qkv = to;
    return attend(k, &at, &o);
}
