/* cli/cmd_infer.c - `usta infer MODEL -i NAME=FILE -o DIR`: run a model once on files.
 *
 * Every input of the model is given by -i, or all that are not by --random. A file of rows (-i FILE.csv, without a name)
 * feeds all inputs of a model that usta trained, through the row decoder its passport describes. An initialiser that old
 * files list among the inputs may be given too and then replaces the stored one.
 * A picture is decoded and made what the input takes; of a folder every picture is run, in the order of names, and the outputs are
 * joined along their first axis.
 */
#include <string.h>

#include "cli/cli.h"
#include "cli/images.h"
#include "cli/inputs.h"
#include "cli/models.h"
#include "cli/tensors.h"
#include "data/decode.h"
#include "data/passport.h"
#include "exec/planfile.h"
#include "onnx/onnx.h"

#define PICTURES_CAP ((size_t)4 << 30) /* bytes of one run's pictures, decoded and prepared */

typedef struct infer_args {
    us_texts in;
    const char *dir;
    us_textmap dims;
    bool random;
    int64_t seed;
    us_image_args images;
} infer_args;

typedef struct given { /* one -i */
    us_sv name;
    const char *file;
} given;

typedef struct infer {
    us_cli *cli;
    us_ctx *c;
    us_arena *a;
    const infer_args *args;
    given *given;
    size_t n_given;
    const char *csv;
    us_plan *plan;
    us_session *session;
    us_inputs inputs;
    us_value *in, *out;
    bool *have;
    us_pictures *pictures; /* per input; n 0: none */
    size_t n_runs;
    bool any_pictures;
} infer;

#define F(f) offsetof(infer_args, f)
static const us_opt opts[] = {
    {US_OPT_TEXTS, 'i', "input", F(in), "[]", 0, 0, "NAME=FILE", "", NULL,
     "an input: .npy, .json for strings, maps and sequences, a picture or a folder of them; a "
     ".csv alone feeds a model "
     "that usta trained"},
    {US_OPT_TEXT, 'o', "output", F(dir), "", 0, 0, "DIR", "", NULL,
     "folder for the outputs, DIR/<name>.npy (.json for strings); made when missing"},
    {US_OPT_BOOL, 0, "random", F(random), "false", 0, 0, "", "", NULL,
     "random contents for the inputs that are not given"},
    {US_OPT_INT, 0, "seed", F(seed), "0", 0, 9e15, "", "", NULL, "of the random contents"},
    US_DIM_OPT(infer_args, dims),
    US_IMAGE_OPTS(infer_args, images),
    {US_OPT_END}};
#undef F

static us_err split_given(infer *k)
{
    k->given = us_new_n(k->a, given, k->args->in.n);
    if (!k->given) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < k->args->in.n; i++) {
        const char *text = k->args->in.at[i], *eq = strchr(text, '=');
        if (eq) {
            k->given[k->n_given++] = (given){{text, (size_t)(eq - text)}, eq + 1};
        } else if (us_sv_ends(us_sv_of(text), ".csv") || strcmp(text, "-") == 0) {
            k->csv = text;
        } else {
            return us_fail(k->c, US_ARG, "-i %s: expected NAME=FILE, or a .csv file of rows",
                           text);
        }
    }
    return US_OK;
}

/* Names given that are initialisers the file also lists as inputs. */
static us_err find_overrides(infer *k, const us_model *m, us_plan_opts *o)
{
    us_sv *names = us_new_n(k->a, us_sv, k->n_given);
    if (!names) return us_arena_fail(k->c, k->a);
    o->override_names = names;
    for (size_t i = 0; i < k->n_given; i++) {
        us_vid v = us_graph_find(m->main, k->given[i].name);
        if (v != US_NIL && m->main->vals.at[v].also_input)
            names[o->n_override++] = k->given[i].name;
    }
    return US_OK;
}

static us_err plan_model(infer *k, const char *path)
{
    us_model *m;
    us_plan_opts o = {0};
    US_TRY(us_onnx_read(k->c, path, NULL, &m));
    us_err e = find_overrides(k, m, &o);
    if (e == US_OK) e = us_plan_new(k->c, m, &o, &k->plan);
    if (e == US_OK) return US_OK;
    us_model_free(m);
    return us_wrap(k->c, e, "%s", path);
}

