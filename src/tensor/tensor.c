/* tensor/tensor.c - describing, copying, converting, broadcasting views. */
#include "tensor/tensor.h"

#include <stdio.h>
#include <string.h>

bool us_dims_count(int rank, const int64_t *dims, int64_t *out)
{
    int64_t n = 1;
    bool empty = false;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0 || dims[i] > US_MAX_ELEMENTS / n) return false;
        if (dims[i] == 0)
            empty = true;
        else
            n *= dims[i];
    }
    *out = empty ? 0 : n;
    return true;
}

void us_dims_strides(int rank, const int64_t *dims, int64_t *strides)
{
    int64_t s = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = s;
        s *= dims[i] > 0 ? dims[i] : 1;
    }
}

const char *us_dims_print(int rank, const int64_t *dims, char *out, size_t out_bytes)
{
    size_t n = 0;
    (void)snprintf(out, out_bytes, "[");
    for (int i = 0; i < rank; i++) {
        n = strlen(out);
        (void)snprintf(out + n, out_bytes - n, "%s%lld", i ? "," : "", (long long)dims[i]);
    }
    n = strlen(out);
    (void)snprintf(out + n, out_bytes - n, "]");
    return out;
}

us_err us_dims_broadcast(us_ctx *c, int ra, const int64_t *a, int rb, const int64_t *b,
                         int *rank, int64_t *out)
{
    int64_t r[US_MAX_RANK];
    int n = ra > rb ? ra : rb;
    for (int i = 0; i < n; i++) {
        int64_t x = i < ra ? a[ra - 1 - i] : 1, y = i < rb ? b[rb - 1 - i] : 1;
        if (x != y && x != 1 && y != 1) {
            char sa[200], sb[200];
            return us_fail(
                c, US_SHAPE,
                "cannot broadcast %s with %s: dimension %d from the right is %lld against %lld",
                us_dims_print(ra, a, sa, sizeof sa), us_dims_print(rb, b, sb, sizeof sb), i + 1,
                (long long)x, (long long)y);
        }
        r[n - 1 - i] = x == 1 ? y : x;
    }
    memcpy(out, r, (size_t)n * sizeof *r);
    *rank = n;
    return US_OK;
}

us_err us_tensor_init(us_ctx *c, us_tensor *t, us_dtype dtype, int rank, const int64_t *dims,
                      void *data)
{
    int64_t n;
    char text[200];
    if (rank < 0 || rank > US_MAX_RANK)
        return us_fail(c, US_SHAPE, "tensor of rank %d: expected 0 to %d", rank, US_MAX_RANK);
    if (!us_dtype_get(dtype)->bits)
        return us_fail(c, US_UNSUPP, "element type number %d is not known", (int)dtype);
    if (!us_dims_count(rank, dims, &n))
        return us_fail(
            c, US_SHAPE,
            "tensor %s %s: a dimension is negative or there are more than 2^40 elements",
            us_dtype_get(dtype)->name, us_dims_print(rank, dims, text, sizeof text));
    us_tensor r = {.dtype = dtype, .rank = rank, .data = data};
    if (rank) memcpy(r.dims, dims, (size_t)rank * sizeof *dims);
    us_dims_strides(rank, r.dims, r.strides);
    *t = r;
    return US_OK;
}

us_err us_tensor_new(us_ctx *c, us_arena *a, us_dtype dtype, int rank, const int64_t *dims,
                     us_tensor *out)
{
    us_tensor t;
    US_TRY(us_tensor_init(c, &t, dtype, rank, dims, NULL));
    t.data = us_arena_alloc(a, us_tensor_bytes(&t), 1, 64);
    if (!t.data) return us_arena_fail(c, a);
    *out = t;
    return US_OK;
}

int64_t us_tensor_count(const us_tensor *t)
{
    int64_t n = 1;
    return us_dims_count(t->rank, t->dims, &n) ? n : 0;
}

