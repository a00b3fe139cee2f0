/* Metrics against scikit-learn 1.2.1 (constants below), bootstrap intervals against theory. */
#include "us_test.h"

#include "base/pool.h"
#include "base/rng.h"
#include "stats/bootstrap.h"

typedef struct env {
    us_ctx c;
    us_arena *a;
} env;

static env env_open(void)
{
    env e;
    us_ctx_init(&e.c);
    CHECK_OK(&e.c, us_arena_new(&e.c, "test", (size_t)1 << 28, &e.a));
    return e;
}

static void env_close(env *e)
{
    us_arena_free(e->a);
    us_ctx_deinit(&e->c);
}

static double value(env *e, const char *name, us_scores s, const uint32_t *w)
{
    CHECK_OK(&e->c, us_scores_prepare(&e->c, e->a, &s));
    return us_metric_find(us_sv_of(name))->value(&s, w);
}

static void test_metric__three_classes(void)
{
    static const float p[] = {.6f, .3f, .1f,  .2f, .5f,  .3f, .1f,  .2f,  .7f, .3f,
                              .4f, .3f, .25f, .5f, .25f, .4f, .35f, .25f, .5f, .3f,
                              .2f, .2f, .2f,  .6f, .1f,  .8f, .1f,  .15f, .7f, .15f};
    static const int32_t y[] = {0, 1, 2, 2, 1, 0, 1, 2, 0, 1};
    us_scores s = {.task = US_TASK_CLASSES, .n = 10, .k = 3, .truth = y, .prob = p};
    env e = env_open();
    CHECK_NEAR(value(&e, "accuracy", s, NULL), 0.7, 1e-15);
    CHECK_NEAR(value(&e, "balanced_accuracy", s, NULL), 0.6944444444444443, 1e-15);
    CHECK_NEAR(value(&e, "macro_f1", s, NULL), 0.7111111111111109, 1e-15);
    CHECK_NEAR(value(&e, "roc_auc", s, NULL), 0.7827380952380953, 1e-15);
    CHECK_NEAR(value(&e, "log_loss", s, NULL), 0.8748116775361167, 1e-14);
    CHECK_NEAR(value(&e, "brier", s, NULL), 0.5054999984502795, 1e-14);
    uint64_t q[9];
    CHECK_OK(&e.c, us_scores_prepare(&e.c, e.a, &s));
    us_confusion(&s, NULL, q);
    const uint64_t want[9] = {2, 1, 0, 1, 3, 0, 0, 1, 2};
    CHECK_EQ_MEM(q, want, sizeof q);
    env_close(&e);
}

static void test_metric__two_classes_weighted(void)
{
    static const float q[] = {.1f, .9f, .4f, .4f, .8f, .3f, .6f, .6f};
    static const int32_t y[] = {0, 1, 1, 0, 1, 0, 0, 1};
    static const uint32_t w[] = {1, 2, 0, 3, 1, 1, 2, 1};
    float p[16];
    for (int i = 0; i < 8; i++) {
        p[2 * i] = 1 - q[i];
        p[2 * i + 1] = q[i];
    }
    us_scores s = {.task = US_TASK_CLASSES, .n = 8, .k = 2, .truth = y, .prob = p};
    env e = env_open();
    CHECK_NEAR(value(&e, "auc", s, NULL), 0.875, 1e-15); /* a tie of both classes counts half */
    CHECK_NEAR(value(&e, "roc_auc", s, w), 0.9642857142857143, 1e-15);
    CHECK_NEAR(value(&e, "brier", s, NULL), 0.1487500018253925, 1e-14);
    CHECK_NEAR(value(&e, "accuracy", s, w), 0.8181818181818182, 1e-15);
    env_close(&e);
}

static void test_metric__regression(void)
{
    static const double y[] = {3, -0.5, 2, 7}, p[] = {2.5, 0, 2, 8};
    static const uint32_t w[] = {1, 2, 3, 1};
    us_scores s = {.task = US_TASK_VALUE, .n = 4, .y = y, .pred = p};
    env e = env_open();
    CHECK_NEAR(value(&e, "rmse", s, NULL), 0.6123724356957945, 1e-15);
    CHECK_NEAR(value(&e, "mae", s, NULL), 0.5, 1e-15);
    CHECK_NEAR(value(&e, "r2", s, NULL), 0.9486081370449679, 1e-15);
    CHECK_NEAR(value(&e, "r2", s, w), 0.9543761638733705, 1e-15);
    static const double flat[] = {1, 1, 1, 1};
    s.y = flat;
    CHECK(isnan(value(&e, "r2", s, NULL)));
    env_close(&e);
}

static void test_metric__odd_input(void)
{
    static const int32_t y[] = {0, 0, -1}, bad[] = {0, 2, 0};
    static const float p[] = {.9f, .1f, .2f, .8f, .5f, .5f};
    us_scores s = {.task = US_TASK_CLASSES, .n = 3, .k = 2, .truth = y, .prob = p};
    const us_metric *m;
    env e = env_open();
    CHECK(isnan(value(&e, "roc_auc", s, NULL))); /* one class only */
    CHECK_NEAR(value(&e, "accuracy", s, NULL), 1.0 / 3,
               1e-15); /* an unknown label is never right */
    s.truth = bad;
    CHECK_ERR(us_scores_prepare(&e.c, e.a, &s), US_ARG);
    CHECK_ERR(us_metric_get(&e.c, US_TASK_VALUE, US_SV("accuracy"), &m), US_ARG);
    CHECK(strstr(e.c.diag.text, "rmse") != NULL);
    CHECK(us_metric_better(us_metric_find(US_SV("rmse")), 1, 2));
    CHECK(!us_metric_better(us_metric_find(US_SV("r2")), (double)NAN, 0));
    env_close(&e);
}

