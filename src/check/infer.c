/* check/infer.c - types and shapes: the model is read, a copy is brought to current operator forms and inferred with what the
 * file declares, and what contradicts is a finding. Then element types are held against the operators' own rows, in the
 * versions the file imports: a copy keeps the numbers of values, so the copy's types are the model's.
 */
#include <string.h>

#include "check/checker.h"
#include "pass/pass.h"

typedef struct typist {
    us_checker *k;
    const us_model *m;   /* as read */
    const us_model *now; /* the copy */
} typist;

/* --- contradictions ---------------------------------------------------------------------------------------------- */

static us_err contradiction(void *arg, const us_graph *g, us_nid id, us_err e)
{
    us_checker *k = arg;
    if (e != US_SHAPE && e != US_ARG && e != US_FORMAT && e != US_LIMIT && e != US_UNSUPP)
        return e;
    const us_node *n = &g->nodes.at[id];
    k->at = (us_ck_node){n->op_type, n->name, n->offset};
    k->graph = g->name;
    us_err f = us_ck_found(k, US_RULE_INFERENCE, n->offset, "%s", k->c->diag.text);
    k->at = (us_ck_node){0};
    k->graph = (us_sv){0};
    return f;
}

/* --- element types ------------------------------------------------------------------------------------------------ */

static const us_type *innermost(const us_type *t)
{
    while ((t->kind == US_KIND_SEQUENCE || t->kind == US_KIND_OPTIONAL) && t->elem)
        t = t->elem;
    return t;
}

/* A formal parameter, a value for it, and what the variables stood for so far. */
static us_err operand(typist *t, const us_node *n, const us_param *p, us_dtype_mask allowed,
                      const us_val *v, us_dtype *bound, const char *what)
{
    us_checker *k = t->k;
    const us_type *type = innermost(&v->type);
    us_dtype d = type->dtype;
    us_kind kind = v->type.kind;
    if (kind == US_KIND_NONE || d == US_DT_NONE || type->kind == US_KIND_MAP) return US_OK;
    bool odd = kind == US_KIND_SEQUENCE && !(p->flags & (US_P_SEQ | US_P_OPT | US_P_MAP));
    if (odd || !(allowed & (us_dtype_mask)1 << d))
        return us_ck_found(k, US_RULE_OPERAND, n->offset,
                           "%s %s ('" US_SV_FMT "') is %s %s, which " US_SV_FMT
                           "-%d does not take",
                           what, p->name, US_SV_ARG(v->name), odd ? "a sequence of" : "of",
                           us_dtype_get(d)->name, US_SV_ARG(n->op_type), n->schema->since);
    /* the flag of a row says that sequences are taken, not that tensors are refused; the standard's name does */
    if (kind == US_KIND_TENSOR && !strcmp(p->name, "input_sequence"))
        return us_ck_found(k, US_RULE_OPERAND, n->offset,
                           "%s %s ('" US_SV_FMT "') is a tensor, a sequence is expected", what,
                           p->name, US_SV_ARG(v->name));
    if (!p->var || p->flags & US_P_HETERO) return US_OK;
    us_dtype *was = &bound[(unsigned char)p->var];
    if (*was == US_DT_NONE) *was = d;
    if (*was == d) return US_OK;
    return us_ck_found(k, US_RULE_OPERAND, n->offset,
                       "%s %s ('" US_SV_FMT "') is of %s, others that must agree with it of %s",
                       what, p->name, US_SV_ARG(v->name), us_dtype_get(d)->name,
                       us_dtype_get(*was)->name);
}

/* Results that older versions give in another type than the current form: the copy's type is not the file's. */
static bool changed(const us_node *n, size_t output)
{
    return us_op_index(n->op) == US_OP_DROPOUT && output == 1 && n->schema->since < 12;
}

