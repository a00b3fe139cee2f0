/* The row decoder: every way in gives the same bytes; the schema behind it; targets; the passport round trip. */
#include "data_test.h"

#include "data/decode.h"
#include "data/passport.h"

static const char small[] = "n,i,b,cat,t,y\n"
                            "1.5,3,true,red,2020-01-01T05:00:00Z,yes\n"
                            ",,,,,no\n"
                            "-2.25,7,false,\"a,b\",1969-12-31T23:59:59Z,yes\n"
                            "1e10,-1,true,red,2021-06-01,no\n";

static us_data_schema infer(env *e, const us_table *t, const us_schema_opts *o)
{
    us_data_schema s;
    CHECK_OK(&e->c, us_schema_infer(&e->c, e->a, t, o, &s));
    return s;
}

static bool same_tensor(const us_tensor *a, const us_tensor *b)
{
    int64_t n = us_tensor_count(a);
    if (a->dtype != b->dtype || n != us_tensor_count(b)) return false;
    if (a->dtype != US_STRING) return memcmp(a->data, b->data, us_tensor_bytes(a)) == 0;
    for (int64_t i = 0; i < n; i++)
        if (!us_sv_eq(us_tensor_str_at(a, i), us_tensor_str_at(b, i))) return false;
    return true;
}

static void check_same(const us_decoder *d, const us_value *a, const us_value *b)
{
    for (size_t i = 0; i < d->n_inputs; i++)
        if (!same_tensor(&a[i].t, &b[i].t))
            US_TEST_FAIL("input %.*s differs", US_SV_ARG(d->inputs[i].name));
}

static us_value *values(env *e, const us_decoder *d)
{
    us_value *v = us_new_n(e->a, us_value, d->n_inputs);
    CHECK(v != NULL);
    return v;
}

static void test_decode__four_ways_same_bytes(void)
{
    env e = env_open();
    us_table *t = parse_ok(&e, small, NULL);
    us_schema_opts o = {.target = US_SV("y")};
    us_data_schema s = infer(&e, t, &o);
    us_decoder d;
    json_t *j;
    size_t n;
    CHECK_OK(&e.c, us_decoder_init(&e.c, e.a, &s, US_PACK_AUTO, &d));
    CHECK_EQ_U64(d.n_inputs, 5);
    CHECK(!d.packed);
    us_value *a = values(&e, &d), *b = values(&e, &d);
    CHECK_OK(&e.c, us_decode_table(&e.c, e.a, &d, t, NULL, 4, a));
    CHECK(isnan(((const float *)a[0].t.data)[1]));
    CHECK(((const int64_t *)a[4].t.data)[1] == US_TIME_MISSING);
    CHECK_OK(&e.c, us_decode_csv(&e.c, e.a, &d, us_sv_of(small), true, &n, b));
    CHECK_EQ_U64(n, 4);
    check_same(&d, a, b);
    static const char rows[] =
        "[{\"n\":1.5,\"i\":3,\"b\":true,\"cat\":\"red\",\"t\":\"2020-01-01 05:00\"},"
        "{\"n\":null,\"cat\":\"\",\"y\":\"no\"},"
        "[-2.25,\"7\",\"false\",\"a,b\",\"1969-12-31T23:59:59Z\"],"
        "[10000000000,-1.0,1,\"red\",\"2021-06-01\"]]";
    CHECK_OK(&e.c, us_json_parse(&e.c, e.a, "rows", us_sv_of(rows), 0, &j));
    CHECK_OK(&e.c, us_decode_json(&e.c, e.a, &d, j, &n, b));
    CHECK_EQ_U64(n, 4);
    check_same(&d, a, b);
    us_sv names[5];
    us_tensor in[5];
    for (size_t i = 0; i < 5; i++) {
        names[i] = d.inputs[4 - i].name;
        in[i] = a[4 - i].t;
    }
    CHECK_OK(&e.c, us_decode_tensors(&e.c, e.a, &d, 5, names, in, &n, b));
    check_same(&d, a, b);
    us_table_free(t);
    env_close(&e);
}

