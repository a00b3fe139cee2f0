/* train/exact.h - linear models solved to the optimum: least squares and logistic regression. */
#ifndef USTA_TRAIN_EXACT_H
#define USTA_TRAIN_EXACT_H

#include "train/train.h"

/* Fills a network of one layer with the minimiser of
 *   VALUE    mean of squared errors in units of the target's variance  + l2/2 |W|^2
 *   CLASSES  mean cross-entropy                                        + l2/2 |W|^2
 * over the rows (weighted when they have weights; class_weight: n_classes factors or NULL). Biases are not
 * penalised. Deterministic at any thread count. US_CANCELLED by the context's poll. */
us_err us_exact_fit(us_ctx *c, const us_train_data *d, const us_train_rows *rows, double l2,
                    const double *class_weight, us_net *net) US_MUST;

#endif
