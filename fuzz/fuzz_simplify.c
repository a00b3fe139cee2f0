/* A model as it is, and simplified, written and read again: where both run, they give the same bits. Left out are the passes that
 * may round otherwise (fold-bn) and random operators, whose draws depend on the order of nodes; models with loops are not compared. */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_model.h"
#include "onnx/onnx.h"
#include "pass/simplify.h"

#define PASSES   "if-const,static-reshape,identity,cse,dce"
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

static void compare(us_ctx *c, const fuzz_runner *r, const us_value *a, const us_value *b)
{
    for (size_t i = 0; i < us_plan_n_outputs(r->p); i++) {
        if (us_value_compare(c, &b[i], &a[i], 0, 0) == US_OK) continue;
        (void)fprintf(stderr, "output %zu: %s\n", i, c->diag.text);
        abort();
    }
}

/* Simplified, to bytes and back; *again may point into b. */
static us_err there_and_back(us_ctx *c, const us_model *m, us_buf *b, us_model **again)
{
    us_simplify_opts o = {.passes = PASSES};
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
    us_value out1[FUZZ_MAX_ENDS], out2[FUZZ_MAX_ENDS];
    us_plan_opts plain = {.no_passes = true};
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    us_buf_init(&b, &c, FILE_MAX);
    us_err e = us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &m);
    bool open = e == US_OK && (is_random(m) || has_loop(m));
    if (e == US_OK) {
        forget_claims(m);
        e = there_and_back(&c, m, &b, &again);
        fuzz_check(&c, e);
        us_err f = fuzz_open(&c, m, &plain, &r1);
        if (f == US_OK) f = fuzz_run(&c, &r1, out1);
        fuzz_check(&c, f);
        if (e == US_OK) e = fuzz_open(&c, again, &plain, &r2);
        if (e == US_OK) e = fuzz_run(&c, &r2, out2);
        fuzz_check(&c, e);
        if (e == US_OK && f == US_OK && !open) compare(&c, &r1, out1, out2);
    }
    fuzz_close(&r1);
    fuzz_close(&r2);
    us_buf_deinit(&b);
    us_ctx_deinit(&c);
    return 0;
}
