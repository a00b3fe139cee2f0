/* inspect/scene.c - a model as items: one pass over its graphs, innermost first laid out, then places from the outside in. */
#include "inspect/scene.h"

#include "ir/op.h"
#include "pass/facts.h"

static us_err build_graph(us_view *v, us_graph *g, us_item *owner, us_sv title, int depth,
                          us_vgraph **out);

const us_type *us_v_type(const us_view *v, const us_vgraph *g, us_vid val)
{
    const us_type *t = &v->typed->graphs.at[g->g->index]->vals.at[val].type;
    const us_type *declared = &g->g->vals.at[val].type;
    bool better = t->kind != US_KIND_NONE && (t->kind != US_KIND_TENSOR || t->rank >= 0);
    return better ? t : declared;
}

/* --- items ------------------------------------------------------------------------------------------------ */

static us_err add_item(us_view *v, us_vgraph *g, us_item_role role, us_nid node, us_vid val)
{
    us_item *it = &g->items[g->n_items];
    if (v->items.n >= US_VIEW_MAX_NODES)
        return us_fail(v->c, US_LIMIT,
                       "the model has more than %zu nodes, too many for one picture; "
                       "cut a part out first",
                       US_VIEW_MAX_NODES);
    *it = (us_item){.role = role,
                    .kind = US_VK_IO,
                    .node = node,
                    .val = val,
                    .g = g,
                    .id = (uint32_t)v->items.n};
    if (role == US_ITEM_NODE) {
        uint32_t kind = us_map_get(&v->kinds, g->g->nodes.at[node].op_type);
        it->kind = kind == US_MAP_NONE ? US_VK_OTHER : (us_vkind)kind;
    } else if (role != US_ITEM_OUTPUT) {
        g->item_of[val] = g->n_items;
    }
    v->used[it->kind] = true;
    g->n_items++;
    US_TRY(us_vec_push(v->c, v->a, &v->items, it));
    return us_scene_lines(v, it);
}

static us_err add_sub_graphs(us_view *v, us_item *it, int depth)
{
    const us_node *n = &it->g->g->nodes.at[it->node];
    uint32_t max = 0;
    float w = 0, h = 0;
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].graphs) max += (uint32_t)n->attrs[i].n;
    if (max == 0) return US_OK;
    it->subs = us_new_n(v->a, us_vgraph *, max);
    if (!it->subs) return us_arena_fail(v->c, v->a);
    for (uint32_t i = 0; i < n->n_attrs; i++)
        for (size_t j = 0; n->attrs[i].graphs && j < n->attrs[i].n; j++) {
            us_vgraph *sub;
            US_TRY(
                build_graph(v, n->attrs[i].graphs[j], it, n->attrs[i].name, depth + 1, &sub));
            it->subs[it->n_subs++] = sub;
            w += sub->w;
            h = US_MAX(h, sub->h);
        }
    it->w = US_MAX(it->w, w + US_V_PAD * (float)(max + 1));
    it->h += h + US_V_SUBTITLE + US_V_PAD;
    return US_OK;
}

static us_err add_node(us_view *v, us_vgraph *g, us_nid nid, const bool *fixed, int depth)
{
    const us_node *n = &g->g->nodes.at[nid];
    v->n_nodes++;
    if (us_v_hidden(g->g, n) || (fixed && fixed[nid])) return US_OK;
    uint32_t at = g->n_items;
    US_TRY(add_item(v, g, US_ITEM_NODE, nid, US_NIL));
    for (uint32_t i = 0; i < n->n_out; i++)
        if (n->out[i] != US_NIL) g->item_of[n->out[i]] = at;
    return add_sub_graphs(v, &g->items[at], depth);
}

