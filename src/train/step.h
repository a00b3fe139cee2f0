/* train/step.h - one training step: a batch through the differentiated graph, then the optimiser. */
#ifndef USTA_TRAIN_STEP_H
#define USTA_TRAIN_STEP_H

#include "train/net.h"
#include "train/optim.h"

typedef struct us_stepper us_stepper;

typedef struct us_step_info {
    double loss;      /* of the batch, before the step */
    double grad_norm; /* before clipping */
    double lr;
} us_step_info;

/* The graph, its gradient, plan, session and buffers for batches of o->batch rows. target_mean, target_scale: VALUE targets
 * are seen as (y - mean) / scale. class_weight: n_classes factors, or NULL. All is borrowed and must outlive the stepper. */
us_err us_stepper_new(us_ctx *c, const us_train_opts *o, uint64_t seed, const us_train_data *d,
                      const double *class_weight, double target_mean, double target_scale,
                      const us_net *first, us_stepper **out) US_MUST;
void us_stepper_free(us_stepper *s); /* NULL is fine */

/* Rows rows[0..n) of d->train; step counts from 0 and keys the dropout masks and the learning rate. US_NO: loss or gradient is not
 * finite (nothing was changed). */
us_err us_stepper_run(us_ctx *c, us_stepper *s, uint64_t step, uint64_t steps_per_epoch,
                      const uint32_t *rows, size_t n, us_step_info *info) US_MUST;

/* Weights and optimiser state as flat arrays (us_net_flatten's order). */
size_t us_stepper_n_values(const us_stepper *s);
size_t us_stepper_n_slots(const us_stepper *s);
void us_stepper_get(const us_stepper *s, float *values);
void us_stepper_set(us_stepper *s, const float *values);
float *us_stepper_slot(us_stepper *s, size_t i);

#endif
