/* check/attr.c - attributes: name, kind, one value of that kind, known to the operator, required ones there, choices among
 * the values the standard lists; and what they hold: tensors, sub-graphs, references of functions. */
#include <string.h>

#include "check/checker.h"

/* AttributeProto with the fields that the reader keeps as bytes. */
typedef struct attr {
    us_pb_attr a;
    us_sv sparse;
    us_pb_spans sparses;
} attr;

#define BYTES(num, f, nm)                                                                      \
    {                                                                                          \
        (num), US_PB_BYTES, US_PB_SV, (uint16_t)offsetof(attr, f), (nm)                        \
    }
#define MANY(num, f, nm)                                                                       \
    {                                                                                          \
        (num), US_PB_BYTES, US_PB_SPANS, (uint16_t)offsetof(attr, f), (nm)                     \
    }
#define ONE(num, wire, store, f, nm)                                                           \
    {                                                                                          \
        (num), (wire), (store), (uint16_t)offsetof(attr, f), (nm)                              \
    }
static const us_pb_row rows[] = {
    BYTES(1, a.name, "name"),
    ONE(2, US_PB_FIXED32, US_PB_F32, a.f, "f"),
    ONE(3, US_PB_VARINT, US_PB_I64, a.i, "i"),
    BYTES(4, a.s, "s"),
    BYTES(5, a.t, "t"),
    BYTES(6, a.g, "g"),
    ONE(7, US_PB_FIXED32, US_PB_LIST, a.floats, "floats"),
    ONE(8, US_PB_VARINT, US_PB_LIST, a.ints, "ints"),
    MANY(9, a.strings, "strings"),
    MANY(10, a.tensors, "tensors"),
    MANY(11, a.graphs, "graphs"),
    BYTES(14, a.tp, "tp"),
    MANY(15, a.types, "type_protos"),
    ONE(20, US_PB_VARINT, US_PB_I32, a.type, "type"),
    BYTES(21, a.ref, "ref_attr_name"),
    BYTES(22, sparse, "sparse_tensor"),
    MANY(23, sparses, "sparse_tensors"),
    {0},
};
static const us_pb_msg attr_msg = {"AttributeProto", rows};

/* What holds a value of each kind. */
static const struct kind {
    const char *name;
    uint32_t field;
} kinds[] = {
    [US_AT_NONE] = {"none", 0},
    [US_AT_FLOAT] = {"float", 2},
    [US_AT_INT] = {"int", 3},
    [US_AT_STRING] = {"string", 4},
    [US_AT_TENSOR] = {"tensor", 5},
    [US_AT_GRAPH] = {"graph", 6},
    [US_AT_FLOATS] = {"floats", 7},
    [US_AT_INTS] = {"ints", 8},
    [US_AT_STRINGS] = {"strings", 9},
    [US_AT_TENSORS] = {"tensors", 10},
    [US_AT_GRAPHS] = {"graphs", 11},
    [US_AT_SPARSE] = {"sparse tensor", 22},
    [US_AT_SPARSES] = {"sparse tensors", 23},
    [US_AT_TYPE] = {"type", 14},
    [US_AT_TYPES] = {"types", 15},
};

static us_err bad(us_checker *k, us_rule rule, const attr *a, const char *what)
{
    return us_ck_found(k, rule, a->a.h.offset, "attribute '" US_SV_FMT "' %s",
                       US_SV_ARG(a->a.name), what);
}

/* --- the message itself ------------------------------------------------------------------------------------------ */

/* The kinds of the values it holds: how many, and one of them. */
static size_t held(const attr *a, int32_t *kind)
{
    size_t n = 0;
    for (size_t i = 1; i < US_LEN(kinds); i++)
        if (us_pb_has(&a->a.h, kinds[i].field)) {
            n++;
            *kind = (int32_t)i;
        }
    return n;
}

/* *kind: what it is, as far as can be told. */
static us_err own_kind(us_checker *k, const attr *a, int32_t *kind)
{
    int32_t has = US_AT_NONE, says = a->a.type;
    size_t n = held(a, &has);
    *kind = us_pb_has(&a->a.h, 20) ? says : has;
    if (says < 0 || (size_t)says >= US_LEN(kinds)) {
        *kind = US_AT_NONE;
        return bad(k, US_RULE_ATTR_KIND, a, "says a kind that does not exist");
    }
    if (!us_pb_has(&a->a.h, 20) && k->ir >= 2)
        return bad(k, US_RULE_ATTR_KIND, a, "does not say its kind");
    if (n > 1) return bad(k, US_RULE_ATTR_KIND, a, "holds values of more than one kind");
    if (n == 1 && says != US_AT_NONE && has != says)
        return us_ck_found(k, US_RULE_ATTR_KIND, a->a.h.offset,
                           "attribute '" US_SV_FMT "' says %s and holds %s",
                           US_SV_ARG(a->a.name), kinds[says].name, kinds[has].name);
    return US_OK;
}

