/* data/predict.h - a packaged model with everything around it: rows in, predictions out.
 *
 * Opens the bytes of a model.onnx that usta trained (it must carry a passport), plans it, and ties the plan's inputs to the row
 * decoder of the passport's schema. The validator, the server and the command line predict through this one door,
 * so a row means the same everywhere.
 *
 * A predictor refers to itself: it is opened where it stays and never copied.
 * Threading: one predictor per thread; predictors made by us_predictor_share use one plan, whose owner must outlive them.
 */
#ifndef USTA_DATA_PREDICT_H
#define USTA_DATA_PREDICT_H

#include "data/decode.h"
#include "data/passport.h"
#include "exec/session.h"

#define US_PREDICT_BATCH 1024 /* rows per run in us_predict_table */

typedef struct us_predictor {
    us_passport passport;
    us_decoder decoder;
    us_plan *plan; /* owned unless shared */
    bool shared;
    us_session *session;
    size_t n_inputs;
    size_t *input_at;                     /* plan input i is the decoder's input_at[i] */
    size_t out_label, out_prob, out_pred; /* indices of the plan's outputs; SIZE_MAX: none */
    us_value *in, *out;                   /* scratch of one run */
} us_predictor;

/* bytes are borrowed while the predictor lives. US_NOTFOUND: the model has no passport. US_FORMAT: passport and graph
 * disagree (which input or output). Everything small lies in the arena; close frees plan and session. */
us_err us_predictor_open(us_ctx *c, us_arena *a, const char *name, us_sv bytes,
                         us_predictor *out) US_MUST;
/* Another session over the same plan, for another thread's context. */
us_err us_predictor_share(us_ctx *c, us_arena *a, const us_predictor *owner,
                          us_predictor *out) US_MUST;
void us_predictor_close(us_predictor *p); /* a zeroed struct is fine */

typedef struct us_predictions {
    us_task task;
    size_t n, k;
    float *prob; /* CLASSES: [n, k] */
    /* CLASSES: index into the passport's classes, from the model's own `label` output */
    int32_t *label;
    float *value; /* VALUE: [n] */
} us_predictions;

/* Decoded inputs (decoder order) to predictions in the arena. US_FORMAT: the model's label is none of its classes. */
us_err us_predict(us_ctx *c, us_predictor *p, us_arena *a, const us_value *in, size_t n,
                  us_predictions *out) US_MUST;
/* Rows of a table (rows NULL: all), in batches. */
us_err us_predict_table(us_ctx *c, us_predictor *p, us_arena *a, const us_table *t,
                        const uint32_t *rows, size_t n, us_predictions *out) US_MUST;

/* Scores of predictions against a table's target, prepared for metrics. US_NOTFOUND: the table has no target column. */
us_err us_predictions_score(us_ctx *c, us_arena *a, const us_predictor *p,
                            const us_predictions *y, const us_table *t, const uint32_t *rows,
                            us_scores *out) US_MUST;

#endif
