/* Gradients of composites without a rule of their own: through their expansions, against central differences. */
#define GC_OPSET "28"
#include "grad_check.h"

/* clang-format off */
static const grad_case expanded[] = {
    {"GroupNormalization", "x: double[2,4,3], s: double[4], b: double[4]", "y = GroupNormalization(x, s, b) {num_groups=2}", -2, 2, LOOSE, NULL},
    {"GroupNormalization symbolic", "x: double[N,4,3], s: double[4], b: double[4]", "y = GroupNormalization(x, s, b) {num_groups=2}", -2, 2, LOOSE, NULL},
    {"InstanceNormalization", "x: double[2,4,3], s: double[4], b: double[4]", "y = InstanceNormalization(x, s, b)", -2, 2, LOOSE, NULL},
    {"RMSNormalization", "x: double[2,4], s: double[4]", "y = RMSNormalization(x, s)", -2, 2, LOOSE, NULL},
    {"LpNormalization", "x: double[3,4]", "z = LpNormalization(x)\n y = Exp(z)", 0.5, 2, TIGHT, NULL},
    {"LpNormalization 1", "x: double[3,4]", "z = LpNormalization(x) {p=1, axis=0}\n y = Exp(z)", 0.5, 2, TIGHT, NULL},
    {"MeanVarianceNormalization", "x: double[3,4]", "z = MeanVarianceNormalization(x) {axes=[1]}\n y = Exp(z)", -2, 2, LOOSE, NULL},
    {"LRN",            "x: double[2,5,3]", "y = LRN(x) {size=3, alpha=0.5, beta=0.6}", -2, 2, TIGHT, NULL},
    {"LpPool",         "x: double[1,2,5,4]", "y = LpPool(x) {kernel_shape=[2, 2], strides=[2, 1], pads=[1, 0, 0, 1]}", 0.5, 2, TIGHT, NULL},
    {"LpPool 3",       "x: double[1,2,5]", "y = LpPool(x) {kernel_shape=[3], p=3}", 0.5, 2, TIGHT, NULL},
    {"GlobalLpPool",   "x: double[2,2,5]", "y = GlobalLpPool(x) {p=3}", 0.5, 2, TIGHT, NULL},
    {"CenterCropPad",  "x: double[3,5]", "const s: int64[2] = {4, 2}\n y = CenterCropPad(x, s)", -2, 2, TIGHT, NULL},
    {"Compress",       "x: double[3,4]", "const c: bool[4] = {1, 0, 0, 1}\n y = Compress(x, c) {axis=1}", -2, 2, TIGHT, NULL},
    {"ReverseSequence","x: double[3,2]", "const l: int64[2] = {2, 3}\n y = ReverseSequence(x, l)", -2, 2, TIGHT, NULL},
    {"OneHot",         "v: double[2]", "const i: int64[3] = {0, 2, 7}\n const d: int64[] = {3}\n y = OneHot(i, d, v)", -2, 2, TIGHT, NULL},
    {"AffineGrid",     "t: double[2,2,3]", "const s: int64[4] = {2, 1, 3, 2}\n y = AffineGrid(t, s)", -2, 2, TIGHT, NULL},
    {"Einsum",         "a: double[2,3,4], b: double[4,2]", "y = Einsum(a, b) {equation=\"bij,jk->ikb\"}", -1, 1, TIGHT, NULL},
    {"Einsum symbolic","a: double[N,3,4], b: double[N,4]", "y = Einsum(a, b) {equation=\"bij,bj->bi\"}", -1, 1, TIGHT, NULL},
    {"Einsum diagonal","a: double[3,3], b: double[3]", "y = Einsum(a, b) {equation=\"ii,i->i\"}", -1, 1, TIGHT, NULL},
    {"Attention",      "q: double[2,2,3,4], k: double[2,1,5,4], v: double[2,1,5,2]", "y = Attention(q, k, v) {is_causal=1, softcap=3.0}", -1, 1, TIGHT, NULL},
    {"Attention packed with a mask", "q: double[2,3,4], k: double[2,3,4], v: double[2,3,4], m: double[3,3]", "y = Attention(q, k, v, m) {q_num_heads=2, kv_num_heads=2}", -1, 1, TIGHT, NULL},
    {"Scatter",        "x: double[3,4], u: double[3,2]", "const i: int64[3,2] = {0, 1, 1, 3, 2, 3}\n y = Scatter(x, i, u) {axis=1}", -2, 2, TIGHT, NULL},
};
/* clang-format on */

static void test_gradients__through_expansions(void)
{
    for (size_t i = 0; i < US_LEN(expanded); i++)
        gc_run(&expanded[i]);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {US_CASE(test_gradients__through_expansions)};
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
