/* ir/text_parse.c - the text form into a model: recursive descent, one function per construct.
 *
 * A value is known from where it is defined on; `^name` means the value of an enclosing graph. Names and strings that
 * need no copy still point into the text while parsing; everything kept is copied into the model.
 */
#include <string.h>

#include "base/ctx.h"
#include "ir/text.h"
#include "ir/text_scan.h"

/* --- values ----------------------------------------------------------------------------------------------------- */

static us_err typed_name(us_scan *s, us_sv *name, us_type *t)
{
    *t = (us_type){.kind = US_KIND_NONE, .rank = -1};
    US_TRY(us_scan_name(s, name, NULL));
    if (!name->n) return us_scan_fail(s, "a value without a name");
    return us_scan_take(s, ':') ? us_scan_type(s, t) : US_OK;
}

/* Failures of the graph functions get their place in the text. */
static us_err placed(us_scan *s, us_err e)
{
    if (e != US_FORMAT && e != US_SHAPE && e != US_ARG && e != US_NOTFOUND) return e;
    char text[300];
    size_t n = US_MIN(strlen(s->c->diag.text), sizeof text - 1);
    memcpy(text, s->c->diag.text, n);
    text[n] = 0;
    return us_scan_fail(s, text);
}

static us_err use(us_scan *s, us_graph *g, us_vid *out)
{
    us_sv name;
    bool quoted;
    bool outer = us_scan_take(s, '^');
    US_TRY(us_scan_name(s, &name, &quoted));
    *out = US_NIL;
    if (!outer && !quoted && us_sv_is(name, "_")) return US_OK;
    us_vid v = us_graph_find(g, name);
    if (!outer && v == US_NIL)
        return us_scan_fail(s, "no value of this name is defined before");
    if (outer && v == US_NIL) US_TRY(placed(s, us_graph_capture(s->c, g, name, &v)));
    if (outer != (g->vals.at[v].storage == US_ST_OUTER))
        return us_scan_fail(s, "^ goes before values of enclosing graphs, and only them");
    *out = v;
    return US_OK;
}

static us_err sparse(us_scan *s, us_graph *g, us_sv name, const us_type *t)
{
    us_vid v;
    us_value *data = us_new(s->m->arena, us_value);
    if (!data) return us_arena_fail(s->c, s->m->arena);
    data->kind = US_KIND_SPARSE;
    US_TRY(placed(s, us_graph_add_val(s->c, g, name, US_ST_CONST, t, &v)));
    g->vals.at[v].data = data;
    return us_scan_hex(s, &g->vals.at[v].unknown);
}

static us_err constant(us_scan *s, us_graph *g, us_storage st, bool is_sparse)
{
    us_sv name;
    us_type t;
    us_tensor data;
    us_vid v;
    int64_t dims[US_MAX_RANK];
    US_TRY(typed_name(s, &name, &t));
    US_TRY(us_scan_expect(s, '='));
    if (is_sparse) return sparse(s, g, name, &t);
    if (t.kind != US_KIND_TENSOR || t.rank < 0 || t.dtype == US_DT_NONE)
        return us_scan_fail(s, "a constant needs its type and shape");
    for (int i = 0; i < t.rank; i++) {
        if (!us_dim_known(t.dims[i])) return us_scan_fail(s, "a constant needs a known shape");
        dims[i] = t.dims[i].add;
    }
    US_TRY(placed(s, us_tensor_init(s->c, &data, t.dtype, t.rank, dims, NULL)));
    US_TRY(us_scan_contents(s, &data));
    return placed(s, us_graph_add_const(s->c, g, name, st, &data, &v));
}

/* --- nodes ------------------------------------------------------------------------------------------------------ */

typedef US_VEC(us_vid) ids;

static us_err results(us_scan *s, us_graph *g, ids *out)
{
    while (!us_scan_take(s, '=')) {
        us_sv name;
        us_type t;
        us_vid v = US_NIL;
        if (out->n) US_TRY(us_scan_expect(s, ','));
        us_scan_space(s);
        bool quoted = us_scan_at(s, '"');
        US_TRY(typed_name(s, &name, &t));
        if (quoted || !us_sv_is(name, "_")) {
            US_TRY(placed(s, us_graph_add_val(s->c, g, name, US_ST_TEMP, &t, &v)));
            g->vals.at[v].declared = t.kind != US_KIND_NONE;
        }
        US_TRY(us_vec_push(s->c, s->m->arena, out, v));
    }
    return US_OK;
}

