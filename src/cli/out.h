/* cli/out.h - the inside of us_out, for the frame (main.c) alone; commands use cli/cli.h. */
#ifndef USTA_CLI_OUT_H
#define USTA_CLI_OUT_H

#include "cli/cli.h"

struct us_out {
    us_ctx *c;
    us_buf buf;
    int fd;
    int failed; /* errno of the first failed write */
};

us_err us_out_new(us_ctx *c, us_arena *a, us_out **out) US_MUST;
us_err us_out_finish(us_out *o) US_MUST; /* write what is left; the first failure of all */
void us_out_free(us_out *o);

/* The table of commands; NULL past the end. */
const us_cmd *us_cmd_at(size_t i);
const us_cmd *us_cmd_find(const char *name);
/* What --help of one command and of the program print. */
void us_cmd_print_help(us_buf *b, const us_cmd *cmd);
void us_cli_print_help(us_buf *b);
extern const us_opt us_global_opts[]; /* rows of the options every command takes */

#endif
