/* Tables: taking and putting together rows, snapshots. */
#include "data_test.h"

#include "data/snapshot.h"

static const char all_types[] = "i,f,b,s,t\n"
                                "1,1.5,true,x,2020-01-01\n"
                                ",,,,\n"
                                "3,-2.25,false,\"a,b\",2020-01-02T03:04:05.5Z\n"
                                "4,7,true,zz,2021-01-01\n";

static us_buf printed(env *e, const us_table *t)
{
    us_buf b;
    us_buf_init(&b, &e->c, (size_t)1 << 24);
    CHECK_OK(&e->c, us_snapshot_print(&e->c, t, &b));
    return b;
}

static void same_tables(env *e, const us_table *a, const us_table *b)
{
    us_buf x = printed(e, a), y = printed(e, b);
    CHECK_EQ_U64(x.n, y.n);
    CHECK_EQ_MEM(x.p, y.p, y.n);
    us_buf_deinit(&x);
    us_buf_deinit(&y);
}

static void test_snapshot__round_trip(void)
{
    env e = env_open();
    char path[1024];
    us_table *t = parse_ok(&e, all_types, NULL), *r = NULL;
    us_buf b = printed(&e, t);
    us_test_tmp(path, sizeof path, "a.snap");
    us_test_write_file(path, b.p, b.n);
    CHECK_OK(&e.c, us_snapshot_read(&e.c, path, true, &r));
    CHECK_EQ_U64(r->n_rows, 4);
    check_str(col_of(r, "s"), 2, "a,b");
    CHECK(!us_col_valid(col_of(r, "f"), 1));
    CHECK_NEAR(us_col_f64(col_of(r, "f"), 2), -2.25, 0);
    same_tables(&e, t, r);
    us_table_free(r);
    us_table_free(t);
    us_buf_deinit(&b);
    env_close(&e);
}

/* The bytes depend on contents only: a table taken row by row is the same snapshot. */
static void test_snapshot__canonical(void)
{
    env e = env_open();
    const uint32_t all[] = {0, 1, 2, 3}, some[] = {2, 0, 2};
    us_table *t = parse_ok(&e, all_types, NULL), *r = NULL, *q = NULL;
    CHECK_OK(&e.c, us_table_take(&e.c, t, all, 4, &r));
    same_tables(&e, t, r);
    us_table_free(r);
    CHECK_OK(&e.c, us_table_take(&e.c, t, some, 3, &r));
    q = parse_ok(&e,
                 "i,f,b,s,t\n3,-2.25,false,\"a,b\",2020-01-02T03:04:05.5Z\n"
                 "1,1.5,true,x,2020-01-01\n3,-2.25,false,\"a,b\",2020-01-02 03:04:05.500000\n",
                 NULL);
    same_tables(&e, r, q);
    us_table_free(r);
    us_table_free(q);
    us_table_free(t);
    env_close(&e);
}

static void test_snapshot__damage(void)
{
    env e = env_open();
    us_table *t = parse_ok(&e, all_types, NULL), *r = NULL;
    us_buf b = printed(&e, t);
    uint64_t *copy = aligned_alloc(64, (b.n + 127) / 64 * 64);
    for (size_t n = 0; n < b.n; n += 7) {
        memcpy(copy, b.p, b.n);
        CHECK_ERR(us_snapshot_parse(&e.c, "t", copy, n, true, &r), US_FORMAT);
    }
    size_t n_found = 0;
    for (size_t i = 0; i < b.n; i++) {
        memcpy(copy, b.p, b.n);
        ((char *)copy)[i] = (char)(((char *)copy)[i] ^ 1);
        us_err x = us_snapshot_parse(&e.c, "t", copy, b.n, true, &r);
        CHECK(x == US_OK || x == US_FORMAT);
        n_found += x != US_OK;
        if (x == US_OK) us_table_free(r);
        r = NULL;
    }
    CHECK(n_found > b.n / 4); /* the rest is padding between buffers */
    free(copy);
    us_buf_deinit(&b);
    us_table_free(t);
    env_close(&e);
}

static void test_concat__types_meet(void)
{
    env e = env_open();
    us_table *a = parse_ok(&e, "x,y,z,w\n1,2,,a\n2,3,,b\n", NULL);
    us_table *b = parse_ok(&e, "x,y,z,w\n1.5,q,7,\n", NULL), *t = NULL;
    CHECK_OK(&e.c, us_table_concat(&e.c, a, b, &t));
    CHECK_EQ_I64(col_of(t, "x")->type, US_COL_F64);
    CHECK_NEAR(us_col_f64(col_of(t, "x"), 1), 2, 0);
    check_str(col_of(t, "y"), 0, "2");
    check_str(col_of(t, "y"), 2, "q");
    CHECK_EQ_I64(col_of(t, "z")->type, US_COL_I64);
    CHECK_EQ_U64(col_of(t, "z")->n_null, 2);
    CHECK(!us_col_valid(col_of(t, "w"), 2));
    us_table_free(t);
    us_table *other = parse_ok(&e, "x,y,z,v\n1,2,3,4\n", NULL);
    CHECK_ERR(us_table_concat(&e.c, a, other, &t), US_SHAPE);
    CHECK(said(&e, "'w'"));
    us_table_free(other);
    us_table_free(a);
    us_table_free(b);
    env_close(&e);
}

static void test_table__unknown_column(void)
{
    env e = env_open();
    const us_column *k;
    us_table *t = parse_ok(&e, "age,wage\n1,2\n", NULL);
    CHECK_ERR(us_table_get(&e.c, t, US_SV("agee"), &k), US_NOTFOUND);
    CHECK(said(&e, "did you mean 'age'"));
    us_table_free(t);
    env_close(&e);
}

static const us_test_case cases[] = {
    US_CASE(test_snapshot__round_trip),  US_CASE(test_snapshot__canonical),
    US_CASE(test_snapshot__damage),      US_CASE(test_concat__types_meet),
    US_CASE(test_table__unknown_column),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
