/* base/pool.c - one job at a time, chunks taken from atomic counters by caller and helpers alike.
 *
 * A job is published by raising `epoch`. Helpers enter it by counting themselves in `n_inside`; the caller
 * takes chunks until none is left, closes the job (no further helper may enter) and waits only for those
 * inside. Chunk i covers [i*grain, min((i+1)*grain, n)): borders do not depend on who takes them.
 *
 * Each thread has a share of the chunks, side by side and always the same part of the whole: what it wrote in one job lies in its
 * cache when the next one reads it. It takes its share from the front; when that is empty, others' from the back. (From one
 * counter for all, neighbours go to different cores, and half of every job's input comes out of another core's cache.)
 *
 * On a processor that others use too, a helper may lose its core in the middle of a chunk, and the caller its own to a helper.
 * Both show: the caller waits longer than any chunk took it, or one of its chunks takes far longer than the others. Such losses are
 * a debt, which time pays off at 1/LEAVE; when it is past DEBT_NS, the caller works alone and helpers sleep until it is
 * paid. So they cost at most 1/LEAVE of the time.
 */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/ctx.h"

#define POOL_MAX_THREADS 256
#define MOST_CHUNKS      UINT32_MAX
#define LEAVE            25
#define DEBT_NS          1000000u
#define DEBT_MOST_NS     20000000u /* half a second: somebody else's load does not last for ever */
#define HICCUP_NS        100000u /* less is no lost core */
#define SPINS_A_YIELD    32

typedef struct share {
    _Atomic(uint64_t) left; /* chunks [low half, high half) are not taken yet */
    char apart[120];        /* no two on one cache line, nor on a pair of them */
} share;

typedef struct helper {
    us_pool *pool;
    pthread_t thread;
    int number; /* 1.. ; the caller is 0 */
} helper;

struct us_pool {
    us_alloc alloc;
    helper *helpers;
    share *shares; /* of each thread */
    int n_started;
    int n_threads; /* the caller counts */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    int n_asleep;            /* under lock */
    _Atomic(uint64_t) epoch; /* even: no job open; odd: open */
    atomic_bool quit;
    atomic_flag busy;          /* a job is being run: nested and concurrent calls go serial */
    uint64_t debt_ns, debt_at; /* of helpers, and when that was; whoever holds busy has it */
    bool on_leave;             /* helpers are left asleep */
    /* the job: written before epoch turns odd */
    us_pool_fn *fn;
    void *arg;
    size_t n, grain, n_chunks;
    _Atomic(int) n_inside;
    us_pool_lent_fn *lent; /* not NULL: no threads of our own */
    void *lent_ud;
};

static void do_chunk(us_pool *p, size_t i)
{
    size_t i0 = i * p->grain;
    p->fn(p->arg, i0, p->n - i0 < p->grain ? p->n : i0 + p->grain);
}

static uint64_t chunks(size_t from, size_t to)
{
    return (uint64_t)to << 32 | from;
}

