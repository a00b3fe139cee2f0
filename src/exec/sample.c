/* exec/sample.c - values of a type, from a counter-based generator. */
#include "exec/sample.h"

#include <math.h>

#include "base/rng.h"

#define SEQUENCE_ITEMS 2
#define MAP_KEYS       3

static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

static double number(us_rng *r, const us_sample *s, us_dclass cls)
{
    double u = us_rng_f64(r);
    if (s->kind == US_SAMPLE_ONES) return 1;
    if (cls != US_DC_FLOAT) return floor(2 * u);
    return s->kind == US_SAMPLE_SIGNED ? 2 * u - 1 : u;
}

static int64_t size_of(us_dim d, const us_sample *s)
{
    if (us_dim_known(d)) return d.add;
    int64_t x = s->size + (d.sym ? (int64_t)(d.sym % (uint64_t)(s->spread + 1)) : 0);
    int64_t n = (d.sym ? d.mul : 1) * x + d.add;
    return US_MAX(n, 0);
}

static us_err tensor(us_ctx *c, us_arena *a, const us_type *t, const us_sample *s, us_rng *r,
                     us_value *out)
{
    const us_dtype_info *d = us_dtype_get(t->dtype);
    int64_t dims[US_MAX_RANK] = {s->size};
    int32_t rank = t->rank < 0 ? 1 : t->rank;
    us_tensor x;
    if (t->dtype == US_DT_NONE || (t->dtype != US_STRING && !d->from_f64))
        return us_fail(c, US_UNSUPP, "there is no random tensor of element type %s", d->name);
    for (int32_t i = 0; i < t->rank; i++)
        dims[i] = size_of(t->dims[i], s);
    US_TRY(us_tensor_new(c, a, t->dtype, rank, dims, &x));
    int64_t n = us_tensor_count(&x);
    for (int64_t i = 0; i < n; i++) {
        double v = number(r, s, d->cls);
        if (t->dtype == US_STRING)
            ((us_sv *)x.data)[i] = (us_sv){&letters[us_rng_below(r, 26)], 1};
        else
            d->from_f64(x.data, (size_t)i, 1, &v);
    }
    *out = us_value_of(&x);
    return US_OK;
}

static us_err value(us_ctx *c, us_arena *a, const us_type *t, const us_sample *s, us_rng *r,
                    int depth, us_value *out)
{
    if (depth > US_MAX_VALUE_DEPTH)
        return us_fail(c, US_LIMIT, "a type is nested deeper than %d", US_MAX_VALUE_DEPTH);
    if (t->kind == US_KIND_TENSOR) return tensor(c, a, t, s, r, out);
    if (t->kind == US_KIND_OPTIONAL && t->elem)
        return value(c, a, t->elem, s, r, depth + 1, out);
    if ((t->kind != US_KIND_SEQUENCE && t->kind != US_KIND_MAP) || !t->elem)
        return us_fail(c, US_UNSUPP, "there is no random value of this type");
    us_value v = {.kind = t->kind};
    v.n_items = t->kind == US_KIND_MAP ? MAP_KEYS : SEQUENCE_ITEMS;
    v.items = us_new_n(a, us_value, v.n_items);
    if (!v.items) return us_arena_fail(c, a);
    for (size_t i = 0; i < v.n_items; i++)
        US_TRY(value(c, a, t->elem, s, r, depth + 1, &v.items[i]));
    if (t->kind == US_KIND_MAP) {
        int64_t n = MAP_KEYS;
        US_TRY(us_tensor_new(c, a, t->dtype, 1, &n, &v.t));
        for (int64_t i = 0; i < n; i++) {
            double key = (double)i;
            if (t->dtype == US_STRING)
                ((us_sv *)v.t.data)[i] = (us_sv){&letters[i], 1};
            else
                us_dtype_get(t->dtype)->from_f64(v.t.data, (size_t)i, 1, &key);
        }
    }
    *out = v;
    return US_OK;
}

us_err us_sample_value(us_ctx *c, us_arena *a, const us_type *t, const us_sample *s,
                       size_t input, us_value *out)
{
    us_rng r = us_rng_new(s->seed, "sample", s->index * 1000003 + input);
    return value(c, a, t, s, &r, 0, out);
}
