/* Inference over graphs: types by variables, symbolic shapes through shape arithmetic, contradictions. */
#include "us_test.h"

#include "ir/op.h"
#include "ir/text.h"

static const char head[] = "model ir=8 opset=17\n";

/* Infers the graph and compares the type of its value `y`; code other than US_OK: expects that. */
static void infers(const char *body, us_err code, const char *want)
{
    us_ctx c;
    us_model *m;
    char text[1500];
    us_buf b;
    us_ctx_init(&c);
    us_buf_init(&b, &c, 1000);
    snprintf(text, sizeof text, "%s%s", head, body);
    CHECK_OK(&c, us_model_parse(&c, us_sv_of(text), &m));
    CHECK_OK(&c, us_graph_verify(&c, m->main));
    us_err e = us_graph_infer(&c, m->main);
    if (e != code) US_TEST_FAIL("%s gave %s: %s", body, us_test_err_name(e), c.diag.text);
    if (e == US_OK) {
        us_type_print(&m->syms, &m->main->vals.at[us_graph_find(m->main, US_SV("y"))].type, &b);
        CHECK_EQ_STR(b.p, want);
    } else if (!strstr(c.diag.text, want)) {
        US_TEST_FAIL("\"%s\" does not say \"%s\"", c.diag.text, want);
    }
    us_buf_deinit(&b);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_infer__types_and_broadcast(void)
{
    infers("graph g(x: float[N,4], w: float[4]) -> (y) {\n y = Add(x, w)\n}\n", US_OK,
           "float[N,4]");
    infers("graph g(x: double[N,1], w: double[3,1,5]) -> (y) {\n y = Mul(x, w)\n}\n", US_OK,
           "double[3,N,5]");
    infers("graph g(x: float[2], w: float[3]) -> (y) {\n y = Add(x, w)\n}\n", US_SHAPE,
           "do not broadcast");
    infers("graph g(x: int64[N]) -> (y) {\n a = Neg(x)\n y = Abs(a)\n}\n", US_OK, "int64[N]");
    infers("graph g(x: float[N]) -> (y) {\n y = Unknown(x)\n}\n", US_OK, "?");
}

static void test_infer__declared_types_are_checked(void)
{
    infers("graph g(x: float[N,4]) -> (y) {\n y: float[7,4] = Neg(x)\n}\n", US_OK,
           "float[7,4]");
    infers("graph g(x: float[N,4]) -> (y) {\n y: float[N,5] = Neg(x)\n}\n", US_SHAPE,
           "known as");
    infers("graph g(x: float[N,4]) -> (y) {\n y: double = Neg(x)\n}\n", US_SHAPE, "Neg");
}

/* What exporters write to flatten, keeping the batch: Reshape(x, Concat(Gather(Shape(x), 0), [-1])). */
static void test_infer__shape_arithmetic(void)
{
    infers("graph g(x: float[N,3,4]) -> (y) {\n"
           " const zero: int64[] = {0}\n"
           " const axes: int64[1] = {0}\n"
           " const rest: int64[1] = {12}\n"
           " s = Shape(x)\n"
           " n = Gather(s, zero)\n"
           " n1 = Unsqueeze(n, axes)\n"
           " d = Concat(n1, rest) {axis=0}\n"
           " y = Reshape(x, d)\n"
           "}\n",
           US_OK, "float[N,12]");
    infers("graph g(x: float[N,4]) -> (y) {\n"
           " const two: int64[1] = {2}\n"
           " const a: int64[1] = {0}\n"
           " const b: int64[1] = {1}\n"
           " s = Shape(x)\n"
           " n = Slice(s, a, b)\n"
           " m = Mul(n, two)\n"
           " k = Sub(m, n)\n"
           " d = Concat(k, two, two) {axis=0}\n"
           " y = Reshape(x, d)\n"
           "}\n",
           US_OK, "float[N,2,2]");
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_infer__types_and_broadcast),
        US_CASE(test_infer__declared_types_are_checked),
        US_CASE(test_infer__shape_arithmetic),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
