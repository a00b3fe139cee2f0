/* What follows a product by constant weights goes into it: node counts, and the same outputs with and without. */
#include "pass_fixture.h"

#define W23  "  const w: float[2,3] = {1, 2, 3, -4, 5, 6}\n"
#define BIAS "  const b: float[3] = {1, 0.5, -1}\n"
#define OWN  "own-gemm,fuse-gemm-bias,fuse-gemm-add,fuse-gemm-act"

static void test_own_gemm__matmul_of_any_rank_and_gemm(void)
{
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23
                            "  y = MatMul(x, w)\n}\n",
                       OWN, DIMS(5, 2), 1e-6, 1);
    check_same_outputs(HEAD "graph main(x: float[A,4,2]) -> (y) {\n" W23
                            "  y = MatMul(x, w)\n}\n",
                       OWN, DIMS(3, 4, 2), 1e-6, 1);
    check_same_outputs(HEAD "graph main(x: float[N,3]) -> (y) {\n" W23
                            "  const c: float[1] = {3}\n"
                            "  y = Gemm(x, w, c) {transB=1, alpha=-0.5, beta=0.25}\n}\n",
                       OWN, DIMS(5, 3), 1e-6, 1);
}

static size_t n_own(const char *text)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, text);
    size_t n = 0;
    CHECK_OK(&c, us_pass_run(&c, m, "upgrade," OWN));
    for (size_t i = 0; i < m->main->order.n; i++)
        n += us_sv_is(m->main->nodes.at[m->main->order.at[i]].domain, "usta");
    us_model_free(m);
    us_ctx_deinit(&c);
    return n;
}

static void test_own_gemm__leaves_what_it_does_not_compute(void)
{
    CHECK_EQ_U64(n_own(HEAD "graph main(x: float[2]) -> (y) {\n" W23 "  y = MatMul(x, w)\n}\n"),
                 0);
    CHECK_EQ_U64(n_own(HEAD "graph main(x: float[2,N]) -> (y) {\n" W23
                            "  y = Gemm(x, w) {transA=1}\n}\n"),
                 0);
    CHECK_EQ_U64(n_own(HEAD
                       "graph main(x: float[5,2]) -> (y) {\n" W23
                       "  const c: float[5,1] = {1, 2, 3, 4, 5}\n  y = Gemm(x, w, c)\n}\n"),
                 0);
    CHECK_EQ_U64(n_own(HEAD "graph main(x: float[5,2], w: float[2,3]) -> (y) {\n"
                            "  y = MatMul(x, w)\n}\n"),
                 0);
    CHECK_EQ_U64(n_own(HEAD "graph main(x: double[5,2]) -> (y) {\n"
                            "  const w: double[2,1] = {1, 2}\n  y = MatMul(x, w)\n}\n"),
                 0);
}

static void test_fuse__bias_residual_and_clamp_in_one_node(void)
{
    check_same_outputs(HEAD "graph main(x: float[A,N,2]) -> (y) {\n" W23 BIAS
                            "  const lo: float[] = {-1}\n  const hi: float[] = {2}\n"
                            "  r = MatMul(x, w)\n  r2 = Exp(r)\n"
                            "  p = MatMul(x, w)\n  s = Add(b, p)\n  t = Add(r2, s)\n"
                            "  y = Clip(t, lo, hi)\n}\n",
                       OWN, DIMS(3, 4, 2), 1e-5, 3);
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23 BIAS
                            "  p = Gemm(x, w, b) {beta=0.5}\n  y = Relu(p)\n}\n",
                       OWN, DIMS(7, 2), 1e-6, 1);
}

static void test_fuse__two_products_at_an_add(void)
{
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23
                            "  p = MatMul(x, w)\n  q = Exp(x)\n  r = MatMul(q, w)\n"
                            "  y = Add(p, r)\n}\n",
                       OWN, DIMS(7, 2), 1e-5, 3);
}

#define ALL OWN ",fuse-map,fuse-gemm-map"

