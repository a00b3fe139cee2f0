/* What we write: the bytes of small things, determinism, nothing lost, and what the onnx package's checker says. */
#include "pb.h"

#include "ir/build.h"
#include "onnx/onnx.h"

static us_model *classifier(us_ctx *c)
{
    static const float w[] = {1, 2, 3, 4, 5, 6};
    static const int64_t dims[] = {3, 2};
    us_model *m;
    us_vid x;
    us_sym n;
    CHECK_OK(c, us_model_new(c, &m));
    CHECK_OK(c, us_syms_named(c, &m->syms, US_SV("N"), &n));
    us_dim xd[] = {US_DIM_SYM(n), US_DIM(3)}, yd[] = {US_DIM_SYM(n), US_DIM(2)};
    us_type tx = us_type_tensor(US_F32, 2, xd), ty = us_type_tensor(US_F32, 2, yd);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &tx, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    us_vid h = us_b2(&b, "MatMul", x, us_b_const(&b, "w", US_F32, 2, dims, w));
    us_vid y = us_b1(&b, "Softmax", h);
    us_b_int(&b, "axis", -1);
    y = us_b_name(&b, y, "y");
    CHECK_OK(c, us_b_end(&b));
    CHECK_OK(c, us_graph_add_output(c, m->main, y));
    CHECK_OK(c, us_type_dup(c, m->arena, &ty, &m->main->vals.at[y].type));
    CHECK_OK(c, us_model_set_prop(c, m, US_SV("made"), US_SV("here")));
    CHECK_OK(c, us_graph_verify(c, m->main));
    return m;
}

static void test_write__deterministic(void)
{
    us_ctx c;
    us_buf a, b;
    us_ctx_init(&c);
    us_buf_init(&a, &c, 1 << 20);
    us_buf_init(&b, &c, 1 << 20);
    us_model *m1 = classifier(&c), *m2 = classifier(&c);
    CHECK_OK(&c, us_onnx_print(&c, m1, &a));
    CHECK_OK(&c, us_onnx_print(&c, m2, &b));
    CHECK_EQ_U64(a.n, b.n);
    CHECK_EQ_MEM(a.p, b.p, a.n);
    us_model_free(m1);
    us_model_free(m2);
    us_buf_deinit(&a);
    us_buf_deinit(&b);
    us_ctx_deinit(&c);
}

static bool holds(const us_buf *b, const char *words)
{
    size_t n = strlen(words);
    for (size_t i = 0; i + n <= b->n; i++)
        if (memcmp(b->p + i, words, n) == 0) return true;
    return false;
}

static void test_write__unknown_fields_are_kept(void)
{
    static const char *const words[] = {"model extra",  "node extra", "tensor extra",
                                        "what it does", "small",      "hand"};
    us_ctx c;
    us_model *m;
    us_buf a;
    pb in = {.n = 0};
    us_ctx_init(&c);
    us_buf_init(&a, &c, 1 << 20);
    pb_small(&in);
    CHECK_OK(&c, us_onnx_parse(&c, "t", in.p, in.n, NULL, NULL, &m));
    CHECK_OK(&c, us_onnx_print(&c, m, &a));
    for (size_t i = 0; i < US_LEN(words); i++)
        if (!holds(&a, words[i])) US_TEST_FAIL("\"%s\" was lost", words[i]);
    us_model_free(m);
    us_buf_deinit(&a);
    us_ctx_deinit(&c);
}

static void test_write__no_half_file(void)
{
    us_ctx c;
    char path[1024];
    us_ctx_init(&c);
    us_model *m = classifier(&c);
    us_test_tmp(path, sizeof path, "missing/x.onnx");
    CHECK_ERR(us_onnx_write(&c, m, path, 0), US_IO);
    /* a tensor whose data was not loaded fails in the middle: the old file stays */
    us_test_tmp(path, sizeof path, "old.onnx");
    us_test_write_file(path, "old", 3);
    m->main->vals.at[us_graph_find(m->main, US_SV("w"))].data->t.data = NULL;
    CHECK_ERR(us_onnx_write(&c, m, path, 0), US_ARG);
    us_buf b;
    us_buf_init(&b, &c, 100);
    CHECK_OK(&c, us_file_read(&c, path, &b));
    CHECK_EQ_U64(b.n, 3);
    us_buf_deinit(&b);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void python_checks(const char *path)
{
    char cmd[2300];
    snprintf(
        cmd, sizeof cmd,
        "/usr/bin/python3 -c \"import onnx,sys; onnx.checker.check_model(sys.argv[1])\" '%s'",
        path);
    CHECK_EQ_I64(system(cmd), 0);
}

static void need_python(void)
{
    if (system("/usr/bin/python3 -c 'import onnx' >/dev/null 2>&1") != 0)
        US_SKIP("no /usr/bin/python3 with the onnx package");
}

static void test_write__onnx_checker_accepts(void)
{
    us_ctx c;
    char path[1024];
    need_python();
    us_ctx_init(&c);
    us_model *m = classifier(&c);
    us_test_tmp(path, sizeof path, "small.onnx");
    CHECK_OK(&c, us_onnx_write(&c, m, path, 0));
    python_checks(path);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static void test_write__onnx_checker_accepts_rewritten_corpus(void)
{
    static const char *const names[] = {
        "models/vision-classify/mnist8_cntk.onnx", "models/text/g2p_arpabet.onnx",
        "models/audio/micro_kws_m_static_qdq.onnx", "models/tabular/sklearn_randomforest.onnx",
        "models/audio/silero_vad_16k_op15.onnx"};
    need_python();
    for (size_t i = 0; i < US_LEN(names); i++) {
        us_ctx c;
        us_model *m;
        char path[1024];
        us_ctx_init(&c);
        CHECK_OK(&c, us_onnx_read(&c, us_test_corpus(path, sizeof path, names[i]), NULL, &m));
        us_test_tmp(path, sizeof path, "rewritten.onnx");
        CHECK_OK(&c, us_onnx_write(&c, m, path, 0));
        us_model_free(m);
        us_ctx_deinit(&c);
        python_checks(path);
    }
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_write__deterministic),
        US_CASE(test_write__unknown_fields_are_kept),
        US_CASE(test_write__no_half_file),
        US_CASE(test_write__onnx_checker_accepts),
        US_CASE(test_write__onnx_checker_accepts_rewritten_corpus),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
