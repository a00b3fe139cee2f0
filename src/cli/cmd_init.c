/* cli/cmd_init.c - `usta init [DIR] --csv FILE`: a commented usta.yaml for a data set.
 *
 * Looks at the file as the data stage will: types, the target (asked for, or the column whose name or place suggests it),
 * columns that name rows, and writes a first project that runs. Nothing that exists is overwritten.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "data/csv.h"
#include "data/decode.h"
#include "data/schema.h"
#include "flow/stage.h"

typedef struct init_args {
    const char *csv, *target, *template;
    bool stdout_only;
} init_args;

static const us_opt init_opts[] = {
    {US_OPT_TEXT, 'f', "csv", offsetof(init_args, csv), "", 0, 0, "FILE", "", NULL,
     "CSV file with the rows; unset: the only one in the folder"},
    {US_OPT_TEXT, 't', "target", offsetof(init_args, target), "", 0, 0, "COLUMN", "", NULL,
     "column to predict; unset: guessed"},
    {US_OPT_CHOICE, 0, "template", offsetof(init_args, template), "tabular", 0, 0, "",
     "tabular", NULL, "kind of project"},
    {US_OPT_BOOL, 0, "print", offsetof(init_args, stdout_only), "false", 0, 0, "", "", NULL,
     "print the file instead of writing it"},
    {US_OPT_END, 0, "", 0, "", 0, 0, "", "", NULL, ""}};

static bool is_csv(const char *name)
{
    us_sv s = us_sv_of(name);
    return us_sv_ends(s, ".csv") || us_sv_ends(s, ".csv.gz") || us_sv_ends(s, ".tsv");
}

/* The CSV file: given, or the only one in the folder. *rel: as the project file will name it. */
static us_err find_csv(us_cli *cli, const char *dir, const char *given, char **path,
                       const char **rel)
{
    char **names = NULL;
    size_t n = 0, n_csv = 0;
    if (given[0]) {
        *path = us_str_dup(cli->arena, us_sv_of(given));
        if (!*path) return us_arena_fail(cli->c, cli->arena);
        *rel = given;
        return US_OK;
    }
    if (us_path_is_dir(dir)) US_TRY(us_dir_list(cli->c, cli->arena, dir, &names, &n));
    for (size_t i = 0; i < n; i++)
        if (is_csv(names[i])) {
            *rel = names[i];
            n_csv++;
        }
    if (n_csv != 1)
        return us_fail(cli->c, US_ARG, "%s CSV file in '%s'; say which with --csv FILE",
                       n_csv ? "more than one" : "no", dir);
    *path = us_path_join(cli->arena, dir, *rel);
    return *path ? US_OK : us_arena_fail(cli->c, cli->arena);
}

/* A relative path given from here must also be right seen from DIR: made absolute unless DIR is here. */
static us_err rebase(us_cli *cli, const char *dir, const char **rel)
{
    if ((*rel)[0] == '/' || strcmp(dir, ".") == 0) return US_OK;
    char abs[PATH_MAX];
    if (!realpath(*rel, abs)) return us_fail(cli->c, US_NOTFOUND, "'%s' is not there", *rel);
    *rel = us_str_dup(cli->arena, us_sv_of(abs));
    return *rel ? US_OK : us_arena_fail(cli->c, cli->arena);
}

/* As the data stage will read it, with the settings of a fresh project. A lone '?' is how many old data sets write
 * "missing": where a text column has one, it joins the list, *marks tells, and the numbers around it are numbers. */
static bool has_question_marks(const us_table *t)
{
    for (size_t k = 0; k < t->n_cols; k++)
        for (size_t i = 0; t->cols[k].type == US_COL_STR && i < t->n_rows; i++)
            if (us_col_valid(&t->cols[k], i) && us_sv_is(us_col_str(&t->cols[k], i), "?"))
                return true;
    return false;
}

static us_err add_question_mark(us_cli *cli, us_conf *conf)
{
    us_texts *m = &conf->data.missing;
    const char **at = us_new_n(cli->arena, const char *, m->n + 1);
    if (!at) return us_arena_fail(cli->c, cli->arena);
    memcpy(at, m->at, m->n * sizeof *at);
    at[m->n] = "?";
    *m = (us_texts){at, m->n + 1};
    return US_OK;
}

static us_err read_rows(us_cli *cli, us_conf *conf, const char *path, us_table **out,
                        bool *marks)
{
    us_csv_opts o;
    us_table *t = NULL;
    us_flow f = {.c = cli->c, .a = cli->arena, .conf = conf};
    US_TRY(us_conf_parse(cli->c, cli->arena, "defaults", US_SV(""), conf));
    US_TRY(us_flow_csv(&f, &o));
    US_TRY(us_csv_read(cli->c, path, &o, &t, NULL));
    *marks = has_question_marks(t);
    if (*marks) {
        us_table_free(t);
        US_TRY(add_question_mark(cli, conf));
        US_TRY(us_flow_csv(&f, &o));
        US_TRY(us_csv_read(cli->c, path, &o, &t, NULL));
    }
    *out = t;
    return US_OK;
}

static us_err add_missing(us_cli *cli, const us_conf *conf, json_t *data)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < conf->data.missing.n; i++)
        if (json_array_append_new(list, json_string(conf->data.missing.at[i]))) {
            json_decref(list);
            return us_nomem(cli->c);
        }
    return json_object_set_new(data, "missing", list) ? us_nomem(cli->c) : US_OK;
}

