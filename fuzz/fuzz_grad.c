/* Gradients of whatever model: the sum of all float outputs by every float input, planned and run. Operators without a gradient
 * refuse; the rest must hold for any shapes. */
#include "fuzz_model.h"
#include "grad/grad.h"
#include "onnx/onnx.h"
#include "pass/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_onnx(data, size, max_size, seed);
}

static bool is_float(const us_graph *g, us_vid v)
{
    const us_type *t = &g->vals.at[v].type;
    return t->kind == US_KIND_TENSOR && t->dtype == US_F32;
}

static us_err add_gradients(us_ctx *c, us_model *m, us_vid *extra, size_t *n)
{
    us_graph *g = m->main;
    us_vid loss = US_NIL, wrt[FUZZ_MAX_ENDS], d[FUZZ_MAX_ENDS];
    size_t n_wrt = 0;
    US_TRY(us_pass_run(c, m, "inline,upgrade,expand,infer"));
    us_builder b = us_b_begin(c, g, "loss");
    for (size_t i = 0; i < g->outputs.n; i++) {
        if (!is_float(g, g->outputs.at[i])) continue;
        us_vid s = us_b1(&b, "ReduceSum", g->outputs.at[i]);
        us_b_int(&b, "keepdims", 0);
        loss = loss == US_NIL ? s : us_b2(&b, "Add", loss, s);
    }
    US_TRY(us_b_end(&b));
    if (loss == US_NIL) return us_fail(c, US_UNSUPP, "no output of floats");
    US_TRY(us_pass_run(c, m, "upgrade,infer"));
    for (size_t i = 0; i < g->inputs.n && n_wrt < FUZZ_MAX_ENDS; i++)
        if (is_float(g, g->inputs.at[i])) wrt[n_wrt++] = g->inputs.at[i];
    US_TRY(us_grad_build(c, m, g, loss, n_wrt, wrt, d));
    *n = 0;
    for (size_t i = 0; i < n_wrt; i++)
        if (d[i] != US_NIL) extra[(*n)++] = d[i];
    return US_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_model *m = NULL;
    fuzz_runner r = {0};
    us_vid extra[FUZZ_MAX_ENDS];
    us_value out[2 * FUZZ_MAX_ENDS];
    us_plan_opts opts = {.extra = extra};
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    us_err e = us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &m);
    if (e == US_OK) {
        e = add_gradients(&c, m, extra, &opts.n_extra);
        if (e != US_OK) us_model_free(m);
    }
    if (e == US_OK) e = fuzz_open(&c, m, &opts, &r);
    if (e == US_OK) e = fuzz_run(&c, &r, out);
    fuzz_check(&c, e);
    fuzz_close(&r);
    us_ctx_deinit(&c);
    return 0;
}
