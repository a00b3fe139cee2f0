/* flow/stage_train.c - fitting, with its baselines; what comes out are models without a passport and the record of the run.
 *
 * The loop writes checkpoints under the stage's key; after a kill the same stage finds its own and goes on, to the same
 * bytes. The record of the run holds no times, so that the same run is the same object.
 */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "data/decode.h"
#include "flow/matrix.h"
#include "flow/stage.h"
#include "onnx/onnx.h"
#include "report/report.h"
#include "train/train.h"

#define EXPECTED_ROWS 1000 /* rows whose answers are kept, for the check after packaging */

typedef struct job {
    us_material mat;
    us_file *features; /* bytes of the features stage's model */
    us_train_opts opts;
    us_train_data data;
    us_train_result result;
    us_sv *classes; /* CLASSES */
    us_net_labels labels;
    json_t *names; /* of the features */
} job;

/* ---- rows ---- */

static us_err targets(us_flow *f, job *t, const uint32_t *rows, size_t n, us_train_rows *out)
{
    if (t->data.task == US_TASK_CLASSES) {
        int32_t *cls = us_new_n(f->a, int32_t, n);
        if (!cls) return us_arena_fail(f->c, f->a);
        US_TRY(us_target_index(f->c, &t->mat.schema, t->mat.table, t->classes,
                               t->data.n_classes, rows, n, false, cls));
        out->cls = cls;
        return US_OK;
    }
    double *y = us_new_n(f->a, double, n);
    float *value = us_new_n(f->a, float, n);
    if (!y || !value) return us_arena_fail(f->c, f->a);
    US_TRY(us_target_number(f->c, &t->mat.schema, t->mat.table, rows, n, y));
    for (size_t i = 0; i < n; i++)
        value[i] = (float)y[i];
    out->value = value;
    return US_OK;
}

static us_err part(us_flow *f, job *t, int which, us_train_rows *out)
{
    uint32_t *rows = NULL;
    float *x = NULL;
    memset(out, 0, sizeof *out);
    US_TRY(us_split_rows(f->c, f->a, &t->mat.split, which, &rows, &out->n));
    if (!out->n) return US_OK;
    us_sv bytes = {(const char *)us_file_data(t->features), us_file_size(t->features)};
    US_TRY(us_flow_matrix(f, &t->mat, bytes, rows, out->n, t->data.n_features, &x));
    out->x = x;
    return targets(f, t, rows, out->n, out);
}

/* Integer labels stay integers in the model's `label` output, everything else is text. */
static us_err label_names(us_flow *f, job *t)
{
    t->labels.names = t->classes;
    if (us_schema_target(&t->mat.schema)->kind != US_DK_INTEGER) return US_OK;
    int64_t *ids = us_new_n(f->a, int64_t, t->data.n_classes);
    if (!ids) return us_arena_fail(f->c, f->a);
    for (size_t i = 0; i < t->data.n_classes; i++)
        if (!us_parse_i64(t->classes[i], &ids[i])) return US_OK;
    t->labels = (us_net_labels){.ids = ids};
    return US_OK;
}

static us_err feature_names(us_flow *f, job *t)
{
    us_hash h;
    json_t *list = NULL;
    int64_t d = 0;
    US_TRY(us_flow_input(f, "feature_names", &h));
    US_TRY(us_store_get_json(f->s, f->c, f->a, &h, &t->names));
    US_TRY(us_json_get_i64(f->c, t->names, "feature names", "d", &d));
    US_TRY(us_json_get(f->c, t->names, "feature names", "names", JSON_ARRAY, &list));
    us_sv *names = us_new_n(f->a, us_sv, (size_t)d);
    if (!names) return us_arena_fail(f->c, f->a);
    for (size_t i = 0; i < (size_t)d; i++)
        names[i] = us_sv_of(json_string_value(json_array_get(list, i)));
    t->data.n_features = (size_t)d;
    t->data.feature_names = names;
    return US_OK;
}

