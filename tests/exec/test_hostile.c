/* Models that ask for too much: memory, time, depth. Each gets an error, within few bytes; that the cases end at all is the test of
 * time (the work budget is spent long before the time-out of this program). */
#include "exec_fixture.h"

#define CAP       ((size_t)8 << 20) /* of planned and of dynamic memory */
#define MAX_STEPS 20000
#define MAX_WORK  1e7
#define PEAK                                                                                   \
    ((size_t)96 << 20) /* everything: model, passes (constant folding may try), plan, run */

typedef struct hostile {
    const char *name;
    const char *
        body; /* of a graph with output y, without inputs; each is run as it is, and with constants as inputs */
    us_err err; /* US_OK: any refusal is as good */
} hostile;

/* clang-format off */
#define S12 "const s: int64[2] = {1000000, 1000000}\n"
#define ONE "const one: float[1] = {1}\n"
#define K40 "const s: int64[1] = {1000000000000}\n"
static const hostile memory_cases[] = {
    {"constant of shape", S12 "y = ConstantOfShape(s)", US_LIMIT},
    {"constant of shape, product overflows", "const s: int64[3] = {4611686018427387904, 4611686018427387904, 16}\ny = ConstantOfShape(s)", US_OK},
    {"constant of shape, empty but long", "const s: int64[3] = {1000000000, 0, 1000000000}\ny = ConstantOfShape(s)", US_OK},
    {"expand", ONE S12 "y = Expand(one, s)", US_LIMIT},
    {"tile", ONE K40 "y = Tile(one, s)", US_LIMIT},
    {"tile overflows", "const x: float[4] = {1, 2, 3, 4}\nconst s: int64[1] = {4611686018427387905}\ny = Tile(x, s)", US_OK},
    {"pad", ONE "const p: int64[2] = {1000000000000, 0}\ny = Pad(one, p)", US_OK},
    {"pad reflects", "const x: float[2] = {1, 2}\nconst p: int64[2] = {1000000000000, 0}\ny = Pad(x, p) {mode=\"wrap\"}", US_OK},
    {"range of integers", "const a: int64[] = {0}\nconst b: int64[] = {1000000000000}\nconst d: int64[] = {1}\ny = Range(a, b, d)", US_LIMIT},
    {"range of a tiny step", "const a: float[] = {0}\nconst b: float[] = {1}\nconst d: float[] = {1e-30}\ny = Range(a, b, d)", US_OK},
    {"one hot", "const x: int64[2] = {0, 1}\nconst d: int64[] = {1000000000000}\nconst v: float[2] = {0, 1}\ny = OneHot(x, d, v)", US_OK},
    {"one hot, depth is no number", "const x: int64[2] = {0, 1}\nconst d: float[] = {nan}\nconst v: float[2] = {0, 1}\ny = OneHot(x, d, v)", US_OK},
    {"resize by scale", "const x: float[1,1,1,1] = {1}\nconst c: float[4] = {1, 1, 1000000, 1000000}\ny = Resize(x, _, c)", US_LIMIT},
    {"resize to sizes", "const x: float[1,1,1,1] = {1}\nconst z: int64[4] = {1, 1, 1000000, 1000000}\ny = Resize(x, _, _, z)", US_LIMIT},
    {"eye like", S12 "x = ConstantOfShape(s)\ny = EyeLike(x)", US_LIMIT},
    {"random normal", "y = RandomNormal() {shape=[1000000, 1000000]}", US_LIMIT},
    {"random uniform like", S12 "x = ConstantOfShape(s)\ny = RandomUniformLike(x)", US_LIMIT},
    {"multinomial", "const x: float[1,2] = {0.5, 0.5}\ny = Multinomial(x) {sample_size=1000000000000}", US_OK},
    {"outer sum", "const s: int64[2] = {1000000, 1}\nconst t: int64[2] = {1, 1000000}\na = ConstantOfShape(s)\nb = ConstantOfShape(t)\ny = Add(a, b)", US_LIMIT},
    {"outer product", "const s: int64[2] = {1000000, 1}\nconst t: int64[2] = {1, 1000000}\na = ConstantOfShape(s)\nb = ConstantOfShape(t)\ny = MatMul(a, b)", US_LIMIT},
    {"einsum of vectors", K40 "const t: int64[1] = {100000}\na = ConstantOfShape(t)\ny = Einsum(a, a, a) {equation=\"i,j,k->ijk\"}", US_OK},
    {"einsum of vectors, in pairs", "const t: int64[1] = {100000}\na = ConstantOfShape(t)\ny = Einsum(a, a, a) {equation=\"i,j,k->ik\"}", US_OK},
    {"concat of one value many times over", "const t: int64[1] = {1000000}\na = ConstantOfShape(t)\nb = Concat(a, a, a, a, a, a, a, a) {axis=0}\nc = Concat(b, b, b, b, b, b, b, b) {axis=0}\ny = Concat(c, c, c, c, c, c, c, c) {axis=0}", US_LIMIT},
    {"gather blows up", "const t: int64[1] = {1000000}\na = ConstantOfShape(t)\nconst i: int64[1,1] = {0}\nconst e: int64[2] = {100, 1000}\nconst u: int64[2] = {1, 1000000}\nj = Expand(i, e)\nc = Reshape(a, u)\ny = Gather(c, j)", US_OK},
    {"depth to space", "const s: int64[4] = {1, 1000000, 1000, 1000}\na = ConstantOfShape(s)\ny = DepthToSpace(a) {blocksize=1000}", US_LIMIT},
    {"transposed convolution with a wide stride", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst w: float[1,1,1,1] = {1}\ny = ConvTranspose(x, w) {strides=[1000000, 1000000]}", US_LIMIT},
    {"convolution with pads", "const x: float[1,1,1,1] = {1}\nconst w: float[1,1,1,1] = {1}\ny = Conv(x, w) {pads=[1000000, 1000000, 1000000, 1000000]}", US_LIMIT},
    {"im2col in little memory", "const x: float[1,1,1] = {1}\nconst t: int64[3] = {1, 1, 1000000}\nw = ConstantOfShape(t)\ny = Conv(x, w) {pads=[1000000, 1000000]}", US_OK},
    {"hann window", "const n: int64[] = {1000000000000}\ny = HannWindow(n)", US_OK},
    {"mel weights", "const a: int64[] = {1000000}\nconst b: int64[] = {1000000}\nconst r: int64[] = {16000}\nconst l: float[] = {0}\nconst h: float[] = {8000}\ny = MelWeightMatrix(a, b, r, l, h)", US_OK},
    {"dft of many points", "const x: float[1,2,1] = {1, 2}\nconst n: int64[] = {1000000000000}\nconst a: int64[] = {1}\ny = DFT(x, n, a)", US_OK},
    {"max unpool", "const x: float[1,1,1,1] = {1}\nconst i: int64[1,1,1,1] = {0}\nconst s: int64[4] = {1, 1, 1000000, 1000000}\ny = MaxUnpool(x, i, s) {kernel_shape=[1, 1]}", US_OK},
    {"affine grid", "const t: float[1,2,3] = {1, 0, 0, 0, 1, 0}\nconst s: int64[4] = {1, 1, 1000000, 1000000}\ny = AffineGrid(t, s)", US_LIMIT},
    {"col2im", "const x: float[1,1,1] = {1}\nconst i: int64[2] = {1000000, 1000000}\nconst b: int64[2] = {1, 1}\ny = Col2Im(x, i, b)", US_OK},
    {"center crop pad", ONE K40 "y = CenterCropPad(one, s)", US_OK},
    {"roi align", "const x: float[1,1,1,1] = {1}\nconst r: float[1,4] = {0, 0, 1, 1}\nconst b: int64[1] = {0}\ny = RoiAlign(x, r, b) {output_height=1000000, output_width=1000000}", US_LIMIT},
    {"scan outputs of a loop", "const n: int64[] = {1000000000}\nconst k: int64[1] = {1000}\nx = ConstantOfShape(k)\ny = Loop(n, _) {body=graph b (i: int64[], c: bool[]) -> (c2, v) {\n c2 = Identity(c)\n v = Identity(^x)\n}}", US_OK},
};

static const hostile work_cases[] = {
    {"product over a long inner dimension", "const s: int64[2] = {1, 1000000}\nconst t: int64[2] = {1000000, 1}\na = ConstantOfShape(s)\nb = ConstantOfShape(t)\nm = MatMul(a, b)\nconst u: int64[2] = {1000, 1000}\nf = Expand(m, u)\ny = MatMul(f, f)", US_LIMIT},
    {"integer product", "const s: int64[2] = {1000, 1000}\nconst z: int64[1] = {3}\na = ConstantOfShape(s) {value=tensor int64[1] {3}}\ny = MatMul(a, a)", US_LIMIT},
    {"pool with a window past all bounds", "const x: float[1,1,1,1] = {1}\ny = MaxPool(x) {kernel_shape=[1000000, 1000000], pads=[999999, 999999, 999999, 999999]}", US_OK},
    {"average pool of a wide window", "const s: int64[4] = {1, 1, 500, 500}\nx = ConstantOfShape(s)\ny = AveragePool(x) {kernel_shape=[499, 499], auto_pad=\"SAME_UPPER\"}", US_LIMIT},
    {"convolution of a large kernel", "const s: int64[4] = {1, 1, 500, 500}\nx = ConstantOfShape(s)\ny = Conv(x, x) {auto_pad=\"SAME_UPPER\"}", US_LIMIT},
    {"determinant", "const s: int64[2] = {1000, 1000}\nx = ConstantOfShape(s) {value=tensor float[1] {1}}\ny = Det(x)", US_LIMIT},
    {"non-maximum suppression of equals", "const b: int64[3] = {1, 20000, 4}\nconst s: int64[3] = {1, 1, 20000}\nx = ConstantOfShape(b)\nv = ConstantOfShape(s)\nconst m: int64[] = {20000}\ny = NonMaxSuppression(x, v, m)", US_LIMIT},
    {"attention over a long sequence", "const s: int64[4] = {1, 1, 20000, 8}\nx = ConstantOfShape(s)\ny = Attention(x, x, x)", US_LIMIT},
    {"recurrent net over a long sequence", "const s: int64[3] = {10000, 1, 1}\nconst w: int64[3] = {1, 64, 1}\nconst r: int64[3] = {1, 64, 64}\nx = ConstantOfShape(s)\na = ConstantOfShape(w)\nb = ConstantOfShape(r)\n_, y = RNN(x, a, b) {hidden_size=64}", US_LIMIT},
    {"resize with a wide filter", "const s: int64[2] = {1, 1000000}\nx = ConstantOfShape(s)\nconst z: int64[2] = {1, 1000}\nconst c: float[2] = {1000, 0.001}\nq = Resize(x, _, _, z) {mode=\"linear\", antialias=1}\ny = Resize(q, _, c) {mode=\"linear\", antialias=1}", US_OK},
    {"sampling of regions", "const x: float[1,1,1,1] = {1}\nconst r: float[1,4] = {0, 0, 1, 1}\nconst b: int64[1] = {0}\ny = RoiAlign(x, r, b) {output_height=100, output_width=100, sampling_ratio=4000}", US_LIMIT},
    {"empty, but a loop over its other dimensions", "const s: int64[3] = {1000000, 0, 1000000}\nconst x: float[1000000,0,1000000] = {}\nconst a: int64[] = {1}\ny = CumSum(x, a)", US_LIMIT},
    {"normalisation over many channels", "const s: int64[4] = {1, 100000, 1, 1}\nx = ConstantOfShape(s)\ny = LRN(x) {size=99999}", US_LIMIT},
};

static const hostile loop_cases[] = {
    {"endless", "const go: bool[] = {1}\nconst x: float[1] = {0}\ny = Loop(_, go, x) {body=graph b (i: int64[], c: bool[], v: float[1]) -> (c2, w) {\n c2 = Identity(c)\n w = Identity(v)\n}}", US_LIMIT},
    {"endless and empty", "const go: bool[] = {1}\nconst x: float[1] = {0}\ny = Loop(_, go, x) {body=graph b (i: int64[], c: bool[], v: float[1]) -> (c, v) {\n}}", US_LIMIT},
    {"a million times a million", "const n: int64[] = {1000000}\nconst x: float[1] = {0}\ny = Loop(n, _, x) {body=graph b (i: int64[], c: bool[], v: float[1]) -> (c2, w) {\n c2 = Identity(c)\n w = Loop(^n, _, v) {body=graph d (j: int64[], e: bool[], t: float[1]) -> (e2, u) {\n e2 = Identity(e)\n u = Identity(t)\n}}\n}}", US_LIMIT},
    {"a value that doubles", "const n: int64[] = {1000}\nconst x: float[1] = {0}\ny = Loop(n, _, x) {body=graph b (i: int64[], c: bool[], v: float) -> (c2, w) {\n c2 = Identity(c)\n w = Concat(v, v) {axis=0}\n}}", US_LIMIT},
    {"a text that doubles", "const n: int64[] = {1000}\nconst x: string[1] = {\"ab\"}\ny = Loop(n, _, x) {body=graph b (i: int64[], c: bool[], v: string[1]) -> (c2, w) {\n c2 = Identity(c)\n w = StringConcat(v, v)\n}}", US_LIMIT},
    {"a sequence that grows", "const n: int64[] = {1000000000}\nconst k: int64[1] = {1000}\nx = ConstantOfShape(k)\ns = SequenceEmpty()\nq = Loop(n, _, s) {body=graph b (i: int64[], c: bool[], v: seq(float)) -> (c2, w) {\n c2 = Identity(c)\n w = SequenceInsert(v, ^x)\n}}\ny = SequenceLength(q)", US_LIMIT},
    {"a scan over a long sequence", "const s: int64[1] = {1000000}\nx = ConstantOfShape(s)\nconst z: float[] = {0}\ny, o = Scan(z, x) {body=graph b (a: float[], e: float[]) -> (r, t) {\n r = Add(a, e)\n t = Identity(r)\n}, num_scan_inputs=1}", US_LIMIT},
    {"a map over a sequence in a map", "const s: int64[1] = {100000}\nx = ConstantOfShape(s)\nconst l: int64[] = {1}\nq = SplitToSequence(x, l)\no = SequenceMap(q, q) {body=graph b (a: float[N], e: float[N]) -> (r) {\n r = Add(a, e)\n}}\ny = SequenceLength(o)", US_LIMIT},
};

/* Element types that do not fit each other: kernels trust what the schema says. */
static const hostile type_cases[] = {
    {"bias of half the width", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst w: float[1,1,1,1] = {1}\nconst b: float16[1] = {1}\ny = Conv(x, w, b)", US_ARG},
    {"mean of texts", "const x: string[1] = {\"a\"}\ny = Mean(x)", US_ARG},
    {"axis that is no number", "const x: float[2] = {1, 2}\nconst a: float[] = {nan}\ny = CumSum(x, a)", US_ARG},
    {"a result that must be and is left out", "const x: float[2] = {1, 2}\n_ = Relu(x)\ny = Neg(x)", US_FORMAT},
    {"condition of text", "const x: string[1] = {\"a\"}\ny = Where(x, x, x)", US_ARG},
};
/* clang-format on */

static us_err attempt(fixture *f, us_model *m, const us_plan_opts *po)
{
    us_session_opts so = {.dynamic_cap_bytes = CAP,
                          .static_cap_bytes = CAP,
                          .max_steps = MAX_STEPS,
                          .max_work = MAX_WORK};
    us_value out[4];
    us_err e = us_plan_new(&f->c, m, po, &f->plan);
    if (e != US_OK) {
        us_model_free(m);
        return e;
    }
    US_TRY(us_session_new(&f->c, f->plan, &so, &f->s));
    US_TRY(us_session_run(&f->c, f->s, NULL, out));
    return US_OK;
}

/* As a plan wants it (constants folded as far as it goes), and with nothing but what running needs. */
static bool refused(const hostile *t, bool no_passes)
{
    fixture f;
    char text[4096];
    us_plan_opts po = {.no_passes = no_passes};
    fixture_begin(&f);
    (void)snprintf(text, sizeof text, "model ir=10 opset=23\ngraph main() -> (y) {\n%s\n}\n",
                   t->body);
    us_err e = attempt(&f, model_of(&f.c, text), &po);
    bool ok = e != US_OK && e != US_BUG && e != US_NOMEM && (t->err == US_OK || e == t->err) &&
              f.count.peak_bytes < PEAK;
    if (!ok)
        printf("# %s (%s): %s: %s; peak %llu bytes\n", t->name, no_passes ? "plain" : "passes",
               us_err_name(e), e == US_OK ? "" : f.c.diag.text,
               (unsigned long long)f.count.peak_bytes);
    fixture_end(&f);
    return ok;
}

static bool all_refused(const hostile *t, size_t n)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        ok = refused(&t[i], false) && ok;
        ok = refused(&t[i], true) && ok;
    }
    return ok;
}

static void test_memory__is_bounded(void)
{
    CHECK(all_refused(memory_cases, US_LEN(memory_cases)));
}
static void test_work__is_bounded(void)
{
    CHECK(all_refused(work_cases, US_LEN(work_cases)));
}
static void test_loops__are_bounded(void)
{
    CHECK(all_refused(loop_cases, US_LEN(loop_cases)));
}

static void test_types__are_checked(void)
{
    CHECK(all_refused(type_cases, US_LEN(type_cases)));
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_memory__is_bounded),
        US_CASE(test_work__is_bounded),
        US_CASE(test_loops__are_bounded),
        US_CASE(test_types__are_checked),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
