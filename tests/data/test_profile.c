/* Statistics of a table, leaks, the schema held against other data, Arrow export. */
#include "data_test.h"

#include "data/arrow.h"
#include "data/profile.h"

static void test_profile__values(void)
{
    env e = env_open();
    us_profile p;
    us_table *t = parse_ok(&e, "x,s,b\n1,a,true\n2,bb,false\n4,a,true\n8,,true\n,ccc,\n", NULL);
    CHECK_OK(&e.c, us_profile_make(&e.c, e.a, t, &p));
    const us_profile_col *x = &p.cols[0], *s = &p.cols[1];
    CHECK_EQ_U64(x->n_missing, 1);
    CHECK_NEAR(x->mean, 3.75, 0);
    CHECK_NEAR(x->std, sqrt(28.75 / 3), 1e-15); /* 7.5625 + 3.0625 + 0.0625 + 18.0625 */
    CHECK_NEAR(x->median, 3, 0);
    CHECK_NEAR(x->q25, 1.75, 0);
    CHECK_NEAR(x->n_distinct, 4, 0);
    CHECK(us_sv_is(s->top, "a") && s->top_count == 2 && s->n_missing == 1);
    CHECK(us_sv_is(s->longest, "ccc") && s->n_distinct == 3);
    CHECK_NEAR(p.cols[2].mean, 0.75, 0);
    us_sv cells[US_PROFILE_N_HEADS];
    json_t *j;
    CHECK_OK(&e.c, us_profile_cells(&e.c, e.a, x, cells));
    CHECK(us_sv_is(cells[2], "20.0 %") && us_sv_is(cells[4], "3.75") &&
          us_sv_is(cells[10], "8"));
    CHECK_OK(&e.c, us_profile_to_json(&e.c, e.a, &p, &j));
    CHECK_EQ_U64(json_array_size(json_object_get(j, "columns")), 3);
    us_table_free(t);
    env_close(&e);
}

static us_leaks leaks_of(env *e, const us_table *t, us_schema_opts o, us_task task)
{
    us_data_schema s;
    us_leaks l;
    CHECK_OK(&e->c, us_schema_infer(&e->c, e->a, t, &o, &s));
    CHECK_OK(&e->c, us_leaks_find(&e->c, e->a, &s, t, NULL, 0, task, &l));
    for (size_t i = 0; i < l.v.n; i++)
        printf("# %.*s\n", US_SV_ARG(l.v.at[i].text));
    return l;
}

static us_table *made(env *e, const char *head, void (*row)(us_buf *b, unsigned i))
{
    us_buf b;
    us_buf_init(&b, &e->c, (size_t)1 << 22);
    us_buf_adds(&b, head);
    for (unsigned i = 0; i < 400; i++)
        row(&b, i);
    us_table *t = parse_ok(e, b.p, NULL);
    us_buf_deinit(&b);
    return t;
}

static unsigned mix(unsigned i, unsigned salt)
{
    unsigned h = (i + 1) * 2654435761u ^ salt * 40503u;
    h ^= h >> 15;
    h *= 2246822519u;
    return (h ^ h >> 13) % 1000;
}

static void sum_row(us_buf *b, unsigned i)
{
    double p = mix(i, 1) / 10.0, q = mix(i, 2) / 10.0, r = mix(i, 3) / 10.0;
    us_buf_addf(b, "%g,%g,%g,%u,%.10g\n", p, q, r, mix(i, 4), 2 * p - 0.5 * r + 3);
}

static void test_leaks__weighted_sum_names_exactly_its_columns(void)
{
    env e = env_open();
    us_table *t = made(&e, "p,q,r,noise,y\n", sum_row);
    us_leaks l = leaks_of(&e, t, (us_schema_opts){.target = US_SV("y")}, US_TASK_VALUE);
    CHECK_EQ_U64(l.v.n, 1);
    CHECK_EQ_I64(l.v.at[0].kind, US_LEAK_SUM);
    CHECK_EQ_U64(l.v.at[0].n_cols, 2);
    CHECK(us_sv_is(l.v.at[0].cols[0], "p") && us_sv_is(l.v.at[0].cols[1], "r"));
    CHECK_NEAR(l.v.at[0].coef[0], 2, 1e-6);
    CHECK_NEAR(l.v.at[0].coef[1], -0.5, 1e-6);
    CHECK_NEAR(l.v.at[0].intercept, 3, 1e-4);
    us_table_free(t);
    env_close(&e);
}

