/* report/report.h - tables, numbers and progress for people at a terminal.
 *
 * Nothing here writes by itself except the progress bar: tables are printed into a buffer, so the same table goes to stdout, a
 * log or a test. No colour unless told that the reader is a terminal.
 */
#ifndef USTA_REPORT_REPORT_H
#define USTA_REPORT_REPORT_H

#include "base/ctx.h"
#include "base/str.h"

/* ---- tables ---- */
typedef enum us_align { US_LEFT, US_RIGHT } us_align;
typedef enum us_tone {
    US_PLAIN,
    US_GOOD,
    US_BAD,
    US_FAINT
} us_tone; /* green, red, grey on terminals */

typedef struct us_rtable us_rtable;
/* In the arena. columns: "name|>rows|>time|state": a '>' in front aligns right. title may be NULL. */
us_err us_rtable_new(us_ctx *c, us_arena *a, const char *title, const char *columns,
                     us_rtable **out) US_MUST;
/* Cells one after the other, left to right; a full row begins a new one by itself. Errors stick until print. */
void us_rtable_cell(us_rtable *t, const char *text);
void us_rtable_cellf(us_rtable *t, const char *fmt, ...) US_PRINTF(2, 3);
void us_rtable_cellsv(us_rtable *t, us_sv text);
void us_rtable_f64(us_rtable *t, double v, int digits); /* significant digits; NaN: "-" */
void us_rtable_tone(us_rtable *t, us_tone tone);        /* of the last cell */
void us_rtable_rule(us_rtable *t);                      /* a line between rows */
size_t us_rtable_rows(const us_rtable *t);
typedef struct us_rtable_opts {
    bool colour;
    int width; /* of the terminal in columns; longest texts are shortened with an ellipsis; 0: no limit */
} us_rtable_opts;
us_err us_rtable_print(us_ctx *c, const us_rtable *t, const us_rtable_opts *opts,
                       us_buf *b) US_MUST;

/* ---- numbers ---- */
const char *us_print_duration(int64_t ns, char out[32]); /* "340 us", "1.25 s", "2 min 05 s" */
const char *us_print_count(int64_t n, char out[32]);     /* "1,797" */
const char *us_print_sig(double v, int digits,
                         char out[32]); /* significant digits, no exponent for 1e-4..1e9 */
int us_text_width(us_sv s);             /* columns in a terminal of a UTF-8 text */

/* ---- terminal ---- */
bool us_tty(int fd);
int us_tty_width(int fd); /* 80 when unknown */

/* ---- progress ---- */
/* A bar on stderr: shown only when stderr is a terminal and the work has taken over a second; redrawn ten times a second
 * at most; removed at the end. total 0: unknown. Caller's storage; not thread-safe. */
typedef struct us_progress {
    const char *what;
    uint64_t total, done, start_ns, last_ns;
    bool tty, shown;
    char note[96];
} us_progress;
void us_progress_start(us_progress *p, const char *what, uint64_t total);
void us_progress_set(us_progress *p, uint64_t done, const char *note); /* note may be NULL */
void us_progress_end(us_progress *p);

#endif
