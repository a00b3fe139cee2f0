/* A model as it is, and simplified, written and read again. One half of the inputs (by their length) leave out the passes that may
 * round otherwise, and give the same bits where both run; the other half take all passes, and results of the same types and shapes.
 * Random operators, whose draws depend on the order of nodes, and models with loops are not compared. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_model.h"
#include "onnx/onnx.h"
#include "pass/simplify.h"

#define EXACT    "if-const,static-reshape,identity,cancel,concat,slice,cse,dce"
#define FILE_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_onnx(data, size, max_size, seed);
}

/* What a loop that never ran has collected is empty, of a shape that depends on what is known of its body. */
static bool has_loop(const us_model *m)
{
    for (size_t i = 1; i < m->graphs.n; i++)
        if (m->graphs.at[i]->inputs.n) return true; /* no branch, then */
    return false;
}

static bool is_random(const us_model *m)
{
    for (size_t i = 0; i < m->graphs.n; i++)
        for (size_t j = 0; j < m->graphs.at[i]->nodes.n; j++) {
            const us_op *op = m->graphs.at[i]->nodes.at[j].op;
            if (op && (op->flags & US_OP_RANDOM)) return true;
        }
    return false;
}

/* What a file claims of values in between may be wrong, and passes believe it. */
static void forget_claims(us_model *m)
{
    for (size_t i = 0; i < m->graphs.n; i++)
        for (size_t v = 0; v < m->graphs.at[i]->vals.n; v++)
            if (m->graphs.at[i]->vals.at[v].storage == US_ST_TEMP)
                m->graphs.at[i]->vals.at[v].type = (us_type){.kind = US_KIND_NONE};
}

static bool same_type(const us_value *a, const us_value *b)
{
    return a->kind == b->kind &&
           (a->kind != US_KIND_TENSOR ||
            (a->t.dtype == b->t.dtype && us_tensor_same_dims(&a->t, &b->t)));
}

static void compare(us_ctx *c, const fuzz_runner *r, bool exact, const us_value *a,
                    const us_value *b)
{
    for (size_t i = 0; i < us_plan_n_outputs(r->p); i++) {
        if (exact ? us_value_compare(c, &b[i], &a[i], 0, 0) == US_OK : same_type(&a[i], &b[i]))
            continue;
        (void)fprintf(stderr, "output %zu: %s\n", i, c->diag.text);
        abort();
    }
}

/* Simplified, to bytes and back; *again may point into b. */
static us_err there_and_back(us_ctx *c, const us_model *m, bool exact, us_buf *b,
                             us_model **again)
{
    us_simplify_opts o = {.passes = exact ? EXACT : NULL};
    us_simplify_report report;
    us_model *s;
    US_TRY(us_simplify(c, m, &o, &s, &report));
    us_err e = us_onnx_print(c, s, b);
    us_model_free(s);
    US_TRY(e);
    us_sv bytes = us_buf_sv(b);
    return us_onnx_parse(c, "simplified", bytes.p, bytes.n, NULL, NULL, again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_model *m = NULL, *again = NULL;
    us_buf b;
    fuzz_runner r1 = {0}, r2 = {0};
    bool exact = size % 2 == 0;
    us_value out1[FUZZ_MAX_ENDS], out2[FUZZ_MAX_ENDS];
    us_plan_opts plain = {.no_passes = true};
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    us_buf_init(&b, &c, FILE_MAX);
    us_err e = us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &m);
    bool open = e == US_OK && (is_random(m) || has_loop(m));
    if (e == US_OK) {
        forget_claims(m);
        e = there_and_back(&c, m, exact, &b, &again);
        fuzz_check(&c, e);
        us_err f = fuzz_open(&c, m, &plain, &r1);
        if (f == US_OK) f = fuzz_run(&c, &r1, out1);
        fuzz_check(&c, f);
        if (e == US_OK) e = fuzz_open(&c, again, &plain, &r2);
        if (e == US_OK) e = fuzz_run(&c, &r2, out2);
        fuzz_check(&c, e);
        if (e == US_OK && f == US_OK && !open) compare(&c, &r1, exact, out1, out2);
    }
    fuzz_close(&r1);
    fuzz_close(&r2);
    us_buf_deinit(&b);
    us_ctx_deinit(&c);
    return 0;
}
