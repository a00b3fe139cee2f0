/* Building, changing, ordering and verifying graphs. */
#include "us_test.h"
#include "us_torture.h"

#include "ir/build.h"
#include "ir/op.h"
#include "ir/text.h"

static us_model *parse(us_ctx *c, const char *text)
{
    us_model *m;
    CHECK_OK(c, us_model_parse(c, us_sv_of(text), &m));
    CHECK_OK(c, us_graph_verify(c, m->main));
    return m;
}

static const char *const chain = "model ir=8 opset=17\n"
                                 "graph main(x: float[N]) -> (y) {\n"
                                 "  a = Neg(x)\n"
                                 "  b = Exp(a)\n"
                                 "  y = Neg(b)\n"
                                 "}\n";

static us_vid find(const us_graph *g, const char *name)
{
    return us_graph_find(g, us_sv_of(name));
}

static void test_names__unique_and_renamed(void)
{
    us_ctx c;
    us_vid v;
    us_ctx_init(&c);
    us_model *m = parse(&c, chain);
    us_graph *g = m->main;
    CHECK_ERR(us_graph_add_val(&c, g, US_SV("a"), US_ST_TEMP, NULL, &v), US_FORMAT);
    CHECK_ERR(us_graph_rename(&c, g, find(g, "a"), US_SV("b")), US_FORMAT);
    CHECK_OK(&c, us_graph_rename(&c, g, find(g, "a"), US_SV("c")));
    CHECK(find(g, "a") == US_NIL && find(g, "c") != US_NIL);
    CHECK_OK(&c, us_graph_add_val(&c, g, US_SV("a"), US_ST_TEMP, NULL, &v)); /* free again */
    us_sv fresh = us_graph_fresh_name(&c, g, "a");
    CHECK(fresh.n && us_graph_find(g, fresh) == US_NIL);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_replace_uses__output_keeps_its_name(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = parse(&c, chain);
    us_graph *g = m->main;
    us_vid y = find(g, "y"), b = find(g, "b"), x = find(g, "x");
    us_graph_replace_uses(g, y, b);
    CHECK_EQ_U64(g->outputs.at[0], b);
    CHECK(us_sv_is(g->vals.at[b].name, "y") && find(g, "y") == b);
    us_graph_remove_node(g, g->order.at[2]);
    CHECK_OK(&c, us_graph_verify(&c, g));
    us_graph_replace_uses(g, b, x); /* an input cannot take the name over */
    CHECK_EQ_U64(g->outputs.at[0], b);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static const char *const nested = "model ir=8 opset=17\n"
                                  "graph main(p: bool[], x: float[N]) -> (y) {\n"
                                  "  a = Neg(x)\n"
                                  "  b = Neg(x)\n"
                                  "  y = MyIf(p) {then=graph t() -> (u) {\n"
                                  "      u = Exp(^a)\n"
                                  "    }}\n"
                                  "}\n";

static void test_captures__are_uses(void)
{
    us_ctx c;
    us_arena *a;
    uint32_t *uses;
    us_ctx_init(&c);
    us_model *m = parse(&c, nested);
    us_graph *g = m->main;
    CHECK_OK(&c, us_arena_new(&c, "t", 1 << 20, &a));
    CHECK_OK(&c, us_graph_uses(&c, g, a, &uses));
    CHECK_EQ_U64(uses[find(g, "a")], 1);
    CHECK_EQ_U64(uses[find(g, "b")], 0);
    CHECK_EQ_U64(uses[find(g, "x")], 2);
    CHECK_EQ_U64(uses[find(g, "y")], 1);
    us_graph_replace_uses(g, find(g, "a"), find(g, "b"));
    CHECK_OK(&c, us_graph_uses(&c, g, a, &uses));
    CHECK_EQ_U64(uses[find(g, "a")], 0);
    CHECK_EQ_U64(uses[find(g, "b")], 1);
    us_arena_free(a);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_sort__by_captures_and_stable(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = parse(&c, nested);
    us_graph *g = m->main;
    const us_nid shuffled[] = {2, 1, 0};
    memcpy(g->order.at, shuffled, sizeof shuffled);
    CHECK_ERR(us_graph_verify(&c, g), US_FORMAT);
    CHECK_OK(&c, us_graph_sort(&c, g));
    CHECK_EQ_U64(g->order.at[0], 0); /* only what the first one needs comes before it */
    CHECK_EQ_U64(g->order.at[1], 2);
    CHECK_EQ_U64(g->order.at[2], 1);
    CHECK_OK(&c, us_graph_verify(&c, g));
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_add_node__refuses_second_definition(void)
{
    us_ctx c;
    us_nid n;
    us_ctx_init(&c);
    us_model *m = parse(&c, chain);
    us_graph *g = m->main;
    us_vid x = find(g, "x"), y = find(g, "y"), none = 1000, fresh;
    CHECK_ERR(us_graph_add_node(&c, g, US_SV(""), US_SV("Neg"), 0, US_SV(""), 1, &x, 1, &y,
                                US_NIL, &n),
              US_FORMAT);
    CHECK_ERR(us_graph_add_node(&c, g, US_SV(""), US_SV("Neg"), 0, US_SV(""), 1, &x, 1, &x,
                                US_NIL, &n),
              US_FORMAT);
    CHECK_ERR(us_graph_add_node(&c, g, US_SV(""), US_SV("Neg"), 0, US_SV(""), 1, &none, 0, NULL,
                                US_NIL, &n),
              US_ARG);
    CHECK_OK(&c, us_graph_add_val(&c, g, US_SV(""), US_ST_TEMP, NULL, &fresh));
    const us_vid twice[] = {fresh, fresh};
    CHECK_ERR(us_graph_add_node(&c, g, US_SV(""), US_SV("Neg"), 0, US_SV(""), 1, &x, 2, twice,
                                US_NIL, &n),
              US_FORMAT);
    CHECK_OK(&c, us_graph_add_node(&c, g, US_SV(""), US_SV("Neg"), 0, US_SV(""), 1, &x, 1,
                                   &fresh, g->order.at[0], &n));
    CHECK_EQ_U64(g->order.at[0], n);
    CHECK_OK(&c, us_graph_verify(&c, g));
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_verify__finds_what_is_wrong(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m = parse(&c, chain);
    us_graph *g = m->main;
    us_val *a = &g->vals.at[find(g, "a")];
    us_nid was = a->def;
    a->def = US_NIL;
    CHECK_ERR(us_graph_verify(&c, g), US_FORMAT);
    a->def = was;
    a->storage = US_ST_CONST;
    CHECK_ERR(us_graph_verify(&c, g), US_FORMAT);
    a->storage = US_ST_TEMP;
    g->nodes.at[0].in[0] = find(g, "y"); /* read before it is defined */
    CHECK_ERR(us_graph_verify(&c, g), US_FORMAT);
    CHECK(strstr(c.diag.text, "before it is defined") != NULL);
    g->nodes.at[0].in[0] = find(g, "x");
    g->order.n--;
    CHECK_ERR(us_graph_verify(&c, g), US_FORMAT);
    g->order.n++;
    CHECK_OK(&c, us_graph_verify(&c, g));
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_decode__names_the_attribute(void)
{
    static const struct {
        const char *node, *words;
    } rows[] = {
        {"Softmax(x) {axis=1.0}", "'axis' is of kind float, expected int"},
        {"Softmax(x) {axes=1}", "'axes' is not one of this operator"},
        {"Softmax()", "inputs"},
        {"Cast(x)", "'to' is required and missing"},
    };
    for (size_t i = 0; i < US_LEN(rows); i++) {
        us_ctx c;
        us_model *m;
        char text[300];
        us_ctx_init(&c);
        snprintf(text, sizeof text,
                 "model ir=8 opset=17\ngraph main(x: float[N]) -> (y) {\n  y = %s\n}\n",
                 rows[i].node);
        CHECK_OK(&c, us_model_parse(&c, us_sv_of(text), &m));
        CHECK_ERR(us_graph_verify(&c, m->main), US_FORMAT);
        if (!strstr(c.diag.text, rows[i].words))
            US_TEST_FAIL("\"%s\" does not say \"%s\"", c.diag.text, rows[i].words);
        us_model_free(m);
        us_ctx_deinit(&c);
    }
}

static void test_builder__error_sticks(void)
{
    us_ctx c;
    us_model *m;
    us_ctx_init(&c);
    CHECK_OK(&c, us_model_new(&c, &m));
    us_builder b = us_b_begin(&c, m->main, "t");
    us_vid y = us_b_node(&b, "not.imported", "X", 0, NULL, 1, NULL);
    CHECK(y == US_NIL && us_b1(&b, "Neg", y) == US_NIL && us_b_f32(&b, 1) == US_NIL);
    CHECK_EQ_U64(m->main->nodes.n, 0);
    CHECK_ERR(us_b_end(&b), US_ARG);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static us_err build_all(us_ctx *c, void *arg)
{
    static const int64_t dims[] = {2, 2};
    static const float w[] = {1, 2, 3, 4};
    us_model *m;
    us_vid x;
    (void)arg;
    US_TRY(us_model_new(c, &m));
    us_dim d[] = {US_DIM(5), US_DIM(2)};
    us_type t = us_type_tensor(US_F32, 2, d);
    us_err e = us_graph_add_input(c, m->main, US_SV("x"), &t, &x);
    us_builder b = us_b_begin(c, m->main, "net");
    if (e == US_OK) {
        us_vid h = us_b2(&b, "MatMul", x, us_b_const(&b, NULL, US_F32, 2, dims, w));
        h = us_b2(&b, "Add", h, us_b_var(&b, "bias", 2, dims));
        h = us_b1(&b, "Softmax", h);
        us_b_int(&b, "axis", 1);
        h = us_b2(&b, "Reshape", h, us_b_i64s(&b, 2, (const int64_t[]){-1, 2}));
        e = us_b_end(&b);
        if (e == US_OK) e = us_graph_add_output(c, m->main, h);
    }
    if (e == US_OK) e = us_graph_sort(c, m->main);
    if (e == US_OK) e = us_graph_verify(c, m->main);
    us_model_free(m);
    return e;
}

static void test_build__nomem(void)
{
    us_torture("build and verify", build_all, NULL);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_names__unique_and_renamed),
        US_CASE(test_replace_uses__output_keeps_its_name),
        US_CASE(test_captures__are_uses),
        US_CASE(test_sort__by_captures_and_stable),
        US_CASE(test_add_node__refuses_second_definition),
        US_CASE(test_verify__finds_what_is_wrong),
        US_CASE(test_decode__names_the_attribute),
        US_CASE(test_builder__error_sticks),
        US_CASE(test_build__nomem),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
