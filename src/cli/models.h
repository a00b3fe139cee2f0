/* cli/models.h - what several commands ask of a model, and say of it. */
#ifndef USTA_CLI_MODELS_H
#define USTA_CLI_MODELS_H

#include "conf/json.h"
#include "exec/plan.h"

/* A new reference; bytes that are no UTF-8 become U+FFFD, one for all. */
json_t *us_text_json(us_sv s);
/* [{"name", "type"}] of the main graph's inputs (without constants that may be overridden) or outputs; kept by the arena. */
us_err us_ends_json(us_ctx *c, us_arena *a, const us_model *m, bool inputs,
                    json_t **out) US_MUST;
/* Which input of the plan has this name; US_ARG names those that there are. */
us_err us_input_find(us_ctx *c, const us_plan *p, us_sv name, size_t *out) US_MUST;

/* Nodes by operator, of one model or of two beside each other. */
#define US_TALLY_OPS 4096
typedef struct us_tally {
    us_arena *arena;
    us_map names; /* "Conv", "com.microsoft.Gelu" -> its place in n */
    int64_t n[2][US_TALLY_OPS];
} us_tally;

us_err us_tally_new(us_ctx *c, us_arena *a, us_tally **out) US_MUST;
us_err us_tally_add(us_ctx *c, us_tally *t, int side, const us_node *n) US_MUST;

#endif