static void test_fuse__programs_over_tiles(void)
{
    check_same_outputs("model ir=8 opset=20\n"
                       "graph main(x: float[A,N,2]) -> (y) {\n" W23 BIAS
                       "  p = MatMul(x, w)\n  s = Add(p, b)\n  y = Gelu(s)\n}\n",
                       ALL, DIMS(3, 4, 2), 1e-5, 1);
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23
                            "  p = MatMul(x, w)\n  s = Sigmoid(p)\n  y = Mul(s, p)\n}\n",
                       ALL, DIMS(7, 2), 1e-5, 1);
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23
                            "  p = MatMul(x, w)\n  r = Relu(p)\n  y = Tanh(r)\n}\n",
                       ALL, DIMS(7, 2), 1e-5, 1);
}

/* Further inputs of a program: of the result's shape, per row, per column, one for all, truth values. */
static void test_fuse__programs_with_further_inputs(void)
{
    check_same_outputs(
        HEAD "graph main(x: float[A,N,2]) -> (y) {\n" W23
             "  const col: float[1,3] = {2, -3, 4}\n  const one: float[1,1] = {-5}\n"
             ""
             "  q = ReduceMean(x) {axes=[-1]}\n  f = MatMul(x, w)\n  full = Exp(f)\n"
             "  p = MatMul(x, w)\n  a = Mul(p, q)\n  t = Mul(a, col)\n  u = Mul(t, one)\n"
             "  v = Mul(u, full)\n  y = Tanh(v)\n}\n",
        ALL, DIMS(3, 4, 2), 1e-5, 3);
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23
                            "  const zero: float[1] = {0}\n"
                            "  q = ReduceMean(x) {axes=[-1]}\n  m = Greater(q, zero)\n"
                            "  p = MatMul(x, w)\n  y = Where(m, p, zero)\n}\n",
                       ALL, DIMS(7, 2), 1e-5, 3);
    check_same_outputs(HEAD "graph main(x: float[3,N,2]) -> (y) {\n" W23
                            "  const mid: float[3,1,1] = {1, 2, 3}\n"
                            "  p = MatMul(x, w)\n  s = Sigmoid(p)\n  y = Mul(s, mid)\n}\n",
                       ALL, DIMS(3, 5, 2), 1e-5, 2); /* neither per row nor for all rows */
}

/* Readers elsewhere, a clamp before, a shape that broadcasts: nothing may be lost. */
static void test_fuse__refuses_what_would_change_the_result(void)
{
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y, p) {\n" W23
                            "  p = MatMul(x, w)\n  y = Relu(p)\n}\n",
                       OWN, DIMS(7, 2), 1e-6, 2);
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23 BIAS
                            "  p = MatMul(x, w)\n  r = Relu(p)\n  y = Add(r, b)\n}\n",
                       OWN, DIMS(7, 2), 1e-6, 2);
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23
                            "  const c: float[2,1,1] = {1, 2}\n"
                            "  p = MatMul(x, w)\n  y = Add(p, c)\n}\n",
                       OWN, DIMS(7, 2), 1e-6, 2);
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23
                            "  const lo: float[] = {2}\n  const hi: float[] = {-1}\n"
                            "  p = MatMul(x, w)\n  y = Clip(p, lo, hi)\n}\n",
                       OWN, DIMS(7, 2), 1e-6, 2);
    check_same_outputs(HEAD "graph main(x: float[N,2]) -> (y) {\n" W23
                            "  p = MatMul(x, w)\n  y = Add(p, p)\n}\n",
                       OWN, DIMS(7, 2), 1e-6, 2);
}

static const us_test_case cases[] = {
    US_CASE(test_own_gemm__matmul_of_any_rank_and_gemm),
    US_CASE(test_own_gemm__leaves_what_it_does_not_compute),
    US_CASE(test_fuse__bias_residual_and_clamp_in_one_node),
    US_CASE(test_fuse__two_products_at_an_add),
    US_CASE(test_fuse__programs_over_tiles),
    US_CASE(test_fuse__programs_with_further_inputs),
    US_CASE(test_fuse__refuses_what_would_change_the_result),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
