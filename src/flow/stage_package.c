/* flow/stage_package.c - the model file: network and features in one ONNX graph, with its passport.
 *
 * The check that what is in the file answers like what was trained is made here, on the bytes: the file is read back, rows go
 * through the row decoder and the whole graph, and the answers are compared with those the network gave in training.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "data/predict.h"
#include "flow/stage.h"
#include "onnx/onnx.h"
#include "report/report.h"

#define TOLERANCE                                                                              \
    1e-5 /* of a probability; of a value, times the largest: float32 sums in another order */

typedef struct pack {
    us_material mat;
    json_t *run, *names;
    us_passport passport;
    us_decoder decoder;
    uint32_t *train, *valid;
    size_t n_train, n_valid;
} pack;

static us_err json_input(us_flow *f, const char *name, json_t **out)
{
    us_hash h;
    US_TRY(us_flow_input(f, name, &h));
    return us_store_get_json(f->s, f->c, f->a, &h, out);
}

static us_err object_input(us_flow *f, const char *name, us_file **out)
{
    us_hash h;
    US_TRY(us_flow_input(f, name, &h));
    return us_store_get(f->s, f->c, &h, true, out);
}

/* ---- the passport ---- */

static us_err passport_metrics(us_flow *f, pack *p)
{
    static const char *const parts[] = {"train", "validation"};
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        n = 0;
        for (size_t i = 0; i < US_LEN(parts); i++) {
            json_t *m = json_object_get(p->run, parts[i]);
            const char *key = NULL;
            json_t *v = NULL;
            json_object_foreach(m, key, v)
            {
                if (!json_is_real(v)) continue;
                if (pass)
                    p->passport.metrics[n] = (us_passport_metric){
                        us_sv_of(parts[i]), us_sv_of(key), json_real_value(v)};
                n++;
            }
        }
        if (!pass && !(p->passport.metrics = us_new_n(f->a, us_passport_metric, n)))
            return us_arena_fail(f->c, f->a);
    }
    p->passport.n_metrics = n;
    return US_OK;
}

static us_err passport_config(us_flow *f, pack *p)
{
    us_buf b;
    us_buf_init(&b, f->c, US_JSON_MAX_BYTES);
    us_err e = us_json_print(f->c, json_object_get(p->run, "config"), &b);
    if (e == US_OK) e = us_sv_dup(f->c, f->a, us_buf_sv(&b), &p->passport.config);
    us_buf_deinit(&b);
    return e;
}

static us_err passport_features(us_flow *f, pack *p)
{
    json_t *list = NULL;
    US_TRY(us_json_get(f->c, p->names, "feature names", "names", JSON_ARRAY, &list));
    us_sv *names = us_new_n(f->a, us_sv, json_array_size(list));
    if (!names) return us_arena_fail(f->c, f->a);
    for (size_t i = 0; i < json_array_size(list); i++)
        names[i] = us_sv_of(json_string_value(json_array_get(list, i)));
    p->passport.features = names;
    p->passport.n_features = json_array_size(list);
    return US_OK;
}

static us_err passport_inputs(us_flow *f, pack *p)
{
    us_value *in = us_new_n(f->a, us_value, p->decoder.n_inputs);
    if (!in) return us_arena_fail(f->c, f->a);
    US_TRY(us_decode_table(f->c, f->a, &p->decoder, p->mat.table, p->train, p->n_train, in));
    US_TRY(us_sketch_inputs(f->c, f->a, &p->decoder, in, p->n_train, &p->passport.sketches));
    p->passport.n_sketches = p->decoder.n_features;
    return US_OK;
}

/* All but the sketches of the outputs, which need the model to answer first. */
static us_err passport_begin(us_flow *f, pack *p)
{
    us_passport *pp = &p->passport;
    us_hash snapshot;
    US_TRY(us_flow_input(f, "snapshot", &snapshot));
    pp->version = US_PASSPORT_VERSION;
    pp->program = US_SV("usta " US_VERSION);
    pp->schema = p->mat.schema;
    pp->target = us_schema_target(&p->mat.schema)->name;
    US_TRY(us_target_task(f->c, &p->mat.schema, &pp->task));
    if (pp->task == US_TASK_CLASSES)
        US_TRY(us_target_classes(f->c, f->a, &p->mat.schema, &pp->classes, &pp->n_classes));
    US_TRY(us_sv_dup(f->c, f->a, us_sv_of(snapshot.hex), &pp->snapshot));
    pp->seed = (uint64_t)us_json_i64_or(
        json_object_get(json_object_get(p->run, "config"), "train"), "seed", 0);
    pp->packed = p->decoder.packed;
    US_TRY(passport_features(f, p));
    US_TRY(passport_inputs(f, p));
    US_TRY(passport_config(f, p));
    return passport_metrics(f, p);
}