static us_err load(infer *k, const char *path)
{
    bool compiled;
    US_TRY(us_planfile_find(k->c, path, &compiled));
    US_TRY(compiled ? us_planfile_read(k->c, path, &k->plan) : plan_model(k, path));
    us_session_opts so = {.seed = (uint64_t)k->args->seed, .images = &us_image_codecs};
    US_TRY(us_session_new(k->c, k->plan, &so, &k->session));
    size_t n_in = us_plan_n_inputs(k->plan), n_out = us_plan_n_outputs(k->plan);
    us_input_args ia = {
        .dims = k->args->dims, .random = k->args->random, .seed = k->args->seed};
    US_TRY(us_inputs_begin(k->c, k->a, k->plan, &ia, &k->inputs));
    k->in = k->inputs.in;
    k->have = k->inputs.have;
    k->out = us_new_n(k->a, us_value, n_out);
    k->pictures = us_new_n(k->a, us_pictures, n_in);
    k->n_runs = 1;
    return k->out && k->pictures ? US_OK : us_arena_fail(k->c, k->a);
}

static us_err read_given(infer *k, const given *g)
{
    size_t i;
    US_TRY(us_input_find(k->c, k->plan, g->name, &i));
    if (k->have[i])
        return us_fail(k->c, US_ARG, "-i " US_SV_FMT "=%s: this input is given twice",
                       US_SV_ARG(g->name), g->file);
    k->have[i] = true;
    const us_type *type = us_plan_input_type(k->plan, i);
    if (!us_pictures_given(g->file))
        return us_value_file_read(k->c, k->a, g->file, type, &k->in[i]);
    us_pictures *p = &k->pictures[i];
    US_TRY(us_pictures_open(k->c, k->a, g->name, type, g->file, &k->args->images, p));
    size_t runs = us_pictures_n_runs(p);
    if (runs > 1 && k->n_runs > 1 && runs != k->n_runs)
        return us_fail(k->c, US_ARG, "%s has pictures for %zu runs, another input for %zu",
                       g->file, runs, k->n_runs);
    k->n_runs = US_MAX(k->n_runs, runs);
    k->any_pictures = true;
    return US_OK;
}

/* Rows for all inputs, as the passport says they were decoded in training. */
static us_err read_csv(infer *k)
{
    us_passport p;
    us_decoder d;
    us_buf text;
    size_t n_rows;
    US_TRY(us_passport_get(k->c, k->a, us_plan_model(k->plan), &p));
    US_TRY(us_decoder_init(k->c, k->a, &p.schema, p.packed ? US_PACK_AUTO : US_PACK_NEVER, &d));
    us_value *in = us_new_n(k->a, us_value, d.n_inputs);
    if (!in) return us_arena_fail(k->c, k->a);
    us_buf_init(&text, k->c, US_TENSOR_FILE_MAX);
    us_err e = us_file_read(k->c, k->csv, &text);
    if (e == US_OK) e = us_decode_csv(k->c, k->a, &d, us_buf_sv(&text), true, &n_rows, in);
    us_buf_deinit(&text);
    if (e != US_OK) return us_wrap(k->c, e, "%s", k->csv);
    for (size_t j = 0; j < d.n_inputs; j++) {
        size_t i;
        US_TRY(us_input_find(k->c, k->plan, d.inputs[j].name, &i));
        k->in[i] = in[j];
        k->have[i] = true;
    }
    return US_OK;
}

/* The pictures of run i become inputs; the arena is reset after the run. */
static us_err read_pictures(infer *k, us_arena *a, size_t i_run)
{
    for (size_t i = 0; i < us_plan_n_inputs(k->plan); i++) {
        const us_pictures *p = &k->pictures[i];
        if (p->n == 0) continue;
        size_t at = us_pictures_n_runs(p) == 1 ? 0 : i_run;
        US_TRY(us_pictures_read(k->c, a, p, at, &k->in[i]));
    }
    return US_OK;
}

