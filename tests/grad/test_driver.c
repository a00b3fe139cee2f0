/* The driver: what has no gradient says so, what does not depend gives none, several losses and wrts. */
#include "grad_check.h"

static us_model *parse(us_ctx *c, const char *text)
{
    us_model *m;
    CHECK_OK(c, us_model_parse(c, us_sv_of(text), &m));
    CHECK_OK(c, us_pass_run(c, m, "upgrade"));
    CHECK_OK(c, us_graph_infer(c, m->main));
    return m;
}

static us_vid find(const us_model *m, const char *name)
{
    us_vid v = us_graph_find(m->main, us_sv_of(name));
    CHECK(v != US_NIL);
    return v;
}

static void test_grad__not_dependent(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m =
        parse(&c, "model ir=8 opset=17\n"
                  "graph main(x: float[3], z: float[3]) -> (loss) {\n"
                  "  e = Exp(x)\n  unused = Sin(z)\n  loss = ReduceSum(e) {keepdims=0}\n}\n");
    us_vid wrt[2] = {find(m, "x"), find(m, "z")}, d[2];
    CHECK_OK(&c, us_grad_build(&c, m, m->main, find(m, "loss"), 2, wrt, d));
    CHECK(d[0] != US_NIL);
    CHECK_EQ_U64(d[1], US_NIL);
    CHECK_OK(&c, us_graph_verify(&c, m->main));
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_grad__loss_itself(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = parse(
        &c, "model ir=8 opset=17\n"
            "graph main(x: float[3]) -> (loss) {\n  loss = ReduceSum(x) {keepdims=0}\n}\n");
    us_vid loss = find(m, "loss"), d;
    CHECK_OK(&c, us_grad_build(&c, m, m->main, loss, 1, &loss, &d));
    CHECK(d != US_NIL);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_grad__loss_not_scalar(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m =
        parse(&c, "model ir=8 opset=17\ngraph main(x: float[3]) -> (y) {\n  y = Exp(x)\n}\n");
    us_vid x = find(m, "x"), d = 77;
    CHECK_ERR(us_grad_build(&c, m, m->main, find(m, "y"), 1, &x, &d), US_SHAPE);
    CHECK_EQ_U64(d, 77);
    CHECK_ERR(us_grad_build(&c, m, m->main, 100000, 1, &x, &d), US_ARG);
    us_vid far = 100000;
    CHECK_ERR(us_grad_build(&c, m, m->main, find(m, "y"), 1, &far, &d), US_ARG);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_grad__integer_loss(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = parse(
        &c, "model ir=8 opset=17\n"
            "graph main(x: int64[3]) -> (loss) {\n  loss = ReduceSum(x) {keepdims=0}\n}\n");
    us_vid x = find(m, "x"), d;
    CHECK_ERR(us_grad_build(&c, m, m->main, find(m, "loss"), 1, &x, &d), US_ARG);
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* What has none is named, and only when it is on the way. */
static void test_grad__none_is_named(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = parse(&c, "model ir=8 opset=17\n"
                            "graph main(x: float[2,3]) -> (loss) {\n"
                            "  y = ReduceProd(x)\n  loss = ReduceSum(y) {keepdims=0}\n}\n");
    us_vid x = find(m, "x"), d;
    CHECK_ERR(us_grad_build(&c, m, m->main, find(m, "loss"), 1, &x, &d), US_UNSUPP);
    CHECK(strstr(c.diag.text, "ReduceProd") != NULL);
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* A capture inside a sub-graph is a dependency too: silence would be a wrong gradient. */
static void test_grad__through_subgraph(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m =
        parse(&c, "model ir=8 opset=17\n"
                  "graph main(x: float[3], c: bool[]) -> (loss) {\n"
                  "  y: float[3] = If(c) {then_branch=graph () -> (a) { a = Exp(^x) }, "
                  "else_branch=graph () -> (b) { b = Sin(^x) }}\n"
                  "  loss = ReduceSum(y) {keepdims=0}\n}\n");
    us_vid x = find(m, "x"), d;
    CHECK_ERR(us_grad_build(&c, m, m->main, find(m, "loss"), 1, &x, &d), US_UNSUPP);
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* In training, dropout passes the gradient where it passed the value, with the same factor. */
static void test_grad__dropout_in_training(void)
{
    us_ctx c;
    us_arena *a;
    us_plan *plan;
    us_session *s;
    us_tensor x;
    us_value in, out[3];
    const int64_t n = 64;
    us_ctx_init(&c);
    CHECK_OK(&c, us_arena_new(&c, "test", 1 << 20, &a));
    us_model *m =
        parse(&c, "model ir=8 opset=17\n"
                  "graph main(x: float[64]) -> (loss, kept) {\n"
                  "  const r: float[] = {0.25}\n  const t: bool[] = {1}\n"
                  "  y, kept = Dropout(x, r, t)\n  loss = ReduceSum(y) {keepdims=0}\n}\n");
    us_vid v = find(m, "x"), d;
    CHECK_OK(&c, us_grad_build(&c, m, m->main, find(m, "loss"), 1, &v, &d));
    us_plan_opts opts = {.n_extra = 1, .extra = &d};
    CHECK_OK(&c, us_plan_new(&c, m, &opts, &plan));
    CHECK_OK(&c, us_session_new(&c, plan, NULL, &s));
    CHECK_OK(&c, us_tensor_new(&c, a, US_F32, 1, &n, &x));
    for (int64_t i = 0; i < n; i++)
        ((float *)x.data)[i] = 1.0F;
    in = us_value_of(&x);
    CHECK_OK(&c, us_session_run(&c, s, &in, out));
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        bool k = us_tensor_i64_at(&out[1].t, i) != 0;
        CHECK_NEAR(us_tensor_f64_at(&out[2].t, i), k ? 1 / 0.75 : 0, 1e-6);
        kept += k;
    }
    CHECK(kept > n / 2 && kept < n);
    us_session_free(s);
    us_plan_free(plan);
    us_arena_free(a);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_grad__not_dependent),       US_CASE(test_grad__loss_itself),
        US_CASE(test_grad__loss_not_scalar),     US_CASE(test_grad__integer_loss),
        US_CASE(test_grad__none_is_named),       US_CASE(test_grad__through_subgraph),
        US_CASE(test_grad__dropout_in_training),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
