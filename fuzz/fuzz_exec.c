/* Bytes -> ONNX reader -> plan -> run, under tight caps: no crash, no hang, no memory past the caps, whatever the model asks for.
 * Inputs of every kind are made up, extreme ones too (fuzz_input.c); models are changed as models (fuzz_mutate.c). */
#include "exec/session.h"
#include "fuzz_model.h"
#include "onnx/onnx.h"

#define DYNAMIC_CAP ((size_t)16 << 20)
#define MAX_STEPS   2000
#define MAX_WORK    4e6
#define MAX_ENDS    32
#define ARENA_CAP   ((size_t)32 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static us_err run(us_ctx *c, us_arena *a, us_plan *p, us_session *s)
{
    us_value in[MAX_ENDS], out[MAX_ENDS];
    size_t n = us_plan_n_inputs(p), n_syms = us_plan_model(p)->syms.names.n;
    us_sv bytes = {"", 0};
    if (n > MAX_ENDS || us_plan_n_outputs(p) > MAX_ENDS)
        return us_fail(c, US_UNSUPP, "too many inputs or outputs");
    int64_t *syms = us_new_n(a, int64_t, n_syms);
    if (!syms) return us_arena_fail(c, a);
    for (size_t i = 0; i < n_syms; i++)
        syms[i] = -1;
    (void)us_model_prop(us_plan_model(p), FUZZ_PROP, &bytes);
    for (size_t i = 0; i < n; i++)
        US_TRY(fuzz_input(c, a, bytes, i, us_plan_input_type(p, i), syms, n_syms, &in[i]));
    US_TRY(us_session_run(c, s, in, out));
    return us_session_run(c, s, in, out);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    return fuzz_mutate_onnx(data, size, max_size, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    us_model *m = NULL;
    us_plan *p = NULL;
    us_session *s = NULL;
    us_arena *a = NULL;
    us_session_opts so = {.dynamic_cap_bytes = DYNAMIC_CAP,
                          .static_cap_bytes = DYNAMIC_CAP,
                          .max_steps = MAX_STEPS,
                          .max_work = MAX_WORK};
    us_err e = us_onnx_parse(&c, "fuzz", data, size, NULL, NULL, &m);
    if (e == US_OK) e = us_arena_new(&c, "fuzz", ARENA_CAP, &a);
    if (e == US_OK) {
        e = us_plan_new(&c, m, NULL, &p);
        if (e != US_OK) us_model_free(m);
    } else if (m) {
        us_model_free(m);
    }
    if (e == US_OK) e = us_session_new(&c, p, &so, &s);
    if (e == US_OK) e = run(&c, a, p, s);
    (void)e;
    us_session_free(s);
    us_plan_free(p);
    us_arena_free(a);
    us_ctx_deinit(&c);
    return 0;
}
