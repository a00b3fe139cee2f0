/* inspect/layout_net.h - within the layout: the graph with dummies, which all steps share.
 *
 * A vertex is a box (numbers below n_boxes) or a dummy: the place where a long line crosses a layer. Edges go between
 * neighbouring layers only. `at` of a layer lists its vertices from left to right, `pos` is the place in that list.
 */
#ifndef USTA_INSPECT_LAYOUT_NET_H
#define USTA_INSPECT_LAYOUT_NET_H

#include "inspect/layout.h"

typedef struct us_lay_edge {
    uint32_t up, down; /* vertices */
} us_lay_edge;

typedef struct us_lay {
    us_ctx *c;
    us_arena *a;
    us_layout *l;
    uint32_t n, n_boxes; /* vertices, those that are boxes */
    uint32_t *layer;     /* per vertex */
    uint32_t *pos;
    float *w;        /* per vertex */
    float *right;    /* per vertex: room it takes right of its centre, its labels too */
    uint32_t *owner; /* per vertex: the box itself, or where a dummy's line begins */
    /* per box: boxes on the longest way to it from the top; how much hangs on it */
    uint32_t *above;
    uint32_t *below; /* per vertex: the same from the bottom */
    uint32_t *net0;  /* per net: its first dummy; those of the following layers come after it */
    uint32_t *net_n;
    us_lay_edge *edges;
    uint32_t n_edges;
    uint32_t *up0,
        *up; /* edges from above of vertex v: up[up0[v]] .. up[up0[v + 1]] (edge numbers) */
    uint32_t *down0, *down;
    uint32_t **at; /* per layer: vertices from left to right */
    uint32_t *n_at;
    float *x; /* per vertex: centre, found by us_lay_place */
} us_lay;

us_err us_lay_layers(us_lay *k) US_MUST; /* boxes' layers; l->n_layers */
us_err us_lay_order(us_lay *k) US_MUST;  /* dummies and edges are there: at, pos */
us_err us_lay_place(us_lay *k) US_MUST;  /* x */
/* The finished drawing in columns; top, bottom: of layers. l->n_columns */
us_err us_lay_fold(us_lay *k, const float *top, const float *bottom) US_MUST;

static inline bool us_lay_dummy(const us_lay *k, uint32_t v)
{
    return v >= k->n_boxes;
}

#endif
