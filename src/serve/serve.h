/* serve/serve.h - the model server: Open Inference Protocol v2 over HTTP, raw rows, metrics, drift.
 *
 *     GET  /v2, /v2/health/live, /v2/health/ready               the server
 *     GET  /v2/models/NAME[/versions/V][/ready]                 the model's inputs and outputs
 *     POST /v2/models/NAME[/versions/V]/infer                   tensors (Open Inference Protocol v2, JSON)
 *     POST /v2/models/NAME/predict, /predict                    rows: JSON objects or arrays, or CSV (text/csv)
 *     GET  /metrics                                             Prometheus
 *     GET  /monitor                                             the drift report of the last window, JSON
 *
 * Every answered row goes through the passport's decoder, into the request log and into the monitor's window. Wrong input
 * is answered with 400 and a sentence; it never reaches the model.
 * Source of the protocol: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.
 */
#ifndef USTA_SERVE_SERVE_H
#define USTA_SERVE_SERVE_H

#include "monitor/monitor.h"
#include "serve/http.h"

typedef struct us_server us_server;

typedef struct us_server_opts {
    const char *model_name; /* NAME in paths: letters, digits, '.', '_', '-' */
    const char *version;    /* V in paths: the model's hash, shortened */
    us_sv model;            /* bytes, borrowed while the server lives */
    const char *host;
    int port;
    int n_threads;
    size_t max_body;      /* 0: default */
    const char *log_path; /* request log; NULL: none */
    uint64_t log_max_bytes;
    double alpha;         /* monitor's false-alarm budget per window */
    uint64_t window_rows; /* rows of one window */
} us_server_opts;

us_err us_server_start(us_ctx *c, const us_server_opts *o, us_server **out) US_MUST;
int us_server_port(const us_server *s);
void us_server_stop(us_server *s); /* NULL is fine */

/* The handler alone, without a network: for tests and fuzzing. path, method and body as in a request. */
us_err us_server_handle(us_server *s, us_http_worker *w, const us_http_req *req,
                        us_http_res *res) US_MUST;
/* A server that answers through us_server_handle only: no socket. *worker is its one worker. */
us_err us_server_open(us_ctx *c, const us_server_opts *o, us_server **out,
                      us_http_worker **worker) US_MUST;

#endif
