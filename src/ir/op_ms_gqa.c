/* ir/op_ms_gqa.c - com.microsoft GroupQueryAttention and RotaryEmbedding: decoders with a cache of keys and values.
 *
 * Meaning from ONNX Runtime's ContribOperators document. Sequences are padded on the right: seqlens_k says how many keys each
 * has with the new ones (less one). A prompt (as many new tokens as total_sequence_length) starts the cache; later calls put
 * theirs behind what is there. Query t of a sequence sees the keys up to its own place, at most local_window_size of them besides its own.
 * RotaryEmbedding turns pairs of numbers by the angle of their position: ai.onnx's operator with its inputs in another order.
 */
#include "ir/op_ms_attend.h"

#include <math.h>
#include <string.h>

/* clang-format off */
#define F3 (US_M(F32) | US_M(F16) | US_M(BF16))
#define OPT(name) {name, 'T', F3, US_P_OPTIONAL}
static const us_param gqa_in[] = {
    {"query", 'T', F3, 0}, OPT("key"), OPT("value"), OPT("past_key"), OPT("past_value"),
    {"seqlens_k", 'M', US_M(I32), 0}, {"total_sequence_length", 'M', US_M(I32), 0}, OPT("cos_cache"), OPT("sin_cache"),
    {"position_ids", 'P', US_M(I64), US_P_OPTIONAL}, OPT("attention_bias"), OPT("head_sink"), US_PARAM_END};
static const us_param gqa_out[] = {
    {"output", 'T', F3, 0}, {"present_key", 'T', F3, US_P_OPTIONAL}, {"present_value", 'T', F3, US_P_OPTIONAL},
    OPT("output_qk"), US_PARAM_END};
static const us_attr_row gqa_attrs[] = {
    US_AI(us_p_ms_gqa, do_rotary, "do_rotary", 0),
    {.name = "kv_num_heads", .kind = US_AT_INT, .offset = offsetof(us_p_ms_gqa, kv_num_heads), .required = true},
    US_AI(us_p_ms_gqa, local_window_size, "local_window_size", -1),
    {.name = "num_heads", .kind = US_AT_INT, .offset = offsetof(us_p_ms_gqa, num_heads), .required = true},
    US_AI(us_p_ms_gqa, qk_output, "qk_output", 0), US_AI(us_p_ms_gqa, rotary_interleaved, "rotary_interleaved", 0),
    US_AF(us_p_ms_gqa, scale, "scale", 0.0F), US_AI(us_p_ms_gqa, smooth_softmax, "smooth_softmax", -1),
    US_AF(us_p_ms_gqa, softcap, "softcap", 0.0F), US_ATTR_END};
const us_schema ms_group_query_attention_schemas[] = {
    {1, gqa_in, gqa_out, gqa_attrs, sizeof(us_p_ms_gqa), NULL},
    {0}};

static const us_param rotary_in[] = {
    {"input", 'T', F3, 0}, {"position_ids", 'M', US_M(I64), 0}, {"cos_cache", 'T', F3, 0}, {"sin_cache", 'T', F3, 0},
    US_PARAM_END};
static const us_param rotary_out[] = {{"output", 'T', F3, 0}, US_PARAM_END};
static const us_attr_row rotary_attrs[] = {
    US_AI(us_p_ms_rotary, interleaved, "interleaved", 0), US_AI(us_p_ms_rotary, is_packed_batching, "is_packed_batching", 0),
    US_AI(us_p_ms_rotary, num_heads, "num_heads", 0), US_AI(us_p_ms_rotary, rotary_embedding_dim, "rotary_embedding_dim", 0),
    US_AF(us_p_ms_rotary, scale, "scale", 1.0F), US_ATTR_END};
const us_schema ms_rotary_embedding_schemas[] = {
    {1, rotary_in, rotary_out, rotary_attrs, sizeof(us_p_ms_rotary), NULL},
    {0}};
/* clang-format on */

/* --- RotaryEmbedding --------------------------------------------------------------------------------- */

/* Pairs of x turned; at[n * len]: the position of each token. */
typedef struct turn {
    const float *cosine, *sine; /* [positions, half] */
    int64_t positions, half;
    const int64_t *at;
    bool interleaved;
} turn;

