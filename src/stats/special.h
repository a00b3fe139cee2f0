/* stats/special.h - distribution functions the tests need, in double precision.
 *
 * Incomplete beta: Lentz' continued fraction (DLMF 8.17.22), on the side where it converges fast.
 * Incomplete gamma: series for x < a + 1, else Lentz' continued fraction (DLMF 8.7.1, 8.9.2). Normal quantile:
 * Acklam's rational start and one Halley step on erfc. Kolmogorov: DLMF 20.5-like theta series, both forms.
 */
#ifndef USTA_STATS_SPECIAL_H
#define USTA_STATS_SPECIAL_H

#include "base/err.h"

double us_gamma_p(double a,
                  double x); /* regularised lower incomplete gamma; NaN for a <= 0 or x < 0 */
double us_gamma_q(double a, double x);   /* 1 - P, without cancellation in the tail */
double us_chi2_sf(double x, double df);  /* P(X > x) */
double us_chi2_isf(double p, double df); /* x with sf(x) = p */
double us_beta_inc(
    double a, double b,
    double x); /* regularised incomplete beta I_x(a, b); NaN outside a, b > 0, 0 <= x <= 1 */
double us_normal_cdf(double z);
double us_normal_quantile(double p);           /* -inf, inf at 0, 1 */
double us_ks_sf(double d, double n, double m); /* asymptotic two-sample P(D > d) */

#endif
