/* stats/quantile.h - exact quantiles of arrays (radix sort) and a mergeable sketch for streams.
 *
 * The sort is a least-significant-digit radix sort over the order-preserving integer image of a double: about 15 ns a
 * value, far below a comparison sort. The sketch is KLL (Karnin, Lang, Liberty, "Optimal quantile approximation in
 * streams", FOCS 2016) with alternating instead of random parity in compaction, so the same stream gives the same
 * bytes; with k = 200 the rank error stays under about 1.5 %.
 */
#ifndef USTA_STATS_QUANTILE_H
#define USTA_STATS_QUANTILE_H

#include "base/ctx.h"

/* Ascending; -0 before +0, NaNs last. tmp: n doubles of working memory. */
void us_sort_f64(double *x, double *tmp, size_t n);
/* Ascending order of x as indices; stable. key, tmp: n uint64 each, tmp_index: n uint32. */
void us_sort_index_f64(const double *x, uint32_t *index, size_t n, uint64_t *key, uint64_t *tmp,
                       uint32_t *tmp_index);
/* q in [0,1] of n ascending values without NaN, linear interpolation (type 7, as NumPy); NaN when n is 0. */
double us_quantile_sorted(const double *x, size_t n, double q);
/* Number of different values of an ascending array. */
size_t us_distinct_sorted(const double *x, size_t n);

#define US_KLL_K      200
#define US_KLL_LEVELS 48
typedef struct us_kll {
    uint64_t n; /* values seen (NaN are skipped) */
    double min, max;
    uint32_t n_levels;
    uint32_t parity; /* bit per level: which half the next compaction keeps */
    /* items held per level; an item of level l stands for 2^l values */
    uint32_t len[US_KLL_LEVELS];
    double *item[US_KLL_LEVELS]; /* US_KLL_K + 2 each, from the arena, on first use */
    us_arena *arena;
} us_kll;
void us_kll_init(us_kll *s, us_arena *arena);
us_err us_kll_add(us_ctx *c, us_kll *s, double x) US_MUST;
us_err us_kll_merge(us_ctx *c, us_kll *s, const us_kll *other) US_MUST;
/* Approximate quantiles; qs ascending. US_NO when the sketch is empty. */
us_err us_kll_quantiles(us_ctx *c, const us_kll *s, size_t n_q, const double *qs,
                        double *out) US_MUST;

#endif
