/* grad/util.c - the vocabulary of gradient functions; see grad/util.h. */
#include "grad/util.h"

us_vid us_gx(const us_grad *k, size_t i)
{
    const us_node *n = &k->g->nodes.at[k->n];
    return i < n->n_in ? n->in[i] : US_NIL;
}

us_vid us_gy(const us_grad *k, size_t i)
{
    const us_node *n = &k->g->nodes.at[k->n];
    return i < n->n_out ? n->out[i] : US_NIL;
}

bool us_g_wants(const us_grad *k, size_t i)
{
    return i < k->g->nodes.at[k->n].n_in && k->wanted[i];
}

const us_type *us_g_type(const us_grad *k, us_vid v)
{
    static const us_type none = {.kind = US_KIND_NONE, .rank = -1};
    return v == US_NIL ? &none
                       : &k->g->vals.at[v].type; /* one of many inputs may be left out */
}

int us_g_rank(const us_grad *k, us_vid v)
{
    const us_type *t = us_g_type(k, v);
    return t->kind == US_KIND_TENSOR ? t->rank : -1;
}

int64_t us_g_dim(const us_grad *k, us_vid v, int axis)
{
    const us_type *t = us_g_type(k, v);
    if (t->kind != US_KIND_TENSOR || t->rank < 0) return -1;
    if (axis < 0) axis += t->rank;
    if (axis < 0 || axis >= t->rank || !us_dim_known(t->dims[axis])) return -1;
    return t->dims[axis].add;
}

us_dtype us_g_dtype(const us_grad *k, us_vid v)
{
    return us_g_type(k, v)->dtype;
}

us_err us_g_fail(us_grad *k, const char *why)
{
    const us_node *n = &k->g->nodes.at[k->n];
    return us_fail(k->c, US_UNSUPP, "gradient of %s '" US_SV_FMT "': %s", n->op->name,
                   US_SV_ARG(n->name), why);
}

static const us_attr_row *row_of(const us_grad *k, const char *name)
{
    const us_schema *s = k->g->nodes.at[k->n].schema;
    if (!s || !s->attrs || !k->params) return NULL;
    for (const us_attr_row *r = s->attrs; r->name; r++)
        if (us_sv_is(us_sv_of(name), r->name)) return r;
    return NULL;
}

static const void *field_of(const us_grad *k, const char *name, us_attr_kind kind)
{
    const us_attr_row *r = row_of(k, name);
    if (!r || r->kind != kind) return NULL;
    return (const char *)k->params + r->offset;
}

int64_t us_g_int(const us_grad *k, const char *name, int64_t fallback)
{
    const int64_t *p = field_of(k, name, US_AT_INT);
    return p ? *p : fallback;
}

double us_g_float(const us_grad *k, const char *name, double fallback)
{
    const float *p = field_of(k, name, US_AT_FLOAT);
    return p ? (double)*p : fallback;
}

us_sv us_g_str(const us_grad *k, const char *name)
{
    const us_sv *p = field_of(k, name, US_AT_STRING);
    return p ? *p : (us_sv){0};
}

us_ints us_g_ints(const us_grad *k, const char *name)
{
    const us_ints *p = field_of(k, name, US_AT_INTS);
    return p ? *p : (us_ints){0};
}

bool us_g_const_ints(const us_grad *k, us_vid v, size_t max, int64_t *out, size_t *n)
{
    if (v == US_NIL) return false;
    const us_val *val = &k->g->vals.at[v];
    if (val->storage != US_ST_CONST || !val->data || val->data->kind != US_KIND_TENSOR)
        return false;
    int64_t count = us_tensor_count(&val->data->t);
    if (count < 0 || (uint64_t)count > max) return false;
    for (int64_t i = 0; i < count; i++)
        out[i] = us_tensor_i64_at(&val->data->t, i);
    *n = (size_t)count;
    return true;
}

us_vid us_g_num(us_grad *k, us_vid like, double v)
{
    us_dtype t = us_g_dtype(k, like);
    uint64_t room = 0; /* widest element */
    if (k->b->err == US_OK && !us_dtype_get(t)->from_f64)
        k->b->err =
            us_fail(k->c, US_UNSUPP, "there is no gradient of %s", us_dtype_get(t)->name);
    if (k->b->err != US_OK) return US_NIL;
    us_dtype_get(t)->from_f64(&room, 0, 1, &v);
    return us_b_const(k->b, NULL, t, 0, NULL, &room);
}

