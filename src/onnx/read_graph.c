/* onnx/read_graph.c - GraphProto and FunctionProto into graphs.
 *
 * Names come before uses: first inputs, initialisers and the outputs of all nodes get their values, then nodes are
 * added with their inputs found by name, here or in the graphs around (captures). So the order of nodes in the file
 * does not matter; a file that is not sorted is sorted, a cycle is refused.
 */
#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"
#include "onnx/read.h"

#define MIN_BYTES 8 /* of a node or value in a file, with its name */

static us_err node_fail(us_onnx_reader *r, us_err code, const us_pb_node *p, us_sv value,
                        const char *what)
{
    return us_pb_fail(&r->pb, code, "NodeProto", r->pb.base + p->h.offset,
                      US_SV_FMT " '" US_SV_FMT "': '" US_SV_FMT "' %s", US_SV_ARG(p->op_type),
                      US_SV_ARG(p->name), US_SV_ARG(value), what);
}

/* --- values -------------------------------------------------------------------------------------------------- */

static us_err read_info(us_onnx_reader *r, us_sv span, us_pb_info *p, us_type *t)
{
    *p = (us_pb_info){0};
    *t = (us_type){.kind = US_KIND_NONE, .rank = -1};
    US_TRY(us_pb_parse(&r->pb, &us_pb_info_msg, span, p));
    if (us_pb_has(&p->h, 2)) US_TRY(us_onnx_type(r, p->type, t));
    if (!p->name.n)
        return us_pb_fail(&r->pb, US_FORMAT, "ValueInfoProto", r->pb.base + p->h.offset,
                          "a value without a name");
    return US_OK;
}

static us_err note_info(us_onnx_reader *r, us_graph *g, const us_pb_info *p, const us_type *t,
                        us_vid v)
{
    us_val *val = &g->vals.at[v];
    if (t->kind != US_KIND_NONE) {
        if (val->storage == US_ST_CONST) /* the data says more, and must agree */
            US_TRY(us_type_merge(r->pb.c, r->m, t, &val->type, val->name, &val->type));
        else
            val->type = *t;
    }
    val->declared = true;
    if (p->doc.n) val->doc = p->doc;
    if (p->h.unknown.n) val->unknown = p->h.unknown;
    return US_OK;
}

/* The values of initialisers lie between the graph inputs that share their names. */
static us_err read_inits(us_onnx_reader *r, const us_pb_spans *spans, us_graph *g)
{
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_tensor p;
        us_tensor t;
        us_vid v;
        us_mark mark = us_arena_mark(r->pb.tmp);
        US_TRY(us_onnx_tensor(r, spans->at[i], &p, &t));
        if (!p.name.n)
            return us_pb_fail(&r->pb, US_FORMAT, "TensorProto", r->pb.base + p.h.offset,
                              "an initializer without a name");
        us_err e = us_graph_add_const(r->pb.c, g, p.name, US_ST_CONST, &t, &v);
        if (e != US_OK) return us_wrap(r->pb.c, e, "%s: initializer", r->pb.name);
        g->vals.at[v].doc = p.doc;
        g->vals.at[v].unknown = p.h.unknown;
        us_arena_reset(r->pb.tmp, mark);
    }
    return US_OK;
}

/* Kept as they are: the value knows its name, type and bytes. */
static us_err read_sparse(us_onnx_reader *r, us_sv span, us_graph *g)
{
    us_pb_sparse p = {0};
    us_pb_tensor head;
    us_tensor values;
    us_type t = {.kind = US_KIND_SPARSE, .rank = -1};
    us_vid v;
    US_TRY(us_pb_parse(&r->pb, &us_pb_sparse_msg, span, &p));
    US_TRY(us_onnx_tensor(r, p.values, &head, &values));
    t.dtype = values.dtype;
    us_err e = us_graph_add_val(r->pb.c, g, head.name, US_ST_CONST, &t, &v);
    if (e != US_OK) return us_wrap(r->pb.c, e, "%s: sparse_initializer", r->pb.name);
    us_value *data = us_new(r->pb.keep, us_value);
    if (!data) return us_arena_fail(r->pb.c, r->pb.keep);
    data->kind = US_KIND_SPARSE;
    g->vals.at[v].data = data;
    g->vals.at[v].unknown = span;
    return US_OK;
}

