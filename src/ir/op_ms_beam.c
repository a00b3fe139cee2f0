/* ir/op_ms_beam.c - see op_ms_beam.h. */
#include "ir/op_ms_beam.h"

#include <float.h>
#include <math.h>
#include <string.h>

us_err us_ms_zeros(us_eval *k, size_t size, size_t n_factors, const int64_t *factors,
                   void **out)
{
    size_t bytes = size;
    for (size_t i = 0; i < n_factors; i++)
        if (factors[i] < 0 || !us_mul_size(bytes, (size_t)factors[i], &bytes))
            return us_eval_fail(k, US_LIMIT, "too large");
    US_TRY(us_eval_scratch(k, bytes + 1, out));
    memset(*out, 0, bytes);
    return US_OK;
}

/* --- rules ------------------------------------------------------------------------------------------- */

/* Tokens of the sequence become less likely, each once. */
static void penalise(us_ms_rules *r, const int32_t *seq, int64_t len, float *s)
{
    r->stamp++;
    for (int64_t j = 0; j < len; j++) {
        int64_t w = seq[j];
        if (w < 0 || w >= r->vocab || r->seen[w] == r->stamp) continue;
        r->seen[w] = r->stamp;
        s[w] = s[w] < 0 ? s[w] * r->repetition_penalty : s[w] / r->repetition_penalty;
    }
}

/* No token that would end a run of n tokens that is there already. */
static void forbid_ngrams(const us_ms_rules *r, const int32_t *seq, int64_t len, float *s)
{
    int64_t n = r->no_repeat_ngram, prefix = n - 1;
    for (int64_t j = 0; j + n <= len; j++) {
        int64_t w = seq[j + prefix];
        if (w < 0 || w >= r->vocab) continue;
        if (memcmp(seq + j, seq + len - prefix, (size_t)prefix * sizeof *seq) == 0)
            s[w] = -FLT_MAX;
    }
}

static void mask_out(const int64_t *mask, int64_t n, float *s)
{
    for (int64_t i = 0; i < n; i++)
        if (mask[i] == 0) s[i] = -FLT_MAX;
}

void us_ms_rules_apply(us_ms_rules *r, const us_ms_tokens *t, bool first, float *scores)
{
    for (int64_t i = 0; i < r->rows; i++) {
        float *s = scores + i * r->vocab;
        const int32_t *seq = t->p + i * t->room;
        if (r->repetition_penalty < 1 || r->repetition_penalty > 1) penalise(r, seq, t->len, s);
        if (r->no_repeat_ngram > 0 && r->no_repeat_ngram <= t->len)
            forbid_ngrams(r, seq, t->len, s);
        if (r->vocab_mask) mask_out(r->vocab_mask, r->vocab, s);
        if (r->prefix_mask && first)
            mask_out(r->prefix_mask + i / (r->rows / r->batch) * r->vocab, r->vocab, s);
        if (t->len < r->min_length && r->eos < r->vocab) s[r->eos] = -FLT_MAX;
        for (int64_t j = 0; j < r->vocab && (r->temperature < 1 || r->temperature > 1); j++)
            s[j] /= r->temperature;
        for (int64_t j = 0; j < r->vocab && r->presence_mask; j++)
            s[j] -= (float)r->presence_mask[i * r->vocab + j] * r->presence_penalty;
    }
}

/* --- beams ------------------------------------------------------------------------------------------- */

us_err us_ms_beams_open(us_eval *k, us_ms_beams *o, int64_t max_length)
{
    const int64_t rows[] = {o->batch, o->beams, 1}, all[] = {o->batch, o->beams, max_length},
                  tops[] = {o->batch, o->beams, 2};
    void *best, *tokens, *n_best, *done, *score, *token, *from, *top, *top_at;
    US_TRY(us_ms_zeros(k, sizeof *o->best, 3, rows, &best));
    US_TRY(us_ms_zeros(k, sizeof(int32_t), 3, all, &tokens));
    US_TRY(us_ms_zeros(k, sizeof *o->n_best, 1, rows, &n_best));
    US_TRY(us_ms_zeros(k, sizeof *o->done, 1, rows, &done));
    US_TRY(us_ms_zeros(k, sizeof *o->score, 3, rows, &score));
    US_TRY(us_ms_zeros(k, sizeof *o->token, 3, rows, &token));
    US_TRY(us_ms_zeros(k, sizeof *o->from, 3, rows, &from));
    US_TRY(us_ms_zeros(k, sizeof *o->top, 3, tops, &top));
    US_TRY(us_ms_zeros(k, sizeof *o->top_at, 3, tops, &top_at));
    o->best = best;
    o->n_best = n_best;
    o->done = done;
    o->score = score;
    o->token = token;
    o->from = from;
    o->top = top;
    o->top_at = top_at;
    for (int64_t i = 0; i < o->batch * o->beams; i++) {
        o->best[i].tokens = (int32_t *)tokens + i * max_length;
        o->score[i] =
            i % o->beams ? -1e9F : 0; /* at first all beams are alike: only one counts */
    }
    return US_OK;
}

