/* The text form: round trips, and messages with line and column. */
#include "us_test.h"
#include "us_torture.h"

#include "ir/text.h"

static us_err round_trip(us_ctx *c, void *arg)
{
    const char *text = arg;
    us_model *m = NULL;
    us_buf b;
    us_buf_init(&b, c, 1 << 20);
    us_err e = us_model_parse(c, us_sv_of(text), &m);
    if (e == US_OK) us_model_print(c, m, SIZE_MAX, &b);
    if (e == US_OK) e = us_buf_check(&b);
    if (e == US_OK && strcmp(b.p, text) != 0)
        US_TEST_FAIL("printed\n%s\nexpected\n%s", b.p, text);
    us_buf_deinit(&b);
    us_model_free(m);
    return e;
}

static char everything[] =
    "model ir=7 opset=17,ai.onnx.ml:3 version=4 producer=\"p\" domain=\"d\"\n"
    "prop \"key\" = \"a \\\"b\\\" \\x0a\"\n"
    "function my.domain \"\"  opset=17 [alpha, beta] {beta=1.5} Leaky(a) -> (b) {\n"
    "  b = LeakyRelu(a) {alpha=$1 alpha}\n"
    "}\n"
    "graph main(x: float[N,4], &w, \"odd name\": string[]) -> (y, \"_\") {\n"
    "  const w: float[4,1] = {0.5, 1, -2, 1e-08}\n"
    "  var b: float[1] = {0}\n"
    "  const half: float16[2] = {hex\"003c0040\"}\n"
    "  const nan: float[1] = {hex\"0000c07f\"}\n"
    "  const none: int64[0] = {}\n"
    "  const big: uint64[1] = {18446744073709551615}\n"
    "  const words: string[2] = {\"a\", \"b\\\\c\"}\n"
    "  sparse sp: sparse(float) = hex\"0a00\"\n"
    "  h: float[N,1] = Gemm(x, w, b) {alpha=1.0, transB=0}  # \"first \\\"layer\\\"\"\n"
    "  \"_\", _ = Thing@3(h, _)\n"
    "  y = my.domain:\"odd.op\"@3(h) {a=[1.0, inf], b=[1, -2], c=[\"x\"], d=ints[], e=tensor "
    "int64[2] {1, 2}, "
    "t=type opt(float), s=\"str\", g=[graph one() -> (^h) {\n"
    "  }, graph () -> (q) {\n"
    "    q = Neg(^h)\n"
    "  }], r=raw 11 hex\"ff\"}\n"
    "}\n";

static void test_text__round_trip(void)
{
    us_ctx c;
    us_ctx_init(&c);
    CHECK_OK(&c, round_trip(&c, everything));
    us_ctx_deinit(&c);
}

static void test_text__nomem(void)
{
    us_torture("text form", round_trip, everything);
}

static void test_text__cut_anywhere(void)
{
    us_ctx c;
    us_ctx_init(&c);
    for (size_t n = 0; n < sizeof everything - 3; n++) {
        us_model *m = NULL;
        us_err e = us_model_parse(&c, (us_sv){everything, n}, &m);
        if (e != US_FORMAT || m) US_TEST_FAIL("cut at %zu gave %s", n, us_test_err_name(e));
        if (!strstr(c.diag.text, "line ")) US_TEST_FAIL("no line in \"%s\"", c.diag.text);
    }
    us_ctx_deinit(&c);
}

