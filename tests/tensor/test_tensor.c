/* test_tensor.c - views: counting, walking, copying, broadcasting; values: deep copies and comparison. */
#include <string.h>

#include "base/rng.h"
#include "tensor/value.h"
#include "us_torture.h"

typedef struct fix {
    us_ctx c;
    us_arena *a;
} fix;

static void begin(fix *f)
{
    us_ctx_init(&f->c);
    CHECK_OK(&f->c, us_arena_new(&f->c, "t", (size_t)1 << 26, &f->a));
}
static void end(fix *f)
{
    us_arena_free(f->a);
}

#define DIMS(...)                                                                              \
    (int)US_LEN(((int64_t[]){__VA_ARGS__})), (int64_t[])                                       \
    {                                                                                          \
        __VA_ARGS__                                                                            \
    }

/* 0, 1, 2, ... in row-major order. */
static us_tensor counted(fix *f, us_dtype t, int rank, const int64_t *dims)
{
    us_tensor x;
    CHECK_OK(&f->c, us_tensor_new(&f->c, f->a, t, rank, dims, &x));
    for (int64_t i = 0; i < us_tensor_count(&x); i++)
        us_dtype_get(t)->from_i64(x.data, (size_t)i, 1, &i);
    return x;
}

static us_tensor transposed(const us_tensor *t, int i, int j)
{
    us_tensor v = *t;
    v.dims[i] = t->dims[j];
    v.dims[j] = t->dims[i];
    v.strides[i] = t->strides[j];
    v.strides[j] = t->strides[i];
    return v;
}

static us_tensor reversed(const us_tensor *t, int i)
{
    us_tensor v = *t;
    int64_t size = us_dtype_get(t->dtype)->bits / 8;
    v.data = (char *)t->data + (t->dims[i] - 1) * t->strides[i] * size;
    v.strides[i] = -t->strides[i];
    return v;
}

static void test_dims__count_and_limits(void)
{
    int64_t n = -1;
    CHECK(us_dims_count(0, NULL, &n) && n == 1);
    CHECK(us_dims_count(DIMS(3, 4), &n) && n == 12);
    CHECK(us_dims_count(DIMS(1 << 20, 1 << 20, 0), &n) && n == 0);
    CHECK(!us_dims_count(DIMS(1 << 20, 0, 1 << 20, 2),
                         &n)); /* an empty tensor's dims multiply too */
    CHECK(!us_dims_count(DIMS(0, INT64_MAX), &n));
    CHECK(!us_dims_count(DIMS(0, -1), &n) && !us_dims_count(DIMS(-3), &n));
    CHECK(us_dims_count(DIMS(1 << 20, 1 << 20), &n) && n == US_MAX_ELEMENTS);
    CHECK(!us_dims_count(DIMS(1 << 20, 1 << 20, 2), &n));
    CHECK(!us_dims_count(DIMS(INT64_MAX, 2), &n));
    CHECK_EQ_I64(n, US_MAX_ELEMENTS); /* untouched on failure */
}

static void test_tensor__refusals(void)
{
    fix f;
    begin(&f);
    us_tensor t = {.rank = 77};
    int64_t many[US_MAX_RANK + 1] = {0};
    CHECK_ERR(us_tensor_init(&f.c, &t, US_F32, US_MAX_RANK + 1, many, NULL), US_SHAPE);
    CHECK_ERR(us_tensor_init(&f.c, &t, US_F32, -1, many, NULL), US_SHAPE);
    CHECK_ERR(us_tensor_init(&f.c, &t, US_F32, DIMS(2, -1), NULL), US_SHAPE);
    CHECK_ERR(us_tensor_init(&f.c, &t, (us_dtype)77, DIMS(2), NULL), US_UNSUPP);
    CHECK_ERR(us_tensor_new(&f.c, f.a, US_F32, DIMS(1 << 30), &t), US_LIMIT);
    CHECK_EQ_I64(t.rank, 77);
    CHECK_OK(&f.c, us_tensor_init(&f.c, &t, US_F32, US_MAX_RANK, many, NULL));
    CHECK_OK(&f.c, us_tensor_new(&f.c, f.a, US_F32, DIMS(0, 1 << 20, 1 << 20), &t));
    CHECK_EQ_I64(us_tensor_count(&t), 0);
    CHECK_EQ_U64(us_tensor_bytes(&t), 0);
    CHECK(us_tensor_contiguous(&t));
    CHECK_OK(&f.c, us_tensor_copy(&f.c, &t, &t));
    end(&f);
}

