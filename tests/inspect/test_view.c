/* Pictures of models: what is written where, hostile names, sub-graphs, the same bytes, every allocation failing. */
#include "us_test.h"
#include "us_torture.h"

#include "inspect/view.h"
#include "ir/text.h"

static us_model *model_of(us_ctx *c, const char *text)
{
    us_model *m;
    CHECK_OK(c, us_model_parse(c, us_sv_of(text), &m));
    return m;
}

typedef us_err printer(const us_view *v, us_buf *b);

static void draw(us_ctx *c, us_model *m, const char *title, printer *print, us_buf *b)
{
    us_view *v;
    us_view_opts o = {.title = title};
    us_buf_init(b, c, (size_t)64 << 20);
    CHECK_OK(c, us_view_new(c, m, &o, &v));
    CHECK_OK(c, print(v, b));
    us_view_free(v);
}

static size_t count(const us_buf *b, const char *what)
{
    size_t n = 0;
    for (const char *p = b->p; (p = strstr(p, what)); p++)
        n++;
    return n;
}

#define NET                                                                                    \
    "model ir=8 opset=17\n"                                                                    \
    "graph main(x: float[N,3,8,8]) -> (y) {\n"                                                 \
    "  const w: float[1,3,1,1] = {1, 2, 0}\n"                                                  \
    "  const two: float[] = {2}\n"                                                             \
    "  a = Conv(x, w)\n"                                                                       \
    "  b = Relu(a)\n"                                                                          \
    "  c = Mul(b, two)\n"                                                                      \
    "  d = Transpose(c) {perm=[0, 2, 3, 1]}\n"                                                 \
    "  y = Add(d, d)\n"                                                                        \
    "}\n"

