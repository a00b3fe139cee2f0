/* train/opts.h - how to train: one struct, one row per option, from which come defaults, parsing, help.
 *
 * The rows are the only place where a key, its default, its range and its words are written. The program's
 * option table (project file, flags, environment) is an expansion of US_TRAIN_OPTIONS; code without a project file
 * fills the struct by us_train_opts_init.
 */
#ifndef USTA_TRAIN_OPTS_H
#define USTA_TRAIN_OPTS_H

#include "base/ctx.h"
#include "base/str.h"

typedef enum us_family { US_FAMILY_MLP, US_FAMILY_LINEAR, US_FAMILY_CONSTANT } us_family;
typedef enum us_act { US_ACT_RELU, US_ACT_TANH, US_ACT_GELU } us_act;
typedef enum us_init { US_INIT_AUTO, US_INIT_HE, US_INIT_GLOROT } us_init;
typedef enum us_optim {
    US_OPTIM_AUTO,
    US_OPTIM_EXACT,
    US_OPTIM_SGD,
    US_OPTIM_ADAM,
    US_OPTIM_ADAMW
} us_optim;
typedef enum us_sched { US_SCHED_CONSTANT, US_SCHED_COSINE } us_sched;
typedef enum us_class_weight { US_CLASS_WEIGHT_NONE, US_CLASS_WEIGHT_BALANCED } us_class_weight;

#define US_TRAIN_MAX_HIDDEN 16        /* hidden layers */
#define US_TRAIN_MAX_UNITS  (1 << 16) /* of one hidden layer */

typedef struct us_train_opts {
    int64_t family; /* us_family; CONSTANT is for baselines only */
    int64_t n_hidden;
    int64_t hidden[US_TRAIN_MAX_HIDDEN];
    int64_t activation; /* us_act */
    int64_t init;       /* us_init */
    double dropout;
    int64_t optimizer; /* us_optim */
    double lr;
    double momentum;
    bool nesterov;
    double beta1, beta2, eps;
    double weight_decay;
    int64_t schedule; /* us_sched */
    double warmup;    /* epochs */
    double lr_final;  /* share of lr at the end of a cosine */
    double clip_norm;
    double label_smoothing;
    int64_t class_weight; /* us_class_weight */
    int64_t epochs;
    int64_t batch;
    int64_t patience;
    double min_delta;
    int64_t checkpoint_every;
} us_train_opts;

/* X(section, key, kind, field, default, low, high, unit, choices, help)
 * kind: INT int64_t, NUM double, BOOL bool, ENUM int64_t (index into the choices, separated by '|'), INTS
 * int64_t[US_TRAIN_MAX_HIDDEN] whose count is n_<field>. Default, as text, is read by the same parser. */
