/* test_extract.c - parts of graphs with sub-graphs, shared nodes, functions' imports and captured values. */
#include "us_test.h"

#include "base/rng.h"
#include "exec/session.h"
#include "inspect/extract.h"
#include "ir/text.h"

static us_ctx ctx;

static us_model *parse(const char *text)
{
    us_model *m;
    us_ctx_init(&ctx);
    CHECK_OK(&ctx, us_model_parse(&ctx, us_sv_of(text), &m));
    return m;
}

/* Names apart by blanks. */
static size_t split(const char *z, us_sv *out)
{
    size_t n = 0;
    while (*z) {
        size_t len = strcspn(z, " ");
        if (len) out[n++] = (us_sv){z, len};
        z += len + (z[len] == ' ');
    }
    return n;
}

static us_err cut(const us_model *m, const char *from, const char *to, bool add, us_model **x,
                  us_extract_report *r)
{
    us_sv f[8], t[8];
    us_extract_opts o = {.from = f, .to = t, .add_inputs = add};
    o.n_from = split(from, f);
    o.n_to = split(to, t);
    return us_extract(&ctx, m, &o, x, r);
}

static const char *inputs_of(const us_model *x)
{
    static char text[512];
    text[0] = 0;
    for (size_t i = 0; i < x->main->inputs.n; i++) {
        const us_val *v = &x->main->vals.at[x->main->inputs.at[i]];
        us_buf b;
        us_buf_init(&b, &ctx, 400);
        us_type_print(&x->syms, &v->type, &b);
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s%.*s:%s",
                       i ? " " : "", (int)v->name.n, v->name.p, b.p);
        us_buf_deinit(&b);
    }
    return text;
}

static const char net[] =
    "model ir=8 opset=17,ai.onnx.ml:3,com.example:1\n"
    "graph main(x: float[N,4], z: float[N,4]) -> (y, s) {\n"
    "  const w: float[4,4] = {1, 0, 2, 0, 0, 1, 0, -2, 3, 0, 1, 0, 0, 1, 0, 1}\n"
    "  const unused: float[1] = {7}\n"
    "  a = MatMul(x, w)\n"
    "  p, q = Split(a) {axis=1}\n"
    "  r = Relu(p)\n"
    "  t = Add(r, q)\n"
    "  y = Tanh(t)\n"
    "  s = ai.onnx.ml.Scaler(z) {offset=[1.0], scale=[2.0]}\n"
    "}\n";

static void test_extract__between(void)
{
    us_model *m = parse(net), *x;
    us_extract_report r;
    CHECK_OK(&ctx, cut(m, "a", "t", false, &x, &r));
    CHECK_EQ_U64(r.nodes_before, 6);
    CHECK_EQ_U64(r.nodes_after, 3);
    CHECK_EQ_STR(inputs_of(x), "a:float[N,4]");
    CHECK_EQ_U64(x->opsets.n, 1); /* ai.onnx alone */
    CHECK_EQ_U64(us_graph_find(x->main, US_SV("w")) == US_NIL ||
                     !x->main->vals.at[us_graph_find(x->main, US_SV("w"))].data,
                 1);
    us_model_free(x);
    us_model_free(m);
}

/* One output of a node is cut at, the other is needed: the node stays, its cut output under another name. */
static void test_extract__node_on_both_sides(void)
{
    us_model *m = parse(net), *x;
    us_extract_report r;
    CHECK_OK(&ctx, cut(m, "p x", "t", false, &x, &r));
    CHECK_EQ_STR(inputs_of(x), "p:float[N,2] x:float[N,4]");
    CHECK_EQ_U64(r.nodes_after, 4);
    us_model_free(x);
    us_model_free(m);
}

static void test_extract__missing(void)
{
    us_model *m = parse(net), *x;
    us_extract_report r;
    CHECK_EQ_I64(cut(m, "r", "t", false, &x, &r), US_ARG);
    CHECK(strstr(ctx.diag.text, "'x'") != NULL);
    CHECK(strstr(ctx.diag.text, "--add-inputs") != NULL);
    CHECK_OK(&ctx, cut(m, "r", "t", true, &x, &r));
    CHECK_EQ_STR(inputs_of(x), "r:float[N,2] x:float[N,4]");
    CHECK_EQ_U64(r.n_added, 1);
    us_model_free(x);
    us_model_free(m);
}

static void test_extract__no_from(void)
{
    us_model *m = parse(net), *x;
    us_extract_report r;
    CHECK_OK(&ctx, cut(m, "", "s", false, &x, &r));
    CHECK_EQ_STR(inputs_of(x), "z:float[N,4]");
    CHECK_EQ_U64(x->opsets.n, 2);
    us_model_free(x);
    us_model_free(m);
}

