/* ir/op_ms_norm.c - com.microsoft normalisations of transformers: SkipLayerNormalization, SkipSimplifiedLayerNormalization,
 * EmbedLayerNormalization, QEmbedLayerNormalization; in double, rounded once.
 *
 * Meaning from ONNX Runtime's ContribOperators document. All add up rows and normalise the sum, so they share one function.
 * "Simplified" divides by the root mean square and subtracts nothing (its mean is 0).
 */
#include "ir/op_f64.h"
#include "ir/params_ms.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param skip_in[] = {
    {"input", 'T', US_M_FLOATS, 0}, {"skip", 'T', US_M_FLOATS, 0}, {"gamma", 'T', US_M_FLOATS, 0},
    {"beta", 'T', US_M_FLOATS, US_P_OPTIONAL}, {"bias", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param skip_simplified_in[] = {
    {"input", 'T', US_M_FLOATS, 0}, {"skip", 'T', US_M_FLOATS, 0}, {"gamma", 'T', US_M_FLOATS, 0},
    {"bias", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_param skip_out[] = {
    {"output", 'T', US_M_FLOATS, 0}, {"mean", 'U', US_M(F32), US_P_OPTIONAL},
    {"inv_std_var", 'U', US_M(F32), US_P_OPTIONAL}, {"input_skip_bias_sum", 'T', US_M_FLOATS, US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row skip_attrs[] = {US_AF(us_p_ms_skip_layer_norm, epsilon, "epsilon", 1e-12F), US_ATTR_END};
const us_schema ms_skip_layer_normalization_schemas[] = {
    {1, skip_in, skip_out, skip_attrs, sizeof(us_p_ms_skip_layer_norm), NULL},
    {0}};
const us_schema ms_skip_simplified_layer_norm_schemas[] = {
    {1, skip_simplified_in, skip_out, skip_attrs, sizeof(us_p_ms_skip_layer_norm), NULL},
    {0}};

#define F3 (US_M(F32) | US_M(F16) | US_M(BF16))
#define Q8 (US_M(I8) | US_M(U8))
static const us_param embed_in[] = {
    {"input_ids", 'I', US_M(I32), 0}, {"segment_ids", 'I', US_M(I32), US_P_OPTIONAL}, {"word_embedding", 'T', F3, 0},
    {"position_embedding", 'T', F3, 0}, {"segment_embedding", 'T', F3, US_P_OPTIONAL}, {"gamma", 'T', F3, 0},
    {"beta", 'T', F3, 0}, {"mask", 'I', US_M(I32), US_P_OPTIONAL}, {"position_ids", 'I', US_M(I32), US_P_OPTIONAL}, US_PARAM_END};
static const us_param embed_out[] = {
    {"output", 'T', F3, 0}, {"mask_index", 'I', US_M(I32), US_P_OPTIONAL}, {"embedding_sum", 'T', F3, US_P_OPTIONAL},
    US_PARAM_END};
static const us_attr_row embed_attrs[] = {
    US_AF(us_p_ms_embed_norm, epsilon, "epsilon", 1e-12F),
    US_AI(us_p_ms_embed_norm, mask_index_type, "mask_index_type", 1), US_ATTR_END};
const us_schema ms_embed_layer_normalization_schemas[] = {
    {1, embed_in, embed_out, embed_attrs, sizeof(us_p_ms_embed_norm), NULL},
    {0}};
static const us_param qembed_in[] = {
    {"input_ids", 'I', US_M(I32), 0}, {"segment_ids", 'I', US_M(I32), US_P_OPTIONAL}, {"word_embedding_quant", 'Q', Q8, 0},
    {"position_embedding_quant", 'Q', Q8, 0}, {"segment_embedding", 'Q', Q8, US_P_OPTIONAL}, {"gamma_quant", 'Q', Q8, 0},
    {"beta_quant", 'Q', Q8, 0}, {"mask", 'I', US_M(I32), US_P_OPTIONAL}, {"word_embedding_scale", 'T', US_M(F32), 0},
    {"position_embedding_scale", 'T', US_M(F32), 0}, {"segment_embedding_scale", 'T', US_M(F32), US_P_OPTIONAL},
    {"gamma_scale", 'T', US_M(F32), 0}, {"beta_scale", 'T', US_M(F32), 0}, {"word_embedding_zero_point", 'Q', Q8, 0},
    {"position_embedding_zero_point", 'Q', Q8, 0}, {"segment_embedding_zero_point", 'Q', Q8, US_P_OPTIONAL},
    {"gamma_zero_point", 'Q', Q8, 0}, {"beta_zero_point", 'Q', Q8, 0}, US_PARAM_END};
static const us_param qembed_out[] = {
    {"layernorm_out", 'T', US_M(F32), 0}, {"mask_index_out", 'I', US_M(I32), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row qembed_attrs[] = {US_AF(us_p_ms_embed_norm, epsilon, "epsilon", 1e-12F), US_ATTR_END};
const us_schema ms_qembed_layer_normalization_schemas[] = {
    {1, qembed_in, qembed_out, qembed_attrs, sizeof(us_p_ms_embed_norm), NULL},
    {0}};
/* clang-format on */

/* One row, in place. */
static void normalise(double *x, int64_t n, const double *gamma, const double *beta,
                      double epsilon, bool centre, double *mean, double *inv)
{
    double m = 0, v = 0;
    for (int64_t i = 0; i < n && centre; i++)
        m += x[i];
    if (n) m /= (double)n;
    for (int64_t i = 0; i < n; i++)
        v += (x[i] - m) * (x[i] - m);
    double r = 1 / sqrt((n ? v / (double)n : 0) + epsilon);
    for (int64_t i = 0; i < n; i++)
        x[i] = (x[i] - m) * r * gamma[i] + (beta ? beta[i] : 0);
    *mean = m;
    *inv = r;
}

/* --- with a skip ------------------------------------------------------------------------------------- */

static us_err skip_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK];
    US_TRY(us_infer_same(k));
    if (!x || x->rank < 1) return US_OK;
    us_copy_dims(d, x);
    d[x->rank - 1] = US_DIM(1);
    US_TRY(us_infer_out(k, 1, US_F32, x->rank, d));
    US_TRY(us_infer_out(k, 2, US_F32, x->rank, d));
    return us_infer_out(k, 3, US_DT_NONE, x->rank, x->dims);
}
US_INFER_AS(ms_skip_layer_normalization, skip_infer)
US_INFER_AS(ms_skip_simplified_layer_norm, skip_infer)

/* Input i broadcast to the shape of x and added. */
static us_err add(us_eval *k, size_t i, const us_tensor *x, double *sum)
{
    us_tensor t, v;
    bool there;
    US_TRY(us_eval_f64(k, i, -1, &t, &there));
    if (!there) return US_OK;
    US_TRY(us_tensor_broadcast_view(k->c, &t, x->rank, x->dims, &v));
    us_nd_iter it;
    us_tensor s;
    US_TRY(us_tensor_init(k->c, &s, US_F64, x->rank, x->dims, sum));
    for (us_nd_iter_init(&it, 2, (const us_tensor *[]){&s, &v}); !it.done;
         us_nd_iter_next(&it)) {
        double *a = us_at(&s, it.offset[0]);
        const double *b = us_at(&v, it.offset[1]);
        for (int64_t j = 0; j < it.inner; j++)
            a[j] += b[j * it.inner_stride[1]];
    }
    return US_OK;
}

static us_err skip_norm(us_eval *k, bool centre, size_t i_beta, size_t i_bias)
{
    const us_p_ms_skip_layer_norm *p = k->params;
    us_tensor x, gamma, beta;
    bool has_beta;
    double *sum, *mean, *inv;
    int64_t dims[US_MAX_RANK];
    US_TRY(us_eval_f64(k, 0, -1, &x, NULL));
    US_TRY(us_eval_f64(k, 2, 1, &gamma, NULL));
    US_TRY(us_eval_f64(k, i_beta, 1, &beta, &has_beta));
    if (x.rank < 1) return us_eval_fail(k, US_SHAPE, "input has no rows");
    int64_t n = x.dims[x.rank - 1];
    US_TRY(us_eval_want_dims(k, 2, &gamma, 1, &n));
    if (has_beta) US_TRY(us_eval_want_dims(k, i_beta, &beta, 1, &n));
    memcpy(dims, x.dims, (size_t)x.rank * sizeof *dims);
    dims[x.rank - 1] = 1;
    US_TRY(us_eval_room(k, x.rank, x.dims, &sum));
    US_TRY(us_eval_room(k, x.rank, dims, &mean));
    US_TRY(us_eval_room(k, x.rank, dims, &inv));
    if (us_tensor_count(&x)) memcpy(sum, x.data, us_tensor_bytes(&x));
    if (!us_eval_opt(k, 1)) return us_eval_fail(k, US_ARG, "skip is missing");
    US_TRY(add(k, 1, &x, sum));
    US_TRY(add(k, i_bias, &x, sum));
    us_dtype t = k->in[0]->t.dtype;
    US_TRY(us_eval_put_f64(k, 3, t, x.rank, x.dims, sum));
    for (int64_t r = 0, rows = us_dims_product(dims, 0, x.rank); r < rows; r++)
        normalise(sum + r * n, n, gamma.data, has_beta ? beta.data : NULL, (double)p->epsilon,
                  centre, mean + r, inv + r);
    US_TRY(us_eval_put_f64(k, 0, t, x.rank, x.dims, sum));
    US_TRY(us_eval_put_f64(k, 1, US_F32, x.rank, dims, mean));
    return us_eval_put_f64(k, 2, US_F32, x.rank, dims, inv);
}

us_err ms_skip_layer_normalization_eval(us_eval *k)
{
    return skip_norm(k, true, 3, 4);
}
us_err ms_skip_simplified_layer_norm_eval(us_eval *k)
{
    return skip_norm(k, false, SIZE_MAX, 3);
}

us_err ms_skip_layer_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_expand_fmt(c, m, g, n,
                         "s = Add(x0, x1); t = %s;"
                         "a = ReduceMean<keepdims=1>(t, [-1]); d = Sub(t, a);"
                         "v = ReduceMean<keepdims=1>(Mul(d, d), [-1]);"
                         "i = Reciprocal(Sqrt(Add(v, $epsilon))); z = Mul(Mul(d, i), x2);"
                         "y = %s; y1 = Cast<to=1>(a); y2 = Cast<to=1>(i); y3 = t",
                         us_expand_has(g, n, 4) ? "Add(s, x4)" : "s",
                         us_expand_has(g, n, 3) ? "Add(z, x3)" : "z");
}

us_err ms_skip_simplified_layer_norm_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_expand_fmt(
        c, m, g, n,
        "s = Add(x0, x1); t = %s;"
        "v = ReduceMean<keepdims=1>(Mul(t, t), [-1]);"
        "i = Reciprocal(Sqrt(Add(v, $epsilon)));"
        "y = Mul(Mul(t, i), x2); y1 = Cast<to=1>(Mul(i, 0)); y2 = Cast<to=1>(i); y3 = t",
        us_expand_has(g, n, 3) ? "Add(s, x3)" : "s");
}

/* --- embeddings -------------------------------------------------------------------------------------- */

static us_err embed_infer(us_infer *k)
{
    const us_type *ids = us_infer_ranked(k, 0), *words = us_infer_ranked(k, 2);
    us_dim d[3];
    us_dtype t = US_DT_NONE;
    if ((ids && ids->rank != 2) || (words && words->rank != 2))
        return us_infer_fail(k, US_SHAPE, "input_ids and word_embedding have 2 dimensions");
    if (us_infer_has(k, 8) && us_infer_in(k, 8) && us_infer_in(k, 8)->dtype == US_F32)
        t = US_F32;
    if (!ids) {
        US_TRY(us_infer_rank(k, 0, t, 3));
        return us_infer_rank(k, 1, US_DT_NONE, 1);
    }
    memcpy(d, ids->dims, 2 * sizeof *d);
    if (words)
        d[2] = words->dims[1];
    else
        US_TRY(us_infer_fresh(k, &d[2]));
    US_TRY(us_infer_out(k, 0, t, 3, d));
    US_TRY(us_infer_out(k, 1, US_DT_NONE, 1, d));
    return us_infer_out(k, 2, US_DT_NONE, 3, d);
}
US_INFER_AS(ms_embed_layer_normalization, embed_infer)
US_INFER_AS(ms_qembed_layer_normalization, embed_infer)

/* Rows of numbers that are looked up: (value - zero) * scale. */
typedef struct table {
    us_tensor t; /* contiguous; rank 0 and no data: absent */
    const us_dtype_info *info;
    double zero, scale;
    const int64_t *ids; /* row of each token, or NULL: its place in its sequence */
    int64_t ids_n;      /* how many there are */
    int64_t rows, wide;
} table;

/* Input i; quantised tables have their scale at i_scale and their zero point at i_zero. */
static us_err open_table(us_eval *k, size_t i, int rank, size_t i_scale, size_t i_zero,
                         table *o)
{
    US_TRY(us_eval_in_dense(k, i, &o->t));
    o->info = us_dtype_get(o->t.dtype);
    if (o->t.rank != rank || !o->info->to_f64)
        return us_eval_fail(k, US_SHAPE, "input %zu has rank %d, expected %d", i,
                            (int)o->t.rank, rank);
    o->rows = rank == 2 ? o->t.dims[0] : 1;
    o->wide = o->t.dims[rank - 1];
    US_TRY(us_eval_scalar(k, i_scale, 1, &o->scale));
    return us_eval_scalar(k, i_zero, 0, &o->zero);
}

static void add_row(const table *o, int64_t r, double *room, double *sum)
{
    o->info->to_f64(o->t.data, (size_t)(r * o->wide), (size_t)o->wide, room);
    for (int64_t i = 0; i < o->wide; i++)
        sum[i] += (room[i] - o->zero) * o->scale;
}

/* Input i as the row of each of n * len tokens; [1,len] serves every sequence. */
static us_err open_ids(us_eval *k, size_t i, const us_tensor *tokens, table *o)
{
    const us_tensor *t = us_eval_opt(k, i);
    size_t n;
    US_TRY(us_eval_ints(k, i, &n, &o->ids));
    o->ids_n = (int64_t)n;
    if (!t) {
        if (tokens->dims[1] <= o->rows) return US_OK;
        return us_eval_fail(k, US_SHAPE, "%lld positions, but %lld rows in the table",
                            (long long)tokens->dims[1], (long long)o->rows);
    }
    if (t->rank != 2 || t->dims[1] != tokens->dims[1] ||
        (t->dims[0] != tokens->dims[0] && t->dims[0] != 1))
        return us_eval_fail(k, US_SHAPE, "input %zu is not of the shape of input_ids", i);
    for (size_t j = 0; j < n; j++)
        if (o->ids[j] < 0 || o->ids[j] >= o->rows)
            return us_eval_fail(k, US_ARG, "input %zu names row %lld of %lld", i,
                                (long long)o->ids[j], (long long)o->rows);
    return US_OK;
}

/* mask_index: how many 1 the mask has per sequence. */
static us_err put_counts(us_eval *k, const us_tensor *tokens)
{
    const us_tensor *t = us_eval_opt(k, 7);
    const int64_t *mask;
    size_t n;
    us_tensor *y;
    if (!us_eval_wants(k, 1)) return US_OK;
    if (t && !us_tensor_same_dims(t, tokens))
        return us_eval_fail(k, US_SHAPE, "mask is not of the shape of input_ids");
    US_TRY(us_eval_ints(k, 7, &n, &mask));
    US_TRY(us_eval_out(k, 1, US_I32, 1, tokens->dims, &y));
    for (int64_t b = 0; b < tokens->dims[0]; b++) {
        int32_t count = 0;
        for (int64_t l = 0; l < tokens->dims[1] && mask; l++)
            count += mask[b * tokens->dims[1] + l] == 1;
        ((int32_t *)y->data)[b] = count;
    }
    return US_OK;
}

enum { WORD, PLACE, SEGMENT, GAMMA, BETA, N_TABLES };

static us_err embed_tables(us_eval *k, bool quantised, const us_tensor *tokens, table *t,
                           size_t *n_sums)
{
    static const size_t at[N_TABLES] = {2, 3, 4, 5, 6};
    bool segments = us_eval_opt(k, 1) != NULL;
    *n_sums = segments ? 3 : 2;
    if (segments != (us_eval_opt(k, 4) != NULL))
        return us_eval_fail(k, US_ARG, "segment_ids and segment_embedding go together");
    for (size_t i = 0; i < N_TABLES; i++) {
        if (i == SEGMENT && !segments) continue;
        US_TRY(open_table(k, at[i], i < GAMMA ? 2 : 1, quantised ? 8 + i : SIZE_MAX,
                          quantised ? 13 + i : SIZE_MAX, &t[i]));
        if (t[i].wide != t[WORD].wide)
            return us_eval_fail(k, US_SHAPE,
                                "input %zu has rows of %lld numbers, expected %lld", at[i],
                                (long long)t[i].wide, (long long)t[WORD].wide);
    }
    US_TRY(open_ids(k, 0, tokens, &t[WORD]));
    US_TRY(open_ids(k, quantised ? SIZE_MAX : 8, tokens, &t[PLACE]));
    return segments ? open_ids(k, 1, tokens, &t[SEGMENT]) : US_OK;
}

static us_err embed(us_eval *k, bool quantised)
{
    const us_p_ms_embed_norm *p = k->params;
    const us_tensor *tokens;
    table t[N_TABLES] = {{{0}, NULL, 0, 0, NULL, 0, 0, 0}};
    size_t n_sums;
    double *sum, *room, *gamma, *beta, mean, inv;
    US_TRY(us_eval_in(k, 0, &tokens));
    if (tokens->rank != 2) return us_eval_fail(k, US_SHAPE, "input_ids has 2 dimensions");
    US_TRY(embed_tables(k, quantised, tokens, t, &n_sums));
    const int64_t n = tokens->dims[0], len = tokens->dims[1], wide = t[WORD].wide,
                  dims[] = {n, len, wide};
    US_TRY(us_eval_room(k, 3, dims, &sum));
    US_TRY(us_eval_room(k, 1, &wide, &room));
    US_TRY(us_eval_room(k, 1, &wide, &gamma));
    US_TRY(us_eval_room(k, 1, &wide, &beta));
    add_row(&t[GAMMA], 0, room, gamma);
    add_row(&t[BETA], 0, room, beta);
    for (int64_t r = 0; r < n * len; r++)
        for (size_t i = 0; i < n_sums; i++)
            add_row(&t[i], t[i].ids ? t[i].ids[r % t[i].ids_n] : r % len, room, sum + r * wide);
    us_dtype type = quantised ? US_F32 : k->in[2]->t.dtype;
    US_TRY(us_eval_put_f64(k, 2, type, 3, dims, sum));
    for (int64_t r = 0; r < n * len; r++)
        normalise(sum + r * wide, wide, gamma, beta, (double)p->epsilon, true, &mean, &inv);
    US_TRY(us_eval_put_f64(k, 0, type, 3, dims, sum));
    return put_counts(k, tokens);
}

us_err ms_embed_layer_normalization_eval(us_eval *k)
{
    return embed(k, false);
}
us_err ms_qembed_layer_normalization_eval(us_eval *k)
{
    return embed(k, true);
}

/* Counts of 1 per sequence; without a mask zeros. Numbers of the text are of the ids' type. */
#define COUNTS(masked)                                                                         \
    (masked) ? "y1 = ReduceSum<keepdims=0>(Cast<to=6>(Equal(x7, 1)), [1]);"                    \
             : "y1 = ReduceSum<keepdims=0>(Mul(x0, 0), [1]);"

us_err ms_embed_layer_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_expand_fmt(c, m, g, n,
                         "p = %s; w = Add(Gather(x2, x0), p); s = %s; y = "
                         "LayerNormalization<axis=-1,epsilon=$epsilon>(s, x5, x6); %s y2 = s",
                         us_expand_has(g, n, 8)
                             ? "Gather(x3, x8)"
                             : "Slice(x3, [0], Slice(Shape(x0), [1], [2]), [0])",
                         us_expand_has(g, n, 1) ? "Add(w, Gather(x4, x1))" : "w",
                         COUNTS(us_expand_has(g, n, 7)));
}

#define Q(table, i, j) "DequantizeLinear(" table ", Reshape(x" #i ", []), Reshape(x" #j ", []))"
us_err ms_qembed_layer_normalization_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    return us_expand_fmt(
        c, m, g, n,
        "w = Add(" Q("Gather(x2, x0)", 8, 13) ", " Q(
            "Slice(x3, [0], Slice(Shape(x0), [1], [2]), [0])", 9,
            14) ");"
                "s = %s; y = LayerNormalization<axis=-1,epsilon=$epsilon>(s, " Q(
                    "x5", 11, 16) ", " Q("x6", 12, 17) "); %s",
        us_expand_has(g, n, 1) ? "Add(w, " Q("Gather(x4, x1)", 10, 15) ")" : "w",
        COUNTS(us_expand_has(g, n, 7)));
}
