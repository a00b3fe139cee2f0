/* kernel/ref/rows.c - the definition of kernel/rows.h: plain loops, sums in double. */
#include <math.h>

#include "kernel/variants.h"

static void one_softmax(const float *x, float *y, size_t n, size_t step, bool logarithm)
{
    float top = x[0];
    for (size_t i = 1; i < n; i++)
        if (x[i * step] > top) top = x[i * step];
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        float d = x[i * step] - top, e = expf(d);
        sum += (double)e;
        y[i * step] = logarithm ? d : e;
    }
    float s = (float)(logarithm ? log(sum) : 1 / sum);
    for (size_t i = 0; i < n; i++)
        y[i * step] = logarithm ? y[i * step] - s : y[i * step] * s;
}

static void softmax(const us_softmax_args *a)
{
    for (size_t r = 0; r < a->rows; r++)
        for (size_t j = a->j0; j < a->j1; j++) {
            size_t at = r * a->n * a->inner + j;
            one_softmax(a->x + at, a->y + at, a->n, a->inner, a->logarithm);
        }
}

static void one_norm(const us_norm_args *a, size_t r)
{
    const float *x = a->x + r * a->n;
    float *y = a->y + r * a->n;
    double mean = 0, var = 0;
    for (size_t i = 0; a->centre && i < a->n; i++)
        mean += (double)x[i];
    mean /= (double)a->n;
    for (size_t i = 0; i < a->n; i++)
        var += ((double)x[i] - mean) * ((double)x[i] - mean);
    double inverse = 1 / sqrt(var / (double)a->n + (double)a->epsilon);
    size_t of_row = a->row_scale ? (a->first + r) % a->period : 0;
    for (size_t i = 0; i < a->n; i++) {
        double v = ((double)x[i] - mean) * inverse;
        if (a->scale) v *= (double)a->scale[i];
        if (a->bias) v += (double)a->bias[i];
        if (a->row_scale) v = v * (double)a->row_scale[of_row] + (double)a->row_bias[of_row];
        y[i] = (float)v;
    }
    if (a->mean) a->mean[r] = (float)mean;
    if (a->inverse) a->inverse[r] = (float)inverse;
}

static void norm(const us_norm_args *a)
{
    for (size_t r = 0; r < a->rows; r++)
        one_norm(a, r);
}

/* --- reductions ------------------------------------------------------------------------------------- */

static double joined(us_reduction what, double a, double x)
{
    switch (what) {
    case US_RED_SUM: return a + x;
    case US_RED_SQUARES: return a + x * x;
    case US_RED_ABS: return a + fabs(x);
    case US_RED_MAX: return x > a || x != x ? x : a;
    case US_RED_MIN: return x < a || x != x ? x : a;
    case US_RED_PROD: return a * x;
    case US_RED_N: break;
    }
    return a;
}

static float one_reduction(us_reduction what, size_t n, size_t step, const float *x)
{
    static const double start[US_RED_N] = {
        [US_RED_MAX] = -(double)INFINITY, [US_RED_MIN] = (double)INFINITY, [US_RED_PROD] = 1};
    double a = start[what];
    for (size_t i = 0; i < n; i++)
        a = joined(what, a, (double)x[i * step]);
    return (float)a;
}

static void along(us_reduction what, size_t rows, size_t n, const float *x, float *y)
{
    for (size_t r = 0; r < rows; r++)
        y[r] = one_reduction(what, n, 1, x + r * n);
}

static void across(us_reduction what, size_t n, size_t step, size_t columns, const float *x,
                   float *y)
{
    for (size_t j = 0; j < columns; j++)
        y[j] = one_reduction(what, n, step, x + j);
}

/* --- scores ------------------------------------------------------------------------------------------ */

static void scores_row(const us_scores_args *a, size_t r)
{
    size_t begin = a->begin ? a->begin[r] : 0, end = a->end ? a->end[r] : a->n;
    float *s = a->s + r * a->ld, top = a->sink ? *a->sink : -INFINITY;
    for (size_t i = begin; i < end; i++) {
        s[i] *= a->scale;
        for (int j = 0; j < 2 && a->add[j]; j++)
            s[i] += a->add[j][r * a->add_row[j] + i];
        if (s[i] > top) top = s[i];
    }
    double sum = a->sink ? exp((double)*a->sink - (double)top) : 0;
    bool none = begin >= end || (a->zeros && isinf(top) && top < 0);
    for (size_t i = begin; i < end; i++)
        sum += (double)(s[i] = none && !isnan(s[i]) ? 0.0F : expf(s[i] - top));
    for (size_t i = 0; i < a->n; i++)
        if (i < begin || i >= end) s[i] = 0.0F;
    a->inverse[r] = none && !isnan(sum) ? 0.0F : (float)(1 / sum);
}

static void scores(const us_scores_args *a)
{
    for (size_t r = 0; r < a->rows; r++)
        scores_row(a, r);
}

static void scale(size_t rows, size_t n, float *y, size_t ld, const float *by)
{
    for (size_t r = 0; r < rows; r++, y += ld)
        for (size_t i = 0; i < n; i++)
            y[i] *= by[r];
}

const us_row_kernels us_rows__ref = {"us_rows__ref", softmax, norm, along,
                                     across,         scores,  scale};
