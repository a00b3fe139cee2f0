/* ir/op_ms_mha.c - com.microsoft MultiHeadAttention and DecoderMaskedMultiHeadAttention: attention over what is projected.
 *
 * Meaning from ONNX Runtime's ContribOperators document. Both gather Q, K and V from the layouts they come in (apart, K and V
 * packed, all packed, K and V as a cache of their own for cross attention), add the bias of the projections, put the past
 * in front and attend. DecoderMaskedMultiHeadAttention is the step of one query; its past may lie in a buffer with room for
 * more, and an indirection may say that a beam's past token was another beam's.
 */
#include "ir/op_ms_attend.h"

#include <string.h>

/* clang-format off */
#define F3 (US_M(F32) | US_M(F16) | US_M(BF16))
#define OPT(name) {name, 'T', F3, US_P_OPTIONAL}
#define OPT_I(name) {name, 'M', US_M(I32), US_P_OPTIONAL}
static const us_param mha_in[] = {
    {"query", 'T', F3, 0}, OPT("key"), OPT("value"), OPT("bias"), OPT_I("key_padding_mask"), OPT("attention_bias"),
    OPT("past_key"), OPT("past_value"), OPT_I("past_sequence_length"), OPT_I("cache_indirection"), US_PARAM_END};
static const us_param decoder_in[] = {
    {"query", 'T', F3, 0}, OPT("key"), OPT("value"), OPT_I("mask_index"), OPT("attention_bias"), OPT("past_key"),
    OPT("past_value"), OPT_I("past_sequence_length"), OPT_I("beam_width"), OPT_I("cache_indirection"), OPT("bias"),
    US_PARAM_END};
static const us_param mha_out[] = {
    {"output", 'T', F3, 0}, OPT("present_key"), OPT("present_value"), {"qk", 'Q', F3, US_P_OPTIONAL}, US_PARAM_END};
#define ATTRS                                                                           \
    US_AF(us_p_ms_mha, mask_filter_value, "mask_filter_value", -10000.0F),              \
    {.name = "num_heads", .kind = US_AT_INT, .offset = offsetof(us_p_ms_mha, num_heads), .required = true}, \
    US_AF(us_p_ms_mha, scale, "scale", 0.0F)
static const us_attr_row mha_attrs[] = {ATTRS, US_AI(us_p_ms_mha, unidirectional, "unidirectional", 0), US_ATTR_END};
static const us_attr_row decoder_attrs[] = {
    ATTRS, US_AI(us_p_ms_mha, output_qk, "output_qk", 0),
    US_AI(us_p_ms_mha, past_present_share_buffer, "past_present_share_buffer", 0), US_ATTR_END};
const us_schema ms_multi_head_attention_schemas[] = {
    {1, mha_in, mha_out, mha_attrs, sizeof(us_p_ms_mha), NULL},
    {0}};
const us_schema ms_decoder_masked_mha_schemas[] = {
    {1, decoder_in, mha_out, decoder_attrs, sizeof(us_p_ms_mha), NULL},
    {0}};
/* clang-format on */

/* Where the inputs stand. */
typedef struct places {
    size_t bias, mask, attention_bias, past_key, past_value, past_len, beams;
} places;

static const places mha_at = {3, 4, 5, 6, 7, 8, 9}, decoder_at = {10, 3, 4, 5, 6, 7, 9};

/* --- inference --------------------------------------------------------------------------------------- */

/* Size of the values of all heads. */
static us_err infer_wide(us_infer *k, const us_type *q, us_dim *out)
{
    const us_p_ms_mha *p = k->params;
    const us_type *key = us_infer_ranked(k, 1), *v = us_infer_ranked(k, 2);
    if (v && v->rank == 3) {
        *out = v->dims[2];
        return US_OK;
    }
    if (v && v->rank == 4)
        return us_dim_mul(k->c, &k->m->syms, v->dims[3], US_DIM(p->num_heads), out);
    if (q->rank == 5)
        return us_dim_mul(k->c, &k->m->syms, q->dims[4], US_DIM(p->num_heads), out);
    if (key && key->rank == 5) {
        *out = q->dims[2];
        return US_OK;
    }
    if (q->rank == 3 && !us_infer_has(k, 1))
        return us_dim_div(k->c, &k->m->syms, q->dims[2], 3, out);
    return us_infer_fresh(k, out);
}

