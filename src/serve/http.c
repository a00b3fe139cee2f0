/* serve/http.c - libmicrohttpd behind serve/http.h.
 *
 * libmicrohttpd calls `on_request` several times for one request: first with nothing (we make the
 * request's state), then with pieces of the body, then with size 0 (we answer). Its thread pool has as
 * many threads as we have workers and each thread handles one call at a time, so a free worker always
 * exists; an atomic flag per worker is all the claiming it needs.
 */
#include "serve/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/clock.h"

typedef struct slot {
    us_http_worker w;
    atomic_flag busy;
    bool ready;
} slot;

struct us_http {
    us_alloc alloc;
    us_http_opts o;
    struct MHD_Daemon *daemon;
    slot *slots;
    int n_slots;
    int port;
    atomic_int n_open; /* requests begun and not completed */
};

/* State of one request between calls. */
typedef struct request {
    us_http *h;
    us_ctx c; /* for the body's buffer only: the worker is claimed when the body is whole */
    us_buf body;
    bool too_large;
} request;

static slot *claim(us_http *h)
{
    for (;;)
        for (int i = 0; i < h->n_slots; i++)
            if (!atomic_flag_test_and_set_explicit(&h->slots[i].busy, memory_order_acquire))
                return &h->slots[i];
}

static void give_back(slot *s)
{
    atomic_flag_clear_explicit(&s->busy, memory_order_release);
}

static enum MHD_Result send_bytes(struct MHD_Connection *conn, int status, const char *type,
                                  const char *allow, us_sv body)
{
    /* MHD wants a mutable pointer for memory that it copies and does not change. */
    struct MHD_Response *r = MHD_create_response_from_buffer(
        body.n, body.n ? (void *)(uintptr_t)body.p : (void *)(uintptr_t) "",
        MHD_RESPMEM_MUST_COPY);
    if (!r) return MHD_NO;
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (allow) (void)MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, allow);
    enum MHD_Result ok = MHD_queue_response(conn, (unsigned)status, r);
    MHD_destroy_response(r);
    return ok;
}

/* Media type in lower case, parameters cut off. */
static us_sv media_type(us_arena *a, const char *header)
{
    us_sv s = us_sv_of(header);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == ';') s.n = i;
    s = us_sv_trim(s);
    char *z = us_str_dup(a, s);
    if (!z) return (us_sv){0};
    for (size_t i = 0; i < s.n; i++)
        if (z[i] >= 'A' && z[i] <= 'Z') z[i] = (char)(z[i] - 'A' + 'a');
    return (us_sv){z, s.n};
}

