/* kernel/ref/cells.c - the definition of kernel/cells.h: a unit at a time, in double. */
#include <math.h>

#include "kernel/variants.h"

static double limited(const us_cell_args *a, double x)
{
    double clip = (double)a->clip;
    return x > clip ? clip : x < -clip ? -clip : x;
}

static double sum(const us_cell_args *a, size_t gate, size_t j)
{
    return (double)a->x[gate * a->n + j] + (double)a->s[gate * a->n + j];
}

static double sigmoid(const us_cell_args *a, double x)
{
    x = limited(a, x);
    double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

static double squashed(const us_cell_args *a, double x)
{
    return tanh(limited(a, x));
}

static void lstm(const us_cell_args *a)
{
    size_t n = a->n;
    const float *p = a->peep;
    for (size_t j = 0; j < n; j++) {
        double c = (double)a->c[j];
        double i = sigmoid(a, sum(a, 0, j) + (p ? (double)p[j] * c : 0));
        double f = sigmoid(a, sum(a, 2, j) + (p ? (double)p[2 * n + j] * c : 0));
        if (a->coupled) f = 1 - i;
        c = f * c + i * squashed(a, sum(a, 3, j));
        double o = sigmoid(a, sum(a, 1, j) + (p ? (double)p[n + j] * c : 0));
        a->c[j] = (float)c;
        a->y[j] = a->h[j] = (float)(o * tanh(c));
    }
}

static void gru(const us_cell_args *a)
{
    size_t n = a->n;
    for (size_t j = 0; j < n; j++) {
        double z = sigmoid(a, sum(a, 0, j)), r = sigmoid(a, sum(a, 1, j));
        double t = squashed(a, (double)a->x[2 * n + j] + r * (double)a->s[2 * n + j]);
        a->y[j] = a->h[j] = (float)((1 - z) * t + z * (double)a->h[j]);
    }
}

static void gru_reset(const us_cell_args *a)
{
    for (size_t j = 0; j < a->n; j++) {
        a->c[j] = (float)sigmoid(a, sum(a, 0, j));
        a->y[j] = (float)(sigmoid(a, sum(a, 1, j)) * (double)a->h[j]);
    }
}

static void gru_state(const us_cell_args *a)
{
    for (size_t j = 0; j < a->n; j++) {
        double z = (double)a->c[j], t = squashed(a, sum(a, 0, j));
        a->y[j] = a->h[j] = (float)((1 - z) * t + z * (double)a->h[j]);
    }
}

static void rnn_tanh(const us_cell_args *a)
{
    for (size_t j = 0; j < a->n; j++)
        a->y[j] = a->h[j] = (float)squashed(a, sum(a, 0, j));
}

static void rnn_relu(const us_cell_args *a)
{
    for (size_t j = 0; j < a->n; j++) {
        double x = limited(a, sum(a, 0, j));
        a->y[j] = a->h[j] = (float)(x < 0 ? 0 : x);
    }
}

const us_cell_kernels us_cells__ref = {.name = "us_cells__ref",
                                       .lstm = lstm,
                                       .gru = gru,
                                       .gru_reset = gru_reset,
                                       .gru_state = gru_state,
                                       .tanh = rnn_tanh,
                                       .relu = rnn_relu};
