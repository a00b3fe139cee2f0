/* cli/cli.h - the frame every command stands in.
 *
 * A command is one file cmd_<name>.c with one row `const us_cmd us_cmd_<name>`, listed in commands.def. The frame parses its
 * flags by its table of options, opens what it needs (project, store, pool), runs it, flushes and checks stdout and turns us_err
 * into the exit status: 0 done; 1 the answer is no; 2 wrong usage or unreadable input; 3 an internal fault.
 * stdout belongs to the answer and is written only through us_out_*; logs and messages go to stderr.
 */
#ifndef USTA_CLI_CLI_H
#define USTA_CLI_CLI_H

#include "conf/conf.h"
#include "report/report.h"

struct us_store;
typedef struct us_out us_out;

enum {
    US_NEED_PROJECT = 1,     /* usta.yaml here or above, or --project; read into cli->conf */
    US_NEED_STORE = 2,       /* cli->store, made when missing (implies a project) */
    US_NEED_POOL = 4,        /* c->pool with --threads helpers */
    US_MAY_PROJECT = 8,      /* a project when there is one; cli->conf is NULL otherwise */
    US_NEED_STORE_THERE = 16 /* cli->store, an error when there is none yet */
};

typedef struct us_cli {
    us_ctx *c;
    us_arena *arena; /* lives as long as the command */
    us_out *out;
    bool json;               /* --json */
    int threads;             /* --threads, 0 = all */
    const char *const *args; /* positionals */
    size_t n_args;
    us_conf *conf;          /* by needs, else NULL */
    struct us_store *store; /* by needs, else NULL */
} us_cli;

typedef struct us_cmd {
    const char *name;
    const char *args; /* "MODEL.onnx", "[DIR]", "": for help */
    const char *help; /* one line */
    unsigned needs;
    size_t min_args, max_args; /* max SIZE_MAX: any */
    const us_opt *opts;        /* its own flags, ends with US_OPT_END; NULL: none */
    size_t args_size;          /* of the struct the rows fill; at most US_CMD_ARGS_MAX */
    us_err (*run)(us_cli *cli, void *args) US_MUST;
} us_cmd;
#define US_CMD_ARGS_MAX 1024

/* Text to stdout. Collected and written in large pieces; failures stick and are reported by the frame at the end. */
void us_out_text(us_out *o, const char *z);
void us_out_bytes(us_out *o, const void *p, size_t n);
void us_outf(us_out *o, const char *fmt, ...) US_PRINTF(2, 3);
/* A table as wide as the terminal, coloured when stdout is one. */
us_err us_out_table(us_cli *cli, const us_rtable *t) US_MUST;
/* The answer of --json: pretty on a terminal, one canonical line otherwise. The caller keeps its reference. */
us_err us_out_json(us_cli *cli, const json_t *j) US_MUST;
/* A line for whoever watches, on stderr. Never part of the answer. */
void us_say(us_cli *cli, const char *fmt, ...) US_PRINTF(2, 3);
/* Write what is collected now (before waiting for events). */
us_err us_out_flush(us_cli *cli) US_MUST;

int us_main(int argc, char **argv);

#endif
