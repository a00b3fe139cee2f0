/* serve/http.h - a small HTTP server over libmicrohttpd: whole requests in, whole responses out.
 *
 * The wrapper reads the body up to a limit (413 beyond it), gives every request an arena of its own and one of
 * a fixed set of workers (context and whatever the owner hangs on it), calls the handler, and sends what it
 * made. Slow clients meet a timeout; a full house is answered by the listen queue, not by memory.
 */
#ifndef USTA_SERVE_HTTP_H
#define USTA_SERVE_HTTP_H

#include "base/ctx.h"
#include "base/str.h"

#define US_HTTP_MAX_BODY     ((size_t)64 << 20) /* default limit of a request's body */
#define US_HTTP_MAX_HEADERS  ((size_t)32 << 10) /* request line and headers */
#define US_HTTP_ARENA_CAP    ((size_t)512 << 20)
#define US_HTTP_MAX_RESPONSE ((size_t)256 << 20)
#define US_HTTP_MAX_THREADS  64
#define US_HTTP_DRAIN_S      5 /* requests begun before the stop have this long to finish */

typedef struct us_http_req {
    us_arena *arena; /* lives until the response is sent */
    us_sv method;    /* "GET" */
    us_sv path;      /* percent-decoded, without the query */
    us_sv body;
    us_sv content_type; /* lower-cased media type without parameters; empty when absent */
    void *conn;         /* for us_http_header, us_http_query */
} us_http_req;

typedef struct us_http_res {
    int status;               /* 200 unless changed */
    const char *content_type; /* "application/json" unless changed */
    us_buf body;
    const char *allow; /* for 405 */
} us_http_res;

typedef struct us_http us_http;

/* One of these per thread of the server. ud is the owner's (a session, for instance). */
typedef struct us_http_worker {
    us_ctx c;
    void *ud;
} us_http_worker;

/* Fills res. A failure is turned into a JSON error by the caller's own code: the wrapper sends 500 for it. */
typedef us_err us_http_handler(void *ud, us_http_worker *w, const us_http_req *req,
                               us_http_res *res);

typedef struct us_http_opts {
    const char *host;   /* numeric address; NULL: 127.0.0.1 */
    int port;           /* 0: any free one, see us_http_port */
    int n_threads;      /* 1..US_HTTP_MAX_THREADS */
    size_t max_body;    /* 0: US_HTTP_MAX_BODY */
    unsigned timeout_s; /* idle connection; 0: 30 */
    us_http_handler *handler;
    void *ud;
    us_err (*worker_init)(void *ud,
                          us_http_worker *w); /* once per worker, before the first request */
    void (*worker_deinit)(void *ud, us_http_worker *w);
} us_http_opts;

/* US_IO: the address cannot be had (in use, not ours). */
us_err us_http_start(us_ctx *c, const us_http_opts *o, us_http **out) US_MUST;
int us_http_port(const us_http *h);
/* Stops accepting, waits for running requests (at most US_HTTP_DRAIN_S), frees. NULL is fine. */
void us_http_stop(us_http *h);

/* Borrowed until the request ends; NULL when absent. Header names in any case. */
const char *us_http_header(const us_http_req *r, const char *name);
const char *us_http_query(const us_http_req *r, const char *name);

#endif