size_t us_tensor_bytes(const us_tensor *t)
{
    size_t n = 0;
    return us_dtype_bytes(t->dtype, (size_t)us_tensor_count(t), &n) ? n : 0;
}

bool us_tensor_contiguous(const us_tensor *t)
{
    int64_t s = 1;
    for (int i = 0; i < t->rank; i++)
        if (!t->dims[i]) return true;
    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->dims[i] != 1 && t->strides[i] != s) return false;
        s *= t->dims[i];
    }
    return true;
}

bool us_tensor_same_dims(const us_tensor *a, const us_tensor *b)
{
    return a->rank == b->rank &&
           (!a->rank || !memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims));
}

static us_err same_dims_check(us_ctx *c, const us_tensor *dst, const us_tensor *src)
{
    char a[200], b[200];
    if (us_tensor_same_dims(dst, src)) return US_OK;
    return us_fail(c, US_SHAPE, "copy from %s into %s: the shapes differ",
                   us_dims_print(src->rank, src->dims, a, sizeof a),
                   us_dims_print(dst->rank, dst->dims, b, sizeof b));
}

static char *at(const us_tensor *t, int64_t element)
{
    return (char *)t->data + element * (int64_t)(us_dtype_get(t->dtype)->bits / 8);
}

/* One run of elements of `size` bytes between strided places; constant sizes let the compiler unroll. */
static void copy_run(char *d, int64_t ds, const char *s, int64_t ss, int64_t n, size_t size)
{
    if (ds == 1 && ss == 1) {
        memcpy(d, s, (size_t)n * size);
        return;
    }
#define RUN(k)                                                                                 \
    for (int64_t i = 0; i < n; i++)                                                            \
    memcpy(d + i * ds * k, s + i * ss * k, k)
    if (size == 4)
        RUN(4);
    else if (size == 1)
        RUN(1);
    else if (size == 8)
        RUN(8);
    else if (size == 2)
        RUN(2);
    else
        RUN(16);
#undef RUN
}

us_err us_tensor_copy(us_ctx *c, us_tensor *dst, const us_tensor *src)
{
    US_TRY(same_dims_check(c, dst, src));
    if (dst->dtype != src->dtype)
        return us_fail(c, US_ARG, "copy from %s into %s: the element types differ",
                       us_dtype_get(src->dtype)->name, us_dtype_get(dst->dtype)->name);
    if (!us_tensor_count(src)) return US_OK;
    if (us_tensor_contiguous(dst) && us_tensor_contiguous(src)) {
        memmove(dst->data, src->data, us_tensor_bytes(src));
        return US_OK;
    }
    size_t size = us_dtype_get(src->dtype)->bits / 8;
    if (!size)
        return us_fail(c, US_UNSUPP, "packed %s tensors are contiguous only",
                       us_dtype_get(src->dtype)->name);
    us_nd_iter it;
    for (us_nd_iter_init(&it, 2, (const us_tensor *const[]){dst, src}); !it.done;
         us_nd_iter_next(&it))
        copy_run(at(dst, it.offset[0]), it.inner_stride[0], at(src, it.offset[1]),
                 it.inner_stride[1], it.inner, size);
    return US_OK;
}

static us_err dup_strings(us_ctx *c, us_arena *a, us_tensor *t)
{
    us_sv *s = t->data;
    int64_t n = us_tensor_count(t);
    for (int64_t i = 0; i < n; i++)
        US_TRY(us_sv_dup(c, a, s[i], &s[i]));
    return US_OK;
}

us_err us_tensor_dup(us_ctx *c, us_arena *a, const us_tensor *src, us_tensor *out)
{
    us_tensor t;
    US_TRY(us_tensor_new(c, a, src->dtype, src->rank, src->dims, &t));
    US_TRY(us_tensor_copy(c, &t, src));
    if (t.dtype == US_STRING) US_TRY(dup_strings(c, a, &t));
    *out = t;
    return US_OK;
}

#define PIECE 256 /* elements converted at a time through the stack */

typedef struct route { /* one conversion, by doubles or by 64-bit integers */
    const us_dtype_info *from, *to;
    bool integers;
} route;

