/* Incomplete beta and early stopping. Reference values: closed forms, the sum that the function stands for; the fewest queries are those
 * of the load generator of MLPerf. */
#include "us_test.h"

#include "stats/earlystop.h"
#include "stats/special.h"

static void test_beta_inc__known_values(void)
{
    CHECK_NEAR(us_beta_inc(1, 1, 0.3), 0.3, 1e-15);
    CHECK_NEAR(us_beta_inc(2, 3, 0.5), 0.6875, 1e-15); /* 11/16 */
    CHECK_NEAR(us_beta_inc(0.5, 0.5, 0.25), 1.0 / 3, 1e-14);
    CHECK_NEAR(us_beta_inc(5, 1, 0.9), 0.59049, 1e-15); /* x^5 */
    for (double x = 0.05; x < 1; x += 0.1)              /* symmetry */
        CHECK_NEAR(us_beta_inc(7, 3.5, x), 1 - us_beta_inc(3.5, 7, 1 - x), 1e-14);
    CHECK(us_beta_inc(3, 4, 0) == 0);
    CHECK(us_beta_inc(3, 4, 1) == 1);
    CHECK(isnan(us_beta_inc(0, 1, 0.5)));
    CHECK(isnan(us_beta_inc(1, -1, 0.5)));
    CHECK(isnan(us_beta_inc(1, 1, 1.5)));
}

/* Against the sum it stands for: t or fewer of n coins that fall with chance 1 - q. */
static double tail(int n, int t, double q)
{
    double sum = 0;
    for (int k = 0; k <= t; k++)
        sum += exp(lgamma(n + 1.0) - lgamma(k + 1.0) - lgamma(n - k + 1.0) + (n - k) * log(q) +
                   k * log(1 - q));
    return sum;
}

static void test_beta_inc__is_the_binomial_tail(void)
{
    const int n[] = {5, 64, 662, 3000};
    const double q[] = {0.5, 0.9, 0.99};
    for (size_t i = 0; i < US_LEN(n); i++)
        for (size_t j = 0; j < US_LEN(q); j++)
            for (int t = 0; t < n[i]; t = 2 * t + 1) {
                double want = tail(n[i], t, q[j]);
                CHECK_NEAR(us_beta_inc(n[i] - t, t + 1, q[j]), want, 1e-9 * want + 1e-15);
            }
}

static void test_early_stop__published_counts(void)
{
    us_es p90 = {0.9, US_ES_TOLERANCE, US_ES_CONFIDENCE};
    us_es p99 = {0.99, US_ES_TOLERANCE, US_ES_CONFIDENCE};
    CHECK_EQ_U64(us_es_min_queries(&p90), 64);
    CHECK_EQ_U64(us_es_min_queries(&p99), 662);
    CHECK_EQ_U64(us_es_min_under(&p99, 0), 459); /* 0.99^459 < 0.01 <= 0.99^458 */
    CHECK_EQ_U64(us_es_min_under(&p90, 0), 44);
}

static void test_early_stop__discard_and_min_under_agree(void)
{
    us_es es = {0.9, 0.01, 0.95};
    uint64_t least = us_es_min_queries(&es);
    CHECK_EQ_U64(us_es_discard(&es, least - 1), 0);
    CHECK_EQ_U64(us_es_discard(&es, least), 1);
    for (uint64_t n = least; n < 100000; n = n * 3 / 2) {
        uint64_t t = us_es_discard(&es, n);
        CHECK(us_es_min_under(&es, t) + t <= n);
        CHECK(us_es_min_under(&es, t + 1) + t + 1 > n);
    }
}

/* With many queries the estimate comes down to the percentile itself. */
static void test_early_stop__large_n(void)
{
    us_es p99 = {0.99, 0, 0.99};
    uint64_t n = 100000000, t = us_es_discard(&p99, n);
    CHECK(t < n / 100);
    CHECK(t > n / 100 - n / 10000);
}

static void test_early_stop__few_and_bad(void)
{
    us_es es = {0.9, 0, 0.99};
    CHECK_EQ_U64(us_es_discard(&es, 0), 0);
    CHECK_EQ_U64(us_es_discard(&es, 1), 0);
    CHECK(!us_es_passes(&es, 0, 0));
    CHECK(!us_es_passes(&es, 10, 10));
    CHECK(!us_es_passes(&es, 10, 11));
}

static const us_test_case cases[] = {
    US_CASE(test_beta_inc__known_values),
    US_CASE(test_beta_inc__is_the_binomial_tail),
    US_CASE(test_early_stop__published_counts),
    US_CASE(test_early_stop__discard_and_min_under_agree),
    US_CASE(test_early_stop__large_n),
    US_CASE(test_early_stop__few_and_bad),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
