/* The memory planner: no two values that live at once overlap, and the block stays near the peak of live bytes, counted
 * here the slow way. */
#include "us_test.h"
#include "us_torture.h"

#include "base/rng.h"
#include "exec/memory.h"

#define MAX_ITEMS 300

static size_t round_up(size_t n)
{
    return (n + US_MEM_ALIGN - 1) / US_MEM_ALIGN * US_MEM_ALIGN;
}

static size_t brute_peak(const us_mem_item *items, size_t n)
{
    size_t peak = 0;
    for (uint32_t step = 0; step < 2000; step++) {
        size_t now = 0;
        for (size_t i = 0; i < n; i++)
            if (items[i].first <= step && step <= items[i].last)
                now += round_up(items[i].bytes);
        peak = now > peak ? now : peak;
    }
    return peak;
}

static void check_plan(const us_mem_item *items, size_t n, size_t total)
{
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ_U64(items[i].offset % US_MEM_ALIGN, 0);
        CHECK(items[i].offset + items[i].bytes <= total);
        for (size_t j = 0; j < i; j++) {
            bool meet = items[i].first <= items[j].last && items[j].first <= items[i].last;
            bool overlap = items[i].offset < items[j].offset + items[j].bytes &&
                           items[j].offset < items[i].offset + items[i].bytes;
            CHECK(!(meet && overlap));
        }
    }
}

/* Lives as a graph makes them: mostly short, some long (skip connections), sizes over three orders of magnitude. */
static size_t random_graph(us_rng *r, us_mem_item *items)
{
    size_t n_steps = 2 + us_rng_below(r, 120), n = 0;
    for (uint32_t s = 0; s < n_steps && n < MAX_ITEMS; s++) {
        size_t outs = 1 + us_rng_below(r, 2);
        for (size_t k = 0; k < outs && n < MAX_ITEMS; k++) {
            uint64_t reach =
                us_rng_below(r, 8) == 0 ? us_rng_below(r, n_steps) : 1 + us_rng_below(r, 3);
            size_t bytes = (size_t)1 << us_rng_below(r, 14);
            items[n++] = (us_mem_item){.bytes = bytes + us_rng_below(r, bytes + 1),
                                       .first = s,
                                       .last = s + (uint32_t)reach};
        }
    }
    return n;
}

static void test_mem_plan__random_graphs(void)
{
    us_ctx c;
    us_ctx_init(&c);
    double worst = 1, sum = 0;
    enum { ROUNDS = 300 };
    for (uint64_t g = 0; g < ROUNDS; g++) {
        us_mem_item items[MAX_ITEMS];
        us_rng r = us_rng_new(1, "memory", g);
        size_t n = random_graph(&r, items), total, peak, bound = brute_peak(items, n);
        CHECK_OK(&c, us_mem_plan(&c, items, n, &total, &peak));
        CHECK_EQ_U64(peak, bound);
        check_plan(items, n, total);
        double ratio = (double)total / (double)bound;
        worst = ratio > worst ? ratio : worst;
        sum += ratio;
        if (ratio > 1.1)
            US_TEST_FAIL("graph %d: %zu bytes for a peak of %zu (%.3f)", (int)g, total, bound,
                         ratio);
    }
    printf("# %d graphs: block / peak of live bytes %.4f on average, %.4f at worst\n", ROUNDS,
           sum / (double)ROUNDS, worst);
    us_ctx_deinit(&c);
}

static void test_mem_plan__same_every_time(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_mem_item a[MAX_ITEMS], b[MAX_ITEMS];
    us_rng r = us_rng_new(2, "memory", 0);
    size_t n = random_graph(&r, a), total, again, peak;
    memcpy(b, a, sizeof b);
    CHECK_OK(&c, us_mem_plan(&c, a, n, &total, &peak));
    CHECK_OK(&c, us_mem_plan(&c, b, n, &again, &peak));
    CHECK_EQ_U64(total, again);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ_U64(a[i].offset, b[i].offset);
    us_ctx_deinit(&c);
}

static void test_mem_plan__chain_needs_two(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_mem_item items[1000];
    for (uint32_t i = 0; i < 1000; i++)
        items[i] = (us_mem_item){.bytes = 64, .first = i, .last = i + 1};
    size_t total, peak;
    CHECK_OK(&c, us_mem_plan(&c, items, 1000, &total, &peak));
    CHECK_EQ_U64(total, 128);
    us_ctx_deinit(&c);
}

/* Past the number where several orders are tried; time must stay near linear. */
static void test_mem_plan__many_items(void)
{
    us_ctx c;
    us_ctx_init(&c);
    enum { N = 200000 };
    us_mem_item *items = us_mem_get(&c.alloc, N, sizeof *items);
    CHECK(items != NULL);
    us_rng r = us_rng_new(3, "memory", 0);
    for (uint32_t i = 0; i < N; i++)
        items[i] = (us_mem_item){.bytes = 1 + us_rng_below(&r, 4096),
                                 .first = i,
                                 .last = i + 1 + (uint32_t)us_rng_below(&r, 4)};
    size_t total, peak;
    CHECK_OK(&c, us_mem_plan(&c, items, N, &total, &peak));
    CHECK(total >= peak && total < 2 * peak);
    us_mem_put(&c.alloc, items, N, sizeof *items);
    us_ctx_deinit(&c);
}

static void test_mem_plan__nothing(void)
{
    us_ctx c;
    us_ctx_init(&c);
    size_t total = 1, peak = 1;
    CHECK_OK(&c, us_mem_plan(&c, NULL, 0, &total, &peak));
    CHECK_EQ_U64(total, 0);
    CHECK_EQ_U64(peak, 0);
    us_ctx_deinit(&c);
}

static void test_mem_plan__sizes_overflow(void)
{
    us_ctx c;
    us_ctx_init(&c);
    us_mem_item items[3] = {{.bytes = SIZE_MAX / 2 - 63, .first = 0, .last = 1},
                            {.bytes = SIZE_MAX / 2 - 63, .first = 0, .last = 1},
                            {.bytes = SIZE_MAX / 2 - 63, .first = 0, .last = 1}};
    size_t total, peak;
    CHECK_ERR(us_mem_plan(&c, items, 3, &total, &peak), US_LIMIT);
    us_ctx_deinit(&c);
}

static us_err plan_some(us_ctx *c, void *arg)
{
    (void)arg;
    us_mem_item items[20];
    for (uint32_t i = 0; i < 20; i++)
        items[i] = (us_mem_item){.bytes = 100 * i + 1, .first = i, .last = i + 2};
    size_t total, peak;
    return us_mem_plan(c, items, 20, &total, &peak);
}

static void test_mem_plan__nomem(void)
{
    us_torture("memory planner", plan_some, NULL);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_mem_plan__random_graphs),   US_CASE(test_mem_plan__same_every_time),
        US_CASE(test_mem_plan__chain_needs_two), US_CASE(test_mem_plan__many_items),
        US_CASE(test_mem_plan__nothing),         US_CASE(test_mem_plan__sizes_overflow),
        US_CASE(test_mem_plan__nomem),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