static void turn_row(const turn *o, int64_t token, const float *x, float *y)
{
    int64_t step = o->interleaved ? 2 : 1, apart = o->interleaved ? 1 : o->half;
    const float *cs = o->cosine + o->at[token] * o->half,
                *sn = o->sine + o->at[token] * o->half;
    for (int64_t e = 0; e < o->half; e++) {
        float a = x[e * step], b = x[e * step + apart];
        y[e * step] = a * cs[e] - b * sn[e];
        y[e * step + apart] = b * cs[e] + a * sn[e];
    }
}

static us_err turn_tables(us_eval *k, size_t i_cos, int64_t d, turn *o)
{
    us_tensor cosine, sine;
    US_TRY(us_ms_floats(k, i_cos, 2, &cosine, NULL));
    US_TRY(us_ms_floats(k, i_cos + 1, 2, &sine, NULL));
    US_TRY(us_eval_want_dims(k, i_cos + 1, &sine, 2, cosine.dims));
    if (cosine.dims[1] > d / 2)
        return us_eval_fail(k, US_SHAPE, "%lld angles for heads of %lld numbers",
                            (long long)cosine.dims[1], (long long)d);
    o->cosine = cosine.data;
    o->sine = sine.data;
    o->positions = cosine.dims[0];
    o->half = cosine.dims[1];
    return US_OK;
}

static us_err turn_check(us_eval *k, const turn *o, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (o->at[i] < 0 || o->at[i] >= o->positions)
            return us_eval_fail(k, US_ARG, "position %lld of a table of %lld",
                                (long long)o->at[i], (long long)o->positions);
    return US_OK;
}

/* position_ids: one per token, or one number that counts on. */
static us_err positions(us_eval *k, int64_t n, int64_t len, turn *o)
{
    const us_tensor *t;
    const int64_t *ids;
    size_t count;
    void *room;
    US_TRY(us_eval_in(k, 1, &t));
    US_TRY(us_eval_ints(k, 1, &count, &ids));
    if (t->rank == 2 && t->dims[0] == n && t->dims[1] == len) {
        o->at = ids;
        return turn_check(k, o, n * len);
    }
    if (count != 1)
        return us_eval_fail(k, US_SHAPE,
                            "position_ids is neither one number nor one per token");
    if (ids[0] < 0 || ids[0] > o->positions - len)
        return us_eval_fail(k, US_ARG, "%lld positions from %lld on of a table of %lld",
                            (long long)len, (long long)ids[0], (long long)o->positions);
    const int64_t dims[] = {n, len};
    us_tensor all;
    US_TRY(us_tensor_init(k->c, &all, US_I64, 2, dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&all) + 1, &room));
    int64_t *to = room;
    for (int64_t i = 0; i < n * len; i++)
        to[i] = ids[0] + i % len;
    o->at = to;
    return US_OK;
}

US_INFER_AS(ms_rotary_embedding, us_infer_same)

static us_err rotary_heads(us_eval *k, const us_tensor *x, us_ms_heads *o)
{
    const us_p_ms_rotary *p = k->params;
    const us_tensor *table;
    const int64_t *d = x->dims;
    int64_t h = p->num_heads;
    US_TRY(us_eval_in(k, 2, &table));
    if (x->rank == 4) {
        *o = us_ms_heads_apart(x->data, d[0], d[1], d[2], d[3]);
        return US_OK;
    }
    /* without a number of heads their size is what the table turns */
    if (x->rank == 3 && h == 0 && table->rank == 2 && table->dims[1] > 0 &&
        d[2] % (2 * table->dims[1]) == 0)
        h = d[2] / (2 * table->dims[1]);
    if (x->rank != 3 || h < 1 || d[2] % h)
        return us_eval_fail(k, US_SHAPE, "input of rank %d does not fall into %lld heads",
                            (int)x->rank, (long long)h);
    *o = us_ms_heads_packed(x->data, d[0], d[1], h, d[2] / h);
    return US_OK;
}

