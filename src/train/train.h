/* train/train.h - fitting a model to a matrix of features.
 *
 * The feature graph is evaluated once per row by the caller; training sees float32 [N,D] in memory. What comes
 * out is a network, a few named tensors, that us_net_append puts behind the feature graph, so that the
 * exported model runs the same nodes in training and in serving.
 *
 *     us_train_opts o; US_TRY(us_train_opts_of(c, &conf.model, &conf.train, &o));
 *     us_train_data d = { .task = US_TASK_CLASSES, .n_features = D, .n_classes = K, .train = {...}, .valid = {...} };
 *     US_TRY(us_train(c, &o, seed, &d, &hooks, arena, &result));
 *     US_TRY(us_net_append(c, model, features, &result.net, &labels));   // outputs label, probabilities | prediction
 *
 * Same options, data and seed give the same bytes at any number of threads, and a run that was killed and
 * resumed from its checkpoint gives the same bytes as one that was not.
 */
#ifndef USTA_TRAIN_TRAIN_H
#define USTA_TRAIN_TRAIN_H

#include "ir/build.h"
#include "stats/bootstrap.h"
#include "train/opts.h"

/* --- data -------------------------------------------------------------------------------------------- */

/* Rows of one split; borrowed. */
typedef struct us_train_rows {
    size_t n;
    const float *x;      /* [n, n_features], row-major, finite */
    const int32_t *cls;  /* CLASSES: 0 .. n_classes-1 */
    const float *value;  /* VALUE: finite */
    const float *weight; /* importance of each row, >= 0; NULL: all 1 */
} us_train_rows;

typedef struct us_train_data {
    us_task task;
    size_t n_features;
    size_t n_classes;           /* CLASSES: at least 2 */
    const us_sv *feature_names; /* n_features, for messages; NULL: by number */
    us_train_rows train;        /* at least 2 rows */
    us_train_rows valid;        /* n 0: no early stopping, no comparison with the baseline */
} us_train_data;

#define US_TRAIN_MAX_FEATURES (1 << 20)
#define US_TRAIN_MAX_CLASSES  (1 << 16)
#define US_TRAIN_MAX_WEIGHTS                                                                   \
    ((size_t)1 << 28) /* of one network: 1 GB, and several copies in training */
#define US_TRAIN_MAX_ROWS ((size_t)1 << 31)

/* --- the network: what is learned, apart from any graph ----------------------------------------------- */

typedef struct us_layer {
    size_t n_in, n_out;
    float *w; /* [n_in, n_out] */
    float *b; /* [n_out] */
} us_layer;

typedef struct us_net {
    us_task task;
    us_family family; /* CONSTANT: weights are 0, the bias of the one layer is the answer */
    us_act activation;
    size_t n_features, n_out;
    size_t n_layers;
    us_layer *layers;
} us_net;

/* How classes are called in the `label` output: strings or integers, n_classes of them. */
typedef struct us_net_labels {
    const us_sv *names; /* STRING labels, or NULL */
    const int64_t *ids; /* INT64 labels, or NULL; both NULL: 0 .. K-1 */
} us_net_labels;

/* Append the network's nodes to the main graph behind `features` (float [N,D]) and add the model's outputs:
 * CLASSES `label` [N] and `probabilities` float32 [N,K]; VALUE `prediction` float32 [N]. Names of weights begin
 * with "net". labels is for CLASSES (NULL: 0 .. K-1). */
us_err us_net_append(us_ctx *c, us_model *m, us_vid features, const us_net *net,
                     const us_net_labels *labels) US_MUST;

/* The same network on rows in memory, through a session of the same nodes. out: CLASSES probabilities [n,K], VALUE
 * predictions [n]. */
us_err us_net_predict(us_ctx *c, const us_net *net, size_t n, const float *x,
                      float *out) US_MUST;

/* --- metrics ------------------------------------------------------------------------------------------- */

typedef struct us_train_metrics {
    size_t n;
    /* CLASSES: mean cross-entropy (log loss); VALUE: mean squared error in raw units */
    double loss;
    double accuracy;      /* CLASSES, else NaN */
    double auc;           /* CLASSES with K = 2, else NaN */
    double rmse, mae, r2; /* VALUE, else NaN */
} us_train_metrics;

/* Metrics of predictions as us_net_predict gives them. */
us_err us_train_measure(us_ctx *c, us_task task, size_t n_classes, const us_train_rows *rows,
                        const float *pred, us_train_metrics *out) US_MUST;

/* --- the run --------------------------------------------------------------------------------------------- */

typedef struct us_train_progress {
    int64_t epoch, n_epochs; /* epoch counts from 1 */
    int64_t step, n_steps;   /* within the epoch, from 1 */
    double loss;             /* mean of the epoch so far */
    double metric;           /* last validation metric: accuracy or R2; NaN before the first */
    const char *metric_name; /* "accuracy" or "r2" */
} us_train_progress;

typedef struct us_train_hooks {
    void (*progress)(
        void *ud,
        const us_train_progress *p); /* at most every 50 ms and after each epoch; may be NULL */
    void *ud;
    /* file, written atomically after epochs; NULL: none. The caller removes it */
    const char *checkpoint;
    bool resume; /* go on from the checkpoint if it is there and belongs to this very run */
    bool no_baselines;  /* skip them (tuning) */
    int64_t stop_after; /* tests: US_CANCELLED after so many epochs of this call; 0: never */
} us_train_hooks;

typedef struct us_train_epoch {
    double train_loss; /* mean over the steps, as trained (smoothing, weights, dropout) */
    /* log loss, or squared error in units of the target's deviation; NaN: no rows */
    double valid_loss;
    double metric;    /* validation accuracy or R2 */
    double lr;        /* at the epoch's end */
    double grad_norm; /* mean, before clipping */
} us_train_epoch;

/* A simpler model beside the chosen one, judged on the validation rows. */
typedef struct us_train_baseline {
    const char *name; /* "majority class", "mean", "logistic regression", "linear regression" */
    us_net net;
    us_train_metrics train, valid;
    /* Chosen against baseline on the validation rows, in accuracy or R2 (n 0: no validation rows). */
    us_paired paired;
    bool beaten; /* the chosen model is significantly better */
} us_train_baseline;

#define US_TRAIN_BOOTSTRAP 2000 /* resamples */

typedef struct us_train_result {
    us_net net;
    us_train_metrics train, valid;
    us_train_epoch *history;
    size_t n_epochs;   /* rows of history */
    size_t best_epoch; /* whose weights these are, from 1; 0 for exact solvers */
    bool stopped_early;
    bool resumed;
    size_t n_parameters;
    us_train_baseline *baselines; /* simplest first */
    size_t n_baselines;
    bool simpler_as_good; /* some baseline is not beaten */
    const char *verdict;  /* one or two sentences for people */
    double seconds;       /* wall time of the loop: not for anything that is hashed */
    double steps_per_second;
} us_train_result;

/* Everything of the result lives in the arena. US_ARG: options or data are wrong (which, where, what to do);
 * US_NO: training failed (loss became NaN or infinite: epoch, step, and what to try); US_CANCELLED: by the context's poll; the
 * last checkpoint stands. */
us_err us_train(us_ctx *c, const us_train_opts *o, uint64_t seed, const us_train_data *d,
                const us_train_hooks *hooks, us_arena *a, us_train_result *out) US_MUST;

#endif
