/* stats/twosample.h - has the distribution changed? Distances, p-values, thresholds computed from the sample sizes.
 *
 * Under no drift PSI is distributed as (1/n + 1/m) chi-square with B - 1 degrees of freedom, so a fixed threshold such
 * as 0.1 alarms always for small samples and never for large ones. Here a column's evidence is the p-value of a
 * two-sample chi-square test over the sketch's cells (bins or categories, one cell for missing, one for values the
 * reference does not list; sparse cells pooled), and one false-alarm budget is spread over all columns by
 * Benjamini-Hochberg (or Bonferroni). The threshold that the rule implies for PSI and the statistic is reported.
 */
#ifndef USTA_STATS_TWOSAMPLE_H
#define USTA_STATS_TWOSAMPLE_H

#include "stats/sketch.h"
#include "stats/special.h"

#define US_DRIFT_MIN_ROWS 30 /* fewer rows on either side: no verdict */

typedef enum us_drift_rule { US_DRIFT_BH, US_DRIFT_BONFERRONI } us_drift_rule;

typedef struct us_drift {
    us_sv name;
    us_sketch_kind kind;
    uint64_t n, m;  /* rows: reference, new */
    size_t n_cells; /* after pooling */
    double psi;     /* over the pooled cells, counts + 0.5 */
    double stat;    /* chi-square over the pooled cells */
    double df;
    double p; /* of stat; 1 when there is nothing to compare */
    /* largest difference of the two distribution functions at the edges; NaN for categories */
    double ks;
    /* between the binned distributions, in the column's unit; NaN for categories */
    double wasserstein;
    double missing_ref, missing_now; /* shares */
    double unseen_now;               /* share of values the reference does not list */
    double mean_ref, mean_now;       /* numeric kinds, else NaN */
    bool enough;                     /* both sides have US_DRIFT_MIN_ROWS */
    /* filled by us_drift_judge */
    double alpha;         /* this column's level */
    double psi_threshold; /* PSI at which it would have alarmed */
    double stat_threshold;
    bool drifted;
} us_drift;

/* Compare a sketch of new data with its reference (us_sketch_like). */
us_err us_drift_compare(us_ctx *c, const us_sketch *ref, const us_sketch *now,
                        us_drift *out) US_MUST;
/* Decide for all columns together: the chance of any false alarm per call is at most about alpha (BH: when nothing
 * drifts; false discovery rate otherwise). Returns the number drifted. */
size_t us_drift_judge(us_ctx *c, us_drift *rows, size_t n, double alpha, us_drift_rule rule);

/* The pieces. Counts of k cells each. */
double us_psi(const uint64_t *ref, const uint64_t *now, size_t k); /* counts + 0.5 each */
double us_chi2_two(const uint64_t *ref, const uint64_t *now, size_t k,
                   double *df); /* empty cells left out */
/* The same for cells whose borders are quantiles of the reference: its counts do not vary, the new ones vary as much more. The
 * usual form divides by the pooled count, which then moves with the new one and makes the tail too light. */
double us_chi2_fixed(const uint64_t *ref, const uint64_t *now, size_t k, double *df);
double us_gtest_two(const uint64_t *ref, const uint64_t *now, size_t k, double *df);
/* Exact two-sample statistics of ascending samples without NaN. */
double us_ks_two(const double *x, size_t n, const double *y, size_t m);
double us_wasserstein_two(const double *x, size_t n, const double *y, size_t m);

#endif
