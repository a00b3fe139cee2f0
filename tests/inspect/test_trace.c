/* test_trace.c - figures of values, marks, runs of sub-graphs, comparison, failing runs. */
#include "us_test.h"

#include "inspect/trace.h"
#include "ir/text.h"

static us_ctx ctx;

static us_model *parse(const char *text)
{
    us_model *m;
    us_ctx_init(&ctx);
    CHECK_OK(&ctx, us_model_parse(&ctx, us_sv_of(text), &m));
    return m;
}

static const us_trace_row *row(const us_trace *t, const char *name)
{
    const us_trace_row *r;
    size_t n = us_trace_rows(t, &r);
    for (size_t i = 0; i < n; i++)
        if (us_sv_is(r[i].name, name)) return &r[i];
    US_TEST_FAIL("there is no row %s", name);
    return NULL;
}

static us_value vec(float *x, int64_t n)
{
    us_tensor t;
    CHECK_OK(&ctx, us_tensor_init(&ctx, &t, US_F32, 1, &n, x));
    return us_value_of(&t);
}

static const char logs[] = "model ir=8 opset=17\n"
                           "graph main(x: float[4]) -> (y) {\n"
                           "  a = Neg(x)\n"
                           "  b = Log(a)\n"
                           "  y = Exp(b)\n"
                           "}\n";

static void test_trace__marks(void)
{
    us_model *m = parse(logs);
    us_trace *t;
    float x[4] = {-1, 0, 2, -4};
    us_value in = vec(x, 4);
    CHECK_OK(&ctx, us_trace_new(&ctx, m, NULL, &t));
    CHECK_OK(&ctx, us_trace_run(&ctx, t, &in));
    const us_trace_row *a = row(t, "a"), *b = row(t, "b");
    CHECK_EQ_U64(a->n_numbers, 4);
    CHECK(a->min == -2 && a->max == 4 && a->mean == 0.75);
    CHECK_EQ_U64(b->n_nan, 1);
    CHECK_EQ_U64(b->n_inf, 1);
    CHECK(b->min == 0 && fabs(b->max - log(4.0)) < 1e-6); /* of the finite ones */
    CHECK(us_trace_first_bad(t) == b);
    CHECK(us_trace_first_diff(t) == NULL);
    us_trace_free(t);
    us_model_free(m);
}

/* A reference that is off in b by a little and in y by much. */
static us_err reference(void *arg, us_ctx *c, us_sv name, const us_value *got, us_value *out,
                        bool *found)
{
    static float b[4] = {0, 0.5F, 1, 1.00001F}, y[3] = {0};
    (void)arg, (void)c, (void)got;
    *found = !us_sv_is(name, "a");
    if (us_sv_is(name, "b")) *out = vec(b, 4);
    if (us_sv_is(name, "y")) *out = vec(y, 3);
    return US_OK;
}

static void test_trace__reference(void)
{
    us_model *m = parse(logs);
    float e = expf(1.0F), h = expf(0.5F), x[4] = {-1, -h, -e, -e};
    us_value in = vec(x, 4);
    for (int strict = 0; strict < 2; strict++) {
        us_trace *t;
        us_trace_opts o = {.reference = reference, .tolerance = strict ? 1e-6 : 1e-3};
        CHECK_OK(&ctx, us_trace_new(&ctx, m, &o, &t));
        CHECK_OK(&ctx, us_trace_run(&ctx, t, &in));
        CHECK_EQ_I64(row(t, "a")->match, US_TRACE_ALONE);
        CHECK_EQ_I64(row(t, "b")->match, strict ? US_TRACE_DIFFERS : US_TRACE_SAME);
        CHECK(fabs(row(t, "b")->largest - 1e-5) < 1e-6);
        CHECK(row(t, "b")->cosine > 0.99999);
        CHECK_EQ_I64(row(t, "y")->match, US_TRACE_SHAPE);
        CHECK(us_trace_first_diff(t) == row(t, strict ? "b" : "y"));
        us_trace_free(t);
    }
    us_model_free(m);
}

static void test_trace__loop(void)
{
    us_model *m =
        parse("model ir=8 opset=17\n"
              "graph main(x: float[2]) -> (y) {\n"
              "  const n: int64[] = {5}\n"
              "  const go: bool[] = {1}\n"
              "  y = Loop(n, go, x) {body=graph step(i: int64[], c: bool[], s: float[2])"
              " -> (c2, s2) {\n"
              "    c2 = Identity(c)\n"
              "    s2 = Add(s, s)\n"
              "  }}\n"
              "}\n");
    us_trace *t;
    float x[2] = {1, -1};
    us_value in = vec(x, 2);
    CHECK_OK(&ctx, us_trace_new(&ctx, m, NULL, &t));
    CHECK_OK(&ctx, us_trace_run(&ctx, t, &in));
    const us_trace_row *s = row(t, "s2");
    CHECK_EQ_U64(s->n_runs, 5);
    CHECK_EQ_U64(s->n_numbers, 10);
    CHECK(s->min == -32 && s->max == 32 && s->mean == 0);
    CHECK(us_sv_is(s->graph, "step"));
    CHECK(row(t, "y")->max == 32);
    us_trace_free(t);
    us_model_free(m);
}

/* What came before a failure stays to be looked at. */
static void test_trace__failing_run(void)
{
    us_model *m = parse("model ir=8 opset=17\n"
                        "graph main(x: float[4]) -> (y) {\n"
                        "  const i: int64[1] = {9}\n"
                        "  a = Neg(x)\n"
                        "  y = Gather(a, i)\n"
                        "}\n");
    us_trace *t;
    float x[4] = {1, 2, 3, 4};
    us_value in = vec(x, 4);
    const us_trace_row *r;
    CHECK_OK(&ctx, us_trace_new(&ctx, m, NULL, &t));
    CHECK(us_trace_run(&ctx, t, &in) != US_OK);
    CHECK_EQ_U64(us_trace_rows(t, &r), 1);
    CHECK(r->min == -4);
    us_trace_free(t);
    us_model_free(m);
}

/* Old forms and functions: the file's names stay, what was made up is marked. */
static void test_trace__operator_of_the_file(void)
{
    us_model *m = parse("model ir=8 opset=9\n"
                        "graph main(x: float[4]) -> (y) {\n"
                        "  y = Clip@6(x) {min=0.0, max=2.0}   # \"cut\"\n"
                        "}\n");
    us_trace *t;
    float x[4] = {1, 2, 3, -4};
    us_value in = vec(x, 4);
    CHECK_OK(&ctx, us_trace_new(&ctx, m, NULL, &t));
    CHECK_OK(&ctx, us_trace_run(&ctx, t, &in));
    CHECK(us_sv_is(row(t, "y")->op, "Clip"));
    CHECK(!row(t, "y")->made);
    CHECK(row(t, "y")->max == 2);
    us_trace_free(t);
    us_model_free(m);
}

static const us_test_case cases[] = {
    US_CASE(test_trace__marks),
    US_CASE(test_trace__reference),
    US_CASE(test_trace__loop),
    US_CASE(test_trace__failing_run),
    US_CASE(test_trace__operator_of_the_file),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
