/* ir/op_tfidf.c - TfIdfVectorizer: counts of n-grams.
 *
 * Words and numbers of the pool become small numbers first; an n-gram is then a row of those in a hash table, so a row
 * of text costs its length times the gram lengths and skips. What is not in the pool is no word. Where the standard is
 * silent ONNX Runtime is followed: grams of one word are counted once whatever the skip, weights are by column.
 */
#include "ir/op_util.h"

#include <string.h>

#include "base/map.h"

/* clang-format off */
static const us_param tfidf_in[] = {{"X", 'T', US_M(STRING) | US_M(I32) | US_M(I64), 0}, US_PARAM_END};
static const us_param tfidf_out[] = {{"Y", '\0', US_M(F32), 0}, US_PARAM_END};
#define NEEDED(field, name_, kind_) \
    {.name = (name_), .kind = (kind_), .offset = offsetof(us_p_tfidf_vectorizer, field), .required = true}
static const us_attr_row tfidf_attrs[] = {
    NEEDED(max_gram_length, "max_gram_length", US_AT_INT), NEEDED(max_skip_count, "max_skip_count", US_AT_INT),
    NEEDED(min_gram_length, "min_gram_length", US_AT_INT), NEEDED(mode, "mode", US_AT_STRING),
    NEEDED(ngram_counts, "ngram_counts", US_AT_INTS), NEEDED(ngram_indexes, "ngram_indexes", US_AT_INTS),
    US_AIS(us_p_tfidf_vectorizer, pool_int64s, "pool_int64s"),
    US_ASS(us_p_tfidf_vectorizer, pool_strings, "pool_strings"),
    US_AFS(us_p_tfidf_vectorizer, weights, "weights"), US_ATTR_END};
const us_schema tfidf_vectorizer_schemas[] = {
    {9, tfidf_in, tfidf_out, tfidf_attrs, sizeof(us_p_tfidf_vectorizer), NULL},
    {0}};
/* clang-format on */

/* --- TfIdfVectorizer --------------------------------------------------------------------------------- */

typedef struct grams {
    us_map words; /* bytes of a word or of an int64, to its number */
    us_map table; /* numbers of a gram's words, to its place among the grams */
    size_t longest;
} grams;

static us_err columns(const us_p_tfidf_vectorizer *p, int64_t *out)
{
    int64_t n = 0;
    for (size_t i = 0; i < p->ngram_indexes.n; i++) {
        int64_t v = p->ngram_indexes.p[i];
        if (v < 0 || v >= INT32_MAX) return US_ARG;
        n = US_MAX(n, v + 1);
    }
    *out = n;
    return US_OK;
}

us_err tfidf_vectorizer_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    int64_t n;
    if (columns(k->params, &n) != US_OK)
        return us_infer_fail(k, US_ARG, "ngram_indexes holds an index below 0 or too large");
    if (!x) return us_infer_out(k, 0, US_F32, -1, NULL);
    if (x->rank < 1 || x->rank > 2) return us_infer_fail(k, US_SHAPE, "input of another rank");
    us_dim d[2] = {x->dims[0], US_DIM(n)};
    return us_infer_out(k, 0, US_F32, x->rank, x->rank == 2 ? d : d + 1);
}

/* The number of pool entry i, given when it is new. */
static us_err word_number(us_eval *k, us_map *words, us_sv key, uint32_t *out)
{
    *out = us_map_get(words, key);
    if (*out != US_MAP_NONE) return US_OK;
    *out = (uint32_t)words->items.n;
    return us_map_put(k->c, words, key, *out, NULL);
}

static us_sv pool_key(const us_p_tfidf_vectorizer *p, size_t i)
{
    if (p->pool_strings.n) return p->pool_strings.p[i];
    return (us_sv){(const char *)&p->pool_int64s.p[i], sizeof(int64_t)};
}

/* Grams of `length` words at ids[from..to) of the pool; *gram counts all grams. */
static us_err grams_of_length(us_eval *k, grams *g, const uint32_t *ids, size_t length,
                              int64_t from, int64_t to, size_t *gram)
{
    const us_p_tfidf_vectorizer *p = k->params;
    if ((size_t)(to - from) % length)
        return us_eval_fail(k, US_ARG, "the pool's part for grams of %zu words is no multiple",
                            length);
    for (int64_t i = from; i < to; i += (int64_t)length, (*gram)++) {
        us_sv key = {(const char *)(ids + i), length * sizeof *ids};
        if (*gram >= p->ngram_indexes.n)
            return us_eval_fail(k, US_ARG, "more grams than ngram_indexes");
        US_TRY(us_map_put(k->c, &g->table, key, (uint32_t)*gram, NULL));
    }
    return US_OK;
}

static us_err read_pool(us_eval *k, grams *g)
{
    const us_p_tfidf_vectorizer *p = k->params;
    us_arena *a = k->env->dynamic(k->env, k);
    size_t n = p->pool_strings.n ? p->pool_strings.n : p->pool_int64s.n, gram = 0;
    uint32_t *ids = us_new_n(a, uint32_t, n + 1);
    if (!ids) return us_arena_fail(k->c, a);
    us_map_init(&g->words, a);
    us_map_init(&g->table, a);
    for (size_t i = 0; i < n; i++)
        US_TRY(word_number(k, &g->words, pool_key(p, i), &ids[i]));
    g->longest = p->ngram_counts.n;
    for (size_t i = 0; i < g->longest; i++) {
        int64_t from = p->ngram_counts.p[i],
                to = i + 1 < g->longest ? p->ngram_counts.p[i + 1] : (int64_t)n;
        if (from < 0 || to < from || to > (int64_t)n)
            return us_eval_fail(k, US_ARG, "ngram_counts is not ascending within the pool");
        US_TRY(grams_of_length(k, g, ids, i + 1, from, to, &gram));
    }
    return US_OK;
}

