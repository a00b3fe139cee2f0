/* tensor/value.c - deep copies and comparisons of values of every kind. */
#include "tensor/value.h"

#include <math.h>
#include <string.h>

us_value us_value_of(const us_tensor *t)
{
    return (us_value){.kind = US_KIND_TENSOR, .t = *t};
}

static us_err dup_at(us_ctx *c, us_arena *a, const us_value *src, us_value *out, int depth)
{
    if (depth > US_MAX_VALUE_DEPTH)
        return us_fail(c, US_LIMIT, "value nested deeper than %d", US_MAX_VALUE_DEPTH);
    us_value v = {.kind = src->kind};
    if (src->kind == US_KIND_TENSOR || src->kind == US_KIND_MAP)
        US_TRY(us_tensor_dup(c, a, &src->t, &v.t));
    if (src->n_items) {
        v.items = us_new_n(a, us_value, src->n_items);
        if (!v.items) return us_arena_fail(c, a);
        v.n_items = src->n_items;
        for (size_t i = 0; i < src->n_items; i++)
            US_TRY(dup_at(c, a, &src->items[i], &v.items[i], depth + 1));
    }
    *out = v;
    return US_OK;
}

us_err us_value_dup(us_ctx *c, us_arena *a, const us_value *src, us_value *out)
{
    return dup_at(c, a, src, out, 0);
}

static bool close_enough(double g, double w, double rtol, double atol)
{
    if (isnan(g) || isnan(w)) return isnan(g) && isnan(w);
    if (isinf(g) || isinf(w)) return g == w;
    return fabs(g - w) <= atol + rtol * fabs(w);
}

static us_err compare_strings(us_ctx *c, const us_tensor *g, const us_tensor *w)
{
    int64_t n = us_tensor_count(g);
    for (int64_t i = 0; i < n; i++) {
        us_sv a = us_tensor_str_at(g, i), b = us_tensor_str_at(w, i);
        if (!us_sv_eq(a, b))
            return us_fail(c, US_NO,
                           "element %lld is '" US_SV_FMT "', expected '" US_SV_FMT "'",
                           (long long)i, US_SV_ARG(a), US_SV_ARG(b));
    }
    return US_OK;
}

static us_err compare_complex(us_ctx *c, const us_tensor *g, const us_tensor *w, double rtol,
                              double atol)
{
    us_tensor parts[2] = {*g, *w};
    int64_t n = us_tensor_count(g) * 2;
    for (int k = 0; k < 2; k++) {
        if (!us_tensor_contiguous(&parts[k]))
            return us_fail(c, US_UNSUPP, "complex views are compared dense only");
        parts[k].dtype = g->dtype == US_C64 ? US_F32 : US_F64;
        parts[k].rank = 1;
        parts[k].dims[0] = n;
        parts[k].strides[0] = 1;
    }
    us_value a = us_value_of(&parts[0]), b = us_value_of(&parts[1]);
    return us_value_compare(c, &a, &b, rtol, atol);
}

static us_err compare_floats(us_ctx *c, const us_tensor *g, const us_tensor *w, double rtol,
                             double atol)
{
    int64_t n = us_tensor_count(g), bad = 0, first = 0;
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double a = us_tensor_f64_at(g, i), b = us_tensor_f64_at(w, i);
        if (close_enough(a, b, rtol, atol)) continue;
        if (!bad++) first = i;
        if (fabs(a - b) > worst) worst = fabs(a - b);
    }
    if (!bad) return US_OK;
    return us_fail(c, US_NO,
                   "%lld of %lld elements differ (largest difference %.3g); first: element "
                   "%lld is %.9g, expected %.9g",
                   (long long)bad, (long long)n, worst, (long long)first,
                   us_tensor_f64_at(g, first), us_tensor_f64_at(w, first));
}

static us_err compare_integers(us_ctx *c, const us_tensor *g, const us_tensor *w)
{
    int64_t n = us_tensor_count(g);
    for (int64_t i = 0; i < n; i++)
        if (us_tensor_i64_at(g, i) != us_tensor_i64_at(w, i))
            return us_fail(c, US_NO, "element %lld is %lld, expected %lld", (long long)i,
                           (long long)us_tensor_i64_at(g, i),
                           (long long)us_tensor_i64_at(w, i));
    return US_OK;
}

static us_err compare_tensors(us_ctx *c, const us_tensor *g, const us_tensor *w, double rtol,
                              double atol)
{
    char a[200], b[200];
    const us_dtype_info *d = us_dtype_get(w->dtype);
    if (g->dtype != w->dtype)
        return us_fail(c, US_NO, "element type is %s, expected %s",
                       us_dtype_get(g->dtype)->name, d->name);
    if (!us_tensor_same_dims(g, w))
        return us_fail(c, US_NO, "shape is %s, expected %s",
                       us_dims_print(g->rank, g->dims, a, sizeof a),
                       us_dims_print(w->rank, w->dims, b, sizeof b));
    if (d->cls == US_DC_STRING) return compare_strings(c, g, w);
    if (d->cls == US_DC_COMPLEX) return compare_complex(c, g, w, rtol, atol);
    return d->cls == US_DC_FLOAT ? compare_floats(c, g, w, rtol, atol)
                                 : compare_integers(c, g, w);
}

static us_err compare_at(us_ctx *c, const us_value *got, const us_value *want, double rtol,
                         double atol, int depth)
{
    static const char *const kinds[] = {"nothing", "a tensor",    "a sequence",
                                        "a map",   "an optional", "a sparse tensor"};
    if (got->kind != want->kind)
        return us_fail(c, US_NO, "is %s, expected %s", kinds[got->kind], kinds[want->kind]);
    if (got->kind == US_KIND_TENSOR || got->kind == US_KIND_MAP) {
        us_err e = compare_tensors(c, &got->t, &want->t, rtol, atol);
        if (e != US_OK) return e;
    }
    if (got->n_items != want->n_items)
        return us_fail(c, US_NO, "has %zu items, expected %zu", got->n_items, want->n_items);
    if (got->n_items && depth == US_MAX_VALUE_DEPTH)
        return us_fail(c, US_LIMIT, "value nested deeper than %d", US_MAX_VALUE_DEPTH);
    for (size_t i = 0; i < got->n_items; i++) {
        us_err e = compare_at(c, &got->items[i], &want->items[i], rtol, atol, depth + 1);
        if (e != US_OK) return us_wrap(c, e, "item %zu", i);
    }
    return US_OK;
}

us_err us_value_compare(us_ctx *c, const us_value *got, const us_value *want, double rtol,
                        double atol)
{
    return compare_at(c, got, want, rtol, atol, 0);
}
