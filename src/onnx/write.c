/* onnx/write.c - the model as messages, fields in the order of their numbers, what was not known at the end.
 *
 * Deterministic: everything is walked in the order in which it is stored. Tensors are written as raw_data (strings as
 * string_data), or as external data when the writer has a data file.
 */
#include "onnx/write.h"

#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"

static void emit_graph(us_pb_out *o, us_onnx_writer *w, uint32_t num, const us_graph *g);

/* --- types ------------------------------------------------------------------------------------------------------ */

static void emit_dim(us_pb_out *o, const us_syms *s, us_dim d)
{
    us_pb_open(o, 1);
    if (us_dim_known(d)) {
        us_pb_put_i64(o, 1, d.add);
    } else if (o->err == US_OK && !us_sym_made_up(s, d.sym)) { /* made-up names stay here */
        us_buf b;
        us_buf_init(&b, o->c, 4096);
        us_dim_spell(s, d, &b);
        o->err = us_buf_check(&b);
        us_pb_put_sv(o, 2, us_buf_sv(&b));
        us_buf_deinit(&b);
    }
    us_pb_close(o);
}

static void emit_tensor_type(us_pb_out *o, const us_syms *s, uint32_t num, const us_type *t)
{
    us_pb_open(o, num);
    us_pb_put_i64(o, 1, t->dtype);
    if (t->rank >= 0) {
        us_pb_open(o, 2);
        for (int i = 0; i < t->rank; i++)
            emit_dim(o, s, t->dims[i]);
        us_pb_close(o);
    }
    us_pb_close(o);
}

/* The contents of a TypeProto. */
static void emit_type(us_pb_out *o, const us_syms *s, const us_type *t)
{
    static const uint32_t nums[] = {
        [US_KIND_NONE] = 0, [US_KIND_TENSOR] = 1,   [US_KIND_SEQUENCE] = 4,
        [US_KIND_MAP] = 5,  [US_KIND_OPTIONAL] = 9, [US_KIND_SPARSE] = 8,
    };
    uint32_t num = nums[t->kind];
    if (num == 0) return;
    if (t->kind == US_KIND_TENSOR || t->kind == US_KIND_SPARSE) {
        emit_tensor_type(o, s, num, t);
        return;
    }
    us_pb_open(o, num);
    if (t->kind == US_KIND_MAP) us_pb_put_i64(o, 1, t->dtype);
    if (t->elem) {
        us_pb_open(o, t->kind == US_KIND_MAP ? 2 : 1);
        emit_type(o, s, t->elem);
        us_pb_close(o);
    }
    us_pb_close(o);
}

static void emit_info(us_pb_out *o, const us_graph *g, uint32_t num, us_vid v)
{
    const us_val *val = &g->vals.at[v];
    bool own = val->storage != US_ST_CONST && val->storage != US_ST_VARIABLE;
    us_sv name = val->name;
    for (const us_graph *at = g; val->storage == US_ST_OUTER && at->parent; at = at->parent) {
        val = &at->parent->vals.at[val->outer]; /* a captured value has its name outside */
        name = val->name;
    }
    us_pb_open(o, num);
    us_pb_put_sv(o, 1, name);
    if (val->type.kind != US_KIND_NONE) {
        us_pb_open(o, 2);
        emit_type(o, &g->model->syms, &val->type);
        us_pb_close(o);
    }
    if (own) {
        us_pb_put_sv_if(o, 3, val->doc);
        us_pb_bytes(o, val->unknown.p, val->unknown.n);
    }
    us_pb_close(o);
}

/* --- tensors ---------------------------------------------------------------------------------------------------- */

static void emit_pair(us_pb_out *o, uint32_t num, const char *key, uint64_t value)
{
    char text[24];
    us_sv z = {text + sizeof text, 0};
    do {
        z.p--;
        z.n++;
        text[z.p - text] = (char)('0' + value % 10);
    } while (value /= 10);
    us_pb_open(o, num);
    us_pb_put_sv(o, 1, us_sv_of(key));
    us_pb_put_sv(o, 2, z);
    us_pb_close(o);
}

