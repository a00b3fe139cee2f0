/* A model that passes are done with, squeezed: only what is alive is left, with everything it refers to, and the rest of the
 * old arena is given back.
 */
#include "us_test.h"
#include "us_torture.h"

#include "ir/build.h"
#include "ir/later.h"
#include "ir/op.h"
#include "ir/text.h"

/* Sub-graphs that capture through a level, strings, types, sizes with names; DEAD: what nothing needs. */
#define NET(DEAD, DEAD_TOO)                                                                    \
    "model ir=8 opset=17,ai.onnx.ml:3\n"                                                       \
    "graph main(x: float[N,3], p: bool[]) -> (y, z, w) {\n" DEAD                               \
    "  const two: float[1] = {2}\n"                                                            \
    "  const words: string[2] = {\"a\", \"b\"}\n" DEAD_TOO "  a: float[N,3] = Mul(x, two)\n"   \
    "  y = If(p) {then_branch=graph t () -> (t0) {\n"                                          \
    "    t1 = If(^p) {then_branch=graph u () -> (u0) { u0 = Add(^a, ^two) },\n"                \
    "                 else_branch=graph v () -> (v0) { v0 = Exp(^a) }}\n"                      \
    "    t0 = Neg(t1)\n"                                                                       \
    "  }, else_branch=graph e () -> (e0) { e0 = Identity(^x) }}\n"                             \
    "  z = LeakyRelu(a) {alpha=0.25}\n"                                                        \
    "  w = ai.onnx.ml.LabelEncoder@2(words) {keys_strings=[\"a\", \"b\"], "                    \
    "values_strings=[\"c\", \"d\"]}\n"                                                         \
    "}\n"

static const char *const whole =
    NET("  const gone: int64[2] = {4, 5}\n", "  unused: float[N,3] = Neg(x)\n");
static const char *const alive = NET("", "");

static us_err parse(us_ctx *c, const char *text, us_model **out)
{
    US_TRY(us_model_parse(c, us_sv_of(text), out));
    us_err e = us_graph_verify(c, (*out)->main);
    if (e != US_OK) us_model_free(*out);
    return e;
}

static void drop(us_graph *g, const char *name)
{
    us_vid v = us_graph_find(g, us_sv_of(name));
    CHECK(v != US_NIL);
    us_graph_remove_node(g, g->vals.at[v].def);
}

static void print(us_ctx *c, const us_model *m, us_buf *b)
{
    us_buf_init(b, c, (size_t)1 << 20);
    us_model_print(c, m, SIZE_MAX, b);
    CHECK_OK(c, us_buf_check(b));
}

static void check_prints(us_ctx *c, const us_model *m, const char *text)
{
    us_model *want;
    us_buf got_text, want_text;
    CHECK_OK(c, parse(c, text, &want));
    print(c, m, &got_text);
    print(c, want, &want_text);
    CHECK_EQ_STR(got_text.p, want_text.p);
    us_buf_deinit(&got_text);
    us_buf_deinit(&want_text);
    us_model_free(want);
}

