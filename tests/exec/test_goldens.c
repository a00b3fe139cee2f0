/* Every model of the corpus: it loads, checks, prints as text that reads back the same, runs, and gives what is recorded.
 *
 * Recorded are: NAME.golden (ONNX Runtime 1.20.1, graph optimisation off), NAME/test_data_set_* (what came with the model), and
 * in `tiny` NAME.in.bin and NAME.out.bin (an independent executor). A model without any is run on made inputs; `make e2e-models`
 * compares those with ONNX Runtime.
 *
 * The measure is the largest absolute difference over the largest absolute value wanted. What may differ follows from the operators
 * of the model: the largest allowance of the rows below that name one of them. */
#include "exec_fixture.h"

#include <fts.h>

#include "base/file.h"
#include "onnx/onnx.h"
#include "tensor/npy.h"

enum { MAX_ENDS = 64, MAX_SETS = 16 };

/* --- tolerances --------------------------------------------------------------------------------------- */

typedef struct allowance {
    const char *start; /* of the operator's name */
    double tol;
    const char *why;
} allowance;

static const allowance allowances[] = {
    {"", 1e-6, "elements moved, compared, or rounded once or twice to float"},
    {"TreeEnsemble", 2e-6, "a sum of up to a hundred leaves, in another order"},
    {"Softmax", 1e-5,
     "a quotient by a sum of exponentials, each right to 2 units of the last place"},
    {"Sigmoid", 1e-5, "ONNX Runtime's own is a polynomial, off by up to 2e-7 near zero"},
    {"Tanh", 1e-5, "the same"},
    {"Erf", 1e-5, "the same"},
    {"Linear", 1e-5, "one sum of some hundred products in another order"},
    {"Gemm", 1e-5, "sums of up to a thousand products in another order"},
    {"MatMul", 1e-5, "the same"},
    {"Log", 2e-5,
     "where its argument is near 1 it magnifies what was lost in the sum before it"},
    {"LSTM", 1e-5, "products and logistics, fed back"},
    {"GRU", 1e-5, "the same"},
    {"Conv", 1e-4,
     "sums of up to thousands of products in another order, through dozens of layers"},
    {"InstanceNormalization", 1e-4, "a quotient by a deviation that may be small"},
    {"QuantizeLinear", 0.05,
     "a value beside a rounding border may fall on the other side: one step of 8 bits (0.01 of "
     "the output), seen by every "
     "later layer; ONNX Runtime's own optimisation levels differ by 0.04 on mobilenetv2"},
    {"DynamicQuantizeLinear", 0.05, "the same"},
    {"QLinear", 0.01,
     "whole numbers are exact; one step of 8 bits where a product is rescaled in float"},
    {"QAttention", 1e-5, "whole numbers are exact; Softmax between two products is float"},
};

static const allowance *allowance_of(const us_model *m)
{
    const allowance *most = &allowances[0];
    const us_graph *g = m->main;
    for (size_t i = 0; i < g->nodes.n; i++)
        for (size_t k = 0; k < US_LEN(allowances); k++)
            if (us_sv_starts(g->nodes.at[i].op_type, allowances[k].start) &&
                allowances[k].tol > most->tol)
                most = &allowances[k];
    return most;
}

/* Largest difference as a share of the output's largest magnitude, but of 0.01 at least: detectors' scores may all be tiny (yunet's
 * obj_8 has none over 4.3e-5), and there ONNX Runtime's logistic is off by 2e-7 itself. */
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

/* --- one model ------------------------------------------------------------------------------------------ */

typedef enum verdict { SAME, DIFFERS, RUNS, UNSUPPORTED, BROKEN, N_VERDICTS } verdict;
static const char *const verdict_words[] = {"same", "DIFFERS", "runs", "unsupported", "BROKEN"};

typedef struct one {
    fixture f;
    const char *path;
    size_t stem; /* of path, without .onnx */
    us_value in[MAX_ENDS], out[MAX_ENDS];
    double worst;
    size_t n_sets;     /* recorded runs compared */
    uint64_t n_allocs; /* of the third run on the same inputs */
} one;

static us_err compare(one *o, size_t i, const us_tensor *want, const char *file)
{
    const us_value *got = &o->out[i];
    if (got->kind != US_KIND_TENSOR || got->t.dtype != want->dtype ||
        !us_tensor_same_dims(&got->t, want)) {
        char a[160], b[160];
        return us_fail(&o->f.c, US_SHAPE, "%s: recorded are %s%s, found %s%s", file,
                       us_dtype_get(want->dtype)->name,
                       us_dims_print(want->rank, want->dims, a, sizeof a),
                       us_dtype_get(got->t.dtype)->name,
                       us_dims_print(got->t.rank, got->t.dims, b, sizeof b));
    }
    o->worst = fmax(o->worst, difference(&got->t, want));
    return US_OK;
}

