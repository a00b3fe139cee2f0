/* The CSV reader on everything people call CSV. */
#include "data_test.h"

#include <zlib.h>

#include "data/schema.h"

static void test_csv__types(void)
{
    env e = env_open();
    us_table *t = parse_ok(&e,
                           "i,f,b,s,t,e,m\n"
                           "1,1.5,true,x,2020-01-01,,1\n"
                           "-7,2,FALSE,yy,2020-01-02T03:04:05Z,,2.5\n"
                           "9223372036854775807,1e3,True,,,,x\n",
                           NULL);
    CHECK_EQ_U64(t->n_rows, 3);
    CHECK_EQ_U64(t->n_cols, 7);
    CHECK_EQ_I64(col_of(t, "i")->type, US_COL_I64);
    CHECK_EQ_I64(((const int64_t *)col_of(t, "i")->data)[2], INT64_MAX);
    CHECK_EQ_I64(col_of(t, "f")->type, US_COL_F64);
    CHECK_NEAR(us_col_f64(col_of(t, "f"), 2), 1000, 0);
    CHECK_EQ_I64(col_of(t, "b")->type, US_COL_BOOL);
    CHECK(us_col_bool(col_of(t, "b"), 0) && !us_col_bool(col_of(t, "b"), 1));
    CHECK_EQ_U64(col_of(t, "s")->n_null, 1);
    CHECK(!us_col_valid(col_of(t, "s"), 2));
    CHECK_EQ_I64(col_of(t, "t")->type, US_COL_TIME);
    CHECK_EQ_I64(((const int64_t *)col_of(t, "t")->data)[1], INT64_C(1577934245000000));
    CHECK_EQ_U64(col_of(t, "e")->n_null, 3);
    CHECK_EQ_I64(col_of(t, "m")->type, US_COL_STR); /* turned late: read again from the start */
    check_str(col_of(t, "m"), 0, "1");
    check_str(col_of(t, "m"), 1, "2.5");
    us_table_free(t);
    env_close(&e);
}

static void test_csv__quotes(void)
{
    env e = env_open();
    us_table *t =
        parse_ok(&e,
                 "a,b\r\n\"x,y\",\"1\"\r\n\"say \"\"hi\"\"\",2\r\n\"two\r\nlines\",3\r\n"
                 "\"\",4\r\n a \"b\" ,5",
                 NULL);
    const us_column *a = col_of(t, "a");
    CHECK_EQ_U64(t->n_rows, 5);
    check_str(a, 0, "x,y");
    check_str(a, 1, "say \"hi\"");
    check_str(a, 2, "two\r\nlines");
    CHECK(!us_col_valid(a, 3));
    check_str(a, 4, " a \"b\" ");
    CHECK_EQ_I64(col_of(t, "b")->type, US_COL_I64);
    us_table_free(t);
    env_close(&e);
}

static void test_csv__line_ends_bom_blank_lines(void)
{
    static const char *const forms[] = {"a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4",
                                        "a,b\r1,2\r3,4\r",
                                        "\xEF\xBB\xBF\x61,b\n\n1,2\n\r\n3,4\n\n"};
    env e = env_open();
    for (size_t i = 0; i < US_LEN(forms); i++) {
        us_table *t = parse_ok(&e, forms[i], NULL);
        CHECK_EQ_U64(t->n_rows, 2);
        CHECK_NEAR(us_col_f64(col_of(t, "b"), 1), 4, 0);
        us_table_free(t);
    }
    env_close(&e);
}

