/* flow/stage_data.c - requirements and data: what is wanted, and the rows it is judged by.
 *
 * The data stage turns files into three objects: the snapshot (columns, by content), the schema, the split (one byte per row
 * behind the snapshot's hash, so that equal splits of different data stay different things in the lineage).
 */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "data/csv.h"
#include "data/decode.h"
#include "data/profile.h"
#include "data/snapshot.h"
#include "flow/stage.h"
#include "report/report.h"

#define MIN_ROWS 4 /* two to train on, one to choose by, one to test with */

/* ---- requirements ---- */

us_err us_stage_requirements(us_flow *f, us_made *m)
{
    size_t n = f->conf->requirements.list.n;
    json_t *j = NULL;
    us_hash h;
    for (size_t i = 0; i < n; i++) {
        const us_conf_requirement *r = &f->conf->requirements.list.at[i];
        if (!r->metric[0])
            return us_fail(f->c, US_ARG, "requirement %zu names no metric", i + 1);
        if (isnan(r->min) && isnan(r->max) && !r->above[0])
            return us_fail(f->c, US_ARG,
                           "requirement %zu (%s) sets no bound; give min, max or above", i + 1,
                           r->metric);
        if (r->min > r->max)
            return us_fail(f->c, US_ARG,
                           "requirement %zu (%s): nothing is at least %g and at most %g", i + 1,
                           r->metric, r->min, r->max);
    }
    US_TRY(us_conf_section_json(f->c, f->conf, "requirements", &j));
    us_err e = us_store_put_json(f->s, f->c, j, &h);
    json_decref(j);
    US_TRY(e);
    US_TRY(us_made_add(f, m, "requirements", &h));
    if (!n) return us_made_evidence(f, m, "none written down: nothing will be refused");
    return us_made_evidence(f, m, "%zu requirement%s", n, n == 1 ? "" : "s");
}

/* ---- data: settings ---- */

static us_sv *svs_of(us_arena *a, const us_texts *t)
{
    us_sv *v = us_new_n(a, us_sv, t->n);
    for (size_t i = 0; v && i < t->n; i++)
        v[i] = us_sv_of(t->at[i]);
    return v;
}

/* "category" and "number" are what people write; the schema's names are taken, too. */
static us_err kind_of(us_ctx *c, const char *column, const char *text, us_data_kind *out)
{
    us_sv s = us_sv_of(text);
    if (us_sv_is(s, "category")) s = US_SV("categorical");
    if (us_sv_is(s, "number")) s = US_SV("numeric");
    if (us_data_kind_find(s, out)) return US_OK;
    return us_fail(c, US_ARG,
                   "data.kinds.%s: '%s' is no kind; there are number, integer, boolean, "
                   "category, text, timestamp",
                   column, text);
}

us_err us_flow_csv(us_flow *f, us_csv_opts *o)
{
    const us_conf_data *d = &f->conf->data;
    us_csv_defaults(o);
    if (strcmp(d->delimiter, "tab") == 0 || strcmp(d->delimiter, "\\t") == 0)
        o->delimiter = '\t';
    else if (strlen(d->delimiter) > 1 || strcspn(d->delimiter, "\"\r\n") < strlen(d->delimiter))
        return us_fail(f->c, US_ARG, "data.delimiter: '%s' is not one character (or 'tab')",
                       d->delimiter);
    else
        o->delimiter = d->delimiter[0];
    o->header = strcmp(d->header, "yes") == 0  ? US_CSV_HEADER_YES
                : strcmp(d->header, "no") == 0 ? US_CSV_HEADER_NO
                                               : US_CSV_HEADER_AUTO;
    o->trim = d->trim;
    us_sv *names = svs_of(f->a, &d->columns), *missing = svs_of(f->a, &d->missing);
    us_csv_map *maps = us_new_n(f->a, us_csv_map, d->label_map.n);
    us_sv *as_text = us_new_n(f->a, us_sv, d->kinds.n);
    if (!names || !missing || !maps || !as_text) return us_arena_fail(f->c, f->a);
    for (size_t i = 0; i < d->label_map.n; i++)
        maps[i] = (us_csv_map){us_sv_of(d->target), us_sv_of(d->label_map.key[i]),
                               us_sv_of(d->label_map.at[i])};
    for (size_t i = 0; i < d->kinds.n; i++) {
        us_data_kind k = US_DK_NUMERIC;
        US_TRY(kind_of(f->c, d->kinds.key[i], d->kinds.at[i], &k));
        if (k == US_DK_CATEGORICAL || k == US_DK_TEXT)
            as_text[o->n_as_text++] = us_sv_of(d->kinds.key[i]);
    }
    o->names = names;
    o->n_names = d->columns.n;
    o->missing = missing;
    o->n_missing = d->missing.n;
    o->maps = maps;
    o->n_maps = d->label_map.n;
    o->as_text = as_text;
    return US_OK;
}

