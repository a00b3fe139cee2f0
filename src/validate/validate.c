/* validate/validate.c - the order of a validation, its record and its table. */
#include "validate/validate.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "validate/gate.h"

const char *us_gate_text(us_gate *g, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    const char *z = us_str_dup(g->a, us_sv_of(text));
    return z ? z : "";
}

us_err us_gate_add(us_gate *g, us_gate_row row)
{
    return us_vec_push(g->c, g->a, &g->rows, row);
}

static json_t *number(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* Every metric of the task that is defined here, with its interval. */
static us_err metrics_json(us_gate *g, json_t *out)
{
    const us_metric *m;
    for (size_t i = 0; (m = us_metric_at(i)); i++) {
        us_interval v;
        if (m->task != g->scores.task) continue;
        us_err e =
            us_bootstrap(g->c, &g->scores, m, NULL, g->in->seed, g->in->n_resamples, 0, &v);
        if (e == US_NO) continue;
        US_TRY(e);
        if (json_object_set_new(out, m->name,
                                json_pack("{s:o, s:o, s:o}", "value", number(v.value), "lo",
                                          number(v.lo), "hi", number(v.hi))))
            return us_nomem(g->c);
    }
    return US_OK;
}

static json_t *rows_json(const us_gate *g)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < g->rows.n; i++) {
        const us_gate_row *r = &g->rows.at[i];
        if (json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s, s:b, s:b}", "what",
                                                  r->what, "required", r->required, "found",
                                                  r->found, "evidence", r->evidence, "passed",
                                                  r->passed, "requirement", r->requirement))) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

static us_err record(us_gate *g, us_validation *v)
{
    json_t *metrics = json_object();
    if (!metrics) return us_nomem(g->c);
    us_err e = metrics_json(g, metrics);
    if (e != US_OK) {
        json_decref(metrics);
        return e;
    }
    json_t *rows = rows_json(g);
    json_t *j = json_pack(
        "{s:i, s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I}", "version",
        US_VALIDATION_VERSION, "model", g->in->model_hash ? g->in->model_hash : "", "passed",
        v->passed, "rows_judged", (json_int_t)g->in->n_rows, "seed", (json_int_t)g->in->seed,
        "gate", rows, "metrics", metrics, "latency_p50_ms", number(g->latency_p50_ms),
        "latency_p99_ms", number(g->latency_p99_ms), "memory_peak_bytes",
        (json_int_t)g->memory_peak_bytes, "model_bytes", (json_int_t)g->in->model.n);
    US_TRY(us_json_keep(g->c, g->a, j));
    v->record = j;
    return US_OK;
}

static us_err judge_all(us_gate *g, us_validation *v)
{
    US_TRY(
        us_predict_table(g->c, &g->p, g->a, g->in->table, g->in->rows, g->in->n_rows, &g->y));
    US_TRY(
        us_predictions_score(g->c, g->a, &g->p, &g->y, g->in->table, g->in->rows, &g->scores));
    US_TRY(us_gate_measure(g));
    US_TRY(us_gate_requirements(g));
    US_TRY(us_gate_checks(g));
    for (size_t i = 0; i < g->rows.n; i++)
        v->n_failed += !g->rows.at[i].passed;
    v->rows = g->rows.at;
    v->n = g->rows.n;
    v->passed = v->n_failed == 0;
    return record(g, v);
}

us_err us_validate(us_ctx *c, us_arena *a, const us_validate_in *in, us_validation *out)
{
    us_gate g = {
        .c = c, .a = a, .in = in, .latency_p50_ms = (double)NAN, .latency_p99_ms = (double)NAN};
    us_validation v = {0};
    if (!in->n_rows)
        return us_fail(
            c, US_ARG,
            "%s: there are no test rows to judge it on; give data.split.test or data.test_path",
            in->name);
    US_TRY(us_predictor_open(c, a, in->name, in->model, &g.p));
    us_err e = judge_all(&g, &v);
    us_predictor_close(&g.p);
    if (e == US_OK) *out = v;
    return e;
}

us_err us_validation_table(us_ctx *c, us_arena *a, const us_validation *v, us_rtable **out)
{
    us_rtable *t;
    US_TRY(
        us_rtable_new(c, a, "Validation", "requirement|required|>found|evidence|verdict", &t));
    for (size_t i = 0; i < v->n; i++) {
        const us_gate_row *r = &v->rows[i];
        if (i && r->requirement != v->rows[i - 1].requirement) us_rtable_rule(t);
        us_rtable_cell(t, r->what);
        us_rtable_cell(t, r->required);
        us_rtable_cell(t, r->found);
        us_rtable_cell(t, r->evidence);
        us_rtable_cell(t, r->passed ? "passed" : "FAILED");
        us_rtable_tone(t, r->passed ? US_GOOD : US_BAD);
    }
    *out = t;
    return US_OK;
}
