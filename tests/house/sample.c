/* sample.c - cases that pass, fail and skip on purpose, for t0001-harness.sh: the harness is tested by a
 * program that uses it wrongly. Not a test by itself. */
#include "us_test.h"
#include "us_torture.h"

static void test_pass__all_kinds(void)
{
    char path[1024];
    CHECK(1 + 1 == 2);
    CHECK_EQ_I64(-3, -3);
    CHECK_EQ_U64(UINT64_MAX, UINT64_MAX);
    CHECK_EQ_STR("a", "a");
    CHECK_NEAR(1.0, 1.0 + 1e-9, 1e-8);
    CHECK_NEAR(-INFINITY, -INFINITY, 0);
    CHECK_ERR(US_SHAPE, US_SHAPE);
    us_test_write_file(us_test_tmp(path, sizeof path, "file"), "abc", 3);
    CHECK(access(path, R_OK) == 0);
    printf("# tmp %s\n", us_test_tmpdir());
}

static void test_fail__i64(void)
{
    int three = 3;
    CHECK_EQ_I64(three, -4);
}

static void test_fail__str(void)
{
    CHECK_EQ_STR("left", "right");
}

static void test_fail__nan(void)
{
    CHECK_NEAR(NAN, NAN, 1e9);
}

static void test_fail__mem(void)
{
    CHECK_EQ_MEM("abcd", "abXd", 4);
}

static void test_fail__err(void)
{
    us_ctx c;
    us_ctx_init(&c);
    CHECK_OK(&c, us_fail(&c, US_FORMAT, "byte 7 is odd"));
}

static void test_skip__corpus(void)
{
    char path[1024];
    us_test_corpus(path, sizeof path, "no/such/file");
}

static us_err two_blocks(us_ctx *c, void *arg)
{
    (void)arg;
    void *a = us_mem_get(&c->alloc, 10, 1), *b = us_mem_get(&c->alloc, 20, 1);
    us_err e = a && b ? US_OK : us_nomem(c);
    us_mem_put(&c->alloc, a, 10, 1);
    us_mem_put(&c->alloc, b, 20, 1);
    return e;
}

static us_err leaks_one(us_ctx *c, void *arg)
{
    void **kept = arg;
    *kept = us_mem_get(&c->alloc, 10, 1);
    if (!*kept) return us_nomem(c);
    void *b = us_mem_get(&c->alloc, 20, 1);
    if (!b) return us_nomem(c); /* the mistake: *kept stays */
    us_mem_put(&c->alloc, b, 20, 1);
    us_mem_put(&c->alloc, *kept, 10, 1);
    return US_OK;
}

static us_err swallows(us_ctx *c, void *arg)
{
    (void)arg;
    void *a = us_mem_get(&c->alloc, 10, 1);
    us_mem_put(&c->alloc, a, 10, 1);
    return US_OK;
}

static us_err wrong_code(us_ctx *c, void *arg)
{
    (void)arg;
    void *a = us_mem_get(&c->alloc, 10, 1);
    if (!a) return us_fail(c, US_IO, "disk on fire");
    us_mem_put(&c->alloc, a, 10, 1);
    return US_OK;
}

static void test_pass__torture(void)
{
    us_torture("two_blocks", two_blocks, NULL);
    us_torture_with("swallows", swallows, NULL, (us_torture_opts){.survive_ok = true});
}

static void *kept; /* what leaks_one forgot, so that the leak checker stays quiet */

static void test_fail__torture_leak(void)
{
    us_torture("leaks_one", leaks_one, &kept);
}

static void test_fail__torture_swallow(void)
{
    us_torture("swallows", swallows, NULL);
}

static void test_fail__torture_code(void)
{
    us_torture("wrong_code", wrong_code, NULL);
}

static const us_test_case cases[] = {
    US_CASE(test_pass__all_kinds),    US_CASE(test_fail__i64),
    US_CASE(test_fail__str),          US_CASE(test_fail__nan),
    US_CASE(test_fail__mem),          US_CASE(test_fail__err),
    US_CASE(test_skip__corpus),       US_CASE(test_pass__torture),
    US_CASE(test_fail__torture_leak), US_CASE(test_fail__torture_swallow),
    US_CASE(test_fail__torture_code),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
