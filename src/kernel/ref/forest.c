/* kernel/ref/forest.c - the definition of the tops and sums of kernel/forest.h. */
#include <math.h>
#include <string.h>

#include "kernel/variants.h"

static void ranks(const us_tree_columns *c, const float *x, uint8_t *out)
{
    for (size_t i = 0; i < c->n; i++) {
        const float *heads = c->limits + i * US_FOREST_STRIDE;
        float v = x[c->x[i]];
        size_t n = 0;
        if (isnan(v)) v = i < c->n_high ? INFINITY : -INFINITY;
        while (n < 16 * (size_t)US_FOREST_HEADS && heads[n / 16] <= v) /* never NaN */
            n += 16;
        while (n < US_FOREST_LIMITS && heads[16 + n] <= v)
            n++;
        out[i] = (uint8_t)n;
    }
}

static void sets(const us_tree_sets *s, const uint8_t *rank, uint32_t *at)
{
    uint16_t left[US_FOREST_WIDE];
    memcpy(left, s->all, sizeof left);
    for (size_t i = 0; i < s->n; i++) {
        const uint16_t *row = s->rows + (s->first[i] + rank[i]) * (size_t)US_FOREST_WIDE;
        for (size_t t = 0; t < US_FOREST_WIDE; t++)
            left[t] &= row[t];
    }
    for (size_t t = 0; t < US_FOREST_WIDE; t++)
        at[t] = s->base[t] + (uint32_t)__builtin_ctz(left[t] | 0x10000U);
}

static void tops(const us_tree_tops *top, const uint8_t *rank, uint32_t *at)
{
    for (size_t t = 0; t < US_FOREST_WIDE; t++) {
        size_t i = 0, end = 0;
        for (unsigned l = top->levels; l-- > 0;) {
            const uint8_t *column = top->nodes + 3 * US_FOREST_WIDE * i + t;
            bool second = rank[*column] <= column[US_FOREST_WIDE];
            if (second) end += top->even ? (size_t)1 << l : column[2 * US_FOREST_WIDE];
            i = 2 * i + 1 + second;
        }
        at[t] = top->base[t] + (uint32_t)end;
    }
}

/* The end of a perfect tree of three levels: node i's column and limit are `apart` bytes apart, those of the next `next` on. */
static size_t end_of(const uint8_t *nodes, size_t next, size_t apart, const uint8_t *rank)
{
    size_t i = 0;
    for (int l = 0; l < 3; l++)
        i = 2 * i + 1 + (rank[nodes[i * next]] <= nodes[i * next + apart]);
    return i - (US_FOREST_SUBTREES - 1);
}

static void hops(const us_tree_hops *h, const uint8_t *rank, uint32_t *at)
{
    for (size_t t = 0; t < h->n; t++) {
        const uint8_t *tops =
            h->tops + t / US_FOREST_WIDE * (7 * 3 * US_FOREST_WIDE) + t % US_FOREST_WIDE;
        size_t top = end_of(tops, 3 * US_FOREST_WIDE, US_FOREST_WIDE, rank);
        size_t under = t * US_FOREST_SUBTREES + top;
        at[t] = h->first + (uint32_t)under;
        if (!h->under) continue;
        size_t end = end_of(h->under + under * US_FOREST_HOP, 1, US_FOREST_HOP / 2, rank);
        at[t] = h->first + (uint32_t)(under * US_FOREST_SUBTREES + end);
    }
}

#include "kernel/simd/forest_add.inc"

static void add(size_t n, const uint32_t *leaves, const double *values, size_t d, double *parts)
{
    if (d == 1)
        add_column(n, leaves, values, 1, parts);
    else
        for (size_t o = 0; o < d; o++)
            add_column(n, leaves, values + o, d, parts + o);
}

const us_forest_kernels us_forest__ref = {
    "us_forest__ref", false, false, 25, ranks, tops, hops, sets, add};
