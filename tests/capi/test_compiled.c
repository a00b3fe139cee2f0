/* A compiled plan through the public C API: opened like a model, the same results, and what it says of itself. */
#include "capi_fixture.h"

#include "base/file.h"
#include "exec/planfile.h"

static void compile(us_ctx *c, const char *path)
{
    us_model *m;
    us_plan *p;
    CHECK_OK(c, us_model_parse(c, us_sv_of(NET), &m));
    CHECK_OK(c, us_model_set_prop(c, m, US_SV("colour"), US_SV("blue")));
    CHECK_OK(c, us_plan_new(c, m, NULL, &p));
    CHECK_OK(c, us_planfile_write(c, p, path, NULL));
    us_plan_free(p);
}

static void test_usta_compiled__runs(void)
{
    us_ctx c;
    char path[512];
    usta_env *env;
    usta_model *m;
    usta_session *s, *t;
    usta_str colour;
    float data[2] = {1, 1};
    usta_tensor x = {.type = USTA_TYPE_FLOAT, .rank = 2, .dims = {1, 2}, .data = data}, y;
    usta_value_info info = {.struct_size = sizeof info};
    us_ctx_init(&c);
    compile(&c, us_test_tmp(path, sizeof path, "net.plan"));
    CHECK(usta_env_new(NULL, &env) == USTA_OK);
    CHECK_EQ_I64(usta_model_open(env, path, NULL, &m), USTA_OK);
    CHECK_EQ_U64(usta_model_n_inputs(m), 1);
    CHECK(usta_model_input(m, 0, &info) == USTA_OK);
    CHECK_EQ_STR(info.name, "x");
    CHECK_EQ_STR(info.dim_names[0], "N");
    CHECK(usta_model_prop(m, "colour", &colour) && colour.n == 4);
    CHECK_EQ_I64(usta_model_infer(m), USTA_OK);
    CHECK_EQ_I64(usta_session_new(m, NULL, &s), USTA_OK);
    CHECK_EQ_I64(usta_session_new(m, NULL, &t), USTA_OK);
    CHECK_EQ_I64(usta_session_run(s, &x, 1, &y, 1), USTA_OK);
    CHECK_NEAR(((float *)y.data)[2], 9, 1e-6);
    CHECK_EQ_I64(usta_session_run(t, &x, 1, &y, 1), USTA_OK);
    CHECK_NEAR(((float *)y.data)[0], 5.5, 1e-6);
    usta_session_free(t);
    usta_session_free(s);
    usta_model_free(m);
    usta_env_free(env);
    us_ctx_deinit(&c);
}

static void test_usta_compiled__refused(void)
{
    us_ctx c;
    char path[512];
    us_buf b;
    usta_env *env;
    usta_model *m = NULL;
    usta_session *s = NULL;
    const char *const names[] = {"x"};
    usta_model_settings set;
    us_ctx_init(&c);
    compile(&c, us_test_tmp(path, sizeof path, "refused.plan"));
    CHECK(usta_env_new(NULL, &env) == USTA_OK);
    usta_model_defaults(&set);
    set.n_overrides = 1;
    set.overrides = names;
    CHECK_EQ_I64(usta_model_open(env, path, &set, &m), USTA_ARG);
    CHECK(strstr(usta_env_error(env), "before a plan is compiled") != NULL);
    usta_model_defaults(&set);
    set.no_weights = 1;
    CHECK_EQ_I64(usta_model_open(env, path, &set, &m), USTA_OK);
    CHECK_EQ_I64(usta_session_new(m, NULL, &s), USTA_UNSUPP);
    usta_model_free(m);
    m = NULL;
    us_buf_init(&b, &c, 1 << 20);
    CHECK_OK(&c, us_file_read(&c, path, &b));
    CHECK_EQ_I64(usta_model_parse(env, b.p, b.n, NULL, &m), USTA_UNSUPP);
    CHECK_OK(&c, us_file_replace(&c, path, b.p, b.n - 1));
    CHECK_EQ_I64(usta_model_open(env, path, NULL, &m), USTA_FORMAT);
    CHECK(strstr(usta_env_error(env), "cut short") != NULL);
    CHECK(m == NULL);
    us_buf_deinit(&b);
    usta_env_free(env);
    us_ctx_deinit(&c);
}

static const us_test_case cases[] = {
    US_CASE(test_usta_compiled__runs),
    US_CASE(test_usta_compiled__refused),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
