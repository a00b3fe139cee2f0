/* stats/moments.h - count, missing, mean, variance, extremes of a stream of numbers; mergeable.
 *
 * Blocks are summed two-pass and merged by the parallel update of Chan, Golub, LeVeque (1979): the one-pass sum of
 * squares cancels for mean >> deviation. Merging in a fixed order gives the same bytes whatever the threads.
 * NaN counts as missing and touches nothing else.
 */
#ifndef USTA_STATS_MOMENTS_H
#define USTA_STATS_MOMENTS_H

#include "base/ctx.h"

typedef struct us_moments {
    uint64_t n;         /* values present */
    uint64_t n_missing; /* NaN, or told by us_moments_missing */
    double mean;        /* 0 while n is 0 */
    double m2;          /* sum of squared differences from the mean */
    double min, max;    /* +inf, -inf while n is 0 */
} us_moments;

void us_moments_init(us_moments *m);
void us_moments_add(us_moments *m, double x);
void us_moments_missing(us_moments *m, uint64_t n);
void us_moments_add_f64(us_moments *m, const double *x, size_t n);
void us_moments_add_f32(us_moments *m, const float *x, size_t n);
void us_moments_merge(us_moments *m, const us_moments *other);
double us_moments_var(const us_moments *m); /* divisor n - 1; NaN when n < 2 */
double us_moments_std(const us_moments *m); /* square root of the above */

#endif
