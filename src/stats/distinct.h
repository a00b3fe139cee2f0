/* stats/distinct.h - how many different values: exact up to a limit, then HyperLogLog; mergeable.
 *
 * Source: Flajolet et al., "HyperLogLog", AofA 2007, with 2^12 registers (relative error about 1.6 %) and linear
 * counting in the small range. Texts come as 64-bit hashes (us_hash64), numbers are hashed here; the exact part keeps hashes.
 */
#ifndef USTA_STATS_DISTINCT_H
#define USTA_STATS_DISTINCT_H

#include "base/ctx.h"

#define US_DISTINCT_EXACT     4096 /* different hashes kept before switching */
#define US_DISTINCT_REGISTERS 4096

typedef struct us_distinct {
    uint64_t *slot; /* open addressing, 2 * US_DISTINCT_EXACT, 0 = free */
    size_t n_slot;
    bool has_zero;
    bool approximate;
    uint8_t *reg; /* US_DISTINCT_REGISTERS */
} us_distinct;
us_err us_distinct_init(us_ctx *c, us_arena *a, us_distinct *d) US_MUST;
void us_distinct_add(us_distinct *d, uint64_t hash);
void us_distinct_add_f64(us_distinct *d, double x); /* -0 is 0; NaN is skipped */
void us_distinct_merge(us_distinct *d, const us_distinct *other);
double us_distinct_count(const us_distinct *d, bool *exact); /* exact may be NULL */

#endif