static us_err operands(typist *t, const us_graph *now, const us_node *n)
{
    us_dtype bound[256] = {US_DT_NONE};
    const us_param *p = n->schema->in;
    size_t formal = 0;
    for (uint32_t i = 0; p && p->name && i < n->n_in; i++) {
        us_dtype_mask allowed =
            p->types & us_ck_standard_types(n->domain, n->op_type, n->schema->since, formal);
        if (n->in[i] != US_NIL && n->in[i] < now->vals.n)
            US_TRY(operand(t, n, p, allowed, &now->vals.at[n->in[i]], bound, "input"));
        bool last = p->flags & US_P_VARIADIC;
        p += !last;
        formal += !last;
    }
    p = n->schema->out;
    formal = 0;
    for (uint32_t i = 0; p && p->name && i < n->n_out; i++) {
        if (n->out[i] != US_NIL && n->out[i] < now->vals.n && !changed(n, i))
            US_TRY(
                operand(t, n, p,
                        p->types & us_ck_standard_types(n->domain, n->op_type, n->schema->since,
                                                        US_CK_OUTPUT + formal),
                        &now->vals.at[n->out[i]], bound, "output"));
        bool last = p->flags & US_P_VARIADIC;
        p += !last;
        formal += !last;
    }
    US_TRY(us_ck_demands(t->k, now, n));
    return us_ck_relations(t->k, t->now, now, n);
}

static us_err node_types(typist *t, const us_graph *g, const us_graph *now, const us_node *n)
{
    if (!n->op || !n->schema || !us_ck_standard(n->domain) ||
        us_ck_experimental(n->domain, n->op_type))
        return US_OK;
    t->k->at = (us_ck_node){n->op_type, n->name, n->offset};
    t->k->graph = g->name;
    return operands(t, now, n);
}

static us_err all_operands(typist *t)
{
    for (size_t i = 0; i < t->m->graphs.n && i < t->now->graphs.n; i++) {
        const us_graph *g = t->m->graphs.at[i];
        for (size_t j = 0; j < g->order.n; j++)
            US_TRY(node_types(t, g, t->now->graphs.at[i], &g->nodes.at[g->order.at[j]]));
    }
    t->k->at = (us_ck_node){0};
    t->k->graph = (us_sv){0};
    return US_OK;
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

/* Failures that are the model's, as a finding; others as they are. */
static us_err as_finding(us_checker *k, us_rule rule, us_err e)
{
    if (e == US_OK || e == US_NOMEM || e == US_CANCELLED || e == US_BUG || e == US_IO) return e;
    k->rep->complete = false;
    if (k->rep->n_errors)
        return US_OK; /* the same mistake again, or one that follows from it */
    return us_ck_found(k, rule, 0, "%s", k->c->diag.text);
}

/* What upgrades and inference rely on, functions' bodies too: they are looked at when the calls are replaced. */
static us_err verify(us_checker *k, const us_model *m)
{
    for (size_t i = 0; i < m->graphs.n; i++)
        if (!m->graphs.at[i]->parent) US_TRY(us_graph_verify(k->c, m->graphs.at[i]));
    return US_OK;
}

static us_err types(us_checker *k, const us_model *m)
{
    us_model *now;
    us_err e = us_model_clone(k->c, m, &now);
    if (e != US_OK) return as_finding(k, US_RULE_LIMITS, e);
    typist t = {k, m, now};
    e = us_pass_current(k->c, now);
    if (e == US_OK) e = us_graph_infer_all(k->c, now->main, contradiction, k);
    if (e == US_OK) {
        k->rep->inferred = true;
        e = all_operands(&t);
    } else {
        e = as_finding(k, US_RULE_INFERENCE, e);
    }
    us_model_free(now);
    return e;
}

us_err us_ck_infer(us_checker *k, us_sv span)
{
    us_model *m;
    us_onnx_opts o = {.descriptors_only = true};
    us_err e = us_onnx_parse(k->c, k->r.pb.name, span.p, span.n, k->r.dir, &o, &m);
    if (e != US_OK) return as_finding(k, US_RULE_LIMITS, e);
    e = verify(k, m);
    e = e == US_OK ? types(k, m) : as_finding(k, US_RULE_LIMITS, e);
    us_model_free(m);
    return e;
}