static void test_csv__header_delimiter_trim_missing_map(void)
{
    env e = env_open();
    const us_sv names[] = {US_SV("age"), US_SV("job"), US_SV("y")};
    const us_sv missing[] = {US_SV("?"), US_SV("NA")};
    const us_csv_map maps[] = {{US_SV("y"), US_SV("<=50K."), US_SV("<=50K")}};
    us_csv_opts o = {.names = names,
                     .n_names = 3,
                     .trim = true,
                     .missing = missing,
                     .n_missing = 2,
                     .maps = maps,
                     .n_maps = 1};
    us_table *t = parse_ok(&e, " 39 ; ? ; <=50K.\n ?; \"a;b\" ;<=50K\n;c;>50K\n", &o);
    CHECK_EQ_U64(t->n_rows, 3);
    CHECK_EQ_I64(col_of(t, "age")->type, US_COL_I64);
    CHECK_EQ_U64(col_of(t, "age")->n_null, 2);
    CHECK(!us_col_valid(col_of(t, "job"), 0));
    check_str(col_of(t, "job"), 1, "a;b");
    check_str(col_of(t, "y"), 0, "<=50K");
    us_table_free(t);
    us_csv_report r;
    CHECK_OK(&e.c, us_csv_parse(&e.c, "t", US_SV("1\t2\n3\t4\n"), NULL, &t, &r));
    CHECK(r.delimiter == '\t' && !r.had_header);
    CHECK_EQ_U64(t->n_rows, 2);
    CHECK(col_of(t, "c1"));
    us_table_free(t);
    t = parse_ok(&e, "x\nq\n", NULL);
    check_str(col_of(t, "x"), 0, "q");
    us_table_free(t);
    env_close(&e);
}

static void test_csv__comment_and_text_columns(void)
{
    env e = env_open();
    const us_sv text[] = {US_SV("zip")};
    us_csv_opts o = {.comment = '#', .as_text = text, .n_as_text = 1};
    us_table *t = parse_ok(&e, "# made by hand\nzip,v\n00123,1\n# 9,9\n04567,2\n", &o);
    CHECK_EQ_U64(t->n_rows, 2);
    check_str(col_of(t, "zip"), 0, "00123");
    us_table_free(t);
    env_close(&e);
}

static void test_csv__bad_rows(void)
{
    env e = env_open();
    us_table *t = NULL;
    us_csv_report r;
    us_sv text = US_SV("a,b\n1,2\n3\n4,5,6\n7,8\nx,y,z\n");
    CHECK_ERR(us_csv_parse(&e.c, "t.csv", text, NULL, &t, NULL), US_FORMAT);
    CHECK(said(&e, "t.csv:3: 1 field, expected 2"));
    us_csv_opts o = {.skip_bad = true};
    CHECK_OK(&e.c, us_csv_parse(&e.c, "t.csv", text, &o, &t, &r));
    CHECK_EQ_U64(t->n_rows, 2);
    CHECK_EQ_U64(r.n_bad, 3);
    CHECK_EQ_U64(r.first_bad_line, 3);
    CHECK_EQ_I64(col_of(t, "a")->type, US_COL_I64); /* x,y,z touched nothing */
    us_table_free(t);
    o.max_bad = 2;
    CHECK_ERR(us_csv_parse(&e.c, "t.csv", text, &o, &t, &r), US_FORMAT);
    o = (us_csv_opts){.max_rows = 1};
    CHECK_ERR(us_csv_parse(&e.c, "t.csv", US_SV("a\n1\n2\n"), &o, &t, &r), US_LIMIT);
    env_close(&e);
}

static void test_csv__hostile(void)
{
    static const struct {
        const char *text;
        size_t n;
        const char *says;
    } bad[] = {
        {"", 0, "no records"},
        {"\n\n\r\n", 4, "no records"},
        {"a,b\n1,\0", 7, "zero byte"},
        {"a\n\"never closed\n1\n", 18, "never closed"},
        {"a\n\"x\"y\n", 7, "after a closing quote"},
        {"a,a\n1,2\n", 8, "both named 'a'"},
        {"a\nq\n\xff\xfe\n", 7, "not UTF-8"},
    };
    env e = env_open();
    us_table *t = NULL;
    us_csv_opts yes = {.header = US_CSV_HEADER_YES};
    for (size_t i = 0; i < US_LEN(bad); i++) {
        us_sv text = {bad[i].text, bad[i].n};
        CHECK_ERR(us_csv_parse(&e.c, "t", text, &yes, &t, NULL), US_FORMAT);
        CHECK(said(&e, bad[i].says));
        CHECK(!t);
    }
    us_csv_opts small = {.max_bytes = 3};
    CHECK_ERR(us_csv_parse(&e.c, "t", US_SV("a\n1\n"), &small, &t, NULL), US_LIMIT);
    env_close(&e);
}

