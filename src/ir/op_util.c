/* ir/op_util.c - helpers of evaluation and inference; see op_util.h. */
#include "ir/op_util.h"

#include <string.h>

/* --- inference ----------------------------------------------------------------------------------- */

bool us_axis_norm(int64_t axis, int rank, int *out)
{
    if (axis < -rank || axis >= rank) return false;
    *out = (int)(axis < 0 ? axis + rank : axis);
    return true;
}

us_err us_infer_fail(us_infer *k, us_err code, const char *why)
{
    return us_fail(k->c, code, "%s", why);
}

us_err us_infer_axis(us_infer *k, int64_t axis, int rank, int *out)
{
    if (us_axis_norm(axis, rank, out)) return US_OK;
    return us_fail(k->c, US_SHAPE, "axis %lld of a tensor of rank %d", (long long)axis, rank);
}

us_err us_infer_fresh(us_infer *k, us_dim *out)
{
    us_sym s;
    US_TRY(us_syms_fresh(k->c, &k->m->syms, &s));
    *out = US_DIM_SYM(s);
    return US_OK;
}

us_err us_infer_rank(us_infer *k, size_t i, us_dtype dtype, int rank)
{
    us_dim d[US_MAX_RANK];
    if (rank > US_MAX_RANK) return us_infer_fail(k, US_SHAPE, "result has too many dimensions");
    for (int r = 0; r < rank; r++)
        US_TRY(us_infer_fresh(k, &d[r]));
    return us_infer_out(k, i, dtype, rank, d);
}

const us_type *us_infer_ranked(us_infer *k, size_t i)
{
    const us_type *t = us_infer_in(k, i);
    return t && t->kind == US_KIND_TENSOR && t->rank >= 0 ? t : NULL;
}

bool us_infer_ints(us_infer *k, size_t i, size_t max, int64_t *out, size_t *n)
{
    const us_dim *d;
    size_t count;
    if (!us_infer_in_elems(k, i, &count, &d) || count > max) return false;
    for (size_t j = 0; j < count; j++)
        if (!us_dim_known(d[j])) return false;
    for (size_t j = 0; j < count; j++)
        out[j] = d[j].add;
    *n = count;
    return true;
}

us_err us_infer_shape(us_infer *k, size_t i, bool *known, size_t *n, us_dim *d)
{
    const us_dim *e = NULL;
    const us_type *t = us_infer_ranked(k, i);
    *known = us_infer_in_elems(k, i, n, &e) && *n <= US_MAX_RANK;
    if (!*known) {
        e = NULL;
        if (!t || t->rank != 1 || !us_dim_known(t->dims[0]) || t->dims[0].add > US_MAX_RANK)
            return US_OK;
        *n = (size_t)t->dims[0].add;
        *known = true;
    }
    for (size_t j = 0; j < *n; j++)
        if (e && !us_dim_is_any(e[j]))
            d[j] = e[j];
        else
            US_TRY(us_infer_fresh(k, &d[j]));
    return US_OK;
}

bool us_infer_length(us_infer *k, size_t i, int64_t *out)
{
    const us_type *t = us_infer_ranked(k, i);
    if (!t || t->rank > 1 || (t->rank == 1 && !us_dim_known(t->dims[0]))) return false;
    *out = t->rank ? t->dims[0].add : 1;
    return true;
}

bool us_infer_has(us_infer *k, size_t i)
{
    const us_node *n = &k->g->nodes.at[k->n];
    return i < n->n_in && n->in[i] != US_NIL;
}

/* --- evaluation ---------------------------------------------------------------------------------- */

bool us_is_half(us_dtype t)
{
    return t == US_F16 || t == US_BF16;
}

us_err us_eval_no_type(us_eval *k, us_dtype t)
{
    return us_eval_fail(k, US_UNSUPP, "no kernel for elements of type %s",
                        us_dtype_get(t)->name);
}

