/* cli/cmd_bench.c - `usta bench MODEL`: how fast a model answers, by the four scenarios of MLPerf Inference.
 *
 * The load generator is inspect/load.h; here is what answers. A single query has all threads inside its run; where several
 * samples are there at once each thread answers one, with a session of its own over the one plan: that is more in the same time, for
 * nothing waits for the slowest part of a step. One warm run of every session comes before, so that no scenario pays for binding.
 */
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/pool.h"
#include "cli/bench_page.h"
#include "cli/inputs.h"
#include "exec/planfile.h"
#include "kernel/kernels.h"
#include "store/store.h"

#define SAMPLES_CAP                                                                            \
    ((size_t)256 << 20) /* bytes of made-up inputs; no further sample after that */
#define CPUINFO_MAX ((size_t)1 << 20)

typedef struct bench_args {
    us_texts in, scenarios;
    us_textmap dims;
    int64_t seed, samples, per_query;
    double seconds, limit, latency_ms, qps;
    us_image_args images;
} bench_args;

/* One thread's way to answer. */
typedef struct worker {
    us_ctx c;
    us_session *session;
    us_value *out;
    atomic_flag busy;
    us_err e;
} worker;

typedef struct bench {
    us_cli *cli;
    us_ctx *c;
    us_arena *a;
    const bench_args *args;
    us_plan *plan;
    worker *workers;
    size_t n_workers;
    us_inputs first;    /* of samples */
    us_value **samples; /* inputs, each in the plan's order */
    size_t n_samples;
    us_bench_facts facts;
} bench;

#define F(f) offsetof(bench_args, f)
static const us_opt opts[] = {
    {US_OPT_TEXTS, 'i', "input", F(in), "[]", 0, 0, "NAME=FILE", "", NULL,
     "an input: .npy, .json for strings, or a picture; random contents for those not given"},
    {US_OPT_TEXTS, 0, "scenario", F(scenarios), "single,multi,server,offline", 0, 0,
     "NAME,NAME", "", NULL, "which to run: single, multi, server, offline"},
    {US_OPT_F64, 0, "seconds", F(seconds), "1", 1e-6, US_LOAD_MAX_SECONDS, "s", "", NULL,
     "the least time of a measurement (MLPerf's own: 600)"},
    {US_OPT_F64, 0, "limit", F(limit), "0", 0, US_LOAD_MAX_SECONDS, "s", "", NULL,
     "a scenario ends after this even without the queries it needs; 0: ten times --seconds"},
    {US_OPT_INT, 0, "samples", F(samples), "8", 1, 1e6, "", "", NULL,
     "different inputs to choose from, where they are random"},
    {US_OPT_INT, 0, "per-query", F(per_query), "8", 1, US_LOAD_PER_QUERY, "", "", NULL,
     "samples in a query of multi"},
    {US_OPT_F64, 0, "latency", F(latency_ms), "0", 0, 1e9, "ms", "", NULL,
     "bound of server on the 99th percentile; 0: five times the median of single answers, at "
     "least 1 ms"},
    {US_OPT_F64, 0, "qps", F(qps), "0", 0, US_LOAD_MAX_QPS, "1/s", "", NULL,
     "arrivals of server: exit status 1 if the bound is not met; 0: search the highest rate"},
    {US_OPT_INT, 0, "seed", F(seed), "0", 0, 9e15, "", "", NULL,
     "of random inputs, of arrivals and of the choice of samples"},
    US_DIM_OPT(bench_args, dims),
    US_IMAGE_OPTS(bench_args, images),
    {US_OPT_END}};
#undef F

/* --- what answers --------------------------------------------------------------------------------- */

static bool answer(void *ud, size_t i)
{
    bench *k = ud;
    worker *w = k->workers;
    while (atomic_flag_test_and_set_explicit(&w->busy, memory_order_acquire))
        w = w + 1 == k->workers + k->n_workers ? k->workers : w + 1;
    w->e = us_session_run(&w->c, w->session, k->samples[i], w->out);
    bool ok = w->e == US_OK;
    if (ok) atomic_flag_clear_explicit(&w->busy, memory_order_release);
    return ok; /* a worker that failed stays taken: its words are what we report */
}

/* Who failed, in our own context. */
static us_err failed(bench *k)
{
    for (size_t i = 0; i < k->n_workers; i++)
        if (k->workers[i].e != US_OK) {
            k->c->diag = k->workers[i].c.diag;
            return us_wrap(k->c, k->workers[i].e, "%s", k->cli->args[0]);
        }
    return us_fail(k->c, US_BUG, "an answer failed and nobody did");
}