static void test_squeeze__what_is_alive_stays_and_nothing_else(void)
{
    us_ctx c;
    us_model *m;
    us_ctx_init(&c);
    CHECK_OK(&c, parse(&c, whole, &m));
    drop(m->main, "unused");
    size_t n_vals = m->main->vals.n, n_nodes = m->main->nodes.n;
    CHECK_OK(&c, us_model_squeeze(&c, m));
    CHECK_OK(&c, us_graph_verify(&c, m->main));
    CHECK_EQ_U64(m->main->vals.n, n_vals - 2);
    CHECK_EQ_U64(m->main->nodes.n, n_nodes - 1);
    CHECK_EQ_U64(m->graphs.n, 5);
    CHECK(m->main->model == m && m->graphs.at[2]->model == m);
    CHECK(us_graph_find(m->main, US_SV("gone")) == US_NIL);
    check_prints(&c, m, alive);
    CHECK_OK(&c, us_graph_infer(&c, m->main)); /* it can be worked on as before */
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* The clone of a model shares what the original has: only its own memory is left. */
static void test_squeeze__of_a_clone(void)
{
    us_ctx c;
    us_model *m, *copy;
    us_ctx_init(&c);
    CHECK_OK(&c, parse(&c, whole, &m));
    CHECK_OK(&c, us_model_clone(&c, m, &copy));
    drop(copy->main, "unused");
    CHECK_OK(&c, us_model_squeeze(&c, copy));
    CHECK_OK(&c, us_graph_verify(&c, copy->main));
    check_prints(&c, copy, alive);
    us_vid two = us_graph_find(copy->main, US_SV("two")),
           was = us_graph_find(m->main, US_SV("two"));
    CHECK(copy->main->vals.at[two].data == m->main->vals.at[was].data);
    us_model_free(copy);
    check_prints(&c, m, whole);
    us_model_free(m);
    us_ctx_deinit(&c);
}

enum { LARGE = 40000 };

static float *add_large(us_builder *b, us_vid *v)
{
    us_tensor t;
    CHECK_OK(b->c, us_tensor_new(b->c, b->g->model->arena, US_F32, 1, (int64_t[]){LARGE}, &t));
    for (int i = 0; i < LARGE; i++)
        ((float *)t.data)[i] = (float)i;
    CHECK_OK(b->c, us_graph_add_const(b->c, b->g, us_sv_of(""), US_ST_CONST, &t, v));
    return t.data;
}

/* Large weights keep their place, those to be computed later too, with what they are made of; the memory of others goes. */
static void test_squeeze__large_weights_stay_where_they_are(void)
{
    us_alloc_count count = {0};
    us_ctx c;
    us_model *m;
    us_vid x, v[4];
    us_ctx_init(&c);
    c.alloc = us_alloc_counting(&count, us_alloc_heap());
    CHECK_OK(&c, us_model_new(&c, &m));
    us_dim n = US_DIM(LARGE);
    us_type t = us_type_tensor(US_F32, 1, &n);
    CHECK_OK(&c, us_graph_add_input(&c, m->main, US_SV("x"), &t, &x));
    us_builder b = us_b_begin(&c, m->main, "net");
    float *w[4];
    for (int i = 0; i < 4; i++)
        w[i] = add_large(&b, &v[i]);
    x = us_b2(&b, "Mul", x, v[0]);
    x = us_b2(&b, "Add", x, v[1]);
    us_b_name(&b, x, "y");
    CHECK_OK(&c, us_b_end(&b));
    CHECK_OK(&c, us_graph_add_output(&c, m->main, x));
    const double twice = 2;
    double *k = us_new(m->arena, double);
    CHECK(k != NULL);
    *k = twice;
    us_later x1 = {.to = w[1], .from = w[2], .k = k, .n = 1, .inner = LARGE, .count = LARGE};
    us_later unused = {.to = w[3], .from = w[0], .k = k, .n = 1, .inner = 1, .count = LARGE};
    CHECK_OK(&c, us_vec_push(&c, m->arena, &m->later, unused));
    CHECK_OK(&c, us_vec_push(&c, m->arena, &m->later, x1));
    uint64_t live = count.live_bytes;
    CHECK_OK(&c, us_model_squeeze(&c, m));
    CHECK(count.live_bytes + sizeof(float) * LARGE / 2 < live); /* v[3] is gone */
    CHECK_EQ_U64(m->later.n, 1);
    const us_graph *g = m->main;
    const us_node *add = &g->nodes.at[1];
    CHECK(g->vals.at[g->nodes.at[0].in[1]].data->t.data == w[0]);
    CHECK(g->vals.at[add->in[1]].data->t.data == w[1]);
    CHECK(w[0][LARGE - 1] == LARGE - 1);
    us_later_settle(us_later_find(m, w[1]));
    CHECK(w[1][0] == 0 && w[1][LARGE - 1] == 2 * (LARGE - 1));
    us_model_free(m);
    CHECK_EQ_U64(count.live_bytes, 0);
    us_ctx_deinit(&c);
}

static us_err squeezed(us_ctx *c, void *arg)
{
    us_model *m;
    US_TRY(parse(c, arg, &m));
    us_err e = us_model_squeeze(c, m);
    if (e != US_OK) CHECK(m->main->vals.n > 8); /* as it was */
    us_model_free(m);
    return e;
}

static void test_squeeze__nomem(void)
{
    us_torture_with("squeeze", squeezed, (void *)(uintptr_t)whole,
                    (us_torture_opts){.limit_ok = true});
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_squeeze__what_is_alive_stays_and_nothing_else),
        US_CASE(test_squeeze__of_a_clone),
        US_CASE(test_squeeze__large_weights_stay_where_they_are),
        US_CASE(test_squeeze__nomem),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
