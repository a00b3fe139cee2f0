/* ir/text_print.c - the graph as text.
 *
 * What text.h shows, and: names that are no plain words are "quoted"; `&w` among the inputs is a constant the caller
 * may override; contents that decimal numbers cannot carry (half floats, complex, packed types, NaN) are written as
 * hex"..." of their bytes. Docs and unknown fields of files are not part of the text.
 */
#include <math.h>
#include <string.h>

#include "base/crc.h"
#include "base/ctx.h"
#include "ir/op.h"
#include "ir/text.h"
#include "ir/text_words.h"

typedef struct printer {
    const us_model *m;
    us_buf *b;
    size_t max_elements;
    int depth;
} printer;

bool us_text_plain(us_sv s)
{
    static const char *const words[] = {US_TEXT_KEYWORDS};
    if (!s.n || us_sv_is(s, "_")) return false;
    for (size_t i = 0; i < US_LEN(words); i++)
        if (us_sv_is(s, words[i])) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!us_text_word_char(s.p[i])) return false;
    return true;
}

bool us_text_word_char(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '_' || ch == '.' || ch == '/' || ch == '-';
}

static void quoted(us_buf *b, us_sv s)
{
    us_buf_addc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char ch = (unsigned char)s.p[i];
        if (ch == '"' || ch == '\\')
            us_buf_addf(b, "\\%c", ch);
        else if (ch < 32 || ch == 127)
            us_buf_addf(b, "\\x%02x", ch);
        else
            us_buf_addc(b, (char)ch);
    }
    us_buf_addc(b, '"');
}

static void name(us_buf *b, us_sv s)
{
    if (us_text_plain(s))
        us_buf_addsv(b, s);
    else
        quoted(b, s);
}

static void indent(printer *p)
{
    for (int i = 0; i < p->depth; i++)
        us_buf_adds(p->b, "  ");
}

/* --- contents --------------------------------------------------------------------------------------------------- */

static void hex_bytes(us_buf *b, const void *data, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *q = data;
    us_buf_adds(b, "hex\"");
    for (size_t i = 0; i < n; i++) {
        us_buf_addc(b, digits[q[i] >> 4]);
        us_buf_addc(b, digits[q[i] & 15]);
    }
    us_buf_addc(b, '"');
}

/* Whether decimal numbers carry the contents exactly. */
static bool decimal(const us_tensor *t, int64_t n)
{
    const us_dtype_info *i = us_dtype_get(t->dtype);
    if (t->dtype == US_F32 || t->dtype == US_F64) {
        for (int64_t k = 0; k < n; k++)
            if (isnan(us_tensor_f64_at(t, k))) return false;
        return true;
    }
    return i->bits >= 8 && (i->cls == US_DC_INT || i->cls == US_DC_UINT);
}

/* With a point or exponent, so that it is not taken for an integer. */
static void real(us_buf *b, const char *text, size_t n)
{
    us_buf_add(b, text, n);
    for (size_t i = 0; i < n; i++)
        if (!(text[i] == '-' || (text[i] >= '0' && text[i] <= '9'))) return;
    us_buf_adds(b, ".0");
}

static void element(us_buf *b, const us_tensor *t, int64_t i)
{
    char text[32];
    if (t->dtype == US_STRING) {
        quoted(b, us_tensor_str_at(t, i));
    } else if (t->dtype == US_F32) {
        us_buf_add(b, text, us_print_f32((float)us_tensor_f64_at(t, i), text));
    } else if (t->dtype == US_F64) {
        us_buf_add(b, text, us_print_f64(us_tensor_f64_at(t, i), text));
    } else if (t->dtype == US_U64) {
        us_buf_addf(b, "%llu", (unsigned long long)us_tensor_i64_at(t, i));
    } else {
        us_buf_addf(b, "%lld", (long long)us_tensor_i64_at(t, i));
    }
}

static void cut(printer *p, const us_tensor *t)
{
    us_buf_adds(p->b, "{...");
    if (t->data && t->dtype != US_STRING && us_tensor_contiguous(t))
        us_buf_addf(p->b, "; crc=%08x", (unsigned)us_crc32c(0, t->data, us_tensor_bytes(t)));
    us_buf_addc(p->b, '}');
}

static void contents(printer *p, const us_tensor *t)
{
    int64_t n = us_tensor_count(t);
    if ((n > 0 && !t->data) || (uint64_t)n > p->max_elements) {
        cut(p, t);
        return;
    }
    us_buf_addc(p->b, '{');
    if (t->dtype != US_STRING && !decimal(t, n) && us_tensor_contiguous(t))
        hex_bytes(p->b, t->data, us_tensor_bytes(t));
    else
        for (int64_t i = 0; i < n; i++) {
            if (i) us_buf_adds(p->b, ", ");
            element(p->b, t, i);
        }
    us_buf_addc(p->b, '}');
}