static us_err load(us_flow *f, job *t)
{
    us_hash h;
    US_TRY(us_train_opts_of(f->c, &f->conf->model, &f->conf->train, &t->opts));
    US_TRY(us_material_open(f, &t->mat));
    US_TRY(us_flow_input(f, "features", &h));
    US_TRY(us_store_get(f->s, f->c, &h, true, &t->features));
    US_TRY(us_target_task(f->c, &t->mat.schema, &t->data.task));
    US_TRY(feature_names(f, t));
    if (t->data.task == US_TASK_CLASSES) {
        US_TRY(us_target_classes(f->c, f->a, &t->mat.schema, &t->classes, &t->data.n_classes));
        US_TRY(label_names(f, t));
    }
    US_TRY(part(f, t, US_PART_TRAIN, &t->data.train));
    return part(f, t, US_PART_VALID, &t->data.valid);
}

/* ---- the loop ---- */

static void show(void *ud, const us_train_progress *p)
{
    us_progress *bar = ud;
    char note[96], metric[32], loss[32];
    us_buf b;
    us_ctx quiet;
    us_ctx_init(&quiet);
    us_buf_init(&b, &quiet, sizeof note - 1);
    us_buf_addf(&b, "pass %lld/%lld, loss %s", (long long)p->epoch, (long long)p->n_epochs,
                us_print_sig(p->loss, 4, loss));
    if (!isnan(p->metric))
        us_buf_addf(&b, ", validation %s %s", p->metric_name,
                    us_print_sig(p->metric, 4, metric));
    int64_t n_steps = US_MAX(p->n_steps, 1);
    bar->total = (uint64_t)(p->n_epochs * n_steps);
    us_progress_set(bar, (uint64_t)((p->epoch - 1) * n_steps + p->step), b.n ? b.p : "");
    us_buf_deinit(&b);
    us_ctx_deinit(&quiet);
}

/* Checkpoints of runs that were killed and never taken up again (settings changed). Ours is gone when training has ended. */
static void clear_checkpoints(us_flow *f, const char *dir)
{
    char **names = NULL;
    size_t n = 0;
    if (us_dir_list(f->c, f->a, dir, &names, &n) != US_OK) return;
    for (size_t i = 0; i < n; i++) {
        const char *path = us_path_join(f->a, dir, names[i]);
        if (path && unlink(path) != 0)
            us_logf(f->c, US_LOG_DEBUG, "could not remove '%s'", path);
    }
}

static us_err fit(us_flow *f, job *t)
{
    char *dir = us_path_join(f->a, us_store_dir(f->s), "checkpoints");
    char *file = dir ? us_str_printf(f->a, "%s/%s", dir, f->key.hex) : NULL;
    if (!file) return us_arena_fail(f->c, f->a);
    US_TRY(us_mkdirs(f->c, dir));
    us_progress bar;
    us_progress_start(&bar, "train", 0);
    us_train_hooks hooks = {
        .progress = show, .ud = &bar, .checkpoint = file, .resume = !f->opts->force};
    us_err e = us_train(f->c, &t->opts, (uint64_t)f->conf->train.seed, &t->data, &hooks, f->a,
                        &t->result);
    us_progress_end(&bar);
    if (e == US_OK) clear_checkpoints(f, dir);
    return e;
}

/* ---- what is kept ---- */

static us_err put_net(us_flow *f, us_made *m, job *t, const us_net *net, const char *name)
{
    us_model *model = NULL;
    us_hash h;
    us_buf b;
    us_vid features = US_NIL;
    us_err e = US_OK;
    us_buf_init(&b, f->c, SIZE_MAX / 2);
    US_GO(us_onnx_parse(f->c, "features", us_file_data(t->features), us_file_size(t->features),
                        NULL, NULL, &model));
    features = model->main->outputs.at[0];
    model->main->outputs.n = 0;
    US_GO(us_net_append(f->c, model, features, net,
                        t->data.task == US_TASK_CLASSES ? &t->labels : NULL));
    US_GO(us_onnx_print(f->c, model, &b));
    US_GO(us_store_put_buf(f->s, f->c, &b, &h));
    US_GO(us_made_add(f, m, name, &h));
out:
    us_buf_deinit(&b);
    us_model_free(model);
    return e;
}

