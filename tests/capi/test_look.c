/* Looking into a model: inputs, properties, nodes, values, attributes, initialisers, sub-graphs, functions. */
#include "capi_fixture.h"

#include <pthread.h>

static void test_look__inputs_and_origin(void)
{
    world w;
    world_read(&w, NET, NULL);
    usta_value_info info = {.struct_size = sizeof info};
    usta_model_info about = {.struct_size = sizeof about};
    usta_str v;
    const char *domain = NULL, *key = NULL;
    int32_t version = 0;
    CHECK_EQ_U64(usta_model_n_inputs(w.model), 1);
    CHECK_EQ_U64(usta_model_n_outputs(w.model), 1);
    CHECK_USTA(&w, usta_model_input(w.model, 0, &info));
    CHECK_EQ_STR(info.name, "x");
    CHECK_EQ_I64(info.kind, USTA_KIND_TENSOR);
    CHECK_EQ_I64(info.type, USTA_TYPE_FLOAT);
    CHECK_EQ_I64(info.rank, 2);
    CHECK_EQ_I64(info.dims[0], -1);
    CHECK_EQ_STR(info.dim_names[0], "N");
    CHECK_EQ_I64(info.dims[1], 2);
    CHECK(info.dim_names[1] == NULL);
    CHECK_USTA(&w, usta_model_output(w.model, 0, &info));
    CHECK_EQ_STR(info.name, "y");
    CHECK_EQ_I64(usta_model_input(w.model, 1, &info), USTA_ARG);
    CHECK_EQ_I64(usta_model_output(w.model, 1, &info), USTA_ARG);
    CHECK(usta_model_prop(w.model, "colour", &v) && v.n == 4 && memcmp(v.p, "blue", 4) == 0);
    CHECK(!usta_model_prop(w.model, "shape", &v));
    CHECK_USTA(&w, usta_model_about(w.model, &about));
    CHECK_EQ_I64(about.ir_version, 8);
    CHECK_EQ_U64(about.n_nodes, 2);
    CHECK_EQ_U64(about.n_initialisers, 2);
    CHECK_EQ_U64(about.weight_bytes, 36);
    CHECK_EQ_U64(about.n_props, 1);
    CHECK_USTA(&w, usta_model_prop_at(w.model, 0, &key, &v));
    CHECK_EQ_STR(key, "colour");
    CHECK_USTA(&w, usta_model_prop_at(w.model, 0, NULL, NULL));
    CHECK_EQ_I64(usta_model_prop_at(w.model, 1, &key, &v), USTA_ARG);
    CHECK_USTA(&w, usta_model_opset(w.model, 0, &domain, &version));
    CHECK_EQ_STR(domain, "");
    CHECK_EQ_I64(version, 17);
    CHECK_EQ_I64(usta_model_opset(w.model, about.n_opsets, &domain, &version), USTA_ARG);
    world_end(&w);
}

