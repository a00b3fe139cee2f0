/* test_planfile.c - compiled plans: the same bytes of results, refused when they are not ours, cut short or damaged. */
#include "exec_fixture.h"

#include "base/file.h"
#include "exec/planfile.h"
#include "exec/planhead.h"
#include "kernel/kernels.h"
#include "onnx/onnx.h"
#include "us_torture.h"

/* Two products, one with a bias and what follows it, and a third that reads a sub-graph's constants. */
static const char dense[] = "model ir=8 opset=17\n"
                            "graph main(x: float[N,4], c: bool) -> (y) {\n"
                            "  const w: float[4,3] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}\n"
                            "  const v: float[3,3] = {1, 0, 2, 0, 1, 0, 3, 0, 1}\n"
                            "  const b: float[3] = {0.5, -1, 0}\n"
                            "  h = Gemm(x, w, b) {alpha=1.0}\n"
                            "  r = Relu(h)\n"
                            "  m = MatMul(r, v)\n"
                            "  y = If(c) {then_branch=graph t () -> (a) {\n"
                            "      const u: float[3,3] = {1, 1, 1, 0, 1, 1, 0, 0, 1}\n"
                            "      a = MatMul(^m, u)\n"
                            "    }, else_branch=graph e () -> (d) {\n"
                            "      d = Sigmoid(^m)\n"
                            "    }}\n"
                            "}\n";

static const char *plan_path(char out[512], const char *name)
{
    return us_test_tmp(out, 512, name);
}

static void compile(fixture *f, const char *text, const char *path)
{
    us_planfile_info info;
    CHECK_OK(&f->c, us_plan_new(&f->c, model_of(&f->c, text), NULL, &f->plan));
    CHECK_OK(&f->c, us_planfile_write(&f->c, f->plan, path, &info));
    us_plan_free(f->plan);
    f->plan = NULL;
}

static void run_dense(fixture *f, us_plan *p, bool c, float *y)
{
    us_session *s;
    const float x[8] = {1, -2, 3, 0.25F, 5, 6, -7, 8};
    us_value in[2] = {tensor_of(f, US_F32, (int64_t[]){2, 4, -1}, x),
                      tensor_of(f, US_BOOL, (int64_t[]){-1}, &c)};
    us_value out[1];
    CHECK_OK(&f->c, us_session_new(&f->c, p, NULL, &s));
    CHECK_OK(&f->c, us_session_run(&f->c, s, in, out));
    CHECK_EQ_U64(us_tensor_count(&out[0].t), 6);
    memcpy(y, out[0].t.data, 6 * sizeof *y);
    us_session_free(s);
}

static void test_planfile__same_results(void)
{
    fixture f;
    char path[512];
    float want[6], got[6];
    fixture_begin(&f);
    plan_path(path, "dense.plan");
    for (int c = 0; c < 2; c++) {
        CHECK_OK(&f.c, us_plan_new(&f.c, model_of(&f.c, dense), NULL, &f.plan));
        us_planfile_info info;
        CHECK_OK(&f.c, us_planfile_write(&f.c, f.plan, path, &info));
        CHECK(info.n_packed == 3);
        CHECK(info.packed_bytes > 0 && info.packed_bytes <= info.data_bytes);
        run_dense(&f, f.plan, c, want);
        us_plan_free(f.plan);
        f.plan = NULL;
        CHECK_OK(&f.c, us_planfile_read(&f.c, path, &f.plan));
        CHECK_EQ_U64(us_plan_n_inputs(f.plan), 2);
        CHECK(us_sv_is(us_plan_output_name(f.plan, 0), "y"));
        run_dense(&f, f.plan, c, got);
        CHECK_EQ_MEM(got, want, sizeof want);
        us_plan_free(f.plan);
        f.plan = NULL;
    }
    fixture_end(&f);
}

/* The plan of a plan: the same file. */
static void test_planfile__again(void)
{
    fixture f;
    char first[512], second[512];
    us_buf a, b;
    fixture_begin(&f);
    compile(&f, dense, plan_path(first, "first.plan"));
    CHECK_OK(&f.c, us_planfile_read(&f.c, first, &f.plan));
    CHECK_OK(&f.c, us_planfile_write(&f.c, f.plan, plan_path(second, "second.plan"), NULL));
    us_buf_init(&a, &f.c, 1 << 20);
    us_buf_init(&b, &f.c, 1 << 20);
    CHECK_OK(&f.c, us_file_read(&f.c, first, &a));
    CHECK_OK(&f.c, us_file_read(&f.c, second, &b));
    CHECK_EQ_U64(a.n, b.n);
    CHECK_EQ_MEM(a.p, b.p, a.n);
    us_buf_deinit(&a);
    us_buf_deinit(&b);
    fixture_end(&f);
}

