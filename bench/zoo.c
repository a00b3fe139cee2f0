/* bench/zoo.c - writes the networks of bench/zoo.h as ONNX files, by our own graph and writer.
 *
 *     bench_zoo DIR
 *
 * DIR/NAME.onnx per row of the table below, and for those marked DIR/NAME_qdq.onnx, their int8 form: ranges of all tensors from a run on
 * numbers in [0, 1). A row with sizes gets DIR/NAME.golden/ with inputs of these sizes, as the corpus has them. The same bytes on
 * every machine but for the ranges, which are sums of floats.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "exec/session.h"
#include "onnx/onnx.h"
#include "tensor/npy.h"
#include "zoo.h"

typedef struct zoo_row {
    const char *name;
    zoo_maker *make;
    int opset;
    bool int8;
    int64_t rows, seq; /* sizes of whole-number inputs that the file leaves open; 0: none */
} zoo_row;

/* clang-format off */
static const zoo_row rows[] = {
    {"bert_mini",          zoo_bert_mini,          14, false, 0, 0},
    {"convtranspose_unet", zoo_convtranspose_unet, 17, false, 0, 0},
    {"densenet_40",        zoo_densenet,           17, false, 0, 0},
    {"efficientnet_b0",    zoo_efficientnet_b0,    17, false, 0, 0},
    {"gru_2x128",          zoo_gru,                17, false, 0, 0},
    {"hardswish_paddle",   zoo_hardswish_paddle,   13, false, 0, 0},
    {"hardswish_v3",       zoo_hardswish_v3,       17, false, 0, 0},
    {"kws",                zoo_kws,                17, true,  0, 0},
    {"linear_20",          zoo_linear,             17, false, 0, 0},
    {"lstm_2x128",         zoo_lstm,               17, false, 0, 0},
    {"minilm_6x384",       zoo_minilm,             14, false, 1, 128},
    {"mlp_20",             zoo_mlp,                17, false, 0, 0},
    {"mobilenet_v2",       zoo_mobilenet_v2,       17, true,  0, 0},
    {"prelu_segment",      zoo_prelu_segment,      17, false, 0, 0},
    {"resize_pyramid",     zoo_resize_pyramid,     17, false, 0, 0},
    {"resnet18",           zoo_resnet18,           17, true,  0, 0},
    {"resnet50",           zoo_resnet50,           17, false, 0, 0},
    {"resnext26",          zoo_resnext,            17, true,  0, 0},
    {"shufflenet_v2",      zoo_shufflenet,         17, false, 0, 0},
    {"squeezenet1_1",      zoo_squeezenet,         17, true,  0, 0},
    {"tcn_8x64",           zoo_tcn,                17, false, 0, 0},
    {"trees_100x6",        zoo_trees,              17, false, 0, 0},
    {"vit_tiny",           zoo_vit,                17, false, 0, 0},
};
/* clang-format on */

/* --- making --------------------------------------------------------------------------------------------- */

static us_err make(us_ctx *c, const zoo_row *r, zoo_form form, zoo_net *n)
{
    n->c = c;
    n->form = form;
    n->n_weights = n->n_points = n->n_pairs = 0;
    US_TRY(us_model_new(c, &n->m));
    US_TRY(us_model_set_opset(c, n->m, US_SV(""), r->opset));
    if (r->make == zoo_trees) US_TRY(us_model_set_opset(c, n->m, US_SV("ai.onnx.ml"), 3));
    n->b = us_b_begin(c, n->m->main, "v");
    r->make(n);
    return us_b_end(&n->b);
}

static us_err save(us_ctx *c, zoo_net *n, const char *dir, const char *name, const char *tail)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s%s.onnx", dir, name, tail);
    us_err e = us_onnx_write(c, n->m, path, 0);
    us_model_free(n->m);
    return e;
}

/* --- ranges --------------------------------------------------------------------------------------------- */

static us_err random_input(us_ctx *c, us_arena *a, const us_plan *p, us_value *in)
{
    const us_type *t = us_plan_input_type(p, 0);
    int64_t dims[US_MAX_RANK];
    for (int i = 0; i < t->rank; i++)
        dims[i] = us_dim_known(t->dims[i]) ? t->dims[i].add : 1;
    *in = (us_value){.kind = US_KIND_TENSOR};
    US_TRY(us_tensor_new(c, a, US_F32, t->rank, dims, &in->t));
    us_rng r = us_rng_new(2, "zoo-input", 0);
    for (int64_t i = 0; i < us_tensor_count(&in->t); i++)
        ((float *)in->t.data)[i] = us_rng_f32(&r);
    return US_OK;
}