enum { N = 2000 };
static double ys[N], pa[N], pb[N];

static us_scores noise(double *p, double sd, const char *stream)
{
    us_rng r = us_rng_new(3, stream, 0);
    for (int i = 0; i < N; i++)
        p[i] = ys[i] + sd * us_rng_normal(&r);
    return (us_scores){.task = US_TASK_VALUE, .n = N, .y = ys, .pred = p};
}

static void test_bootstrap__interval_is_as_wide_as_theory(void)
{
    env e = env_open();
    us_interval v, w;
    us_scores s = noise(pa, 2, "a");
    CHECK_OK(&e.c, us_scores_prepare(&e.c, e.a, &s));
    CHECK_OK(&e.c,
             us_bootstrap(&e.c, &s, us_metric_find(US_SV("mae")), NULL, 1, 2000, 0.95, &v));
    /* |N(0, 2)|: mean 2 sqrt(2/pi), deviation 2 sqrt(1 - 2/pi) */
    double se = 2 * sqrt(1 - 2 / 3.14159265358979) / sqrt(N);
    CHECK_NEAR(v.value, 1.5957691216, 4 * se);
    CHECK_NEAR(v.se, se, 0.1 * se);
    CHECK_NEAR(v.hi - v.lo, 2 * 1.96 * se, 0.3 * se);
    CHECK(v.lo < v.value && v.value < v.hi);
    us_pool *pool;
    CHECK_OK(&e.c, us_pool_new(&e.c, 3, &pool));
    e.c.pool = pool;
    CHECK_OK(&e.c,
             us_bootstrap(&e.c, &s, us_metric_find(US_SV("mae")), NULL, 1, 2000, 0.95, &w));
    e.c.pool = NULL;
    us_pool_free(pool);
    CHECK(v.lo == w.lo && v.hi == w.hi && v.se == w.se); /* at any number of threads */
    env_close(&e);
}

static void test_bootstrap_paired__worse_same_and_slice(void)
{
    env e = env_open();
    us_paired r;
    uint8_t mask[N] = {0};
    us_scores a = noise(pa, 1, "a"), b = noise(pb, 1.3, "b");
    const us_metric *m = us_metric_find(US_SV("rmse"));
    CHECK_OK(&e.c, us_scores_prepare(&e.c, e.a, &a));
    CHECK_OK(&e.c, us_scores_prepare(&e.c, e.a, &b));
    CHECK_OK(&e.c, us_bootstrap_paired(&e.c, &a, &b, m, NULL, 1, 0, 0, &r));
    CHECK(r.significant && r.lo > 0 && r.p < 0.01);
    CHECK_NEAR(r.diff, 0.3, 0.1);
    CHECK_OK(&e.c, us_bootstrap_paired(&e.c, &a, &a, m, NULL, 1, 0, 0, &r));
    CHECK(!r.significant && r.diff == 0 && r.p == 1);
    b = noise(pb, 1, "c");
    CHECK_OK(&e.c, us_bootstrap_paired(&e.c, &a, &b, m, NULL, 1, 0, 0, &r));
    CHECK(!r.significant && r.p > 0.05);
    CHECK_ERR(us_bootstrap_paired(&e.c, &a, &b, m, mask, 1, 0, 0, &r), US_NO);
    env_close(&e);
}

/* Nominal 95 % intervals cover the truth about 95 % of the time: 300 data sets, band of three deviations. */
static void test_bootstrap__coverage(void)
{
    env e = env_open();
    enum { SETS = 300, ROWS = 200 };
    int hit = 0;
    for (int k = 0; k < SETS; k++) {
        int32_t y[ROWS], guess[ROWS];
        us_rng r = us_rng_new(11, "coverage", (uint64_t)k);
        for (int i = 0; i < ROWS; i++) {
            y[i] = i & 1;
            guess[i] = us_rng_f64(&r) < 0.8 ? y[i] : !y[i];
        }
        us_scores s = {.task = US_TASK_CLASSES, .n = ROWS, .k = 2, .truth = y, .label = guess};
        us_interval v;
        CHECK_OK(&e.c, us_scores_prepare(&e.c, e.a, &s));
        CHECK_OK(&e.c, us_bootstrap(&e.c, &s, us_metric_default(US_TASK_CLASSES), NULL,
                                    (uint64_t)k, 400, 0.95, &v));
        hit += v.lo <= 0.8 && 0.8 <= v.hi;
    }
    CHECK(hit >= 0.905 * (double)SETS && hit <= 0.99 * (double)SETS);
    env_close(&e);
}

static const us_test_case cases[] = {
    US_CASE(test_metric__three_classes),
    US_CASE(test_metric__two_classes_weighted),
    US_CASE(test_metric__regression),
    US_CASE(test_metric__odd_input),
    US_CASE(test_bootstrap__interval_is_as_wide_as_theory),
    US_CASE(test_bootstrap_paired__worse_same_and_slice),
    US_CASE(test_bootstrap__coverage),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
