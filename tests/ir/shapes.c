/* shapes - what shape inference says of every value, held against what a run makes.
 *
 *     shapes [-v] FILE-OR-DIR...
 *
 * Each model is inferred (pass/facts.h, nothing that the file claims of computed values is believed) and run, on its
 * recorded inputs (test_data_set_0) where it has any and on made ones else, with every value in sight. A value must have the inferred
 * kind and element type, the inferred rank, and each dimension's size under the sizes of the inputs' symbols; what inference found of
 * contents must be there. Recorded outputs must be so, too. A dimension without a name is bound where the main graph first
 * makes it, and holds from then on.
 *
 * Counted is how much of the outputs is determined beforehand. What is not must come from an operator whose shapes depend on contents
 * (`by_contents`): else it is a failure. Exit status 0: nothing contradicts and there was something; 77: no model there. -v names
 * each output that is not determined.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "exec/sample.h"
#include "image/image.h"
#include "onnx/onnx.h"
#include "pass/facts.h"
#include "pass/pass.h"

enum { MAX_ENDS = 128, MAX_TRIES = 6 };

/* Operators whose outputs have shapes that inputs' contents, or a run, decide. */
static const char *const by_contents[] = {"AffineGrid",
                                          "BeamSearch",
                                          "BlackmanWindow",
                                          "CenterCropPad",
                                          "Col2Im",
                                          "Compress",
                                          "ConcatFromSequence",
                                          "ConstantOfShape",
                                          "DFT",
                                          "Expand",
                                          "GreedySearch",
                                          "HammingWindow",
                                          "HannWindow",
                                          "If",
                                          "ImageDecoder",
                                          "Loop",
                                          "MaxUnpool",
                                          "MelWeightMatrix",
                                          "NonMaxSuppression",
                                          "NonZero",
                                          "OneHot",
                                          "Optional",
                                          "OptionalGetElement",
                                          "Pad",
                                          "Range",
                                          "ReduceL1",
                                          "ReduceL2",
                                          "ReduceLogSum",
                                          "ReduceLogSumExp",
                                          "ReduceMax",
                                          "ReduceMean",
                                          "ReduceMin",
                                          "ReduceProd",
                                          "ReduceSum",
                                          "ReduceSumSquare",
                                          "RegexFullMatch",
                                          "Reshape",
                                          "Resize",
                                          "STFT",
                                          "Sampling",
                                          "Scan",
                                          "SequenceAt",
                                          "SequenceConstruct",
                                          "SequenceErase",
                                          "SequenceInsert",
                                          "SequenceMap",
                                          "Slice",
                                          "Split",
                                          "SplitToSequence",
                                          "Squeeze",
                                          "StringNormalizer",
                                          "StringSplit",
                                          "Tile",
                                          "TopK",
                                          "Unique",
                                          "Unsqueeze",
                                          "Upsample"};

typedef struct totals {
    size_t n_models, n_run, n_values, n_outputs, n_types, n_ranks, n_dims, n_known, n_contents;
    size_t n_open, n_failed;
    bool verbose;
} totals;

typedef struct job {
    us_ctx c;
    us_arena *a;
    us_model *m, *facts;
    const char *path;
    totals *t;
    int64_t *sizes; /* per symbol of facts; -1: not bound */
    char why[400];
} job;

/* --- one value ------------------------------------------------------------------------------------------------- */

static void say(job *k, us_sv name, const char *what, const us_type *t, const us_value *v)
{
    us_buf b;
    us_buf_init(&b, &k->c, 4000);
    us_type_print(&k->facts->syms, t, &b);
    us_buf_adds(&b, ", but it is ");
    if (v->kind == US_KIND_TENSOR) {
        us_buf_adds(&b, us_dtype_get(v->t.dtype)->name);
        for (int i = 0; i < v->t.rank; i++)
            us_buf_addf(&b, "%c%lld", i ? ',' : '[', (long long)v->t.dims[i]);
    } else {
        us_buf_addf(&b, "of kind %d", (int)v->kind);
    }
    printf("FAIL %s: %.*s: %s: inferred %s\n", k->path, (int)name.n, name.p, what, b.p);
    us_buf_deinit(&b);
    k->t->n_failed++;
}

/* How much of a type is known, and what contradicts; NULL: nothing. bind: symbols nobody has sized yet get theirs. */
typedef struct look {
    bool bind,
        inner; /* inner: an element of a sequence, where names may stand for several sizes */
    size_t n_dims, n_known;
} look;

