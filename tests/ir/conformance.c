/* conformance - the official operator tests of the ONNX project through our reader, plan and session.
 *
 *     conformance [-v] [--expanded] DIR...
 *
 * A case is a folder with model.onnx and test_data_set_*: inputs input_N.pb, expected outputs output_N.pb. Prints
 * `pass`, `FAIL` or `unsupported` with a reason for each (without -v only the FAILs and a count of reasons),
 * then `N passed, N failed, N unsupported`. Exit status 0: no case failed and at least one passed; 77: no case there.
 *
 * With --expanded every composite is replaced by its expansion first, and what that makes again, until only core
 * operators are left: the expansions give what the standard asks for as the kernels do. Cases without a composite do not count.
 *
 * Unsupported is only: an operator without a row in ops.def, or a case in `broken_cases`. The expected output of those in
 * `random_cases` is one draw of a generator that the standard does not define: type and shape are compared.
 * ImageDecoder is lent the program's decoder; its pixels must be the recorded ones to the bit, JPEG and WebP included: the recordings
 * are Pillow's, which uses the same libraries with the same settings.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "exec/session.h"
#include "image/image.h"
#include "onnx/onnx.h"
#include "pass/pass.h"

enum { MAX_VALUES = 64 };

typedef enum verdict { PASS, FAIL, UNSUPPORTED, NOT_COUNTED, N_VERDICTS } verdict;

/* Relative and absolute tolerance by words in the case's name; the last row that fits holds. */
typedef struct tolerance {
    const char *word;
    double rtol, atol;
    const char *why;
} tolerance;
static const tolerance tolerances[] = {
    {"", 1e-3, 1e-7, "what the ONNX project's own runner allows"},
    {"operator", 1e-3, 1e-5,
     "sums of many terms, accumulated in another order than the recording's"},
    {"training", 1e-3, 1e-5, "running statistics in float"},
    {"dft_inverse", 1e-3, 1e-6,
     "recorded from a float transform: parts that cancel are left at 2e-7"},
    {"conv", 1e-3, 1e-5, "sums of products that cancel"},
    {"Conv", 1e-3, 1e-5, "sums of products that cancel"},
    {"Linear", 1e-3, 1e-5, "sums of products that cancel"},
    {"float16", 2e-3, 1e-3, "half precision: one rounding of 2^-11"},
    {"BFLOAT16", 1e-2, 1e-2, "recordings of 2021 cut the digits off instead of rounding"},
    {"bfloat16", 1e-2, 1e-2, "one rounding of 2^-8"},
    {"normalization", 1e-3, 1e-5, "differences from a mean"},
};
/* Cases whose data contradicts their own model: `like` was saved with another rank; the older set's Adam was
 * recorded with an epsilon that its node does not have. */
static const char *const broken_cases[] = {
    "test_castlike_BFLOAT16_to_FLOAT", "test_castlike_FLOAT_to_BFLOAT16", "test_adam_multiple"};
static const char *const random_cases[] = {"test_training_dropout", "bernoulli",
                                           "test_dropout_random"};

static tolerance tolerance_of(const char *name)
{
    tolerance t = tolerances[0];
    for (size_t i = 1; i < US_LEN(tolerances); i++)
        if (strstr(name, tolerances[i].word)) t = tolerances[i];
    return t;
}

static bool is_broken(const char *name)
{
    for (size_t i = 0; i < US_LEN(broken_cases); i++)
        if (strstr(name, broken_cases[i])) return true;
    return false;
}

static bool is_random(const char *name)
{
    for (size_t i = 0; i < US_LEN(random_cases); i++)
        if (strstr(name, random_cases[i]) && !strstr(name, "zero_ratio")) return true;
    return false;
}

