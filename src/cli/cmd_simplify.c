/* cli/cmd_simplify.c - `usta simplify IN OUT`: a smaller model with the same meaning.
 *
 * Before anything is written, the result is run beside the original on random inputs (exec/agree.h); a result that could not
 * be shown to be equal is not written. A model we cannot run can be simplified with --unproven, which says so.
 */
#include <string.h>

#include "cli/cli.h"
#include "cli/models.h"
#include "exec/agree.h"
#include "ir/op.h"
#include "ir/text.h"
#include "onnx/onnx.h"
#include "pass/pass.h"
#include "pass/simplify.h"

#define TEXT_MAX ((size_t)1 << 30)

typedef struct simplify_args {
    const char *passes, *dump;
    int64_t samples, seed, external_over;
    double tolerance, growth;
    bool unproven;
} simplify_args;

typedef struct simplify {
    us_cli *cli;
    us_ctx *c;
    const simplify_args *args;
    us_model *from, *to;
    us_simplify_report report;
    us_agreement proof;
    size_t n_dumps;
} simplify;

#define F(f) offsetof(simplify_args, f)
static const us_opt opts[] = {
    {US_OPT_TEXT, 0, "passes", F(passes), US_SIMPLIFY_PASSES, 0, 0, "NAME,...", "", NULL,
     "rewrites to repeat until nothing changes"},
    {US_OPT_TEXT, 0, "dump-after", F(dump), "", 0, 0, "PASS", "", NULL,
     "print the model on stderr after this pass changed it ('all': after each)"},
    {US_OPT_INT, 0, "samples", F(samples), "0", 0, 1000, "", "", NULL,
     "random inputs on which both models must agree; 0: 4, or 2 of a model of many operations"},
    {US_OPT_INT, 0, "seed", F(seed), "0", 0, 9e15, "", "", NULL, "of the random inputs"},
    {US_OPT_F64, 0, "tolerance", F(tolerance), "1e-4", 0, 1, "", "", NULL,
     "largest difference allowed, as a share of an output's largest element"},
    {US_OPT_F64, 0, "growth", F(growth), "1.1", 1, 1000, "", "", NULL,
     "constants may take this many times their bytes after folding (and 64 KiB)"},
    {US_OPT_INT, 0, "external-over", F(external_over), "0", 0, 9e15, "BYTES", "", NULL,
     "weights past this in sum go to OUT.onnx.data beside it; 0: past 2 GB, where the format's "
     "files end"},
    {US_OPT_BOOL, 0, "unproven", F(unproven), "false", 0, 0, "", "", NULL,
     "write the result although it could not be run for comparison"},
    {US_OPT_END}};
#undef F

/* --- dumps ------------------------------------------------------------------------------------------------ */

static us_err dump(void *arg, const char *pass, const us_model *m)
{
    simplify *k = arg;
    if (strcmp(k->args->dump, pass) != 0 && strcmp(k->args->dump, "all") != 0) return US_OK;
    us_buf b;
    us_buf_init(&b, k->c, TEXT_MAX);
    us_model_print(k->c, m, 8, &b);
    us_err e = us_buf_check(&b);
    if (e == US_OK) us_say(k->cli, "# %zu: after %s\n%s", ++k->n_dumps, pass, b.p);
    us_buf_deinit(&b);
    return e;
}

static us_err check_dump(simplify *k)
{
    const char *d = k->args->dump;
    bool known =
        !d[0] || strcmp(d, "all") == 0 || strcmp(d, "facts") == 0 || us_pass_find(us_sv_of(d));
    return known ? US_OK : us_fail(k->c, US_ARG, "--dump-after %s: there is no such pass", d);
}

/* --- what changed, by operator ------------------------------------------------------------------------------- */

typedef struct counting {
    us_tally *ops;
    int side;
} counting;

static us_err count_ops(us_ctx *c, us_graph *g, void *arg)
{
    counting *k = arg;
    for (size_t j = 0; j < g->order.n; j++)
        US_TRY(us_tally_add(c, k->ops, k->side, &g->nodes.at[g->order.at[j]]));
    return US_OK;
}

static us_err ops_json(simplify *k, json_t **out)
{
    counting n = {0};
    json_t *all = json_object();
    US_TRY(us_json_keep(k->c, k->cli->arena, all));
    US_TRY(us_tally_new(k->c, k->cli->arena, &n.ops));
    US_TRY(us_graph_each(k->c, k->from->main, count_ops, &n));
    n.side = 1;
    US_TRY(us_graph_each(k->c, k->to->main, count_ops, &n));
    for (size_t i = 0; i < n.ops->names.items.n; i++) {
        us_sv name = n.ops->names.items.at[i].key;
        json_t *row = json_pack("{s:I, s:I}", "before", (json_int_t)n.ops->n[0][i], "after",
                                (json_int_t)n.ops->n[1][i]);
        if (json_object_setn_new_nocheck(all, name.n ? name.p : "", name.n, row))
            return us_nomem(k->c);
    }
    *out = all;
    return US_OK;
}

