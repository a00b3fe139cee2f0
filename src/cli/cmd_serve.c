/* cli/cmd_serve.c - `usta serve`: the project's model behind HTTP, here or in the background; --stop ends it. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "monitor/reqlog.h"
#include "serve/background.h"
#include "serve/deploy.h"

typedef struct serve_args {
    const char *model;
    bool force, background, stop, status;
    int64_t ready_fd;
} serve_args;

static const us_opt serve_opts[] = {
    {US_OPT_TEXT, 'm', "model", offsetof(serve_args, model), "", 0, 0, "ID", "", NULL,
     "hash of the model, or its first digits; unset: the project's newest"},
    {US_OPT_BOOL, 0, "force", offsetof(serve_args, force), "false", 0, 0, "", "", NULL,
     "serve although no passing validation record exists"},
    {US_OPT_BOOL, 'b', "background", offsetof(serve_args, background), "false", 0, 0, "", "",
     NULL, "start a process of its own, return when it answers"},
    {US_OPT_BOOL, 0, "stop", offsetof(serve_args, stop), "false", 0, 0, "", "", NULL,
     "stop the server of this project"},
    {US_OPT_BOOL, 0, "status", offsetof(serve_args, status), "false", 0, 0, "", "", NULL,
     "say where the server of this project runs"},
    {US_OPT_INT, 0, "ready-fd", offsetof(serve_args, ready_fd), "-1", -1, 1024, "", "", NULL,
     "descriptor to write \"ready URL\" to (used by --background)"},
    {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

static us_err say(us_cli *cli, const char *state, const char *endpoint, int64_t pid,
                  const char *model)
{
    if (!cli->json) {
        us_outf(cli->out, "%s %s (process %lld, model %.12s)\n", state, endpoint,
                (long long)pid, model);
        return us_out_flush(cli);
    }
    json_t *j = json_pack("{s:s, s:s, s:I, s:s}", "state", state, "endpoint", endpoint, "pid",
                          (json_int_t)pid, "model", model);
    US_TRY(us_json_keep(cli->c, cli->arena, j));
    US_TRY(us_out_json(cli, j));
    return us_out_flush(cli);
}

static us_err tell_status(us_cli *cli)
{
    us_deployment_rec d;
    US_TRY(us_deploy_running(cli->c, cli->arena, cli->store, &d));
    return say(cli, "serving", d.endpoint, d.pid, d.model.hex);
}

static us_err stop_server(us_cli *cli)
{
    us_deployment_rec d;
    US_TRY(us_deploy_running(cli->c, cli->arena, cli->store, &d));
    US_TRY(us_deploy_stop(cli->c, cli->store, &d));
    return say(cli, "stopped", d.endpoint, d.pid, d.model.hex);
}

/* The child does everything anew, with the settings that came by flags handed on. */
static us_err start_background(us_cli *cli, const serve_args *args)
{
    us_deployment_rec d;
    us_spawned p;
    us_choice what;
    US_TRY(us_deploy_choose(cli->c, cli->arena, cli->store, args->model, args->force, &what));
    us_err e = us_deploy_running(cli->c, cli->arena, cli->store, &d);
    if (e == US_OK)
        return us_fail(cli->c, US_NO,
                       "a server of this project already runs at %s (process %lld); `usta "
                       "serve --stop` ends it",
                       d.endpoint, (long long)d.pid);
    if (e != US_NOTFOUND) return e;
    const us_conf_deploy *conf = &cli->conf->deploy;
    us_arena *a = cli->arena;
    const char *flags[] = {
        "--model",
        what.model.hash.hex,
        us_str_printf(a, "--deploy.port=%lld", (long long)conf->port),
        us_str_printf(a, "--deploy.host=%s", conf->host),
        us_str_printf(a, "--deploy.threads=%lld", (long long)conf->threads),
        us_str_printf(a, "--deploy.max_body_mb=%.17g", conf->max_body_mb),
        us_str_printf(a, "--deploy.log=%s", conf->log ? "true" : "false"),
        us_str_printf(a, "--deploy.log_max_mb=%.17g", conf->log_max_mb),
        us_str_printf(a, "--monitor.alpha=%.17g", cli->conf->monitor.alpha),
        us_str_printf(a, "--monitor.window=%lld", (long long)cli->conf->monitor.window),
        args->force ? "--force" : NULL,
        NULL};
    for (size_t i = 0; i + 2 < US_LEN(flags); i++)
        if (!flags[i]) return us_arena_fail(cli->c, a);
    US_TRY(us_serve_spawn(cli->c, cli->arena, cli->conf->dir, us_store_dir(cli->store), flags,
                          &p));
    return say(cli, "serving", p.endpoint, p.pid, what.model.hash.hex);
}

