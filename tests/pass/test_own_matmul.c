/* Transposes and a factor around products of two values that change: node counts, and the same outputs with and without. */
#include "pass_fixture.h"

#define ATTENTION                                                                              \
    "  qh = Transpose(q) {perm=[0, 2, 1, 3]}\n  kh = Transpose(k) {perm=[0, 2, 3, 1]}\n"       \
    "  vh = Transpose(v) {perm=[0, 2, 1, 3]}\n"

static void test_own_matmul__attention_moves_nothing(void)
{
    check_same_outputs(HEAD
                       "graph main(q: float[N,S,H,D]) -> (y) {\n"
                       "  const root: float[] = {2}\n  k = Exp(q)\n  v = Neg(q)\n" ATTENTION
                       "  s = MatMul(qh, kh)\n  t = Div(s, root)\n  p = Softmax(t) {axis=-1}\n"
                       "  o = MatMul(p, vh)\n  y = Transpose(o) {perm=[0, 2, 1, 3]}\n}\n",
                       "own-matmul", DIMS(2, 19, 3, 5), 1e-5, 5);
}

static void test_own_matmul__operands_of_every_lie(void)
{
    check_same_outputs(HEAD "graph main(x: float[N,M,K]) -> (y) {\n"
                            "  t = Transpose(x) {perm=[0, 2, 1]}\n  y = MatMul(t, x)\n}\n",
                       "own-matmul", DIMS(3, 21, 34), 1e-4, 1);
    check_same_outputs(HEAD "graph main(x: float[N,M,K]) -> (y) {\n"
                            "  t = Transpose(x) {perm=[0, 2, 1]}\n  y = MatMul(x, t)\n}\n",
                       "own-matmul", DIMS(3, 21, 34), 1e-4, 1);
    check_same_outputs(HEAD "graph main(x: float[M,K]) -> (y) {\n"
                            "  const h: float[1] = {0.5}\n  t = Transpose(x) {perm=[1, 0]}\n"
                            "  p = MatMul(t, x)\n  y = Mul(h, p)\n}\n",
                       "own-matmul", DIMS(21, 34), 1e-4, 1);
    check_same_outputs(
        HEAD "graph main(x: float[1,M,K]) -> (y) {\n" /* broadcast over another's batch */
             "  const z: float[3,1,1] = {1, 2, -3}\n  a = Mul(x, z)\n"
             "  t = Transpose(x) {perm=[0, 2, 1]}\n  y = MatMul(a, t)\n}\n",
        "own-matmul", DIMS(1, 21, 34), 1e-3, 2);
}

/* Others read it, the innermost axis leaves, the factor is no number of its own. */
static void test_own_matmul__leaves_what_it_cannot_read(void)
{
    check_same_outputs(HEAD "graph main(x: float[N,M,K]) -> (y, t) {\n"
                            "  t = Transpose(x) {perm=[0, 2, 1]}\n  y = MatMul(t, x)\n}\n",
                       "own-matmul", DIMS(3, 21, 34), 1e-4, 2);
    check_same_outputs(
        HEAD "graph main(x: float[4,3,4]) -> (y) {\n"
             "  t = Transpose(x) {perm=[2, 1, 0]}\n  u = Transpose(x) {perm=[2, 0, 1]}\n"
             "  y = MatMul(t, u)\n}\n",
        "own-matmul", DIMS(4, 3, 4), 1e-4, 3);
    check_same_outputs(HEAD
                       "graph main(x: float[N,M,K]) -> (y) {\n"
                       "  e = Exp(x)\n  u = Transpose(e) {perm=[0, 2, 1]}\n  p = MatMul(x, u)\n"
                       "  y = Transpose(p) {perm=[2, 0, 1]}\n}\n",
                       "own-matmul", DIMS(3, 21, 34), 1e-3, 3);
    check_same_outputs(
        HEAD "graph main(x: float[N,M,K]) -> (y) {\n"
             "  const z: float[] = {0}\n  e = Exp(x)\n"
             "  u = Transpose(e) {perm=[0, 2, 1]}\n  p = MatMul(x, u)\n  y = Div(z, p)\n}\n",
        "own-matmul", DIMS(3, 4, 5), 1e-3, 3);
}

static const us_test_case cases[] = {
    US_CASE(test_own_matmul__attention_moves_nothing),
    US_CASE(test_own_matmul__operands_of_every_lie),
    US_CASE(test_own_matmul__leaves_what_it_cannot_read),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
