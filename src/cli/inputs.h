/* cli/inputs.h - the inputs of one run, from what the command line says. */
#ifndef USTA_CLI_INPUTS_H
#define USTA_CLI_INPUTS_H

#include "cli/images.h"
#include "exec/session.h"

typedef struct us_input_args {
    us_texts in; /* NAME=FILE */
    bool random; /* what is not given is made up */
    int64_t seed;
    const us_image_args *images;
} us_input_args;

/* Contents for every input of the plan, in its order and in the arena. US_ARG: no such input, given twice, missing. */
us_err us_inputs_fill(us_ctx *c, us_arena *a, const us_plan *p, const us_input_args *args,
                      us_value **out) US_MUST;

#endif
