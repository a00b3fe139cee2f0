/* stats/moments.c - see moments.h. */
#include "stats/moments.h"

#include <math.h>

#define BLOCK 1024 /* values summed two-pass while they are in cache */

void us_moments_init(us_moments *m)
{
    *m = (us_moments){.min = (double)INFINITY, .max = -(double)INFINITY};
}

void us_moments_missing(us_moments *m, uint64_t n)
{
    m->n_missing += n;
}

void us_moments_add(us_moments *m, double x)
{
    if (isnan(x)) {
        m->n_missing++;
        return;
    }
    double d = x - m->mean;
    m->n++;
    m->mean += d / (double)m->n;
    m->m2 += d * (x - m->mean);
    if (x < m->min) m->min = x;
    if (x > m->max) m->max = x;
}

void us_moments_merge(us_moments *m, const us_moments *o)
{
    m->n_missing += o->n_missing;
    if (o->n == 0) return;
    double na = (double)m->n, nb = (double)o->n, d = o->mean - m->mean;
    m->n += o->n;
    m->mean = na > 0 ? m->mean + d * (nb / (na + nb)) : o->mean;
    m->m2 += o->m2 + d * d * (na * nb / (na + nb));
    if (o->min < m->min) m->min = o->min;
    if (o->max > m->max) m->max = o->max;
}

/* One block: sum, then squared differences from its mean. Four accumulators let the compiler keep them in lanes. */
static void add_block(us_moments *m, const double *x, size_t n)
{
    us_moments b;
    double s[4] = {0}, q[4] = {0}, lo[4], hi[4];
    size_t k = 0, i = 0;
    us_moments_init(&b);
    for (size_t j = 0; j < 4; j++) {
        lo[j] = (double)INFINITY;
        hi[j] = -(double)INFINITY;
    }
    for (; i + 4 <= n; i += 4)
        for (size_t j = 0; j < 4;
             j++) { /* four chains: a comparison waits for the one before */
            double v = x[i + j];
            bool ok = !isnan(v);
            k += ok;
            s[j] += ok ? v : 0;
            lo[j] = v < lo[j] ? v : lo[j];
            hi[j] = v > hi[j] ? v : hi[j];
        }
    for (; i < n; i++)
        if (!isnan(x[i])) {
            k++;
            s[0] += x[i];
            lo[0] = x[i] < lo[0] ? x[i] : lo[0];
            hi[0] = x[i] > hi[0] ? x[i] : hi[0];
        }
    for (size_t j = 1; j < 4; j++) {
        lo[0] = fmin(lo[0], lo[j]);
        hi[0] = fmax(hi[0], hi[j]);
    }
    b.n = k;
    b.n_missing = n - k;
    b.min = lo[0];
    b.max = hi[0];
    if (k) b.mean = ((s[0] + s[1]) + (s[2] + s[3])) / (double)k;
    for (i = 0; i + 4 <= n; i += 4)
        for (size_t j = 0; j < 4; j++) {
            double d = isnan(x[i + j]) ? 0 : x[i + j] - b.mean;
            q[j] += d * d;
        }
    for (; i < n; i++) {
        double d = isnan(x[i]) ? 0 : x[i] - b.mean;
        q[0] += d * d;
    }
    b.m2 = (q[0] + q[1]) + (q[2] + q[3]);
    us_moments_merge(m, &b);
}

void us_moments_add_f64(us_moments *m, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i += BLOCK)
        add_block(m, x + i, US_MIN(n - i, (size_t)BLOCK));
}

void us_moments_add_f32(us_moments *m, const float *x, size_t n)
{
    double b[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK) {
        size_t k = US_MIN(n - i, (size_t)BLOCK);
        for (size_t j = 0; j < k; j++)
            b[j] = (double)x[i + j];
        add_block(m, b, k);
    }
}

double us_moments_var(const us_moments *m)
{
    return m->n < 2 ? (double)NAN : m->m2 / (double)(m->n - 1);
}

double us_moments_std(const us_moments *m)
{
    return sqrt(us_moments_var(m));
}
