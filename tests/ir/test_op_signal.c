/* test_op_signal - Fourier transforms of awkward lengths against the sum as it is written, 8-bit products by hand, random
 * numbers by their distribution, and sizes nobody should ask for. */
#include "op_fixture.h"

#include "kernel/ref.h"

#define X8    "const x: uint8[2,2] = {10, 20, 30, 40}\n"
#define ONE_F "const s: float[] = {0.5}\nconst z: uint8[] = {10}\n"

/* clang-format off */
static const op_case rows[] = {
    {"integer product with zero points per row and column",
     X8 "const w: int8[2,2] = {1, -2, 3, 4}\nconst a: uint8[2] = {10, 20}\nconst b: int8[2] = {1, -1}\ny = MatMulInteger(x, w, a, b)", 2, {2, 2}, {20, 50, 40, 90}, {0}, 0},
    {"integer product without zero points", X8 "const w: int8[2,1] = {1, -1}\ny = MatMulInteger(x, w)", 2, {2, 1}, {-10, -10}, {0}, 0},
    {"integer product over nothing", "const x: uint8[2,0] = {}\nconst w: uint8[0,1] = {}\ny = MatMulInteger(x, w)", 2, {2, 1}, {0, 0}, {0}, 0},
    {"integer product of other types", X8 "const w: int8[2,1] = {1, -1}\nconst a: uint8[3] = {1, 2, 3}\ny = MatMulInteger(x, w, a)", -1, {0}, {0}, {0}, US_SHAPE},
    {"requantised: halves go to even", "const x: int8[1,1] = {1}\nconst s: float[] = {1}\nconst z: int8[] = {0}\nconst w: int8[1,4] = {1, 3, 5, -3}\nconst t: float[] = {2}\ny = QLinearMatMul(x, s, z, w, s, z, t, z)", 2, {1, 4}, {0, 2, 2, -2}, {0}, 0},
    {"requantised: saturates", "const x: int8[1,1] = {127}\nconst s: float[] = {1}\nconst z: int8[] = {0}\nconst w: int8[1,2] = {127, -128}\ny = QLinearMatMul(x, s, z, w, s, z, s, z)", 2, {1, 2}, {127, -128}, {0}, 0},
    {"integer convolution pads with the zero point", "const x: uint8[1,1,2] = {11, 12}\nconst w: uint8[1,1,2] = {1, 1}\nconst z: uint8[] = {10}\ny = ConvInteger(x, w, z) {pads=[1, 1]}", 3, {1, 1, 3}, {1, 3, 2}, {0}, 0},
    {"integer convolution of too few channels", "const x: uint8[1,2,2] = {11, 12, 1, 2}\nconst w: uint8[1,1,2] = {1, 1}\ny = ConvInteger(x, w)", -1, {0}, {0}, {0}, US_SHAPE},
    {"quantised convolution per channel", "const x: uint8[1,1,2] = {12, 14}\n" ONE_F "const w: int8[2,1,1] = {1, 2}\nconst ws: float[2] = {1, 4}\nconst wz: int8[2] = {0, 1}\nconst b: int32[2] = {2, 10}\ny = QLinearConv(x, s, z, w, ws, wz, s, z, b)", 3, {1, 2, 2}, {14, 16, 58, 66}, {0}, 0},
    {"window of one point", "const n: int64[] = {1}\ny = HannWindow(n) {periodic=0}", 1, {1}, {1}, {0}, 0},
    {"window of no point", "const n: int64[] = {0}\ny = BlackmanWindow(n)", 1, {0}, {0}, {0}, 0},
    {"window of 10^12 points", "const n: int64[] = {1000000000000}\ny = HammingWindow(n)", -1, {0}, {0}, {0}, US_LIMIT},
    {"window of a negative size", "const n: int64[] = {-1}\ny = HammingWindow(n)", -1, {0}, {0}, {0}, US_LIMIT},
    {"transform of one point", "const x: float[1,1,1] = {3}\ny = DFT(x)", 3, {1, 1, 2}, {3, 0}, {0}, 0},
    {"transform of 10^12 points", "const x: float[1,1,1] = {3}\nconst n: int64[] = {1000000000000}\ny = DFT(x, n)", -1, {0}, {0}, {0}, US_LIMIT},
    {"transform along the parts", "const x: float[1,1,1] = {3}\nconst n: int64[] = {1}\nconst a: int64[] = {-1}\ny = DFT(x, n, a)", -1, {0}, {0}, {0}, US_SHAPE},
    {"frame longer than the signal", "const x: float[1,3,1] = {3, 1, 2}\nconst n: int64[] = {1}\nconst l: int64[] = {4}\ny = STFT(x, n, _, l)", -1, {0}, {0}, {0}, US_SHAPE},
    {"frames without a step", "const x: float[1,3,1] = {3, 1, 2}\nconst n: int64[] = {0}\nconst l: int64[] = {2}\ny = STFT(x, n, _, l)", -1, {0}, {0}, {0}, US_LIMIT},
    {"mel edges the wrong way round", "const b: int64[] = {2}\nconst n: int64[] = {8}\nconst r: int64[] = {8000}\nconst lo: float[] = {100}\nconst hi: float[] = {10}\ny = MelWeightMatrix(b, n, r, lo, hi)", -1, {0}, {0}, {0}, US_ARG},
    {"no classes to draw from", "const x: float[2,0] = {}\ny = Multinomial(x) {seed=1.0}", -1, {0}, {0}, {0}, US_SHAPE},
    {"quantised sum", X8 ONE_F "const b: uint8[2] = {12, 8}\ny = com.microsoft.QLinearAdd(x, s, z, b, s, z, s, z)", 2, {2, 2}, {12, 18, 32, 38}, {0}, 0},
    {"quantised sum of a scale per column", X8 ONE_F "const t: float[2] = {1, 2}\ny = com.microsoft.QLinearAdd(x, t, z, x, s, z, s, z)", -1, {0}, {0}, {0}, US_SHAPE},
    {"quantised softmax of opset 12", "const x: uint8[1,2,2] = {7, 7, 7, 7}\n" ONE_F "const t: float[] = {0.125}\ny = com.microsoft.QLinearSoftmax(x, s, z, t, z) {opset=12, axis=1}", 3, {1, 2, 2}, {12, 12, 12, 12}, {0}, 0},
    {"fused product", "const a: float[1,2] = {1, -2}\nconst b: float[2,2] = {1, 2, 3, 0}\ny = com.microsoft.FusedGemm(a, b) {activation=\"Relu\"}", 2, {1, 2}, {0, 2}, {0}, 0},
    {"fused product of an unknown activation", "const a: float[1,1] = {1}\ny = com.microsoft.FusedGemm(a, a) {activation=\"Wave\"}", -1, {0}, {0}, {0}, US_UNSUPP},
    {"fused convolution", "const x: float[1,1,2] = {1, -2}\nconst w: float[1,1,1] = {3}\nconst b: float[1] = {1}\nconst z: float[1,1,2] = {0, 8}\ny = com.microsoft.FusedConv(x, w, b, z) {activation=\"Clip\", activation_params=[0.0, 3.5]}", 3, {1, 1, 2}, {3.5, 3}, {0}, 0},
    {"bias and gelu", "const a: float[1,2] = {1, -1}\nconst b: float[2] = {-1, 2}\ny = com.microsoft.BiasGelu(a, b)", 2, {1, 2}, {0, 0.84134474}, {0}, 0},
    {"skip and normalise", "const a: float[1,2] = {1, 2}\nconst b: float[1,2] = {0, 1}\nconst g: float[2] = {1, 2}\nconst h: float[2] = {0, 1}\ny = com.microsoft.SkipLayerNormalization(a, b, g, h)", 2, {1, 2}, {-1, 3}, {0}, 0},
    {"never and always", "const x: float[4] = {0, 1, 0, 1}\ny = Bernoulli(x) {seed=1.0}", 1, {4}, {0, 1, 0, 1}, {0}, 0},
};
/* clang-format on */

