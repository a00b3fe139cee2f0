/* cli/cmd_trace.c - `usta trace MODEL`: a run with every intermediate value in sight, alone or beside another.
 *
 * The reference is a second model, run first on the same inputs with its values kept, or a folder of dumped tensors
 * (DIR/<name>.npy, named as `usta infer` and --save name them). The table is printed for a run that failed, too: what came
 * before the failure is what one wants to see.
 */
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/inputs.h"
#include "cli/models.h"
#include "cli/tensors.h"
#include "inspect/trace.h"
#include "onnx/onnx.h"

#define KEPT_CAP ((size_t)16 << 30) /* bytes of the reference's values */

typedef struct trace_args {
    us_texts in;
    us_textmap dims;
    bool random;
    int64_t seed;
    const char *save, *against;
    double tolerance;
    us_image_args images;
} trace_args;

typedef struct trace {
    us_cli *cli;
    us_ctx *c;
    us_arena *a;
    const trace_args *args;
    us_model *m, *m2;
    us_trace *t, *t2;
    us_inputs inputs;
    us_value *in;
    us_arena *kept_arena; /* values of the reference, or of one file at a time */
    us_mark kept_start;
    us_map kept_names;
    US_VEC(us_value) kept;
    size_t n_compared;
} trace;

#define F(f) offsetof(trace_args, f)
static const us_opt opts[] = {
    {US_OPT_TEXTS, 'i', "input", F(in), "[]", 0, 0, "NAME=FILE", "", NULL,
     "an input: .npy, .json for strings, maps and sequences, or a picture"},
    {US_OPT_BOOL, 0, "random", F(random), "false", 0, 0, "", "", NULL,
     "random contents for the inputs that are not given"},
    {US_OPT_INT, 0, "seed", F(seed), "0", 0, 9e15, "", "", NULL, "of the random contents"},
    US_DIM_OPT(trace_args, dims),
    {US_OPT_TEXT, 0, "save", F(save), "", 0, 0, "DIR", "", NULL,
     "write inputs and every value to DIR/<name>.npy (.json for strings)"},
    {US_OPT_TEXT, 0, "against", F(against), "", 0, 0, "MODEL|DIR", "", NULL,
     "compare, by name, with another model's values or with dumped tensors"},
    {US_OPT_F64, 0, "tolerance", F(tolerance), "1e-4", 0, 1, "", "", NULL,
     "largest difference allowed, as a share of the reference's largest element"},
    US_IMAGE_OPTS(trace_args, images),
    {US_OPT_END}};
#undef F

/* --- the reference ---------------------------------------------------------------------------------------------- */

static us_err keep_value(void *arg, us_ctx *c, us_sv name, const us_value *v)
{
    trace *k = arg;
    us_value copy;
    US_TRY(us_value_dup(c, k->kept_arena, v, &copy));
    US_TRY(us_map_put(c, &k->kept_names, name, (uint32_t)k->kept.n, NULL));
    return us_vec_push(c, k->kept_arena, &k->kept, copy);
}

static us_err from_model(void *arg, us_ctx *c, us_sv name, const us_value *got, us_value *out,
                         bool *found)
{
    trace *k = arg;
    (void)c, (void)got;
    uint32_t i = us_map_get(&k->kept_names, name);
    *found = i != US_MAP_NONE;
    if (*found) *out = k->kept.at[i];
    k->n_compared += *found;
    return US_OK;
}

static us_err from_folder(void *arg, us_ctx *c, us_sv name, const us_value *got, us_value *out,
                          bool *found)
{
    trace *k = arg;
    char *path;
    us_type want = {.kind = got->kind, .dtype = got->t.dtype, .rank = -1};
    *found = false;
    if (got->kind != US_KIND_TENSOR) return US_OK; /* a file does not say its type */
    us_arena_reset(k->kept_arena, k->kept_start);
    US_TRY(us_value_file_path(c, k->kept_arena, k->args->against, name, got, &path));
    *found = us_path_exists(path);
    k->n_compared += *found;
    if (!*found) return US_OK;
    bool text = got->t.dtype == US_STRING;
    return us_value_file_read(c, k->kept_arena, path, text ? &want : NULL, out);
}

