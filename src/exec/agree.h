/* exec/agree.h - do two models give the same outputs? Asked by running both on random inputs.
 *
 * Both are planned without the optimising passes, so that a mistake of a pass cannot hide by being made twice. Outputs
 * correspond by name. Numbers agree when |a - b| <= tolerance * max |b| of that output (differences of a rewritten
 * sum are relative to its largest terms, not to what is left after they cancel); text and integers must be equal. Some models turn
 * rounding into more than that (a probability near 0 is the exponential of a large sum). So a difference past the tolerance is held
 * against what the first model gives with every weight and input moved by one unit in its last place (2^-23), at random: up to four times
 * that is rounding.
 */
#ifndef USTA_EXEC_AGREE_H
#define USTA_EXEC_AGREE_H

#include "exec/session.h"

#define US_AGREE_SAMPLES   4
#define US_AGREE_TOLERANCE 1e-4

typedef struct us_agree_opts {
    size_t n_samples; /* 0: US_AGREE_SAMPLES, or two for a model of many operations */
    double tolerance; /* 0: US_AGREE_TOLERANCE */
    uint64_t seed;
} us_agree_opts;

typedef struct us_agreement {
    size_t n_samples; /* inputs on which both ran */
    /* inputs on which the first model could not run (shapes it does not take): another was tried */
    size_t n_refused;
    size_t n_elements; /* numbers compared */
    double worst;      /* largest |a - b| / max |b| */
    /* outputs, of all samples, past the tolerance and within what rounding does */
    size_t n_sensitive;
    double tolerance;
    bool random; /* the model draws random numbers: only types and shapes were compared */
    bool same;
    char what[640]; /* the first disagreement, in words */
} us_agreement;

/* US_OK whether they agree or not (r->same); an error when it cannot be found out: the first model does not run on any
 * of the inputs tried, or memory is short. a and b stay the caller's. */
us_err us_models_agree(us_ctx *c, const us_model *a, const us_model *b,
                       const us_agree_opts *opts, us_agreement *r) US_MUST;

#endif