static enum MHD_Result answer(request *q, struct MHD_Connection *conn, const char *url,
                              const char *method)
{
    us_http *h = q->h;
    if (q->too_large)
        return send_bytes(
            conn, 413, "application/json", NULL,
            US_SV("{\"error\":\"request body is larger than this server accepts\"}\n"));
    slot *s = claim(h);
    us_ctx *c = &s->w.c;
    us_arena *arena = NULL;
    us_http_res res = {.status = 200, .content_type = "application/json"};
    us_buf_init(&res.body, c, US_HTTP_MAX_RESPONSE);
    enum MHD_Result ok = MHD_NO;
    us_err e = us_arena_new(c, "request", US_HTTP_ARENA_CAP, &arena);
    if (e == US_OK) {
        us_http_req req = {.arena = arena,
                           .method = us_sv_of(method),
                           .path = us_sv_of(url),
                           .body = us_buf_sv(&q->body),
                           .conn = conn};
        req.content_type =
            media_type(arena, MHD_lookup_connection_value(conn, MHD_HEADER_KIND,
                                                          MHD_HTTP_HEADER_CONTENT_TYPE));
        e = h->o.handler(h->o.ud, &s->w, &req, &res);
        if (e == US_OK) e = us_buf_check(&res.body);
    }
    if (e == US_OK) {
        ok = send_bytes(conn, res.status, res.content_type, res.allow, us_buf_sv(&res.body));
    } else {
        us_logf(c, US_LOG_ERROR, "%s %s: %s", method, url, c->diag.text);
        ok = send_bytes(conn, 500, "application/json", NULL,
                        US_SV("{\"error\":\"internal error; see the server's log\"}\n"));
    }
    us_buf_deinit(&res.body);
    us_arena_free(arena);
    give_back(s);
    return ok;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    (void)version;
    us_http *h = cls;
    request *q = *state;
    if (!q) {
        q = us_mem_get(&h->alloc, 1, sizeof *q);
        if (!q) return MHD_NO;
        q->h = h;
        us_ctx_init(&q->c);
        q->c.alloc = h->alloc;
        us_buf_init(&q->body, &q->c, h->o.max_body);
        *state = q;
        atomic_fetch_add(&h->n_open, 1);
        return MHD_YES;
    }
    if (*size) {
        if (!q->too_large) us_buf_add(&q->body, data, *size);
        if (q->body.err != US_OK) {
            q->too_large =
                true; /* keep reading, drop what comes: the answer goes out at the end */
            us_buf_deinit(&q->body);
            us_buf_init(&q->body, &q->c, h->o.max_body);
        }
        *size = 0;
        return MHD_YES;
    }
    return answer(q, conn, url, method);
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **state,
                         enum MHD_RequestTerminationCode why)
{
    (void)conn;
    (void)why;
    us_http *h = cls;
    request *q = *state;
    if (!q) return;
    us_buf_deinit(&q->body);
    us_ctx_deinit(&q->c);
    us_mem_put(&h->alloc, q, 1, sizeof *q);
    *state = NULL;
    atomic_fetch_sub(&h->n_open, 1);
}

const char *us_http_header(const us_http_req *r, const char *name)
{
    return r->conn ? MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name) : NULL;
}

const char *us_http_query(const us_http_req *r, const char *name)
{
    return r->conn ? MHD_lookup_connection_value(r->conn, MHD_GET_ARGUMENT_KIND, name) : NULL;
}

/* The address to bind, IPv4 or IPv6, numeric: no resolver, no surprise. */
static us_err address(us_ctx *c, const char *host, int port, struct sockaddr_storage *out,
                      bool *v6)
{
    memset(out, 0, sizeof *out);
    struct sockaddr_in *a4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)out;
    if (!host || !strcmp(host, "localhost")) host = "127.0.0.1";
    if (port < 0 || port > 65535)
        return us_fail(c, US_ARG, "port %d: expected 0 (any free one) to 65535", port);
    if (inet_pton(AF_INET, host, &a4->sin_addr) == 1) {
        a4->sin_family = AF_INET;
        a4->sin_port = htons((uint16_t)port);
        *v6 = false;
        return US_OK;
    }
    if (inet_pton(AF_INET6, host, &a6->sin6_addr) == 1) {
        a6->sin6_family = AF_INET6;
        a6->sin6_port = htons((uint16_t)port);
        *v6 = true;
        return US_OK;
    }
    return us_fail(
        c, US_ARG,
        "host '%s': expected a numeric IPv4 or IPv6 address, such as 127.0.0.1 or 0.0.0.0",
        host);
}

/* The port in force, asked from the socket (MHD 0.9.75 reports 0 for some address options). */
static int bound_port(struct MHD_Daemon *d)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(d, MHD_DAEMON_INFO_LISTEN_FD);
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (!info || getsockname(info->listen_fd, (struct sockaddr *)&a, &n)) return 0;
    return a.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&a)->sin6_port)
                                   : ntohs(((struct sockaddr_in *)&a)->sin_port);
}

