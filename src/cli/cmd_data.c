/* cli/cmd_data.c - `usta data stats|schema|check|split [FILE]`: looking at data as the lifecycle sees them.
 *
 * FILE is a CSV file; without it the project's snapshot is read (made by `usta run --until data`). `check` holds a file against
 * the project's schema.
 */
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "data/cell.h"
#include "data/csv.h"
#include "data/profile.h"
#include "data/schema.h"
#include "flow/stage.h"
#include "store/store.h"

typedef struct look {
    us_cli *cli;
    us_table *table; /* of the file; NULL: none given */
    us_material mat; /* of the project; table NULL: no project or nothing read yet */
} look;

/* ---- what is looked at ---- */

static us_err project_material(us_cli *cli, us_material *out)
{
    static const us_flow_opts opts = {.dry = true};
    us_flow f = {.c = cli->c, .a = cli->arena, .conf = cli->conf, .opts = &opts};
    us_stage_rec rec;
    US_TRY(us_store_open(cli->c, cli->conf->dir, false, &cli->store));
    f.s = cli->store;
    us_err e = us_store_current_stage(cli->store, cli->c, cli->arena, "data", &rec);
    if (e == US_NOTFOUND)
        return us_fail(
            cli->c, US_NOTFOUND,
            "the project's data have not been read yet; `usta run --until data` does it");
    US_TRY(e);
    for (size_t i = 0; i < rec.n_out && i < US_FLOW_MAX_IO; i++)
        f.have[f.n_have++] = rec.out[i];
    return us_material_open(&f, out);
}

/* as_project: with the project's delimiter, names, missing texts and so on; else with those of a fresh project. */
static us_err read_file(us_cli *cli, const char *path, bool as_project, us_table **out)
{
    us_conf fresh;
    us_flow f = {.c = cli->c, .a = cli->arena, .conf = as_project ? cli->conf : &fresh};
    us_csv_opts o;
    if (!as_project) US_TRY(us_conf_parse(cli->c, cli->arena, "defaults", US_SV(""), &fresh));
    US_TRY(us_flow_csv(&f, &o));
    return us_csv_read(cli->c, path, &o, out, NULL);
}

static us_err need_project(us_cli *cli)
{
    if (cli->conf) return US_OK;
    if (cli->n_args > 1)
        return us_fail(cli->c, US_NOTFOUND,
                       "no project here (no %s): usta data %s needs one to hold '%s' against",
                       US_PROJECT_FILE, cli->args[0], cli->args[1]);
    return us_fail(cli->c, US_NOTFOUND, "no project here (no %s); give a CSV file",
                   US_PROJECT_FILE);
}

static const us_table *table_of(const look *l)
{
    return l->table ? l->table : l->mat.table;
}

/* ---- stats ---- */

static us_err stats(look *l)
{
    us_cli *cli = l->cli;
    us_profile p;
    json_t *j = NULL;
    us_rtable *t = NULL;
    US_TRY(us_profile_make(cli->c, cli->arena, table_of(l), &p));
    if (cli->json) {
        US_TRY(us_profile_to_json(cli->c, cli->arena, &p, &j));
        return us_out_json(cli, j);
    }
    us_buf heads;
    us_buf_init(&heads, cli->c, 4096);
    for (size_t i = 0; i < US_PROFILE_N_HEADS; i++)
        us_buf_addf(&heads, "%s%s%s", i ? "|" : "", i > 1 ? ">" : "", us_profile_heads[i]);
    us_err e = us_buf_check(&heads);
    if (e == US_OK) e = us_rtable_new(cli->c, cli->arena, NULL, heads.p, &t);
    us_buf_deinit(&heads);
    US_TRY(e);
    for (size_t i = 0; i < p.n_cols; i++) {
        us_sv cells[US_PROFILE_N_HEADS];
        US_TRY(us_profile_cells(cli->c, cli->arena, &p.cols[i], cells));
        for (size_t k = 0; k < US_PROFILE_N_HEADS; k++)
            us_rtable_cellsv(t, cells[k]);
    }
    us_outf(cli->out, "%zu rows, %zu columns\n\n", p.n_rows, p.n_cols);
    return us_out_table(cli, t);
}

/* ---- schema ---- */

static us_err schema_of(look *l, us_data_schema *out)
{
    us_schema_opts so = {0};
    if (!l->table) {
        *out = l->mat.schema;
        return US_OK;
    }
    return us_schema_infer(l->cli->c, l->cli->arena, l->table, &so, out);
}

static us_err schema(look *l)
{
    us_cli *cli = l->cli;
    us_data_schema s;
    json_t *j = NULL;
    us_rtable *t = NULL;
    US_TRY(schema_of(l, &s));
    if (cli->json) {
        US_TRY(us_schema_to_json(cli->c, cli->arena, &s, &j));
        return us_out_json(cli, j);
    }
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL,
                         "column|kind|role|>missing|>distinct|>min|>max|values", &t));
    for (size_t i = 0; i < s.n_cols; i++) {
        const us_data_col *k = &s.cols[i];
        us_rtable_cellsv(t, k->name);
        us_rtable_cell(t, us_data_kind_name(k->kind));
        us_rtable_cell(t, us_data_role_name(k->role));
        us_rtable_cellf(t, "%.3g %%", k->n ? 100 * (double)k->n_missing / (double)k->n : 0);
        us_rtable_cellf(t, "%s%.0f", k->distinct_exact ? "" : "~", k->n_distinct);
        bool number = !us_data_kind_is_string(k->kind) && k->kind != US_DK_TIMESTAMP &&
                      !isnan(k->min); /* texts have lengths there, times microseconds */
        us_rtable_cellf(t, number ? "%.6g" : "-", k->min);
        us_rtable_cellf(t, number ? "%.6g" : "-", k->max);
        us_sv first = k->n_vocab ? k->vocab[0] : (us_sv){"", 0};
        us_rtable_cellf(t, US_SV_FMT "%s", US_SV_ARG(first), k->n_vocab > 1 ? ", ..." : "");
    }
    return us_out_table(cli, t);
}

