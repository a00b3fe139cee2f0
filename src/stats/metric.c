/* stats/metric.c - see metric.h. */
#include "stats/metric.h"

#include <math.h>
#include <string.h>

#include "stats/quantile.h"

static const struct {
    const char *name, *also;
} task_names[] = {{"classify", "classification"},
                  {"regress", "regression"}}; /* ORDER us_task */

const char *us_task_name(us_task t)
{
    return (size_t)t < US_LEN(task_names) ? task_names[t].name : "invalid";
}

bool us_task_find(us_sv name, us_task *out)
{
    for (size_t i = 0; i < US_LEN(task_names); i++)
        if (us_sv_is(name, task_names[i].name) || us_sv_is(name, task_names[i].also)) {
            *out = (us_task)i;
            return true;
        }
    return false;
}

/* --- preparation --------------------------------------------------------------------------------------- */

static us_err check(us_ctx *c, const us_scores *s)
{
    if (s->n > UINT32_MAX) return us_fail(c, US_LIMIT, "metrics of more than 2^32 rows");
    if (s->task == US_TASK_VALUE)
        return s->n == 0 || (s->y && s->pred) ? US_OK
                                              : us_fail(c, US_ARG, "metrics without y or pred");
    if (s->k < 2 || s->k > INT32_MAX) return us_fail(c, US_ARG, "metrics of %zu classes", s->k);
    if (s->n && (!s->truth || (!s->prob && !s->label)))
        return us_fail(c, US_ARG, "metrics without truth, or without prob and label");
    for (size_t i = 0; i < s->n; i++)
        if (s->truth[i] < -1 || s->truth[i] >= (int32_t)s->k ||
            (s->label && (s->label[i] < -1 || s->label[i] >= (int32_t)s->k)))
            return us_fail(c, US_ARG, "row %zu: class %d, predicted %d, of %zu", i, s->truth[i],
                           s->label ? s->label[i] : -1, s->k);
    return US_OK;
}

static int32_t argmax(const float *p, size_t k)
{
    size_t best = 0;
    for (size_t j = 1; j < k; j++)
        if (p[j] > p[best]) best = j;
    return (int32_t)best;
}

static us_err prepare_orders(us_ctx *c, us_arena *a, us_scores *s)
{
    us_arena *tmp = NULL;
    us_err e = US_OK;
    s->order = us_new_n(a, uint32_t *, s->k);
    if (!s->order) return us_arena_fail(c, a);
    US_TRY(us_arena_new(c, "orders", (size_t)1 << 36, &tmp));
    double *x = us_new_n(tmp, double, s->n);
    uint64_t *key = us_new_n(tmp, uint64_t, s->n), *t = us_new_n(tmp, uint64_t, s->n);
    uint32_t *ti = us_new_n(tmp, uint32_t, s->n);
    if (!x || !key || !t || !ti) e = us_arena_fail(c, tmp);
    for (size_t j = 0; j < s->k && e == US_OK; j++) {
        if (s->k == 2 && j == 0) continue; /* the second class's order tells everything */
        s->order[j] = us_new_n(a, uint32_t, s->n);
        if (!s->order[j]) {
            e = us_arena_fail(c, a);
            break;
        }
        for (size_t i = 0; i < s->n; i++)
            x[i] = (double)s->prob[i * s->k + j];
        us_sort_index_f64(x, s->order[j], s->n, key, t, ti);
    }
    us_arena_free(tmp);
    return e;
}

us_err us_scores_prepare(us_ctx *c, us_arena *a, us_scores *s)
{
    US_TRY(check(c, s));
    if (s->task == US_TASK_VALUE) return US_OK;
    us_scores r = *s;
    r.guess = us_new_n(a, int32_t, s->n);
    if (!r.guess) return us_arena_fail(c, a);
    for (size_t i = 0; i < s->n; i++)
        r.guess[i] = s->label ? s->label[i] : argmax(s->prob + i * s->k, s->k);
    if (s->prob) {
        r.p_true = us_new_n(a, double, s->n);
        if (!r.p_true) return us_arena_fail(c, a);
        for (size_t i = 0; i < s->n; i++) {
            double p = s->truth[i] < 0 ? 0 : (double)s->prob[i * s->k + (size_t)s->truth[i]];
            r.p_true[i] = p < 1e-15 ? 1e-15 : p > 1 ? 1 : p; /* NaN stays NaN */
        }
        US_TRY(prepare_orders(c, a, &r));
    }
    *s = r;
    return US_OK;
}

/* --- classification ------------------------------------------------------------------------------------ */

