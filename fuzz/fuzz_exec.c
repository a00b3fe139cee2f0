/* Bytes -> ONNX reader -> plan -> run, under tight caps: no crash, no hang, no memory past the caps, whatever the model asks for.
 * Dimensions that are not known become 2, contents are small numbers. */
#include "exec/session.h"
#include "onnx/onnx.h"

#define DYNAMIC_CAP ((size_t)16 << 20)
#define MAX_STEPS   2000
#define MAX_ENDS    32
#define ARENA_CAP   ((size_t)32 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static us_err make_input(us_ctx *c, us_arena *a, const us_type *t, us_value *out)
{
    if (t->kind != US_KIND_TENSOR || t->dtype == US_DT_NONE || t->rank < 0)
        return us_fail(c, US_UNSUPP, "an input that is not a tensor");
    int64_t dims[US_MAX_RANK];
    for (int32_t d = 0; d < t->rank; d++)
        dims[d] = us_dim_known(t->dims[d]) ? t->dims[d].add : 2;
    us_tensor x;
    US_TRY(us_tensor_new(c, a, t->dtype, t->rank, dims, &x));
    int64_t n = us_tensor_count(&x);
    const us_dtype_info *d = us_dtype_get(t->dtype);
    for (int64_t i = 0; d->from_f64 && d->bits >= 8 && i < n; i++) {
        double v = (double)(i % 5) - 1;
        d->from_f64((char *)x.data + (size_t)i * d->bits / 8, 0, 1, &v);
    }
    *out = us_value_of(&x);
    return US_OK;
}

static us_err run(us_ctx *c, us_arena *a, us_plan *p, us_session *s)
{
    us_value in[MAX_ENDS], out[MAX_ENDS];
    size_t n = us_plan_n_inputs(p);
    if (n > MAX_ENDS || us_plan_n_outputs(p) > MAX_ENDS)
        return us_fail(c, US_UNSUPP, "too many inputs or outputs");
    for (size_t i = 0; i < n; i++)
        US_TRY(make_input(c, a, us_plan_input_type(p, i), &in[i]));
    US_TRY(us_session_run(c, s, in, out));
    return us_session_run(c, s, in, out);
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
                          .max_steps = MAX_STEPS};
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
