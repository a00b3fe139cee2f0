/* Windows: calm data stays calm, shifted data alarms; the request log survives what happens to files. */
#include "us_test.h"

#include "monitor/reqlog.h"
#include "tiny_model.h"

typedef struct fixture {
    us_ctx c;
    tiny t;
    us_predictor p;
    us_window w;
} fixture;

static void setup(fixture *f)
{
    us_ctx_init(&f->c);
    CHECK_OK(&f->c, tiny_new(&f->c, 2000, &f->t));
    CHECK_OK(&f->c, us_predictor_open(&f->c, f->t.a, "tiny", us_buf_sv(&f->t.onnx), &f->p));
    CHECK_OK(&f->c, us_window_new(&f->c, f->t.a, &f->p.passport, &f->w));
}

static void teardown(fixture *f)
{
    us_predictor_close(&f->p);
    tiny_free(&f->t);
    us_ctx_deinit(&f->c);
}

/* Serve n rows: decoded inputs and predictions. */
static void serve(fixture *f, size_t n, uint64_t seed, double shift, us_value **in,
                  us_predictions *y)
{
    us_buf b;
    size_t got;
    us_buf_init(&b, &f->c, (size_t)16 << 20);
    tiny_csv(&b, n, seed, shift);
    char *text = us_str_dup(f->t.a, us_buf_sv(&b));
    us_buf_deinit(&b);
    *in = us_new_n(f->t.a, us_value, f->p.decoder.n_inputs);
    CHECK_OK(&f->c,
             us_decode_csv(&f->c, f->t.a, &f->p.decoder, us_sv_of(text), true, &got, *in));
    CHECK_EQ_U64(got, n);
    CHECK_OK(&f->c, us_predict(&f->c, &f->p, f->t.a, *in, n, y));
}

static void observe(fixture *f, size_t n, uint64_t seed, double shift, us_drift_report *r)
{
    us_value *in;
    us_predictions y;
    serve(f, n, seed, shift, &in, &y);
    us_window_clear(&f->w);
    us_window_add(&f->w, &f->p.decoder, in, &y, 1000);
    CHECK_OK(&f->c, us_window_report(&f->c, f->t.a, &f->w, US_MONITOR_ALPHA, r));
}

static void test_window__calm_and_shifted(void)
{
    fixture f;
    us_drift_report r;
    setup(&f);
    observe(&f, 400, 99, 0, &r);
    CHECK(r.enough);
    CHECK_EQ_U64(r.n_drifted, 0);
    observe(&f, 400, 99, 1.0, &r);
    CHECK(r.n_drifted >= 1);
    for (size_t i = 0; i < r.n_columns; i++)
        if (r.columns[i].drifted) CHECK(us_sv_is(r.columns[i].name, "x"));
    teardown(&f);
}

static void test_window__too_few_rows(void)
{
    fixture f;
    us_drift_report r;
    const char *words;
    setup(&f);
    observe(&f, 10, 3, 5.0, &r);
    CHECK(!r.enough);
    CHECK_EQ_U64(r.n_drifted, 0);
    CHECK_OK(&f.c, us_drift_sentence(&f.c, f.t.a, &r, &words));
    CHECK(strstr(words, "no verdict"));
    teardown(&f);
}

/* Twenty calm windows at a budget of 1 %: more than three alarms would happen once in 10^4 runs of another seed. */
static void test_window__false_alarms(void)
{
    fixture f;
    size_t alarms = 0;
    setup(&f);
    for (uint64_t seed = 100; seed < 120; seed++) {
        us_drift_report r;
        observe(&f, 300, seed, 0, &r);
        alarms += r.n_drifted > 0;
    }
    CHECK(alarms <= 3);
    teardown(&f);
}

static void test_print__prometheus(void)
{
    fixture f;
    us_drift_report r;
    us_buf b;
    setup(&f);
    observe(&f, 400, 99, 1.0, &r);
    us_buf_init(&b, &f.c, 1 << 20);
    us_drift_prometheus(&r, "ti\"ny", &b);
    CHECK_OK(&f.c, us_buf_check(&b));
    CHECK(strstr(b.p, "usta_feature_drift{model=\"ti\\\"ny\",feature=\"x\",stat=\"psi\"}"));
    CHECK(strstr(b.p, "# TYPE usta_drifted_features gauge"));
    us_buf_deinit(&b);
    teardown(&f);
}