static void test_broadcast__shapes(void)
{
    fix f;
    begin(&f);
    int rank;
    int64_t out[US_MAX_RANK];
    char text[160];
    CHECK_OK(&f.c, us_dims_broadcast(&f.c, DIMS(2, 1, 4), DIMS(3, 1), &rank, out));
    CHECK_EQ_STR(us_dims_print(rank, out, text, sizeof text), "[2,3,4]");
    CHECK_OK(&f.c, us_dims_broadcast(&f.c, DIMS(0), DIMS(1), &rank, out));
    CHECK_EQ_STR(us_dims_print(rank, out, text, sizeof text), "[0]");
    CHECK_OK(&f.c, us_dims_broadcast(&f.c, 0, NULL, 0, NULL, &rank, out));
    CHECK_EQ_STR(us_dims_print(rank, out, text, sizeof text), "[]");
    CHECK_ERR(us_dims_broadcast(&f.c, DIMS(2, 3), DIMS(2), &rank, out), US_SHAPE);
    CHECK(strstr(f.c.diag.text, "[2,3]") && strstr(f.c.diag.text, "[2]"));
    CHECK_ERR(us_dims_broadcast(&f.c, DIMS(0), DIMS(2), &rank, out), US_SHAPE);
    char tiny[5];
    CHECK_EQ_STR(us_dims_print(DIMS(100, 200), tiny, sizeof tiny), "[100");

    us_tensor x = counted(&f, US_I32, DIMS(2, 1, 3)), v, d;
    CHECK_OK(&f.c, us_tensor_broadcast_view(&f.c, &x, DIMS(4, 2, 5, 3), &v));
    CHECK_EQ_I64(us_tensor_i64_at(&v, 3 * 30 + 15 + 4 * 3 + 2), 5);
    CHECK_OK(&f.c, us_tensor_dup(&f.c, f.a, &v, &d));
    for (int64_t i = 0; i < us_tensor_count(&v); i++)
        CHECK_EQ_I64(((int32_t *)d.data)[i], us_tensor_i64_at(&v, i));
    CHECK_ERR(us_tensor_broadcast_view(&f.c, &x, DIMS(2, 1, 4), &v), US_SHAPE);
    CHECK_ERR(us_tensor_broadcast_view(&f.c, &x, DIMS(1, 3), &v), US_SHAPE);
    end(&f);
}

/* Any mix of transposition, reversal and unit dims, for each element size, against element access. */
static void test_copy__random_views(void)
{
    static const us_dtype types[] = {US_U8, US_I16, US_F32, US_I64, US_F64};
    fix f;
    begin(&f);
    us_rng r = us_rng_new(1, "views", 0);
    for (int round = 0; round < 400; round++) {
        us_mark m = us_arena_mark(f.a);
        int rank = 1 + (int)us_rng_below(&r, 5);
        int64_t dims[8];
        for (int i = 0; i < rank; i++)
            dims[i] = (int64_t)us_rng_below(&r, 5);
        us_tensor x = counted(&f, types[round % 5], rank, dims), v = x, d;
        for (int k = 0; k < 3 && us_tensor_count(&x); k++) {
            v = transposed(&v, (int)us_rng_below(&r, (uint64_t)rank),
                           (int)us_rng_below(&r, (uint64_t)rank));
            v = reversed(&v, (int)us_rng_below(&r, (uint64_t)rank));
        }
        CHECK_OK(&f.c, us_tensor_dup(&f.c, f.a, &v, &d));
        CHECK(us_tensor_contiguous(&d) && us_tensor_same_dims(&d, &v));
        for (int64_t i = 0; i < us_tensor_count(&v); i++)
            CHECK_EQ_I64(us_tensor_i64_at(&d, i), us_tensor_i64_at(&v, i));
        us_tensor f64;
        CHECK_OK(&f.c, us_tensor_new(&f.c, f.a, US_F64, rank, v.dims, &f64));
        CHECK_OK(&f.c, us_tensor_convert(&f.c, &f64, &v)); /* strided source */
        CHECK_OK(&f.c, us_tensor_convert(&f.c, &v, &f64)); /* strided destination */
        for (int64_t i = 0; i < us_tensor_count(&v); i++) {
            CHECK_NEAR(us_tensor_f64_at(&f64, i), us_tensor_f64_at(&d, i), 0);
            CHECK_EQ_I64(us_tensor_i64_at(&v, i), us_tensor_i64_at(&d, i));
        }
        us_arena_reset(f.a, m);
    }
    end(&f);
}

