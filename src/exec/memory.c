/* exec/memory.c - the memory planner: greedy placement in several orders, the best one kept.
 *
 * Packing intervals into the least memory is NP-hard (dynamic storage allocation); greedy best fit is close
 * to the peak of live bytes when big items are placed first. No single order is best on all graphs, so a few
 * are tried; when the best is still above the lower bound, the item that ends highest is moved to the front
 * and the placement repeated, a fixed number of times; then small random moves that do not make it worse.
 * Everything is deterministic. Graphs past SEARCH_MAX items get one sweep in order of time, whose cost is n
 * times the number of items alive at once.
 *
 * Source: Pisarchyk and Lee, "Efficient memory management for deep neural net inference", MLSys workshop 2020
 * (greedy by size, by breadth).
 */
#include "exec/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define SEARCH_MAX   2048               /* items for which several orders are tried */
#define SEARCH_WORK  ((size_t)40000000) /* placements compared at most, all rounds together */
#define BUMP_ROUNDS  100
#define CLIMB_ROUNDS 1000
#define CLIMB_GOOD   50 /* stop within 1/50 of the lower bound */

typedef struct key {
    uint64_t a, b; /* descending a, then ascending b */
    uint32_t i;
} key;

typedef struct planner {
    us_mem_item *items;
    size_t n;
    uint32_t *order;  /* the order being tried */
    uint32_t *best;   /* the best so far */
    uint32_t *placed; /* items with an offset, by offset */
    size_t *offset;   /* of the try */
    size_t *best_offset;
    key *keys;
    size_t best_total;
    size_t bound;
    size_t work;
} planner;

static int key_cmp(const void *pa, const void *pb)
{
    const key *a = pa, *b = pb;
    if (a->a != b->a) return a->a > b->a ? -1 : 1;
    if (a->b != b->b) return a->b < b->b ? -1 : 1;
    return a->i < b->i ? -1 : a->i > b->i;
}