static void test_decode__packed(void)
{
    env e = env_open();
    us_table *t = parse_ok(&e, "a,b,y\n1,true,0\n-0,,1\n2.5,false,0\n", NULL);
    us_schema_opts o = {.target = US_SV("y")};
    us_data_schema s = infer(&e, t, &o);
    us_decoder d;
    size_t n;
    CHECK_OK(&e.c, us_decoder_init(&e.c, e.a, &s, US_PACK_AUTO, &d));
    CHECK(d.packed && d.n_inputs == 1 && d.inputs[0].width == 2);
    us_value a[1], b[1];
    CHECK_OK(&e.c, us_decode_table(&e.c, e.a, &d, t, NULL, 3, a));
    CHECK_OK(&e.c,
             us_decode_csv(&e.c, e.a, &d, US_SV("1,true\n-0,\n2.5,false\n"), false, &n, b));
    check_same(&d, a, b);
    CHECK_OK(&e.c, us_decode_csv(&e.c, e.a, &d, US_SV("1,true,x\n-0,,y\n2.5,false,\n"), false,
                                 &n, b));
    check_same(&d, a, b); /* all columns of the schema, the target among them */
    CHECK(!signbit(((const float *)a[0].t.data)[2]));
    const us_sv name = US_SV("features");
    CHECK_OK(&e.c, us_decode_tensors(&e.c, e.a, &d, 1, &name, &a[0].t, &n, b));
    check_same(&d, a, b);
    us_table_free(t);
    env_close(&e);
}

static void bad_json(env *e, const us_decoder *d, const char *text, const char *says)
{
    json_t *j;
    size_t n;
    us_value *v = values(e, d);
    CHECK_OK(&e->c, us_json_parse(&e->c, e->a, "rows", us_sv_of(text), 0, &j));
    us_err r = us_decode_json(&e->c, e->a, d, j, &n, v);
    CHECK(r == US_FORMAT || r == US_LIMIT);
    CHECK(said(e, says));
}

static void test_decode__errors_name_row_and_column(void)
{
    env e = env_open();
    us_table *t = parse_ok(&e, small, NULL);
    us_schema_opts o = {.target = US_SV("y")};
    us_data_schema s = infer(&e, t, &o);
    us_decoder d;
    size_t n;
    CHECK_OK(&e.c, us_decoder_init(&e.c, e.a, &s, US_PACK_AUTO, &d));
    us_value *v = values(&e, &d);
    bad_json(&e, &d, "[{\"n\":1},{\"n\":\"abc\"}]",
             "row 2, column 'n': found 'abc', expected a number");
    bad_json(&e, &d, "{\"i\":1.5}", "expected an integer");
    bad_json(&e, &d, "{\"b\":2}", "expected true or false");
    bad_json(&e, &d, "{\"t\":\"yesterday\"}", "ISO 8601");
    bad_json(&e, &d, "{\"t\":12}", "ISO 8601");
    bad_json(&e, &d, "{\"cta\":\"red\"}", "did you mean 'cat'");
    bad_json(&e, &d, "{\"n\":[1]}", "found '[...]'");
    bad_json(&e, &d, "[[1,2]]", "2 values, expected the 5 features");
    bad_json(&e, &d, "[]", "no rows");
    bad_json(&e, &d, "[[1,2,true,\"x\",null],7]", "row 2 is neither");
    CHECK_ERR(us_decode_csv(&e.c, e.a, &d, US_SV("n,i,b,cat\n1,2,true,x\n"), true, &n, v),
              US_FORMAT);
    CHECK(said(&e, "lacks column 't'"));
    CHECK_ERR(us_decode_csv(&e.c, e.a, &d, US_SV("1,2\n"), false, &n, v), US_FORMAT);
    CHECK_ERR(us_decode_csv(&e.c, e.a, &d, US_SV(""), false, &n, v), US_FORMAT);
    us_tensor x;
    float f[2] = {1, 2};
    CHECK_OK(&e.c, us_tensor_init(&e.c, &x, US_F32, 1, (int64_t[]){2}, f));
    const us_sv wrong = US_SV("nn"), right = US_SV("n");
    CHECK_ERR(us_decode_tensors(&e.c, e.a, &d, 1, &wrong, &x, &n, v), US_NOTFOUND);
    CHECK_ERR(us_decode_tensors(&e.c, e.a, &d, 1, &right, &x, &n, v), US_NOTFOUND);
    CHECK_ERR(us_decode_tensors(&e.c, e.a, &d, 0, NULL, NULL, &n, v), US_NOTFOUND);
    CHECK_OK(&e.c, us_tensor_init(&e.c, &x, US_F32, 2, (int64_t[]){1, 2}, f));
    CHECK_ERR(us_decode_tensors(&e.c, e.a, &d, 1, &right, &x, &n, v), US_SHAPE);
    us_table_free(t);
    env_close(&e);
}