static void tensor(printer *p, const us_tensor *t)
{
    us_buf_addf(p->b, "%s[", us_dtype_get(t->dtype)->name);
    for (int i = 0; i < t->rank; i++)
        us_buf_addf(p->b, "%s%lld", i ? "," : "", (long long)t->dims[i]);
    us_buf_adds(p->b, "] ");
    contents(p, t);
}

/* --- attributes ------------------------------------------------------------------------------------------------- */

static void graph(printer *p, const us_graph *g);

static void attr_element(printer *p, const us_attr *a, size_t i)
{
    char text[32];
    if (a->kind == US_AT_INTS) us_buf_addf(p->b, "%lld", (long long)a->ints[i]);
    if (a->kind == US_AT_FLOATS) real(p->b, text, us_print_f32(a->floats[i], text));
    if (a->kind == US_AT_STRINGS) quoted(p->b, a->strs[i]);
    if (a->kind == US_AT_TENSOR || a->kind == US_AT_TENSORS) {
        us_buf_adds(p->b, "tensor ");
        tensor(p, &a->tensors[i]);
    }
    if (a->kind == US_AT_GRAPH || a->kind == US_AT_GRAPHS) {
        us_buf_adds(p->b, "graph ");
        graph(p, a->graphs[i]);
    }
    if (a->kind == US_AT_TYPE || a->kind == US_AT_TYPES) {
        us_buf_adds(p->b, "type ");
        us_type_print(&p->m->syms, &a->types[i], p->b);
    }
}

static bool is_list(int32_t kind)
{
    return kind == US_AT_INTS || kind == US_AT_FLOATS || kind == US_AT_STRINGS ||
           kind == US_AT_TENSORS || kind == US_AT_GRAPHS || kind == US_AT_TYPES;
}

static void attr_value(printer *p, const us_attr *a)
{
    char text[32];
    if (a->ref.n) {
        us_buf_addf(p->b, "$%d ", (int)a->kind);
        name(p->b, a->ref);
    } else if (is_list(a->kind)) {
        us_buf_adds(p->b, a->n ? "[" : us_text_empty[a->kind]);
        for (size_t i = 0; i < a->n; i++) {
            if (i) us_buf_adds(p->b, ", ");
            attr_element(p, a, i);
        }
        us_buf_addc(p->b, ']');
    } else if (a->kind == US_AT_INT) {
        us_buf_addf(p->b, "%lld", (long long)a->i);
    } else if (a->kind == US_AT_FLOAT) {
        real(p->b, text, us_print_f32(a->f, text));
    } else if (a->kind == US_AT_STRING) {
        quoted(p->b, a->s);
    } else if (a->n) {
        attr_element(p, a, 0);
    } else {
        us_buf_addf(p->b, "raw %d ", (int)a->kind);
        hex_bytes(p->b, a->raw.p, a->raw.n);
    }
}

static void attrs(printer *p, const us_attr *a, size_t n)
{
    us_buf_adds(p->b, " {");
    for (size_t i = 0; i < n; i++) {
        if (i) us_buf_adds(p->b, ", ");
        name(p->b, a[i].name);
        us_buf_addc(p->b, '=');
        attr_value(p, &a[i]);
    }
    us_buf_addc(p->b, '}');
}

/* --- graphs ----------------------------------------------------------------------------------------------------- */

static void use(printer *p, const us_graph *g, us_vid v)
{
    if (v == US_NIL) {
        us_buf_addc(p->b, '_');
        return;
    }
    if (g->vals.at[v].storage == US_ST_OUTER) us_buf_addc(p->b, '^');
    while (g->vals.at[v].storage == US_ST_OUTER && g->parent) {
        v = g->vals.at[v].outer;
        g = g->parent;
    }
    name(p->b, g->vals.at[v].name);
}

static void typed_name(printer *p, const us_val *v)
{
    name(p->b, v->name);
    if (v->type.kind == US_KIND_NONE) return;
    us_buf_adds(p->b, ": ");
    us_type_print(&p->m->syms, &v->type, p->b);
}

static void op_name(printer *p, const us_node *n)
{
    bool dotted = n->op_type.n && memchr(n->op_type.p, '.', n->op_type.n);
    if (n->domain.n) {
        name(p->b, n->domain);
        us_buf_addc(
            p->b, us_text_plain(n->domain) && us_text_plain(n->op_type) && !dotted ? '.' : ':');
    }
    if (dotted)
        quoted(p->b, n->op_type);
    else
        name(p->b, n->op_type);
    if (n->version != us_model_opset(p->m, n->domain)) us_buf_addf(p->b, "@%d", n->version);
}

