/* Every function of the public C API with NULL for everything, and with good arguments but one. The list is compared with
 * tools/abi-symbols.txt, so a new function without a row here fails. */
#include "capi_fixture.h"

#include "base/file.h"

/* One row per function: 1 when it answers as documented. w holds a model and a session that work. */
typedef struct misuse {
    const char *name;
    int (*fn)(world *w);
} misuse;

#define G(w) usta_model_graph((w)->model)

static int defaults_take_null(world *w)
{
    (void)w;
    usta_env_defaults(NULL);
    usta_model_defaults(NULL);
    usta_session_defaults(NULL);
    return 1;
}

static int frees_take_null(world *w)
{
    (void)w;
    usta_env_free(NULL);
    usta_model_free(NULL);
    usta_session_free(NULL);
    usta_session_cancel(NULL);
    usta_session_profile_reset(NULL);
    return 1;
}

static int words(world *w)
{
    (void)w;
    return usta_version()[0] && usta_err_text(12345)[0] && usta_err_text(INT32_MIN)[0] &&
           !strcmp(usta_err_name(12345), "UNKNOWN") && !strcmp(usta_type_name(-1), "invalid") &&
           !strcmp(usta_type_name(INT32_MAX), "invalid") && usta_features();
}

static int errors_of_nothing(world *w)
{
    (void)w;
    return !strcmp(usta_env_error(NULL), "") && !strcmp(usta_session_error(NULL), "");
}

static int tensor_sizes(world *w)
{
    (void)w;
    usta_tensor t = {.type = USTA_TYPE_FLOAT, .rank = 1, .dims = {-3}};
    int ok = usta_tensor_bytes(NULL) == 0 && usta_tensor_count(NULL) == -1 &&
             usta_tensor_bytes(&t) == 0 && usta_tensor_count(&t) == -1;
    t.rank = 13;
    ok = ok && usta_tensor_bytes(&t) == 0 && usta_tensor_count(&t) == -1;
    t.rank = 0;
    ok = ok && usta_tensor_bytes(&t) == 4 && usta_tensor_count(&t) == 1;
    t.type = 99;
    ok = ok && usta_tensor_bytes(&t) == 0;
    t = (usta_tensor){.type = USTA_TYPE_INT4, .rank = 1, .dims = {3}};
    return ok && usta_tensor_bytes(&t) == 2;
}

static int env_new(world *w)
{
    (void)w;
    usta_env_settings zero = {0};
    usta_env *env = NULL;
    return usta_env_new(NULL, NULL) == USTA_ARG && usta_env_new(&zero, &env) == USTA_ARG &&
           !env;
}

static int model_open(world *w)
{
    usta_model *m = NULL;
    usta_model_settings zero = {0};
    return usta_model_open(NULL, "x", NULL, &m) == USTA_ARG &&
           usta_model_open(w->env, NULL, NULL, &m) == USTA_ARG &&
           usta_model_open(w->env, "x", NULL, NULL) == USTA_ARG &&
           usta_model_open(w->env, "x", &zero, &m) == USTA_ARG &&
           usta_model_open(w->env, "", NULL, &m) != USTA_OK && !m;
}

static int model_parse(world *w)
{
    usta_model *m = NULL;
    usta_model_settings zero = {0};
    return usta_model_parse(NULL, "x", 1, NULL, &m) == USTA_ARG &&
           usta_model_parse(w->env, NULL, 1, NULL, &m) == USTA_ARG &&
           usta_model_parse(w->env, "x", 1, NULL, NULL) == USTA_ARG &&
           usta_model_parse(w->env, "x", 1, &zero, &m) == USTA_ARG &&
           usta_model_parse(w->env, "x", 0, NULL, &m) == USTA_FORMAT &&
           usta_model_parse(w->env, w->bytes.p, w->bytes.n / 2, NULL, &m) != USTA_OK && !m;
}

static int model_counts(world *w)
{
    (void)w;
    return usta_model_n_inputs(NULL) == 0 && usta_model_n_outputs(NULL) == 0;
}

static int model_ends(world *w)
{
    usta_value_info unset = {0}, info = {.struct_size = sizeof info};
    return usta_model_input(NULL, 0, &info) == USTA_ARG &&
           usta_model_input(w->model, 0, NULL) == USTA_ARG &&
           usta_model_input(w->model, 0, &unset) == USTA_ARG &&
           usta_model_input(w->model, SIZE_MAX, &info) == USTA_ARG &&
           usta_model_output(NULL, 0, &info) == USTA_ARG &&
           usta_model_output(w->model, 0, NULL) == USTA_ARG &&
           usta_model_output(w->model, 0, &unset) == USTA_ARG &&
           usta_model_output(w->model, SIZE_MAX, &info) == USTA_ARG;
}

