/* fuzz_mutate.c - changes of an ONNX model that leave it a model: what byte mutation almost never finds.
 *
 * The bytes are parsed, one row of `changes` or a few are applied to the graph, and the graph is written again. A row
 * looks for something to change at random and does nothing when there is none. Results may break every rule
 * above the wire format: wrong arity, kinds, types, cycles of meaning; that is the point.
 */
#include "fuzz_model.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "ir/op_util.h"
#include "onnx/onnx.h"

#define MAX_CHANGES 4
#define PROP_MAX    16

typedef struct mut {
    us_ctx *c;
    us_model *m;
    us_graph *g;
    us_rng r;
} mut;

static const int64_t ints[] = {0,
                               1,
                               -1,
                               2,
                               -2,
                               3,
                               4,
                               5,
                               7,
                               8,
                               16,
                               31,
                               32,
                               63,
                               64,
                               65,
                               100,
                               255,
                               256,
                               1000,
                               65536,
                               1 << 20,
                               INT32_MAX,
                               INT32_MIN,
                               INT64_MAX,
                               INT64_MIN,
                               4294967296,
                               1LL << 40,
                               1LL << 62,
                               -100,
                               INT64_MIN + 1,
                               1000000007};
static const float floats[] = {0,     -0.0f,    1,         -1,  0.5f,  1e-8f,   1e-40f, 2,
                               1e10f, INFINITY, -INFINITY, NAN, -1e5f, 3.4e38f, 100,    0.999f};
static const char *const words[] = {"",
                                    "NOTSET",
                                    "SAME_UPPER",
                                    "SAME_LOWER",
                                    "VALID",
                                    "constant",
                                    "reflect",
                                    "edge",
                                    "wrap",
                                    "none",
                                    "add",
                                    "mul",
                                    "max",
                                    "min",
                                    "sum",
                                    "mean",
                                    "nearest",
                                    "linear",
                                    "cubic",
                                    "bilinear",
                                    "align_corners",
                                    "half_pixel",
                                    "asymmetric",
                                    "tf_crop_and_resize",
                                    "pytorch_half_pixel",
                                    "floor",
                                    "ceil",
                                    "zeros",
                                    "border",
                                    "reflection",
                                    "forward",
                                    "reverse",
                                    "bidirectional",
                                    "Tanh",
                                    "Sigmoid",
                                    "LOGISTIC",
                                    "SOFTMAX",
                                    "PROBIT",
                                    "BRANCH_LEQ",
                                    "LEAF",
                                    "ij,jk->ik",
                                    "i,j->ij",
                                    "...ii->...i",
                                    "bij,bjk",
                                    "a+b*",
                                    "(a|b)*c",
                                    ".*",
                                    "[^,]+",
                                    "TF",
                                    "IDF",
                                    "TFIDF",
                                    "LOWER",
                                    "UPPER",
                                    "UNION",
                                    "RIGHT",
                                    "gated_delta",
                                    "DCR",
                                    "CRD",
                                    "tanh",
                                    "exact",
                                    "kernel",
                                    "RBF",
                                    "POLY",
                                    "SUM",
                                    "AVERAGE",
                                    "avg",
                                    "L1",
                                    "MAX",
                                    "\xff\xfe",
                                    "en_US",
                                    "C",
                                    "stftpitch"};

static size_t pick(mut *k, size_t n)
{
    return (size_t)us_rng_below(&k->r, n);
}
static int64_t some_int(mut *k)
{
    return ints[pick(k, US_LEN(ints))];
}
static us_sv some_word(mut *k)
{
    return us_sv_of(words[pick(k, US_LEN(words))]);
}

/* --- picking ------------------------------------------------------------------------------------------ */

static us_node *some_node(mut *k)
{
    if (!k->g->order.n) return NULL;
    return &k->g->nodes.at[k->g->order.at[pick(k, k->g->order.n)]];
}

static us_attr *some_attr(mut *k)
{
    us_node *n = some_node(k);
    return n && n->n_attrs ? &n->attrs[pick(k, n->n_attrs)] : NULL;
}

