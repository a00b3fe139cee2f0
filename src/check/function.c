/* check/function.c - functions of the model: signatures, imports, bodies, calls, and who calls whom. */
#include "check/checker.h"

/* --- signatures --------------------------------------------------------------------------------------------------- */

static us_err key_of(us_checker *k, us_sv domain, us_sv name, us_sv overload, us_arena *a,
                     us_sv *out)
{
    char *z = us_str_printf(a, US_SV_FMT "\n" US_SV_FMT "\n" US_SV_FMT, US_SV_ARG(domain),
                            US_SV_ARG(name), US_SV_ARG(overload));
    if (!z) return us_arena_fail(k->c, a);
    *out = us_sv_of(z);
    return US_OK;
}

/* The reader keeps `overload` of a node as bytes. */
typedef struct more {
    us_pb_head h;
    us_sv overload;
} more;
static const us_pb_row more_rows[] = {
    {8, US_PB_BYTES, US_PB_SV, (uint16_t)offsetof(more, overload), "overload"}, {0}};
static const us_pb_msg more_msg = {"NodeProto", more_rows};

us_err us_ck_function_find(us_checker *k, const us_pb_node *n, us_ck_function **out)
{
    us_sv key;
    more m = {0};
    *out = NULL;
    if (!k->functions.n) return US_OK;
    US_TRY(us_pb_parse(&k->r.pb, &more_msg, n->h.unknown, &m));
    US_TRY(key_of(k, n->domain, n->op_type, m.overload, k->r.pb.tmp, &key));
    uint32_t i = us_map_get(&k->by_key, key);
    if (i != US_MAP_NONE) *out = &k->functions.at[i];
    return US_OK;
}

/* No name twice in a list. */
static us_err distinct(us_checker *k, const us_pb_function *p, const us_pb_spans *names,
                       const char *what)
{
    us_map seen;
    us_map_init(&seen, k->r.pb.keep);
    for (size_t i = 0; i < names->n; i++) {
        uint32_t was;
        US_TRY(us_map_put(k->c, &seen, names->at[i], 0, &was));
        if (was != US_MAP_NONE)
            US_TRY(us_ck_found(k, US_RULE_FUNCTION, p->h.offset,
                               "%s '" US_SV_FMT "' is listed twice", what,
                               US_SV_ARG(names->at[i])));
    }
    return US_OK;
}

/* Lists of a function outlive the messages. */
static us_err keep(us_checker *k, us_pb_spans *s)
{
    us_pb_spans copy = {0};
    for (size_t i = 0; i < s->n; i++)
        US_TRY(us_vec_push(k->c, k->r.pb.keep, &copy, s->at[i]));
    *s = copy;
    return US_OK;
}

static us_err imports(us_checker *k, us_ck_function *f)
{
    us_opset *list = us_new_n(k->r.pb.keep, us_opset, f->p.opsets.n + 1);
    if (!list) return us_arena_fail(k->c, k->r.pb.keep);
    for (size_t i = 0; i < f->p.opsets.n; i++) {
        us_pb_pair p = {0};
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_opset_msg, f->p.opsets.at[i], &p));
        if (p.version < 1 || p.version > INT32_MAX)
            US_TRY(us_ck_found(k, US_RULE_OPSET_IMPORT, p.h.offset,
                               "version %lld of domain '" US_SV_FMT "' does not exist",
                               (long long)p.version, US_SV_ARG(p.a)));
        else
            list[f->n_imports++] = (us_opset){p.a, (int32_t)p.version};
    }
    f->imports = list;
    return US_OK;
}

