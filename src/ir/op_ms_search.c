/* ir/op_ms_search.c - com.microsoft BeamSearch, GreedySearch and Sampling: text generation as one node.
 *
 * Meaning from ONNX Runtime's ContribOperators document; where that is silent, as its CPU kernels do. BeamSearch scores by
 * log-softmax and keeps the best sequences; GreedySearch takes the best logit; Sampling draws among the most probable with the
 * generator of the session, so it agrees with other programs in distribution only.
 */
#include "ir/op_ms_generate.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* clang-format off */
#define OPT_I(name) {name, 'I', US_M(I32), US_P_OPTIONAL}
#define OPT_T(name) {name, 'T', US_M(F32) | US_M(F16), US_P_OPTIONAL}
static const us_param beam_in[] = {
    {"input_ids", 'F', US_M(I32) | US_M(F32) | US_M(F16), 0}, {"max_length", 'I', US_M(I32), 0}, OPT_I("min_length"),
    {"num_beams", 'I', US_M(I32), 0}, {"num_return_sequences", 'I', US_M(I32), 0}, OPT_T("length_penalty"),
    OPT_T("repetition_penalty"), OPT_I("vocab_mask"), OPT_I("prefix_vocab_mask"), OPT_I("attention_mask"),
    OPT_I("decoder_input_ids"), OPT_I("logits_processor"), US_PARAM_END};
static const us_param beam_out[] = {
    {"sequences", 'I', US_M(I32), 0}, {"sequences_scores", 'S', US_M(F32) | US_M(F16), US_P_OPTIONAL},
    {"scores", 'S', US_M(F32) | US_M(F16), US_P_OPTIONAL}, US_PARAM_END};
#define REQUIRED(nm, k, f) {.name = nm, .kind = k, .required = true, .offset = offsetof(us_p_ms_generate, f)}
#define GRAPH(nm, f) {.name = nm, .kind = US_AT_GRAPH, .offset = offsetof(us_p_ms_generate, f)}
#define COMMON                                                                                                      \
    REQUIRED("decoder", US_AT_GRAPH, decoder), US_AI(us_p_ms_generate, decoder_start_token_id, "decoder_start_token_id", -1), \
    GRAPH("encoder", encoder), REQUIRED("eos_token_id", US_AT_INT, eos_token_id), GRAPH("init_decoder", init_decoder),                         \
    US_AI(us_p_ms_generate, model_type, "model_type", 0),                                                           \
    US_AI(us_p_ms_generate, no_repeat_ngram_size, "no_repeat_ngram_size", 0),                                       \
    REQUIRED("pad_token_id", US_AT_INT, pad_token_id), US_AI(us_p_ms_generate, vocab_size, "vocab_size", -1)
static const us_attr_row beam_attrs[] = {
    COMMON, US_AI(us_p_ms_generate, early_stopping, "early_stopping", 0), US_ATTR_END};
const us_schema ms_beam_search_schemas[] = {
    {1, beam_in, beam_out, beam_attrs, sizeof(us_p_ms_generate), NULL},
    {0}};

static const us_param greedy_in[] = {
    {"input_ids", 'I', US_M(I32), 0}, {"max_length", 'I', US_M(I32), 0}, OPT_I("min_length"), OPT_T("repetition_penalty"),
    OPT_I("vocab_mask"), OPT_I("prefix_vocab_mask"), OPT_I("attention_mask"), US_PARAM_END};
static const us_param greedy_out[] = {{"sequences", 'I', US_M(I32), 0}, US_PARAM_END};
static const us_attr_row greedy_attrs[] = {COMMON, US_ATTR_END};
const us_schema ms_greedy_search_schemas[] = {
    {1, greedy_in, greedy_out, greedy_attrs, sizeof(us_p_ms_generate), NULL},
    {0}};

static const us_param sampling_in[] = {
    {"input_ids", 'I', US_M(I32), 0}, {"max_length", 'I', US_M(I32), 0}, OPT_I("min_length"), OPT_T("repetition_penalty"),
    OPT_I("vocab_mask"), OPT_I("prefix_vocab_mask"), OPT_I("attention_mask"), OPT_I("presence_mask"), OPT_I("seed"),
    US_PARAM_END};
static const us_param sampling_out[] = {
    {"sequences", 'I', US_M(I32), 0}, {"filtered_logits", 'S', US_M(F32), US_P_OPTIONAL}, US_PARAM_END};
