/* inspect/load.c - see load.h.
 *
 * The server scenario needs no queue of its own: queries are chunks of one job of the pool, taken in order by whichever thread is
 * free, and each waits for its arrival before it runs. That is one queue before all threads, first come first served. A trial
 * whose outcome is settled ends early: once more queries are over the bound than the whole trial may have, the rest answer nothing.
 */
#include "inspect/load.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/str.h"
#include "stats/earlystop.h"
#include "stats/moments.h"
#include "stats/quantile.h"

#define POLL_EVERY 1024 /* queries between looks at the caller's wish to stop */
#define SPIN_NS                                                                                \
    100000 /* sleeping is not exact: the last of a wait is spent looking at the clock */
#define LEAST_BOUND_NS 1e6  /* below that the machine's own jitter is what is measured */
#define NEAR           1.03 /* a search ends when the rates met and missed are this close */

/* clang-format off */
static const struct { const char *name, *title; double percentile; } kinds[US_LOAD_N] = {
    [US_LOAD_SINGLE]  = {"single",  "SingleStream", 0.9},
    [US_LOAD_MULTI]   = {"multi",   "MultiStream",  0.99},
    [US_LOAD_SERVER]  = {"server",  "Server",       0.99},
    [US_LOAD_OFFLINE] = {"offline", "Offline",      0},
};
/* clang-format on */

const char *us_load_name(us_load_kind k)
{
    return kinds[k].name;
}

const char *us_load_title(us_load_kind k)
{
    return kinds[k].title;
}

/* --- the clock on the wall ------------------------------------------------------------------------ */

static uint64_t wall_now(void *ud)
{
    (void)ud;
    return us_now_ns();
}

static void wall_wait(void *ud, uint64_t until)
{
    (void)ud;
    for (uint64_t now = us_now_ns(); now < until; now = us_now_ns()) {
        if (until - now <= SPIN_NS) continue;
        uint64_t ns = until - now - SPIN_NS;
        struct timespec t = {.tv_sec = (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000)};
        nanosleep(&t, NULL);
    }
}

const us_load_clock us_load_wall_clock = {.now = wall_now, .wait = wall_wait};

/* --- one measurement ------------------------------------------------------------------------------- */

typedef struct run {
    us_ctx *c;
    us_arena *a;
    const us_load *l;
    us_rng pick;
    double *latency;
    size_t room;
    /* What a job of the pool looks at. */
    const uint32_t *samples;
    const uint64_t *arrival;
    uint64_t start;
    double bound_ns;
    size_t over_limit;
    _Atomic(size_t) n_over;
    atomic_bool failed, settled;
} run;

static uint64_t now(const run *r)
{
    return r->l->clock.now(r->l->clock.ud);
}

static us_es early(us_load_kind k)
{
    return (us_es){kinds[k].percentile, US_ES_TOLERANCE, US_ES_CONFIDENCE};
}

static us_err outcome(run *r)
{
    US_TRY(us_ctx_poll(r->c));
    return atomic_load(&r->failed) ? US_NO : US_OK;
}

static us_err room_for(run *r, size_t n)
{
    if (n <= r->room) return US_OK;
    size_t room = US_MAX(n, US_MIN(2 * r->room + 4096, US_LOAD_MAX_QUERIES));
    double *p = us_new_n(r->a, double, room);
    if (!p) return us_arena_fail(r->c, r->a);
    if (r->room) memcpy(p, r->latency, r->room * sizeof *p);
    r->latency = p;
    r->room = room;
    return US_OK;
}

static void answer_some(void *arg, size_t i0, size_t i1)
{
    run *r = arg;
    for (size_t i = i0; i < i1; i++)
        if (!atomic_load_explicit(&r->failed, memory_order_relaxed) &&
            !r->l->answer(r->l->ud, r->samples[i]))
            atomic_store(&r->failed, true);
}

static us_err pick(run *r, size_t n, const uint32_t **out)
{
    uint32_t *s = us_new_n(r->a, uint32_t, n);
    if (!s) return us_arena_fail(r->c, r->a);
    for (size_t i = 0; i < n; i++)
        s[i] = (uint32_t)us_rng_below(&r->pick, r->l->n_samples);
    *out = s;
    return US_OK;
}