static void test_look__nodes_and_initialisers(void)
{
    world w;
    world_read(&w, NET, NULL);
    const usta_graph *g = usta_model_graph(w.model);
    usta_node_info gemm = {.struct_size = sizeof gemm}, relu = gemm;
    usta_value_info info = {.struct_size = sizeof info};
    usta_value_place place = {.struct_size = sizeof place};
    usta_tensor t;
    size_t n;
    CHECK_EQ_STR(usta_graph_name(g), "main");
    CHECK(usta_graph_parent(g) == NULL);
    CHECK_EQ_U64(usta_graph_n_nodes(g), 2);
    CHECK_USTA(&w, usta_graph_node(g, 0, &gemm));
    CHECK_USTA(&w, usta_graph_node(g, 1, &relu));
    CHECK_EQ_STR(gemm.op_type, "Gemm");
    CHECK_EQ_STR(gemm.domain, "");
    CHECK_EQ_I64(gemm.version, 17);
    CHECK_EQ_I64(gemm.known, 1);
    CHECK_EQ_U64(gemm.n_inputs, 3);
    CHECK(gemm.offset > 0 && relu.offset > gemm.offset);
    CHECK_EQ_U64(relu.inputs[0], gemm.outputs[0]);
    CHECK_EQ_U64(usta_graph_inputs(g, &n)[0], gemm.inputs[0]);
    CHECK_EQ_U64(n, 1);
    CHECK_EQ_U64(usta_graph_outputs(g, &n)[0], relu.outputs[0]);
    CHECK_EQ_U64(usta_graph_find(g, "h"), gemm.outputs[0]);
    CHECK_EQ_U64(usta_graph_find(g, "nothing"), USTA_NO_VALUE);
    CHECK_USTA(&w, usta_graph_value(g, relu.outputs[0], &info, &place));
    CHECK_EQ_STR(info.name, "y");
    CHECK_EQ_I64(place.source, USTA_FROM_NODE);
    CHECK_EQ_U64(place.node, 1);
    CHECK_EQ_U64(place.node_output, 0);
    CHECK_EQ_I64(place.declared, 1);
    CHECK_USTA(&w, usta_graph_value(g, gemm.inputs[0], NULL, &place));
    CHECK_EQ_I64(place.source, USTA_FROM_INPUT);
    CHECK_USTA(&w, usta_graph_value(g, gemm.inputs[1], &info, &place));
    CHECK_EQ_I64(place.source, USTA_FROM_INITIALISER);
    CHECK_EQ_U64(place.node, USTA_NO_NODE);
    CHECK_EQ_I64(info.dims[1], 3);
    CHECK_USTA(&w, usta_graph_tensor(g, gemm.inputs[1], &t));
    CHECK_NEAR(((const float *)t.data)[5], 6, 0);
    CHECK_EQ_I64(usta_tensor_count(&t), 6);
    CHECK_EQ_I64(usta_graph_tensor(g, gemm.outputs[0], &t), USTA_NOTFOUND);
    world_end(&w);
}

/* Weights that lie aligned in the caller's bytes are told where they lie. */
static void test_look__weights_are_not_copied(void)
{
    world w;
    usta_tensor t;
    us_model *m;
    us_buf big;
    us_ctx_init(&w.c);
    w.session = NULL;
    static float data[4096];
    data[4095] = 7;
    CHECK_OK(&w.c, us_model_parse(
                       &w.c,
                       US_SV("model ir=8 opset=17\ngraph main(x: float[4096]) -> (y) {\n  y "
                             "= Relu(x)\n}\n"),
                       &m));
    us_tensor us;
    us_vid v;
    CHECK_OK(&w.c, us_tensor_init(&w.c, &us, US_F32, 1, (int64_t[]){4096}, data));
    CHECK_OK(&w.c, us_graph_add_const(&w.c, m->main, US_SV("big"), US_ST_CONST, &us, &v));
    us_buf_init(&big, &w.c, (size_t)1 << 20);
    CHECK_OK(&w.c, us_onnx_print(&w.c, m, &big));
    us_model_free(m);
    int n_inside = 0;
    CHECK_USTA(&w, usta_env_new(NULL, &w.env));
    char *room = malloc(big.n + 64);
    for (size_t shift = 0; shift < 4; shift++) { /* one of four places makes it aligned */
        memcpy(room + shift, big.p, big.n);
        CHECK_USTA(&w, usta_model_parse(w.env, room + shift, big.n, NULL, &w.model));
        const usta_graph *g = usta_model_graph(w.model);
        CHECK_USTA(&w, usta_graph_tensor(g, usta_graph_find(g, "big"), &t));
        CHECK_NEAR(((const float *)t.data)[4095], 7, 0);
        n_inside += (char *)t.data >= room && (char *)t.data < room + big.n + 64;
        usta_model_free(w.model);
    }
    CHECK(n_inside >= 1);
    usta_env_free(w.env);
    free(room);
    us_buf_deinit(&big);
    us_ctx_deinit(&w.c);
}