static void single_row(us_buf *b, unsigned i)
{
    static const char *const grade[] = {"low", "mid", "high"};
    unsigned y = mix(i, 1) % 3;
    us_buf_addf(b, "%u,%u,%s,%g,%u\n", mix(i, 2), y * 100 + mix(i, 3) % 90, grade[y],
                y * 1.8 + 32, y);
}

static void test_leaks__single_columns(void)
{
    env e = env_open();
    us_table *t = made(&e, "noise,code,grade,scaled,y\n", single_row);
    us_leaks l = leaks_of(&e, t, (us_schema_opts){.target = US_SV("y")}, US_TASK_CLASSES);
    CHECK_EQ_U64(l.v.n, 3);
    CHECK(us_sv_is(l.v.at[0].cols[0], "code") && l.v.at[0].kind == US_LEAK_SEPARATES);
    CHECK(us_sv_is(l.v.at[1].cols[0], "grade") && l.v.at[1].kind == US_LEAK_MAP);
    CHECK(us_sv_is(l.v.at[2].cols[0], "scaled"));
    l = leaks_of(&e, t, (us_schema_opts){.target = US_SV("y")}, US_TASK_VALUE);
    CHECK(l.v.n == 2 && l.v.at[0].kind == US_LEAK_MAP && l.v.at[1].kind == US_LEAK_AFFINE);
    CHECK_NEAR(l.v.at[1].coef[0], 1 / 1.8, 1e-9);
    us_table_free(t);
    env_close(&e);
}

static void test_leaks__bike(void)
{
    env e = env_open();
    char path[1024];
    us_table *t = NULL;
    const us_sv excluded[] = {US_SV("casual"), US_SV("registered")};
    us_test_corpus(path, sizeof path, "data/drift/bike-hour.csv.gz");
    CHECK_OK(&e.c, us_csv_read(&e.c, path, NULL, &t, NULL));
    us_leaks l = leaks_of(&e, t, (us_schema_opts){.target = US_SV("cnt")}, US_TASK_VALUE);
    CHECK_EQ_U64(l.v.n, 1);
    CHECK_EQ_U64(l.v.at[0].n_cols, 2);
    CHECK(us_sv_is(l.v.at[0].cols[0], "casual") && us_sv_is(l.v.at[0].cols[1], "registered"));
    CHECK(l.v.at[0].coef[0] == 1 && l.v.at[0].coef[1] == 1);
    CHECK(strstr(l.v.at[0].text.p, "cnt = casual + registered") != NULL);
    us_schema_opts o = {.target = US_SV("cnt"), .excluded = excluded, .n_excluded = 2};
    CHECK_EQ_U64(leaks_of(&e, t, o, US_TASK_VALUE).v.n, 0);
    us_table_free(t);
    env_close(&e);
}

/* Honest data raise no alarm. */
static void test_leaks__none_in_real_data(void)
{
    static const struct {
        const char *path, *target;
        us_task task;
    } sets[] = {{"data/tabular/california-housing.csv.gz", "median_house_value", US_TASK_VALUE},
                {"data/tabular/winequality-red.csv.gz", "c11", US_TASK_CLASSES},
                {"data/tabular/titanic-train.csv.gz", "Survived", US_TASK_CLASSES}};
    env e = env_open();
    char path[1024];
    for (size_t i = 0; i < US_LEN(sets); i++) {
        us_table *t = NULL;
        us_test_corpus(path, sizeof path, sets[i].path);
        CHECK_OK(&e.c, us_csv_read(&e.c, path, NULL, &t, NULL));
        us_schema_opts o = {.target = us_sv_of(sets[i].target)};
        CHECK_EQ_U64(leaks_of(&e, t, o, sets[i].task).v.n, 0);
        us_table_free(t);
    }
    env_close(&e);
}