static us_err attr_names(us_checker *k, us_ck_function *f)
{
    us_map_init(&f->attrs, k->r.pb.keep);
    for (size_t i = 0; i < f->p.attrs.n; i++)
        US_TRY(us_map_put(k->c, &f->attrs, f->p.attrs.at[i], 0, NULL));
    for (size_t i = 0; i < f->p.attr_protos.n; i++) {
        us_pb_attr d = {0};
        us_mark mark = us_arena_mark(k->r.pb.tmp);
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_attr_msg, f->p.attr_protos.at[i], &d));
        US_TRY(us_map_put(k->c, &f->attrs, d.name, 0, NULL));
        us_arena_reset(k->r.pb.tmp, mark);
    }
    return US_OK;
}

static us_err signature(us_checker *k, us_sv span)
{
    us_ck_function f = {.mark = 0};
    us_pb_function *p = &f.p;
    uint32_t was;
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_function_msg, span, p));
    k->graph = p->name;
    if (!p->name.n)
        US_TRY(us_ck_found(k, US_RULE_NAME, p->h.offset, "a function without a name"));
    US_TRY(keep(k, &p->inputs));
    US_TRY(keep(k, &p->outputs));
    US_TRY(keep(k, &p->attrs));
    US_TRY(keep(k, &p->nodes));
    US_TRY(distinct(k, p, &p->inputs, "input"));
    US_TRY(distinct(k, p, &p->outputs, "output"));
    US_TRY(distinct(k, p, &p->attrs, "attribute"));
    US_TRY(attr_names(k, &f));
    US_TRY(imports(k, &f));
    US_TRY(key_of(k, p->domain, p->name, p->overload, k->r.pb.keep, &f.key));
    US_TRY(us_map_put(k->c, &k->by_key, f.key, (uint32_t)k->functions.n, &was));
    if (was != US_MAP_NONE)
        US_TRY(us_ck_found(k, US_RULE_FUNCTION, p->h.offset, "the function is defined twice"));
    return us_vec_push(k->c, k->r.pb.keep, &k->functions, f);
}

us_err us_ck_functions(us_checker *k, const us_pb_spans *spans)
{
    for (size_t i = 0; i < spans->n; i++)
        US_TRY(signature(k, spans->at[i]));
    k->graph = (us_sv){0};
    return US_OK;
}

/* --- calls ----------------------------------------------------------------------------------------------------------- */

us_err us_ck_call(us_checker *k, const us_pb_node *n, us_ck_function *f)
{
    f->called = true;
    if (k->fn)
        US_TRY(us_vec_push(k->c, k->r.pb.keep, &k->fn->calls, (uint32_t)(f - k->functions.at)));
    if (n->inputs.n > f->p.inputs.n)
        US_TRY(us_ck_found(k, US_RULE_FUNCTION, n->h.offset,
                           "%zu inputs, the function takes %zu", n->inputs.n, f->p.inputs.n));
    if (n->outputs.n > f->p.outputs.n)
        US_TRY(us_ck_found(k, US_RULE_FUNCTION, n->h.offset,
                           "%zu outputs, the function gives %zu", n->outputs.n,
                           f->p.outputs.n));
    for (size_t i = 0; i < n->attrs.n; i++) {
        us_pb_attr a = {0};
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_attr_msg, n->attrs.at[i], &a));
        if (a.name.n && us_map_get(&f->attrs, a.name) == US_MAP_NONE)
            US_TRY(us_ck_found(k, US_RULE_ATTR_UNKNOWN, a.h.offset,
                               "the function has no attribute '" US_SV_FMT "'",
                               US_SV_ARG(a.name)));
    }
    return us_ck_attrs(k, n, NULL, NULL);
}

/* --- bodies ---------------------------------------------------------------------------------------------------------- */

