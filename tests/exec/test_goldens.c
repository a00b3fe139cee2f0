/* Real models of the corpus: what ONNX Runtime gave for seeded inputs, we give too. Models with operators this build
 * lacks are reported with the reason; every model must at least load.
 *
 * The measure is the largest absolute difference over the largest absolute value wanted. Float models: 1e-4 (sums of thousands of
 * products in another order, in float32). Quantised models: 0.05, because a value next to a rounding border may land on
 * the other side, and the step is then visible in the output. */
#include "exec_fixture.h"

#include <fts.h>

#include "base/file.h"
#include "onnx/onnx.h"
#include "tensor/npy.h"

#define TOL_FLOAT 1e-4
#define TOL_QUANT 0.05

/* The names listed under `key` of golden.json, in order; the files are numbered in the same order. */
static size_t names_of(const char *json, const char *key, const char *end_key,
                       char names[][128], size_t max)
{
    const char *at = strstr(json, key),
               *end = end_key ? strstr(json, end_key) : json + strlen(json);
    size_t n = 0;
    while (at && end && n < max && (at = strstr(at, "\"name\": \"")) != NULL && at < end) {
        at += strlen("\"name\": \"");
        const char *q = strchr(at, '"');
        snprintf(names[n++], 128, "%.*s", (int)(q - at), at);
        at = q;
    }
    return n;
}

/* Largest difference as a share of the output's largest magnitude, but of 0.01 at least: the goldens come from
 * ONNX Runtime, whose logistic is off by up to 2e-7 near zero (it gives 0 for 8.7e-15), and detectors' scores live
 * there (yunet's obj_8 has no score over 4.3e-5). */
static double difference(const us_tensor *got, const us_tensor *want)
{
    double worst = 0, scale = 0.01;
    int64_t n = us_tensor_count(want);
    for (int64_t i = 0; i < n; i++) {
        double g = us_tensor_f64_at(got, i), w = us_tensor_f64_at(want, i);
        if (isnan(g) && isnan(w)) continue;
        if (isnan(g) != isnan(w)) return (double)INFINITY;
        if (isinf(w) && g == w) continue;
        worst = fmax(worst, fabs(g - w));
        scale = fmax(scale, fabs(w));
    }
    return worst / scale;
}

typedef struct tally {
    int n_models, n_match, n_differ, n_unsupported, n_broken, n_plain;
} tally;

static bool quantised(const us_model *m)
{
    const us_graph *g = m->main;
    for (size_t i = 0; i < g->nodes.n; i++)
        if (us_sv_is(g->nodes.at[i].op_type, "QuantizeLinear") ||
            us_sv_starts(g->nodes.at[i].op_type, "QLinear") ||
            us_sv_is(g->nodes.at[i].op_type, "DynamicQuantizeLinear"))
            return true;
    return false;
}

static us_err read_inputs(fixture *f, const char *dir, char names[][128], size_t n,
                          us_value *in)
{
    for (size_t i = 0; i < us_plan_n_inputs(f->plan); i++) {
        size_t k = 0;
        while (k < n && !us_sv_is(us_plan_input_name(f->plan, i), names[k]))
            k++;
        if (k == n) return us_fail(&f->c, US_ARG, "no golden input for one of the inputs");
        char path[1200];
        us_tensor t;
        snprintf(path, sizeof path, "%s/input_%zu.npy", dir, k);
        US_TRY(us_npy_read(&f->c, f->a, path, &t));
        in[i] = us_value_of(&t);
    }
    return US_OK;
}