static us_err op_name(us_scan *s, us_sv *domain, us_sv *op, int *version)
{
    us_sv first;
    bool quoted;
    int64_t n = 0;
    *domain = (us_sv){"", 0};
    US_TRY(us_scan_name(s, &first, &quoted));
    *op = first;
    if (us_scan_take(s, ':')) {
        *domain = first;
        US_TRY(us_scan_name(s, op, NULL));
    } else if (!quoted) {
        for (size_t i = first.n; i-- > 0;)
            if (first.p[i] == '.') {
                *domain = (us_sv){first.p, i};
                *op = (us_sv){first.p + i + 1, first.n - i - 1};
                break;
            }
    }
    if (!op->n) return us_scan_fail(s, "expected an operator");
    *version = us_model_opset(s->m, *domain);
    if (!us_scan_take(s, '@')) return US_OK;
    US_TRY(us_scan_int(s, &n));
    if (n < 0 || n > INT32_MAX) return us_scan_fail(s, "no such version");
    *version = (int)n;
    return US_OK;
}

/* `# "name"` on the same line. */
static us_err node_name(us_scan *s, us_sv *out)
{
    *out = (us_sv){0};
    const char *p = s->p;
    while (p < s->end && *p == ' ')
        p++;
    if (s->end - p < 3 || memcmp(p, "# \"", 3) != 0) return US_OK;
    s->p = p + 2;
    return us_scan_name(s, out, NULL);
}

static us_err node(us_scan *s, us_graph *g)
{
    ids in = {0}, out = {0};
    us_sv domain, op, name;
    us_attr *attrs;
    us_nid id;
    uint32_t n;
    int version = 0;
    US_TRY(results(s, g, &out));
    US_TRY(op_name(s, &domain, &op, &version));
    US_TRY(us_scan_expect(s, '('));
    while (!us_scan_take(s, ')')) {
        us_vid v;
        if (in.n) US_TRY(us_scan_expect(s, ','));
        US_TRY(use(s, g, &v));
        US_TRY(us_vec_push(s->c, s->m->arena, &in, v));
    }
    const char *line = s->p;
    US_TRY(us_scan_attrs(s, g, &attrs, &n));
    if (!attrs && !n) s->p = line; /* what was skipped looking for '{' may hold the name */
    US_TRY(node_name(s, &name));
    US_TRY(placed(s, us_graph_add_node(s->c, g, domain, op, version, name, in.n, in.at, out.n,
                                       out.at, US_NIL, &id)));
    g->nodes.at[id].attrs = attrs;
    g->nodes.at[id].n_attrs = n;
    for (uint32_t i = 0; i < n; i++) /* names point into the text */
        US_TRY(us_sv_dup(s->c, s->m->arena, attrs[i].name, &attrs[i].name));
    for (uint32_t i = 0; i < n; i++)
        if (attrs[i].ref.n) US_TRY(us_sv_dup(s->c, s->m->arena, attrs[i].ref, &attrs[i].ref));
    return US_OK;
}

/* --- graphs ----------------------------------------------------------------------------------------------------- */

typedef struct later { /* a name that the body defines */
    size_t at;
    us_sv name;
    bool outer;
} later;
typedef US_VEC(later) laters;

/* Inputs: values, or the names of constants that the caller may override, defined in the body. */
static us_err inputs(us_scan *s, us_graph *g, laters *over)
{
    US_TRY(us_scan_expect(s, '('));
    while (!us_scan_take(s, ')')) {
        us_sv name;
        us_type t;
        us_vid v;
        if (g->inputs.n) US_TRY(us_scan_expect(s, ','));
        if (us_scan_take(s, '&')) {
            US_TRY(us_scan_name(s, &name, NULL));
            US_TRY(us_vec_push(s->c, s->m->arena, over, (later){g->inputs.n, name, false}));
            US_TRY(us_vec_push(s->c, s->m->arena, &g->inputs, US_NIL));
            continue;
        }
        US_TRY(typed_name(s, &name, &t));
        US_TRY(placed(s, us_graph_add_input(s->c, g, name, &t, &v)));
        g->vals.at[v].declared = true;
    }
    return US_OK;
}

