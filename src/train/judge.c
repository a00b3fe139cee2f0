/* train/judge.c - is the model worth it? Baselines, a paired bootstrap, a plain sentence.
 *
 * A model that does not clearly beat the majority class or a straight line has no business being deployed, and one that
 * does not beat a line should be the line. The comparison uses the same rows for both models in each resample, so what is
 * common to both cancels.
 */
#include "train/judge.h"

#include <math.h>

#include "train/exact.h"

#define BASELINE_L2 1e-4 /* enough to make repeated columns unique */

static const char *metric_of(us_task t)
{
    return t == US_TASK_CLASSES ? "accuracy" : "r2";
}

static double value_of(const us_train_metrics *m, us_task t)
{
    return t == US_TASK_CLASSES ? m->accuracy : m->r2;
}

/* --- scores ------------------------------------------------------------------------------------------------ */

static us_err widen(us_ctx *c, us_arena *a, const float *x, size_t n, const double **out)
{
    double *y = us_new_n(a, double, n);
    if (!y) return us_arena_fail(c, a);
    for (size_t i = 0; i < n; i++)
        y[i] = (double)x[i];
    *out = y;
    return US_OK;
}

static us_err scores_of(us_ctx *c, us_arena *a, us_task task, size_t k,
                        const us_train_rows *rows, const float *pred, us_scores *s)
{
    *s = (us_scores){.task = task, .n = rows->n};
    if (task == US_TASK_CLASSES) {
        s->k = k;
        s->truth = rows->cls;
        s->prob = pred;
    } else {
        US_TRY(widen(c, a, rows->value, rows->n, &s->y));
        US_TRY(widen(c, a, pred, rows->n, &s->pred));
    }
    return us_scores_prepare(c, a, s);
}

static double metric(const us_scores *s, const char *name)
{
    const us_metric *m = us_metric_find(us_sv_of(name));
    return m ? m->value(s, NULL) : (double)NAN;
}

static us_train_metrics metrics_of(const us_scores *s)
{
    double nan = (double)NAN;
    us_train_metrics m = {s->n, nan, nan, nan, nan, nan, nan};
    if (s->task == US_TASK_CLASSES) {
        m.loss = metric(s, "log_loss");
        m.accuracy = metric(s, "accuracy");
        if (s->k == 2) m.auc = metric(s, "roc_auc");
    } else {
        m.rmse = metric(s, "rmse");
        m.mae = metric(s, "mae");
        m.r2 = metric(s, "r2");
        m.loss = m.rmse * m.rmse;
    }
    return m;
}

us_err us_train_measure(us_ctx *c, us_task task, size_t n_classes, const us_train_rows *rows,
                        const float *pred, us_train_metrics *out)
{
    us_arena *a;
    us_scores s;
    US_TRY(us_arena_new(c, "metrics", (size_t)64 << 30, &a));
    us_err e = scores_of(c, a, task, n_classes, rows, pred, &s);
    if (e == US_OK) *out = metrics_of(&s);
    us_arena_free(a);
    return e;
}

static us_err predict(us_ctx *c, us_arena *a, const us_net *net, const us_train_rows *rows,
                      float **out)
{
    size_t width = net->task == US_TASK_CLASSES ? net->n_out : 1;
    *out = us_new_n(a, float, rows->n *width);
    if (!*out) return us_arena_fail(c, a);
    return us_net_predict(c, net, rows->n, rows->x, *out);
}

static us_err measure_net(us_ctx *c, const us_train_data *d, const us_train_rows *rows,
                          const us_net *net, us_train_metrics *out)
{
    us_arena *a;
    float *pred;
    double nan = (double)NAN;
    *out = (us_train_metrics){0, nan, nan, nan, nan, nan, nan};
    if (!rows->n) return US_OK;
    US_TRY(us_arena_new(c, "predictions", (size_t)64 << 30, &a));
    us_err e = predict(c, a, net, rows, &pred);
    if (e == US_OK) e = us_train_measure(c, d->task, d->n_classes, rows, pred, out);
    us_arena_free(a);
    return e;
}

us_err us_judge_measure(us_ctx *c, const us_train_data *d, const us_net *net,
                        us_train_metrics *train, us_train_metrics *valid)
{
    US_TRY(measure_net(c, d, &d->train, net, train));
    return measure_net(c, d, &d->valid, net, valid);
}

/* --- baselines ----------------------------------------------------------------------------------------------- */

/* Log shares of the classes, or the mean: what a model says that has seen only the target. */
static void fit_constant(const us_train_data *d, us_net *net)
{
    us_layer *l = &net->layers[0];
    const us_train_rows *t = &d->train;
    if (d->task == US_TASK_VALUE) {
        double mean = 0;
        for (size_t i = 0; i < t->n; i++)
            mean += (double)t->value[i] / (double)t->n;
        l->b[0] = (float)mean;
        return;
    }
    for (size_t i = 0; i < t->n; i++)
        l->b[t->cls[i]] += 1;
    for (size_t j = 0; j < l->n_out; j++)
        l->b[j] = (float)log(((double)l->b[j] + 0.5) / ((double)t->n + 0.5 * (double)l->n_out));
}