static us_err run_reference(trace *k)
{
    us_trace_opts o = {.seed = (uint64_t)k->args->seed,
                       .images = &us_image_codecs,
                       .see = keep_value,
                       .arg = k};
    us_map_init(&k->kept_names, k->kept_arena);
    US_TRY(us_onnx_read(k->c, k->args->against, NULL, &k->m2));
    US_TRY(us_trace_new(k->c, k->m2, &o, &k->t2));
    const us_plan *p = us_trace_plan(k->t2);
    us_value *in = us_new_n(k->a, us_value, us_plan_n_inputs(p));
    if (!in) return us_arena_fail(k->c, k->a);
    for (size_t i = 0; i < us_plan_n_inputs(p); i++) {
        size_t j;
        US_TRY(us_input_find(k->c, us_trace_plan(k->t), us_plan_input_name(p, i), &j));
        in[i] = k->in[j];
    }
    return us_trace_run(k->c, k->t2, in);
}

static us_err save_value(void *arg, us_ctx *c, us_sv name, const us_value *v)
{
    trace *k = arg;
    char *path;
    us_mark mark = us_arena_mark(k->a);
    us_err e = us_value_file_write(c, k->a, k->args->save, name, v, &path);
    us_arena_reset(k->a, mark);
    return e;
}

static us_err save_inputs(trace *k)
{
    const us_plan *p = us_trace_plan(k->t);
    for (size_t i = 0; i < us_plan_n_inputs(p); i++)
        US_TRY(save_value(k, k->c, us_plan_input_name(p, i), &k->in[i]));
    return US_OK;
}

/* --- the answer ---------------------------------------------------------------------------------------------------- */

static const char *const verdicts[] = {[US_TRACE_ALONE] = "not compared",
                                       [US_TRACE_SAME] = "same",
                                       [US_TRACE_TYPE] = "another type",
                                       [US_TRACE_SHAPE] = "another shape",
                                       [US_TRACE_DIFFERS] = "differs"};

static void add_type(us_buf *b, const us_trace_row *r)
{
    char dims[160];
    if (r->kind == US_KIND_TENSOR)
        us_buf_addf(b, "%s%s", us_dtype_get(r->dtype)->name,
                    us_dims_print(r->rank, r->dims, dims, sizeof dims));
    else
        us_buf_addf(b, "%s of %llu",
                    r->kind == US_KIND_SEQUENCE ? "sequence"
                    : r->kind == US_KIND_MAP    ? "map"
                                                : "none",
                    (unsigned long long)r->n_items);
}

static json_t *sv_json(us_sv s)
{
    json_t *j = json_stringn(s.n ? s.p : "", s.n);
    return j ? j : json_string("\xEF\xBF\xBD"); /* bytes that are no UTF-8 */
}

static json_t *real_json(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *row_json(trace *k, const us_trace_row *r)
{
    json_t *shape = json_array(), *type;
    us_buf b;
    us_buf_init(&b, k->c, 1024);
    add_type(&b, r);
    type = sv_json(us_buf_sv(&b));
    us_buf_deinit(&b);
    for (int32_t d = 0; d < r->rank; d++)
        (void)json_array_append_new(shape, json_integer(r->dims[d]));
    json_t *j = json_pack(
        "{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "name",
        sv_json(r->name), "graph", sv_json(r->graph), "operator", sv_json(r->op), "node",
        sv_json(r->node), "made", (int)r->made, "type", type, "shape", shape, "runs",
        (json_int_t)r->n_runs, "numbers", (json_int_t)r->n_numbers, "nan", (json_int_t)r->n_nan,
        "inf", (json_int_t)r->n_inf, "min", real_json(r->min), "max", real_json(r->max), "mean",
        real_json(r->mean));
    if (!j || r->match == US_TRACE_ALONE) return j;
    json_t *match =
        json_pack("{s:s, s:o, s:o, s:o, s:o}", "verdict", verdicts[r->match], "largest",
                  real_json(r->largest), "mean", real_json(r->average), "relative",
                  real_json(r->relative), "cosine", real_json(r->cosine));
    (void)json_object_set_new(j, "against", match);
    return j;
}

static us_err print_json(trace *k, us_err failed)
{
    const us_trace_row *rows, *bad = us_trace_first_bad(k->t),
                              *diff = us_trace_first_diff(k->t);
    size_t n = us_trace_rows(k->t, &rows);
    json_t *list = json_array(), *all;
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(list, row_json(k, &rows[i])) != 0) {
            json_decref(list);
            return us_nomem(k->c);
        }
    all = json_pack("{s:s, s:o, s:o, s:o, s:o, s:I}", "file", k->cli->args[0], "values", list,
                    "first_not_finite", bad ? sv_json(bad->name) : json_null(),
                    "first_difference", diff ? sv_json(diff->name) : json_null(), "error",
                    failed ? json_string(k->c->diag.text) : json_null(), "compared",
                    (json_int_t)k->n_compared);
    US_TRY(us_json_keep(k->c, k->a, all));
    return us_out_json(k->cli, all);
}

