/* stats/earlystop.h - percentiles of latency from fewer queries than the percentile itself would need.
 *
 * MLPerf Inference's early stopping (rules, appendix "Early stopping criterion"; here with its tolerance and at its confidence
 * of 0.99). Whether a query is over a latency is a coin: if the true percentile p lay above that latency, at most 1 - c of all
 * runs of n queries would show t or fewer over it. That tail of the binomial is I_{p-d}(n - t, t + 1), the regularised
 * incomplete beta; n queries with t over the bound pass when it is at most 1 - c. Turned round, the t-th highest of n latencies is,
 * with confidence c, an upper bound of the percentile: the estimate that SingleStream and MultiStream report.
 */
#ifndef USTA_STATS_EARLYSTOP_H
#define USTA_STATS_EARLYSTOP_H

#include "base/err.h"

#define US_ES_CONFIDENCE 0.99
#define US_ES_TOLERANCE  0.0

typedef struct us_es {
    double p; /* percentile, in (0, 1) */
    double d; /* tolerance, in [0, p) */
    double c; /* confidence, in (0, 1) */
} us_es;

/* Whether n queries of which t were over the bound show that percentile p meets it. */
bool us_es_passes(const us_es *es, uint64_t n, uint64_t t);
/* Fewest queries under the bound that pass beside t over it. */
uint64_t us_es_min_under(const us_es *es, uint64_t t);
/* Most queries of n that may be over: the estimate is the one at rank n - t (from 0) of the ascending latencies. 0: too few queries
 * for an estimate, which takes us_es_min_queries. */
uint64_t us_es_discard(const us_es *es, uint64_t n);
uint64_t us_es_min_queries(const us_es *es);

#endif
