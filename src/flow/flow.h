/* flow/flow.h - the lifecycle as a table of stages, each cached by content.
 *
 * A stage's key is the BLAKE2b of: program version, the stage's own version, the canonical configuration of the sections it
 * depends on, and the hashes of its inputs (files and outputs of earlier stages). When a finished record with that key exists
 * and its objects are there, the stage is not run. So a second run executes nothing, a changed learning rate repeats from
 * training on, and changing it back finds the old results again.
 */
#ifndef USTA_FLOW_FLOW_H
#define USTA_FLOW_FLOW_H

#include "conf/conf.h"
#include "store/store.h"

typedef enum us_stage_state {
    US_STAGE_PENDING, /* not looked at (an earlier one failed, or past --until) */
    US_STAGE_CACHED,  /* a finished record was found */
    US_STAGE_RAN,
    US_STAGE_STALE, /* status only: would run */
    US_STAGE_FAILED /* the gate said no, or an error */
} us_stage_state;

typedef struct us_flow_row {
    const char *stage;
    us_stage_state state;
    us_hash key;
    int64_t wall_ns;
    const char *evidence; /* one line: what the stage has to show */
    const char *why; /* why it ran or would run: "train.lr 0.001 -> 0.01"; "" when cached */
    json_t *facts;   /* of the record */
} us_flow_row;

typedef struct us_flow_opts {
    const char *until; /* last stage to run; NULL: all */
    bool dry;          /* status: look, run nothing */
    bool serve;        /* start the server in the background */
    bool force;        /* run although finished records exist */
    /* Called at the begin (state PENDING) and end of each stage; may be NULL. */
    void (*tell)(void *ud, const us_flow_row *row);
    void *ud;
} us_flow_opts;

typedef struct us_flow_result {
    us_flow_row *rows; /* one per stage */
    size_t n;
    size_t n_ran; /* executed, the one that failed included */
    bool gate_ok; /* no gate said no */
} us_flow_result;

/* Rows lie in the arena and are there on failure, too (*out is always filled). US_NO: a gate failed. */
us_err us_flow_run(us_ctx *c, us_arena *a, us_store *s, const us_conf *conf,
                   const us_flow_opts *opts, us_flow_result *out) US_MUST;
const char *us_stage_state_name(us_stage_state st);
/* Names of the stages in order; NULL past the end. */
const char *us_flow_stage_name(size_t i);

#endif