static const char *see_tensor(job *k, look *l, const us_type *t, const us_tensor *v)
{
    if (t->dtype != US_DT_NONE && t->dtype != v->dtype) return "element type";
    l->n_dims += (size_t)v->rank;
    if (t->rank < 0) return NULL;
    if (t->rank != v->rank) return "rank";
    for (int i = 0; i < v->rank; i++) {
        us_dim d = t->dims[i];
        int64_t size;
        if (l->inner && d.sym) continue;
        if (us_dim_eval(&k->facts->syms, d, k->sizes, &size)) {
            l->n_known++;
            if (size != v->dims[i]) return "dimension";
        } else if (l->bind && d.mul == 1 && d.add == 0 &&
                   k->facts->syms.defs.at[d.sym].op == US_SYM_NAME) {
            k->sizes[d.sym] = v->dims[i];
        }
    }
    return NULL;
}

static const char *see(job *k, look *l, const us_type *t, const us_value *v)
{
    while (t->kind == US_KIND_OPTIONAL && t->elem && v->kind != US_KIND_NONE)
        t = t->elem;
    if (t->kind == US_KIND_NONE || t->kind == US_KIND_OPTIONAL) return NULL;
    if (t->kind != v->kind) return "kind";
    if (v->kind == US_KIND_TENSOR) return see_tensor(k, l, t, &v->t);
    if (v->kind != US_KIND_SEQUENCE || !t->elem) return NULL;
    look in = {.inner = true};
    for (size_t i = 0; i < v->n_items; i++) {
        const char *bad = see(k, &in, t->elem, &v->items[i]);
        if (bad) return bad;
    }
    return NULL;
}

static void see_contents(job *k, us_sv name, const us_val *f, const us_value *v)
{
    if (!f->known || v->kind != US_KIND_TENSOR || !us_dtype_get(v->t.dtype)->to_f64) return;
    if (us_tensor_count(&v->t) != (int64_t)f->n_known) {
        say(k, name, "number of contents", &f->type, v);
        return;
    }
    for (uint32_t i = 0; i < f->n_known; i++) {
        int64_t x;
        if (!us_dim_eval(&k->facts->syms, f->known[i], k->sizes, &x)) continue;
        k->t->n_contents++;
        if ((double)x == us_tensor_f64_at(&v->t, (int64_t)i)) continue;
        printf("  element %u is %g and not %lld\n", i, us_tensor_f64_at(&v->t, (int64_t)i),
               (long long)x);
        say(k, name, "contents", &f->type, v);
        return;
    }
}

/* A value of the model as read; others (of inlined functions, of upgrades) have no likeness. */
static us_err watch(void *arg, us_ctx *c, const us_graph *g, const us_node *n, us_vid id,
                    const us_value *value)
{
    job *k = arg;
    (void)c, (void)n;
    if (g->index >= k->m->graphs.n || id >= k->m->graphs.at[g->index]->vals.n) return US_OK;
    const us_val *was = &k->m->graphs.at[g->index]->vals.at[id];
    const us_val *f = &k->facts->graphs.at[g->index]->vals.at[id];
    if (!us_sv_eq(was->name, g->vals.at[id].name)) return US_OK;
    look l = {.bind = !g->parent};
    k->t->n_values++;
    const char *bad = see(k, &l, &f->type, value);
    if (bad) say(k, was->name, bad, &f->type, value);
    if (!bad) see_contents(k, was->name, f, value);
    return US_OK;
}

/* --- outputs ----------------------------------------------------------------------------------------------------- */

/* Two sizes that are symbols may broadcast: then a run decides. */
static bool excused(us_sv op)
{
    const us_op *o = us_op_find(US_SV(""), op);
    if (o && o->flags & US_OP_ELEMENTWISE) return true;
    for (size_t i = 0; i < US_LEN(by_contents); i++)
        if (us_sv_is(op, by_contents[i])) return true;
    return false;
}

/* What makes a dimension unknown is the first operator above whose inputs all are known. */
static bool determined(const us_syms *s, const us_type *t, const int64_t *sizes)
{
    int64_t size;
    if (t->kind != US_KIND_TENSOR) return t->kind != US_KIND_NONE;
    for (int i = 0; i < t->rank; i++)
        if (!us_dim_eval(s, t->dims[i], sizes, &size)) return false;
    return t->rank >= 0;
}

static us_sv origin(const us_graph *g, us_vid v, const int64_t *sizes, int depth)
{
    const us_val *val = &g->vals.at[v];
    const us_node *n = val->def == US_NIL ? NULL : &g->nodes.at[val->def];
    if (!n) return (us_sv){"", 0};
    for (uint32_t i = 0; i < n->n_in && depth < 1000; i++)
        if (n->in[i] != US_NIL && g->vals.at[n->in[i]].def != US_NIL &&
            !determined(&g->model->syms, &g->vals.at[n->in[i]].type, sizes))
            return origin(g, n->in[i], sizes, depth + 1);
    return n->op_type;
}