static us_err read_inputs(us_onnx_reader *r, const us_pb_spans *spans, us_graph *g)
{
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_info p;
        us_type t;
        US_TRY(read_info(r, spans->at[i], &p, &t));
        us_vid v = us_graph_find(g, p.name);
        if (v == US_NIL) {
            us_err e = us_graph_add_input(r->pb.c, g, p.name, &t, &v);
            if (e != US_OK) return us_wrap(r->pb.c, e, "%s: graph input", r->pb.name);
        } else { /* an initialiser that the caller may override (IR < 4) */
            if (g->vals.at[v].storage != US_ST_CONST || g->vals.at[v].also_input)
                return us_pb_fail(&r->pb, US_FORMAT, "GraphProto", r->pb.base + p.h.offset,
                                  "graph input '" US_SV_FMT "' is listed twice",
                                  US_SV_ARG(p.name));
            g->vals.at[v].also_input = true;
            US_TRY(us_vec_push(r->pb.c, r->m->arena, &g->inputs, v));
        }
        us_sv unknown = g->vals.at[v].unknown, doc = g->vals.at[v].doc;
        US_TRY(note_info(r, g, &p, &t, v));
        if (g->vals.at[v].storage == US_ST_CONST) { /* these are the tensor's */
            g->vals.at[v].unknown = unknown;
            g->vals.at[v].doc = doc;
            g->vals.at[v].declared = false;
        }
    }
    return US_OK;
}

static us_err read_infos(us_onnx_reader *r, const us_pb_spans *spans, us_graph *g)
{
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_info p;
        us_type t;
        US_TRY(read_info(r, spans->at[i], &p, &t));
        us_vid v = us_graph_find(g, p.name);
        /* Descriptions of values that are not there, and of those described better elsewhere, say nothing. */
        if (v == US_NIL || g->vals.at[v].storage != US_ST_TEMP) continue;
        US_TRY(note_info(r, g, &p, &t, v));
    }
    return US_OK;
}

static us_err read_outputs(us_onnx_reader *r, const us_pb_spans *spans, us_graph *g)
{
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_info p;
        us_type t;
        US_TRY(read_info(r, spans->at[i], &p, &t));
        us_vid v = us_graph_find(g, p.name);
        if (v == US_NIL && us_graph_capture(r->pb.c, g, p.name, &v) != US_OK)
            return us_pb_fail(
                &r->pb, r->pb.c->diag.code == US_NOTFOUND ? US_FORMAT : r->pb.c->diag.code,
                "GraphProto", r->pb.base + p.h.offset,
                "graph output '" US_SV_FMT "' is never defined", US_SV_ARG(p.name));
        if (g->vals.at[v].storage == US_ST_TEMP) US_TRY(note_info(r, g, &p, &t, v));
        US_TRY(us_graph_add_output(r->pb.c, g, v));
    }
    return US_OK;
}

/* --- nodes --------------------------------------------------------------------------------------------------- */

static us_err add_results(us_onnx_reader *r, us_graph *g, const us_pb_node *p)
{
    for (size_t i = 0; i < p->outputs.n; i++) {
        us_vid v;
        us_sv name = p->outputs.at[i];
        if (!name.n) continue;
        us_err e = us_graph_add_val(r->pb.c, g, name, US_ST_TEMP, NULL, &v);
        if (e != US_OK && e != US_FORMAT) return e;
        if (e != US_OK) return node_fail(r, e, p, name, "is its output, and defined already");
    }
    return US_OK;
}

static us_err resolve(us_onnx_reader *r, us_graph *g, const us_pb_node *p, us_vid *in,
                      us_vid *out)
{
    for (size_t i = 0; i < p->inputs.n; i++) {
        us_sv name = p->inputs.at[i];
        in[i] = US_NIL;
        if (!name.n) continue;
        in[i] = us_graph_find(g, name);
        if (in[i] != US_NIL) continue;
        us_err e = us_graph_capture(r->pb.c, g, name, &in[i]);
        if (e == US_NOTFOUND)
            return node_fail(r, US_FORMAT, p, name, "is its input, and defined nowhere");
        US_TRY(e);
    }
    for (size_t i = 0; i < p->outputs.n; i++)
        out[i] = p->outputs.at[i].n ? us_graph_find(g, p->outputs.at[i]) : US_NIL;
    return US_OK;
}

