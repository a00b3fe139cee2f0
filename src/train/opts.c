/* train/opts.c - from the project file's texts to what the loop reads, and the checks that need several options at once. */
#include "train/opts.h"

#include "conf/conf.h"

/* Position of a choice in the list its row allows; rows were checked when they were read, so -1 is a caller's mistake. */
static int choice(const char *text, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (us_sv_is(us_sv_of(text), names[i])) return (int)i;
    return -1;
}

static const char *const families[] = {"mlp", "linear", "logistic"};
static const char *const acts[] = {"relu", "tanh", "gelu", "sigmoid"};
static const char *const inits[] = {"auto", "he", "glorot"};
static const char *const optims[] = {"auto", "exact", "sgd", "adam", "adamw"};
static const char *const scheds[] = {"constant", "cosine"};
static const char *const weights[] = {"none", "balanced"};

#define CHOOSE(to, text, names, key)                                                           \
    do {                                                                                       \
        int i_ = choice((text), (names), US_LEN(names));                                       \
        if (i_ < 0) return us_fail(c, US_ARG, key ": '%s' is not one of its values", (text));  \
        (to) = i_;                                                                             \
    } while (0)

static us_err model_part(us_ctx *c, const us_conf_model *m, us_train_opts *o)
{
    int family, act, init;
    CHOOSE(family, m->family, families, "model.family");
    CHOOSE(act, m->activation, acts, "model.activation");
    CHOOSE(init, m->init, inits, "model.init");
    o->family = family == 0 ? US_FAMILY_MLP : US_FAMILY_LINEAR;
    o->logistic = family == 2;
    o->activation = (us_act)act;
    o->init = (us_init)init;
    o->dropout = m->dropout;
    if (o->family != US_FAMILY_MLP) {
        o->dropout = 0; /* settings of hidden layers mean nothing without any */
        return US_OK;
    }
    if (m->hidden.n > US_TRAIN_MAX_HIDDEN)
        return us_fail(c, US_ARG, "model.hidden: %zu layers, at most %d are supported",
                       m->hidden.n, US_TRAIN_MAX_HIDDEN);
    o->n_hidden = m->hidden.n;
    for (size_t i = 0; i < m->hidden.n; i++)
        o->hidden[i] = m->hidden.at[i];
    return US_OK;
}

static us_err train_part(us_ctx *c, const us_conf_train *t, us_train_opts *o)
{
    int optim, sched, weight;
    CHOOSE(optim, t->optimizer, optims, "train.optimizer");
    CHOOSE(sched, t->schedule, scheds, "train.schedule");
    CHOOSE(weight, t->class_weight, weights, "train.class_weight");
    o->optim = (us_optim)optim;
    o->schedule = (us_sched)sched;
    o->balanced = weight == 1;
    o->lr = t->lr;
    o->lr_final = t->lr_final;
    o->warmup = t->warmup;
    o->momentum = t->momentum;
    o->nesterov = t->nesterov;
    o->beta1 = t->beta1;
    o->beta2 = t->beta2;
    o->eps = t->eps;
    o->weight_decay = t->weight_decay;
    o->clip_norm = t->clip_norm;
    o->label_smoothing = t->label_smoothing;
    o->batch = t->batch;
    o->epochs = t->epochs;
    o->patience = t->patience;
    o->min_delta = t->min_delta;
    o->checkpoint_every = t->checkpoint_every;
    return US_OK;
}

us_err us_train_opts_of(us_ctx *c, const us_conf_model *model, const us_conf_train *train,
                        us_train_opts *out)
{
    us_train_opts o = {0};
    US_TRY(model_part(c, model, &o));
    US_TRY(train_part(c, train, &o));
    US_TRY(us_train_opts_check(c, &o));
    *out = o;
    return US_OK;
}

us_err us_train_opts_default(us_ctx *c, us_train_opts *out)
{
    us_conf_model model = {0};
    us_conf_train train = {0};
    us_arena *a;
    us_err e;
    US_TRY(us_arena_new(c, "training options", (size_t)1 << 20, &a));
    US_GO(us_opt_defaults(c, a, us_conf_section_find("model")->rows, &model));
    US_GO(us_opt_defaults(c, a, us_conf_section_find("train")->rows, &train));
    e = us_train_opts_of(c, &model, &train, out);
out:
    us_arena_free(a);
    return e;
}

/* Ranges are those of the option table, also for callers that fill the struct by hand. */
typedef struct ranged {
    const char *section, *key;
    double value;
} ranged;

static us_err check_range(us_ctx *c, const ranged *r)
{
    const us_opt *row = us_conf_section_find(r->section)->rows;
    while (row->kind != US_OPT_END && !us_sv_is(us_sv_of(row->key), r->key))
        row++;
    if (row->kind == US_OPT_END)
        return us_fail(c, US_BUG, "option %s.%s is not in the table", r->section, r->key);
    if (r->value >= row->lo && r->value <= row->hi) return US_OK;
    return us_fail(c, US_ARG, "%s.%s: %g is not between %g and %g", r->section, r->key,
                   r->value, row->lo, row->hi);
}

static us_err check_ranges(us_ctx *c, const us_train_opts *o)
{
    const ranged rows[] = {
        {"model", "dropout", o->dropout},
        {"train", "lr", o->lr},
        {"train", "lr_final", o->lr_final},
        {"train", "warmup", o->warmup},
        {"train", "momentum", o->momentum},
        {"train", "beta1", o->beta1},
        {"train", "beta2", o->beta2},
        {"train", "eps", o->eps},
        {"train", "weight_decay", o->weight_decay},
        {"train", "clip_norm", o->clip_norm},
        {"train", "label_smoothing", o->label_smoothing},
        {"train", "min_delta", o->min_delta},
        {"train", "batch", (double)o->batch},
        {"train", "epochs", (double)o->epochs},
        {"train", "patience", (double)o->patience},
        {"train", "checkpoint_every", (double)o->checkpoint_every},
    };
    for (size_t i = 0; i < US_LEN(rows); i++)
        US_TRY(check_range(c, &rows[i]));
    return US_OK;
}

us_err us_train_opts_check(us_ctx *c, const us_train_opts *o)
{
    US_TRY(check_ranges(c, o));
    if (o->n_hidden > US_TRAIN_MAX_HIDDEN)
        return us_fail(c, US_ARG, "model.hidden: more than %d layers", US_TRAIN_MAX_HIDDEN);
    if (o->family == US_FAMILY_MLP && o->n_hidden == 0)
        return us_fail(c, US_ARG,
                       "model.hidden: an mlp needs at least one hidden layer; without any, "
                       "write family: linear");
    for (size_t i = 0; i < o->n_hidden; i++)
        if (o->hidden[i] < 1 || o->hidden[i] > US_TRAIN_MAX_UNITS)
            return us_fail(c, US_ARG,
                           "model.hidden: layer %zu has %lld units, expected 1 to %d", i + 1,
                           (long long)o->hidden[i], US_TRAIN_MAX_UNITS);
    if (o->family == US_FAMILY_MLP && o->optim == US_OPTIM_EXACT)
        return us_fail(c, US_ARG,
                       "train.optimizer: exact solves logistic and linear models only; an mlp "
                       "takes sgd, adam or adamw");
    if (o->family != US_FAMILY_MLP && o->optim <= US_OPTIM_EXACT && o->label_smoothing > 0)
        return us_fail(
            c, US_ARG,
            "train.label_smoothing: the exact solver has none; choose train.optimizer: adamw");
    return US_OK;
}
