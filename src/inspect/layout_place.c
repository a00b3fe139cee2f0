/* inspect/layout_place.c - horizontal places by vertical alignment.
 *
 * Brandes and Koepf, "Fast and Simple Horizontal Coordinate Assignment" (2001): each vertex is aligned with a median
 * neighbour above (or below), preferring the left (or the right) one, so that long lines run straight; blocks of aligned
 * vertices are packed; of the four results the mean of the middle two is taken. Packing is a longest path over blocks
 * and then a pull back (as in the erratum of Brandes, Walter and Zink 2020, packing by classes can overlap). All four
 * keep order and distance within layers, and so does the mean of their middle two.
 */
#include <math.h>
#include <stdlib.h>

#include "inspect/layout_net.h"

#define LABEL_GAP 6 /* between what is written below a box and its neighbour */

typedef struct place {
    us_lay *k;
    bool *conflict; /* per edge: crosses a line between dummies, must not be aligned */
    uint32_t *root, *align;
    uint32_t *next0, *next; /* blocks right of a block */
    float *dist;
    uint32_t *left, *order;
    uint32_t *near; /* edges of one vertex by place */
    float *x;       /* of this run */
} place;

/* Distance of the centres of neighbours, u on the left. */
static float apart(const us_lay *k, uint32_t u, uint32_t v)
{
    float gap = k->l->gap_x;
    if (us_lay_dummy(k, u) && us_lay_dummy(k, v))
        gap *= 0.35F;
    else if (us_lay_dummy(k, u) || us_lay_dummy(k, v))
        gap *= 0.5F;
    return fmaxf((k->w[u] + k->w[v]) / 2 + gap, k->right[u] + k->w[v] / 2 + LABEL_GAP);
}

/* --- conflicts -------------------------------------------------------------------------------------------- */

/* The dummy above dummy v, by its edge; UINT32_MAX when v is none or begins its line. */
static uint32_t inner_edge(const us_lay *k, uint32_t v)
{
    if (!us_lay_dummy(k, v)) return UINT32_MAX;
    for (uint32_t j = k->up0[v]; j < k->up0[v + 1]; j++)
        if (us_lay_dummy(k, k->edges[k->up[j]].up)) return k->up[j];
    return UINT32_MAX;
}

static void mark_between(place *p, uint32_t layer, uint32_t from, uint32_t to, uint32_t lo,
                         uint32_t hi)
{
    us_lay *k = p->k;
    for (uint32_t i = from; i <= to; i++) {
        uint32_t v = k->at[layer][i];
        for (uint32_t j = k->up0[v]; j < k->up0[v + 1]; j++) {
            uint32_t u = k->pos[k->edges[k->up[j]].up];
            bool inner = us_lay_dummy(k, v) && us_lay_dummy(k, k->edges[k->up[j]].up);
            if (!inner && (u < lo || u > hi)) p->conflict[k->up[j]] = true;
        }
    }
}

static void mark_conflicts(place *p)
{
    us_lay *k = p->k;
    for (uint32_t layer = 1; layer < k->l->n_layers; layer++) {
        uint32_t lo = 0, from = 0, n = k->n_at[layer];
        for (uint32_t i = 0; i < n; i++) {
            uint32_t e = inner_edge(k, k->at[layer][i]);
            if (e == UINT32_MAX && i + 1 < n) continue;
            uint32_t hi = e == UINT32_MAX ? k->n_at[layer - 1] - 1 : k->pos[k->edges[e].up];
            mark_between(p, layer, from, i, lo, hi);
            from = i + 1;
            lo = hi;
        }
    }
}

/* --- the trunk -------------------------------------------------------------------------------------------- */

/* How much hangs on an edge of v: boxes on the longest way above it, or below. */
static uint32_t weight(const us_lay *k, uint32_t edge, bool above)
{
    const us_lay_edge *e = &k->edges[edge];
    return above ? k->above[k->owner[e->up]] : k->below[e->down];
}

/* Edges of a box (n of them) that count beside the others: those at least half as heavy as the heaviest; and where two are
 * left, the heavier. The others must not be aligned. */
static void mark_lighter(place *p, const uint32_t *edges, uint32_t n, bool above)
{
    uint32_t most = 0, heavy = 0;
    for (uint32_t j = 0; j < n; j++)
        most = US_MAX(most, weight(p->k, edges[j], above));
    for (uint32_t j = 0; j < n; j++)
        heavy += weight(p->k, edges[j], above) >= most / 2;
    for (uint32_t j = 0; j < n; j++) {
        uint32_t w = weight(p->k, edges[j], above);
        p->conflict[edges[j]] |= heavy == 2 ? w < most : w < most / 2;
    }
}

