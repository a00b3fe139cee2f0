/* validate/requirements.c - the project's requirements, one row each.
 *
 * Three forms: a metric of the test rows (perhaps of a slice) against min or max; a metric against a baseline (paired
 * bootstrap: the difference's interval must exclude zero); a measured figure of the model itself.
 */
#include <math.h>
#include <string.h>

#include "validate/gate.h"

typedef struct figure { /* a requirement that is not a metric of predictions */
    const char *name;
    double (*value)(const us_gate *g);
    const char *evidence;
} figure;

static double latency_p99(const us_gate *g)
{
    return g->latency_p99_ms;
}
static double latency_p50(const us_gate *g)
{
    return g->latency_p50_ms;
}
static double memory_peak(const us_gate *g)
{
    return (double)g->memory_peak_bytes / 1e6;
}
static double model_size(const us_gate *g)
{
    return (double)g->in->model.n / 1e6;
}

static const figure figures[] = {
    {"latency_p99_ms", latency_p99, "single rows, decoded and predicted one by one"},
    {"latency_p50_ms", latency_p50, "single rows, decoded and predicted one by one"},
    {"memory_peak_mb", memory_peak, "all memory of loading the model and predicting a row"},
    {"model_mb", model_size, "size of the file"},
};

static const figure *figure_find(const char *name)
{
    for (size_t i = 0; i < US_LEN(figures); i++)
        if (!strcmp(figures[i].name, name)) return &figures[i];
    return NULL;
}

static const char *number(us_gate *g, double v)
{
    char text[32];
    return us_gate_text(g, "%s", us_print_sig(v, 4, text));
}

/* As the user wrote it. */
static const char *bound(us_gate *g, double v)
{
    char text[32];
    (void)us_print_f64(v, text);
    return us_gate_text(g, "%s", text);
}

static const char *required(us_gate *g, const us_conf_requirement *r)
{
    if (!isnan(r->min) && !isnan(r->max))
        return us_gate_text(g, "%s to %s", bound(g, r->min), bound(g, r->max));
    if (!isnan(r->min)) return us_gate_text(g, ">= %s", bound(g, r->min));
    return us_gate_text(g, "<= %s", bound(g, r->max));
}

/* NaN meets nothing. */
static bool meets(const us_conf_requirement *r, double lo, double hi)
{
    return !isnan(lo) && !isnan(hi) && (isnan(r->min) || lo >= r->min) &&
           (isnan(r->max) || hi <= r->max);
}

/* "column=value" as a mask over the test rows; *n_in rows belong to it. */
static us_err slice_mask(us_gate *g, const char *slice, uint8_t **mask, size_t *n_in)
{
    const char *eq = strchr(slice, '=');
    if (!eq) return us_fail(g->c, US_ARG, "slice '%s': expected column=value", slice);
    us_sv name = us_sv_trim((us_sv){slice, (size_t)(eq - slice)}),
          want = us_sv_trim(us_sv_of(eq + 1));
    const us_column *k;
    US_TRY(us_table_get(g->c, g->in->table, name, &k));
    uint8_t *m = us_new_n(g->a, uint8_t, g->in->n_rows);
    if (!m) return us_arena_fail(g->c, g->a);
    us_buf cell;
    us_buf_init(&cell, g->c, (size_t)16 << 20);
    size_t n = 0;
    for (size_t i = 0; i < g->in->n_rows; i++) {
        us_buf_clear(&cell);
        us_col_print(k, g->in->rows[i], &cell);
        m[i] = us_sv_eq(us_buf_sv(&cell), want);
        n += m[i];
    }
    us_buf_deinit(&cell);
    *mask = m;
    *n_in = n;
    return US_OK;
}

static us_err judge_figure(us_gate *g, const us_conf_requirement *r, const figure *f)
{
    double v = f->value(g);
    return us_gate_add(g, (us_gate_row){.what = f->name,
                                        .required = required(g, r),
                                        .found = number(g, v),
                                        .evidence = f->evidence,
                                        .passed = meets(r, v, v),
                                        .requirement = true});
}