static void test_schema__kinds_roles_json(void)
{
    env e = env_open();
    us_table *t = parse_ok(&e,
                           "id,day,hour,txt,epoch,y\n1,2020-01-01,0,a,1577836800,3\n"
                           "2,2020-01-02,1,b,1577836801,4\n3,2020-01-03,0,c,1577836802,3\n",
                           NULL);
    const us_sv excluded[] = {US_SV("id")};
    const us_schema_override over[] = {
        {.column = US_SV("hour"), .kind = US_DK_CATEGORICAL, .has_kind = true},
        {.column = US_SV("epoch"), .kind = US_DK_TIMESTAMP, .has_kind = true, .epoch_s = true}};
    const us_sv missing[] = {US_SV("?")};
    us_csv_opts csv = {.delimiter = ';', .trim = true, .missing = missing, .n_missing = 1};
    us_schema_opts o = {.target = US_SV("y"),
                        .excluded = excluded,
                        .n_excluded = 1,
                        .time = US_SV("day"),
                        .overrides = over,
                        .n_overrides = 2,
                        .csv = &csv};
    us_data_schema s = infer(&e, t, &o), back;
    json_t *j;
    us_buf x, y;
    CHECK_EQ_U64(us_schema_n_features(&s), 3);
    CHECK_EQ_I64(us_schema_find(&s, US_SV("id"))->role, US_DR_EXCLUDED);
    CHECK_EQ_I64(us_schema_find(&s, US_SV("day"))->role, US_DR_TIME);
    const us_data_col *hour = us_schema_find(&s, US_SV("hour"));
    CHECK(hour->n_vocab == 2 && us_sv_is(hour->vocab[0], "0") && hour->vocab_counts[0] == 2);
    CHECK_NEAR(us_schema_find(&s, US_SV("epoch"))->min, 1577836800e6, 0);
    CHECK_OK(&e.c, us_schema_to_json(&e.c, e.a, &s, &j));
    CHECK_OK(&e.c, us_schema_from_json(&e.c, e.a, j, &back));
    us_buf_init(&x, &e.c, 1 << 20);
    us_buf_init(&y, &e.c, 1 << 20);
    CHECK_OK(&e.c, us_json_print(&e.c, j, &x));
    CHECK_OK(&e.c, us_schema_to_json(&e.c, e.a, &back, &j));
    CHECK_OK(&e.c, us_json_print(&e.c, j, &y));
    CHECK_EQ_STR(x.p, y.p);
    us_decoder d;
    us_value v[3];
    size_t n;
    CHECK_OK(&e.c, us_decoder_init(&e.c, e.a, &back, US_PACK_AUTO, &d));
    CHECK_OK(&e.c,
             us_decode_csv(&e.c, e.a, &d, US_SV(" 007 ; ? ; 1577836800.5 "), false, &n, v));
    CHECK(us_sv_is(us_tensor_str_at(&v[0].t, 0), "7")); /* one category however it is written */
    CHECK(us_tensor_str_at(&v[1].t, 0).n == 0);
    CHECK_EQ_I64(us_tensor_i64_at(&v[2].t, 0), INT64_C(1577836800500000));
    us_sv *classes;
    size_t k;
    int32_t index[3];
    us_task task;
    CHECK_OK(&e.c, us_target_task(&e.c, &s, &task));
    CHECK_EQ_I64(task, US_TASK_CLASSES);
    CHECK_OK(&e.c, us_target_classes(&e.c, e.a, &s, &classes, &k));
    CHECK(k == 2 && us_sv_is(classes[1], "4"));
    CHECK_OK(&e.c, us_target_index(&e.c, &s, t, classes, k, NULL, 3, false, index));
    CHECK(index[0] == 0 && index[1] == 1 && index[2] == 0);
    double num[3];
    CHECK_OK(&e.c, us_target_number(&e.c, &s, t, NULL, 3, num));
    CHECK_NEAR(num[1], 4, 0);
    us_schema_opts bad = {.target = US_SV("z")};
    CHECK_ERR(us_schema_infer(&e.c, e.a, t, &bad, &back), US_NOTFOUND);
    us_buf_deinit(&x);
    us_buf_deinit(&y);
    us_table_free(t);
    env_close(&e);
}

