/* ir/later.c - see ir/later.h. Runs of a fixed length are products that compilers make vectors of without being asked twice. */
#include "ir/later.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { RUN = 16 };

/* Bits of a finite float, the sign apart, are below. */
#define BITS_INF UINT32_C(0x7F800000)

static uint32_t magnitude(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits & ~(UINT32_C(1) << 31);
}

static uint32_t scale_one(float from, double k, float *to)
{
    *to = (float)((double)from * k);
    return magnitude(*to) >= BITS_INF && magnitude(from) < BITS_INF;
}

/* All by one number; not 0: some product was lost. */
static uint32_t scale_row(size_t n, const float *restrict from, double k, float *restrict to)
{
    uint32_t bad = 0;
    size_t i = 0;
    for (; i + RUN <= n; i += RUN)
        for (size_t j = 0; j < RUN; j++)
            bad |= scale_one(from[i + j], k, &to[i + j]);
    for (; i < n; i++)
        bad |= scale_one(from[i], k, &to[i]);
    return bad;
}

/* Each by its own. */
static uint32_t scale_each(size_t n, const float *restrict from, const double *restrict k,
                           float *restrict to)
{
    uint32_t bad = 0;
    size_t i = 0;
    for (; i + RUN <= n; i += RUN)
        for (size_t j = 0; j < RUN; j++)
            bad |= scale_one(from[i + j], k[i + j], &to[i + j]);
    for (; i < n; i++)
        bad |= scale_one(from[i], k[i], &to[i]);
    return bad;
}

bool us_later_compute(const us_later *x, float *to)
{
    uint32_t bad = 0;
    if (x->inner == 1) {
        for (size_t i = 0; i < x->count; i += x->n)
            bad |= scale_each(x->n, x->from + i, x->k, to + i);
        return bad == 0;
    }
    for (size_t i = 0, c = 0; i < x->count; i += x->inner, c = c + 1 == x->n ? 0 : c + 1)
        bad |= scale_row(x->inner, x->from + i, x->k[c], to + i);
    return bad == 0;
}

static uint32_t any_above(size_t n, const float *v, uint32_t most)
{
    uint32_t bad = 0;
    size_t i = 0;
    for (; i + RUN <= n; i += RUN)
        for (size_t j = 0; j < RUN; j++)
            bad |= magnitude(v[i + j]) > most;
    for (; i < n; i++)
        bad |= magnitude(v[i]) > most;
    return bad;
}

bool us_later_fits(const us_later *x)
{
    double most = 0;
    for (size_t i = 0; i < x->n; i++)
        most = fmax(most, fabs(x->k[i]));
    if (most <= 1) return true;
    return isfinite(most) &&
           !any_above(x->count, x->from, magnitude((float)((double)FLT_MAX / most / 2)));
}

us_later *us_later_find(const us_model *m, const void *data)
{
    for (size_t i = 0; i < m->later.n; i++)
        if (m->later.at[i].to == data) return m->later.at[i].done ? NULL : &m->later.at[i];
    return NULL;
}

void us_later_settle(us_later *x)
{
    if (!x || x->done) return;
    (void)us_later_compute(x, x->to);
    x->done = true;
}
