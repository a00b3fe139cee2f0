/* check/check.c - the model around its graphs: versions, imports, properties; and the order of the whole check. */
#include "check/check.h"

#include <string.h>

#include "base/file.h"
#include "check/checker.h"

#define NAMES_CAP  ((size_t)4 << 30) /* names and scopes of one check */
#define REPORT_CAP ((size_t)64 << 20)

/* --- imports -------------------------------------------------------------------------------------------------- */

int us_ck_import(const us_opset *imports, size_t n, us_sv domain, bool exact)
{
    int version = 0;
    bool is_default = !domain.n || us_sv_is(domain, "ai.onnx");
    for (size_t i = 0; i < n; i++) {
        us_sv d = imports[i].domain;
        bool same =
            us_sv_eq(d, domain) || (!exact && is_default && (!d.n || us_sv_is(d, "ai.onnx")));
        if (same) version = US_MAX(version, imports[i].version);
    }
    return version;
}

static us_err one_import(us_checker *k, us_sv span, us_opset *seen, size_t n_seen, bool *new)
{
    us_pb_pair p = {0};
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_opset_msg, span, &p));
    *new = false;
    if (p.version < 1 || p.version > INT32_MAX)
        return us_ck_found(k, US_RULE_OPSET_IMPORT, p.h.offset,
                           "version %lld of domain '" US_SV_FMT "' does not exist",
                           (long long)p.version, US_SV_ARG(p.a));
    int was = us_ck_import(seen, n_seen, p.a, true);
    *new = true;
    seen[n_seen] = (us_opset){p.a, (int32_t)p.version};
    if (was)
        return us_ck_found(k, US_RULE_OPSET_TWICE, p.h.offset,
                           "domain '" US_SV_FMT "' is imported as %d and as %lld",
                           US_SV_ARG(p.a), was, (long long)p.version);
    const char *runtime = us_ck_runtime_for(p.a, (int)p.version);
    if (runtime)
        return us_ck_found(k, US_RULE_OPSET_NEW, p.h.offset, "opset %lld of '%s': %s",
                           (long long)p.version, p.a.n ? "ai.onnx.ml" : "ai.onnx", runtime);
    return US_OK;
}

static us_err read_imports(us_checker *k, const us_pb_spans *spans, const us_opset **out,
                           size_t *n_out)
{
    size_t n = 0;
    us_opset *seen = us_new_n(k->r.pb.keep, us_opset, spans->n + 1);
    if (!seen) return us_arena_fail(k->c, k->r.pb.keep);
    for (size_t i = 0; i < spans->n; i++) {
        bool new;
        US_TRY(one_import(k, spans->at[i], seen, n, &new));
        n += new;
    }
    *out = seen;
    *n_out = n;
    return US_OK;
}

/* --- the model ------------------------------------------------------------------------------------------------- */

static us_err versions(us_checker *k, const us_pb_model *p)
{
    k->ir = p->ir_version;
    if (!us_pb_has(&p->h, 1) || k->ir < 1) {
        US_TRY(us_ck_found(k, US_RULE_IR_VERSION, 0, "the model says no IR version"));
        k->ir = US_CHECK_NEWEST_IR;
    } else if (k->ir > US_CHECK_NEWEST_IR) {
        US_TRY(us_ck_found(k, US_RULE_IR_VERSION, 0, "IR version %lld: the newest known is %d",
                           (long long)k->ir, US_CHECK_NEWEST_IR));
    }
    US_TRY(read_imports(k, &p->opsets, &k->imports, &k->n_imports));
    if (k->ir >= 3 && !p->opsets.n)
        return us_ck_found(k, US_RULE_OPSET_IMPORT, 0,
                           "no operator set is imported; IR %lld needs at least ai.onnx",
                           (long long)k->ir);
    if (k->ir < 3 && p->opsets.n)
        return us_ck_found(k, US_RULE_OPSET_IMPORT, 0,
                           "IR %lld has no imports, but %zu are given", (long long)k->ir,
                           p->opsets.n);
    int opset = us_ck_import(k->imports, k->n_imports, (us_sv){0}, false);
    int ir = us_ck_ir_of_opset(opset);
    if (k->ir < ir && k->ir >= 3)
        return us_ck_found(k, US_RULE_OLD_IR, 0,
                           "opset %d came with IR %d, the model says %lld", opset, ir,
                           (long long)k->ir);
    return US_OK;
}