/* Real data: the table's rows and the file's own text decode to the same bits. */
static void test_decode__adult_table_equals_rows(void)
{
    static const char *const columns[] = {"age",
                                          "workclass",
                                          "fnlwgt",
                                          "education",
                                          "education_num",
                                          "marital_status",
                                          "occupation",
                                          "relationship",
                                          "race",
                                          "sex",
                                          "capital_gain",
                                          "capital_loss",
                                          "hours_per_week",
                                          "native_country",
                                          "income"};
    env e = env_open();
    char path[1024];
    us_sv names[15];
    const us_sv missing[] = {US_SV("?")};
    const us_csv_map maps[] = {{US_SV("income"), US_SV("<=50K."), US_SV("<=50K")},
                               {US_SV("income"), US_SV(">50K."), US_SV(">50K")}};
    us_csv_opts o = {.names = names,
                     .n_names = 15,
                     .trim = true,
                     .missing = missing,
                     .n_missing = 1,
                     .maps = maps,
                     .n_maps = 2};
    us_table *t = NULL;
    us_buf text, raw;
    for (size_t i = 0; i < 15; i++)
        names[i] = us_sv_of(columns[i]);
    us_test_corpus(path, sizeof path, "data/tabular/adult-test.csv.gz");
    us_buf_init(&raw, &e.c, (size_t)1 << 26);
    us_buf_init(&text, &e.c, (size_t)1 << 26);
    CHECK_OK(&e.c, us_file_read(&e.c, path, &raw));
    CHECK_OK(&e.c, us_gunzip(&e.c, path, raw.p, raw.n, (size_t)1 << 26, &text));
    CHECK_OK(&e.c, us_csv_read(&e.c, path, &o, &t, NULL));
    CHECK_EQ_U64(t->n_rows, 16281);
    us_schema_opts so = {.target = US_SV("income"), .csv = &o};
    us_data_schema s = infer(&e, t, &so);
    CHECK_EQ_I64(us_schema_find(&s, US_SV("native_country"))->kind, US_DK_CATEGORICAL);
    CHECK_EQ_U64(us_schema_target(&s)->n_vocab, 2);
    us_decoder d;
    size_t n;
    CHECK_OK(&e.c, us_decoder_init(&e.c, e.a, &s, US_PACK_AUTO, &d));
    CHECK_EQ_U64(d.n_inputs, 14);
    us_value a[14], b[14];
    CHECK_OK(&e.c, us_decode_table(&e.c, e.a, &d, t, NULL, t->n_rows, a));
    CHECK_OK(&e.c, us_decode_csv(&e.c, e.a, &d, us_buf_sv(&text), false, &n, b));
    CHECK_EQ_U64(n, t->n_rows);
    check_same(&d, a, b);
    us_buf_deinit(&raw);
    us_buf_deinit(&text);
    us_table_free(t);
    env_close(&e);
}