static zoo_range range_of(const us_tensor *t)
{
    const float *p = t->data;
    zoo_range r = {0, 0};
    for (int64_t i = 0; i < us_tensor_count(t); i++) {
        r.lo = fminf(r.lo, p[i]);
        r.hi = fmaxf(r.hi, p[i]);
    }
    return r;
}

/* Runs the model with all points as further outputs. Takes the model over. */
static us_err find_ranges(us_ctx *c, zoo_net *n)
{
    us_plan *p;
    us_session *s;
    us_arena *a;
    us_value in, out[1 + ZOO_MAX_POINTS];
    us_plan_opts opts = {.n_extra = n->n_points, .extra = n->points};
    US_TRY(us_arena_new(c, "ranges", (size_t)1 << 30, &a));
    US_TRY(us_plan_new(c, n->m, &opts, &p));
    US_TRY(us_session_new(c, p, NULL, &s));
    US_TRY(random_input(c, a, p, &in));
    US_TRY(us_session_run(c, s, &in, out));
    for (size_t i = 0; i < n->n_points; i++)
        n->ranges[i] = range_of(&out[us_plan_n_outputs(p) - n->n_points + i].t);
    us_session_free(s);
    us_plan_free(p);
    us_arena_free(a);
    return US_OK;
}

/* --- inputs of open sizes -------------------------------------------------------------------------------- */

/* Whole numbers 0 and 1 for every input: right as words, masks and kinds of tokens. */
static us_err save_inputs(us_ctx *c, const zoo_net *n, const zoo_row *r, const char *dir)
{
    char path[1024];
    us_buf text;
    us_tensor t;
    us_arena *a;
    us_rng rng = us_rng_new(3, "zoo-input", 0);
    US_TRY(us_arena_new(c, "inputs", (size_t)1 << 24, &a));
    us_buf_init(&text, c, (size_t)1 << 16);
    (void)snprintf(path, sizeof path, "%s/%s.golden", dir, r->name);
    US_TRY(us_mkdirs(c, path));
    us_buf_adds(&text, "{\"inputs\": [");
    for (size_t i = 0; i < n->m->main->inputs.n; i++) {
        us_sv name = n->m->main->vals.at[n->m->main->inputs.at[i]].name;
        US_TRY(us_tensor_new(c, a, US_I64, 2, (int64_t[]){r->rows, r->seq}, &t));
        for (int64_t k = 0; k < r->rows * r->seq; k++)
            ((int64_t *)t.data)[k] =
                i == 0 ? (int64_t)us_rng_below(&rng, 2) : (int64_t)(i == 1);
        (void)snprintf(path, sizeof path, "%s/%s.golden/input_%zu.npy", dir, r->name, i);
        US_TRY(us_npy_write(c, path, &t));
        us_buf_addf(&text, "%s{\"name\": \"%.*s\", \"file\": \"input_%zu\"}", i ? ", " : "",
                    US_SV_ARG(name), i);
    }
    us_buf_adds(&text, "], \"outputs\": []}\n");
    (void)snprintf(path, sizeof path, "%s/%s.golden/golden.json", dir, r->name);
    US_TRY(us_file_replace(c, path, us_buf_sv(&text).p, us_buf_sv(&text).n));
    us_buf_deinit(&text);
    us_arena_free(a);
    return US_OK;
}

/* --- main -------------------------------------------------------------------------------------------------- */

static us_err write_row(us_ctx *c, const zoo_row *r, const char *dir)
{
    static zoo_net n;
    US_TRY(make(c, r, ZOO_FLOAT, &n));
    if (r->seq) US_TRY(save_inputs(c, &n, r, dir));
    US_TRY(save(c, &n, dir, r->name, ""));
    if (!r->int8) return US_OK;
    US_TRY(make(c, r, ZOO_RANGES, &n));
    US_TRY(find_ranges(c, &n));
    US_TRY(make(c, r, ZOO_QDQ, &n));
    return save(c, &n, dir, r->name, "_qdq");
}

int main(int argc, char **argv)
{
    static const char usage[] = "usage: bench_zoo DIR\n\nWrites the networks that are timed "
                                "into the folder DIR, which it makes.\n";
    us_ctx c;
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc != 2 || argv[1][0] == '-') {
        if (argc == 2) (void)fprintf(stderr, "bench_zoo: unknown option '%s'\n", argv[1]);
        (void)fputs(usage, stderr);
        return 2;
    }
    us_ctx_init(&c);
    us_err e = us_mkdirs(&c, argv[1]);
    for (size_t i = 0; e == US_OK && i < sizeof rows / sizeof *rows; i++)
        if ((e = write_row(&c, &rows[i], argv[1])) != US_OK)
            (void)fprintf(stderr, "bench_zoo: %s: %s\n", rows[i].name, c.diag.text);
    us_ctx_deinit(&c);
    return e == US_OK ? 0 : 1;
}
