/* Every real model loads, verifies as far as its operators are known, and survives write and read again. */
#include "pb.h"

#include "ir/text.h"
#include "onnx/onnx.h"

/* "?12" -> "?": numbers of made-up symbols depend on the order in which a file lists its values. */
static void drop_symbol_numbers(us_buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        b->p[n++] = b->p[i];
        while (b->p[i] == '?' && i + 1 < b->n && b->p[i + 1] >= '0' && b->p[i + 1] <= '9')
            memmove(b->p + i + 1, b->p + i + 2, b->n-- - i - 2);
    }
    b->n = n;
}

static void text_of(us_ctx *c, const us_model *m, us_buf *b)
{
    us_buf_init(b, c, (size_t)1 << 30);
    us_model_print(c, m, 64, b);
    CHECK_OK(c, us_buf_check(b));
    drop_symbol_numbers(b);
}

static void same_text(us_ctx *c, const us_model *a, const us_model *b)
{
    us_buf ta, tb;
    text_of(c, a, &ta);
    text_of(c, b, &tb);
    size_t n = US_MIN(ta.n, tb.n), i = 0;
    while (i < n && ta.p[i] == tb.p[i])
        i++;
    if (i < n || ta.n != tb.n) {
        size_t from = i > 200 ? i - 200 : 0;
        US_TEST_FAIL("text differs at %zu: ...%.*s\n--- now ---\n%.*s", i, 400, ta.p + from,
                     400, tb.p + from);
    }
    us_buf_deinit(&ta);
    us_buf_deinit(&tb);
}

/* The whole text form, parsed back, prints the same. */
static void text_round(us_ctx *c, const us_model *m)
{
    us_buf a, b;
    us_model *back;
    us_buf_init(&a, c, (size_t)1 << 30);
    us_buf_init(&b, c, (size_t)1 << 30);
    us_model_print(c, m, SIZE_MAX, &a);
    CHECK_OK(c, us_buf_check(&a));
    CHECK_OK(c, us_model_parse(c, us_buf_sv(&a), &back));
    us_model_print(c, back, SIZE_MAX, &b);
    CHECK_OK(c, us_buf_check(&b));
    CHECK_EQ_U64(a.n, b.n);
    CHECK_EQ_MEM(a.p, b.p, a.n);
    us_model_free(back);
    us_buf_deinit(&a);
    us_buf_deinit(&b);
}

static void round_trip(const char *path, bool long_text)
{
    us_ctx c;
    us_ctx_init(&c);
    us_model *m1, *m2;
    us_buf b1, b2;
    us_buf_init(&b1, &c, (size_t)1 << 30);
    us_buf_init(&b2, &c, (size_t)1 << 30);
    CHECK_OK(&c, us_onnx_read(&c, path, NULL, &m1));
    CHECK_OK(&c, us_onnx_print(&c, m1, &b1));
    CHECK_OK(&c, us_onnx_parse(&c, "again", b1.p, b1.n, NULL, NULL, &m2));
    CHECK_OK(&c, us_onnx_print(&c, m2, &b2));
    CHECK_EQ_U64(b1.n, b2.n);
    CHECK_EQ_MEM(b1.p, b2.p, b1.n);
    same_text(&c, m1, m2);
    if (long_text) text_round(&c, m1);
    CHECK_OK(&c, us_graph_verify(&c, m1->main));
    us_model_free(m1);
    us_model_free(m2);
    us_buf_deinit(&b1);
    us_buf_deinit(&b2);
    us_ctx_deinit(&c);
}

static size_t walk(const char *dir, int depth, size_t *n_long)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[1024];
        struct stat st;
        size_t len = strlen(e->d_name);
        if (e->d_name[0] == '.') continue;
        us_test_path(path, sizeof path, dir, e->d_name);
        if (stat(path, &st) != 0) continue;
        if (S_ISDIR(st.st_mode) && depth > 0) n += walk(path, depth - 1, n_long);
        if (S_ISDIR(st.st_mode) || len < 5 || strcmp(e->d_name + len - 5, ".onnx") != 0)
            continue;
        printf("# %s\n", path);
        fflush(stdout);
        bool long_text = st.st_size < 1500000;
        round_trip(path, long_text);
        *n_long += long_text;
        n++;
    }
    if (d) closedir(d);
    return n;
}

static void test_corpus__models(void)
{
    char path[1024];
    size_t n_long = 0;
    us_test_corpus(path, sizeof path, "models");
    size_t n = walk(path, 4, &n_long);
    printf("# %zu models, %zu of them through the text form\n", n, n_long);
    CHECK(n > 20 && n_long > 10);
}

static void test_corpus__tiny(void)
{
    char path[1024];
    size_t n_long = 0;
    us_test_corpus(path, sizeof path, "tiny");
    CHECK(walk(path, 2, &n_long) > 5);
}

static void test_corpus__hpo(void)
{
    char path[1024];
    size_t n_long = 0;
    us_test_corpus(path, sizeof path, "hpo");
    CHECK(walk(path, 4, &n_long) >= 2);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {US_CASE(test_corpus__models),
                                         US_CASE(test_corpus__tiny), US_CASE(test_corpus__hpo)};
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