static us_err add_worker(bench *k)
{
    worker *w = &k->workers[k->n_workers];
    us_ctx_init(&w->c);
    atomic_flag_clear(&w->busy);
    k->n_workers++;
    us_session_opts so = {.seed = (uint64_t)k->args->seed, .images = &us_image_codecs};
    US_TRY(us_session_new(k->c, k->plan, &so, &w->session));
    w->out = us_new_n(k->a, us_value, us_plan_n_outputs(k->plan));
    return w->out ? US_OK : us_arena_fail(k->c, k->a);
}

static us_input_args input_args(const bench *k)
{
    return (us_input_args){k->args->in, k->args->dims, true,
                           k->args->seed + (int64_t)k->n_samples, &k->args->images};
}

/* As many samples as are asked for, or fit; the first is there already, and the others have its sizes. */
static us_err make_samples(bench *k, size_t most)
{
    size_t start = us_arena_used(k->a);
    while (k->n_samples < most && us_arena_used(k->a) - start < SAMPLES_CAP) {
        us_inputs x;
        bool done = false;
        us_input_args in = input_args(k);
        US_TRY(us_inputs_open(k->c, k->a, k->plan, &in, &x));
        while (x.step < k->first.step && !done)
            US_TRY(us_inputs_larger(&x, &done));
        k->samples[k->n_samples++] = x.in;
    }
    return US_OK;
}

static us_err make_first(bench *k, size_t *most)
{
    us_input_args in = input_args(k);
    *most = k->args->in.n >= us_plan_n_inputs(k->plan) ? 1 : (size_t)k->args->samples;
    k->samples = us_new_n(k->a, us_value *, *most);
    if (!k->samples) return us_arena_fail(k->c, k->a);
    US_TRY(us_inputs_open(k->c, k->a, k->plan, &in, &k->first));
    k->samples[k->n_samples++] = k->first.in;
    return US_OK;
}

static us_err load(bench *k, const char *path)
{
    uint64_t t0 = us_now_ns();
    US_TRY(us_plan_open(k->c, path, NULL, &k->plan));
    size_t n = (size_t)us_pool_n_threads(k->c->pool), most;
    k->workers = us_new_n(k->a, worker, n);
    if (!k->workers) return us_arena_fail(k->c, k->a);
    US_TRY(add_worker(k));
    k->facts.load_ns = (double)(us_now_ns() - t0);
    US_TRY(make_first(k, &most));
    k->workers[0].c.pool = k->c->pool;
    t0 = us_now_ns();
    us_err e = us_inputs_run(&k->first, k->workers[0].session, k->workers[0].out);
    if (e != US_OK) return us_wrap(k->c, e, "%s", path);
    k->facts.first_ns = (double)(us_now_ns() - t0);
    k->facts.rss_bytes = us_rss_bytes();
    US_TRY(make_samples(k, most));
    while (k->n_workers < n)
        US_TRY(add_worker(k));
    for (size_t i = 0; i < n; i++) {
        worker *w = &k->workers[i];
        w->e = us_session_run(&w->c, w->session, k->samples[0], w->out);
        if (w->e != US_OK) return failed(k);
    }
    return US_OK;
}

/* --- what is measured ----------------------------------------------------------------------------------- */

