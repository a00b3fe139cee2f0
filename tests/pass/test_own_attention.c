/* Attention, Gelu and LayerNormalization found again in what exporters make of them: node counts, and the same outputs with and without. */
#include "pass_fixture.h"

#define HEADS                                                                                  \
    "  qh = Transpose(q) {perm=[0, 2, 1, 3]}\n  kh = Transpose(k) {perm=[0, 2, 3, 1]}\n"       \
    "  vh = Transpose(v) {perm=[0, 2, 1, 3]}\n"
#define PASSES "own-matmul,own-attention"

static void test_attention__masked_and_not(void)
{
    static const int64_t sizes[][5] = {
        {2, 19, 3, 5, -1}, {1, 1, 1, 1, -1}, {1, 130, 2, 33, -1}, {1, 400, 1, 8, -1}};
    for (size_t i = 0; i < US_LEN(sizes); i++) {
        check_same_outputs(HEAD
                           "graph main(q: float[N,S,H,D]) -> (y) {\n"
                           "  const root: float[] = {2}\n  k = Exp(q)\n  v = Neg(q)\n" HEADS
                           "  s = MatMul(qh, kh)\n  t = Div(s, root)\n"
                           "  p = Softmax(t) {axis=-1}\n"
                           "  o = MatMul(p, vh)\n  y = Transpose(o) {perm=[0, 2, 1, 3]}\n}\n",
                           PASSES, sizes[i], 1e-5, 3);
        check_same_outputs(/* the mask: a number per query and head */
                           HEAD
                           "graph main(q: float[N,S,H,D]) -> (y) {\n"
                           "  k = Exp(q)\n  v = Neg(q)\n" HEADS
                           "  b = ReduceMax(qh) {axes=[3], keepdims=1}\n"
                           "  s = MatMul(qh, kh)\n  t = Add(b, s)\n  p = Softmax(t) {axis=3}\n"
                           "  o = MatMul(p, vh)\n  y = Transpose(o) {perm=[0, 2, 1, 3]}\n}\n",
                           PASSES, sizes[i], 1e-5, 5);
    }
}

/* A row of the mask for all queries, as BERT has it. */
static void test_attention__a_mask_of_keys(void)
{
    check_same_outputs(HEAD "graph main(x: float[N,S,D]) -> (y) {\n"
                            "  const last: int64[3] = {0, 1, -1}\n"
                            "  k = Transpose(x) {perm=[0, 2, 1]}\n  v = Exp(x)\n"
                            "  c = ReduceMax(x) {axes=[2], keepdims=1}\n"
                            "  b = Reshape(c, last)\n" /* [N, 1, S] */
                            "  s = MatMul(x, k)\n  t = Add(s, b)\n  p = Softmax(t) {axis=-1}\n"
                            "  y = MatMul(p, v)\n}\n",
                       PASSES, DIMS(1, 40, 16), 1e-4, 4);
}

/* Other readers, another axis, a value in front of V. */
static void test_attention__leaves_the_rest(void)
{
    check_same_outputs(HEAD "graph main(x: float[N,S,D]) -> (y, p) {\n"
                            "  k = Transpose(x) {perm=[0, 2, 1]}\n  s = MatMul(x, k)\n"
                            "  p = Softmax(s) {axis=-1}\n  y = MatMul(p, x)\n}\n",
                       PASSES, DIMS(2, 9, 8), 1e-4, 3);
    check_same_outputs(HEAD "graph main(x: float[N,S,D]) -> (y) {\n"
                            "  k = Transpose(x) {perm=[0, 2, 1]}\n  s = MatMul(x, k)\n"
                            "  p = Softmax(s) {axis=1}\n  y = MatMul(p, x)\n}\n",
                       PASSES, DIMS(2, 9, 8), 1e-4, 3);
}

#define NORM(squares, scale, bias)                                                             \
    HEAD "graph main(x: float[N,S,5]) -> (y) {\n"                                              \
         "  const g: float[5] = {1, -2, 0.5, 3, 0.25}\n  const b: float[5] = {0, 1, 2, 3, "    \
         "-4}\n"                                                                               \
         "  const e: float[] = {0.001}\n  const two: float[] = {2}\n"                          \
         "  m = ReduceMean(x) {axes=[-1]}\n  d = Sub(x, m)\n  s = " squares                    \
         "\n  v = ReduceMean(s) {axes=[2]}\n"                                                  \
         "  w = Add(v, e)\n  r = Sqrt(w)\n  n = Div(d, r)\n  " scale "\n  " bias "\n}\n"

static void test_norm__written_out(void)
{
    static const char *const pass = "fuse-norm";
    check_same_outputs(NORM("Pow(d, two)", "k = Mul(n, g)", "y = Add(k, b)"), pass,
                       DIMS(3, 7, 5), 1e-4, 1);
    check_same_outputs(NORM("Mul(d, d)", "k = Mul(g, n)", "y = Add(b, k)"), pass, DIMS(3, 7, 5),
                       1e-4, 1);
    check_same_outputs(NORM("Mul(d, d)", "k = Mul(g, n)", "y = Exp(k)"), pass, DIMS(1, 2, 5),
                       1e-2, 2);
    /* not the square; a bias for all that is not one per element: Add stays */
    check_same_outputs(NORM("Mul(d, x)", "k = Mul(g, d)", "y = Add(k, n)"), pass, DIMS(3, 7, 5),
                       1e-3, 9);
    check_same_outputs(NORM("Mul(d, d)", "k = Mul(g, n)", "y = Add(k, e)"), pass, DIMS(3, 7, 5),
                       1e-4, 2);
}

#define BELL(last)                                                                             \
    HEAD "graph main(x: float[N,S]) -> (y) {\n"                                                \
         "  const r: float[] = {1.4142135}\n  const i: float[] = {0.70710677}\n"               \
         "  const one: float[] = {1}\n  const h: float[] = {0.5}\n" last "}\n"

static void test_gelu__written_out(void)
{
    static const char *const pass = "fuse-gelu";
    check_same_outputs(BELL("  a = Div(x, r)\n  b = Erf(a)\n  c = Add(b, one)\n"
                            "  d = Mul(x, c)\n  y = Mul(d, h)\n"),
                       pass, DIMS(5, 70), 1e-6, 1);
    check_same_outputs(BELL("  a = Mul(i, x)\n  b = Erf(a)\n  c = Add(one, b)\n"
                            "  d = Mul(x, h)\n  y = Mul(d, c)\n"),
                       pass, DIMS(5, 70), 1e-6, 1);
    check_same_outputs(BELL("  a = Mul(x, i)\n  b = Erf(a)\n  c = Add(one, b)\n"
                            "  d = Mul(c, h)\n  y = Mul(d, x)\n"),
                       pass, DIMS(5, 70), 1e-6, 1);
    check_same_outputs(BELL("  a = Div(x, h)\n  b = Erf(a)\n  c = Add(b, one)\n"
                            "  d = Mul(x, c)\n  y = Mul(d, h)\n"),
                       pass, DIMS(5, 70), 1e-6, 5);
}

static const us_test_case cases[] = {
    US_CASE(test_attention__masked_and_not),  US_CASE(test_attention__a_mask_of_keys),
    US_CASE(test_attention__leaves_the_rest), US_CASE(test_norm__written_out),
    US_CASE(test_gelu__written_out),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
