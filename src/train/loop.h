/* train/loop.h - epochs: shuffling, validation, early stopping, checkpoints. */
#ifndef USTA_TRAIN_LOOP_H
#define USTA_TRAIN_LOOP_H

#include "train/checkpoint.h"
#include "train/step.h"

/* Trains net (sizes set; weights are drawn here) and leaves the best weights in it: those of the epoch with the lowest validation
 * loss, or the last without validation rows. Fills history, n_epochs, best_epoch, stopped_early, resumed, seconds,
 * steps_per_second of *r; arrays in the arena. */
us_err us_loop_run(us_ctx *c, const us_train_opts *o, uint64_t seed, const us_train_data *d,
                   const double *class_weight, const us_train_hooks *hooks, us_arena *a,
                   us_net *net, us_train_result *r) US_MUST;

#endif