us_err us_eval_axis(us_eval *k, int64_t axis, int rank, int *out)
{
    if (us_axis_norm(axis, rank, out)) return US_OK;
    return us_eval_fail(k, US_SHAPE, "axis %lld of a tensor of rank %d", (long long)axis, rank);
}

us_err us_eval_as(us_eval *k, const us_tensor *t, us_dtype to, us_tensor *out)
{
    if (t->dtype == to && us_tensor_contiguous(t)) {
        *out = *t;
        return US_OK;
    }
    us_tensor r;
    US_TRY(us_tensor_init(k->c, &r, to, t->rank, t->dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&r), &r.data));
    US_TRY(t->dtype == to ? us_tensor_copy(k->c, &r, t) : us_tensor_convert(k->c, &r, t));
    *out = r;
    return US_OK;
}

us_err us_eval_ints(us_eval *k, size_t i, size_t *n, const int64_t **p)
{
    const us_tensor *t = us_eval_opt(k, i);
    if (!t) {
        *n = 0;
        *p = NULL;
        return US_OK;
    }
    uint8_t cls = us_dtype_get(t->dtype)->cls;
    if (cls != US_DC_INT && cls != US_DC_UINT)
        return us_eval_fail(k, US_ARG, "input %zu holds %s, expected integers", i,
                            us_dtype_get(t->dtype)->name);
    us_tensor v;
    US_TRY(us_eval_as(k, t, US_I64, &v));
    *n = (size_t)us_tensor_count(&v);
    *p = v.data;
    return US_OK;
}

us_err us_eval_scalar(us_eval *k, size_t i, double fallback, double *out)
{
    const us_tensor *t = us_eval_opt(k, i);
    if (!t) {
        *out = fallback;
        return US_OK;
    }
    if (!us_dtype_get(t->dtype)->to_f64) return us_eval_no_type(k, t->dtype);
    if (us_tensor_count(t) != 1)
        return us_eval_fail(k, US_SHAPE, "input %zu has %lld elements, expected one number", i,
                            (long long)us_tensor_count(t));
    *out = us_tensor_f64_at(t, 0);
    return US_OK;
}

us_err us_eval_put_view(us_eval *k, size_t i, const us_tensor *view)
{
    us_tensor *y;
    US_TRY(us_eval_out(k, i, view->dtype, view->rank, view->dims, &y));
    return us_tensor_copy(k->c, y, view);
}

/* --- half precision through float ------------------------------------------------------------------ */

enum { WIDE_MAX = 64 }; /* inputs and outputs of one node that the wrapper can hold */

typedef struct wide_env {
    us_eval_env base;
    us_eval *outer;
} wide_env;

static us_err wide_out(us_eval_env *env, us_eval *k, size_t i, us_tensor *t)
{
    (void)k, (void)i;
    return us_eval_scratch(((wide_env *)env)->outer, us_tensor_bytes(t), &t->data);
}
static us_err wide_scratch(us_eval_env *env, us_eval *k, size_t bytes, void **out)
{
    (void)k;
    return us_eval_scratch(((wide_env *)env)->outer, bytes, out);
}
static us_arena *wide_dynamic(us_eval_env *env, us_eval *k)
{
    us_eval *o = ((wide_env *)env)->outer;
    (void)k;
    return o->env->dynamic(o->env, o);
}
static us_err wide_sub_run(us_eval_env *env, us_eval *k, us_graph *sub, size_t n_in,
                           const us_value *const *in, size_t n_out, us_value *out)
{
    us_eval *o = ((wide_env *)env)->outer;
    (void)k;
    return o->env->sub_run(o->env, o, sub, n_in, in, n_out, out);
}

static uint64_t wide_seed(us_eval_env *env, us_eval *k)
{
    us_eval *o = ((wide_env *)env)->outer;
    (void)k;
    return o->env->seed(o->env, o);
}

/* What a wrapped operator asks for comes from the wrapper's own environment. */
static wide_env wide_of(us_eval *k)
{
    return (wide_env){.base = {.out_tensor = wide_out,
                               .scratch = wide_scratch,
                               .dynamic = wide_dynamic,
                               .sub_run = wide_sub_run,
                               .seed = wide_seed,
                               .work_left = k->env->work_left},
                      .outer = k};
}