static us_vid some_value(mut *k)
{
    return k->g->vals.n ? (us_vid)pick(k, k->g->vals.n) : US_NIL;
}

static us_vid some_const(mut *k)
{
    for (int i = 0; i < 8 && k->g->vals.n; i++) {
        us_vid v = some_value(k);
        const us_val *val = &k->g->vals.at[v];
        if (val->data && val->data->kind == US_KIND_TENSOR) return v;
    }
    return US_NIL;
}

static const us_op *some_op(mut *k)
{
    return us_op_get((us_op_id)(US_OP_NONE + 1 + pick(k, US_OP_N - US_OP_NONE - 1)));
}

static us_err import_domain(mut *k, us_sv domain)
{
    if (us_model_opset(k->m, domain)) return US_OK;
    return us_model_set_opset(k->c, k->m, domain, 1 + (int)pick(k, 5));
}

/* --- attributes --------------------------------------------------------------------------------------------- */

static us_err copy_ints(mut *k, us_attr *a, size_t n)
{
    int64_t *p = us_new_n(k->m->arena, int64_t, n);
    if (!p) return us_arena_fail(k->c, k->m->arena);
    for (size_t i = 0; i < n; i++)
        p[i] = i < a->n && a->ints ? a->ints[i] : some_int(k);
    if (n && pick(k, 2)) p[pick(k, n)] = some_int(k);
    a->ints = p;
    a->n = n;
    return US_OK;
}

static us_err copy_floats(mut *k, us_attr *a, size_t n)
{
    float *p = us_new_n(k->m->arena, float, n);
    if (!p) return us_arena_fail(k->c, k->m->arena);
    for (size_t i = 0; i < n; i++)
        p[i] = i < a->n && a->floats ? a->floats[i] : floats[pick(k, US_LEN(floats))];
    if (n) p[pick(k, n)] = floats[pick(k, US_LEN(floats))];
    a->floats = p;
    a->n = n;
    return US_OK;
}

static us_err copy_strs(mut *k, us_attr *a, size_t n)
{
    us_sv *p = us_new_n(k->m->arena, us_sv, n);
    if (!p) return us_arena_fail(k->c, k->m->arena);
    for (size_t i = 0; i < n; i++)
        p[i] = i < a->n && a->strs ? a->strs[i] : some_word(k);
    if (n) p[pick(k, n)] = some_word(k);
    a->strs = p;
    a->n = n;
    return US_OK;
}

/* A new length near the old one. */
static size_t length_near(mut *k, size_t n)
{
    size_t how = pick(k, 6);
    if (how == 0) return 0;
    if (how == 1) return n + 1;
    if (how == 2 && n) return n - 1;
    return n;
}

static us_err change_tensor(mut *k, us_tensor *t);

static us_err set_value(mut *k, us_attr *a)
{
    int64_t was = a->i;
    switch (a->kind) {
    case US_AT_INT:
        a->i = pick(k, 3) ? some_int(k) : (int64_t)((uint64_t)was + pick(k, 3) - 1);
        return US_OK;
    case US_AT_FLOAT: a->f = floats[pick(k, US_LEN(floats))]; return US_OK;
    case US_AT_STRING: a->s = some_word(k); return US_OK;
    case US_AT_INTS: return copy_ints(k, a, length_near(k, a->n));
    case US_AT_FLOATS: return copy_floats(k, a, length_near(k, a->n));
    case US_AT_STRINGS: return copy_strs(k, a, length_near(k, a->n));
    case US_AT_TENSOR: return a->tensors && a->n ? change_tensor(k, a->tensors) : US_OK;
    default: return US_OK;
    }
}

static us_err change_attr(mut *k)
{
    us_attr *a = some_attr(k);
    return a ? set_value(k, a) : US_OK;
}

static us_err drop_attr(mut *k)
{
    us_node *n = some_node(k);
    if (!n || !n->n_attrs) return US_OK;
    n->attrs[pick(k, n->n_attrs)] = n->attrs[n->n_attrs - 1];
    n->n_attrs--;
    return US_OK;
}

