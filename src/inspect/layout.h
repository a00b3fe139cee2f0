/* inspect/layout.h - a layered drawing of a directed graph without cycles: boxes in, places and curves out.
 *
 * The method of Sugiyama, Tagawa and Toda (1981) in four steps: layers by longest path with compaction
 * (layout_layers.c), order within layers by medians with crossings counted, and coordinates after Brandes and Koepf
 * (layout_order.c, layout_place.c). A source box with several readers shares one chain of dummies (a net), so the
 * work is bounded by boxes + nets * span, not by links * span. What cannot be drawn within the limit is cut: a link
 * that spans more than `span` layers has no curve, and whoever draws shows a stub at both ends. At last a tall drawing may be
 * folded into columns for a page (layout_fold.c).
 *
 * Invariants, tested: every link goes down, or on to the next column; boxes of a drawing do not overlap; the same input gives the same numbers.
 */
#ifndef USTA_INSPECT_LAYOUT_H
#define USTA_INSPECT_LAYOUT_H

#include "base/ctx.h"
#include "base/str.h"

/* Limits, tested: what is drawn must stay readable, and its cost bounded. */
#define US_LAYOUT_MAX_BOXES   ((uint32_t)1 << 17)
#define US_LAYOUT_MAX_DUMMIES ((uint64_t)1 << 19) /* per drawing, besides 16 for each box */
#define US_LAYOUT_SWEEPS      12

typedef struct us_lay_box {
    float w, h;
    /* room that must be free right of its centre, for what is written below it; 0: none */
    float right;
    float x, y;     /* out: upper left corner */
    uint32_t layer; /* out */
} us_lay_box;

typedef struct us_lay_point {
    float x, y;
    bool corner; /* of a line that turns round into the next column: straight to here, and on */
} us_lay_point;

typedef struct us_lay_link { /* one use of a net */
    uint32_t to;             /* box */
    us_lay_point *at;        /* out: curve through these, tangents vertical; NULL: cut */
    uint32_t n_at,
        first; /* out: what is the link's own begins at `first`; before, it is as its net's trunk */
    /* out: the longest drawn of its net; the others leave it before their last curve */
    bool trunk;
    float end_x; /* out: where it enters the box */
} us_lay_link;

typedef struct us_lay_net { /* one result of a box and those who read it */
    uint32_t from;
    us_lay_link *links;
    uint32_t n_links;
    float start_x;    /* out: where it leaves the box */
    uint32_t n_right; /* out: nets that leave the box further right */
} us_lay_net;

typedef struct us_layout {
    us_lay_box *boxes;
    uint32_t n_boxes;
    us_lay_net *nets;
    uint32_t n_nets;
    float gap_x, gap_y;   /* between boxes of a layer; between layers */
    float page_w, page_h; /* what it will be shown on; 0: no matter */
    /* how many to cut it into, when lines allow it; 0: as many as show largest on the page */
    uint32_t columns;
    float w, h;         /* out */
    uint32_t n_layers;  /* out */
    uint32_t n_columns; /* out */
    uint32_t span;      /* out: longest link that is drawn */
    uint64_t crossings; /* out: of lines between neighbouring layers */
} us_layout;

/* Results of the drawing live in a. US_FORMAT when the links go round in a circle, US_LIMIT for too many boxes. */
us_err us_layout_run(us_ctx *c, us_arena *a, us_layout *l) US_MUST;

#endif