static us_err summarise(run *r, us_load_result *out)
{
    us_moments m;
    size_t n = out->n_queries;
    double *tmp = us_new_n(r->a, double, n + 1);
    if (!tmp) return us_arena_fail(r->c, r->a);
    us_moments_init(&m);
    us_moments_add_f64(&m, r->latency, n);
    us_sort_f64(r->latency, tmp, n);
    out->latency = r->latency;
    out->mean = m.mean;
    out->std = n > 1 ? us_moments_std(&m) : 0;
    return US_OK;
}

static void say(us_load_result *out, const char *text)
{
    out->valid = false;
    out->why = text;
}

static us_err say_few(run *r, us_load_result *out)
{
    char *z = us_str_printf(r->a, "only %zu of the %zu queries that early stopping needs",
                            out->n_queries, out->n_needed);
    if (!z) return us_arena_fail(r->c, r->a);
    say(out, z);
    return US_OK;
}

/* --- one query after the other ---------------------------------------------------------------------- */

static us_err answer_query(run *r, size_t per_query)
{
    uint32_t s[US_LOAD_PER_QUERY];
    for (size_t i = 0; i < per_query; i++)
        s[i] = (uint32_t)us_rng_below(&r->pick, r->l->n_samples);
    r->samples = s;
    if (per_query == 1)
        answer_some(r, 0, 1);
    else
        us_pool_run(r->l->pool, per_query, 1, answer_some, r);
    r->samples = NULL;
    return atomic_load_explicit(&r->failed, memory_order_relaxed) ? US_NO : US_OK;
}

static us_err run_stream(run *r, us_load_result *out)
{
    us_es es = early(out->kind);
    uint64_t start = now(r), last = start;
    uint64_t least = (uint64_t)(r->l->seconds * 1e9),
             limit = (uint64_t)(r->l->limit_seconds * 1e9);
    out->n_needed = us_es_min_queries(&es);
    size_t n = 0;
    uint64_t pause = 0;
    while (n < US_LOAD_MAX_QUERIES) {
        uint64_t passed = last - start - pause;
        if (passed >= least && (n >= out->n_needed || passed >= limit)) break;
        if (n == r->room) { /* no part of the next query's time */
            uint64_t t0 = now(r);
            US_TRY(room_for(r, n + 1));
            pause += now(r) - t0;
            last = now(r);
        }
        US_TRY(answer_query(r, out->per_query));
        uint64_t t = now(r);
        r->latency[n++] = (double)(t - last);
        last = t;
        if (n % POLL_EVERY == 0 || t - start > least) US_TRY(outcome(r));
    }
    US_TRY(outcome(r));
    out->n_queries = n;
    out->duration_ns = last - start - pause;
    out->samples_per_s =
        (double)n * (double)out->per_query * 1e9 / (double)US_MAX(out->duration_ns, 1);
    US_TRY(summarise(r, out));
    out->estimate_ns = us_load_estimate(out, out->percentile);
    if (n < out->n_needed) return say_few(r, out);
    return US_OK;
}

/* --- all at once ----------------------------------------------------------------------------------- */

static us_err run_all(run *r, size_t n, uint64_t *ns)
{
    US_TRY(pick(r, n, &r->samples));
    uint64_t start = now(r);
    us_pool_run(r->l->pool, n, 1, answer_some, r);
    *ns = now(r) - start;
    return outcome(r);
}

/* As many as fill the least time at the rate of a small first part, and again when that was too few. */
static us_err run_offline(run *r, us_load_result *out)
{
    uint64_t least = (uint64_t)(r->l->seconds * 1e9);
    us_mark mark = us_arena_mark(r->a);
    size_t n = (size_t)us_pool_n_threads(r->l->pool);
    for (;;) {
        us_arena_reset(r->a, mark);
        US_TRY(run_all(r, n, &out->duration_ns));
        uint64_t ns = US_MAX(out->duration_ns, 1);
        if (ns >= least || n >= US_LOAD_MAX_QUERIES) break;
        double grow = US_MIN(1.2 * (double)least / (double)ns, 1000);
        n = (size_t)US_MIN(ceil((double)n * US_MAX(grow, 1.1)), (double)US_LOAD_MAX_QUERIES);
    }
    out->n_queries = 1;
    out->per_query = n;
    out->samples_per_s = (double)n * 1e9 / (double)US_MAX(out->duration_ns, 1);
    return US_OK;
}

