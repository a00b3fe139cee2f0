/* base/rng.c - Philox 4x32-10 and what is drawn from it. */
#include "base/rng.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

static void round32(uint32_t c[4], const uint32_t k[2])
{
    uint64_t p0 = (uint64_t)0xD2511F53u * c[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57u * c[2];
    uint32_t hi0 = (uint32_t)(p0 >> 32), lo0 = (uint32_t)p0;
    uint32_t hi1 = (uint32_t)(p1 >> 32), lo1 = (uint32_t)p1;
    uint32_t c1 = c[1], c3 = c[3];
    c[0] = hi1 ^ c1 ^ k[0];
    c[1] = lo1;
    c[2] = hi0 ^ c3 ^ k[1];
    c[3] = lo0;
}

void us_philox4x32(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c[4], k[2] = {key[0], key[1]};
    memcpy(c, ctr, sizeof c);
    for (int r = 0; r < 10; r++) {
        round32(c, k);
        k[0] += 0x9E3779B9u; /* golden ratio */
        k[1] += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    memcpy(out, c, sizeof c);
}

us_rng us_rng_new(uint64_t seed, const char *purpose, uint64_t index)
{
    us_rng r = {0};
    uint64_t p = us_hash64(purpose, strlen(purpose), seed);
    r.key[0] = (uint32_t)p;
    r.key[1] = (uint32_t)(p >> 32);
    r.ctr[2] = (uint32_t)index;
    r.ctr[3] = (uint32_t)(index >> 32);
    return r;
}

uint32_t us_rng_u32(us_rng *r)
{
    if (!r->n_left) {
        us_philox4x32(r->ctr, r->key, r->out);
        if (!++r->ctr[0]) ++r->ctr[1];
        r->n_left = 4;
    }
    return r->out[4 - r->n_left--];
}

uint64_t us_rng_u64(us_rng *r)
{
    uint64_t lo = us_rng_u32(r);
    return lo | (uint64_t)us_rng_u32(r) << 32;
}

double us_rng_f64(us_rng *r)
{
    return (double)(us_rng_u64(r) >> 11) * 0x1p-53;
}

float us_rng_f32(us_rng *r)
{
    return (float)(us_rng_u32(r) >> 8) * 0x1p-24f;
}

uint64_t us_rng_below(us_rng *r, uint64_t n)
{
    uint64_t limit = UINT64_MAX - (UINT64_MAX % n + 1) %
                                      n; /* last value of the largest whole multiple of n */
    uint64_t v;
    do
        v = us_rng_u64(r);
    while (v > limit);
    return v % n;
}

double us_rng_normal(us_rng *r)
{
    double u = 1.0 - us_rng_f64(r); /* (0, 1]: its logarithm is finite */
    double v = us_rng_f64(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

void us_rng_shuffle_u32(us_rng *r, uint32_t *p, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)us_rng_below(r, i);
        uint32_t t = p[i - 1];
        p[i - 1] = p[j];
        p[j] = t;
    }
}
