/* cli/cmd_check.c - `usta check MODEL`: every rule of ONNX the file breaks, and advice. Exit 1 when a rule is broken; 2 when the
 * bytes are no model. --rules prints the rules, so that a name in a finding can be looked up. */
#include <string.h>

#include "check/check.h"
#include "cli/cli.h"

typedef struct check_args {
    bool rules, no_advice;
} check_args;

#define F(f) offsetof(check_args, f)
static const us_opt opts[] = {{US_OPT_BOOL, 0, "rules", F(rules), "false", 0, 0, "", "", NULL,
                               "list the rules with what each asks, and stop"},
                              {US_OPT_BOOL, 0, "no-advice", F(no_advice), "false", 0, 0, "", "",
                               NULL, "say only which rules are broken"},
                              {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};
#undef F

static const char *severity(us_rule r)
{
    return us_rule_get(r)->severity == US_SEV_ERROR ? "error" : "advice";
}

/* --- the rules ---------------------------------------------------------------------------------------------------- */

static us_err rules(us_cli *cli)
{
    us_rtable *t;
    json_t *all = json_array();
    US_TRY(us_json_keep(cli->c, cli->arena, all));
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL, "rule|kind|what it asks", &t));
    for (int r = 0; r < US_RULE_N; r++) {
        const us_rule_info *i = us_rule_get((us_rule)r);
        us_rtable_cell(t, i->name);
        us_rtable_cell(t, severity((us_rule)r));
        us_rtable_cell(t, i->help);
        if (json_array_append_new(all, json_pack("{s:s, s:s, s:s}", "rule", i->name, "kind",
                                                 severity((us_rule)r), "help", i->help)))
            return us_nomem(cli->c);
    }
    return cli->json ? us_out_json(cli, all) : us_out_table(cli, t);
}

/* --- findings ----------------------------------------------------------------------------------------------------- */

/* Names come from the file and may hold any bytes; JSON takes UTF-8 only. */
static json_t *text(us_sv s)
{
    return us_utf8_valid(s) ? json_stringn_nocheck(s.p ? s.p : "", s.n)
                            : json_string("(not UTF-8)");
}

static us_err json(us_cli *cli, const us_check_report *rep, bool no_advice)
{
    json_t *list = json_array();
    US_TRY(us_json_keep(cli->c, cli->arena, list));
    for (size_t i = 0; i < rep->found.n; i++) {
        const us_finding *f = &rep->found.at[i];
        if (no_advice && us_rule_get(f->rule)->severity == US_SEV_ADVICE) continue;
        json_t *row =
            json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "rule", us_rule_get(f->rule)->name,
                      "kind", severity(f->rule), "offset", (json_int_t)f->offset, "graph",
                      text(f->graph), "operator", text(f->op_type), "node", text(f->node),
                      "text", text(us_sv_of(f->text)));
        if (json_array_append_new(list, row)) return us_nomem(cli->c);
    }
    json_t *all =
        json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:b, s:O}", "file", cli->args[0],
                  "valid", rep->n_errors == 0, "errors", (json_int_t)rep->n_errors, "advice",
                  (json_int_t)rep->n_advice, "graphs", (json_int_t)rep->n_graphs, "nodes",
                  (json_int_t)rep->n_nodes, "weights", (json_int_t)rep->n_weights,
                  "types_checked", (int)(rep->inferred && rep->complete), "findings", list);
    US_TRY(us_json_keep(cli->c, cli->arena, all));
    return us_out_json(cli, all);
}

static void line(us_cli *cli, const us_finding *f)
{
    us_outf(cli->out, "%s:%llu: %s: ", cli->args[0], (unsigned long long)f->offset,
            severity(f->rule));
    if (f->op_type.n || f->node.n)
        us_outf(cli->out, US_SV_FMT " '" US_SV_FMT "': ", US_SV_ARG(f->op_type),
                US_SV_ARG(f->node));
    us_outf(cli->out, "%s [%s]", f->text, us_rule_get(f->rule)->name);
    if (f->graph.n) us_outf(cli->out, " in '" US_SV_FMT "'", US_SV_ARG(f->graph));
    us_out_text(cli->out, "\n");
}

static void page(us_cli *cli, const us_check_report *rep, bool no_advice)
{
    size_t shown = 0;
    for (int s = US_SEV_ERROR; s <= (no_advice ? US_SEV_ERROR : US_SEV_ADVICE); s++)
        for (size_t i = 0; i < rep->found.n; i++)
            if ((int)us_rule_get(rep->found.at[i].rule)->severity == s) {
                line(cli, &rep->found.at[i]);
                shown++;
            }
    size_t all = rep->n_errors + (no_advice ? 0 : rep->n_advice);
    if (shown < all) us_outf(cli->out, "... and %zu more\n", all - shown);
    us_outf(cli->out, "%s%s: %zu nodes in %zu graphs, %zu weights: ", shown ? "\n" : "",
            cli->args[0], rep->n_nodes, rep->n_graphs, rep->n_weights);
    if (rep->n_errors)
        us_outf(cli->out, "%zu errors", rep->n_errors);
    else
        us_out_text(cli->out, "keeps the rules");
    us_outf(cli->out, ", %zu pieces of advice\n", rep->n_advice);
    if (!rep->complete)
        us_out_text(cli->out,
                    "Types and shapes were not all looked at: repair the errors, then "
                    "check again.\n");
}

static us_err run(us_cli *cli, void *args_)
{
    const check_args *args = args_;
    us_check_report *rep;
    if (args->rules) return rules(cli);
    if (!cli->n_args) return us_fail(cli->c, US_ARG, "which model? usta check MODEL.onnx");
    US_TRY(us_check_file(cli->c, cli->args[0], &rep));
    us_err e = US_OK;
    if (cli->json)
        e = json(cli, rep, args->no_advice);
    else
        page(cli, rep, args->no_advice);
    if (e == US_OK && rep->n_errors) {
        cli->c->diag.text[0] = 0; /* all is said */
        e = US_NO;
    }
    us_check_free(rep);
    return e;
}

const us_cmd us_cmd_check = {.name = "check",
                             .args = "MODEL.onnx",
                             .help = "does a model keep the rules of ONNX; exit 1: it does not",
                             .min_args = 0,
                             .max_args = 1,
                             .opts = opts,
                             .args_size = sizeof(check_args),
                             .run = run};