/* Symbols of the inputs count as known: only what the run makes does not. */
static void count_output(job *k, us_vid v, const us_value *value, const int64_t *given)
{
    const us_graph *g = k->facts->main;
    const us_type *t = &g->vals.at[v].type;
    int64_t *all = k->sizes;
    look l = {0};
    k->sizes = (int64_t *)(uintptr_t)given;
    (void)see(k, &l, t, value);
    k->sizes = all;
    totals *q = k->t;
    q->n_outputs++;
    q->n_types += t->kind != US_KIND_NONE && (t->kind != US_KIND_TENSOR || t->dtype);
    q->n_ranks += t->kind == US_KIND_TENSOR && t->rank >= 0;
    q->n_dims += l.n_dims;
    q->n_known += l.n_known;
    us_sv op = origin(g, v, given, 0);
    if (t->kind == US_KIND_NONE) {
        say(k, g->vals.at[v].name, "nothing is known", t, value);
    } else if (value->kind == US_KIND_TENSOR && l.n_known < l.n_dims) {
        q->n_open++;
        if (q->verbose)
            printf("open %s: %.*s by %.*s\n", k->path, (int)g->vals.at[v].name.n,
                   g->vals.at[v].name.p, (int)op.n, op.p);
        if (op.n && !excused(op)) {
            printf("  by %.*s\n", (int)op.n, op.p);
            say(k, g->vals.at[v].name, "not determined", t, value);
        }
    }
}

/* --- inputs ------------------------------------------------------------------------------------------------------- */

static us_err read_value(job *k, const char *stem, size_t i, const us_type *type, bool *there,
                         us_value *out)
{
    char path[4096];
    us_buf b;
    const char *slash = strrchr(k->path, '/');
    (void)snprintf(path, sizeof path, "%.*s/test_data_set_0/%s_%zu.pb",
                   slash ? (int)(slash - k->path) : 1, slash ? k->path : ".", stem, i);
    *there = us_path_exists(path);
    if (!*there) return US_OK;
    us_buf_init(&b, &k->c, (size_t)1 << 30);
    us_err e = us_file_read(&k->c, path, &b);
    us_sv bytes = us_buf_sv(&b), kept;
    if (e == US_OK) e = us_sv_dup(&k->c, k->a, bytes, &kept);
    us_buf_deinit(&b);
    if (e != US_OK) return e;
    if (type->kind != US_KIND_NONE && type->kind != US_KIND_TENSOR)
        return us_onnx_parse_value(&k->c, k->a, path, type, kept.p, kept.n, out);
    us_tensor t;
    US_TRY(us_onnx_parse_tensor(&k->c, k->a, path, kept.p, kept.n, &t));
    if (type->dtype == US_BF16 && t.dtype == US_U16)
        t.dtype = US_BF16; /* old recordings: its bits */
    *out = us_value_of(&t);
    return US_OK;
}

static us_err give_inputs(job *k, const us_plan *p, uint64_t sample, us_value *in)
{
    us_sample s = {.index = sample,
                   .kind = sample % 2 ? US_SAMPLE_ONES : US_SAMPLE_POSITIVE,
                   .size = sample < 2    ? 1
                           : sample < 4  ? 3
                           : sample == 4 ? 32
                                         : 576,
                   .spread = sample % 2 ? 0 : 2};
    for (size_t i = 0; i < us_plan_n_inputs(p); i++) {
        bool there;
        US_TRY(read_value(k, "input", i, us_plan_input_type(p, i), &there, &in[i]));
        if (!there)
            US_TRY(us_sample_value(&k->c, k->a, us_plan_input_type(p, i), &s, i, &in[i]));
    }
    return US_OK;
}

static us_err bind_inputs(job *k, const us_plan *p, const us_value *in)
{
    for (size_t i = 0; i < k->facts->syms.names.n; i++)
        k->sizes[i] = -1;
    for (size_t i = 0; i < us_plan_n_inputs(p); i++) {
        us_vid v = us_graph_find(k->facts->main, us_plan_input_name(p, i));
        look l = {.bind = true};
        if (v == US_NIL) continue;
        const char *bad = see(k, &l, &k->facts->main->vals.at[v].type, &in[i]);
        if (bad) return us_fail(&k->c, US_ARG, "an input is not as declared: %s", bad);
    }
    return US_OK;
}

/* --- one model ------------------------------------------------------------------------------------------------------ */

