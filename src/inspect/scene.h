/* inspect/scene.h - within the viewer: what is drawn, common to all forms.
 *
 * An item is what can be pointed at: a node, an input, an output, a captured value. A box of the layout is one item or a stack:
 * a chain of items where each only continues the one above (Conv, BatchNormalization, Relu), drawn without gaps. Constants are
 * no items: they are lines within the items that read them. Sub-graphs are drawings within their node.
 */
#ifndef USTA_INSPECT_SCENE_H
#define USTA_INSPECT_SCENE_H

#include "inspect/layout.h"
#include "inspect/view.h"

/* Measures in pixels. */
#define US_V_LABEL     12 /* height of a label below a box */
#define US_V_HEAD      24 /* height of an item's head */
#define US_V_LINE      15 /* of a line below it */
#define US_V_FOOT      5
#define US_V_PAD       9
#define US_V_GAP_X     30
#define US_V_GAP_Y     42
#define US_V_GAP_BRIEF 24   /* without labels between */
#define US_V_MARGIN    28   /* around a drawing */
#define US_V_PAGE_W    1600 /* a slide, without its title */
#define US_V_PAGE_H    840
#define US_V_SUBTITLE  22 /* above a drawing within a node */

typedef enum us_vkind {
#define US_VIEW_KIND(id, text, colour, light, dark) US_VK_##id,
#define US_VIEW_OP(id, name)
#include "inspect/kinds.def"
#undef US_VIEW_KIND
#undef US_VIEW_OP
    US_VK_N
} us_vkind;

typedef struct us_vkind_row {
    const char *text, *colour, *light, *dark;
} us_vkind_row;
const us_vkind_row *us_vkind_get(us_vkind k);
us_err us_vkinds_fill(us_ctx *c, us_map *map) US_MUST; /* operator -> kind */

typedef enum us_item_role {
    US_ITEM_NODE,
    US_ITEM_INPUT,
    US_ITEM_OUTPUT,
    US_ITEM_OUTER
} us_item_role;

typedef struct us_vgraph us_vgraph;

typedef struct us_item {
    us_item_role role;
    us_vkind kind;
    us_nid node; /* NODE; else US_NIL */
    us_vid val;  /* else the value */
    us_vgraph *g;
    us_sv title, note; /* operator, domain; or the value's name and type */
    us_sv *lines;
    uint32_t n_lines;
    us_vgraph **subs; /* drawings within it */
    uint32_t n_subs;
    uint32_t box;
    uint32_t id; /* in us_view.items */
    float x, y, w, h;
} us_item;

struct us_vgraph {
    us_graph *g;
    us_item *owner;      /* NULL: the main graph */
    us_sv title;         /* "then_branch" */
    uint32_t id, value0; /* in us_view.graphs; number of its first value */
    us_item *items;      /* first of n_items */
    uint32_t n_items;
    uint32_t *item_of;    /* per value: item that makes it; US_NIL: none */
    uint32_t *stack_next; /* per item: the item below in its box, US_NIL at the end */
    uint32_t *box_head;   /* per box: its first item */
    us_vid *net_val;      /* per net: the value */
    us_sv *net_label;     /* per net: what is written where it leaves its box, "1x16x120" */
    us_layout lay;
    float x, y, w, h; /* with margin; x and y absolute */
};

struct us_view {
    us_ctx *c;
    us_arena *a;
    us_model *m, *typed; /* typed: the copy that holds inferred types */
    us_view_opts o;
    US_VEC(us_vgraph *) graphs;
    US_VEC(us_item *) items; /* by id */
    uint32_t n_values;
    size_t n_nodes; /* of the model, drawn or not */
    bool used[US_VK_N];
    us_map kinds; /* operator -> us_vkind */
};

/* The tensor a value holds: an initialiser, or the value of a Constant node; NULL. */
const us_tensor *us_v_const(const us_graph *g, us_vid v);
const us_type *us_v_type(const us_view *v, const us_vgraph *g, us_vid val);
/* Whether a node is a Constant that is drawn as a line in its readers. */
bool us_v_hidden(const us_graph *g, const us_node *n);
/* Per node, by number: it computes from constants alone, and no graph gives its results. In v->a. */
us_err us_v_fixed(us_view *v, const us_graph *g, bool **out) US_MUST;

us_err us_scene_build(us_view *v) US_MUST; /* scene.c: items, texts, sizes, layouts */
us_err
us_scene_boxes(us_view *v,
               us_vgraph *g) US_MUST; /* scene_boxes.c: stacks, nets, layout of one graph */
us_err us_scene_lines(us_view *v, us_item *it) US_MUST; /* scene_lines.c: what an item says */

/* text.c: widths and escapes. */
float us_view_width(us_sv s, float size);
/* s cut to at most max characters, with an ellipsis; in a. Bytes that are no UTF-8 and controls become U+FFFD. */
us_err us_view_clip(us_ctx *c, us_arena *a, us_sv s, size_t max, us_sv *out) US_MUST;
void us_view_xml(us_buf *b, us_sv s); /* for XML text and attributes */
void us_view_shape(const us_view *v, const us_type *t,
                   us_buf *b); /* "N x 3 x 224", "" when unknown */
void us_view_attr(const us_view *v, const us_attr *a, size_t max, us_buf *b);
void us_view_tensor(const us_tensor *t, size_t max, us_buf *b); /* "0.5", "[1, 3, ...]" */

void us_view_fail(
    us_buf *b,
    us_buf *part); /* a part that could not be written is b's failure; part is freed */

/* svg.c: the drawing as SVG elements. */
void us_svg_style(us_buf *b);
void us_svg_body(const us_view *v, us_buf *b);

/* view.c: a line on the whole model, for titles. */
void us_view_about(const us_view *v, us_buf *b);

/* data.c: everything the page tells about items, as JSON. */
us_err us_view_data(const us_view *v, us_buf *b) US_MUST;

#endif
