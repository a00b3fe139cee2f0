/* test_pool.c - every index once, borders that do not depend on threads, nested and concurrent calls, no burning. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/pool.h"
#include "us_torture.h"

typedef struct job {
    us_pool *pool;
    size_t n, grain;
    atomic_uchar hits[4096];
    atomic_int wrong;
} job;

static void touch(void *arg, size_t i0, size_t i1)
{
    job *j = arg;
    size_t want = j->n - i0 < j->grain ? j->n : i0 + j->grain;
    if (i0 % j->grain || i1 != want) atomic_fetch_add(&j->wrong, 1);
    for (size_t i = i0; i < i1; i++)
        atomic_fetch_add(&j->hits[i], 1);
}

static void run_and_check(us_pool *p, job *j, size_t n, size_t grain)
{
    memset(j, 0, sizeof *j);
    j->n = n;
    j->grain = grain;
    us_pool_run(p, n, grain, touch, j);
    CHECK_EQ_I64(j->wrong, 0);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ_U64(j->hits[i], 1);
}

static void test_pool__every_index_once(void)
{
    static const size_t sizes[] = {0, 1, 2, 7, 63, 64, 65, 1000, 4096};
    us_ctx c;
    us_ctx_init(&c);
    job *j = malloc(sizeof *j);
    CHECK(j != NULL);
    for (int threads = 1; threads <= 5; threads++) {
        us_pool *p;
        CHECK_OK(&c, us_pool_new(&c, threads, &p));
        CHECK_EQ_I64(us_pool_n_threads(p), threads);
        for (size_t i = 0; i < US_LEN(sizes); i++)
            for (size_t grain = 1; grain <= 4096; grain = grain * 5 + 2)
                run_and_check(p, j, sizes[i], grain);
        us_pool_free(p);
    }
    run_and_check(NULL, j, 100, 7);
    CHECK_EQ_I64(us_pool_n_threads(NULL), 1);
    us_pool_free(NULL);
    free(j);
}

static void test_pool__many_small_jobs(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_pool *p;
    CHECK_OK(&c, us_pool_new(&c, 4, &p));
    job *j = malloc(sizeof *j);
    CHECK(j != NULL);
    for (int i = 0; i < 3000; i++) {
        run_and_check(p, j, 16, 3);
        if (i % 500 == 0) { /* let the helpers fall asleep in between */
            struct timespec t = {0, 2000000};
            nanosleep(&t, NULL);
        }
    }
    free(j);
    us_pool_free(p);
}

typedef struct nest {
    us_pool *pool;
    atomic_int total;
} nest;
static void add(void *arg, size_t i0, size_t i1)
{
    atomic_fetch_add(&((nest *)arg)->total, (int)(i1 - i0));
}
static void outer(void *arg, size_t i0, size_t i1)
{
    nest *n = arg;
    for (size_t i = i0; i < i1; i++)
        us_pool_run(n->pool, 10, 3, add, n);
}

static void test_pool__nested_call_is_serial(void)
{
    us_ctx c;
    us_ctx_init(&c);
    nest n = {0};
    CHECK_OK(&c, us_pool_new(&c, 3, &n.pool));
    us_pool_run(n.pool, 50, 1, outer, &n);
    CHECK_EQ_I64(n.total, 500);
    us_pool_free(n.pool);
}

static void *second_caller(void *arg)
{
    nest *n = arg;
    for (int i = 0; i < 500; i++)
        us_pool_run(n->pool, 20, 2, add, n);
    return NULL;
}

static void test_pool__two_callers(void)
{
    us_ctx c;
    us_ctx_init(&c);
    nest a = {0}, b = {0};
    pthread_t t;
    CHECK_OK(&c, us_pool_new(&c, 3, &a.pool));
    b.pool = a.pool;
    CHECK(pthread_create(&t, NULL, second_caller, &b) == 0);
    second_caller(&a);
    pthread_join(t, NULL);
    CHECK_EQ_I64(a.total, 10000);
    CHECK_EQ_I64(b.total, 10000);
    us_pool_free(a.pool);
}

/* Helpers that have nothing to do must sleep: 100 ms of idling take next to no processor time. */
static void test_pool__idle_helpers_sleep(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_pool *p;
    nest n = {0};
    CHECK_OK(&c, us_pool_new(&c, 4, &p));
    us_pool_run(p, 100, 1, add, &n);
    uint64_t cpu = us_cpu_ns();
    struct timespec t = {0, 100000000};
    nanosleep(&t, NULL);
    CHECK(us_cpu_ns() - cpu < 20000000); /* spinning would take 300 ms */
    us_pool_free(p);
}

/* Somebody else's threads: here none, and the chunks backwards. */
static void lend(void *ud, size_t n, us_pool_chunk_fn *fn, void *arg)
{
    *(size_t *)ud += n;
    for (size_t i = n; i-- > 0;)
        fn(arg, i);
    fn(arg, n); /* one too many is not run */
}

static void test_pool__lent(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_pool *p = NULL;
    size_t n_chunks = 0;
    job *j = malloc(sizeof *j);
    CHECK(j != NULL);
    CHECK_ERR(us_pool_new_lent(&c, 257, lend, &n_chunks, &p), US_ARG);
    CHECK_OK(&c, us_pool_new_lent(&c, 3, lend, &n_chunks, &p));
    CHECK_EQ_I64(us_pool_n_threads(p), 3);
    run_and_check(p, j, 100, 7);
    CHECK_EQ_U64(n_chunks, 15);
    run_and_check(p, j, 7, 7); /* one chunk: not worth asking for */
    CHECK_EQ_U64(n_chunks, 15);
    run_and_check(p, j, 4096, 1);
    CHECK_EQ_U64(n_chunks, 15 + 4096);
    us_pool_free(p);
    free(j);
}

static us_err make_pool(us_ctx *c, void *arg)
{
    us_pool *p;
    (void)arg;
    US_TRY(us_pool_new(c, 3, &p));
    us_pool_free(p);
    return US_OK;
}

static void test_pool__refusals(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_pool *p = NULL;
    CHECK_ERR(us_pool_new(&c, -1, &p), US_ARG);
    CHECK_ERR(us_pool_new(&c, 100000, &p), US_ARG);
    CHECK(p == NULL);
    us_torture("pool", make_pool, NULL);
}

static const us_test_case cases[] = {
    US_CASE(test_pool__every_index_once),
    US_CASE(test_pool__many_small_jobs),
    US_CASE(test_pool__nested_call_is_serial),
    US_CASE(test_pool__two_callers),
    US_CASE(test_pool__idle_helpers_sleep),
    US_CASE(test_pool__lent),
    US_CASE(test_pool__refusals),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
