/* train/optim.h - optimisers: one pass over each variable's memory per step. */
#ifndef USTA_TRAIN_OPTIM_H
#define USTA_TRAIN_OPTIM_H

#include "train/opts.h"

/* Sum of squares in double, in an order that depends on n alone. */
double us_sum_squares(const float *x, size_t n);

typedef struct us_optim_step {
    us_optim kind; /* SGD, ADAM, ADAMW */
    float lr;
    float grad_scale;   /* clipping: gradients are multiplied by it first */
    float weight_decay; /* 0 for biases */
    float momentum;
    bool nesterov;
    float beta1, beta2, eps;
    uint64_t t; /* steps so far, this one included */
} us_optim_step;

size_t us_optim_slots(us_optim kind); /* values of state per weight: 1 or 2 */
/* w[n] -= step(g[n]); slot[i]: n values of state each, zeroed before the first step. Elementwise, so threads do not matter. */
void us_optim_apply(const us_optim_step *s, size_t n, float *w, const float *g,
                    float *const slot[2]);

/* Learning rate at a step (from 0): linear warm-up from 0, then constant or half a cosine down to lr_final * lr. */
double us_lr_at(const us_train_opts *o, uint64_t step, uint64_t steps_per_epoch);

#endif
