/* ir/op_ms_generate.h - the sub-graphs of BeamSearch, GreedySearch and Sampling: a decoder that is run once per token, in the
 * form of GPT-2 or behind an encoder (T5), and what it is fed with.
 *
 * The states that a decoder gives (keys and values so far) are copied between runs into one buffer each, with room for the
 * longest sequence, in the order of the beams that go on: what the sub-graph made goes back at once.
 */
#ifndef USTA_IR_OP_MS_GENERATE_H
#define USTA_IR_OP_MS_GENERATE_H

#include "ir/op_ms_beam.h"
#include "ir/params_ms.h"

enum { US_MS_MODEL_GPT, US_MS_MODEL_T5 };
enum { US_MS_MAX_LENGTH = 4096, US_MS_MAX_BEAMS = 128 };

typedef struct us_ms_state {
    void *p; /* room for the longest */
    size_t bytes;
} us_ms_state;

typedef struct us_ms_decoder {
    us_graph *g, *first; /* first: for the first run (GPT-2's init_decoder), else g */
    int64_t model;
    int64_t batch, beams, max_length, start; /* start: tokens before the first generated one */
    int64_t vocab_size;                      /* 0: as the logits have it */
    size_t first_past, n_states;
    us_value *in, *out; /* of g */
    const us_value **pin;
    us_ms_state *state;
    bool whole; /* T5: input_ids are the whole sequence, not its last token */
    int32_t *ids, *positions, *mask, *mask_all; /* GPT: mask_all is [rows,max_length] */
    int64_t n_runs;
} us_ms_decoder;

/* Prepares the first run: for T5 the encoder runs here. tokens gets the sequences to begin with ([batch * beams, max_length]).
 * i_mask: the input that is attention_mask. */
us_err us_ms_decoder_open(us_eval *k, us_ms_decoder *o, size_t i_mask, us_ms_tokens *t) US_MUST;
/* Logits of the last position of each row as [batch * beams, vocab] in memory of the decoder's. */
us_err us_ms_decoder_run(us_eval *k, us_ms_decoder *o, float **logits, int64_t *vocab) US_MUST;
/* The next run goes on from beam from[i] (NULL: its own) with token[i]; tokens has them already. */
us_err us_ms_decoder_next(us_eval *k, us_ms_decoder *o, const us_ms_tokens *t,
                          const int64_t *from, const int32_t *token) US_MUST;

#endif
