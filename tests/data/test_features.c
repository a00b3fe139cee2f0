/* Features: the graph run by the engine gives what a plain loop gives, on every kind, with missing and unknown values. */
#include "data_test.h"

#include "base/clock.h"
#include "data/features.h"
#include "exec/session.h"
#include "ir/graph.h"
#include "onnx/onnx.h"

typedef struct run {
    us_plan *plan;
    us_session *session;
    us_features f;
    us_data_schema *s; /* the decoder points to it */
    const float *x;    /* [n, d] of the last run */
    size_t n;
} run;

static run build(env *e, const us_table *t, us_schema_opts so, us_feature_opts *fo,
                 const char *onnx)
{
    run r = {0};
    us_model *m;
    r.s = us_new(e->a, us_data_schema);
    CHECK(r.s != NULL);
    CHECK_OK(&e->c, us_schema_infer(&e->c, e->a, t, &so, r.s));
    CHECK_OK(&e->c, us_model_new(&e->c, &m));
    CHECK_OK(&e->c, us_features_build(&e->c, e->a, m, r.s, t, NULL, 0, fo, &r.f));
    CHECK_OK(&e->c, us_graph_add_output(&e->c, m->main, r.f.out));
    CHECK_OK(&e->c, us_graph_verify(&e->c, m->main));
    if (onnx) CHECK_OK(&e->c, us_onnx_write(&e->c, m, onnx, 0));
    CHECK_OK(&e->c, us_plan_new(&e->c, m, NULL, &r.plan));
    CHECK_OK(&e->c, us_session_new(&e->c, r.plan, NULL, &r.session));
    return r;
}

static void feed(env *e, run *r, const char *csv)
{
    us_value in[32], out[1];
    CHECK_OK(&e->c, us_decode_csv(&e->c, e->a, &r->f.decoder, us_sv_of(csv), true, &r->n, in));
    CHECK_OK(&e->c, us_session_run(&e->c, r->session, in, out));
    CHECK_EQ_I64(out[0].t.rank, 2);
    CHECK_EQ_I64(out[0].t.dims[0], r->n);
    CHECK_EQ_I64(out[0].t.dims[1], r->f.d);
    r->x = out[0].t.data;
}

static size_t entry(const run *r, const char *name)
{
    for (size_t i = 0; i < r->f.d; i++)
        if (us_sv_is(r->f.names[i], name)) return i;
    US_TEST_FAIL("no feature %s", name);
}

static float at(const run *r, size_t row, const char *name)
{
    return r->x[row * r->f.d + entry(r, name)];
}

static void close_run(run *r)
{
    us_session_free(r->session);
    us_plan_free(r->plan);
}

static void test_features__every_kind(void)
{
    static const char text[] =
        "n,i,b,c,y\n1,10,true,red,0\n3,20,true,blue,1\n,30,false,,0\n5,,,red,1\n";
    env e = env_open();
    us_table *t = parse_ok(&e, text, NULL);
    run r = build(&e, t, (us_schema_opts){.target = US_SV("y")}, NULL, NULL);
    CHECK_EQ_U64(r.f.d, 5);
    feed(&e, &r, text);
    double sd = sqrt(8.0 / 3); /* n is 1 3 5 */
    CHECK_NEAR(at(&r, 0, "n"), -2 / sd, 1e-6);
    CHECK_NEAR(at(&r, 2, "n"), 0, 1e-6); /* missing: the mean */
    CHECK_NEAR(at(&r, 3, "i"), 0, 1e-6);
    CHECK_NEAR(at(&r, 2, "b"), 0, 0);
    CHECK_NEAR(at(&r, 3, "b"), 1, 0); /* the more frequent value, not scaled */
    CHECK_NEAR(at(&r, 0, "c=red"), 1, 0);
    CHECK_NEAR(at(&r, 0, "c=blue"), 0, 0);
    CHECK_NEAR(at(&r, 2, "c=red") + at(&r, 2, "c=blue"), 0, 0);
    feed(&e, &r, "c,b,i,n\ngreen,,,1e9\n");
    CHECK_NEAR(at(&r, 0, "c=red") + at(&r, 0, "c=blue"), 0, 0); /* unknown: zeros */
    close_run(&r);
    us_table_free(t);
    env_close(&e);
}