/* ---- files ---- */

/* A trained model with this passport as bytes. */
static us_err stamp(us_flow *f, const us_file *trained, const us_passport *pp, us_buf *out)
{
    us_model *m = NULL;
    US_TRY(us_onnx_parse(f->c, "trained model", us_file_data(trained), us_file_size(trained),
                         NULL, NULL, &m));
    us_err e = us_passport_set(f->c, m, pp);
    if (e == US_OK) e = us_onnx_print(f->c, m, out);
    us_model_free(m);
    return e;
}

static us_err answer(us_flow *f, const pack *p, us_sv bytes, const uint32_t *rows, size_t n,
                     us_predictions *out)
{
    us_predictor x = {0};
    US_TRY(us_predictor_open(f->c, f->a, "model.onnx", bytes, &x));
    us_err e = us_predict_table(f->c, &x, f->a, p->mat.table, rows, n, out);
    us_predictor_close(&x);
    return e;
}

/* What the outputs look like on rows the model was not fitted to; on the training rows when there are no others. */
static us_err passport_outputs(us_flow *f, pack *p, const us_file *trained)
{
    us_buf b;
    us_predictions y;
    size_t n = p->n_valid ? p->n_valid : p->n_train;
    us_buf_init(&b, f->c, SIZE_MAX / 2);
    us_err e = stamp(f, trained, &p->passport, &b);
    if (e == US_OK) e = answer(f, p, us_buf_sv(&b), p->n_valid ? p->valid : p->train, n, &y);
    if (e == US_OK)
        e = us_sketch_outputs(f->c, f->a, p->passport.task, p->passport.classes,
                              p->passport.n_classes, y.prob, y.value, n, &p->passport.outputs,
                              &p->passport.n_outputs);
    us_buf_deinit(&b);
    return e;
}

/* The largest finite answer: what the sums behind a small one were made of, and so what they were rounded by. */
static double magnitude(const float *want, size_t n)
{
    double top = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(want[i])) top = US_MAX(top, fabs((double)want[i]));
    return top > 0 ? top : 1;
}

static us_err compare(us_flow *f, const us_predictions *y, const float *want, size_t n_want,
                      double *worst)
{
    bool classes = y->task == US_TASK_CLASSES;
    const float *got = classes ? y->prob : y->value;
    double scale = classes ? 1 : magnitude(want, n_want);
    *worst = 0;
    for (size_t i = 0; i < n_want; i++) {
        double off = fabs((double)got[i] - (double)want[i]) / scale;
        if (!(off <= TOLERANCE))
            return us_fail(
                f->c, US_BUG,
                "the packaged model answers %.9g where the trained one answered %.9g (row %zu)",
                (double)got[i], (double)want[i], i / (classes ? y->k : 1));
        *worst = US_MAX(*worst, off);
    }
    return US_OK;
}

/* The file's answers = those of training. */
static us_err check_answers(us_flow *f, const pack *p, us_sv bytes, size_t *n_rows,
                            double *worst)
{
    us_file *expected = NULL;
    us_predictions y;
    US_TRY(object_input(f, "expected", &expected));
    size_t k = p->passport.task == US_TASK_CLASSES ? p->passport.n_classes : 1;
    size_t n_want = us_file_size(expected) / sizeof(float), n = n_want / k;
    size_t n_have = p->n_valid ? p->n_valid : p->n_train;
    us_err e = n_want % k || n > n_have
                   ? us_fail(f->c, US_FORMAT, "the kept answers do not fit the rows")
                   : answer(f, p, bytes, p->n_valid ? p->valid : p->train, n, &y);
    if (e == US_OK)
        e = compare(f, &y, (const float *)(const void *)us_file_data(expected), n_want, worst);
    us_file_close(expected);
    *n_rows = n;
    return e;
}

static us_err put_baseline(us_flow *f, us_made *m, const pack *p, const char *from,
                           const char *to)
{
    us_file *trained = NULL;
    us_hash h;
    us_buf b;
    if (!us_flow_has_input(f, from)) return US_OK;
    us_buf_init(&b, f->c, SIZE_MAX / 2);
    us_err e = object_input(f, from, &trained);
    if (e == US_OK) e = stamp(f, trained, &p->passport, &b);
    if (e == US_OK) e = us_store_put_buf(f->s, f->c, &b, &h);
    if (e == US_OK) e = us_made_add(f, m, to, &h);
    us_buf_deinit(&b);
    us_file_close(trained);
    return e;
}