static us_err add_items(us_view *v, us_vgraph *g, int depth)
{
    const us_graph *ir = g->g;
    bool *fixed = NULL;
    if (v->o.brief) US_TRY(us_v_fixed(v, ir, &fixed));
    for (size_t i = 0; i < ir->inputs.n; i++)
        if (ir->vals.at[ir->inputs.at[i]].storage == US_ST_INPUT)
            US_TRY(add_item(v, g, US_ITEM_INPUT, US_NIL, ir->inputs.at[i]));
    for (us_vid i = 0; i < ir->vals.n; i++)
        if (ir->vals.at[i].storage == US_ST_OUTER && !us_v_const(ir, i))
            US_TRY(add_item(v, g, US_ITEM_OUTER, US_NIL, i));
    for (size_t i = 0; i < ir->order.n; i++)
        US_TRY(add_node(v, g, ir->order.at[i], fixed, depth));
    for (size_t i = 0; i < ir->outputs.n; i++)
        US_TRY(add_item(v, g, US_ITEM_OUTPUT, US_NIL, ir->outputs.at[i]));
    return US_OK;
}

static us_err build_graph(us_view *v, us_graph *ir, us_item *owner, us_sv title, int depth,
                          us_vgraph **out)
{
    us_vgraph *g = us_new(v->a, us_vgraph);
    size_t max = ir->inputs.n + ir->vals.n + ir->order.n + ir->outputs.n + 1;
    if (depth > US_MAX_GRAPH_DEPTH)
        return us_fail(v->c, US_LIMIT, "sub-graphs are nested deeper than %d",
                       US_MAX_GRAPH_DEPTH);
    if (!g) return us_arena_fail(v->c, v->a);
    *g = (us_vgraph){
        .g = ir, .owner = owner, .id = (uint32_t)v->graphs.n, .value0 = v->n_values};
    g->items = us_new_n(v->a, us_item, max);
    g->item_of = us_new_n(v->a, uint32_t, ir->vals.n + 1);
    if (!g->items || !g->item_of) return us_arena_fail(v->c, v->a);
    for (size_t i = 0; i < ir->vals.n; i++)
        g->item_of[i] = US_NIL;
    v->n_values += (uint32_t)ir->vals.n;
    US_TRY(us_view_clip(v->c, v->a, title, 40, &g->title));
    US_TRY(us_vec_push(v->c, v->a, &v->graphs, g));
    US_TRY(add_items(v, g, depth));
    US_TRY(us_scene_boxes(v, g));
    g->w = g->lay.w + 2 * US_V_PAD;
    g->h = g->lay.h + 2 * US_V_PAD;
    *out = g;
    return US_OK;
}

/* --- places ------------------------------------------------------------------------------------------------ */

/* From the outside in: a graph's place is known when its node's is. */
static void place_graph(us_vgraph *g, float x, float y)
{
    g->x = x;
    g->y = y;
    for (uint32_t b = 0; b < g->lay.n_boxes; b++) {
        const us_lay_box *box = &g->lay.boxes[b];
        float top = y + US_V_PAD + box->y;
        for (uint32_t i = g->box_head[b]; i != US_NIL; i = g->stack_next[i]) {
            us_item *it = &g->items[i];
            it->x = x + US_V_PAD + box->x;
            it->y = top;
            it->w = box->w;
            top += it->h;
            float at = it->x + US_V_PAD, high = 0;
            for (uint32_t s = 0; s < it->n_subs; s++)
                high = US_MAX(high, it->subs[s]->h);
            for (uint32_t s = 0; s < it->n_subs; s++) {
                place_graph(it->subs[s], at, it->y + it->h - US_V_PAD - high);
                at += it->subs[s]->w + US_V_PAD;
            }
        }
    }
}

us_err us_scene_build(us_view *v)
{
    us_vgraph *g;
    bool changed;
    US_TRY(us_model_clone(v->c, v->m, &v->typed));
    us_err e = us_facts_take(v->c, v->typed, 0, &changed);
    if (e == US_NOMEM || e == US_CANCELLED) return e;
    /* a model whose types cannot be inferred is shown with those it declares */
    US_TRY(us_vkinds_fill(v->c, &v->kinds));
    US_TRY(build_graph(v, v->m->main, NULL, v->m->main->name, 0, &g));
    place_graph(g, US_V_MARGIN, US_V_MARGIN);
    return US_OK;
}