static void test_view__svg_shows_operators_weights_and_inferred_shapes(void)
{
    us_ctx c;
    us_buf b;
    us_ctx_init(&c);
    us_model *m = model_of(&c, NET);
    draw(&c, m, "net.onnx", us_view_svg, &b);
    CHECK(strstr(b.p, ">Conv<") && strstr(b.p, ">Relu<") && strstr(b.p, ">net.onnx<"));
    CHECK(strstr(b.p, ">W = [1, 2, 0]<"));
    CHECK(strstr(b.p, ">B = 2<"));
    CHECK(strstr(b.p, ">N\xC3\x97"
                      "1\xC3\x97"
                      "8\xC3\x97"
                      "8<"));
    CHECK(strstr(b.p, ">N\xC3\x97"
                      "8\xC3\x97"
                      "8\xC3\x97"
                      "1<"));
    CHECK_EQ_U64(count(&b, "<g class=\"n\""), 7); /* five nodes, input, output */
    CHECK_EQ_U64(count(&b, "class=\"f\""), 3);    /* Conv, Relu and Mul in one frame */
    CHECK_EQ_U64(count(&b, "class=\"e\""), 5);    /* d is drawn twice */
    us_buf_deinit(&b);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_view__html_tells_statistics_and_loads_nothing(void)
{
    us_ctx c;
    us_buf b;
    us_ctx_init(&c);
    us_model *m = model_of(&c, NET);
    draw(&c, m, "net.onnx", us_view_html, &b);
    CHECK(strstr(b.p, "\"s\":[0.0,2.0,1.0,1.0,1,0,0]")); /* min max mean std zeros nan inf */
    CHECK(strstr(b.p, "default-src 'none'"));
    CHECK(!strstr(b.p, "src=\"") && !strstr(b.p, "href=") && !strstr(b.p, "@import"));
    us_buf_deinit(&b);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_view__sub_graphs_are_drawn_inside_their_node(void)
{
    us_ctx c;
    us_buf b;
    us_ctx_init(&c);
    us_model *m = model_of(&c, "model ir=8 opset=17\n"
                               "graph main(p: bool[], x: float[2]) -> (y) {\n"
                               "  y = If(p) {else_branch=graph e() -> (u) {\n"
                               "    u = Neg(^x)\n"
                               "  }, then_branch=graph t() -> (v) {\n"
                               "    v = Exp(^x)\n"
                               "  }}\n"
                               "}\n");
    draw(&c, m, "if", us_view_svg, &b);
    CHECK(strstr(b.p, ">then_branch<") && strstr(b.p, ">else_branch<"));
    CHECK(strstr(b.p, ">Neg<") && strstr(b.p, ">Exp<"));
    CHECK_EQ_U64(count(&b, "class=\"q\""), 2);
    us_buf_deinit(&b);
    draw(&c, m, "if", us_view_dot, &b);
    CHECK_EQ_U64(count(&b, "subgraph cluster_"), 2);
    us_buf_deinit(&b);
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* Names hold whatever they like; none may become markup, end the script or leave the quotes of DOT. */
static void test_view__hostile_names_are_only_text(void)
{
    static const char *const names[] = {"</script><script>alert(1)</script>",
                                        "\"]; evil [x=\"",
                                        "<img src=x onerror=alert(1)>",
                                        "a&b<c>\"'",
                                        "\x01\x02\xFF\xFE\xC3(",
                                        "]]><!--"};
    us_ctx c;
    us_ctx_init(&c);
    for (size_t i = 0; i < US_LEN(names); i++) {
        us_model *m = model_of(&c, NET);
        us_buf b;
        us_graph *g = m->main;
        us_sv name = us_sv_of(names[i]);
        g->nodes.at[0].name = g->nodes.at[1].op_type = g->nodes.at[2].domain = name;
        g->nodes.at[0].doc = m->producer_name = name;
        g->vals.at[g->inputs.at[0]].name = g->vals.at[g->outputs.at[0]].name = name;
        draw(&c, m, names[i], us_view_svg, &b);
        CHECK(!strstr(b.p, "<img") && !strstr(b.p, "<script") && !strstr(b.p, "<!--"));
        CHECK(us_utf8_valid(us_buf_sv(&b)));
        for (size_t j = 0; j < b.n; j++)
            CHECK((unsigned char)b.p[j] >= 0x20 || b.p[j] == '\n');
        us_buf_deinit(&b);
        draw(&c, m, names[i], us_view_html, &b);
        CHECK(!strstr(b.p, "<img") && !strstr(b.p, "<!--"));
        CHECK_EQ_U64(count(&b, "<script"), 2);
        CHECK_EQ_U64(count(&b, "</script"), 2);
        CHECK(us_utf8_valid(us_buf_sv(&b)));
        us_buf_deinit(&b);
        draw(&c, m, names[i], us_view_dot, &b);
        CHECK(!strstr(b.p, "\"\"]; evil"));
        us_buf_deinit(&b);
        us_model_free(m);
    }
    us_ctx_deinit(&c);
}

static void test_view__the_same_model_gives_the_same_bytes(void)
{
    static printer *const forms[] = {us_view_svg, us_view_html, us_view_dot};
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = model_of(&c, NET), *n = model_of(&c, NET);
    for (size_t i = 0; i < US_LEN(forms); i++) {
        us_buf a, b;
        draw(&c, m, "t", forms[i], &a);
        draw(&c, n, "t", forms[i], &b);
        CHECK(us_sv_eq(us_buf_sv(&a), us_buf_sv(&b)));
        us_buf_deinit(&a);
        us_buf_deinit(&b);
    }
    us_model_free(m);
    us_model_free(n);
    us_ctx_deinit(&c);
}

/* A model whose types contradict is shown all the same, with the types it declares. */
static void test_view__a_model_that_cannot_be_inferred_is_drawn(void)
{
    us_ctx c;
    us_buf b;
    us_ctx_init(&c);
    us_model *m = model_of(&c, "model ir=8 opset=17,my:1\n"
                               "graph main(x: float[2,3], z: float[4,5]) -> (y) {\n"
                               "  m = MatMul(x, z)\n"
                               "  y: float[7] = my.Wonder@1(m) {n=3}\n"
                               "}\n");
    draw(&c, m, "odd", us_view_svg, &b);
    CHECK(strstr(b.p, ">Wonder<") && strstr(b.p, ">my<") && strstr(b.p, "float[7]"));
    us_buf_deinit(&b);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static us_err torture(us_ctx *c, void *arg)
{
    us_model *m = NULL;
    us_view *v = NULL;
    us_view_opts o = {.title = "t"};
    us_buf b;
    us_err e;
    (void)arg;
    us_buf_init(&b, c, 1 << 22);
    US_GO(us_model_parse(c, US_SV(NET), &m));
    US_GO(us_view_new(c, m, &o, &v));
    US_GO(us_view_html(v, &b));
    us_buf_clear(&b);
    US_GO(us_view_svg(v, &b));
    us_buf_clear(&b);
    e = us_view_dot(v, &b);
out:
    us_buf_deinit(&b);
    us_view_free(v);
    us_model_free(m);
    return e;
}

/* A brief picture: no weights, no shapes between, nothing that constants alone decide; but what a graph gives stays. */
static void test_view__brief_leaves_out_what_constants_decide(void)
{
    us_ctx c;
    us_buf b;
    us_view *v;
    us_view_opts o = {.title = "t", .brief = true};
    us_ctx_init(&c);
    us_model *m =
        model_of(&c, "model ir=8 opset=17\n"
                     "graph main(x: float[1,3,8,8]) -> (y, k) {\n"
                     "  const w: float[1,3,2,2] = {1, 2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}\n"
                     "  a = Identity(w)\n"
                     "  b = Neg(a)\n"
                     "  k = Abs(a)\n"
                     "  y = Conv(x, b) {kernel_shape=[2, 2], strides=[2, 2]}\n"
                     "}\n");
    us_buf_init(&b, &c, (size_t)64 << 20);
    CHECK_OK(&c, us_view_new(&c, m, &o, &v));
    CHECK_EQ_U64(us_view_n_nodes(v), 4);
    CHECK_EQ_U64(us_view_n_drawn(v), 2);
    CHECK_OK(&c, us_view_svg(v, &b));
    CHECK(!strstr(b.p, ">Neg<") && !strstr(b.p, ">Identity<") && strstr(b.p, ">Abs<"));
    CHECK(strstr(b.p, ">2\xC3\x97"
                      "2 /2<"));
    CHECK(strstr(b.p, "4 nodes, 2 drawn"));
    us_buf_deinit(&b);
    us_view_free(v);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_view__every_allocation_fails(void)
{
    us_torture("view", torture, NULL);
}

static const us_test_case cases[] = {
    US_CASE(test_view__svg_shows_operators_weights_and_inferred_shapes),
    US_CASE(test_view__html_tells_statistics_and_loads_nothing),
    US_CASE(test_view__sub_graphs_are_drawn_inside_their_node),
    US_CASE(test_view__hostile_names_are_only_text),
    US_CASE(test_view__the_same_model_gives_the_same_bytes),
    US_CASE(test_view__a_model_that_cannot_be_inferred_is_drawn),
    US_CASE(test_view__brief_leaves_out_what_constants_decide),
    US_CASE(test_view__every_allocation_fails)};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