static int typing(world *w)
{
    char text[1] = {'x'};
    usta_value_info info = {.struct_size = sizeof info}, unset = {0};
    if (usta_model_input(w->model, 0, &info) != USTA_OK) return 0;
    return usta_typing_text(NULL, info.typing, text, 1) == 0 &&
           usta_typing_text(w->model, NULL, text, 1) == 0 &&
           usta_typing_text(w->model, info.typing, NULL, 1) == 0 &&
           usta_typing_text(w->model, info.typing, NULL, 0) == 10 &&
           usta_typing_text(w->model, info.typing, text, 1) == 10 && text[0] == '\0' &&
           usta_typing_inner(NULL, info.typing, &info) == USTA_ARG &&
           usta_typing_inner(w->model, NULL, &info) == USTA_ARG &&
           usta_typing_inner(w->model, info.typing, NULL) == USTA_ARG &&
           usta_typing_inner(w->model, info.typing, &unset) == USTA_ARG &&
           usta_typing_inner(w->model, info.typing, &info) == USTA_NOTFOUND;
}

static int model_says(world *w)
{
    usta_model_info unset = {0}, info = {.struct_size = sizeof info};
    usta_str v = {"kept", 4};
    return usta_model_about(NULL, &info) == USTA_ARG &&
           usta_model_about(w->model, NULL) == USTA_ARG &&
           usta_model_about(w->model, &unset) == USTA_ARG &&
           usta_model_opset(NULL, 0, NULL, NULL) == USTA_ARG &&
           usta_model_opset(w->model, 0, NULL, NULL) == USTA_OK &&
           usta_model_opset(w->model, SIZE_MAX, NULL, NULL) == USTA_ARG &&
           usta_model_prop_at(NULL, 0, NULL, NULL) == USTA_ARG &&
           usta_model_prop_at(w->model, SIZE_MAX, NULL, NULL) == USTA_ARG &&
           !usta_model_prop(NULL, "colour", &v) && !usta_model_prop(w->model, NULL, &v) &&
           !usta_model_prop(w->model, "none", &v) && v.n == 4 &&
           usta_model_prop(w->model, "colour", NULL) && usta_model_infer(NULL) == USTA_ARG;
}

static int graph_counts(world *w)
{
    (void)w;
    size_t n = 7, m = 7;
    return !usta_model_graph(NULL) && !strcmp(usta_graph_name(NULL), "") &&
           !usta_graph_parent(NULL) && usta_graph_n_nodes(NULL) == 0 &&
           usta_graph_n_values(NULL) == 0 && !usta_graph_inputs(NULL, &n) && n == 0 &&
           !usta_graph_outputs(NULL, &m) && m == 0 && !usta_graph_inputs(NULL, NULL) &&
           usta_graph_outputs(G(w), NULL);
}

static int graph_values(world *w)
{
    usta_value_info unset = {0};
    usta_value_place lost = {0};
    usta_tensor t;
    return usta_graph_value(NULL, 0, NULL, NULL) == USTA_ARG &&
           usta_graph_value(G(w), USTA_NO_VALUE, NULL, NULL) == USTA_ARG &&
           usta_graph_value(G(w), 0, &unset, NULL) == USTA_ARG &&
           usta_graph_value(G(w), 0, NULL, &lost) == USTA_ARG &&
           usta_graph_value(G(w), 0, NULL, NULL) == USTA_OK &&
           usta_graph_find(NULL, "x") == USTA_NO_VALUE &&
           usta_graph_find(G(w), NULL) == USTA_NO_VALUE &&
           usta_graph_tensor(NULL, 0, &t) == USTA_ARG &&
           usta_graph_tensor(G(w), 0, NULL) == USTA_ARG &&
           usta_graph_tensor(G(w), USTA_NO_VALUE, &t) == USTA_ARG;
}

static int graph_nodes(world *w)
{
    usta_node_info unset = {0}, info = {.struct_size = sizeof info};
    return usta_graph_node(NULL, 0, &info) == USTA_ARG &&
           usta_graph_node(G(w), 0, NULL) == USTA_ARG &&
           usta_graph_node(G(w), 0, &unset) == USTA_ARG &&
           usta_graph_node(G(w), SIZE_MAX, &info) == USTA_ARG;
}

