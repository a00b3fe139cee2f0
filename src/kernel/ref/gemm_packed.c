/* kernel/ref/gemm_packed.c - packing of weights for every level, and the product by them as it is defined.
 *
 * Packing copies rows of a panel where the weights lie by rows. Where they lie by columns it goes in squares
 * of 16, so that what a line of the cache brings is used while it is there.
 */
#include "kernel/gemm.h"

#include <string.h>

#include "base/alloc.h"
#include "kernel/variants.h"

enum { NR = 16, SQUARE = 16 };

static size_t round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

bool us_gemm_pack_bytes(const us_gemm_layout *l, size_t n, size_t k, size_t *bytes)
{
    size_t floats;
    bool thin = n <= l->thin;
    if (n > SIZE_MAX / 2 || k > SIZE_MAX / 2) return false;
    size_t wide = thin ? n : round_up(n, l->vw), deep = thin ? round_up(k, 16) : k;
    return us_mul_size(wide, deep, &floats) && us_mul_size(floats, sizeof(float), bytes);
}

static void scale_row(float *to, size_t n, float scale)
{
    if (scale == 1.0F) return;
    for (size_t j = 0; j < n; j++)
        to[j] *= scale;
}

/* Rows p0.. of a panel of columns that lie one after the other. */
static void turn_square(const us_gemm_weights *w, size_t j0, size_t cols, size_t p0,
                        size_t rows, size_t wide, float *to)
{
    for (size_t s = 0; s < cols; s++) {
        const float *b = w->b + (j0 + s) * w->ldb + p0;
        for (size_t p = 0; p < rows; p++)
            to[p * wide + s] = w->scale * b[p];
    }
}

static void pack_panel(const us_gemm_weights *w, size_t j0, size_t cols, size_t wide, float *to)
{
    if (cols < wide) memset(to, 0, w->k * wide * sizeof *to);
    if (!w->trans) {
        for (size_t p = 0; p < w->k; p++, to += wide) {
            memcpy(to, w->b + p * w->ldb + j0, cols * sizeof *to);
            scale_row(to, cols, w->scale);
        }
        return;
    }
    for (size_t p = 0; p < w->k; p += SQUARE)
        for (size_t s = 0; s < cols; s += SQUARE)
            turn_square(w, j0 + s, US_MIN((size_t)SQUARE, cols - s), p,
                        US_MIN((size_t)SQUARE, w->k - p), wide, to + p * wide + s);
}

static void pack_thin(const us_gemm_weights *w, float *to)
{
    size_t deep = round_up(w->k, 16), step = w->trans ? 1 : w->ldb;
    for (size_t j = 0; j < w->n; j++, to += deep) {
        const float *b = w->b + (w->trans ? j * w->ldb : j);
        for (size_t p = 0; p < w->k; p++)
            to[p] = w->scale * b[p * step];
        for (size_t p = w->k; p < deep; p++)
            to[p] = 0.0F;
    }
}

void us_gemm_pack(const us_gemm_layout *l, const us_gemm_weights *w, float *to)
{
    if (w->n <= l->thin) {
        pack_thin(w, to);
        return;
    }
    for (size_t j = 0; j < w->n; j += l->nr) {
        size_t cols = US_MIN(l->nr, w->n - j);
        pack_panel(w, j, cols, round_up(cols, l->vw), to + j * w->k);
    }
}

/* --- the product ------------------------------------------------------------------------------------- */

static size_t no_scratch(size_t m, size_t n, size_t k)
{
    (void)m, (void)n, (void)k;
    return 0;
}

/* NaN stays: it is neither less nor greater. */
static float clamp(float x, float lo, float hi)
{
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

static void piece(const us_pgemm_args *g, size_t i, size_t j, size_t cols)
{
    const float *a = g->a + i * g->lda, *w = g->w + j * g->k;
    float *c = g->c + i * g->ldc + j, acc[NR];
    for (size_t s = 0; s < NR; s++)
        acc[s] = g->bias && s < cols ? g->bias[j + s] : 0.0F;
    for (size_t p = 0; p < g->k; p++, w += NR)
        for (size_t s = 0; s < NR; s++)
            acc[s] += a[p] * w[s];
    for (size_t s = 0; s < cols; s++) {
        float x = g->res ? acc[s] + g->res[i * g->ldres + j + s] : acc[s];
        c[s] = clamp(x, g->lo, g->hi);
    }
    if (g->tail) g->tail(g->tail_arg, i, 1, j, cols, c, g->ldc);
}

static void run(const us_pgemm_args *g)
{
    for (size_t j = g->j0; j < g->j1; j += NR)
        for (size_t i = 0; i < g->m; i++)
            piece(g, i, j, US_MIN((size_t)NR, g->j1 - j));
}

static void pack(const us_gemm_weights *w, float *to)
{
    us_gemm_pack(&us_gemm__ref.layout, w, to);
}

const us_gemm_kernels us_gemm__ref = {.name = "us_f32_pgemm_1x16__ref",
                                      .layout = {.nr = NR, .vw = NR},
                                      .mr = 1,
                                      .scratch = no_scratch,
                                      .run = run,
                                      .pack = pack};
