/* ir/op_expand.c - expansions written as expressions; the language is described in op_util.h.
 *
 * A recursive-descent reader that emits a node per call as it returns from the arguments. Nodes are
 * made in the current form of their operators, whatever the model imports, because expansion runs after
 * the upgrade. The node that computes `y` takes over the output value of the expanded node, so that names
 * (of graph outputs above all) stay.
 */
#include "ir/op_util.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TEMPS = 64, MAX_ARGS = 64, MAX_ATTRS = 8, MAX_DEPTH = 24, MAX_RESULTS = 64 };

typedef struct expander {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    us_nid n; /* the node being replaced */
    const char *p;
    us_dtype dtype; /* of numbers, when not that of the first input */
    us_sv names[MAX_TEMPS];
    us_vid temps[MAX_TEMPS];
    size_t n_temps;
    struct {
        us_nid maker;
        size_t at;
        us_vid v;
    } y[MAX_RESULTS]; /* the node's outputs: result `at` of `maker`; US_NIL: not given */
    us_nid last;      /* node that made the value of the last expression; US_NIL: none did */
    int depth;
} expander;

static us_err expression(expander *x, us_vid *out);

static us_err bad(expander *x, const char *why)
{
    return us_fail(x->c, US_BUG, "expansion of " US_SV_FMT ": %s at '%.20s'",
                   US_SV_ARG(x->g->nodes.at[x->n].op_type), why, x->p);
}

static void blanks(expander *x)
{
    while (*x->p == ' ' || *x->p == '\n')
        x->p++;
}

static bool take(expander *x, char ch)
{
    blanks(x);
    if (*x->p != ch) return false;
    x->p++;
    return true;
}

static us_sv word(expander *x)
{
    blanks(x);
    const char *p = x->p;
    while ((*x->p >= 'a' && *x->p <= 'z') || (*x->p >= 'A' && *x->p <= 'Z') ||
           (*x->p >= '0' && *x->p <= '9') || *x->p == '_')
        x->p++;
    return (us_sv){p, (size_t)(x->p - p)};
}

/* --- the node's own attributes --------------------------------------------------------------------- */

/* Row and field of a decoded attribute of the expanded node; NULL when there is none. */
static const us_attr_row *field(const expander *x, us_sv name, const void **at)
{
    const us_node *nd = &x->g->nodes.at[x->n];
    const us_schema *s = us_op_current(nd->op);
    for (const us_attr_row *r = s->attrs; r && r->name; r++) {
        if (!us_sv_is(name, r->name)) continue;
        *at = (const char *)nd->params + r->offset;
        return r;
    }
    return NULL;
}

static us_err attribute(expander *x, us_sv name, double *out)
{
    const void *at;
    const us_attr_row *r = field(x, name, &at);
    if (!r) return bad(x, "no such attribute");
    if (r->kind == US_AT_INT)
        *out = (double)*(const int64_t *)at;
    else if (r->kind == US_AT_FLOAT)
        *out = (double)*(const float *)at;
    else
        return bad(x, "an attribute that is not a number");
    return US_OK;
}

/* --- constants -------------------------------------------------------------------------------------- */

static us_err number(expander *x, double *out)
{
    if (take(x, '$')) return attribute(x, word(x), out);
    blanks(x);
    const char *p = x->p;
    while ((*x->p >= '0' && *x->p <= '9') || (*x->p && strchr("+-.eE", *x->p)))
        x->p++;
    if (x->p - p <= 1 && us_sv_starts(us_sv_of(x->p), "inf")) {
        *out = *p == '-' ? -(double)INFINITY : (double)INFINITY;
        x->p += 3;
        return US_OK;
    }
    return us_parse_f64((us_sv){p, (size_t)(x->p - p)}, out) ? US_OK : bad(x, "not a number");
}

