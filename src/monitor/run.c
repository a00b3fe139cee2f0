/* monitor/run.c - see run.h. */
#include "monitor/run.h"

#include "base/clock.h"

typedef struct run {
    us_ctx *c;
    us_arena *a;
    us_store *s;
    const us_monitor_opts *o;
    US_VEC(us_drift_report) windows;
} run;

/* Keep a window's report: the JSON is an object, its hash names the record. */
static us_err record(run *r, const us_drift_report *d)
{
    json_t *j;
    us_buf text;
    us_window_rec w = {.model = r->o->model,
                       .source = "request log",
                       .n_rows = (int64_t)d->n_rows,
                       .from_us = d->from_us,
                       .to_us = d->to_us,
                       .created_us = us_wall_us(),
                       .drift = d->n_drifted > 0};
    US_TRY(us_drift_json(r->c, r->a, d, &j));
    us_buf_init(&text, r->c, US_JSON_MAX_BYTES);
    us_err e = us_json_print(r->c, j, &text);
    if (e == US_OK) e = us_store_put_buf(r->s, r->c, &text, &w.hash);
    if (e == US_OK) {
        w.facts = text.p;
        e = us_store_put_window(r->s, r->c, &w);
    }
    us_buf_deinit(&text);
    return e;
}

static us_err full(void *ud, const us_window *w)
{
    run *r = ud;
    us_drift_report d;
    US_TRY(us_window_report(r->c, r->a, w, r->o->alpha, &d));
    US_TRY(us_vec_push(r->c, r->a, &r->windows, d));
    return record(r, &d);
}

static us_err replay(run *r, us_predictor *p, us_replay *out)
{
    char *path;
    us_window w;
    us_replay v = {
        .since_us = r->o->since_us, .window_rows = r->o->window_rows, .full = full, .ud = r};
    US_TRY(us_reqlog_path(r->c, r->a, us_store_dir(r->s), r->o->model.hex, &path));
    US_TRY(us_window_new(r->c, r->a, &p->passport, &w));
    US_TRY(us_store_begin(r->s, r->c));
    us_err e = us_reqlog_replay(r->c, path, p, &w, &v);
    if (e == US_OK)
        e = us_store_commit(r->s, r->c);
    else
        us_store_rollback(r->s);
    if (e == US_OK) *out = v;
    return e;
}

us_err us_monitor_run(us_ctx *c, us_arena *a, us_store *s, const us_monitor_opts *o,
                      us_monitor_result *out)
{
    run r = {.c = c, .a = a, .s = s, .o = o};
    us_monitor_result v = {0};
    us_predictor p = {0};
    US_TRY(us_predictor_open(c, a, o->model.hex, o->bytes, &p));
    us_err e = replay(&r, &p, &v.replay);
    us_predictor_close(&p);
    if (e != US_OK) return e;
    v.windows = r.windows.at;
    v.n_windows = r.windows.n;
    for (size_t i = 0; i < v.n_windows; i++)
        v.n_alarms += v.windows[i].n_drifted > 0;
    *out = v;
    return US_OK;
}

us_err us_monitor_table(us_ctx *c, us_arena *a, const us_monitor_result *r, us_rtable **out)
{
    us_rtable *t;
    US_TRY(us_rtable_new(c, a, "Windows of served rows",
                         ">#|from|to|>rows|>columns drifted|verdict", &t));
    size_t first = r->n_windows > US_MONITOR_SHOWN ? r->n_windows - US_MONITOR_SHOWN : 0;
    if (first) us_rtable_cellf(t, "...");
    for (int i = 1; first && i < 6; i++)
        us_rtable_cell(t, "");
    for (size_t i = first; i < r->n_windows; i++) {
        const us_drift_report *d = &r->windows[i];
        char from[32], to[32], n[32];
        us_rtable_cellf(t, "%zu", i + 1);
        us_rtable_cell(t, us_print_time(d->from_us, from));
        us_rtable_cell(t, us_print_time(d->to_us, to));
        us_rtable_cell(t, us_print_count((int64_t)d->n_rows, n));
        us_rtable_cellf(t, "%zu of %zu", d->n_drifted, d->n_columns);
        us_rtable_cell(t, !d->enough ? "too few rows" : d->n_drifted ? "DRIFT" : "ok");
        if (d->enough) us_rtable_tone(t, d->n_drifted ? US_BAD : US_GOOD);
    }
    *out = t;
    return US_OK;
}

us_err us_monitor_json(us_ctx *c, us_arena *a, const us_monitor_result *r, json_t **out)
{
    json_t *windows = json_array();
    for (size_t i = 0; i < r->n_windows; i++) {
        json_t *j;
        us_err e = us_drift_json(c, a, &r->windows[i], &j);
        if (e != US_OK || json_array_append(windows, j)) {
            json_decref(windows);
            return e != US_OK ? e : us_nomem(c);
        }
    }
    json_t *j = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:o}", "requests", (json_int_t)r->replay.n_requests, "rows",
        (json_int_t)r->replay.n_rows, "unreadable_lines", (json_int_t)r->replay.n_bad,
        "skewed_rows", (json_int_t)r->replay.n_skewed, "alarms", (json_int_t)r->n_alarms,
        "windows", windows);
    US_TRY(us_json_keep(c, a, j));
    *out = j;
    return US_OK;
}