/* Counts the grams of `length` words, `step` apart, of a row of n. */
static void count_grams(const us_p_tfidf_vectorizer *p, const grams *g, const uint32_t *row,
                        int64_t n, int64_t length, int64_t step, uint32_t *key, float *y)
{
    for (int64_t i = 0; i + step * (length - 1) < n; i++) {
        for (int64_t j = 0; j < length; j++)
            key[j] = row[i + step * j];
        us_sv s = {(const char *)key, (size_t)length * sizeof *key};
        uint32_t gram = us_map_get(&g->table, s);
        if (gram != US_MAP_NONE) y[p->ngram_indexes.p[gram]] += 1;
    }
}

/* Steps that count_row takes. */
static double row_work(const us_p_tfidf_vectorizer *p, const grams *g, int64_t n)
{
    int64_t longest = US_MIN(US_MIN(p->max_gram_length, (int64_t)g->longest), n);
    double sum = (double)n;
    for (int64_t length = US_MAX(p->min_gram_length, 1); length <= longest; length++) {
        double steps = (double)US_MIN(US_MAX(p->max_skip_count, 0), n) + 1;
        if (length > 1) steps = US_MIN(steps, (double)n / (double)(length - 1) + 1);
        sum += length == 1 ? (double)n : steps * (double)n * (double)length;
    }
    return sum;
}

static void count_row(const us_p_tfidf_vectorizer *p, const grams *g, const uint32_t *row,
                      int64_t n, uint32_t *key, float *y)
{
    int64_t longest = US_MIN(US_MIN(p->max_gram_length, (int64_t)g->longest), n);
    for (int64_t length = US_MAX(p->min_gram_length, 1); length <= longest; length++) {
        int64_t steps = length == 1 ? 1 : US_MIN(US_MAX(p->max_skip_count, 0), n) + 1;
        for (int64_t step = 1; step <= steps && step * (length - 1) < n; step++)
            count_grams(p, g, row, n, length, step, key, y);
    }
}

/* The words of x as numbers; US_MAP_NONE: not in the pool. */
static us_err number_words(us_eval *k, const us_tensor *x, const grams *g, uint32_t **out)
{
    int64_t n = us_tensor_count(x);
    US_TRY(us_eval_scratch(k, (size_t)n * sizeof **out, (void **)out));
    for (int64_t i = 0; i < n; i++) {
        int64_t v = x->dtype == US_STRING ? 0 : us_tensor_i64_at(x, i);
        us_sv s = {(const char *)&v, sizeof v};
        if (x->dtype == US_STRING) s = us_tensor_str_at(x, i);
        (*out)[i] = us_map_get(&g->words, s);
    }
    return US_OK;
}

static us_err weigh(us_eval *k, float *y, int64_t n, int64_t width)
{
    const us_p_tfidf_vectorizer *p = k->params;
    bool tf = us_sv_is(p->mode, "TF"), idf = us_sv_is(p->mode, "IDF");
    if (!tf && !idf && !us_sv_is(p->mode, "TFIDF"))
        return us_eval_fail(k, US_ARG, "mode '" US_SV_FMT "'", US_SV_ARG(p->mode));
    for (int64_t i = 0; i < n * width && !tf; i++) {
        size_t col = (size_t)(i % width);
        float w = col < p->weights.n ? p->weights.p[col] : 1;
        y[i] = (idf ? (float)(y[i] > 0) : y[i]) * w;
    }
    return US_OK;
}

us_err tfidf_vectorizer_prepare(us_eval *k, const void **out)
{
    grams *g;
    US_TRY(us_eval_keep(k, sizeof *g, (void **)&g));
    US_TRY(read_pool(k, g));
    *out = g;
    return US_OK;
}

us_err tfidf_vectorizer_eval(us_eval *k)
{
    const us_p_tfidf_vectorizer *p = k->params;
    us_tensor x, *y;
    const void *prepared = k->prepared;
    uint32_t *words = NULL, *key;
    int64_t width = 0;
    US_TRY(us_eval_in_dense(k, 0, &x));
    if (x.rank < 1 || x.rank > 2 || columns(p, &width) != US_OK)
        return us_eval_fail(k, US_SHAPE, "input or ngram_indexes are not as they must be");
    if ((x.dtype == US_STRING) != (p->pool_strings.n > 0) ||
        (x.dtype != US_STRING && x.dtype != US_I32 && x.dtype != US_I64))
        return us_eval_fail(k, US_ARG, "the input is %s and the pool is not",
                            us_dtype_get(x.dtype)->name);
    if (!prepared) US_TRY(tfidf_vectorizer_prepare(k, &prepared));
    const grams *g = prepared;
    US_TRY(number_words(k, &x, g, &words));
    int64_t rows = x.rank == 2 ? x.dims[0] : 1, n = x.dims[x.rank - 1];
    US_TRY(us_eval_scratch(k, (g->longest + 1) * sizeof *key, (void **)&key));
    US_TRY(
        us_eval_out(k, 0, US_F32, x.rank, x.rank == 2 ? (int64_t[]){rows, width} : &width, &y));
    if (us_tensor_bytes(y)) memset(y->data, 0, us_tensor_bytes(y));
    for (int64_t i = 0; i < rows; i++) {
        US_TRY(us_ctx_poll(k->c));
        US_TRY(us_eval_work(k, row_work(p, g, n)));
        count_row(p, g, words + i * n, n, key, (float *)y->data + i * width);
    }
    return weigh(k, y->data, rows, width);
}
