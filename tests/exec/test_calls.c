/* Calls bound to shapes against the operators' evals, at sizes that are cut for threads and at odd ones; the same bytes with and without threads. */
#include "exec_fixture.h"

typedef struct call_case {
    const char *body;   /* from x and z to y */
    int64_t x[5], z[5]; /* end with -1; z may be nothing */
    double tol;         /* relative to 1 + |y| */
} call_case;

#define X6                                                                                     \
    {                                                                                          \
        6, 7, 33, 65, -1                                                                       \
    }
#define BIG                                                                                    \
    {                                                                                          \
        3, 40, 50, 60, -1                                                                      \
    }
#define NO                                                                                     \
    {                                                                                          \
        -1                                                                                     \
    }

/* a and b: x and z as another type, up to 100. */
#define AS_INTS(type)                                                                          \
    "const h: float[] = {100}\n  m = Mul(x, h)\n  n = Mul(z, h)\n  a = Cast(m) {to=" #type     \
    "}\n  b = Cast(n) {to=" #type "}\n  "

static const call_case table[] = {
    /* operands that are full, numbers, rows, columns, channels, and all of that around each other */
    {"y = Add(x, z)", BIG, BIG, 0},
    {"y = Sub(x, z)", BIG, {1, -1}, 0},
    {"y = Mul(x, z)", BIG, {60, -1}, 0},
    {"y = Div(x, z)", BIG, {50, 1, -1}, 0},
    {"y = Add(x, z)", BIG, {3, 40, 1, 1, -1}, 0},
    {"y = Add(x, z)", BIG, {40, 1, 60, -1}, 0},
    {"y = Add(x, z)", BIG, {3, 1, 50, 1, -1}, 0},
    {"y = Add(x, z)", {50, 1, -1}, {1, 70, -1}, 0},
    {"y = Add(z, x)", X6, {7, 1, 65, -1}, 0},
    {"y = Max(x, z)", X6, {6, 1, 1, 65, -1}, 0},
    {"y = PRelu(x, z)", BIG, {40, 1, 1, -1}, 0},
    {"y = Tanh(x)", BIG, NO, 1e-6},
    {"y = Erf(x)", X6, NO, 1e-6},
    {"y = Elu(x) {alpha=0.7}", X6, NO, 1e-6},
    {"y = Selu(x)", X6, NO, 1e-6},
    {"y = Celu(x) {alpha=0.4}", X6, NO, 1e-6},
    {"y = Gelu(x)", X6, NO, 1e-6},
    {"y = Gelu(x) {approximate=\"tanh\"}", X6, NO, 1e-6},
    {"y = Mish(x)", X6, NO, 1e-6},
    {"y = HardSwish(x)", X6, NO, 1e-6},
    {"y = com.microsoft.Gelu(x)", X6, NO, 1e-6},
    {"y = com.microsoft.BiasGelu(x, z)", BIG, {60, -1}, 1e-6},
    {"y = com.microsoft.FastGelu(x)", X6, NO, 1e-6},
    {"y = com.microsoft.FastGelu(x, z)", BIG, {60, -1}, 1e-6},
    {"y = com.microsoft.QuickGelu(x) {alpha=1.25}", X6, NO, 1e-6},
    {"y = com.microsoft.BiasAdd(x, z, x)", {3, 50, 60, -1}, {60, -1}, 1e-6},
    {"y = HardSigmoid(x)", X6, NO, 1e-6},
    {"y = Shrink(x) {bias=0.1, lambd=0.3}", X6, NO, 1e-6},
    {"y = ThresholdedRelu(x) {alpha=0.2}", X6, NO, 0},
    {"y = Softsign(x)", X6, NO, 1e-6},
    {"y = Mod(x, z) {fmod=1}", X6, X6, 1e-6},
    {"y = Mean(x, z, x)", X6, X6, 1e-6},
    {"c = Greater(x, z)\n  n = Not(c)\n  y = Where(n, x, z)", X6, {65, -1}, 0},
    {"c = IsNaN(x)\n  d = Equal(x, z)\n  e = Or(c, d)\n  y = Cast(e) {to=1}", X6, X6, 0},
    /* rows */
    {"y = Softmax(x) {axis=-1}", BIG, NO, 1e-6},
    {"y = Softmax(x) {axis=1}", BIG, NO, 1e-6},
    {"y = Softmax(x) {axis=0}", BIG, NO, 1e-6},
    {"y = LogSoftmax(x) {axis=2}", X6, NO, 1e-5},
    {"y = LayerNormalization(x, z)", BIG, {60, -1}, 1e-5},
    {"y = LayerNormalization(x, z) {axis=2}", X6, {33, 65, -1}, 1e-5},
    {"const a: int64[1] = {-1}\n  y = ReduceMean(x, a)", BIG, NO, 1e-6},
    {"const a: int64[1] = {0}\n  y = ReduceSum(x, a)", BIG, NO, 1e-6},
    {"const a: int64[2] = {0, 2}\n  y = ReduceSum(x, a) {keepdims=0}", X6, NO, 1e-5},
    {"const a: int64[2] = {1, 3}\n  y = ReduceL2(x, a)", BIG, NO, 1e-5},
    {"const a: int64[3] = {0, 2, 3}\n  y = ReduceMax(x, a)", BIG, NO, 0},
    {"y = ReduceMin(x)", BIG, NO, 0},
    {"const a: int64[1] = {1}\n  y = ReduceL1(x, a)", X6, NO, 1e-6},
    {"const a: int64[1] = {-2}\n  y = ReduceProd(x, a)", X6, NO, 1e-6},
    {"const a: int64[2] = {2, 3}\n  y = ReduceSumSquare(x, a)", X6, NO, 1e-5},
    {"y = InstanceNormalization(x, z, z)", BIG, {40, -1}, 1e-5},
    {"const s: float[3] = {1, 2, -3}\n  const b: float[3] = {0.5, 0, 1}\n"
     "  const v: float[3] = {1, 0.25, 3}\n  y = BatchNormalization(x, s, b, b, v)",
     {2, 3, 37, 65, -1},
     NO,
     1e-6},
    /* moves */
    {"y = Transpose(x) {perm=[0, 2, 3, 1]}", BIG, NO, 0},
    {"y = Transpose(x) {perm=[3, 2, 1, 0]}", BIG, NO, 0},
    {"y = Transpose(x) {perm=[0, 2, 1, 3]}", BIG, NO, 0},
    {"y = Transpose(x) {perm=[2, 0, 3, 1]}", X6, NO, 0},
    {"y = Transpose(x)", {37, 91, -1}, NO, 0},
    {"y = Transpose(x) {perm=[1, 0, 2]}", {5, 2, 3, -1}, NO, 0},
    {"y = Transpose(x)",
     {3, 40007, -1},
     NO,
     0}, /* cut in pieces for threads: columns, strided, whole rows */
    {"y = Transpose(x)", {40007, 3, -1}, NO, 0},
    {"y = Concat(x, z) {axis=0}", {1, 70001, -1}, {1, 70001, -1}, 0},
    {"y = Concat(x, z) {axis=1}", BIG, {3, 2, 50, 60, -1}, 0},
    {"y = Concat(x, z, x) {axis=-1}", X6, {6, 7, 33, 1, -1}, 0},
    {"a, b, c = Split(x) {axis=1, num_outputs=3}\n  d = Concat(c, a) {axis=1}\n  y = Concat(d, "
     "b) {axis=1}",
     X6, NO, 0},
    {"const s: int64[2] = {-1, 3}\n  const e: int64[2] = {-7, 60}\n  const a: int64[2] = {1, "
     "-1}\n"
     "  const t: int64[2] = {-2, 5}\n  y = Slice(x, s, e, a, t)",
     X6, NO, 0},
    {"const s: int64[1] = {2}\n  const e: int64[1] = {1000}\n  y = Slice(x, s, e)", BIG, NO, 0},
    {"const s: int64[4] = {6, 7, 33, 65}\n  y = Expand(x, s)", {7, 1, 65, -1}, NO, 0},
    {"const r: int64[4] = {2, 1, 3, 2}\n  y = Tile(x, r)", X6, NO, 0},
    {"const p: int64[8] = {0, 1, 2, 3, 1, 0, 3, 2}\n  const v: float[] = {7}\n  y = Pad(x, p, "
     "v)",
     BIG, NO, 0},
    {"const p: int64[8] = {0, 0, 2, -3, 0, 0, -1, 2}\n  y = Pad(x, p)", X6, NO, 0},
    {"const p: int64[4] = {3, 9, 2, 1}\n  const a: int64[2] = {-2, -1}\n"
     "  y = Pad(x, p, _, a) {mode=\"reflect\"}",
     X6, NO, 0},
    {"const p: int64[8] = {0, 1, 2, 0, 0, 2, 1, 0}\n  y = Pad(x, p) {mode=\"edge\"}", X6, NO,
     0},
    {"const p: int64[4] = {40, 5, 0, 100}\n  y = Pad(x, p) {mode=\"wrap\"}",
     {37, 91, -1},
     NO,
     0},
    {"y = DepthToSpace(x) {blocksize=2}", {2, 12, 17, 19, -1}, NO, 0},
    {"y = DepthToSpace(x) {blocksize=2, mode=\"CRD\"}", {2, 12, 17, 19, -1}, NO, 0},
    {"const i: int64[3] = {-1, 0, 5}\n  y = Gather(x, i) {axis=3}", X6, NO, 0},
    {"const i: int64[2,2] = {2, 0, -3, 1}\n  y = Gather(x, i)", BIG, NO, 0},
    /* integers, truth values, doubles */
    {AS_INTS(7) "c = Add(a, b)\n  y = Cast(c) {to=1}", X6, {7, 1, 65, -1}, 0},
    {AS_INTS(7) "c = Sub(b, a)\n  y = Cast(c) {to=1}", BIG, {40, 1, 60, -1}, 0},
    {AS_INTS(6) "c = Mul(a, b)\n  y = Cast(c) {to=1}", X6, {1, -1}, 0},
    {AS_INTS(6) "c = Div(a, b)\n  y = Cast(c) {to=1}", X6, X6, 0},
    {AS_INTS(7) "c = Mod(a, b)\n  y = Cast(c) {to=1}", X6, {6, 1, 33, 1, -1}, 0},
    {AS_INTS(3) "c = Max(a, b)\n  d = Cast(c) {to=6}\n  y = Cast(d) {to=1}", X6, X6, 0},
    {AS_INTS(7) "c = Equal(a, b)\n  d = Less(a, b)\n  e = GreaterOrEqual(a, b)\n  "
                "f = Xor(c, d)\n  g = Not(f)\n  h2 = And(g, e)\n  y = Cast(h2) {to=1}",
     X6,
     {65, -1},
     0},
    {AS_INTS(6) "c = LessOrEqual(a, b)\n  d = Where(c, a, b)\n  e = Neg(d)\n  f = Abs(e)\n  "
                "g = Sign(e)\n  i = Add(f, g)\n  y = Cast(i) {to=1}",
     X6,
     {33, 1, -1},
     0},
    {AS_INTS(2) "c = BitwiseAnd(a, b)\n  d = BitwiseOr(c, a)\n  e = BitwiseXor(d, b)\n  "
                "f = BitwiseNot(e)\n  y = Cast(f) {to=1}",
     X6,
     {7, 33, 65, -1},
     0},
    {AS_INTS(
         11) "c = Pow(a, a)\n  d = Equal(c, c)\n  e = Cast(d) {to=7}\n  f = CastLike(e, a)\n  "
             "g = Add(f, b)\n  y = Cast(g) {to=1}",
     X6, X6, 0},
    {AS_INTS(10) "c = Cast(a) {to=11}\n  d = Cast(c) {to=16}\n  e = Cast(d) {to=1}\n  "
                 "f = Cast(e) {to=16}\n  g = Cast(f) {to=7}\n  i = Cast(g) {to=9}\n  "
                 "j = Cast(i) {to=6}\n  y = Cast(j) {to=1}",
     X6, X6, 0},
    {AS_INTS(7) "const d: int64[] = {5}\n  const v: float[2] = {0.25, 3}\n  c = Mod(a, d)\n  "
                "y = OneHot(c, d, v) {axis=1}",
     {6, 7, 3, -1},
     {1, -1},
     0},
    {"y = GlobalAveragePool(x)", X6, NO, 1e-6},
    {"y = GlobalMaxPool(x)", BIG, NO, 0},
    {"const i: int64[2,3] = {0, 2, -1, 1, 2, 0}\n  y = ScatterElements(x, i, z)",
     {4, 5, -1},
     {2, 3, -1},
     0},
    {"const i: int64[2,3] = {0, 2, -1, 1, 2, 2}\n  y = ScatterElements(x, i, z) {axis=1, "
     "reduction=\"add\"}",
     {4, 5, -1},
     {2, 3, -1},
     0},
    {"const i: int64[2,1,3] = {0, 2, -1, 1, 1, 1}\n  y = ScatterElements(x, i, z) {axis=1, "
     "reduction=\"max\"}",
     {4, 3, 5, -1},
     {2, 1, 3, -1},
     0},
    /* transforms */
    {"const s: int64[] = {5}\n  const n: int64[] = {16}\n  y = STFT(x, s, _, n)",
     {3, 200, -1},
     NO,
     1e-6},
    {"const s: int64[] = {64}\n  y = STFT(x, s, z) {onesided=0}",
     {2, 1000, 1, -1},
     {128, -1},
     3e-6},
    {"const s: int64[] = {256}\n  y = STFT(x, s, z)", {1, 30000, -1}, {1024, -1}, 1e-5},
    {"const s: int64[] = {1}\n  y = STFT(x, s, z)", {1, 4, 1, -1}, {4, -1}, 1e-6},
    {"y = DFT(x) {onesided=1}", {5, 64, 1, -1}, NO, 3e-6},
    {"const a: int64[] = {1}\n  y = DFT(x, _, a)", {40, 256, 1, -1}, NO, 1e-5},
    /* columns of ai.onnx.ml */
    {"y = ai.onnx.ml.Scaler(x) {offset=[0.5], scale=[2.0, 3.0, -1.0]}", {7, 3, -1}, NO, 0},
    {"y = ai.onnx.ml.Scaler(x) {offset=[0.5, 1.0, 2.0, 0.25, 1.5]}", {2, 3, 5, -1}, NO, 0},
    {"y = ai.onnx.ml.Normalizer(x) {norm=\"MAX\"}", {5, 7, -1}, NO, 1e-6},
    {"y = ai.onnx.ml.Normalizer(x) {norm=\"L1\"}", {33, 20, -1}, NO, 1e-6},
    {"y = ai.onnx.ml.Normalizer(x) {norm=\"L2\"}", {9, -1}, NO, 1e-6},
    {"y = ai.onnx.ml.Binarizer(x) {threshold=0.125}", {5, 7, -1}, NO, 0},
    {"y = ai.onnx.ml.Imputer(x) {imputed_value_floats=[0.5, 1.0, 2.0], "
     "replaced_value_float=0.0}",
     {4, 3, -1},
     NO,
     0},
    {"const i: int64[3] = {4, 0, 4}\n  y = ai.onnx.ml.ArrayFeatureExtractor(x, i)",
     {6, 5, -1},
     NO,
     0},
    {"const i: int64[2] = {1, 0}\n  y = ai.onnx.ml.ArrayFeatureExtractor(x, i)",
     {5, -1},
     NO,
     0},
    {"y = ai.onnx.ml.FeatureVectorizer(x, z) {inputdimensions=[2, 6]}",
     {4, 3, -1},
     {4, 5, -1},
     0},
    {"y = ai.onnx.ml.LinearRegressor(x) {coefficients=[1.0, -2.0, 0.5, 0.25, 3.0, 1.0], "
     "intercepts=[0.5, -1.0], targets=2, post_transform=\"LOGISTIC\"}",
     {35, 3, -1},
     NO,
     1e-6},
    {"y = ai.onnx.ml.LinearRegressor(x) {coefficients=[1.0, -2.0, 0.5]}", {3, -1}, NO, 1e-6},
    {"l, y = ai.onnx.ml.LinearClassifier(x) {coefficients=[1.0, -2.0, 0.5, 0.25, 3.0, 1.0, "
     "0.125, 4.0, 5.0], intercepts=[0.5, -1.0, 0.0], classlabels_ints=[3, 5, 8], "
     "post_transform=\"SOFTMAX\"}",
     {17, 3, -1},
     NO,
     1e-6},
    {"l, y = ai.onnx.ml.LinearClassifier(x) {coefficients=[1.0, -2.0], intercepts=[0.5], "
     "classlabels_ints=[3, 5], post_transform=\"LOGISTIC\"}",
     {17, 2, -1},
     NO,
     1e-6},
    {"l, s = ai.onnx.ml.LinearClassifier(x) {coefficients=[1.0, -2.0, 3.0, 4.0], "
     "classlabels_ints=[3, 5]}\n  y = Cast(l) {to=1}",
     {40, 2, -1},
     NO,
     0},
};

