/* train/opts.h - how to train, as numbers.
 *
 * Keys, defaults, ranges and help lie in the one option table (conf/options.def, sections `model` and `train`); this
 * struct is what the loop reads. us_train_opts_of translates, so no default is written twice.
 */
#ifndef USTA_TRAIN_OPTS_H
#define USTA_TRAIN_OPTS_H

#include "base/ctx.h"

struct us_conf_model;
struct us_conf_train;

typedef enum us_family { US_FAMILY_MLP, US_FAMILY_LINEAR, US_FAMILY_CONSTANT } us_family;
typedef enum us_act { US_ACT_RELU, US_ACT_TANH, US_ACT_GELU, US_ACT_SIGMOID } us_act;
typedef enum us_init { US_INIT_AUTO, US_INIT_HE, US_INIT_GLOROT } us_init;
typedef enum us_optim {
    US_OPTIM_AUTO,
    US_OPTIM_EXACT,
    US_OPTIM_SGD,
    US_OPTIM_ADAM,
    US_OPTIM_ADAMW
} us_optim;
typedef enum us_sched { US_SCHED_CONSTANT, US_SCHED_COSINE } us_sched;

#define US_TRAIN_MAX_HIDDEN 16        /* hidden layers */
#define US_TRAIN_MAX_UNITS  (1 << 16) /* of one hidden layer */

typedef struct us_train_opts {
    us_family family; /* LINEAR: logistic for classes. CONSTANT is for baselines only */
    bool logistic;    /* the user wrote "logistic": refused for a numeric target */
    size_t n_hidden;
    int64_t hidden[US_TRAIN_MAX_HIDDEN];
    us_act activation;
    us_init init;
    double dropout;
    us_optim optim;
    double lr, lr_final, warmup;
    us_sched schedule;
    double momentum;
    bool nesterov;
    double beta1, beta2, eps;
    double weight_decay;
    double clip_norm;
    double label_smoothing;
    bool balanced; /* class weights */
    int64_t batch, epochs, patience, checkpoint_every;
    double min_delta;
} us_train_opts;

/* From the project file's sections (rows already range-checked); checks what depends on several of them. */
us_err us_train_opts_of(us_ctx *c, const struct us_conf_model *model,
                        const struct us_conf_train *train, us_train_opts *out) US_MUST;
/* The option table's defaults. */
us_err us_train_opts_default(us_ctx *c, us_train_opts *out) US_MUST;
/* Ranges and combinations; us_train calls it. US_ARG names the key. */
us_err us_train_opts_check(us_ctx *c, const us_train_opts *o) US_MUST;

#endif