static void emit_external(us_pb_out *o, us_onnx_writer *w, const us_tensor *t, size_t bytes)
{
    static const char zeros[US_ONNX_EXTERNAL_ALIGN];
    uint64_t gap =
        (US_ONNX_EXTERNAL_ALIGN - w->data_at % US_ONNX_EXTERNAL_ALIGN) % US_ONNX_EXTERNAL_ALIGN;
    w->data_at += gap;
    us_pb_open(o, 13);
    us_pb_put_sv(o, 1, US_SV("location"));
    us_pb_put_sv(o, 2, w->location);
    us_pb_close(o);
    emit_pair(o, 13, "offset", w->data_at);
    emit_pair(o, 13, "length", bytes);
    us_pb_put_i64(o, 14, 1);
    w->data_at += bytes;
    if (!o->counting || o->err != US_OK) return;
    o->err = gap ? w->put(w->put_ud, zeros, (size_t)gap) : US_OK;
    if (o->err == US_OK) o->err = w->put(w->put_ud, t->data, bytes);
}

static void emit_data(us_pb_out *o, us_onnx_writer *w, const us_tensor *t, bool may_leave,
                      us_sv name)
{
    int64_t n = us_tensor_count(t);
    size_t bytes = us_tensor_bytes(t);
    us_tensor dense = *t;
    if (o->err == US_OK && n > 0 && !t->data)
        o->err =
            us_fail(o->c, US_ARG,
                    "the data of tensor '" US_SV_FMT "' was not loaded, the model cannot be "
                    "written; read it with its weights",
                    US_SV_ARG(name));
    if (o->err == US_OK && !us_tensor_contiguous(t))
        o->err = us_tensor_dup(o->c, o->a, t, &dense);
    if (o->err != US_OK) return;
    if (t->dtype == US_STRING) {
        const us_sv *s = dense.data;
        for (int64_t i = 0; i < n; i++)
            us_pb_put_sv(o, 6, s[i]);
        return;
    }
    if (may_leave && w->location.n && bytes >= US_ONNX_EXTERNAL_MIN)
        emit_external(o, w, &dense, bytes);
    else
        us_pb_put_sv(o, 9, (us_sv){dense.data, bytes});
}

/* The contents of a TensorProto. */
static void emit_tensor(us_pb_out *o, us_onnx_writer *w, const us_tensor *t, us_sv name,
                        us_sv doc, us_sv unknown, bool may_leave)
{
    us_pb_put_i64s(o, 1, (size_t)t->rank, t->dims);
    us_pb_put_i64(o, 2, t->dtype);
    us_pb_put_sv_if(o, 8, name);
    us_pb_put_sv_if(o, 12, doc);
    emit_data(o, w, t, may_leave, name);
    us_pb_bytes(o, unknown.p, unknown.n);
}

/* --- attributes ------------------------------------------------------------------------------------------------- */

static void emit_subtensors(us_pb_out *o, us_onnx_writer *w, uint32_t num, const us_attr *a)
{
    const us_sv none = {0};
    for (size_t i = 0; i < a->n; i++) {
        us_pb_open(o, num);
        emit_tensor(o, w, &a->tensors[i], none, none, none, false);
        us_pb_close(o);
    }
}

static void emit_types(us_pb_out *o, us_onnx_writer *w, uint32_t num, const us_attr *a)
{
    for (size_t i = 0; i < a->n; i++) {
        us_pb_open(o, num);
        emit_type(o, &w->m->syms, &a->types[i]);
        us_pb_close(o);
    }
}

static void emit_contents(us_pb_out *o, us_onnx_writer *w, const us_attr *a)
{
    if (a->kind == US_AT_FLOAT) us_pb_put_f32(o, 2, a->f);
    if (a->kind == US_AT_INT) us_pb_put_i64(o, 3, a->i);
    if (a->kind == US_AT_STRING) us_pb_put_sv(o, 4, a->s);
    if (a->kind == US_AT_TENSOR) emit_subtensors(o, w, 5, a);
    if (a->kind == US_AT_GRAPH) emit_graph(o, w, 6, a->graphs[0]);
    if (a->kind == US_AT_FLOATS) us_pb_put_f32s(o, 7, a->n, a->floats);
    if (a->kind == US_AT_INTS) us_pb_put_i64s(o, 8, a->n, a->ints);
    if (a->kind == US_AT_STRINGS)
        for (size_t i = 0; i < a->n; i++)
            us_pb_put_sv(o, 9, a->strs[i]);
    if (a->kind == US_AT_TENSORS) emit_subtensors(o, w, 10, a);
    if (a->kind == US_AT_GRAPHS)
        for (size_t i = 0; i < a->n; i++)
            emit_graph(o, w, 11, a->graphs[i]);
}

