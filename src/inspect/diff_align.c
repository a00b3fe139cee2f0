/* inspect/diff_align.c - a longest common subsequence of two lists of tokens, as far as bounded work finds it.
 *
 * Myers' greedy algorithm ("An O(ND) Difference Algorithm and Its Variations", 1986), forward only. Where more than MAX_D edits would
 * be needed, the path that got furthest is taken for its first half, and the search starts anew from there: time is at most
 * (na + nb) * MAX_D, memory MAX_D^2, and the result is the same on every machine.
 */
#include "inspect/diff_in.h"

#define MAX_D 512

typedef struct align {
    const uint64_t *ta, *tb;
    int64_t na, nb;
    int64_t x0, y0; /* where this search began */
    /* row d: d + 1 furthest x, by diagonal x - y = -d, -d + 2, ..., d; relative to x0 */
    int64_t *rows;
    us_duse *hits; /* of a path, last first */
    size_t n_hits;
} align;

static int64_t *row_of(const align *k, int64_t d)
{
    return k->rows + d * (d + 1) / 2;
}

/* Furthest x before the matches of row d on diagonal g; *down: a step in y was the last. */
static int64_t step(const align *k, int64_t d, int64_t g, bool *down)
{
    const int64_t *was = row_of(k, d - 1);
    int64_t at = (g + d) / 2; /* of g - 1 in the row before: at - 1; of g + 1: at */
    *down = g == -d || (g != d && was[at - 1] < was[at]);
    return *down ? was[at] : was[at - 1] + 1;
}

static int64_t slide(const align *k, int64_t x, int64_t g)
{
    while (k->x0 + x < k->na && k->y0 + x - g < k->nb &&
           k->ta[k->x0 + x] == k->tb[k->y0 + x - g])
        x++;
    return x;
}

/* Walks from row d, diagonal g back to the start; the point at row `half` is where the next search begins. */
static void trace_back(align *k, int64_t d, int64_t g, int64_t half, int64_t *hx, int64_t *hy)
{
    k->n_hits = 0;
    for (; d >= 0; d--) {
        bool down = false;
        int64_t x = row_of(k, d)[(g + d) / 2], from = d ? step(k, d, g, &down) : 0;
        if (d == half) {
            *hx = x;
            *hy = x - g;
        }
        for (; x > from; x--)
            if (d <= half)
                k->hits[k->n_hits++] =
                    (us_duse){(uint32_t)(k->x0 + x - 1), (uint32_t)(k->y0 + x - 1 - g)};
        g += down ? 1 : -1;
    }
}

/* One search from (x0, y0); afterwards that is where it got. */
static bool search(align *k)
{
    int64_t best = 0, best_sum = -1, d;
    int64_t w = k->na - k->x0, h = k->nb - k->y0, hx = 0, hy = 0;
    for (d = 0; d <= MAX_D; d++) {
        int64_t *row = row_of(k, d);
        best_sum = -1;
        for (int64_t g = -d; g <= d; g += 2) {
            bool down;
            int64_t x = slide(k, d ? step(k, d, g, &down) : 0, g), sum = 2 * x - g;
            row[(g + d) / 2] = x;
            if (x > w || x - g > h) continue; /* past an end: a path that leads nowhere */
            if (sum > best_sum) {
                best_sum = sum;
                best = g;
            }
            if (x == w && x - g == h) {
                trace_back(k, d, g, d, &hx, &hy);
                return true;
            }
        }
    }
    trace_back(k, MAX_D, best, MAX_D / 2, &hx, &hy);
    k->x0 += US_MIN(hx, w); /* a path may have left the table by a step */
    k->y0 += US_MIN(hy, h);
    return false;
}

us_err us_dalign(us_dwork *k, size_t na, const uint64_t *ta, size_t nb, const uint64_t *tb,
                 us_err (*hit)(void *arg, uint32_t i, uint32_t j), void *arg)
{
    align w = {.ta = ta, .tb = tb, .na = (int64_t)na, .nb = (int64_t)nb};
    us_mark mark = us_arena_mark(k->a);
    w.rows = us_new_n(k->a, int64_t, (size_t)(MAX_D + 1) * (MAX_D + 2) / 2);
    w.hits = us_new_n(k->a, us_duse, US_MIN(na, nb) + 1);
    if (!w.rows || !w.hits) return us_arena_fail(k->c, k->a);
    for (bool done = false; !done;) {
        US_TRY(us_ctx_poll(k->c));
        done = search(&w);
        for (size_t i = w.n_hits; i-- > 0;)
            US_TRY(hit(arg, w.hits[i].node, w.hits[i].slot));
    }
    us_arena_reset(k->a, mark);
    return US_OK;
}