static us_err run_once(job *k, us_plan *p, uint64_t sample)
{
    us_value in[MAX_ENDS] = {0}, out[MAX_ENDS] = {0};
    us_session *s;
    us_session_opts so = {.images = &us_image_codecs, .watch = watch, .watch_arg = k};
    size_t n_out = us_plan_n_outputs(p), n = k->facts->syms.names.n;
    if (us_plan_n_inputs(p) > MAX_ENDS || n_out > MAX_ENDS)
        return us_fail(&k->c, US_LIMIT, "too many inputs or outputs");
    US_TRY(give_inputs(k, p, sample, in));
    US_TRY(bind_inputs(k, p, in));
    int64_t *given = us_new_n(k->a, int64_t, n);
    if (!given) return us_arena_fail(&k->c, k->a);
    memcpy(given, k->sizes, n * sizeof *given);
    US_TRY(us_session_new(&k->c, p, &so, &s));
    us_err e = us_session_run(&k->c, s, in, out);
    for (size_t i = 0; e == US_OK && i < n_out; i++) {
        us_value want;
        bool there;
        us_vid v = k->facts->main->outputs.at[i];
        const us_type *t = &k->facts->main->vals.at[v].type;
        if (k->m->main->vals.at[k->m->main->outputs.at[i]].def == US_NIL) continue;
        count_output(k, v, &out[i], given);
        e = read_value(k, "output", i, us_plan_output_type(p, i), &there, &want);
        look l = {0};
        const char *bad = e == US_OK && there ? see(k, &l, t, &want) : NULL;
        if (bad) say(k, k->facts->main->vals.at[v].name, bad, t, &want);
    }
    us_session_free(s);
    return e;
}

static us_err one(job *k)
{
    us_model *copy;
    us_plan *p;
    us_plan_opts po = {.no_passes = true};
    US_TRY(us_onnx_read(&k->c, k->path, NULL, &k->m));
    k->t->n_models++;
    us_err e = us_facts_infer(&k->c, k->m, &k->facts);
    if (e != US_OK) {
        printf("FAIL %s: not inferred: %s\n", k->path, k->c.diag.text);
        k->t->n_failed++;
        return e;
    }
    k->sizes = us_new_n(k->a, int64_t, k->facts->syms.names.n);
    if (!k->sizes) return us_arena_fail(&k->c, k->a);
    US_TRY(us_model_clone(&k->c, k->m, &copy));
    e = us_plan_new(&k->c, copy, &po, &p);
    if (e != US_OK) {
        us_model_free(copy);
        return e;
    }
    for (uint64_t i = 0; i < MAX_TRIES; i++) {
        e = run_once(k, p, i);
        if (e == US_OK) break;
    }
    k->t->n_run += e == US_OK;
    us_plan_free(p);
    return e;
}

static void one_file(const char *path, totals *t)
{
    job k = {.path = path, .t = t};
    us_ctx_init(&k.c);
    us_err e = us_arena_new(&k.c, "shapes", (size_t)4 << 30, &k.a);
    if (e == US_OK) e = one(&k);
    if (e != US_OK) printf("not run %s: %s\n", path, k.c.diag.text);
    us_model_free(k.facts);
    us_model_free(k.m);
    us_arena_free(k.a);
    us_ctx_deinit(&k.c);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void walk(const char *path, totals *t)
{
    char **names = NULL;
    size_t n = 0, cap = 0, len = strlen(path);
    DIR *d = opendir(path);
    if (!d) {
        if (len > 5 && strcmp(path + len - 5, ".onnx") == 0) one_file(path, t);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.') continue;
        if (n == cap) {
            cap = cap ? 2 * cap : 64;
            names = realloc(names, cap * sizeof *names);
        }
        names[n++] = strdup(e->d_name);
    }
    (void)closedir(d);
    if (n) qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        char sub[4096];
        (void)snprintf(sub, sizeof sub, "%s/%s", path, names[i]);
        walk(sub, t);
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
        else
            walk(argv[i], &t);
    }
    if (!t.n_models) {
        printf("no models there\n");
        return 77;
    }
    printf("%zu models, %zu run; %zu values seen, %zu of their contents; of %zu outputs the "
           "type of %zu "
           "and the rank of %zu are inferred, of %zu dimensions %zu; %zu outputs depend on "
           "contents; "
           "%zu failures\n",
           t.n_models, t.n_run, t.n_values, t.n_contents, t.n_outputs, t.n_types, t.n_ranks,
           t.n_dims, t.n_known, t.n_open, t.n_failed);
    return t.n_failed ? 1 : 0;
}