static us_err init_workers(us_ctx *c, us_http *h)
{
    for (int i = 0; i < h->n_slots; i++) {
        slot *s = &h->slots[i];
        atomic_flag_clear(&s->busy);
        us_ctx_init(&s->w.c);
        s->w.c.alloc = c->alloc;
        s->w.c.log = c->log;
        s->ready = true;
        if (!h->o.worker_init) continue;
        us_err e = h->o.worker_init(h->o.ud, &s->w);
        if (e != US_OK) return us_fail(c, e, "%s", s->w.c.diag.text);
    }
    return US_OK;
}

/* Threads, pool and listening socket. */
static us_err start_daemon(us_ctx *c, us_http *h, const struct sockaddr_storage *addr, bool v6)
{
    unsigned flags =
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC | (v6 ? MHD_USE_IPv6 : 0u);
    /* a pool of one thread is refused by MHD: one thread is its plain mode */
    unsigned pool = h->n_slots > 1 ? (unsigned)h->n_slots : 0u;
    h->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, on_request, h, MHD_OPTION_SOCK_ADDR,
                         (const struct sockaddr *)addr, MHD_OPTION_THREAD_POOL_SIZE, pool,
                         MHD_OPTION_CONNECTION_TIMEOUT, h->o.timeout_s,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)US_HTTP_MAX_HEADERS,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
    if (!h->daemon)
        return us_fail(
            c, US_IO,
            "cannot listen on %s port %d: is another program using it? (port 0 takes "
            "any free one)",
            h->o.host ? h->o.host : "127.0.0.1", h->o.port);
    h->port = bound_port(h->daemon);
    return US_OK;
}

us_err us_http_start(us_ctx *c, const us_http_opts *o, us_http **out)
{
    struct sockaddr_storage addr;
    bool v6 = false;
    if (o->n_threads < 1 || o->n_threads > US_HTTP_MAX_THREADS)
        return us_fail(c, US_ARG, "server threads: found %d, expected 1 to %d", o->n_threads,
                       US_HTTP_MAX_THREADS);
    US_TRY(address(c, o->host, o->port, &addr, &v6));
    us_http *h = us_mem_get(&c->alloc, 1, sizeof *h);
    if (!h) return us_nomem(c);
    h->alloc = c->alloc;
    h->o = *o;
    if (!h->o.max_body) h->o.max_body = US_HTTP_MAX_BODY;
    if (!h->o.timeout_s) h->o.timeout_s = 30;
    h->slots = us_mem_get(&c->alloc, (size_t)o->n_threads, sizeof *h->slots);
    h->n_slots = h->slots ? o->n_threads : 0;
    us_err e = h->slots ? init_workers(c, h) : us_nomem(c);
    if (e == US_OK) e = start_daemon(c, h, &addr, v6);
    if (e == US_OK)
        *out = h;
    else
        us_http_stop(h);
    return e;
}

int us_http_port(const us_http *h)
{
    return h->port;
}

/* Closes the door, and lets who is inside finish: MHD_stop_daemon alone would cut answers off. */
static void drain(us_http *h)
{
    int fd = MHD_quiesce_daemon(h->daemon);
    uint64_t until = us_now_ns() + (uint64_t)US_HTTP_DRAIN_S * 1000000000u;
    while (atomic_load(&h->n_open) > 0 && us_now_ns() < until)
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    MHD_stop_daemon(h->daemon);
    if (fd >= 0) (void)close(fd);
}

void us_http_stop(us_http *h)
{
    if (!h) return;
    if (h->daemon) drain(h);
    for (int i = 0; i < h->n_slots; i++) {
        if (!h->slots[i].ready) continue;
        if (h->o.worker_deinit) h->o.worker_deinit(h->o.ud, &h->slots[i].w);
        us_ctx_deinit(&h->slots[i].w.c);
    }
    us_alloc a = h->alloc;
    us_mem_put(&a, h->slots, (size_t)h->n_slots, sizeof *h->slots);
    us_mem_put(&a, h, 1, sizeof *h);
}