static void emit_attr(us_pb_out *o, us_onnx_writer *w, uint32_t num, const us_attr *a)
{
    us_pb_open(o, num);
    us_pb_put_sv(o, 1, a->name);
    if (!a->ref.n) emit_contents(o, w, a);
    us_pb_put_sv_if(o, 13, a->doc);
    if (!a->ref.n && a->kind == US_AT_TYPE) emit_types(o, w, 14, a);
    if (!a->ref.n && a->kind == US_AT_TYPES) emit_types(o, w, 15, a);
    if (a->kind != US_AT_NONE) us_pb_put_i64(o, 20, a->kind);
    us_pb_put_sv_if(o, 21, a->ref);
    us_pb_bytes(o, a->raw.p, a->raw.n);
    us_pb_close(o);
}

/* --- nodes and graphs ------------------------------------------------------------------------------------------- */

/* The name under which a value is known in the file: a captured one has its name outside. */
static us_sv name_of(const us_graph *g, us_vid v)
{
    if (v == US_NIL) return (us_sv){"", 0};
    while (g->vals.at[v].storage == US_ST_OUTER && g->parent) {
        v = g->vals.at[v].outer;
        g = g->parent;
    }
    return g->vals.at[v].name;
}

static void emit_node(us_pb_out *o, us_onnx_writer *w, uint32_t num, const us_graph *g,
                      const us_node *n)
{
    if (n->op && (n->op->flags & US_OP_INTERNAL) && !w->plan && o->err == US_OK)
        o->err = us_fail(o->c, US_ARG,
                         US_SV_FMT "." US_SV_FMT " is an operator of this engine's own plans; "
                                   "no file may hold it (passes of the list cpu "
                                   "make it)",
                         US_SV_ARG(n->domain), US_SV_ARG(n->op_type));
    us_pb_open(o, num);
    for (uint32_t i = 0; i < n->n_in; i++)
        us_pb_put_sv(o, 1, name_of(g, n->in[i]));
    for (uint32_t i = 0; i < n->n_out; i++)
        us_pb_put_sv(o, 2, name_of(g, n->out[i]));
    us_pb_put_sv_if(o, 3, n->name);
    us_pb_put_sv(o, 4, n->op_type);
    for (uint32_t i = 0; i < n->n_attrs; i++)
        emit_attr(o, w, 5, &n->attrs[i]);
    us_pb_put_sv_if(o, 6, n->doc);
    us_pb_put_sv_if(o, 7, n->domain);
    us_pb_bytes(o, n->unknown.p, n->unknown.n);
    us_pb_close(o);
}

static void emit_nodes(us_pb_out *o, us_onnx_writer *w, uint32_t num, const us_graph *g)
{
    for (size_t i = 0; i < g->order.n && o->err == US_OK; i++)
        emit_node(o, w, num, g, &g->nodes.at[g->order.at[i]]);
}

static bool is_init(const us_val *v, us_kind kind)
{
    return (v->storage == US_ST_CONST || v->storage == US_ST_VARIABLE) && v->data &&
           v->data->kind == kind;
}

static void emit_inits(us_pb_out *o, us_onnx_writer *w, const us_graph *g)
{
    for (size_t i = 0; i < g->vals.n && o->err == US_OK; i++) {
        const us_val *v = &g->vals.at[i];
        if (!is_init(v, US_KIND_TENSOR)) continue;
        us_pb_open(o, 5);
        emit_tensor(o, w, &v->data->t, v->name, v->doc, v->unknown, true);
        us_pb_close(o);
    }
}

static bool is_output(const us_graph *g, us_vid v)
{
    for (size_t i = 0; i < g->outputs.n; i++)
        if (g->outputs.at[i] == v) return true;
    return false;
}