/* Answers of the network itself for some rows: packaging compares the file's answers with them. */
static us_err put_expected(us_flow *f, us_made *m, job *t)
{
    const us_train_rows *r = t->data.valid.n ? &t->data.valid : &t->data.train;
    size_t n = US_MIN(r->n, (size_t)EXPECTED_ROWS);
    size_t k = t->data.task == US_TASK_CLASSES ? t->data.n_classes : 1;
    us_hash h;
    float *y = us_new_n(f->a, float, n *k);
    if (!y) return us_arena_fail(f->c, f->a);
    US_TRY(us_net_predict(f->c, &t->result.net, n, r->x, y));
    US_TRY(us_store_put(f->s, f->c, y, n * k * sizeof *y, &h));
    return us_made_add(f, m, "expected", &h);
}

static json_t *metrics_json(const us_train_metrics *m)
{
    const struct {
        const char *name;
        double value;
    } all[] = {{"loss", m->loss}, {"accuracy", m->accuracy}, {"roc_auc", m->auc},
               {"rmse", m->rmse}, {"mae", m->mae},           {"r2", m->r2}};
    json_t *j = json_pack("{s:I}", "rows", (json_int_t)m->n);
    for (size_t i = 0; j && i < US_LEN(all); i++)
        if (isfinite(all[i].value))
            json_object_set_new(j, all[i].name, json_real(all[i].value));
    return j;
}

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *history_json(const us_train_result *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_epochs; i++) {
        const us_train_epoch *h = &r->history[i];
        json_array_append_new(
            list, json_pack("{s:o,s:o,s:o,s:o}", "train_loss", real_or_null(h->train_loss),
                            "validation_loss", real_or_null(h->valid_loss), "metric",
                            real_or_null(h->metric), "lr", real_or_null(h->lr)));
    }
    return list;
}

static json_t *baselines_json(const us_train_result *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_baselines; i++) {
        const us_train_baseline *b = &r->baselines[i];
        json_array_append_new(list, json_pack("{s:s,s:o,s:o,s:b,s:o,s:o,s:o}", "name", b->name,
                                              "train", metrics_json(&b->train), "validation",
                                              metrics_json(&b->valid), "beaten", (int)b->beaten,
                                              "difference", real_or_null(b->paired.diff), "lo",
                                              real_or_null(b->paired.lo), "hi",
                                              real_or_null(b->paired.hi)));
    }
    return list;
}

static us_err run_json(us_flow *f, const job *t, json_t **out)
{
    const us_train_result *r = &t->result;
    json_t *model = NULL, *train = NULL, *features = NULL, *j = NULL;
    us_hash split, inputs;
    US_TRY(us_flow_input(f, "split", &split));
    US_TRY(us_flow_input(f, "features", &inputs));
    US_TRY(us_conf_section_json(f->c, f->conf, "model", &model));
    US_TRY(us_json_keep(f->c, f->a, model));
    US_TRY(us_conf_section_json(f->c, f->conf, "train", &train));
    US_TRY(us_json_keep(f->c, f->a, train));
    US_TRY(us_conf_section_json(f->c, f->conf, "features", &features));
    US_TRY(us_json_keep(f->c, f->a, features));
    j = json_pack("{s:i,s:s,s:s,s:s,s:s,s:{s:O,s:O,s:O},s:o,s:o,s:I,s:I,s:b,s:o,s:o,s:b,s:s}",
                  "version", 1, "program", "usta " US_VERSION, "split", split.hex, "features",
                  inputs.hex, "task", us_task_name(t->data.task), "config", "features",
                  features, "model", model, "train", train, "train", metrics_json(&r->train),
                  "validation", metrics_json(&r->valid), "parameters",
                  (json_int_t)r->n_parameters, "best_epoch", (json_int_t)r->best_epoch,
                  "stopped_early", (int)r->stopped_early, "history", history_json(r),
                  "baselines", baselines_json(r), "simpler_as_good", (int)r->simpler_as_good,
                  "verdict", r->verdict ? r->verdict : "");
    US_TRY(us_json_keep(f->c, f->a, j));
    *out = j;
    return US_OK;
}

