/* data/features.h - imputing, scaling, encoding as ONNX nodes in front of the model.
 *
 * The graph's inputs are the raw columns as the decoder makes them; the result is one float32 [N,D] value and the names
 * of its D entries. All statistics come from the training rows only and live in the nodes. Operators are standard
 * (opset 17, ai.onnx.ml 3), so other runtimes give the same.
 *
 *     numbers     Imputer -> Scaler ((x - offset) * scale)
 *     categories  OneHotEncoder over the training vocabulary (unknown and missing: zeros), or ordinal by LabelEncoder
 *     booleans    Imputer
 *     integers    as numbers, or one-hot when told
 *     timestamps  parts by integer arithmetic (hour, dayofweek, ...), plain scaled or as sine and cosine; missing: 0
 *     text        not used by default (named in `skipped`); one-hot when told and the vocabulary is small
 */
#ifndef USTA_DATA_FEATURES_H
#define USTA_DATA_FEATURES_H

#include "data/decode.h"
#include "data/split.h"
#include "ir/build.h"

typedef enum us_impute {
    US_IMPUTE_NONE, /* an error when the training rows miss values */
    US_IMPUTE_MEAN,
    US_IMPUTE_MEDIAN,
    US_IMPUTE_ZERO,
    US_IMPUTE_CONSTANT,
    US_IMPUTE_MOST_FREQUENT
} us_impute;
typedef enum us_scale {
    US_SCALE_NONE,
    US_SCALE_STANDARD, /* (x - mean) / deviation */
    US_SCALE_MINMAX,   /* (x - min) / (max - min) */
    US_SCALE_ROBUST    /* (x - median) / (q75 - q25) */
} us_scale;
typedef enum us_encode {
    US_ENCODE_AUTO,
    US_ENCODE_ONEHOT,
    US_ENCODE_ORDINAL,
    US_ENCODE_NUMBER,
    US_ENCODE_DROP
} us_encode;
/* Names as in the project file ("mean", "standard", "onehot", ...); encode: auto, onehot, ordinal, number, none (drop).
 * US_ARG lists them. */
us_err us_impute_parse(us_ctx *c, us_sv s, us_impute *out) US_MUST;
us_err us_scale_parse(us_ctx *c, us_sv s, us_scale *out) US_MUST;
us_err us_encode_parse(us_ctx *c, us_sv s, us_encode *out) US_MUST;

enum { /* parts of a timestamp */
       US_TP_HOUR = 1,
       US_TP_DAYOFWEEK = 2, /* Monday = 0 */
       US_TP_MONTH = 4,
       US_TP_DAY = 8,
       US_TP_DAYOFYEAR = 16,
       US_TP_YEAR = 32,
       US_TP_EPOCH = 64,  /* days since 1970, fraction included */
       US_TP_CYCLIC = 128 /* sine and cosine of the periodic ones instead of the number */
};
/* One name: hour, weekday (also dayofweek), month, day, dayofyear, year, epoch, cyclic. */
us_err us_time_parts_parse(us_ctx *c, us_sv s, uint32_t *out) US_MUST;

typedef struct us_feature_rule {
    us_sv column; /* empty: the default for every column without a rule of its own */
    us_impute impute;
    double impute_value; /* CONSTANT */
    us_scale scale;
    us_encode encode;
    uint32_t time_parts;
} us_feature_rule;
void us_feature_rule_defaults(
    us_feature_rule *r); /* mean, standard, auto; hour, dayofweek, month cyclic + epoch */

typedef struct us_feature_opts {
    const us_feature_rule *rules;
    size_t n_rules;
    us_pack pack;
    size_t max_onehot; /* categories kept per column, the most frequent; 0: 256 */
} us_feature_opts;

typedef struct us_features {
    us_vid out; /* float32 [N, d] in the main graph */
    size_t d;
    us_sv *names; /* d of them: "age", "workclass=Private", "ts.hour.sin" */
    size_t n_skipped;
    us_sv *skipped;     /* columns not used (text) */
    us_decoder decoder; /* what the graph's inputs want */
} us_features;
/* Columns that no rule turns into numbers (text, encode none) get the role EXCLUDED, so that the model does not ask for them.
 * To be called before us_features_build, on the schema that goes into the passport. n (may be NULL): how many. */
void us_features_drop(us_data_schema *s, const us_feature_opts *opts, size_t *n);

/* Adds inputs and nodes to m's main graph (which has no inputs yet). fit_rows: the training rows (NULL: all). Names etc. are
 * in the arena; constants in the model's. opts NULL: defaults. US_ARG: no usable column is left. */
us_err us_features_build(us_ctx *c, us_arena *a, us_model *m, const us_data_schema *s,
                         const us_table *t, const uint32_t *fit_rows, size_t n_fit,
                         const us_feature_opts *opts, us_features *out) US_MUST;

#endif
