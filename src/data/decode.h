/* data/decode.h - the one row decoder: CSV fields, JSON values, tensors and table cells -> the model's inputs.
 *
 * Built from the schema's features, in schema order. Training and serving go through the same conversions of cells, so
 * the same raw row gives the same bytes whichever way it comes.
 *
 *     number, boolean   float32 [N,1], NaN = missing       (or all in `features` float32 [N,D] when packed)
 *     category, text    string  [N,1], empty = missing
 *     timestamp         int64   [N,1] microseconds UTC, INT64_MIN = missing
 *
 * Packed: all features are numbers or booleans, and the caller did not ask otherwise. Errors name row (1-based, of the
 * request), column, what was found and what was expected. An unknown category is not an error: the model's own one-hot
 * gives zeros for it and the monitor counts it.
 */
#ifndef USTA_DATA_DECODE_H
#define USTA_DATA_DECODE_H

#include "data/schema.h"
#include "ir/graph.h"
#include "stats/metric.h"

#define US_DECODE_MAX_ROWS ((size_t)1 << 24) /* rows of one served request */

typedef struct us_decode_input {
    us_sv name;
    us_dtype dtype;
    int64_t width;  /* second dimension */
    size_t i_first; /* first feature it holds; packed: 0 */
} us_decode_input;

typedef struct us_decoder {
    const us_data_schema *schema;
    size_t n_features;
    const us_data_col **features; /* in schema order */
    us_map by_name;
    bool packed;
    size_t n_inputs;
    us_decode_input *inputs;
} us_decoder;

typedef enum us_pack { US_PACK_AUTO, US_PACK_NEVER } us_pack;
/* In the arena; the schema must outlive it. US_ARG: no features. */
us_err us_decoder_init(us_ctx *c, us_arena *a, const us_data_schema *s, us_pack pack,
                       us_decoder *out) US_MUST;

/* Rows of a table (rows NULL: all n_rows). in: n_inputs values, tensors in the arena. */
us_err us_decode_table(us_ctx *c, us_arena *a, const us_decoder *d, const us_table *t,
                       const uint32_t *rows, size_t n, us_value *in) US_MUST;
/* CSV text. header: the first record names the columns (any order, further columns ignored, a missing one is an error);
 * otherwise fields are the features in order, or all columns of the schema when there are that many. */
us_err us_decode_csv(us_ctx *c, us_arena *a, const us_decoder *d, us_sv text, bool header,
                     size_t *n_rows, us_value *in) US_MUST;
/* A JSON array of rows, or one row: a row is an object by column name (unknown names that are not schema columns are
 * errors, a missing key is a missing value) or an array of the features in order. */
us_err us_decode_json(us_ctx *c, us_arena *a, const us_decoder *d, const json_t *rows,
                      size_t *n_rows, us_value *in) US_MUST;
/* Named tensors as they come from a request: one per input, or one per feature when packed; any numeric type for
 * numbers, [N] or [N,1]; strings for timestamps too. */
us_err us_decode_tensors(us_ctx *c, us_arena *a, const us_decoder *d, size_t n_tensors,
                         const us_sv *names, const us_tensor *tensors, size_t *n_rows,
                         us_value *in) US_MUST;

/* Feature i_feature's column of decoded inputs, for sketches: a number (timestamps as double; NaN missing) or a string. */
double us_decoded_number(const us_decoder *d, const us_value *in, size_t i_feature,
                         size_t i_row);
us_sv us_decoded_string(const us_decoder *d, const us_value *in, size_t i_feature,
                        size_t i_row);
bool us_decoded_is_string(const us_decoder *d, size_t i_feature);

/* Targets. Classes are the texts of the target's values: strings as they are, integers in decimal, booleans "false",
 * "true"; sorted (integers by value). us_target_classes gives them from the training data's schema. */
us_err us_target_classes(us_ctx *c, us_arena *a, const us_data_schema *s, us_sv **classes,
                         size_t *k) US_MUST;
/* -1 for a label that is not a class; US_FORMAT for a missing one unless allow_missing (then -1 too). */
us_err us_target_index(us_ctx *c, const us_data_schema *s, const us_table *t,
                       const us_sv *classes, size_t k, const uint32_t *rows, size_t n,
                       bool allow_missing, int32_t *out) US_MUST;
us_err us_target_number(us_ctx *c, const us_data_schema *s, const us_table *t,
                        const uint32_t *rows, size_t n,
                        double *out) US_MUST; /* missing is US_FORMAT */
/* Task that fits the target: regression for numbers and for integers of more than 20 values, else classification. */
us_err us_target_task(us_ctx *c, const us_data_schema *s, us_task *out) US_MUST;

#endif
