/* JSON, YAML, the option table, the project file and command lines. */
#include "conf/conf.h"

#include "us_torture.h"

typedef struct box {
    us_ctx c;
    us_arena *a;
    us_conf conf;
} box;

static void box_new(box *b)
{
    us_ctx_init(&b->c);
    CHECK_OK(&b->c, us_arena_new(&b->c, "test", (size_t)64 << 20, &b->a));
}

static void box_free(box *b)
{
    us_arena_free(b->a);
    us_ctx_deinit(&b->c);
}

#define CHECK_HAS(text, part)                                                                  \
    do {                                                                                       \
        if (!strstr((text), (part)))                                                           \
            US_TEST_FAIL("\"%s\" does not contain \"%s\"", (text), (part));                    \
    } while (0)

static char *canonical(box *b, const char *text)
{
    json_t *j = NULL;
    us_buf out;
    us_buf_init(&out, &b->c, (size_t)1 << 20);
    CHECK_OK(&b->c, us_json_parse(&b->c, b->a, "t", us_sv_of(text), 0, &j));
    CHECK_OK(&b->c, us_json_print(&b->c, j, &out));
    char *z = us_str_dup(b->a, us_buf_sv(&out));
    us_buf_deinit(&out);
    CHECK(z);
    return z;
}

static void test_json_print__canonical(void)
{
    box b;
    box_new(&b);
    CHECK_EQ_STR(
        canonical(&b, "{\"b\": [1, 2.50, 1e3, -0.0], \"a\": {\"z\": null, \"y\": true}}"),
        "{\"a\":{\"y\":true,\"z\":null},\"b\":[1,2.5,1000.0,-0.0]}");
    CHECK_EQ_STR(canonical(&b, "[0.1, 1e300, 5e-324, 123456789012345680000.0]"),
                 canonical(&b, canonical(&b, "[0.1, 1e300, 5e-324, 123456789012345680000.0]")));
    CHECK_EQ_STR(canonical(&b, "\"a\\u0001\\n\\\"\\\\\\u00e9\""),
                 "\"a\\u0001\\n\\\"\\\\\xC3\xA9\"");
    CHECK_EQ_STR(canonical(&b, "{\"10\":1,\"9\":2,\"a\":3,\"B\":4}"),
                 "{\"10\":1,\"9\":2,\"B\":4,\"a\":3}");
    box_free(&b);
}

static void test_json_parse__what_and_where(void)
{
    box b;
    json_t *j = NULL;
    box_new(&b);
    CHECK_ERR(us_json_parse(&b.c, b.a, "q.json", US_SV("{\n \"a\": 1,\n \"a\": 2}"), 0, &j),
              US_FORMAT);
    CHECK_HAS(b.c.diag.text, "q.json: line 3");
    static const char *const bad[] = {"",        "{",          "[1,]",        "NaN",
                                      "[1] 2",   "{\"a\" 1}",  "\"\\ud800\"", "\xff",
                                      "[1e999]", "\"\\u0000\""};
    for (size_t i = 0; i < US_LEN(bad); i++)
        CHECK_ERR(us_json_parse(&b.c, b.a, "t", us_sv_of(bad[i]), 0, &j), US_FORMAT);
    CHECK(j == NULL);
    box_free(&b);
}

static void test_json_parse__limits(void)
{
    box b;
    json_t *j = NULL;
    char deep[400];
    box_new(&b);
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    CHECK_ERR(us_json_parse(&b.c, b.a, "t", (us_sv){deep, 400}, 0, &j), US_LIMIT);
    CHECK_OK(&b.c, us_json_parse(&b.c, b.a, "t",
                                 (us_sv){deep + 200 - US_JSON_MAX_DEPTH, 2 * US_JSON_MAX_DEPTH},
                                 0, &j));
    CHECK_ERR(us_json_parse(&b.c, b.a, "t", US_SV("[1,2,3]"), 3, &j), US_LIMIT);
    CHECK_OK(&b.c, us_json_parse(&b.c, b.a, "t", US_SV("\"[[[[ \\\" [[[\""), 0, &j));
    box_free(&b);
}

