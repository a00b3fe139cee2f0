/* fuzz_input.c - adversarial inputs for a model: of the declared type, with contents chosen by the fuzzer's bytes. */
#include "fuzz_model.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

#define MAX_ELEMENTS ((int64_t)1 << 16) /* of one input */
#define MAX_DEPTH    4                  /* of sequences and optionals */

typedef enum how { SMALL, ZERO, INDEX, EXTREME, BITS, N_HOW } how;

static const double extremes[] = {0,
                                  -0.0,
                                  1,
                                  -1,
                                  0.5,
                                  2,
                                  -2,
                                  127,
                                  128,
                                  255,
                                  256,
                                  -128,
                                  -129,
                                  32768,
                                  65536,
                                  2147483647.0,
                                  2147483648.0,
                                  -2147483648.0,
                                  -2147483649.0,
                                  4294967296.0,
                                  9223372036854775807.0,
                                  -9223372036854775808.0,
                                  1e19,
                                  1e38,
                                  -1e39,
                                  1e-40,
                                  1e-320,
                                  1e300,
                                  (double)INFINITY,
                                  -(double)INFINITY,
                                  (double)NAN};
static const int64_t whole[] = {
    0,         1,         -1,        2,         3,   7,    8,          INT32_MAX,
    INT32_MIN, INT64_MAX, INT64_MIN, -2,        100, 1000, 4294967296, 1 << 20,
    1LL << 40, 1LL << 60, INT8_MIN,  UINT8_MAX, 31,  32,   63,         INT64_MIN + 1};
static const char *const words[] = {"",
                                    "a",
                                    "b",
                                    "abc",
                                    "0",
                                    "-1",
                                    "1e400",
                                    "nan",
                                    "INF",
                                    "0x10",
                                    "1_000",
                                    " 12 ",
                                    "true",
                                    "A b c",
                                    "\xff\xfe",
                                    "\xc3",
                                    "\xe2\x82\xac",
                                    "a@b.com",
                                    "999999999999999999999999",
                                    ",,,"};

static us_err fill_strings(us_ctx *c, us_arena *a, us_tensor *t, us_rng *r)
{
    int64_t n = us_tensor_count(t);
    for (int64_t i = 0; i < n; i++)
        ((us_sv *)t->data)[i] = us_sv_of(words[us_rng_below(r, US_LEN(words))]);
    if (n && us_rng_below(r, 16) == 0) { /* one long one */
        char *p = us_new_n(a, char, 3000);
        if (!p) return us_arena_fail(c, a);
        memset(p, "a,0 "[us_rng_below(r, 4)], 3000);
        *(us_sv *)t->data = (us_sv){p, 3000};
    }
    return US_OK;
}

static void fill_numbers(us_tensor *t, us_rng *r)
{
    const us_dtype_info *d = us_dtype_get(t->dtype);
    int64_t n = us_tensor_count(t), span = 1 + (int64_t)us_rng_below(r, 8);
    how h = us_rng_below(r, 2) ? SMALL : (how)us_rng_below(r, N_HOW);
    if (h == BITS || !d->from_f64 || !d->from_i64) {
        uint8_t *p = t->data;
        for (size_t i = 0; t->dtype != US_BOOL && i < us_tensor_bytes(t); i++)
            p[i] = (uint8_t)us_rng_u32(r);
        for (int64_t i = 0; t->dtype == US_BOOL && i < n; i++)
            p[i] = (uint8_t)us_rng_below(r, 2);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        double v = (double)(i % 5) - 1;
        size_t at = (size_t)i * d->bits / 8;
        bool packed = d->bits < 8;
        if (h == ZERO) v = 0;
        if (h == INDEX) v = (double)us_rng_below(r, (uint64_t)span);
        if (h == EXTREME && us_rng_below(r, 4)) v = extremes[us_rng_below(r, US_LEN(extremes))];
        if (h == EXTREME && d->cls != US_DC_FLOAT) {
            int64_t w = whole[us_rng_below(r, US_LEN(whole))];
            d->from_i64((char *)t->data + (packed ? 0 : at), packed ? (size_t)i : 0, 1, &w);
            continue;
        }
        d->from_f64((char *)t->data + (packed ? 0 : at), packed ? (size_t)i : 0, 1, &v);
    }
}