/* print(parse(print(m))) is print(m); constants in full. */
static us_err round_trip(one *o, const us_model *m)
{
    us_ctx *c = &o->f.c;
    us_buf a, b;
    us_model *back = NULL;
    us_buf_init(&a, c, (size_t)1 << 30);
    us_buf_init(&b, c, (size_t)1 << 30);
    us_model_print(c, m, SIZE_MAX, &a);
    us_err e = us_buf_check(&a);
    if (e == US_OK) e = us_model_parse(c, us_buf_sv(&a), &back);
    if (e == US_OK) us_model_print(c, back, SIZE_MAX, &b);
    if (e == US_OK) e = us_buf_check(&b);
    if (e == US_OK && (a.n != b.n || memcmp(a.p, b.p, a.n) != 0))
        e = us_fail(c, US_BUG, "the text form does not read back as it was");
    us_model_free(back);
    us_buf_deinit(&a);
    us_buf_deinit(&b);
    return e;
}

/* --- recorded by ONNX Runtime ---------------------------------------------------------------------------- */

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

static us_err golden_inputs(one *o, const char *dir, char names[][128], size_t n)
{
    us_plan *p = o->f.plan;
    for (size_t i = 0; i < us_plan_n_inputs(p); i++) {
        size_t k = 0;
        while (k < n && !us_sv_is(us_plan_input_name(p, i), names[k]))
            k++;
        if (k == n) return us_fail(&o->f.c, US_ARG, "no recorded input for one of the inputs");
        char path[1200];
        us_tensor t;
        snprintf(path, sizeof path, "%s/input_%zu.npy", dir, k);
        US_TRY(us_npy_read(&o->f.c, o->f.a, path, &t));
        o->in[i] = us_value_of(&t);
    }
    return US_OK;
}

static us_err golden_outputs(one *o, const char *dir, char names[][128], size_t n)
{
    us_plan *p = o->f.plan;
    for (size_t k = 0; k < n; k++) {
        size_t i = 0;
        while (i < us_plan_n_outputs(p) && !us_sv_is(us_plan_output_name(p, i), names[k]))
            i++;
        char path[1200];
        us_tensor want;
        snprintf(path, sizeof path, "%s/output_%zu.npy", dir, k);
        if (i == us_plan_n_outputs(p))
            return us_fail(&o->f.c, US_NOTFOUND, "no output '%s'", names[k]);
        US_TRY(us_npy_read(&o->f.c, o->f.a, path, &want));
        US_TRY(compare(o, i, &want, path));
    }
    return US_OK;
}

static us_err run_golden(one *o)
{
    static char in_names[MAX_ENDS][128], out_names[MAX_ENDS][128];
    char dir[1100], file[1200];
    us_buf json;
    snprintf(dir, sizeof dir, "%.*s.golden", (int)o->stem, o->path);
    if (!us_path_exists(dir)) return US_OK;
    snprintf(file, sizeof file, "%s/golden.json", dir);
    us_buf_init(&json, &o->f.c, (size_t)1 << 20);
    us_err e = us_file_read(&o->f.c, file, &json);
    size_t n_in = 0, n_out = 0;
    if (e == US_OK) {
        n_in = names_of(json.p, "\"inputs\"", "\"outputs\"", in_names, MAX_ENDS);
        n_out = names_of(json.p, "\"outputs\"", NULL, out_names, MAX_ENDS);
        e = golden_inputs(o, dir, in_names, n_in);
    }
    us_buf_deinit(&json);
    if (e == US_OK && n_out == 0) e = us_fail(&o->f.c, US_FORMAT, "%s lists no outputs", file);
    if (e == US_OK) e = us_session_run(&o->f.c, o->f.s, o->in, o->out);
    if (e == US_OK) e = golden_outputs(o, dir, out_names, n_out);
    if (e == US_OK) o->n_sets++;
    return e;
}

/* --- that came with the model, as TensorProto ---------------------------------------------------------------- */

