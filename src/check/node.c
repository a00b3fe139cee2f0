/* check/node.c - a node against its operator: does it exist in the version imported, is it withdrawn, how many inputs and
 * outputs, which may be left out. Operators of other domains than the standard's are looked at as far as we know them, as
 * advice; functions of the model stand for themselves. */
#include "check/checker.h"

/* Counted by domain and name; said once, at the end. */
static us_err missing(us_checker *k, const us_pb_node *n)
{
    us_sv domain = n->domain.n ? n->domain : US_SV("ai.onnx");
    const char *z = us_str_printf(k->r.pb.keep, US_SV_FMT ":" US_SV_FMT, US_SV_ARG(domain),
                                  US_SV_ARG(n->op_type));
    if (!z) return us_arena_fail(k->c, k->r.pb.keep);
    uint32_t at = us_map_get(&k->missing, us_sv_of(z));
    return us_map_put(k->c, &k->missing, us_sv_of(z), at == US_MAP_NONE ? 1 : at + 1, NULL);
}

/* --- the domain ------------------------------------------------------------------------------------------------ */

/* The version of the node's domain; 0 and a finding when nothing imports it. */
static us_err import_of(us_checker *k, const us_pb_node *n, int *out)
{
    const us_opset *list = k->fn ? k->fn->imports : k->imports;
    size_t n_list = k->fn ? k->fn->n_imports : k->n_imports;
    *out = us_ck_import(list, n_list, n->domain, true);
    if (*out) return US_OK;
    *out = us_ck_import(list, n_list, n->domain, false);
    const char *where = k->fn ? "function" : "model";
    if (*out)
        return us_ck_once(k, US_RULE_OPSET_IMPORT, n->domain, n->h.offset,
                          "its domain '" US_SV_FMT
                          "' is imported by the %s under the other name ('' is ai.onnx): other "
                          "readers refuse that",
                          US_SV_ARG(n->domain), where);
    return us_ck_once(k, US_RULE_OPSET_IMPORT, n->domain, n->h.offset,
                      "its domain '" US_SV_FMT "' is not imported by the %s",
                      US_SV_ARG(n->domain), where);
}

/* --- arity ------------------------------------------------------------------------------------------------------ */

static us_err arity(us_checker *k, const us_pb_node *n, size_t has, size_t lo, size_t hi,
                    const char *what)
{
    if (has >= lo && has <= hi) return US_OK;
    if (hi == SIZE_MAX)
        return us_ck_found(k, US_RULE_ARITY, n->h.offset, "%zu %s, at least %zu expected", has,
                           what, lo);
    return us_ck_found(k, US_RULE_ARITY, n->h.offset, "%zu %s, %zu to %zu expected", has, what,
                       lo, hi);
}

static us_err left_out(us_checker *k, const us_pb_node *n, const us_param *p,
                       const us_pb_spans *names, const char *what)
{
    for (size_t i = 0; p && p->name && i < names->n; i++, p++) {
        bool listed = p->flags & US_P_VARIADIC; /* may be empty, but has no gaps */
        if (!names->at[i].n && (listed || !(p->flags & US_P_OPTIONAL)))
            US_TRY(us_ck_found(k, US_RULE_REQUIRED, n->h.offset,
                               "%s %zu (%s) is left out and not optional", what, i, p->name));
        p -= p->flags & US_P_VARIADIC ? 1 : 0; /* takes all the rest */
    }
    return US_OK;
}

static us_err schema(us_checker *k, const us_pb_node *n, const us_op *op, const us_schema *s)
{
    size_t lo, hi = us_schema_n_in(s, &lo);
    US_TRY(arity(k, n, n->inputs.n, lo, hi, "inputs"));
    hi = us_schema_n_out(s, &lo);
    US_TRY(arity(k, n, n->outputs.n, lo, hi, "outputs"));
    US_TRY(left_out(k, n, s->in, &n->inputs, "input"));
    US_TRY(left_out(k, n, s->out, &n->outputs, "output"));
    return us_ck_attrs(k, n, op, s);
}

/* --- the operator ------------------------------------------------------------------------------------------------ */

static us_err unknown(us_checker *k, const us_pb_node *n, int version)
{
    US_TRY(missing(k, n));
    if (us_ck_experimental(n->domain, n->op_type)) return US_OK;
    if (us_ck_standard(n->domain))
        US_TRY(us_ck_once(k, US_RULE_OPERATOR, n->op_type, n->h.offset,
                          "there is no such operator in version %d of %s", version,
                          n->domain.n ? "its domain" : "ai.onnx"));
    return US_OK;
}

us_err us_ck_op(us_checker *k, const us_pb_node *n)
{
    int version, since;
    US_TRY(import_of(k, n, &version));
    us_ck_function *f;
    US_TRY(us_ck_function_find(k, n, &f));
    const us_op *op = us_op_find(n->domain, n->op_type);
    if (f && !(op && us_ck_standard(n->domain))) return us_ck_call(k, n, f);
    if (us_ck_experimental(n->domain, n->op_type))
        US_TRY(us_ck_once(k, US_RULE_EXPERIMENTAL, n->op_type, n->h.offset,
                          "it was experimental and is no part of the standard"));
    if (us_ck_deprecated(n->domain, n->op_type, version, &since))
        US_TRY(us_ck_once(k, US_RULE_DEPRECATED, n->op_type, n->h.offset,
                          "it was withdrawn in version %d; the file imports %d", since,
                          version));
    bool old = version < us_ck_first_version(n->domain, n->op_type);
    const us_schema *s = op && version && !old ? us_op_schema(op, version) : NULL;
    if (!op || (version && !s)) {
        US_TRY(unknown(k, n, version));
        return us_ck_attrs(k, n, NULL, NULL);
    }
    if (!s || !us_ck_standard(n->domain) || us_ck_experimental(n->domain, n->op_type))
        return us_ck_attrs(k, n, NULL, NULL);
    return schema(k, n, op, s);
}
