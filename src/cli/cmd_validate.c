/* cli/cmd_validate.c - `usta validate`: the gate with every row: requirements and standing checks, their evidence. What comes
 * before is run when it has to be; a judgement that stands is shown again, not made again (--force makes it anew). */
#include "cli/stages.h"

typedef struct validate_args {
    bool force;
} validate_args;

static const us_opt validate_opts[] = {{US_OPT_BOOL, 0, "force", offsetof(validate_args, force),
                                        "false", 0, 0, "", "", NULL,
                                        "judge again although nothing has changed"},
                                       {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

static us_err print_gate(us_cli *cli, const json_t *gate)
{
    us_rtable *t;
    size_t i;
    json_t *row;
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL, "gate|required|found|passed|evidence", &t));
    json_array_foreach(gate, i, row) us_gate_row_cells(t, row);
    return us_out_table(cli, t);
}

static us_err run(us_cli *cli, void *args_)
{
    const validate_args *args = args_;
    us_flow_opts opts = {.until = "validate", .force = args->force};
    us_flow_result r = {0};
    const json_t *facts = NULL;
    us_err e = us_flow_run(cli->c, cli->arena, cli->store, cli->conf, &opts, &r);
    us_diag said = cli->c->diag;
    for (size_t i = 0; i < r.n; i++)
        if (json_object_get(r.rows[i].facts, "gate")) facts = r.rows[i].facts;
    if (!facts) return e; /* something before the gate went wrong */
    US_TRY(cli->json ? us_out_json(cli, facts)
                     : print_gate(cli, json_object_get(facts, "gate")));
    cli->c->diag = said;
    return e;
}

const us_cmd us_cmd_validate = {
    .name = "validate",
    .args = "",
    .help = "judge the model by the requirements, with all evidence; exit 1: refused",
    .needs = US_NEED_PROJECT | US_NEED_STORE | US_NEED_POOL,
    .opts = validate_opts,
    .args_size = sizeof(validate_args),
    .run = run};
