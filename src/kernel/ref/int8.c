/* kernel/ref/int8.c - products of 8-bit numbers as they are defined, and the packing that every level reads. */
#include "kernel/int8.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "kernel/variants.h"

enum { NR = 16, QUAD = 4 };

static size_t round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

/* --- packing ------------------------------------------------------------------------------------------ */

bool us_int8_pack_bytes(const us_int8_layout *l, size_t n, size_t k, size_t *bytes)
{
    if (n > SIZE_MAX / 2 || k > SIZE_MAX / 2) return false;
    return us_mul_size(round_up(n, l->vw), round_up(k, QUAD), bytes);
}

static size_t panel_width(const us_int8_layout *l, size_t n, size_t j0)
{
    return round_up(US_MIN(l->nr, n - j0), l->vw);
}

static void pack(const us_int8_weights *w, int8_t *to)
{
    const us_int8_layout *l = &us_int8__ref.layout;
    size_t k4 = round_up(w->k, QUAD), step_p = w->trans ? 1 : w->ldb,
           step_j = w->trans ? w->ldb : 1;
    const uint8_t flip = w->flip ? 0x80 : 0, *b = w->b;
    for (size_t j0 = 0; j0 < w->n; j0 += l->nr) {
        size_t cols = US_MIN(l->nr, w->n - j0), wide = panel_width(l, w->n, j0);
        uint8_t *panel = (uint8_t *)to + j0 * k4;
        memset(panel, 0, wide * k4);
        for (size_t j = 0; j < cols; j++)
            for (size_t p = 0; p < w->k; p++)
                panel[p / QUAD * wide * QUAD + j * QUAD + p % QUAD] =
                    b[p * step_p + (j0 + j) * step_j] ^ flip;
    }
}

static void col_sums(size_t n, size_t k, const int8_t *w, int32_t *sums)
{
    const us_int8_layout *l = &us_int8__ref.layout;
    size_t k4 = round_up(k, QUAD);
    for (size_t j0 = 0; j0 < n; j0 += l->nr) {
        size_t wide = panel_width(l, n, j0);
        const int8_t *panel = w + j0 * k4;
        for (size_t j = 0; j < wide; j++)
            sums[j0 + j] = 0;
        for (size_t p = 0; p < k4; p += QUAD, panel += wide * QUAD)
            for (size_t j = 0; j < wide; j++)
                sums[j0 + j] += panel[j * QUAD] + panel[j * QUAD + 1] + panel[j * QUAD + 2] +
                                panel[j * QUAD + 3];
    }
}

/* Unpacking bytes and then pairs of them, within each 16 bytes, puts channel 16 l + 4 v + e of a block into vector v, number 4 l + e. */
size_t us_int8_dw_place(const us_int8_layout *l, size_t i)
{
    size_t block = us_int8_dw_block(l), c = i % block;
    return i / block * block + c / 4 % 4 * (4 * l->lanes) + c / 16 * 4 + c % 4;
}

void us_int8_dw_pack(const us_int8_layout *l, size_t c, size_t taps, const void *w, bool flip,
                     int8_t *to)
{
    size_t block = us_int8_dw_block(l), quads = round_up(taps, QUAD) / QUAD;
    const uint8_t *from = w, mask = flip ? 0x80 : 0;
    uint8_t *out = (uint8_t *)to;
    memset(out, 0, round_up(c, block) * quads * QUAD);
    for (size_t i = 0; i < c; i++) {
        size_t at = us_int8_dw_place(l, i);
        for (size_t t = 0; t < taps; t++)
            out[(at / block * quads + t / QUAD) * block * QUAD + at % block * QUAD + t % QUAD] =
                from[i * taps + t] ^ mask;
    }
}

/* --- results ------------------------------------------------------------------------------------------ */

static uint8_t byte_of(float q, int32_t zero, int32_t lo, int32_t hi)
{
    q = fminf(fmaxf(q, (float)(lo - zero)), (float)(hi - zero));
    return (uint8_t)((int32_t)nearbyintf(q) + zero);
}

static int32_t plus(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static int32_t times(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a * (uint32_t)b);
}

static void put(const us_int8_end *e, int32_t sum, size_t j, void *c, size_t at)
{
    sum = plus(sum, e->add[j]);
    if (e->type == US_INT8_I32)
        ((int32_t *)c)[at] = sum;
    else if (e->type == US_INT8_F32)
        ((float *)c)[at] = (float)sum * e->scale[j] + (e->bias ? e->bias[j] : 0.0F);
    else
        ((uint8_t *)c)[at] = byte_of((float)sum * e->scale[j], e->zero, e->lo, e->hi);
}

static void gemm(const us_int8_args *g)
{
    size_t k4 = round_up(g->k, QUAD);
    const us_int8_layout *l = &us_int8__ref.layout;
    for (size_t i = 0; i < g->m; i++)
        for (size_t j0 = g->j0; j0 < g->j1; j0 += NR) {
            int32_t sum[NR] = {0};
            size_t wide = panel_width(l, g->n, j0);
            const int8_t *w = g->w + j0 * k4;
            const uint8_t *a = g->a + i * g->lda;
            for (size_t p = 0; p < k4; p += QUAD, w += wide * QUAD)
                for (size_t j = 0; j < wide; j++)
                    for (size_t q = 0; q < QUAD; q++)
                        sum[j] = plus(sum[j], a[p + q] * w[j * QUAD + q]);
            for (size_t j = 0; j < US_MIN((size_t)NR, g->j1 - j0); j++) {
                int32_t more =
                    g->end->by_row ? times(g->row_sums[i], g->end->by_row[j0 + j]) : 0;
                put(g->end, plus(sum[j], more), j0 + j, g->c, i * g->ldc + j0 + j);
            }
        }
}