typedef struct seen {
    us_ctx *c;
    us_arena *a;
    size_t n_windows, n_alarms;
    uint64_t n_rows;
} seen;

static us_err on_full(void *ud, const us_window *w)
{
    seen *s = ud;
    us_drift_report r;
    US_TRY(us_window_report(s->c, s->a, w, US_MONITOR_ALPHA, &r));
    s->n_windows++;
    s->n_alarms += r.n_drifted > 0;
    s->n_rows += w->n_rows;
    return US_OK;
}

static void log_rows(fixture *f, const char *path, size_t n, uint64_t seed, double shift,
                     int64_t at)
{
    us_value *in;
    us_predictions y;
    us_buf line;
    serve(f, n, seed, shift, &in, &y);
    us_buf_init(&line, &f->c, 1 << 22);
    us_reqlog_print(&line, &f->p.decoder, in, &y, &f->p.passport, at);
    CHECK_OK(&f->c, us_reqlog_append(&f->c, path, &line, 1 << 30));
    us_buf_deinit(&line);
}

static void test_reqlog__replay(void)
{
    fixture f;
    char path[512];
    setup(&f);
    (void)snprintf(path, sizeof path, "%s/served/m.jsonl", us_test_tmpdir());
    log_rows(&f, path, 300, 7, 0, 1000);
    log_rows(&f, path, 300, 8, 1.5, 2000);
    /* what happens to logs: junk, a missing cell, a line without its end */
    CHECK_OK(&f.c, us_file_append(&f.c, path, "junk\n{\"t\":1}\n{\"t\":3,\"in\":[[1", 29));
    seen s = {&f.c, f.t.a, 0, 0, 0};
    us_replay r = {.window_rows = 250, .full = on_full, .ud = &s};
    CHECK_OK(&f.c, us_reqlog_replay(&f.c, path, &f.p, &f.w, &r));
    CHECK_EQ_U64(r.n_requests, 2);
    CHECK_EQ_U64(r.n_rows, 600);
    CHECK_EQ_U64(r.n_bad, 2);
    CHECK_EQ_U64(r.n_skewed, 0); /* the same rows give the same answers */
    CHECK_EQ_U64(s.n_windows, 2);
    CHECK_EQ_U64(s.n_rows, 600);
    CHECK_EQ_U64(s.n_alarms, 1);
    seen late = {&f.c, f.t.a, 0, 0, 0};
    us_replay after = {.window_rows = 250, .full = on_full, .ud = &late, .since_us = 1500};
    CHECK_OK(&f.c, us_reqlog_replay(&f.c, path, &f.p, &f.w, &after));
    CHECK_EQ_U64(after.n_rows, 300);
    teardown(&f);
}

static void test_reqlog__skew_is_seen(void)
{
    fixture f;
    char path[512];
    setup(&f);
    (void)snprintf(path, sizeof path, "%s/skew.jsonl", us_test_tmpdir());
    static const char line[] =
        "{\"t\":5,\"in\":[[2.0,\"red\"],[-2.0,\"blue\"]],\"label\":[\"no\",\"no\"]}\n";
    CHECK_OK(&f.c, us_file_append(&f.c, path, line, sizeof line - 1));
    seen s = {&f.c, f.t.a, 0, 0, 0};
    us_replay r = {.window_rows = 250, .full = on_full, .ud = &s};
    CHECK_OK(&f.c, us_reqlog_replay(&f.c, path, &f.p, &f.w, &r));
    CHECK_EQ_U64(r.n_skewed, 1);
    teardown(&f);
}

static void test_reqlog__nothing_served(void)
{
    fixture f;
    setup(&f);
    seen s = {&f.c, f.t.a, 0, 0, 0};
    us_replay r = {.window_rows = 250, .full = on_full, .ud = &s};
    CHECK_ERR(us_reqlog_replay(&f.c, "/nowhere/at/all.jsonl", &f.p, &f.w, &r), US_NOTFOUND);
    teardown(&f);
}

static const us_test_case cases[] = {
    US_CASE(test_window__calm_and_shifted), US_CASE(test_window__too_few_rows),
    US_CASE(test_window__false_alarms),     US_CASE(test_print__prometheus),
    US_CASE(test_reqlog__replay),           US_CASE(test_reqlog__skew_is_seen),
    US_CASE(test_reqlog__nothing_served),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
