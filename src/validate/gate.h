/* validate/gate.h - what the files of this folder share: the state of one validation. */
#ifndef USTA_VALIDATE_GATE_H
#define USTA_VALIDATE_GATE_H

#include "validate/validate.h"

typedef struct us_gate {
    us_ctx *c;
    us_arena *a;
    const us_validate_in *in;
    us_predictor p;
    us_predictions y; /* of all test rows */
    us_scores scores;
    double latency_p50_ms, latency_p99_ms; /* NaN until measured */
    uint64_t memory_peak_bytes;            /* 0 until measured */
    US_VEC(us_gate_row) rows;
} us_gate;

/* Text in the gate's arena; "" when there is no memory for it (the row then fails to be added). */
const char *us_gate_text(us_gate *g, const char *fmt, ...) US_PRINTF(2, 3);
us_err us_gate_add(us_gate *g, us_gate_row row) US_MUST;

us_err us_gate_requirements(us_gate *g) US_MUST; /* requirements.c */
us_err us_gate_measure(us_gate *g) US_MUST;      /* measure.c: latency and memory */
us_err us_gate_checks(us_gate *g) US_MUST;       /* checks.c */

#endif