/* clang-format off */
#define US_TRAIN_OPTIONS(X) \
    X("model", "family",          ENUM, family,          "mlp",      0, 1,     "",        "mlp|linear",           "kind of model: a multi-layer perceptron, or linear (logistic for classes)") \
    X("model", "hidden",          INTS, hidden,          "128",      1, US_TRAIN_MAX_UNITS, "units", "",         "sizes of the hidden layers of an mlp, in order") \
    X("model", "activation",      ENUM, activation,      "relu",     0, 2,     "",        "relu|tanh|gelu",       "function between the layers") \
    X("model", "init",            ENUM, init,            "auto",     0, 2,     "",        "auto|he|glorot",       "spread of the first weights; auto: he for relu and gelu, glorot for tanh") \
    X("model", "dropout",         NUM,  dropout,         "0",        0, 0.95,  "share",   "",                     "share of hidden units silenced in each training step") \
    X("train", "optimizer",       ENUM, optimizer,       "auto",     0, 4,     "",        "auto|exact|sgd|adam|adamw", "auto: adamw for an mlp, exact (Cholesky or L-BFGS) for linear") \
    X("train", "lr",              NUM,  lr,              "0.001",    0, 10,    "",        "",                     "highest learning rate") \
    X("train", "momentum",        NUM,  momentum,        "0.9",      0, 0.9999, "",       "",                     "sgd: share of the last step kept") \
    X("train", "nesterov",        BOOL, nesterov,        "false",    0, 1,     "",        "",                     "sgd: look ahead along the momentum") \
    X("train", "beta1",           NUM,  beta1,           "0.9",      0, 0.9999, "",       "",                     "adam, adamw: decay of the mean gradient") \
    X("train", "beta2",           NUM,  beta2,           "0.999",    0, 0.999999, "",     "",                     "adam, adamw: decay of the mean squared gradient") \
    X("train", "eps",             NUM,  eps,             "1e-8",     1e-16, 1, "",        "",                     "adam, adamw: added to the root of the mean square") \
    X("train", "weight_decay",    NUM,  weight_decay,    "0.0001",   0, 10,    "",        "",                     "pull of weights (not biases) to zero: a gradient in sgd and adam, apart from it in adamw, L2 in exact") \
    X("train", "schedule",        ENUM, schedule,        "cosine",   0, 1,     "",        "constant|cosine",      "course of the learning rate over the epochs") \
    X("train", "warmup",          NUM,  warmup,          "1",        0, 1000,  "epochs",  "",                     "rise of the learning rate from zero at the start") \
    X("train", "lr_final",        NUM,  lr_final,        "0.01",     0, 1,     "share",   "",                     "where a cosine schedule ends, as a share of lr") \
    X("train", "clip_norm",       NUM,  clip_norm,       "1",        0, 1e9,   "",        "",                     "longest gradient; longer ones are scaled back; 0: no limit") \
    X("train", "label_smoothing", NUM,  label_smoothing, "0",        0, 0.9,   "share",   "",                     "share of a class target spread over all classes") \
    X("train", "class_weight",    ENUM, class_weight,    "none",     0, 1,     "",        "none|balanced",        "balanced: rows weigh more the rarer their class") \
    X("train", "epochs",          INT,  epochs,          "100",      1, 1000000, "passes", "",                    "most passes over the training rows") \
    X("train", "batch",           INT,  batch,           "64",       1, 1048576, "rows",  "",                     "rows in one step") \
    X("train", "patience",        INT,  patience,        "15",       0, 1000000, "epochs", "",                    "stop after so many epochs without a better validation loss; 0: never") \
    X("train", "min_delta",       NUM,  min_delta,       "0",        0, 1e9,   "loss",    "",                     "what counts as better") \
    X("train", "checkpoint_every", INT, checkpoint_every, "1",       1, 1000000, "epochs", "",                    "epochs between checkpoints")
/* clang-format on */

typedef enum us_train_kind {
    US_TRAIN_INT,
    US_TRAIN_NUM,
    US_TRAIN_BOOL,
    US_TRAIN_ENUM,
    US_TRAIN_INTS
} us_train_kind;

typedef struct us_train_row {
    const char *section, *key;
    us_train_kind kind;
    size_t
        offset; /* of the field in us_train_opts; INTS: of the first element, the count lies in n_hidden */
    const char *def;
    double lo, hi; /* inclusive */
    const char *unit, *choices, *help;
} us_train_row;

const us_train_row *us_train_row_at(size_t i); /* NULL past the end */
const us_train_row *us_train_row_find(us_sv section, us_sv key);

void us_train_opts_init(us_train_opts *o); /* the defaults */
/* Set one option from text ("0.01", "adamw", "128,64"). US_ARG: unknown key (names the nearest), wrong kind, out of range. */
us_err us_train_opts_set(us_ctx *c, us_train_opts *o, us_sv section, us_sv key,
                         us_sv text) US_MUST;
/* Ranges of all rows, and what depends on several (dropout without a hidden layer, exact with an mlp, ...). */
us_err us_train_opts_check(us_ctx *c, const us_train_opts *o) US_MUST;

#endif
