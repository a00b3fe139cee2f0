/* data/split.h - which rows train, which validate, which test: seeded, recorded row by row.
 *
 * The same table, options and seed give the same split. Row i's place in a random split comes from a seeded shuffle
 * (Philox stream "split"); stratified shuffles within each class; by time the earliest rows train and the latest test (ties
 * keep file order, equal times are not torn apart); by group whole groups move.
 */
#ifndef USTA_DATA_SPLIT_H
#define USTA_DATA_SPLIT_H

#include "data/table.h"

enum { US_PART_TRAIN = 0, US_PART_VALID = 1, US_PART_TEST = 2, US_PART_NONE = 3 };
const char *us_part_name(int part); /* "train", "validation", "test", "none" */

typedef enum us_split_kind {
    US_SPLIT_RANDOM,
    US_SPLIT_STRATIFIED, /* by `column` */
    US_SPLIT_TIME,       /* by `column`, rising */
    US_SPLIT_GROUP,      /* by `column` */
    US_SPLIT_COLUMN      /* `column` holds train / validation / test (also valid, val) */
} us_split_kind;
const char *us_split_kind_name(us_split_kind k);
bool us_split_kind_find(us_sv name, us_split_kind *out);

typedef struct us_split_opts {
    us_split_kind kind;
    us_sv column;
    double validation,
        test; /* shares of all rows; train is the rest; each in [0, 1), sum < 1 */
    uint64_t seed;
    /* the last rows are the test part (a test file put below); then `test` is not used and
     * `validation` is a share of the other rows */
    size_t n_given_test;
} us_split_opts;
void us_split_defaults(us_split_opts *o); /* random, 0.15, 0.15, seed 0 */

typedef struct us_split {
    size_t n_rows;
    uint8_t *part; /* US_PART_* per row */
    size_t counts[4];
} us_split;
us_err us_split_make(us_ctx *c, us_arena *a, const us_table *t, const us_split_opts *o,
                     us_split *out) US_MUST;
/* Rows of a part, ascending, in the arena. */
us_err us_split_rows(us_ctx *c, us_arena *a, const us_split *s, int part, uint32_t **rows,
                     size_t *n) US_MUST;
/* One byte per row behind a short header with CRC32C; for the store. */
us_err us_split_print(us_ctx *c, const us_split *s, us_buf *b) US_MUST;
us_err us_split_parse(us_ctx *c, us_arena *a, const char *name, us_sv bytes,
                      us_split *out) US_MUST;

#endif
