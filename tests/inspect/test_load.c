/* test_load.c - the scenarios of the load generator on invented time: queries that take what the test says. */
#include "us_test.h"

#include "inspect/load.h"

static us_ctx ctx;
static us_arena *arena;

/* Time passes only while something answers or waits. */
typedef struct fake {
    uint64_t now;
    uint64_t service;    /* of an answer */
    uint64_t slow_every; /* each so many-th answer takes ten times as long; 0: none */
    uint64_t n;
    uint64_t fail_at; /* answer number that fails; 0: none */
    uint64_t seen[8]; /* answers by sample */
} fake;

static uint64_t fake_now(void *ud)
{
    return ((fake *)ud)->now;
}

static void fake_wait(void *ud, uint64_t until)
{
    fake *f = ud;
    if (until > f->now) f->now = until;
}

static bool fake_answer(void *ud, size_t i)
{
    fake *f = ud;
    f->n++;
    f->seen[i]++;
    f->now += f->slow_every && f->n % f->slow_every == 0 ? 10 * f->service : f->service;
    return f->n != f->fail_at;
}

static us_load load_of(fake *f)
{
    if (!arena) {
        us_ctx_init(&ctx);
        CHECK_OK(&ctx, us_arena_new(&ctx, "test", (size_t)1 << 30, &arena));
    }
    return (us_load){.clock = {fake_now, fake_wait, f},
                     .answer = fake_answer,
                     .ud = f,
                     .n_samples = 4,
                     .seed = 7,
                     .seconds = 1,
                     .limit_seconds = 100,
                     .per_query = 8};
}

static void test_single__least_time(void)
{
    fake f = {.service = 1000000}; /* 1 ms */
    us_load l = load_of(&f);
    us_load_result r;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SINGLE, &r));
    CHECK(r.valid);
    CHECK_EQ_STR(r.why, "");
    CHECK_EQ_U64(r.n_queries, 1000);
    CHECK_EQ_U64(r.duration_ns, 1000000000);
    CHECK_EQ_U64(r.n_needed, 64);
    CHECK_NEAR(r.estimate_ns, 1e6, 0);
    CHECK_NEAR(us_load_percentile(&r, 0.999), 1e6, 0);
    CHECK_NEAR(r.mean, 1e6, 0);
    CHECK_NEAR(r.samples_per_s, 1000, 1e-9);
    CHECK(f.seen[0] > 150 && f.seen[1] > 150 && f.seen[2] > 150 && f.seen[3] > 150);
}

/* Slower than the least time allows: as many as early stopping needs, and no more. */
static void test_single__few_queries(void)
{
    fake f = {.service = 100000000}; /* 0.1 s */
    us_load l = load_of(&f);
    us_load_result r;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SINGLE, &r));
    CHECK(r.valid);
    CHECK_EQ_U64(r.n_queries, 64);
}

static void test_single__limit(void)
{
    fake f = {.service = 100000000};
    us_load l = load_of(&f);
    us_load_result r;
    l.limit_seconds = 3;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SINGLE, &r));
    CHECK(!r.valid);
    CHECK_EQ_U64(r.n_queries, 30);
    CHECK(isnan(r.estimate_ns));
    CHECK_EQ_STR(r.why, "only 30 of the 64 queries that early stopping needs");
    CHECK_NEAR(us_load_percentile(&r, 0.5), 1e8, 0);
}

/* One answer in 20 is slow: the 90th percentile is not, the 99th is; and the estimate lies between the two ranks. */
static void test_single__tail(void)
{
    fake f = {.service = 1000000, .slow_every = 20};
    us_load l = load_of(&f);
    us_load_result r;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SINGLE, &r));
    CHECK_NEAR(us_load_percentile(&r, 0.9), 1e6, 0);
    CHECK_NEAR(us_load_percentile(&r, 0.99), 1e7, 0);
    CHECK_NEAR(r.estimate_ns, 1e6, 0);
    CHECK_NEAR(us_load_estimate(&r, 0.5), 1e6, 0);
    CHECK(isnan(us_load_estimate(&r, 0.9999))); /* would take 66,000 queries */
    CHECK(r.std > 1.5e6 && r.std < 2.5e6);
}

