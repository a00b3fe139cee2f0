/* ir/op_attention.c - Attention and FlexAttention: softmax(Q K' + bias) V over heads, in double.
 *
 * Attention holds one row of scores at a time; FlexAttention needs them all, because its sub-graphs see them as
 * one tensor. Query heads share key heads in runs (grouped queries).
 *
 * Choices: a key that the bias excludes (-inf) takes no part at all, whatever number it holds; a row without any
 * key gives zeros. The bias comes after the soft cap, in every version: the first text of opset 23 had it the
 * other way round, which let masked keys leak, and was corrected with the later ones. A mask whose last dimension is
 * too short excludes the rest (the reference implementation also reads a size of 1 so). softmax_precision asks for
 * less than the double we compute in.
 */
#include "ir/op_f64.h"

#include <math.h>
#include <string.h>

/* clang-format off */
#define QKV {"Q", 'T', US_M_FLOATS, 0}, {"K", 'T', US_M_FLOATS, 0}, {"V", 'V', US_M_FLOATS, 0}
#define MASKS US_M_NUM | US_M(BOOL)
static const us_param attention_in_23[] = {
    QKV, {"attn_mask", 'U', MASKS, US_P_OPTIONAL}, {"past_key", 'T', US_M_FLOATS, US_P_OPTIONAL},
    {"past_value", 'V', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param attention_in[] = {
    QKV, {"attn_mask", 'U', MASKS, US_P_OPTIONAL}, {"past_key", 'T', US_M_FLOATS, US_P_OPTIONAL},
    {"past_value", 'V', US_M_FLOATS, US_P_OPTIONAL},
    {"nonpad_kv_seqlen", 'I', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_param attention_out[] = {
    {"Y", 'T', US_M_FLOATS, 0}, {"present_key", 'T', US_M_FLOATS, US_P_OPTIONAL},
    {"present_value", 'V', US_M_FLOATS, US_P_OPTIONAL},
    {"qk_matmul_output", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
#define ATTRS                                                                                               \
    US_AI(us_p_attention, is_causal, "is_causal", 0), US_AI(us_p_attention, kv_num_heads, "kv_num_heads", 0),  \
    US_AI(us_p_attention, q_num_heads, "q_num_heads", 0),                                                   \
    US_AI(us_p_attention, qk_matmul_output_mode, "qk_matmul_output_mode", 0),                               \
    {.name = "scale", .kind = US_AT_FLOAT, .offset = offsetof(us_p_attention, scale),                       \
     .has_offset = offsetof(us_p_attention, has_scale)},                                                    \
    US_AF(us_p_attention, softcap, "softcap", 0),                                                           \
    US_AI(us_p_attention, softmax_precision, "softmax_precision", 0)
static const us_attr_row attention_attrs_23[] = {
    ATTRS, US_ATTR_END};
static const us_attr_row attention_attrs[] = {
    ATTRS, US_AI(us_p_attention, left_window_size, "left_window_size", -1),
    US_AI(us_p_attention, right_window_size, "right_window_size", -1), US_ATTR_END};
const us_schema attention_schemas[] = {
    {23, attention_in_23, attention_out, attention_attrs_23, sizeof(us_p_attention), NULL},
    {24, attention_in, attention_out, attention_attrs_23, sizeof(us_p_attention), NULL},
    {25, attention_in, attention_out, attention_attrs, sizeof(us_p_attention), NULL},
    {0}};

static const us_param flex_in[] = {
    {"Q", 'T', US_M_FLOATS, 0}, {"K", 'T', US_M_FLOATS, 0}, {"V", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param flex_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row flex_attrs[] = {
    {.name = "prob_mod", .kind = US_AT_GRAPH, .offset = offsetof(us_p_flex_attention, prob_mod)},
    {.name = "scale", .kind = US_AT_FLOAT, .offset = offsetof(us_p_flex_attention, scale),
     .has_offset = offsetof(us_p_flex_attention, has_scale)},
    {.name = "score_mod", .kind = US_AT_GRAPH, .offset = offsetof(us_p_flex_attention, score_mod)},
    US_AI(us_p_flex_attention, softmax_precision, "softmax_precision", 0), US_ATTR_END};
const us_schema flex_attention_schemas[] = {
    {1, flex_in, flex_out, flex_attrs, sizeof(us_p_flex_attention), NULL},
    {0}};
/* clang-format on */

/* --- heads ------------------------------------------------------------------------------------------- */

/* Queries, keys or values: element (b, h, l, e) lies at p[b * sn + h * sh + l * sl + e]. */
typedef struct heads {
    const double *p;
    int64_t n, h, len, d;
    int64_t sn, sh, sl;
} heads;

static const double *row_of(const heads *a, int64_t b, int64_t h, int64_t l)
{
    return a->p + b * a->sn + h * a->sh + l * a->sl;
}

/* [n,h,len,d], or [n,len,h*d] with the number of heads from an attribute. */
static us_err read_heads(us_eval *k, size_t i, int64_t n_heads, heads *o)
{
    us_tensor t;
    US_TRY(us_eval_f64(k, i, -1, &t, NULL));
    if (t.rank == 4) {
        *o = (heads){t.data, t.dims[0], t.dims[1], t.dims[2], t.dims[3], 0, 0, t.dims[3]};
        o->sh = o->len * o->d;
        o->sn = o->h * o->sh;
        return US_OK;
    }
    if (t.rank != 3)
        return us_eval_fail(k, US_SHAPE, "input %zu has rank %d, expected 3 or 4", i,
                            (int)t.rank);
    if (n_heads < 1 || t.dims[2] % n_heads)
        return us_eval_fail(k, US_SHAPE, "%lld numbers do not fall into %lld heads",
                            (long long)t.dims[2], (long long)n_heads);
    *o = (heads){t.data, t.dims[0], n_heads, t.dims[1], t.dims[2] / n_heads, 0, 0, t.dims[2]};
    o->sh = o->d;
    o->sn = o->len * t.dims[2];
    return US_OK;
}

static us_err check_heads(us_eval *k, const heads *q, const heads *key, const heads *v)
{
    if (q->n != key->n || q->n != v->n || key->h != v->h || key->len != v->len ||
        q->d != key->d)
        return us_eval_fail(k, US_SHAPE,
                            "Q, K and V do not agree: batch %lld %lld %lld, heads %lld %lld "
                            "%lld, length %lld %lld %lld, size of a head %lld %lld %lld",
                            (long long)q->n, (long long)key->n, (long long)v->n,
                            (long long)q->h, (long long)key->h, (long long)v->h,
                            (long long)q->len, (long long)key->len, (long long)v->len,
                            (long long)q->d, (long long)key->d, (long long)v->d);
    if (q->h && (!key->h || q->h % key->h))
        return us_eval_fail(k, US_SHAPE, "%lld query heads cannot share %lld key heads",
                            (long long)q->h, (long long)key->h);
    return US_OK;
}

/* Each query looks at each key and value. */
static us_err pair_work(us_eval *k, const heads *q, const heads *key, const heads *v)
{
    return us_eval_work(k, (double)q->n * (double)q->h * (double)q->len * (double)key->len *
                               (double)(q->d + v->d + 1));
}

/* o = past and o along the length, contiguous as [n,h,len,d]. */
static us_err join_past(us_eval *k, size_t i, heads *o, int64_t *past)
{
    us_tensor t;
    bool there;
    double *room;
    US_TRY(us_eval_f64(k, i, -1, &t, &there));
    const int64_t want[] = {o->n, o->h, -1, o->d};
    if (there) US_TRY(us_eval_want_dims(k, i, &t, 4, want));
    *past = there ? t.dims[2] : 0;
    const int64_t dims[] = {o->n, o->h, *past + o->len, o->d};
    US_TRY(us_eval_room(k, 4, dims, &room));
    double *to = room;
    for (int64_t r = 0; r < o->n * o->h; r++) {
        size_t old = (size_t)(*past * o->d);
        if (old) memcpy(to, (const double *)t.data + r * (int64_t)old, old * sizeof *to);
        to += old;
        for (int64_t l = 0; l < o->len && o->d; l++, to += o->d)
            memcpy(to, row_of(o, r / o->h, r % o->h, l), (size_t)o->d * sizeof *to);
    }
    *o = (heads){room, o->n, o->h, dims[2], o->d, 0, dims[2] * o->d, o->d};
    o->sn = o->h * o->sh;
    return US_OK;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += a[i] * b[i];
    return s;
}

/* Softmax of n scores in place; no score above -inf: zeros. */
static void softmax(double *s, int64_t n)
{
    double top = -(double)INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (s[i] > top || isnan(s[i])) top = s[i];
    if (isinf(top) && top < 0) {
        memset(s, 0, (size_t)n * sizeof *s);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        s[i] = exp(s[i] - top);
        sum += s[i];
    }
    for (int64_t i = 0; i < n; i++)
        s[i] /= sum;
}

/* y = sum of p[j] * row j of the values; rows with no weight are not looked at. */
static void weigh(double *y, const double *p, const heads *v, int64_t b, int64_t h)
{
    memset(y, 0, (size_t)v->d * sizeof *y);
    for (int64_t j = 0; j < v->len; j++) {
        const double *x = row_of(v, b, h, j);
        if (p[j] == 0) continue;
        for (int64_t e = 0; e < v->d; e++)
            y[e] += p[j] * x[e];
    }
}

/* --- Attention --------------------------------------------------------------------------------------- */

/* Heads, length and size of a head of an input as known dimensions. */
static us_err infer_heads(us_infer *k, size_t i, int64_t n_heads, us_dim d[3])
{
    const us_type *t = us_infer_ranked(k, i);
    if (t && t->rank == 4) {
        memcpy(d, t->dims + 1, 3 * sizeof *d);
        return US_OK;
    }
    if (t && t->rank == 3 && n_heads > 0) {
        d[0] = US_DIM(n_heads);
        d[1] = t->dims[1];
        return us_dim_div(k->c, &k->m->syms, t->dims[2], n_heads, &d[2]);
    }
    if (t) return us_infer_fail(k, US_SHAPE, "Q, K and V have 4 dimensions, or 3 and heads");
    for (int j = 0; j < 3; j++)
        US_TRY(us_infer_fresh(k, &d[j]));
    return US_OK;
}

us_err attention_infer(us_infer *k)
{
    const us_p_attention *p = k->params;
    const us_type *q = us_infer_ranked(k, 0), *past = us_infer_ranked(k, 4);
    us_dim n, dq[3], dk[3], dv[3], total;
    if (!q) return US_OK;
    US_TRY(infer_heads(k, 0, p->q_num_heads, dq));
    n = q->dims[0];
    US_TRY(infer_heads(k, 1, p->kv_num_heads, dk));
    US_TRY(infer_heads(k, 2, p->kv_num_heads, dv));
    if (q->rank == 4) {
        const us_dim y[] = {n, dq[0], dq[1], dv[2]};
        US_TRY(us_infer_out(k, 0, US_DT_NONE, 4, y));
    } else {
        us_dim y[] = {n, dq[1], dv[2]};
        US_TRY(us_dim_mul(k->c, &k->m->syms, dq[0], dv[2], &y[2]));
        US_TRY(us_infer_out(k, 0, US_DT_NONE, 3, y));
    }
    if (!us_infer_has(k, 4))
        total = dk[1];
    else if (past && past->rank == 4)
        US_TRY(us_dim_add(k->c, &k->m->syms, past->dims[2], dk[1], &total));
    else
        US_TRY(us_infer_fresh(k, &total));
    const us_dim key[] = {n, dk[0], total, dk[2]}, val[] = {n, dk[0], total, dv[2]},
                 qk[] = {n, dq[0], dq[1], total};
    US_TRY(us_infer_out(k, 1, US_DT_NONE, 4, key));
    US_TRY(us_infer_out(k, 2, US_DT_NONE, 4, val));
    return us_infer_out(k, 3, US_DT_NONE, 4, qk);
}

/* What is added to the scores. */
typedef struct bias {
    const us_p_attention *p;
    const double *mask; /* NULL: none */
    bool truth;         /* the mask is of truth values */
    int64_t stride[3];  /* of batch, head, query; 0 broadcasts */
    int64_t n_mask;     /* keys it speaks of */
    const int64_t *valid;
    int64_t past, len;
} bias;

static us_err read_mask(us_eval *k, const heads *q, int64_t total, bias *o)
{
    us_tensor t;
    bool there;
    US_TRY(us_eval_f64(k, 3, -1, &t, &there));
    if (!there) return US_OK;
    const int64_t want[] = {q->n, q->h, q->len};
    if (t.rank < 1 || t.rank > 4 || t.dims[t.rank - 1] > total)
        return us_eval_fail(k, US_SHAPE, "attn_mask of rank %d for %lld keys", (int)t.rank,
                            (long long)total);
    o->mask = t.data;
    o->truth = k->in[3]->t.dtype == US_BOOL;
    o->n_mask = t.dims[t.rank - 1];
    int64_t stride = o->n_mask;
    for (int d = t.rank - 2, w = 2; d >= 0; d--, w--) {
        if (t.dims[d] != 1 && t.dims[d] != want[w])
            return us_eval_fail(k, US_SHAPE, "attn_mask has %lld in dimension %d, not %lld",
                                (long long)t.dims[d], d, (long long)want[w]);
        o->stride[w] = t.dims[d] == 1 ? 0 : stride;
        stride *= t.dims[d];
    }
    return US_OK;
}

static us_err read_bias(us_eval *k, const heads *q, int64_t total, int64_t past, bias *o)
{
    size_t n;
    *o = (bias){.p = k->params, .past = past, .len = q->len};
    US_TRY(read_mask(k, q, total, o));
    US_TRY(us_eval_ints(k, 6, &n, &o->valid));
    if (o->valid && (n != (size_t)q->n || us_eval_opt(k, 4)))
        return us_eval_fail(k, US_ARG,
                            "nonpad_kv_seqlen wants one number per sequence, and no past_key");
    if (o->p->left_window_size < -1 || o->p->right_window_size < -1)
        return us_eval_fail(k, US_ARG, "a window is less than -1");
    return US_OK;
}

/* Whether query l of sequence b may look at key j as far as attributes and lengths say. */
static bool in_sight(const bias *a, int64_t b, int64_t l, int64_t j)
{
    int64_t valid = a->valid ? US_MAX(US_MIN(a->valid[b], US_MAX_ELEMENTS), 0) : 0;
    int64_t at = l + (a->valid ? valid - a->len : a->past);
    if (a->valid && j >= valid) return false;
    if (a->p->is_causal && j > at) return false;
    if (a->p->left_window_size >= 0 && at - j > a->p->left_window_size) return false;
    return a->p->right_window_size < 0 || j - at <= a->p->right_window_size;
}

static double bias_at(const bias *a, int64_t b, int64_t h, int64_t l, int64_t j)
{
    if (!in_sight(a, b, l, j)) return -(double)INFINITY;
    if (!a->mask) return 0;
    if (j >= a->n_mask) return -(double)INFINITY;
    double m = a->mask[b * a->stride[0] + h * a->stride[1] + l * a->stride[2] + j];
    if (a->truth) return m != 0 ? 0 : -(double)INFINITY;
    return m;
}

enum { MODE_RAW, MODE_CAPPED, MODE_BIASED, MODE_PROBABILITIES, N_MODES };

/* The probabilities of one query in s; `shown` (NULL: not wanted) gets what the mode asks for. */
static void one_query(const bias *a, const heads *q, const heads *key, const int64_t at[3],
                      double scale, double *s, double *shown)
{
    int64_t b = at[0], h = at[1], l = at[2], kh = h / (q->h / key->h), n = key->len;
    const double *x = row_of(q, b, h, l);
    double cap = (double)a->p->softcap;
    for (int64_t j = 0; j < n; j++) {
        double add = bias_at(a, b, h, l, j), v = scale * dot(x, row_of(key, b, kh, j), q->d);
        double capped = cap > 0 ? cap * tanh(v / cap) : v;
        s[j] = isinf(add) && add < 0 ? add : capped + add;
        if (shown)
            shown[j] = a->p->qk_matmul_output_mode == MODE_RAW      ? v
                       : a->p->qk_matmul_output_mode == MODE_CAPPED ? capped
                                                                    : s[j];
    }
    softmax(s, n);
    if (shown && a->p->qk_matmul_output_mode == MODE_PROBABILITIES)
        memcpy(shown, s, (size_t)n * sizeof *s);
}

static us_err attend(us_eval *k, const heads *q, const heads *key, const heads *v,
                     const bias *a)
{
    const us_p_attention *p = k->params;
    const us_dtype t = k->in[0]->t.dtype;
    const bool packed = k->in[0]->t.rank == 3;
    const int64_t yd[] = {q->n, q->h, q->len, v->d}, qkd[] = {q->n, q->h, q->len, key->len};
    double *y, *s, *shown = NULL, scale = (double)p->scale;
    if (!p->has_scale) scale = 1 / sqrt((double)US_MAX(q->d, 1));
    US_TRY(pair_work(k, q, key, v));
    US_TRY(us_eval_room(k, 4, yd, &y));
    US_TRY(us_eval_room(k, 1, &key->len, &s));
    if (us_eval_wants(k, 3)) US_TRY(us_eval_room(k, 4, qkd, &shown));
    for (int64_t b = 0; b < q->n; b++)
        for (int64_t h = 0; h < q->h; h++)
            for (int64_t l = 0; l < q->len; l++) {
                int64_t r = (b * q->h + h) * q->len + l;
                one_query(a, q, key, (const int64_t[]){b, h, l}, scale, s,
                          shown ? shown + r * key->len : NULL);
                weigh(y + (packed ? (b * q->len + l) * q->h + h : r) * v->d, s, v, b,
                      h / (q->h / key->h));
            }
    int64_t wide[] = {q->n, q->len, q->h * v->d};
    US_TRY(us_eval_put_f64(k, 0, t, packed ? 3 : 4, packed ? wide : yd, y));
    return us_eval_put_f64(k, 3, t, 4, qkd, shown);
}

us_err attention_eval(us_eval *k)
{
    const us_p_attention *p = k->params;
    heads q, key, v;
    int64_t past = 0, past_v = 0;
    bias a;
    US_TRY(read_heads(k, 0, p->q_num_heads, &q));
    US_TRY(read_heads(k, 1, p->kv_num_heads, &key));
    US_TRY(read_heads(k, 2, p->kv_num_heads, &v));
    US_TRY(check_heads(k, &q, &key, &v));
    if (p->qk_matmul_output_mode < 0 || p->qk_matmul_output_mode >= N_MODES)
        return us_eval_fail(k, US_ARG, "qk_matmul_output_mode %lld",
                            (long long)p->qk_matmul_output_mode);
    if (us_eval_opt(k, 4) || us_eval_wants(k, 1)) US_TRY(join_past(k, 4, &key, &past));
    if (us_eval_opt(k, 5) || us_eval_wants(k, 2)) US_TRY(join_past(k, 5, &v, &past_v));
    if (past != past_v && (us_eval_opt(k, 4) || us_eval_opt(k, 5)))
        return us_eval_fail(k, US_SHAPE, "past_key has %lld steps, past_value %lld",
                            (long long)past, (long long)past_v);
    US_TRY(read_bias(k, &q, key.len, past, &a));
    US_TRY(attend(k, &q, &key, &v, &a));
    const int64_t kd[] = {key.n, key.h, key.len, key.d}, vd[] = {v.n, v.h, v.len, v.d};
    US_TRY(us_eval_put_f64(k, 1, k->in[1]->t.dtype, 4, kd, key.p));
    return us_eval_put_f64(k, 2, k->in[2]->t.dtype, 4, vd, v.p);
}

/* --- FlexAttention ----------------------------------------------------------------------------------- */

us_err flex_attention_infer(us_infer *k)
{
    const us_type *q = us_infer_ranked(k, 0), *v = us_infer_ranked(k, 2);
    if ((q && q->rank != 4) || (v && v->rank != 4))
        return us_infer_fail(k, US_SHAPE, "Q, K and V have 4 dimensions");
    if (!q || !v) return us_infer_rank(k, 0, US_DT_NONE, 4);
    const us_dim y[] = {q->dims[0], q->dims[1], q->dims[2], v->dims[3]};
    return us_infer_out(k, 0, US_DT_NONE, 4, y);
}

/* Scores through a sub-graph that sees them as elements of type t; *s becomes what it gives. */
static us_err modify(us_eval *k, us_graph *sub, us_dtype t, const int64_t *dims, double *s)
{
    us_tensor all, typed;
    us_value in, out = {0};
    const us_value *pin = &in;
    if (!sub) return US_OK;
    if (!k->env->sub_run) return us_eval_fail(k, US_UNSUPP, "no sub-graphs can run here");
    US_TRY(us_tensor_init(k->c, &all, US_F64, 4, dims, s));
    US_TRY(us_eval_as(k, &all, t, &typed));
    in = us_value_of(&typed);
    US_TRY(k->env->sub_run(k->env, k, sub, 1, &pin, 1, &out));
    if (out.kind != US_KIND_TENSOR || !us_tensor_same_dims(&out.t, &all) ||
        us_dtype_get(out.t.dtype)->cls != US_DC_FLOAT)
        return us_eval_fail(k, US_SHAPE, "a modifier gives another type or shape than it gets");
    US_TRY(out.t.dtype == US_F64 ? us_tensor_copy(k->c, &all, &out.t)
                                 : us_tensor_convert(k->c, &all, &out.t));
    if (k->env->release) k->env->release(k->env, k, &out);
    return US_OK;
}

us_err flex_attention_eval(us_eval *k)
{
    const us_p_flex_attention *p = k->params;
    heads q, key, v;
    double *s, *y, scale = (double)p->scale;
    for (size_t i = 0; i < 3; i++) {
        const us_tensor *t;
        US_TRY(us_eval_in(k, i, &t));
        if (t->rank != 4)
            return us_eval_fail(k, US_SHAPE, "input %zu has rank %d, expected 4", i,
                                (int)t->rank);
    }
    US_TRY(read_heads(k, 0, 0, &q));
    US_TRY(read_heads(k, 1, 0, &key));
    US_TRY(read_heads(k, 2, 0, &v));
    US_TRY(check_heads(k, &q, &key, &v));
    if (!p->has_scale) scale = 1 / sqrt((double)US_MAX(q.d, 1));
    us_dtype in = k->in[0]->t.dtype, t = in == US_F64 ? US_F64 : US_F32;
    if (p->softmax_precision) t = (us_dtype)p->softmax_precision;
    if (t != US_F32 && t != US_F64 && !us_is_half(t))
        return us_eval_fail(k, US_ARG, "softmax_precision %lld is no type for it",
                            (long long)p->softmax_precision);
    const int64_t dims[] = {q.n, q.h, q.len, key.len}, yd[] = {q.n, q.h, q.len, v.d};
    US_TRY(pair_work(k, &q, &key, &v));
    US_TRY(us_eval_room(k, 4, dims, &s));
    US_TRY(us_eval_room(k, 4, yd, &y));
    int64_t rows = q.n * q.h * q.len, share = q.h ? q.h / key.h : 1;
    for (int64_t r = 0; r < rows; r++) {
        int64_t l = r % q.len, h = r / q.len % q.h, b = r / q.len / q.h;
        for (int64_t j = 0; j < key.len; j++)
            s[r * key.len + j] =
                scale * dot(row_of(&q, b, h, l), row_of(&key, b, h / share, j), q.d);
    }
    US_TRY(modify(k, p->score_mod, t, dims, s));
    for (int64_t r = 0; r < rows; r++)
        softmax(s + r * key.len, key.len);
    US_TRY(modify(k, p->prob_mod, t, dims, s));
    for (int64_t r = 0; r < rows; r++)
        weigh(y + r * v.d, s + r * key.len, &v, r / q.len / q.h, r / q.len % q.h / share);
    return us_eval_put_f64(k, 0, in, 4, yd, y);
}