/* A whole number; an integer attribute keeps all its digits. */
static us_err integer(expander *x, int64_t *out)
{
    const char *p = x->p;
    const void *at;
    const us_attr_row *r = take(x, '$') ? field(x, word(x), &at) : NULL;
    double v;
    if (r && r->kind == US_AT_INT) {
        *out = *(const int64_t *)at;
        return US_OK;
    }
    x->p = p;
    US_TRY(number(x, &v));
    if (!(fabs(v) < 9.2e18))
        return us_expand_refuse(x->c, x->g, x->n, "a whole number is out of range");
    *out = (int64_t)v;
    return US_OK;
}

static us_err add_const(expander *x, const us_tensor *t, us_vid *out)
{
    x->last = US_NIL;
    return us_graph_add_const(x->c, x->g, US_SV(""), US_ST_CONST, t, out);
}

/* After '@': an input's element type, or a type's number. */
static us_err dtype_name(expander *x, us_dtype *out)
{
    us_sv name = word(x);
    const us_node *nd = &x->g->nodes.at[x->n];
    double v;
    if (name.n && name.p[0] == 'x') {
        size_t i = 0;
        for (size_t k = 1; k < name.n; k++)
            i = i * 10 + (size_t)(name.p[k] - '0');
        *out = i < nd->n_in && nd->in[i] != US_NIL ? x->g->vals.at[nd->in[i]].type.dtype
                                                   : US_DT_NONE;
        return US_OK;
    }
    if (!us_parse_f64(name, &v)) return bad(x, "not a type");
    *out = (us_dtype)v;
    return US_OK;
}

/* Scalar of the element type of the node's first input, or of the one after '@'. */
static us_err scalar(expander *x, double v, us_vid *out)
{
    us_dtype t = US_DT_NONE;
    if (take(x, '@'))
        US_TRY(dtype_name(x, &t));
    else if (x->dtype != US_DT_NONE)
        t = x->dtype;
    else if (x->g->nodes.at[x->n].n_in && x->g->nodes.at[x->n].in[0] != US_NIL)
        t = x->g->vals.at[x->g->nodes.at[x->n].in[0]].type.dtype;
    const us_dtype_info *info = us_dtype_get(t);
    us_tensor k;
    if (t != US_STRING && !info->from_f64)
        return us_fail(x->c, US_UNSUPP,
                       "expansion of " US_SV_FMT " needs the type of its input",
                       US_SV_ARG(x->g->nodes.at[x->n].op_type));
    US_TRY(us_tensor_new(x->c, x->m->arena, t, 0, NULL, &k));
    if (t != US_STRING) info->from_f64(k.data, 0, 1, &v); /* of strings only the empty one */
    return add_const(x, &k, out);
}

static us_err int64_const(expander *x, int rank, int64_t n, const int64_t *v, us_vid *out)
{
    us_tensor k;
    US_TRY(us_tensor_new(x->c, x->m->arena, US_I64, rank, rank ? &n : NULL, &k));
    if (n) memcpy(k.data, v, (size_t)n * sizeof *v);
    return add_const(x, &k, out);
}

/* [1, $a, 2]; an attribute that is a list gives all its numbers. */
static us_err integers(expander *x, int64_t *v, size_t room, size_t *n)
{
    for (*n = 0; !take(x, ']'); (void)take(x, ',')) {
        const char *p = x->p;
        const void *at;
        const us_attr_row *r = take(x, '$') ? field(x, word(x), &at) : NULL;
        const us_ints *list = r && r->kind == US_AT_INTS ? at : NULL;
        int64_t one = 0;
        if (!list) {
            x->p = p;
            US_TRY(integer(x, &one));
        }
        if (*n + (list ? list->n : 1) > room) return bad(x, "vector too long");
        for (size_t i = 0; list && i < list->n; i++)
            v[(*n)++] = list->p[i];
        if (!list) v[(*n)++] = one;
    }
    return US_OK;
}

static us_err vector(expander *x, us_vid *out)
{
    int64_t v[4 * US_MAX_RANK];
    size_t n;
    US_TRY(integers(x, v, US_LEN(v), &n));
    return int64_const(x, 1, (int64_t)n, v, out);
}