static void test_json_get__names_key_and_kind(void)
{
    box b;
    json_t *j = NULL;
    double v = 0;
    const char *z = NULL;
    box_new(&b);
    CHECK_OK(&b.c, us_json_parse(&b.c, b.a, "t", US_SV("{\"a\": 1, \"b\": \"x\"}"), 0, &j));
    CHECK_OK(&b.c, us_json_get_f64(&b.c, j, "rec", "a", &v));
    CHECK_NEAR(v, 1, 0);
    CHECK_ERR(us_json_get_f64(&b.c, j, "rec", "b", &v), US_FORMAT);
    CHECK_EQ_STR(b.c.diag.text, "rec: 'b' is a text, expected a number");
    CHECK_ERR(us_json_get_text(&b.c, j, "rec", "zz", &z), US_FORMAT);
    CHECK_HAS(b.c.diag.text, "'zz' is missing");
    CHECK_ERR(us_json_get_text(&b.c, NULL, "rec", "zz", &z), US_FORMAT);
    box_free(&b);
}

static void test_json_add_text__bad_utf8_is_replaced(void)
{
    box b;
    us_buf out;
    box_new(&b);
    us_buf_init(&out, &b.c, 1000);
    us_json_add_text(&out, (us_sv){"a\xff"
                                   "b\xC3",
                                   4});
    CHECK_EQ_STR(out.p, "\"a\xEF\xBF\xBD"
                        "b\xEF\xBF\xBD\"");
    us_buf_deinit(&out);
    box_free(&b);
}

/* ---- YAML ---- */

static void test_yaml_parse__tree_with_lines(void)
{
    box b;
    us_yaml *y = NULL;
    box_new(&b);
    CHECK_OK(&b.c, us_yaml_parse(&b.c, b.a, "t",
                                 US_SV("# c\na: 1\nb:\n  - x\n  - 'null'\nc: {d: ~}\n"), &y));
    CHECK_EQ_U64(y->n, 3);
    us_yaml *list = us_yaml_find(y, "b");
    CHECK(list && list->kind == US_YAML_LIST && list->n == 2 && list->at[1]->line == 5);
    CHECK(!us_yaml_is_null(list->at[1]));
    CHECK(us_yaml_is_null(us_yaml_find(us_yaml_find(y, "c"), "d")));
    CHECK_OK(&b.c, us_yaml_parse(&b.c, b.a, "t", US_SV(""), &y));
    CHECK(y->kind == US_YAML_MAP && y->n == 0);
    box_free(&b);
}

static void test_yaml_parse__refused(void)
{
    static const struct {
        const char *text, *says;
        us_err e;
    } bad[] = {
        {"a: &x 1\n", "anchors", US_UNSUPP},
        {"a: *x\n", "aliases", US_UNSUPP},
        {"a: !!int 1\n", "tags", US_UNSUPP},
        {"a: 1\na: 2\n", "second time", US_FORMAT},
        {"a: 1\n---\nb: 2\n", "second document", US_FORMAT},
        {"a: [1, 2\n", "line", US_FORMAT},
        {"? [a, b]\n: 1\n", "key must be", US_FORMAT},
        {"a:\n\t- 1\n", "line 2", US_FORMAT},
        {"\xff\xfe", "byte", US_FORMAT},
    };
    box b;
    us_yaml *y = NULL;
    box_new(&b);
    for (size_t i = 0; i < US_LEN(bad); i++) {
        CHECK_ERR(us_yaml_parse(&b.c, b.a, "t", us_sv_of(bad[i].text), &y), bad[i].e);
        CHECK_HAS(b.c.diag.text, bad[i].says);
    }
    char deep[200];
    memset(deep, '[', sizeof deep);
    CHECK_ERR(us_yaml_parse(&b.c, b.a, "t", (us_sv){deep, sizeof deep}, &y), US_LIMIT);
    box_free(&b);
}

/* ---- project file ---- */

static us_err parse(box *b, const char *text)
{
    return us_conf_parse(&b->c, b->a, "usta.yaml", us_sv_of(text), &b->conf);
}

