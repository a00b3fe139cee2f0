/* exec/sample.h - inputs for a model of which nothing is known but the types: for proofs and comparisons.
 *
 * A sample has a size for every symbol of the model's dimensions (the same symbol, the same size) and contents of one
 * kind. Samples follow from (seed, index) alone.
 */
#ifndef USTA_EXEC_SAMPLE_H
#define USTA_EXEC_SAMPLE_H

#include "exec/session.h"

typedef enum us_sample_kind {
    US_SAMPLE_SIGNED,   /* floats in [-1, 1), integers in [0, 2), text of single letters */
    US_SAMPLE_POSITIVE, /* floats in [0, 1) */
    US_SAMPLE_ONES,     /* every number 1 */
    US_SAMPLE_N_KINDS
} us_sample_kind;

typedef struct us_sample {
    uint64_t seed, index;
    us_sample_kind kind;
    int64_t size; /* of a dimension without a name and of the symbols, see spread */
    /* symbol s gets size + s % (spread + 1): different names, different sizes */
    int64_t spread;
} us_sample;

/* A value of this type. Unknown ranks become 1. US_UNSUPP: a type nothing sensible can be made for (sparse). */
us_err us_sample_value(us_ctx *c, us_arena *a, const us_type *t, const us_sample *s,
                       size_t input, us_value *out) US_MUST;

#endif
