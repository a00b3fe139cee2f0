/* monitor/window.c - windows of served rows and their comparison with the passport. */
#include "monitor/monitor.h"

us_err us_window_new(us_ctx *c, us_arena *a, const us_passport *p, us_window *out)
{
    us_window w = {.passport = p};
    w.inputs = us_new_n(a, us_sketch, p->n_sketches);
    w.outputs = us_new_n(a, us_sketch, p->n_outputs);
    if (!w.inputs || !w.outputs) return us_arena_fail(c, a);
    for (size_t i = 0; i < p->n_sketches; i++)
        US_TRY(us_sketch_like(c, a, &p->sketches[i], &w.inputs[i]));
    for (size_t i = 0; i < p->n_outputs; i++)
        US_TRY(us_sketch_like(c, a, &p->outputs[i], &w.outputs[i]));
    *out = w;
    return US_OK;
}

void us_window_clear(us_window *w)
{
    for (size_t i = 0; i < w->passport->n_sketches; i++)
        us_sketch_clear(&w->inputs[i]);
    for (size_t i = 0; i < w->passport->n_outputs; i++)
        us_sketch_clear(&w->outputs[i]);
    w->n_rows = 0;
    w->from_us = w->to_us = 0;
}

void us_window_add(us_window *w, const us_decoder *d, const us_value *in,
                   const us_predictions *y, int64_t at_us)
{
    const us_passport *p = w->passport;
    us_sketch_update_inputs(w->inputs, d, in, y->n);
    if (p->n_outputs)
        us_sketch_update_outputs(w->outputs, p->task, p->classes, p->n_classes, y->prob,
                                 y->value, y->n);
    if (!w->n_rows) w->from_us = at_us;
    w->to_us = at_us;
    w->n_rows += y->n;
}

us_err us_window_report(us_ctx *c, us_arena *a, const us_window *w, double alpha,
                        us_drift_report *out)
{
    const us_passport *p = w->passport;
    us_drift_report r = {.n_rows = w->n_rows,
                         .from_us = w->from_us,
                         .to_us = w->to_us,
                         .alpha = alpha,
                         .n_inputs = p->n_sketches,
                         .n_columns = p->n_sketches + p->n_outputs,
                         .enough = true};
    r.columns = us_new_n(a, us_drift, r.n_columns);
    if (!r.columns) return us_arena_fail(c, a);
    for (size_t i = 0; i < p->n_sketches; i++)
        US_TRY(us_drift_compare(c, &p->sketches[i], &w->inputs[i], &r.columns[i]));
    for (size_t i = 0; i < p->n_outputs; i++)
        US_TRY(us_drift_compare(c, &p->outputs[i], &w->outputs[i], &r.columns[r.n_inputs + i]));
    r.n_drifted = us_drift_judge(c, r.columns, r.n_columns, alpha, US_DRIFT_BH);
    for (size_t i = 0; i < r.n_columns; i++)
        r.enough = r.enough && r.columns[i].enough;
    *out = r;
    return US_OK;
}
