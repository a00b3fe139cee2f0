/* validate/validate.h - the gate: requirements of the project file judged on the test split, with evidence.
 *
 * Works on the bytes of the packaged model, not on what training had in memory: what is judged is what will be served. Every
 * requirement becomes a row: required, found, evidence, passed. Checks that nobody has to ask for come with them: wrong
 * types, shapes, NaN, unknown categories must give an error or finite numbers, never a crash; single rows and
 * batches must agree; label and probabilities must agree.
 */
#ifndef USTA_VALIDATE_VALIDATE_H
#define USTA_VALIDATE_VALIDATE_H

#include "conf/conf.h"
#include "data/predict.h"
#include "report/report.h"
#include "stats/bootstrap.h"

#define US_VALIDATION_VERSION 1

/* A simpler model beside the judged one, for requirements of the form {metric, above: linear}. */
typedef struct us_validate_baseline {
    const char *kind; /* "majority", "mean", "linear" */
    us_sv bytes;      /* a packaged model */
} us_validate_baseline;

typedef struct us_validate_in {
    const char *name; /* for messages */
    us_sv model;      /* bytes of model.onnx, borrowed during the call */
    const char *model_hash;
    const us_table *table;
    const uint32_t *rows; /* the test rows */
    size_t n_rows;
    const us_conf_requirement *reqs;
    size_t n_reqs;
    const us_validate_baseline *baselines;
    size_t n_baselines;
    uint64_t seed;        /* of bootstrap and generated inputs */
    uint32_t n_resamples; /* 0: US_BOOTSTRAP_DEFAULT */
    bool confident; /* the interval's near end must meet the requirement, not only the value */
    size_t n_latency_runs; /* single-row predictions timed; 0: 2000 */
} us_validate_in;

typedef struct us_gate_row {
    const char *what;     /* "accuracy", "accuracy where sex=Female", "bad input: NaN" */
    const char *required; /* ">= 0.96" */
    const char *found;    /* "0.9741" */
    const char *evidence; /* "95 % interval 0.9556 to 0.9889, 270 rows" */
    bool passed;
    bool requirement; /* from the project file, else a standing check */
} us_gate_row;

typedef struct us_validation {
    us_gate_row *rows;
    size_t n, n_failed;
    bool passed;
    json_t *record; /* version, model, rows, metrics with intervals, figures */
} us_validation;

/* US_OK also when requirements are missed: see out->passed. US_ARG: a requirement that makes no sense (unknown metric, slice of
 * an unknown column, neither min nor max nor above), with its number in the list. */
us_err us_validate(us_ctx *c, us_arena *a, const us_validate_in *in,
                   us_validation *out) US_MUST;
us_err us_validation_table(us_ctx *c, us_arena *a, const us_validation *v,
                           us_rtable **out) US_MUST;

#endif
