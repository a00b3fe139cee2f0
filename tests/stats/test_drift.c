/* Two-sample statistics against scipy 1.10.1; the drift rule's rate of false alarms and its power by seeded simulation. */
#include "us_test.h"

#include "base/rng.h"
#include "stats/twosample.h"

static void test_twosample__against_scipy(void)
{
    const uint64_t a[] = {30, 50, 20, 0, 7}, b[] = {25, 70, 41, 6, 0};
    double df;
    CHECK_NEAR(us_chi2_two(a, b, 5, &df), 19.48264134579753, 1e-12);
    CHECK_NEAR(df, 4, 0);
    CHECK_NEAR(us_chi2_sf(us_chi2_two(a, b, 5, &df), 4), 0.0006316199916477628, 1e-12);
    CHECK_NEAR(us_gtest_two(a, b, 5, &df), 24.269476418188702, 1e-12);
    CHECK_NEAR(us_psi(a, b, 5), 0.37747731160185716,
               1e-14); /* its definition over counts + 0.5, in NumPy */
    const double x[] = {1, 2, 2, 3, 7.5, 9}, y[] = {0.5, 2, 4, 4, 10};
    CHECK_NEAR(us_ks_two(x, 6, y, 5), 0.26666666666666666, 1e-15);
    CHECK_NEAR(us_wasserstein_two(x, 6, y, 5), 1.2166666666666668, 1e-14);
    CHECK_NEAR(us_wasserstein_two(y, 5, x, 6), 1.2166666666666668, 1e-14);
    CHECK_NEAR(us_chi2_two(a, a, 0, &df), 0, 0);
}

typedef struct env {
    us_ctx c;
    us_arena *a;
} env;

enum { COLS = 10, MAX_N = 4000 };
static double values[MAX_N];
static us_sv texts[MAX_N];

/* Columns of several shapes: normal, few values, a spike with a tail, missing values, categories. */
static double draw(us_rng *r, size_t col, double shift)
{
    double z = us_rng_normal(r) + shift;
    if (col % 5 == 1) return floor(fabs(z) * 2);
    if (col % 5 == 2) return z < 0.3 ? 0 : exp(z);
    if (col % 5 == 3 && us_rng_f64(r) < 0.1) return (double)NAN;
    return z;
}

static us_sv category(us_rng *r, double shift)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    double z = fabs(us_rng_normal(r) + shift) * 3;
    return us_sv_of(names[z >= 7 ? 7 : (size_t)z]);
}

static void reference(env *e, us_rng *r, size_t n, size_t col, us_sketch *out)
{
    for (size_t i = 0; i < n; i++) {
        if (col % 5 == 4)
            texts[i] = category(r, 0);
        else
            values[i] = draw(r, col, 0);
    }
    if (col % 5 == 4)
        CHECK_OK(&e->c, us_sketch_of_strings(&e->c, e->a, US_SV("c"), US_SK_CATEGORICAL, texts,
                                             n, out));
    else
        CHECK_OK(&e->c, us_sketch_of_numbers(&e->c, e->a, US_SV("x"), US_SK_NUMERIC, values, n,
                                             0, out));
}

/* How many of n_reps monitors with n_cols columns raise any alarm. */
static size_t alarms(size_t n, size_t m, size_t col0, size_t n_cols, double shift, double alpha,
                     us_drift_rule rule, size_t n_reps)
{
    env e;
    size_t n_alarms = 0;
    us_ctx_init(&e.c);
    for (size_t rep = 0; rep < n_reps; rep++) {
        us_drift rows[COLS];
        us_rng r = us_rng_new(5, "drift", rep * 7919 + n * 31 + m + n_cols);
        CHECK_OK(&e.c, us_arena_new(&e.c, "t", (size_t)1 << 26, &e.a));
        for (size_t j = 0; j < n_cols; j++) {
            us_sketch ref, now;
            reference(&e, &r, n, col0 + j, &ref);
            CHECK_OK(&e.c, us_sketch_like(&e.c, e.a, &ref, &now));
            for (size_t i = 0; i < m; i++) {
                if ((col0 + j) % 5 == 4)
                    us_sketch_add_string(&now, category(&r, j ? 0 : shift));
                else
                    us_sketch_add_number(&now, draw(&r, col0 + j, j ? 0 : shift));
            }
            CHECK_OK(&e.c, us_drift_compare(&e.c, &ref, &now, &rows[j]));
        }
        n_alarms += us_drift_judge(&e.c, rows, n_cols, alpha, rule) > 0;
        us_arena_free(e.a);
    }
    us_ctx_deinit(&e.c);
    return n_alarms;
}

/* Nominal 5 %: between 2 % and 9 % over 500 monitors (one deviation of the count is 1 %; with 100 rows on both sides the
 * chi-square law itself is off by some more), whatever sizes, kinds and numbers of columns. */
