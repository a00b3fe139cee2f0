/* Moments, sorting, quantiles, distinct counts, distribution functions. Reference values: scipy 1.10.1. */
#include "us_test.h"

#include "base/rng.h"
#include "base/str.h"
#include "stats/distinct.h"
#include "stats/moments.h"
#include "stats/quantile.h"
#include "stats/special.h"

static void test_moments__closed_form_and_merge(void)
{
    us_moments all, a, b;
    double x[5000];
    us_moments_init(&all);
    us_moments_init(&a);
    us_moments_init(&b);
    for (int i = 0; i < 5000; i++)
        x[i] = 1e9 + i; /* mean >> deviation: the one-pass form fails here */
    us_moments_add_f64(&all, x, 5000);
    us_moments_add_f64(&a, x, 1234);
    us_moments_add_f64(&b, x + 1234, 5000 - 1234);
    us_moments_merge(&a, &b);
    double var = 5000.0 * 5001.0 / 12; /* of 0..n-1, divisor n-1: n(n+1)/12 */
    CHECK_NEAR(us_moments_var(&all), var, 1e-6 * var);
    CHECK_NEAR(us_moments_var(&a), var, 1e-6 * var);
    CHECK_NEAR(all.mean, 1e9 + 2499.5, 1e-3);
    CHECK_EQ_U64(a.n, 5000);
    CHECK(a.min == 1e9 && a.max == 1e9 + 4999);
}

static void test_moments__missing_and_empty(void)
{
    us_moments m;
    double x[7] = {(double)NAN, 1, (double)NAN, 3, (double)NAN, (double)NAN, 5};
    us_moments_init(&m);
    CHECK(isnan(us_moments_var(&m)));
    us_moments_add_f64(&m, x, 7);
    CHECK_EQ_U64(m.n, 3);
    CHECK_EQ_U64(m.n_missing, 4);
    CHECK_NEAR(m.mean, 3, 0);
    CHECK_NEAR(us_moments_var(&m), 4, 1e-15);
    us_moments_add(&m, (double)NAN);
    CHECK_EQ_U64(m.n_missing, 5);
}

static int cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void check_sort(size_t n)
{
    double *x = calloc(n + 1, 8), *want = calloc(n + 1, 8), *tmp = calloc(n + 1, 8);
    us_rng r = us_rng_new(7, "sort", n);
    for (size_t i = 0; i < n; i++)
        x[i] = want[i] = (us_rng_f64(&r) - 0.5) * ldexp(1, (int)us_rng_below(&r, 600) - 300);
    if (n > 10) {
        x[3] = want[3] = (double)INFINITY;
        x[5] = want[5] = -(double)INFINITY;
        x[6] = want[6] = 0;
    }
    qsort(want, n, 8, cmp);
    us_sort_f64(x, tmp, n);
    CHECK_EQ_MEM(x, want, n * 8);
    free(x);
    free(want);
    free(tmp);
}

static void test_sort__sizes(void)
{
    const size_t sizes[] = {0, 1, 2, 3, 63, 64, 65, 1000, 2048, 100003};
    for (size_t i = 0; i < US_LEN(sizes); i++)
        check_sort(sizes[i]);
}

/* All values agree in their upper half, so the fast way must give up and do all digits; the index sort stays stable. */
static void test_sort__lower_digits_decide(void)
{
    enum { N = 5000 };
    static double x[N], want[N], tmp[N];
    static uint64_t key[N], t[N];
    static uint32_t index[N], ti[N];
    us_rng r = us_rng_new(7, "low", 0);
    for (int i = 0; i < N; i++)
        x[i] = want[i] = 1 + (double)us_rng_below(&r, 2000) * 0x1p-52;
    us_sort_index_f64(x, index, N, key, t, ti);
    qsort(want, N, 8, cmp);
    for (int i = 1; i < N; i++) {
        CHECK(x[index[i]] == want[i]);
        CHECK(want[i - 1] < want[i] || index[i - 1] < index[i]);
    }
    us_sort_f64(x, tmp, N);
    CHECK_EQ_MEM(x, want, sizeof want);
}

static void test_sort__nan_last_zeros_ordered(void)
{
    double x[100], tmp[100];
    for (int i = 0; i < 100; i++)
        x[i] = i % 3 == 0 ? (double)NAN : i % 3 == 1 ? -0.0 : 0.0;
    us_sort_f64(x, tmp, 100);
    for (int i = 0; i < 66; i++)
        CHECK(x[i] == 0 && signbit(x[i]) == (i < 33));
    for (int i = 66; i < 100; i++)
        CHECK(isnan(x[i]));
    CHECK_EQ_U64(us_distinct_sorted(x, 66), 1);
}

static void test_sort_index__stable(void)
{
    double x[300];
    uint32_t index[300], ti[300];
    uint64_t k[300], t[300];
    for (int i = 0; i < 300; i++)
        x[i] = i % 2 ? 5 : -5;
    us_sort_index_f64(x, index, 300, k, t, ti);
    for (int i = 0; i < 300; i++)
        CHECK_EQ_U64(index[i], i < 150 ? 2 * i : 2 * (i - 150) + 1);
}

static void test_quantile__type_7(void)
{
    const double x[] = {1, 2, 4, 8};
    CHECK_NEAR(us_quantile_sorted(x, 4, 0.5), 3, 0);
    CHECK_NEAR(us_quantile_sorted(x, 4, 0.25), 1.75, 0);
    CHECK_NEAR(us_quantile_sorted(x, 4, 0.9), 6.8, 1e-12);
    CHECK_NEAR(us_quantile_sorted(x, 4, 0), 1, 0);
    CHECK_NEAR(us_quantile_sorted(x, 4, 1), 8, 0);
    CHECK(isnan(us_quantile_sorted(x, 0, 0.5)));
}