static void test_features__rules(void)
{
    static const char text[] =
        "a,k,c,z,y\n0,1,x,5,0\n4,2,y,5,1\n,2,x,5,0\n10,7,z,5,1\n2,1,x,,1\n";
    env e = env_open();
    us_feature_rule rules[4];
    for (int i = 0; i < 4; i++)
        us_feature_rule_defaults(&rules[i]);
    rules[0].scale = US_SCALE_MINMAX;
    rules[0].impute = US_IMPUTE_MEDIAN;
    rules[1].column = US_SV("k");
    rules[1].encode = US_ENCODE_ONEHOT;
    rules[2].column = US_SV("c");
    rules[2].encode = US_ENCODE_ORDINAL;
    rules[2].scale = US_SCALE_NONE;
    rules[3].column = US_SV("z");
    rules[3].impute = US_IMPUTE_CONSTANT;
    rules[3].impute_value = 9;
    us_feature_opts o = {.rules = rules, .n_rules = 4};
    us_table *t = parse_ok(&e, text, NULL);
    run r = build(&e, t, (us_schema_opts){.target = US_SV("y")}, &o, NULL);
    feed(&e, &r, text);
    CHECK_NEAR(at(&r, 1, "a"), 0.4, 1e-6);
    CHECK_NEAR(at(&r, 2, "a"), 0.3, 1e-6); /* the median of 0 2 4 10 is 3 */
    CHECK_NEAR(at(&r, 3, "k=7"), 1, 0);
    CHECK_NEAR(at(&r, 3, "k=1"), 0, 0);
    CHECK_NEAR(at(&r, 3, "c"), 2, 0);
    CHECK_NEAR(at(&r, 4, "z"), 4, 1e-6); /* constant 5, filled with 9, factor 1 */
    feed(&e, &r, "a,k,c,z\n1,,q,5\n1,8,,5\n");
    for (size_t row = 0; row < 2; row++) {
        CHECK_NEAR(at(&r, row, "k=1") + at(&r, row, "k=2") + at(&r, row, "k=7"), 0, 0);
        CHECK_NEAR(at(&r, row, "c"), -1, 0);
    }
    close_run(&r);
    rules[0].impute = US_IMPUTE_NONE;
    us_model *m;
    us_features f;
    CHECK_OK(&e.c, us_model_new(&e.c, &m));
    CHECK_ERR(us_features_build(&e.c, e.a, m, r.s, t, NULL, 0, &o, &f), US_ARG);
    CHECK(said(&e, "misses 1 of 5"));
    us_model_free(m);
    us_impute how;
    CHECK_ERR(us_impute_parse(&e.c, US_SV("avg"), &how), US_ARG);
    CHECK(said(&e, "most_frequent"));
    us_table_free(t);
    env_close(&e);
}

/* Times from year 1 to 4000, around leap days and 1970, against the calendar of base. */
static void test_features__parts_of_times(void)
{
    env e = env_open();
    us_feature_rule rule;
    us_feature_rule_defaults(&rule);
    rule.scale = US_SCALE_NONE;
    rule.time_parts = US_TP_HOUR | US_TP_DAYOFWEEK | US_TP_MONTH | US_TP_DAY | US_TP_DAYOFYEAR |
                      US_TP_YEAR | US_TP_EPOCH;
    us_feature_opts o = {.rules = &rule, .n_rules = 1};
    us_buf b;
    enum { N = 400 };
    int64_t want[N];
    us_buf_init(&b, &e.c, 1 << 20);
    us_buf_adds(&b, "t,y\n");
    for (int i = 0; i < N; i++) {
        char z[40];
        int year = 1 + i * 10, day = 27 + i % 4, month = 2;
        if (day > 28) {
            month = 3;
            day -= 28;
        }
        want[i] = us_civil_to_us(year, month, day, i % 24, i % 60, i % 59, 0);
        if (i == 0) want[i] = -1000000; /* 1969-12-31T23:59:59 */
        us_buf_addf(&b, "%s,%d\n", us_print_time_iso(want[i], z), i);
    }
    us_buf_adds(&b, ",0\n");
    us_table *t = parse_ok(&e, b.p, NULL);
    run r = build(&e, t, (us_schema_opts){.target = US_SV("y")}, &o, NULL);
    CHECK_EQ_U64(r.f.d, 7);
    feed(&e, &r, b.p);
    for (size_t i = 0; i < N; i++) {
        int64_t y;
        int mo, d, h, mi, s, us;
        us_us_to_civil(want[i], &y, &mo, &d, &h, &mi, &s, &us);
        CHECK_EQ_I64(at(&r, i, "t.year"), y);
        CHECK_EQ_I64(at(&r, i, "t.month"), mo);
        CHECK_EQ_I64(at(&r, i, "t.day"), d);
        CHECK_EQ_I64(at(&r, i, "t.hour"), h);
        int64_t midnight = us_civil_to_us(y, mo, d, 0, 0, 0, 0) / INT64_C(86400000000);
        CHECK_EQ_I64(at(&r, i, "t.weekday"), (((midnight + 3) % 7) + 7) % 7);
        CHECK_EQ_I64(at(&r, i, "t.dayofyear"),
                     midnight - us_civil_to_us(y, 1, 1, 0, 0, 0, 0) / INT64_C(86400000000) + 1);
        CHECK_NEAR(at(&r, i, "t.epoch"), (double)want[i] / 86400e6,
                   0.1); /* float32 near a million days */
    }
    for (size_t j = 0; j < r.f.d; j++)
        CHECK_NEAR(r.x[N * r.f.d + j], 0, 0); /* missing */
    close_run(&r);
    rule.time_parts = US_TP_HOUR | US_TP_CYCLIC;
    r = build(&e, t, (us_schema_opts){.target = US_SV("y")}, &o, NULL);
    feed(&e, &r, "t\n2020-01-01T06:00:00Z\n");
    CHECK_NEAR(at(&r, 0, "t.hour.sin"), 1, 1e-6);
    CHECK_NEAR(at(&r, 0, "t.hour.cos"), 0, 1e-6);
    close_run(&r);
    us_buf_deinit(&b);
    us_table_free(t);
    env_close(&e);
}

