/* cli/cmd_status.c - `usta status`: where each stage stands and what `usta run` would do, with the reason. */
#include "cli/stages.h"

static us_err run(us_cli *cli, void *args)
{
    (void)args;
    us_flow_opts opts = {.dry = true};
    us_flow_result r = {0};
    US_TRY(us_flow_run(cli->c, cli->arena, cli->store, cli->conf, &opts, &r));
    return cli->json ? us_stages_json(cli, &r, US_OK, "") : us_stages_table(cli, &r, -1);
}

const us_cmd us_cmd_status = {"status",
                              "",
                              "where each stage stands and why",
                              US_NEED_PROJECT | US_NEED_STORE,
                              0,
                              0,
                              NULL,
                              0,
                              run};