static us_err schema_settings(us_flow *f, const us_csv_opts *csv, us_schema_opts *o)
{
    const us_conf_data *d = &f->conf->data;
    memset(o, 0, sizeof *o);
    us_schema_override *over = us_new_n(f->a, us_schema_override, d->kinds.n);
    us_sv *excluded = svs_of(f->a, &d->exclude);
    if (!over || !excluded) return us_arena_fail(f->c, f->a);
    for (size_t i = 0; i < d->kinds.n; i++) {
        over[i].column = us_sv_of(d->kinds.key[i]);
        over[i].has_kind = true;
        US_TRY(kind_of(f->c, d->kinds.key[i], d->kinds.at[i], &over[i].kind));
    }
    o->target = us_sv_of(d->target);
    o->excluded = excluded;
    o->n_excluded = d->exclude.n;
    if (strcmp(d->split_kind, "group") == 0) o->group = us_sv_of(d->split_column);
    if (strcmp(d->split_kind, "time") == 0) o->time = us_sv_of(d->split_column);
    o->overrides = over;
    o->n_overrides = d->kinds.n;
    o->csv = csv;
    return US_OK;
}

static us_err split_settings(us_flow *f, us_task task, size_t n_test, us_split_opts *o)
{
    const us_conf_data *d = &f->conf->data;
    us_split_defaults(o);
    if (!us_split_kind_find(us_sv_of(d->split_kind), &o->kind))
        return us_fail(f->c, US_ARG, "data.split.kind: '%s' is not known", d->split_kind);
    bool by_default = strcmp(us_conf_origin(f->conf, "data.split.kind"), "default") == 0;
    if (o->kind == US_SPLIT_STRATIFIED && task == US_TASK_VALUE) {
        if (!by_default && !d->split_column[0])
            return us_fail(f->c, US_ARG,
                           "data.split.kind: stratified needs classes, but '%s' is a number; "
                           "use random, or name a "
                           "column in data.split.column",
                           d->target);
        if (!d->split_column[0]) o->kind = US_SPLIT_RANDOM;
    }
    o->column = us_sv_of(d->split_column);
    if (o->kind == US_SPLIT_STRATIFIED && !o->column.n) o->column = us_sv_of(d->target);
    if ((o->kind == US_SPLIT_TIME || o->kind == US_SPLIT_GROUP) && !o->column.n)
        return us_fail(f->c, US_ARG, "data.split.kind: %s needs data.split.column",
                       d->split_kind);
    double test = n_test ? 0 : d->split_test;
    bool train_given = strcmp(us_conf_origin(f->conf, "data.split.train"), "default") != 0;
    if (train_given && !n_test && fabs(d->split_train + d->split_validation + test - 1) > 1e-6)
        return us_fail(f->c, US_ARG, "data.split: train %g + validation %g + test %g is not 1",
                       d->split_train, d->split_validation, test);
    o->validation = d->split_validation;
    o->test = test;
    o->seed = (uint64_t)d->split_seed;
    o->n_given_test = n_test;
    return US_OK;
}

