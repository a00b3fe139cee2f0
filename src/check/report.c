/* check/report.c - findings: the table of rules, and one function that notes a finding where the walk stands. */
#include <stdarg.h>
#include <stdio.h>

#include "check/checker.h"

#define ERROR  US_SEV_ERROR
#define ADVICE US_SEV_ADVICE
static const us_rule_info rules[] = {
#define US_RULE(id, name, severity, help) [US_RULE_##id] = {name, severity, help},
#include "check/rules.def"
#undef US_RULE
};
#undef ERROR
#undef ADVICE

const us_rule_info *us_rule_get(us_rule r)
{
    return &rules[r];
}

#define TEXT_MAX 600

static us_err note(us_checker *k, us_rule rule, uint64_t offset, const char *text)
{
    us_check_report *rep = k->rep;
    bool error = rules[rule].severity == US_SEV_ERROR;
    rep->n_errors += error;
    rep->n_advice += !error;
    if (rep->found.n >= US_CHECK_MAX_FINDINGS) return US_OK;
    us_finding f = {.rule = rule, .offset = offset};
    f.text = us_str_dup(rep->arena, us_sv_of(text));
    if (!f.text) return us_arena_fail(k->c, rep->arena);
    US_TRY(us_sv_dup(k->c, rep->arena, k->graph, &f.graph));
    US_TRY(us_sv_dup(k->c, rep->arena, k->at.op_type, &f.op_type));
    US_TRY(us_sv_dup(k->c, rep->arena, k->at.name, &f.node));
    return us_vec_push(k->c, rep->arena, &rep->found, f);
}

us_err us_ck_found(us_checker *k, us_rule rule, uint64_t offset, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return note(k, rule, offset, text);
}

/* --- causes that many nodes share -------------------------------------------------------------------------------- */

us_err us_ck_once(us_checker *k, us_rule rule, us_sv key, uint64_t offset, const char *fmt, ...)
{
    char text[TEXT_MAX];
    us_sv where = k->fn ? k->fn->key : US_SV("");
    char *name = us_str_printf(k->r.pb.keep, "%d\n" US_SV_FMT "\n" US_SV_FMT, (int)rule,
                               US_SV_ARG(where), US_SV_ARG(key));
    if (!name) return us_arena_fail(k->c, k->r.pb.keep);
    uint32_t at = us_map_get(&k->causes, us_sv_of(name));
    if (at != US_MAP_NONE) {
        k->all_causes.at[at].n++;
        return US_OK;
    }
    size_t kept = k->rep->found.n < US_CHECK_MAX_FINDINGS ? k->rep->found.n : SIZE_MAX;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    US_TRY(note(k, rule, offset, text));
    US_TRY(us_map_put(k->c, &k->causes, us_sv_of(name), (uint32_t)k->all_causes.n, NULL));
    return us_vec_push(k->c, k->r.pb.keep, &k->all_causes, (us_ck_cause){kept, 1});
}

us_err us_ck_count_causes(us_checker *k)
{
    for (size_t i = 0; i < k->all_causes.n; i++) {
        const us_ck_cause *cause = &k->all_causes.at[i];
        if (cause->n < 2 || cause->finding == SIZE_MAX) continue;
        us_finding *f = &k->rep->found.at[cause->finding];
        f->text = us_str_printf(k->rep->arena, "%s (the same for %zu more node%s)", f->text,
                                cause->n - 1, cause->n == 2 ? "" : "s");
        if (!f->text) return us_arena_fail(k->c, k->rep->arena);
    }
    return US_OK;
}

void us_check_free(us_check_report *r)
{
    if (r) us_arena_free(r->arena);
}
