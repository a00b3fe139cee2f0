/* serve/deploy.h - which model is served, and whether it may be.
 *
 * A model is deployed on the strength of a passing validation record of that very hash. Without one the answer is no,
 * unless the caller insists; the deployment's record then says that it was forced.
 */
#ifndef USTA_SERVE_DEPLOY_H
#define USTA_SERVE_DEPLOY_H

#include "conf/conf.h"
#include "serve/serve.h"
#include "store/store.h"

typedef struct us_choice {
    us_model_rec model;
    us_validation_rec validation; /* hash empty: none */
    bool forced;                  /* served without a passing record */
} us_choice;

/* model: hash prefix, or NULL for the newest model of the project. US_NO: no passing validation record, with what to do. */
us_err us_deploy_choose(us_ctx *c, us_arena *a, us_store *s, const char *model, bool force,
                        us_choice *out) US_MUST;

/* A running deployment of the project, newest first; US_NOTFOUND: none. Records of dead processes are closed on the way. */
us_err us_deploy_running(us_ctx *c, us_arena *a, us_store *s, us_deployment_rec *out) US_MUST;
/* Stops it (us_serve_kill) and closes its record. */
us_err us_deploy_stop(us_ctx *c, us_store *s, const us_deployment_rec *d) US_MUST;
/* Records that this process now serves at the endpoint; *out is the deployment's hash. */
us_err us_deploy_record(us_ctx *c, us_arena *a, us_store *s, const us_choice *what,
                        const char *endpoint, us_hash *out) US_MUST;
/* Name of the model in paths: its record's name with other characters as '-', "model" when there is none. */
us_err us_deploy_name(us_ctx *c, us_arena *a, const us_model_rec *m, const char **out) US_MUST;

#endif