static void add_name(us_rtable *t, const us_trace_row *r)
{
    if (r->graph.n)
        us_rtable_cellf(t, US_SV_FMT " in " US_SV_FMT, US_SV_ARG(r->name), US_SV_ARG(r->graph));
    else
        us_rtable_cellsv(t, r->name);
    if (r->made) us_rtable_tone(t, US_FAINT);
}

static void add_marks(us_rtable *t, const us_trace_row *r)
{
    if (r->n_nan && r->n_inf)
        us_rtable_cellf(t, "%llu NaN, %llu inf", (unsigned long long)r->n_nan,
                        (unsigned long long)r->n_inf);
    else if (r->n_nan)
        us_rtable_cellf(t, "%llu NaN", (unsigned long long)r->n_nan);
    else if (r->n_inf)
        us_rtable_cellf(t, "%llu inf", (unsigned long long)r->n_inf);
    else if (r->n_runs > 1)
        us_rtable_cellf(t, "%llu runs", (unsigned long long)r->n_runs);
    else
        us_rtable_cell(t, "");
    if (r->n_nan || r->n_inf) us_rtable_tone(t, US_BAD);
}

static us_err add_front(trace *k, us_rtable *t, const us_trace_row *r)
{
    us_buf b;
    us_buf_init(&b, k->c, 1024);
    add_name(t, r);
    us_rtable_cellsv(t, r->op);
    add_type(&b, r);
    us_rtable_cellsv(t, us_buf_sv(&b));
    us_err e = us_buf_check(&b);
    us_buf_deinit(&b);
    return e;
}

static us_err print_values(trace *k)
{
    us_rtable *t;
    const us_trace_row *r;
    size_t n = us_trace_rows(k->t, &r);
    US_TRY(us_rtable_new(k->c, k->a, NULL, "value|operator|type|>min|>max|>mean|marks", &t));
    for (size_t i = 0; i < n; i++, r++) {
        US_TRY(add_front(k, t, r));
        us_rtable_f64(t, r->min, 4);
        us_rtable_f64(t, r->max, 4);
        us_rtable_f64(t, r->mean, 4);
        add_marks(t, r);
    }
    return us_out_table(k->cli, t);
}

static us_err print_differences(trace *k)
{
    us_rtable *t;
    const us_trace_row *r;
    size_t n = us_trace_rows(k->t, &r);
    US_TRY(us_rtable_new(k->c, k->a, NULL, "value|operator|type|>largest|>mean|>cosine|verdict",
                         &t));
    for (size_t i = 0; i < n; i++, r++) {
        if (r->match == US_TRACE_ALONE) continue;
        US_TRY(add_front(k, t, r));
        us_rtable_f64(t, r->largest, 3);
        us_rtable_f64(t, r->average, 3);
        if (isnan(r->cosine))
            us_rtable_cell(t, "-");
        else
            us_rtable_cellf(t, "%.7f", r->cosine);
        us_rtable_cell(t, verdicts[r->match]);
        if (r->match != US_TRACE_SAME) us_rtable_tone(t, US_BAD);
    }
    return us_out_table(k->cli, t);
}