static bool meet(const us_mem_item *a, const us_mem_item *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Places the items in p->order, each into the smallest gap that takes it; returns the total. by_time: the order
 * is by `first`, so that whoever died before the item at hand never matters again and is dropped. */
static size_t place_all(planner *p, bool by_time)
{
    size_t n_placed = 0, total = 0;
    for (size_t k = 0; k < p->n; k++) {
        uint32_t i = p->order[k];
        const us_mem_item *it = &p->items[i];
        size_t end = 0, at = SIZE_MAX, gap_best = SIZE_MAX, kept = 0;
        for (size_t j = 0; j < n_placed; j++) {
            uint32_t o = p->placed[j];
            const us_mem_item *other = &p->items[o];
            if (by_time && other->last < it->first) continue;
            p->placed[kept++] = o;
            if (!meet(it, other)) continue;
            if (p->offset[o] > end && p->offset[o] - end >= it->bytes &&
                p->offset[o] - end < gap_best) {
                gap_best = p->offset[o] - end;
                at = end;
            }
            end = US_MAX(end, p->offset[o] + other->bytes);
        }
        p->work += n_placed + 1;
        n_placed = kept;
        if (at == SIZE_MAX) at = end;
        p->offset[i] = at;
        total = US_MAX(total, at + it->bytes);
        size_t j = n_placed++;
        while (j > 0 && p->offset[p->placed[j - 1]] > at) {
            p->placed[j] = p->placed[j - 1];
            j--;
        }
        p->placed[j] = i;
    }
    return total;
}

static void keep_if_better(planner *p, size_t total)
{
    if (total >= p->best_total) return;
    p->best_total = total;
    memcpy(p->best, p->order, p->n * sizeof *p->best);
    memcpy(p->best_offset, p->offset, p->n * sizeof *p->best_offset);
}

static void try_order(planner *p, bool by_time)
{
    if (p->best_total <= p->bound || p->work > SEARCH_WORK) return;
    qsort(p->keys, p->n, sizeof *p->keys, key_cmp);
    for (size_t k = 0; k < p->n; k++)
        p->order[k] = p->keys[k].i;
    keep_if_better(p, place_all(p, by_time));
}

/* Moves the item that ends highest to the front until that stops helping. */
static void bump_highest(planner *p)
{
    memcpy(p->order, p->best, p->n * sizeof *p->order);
    memcpy(p->offset, p->best_offset, p->n * sizeof *p->offset);
    for (int round = 0; round < BUMP_ROUNDS; round++) {
        if (p->best_total <= p->bound || p->work > SEARCH_WORK) return;
        size_t top = 0, at = 0;
        for (size_t k = 0; k < p->n; k++) {
            size_t end = p->offset[p->order[k]] + p->items[p->order[k]].bytes;
            if (end > top) {
                top = end;
                at = k;
            }
        }
        if (at == 0) return;
        uint32_t i = p->order[at];
        memmove(p->order + 1, p->order, at * sizeof *p->order);
        p->order[0] = i;
        keep_if_better(p, place_all(p, false));
    }
}

/* From the best order on: the item that ends highest, or any other, to a random earlier place; kept when not worse.
 * Random numbers from a fixed stream: the same items give the same plan. */
static void climb(planner *p)
{
    us_rng r = us_rng_new(0, "memory planner", p->n);
    for (int round = 0; round < CLIMB_ROUNDS; round++) {
        if (p->best_total - p->bound <= p->bound / CLIMB_GOOD || p->work > SEARCH_WORK) return;
        memcpy(p->order, p->best, p->n * sizeof *p->order);
        size_t at = (size_t)us_rng_below(&r, p->n);
        for (size_t k = 0; round % 2 == 0 && k < p->n; k++)
            if (p->best_offset[p->order[k]] + p->items[p->order[k]].bytes == p->best_total)
                at = k;
        size_t to = (size_t)us_rng_below(&r, at + 1);
        uint32_t i = p->order[at];
        memmove(p->order + to + 1, p->order + to, (at - to) * sizeof *p->order);
        p->order[to] = i;
        size_t total = place_all(p, false);
        if (total == p->best_total)
            p->best_total++; /* ties are taken: they lead off plateaus */
        keep_if_better(p, total);
    }
}

/* Live bytes at each step, over compressed step numbers would be shorter, but steps are at most nodes. */
static us_err live_bytes(us_ctx *c, const us_mem_item *items, size_t n, size_t n_steps,
                         size_t *live, size_t *peak)
{
    memset(live, 0, (n_steps + 1) * sizeof *live);
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        if (!us_add_size(sum, items[i].bytes, &sum))
            return us_fail(
                c, US_LIMIT,
                "the values of this model need more memory than there are addresses");
    for (size_t i = 0; i < n; i++) {
        live[items[i].first] += items[i].bytes;
        live[(size_t)items[i].last + 1] -= items[i].bytes; /* wraps, and back in the sum */
    }
    size_t now = 0, most = 0;
    for (size_t s = 0; s <= n_steps; s++) {
        now += live[s];
        live[s] = now;
        most = US_MAX(most, now);
    }
    *peak = most;
    return US_OK;
}

static void search(planner *p, const size_t *live)
{
    for (size_t i = 0; i < p->n; i++)
        p->keys[i] =
            (key){UINT32_MAX - p->items[i].first, UINT64_MAX - p->items[i].bytes, (uint32_t)i};
    try_order(p, true); /* by time, big ones first within a step */
    if (p->n > SEARCH_MAX) return;
    for (size_t i = 0; i < p->n; i++)
        p->keys[i] = (key){p->items[i].bytes, p->items[i].first, (uint32_t)i};
    try_order(p, false); /* by size */
    for (size_t i = 0; i < p->n; i++) {
        uint64_t life = (uint64_t)(p->items[i].last - p->items[i].first) + 1;
        uint64_t area =
            p->items[i].bytes > UINT64_MAX / life ? UINT64_MAX : p->items[i].bytes * life;
        p->keys[i] = (key){area, p->items[i].first, (uint32_t)i};
    }
    try_order(p, false); /* by size times life */
    for (size_t i = 0; i < p->n; i++) {
        size_t most = 0;
        for (size_t s = p->items[i].first; s <= p->items[i].last; s++)
            most = US_MAX(most, live[s]);
        p->keys[i] = (key){most, UINT64_MAX - p->items[i].bytes, (uint32_t)i};
    }
    try_order(p, false); /* by breadth: the fullest steps first */
    bump_highest(p);
    climb(p);
}

/* Rounds sizes up; n_steps: one past the last step. */
static us_err check_items(us_ctx *c, us_mem_item *items, size_t n, size_t *n_steps)
{
    *n_steps = 0;
    for (size_t i = 0; i < n; i++) {
        US_ASSERT(items[i].first <= items[i].last && items[i].bytes > 0);
        if (items[i].bytes > SIZE_MAX / 2)
            return us_fail(c, US_LIMIT, "a value of %zu bytes does not fit the address space",
                           items[i].bytes);
        items[i].bytes = (items[i].bytes + US_MEM_ALIGN - 1) & ~(US_MEM_ALIGN - 1);
        *n_steps = US_MAX(*n_steps, (size_t)items[i].last + 1);
    }
    return US_OK;
}

static us_err plan_in(us_ctx *c, us_arena *a, us_mem_item *items, size_t n, size_t *total,
                      size_t *live_peak)
{
    planner p = {.items = items, .n = n, .best_total = SIZE_MAX};
    size_t n_steps;
    US_TRY(check_items(c, items, n, &n_steps));
    p.order = us_new_n(a, uint32_t, n);
    p.best = us_new_n(a, uint32_t, n);
    p.placed = us_new_n(a, uint32_t, n);
    p.offset = us_new_n(a, size_t, n);
    p.best_offset = us_new_n(a, size_t, n);
    p.keys = us_new_n(a, key, n);
    size_t *live = us_new_n(a, size_t, n_steps + 1);
    if (!p.order || !p.best || !p.placed || !p.offset || !p.best_offset || !p.keys || !live)
        return us_arena_fail(c, a);
    US_TRY(live_bytes(c, items, n, n_steps, live, &p.bound));
    search(&p, live);
    for (size_t i = 0; i < n; i++)
        items[i].offset = p.best_offset[i];
    *total = p.best_total;
    *live_peak = p.bound;
    return US_OK;
}

us_err us_mem_plan(us_ctx *c, us_mem_item *items, size_t n, size_t *total, size_t *live_peak)
{
    if (n == 0) {
        *total = 0;
        *live_peak = 0;
        return US_OK;
    }
    us_arena *a;
    US_TRY(us_arena_new(c, "memory planner", SIZE_MAX / 4, &a));
    us_err e = plan_in(c, a, items, n, total, live_peak);
    us_arena_free(a);
    return e;
}