static const us_attr_row sampling_attrs[] = {
    COMMON, US_AI(us_p_ms_generate, custom, "custom", 0), US_AF(us_p_ms_generate, filter_value, "filter_value", -1e20F),
    US_AI(us_p_ms_generate, min_tokens_to_keep, "min_tokens_to_keep", 0),
    US_AF(us_p_ms_generate, presence_penalty, "presence_penalty", 0.0F),
    US_AF(us_p_ms_generate, temperature, "temperature", 1.0F), US_AF(us_p_ms_generate, top_p, "top_p", 0.0F), US_ATTR_END};
const us_schema ms_sampling_schemas[] = {
    {1, sampling_in, sampling_out, sampling_attrs, sizeof(us_p_ms_generate), NULL},
    {0}};
/* clang-format on */

/* --- inference --------------------------------------------------------------------------------------- */

us_err ms_beam_search_infer(us_infer *k)
{
    US_TRY(us_infer_rank(k, 0, US_DT_NONE, 3));
    US_TRY(us_infer_rank(k, 1, US_F32, 2));
    return us_infer_rank(k, 2, US_F32, 4);
}

us_err ms_greedy_search_infer(us_infer *k)
{
    return us_infer_rank(k, 0, US_DT_NONE, 2);
}

us_err ms_sampling_infer(us_infer *k)
{
    US_TRY(us_infer_rank(k, 0, US_DT_NONE, 2));
    return us_infer_rank(k, 1, US_F32, 2);
}

/* --- inputs ------------------------------------------------------------------------------------------ */

/* Where the inputs stand; SIZE_MAX: the operator has none. */
typedef struct places {
    size_t repetition, vocab_mask, prefix_mask, attention_mask, presence_mask;
} places;

static us_err whole_number(us_eval *k, size_t i, const char *name, int64_t fallback, int64_t lo,
                           int64_t hi, int64_t *out)
{
    double v;
    US_TRY(us_eval_scalar(k, i, (double)fallback, &v));
    if (!(v >= (double)lo && v <= (double)hi))
        return us_eval_fail(k, US_ARG, "%s is %g, expected %lld to %lld", name, v,
                            (long long)lo, (long long)hi);
    *out = (int64_t)v;
    return US_OK;
}

static us_err open_decoder(us_eval *k, us_ms_decoder *o)
{
    const us_p_ms_generate *p = k->params;
    const us_tensor *words;
    US_TRY(us_eval_in(k, 0, &words));
    if (p->model_type != US_MS_MODEL_GPT && p->model_type != US_MS_MODEL_T5)
        return us_eval_fail(k, US_UNSUPP, "model_type %lld; 0 (GPT-2) and 1 (T5) are done",
                            (long long)p->model_type);
    if (words->rank != 2 || words->dims[0] < 1 || words->dims[1] < 1)
        return us_eval_fail(k, US_SHAPE, "input_ids is not [batch, tokens]");
    if (p->eos_token_id < 0 || p->eos_token_id > INT32_MAX || p->pad_token_id < 0 ||
        p->pad_token_id > INT32_MAX)
        return us_eval_fail(k, US_ARG, "eos_token_id %lld, pad_token_id %lld",
                            (long long)p->eos_token_id, (long long)p->pad_token_id);
    o->model = p->model_type;
    o->g = p->decoder;
    o->first = o->model == US_MS_MODEL_GPT && p->init_decoder ? p->init_decoder : p->decoder;
    o->batch = words->dims[0];
    o->start = o->model == US_MS_MODEL_GPT ? words->dims[1] : 1;
    o->vocab_size = p->vocab_size;
    return whole_number(k, 1, "max_length", US_MS_MAX_LENGTH, o->start + 1, US_MS_MAX_LENGTH,
                        &o->max_length);
}

static us_err mask_of(us_eval *k, size_t i, const char *name, int64_t n, const int64_t **out)
{
    size_t count;
    US_TRY(us_eval_ints(k, i, &count, out));
    if (*out && (int64_t)count != n)
        return us_eval_fail(k, US_SHAPE, "%s has %zu numbers, expected %lld", name, count,
                            (long long)n);
    return US_OK;
}