static us_err read_pb(one *o, const char *path, us_tensor *out)
{
    us_buf b;
    us_sv kept;
    us_buf_init(&b, &o->f.c, (size_t)1 << 28);
    us_err e = us_file_read(&o->f.c, path, &b);
    if (e == US_OK) e = us_sv_dup(&o->f.c, o->f.a, us_buf_sv(&b), &kept);
    us_buf_deinit(&b);
    if (e != US_OK) return e;
    return us_onnx_parse_tensor(&o->f.c, o->f.a, path, kept.p, kept.n, out);
}

/* models/<kind>/NAME.onnx has its data in models/NAME/test_data_set_<i>. */
static us_err run_data_sets(one *o)
{
    char path[1300], name[256];
    const char *slash = o->path + o->stem;
    while (slash > o->path && slash[-1] != '/')
        slash--;
    snprintf(name, sizeof name, "%.*s", (int)(o->path + o->stem - slash), slash);
    for (int set = 0; set < MAX_SETS; set++) {
        char dir[1200];
        snprintf(dir, sizeof dir, "%.*s../%s/test_data_set_%d", (int)(slash - o->path), o->path,
                 name, set);
        if (!us_path_is_dir(dir)) break;
        for (size_t i = 0; i < us_plan_n_inputs(o->f.plan); i++) {
            us_tensor x;
            snprintf(path, sizeof path, "%s/input_%zu.pb", dir, i);
            US_TRY(read_pb(o, path, &x));
            o->in[i] = us_value_of(&x);
        }
        US_TRY(us_session_run(&o->f.c, o->f.s, o->in, o->out));
        for (size_t i = 0; i < us_plan_n_outputs(o->f.plan); i++) {
            us_tensor want;
            snprintf(path, sizeof path, "%s/output_%zu.pb", dir, i);
            US_TRY(read_pb(o, path, &want));
            US_TRY(compare(o, i, &want, path));
        }
        o->n_sets++;
    }
    return US_OK;
}

/* --- raw bytes beside the model (tiny) -------------------------------------------------------------------------- */

/* Dimensions the model leaves open are 1. */
static us_err read_bin(one *o, const char *path, const us_type *type, us_tensor *out)
{
    int64_t dims[US_MAX_RANK];
    us_buf b;
    us_buf_init(&b, &o->f.c, (size_t)1 << 28);
    for (int32_t d = 0; d < type->rank; d++)
        dims[d] = us_dim_known(type->dims[d]) ? type->dims[d].add : 1;
    us_err e = us_tensor_new(&o->f.c, o->f.a, type->dtype, type->rank, dims, out);
    if (e == US_OK) e = us_file_read(&o->f.c, path, &b);
    if (e == US_OK && b.n != us_tensor_bytes(out))
        e = us_fail(&o->f.c, US_SHAPE, "%s has %zu bytes, the model's type %zu", path, b.n,
                    us_tensor_bytes(out));
    if (e == US_OK) memcpy(out->data, b.p, b.n);
    us_buf_deinit(&b);
    return e;
}

static us_err run_bin(one *o)
{
    char path[1200];
    us_tensor x, want;
    snprintf(path, sizeof path, "%.*s.in.bin", (int)o->stem, o->path);
    if (!us_path_exists(path)) return US_OK;
    if (us_plan_n_inputs(o->f.plan) != 1 || us_plan_n_outputs(o->f.plan) != 1)
        return us_fail(&o->f.c, US_UNSUPP, "more than one input or output");
    US_TRY(read_bin(o, path, us_plan_input_type(o->f.plan, 0), &x));
    snprintf(path, sizeof path, "%.*s.out.bin", (int)o->stem, o->path);
    US_TRY(read_bin(o, path, us_plan_output_type(o->f.plan, 0), &want));
    o->in[0] = us_value_of(&x);
    US_TRY(us_session_run(&o->f.c, o->f.s, o->in, o->out));
    /* the type may be known by rank only: what was recorded is as long, and that is checked */
    if (o->out[0].kind == US_KIND_TENSOR &&
        us_tensor_count(&o->out[0].t) == us_tensor_count(&want))
        US_TRY(us_tensor_init(&o->f.c, &want, want.dtype, o->out[0].t.rank, o->out[0].t.dims,
                              want.data));
    US_TRY(compare(o, 0, &want, path));
    o->n_sets++;
    return US_OK;
}

/* --- made inputs --------------------------------------------------------------------------------------------------- */