/* The best n of the scores, of equal ones the first. */
static void select_top(const float *s, int64_t count, int64_t n, float *top, int64_t *at)
{
    int64_t have = 0;
    for (int64_t i = 0; i < count; i++) {
        float v = isnan(s[i]) ? -INFINITY : s[i];
        if (have == n && !(v > top[n - 1])) continue;
        int64_t j = have < n ? have++ : n - 1;
        for (; j > 0 && v > top[j - 1]; j--) {
            top[j] = top[j - 1];
            at[j] = at[j - 1];
        }
        top[j] = v;
        at[j] = i;
    }
}

static float by_length(const us_ms_beams *o, float sum, int64_t len)
{
    return sum / powf((float)len, o->length_penalty);
}

/* A finished sequence takes its place among the best of its batch, or none. */
static void put_away(us_ms_beams *o, int64_t b, const int32_t *tokens, int64_t len, float sum)
{
    us_ms_hypothesis *h = o->best + b * o->beams;
    float score = by_length(o, sum, len);
    int64_t i = o->n_best[b];
    if (i == o->beams) {
        if (!(score > h[i - 1].score)) return;
        i--;
    } else {
        o->n_best[b]++;
    }
    us_ms_hypothesis now = h[i]; /* its tokens' memory */
    for (; i > 0 && score > h[i - 1].score; i--)
        h[i] = h[i - 1];
    now.len = len;
    now.score = score;
    memcpy(now.tokens, tokens, (size_t)len * sizeof *tokens);
    h[i] = now;
}

/* Whether nothing that is still open can become better than what is finished. */
static bool is_done(const us_ms_beams *o, int64_t b, int64_t len)
{
    if (o->n_best[b] < o->beams) return false;
    if (o->early_stopping) return true;
    /* ONNX Runtime looks at the candidates from b * beams on, not from b * 2 * beams: those of another batch */
    const float *top = o->top + b * o->beams;
    float best = top[0];
    for (int64_t j = 1; j < 2 * o->beams; j++)
        if (top[j] > best) best = top[j];
    return !(o->best[b * o->beams + o->beams - 1].score < by_length(o, best, len));
}

static void batch_step(us_ms_beams *o, const us_ms_tokens *t, int64_t b, int64_t vocab)
{
    int64_t n = 0, first = b * o->beams;
    for (int64_t j = 0; j < 2 * o->beams && n < o->beams; j++) {
        int64_t at = o->top_at[2 * first + j], from = first + at / vocab;
        float sum = o->top[2 * first + j];
        int32_t token = (int32_t)(at % vocab);
        if (token == o->eos) { /* further down it is no candidate at all */
            if (j < o->beams) put_away(o, b, t->p + from * t->room, t->len, sum);
            continue;
        }
        o->score[first + n] = sum;
        o->token[first + n] = token;
        o->from[first + n++] = from;
    }
    o->done[b] = is_done(o, b, t->len);
}

void us_ms_beams_step(us_ms_beams *o, const us_ms_tokens *t, const float *scores, int64_t vocab)
{
    for (int64_t b = 0; b < o->batch; b++)
        select_top(scores + b * o->beams * vocab, o->beams * vocab, 2 * o->beams,
                   o->top + 2 * b * o->beams, o->top_at + 2 * b * o->beams);
    for (int64_t b = 0; b < o->batch; b++) {
        if (!o->done[b]) {
            batch_step(o, t, b, vocab);
            continue;
        }
        for (int64_t i = b * o->beams; i < (b + 1) * o->beams; i++) {
            o->score[i] = 0;
            o->token[i] = o->pad;
            o->from[i] = i;
        }
    }
}

bool us_ms_beams_done(const us_ms_beams *o)
{
    for (int64_t b = 0; b < o->batch; b++)
        if (!o->done[b]) return false;
    return true;
}

void us_ms_beams_finish(us_ms_beams *o, const us_ms_tokens *t)
{
    for (int64_t b = 0; b < o->batch; b++)
        for (int64_t i = b * o->beams; i < (b + 1) * o->beams && !o->done[b]; i++)
            put_away(o, b, t->p + i * t->room, t->len, o->score[i]);
}