static us_err open_rules(us_eval *k, const places *at, const us_ms_decoder *o, int64_t vocab,
                         us_ms_rules *r)
{
    const us_p_ms_generate *p = k->params;
    double penalty;
    void *seen;
    *r = (us_ms_rules){.batch = o->batch,
                       .rows = o->batch * o->beams,
                       .vocab = vocab,
                       .no_repeat_ngram = p->no_repeat_ngram_size,
                       .eos = p->eos_token_id,
                       .temperature = p->temperature > 0 ? p->temperature : 1,
                       .presence_penalty = p->presence_penalty};
    US_TRY(us_eval_scalar(k, at->repetition, 1, &penalty));
    if (!(penalty > 0)) return us_eval_fail(k, US_ARG, "repetition_penalty is %g", penalty);
    if (p->no_repeat_ngram_size < 0)
        return us_eval_fail(k, US_ARG, "no_repeat_ngram_size is %lld",
                            (long long)p->no_repeat_ngram_size);
    r->repetition_penalty = (float)penalty;
    US_TRY(whole_number(k, 2, "min_length", 0, 0, o->max_length - 1, &r->min_length));
    US_TRY(mask_of(k, at->vocab_mask, "vocab_mask", vocab, &r->vocab_mask));
    US_TRY(mask_of(k, at->prefix_mask, "prefix_vocab_mask", o->batch * vocab, &r->prefix_mask));
    US_TRY(mask_of(k, at->presence_mask, "presence_mask", o->batch * vocab, &r->presence_mask));
    US_TRY(us_ms_zeros(k, sizeof *r->seen, 1, &vocab, &seen));
    r->seen = seen;
    return US_OK;
}

/* What a step costs besides the decoder: so much per score, and the n-grams that are looked at. */
static us_err step_work(us_eval *k, const us_ms_rules *r, const us_ms_tokens *t,
                        double per_score)
{
    double ngrams = (double)t->len * (double)US_MIN(r->no_repeat_ngram, t->len);
    return us_eval_work(k, (double)r->rows * (per_score * (double)r->vocab + ngrams));
}

/* The sequences of the next step: each goes on from its beam with its token. spare is swapped with what is there. */
static void append(us_ms_tokens *t, int32_t **spare, const int64_t *from, const int32_t *token)
{
    int32_t *to = *spare;
    for (int64_t r = 0; r < t->rows; r++) {
        int64_t src = from ? from[r] : r;
        memcpy(to + r * t->room, t->p + src * t->room, (size_t)t->len * sizeof *to);
        to[r * t->room + t->len] = token[r];
    }
    *spare = t->p;
    t->p = to;
    t->len++;
}

static us_err spare_tokens(us_eval *k, const us_ms_tokens *t, int32_t **out)
{
    void *p;
    US_TRY(us_ms_zeros(k, sizeof **out, 2, (const int64_t[]){t->rows, t->room}, &p));
    *out = p;
    return US_OK;
}

/* --- BeamSearch -------------------------------------------------------------------------------------- */

static void log_softmax(float *s, int64_t n)
{
    float top = -INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        if (s[i] > top) top = s[i];
    for (int64_t i = 0; i < n; i++)
        sum += (double)expf(s[i] - top);
    float log_sum = (float)log(sum);
    for (int64_t i = 0; i < n; i++)
        s[i] = s[i] - top - log_sum;
}

/* Logits to scores of the sequences that end in each token; `shown` (NULL: not wanted) gets them too. */
static void score(const us_ms_beams *b, us_ms_rules *r, const us_ms_tokens *t, bool first,
                  float *s, float *shown)
{
    for (int64_t i = 0; i < r->rows; i++)
        log_softmax(s + i * r->vocab, r->vocab);
    us_ms_rules_apply(r, t, first, s);
    for (int64_t i = 0; i < r->rows; i++)
        for (int64_t j = 0; j < r->vocab; j++)
            s[i * r->vocab + j] += b->score[i];
    if (shown) memcpy(shown, s, (size_t)(r->rows * r->vocab) * sizeof *s);
}

static us_err put_sequences(us_eval *k, const us_ms_beams *b, int64_t n_best,
                            int64_t max_length)
{
    us_tensor *y, *scores;
    US_TRY(us_eval_out(k, 0, US_I32, 3, (const int64_t[]){b->batch, n_best, max_length}, &y));
    US_TRY(us_eval_out(k, 1, US_F32, 2, (const int64_t[]){b->batch, n_best}, &scores));
    for (int64_t i = 0; i < b->batch * n_best; i++) {
        const us_ms_hypothesis *h = &b->best[i / n_best * b->beams + i % n_best];
        int32_t *to = (int32_t *)y->data + i * max_length;
        memcpy(to, h->tokens, (size_t)h->len * sizeof *to);
        for (int64_t j = h->len; j < max_length; j++)
            to[j] = b->pad;
        ((float *)scores->data)[i] = h->score;
    }
    return US_OK;
}