us_err ms_rotary_embedding_eval(us_eval *k)
{
    const us_p_ms_rotary *p = k->params;
    const us_tensor *first;
    us_tensor x, *y;
    us_ms_heads o = {0};
    turn t = {.interleaved = p->interleaved != 0};
    US_TRY(us_eval_in(k, 0, &first));
    if (us_is_half(first->dtype))
        return us_eval_widened(k, first->dtype, ms_rotary_embedding_eval);
    US_TRY(us_ms_floats(k, 0, -1, &x, NULL));
    US_TRY(rotary_heads(k, &x, &o));
    US_TRY(turn_tables(k, 2, o.d, &t));
    if (p->rotary_embedding_dim && p->rotary_embedding_dim != 2 * t.half)
        return us_eval_fail(k, US_SHAPE, "rotary_embedding_dim %lld, but %lld angles",
                            (long long)p->rotary_embedding_dim, (long long)t.half);
    US_TRY(positions(k, o.n, o.len, &t));
    US_TRY(us_eval_out(k, 0, US_F32, x.rank, x.dims, &y));
    if (us_tensor_count(&x)) memcpy(y->data, x.data, us_tensor_bytes(&x));
    for (int64_t r = 0; r < o.n * o.len; r++)
        for (int64_t h = 0; h < o.h; h++) {
            const float *from = us_ms_row(&o, r / o.len, h, r % o.len);
            turn_row(&t, r, from, (float *)y->data + (from - o.p));
        }
    return US_OK;
}

/* --- GroupQueryAttention: inference -------------------------------------------------------------------- */

us_err ms_group_query_attention_infer(us_infer *k)
{
    const us_p_ms_gqa *p = k->params;
    const us_type *q = us_infer_ranked(k, 0), *past = us_infer_ranked(k, 3);
    us_dim y[3], d, room;
    int64_t total;
    size_t n;
    if (p->num_heads < 1 || p->kv_num_heads < 1 || p->num_heads % p->kv_num_heads)
        return us_infer_fail(k, US_ARG, "kv_num_heads must divide num_heads");
    US_TRY(us_infer_rank(k, 3, US_DT_NONE, 4));
    if (!q) {
        US_TRY(us_infer_rank(k, 0, US_DT_NONE, 3));
        US_TRY(us_infer_rank(k, 1, US_DT_NONE, 4));
        return us_infer_rank(k, 2, US_DT_NONE, 4);
    }
    if (q->rank != 3 || (past && past->rank != 4))
        return us_infer_fail(k, US_SHAPE, "query has 3 dimensions, the past has 4");
    memcpy(y, q->dims, sizeof y);
    int64_t heads = us_infer_has(k, 1) ? p->num_heads : p->num_heads + 2 * p->kv_num_heads;
    US_TRY(us_dim_div(k->c, &k->m->syms, y[2], heads, &d));
    US_TRY(us_dim_mul(k->c, &k->m->syms, d, US_DIM(p->num_heads), &y[2]));
    US_TRY(us_infer_out(k, 0, US_DT_NONE, 3, y));
    bool known = us_infer_ints(k, 6, 1, &total, &n) && n == 1;
    if (known && !us_infer_has(k, 3))
        room = US_DIM(total);
    else if (known && past && us_dim_known(past->dims[2]))
        room = US_DIM(US_MAX(total, past->dims[2].add));
    else
        US_TRY(us_infer_fresh(k, &room));
    const us_dim cache[] = {y[0], US_DIM(p->kv_num_heads), room, d};
    US_TRY(us_infer_out(k, 1, US_DT_NONE, 4, cache));
    return us_infer_out(k, 2, US_DT_NONE, 4, cache);
}

/* --- GroupQueryAttention: one call --------------------------------------------------------------------- */

typedef struct gqa {
    us_ms_attend a;
    us_ms_heads k, v;    /* the new ones */
    const int64_t *keys; /* per sequence: the last key's place (seqlens_k) */
    int64_t total, room; /* total_sequence_length; steps of the present */
    int64_t *end;        /* [n, len] */
} gqa;

static us_err no_fit(us_eval *k)
{
    return us_eval_fail(k, US_SHAPE, "query, key and value do not fit each other or the heads");
}

static us_err read_qkv(us_eval *k, gqa *o)
{
    const us_p_ms_gqa *p = k->params;
    us_tensor q, key, v;
    bool has_key, has_v;
    int64_t h = p->num_heads, kv = p->kv_num_heads;
    if (h < 1 || kv < 1 || h % kv)
        return us_eval_fail(k, US_ARG, "kv_num_heads must divide num_heads");
    US_TRY(us_ms_floats(k, 0, 3, &q, NULL));
    US_TRY(us_ms_floats(k, 1, 3, &key, &has_key));
    US_TRY(us_ms_floats(k, 2, 3, &v, &has_v));
    if (has_key != has_v || h > q.dims[2] || kv > q.dims[2]) return no_fit(k);
    int64_t n = q.dims[0], len = q.dims[1], wide = q.dims[2],
            d = wide / (has_key ? h : h + 2 * kv);
    if (has_key) {
        const int64_t want[] = {n, len, kv * d};
        if (d * h != wide) return no_fit(k);
        US_TRY(us_eval_want_dims(k, 1, &key, 3, want));
        US_TRY(us_eval_want_dims(k, 2, &v, 3, want));
        o->a.q = us_ms_heads_packed(q.data, n, len, h, d);
        o->k = us_ms_heads_packed(key.data, n, len, kv, d);
        o->v = us_ms_heads_packed(v.data, n, len, kv, d);
        return US_OK;
    }
    if (d * (h + 2 * kv) != wide) return no_fit(k);
    o->a.q = (us_ms_heads){q.data, n, h, len, d, len * wide, d, wide};
    o->k = o->a.q;
    o->k.h = kv;
    o->k.p += h * d;
    o->v = o->k;
    o->v.p += kv * d;
    return US_OK;
}

