/* ir/op_det.c - Det: by elimination with row exchanges, in double. */
#include "ir/op_util.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param det_in[] = {{"X", 'T', US_M_FLOAT3, 0}, US_PARAM_END};
static const us_param det_out[] = {{"Y", 'T', US_M_FLOAT3, 0}, US_PARAM_END};
static const us_param det_in_22[] = {{"X", 'T', US_M_FLOATS, 0}, US_PARAM_END};
static const us_param det_out_22[] = {{"Y", 'T', US_M_FLOATS, 0}, US_PARAM_END};
const us_schema det_schemas[] = {
    {11, det_in, det_out, NULL, 0, NULL},
    {22, det_in_22, det_out_22, NULL, 0, NULL},
    {0}};
/* clang-format on */

us_err det_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    if (!x) return us_infer_out(k, 0, US_DT_NONE, -1, NULL);
    if (x->rank < 2) return us_infer_fail(k, US_SHAPE, "the input is no matrix");
    return us_infer_out(k, 0, US_DT_NONE, x->rank - 2, x->dims);
}

/* Destroys a [n,n]. */
static double determinant(double *a, int64_t n)
{
    double det = 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t best = i;
        for (int64_t r = i + 1; r < n; r++)
            if (fabs(a[r * n + i]) > fabs(a[best * n + i])) best = r;
        for (int64_t j = i; best != i && j < n; j++) {
            double h = a[i * n + j];
            a[i * n + j] = a[best * n + j];
            a[best * n + j] = h;
        }
        double pivot = a[i * n + i];
        det *= best == i ? pivot : -pivot;
        if (pivot == 0) return 0;
        for (int64_t r = i + 1; r < n; r++) {
            double f = a[r * n + i] / pivot;
            for (int64_t j = i + 1; j < n; j++)
                a[r * n + j] -= f * a[i * n + j];
        }
    }
    return det;
}

us_err det_eval(us_eval *k)
{
    const us_tensor *in;
    us_tensor x, *y;
    double *a;
    US_TRY(us_eval_in(k, 0, &in));
    if (us_dtype_get(in->dtype)->cls != US_DC_FLOAT) return us_eval_no_type(k, in->dtype);
    int64_t n = in->rank >= 2 ? in->dims[in->rank - 1] : -1;
    if (n < 0 || in->dims[in->rank - 2] != n)
        return us_eval_fail(k, US_SHAPE, "the input is no square matrix");
    US_TRY(us_eval_as(k, in, US_F64, &x));
    US_TRY(us_eval_out(k, 0, in->dtype, in->rank - 2, in->dims, &y));
    int64_t m = us_tensor_count(y);
    US_TRY(us_eval_work(k, (double)m * (double)n * (double)n * (double)n));
    US_TRY(us_eval_scratch(k, (m ? (size_t)(n * n) : 0) * sizeof *a, (void **)&a));
    for (int64_t i = 0; i < m; i++) {
        US_TRY(us_ctx_poll(k->c));
        if (n) memcpy(a, (const double *)x.data + i * n * n, (size_t)(n * n) * sizeof *a);
        double det = determinant(a, n);
        us_dtype_get(y->dtype)->from_f64(y->data, (size_t)i, 1, &det);
    }
    return US_OK;
}