/* $name as a value: a list becomes a vector of its own type, a tensor itself, a number a scalar like the input. */
static us_err attribute_value(expander *x, us_vid *out)
{
    const char *p = x->p;
    const void *at;
    us_tensor k;
    (void)take(x, '$');
    const us_attr_row *r = field(x, word(x), &at);
    if (!r) return bad(x, "no such attribute");
    if (r->kind == US_AT_TENSOR) {
        const us_tensor *t = *(const us_tensor *const *)at;
        return t ? add_const(x, t, out) : bad(x, "the tensor is not there");
    }
    if (r->kind == US_AT_INTS) {
        const us_ints *v = at;
        return int64_const(x, 1, (int64_t)v->n, v->p, out);
    }
    if (r->kind == US_AT_FLOATS) {
        const us_floats *v = at;
        const int64_t n = (int64_t)v->n;
        US_TRY(us_tensor_new(x->c, x->m->arena, US_F32, 1, &n, &k));
        if (n) memcpy(k.data, v->p, v->n * sizeof *v->p);
        return add_const(x, &k, out);
    }
    if (r->kind == US_AT_STRINGS) {
        const us_strs *v = at;
        const int64_t n = (int64_t)v->n;
        US_TRY(us_tensor_new(x->c, x->m->arena, US_STRING, 1, &n, &k));
        if (n) memcpy(k.data, v->p, v->n * sizeof *v->p);
        return add_const(x, &k, out);
    }
    double v;
    x->p = p;
    US_TRY(number(x, &v));
    return scalar(x, v, out);
}

/* --- calls ------------------------------------------------------------------------------------------- */

static us_err add_node(expander *x, us_sv op, size_t n_in, const us_vid *in, size_t n_attrs,
                       const us_attr *attrs, size_t n_out, us_vid *out)
{
    const us_op *row = us_op_find(US_SV(""), op);
    if (!row) return bad(x, "unknown operator");
    us_type none = {.rank = -1};
    us_nid nid;
    for (size_t i = 0; i < n_out; i++)
        US_TRY(us_graph_add_val(x->c, x->g, US_SV(""), US_ST_TEMP, &none, &out[i]));
    US_TRY(us_graph_add_node(x->c, x->g, US_SV(""), us_sv_of(row->name),
                             us_op_current(row)->since, US_SV(""), n_in, in, n_out, out, x->n,
                             &nid));
    for (size_t i = 0; i < n_attrs; i++)
        US_TRY(us_node_set_attr(x->c, x->g, nid, &attrs[i]));
    US_TRY(us_node_decode(x->c, x->m, &x->g->nodes.at[nid]));
    x->last = nid;
    return US_OK;
}

static us_err int_list(expander *x, us_attr *a)
{
    int64_t v[4 * US_MAX_RANK];
    if (!take(x, '[')) return bad(x, "expected '['");
    US_TRY(integers(x, v, US_LEN(v), &a->n));
    int64_t *p = us_new_n(x->m->arena, int64_t, a->n + 1);
    if (!p) return us_arena_fail(x->c, x->m->arena);
    memcpy(p, v, a->n * sizeof *v);
    a->ints = p;
    return US_OK;
}

static us_err string_value(expander *x, us_attr *a)
{
    const void *at;
    if (take(x, '$')) {
        const us_attr_row *r = field(x, word(x), &at);
        if (!r || r->kind != US_AT_STRING) return bad(x, "not a string attribute");
        a->s = *(const us_sv *)at;
        return US_OK;
    }
    if (!take(x, '\'')) return bad(x, "expected a string");
    const char *p = x->p;
    while (*x->p && *x->p != '\'')
        x->p++;
    US_TRY(us_sv_dup(x->c, x->m->arena, (us_sv){p, (size_t)(x->p - p)}, &a->s));
    return take(x, '\'') ? US_OK : bad(x, "expected an end of the string");
}

