/* ir/op_expand.c - expansions written as expressions; the language is described in op_util.h.
 *
 * A recursive-descent reader that emits a node per call as it returns from the arguments. Nodes are
 * made in the current form of their operators, whatever the model imports, because expansion runs after
 * the upgrade. The node that computes `y` takes over the output value of the expanded node, so that names
 * (of graph outputs above all) stay.
 */
#include "ir/op_util.h"

#include <string.h>

enum { MAX_TEMPS = 24, MAX_ARGS = 8, MAX_ATTRS = 6, MAX_DEPTH = 24 };

typedef struct expander {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    us_nid n; /* the node being replaced */
    const char *p;
    us_sv names[MAX_TEMPS];
    us_vid temps[MAX_TEMPS];
    size_t n_temps;
    us_nid last; /* node that made the value of the last expression; US_NIL: none did */
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

/* A decoded attribute of the expanded node as a number. */
static us_err attribute(expander *x, us_sv name, double *out)
{
    const us_node *nd = &x->g->nodes.at[x->n];
    const us_schema *s = us_op_current(nd->op);
    for (const us_attr_row *r = s->attrs; r && r->name; r++) {
        if (!us_sv_is(name, r->name)) continue;
        const char *at = (const char *)nd->params + r->offset;
        if (r->kind == US_AT_INT)
            *out = (double)*(const int64_t *)(const void *)at;
        else
            *out = (double)*(const float *)(const void *)at;
        return US_OK;
    }
    return bad(x, "no such attribute");
}

static us_err number(expander *x, double *out)
{
    if (take(x, '$')) return attribute(x, word(x), out);
    blanks(x);
    const char *p = x->p;
    while ((*x->p >= '0' && *x->p <= '9') || (*x->p && strchr("+-.eE", *x->p)))
        x->p++;
    return us_parse_f64((us_sv){p, (size_t)(x->p - p)}, out) ? US_OK : bad(x, "not a number");
}

/* Scalar of the element type of the node's first input. */
static us_err scalar(expander *x, double v, us_vid *out)
{
    us_dtype t = x->g->vals.at[x->g->nodes.at[x->n].in[0]].type.dtype;
    const us_dtype_info *info = us_dtype_get(t);
    if (!info->from_f64)
        return us_fail(x->c, US_UNSUPP,
                       "expansion of " US_SV_FMT " needs the type of its input",
                       US_SV_ARG(x->g->nodes.at[x->n].op_type));
    us_tensor k;
    US_TRY(us_tensor_new(x->c, x->m->arena, t, 0, NULL, &k));
    info->from_f64(k.data, 0, 1, &v);
    return us_graph_add_const(x->c, x->g, US_SV(""), US_ST_CONST, &k, out);
}

static us_err vector(expander *x, us_vid *out)
{
    int64_t v[US_MAX_RANK], n = 0;
    while (!take(x, ']')) {
        double d;
        US_TRY(number(x, &d));
        if (n == US_MAX_RANK) return bad(x, "vector too long");
        v[n++] = (int64_t)d;
        (void)take(x, ',');
    }
    us_tensor k;
    US_TRY(us_tensor_new(x->c, x->m->arena, US_I64, 1, &n, &k));
    if (n) memcpy(k.data, v, (size_t)n * sizeof *v);
    return us_graph_add_const(x->c, x->g, US_SV(""), US_ST_CONST, &k, out);
}

static us_err add_node(expander *x, us_sv op, size_t n_in, const us_vid *in, size_t n_attrs,
                       const us_attr *attrs, us_vid *out)
{
    const us_op *row = us_op_find(US_SV(""), op);
    if (!row) return bad(x, "unknown operator");
    us_vid v;
    us_type none = {.rank = -1};
    us_nid nid;
    US_TRY(us_graph_add_val(x->c, x->g, US_SV(""), US_ST_TEMP, &none, &v));
    US_TRY(us_graph_add_node(x->c, x->g, US_SV(""), us_sv_of(row->name),
                             us_op_current(row)->since, US_SV(""), n_in, in, 1, &v, x->n,
                             &nid));
    for (size_t i = 0; i < n_attrs; i++)
        US_TRY(us_node_set_attr(x->c, x->g, nid, &attrs[i]));
    US_TRY(us_node_decode(x->c, x->m, &x->g->nodes.at[nid]));
    x->last = nid;
    *out = v;
    return US_OK;
}

static us_err call(expander *x, us_sv op, us_vid *out)
{
    us_vid in[MAX_ARGS];
    us_attr attrs[MAX_ATTRS];
    size_t n_in = 0, n_attrs = 0;
    if (take(x, '<')) {
        do {
            if (n_attrs == MAX_ATTRS) return bad(x, "too many attributes");
            us_attr a = {.name = word(x), .kind = US_AT_INT};
            double v;
            if (!take(x, '=')) return bad(x, "expected '='");
            US_TRY(number(x, &v));
            a.i = (int64_t)v;
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
    return add_node(x, op, n_in, in, n_attrs, attrs, out);
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
    if (name.n != 2 || name.p[0] != 'x') return bad(x, "unknown name");
    size_t i = (size_t)(name.p[1] - '0');
    *out = i < nd->n_in ? nd->in[i] : US_NIL;
    return US_OK;
}

static us_err expression(expander *x, us_vid *out)
{
    if (++x->depth > MAX_DEPTH) return bad(x, "too deep");
    us_err e;
    blanks(x);
    if (take(x, '[')) {
        e = vector(x, out);
        x->last = US_NIL;
    } else if ((*x->p >= '0' && *x->p <= '9') || *x->p == '-' || *x->p == '$') {
        double v;
        US_TRY(number(x, &v));
        e = scalar(x, v, out);
        x->last = US_NIL;
    } else {
        us_sv name = word(x);
        blanks(x);
        e = *x->p == '(' || *x->p == '<' ? call(x, name, out) : variable(x, name, out);
    }
    x->depth--;
    return e;
}

/* The node that made v gets the expanded node's output i instead, and the other way round. */
static us_err take_output(expander *x, size_t i, us_vid v)
{
    us_node *nd = &x->g->nodes.at[x->n];
    if (i >= nd->n_out || nd->out[i] == US_NIL) return US_OK;
    if (x->last == US_NIL) US_TRY(add_node(x, US_SV("Identity"), 1, &v, 0, NULL, &v));
    nd = &x->g->nodes.at[x->n];
    us_vid old = nd->out[i];
    nd->out[i] = v;
    x->g->vals.at[v].def = x->n;
    x->g->vals.at[v].def_out = (uint32_t)i;
    x->g->nodes.at[x->last].out[0] = old;
    x->g->vals.at[old].def = x->last;
    x->g->vals.at[old].def_out = 0;
    return US_OK;
}

us_err us_expand_text(us_ctx *c, us_model *m, us_graph *g, us_nid n, const char *text)
{
    expander x = {.c = c, .m = m, .g = g, .n = n, .p = text};
    blanks(&x);
    while (*x.p) {
        us_sv name = word(&x);
        us_vid v;
        if (!take(&x, '=')) return bad(&x, "expected '='");
        US_TRY(expression(&x, &v));
        (void)take(&x, ';');
        if (name.p[0] == 'y') {
            US_TRY(take_output(&x, name.n == 2 ? (size_t)(name.p[1] - '0') : 0, v));
        } else {
            if (x.n_temps == MAX_TEMPS) return bad(&x, "too many names");
            x.names[x.n_temps] = name;
            x.temps[x.n_temps++] = v;
        }
        blanks(&x);
    }
    return US_OK;
}
