/* The simplifier: what goes, what must stay, and that the result is equal. */
#include "pass_fixture.h"

#include "exec/agree.h"
#include "ir/text.h"
#include "pass/simplify.h"

static us_model *simplified(us_ctx *c, const us_model *m)
{
    us_model *s;
    us_simplify_report r;
    us_agreement a;
    CHECK_OK(c, us_simplify(c, m, NULL, &s, &r));
    CHECK_OK(c, us_models_agree(c, m, s, NULL, &a));
    if (!a.same) US_TEST_FAIL("%s", a.what);
    CHECK(a.n_samples == US_AGREE_SAMPLES);
    return s;
}

static void check_becomes(const char *text, const char *want)
{
    us_ctx c;
    us_buf b;
    us_ctx_init(&c);
    us_buf_init(&b, &c, 1 << 20);
    us_model *m = model_of(&c, text), *s = simplified(&c, m);
    us_model_print(&c, s, SIZE_MAX, &b);
    if (strcmp(b.p, want) != 0) US_TEST_FAIL("became\n%s\nexpected\n%s", b.p, want);
    us_buf_deinit(&b);
    us_model_free(s);
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* The axis stays N although the reshape goes through shape arithmetic; the opset is the file's. */
static void test_simplify__dynamic_axes_and_opset_stay(void)
{
    check_becomes("model ir=8 opset=11\n"
                  "graph main(x: float[N,2,3]) -> (y) {\n"
                  "  const z: int64[1] = {0}\n"
                  "  const six: int64[1] = {6}\n"
                  "  s = Shape(x)\n"
                  "  n = Gather(s, z)\n"
                  "  t = Concat(n, six) {axis=0}\n"
                  "  u = Identity(x)\n"
                  "  r = Reshape(u, t)\n"
                  "  y: float[N,6] = Abs(r)\n"
                  "}\n",
                  "model ir=8 opset=11\n"
                  "graph main(x: float[N,2,3]) -> (y) {\n"
                  "  const v_0: int64[2] = {-1, 6}\n"
                  "  r: float[N,6] = Reshape(x, v_0)\n"
                  "  y: float[N,6] = Abs(r)\n"
                  "}\n");
}

static void test_simplify__shape_of_a_known_shape_is_a_constant(void)
{
    check_becomes("model ir=8 opset=9\n"
                  "graph main(x: float[4,2,3]) -> (y) {\n"
                  "  const z: int64[1] = {0}\n"
                  "  const six: int64[1] = {6}\n"
                  "  s = Shape(x)\n"
                  "  n = Slice(s) {axes=[0], starts=[0], ends=[1]}\n"
                  "  t = Concat(n, six) {axis=0}\n"
                  "  y: float[4,6] = Reshape(x, t)\n"
                  "}\n",
                  "model ir=8 opset=9\n"
                  "graph main(x: float[4,2,3]) -> (y) {\n"
                  "  const v_0: int64[2] = {4, 6}\n"
                  "  y: float[4,6] = Reshape(x, v_0)\n"
                  "}\n");
}

static size_t n_nodes(const us_model *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->graphs.n; i++)
        n += m->graphs.at[i]->order.n;
    return n;
}

/* 4 MB out of a few bytes: stays computed. */
static void test_simplify__folding_does_not_blow_up_the_file(void)
{
    us_ctx c;
    us_simplify_report r;
    us_ctx_init(&c);
    us_model *m = model_of(&c, "model ir=8 opset=17\n"
                               "graph main(x: float[1000,1000]) -> (y) {\n"
                               "  const one: float[1] = {1}\n"
                               "  const d: int64[2] = {1000, 1000}\n"
                               "  a = Expand(one, d)\n"
                               "  b = Exp(a)\n"
                               "  y = Add(x, b)\n"
                               "}\n"),
             *s;
    CHECK_OK(&c, us_simplify(&c, m, NULL, &s, &r));
    CHECK_EQ_U64(n_nodes(s), 3);
    CHECK(r.const_bytes_after < 1000);
    us_model_free(s);
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* Folding what DequantizeLinear gives would make int8 weights float. */
static void test_simplify__quantised_weights_stay_so(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, "model ir=8 opset=13\n"
                               "graph main(x: float[N,2]) -> (y) {\n"
                               "  const w: int8[2,2] = {1, 2, 3, 4}\n"
                               "  const s: float[] = {0.5}\n"
                               "  wf = DequantizeLinear(w, s)\n"
                               "  wt = Transpose(wf)\n"
                               "  y = MatMul(x, wt)\n"
                               "}\n"),
             *s = simplified(&c, m);
    CHECK_EQ_U64(n_nodes(s), 3);
    us_model_free(s);
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* The prover's own test: it must say no. */
static void test_agree__finds_a_difference(void)
{
    static const char text[] = "model ir=8 opset=17\n"
                               "graph main(x: float[N,3]) -> (y) {\n"
                               "  const k: float[3] = {1, 2, 3}\n"
                               "  y = Add(x, k)\n"
                               "}\n",
                      other[] = "model ir=8 opset=17\n"
                                "graph main(x: float[N,3]) -> (y) {\n"
                                "  const k: float[3] = {1, 2, 3.01}\n"
                                "  y = Add(x, k)\n"
                                "}\n",
                      frozen[] = "model ir=8 opset=17\n"
                                 "graph main(x: float[N,3]) -> (y) {\n"
                                 "  const k: float[2,3] = {1, 2, 3, 1, 2, 3}\n"
                                 "  y = Add(x, k)\n"
                                 "}\n";
    us_ctx c;
    us_agreement r;
    us_ctx_init(&c);
    us_model *a = model_of(&c, text), *b = model_of(&c, other), *d = model_of(&c, frozen);
    CHECK_OK(&c, us_models_agree(&c, a, a, NULL, &r));
    CHECK(r.same && r.worst == 0 && r.n_samples == US_AGREE_SAMPLES && r.n_elements > 0);
    CHECK_OK(&c, us_models_agree(&c, a, b, NULL, &r));
    CHECK(!r.same && strstr(r.what, "'y'") != NULL);
    CHECK_OK(&c, us_models_agree(&c, a, d, NULL, &r));
    CHECK(!r.same);
    us_model_free(a);
    us_model_free(b);
    us_model_free(d);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_simplify__dynamic_axes_and_opset_stay),
        US_CASE(test_simplify__shape_of_a_known_shape_is_a_constant),
        US_CASE(test_simplify__folding_does_not_blow_up_the_file),
        US_CASE(test_simplify__quantised_weights_stay_so),
        US_CASE(test_agree__finds_a_difference),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
