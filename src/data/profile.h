/* data/profile.h - statistics of a table as rows for printing, and the search for leaking columns.
 *
 * A column leaks when it tells the target without a model: a number that is an affine function of it (R2 > 0.9999), a
 * category that maps one-to-one to its values, a feature that separates the classes without error, or several numbers
 * whose weighted sum is the target (least squares with a residual of nothing). Found on the training rows; a
 * warning names the columns and says to exclude them.
 */
#ifndef USTA_DATA_PROFILE_H
#define USTA_DATA_PROFILE_H

#include "data/schema.h"
#include "stats/metric.h"

typedef struct us_profile_col {
    us_sv name;
    us_coltype type;
    uint64_t n, n_missing;
    double n_distinct;
    bool distinct_exact;
    double mean, std, min, q25, median, q75,
        max;   /* NaN for strings; timestamps in microseconds; booleans 0 and 1 */
    us_sv top; /* strings: most frequent value (bytewise first among equals) */
    uint64_t top_count;
    us_sv shortest, longest; /* strings: examples, lengths are the point */
} us_profile_col;
typedef struct us_profile {
    size_t n_rows, n_cols;
    us_profile_col *cols;
} us_profile;
us_err us_profile_make(us_ctx *c, us_arena *a, const us_table *t, us_profile *out) US_MUST;
us_err us_profile_to_json(us_ctx *c, us_arena *a, const us_profile *p, json_t **out) US_MUST;
/* Cells as text for a table printer: US_PROFILE_N_HEADS columns per row. */
#define US_PROFILE_N_HEADS 11
extern const char *const us_profile_heads[US_PROFILE_N_HEADS];
us_err us_profile_cells(us_ctx *c, us_arena *a, const us_profile_col *k,
                        us_sv out[US_PROFILE_N_HEADS]) US_MUST;

typedef enum us_leak_kind {
    US_LEAK_AFFINE,
    US_LEAK_MAP,
    US_LEAK_SEPARATES,
    US_LEAK_SUM
} us_leak_kind;
typedef struct us_leak {
    us_leak_kind kind;
    size_t n_cols;
    us_sv *cols;
    double *coef; /* SUM, AFFINE */
    double intercept;
    us_sv text; /* one sentence for people: which columns, what was found, what to do */
} us_leak;
typedef struct us_leaks {
    US_VEC(us_leak) v;
} us_leaks;
/* Looks at features (not excluded ones) on these rows (NULL: all). task: of the target. */
us_err us_leaks_find(us_ctx *c, us_arena *a, const us_data_schema *s, const us_table *t,
                     const uint32_t *rows, size_t n_rows, us_task task, us_leaks *out) US_MUST;

#endif