/* ---- data: files ---- */

us_err us_stage_data_files(us_flow *f, us_io *in, size_t *n)
{
    const us_conf_data *d = &f->conf->data;
    char *path = NULL;
    size_t k = 0;
    if (!d->path[0])
        return us_fail(f->c, US_ARG,
                       "data.path is not set in %s: which CSV file holds the rows?",
                       f->conf->path ? f->conf->path : "usta.yaml");
    US_TRY(us_conf_path(f->c, f->a, f->conf, d->path, &path));
    US_TRY(us_store_hash_input(f->s, f->c, path, &in[k].hash));
    in[k++].name = "file data.path";
    if (d->test_path[0]) {
        US_TRY(us_conf_path(f->c, f->a, f->conf, d->test_path, &path));
        US_TRY(us_store_hash_input(f->s, f->c, path, &in[k].hash));
        in[k++].name = "file data.test_path";
    }
    *n = k;
    return US_OK;
}

static us_err read_tables(us_flow *f, const us_csv_opts *o, us_table **out, size_t *n_test)
{
    const us_conf_data *d = &f->conf->data;
    char *path = NULL, *test_path = NULL;
    us_table *first = NULL, *second = NULL;
    us_err e = US_OK;
    US_GO(us_conf_path(f->c, f->a, f->conf, d->path, &path));
    US_GO(us_csv_read(f->c, path, o, &first, NULL));
    *n_test = 0;
    if (d->test_path[0]) {
        US_GO(us_conf_path(f->c, f->a, f->conf, d->test_path, &test_path));
        US_GO(us_csv_read(f->c, test_path, o, &second, NULL));
        US_GO(us_table_concat(f->c, first, second, out));
        *n_test = second->n_rows;
    } else {
        *out = first;
        first = NULL;
    }
out:
    us_table_free(first);
    us_table_free(second);
    return e;
}

/* ---- data: objects ---- */

static us_err put_snapshot(us_flow *f, us_made *m, const us_table *t, us_hash *out)
{
    us_buf b;
    us_buf_init(&b, f->c, US_TABLE_CAP);
    us_err e = us_snapshot_print(f->c, t, &b);
    if (e == US_OK) e = us_store_put_buf(f->s, f->c, &b, out);
    us_buf_deinit(&b);
    return e == US_OK ? us_made_add(f, m, "snapshot", out) : e;
}

static us_err put_split(us_flow *f, us_made *m, const us_split *s, const us_hash *snapshot,
                        us_hash *out)
{
    us_buf b;
    us_buf_init(&b, f->c, US_TABLE_CAP);
    us_buf_add(&b, snapshot->hex, US_HASH_HEX);
    us_err e = us_split_print(f->c, s, &b);
    if (e == US_OK) e = us_store_put_buf(f->s, f->c, &b, out);
    us_buf_deinit(&b);
    return e == US_OK ? us_made_add(f, m, "split", out) : e;
}

static us_err put_json(us_flow *f, us_made *m, const char *name, const json_t *j, us_hash *out)
{
    US_TRY(us_store_put_json(f->s, f->c, j, out));
    return us_made_add(f, m, name, out);
}

/* Leaks are warnings: a model that cheats is trained all the same, but nobody can say they were not told. Looked for in the
 * rows of training and validation: the more rows, the fewer accidents look like leaks; the test rows stay unseen. */