/* One that the operator knows, with any value. */
static us_err add_attr(mut *k)
{
    us_node *n = some_node(k);
    if (!n || !n->op) return US_OK;
    const us_schema *s = n->schema ? n->schema : us_op_current(n->op);
    size_t n_rows = 0;
    while (s->attrs && s->attrs[n_rows].name)
        n_rows++;
    if (!n_rows) return US_OK;
    const us_attr_row *row = &s->attrs[pick(k, n_rows)];
    if (row->kind == US_AT_GRAPH || row->kind == US_AT_TENSOR || row->kind == US_AT_TYPE)
        return US_OK;
    us_attr a = {.name = us_sv_of(row->name), .kind = row->kind, .i = 1};
    US_TRY(set_value(k, &a));
    return us_node_set_attr(k->c, k->g, (us_nid)(n - k->g->nodes.at), &a);
}

static us_err change_attr_kind(mut *k)
{
    static const us_attr_kind kinds[] = {US_AT_INT,  US_AT_FLOAT,  US_AT_STRING,
                                         US_AT_INTS, US_AT_FLOATS, US_AT_STRINGS};
    us_attr *a = some_attr(k);
    if (!a) return US_OK;
    *a = (us_attr){.name = a->name, .kind = kinds[pick(k, US_LEN(kinds))]};
    return set_value(k, a);
}

/* --- constants and types ------------------------------------------------------------------------------------ */

static us_err set_dims(mut *k, us_tensor *t)
{
    int64_t dims[US_MAX_RANK], n = us_tensor_count(t);
    int rank = t->rank;
    memcpy(dims, t->dims, sizeof dims);
    switch (pick(k, 4)) {
    case 0:
        rank = 1;
        dims[0] = n;
        break;
    case 1:
        if (rank < US_MAX_RANK) dims[rank++] = 1;
        break;
    case 2:
        if (rank) dims[pick(k, (size_t)rank)] = 0;
        break;
    default:
        if (rank && dims[rank - 1] == 1) rank--;
        break;
    }
    us_tensor r;
    if (us_tensor_init(k->c, &r, t->dtype, rank, dims, t->data) != US_OK) return US_OK;
    if (us_tensor_count(&r) <= n) *t = r;
    return US_OK;
}

/* New contents in new memory (the file's is read only), or other dimensions, or another element type. */
static us_err change_tensor(mut *k, us_tensor *t)
{
    us_tensor r;
    const us_dtype_info *d = us_dtype_get(t->dtype);
    int64_t n = us_tensor_count(t);
    if (pick(k, 4) == 0) return set_dims(k, t);
    if (!n || !t->data || n > 4096) return US_OK;
    US_TRY(us_tensor_dup(k->c, k->m->arena, t, &r));
    size_t at = pick(k, (size_t)n);
    if (t->dtype == US_STRING) {
        ((us_sv *)r.data)[at] = some_word(k);
    } else if (!d->from_i64 || pick(k, 4) == 0) {
        if (t->dtype != US_BOOL)
            (void)LLVMFuzzerMutate(r.data, us_tensor_bytes(&r), us_tensor_bytes(&r));
    } else {
        size_t off = d->bits < 8 ? 0 : at * d->bits / 8, i0 = d->bits < 8 ? at : 0;
        int64_t w = some_int(k);
        double f = (double)floats[pick(k, US_LEN(floats))];
        if (d->cls == US_DC_FLOAT)
            d->from_f64((char *)r.data + off, i0, 1, &f);
        else
            d->from_i64((char *)r.data + off, i0, 1, &w);
    }
    if (pick(k, 8) == 0 && d->from_f64) {
        us_tensor as;
        us_dtype to = (us_dtype)(1 + pick(k, US_DTYPE_N - 1));
        if (us_dtype_get(to)->from_f64 &&
            us_tensor_new(k->c, k->m->arena, to, r.rank, r.dims, &as) == US_OK &&
            us_tensor_convert(k->c, &as, &r) == US_OK)
            r = as;
    }
    *t = r;
    return US_OK;
}

