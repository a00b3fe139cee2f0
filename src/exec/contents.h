/* exec/contents.h - what a model asks of the contents of its inputs, as far as its graph tells.
 *
 * Token numbers have to lie in the table they are looked up in, the lengths of a recurrent network in its time axis, the number of
 * beams is not 0: who makes up inputs wants to know, else half of all language models refuse them. Values are followed from the
 * inputs through operators that only move them (Reshape, Cast, Concat ...), into sub-graphs too, to operators that take them as an index or a
 * count: rows of a table in contents.c.
 */
#ifndef USTA_EXEC_CONTENTS_H
#define USTA_EXEC_CONTENTS_H

#include "exec/session.h"

typedef struct us_bounds {
    int64_t lo,
        hi; /* inclusive; INT64_MIN and INT64_MAX: nothing asked. lo > hi: no number will do */
} us_bounds;

/* Bounds of every input of the plan (the first 64; others have none), where symbol s of its model has the size sizes[s] (-1: not known). */
us_err us_plan_bounds(us_ctx *c, us_arena *scratch, const us_plan *p, const int64_t *sizes,
                      us_bounds *out) US_MUST;

#endif