/* A box stands under the longest way that leads to it, not under its constants or a shortcut past it; so the trunk of a network
 * is straight and the rest hangs on it. */
static void mark_light(place *p)
{
    const us_lay *k = p->k;
    for (uint32_t v = 0; v < k->n; v++) {
        if (us_lay_dummy(k, v)) continue;
        mark_lighter(p, k->up + k->up0[v], k->up0[v + 1] - k->up0[v], true);
        mark_lighter(p, k->down + k->down0[v], k->down0[v + 1] - k->down0[v], false);
    }
}

static void weigh_below(us_lay *k)
{
    for (uint32_t layer = k->l->n_layers; layer-- > 0;)
        for (uint32_t i = 0; i < k->n_at[layer]; i++) {
            uint32_t v = k->at[layer][i];
            for (uint32_t j = k->down0[v]; j < k->down0[v + 1]; j++) {
                uint32_t d = k->edges[k->down[j]].down;
                k->below[v] = US_MAX(k->below[v], k->below[d] + !us_lay_dummy(k, d));
            }
        }
}

/* --- one of four runs --------------------------------------------------------------------------------------- */

/* Edges of v towards the layer before that may be aligned, sorted by place; a dummy's line to a dummy stands alone. */
static uint32_t neighbours(place *p, uint32_t v, bool down)
{
    us_lay *k = p->k;
    const uint32_t *e0 = down ? k->up0 : k->down0, *e = down ? k->up : k->down;
    uint32_t n = 0;
    for (uint32_t j = e0[v]; j < e0[v + 1]; j++) {
        const us_lay_edge *edge = &k->edges[e[j]];
        uint32_t u = down ? edge->up : edge->down;
        if (us_lay_dummy(k, v) && us_lay_dummy(k, u)) {
            p->near[0] = e[j];
            return 1;
        }
        if (p->conflict[e[j]]) continue;
        uint32_t i = n++;
        for (; i > 0; i--) { /* few, and mostly sorted */
            const us_lay_edge *before = &k->edges[p->near[i - 1]];
            if (k->pos[down ? before->up : before->down] <= k->pos[u]) break;
            p->near[i] = p->near[i - 1];
        }
        p->near[i] = e[j];
    }
    return n;
}

static void align_vertex(place *p, uint32_t v, bool down, bool left, int64_t *edge_of_layer)
{
    us_lay *k = p->k;
    uint32_t n = neighbours(p, v, down);
    if (n == 0) return;
    uint32_t m[2] = {(n - 1) / 2, n / 2};
    for (int i = 0; i < 2 && p->align[v] == v; i++) {
        uint32_t e = p->near[m[left ? i : 1 - i]];
        uint32_t u = down ? k->edges[e].up : k->edges[e].down;
        int64_t at = left ? (int64_t)k->pos[u] : -(int64_t)k->pos[u];
        if (p->conflict[e] || at <= *edge_of_layer) continue;
        p->align[u] = v;
        p->root[v] = p->root[u];
        p->align[v] = p->root[v];
        *edge_of_layer = at;
    }
}

static void align(place *p, bool down, bool left)
{
    us_lay *k = p->k;
    uint32_t n_layers = k->l->n_layers;
    for (uint32_t v = 0; v < k->n; v++)
        p->root[v] = p->align[v] = v;
    for (uint32_t i = 1; i < n_layers; i++) {
        uint32_t layer = down ? i : n_layers - 1 - i, n = k->n_at[layer];
        int64_t edge = INT64_MIN;
        for (uint32_t j = 0; j < n; j++)
            align_vertex(p, k->at[layer][left ? j : n - 1 - j], down, left, &edge);
    }
}

/* Which blocks stand right of which (mirrored: left), with their distance. */
static void link_blocks(place *p, bool left)
{
    us_lay *k = p->k;
    for (uint32_t v = 0; v <= k->n + 1; v++)
        p->next0[v] = 0;
    for (uint32_t v = 0; v < k->n; v++)
        p->left[v] = 0;
    for (int fill = 0; fill < 2; fill++) {
        for (uint32_t layer = 0; layer < k->l->n_layers; layer++)
            for (uint32_t i = 0; i + 1 < k->n_at[layer]; i++) {
                uint32_t a = k->at[layer][left ? i : i + 1], b = k->at[layer][left ? i + 1 : i];
                uint32_t u = p->root[a], v = p->root[b];
                if (!fill) {
                    p->next0[u + 2]++;
                    p->left[v]++;
                    continue;
                }
                uint32_t at = p->next0[u + 1]++;
                p->next[at] = v;
                p->dist[at] = apart(k, k->at[layer][i], k->at[layer][i + 1]);
            }
        if (!fill)
            for (uint32_t v = 2; v <= k->n + 1; v++)
                p->next0[v] += p->next0[v - 1];
    }
}