static us_err change_const(mut *k)
{
    us_vid v = some_const(k);
    if (v == US_NIL) return US_OK;
    us_val *val = &k->g->vals.at[v];
    us_value *own = us_new(k->m->arena, us_value);
    if (!own) return us_arena_fail(k->c, k->m->arena);
    *own = *val->data;
    US_TRY(change_tensor(k, &own->t));
    val->data = own;
    return US_OK;
}

/* The declared type of an input or any value. */
static us_err change_type(mut *k)
{
    us_vid v =
        k->g->inputs.n && pick(k, 4) ? k->g->inputs.at[pick(k, k->g->inputs.n)] : some_value(k);
    if (v == US_NIL) return US_OK;
    us_type *t = &k->g->vals.at[v].type;
    us_dim *d = us_new_n(k->m->arena, us_dim, US_MAX_RANK);
    if (!d) return us_arena_fail(k->c, k->m->arena);
    k->g->vals.at[v].declared = true;
    if (t->kind == US_KIND_NONE) *t = us_type_tensor(US_F32, -1, NULL);
    if (t->kind != US_KIND_TENSOR) return US_OK;
    if (pick(k, 4) == 0) t->dtype = (us_dtype)(1 + pick(k, US_DTYPE_N - 1));
    if (t->rank > 0) memcpy(d, t->dims, (size_t)t->rank * sizeof *d);
    switch (pick(k, 6)) {
    case 0: t->rank = -1; return US_OK;
    case 1:
        if (t->rank >= 0 && t->rank < US_MAX_RANK) d[t->rank++] = US_DIM(2);
        break;
    case 2:
        if (t->rank > 0) t->rank--;
        break;
    case 3:
        if (t->rank > 0) {
            us_sym s;
            US_TRY(us_syms_named(k->c, &k->m->syms, us_sv_of(pick(k, 2) ? "N" : "M"), &s));
            d[pick(k, (size_t)t->rank)] = US_DIM_SYM(s);
        }
        break;
    default:
        if (t->rank > 0)
            d[pick(k, (size_t)t->rank)] =
                US_DIM(pick(k, 3) ? (int64_t)pick(k, 9) : some_int(k));
        break;
    }
    t->dims = d;
    return US_OK;
}

/* Known contents let inference and folding at them. */
static us_err input_to_const(mut *k)
{
    static const int64_t small[] = {0, 1, 2, 3, -1, 4};
    if (!k->g->inputs.n) return US_OK;
    size_t i = pick(k, k->g->inputs.n);
    us_val *v = &k->g->vals.at[k->g->inputs.at[i]];
    int64_t dims[US_MAX_RANK] = {0}, n;
    if (v->type.kind != US_KIND_TENSOR || v->type.rank < 0 || v->type.rank > US_MAX_RANK)
        return US_OK;
    for (int j = 0; j < v->type.rank; j++)
        dims[j] = us_dim_known(v->type.dims[j]) ? v->type.dims[j].add : 2;
    us_tensor t;
    const us_dtype_info *d = us_dtype_get(v->type.dtype);
    if (!us_dims_count(v->type.rank, dims, &n) || n > 256 || !d->from_i64 || d->bits < 8)
        return US_OK;
    US_TRY(us_tensor_new(k->c, k->m->arena, v->type.dtype, v->type.rank, dims, &t));
    for (int64_t j = 0; j < n; j++)
        d->from_i64((char *)t.data + (size_t)j * d->bits / 8, 0, 1,
                    &small[pick(k, US_LEN(small))]);
    v->data = us_new(k->m->arena, us_value);
    if (!v->data) return us_arena_fail(k->c, k->m->arena);
    *v->data = us_value_of(&t);
    v->storage = US_ST_CONST;
    k->g->inputs.at[i] = k->g->inputs.at[k->g->inputs.n - 1];
    k->g->inputs.n--;
    return US_OK;
}