/* One attribute of a call; what may stand after '=' follows from the operator's schema. */
static us_err attr_value(expander *x, const us_op *op, us_attr *a)
{
    const us_attr_row *r = op ? us_op_current(op)->attrs : NULL;
    double v;
    while (r && r->name && !us_sv_is(a->name, r->name))
        r++;
    if (!r || !r->name) return bad(x, "the operator has no such attribute");
    a->kind = (int32_t)r->kind;
    if (r->kind == US_AT_INTS) return int_list(x, a);
    if (r->kind == US_AT_STRING) return string_value(x, a);
    if (r->kind == US_AT_INT && take(x, '@')) {
        us_dtype t;
        US_TRY(dtype_name(x, &t));
        a->i = (int64_t)t;
        return US_OK;
    }
    if (r->kind == US_AT_INT) return integer(x, &a->i);
    US_TRY(number(x, &v));
    a->f = (float)v;
    return US_OK;
}

static us_err call(expander *x, us_sv op, size_t n_out, us_vid *out)
{
    us_vid in[MAX_ARGS];
    us_attr attrs[MAX_ATTRS];
    size_t n_in = 0, n_attrs = 0;
    if (take(x, '<')) {
        do {
            if (n_attrs == MAX_ATTRS) return bad(x, "too many attributes");
            us_attr a = {.name = word(x)};
            if (!take(x, '=')) return bad(x, "expected '='");
            US_TRY(attr_value(x, us_op_find(US_SV(""), op), &a));
            attrs[n_attrs++] = a;
        } while (take(x, ','));
        if (!take(x, '>')) return bad(x, "expected '>'");
    }
    if (!take(x, '(')) return bad(x, "expected '('");
    while (!take(x, ')')) {
        if (n_in == MAX_ARGS) return bad(x, "too many arguments");
        US_TRY(expression(x, &in[n_in++]));
        (void)take(x, ',');
    }
    return add_node(x, op, n_in, in, n_attrs, attrs, n_out, out);
}

/* x0, x1, ... or a name given before; x without an input is left out. */
static us_err variable(expander *x, us_sv name, us_vid *out)
{
    const us_node *nd = &x->g->nodes.at[x->n];
    x->last = US_NIL;
    for (size_t i = 0; i < x->n_temps; i++)
        if (us_sv_eq(x->names[i], name)) {
            *out = x->temps[i];
            return US_OK;
        }
    int64_t i;
    if (us_sv_is(name, "_")) {
        *out = US_NIL;
        return US_OK;
    }
    if (name.n < 2 || name.p[0] != 'x' || !us_parse_i64((us_sv){name.p + 1, name.n - 1}, &i) ||
        i < 0)
        return bad(x, "unknown name");
    *out = i < (int64_t)nd->n_in ? nd->in[i] : US_NIL;
    return US_OK;
}

static us_err literal(expander *x, us_vid *out)
{
    double v;
    int64_t whole;
    if (take(x, '[')) return vector(x, out);
    if (take(x, '#')) {
        US_TRY(integer(x, &whole));
        return int64_const(x, 0, 1, &whole, out);
    }
    if (*x->p == '$') return attribute_value(x, out);
    US_TRY(number(x, &v));
    return scalar(x, v, out);
}

static us_err expression(expander *x, us_vid *out)
{
    if (++x->depth > MAX_DEPTH) return bad(x, "too deep");
    us_err e;
    blanks(x);
    if ((*x->p >= '0' && *x->p <= '9') || (*x->p && strchr("[#$-", *x->p)) ||
        us_sv_starts(us_sv_of(x->p), "inf")) {
        e = literal(x, out);
    } else {
        us_sv name = word(x);
        blanks(x);
        e = *x->p == '(' || *x->p == '<' ? call(x, name, 1, out) : variable(x, name, out);
    }
    x->depth--;
    return e;
}

/* --- statements -------------------------------------------------------------------------------------- */