static us_err open_beams(us_eval *k, us_ms_decoder *o, us_ms_beams *b, int64_t *n_best)
{
    const us_p_ms_generate *p = k->params;
    double penalty;
    US_TRY(open_decoder(k, o));
    US_TRY(whole_number(k, 3, "num_beams", 1, 1, US_MS_MAX_BEAMS, &o->beams));
    US_TRY(whole_number(k, 4, "num_return_sequences", 1, 1, o->beams, n_best));
    US_TRY(us_eval_scalar(k, 5, 1, &penalty));
    if (us_eval_opt(k, 10) || us_eval_opt(k, 11))
        return us_eval_fail(k, US_UNSUPP,
                            "decoder_input_ids and logits_processor are not done");
    *b = (us_ms_beams){.batch = o->batch,
                       .beams = o->beams,
                       .pad = (int32_t)p->pad_token_id,
                       .eos = (int32_t)p->eos_token_id,
                       .length_penalty = (float)penalty,
                       .early_stopping = p->early_stopping == 1};
    return us_ms_beams_open(k, b, o->max_length);
}

us_err ms_beam_search_eval(us_eval *k)
{
    static const places at = {6, 7, 8, 9, SIZE_MAX};
    us_ms_decoder o = {0};
    us_ms_beams b;
    us_ms_rules r;
    us_ms_tokens t;
    us_tensor *all = NULL;
    int64_t n_best, vocab = 0;
    int32_t *spare;
    float *s = NULL;
    US_TRY(open_beams(k, &o, &b, &n_best));
    US_TRY(us_ms_decoder_open(k, &o, at.attention_mask, &t));
    US_TRY(spare_tokens(k, &t, &spare));
    for (int64_t step = 0; t.len < o.max_length; step++) {
        US_TRY(us_ms_decoder_run(k, &o, &s, &vocab));
        if (step == 0) {
            US_TRY(open_rules(k, &at, &o, vocab, &r));
            if (us_eval_wants(k, 2)) {
                US_TRY(us_eval_out(
                    k, 2, US_F32, 4,
                    (const int64_t[]){o.max_length - o.start, o.batch, o.beams, vocab}, &all));
                memset(all->data, 0, us_tensor_bytes(all));
            }
        }
        US_TRY(step_work(k, &r, &t, 10 + 2 * (double)o.beams));
        score(&b, &r, &t, step == 0, s,
              all ? (float *)all->data + step * r.rows * vocab : NULL);
        us_ms_beams_step(&b, &t, s, vocab);
        append(&t, &spare, b.from, b.token);
        if (us_ms_beams_done(&b)) break;
        if (t.len < o.max_length) US_TRY(us_ms_decoder_next(k, &o, &t, b.from, b.token));
    }
    us_ms_beams_finish(&b, &t);
    return put_sequences(k, &b, n_best, o.max_length);
}

/* --- GreedySearch and Sampling ----------------------------------------------------------------------- */

typedef struct scored {
    float v;
    int64_t at;
} scored;

static int rising(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->v < y->v || x->v > y->v) return x->v < y->v ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* Softmax of the n scores of c, as running sums. */
static void running(const scored *c, int64_t n, double top, double *share)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += share[i] = exp((double)c[i].v - top);
    for (int64_t i = 0; i < n; i++)
        share[i] = share[i] / sum + (i ? share[i - 1] : 0);
}

/* Tokens outside the most probable that together have top_p get filter_value. */
static void filter(const us_p_ms_generate *p, float *s, int64_t n, scored *c, double *share)
{
    for (int64_t i = 0; i < n; i++)
        c[i] = (scored){isnan(s[i]) ? -FLT_MAX : s[i], i};
    if (n > 1) qsort(c, (size_t)n, sizeof *c, rising);
    double top = (double)c[n - 1].v, rest = 1 - (double)p->top_p;
    if (p->custom) { /* from the best down: what comes after the sum has passed top_p */
        for (int64_t i = 0; i < n / 2; i++) {
            scored x = c[i];
            c[i] = c[n - 1 - i];
            c[n - 1 - i] = x;
        }
        running(c, n, top, share);
        for (int64_t i = 0; i + 1 < n; i++)
            if (share[i] > (double)p->top_p) s[c[i + 1].at] = p->filter_value;
        return;
    }
    running(c, n, top,
            share); /* from the worst up: while the sum is within what top_p leaves */
    for (int64_t i = 0; i < n - US_MAX(p->min_tokens_to_keep, 0); i++)
        if (share[i] <= rest) s[c[i].at] = p->filter_value;
}