static us_err run_record(us_flow *f, us_made *m, const job *t, const json_t *run,
                         const us_hash *id)
{
    us_run_rec *r = us_new(f->a, us_run_rec);
    if (!r) return us_arena_fail(f->c, f->a);
    us_buf config, metrics;
    us_buf_init(&config, f->c, US_JSON_MAX_BYTES);
    us_buf_init(&metrics, f->c, US_JSON_MAX_BYTES);
    us_err e = us_json_print(f->c, json_object_get(run, "config"), &config);
    if (e == US_OK) e = us_json_print(f->c, json_object_get(run, "validation"), &metrics);
    if (e == US_OK) {
        *r = (us_run_rec){.id = *id,
                          .family = f->conf->model.family,
                          .seed = f->conf->train.seed,
                          .created_us = us_wall_us(),
                          .config = us_str_dup(f->a, us_buf_sv(&config)),
                          .metrics = us_str_dup(f->a, us_buf_sv(&metrics))};
        e = !r->config || !r->metrics ? us_arena_fail(f->c, f->a)
                                      : us_flow_input(f, "split", &r->split);
    }
    us_buf_deinit(&config);
    us_buf_deinit(&metrics);
    m->run = r;
    (void)t;
    return e;
}

static us_err train_evidence(us_flow *f, us_made *m, const job *t, json_t *run)
{
    const us_train_result *r = &t->result;
    const us_train_metrics *v = t->data.valid.n ? &r->valid : &r->train;
    bool classes = t->data.task == US_TASK_CLASSES;
    char metric[32], count[32], other[32];
    json_t *facts = json_pack(
        "{s:O,s:O,s:O,s:O,s:b,s:b}", "train", json_object_get(run, "train"), "validation",
        json_object_get(run, "validation"), "verdict", json_object_get(run, "verdict"),
        "baselines", json_object_get(run, "baselines"), "simpler_as_good",
        (int)r->simpler_as_good, "resumed", (int)r->resumed);
    if (!facts || json_object_update_new(m->facts, facts)) return us_nomem(f->c);
    const us_train_baseline *b = r->n_baselines ? &r->baselines[r->n_baselines - 1] : NULL;
    us_buf beside;
    us_buf_init(&beside, f->c, 256);
    if (b) {
        const us_train_metrics *vb = t->data.valid.n ? &b->valid : &b->train;
        us_buf_addf(&beside, " (%s %s%s)", b->name,
                    us_print_sig(classes ? vb->accuracy : vb->r2, 4, other),
                    r->simpler_as_good ? ": as good" : "");
    }
    us_err e = us_made_evidence(
        f, m, "%s of %s weights, %zu passes; %s %s %s%s", f->conf->model.family,
        us_print_count((int64_t)r->n_parameters, count), r->n_epochs,
        t->data.valid.n ? "validation" : "training", classes ? "accuracy" : "R2",
        us_print_sig(classes ? v->accuracy : v->r2, 4, metric), beside.n ? beside.p : "");
    us_buf_deinit(&beside);
    return e;
}

/* "majority class" -> baseline_majority: the word a requirement uses. */
static const char *baseline_object(const char *name)
{
    if (strncmp(name, "majority", 8) == 0) return "baseline_majority";
    if (strncmp(name, "mean", 4) == 0) return "baseline_mean";
    return "baseline_linear";
}

static us_err keep(us_flow *f, us_made *m, job *t)
{
    json_t *run = NULL;
    us_hash id;
    US_TRY(put_net(f, m, t, &t->result.net, "trained"));
    for (size_t i = 0; i < t->result.n_baselines; i++)
        US_TRY(put_net(f, m, t, &t->result.baselines[i].net,
                       baseline_object(t->result.baselines[i].name)));
    US_TRY(put_expected(f, m, t));
    US_TRY(run_json(f, t, &run));
    US_TRY(us_store_put_json(f->s, f->c, run, &id));
    US_TRY(us_made_add(f, m, "run", &id));
    US_TRY(run_record(f, m, t, run, &id));
    return train_evidence(f, m, t, run);
}

us_err us_stage_train(us_flow *f, us_made *m)
{
    job t = {0};
    us_err e = load(f, &t);
    if (e == US_OK) e = fit(f, &t);
    if (e == US_OK) e = keep(f, m, &t);
    us_file_close(t.features);
    us_material_close(&t.mat);
    return e;
}
