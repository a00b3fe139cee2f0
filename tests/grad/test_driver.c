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

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_grad__not_dependent),   US_CASE(test_grad__loss_itself),
        US_CASE(test_grad__loss_not_scalar), US_CASE(test_grad__integer_loss),
        US_CASE(test_grad__none_is_named),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
