/* base/pool.h - a thread pool in which the caller works on its own job.
 *
 * us_pool_run(pool, n, grain, fn, arg) equals
 *     for (size_t i = 0; i < n; i += grain) fn(arg, i, min(i + grain, n));
 * in any order and from several threads. The caller takes chunks too and could finish alone, so a
 * busy machine never makes it wait for a helper that has not started: only chunks already taken are
 * waited for. Chunk borders depend on n and grain alone, never on the number of threads. Each thread begins with a part of its own,
 * the same part of every job of as many chunks: work in an order that keeps what belongs together at the same place (rows of an
 * image, say) finds it in its own cache. A helper that finds nothing spins for at most 50 us, then sleeps. Where helpers cost more
 * than they bring, for others use the processor, the caller leaves them asleep for a while. fn may not fail and may not call
 * us_pool_run on the same pool (a nested call runs serially).
 */
#ifndef USTA_BASE_POOL_H
#define USTA_BASE_POOL_H

#include "base/err.h"

typedef struct us_pool us_pool;
typedef void us_pool_fn(void *arg, size_t i0, size_t i1);

#define US_POOL_SPIN_US 50

/* n_threads counts the caller: 1 = no helpers, 0 = as many as the process has processors. */
us_err us_pool_new(struct us_ctx *c, int n_threads, us_pool **out) US_MUST;
void us_pool_free(us_pool *p);           /* joins the helpers; NULL is fine */
int us_pool_n_threads(const us_pool *p); /* NULL: 1 */

/* A pool over somebody else's threads: run calls fn(arg, i) once for each i < n, in any order and from any threads, and
 * returns when all are done. n_threads (1 to 256): how many it has, roughly. */
typedef void us_pool_chunk_fn(void *arg, size_t i);
typedef void us_pool_lent_fn(void *ud, size_t n, us_pool_chunk_fn *fn, void *arg);
us_err us_pool_new_lent(struct us_ctx *c, int n_threads, us_pool_lent_fn *run, void *ud,
                        us_pool **out) US_MUST;
void us_pool_run(us_pool *p, size_t n, size_t grain, us_pool_fn *fn,
                 void *arg); /* p NULL: serial */

#endif