static void test_extract__constant_as_input(void)
{
    us_model *m = parse(net), *x;
    us_extract_report r;
    CHECK_OK(&ctx, cut(m, "x w", "a", false, &x, &r));
    CHECK_EQ_STR(inputs_of(x), "x:float[N,4] w:float[4,4]");
    us_model_free(x);
    us_model_free(m);
}

static void test_extract__names(void)
{
    us_model *m = parse(net), *x;
    us_extract_report r;
    CHECK_EQ_I64(cut(m, "x", "unusde", false, &x, &r), US_ARG);
    CHECK(strstr(ctx.diag.text, "is it 'unused'?") != NULL);
    CHECK_EQ_I64(cut(m, "x x", "a", false, &x, &r), US_ARG);
    CHECK_EQ_I64(cut(m, "x", "", false, &x, &r), US_ARG);
    us_model_free(m);
}

static const char branches[] = "model ir=8 opset=17\n"
                               "graph main(c: bool[], x: float[3]) -> (y) {\n"
                               "  const k: float[3] = {1, 2, 3}\n"
                               "  h = Neg(x)\n"
                               "  m = Mul(h, k)\n"
                               "  i = If(c) {then_branch=graph t() -> (u) {\n"
                               "    u = Add(^m, ^h)\n"
                               "  }, else_branch=graph e() -> (v) {\n"
                               "    v = Sub(^m, ^k)\n"
                               "  }}\n"
                               "  y = Abs(i)\n"
                               "}\n";

static void test_extract__captures(void)
{
    us_model *m = parse(branches), *x;
    us_extract_report r;
    CHECK_EQ_I64(cut(m, "c m", "i", false, &x, &r), US_ARG); /* h is captured, needs x */
    CHECK(strstr(ctx.diag.text, "'x'") != NULL);
    CHECK_OK(&ctx, cut(m, "c m h", "i", false, &x, &r));
    CHECK_EQ_U64(r.nodes_after, 1);
    CHECK_EQ_STR(inputs_of(x), "c:bool[] m:float[3] h:float[3]");
    us_model_free(x);
    CHECK_EQ_I64(cut(m, "c m h", "u", false, &x, &r), US_ARG);
    CHECK(strstr(ctx.diag.text, "sub-graph") != NULL);
    us_model_free(m);
}

/* The whole with its middle values as outputs, and the part fed with them. */
static void test_extract__equal_values(void)
{
    us_model *m = parse(net), *x;
    us_extract_report r;
    us_plan *whole, *part;
    us_session *s, *sp;
    us_value in[2], out[5], got[1];
    int64_t dims[2] = {5, 4};
    us_arena *a;
    CHECK_OK(&ctx, cut(m, "p q", "y", false, &x, &r));
    us_vid extra[2] = {us_graph_find(m->main, US_SV("p")), us_graph_find(m->main, US_SV("q"))};
    us_plan_opts o = {.n_extra = 2, .extra = extra};
    us_model *copy;
    CHECK_OK(&ctx, us_arena_new(&ctx, "test", 1 << 20, &a));
    CHECK_OK(&ctx, us_model_clone(&ctx, m, &copy));
    CHECK_OK(&ctx, us_plan_new(&ctx, copy, &o, &whole));
    CHECK_OK(&ctx, us_session_new(&ctx, whole, NULL, &s));
    us_rng g = us_rng_new(1, "test", 0);
    for (int i = 0; i < 2; i++) {
        us_tensor t;
        CHECK_OK(&ctx, us_tensor_new(&ctx, a, US_F32, 2, dims, &t));
        for (int j = 0; j < 20; j++)
            ((float *)t.data)[j] = us_rng_f32(&g) - 0.5F;
        in[i] = us_value_of(&t);
    }
    CHECK_OK(&ctx, us_session_run(&ctx, s, in, out));
    CHECK_OK(&ctx, us_plan_new(&ctx, x, NULL, &part));
    CHECK_OK(&ctx, us_session_new(&ctx, part, NULL, &sp));
    CHECK_OK(&ctx, us_session_run(&ctx, sp, &out[2], got));
    CHECK_OK(&ctx, us_value_compare(&ctx, &got[0], &out[0], 0, 0));
    us_session_free(sp);
    us_session_free(s);
    us_plan_free(part);
    us_plan_free(whole);
    us_model_free(m);
    us_arena_free(a);
}

static const us_test_case cases[] = {
    US_CASE(test_extract__between),           US_CASE(test_extract__node_on_both_sides),
    US_CASE(test_extract__missing),           US_CASE(test_extract__no_from),
    US_CASE(test_extract__constant_as_input), US_CASE(test_extract__names),
    US_CASE(test_extract__captures),          US_CASE(test_extract__equal_values),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
