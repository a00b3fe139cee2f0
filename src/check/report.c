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

us_err us_ck_found(us_checker *k, us_rule rule, uint64_t offset, const char *fmt, ...)
{
    us_check_report *rep = k->rep;
    bool error = rules[rule].severity == US_SEV_ERROR;
    rep->n_errors += error;
    rep->n_advice += !error;
    if (rep->found.n >= US_CHECK_MAX_FINDINGS) return US_OK;
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    us_finding f = {.rule = rule, .offset = offset};
    f.text = us_str_dup(rep->arena, us_sv_of(text));
    if (!f.text) return us_arena_fail(k->c, rep->arena);
    US_TRY(us_sv_dup(k->c, rep->arena, k->graph, &f.graph));
    US_TRY(us_sv_dup(k->c, rep->arena, k->at.op_type, &f.op_type));
    US_TRY(us_sv_dup(k->c, rep->arena, k->at.name, &f.node));
    return us_vec_push(k->c, rep->arena, &rep->found, f);
}

void us_check_free(us_check_report *r)
{
    if (r) us_arena_free(r->arena);
}