static void test_drift__false_alarms_at_nominal_rate(void)
{
    static const struct {
        size_t n, m, col0, cols;
    } runs[] = {{500, 100, 0, 1},  {500, 100, 1, 1},   {500, 100, 2, 1},  {500, 100, 3, 1},
                {500, 100, 4, 1},  {4000, 2000, 0, 1}, {300, 1000, 0, 1}, {300, 1000, 1, 1},
                {300, 1000, 4, 1}, {100, 100, 0, 5},   {2000, 60, 0, 5},  {1000, 1000, 0, 10}};
    enum { REPS = 500 };
    for (size_t i = 0; i < US_LEN(runs); i++)
        for (int rule = 0; rule < 2; rule++) {
            size_t k = alarms(runs[i].n, runs[i].m, runs[i].col0, runs[i].cols, 0, 0.05,
                              (us_drift_rule)rule, REPS);
            printf("# n=%zu m=%zu kind %zu, %zu columns, %s: %.1f %% alarms\n", runs[i].n,
                   runs[i].m, runs[i].col0, runs[i].cols, rule ? "Bonferroni" : "BH",
                   100.0 * (double)k / (double)REPS);
            CHECK((double)k >= 0.02 * (double)REPS && (double)k <= 0.09 * (double)REPS);
        }
}

/* A shift of half a deviation in one of ten columns is found nearly always with 1,000 rows, at a budget of 1 %. */
static void test_drift__finds_a_shift(void)
{
    CHECK(alarms(2000, 1000, 0, 10, 0.5, 0.01, US_DRIFT_BH, 50) >= 49);
    CHECK(alarms(2000, 1000, 0, 1, 0.2, 0.05, US_DRIFT_BH, 50) >= 40);
}

static void test_drift__few_rows_no_verdict_and_unseen(void)
{
    env e;
    us_sketch ref, now;
    us_drift d;
    us_ctx_init(&e.c);
    CHECK_OK(&e.c, us_arena_new(&e.c, "t", (size_t)1 << 26, &e.a));
    us_rng r = us_rng_new(5, "few", 0);
    reference(&e, &r, 500, 4, &ref);
    CHECK_OK(&e.c, us_sketch_like(&e.c, e.a, &ref, &now));
    for (int i = 0; i < 29; i++)
        us_sketch_add_string(&now, US_SV("never seen"));
    CHECK_OK(&e.c, us_drift_compare(&e.c, &ref, &now, &d));
    CHECK_EQ_U64(us_drift_judge(&e.c, &d, 1, 0.05, US_DRIFT_BH), 0);
    us_sketch_add_string(&now, US_SV("never seen"));
    CHECK_OK(&e.c, us_drift_compare(&e.c, &ref, &now, &d));
    CHECK_EQ_U64(us_drift_judge(&e.c, &d, 1, 0.05, US_DRIFT_BH), 1);
    CHECK_NEAR(d.unseen_now, 1, 0);
    CHECK(d.psi > d.psi_threshold && d.stat > d.stat_threshold);
    us_sketch_clear(&now);
    CHECK_OK(&e.c, us_drift_compare(&e.c, &ref, &now, &d));
    CHECK(!d.enough && d.p == 1);
    us_sketch_add_missing(&now, 100); /* everything missing at once */
    CHECK_OK(&e.c, us_drift_compare(&e.c, &ref, &now, &d));
    CHECK_EQ_U64(us_drift_judge(&e.c, &d, 1, 0.05, US_DRIFT_BH), 1);
    us_arena_free(e.a);
    us_ctx_deinit(&e.c);
}

static void test_sketch__bins_ties_merge(void)
{
    env e;
    us_sketch ref, a, b;
    us_ctx_init(&e.c);
    CHECK_OK(&e.c, us_arena_new(&e.c, "t", (size_t)1 << 26, &e.a));
    for (int i = 0; i < 1000; i++)
        values[i] = i % 3;
    CHECK_OK(&e.c,
             us_sketch_of_numbers(&e.c, e.a, US_SV("x"), US_SK_NUMERIC, values, 1000, 0, &ref));
    CHECK(ref.n_edges == 2 && ref.counts[0] == 334 && ref.counts[1] == 333 &&
          ref.counts[2] == 333);
    for (int i = 0; i < 1000; i++)
        values[i] = i < 600 ? 0 : i; /* most rows tie */
    CHECK_OK(&e.c,
             us_sketch_of_numbers(&e.c, e.a, US_SV("x"), US_SK_NUMERIC, values, 1000, 0, &ref));
    CHECK_EQ_U64(ref.counts[0], 600);
    CHECK(ref.n_edges > 5 && ref.n_edges < 20);
    CHECK_OK(&e.c, us_sketch_like(&e.c, e.a, &ref, &a));
    CHECK_OK(&e.c, us_sketch_like(&e.c, e.a, &ref, &b));
    for (int i = 0; i < 1000; i++)
        us_sketch_add_number(i % 2 ? &a : &b, values[i]);
    us_sketch_add_number(&a, (double)INFINITY);
    CHECK_OK(&e.c, us_sketch_merge(&e.c, &a, &b));
    for (size_t i = 0; i <= ref.n_edges; i++)
        CHECK_EQ_U64(a.counts[i], ref.counts[i]);
    CHECK_EQ_U64(a.n_missing, 1);
    us_sketch other;
    CHECK_OK(&e.c,
             us_sketch_of_numbers(&e.c, e.a, US_SV("x"), US_SK_NUMERIC, values, 0, 0, &other));
    CHECK_ERR(us_sketch_merge(&e.c, &a, &other), US_SHAPE);
    us_arena_free(e.a);
    us_ctx_deinit(&e.c);
}

static const us_test_case cases[] = {
    US_CASE(test_twosample__against_scipy), US_CASE(test_drift__false_alarms_at_nominal_rate),
    US_CASE(test_drift__finds_a_shift),     US_CASE(test_drift__few_rows_no_verdict_and_unseen),
    US_CASE(test_sketch__bins_ties_merge),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