static void test_multi__eight_a_query(void)
{
    fake f = {.service = 1000000};
    us_load l = load_of(&f);
    us_load_result r;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_MULTI, &r));
    CHECK(r.valid);
    CHECK_EQ_U64(r.n_queries, 662);
    CHECK_EQ_U64(f.n, 662 * 8);
    CHECK_NEAR(r.estimate_ns, 8e6, 0);
    CHECK_NEAR(r.samples_per_s, 1000, 1e-9);
}

static void test_offline__all_at_once(void)
{
    fake f = {.service = 1000000};
    us_load l = load_of(&f);
    us_load_result r;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_OFFLINE, &r));
    CHECK(r.valid);
    CHECK(r.duration_ns >= 1000000000);
    CHECK(r.per_query >= 1000 && r.per_query <= 1400);
    CHECK_NEAR(r.samples_per_s, 1000, 1e-6);
    CHECK(isnan(us_load_percentile(&r, 0.5)));
}

static void test_arrivals__poisson(void)
{
    enum { N = 100000 };
    static uint64_t at[N], again[N];
    double sum = 0, square = 0;
    us_load_arrivals(3, 1, 1000, at, N);
    us_load_arrivals(3, 1, 1000, again, N);
    CHECK_EQ_MEM(at, again, sizeof at);
    us_load_arrivals(3, 2, 1000, again, N);
    CHECK(at[10] != again[10]);
    for (size_t i = 1; i < N; i++) {
        CHECK(at[i] >= at[i - 1]);
        double gap = (double)(at[i] - at[i - 1]) / 1e6; /* ms */
        sum += gap;
        square += gap * gap;
    }
    double mean = sum / (N - 1), var = square / (N - 1) - mean * mean;
    CHECK_NEAR(mean, 1, 0.015); /* four deviations: 4 / sqrt(N) */
    CHECK_NEAR(var, 1, 0.04);   /* of an exponential: its mean squared */
}

/* One server, 1 ms each, bound 10 ms. In an M/D/1 queue at load 0.9 the 99th percentile of waiting is some 20 services, at 0.5 some
 * 4: the highest rate lies between. What it finds passes again, and far more does not. */
static void test_server__search(void)
{
    fake f = {.service = 1000000};
    us_load l = load_of(&f);
    us_load_result r, again;
    l.seconds = 20;
    l.limit_seconds = 1000;
    l.bound_ns = 1e7;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SERVER, &r));
    CHECK(r.valid);
    CHECK(r.qps > 600 && r.qps < 900);
    CHECK(r.n_trials > 2 && r.n_trials <= US_LOAD_TRIALS);
    CHECK(us_load_percentile(&r, 0.99) <= 1e7);
    CHECK(r.n_over <= r.n_queries / 100);
    l.qps = 0.9 * r.qps;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SERVER, &again));
    CHECK(again.valid);
    CHECK_EQ_U64(again.n_trials, 1);
    l.qps = 990;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SERVER, &again));
    CHECK(!again.valid);
    CHECK(strstr(again.why, "over the bound") != NULL);
}

static void test_server__bound_by_itself(void)
{
    fake f = {.service = 1000000};
    us_load l = load_of(&f);
    us_load_result r;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SERVER, &r));
    CHECK_NEAR(r.bound_ns, 5e6, 0);
    CHECK(r.n_queries >= 459);
}