static us_err infer(us_infer *k, const places *at)
{
    const us_p_ms_mha *p = k->params;
    const us_type *q = us_infer_ranked(k, 0);
    us_dim wide;
    if (p->num_heads < 1) return us_infer_fail(k, US_ARG, "num_heads must be positive");
    if (q && q->rank != 3 && q->rank != 5)
        return us_infer_fail(k, US_SHAPE, "query has 3 dimensions, or 5 when all are packed");
    if (!q) {
        US_TRY(us_infer_rank(k, 0, US_DT_NONE, 3));
    } else {
        US_TRY(infer_wide(k, q, &wide));
        US_TRY(us_infer_out(k, 0, US_DT_NONE, 3, (us_dim[]){q->dims[0], q->dims[1], wide}));
    }
    const us_type *x = us_infer_in(k, 0);
    us_dtype t = x ? x->dtype : US_DT_NONE;
    if (at == &decoder_at && p->past_present_share_buffer) {
        const us_type *pk = us_infer_ranked(k, at->past_key),
                      *pv = us_infer_ranked(k, at->past_value);
        if (pk) US_TRY(us_infer_out(k, 1, US_DT_NONE, pk->rank, pk->dims));
        if (pv) US_TRY(us_infer_out(k, 2, US_DT_NONE, pv->rank, pv->dims));
    } else {
        US_TRY(us_infer_rank(k, 1, US_DT_NONE, 4));
        US_TRY(us_infer_rank(k, 2, US_DT_NONE, 4));
    }
    return us_infer_rank(k, 3, t, 4);
}

us_err ms_multi_head_attention_infer(us_infer *k)
{
    return infer(k, &mha_at);
}

us_err ms_decoder_masked_mha_infer(us_infer *k)
{
    return infer(k, &decoder_at);
}

/* --- layouts ----------------------------------------------------------------------------------------- */

/* Parts of one tensor: part i of `parts` in [n,len,h,parts,d]. */
static us_ms_heads woven(const us_tensor *t, int64_t part)
{
    const int64_t *s = t->dims, d = s[4], row = s[2] * s[3] * d;
    return (us_ms_heads){
        (const float *)t->data + part * d, s[0], s[2], s[1], d, s[1] * row, s[3] * d, row};
}

/* [n,len,h*d] of a tensor whose rows are `wide`, from column `from`. */
static us_ms_heads columns(const us_tensor *t, int64_t from, int64_t h, int64_t d)
{
    int64_t wide = t->dims[2];
    return (us_ms_heads){(const float *)t->data + from,
                         t->dims[0],
                         h,
                         t->dims[1],
                         d,
                         t->dims[1] * wide,
                         d,
                         wide};
}

static us_err no_fit(us_eval *k)
{
    return us_eval_fail(k, US_SHAPE, "query, key and value do not fit each other or num_heads");
}

static us_err packed(us_eval *k, const us_tensor *q, int64_t h, us_ms_attend *a)
{
    if (us_eval_opt(k, 2)) return us_eval_fail(k, US_ARG, "a value without a key");
    if (q->rank == 5) {
        if (q->dims[2] != h || q->dims[3] != 3) return no_fit(k);
        a->q = woven(q, 0);
        a->k = woven(q, 1);
        a->v = woven(q, 2);
        return US_OK;
    }
    int64_t d = q->dims[2] / 3 / h;
    if (q->dims[2] != 3 * h * d) return no_fit(k);
    a->q = columns(q, 0, h, d);
    a->k = columns(q, h * d, h, d);
    a->v = columns(q, 2 * h * d, h, d);
    return US_OK;
}

/* cross: key and value are [n,h,len,d], a cache that nothing is added to. */
static us_err apart(us_eval *k, const us_tensor *q, int64_t h, us_ms_attend *a, bool *cross)
{
    us_tensor key, v;
    bool there;
    if (q->rank != 3 || q->dims[2] % h) return no_fit(k);
    a->q = columns(q, 0, h, q->dims[2] / h);
    US_TRY(us_ms_floats(k, 1, -1, &key, NULL));
    US_TRY(us_ms_floats(k, 2, -1, &v, &there));
    if (key.rank == 5) {
        if (there || key.dims[2] != h || key.dims[3] != 2) return no_fit(k);
        a->k = woven(&key, 0);
        a->v = woven(&key, 1);
    } else if (key.rank == 4 && there && v.rank == 4) {
        a->k = us_ms_heads_apart(key.data, key.dims[0], key.dims[1], key.dims[2], key.dims[3]);
        a->v = us_ms_heads_apart(v.data, v.dims[0], v.dims[1], v.dims[2], v.dims[3]);
        *cross = true;
    } else if (key.rank == 3 && there && v.rank == 3 && key.dims[2] % h == 0 &&
               v.dims[2] % h == 0) {
        a->k = columns(&key, 0, h, key.dims[2] / h);
        a->v = columns(&v, 0, h, v.dims[2] / h);
    } else {
        return no_fit(k);
    }
    if (a->k.n != a->q.n || a->v.n != a->q.n || a->k.h != h || a->v.h != h ||
        a->k.d != a->q.d || a->k.len != a->v.len)
        return no_fit(k);
    return US_OK;
}