static us_err model_name(us_flow *f, const char **out)
{
    if (f->conf->package.name[0]) {
        *out = f->conf->package.name;
        return US_OK;
    }
    /* the project's folder: its own name, not "." */
    char real[PATH_MAX];
    const char *slash = realpath(f->conf->dir, real) ? strrchr(real, '/') : NULL;
    *out = us_str_dup(f->a, us_sv_of(slash && slash[1] ? slash + 1 : "model"));
    return *out ? US_OK : us_arena_fail(f->c, f->a);
}

static us_err model_record(us_flow *f, us_made *m, const pack *p, const us_hash *h)
{
    m->model = us_new(f->a, us_model_rec);
    if (!m->model) return us_arena_fail(f->c, f->a);
    *m->model = (us_model_rec){
        .hash = *h, .task = us_task_name(p->passport.task), .created_us = us_wall_us()};
    US_TRY(us_flow_input(f, "run", &m->model->run));
    return model_name(f, &m->model->name);
}

static us_err write_all(us_flow *f, us_made *m, pack *p, const us_file *trained, us_buf *b)
{
    us_hash h;
    size_t n_checked = 0;
    double worst = 0;
    char size[32], off[32];
    US_TRY(passport_outputs(f, p, trained));
    US_TRY(stamp(f, trained, &p->passport, b));
    US_TRY(check_answers(f, p, us_buf_sv(b), &n_checked, &worst));
    US_TRY(us_store_put_buf(f->s, f->c, b, &h));
    US_TRY(us_made_add(f, m, "model", &h));
    US_TRY(put_baseline(f, m, p, "baseline_majority", "packaged_majority"));
    US_TRY(put_baseline(f, m, p, "baseline_mean", "packaged_mean"));
    US_TRY(put_baseline(f, m, p, "baseline_linear", "packaged_linear"));
    US_TRY(model_record(f, m, p, &h));
    json_t *facts = json_pack("{s:s,s:I,s:s}", "model", h.hex, "bytes", (json_int_t)b->n,
                              "path", f->conf->package.path);
    if (!facts || json_object_update_new(m->facts, facts)) return us_nomem(f->c);
    return us_made_evidence(f, m,
                            "%s, %s, id %.12s; %zu rows answered as in training (off by %s)",
                            f->conf->package.path, us_print_bytes(b->n, size), h.hex, n_checked,
                            us_print_sig(worst, 2, off));
}

us_err us_stage_package(us_flow *f, us_made *m)
{
    pack p = {0};
    us_file *trained = NULL;
    us_buf b;
    us_err e = US_OK;
    us_buf_init(&b, f->c, SIZE_MAX / 2);
    US_GO(us_material_open(f, &p.mat));
    US_GO(json_input(f, "run", &p.run));
    US_GO(json_input(f, "feature_names", &p.names));
    US_GO(us_decoder_init(f->c, f->a, &p.mat.schema, US_PACK_AUTO, &p.decoder));
    US_GO(us_split_rows(f->c, f->a, &p.mat.split, US_PART_TRAIN, &p.train, &p.n_train));
    US_GO(us_split_rows(f->c, f->a, &p.mat.split, US_PART_VALID, &p.valid, &p.n_valid));
    US_GO(passport_begin(f, &p));
    US_GO(object_input(f, "trained", &trained));
    US_GO(write_all(f, m, &p, trained, &b));
out:
    us_buf_deinit(&b);
    us_file_close(trained);
    us_material_close(&p.mat);
    return e;
}

/* The file where the user expects it: written again when it is missing or differs. */
us_err us_settle_package(us_flow *f, const us_stage_rec *rec, us_flow_row *row)
{
    us_hash h, now = {{0}};
    char *path = NULL;
    us_file *object = NULL;
    (void)rec;
    (void)row;
    US_TRY(us_flow_input(f, "model", &h));
    US_TRY(us_conf_path(f->c, f->a, f->conf, f->conf->package.path, &path));
    if (us_path_exists(path)) US_TRY(us_store_hash_input(f->s, f->c, path, &now));
    if (us_hash_eq(&h, &now)) return US_OK;
    char *dir = us_path_dir(f->a, path);
    if (!dir) return us_arena_fail(f->c, f->a);
    US_TRY(us_mkdirs(f->c, dir));
    US_TRY(us_store_get(f->s, f->c, &h, true, &object));
    us_err e = us_file_replace(f->c, path, us_file_data(object), us_file_size(object));
    us_file_close(object);
    return e;
}
