/* inspect/trace.h - a run with every intermediate value in sight: shape, range, NaN and infinities, and where two runs part.
 *
 * The model is planned without optimising passes, so values keep their names; functions are inlined and old forms
 * upgraded, which adds values of made-up names. A value of a sub-graph has one row however often its graph runs: the
 * figures are of all its runs, the shape of the last.
 *
 * Two runs are compared value by value by name (main graph only): |a - b| <= tolerance * max |b|, as exec/agree.h does,
 * where b is the reference. The first in the order of execution beyond it is where to look: everything after it
 * inherits the difference.
 */
#ifndef USTA_INSPECT_TRACE_H
#define USTA_INSPECT_TRACE_H

#include "exec/session.h"

typedef enum us_trace_match {
    US_TRACE_ALONE,  /* the reference has no such value, or there is none */
    US_TRACE_SAME,   /* within the tolerance */
    US_TRACE_TYPE,   /* another kind or class of element type */
    US_TRACE_SHAPE,  /* other dimensions */
    US_TRACE_DIFFERS /* beyond the tolerance */
} us_trace_match;

typedef struct us_trace_row {
    us_sv name;  /* of the value */
    us_sv graph; /* where it is; "" for the main graph */
    us_sv op, node;
    bool made; /* not in the file: of an inlined function or an upgraded form */
    us_kind kind;
    us_dtype dtype;
    int32_t rank; /* TENSOR: of the last run */
    int64_t dims[US_MAX_RANK];
    uint64_t n_items;           /* SEQUENCE, MAP: of the last run */
    uint64_t n_runs, n_numbers; /* how often it was made; numbers looked at in all runs */
    uint64_t n_nan, n_inf;
    double min, max, mean; /* of the finite ones; NaN when there are none */
    us_trace_match match;
    double largest, average; /* |a - b|; NaN when it cannot be said */
    double relative;         /* largest / max |b| */
    double cosine;           /* of the angle between a and b */
} us_trace_row;

typedef struct us_trace us_trace;

typedef struct us_trace_opts {
    double tolerance; /* 0: US_TRACE_TOLERANCE */
    uint64_t seed;    /* of random operators */
    const struct us_image_codec *images;
    /* Every value of the main graph as it is made; may be NULL. */
    us_err (*see)(void *arg, us_ctx *c, us_sv name, const us_value *v);
    /* What the reference has of this name; *found false when nothing. NULL: there is no reference. */
    us_err (*reference)(void *arg, us_ctx *c, us_sv name, const us_value *got, us_value *out,
                        bool *found);
    void *arg;
} us_trace_opts;
#define US_TRACE_TOLERANCE 1e-4
#define US_TRACE_MAX_ROWS  ((size_t)1 << 20)

/* Plans a copy; m must outlive the trace. */
us_err us_trace_new(us_ctx *c, const us_model *m, const us_trace_opts *opts,
                    us_trace **out) US_MUST;
void us_trace_free(us_trace *t);                 /* NULL is fine */
const us_plan *us_trace_plan(const us_trace *t); /* which inputs it wants */
/* Once per trace. When it fails, the rows hold what was seen before. */
us_err us_trace_run(us_ctx *c, us_trace *t, const us_value *in) US_MUST;

size_t us_trace_rows(const us_trace *t, const us_trace_row **rows); /* in order of execution */
const us_trace_row *us_trace_first_bad(const us_trace *t);  /* NaN or infinite; NULL: none */
const us_trace_row *us_trace_first_diff(const us_trace *t); /* NULL: none */

#endif
