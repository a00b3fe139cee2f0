/* cli/cmd_run.c - `usta run`: the lifecycle, each stage only when something it depends on has changed. */
#include "base/clock.h"
#include "cli/stages.h"

typedef struct run_args {
    const char *until;
    bool force, serve;
} run_args;

static const us_opt run_opts[] = {
    {US_OPT_TEXT, 'u', "until", offsetof(run_args, until), "", 0, 0, "STAGE", "", NULL,
     "stop after this stage"},
    {US_OPT_BOOL, 's', "serve", offsetof(run_args, serve), "false", 0, 0, "", "", NULL,
     "start the server in the background when the gate has passed"},
    {US_OPT_BOOL, 0, "force", offsetof(run_args, force), "false", 0, 0, "", "", NULL,
     "run every stage again although nothing has changed"},
    {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

/* One line per stage on stderr while it goes, for people at a terminal only. */
static void tell(void *ud, const us_flow_row *row)
{
    us_cli *cli = ud;
    if (row->state == US_STAGE_PENDING)
        us_say(cli, "%s: %s\n", row->stage, row->why[0] ? row->why : "runs");
}

static us_err run(us_cli *cli, void *args_)
{
    const run_args *args = args_;
    bool watch = us_tty(2) && !cli->json;
    us_flow_opts opts = {.until = args->until[0] ? args->until : NULL,
                         .serve = args->serve,
                         .force = args->force,
                         .tell = watch ? tell : NULL,
                         .ud = cli};
    us_flow_result r = {0};
    uint64_t start = us_now_ns();
    us_err e = us_flow_run(cli->c, cli->arena, cli->store, cli->conf, &opts, &r);
    us_diag said = cli->c->diag;
    if (e != US_OK && r.n && r.rows[0].state == US_STAGE_PENDING)
        return e; /* nothing to show */
    US_TRY(cli->json ? us_stages_json(cli, &r, e, said.text)
                     : us_stages_table(cli, &r, (int64_t)(us_now_ns() - start)));
    cli->c->diag = said;
    return e;
}

const us_cmd us_cmd_run = {"run",
                           "",
                           "the whole lifecycle, cached by content",
                           US_NEED_PROJECT | US_NEED_STORE | US_NEED_POOL,
                           0,
                           0,
                           run_opts,
                           sizeof(run_args),
                           run};