/* --- arrivals by chance ------------------------------------------------------------------------------ */

void us_load_arrivals(uint64_t seed, uint64_t trial, double qps, uint64_t *at, size_t n)
{
    us_rng g = us_rng_new(seed, "arrivals", trial);
    double t = 0;
    for (size_t i = 0; i < n; i++) {
        t += -log1p(-us_rng_f64(&g)) / qps * 1e9;
        at[i] = (uint64_t)t;
    }
}

static void serve_some(void *arg, size_t i0, size_t i1)
{
    run *r = arg;
    const us_load_clock *k = &r->l->clock;
    for (size_t i = i0; i < i1; i++) {
        if (atomic_load(&r->settled) || atomic_load(&r->failed)) return;
        k->wait(k->ud, r->start + r->arrival[i]);
        if (!r->l->answer(r->l->ud, r->samples[i])) atomic_store(&r->failed, true);
        r->latency[i] = (double)(k->now(k->ud) - r->start - r->arrival[i]);
        if (r->latency[i] > r->bound_ns && atomic_fetch_add(&r->n_over, 1) >= r->over_limit)
            atomic_store(&r->settled, true);
    }
}

/* One rate: *met tells whether it passed. out is filled when it did, or when it is the only one. */
static us_err try_rate(run *r, double qps, us_load_result *out, bool *met)
{
    us_es es = early(US_LOAD_SERVER);
    size_t need = us_es_min_under(&es, 0);
    double want = ceil(qps * r->l->seconds);
    size_t n = US_MAX(need, (size_t)US_MIN(want, (double)US_LOAD_MAX_QUERIES));
    uint64_t *at = us_new_n(r->a, uint64_t, n);
    r->latency = us_new_n(r->a, double, n);
    if (!at || !r->latency) return us_arena_fail(r->c, r->a);
    US_TRY(pick(r, n, &r->samples));
    us_load_arrivals(r->l->seed, out->n_trials++, qps, at, n);
    r->arrival = at;
    r->over_limit = us_es_passes(&es, n, 0) ? us_es_discard(&es, n) : 0;
    atomic_store(&r->n_over, 0);
    atomic_store(&r->settled, false);
    r->start = now(r);
    us_pool_run(r->l->pool, n, 1, serve_some, r);
    uint64_t ns = now(r) - r->start;
    US_TRY(outcome(r));
    *met = !atomic_load(&r->settled);
    if (!*met && r->l->qps <= 0) return US_OK;
    out->qps = qps;
    out->n_needed = need;
    out->n_queries = n;
    out->duration_ns = ns;
    out->n_over = atomic_load(&r->n_over);
    out->samples_per_s = (double)n * 1e9 / (double)US_MAX(ns, 1);
    if (!*met) return US_OK; /* cut short: latencies are not all there */
    return summarise(r, out);
}

/* Median of single answers; and the rate that all threads could keep up. */
static us_err measure_one(run *r, double *median, double *rate)
{
    enum { N = 31 };
    double t[N], tmp[N];
    double start = (double)now(r), spent = 0;
    size_t n = 0;
    while (n < N && spent <= r->l->limit_seconds * 1e9 / 4) {
        double t0 = (double)now(r);
        US_TRY(answer_query(r, 1));
        t[n++] = (double)now(r) - t0;
        spent = (double)now(r) - start;
        US_TRY(outcome(r));
    }
    us_sort_f64(t, tmp, n);
    *median = US_MAX(t[n / 2], 1);
    *rate = US_MIN(1e9 / *median * us_pool_n_threads(r->l->pool), US_LOAD_MAX_QPS);
    return US_OK;
}

/* Bracket from seven tenths of what the threads could keep up, then halve it on the scale of ratios. */
static us_err search_rate(run *r, double capacity, us_load_result *out)
{
    double met = 0, missed = 0, rate = 0.7 * capacity;
    us_es es = early(US_LOAD_SERVER);
    double least = (double)us_es_min_under(&es, 0), start = (double)now(r);
    while (out->n_trials < US_LOAD_TRIALS && !(met > 0 && missed > 0 && missed / met < NEAR)) {
        bool ok;
        double spent = ((double)now(r) - start) / 1e9;
        if (spent + US_MAX(least / rate, r->l->seconds) > r->l->limit_seconds) break;
        US_TRY(try_rate(r, rate, out, &ok));
        if (ok)
            met = rate;
        else
            missed = rate;
        if (met > 0 && missed > 0)
            rate = sqrt(met * missed);
        else
            rate = ok ? US_MIN(rate * 1.25, US_LOAD_MAX_QPS) : rate / 2;
        if (ok && met >= US_LOAD_MAX_QPS) break;
    }
    if (!(met > 0))
        say(out, missed > 0 ? "no rate tried was within the bound"
                            : "the limit of time is too short for the queries of one trial");
    return US_OK;
}