static us_err run_golden(fixture *f, const char *dir, const char *json, double *worst)
{
    static char in_names[64][128], out_names[64][128];
    size_t n_in = names_of(json, "\"inputs\"", "\"outputs\"", in_names, 64);
    size_t n_out = names_of(json, "\"outputs\"", NULL, out_names, 64);
    us_value in[64], out[64];
    if (us_plan_n_inputs(f->plan) > 64 || us_plan_n_outputs(f->plan) > 64)
        return us_fail(&f->c, US_UNSUPP, "more than 64 inputs or outputs");
    US_TRY(read_inputs(f, dir, in_names, n_in, in));
    US_TRY(us_session_run(&f->c, f->s, in, out));
    *worst = 0;
    for (size_t k = 0; k < n_out; k++) {
        size_t i = 0;
        while (i < us_plan_n_outputs(f->plan) &&
               !us_sv_is(us_plan_output_name(f->plan, i), out_names[k]))
            i++;
        char path[1200];
        us_tensor want;
        snprintf(path, sizeof path, "%s/output_%zu.npy", dir, k);
        if (i == us_plan_n_outputs(f->plan) || !us_path_exists(path)) continue;
        US_TRY(us_npy_read(&f->c, f->a, path, &want));
        if (out[i].kind != US_KIND_TENSOR || !us_tensor_same_dims(&out[i].t, &want))
            return us_fail(&f->c, US_SHAPE, "output '%s' has other dims than the golden one",
                           out_names[k]);
        *worst = fmax(*worst, difference(&out[i].t, &want));
    }
    return US_OK;
}

static void one_model(const char *path, const char *short_name, tally *t)
{
    fixture f;
    fixture_begin(&f);
    us_model *m;
    char dir[1100];
    t->n_models++;
    us_err e = us_onnx_read(&f.c, path, NULL, &m);
    if (e != US_OK) {
        printf("# %-55s BROKEN does not load: %s\n", short_name, f.c.diag.text);
        t->n_broken++;
        fixture_end(&f);
        return;
    }
    double tol = quantised(m) ? TOL_QUANT : TOL_FLOAT, worst = 0;
    e = us_plan_new(&f.c, m, NULL, &f.plan);
    if (e != US_OK) us_model_free(m);
    snprintf(dir, sizeof dir, "%.*s.golden", (int)(strlen(path) - strlen(".onnx")), path);
    if (e == US_OK && us_path_exists(dir)) {
        us_buf json;
        char file[1200];
        snprintf(file, sizeof file, "%s/golden.json", dir);
        us_buf_init(&json, &f.c, (size_t)1 << 20);
        e = us_session_new(&f.c, f.plan, NULL, &f.s);
        if (e == US_OK) e = us_file_read(&f.c, file, &json);
        if (e == US_OK) e = run_golden(&f, dir, json.p, &worst);
        us_buf_deinit(&json);
        if (e == US_OK) {
            bool ok = worst <= tol;
            printf("# %-55s %s %.2e\n", short_name, ok ? "same" : "DIFFERS", worst);
            t->n_match += ok;
            t->n_differ += !ok;
            fixture_end(&f);
            return;
        }
    } else if (e == US_OK) {
        printf("# %-55s plans (no golden)\n", short_name);
        t->n_plain++;
        fixture_end(&f);
        return;
    }
    printf("# %-55s %s %s: %s\n", short_name, e == US_UNSUPP ? "unsupported" : "BROKEN",
           us_err_name(e), f.c.diag.text);
    t->n_unsupported += e == US_UNSUPP;
    t->n_broken += e != US_UNSUPP;
    fixture_end(&f);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void test_goldens__corpus_models(void)
{
    char root[1024];
    if (!us_test_corpus(root, sizeof root, "models")) US_SKIP("no corpus");
    char *roots[] = {root, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    CHECK(fts != NULL);
    tally t = {0};
    for (FTSENT *e; (e = fts_read(fts)) != NULL;) {
        size_t n = strlen(e->fts_path);
        if (e->fts_info != FTS_F || n < 5 || strcmp(e->fts_path + n - 5, ".onnx") != 0)
            continue;
        if (strstr(e->fts_path, "test_data_set")) continue;
        one_model(e->fts_path, e->fts_path + strlen(root) + 1, &t);
    }
    fts_close(fts);
    printf("# %d models: %d same, %d plan, %d unsupported, %d differ, %d broken\n", t.n_models,
           t.n_match, t.n_plain, t.n_unsupported, t.n_differ, t.n_broken);
    CHECK(t.n_models > 0);
    CHECK_EQ_I64(t.n_differ, 0);
    CHECK_EQ_I64(t.n_broken, 0);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {US_CASE(test_goldens__corpus_models)};
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
