/* stats/metric.h - quality of predictions, one table of metrics.
 *
 * Every metric takes optional integer weights (how often a row counts), so a bootstrap resample is a vector of
 * multiplicities over the same arrays and a slice is a vector of zeros and ones; rank metrics sort once
 * (us_scores_prepare), not per resample. Metrics are computed in double, rows in order: the same result at any
 * thread count.
 */
#ifndef USTA_STATS_METRIC_H
#define USTA_STATS_METRIC_H

#include "base/ctx.h"
#include "base/str.h"

typedef enum us_task { US_TASK_CLASSES, US_TASK_VALUE } us_task;
const char *us_task_name(us_task t);         /* "classify", "regress" */
bool us_task_find(us_sv name, us_task *out); /* also "classification", "regression" */

/* Truth and predictions of n rows; arrays are borrowed. */
typedef struct us_scores {
    us_task task;
    size_t n;
    /* CLASSES */
    size_t k; /* classes */
    /* class index; -1 = unknown label (a class never predicted: always wrong) */
    const int32_t *truth;
    /* [n, k]; may be NULL when label is given: then no rank or probability metrics */
    const float *prob;
    /* predicted class; NULL: the largest probability (lowest index wins ties) */
    const int32_t *label;
    /* VALUE */
    const double *y, *pred;
    /* made by us_scores_prepare */
    uint32_t **order; /* per class: rows by rising probability */
    double *p_true;   /* probability of the true class, clipped to [1e-15, 1] */
    int32_t *guess;   /* label, filled in */
} us_scores;

/* Sorts and fills in what the metrics share, in the arena. Must be called before us_metric_value. US_ARG: inconsistent
 * fields, a class out of range; non-finite predictions are allowed and make metrics NaN. */
us_err us_scores_prepare(us_ctx *c, us_arena *a, us_scores *s) US_MUST;

typedef struct us_metric {
    /* "accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "brier", "rmse", "mae", "r2" */
    const char *name;
    us_task task;
    bool higher_better;
    bool needs_prob;
    const char *help;
    double (*value)(const us_scores *s,
                    const uint32_t *weights); /* weights NULL: all 1; NaN: not defined */
} us_metric;

const us_metric *us_metric_at(size_t i);     /* NULL past the end */
const us_metric *us_metric_find(us_sv name); /* NULL: unknown; "auc" and "f1" are taken too */
/* As find, with a message that lists the task's metrics. */
us_err us_metric_get(us_ctx *c, us_task task, us_sv name, const us_metric **out) US_MUST;
const us_metric *us_metric_default(us_task t); /* accuracy; rmse */
bool us_metric_better(const us_metric *m, double a,
                      double b); /* a better than b; NaN is worst */

/* k x k counts, row = truth, column = guess (unknown truths left out). s prepared. */
void us_confusion(const us_scores *s, const uint32_t *weights, uint64_t *out);

#endif
