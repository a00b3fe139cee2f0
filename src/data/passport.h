/* data/passport.h - what a model carries about its origin: JSON in metadata_props, key "usta.passport".
 *
 * Written when a model is packaged; read by the validator, the server and the monitor. It is a function of the inputs of
 * training only: no time of day, no test results, no machine; so the same run gives the same model bytes.
 */
#ifndef USTA_DATA_PASSPORT_H
#define USTA_DATA_PASSPORT_H

#include "data/schema.h"
#include "ir/graph.h"
#include "stats/metric.h"
#include "stats/sketch.h"

#define US_PASSPORT_KEY       "usta.passport"
#define US_PASSPORT_VERSION   1
#define US_PASSPORT_MAX_BYTES ((size_t)64 << 20)

typedef struct us_passport_metric {
    us_sv part; /* "train", "validation" */
    us_sv name;
    double value;
} us_passport_metric;

typedef struct us_passport {
    uint32_t version;
    us_sv program; /* "usta 0.1.0" */
    us_task task;
    us_sv target;
    size_t n_classes; /* classification: labels in the order of the probabilities */
    us_sv *classes;
    us_sv snapshot; /* hex hash */
    uint64_t seed;
    bool packed; /* one input `features` */
    us_data_schema schema;
    size_t n_features;
    us_sv *features; /* names of the D entries after encoding */
    size_t n_sketches;
    us_sketch *sketches; /* one per feature column, schema order */
    size_t n_outputs;
    us_sketch *outputs; /* label (categorical), top probability or prediction (numeric) */
    us_sv config;       /* JSON text of the configuration that was trained with */
    size_t n_metrics;
    us_passport_metric *metrics;
} us_passport;

us_err us_passport_print(us_ctx *c, const us_passport *p,
                         us_buf *b) US_MUST; /* canonical JSON */
us_err us_passport_parse(us_ctx *c, us_arena *a, us_sv json, us_passport *out) US_MUST;
us_err us_passport_set(us_ctx *c, us_model *m, const us_passport *p) US_MUST;
/* US_NOTFOUND: the model has none (it was not trained by usta). */
us_err us_passport_get(us_ctx *c, us_arena *a, const us_model *m, us_passport *out) US_MUST;

/* Reference sketches of the decoded inputs of some rows (the decoder's features, in order). */
struct us_decoder;
us_err us_sketch_inputs(us_ctx *c, us_arena *a, const struct us_decoder *d, const us_value *in,
                        size_t n_rows, us_sketch **out) US_MUST;
/* Sketches of predictions: classification gives `label` (by class) and `confidence` (largest probability); regression
 * gives `prediction`. prob [n, k] or pred [n]. n_out 2 or 1. */
us_err us_sketch_outputs(us_ctx *c, us_arena *a, us_task task, const us_sv *classes, size_t k,
                         const float *prob, const float *pred, size_t n, us_sketch **out,
                         size_t *n_out) US_MUST;
/* Update live sketches (us_sketch_like of the passport's) with one decoded batch / its predictions. */
void us_sketch_update_inputs(us_sketch *live, const struct us_decoder *d, const us_value *in,
                             size_t n_rows);
void us_sketch_update_outputs(us_sketch *live, us_task task, const us_sv *classes, size_t k,
                              const float *prob, const float *pred, size_t n);

us_err us_sketch_to_json(us_ctx *c, us_arena *a, const us_sketch *s, json_t **out) US_MUST;
us_err us_sketch_from_json(us_ctx *c, us_arena *a, const json_t *j, us_sketch *out) US_MUST;

#endif