/* x with `bias` of its columns added, as a copy. */
static us_err add_bias(us_eval *k, us_ms_heads *x, const float *bias)
{
    const int64_t dims[] = {x->n, x->len, x->h, x->d};
    float *to, *at;
    US_TRY(us_ms_room(k, 4, dims, &to));
    at = to;
    for (int64_t r = 0; r < x->n * x->len * x->h; r++) {
        const float *from = us_ms_row(x, r / x->h / x->len, r % x->h, r / x->h % x->len);
        for (int64_t e = 0; e < x->d; e++)
            *at++ = from[e] + bias[r % x->h * x->d + e];
    }
    *x = us_ms_heads_packed(to, x->n, x->len, x->h, x->d);
    return US_OK;
}

static us_err read_qkv(us_eval *k, const places *at, us_ms_attend *a, bool *cross)
{
    const us_p_ms_mha *p = k->params;
    us_tensor q, bias;
    bool biased;
    *cross = false;
    if (p->num_heads < 1) return us_eval_fail(k, US_ARG, "num_heads must be positive");
    US_TRY(us_ms_floats(k, 0, -1, &q, NULL));
    if (q.rank != 3 && q.rank != 5) return no_fit(k);
    if (us_eval_opt(k, 1))
        US_TRY(apart(k, &q, p->num_heads, a, cross));
    else
        US_TRY(packed(k, &q, p->num_heads, a));
    US_TRY(us_ms_floats(k, at->bias, 1, &bias, &biased));
    if (!biased) return US_OK;
    int64_t wide = a->q.h * a->q.d, all = 2 * wide + a->v.h * a->v.d;
    US_TRY(us_eval_want_dims(k, at->bias, &bias, 1, &all));
    US_TRY(add_bias(k, &a->q, bias.data));
    if (*cross) return US_OK;
    US_TRY(add_bias(k, &a->k, (const float *)bias.data + wide));
    return add_bias(k, &a->v, (const float *)bias.data + 2 * wide);
}

/* --- the past ---------------------------------------------------------------------------------------- */

typedef struct cache {
    int64_t steps, room; /* of the past; of the present */
    /* [n, beams_len]: whose token it is at a step, within a group of `width`; NULL: one's own */
    const int64_t *beams;
    int64_t beams_len, width;
} cache;

static us_err cache_beams(us_eval *k, const places *at, int64_t n, cache *o)
{
    const us_tensor *t = us_eval_opt(k, at->beams);
    size_t count;
    if (!t) return US_OK;
    if (t->rank != 3 || t->dims[1] < 1 || t->dims[0] * t->dims[1] != n || t->dims[2] < o->steps)
        return us_eval_fail(k, US_SHAPE,
                            "cache_indirection does not fit the batch or the past");
    US_TRY(us_eval_ints(k, at->beams, &count, &o->beams));
    o->width = t->dims[1];
    o->beams_len = t->dims[2];
    for (int64_t b = 0; b < n; b++)
        for (int64_t j = 0; j < o->steps; j++) {
            int64_t whose = o->beams[b * o->beams_len + j];
            if (whose < 0 || whose >= o->width)
                return us_eval_fail(k, US_ARG, "cache_indirection names beam %lld of %lld",
                                    (long long)whose, (long long)o->width);
        }
    return US_OK;
}

static us_err cache_sizes(us_eval *k, const places *at, const us_tensor *past,
                          const us_ms_attend *a, cache *o)
{
    const us_p_ms_mha *p = k->params;
    bool share = at == &decoder_at ? p->past_present_share_buffer != 0
                                   : us_eval_opt(k, at->past_len) != NULL;
    double given;
    o->steps = past->dims[2];
    o->room = o->steps + a->k.len;
    if (share) {
        US_TRY(us_eval_scalar(k, at->past_len, -1, &given));
        o->room = past->dims[2];
        if (!(given >= 0) || given > (double)(o->room - a->k.len))
            return us_eval_fail(
                k, US_ARG, "past_sequence_length %g: %lld more do not fit a buffer of %lld",
                given, (long long)a->k.len, (long long)o->room);
        o->steps = (int64_t)given;
    }
    return cache_beams(k, at, a->q.n, o);
}