static us_err made_tensor(one *o, us_rng *r, const us_type *type, us_tensor *out)
{
    int64_t dims[US_MAX_RANK];
    for (int32_t d = 0; d < type->rank; d++)
        dims[d] = us_dim_known(type->dims[d]) ? type->dims[d].add : 2;
    US_TRY(us_tensor_new(&o->f.c, o->f.a, type->dtype, US_MAX(type->rank, 0), dims, out));
    const us_dtype_info *d = us_dtype_get(type->dtype);
    if (!d->from_f64 || d->bits < 8)
        return us_fail(&o->f.c, US_UNSUPP, "an input of %s", d->name);
    for (int64_t i = 0; i < us_tensor_count(out); i++) {
        double v = us_rng_f64(r) * (d->cls == US_DC_FLOAT ? 1 : 10);
        d->from_f64((char *)out->data + i * (d->bits / 8), 0, 1, &v);
    }
    return US_OK;
}

/* A map of five keys to scalars, or a tensor. */
static us_err made_input(one *o, us_rng *r, const us_type *type, us_value *out)
{
    us_tensor t;
    if (type->kind == US_KIND_TENSOR) {
        US_TRY(made_tensor(o, r, type, &t));
        *out = us_value_of(&t);
        return US_OK;
    }
    if (type->kind != US_KIND_MAP || type->dtype != US_I64 || !type->elem)
        return us_fail(&o->f.c, US_UNSUPP, "an input that is no tensor and no map of integers");
    us_value v = {.kind = US_KIND_MAP, .n_items = 5};
    US_TRY(us_tensor_new(&o->f.c, o->f.a, US_I64, 1, (int64_t[]){5}, &v.t));
    v.items = us_new_n(o->f.a, us_value, v.n_items);
    if (!v.items) return us_arena_fail(&o->f.c, o->f.a);
    us_type scalar = *type->elem;
    scalar.rank = 0;
    for (int64_t i = 0; i < 5; i++) {
        ((int64_t *)v.t.data)[i] = 3 * i;
        US_TRY(made_tensor(o, r, &scalar, &t));
        v.items[i] = us_value_of(&t);
    }
    *out = v;
    return US_OK;
}

static us_err run_made(one *o)
{
    us_rng r = us_rng_new(1, "goldens", 0);
    for (size_t i = 0; i < us_plan_n_inputs(o->f.plan); i++)
        US_TRY(made_input(o, &r, us_plan_input_type(o->f.plan, i), &o->in[i]));
    US_TRY(us_session_run(&o->f.c, o->f.s, o->in, o->out));
    for (size_t i = 0; i < us_plan_n_outputs(o->f.plan); i++) {
        const us_tensor *y = &o->out[i].t;
        if (o->out[i].kind != US_KIND_TENSOR || y->dtype != US_F32) continue;
        for (int64_t k = 0; k < us_tensor_count(y); k++)
            if (!isfinite(us_tensor_f64_at(y, k)))
                return us_fail(&o->f.c, US_BUG, "output %zu is not finite", i);
    }
    return US_OK;
}

/* --- once more ------------------------------------------------------------------------------------------------------ */

static us_err same_bytes(one *o, const us_value *first, const us_value *again, const char *how)
{
    for (size_t i = 0; i < us_plan_n_outputs(o->f.plan); i++) {
        const us_value *a = &first[i], *b = &again[i];
        if (a->kind != US_KIND_TENSOR || a->t.dtype == US_STRING) continue;
        size_t n = us_tensor_bytes(&a->t);
        if (b->kind != US_KIND_TENSOR || us_tensor_bytes(&b->t) != n ||
            (n > 0 && memcmp(a->t.data, b->t.data, n) != 0))
            return us_fail(&o->f.c, US_BUG, "output %zu has other bytes %s", i, how);
    }
    return US_OK;
}

static us_err run_by_threads(one *o, const us_value *first)
{
    us_session *s = NULL;
    us_value out[MAX_ENDS];
    US_TRY(us_pool_new(&o->f.c, 2, &o->f.c.pool));
    us_err e = us_session_new(&o->f.c, o->f.plan, NULL, &s);
    if (e == US_OK) e = us_session_run(&o->f.c, s, o->in, out);
    if (e == US_OK) e = same_bytes(o, first, out, "at two threads");
    us_session_free(s);
    us_pool_free(o->f.c.pool);
    o->f.c.pool = NULL;
    return e;
}

