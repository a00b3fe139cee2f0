/* cli/cmd_compile.c - `usta compile MODEL -o M.plan`: all that loading a model does, done once and stored (exec/planfile.h); with --tune
 * after timing the kernels it could use (exec/tune.h). */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/inputs.h"
#include "exec/planfile.h"
#include "exec/tune.h"
#include "kernel/kernels.h"

typedef struct compile_args {
    const char *out;
    bool verify, tune;
    double tune_seconds;
    us_texts in;
    us_textmap dims;
    int64_t seed;
    us_image_args images;
} compile_args;

/* What was done, for the answer. */
typedef struct compiled {
    us_planfile_info file;
    double plan_ns, load_ns; /* 0: not measured */
    bool tuned;
    us_tune_info tune;
} compiled;

#define F(f) offsetof(compile_args, f)
static const us_opt opts[] = {
    {US_OPT_TEXT, 'o', "output", F(out), "", 0, 0, "FILE", "", NULL,
     "the plan; `usta infer`, `explain` and `bench` and the C API "
     "take it in place of the model"},
    {US_OPT_BOOL, 0, "verify", F(verify), "false", 0, 0, "", "", NULL,
     "MODEL is a plan: check all its sums, those of large weights "
     "too, which loading leaves out"},
    {US_OPT_BOOL, 0, "tune", F(tune), "false", 0, 0, "", "", NULL,
     "time the kernels that could do each step, on this machine and "
     "with --threads, and store the fastest"},
    {US_OPT_F64, 0, "tune-seconds", F(tune_seconds), "10", 0.001, US_TUNE_MAX_SECONDS, "s", "",
     NULL, "how long --tune takes, about"},
    {US_OPT_TEXTS, 'i', "input", F(in), "[]", 0, 0, "NAME=FILE", "", NULL,
     "an input of --tune's runs: .npy, .json for strings, or a picture; random contents for "
     "those not given"},
    {US_OPT_INT, 0, "seed", F(seed), "0", 0, 9e15, "", "", NULL, "of the random contents"},
    US_DIM_OPT(compile_args, dims),
    US_IMAGE_OPTS(compile_args, images),
    {US_OPT_END}};
#undef F

static us_err print_json(us_cli *cli, const char *file, const compiled *x, const char *level)
{
    const us_planfile_info *info = &x->file;
    json_t *tune = NULL;
    if (x->tuned)
        tune = json_pack("{s:I, s:I, s:f, s:f}", "choices", (json_int_t)x->tune.n_choices,
                         "other", (json_int_t)x->tune.n_other, "model_us",
                         x->tune.model_ns / 1e3, "tuned_us", x->tune.tuned_ns / 1e3);
    json_t *j = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:o*}", "file", file, "level", level,
        "file_bytes", (json_int_t)info->file_bytes, "graph_bytes",
        (json_int_t)info->graph_bytes, "data_bytes", (json_int_t)info->data_bytes,
        "packed_bytes", (json_int_t)info->packed_bytes, "packed", (json_int_t)info->n_packed,
        "plan_us", x->plan_ns / 1e3, "load_us", x->load_ns / 1e3, "tune", tune);
    US_TRY(us_json_keep(cli->c, cli->arena, j));
    return us_out_json(cli, j);
}

static void print_tune(us_cli *cli, const us_tune_info *t)
{
    char a[32];
    us_outf(cli->out, "timed the kernels of %zu step%s; ", t->n_choices,
            t->n_choices == 1 ? "" : "s");
    if (t->n_other == 0)
        us_outf(cli->out, "the model's choice was the fastest for each\n");
    else
        us_outf(cli->out, "%zu %s another than the model chose: a run takes %s, %.1f %% less\n",
                t->n_other, t->n_other == 1 ? "has" : "have",
                us_print_duration((int64_t)t->tuned_ns, a),
                100 * (1 - t->tuned_ns / t->model_ns));
}

