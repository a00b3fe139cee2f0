/* ir/op_f64.c - inputs as doubles, doubles as outputs; see op_f64.h. */
#include "ir/op_f64.h"

#include <math.h>
#include <string.h>

/* An empty tensor may claim any other dimensions; with these bounds no product of dimensions of two inputs
 * overflows, and loops over what has no elements end soon. */
enum { EMPTY_MAX = 1 << 28 };

static bool modest(const us_tensor *t)
{
    int64_t n = 1;
    if (us_tensor_count(t)) return true;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] > EMPTY_MAX / n) return false;
        n *= US_MAX(t->dims[i], 1);
    }
    return true;
}

us_err us_eval_f64(us_eval *k, size_t i, int rank, us_tensor *out, bool *there)
{
    const us_tensor *t = us_eval_opt(k, i);
    if (there) *there = t != NULL;
    if (!t) return there ? US_OK : us_eval_fail(k, US_ARG, "input %zu is missing", i);
    if (!us_dtype_get(t->dtype)->to_f64) return us_eval_no_type(k, t->dtype);
    if (rank >= 0 && t->rank != rank)
        return us_eval_fail(k, US_SHAPE, "input %zu has rank %d, expected %d", i, (int)t->rank,
                            rank);
    if (!modest(t))
        return us_eval_fail(k, US_LIMIT, "input %zu is empty but claims more than %d elements",
                            i, (int)EMPTY_MAX);
    return us_eval_as(k, t, US_F64, out);
}

us_err us_eval_want_dims(us_eval *k, size_t i, const us_tensor *t, int rank,
                         const int64_t *dims)
{
    bool same = t->rank == rank;
    char found[160], wanted[160];
    for (int d = 0; same && d < rank; d++)
        same = dims[d] < 0 || t->dims[d] == dims[d];
    if (same) return US_OK;
    return us_eval_fail(k, US_SHAPE, "input %zu is %s, expected %s", i,
                        us_dims_print(t->rank, t->dims, found, sizeof found),
                        us_dims_print(rank, dims, wanted, sizeof wanted));
}

us_err us_eval_room(us_eval *k, int rank, const int64_t *dims, double **out)
{
    us_tensor t;
    US_TRY(us_tensor_init(k->c, &t, US_F64, rank, dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&t) + sizeof **out, &t.data));
    memset(t.data, 0, us_tensor_bytes(&t));
    *out = t.data;
    return US_OK;
}

us_err us_eval_put_f64(us_eval *k, size_t i, us_dtype t, int rank, const int64_t *dims,
                       const double *v)
{
    us_tensor *y;
    if (!us_eval_wants(k, i)) return US_OK;
    US_TRY(us_eval_out(k, i, t, rank, dims, &y));
    us_dtype_get(t)->from_f64(y->data, 0, (size_t)us_tensor_count(y), v);
    return US_OK;
}

void us_means_to(us_dtype t, bool round, int64_t n, double *v)
{
    const us_dclass cls = (us_dclass)us_dtype_get(t)->cls;
    for (int64_t i = 0; (cls == US_DC_INT || cls == US_DC_UINT) && i < n; i++) {
        double whole = round ? floor(v[i] + 0.5 + 1e-6) : nearbyint(v[i]);
        if (round || fabs(v[i] - whole) < 1e-6) v[i] = whole;
    }
}