static us_err const_to_input(mut *k)
{
    us_vid v = some_const(k);
    if (v == US_NIL) return US_OK;
    us_val *val = &k->g->vals.at[v];
    const us_tensor *t = &val->data->t;
    us_dim d[US_MAX_RANK];
    for (int i = 0; i < t->rank; i++)
        d[i] = US_DIM(t->dims[i]);
    us_type type = us_type_tensor(t->dtype, t->rank, d);
    US_TRY(us_type_dup(k->c, k->m->arena, &type, &val->type));
    val->data = NULL;
    val->storage = US_ST_INPUT;
    return us_vec_push(k->c, k->m->arena, &k->g->inputs, v);
}

/* --- nodes ---------------------------------------------------------------------------------------------------- */

static us_err change_op(mut *k)
{
    us_node *n = some_node(k);
    const us_op *op = some_op(k);
    size_t min_in;
    for (int i = 0; i < 16; i++, op = some_op(k)) {
        size_t max_in = us_schema_n_in(us_op_current(op), &min_in);
        if (n && n->n_in >= min_in && n->n_in <= max_in) break;
    }
    if (!n) return US_OK;
    n->domain = us_sv_of(op->domain);
    n->op_type = us_sv_of(op->name);
    return import_domain(k, n->domain);
}

static us_err rewire(mut *k)
{
    us_node *n = some_node(k);
    if (n && n->n_in) n->in[pick(k, n->n_in)] = pick(k, 6) ? some_value(k) : US_NIL;
    return US_OK;
}

static us_err drop_input(mut *k)
{
    us_node *n = some_node(k);
    if (n && n->n_in) n->n_in--;
    return US_OK;
}

static us_err swap_inputs(mut *k)
{
    us_node *n = some_node(k);
    if (!n || n->n_in < 2) return US_OK;
    size_t i = pick(k, n->n_in), j = pick(k, n->n_in);
    us_vid t = n->in[i];
    n->in[i] = n->in[j];
    n->in[j] = t;
    return US_OK;
}

static us_err drop_output(mut *k)
{
    us_node *n = some_node(k);
    if (n && n->n_out) n->out[pick(k, n->n_out)] = US_NIL;
    return US_OK;
}

static us_err new_results(mut *k, us_graph *g, size_t n, us_vid *out, bool listed)
{
    for (size_t i = 0; i < n; i++) {
        US_TRY(us_graph_add_val(k->c, g, (us_sv){0}, US_ST_TEMP, NULL, &out[i]));
        if (listed) US_TRY(us_graph_add_output(k->c, g, out[i]));
    }
    return US_OK;
}

/* Any operator on any values; its results are outputs. */
static us_err add_node(mut *k)
{
    const us_op *op = some_op(k);
    us_vid in[4], out[2];
    size_t min_in, max_in = us_schema_n_in(us_op_current(op), &min_in);
    size_t n_in = US_MIN(US_MIN(max_in, min_in + pick(k, 2)), US_LEN(in)),
           n_out = 1 + pick(k, 2);
    us_nid id;
    US_TRY(import_domain(k, us_sv_of(op->domain)));
    for (size_t i = 0; i < n_in; i++)
        in[i] = some_value(k);
    US_TRY(new_results(k, k->g, n_out, out, true));
    return us_graph_add_node(k->c, k->g, us_sv_of(op->domain), us_sv_of(op->name), 0,
                             (us_sv){0}, n_in, in, n_out, out, US_NIL, &id);
}

static us_err double_node(mut *k)
{
    us_vid in[16], out[16];
    const us_node *n = some_node(k);
    us_nid id;
    if (!n || n->n_in > 16 || n->n_out > 16) return US_OK;
    us_node src = *n;
    if (src.n_in) memcpy(in, src.in, src.n_in * sizeof *in);
    US_TRY(new_results(k, k->g, src.n_out, out, true));
    US_TRY(us_graph_add_node(k->c, k->g, src.domain, src.op_type, 0, (us_sv){0}, src.n_in, in,
                             src.n_out, out, US_NIL, &id));
    for (uint32_t i = 0; i < src.n_attrs; i++)
        if (src.attrs[i].kind != US_AT_GRAPH)
            US_TRY(us_node_set_attr(k->c, k->g, id, &src.attrs[i]));
    return US_OK;
}

