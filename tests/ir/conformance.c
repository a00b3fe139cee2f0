/* conformance - the official operator tests of the ONNX project through our reader, plan and session.
 *
 *     conformance [-v] [--expanded] [--counts FILE] DIR...
 *
 * A case is a folder with model.onnx and test_data_set_*: inputs input_N.pb, expected outputs output_N.pb; or a file
 * light_NAME.onnx with light_NAME_output_N.pb, whose input is the numbers i/n. Prints each case that fails or is unsupported
 * with the reason (-v: all cases), for each folder of cases and for each DIR `N passed, N failed, N unsupported`, and that for all
 * at the end. Exit status 0: no case failed and at least one passed; 77: no case there.
 *
 * --counts writes a line for each operator that stands in a model, its functions and its sub-graphs: domain, name, and how many of
 * those cases passed, failed and were unsupported. docs/operators.md is made from it.
 *
 * With --expanded every composite is replaced by its expansion first, and what that makes again, until only core
 * operators are left: the expansions give what the standard asks for as the kernels do. Cases without a composite do not count.
 *
 * Unsupported is only an operator without a row in ops.def. A case in `mistakes` contradicts itself, and runs with its mistake
 * corrected as later versions of the case have it. The expected output of those in `random_cases` is one draw of a generator that the standard does not define: type and shape are compared.
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
#include "onnx/onnx.h"
#include "pass/pass.h"

#ifdef US_TEST_IMAGES
#    include "image/image.h"
static const struct us_image_codec *const codecs = &us_image_codecs;
#else /* a build of the engine alone */
static const struct us_image_codec *const codecs = NULL;
#endif

enum { MAX_VALUES = 64, MAX_SUBSETS = 16, MAX_OPERATORS = 1024 };

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
/* Cases that contradict themselves, and what later versions of them corrected. */
typedef struct mistake {
    const char *name;
    void (*correct)(us_ctx *c, us_model *m);
    const char *what;
} mistake;

/* Declared shapes give way to the data's. */
static void loosen_inputs(us_ctx *c, us_model *m)
{
    (void)c;
    for (size_t i = 0; i < m->main->inputs.n; i++)
        m->main->vals.at[m->main->inputs.at[i]].type.rank = -1;
}

static void set_epsilon(us_ctx *c, us_model *m)
{
    us_attr a = {.name = us_sv_of("epsilon"), .kind = US_AT_FLOAT, .f = 1e-2F};
    if (us_node_set_attr(c, m->main, 0, &a) != US_OK) return;
    (void)!us_node_decode(c, m, &m->main->nodes.at[0]);
}

static const mistake mistakes[] = {
    {"test_castlike_BFLOAT16_to_FLOAT", loosen_inputs,
     "`like` was saved with another rank than declared"},
    {"test_castlike_FLOAT_to_BFLOAT16", loosen_inputs,
     "`like` was saved with another rank than declared"},
    {"test_adam_multiple", set_epsilon, "recorded with an epsilon that the node did not have"},
};

static const mistake *mistake_of(const char *name)
{
    for (size_t i = 0; i < US_LEN(mistakes); i++)
        if (strstr(name, mistakes[i].name)) return &mistakes[i];
    return NULL;
}

static const char *const random_cases[] = {"test_training_dropout", "bernoulli",
                                           "test_dropout_random"};

static tolerance tolerance_of(const char *name)
{
    tolerance t = tolerances[0];
    for (size_t i = 1; i < US_LEN(tolerances); i++)
        if (strstr(name, tolerances[i].word)) t = tolerances[i];
    return t;
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

/* The input of light models: element i of n is i / n. */
static us_err ramp(us_ctx *c, us_arena *a, const us_type *type, us_value *out)
{
    int64_t dims[US_MAX_RANK];
    us_tensor t;
    for (int i = 0; i < type->rank; i++)
        dims[i] = type->dims[i].add;
    US_TRY(us_tensor_new(c, a, US_F32, type->rank, dims, &t));
    float *x = t.data;
    double n = (double)us_tensor_count(&t);
    for (int64_t i = 0; i < us_tensor_count(&t); i++)
        x[i] = (float)((double)i / n);
    *out = us_value_of(&t);
    return US_OK;
}

/* stem: the path of the model without its .onnx. */
static us_err run_light(us_ctx *c, us_arena *a, us_plan *p, us_session *s, const char *stem)
{
    us_value in, out[MAX_VALUES] = {0}, want;
    char dir[4096];
    bool there;
    const char *name = strrchr(stem, '/') + 1;
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(name - 1 - stem), stem);
    (void)snprintf(dir + strlen(dir) + 1, sizeof dir - strlen(dir) - 1, "%s_output", name);
    if (us_plan_n_inputs(p) != 1) return us_fail(c, US_ARG, "a light model has one input");
    US_TRY(ramp(c, a, us_plan_input_type(p, 0), &in));
    US_TRY(us_session_run(c, s, &in, out));
    US_TRY(read_value(c, a, dir, dir + strlen(dir) + 1, 0, us_plan_output_type(p, 0), &there,
                      &want));
    if (!there) return us_fail(c, US_NOTFOUND, "%s_output_0.pb is missing", name);
    return us_value_compare(c, &out[0], &want, 1e-3, 1e-5);
}

