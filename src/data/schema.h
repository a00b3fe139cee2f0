/* data/schema.h - what the data are expected to be: one schema, many uses.
 *
 * Inferred from a snapshot, kept in the passport; it checks what is ingested, drives the row decoder and the features,
 * guards the server's inputs and is what the monitor reports against. (src/ir has a us_schema for operators; this one
 * is us_data_schema.)
 */
#ifndef USTA_DATA_SCHEMA_H
#define USTA_DATA_SCHEMA_H

#include "conf/json.h"
#include "data/csv.h"
#include "data/table.h"

#define US_DATA_SCHEMA_VERSION 1
#define US_DATA_MAX_VOCAB      10000 /* different texts a categorical column may have */
#define US_DATA_MAX_INT_VOCAB  1000 /* different values for which an integer column lists them */

/* ORDER names in schema.c */
typedef enum us_data_kind {
    US_DK_NUMERIC,
    US_DK_INTEGER,
    US_DK_BOOLEAN,
    US_DK_CATEGORICAL,
    US_DK_TEXT,
    US_DK_TIMESTAMP
} us_data_kind;
const char *us_data_kind_name(us_data_kind k);
bool us_data_kind_find(us_sv name, us_data_kind *out);

typedef enum us_data_role {
    US_DR_FEATURE,
    US_DR_TARGET,
    US_DR_EXCLUDED,
    US_DR_GROUP, /* rows of one group stay on one side of a split; not an input */
    US_DR_TIME   /* order of a split by time; not an input */
} us_data_role;
const char *us_data_role_name(us_data_role r);
bool us_data_role_find(us_sv name, us_data_role *out);

typedef struct us_data_col {
    us_sv name;
    us_data_kind kind;
    us_data_role role;
    us_coltype storage; /* of the table it was inferred from */
    uint64_t n, n_missing;
    double n_distinct;
    bool distinct_exact;
    double min, max;  /* numbers; timestamps in microseconds; text: length; else NaN */
    double mean, std; /* likewise */
    /* categorical, boolean, integers of few values: by rising text (integers: by value) */
    size_t n_vocab;
    us_sv *vocab;
    uint64_t *vocab_counts;
    bool epoch_s; /* timestamp given as seconds since 1970 */
} us_data_col;

typedef struct us_data_schema {
    uint32_t version;
    uint64_t n_rows;
    size_t n_cols;
    us_data_col *cols; /* in file order */
    /* how texts become cells, the same when served */
    char delimiter;
    bool trim;
    size_t n_missing;
    us_sv *missing;
    size_t n_maps;
    us_csv_map *maps;
} us_data_schema;

typedef struct us_schema_override {
    us_sv column;
    us_data_kind kind;
    bool has_kind;
    bool epoch_s;
} us_schema_override;

typedef struct us_schema_opts {
    us_sv target; /* empty: none */
    const us_sv *excluded;
    size_t n_excluded;
    us_sv group,
        time; /* empty: none; the time column is not a feature unless time_is_feature */
    bool time_is_feature;
    const us_schema_override *overrides;
    size_t n_overrides;
    /* strings with more different values are text; 0: 5 % of the rows, but 20 at least and 200 at most */
    size_t max_categories;
    const us_csv_opts *csv; /* trim, missing tokens, maps to remember; may be NULL */
} us_schema_opts;

/* Rules: bool -> boolean; int64 -> integer; float64 -> numeric; timestamp -> timestamp; utf8 -> categorical, or text when
 * it has too many different values. Everything in the arena. US_NOTFOUND names the nearest column. */
us_err us_schema_infer(us_ctx *c, us_arena *a, const us_table *t, const us_schema_opts *o,
                       us_data_schema *out) US_MUST;

const us_data_col *us_schema_find(const us_data_schema *s, us_sv name); /* NULL when absent */
const us_data_col *us_schema_target(const us_data_schema *s);           /* NULL when none */
size_t us_schema_n_features(const us_data_schema *s);
uint32_t us_vocab_find(const us_data_col *k, us_sv text); /* US_MAP_NONE when absent */

typedef enum us_violation_kind {
    US_VIO_MISSING_COLUMN,
    US_VIO_NEW_COLUMN,
    US_VIO_TYPE,     /* cannot be read as the kind */
    US_VIO_RANGE,    /* outside [min, max] */
    US_VIO_CATEGORY, /* not in the vocabulary */
    US_VIO_MISSING   /* missing where the reference never was */
} us_violation_kind;
const char *us_violation_name(us_violation_kind k); /* "missing_column", ... */
typedef struct us_violation {
    us_violation_kind kind;
    us_sv column;
    uint64_t n;   /* cells */
    uint64_t row; /* the first of them, 0-based */
    us_sv found, expected;
} us_violation;
typedef struct us_violations {
    US_VEC(us_violation) v; /* at most one per column and kind */
} us_violations;
/* Check another table. Ranges and vocabularies are facts about the reference, so RANGE and CATEGORY are warnings for the
 * caller to weigh; TYPE and MISSING_COLUMN make the table unusable. Target columns may be absent when serving. */
us_err us_schema_check(us_ctx *c, us_arena *a, const us_data_schema *s, const us_table *t,
                       us_violations *out) US_MUST;
bool us_violation_fatal(us_violation_kind k);

/* JSON, versioned. */
us_err us_schema_to_json(us_ctx *c, us_arena *a, const us_data_schema *s, json_t **out) US_MUST;
us_err us_schema_from_json(us_ctx *c, us_arena *a, const json_t *j,
                           us_data_schema *out) US_MUST;

/* ISO 8601: date, date and time with 'T' or blank, optional seconds, fraction, 'Z' or +hh:mm; without zone it is UTC. */
bool us_parse_time(us_sv s, int64_t *out_us);
/* "2011-01-01T05:00:00Z", fraction only when there is one; into out (>= 40 bytes). */
const char *us_print_time_iso(int64_t us, char out[40]);

#endif
