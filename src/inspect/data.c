/* inspect/data.c - what the page tells on a click: items, values, weights' statistics, the model, as JSON.
 *
 * Short keys, arrays by number: the text is as long as the model is large. Values are numbered over all graphs
 * (us_vgraph.value0 + us_vid); a constant captured from an outer graph goes by the number it has there.
 */
#include <math.h>

#include "conf/json.h"
#include "inspect/scene.h"
#include "ir/op.h"
#include "stats/moments.h"

#define BINS      24
#define CHUNK     4096
#define SHOW      16 /* elements of small constants that are shown */
#define MAX_ATTRS 64 /* elements of an attribute that are shown */

static void key(us_buf *b, const char *name)
{
    us_buf_addf(b, ",\"%s\":", name);
}

static void pair(us_buf *b, const char *comma, const char *name, us_sv text)
{
    us_buf_adds(b, comma);
    us_buf_addc(b, '[');
    us_json_add_text(b, us_sv_of(name));
    us_buf_addc(b, ',');
    us_json_add_text(b, text);
    us_buf_addc(b, ']');
}

/* --- statistics of weights --------------------------------------------------------------------------------- */

typedef struct weights {
    us_moments m; /* of finite elements */
    uint64_t n_nan, n_inf, n_zero;
    uint64_t bins[BINS];
} weights;

static size_t chunk_of(const us_tensor *t, size_t i, double x[CHUNK])
{
    const us_dtype_info *d = us_dtype_get(t->dtype);
    size_t n = US_MIN((size_t)us_tensor_count(t) - i, CHUNK);
    d->to_f64(t->data, i, n, x);
    return n;
}

static void measure(const us_tensor *t, weights *w)
{
    double x[CHUNK], span;
    size_t all = (size_t)us_tensor_count(t);
    us_moments_init(&w->m);
    for (size_t i = 0; i < all; i += CHUNK) {
        size_t n = chunk_of(t, i, x), finite = 0;
        for (size_t j = 0; j < n; j++) {
            w->n_nan += isnan(x[j]) != 0;
            w->n_inf += isinf(x[j]) != 0;
            w->n_zero += x[j] == 0;
            if (isfinite(x[j])) x[finite++] = x[j];
        }
        us_moments_add_f64(&w->m, x, finite);
    }
    span = w->m.max - w->m.min;
    for (size_t i = 0; i < all && w->m.n > 0; i += CHUNK) {
        size_t n = chunk_of(t, i, x);
        for (size_t j = 0; j < n; j++) {
            if (!isfinite(x[j])) continue;
            double at = span > 0 && isfinite(span) ? (x[j] - w->m.min) / span * BINS : 0;
            w->bins[US_MIN((size_t)at, BINS - 1)]++;
        }
    }
}

static void stats_json(const us_tensor *t, us_buf *b)
{
    weights w = {0};
    measure(t, &w);
    us_buf_adds(b, ",\"s\":[");
    const double v[] = {w.m.min, w.m.max, w.m.mean, w.m.n > 1 ? us_moments_std(&w.m) : 0};
    for (size_t i = 0; i < US_LEN(v); i++) {
        us_json_add_f64(b, w.m.n ? v[i] : (double)NAN);
        us_buf_addc(b, ',');
    }
    us_buf_addf(b, "%llu,%llu,%llu]", (unsigned long long)w.n_zero, (unsigned long long)w.n_nan,
                (unsigned long long)w.n_inf);
    us_buf_adds(b, ",\"h\":[");
    for (int i = 0; i < BINS; i++)
        us_buf_addf(b, "%s%llu", i ? "," : "", (unsigned long long)w.bins[i]);
    us_buf_addc(b, ']');
}

static void const_json(const us_tensor *t, us_buf *b, us_buf *text)
{
    const us_dtype_info *d = us_dtype_get(t->dtype);
    us_buf_addf(b, "{\"c\":%lld,\"b\":%zu", (long long)us_tensor_count(t), us_tensor_bytes(t));
    if (t->data && us_tensor_count(t) <= SHOW) {
        us_buf_clear(text);
        us_view_tensor(t, SHOW, text);
        key(b, "t");
        us_json_add_text(b, us_buf_sv(text));
    }
    if (t->data && d->to_f64 && us_tensor_contiguous(t) && us_tensor_count(t) > 0)
        stats_json(t, b);
    us_buf_addc(b, '}');
}

/* --- values ------------------------------------------------------------------------------------------------- */

