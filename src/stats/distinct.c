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

static void add_register(us_distinct *d, uint64_t h)
{
    uint64_t rest = h << 12 | 1u << 11; /* never zero: rank ends at 53 */
    uint8_t rank = 1;
    for (; !(rest >> 63); rest <<= 1)
        rank++;
    uint8_t *r = &d->reg[h >> 52];
    if (rank > *r) *r = rank;
}

void us_distinct_add(us_distinct *d, uint64_t h)
{
    add_register(d, h);
    if (d->approximate) return;
    if (h == 0) {
        d->has_zero = true;
        return;
    }
    size_t mask = 2 * (size_t)US_DISTINCT_EXACT - 1, i = h & mask;
    while (d->slot[i] && d->slot[i] != h)
        i = (i + 1) & mask;
    if (d->slot[i]) return;
    if (d->n_slot == US_DISTINCT_EXACT) {
        d->approximate = true;
        return;
    }
    d->slot[i] = h;
    d->n_slot++;
}

void us_distinct_add_f64(us_distinct *d, double x)
{
    if (isnan(x)) return;
    x += 0.0;
    us_distinct_add(d, us_hash64(&x, sizeof x, 0));
}

void us_distinct_merge(us_distinct *d, const us_distinct *o)
{
    for (size_t i = 0; i < US_DISTINCT_REGISTERS; i++)
        if (o->reg[i] > d->reg[i]) d->reg[i] = o->reg[i];
    d->approximate |= o->approximate;
    d->has_zero |= o->has_zero;
    for (size_t i = 0; i < 2 * (size_t)US_DISTINCT_EXACT && !d->approximate; i++)
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