static int graph_attributes(world *w)
{
    usta_attribute_info unset = {0}, info = {.struct_size = sizeof info};
    usta_value_info type = {.struct_size = sizeof type};
    usta_tensor t;
    return usta_graph_attribute(NULL, 0, 0, &info) == USTA_ARG &&
           usta_graph_attribute(G(w), 0, 0, NULL) == USTA_ARG &&
           usta_graph_attribute(G(w), 0, 0, &unset) == USTA_ARG &&
           usta_graph_attribute(G(w), SIZE_MAX, 0, &info) == USTA_ARG &&
           usta_graph_attribute(G(w), 0, SIZE_MAX, &info) == USTA_ARG &&
           usta_graph_attribute_tensor(NULL, 0, 0, 0, &t) == USTA_ARG &&
           usta_graph_attribute_tensor(G(w), 0, 0, 0, NULL) == USTA_ARG &&
           usta_graph_attribute_tensor(G(w), 0, 0, 0, &t) == USTA_NOTFOUND &&
           usta_graph_attribute_type(NULL, 0, 0, 0, &type) == USTA_ARG &&
           usta_graph_attribute_type(G(w), 0, 0, 0, NULL) == USTA_ARG &&
           usta_graph_attribute_type(G(w), 0, 0, 0, &type) == USTA_NOTFOUND &&
           !usta_graph_attribute_graph(NULL, 0, 0, 0) &&
           !usta_graph_attribute_graph(G(w), 0, 0, 0) &&
           !usta_graph_attribute_graph(G(w), SIZE_MAX, 0, 0);
}

static int functions(world *w)
{
    usta_function_info info = {.struct_size = sizeof info};
    return usta_model_function(NULL, 0, &info) == USTA_ARG &&
           usta_model_function(w->model, 0, NULL) == USTA_ARG &&
           usta_model_function(w->model, 0, &info) == USTA_ARG;
}

static int session_new(world *w)
{
    usta_session *s = NULL;
    usta_session_settings zero = {0};
    return usta_session_new(NULL, NULL, &s) == USTA_ARG &&
           usta_session_new(w->model, NULL, NULL) == USTA_ARG &&
           usta_session_new(w->model, &zero, &s) == USTA_ARG && !s;
}

static int session_run(world *w)
{
    float data[4] = {1, 2, 3, 4};
    usta_tensor x = f32(1, 2, data), y = {.rank = -7}, bad = x;
    int ok = usta_session_run(NULL, &x, 1, &y, 1) == USTA_ARG &&
             usta_session_run(w->session, NULL, 1, &y, 1) == USTA_ARG &&
             usta_session_run(w->session, &x, 1, NULL, 1) == USTA_ARG &&
             usta_session_run(w->session, &x, 2, &y, 1) == USTA_ARG &&
             usta_session_run(w->session, &x, 1, &y, 2) == USTA_ARG;
    bad.data = NULL;
    ok = ok && usta_session_run(w->session, &bad, 1, &y, 1) == USTA_ARG;
    bad = f32(INT64_MAX, INT64_MAX, data);
    ok = ok && usta_session_run(w->session, &bad, 1, &y, 1) != USTA_OK;
    bad = x;
    bad.type = USTA_TYPE_DOUBLE;
    ok = ok && usta_session_run(w->session, &bad, 1, &y, 1) == USTA_ARG;
    bad = x;
    bad.rank = 1;
    ok = ok && usta_session_run(w->session, &bad, 1, &y, 1) == USTA_SHAPE;
    return ok && y.rank == -7; /* untouched by all of these */
}

static int session_run_into(world *w)
{
    float data[4] = {1, 2, 3, 4}, own[3] = {7, 7, 7};
    usta_tensor x = f32(1, 2, data), y = f32(1, 3, own), bad = y;
    int ok = usta_session_run_into(NULL, &x, 1, &y, 1) == USTA_ARG &&
             usta_session_run_into(w->session, NULL, 1, &y, 1) == USTA_ARG &&
             usta_session_run_into(w->session, &x, 1, NULL, 1) == USTA_ARG &&
             usta_session_run_into(w->session, &x, 0, &y, 1) == USTA_ARG;
    bad.data = NULL;
    ok = ok && usta_session_run_into(w->session, &x, 1, &bad, 1) == USTA_ARG;
    bad = y;
    bad.type = USTA_TYPE_INT32;
    ok = ok && usta_session_run_into(w->session, &x, 1, &bad, 1) == USTA_SHAPE;
    bad = y;
    bad.rank = 3;
    bad.dims[2] = 1;
    ok = ok && usta_session_run_into(w->session, &x, 1, &bad, 1) == USTA_SHAPE;
    return ok && own[0] == 7;
}

static int session_run_values(world *w)
{
    usta_value v = {.kind = USTA_KIND_NONE}, y = {.kind = 99};
    return usta_session_run_values(NULL, &v, 1, &y, 1) == USTA_ARG &&
           usta_session_run_values(w->session, NULL, 1, &y, 1) == USTA_ARG &&
           usta_session_run_values(w->session, &v, 1, NULL, 1) == USTA_ARG &&
           usta_session_run_values(w->session, &v, 1, &y, 1) != USTA_OK && y.kind == 99;
}

