/* stats/distinct.c - see distinct.h. */
#include "stats/distinct.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

us_err us_distinct_init(us_ctx *c, us_arena *a, us_distinct *d)
{
    us_distinct r = {.n_slot = 0};
    r.slot = us_new_n(a, uint64_t, 2 * (size_t)US_DISTINCT_EXACT);
    r.reg = us_new_n(a, uint8_t, US_DISTINCT_REGISTERS);
    if (!r.slot || !r.reg) return us_arena_fail(c, a);
    *d = r;
    return US_OK;
}

/* Rank of the first set bit after the register's 12: the exponent of the rest as a double tells it without a loop. */
static void add_register(us_distinct *d, uint64_t h)
{
    double rest = (double)((h << 12 | 1u << 11) >> 11); /* 53 bits, never zero */
    uint64_t bits;
    memcpy(&bits, &rest, sizeof bits);
    uint8_t rank = (uint8_t)(1 + 52 - ((bits >> 52) - 1023));
    uint8_t *r = &d->reg[h >> 52];
    if (rank > *r) *r = rank;
}

/* From here on only registers count. */
static void go_approximate(us_distinct *d)
{
    d->approximate = true;
    if (d->has_zero) add_register(d, 0);
    for (size_t i = 0; i < 2 * (size_t)US_DISTINCT_EXACT; i++)
        if (d->slot[i]) add_register(d, d->slot[i]);
}

void us_distinct_add(us_distinct *d, uint64_t h)
{
    if (d->approximate) {
        add_register(d, h);
        return;
    }
    if (h == 0) {
        d->has_zero = true;
        return;
    }
    size_t mask = 2 * (size_t)US_DISTINCT_EXACT - 1, i = h & mask;
    while (d->slot[i] && d->slot[i] != h)
        i = (i + 1) & mask;
    if (d->slot[i]) return;
    if (d->n_slot == US_DISTINCT_EXACT) {
        go_approximate(d);
        add_register(d, h);
        return;
    }
    d->slot[i] = h;
    d->n_slot++;
}

/* The finaliser of MurmurHash3: every bit of the value reaches every bit of the hash. */
static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

void us_distinct_add_f64(us_distinct *d, double x)
{
    uint64_t bits;
    if (isnan(x)) return;
    x += 0.0; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    us_distinct_add(d, mix(bits + 0x9e3779b97f4a7c15u));
}

void us_distinct_merge(us_distinct *d, const us_distinct *o)
{
    if (o->approximate && !d->approximate) go_approximate(d);
    for (size_t i = 0; i < US_DISTINCT_REGISTERS && o->approximate; i++)
        if (o->reg[i] > d->reg[i]) d->reg[i] = o->reg[i];
    if (o->approximate) return;
    if (o->has_zero) us_distinct_add(d, 0);
    for (size_t i = 0; i < 2 * (size_t)US_DISTINCT_EXACT; i++)
        if (o->slot[i]) us_distinct_add(d, o->slot[i]);
}

double us_distinct_count(const us_distinct *d, bool *exact)
{
    if (exact) *exact = !d->approximate;
    if (!d->approximate) return (double)d->n_slot + d->has_zero;
    double m = US_DISTINCT_REGISTERS, sum = 0, zeros = 0;
    for (size_t i = 0; i < US_DISTINCT_REGISTERS; i++) {
        sum += ldexp(1, -d->reg[i]);
        zeros += d->reg[i] == 0;
    }
    double e = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    return floor((e <= 2.5 * m && zeros > 0 ? m * log(m / zeros) : e) + 0.5);
}
