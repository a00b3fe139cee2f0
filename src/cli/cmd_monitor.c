/* cli/cmd_monitor.c - `usta monitor`: drift of what was served, window by window; exit 1 when the last window drifts. */
#include "cli/cli.h"
#include "monitor/run.h"
#include "serve/deploy.h"

typedef struct monitor_args {
    const char *model;
    int64_t columns;
} monitor_args;

static const us_opt monitor_opts[] = {
    {US_OPT_TEXT, 'm', "model", offsetof(monitor_args, model), "", 0, 0, "ID", "", NULL,
     "hash of the model, or its first digits; unset: the one that was deployed last"},
    {US_OPT_INT, 'n', "columns", offsetof(monitor_args, columns), "10", 0, 1000000, "", "",
     NULL, "columns of the last window to show, 0 = all"},
    {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

/* The model asked for, the one deployed last, or the newest. */
static us_err choose(us_cli *cli, const char *model, us_hash *out)
{
    us_deployment_rec *d;
    size_t n;
    us_choice what;
    if (!model[0]) {
        US_TRY(us_store_deployments(cli->store, cli->c, cli->arena, 1, &d, &n));
        if (n) {
            *out = d[0].model;
            return US_OK;
        }
    }
    US_TRY(us_deploy_choose(cli->c, cli->arena, cli->store, model, true, &what));
    *out = what.model.hash;
    return US_OK;
}

/* The last window that allows a verdict: the rows begun after it may be too few for one. */
static const us_drift_report *judged(const us_monitor_result *r)
{
    for (size_t i = r->n_windows; i-- > 0;)
        if (r->windows[i].enough) return &r->windows[i];
    return &r->windows[r->n_windows - 1];
}

static us_err print(us_cli *cli, const us_monitor_result *r, size_t columns)
{
    us_rtable *t;
    const char *sentence;
    const us_drift_report *last = judged(r);
    US_TRY(us_monitor_table(cli->c, cli->arena, r, &t));
    US_TRY(us_out_table(cli, t));
    US_TRY(us_drift_table(cli->c, cli->arena, last, columns, &t));
    us_out_text(cli->out, "\n");
    US_TRY(us_out_table(cli, t));
    if (columns && columns < last->n_columns)
        us_outf(cli->out, "... and %zu more columns (--columns 0 shows all)\n",
                last->n_columns - columns);
    US_TRY(us_drift_sentence(cli->c, cli->arena, last, &sentence));
    us_outf(cli->out, "\nlast window (%zu): %s\n", (size_t)(last - r->windows) + 1, sentence);
    if (r->replay.n_skewed)
        us_outf(cli->out, "SKEW: %llu rows get another answer now than when they were served\n",
                (unsigned long long)r->replay.n_skewed);
    if (r->replay.n_bad)
        us_outf(cli->out, "%llu lines of the log could not be read\n",
                (unsigned long long)r->replay.n_bad);
    return US_OK;
}

static us_err report(us_cli *cli, const us_monitor_result *r, size_t columns)
{
    json_t *j;
    if (!r->n_windows) return us_fail(cli->c, US_NOTFOUND, "nothing has been served yet");
    if (cli->json) {
        US_TRY(us_monitor_json(cli->c, cli->arena, r, &j));
        US_TRY(us_out_json(cli, j));
    } else {
        US_TRY(print(cli, r, columns));
    }
    const us_drift_report *last = judged(r);
    if (!last->n_drifted && !r->replay.n_skewed) return US_OK;
    cli->c->diag.text[0] = 0; /* the answer is printed: nothing to add */
    return US_NO;
}

static us_err run(us_cli *cli, void *args)
{
    const monitor_args *m = args;
    us_file *file;
    us_monitor_result r;
    us_monitor_opts o = {.alpha = cli->conf->monitor.alpha,
                         .window_rows = (uint64_t)cli->conf->monitor.window};
    US_TRY(choose(cli, m->model, &o.model));
    US_TRY(us_store_get(cli->store, cli->c, &o.model, true, &file));
    o.bytes = (us_sv){(const char *)us_file_data(file), us_file_size(file)};
    us_err e = us_monitor_run(cli->c, cli->arena, cli->store, &o, &r);
    us_file_close(file);
    return e == US_OK ? report(cli, &r, (size_t)m->columns) : e;
}

const us_cmd us_cmd_monitor = {
    .name = "monitor",
    .args = "",
    .help = "drift of served inputs and outputs against the training data",
    .needs = US_NEED_STORE_THERE,
    .opts = monitor_opts,
    .args_size = sizeof(monitor_args),
    .run = run};
