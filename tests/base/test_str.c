/* test_str.c - views, copies, UTF-8, hashes, nearest words. */
#include <string.h>

#include "base/str.h"
#include "us_test.h"

static void test_sv__compare_and_trim(void)
{
    us_sv none = {0};
    CHECK(us_sv_eq(none, US_SV("")) && us_sv_is(none, "") && us_sv_of(NULL).n == 0);
    CHECK(us_sv_cmp(US_SV("a"), US_SV("ab")) < 0 && us_sv_cmp(US_SV("b"), US_SV("ab")) > 0);
    CHECK(us_sv_cmp(US_SV("\xff"), US_SV("a")) > 0); /* bytes are unsigned */
    CHECK(us_sv_cmp(none, none) == 0 && !us_sv_eq(US_SV("a\0b"), US_SV("a\0c")));
    CHECK(us_sv_starts(US_SV("abc"), "ab") && !us_sv_starts(US_SV("a"), "ab"));
    CHECK(us_sv_ends(US_SV("abc"), "bc") && us_sv_ends(none, "") && !us_sv_ends(none, "x"));
    CHECK(us_sv_is(us_sv_trim(US_SV(" \t a b\r\n")), "a b") &&
          us_sv_trim(US_SV(" \n ")).n == 0);
}

static void test_str__copies(void)
{
    us_ctx c;
    us_arena *a;
    us_sv s = {0};
    us_ctx_init(&c);
    CHECK_OK(&c, us_arena_new(&c, "t", 4096, &a));
    CHECK_EQ_STR(us_str_dup(a, (us_sv){"abcdef", 3}), "abc");
    CHECK_EQ_STR(us_str_dup(a, s), "");
    CHECK_EQ_STR(us_str_printf(a, "%d-%s", 7, "x"), "7-x");
    CHECK_OK(&c, us_sv_dup(&c, a, US_SV("word"), &s));
    CHECK(us_sv_is(s, "word") && s.p[4] == 0);
    CHECK(us_str_printf(a, "%5000d", 1) == NULL);
    CHECK_ERR(us_sv_dup(&c, a, (us_sv){"x", 5000}, &s), US_LIMIT);
    CHECK(us_sv_is(s, "word"));
    us_arena_free(a);
}

static void test_utf8__table_of_the_standard(void)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80",         "\xC0\x80",         "\xC1\xBF",
                                      "\xC2",         "\xC2\x41",         "\xE0\x9F\xBF",
                                      "\xE2\x82",     "\xED\xA0\x80",     "\xF0\x8F\xBF\xBF",
                                      "\xF0\x9F\x98", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                                      "\xFF",         "ok\xE2\x28\xA1"};
    for (size_t i = 0; i < US_LEN(good); i++)
        CHECK(us_utf8_valid(us_sv_of(good[i])));
    for (size_t i = 0; i < US_LEN(bad); i++)
        if (us_utf8_valid(us_sv_of(bad[i]))) US_TEST_FAIL("case %zu was taken", i);
    CHECK(us_utf8_valid((us_sv){"a\0b", 3}));
}

/* Files hold these values: they may never change. Worked out from the definition in str.c by other means. */
static void test_hash__spreads_and_depends_on_all(void)
{
    char b[40] = {0};
    uint64_t seen[41 * 2 + 40 * 8];
    size_t n = 0;
    for (size_t len = 0; len <= 40; len++)
        for (uint64_t seed = 0; seed < 2; seed++)
            seen[n++] = us_hash64(b, len, seed);
    for (size_t bit = 0; bit < 40 * 8; bit++) {
        b[bit / 8] = (char)(1u << bit % 8);
        seen[n++] = us_hash64(b, 40, 0);
        b[bit / 8] = 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(seen[i] != seen[j]);
    CHECK_EQ_U64(us_hash64("", 0, 0), UINT64_C(0x48218226FF3CD4BF));
    CHECK_EQ_U64(us_hash64("split", 5, 1), UINT64_C(0x0B5AC26A7CABDDB1));
    CHECK_EQ_U64(us_hash64("123456789", 9, 42), UINT64_C(0x2D09BD36488E4DDE));
    char moved[48] = {0};
    memcpy(moved + 3, "some bytes at an odd place", 27);
    CHECK_EQ_U64(us_hash64(moved + 3, 27, 9), us_hash64("some bytes at an odd place", 27, 9));
}

static void test_nearest__slips(void)
{
    static const char *const words[] = {"requirements", "data",  "features",
                                        "model",        "train", "tune"};
    const size_t n = US_LEN(words);
    CHECK_EQ_STR(us_nearest(US_SV("requirments"), words, n), "requirements");
    CHECK_EQ_STR(us_nearest(US_SV("fetaures"), words, n), "features");
    CHECK_EQ_STR(us_nearest(US_SV("trian"), words, n), "train");
    CHECK(us_nearest(US_SV("zzzzzzzzz"), words, n) == NULL);
    CHECK(us_nearest(US_SV("x"), words, 0) == NULL);
    char longest[200];
    memset(longest, 'd', sizeof longest);
    CHECK(us_nearest((us_sv){longest, sizeof longest}, words, n) == NULL);
}

static void test_print_bytes__units(void)
{
    char z[32];
    CHECK_EQ_STR(us_print_bytes(0, z), "0 B");
    CHECK_EQ_STR(us_print_bytes(873, z), "873 B");
    CHECK_EQ_STR(us_print_bytes(1500000, z), "1.5 MB");
    CHECK_EQ_STR(us_print_bytes(UINT64_MAX, z), "18.4 EB");
}

static const us_test_case cases[] = {
    US_CASE(test_sv__compare_and_trim),
    US_CASE(test_str__copies),
    US_CASE(test_utf8__table_of_the_standard),
    US_CASE(test_hash__spreads_and_depends_on_all),
    US_CASE(test_nearest__slips),
    US_CASE(test_print_bytes__units),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