static void test_csv__huge_field(void)
{
    env e = env_open();
    us_table *t = NULL;
    size_t n = US_CSV_MAX_FIELD + 5;
    char *big = malloc(n);
    memset(big, 'x', n);
    memcpy(big, "a\n", 2);
    CHECK_ERR(us_csv_parse(&e.c, "t", (us_sv){big, n}, NULL, &t, NULL), US_LIMIT);
    CHECK_OK(&e.c, us_csv_parse(&e.c, "t", (us_sv){big, n - 10}, NULL, &t, NULL));
    us_table_free(t);
    memset(big, ',', n);
    CHECK_ERR(us_csv_parse(&e.c, "t", (us_sv){big, n}, NULL, &t, NULL), US_LIMIT);
    free(big);
    env_close(&e);
}

/* The fast way and the library give the same bits. */
static void test_csv__numbers_exact(void)
{
    static const char *const texts[] = {"0.1",
                                        "123456.789",
                                        "9007199254740991",
                                        "9007199254740993.0",
                                        "0.30000000000000004",
                                        "-0.0",
                                        "-1.5",
                                        "1e-7",
                                        "123456789012345678.5",
                                        "0.0000000000000000001",
                                        "5.",
                                        ".5",
                                        "1E5",
                                        "-.25",
                                        "999999999999999999999",
                                        "4.9e-324",
                                        "1.7976931348623157e308",
                                        "0.000123",
                                        "-98765.4321"};
    env e = env_open();
    char text[4096] = "x,pad\n1.5,\n";
    for (size_t i = 0; i < US_LEN(texts); i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s,filler filler filler filler filler filler\n",
                 texts[i]);
    }
    us_table *t = parse_ok(&e, text, NULL);
    CHECK_EQ_I64(col_of(t, "x")->type, US_COL_F64);
    for (size_t i = 0; i < US_LEN(texts); i++) {
        double want = strtod(texts[i], NULL) + 0.0, got = us_col_f64(col_of(t, "x"), i + 1);
        CHECK_EQ_MEM(&got, &want, 8);
    }
    us_table_free(t);
    env_close(&e);
}

static void test_csv__cut_anywhere(void)
{
    static const char text[] =
        "a,b,c\n1,\"x\"\"y\",2020-01-01\n22.5,\"q\nr\",\n-3,zz,2021-05-06 07:08\n";
    env e = env_open();
    for (size_t n = 0; n < sizeof text; n++) {
        us_table *t = NULL;
        char *copy = malloc(n + 1); /* exact size: a read past the end shows under sanitizers */
        memcpy(copy, text, n);
        us_err r = us_csv_parse(&e.c, "t", (us_sv){copy, n}, NULL, &t, NULL);
        CHECK(r == US_OK ? t != NULL : r == US_FORMAT && !t);
        us_table_free(t);
        free(copy);
    }
    env_close(&e);
}

