/* stats/earlystop.c - see earlystop.h. */
#include "stats/earlystop.h"

#include "stats/special.h"

#define MOST ((uint64_t)1 << 52) /* numbers of queries are exact as doubles */

bool us_es_passes(const us_es *es, uint64_t n, uint64_t t)
{
    if (t >= n) return false;
    return us_beta_inc((double)(n - t), (double)t + 1, es->p - es->d) <= 1 - es->c;
}

/* More queries under the bound only help: double, then halve the bracket. */
uint64_t us_es_min_under(const us_es *es, uint64_t t)
{
    uint64_t lo = 1, hi = 1;
    while (hi < MOST && !us_es_passes(es, hi + t, t))
        hi *= 2;
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (us_es_passes(es, mid + t, t))
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

uint64_t us_es_min_queries(const us_es *es)
{
    return us_es_min_under(es, 1) + 1;
}

uint64_t us_es_discard(const us_es *es, uint64_t n)
{
    uint64_t lo = 0, hi = n; /* lo passes (or is 0), hi does not */
    while (hi - lo > 1) {
        uint64_t mid = lo + (hi - lo) / 2;
        if (us_es_passes(es, n, mid))
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}