static int rank_of(const int64_t *d)
{
    int n = 0;
    while (d[n] >= 0)
        n++;
    return n;
}

/* "float[N0,N1]": sizes are known when the binding is made only. */
static void write_input(char *text, size_t size, const char *name, const int64_t *d)
{
    char dims[64] = "";
    for (int i = 0; i < rank_of(d); i++)
        (void)snprintf(dims + strlen(dims), sizeof dims - strlen(dims), "%s%s%d", i ? "," : "",
                       name, i);
    (void)snprintf(text, size, "%s: float[%s]", name, dims);
}

static void open_case(fixture *f, const call_case *t, const us_session_opts *o)
{
    char text[2048], x[96], z[96];
    bool two = rank_of(t->z) > 0;
    write_input(x, sizeof x, "x", t->x);
    write_input(z, sizeof z, "z", t->z);
    (void)snprintf(text, sizeof text,
                   "model ir=10 opset=20,ai.onnx.ml:3,com.microsoft:1\ngraph main(%s%s%s) -> "
                   "(y) {\n  %s\n}\n",
                   x, two ? ", " : "", two ? z : "", t->body);
    fixture_begin(f);
    us_plan_opts po = {.no_passes = true}; /* each operator by itself */
    fixture_open(f, text, &po, o);
}

