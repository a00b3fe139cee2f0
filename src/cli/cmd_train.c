/* cli/cmd_train.c - `usta train`: the lifecycle up to training, and how the passes went. */
#include "cli/stages.h"
#include "flow/flow.h"
#include "store/store.h"

typedef struct train_args {
    bool force;
} train_args;

static const us_opt train_opts[] = {{US_OPT_BOOL, 0, "force", offsetof(train_args, force),
                                     "false", 0, 0, "", "", NULL,
                                     "train again although nothing has changed"},
                                    {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

static void add_metric(us_rtable *t, const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);
    char text[32];
    us_rtable_cell(t, json_is_number(v) ? us_print_sig(json_number_value(v), 4, text) : "");
}

/* The chosen model beside its baselines. */
static us_err models_table(us_cli *cli, const json_t *run)
{
    us_rtable *t = NULL;
    const json_t *baselines = json_object_get(run, "baselines");
    bool classes = json_object_get(json_object_get(run, "train"), "accuracy") != NULL;
    const char *key = classes ? "accuracy" : "r2";
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL,
                         classes
                             ? "model|>training accuracy|>validation accuracy|>validation loss"
                             : "model|>training R2|>validation R2|>validation loss",
                         &t));
    for (size_t i = 0; i <= json_array_size(baselines); i++) {
        bool base = i < json_array_size(baselines);
        const json_t *row = base ? json_array_get(baselines, i) : run;
        const json_t *model = json_object_get(json_object_get(run, "config"), "model");
        us_rtable_cell(t, base ? us_json_text_or(row, "name", "")
                               : us_json_text_or(model, "family", ""));
        add_metric(t, json_object_get(row, "train"), key);
        add_metric(t, json_object_get(row, "validation"), key);
        add_metric(t, json_object_get(row, "validation"), "loss");
    }
    us_out_text(cli->out, "\n");
    US_TRY(us_out_table(cli, t));
    us_outf(cli->out, "\n%s\n", us_json_text_or(run, "verdict", ""));
    return US_OK;
}

static us_err history_table(us_cli *cli, const json_t *run)
{
    us_rtable *t = NULL;
    const json_t *history = json_object_get(run, "history");
    size_t n = json_array_size(history), step = US_MAX(n / 12, 1);
    if (!n) return US_OK;
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL,
                         ">pass|>training loss|>validation loss|>metric|>lr", &t));
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(history, i);
        bool best = (int64_t)i + 1 == us_json_i64_or(run, "best_epoch", 0);
        if (i % step && !best && i + 1 != n) continue;
        us_rtable_cellf(t, "%s%zu", best ? "best " : "", i + 1);
        if (best) us_rtable_tone(t, US_GOOD);
        add_metric(t, row, "train_loss");
        add_metric(t, row, "validation_loss");
        add_metric(t, row, "metric");
        add_metric(t, row, "lr");
    }
    return us_out_table(cli, t);
}

static us_err run(us_cli *cli, void *args_)
{
    const train_args *args = args_;
    us_flow_opts opts = {.until = "train", .force = args->force};
    us_flow_result r = {0};
    us_stage_rec rec;
    json_t *record = NULL;
    US_TRY(us_flow_run(cli->c, cli->arena, cli->store, cli->conf, &opts, &r));
    US_TRY(us_store_current_stage(cli->store, cli->c, cli->arena, "train", &rec));
    for (size_t i = 0; i < rec.n_out; i++)
        if (us_sv_is(us_sv_of(rec.out[i].name), "run"))
            US_TRY(
                us_store_get_json(cli->store, cli->c, cli->arena, &rec.out[i].hash, &record));
    if (cli->json) return us_out_json(cli, record);
    US_TRY(history_table(cli, record));
    return models_table(cli, record);
}

const us_cmd us_cmd_train = {"train",
                             "",
                             "fit the model (and what it needs before) and show how it went",
                             US_NEED_PROJECT | US_NEED_STORE | US_NEED_POOL,
                             0,
                             0,
                             train_opts,
                             sizeof(train_args),
                             run};