/* What a step in the middle makes is looked at too. */
static us_err list_output(mut *k)
{
    const us_node *n = some_node(k);
    if (!n || !n->n_out || n->out[0] == US_NIL) return US_OK;
    return us_graph_add_output(k->c, k->g, n->out[0]);
}

static us_err drop_output_of_graph(mut *k)
{
    size_t n = k->g->outputs.n;
    if (n < 2) return US_OK;
    k->g->outputs.at[pick(k, n)] = k->g->outputs.at[n - 1];
    k->g->outputs.n--;
    return US_OK;
}

static us_err change_opset(mut *k)
{
    if (k->m->opsets.n)
        k->m->opsets.at[pick(k, k->m->opsets.n)].version = 1 + (int32_t)pick(k, 28);
    return US_OK;
}

/* --- into If and Loop ------------------------------------------------------------------------------------------- */

/* A graph with a copy of the node that captures what it reads; loop: with the inputs and the condition of a Loop's body. */
static us_err body_of(mut *k, const us_node *n, bool loop, us_graph **out)
{
    us_graph *g;
    us_vid in[16], res[16], i_cond[2], go;
    us_nid id;
    US_TRY(us_graph_new(k->c, k->m, k->g, us_sv_of("body"), &g));
    us_type ti = us_type_tensor(US_I64, 0, NULL), tb = us_type_tensor(US_BOOL, 0, NULL);
    if (loop) {
        US_TRY(us_graph_add_input(k->c, g, (us_sv){0}, &ti, &i_cond[0]));
        US_TRY(us_graph_add_input(k->c, g, (us_sv){0}, &tb, &i_cond[1]));
        US_TRY(new_results(k, g, 1, &go, true));
        US_TRY(us_graph_add_node(k->c, g, us_sv_of(""), us_sv_of("Identity"), 0, (us_sv){0}, 1,
                                 &i_cond[1], 1, &go, US_NIL, &id));
    }
    for (uint32_t i = 0; i < n->n_in; i++) {
        in[i] = US_NIL;
        if (n->in[i] != US_NIL)
            US_TRY(us_graph_capture(k->c, g, k->g->vals.at[n->in[i]].name, &in[i]));
    }
    US_TRY(new_results(k, g, n->n_out, res, true));
    US_TRY(us_graph_add_node(k->c, g, n->domain, n->op_type, 0, (us_sv){0}, n->n_in, in,
                             n->n_out, res, US_NIL, &id));
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (n->attrs[i].kind != US_AT_GRAPH)
            US_TRY(us_node_set_attr(k->c, g, id, &n->attrs[i]));
    *out = g;
    return US_OK;
}

static us_err scalar(mut *k, us_dtype t, int64_t v, us_vid *out)
{
    us_tensor x;
    US_TRY(us_tensor_new(k->c, k->m->arena, t, 0, NULL, &x));
    us_dtype_get(t)->from_i64(x.data, 0, 1, &v);
    return us_graph_add_const(k->c, k->g, (us_sv){0}, US_ST_CONST, &x, out);
}

static us_err graph_attr(mut *k, us_nid id, const char *name, us_graph *sub)
{
    us_graph **p = us_new(k->m->arena, us_graph *);
    if (!p) return us_arena_fail(k->c, k->m->arena);
    *p = sub;
    us_attr a = {.name = us_sv_of(name), .kind = US_AT_GRAPH, .graphs = p, .n = 1};
    return us_node_set_attr(k->c, k->g, id, &a);
}