static void test_text__messages(void)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"modl", "line 1, column 1"},
        {"model ir=8 opset=17\ngraph g() -> (y) {\n  y = Neg(x)\n}\n",
         "line 3, column 12: no value"},
        {"model ir=8 opset=17\ngraph g(x) -> (y) {\n}\n",
         "output of the graph is never defined"},
        {"model ir=8 opset=17\ngraph g(x) -> (x) {\n  x = Neg(x)\n}\n", "defined twice"},
        {"model ir=8 opset=17\ngraph g(x) -> (x) {\n const w: float[2] = {1}\n}\n", "line 3"},
        {"model ir=8 opset=17\ngraph g(x) -> (x) {\n const w: float[9999999999] = {1}\n}\n",
         "fewer elements"},
        {"model ir=8 opset=17\ngraph g(x) -> (x) {\n const w: float[2] = {...; "
         "crc=12345678}\n}\n",
         "cut when printed"},
        {"model ir=8 opset=17\ngraph g(x) -> (x) {\n}\nmore", "left over"},
        {"model ir=8 opset=17\ngraph g(x) -> (x) {\n y = Neg(^x)\n}\n", "^ goes before"},
    };
    us_ctx c;
    us_ctx_init(&c);
    for (size_t i = 0; i < US_LEN(rows); i++) {
        us_model *m = NULL;
        CHECK_ERR(us_model_parse(&c, us_sv_of(rows[i].text), &m), US_FORMAT);
        if (!strstr(c.diag.text, rows[i].words))
            US_TEST_FAIL("\"%s\" does not say \"%s\"", c.diag.text, rows[i].words);
    }
    us_ctx_deinit(&c);
}

static void test_text__long_constants_are_cut(void)
{
    us_ctx c;
    us_model *m;
    us_buf b;
    us_ctx_init(&c);
    us_buf_init(&b, &c, 1 << 16);
    CHECK_OK(&c, us_model_parse(&c,
                                us_sv_of("model ir=8 opset=17\ngraph g() -> (w) {\n"
                                         "  const w: float[3] = {1, 2, 3}\n}\n"),
                                &m));
    us_model_print(&c, m, 2, &b);
    CHECK(strstr(b.p, "{...; crc=") != NULL);
    us_model_free(m);
    us_buf_deinit(&b);
    us_ctx_deinit(&c);
}

static us_err printed_as(us_ctx *c, const us_model *m, const char *text)
{
    us_buf b;
    us_buf_init(&b, c, 1 << 20);
    us_model_print(c, m, SIZE_MAX, &b);
    us_err e = us_buf_check(&b);
    if (e == US_OK && strcmp(b.p, text) != 0)
        US_TEST_FAIL("printed\n%s\nexpected\n%s", b.p, text);
    us_buf_deinit(&b);
    return e;
}

/* The copy prints the same, and what is done to it leaves the original alone. */
static us_err clone_and_change(us_ctx *c, void *arg)
{
    us_model *m = NULL, *copy = NULL;
    us_err e = us_model_parse(c, us_sv_of(arg), &m);
    if (e == US_OK) e = us_model_clone(c, m, &copy);
    if (e == US_OK) e = printed_as(c, copy, arg);
    for (size_t i = 0; e == US_OK && i < copy->graphs.n; i++) {
        us_graph *g = copy->graphs.at[i];
        e = us_graph_verify(c, g);
        for (us_vid v = 0; e == US_OK && v < g->vals.n; v++)
            e = us_graph_rename(c, g, v, us_graph_fresh_name(c, g, "changed"));
        while (g->order.n > 0 && g->nodes.n > 0) {
            us_node *n = &g->nodes.at[g->order.at[0]];
            while (n->n_attrs > 0)
                us_node_del_attr(n, n->attrs[0].name.p);
            us_graph_remove_node(g, g->order.at[0]);
        }
    }
    us_model_free(copy);
    if (e == US_OK) e = printed_as(c, m, arg);
    us_model_free(m);
    return e;
}

static void test_clone__same_and_apart(void)
{
    us_torture("clone", clone_and_change, everything);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_text__round_trip),
        US_CASE(test_text__nomem),
        US_CASE(test_text__cut_anywhere),
        US_CASE(test_text__messages),
        US_CASE(test_text__long_constants_are_cut),
        US_CASE(test_clone__same_and_apart),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
