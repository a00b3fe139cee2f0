/* bench/zoo_quant.c - the int8 form: pairs of QuantizeLinear and DequantizeLinear, weights as integers.
 *
 * Ranges include 0, as everywhere, so that padding is exact. The scale of a bias is the product of both inputs' scales: the product sums in
 * that unit.
 */
#include <math.h>

#include "zoo.h"

float zoo_scale(zoo_range r)
{
    float lo = fminf(r.lo, 0), hi = fmaxf(r.hi, 0);
    return hi > lo ? (hi - lo) / 255 : 1;
}

static us_vid pair(zoo_net *n, us_vid v, zoo_range r)
{
    us_builder *b = &n->b;
    float s = zoo_scale(r);
    uint8_t zero = (uint8_t)lrintf(-fminf(r.lo, 0) / s);
    us_vid scale = us_b_f32(b, s);
    us_vid zp = us_b_const(b, NULL, US_U8, 0, NULL, &zero);
    us_vid y =
        us_b3(b, "DequantizeLinear", us_b3(b, "QuantizeLinear", v, scale, zp), scale, zp);
    if (n->n_pairs == 2 * ZOO_MAX_POINTS)
        b->err = us_fail(n->c, US_LIMIT, "more than %d pairs", 2 * ZOO_MAX_POINTS);
    if (b->err != US_OK) return US_NIL;
    n->pairs[n->n_pairs] = y;
    n->pair_ranges[n->n_pairs++] = r;
    return y;
}

us_vid zoo_point(zoo_net *n, us_vid v)
{
    if (n->form == ZOO_FLOAT || n->b.err != US_OK) return v;
    if (n->n_points == ZOO_MAX_POINTS) {
        n->b.err = us_fail(n->c, US_LIMIT, "more than %d tensors to quantise", ZOO_MAX_POINTS);
        return v;
    }
    n->points[n->n_points++] = v;
    return n->form == ZOO_QDQ ? pair(n, v, n->ranges[n->n_points - 1]) : v;
}

us_vid zoo_point_as(zoo_net *n, us_vid v, us_vid x)
{
    return n->form == ZOO_QDQ ? pair(n, v, zoo_range_of(n, x)) : v;
}

zoo_range zoo_range_of(zoo_net *n, us_vid v)
{
    for (size_t i = n->n_pairs; i-- > 0;)
        if (n->pairs[i] == v) return n->pair_ranges[i];
    if (n->b.err == US_OK)
        n->b.err = us_fail(n->c, US_BUG, "the range of value %u was not noted", (unsigned)v);
    return (zoo_range){0, 1};
}

/* x as DequantizeLinear over its first axis gives it back. */
static us_vid given_back(zoo_net *n, us_vid x, us_dtype type, int64_t channels,
                         const float *scales)
{
    us_builder *b = &n->b;
    void *zeros =
        us_arena_alloc(n->m->arena, (size_t)channels, sizeof(int32_t), sizeof(int32_t));
    if (!zeros) {
        b->err = us_fail(n->c, US_NOMEM, "zero points: no memory");
        return US_NIL;
    }
    us_vid y =
        us_b3(b, "DequantizeLinear", x, us_b_const(b, NULL, US_F32, 1, &channels, scales),
              us_b_const(b, NULL, type, 1, &channels, zeros));
    us_b_int(b, "axis", 0);
    return y;
}

us_vid zoo_int8_weights(zoo_net *n, int rank, const int64_t *dims, const float *w,
                        float *scales)
{
    int64_t each = 1;
    for (int i = 1; i < rank; i++)
        each *= dims[i];
    int8_t *q = us_arena_alloc(n->m->arena, (size_t)(dims[0] * each), 1, 1);
    if (!q) {
        n->b.err = us_fail(n->c, US_NOMEM, "weights: no memory");
        return US_NIL;
    }
    for (int64_t o = 0; o < dims[0]; o++) {
        float top = 1e-8F;
        for (int64_t i = 0; i < each; i++)
            top = fmaxf(top, fabsf(w[o * each + i]));
        scales[o] = top / 127;
        for (int64_t i = 0; i < each; i++)
            q[o * each + i] = (int8_t)lrintf(w[o * each + i] / scales[o]);
    }
    return given_back(n, us_b_const(&n->b, NULL, US_I8, rank, dims, q), US_I8, dims[0], scales);
}

us_vid zoo_int32_bias(zoo_net *n, int64_t len, const float *b, const float *scales,
                      float x_scale)
{
    int32_t *q = us_arena_alloc(n->m->arena, (size_t)len, sizeof *q, sizeof *q);
    float *s = us_arena_alloc(n->m->arena, (size_t)len, sizeof *s, sizeof *s);
    if (!q || !s) {
        n->b.err = us_fail(n->c, US_NOMEM, "bias: no memory");
        return US_NIL;
    }
    for (int64_t i = 0; i < len; i++) {
        s[i] = scales[i] * x_scale;
        q[i] = (int32_t)lrintf(b[i] / s[i]);
    }
    return given_back(n, us_b_const(&n->b, NULL, US_I32, 1, &len, q), US_I32, len, s);
}
