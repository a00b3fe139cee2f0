/* monitor/reqlog.h - the log of requests and predictions: written by the server, replayed by the monitor.
 *
 * One line of JSON per request: {"t": microseconds, "in": [[cell, ...], ...], "label": [...]} (or "prediction"). Cells are
 * the features in the decoder's order, as the one row decoder reads them back, so a replay meets exactly what the
 * model met. A line is one append: a kill leaves at most one line without its end, which is skipped. The file
 * is rotated at a size: <path> and one <path>.1 behind it.
 */
#ifndef USTA_MONITOR_REQLOG_H
#define USTA_MONITOR_REQLOG_H

#include "monitor/monitor.h"

#define US_REQLOG_MAX_LINE ((size_t)64 << 20)
#define US_REQLOG_MAX_FILE ((uint64_t)4 << 30)

/* "<workspace>/served/<first 16 digits of the model's hash>.jsonl" in the arena. */
us_err us_reqlog_path(us_ctx *c, us_arena *a, const char *workspace, const char *model_hash,
                      char **out) US_MUST;

/* One line, newline included, into b. */
void us_reqlog_print(us_buf *b, const us_decoder *d, const us_value *in,
                     const us_predictions *y, const us_passport *p, int64_t at_us);
/* Append b's line; the folder is made when missing; rotated when the file has grown past max_bytes. */
us_err us_reqlog_append(us_ctx *c, const char *path, const us_buf *b,
                        uint64_t max_bytes) US_MUST;

typedef struct us_replay {
    int64_t since_us;     /* older requests are passed over */
    uint64_t window_rows; /* a window is full at so many rows (a request is never torn apart) */
    /* A full window, or the last one when the log ends; cleared after the call. */
    us_err (*full)(void *ud, const us_window *w);
    void *ud;
    /* counted */
    uint64_t n_requests, n_rows;
    uint64_t n_bad; /* lines that could not be read */
    /* rows for which the model now answers otherwise than it did when it served */
    uint64_t n_skewed;
} us_replay;

/* Read the log (the rotated part first), predict again, fill window after window. w: an empty window to fill.
 * US_NOTFOUND: nothing has been served. */
us_err us_reqlog_replay(us_ctx *c, const char *path, us_predictor *p, us_window *w,
                        us_replay *r) US_MUST;

#endif