/* What the queries see of the past where tokens are other beams' is a copy; the present keeps each beam's own. */
static us_err through_beams(us_eval *k, const cache *o, us_ms_heads *x)
{
    const int64_t dims[] = {x->n, x->h, x->len, x->d};
    float *to, *at;
    US_TRY(us_ms_room(k, 4, dims, &to));
    at = to;
    for (int64_t r = 0; r < x->n * x->h; r++)
        for (int64_t l = 0; l < x->len; l++, at += x->d) {
            int64_t b = r / x->h, from = b;
            if (l < o->steps) from = b / o->width * o->width + o->beams[b * o->beams_len + l];
            if (x->d) memcpy(at, us_ms_row(x, from, r % x->h, l), (size_t)x->d * sizeof *at);
        }
    *x = us_ms_heads_apart(to, x->n, x->h, x->len, x->d);
    return US_OK;
}

/* Keys or values with the past in front, as output i. */
static us_err present(us_eval *k, size_t i, const us_tensor *past, const cache *o,
                      us_ms_heads *x)
{
    us_tensor *y;
    const int64_t dims[] = {x->n, x->h, o->room, x->d};
    US_TRY(us_eval_out(k, i, US_F32, 4, dims, &y));
    us_ms_join(y->data, o->room, past ? past->data : NULL, past ? past->dims[2] : 0, o->steps,
               x);
    int64_t len = o->steps + x->len;
    *x = us_ms_heads_apart(y->data, x->n, x->h, o->room, x->d);
    x->len = len;
    return o->beams ? through_beams(k, o, x) : US_OK;
}

static us_err join(us_eval *k, const places *at, us_ms_attend *a, bool cross, cache *o)
{
    us_tensor key, v;
    bool has_key, has_v;
    *o = (cache){.room = a->k.len};
    US_TRY(us_ms_floats(k, at->past_key, 4, &key, &has_key));
    US_TRY(us_ms_floats(k, at->past_value, 4, &v, &has_v));
    if (has_key != has_v) return us_eval_fail(k, US_ARG, "past_key and past_value go together");
    if (cross && has_key)
        return us_eval_fail(k, US_ARG, "a past besides keys that are a cache themselves");
    if (!has_key && !us_eval_wants(k, 1) && !us_eval_wants(k, 2)) return US_OK;
    if (has_key) {
        const int64_t kd[] = {a->k.n, a->k.h, -1, a->k.d},
                      vd[] = {a->v.n, a->v.h, key.dims[2], a->v.d};
        US_TRY(us_eval_want_dims(k, at->past_key, &key, 4, kd));
        US_TRY(us_eval_want_dims(k, at->past_value, &v, 4, vd));
        US_TRY(cache_sizes(k, at, &key, a, o));
    }
    US_TRY(present(k, 1, has_key ? &key : NULL, o, &a->k));
    return present(k, 2, has_v ? &v : NULL, o, &a->v);
}

/* --- both -------------------------------------------------------------------------------------------- */

static us_err attend(us_eval *k, const places *at)
{
    const us_p_ms_mha *p = k->params;
    us_ms_attend a = {.scale = (double)p->scale};
    bool cross;
    cache o;
    us_tensor *y, *qk = NULL;
    US_TRY(read_qkv(k, at, &a, &cross));
    US_TRY(us_eval_out(k, 0, US_F32, 3, (const int64_t[]){a.q.n, a.q.len, a.v.h * a.v.d}, &y));
    US_TRY(join(k, at, &a, cross, &o));
    US_TRY(us_ms_mask(k,
                      &(us_ms_masking){.input = at->mask,
                                       .filter = p->mask_filter_value,
                                       .causal = p->unidirectional != 0,
                                       .n = a.q.n,
                                       .len = a.q.len,
                                       .past = o.steps,
                                       .keys = a.k.len},
                      &a));
    US_TRY(us_ms_bias(k, at->attention_bias, &a, &a));
    if (us_eval_wants(k, 3)) {
        US_TRY(us_eval_out(k, 3, US_F32, 4, (const int64_t[]){a.q.n, a.q.h, a.q.len, a.k.len},
                           &qk));
        memset(qk->data, 0, us_tensor_bytes(qk));
        a.scores = qk->data;
    }
    a.y = y->data;
    return us_ms_attend_run(k, &a);
}

us_err ms_multi_head_attention_eval(us_eval *k)
{
    const us_tensor *q;
    US_TRY(us_eval_in(k, 0, &q));
    if (us_is_half(q->dtype)) return us_eval_widened(k, q->dtype, ms_multi_head_attention_eval);
    return attend(k, &mha_at);
}

us_err ms_decoder_masked_mha_eval(us_eval *k)
{
    const us_tensor *q;
    US_TRY(us_eval_in(k, 0, &q));
    if (us_is_half(q->dtype)) return us_eval_widened(k, q->dtype, ms_decoder_masked_mha_eval);
    if (q->rank != 3 || q->dims[1] != 1)
        return us_eval_fail(k, US_SHAPE, "query is not one step of each sequence");
    return attend(k, &decoder_at);
}
