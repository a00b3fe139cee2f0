/* ir/op_ms_beam.h - choosing tokens for BeamSearch, GreedySearch and Sampling: rules that change the scores of the next token,
 * and the book-keeping of beams.
 *
 * Semantics are those of ONNX Runtime's generation operators (which follow Hugging Face's), to the order of equal scores: the
 * output is integers, and must be the same ones. Plain numbers in, plain numbers out; memory is the caller's scratch.
 */
#ifndef USTA_IR_OP_MS_BEAM_H
#define USTA_IR_OP_MS_BEAM_H

#include "ir/op_util.h"

/* Sequences so far: rows of `room` tokens, the first `len` of each in use. */
typedef struct us_ms_tokens {
    int32_t *p;
    int64_t rows, len, room;
} us_ms_tokens;

typedef struct us_ms_rules {
    int64_t batch, rows, vocab; /* scores are [rows,vocab]; rows / batch beams each */
    float repetition_penalty;   /* 1: none */
    int64_t no_repeat_ngram;    /* 0: none */
    const int64_t *vocab_mask;  /* [vocab], or NULL */
    const int64_t *prefix_mask; /* [batch,vocab], for the first token; or NULL */
    int64_t min_length, eos;
    float temperature;            /* 1: none */
    const int64_t *presence_mask; /* [rows,vocab], or NULL */
    float presence_penalty;
    int64_t *seen; /* scratch: vocab, zeroed at first */
    int64_t stamp; /* of seen */
} us_ms_rules;

void us_ms_rules_apply(us_ms_rules *r, const us_ms_tokens *t, bool first, float *scores);

/* A finished sequence; tokens has room for the longest. */
typedef struct us_ms_hypothesis {
    int32_t *tokens;
    int64_t len;
    float score;
} us_ms_hypothesis;

typedef struct us_ms_beams {
    int64_t batch, beams;
    int32_t pad, eos;
    float length_penalty;
    bool early_stopping;
    us_ms_hypothesis *best; /* [batch,beams], best first */
    int64_t *n_best;        /* [batch] */
    bool *done;             /* [batch] */
    float *score;           /* [batch * beams] what each beam has by now */
    int32_t *token;         /* [batch * beams] what it goes on with */
    int64_t *from;          /* [batch * beams] which beam it goes on from */
    float *top;             /* [batch, 2 * beams] candidates of this step, best first */
    int64_t *top_at;        /* their places in [beams,vocab] */
} us_ms_beams;

/* Memory for all members from the node's scratch; the others are set by the caller first. */
us_err us_ms_beams_open(us_eval *k, us_ms_beams *o, int64_t max_length) US_MUST;
/* Scores ([batch * beams,vocab], with those of the beams added) to the next token of each beam; finished ones are put away. */
void us_ms_beams_step(us_ms_beams *o, const us_ms_tokens *t, const float *scores,
                      int64_t vocab);
bool us_ms_beams_done(const us_ms_beams *o);
/* Beams that are not finished end here. */
void us_ms_beams_finish(us_ms_beams *o, const us_ms_tokens *t);

/* n elements of `size` bytes, zeroed, from scratch; n is a product of factors that may be absurd. */
us_err us_ms_zeros(us_eval *k, size_t size, size_t n_factors, const int64_t *factors,
                   void **out) US_MUST;

#endif