/* Each of the node's outputs and the value that stands for it change places. */
static void take_outputs(expander *x)
{
    us_node *nd = &x->g->nodes.at[x->n];
    for (uint32_t i = 0; i < nd->n_out && i < MAX_RESULTS; i++) {
        us_nid maker = x->y[i].maker;
        us_vid v = x->y[i].v, old = nd->out[i];
        if (maker == US_NIL) continue;
        nd->out[i] = v;
        x->g->vals.at[v].def = x->n;
        x->g->vals.at[v].def_out = i;
        x->g->nodes.at[maker].out[x->y[i].at] = old;
        x->g->vals.at[old].def = maker;
        x->g->vals.at[old].def_out = (uint32_t)x->y[i].at;
    }
}

/* y, y1, ...: an output of the expanded node; -1: another name. */
static int output_index(us_sv name)
{
    int64_t i = 0;
    if (!name.n || name.p[0] != 'y') return -1;
    if (name.n > 1 && !us_parse_i64((us_sv){name.p + 1, name.n - 1}, &i)) return -1;
    return (int)i;
}

/* Gives result `at` of the node x->last (US_NIL: a value that was there before) its name. */
static us_err assign(expander *x, us_sv name, size_t at, us_vid v)
{
    int i = output_index(name);
    const us_node *nd = &x->g->nodes.at[x->n];
    if (i < 0) {
        size_t k = 0;
        while (k < x->n_temps && !us_sv_eq(x->names[k], name))
            k++;
        if (k == MAX_TEMPS) return bad(x, "too many names");
        x->names[k] = name; /* a name given again means the later value */
        x->temps[k] = v;
        x->n_temps = US_MAX(x->n_temps, k + 1);
        return US_OK;
    }
    if (i >= MAX_RESULTS || (uint32_t)i >= nd->n_out || nd->out[i] == US_NIL) return US_OK;
    if (x->last == US_NIL) {
        const us_vid from = v;
        US_TRY(add_node(x, US_SV("Identity"), 1, &from, 0, NULL, 1, &v));
    }
    x->y[i].maker = x->last;
    x->y[i].at = at;
    x->y[i].v = v;
    return US_OK;
}

static us_err statement(expander *x)
{
    us_sv names[MAX_RESULTS];
    us_vid v[MAX_RESULTS];
    size_t n = 0;
    do {
        if (n == MAX_RESULTS) return bad(x, "too many results");
        names[n++] = word(x);
    } while (take(x, ','));
    if (!take(x, '=')) return bad(x, "expected '='");
    if (n > 1)
        US_TRY(call(x, word(x), n, v));
    else
        US_TRY(expression(x, v));
    us_nid last = x->last;
    for (size_t i = 0; i < n; i++) {
        x->last = last;
        US_TRY(assign(x, names[i], i, v[i]));
    }
    return US_OK;
}

static us_err program(expander *x)
{
    if (take(x, '@')) US_TRY(dtype_name(x, &x->dtype));
    do {
        blanks(x);
        if (*x->p) US_TRY(statement(x));
    } while (take(x, ';'));
    return *x->p ? bad(x, "expected ';'") : US_OK;
}

us_err us_expand_text(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *text)
{
    expander x = {.c = c, .m = m, .g = g, .n = n, .p = text};
    size_t before = g->nodes.n;
    for (size_t i = 0; i < MAX_RESULTS; i++)
        x.y[i].maker = US_NIL;
    us_err e = program(&x);
    if (e == US_OK)
        take_outputs(&x);
    else /* refused: as if nothing had been */
        for (size_t i = before; i < g->nodes.n; i++)
            us_graph_remove_node(g, (us_nid)i);
    return e;
}

us_err us_expand_fmt(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *fmt, ...)
{
    char text[US_EXPAND_TEXT];
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (len < 0 || len >= US_EXPAND_TEXT)
        return us_expand_refuse(c, g, n, "its expansion would be too long");
    return us_expand_text(c, m, g, n, text);
}

