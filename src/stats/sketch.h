/* stats/sketch.h - the reference of one column: what a passport carries and a monitor compares with.
 *
 * Numeric kinds hold moments and counts over fixed bins, whose inner edges are quantiles of the reference (ties
 * merged, so a column of few values has one bin per value); text uses the length in bytes. Categories hold counts of
 * the reference's own values. A sketch of new data is made "like" the reference (same edges, same categories) and
 * updated in O(log bins) or one hash look-up per value, without allocation; sketches of the same shape merge.
 */
#ifndef USTA_STATS_SKETCH_H
#define USTA_STATS_SKETCH_H

#include "base/map.h"
#include "stats/moments.h"

typedef enum us_sketch_kind {
    US_SK_NUMERIC,
    US_SK_CATEGORICAL,
    US_SK_TEXT,      /* numbers are lengths */
    US_SK_TIMESTAMP, /* numbers are microseconds since 1970 */
    US_SK_BOOLEAN    /* numbers 0 and 1 */
} us_sketch_kind;
const char *us_sketch_kind_name(us_sketch_kind k); /* "numeric" ... */
bool us_sketch_kind_find(us_sv name, us_sketch_kind *out);

#define US_SKETCH_BINS     20  /* bins asked for by default */
#define US_SKETCH_CATS     100 /* categories kept with their own count; the rest is `other` */
#define US_SKETCH_MAX_BINS 1024
#define US_SKETCH_MAX_CATS 10000

typedef struct us_sketch {
    us_sv name;
    us_sketch_kind kind;
    uint64_t n; /* values present and missing together */
    uint64_t n_missing;
    us_moments moments; /* numeric kinds */
    size_t n_edges; /* inner edges, ascending and different; bin i is (edge[i-1], edge[i]] */
    double *edges;
    uint64_t *counts; /* n_edges + 1 (numeric kinds; 0 bins for categorical) */
    size_t n_cats;    /* CATEGORICAL */
    us_sv *cats;      /* by falling count in the reference, then bytewise */
    uint64_t *cat_counts;
    /* known to the reference, but past US_SKETCH_CATS; in new data: everything not in cats */
    uint64_t n_other;
    us_map cat_index; /* name -> index in cats */
} us_sketch;

/* References. x: NaN = missing; n_bins 0: US_SKETCH_BINS (fewer for small n). tmp memory comes from the context. */
us_err us_sketch_of_numbers(us_ctx *c, us_arena *a, us_sv name, us_sketch_kind kind,
                            const double *x, size_t n, size_t n_bins, us_sketch *out) US_MUST;
/* Empty strings are missing. CATEGORICAL counts values, TEXT lengths. */
us_err us_sketch_of_strings(us_ctx *c, us_arena *a, us_sv name, us_sketch_kind kind,
                            const us_sv *x, size_t n, us_sketch *out) US_MUST;
/* Recompute cat_index after filling the other fields by hand (readers of passports). */
us_err us_sketch_index(us_ctx *c, us_arena *a, us_sketch *s) US_MUST;

/* An empty sketch with the reference's kind, edges and categories (copied into a). */
us_err us_sketch_like(us_ctx *c, us_arena *a, const us_sketch *ref, us_sketch *out) US_MUST;
void us_sketch_clear(us_sketch *s);                /* counts back to 0, shape kept */
void us_sketch_add_number(us_sketch *s, double x); /* NaN and infinities = missing */
void us_sketch_add_string(us_sketch *s, us_sv x);  /* empty = missing */
void us_sketch_add_missing(us_sketch *s, uint64_t n);
us_err us_sketch_merge(us_ctx *c, us_sketch *s,
                       const us_sketch *other) US_MUST; /* SHAPE: not alike */

#endif