static us_err run_sets(us_ctx *c, us_arena *a, us_plan *p, const char *dir, const char *name)
{
    us_session *s;
    char path[4096];
    us_session_opts opts = {.images = codecs};
    US_TRY(us_session_new(c, p, &opts, &s));
    us_err e = US_OK;
    if (!us_path_is_dir(dir)) e = run_light(c, a, p, s, dir);
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

/* How many cases an operator stands in. */
typedef struct tally {
    char domain[64], name[64];
    size_t n[N_VERDICTS];
    bool here; /* in the case at hand */
} tally;

typedef struct subset {
    char name[64]; /* the folder's: node, simple ... */
    size_t n[N_VERDICTS];
    size_t n_images; /* passes by a decoder that the engine was lent */
    size_t n_corrected;
} subset;

typedef struct totals {
    subset all, dir, subs[MAX_SUBSETS];
    size_t n_subs;
    bool verbose, expanded;
    us_expanded sum;
    tally ops[MAX_OPERATORS];
    size_t n_ops;
} totals;

static void note_operator(totals *t, us_sv domain, us_sv name)
{
    if (us_sv_is(domain, "ai.onnx")) domain = (us_sv){"", 0};
    for (size_t i = 0; i < t->n_ops; i++) {
        if (!us_sv_is(name, t->ops[i].name) || !us_sv_is(domain, t->ops[i].domain)) continue;
        t->ops[i].here = true;
        return;
    }
    if (t->n_ops == MAX_OPERATORS) return;
    tally *o = &t->ops[t->n_ops++];
    (void)snprintf(o->domain, sizeof o->domain, "%.*s", (int)domain.n,
                   domain.p ? domain.p : "");
    (void)snprintf(o->name, sizeof o->name, "%.*s", (int)name.n, name.p);
    o->here = true;
}

/* Every operator of a model, its functions and sub-graphs. */
static void note_operators(totals *t, const us_model *m)
{
    for (size_t g = 0; g < m->graphs.n; g++)
        for (size_t n = 0; n < m->graphs.at[g]->nodes.n; n++) {
            const us_node *node = &m->graphs.at[g]->nodes.at[n];
            if (!node->dead) note_operator(t, node->domain, node->op_type);
        }
}

static void settle_operators(totals *t, verdict v)
{
    for (size_t i = 0; i < t->n_ops; i++) {
        t->ops[i].n[v] += t->ops[i].here;
        t->ops[i].here = false;
    }
}

static int by_operator(const void *a, const void *b)
{
    const tally *x = a, *y = b;
    int d = strcmp(x->domain, y->domain);
    return d ? d : strcmp(x->name, y->name);
}

static bool write_counts(totals *t, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f) return false;
    if (t->n_ops) qsort(t->ops, t->n_ops, sizeof *t->ops, by_operator);
    for (size_t i = 0; i < t->n_ops; i++)
        (void)fprintf(f, "%s %s %zu %zu %zu\n",
                      t->ops[i].domain[0] ? t->ops[i].domain : "ai.onnx", t->ops[i].name,
                      t->ops[i].n[PASS], t->ops[i].n[FAIL], t->ops[i].n[UNSUPPORTED]);
    return fclose(f) == 0;
}

/* path: the model; dir: the case's folder, or a light model's path without .onnx; fix: what to correct first, or NULL. */
static verdict run_case(const char *path, const char *dir, const char *name, const mistake *fix,
                        totals *t, us_expanded *sum, char *why, size_t n_why)
{
    us_ctx c;
    us_model *m = NULL;
    us_plan *p = NULL;
    us_arena *a = NULL;
    verdict v = FAIL;
    us_ctx_init(&c);
    us_err e = us_arena_new(&c, "case", (size_t)2 << 30, &a);
    if (e == US_OK) e = us_onnx_read(&c, path, NULL, &m);
    if (e == US_OK) note_operators(t, m);
    if (e == US_OK && fix) fix->correct(&c, m);
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
    (void)snprintf(why, n_why, "%.1000s", e == US_OK ? "" : c.diag.text);
    us_plan_free(p);
    us_model_free(m);
    us_arena_free(a);
    us_ctx_deinit(&c);
    return v;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names of the folder's sub-folders, or of its files. */
static char **children(const char *dir, bool folders, size_t *n)
{
    char **names = NULL, path[4096];
    size_t cap = 0;
    DIR *d = opendir(dir);
    *n = 0;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] == '.' || us_path_is_dir(path) != folders) continue;
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

static subset *subset_of(totals *t, const char *dir)
{
    const char *slash = strrchr(dir, '/'), *name = slash ? slash + 1 : dir;
    for (size_t i = 0; i < t->n_subs; i++)
        if (strcmp(t->subs[i].name, name) == 0) return &t->subs[i];
    if (t->n_subs == MAX_SUBSETS) return &t->subs[MAX_SUBSETS - 1];
    subset *s = &t->subs[t->n_subs++];
    *s = (subset){0};
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    return s;
}

