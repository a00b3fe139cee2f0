/* qdq: which groups become integer operators, which stay, and that both say the same within one step of the output. */
#include "pass_fixture.h"

#define ACT "  const s: float[] = {0.05}\n  const z: uint8[] = {128}\n"
#define OUT "  const t: float[] = {0.25}\n  const o: uint8[] = {100}\n"
/* x quantised, dequantised: the left side of a group. */
#define IN "  xi = QuantizeLinear(x, s, z)\n  xf = DequantizeLinear(xi, s, z)\n"
/* y quantised, dequantised: the right side. */
#define END "  yi = QuantizeLinear(yf, t, o)\n  y = DequantizeLinear(yi, t, o)\n}\n"

static size_t count_op(const us_model *m, const char *op)
{
    size_t n = 0;
    for (size_t i = 0; i < m->main->order.n; i++)
        n += us_sv_is(m->main->nodes.at[m->main->order.at[i]].op_type, op);
    return n;
}

/* After the pass the model has n_nodes nodes, one of them `op` (NULL: nothing changed), and outputs within `tol`. */
static void check_qdq(const char *text, const char *op, size_t n_nodes, const int64_t *dims,
                      double tol)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, text);
    CHECK_OK(&c, us_pass_run(&c, m, "upgrade,fold-params"));
    size_t before = m->main->order.n;
    us_pass_watch w = {0};
    CHECK_OK(&c, us_pass_run_watched(&c, m, "qdq", &w));
    CHECK_EQ_I64(w.changed, op != NULL);
    CHECK_OK(&c, us_pass_run(&c, m, "dce"));
    CHECK_EQ_U64(m->main->order.n, op ? n_nodes : before);
    if (op) CHECK_EQ_U64(count_op(m, op), 1);
    us_model_free(m);
    us_ctx_deinit(&c);
    check_same_outputs(text, "fold-params,qdq,dce", dims, tol, n_nodes);
}

#define CONV_W                                                                                 \
    "  const w: int8[2,2,2,2] = {1, -2, 3, 4, -5, 6, 7, -8, 9, 10, -11, 12, 13, 14, -15, "     \
    "127}\n"                                                                                   \
    "  const sw: float[2] = {0.02, 0.03}\n  const zw: int8[2] = {0, 0}\n"                      \
    "  wf = DequantizeLinear(w, sw, zw) {axis=0}\n"
#define CONV_B                                                                                 \
    "  const b: int32[2] = {300, -200}\n  const sb: float[2] = {0.001, 0.0015}\n"              \
    "  const zb: int32[2] = {0, 0}\n  bf = DequantizeLinear(b, sb, zb) {axis=0}\n"
#define CONV_HEAD HEAD "graph main(x: float[1,2,5,5]) -> (y) {\n"

static void test_qdq__conv_with_scales_per_channel_and_bias(void)
{
    check_qdq(CONV_HEAD ACT OUT CONV_W CONV_B IN
              "  yf = Conv(xf, wf, bf) {pads=[1, 1, 0, 0], strides=[2, 1]}\n" END,
              "QLinearConv", 3, DIMS(1, 2, 5, 5), 0.2501);
}

static void test_qdq__float_bias_is_rounded(void)
{
    check_qdq(CONV_HEAD ACT OUT CONV_W "  const bf: float[2] = {0.3, -0.3}\n" IN
                                       "  yf = Conv(xf, wf, bf)\n" END,
              "QLinearConv", 3, DIMS(1, 2, 5, 5), 0.2501);
}

static void test_qdq__bias_of_another_scale_stays(void)
{
    check_qdq(CONV_HEAD ACT OUT CONV_W
              "  const b: int32[2] = {300, -200}\n  const sb: float[] = {0.5}\n"
              "  bf = DequantizeLinear(b, sb)\n" IN "  yf = Conv(xf, wf, bf)\n" END,
              NULL, 7, DIMS(1, 2, 5, 5), 0);
}

static void test_qdq__signed_values_want_signed_weights(void)
{
    check_qdq(CONV_HEAD OUT
              "  const s: float[] = {0.05}\n  const z: int8[] = {3}\n"
              "  const w: uint8[1,2,1,1] = {1, 250}\n  const sw: float[] = {0.02}\n"
              "  const zw: uint8[] = {128}\n  wf = DequantizeLinear(w, sw, zw)\n" IN
              "  yf = Conv(xf, wf)\n" END,
              NULL, 6, DIMS(1, 2, 5, 5), 0);
}

/* The output's zero point is the smallest number, so rounding cuts off what Relu does. */
static void test_qdq__relu_goes_when_it_cuts_nothing_more(void)
{
    check_qdq(CONV_HEAD ACT CONV_W "  const t: float[] = {0.25}\n  const o: uint8[] = {0}\n" IN
                                   "  c = Conv(xf, wf)\n  yf = Relu(c)\n" END,
              "QLinearConv", 3, DIMS(1, 2, 5, 5), 0.2501);
}