/* A usual name, else the last column. */
static us_sv guess_target(const us_table *t)
{
    static const char *const usual[] = {"target",  "Target",  "label", "Label",   "class",
                                        "Class",   "y",       "Y",     "outcome", "Outcome",
                                        "default", "churned", "churn", "Survived"};
    for (size_t k = 0; k < US_LEN(usual); k++)
        for (size_t i = 0; i < t->n_cols; i++)
            if (us_sv_is(t->cols[i].name, usual[k])) return t->cols[i].name;
    return t->cols[t->n_cols - 1].name;
}

/* Texts or integers that are different in every row name rows; they say nothing about others. */
static us_err add_excluded(us_cli *cli, const us_data_schema *s, json_t *data)
{
    json_t *list = NULL;
    US_TRY(us_json_keep(cli->c, cli->arena, list = json_array()));
    for (size_t i = 0; i < s->n_cols; i++) {
        const us_data_col *k = &s->cols[i];
        bool key = k->kind == US_DK_TEXT || (k->kind == US_DK_INTEGER && k->distinct_exact &&
                                             k->n > 1 && k->n_distinct >= (double)k->n);
        if (key && k->role == US_DR_FEATURE &&
            json_array_append_new(list, json_stringn(k->name.p, k->name.n)))
            return us_nomem(cli->c);
    }
    if (json_array_size(list) && json_object_set(data, "exclude", list))
        return us_nomem(cli->c);
    return US_OK;
}

static us_err describe(us_cli *cli, const us_table *t, const us_conf *conf, bool marks,
                       const char *rel, us_sv target, json_t **out)
{
    us_schema_opts so = {.target = target};
    us_data_schema s;
    us_task task = US_TASK_CLASSES;
    json_t *given = NULL;
    US_TRY(us_schema_infer(cli->c, cli->arena, t, &so, &s));
    US_TRY(us_target_task(cli->c, &s, &task));
    bool classes = task == US_TASK_CLASSES;
    given =
        json_pack("{s:[{s:s,s:f},{s:s,s:f}],s:{s:s,s:s%,s:{s:s}},s:{s:s}}", "requirements",
                  "metric", classes ? "accuracy" : "r2", "min", 0.5, "metric", "latency_p99_ms",
                  "max", 10.0, "data", "path", rel, "target", target.p, target.n, "split",
                  "kind", classes ? "stratified" : "random", "model", "family", "mlp");
    US_TRY(us_json_keep(cli->c, cli->arena, given));
    US_TRY(add_excluded(cli, &s, json_object_get(given, "data")));
    if (marks) US_TRY(add_missing(cli, conf, json_object_get(given, "data")));
    *out = given;
    return US_OK;
}

static us_err write_file(us_cli *cli, const char *dir, const us_buf *text, us_sv target,
                         const char *rel, bool guessed)
{
    char *path = us_path_join(cli->arena, dir, US_PROJECT_FILE);
    if (!path) return us_arena_fail(cli->c, cli->arena);
    if (us_path_exists(path))
        return us_fail(cli->c, US_ARG, "'%s' is there already; it was left as it is", path);
    US_TRY(us_mkdirs(cli->c, dir));
    US_TRY(us_file_replace(cli->c, path, text->p, text->n));
    if (!cli->json) {
        us_outf(cli->out, "wrote %s: predicts '" US_SV_FMT "' from %s\n", path,
                US_SV_ARG(target), rel);
        if (guessed)
            us_out_text(cli->out, "the column to predict is a guess; data.target in that file "
                                  "changes it, or --target with init\n");
        us_outf(cli->out, "next: %s%s%susta run\n", strcmp(dir, ".") ? "cd " : "",
                strcmp(dir, ".") ? dir : "", strcmp(dir, ".") ? " && " : "");
        return US_OK;
    }
    json_t *j = json_pack("{s:s,s:s%,s:b,s:s}", "wrote", path, "target", target.p, target.n,
                          "guessed", (int)guessed, "csv", rel);
    US_TRY(us_json_keep(cli->c, cli->arena, j));
    return us_out_json(cli, j);
}

static us_err make(us_cli *cli, const init_args *args, const char *dir, const us_table *t,
                   const us_conf *conf, bool marks, const char *rel)
{
    if (t->n_cols < 2)
        return us_fail(
            cli->c, US_ARG,
            "'%s' has %zu column; a target and something to predict it from are needed", rel,
            t->n_cols);
    us_sv target = args->target[0] ? us_sv_of(args->target) : guess_target(t);
    json_t *given = NULL;
    us_buf text;
    us_buf_init(&text, cli->c, (size_t)1 << 20);
    us_err e = describe(cli, t, conf, marks, rel, target, &given);
    if (e == US_OK) e = us_conf_print_template(cli->c, given, &text);
    if (e == US_OK && args->stdout_only)
        us_out_bytes(cli->out, text.p, text.n);
    else if (e == US_OK)
        e = write_file(cli, dir, &text, target, rel, !args->target[0]);
    us_buf_deinit(&text);
    return e;
}

static us_err run(us_cli *cli, void *args_)
{
    const init_args *args = args_;
    const char *dir = cli->n_args ? cli->args[0] : ".", *rel = NULL;
    char *path = NULL;
    us_table *t = NULL;
    us_conf conf;
    bool marks = false;
    US_TRY(find_csv(cli, dir, args->csv, &path, &rel));
    if (args->csv[0]) US_TRY(rebase(cli, dir, &rel));
    US_TRY(read_rows(cli, &conf, path, &t, &marks));
    us_err e = make(cli, args, dir, t, &conf, marks, rel);
    us_table_free(t);
    return e;
}

const us_cmd us_cmd_init = {"init",
                            "[DIR]",
                            "a new project: a commented usta.yaml for a CSV file",
                            0,
                            0,
                            1,
                            init_opts,
                            sizeof(init_args),
                            run};