static us_value run_case(fixture *f, const call_case *t, uint64_t seed)
{
    us_value in[2] = {random_f32(f, t->x, seed)}, y;
    if (rank_of(t->z) > 0) in[1] = random_f32(f, t->z, seed + 1);
    CHECK_OK(&f->c, us_session_run(&f->c, f->s, in, &y));
    return y;
}

static void check_bound(fixture *f, const call_case *t)
{
    const us_profile_row *rows;
    size_t n = us_session_profile(f->s, &rows);
    for (size_t i = 0; i < n; i++)
        if (rows[i].n_calls > 0 &&
            (!rows[i].kernel || (strncmp(rows[i].kernel, "us_", 3) != 0 &&
                                 strncmp(rows[i].kernel, "rows ", 5) != 0)))
            US_TEST_FAIL(US_SV_FMT " is not bound in: %s", US_SV_ARG(rows[i].op), t->body);
}

static void check_case(const call_case *t)
{
    fixture plain, bound, shared;
    open_case(&plain, t, &(us_session_opts){.plain = true});
    open_case(&bound, t, &(us_session_opts){.profile = true});
    open_case(&shared, t, NULL);
    us_pool *pool;
    CHECK_OK(&shared.c, us_pool_new(&shared.c, 3, &pool));
    shared.c.pool = pool;
    us_value want = run_case(&plain, t, 1), got = run_case(&bound, t, 1),
             threads = run_case(&shared, t, 1);
    check_bound(&bound, t);
    CHECK_EQ_I64(us_tensor_count(&got.t), us_tensor_count(&want.t));
    CHECK(memcmp(got.t.data, threads.t.data, us_tensor_bytes(&got.t)) == 0);
    for (int64_t i = 0; i < us_tensor_count(&want.t); i++) {
        double w = (double)f32_at(&want)[i], g = (double)f32_at(&got)[i];
        if (!(fabs(w - g) <= t->tol * (1 + fabs(w))) && !(isnan(w) && isnan(g)))
            US_TEST_FAIL("%s: element %lld is %g, expected %g", t->body, (long long)i, g, w);
    }
    shared.c.pool = NULL;
    us_pool_free(pool);
    fixture_end(&plain);
    fixture_end(&bound);
    fixture_end(&shared);
}

static void test_calls__give_what_evals_give(void)
{
    for (size_t i = 0; i < US_LEN(table); i++)
        check_case(&table[i]);
}

/* Contents are not known when the call is made. */
static void test_gather__index_out_of_range(void)
{
    fixture f;
    fixture_begin(&f);
    fixture_open(&f,
                 "model ir=10 opset=20\ngraph main(x: float[5,2], i: int64[3]) -> (y) {\n"
                 "  y = Gather(x, i)\n}\n",
                 NULL, NULL);
    us_value y, in[2] = {random_f32(&f, DIMS(5, 2), 1), I64S(&f, DIMS(3), 0, -5, 4)};
    CHECK_OK(&f.c, us_session_run(&f.c, f.s, in, &y));
    CHECK_EQ_I64(us_tensor_count(&y.t), 6);
    in[1] = I64S(&f, DIMS(3), 0, 5, 1);
    CHECK(us_session_run(&f.c, f.s, in, &y) == US_ARG);
    CHECK(strstr(f.c.diag.text, "index 5 of a dimension of 5"));
    fixture_end(&f);
}

static const us_test_case cases[] = {
    US_CASE(test_calls__give_what_evals_give),
    US_CASE(test_gather__index_out_of_range),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