static us_err answer(simplify *k, bool proven, json_t **out)
{
    json_t *ops = NULL;
    US_TRY(ops_json(k, &ops));
    json_t *proof = json_null();
    if (proven)
        proof = json_pack(
            "{s:I, s:I, s:f, s:f, s:I, s:b}", "samples", (json_int_t)k->proof.n_samples,
            "elements", (json_int_t)k->proof.n_elements, "tolerance", k->proof.tolerance,
            "largest_difference", k->proof.worst, "sensitive", (json_int_t)k->proof.n_sensitive,
            "shapes_only", (int)k->proof.random);
    json_t *all = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:O, s:o}", "file",
                            k->cli->args[0], "written", k->cli->args[1], "nodes_before",
                            (json_int_t)k->report.nodes_before, "nodes_after",
                            (json_int_t)k->report.nodes_after, "constant_bytes_before",
                            (json_int_t)k->report.const_bytes_before, "constant_bytes_after",
                            (json_int_t)k->report.const_bytes_after, "rounds",
                            (json_int_t)k->report.rounds, "operators", ops, "proof", proof);
    US_TRY(us_json_keep(k->c, k->cli->arena, all));
    *out = all;
    return US_OK;
}

static us_err print_page(simplify *k, const json_t *all)
{
    us_cli *cli = k->cli;
    us_rtable *t;
    const char *name;
    json_t *row;
    char b0[32], b1[32];
    US_TRY(us_rtable_new(cli->c, cli->arena, NULL, "operator|>before|>after", &t));
    json_object_foreach(json_object_get(all, "operators"), name, row)
    {
        us_rtable_cell(t, name);
        us_rtable_cellf(t, "%lld", (long long)us_json_i64_or(row, "before", 0));
        us_rtable_cellf(t, "%lld", (long long)us_json_i64_or(row, "after", 0));
    }
    us_rtable_cell(t, "all");
    us_rtable_cellf(t, "%zu", k->report.nodes_before);
    us_rtable_cellf(t, "%zu", k->report.nodes_after);
    US_TRY(us_out_table(cli, t));
    us_outf(cli->out, "\nconstants: %s before, %s after\n",
            us_print_bytes(k->report.const_bytes_before, b0),
            us_print_bytes(k->report.const_bytes_after, b1));
    if (json_is_null(json_object_get(all, "proof")))
        us_out_text(cli->out, "not proven equal: the model does not run here (--unproven)\n");
    else if (k->proof.random)
        us_outf(cli->out, "draws random numbers: types and shapes are equal on %zu inputs\n",
                k->proof.n_samples);
    else
        us_outf(
            cli->out,
            "proven equal on %zu random inputs (%zu numbers): largest difference %.2g of an "
            "output's largest element, %.2g allowed%s\n",
            k->proof.n_samples, k->proof.n_elements, k->proof.worst, k->proof.tolerance,
            k->proof.n_sensitive ? ", or what rounding of its weights does" : "");
    us_outf(cli->out, "written: %s\n", cli->args[1]);
    return US_OK;
}

/* --- the command ------------------------------------------------------------------------------------------------ */

/* *proven: the models ran and agree. Disagreement is an error whatever the flags say. */
static us_err prove(simplify *k, bool *proven)
{
    us_agree_opts o = {.n_samples = (size_t)k->args->samples,
                       .tolerance = k->args->tolerance,
                       .seed = (uint64_t)k->args->seed};
    us_err e = us_models_agree(k->c, k->from, k->to, &o, &k->proof);
    *proven = e == US_OK;
    if (e == US_OK && !k->proof.same)
        return us_fail(
            k->c, US_NO,
            "the simplified model is not equal to the original, nothing was written: %s",
            k->proof.what);
    if (e == US_NOMEM || e == US_CANCELLED || e == US_OK) return e;
    if (k->args->unproven) return US_OK;
    return us_wrap(k->c, e,
                   "cannot prove the result equal (--unproven writes it all the same)");
}

static us_err run(us_cli *cli, void *args)
{
    simplify *k = us_new(cli->arena, simplify);
    if (!k) return us_arena_fail(cli->c, cli->arena);
    *k = (simplify){.cli = cli, .c = cli->c, .args = args};
    us_simplify_opts o = {.passes = k->args->passes,
                          .growth = k->args->growth,
                          .after = k->args->dump[0] ? dump : NULL,
                          .arg = k};
    bool proven = false;
    json_t *all;
    US_TRY(check_dump(k));
    us_err e = us_onnx_read(k->c, cli->args[0], NULL, &k->from);
    if (e == US_OK) e = us_simplify(k->c, k->from, &o, &k->to, &k->report);
    if (e == US_OK) e = prove(k, &proven);
    if (e == US_OK)
        e = us_onnx_write(k->c, k->to, cli->args[1], (uint64_t)k->args->external_over);
    if (e == US_OK) e = answer(k, proven, &all);
    if (e == US_OK) e = cli->json ? us_out_json(cli, all) : print_page(k, all);
    us_model_free(k->to);
    us_model_free(k->from);
    return e;
}

const us_cmd us_cmd_simplify = {"simplify",
                                "IN.onnx OUT.onnx",
                                "a smaller model with the same meaning, proven so",
                                0,
                                2,
                                2,
                                opts,
                                sizeof(simplify_args),
                                run};
