/* stats/bootstrap.h - how sure is a figure: percentile intervals, and the paired difference of two models.
 *
 * Resample b draws n rows with replacement from stream (seed, "bootstrap", b), so results do not depend on threads. The
 * paired form uses the same rows for both models, which removes the variation they share.
 * Source: Efron, Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 13 and 16.
 */
#ifndef USTA_STATS_BOOTSTRAP_H
#define USTA_STATS_BOOTSTRAP_H

#include "stats/metric.h"

#define US_BOOTSTRAP_DEFAULT 1000

typedef struct us_interval {
    double value;  /* on the data as they are */
    double lo, hi; /* percentile interval */
    double se;     /* standard deviation over resamples */
    double level;  /* 0.95 */
    uint32_t n_resamples;
} us_interval;

/* mask: rows that count (a slice), n bytes, NULL = all. n_resamples 0: default; level 0: 0.95. Runs on c->pool.
 * US_NO: no rows left, or the metric is not defined on them. */
us_err us_bootstrap(us_ctx *c, const us_scores *s, const us_metric *m, const uint8_t *mask,
                    uint64_t seed, uint32_t n_resamples, double level,
                    us_interval *out) US_MUST;

typedef struct us_paired {
    double a, b;   /* the two metrics */
    double diff;   /* a - b, sign turned so that positive means a is better */
    double lo, hi; /* interval of diff */
    double p;      /* two-sided: 2 min(share <= 0, share >= 0), at least 1/(n_resamples + 1) */
    bool significant; /* 0 lies outside [lo, hi] */
} us_paired;
/* Same rows in both (same n and truth). */
us_err us_bootstrap_paired(us_ctx *c, const us_scores *a, const us_scores *b,
                           const us_metric *m, const uint8_t *mask, uint64_t seed,
                           uint32_t n_resamples, double level, us_paired *out) US_MUST;

#endif