static void test_rows__table(void)
{
    op_check_all(rows, US_LEN(rows));
}

static void test_fft__every_length_is_the_sum(void)
{
    enum { MOST = 131 };
    static double x[2 * MOST], want[2 * MOST], work[24 * MOST];
    for (size_t n = 1; n <= MOST; n++) {
        CHECK(us_ref_fft_doubles(n) <= US_LEN(work));
        memset(want, 0, sizeof want);
        for (size_t i = 0; i < n; i++) {
            x[2 * i] = (double)(i * 7 % 11) - 3;
            x[2 * i + 1] = (double)(i * 5 % 13) / 4;
        }
        for (size_t q = 0; q < n; q++)
            for (size_t i = 0; i < n; i++) {
                double t = -2 * 3.14159265358979323846 * (double)(i * q % n) / (double)n;
                want[2 * q] += x[2 * i] * cos(t) - x[2 * i + 1] * sin(t);
                want[2 * q + 1] += x[2 * i] * sin(t) + x[2 * i + 1] * cos(t);
            }
        us_ref_fft_plan(n, work);
        us_ref_fft(n, x, work);
        for (size_t i = 0; i < 2 * n; i++)
            CHECK(fabs(x[i] - want[i]) < 1e-10 * (double)n);
    }
}

/* Mean and standard deviation of output y, and how much is below `mark`. */
typedef struct moments {
    double mean, sd, below;
    us_dtype type;
    int64_t n;
} moments;