static us_err find_scenario(bench *k, const char *name, us_load_kind *out)
{
    const char *names[US_LOAD_N];
    for (int i = 0; i < US_LOAD_N; i++) {
        names[i] = us_load_name((us_load_kind)i);
        if (strcmp(name, names[i]) != 0) continue;
        *out = (us_load_kind)i;
        return US_OK;
    }
    const char *near = us_nearest(us_sv_of(name), names, US_LOAD_N);
    return us_fail(k->c, US_ARG,
                   "--scenario: '%s' is none of single, multi, server, offline%s%s%s", name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* "model name : ..." of Linux on x86; other machines say nothing there. */
static us_err processor_name(bench *k)
{
    us_buf b;
    k->facts.processor = "unknown processor";
    us_buf_init(&b, k->c, CPUINFO_MAX);
    us_err e = us_file_read(k->c, "/proc/cpuinfo", &b);
    const char *at =
        e == US_OK && us_buf_check(&b) == US_OK && b.n ? strstr(b.p, "model name") : NULL;
    const char *colon = at ? strchr(at, ':') : NULL, *end = colon ? strchr(colon, '\n') : NULL;
    if (end && end - colon > 2) {
        char *z = us_str_printf(k->a, "%.*s", (int)(end - colon - 2), colon + 2);
        if (z) k->facts.processor = z;
    }
    us_buf_deinit(&b);
    return US_OK;
}

static us_err collect_facts(bench *k, const us_load *l)
{
    us_hash *h = us_new(k->a, us_hash);
    if (!h) return us_arena_fail(k->c, k->a);
    US_TRY(us_hash_file(k->c, k->cli->args[0], h));
    US_TRY(processor_name(k));
    k->facts.file = k->cli->args[0];
    k->facts.hash = h->hex;
    k->facts.level = us_cpu_level(us_kernels_get(k->c)->cpu);
    k->facts.processors = us_cpu_count();
    k->facts.threads = us_pool_n_threads(k->c->pool);
    k->facts.seed = l->seed;
    k->facts.n_samples = l->n_samples;
    k->facts.seconds = l->seconds;
    k->facts.limit_seconds = l->limit_seconds;
    return US_OK;
}

static us_err run_scenario(bench *k, us_load *l, us_load_kind kind, us_load_result *out)
{
    us_progress p;
    bool one = kind == US_LOAD_SINGLE || us_pool_n_threads(k->c->pool) == 1;
    for (size_t i = 0; i < k->n_workers; i++)
        k->workers[i].c.pool = one ? k->c->pool : NULL;
    us_progress_start(&p, us_load_title(kind), 0);
    us_progress_set(&p, 0, "");
    us_err e = us_load_run(k->c, k->a, l, kind, out);
    us_progress_end(&p);
    return e == US_NO ? failed(k) : e;
}

static us_err bench_all(bench *k)
{
    const bench_args *o = k->args;
    us_load_kind kinds[US_LOAD_N];
    us_load_result *r = us_new_n(k->a, us_load_result, US_LOAD_N);
    if (!r) return us_arena_fail(k->c, k->a);
    size_t n = 0;
    if (o->scenarios.n > US_LOAD_N)
        return us_fail(k->c, US_ARG, "--scenario: each of the four once at most");
    for (; n < o->scenarios.n; n++)
        US_TRY(find_scenario(k, o->scenarios.at[n], &kinds[n]));
    double limit = o->limit > 0 ? o->limit : US_MIN(10 * o->seconds, US_LOAD_MAX_SECONDS);
    if (limit < o->seconds)
        return us_fail(k->c, US_ARG, "--limit %g: expected at least --seconds (%g), or 0",
                       limit, o->seconds);
    US_TRY(load(k, k->cli->args[0]));
    us_load l = {.clock = us_load_wall_clock,
                 .answer = answer,
                 .ud = k,
                 .pool = k->c->pool,
                 .n_samples = k->n_samples,
                 .seed = (uint64_t)o->seed,
                 .seconds = o->seconds,
                 .limit_seconds = limit,
                 .per_query = (size_t)o->per_query,
                 .bound_ns = o->latency_ms * 1e6,
                 .qps = o->qps};
    US_TRY(collect_facts(k, &l));
    for (size_t i = 0; i < n; i++)
        US_TRY(run_scenario(k, &l, kinds[i], &r[i]));
    US_TRY(k->cli->json ? us_bench_json(k->cli, &k->facts, r, n)
                        : us_bench_table(k->cli, &k->facts, r, n));
    for (size_t i = 0; i < n; i++)
        if (o->qps > 0 && kinds[i] == US_LOAD_SERVER && !r[i].valid) return US_NO;
    return US_OK;
}

static us_err bench_main(us_cli *cli, void *args)
{
    bench k = {.cli = cli, .c = cli->c, .a = cli->arena, .args = args};
    us_err e = bench_all(&k);
    for (size_t i = 0; i < k.n_workers; i++) {
        us_session_free(k.workers[i].session);
        us_ctx_deinit(&k.workers[i].c);
    }
    us_plan_free(k.plan);
    return e;
}

const us_cmd us_cmd_bench = {.name = "bench",
                             .args = "MODEL",
                             .help = "how fast a model answers, by the scenarios of MLPerf",
                             .needs = US_NEED_POOL,
                             .min_args = 1,
                             .max_args = 1,
                             .opts = opts,
                             .args_size = sizeof(bench_args),
                             .run = bench_main};
