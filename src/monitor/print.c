/* monitor/print.c - a drift report as table, sentence, JSON and Prometheus text. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "monitor/monitor.h"

/* Worst first: drifted before calm, then by rising p-value, then as in the passport (pointers order the columns). */
static int by_evidence(const void *a, const void *b)
{
    const us_drift *x = *(const us_drift *const *)a, *y = *(const us_drift *const *)b;
    if (x->drifted != y->drifted) return x->drifted ? -1 : 1;
    if (x->p < y->p || x->p > y->p) return x->p < y->p ? -1 : 1;
    return (x > y) - (x < y);
}

static us_err sorted(us_ctx *c, us_arena *a, const us_drift_report *r, const us_drift ***out)
{
    const us_drift **v = us_new_n(a, const us_drift *, r->n_columns);
    if (!v) return us_arena_fail(c, a);
    for (size_t i = 0; i < r->n_columns; i++)
        v[i] = &r->columns[i];
    qsort(v, r->n_columns, sizeof *v, by_evidence);
    *out = v;
    return US_OK;
}

us_err us_drift_table(us_ctx *c, us_arena *a, const us_drift_report *r, size_t most,
                      us_rtable **out)
{
    const us_drift **v = NULL;
    us_rtable *t = NULL;
    US_TRY(sorted(c, a, r, &v));
    US_TRY(us_rtable_new(
        c, a, "Drift against the training data",
        "column|role|kind|>PSI|>alarm above|>p|>mean then|>mean now|>missing|verdict", &t));
    size_t n = most && most < r->n_columns ? most : r->n_columns;
    for (size_t i = 0; i < n; i++) {
        const us_drift *d = v[i];
        us_rtable_cellsv(t, d->name);
        us_rtable_cell(t, (size_t)(d - r->columns) < r->n_inputs ? "input" : "output");
        us_rtable_cell(t, us_sketch_kind_name(d->kind));
        us_rtable_f64(t, d->psi, 3);
        us_rtable_f64(t, d->psi_threshold, 3);
        us_rtable_f64(t, d->p, 2);
        us_rtable_f64(t, d->mean_ref, 4);
        us_rtable_f64(t, d->mean_now, 4);
        us_rtable_cellf(t, "%.1f %%", 100 * d->missing_now);
        us_rtable_cell(t, !d->enough ? "too few rows" : d->drifted ? "DRIFT" : "ok");
        if (d->drifted || d->enough) us_rtable_tone(t, d->drifted ? US_BAD : US_GOOD);
    }
    *out = t;
    return US_OK;
}

us_err us_drift_sentence(us_ctx *c, us_arena *a, const us_drift_report *r, const char **out)
{
    char *z;
    if (!r->enough)
        z = us_str_printf(a, "no verdict: %llu rows served, at least %d are needed",
                          (unsigned long long)r->n_rows, US_DRIFT_MIN_ROWS);
    else if (r->n_drifted)
        z = us_str_printf(
            a, "DRIFT in %zu of %zu columns over %llu rows (false-alarm budget %g per window)",
            r->n_drifted, r->n_columns, (unsigned long long)r->n_rows, r->alpha);
    else
        z = us_str_printf(
            a, "no drift in %zu columns over %llu rows (false-alarm budget %g per window)",
            r->n_columns, (unsigned long long)r->n_rows, r->alpha);
    if (!z) return us_arena_fail(c, a);
    *out = z;
    return US_OK;
}

/* NaN has no JSON: null. */
static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *column_json(const us_drift *d, bool input)
{
    return json_pack(
        "{s:s%, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b}",
        "name", d->name.p, d->name.n, "role", input ? "input" : "output", "kind",
        us_sketch_kind_name(d->kind), "n_reference", (json_int_t)d->n, "n_now",
        (json_int_t)d->m, "psi", number(d->psi), "psi_threshold", number(d->psi_threshold),
        "statistic", number(d->stat), "p", number(d->p), "ks", number(d->ks), "wasserstein",
        number(d->wasserstein), "mean_reference", number(d->mean_ref), "mean_now",
        number(d->mean_now), "missing_now", number(d->missing_now), "enough", d->enough,
        "drifted", d->drifted);
}

us_err us_drift_json(us_ctx *c, us_arena *a, const us_drift_report *r, json_t **out)
{
    json_t *columns = json_array();
    bool ok = columns != NULL;
    for (size_t i = 0; ok && i < r->n_columns; i++)
        ok = !json_array_append_new(columns, column_json(&r->columns[i], i < r->n_inputs));
    if (!ok) {
        json_decref(columns);
        return us_nomem(c);
    }
    json_t *j =
        json_pack("{s:I, s:I, s:I, s:o, s:b, s:I, s:b, s:o}", "rows", (json_int_t)r->n_rows,
                  "from_us", (json_int_t)r->from_us, "to_us", (json_int_t)r->to_us, "alpha",
                  json_real(r->alpha), "enough", r->enough, "n_drifted",
                  (json_int_t)r->n_drifted, "drift", r->n_drifted > 0, "columns", columns);
    US_TRY(us_json_keep(c, a, j));
    *out = j;
    return US_OK;
}

/* A label value: backslash, quote and newline are escaped, as the exposition format asks. */
static void label(us_buf *b, const char *key, us_sv v)
{
    us_buf_addf(b, "%s=\"", key);
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '\n') {
            us_buf_adds(b, "\\n");
            continue;
        }
        if (v.p[i] == '"' || v.p[i] == '\\') us_buf_addc(b, '\\');
        us_buf_addc(b, v.p[i]);
    }
    us_buf_addc(b, '"');
}

static void sample(us_buf *b, const char *metric, const char *model, us_sv feature,
                   const char *stat, double v)
{
    char text[32];
    if (isnan(v)) return;
    us_buf_addf(b, "%s{", metric);
    label(b, "model", us_sv_of(model));
    us_buf_addc(b, ',');
    label(b, "feature", feature);
    us_buf_addf(b, ",stat=\"%s\"} ", stat);
    us_buf_add(b, text, us_print_f64(v, text));
    us_buf_addc(b, '\n');
}

static void gauge(us_buf *b, const char *metric, const char *help, const char *model, double v)
{
    char text[32];
    us_buf_addf(b, "# HELP %s %s\n# TYPE %s gauge\n%s{", metric, help, metric, metric);
    label(b, "model", us_sv_of(model));
    us_buf_adds(b, "} ");
    us_buf_add(b, text, us_print_f64(v, text));
    us_buf_addc(b, '\n');
}

void us_drift_prometheus(const us_drift_report *r, const char *model, us_buf *b)
{
    us_buf_adds(b, "# HELP usta_feature_drift Distance of served data from the training data.\n"
                   "# TYPE usta_feature_drift gauge\n");
    for (size_t i = 0; i < r->n_columns; i++) {
        sample(b, "usta_feature_drift", model, r->columns[i].name, "psi", r->columns[i].psi);
        sample(b, "usta_feature_drift", model, r->columns[i].name, "ks", r->columns[i].ks);
    }
    us_buf_adds(
        b,
        "# HELP usta_feature_drift_threshold Value above which the column counts as drifted.\n"
        "# TYPE usta_feature_drift_threshold gauge\n");
    for (size_t i = 0; i < r->n_columns; i++)
        sample(b, "usta_feature_drift_threshold", model, r->columns[i].name, "psi",
               r->columns[i].psi_threshold);
    gauge(b, "usta_drifted_features", "Columns whose distribution has changed.", model,
          (double)r->n_drifted);
    gauge(b, "usta_monitor_window_rows", "Rows in the monitor's window.", model,
          (double)r->n_rows);
}