static uint32_t number_of(const us_vgraph *g, us_vid val)
{
    while (g->g->vals.at[val].storage == US_ST_OUTER && g->owner && us_v_const(g->g, val)) {
        val = g->g->vals.at[val].outer;
        g = g->owner->g;
    }
    return g->value0 + val;
}

/* name, type, item that makes it or -1, constant or 0 */
static us_err value_json(const us_view *v, const us_vgraph *g, us_vid val, us_buf *b,
                         us_buf *text)
{
    const us_val *x = &g->g->vals.at[val];
    const us_type *t = us_v_type(v, g, val);
    const us_tensor *w = x->storage == US_ST_OUTER ? NULL : us_v_const(g->g, val);
    uint32_t item = g->item_of[val];
    us_buf_addc(b, '[');
    us_json_add_text(b, x->name);
    us_buf_addc(b, ',');
    us_buf_clear(text);
    if (w) {
        us_type wt = {.kind = US_KIND_TENSOR, .dtype = w->dtype, .rank = w->rank};
        us_dim dims[US_MAX_RANK];
        for (int i = 0; i < w->rank; i++)
            dims[i] = US_DIM(w->dims[i]);
        wt.dims = dims;
        us_type_print(&v->typed->syms, &wt, text);
    } else if (t->kind != US_KIND_NONE) {
        us_type_print(&v->typed->syms, t, text);
    }
    us_json_add_text(b, us_buf_sv(text));
    us_buf_addf(b, ",%lld,", item == US_NIL ? -1LL : (long long)g->items[item].id);
    if (w)
        const_json(w, b, text);
    else
        us_buf_addc(b, '0');
    us_buf_adds(b, "]");
    US_TRY(us_buf_check(text));
    return us_ctx_poll(v->c);
}

/* --- items --------------------------------------------------------------------------------------------------- */

/* Name of formal parameter i; of a list: its name for all that follow. */
static const char *param_name(const us_param *p, uint32_t i)
{
    for (uint32_t j = 0; p && p[j].name; j++)
        if (j == i || (p[j].flags & US_P_VARIADIC)) return p[j].name;
    return "";
}

static void ends_json(const us_vgraph *g, const us_param *p, const us_vid *at, uint32_t n,
                      us_buf *b)
{
    us_buf_addc(b, '[');
    for (uint32_t i = 0, some = 0; i < n; i++) {
        if (at[i] == US_NIL) continue;
        us_buf_adds(b, some++ ? ",[" : "[");
        us_json_add_text(b, us_sv_of(param_name(p, i)));
        us_buf_addf(b, ",%u]", number_of(g, at[i]));
    }
    us_buf_addc(b, ']');
}

static void node_json(const us_view *v, const us_item *it, us_buf *b, us_buf *text)
{
    const us_node *n = &it->g->g->nodes.at[it->node];
    key(b, "o");
    us_json_add_text(b, n->op_type);
    key(b, "d");
    us_json_add_text(b, n->domain);
    key(b, "n");
    us_json_add_text(b, n->name);
    us_buf_addf(b, ",\"v\":%d", n->version);
    if (n->offset) us_buf_addf(b, ",\"at\":%llu", (unsigned long long)n->offset);
    if (n->doc.n) key(b, "doc");
    if (n->doc.n) us_json_add_text(b, n->doc);
    key(b, "i");
    ends_json(it->g, n->schema ? n->schema->in : NULL, n->in, n->n_in, b);
    key(b, "u");
    ends_json(it->g, n->schema ? n->schema->out : NULL, n->out, n->n_out, b);
    key(b, "a");
    us_buf_addc(b, '[');
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        us_buf_clear(text);
        us_view_attr(v, &n->attrs[i], MAX_ATTRS, text);
        us_buf_adds(b, i ? ",[" : "[");
        us_json_add_text(b, n->attrs[i].name);
        us_buf_addc(b, ',');
        us_json_add_text(b, us_buf_sv(text));
        us_buf_addc(b, ']');
    }
    us_buf_addc(b, ']');
}

