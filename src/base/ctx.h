/* base/ctx.h - what every call carries: allocator, last failure, log, helpers.
 *
 * One context belongs to one thread. Threads of a pool run plain functions on plain memory and touch
 * no context. A server makes one context per worker; the pool and the kernels may be shared.
 */
#ifndef USTA_BASE_CTX_H
#define USTA_BASE_CTX_H

#include "base/alloc.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"

struct us_pool;
struct us_kernels;

typedef struct us_ctx {
    us_alloc alloc;
    us_diag diag;
    us_log log;
    struct us_pool *pool; /* helpers; NULL = everything serial. Borrowed. */
    const struct us_kernels
        *kernels; /* kernel table of this CPU (kernel/kernels.h); NULL = chosen on first use */
    bool (*cancelled)(void *ud); /* polled by long work; NULL = never */
    void *cancel_ud;
} us_ctx;

/* Fills *c: heap allocator, log to stderr at level warn with USTA_TRACE applied, no pool. Cannot fail. */
void us_ctx_init(us_ctx *c);
void us_ctx_deinit(us_ctx *c);

/* US_CANCELLED when the caller asked to stop (SIGINT and the like), else US_OK. */
us_err us_ctx_poll(us_ctx *c) US_MUST;

#endif