static void test_check__violations(void)
{
    env e = env_open();
    us_data_schema s;
    us_violations v;
    us_table *t = parse_ok(&e, "x,c,d,gone\n1,a,2020-01-01,1\n5,b,2020-02-01,2\n", NULL);
    us_table *u =
        parse_ok(&e, "x,c,d,new\n7,a,2020-01-05,1\n,zzz,soon,1\n9,,2020-01-06,1\n", NULL);
    CHECK_OK(&e.c, us_schema_infer(&e.c, e.a, t, NULL, &s));
    CHECK_OK(&e.c, us_schema_check(&e.c, e.a, &s, t, &v));
    CHECK_EQ_U64(v.v.n, 0);
    CHECK_OK(&e.c, us_schema_check(&e.c, e.a, &s, u, &v));
    static const struct {
        us_violation_kind kind;
        const char *column, *found;
        uint64_t n, row;
    } want[] = {{US_VIO_RANGE, "x", "7", 2, 0},
                {US_VIO_MISSING, "x", "missing", 1, 1},
                {US_VIO_CATEGORY, "c", "zzz", 1, 1},
                {US_VIO_MISSING, "c", "missing", 1, 2},
                {US_VIO_TYPE, "d", "soon", 1, 1},
                {US_VIO_MISSING_COLUMN, "gone", "no such column", 1, 0},
                {US_VIO_NEW_COLUMN, "new", "int64", 1, 0}};
    CHECK_EQ_U64(v.v.n, US_LEN(want));
    for (size_t i = 0; i < US_LEN(want); i++) {
        CHECK_EQ_STR(us_violation_name(v.v.at[i].kind), us_violation_name(want[i].kind));
        CHECK(us_sv_is(v.v.at[i].column, want[i].column) &&
              us_sv_is(v.v.at[i].found, want[i].found));
        CHECK_EQ_U64(v.v.at[i].n, want[i].n);
        CHECK_EQ_U64(v.v.at[i].row, want[i].row);
    }
    us_table_free(t);
    us_table_free(u);
    env_close(&e);
}

static void test_arrow__export_and_release(void)
{
    env e = env_open();
    us_alloc_count count = {0};
    us_ctx c = e.c;
    c.alloc = us_alloc_counting(&count, e.c.alloc);
    us_table *t = parse_ok(&e, "i,s,b\n1,x,true\n,yy,false\n3,,true\n", NULL);
    struct ArrowSchema s;
    struct ArrowArray a;
    CHECK_OK(&c, us_table_export(&c, t, &s, &a));
    CHECK_EQ_STR(s.format, "+s");
    CHECK_EQ_I64(s.n_children, 3);
    CHECK_EQ_STR(s.children[0]->format, "l");
    CHECK_EQ_STR(s.children[1]->format, "U");
    CHECK_EQ_STR(s.children[1]->name, "s");
    CHECK(a.length == 3 && a.n_buffers == 1 && a.buffers[0] == NULL);
    CHECK_EQ_I64(a.children[0]->null_count, 1);
    CHECK_EQ_I64(((const uint8_t *)a.children[0]->buffers[0])[0], 5);
    CHECK_EQ_I64(((const int64_t *)a.children[0]->buffers[1])[2], 3);
    CHECK_EQ_I64(((const int64_t *)a.children[1]->buffers[1])[3], 3);
    CHECK_EQ_I64((uintptr_t)a.children[0]->buffers[1] % 64, 0);
    struct ArrowArray moved = *a.children[2]; /* a consumer keeps one child */
    a.children[2]->release = NULL;
    a.release(&a);
    s.release(&s);
    CHECK(!a.release && !s.release);
    CHECK_EQ_I64(((const uint8_t *)moved.buffers[1])[0], 5);
    moved.release(&moved);
    CHECK_EQ_U64(count.live_bytes, 0);
    count.fail_at = count.n_allocs + 2; /* the array's block */
    CHECK_ERR(us_table_export(&c, t, &s, &a), US_NOMEM);
    CHECK_EQ_U64(count.live_bytes, 0);
    us_table_free(t);
    env_close(&e);
}

static const us_test_case cases[] = {
    US_CASE(test_profile__values),
    US_CASE(test_leaks__weighted_sum_names_exactly_its_columns),
    US_CASE(test_leaks__single_columns),
    US_CASE(test_leaks__bike),
    US_CASE(test_leaks__none_in_real_data),
    US_CASE(test_check__violations),
    US_CASE(test_arrow__export_and_release),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