static void test_conf__defaults_of_every_row_parse(void)
{
    box b;
    box_new(&b);
    CHECK_OK(&b.c, parse(&b, ""));
    CHECK_NEAR(b.conf.train.lr, 0.001, 0);
    CHECK_EQ_U64(b.conf.model.hidden.n, 2);
    CHECK_EQ_STR(b.conf.data.path, "");
    CHECK_EQ_STR(us_conf_origin(&b.conf, "train.lr"), "default");
    size_t n = 0;
    const us_section *s = us_conf_sections(&n);
    for (size_t i = 0; i < n; i++)
        for (const us_opt *r = s[i].rows; r->kind != US_OPT_END; r++) {
            CHECK(r->help[0]);
            CHECK(r->kind != US_OPT_CHOICE || r->choices[0]);
        }
    box_free(&b);
}

static void test_conf__file_values_and_origins(void)
{
    box b;
    box_new(&b);
    CHECK_OK(&b.c, parse(&b, "requirements:\n  - {metric: accuracy, min: 0.96}\n  - metric: "
                             "accuracy\n    slice: sex=Female\n"
                             "    min: 0.8\ndata:\n  path: a.csv\n  columns: [a, no, 1]\n  "
                             "label_map: {\">50K.\": \">50K\"}\n"
                             "  split:\n    kind: time\n    column: dteday\n"
                             "features:\n  columns:\n    age: {scale: minmax}\nmodel: {hidden: "
                             "32}\ntrain:\n  lr: 1e-2\n"
                             "  epochs: 1e2\n"));
    CHECK_EQ_U64(b.conf.requirements.list.n, 2);
    CHECK_NEAR(b.conf.requirements.list.at[0].min, 0.96, 0);
    CHECK(isnan(b.conf.requirements.list.at[0].max));
    CHECK_EQ_STR(b.conf.requirements.list.at[1].slice, "sex=Female");
    CHECK_EQ_STR(b.conf.data.columns.at[1], "no");
    CHECK_EQ_STR(b.conf.data.label_map.key[0], ">50K.");
    CHECK_EQ_STR(b.conf.data.split_kind, "time");
    CHECK_EQ_STR(b.conf.features.columns.key[0], "age");
    CHECK_EQ_STR(b.conf.features.columns.at[0].scale, "minmax");
    CHECK_EQ_U64(b.conf.model.hidden.n, 1);
    CHECK_EQ_I64(b.conf.train.epochs, 100);
    CHECK_EQ_STR(us_conf_origin(&b.conf, "train.lr"), "usta.yaml:18");
    CHECK_EQ_STR(us_conf_origin(&b.conf, "data.split.kind"), "usta.yaml:11");
    json_t *j = NULL;
    CHECK_OK(&b.c, us_conf_section_json(&b.c, &b.conf, "data", &j));
    CHECK_EQ_STR(us_json_text_or(json_object_get(j, "split"), "kind", ""), "time");
    CHECK(json_object_get(j, "target") == NULL);
    json_decref(j);
    box_free(&b);
}

static void test_conf__mistakes_name_line_and_nearest(void)
{
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"train:\n  epochs: 5\n  learning_rat: 1\n",
         "usta.yaml: line 3: unknown key 'train.learning_rat'"},
        {"train:\n  epoch: 5\n", "did you mean 'train.epochs'?"},
        {"trian:\n  lr: 5\n", "line 1: unknown section 'trian'; did you mean 'train'?"},
        {"train:\n  lr: fast\n", "line 2: train.lr: 'fast' is not a number from 0 to 10"},
        {"train:\n  lr: 11\n", "'11' is not a number from 0 to 10"},
        {"train:\n  epochs: 1.5\n", "not an integer"},
        {"train: {lr: [1]}\n", "train.lr: is a list, expected a number"},
        {"data:\n  split:\n    kind: timed\n",
         "'timed' is not one of random|stratified|time|group"},
        {"data:\n  split:\n    kin: time\n", "did you mean 'data.split.kind'?"},
        {"data: x\n", "'data' must be a mapping"},
        {"model: {hidden: [64, x]}\n", "'x' is not an integer"},
        {"requirements: [{metric: accuracy, mix: 1}]\n", "did you mean 'requirements.min'?"},
        {"requirements: {metric: accuracy}\n", "expected a list of records"},
        {"- a\n", "expected sections"},
    };
    box b;
    box_new(&b);
    for (size_t i = 0; i < US_LEN(bad); i++) {
        CHECK_ERR(parse(&b, bad[i].text), US_ARG);
        CHECK_HAS(b.c.diag.text, bad[i].says);
    }
    box_free(&b);
}

