/* fuzz_npy.c - the .npy reader on any bytes; what it takes must be written and read back the same. */
#include "tensor/npy.h"
#include "tensor/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that are no UTF-8 are written as the characters of the same numbers: they come back as other bytes. */
static bool exact(const us_tensor *t)
{
    int64_t n = t->dtype == US_STRING ? us_tensor_count(t) : 0;
    for (int64_t i = 0; i < n; i++)
        if (!us_utf8_valid(us_tensor_str_at(t, i))) return false;
    return true;
}

/* Only types that .npy has names for reach us here, so the copy is of the same type. */
static bool round_trip(us_ctx *c, us_arena *a, const us_tensor *t)
{
    us_buf b;
    us_tensor back;
    us_buf_init(&b, c, (size_t)1 << 24);
    us_err e = us_npy_print(c, t, &b);
    if (e == US_OK) e = us_npy_parse(c, a, "copy", b.p, b.n, &back);
    us_buf_deinit(&b);
    if (e != US_OK) return e == US_LIMIT || e == US_NOMEM;
    if (!exact(t)) return true;
    us_value v = us_value_of(t), w = us_value_of(&back);
    return us_value_compare(c, &w, &v, 0, 0) == US_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    us_ctx c;
    us_arena *a;
    us_tensor t;
    us_ctx_init(&c);
    c.log.level = US_LOG_NONE;
    if (us_arena_new(&c, "fuzz", (size_t)1 << 24, &a) != US_OK) return 0;
    if (us_npy_parse(&c, a, "input", data, size, &t) == US_OK && !round_trip(&c, a, &t))
        __builtin_trap();
    us_arena_free(a);
    us_ctx_deinit(&c);
    return 0;
}
