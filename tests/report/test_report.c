/* Tables, widths, numbers: what people see. */
#include "report/report.h"

#include "us_test.h"

typedef struct box {
    us_ctx c;
    us_arena *a;
    us_buf b;
} box;

static void box_new(box *x)
{
    us_ctx_init(&x->c);
    CHECK_OK(&x->c, us_arena_new(&x->c, "test", (size_t)16 << 20, &x->a));
    us_buf_init(&x->b, &x->c, (size_t)1 << 20);
}

static void box_free(box *x)
{
    us_buf_deinit(&x->b);
    us_arena_free(x->a);
    us_ctx_deinit(&x->c);
}

static void test_table__aligned_by_columns_not_bytes(void)
{
    box x;
    us_rtable *t = NULL;
    box_new(&x);
    CHECK_OK(&x.c, us_rtable_new(&x.c, x.a, "Title", "name|>n", &t));
    us_rtable_cell(t, "\xC3\xA9t\xC3\xA9"); /* été: 3 columns, 5 bytes */
    us_rtable_cellf(t, "%d", 7);
    us_rtable_rule(t);
    us_rtable_cell(t, "\xE6\x97\xA5\xE6\x9C\xAC"); /* two wide characters: 4 columns */
    us_rtable_f64(t, 12.5, 3);
    CHECK_OK(&x.c, us_rtable_print(&x.c, t, NULL, &x.b));
    CHECK_EQ_STR(x.b.p, "Title\n"
                        "name     n\n"
                        "\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80  "
                        "\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\n"
                        "\xC3\xA9t\xC3\xA9      7\n"
                        "\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80  "
                        "\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\xE2\x94\x80\n"
                        "\xE6\x97\xA5\xE6\x9C\xAC  12.5\n");
    CHECK_EQ_U64(us_rtable_rows(t), 2);
    box_free(&x);
}

static void test_table__colour_only_when_told(void)
{
    box x;
    us_rtable *t = NULL;
    box_new(&x);
    CHECK_OK(&x.c, us_rtable_new(&x.c, x.a, NULL, "a", &t));
    us_rtable_cell(t, "bad");
    us_rtable_tone(t, US_BAD);
    CHECK_OK(&x.c, us_rtable_print(&x.c, t, NULL, &x.b));
    CHECK(!strstr(x.b.p, "\033["));
    us_buf_clear(&x.b);
    us_rtable_opts o = {true, 0};
    CHECK_OK(&x.c, us_rtable_print(&x.c, t, &o, &x.b));
    CHECK(strstr(x.b.p, "\033[31mbad\033[0m"));
    box_free(&x);
}

static void test_table__fits_a_width(void)
{
    box x;
    us_rtable *t = NULL;
    box_new(&x);
    CHECK_OK(&x.c, us_rtable_new(&x.c, x.a, NULL, "key|text", &t));
    us_rtable_cell(t, "k");
    us_rtable_cell(t, "a very long text that no narrow terminal can hold in one line");
    us_rtable_opts o = {false, 30};
    CHECK_OK(&x.c, us_rtable_print(&x.c, t, &o, &x.b));
    for (char *line = x.b.p, *end; (end = strchr(line, '\n')); line = end + 1)
        CHECK(us_text_width((us_sv){line, (size_t)(end - line)}) <= 30);
    CHECK(strstr(x.b.p, "\xE2\x80\xA6"));
    box_free(&x);
}

static void test_numbers__as_people_read_them(void)
{
    char t[32];
    CHECK_EQ_STR(us_print_duration(350000, t), "350 us");
    CHECK_EQ_STR(us_print_duration(2500000, t), "2.5 ms");
    CHECK_EQ_STR(us_print_duration(1250000000, t), "1.25 s");
    CHECK_EQ_STR(us_print_duration(125000000000, t), "2 min 05 s");
    CHECK_EQ_STR(us_print_count(1797, t), "1,797");
    CHECK_EQ_STR(us_print_count(-1234567, t), "-1,234,567");
    CHECK_EQ_STR(us_print_count(INT64_MIN, t), "-9,223,372,036,854,775,808");
    CHECK_EQ_STR(us_print_count(12, t), "12");
    CHECK_EQ_STR(us_print_sig(0.97412, 4, t), "0.9741");
    CHECK_EQ_STR(us_print_sig(1234.5678, 4, t), "1235");
    CHECK_EQ_STR(us_print_sig(0, 3, t), "0.00");
    CHECK_EQ_STR(us_print_sig(1e-7, 3, t), "1.00e-07");
    CHECK_EQ_STR(us_print_sig((double)NAN, 3, t), "-");
    CHECK_EQ_STR(us_print_sig((double)-INFINITY, 3, t), "-inf");
}

static void test_width__broken_utf8_ends(void)
{
    CHECK_EQ_I64(us_text_width((us_sv){"a\xE6", 2}), 2);
    CHECK_EQ_I64(us_text_width((us_sv){"\xFF\xFE", 2}), 2);
    CHECK_EQ_I64(us_text_width((us_sv){"e\xCC\x81", 3}), 1); /* combining accent */
}

static const us_test_case cases[] = {
    US_CASE(test_table__aligned_by_columns_not_bytes),
    US_CASE(test_table__colour_only_when_told),
    US_CASE(test_table__fits_a_width),
    US_CASE(test_numbers__as_people_read_them),
    US_CASE(test_width__broken_utf8_ends),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