static void test_conf_load__precedence(void)
{
    box b;
    char path[1024];
    box_new(&b);
    us_test_tmp(path, sizeof path, "usta.yaml");
    const char text[] = "train: {lr: 0.1, epochs: 7, batch: 8}\n";
    us_test_write_file(path, text, sizeof text - 1);
    CHECK(setenv("USTA_TRAIN_LR", "0.2", 1) == 0 && setenv("USTA_TRAIN_EPOCHS", "9", 1) == 0);
    us_setting set[2] = {{US_SV("train.lr"), US_SV("0.3")},
                         {US_SV("requirements"), US_SV("[{metric: r2, min: 0.5}]")}};
    CHECK_OK(&b.c, us_conf_load(&b.c, b.a, path, set, 2, &b.conf));
    CHECK_NEAR(b.conf.train.lr, 0.3, 0);
    CHECK_EQ_I64(b.conf.train.epochs, 9);
    CHECK_EQ_I64(b.conf.train.batch, 8);
    CHECK_EQ_U64(b.conf.requirements.list.n, 1);
    CHECK_EQ_STR(us_conf_origin(&b.conf, "train.lr"), "flag --train.lr");
    CHECK_EQ_STR(us_conf_origin(&b.conf, "train.epochs"), "environment USTA_TRAIN_EPOCHS");
    CHECK(setenv("USTA_TRAIN_LR", "x", 1) == 0);
    CHECK_ERR(us_conf_load(&b.c, b.a, path, NULL, 0, &b.conf), US_ARG);
    CHECK_HAS(b.c.diag.text, "environment USTA_TRAIN_LR: 'x' is not a number");
    CHECK(unsetenv("USTA_TRAIN_LR") == 0 && unsetenv("USTA_TRAIN_EPOCHS") == 0);
    us_setting wrong = {US_SV("train.rl"), US_SV("0.3")};
    CHECK_ERR(us_conf_load(&b.c, b.a, path, &wrong, 1, &b.conf), US_ARG);
    CHECK_HAS(b.c.diag.text, "did you mean '--train.lr'?");
    box_free(&b);
}

static void test_conf_template__reads_back(void)
{
    box b;
    json_t *given = NULL;
    us_buf out;
    box_new(&b);
    us_buf_init(&out, &b.c, (size_t)1 << 20);
    CHECK_OK(&b.c, us_json_keep(&b.c, b.a,
                                given = json_pack(
                                    "{s:[{s:s,s:f}],s:{s:s,s:s,s:[s,s],s:{s:s}},s:{s:[i,i]}}",
                                    "requirements", "metric", "accuracy", "min", 0.9, "data",
                                    "path", "my data: 1.csv", "target", "y", "exclude", "a",
                                    "b c", "split", "kind", "time", "model", "hidden", 8, 4)));
    CHECK_OK(&b.c, us_conf_print_template(&b.c, given, &out));
    CHECK_OK(&b.c, parse(&b, out.p));
    CHECK_EQ_STR(b.conf.data.path, "my data: 1.csv");
    CHECK_EQ_STR(b.conf.data.exclude.at[1], "b c");
    CHECK_EQ_STR(b.conf.data.split_kind, "time");
    CHECK_EQ_I64(b.conf.model.hidden.at[1], 4);
    CHECK_NEAR(b.conf.requirements.list.at[0].min, 0.9, 0);
    us_buf_deinit(&out);
    box_free(&b);
}

/* ---- command lines ---- */

typedef struct args_of {
    bool force, quiet;
    int64_t n;
    us_texts in;
    const char *out;
} args_of;