/* The first or the last chunk that is left of a share. */
static bool take(share *s, bool last, size_t *i)
{
    uint64_t left = atomic_load_explicit(&s->left, memory_order_relaxed), rest;
    do {
        size_t from = left & UINT32_MAX, to = left >> 32;
        if (from == to) return false;
        *i = last ? to - 1 : from;
        rest = last ? chunks(from, to - 1) : chunks(from + 1, to);
    } while (!atomic_compare_exchange_weak_explicit(&s->left, &left, rest, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static bool work_on_next(us_pool *p, int who)
{
    size_t chunk;
    for (int k = 0; k < p->n_threads; k++)
        if (take(&p->shares[(who + k) % p->n_threads], k > 0, &chunk)) {
            do_chunk(p, chunk);
            return true;
        }
    return false;
}

/* The caller's part; what its longest chunk took, and the longest but one. */
static void work_by_clock(us_pool *p, uint64_t *longest, uint64_t *next)
{
    uint64_t t = us_now_ns();
    *longest = *next = 0;
    while (work_on_next(p, 0)) {
        uint64_t now = us_now_ns(), took = now - t;
        t = now;
        *next = US_MAX(*next, US_MIN(took, *longest));
        *longest = US_MAX(*longest, took);
    }
}

/* Enter the open job, if it still is open when we have said that we are in. */
static void try_job(us_pool *p, int who)
{
    atomic_fetch_add(&p->n_inside, 1);
    if (atomic_load(&p->epoch) & 1)
        while (work_on_next(p, who)) {
        }
    atomic_fetch_sub(&p->n_inside, 1);
}

/* While spinning: leave the core's other thread the execution units. */
static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool something_new(us_pool *p, uint64_t seen)
{
    uint64_t now = atomic_load(&p->epoch);
    return (now != seen && (now & 1)) || atomic_load(&p->quit);
}

static void wait_for_job(us_pool *p, uint64_t seen)
{
    uint64_t until = us_now_ns() + US_POOL_SPIN_US * 1000u;
    for (unsigned i = 1; us_now_ns() < until; i++) {
        if (something_new(p, seen)) return;
        relax();
        if (i % SPINS_A_YIELD == 0) sched_yield(); /* this may be the caller's own core */
    }
    pthread_mutex_lock(&p->lock);
    p->n_asleep++;
    while (!something_new(p, seen))
        pthread_cond_wait(&p->wake, &p->lock);
    p->n_asleep--;
    pthread_mutex_unlock(&p->lock);
}

static void *help(void *arg)
{
    const helper *h = arg;
    us_pool *p = h->pool;
    uint64_t seen = 0;
    for (;;) {
        wait_for_job(p, seen);
        if (atomic_load(&p->quit)) return NULL;
        seen = atomic_load(&p->epoch);
        if (seen & 1) try_job(p, h->number);
    }
}

/* Without threads. */
static us_err pool_init(us_ctx *c, int n_threads, us_pool **out)
{
    if (n_threads == 0) n_threads = us_cpu_count();
    if (n_threads < 1 || n_threads > POOL_MAX_THREADS)
        return us_fail(c, US_ARG, "threads: found %d, expected 1 to %d (0: one per processor)",
                       n_threads, POOL_MAX_THREADS);
    us_pool *p = us_mem_get(&c->alloc, 1, sizeof *p);
    if (!p) return us_nomem(c);
    p->alloc = c->alloc;
    p->n_threads = n_threads;
    atomic_flag_clear(&p->busy);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    *out = p;
    return US_OK;
}

us_err us_pool_new_lent(us_ctx *c, int n_threads, us_pool_lent_fn *run, void *ud, us_pool **out)
{
    us_pool *p;
    US_TRY(pool_init(c, n_threads, &p));
    p->lent = run;
    p->lent_ud = ud;
    *out = p;
    return US_OK;
}

us_err us_pool_new(us_ctx *c, int n_threads, us_pool **out)
{
    us_pool *p;
    US_TRY(pool_init(c, n_threads, &p));
    n_threads = p->n_threads;
    p->helpers = us_mem_get(&c->alloc, (size_t)n_threads, sizeof *p->helpers);
    p->shares = us_mem_get(&c->alloc, (size_t)n_threads, sizeof *p->shares);
    if (!p->helpers || !p->shares) {
        us_pool_free(p);
        return us_nomem(c);
    }
    for (; p->n_started < n_threads - 1; p->n_started++) {
        helper *h = &p->helpers[p->n_started];
        h->pool = p;
        h->number = p->n_started + 1;
        if (pthread_create(&h->thread, NULL, help, h)) {
            int got = p->n_started;
            us_pool_free(p);
            return us_fail(c, US_IO, "cannot start thread %d of %d", got + 2, n_threads);
        }
    }
    *out = p;
    return US_OK;
}

void us_pool_free(us_pool *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->quit, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_started; i++)
        pthread_join(p->helpers[i].thread, NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    us_alloc a = p->alloc;
    us_mem_put(&a, p->helpers, (size_t)p->n_threads, sizeof *p->helpers);
    us_mem_put(&a, p->shares, (size_t)p->n_threads, sizeof *p->shares);
    us_mem_put(&a, p, 1, sizeof *p);
}

int us_pool_n_threads(const us_pool *p)
{
    return p ? p->n_threads : 1;
}

static void run_serial(size_t n, size_t grain, us_pool_fn *fn, void *arg)
{
    for (size_t i = 0; i < n; i += grain) {
        fn(arg, i, n - i < grain ? n : i + grain);
        if (n - i < grain) return; /* i + grain may overflow */
    }
}

static void lent_chunk(void *arg, size_t i)
{
    us_pool *p = arg;
    if (i < p->n_chunks) do_chunk(p, i); /* whoever lends may err */
}

static void open_job(us_pool *p)
{
    size_t n = p->n_chunks, shares = US_MIN(n, (size_t)p->n_threads); /* the others have none */
    for (size_t k = 0; k < (size_t)p->n_threads; k++)
        atomic_store_explicit(&p->shares[k].left,
                              k < shares ? chunks(n * k / shares, n * (k + 1) / shares) : 0,
                              memory_order_relaxed);
    atomic_fetch_add(&p->epoch, 1);
    pthread_mutex_lock(&p->lock);
    bool sleepers = p->n_asleep > 0;
    if (sleepers) pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

static void pay_debt(us_pool *p)
{
    uint64_t now = us_now_ns(), paid = (now - p->debt_at) / LEAVE;
    p->debt_ns = p->debt_ns > paid ? p->debt_ns - paid : 0;
    p->debt_at = now;
    if (p->debt_ns == 0) p->on_leave = false;
}

static void run_together(us_pool *p)
{
    uint64_t longest, next, lost = 0;
    open_job(p);
    work_by_clock(p, &longest, &next);
    atomic_fetch_add(&p->epoch, 1); /* closed: who comes now finds it even */
    uint64_t t = us_now_ns();
    while (atomic_load(&p->n_inside))
        sched_yield();
    uint64_t waited = us_now_ns() - t;
    if (next > 0 && longest > 4 * next + HICCUP_NS) lost += longest - next;
    if (longest > 0 && waited > longest + HICCUP_NS) lost += waited - longest;
    if (!lost) return;
    if (!p->debt_ns) p->debt_at = us_now_ns();
    p->debt_ns = US_MIN(p->debt_ns + lost, (uint64_t)DEBT_MOST_NS);
    p->on_leave = p->debt_ns > DEBT_NS;
}

void us_pool_run(us_pool *p, size_t n, size_t grain, us_pool_fn *fn, void *arg)
{
    if (!grain) grain = 1;
    if (!n) return;
    size_t n_chunks = n / grain + (n % grain != 0);
    if (!p || (p->n_started == 0 && !p->lent) || n_chunks < 2 || n_chunks > MOST_CHUNKS ||
        atomic_flag_test_and_set(&p->busy)) {
        run_serial(n, grain, fn, arg);
        return;
    }
    p->fn = fn;
    p->arg = arg;
    p->n = n;
    p->grain = grain;
    p->n_chunks = n_chunks;
    if (p->lent) {
        p->lent(p->lent_ud, p->n_chunks, lent_chunk, p);
        atomic_flag_clear(&p->busy);
        return;
    }
    if (p->debt_ns) pay_debt(p);
    if (p->on_leave)
        run_serial(n, grain, fn, arg);
    else
        run_together(p);
    atomic_flag_clear(&p->busy);
}
