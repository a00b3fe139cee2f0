/* cli/main.c - the frame: finds the command in the table, reads its flags, opens what it needs, runs it, reports.
 *
 * Kept light: nothing is opened that the command did not ask for, so `usta --version` is a few system calls.
 * A second Ctrl-C kills at once; the first only sets a flag that long work polls through the context.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/pool.h"
#include "cli/out.h"
#include "store/store.h"

#define ARENA_CAP ((size_t)64 << 30) /* of one command: data sets live in it */

#define US_CMD(name) extern const us_cmd us_cmd_##name;
#include "cli/commands.def"
#undef US_CMD

static const us_cmd *const commands[] = {
#define US_CMD(name) &us_cmd_##name,
#include "cli/commands.def"
#undef US_CMD
};

typedef struct globals {
    bool json;
    int64_t threads;
    const char *project;
} globals;

const us_opt us_global_opts[] = {
    {US_OPT_BOOL, 0, "json", offsetof(globals, json), "false", 0, 0, "", "", NULL,
     "machine-readable answer on stdout"},
    {US_OPT_INT, 0, "threads", offsetof(globals, threads), "0", 0, 4096, "", "", NULL,
     "processors to use, 0 = all; results do not depend on it"},
    {US_OPT_TEXT, 0, "project", offsetof(globals, project), "", 0, 0, "DIR", "", NULL,
     "folder of the project; unset: the nearest usta.yaml here or above"},
    {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

/* A signal handler can reach nothing but a global: the one mutable one of the program. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    interrupted = sig;
}

static bool is_interrupted(void *ud)
{
    (void)ud;
    return interrupted != 0;
}

const us_cmd *us_cmd_at(size_t i)
{
    return i < US_LEN(commands) ? commands[i] : NULL;
}

const us_cmd *us_cmd_find(const char *name)
{
    for (size_t i = 0; i < US_LEN(commands); i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

/* ---- help ---- */

void us_cli_print_help(us_buf *b)
{
    us_buf_addf(b,
                "usta %s: a model's whole lifecycle in one program\n\n"
                "usage: usta COMMAND [options]\n\n",
                US_VERSION);
    for (size_t i = 0; i < US_LEN(commands); i++)
        us_buf_addf(b, "  %-10s %s\n", commands[i]->name, commands[i]->help);
    us_buf_adds(b, "\n`usta COMMAND --help` tells more. Exit status: 0 done; 1 the answer is "
                   "no; 2 wrong usage or\n"
                   "unreadable input; 3 an internal fault.\n");
}

void us_cmd_print_help(us_buf *b, const us_cmd *cmd)
{
    us_buf_addf(b, "usta %s: %s\n\nusage: usta %s%s%s [options]\n\n", cmd->name, cmd->help,
                cmd->name, cmd->args[0] ? " " : "", cmd->args);
    if (cmd->opts) us_opt_print_help(b, cmd->opts, "");
    us_opt_print_help(b, us_global_opts, "");
    if (cmd->needs & (US_NEED_PROJECT | US_NEED_STORE | US_NEED_STORE_THERE | US_MAY_PROJECT))
        us_buf_adds(b, "      --SECTION.KEY=VALUE         any setting of the project file; "
                       "`usta help settings` lists them\n");
}

/* ---- one command ---- */

/* A message may quote a file: one line all the same, and nothing a terminal obeys. */
static void add_plain(us_buf *b, const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            us_buf_addf(b, "\\x%02x", (unsigned)*text);
        else
            us_buf_addc(b, *text);
}

static void print_error(const us_ctx *c, us_err e)
{
    us_buf b;
    us_ctx quiet;
    us_ctx_init(&quiet);
    us_buf_init(&b, &quiet, 4096);
    us_buf_adds(&b, "usta: ");
    add_plain(&b, c->diag.text[0] ? c->diag.text : us_err_text(e));
    if (e == US_BUG) us_buf_addf(&b, " (%s:%d; please report it)", c->diag.file, c->diag.line);
    us_buf_addc(&b, '\n');
    const char *p = b.n ? b.p : "usta: out of memory\n";
    size_t n = b.n ? b.n : strlen(p);
    while (n) {
        ssize_t k = write(STDERR_FILENO, p, n);
        if (k <= 0) break;
        p += k;
        n -= (size_t)k;
    }
    us_buf_deinit(&b);
    us_ctx_deinit(&quiet);
}

static int exit_status(us_err e)
{
    if (e == US_OK) return 0;
    if (e == US_NO) return 1;
    if (e == US_CANCELLED) return 128 + (interrupted ? (int)interrupted : SIGINT);
    return e == US_NOMEM || e == US_BUG ? 3 : 2;
}

static us_err open_project(us_cli *cli, const us_cmd *cmd, const globals *g,
                           const us_args *parsed)
{
    const unsigned any = US_NEED_PROJECT | US_NEED_STORE | US_NEED_STORE_THERE | US_MAY_PROJECT;
    if (!(cmd->needs & any)) {
        if (!parsed->n_set) return US_OK;
        return us_fail(cli->c, US_ARG,
                       "unknown option '--" US_SV_FMT "'; usta %s takes no settings",
                       US_SV_ARG(parsed->set[0].key), cmd->name);
    }
    char *path = NULL;
    us_err e = us_conf_locate(cli->c, cli->arena, g->project[0] ? g->project : ".", &path);
    if (e == US_NOTFOUND && (cmd->needs & US_MAY_PROJECT) && !g->project[0]) {
        if (!parsed->n_set) return US_OK;
        return e;
    }
    US_TRY(e);
    cli->conf = us_new(cli->arena, us_conf);
    if (!cli->conf) return us_arena_fail(cli->c, cli->arena);
    return us_conf_load(cli->c, cli->arena, path, parsed->set, parsed->n_set, cli->conf);
}

static us_err check_count(us_cli *cli, const us_cmd *cmd)
{
    if (cli->n_args >= cmd->min_args && cli->n_args <= cmd->max_args) return US_OK;
    const char *what =
        cli->n_args < cmd->min_args ? "something is missing" : "too many arguments";
    return us_fail(cli->c, US_ARG, "%s; usage: usta %s%s%s [options]", what, cmd->name,
                   cmd->args[0] ? " " : "", cmd->args);
}

static us_err run_command(us_cli *cli, const us_cmd *cmd, int argc, const char *const *argv)
{
    static const us_opt none[] = {{US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};
    globals g = {0};
    _Alignas(max_align_t) char args[US_CMD_ARGS_MAX] = {0};
    US_ASSERT(cmd->args_size <= sizeof args);
    const us_opt *tables[] = {cmd->opts ? cmd->opts : none, us_global_opts};
    void *bases[] = {args, &g};
    for (size_t i = 0; i < 2; i++)
        US_TRY(us_opt_defaults(cli->c, cli->arena, tables[i], bases[i]));
    us_args parsed = {0};
    US_TRY(us_args_parse(cli->c, cli->arena, tables, bases, 2, argc, argv, &parsed));
    if (parsed.help) {
        const char *const topic[] = {cmd->name};
        cli->args = topic;
        cli->n_args = 1;
        return us_cmd_help.run(cli, NULL);
    }
    cli->json = g.json;
    cli->threads = (int)g.threads;
    cli->args = parsed.pos;
    cli->n_args = parsed.n_pos;
    US_TRY(check_count(cli, cmd));
    US_TRY(open_project(cli, cmd, &g, &parsed));
    if (cmd->needs & US_NEED_POOL) US_TRY(us_pool_new(cli->c, cli->threads, &cli->c->pool));
    if (cmd->needs & (US_NEED_STORE | US_NEED_STORE_THERE))
        US_TRY(us_store_open(cli->c, cli->conf->dir, (cmd->needs & US_NEED_STORE) != 0,
                             &cli->store));
    return cmd->run(cli, args);
}

static us_err unknown_command(us_ctx *c, const char *name)
{
    const char *names[US_LEN(commands)];
    for (size_t i = 0; i < US_LEN(commands); i++)
        names[i] = commands[i]->name;
    const char *near = us_nearest(us_sv_of(name), names, US_LEN(names));
    if (near) return us_fail(c, US_ARG, "unknown command '%s'; did you mean '%s'?", name, near);
    return us_fail(c, US_ARG, "unknown command '%s'; `usta help` lists them", name);
}

static us_err dispatch(us_cli *cli, int argc, const char *const *argv)
{
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        us_outf(cli->out, "usta %s\n", US_VERSION);
        return US_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    const us_cmd *cmd = us_cmd_find(name);
    if (!cmd) return unknown_command(cli->c, name);
    return run_command(cli, cmd, argc > 2 ? argc - 2 : 0, argv + (argc > 1 ? 2 : 1));
}

int us_main(int argc, char **argv)
{
    us_ctx c;
    us_ctx_init(&c);
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = on_interrupt;
    sa.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    c.cancelled = is_interrupted;
    us_cli cli = {.c = &c};
    us_err e = us_arena_new(&c, "command", ARENA_CAP, &cli.arena);
    if (e == US_OK) e = us_out_new(&c, cli.arena, &cli.out);
    if (e == US_OK) {
        e = dispatch(&cli, argc, (const char *const *)argv);
        us_diag said = c.diag;
        us_err e_out = us_out_finish(cli.out);
        if (e == US_OK)
            e = e_out;
        else
            c.diag = said; /* the command's own words come first */
        us_out_free(cli.out);
    }
    if (e != US_OK && !(e == US_NO && !c.diag.text[0])) print_error(&c, e);
    us_store_close(cli.store);
    us_pool_free(c.pool);
    us_arena_free(cli.arena);
    us_ctx_deinit(&c);
    return exit_status(e);
}

int main(int argc, char **argv)
{
    return us_main(argc, argv);
}