static us_err wrap(mut *k)
{
    us_vid in[2], out[16];
    us_graph *a, *b;
    const us_node *n = some_node(k);
    us_nid id, old = n ? (us_nid)(n - k->g->nodes.at) : US_NIL;
    bool loop = pick(k, 2);
    if (!n || n->n_in > 16 || n->n_out > 16 || !n->n_out) return US_OK;
    us_node src = *n;
    US_TRY(body_of(k, &src, loop, &a));
    if (!loop) US_TRY(body_of(k, &src, false, &b));
    US_TRY(loop ? scalar(k, US_I64, pick(k, 8) ? (int64_t)pick(k, 4) : some_int(k), &in[0])
                : scalar(k, US_BOOL, (int64_t)pick(k, 2), &in[0]));
    memcpy(out, src.out, src.n_out * sizeof *out);
    us_graph_remove_node(k->g, old);
    US_TRY(us_graph_add_node(k->c, k->g, us_sv_of(""), us_sv_of(loop ? "Loop" : "If"), 0,
                             (us_sv){0}, 1, in, src.n_out, out, US_NIL, &id));
    US_TRY(graph_attr(k, id, loop ? "body" : "then_branch", a));
    return loop ? US_OK : graph_attr(k, id, "else_branch", b);
}

/* --- all of them --------------------------------------------------------------------------------------------------- */

static us_err change_inputs_contents(mut *k)
{
    uint8_t bytes[PROP_MAX] = {0};
    us_sv was;
    size_t n = 0;
    if (us_model_prop(k->m, FUZZ_PROP, &was)) {
        n = US_MIN(was.n, sizeof bytes);
        if (n) memcpy(bytes, was.p, n);
    }
    if (n < 4) n = 4;
    bytes[pick(k, n)] = (uint8_t)us_rng_u32(&k->r);
    return us_model_set_prop(k->c, k->m, us_sv_of(FUZZ_PROP), (us_sv){(const char *)bytes, n});
}

static const struct {
    us_err (*change)(mut *k);
    unsigned weight;
} changes[] = {
    {change_attr, 20},
    {drop_attr, 4},
    {add_attr, 12},
    {change_attr_kind, 3},
    {change_const, 16},
    {change_type, 16},
    {input_to_const, 6},
    {const_to_input, 6},
    {change_op, 10},
    {rewire, 8},
    {drop_input, 2},
    {swap_inputs, 3},
    {drop_output, 2},
    {add_node, 8},
    {double_node, 2},
    {list_output, 3},
    {drop_output_of_graph, 2},
    {change_opset, 5},
    {wrap, 5},
    {change_inputs_contents, 24},
};

us_err fuzz_mutate(us_ctx *c, us_model *m, uint64_t seed)
{
    mut k = {.c = c, .m = m, .r = us_rng_new(seed, "fuzz mutate", 0)};
    unsigned total = 0;
    for (size_t i = 0; i < US_LEN(changes); i++)
        total += changes[i].weight;
    size_t n = 1 + pick(&k, MAX_CHANGES);
    for (size_t j = 0; j < n; j++) {
        size_t at = pick(&k, total), i = 0;
        for (; at >= changes[i].weight; i++)
            at -= changes[i].weight;
        k.g = pick(&k, 3) || !m->graphs.n ? m->main : m->graphs.at[pick(&k, m->graphs.n)];
        US_TRY(changes[i].change(&k));
    }
    return US_OK;
}

size_t fuzz_mutate_onnx(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    us_ctx c;
    us_model *m = NULL;
    us_buf b;
    size_t n = 0;
    if (seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    us_buf_init(&b, &c, max_size);
    us_err e = us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &m);
    if (e == US_OK) e = fuzz_mutate(&c, m, seed);
    if (e == US_OK) e = us_onnx_print(&c, m, &b);
    us_sv text = us_buf_sv(&b);
    if (e == US_OK && text.n && text.n <= max_size) {
        memcpy(data, text.p, text.n);
        n = text.n;
    }
    us_buf_deinit(&b);
    us_model_free(m);
    us_ctx_deinit(&c);
    return n ? n : LLVMFuzzerMutate(data, size, max_size);
}