/* The last run again: no memory is asked for, and the bytes are the same, at two threads too. */
static us_err run_again(one *o)
{
    us_value first[MAX_ENDS];
    for (size_t i = 0; i < us_plan_n_outputs(o->f.plan); i++)
        US_TRY(us_value_dup(&o->f.c, o->f.a, &o->out[i], &first[i]));
    US_TRY(us_session_run(&o->f.c, o->f.s, o->in,
                          o->out)); /* blocks have grown to what is wanted */
    uint64_t before = o->f.count.n_allocs;
    US_TRY(us_session_run(&o->f.c, o->f.s, o->in, o->out));
    o->n_allocs = o->f.count.n_allocs - before;
    US_TRY(same_bytes(o, first, o->out, "the third time"));
    return run_by_threads(o, first);
}

/* --- all models --------------------------------------------------------------------------------------------------- */

typedef struct tally {
    int n[N_VERDICTS], n_models, n_allocating;
} tally;

static us_err plan_and_run(one *o, us_model *m)
{
    us_err e = us_plan_new(&o->f.c, m, NULL, &o->f.plan);
    if (e != US_OK) {
        us_model_free(m);
        return e;
    }
    US_TRY(us_session_new(&o->f.c, o->f.plan, NULL, &o->f.s));
    if (us_plan_n_inputs(o->f.plan) > MAX_ENDS || us_plan_n_outputs(o->f.plan) > MAX_ENDS)
        return us_fail(&o->f.c, US_UNSUPP, "more than %d inputs or outputs", MAX_ENDS);
    US_TRY(run_golden(o));
    US_TRY(run_data_sets(o));
    US_TRY(run_bin(o));
    if (o->n_sets == 0) US_TRY(run_made(o));
    return run_again(o);
}

static void one_model(const char *path, const char *short_name, tally *t)
{
    static one o;
    us_model *m;
    memset(&o, 0, sizeof o);
    fixture_begin(&o.f);
    o.path = path;
    o.stem = strlen(path) - strlen(".onnx");
    t->n_models++;
    verdict v = BROKEN;
    double tol = 0;
    us_err e = us_onnx_read(&o.f.c, path, NULL, &m);
    if (e == US_OK) {
        tol = allowance_of(m)->tol;
        e = round_trip(&o, m);
        if (e == US_OK)
            e = plan_and_run(&o, m);
        else
            us_model_free(m);
        if (e == US_UNSUPP) v = UNSUPPORTED;
    }
    if (e == US_OK) v = o.n_sets == 0 ? RUNS : o.worst <= tol ? SAME : DIFFERS;
    t->n[v]++;
    t->n_allocating += o.n_allocs > 0;
    if (o.n_allocs > 0)
        printf("# %-58s asks for memory %llu times a run\n", short_name,
               (unsigned long long)o.n_allocs);
    if (o.n_sets)
        printf("# %-58s %-8s %.2e of %.0e, %zu recorded\n", short_name, verdict_words[v],
               o.worst, tol, o.n_sets);
    else
        printf("# %-58s %-8s %s\n", short_name, verdict_words[v],
               e == US_OK ? "on made inputs" : o.f.c.diag.text);
    fixture_end(&o.f);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static tally folder(const char *name)
{
    char root[1024];
    us_test_corpus(root, sizeof root, name);
    char *roots[] = {root, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    CHECK(fts != NULL);
    tally t = {0};
    for (FTSENT *e; (e = fts_read(fts)) != NULL;) {
        size_t n = strlen(e->fts_path);
        if (e->fts_info != FTS_F || n < 5 || strcmp(e->fts_path + n - 5, ".onnx") != 0)
            continue;
        one_model(e->fts_path, e->fts_path + strlen(root) + 1, &t);
    }
    fts_close(fts);
    printf("# %d models: %d same, %d run without a recording, %d unsupported, %d differ, %d "
           "broken\n",
           t.n_models, t.n[SAME], t.n[RUNS], t.n[UNSUPPORTED], t.n[DIFFERS], t.n[BROKEN]);
    CHECK_EQ_I64(t.n[DIFFERS], 0);
    CHECK_EQ_I64(t.n[BROKEN], 0);
    CHECK_EQ_I64(t.n_allocating, 0);
    CHECK_EQ_I64(t.n[UNSUPPORTED], 0);
    return t;
}

static void test_goldens__corpus_models(void)
{
    tally t = folder("models");
    CHECK(t.n[SAME] >= 29);
}

static void test_goldens__tiny_models(void)
{
    tally t = folder("tiny");
    CHECK_EQ_I64(t.n[SAME], t.n_models);
    CHECK(t.n_models >= 17);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {US_CASE(test_goldens__corpus_models),
                                         US_CASE(test_goldens__tiny_models)};
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