static void test_kll__rank_error_and_merge(void)
{
    enum { N = 200000 };
    us_ctx c;
    us_arena *a;
    us_kll s[3];
    us_ctx_init(&c);
    CHECK_OK(&c, us_arena_new(&c, "t", (size_t)1 << 24, &a));
    us_rng r = us_rng_new(1, "kll", 0);
    for (int j = 0; j < 3; j++)
        us_kll_init(&s[j], a);
    for (int i = 0; i < N; i++) {
        double x = us_rng_f64(&r);
        CHECK_OK(&c, us_kll_add(&c, &s[0], x));
        CHECK_OK(&c, us_kll_add(&c, &s[1 + i % 2], x));
    }
    CHECK_OK(&c, us_kll_merge(&c, &s[1], &s[2]));
    const double q[] = {0, 0.01, 0.25, 0.5, 0.75, 0.99, 1};
    double got[7];
    for (int j = 0; j < 2; j++) {
        CHECK_EQ_U64(s[j].n, N);
        CHECK_OK(&c, us_kll_quantiles(&c, &s[j], 7, q, got));
        for (int i = 0; i < 7; i++) /* uniform: the value is the rank */
            CHECK_NEAR(got[i], q[i], 0.02);
    }
    us_kll e;
    us_kll_init(&e, a);
    CHECK_ERR(us_kll_quantiles(&c, &e, 1, q, got), US_NO);
    us_arena_free(a);
    us_ctx_deinit(&c);
}

static void test_distinct__exact_then_estimate(void)
{
    us_ctx c;
    us_arena *a;
    us_distinct d, e;
    bool exact;
    us_ctx_init(&c);
    CHECK_OK(&c, us_arena_new(&c, "t", (size_t)1 << 24, &a));
    CHECK_OK(&c, us_distinct_init(&c, a, &d));
    CHECK_OK(&c, us_distinct_init(&c, a, &e));
    for (int rep = 0; rep < 3; rep++)
        for (int i = 0; i < 4000; i++)
            us_distinct_add_f64(&d, i);
    us_distinct_add_f64(&d, -0.0);
    us_distinct_add_f64(&d, (double)NAN);
    CHECK_NEAR(us_distinct_count(&d, &exact), 4000, 0);
    CHECK(exact);
    for (int i = 0; i < 1000000; i++)
        us_distinct_add_f64(&e, i * 0.5);
    us_distinct_merge(&d, &e); /* 0..3999 are among them */
    CHECK_NEAR(us_distinct_count(&d, &exact), 1000000,
               50000); /* three standard errors of 1.6 % */
    CHECK(!exact);
    us_arena_free(a);
    us_ctx_deinit(&c);
}

static void test_special__gamma(void)
{
    CHECK_NEAR(us_gamma_p(0.5, 0.2), 0.4729107431344619, 1e-14);
    CHECK_NEAR(us_gamma_p(3, 2.5), 0.45618688411667035, 1e-14);
    CHECK_NEAR(us_gamma_q(10, 20), 0.0049954123083075785, 1e-16);
    CHECK_NEAR(us_gamma_q(100, 80), 0.9828916869648668, 1e-13);
    CHECK_NEAR(us_gamma_q(2, 50) / 9.836624224615988e-21, 1, 1e-12);
    CHECK(isnan(us_gamma_p(0, 1)) && isnan(us_gamma_q(1, -1)));
}

static void test_special__chi2_normal_ks(void)
{
    CHECK_NEAR(us_chi2_sf(3.84, 1), 0.0500435212487051, 1e-14);
    CHECK_NEAR(us_chi2_sf(18.3, 10), 0.050109061411462506, 1e-14);
    CHECK_NEAR(us_chi2_isf(0.05, 1), 3.8414588206941285, 1e-10);
    CHECK_NEAR(us_chi2_isf(0.01, 19), 36.19086912927004, 1e-9);
    CHECK_NEAR(us_normal_quantile(0.975), 1.959963984540054, 1e-13);
    CHECK_NEAR(us_normal_quantile(1e-5), -4.264890793922825, 1e-12);
    CHECK_NEAR(us_normal_cdf(-1.5), 0.06680720126885806, 1e-16);
    CHECK_NEAR(us_ks_sf(1, 2, 2), 0.26999967167735456, 1e-12); /* sqrt(nm/(n+m)) = 1 */
    CHECK_NEAR(us_ks_sf(2, 2, 2), 0.0006709252557796953, 1e-12);
    CHECK_NEAR(us_ks_sf(0.5, 2, 2), 0.9639452436648751, 1e-12);
}

static const us_test_case cases[] = {
    US_CASE(test_moments__closed_form_and_merge),
    US_CASE(test_moments__missing_and_empty),
    US_CASE(test_sort__sizes),
    US_CASE(test_sort__lower_digits_decide),
    US_CASE(test_sort__nan_last_zeros_ordered),
    US_CASE(test_sort_index__stable),
    US_CASE(test_quantile__type_7),
    US_CASE(test_kll__rank_error_and_merge),
    US_CASE(test_distinct__exact_then_estimate),
    US_CASE(test_special__gamma),
    US_CASE(test_special__chi2_normal_ks),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
