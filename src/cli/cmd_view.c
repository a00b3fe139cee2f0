/* cli/cmd_view.c - `usta view MODEL -o FILE`: a picture of a model; the name of the file says which kind. */
#include <string.h>

#include "cli/cli.h"
#include "inspect/view.h"
#include "onnx/onnx.h"

typedef struct view_args {
    const char *out;
    const char *detail;
    int64_t columns;
    bool no_weights;
} view_args;

#define F(f) offsetof(view_args, f)
static const us_opt opts[] = {
    {US_OPT_TEXT, 'o', "output", F(out), "", 0, 0, "FILE", "", NULL,
     "the picture: .html to look around in, .svg for a slide, .dot for graphviz"},
    {US_OPT_INT, 0, "columns", F(columns), "-1", -1, 64, "", "", NULL,
     "cut a tall drawing into columns; 0: as many as a slide shows largest; default: 0 for "
     ".svg, "
     "else 1"},
    {US_OPT_CHOICE, 0, "detail", F(detail), "auto", 0, 0, "", "auto|full|brief", NULL,
     "brief: operators only, without those that compute from constants alone; auto: brief for "
     ".svg "
     "of more than 100 nodes"},
    {US_OPT_BOOL, 0, "no-weights", F(no_weights), "false", 0, 0, "", "", NULL,
     "leave external weights unread, without their statistics"},
    {US_OPT_END}};
#undef F

typedef us_err printer(const us_view *v, us_buf *b);
static const struct {
    const char *ending;
    printer *print;
    uint32_t columns; /* unless said */
} forms[] = {{".html", us_view_html, 1}, {".svg", us_view_svg, 0}, {".dot", us_view_dot, 1}};

static us_err find_form(us_cli *cli, const char *path, printer **out, uint32_t *columns)
{
    if (!path[0])
        return us_fail(cli->c, US_ARG, "say where to: -o FILE.html, FILE.svg or FILE.dot");
    for (size_t i = 0; i < US_LEN(forms); i++)
        if (us_sv_ends(us_sv_of(path), forms[i].ending)) {
            *out = forms[i].print;
            *columns = forms[i].columns;
            return US_OK;
        }
    return us_fail(cli->c, US_ARG, "-o %s: the name must end in .html, .svg or .dot", path);
}

#define MANY 100 /* nodes of a picture that cannot be moved about in */

static bool brief(const char *detail, const us_model *m, const us_view_opts *o)
{
    size_t n = 0;
    for (size_t i = 0; i < m->graphs.n; i++)
        n += m->graphs.at[i]->order.n;
    return !strcmp(detail, "brief") || (!strcmp(detail, "auto") && o->columns != 1 && n > MANY);
}

static const char *base_name(const char *path)
{
    const char *name = path;
    for (const char *p = path; *p; p++)
        if (*p == '/' && p[1]) name = p + 1;
    return name;
}

static us_err answer(us_cli *cli, const char *path, const us_view *v, size_t n_bytes)
{
    char size[32];
    if (!cli->json) {
        us_outf(cli->out, "%s: %zu nodes, %s\n", path, us_view_n_nodes(v),
                us_print_bytes(n_bytes, size));
        return US_OK;
    }
    json_t *all =
        json_pack("{s:s, s:s, s:I, s:I}", "file", cli->args[0], "written", path, "nodes",
                  (json_int_t)us_view_n_nodes(v), "bytes", (json_int_t)n_bytes);
    US_TRY(us_json_keep(cli->c, cli->arena, all));
    return us_out_json(cli, all);
}

static us_err run(us_cli *cli, void *args)
{
    const view_args *a = args;
    us_onnx_opts o = {.descriptors_only = a->no_weights};
    us_view_opts vo = {.title = base_name(cli->args[0])};
    us_model *m = NULL;
    us_view *v = NULL;
    printer *print = NULL;
    us_buf b;
    us_err e;
    US_TRY(find_form(cli, a->out, &print, &vo.columns));
    us_buf_init(&b, cli->c, US_VIEW_MAX_BYTES);
    US_GO(us_onnx_read(cli->c, cli->args[0], &o, &m));
    vo.brief = brief(a->detail, m, &vo);
    if (a->columns >= 0) vo.columns = (uint32_t)a->columns;
    US_GO(us_view_new(cli->c, m, &vo, &v));
    US_GO(print(v, &b));
    US_GO(us_file_replace(cli->c, a->out, b.p, b.n));
    e = answer(cli, a->out, v, b.n);
out:
    us_buf_deinit(&b);
    us_view_free(v);
    us_model_free(m);
    return e;
}

const us_cmd us_cmd_view = {"view",
                            "MODEL.onnx",
                            "a picture of a model: HTML, SVG or DOT",
                            0,
                            1,
                            1,
                            opts,
                            sizeof(view_args),
                            run};