/* One case of the folder `parent`. */
static void one_case(const char *parent, const char *model, const char *dir, const char *name,
                     totals *t)
{
    static const char *const words[] = {"pass", "FAIL", "unsupported"};
    char why[1024];
    us_expanded sum = {0};
    subset *s = subset_of(t, parent);
    if (t->verbose) fflush(stdout);
    const mistake *fix = NULL;
    verdict v = run_case(model, dir, name, NULL, t, t->expanded ? &sum : NULL, why, sizeof why);
    if (v == FAIL && (fix = mistake_of(name)) != NULL)
        v = run_case(model, dir, name, fix, t, t->expanded ? &sum : NULL, why, sizeof why);
    if (v == FAIL && !codecs && strstr(name, "image_decoder")) v = UNSUPPORTED;
    t->sum.n_expanded += sum.n_expanded;
    t->sum.n_refused += sum.n_refused;
    if (v == FAIL && is_corrected_later(dir, name)) {
        v = UNSUPPORTED;
        (void)snprintf(why, sizeof why, "the recording was corrected in a later version");
    }
    settle_operators(t, v);
    s->n[v]++;
    if (v == NOT_COUNTED) return;
    if (t->expanded && v == PASS)
        (void)snprintf(why, sizeof why, "%zu expanded, %zu kept whole", sum.n_expanded,
                       sum.n_refused);
    s->n_images += v == PASS && strstr(name, "image_decoder") != NULL;
    s->n_corrected += v == PASS && fix;
    if (t->verbose || v == FAIL || v == UNSUPPORTED)
        printf("%-12s %s%s%s\n", words[v], name, why[0] ? ": " : "", why);
    if (v == PASS && fix) printf("%-12s %s, corrected: %s\n", words[v], name, fix->what);
}

static void walk(const char *parent, const char *dir, const char *name, totals *t)
{
    char path[4096];
    size_t n;
    (void)snprintf(path, sizeof path, "%s/model.onnx", dir);
    if (us_path_exists(path)) {
        one_case(parent, path, dir, name, t);
        return;
    }
    char **names = children(dir, true, &n);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        walk(dir, path, names[i], t);
        free(names[i]);
    }
    free(names);
    names = children(dir, false, &n);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);
        if (strncmp(names[i], "light_", 6) == 0 && len > 5 &&
            strcmp(names[i] + len - 5, ".onnx") == 0) {
            char stem[4096];
            (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
            (void)snprintf(stem, sizeof stem, "%.*s", (int)(strlen(path) - 5), path);
            one_case(dir, path, stem, names[i], t);
        }
        free(names[i]);
    }
    free(names);
}

static void print_subset(const char *name, const subset *s)
{
    printf("%s: %zu passed, %zu failed, %zu unsupported", name, s->n[PASS], s->n[FAIL],
           s->n[UNSUPPORTED]);
    if (s->n_images)
        printf("; %zu of the passed are ImageDecoder, by the program's decoder", s->n_images);
    if (s->n_corrected)
        printf("; %zu of the passed have a mistake of the case corrected", s->n_corrected);
    printf("\n");
}

static void add_subset(subset *to, const subset *s)
{
    for (size_t v = 0; v < N_VERDICTS; v++)
        to->n[v] += s->n[v];
    to->n_images += s->n_images;
    to->n_corrected += s->n_corrected;
}

static void one_set(const char *dir, totals *t)
{
    t->n_subs = 0;
    t->dir = (subset){0};
    walk(dir, dir, dir, t);
    for (size_t i = 0; i < t->n_subs; i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "  %s", t->subs[i].name);
        if (t->n_subs > 1) print_subset(name, &t->subs[i]);
        add_subset(&t->dir, &t->subs[i]);
    }
    print_subset(dir, &t->dir);
    add_subset(&t->all, &t->dir);
}

int main(int argc, char **argv)
{
    static totals t;
    const char *counts = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            t.verbose = true;
        else if (strcmp(argv[i], "--expanded") == 0)
            t.expanded = true;
        else if (strcmp(argv[i], "--counts") == 0 && i + 1 < argc)
            counts = argv[++i];
        else
            one_set(argv[i], &t);
    }
    const size_t *n = t.all.n;
    if (n[PASS] + n[FAIL] + n[UNSUPPORTED] == 0) {
        printf("no test cases found\n");
        return 77;
    }
    if (counts && !write_counts(&t, counts)) {
        printf("cannot write %s\n", counts);
        return 1;
    }
    if (t.expanded)
        printf("%zu nodes expanded, %zu kept whole, %zu cases without a composite\n",
               t.sum.n_expanded, t.sum.n_refused, n[NOT_COUNTED]);
    printf("%zu passed, %zu failed, %zu unsupported\n", n[PASS], n[FAIL], n[UNSUPPORTED]);
    return n[FAIL] || !n[PASS];
}