static void test_look__without_weights(void)
{
    world w;
    char path[300];
    us_model *m;
    us_buf text;
    usta_tensor t;
    usta_session *s = NULL;
    usta_model_info about = {.struct_size = sizeof about};
    usta_model_settings set;
    memset(&w, 0, sizeof w);
    us_ctx_init(&w.c);
    us_buf_init(&text, &w.c, (size_t)1 << 20);
    us_buf_adds(&text, "model ir=8 opset=17\ngraph main(x: float[N,20000]) -> (y) {\n"
                       "  const w: float[20000] = {0");
    for (int i = 1; i < 20000; i++)
        us_buf_addf(&text, ", %d", i);
    us_buf_adds(&text, "}\n  y = Add(x, w)\n}\n");
    CHECK_OK(&w.c, us_model_parse(&w.c, us_buf_sv(&text), &m));
    (void)us_test_tmp(path, sizeof path, "big.onnx");
    CHECK_OK(&w.c, us_onnx_write(&w.c, m, path, 0));
    us_model_free(m);
    us_buf_deinit(&text);
    usta_model_defaults(&set);
    set.no_weights = 1;
    CHECK_USTA(&w, usta_env_new(NULL, &w.env));
    CHECK_USTA(&w, usta_model_open(w.env, path, &set, &w.model));
    const usta_graph *g = usta_model_graph(w.model);
    CHECK_USTA(&w, usta_graph_tensor(g, usta_graph_find(g, "w"), &t));
    CHECK(t.data == NULL);
    CHECK_EQ_I64(t.dims[0], 20000);
    CHECK_USTA(&w, usta_model_about(w.model, &about));
    CHECK_EQ_U64(about.weight_bytes, 80000);
    CHECK_USTA(&w, usta_model_infer(w.model));
    CHECK_EQ_I64(usta_session_new(w.model, NULL, &s), USTA_UNSUPP);
    CHECK(s == NULL && strstr(usta_env_error(w.env), "no_weights") != NULL);
    world_end(&w);
}

static void test_look__attributes(void)
{
    world w;
    world_read(&w,
               "model ir=8 opset=17\n"
               "graph main(x: float[1,1,8,8]) -> (y, c) {\n"
               "  const w: float[1,1,3,3] = {0, 0, 0, 0, 1, 0, 0, 0, 0}\n"
               "  h = Conv(x, w) {auto_pad=\"NOTSET\", pads=[1, 1, 1, 1]}\n"
               "  y = LeakyRelu(h) {alpha=0.25}\n"
               "  c = Constant() {value=tensor int64[2] {3, 4}}\n"
               "}\n",
               NULL);
    const usta_graph *g = usta_model_graph(w.model);
    int n_pads = 0, n_auto = 0, n_alpha = 0, n_value = 0;
    for (size_t i = 0; i < usta_graph_n_nodes(g); i++) {
        usta_node_info n = {.struct_size = sizeof n};
        CHECK_USTA(&w, usta_graph_node(g, i, &n));
        for (size_t a = 0; a < n.n_attributes; a++) {
            usta_attribute_info at = {.struct_size = sizeof at};
            usta_tensor t;
            CHECK_USTA(&w, usta_graph_attribute(g, i, a, &at));
            bool tensor = usta_graph_attribute_tensor(g, i, a, 0, &t) == USTA_OK;
            CHECK_EQ_I64(tensor, at.kind == USTA_ATTRIBUTE_TENSOR);
            CHECK(usta_graph_attribute_graph(g, i, a, 0) == NULL);
            if (!strcmp(at.name, "pads")) {
                CHECK_EQ_I64(at.kind, USTA_ATTRIBUTE_INTS);
                CHECK_EQ_U64(at.n, 4);
                CHECK_EQ_I64(at.ints[3], 1);
                n_pads++;
            } else if (!strcmp(at.name, "auto_pad")) {
                CHECK_EQ_I64(at.kind, USTA_ATTRIBUTE_STRING);
                CHECK(at.s.n == 6 && memcmp(at.s.p, "NOTSET", 6) == 0);
                n_auto++;
            } else if (!strcmp(at.name, "alpha")) {
                CHECK_EQ_I64(at.kind, USTA_ATTRIBUTE_FLOAT);
                CHECK_NEAR(at.f, 0.25, 0);
                n_alpha++;
            } else if (!strcmp(at.name, "value")) {
                CHECK(tensor);
                CHECK_EQ_I64(((const int64_t *)t.data)[1], 4);
                CHECK_EQ_I64(usta_graph_attribute_tensor(g, i, a, 1, &t), USTA_ARG);
                n_value++;
            }
        }
        usta_attribute_info none = {.struct_size = sizeof none};
        CHECK_EQ_I64(usta_graph_attribute(g, i, n.n_attributes, &none), USTA_ARG);
    }
    CHECK(n_pads == 1 && n_auto == 1 && n_alpha == 1 && n_value == 1);
    world_end(&w);
}