/* No rate meets a bound below the time of one answer; and a trial that cannot pass is cut short. */
static void test_server__hopeless(void)
{
    fake f = {.service = 1000000};
    us_load l = load_of(&f);
    us_load_result r;
    l.bound_ns = 5e5;
    l.limit_seconds = 1e5;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SERVER, &r));
    CHECK(!r.valid);
    CHECK(r.qps == 0);
    CHECK(f.n < 31 + 20 * US_LOAD_TRIALS);
    CHECK(strstr(r.why, "no rate") != NULL);
}

static void test_server__no_time(void)
{
    fake f = {.service = 100000000};
    us_load l = load_of(&f);
    us_load_result r;
    l.limit_seconds = 10;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SERVER, &r));
    CHECK(!r.valid);
    CHECK_EQ_U64(r.n_trials, 0);
    CHECK(strstr(r.why, "too short") != NULL);
}

static void test_load__failed_answers(void)
{
    for (int k = 0; k < US_LOAD_N; k++) {
        fake f = {.service = 1000000, .fail_at = 50};
        us_load l = load_of(&f);
        us_load_result r = {.n_queries = 12345};
        CHECK_ERR(us_load_run(&ctx, arena, &l, (us_load_kind)k, &r), US_NO);
        CHECK_EQ_U64(r.n_queries, 12345); /* untouched */
        CHECK(f.n <= 50 + 8);
    }
}

static bool always(void *ud)
{
    (void)ud;
    return true;
}

static void test_load__cancelled(void)
{
    for (int k = 0; k < US_LOAD_N; k++) {
        fake f = {.service = 1000000};
        us_load l = load_of(&f);
        us_load_result r;
        ctx.cancelled = always;
        us_err e = us_load_run(&ctx, arena, &l, (us_load_kind)k, &r);
        ctx.cancelled = NULL;
        CHECK_ERR(e, US_CANCELLED);
    }
}

static void test_load__unfit_settings(void)
{
    fake f = {.service = 1000000};
    us_load good = load_of(&f), l;
    us_load_result r;
#define BAD(field, v)                                                                          \
    l = good, l.field = (v);                                                                   \
    CHECK_ERR(us_load_run(&ctx, arena, &l, US_LOAD_SERVER, &r), US_ARG)
    BAD(seconds, 0);
    BAD(seconds, -1);
    BAD(seconds, (double)NAN);
    BAD(seconds, (double)INFINITY);
    BAD(limit_seconds, 0.5);
    BAD(limit_seconds, (double)NAN);
    BAD(per_query, 0);
    BAD(per_query, 65);
    BAD(bound_ns, -1);
    BAD(bound_ns, (double)INFINITY);
    BAD(qps, -1);
    BAD(qps, 2e9);
    BAD(qps, (double)NAN);
    BAD(n_samples, 0);
#undef BAD
}

static void test_load__same_seed_same_run(void)
{
    fake f = {.service = 1000000, .slow_every = 7}, g = f;
    us_load l = load_of(&f), m = load_of(&g);
    us_load_result r, s;
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &l, US_LOAD_SERVER, &r));
    CHECK_OK(&ctx, us_load_run(&ctx, arena, &m, US_LOAD_SERVER, &s));
    CHECK(r.qps == s.qps);
    CHECK_EQ_U64(r.n_queries, s.n_queries);
    CHECK_EQ_MEM(r.latency, s.latency, r.n_queries * sizeof *r.latency);
}

static const us_test_case cases[] = {
    US_CASE(test_single__least_time),
    US_CASE(test_single__few_queries),
    US_CASE(test_single__limit),
    US_CASE(test_single__tail),
    US_CASE(test_multi__eight_a_query),
    US_CASE(test_offline__all_at_once),
    US_CASE(test_arrivals__poisson),
    US_CASE(test_server__search),
    US_CASE(test_server__bound_by_itself),
    US_CASE(test_server__hopeless),
    US_CASE(test_server__no_time),
    US_CASE(test_load__failed_answers),
    US_CASE(test_load__cancelled),
    US_CASE(test_load__unfit_settings),
    US_CASE(test_load__same_seed_same_run),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