static us_err item_json(const us_view *v, const us_item *it, us_buf *b, us_buf *text)
{
    static const char *const roles[] = {"node", "input", "output", "outer"};
    const us_vgraph *g = it->g;
    us_buf_addf(b, "{\"r\":\"%s\",\"k\":%d,\"g\":%u,\"p\":[%ld,%ld,%ld,%ld]", roles[it->role],
                (int)it->kind, g->id, lroundf(it->x), lroundf(it->y), lroundf(it->w),
                lroundf(it->h));
    if (it->role == US_ITEM_NODE) {
        node_json(v, it, b, text);
    } else {
        key(b, "n");
        us_json_add_text(b, g->g->vals.at[it->val].name);
        us_buf_addf(b, ",\"%s\":[[\"\",%u]]", it->role == US_ITEM_OUTPUT ? "i" : "u",
                    g->value0 + it->val);
        if (it->role == US_ITEM_OUTER && g->owner)
            us_buf_addf(b, ",\"i\":[[\"\",%u]]",
                        number_of(g->owner->g, g->g->vals.at[it->val].outer));
    }
    us_buf_addc(b, '}');
    return us_buf_check(text);
}

/* --- the model ------------------------------------------------------------------------------------------------ */

static us_err model_json(const us_view *v, us_buf *b, us_buf *text)
{
    const us_model *m = v->m;
    us_buf_adds(b, "{\"title\":");
    us_json_add_text(b, us_sv_of(v->o.title));
    key(b, "about");
    us_buf_clear(text);
    us_view_about(v, text);
    us_json_add_text(b, us_buf_sv(text));
    key(b, "meta");
    us_buf_clear(text);
    us_buf_addf(text, "%lld", (long long)m->ir_version);
    us_buf_addc(b, '[');
    pair(b, "", "IR version", us_buf_sv(text));
    us_buf_clear(text);
    for (size_t i = 0; i < m->opsets.n; i++) {
        us_sv d = m->opsets.at[i].domain;
        us_buf_adds(text, i ? ", " : "");
        us_buf_addsv(text, d.n ? d : US_SV("ai.onnx"));
        us_buf_addf(text, " %d", m->opsets.at[i].version);
    }
    pair(b, ",", "operator sets", us_buf_sv(text));
    us_buf_clear(text);
    us_buf_addsv(text, m->producer_name);
    us_buf_addc(text, ' ');
    us_buf_addsv(text, m->producer_version);
    if (text->n > 1) pair(b, ",", "made by", us_buf_sv(text));
    if (m->doc.n) pair(b, ",", "description", m->doc);
    for (size_t i = 0; i < m->props.n; i++) {
        us_buf_adds(b, ",[");
        us_json_add_text(b, m->props.at[i].key);
        us_buf_addc(b, ',');
        us_json_add_text(b, m->props.at[i].value);
        us_buf_addc(b, ']');
    }
    us_buf_addc(b, ']');
    key(b, "kinds");
    for (int i = 0; i < US_VK_N; i++) {
        us_buf_addc(b, i ? ',' : '[');
        us_json_add_text(b, us_sv_of(v->used[i] ? us_vkind_get((us_vkind)i)->text : ""));
    }
    us_buf_addc(b, ']');
    return us_buf_check(text);
}

static us_err all_json(const us_view *v, us_buf *b, us_buf *text)
{
    US_TRY(model_json(v, b, text));
    key(b, "graphs");
    for (size_t i = 0; i < v->graphs.n; i++) {
        const us_vgraph *g = v->graphs.at[i];
        us_buf_addc(b, i ? ',' : '[');
        us_buf_addc(b, '[');
        us_json_add_text(b, g->title);
        us_buf_addf(b, ",%lld]", g->owner ? (long long)g->owner->id : -1LL);
    }
    us_buf_addc(b, ']');
    key(b, "items");
    for (size_t i = 0; i < v->items.n; i++) {
        us_buf_addc(b, i ? ',' : '[');
        US_TRY(item_json(v, v->items.at[i], b, text));
    }
    us_buf_addc(b, v->items.n ? ']' : '[');
    if (!v->items.n) us_buf_addc(b, ']');
    key(b, "values");
    us_buf_addc(b, '[');
    for (size_t i = 0, n = 0; i < v->graphs.n; i++)
        for (us_vid q = 0; q < v->graphs.at[i]->g->vals.n; q++, n++) {
            if (n) us_buf_adds(b, ",");
            US_TRY(value_json(v, v->graphs.at[i], q, b, text));
        }
    us_buf_adds(b, "]}");
    return us_buf_check(b);
}

us_err us_view_data(const us_view *v, us_buf *b)
{
    us_buf text;
    us_buf_init(&text, v->c, US_VIEW_MAX_TEXT);
    us_err e = all_json(v, b, &text);
    us_buf_deinit(&text);
    return e;
}
