/* run_batch - thousands of small models through reader, plan and session in one process.
 *
 *     run_batch IN OUT
 *
 * IN is a sequence of cases: uint32 length and bytes of the model, uint32 number of inputs, for each uint32 length and
 * bytes of a TensorProto. OUT gets for each case, in order, uint32 status: 1 and uint32 length and bytes of the message, or 0 and
 * uint32 number of outputs, for each uint32 element type (0: no tensor), uint32 rank, int64 dims, uint64 bytes, data; a string is
 * uint32 length and bytes. Numbers are the machine's (little endian on all we run on). A case is written before the next one runs, so a
 * reader of OUT sees which one ended the process. tests/ops/types_ref.py makes IN and judges OUT.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "exec/session.h"
#include "onnx/onnx.h"

enum { MAX_VALUES = 64 };

typedef struct input {
    const uint8_t *p;
    size_t n, at;
} input;

static us_sv next_bytes(input *in, bool *ok)
{
    uint32_t len = 0;
    *ok = *ok && in->n - in->at >= sizeof len;
    if (*ok) memcpy(&len, in->p + in->at, sizeof len);
    *ok = *ok && in->n - in->at - sizeof len >= len;
    if (!*ok) return (us_sv){"", 0};
    us_sv s = {(const char *)in->p + in->at + sizeof len, len};
    in->at += sizeof len + len;
    return s;
}

static uint32_t next_u32(input *in, bool *ok)
{
    uint32_t v = 0;
    *ok = *ok && in->n - in->at >= sizeof v;
    if (*ok) memcpy(&v, in->p + in->at, sizeof v);
    if (*ok) in->at += sizeof v;
    return v;
}

static void put_u32(FILE *f, size_t v)
{
    uint32_t u = (uint32_t)v;
    (void)fwrite(&u, sizeof u, 1, f);
}

static void put_strings(FILE *f, const us_tensor *t)
{
    const us_sv *s = t->data;
    uint64_t n = 0, count = (uint64_t)us_tensor_count(t);
    for (uint64_t i = 0; i < count; i++)
        n += sizeof(uint32_t) + s[i].n;
    (void)fwrite(&n, sizeof n, 1, f);
    for (uint64_t i = 0; i < count; i++) {
        put_u32(f, s[i].n);
        (void)fwrite(s[i].p, 1, s[i].n, f);
    }
}

static us_err put_value(us_ctx *c, us_arena *a, FILE *f, const us_value *v)
{
    us_value dense;
    size_t bytes;
    if (v->kind != US_KIND_TENSOR) {
        put_u32(f, 0);
        return US_OK;
    }
    US_TRY(us_value_dup(c, a, v, &dense)); /* contiguous */
    const us_tensor *t = &dense.t;
    put_u32(f, (size_t)t->dtype);
    put_u32(f, (size_t)t->rank);
    (void)fwrite(t->dims, sizeof t->dims[0], (size_t)t->rank, f);
    if (t->dtype == US_STRING) {
        put_strings(f, t);
        return US_OK;
    }
    if (!us_dtype_bytes(t->dtype, (size_t)us_tensor_count(t), &bytes)) bytes = 0;
    uint64_t n = bytes;
    (void)fwrite(&n, sizeof n, 1, f);
    if (bytes) (void)fwrite(t->data, 1, bytes, f);
    return US_OK;
}

typedef struct batch_case {
    us_sv model;
    size_t n_in;
    us_sv in[MAX_VALUES];
} batch_case;

static bool next_case(input *in, batch_case *b)
{
    bool ok = true;
    b->model = next_bytes(in, &ok);
    b->n_in = next_u32(in, &ok);
    ok = ok && b->n_in <= MAX_VALUES;
    for (size_t i = 0; ok && i < b->n_in; i++)
        b->in[i] = next_bytes(in, &ok);
    return ok;
}

static us_err run_session(us_ctx *c, us_arena *a, us_plan *p, us_session *s,
                          const batch_case *b, FILE *f)
{
    us_value in[MAX_VALUES] = {0}, out[MAX_VALUES] = {0};
    if (us_plan_n_inputs(p) != b->n_in || us_plan_n_outputs(p) > MAX_VALUES)
        return us_fail(c, US_ARG, "the plan has %zu inputs, the case %zu", us_plan_n_inputs(p),
                       b->n_in);
    for (size_t i = 0; i < b->n_in; i++) {
        us_tensor t;
        US_TRY(us_onnx_parse_tensor(c, a, "input", b->in[i].p, b->in[i].n, &t));
        in[i] = us_value_of(&t);
    }
    US_TRY(us_session_run(c, s, in, out));
    put_u32(f, 0);
    put_u32(f, us_plan_n_outputs(p));
    for (size_t i = 0; i < us_plan_n_outputs(p); i++)
        US_TRY(put_value(c, a, f, &out[i]));
    return US_OK;
}

static void run_case(const batch_case *b, FILE *f)
{
    us_ctx c;
    us_arena *a = NULL;
    us_model *m = NULL;
    us_plan *p = NULL;
    us_session *s = NULL;
    us_ctx_init(&c);
    us_err e = us_arena_new(&c, "case", (size_t)1 << 30, &a);
    if (e == US_OK) e = us_onnx_parse(&c, "case", b->model.p, b->model.n, NULL, NULL, &m);
    if (e == US_OK) e = us_plan_new(&c, m, NULL, &p);
    if (e == US_OK) m = NULL;
    if (e == US_OK) e = us_session_new(&c, p, NULL, &s);
    if (e == US_OK) e = run_session(&c, a, p, s, b, f);
    if (e != US_OK) {
        put_u32(f, 1);
        put_u32(f, strlen(c.diag.text));
        (void)fwrite(c.diag.text, 1, strlen(c.diag.text), f);
    }
    (void)fflush(f);
    us_session_free(s);
    us_plan_free(p);
    us_model_free(m);
    us_arena_free(a);
    us_ctx_deinit(&c);
}

int main(int argc, char **argv)
{
    us_ctx c;
    us_buf bytes;
    if (argc != 3) return 2;
    FILE *f = fopen(argv[2], "wb");
    us_ctx_init(&c);
    us_buf_init(&bytes, &c, (size_t)2 << 30);
    bool ok = f && us_file_read(&c, argv[1], &bytes) == US_OK;
    input in = {(const uint8_t *)us_buf_sv(&bytes).p, us_buf_sv(&bytes).n, 0};
    batch_case b;
    while (ok && in.at < in.n) {
        ok = next_case(&in, &b);
        if (ok) run_case(&b, f);
    }
    us_buf_deinit(&bytes);
    us_ctx_deinit(&c);
    if (f) (void)fclose(f);
    return ok ? 0 : 1;
}
