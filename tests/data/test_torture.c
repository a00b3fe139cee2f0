/* The n-th allocation fails, for every n: reading, snapshot, schema, split, decoder, features, sketches give US_NOMEM and leak
 * nothing. */
#include "data_test.h"

#include "us_torture.h"

#include "data/features.h"
#include "data/passport.h"
#include "data/profile.h"
#include "data/snapshot.h"
#include "data/split.h"
#include "stats/twosample.h"

static const char text[] = "n,i,b,c,t,y\n"
                           "1.5,3,true,\"r\"\"ed\",2020-01-01T05:00:00Z,yes\n"
                           ",,,,,no\n"
                           "-2.25,7,false,\"a,b\",1969-12-31T23:59:59Z,yes\n"
                           "late,-1,true,red,2021-06-01,no\n";

static us_err model(us_ctx *c, us_arena *a, const us_data_schema *s, const us_table *t)
{
    us_model *m = NULL;
    us_features f;
    US_TRY(us_model_new(c, &m));
    us_err e = us_features_build(c, a, m, s, t, NULL, 0, NULL, &f);
    us_model_free(m);
    return e;
}

static us_err rows(us_ctx *c, us_arena *a, const us_table *t, us_buf *b)
{
    us_data_schema s;
    us_schema_opts o = {.target = US_SV("y")};
    us_decoder d;
    us_split split;
    us_split_opts so = {.kind = US_SPLIT_STRATIFIED, .column = US_SV("y"), .test = 0.5};
    us_violations v;
    us_profile p;
    us_value in[8];
    us_sketch *k;
    us_drift drift;
    size_t n;
    US_TRY(us_snapshot_print(c, t, b));
    US_TRY(us_schema_infer(c, a, t, &o, &s));
    US_TRY(us_schema_check(c, a, &s, t, &v));
    US_TRY(us_profile_make(c, a, t, &p));
    US_TRY(us_split_make(c, a, t, &so, &split));
    US_TRY(us_decoder_init(c, a, &s, US_PACK_AUTO, &d));
    US_TRY(us_decode_csv(c, a, &d, us_sv_of(text), true, &n, in));
    US_TRY(us_decode_table(c, a, &d, t, NULL, t->n_rows, in));
    US_TRY(us_sketch_inputs(c, a, &d, in, t->n_rows, &k));
    US_TRY(us_drift_compare(c, &k[0], &k[0], &drift));
    return model(c, a, &s, t);
}

static us_err whole(us_ctx *c, void *arg)
{
    us_table *t = NULL;
    us_arena *a = NULL;
    us_buf b;
    (void)arg;
    US_TRY(us_arena_new(c, "torture", (size_t)1 << 28, &a));
    us_buf_init(&b, c, (size_t)1 << 20);
    us_err e = us_csv_parse(c, "t.csv", us_sv_of(text), NULL, &t, NULL);
    if (e == US_OK) e = rows(c, a, t, &b);
    us_table_free(t);
    us_buf_deinit(&b);
    us_arena_free(a);
    return e;
}

static void test_torture__every_allocation(void)
{
    us_torture("data", whole, NULL);
}

static const us_test_case cases[] = {US_CASE(test_torture__every_allocation)};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