/* The packed weights are taken from the file: they are changed there, and the result is another. */
static void test_planfile__packed_weights_are_used(void)
{
    fixture f;
    char path[512];
    us_buf b;
    us_block block = {0};
    float want[6], got[6];
    fixture_begin(&f);
    compile(&f, dense, plan_path(path, "used.plan"));
    us_buf_init(&b, &f.c, 1 << 20);
    CHECK_OK(&f.c, us_file_read(&f.c, path, &b));
    CHECK_OK(&f.c, us_block_get(&f.c, &block, b.n, 64, false));
    memcpy(block.p, b.p, b.n);
    CHECK_OK(&f.c, us_planfile_parse(&f.c, "t", block.p, b.n, false, &f.plan));
    run_dense(&f, f.plan, true, want);
    us_plan_free(f.plan);
    memset((char *)block.p + 4096, 0, 64); /* the first packed piece: of the branch */
    f.plan = NULL;
    CHECK_ERR(us_planfile_parse(&f.c, "t", block.p, b.n, false, &f.plan), US_FORMAT);
    CHECK(strstr(f.c.diag.text, "the weights do not give their sum") != NULL);
    CHECK_OK(&f.c, us_planfile_parse(&f.c, "t", block.p, b.n, true, &f.plan));
    run_dense(&f, f.plan, true, got);
    CHECK(memcmp(want, got, sizeof want) != 0);
    us_plan_free(f.plan);
    f.plan = NULL;
    us_buf_deinit(&b);
    us_block_put(&f.c.alloc, &block);
    fixture_end(&f);
}

/* --- refused ------------------------------------------------------------------------------------- */

typedef struct bytes {
    fixture f;
    us_buf b;
    us_block block; /* 64-byte aligned */
} bytes;

static void bytes_begin(bytes *x)
{
    char path[512];
    memset(x, 0, sizeof *x);
    fixture_begin(&x->f);
    compile(&x->f, dense, plan_path(path, "bytes.plan"));
    us_buf_init(&x->b, &x->f.c, 1 << 20);
    CHECK_OK(&x->f.c, us_file_read(&x->f.c, path, &x->b));
    CHECK_OK(&x->f.c, us_block_get(&x->f.c, &x->block, x->b.n, 64, false));
    memcpy(x->block.p, x->b.p, x->b.n);
}

static void bytes_end(bytes *x)
{
    us_buf_deinit(&x->b);
    us_block_put(&x->f.c.alloc, &x->block);
    fixture_end(&x->f);
}

static us_err parse(bytes *x, size_t n)
{
    us_plan *p;
    us_err e = us_planfile_parse(&x->f.c, "t", x->block.p, n, false, &p);
    if (e == US_OK) us_plan_free(p);
    return e;
}

static void test_planfile__cut_short(void)
{
    bytes x;
    bytes_begin(&x);
    for (size_t n = 0; n < x.b.n; n++)
        CHECK_ERR(parse(&x, n), US_FORMAT);
    CHECK_OK(&x.f.c, parse(&x, x.b.n));
    bytes_end(&x);
}

/* Every byte that is looked at counts: header, data, graph and index; the room behind the header does not. */
static void test_planfile__every_damaged_byte(void)
{
    bytes x;
    bytes_begin(&x);
    uint8_t *p = x.block.p;
    for (size_t i = 0; i < x.b.n; i++) {
        if (i == sizeof(us_planhead)) i = US_PLANHEAD_ROOM;
        p[i] ^= 0x10;
        us_err e = parse(&x, x.b.n);
        if (e != US_FORMAT && e != US_UNSUPP)
            US_TEST_FAIL("byte %zu turned gave %s", i, us_test_err_name(e));
        p[i] ^= 0x10;
    }
    CHECK_OK(&x.f.c, parse(&x, x.b.n));
    bytes_end(&x);
}

static void refused(bytes *x, size_t at, const char *text, const char *words)
{
    char *p = (char *)x->block.p + at;
    char was[16];
    memcpy(was, p, sizeof was);
    memcpy(p, text, strlen(text) + 1);
    CHECK_ERR(parse(x, x->b.n), US_UNSUPP);
    if (!strstr(x->f.c.diag.text, words)) US_TEST_FAIL("%s", x->f.c.diag.text);
    CHECK(strstr(x->f.c.diag.text, "compile the model again") != NULL);
    memcpy(p, was, sizeof was);
}