static void dw(const us_int8_dw_args *g)
{
    const us_int8_layout *l = &us_int8__ref.layout;
    size_t block = us_int8_dw_block(l), quads = round_up(g->taps, QUAD) / QUAD;
    for (size_t i = 0; i < g->n; i++)
        for (size_t c = 0; c < g->c; c++) {
            size_t at = us_int8_dw_place(l, c);
            const int8_t *w = g->w + at / block * quads * block * QUAD + at % block * QUAD;
            int32_t sum = 0;
            for (size_t t = 0; t < g->taps; t++)
                sum += (g->tap[t][i * g->step[t] + c] ^ g->flip) *
                       w[t / QUAD * block * QUAD + t % QUAD];
            put(g->end, sum, at, g->y, i * g->ldy + c);
        }
}

static void flip(const uint8_t *x, size_t n, uint8_t mask, uint8_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] ^ mask;
}

static void look_up(const uint8_t *table, const uint8_t *x, size_t n, uint8_t *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = table[x[i]];
}

static void row_sums(size_t m, size_t k, const uint8_t *a, size_t lda, uint8_t mask,
                     int32_t *sums)
{
    for (size_t i = 0; i < m; i++) {
        sums[i] = 0;
        for (size_t p = 0; p < k; p++)
            sums[i] = plus(sums[i], a[i * lda + p] ^ mask);
    }
}

/* --- floats to bytes and back ------------------------------------------------------------------------- */

static void quantize(const float *x, size_t n, float scale, int32_t zero, int32_t lo,
                     int32_t hi, uint8_t *y)
{
    for (size_t i = 0; i < n; i++) {
        float q = x[i] / scale;
        y[i] = q == q ? byte_of(q, zero, lo, hi) : 0;
    }
}

static void dequantize(const uint8_t *x, size_t n, uint8_t flip, float scale, int32_t zero,
                       float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((x[i] ^ flip) - zero) * scale;
}

static void range(const float *x, size_t n, float *lo, float *hi)
{
    *lo = 0;
    *hi = 0;
    for (size_t i = 0; i < n; i++) {
        *lo = x[i] < *lo ? x[i] : *lo;
        *hi = x[i] > *hi ? x[i] : *hi;
    }
}

static void add(const uint8_t *a, const uint8_t *b, size_t n, const us_int8_add *p, uint8_t *y)
{
    float lo = p->is_signed ? -128 : 0, hi = p->is_signed ? 127 : 255;
    int flip = p->is_signed ? 0x80 : 0;
    for (size_t i = 0; i < n; i++) {
        float va = (float)((a[i] ^ flip) - flip), vb = (float)((b[i] ^ flip) - flip);
        float q = fmaf(va, p->ra, fmaf(vb, p->rb, p->fixed));
        y[i] = (uint8_t)(int32_t)nearbyintf(fminf(fmaxf(q, lo), hi));
    }
}

static void mul(const uint8_t *a, const uint8_t *b, size_t n, const us_int8_mul *p, uint8_t *y)
{
    float lo = p->is_signed ? -128 : 0, hi = p->is_signed ? 127 : 255;
    int flip = p->is_signed ? 0x80 : 0;
    for (size_t i = 0; i < n; i++) {
        float va = (float)((a[i] ^ flip) - flip), vb = (float)((b[i] ^ flip) - flip);
        float q = (va - p->za) * (vb - p->zb) * p->ratio + p->zero;
        y[i] = (uint8_t)(int32_t)nearbyintf(fminf(fmaxf(q, lo), hi));
    }
}

static void sum_rows(size_t rows, const uint8_t *x, size_t ldx, size_t c, uint8_t flip,
                     int32_t *sums)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < c; j++)
            sums[j] += x[i * ldx + j] ^ flip;
}

static void max(size_t taps, const uint8_t *const *tap, size_t c, uint8_t flip, uint8_t *y)
{
    for (size_t j = 0; j < c; j++) {
        uint8_t most = 0;
        for (size_t t = 0; t < taps; t++)
            most = US_MAX(most, (uint8_t)(tap[t][j] ^ flip));
        y[j] = most ^ flip;
    }
}

const us_int8_kernels us_int8__ref = {.name = "us_int8_gemm__ref",
                                      .dw_name = "us_int8_dw__ref",
                                      .rows_name = "us_int8_rows__ref",
                                      .layout = {.nr = NR, .vw = NR, .lanes = 1},
                                      .mr = 4,
                                      .gemm = gemm,
                                      .pack = pack,
                                      .col_sums = col_sums,
                                      .dw = dw,
                                      .flip = flip,
                                      .look_up = look_up,
                                      .row_sums = row_sums,
                                      .quantize = quantize,
                                      .dequantize = dequantize,
                                      .range = range,
                                      .sum_rows = sum_rows,
                                      .max = max,
                                      .add = add,
                                      .mul = mul};
