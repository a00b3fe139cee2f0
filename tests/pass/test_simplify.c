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
                  "  const t: int64[2] = {4, 6}\n"
                  "  y: float[4,6] = Reshape(x, t)\n"
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

/* Rewrites: the model's nodes, and how many are left. Each is proven equal too. */
static void test_simplify__rewrites(void)
{
    static const struct {
        const char *what, *inputs, *body;
        size_t left;
    } rows[] = {
        {"two transposes make one", "x: float[N,2,3]",
         "  a = Transpose(x) {perm=[1, 2, 0]}\n  y = Transpose(a) {perm=[0, 2, 1]}\n", 1},
        {"two transposes make none", "x: float[N,2,3]",
         "  a = Transpose(x) {perm=[1, 2, 0]}\n  b = Transpose(a) {perm=[2, 0, 1]}\n  y = "
         "Abs(b)\n",
         1},
        {"a transpose others read stays", "x: float[2,3]",
         "  a = Transpose(x)\n  b = Transpose(a)\n  y = Concat(b, x) {axis=0}\n  z = Abs(a)\n",
         3},
        {"views that lead back", "x: float[N,4]",
         "  const ax: int64[1] = {1}\n  a = Unsqueeze(x, ax)\n  b = Squeeze(a, ax)\n  y = "
         "Abs(b)\n",
         1},
        {"a reshape reads the first view", "x: float[N,2,2]",
         "  const s: int64[2] = {-1, 2}\n  a = Flatten(x)\n  y = Reshape(a, s)\n", 1},
        {"a reshape with 0 does not", "x: float[N,2,2]",
         "  const s: int64[3] = {0, 1, 2}\n  a = Flatten(x) {axis=2}\n  y = Reshape(a, s)\n",
         2},
        {"a cast through a wider type", "x: float16[N]",
         "  a = Cast(x) {to=1}\n  y = Cast(a) {to=11}\n", 1},
        {"a cast through a narrower type stays", "x: float[N]",
         "  a = Cast(x) {to=10}\n  y = Cast(a) {to=11}\n", 2},
        {"a cast through integers stays", "x: float[N]",
         "  a = Cast(x) {to=7}\n  y = Cast(a) {to=1}\n", 2},
        {"minus minus", "x: float[N]", "  a = Neg(x)\n  b = Neg(a)\n  y = Exp(b)\n", 1},
        {"relu relu", "x: float[N]", "  a = Relu(x)\n  b = Relu(a)\n  y = Exp(b)\n", 2},
        {"plus nothing", "x: float[N,3]",
         "  const z: float[3] = {0, 0, 0}\n  a = Add(z, x)\n  y = Exp(a)\n", 1},
        {"plus a zero that broadcasts stays", "x: float[3]",
         "  const z: float[2,1] = {0, 0}\n  a = Add(x, z)\n  y = Exp(a)\n", 2},
        {"times one, divided by one", "x: float[N]",
         "  const k: float[] = {1}\n  a = Mul(x, k)\n  b = Div(a, k)\n  y = Exp(b)\n", 1},
        {"one divided by x stays", "x: float[N]",
         "  const k: float[] = {1}\n  a = Div(k, x)\n  y = Exp(a)\n", 2},
        {"backwards is not all", "x: float[4]",
         "  const s: int64[1] = {3}\n  const e: int64[1] = {-9}\n  const ax: int64[1] = {0}\n"
         "  const st: int64[1] = {-1}\n  a = Slice(x, s, e, ax, st)\n  y = Exp(a)\n",
         2},
        {"concats join", "x: float[N,2]",
         "  a = Concat(x, x) {axis=1}\n  y = Concat(a, x) {axis=1}\n", 1},
        {"concats along other axes stay", "x: float[2,2]",
         "  a = Concat(x, x) {axis=1}\n  b = Concat(x, x) {axis=1}\n  c = Exp(b)\n  y = "
         "Concat(a, c) "
         "{axis=0}\n",
         3},
        {"split and concat", "x: float[N,4]",
         "  a, b = Split(x) {axis=1}\n  c = Concat(a, b) {axis=1}\n  y = Exp(c)\n", 1},
        {"split and concat the other way round stay", "x: float[N,4]",
         "  a, b = Split(x) {axis=1}\n  y = Concat(b, a) {axis=1}\n", 2},
        {"a slice takes one of a concat", "x: float[N,2]",
         "  const s: int64[1] = {2}\n  const e: int64[1] = {4}\n  const ax: int64[1] = {1}\n"
         "  a = Exp(x)\n  b = Concat(x, a) {axis=1}\n  c = Slice(b, s, e, ax)\n  y = Neg(c)\n",
         2},
        {"pad before conv", "x: float[1,1,4,4]",
         "  const p: int64[8] = {0, 0, 1, 0, 0, 0, 0, 2}\n  const w: float[1,1,2,2] = {1, 2, "
         "3, 4}\n"
         "  a = Pad(x, p)\n  y = Conv(a, w)\n",
         1},
        {"pad of channels stays", "x: float[1,1,4,4]",
         "  const p: int64[8] = {0, 1, 0, 0, 0, 0, 0, 0}\n  const w: float[1,2,1,1] = {1, 2}\n"
         "  a = Pad(x, p)\n  y = Conv(a, w)\n",
         2},
        {"a slice of a slice over another axis", "x: float[N,6]",
         "  const z: int64[1] = {0}\n  const s: int64[1] = {1}\n  const e: int64[1] = {100}\n"
         "  const two: int64[1] = {2}\n  a = Slice(x, s, e, s, two)\n"
         "  y = Slice(a, z, e, z, two)\n",
         1},
        {"a slice of a slice of the same axis", "x: float[N,6]",
         "  const i: int64[1] = {1}\n  const e: int64[1] = {5}\n"
         "  const far: int64[1] = {9223372036854775807}\n"
         "  a = Slice(x, i, e, i)\n  y = Slice(a, i, far, i)\n",
         1},
        {"a slice of a slice from the end stays", "x: float[N,6]",
         "  const i: int64[1] = {1}\n  const e: int64[1] = {-1}\n"
         "  a = Slice(x, i, e, i)\n  y = Slice(a, i, e, i)\n",
         2},
        {"every second of every second stays", "x: float[N,6]",
         "  const i: int64[1] = {1}\n  const e: int64[1] = {9}\n  const two: int64[1] = {2}\n"
         "  a = Slice(x, i, e, i, two)\n  y = Slice(a, i, e, i, two)\n",
         2},
        {"times, divided by", "x: float[N,3]",
         "  const k: float[3] = {0, 3, -5}\n  const l: float[] = {7}\n"
         "  a = Mul(k, x)\n  b = Div(a, l)\n  y = Mul(b, l)\n",
         1},
        {"divided by, divided by", "x: float[N,3]",
         "  const k: float[3] = {2, 3, -5}\n  const l: float[] = {7}\n"
         "  a = Div(x, k)\n  y = Div(a, l)\n",
         1},
        {"times what leaves the range stays", "x: float[N]",
         "  const k: float[] = {1e-30}\n  a = Mul(x, k)\n  y = Mul(a, k)\n", 2},
        {"times a row, times a column stays", "x: float[2,2]",
         "  const k: float[1,2] = {2, 3}\n  const l: float[2,1] = {4, 5}\n"
         "  a = Mul(x, k)\n  y = Mul(a, l)\n",
         2},
        {"plus, minus", "x: float[N,3]",
         "  const k: float[3] = {2, 3, 5}\n  const l: float[] = {-7}\n"
         "  a = Sub(x, k)\n  b = Add(l, a)\n  y = Sub(b, k)\n",
         1},
        {"plus, minus without cancelling", "x: float[N,3]",
         "  const k: float[3] = {2, 3, 5}\n  const l: float[] = {7}\n"
         "  a = Sub(x, k)\n  y = Sub(a, l)\n",
         1},
        {"plus and minus a large number stay", "x: float[N]",
         "  const k: float[] = {1e6}\n  a = Add(x, k)\n  y = Sub(a, k)\n", 2},
        {"a number minus x stays", "x: float[N]",
         "  const k: float[] = {3}\n  a = Sub(k, x)\n  y = Sub(a, k)\n", 2},
        {"conv, times, plus", "x: float[N,1,3,3]",
         "  const w: float[2,1,2,2] = {1, 2, 3, 4, 5, 6, 7, 8}\n"
         "  const k: float[2,1,1] = {2, -3}\n  const b: float[1,2,1,1] = {4, 5}\n"
         "  const d: float[] = {3}\n  c = Conv(x, w)\n  m = Mul(k, c)\n  a = Add(b, m)\n"
         "  y = Div(a, d)\n",
         1},
        {"conv plus a picture stays", "x: float[N,1,3,3]",
         "  const w: float[1,1,2,2] = {1, 2, 3, 4}\n  const b: float[2,2] = {1, 2, 3, 4}\n"
         "  c = Conv(x, w)\n  y = Add(c, b)\n",
         2},
        {"conv plus what makes it larger stays", "x: float[1,1,3,3]",
         "  const w: float[1,1,2,2] = {1, 2, 3, 4}\n  const b: float[1,3,1,1] = {1, 2, 3}\n"
         "  c = Conv(x, w)\n  y = Add(c, b)\n",
         2},
        {"a number minus conv stays", "x: float[N,1,3,3]",
         "  const w: float[1,1,2,2] = {1, 2, 3, 4}\n  const b: float[] = {1}\n"
         "  c = Conv(x, w)\n  y = Sub(b, c)\n",
         2},
        {"convs of shared weights stay", "x: float[N,1,3,3]",
         "  const w: float[1,1,2,2] = {1, 2, 3, 4}\n  const k: float[] = {2}\n"
         "  c = Conv(x, w)\n  a = Mul(c, k)\n  d = Conv(c, w)\n  y = Flatten(a)\n  z = "
         "Neg(d)\n",
         5},
        {"matmul of any rank, times", "x: float[N,2,2]",
         "  const w: float[2,3] = {1, 2, 3, 4, 5, 6}\n  const k: float[3] = {1, 2, 3}\n"
         "  p = MatMul(x, w)\n  y = Mul(p, k)\n",
         1},
        {"matmul of rank 3 and its bias stay", "x: float[N,2,2]",
         "  const w: float[2,3] = {1, 2, 3, 4, 5, 6}\n  const k: float[3] = {1, 2, 3}\n"
         "  p = MatMul(x, w)\n  y = Add(p, k)\n",
         2},
        {"matmul of rank 2 and its bias", "x: float[N,2]",
         "  const w: float[2,3] = {1, 2, 3, 4, 5, 6}\n  const k: float[3] = {1, 2, 3}\n"
         "  p = MatMul(x, w)\n  y = Add(k, p)\n",
         1},
        {"gemm reads what was transposed", "x: float[2,N]",
         "  const w: float[2,3] = {1, 2, 3, 4, 5, 6}\n  const k: float[3] = {1, 2, 3}\n"
         "  a = Transpose(x)\n  y = Gemm(a, w, k)\n",
         1},
        {"a dimension as a list", "x: float[N,3], z: float[1,3]",
         "  const i: int64[] = {0}\n  const ax: int64[1] = {0}\n  const k: int64[1] = {3}\n"
         "  s = Shape(x)\n  d = Gather(s, i)\n  u = Unsqueeze(d, ax)\n"
         "  t = Concat(u, k) {axis=0}\n  y = Expand(z, t)\n",
         4},
        {"equal constants", "x: float[N,3]",
         "  const p: int64[1] = {1}\n  const q: int64[1] = {1}\n  a = Unsqueeze(x, p)\n"
         "  b = Unsqueeze(x, q)\n  y = Concat(a, b) {axis=0}\n",
         2},
        {"a constant condition", "x: float[N]",
         "  const t: bool[1] = {1}\n"
         "  y = If(t) {then_branch=graph t() -> (a) {\n    a = Neg(^x)\n  }, else_branch=graph "
         "e() -> (b) "
         "{\n    b = Exp(^x)\n  }}\n",
         1},
    };
    for (size_t i = 0; i < US_LEN(rows); i++) {
        us_ctx c;
        char text[2048];
        us_ctx_init(&c);
        bool two = strstr(rows[i].body, "  z = ") != NULL;
        snprintf(text, sizeof text, "model ir=8 opset=13\ngraph main(%s) -> (y%s) {\n%s}\n",
                 rows[i].inputs, two ? ", z" : "", rows[i].body);
        us_model *m = model_of(&c, text), *s = simplified(&c, m);
        if (s->main->order.n != rows[i].left)
            US_TEST_FAIL("%s: %zu nodes are left, expected %zu", rows[i].what, s->main->order.n,
                         rows[i].left);
        us_model_free(s);
        us_model_free(m);
        us_ctx_deinit(&c);
    }
}