static us_err make_tensor(us_ctx *c, us_arena *a, const us_type *t, us_rng *r, int64_t *syms,
                          size_t n_syms, us_value *out)
{
    static const int64_t sizes[] = {0, 1, 2, 2, 2, 3, 4, 5, 8, 17};
    int64_t dims[US_MAX_RANK] = {0}, n;
    int32_t rank = t->rank;
    us_tensor x;
    if (rank < 0) rank = (int32_t)us_rng_below(r, 5);
    if (rank > US_MAX_RANK || t->dtype == US_DT_NONE)
        return us_fail(c, US_UNSUPP, "an input without a type");
    for (int32_t d = 0; d < rank; d++) {
        bool known = t->rank >= 0 && us_dim_known(t->dims[d]);
        us_sym s = t->rank >= 0 && !known ? t->dims[d].sym : 0;
        dims[d] = known ? t->dims[d].add : sizes[us_rng_below(r, US_LEN(sizes))];
        if (!known && s && s < n_syms) {
            if (syms[s] < 0) syms[s] = dims[d];
            dims[d] = syms[s];
        }
    }
    if (!us_dims_count(rank, dims, &n) || n > MAX_ELEMENTS)
        return us_fail(c, US_LIMIT, "an input of too many elements");
    US_TRY(us_tensor_new(c, a, t->dtype, rank, dims, &x));
    if (t->dtype == US_STRING)
        US_TRY(fill_strings(c, a, &x, r));
    else
        fill_numbers(&x, r);
    if (!n && us_rng_below(r, 2)) x.data = NULL; /* as callers may */
    *out = us_value_of(&x);
    return US_OK;
}

static us_err make(us_ctx *c, us_arena *a, const us_type *t, us_rng *r, int depth,
                   int64_t *syms, size_t n_syms, us_value *out)
{
    us_value v = {0};
    if (t->kind == US_KIND_TENSOR) return make_tensor(c, a, t, r, syms, n_syms, out);
    if (depth > MAX_DEPTH || (t->kind != US_KIND_NONE && !t->elem && t->kind != US_KIND_SPARSE))
        return us_fail(c, US_UNSUPP, "an input nested deep, or of no type");
    if (t->kind == US_KIND_OPTIONAL && us_rng_below(r, 3))
        return make(c, a, t->elem, r, depth + 1, syms, n_syms, out);
    if (t->kind == US_KIND_SEQUENCE || t->kind == US_KIND_MAP) {
        v.kind = t->kind;
        v.n_items = us_rng_below(r, 4);
        v.items = us_new_n(a, us_value, v.n_items);
        if (!v.items) return us_arena_fail(c, a);
        for (size_t i = 0; i < v.n_items; i++)
            US_TRY(make(c, a, t->elem, r, depth + 1, syms, n_syms, &v.items[i]));
    }
    if (t->kind == US_KIND_MAP) {
        us_dim n = US_DIM((int64_t)v.n_items);
        us_type keys = us_type_tensor(t->dtype, 1, &n);
        us_value k;
        US_TRY(make_tensor(c, a, &keys, r, syms, n_syms, &k));
        v.t = k.t;
    }
    *out = v;
    return US_OK;
}

us_err fuzz_input(us_ctx *c, us_arena *a, us_sv bytes, size_t i, const us_type *t,
                  int64_t *syms, size_t n_syms, us_value *out)
{
    uint64_t seed = us_hash64(bytes.n ? bytes.p : "", bytes.n, 0);
    if (i < bytes.n)
        seed = (uint64_t)(uint8_t)bytes.p[i]; /* one byte each: easy to change and to keep */
    us_rng r = us_rng_new(seed, "fuzz input", i);
    return make(c, a, t, &r, 0, syms, n_syms, out);
}
