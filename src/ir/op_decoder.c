/* ir/op_decoder.c - pieces of decoders of language models: RotaryEmbedding, CausalConvWithState,
 * LinearAttention, SwiGLU; in double.
 *
 * All but LinearAttention expand into core operators where sizes are known; LinearAttention is a recurrence over
 * time with a matrix as state, for which the core set has only Scan.
 */
#include "ir/op_f64.h"

#include <math.h>
#include <string.h>

/* clang-format off */
#define FLOATS3 (US_M(F32) | US_M(F16) | US_M(BF16))
static const us_param rotary_embedding_in[] = {
    {"X", 'T', FLOATS3, 0}, {"cos_cache", 'T', FLOATS3, 0}, {"sin_cache", 'T', FLOATS3, 0},
    {"position_ids", 'M', US_M(I64), US_P_OPTIONAL}, US_PARAM_END};
static const us_param rotary_embedding_out[] = {{"Y", 'T', FLOATS3, 0}, US_PARAM_END};
static const us_attr_row rotary_embedding_attrs[] = {
    US_AI(us_p_rotary_embedding, interleaved, "interleaved", 0),
    US_AI(us_p_rotary_embedding, num_heads, "num_heads", 0),
    US_AI(us_p_rotary_embedding, rotary_embedding_dim, "rotary_embedding_dim", 0), US_ATTR_END};
const us_schema rotary_embedding_schemas[] = {
    {23, rotary_embedding_in, rotary_embedding_out, rotary_embedding_attrs, sizeof(us_p_rotary_embedding), NULL},
    {0}};

static const us_param causal_conv_in[] = {
    {"input", 'T', FLOATS3, 0}, {"weight", 'T', FLOATS3, 0}, {"bias", 'T', FLOATS3, US_P_OPTIONAL},
    {"past_state", 'T', FLOATS3, US_P_OPTIONAL}, US_PARAM_END};