/* How long each sequence is, where its new tokens go, and what each query sees. */
static us_err read_lengths(us_eval *k, gqa *o, int64_t past_room)
{
    const us_p_ms_gqa *p = k->params;
    int64_t n = o->a.q.n, len = o->a.q.len;
    size_t count;
    double total;
    void *room;
    US_TRY(us_eval_ints(k, 5, &count, &o->keys));
    US_TRY(us_eval_scalar(k, 6, -1, &total));
    if ((int64_t)count != n)
        return us_eval_fail(k, US_SHAPE, "seqlens_k wants one number per sequence");
    if (!(total >= (double)len) || total > (double)INT32_MAX)
        return us_eval_fail(k, US_ARG, "total_sequence_length %g with %lld new tokens", total,
                            (long long)len);
    o->total = (int64_t)total;
    o->room = US_MAX(o->total, past_room);
    if (p->local_window_size == 0 || p->local_window_size < -1)
        return us_eval_fail(k, US_ARG, "local_window_size %lld",
                            (long long)p->local_window_size);
    const int64_t dims[] = {n, len};
    us_tensor t;
    US_TRY(us_tensor_init(k->c, &t, US_I64, 2, dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&t) + 1, &room));
    o->end = room;
    for (int64_t b = 0; b < n; b++) {
        int64_t all = o->keys[b] + 1, before = len == o->total ? 0 : all - len;
        if (all < 0 || all > o->total || before < 0 || before + len > o->room ||
            before > past_room)
            return us_eval_fail(
                k, US_ARG,
                "sequence %lld has %lld keys with %lld new ones, the past %lld, the "
                "longest %lld",
                (long long)b, (long long)all, (long long)len, (long long)past_room,
                (long long)o->total);
        for (int64_t l = 0; l < len; l++)
            o->end[b * len + l] = US_MIN(before + l + 1, US_MAX(all, 0));
    }
    return US_OK;
}

static int64_t before_of(const gqa *o, int64_t b)
{
    return o->a.q.len == o->total ? 0 : o->keys[b] + 1 - o->a.q.len;
}

/* x turned by the positions of its tokens, as a copy. */
static us_err turned(us_eval *k, const turn *t, us_ms_heads *x)
{
    const int64_t dims[] = {x->n, x->len, x->h, x->d};
    float *to, *at;
    US_TRY(us_ms_room(k, 4, dims, &to));
    at = to;
    for (int64_t r = 0; r < x->n * x->len * x->h; r++, at += x->d) {
        const float *from = us_ms_row(x, r / x->h / x->len, r % x->h, r / x->h % x->len);
        if (x->d) memcpy(at, from, (size_t)x->d * sizeof *at);
        turn_row(t, r / x->h, from, at);
    }
    *x = us_ms_heads_packed(to, x->n, x->len, x->h, x->d);
    return US_OK;
}

static us_err rotate(us_eval *k, gqa *o)
{
    const us_p_ms_gqa *p = k->params;
    turn t = {.interleaved = p->rotary_interleaved != 0};
    int64_t n = o->a.q.n, len = o->a.q.len;
    const us_tensor *ids = us_eval_opt(k, 9);
    size_t count;
    void *room;
    if (!p->do_rotary) return US_OK;
    US_TRY(turn_tables(k, 7, o->a.q.d, &t));
    if (ids) {
        US_TRY(us_eval_want_dims(k, 9, ids, 2, (const int64_t[]){n, len}));
        US_TRY(us_eval_ints(k, 9, &count, &t.at));
    } else {
        US_TRY(us_eval_scratch(k, (size_t)(n * len + 1) * sizeof(int64_t), &room));
        int64_t *at = room;
        for (int64_t i = 0; i < n * len; i++) /* padding is nowhere */
            at[i] = US_MIN(before_of(o, i / len) + i % len, t.positions - 1);
        t.at = at;
    }
    US_TRY(turn_check(k, &t, n * len));
    US_TRY(turned(k, &t, &o->a.q));
    return turned(k, &t, &o->k);
}

