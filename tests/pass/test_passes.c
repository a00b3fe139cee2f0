/* Passes: text in, text out; and outputs on random inputs are the same before and after. */
#include "pass_fixture.h"

#include "onnx/onnx.h"

static void print_of(us_ctx *c, const us_model *m, us_buf *b)
{
    us_buf_init(b, c, (size_t)1 << 20);
    us_model_print(c, m, SIZE_MAX, b);
    CHECK_OK(c, us_buf_check(b));
}

/* `passes` turn the graph `before` into the graph `after`; made-up names count, constants by their contents. */
static void check_pass(const char *passes, const char *before, const char *after)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *got = model_of(&c, before), *want = model_of(&c, after);
    us_buf g, w;
    CHECK_OK(&c, us_pass_run(&c, got, "upgrade")); /* passes after it see current forms only */
    CHECK_OK(&c, us_pass_run(&c, got, passes));
    CHECK_OK(&c, us_pass_run(&c, want, "upgrade,infer"));
    CHECK_OK(&c, us_graph_verify(&c, got->main));
    print_of(&c, got, &g);
    print_of(&c, want, &w);
    /* Values nobody defines any more are not printed, so the texts are comparable. */
    CHECK_EQ_STR(g.p, w.p);
    us_buf_deinit(&g);
    us_buf_deinit(&w);
    us_model_free(got);
    us_model_free(want);
    us_ctx_deinit(&c);
}

static void test_dce__unused_chain(void)
{
    check_pass(
        "dce",
        HEAD "graph main(x: float[2]) -> (y) {\n  a = Neg(x)\n  b = Exp(a)\n  y = Relu(x)\n}\n",
        HEAD "graph main(x: float[2]) -> (y) {\n  y = Relu(x)\n}\n");
}

static void test_identity__removed_unless_output(void)
{
    check_pass("identity",
               HEAD "graph main(x: float[2]) -> (y, z) {\n  a = Identity(x)\n  b = "
                    "Dropout(a)\n  y = Relu(b)\n"
                    "  z = Identity(y)\n}\n",
               HEAD
               "graph main(x: float[2]) -> (y, z) {\n  y = Relu(x)\n  z = Identity(y)\n}\n");
}

static void test_identity__cast_and_reshape(void)
{
    check_pass("identity,dce",
               HEAD "graph main(x: float[2,3]) -> (y) {\n  a = Cast(x) {to=1}\n  b = "
                    "Transpose(a) {perm=[0, 1]}\n"
                    "  c = Flatten(b) {axis=1}\n  y = Relu(c)\n}\n",
               HEAD "graph main(x: float[2,3]) -> (y) {\n  y = Relu(x)\n}\n");
}

static void test_cse__equal_nodes_once(void)
{
    check_pass(
        "cse",
        HEAD "graph main(x: float[2]) -> (y) {\n  a = Exp(x)\n  b = Exp(x)\n  c = Neg(a)\n  d "
             "= Neg(b)\n"
             "  y = Add(c, d)\n}\n",
        HEAD
        "graph main(x: float[2]) -> (y) {\n  a = Exp(x)\n  c = Neg(a)\n  y = Add(c, c)\n}\n");
}

static void test_cse__attributes_count(void)
{
    const char *same = HEAD "graph main(x: float[2,2]) -> (y) {\n  a = Softmax(x) {axis=0}\n"
                            "  b = Softmax(x) {axis=1}\n  y = Add(a, b)\n}\n";
    check_pass("cse", same, same);
}

static size_t n_nodes_after(const char *passes, const char *text)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, text);
    CHECK_OK(&c, us_pass_run(&c, m, "upgrade"));
    CHECK_OK(&c, us_pass_run(&c, m, passes));
    CHECK_OK(&c, us_graph_verify(&c, m->main));
    size_t n = m->main->order.n;
    us_model_free(m);
    us_ctx_deinit(&c);
    return n;
}

static void test_fold_const__chain(void)
{
    const char *text =
        HEAD "graph main(x: float[2]) -> (y) {\n  const a: float[2] = {1, 2}\n  b = Neg(a)\n"
             "  c = Exp(b)\n  y = Add(x, c)\n}\n";
    CHECK_EQ_U64(n_nodes_after("fold-const", text), 1);
}

static void test_fold_const__shape_of_known(void)
{
    const char *text = HEAD "graph main(x: float[2,6]) -> (y) {\n  const two: int64[1] = {3}\n "
                            " const m: int64[1] = {-1}\n"
                            "  s = Concat(two, m) {axis=0}\n  y = Reshape(x, s)\n}\n";
    CHECK_EQ_U64(n_nodes_after("fold-const", text), 1);
}

/* 10^8 elements from 16 bytes: left for the run. */
static void test_fold_const__growth_is_limited(void)
{
    const char *text =
        HEAD "graph main(x: float[1]) -> (y) {\n  const s: int64[2] = {10000, 10000}\n"
             "  const one: float[1] = {1}\n  e = Expand(one, s)\n  y = Add(x, e)\n}\n";
    CHECK_EQ_U64(n_nodes_after("fold-const", text), 2);
}