static us_err outputs(us_scan *s, laters *out)
{
    US_TRY(us_scan_expect(s, '-'));
    US_TRY(us_scan_expect(s, '>'));
    US_TRY(us_scan_expect(s, '('));
    while (!us_scan_take(s, ')')) {
        later l = {out->n, {0}, false};
        if (out->n) US_TRY(us_scan_expect(s, ','));
        l.outer = us_scan_take(s, '^');
        US_TRY(us_scan_name(s, &l.name, NULL));
        US_TRY(us_vec_push(s->c, s->m->arena, out, l));
    }
    return US_OK;
}

static us_err body(us_scan *s, us_graph *g)
{
    US_TRY(us_scan_expect(s, '{'));
    while (!us_scan_take(s, '}')) {
        if (us_scan_word(s, "const"))
            US_TRY(constant(s, g, US_ST_CONST, false));
        else if (us_scan_word(s, "var"))
            US_TRY(constant(s, g, US_ST_VARIABLE, false));
        else if (us_scan_word(s, "sparse"))
            US_TRY(constant(s, g, US_ST_CONST, true));
        else
            US_TRY(node(s, g));
    }
    return US_OK;
}

static us_err resolve(us_scan *s, us_graph *g, const laters *over, const laters *out)
{
    for (size_t i = 0; i < over->n; i++) {
        us_vid v = us_graph_find(g, over->at[i].name);
        if (v == US_NIL || g->vals.at[v].storage != US_ST_CONST || g->vals.at[v].also_input)
            return us_scan_fail(s, "an input written with & is no constant of the graph");
        g->vals.at[v].also_input = true;
        g->inputs.at[over->at[i].at] = v;
    }
    for (size_t i = 0; i < out->n; i++) {
        us_vid v = us_graph_find(g, out->at[i].name);
        if (v == US_NIL && out->at[i].outer)
            US_TRY(placed(s, us_graph_capture(s->c, g, out->at[i].name, &v)));
        if (v == US_NIL) return us_scan_fail(s, "an output of the graph is never defined");
        US_TRY(us_graph_add_output(s->c, g, v));
    }
    return US_OK;
}

us_err us_scan_graph(us_scan *s, us_graph *g)
{
    laters over = {0}, out = {0};
    us_sv name = {"", 0}; /* may be left out */
    us_scan_space(s);
    if (!us_scan_at(s, '(')) US_TRY(us_scan_name(s, &name, NULL));
    US_TRY(us_sv_dup(s->c, s->m->arena, name, &g->name));
    US_TRY(inputs(s, g, &over));
    US_TRY(outputs(s, &out));
    US_TRY(body(s, g));
    return resolve(s, g, &over, &out);
}

/* --- the model -------------------------------------------------------------------------------------------------- */

typedef US_VEC(us_opset) opset_vec;

/* `_`, or 17,ai.onnx.ml:3 */
static us_err opsets(us_scan *s, us_opset **at, size_t *n)
{
    opset_vec v = {0};
    if (us_scan_word(s, "_")) {
        *at = NULL;
        *n = 0;
        return US_OK;
    }
    do {
        us_opset o = {.domain = {"", 0}};
        us_sv name;
        bool quoted;
        int64_t version;
        US_TRY(us_scan_name(s, &name, &quoted));
        if (us_scan_take(s, ':')) {
            US_TRY(us_sv_dup(s->c, s->m->arena, name, &o.domain));
            US_TRY(us_scan_int(s, &version));
        } else if (quoted || !us_parse_i64(name, &version)) {
            return us_scan_fail(s, "expected a version, or domain:version");
        }
        if (version < 0 || version > INT32_MAX) return us_scan_fail(s, "no such version");
        o.version = (int32_t)version;
        US_TRY(us_vec_push(s->c, s->m->arena, &v, o));
    } while (us_scan_take(s, ','));
    *at = v.at;
    *n = v.n;
    return US_OK;
}

static us_err key_text(us_scan *s, const char *key, us_sv *out)
{
    us_scan_space(s);
    const char *was = s->p;
    if (!us_scan_word(s, key)) return US_OK;
    if (!us_scan_take(s, '=')) {
        s->p = was;
        return US_OK;
    }
    US_TRY(us_scan_name(s, out, NULL));
    return us_sv_dup(s->c, s->m->arena, *out, out);
}

