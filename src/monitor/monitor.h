/* monitor/monitor.h - is what the model meets still what it was trained on?
 *
 * A window is a set of sketches shaped like the passport's, filled with decoded inputs and the predictions made for them. A
 * report compares each column with its reference and decides for all of them together at one false-alarm budget:
 * the thresholds follow from the sample sizes and the number of columns (stats/twosample.h). No training data is needed.
 */
#ifndef USTA_MONITOR_MONITOR_H
#define USTA_MONITOR_MONITOR_H

#include "data/predict.h"
#include "report/report.h"
#include "stats/twosample.h"

#define US_MONITOR_ALPHA 0.01 /* chance of a false alarm per window, all columns together */

typedef struct us_window {
    const us_passport *passport; /* borrowed */
    us_sketch *inputs, *outputs; /* passport's n_sketches and n_outputs */
    uint64_t n_rows;
    int64_t from_us, to_us; /* times of the first and last row; 0: none */
} us_window;

us_err us_window_new(us_ctx *c, us_arena *a, const us_passport *p, us_window *out) US_MUST;
void us_window_clear(us_window *w);
/* One decoded batch and its predictions; allocates nothing. at_us: wall clock. */
void us_window_add(us_window *w, const us_decoder *d, const us_value *in,
                   const us_predictions *y, int64_t at_us);

typedef struct us_drift_report {
    uint64_t n_rows;
    int64_t from_us, to_us;
    double alpha;
    size_t n_columns; /* inputs, then outputs */
    size_t n_inputs;
    us_drift *columns;
    size_t n_drifted;
    bool enough; /* rows suffice for a verdict */
} us_drift_report;

us_err us_window_report(us_ctx *c, us_arena *a, const us_window *w, double alpha,
                        us_drift_report *out) US_MUST;

/* Table for people: drifted columns first, `most` rows at the most (0: all). */
us_err us_drift_table(us_ctx *c, us_arena *a, const us_drift_report *r, size_t most,
                      us_rtable **out) US_MUST;
/* One sentence: "no drift in 65 columns over 270 rows (...)". In the arena. */
us_err us_drift_sentence(us_ctx *c, us_arena *a, const us_drift_report *r,
                         const char **out) US_MUST;
us_err us_drift_json(us_ctx *c, us_arena *a, const us_drift_report *r, json_t **out) US_MUST;
/* Prometheus text format: usta_feature_drift{feature,stat}, usta_feature_drift_threshold, usta_drifted_features, ... */
void us_drift_prometheus(const us_drift_report *r, const char *model, us_buf *b);

#endif