static void test_planfile__of_others(void)
{
    bytes x;
    bytes_begin(&x);
    refused(&x, 8, "\x07", "format 7");
    refused(&x, 12, "\x09", "other kernels or passes");
    refused(&x, 16, "9.9.9", "usta 9.9.9");
    refused(&x, 40, "sse9", "the instruction set sse9");
    bytes_end(&x);
}

static void test_planfile__another_level(void)
{
    fixture f;
    char path[512];
    us_kernels ref;
    fixture_begin(&f);
    compile(&f, dense, plan_path(path, "level.plan"));
    bool is_ref = us_kernels_get(&f.c)->cpu == 0;
    us_kernels_init(&ref, 0);
    f.c.kernels = &ref;
    us_err e = us_planfile_read(&f.c, path, &f.plan);
    if (is_ref) {
        CHECK_OK(&f.c, e);
    } else {
        CHECK_ERR(e, US_UNSUPP);
        CHECK(strstr(f.c.diag.text, "this is ref") != NULL);
    }
    f.c.kernels = NULL;
    fixture_end(&f);
}

static void test_planfile__no_plan(void)
{
    fixture f;
    char path[512];
    bool is = true;
    fixture_begin(&f);
    CHECK_OK(&f.c, us_file_replace(&f.c, plan_path(path, "short"), "abc", 3));
    CHECK_OK(&f.c, us_planfile_find(&f.c, path, &is));
    CHECK(!is);
    CHECK_ERR(us_planfile_read(&f.c, path, &f.plan), US_FORMAT);
    CHECK_ERR(us_planfile_find(&f.c, plan_path(path, "none"), &is), US_NOTFOUND);
    CHECK_ERR(us_planfile_parse(&f.c, "t", path + 1, 100, false, &f.plan), US_ARG);
    fixture_end(&f);
}

/* The reader of models says what the file is, and takes no operator of ours from a model. */
static void test_planfile__is_no_model(void)
{
    fixture f;
    char path[512];
    us_model *m;
    fixture_begin(&f);
    compile(&f, dense, plan_path(path, "model.plan"));
    CHECK_ERR(us_onnx_read(&f.c, path, NULL, &m), US_UNSUPP);
    CHECK(strstr(f.c.diag.text, "a plan that `usta compile` made") != NULL);
    fixture_end(&f);
}

static void test_planfile__variables_are_not_compiled(void)
{
    fixture f;
    char path[512];
    us_plan_opts o = {.keep_variables = true};
    fixture_begin(&f);
    CHECK_OK(&f.c, us_plan_new(&f.c,
                               model_of(&f.c, "model ir=8 opset=17\n"
                                              "graph main(x: float[4]) -> (y) {\n"
                                              "  var w: float[4] = {1, 2, 3, 4}\n"
                                              "  y = Mul(x, w)\n"
                                              "}\n"),
                               &o, &f.plan));
    plan_path(path, "variables.plan");
    CHECK_ERR(us_planfile_write(&f.c, f.plan, path, NULL), US_UNSUPP);
    CHECK(!us_path_exists(path));
    CHECK_ERR(us_plan_open(&f.c, path, NULL, &f.plan), US_NOTFOUND);
    fixture_end(&f);
}

static us_err write_and_read(us_ctx *c, void *arg)
{
    us_model *m;
    us_plan *p;
    US_TRY(us_model_parse(c, us_sv_of(dense), &m));
    us_err e = us_plan_new(c, m, NULL, &p);
    if (e != US_OK) {
        us_model_free(m);
        return e;
    }
    e = us_planfile_write(c, p, arg, NULL);
    us_plan_free(p);
    US_TRY(e);
    US_TRY(us_plan_open(c, arg, NULL, &p));
    us_plan_free(p);
    return US_OK;
}

static void test_planfile__nomem(void)
{
    char path[512];
    plan_path(path, "nomem.plan");
    us_torture_with("write_and_read", write_and_read, path, (us_torture_opts){.step = 7});
}

static const us_test_case cases[] = {
    US_CASE(test_planfile__same_results),
    US_CASE(test_planfile__again),
    US_CASE(test_planfile__packed_weights_are_used),
    US_CASE(test_planfile__cut_short),
    US_CASE(test_planfile__every_damaged_byte),
    US_CASE(test_planfile__of_others),
    US_CASE(test_planfile__another_level),
    US_CASE(test_planfile__no_plan),
    US_CASE(test_planfile__is_no_model),
    US_CASE(test_planfile__variables_are_not_compiled),
    US_CASE(test_planfile__nomem),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