static void pack(place *p, bool left)
{
    us_lay *k = p->k;
    uint32_t n = 0;
    link_blocks(p, left);
    for (uint32_t v = 0; v < k->n; v++) {
        p->x[v] = 0;
        if (p->root[v] == v && p->left[v] == 0) p->order[n++] = v;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t u = p->order[i];
        for (uint32_t j = p->next0[u]; j < p->next0[u + 1]; j++) {
            uint32_t v = p->next[j];
            p->x[v] = fmaxf(p->x[v], p->x[u] + p->dist[j]);
            if (--p->left[v] == 0) p->order[n++] = v;
        }
    }
    for (uint32_t i = n; i-- > 0;) { /* back towards the neighbours on the other side */
        uint32_t u = p->order[i];
        float room = INFINITY;
        for (uint32_t j = p->next0[u]; j < p->next0[u + 1]; j++)
            room = fminf(room, p->x[p->next[j]] - p->dist[j]);
        if (room < INFINITY) p->x[u] = fmaxf(p->x[u], room);
    }
    for (uint32_t v = 0; v < k->n; v++) {
        float x = p->x[p->root[v]];
        if (p->root[v] != v) p->x[v] = x;
    }
    for (uint32_t v = 0; v < k->n && !left; v++)
        p->x[v] = -p->x[v];
}

/* --- the mean of four ------------------------------------------------------------------------------------------ */

typedef struct reach {
    float lo, hi;
} reach;

static reach reach_of(const us_lay *k, const float *x)
{
    reach r = {INFINITY, -INFINITY};
    for (uint32_t v = 0; v < k->n; v++) {
        r.lo = fminf(r.lo, x[v] - k->w[v] / 2);
        r.hi = fmaxf(r.hi, x[v] + k->w[v] / 2);
    }
    return r;
}

static float middle(float a, float b, float c, float d)
{
    float lo_ab = fminf(a, b), hi_ab = fmaxf(a, b), lo_cd = fminf(c, d), hi_cd = fmaxf(c, d);
    return (fmaxf(lo_ab, lo_cd) + fminf(hi_ab, hi_cd)) / 2;
}

static void balance(us_lay *k, float *const run[4])
{
    reach r[4];
    int best = 0;
    for (int i = 0; i < 4; i++) {
        r[i] = reach_of(k, run[i]);
        if (r[i].hi - r[i].lo < r[best].hi - r[best].lo) best = i;
    }
    for (int i = 0; i < 4; i++) {
        float by = i % 2 == 0 ? r[best].lo - r[i].lo : r[best].hi - r[i].hi;
        for (uint32_t v = 0; v < k->n; v++)
            run[i][v] += by;
    }
    for (uint32_t v = 0; v < k->n; v++)
        k->x[v] = middle(run[0][v], run[1][v], run[2][v], run[3][v]);
    reach all = reach_of(k, k->x);
    for (uint32_t v = 0; v < k->n; v++)
        k->x[v] -= all.lo;
    k->l->w = k->n ? all.hi - all.lo : 0;
}

us_err us_lay_place(us_lay *k)
{
    size_t n = (size_t)k->n + 3;
    place p = {.k = k,
               .conflict = us_new_n(k->a, bool, (size_t)k->n_edges + 1),
               .root = us_new_n(k->a, uint32_t, n),
               .align = us_new_n(k->a, uint32_t, n),
               .next0 = us_new_n(k->a, uint32_t, n),
               .next = us_new_n(k->a, uint32_t, n),
               .dist = us_new_n(k->a, float, n),
               .left = us_new_n(k->a, uint32_t, n),
               .order = us_new_n(k->a, uint32_t, n),
               .near = us_new_n(k->a, uint32_t, (size_t)k->n_edges + 1)};
    float *run[4] = {us_new_n(k->a, float, n), us_new_n(k->a, float, n),
                     us_new_n(k->a, float, n), us_new_n(k->a, float, n)};
    k->x = us_new_n(k->a, float, n);
    k->below = us_new_n(k->a, uint32_t, n);
    if (!p.conflict || !p.root || !p.align || !p.next0 || !p.next || !p.dist || !p.left ||
        !p.order || !p.near || !run[0] || !run[1] || !run[2] || !run[3] || !k->x || !k->below)
        return us_arena_fail(k->c, k->a);
    weigh_below(k);
    mark_conflicts(&p);
    mark_light(&p);
    for (int i = 0; i < 4; i++) { /* even runs pack to the left */
        p.x = run[i];
        align(&p, i < 2, i % 2 == 0);
        pack(&p, i % 2 == 0);
    }
    balance(k, run);
    return US_OK;
}
