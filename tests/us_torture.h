/* us_torture.h - make the n-th allocation fail, for every n.
 *
 *     static us_err parse_all(us_ctx *c, void *arg) { ...everything it makes is freed... }
 *     static void test_parse__nomem(void) { us_torture("parse", parse_all, &input); }
 *
 * The function is run in a fresh context whose allocator refuses the first allocation and all later
 * ones, then the second, ... until it succeeds without a refusal. Each failing run must return
 * US_NOMEM with a detail and give everything back; nothing may crash. The number of points is printed.
 * The caller passes the memory of the run through c->alloc (arenas and us_mem_get do); arguments made
 * outside are not counted.
 */
#ifndef US_TORTURE_H
#define US_TORTURE_H

#include "us_test.h"

typedef us_err us_torture_fn(us_ctx *c, void *arg);

typedef struct us_torture_opts {
    bool
        limit_ok; /* US_LIMIT is also an honest answer (an arena that cannot tell them apart) */
    bool survive_ok; /* the function may go on without an optional allocation and succeed */
    uint64_t
        step; /* fail at 1, 1+step, ...; 0 = every one. `make torture` always does every one */
} us_torture_opts;

#define US_TORTURE_MAX_POINTS 1000000u

static inline void us_torture_with(const char *name, us_torture_fn *fn, void *arg,
                                   us_torture_opts o)
{
    uint64_t step = o.step == 0 || us_test_long() ? 1 : o.step;
    uint64_t n_points = 0;
    for (uint64_t at = 1;; at += step) {
        us_alloc_count count = {.fail_at = at};
        us_ctx c;
        us_ctx_init(&c);
        c.alloc = us_alloc_counting(&count, us_alloc_heap());
        us_err e = fn(&c, arg);
        us_diag diag = c.diag;
        us_ctx_deinit(&c);
        uint64_t n_allocs = count.n_allocs, live = count.live_bytes;
        bool refused = n_allocs >= at;
        if (live != 0)
            US_TEST_FAIL("%s: %" PRIu64 " bytes leaked when allocation %" PRIu64
                         " fails (it returned %s)",
                         name, live, at, us_test_err_name(e));
        if (!refused) {
            if (e != US_OK)
                US_TEST_FAIL("%s: fails without a refused allocation: %s: %s", name,
                             us_test_err_name(e), diag.text);
            break;
        }
        n_points++;
        if (e == US_OK && !o.survive_ok)
            US_TEST_FAIL("%s: allocation %" PRIu64 " failed and nobody said so", name, at);
        if (e != US_OK && e != US_NOMEM && !(o.limit_ok && e == US_LIMIT))
            US_TEST_FAIL("%s: allocation %" PRIu64 " failed, returned %s (%s), expected NOMEM",
                         name, at, us_test_err_name(e), diag.text);
        if (e != US_OK && diag.code != e)
            US_TEST_FAIL("%s: allocation %" PRIu64 " failed, returned %s but the detail says "
                         "%s: \"%s\"",
                         name, at, us_test_err_name(e), us_test_err_name(diag.code), diag.text);
        if (n_points >= US_TORTURE_MAX_POINTS) US_TEST_FAIL("%s: never succeeds", name);
    }
    if (n_points == 0) US_TEST_FAIL("%s: allocates nothing through its context", name);
    printf("# torture %s: %" PRIu64 " allocations made to fail\n", name, n_points);
}

static inline void us_torture(const char *name, us_torture_fn *fn, void *arg)
{
    us_torture_with(name, fn, arg, (us_torture_opts){0});
}

#endif