static void test_qdq__relu_that_cuts_stays(void)
{
    check_qdq(CONV_HEAD ACT OUT CONV_W IN "  c = Conv(xf, wf)\n  yf = Relu(c)\n" END, NULL, 7,
              DIMS(1, 2, 5, 5), 0);
}

static void test_qdq__clip_goes_when_it_holds_the_range(void)
{
    check_qdq(CONV_HEAD ACT CONV_W
              "  const t: float[] = {0.023529412}\n  const o: uint8[] = {0}\n"
              "  const lo: float[] = {0}\n  const hi: float[] = {6}\n" IN
              "  c = Conv(xf, wf)\n  yf = Clip(c, lo, hi)\n" END,
              "QLinearConv", 3, DIMS(1, 2, 5, 5), 0.0236);
}

static void test_qdq__result_read_twice_stays(void)
{
    check_qdq(CONV_HEAD ACT OUT CONV_W IN
              "  c = Conv(xf, wf)\n  yi = QuantizeLinear(c, t, o)\n"
              "  a = DequantizeLinear(yi, t, o)\n  y = Add(a, c)\n}\n",
              NULL, 7, DIMS(1, 2, 5, 5), 0);
}

static void test_qdq__scale_from_an_input_stays(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(
        &c, HEAD "graph main(x: uint8[2], s: float[]) -> (y) {\n  const z: uint8[] = {1}\n"
                 "  a = DequantizeLinear(x, s, z)\n  b = Add(a, a)\n"
                 "  y = QuantizeLinear(b, s, z)\n}\n");
    us_pass_watch w = {0};
    CHECK_OK(&c, us_pass_run_watched(&c, m, "fold-params,qdq", &w));
    CHECK(!w.changed);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_qdq__dequantised_once_read_by_both(void)
{
    check_qdq(HEAD "graph main(x: float[2,3]) -> (y) {\n" ACT OUT IN "  yf = Add(xf, xf)\n" END,
              "QLinearAdd", 3, DIMS(2, 3), 0.2501);
}

static void test_qdq__mul(void)
{
    check_qdq(HEAD "graph main(x: float[2,3]) -> (y) {\n" ACT OUT IN "  yf = Mul(xf, xf)\n" END,
              "QLinearMul", 3, DIMS(2, 3), 0.2501);
}

#define GEMM_W                                                                                 \
    "  const w: int8[3,2] = {1, -2, 3, 4, -128, 6}\n  const sw: float[] = {0.02}\n"            \
    "  wf = DequantizeLinear(w, sw)\n"                                                         \
    "  const b: int32[3] = {300, -200, 5}\n  const sb: float[] = {0.001}\n"                    \
    "  bf = DequantizeLinear(b, sb)\n"

static void test_qdq__gemm_and_matmul(void)
{
    check_qdq(HEAD "graph main(x: float[4,2]) -> (y) {\n" ACT OUT GEMM_W IN
                   "  yf = Gemm(xf, wf, bf) {transB=1}\n" END,
              "QGemm", 3, DIMS(4, 2), 0.2501);
    check_qdq(HEAD "graph main(x: float[4,2]) -> (y) {\n" ACT OUT
                   "  const w: int8[2,3] = {1, -2, 3, 4, -128, 6}\n"
                   "  const sw: float[3] = {0.02, 0.1, 0.01}\n"
                   "  wf = DequantizeLinear(w, sw) {axis=1}\n" IN "  yf = MatMul(xf, wf)\n" END,
              "QLinearMatMul", 3, DIMS(4, 2), 0.2501);
}

static void test_qdq__gemm_whose_bias_is_scaled_stays(void)
{
    check_qdq(HEAD "graph main(x: float[4,2]) -> (y) {\n" ACT OUT GEMM_W IN
                   "  yf = Gemm(xf, wf, bf) {transB=1, beta=0.5}\n" END,
              NULL, 7, DIMS(4, 2), 0);
}

static void test_qdq__averages_and_functions(void)
{
    static const struct {
        const char *line, *op;
    } all[] = {
        {"  yf = GlobalAveragePool(xf)\n", "QLinearGlobalAveragePool"},
        {"  yf = AveragePool(xf) {kernel_shape=[2, 3]}\n", "QLinearAveragePool"},
        {"  yf = Sigmoid(xf)\n", "QLinearSigmoid"},
        {"  yf = LeakyRelu(xf) {alpha=0.3}\n", "QLinearLeakyRelu"},
        {"  yf = Softmax(xf) {axis=1}\n", "QLinearSoftmax"},
    };
    for (size_t i = 0; i < US_LEN(all); i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "%s", CONV_HEAD ACT OUT IN);
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", all[i].line,
                       END);
        check_qdq(text, all[i].op, 3, DIMS(1, 2, 5, 5), 0.2501);
    }
}

