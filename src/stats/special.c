/* stats/special.c - see special.h. */
#include "stats/special.h"

#include <math.h>

#define EPS  1e-16
#define TINY 1e-300
#define ITER 10000

/* x^a e^-x / Gamma(a) */
static double front(double a, double x)
{
    return exp(a * log(x) - x - lgamma(a));
}

static double p_series(double a, double x)
{
    double term = 1 / a, sum = term;
    for (int i = 1; i < ITER && term > sum * EPS; i++) {
        term *= x / (a + i);
        sum += term;
    }
    return sum * front(a, x);
}

/* Lentz' method on DLMF 8.9.2. */
static double q_fraction(double a, double x)
{
    double b = x + 1 - a, c = 1 / TINY, d = 1 / b, h = d;
    for (int i = 1; i < ITER; i++) {
        double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        if (fabs(d) < TINY) d = TINY;
        c = b + an / c;
        if (fabs(c) < TINY) c = TINY;
        d = 1 / d;
        h *= d * c;
        if (fabs(d * c - 1) < EPS * 4) break;
    }
    return h * front(a, x);
}

double us_gamma_p(double a, double x)
{
    if (!(a > 0) || !(x >= 0)) return (double)NAN;
    if (x == 0) return 0;
    if (isinf(x)) return 1;
    return x < a + 1 ? p_series(a, x) : 1 - q_fraction(a, x);
}

double us_gamma_q(double a, double x)
{
    if (!(a > 0) || !(x >= 0)) return (double)NAN;
    if (x == 0) return 1;
    if (isinf(x)) return 0;
    return x < a + 1 ? 1 - p_series(a, x) : q_fraction(a, x);
}

double us_chi2_sf(double x, double df)
{
    if (!(df > 0)) return (double)NAN;
    return x <= 0 ? 1 : us_gamma_q(df / 2, x / 2);
}

/* DLMF 8.17.22 by Lentz' method: two terms of the fraction at each turn. */
static double beta_fraction(double a, double b, double x)
{
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    if (fabs(d) < TINY) d = TINY;
    d = 1 / d;
    double h = d;
    for (int i = 1; i < ITER; i++) {
        double even = i * (b - i) * x / ((a + 2 * i - 1) * (a + 2 * i));
        double odd = -(a + i) * (a + b + i) * x / ((a + 2 * i) * (a + 2 * i + 1));
        d = 1 + even * d;
        c = 1 + even / c;
        if (fabs(d) < TINY) d = TINY;
        if (fabs(c) < TINY) c = TINY;
        d = 1 / d;
        h *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        if (fabs(d) < TINY) d = TINY;
        if (fabs(c) < TINY) c = TINY;
        d = 1 / d;
        h *= d * c;
        if (fabs(d * c - 1) < EPS * 4) break;
    }
    return h;
}

double us_beta_inc(double a, double b, double x)
{
    if (!(a > 0) || !(b > 0) || !(x >= 0) || !(x <= 1)) return (double)NAN;
    if (x == 0 || x == 1) return x;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* Bracket, then bisection to the last bits: not hot. */
double us_chi2_isf(double p, double df)
{
    double lo = 0, hi = df + 10;
    if (!(df > 0) || !(p >= 0) || !(p <= 1)) return (double)NAN;
    if (p == 0) return (double)INFINITY;
    if (p == 1) return 0;
    while (us_chi2_sf(hi, df) > p)
        hi *= 2;
    for (int i = 0; i < 200 && hi - lo > 1e-14 * hi; i++) {
        double mid = lo + (hi - lo) / 2;
        if (us_chi2_sf(mid, df) > p)
            lo = mid;
        else
            hi = mid;
    }
    return lo + (hi - lo) / 2;
}

double us_normal_cdf(double z)
{
    return 0.5 * erfc(-z / sqrt(2));
}

/* P. Acklam's rational approximation (relative error 1.15e-9), one Halley step. */
double us_normal_quantile(double p)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01};
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01,
                               2.445134137142996e+00, 3.754408661907416e+00};
    if (!(p >= 0) || !(p <= 1)) return (double)NAN;
    if (p == 0) return -(double)INFINITY;
    if (p == 1) return (double)INFINITY;
    double tail = p < 0.5 ? p : 1 - p, x;
    if (tail < 0.02425) {
        double q = sqrt(-2 * log(tail));
        x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
            ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
        if (p > 0.5) x = -x;
    } else {
        double q = p - 0.5, r = q * q;
        x = (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
            (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
    }
    const double sqrt_2pi = 2.50662827463100050242;
    double e = us_normal_cdf(x) - p, u = e * sqrt_2pi * exp(x * x / 2);
    return x - u / (1 + x * u / 2);
}

/* Kolmogorov's limit distribution; the second form converges where the first is slow. */
static double kolmogorov_sf(double t)
{
    const double pi = 3.14159265358979323846;
    double sum = 0;
    if (t <= 0) return 1;
    if (t < 1.18) {
        double y = exp(-pi * pi / (8 * t * t));
        for (int k = 0; k < 20; k++)
            sum += pow(y, (2 * k + 1) * (2 * k + 1));
        return 1 - sqrt(2 * pi) / t * sum;
    }
    for (int k = 1; k < 100; k++) {
        double term = exp(-2 * (double)k * k * t * t);
        sum += k & 1 ? term : -term;
        if (term < 1e-20) break;
    }
    return 2 * sum;
}

double us_ks_sf(double d, double n, double m)
{
    double p = kolmogorov_sf(d * sqrt(n * m / (n + m)));
    return p < 0 ? 0 : p > 1 ? 1 : p;
}