us_err us_eval_through(us_eval *k, us_dtype narrow, us_dtype wide_t, us_eval_fn *fn)
{
    if (k->n_in > WIDE_MAX || k->n_out > WIDE_MAX)
        return us_eval_fail(k, US_UNSUPP, "%s with more than %d inputs",
                            us_dtype_get(narrow)->name, WIDE_MAX);
    wide_env env = wide_of(k);
    us_value in[WIDE_MAX], out[WIDE_MAX];
    const us_value *pin[WIDE_MAX];
    us_value *pout[WIDE_MAX];
    for (size_t i = 0; i < k->n_in; i++) {
        pin[i] = k->in[i];
        if (!k->in[i] || k->in[i]->kind != US_KIND_TENSOR) continue;
        us_dtype is = k->in[i]->t.dtype;
        if (is != narrow && !(us_is_half(narrow) && us_is_half(is))) continue;
        us_tensor t;
        US_TRY(us_eval_as(k, &k->in[i]->t, wide_t, &t));
        in[i] = us_value_of(&t);
        pin[i] = &in[i];
    }
    for (size_t i = 0; i < k->n_out; i++) {
        out[i] = (us_value){0};
        pout[i] = k->out[i] ? &out[i] : NULL;
    }
    us_eval wide = *k;
    wide.prepared = NULL; /* it was made of other types */
    wide.in = pin;
    wide.out = pout;
    wide.env = &env.base;
    US_TRY(fn(&wide));
    for (size_t i = 0; i < k->n_out; i++) {
        if (!k->out[i] || out[i].kind != US_KIND_TENSOR) continue;
        us_dtype t = out[i].t.dtype == wide_t ? narrow : out[i].t.dtype;
        us_tensor *y;
        US_TRY(us_eval_out(k, i, t, out[i].t.rank, out[i].t.dims, &y));
        US_TRY(t == out[i].t.dtype ? us_tensor_copy(k->c, y, &out[i].t)
                                   : us_tensor_convert(k->c, y, &out[i].t));
    }
    return US_OK;
}

us_err us_eval_widened(us_eval *k, us_dtype half, us_eval_fn *fn)
{
    return us_eval_through(k, half, US_F32, fn);
}

bool us_is_packed(us_dtype t)
{
    return us_dtype_get(t)->bits < 8;
}

us_err us_eval_unpacked(us_eval *k, us_dtype packed, us_eval_fn *fn)
{
    us_dclass cls = (us_dclass)us_dtype_get(packed)->cls;
    return us_eval_through(k, packed,
                           cls == US_DC_FLOAT ? US_F32
                           : cls == US_DC_INT ? US_I8
                                              : US_U8,
                           fn);
}

us_err us_eval_inner(us_eval *k, us_eval_fn *fn, const void *params, size_t n_in,
                     const us_tensor *const *in, us_tensor *out)
{
    wide_env env = wide_of(k);
    us_value v[WIDE_MAX], result = {0};
    const us_value *pin[WIDE_MAX];
    us_value *pout[1] = {&result};
    if (n_in > WIDE_MAX)
        return us_eval_fail(k, US_LIMIT, "%zu inputs of an inner operator", n_in);
    for (size_t i = 0; i < n_in; i++) {
        if (in[i]) v[i] = us_value_of(in[i]);
        pin[i] = in[i] ? &v[i] : NULL;
    }
    us_eval inner = *k;
    inner.prepared = NULL; /* another operator */
    inner.params = params;
    inner.in = pin;
    inner.n_in = n_in;
    inner.out = pout;
    inner.n_out = 1;
    inner.env = &env.base;
    US_TRY(fn(&inner));
    *out = result.t;
    return US_OK;
}

/* --- elementwise ----------------------------------------------------------------------------------- */