/* The cache as output i: what was before of each sequence, then the new, then zeros. */
static us_err present(us_eval *k, size_t i, const us_tensor *past, const gqa *o,
                      const us_ms_heads *now, us_ms_heads *out)
{
    us_tensor *y;
    const int64_t dims[] = {now->n, now->h, o->room, now->d}, one = now->h * o->room * now->d;
    US_TRY(us_eval_out(k, i, US_F32, 4, dims, &y));
    for (int64_t b = 0; b < now->n; b++) {
        us_ms_heads x = *now;
        x.n = 1;
        x.p += b * x.sn;
        int64_t steps = past ? past->dims[2] : 0;
        us_ms_join((float *)y->data + b * one, o->room,
                   past ? (const float *)past->data + b * now->h * steps * now->d : NULL, steps,
                   before_of(o, b), &x);
    }
    *out = us_ms_heads_apart(y->data, now->n, now->h, o->room, now->d);
    return US_OK;
}

static us_err read_sink(us_eval *k, gqa *o)
{
    const us_p_ms_gqa *p = k->params;
    us_tensor sink;
    bool there;
    float *none;
    US_TRY(us_ms_floats(k, 11, 1, &sink, &there));
    if (there) {
        US_TRY(us_eval_want_dims(k, 11, &sink, 1, &p->num_heads));
        o->a.sink = sink.data;
        return US_OK;
    }
    if (p->smooth_softmax != 1) return US_OK;
    US_TRY(us_ms_room(k, 1, &p->num_heads, &none));
    memset(none, 0, (size_t)p->num_heads * sizeof *none);
    o->a.sink = none;
    return US_OK;
}

us_err ms_group_query_attention_eval(us_eval *k)
{
    const us_p_ms_gqa *p = k->params;
    const us_tensor *first;
    us_tensor pk, pv, *y, *qk;
    bool has_k, has_v;
    gqa o = {.a = {.scale = (double)p->scale, .softcap = (double)p->softcap}};
    US_TRY(us_eval_in(k, 0, &first));
    if (us_is_half(first->dtype))
        return us_eval_widened(k, first->dtype, ms_group_query_attention_eval);
    US_TRY(read_qkv(k, &o));
    US_TRY(us_ms_floats(k, 3, 4, &pk, &has_k));
    US_TRY(us_ms_floats(k, 4, 4, &pv, &has_v));
    if (has_k != has_v) return us_eval_fail(k, US_ARG, "past_key and past_value go together");
    if (has_k) {
        const int64_t want[] = {o.k.n, o.k.h, -1, o.k.d};
        US_TRY(us_eval_want_dims(k, 3, &pk, 4, want));
        US_TRY(us_eval_want_dims(k, 4, &pv, 4, pk.dims));
    }
    US_TRY(read_lengths(k, &o, has_k ? pk.dims[2] : 0));
    US_TRY(rotate(k, &o));
    US_TRY(us_eval_out(k, 0, US_F32, 3,
                       (const int64_t[]){o.a.q.n, o.a.q.len, o.a.q.h * o.a.q.d}, &y));
    US_TRY(present(k, 1, has_k ? &pk : NULL, &o, &o.k, &o.a.k));
    US_TRY(present(k, 2, has_v ? &pv : NULL, &o, &o.v, &o.a.v));
    o.a.k.len = o.a.v.len = o.total;
    US_TRY(us_ms_bias(k, 10, &o.a, &o.a));
    US_TRY(read_sink(k, &o));
    if (us_eval_wants(k, 3)) {
        US_TRY(us_eval_out(k, 3, US_F32, 4,
                           (const int64_t[]){o.a.q.n, o.a.q.h, o.a.q.len, o.total}, &qk));
        memset(qk->data, 0, us_tensor_bytes(qk));
        o.a.scores = qk->data;
        o.a.after_softmax = p->qk_output == 2;
    }
    o.a.end = o.end;
    o.a.window = p->local_window_size > 0 ? p->local_window_size + 1 : 0; /* and its own key */
    o.a.y = y->data;
    return us_ms_attend_run(k, &o.a);
}
