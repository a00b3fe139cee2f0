/* What shape inference says of a model's outputs is what a run makes: kinds, element types, ranks, sizes (one size per symbol), and the
 * contents it found. Claims of the file on computed values are not believed (pass/facts.h). Mutants list values in the middle as
 * outputs, too. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_model.h"
#include "onnx/onnx.h"
#include "pass/facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_onnx(data, size, max_size, seed);
}

static void differs(const char *what, size_t i, int64_t found, int64_t inferred)
{
    (void)fprintf(stderr, "output %zu: %s is %lld, inferred was %lld\n", i, what,
                  (long long)found, (long long)inferred);
    abort();
}

/* What a loop without a trip has collected is empty, of a shape and type that the run takes from what the plan knows of its body. */
static bool is_empty(const us_tensor *v)
{
    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] == 0) return true;
    return false;
}

/* sizes: per symbol, -1 where none of its dimensions was seen; NULL: only numbers count (elements of a sequence). */
static void see_tensor(const us_syms *s, const us_type *t, const us_tensor *v, size_t i,
                       int64_t *sizes)
{
    if (is_empty(v)) return;
    if (t->dtype && t->dtype != v->dtype) differs("element type", i, v->dtype, t->dtype);
    if (t->rank < 0) return;
    if (t->rank != v->rank) differs("rank", i, v->rank, t->rank);
    for (int j = 0; j < v->rank; j++) {
        us_dim d = t->dims[j];
        int64_t size;
        if (d.sym && !sizes) continue;
        bool name = d.mul == 1 && d.add == 0 && s->defs.at[d.sym].op == US_SYM_NAME;
        if (us_dim_eval(s, d, sizes, &size)) {
            if (size != v->dims[j]) differs("dimension", i, v->dims[j], size);
        } else if (name) {
            sizes[d.sym] = v->dims[j];
        }
    }
}

/* A value of no kind is an output that was not made, or an optional that a loop without a trip hands on. */
static void see(const us_syms *s, const us_type *t, const us_value *v, size_t i, int64_t *sizes)
{
    while (t->kind == US_KIND_OPTIONAL && t->elem && v->kind != US_KIND_NONE)
        t = t->elem;
    if (t->kind == US_KIND_NONE || t->kind == US_KIND_OPTIONAL || v->kind == US_KIND_NONE)
        return;
    if (t->kind != v->kind) differs("kind", i, v->kind, t->kind);
    if (v->kind == US_KIND_TENSOR) see_tensor(s, t, &v->t, i, sizes);
    for (size_t j = 0; v->kind == US_KIND_SEQUENCE && t->elem && j < v->n_items; j++)
        see(s, t->elem, &v->items[j], i, NULL);
}

static void see_contents(const us_syms *s, const us_val *f, const us_value *v, size_t i,
                         const int64_t *sizes)
{
    if (!f->known || v->kind != US_KIND_TENSOR || !us_dtype_get(v->t.dtype)->to_f64) return;
    if (us_tensor_count(&v->t) != f->n_known)
        differs("number of elements", i, us_tensor_count(&v->t), f->n_known);
    for (uint32_t j = 0; j < f->n_known; j++) {
        int64_t x;
        if (!us_dim_eval(s, f->known[j], sizes, &x)) continue;
        if ((double)x != us_tensor_f64_at(&v->t, j))
            differs("an element", i, (int64_t)us_tensor_f64_at(&v->t, j), x);
    }
}

/* out[i] is output i of the graph. */
static void compare(const us_model *facts, const us_value *out, size_t n, int64_t *sizes)
{
    for (size_t i = 0; i < facts->syms.names.n; i++)
        sizes[i] = -1;
    for (size_t i = 0; i < n; i++)
        see(&facts->syms, &facts->main->vals.at[facts->main->outputs.at[i]].type, &out[i], i,
            sizes);
    for (size_t i = 0; i < n; i++)
        see_contents(&facts->syms, &facts->main->vals.at[facts->main->outputs.at[i]], &out[i],
                     i, sizes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_model *m = NULL, *copy = NULL, *facts = NULL;
    fuzz_runner r = {0};
    us_value out[FUZZ_MAX_ENDS];
    us_plan_opts plain = {.no_passes = true};
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    us_err e = us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &m);
    if (e == US_OK) {
        e = us_facts_infer(&c, m, &facts);
        fuzz_check(&c, e);
    }
    if (e == US_OK) e = us_model_clone(&c, m, &copy);
    if (e == US_OK) {
        e = fuzz_open(&c, copy, &plain, &r);
        if (e == US_OK) e = fuzz_run(&c, &r, out);
        fuzz_check(&c, e);
    }
    if (e == US_OK) {
        int64_t *sizes = us_new_n(r.a, int64_t, facts->syms.names.n);
        if (sizes) compare(facts, out, us_plan_n_outputs(r.p), sizes);
    }
    us_model_free(facts);
    fuzz_close(&r);
    us_model_free(m);
    us_ctx_deinit(&c);
    return 0;
}