/* A declared shape of something that depends on an input's contents is no fact. */
static void test_simplify__claims_are_not_facts(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, "model ir=8 opset=13\n"
                               "graph main(x: float[N], s: int64[2]) -> (y) {\n"
                               "  a = Add(s, s)\n"
                               "  y: float[2,3] = Reshape(x, a)\n"
                               "}\n"),
             *s;
    us_simplify_report r;
    CHECK_OK(&c, us_simplify(&c, m, NULL, &s, &r));
    CHECK_EQ_U64(s->main->order.n, 2);
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

/* sin(1000 w x): a change of w in its last place is seen in the fourth digit, and is rounding; one in w's sixth digit is not. */
static void test_agree__rounding_in_a_sensitive_model_is_no_difference(void)
{
    static const char form[] =
        "model ir=8 opset=17\n"
        "graph main(x: float[N,8]) -> (y) {\n"
        "  const w: float[8,1] = {%s, 0.3, 0.7, 0.9, 0.6, 0.4, 0.8, 0.5}\n"
        "  const k: float[] = {1000}\n"
        "  p = MatMul(x, w)\n  s = Mul(p, k)\n  y = Sin(s)\n}\n";
    char text[3][512];
    static const char *const first[3] = {"0.9", "0.9000002", "0.90001"};
    us_ctx c;
    us_agreement r;
    us_model *m[3];
    us_ctx_init(&c);
    for (size_t i = 0; i < 3; i++) {
        snprintf(text[i], sizeof text[i], form, first[i]);
        m[i] = model_of(&c, text[i]);
    }
    CHECK_OK(&c, us_models_agree(&c, m[0], m[1], NULL, &r));
    if (!r.same) US_TEST_FAIL("%s", r.what);
    CHECK(r.n_sensitive > 0 && r.worst > r.tolerance);
    CHECK_OK(&c, us_models_agree(&c, m[0], m[2], NULL, &r));
    CHECK(!r.same);
    for (size_t i = 0; i < 3; i++)
        us_model_free(m[i]);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_simplify__dynamic_axes_and_opset_stay),
        US_CASE(test_simplify__shape_of_a_known_shape_is_a_constant),
        US_CASE(test_simplify__folding_does_not_blow_up_the_file),
        US_CASE(test_simplify__quantised_weights_stay_so),
        US_CASE(test_simplify__rewrites),
        US_CASE(test_simplify__claims_are_not_facts),
        US_CASE(test_agree__finds_a_difference),
        US_CASE(test_agree__rounding_in_a_sensitive_model_is_no_difference),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