static us_err look_for_leaks(us_flow *f, us_made *m, const us_data_schema *schema,
                             const us_table *t, const us_split *split, us_task task)
{
    uint32_t *train = NULL, *valid = NULL;
    size_t n = 0, n_valid = 0;
    us_leaks leaks = {0};
    US_TRY(us_split_rows(f->c, f->a, split, US_PART_TRAIN, &train, &n));
    US_TRY(us_split_rows(f->c, f->a, split, US_PART_VALID, &valid, &n_valid));
    uint32_t *rows = us_new_n(f->a, uint32_t, n + n_valid);
    if (!rows) return us_arena_fail(f->c, f->a);
    if (n) memcpy(rows, train, n * sizeof *rows);
    if (n_valid) memcpy(rows + n, valid, n_valid * sizeof *rows);
    US_TRY(us_leaks_find(f->c, f->a, schema, t, rows, n + n_valid, task, &leaks));
    json_t *list = json_array();
    for (size_t i = 0; i < leaks.v.n; i++) {
        us_sv text = leaks.v.at[i].text;
        us_logf(f->c, US_LOG_WARN, "data: leakage: " US_SV_FMT, US_SV_ARG(text));
        if (json_array_append_new(list, json_stringn(text.p, text.n))) {
            json_decref(list);
            return us_nomem(f->c);
        }
    }
    return json_object_set_new(m->facts, "leaks", list) ? us_nomem(f->c) : US_OK;
}

static us_err data_facts(us_flow *f, us_made *m, const us_table *t,
                         const us_data_schema *schema, const us_split *split, us_task task)
{
    char n[4][32];
    size_t n_leaks = json_array_size(json_object_get(m->facts, "leaks"));
    us_print_count((int64_t)t->n_rows, n[0]);
    for (int part = 0; part < 3; part++)
        us_print_count((int64_t)split->counts[part], n[part + 1]);
    json_t *j =
        json_pack("{s:I,s:I,s:I,s:s,s:I,s:I,s:I}", "rows", (json_int_t)t->n_rows, "columns",
                  (json_int_t)t->n_cols, "features", (json_int_t)us_schema_n_features(schema),
                  "task", us_task_name(task), "train", (json_int_t)split->counts[US_PART_TRAIN],
                  "validation", (json_int_t)split->counts[US_PART_VALID], "test",
                  (json_int_t)split->counts[US_PART_TEST]);
    int bad = !j || json_object_update_new(m->facts, j);
    if (bad) return us_nomem(f->c);
    return us_made_evidence(
        f, m, "%s rows, %zu columns, %zu features; train %s, validation %s, test %s%s", n[0],
        t->n_cols, us_schema_n_features(schema), n[1], n[2], n[3],
        n_leaks ? "; LEAKAGE, see the warning" : "");
}

static us_err data_records(us_flow *f, us_made *m, const us_table *t, const us_split *split,
                           const us_hash *snapshot, const us_hash *schema,
                           const us_hash *split_h)
{
    m->snapshot = us_new(f->a, us_snapshot_rec);
    m->split = us_new(f->a, us_split_rec);
    if (!m->snapshot || !m->split) return us_arena_fail(f->c, f->a);
    int64_t now = us_wall_us();
    *m->snapshot = (us_snapshot_rec){
        *snapshot, *schema, f->conf->data.path, (int64_t)t->n_rows, (int64_t)t->n_cols,
        now,       NULL};
    *m->split = (us_split_rec){*split_h,
                               *snapshot,
                               f->conf->data.split_kind,
                               f->conf->data.split_seed,
                               (int64_t)split->counts[US_PART_TRAIN],
                               (int64_t)split->counts[US_PART_VALID],
                               (int64_t)split->counts[US_PART_TEST],
                               now};
    return US_OK;
}

/* What the later stages could only say in their own words. */
static us_err check_rows(us_ctx *c, const us_conf *conf, const us_table *t)
{
    const us_conf_data *d = &conf->data;
    if (t->n_rows < MIN_ROWS)
        return us_fail(c, US_ARG,
                       "%s holds %zu row%s; at least %d are needed to train, choose and test "
                       "a model",
                       d->path, t->n_rows, t->n_rows == 1 ? "" : "s", MIN_ROWS);
    for (size_t i = 0; i < d->exclude.n; i++)
        if (strcmp(d->exclude.at[i], d->target) == 0)
            return us_fail(c, US_ARG, "data.exclude names '%s', which is data.target",
                           d->target);
    return US_OK;
}