us_vid us_g_shape(us_grad *k, us_vid v)
{
    return us_b1(k->b, "Shape", v);
}

us_vid us_g_dim_of(us_grad *k, us_vid v, int axis)
{
    us_vid s = us_b1(k->b, "Shape", v);
    us_b_int(k->b, "start", axis);
    us_b_int(k->b, "end", axis + 1);
    return s;
}

us_vid us_g_zeros_like(us_grad *k, us_vid v)
{
    return us_b2(k->b, "Expand", us_g_num(k, v, 0), us_g_shape(k, v));
}

us_vid us_g_mask(us_grad *k, us_vid cond, us_vid a)
{
    return us_b3(k->b, "Where", cond, a, us_g_num(k, us_gx(k, 0), 0));
}

us_vid us_g_reduce_sum(us_grad *k, us_vid x, size_t n, const int64_t *axes, bool keep)
{
    us_vid r = us_b2(k->b, "ReduceSum", x, us_b_i64s(k->b, n, axes));
    us_b_int(k->b, "keepdims", keep ? 1 : 0);
    return r;
}

us_vid us_g_sum_to(us_grad *k, us_vid dy, us_vid out, us_vid v)
{
    const us_type to = *us_g_type(k, v), to_out = *us_g_type(k, out);
    if (to.rank < 0 || to_out.rank < to.rank) {
        k->b->err = us_g_fail(k, "an input's rank is not known");
        return US_NIL;
    }
    int64_t axes[US_MAX_RANK], lead[US_MAX_RANK];
    size_t n = 0, n_lead = 0, n_ones = 0;
    int shift = to_out.rank - to.rank;
    for (int i = 0; i < to_out.rank; i++) {
        if (i < shift) {
            lead[n_lead++] = i;
            axes[n++] = i;
            continue;
        }
        us_dim a = to.dims[i - shift], b = to_out.dims[i];
        if (us_dim_eq(a, b)) continue;
        if (!us_dim_known(a) || a.add != 1) {
            if (us_dim_known(a) || us_dim_known(b))
                continue; /* a number that is not 1, or against a number: they agree when it runs */
            k->b->err = us_g_fail(k, "cannot tell whether a symbolic dimension is broadcast; "
                                     "give both inputs the same symbol");
            return US_NIL;
        }
        axes[n++] = i;
        n_ones++;
    }
    if (!n) return dy;
    us_vid r = us_g_reduce_sum(k, dy, n, axes, n_ones > 0);
    if (n_ones && n_lead) r = us_b2(k->b, "Squeeze", r, us_b_i64s(k->b, n_lead, lead));
    return r;
}

us_vid us_g_transpose(us_grad *k, us_vid x, int rank, const int64_t *perm)
{
    us_vid r = us_b1(k->b, "Transpose", x);
    us_b_ints(k->b, "perm", (size_t)rank, perm);
    return r;
}

us_vid us_g_reshape(us_grad *k, us_vid x, size_t n, const int64_t *dims)
{
    return us_b2(k->b, "Reshape", x, us_b_i64s(k->b, n, dims));
}

us_vid us_g_reshape_like(us_grad *k, us_vid x, us_vid like)
{
    return us_b2(k->b, "Reshape", x, us_g_shape(k, like));
}

us_vid us_g_slice(us_grad *k, us_vid x, size_t n, const int64_t *axes, const int64_t *starts,
                  const int64_t *ends, const int64_t *steps)
{
    us_vid in[5] = {x, us_b_i64s(k->b, n, starts), us_b_i64s(k->b, n, ends),
                    us_b_i64s(k->b, n, axes), US_NIL};
    if (steps) in[4] = us_b_i64s(k->b, n, steps);
    return us_b_node(k->b, "", "Slice", steps ? 5 : 4, in, 1, NULL);
}

us_vid us_g_pad(us_grad *k, us_vid x, int rank, const int64_t *pads)
{
    return us_b2(k->b, "Pad", x, us_b_i64s(k->b, (size_t)rank * 2, pads));
}