static void test_copy__refusals(void)
{
    fix f;
    begin(&f);
    us_tensor a = counted(&f, US_F32, DIMS(2, 3)), b = counted(&f, US_F32, DIMS(3, 2)),
              i = counted(&f, US_I32, DIMS(2, 3)), s;
    CHECK_ERR(us_tensor_copy(&f.c, &a, &b), US_SHAPE);
    CHECK_ERR(us_tensor_copy(&f.c, &a, &i), US_ARG);
    CHECK_OK(&f.c, us_tensor_new(&f.c, f.a, US_STRING, DIMS(2, 3), &s));
    CHECK_ERR(us_tensor_convert(&f.c, &a, &s), US_UNSUPP);
    CHECK_NEAR(us_tensor_f64_at(&a, 5), 5, 0);
    end(&f);
}

static void test_convert__keeps_64_bits_and_packs(void)
{
    fix f;
    begin(&f);
    us_tensor u = counted(&f, US_U64, DIMS(1)), i = counted(&f, US_I64, DIMS(1));
    *(uint64_t *)u.data = UINT64_MAX - 1;
    CHECK_OK(&f.c, us_tensor_convert(&f.c, &i, &u));
    CHECK_EQ_I64(*(int64_t *)i.data, -2);
    us_tensor x = counted(&f, US_F32, DIMS(7, 3)), p = counted(&f, US_U4, DIMS(7, 3)), y = x;
    CHECK_OK(&f.c, us_tensor_convert(&f.c, &p, &x));
    CHECK_EQ_U64(us_tensor_bytes(&p), 11);
    CHECK_OK(&f.c, us_tensor_convert(&f.c, &y, &p));
    for (int64_t k = 0; k < 21; k++)
        CHECK_NEAR(us_tensor_f64_at(&y, k), k > 15 ? 15 : k, 0);
    end(&f);
}

static void test_iter__merges_dense_and_covers_all(void)
{
    fix f;
    begin(&f);
    us_tensor x = counted(&f, US_F32, DIMS(4, 5, 6)), t = transposed(&x, 0, 2), z, s;
    us_nd_iter it;
    us_nd_iter_init(&it, 1, (const us_tensor *const[]){&x});
    CHECK_EQ_I64(it.inner, 120);
    CHECK_EQ_I64(it.rank, 0);
    us_nd_iter_next(&it);
    CHECK(it.done);
    CHECK_OK(&f.c, us_tensor_init(&f.c, &s, US_F32, 0, NULL, x.data));
    us_nd_iter_init(&it, 1, (const us_tensor *const[]){&s});
    CHECK(!it.done && it.inner == 1);
    CHECK_OK(&f.c, us_tensor_init(&f.c, &z, US_F32, DIMS(3, 0, 2), NULL));
    us_nd_iter_init(&it, 1, (const us_tensor *const[]){&z});
    CHECK(it.done);
    bool seen[120] = {false};
    int64_t i = 0;
    for (us_nd_iter_init(&it, 1, (const us_tensor *const[]){&t}); !it.done;
         us_nd_iter_next(&it))
        for (int64_t k = 0; k < it.inner; k++, i++) {
            int64_t off = it.offset[0] + k * it.inner_stride[0];
            CHECK(off >= 0 && off < 120 && !seen[off]);
            seen[off] = true;
            CHECK_NEAR(((float *)x.data)[off], us_tensor_f64_at(&t, i),
                       0); /* row-major order */
        }
    CHECK_EQ_I64(i, 120);
    end(&f);
}

static us_value nested(fix *f, int depth)
{
    us_tensor x = counted(f, US_F32, DIMS(2));
    us_value v = us_value_of(&x);
    for (int i = 0; i < depth; i++) {
        us_value *item = us_new(f->a, us_value);
        CHECK(item != NULL);
        *item = v;
        v = (us_value){.kind = US_KIND_SEQUENCE, .items = item, .n_items = 1};
    }
    return v;
}

