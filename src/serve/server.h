/* serve/server.h - what the files of the server share. */
#ifndef USTA_SERVE_SERVER_H
#define USTA_SERVE_SERVER_H

#include <stdatomic.h>

#include "monitor/reqlog.h"
#include "serve/serve.h"

#define US_LATENCY_BUCKETS 14

/* Counters of one server; atomic, so workers need no lock. Indices of `requests` are us_outcome. */
typedef enum us_outcome { US_OUT_OK, US_OUT_BAD_REQUEST, US_OUT_ERROR, US_OUT_N } us_outcome;

typedef struct us_metrics {
    _Atomic(uint64_t) requests[US_OUT_N]; /* predictions asked for, by outcome */
    _Atomic(uint64_t) rows;
    _Atomic(uint64_t) bucket[US_LATENCY_BUCKETS + 1]; /* not cumulative; the last is +Inf */
    _Atomic(uint64_t) latency_ns;                     /* sum over answered requests */
    _Atomic(uint64_t) decode_ns, infer_ns, encode_ns;
    int64_t started_us;
} us_metrics;

void us_metrics_request(us_metrics *m, us_outcome o, uint64_t n_rows, uint64_t ns);
void us_metrics_print(const us_metrics *m, const char *model, const char *version, us_buf *b);

struct us_server {
    us_ctx c; /* of the thread that started it */
    us_arena *arena;
    us_server_opts o;
    us_predictor owner; /* its plan is shared by the workers */
    us_http *http;
    us_http_worker solo; /* us_server_open */
    bool has_solo;
    us_metrics metrics;
    /* window and log, under `busy`: short work, no waiting inside but one write */
    atomic_flag busy;
    us_window window, last; /* the one being filled; the last full one */
    bool has_last;
};

/* A worker's own things, hung on us_http_worker.ud. */
typedef struct us_server_worker {
    us_arena *arena;
    us_predictor p;
} us_server_worker;

/* One prediction request, from body to answer. */
typedef struct us_call {
    us_server *s;
    us_ctx *c;
    us_predictor *p;
    const us_http_req *req;
    us_http_res *res;
    us_value *in; /* decoder's inputs */
    size_t n;
    us_predictions y;
} us_call;

us_err us_oip_infer(us_call *k) US_MUST; /* oip.c */
us_err us_oip_metadata(us_call *k) US_MUST;
us_err us_rows_predict(us_call *k) US_MUST; /* rows.c */
/* Predict, log, watch: between decoding and encoding. */
us_err us_call_predict(us_call *k) US_MUST;

#endif