/* The version of a domain: imports of the function, else of the model; a file too old to say means 1. */
static int version_of(const us_model *m, const us_opset *own, size_t n_own, us_sv domain)
{
    for (size_t i = 0; i < n_own; i++)
        if (us_sv_eq(own[i].domain, domain) ||
            (us_sv_is(own[i].domain, "ai.onnx") && !domain.n))
            return own[i].version;
    int v = us_model_opset(m, domain);
    return v ? v : 1;
}

static us_err read_node(us_onnx_reader *r, us_sv span, us_graph *g, const us_opset *own,
                        size_t n_own)
{
    us_pb_node p = {0};
    us_nid id;
    US_TRY(us_pb_parse(&r->pb, &us_pb_node_msg, span, &p));
    us_vid *in = us_new_n(r->pb.tmp, us_vid, p.inputs.n);
    us_vid *out = us_new_n(r->pb.tmp, us_vid, p.outputs.n);
    if (!in || !out) return us_arena_fail(r->pb.c, r->pb.tmp);
    US_TRY(resolve(r, g, &p, in, out));
    us_err e = us_graph_add_node(r->pb.c, g, p.domain, p.op_type,
                                 version_of(r->m, own, n_own, p.domain), p.name, p.inputs.n, in,
                                 p.outputs.n, out, US_NIL, &id);
    if (e == US_OK && !r->plan && g->nodes.at[id].op &&
        (g->nodes.at[id].op->flags & US_OP_INTERNAL))
        e = us_fail(r->pb.c, US_FORMAT,
                    US_SV_FMT
                    "." US_SV_FMT " '" US_SV_FMT
                    "' is an operator of this engine's own plans, which no file may name",
                    US_SV_ARG(p.domain), US_SV_ARG(p.op_type), US_SV_ARG(p.name));
    if (e != US_OK)
        return us_wrap(r->pb.c, e, "%s: offset %llu", r->pb.name,
                       (unsigned long long)p.h.offset);
    g->nodes.at[id].doc = p.doc;
    g->nodes.at[id].unknown = p.h.unknown;
    g->nodes.at[id].offset = p.h.offset;
    us_attr *attrs;
    uint32_t n;
    US_TRY(us_onnx_attrs(r, g, &p.attrs, &attrs, &n));
    g->nodes.at[id].attrs =
        attrs; /* only now: reading sub-graphs may add captures, not nodes, here */
    g->nodes.at[id].n_attrs = n;
    return US_OK;
}

/* Whether each node comes after those it needs. */
static bool sorted(const us_graph *g)
{
    for (size_t i = 0; i < g->order.n; i++) {
        const us_node *n = &g->nodes.at[g->order.at[i]];
        for (uint32_t j = 0; j < n->n_in; j++) {
            if (n->in[j] == US_NIL) continue;
            us_nid def = g->vals.at[n->in[j]].def;
            if (def != US_NIL && def >= g->order.at[i]) return false;
        }
        for (uint32_t j = 0; j < n->n_attrs; j++)
            if (n->attrs[j].graphs) return false; /* captures: let the sort look */
    }
    return true;
}

static us_err read_nodes(us_onnx_reader *r, const us_pb_spans *spans, us_graph *g,
                         const us_opset *own, size_t n_own)
{
    us_mark mark;
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_node p = {0};
        mark = us_arena_mark(r->pb.tmp);
        US_TRY(us_pb_parse(&r->pb, &us_pb_node_msg, spans->at[i], &p));
        if (!p.op_type.n)
            return us_pb_fail(&r->pb, US_FORMAT, "NodeProto", r->pb.base + p.h.offset,
                              "node '" US_SV_FMT "' has no op_type", US_SV_ARG(p.name));
        US_TRY(add_results(r, g, &p));
        us_arena_reset(r->pb.tmp, mark);
    }
    for (size_t i = 0; i < spans->n; i++) {
        mark = us_arena_mark(r->pb.tmp);
        US_TRY(read_node(r, spans->at[i], g, own, n_own));
        us_arena_reset(r->pb.tmp, mark);
    }
    if (sorted(g)) return US_OK;
    us_err e = us_graph_sort(r->pb.c, g);
    return e == US_OK ? e : us_wrap(r->pb.c, e, "%s", r->pb.name);
}

