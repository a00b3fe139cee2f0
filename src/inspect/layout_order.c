/* inspect/layout_order.c - the order of vertices within layers, so that few lines cross.
 *
 * Sweeps down and up: each layer is sorted by the median of its neighbours' places in the layer before (Eades and
 * Wormald 1994), ties left as they are. Crossings between two layers are counted in O(E log V) (Barth, Juenger, Mutzel
 * 2002); the best order seen is kept. The first order is that of a walk in depth, which keeps branches together.
 */
#include <stdlib.h>
#include <string.h>

#include "inspect/layout_net.h"

typedef struct key {
    float at;
    uint32_t v, pos;
} key;

static int by_key(const void *pa, const void *pb)
{
    const key *a = pa, *b = pb;
    if (a->at != b->at) return a->at < b->at ? -1 : 1;
    return a->pos < b->pos ? -1 : a->pos > b->pos;
}

/* --- crossings ------------------------------------------------------------------------------------------ */

typedef struct counter {
    uint32_t *tree; /* Fenwick: lines seen so far by place below */
    uint32_t *ends; /* places of one vertex' lower ends */
} counter;

static int by_number(const void *pa, const void *pb)
{
    const uint32_t *a = pa, *b = pb;
    return *a < *b ? -1 : *a > *b;
}

static uint64_t crossings_below(const us_lay *k, const counter *t, uint32_t layer)
{
    uint32_t n = k->n_at[layer + 1], seen = 0;
    uint64_t crossings = 0;
    memset(t->tree, 0, (n + 1) * sizeof *t->tree);
    for (uint32_t i = 0; i < k->n_at[layer]; i++) {
        uint32_t v = k->at[layer][i], d = 0;
        for (uint32_t j = k->down0[v]; j < k->down0[v + 1]; j++)
            t->ends[d++] = k->pos[k->edges[k->down[j]].down];
        qsort(t->ends, d, sizeof *t->ends, by_number);
        for (uint32_t j = 0; j < d; j++) {
            uint32_t left = 0;
            for (uint32_t p = t->ends[j] + 1; p > 0; p &= p - 1)
                left += t->tree[p];
            crossings += seen - left;
        }
        for (uint32_t j = 0; j < d; j++, seen++)
            for (uint32_t p = t->ends[j] + 1; p <= n; p += p & (~p + 1))
                t->tree[p]++;
    }
    return crossings;
}

static uint64_t crossings(const us_lay *k, const counter *t)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i + 1 < k->l->n_layers; i++)
        n += crossings_below(k, t, i);
    return n;
}

/* --- the first order ------------------------------------------------------------------------------------- */

static us_err first_order(us_lay *k)
{
    uint32_t n_stack = 0, *stack = us_new_n(k->a, uint32_t, (size_t)k->n + k->n_edges + 1);
    bool *seen = us_new_n(k->a, bool, (size_t)k->n + 1);
    if (!stack || !seen) return us_arena_fail(k->c, k->a);
    for (uint32_t s = k->n; s-- > 0;)
        if (k->up0[s] == k->up0[s + 1]) stack[n_stack++] = s;
    while (n_stack > 0) {
        uint32_t v = stack[--n_stack];
        if (seen[v]) continue;
        seen[v] = true;
        uint32_t layer = k->layer[v];
        k->pos[v] = k->n_at[layer];
        k->at[layer][k->n_at[layer]++] = v;
        for (uint32_t j = k->down0[v + 1]; j-- > k->down0[v];)
            if (!seen[k->edges[k->down[j]].down]) stack[n_stack++] = k->edges[k->down[j]].down;
    }
    return US_OK;
}

/* --- sweeps ------------------------------------------------------------------------------------------------ */

/* The median place of v's neighbours above (or below), interpolated between two; -1: none. */
static float median(const us_lay *k, uint32_t v, bool above, uint32_t *scratch)
{
    uint32_t n = 0;
    const uint32_t *e0 = above ? k->up0 : k->down0, *e = above ? k->up : k->down;
    for (uint32_t j = e0[v]; j < e0[v + 1]; j++) {
        const us_lay_edge *edge = &k->edges[e[j]];
        scratch[n++] = k->pos[above ? edge->up : edge->down];
    }
    if (n == 0) return -1;
    qsort(scratch, n, sizeof *scratch, by_number);
    if (n & 1) return (float)scratch[n / 2];
    return ((float)scratch[n / 2 - 1] + (float)scratch[n / 2]) / 2;
}

/* Vertices without neighbours keep their places; the others are sorted into what is left. */
static void sort_layer(us_lay *k, uint32_t layer, bool above, key *keys, uint32_t *scratch)
{
    uint32_t n = 0, *at = k->at[layer];
    for (uint32_t i = 0; i < k->n_at[layer]; i++) {
        float m = median(k, at[i], above, scratch);
        if (m >= 0) keys[n++] = (key){m, at[i], i};
    }
    for (uint32_t i = 0; i < n; i++)
        scratch[i] = keys[i].pos; /* free places, ascending */
    qsort(keys, n, sizeof *keys, by_key);
    for (uint32_t i = 0; i < n; i++) {
        at[scratch[i]] = keys[i].v;
        k->pos[keys[i].v] = scratch[i];
    }
}

static void sweep(us_lay *k, bool down, key *keys, uint32_t *scratch)
{
    uint32_t n = k->l->n_layers;
    for (uint32_t i = 1; i < n; i++)
        sort_layer(k, down ? i : n - 1 - i, down, keys, scratch);
}

static void keep(const us_lay *k, uint32_t *best)
{
    memcpy(best, k->pos, k->n * sizeof *best);
}

static void restore(us_lay *k, const uint32_t *best)
{
    for (uint32_t v = 0; v < k->n; v++) {
        k->pos[v] = best[v];
        k->at[k->layer[v]][best[v]] = v;
    }
}

us_err us_lay_order(us_lay *k)
{
    size_t n = (size_t)k->n + k->n_edges + 2;
    counter t = {us_new_n(k->a, uint32_t, n), us_new_n(k->a, uint32_t, n)};
    uint32_t *best = us_new_n(k->a, uint32_t, n), *scratch = us_new_n(k->a, uint32_t, n);
    key *keys = us_new_n(k->a, key, (size_t)k->n + 1);
    if (!t.tree || !t.ends || !best || !scratch || !keys) return us_arena_fail(k->c, k->a);
    US_TRY(first_order(k));
    keep(k, best);
    k->l->crossings = crossings(k, &t);
    for (int i = 0; i < US_LAYOUT_SWEEPS && k->l->crossings > 0; i++) {
        US_TRY(us_ctx_poll(k->c));
        sweep(k, i % 2 == 0, keys, scratch);
        uint64_t now = crossings(k, &t);
        if (now >= k->l->crossings) continue;
        k->l->crossings = now;
        keep(k, best);
    }
    restore(k, best);
    return US_OK;
}