static void test_csv__gzip(void)
{
    env e = env_open();
    char path[1024], text[60000];
    size_t n = 0;
    us_table *t = NULL;
    n += (size_t)snprintf(text + n, sizeof text - n, "i,x\n");
    for (int i = 0; i < 3000; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%d,%d.25\n", i, i);
    us_test_tmp(path, sizeof path, "a.csv.gz");
    gzFile g = gzopen(path, "wb");
    CHECK(gzwrite(g, text, (unsigned)n) == (int)n);
    gzclose(g);
    CHECK_OK(&e.c, us_csv_read(&e.c, path, NULL, &t, NULL));
    CHECK_EQ_U64(t->n_rows, 3000);
    CHECK_NEAR(us_col_f64(col_of(t, "x"), 2999), 2999.25, 0);
    us_table_free(t);
    us_buf b;
    us_buf_init(&b, &e.c, 1 << 20);
    CHECK_OK(&e.c, us_file_read(&e.c, path, &b));
    us_test_tmp(path, sizeof path, "cut.csv.gz");
    for (size_t cut = 2; cut < b.n; cut += b.n / 7) {
        us_test_write_file(path, b.p, cut);
        t = NULL;
        CHECK_ERR(us_csv_read(&e.c, path, NULL, &t, NULL), US_FORMAT);
        CHECK(!t && said(&e, "gzip"));
    }
    b.p[b.n / 2] = (char)(b.p[b.n / 2] ^ 0x55);
    us_test_write_file(path, b.p, b.n);
    CHECK_ERR(us_csv_read(&e.c, path, NULL, &t, NULL), US_FORMAT);
    us_csv_opts small = {.max_bytes = 1000};
    b.p[b.n / 2] = (char)(b.p[b.n / 2] ^ 0x55);
    us_buf out;
    us_buf_init(&out, &e.c, 1 << 20);
    CHECK_ERR(us_gunzip(&e.c, "t", b.p, b.n, small.max_bytes, &out), US_LIMIT);
    us_buf_deinit(&out);
    us_buf_deinit(&b);
    env_close(&e);
}

static void test_time__forms(void)
{
    static const struct {
        const char *text;
        int64_t us;
    } good[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:01Z", 1000000},
        {"1970-01-01 01:00:00+01:00", 0},
        {"2000-02-29T12:30", INT64_C(951827400000000)},
        {"1969-12-31T23:59:59.5", -500000},
        {"2020-01-01T00:00:00.123456789Z", INT64_C(1577836800123456)},
    };
    static const char *const bad[] = {"",
                                      "2020",
                                      "2020-13-01",
                                      "2021-02-29",
                                      "2020-01-01T",
                                      "2020-01-01T25:00",
                                      "2020-01-01x",
                                      "2020-1-1",
                                      "2020-01-01T00:00:00."};
    for (size_t i = 0; i < US_LEN(good); i++) {
        int64_t t = 0;
        CHECK(us_parse_time(us_sv_of(good[i].text), &t));
        CHECK_EQ_I64(t, good[i].us);
    }
    for (size_t i = 0; i < US_LEN(bad); i++) {
        int64_t t;
        CHECK(!us_parse_time(us_sv_of(bad[i]), &t));
    }
    char out[40];
    CHECK_EQ_STR(us_print_time_iso(-500000, out), "1969-12-31T23:59:59.500000Z");
}

static void test_csv__corpus_adult_and_bike(void)
{
    env e = env_open();
    char path[1024];
    us_table *t = NULL;
    const us_sv missing[] = {US_SV("?")};
    us_csv_opts o = {
        .trim = true, .missing = missing, .n_missing = 1, .header = US_CSV_HEADER_NO};
    us_test_corpus(path, sizeof path, "data/tabular/adult-train.csv.gz");
    CHECK_OK(&e.c, us_csv_read(&e.c, path, &o, &t, NULL));
    CHECK_EQ_U64(t->n_rows, 32561);
    CHECK_EQ_U64(t->n_cols, 15);
    CHECK_EQ_I64(t->cols[0].type, US_COL_I64);
    CHECK_EQ_I64(t->cols[1].type, US_COL_STR);
    CHECK_EQ_U64(t->cols[1].n_null, 1836); /* workclass `?`, as adult.names says */
    us_table_free(t);
    us_test_corpus(path, sizeof path, "data/drift/bike-hour.csv.gz");
    CHECK_OK(&e.c, us_csv_read(&e.c, path, NULL, &t, NULL));
    CHECK_EQ_U64(t->n_rows, 17379);
    CHECK_EQ_I64(col_of(t, "dteday")->type, US_COL_TIME);
    CHECK_EQ_I64(col_of(t, "temp")->type, US_COL_F64);
    us_table_free(t);
    env_close(&e);
}

static const us_test_case cases[] = {
    US_CASE(test_csv__types),
    US_CASE(test_csv__quotes),
    US_CASE(test_csv__line_ends_bom_blank_lines),
    US_CASE(test_csv__header_delimiter_trim_missing_map),
    US_CASE(test_csv__comment_and_text_columns),
    US_CASE(test_csv__bad_rows),
    US_CASE(test_csv__hostile),
    US_CASE(test_csv__huge_field),
    US_CASE(test_csv__numbers_exact),
    US_CASE(test_csv__cut_anywhere),
    US_CASE(test_csv__gzip),
    US_CASE(test_time__forms),
    US_CASE(test_csv__corpus_adult_and_bike),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
