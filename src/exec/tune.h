/* exec/tune.h - the kernels of a plan, chosen by timing them on the machine at hand.
 *
 * Where several kernels can do what a node asks for (us_eval_choose), a plan takes the one that a static model thinks best. Here all
 * of them are timed where they will work: in runs of the whole plan, in the caches as the steps before leave them, with the threads of
 * the context. A round runs the plan and another in which every step has its next candidate, in turn; a step's time is the shortest of
 * all its runs, and what counts is the ratio to the model's choice in the same round, so that a busy machine slows both. What wins
 * has to win once more, against the model's choice, with all the other winners around it, and all together have to make
 * the run shorter; else the model's choice stays. Time is shared out among the rounds before they begin.
 *
 * Candidates may sum in different orders, so a tuned plan may give other bytes than the plan it was made of, within the bounds that hold for
 * every kernel. It gives the same bytes at every run and at any number of threads; us_planfile_write keeps the choices, and a loaded file makes
 * the same ones. Tuning once more may choose otherwise.
 */
#ifndef USTA_EXEC_TUNE_H
#define USTA_EXEC_TUNE_H

#include "exec/session.h"

#define US_TUNE_MAX_SECONDS 86400.0

typedef struct us_tune_opts {
    double seconds; /* in all, about; a round is three runs of each of two plans at least */
    uint64_t seed;  /* as sessions have it */
    const struct us_image_codec *images;
} us_tune_opts;

typedef struct us_tune_info {
    size_t n_choices,
        n_other; /* steps that had a choice; those that now have another than the model's */
    double model_ns, tuned_ns; /* a run: all steps, each at its shortest */
} us_tune_info;

/* On success p belongs to *out, which may be p. in: the inputs of all runs, in the plan's order. Several plans' packed weights are
 * in memory while it works. US_UNSUPP: a plan of us_plan_opts.source, or tuned before. */
us_err us_plan_tune(us_ctx *c, us_plan *p, const us_value *in, const us_tune_opts *o,
                    us_plan **out, us_tune_info *info) US_MUST;

#endif