us_err us_eval_unary(us_eval *k, us_unary f, const double *par, us_eval_fn *self)
{
    const us_tensor *x;
    US_TRY(us_eval_in(k, 0, &x));
    if (us_is_half(x->dtype)) return us_eval_widened(k, x->dtype, self);
    us_un_fn *fn = us_ref_unary(f, x->dtype);
    if (!fn) return us_eval_no_type(k, x->dtype);
    us_tensor *y;
    US_TRY(us_eval_out(k, 0, x->dtype, x->rank, x->dims, &y));
    if (us_tensor_contiguous(
            x)) { /* one run: the iterator would cost more than a small tensor */
        int64_t n = us_tensor_count(y);
        if (n) fn(y->data, x->data, n, 1, par);
        return US_OK;
    }
    us_nd_iter it;
    for (us_nd_iter_init(&it, 2, (const us_tensor *[]){y, x}); !it.done; us_nd_iter_next(&it))
        fn(us_at(y, it.offset[0]), us_at(x, it.offset[1]), it.inner, it.inner_stride[1], par);
    return US_OK;
}

us_err us_eval_binary_into(us_eval *k, us_binary f, us_tensor *out, const us_tensor *a,
                           const us_tensor *b)
{
    us_bin_fn *fn = us_ref_binary(f, a->dtype);
    if (!fn || a->dtype != b->dtype) return us_eval_no_type(k, a->dtype);
    if (us_tensor_same_dims(a, b) && us_tensor_same_dims(a, out) && us_tensor_contiguous(a) &&
        us_tensor_contiguous(b) && us_tensor_contiguous(out)) {
        int64_t n = us_tensor_count(out);
        if (n) fn(out->data, a->data, b->data, n, 1, 1);
        return US_OK;
    }
    us_tensor va, vb;
    US_TRY(us_tensor_broadcast_view(k->c, a, out->rank, out->dims, &va));
    US_TRY(us_tensor_broadcast_view(k->c, b, out->rank, out->dims, &vb));
    us_nd_iter it;
    for (us_nd_iter_init(&it, 3, (const us_tensor *[]){out, &va, &vb}); !it.done;
         us_nd_iter_next(&it))
        fn(us_at(out, it.offset[0]), us_at(&va, it.offset[1]), us_at(&vb, it.offset[2]),
           it.inner, it.inner_stride[1], it.inner_stride[2]);
    return US_OK;
}

us_err us_eval_binary(us_eval *k, us_binary f, us_eval_fn *self)
{
    const us_tensor *a, *b;
    US_TRY(us_eval_in(k, 0, &a));
    US_TRY(us_eval_in(k, 1, &b));
    if (us_is_half(a->dtype)) return us_eval_widened(k, a->dtype, self);
    if (a->dtype != b->dtype)
        return us_eval_fail(k, US_ARG, "operands are %s and %s", us_dtype_get(a->dtype)->name,
                            us_dtype_get(b->dtype)->name);
    int rank;
    int64_t dims[US_MAX_RANK];
    US_TRY(us_dims_broadcast(k->c, a->rank, a->dims, b->rank, b->dims, &rank, dims));
    bool compares = f >= US_BIN_EQ;
    us_tensor *y;
    US_TRY(us_eval_out(k, 0, compares ? US_BOOL : a->dtype, rank, dims, &y));
    return us_eval_binary_into(k, f, y, a, b);
}

/* --- binding ------------------------------------------------------------------------------------- */

const us_tensor *us_eval_dense_f32(us_eval *k, size_t i)
{
    const us_tensor *t = us_eval_opt(k, i);
    return us_is_f32(t) && us_tensor_contiguous(t) && us_tensor_count(t) > 0 ? t : NULL;
}

us_err us_call_make(us_eval *k, us_call *call, us_call_fn *run, const void *state, size_t bytes,
                    const char *kernel)
{
    void *keep;
    US_TRY(us_eval_keep_raw(k, bytes, &keep));
    memcpy(keep, state, bytes);
    call->run = run;
    call->state = keep;
    call->kernel = kernel;
    return US_OK;
}
