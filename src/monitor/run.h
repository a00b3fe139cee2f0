/* monitor/run.h - the monitor over a request log: window after window, verdicts kept in the workspace. */
#ifndef USTA_MONITOR_RUN_H
#define USTA_MONITOR_RUN_H

#include "monitor/reqlog.h"
#include "store/store.h"

typedef struct us_monitor_opts {
    us_hash model; /* whose log */
    us_sv bytes;   /* the model, borrowed */
    double alpha;
    uint64_t window_rows;
    int64_t since_us; /* 0: everything in the log */
} us_monitor_opts;

typedef struct us_monitor_result {
    us_replay replay;
    size_t n_windows;
    us_drift_report *windows; /* in order of time */
    size_t n_alarms;          /* windows with drift */
} us_monitor_result;

/* Judges every window, records each as a monitoring window of the model (the same window twice is one record). Reports
 * live in the arena. US_NOTFOUND: nothing has been served. */
us_err us_monitor_run(us_ctx *c, us_arena *a, us_store *s, const us_monitor_opts *o,
                      us_monitor_result *out) US_MUST;
#define US_MONITOR_SHOWN 12 /* windows in the table; the JSON has them all */

/* One row per window, the latest ones. */
us_err us_monitor_table(us_ctx *c, us_arena *a, const us_monitor_result *r,
                        us_rtable **out) US_MUST;
us_err us_monitor_json(us_ctx *c, us_arena *a, const us_monitor_result *r,
                       json_t **out) US_MUST;

#endif