static int figures(world *w)
{
    usta_profile_row row = {.struct_size = sizeof row};
    usta_session_info unset = {0}, info = {.struct_size = sizeof info};
    return usta_session_n_profile(NULL) == 0 &&
           usta_session_profile(NULL, 0, &row) == USTA_ARG &&
           usta_session_profile(w->session, 0, NULL) == USTA_ARG &&
           usta_session_profile(w->session, 0, &row) == USTA_ARG &&
           usta_session_about(NULL, &info) == USTA_ARG &&
           usta_session_about(w->session, NULL) == USTA_ARG &&
           usta_session_about(w->session, &unset) == USTA_ARG;
}

/* clang-format off */
static const misuse rows[] = {
    {"usta_env_defaults", defaults_take_null},          {"usta_env_error", errors_of_nothing},
    {"usta_env_free", frees_take_null},                 {"usta_env_new", env_new},
    {"usta_err_name", words},                           {"usta_err_text", words},
    {"usta_features", words},                           {"usta_graph_attribute", graph_attributes},
    {"usta_graph_attribute_graph", graph_attributes},   {"usta_graph_attribute_tensor", graph_attributes},
    {"usta_graph_attribute_type", graph_attributes},    {"usta_graph_find", graph_values},
    {"usta_graph_inputs", graph_counts},                {"usta_graph_n_nodes", graph_counts},
    {"usta_graph_n_values", graph_counts},              {"usta_graph_name", graph_counts},
    {"usta_graph_node", graph_nodes},                   {"usta_graph_outputs", graph_counts},
    {"usta_graph_parent", graph_counts},                {"usta_graph_tensor", graph_values},
    {"usta_graph_value", graph_values},                 {"usta_model_about", model_says},
    {"usta_model_defaults", defaults_take_null},        {"usta_model_free", frees_take_null},
    {"usta_model_function", functions},                 {"usta_model_graph", graph_counts},
    {"usta_model_infer", model_says},                   {"usta_model_input", model_ends},
    {"usta_model_n_inputs", model_counts},              {"usta_model_n_outputs", model_counts},
    {"usta_model_open", model_open},                    {"usta_model_opset", model_says},
    {"usta_model_output", model_ends},                  {"usta_model_parse", model_parse},
    {"usta_model_prop", model_says},                    {"usta_model_prop_at", model_says},
    {"usta_session_about", figures},                    {"usta_session_cancel", frees_take_null},
    {"usta_session_defaults", defaults_take_null},      {"usta_session_error", errors_of_nothing},
    {"usta_session_free", frees_take_null},             {"usta_session_n_profile", figures},
    {"usta_session_new", session_new},                  {"usta_session_profile", figures},
    {"usta_session_profile_reset", frees_take_null},    {"usta_session_run", session_run},
    {"usta_session_run_into", session_run_into},        {"usta_session_run_values", session_run_values},
    {"usta_tensor_bytes", tensor_sizes},                {"usta_tensor_count", tensor_sizes},
    {"usta_type_name", words},                          {"usta_typing_inner", typing},
    {"usta_typing_text", typing},                       {"usta_version", words},
};
/* clang-format on */

static void test_misuse__each_answers_as_documented(void)
{
    world w;
    world_begin(&w, NET);
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (!rows[i].fn(&w)) US_TEST_FAIL("%s: not as documented", rows[i].name);
    float data[2] = {1, 1};
    usta_tensor x = f32(1, 2, data), y;
    CHECK_USTA(&w, usta_session_run(w.session, &x, 1, &y, 1)); /* and after all that */
    CHECK_NEAR(((float *)y.data)[2], 9, 1e-6);
    world_end(&w);
}

static void test_misuse__every_function_has_a_row(void)
{
    us_ctx c;
    us_buf b;
    us_ctx_init(&c);
    us_buf_init(&b, &c, (size_t)1 << 20);
    CHECK_OK(&c, us_file_read(&c, US_TEST_SOURCE_ROOT "/tools/abi-symbols.txt", &b));
    size_t n = 0;
    for (char *line = b.p, *end; (end = strchr(line, '\n')); line = end + 1) {
        bool found = false;
        *end = '\0';
        for (size_t i = 0; i < US_LEN(rows); i++)
            found = found || strcmp(rows[i].name, line) == 0;
        if (!found) US_TEST_FAIL("%s has no row", line);
        n++;
    }
    CHECK_EQ_U64(n, US_LEN(rows));
    us_buf_deinit(&b);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_misuse__each_answers_as_documented),
        US_CASE(test_misuse__every_function_has_a_row),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
