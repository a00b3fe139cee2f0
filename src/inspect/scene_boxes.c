/* inspect/scene_boxes.c - items of one graph become boxes and nets of a layout.
 *
 * Stacking keeps large graphs readable: an activation, a normalisation, an addition of a bias or a step of shape arithmetic
 * that alone continues the item above stands in the same box. Nothing is hidden by it, only lines are saved.
 */
#include "inspect/scene.h"

#define STACK_MAX 8

typedef struct use { /* item `to` reads val */
    us_vid val;
    uint32_t to; /* item */
} use;

typedef struct boxer {
    us_view *v;
    us_vgraph *g;
    US_VEC(use) uses;
    uint32_t *n_in;   /* per item: values read that items make */
    uint32_t *above;  /* per item: maker of the last of them */
    uint32_t *n_uses; /* per value, by the ir */
} boxer;

static us_err read_value(boxer *k, us_vid val, uint32_t item)
{
    if (val == US_NIL || k->g->item_of[val] == US_NIL) return US_OK;
    k->n_in[item]++;
    k->above[item] = k->g->item_of[val];
    return us_vec_push(k->v->c, k->v->a, &k->uses, (use){val, item});
}

static us_err find_uses(boxer *k)
{
    const us_graph *g = k->g->g;
    for (uint32_t i = 0; i < k->g->n_items; i++) {
        const us_item *it = &k->g->items[i];
        if (it->role == US_ITEM_OUTPUT) US_TRY(read_value(k, it->val, i));
        if (it->role != US_ITEM_NODE) continue;
        const us_node *n = &g->nodes.at[it->node];
        for (uint32_t j = 0; j < n->n_in; j++)
            US_TRY(read_value(k, n->in[j], i));
        for (uint32_t s = 0; s < it->n_subs; s++) {
            const us_graph *sub = it->subs[s]->g;
            for (us_vid q = 0; q < sub->vals.n; q++)
                if (sub->vals.at[q].storage == US_ST_OUTER)
                    US_TRY(read_value(k, sub->vals.at[q].outer, i));
        }
    }
    return US_OK;
}

static uint32_t results(const us_graph *g, const us_item *it)
{
    uint32_t n = 0;
    const us_node *node = &g->nodes.at[it->node];
    for (uint32_t i = 0; i < node->n_out; i++)
        n += node->out[i] != US_NIL;
    return n;
}

static bool continues(const boxer *k, uint32_t i)
{
    const us_vgraph *g = k->g;
    const us_item *it = &g->items[i];
    if (it->role != US_ITEM_NODE || it->n_subs || k->n_in[i] != 1) return false;
    const us_item *up = &g->items[k->above[i]];
    if (up->role != US_ITEM_NODE || up->n_subs || results(g->g, up) != 1) return false;
    us_vid val = US_NIL;
    const us_node *n = &g->g->nodes.at[up->node];
    for (uint32_t j = 0; j < n->n_out; j++)
        if (n->out[j] != US_NIL) val = n->out[j];
    if (k->n_uses[val] != 1) return false;
    bool moves = it->kind == US_VK_SHAPE && up->kind == US_VK_SHAPE;
    return moves || it->kind == US_VK_ACTIVATION || it->kind == US_VK_NORM ||
           it->kind == US_VK_MATH || it->kind == US_VK_QUANT;
}

static us_err make_boxes(boxer *k)
{
    us_vgraph *g = k->g;
    uint32_t *height = us_new_n(k->v->a, uint32_t, (size_t)g->n_items + 1);
    g->stack_next = us_new_n(k->v->a, uint32_t, (size_t)g->n_items + 1);
    g->box_head = us_new_n(k->v->a, uint32_t, (size_t)g->n_items + 1);
    g->lay.boxes = us_new_n(k->v->a, us_lay_box, (size_t)g->n_items + 1);
    if (!height || !g->stack_next || !g->box_head || !g->lay.boxes)
        return us_arena_fail(k->v->c, k->v->a);
    for (uint32_t i = 0; i < g->n_items; i++) {
        us_item *it = &g->items[i];
        uint32_t up = k->above[i];
        g->stack_next[i] = US_NIL;
        if (continues(k, i) && up < i && height[up] < STACK_MAX) {
            it->box = g->items[up].box;
            g->stack_next[up] = i;
            height[i] = height[up] + 1;
        } else {
            it->box = g->lay.n_boxes++;
            g->box_head[it->box] = i;
            height[i] = 1;
        }
        us_lay_box *b = &g->lay.boxes[it->box];
        b->w = US_MAX(b->w, it->w);
        b->h += it->h;
    }
    return US_OK;
}

