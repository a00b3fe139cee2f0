/* data/table.h - a columnar table in the layout of the Arrow C data interface.
 *
 * Buffers start on 64 bytes; a validity bitmap has bit i (least significant first) set when row i is present, NULL when
 * nothing is missing; booleans are bits; strings are UTF-8 bytes behind n + 1 int64 offsets (Arrow's large_utf8);
 * timestamps are int64 microseconds UTC. A missing cell's value bytes are zero. A table is immutable once built and owns
 * its memory; tables read from a snapshot point into the mapped file.
 */
#ifndef USTA_DATA_TABLE_H
#define USTA_DATA_TABLE_H

#include "base/ctx.h"
#include "base/file.h"
#include "base/map.h"

#define US_TABLE_MAX_COLS ((size_t)65536)
#define US_TABLE_MAX_ROWS ((size_t)1 << 31)
#define US_TABLE_CAP      ((size_t)64 << 30) /* bytes of one table's memory */
#define US_TIME_MISSING   INT64_MIN

typedef enum us_coltype { /* numbers are those of the snapshot format: append, never reuse */
                          US_COL_F64 = 1,
                          US_COL_I64 = 2,
                          US_COL_BOOL = 3,
                          US_COL_STR = 4,
                          US_COL_TIME = 5
} us_coltype;
const char *us_coltype_name(us_coltype t); /* "float64", "int64", "bool", "utf8", "timestamp" */

typedef struct us_column {
    us_sv name;
    us_coltype type;
    size_t n; /* rows */
    size_t n_null;
    const uint8_t *valid;   /* NULL: all present */
    const void *data;       /* double, int64_t, bits, or string bytes */
    const int64_t *offsets; /* STR: n + 1 */
} us_column;

typedef struct us_table {
    us_arena *arena;
    us_file *file; /* mapped snapshot, or NULL */
    size_t n_rows, n_cols;
    us_column *cols;
    us_map by_name;
} us_table;

us_err us_table_new(us_ctx *c, size_t n_rows, size_t n_cols,
                    us_table **out) US_MUST; /* columns zeroed */
void us_table_free(us_table *t);             /* NULL is fine */
/* After the columns' names are set. US_FORMAT: two columns of one name, or an empty name. */
us_err us_table_index(us_ctx *c, us_table *t) US_MUST;
const us_column *us_table_find(const us_table *t, us_sv name); /* NULL when absent */
/* As find, US_NOTFOUND with the nearest known name. */
us_err us_table_get(us_ctx *c, const us_table *t, us_sv name, const us_column **out) US_MUST;

/* Memory for one column in the table's arena, zeroed (validity: all missing), for its maker to fill; n_null is the
 * maker's to set. n_bytes: STR bytes in all. */
typedef struct us_column_mem {
    uint8_t *valid; /* NULL unless asked for */
    void *data;
    int64_t *offsets; /* STR */
} us_column_mem;
us_err us_column_alloc(us_ctx *c, us_table *t, size_t i_col, us_sv name, us_coltype type,
                       bool with_valid, size_t n_bytes, us_column_mem *out) US_MUST;
/* Set n_null by counting bits; a bitmap without a gap is dropped. */
void us_column_count_null(us_column *k);

static inline bool us_col_valid(const us_column *k, size_t i)
{
    return !k->valid || (k->valid[i >> 3] >> (i & 7) & 1);
}
static inline us_sv us_col_str(const us_column *k, size_t i)
{
    return (us_sv){(const char *)k->data + k->offsets[i],
                   (size_t)(k->offsets[i + 1] - k->offsets[i])};
}
static inline bool us_col_bool(const us_column *k, size_t i)
{
    return ((const uint8_t *)k->data)[i >> 3] >> (i & 7) & 1;
}
/* Any type but STR as a double; NaN when missing. */
double us_col_f64(const us_column *k, size_t i);
/* n of rows (all when rows is NULL) as doubles. US_ARG for STR. */
us_err us_col_to_f64(us_ctx *c, const us_column *k, const uint32_t *rows, size_t n,
                     double *out) US_MUST;
/* The cell as the text a CSV would hold ("" when missing); appended. */
void us_col_print(const us_column *k, size_t i, us_buf *b);

/* A new table of some rows, in that order; and one below the other (same names and order; integer and float columns meet
 * in float, anything else that differs in utf8). */
us_err us_table_take(us_ctx *c, const us_table *t, const uint32_t *rows, size_t n,
                     us_table **out) US_MUST;
us_err us_table_concat(us_ctx *c, const us_table *a, const us_table *b, us_table **out) US_MUST;

#endif