static void node(printer *p, const us_graph *g, const us_node *n)
{
    indent(p);
    for (uint32_t i = 0; i < n->n_out; i++) {
        if (i) us_buf_adds(p->b, ", ");
        if (n->out[i] == US_NIL)
            us_buf_addc(p->b, '_');
        else
            typed_name(p, &g->vals.at[n->out[i]]);
    }
    us_buf_adds(p->b, n->n_out ? " = " : "= ");
    op_name(p, n);
    us_buf_addc(p->b, '(');
    for (uint32_t i = 0; i < n->n_in; i++) {
        if (i) us_buf_adds(p->b, ", ");
        use(p, g, n->in[i]);
    }
    us_buf_addc(p->b, ')');
    if (n->n_attrs) attrs(p, n->attrs, n->n_attrs);
    if (n->name.n) {
        us_buf_adds(p->b, "  # ");
        quoted(p->b, n->name);
    }
    us_buf_addc(p->b, '\n');
}

static void constant(printer *p, const us_val *v)
{
    indent(p);
    bool sparse = v->data->kind != US_KIND_TENSOR;
    us_buf_adds(p->b, sparse ? "sparse " : v->storage == US_ST_CONST ? "const " : "var ");
    typed_name(p, v);
    us_buf_adds(p->b, " = ");
    if (sparse)
        hex_bytes(p->b, v->unknown.p, v->unknown.n);
    else
        contents(p, &v->data->t);
    us_buf_addc(p->b, '\n');
}

static void interface(printer *p, const us_graph *g)
{
    us_buf_addc(p->b, '(');
    for (size_t i = 0; i < g->inputs.n; i++) {
        const us_val *v = &g->vals.at[g->inputs.at[i]];
        if (i) us_buf_adds(p->b, ", ");
        if (v->storage == US_ST_INPUT) {
            typed_name(p, v);
        } else {
            us_buf_addc(p->b, '&');
            name(p->b, v->name);
        }
    }
    us_buf_adds(p->b, ") -> (");
    for (size_t i = 0; i < g->outputs.n; i++) {
        if (i) us_buf_adds(p->b, ", ");
        use(p, g, g->outputs.at[i]);
    }
    us_buf_addc(p->b, ')');
}

/* From the name on. */
static void graph(printer *p, const us_graph *g)
{
    if (g->name.n) name(p->b, g->name);
    interface(p, g);
    us_buf_adds(p->b, " {\n");
    p->depth++;
    for (size_t i = 0; i < g->vals.n; i++) {
        const us_val *v = &g->vals.at[i];
        if ((v->storage == US_ST_CONST || v->storage == US_ST_VARIABLE) && v->data)
            constant(p, v);
    }
    for (size_t i = 0; i < g->order.n; i++)
        node(p, g, &g->nodes.at[g->order.at[i]]);
    p->depth--;
    indent(p);
    us_buf_addc(p->b, '}');
}

static void opsets(us_buf *b, const us_opset *o, size_t n)
{
    us_buf_adds(b, " opset=");
    for (size_t i = 0; i < n; i++) {
        if (i) us_buf_addc(b, ',');
        if (o[i].domain.n) {
            name(b, o[i].domain);
            us_buf_addc(b, ':');
        }
        us_buf_addf(b, "%d", o[i].version);
    }
    if (!n) us_buf_addc(b, '_');
}

static void function(printer *p, const us_function *f)
{
    us_buf_adds(p->b, "function ");
    name(p->b, f->domain);
    us_buf_addc(p->b, ' ');
    name(p->b, f->overload);
    us_buf_addc(p->b, ' ');
    opsets(p->b, f->opsets.at, f->opsets.n);
    us_buf_adds(p->b, " [");
    for (size_t i = 0; i < f->attr_names.n; i++) {
        if (i) us_buf_adds(p->b, ", ");
        name(p->b, f->attr_names.at[i]);
    }
    us_buf_addc(p->b, ']');
    attrs(p, f->attr_defaults.at, f->attr_defaults.n);
    us_buf_addc(p->b, ' ');
    graph(p, f->body);
    us_buf_addc(p->b, '\n');
}

static void head_text(us_buf *b, const char *key, us_sv s)
{
    if (!s.n) return;
    us_buf_addf(b, " %s=", key);
    quoted(b, s);
}

void us_model_print(us_ctx *c, const us_model *m, size_t max_elements, us_buf *b)
{
    printer p = {m, b, max_elements, 0};
    (void)c;
    us_buf_addf(b, "model ir=%lld", (long long)m->ir_version);
    opsets(b, m->opsets.at, m->opsets.n);
    if (m->model_version) us_buf_addf(b, " version=%lld", (long long)m->model_version);
    head_text(b, "producer", m->producer_name);
    head_text(b, "producer_version", m->producer_version);
    head_text(b, "domain", m->domain);
    us_buf_addc(b, '\n');
    for (size_t i = 0; i < m->props.n; i++) {
        us_buf_adds(b, "prop ");
        quoted(b, m->props.at[i].key);
        us_buf_adds(b, " = ");
        quoted(b, m->props.at[i].value);
        us_buf_addc(b, '\n');
    }
    for (size_t i = 0; i < m->functions.n; i++)
        function(&p, &m->functions.at[i]);
    us_buf_adds(b, "graph ");
    graph(&p, m->main);
    us_buf_addc(b, '\n');
}