static double weight(const uint32_t *w, size_t i)
{
    return w ? w[i] : 1;
}

static double accuracy(const us_scores *s, const uint32_t *w)
{
    double hit = 0, all = 0;
    for (size_t i = 0; i < s->n; i++) {
        all += weight(w, i);
        if (s->guess[i] == s->truth[i] && s->truth[i] >= 0) hit += weight(w, i);
    }
    return all > 0 ? hit / all : (double)NAN;
}

/* Weights of one class: rows of it, rows guessed as it, rows that are both. One pass per class keeps this free of
 * allocation; classes are few. */
static void class_counts(const us_scores *s, const uint32_t *w, int32_t k, double out[3])
{
    out[0] = out[1] = out[2] = 0;
    for (size_t i = 0; i < s->n; i++) {
        double v = weight(w, i);
        bool is = s->truth[i] == k, said = s->guess[i] == k;
        out[0] += is ? v : 0;
        out[1] += said ? v : 0;
        out[2] += is && said ? v : 0;
    }
}

/* Mean recall over the classes that occur. */
static double balanced_accuracy(const us_scores *s, const uint32_t *w)
{
    double sum = 0, n = 0, q[3];
    for (size_t k = 0; k < s->k; k++) {
        class_counts(s, w, (int32_t)k, q);
        if (q[0] > 0) {
            sum += q[2] / q[0];
            n++;
        }
    }
    return n > 0 ? sum / n : (double)NAN;
}

/* Mean F1 over the classes that occur or are guessed. */
static double macro_f1(const us_scores *s, const uint32_t *w)
{
    double sum = 0, n = 0, q[3];
    for (size_t k = 0; k < s->k; k++) {
        class_counts(s, w, (int32_t)k, q);
        if (q[0] + q[1] > 0) {
            sum += 2 * q[2] / (q[0] + q[1]);
            n++;
        }
    }
    return n > 0 ? sum / n : (double)NAN;
}

/* Area under the curve of class k against the rest: the share of pairs in the right order, ties count half. */
static double auc_of(const us_scores *s, const uint32_t *w, size_t k)
{
    const uint32_t *o = s->order[k];
    double below = 0, right = 0, n_pos = 0, n_neg = 0;
    for (size_t i = 0; i < s->n;) {
        float score = s->prob[(size_t)o[i] * s->k + k];
        double pos = 0, neg = 0;
        if (isnan(score)) return (double)NAN;
        for (; i < s->n && s->prob[(size_t)o[i] * s->k + k] == score; i++)
            *(s->truth[o[i]] == (int32_t)k ? &pos : &neg) += weight(w, o[i]);
        right += pos * (below + neg / 2);
        below += neg;
        n_pos += pos;
        n_neg += neg;
    }
    return n_pos > 0 && n_neg > 0 ? right / (n_pos * n_neg) : (double)NAN;
}

/* Two classes: of the second. More: mean over the classes that occur, each against the rest. */
static double roc_auc(const us_scores *s, const uint32_t *w)
{
    double sum = 0, n = 0;
    if (!s->prob) return (double)NAN;
    if (s->k == 2) return auc_of(s, w, 1);
    for (size_t k = 0; k < s->k; k++) {
        double v = auc_of(s, w, k);
        if (!isnan(v)) {
            sum += v;
            n++;
        }
    }
    return n > 0 ? sum / n : (double)NAN;
}

static double log_loss(const us_scores *s, const uint32_t *w)
{
    double sum = 0, all = 0;
    if (!s->prob) return (double)NAN;
    for (size_t i = 0; i < s->n; i++) {
        double v = weight(w, i);
        if (v == 0) continue;
        sum -= v * log(s->p_true[i]);
        all += v;
    }
    return all > 0 ? sum / all : (double)NAN;
}

/* Two classes: mean squared difference of the second's probability; more: the sum over classes (Brier's own form). */
static double brier(const us_scores *s, const uint32_t *w)
{
    double sum = 0, all = 0;
    if (!s->prob) return (double)NAN;
    for (size_t i = 0; i < s->n; i++) {
        double v = weight(w, i), q = 0;
        for (size_t k = s->k == 2 ? 1 : 0; k < s->k && v > 0; k++) {
            double d = (double)s->prob[i * s->k + k] - (s->truth[i] == (int32_t)k);
            q += d * d;
        }
        sum += v * q;
        all += v;
    }
    return all > 0 ? sum / all : (double)NAN;
}

/* --- regression ------------------------------------------------------------------------------------------ */

