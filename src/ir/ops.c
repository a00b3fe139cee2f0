/* ir/ops.c - the operator table, expanded from ops.def, and questions about schemas. */
#include <string.h>

#include "ir/op.h"

/* Row 0 is US_OP_NONE, so the table is never empty. */
static const us_op table[US_OP_N] = {
    [US_OP_NONE] = {.domain = "", .name = ""},
/* clang-format off */
#define US_CORE(id, dom, nm, fl, fn) \
    [US_OP_##id] = {.domain = (dom), .name = (nm), .flags = (fl), .schemas = fn##_schemas, \
                    .infer = fn##_infer, .eval = fn##_eval, .expand = NULL},
#define US_COMPOSITE(id, dom, nm, fl, fn) \
    [US_OP_##id] = {.domain = (dom), .name = (nm), .flags = (fl) | US_OP_COMPOSITE, .schemas = fn##_schemas, \
                    .infer = fn##_infer, .eval = fn##_eval, .expand = fn##_expand},
#include "ir/ops.def"
#undef US_CORE
#undef US_COMPOSITE
    /* clang-format on */
};

typedef struct core_why {
    us_core_kind kind;
    const char *reason;
} core_why;

static const core_why whys[US_OP_N] = {
    [US_OP_NONE] = {US_WHY_NONE, ""},
#define US_WHY(id, kind, reason) [US_OP_##id] = {US_WHY_##kind, reason},
#include "ir/core.def"
#undef US_WHY
};

us_core_kind us_op_why(const us_op *op, const char **reason)
{
    const core_why *w = &whys[us_op_index(op)];
    if (reason) *reason = w->reason ? w->reason : "";
    return w->kind;
}

#define US_PREPARE(id, fn) us_prepare_fn fn##_prepare;
#include "ir/prepare.def"
#undef US_PREPARE
static us_prepare_fn *const prepares[US_OP_N] = {
    [US_OP_NONE] = NULL,
#define US_PREPARE(id, fn) [US_OP_##id] = fn##_prepare,
#include "ir/prepare.def"
#undef US_PREPARE
};

us_prepare_fn *us_op_prepare(const us_op *op)
{
    return prepares[us_op_index(op)];
}

#define US_BIND(id, fn) us_bind_fn fn##_bind;
#include "ir/bind.def"
#undef US_BIND
static us_bind_fn *const binds[US_OP_N] = {
    [US_OP_NONE] = NULL,
#define US_BIND(id, fn) [US_OP_##id] = fn##_bind,
#include "ir/bind.def"
#undef US_BIND
};

us_bind_fn *us_op_bind(const us_op *op)
{
    return binds[us_op_index(op)];
}

const us_op *us_op_get(us_op_id id)
{
    size_t i = (size_t)id, n = US_LEN(table);
    if (i == 0 || i >= n) return NULL;
    return &table[i];
}

const us_op *us_op_find(us_sv domain, us_sv name)
{
    if (us_sv_is(domain, "ai.onnx")) domain = (us_sv){"", 0};
    if (!name.n) return NULL;
    for (size_t i = 1; i < US_LEN(table); i++) {
        const us_op *op = &table[i];
        if (op->name[0] == name.p[0] && us_sv_is(name, op->name) &&
            us_sv_is(domain, op->domain))
            return op;
    }
    return NULL;
}

us_op_id us_op_index(const us_op *op)
{
    return op ? (us_op_id)(op - table) : US_OP_NONE;
}

const us_schema *us_op_schema(const us_op *op, int version)
{
    const us_schema *found = NULL;
    for (const us_schema *s = op->schemas; s->since; s++)
        if (s->since <= version) found = s;
    return found;
}

const us_schema *us_op_current(const us_op *op)
{
    const us_schema *s = op->schemas;
    if (!s->since) return NULL;
    while (s[1].since)
        s++;
    return s;
}

static size_t arity(const us_param *p, size_t *n_min)
{
    size_t n = 0, least = 0;
    for (; p && p->name; p++) {
        if (p->flags & US_P_VARIADIC) {
            /* One at least, unless the row says it may be left out too. */
            if (!(p->flags & US_P_OPTIONAL)) least = n + 1;
            n = SIZE_MAX;
            break;
        }
        n++;
        if (!(p->flags & US_P_OPTIONAL)) least = n;
    }
    if (n_min) *n_min = least;
    return n;
}

size_t us_schema_n_in(const us_schema *s, size_t *n_min)
{
    return arity(s->in, n_min);
}

size_t us_schema_n_out(const us_schema *s, size_t *n_min)
{
    return arity(s->out, n_min);
}

us_err us_node_expand(us_ctx *c, us_model *m, us_graph *g, us_nid n)
{
    us_node *nd = &g->nodes.at[n];
    if (!nd->op || !nd->op->expand)
        return us_fail(c, US_UNSUPP, US_SV_FMT " '" US_SV_FMT "' has no expansion",
                       US_SV_ARG(nd->op_type), US_SV_ARG(nd->name));
    if (!nd->params) US_TRY(us_node_decode(c, m, nd));
    return nd->op->expand(c, m, g, n);
}
