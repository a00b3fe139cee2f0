/* train/train.c - the order of things: check, fit, measure, compare. */
#include "train/train.h"

#include <math.h>
#include <string.h>

#include "train/exact.h"
#include "train/judge.h"
#include "train/loop.h"

/* --- what the caller gave ------------------------------------------------------------------------------------ */

static us_err bad_value(us_ctx *c, const us_train_data *d, const char *split, size_t row,
                        size_t column, float v)
{
    us_sv name = d->feature_names ? d->feature_names[column] : (us_sv){0};
    if (name.n)
        return us_fail(c, US_ARG,
                       "feature '" US_SV_FMT "' is %g in %s row %zu: impute or leave it out",
                       US_SV_ARG(name), (double)v, split, row);
    return us_fail(c, US_ARG, "feature %zu is %g in %s row %zu: impute or leave it out", column,
                   (double)v, split, row);
}

static us_err check_rows(us_ctx *c, const us_train_data *d, const us_train_rows *r,
                         const char *split)
{
    bool classes = d->task == US_TASK_CLASSES;
    if (r->n > US_TRAIN_MAX_ROWS)
        return us_fail(c, US_LIMIT, "%s: %zu rows, at most %zu are supported", split, r->n,
                       US_TRAIN_MAX_ROWS);
    if (r->n && (!r->x || (classes ? !r->cls : !r->value)))
        return us_fail(c, US_ARG, "%s: features or targets are missing", split);
    for (size_t i = 0; i < r->n; i++)
        for (size_t f = 0; f < d->n_features; f++)
            if (!isfinite(r->x[i * d->n_features + f]))
                return bad_value(c, d, split, i, f, r->x[i * d->n_features + f]);
    for (size_t i = 0; i < r->n; i++) {
        if (classes && (r->cls[i] < 0 || (size_t)r->cls[i] >= d->n_classes))
            return us_fail(c, US_ARG, "%s row %zu: class %d, expected 0 to %zu", split, i,
                           r->cls[i], d->n_classes - 1);
        if (!classes && !isfinite(r->value[i]))
            return us_fail(c, US_ARG, "%s row %zu: the target is %g", split, i,
                           (double)r->value[i]);
        if (r->weight && !(r->weight[i] >= 0 && isfinite(r->weight[i])))
            return us_fail(c, US_ARG, "%s row %zu: the weight is %g, expected 0 or more", split,
                           i, (double)r->weight[i]);
    }
    return US_OK;
}

static us_err check_data(us_ctx *c, const us_train_opts *o, const us_train_data *d)
{
    if (d->n_features < 1 || d->n_features > US_TRAIN_MAX_FEATURES)
        return us_fail(c, US_ARG, "training: %zu features, expected 1 to %d", d->n_features,
                       US_TRAIN_MAX_FEATURES);
    if (d->task == US_TASK_CLASSES && (d->n_classes < 2 || d->n_classes > US_TRAIN_MAX_CLASSES))
        return us_fail(
            c, US_ARG,
            "training: %zu classes, expected 2 to %d; with one there is nothing to learn",
            d->n_classes, US_TRAIN_MAX_CLASSES);
    if (d->task == US_TASK_VALUE && o->logistic)
        return us_fail(
            c, US_ARG,
            "model.family: logistic is for classes; this target is a number: write linear");
    if (d->task == US_TASK_VALUE && o->label_smoothing > 0)
        return us_fail(c, US_ARG,
                       "train.label_smoothing is for classes; this target is a number");
    if (d->task == US_TASK_VALUE && o->balanced)
        return us_fail(c, US_ARG, "train.class_weight is for classes; this target is a number");
    if (d->train.n < 2)
        return us_fail(c, US_ARG, "training: %zu rows, at least 2 are needed", d->train.n);
    US_TRY(check_rows(c, d, &d->train, "training"));
    return check_rows(c, d, &d->valid, "validation");
}

/* n / (K n_k), so that the classes weigh the same in sum; a class without rows gets 0. */
static us_err balance(us_ctx *c, us_arena *a, const us_train_data *d, double **out)
{
    double *w = us_new_n(a, double, d->n_classes);
    if (!w) return us_arena_fail(c, a);
    for (size_t i = 0; i < d->train.n; i++)
        w[d->train.cls[i]] += 1;
    for (size_t j = 0; j < d->n_classes; j++)
        w[j] = w[j] > 0 ? (double)d->train.n / ((double)d->n_classes * w[j]) : 0;
    *out = w;
    return US_OK;
}

static us_err fit(us_ctx *c, const us_train_opts *o, uint64_t seed, const us_train_data *d,
                  const us_train_hooks *hooks, us_arena *a, us_train_result *r)
{
    double *class_weight = NULL;
    size_t n_out = d->task == US_TASK_CLASSES ? d->n_classes : 1;
    size_t n_hidden = o->family == US_FAMILY_MLP ? o->n_hidden : 0;
    if (o->balanced) US_TRY(balance(c, a, d, &class_weight));
    US_TRY(us_net_new(c, a, d->task, o->family, o->activation, d->n_features, n_out, n_hidden,
                      o->hidden, &r->net));
    r->n_parameters = us_net_n_values(&r->net);
    if (o->family == US_FAMILY_LINEAR && o->optim <= US_OPTIM_EXACT)
        return us_exact_fit(c, d, &d->train, o->weight_decay, class_weight, &r->net);
    return us_loop_run(c, o, seed, d, class_weight, hooks, a, &r->net, r);
}

us_err us_train(us_ctx *c, const us_train_opts *o, uint64_t seed, const us_train_data *d,
                const us_train_hooks *hooks, us_arena *a, us_train_result *out)
{
    static const us_train_hooks none = {0};
    us_train_result r = {0};
    if (!hooks) hooks = &none;
    if (o->family == US_FAMILY_CONSTANT)
        return us_fail(c, US_ARG, "model.family: a constant is a baseline, not a model");
    US_TRY(us_train_opts_check(c, o));
    US_TRY(check_data(c, o, d));
    US_TRY(fit(c, o, seed, d, hooks, a, &r));
    if (!us_net_finite(&r.net))
        return us_fail(c, US_NO,
                       "training gave weights that are not finite: look for features or "
                       "targets of huge range");
    US_TRY(us_judge_measure(c, d, &r.net, &r.train, &r.valid));
    if (hooks->no_baselines) {
        r.verdict = "Baselines were not asked for.";
    } else {
        US_TRY(us_judge(c, seed, d, a, &r));
    }
    *out = r;
    return US_OK;
}