static void test_look__subgraphs(void)
{
    world w;
    world_read(&w,
               "model ir=8 opset=17\n"
               "graph main(c: bool[], x: float[N]) -> (y) {\n"
               "  y = If(c) {then_branch=graph t () -> (a) {\n    a = Relu(^x)\n  }, "
               "else_branch=graph e () -> (b) {\n    b = Neg(^x)\n  }}\n"
               "}\n",
               NULL);
    const usta_graph *g = usta_model_graph(w.model);
    usta_node_info n = {.struct_size = sizeof n};
    usta_value_place place = {.struct_size = sizeof place};
    int n_graphs = 0;
    CHECK_USTA(&w, usta_graph_node(g, 0, &n));
    for (size_t a = 0; a < n.n_attributes; a++) {
        const usta_graph *sub = usta_graph_attribute_graph(g, 0, a, 0);
        CHECK(sub != NULL && usta_graph_parent(sub) == g);
        CHECK(usta_graph_attribute_graph(g, 0, a, 1) == NULL);
        CHECK_EQ_U64(usta_graph_n_nodes(sub), 1);
        CHECK_USTA(&w, usta_graph_node(sub, 0, &n));
        CHECK_USTA(&w, usta_graph_value(sub, n.inputs[0], NULL, &place));
        CHECK_EQ_I64(place.source, USTA_FROM_OUTER);
        CHECK_EQ_U64(place.outer, usta_graph_find(g, "x"));
        n_graphs++;
        CHECK_USTA(&w, usta_graph_node(g, 0, &n));
    }
    CHECK_EQ_I64(n_graphs, 2);
    world_end(&w);
}

static void test_look__inferred_shapes(void)
{
    world w;
    char text[64];
    us_model *m;
    usta_value_info info = {.struct_size = sizeof info};
    usta_node_info n = {.struct_size = sizeof n};
    memset(&w, 0, sizeof w);
    us_ctx_init(&w.c);
    CHECK_OK(&w.c, us_model_parse(&w.c,
                                  US_SV("model ir=8 opset=17\n"
                                        "graph main(x: float[N,2]) -> (y, s) {\n"
                                        "  h = Concat(x, x, x) {axis=0}\n"
                                        "  s = my.domain.Strange(h)\n"
                                        "  y = Relu(h)\n"
                                        "}\n"),
                                  &m));
    us_buf_init(&w.bytes, &w.c, (size_t)1 << 20);
    CHECK_OK(&w.c, us_model_set_opset(&w.c, m, US_SV("my.domain"), 1));
    CHECK_OK(&w.c, us_onnx_print(&w.c, m, &w.bytes));
    us_model_free(m);
    CHECK_USTA(&w, usta_env_new(NULL, &w.env));
    CHECK_USTA(&w, usta_model_parse(w.env, w.bytes.p, w.bytes.n, NULL, &w.model));
    const usta_graph *g = usta_model_graph(w.model);
    CHECK_USTA(&w, usta_graph_node(g, 1, &n));
    CHECK_EQ_STR(n.domain, "my.domain");
    CHECK_EQ_I64(n.known, 0);
    CHECK_USTA(&w, usta_graph_value(g, usta_graph_find(g, "h"), &info, NULL));
    CHECK_EQ_I64(info.kind, USTA_KIND_NONE);
    (void)usta_typing_text(w.model, info.typing, text, sizeof text);
    CHECK_EQ_STR(text, "?");
    CHECK_USTA(&w, usta_model_infer(w.model));
    CHECK_USTA(&w, usta_model_infer(w.model));
    CHECK_USTA(&w, usta_graph_value(g, usta_graph_find(g, "h"), &info, NULL));
    CHECK_EQ_I64(info.rank, 2);
    CHECK_EQ_I64(info.dims[0], -1);
    CHECK(info.dim_names[0] == NULL); /* an expression */
    (void)usta_typing_text(w.model, info.typing, text, sizeof text);
    CHECK_EQ_STR(text, "float[3*N,2]");
    CHECK_USTA(&w, usta_model_output(w.model, 0, &info));
    CHECK_EQ_I64(info.dims[1], 2);
    CHECK_EQ_I64(usta_session_new(w.model, NULL, &w.session), USTA_UNSUPP);
    CHECK(strstr(usta_env_error(w.env), "Strange") != NULL);
    world_end(&w);
}

