/* cli/cmd_diff.c - `usta diff A B`: what differs between two models, whose nodes are matched by structure.
 *
 * Exit status as of diff(1): 0 they are the same, 1 they differ, 2 one cannot be read. Files of the same bytes are not looked into.
 */
#include <string.h>

#include "cli/diff_page.h"
#include "onnx/onnx.h"

typedef struct diff_args {
    double tolerance;
    bool structure_only, weights_only, all, cost;
} diff_args;

#define F(f) offsetof(diff_args, f)
static const us_opt opts[] = {
    {US_OPT_F64, 0, "tolerance", F(tolerance), "0", 0, 1, "", "", NULL,
     "constants that differ by at most this share of their largest element are equal"},
    {US_OPT_BOOL, 0, "structure-only", F(structure_only), "false", 0, 0, "", "", NULL,
     "leave out the contents of constants"},
    {US_OPT_BOOL, 0, "weights-only", F(weights_only), "false", 0, 0, "", "", NULL,
     "leave out all but the constants of matched nodes"},
    {US_OPT_BOOL, 0, "cost", F(cost), "false", 0, 0, "", "", NULL,
     "multiply-accumulates of matched nodes, too"},
    {US_OPT_BOOL, 0, "all", F(all), "false", 0, 0, "", "", NULL,
     "every difference, not the first 20 of a kind"},
    {US_OPT_END}};
#undef F

static bool same_bytes(const us_file *a, const us_file *b)
{
    return a && b && us_file_size(a) == us_file_size(b) &&
           memcmp(us_file_data(a), us_file_data(b), us_file_size(a)) == 0;
}

/* The file and, in the order in which it names them, those its weights are in. */
static bool identical(const us_model *a, const us_model *b)
{
    if (!same_bytes(a->file, b->file) || a->externals.n != b->externals.n) return false;
    for (size_t i = 0; i < a->externals.n; i++)
        if (!same_bytes(a->externals.at[i], b->externals.at[i])) return false;
    return true;
}

static us_err compare(us_cli *cli, const diff_args *args, const us_model *a, const us_model *b)
{
    us_diff_opts o = {.tolerance = args->tolerance,
                      .structure_only = args->structure_only,
                      .weights_only = args->weights_only,
                      .cost = args->cost};
    us_diff_page p = {.a = cli->args[0],
                      .b = cli->args[1],
                      .all = args->all,
                      .weights_only = args->weights_only,
                      .structure_only = args->structure_only,
                      .cost = args->cost};
    us_diff *d = NULL;
    us_err e = US_OK;
    p.identical = identical(a, b);
    if (!p.identical) e = us_diff_models(cli->c, a, b, &o, &d);
    if (e == US_OK) e = cli->json ? us_diff_json(cli, d, &p) : us_diff_print(cli, d, &p);
    if (e == US_OK && !p.identical && !d->same) {
        cli->c->diag.text[0] = 0; /* all is said */
        e = US_NO;
    }
    us_diff_free(d);
    return e;
}

static us_err run(us_cli *cli, void *args_)
{
    const diff_args *args = args_;
    us_model *a = NULL, *b = NULL;
    if (args->structure_only && args->weights_only)
        return us_fail(cli->c, US_ARG,
                       "--structure-only and --weights-only leave nothing to compare");
    us_err e = us_onnx_read(cli->c, cli->args[0], NULL, &a);
    if (e == US_OK) e = us_onnx_read(cli->c, cli->args[1], NULL, &b);
    if (e == US_OK) e = compare(cli, args, a, b);
    us_model_free(a);
    us_model_free(b);
    return e;
}

const us_cmd us_cmd_diff = {"diff",
                            "A.onnx B.onnx",
                            "what differs between two models, whatever their nodes are called",
                            0,
                            2,
                            2,
                            opts,
                            sizeof(diff_args),
                            run};
