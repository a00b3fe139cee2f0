/* ir/bind_scatter.c - ScatterElements and OneHot for known shapes.
 *
 * Updates arrive in the order of the standard, row by row, so that of two at one place the same wins as in eval.
 */
#include <string.h>

#include "ir/op_util.h"

typedef struct scattered {
    int64_t n,
        step; /* updates in a row (the last axis), their distance in data where the axis is another */
    int64_t axis_len, axis_step;                   /* of data, in elements */
    bool along;                                    /* the axis is the last */
    int n_outer;                                   /* axes before the last */
    int64_t dims[US_MAX_RANK], steps[US_MAX_RANK]; /* of indices; of data, 0 for the axis */
    size_t bytes, size;                            /* of data; of an element */
    us_bin_fn *fn;                                 /* NULL: overwrite */
} scattered;

static bool wrap(int64_t *i, int64_t len)
{
    if (*i < 0) *i += len;
    return *i >= 0 && *i < len;
}

/* Places of a row of updates; the first index that is none is told. */
static us_err put_row(us_eval *k, const scattered *s, const int64_t *index, const char *from,
                      char *to)
{
    for (int64_t j = 0; j < s->n; j++) {
        int64_t i = index[j];
        if (!wrap(&i, s->axis_len))
            return us_eval_fail(k, US_ARG, "index %lld of a dimension of %lld",
                                (long long)index[j], (long long)s->axis_len);
        int64_t at = i * s->axis_step + (s->along ? 0 : j);
        char *p = to + at * (int64_t)s->size;
        const char *v = from + j * (int64_t)s->size;
        if (s->fn)
            s->fn(p, p, v, 1, 1, 1);
        else if (s->size == 4)
            memcpy(p, v, 4);
        else
            memcpy(p, v, s->size);
    }
    return US_OK;
}

static us_err run_scatter(us_eval *k, const void *state, void *scratch)
{
    const scattered *s = state;
    const int64_t *index = k->in[1]->t.data;
    const char *from = k->in[2]->t.data;
    char *to = k->out[0]->t.data;
    int64_t at[US_MAX_RANK] = {0};
    (void)scratch;
    if (to != k->in[0]->t.data) memcpy(to, k->in[0]->t.data, s->bytes);
    for (;;) {
        US_TRY(put_row(k, s, index, from, to));
        index += s->n;
        from += s->n * (int64_t)s->size;
        int d = s->n_outer - 1;
        for (; d >= 0; d--) {
            bool more = ++at[d] < s->dims[d];
            to += (more ? 1 : 1 - s->dims[d]) * s->steps[d] * (int64_t)s->size;
            if (more) break;
            at[d] = 0;
        }
        if (d < 0) return US_OK;
    }
}

static bool read_reduction(us_sv name, us_dtype t, us_bin_fn **fn)
{
    static const struct {
        const char *name;
        us_binary f;
    } rows[] = {
        {"add", US_BIN_ADD}, {"mul", US_BIN_MUL}, {"max", US_BIN_MAX}, {"min", US_BIN_MIN}};
    *fn = NULL;
    if (name.n == 0 || us_sv_is(name, "none")) return true;
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (us_sv_is(name, rows[i].name)) *fn = us_ref_binary(rows[i].f, t);
    return *fn != NULL;
}

