/* BatchNormalization folded into what stands before it. */
#include "pass_fixture.h"

static void test_fold_bn__conv(void)
{
    check_same_outputs(
        HEAD
        "graph main(x: float[1,2,4,4]) -> (y) {\n"
        "  const w: float[3,2,1,1] = {1, 2, 3, -4, 5, 6}\n  const b: float[3] = {1, 0, -1}\n"
        "  const s: float[3] = {1, 2, -0.5}\n  const be: float[3] = {0, 3, 1}\n"
        "  const mu: float[3] = {0.5, 1, 2}\n  const va: float[3] = {1, 4, 0.25}\n"
        "  c = Conv(x, w, b)\n  n = BatchNormalization(c, s, be, mu, va)\n  y = Relu(n)\n}\n",
        "fold-bn", DIMS(1, 2, 4, 4), 2e-5, 2);
}

static void test_fold_bn__gemm_without_bias(void)
{
    check_same_outputs(
        HEAD "graph main(x: float[N,2]) -> (y) {\n"
             "  const w: float[2,3] = {1, 2, 3, -4, 5, 6}\n"
             "  const s: float[3] = {1, 2, -0.5}\n  const be: float[3] = {0, 3, 1}\n"
             "  const mu: float[3] = {0.5, 1, 2}\n  const va: float[3] = {1, 4, 0.25}\n"
             "  c = Gemm(x, w)\n  n = BatchNormalization(c, s, be, mu, va)\n  y = Relu(n)\n}\n",
        "fold-bn", DIMS(5, 2), 2e-5, 2);
}

/* The product is read twice: nothing may be folded into it. */
static void test_fold_bn__shared_product_stays(void)
{
    check_same_outputs(
        HEAD
        "graph main(x: float[N,2]) -> (y) {\n"
        "  const w: float[2,3] = {1, 2, 3, -4, 5, 6}\n"
        "  const s: float[3] = {1, 2, -0.5}\n  const be: float[3] = {0, 3, 1}\n"
        "  const mu: float[3] = {0.5, 1, 2}\n  const va: float[3] = {1, 4, 0.25}\n"
        "  c = Gemm(x, w)\n  n = BatchNormalization(c, s, be, mu, va)\n  y = Add(n, c)\n}\n",
        "fold-bn", DIMS(5, 2), 0, 3);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_fold_bn__conv),
        US_CASE(test_fold_bn__gemm_without_bias),
        US_CASE(test_fold_bn__shared_product_stays),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