static moments moments_of(const char *body, double mark)
{
    op_run r;
    op_open(&r, body, "y");
    if (r.err != US_OK) printf("# %s\n", r.c.diag.text);
    CHECK(r.err == US_OK);
    const us_tensor *y = &r.out[0].t;
    moments m = {.n = us_tensor_count(y), .type = y->dtype};
    double sum = 0, squares = 0, below = 0;
    for (int64_t i = 0; i < m.n; i++) {
        double v = us_tensor_f64_at(y, i);
        sum += v;
        squares += v * v;
        below += v < mark;
    }
    m.mean = sum / (double)m.n;
    m.sd = sqrt(squares / (double)m.n - m.mean * m.mean);
    m.below = below / (double)m.n;
    op_close(&r);
    return m;
}

/* 40000 draws: five standard errors are 0.025 standard deviations. */
static void test_random__distributions(void)
{
    moments m =
        moments_of("y = RandomNormal() {shape=[200, 200], mean=2.0, scale=3.0, seed=7.0}", 2);
    CHECK(m.n == 40000 && m.type == US_F32);
    CHECK(fabs(m.mean - 2) < 0.075 && fabs(m.sd - 3) < 0.06 && fabs(m.below - 0.5) < 0.0125);
    m = moments_of("y = RandomUniform() {shape=[40000], low=-1.0, high=3.0, dtype=11}", 0);
    CHECK(m.n == 40000 && m.type == US_F64);
    CHECK(fabs(m.mean - 1) < 0.03 && fabs(m.sd - 2 / sqrt(3)) < 0.03);
    CHECK(fabs(m.below - 0.25) < 0.011);
    m = moments_of("const n: int64[1] = {40000}\nx = ConstantOfShape(n)\n"
                   "y = RandomNormalLike(x) {dtype=10}",
                   0);
    CHECK(m.n == 40000 && m.type == US_F16);
    CHECK(fabs(m.mean) < 0.025 && fabs(m.sd - 1) < 0.02);
    m = moments_of("const n: int64[1] = {40000}\nx = ConstantOfShape(n)\n"
                   "y = RandomUniformLike(x)",
                   0.75);
    CHECK(m.type == US_F32 && fabs(m.below - 0.75) < 0.011);
    m = moments_of("const n: int64[1] = {40000}\nconst p: float[] = {0.3}\n"
                   "x = Expand(p, n)\ny = Bernoulli(x) {dtype=6}",
                   1);
    CHECK(m.type == US_I32 && fabs(m.mean - 0.3) < 0.012);
    /* weights 1 : 0 : 3 */
    m = moments_of("const x: float[1,3] = {0, -inf, 1.0986123}\n"
                   "y = Multinomial(x) {sample_size=40000, dtype=7}",
                   1);
    CHECK(m.n == 40000 && m.type == US_I64);
    CHECK(fabs(m.below - 0.25) < 0.011 && fabs(m.mean - 1.5) < 0.022);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double normal_cdf(double x)
{
    return 0.5 * erfc(-x / sqrt(2));
}
static double uniform_cdf(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* The Kolmogorov-Smirnov statistic times the root of the number of draws: above 1.95 once in a thousand seeds. */
static double smirnov(const char *body, double (*cdf)(double))
{
    op_run r;
    static double v[40000];
    op_open(&r, body, "y");
    if (r.err != US_OK) printf("# %s\n", r.c.diag.text);
    CHECK(r.err == US_OK && us_tensor_count(&r.out[0].t) == (int64_t)US_LEN(v));
    for (size_t i = 0; i < US_LEN(v); i++)
        v[i] = us_tensor_f64_at(&r.out[0].t, (int64_t)i);
    op_close(&r);
    qsort(v, US_LEN(v), sizeof *v, by_value);
    double worst = 0, n = (double)US_LEN(v);
    for (size_t i = 0; i < US_LEN(v); i++) {
        double f = cdf(v[i]);
        worst = fmax(worst, fmax(f - (double)i / n, (double)(i + 1) / n - f));
    }
    return worst * sqrt(n);
}

static void test_random__kolmogorov_smirnov(void)
{
#define N40 "const n: int64[1] = {40000}\nx = ConstantOfShape(n)\n"
    CHECK(smirnov("y = RandomNormal() {shape=[40000], seed=7.0}", normal_cdf) < 1.95);
    CHECK(smirnov("y = RandomUniform() {shape=[40000], seed=7.0}", uniform_cdf) < 1.95);
    CHECK(smirnov(N40 "y = RandomNormalLike(x) {seed=7.0, dtype=11}", normal_cdf) < 1.95);
    CHECK(smirnov(N40 "y = RandomUniformLike(x) {seed=7.0}", uniform_cdf) < 1.95);
    /* the statistic itself can fail: a uniform sample is not normal */
    CHECK(smirnov("y = RandomUniform() {shape=[40000], seed=7.0}", normal_cdf) > 50);
}

/* Bernoulli draws of one chance in blocks of eight: how many ones a block has is binomial. The chi-square statistic over its nine
 * classes has eight degrees of freedom: above 26.1 once in a thousand seeds. Independence shows here, which a mean cannot see. */
static double binomial_chi_square(const char *body, double chance)
{
    enum { BLOCK = 8, BLOCKS = 20000 };
    op_run r;
    double seen[BLOCK + 1] = {0}, sum = 0, ways = 1;
    op_open(&r, body, "y");
    if (r.err != US_OK) printf("# %s\n", r.c.diag.text);
    CHECK(r.err == US_OK && us_tensor_count(&r.out[0].t) == (int64_t)BLOCK * BLOCKS);
    for (int64_t i = 0; i < BLOCKS; i++) {
        int ones = 0;
        for (int64_t j = 0; j < BLOCK; j++)
            ones += us_tensor_f64_at(&r.out[0].t, i * BLOCK + j) != 0;
        seen[ones]++;
    }
    op_close(&r);
    for (int j = 0; j <= BLOCK; j++) {
        double want = BLOCKS * ways * pow(chance, j) * pow(1 - chance, BLOCK - j);
        sum += (seen[j] - want) * (seen[j] - want) / want;
        ways = ways * (BLOCK - j) / (j + 1);
    }
    return sum;
}

static void test_random__bernoulli_chi_square(void)
{
#define CHANCE(p)                                                                              \
    "const n: int64[1] = {160000}\nconst p: float[] = {" #p "}\nx = Expand(p, n)\n"
    CHECK(binomial_chi_square(CHANCE(0.5) "y = Bernoulli(x) {seed=7.0}", 0.5) < 26.1);
    CHECK(binomial_chi_square(CHANCE(0.3) "y = Bernoulli(x) {seed=8.0, dtype=6}", 0.3) < 26.1);
    CHECK(binomial_chi_square(CHANCE(0.7) "y = Bernoulli(x) {dtype=9}", 0.7) < 26.1);
    /* the statistic itself can fail: another chance, and draws that depend on each other */
    CHECK(binomial_chi_square(CHANCE(0.5) "y = Bernoulli(x) {seed=7.0}", 0.51) > 26.1);
    CHECK(binomial_chi_square("const n: int64[2] = {40000, 4}\nconst p: float[] = {0.5}\n"
                              "const c: int64[2] = {40000, 1}\nx = Expand(p, c)\n"
                              "b = Bernoulli(x) {seed=7.0}\ny = Expand(b, n)",
                              0.5) > 1000);
}

/* Kept with the chance 1 - ratio and made larger by 1 / (1 - ratio), so that the mean stays; the mask says the same. */
static void test_random__dropout_in_training(void)
{
    static const char *const outputs[] = {
        "y = Dropout(x, r, t) {seed=3}",
        "d, m = Dropout(x, r, t) {seed=3}\ny = Cast(m) {to=1}"};
    for (int i = 0; i < 2; i++) {
        char body[512];
        (void)snprintf(body, sizeof body,
                       "const n: int64[1] = {40000}\nconst o: float[] = {1}\n"
                       "const r: float[] = {0.25}\nconst t: bool[] = {1}\n"
                       "x = Expand(o, n)\n%s",
                       outputs[i]);
        moments m = moments_of(body, 0.5);
        CHECK(m.n == 40000 && m.type == US_F32);
        CHECK(fabs(m.below - 0.25) < 0.011); /* five standard errors */
        CHECK(fabs(m.mean - (i ? 0.75 : 1)) < 0.015);
    }
}

/* Chi-square of four unequal classes over 40000 draws: above 16.3 once in a thousand seeds (3 degrees of freedom). */
static void test_random__multinomial_chi_square(void)
{
    static const double share[] = {0.1, 0.2, 0.3, 0.4};
    double chi = 0, seen = 0;
    for (int class = 0; class < 4; class ++) {
        moments m = moments_of("const x: float[1,4] = {0, 0.6931472, 1.0986123, 1.3862944}\n"
                               "y = Multinomial(x) {sample_size=40000, seed=5.0}",
                               class + 0.5);
        double want = share[class] * 40000, got = m.below * 40000 - seen;
        seen += got;
        chi += (got - want) * (got - want) / want;
    }
    CHECK(chi < 16.3);
}

static const us_test_case cases[] = {US_CASE(test_rows__table),
                                     US_CASE(test_fft__every_length_is_the_sum),
                                     US_CASE(test_random__bernoulli_chi_square),
                                     US_CASE(test_random__distributions),
                                     US_CASE(test_random__kolmogorov_smirnov),
                                     US_CASE(test_random__dropout_in_training),
                                     US_CASE(test_random__multinomial_chi_square)};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