static us_err print_page(trace *k)
{
    const us_trace_row *rows, *bad = us_trace_first_bad(k->t),
                              *diff = us_trace_first_diff(k->t);
    us_out *o = k->cli->out;
    size_t n = us_trace_rows(k->t, &rows);
    US_TRY(k->args->against[0] ? print_differences(k) : print_values(k));
    us_out_text(o, "\n");
    if (bad)
        us_outf(o,
                "first not finite: '" US_SV_FMT "' of " US_SV_FMT " '" US_SV_FMT
                "': %llu NaN, %llu infinite of %llu\n",
                US_SV_ARG(bad->name), US_SV_ARG(bad->op), US_SV_ARG(bad->node),
                (unsigned long long)bad->n_nan, (unsigned long long)bad->n_inf,
                (unsigned long long)bad->n_numbers);
    else
        us_outf(o, "%zu values, all finite\n", n);
    if (!k->args->against[0]) return US_OK;
    us_outf(o, "%zu values compared with %s\n", k->n_compared, k->args->against);
    if (diff)
        us_outf(o,
                "first to differ by more than %g: '" US_SV_FMT "' of " US_SV_FMT " '" US_SV_FMT
                "' (%s)\n",
                k->args->tolerance, US_SV_ARG(diff->name), US_SV_ARG(diff->op),
                US_SV_ARG(diff->node), verdicts[diff->match]);
    return US_OK;
}

/* --- the command ----------------------------------------------------------------------------------------------------- */

static us_err open_trace(trace *k)
{
    bool folder = k->args->against[0] && us_path_is_dir(k->args->against);
    us_trace_opts o = {.tolerance = k->args->tolerance,
                       .seed = (uint64_t)k->args->seed,
                       .images = &us_image_codecs,
                       .see = k->args->save[0] ? save_value : NULL,
                       .arg = k};
    if (k->args->against[0]) o.reference = folder ? from_folder : from_model;
    US_TRY(us_arena_new(k->c, "values of the reference", KEPT_CAP, &k->kept_arena));
    k->kept_start = us_arena_mark(k->kept_arena);
    us_err e = us_onnx_read(k->c, k->cli->args[0], NULL, &k->m);
    if (e == US_OK) e = us_trace_new(k->c, k->m, &o, &k->t);
    if (e != US_OK) return us_wrap(k->c, e, "%s", k->cli->args[0]);
    us_input_args in = {k->args->in, k->args->dims, k->args->random, k->args->seed,
                        &k->args->images};
    US_TRY(us_inputs_open(k->c, k->a, us_trace_plan(k->t), &in, &k->inputs));
    k->in = k->inputs.in;
    if (k->args->save[0]) {
        US_TRY(us_mkdirs(k->c, k->args->save));
        US_TRY(save_inputs(k));
    }
    if (!k->args->against[0] || folder) return US_OK;
    e = run_reference(k);
    return e == US_OK ? e : us_wrap(k->c, e, "%s", k->args->against);
}

static us_err run_and_print(trace *k)
{
    char said[sizeof k->c->diag.text];
    us_err failed = us_trace_run(k->c, k->t, k->in);
    if (failed != US_OK) {
        failed = us_inputs_wrap(&k->inputs, failed);
        memcpy(said, k->c->diag.text, sizeof said);
    }
    US_TRY(k->cli->json ? print_json(k, failed) : print_page(k));
    if (failed != US_OK) return us_fail(k->c, failed, "%s: %s", k->cli->args[0], said);
    const us_trace_row *diff = us_trace_first_diff(k->t);
    if (diff)
        return us_fail(k->c, US_NO, "'" US_SV_FMT "' is the first value that differs from %s",
                       US_SV_ARG(diff->name), k->args->against);
    if (k->args->against[0] && k->n_compared == 0)
        return us_fail(k->c, US_ARG, "%s has no value of a name that %s has", k->args->against,
                       k->cli->args[0]);
    return US_OK;
}

static us_err run(us_cli *cli, void *args)
{
    trace k = {.cli = cli, .c = cli->c, .a = cli->arena, .args = args};
    us_err e = open_trace(&k);
    if (e == US_OK) e = run_and_print(&k);
    us_trace_free(k.t);
    us_trace_free(k.t2);
    us_model_free(k.m);
    us_model_free(k.m2);
    us_arena_free(k.kept_arena);
    return e;
}

const us_cmd us_cmd_trace = {"trace",
                             "MODEL.onnx",
                             "run a model and look at every value on the way",
                             US_NEED_POOL,
                             1,
                             1,
                             opts,
                             sizeof(trace_args),
                             run};
