/* cli/cmd_models.c - `usta models`: the models of this workspace, their validation and where they are deployed. */
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "store/store.h"

typedef struct models_args {
    int64_t limit;
} models_args;

static const us_opt models_opts[] = {{US_OPT_INT, 'n', "limit", offsetof(models_args, limit),
                                      "20", 0, 1e6, "", "", NULL, "newest ones shown, 0 = all"},
                                     {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

static us_err verdict_of(us_cli *cli, const us_hash *model, const char **out)
{
    us_validation_rec v;
    us_err e = us_store_validation_of(cli->store, cli->c, cli->arena, model, &v);
    if (e != US_OK && e != US_NOTFOUND) return e;
    *out = e == US_NOTFOUND ? "not judged" : v.passed ? "passed" : "failed";
    return US_OK;
}

static const char *deployed_as(const us_deployment_rec *d, size_t n, const us_hash *model)
{
    for (size_t i = 0; i < n; i++)
        if (us_hash_eq(&d[i].model, model)) return d[i].state;
    return "";
}

static us_err run(us_cli *cli, void *args_)
{
    const models_args *args = args_;
    us_model_rec *m = NULL;
    us_deployment_rec *d = NULL;
    size_t n = 0, n_d = 0;
    us_rtable *t = NULL;
    json_t *list = NULL;
    US_TRY(us_store_models(cli->store, cli->c, cli->arena, (size_t)args->limit, &m, &n));
    US_TRY(us_store_deployments(cli->store, cli->c, cli->arena, 0, &d, &n_d));
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL, "id|name|task|made|gate|deployment", &t));
    US_TRY(us_json_keep(cli->c, cli->arena, list = json_array()));
    for (size_t i = 0; i < n; i++) {
        char time[32];
        const char *verdict = NULL, *state = deployed_as(d, n_d, &m[i].hash);
        US_TRY(verdict_of(cli, &m[i].hash, &verdict));
        us_print_time(m[i].created_us, time);
        us_rtable_cellsv(t, (us_sv){m[i].hash.hex, 12});
        us_rtable_cell(t, m[i].name);
        us_rtable_cell(t, m[i].task);
        us_rtable_cell(t, time);
        us_rtable_cell(t, verdict);
        us_rtable_tone(t, strcmp(verdict, "passed") == 0 ? US_GOOD : US_FAINT);
        us_rtable_cell(t, state);
        json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "id", m[i].hash.hex, "name",
                              m[i].name, "task", m[i].task, "run", m[i].run.hex, "made", time,
                              "gate", verdict, "deployment", state);
        if (!j || json_array_append_new(list, j)) return us_nomem(cli->c);
    }
    if (cli->json) return us_out_json(cli, list);
    if (!n) us_out_text(cli->out, "no models yet; `usta run` makes one\n");
    return n ? us_out_table(cli, t) : US_OK;
}

const us_cmd us_cmd_models = {"models",
                              "",
                              "the models of this workspace",
                              US_NEED_PROJECT | US_NEED_STORE_THERE,
                              0,
                              0,
                              models_opts,
                              sizeof(models_args),
                              run};
