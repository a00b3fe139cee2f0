/* inspect/dot.c - the graph in the language of graphviz, sub-graphs as clusters, the same texts and colours. */
#include "inspect/scene.h"

/* Within quotes: backslash and quote escaped; what is no text replaced. */
static void quoted(us_buf *b, us_view *v, us_sv s)
{
    us_sv clean;
    if (us_view_clip(v->c, v->a, s, 200, &clean) != US_OK) {
        b->err = v->c->diag.code;
        return;
    }
    for (size_t i = 0; i < clean.n; i++) {
        if (clean.p[i] == '"' || clean.p[i] == '\\') us_buf_addc(b, '\\');
        us_buf_addc(b, clean.p[i]);
    }
}

static void dot_item(us_view *v, const us_item *it, us_buf *b)
{
    bool end = it->role != US_ITEM_NODE;
    us_buf_addf(b, "  n%u [label=\"", it->id);
    quoted(b, v, it->title);
    for (uint32_t i = 0; i < it->n_lines; i++) {
        us_buf_adds(b, "\\n");
        quoted(b, v, it->lines[i]);
    }
    us_buf_addf(b, "\", shape=%s, fillcolor=\"%s\"];\n", end ? "oval" : "box",
                us_vkind_get(it->kind)->light);
}

static void dot_link(us_view *v, const us_vgraph *g, us_vid val, const us_item *to, us_buf *b)
{
    if (val == US_NIL || g->item_of[val] == US_NIL) return;
    us_buf s;
    us_buf_init(&s, v->c, US_VIEW_MAX_TEXT);
    us_view_shape(v, us_v_type(v, g, val), &s);
    us_buf_addf(b, "  n%u -> n%u [label=\"", g->items[g->item_of[val]].id, to->id);
    quoted(b, v, us_buf_sv(&s));
    us_buf_adds(b, "\"];\n");
    us_view_fail(b, &s);
}

static void dot_graph(us_view *v, const us_vgraph *g, us_buf *b)
{
    for (uint32_t i = 0; i < g->n_items; i++) {
        const us_item *it = &g->items[i];
        dot_item(v, it, b);
        for (uint32_t s = 0; s < it->n_subs; s++) {
            us_buf_addf(b, "  subgraph cluster_%u { label=\"", it->subs[s]->id);
            quoted(b, v, it->subs[s]->title);
            us_buf_adds(b, "\";\n");
            dot_graph(v, it->subs[s], b);
            us_buf_adds(b, "  }\n");
        }
        if (it->role == US_ITEM_OUTPUT) dot_link(v, g, it->val, it, b);
        if (it->role == US_ITEM_OUTER) /* from the enclosing graph */
            dot_link(v, g->owner->g, g->g->vals.at[it->val].outer, it, b);
        if (it->role != US_ITEM_NODE) continue;
        const us_node *n = &g->g->nodes.at[it->node];
        for (uint32_t j = 0; j < n->n_in; j++)
            dot_link(v, g, n->in[j], it, b);
    }
}

us_err us_view_dot(const us_view *v, us_buf *b)
{
    us_buf_adds(b, "digraph model {\n  graph [label=\"");
    us_view *w = (us_view *)(uintptr_t)v; /* its arena takes the cut texts */
    quoted(b, w, us_sv_of(v->o.title));
    us_buf_adds(b, "\", labelloc=t, fontname=\"Helvetica\"];\n  node [style=filled, "
                   "fontname=\"Helvetica\", fontsize=11];\n"
                   "  edge [fontname=\"Helvetica\", fontsize=9];\n");
    dot_graph(w, v->graphs.at[0], b);
    us_buf_adds(b, "}\n");
    return us_buf_check(b);
}