void us_expand_add(us_expand_buf *b, const char *fmt, ...)
{
    size_t room = sizeof b->text - b->n;
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(b->text + b->n, room, fmt, ap);
    va_end(ap);
    b->full = b->full || len < 0 || (size_t)len >= room;
    if (!b->full) b->n += (size_t)len;
}

us_err us_expand_buffer(us_ctx *c, us_model *m, us_graph *g, us_nid n, const us_expand_buf *b)
{
    if (b->full) return us_expand_refuse(c, g, n, "its expansion would be too long");
    return us_expand_text(c, m, g, n, b->text);
}

us_err us_expand_refuse(us_ctx *c, const us_graph *g, us_nid n, const char *why)
{
    const us_node *nd = &g->nodes.at[n];
    return us_fail(c, US_UNSUPP, "expanding " US_SV_FMT " '" US_SV_FMT "': %s",
                   US_SV_ARG(nd->op_type), US_SV_ARG(nd->name), why);
}

/* --- what expansions ask of their node --------------------------------------------------------------- */

bool us_expand_has(const us_graph *g, us_nid n, size_t i)
{
    const us_node *nd = &g->nodes.at[n];
    return i < nd->n_in && nd->in[i] != US_NIL;
}

bool us_expand_gives(const us_graph *g, us_nid n, size_t i)
{
    const us_node *nd = &g->nodes.at[n];
    return i < nd->n_out && nd->out[i] != US_NIL;
}

const us_type *us_expand_type(const us_graph *g, us_nid n, size_t i)
{
    if (!us_expand_has(g, n, i)) return NULL;
    const us_type *t = &g->vals.at[g->nodes.at[n].in[i]].type;
    return t->kind == US_KIND_TENSOR ? t : NULL;
}

us_dtype us_expand_dtype(const us_graph *g, us_nid n, size_t i)
{
    const us_type *t = us_expand_type(g, n, i);
    return t ? t->dtype : US_DT_NONE;
}

int us_expand_rank(const us_graph *g, us_nid n, size_t i)
{
    const us_type *t = us_expand_type(g, n, i);
    return t ? t->rank : -1;
}

int64_t us_expand_dim(const us_graph *g, us_nid n, size_t i, int axis)
{
    const us_type *t = us_expand_type(g, n, i);
    if (!t || axis < 0 || axis >= t->rank || !us_dim_known(t->dims[axis])) return -1;
    return t->dims[axis].add;
}

us_dim_text us_expand_dim_text(const us_graph *g, us_nid n, size_t i, int axis)
{
    us_dim_text s;
    int64_t d = us_expand_dim(g, n, i, axis);
    if (d >= 0)
        (void)snprintf(s.text, sizeof s.text, "[%lld]", (long long)d);
    else
        (void)snprintf(s.text, sizeof s.text, "Shape<start=%d,end=%d>(x%zu)", axis, axis + 1,
                       i);
    return s;
}

us_axes_text us_expand_axes_text(int from, int to)
{
    us_axes_text s;
    size_t at = 0;
    s.text[at++] = '[';
    for (int i = from; i < to && at + 8 < sizeof s.text; i++)
        at += (size_t)snprintf(s.text + at, sizeof s.text - at, "%s%d", i > from ? "," : "", i);
    s.text[at++] = ']';
    s.text[at] = 0;
    return s;
}

bool us_expand_const_ints(const us_graph *g, us_nid n, size_t i, size_t max, int64_t *out,
                          size_t *count)
{
    if (!us_expand_has(g, n, i)) return false;
    const us_val *v = &g->vals.at[g->nodes.at[n].in[i]];
    if (v->storage != US_ST_CONST || v->also_input || !v->data ||
        v->data->kind != US_KIND_TENSOR)
        return false;
    const us_tensor *t = &v->data->t;
    if (!us_dtype_get(t->dtype)->to_i64 || us_tensor_count(t) > (int64_t)max) return false;
    *count = (size_t)us_tensor_count(t);
    for (size_t k = 0; k < *count; k++)
        out[k] = us_tensor_i64_at(t, (int64_t)k);
    return true;
}