/* Uses between boxes by value, in the order values are first read. */
static us_err make_nets(boxer *k)
{
    us_vgraph *g = k->g;
    size_t n_vals = g->g->vals.n;
    uint32_t *net_of = us_new_n(k->v->a, uint32_t, n_vals + 1);
    us_lay_link *links = us_new_n(k->v->a, us_lay_link, k->uses.n + 1);
    g->lay.nets = us_new_n(k->v->a, us_lay_net, k->uses.n + 1);
    g->net_val = us_new_n(k->v->a, us_vid, k->uses.n + 1);
    if (!net_of || !links || !g->lay.nets || !g->net_val)
        return us_arena_fail(k->v->c, k->v->a);
    for (size_t i = 0; i < k->uses.n; i++) {
        use u = k->uses.at[i];
        uint32_t from = g->items[g->item_of[u.val]].box, to = g->items[u.to].box;
        if (from == to) continue;
        if (net_of[u.val] == 0) {
            g->net_val[g->lay.n_nets] = u.val;
            g->lay.nets[g->lay.n_nets].from = from;
            net_of[u.val] = ++g->lay.n_nets;
        }
        g->lay.nets[net_of[u.val] - 1].n_links++;
    }
    for (uint32_t i = 0; i < g->lay.n_nets; i++) {
        g->lay.nets[i].links = links;
        links += g->lay.nets[i].n_links;
        g->lay.nets[i].n_links = 0;
    }
    for (size_t i = 0; i < k->uses.n; i++) {
        use u = k->uses.at[i];
        uint32_t to = g->items[u.to].box;
        if (g->items[g->item_of[u.val]].box == to) continue;
        us_lay_net *net = &g->lay.nets[net_of[u.val] - 1];
        net->links[net->n_links++] = (us_lay_link){.to = to};
    }
    return US_OK;
}

/* --- labels of lines -------------------------------------------------------------------------------------- */

#define LABEL_MAX 40

/* Type and shape of what a node makes; float32 goes without saying, and a shape too long for a line is told on a click. */
static us_err label(us_view *v, us_vgraph *g, uint32_t net)
{
    const us_type *t = us_v_type(v, g, g->net_val[net]);
    us_err e = US_OK;
    us_buf s;
    if (g->items[g->box_head[g->lay.nets[net].from]].role != US_ITEM_NODE || v->o.brief)
        return US_OK;
    us_buf_init(&s, v->c, US_VIEW_MAX_TEXT);
    if (t->kind == US_KIND_TENSOR && t->dtype != US_F32 && t->dtype != US_DT_NONE)
        us_buf_addf(&s, "%s ", us_dtype_get(t->dtype)->name);
    us_view_shape(v, t, &s);
    e = us_buf_check(&s);
    if (e == US_OK && s.n <= LABEL_MAX)
        e = us_sv_dup(v->c, v->a, us_buf_sv(&s), &g->net_label[net]);
    us_buf_deinit(&s);
    return e;
}

/* Labels stand right of their lines; those of a box with many results stand below each other. */
static us_err make_labels(us_view *v, us_vgraph *g)
{
    us_layout *l = &g->lay;
    uint32_t *n = us_new_n(v->a, uint32_t, (size_t)l->n_boxes + 1);
    g->net_label = us_new_n(v->a, us_sv, (size_t)l->n_nets + 1);
    if (!n || !g->net_label) return us_arena_fail(v->c, v->a);
    for (uint32_t i = 0; i < l->n_nets; i++)
        n[l->nets[i].from]++;
    for (uint32_t i = 0; i < l->n_nets; i++) {
        US_TRY(label(v, g, i));
        if (!g->net_label[i].n) continue;
        us_lay_box *b = &l->boxes[l->nets[i].from];
        float w = us_view_width(g->net_label[i], 10) + 5,
              share = (float)(n[l->nets[i].from] + 1);
        b->right = US_MAX(b->right, w + b->w * (0.5F - 1 / share));
    }
    return US_OK;
}

us_err us_scene_boxes(us_view *v, us_vgraph *g)
{
    boxer k = {.v = v,
               .g = g,
               .n_in = us_new_n(v->a, uint32_t, (size_t)g->n_items + 1),
               .above = us_new_n(v->a, uint32_t, (size_t)g->n_items + 1)};
    if (!k.n_in || !k.above) return us_arena_fail(v->c, v->a);
    US_TRY(us_graph_uses(v->c, g->g, v->a, &k.n_uses));
    US_TRY(find_uses(&k));
    US_TRY(make_boxes(&k));
    US_TRY(make_nets(&k));
    US_TRY(make_labels(v, g));
    g->lay.gap_x = US_V_GAP_X;
    g->lay.gap_y = v->o.brief ? US_V_GAP_BRIEF : US_V_GAP_Y;
    if (!g->owner && v->o.columns != 1) {
        g->lay.page_w = US_V_PAGE_W;
        g->lay.page_h = US_V_PAGE_H;
        g->lay.columns = v->o.columns;
    }
    return us_layout_run(v->c, v->a, &g->lay);
}
