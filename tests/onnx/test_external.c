/* External data: where it may lie, what its entries may say, and writing it. */
#include "pb.h"

#include "onnx/onnx.h"

static void entry(pb *t, const char *key, const char *value)
{
    pb e = {.n = 0};
    pb_str(&e, 1, key);
    pb_str(&e, 2, value);
    pb_msg(t, 13, &e);
}

static void model_with(pb *m, const char *location, const char *offset, const char *length)
{
    const int64_t dims[] = {1, 3};
    pb g = {.n = 0}, t = {.n = 0};
    pb_tensor_head(&t, "w", 1, 2, dims);
    entry(&t, "location", location);
    if (offset) entry(&t, "offset", offset);
    if (length) entry(&t, "length", length);
    pb_int(&t, 14, 1);
    pb_msg(&g, 5, &t);
    pb_info(&g, 11, "x", 3);
    pb_info(&g, 12, "y", 3);
    pb_node(&g, "Add", "x", "w", "y", NULL);
    pb_model(m, &g);
}

static us_err read_at(us_ctx *c, const char *location, const char *offset, const char *length,
                      us_model **out)
{
    char path[1024];
    pb m = {.n = 0};
    model_with(&m, location, offset, length);
    us_test_tmp(path, sizeof path, "in/model.onnx");
    us_test_write_file(path, m.p, m.n);
    return us_onnx_read(c, path, NULL, out);
}

static void prepare(void)
{
    static const float w[] = {9, 1, 2, 3};
    char path[1024], target[1024];
    us_ctx c;
    us_ctx_init(&c);
    us_test_tmp(path, sizeof path, "in/sub");
    CHECK_OK(&c, us_mkdirs(&c, path));
    us_test_write_file(us_test_tmp(path, sizeof path, "in/w.data"), w, sizeof w);
    us_test_write_file(us_test_tmp(path, sizeof path, "in/sub/w.data"), w, sizeof w);
    us_test_write_file(us_test_tmp(path, sizeof path, "secret"), w, sizeof w);
    us_test_tmp(target, sizeof target, "secret");
    us_test_tmp(path, sizeof path, "in/link");
    (void)unlink(path);
    CHECK(symlink(target, path) == 0);
    us_test_tmp(path, sizeof path, "in/inner");
    (void)unlink(path);
    CHECK(symlink("w.data", path) == 0);
    us_test_tmp(path, sizeof path, "in/up");
    (void)unlink(path);
    CHECK(symlink("..", path) == 0);
    us_ctx_deinit(&c);
}

static void test_external__read(void)
{
    static const char *const good[] = {"w.data", "sub/w.data", "./w.data", "inner"};
    us_ctx c;
    us_ctx_init(&c);
    prepare();
    for (size_t i = 0; i < US_LEN(good); i++) {
        us_model *m = NULL;
        CHECK_OK(&c, read_at(&c, good[i], "4", "12", &m));
        const us_tensor *t = &m->main->vals.at[us_graph_find(m->main, US_SV("w"))].data->t;
        CHECK_NEAR(us_tensor_f64_at(t, 2), 3, 0);
        us_model_free(m);
    }
    us_ctx_deinit(&c);
}

static void test_external__traps(void)
{
    static const struct {
        const char *location, *offset, *length;
        us_err code;
    } rows[] = {
        {"../secret", NULL, NULL, US_FORMAT},
        {"/etc/passwd", NULL, NULL, US_FORMAT},
        {"sub/../w.data", NULL, NULL, US_FORMAT},
        {"..", NULL, NULL, US_FORMAT},
        {"", NULL, NULL, US_FORMAT},
        {"..\\secret", NULL, NULL, US_FORMAT},
        {"link", NULL, NULL, US_FORMAT},
        {"up/secret", NULL, NULL, US_FORMAT},
        {"sub", NULL, NULL, US_FORMAT},
        {"missing", NULL, NULL, US_IO},
        {"w.data", "8", NULL, US_FORMAT},
        {"w.data", "-4", NULL, US_FORMAT},
        {"w.data", "0", "13", US_FORMAT},
        {"w.data", "9223372036854775807", NULL, US_FORMAT},
        {"w.data", "x", NULL, US_FORMAT},
        {"w.data", "18446744073709551615", NULL, US_FORMAT},
    };
    us_ctx c;
    us_ctx_init(&c);
    prepare();
    for (size_t i = 0; i < US_LEN(rows); i++) {
        us_model *m = NULL;
        us_err e = read_at(&c, rows[i].location, rows[i].offset, rows[i].length, &m);
        if (e != rows[i].code || m)
            US_TEST_FAIL("row %zu ('%s') gave %s: %s", i, rows[i].location, us_test_err_name(e),
                         c.diag.text);
    }
    us_ctx_deinit(&c);
}

static void test_external__not_from_memory(void)
{
    us_ctx c;
    us_model *m = NULL;
    pb b = {.n = 0};
    us_ctx_init(&c);
    model_with(&b, "w.data", NULL, NULL);
    CHECK_ERR(us_onnx_parse(&c, "t", b.p, b.n, NULL, NULL, &m), US_UNSUPP);
    const us_onnx_opts o = {.descriptors_only = true};
    CHECK_OK(&c, us_onnx_parse(&c, "t", b.p, b.n, NULL, &o, &m));
    us_buf out;
    us_buf_init(&out, &c, 1 << 20);
    CHECK_ERR(us_onnx_print(&c, m, &out), US_ARG); /* what was not loaded cannot be written */
    us_buf_deinit(&out);
    us_model_free(m);
    us_ctx_deinit(&c);
}

/* Written apart, read back equal; written whole again, the same bytes as the first. */
static void test_external__write_and_read_back(void)
{
    static float big[1024];
    const int64_t dims[] = {1024};
    us_ctx c;
    us_model *m, *back;
    us_vid v;
    us_tensor t;
    us_buf a, b;
    char path[1024], data[1024];
    us_ctx_init(&c);
    us_buf_init(&a, &c, 1 << 20);
    us_buf_init(&b, &c, 1 << 20);
    for (int i = 0; i < 1024; i++)
        big[i] = (float)i;
    CHECK_OK(&c, us_model_new(&c, &m));
    CHECK_OK(&c, us_tensor_init(&c, &t, US_F32, 1, dims, big));
    CHECK_OK(&c, us_graph_add_const(&c, m->main, US_SV("w"), US_ST_CONST, &t, &v));
    CHECK_OK(&c, us_graph_add_output(&c, m->main, v));
    CHECK_OK(&c, us_onnx_print(&c, m, &a));
    us_test_tmp(path, sizeof path, "apart.onnx");
    CHECK_OK(&c, us_onnx_write(&c, m, path, 1000));
    CHECK(us_path_exists(us_test_tmp(data, sizeof data, "apart.onnx.data")));
    CHECK_OK(&c, us_onnx_read(&c, path, NULL, &back));
    CHECK_EQ_U64(back->externals.n, 1);
    CHECK_OK(&c, us_onnx_print(&c, back, &b));
    CHECK_EQ_U64(a.n, b.n);
    CHECK_EQ_MEM(a.p, b.p, a.n);
    us_model_free(back);
    us_model_free(m);
    us_buf_deinit(&a);
    us_buf_deinit(&b);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_external__read),
        US_CASE(test_external__traps),
        US_CASE(test_external__not_from_memory),
        US_CASE(test_external__write_and_read_back),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