static void test_features__packed_with_one_hot_integer(void)
{
    env e = env_open();
    static const char text[] = "a,h,b,y\n1,0,2,0\n2,5,4,1\n3,5,6,0\n";
    us_feature_rule rules[2];
    us_feature_rule_defaults(&rules[0]);
    us_feature_rule_defaults(&rules[1]);
    rules[0].scale = US_SCALE_NONE;
    rules[1].column = US_SV("h");
    rules[1].encode = US_ENCODE_ONEHOT;
    us_feature_opts o = {.rules = rules, .n_rules = 2};
    us_table *t = parse_ok(&e, text, NULL);
    run r = build(&e, t, (us_schema_opts){.target = US_SV("y")}, &o, NULL);
    CHECK(r.f.decoder.packed && r.f.d == 4);
    feed(&e, &r, text);
    CHECK_NEAR(at(&r, 2, "a"), 3, 0);
    CHECK_NEAR(at(&r, 2, "b"), 6, 0);
    CHECK_NEAR(at(&r, 2, "h=5"), 1, 0);
    CHECK_NEAR(at(&r, 2, "h=0"), 0, 0);
    close_run(&r);
    us_table_free(t);
    env_close(&e);
}

static void test_features__text_is_dropped_or_refused(void)
{
    env e = env_open();
    us_buf b;
    size_t n;
    us_buf_init(&b, &e.c, 1 << 16);
    us_buf_adds(&b, "txt,y\n");
    for (int i = 0; i < 60; i++)
        us_buf_addf(&b, "word%d,%d\n", i, i % 2);
    us_table *t = parse_ok(&e, b.p, NULL);
    us_schema_opts so = {.target = US_SV("y")};
    us_data_schema s;
    us_model *m;
    us_features f;
    CHECK_OK(&e.c, us_schema_infer(&e.c, e.a, t, &so, &s));
    CHECK_EQ_I64(s.cols[0].kind, US_DK_TEXT);
    CHECK_OK(&e.c, us_model_new(&e.c, &m));
    CHECK_ERR(us_features_build(&e.c, e.a, m, &s, t, NULL, 0, NULL, &f), US_ARG);
    CHECK(said(&e, "no column is left"));
    us_features_drop(&s, NULL, &n);
    CHECK(n == 1 && s.cols[0].role == US_DR_EXCLUDED);
    us_model_free(m);
    us_buf_deinit(&b);
    us_table_free(t);
    env_close(&e);
}

/* Adult through the graph: every entry finite, one-hot groups sum to 0 or 1, numbers standardised. */
static void test_features__adult(void)
{
    env e = env_open();
    char path[1024], onnx[1024];
    const us_sv missing[] = {US_SV("?")};
    us_csv_opts o = {
        .trim = true, .missing = missing, .n_missing = 1, .header = US_CSV_HEADER_NO};
    us_table *t = NULL;
    us_test_corpus(path, sizeof path, "data/tabular/adult-train.csv.gz");
    us_test_tmp(onnx, sizeof onnx, "features.onnx");
    CHECK_OK(&e.c, us_csv_read(&e.c, path, &o, &t, NULL));
    run r = build(&e, t, (us_schema_opts){.target = US_SV("c14"), .csv = &o}, NULL, onnx);
    us_value *in = us_new_n(e.a, us_value, r.f.decoder.n_inputs), out[1];
    CHECK_OK(&e.c, us_decode_table(&e.c, e.a, &r.f.decoder, t, NULL, t->n_rows, in));
    CHECK_OK(&e.c, us_session_run(&e.c, r.session, in, out));
    r.x = out[0].t.data;
    CHECK_EQ_U64(r.f.d,
                 6 + 8 + 16 + 7 + 14 + 6 + 5 + 2 + 41); /* as adult.names counts categories */
    double mean = 0, sq = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        double sum = 0;
        for (size_t j = 0; j < r.f.d; j++) {
            CHECK(isfinite(r.x[i * r.f.d + j]));
            if (j >= 6) sum += (double)r.x[i * r.f.d + j];
        }
        CHECK(sum >= 5 && sum <= 8 && sum == floor(sum));
        mean += (double)r.x[i * r.f.d];
        sq += (double)r.x[i * r.f.d] * (double)r.x[i * r.f.d];
    }
    CHECK_NEAR(mean / (double)t->n_rows, 0, 1e-4);
    CHECK_NEAR(sq / (double)t->n_rows, 1, 1e-4);
    close_run(&r);
    us_table_free(t);
    env_close(&e);
}

static const us_test_case cases[] = {
    US_CASE(test_features__every_kind),
    US_CASE(test_features__rules),
    US_CASE(test_features__parts_of_times),
    US_CASE(test_features__packed_with_one_hot_integer),
    US_CASE(test_features__text_is_dropped_or_refused),
    US_CASE(test_features__adult),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