static void test_value__dup_is_deep_and_bounded(void)
{
    fix f;
    begin(&f);
    us_value v = nested(&f, 3), d;
    CHECK_OK(&f.c, us_value_dup(&f.c, f.a, &v, &d));
    CHECK_OK(&f.c, us_value_compare(&f.c, &d, &v, 0, 0));
    ((float *)v.items->items->items->t.data)[1] = 5;
    CHECK_ERR(us_value_compare(&f.c, &d, &v, 0, 0.1), US_NO);
    CHECK(strstr(f.c.diag.text, "item 0") && strstr(f.c.diag.text, "expected 5"));
    v = nested(&f, US_MAX_VALUE_DEPTH);
    CHECK_OK(&f.c, us_value_dup(&f.c, f.a, &v, &d));
    v = nested(&f, US_MAX_VALUE_DEPTH + 1);
    CHECK_ERR(us_value_dup(&f.c, f.a, &v, &d), US_LIMIT);
    us_tensor s;
    char word[] = "word";
    CHECK_OK(&f.c, us_tensor_new(&f.c, f.a, US_STRING, DIMS(1), &s));
    *(us_sv *)s.data = us_sv_of(word);
    v = us_value_of(&s);
    CHECK_OK(&f.c, us_value_dup(&f.c, f.a, &v, &d));
    word[0] = 'x'; /* the copy has its own bytes */
    CHECK(us_sv_is(us_tensor_str_at(&d.t, 0), "word"));
    CHECK_ERR(us_value_compare(&f.c, &d, &v, 0, 0), US_NO);
    end(&f);
}

static void test_value__compare(void)
{
    fix f;
    begin(&f);
    float a[] = {1, NAN, INFINITY, -INFINITY}, b[] = {1.0001f, NAN, INFINITY, -INFINITY};
    us_tensor x, y;
    CHECK_OK(&f.c, us_tensor_init(&f.c, &x, US_F32, DIMS(4), a));
    CHECK_OK(&f.c, us_tensor_init(&f.c, &y, US_F32, DIMS(4), b));
    us_value v = us_value_of(&x), w = us_value_of(&y), none = {0};
    CHECK_OK(&f.c, us_value_compare(&f.c, &v, &w, 1e-3, 0));
    CHECK_OK(&f.c, us_value_compare(&f.c, &v, &w, 0, 1e-3));
    CHECK_ERR(us_value_compare(&f.c, &v, &w, 1e-5, 0), US_NO);
    b[2] = -INFINITY;
    CHECK_ERR(us_value_compare(&f.c, &v, &w, 1, 1), US_NO);
    CHECK_ERR(us_value_compare(&f.c, &v, &none, 1, 1), US_NO);
    w.t.dims[0] = 3;
    CHECK_ERR(us_value_compare(&f.c, &v, &w, 1, 1), US_NO);
    CHECK(strstr(f.c.diag.text, "[4]") && strstr(f.c.diag.text, "[3]"));
    float p[] = {1, 2, 3, 4}, q[] = {1, 2, 3, 4.5f};
    us_tensor cx, cy;
    CHECK_OK(&f.c, us_tensor_init(&f.c, &cx, US_C64, DIMS(2), p));
    CHECK_OK(&f.c, us_tensor_init(&f.c, &cy, US_C64, DIMS(2), q));
    v = us_value_of(&cx);
    w = us_value_of(&cy);
    CHECK_OK(&f.c, us_value_compare(&f.c, &v, &w, 0, 0.5));
    CHECK_ERR(us_value_compare(&f.c, &v, &w, 0, 0.4), US_NO);
    end(&f);
}

static us_err make_and_copy(us_ctx *c, void *arg)
{
    us_arena *a;
    us_tensor x, y;
    us_value v, d, items[2];
    const int64_t dims[] = {20, 30}, n_texts = 300;
    us_err e;
    (void)arg;
    US_TRY(us_arena_new(c, "t", (size_t)1 << 26, &a));
    US_GO(us_tensor_new(c, a, US_F32, 2, dims, &x));
    US_GO(us_tensor_new(c, a, US_STRING, 1, &n_texts, &y));
    for (int i = 0; i < 300; i++)
        ((us_sv *)y.data)[i] = US_SV("some text of a few dozen bytes");
    items[0] = us_value_of(&x);
    items[1] = us_value_of(&y);
    v = (us_value){.kind = US_KIND_SEQUENCE, .items = items, .n_items = 2};
    US_GO(us_value_dup(c, a, &v, &d));
    US_GO(us_value_compare(c, &d, &v, 0, 0));
out:
    us_arena_free(a);
    return e;
}

static void test_value__nomem(void)
{
    us_torture("value", make_and_copy, NULL);
}

static const us_test_case cases[] = {
    US_CASE(test_dims__count_and_limits),
    US_CASE(test_tensor__refusals),
    US_CASE(test_broadcast__shapes),
    US_CASE(test_copy__random_views),
    US_CASE(test_copy__refusals),
    US_CASE(test_convert__keeps_64_bits_and_packs),
    US_CASE(test_iter__merges_dense_and_covers_all),
    US_CASE(test_value__dup_is_deep_and_bounded),
    US_CASE(test_value__compare),
    US_CASE(test_value__nomem),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