static us_err header(us_scan *s)
{
    us_model *m = s->m;
    us_opset *at;
    size_t n;
    if (!us_scan_word(s, "model") || !us_scan_word(s, "ir"))
        return us_scan_fail(s, "expected 'model ir=...'");
    US_TRY(us_scan_expect(s, '='));
    US_TRY(us_scan_int(s, &m->ir_version));
    if (!us_scan_word(s, "opset")) return us_scan_fail(s, "expected 'opset=...'");
    US_TRY(us_scan_expect(s, '='));
    US_TRY(opsets(s, &at, &n));
    m->opsets.at = at;
    m->opsets.n = m->opsets.cap = n;
    if (us_scan_word(s, "version")) {
        US_TRY(us_scan_expect(s, '='));
        US_TRY(us_scan_int(s, &m->model_version));
    }
    US_TRY(key_text(s, "producer", &m->producer_name));
    US_TRY(key_text(s, "producer_version", &m->producer_version));
    US_TRY(key_text(s, "domain", &m->domain));
    while (us_scan_word(s, "prop")) {
        us_prop p;
        US_TRY(us_scan_name(s, &p.key, NULL));
        US_TRY(us_scan_expect(s, '='));
        US_TRY(us_scan_name(s, &p.value, NULL));
        US_TRY(us_sv_dup(s->c, m->arena, p.key, &p.key));
        US_TRY(us_sv_dup(s->c, m->arena, p.value, &p.value));
        US_TRY(us_vec_push(s->c, m->arena, &m->props, p));
    }
    return US_OK;
}

static us_err function(us_scan *s)
{
    us_model *m = s->m;
    us_function f = {0};
    us_opset *at;
    us_attr *defaults;
    size_t n;
    uint32_t n_defaults;
    US_TRY(us_scan_name(s, &f.domain, NULL));
    US_TRY(us_sv_dup(s->c, m->arena, f.domain, &f.domain));
    US_TRY(us_scan_name(s, &f.overload, NULL));
    US_TRY(us_sv_dup(s->c, m->arena, f.overload, &f.overload));
    if (!us_scan_word(s, "opset")) return us_scan_fail(s, "expected 'opset=...'");
    US_TRY(us_scan_expect(s, '='));
    US_TRY(opsets(s, &at, &n));
    f.opsets.at = at;
    f.opsets.n = f.opsets.cap = n;
    US_TRY(us_scan_expect(s, '['));
    while (!us_scan_take(s, ']')) {
        us_sv name;
        if (f.attr_names.n) US_TRY(us_scan_expect(s, ','));
        US_TRY(us_scan_name(s, &name, NULL));
        US_TRY(us_sv_dup(s->c, m->arena, name, &name));
        US_TRY(us_vec_push(s->c, m->arena, &f.attr_names, name));
    }
    US_TRY(us_graph_new(s->c, m, NULL, (us_sv){0}, &f.body));
    US_TRY(us_scan_attrs(s, f.body, &defaults, &n_defaults));
    for (uint32_t i = 0; i < n_defaults; i++) {
        US_TRY(us_sv_dup(s->c, m->arena, defaults[i].name, &defaults[i].name));
        US_TRY(us_vec_push(s->c, m->arena, &f.attr_defaults, defaults[i]));
    }
    US_TRY(us_scan_graph(s, f.body));
    f.name = f.body->name;
    return us_vec_push(s->c, m->arena, &m->functions, f);
}

static us_err whole(us_scan *s)
{
    US_TRY(header(s));
    while (us_scan_word(s, "function"))
        US_TRY(function(s));
    if (!us_scan_word(s, "graph")) return us_scan_fail(s, "expected 'graph'");
    US_TRY(us_scan_graph(s, s->m->main));
    us_scan_space(s);
    return s->p == s->end ? US_OK : us_scan_fail(s, "something is left over after the graph");
}

us_err us_model_parse(us_ctx *c, us_sv text, us_model **out)
{
    us_model *m;
    US_TRY(us_model_new(c, &m));
    us_scan s = {c, m, text.p, text.p, text.p + text.n};
    us_err e = whole(&s);
    if (e == US_OK)
        *out = m;
    else
        us_model_free(m);
    return e;
}