static us_err reference(us_checker *k, const attr *a)
{
    int32_t kind;
    if (!k->fn)
        return bad(k, US_RULE_ATTR_REF, a, "is a reference, and there is no function around");
    if (held(a, &kind)) US_TRY(bad(k, US_RULE_ATTR_REF, a, "is a reference and has a value"));
    if (us_map_get(&k->fn->attrs, a->a.ref) != US_MAP_NONE) return US_OK;
    return us_ck_found(k, US_RULE_ATTR_REF, a->a.h.offset,
                       "attribute '" US_SV_FMT "' refers to '" US_SV_FMT
                       "', which the function does not have",
                       US_SV_ARG(a->a.name), US_SV_ARG(a->a.ref));
}

/* A sub-graph takes and gives what its operator hands on. */
static us_err sides(us_checker *k, const us_pb_node *n, const us_op *op, const us_schema *s,
                    const attr *a)
{
    us_ck_sides has;
    size_t in = n->inputs.n, out = n->outputs.n;
    US_TRY(us_ck_graph(k, a->a.g, &has));
    if (!op || !s) return US_OK;
    us_op_id id = us_op_index(op);
    if (id == US_OP_IF)
        in = 0;
    else if (id == US_OP_LOOP) { /* number of the round and condition in, condition out */
        in = US_MAX(in, (size_t)2);
        out++;
    } else if (id == US_OP_SCAN && s->since == 8)
        in -= in > 0;
    else if (id != US_OP_SCAN && id != US_OP_SEQUENCE_MAP)
        return US_OK;
    if (has.n_in == in && has.n_out == out) return US_OK;
    return us_ck_found(k, US_RULE_SUBGRAPH, a->a.h.offset,
                       "graph '" US_SV_FMT
                       "' has %zu inputs and %zu outputs, the node needs %zu and %zu",
                       US_SV_ARG(a->a.name), has.n_in, has.n_out, in, out);
}

static us_err contents(us_checker *k, const us_pb_node *n, const us_op *op, const us_schema *s,
                       const attr *a)
{
    us_ck_sides any;
    if (us_pb_has(&a->a.h, 5)) US_TRY(us_ck_tensor(k, a->a.t, false, NULL));
    for (size_t i = 0; i < a->a.tensors.n; i++)
        US_TRY(us_ck_tensor(k, a->a.tensors.at[i], false, NULL));
    if (us_pb_has(&a->a.h, 22)) US_TRY(us_ck_sparse(k, a->sparse, NULL));
    for (size_t i = 0; i < a->sparses.n; i++)
        US_TRY(us_ck_sparse(k, a->sparses.at[i], NULL));
    if (us_pb_has(&a->a.h, 6)) US_TRY(sides(k, n, op, s, a));
    for (size_t i = 0; i < a->a.graphs.n; i++)
        US_TRY(us_ck_graph(k, a->a.graphs.at[i], &any));
    return US_OK;
}

/* --- the operator's opinion -------------------------------------------------------------------------------------- */

/* What the standard has and the engine's rows lack: it keeps no sparse values. */
static const us_attr_row sparse_value = {.name = "sparse_value", .kind = US_AT_SPARSE};

static const us_attr_row *row_of(const us_op *op, const us_schema *s, us_sv name)
{
    for (const us_attr_row *r = s->attrs; r && r->name; r++)
        if (us_sv_is(name, r->name)) return r;
    if (op == us_op_get(US_OP_CONSTANT) && s->since >= 11 && us_sv_is(name, sparse_value.name))
        return &sparse_value;
    return NULL;
}

/* Whether an attribute's number is an element type, whatever the operator. */
static bool names_type(us_sv name)
{
    static const char *const names[] = {"dtype",           "to",        "output_dtype",
                                        "output_datatype", "precision", "softmax_precision"};
    for (size_t i = 0; i < US_LEN(names); i++)
        if (us_sv_is(name, names[i])) return true;
    return false;
}