/* Once, or once per picture with the outputs joined. */
static us_err run_in(infer *k, us_arena *a, const char *path)
{
    size_t n_out = us_plan_n_outputs(k->plan);
    us_value *all = us_new_n(k->a, us_value, k->n_runs * n_out); /* by output, then run */
    us_mark mark = us_arena_mark(a);
    if (!all) return us_arena_fail(k->c, k->a);
    for (size_t r = 0; r < k->n_runs; r++) {
        US_TRY(read_pictures(k, a, r));
        us_err e = us_session_run(k->c, k->session, k->in, k->out);
        if (e != US_OK) return us_wrap(k->c, us_inputs_wrap(&k->inputs, e), "%s", path);
        /* An output may be an input passed through: it must not go with the arena. */
        for (size_t i = 0; i < n_out; i++)
            US_TRY(us_value_dup(k->c, k->a, &k->out[i], &all[i * k->n_runs + r]));
        us_arena_reset(a, mark);
    }
    for (size_t i = 0; i < n_out; i++) {
        us_value *parts = &all[i * k->n_runs];
        k->out[i] = parts[0];
        us_sv name = us_plan_output_name(k->plan, i);
        if (k->n_runs > 1)
            US_TRY(us_values_join(k->c, k->a, name, k->n_runs, parts, &k->out[i]));
    }
    return US_OK;
}

static us_err run_all(infer *k, const char *path)
{
    us_arena *a;
    if (!k->any_pictures) {
        us_err once = us_session_run(k->c, k->session, k->in, k->out);
        return once == US_OK ? once
                             : us_wrap(k->c, us_inputs_wrap(&k->inputs, once), "%s", path);
    }
    US_TRY(us_arena_new(k->c, "pictures", PICTURES_CAP, &a));
    us_err e = run_in(k, a, path);
    us_arena_free(a);
    return e;
}

static us_err add_output(infer *k, size_t i, json_t *list)
{
    const us_value *v = &k->out[i];
    us_sv name = us_plan_output_name(k->plan, i);
    json_t *data, *shape = json_array(), *row;
    us_err e = us_value_json(k->c, v, &data);
    if (e != US_OK) {
        json_decref(shape);
        return e;
    }
    const char *type = v->kind == US_KIND_TENSOR     ? us_dtype_get(v->t.dtype)->name
                       : v->kind == US_KIND_MAP      ? "map"
                       : v->kind == US_KIND_SEQUENCE ? "sequence"
                                                     : "none";
    for (int32_t d = 0; v->kind == US_KIND_TENSOR && d < v->t.rank; d++)
        json_array_append_new(shape, json_integer(v->t.dims[d]));
    row = json_pack("{s:s%, s:s, s:o, s:o}", "name", name.n ? name.p : "", name.n, "type", type,
                    "shape", shape, "data", data);
    return row && json_array_append_new(list, row) == 0 ? US_OK : us_nomem(k->c);
}

static us_err print_json(infer *k)
{
    json_t *list = json_array(), *all = json_pack("{s:o}", "outputs", list);
    us_err e = all ? US_OK : us_nomem(k->c);
    for (size_t i = 0; e == US_OK && i < us_plan_n_outputs(k->plan); i++)
        e = add_output(k, i, list);
    if (e == US_OK) e = us_out_json(k->cli, all);
    json_decref(all);
    return e;
}

static us_err write_files(infer *k)
{
    US_TRY(us_mkdirs(k->c, k->args->dir));
    for (size_t i = 0; i < us_plan_n_outputs(k->plan); i++) {
        char *path;
        US_TRY(us_value_file_write(k->c, k->a, k->args->dir, us_plan_output_name(k->plan, i),
                                   &k->out[i], &path));
        if (!k->cli->json) us_outf(k->cli->out, "%s\n", path);
    }
    return US_OK;
}

static us_err infer_run(infer *k, const char *path)
{
    US_TRY(split_given(k));
    US_TRY(load(k, path));
    if (k->csv) US_TRY(read_csv(k));
    for (size_t i = 0; i < k->n_given; i++)
        US_TRY(read_given(k, &k->given[i]));
    US_TRY(us_inputs_make(&k->inputs));
    US_TRY(run_all(k, path));
    if (k->args->dir[0]) US_TRY(write_files(k));
    return k->cli->json ? print_json(k) : US_OK;
}

static us_err run(us_cli *cli, void *args)
{
    infer k = {.cli = cli, .c = cli->c, .a = cli->arena, .args = args};
    if (!k.args->dir[0] && !cli->json)
        return us_fail(cli->c, US_ARG, "where to? give -o DIR for files, or --json for stdout");
    us_err e = infer_run(&k, cli->args[0]);
    us_session_free(k.session);
    us_plan_free(k.plan);
    return e;
}

const us_cmd us_cmd_infer = {"infer", "MODEL", "run a model on files", US_NEED_POOL, 1,
                             1,       opts,    sizeof(infer_args),     run};
