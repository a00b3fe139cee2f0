/* Splits: shares, determinism, and what each kind promises. */
#include "data_test.h"

#include "data/split.h"

static us_table *rows(env *e, size_t n)
{
    us_buf b;
    us_buf_init(&b, &e->c, (size_t)1 << 24);
    us_buf_adds(&b, "t,g,y,p\n");
    for (size_t i = 0; i < n; i++)
        us_buf_addf(&b, "%zu,g%zu,%s,%s\n", (i * 7919) % n / 3, i % 37, i % 10 ? "no" : "yes",
                    i % 5 == 0   ? "test"
                    : i % 5 == 1 ? "val"
                                 : "train");
    us_table *t = parse_ok(e, b.p, NULL);
    us_buf_deinit(&b);
    return t;
}

static us_split make(env *e, const us_table *t, us_split_opts o)
{
    us_split s = {0};
    CHECK_OK(&e->c, us_split_make(&e->c, e->a, t, &o, &s));
    CHECK_EQ_U64(s.counts[0] + s.counts[1] + s.counts[2] + s.counts[3], t->n_rows);
    return s;
}

static void test_split__random_same_seed_same_bytes(void)
{
    env e = env_open();
    us_table *t = rows(&e, 1000);
    us_split_opts o;
    us_split_defaults(&o);
    us_split a = make(&e, t, o), b = make(&e, t, o);
    o.seed = 1;
    us_split d = make(&e, t, o);
    CHECK_EQ_U64(a.counts[US_PART_TEST], 150);
    CHECK_EQ_U64(a.counts[US_PART_VALID], 150);
    CHECK_EQ_MEM(a.part, b.part, 1000);
    CHECK(memcmp(a.part, d.part, 1000) != 0);
    us_table_free(t);
    env_close(&e);
}

static void test_split__stratified_keeps_shares(void)
{
    env e = env_open();
    us_table *t = rows(&e, 1000);
    us_split s = make(
        &e, t,
        (us_split_opts){
            .kind = US_SPLIT_STRATIFIED, .column = US_SV("y"), .validation = 0.2, .test = 0.1});
    size_t yes[3] = {0};
    for (size_t i = 0; i < 1000; i += 10)
        yes[s.part[i]]++;
    CHECK_EQ_U64(s.counts[US_PART_TEST], 100);
    CHECK(yes[US_PART_TEST] >= 9 && yes[US_PART_TEST] <= 11);
    CHECK(yes[US_PART_VALID] >= 19 && yes[US_PART_VALID] <= 21);
    us_table_free(t);
    env_close(&e);
}

static void test_split__time_is_ordered_ties_together(void)
{
    env e = env_open();
    us_table *t = rows(&e, 1000);
    us_split s =
        make(&e, t,
             (us_split_opts){
                 .kind = US_SPLIT_TIME, .column = US_SV("t"), .validation = 0.2, .test = 0.2});
    double hi[3] = {-1, -1, -1}, lo[3] = {1e9, 1e9, 1e9};
    for (size_t i = 0; i < 1000; i++) {
        double x = us_col_f64(col_of(t, "t"), i);
        hi[s.part[i]] = fmax(hi[s.part[i]], x);
        lo[s.part[i]] = fmin(lo[s.part[i]], x);
    }
    CHECK(hi[US_PART_TRAIN] < lo[US_PART_VALID] && hi[US_PART_VALID] < lo[US_PART_TEST]);
    us_table_free(t);
    env_close(&e);
}

static void test_split__groups_stay_whole(void)
{
    env e = env_open();
    us_table *t = rows(&e, 1000);
    us_split s =
        make(&e, t,
             (us_split_opts){
                 .kind = US_SPLIT_GROUP, .column = US_SV("g"), .validation = 0.2, .test = 0.2});
    for (size_t i = 37; i < 1000; i++)
        CHECK_EQ_I64(s.part[i], s.part[i - 37]);
    CHECK(s.counts[US_PART_TEST] > 140 && s.counts[US_PART_TEST] < 260);
    us_table_free(t);
    env_close(&e);
}

static void test_split__column_given_test_and_bytes(void)
{
    env e = env_open();
    us_table *t = rows(&e, 1000);
    us_split s = make(&e, t, (us_split_opts){.kind = US_SPLIT_COLUMN, .column = US_SV("p")});
    CHECK_EQ_U64(s.counts[US_PART_TEST], 200);
    CHECK_EQ_U64(s.counts[US_PART_VALID], 200);
    us_split g =
        make(&e, t, (us_split_opts){.validation = 0.25, .test = 0.3, .n_given_test = 200});
    CHECK_EQ_U64(g.counts[US_PART_TEST], 200);
    CHECK_EQ_U64(g.counts[US_PART_VALID], 200);
    for (size_t i = 800; i < 1000; i++)
        CHECK_EQ_I64(g.part[i], US_PART_TEST);
    uint32_t *r;
    size_t n;
    CHECK_OK(&e.c, us_split_rows(&e.c, e.a, &g, US_PART_TEST, &r, &n));
    CHECK(n == 200 && r[0] == 800 && r[199] == 999);
    us_buf b;
    us_split back;
    us_buf_init(&b, &e.c, 1 << 20);
    CHECK_OK(&e.c, us_split_print(&e.c, &g, &b));
    CHECK_OK(&e.c, us_split_parse(&e.c, e.a, "s", us_buf_sv(&b), &back));
    CHECK_EQ_MEM(back.part, g.part, 1000);
    b.p[500] ^= 1;
    CHECK_ERR(us_split_parse(&e.c, e.a, "s", us_buf_sv(&b), &back), US_FORMAT);
    CHECK_ERR(us_split_parse(&e.c, e.a, "s", (us_sv){b.p, 10}, &back), US_FORMAT);
    us_buf_deinit(&b);
    us_table_free(t);
    env_close(&e);
}

static void test_split__bad_options(void)
{
    env e = env_open();
    us_table *t = rows(&e, 10);
    us_split s;
    us_split_opts o = {.validation = 0.6, .test = 0.5};
    CHECK_ERR(us_split_make(&e.c, e.a, t, &o, &s), US_ARG);
    o = (us_split_opts){.kind = US_SPLIT_TIME, .column = US_SV("nope")};
    CHECK_ERR(us_split_make(&e.c, e.a, t, &o, &s), US_NOTFOUND);
    o = (us_split_opts){.kind = US_SPLIT_COLUMN, .column = US_SV("y")};
    CHECK_ERR(us_split_make(&e.c, e.a, t, &o, &s), US_FORMAT);
    o = (us_split_opts){.n_given_test = 10};
    CHECK_ERR(us_split_make(&e.c, e.a, t, &o, &s), US_ARG);
    us_table_free(t);
    env_close(&e);
}

static const us_test_case cases[] = {
    US_CASE(test_split__random_same_seed_same_bytes),
    US_CASE(test_split__stratified_keeps_shares),
    US_CASE(test_split__time_is_ordered_ties_together),
    US_CASE(test_split__groups_stay_whole),
    US_CASE(test_split__column_given_test_and_bytes),
    US_CASE(test_split__bad_options),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
