/* inspect/load.h - a load generator: how fast does something answer, by the scenarios of MLPerf Inference.
 *
 *   single   the next query goes out when the last is answered; 90th percentile of latency
 *   multi    the same with several samples a query (8), answered when all are; 99th percentile
 *   server   queries of one sample arrive by chance (Poisson) at a rate; the highest rate at which the 99th percentile of the time
 *            from arrival to answer is within a bound
 *   offline  all samples at once; samples a second
 *
 * Percentiles are those of the load generator of MLPerf: the value at rank floor(n p) of the ascending latencies. A latency scenario
 * ends when its least time has passed and early stopping (stats/earlystop.h) has queries enough; its figure is the estimate of
 * early stopping, which with confidence 0.99 is not below the true percentile. Samples of one query, and queries that wait, are
 * answered by the threads of the pool side by side.
 *
 * The clock is given, and so is what answers: tests run it on invented time. Arrivals and the choice of samples follow from the seed.
 */
#ifndef USTA_INSPECT_LOAD_H
#define USTA_INSPECT_LOAD_H

#include "base/ctx.h"

typedef enum us_load_kind {
    US_LOAD_SINGLE,
    US_LOAD_MULTI,
    US_LOAD_SERVER,
    US_LOAD_OFFLINE,
    US_LOAD_N
} us_load_kind;
const char *us_load_name(us_load_kind k);  /* "single" */
const char *us_load_title(us_load_kind k); /* "SingleStream", as MLPerf writes it */

typedef struct us_load_clock {
    uint64_t (*now)(void *ud); /* nanoseconds */
    void (*wait)(void *ud, uint64_t until);
    void *ud;
} us_load_clock;
extern const us_load_clock us_load_wall_clock;

/* Answers sample i (below n_samples); from several threads of the pool at once. False: failed, the scenario ends. */
typedef bool us_load_answer_fn(void *ud, size_t i);

#define US_LOAD_MAX_QUERIES                                                                    \
    ((size_t)1 << 24) /* of one measurement; one that has as many ends */
#define US_LOAD_MAX_SECONDS 1e6
#define US_LOAD_MAX_QPS     1e9
#define US_LOAD_PER_QUERY   64 /* most samples of one query of multi */
#define US_LOAD_TRIALS      16 /* rates that a search may try */

typedef struct us_load {
    us_load_clock clock;
    us_load_answer_fn *answer;
    void *ud;
    struct us_pool *pool; /* NULL: one at a time */
    size_t n_samples;     /* different ones */
    uint64_t seed;
    double seconds;       /* the least time of a measurement */
    double limit_seconds; /* a scenario ends then whether it has queries enough or not */
    size_t per_query;     /* samples a query of multi */
    double bound_ns; /* of server; 0: five times the median of single answers, at least 1 ms */
    double qps;      /* of server: this rate alone; 0: search the highest */
} us_load;

typedef struct us_load_result {
    us_load_kind kind;
    bool valid;      /* long enough, queries enough, and of server: within the bound */
    const char *why; /* why not, in the arena or lasting; "" */
    size_t n_queries, per_query;
    uint64_t duration_ns;
    double *latency; /* of each query, ascending, ns, in the arena; offline: NULL */
    double mean, std;
    double percentile;  /* what the scenario is about: 0.9, 0.99; offline: 0 */
    size_t n_needed;    /* queries, for early stopping */
    double estimate_ns; /* of early stopping; NaN: too few queries. Not of server */
    double samples_per_s;
    double bound_ns; /* server */
    double qps;      /* server: the rate; 0: none was met */
    size_t n_over;   /* server: queries over the bound */
    size_t n_trials; /* server: rates tried */
} us_load_result;

/* One scenario. US_CANCELLED when c is, and US_NO when an answer failed (whoever answers knows why). US_ARG: unfit settings. */
us_err us_load_run(us_ctx *c, us_arena *a, const us_load *l, us_load_kind kind,
                   us_load_result *out) US_MUST;

/* The latency at rank floor(n p); NaN without queries. */
double us_load_percentile(const us_load_result *r, double p);
/* Upper bound of percentile p by early stopping; NaN: too few queries. */
double us_load_estimate(const us_load_result *r, double p);

/* The first n arrivals at a rate, ns from the start, ascending. */
void us_load_arrivals(uint64_t seed, uint64_t trial, double qps, uint64_t *at, size_t n);

#endif
