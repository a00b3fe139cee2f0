/* train/judge.h - baselines, and how the chosen model compares. */
#ifndef USTA_TRAIN_JUDGE_H
#define USTA_TRAIN_JUDGE_H

#include "train/net.h"

/* Metrics of a network on both splits; n 0 and NaN for a split without rows. */
us_err us_judge_measure(us_ctx *c, const us_train_data *d, const us_net *net,
                        us_train_metrics *train, us_train_metrics *valid) US_MUST;

/* Fills r->baselines from the simplest up (constant; linear, when the chosen model is not linear itself), the comparison on the
 * validation rows and r->verdict. r->net and its metrics are there already. */
us_err us_judge(us_ctx *c, uint64_t seed, const us_train_data *d, us_arena *a,
                us_train_result *r) US_MUST;

#endif