static const us_opt rows[] = {
    {US_OPT_BOOL, 'f', "force", offsetof(args_of, force), "", 0, 0, "", "", NULL, "h"},
    {US_OPT_BOOL, 'q', "quiet", offsetof(args_of, quiet), "true", 0, 0, "", "", NULL, "h"},
    {US_OPT_INT, 'n', "count", offsetof(args_of, n), "3", 1, 9, "", "", NULL, "h"},
    {US_OPT_TEXTS, 'i', "input", offsetof(args_of, in), "", 0, 0, "FILE", "", NULL, "h"},
    {US_OPT_TEXT, 'o', "out", offsetof(args_of, out), "", 0, 0, "DIR", "", NULL, "h"},
    {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

static us_err parse_args(box *b, args_of *v, us_args *out, int argc, const char *const *argv)
{
    const us_opt *tables[] = {rows};
    void *bases[] = {v};
    CHECK_OK(&b->c, us_opt_defaults(&b->c, b->a, rows, v));
    return us_args_parse(&b->c, b->a, tables, bases, 1, argc, argv, out);
}

static void test_args__all_forms(void)
{
    box b;
    args_of v;
    us_args got;
    const char *const argv[] = {"a",  "-fi",    "x=1",        "--input=y=2,z",  "--count",
                                "5",  "-oD",    "--no-quiet", "--train.lr=0.5", "-",
                                "--", "--force"};
    box_new(&b);
    CHECK_OK(&b.c, parse_args(&b, &v, &got, (int)US_LEN(argv), argv));
    CHECK(v.force && !v.quiet);
    CHECK_EQ_I64(v.n, 5);
    CHECK_EQ_U64(v.in.n, 3);
    CHECK_EQ_STR(v.in.at[1], "y=2");
    CHECK_EQ_STR(v.out, "D");
    CHECK_EQ_U64(got.n_pos, 3);
    CHECK_EQ_STR(got.pos[2], "--force");
    CHECK_EQ_U64(got.n_set, 1);
    CHECK(us_sv_is(got.set[0].value, "0.5"));
    box_free(&b);
}

static void test_args__mistakes(void)
{
    static const struct {
        const char *argv[2];
        const char *says;
    } bad[] = {
        {{"--forc", "x"}, "did you mean '--force'?"},
        {{"--count", "10"}, "option --count: '10' is not an integer from 1 to 9"},
        {{"x", "--count"}, "needs a value"},
        {{"-z", "x"}, "unknown option '-z'"},
        {{"--force=maybe", "x"}, "is not true or false"},
    };
    box b;
    args_of v;
    us_args got;
    box_new(&b);
    for (size_t i = 0; i < US_LEN(bad); i++) {
        CHECK_ERR(parse_args(&b, &v, &got, 2, bad[i].argv), US_ARG);
        CHECK_HAS(b.c.diag.text, bad[i].says);
    }
    box_free(&b);
}

/* ---- no memory ---- */

static us_err load_and_print(us_ctx *c, void *arg)
{
    (void)arg;
    us_arena *a = NULL;
    us_conf conf;
    us_buf b;
    json_t *j = NULL;
    us_err e = US_OK;
    us_buf_init(&b, c, (size_t)1 << 20);
    US_GO(us_arena_new(c, "test", (size_t)16 << 20, &a));
    US_GO(us_conf_parse(c, a, "usta.yaml",
                        US_SV("requirements: [{metric: r2, min: 0.5}]\ndata: {exclude: [a, b], "
                              "kinds: {c: text}}\n"
                              "features: {columns: {d: {scale: none}}}\ntrain: {lr: 0.1}\n"),
                        &conf));
    US_GO(us_conf_section_json(c, &conf, "data", &j));
    US_GO(us_json_print(c, j, &b));
    US_GO(us_conf_print_template(c, NULL, &b));
out:
    json_decref(j);
    us_buf_deinit(&b);
    us_arena_free(a);
    return e;
}

static void test_conf__every_allocation_fails(void)
{
    us_torture("conf", load_and_print, NULL);
}

static const us_test_case cases[] = {
    US_CASE(test_json_print__canonical),
    US_CASE(test_json_parse__what_and_where),
    US_CASE(test_json_parse__limits),
    US_CASE(test_json_get__names_key_and_kind),
    US_CASE(test_json_add_text__bad_utf8_is_replaced),
    US_CASE(test_yaml_parse__tree_with_lines),
    US_CASE(test_yaml_parse__refused),
    US_CASE(test_conf__defaults_of_every_row_parse),
    US_CASE(test_conf__file_values_and_origins),
    US_CASE(test_conf__mistakes_name_line_and_nearest),
    US_CASE(test_conf_load__precedence),
    US_CASE(test_conf_template__reads_back),
    US_CASE(test_args__all_forms),
    US_CASE(test_args__mistakes),
    US_CASE(test_conf__every_allocation_fails),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