/* Types that the file declared, or all that are known. In the order of the nodes that define the values, so that reading and writing again changes nothing. */
static void emit_infos(us_pb_out *o, uint32_t num, const us_graph *g, bool all)
{
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        for (uint32_t j = 0; j < n->n_out; j++) {
            us_vid v = n->out[j];
            if (v == US_NIL || is_output(g, v)) continue;
            if (g->vals.at[v].declared || (all && g->vals.at[v].type.kind != US_KIND_NONE))
                emit_info(o, g, num, v);
        }
    }
}

static void emit_graph(us_pb_out *o, us_onnx_writer *w, uint32_t num, const us_graph *g)
{
    us_pb_open(o, num);
    emit_nodes(o, w, 1, g);
    us_pb_put_sv_if(o, 2, g->name);
    emit_inits(o, w, g);
    us_pb_put_sv_if(o, 10, g->doc);
    for (size_t i = 0; i < g->inputs.n; i++)
        emit_info(o, g, 11, g->inputs.at[i]);
    for (size_t i = 0; i < g->outputs.n; i++)
        emit_info(o, g, 12, g->outputs.at[i]);
    emit_infos(o, 13, g, w->plan);
    for (size_t i = 0; i < g->vals.n; i++)
        if (is_init(&g->vals.at[i], US_KIND_SPARSE)) us_pb_put_sv(o, 15, g->vals.at[i].unknown);
    us_pb_bytes(o, g->quant.p, g->quant.n);
    us_pb_bytes(o, g->unknown.p, g->unknown.n);
    us_pb_close(o);
}

/* --- the model -------------------------------------------------------------------------------------------------- */

static void emit_opset(us_pb_out *o, uint32_t num, const us_opset *s)
{
    us_pb_open(o, num);
    us_pb_put_sv_if(o, 1, s->domain);
    us_pb_put_i64(o, 2, s->version);
    us_pb_close(o);
}

static void emit_function(us_pb_out *o, us_onnx_writer *w, const us_function *f)
{
    const us_graph *g = f->body;
    us_pb_open(o, 25);
    us_pb_put_sv_if(o, 1, f->name);
    for (size_t i = 0; i < g->inputs.n; i++)
        us_pb_put_sv(o, 4, name_of(g, g->inputs.at[i]));
    for (size_t i = 0; i < g->outputs.n; i++)
        us_pb_put_sv(o, 5, name_of(g, g->outputs.at[i]));
    for (size_t i = 0; i < f->attr_names.n; i++)
        us_pb_put_sv(o, 6, f->attr_names.at[i]);
    emit_nodes(o, w, 7, g);
    us_pb_put_sv_if(o, 8, f->doc);
    for (size_t i = 0; i < f->opsets.n; i++)
        emit_opset(o, 9, &f->opsets.at[i]);
    us_pb_put_sv_if(o, 10, f->domain);
    for (size_t i = 0; i < f->attr_defaults.n; i++)
        emit_attr(o, w, 11, &f->attr_defaults.at[i]);
    emit_infos(o, 12, g, false);
    us_pb_put_sv_if(o, 13, f->overload);
    us_pb_bytes(o, f->unknown.p, f->unknown.n);
    us_pb_close(o);
}

void us_onnx_emit(us_pb_out *o, void *writer)
{
    us_onnx_writer *w = writer;
    const us_model *m = w->m;
    w->data_at = w->data_from;
    us_pb_put_i64(o, 1, m->ir_version);
    us_pb_put_sv_if(o, 2, m->producer_name);
    us_pb_put_sv_if(o, 3, m->producer_version);
    us_pb_put_sv_if(o, 4, m->domain);
    if (m->model_version) us_pb_put_i64(o, 5, m->model_version);
    us_pb_put_sv_if(o, 6, m->doc);
    emit_graph(o, w, 7, m->main);
    for (size_t i = 0; i < m->opsets.n; i++)
        emit_opset(o, 8, &m->opsets.at[i]);
    for (size_t i = 0; i < m->props.n; i++) {
        us_pb_open(o, 14);
        us_pb_put_sv(o, 1, m->props.at[i].key);
        us_pb_put_sv(o, 2, m->props.at[i].value);
        us_pb_close(o);
    }
    for (size_t i = 0; i < m->functions.n; i++)
        emit_function(o, w, &m->functions.at[i]);
    us_pb_bytes(o, m->unknown.p, m->unknown.n);
}