static us_err add_baseline(us_ctx *c, const us_train_data *d, us_family family, us_arena *a,
                           us_train_baseline *b)
{
    bool classes = d->task == US_TASK_CLASSES;
    size_t n_out = classes ? d->n_classes : 1;
    US_TRY(
        us_net_new(c, a, d->task, family, US_ACT_RELU, d->n_features, n_out, 0, NULL, &b->net));
    if (family == US_FAMILY_CONSTANT) {
        b->name = classes ? "majority class" : "mean";
        fit_constant(d, &b->net);
    } else {
        b->name = classes ? "logistic regression" : "linear regression";
        US_TRY(us_exact_fit(c, d, &d->train, BASELINE_L2, NULL, &b->net));
    }
    return us_judge_measure(c, d, &b->net, &b->train, &b->valid);
}

static us_err compare(us_ctx *c, uint64_t seed, const us_train_data *d, const us_net *chosen,
                      us_train_baseline *b)
{
    us_arena *a;
    us_err e;
    float *pa, *pb;
    us_scores sa, sb;
    const us_metric *m;
    US_TRY(us_metric_get(c, d->task, us_sv_of(metric_of(d->task)), &m));
    US_TRY(us_arena_new(c, "comparison", (size_t)64 << 30, &a));
    US_GO(predict(c, a, chosen, &d->valid, &pa));
    US_GO(predict(c, a, &b->net, &d->valid, &pb));
    US_GO(scores_of(c, a, d->task, d->n_classes, &d->valid, pa, &sa));
    US_GO(scores_of(c, a, d->task, d->n_classes, &d->valid, pb, &sb));
    US_GO(
        us_bootstrap_paired(c, &sa, &sb, m, NULL, seed, US_TRAIN_BOOTSTRAP, 0.95, &b->paired));
    b->beaten = b->paired.significant && b->paired.diff > 0;
out:
    us_arena_free(a);
    return e;
}

/* --- the sentence ---------------------------------------------------------------------------------------------- */

static const char *chosen_name(const us_net *n)
{
    if (n->family == US_FAMILY_MLP) return "mlp";
    return n->task == US_TASK_CLASSES ? "logistic regression" : "linear regression";
}

static us_err verdict(us_ctx *c, const us_train_data *d, us_arena *a, us_train_result *r)
{
    const char *name = chosen_name(&r->net), *what = metric_of(d->task);
    if (!d->valid.n) {
        r->verdict =
            "There are no validation rows, so the model was not compared with simpler ones.";
        return US_OK;
    }
    const us_train_baseline *b =
        &r->baselines[r->n_baselines - 1]; /* the hardest to beat, usually */
    for (size_t i = r->n_baselines; i-- > 0;)
        if (!r->baselines[i].beaten) b = &r->baselines[i]; /* the simplest that is as good */
    double mine = value_of(&r->valid, d->task), other = value_of(&b->valid, d->task);
    if (b->beaten) {
        r->verdict = us_str_printf(
            a,
            "The %s (validation %s %.4f) is significantly better than the baseline %s (%.4f): "
            "difference %+.4f, 95 %% interval [%+.4f, %+.4f].",
            name, what, mine, b->name, other, b->paired.diff, b->paired.lo, b->paired.hi);
    } else {
        r->simpler_as_good = true;
        r->verdict = us_str_printf(a,
                                   "The %s (validation %s %.4f) is not significantly better "
                                   "than the baseline %s (%.4f): "
                                   "difference %+.4f, 95 %% interval [%+.4f, %+.4f]. The "
                                   "simpler model is as good: prefer it.",
                                   name, what, mine, b->name, other, b->paired.diff,
                                   b->paired.lo, b->paired.hi);
    }
    return r->verdict ? US_OK : us_arena_fail(c, a);
}

us_err us_judge(us_ctx *c, uint64_t seed, const us_train_data *d, us_arena *a,
                us_train_result *r)
{
    r->n_baselines = r->net.family == US_FAMILY_LINEAR ? 1 : 2;
    r->baselines = us_new_n(a, us_train_baseline, r->n_baselines);
    if (!r->baselines) return us_arena_fail(c, a);
    static const us_family kinds[] = {US_FAMILY_CONSTANT, US_FAMILY_LINEAR};
    for (size_t i = 0; i < r->n_baselines; i++) {
        US_TRY(add_baseline(c, d, kinds[i], a, &r->baselines[i]));
        if (d->valid.n) US_TRY(compare(c, seed, d, &r->net, &r->baselines[i]));
    }
    return verdict(c, d, a, r);
}
