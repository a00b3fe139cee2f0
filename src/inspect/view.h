/* inspect/view.h - pictures of a model: SVG for slides, one HTML page to look around in, DOT for graphviz.
 *
 * A view is made once (what is drawn, its layout, types, statistics of weights) and printed in any form. The same model gives
 * the same bytes. Names in models may hold anything: all three printers escape, and the page takes texts only as data.
 */
#ifndef USTA_INSPECT_VIEW_H
#define USTA_INSPECT_VIEW_H

#include "ir/graph.h"

/* Limits of one picture. */
#define US_VIEW_MAX_NODES ((size_t)50000)
#define US_VIEW_MAX_TEXT  ((size_t)64 << 20) /* of one name, type or attribute */
#define US_VIEW_MAX_BYTES ((size_t)512 << 20)

typedef struct us_view us_view;

typedef struct us_view_opts {
    const char *title; /* the file's name; must outlive the view */
    /* operators without their details, and without what is computed from constants alone */
    bool brief;
    /* to cut a tall drawing into; 0: as many as show largest on a slide; 1: none */
    uint32_t columns;
} us_view_opts;

/* Types are inferred on a copy; m stays as it is and must outlive the view. US_LIMIT: too many nodes. */
us_err us_view_new(us_ctx *c, us_model *m, const us_view_opts *o, us_view **out) US_MUST;
void us_view_free(us_view *v);            /* NULL is fine */
size_t us_view_n_nodes(const us_view *v); /* of the model */
size_t us_view_n_drawn(const us_view *v);

us_err us_view_svg(const us_view *v, us_buf *b) US_MUST;
us_err us_view_html(const us_view *v, us_buf *b) US_MUST;
us_err us_view_dot(const us_view *v, us_buf *b) US_MUST;

#endif