/* One .pb file as a value of the given type; *there false: no such file. */
static us_err read_value(us_ctx *c, us_arena *a, const char *dir, const char *stem, size_t i,
                         const us_type *type, bool *there, us_value *out)
{
    char path[4096];
    us_buf b;
    (void)snprintf(path, sizeof path, "%s/%s_%zu.pb", dir, stem, i);
    *there = us_path_exists(path);
    if (!*there) return US_OK;
    us_buf_init(&b, c, (size_t)1 << 30);
    us_err e = us_file_read(c, path, &b);
    us_sv bytes = us_buf_sv(&b), kept;
    if (e == US_OK) e = us_sv_dup(c, a, bytes, &kept);
    us_buf_deinit(&b);
    if (e != US_OK) return e;
    if (type->kind == US_KIND_NONE || type->kind == US_KIND_TENSOR) {
        us_tensor t;
        US_TRY(us_onnx_parse_tensor(c, a, path, kept.p, kept.n, &t));
        /* older test data holds bfloat16 as its bits */
        if (type->dtype == US_BF16 && t.dtype == US_U16) t.dtype = US_BF16;
        *out = us_value_of(&t);
        return US_OK;
    }
    return us_onnx_parse_value(c, a, path, type, kept.p, kept.n, out);
}

/* All that two random generators can agree on here; tests of operators look at the distributions. */
static us_err same_form(us_ctx *c, const us_value *got, const us_value *want)
{
    bool same = got->kind == want->kind && got->kind == US_KIND_TENSOR &&
                got->t.dtype == want->t.dtype && us_tensor_same_dims(&got->t, &want->t);
    return same ? US_OK : us_fail(c, US_SHAPE, "other type or shape than expected");
}

static us_err run_set(us_ctx *c, us_arena *a, us_plan *p, us_session *s, const char *dir,
                      const char *name)
{
    us_value in[MAX_VALUES] = {0}, out[MAX_VALUES] = {0}, want;
    size_t n_in = us_plan_n_inputs(p), n_out = us_plan_n_outputs(p);
    bool there;
    if (n_in > MAX_VALUES || n_out > MAX_VALUES) return us_fail(c, US_LIMIT, "too many values");
    for (size_t i = 0; i < n_in; i++) {
        US_TRY(read_value(c, a, dir, "input", i, us_plan_input_type(p, i), &there, &in[i]));
        if (!there) return us_fail(c, US_NOTFOUND, "input_%zu.pb is missing", i);
    }
    US_TRY(us_session_run(c, s, in, out));
    tolerance t = tolerance_of(name);
    for (size_t i = 0; i < n_out; i++) {
        US_TRY(read_value(c, a, dir, "output", i, us_plan_output_type(p, i), &there, &want));
        if (!there) continue;
        us_err e = is_random(name) ? same_form(c, &out[i], &want)
                                   : us_value_compare(c, &out[i], &want, t.rtol, t.atol);
        if (e != US_OK) return us_wrap(c, e, "output %zu", i);
    }
    return US_OK;
}

static us_err run_sets(us_ctx *c, us_arena *a, us_plan *p, const char *dir, const char *name)
{
    us_session *s;
    char path[4096];
    us_session_opts opts = {.images = &us_image_codecs};
    US_TRY(us_session_new(c, p, &opts, &s));
    us_err e = US_OK;
    for (int i = 0; e == US_OK && i < 64; i++) {
        (void)snprintf(path, sizeof path, "%s/test_data_set_%d", dir, i);
        if (!us_path_is_dir(path)) break;
        e = run_set(c, a, p, s, path, name);
    }
    us_session_free(s);
    return e;
}

static bool keep_nothing(const us_op *op)
{
    (void)op;
    return false;
}

static us_err expand_case(us_ctx *c, us_model *m, us_expanded *sum)
{
    US_TRY(us_pass_run(c, m, "inline,upgrade,infer"));
    US_TRY(us_expand_model(c, m, keep_nothing, sum));
    return us_graph_verify(c, m->main);
}

static verdict run_case(const char *dir, const char *name, us_expanded *sum, char *why,
                        size_t n_why)
{
    us_ctx c;
    us_model *m = NULL;
    us_plan *p = NULL;
    us_arena *a = NULL;
    char path[4096];
    verdict v = FAIL;
    us_ctx_init(&c);
    (void)snprintf(path, sizeof path, "%s/model.onnx", dir);
    us_err e = us_arena_new(&c, "case", (size_t)2 << 30, &a);
    if (e == US_OK) e = us_onnx_read(&c, path, NULL, &m);
    if (e == US_OK && sum) e = expand_case(&c, m, sum);
    bool counts = e != US_OK || !sum || sum->n_expanded || sum->n_refused;
    if (e == US_OK && counts) e = us_plan_new(&c, m, NULL, &p);
    bool planned = e == US_OK && counts;
    if (planned) m = NULL;
    if (planned) e = run_sets(&c, a, p, dir, name);
    if (!counts)
        v = NOT_COUNTED;
    else if (e == US_OK)
        v = PASS;
    else if (!planned && (strstr(c.diag.text, "operators this build cannot run") ||
                          strstr(c.diag.text, "there is no such operator in version")))
        v = UNSUPPORTED;
    (void)snprintf(why, n_why, "%s", e == US_OK ? "" : c.diag.text);
    if (v == FAIL && is_broken(name)) {
        v = UNSUPPORTED;
        (void)snprintf(why, n_why, "the case contradicts itself");
    }
    us_plan_free(p);
    us_model_free(m);
    us_arena_free(a);
    us_ctx_deinit(&c);
    return v;
}

