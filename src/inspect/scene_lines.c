/* inspect/scene_lines.c - what is written in an item: constants it reads, the attributes that matter at a glance. */
#include "inspect/scene.h"
#include "ir/op.h"

#define MAX_LINES 5
#define LINE_MAX_ 34 /* characters */
#define NAME_MAX_ 30

/* Attributes worth a line; others are shown on a click. */
static const char *const telling[] = {
    "kernel_shape", "strides", "group",       "dilations", "axis",     "axes",     "perm",
    "to",           "mode",    "hidden_size", "num_heads", "equation", "blocksize"};

const us_tensor *us_v_const(const us_graph *g, us_vid v)
{
    while (g->vals.at[v].storage == US_ST_OUTER && g->parent) {
        v = g->vals.at[v].outer;
        g = g->parent;
    }
    const us_val *val = &g->vals.at[v];
    if (val->data && val->data->kind == US_KIND_TENSOR) return &val->data->t;
    if (val->def == US_NIL || val->storage != US_ST_TEMP) return NULL;
    const us_node *n = &g->nodes.at[val->def];
    const us_attr *a = us_v_hidden(g, n) ? us_node_attr(n, "value") : NULL;
    return a && a->kind == US_AT_TENSOR && a->n ? &a->tensors[0] : NULL;
}

bool us_v_hidden(const us_graph *g, const us_node *n)
{
    const us_attr *a;
    if (!us_sv_is(n->op_type, "Constant") || n->domain.n || n->n_out != 1 ||
        n->out[0] == US_NIL)
        return false;
    for (size_t i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i] == n->out[0]) return false;
    a = us_node_attr(n, "value");
    return a && a->kind == US_AT_TENSOR && a->n == 1;
}

static us_err add_line(us_view *v, us_item *it, us_buf *b)
{
    us_err e = us_buf_check(b);
    if (e == US_OK && it->n_lines < MAX_LINES)
        e = us_view_clip(v->c, v->a, us_buf_sv(b), LINE_MAX_, &it->lines[it->n_lines++]);
    us_buf_clear(b);
    return e;
}

/* Name of input i by the schema; "" when there is none or it is one of a list. */
static const char *input_name(const us_node *n, uint32_t i)
{
    const us_param *p = n->schema ? n->schema->in : NULL;
    for (uint32_t j = 0; p && p[j].name; j++) {
        if (p[j].flags & US_P_VARIADIC) return "";
        if (j == i) return p[j].name;
    }
    return "";
}

static us_err const_lines(us_view *v, us_item *it, const us_node *n, us_buf *b)
{
    for (uint32_t i = 0, shown = 0; i < n->n_in; i++) {
        const us_tensor *t = n->in[i] == US_NIL ? NULL : us_v_const(it->g->g, n->in[i]);
        if (!t) continue;
        if (it->kind == US_VK_NORM && shown++ > 0) continue; /* all of one shape */
        const char *name = input_name(n, i);
        if (name[0]) us_buf_addf(b, "%s ", name);
        if (t->data && us_tensor_count(t) <= 6) {
            us_buf_adds(b, name[0] ? "= " : "");
            us_view_tensor(t, 6, b);
        } else {
            for (int j = 0; j < t->rank; j++)
                us_buf_addf(b, "%s%lld", j ? "\xC3\x97" : "", (long long)t->dims[j]);
        }
        US_TRY(add_line(v, it, b));
    }
    return US_OK;
}

static us_err attr_lines(us_view *v, us_item *it, const us_node *n, us_buf *b)
{
    for (size_t i = 0; i < US_LEN(telling); i++) {
        const us_attr *a = us_node_attr(n, telling[i]);
        bool ones = a && a->kind == US_AT_INTS, one = a && a->kind == US_AT_INT && a->i == 1;
        for (size_t j = 0; ones && j < a->n; j++)
            ones = a->ints[j] == 1;
        if (!a || (ones && !us_sv_is(a->name, "axes") && !us_sv_is(a->name, "kernel_shape")) ||
            (one && us_sv_is(a->name, "group")))
            continue;
        us_buf_addf(b, "%s ", telling[i]);
        if (us_sv_is(a->name, "to") && a->kind == US_AT_INT)
            us_buf_adds(b, us_dtype_get((us_dtype)a->i)->name);
        else
            us_view_attr(v, a, 8, b);
        US_TRY(add_line(v, it, b));
    }
    return US_OK;
}

static us_err end_texts(us_view *v, us_item *it, us_buf *b)
{
    const us_type *t = us_v_type(v, it->g, it->val);
    US_TRY(us_view_clip(v->c, v->a, it->g->g->vals.at[it->val].name, NAME_MAX_, &it->title));
    us_type_print(&v->typed->syms, t, b);
    if (t->kind == US_KIND_NONE) us_buf_clear(b);
    us_err e = us_buf_check(b);
    if (e == US_OK && b->n) e = add_line(v, it, b);
    return e;
}

us_err us_scene_lines(us_view *v, us_item *it)
{
    us_buf b;
    us_err e;
    it->lines = us_new_n(v->a, us_sv, MAX_LINES);
    if (!it->lines) return us_arena_fail(v->c, v->a);
    us_buf_init(&b, v->c, US_VIEW_MAX_TEXT);
    if (it->role == US_ITEM_NODE) {
        const us_node *n = &it->g->g->nodes.at[it->node];
        e = us_view_clip(v->c, v->a, n->op_type, NAME_MAX_, &it->title);
        if (e == US_OK) e = us_view_clip(v->c, v->a, n->domain, NAME_MAX_, &it->note);
        if (e == US_OK) e = attr_lines(v, it, n, &b);
        if (e == US_OK) e = const_lines(v, it, n, &b);
    } else {
        e = end_texts(v, it, &b);
    }
    us_buf_deinit(&b);
    float w = us_view_width(it->title, 13) * 1.13F + 2;
    if (it->note.n) w += us_view_width(it->note, 10) + 10;
    for (uint32_t i = 0; i < it->n_lines; i++)
        w = US_MAX(w, us_view_width(it->lines[i], 11));
    it->w = US_MAX(w + 2 * US_V_PAD, 92);
    it->h = (float)(US_V_HEAD + (it->n_lines ? it->n_lines * US_V_LINE + US_V_FOOT : 0));
    return e;
}