static us_err run_server(run *r, us_load_result *out)
{
    double median, capacity;
    US_TRY(measure_one(r, &median, &capacity));
    r->bound_ns = r->l->bound_ns > 0 ? r->l->bound_ns : US_MAX(5 * median, LEAST_BOUND_NS);
    out->bound_ns = r->bound_ns;
    if (r->l->qps <= 0) return search_rate(r, capacity, out);
    bool met;
    US_TRY(try_rate(r, r->l->qps, out, &met));
    if (!met) say(out, "the 99th percentile is over the bound at this rate");
    return US_OK;
}

/* --- the door ----------------------------------------------------------------------------------------- */

static us_err check(us_ctx *c, const us_load *l)
{
    if (!(l->seconds > 0) || !(l->seconds <= US_LOAD_MAX_SECONDS))
        return us_fail(c, US_ARG, "seconds: found %g, expected more than 0, at most %g",
                       l->seconds, US_LOAD_MAX_SECONDS);
    if (!(l->limit_seconds >= l->seconds) || !(l->limit_seconds <= US_LOAD_MAX_SECONDS))
        return us_fail(
            c, US_ARG,
            "the limit of a measurement is %g seconds, expected the least time (%g) to %g",
            l->limit_seconds, l->seconds, US_LOAD_MAX_SECONDS);
    if (l->per_query < 1 || l->per_query > US_LOAD_PER_QUERY)
        return us_fail(c, US_ARG, "samples a query: found %zu, expected 1 to %d", l->per_query,
                       US_LOAD_PER_QUERY);
    if (!(l->bound_ns >= 0) || isinf(l->bound_ns))
        return us_fail(c, US_ARG, "the bound of latency is %g ns, expected 0 or more",
                       l->bound_ns);
    if (!(l->qps >= 0) || !(l->qps <= US_LOAD_MAX_QPS))
        return us_fail(c, US_ARG, "queries a second: found %g, expected 0 to %g", l->qps,
                       US_LOAD_MAX_QPS);
    if (l->n_samples < 1 || l->n_samples > UINT32_MAX)
        return us_fail(c, US_ARG, "samples: found %zu, expected 1 to %u", l->n_samples,
                       UINT32_MAX);
    return US_OK;
}

us_err us_load_run(us_ctx *c, us_arena *a, const us_load *l, us_load_kind kind,
                   us_load_result *out)
{
    static us_err (*const how[US_LOAD_N])(run *, us_load_result *) = {run_stream, run_stream,
                                                                      run_server, run_offline};
    US_TRY(check(c, l));
    run *r = us_new(a, run);
    if (!r) return us_arena_fail(c, a);
    r->c = c;
    r->a = a;
    r->l = l;
    r->pick = us_rng_new(l->seed, "samples", (uint64_t)kind);
    us_load_result got = {.kind = kind,
                          .valid = true,
                          .why = "",
                          .per_query = kind == US_LOAD_MULTI ? l->per_query : 1,
                          .percentile = kinds[kind].percentile,
                          .estimate_ns = (double)NAN};
    US_TRY(how[kind](r, &got));
    *out = got;
    return US_OK;
}

double us_load_percentile(const us_load_result *r, double p)
{
    if (!r->latency || r->n_queries == 0) return (double)NAN;
    return r->latency[US_MIN((size_t)((double)r->n_queries * p), r->n_queries - 1)];
}

double us_load_estimate(const us_load_result *r, double p)
{
    us_es es = {p, US_ES_TOLERANCE, US_ES_CONFIDENCE};
    if (!r->latency) return (double)NAN;
    uint64_t t = us_es_discard(&es, r->n_queries);
    return t > 0 ? r->latency[r->n_queries - t] : (double)NAN;
}