static void test_look__functions(void)
{
    usta_env *env;
    usta_model *m;
    usta_model_info about = {.struct_size = sizeof about};
    usta_function_info f = {.struct_size = sizeof f};
    usta_node_info n = {.struct_size = sizeof n};
    int n_calls = 0;
    CHECK_EQ_I64(usta_env_new(NULL, &env), USTA_OK);
    CHECK_EQ_I64(
        usta_model_open(env, US_TEST_SOURCE_ROOT "/tests/pass/data/functions.onnx", NULL, &m),
        USTA_OK);
    CHECK_EQ_I64(usta_model_about(m, &about), USTA_OK);
    CHECK(about.n_functions > 0);
    for (size_t i = 0; i < about.n_functions; i++) {
        CHECK_EQ_I64(usta_model_function(m, i, &f), USTA_OK);
        CHECK(f.name[0] && usta_graph_n_nodes(f.body) > 0);
        CHECK(usta_graph_parent(f.body) == NULL);
    }
    CHECK_EQ_I64(usta_model_function(m, about.n_functions, &f), USTA_ARG);
    const usta_graph *g = usta_model_graph(m);
    for (size_t i = 0; i < usta_graph_n_nodes(g); i++) {
        CHECK_EQ_I64(usta_graph_node(g, i, &n), USTA_OK);
        n_calls += n.known == 2;
    }
    CHECK(n_calls > 0);
    usta_model_free(m);
    usta_env_free(env);
}

/* An initialiser that is listed as an input is a constant, or an input when the caller wants it. */
static void test_look__overrides(void)
{
    world w;
    us_model *m;
    usta_value_place place = {.struct_size = sizeof place};
    usta_model_settings set;
    const char *name = "w", *wrong = "x";
    float x[2] = {1, 2}, v[2] = {10, 20};
    usta_tensor in[2] = {f32(1, 2, x), f32(1, 2, v)}, y;
    memset(&w, 0, sizeof w);
    us_ctx_init(&w.c);
    CHECK_OK(&w.c, us_model_parse(&w.c,
                                  US_SV("model ir=3 opset=8\n"
                                        "graph main(x: float[1,2]) -> (y) {\n"
                                        "  const w: float[1,2] = {5, 6}\n"
                                        "  y: float[1,2] = Add(x, w)\n"
                                        "}\n"),
                                  &m));
    us_vid id = us_graph_find(m->main, US_SV("w"));
    m->main->vals.at[id].also_input = true;
    CHECK_OK(&w.c, us_vec_push(&w.c, m->arena, &m->main->inputs, id));
    us_buf_init(&w.bytes, &w.c, (size_t)1 << 20);
    CHECK_OK(&w.c, us_onnx_print(&w.c, m, &w.bytes));
    us_model_free(m);
    CHECK_USTA(&w, usta_env_new(NULL, &w.env));
    CHECK_USTA(&w, usta_model_parse(w.env, w.bytes.p, w.bytes.n, NULL, &w.model));
    const usta_graph *g = usta_model_graph(w.model);
    CHECK_EQ_U64(usta_model_n_inputs(w.model), 1);
    CHECK_USTA(&w, usta_graph_value(g, usta_graph_find(g, "w"), NULL, &place));
    CHECK_EQ_I64(place.also_input, 1);
    CHECK_USTA(&w, usta_session_new(w.model, NULL, &w.session));
    CHECK_USTA(&w, usta_session_run(w.session, in, 1, &y, 1));
    CHECK_NEAR(((float *)y.data)[1], 8, 0);
    usta_session_free(w.session);
    usta_model_free(w.model);
    w.session = NULL;
    usta_model_defaults(&set);
    set.n_overrides = 1;
    CHECK_EQ_I64(usta_model_parse(w.env, w.bytes.p, w.bytes.n, &set, &w.model), USTA_ARG);
    set.overrides = &wrong;
    CHECK_EQ_I64(usta_model_parse(w.env, w.bytes.p, w.bytes.n, &set, &w.model), USTA_ARG);
    CHECK(strstr(usta_env_error(w.env), "'x'") != NULL);
    set.overrides = &name;
    CHECK_USTA(&w, usta_model_parse(w.env, w.bytes.p, w.bytes.n, &set, &w.model));
    CHECK_EQ_U64(usta_model_n_inputs(w.model), 2);
    CHECK_USTA(&w, usta_session_new(w.model, NULL, &w.session));
    CHECK_USTA(&w, usta_session_run(w.session, in, 2, &y, 1));
    CHECK_NEAR(((float *)y.data)[1], 22, 0);
    world_end(&w);
}

