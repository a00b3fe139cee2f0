/* cli/cmd_help.c - `usta help [COMMAND | settings]`: the pages that the tables give. */
#include <string.h>

#include "cli/out.h"

static us_err run(us_cli *cli, void *args)
{
    (void)args;
    us_buf b;
    us_buf_init(&b, cli->c, (size_t)1 << 20);
    us_err e = US_OK;
    const char *topic = cli->n_args ? cli->args[0] : "";
    const us_cmd *cmd = us_cmd_find(topic);
    if (!topic[0])
        us_cli_print_help(&b);
    else if (strcmp(topic, "settings") == 0)
        us_conf_print_help(&b);
    else if (cmd)
        us_cmd_print_help(&b, cmd);
    else
        e = us_fail(cli->c, US_ARG, "no help on '%s'; `usta help` lists commands", topic);
    if (e == US_OK) e = us_buf_check(&b);
    if (e == US_OK) us_out_bytes(cli->out, b.p, b.n);
    us_buf_deinit(&b);
    return e;
}

const us_cmd us_cmd_help = {"help",
                            "[COMMAND|settings]",
                            "this page, a command's page, or all settings of usta.yaml",
                            0,
                            0,
                            1,
                            NULL,
                            0,
                            run};