static us_err known(us_checker *k, const us_pb_node *n, const us_op *op, const us_schema *s,
                    const attr *a, int32_t kind)
{
    const us_attr_row *r = row_of(op, s, a->a.name);
    if (!r) {
        if (us_sv_starts(a->a.name, "__")) return US_OK; /* internal to some tool */
        return us_ck_found(k, US_RULE_ATTR_UNKNOWN, a->a.h.offset,
                           "%s-%d has no attribute '" US_SV_FMT "'", op->name, s->since,
                           US_SV_ARG(a->a.name));
    }
    if (kind != (int32_t)r->kind)
        return us_ck_found(k, US_RULE_ATTR_KIND, a->a.h.offset,
                           "attribute '%s' is of kind %s, expected %s", r->name,
                           kinds[kind].name, kinds[r->kind].name);
    if ((kind != US_AT_STRING && kind != US_AT_INT) || a->a.ref.n) return US_OK;
    if (kind == US_AT_INT && names_type(a->a.name) && (a->a.i < 0 || a->a.i >= US_DTYPE_N))
        return us_ck_found(k, US_RULE_ATTR_VALUE, a->a.h.offset,
                           "attribute '%s' is %lld, which is no element type", r->name,
                           (long long)a->a.i);
    const char *number = us_str_printf(k->r.pb.tmp, "%lld", (long long)a->a.i);
    if (!number) return us_arena_fail(k->c, k->r.pb.tmp);
    us_sv value = kind == US_AT_INT ? us_sv_of(number) : a->a.s;
    const char *allowed = us_ck_not_allowed(n->domain, n->op_type, a->a.name, value);
    if (!allowed) return US_OK;
    return us_ck_found(k, US_RULE_ATTR_VALUE, a->a.h.offset,
                       "attribute '%s' is '" US_SV_FMT "', expected one of %s", r->name,
                       US_SV_ARG(value), allowed);
}

/* Of the attributes that begin so exactly one is given. */
static const struct {
    us_op_id op;
    int from; /* version */
    const char *begins, *also, *what;
} one_of[] = {
    {US_OP_CONSTANT, 11, "value", "sparse_value", "that give its value"},
    {US_OP_ML_LABEL_ENCODER, 2, "keys_", "", "that give its keys"},
    {US_OP_ML_LABEL_ENCODER, 2, "values_", "", "that give its values"},
};

static us_err one_of_each(us_checker *k, const us_pb_node *n, const us_op *op,
                          const us_schema *s, const us_map *names)
{
    for (size_t i = 0; i < US_LEN(one_of); i++) {
        size_t given = 0;
        if (op != us_op_get(one_of[i].op) || s->since < one_of[i].from) continue;
        for (size_t j = 0; j < names->items.n; j++)
            given += us_sv_starts(names->items.at[j].key, one_of[i].begins) ||
                     us_sv_is(names->items.at[j].key, one_of[i].also);
        if (given != 1)
            US_TRY(us_ck_found(k, US_RULE_ATTR_REQUIRED, n->h.offset,
                               "%zu of the attributes %s, expected one", given,
                               one_of[i].what));
    }
    return US_OK;
}

static us_err required(us_checker *k, const us_pb_node *n, const us_op *op, const us_schema *s,
                       const us_map *names)
{
    for (const us_attr_row *r = s->attrs; r && r->name; r++)
        if (r->required && us_map_get(names, us_sv_of(r->name)) == US_MAP_NONE)
            US_TRY(us_ck_found(k, US_RULE_ATTR_REQUIRED, n->h.offset,
                               "attribute '%s' is required and missing", r->name));
    return one_of_each(k, n, op, s, names);
}

static us_err one(us_checker *k, const us_pb_node *n, const us_op *op, const us_schema *s,
                  us_sv span, us_map *names)
{
    attr a;
    memset(&a, 0, sizeof a);
    int32_t kind;
    uint32_t was;
    US_TRY(us_pb_parse(&k->r.pb, &attr_msg, span, &a));
    if (!a.a.name.n)
        US_TRY(us_ck_found(k, US_RULE_NAME, a.a.h.offset, "an attribute without a name"));
    US_TRY(us_map_put(k->c, names, a.a.name, 0, &was));
    if (was != US_MAP_NONE) US_TRY(bad(k, US_RULE_ATTR_TWICE, &a, "is given twice"));
    US_TRY(own_kind(k, &a, &kind));
    if (a.a.ref.n) US_TRY(reference(k, &a));
    if (s && a.a.name.n) US_TRY(known(k, n, op, s, &a, kind));
    return contents(k, n, op, s, &a);
}

us_err us_ck_attrs(us_checker *k, const us_pb_node *n, const us_op *op, const us_schema *s)
{
    us_map names;
    us_map_init(&names, k->r.pb.tmp);
    if (n->attrs.n > US_ONNX_MAX_ATTRS)
        return us_ck_found(k, US_RULE_LIMITS, n->h.offset,
                           "%zu attributes, at most %d are possible", n->attrs.n,
                           US_ONNX_MAX_ATTRS);
    for (size_t i = 0; i < n->attrs.n; i++)
        US_TRY(one(k, n, op, s, n->attrs.at[i], &names));
    return s ? required(k, n, op, s, &names) : US_OK;
}