/* A node that fails at run time is left for the run to report. */
static void test_fold_const__failing_node_stays(void)
{
    const char *text = HEAD "graph main(x: float[1]) -> (y) {\n  const i: int64[1] = {7}\n  "
                            "const d: float[2] = {1, 2}\n"
                            "  e = Gather(d, i)\n  y = Add(x, e)\n}\n";
    CHECK_EQ_U64(n_nodes_after("fold-const", text), 2);
}

static void test_fold_const__variables_stay(void)
{
    const char *text =
        HEAD "graph main(x: float[2]) -> (y) {\n  var a: float[2] = {1, 2}\n  b = Neg(a)\n"
             "  y = Add(x, b)\n}\n";
    CHECK_EQ_U64(n_nodes_after("fold-const", text), 2);
}

static void test_pass_run__unknown_name(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, HEAD "graph main(x: float[2]) -> (y) {\n  y = Neg(x)\n}\n");
    CHECK_ERR(us_pass_run(&c, m, "fold-konst"), US_ARG);
    CHECK(strstr(c.diag.text, "fold-const") != NULL);
    CHECK(us_pass_find(US_SV("dce")) != NULL && us_pass_find(US_SV("none")) == NULL);
    CHECK(us_pass_at(0) != NULL && us_pass_at(1000) == NULL);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_fuse_gemm__dense_layer(void)
{
    check_same_outputs(
        HEAD "graph main(x: float[N,2]) -> (y) {\n"
             "  const w: float[2,3] = {1, 2, 3, -4, 5, 6}\n  const b: float[3] = {1, 0, -1}\n"
             "  p = MatMul(x, w)\n  s = Add(b, p)\n  y = Relu(s)\n}\n",
        "fuse-gemm", DIMS(5, 2), 1e-6, 2);
}

static void test_transpose_weights__gemm(void)
{
    check_same_outputs(
        HEAD "graph main(x: float[N,2]) -> (y) {\n"
             "  const w: float[3,2] = {1, 2, 3, -4, 5, 6}\n  const b: float[3] = {1, 0, -1}\n"
             "  p = Gemm(x, w, b) {transB=1}\n  y = Relu(p)\n}\n",
        "transpose-weights", DIMS(5, 2), 1e-6, 2);
}

static void test_default__same_outputs(void)
{
    check_same_outputs(
        HEAD
        "graph main(x: float[N,2]) -> (y) {\n"
        "  const w: float[2,3] = {1, 2, 3, -4, 5, 6}\n  const b: float[3] = {1, 0, -1}\n"
        "  const two: float[1] = {2}\n  i = Identity(x)\n  w2 = Mul(w, two)\n"
        "  p = MatMul(i, w2)\n  s = Add(p, b)\n  e = Exp(s)\n  e2 = Exp(s)\n  t = Add(e, e2)\n"
        "  y = Softmax(t) {axis=1}\n}\n",
        "default", DIMS(5, 2), 1e-6, 4);
}

/* --- functions --------------------------------------------------------------------------------------------- */

static us_model *file_model(us_ctx *c, const char *name)
{
    char path[1024];
    us_model *m;
    CHECK_OK(c, us_onnx_read(c, us_test_source(path, sizeof path, name), NULL, &m));
    return m;
}

/* Twice(x) = (2 Bend(x), x), Bend with a slope given by the caller: y = Bend(2 Bend(x; 0.5); 0.25) - x. */
static void test_inline__functions_call_functions(void)
{
    fixture f;
    fixture_begin(&f);
    us_model *m = file_model(&f.c, "tests/pass/data/functions.onnx");
    CHECK_OK(&f.c, us_plan_new(&f.c, m, NULL, &f.plan));
    CHECK_OK(&f.c, us_session_new(&f.c, f.plan, NULL, &f.s));
    us_value x = F32S(&f, DIMS(2), 3, -8), y;
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, &x, &y));
    CHECK_NEAR(f32_at(&y)[0], 3, 1e-6);
    CHECK_NEAR(f32_at(&y)[1], 6, 1e-6);
    fixture_end(&f);
}

static void test_inline__endless(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = file_model(&c, "tests/pass/data/endless.onnx");
    CHECK_ERR(us_pass_run(&c, m, "inline"), US_FORMAT);
    us_model_free(m);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_dce__unused_chain),
        US_CASE(test_identity__removed_unless_output),
        US_CASE(test_identity__cast_and_reshape),
        US_CASE(test_cse__equal_nodes_once),
        US_CASE(test_cse__attributes_count),
        US_CASE(test_fold_const__chain),
        US_CASE(test_fold_const__shape_of_known),
        US_CASE(test_fold_const__growth_is_limited),
        US_CASE(test_fold_const__failing_node_stays),
        US_CASE(test_fold_const__variables_stay),
        US_CASE(test_pass_run__unknown_name),
        US_CASE(test_fuse_gemm__dense_layer),
        US_CASE(test_transpose_weights__gemm),
        US_CASE(test_default__same_outputs),
        US_CASE(test_inline__functions_call_functions),
        US_CASE(test_inline__endless),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