static void convert_piece(const route *r, void *dst, size_t d0, const void *src, size_t s0,
                          size_t n)
{
    union {
        double f[PIECE];
        int64_t i[PIECE];
    } v;
    if (r->integers) {
        r->from->to_i64(src, s0, n, v.i);
        r->to->from_i64(dst, d0, n, v.i);
    } else {
        r->from->to_f64(src, s0, n, v.f);
        r->to->from_f64(dst, d0, n, v.f);
    }
}

us_err us_tensor_convert(us_ctx *c, us_tensor *dst, const us_tensor *src)
{
    route r = {us_dtype_get(src->dtype), us_dtype_get(dst->dtype), false};
    US_TRY(same_dims_check(c, dst, src));
    if (dst->dtype == src->dtype) return us_tensor_copy(c, dst, src);
    if (!r.from->to_f64 || !r.to->to_f64)
        return us_fail(c, US_UNSUPP, "cannot convert %s into %s", r.from->name, r.to->name);
    r.integers = r.from->cls != US_DC_FLOAT &&
                 r.to->cls != US_DC_FLOAT; /* wraps, and keeps all 64 bits */
    if (!us_tensor_count(src)) return US_OK;
    us_nd_iter it;
    for (us_nd_iter_init(&it, 2, (const us_tensor *const[]){dst, src}); !it.done;
         us_nd_iter_next(&it)) {
        bool dense = it.inner_stride[0] == 1 && it.inner_stride[1] == 1;
        int64_t step = dense ? PIECE : 1;
        for (int64_t i = 0; i < it.inner; i += step)
            convert_piece(&r, dst->data, (size_t)(it.offset[0] + i * it.inner_stride[0]),
                          src->data, (size_t)(it.offset[1] + i * it.inner_stride[1]),
                          (size_t)US_MIN(step, it.inner - i));
    }
    return US_OK;
}

us_err us_tensor_broadcast_view(us_ctx *c, const us_tensor *src, int rank, const int64_t *dims,
                                us_tensor *out)
{
    us_tensor t;
    char a[200], b[200];
    US_TRY(us_tensor_init(c, &t, src->dtype, rank, dims, src->data));
    if (src->rank > rank) goto refuse;
    for (int i = 0; i < rank; i++) {
        int k = src->rank - rank + i; /* source dimension */
        if (k < 0 || src->dims[k] == 1)
            t.strides[i] = k >= 0 && dims[i] == 1 ? src->strides[k] : 0;
        else if (src->dims[k] == dims[i])
            t.strides[i] = src->strides[k];
        else
            goto refuse;
    }
    *out = t;
    return US_OK;
refuse:
    return us_fail(c, US_SHAPE, "cannot broadcast %s to %s",
                   us_dims_print(src->rank, src->dims, a, sizeof a),
                   us_dims_print(rank, dims, b, sizeof b));
}

/* Element offset of the i-th element in row-major order. */
static int64_t element(const us_tensor *t, int64_t i)
{
    int64_t off = 0;
    for (int k = t->rank - 1; k >= 0; k--) {
        off += i % t->dims[k] * t->strides[k];
        i /= t->dims[k];
    }
    return off;
}

double us_tensor_f64_at(const us_tensor *t, int64_t i)
{
    double v = 0;
    const us_dtype_info *d = us_dtype_get(t->dtype);
    if (d->to_f64) d->to_f64(t->data, (size_t)element(t, i), 1, &v);
    return v;
}

int64_t us_tensor_i64_at(const us_tensor *t, int64_t i)
{
    int64_t v = 0;
    const us_dtype_info *d = us_dtype_get(t->dtype);
    if (d->to_i64) d->to_i64(t->data, (size_t)element(t, i), 1, &v);
    return v;
}

us_sv us_tensor_str_at(const us_tensor *t, int64_t i)
{
    return t->dtype == US_STRING ? ((const us_sv *)t->data)[element(t, i)] : (us_sv){0};
}