static double mean_square(const us_scores *s, const uint32_t *w)
{
    double sum = 0, all = 0;
    for (size_t i = 0; i < s->n; i++) {
        double v = weight(w, i), d = s->pred[i] - s->y[i];
        if (v == 0) continue;
        sum += v * d * d;
        all += v;
    }
    return all > 0 ? sum / all : (double)NAN;
}

static double rmse(const us_scores *s, const uint32_t *w)
{
    return sqrt(mean_square(s, w));
}

static double mae(const us_scores *s, const uint32_t *w)
{
    double sum = 0, all = 0;
    for (size_t i = 0; i < s->n; i++) {
        double v = weight(w, i);
        if (v == 0) continue;
        sum += v * fabs(s->pred[i] - s->y[i]);
        all += v;
    }
    return all > 0 ? sum / all : (double)NAN;
}

/* 1 - residual / total sum of squares, two-pass; not defined when the truth does not vary. */
static double r2(const us_scores *s, const uint32_t *w)
{
    double all = 0, mean = 0, total = 0;
    for (size_t i = 0; i < s->n; i++) {
        all += weight(w, i);
        mean += weight(w, i) * s->y[i];
    }
    mean /= all > 0 ? all : 1;
    for (size_t i = 0; i < s->n; i++)
        total += weight(w, i) * (s->y[i] - mean) * (s->y[i] - mean);
    return total > 0 ? 1 - mean_square(s, w) * all / total : (double)NAN;
}

/* --- the table -------------------------------------------------------------------------------------------- */

/* clang-format off */
static const us_metric metrics[] = {
    {"accuracy",          US_TASK_CLASSES, true,  false, "share of rows with the right class",              accuracy},
    {"balanced_accuracy", US_TASK_CLASSES, true,  false, "mean share of right rows per class",              balanced_accuracy},
    {"macro_f1",          US_TASK_CLASSES, true,  false, "mean F1 over classes",                            macro_f1},
    {"roc_auc",           US_TASK_CLASSES, true,  true,  "area under the ROC curve; more than two classes: mean, one against the rest", roc_auc},
    {"log_loss",          US_TASK_CLASSES, false, true,  "mean negative log probability of the true class", log_loss},
    {"brier",             US_TASK_CLASSES, false, true,  "mean squared difference of probability and truth", brier},
    {"rmse",              US_TASK_VALUE,   false, false, "root of the mean squared error",                  rmse},
    {"mae",               US_TASK_VALUE,   false, false, "mean absolute error",                             mae},
    {"r2",                US_TASK_VALUE,   true,  false, "share of the variance explained",                 r2},
};
static const struct { const char *name, *means; } aliases[] = {
    {"auc", "roc_auc"}, {"f1", "macro_f1"},
};
/* clang-format on */

const us_metric *us_metric_at(size_t i)
{
    return i < US_LEN(metrics) ? &metrics[i] : NULL;
}

const us_metric *us_metric_find(us_sv name)
{
    for (size_t i = 0; i < US_LEN(aliases); i++)
        if (us_sv_is(name, aliases[i].name)) name = us_sv_of(aliases[i].means);
    for (size_t i = 0; i < US_LEN(metrics); i++)
        if (us_sv_is(name, metrics[i].name)) return &metrics[i];
    return NULL;
}

us_err us_metric_get(us_ctx *c, us_task task, us_sv name, const us_metric **out)
{
    const us_metric *m = us_metric_find(name);
    if (m && m->task == task) {
        *out = m;
        return US_OK;
    }
    const char *known = task == US_TASK_CLASSES
                            ? "accuracy, balanced_accuracy, macro_f1, roc_auc, log_loss, brier"
                            : "rmse, mae, r2";
    return us_fail(c, US_ARG, "no metric '" US_SV_FMT "' to %s; there are %s", US_SV_ARG(name),
                   us_task_name(task), known);
}

const us_metric *us_metric_default(us_task t)
{
    return us_metric_find(t == US_TASK_CLASSES ? US_SV("accuracy") : US_SV("rmse"));
}

bool us_metric_better(const us_metric *m, double a, double b)
{
    if (isnan(a) || isnan(b)) return !isnan(a) && isnan(b);
    return m->higher_better ? a > b : a < b;
}

void us_confusion(const us_scores *s, const uint32_t *weights, uint64_t *out)
{
    memset(out, 0, s->k * s->k * sizeof *out);
    for (size_t i = 0; i < s->n; i++)
        if (s->truth[i] >= 0 && s->guess[i] >= 0)
            out[(size_t)s->truth[i] * s->k + (size_t)s->guess[i]] += weights ? weights[i] : 1;
}
