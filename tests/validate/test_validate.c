/* The gate on a model whose answers are known: what is met, missed, refused. */
#include "us_test.h"

#include "tiny_model.h"
#include "validate/validate.h"

typedef struct fixture {
    us_ctx c;
    tiny t;
    uint32_t *rows;
} fixture;

static void setup(fixture *f)
{
    us_ctx_init(&f->c);
    CHECK_OK(&f->c, tiny_new(&f->c, 400, &f->t));
    f->rows = us_new_n(f->t.a, uint32_t, 200);
    for (uint32_t i = 0; i < 200; i++)
        f->rows[i] = i * 2 + (i & 1); /* both classes */
}

static void teardown(fixture *f)
{
    tiny_free(&f->t);
    us_ctx_deinit(&f->c);
}

static us_conf_requirement need(const char *metric, double min, double max, const char *slice,
                                const char *above)
{
    return (us_conf_requirement){
        .metric = metric, .min = min, .max = max, .slice = slice, .above = above};
}

static us_err judge(fixture *f, const us_conf_requirement *r, size_t n, us_validation *v)
{
    us_validate_in in = {.name = "tiny",
                         .model = us_buf_sv(&f->t.onnx),
                         .model_hash = "abc",
                         .table = f->t.t,
                         .rows = f->rows,
                         .n_rows = 200,
                         .reqs = r,
                         .n_reqs = n,
                         .seed = 1,
                         .n_resamples = 200,
                         .n_latency_runs = 50};
    return us_validate(&f->c, f->t.a, &in, v);
}

static void test_validate__met(void)
{
    fixture f;
    us_validation v;
    setup(&f);
    us_conf_requirement r[] = {need("accuracy", 0.85, (double)NAN, "", ""),
                               need("latency_p99_ms", (double)NAN, 10000, "", ""),
                               need("memory_peak_mb", (double)NAN, 100, "", ""),
                               need("accuracy", 0.8, 1, "colour=red", "")};
    CHECK_OK(&f.c, judge(&f, r, 4, &v));
    for (size_t i = 0; i < v.n; i++)
        if (!v.rows[i].passed)
            US_TEST_FAIL("%s: required %s, found %s", v.rows[i].what, v.rows[i].required,
                         v.rows[i].found);
    CHECK(v.passed);
    CHECK_EQ_U64(v.n_failed, 0);
    CHECK(v.n > 8); /* the standing checks are there, too */
    CHECK(json_is_true(json_object_get(v.record, "passed")));
    CHECK_EQ_STR(json_string_value(json_object_get(v.record, "model")), "abc");
    teardown(&f);
}

static void test_validate__missed(void)
{
    fixture f;
    us_validation v;
    setup(&f);
    us_conf_requirement r[] = {need("accuracy", 0.9999, (double)NAN, "", ""),
                               need("log_loss", (double)NAN, 1e-9, "", "")};
    CHECK_OK(&f.c, judge(&f, r, 2, &v));
    CHECK(!v.passed);
    CHECK_EQ_U64(v.n_failed, 2);
    CHECK(!v.rows[0].passed && v.rows[0].requirement);
    CHECK_EQ_STR(v.rows[0].required, ">= 0.9999");
    CHECK(strstr(v.rows[0].evidence, "200 rows"));
    teardown(&f);
}

static void test_validate__empty_slice_is_not_met(void)
{
    fixture f;
    us_validation v;
    setup(&f);
    us_conf_requirement r[] = {need("accuracy", 0.1, (double)NAN, "colour=green", "")};
    CHECK_OK(&f.c, judge(&f, r, 1, &v));
    CHECK(!v.passed);
    CHECK_EQ_STR(v.rows[0].found, "-");
    teardown(&f);
}

static void test_validate__nonsense_is_refused(void)
{
    fixture f;
    us_validation v;
    setup(&f);
    us_conf_requirement bad[] = {need("acuracy", 0.9, (double)NAN, "", ""),
                                 need("accuracy", (double)NAN, (double)NAN, "", ""),
                                 need("r2", 0.5, (double)NAN, "", ""),
                                 need("accuracy", 0.5, (double)NAN, "colour", ""),
                                 need("latency_p99_ms", (double)NAN, 5, "colour=red", ""),
                                 need("accuracy", (double)NAN, (double)NAN, "", "linear")};
    for (size_t i = 0; i < US_LEN(bad); i++) {
        CHECK_ERR(judge(&f, &bad[i], 1, &v), US_ARG);
        CHECK(strstr(f.c.diag.text, "requirement 1"));
    }
    us_conf_requirement unknown = need("accuracy", 0.5, (double)NAN, "flavour=red", "");
    CHECK_ERR(judge(&f, &unknown, 1, &v), US_NOTFOUND);
    teardown(&f);
}

static void test_validate__baseline(void)
{
    fixture f;
    us_validation v;
    setup(&f);
    /* against itself no model is better */
    us_conf_requirement r = need("accuracy", (double)NAN, (double)NAN, "", "linear");
    us_validate_baseline self = {"linear", us_buf_sv(&f.t.onnx)};
    us_validate_in in = {.name = "tiny",
                         .model = us_buf_sv(&f.t.onnx),
                         .table = f.t.t,
                         .rows = f.rows,
                         .n_rows = 200,
                         .reqs = &r,
                         .n_reqs = 1,
                         .baselines = &self,
                         .n_baselines = 1,
                         .seed = 1,
                         .n_resamples = 200,
                         .n_latency_runs = 50};
    CHECK_OK(&f.c, us_validate(&f.c, f.t.a, &in, &v));
    CHECK(!v.rows[0].passed);
    teardown(&f);
}

static void test_validate__not_a_model(void)
{
    fixture f;
    us_validation v;
    setup(&f);
    us_validate_in in = {
        .name = "junk", .model = US_SV("junk"), .table = f.t.t, .rows = f.rows, .n_rows = 10};
    CHECK(us_validate(&f.c, f.t.a, &in, &v) != US_OK);
    in.model = us_buf_sv(&f.t.onnx);
    in.n_rows = 0;
    CHECK_ERR(us_validate(&f.c, f.t.a, &in, &v), US_ARG);
    teardown(&f);
}

static const us_test_case cases[] = {
    US_CASE(test_validate__met),
    US_CASE(test_validate__missed),
    US_CASE(test_validate__empty_slice_is_not_met),
    US_CASE(test_validate__nonsense_is_refused),
    US_CASE(test_validate__baseline),
    US_CASE(test_validate__not_a_model),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