static void test_passport__round_trip(void)
{
    env e = env_open();
    us_table *t = parse_ok(&e, small, NULL);
    us_schema_opts o = {.target = US_SV("y")};
    us_passport p = {.program = US_SV("usta test"),
                     .task = US_TASK_CLASSES,
                     .target = US_SV("y"),
                     .snapshot = US_SV("abcd"),
                     .seed = 42,
                     .config = US_SV("{\"a\": [1, 2.5]}")},
                q;
    us_decoder d;
    us_passport_metric metric[] = {{US_SV("validation"), US_SV("accuracy"), 0.75}};
    us_sv classes[] = {US_SV("no"), US_SV("yes")}, entries[] = {US_SV("n"), US_SV("cat=red")};
    float prob[8] = {.9f, .1f, .2f, .8f, .5f, .5f, .3f, .7f};
    us_buf x, y;
    us_model *m;
    p.schema = infer(&e, t, &o);
    CHECK_OK(&e.c, us_decoder_init(&e.c, e.a, &p.schema, US_PACK_AUTO, &d));
    us_value *v = values(&e, &d);
    CHECK_OK(&e.c, us_decode_table(&e.c, e.a, &d, t, NULL, 4, v));
    CHECK_OK(&e.c, us_sketch_inputs(&e.c, e.a, &d, v, 4, &p.sketches));
    CHECK_OK(&e.c, us_sketch_outputs(&e.c, e.a, p.task, classes, 2, prob, NULL, 4, &p.outputs,
                                     &p.n_outputs));
    p.n_sketches = d.n_features;
    p.classes = classes;
    p.n_classes = 2;
    p.features = entries;
    p.n_features = 2;
    p.metrics = metric;
    p.n_metrics = 1;
    us_buf_init(&x, &e.c, 1 << 20);
    us_buf_init(&y, &e.c, 1 << 20);
    CHECK_OK(&e.c, us_passport_print(&e.c, &p, &x));
    CHECK_OK(&e.c, us_model_new(&e.c, &m));
    CHECK_ERR(us_passport_get(&e.c, e.a, m, &q), US_NOTFOUND);
    CHECK_OK(&e.c, us_passport_set(&e.c, m, &p));
    CHECK_OK(&e.c, us_passport_get(&e.c, e.a, m, &q));
    CHECK_OK(&e.c, us_passport_print(&e.c, &q, &y));
    CHECK_EQ_STR(x.p, y.p);
    CHECK_EQ_U64(q.n_sketches, 5);
    CHECK_EQ_U64(q.sketches[0].n_missing, 1);
    CHECK(us_sv_is(q.sketches[3].cats[0], "red") && q.sketches[3].cat_counts[0] == 2);
    CHECK(us_sv_is(q.outputs[0].name, "label"));
    us_sketch *live = us_new_n(e.a, us_sketch, 5);
    for (size_t i = 0; i < 5; i++)
        CHECK_OK(&e.c, us_sketch_like(&e.c, e.a, &q.sketches[i], &live[i]));
    us_sketch_update_inputs(live, &d, v, 4);
    for (size_t i = 0; i < 5; i++) {
        CHECK_EQ_U64(live[i].n_missing, q.sketches[i].n_missing);
        for (size_t b = 0; live[i].kind != US_SK_CATEGORICAL && b <= live[i].n_edges; b++)
            CHECK_EQ_U64(live[i].counts[b], q.sketches[i].counts[b]);
    }
    for (size_t n = 0; n < x.n; n += 13) /* cut anywhere: an error, nothing else */
        CHECK_ERR(us_passport_parse(&e.c, e.a, (us_sv){x.p, n}, &q), US_FORMAT);
    us_model_free(m);
    us_buf_deinit(&x);
    us_buf_deinit(&y);
    us_table_free(t);
    env_close(&e);
}

static const us_test_case cases[] = {
    US_CASE(test_decode__four_ways_same_bytes),       US_CASE(test_decode__packed),
    US_CASE(test_decode__errors_name_row_and_column), US_CASE(test_schema__kinds_roles_json),
    US_CASE(test_decode__adult_table_equals_rows),    US_CASE(test_passport__round_trip),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