/* A file from before imports binds to version 1. */
static us_err first_imports(us_checker *k)
{
    us_opset *one = us_new(k->r.pb.keep, us_opset);
    if (!one) return us_arena_fail(k->c, k->r.pb.keep);
    one->version = 1;
    if (k->ir < 3 && !k->n_imports) {
        k->imports = one;
        k->n_imports = 1;
    }
    return US_OK;
}

static us_err properties(us_checker *k, const us_pb_spans *spans)
{
    us_map keys;
    us_map_init(&keys, k->r.pb.keep);
    for (size_t i = 0; i < spans->n; i++) {
        us_pb_pair p = {0};
        uint32_t was;
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_entry_msg, spans->at[i], &p));
        US_TRY(us_map_put(k->c, &keys, p.a, 0, &was));
        if (was != US_MAP_NONE)
            US_TRY(us_ck_found(k, US_RULE_METADATA, p.h.offset,
                               "key '" US_SV_FMT "' is there twice", US_SV_ARG(p.a)));
    }
    return US_OK;
}

static us_err not_runnable(us_checker *k)
{
    for (size_t i = 0; i < k->missing.items.n; i++)
        US_TRY(us_ck_found(k, US_RULE_NOT_RUNNABLE, 0,
                           "operator " US_SV_FMT " (%u nodes) is not in this build",
                           US_SV_ARG(k->missing.items.at[i].key),
                           k->missing.items.at[i].value));
    return US_OK;
}

static us_err model(us_checker *k, us_sv span)
{
    us_pb_model p = {0};
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_model_msg, span, &p));
    if (!us_pb_has(&p.h, 7))
        return us_pb_fail(&k->r.pb, US_FORMAT, "ModelProto", NULL,
                          "no graph: is this an ONNX model?");
    US_TRY(versions(k, &p));
    US_TRY(first_imports(k));
    US_TRY(properties(k, &p.props));
    US_TRY(us_ck_functions(k, &p.functions));
    us_ck_sides sides;
    US_TRY(us_ck_graph(k, p.graph, &sides));
    k->graph = (us_sv){0};
    US_TRY(us_ck_bodies(k));
    US_TRY(us_ck_count_causes(k));
    k->graph = (us_sv){0};
    US_TRY(us_ck_weights(k));
    US_TRY(not_runnable(k));
    return us_ck_infer(k, span);
}

/* --- whole files ------------------------------------------------------------------------------------------------ */

static us_err run(us_checker *k, us_sv span)
{
    us_map_init(&k->by_key, k->r.pb.keep);
    us_map_init(&k->missing, k->r.pb.keep);
    us_map_init(&k->causes, k->r.pb.keep);
    us_map_init(&k->r.external_names, k->r.pb.keep);
    return model(k, span);
}

us_err us_check_bytes(us_ctx *c, const char *name, const void *p, size_t n, const char *dir,
                      us_check_report **out)
{
    us_err e;
    us_arena *keep = NULL, *tmp = NULL, *report = NULL;
    us_checker k = {.c = c};
    US_GO(us_arena_new(c, "names of a check", NAMES_CAP, &keep));
    US_GO(us_arena_new(c, "checking a model", US_MODEL_ARENA_CAP, &tmp));
    US_GO(us_arena_new(c, "findings of a check", REPORT_CAP, &report));
    US_GO(us_model_new(c, &k.r.m));
    k.rep = us_new(report, us_check_report);
    US_GO(k.rep ? US_OK : us_arena_fail(c, report));
    k.rep->arena = report;
    k.rep->complete = true;
    k.r.pb = (us_pb){c, name, p, keep, tmp, 0};
    k.r.dir = dir;
    US_GO(run(&k, (us_sv){p, n}));
    *out = k.rep;
    report = NULL;
out:
    us_model_free(k.r.m);
    us_arena_free(report);
    us_arena_free(tmp);
    us_arena_free(keep);
    return e;
}

us_err us_check_file(us_ctx *c, const char *path, us_check_report **out)
{
    us_err e;
    us_file *f = NULL;
    us_arena *a = NULL;
    us_check_report *rep = NULL;
    char *dir;
    US_GO(us_file_open(c, path, US_ONNX_MAX_FILE, &f));
    US_GO(us_arena_new(c, "path", (size_t)1 << 20, &a));
    dir = us_path_dir(a, path);
    US_GO(dir ? US_OK : us_arena_fail(c, a));
    US_GO(us_check_bytes(c, path, us_file_data(f), us_file_size(f), dir, &rep));
    US_GO(us_file_ok(f) ? US_OK
                        : us_fail(c, US_IO, "%s: the file shrank while it was read", path));
    *out = rep;
    rep = NULL;
out:
    us_check_free(rep);
    us_arena_free(a);
    us_file_close(f);
    return e;
}