us_err us_stage_data(us_flow *f, us_made *m)
{
    us_err e = US_OK;
    us_csv_opts csv;
    us_schema_opts so;
    us_split_opts po;
    us_table *t = NULL;
    size_t n_test = 0;
    us_data_schema schema;
    us_split split;
    us_profile profile;
    us_task task = US_TASK_CLASSES;
    us_hash h_snapshot, h_schema, h_split, h_profile;
    json_t *j = NULL;
    if (!f->conf->data.target[0])
        return us_fail(f->c, US_ARG,
                       "data.target is not set in %s: which column is to be predicted?",
                       f->conf->path ? f->conf->path : "usta.yaml");
    US_GO(us_flow_csv(f, &csv));
    US_GO(read_tables(f, &csv, &t, &n_test));
    US_GO(check_rows(f->c, f->conf, t));
    US_GO(schema_settings(f, &csv, &so));
    US_GO(us_schema_infer(f->c, f->a, t, &so, &schema));
    US_GO(us_target_task(f->c, &schema, &task));
    US_GO(split_settings(f, task, n_test, &po));
    US_GO(us_split_make(f->c, f->a, t, &po, &split));
    US_GO(look_for_leaks(f, m, &schema, t, &split, task));
    US_GO(put_snapshot(f, m, t, &h_snapshot));
    US_GO(us_schema_to_json(f->c, f->a, &schema, &j));
    US_GO(put_json(f, m, "schema", j, &h_schema));
    US_GO(put_split(f, m, &split, &h_snapshot, &h_split));
    US_GO(us_profile_make(f->c, f->a, t, &profile));
    US_GO(us_profile_to_json(f->c, f->a, &profile, &j));
    US_GO(put_json(f, m, "profile", j, &h_profile));
    US_GO(data_records(f, m, t, &split, &h_snapshot, &h_schema, &h_split));
    US_GO(data_facts(f, m, t, &schema, &split, task));
out:
    us_table_free(t);
    return e;
}

/* ---- for the stages behind ---- */

us_err us_material_open(us_flow *f, us_material *out)
{
    us_hash h;
    char *path = NULL;
    json_t *j = NULL;
    us_file *file = NULL;
    memset(out, 0, sizeof *out);
    US_TRY(us_flow_input(f, "snapshot", &h));
    US_TRY(us_store_path(f->s, f->c, f->a, &h, &path));
    US_TRY(us_snapshot_read(f->c, path, true, &out->table));
    US_TRY(us_flow_input(f, us_flow_has_input(f, "inputs") ? "inputs" : "schema", &h));
    US_TRY(us_store_get_json(f->s, f->c, f->a, &h, &j));
    US_TRY(us_schema_from_json(f->c, f->a, j, &out->schema));
    US_TRY(us_flow_input(f, "split", &h));
    US_TRY(us_store_get(f->s, f->c, &h, true, &file));
    us_sv bytes = {(const char *)us_file_data(file), us_file_size(file)};
    us_err e = bytes.n < US_HASH_HEX
                   ? us_fail(f->c, US_FORMAT, "the split object is too short")
                   : us_split_parse(f->c, f->a, "split",
                                    (us_sv){bytes.p + US_HASH_HEX, bytes.n - US_HASH_HEX},
                                    &out->split);
    us_file_close(file);
    if (e == US_OK && out->split.n_rows != out->table->n_rows)
        e = us_fail(f->c, US_FORMAT, "the split is of %zu rows, the snapshot has %zu",
                    out->split.n_rows, out->table->n_rows);
    return e;
}

void us_material_close(us_material *m)
{
    us_table_free(m->table);
    m->table = NULL;
}