static us_err serve_until_stopped(us_cli *cli, const serve_args *args, const us_choice *what,
                                  us_server *server)
{
    us_hash deployment;
    const us_conf_deploy *conf = &cli->conf->deploy;
    bool v6 = strchr(conf->host, ':') != NULL;
    const char *endpoint = us_str_printf(cli->arena, v6 ? "http://[%s]:%d" : "http://%s:%d",
                                         conf->host, us_server_port(server));
    if (!endpoint) return us_arena_fail(cli->c, cli->arena);
    US_TRY(us_deploy_record(cli->c, cli->arena, cli->store, what, endpoint, &deployment));
    US_TRY(say(cli, "serving", endpoint, (int64_t)getpid(), what->model.hash.hex));
    us_serve_tell_ready((int)args->ready_fd, endpoint);
    while (us_ctx_poll(cli->c) == US_OK)
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    return us_store_set_deployment(cli->store, cli->c, &deployment, "stopped", 0);
}

static us_err serve_here(us_cli *cli, const serve_args *args)
{
    us_choice what;
    us_file *file;
    us_server *server;
    char *log = NULL;
    const us_conf_deploy *conf = &cli->conf->deploy;
    us_server_opts o = {.host = conf->host,
                        .port = (int)conf->port,
                        .n_threads = (int)conf->threads,
                        .max_body = (size_t)(conf->max_body_mb * 1e6),
                        .log_max_bytes = (uint64_t)(conf->log_max_mb * 1e6),
                        .alpha = cli->conf->monitor.alpha,
                        .window_rows = (uint64_t)cli->conf->monitor.window};
    US_TRY(us_deploy_choose(cli->c, cli->arena, cli->store, args->model, args->force, &what));
    US_TRY(us_deploy_name(cli->c, cli->arena, &what.model, &o.model_name));
    o.version = us_str_printf(cli->arena, "%.12s", what.model.hash.hex);
    if (!o.version) return us_arena_fail(cli->c, cli->arena);
    US_TRY(us_reqlog_path(cli->c, cli->arena, us_store_dir(cli->store), what.model.hash.hex,
                          &log));
    o.log_path = conf->log ? log : NULL;
    US_TRY(us_store_get(cli->store, cli->c, &what.model.hash, true, &file));
    o.model = (us_sv){(const char *)us_file_data(file), us_file_size(file)};
    us_err e = us_server_start(cli->c, &o, &server);
    if (e == US_OK) {
        e = serve_until_stopped(cli, args, &what, server);
        us_server_stop(server);
    }
    us_file_close(file);
    return e;
}

static us_err run(us_cli *cli, void *args)
{
    const serve_args *s = args;
    if (s->stop) return stop_server(cli);
    if (s->status) return tell_status(cli);
    return s->background ? start_background(cli, s) : serve_here(cli, s);
}

const us_cmd us_cmd_serve = {
    .name = "serve",
    .args = "",
    .help = "serve the project's model over HTTP (Open Inference Protocol v2, rows, metrics)",
    .needs = US_NEED_STORE_THERE,
    .opts = serve_opts,
    .args_size = sizeof(serve_args),
    .run = run};
