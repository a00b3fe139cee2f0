/* cli/cmd_compile.c - `usta compile MODEL -o M.plan`: all that loading a model does, done once and stored (exec/planfile.h). */
#include "base/clock.h"
#include "cli/cli.h"
#include "exec/planfile.h"
#include "kernel/kernels.h"

typedef struct compile_args {
    const char *out;
    bool verify;
} compile_args;

#define F(f) offsetof(compile_args, f)
static const us_opt opts[] = {{US_OPT_TEXT, 'o', "output", F(out), "", 0, 0, "FILE", "", NULL,
                               "the plan; `usta infer`, `explain` and `bench` and the C API "
                               "take it in place of the model"},
                              {US_OPT_BOOL, 0, "verify", F(verify), "false", 0, 0, "", "", NULL,
                               "MODEL is a plan: check all its sums, those of large weights "
                               "too, which loading leaves out"},
                              {US_OPT_END}};
#undef F

static us_err print(us_cli *cli, const char *file, const us_planfile_info *info, double plan_ns,
                    double load_ns)
{
    char size[32], packed[32], a[32], b[32];
    const char *level = us_cpu_level(us_kernels_get(cli->c)->cpu);
    if (cli->json) {
        json_t *j = json_pack(
            "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:f}", "file", file, "level", level,
            "file_bytes", (json_int_t)info->file_bytes, "graph_bytes",
            (json_int_t)info->graph_bytes, "data_bytes", (json_int_t)info->data_bytes,
            "packed_bytes", (json_int_t)info->packed_bytes, "packed",
            (json_int_t)info->n_packed, "plan_us", plan_ns / 1e3, "load_us", load_ns / 1e3);
        US_TRY(us_json_keep(cli->c, cli->arena, j));
        return us_out_json(cli, j);
    }
    us_outf(cli->out, "%s: %s for %s, of it %s in %zu packed pieces\n", file,
            us_print_bytes(info->file_bytes, size), level,
            us_print_bytes(info->packed_bytes, packed), info->n_packed);
    if (plan_ns > 0)
        us_outf(cli->out, "loading the model took %s, loading the plan takes %s\n",
                us_print_duration((int64_t)plan_ns, a), us_print_duration((int64_t)load_ns, b));
    else
        us_outf(cli->out, "all its sums are right\n");
    return US_OK;
}

/* What was written is read once more, as whoever uses it will. */
static us_err compile(us_cli *cli, const char *model, const char *out)
{
    us_plan *p, *again;
    us_planfile_info info;
    uint64_t t = us_now_ns();
    US_TRY(us_plan_open(cli->c, model, NULL, &p));
    double plan_ns = (double)(us_now_ns() - t);
    us_err e = us_planfile_write(cli->c, p, out, &info);
    us_plan_free(p);
    US_TRY(e);
    t = us_now_ns();
    US_TRY(us_planfile_read(cli->c, out, &again));
    double load_ns = (double)(us_now_ns() - t);
    us_plan_free(again);
    return print(cli, out, &info, plan_ns, load_ns);
}

static us_err compile_main(us_cli *cli, void *args)
{
    const compile_args *o = args;
    const char *file = cli->args[0];
    us_planfile_info info;
    bool is = false;
    US_TRY(us_planfile_find(cli->c, file, &is));
    if (o->verify) {
        if (o->out[0]) return us_fail(cli->c, US_ARG, "--verify writes nothing: no -o with it");
        US_TRY(us_planfile_verify(cli->c, file, &info));
        return print(cli, file, &info, 0, 0);
    }
    if (is)
        return us_fail(cli->c, US_ARG, "%s is a compiled plan already; give the model", file);
    if (!o->out[0]) return us_fail(cli->c, US_ARG, "where to? -o FILE.plan");
    return compile(cli, file, o->out);
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