/* ---- check ---- */

static us_err check(look *l)
{
    us_cli *cli = l->cli;
    us_violations v = {0};
    us_rtable *t = NULL;
    json_t *list = NULL;
    size_t n_fatal = 0;
    if (!l->table)
        return us_fail(cli->c, US_ARG,
                       "usta data check needs a file to hold against the project's schema");
    US_TRY(us_schema_check(cli->c, cli->arena, &l->mat.schema, l->table, &v));
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL,
                         "column|finding|>cells|>first row|found|expected", &t));
    US_TRY(us_json_keep(cli->c, cli->arena, list = json_array()));
    for (size_t i = 0; i < v.v.n; i++) {
        const us_violation *x = &v.v.at[i];
        n_fatal += us_violation_fatal(x->kind);
        us_rtable_cellsv(t, x->column);
        us_rtable_cell(t, us_violation_name(x->kind));
        us_rtable_tone(t, us_violation_fatal(x->kind) ? US_BAD : US_PLAIN);
        us_rtable_cellf(t, "%llu", (unsigned long long)x->n);
        us_rtable_cellf(t, "%llu", (unsigned long long)x->row + 1);
        us_rtable_cellsv(t, x->found);
        us_rtable_cellsv(t, x->expected);
        json_t *j =
            json_pack("{s:s%,s:s,s:I,s:I,s:s%,s:s%,s:b}", "column", x->column.p, x->column.n,
                      "finding", us_violation_name(x->kind), "cells", (json_int_t)x->n, "row",
                      (json_int_t)x->row + 1, "found", x->found.n ? x->found.p : "", x->found.n,
                      "expected", x->expected.n ? x->expected.p : "", x->expected.n, "fatal",
                      (int)us_violation_fatal(x->kind));
        if (!j || json_array_append_new(list, j)) return us_nomem(cli->c);
    }
    if (cli->json)
        US_TRY(us_out_json(cli, list));
    else if (v.v.n)
        US_TRY(us_out_table(cli, t));
    else
        us_out_text(cli->out, "the file agrees with the schema\n");
    if (!n_fatal) return US_OK;
    return us_fail(cli->c, US_NO, "%zu finding%s make the file unusable", n_fatal,
                   n_fatal == 1 ? "" : "s");
}

/* ---- split ---- */

static us_err split(look *l)
{
    us_cli *cli = l->cli;
    us_rtable *t = NULL;
    const us_split *s = &l->mat.split;
    if (l->table)
        return us_fail(cli->c, US_ARG,
                       "usta data split shows the project's split; it takes no file");
    if (cli->json) {
        json_t *j = json_pack("{s:I,s:I,s:I,s:I}", "rows", (json_int_t)s->n_rows, "train",
                              (json_int_t)s->counts[US_PART_TRAIN], "validation",
                              (json_int_t)s->counts[US_PART_VALID], "test",
                              (json_int_t)s->counts[US_PART_TEST]);
        US_TRY(us_json_keep(cli->c, cli->arena, j));
        return us_out_json(cli, j);
    }
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL, "part|>rows|>share", &t));
    for (int part = 0; part < 4; part++) {
        if (part == US_PART_NONE && !s->counts[part]) continue;
        us_rtable_cell(t, us_part_name(part));
        us_rtable_cellf(t, "%zu", s->counts[part]);
        us_rtable_cellf(t, "%.1f %%",
                        100 * (double)s->counts[part] / (double)US_MAX(s->n_rows, 1));
    }
    return us_out_table(cli, t);
}

/* ---- the command ---- */

static const struct {
    const char *name;
    us_err (*run)(look *l);
    bool needs_project; /* even when a file is given, which is then read as the project says */
} actions[] = {{"stats", stats, false},
               {"schema", schema, false},
               {"check", check, true},
               {"split", split, true}};

static us_err run(us_cli *cli, void *args)
{
    look l = {.cli = cli};
    us_err e = US_OK;
    size_t i = 0;
    (void)args;
    while (i < US_LEN(actions) && strcmp(actions[i].name, cli->args[0]) != 0)
        i++;
    if (i == US_LEN(actions))
        return us_fail(cli->c, US_ARG,
                       "usta data '%s' is not known; there are stats, schema, check, split",
                       cli->args[0]);
    if (cli->n_args < 2 || actions[i].needs_project) {
        US_GO(need_project(cli));
        US_GO(project_material(cli, &l.mat));
    }
    if (cli->n_args > 1)
        US_GO(read_file(cli, cli->args[1], actions[i].needs_project, &l.table));
    e = actions[i].run(&l);
out:
    us_table_free(l.table);
    us_material_close(&l.mat);
    return e;
}

const us_cmd us_cmd_data = {"data",
                            "stats|schema|check|split [FILE]",
                            "look at a CSV file or the project's data",
                            US_MAY_PROJECT,
                            1,
                            2,
                            NULL,
                            0,
                            run};