static us_err print(us_cli *cli, const char *file, const compiled *x)
{
    char size[32], packed[32], a[32], b[32];
    const char *level = us_cpu_level(us_kernels_get(cli->c)->cpu);
    if (cli->json) return print_json(cli, file, x, level);
    us_outf(cli->out, "%s: %s for %s, of it %s in %zu packed pieces\n", file,
            us_print_bytes(x->file.file_bytes, size), level,
            us_print_bytes(x->file.packed_bytes, packed), x->file.n_packed);
    if (x->plan_ns > 0)
        us_outf(cli->out, "loading the model took %s, loading the plan takes %s\n",
                us_print_duration((int64_t)x->plan_ns, a),
                us_print_duration((int64_t)x->load_ns, b));
    else
        us_outf(cli->out, "all its sums are right\n");
    if (x->tuned) print_tune(cli, &x->tune);
    return US_OK;
}

/* Inputs that the plan runs on. */
static us_err make_inputs(us_cli *cli, const compile_args *o, us_plan *p, us_inputs *x)
{
    us_input_args ia = {o->in, o->dims, true, o->seed, &o->images};
    us_session_opts so = {.seed = (uint64_t)o->seed, .images = &us_image_codecs};
    us_session *s;
    us_value *out = us_new_n(cli->arena, us_value, us_plan_n_outputs(p));
    if (!out) return us_arena_fail(cli->c, cli->arena);
    US_TRY(us_inputs_open(cli->c, cli->arena, p, &ia, x));
    US_TRY(us_session_new(cli->c, p, &so, &s));
    us_err e = us_inputs_run(x, s, out);
    us_session_free(s);
    return e;
}

static us_err tune(us_cli *cli, const compile_args *o, us_plan **p, us_tune_info *info)
{
    us_tune_opts to = {o->tune_seconds, (uint64_t)o->seed, &us_image_codecs};
    us_inputs x;
    us_progress pr;
    US_TRY(make_inputs(cli, o, *p, &x));
    us_progress_start(&pr, "timing kernels", 0);
    us_progress_set(&pr, 0, "");
    us_err e = us_plan_tune(cli->c, *p, x.in, &to, p, info);
    us_progress_end(&pr);
    return e;
}

/* What was written is read once more, as whoever uses it will. */
static us_err compile(us_cli *cli, const char *model, const compile_args *o)
{
    us_plan *p, *again;
    compiled x = {.tuned = o->tune};
    uint64_t t = us_now_ns();
    US_TRY(us_plan_open(cli->c, model, NULL, &p));
    x.plan_ns = (double)(us_now_ns() - t);
    us_err e = o->tune ? tune(cli, o, &p, &x.tune) : US_OK;
    if (e == US_OK) e = us_planfile_write(cli->c, p, o->out, &x.file);
    us_plan_free(p);
    US_TRY(e);
    t = us_now_ns();
    US_TRY(us_planfile_read(cli->c, o->out, &again));
    x.load_ns = (double)(us_now_ns() - t);
    us_plan_free(again);
    return print(cli, o->out, &x);
}

static us_err compile_main(us_cli *cli, void *args)
{
    const compile_args *o = args;
    const char *file = cli->args[0];
    compiled x = {.plan_ns = 0};
    bool is = false;
    US_TRY(us_planfile_find(cli->c, file, &is));
    if (o->verify) {
        if (o->out[0]) return us_fail(cli->c, US_ARG, "--verify writes nothing: no -o with it");
        US_TRY(us_planfile_verify(cli->c, file, &x.file));
        return print(cli, file, &x);
    }
    if (is)
        return us_fail(cli->c, US_ARG, "%s is a compiled plan already; give the model", file);
    if (!o->out[0]) return us_fail(cli->c, US_ARG, "where to? -o FILE.plan");
    return compile(cli, file, o);
}

const us_cmd us_cmd_compile = {.name = "compile",
                               .args = "MODEL.onnx",
                               .help = "a plan of a model in a file, loaded in milliseconds",
                               .needs = US_NEED_POOL,
                               .min_args = 1,
                               .max_args = 1,
                               .opts = opts,
                               .args_size = sizeof(compile_args),
                               .run = compile_main};