typedef struct looker {
    const usta_model *m;
    size_t n_seen;
} looker;

static void *look_at_all(void *arg)
{
    looker *k = arg;
    for (int round = 0; round < 200; round++) {
        const usta_graph *g = usta_model_graph(k->m);
        for (uint32_t v = 0; v < usta_graph_n_values(g); v++) {
            usta_value_info info = {.struct_size = sizeof info};
            char text[64];
            if (usta_graph_value(g, v, &info, NULL) == USTA_OK &&
                usta_typing_text(k->m, info.typing, text, sizeof text))
                k->n_seen++;
        }
        if (usta_model_input(k->m, 99, NULL) != USTA_ARG) k->n_seen = 0;
    }
    return NULL;
}

static void test_look__from_two_threads(void)
{
    world w;
    pthread_t t[2];
    looker k[2];
    world_read(&w, NET, NULL);
    CHECK_USTA(&w, usta_model_infer(w.model));
    for (int i = 0; i < 2; i++) {
        k[i] = (looker){.m = w.model};
        CHECK(pthread_create(&t[i], NULL, look_at_all, &k[i]) == 0);
    }
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(t[i], NULL) == 0);
    CHECK_EQ_U64(k[0].n_seen, 200 * usta_graph_n_values(usta_model_graph(w.model)));
    CHECK_EQ_U64(k[1].n_seen, k[0].n_seen);
    world_end(&w);
}

/* A caller compiled with an older, smaller struct gets its part and no byte more. */
static void test_look__smaller_structs(void)
{
    world w;
    world_read(&w, NET, NULL);
    union {
        usta_value_info info;
        unsigned char bytes[sizeof(usta_value_info)];
    } u;
    memset(&u, 0xAB, sizeof u);
    u.info.struct_size = offsetof(usta_value_info, dims);
    CHECK_USTA(&w, usta_model_input(w.model, 0, &u.info));
    CHECK_EQ_STR(u.info.name, "x");
    CHECK_EQ_I64(u.info.rank, 2);
    CHECK_EQ_U64(u.info.struct_size, offsetof(usta_value_info, dims));
    for (size_t i = offsetof(usta_value_info, dims); i < sizeof u; i++)
        CHECK_EQ_U64(u.bytes[i], 0xAB);
    u.info.struct_size = 0;
    CHECK_EQ_I64(usta_model_input(w.model, 0, &u.info), USTA_ARG);
    u.info.struct_size = sizeof(size_t);
    CHECK_EQ_I64(usta_model_input(w.model, 0, &u.info), USTA_ARG);
    struct {
        usta_value_info info;
        uint64_t later[4]; /* of a newer header */
    } newer;
    memset(&newer, 0xCD, sizeof newer);
    newer.info.struct_size = sizeof newer;
    CHECK_USTA(&w, usta_model_input(w.model, 0, &newer.info));
    CHECK_EQ_U64(newer.later[0], 0xCDCDCDCDCDCDCDCDu);
    world_end(&w);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_look__inputs_and_origin),
        US_CASE(test_look__nodes_and_initialisers),
        US_CASE(test_look__weights_are_not_copied),
        US_CASE(test_look__without_weights),
        US_CASE(test_look__attributes),
        US_CASE(test_look__subgraphs),
        US_CASE(test_look__inferred_shapes),
        US_CASE(test_look__functions),
        US_CASE(test_look__overrides),
        US_CASE(test_look__from_two_threads),
        US_CASE(test_look__smaller_structs),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
