/* capi/values.c - sequences, maps and optional values of callers, and ours for them.
 *
 * Inputs are views: only the arrays of items are made anew. Outputs that are no tensors are copied whole, because what the engine
 * made of them goes with its next run, which may have this very value as an input; a tensor stays a view, and the engine refuses
 * it as an input of the next run.
 */
#include "capi/capi.h"

static us_err value_in(us_ctx *c, us_arena *a, const usta_value *v, size_t i, int depth,
                       us_value *out);

static us_err items_in(us_ctx *c, us_arena *a, const usta_value *v, size_t i, int depth,
                       us_value *out)
{
    if (v->n_items && !v->items)
        return us_fail(c, US_ARG, "input %zu: %zu items, but no list of them", i, v->n_items);
    out->n_items = v->n_items;
    out->items = us_new_n(a, us_value, v->n_items);
    if (!out->items) return us_arena_fail(c, a);
    for (size_t k = 0; k < v->n_items; k++)
        US_TRY(value_in(c, a, &v->items[k], i, depth + 1, &out->items[k]));
    return US_OK;
}

static us_err keys_in(us_ctx *c, const usta_value *v, size_t i, us_tensor *out)
{
    US_TRY(us_capi_tensor(c, &v->tensor, "keys of input", i, true, out));
    if (out->rank != 1 || out->dims[0] < 0 || (uint64_t)out->dims[0] != v->n_items)
        return us_fail(c, US_ARG,
                       "input %zu: a map of %zu items has keys of rank %d, %lld of them", i,
                       v->n_items, (int)out->rank, out->rank ? (long long)out->dims[0] : 1);
    return US_OK;
}

static us_err value_in(us_ctx *c, us_arena *a, const usta_value *v, size_t i, int depth,
                       us_value *out)
{
    us_value own = {.kind = (us_kind)v->kind};
    if (depth > US_MAX_VALUE_DEPTH)
        return us_fail(c, US_ARG, "input %zu is nested deeper than %d", i, US_MAX_VALUE_DEPTH);
    if (v->kind == USTA_KIND_TENSOR)
        US_TRY(us_capi_tensor(c, &v->tensor, "input", i, true, &own.t));
    else if (v->kind == USTA_KIND_MAP)
        US_TRY(keys_in(c, v, i, &own.t));
    else if (v->kind != USTA_KIND_SEQUENCE && v->kind != USTA_KIND_NONE)
        return us_fail(c, US_ARG, "input %zu: values are not of kind %d", i, (int)v->kind);
    if (v->kind == USTA_KIND_SEQUENCE || v->kind == USTA_KIND_MAP)
        US_TRY(items_in(c, a, v, i, depth, &own));
    *out = own;
    return US_OK;
}

us_err us_capi_value_in(us_ctx *c, us_arena *a, const usta_value *v, size_t i, us_value *out)
{
    return value_in(c, a, v, i, 0, out);
}

/* Strings are looked at each time. */
static bool tensor_like(us_tensor *have, const usta_tensor *t)
{
    if (t->type != (usta_type)have->dtype || t->rank != have->rank ||
        t->type == USTA_TYPE_STRING || !t->data)
        return false;
    for (int32_t d = 0; d < have->rank; d++)
        if (t->dims[d] != have->dims[d]) return false;
    have->data = t->data;
    return true;
}

bool us_capi_like_tensor(us_value *have, const usta_tensor *t)
{
    return have->kind == US_KIND_TENSOR && tensor_like(&have->t, t);
}

bool us_capi_like(us_value *have, const usta_value *v)
{
    if ((usta_kind)have->kind != v->kind || have->kind == US_KIND_NONE) return false;
    if (have->kind == US_KIND_TENSOR) return tensor_like(&have->t, &v->tensor);
    if (have->n_items != v->n_items || (v->n_items && !v->items)) return false;
    if (have->kind == US_KIND_MAP && !tensor_like(&have->t, &v->tensor)) return false;
    for (size_t i = 0; i < have->n_items; i++)
        if (!us_capi_like(&have->items[i], &v->items[i])) return false;
    return true;
}

/* v is dense. */
static us_err value_out(us_ctx *c, us_arena *a, const us_value *v, usta_value *out)
{
    usta_value own = {.kind = (usta_kind)v->kind, .n_items = v->n_items};
    if (v->kind == US_KIND_TENSOR || v->kind == US_KIND_MAP) us_capi_public(&v->t, &own.tensor);
    if (v->n_items) {
        usta_value *items = us_new_n(a, usta_value, v->n_items);
        if (!items) return us_arena_fail(c, a);
        for (size_t k = 0; k < v->n_items; k++)
            US_TRY(value_out(c, a, &v->items[k], &items[k]));
        own.items = items;
    }
    *out = own;
    return US_OK;
}

us_err us_capi_value_view(us_ctx *c, us_arena *a, const us_value *v, usta_value *out)
{
    return value_out(c, a, v, out);
}

us_err us_capi_value_out(us_ctx *c, us_arena *a, const us_value *v, usta_value *out)
{
    us_value own = *v;
    if (v->kind != US_KIND_TENSOR || !us_tensor_contiguous(&v->t))
        US_TRY(us_value_dup(c, a, v, &own));
    return value_out(c, a, &own, out);
}
