/* ir/op_qint.c - see op_qint.h.
 *
 * A product of two centred 8-bit numbers is at most 255 * 255, so BLOCK of them fit an int32; blocks are added up in
 * int64. Sums are exact, so neither the order nor the number of threads can change a byte.
 */
#include "ir/op_qint.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"

enum { BLOCK = 32768, PARTS = 8 };

us_err us_q_along(us_eval *k, const us_tensor *t, int trailing, us_tensor *out)
{
    int64_t dims[US_MAX_RANK], n = us_tensor_count(t);
    if (n != 1 && t->rank != 1) {
        *out = *t;
        return US_OK;
    }
    us_tensor dense;
    US_TRY(us_eval_as(k, t, t->dtype, &dense));
    if (n == 1) return us_tensor_init(k->c, out, t->dtype, 0, NULL, dense.data);
    dims[0] = n;
    for (int i = 1; i <= trailing; i++)
        dims[i] = 1;
    return us_tensor_init(k->c, out, t->dtype, trailing + 1, dims, dense.data);
}

us_err us_q_centre(us_eval *k, const us_tensor *x, const us_tensor *zero, us_tensor *out)
{
    us_tensor r, z;
    void *none;
    if (x->dtype != US_U8 && x->dtype != US_I8) return us_eval_no_type(k, x->dtype);
    if (zero && zero->dtype != x->dtype)
        return us_eval_fail(k, US_ARG, "zero point of type %s for values of type %s",
                            us_dtype_get(zero->dtype)->name, us_dtype_get(x->dtype)->name);
    US_TRY(us_tensor_init(k->c, &r, US_I16, x->rank, x->dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&r), &r.data));
    US_TRY(us_eval_scratch(k, 1, &none));
    *(uint8_t *)none = 0;
    US_TRY(us_tensor_init(k->c, &z, x->dtype, 0, NULL, none));
    US_TRY(us_tensor_broadcast_view(k->c, zero ? zero : &z, x->rank, x->dims, &z));
    us_nd_iter it;
    for (us_nd_iter_init(&it, 3, (const us_tensor *[]){&r, x, &z}); !it.done;
         us_nd_iter_next(&it)) {
        int16_t *to = us_at(&r, it.offset[0]);
        const void *from = us_at(x, it.offset[1]), *by = us_at(&z, it.offset[2]);
        int64_t sx = it.inner_stride[1], sz = it.inner_stride[2];
        if (x->dtype == US_U8)
            for (int64_t i = 0; i < it.inner; i++)
                to[i] =
                    (int16_t)(((const uint8_t *)from)[i * sx] - ((const uint8_t *)by)[i * sz]);
        else
            for (int64_t i = 0; i < it.inner; i++)
                to[i] =
                    (int16_t)(((const int8_t *)from)[i * sx] - ((const int8_t *)by)[i * sz]);
    }
    *out = r;
    return US_OK;
}

us_err us_q_product_open(us_eval *k, int64_t m, int64_t n, us_q_product *p)
{
    void *rows;
    *p = (us_q_product){.m = m, .n = n};
    p->grain = US_MAX(((size_t)m + PARTS - 1) / PARTS, (size_t)1);
    size_t n_parts = ((size_t)m + p->grain - 1) / p->grain, bytes;
    if (!us_mul_size(n_parts * sizeof *p->rows, (size_t)n, &bytes))
        return us_eval_fail(k, US_LIMIT, "too large");
    US_TRY(us_eval_scratch(k, bytes, &rows));
    p->rows = rows;
    return US_OK;
}

static void add_block(const us_q_product *p, int64_t i, int64_t from, int64_t to, int32_t *row)
{
    memset(row, 0, (size_t)p->n * sizeof *row);
    for (int64_t q = from; q < to; q++) {
        int32_t v = p->a[i * p->k + q];
        const int16_t *b = p->b + q * p->n;
        for (int64_t j = 0; j < p->n; j++)
            row[j] += v * b[j];
    }
}