/* The same scale before and after: the very same values. */
#define SAME "  yi = QuantizeLinear(yf, s, z)\n  y = DequantizeLinear(yi, s, z)\n}\n"
static void test_qdq__what_moves_values_runs_on_integers(void)
{
    check_qdq(HEAD "graph main(x: float[2,3]) -> (y) {\n" ACT IN
                   "  yf = Transpose(xf) {perm=[1, 0]}\n" SAME,
              "Transpose", 3, DIMS(2, 3), 0);
    check_qdq(CONV_HEAD ACT IN "  yf = MaxPool(xf) {kernel_shape=[2, 2]}\n" SAME, "MaxPool", 3,
              DIMS(1, 2, 5, 5), 0);
    check_qdq(HEAD "graph main(x: float[2,3]) -> (y) {\n" ACT IN
                   "  yf = Concat(xf, xf) {axis=0}\n" SAME,
              "Concat", 3, DIMS(2, 3), 0);
}

static void test_qdq__concat_of_other_scales(void)
{
    check_qdq(HEAD "graph main(x: float[2,3]) -> (y) {\n" ACT OUT IN
                   "  yf = Concat(xf, xf) {axis=0}\n" END,
              "QLinearConcat", 3, DIMS(2, 3), 0.2501);
}

static void test_qdq__another_scale_stays(void)
{
    check_qdq(HEAD "graph main(x: float[2,3]) -> (y) {\n" ACT OUT IN
                   "  yf = Transpose(xf) {perm=[1, 0]}\n" END,
              NULL, 5, DIMS(2, 3), 0);
}

/* As PyTorch writes it: copies of scales, casts to the same type between the pair. */
static void test_qdq__looks_through_copies(void)
{
    check_qdq(HEAD
              "graph main(x: float[2,3]) -> (y) {\n" ACT OUT
              "  s2 = Identity(s)\n  xi = QuantizeLinear(x, s2, z)\n  xc = Cast(xi) {to=2}\n"
              "  xf = DequantizeLinear(xc, s, z)\n  yf = Add(xf, xf)\n" END,
              "QLinearAdd", 3, DIMS(2, 3), 0.2501);
}

/* A plan does it by itself; the rewriter of files does not. */
static void test_qdq__part_of_a_plan(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m =
        model_of(&c, CONV_HEAD ACT OUT CONV_W CONV_B IN "  yf = Conv(xf, wf, bf)\n" END);
    CHECK_OK(&c, us_pass_run(&c, m, "default"));
    CHECK_EQ_U64(count_op(m, "QLinearConv"), 1);
    CHECK_EQ_U64(m->main->order.n, 3);
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* The note of the only QuantizeLinear behind the operator (the last one) has this word; NULL: it has no note. */
static void check_note(const char *text, const char *word)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, text);
    const char *note = NULL;
    CHECK_OK(&c, us_pass_run(&c, m, "upgrade,fold-params,qdq"));
    for (size_t i = 0; i < m->main->order.n; i++) {
        const us_node *n = &m->main->nodes.at[m->main->order.at[i]];
        if (us_sv_is(n->op_type, "QuantizeLinear")) note = n->note;
    }
    if (word)
        CHECK(note && strstr(note, word));
    else
        CHECK(!note);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_qdq__what_stays_says_why(void)
{
    check_note(CONV_HEAD ACT OUT CONV_W
               "  const b: int32[2] = {300, -200}\n  const sb: float[2] = {0.1, 0.1}\n"
               "  const zb: int32[2] = {0, 0}\n  bf = DequantizeLinear(b, sb, zb) {axis=0}\n" IN
               "  yf = Conv(xf, wf, bf)\n" END,
               "bias");
    check_note(CONV_HEAD ACT OUT IN "  yf = Tanh(xf)\n" END, "no form");
    check_note(CONV_HEAD ACT OUT IN "  yf = Transpose(xf) {perm=[0, 1, 3, 2]}\n" END, "scale");
    check_note(CONV_HEAD ACT OUT "  yf = Tanh(x)\n" END, NULL);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_qdq__what_stays_says_why),
        US_CASE(test_qdq__conv_with_scales_per_channel_and_bias),
        US_CASE(test_qdq__float_bias_is_rounded),
        US_CASE(test_qdq__bias_of_another_scale_stays),
        US_CASE(test_qdq__signed_values_want_signed_weights),
        US_CASE(test_qdq__relu_goes_when_it_cuts_nothing_more),
        US_CASE(test_qdq__relu_that_cuts_stays),
        US_CASE(test_qdq__clip_goes_when_it_holds_the_range),
        US_CASE(test_qdq__result_read_twice_stays),
        US_CASE(test_qdq__scale_from_an_input_stays),
        US_CASE(test_qdq__dequantised_once_read_by_both),
        US_CASE(test_qdq__mul),
        US_CASE(test_qdq__gemm_and_matmul),
        US_CASE(test_qdq__gemm_whose_bias_is_scaled_stays),
        US_CASE(test_qdq__averages_and_functions),
        US_CASE(test_qdq__what_moves_values_runs_on_integers),
        US_CASE(test_qdq__concat_of_other_scales),
        US_CASE(test_qdq__another_scale_stays),
        US_CASE(test_qdq__looks_through_copies),
        US_CASE(test_qdq__part_of_a_plan),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