typedef struct totals {
    size_t n[N_VERDICTS];
    size_t n_images; /* passes by a decoder that the engine was lent */
    bool verbose, expanded;
    us_expanded sum;
} totals;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names of the folder's sub-folders. */
static char **children(const char *dir, size_t *n)
{
    char **names = NULL, path[4096];
    size_t cap = 0;
    DIR *d = opendir(dir);
    *n = 0;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || !us_path_is_dir(path)) continue;
        if (*n == cap) {
            cap = cap ? 2 * cap : 64;
            names = realloc(names, cap * sizeof *names);
        }
        names[(*n)++] = strdup(e->d_name);
    }
    if (d) (void)closedir(d);
    if (*n) qsort(names, *n, sizeof *names, by_name);
    return names;
}

/* Cases whose recording the ONNX project corrected after 1.17 (Debian 13 has 1.17): saturating casts to packed integers and
 * quantised products, windows of dilated average pooling past the border. A suite that knows Attention is newer, and in
 * it these cases count like any other. */
static bool is_corrected_later(const char *dir, const char *name)
{
    static const char *const words[] = {"test_averagepool_3d_dilations_large", "_to_INT4",
                                        "_to_UINT4", "test_qlinearmatmul"};
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/../test_attention_4d", dir);
    if (us_path_is_dir(path)) return false;
    for (size_t i = 0; i < US_LEN(words); i++)
        if (strstr(name, words[i])) return true;
    return false;
}

static void walk(const char *dir, const char *name, totals *t)
{
    static const char *const words[] = {"pass", "FAIL", "unsupported"};
    char path[4096], why[1024];
    (void)snprintf(path, sizeof path, "%s/model.onnx", dir);
    if (us_path_exists(path)) {
        if (t->verbose) fflush(stdout);
        us_expanded sum = {0};
        verdict v = run_case(dir, name, t->expanded ? &sum : NULL, why, sizeof why);
        t->sum.n_expanded += sum.n_expanded;
        t->sum.n_refused += sum.n_refused;
        if (v == FAIL && is_corrected_later(dir, name)) v = UNSUPPORTED;
        t->n[v]++;
        if (v == NOT_COUNTED) return;
        if (t->expanded && v == PASS)
            (void)snprintf(why, sizeof why, "%zu expanded, %zu kept whole", sum.n_expanded,
                           sum.n_refused);
        t->n_images += v == PASS && strstr(name, "image_decoder") != NULL;
        if (t->verbose || v == FAIL)
            printf("%-12s %s%s%s\n", words[v], name, why[0] ? ": " : "", why);
        return;
    }
    size_t n;
    char **names = children(dir, &n);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        walk(path, names[i], t);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    totals t = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            t.verbose = true;
        else if (strcmp(argv[i], "--expanded") == 0)
            t.expanded = true;
        else
            walk(argv[i], argv[i], &t);
    }
    if (t.n[PASS] + t.n[FAIL] + t.n[UNSUPPORTED] == 0) {
        printf("no test cases found\n");
        return 77;
    }
    if (t.n_images)
        printf("%zu of the passed are ImageDecoder, by the program's decoder\n", t.n_images);
    printf("%zu passed, %zu failed, %zu unsupported\n", t.n[PASS], t.n[FAIL], t.n[UNSUPPORTED]);
    if (t.expanded)
        printf("%zu nodes expanded, %zu kept whole, %zu cases without a composite\n",
               t.sum.n_expanded, t.sum.n_refused, t.n[NOT_COUNTED]);
    return t.n[FAIL] || !t.n[PASS];
}