/* --- graphs -------------------------------------------------------------------------------------------------- */

/* Most nodes make one value. Inputs of old files list the initialisers again. Fewer than MIN_BYTES say nothing, so what is
 * taken before it is read stays in proportion to the file. */
static us_err expect(us_onnx_reader *r, us_graph *g, size_t n_bytes, size_t n_inits,
                     size_t n_inputs, size_t n_nodes)
{
    size_t most = n_bytes / MIN_BYTES;
    n_inputs -= n_inputs >= n_inits ? n_inits : 0;
    return us_graph_expect(r->pb.c, g, US_MIN(n_inits + n_inputs + n_nodes, most),
                           US_MIN(n_nodes, most));
}

us_err us_onnx_graph(us_onnx_reader *r, us_sv span, us_graph *g)
{
    us_pb_graph p = {0};
    US_TRY(us_pb_parse(&r->pb, &us_pb_graph_msg, span, &p));
    g->name = p.name;
    g->doc = p.doc;
    g->unknown = p.h.unknown; /* quantization_annotation among them */
    US_TRY(expect(r, g, span.n, p.inits.n, p.inputs.n, p.nodes.n));
    US_TRY(read_inits(r, &p.inits, g));
    for (size_t i = 0; i < p.sparse.n; i++)
        US_TRY(read_sparse(r, p.sparse.at[i], g));
    US_TRY(read_inputs(r, &p.inputs, g));
    US_TRY(read_nodes(r, &p.nodes, g, NULL, 0));
    US_TRY(read_infos(r, &p.infos, g));
    return read_outputs(r, &p.outputs, g);
}

static us_err function_body(us_onnx_reader *r, const us_pb_function *p, us_function *f)
{
    us_graph *g = f->body;
    us_vid v;
    for (size_t i = 0; i < p->inputs.n; i++)
        US_TRY(us_graph_add_input(r->pb.c, g, p->inputs.at[i], NULL, &v));
    US_TRY(read_nodes(r, &p->nodes, g, f->opsets.at, f->opsets.n));
    US_TRY(read_infos(r, &p->infos, g));
    for (size_t i = 0; i < p->outputs.n; i++) {
        v = us_graph_find(g, p->outputs.at[i]);
        if (v == US_NIL)
            return us_pb_fail(&r->pb, US_FORMAT, "FunctionProto", r->pb.base + p->h.offset,
                              "output '" US_SV_FMT "' of function '" US_SV_FMT
                              "' is never defined",
                              US_SV_ARG(p->outputs.at[i]), US_SV_ARG(p->name));
        US_TRY(us_graph_add_output(r->pb.c, g, v));
    }
    return US_OK;
}

us_err us_onnx_function(us_onnx_reader *r, us_sv span)
{
    us_pb_function p = {0};
    us_ctx *c = r->pb.c;
    us_arena *a = r->m->arena;
    US_TRY(us_pb_parse(&r->pb, &us_pb_function_msg, span, &p));
    us_function f = {.domain = p.domain,
                     .name = p.name,
                     .overload = p.overload,
                     .doc = p.doc,
                     .unknown = p.h.unknown};
    US_TRY(us_vec_reserve(c, a, &f.opsets, p.opsets.n));
    US_TRY(us_onnx_opsets(r, &p.opsets, f.opsets.at));
    f.opsets.n = p.opsets.n;
    for (size_t i = 0; i < p.attrs.n; i++)
        US_TRY(us_vec_push(c, a, &f.attr_names, p.attrs.at[i]));
    US_TRY(us_graph_new(c, r->m, NULL, p.name, &f.body));
    us_attr *defaults;
    uint32_t n;
    US_TRY(us_onnx_attrs(r, f.body, &p.attr_protos, &defaults, &n));
    for (uint32_t i = 0; i < n; i++)
        US_TRY(us_vec_push(c, a, &f.attr_defaults, defaults[i]));
    US_TRY(expect(r, f.body, span.n, 0, p.inputs.n, p.nodes.n));
    us_err e = function_body(r, &p, &f);
    if (e != US_OK) return us_wrap(c, e, "function '" US_SV_FMT "'", US_SV_ARG(p.name));
    return us_vec_push(c, a, &r->m->functions, f);
}