us_err scatter_elements_bind(us_eval *k, us_call *call)
{
    const us_p_scatter *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *i = us_eval_opt(k, 1), *up = us_eval_opt(k, 2),
                    *y = us_eval_opt_out(k, 0);
    scattered s = {.n_outer = 0};
    int axis;
    if (!x || !i || !up || !y || i->dtype != US_I64 || x->rank < 1 || i->rank != x->rank ||
        !us_tensor_same_dims(i, up) || !us_tensor_same_dims(x, y) || up->dtype != x->dtype ||
        y->dtype != x->dtype || us_dtype_get(x->dtype)->bits < 8 || x->dtype == US_STRING ||
        us_is_half(x->dtype) || !us_tensor_contiguous(x) || !us_tensor_contiguous(i) ||
        !us_tensor_contiguous(up) || !us_axis_norm(p->axis, x->rank, &axis) ||
        !read_reduction(p->reduction, x->dtype, &s.fn))
        return US_OK;
    int64_t step = 1;
    for (int d = x->rank - 1; d >= 0; d--) {
        if (d != axis && i->dims[d] > x->dims[d]) return US_OK;
        s.dims[d] = i->dims[d];
        s.steps[d] = d == axis ? 0 : step;
        if (d == axis) s.axis_step = step;
        step *= x->dims[d];
    }
    s.n_outer = x->rank - 1;
    s.n = i->dims[x->rank - 1];
    s.along = axis == x->rank - 1;
    s.axis_len = x->dims[axis];
    s.size = us_dtype_get(x->dtype)->bits / 8;
    s.bytes = us_tensor_bytes(x);
    return us_call_make(k, call, run_scatter, &s, sizeof s, "us_scatter");
}

/* --- OneHot -------------------------------------------------------------------------------------- */

typedef struct hot {
    int64_t n, depth, inner; /* indices; classes; indices after the axis */
    size_t size, bytes;      /* of an element, of the outcome */
} hot;

static bool is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i]) return false;
    return true;
}

/* One element everywhere: what is filled already is copied behind itself. */
static void fill(char *y, size_t bytes, const char *value, size_t size)
{
    if (bytes == 0 || is_zero(value, size)) {
        memset(y, 0, bytes);
        return;
    }
    memcpy(y, value, size);
    for (size_t done = size; done < bytes; done *= 2)
        memcpy(y + done, y, US_MIN(done, bytes - done));
}

/* The usual sizes are known where they are copied. */
static inline void put(char *to, const char *from, size_t size)
{
    if (size == 8)
        memcpy(to, from, 8);
    else if (size == 4)
        memcpy(to, from, 4);
    else
        memcpy(to, from, size);
}

static us_err run_hot(us_eval *k, const void *state, void *scratch)
{
    const hot *h = state;
    const int64_t *index = k->in[0]->t.data;
    const char *values = k->in[2]->t.data;
    char *y = k->out[0]->t.data;
    int64_t size = (int64_t)h->size, plane = h->depth * h->inner * size;
    (void)scratch;
    fill(y, h->bytes, values, h->size);
    for (int64_t o = 0; o < h->n; o += h->inner, y += plane)
        for (int64_t i = 0; i < h->inner; i++) {
            int64_t v = index[o + i];
            if (wrap(&v, h->depth)) put(y + (v * h->inner + i) * size, values + size, h->size);
        }
    return US_OK;
}

us_err one_hot_bind(us_eval *k, us_call *call)
{
    const us_p_one_hot *p = k->params;
    const us_tensor *x = us_eval_opt(k, 0), *values = us_eval_opt(k, 2),
                    *y = us_eval_opt_out(k, 0);
    int axis;
    if (!x || !values || !y || x->dtype != US_I64 || us_tensor_count(values) != 2 ||
        y->dtype != values->dtype || y->rank != x->rank + 1 || y->dtype == US_STRING ||
        us_dtype_get(y->dtype)->bits < 8 || !us_tensor_contiguous(x) ||
        !us_tensor_contiguous(values) || !us_axis_norm(p->axis, y->rank, &axis))
        return US_OK;
    const us_tensor *depth = us_eval_opt(k, 1);
    if (!depth || !depth->data || us_tensor_count(depth) != 1 ||
        us_dtype_get(depth->dtype)->cls != US_DC_INT ||
        us_tensor_i64_at(depth, 0) != y->dims[axis])
        return US_OK;
    hot h = {.n = us_tensor_count(x),
             .depth = y->dims[axis],
             .inner = us_dims_product(y->dims, axis + 1, y->rank),
             .size = us_dtype_get(y->dtype)->bits / 8,
             .bytes = us_tensor_bytes(y)};
    if (h.n * h.depth != us_tensor_count(y)) return US_OK;
    return us_call_make(k, call, run_hot, &h, sizeof h, "us_one_hot");
}
