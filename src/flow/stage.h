/* flow/stage.h - what the stages share: the row of the table, the state of one run, what a stage hands back. */
#ifndef USTA_FLOW_STAGE_H
#define USTA_FLOW_STAGE_H

#include "data/schema.h"
#include "data/split.h"
#include "flow/flow.h"

#define US_FLOW_MAX_IO 32

/* What a stage made. Everything borrowed lives in the run's arena. Entities that are not NULL are recorded with it. */
typedef struct us_made {
    us_io out[US_FLOW_MAX_IO];
    size_t n_out;
    json_t *facts; /* an object; `evidence` in it is the line for the table */
    bool refused;  /* the gate said no: recorded entities stay, the stage is not finished */
    us_snapshot_rec *snapshot;
    us_split_rec *split;
    us_run_rec *run;
    us_model_rec *model;
    us_validation_rec *validation;
    us_deployment_rec *deployment;
} us_made;

typedef struct us_flow {
    us_ctx *c;
    us_arena *a;
    us_store *s;
    const us_conf *conf;
    const us_flow_opts *opts;
    us_io have[US_FLOW_MAX_IO]; /* outputs of the stages so far */
    size_t n_have;
    us_hash key; /* of the stage that runs */
} us_flow;

typedef struct us_stage {
    const char *name;
    int version;          /* raise when the stage's results change for the same input */
    const char *sections; /* configuration it depends on: "model train" */
    const char *inputs;   /* outputs of earlier stages: "snapshot split" */
    us_err (*files)(us_flow *f, us_io *in, size_t *n); /* files outside it reads; NULL: none */
    us_err (*run)(us_flow *f, us_made *m);
    /* After it ran or was found finished: what must hold in the world (a file in place, a server up). NULL: nothing. */
    us_err (*settle)(us_flow *f, const us_stage_rec *rec, us_flow_row *row);
} us_stage;

extern const us_stage us_stages[];
extern const size_t us_n_stages;

/* Hash of an earlier stage's output. US_BUG when there is none: the table is wrong. */
us_err us_flow_input(us_flow *f, const char *name, us_hash *out) US_MUST;
bool us_flow_has_input(const us_flow *f, const char *name);
us_err us_made_add(us_flow *f, us_made *m, const char *name, const us_hash *h) US_MUST;
/* Sets facts.evidence. */
us_err us_made_evidence(us_flow *f, us_made *m, const char *fmt, ...) US_MUST US_PRINTF(3, 4);

/* Why a stage without a finished record would run, compared with its current record: in the arena. */
us_err us_flow_why(us_flow *f, const us_stage *st, const json_t *config, const us_io *in,
                   size_t n_in, const char **out) US_MUST;

/* ---- the stages ---- */
us_err us_stage_requirements(us_flow *f, us_made *m) US_MUST;
us_err us_stage_data_files(us_flow *f, us_io *in, size_t *n) US_MUST;
us_err us_stage_data(us_flow *f, us_made *m) US_MUST;
us_err us_stage_features(us_flow *f, us_made *m) US_MUST;
us_err us_stage_train(us_flow *f, us_made *m) US_MUST;
us_err us_stage_package(us_flow *f, us_made *m) US_MUST;
us_err us_settle_package(us_flow *f, const us_stage_rec *rec, us_flow_row *row) US_MUST;
us_err us_stage_validate(us_flow *f, us_made *m) US_MUST;
us_err us_stage_deploy(us_flow *f, us_made *m) US_MUST;
us_err us_settle_deploy(us_flow *f, const us_stage_rec *rec, us_flow_row *row) US_MUST;
us_err us_stage_monitor_files(us_flow *f, us_io *in, size_t *n) US_MUST;
us_err us_stage_monitor(us_flow *f, us_made *m) US_MUST;

/* How the project's files are to be read. */
us_err us_flow_csv(us_flow *f, us_csv_opts *o) US_MUST;

/* ---- material made by the data stage, for those behind it ---- */
typedef struct us_material {
    us_table *table;       /* from the snapshot object, mapped */
    us_data_schema schema; /* the features stage's, without unused columns, once it has run */
    us_split split;
} us_material;
/* Close it also after a failure; a zeroed struct is fine. */
us_err us_material_open(us_flow *f, us_material *out) US_MUST;
void us_material_close(us_material *m);

#endif
