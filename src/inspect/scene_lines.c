/* inspect/scene_lines.c - what is written in an item: constants it reads, the attributes that matter at a glance. */
#include "inspect/scene.h"
#include "ir/op.h"

#define MAX_LINES 5
#define LINE_MAX_ 34 /* characters */
#define NAME_MAX_ 30
#define BRIEF_MAX 16

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

static bool gives(const us_graph *g, const us_node *n)
{
    for (size_t i = 0; i < g->outputs.n; i++)
        for (uint32_t j = 0; j < n->n_out; j++)
            if (n->out[j] == g->outputs.at[i]) return true;
    return false;
}

us_err us_v_fixed(us_view *v, const us_graph *g, bool **out)
{
    bool *fixed = us_new_n(v->a, bool, g->nodes.n + 1);
    if (!fixed) return us_arena_fail(v->c, v->a);
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        bool all = n->n_in > 0 && !gives(g, n);
        for (uint32_t j = 0; all && j < n->n_in; j++) {
            us_vid in = n->in[j];
            us_nid def = in == US_NIL ? US_NIL : g->vals.at[in].def;
            all = in == US_NIL || us_v_const(g, in) || (def != US_NIL && fixed[def]);
        }
        for (uint32_t j = 0; all && j < n->n_attrs; j++)
            all = !n->attrs[j].graphs;
        fixed[g->order.at[i]] = all;
    }
    *out = fixed;
    return US_OK;
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

/* What a brief picture says of an operator besides its name: "3x3 /2", the size of a matrix, the type cast to. */
static us_err brief_note(us_view *v, us_item *it, const us_node *n, us_buf *b)
{
    const us_attr *kernel = us_node_attr(n, "kernel_shape"), *to = us_node_attr(n, "to");
    const us_attr *strides = us_node_attr(n, "strides");
    const us_tensor *w = n->n_in > 1 && n->in[1] != US_NIL && it->kind == US_VK_LAYER
                             ? us_v_const(it->g->g, n->in[1])
                             : NULL;
    if (kernel && kernel->kind == US_AT_INTS)
        for (size_t i = 0; i < kernel->n; i++)
            us_buf_addf(b, "%s%lld", i ? "\xC3\x97" : "", (long long)kernel->ints[i]);
    else if (w && w->rank >= 2)
        for (int i = 0; i < w->rank; i++)
            us_buf_addf(b, "%s%lld", i ? "\xC3\x97" : "", (long long)w->dims[i]);
    else if (to && to->kind == US_AT_INT)
        us_buf_adds(b, us_dtype_get((us_dtype)to->i)->name);
    if (kernel && strides && strides->kind == US_AT_INTS && strides->n && strides->ints[0] > 1)
        us_buf_addf(b, " /%lld", (long long)strides->ints[0]);
    US_TRY(us_buf_check(b));
    return b->n ? us_view_clip(v->c, v->a, us_buf_sv(b), NAME_MAX_, &it->note) : US_OK;
}

static us_err end_texts(us_view *v, us_item *it, us_buf *b)
{
    const us_type *t = us_v_type(v, it->g, it->val);
    us_sv name = it->g->g->vals.at[it->val].name;
    if (v->o.brief && it->g->owner) { /* the end of a path, "/model/decoder/Squeeze_output_0" */
        size_t at = name.n;
        while (at > 0 && name.p[at - 1] != '/')
            at--;
        if (at < name.n) name = (us_sv){name.p + at, name.n - at};
        return us_view_clip(v->c, v->a, name, BRIEF_MAX, &it->title);
    }
    US_TRY(us_view_clip(v->c, v->a, name, NAME_MAX_, &it->title));
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
        if (e == US_OK && v->o.brief) e = brief_note(v, it, n, &b);
        if (e == US_OK && !v->o.brief) e = attr_lines(v, it, n, &b);
        if (e == US_OK && !v->o.brief) e = const_lines(v, it, n, &b);
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