static const us_param causal_conv_out[] = {
    {"output", 'T', FLOATS3, 0}, {"present_state", 'T', FLOATS3, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row causal_conv_attrs[] = {
    US_AS(us_p_causal_conv_with_state, activation, "activation", "none"), US_ATTR_END};
const us_schema causal_conv_with_state_schemas[] = {
    {27, causal_conv_in, causal_conv_out, causal_conv_attrs, sizeof(us_p_causal_conv_with_state), NULL},
    {0}};

static const us_param linear_attention_in[] = {
    {"query", 'T', FLOATS3, 0}, {"key", 'T', FLOATS3, 0}, {"value", 'T', FLOATS3, 0},
    {"past_state", 'S', FLOATS3, US_P_OPTIONAL}, {"decay", 'T', FLOATS3, US_P_OPTIONAL},
    {"beta", 'T', FLOATS3, US_P_OPTIONAL}, US_PARAM_END};
static const us_param linear_attention_out[] = {
    {"output", 'T', FLOATS3, 0}, {"present_state", 'S', FLOATS3, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row linear_attention_attrs[] = {
    US_AI(us_p_linear_attention, chunk_size, "chunk_size", 64),
    {.name = "kv_num_heads", .kind = US_AT_INT, .offset = offsetof(us_p_linear_attention, kv_num_heads), .required = true},
    {.name = "q_num_heads", .kind = US_AT_INT, .offset = offsetof(us_p_linear_attention, q_num_heads), .required = true},
    US_AF(us_p_linear_attention, scale, "scale", 0),
    US_AS(us_p_linear_attention, update_rule, "update_rule", "gated_delta"), US_ATTR_END};
const us_schema linear_attention_schemas[] = {
    {27, linear_attention_in, linear_attention_out, linear_attention_attrs, sizeof(us_p_linear_attention), NULL},
    {0}};

static const us_param swiglu_in[] = {{"A", 'T', US_M_FLOATS, 0}, {"B", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param swiglu_out[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_attr_row swiglu_attrs[] = {US_AF(us_p_swiglu, alpha, "alpha", 1), US_ATTR_END};
const us_schema swiglu_schemas[] = {
    {28, swiglu_in, swiglu_out, swiglu_attrs, sizeof(us_p_swiglu), NULL},
    {0}};
/* clang-format on */

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* Size of dimension d of input i when it is known, else -1. */
static int64_t known(const us_graph *g, us_nid n, size_t i, int rank, int d)
{
    const us_node *nd = &g->nodes.at[n];
    if (i >= nd->n_in || nd->in[i] == US_NIL) return -1;
    const us_type *t = &g->vals.at[nd->in[i]].type;
    if (t->kind != US_KIND_TENSOR || t->rank != rank || !us_dim_known(t->dims[d])) return -1;
    return t->dims[d].add;
}

static us_err expand_as(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *text)
{
    return text ? us_expand_text(c, m, g, n, text) : us_arena_fail(c, m->arena);
}

/* --- SwiGLU ------------------------------------------------------------------------------------------ */

US_INFER_AS(swiglu, us_infer_same)
US_EXPAND(swiglu, "y = Mul(Mul(x0, Sigmoid(Mul(x0, $alpha))), x1)")

us_err swiglu_eval(us_eval *k)
{
    const us_p_swiglu *p = k->params;
    us_tensor a, b;
    double *y;
    US_TRY(us_eval_f64(k, 0, -1, &a, NULL));
    US_TRY(us_eval_f64(k, 1, -1, &b, NULL));
    US_TRY(us_eval_want_dims(k, 1, &b, a.rank, a.dims));
    US_TRY(us_eval_room(k, a.rank, a.dims, &y));
    for (int64_t i = 0; i < us_tensor_count(&a); i++) {
        double v = ((const double *)a.data)[i];
        y[i] = v * sigmoid((double)p->alpha * v) * ((const double *)b.data)[i];
    }
    return us_eval_put_f64(k, 0, k->in[0]->t.dtype, a.rank, a.dims, y);
}

/* --- RotaryEmbedding --------------------------------------------------------------------------------- */

US_INFER_AS(rotary_embedding, us_infer_same)

/* Sizes of one call; element (b, h, s, e) of X is at b * sb + h * sh + s * ss + e. */
typedef struct rotary {
    int64_t n, heads, len, size, turn; /* turn: numbers of a head that are rotated */
    int64_t sb, sh, ss;
} rotary;

static us_err rotary_sizes(us_eval *k, const us_tensor *x, rotary *o)
{
    const us_p_rotary_embedding *p = k->params;
    const int64_t *d = x->dims;
    if (x->rank == 4) {
        *o = (rotary){d[0], d[1], d[2], d[3], 0, d[1] * d[2] * d[3], d[2] * d[3], d[3]};
    } else if (x->rank == 3 && p->num_heads > 0 && d[2] % p->num_heads == 0) {
        int64_t size = d[2] / p->num_heads;
        *o = (rotary){d[0], p->num_heads, d[1], size, 0, d[1] * d[2], size, d[2]};
    } else {
        return us_eval_fail(k, US_SHAPE,
                            "X of rank %d with %lld heads; expected 4, or 3 and a divisor",
                            (int)x->rank, (long long)p->num_heads);
    }
    o->turn = p->rotary_embedding_dim ? p->rotary_embedding_dim : o->size;
    if (o->turn < 0 || o->turn > o->size || o->turn % 2)
        return us_eval_fail(k, US_SHAPE, "%lld of %lld numbers cannot be turned in pairs",
                            (long long)o->turn, (long long)o->size);
    return US_OK;
}

/* The angles' row of each token: its position, or its own row without position_ids. */
static us_err rotary_rows(us_eval *k, const rotary *o, const us_tensor *cosine,
                          const us_tensor *sine, const int64_t **at)
{
    const us_tensor *ids = us_eval_opt(k, 3);
    const int64_t table[] = {-1, o->turn / 2}, rows[] = {o->n, o->len, o->turn / 2};
    size_t n;
    US_TRY(us_eval_want_dims(k, 1, cosine, ids ? 2 : 3, ids ? table : rows));
    US_TRY(us_eval_want_dims(k, 2, sine, cosine->rank, cosine->dims));
    US_TRY(us_eval_ints(k, 3, &n, at));
    if (!ids) return US_OK;
    US_TRY(us_eval_want_dims(k, 3, ids, 2, rows));
    for (size_t i = 0; i < n; i++)
        if ((*at)[i] < 0 || (*at)[i] >= cosine->dims[0])
            return us_eval_fail(k, US_ARG, "position %lld of a table of %lld",
                                (long long)(*at)[i], (long long)cosine->dims[0]);
    return US_OK;
}

us_err rotary_embedding_eval(us_eval *k)
{
    const us_p_rotary_embedding *p = k->params;
    us_tensor x, cosine, sine;
    rotary o = {0};
    const int64_t *at;
    double *y;
    US_TRY(us_eval_f64(k, 0, -1, &x, NULL));
    US_TRY(us_eval_f64(k, 1, -1, &cosine, NULL));
    US_TRY(us_eval_f64(k, 2, -1, &sine, NULL));
    US_TRY(rotary_sizes(k, &x, &o));
    US_TRY(rotary_rows(k, &o, &cosine, &sine, &at));
    US_TRY(us_eval_room(k, x.rank, x.dims, &y));
    if (us_tensor_count(&x)) memcpy(y, x.data, us_tensor_bytes(&x));
    int64_t half = o.turn / 2, step = p->interleaved ? 2 : 1, apart = p->interleaved ? 1 : half;
    for (int64_t i = 0; i < o.n * o.len; i++) {
        int64_t row = (at ? at[i] : i) * half;
        for (int64_t h = 0; h < o.heads; h++) {
            double *v = y + i / o.len * o.sb + h * o.sh + i % o.len * o.ss;
            for (int64_t e = 0; e < half; e++) {
                double a = v[e * step], b = v[e * step + apart];
                double cs = ((const double *)cosine.data)[row + e],
                       sn = ((const double *)sine.data)[row + e];
                v[e * step] = cs * a - sn * b;
                v[e * step + apart] = sn * a + cs * b;
            }
        }
    }
    return us_eval_put_f64(k, 0, k->in[0]->t.dtype, x.rank, x.dims, y);
}

/* The heads apart, the pairs by slices, the parts together again. */
us_err rotary_embedding_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_node *nd = &g->nodes.at[n];
    const us_p_rotary_embedding *p = nd->params;
    const us_type *x = &g->vals.at[nd->in[0]].type;
    bool packed = x->kind == US_KIND_TENSOR && x->rank == 3 && p->num_heads > 0;
    bool ids = nd->n_in > 3 && nd->in[3] != US_NIL;
    int64_t size = packed ? known(g, n, 0, 3, 2) : known(g, n, 0, 4, 3);
    if (size > 0 && packed) size /= p->num_heads;
    int64_t turn = p->rotary_embedding_dim ? p->rotary_embedding_dim : size;
    if (size < 1 || turn < 2 || turn > size)
        return us_upgrade_fail(c, g, n, "expanding needs the size of a head");
    bool woven = p->interleaved != 0;
    long long half = (long long)turn / 2, all = (long long)turn, end = (long long)size;
    int axis = packed ? 2 : 1, step = woven ? 2 : 1;
    char *head = packed ? us_str_printf(m->arena, "v = Reshape(x0, [0, 0, %lld, %lld]);",
                                        (long long)p->num_heads, end)
                        : us_str_printf(m->arena, "v = x0;");
    char *angles =
        ids ? us_str_printf(m->arena,
                            "c = Unsqueeze(Gather(x1, x3), [%d]);"
                            "s = Unsqueeze(Gather(x2, x3), [%d]);",
                            axis, axis)
            : us_str_printf(m->arena, "c = Unsqueeze(x1, [%d]); s = Unsqueeze(x2, [%d]);", axis,
                            axis);
    char *pairs = us_str_printf(m->arena,
                                "a = Slice(v, [0], [%lld], [3], [%d]);"
                                "b = Slice(v, [%lld], [%lld], [3], [%d]);"
                                "i = Sub(Mul(c, a), Mul(s, b)); j = Add(Mul(s, a), Mul(c, b));",
                                woven ? all : half, step, woven ? 1 : half, all, step);
    char *rest =
        turn < size
            ? us_str_printf(m->arena, "u = Concat<axis=3>(t, Slice(v, [%lld], [%lld], [3]));",
                            all, end)
            : us_str_printf(m->arena, "u = t;");
    if (!head || !angles || !pairs || !rest) return us_arena_fail(c, m->arena);
    return expand_as(
        c, m, g, n,
        us_str_printf(m->arena, "%s%s%s%s%s%s", head, angles, pairs,
                      woven
                          ? "t = Reshape(Concat<axis=4>(Unsqueeze(i, [4]), Unsqueeze(j, [4])),"
                            "[0, 0, 0, -1]);"
                          : "t = Concat<axis=3>(i, j);",
                      rest, packed ? "y = Reshape(u, [0, 0, -1])" : "y = u"));
}

/* --- CausalConvWithState ----------------------------------------------------------------------------- */

us_err causal_conv_with_state_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0), *w = us_infer_ranked(k, 1);
    if ((x && x->rank != 3) || (w && w->rank != 3))
        return us_infer_fail(k, US_SHAPE, "input and weight have three dimensions");
    US_TRY(us_infer_same(k));
    if (!x || !w) return us_infer_rank(k, 1, US_DT_NONE, 3);
    us_dim d[] = {x->dims[0], x->dims[1], w->dims[2]};
    US_TRY(us_dim_add(k->c, &k->m->syms, d[2], US_DIM(-1), &d[2]));
    return us_infer_out(k, 1, US_DT_NONE, 3, d);
}

/* One channel of one sequence: `past` holds the taps - 1 numbers before x. */
static void causal_line(double *y, double *state, const double *x, const double *past,
                        const double *w, int64_t len, int64_t taps)
{
    int64_t before = taps - 1;
    for (int64_t t = 0; t < len; t++)
        for (int64_t j = 0; j < taps; j++) {
            int64_t at = t - before + j;
            y[t] += w[j] * (at >= 0 ? x[at] : past ? past[before + at] : 0);
        }
    for (int64_t j = 0; j < before; j++) {
        int64_t at = len - before + j;
        state[j] = at >= 0 ? x[at] : past ? past[before + at] : 0;
    }
}

us_err causal_conv_with_state_eval(us_eval *k)
{
    const us_p_causal_conv_with_state *p = k->params;
    us_tensor x, w, bias, past;
    bool has_bias, has_past, silu = !us_sv_is(p->activation, "none");
    double *y, *state;
    if (silu && !us_sv_is(p->activation, "silu") && !us_sv_is(p->activation, "swish"))
        return us_eval_fail(k, US_ARG, "activation '" US_SV_FMT "'", US_SV_ARG(p->activation));
    US_TRY(us_eval_f64(k, 0, 3, &x, NULL));
    US_TRY(us_eval_f64(k, 1, 3, &w, NULL));
    US_TRY(us_eval_f64(k, 2, 1, &bias, &has_bias));
    US_TRY(us_eval_f64(k, 3, 3, &past, &has_past));
    int64_t n = x.dims[0], ch = x.dims[1], len = x.dims[2], taps = w.dims[2];
    const int64_t wd[] = {ch, 1, -1}, sd[] = {n, ch, taps - 1};
    US_TRY(us_eval_want_dims(k, 1, &w, 3, wd));
    if (taps < 1) return us_eval_fail(k, US_SHAPE, "the kernel is empty");
    if (has_bias) US_TRY(us_eval_want_dims(k, 2, &bias, 1, &ch));
    if (has_past) US_TRY(us_eval_want_dims(k, 3, &past, 3, sd));
    US_TRY(us_eval_room(k, 3, x.dims, &y));
    US_TRY(us_eval_room(k, 3, sd, &state));
    for (int64_t i = 0; i < n * ch; i++) {
        double *to = y + i * len;
        for (int64_t t = 0; t < len && has_bias; t++)
            to[t] = ((const double *)bias.data)[i % ch];
        causal_line(to, state + i * (taps - 1), (const double *)x.data + i * len,
                    has_past ? (const double *)past.data + i * (taps - 1) : NULL,
                    (const double *)w.data + i % ch * taps, len, taps);
        for (int64_t t = 0; t < len && silu; t++)
            to[t] *= sigmoid(to[t]);
    }
    us_dtype t = k->in[0]->t.dtype;
    US_TRY(us_eval_put_f64(k, 0, t, 3, x.dims, y));
    return us_eval_put_f64(k, 1, t, 3, sd, state);
}

us_err causal_conv_with_state_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    const us_node *nd = &g->nodes.at[n];
    const us_p_causal_conv_with_state *p = nd->params;
    bool past = nd->n_in > 3 && nd->in[3] != US_NIL, silu = !us_sv_is(p->activation, "none");
    int64_t ch = known(g, n, 1, 3, 0), taps = known(g, n, 1, 3, 2);
    if (ch < 1 || taps < 1)
        return us_upgrade_fail(c, g, n, "expanding needs the dimensions of the weight");
    long long before = (long long)taps - 1;
    char *head = past ? us_str_printf(m->arena, "p = Concat<axis=2>(x3, x0);")
                      : us_str_printf(m->arena, "p = Pad(x0, [0, 0, %lld, 0, 0, 0]);", before);
    char *tail = nd->n_out < 2 ? us_str_printf(m->arena, "%s", "")
                               : us_str_printf(m->arena, "; y1 = Slice(p, [%lld], [%lld], [2])",
                                               -before, before ? (long long)INT32_MAX : 0LL);
    if (!head || !tail) return us_arena_fail(c, m->arena);
    return expand_as(c, m, g, n,
                     us_str_printf(m->arena, "%sz = Conv<group=%lld>(p, x1, x2); y = %s%s",
                                   head, (long long)ch, silu ? "Mul(z, Sigmoid(z))" : "z",
                                   tail));
}

/* --- LinearAttention --------------------------------------------------------------------------------- */

us_err linear_attention_infer(us_infer *k)
{
    const us_p_linear_attention *p = k->params;
    const us_type *q = us_infer_ranked(k, 0), *v = us_infer_ranked(k, 2),
                  *x = us_infer_in(k, 0);
    us_dtype t = us_infer_has(k, 3) || !x ? US_DT_NONE : x->dtype;
    if (p->q_num_heads < 1 || p->kv_num_heads < 1)
        return us_infer_fail(k, US_ARG, "the numbers of heads must be positive");
    if ((q && q->rank != 3) || (v && v->rank != 3))
        return us_infer_fail(k, US_SHAPE, "query, key and value have three dimensions");
    if (!q || !v) return us_infer_rank(k, 0, US_DT_NONE, 3);
    us_dim dk, dv, wide;
    US_TRY(us_dim_div(k->c, &k->m->syms, q->dims[2], p->q_num_heads, &dk));
    US_TRY(us_dim_div(k->c, &k->m->syms, v->dims[2], p->kv_num_heads, &dv));
    US_TRY(us_dim_mul(k->c, &k->m->syms, dv, US_DIM(p->q_num_heads), &wide));
    const us_dim y[] = {q->dims[0], q->dims[1], wide};
    const us_dim state[] = {q->dims[0], US_DIM(p->kv_num_heads), dk, dv};
    US_TRY(us_infer_out(k, 0, US_DT_NONE, 3, y));
    return us_infer_out(k, 1, t, 4, state);
}

/* One call. decay: n_decay numbers a token, one per head or one per key dimension; beta likewise. */
typedef struct linear {
    us_tensor q, k, v, decay, beta;
    int64_t n, len, hq, hk, dk, dv;
    int64_t n_decay, n_beta; /* 0: none */
    double scale;
    double *written; /* dv */
} linear;

static us_err linear_gates(us_eval *k, linear *o)
{
    const us_p_linear_attention *p = k->params;
    bool decay, beta, gated = us_sv_starts(p->update_rule, "gated"),
                      delta = us_sv_ends(p->update_rule, "delta");
    const int64_t want[] = {o->n, o->len, -1};
    if (!gated && !delta && !us_sv_is(p->update_rule, "linear"))
        return us_eval_fail(k, US_ARG, "update_rule '" US_SV_FMT "'",
                            US_SV_ARG(p->update_rule));
    US_TRY(us_eval_f64(k, 4, 3, &o->decay, &decay));
    US_TRY(us_eval_f64(k, 5, 3, &o->beta, &beta));
    if (decay != gated || beta != delta)
        return us_eval_fail(k, US_ARG, "update_rule '" US_SV_FMT "' wants %s decay and %s beta",
                            US_SV_ARG(p->update_rule), gated ? "a" : "no", delta ? "a" : "no");
    if (decay) US_TRY(us_eval_want_dims(k, 4, &o->decay, 3, want));
    if (beta) US_TRY(us_eval_want_dims(k, 5, &o->beta, 3, want));
    o->n_decay = decay ? o->decay.dims[2] : 0;
    o->n_beta = beta ? o->beta.dims[2] : 0;
    if ((decay && o->n_decay != o->hk && o->n_decay != o->hk * o->dk) ||
        (beta && o->n_beta != o->hk && o->n_beta != 1))
        return us_eval_fail(k, US_SHAPE,
                            "decay or beta fits neither the heads nor their sizes");
    return US_OK;
}

static us_err linear_open(us_eval *k, linear *o)
{
    const us_p_linear_attention *p = k->params;
    o->hq = p->q_num_heads;
    o->hk = p->kv_num_heads;
    US_TRY(us_eval_f64(k, 0, 3, &o->q, NULL));
    US_TRY(us_eval_f64(k, 1, 3, &o->k, NULL));
    US_TRY(us_eval_f64(k, 2, 3, &o->v, NULL));
    if (o->hq < 1 || o->hk < 1 || o->hq % o->hk || o->q.dims[2] % o->hq || o->v.dims[2] % o->hk)
        return us_eval_fail(k, US_SHAPE, "%lld query heads and %lld key heads do not fit",
                            (long long)o->hq, (long long)o->hk);
    o->n = o->q.dims[0];
    o->len = o->q.dims[1];
    o->dk = o->q.dims[2] / o->hq;
    o->dv = o->v.dims[2] / o->hk;
    const int64_t kd[] = {o->n, o->len, o->q.dims[2] / (o->hq / o->hk)},
                  vd[] = {o->n, o->len, -1};
    US_TRY(us_eval_want_dims(k, 1, &o->k, 3, kd));
    US_TRY(us_eval_want_dims(k, 2, &o->v, 3, vd));
    o->scale = p->scale != 0 ? (double)p->scale : 1 / sqrt((double)US_MAX(o->dk, 1));
    US_TRY(us_eval_work(k, (double)o->n * (double)o->len * (double)(o->hk + o->hq) *
                               (double)(o->dk + 1) * (double)(o->dv + 1) * 3));
    US_TRY(us_eval_room(k, 1, &o->dv, &o->written));
    return linear_gates(k, o);
}

/* The state of one key head takes in one token: it fades, what it says of the key is corrected, the rest is added. */
static void linear_write(const linear *o, double *s, int64_t token, int64_t h)
{
    const double *key = (const double *)o->k.data + (token * o->hk + h) * o->dk;
    const double *v = (const double *)o->v.data + (token * o->hk + h) * o->dv;
    const double *g = o->n_decay ? (const double *)o->decay.data + token * o->n_decay : NULL;
    const double *beta = o->n_beta ? (const double *)o->beta.data + token * o->n_beta : NULL;
    for (int64_t d = 0; d < o->dk && o->n_decay; d++) {
        double fade = exp(g[o->n_decay == o->hk ? h : h * o->dk + d]);
        for (int64_t e = 0; e < o->dv; e++)
            s[d * o->dv + e] *= fade;
    }
    for (int64_t e = 0; e < o->dv; e++) {
        double said = 0;
        for (int64_t d = 0; d < o->dk && o->n_beta; d++)
            said += s[d * o->dv + e] * key[d];
        o->written[e] = o->n_beta ? beta[o->n_beta == o->hk ? h : 0] * (v[e] - said) : v[e];
    }
    for (int64_t d = 0; d < o->dk; d++)
        for (int64_t e = 0; e < o->dv; e++)
            s[d * o->dv + e] += key[d] * o->written[e];
}

/* y = scale * the query of head h through the state. */
static void linear_read(const linear *o, const double *s, int64_t token, int64_t h, double *y)
{
    const double *q = (const double *)o->q.data + (token * o->hq + h) * o->dk;
    for (int64_t d = 0; d < o->dk; d++)
        for (int64_t e = 0; e < o->dv; e++)
            y[e] += o->scale * q[d] * s[d * o->dv + e];
}

us_err linear_attention_eval(us_eval *k)
{
    linear o = {0};
    us_tensor past;
    bool has_past;
    double *s, *y;
    US_TRY(linear_open(k, &o));
    US_TRY(us_eval_f64(k, 3, 4, &past, &has_past));
    const int64_t sd[] = {o.n, o.hk, o.dk, o.dv}, yd[] = {o.n, o.len, o.hq * o.dv};
    if (has_past) US_TRY(us_eval_want_dims(k, 3, &past, 4, sd));
    US_TRY(us_eval_room(k, 4, sd, &s));
    US_TRY(us_eval_room(k, 3, yd, &y));
    if (has_past && us_tensor_count(&past)) memcpy(s, past.data, us_tensor_bytes(&past));
    int64_t share = o.hq / o.hk;
    for (int64_t b = 0; b < o.n; b++)
        for (int64_t h = 0; h < o.hk; h++)
            for (int64_t t = b * o.len; t < (b + 1) * o.len; t++) {
                double *now = s + (b * o.hk + h) * o.dk * o.dv;
                linear_write(&o, now, t, h);
                for (int64_t i = h * share; i < (h + 1) * share; i++)
                    linear_read(&o, now, t, i, y + (t * o.hq + i) * o.dv);
            }
    us_dtype t = k->in[0]->t.dtype;
    US_TRY(us_eval_put_f64(k, 0, t, 3, yd, y));
    return us_eval_put_f64(k, 1, has_past ? k->in[3]->t.dtype : t, 4, sd, s);
}