static void product_rows(void *arg, size_t i0, size_t i1)
{
    const us_q_product *p = arg;
    int32_t *row = p->rows + i0 / p->grain * (size_t)p->n;
    for (int64_t i = (int64_t)i0; i < (int64_t)i1; i++) {
        int64_t *c = p->c + i * p->n;
        memset(c, 0, (size_t)p->n * sizeof *c);
        for (int64_t q = 0; q < p->k; q += BLOCK) {
            add_block(p, i, q, US_MIN(q + BLOCK, p->k), row);
            for (int64_t j = 0; j < p->n; j++)
                c[j] += row[j];
        }
    }
}

us_err us_q_product_run(us_eval *k, const us_q_product *p)
{
    us_q_product job = *p;
    US_TRY(us_eval_work(k, (double)p->m * (double)p->n * (double)p->k));
    if (p->m > 0 && p->n > 0)
        us_pool_run(k->c->pool, (size_t)p->m, p->grain, product_rows, &job);
    return US_OK;
}

/* r = f(a, b), broadcast, in scratch. */
static us_err combine(us_eval *k, us_binary f, const us_tensor *a, const us_tensor *b,
                      us_tensor *r)
{
    int rank;
    int64_t dims[US_MAX_RANK];
    US_TRY(us_dims_broadcast(k->c, a->rank, a->dims, b->rank, b->dims, &rank, dims));
    US_TRY(us_tensor_init(k->c, r, US_F32, rank, dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(r), &r->data));
    return us_eval_binary_into(k, f, r, a, b);
}

us_err us_q_scale(us_eval *k, const us_tensor *sa, const us_tensor *sb, const us_tensor *sy,
                  us_tensor *out)
{
    us_tensor a, b, y, ab;
    US_TRY(us_eval_as(k, sa, US_F32, &a));
    US_TRY(us_eval_as(k, sb, US_F32, &b));
    US_TRY(us_eval_as(k, sy, US_F32, &y));
    US_TRY(combine(k, US_BIN_MUL, &a, &b, &ab));
    return combine(k, US_BIN_DIV, &ab, &y, out);
}

us_err us_q_put(us_eval *k, const us_tensor *sums, const us_tensor *scale,
                const us_tensor *zero)
{
    us_tensor *y, s, z;
    if (zero->dtype != US_U8 && zero->dtype != US_I8) return us_eval_no_type(k, zero->dtype);
    bool is_signed = zero->dtype == US_I8;
    US_TRY(us_eval_out(k, 0, zero->dtype, sums->rank, sums->dims, &y));
    US_TRY(us_tensor_broadcast_view(k->c, scale, sums->rank, sums->dims, &s));
    US_TRY(us_tensor_broadcast_view(k->c, zero, sums->rank, sums->dims, &z));
    float lo = is_signed ? -128 : 0, hi = is_signed ? 127 : 255;
    us_nd_iter it;
    for (us_nd_iter_init(&it, 4, (const us_tensor *[]){y, sums, &s, &z}); !it.done;
         us_nd_iter_next(&it)) {
        const int64_t *from = us_at(sums, it.offset[1]);
        const float *by = us_at(&s, it.offset[2]);
        const void *plus = us_at(&z, it.offset[3]);
        void *to = us_at(y, it.offset[0]);
        for (int64_t i = 0; i < it.inner; i++) {
            int64_t iz = i * it.inner_stride[3];
            float base = is_signed ? ((const int8_t *)plus)[iz] : ((const uint8_t *)plus)[iz];
            float q = (float)from[i * it.inner_stride[1]] * by[i * it.inner_stride[2]];
            q = nearbyintf(q) + base;
            q = isnan(q) ? base : fminf(fmaxf(q, lo), hi);
            if (is_signed)
                ((int8_t *)to)[i] = (int8_t)q;
            else
                ((uint8_t *)to)[i] = (uint8_t)q;
        }
    }
    return US_OK;
}

us_err us_q_put_i32(us_eval *k, const us_tensor *sums)
{
    us_tensor *y;
    US_TRY(us_eval_out(k, 0, US_I32, sums->rank, sums->dims, &y));
    const int64_t *from = sums->data;
    for (int64_t i = 0, n = us_tensor_count(sums); i < n; i++) {
        uint32_t low = (uint32_t)(uint64_t)from[i];
        memcpy((int32_t *)y->data + i, &low, sizeof low);
    }
    return US_OK;
}
