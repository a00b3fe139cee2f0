/* cli/inputs.h - the inputs of one run, from what the command line says; what is not given is made up.
 *
 * Made-up contents keep to what the model asks of them (exec/contents.h): token numbers within their tables, lengths within their
 * axes. A size that the model leaves open is what --dim says, else what given inputs have, else 1; or, for commands that only want to see a
 * run, larger where the model does not run with that (us_inputs_larger).
 */
#ifndef USTA_CLI_INPUTS_H
#define USTA_CLI_INPUTS_H

#include "cli/images.h"
#include "exec/contents.h"
#include "exec/session.h"

typedef struct us_input_args {
    us_texts in;     /* NAME=FILE */
    us_textmap dims; /* NAME=SIZE */
    bool random;     /* what is not given is made up */
    int64_t seed;
    const us_image_args *images;
} us_input_args;

/* The option that fills `dims`. */
#define US_DIM_OPT(type, field)                                                                \
    {                                                                                          \
        US_OPT_TEXTMAP, 0, "dim", offsetof(type, field), "{}", 0, 0, "NAME=SIZE,...", "",      \
            NULL, "sizes of symbolic dimensions of inputs that are made up"                    \
    }

typedef struct us_inputs {
    us_ctx *c;
    us_arena *a;
    const us_plan *p;
    us_input_args args;
    us_value *in;   /* every input of the plan, in its order */
    bool *have;     /* per input: given */
    int64_t *sizes; /* per symbol of the model */
    bool *open,
        *first; /* per symbol: its size is our own choice; it is the first axis of an input */
    us_bounds *bounds;
    bool any_open;
    int step;
} us_inputs;

/* Room, and the sizes that --dim gives: nothing is read yet. US_ARG: no such dimension. */
us_err us_inputs_begin(us_ctx *c, us_arena *a, const us_plan *p, const us_input_args *args,
                       us_inputs *x) US_MUST;
/* What x->have does not have. US_ARG: missing, where nothing is to be made up. */
us_err us_inputs_make(us_inputs *x) US_MUST;
/* Both, with what args.in names read between them. US_ARG also: no such input, given twice. */
us_err us_inputs_open(us_ctx *c, us_arena *a, const us_plan *p, const us_input_args *args,
                      us_inputs *x) US_MUST;

/* The same with larger sizes where they are open; *done: there are none larger, nothing has changed. */
us_err us_inputs_larger(us_inputs *x, bool *done) US_MUST;
/* A run; where it fails, others with larger inputs. The error is that of the first, with what could be given. */
us_err us_inputs_run(us_inputs *x, us_session *s, us_value *out) US_MUST;
/* A run failed with e, which the context's message tells: with what could be given, where anything was made up. */
us_err us_inputs_wrap(us_inputs *x, us_err e) US_MUST;
/* "batch=1, sequence=512" of open sizes; empty when there are none. */
void us_inputs_print(const us_inputs *x, us_buf *b);

#endif
