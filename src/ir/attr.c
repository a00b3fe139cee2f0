/* ir/attr.c - attributes of nodes, and decoding them into an operator's parameter struct by its rows.
 *
 * Decoding is the only reader of attributes by name for operators in the table: whoever computes with a
 * node reads the struct. An attribute that stands for a function's parameter (ref) counts as given and keeps
 * the default until the function is inlined.
 */
#include <string.h>

#include "base/ctx.h"
#include "ir/op.h"

us_err us_node_set_attr(us_ctx *c, us_graph *g, us_nid n, const us_attr *a)
{
    us_arena *arena = g->model->arena;
    us_node *node = &g->nodes.at[n];
    us_attr copy = *a;
    us_sv name;
    US_TRY(us_sv_dup(c, arena, a->name, &name));
    copy.name = name;
    node->params = NULL; /* decoded from what was there before */
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (us_sv_eq(node->attrs[i].name, name)) {
            node->attrs[i] = copy;
            return US_OK;
        }
    /* A new array each time: attributes are few, and whoever made the old one chose its size. */
    uint32_t k = node->n_attrs;
    us_attr *p = us_new_n(arena, us_attr, (size_t)k + 1);
    if (!p) return us_arena_fail(c, arena);
    if (k) memcpy(p, node->attrs, k * sizeof *p);
    node->attrs = p;
    node->attrs[node->n_attrs++] = copy;
    return US_OK;
}

const us_attr *us_node_attr(const us_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->n_attrs; i++)
        if (us_sv_is(n->attrs[i].name, name)) return &n->attrs[i];
    return NULL;
}

void us_node_del_attr(us_node *n, const char *name)
{
    for (uint32_t i = 0; i < n->n_attrs; i++) {
        if (!us_sv_is(n->attrs[i].name, name)) continue;
        memmove(n->attrs + i, n->attrs + i + 1, (n->n_attrs - i - 1) * sizeof *n->attrs);
        n->n_attrs--;
        n->params = NULL;
        return;
    }
}

/* --- decoding ------------------------------------------------------------------------------------------- */

static const char *kind_name(int32_t kind)
{
    static const char *const names[] = {
        [US_AT_NONE] = "none",
        [US_AT_FLOAT] = "float",
        [US_AT_INT] = "int",
        [US_AT_STRING] = "string",
        [US_AT_TENSOR] = "tensor",
        [US_AT_GRAPH] = "graph",
        [US_AT_FLOATS] = "floats",
        [US_AT_INTS] = "ints",
        [US_AT_STRINGS] = "strings",
        [US_AT_TENSORS] = "tensors",
        [US_AT_GRAPHS] = "graphs",
        [US_AT_SPARSE] = "sparse tensor",
        [US_AT_SPARSES] = "sparse tensors",
        [US_AT_TYPE] = "type",
        [US_AT_TYPES] = "types",
    };
    return kind >= 0 && (size_t)kind < US_LEN(names) ? names[kind] : "unknown kind";
}

static us_err bad(us_ctx *c, const us_node *n, us_sv attr, const char *what)
{
    return us_fail(c, US_FORMAT,
                   US_SV_FMT "-%d '" US_SV_FMT "' (file offset %llu): attribute '" US_SV_FMT
                             "' %s",
                   US_SV_ARG(n->op_type), n->version, US_SV_ARG(n->name),
                   (unsigned long long)n->offset, US_SV_ARG(attr), what);
}

/* Writes of one kind into the struct; memcpy because the place is only known by offset. */
static void put(char *at, const void *value, size_t n)
{
    memcpy(at, value, n);
}

static void put_default(char *params, const us_attr_row *r)
{
    char *at = params + r->offset;
    us_sv s = us_sv_of(r->kind == US_AT_STRING ? r->def_s : NULL);
    if (r->kind == US_AT_INT) put(at, &r->def_i, sizeof r->def_i);
    if (r->kind == US_AT_FLOAT) put(at, &r->def_f, sizeof r->def_f);
    if (r->kind == US_AT_STRING) put(at, &s, sizeof s);
}

/* False when the row's kind is one that no struct field can hold. */
static bool put_given(char *params, const us_attr_row *r, const us_attr *a)
{
    char *at = params + r->offset;
    const us_ints ints = {a->ints, a->n};
    const us_floats floats = {a->floats, a->n};
    const us_strs strs = {a->strs, a->n};
    const us_tensor *tensor = a->tensors;
    us_graph *graph = a->graphs ? a->graphs[0] : NULL;
    const us_type *type = a->types;
    const struct {
        us_attr_kind kind;
        const void *from;
        size_t bytes;
    } rows[] = {
        {US_AT_INT, &a->i, sizeof a->i},         {US_AT_FLOAT, &a->f, sizeof a->f},
        {US_AT_STRING, &a->s, sizeof a->s},      {US_AT_INTS, &ints, sizeof ints},
        {US_AT_FLOATS, &floats, sizeof floats},  {US_AT_STRINGS, &strs, sizeof strs},
        {US_AT_TENSOR, &tensor, sizeof(tensor)}, {US_AT_GRAPH, &graph, sizeof(graph)},
        {US_AT_TYPE, &type, sizeof(type)},
    };
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (rows[i].kind == r->kind) {
            put(at, rows[i].from, rows[i].bytes);
            return true;
        }
    return false;
}

static const us_attr_row *find_row(const us_attr_row *rows, us_sv name)
{
    for (const us_attr_row *r = rows; r && r->name; r++)
        if (us_sv_is(name, r->name)) return r;
    return NULL;
}

static us_err decode_one(us_ctx *c, const us_node *n, const us_attr *a, char *params)
{
    const us_attr_row *r = find_row(n->schema->attrs, a->name);
    if (!r && us_sv_starts(a->name, "__")) return US_OK; /* some tool's own, as in onnx */
    if (!r) return bad(c, n, a->name, "is not one of this operator");
    if (a->ref.n) return US_OK;
    if (a->kind != (int32_t)r->kind) {
        us_buf b;
        us_buf_init(&b, c, 128);
        us_buf_addf(&b, "is of kind %s, expected %s", kind_name(a->kind),
                    kind_name((int32_t)r->kind));
        us_err e = us_buf_check(&b);
        if (e == US_OK) e = bad(c, n, a->name, b.p);
        us_buf_deinit(&b);
        return e;
    }
    bool one = (r->kind == US_AT_TENSOR && (!a->tensors || a->n < 1)) ||
               (r->kind == US_AT_GRAPH && (!a->graphs || a->n < 1));
    if (one) return bad(c, n, a->name, "has no contents");
    if (!put_given(params, r, a)) return bad(c, n, a->name, "is of a kind no operator takes");
    if (r->has_offset) {
        bool yes = true;
        put(params + r->has_offset, &yes, sizeof yes);
    }
    return US_OK;
}

us_err us_node_decode(us_ctx *c, us_model *m, us_node *n)
{
    if (!n->op || !n->schema) return US_OK;
    char *params = us_arena_alloc(m->arena, 1, n->schema->params_bytes, _Alignof(max_align_t));
    if (!params) return us_arena_fail(c, m->arena);
    for (const us_attr_row *r = n->schema->attrs; r && r->name; r++) {
        put_default(params, r);
        if (r->required && !us_node_attr(n, r->name))
            return bad(c, n, us_sv_of(r->name), "is required and missing");
    }
    for (uint32_t i = 0; i < n->n_attrs; i++)
        US_TRY(decode_one(c, n, &n->attrs[i], params));
    n->params = params;
    return US_OK;
}