static int64_t draw(us_rng *rng, const float *s, int64_t n)
{
    double top = -(double)INFINITY, sum = 0, at;
    for (int64_t i = 0; i < n; i++)
        top = fmax(top, (double)s[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)s[i] - top);
    at = us_rng_f64(rng) * sum;
    for (int64_t i = 0; i < n; i++) {
        at -= exp((double)s[i] - top);
        if (at < 0) return i;
    }
    return n - 1;
}

static int64_t best(const float *s, int64_t n)
{
    int64_t b = 0;
    for (int64_t i = 1; i < n; i++)
        if (s[i] > s[b]) b = i;
    return b;
}

/* Tokens of all rows; rows that are through get padding. Whether all are is the answer. */
static bool choose(us_eval *k, us_rng *rng, float *s, const us_ms_rules *r, scored *room,
                   double *share, bool *over, int32_t *token)
{
    const us_p_ms_generate *p = k->params;
    bool all = true;
    for (int64_t i = 0; i < r->rows; i++) {
        float *row = s + i * r->vocab;
        if (rng) filter(p, row, r->vocab, room, share);
        token[i] = (int32_t)(rng ? draw(rng, row, r->vocab) : best(row, r->vocab));
        over[i] = over[i] || token[i] == p->eos_token_id;
        if (over[i]) token[i] = (int32_t)p->pad_token_id;
        all = all && over[i];
    }
    return all;
}

static us_err put_tokens(us_eval *k, const us_ms_tokens *t)
{
    const us_p_ms_generate *p = k->params;
    us_tensor *y;
    US_TRY(us_eval_out(k, 0, US_I32, 2, (const int64_t[]){t->rows, t->room}, &y));
    for (int64_t r = 0; r < t->rows; r++) {
        int32_t *to = (int32_t *)y->data + r * t->room;
        memcpy(to, t->p + r * t->room, (size_t)t->len * sizeof *to);
        for (int64_t j = t->len; j < t->room; j++)
            to[j] = (int32_t)p->pad_token_id;
    }
    return US_OK;
}

static us_err one_by_one(us_eval *k, const places *at, us_rng *rng, float **s, us_ms_rules *r)
{
    us_ms_decoder o = {.beams = 1};
    us_ms_tokens t;
    void *over, *token, *room = NULL, *share = NULL;
    int32_t *spare;
    int64_t vocab = 0;
    US_TRY(open_decoder(k, &o));
    US_TRY(us_ms_decoder_open(k, &o, at->attention_mask, &t));
    US_TRY(spare_tokens(k, &t, &spare));
    US_TRY(us_ms_zeros(k, sizeof(bool), 1, &t.rows, &over));
    US_TRY(us_ms_zeros(k, sizeof(int32_t), 1, &t.rows, &token));
    for (int64_t step = 0; t.len < o.max_length; step++) {
        US_TRY(us_ms_decoder_run(k, &o, s, &vocab));
        if (step == 0) {
            US_TRY(open_rules(k, at, &o, vocab, r));
            US_TRY(us_ms_zeros(k, sizeof(scored), 1, &vocab, &room));
            US_TRY(us_ms_zeros(k, sizeof(double), 1, &vocab, &share));
        }
        US_TRY(step_work(k, r, &t, rng ? 60 : 10));
        us_ms_rules_apply(r, &t, step == 0, *s);
        bool all = choose(k, rng, *s, r, room, share, over, token);
        append(&t, &spare, NULL, token);
        if (all) break;
        if (t.len < o.max_length) US_TRY(us_ms_decoder_next(k, &o, &t, NULL, token));
    }
    return put_tokens(k, &t);
}

us_err ms_greedy_search_eval(us_eval *k)
{
    static const places at = {3, 4, 5, 6, SIZE_MAX};
    us_ms_rules r;
    float *s = NULL;
    return one_by_one(k, &at, NULL, &s, &r);
}

us_err ms_sampling_eval(us_eval *k)
{
    static const places at = {3, 4, 5, 6, 7};
    us_ms_rules r;
    us_tensor *y;
    float *s = NULL;
    int64_t seed = 0;
    US_TRY(whole_number(k, 8, "seed", 0, INT32_MIN, INT32_MAX, &seed));
    uint64_t own =
        us_eval_opt(k, 8) || !k->env->seed ? (uint64_t)seed : k->env->seed(k->env, k);
    us_rng rng = us_rng_new(own, "sampling", 0);
    US_TRY(one_by_one(k, &at, &rng, &s, &r));
    if (!us_eval_wants(k, 1)) return US_OK;
    US_TRY(us_eval_out(k, 1, US_F32, 2, (const int64_t[]){r.rows, r.vocab}, &y));
    memcpy(y->data, s, us_tensor_bytes(y));
    return US_OK;
}