static us_err judge_metric(us_gate *g, const us_conf_requirement *r, const us_metric *m,
                           const uint8_t *mask, size_t n, const char *what)
{
    us_interval v;
    us_gate_row row = {.what = what, .required = required(g, r), .requirement = true};
    us_err e = us_bootstrap(g->c, &g->scores, m, mask, g->in->seed, g->in->n_resamples, 0, &v);
    if (e ==
        US_NO) { /* no rows, or not defined on them: the requirement is not shown to be met */
        row.found = "-";
        row.evidence = us_gate_text(g, "%s", g->c->diag.text);
        return us_gate_add(g, row);
    }
    US_TRY(e);
    row.found = number(g, v.value);
    row.evidence = us_gate_text(g, "95 %% interval %s to %s, %zu rows", number(g, v.lo),
                                number(g, v.hi), n);
    row.passed = g->in->confident ? meets(r, v.lo, v.hi) : meets(r, v.value, v.value);
    return us_gate_add(g, row);
}

static const us_validate_baseline *baseline_find(const us_gate *g, const char *kind)
{
    for (size_t i = 0; i < g->in->n_baselines; i++)
        if (!strcmp(g->in->baselines[i].kind, kind)) return &g->in->baselines[i];
    return NULL;
}

static us_err compare(us_gate *g, us_predictor *base, const us_metric *m, const uint8_t *mask,
                      us_paired *out)
{
    us_predictions y;
    us_scores s;
    US_TRY(us_predict_table(g->c, base, g->a, g->in->table, g->in->rows, g->in->n_rows, &y));
    US_TRY(us_predictions_score(g->c, g->a, base, &y, g->in->table, g->in->rows, &s));
    return us_bootstrap_paired(g->c, &g->scores, &s, m, mask, g->in->seed, g->in->n_resamples,
                               0, out);
}

static us_err judge_above(us_gate *g, const us_conf_requirement *r, const us_metric *m,
                          const uint8_t *mask, const char *what)
{
    const us_validate_baseline *b = baseline_find(g, r->above);
    us_predictor base = {0};
    us_paired v;
    if (!b) return us_fail(g->c, US_ARG, "there is no '%s' baseline for this model", r->above);
    US_TRY(us_predictor_open(g->c, g->a, r->above, b->bytes, &base));
    us_err e = compare(g, &base, m, mask, &v);
    us_predictor_close(&base);
    if (e != US_OK) return e;
    return us_gate_add(
        g, (us_gate_row){
               .what = what,
               .required = us_gate_text(g, "better than %s", r->above),
               .found = us_gate_text(g, "%s against %s", number(g, v.a), number(g, v.b)),
               .evidence = us_gate_text(g, "paired difference %s, 95 %% interval %s to %s",
                                        number(g, v.diff), number(g, v.lo), number(g, v.hi)),
               .passed = v.lo > 0,
               .requirement = true});
}

static us_err judge(us_gate *g, const us_conf_requirement *r)
{
    bool above = r->above[0] != 0, bounds = !isnan(r->min) || !isnan(r->max);
    if (!above && !bounds) return us_fail(g->c, US_ARG, "needs min, max or above");
    const figure *f = figure_find(r->metric);
    if (f && (above || r->slice[0]))
        return us_fail(g->c, US_ARG, "%s takes min and max only", r->metric);
    if (f) return judge_figure(g, r, f);
    const us_metric *m;
    uint8_t *mask = NULL;
    size_t n = g->in->n_rows;
    US_TRY(us_metric_get(g->c, g->p.passport.task, us_sv_of(r->metric), &m));
    if (r->slice[0]) US_TRY(slice_mask(g, r->slice, &mask, &n));
    const char *what =
        r->slice[0] ? us_gate_text(g, "%s where %s", r->metric, r->slice) : r->metric;
    if (bounds) US_TRY(judge_metric(g, r, m, mask, n, what));
    return above ? judge_above(g, r, m, mask, what) : US_OK;
}

us_err us_gate_requirements(us_gate *g)
{
    for (size_t i = 0; i < g->in->n_reqs; i++) {
        us_err e = judge(g, &g->in->reqs[i]);
        if (e != US_OK)
            return us_wrap(g->c, e, "requirement %zu (%s)", i + 1, g->in->reqs[i].metric);
    }
    return US_OK;
}