/* An operator that a function and the model both use must be the same one in both versions. */
static us_err same_meaning(us_checker *k, us_ck_function *f)
{
    for (size_t i = 0; i < f->p.nodes.n; i++) {
        us_pb_node n = {0};
        us_mark mark = us_arena_mark(k->r.pb.tmp);
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_node_msg, f->p.nodes.at[i], &n));
        int here = us_ck_import(f->imports, f->n_imports, n.domain, true);
        int there = us_ck_import(k->imports, k->n_imports, n.domain, true);
        const us_op *op = us_op_find(n.domain, n.op_type);
        if (op && here && there && here != there &&
            us_op_schema(op, here) != us_op_schema(op, there)) {
            k->at = (us_ck_node){n.op_type, n.name, n.h.offset};
            US_TRY(us_ck_found(k, US_RULE_FUNCTION_OPSET, n.h.offset,
                               "it changed between version %d (the function's) and %d (the "
                               "model's) of its domain",
                               here, there));
        }
        us_arena_reset(k->r.pb.tmp, mark);
    }
    k->at = (us_ck_node){0};
    return US_OK;
}

static us_err body(us_checker *k, us_ck_function *f)
{
    for (size_t i = 0; i < f->p.inputs.n; i++)
        if (!us_ck_lookup(k->scope, f->p.inputs.at[i], false))
            US_TRY(us_ck_define(k, f->p.inputs.at[i], US_CK_INPUT, f->p.h.offset, 0));
    US_TRY(us_ck_nodes(k, &f->p.nodes));
    for (size_t i = 0; i < f->p.outputs.n; i++) {
        us_ck_value *v = us_ck_lookup(k->scope, f->p.outputs.at[i], false);
        if (v)
            v->used = true;
        else
            US_TRY(us_ck_found(k, US_RULE_OUTPUT, f->p.h.offset,
                               "output '" US_SV_FMT
                               "' of the function is made by no node of it",
                               US_SV_ARG(f->p.outputs.at[i])));
    }
    US_TRY(us_ck_unused(k));
    return same_meaning(k, f);
}

/* Depth-first; mark 1 is on the path. A list of frames, for chains may be long. */
typedef struct frame {
    uint32_t f;
    size_t i_call;
} frame;

static us_err recursion(us_checker *k, uint32_t from)
{
    US_VEC(frame) path = {0};
    us_arena *a = k->r.pb.tmp;
    us_mark mark = us_arena_mark(a);
    US_TRY(us_vec_push(k->c, a, &path, (frame){from, 0}));
    k->functions.at[from].mark = 1;
    while (path.n) {
        frame *top = &path.at[path.n - 1];
        us_ck_function *f = &k->functions.at[top->f];
        if (top->i_call == f->calls.n) {
            f->mark = 2;
            path.n--;
            continue;
        }
        uint32_t next = f->calls.at[top->i_call++];
        us_ck_function *g = &k->functions.at[next];
        if (g->mark == 1) {
            k->graph = f->p.name;
            US_TRY(us_ck_found(k, US_RULE_RECURSION, f->p.h.offset,
                               "the function calls '" US_SV_FMT "', which comes to call it",
                               US_SV_ARG(g->p.name)));
        }
        if (g->mark != 0) continue;
        g->mark = 1;
        US_TRY(us_vec_push(k->c, a, &path, (frame){next, 0}));
    }
    us_arena_reset(a, mark);
    return US_OK;
}

us_err us_ck_bodies(us_checker *k)
{
    for (size_t i = 0; i < k->functions.n; i++) {
        us_ck_scope scope = {.up = NULL};
        us_map_init(&scope.names, k->r.pb.keep);
        k->fn = &k->functions.at[i];
        k->graph = k->fn->p.name;
        k->scope = &scope;
        k->depth++;
        us_err e = body(k, k->fn);
        k->depth--;
        k->scope = NULL;
        k->fn = NULL;
        US_TRY(e);
    }
    for (size_t i = 0; i < k->functions.n; i++) {
        const us_ck_function *f = &k->functions.at[i];
        k->graph = f->p.name;
        if (!f->called)
            US_TRY(us_ck_found(k, US_RULE_UNUSED_FUNCTION, f->p.h.offset, "nothing calls it"));
        if (f->mark == 0) US_TRY(recursion(k, (uint32_t)i));
    }
    return US_OK;
}
