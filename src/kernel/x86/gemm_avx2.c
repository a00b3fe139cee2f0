/* kernel/x86/gemm_avx2.c - f32 matrix product for AVX2 + FMA: blocked, packed, 6x16 register tile.
 *
 * Source of the scheme: Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", ACM
 * TOMS 34(3), 2008; tile shape as in BLIS for Haswell. Three loops cut the problem so that a KC x 16
 * sliver of B stays in the first-level cache, an MC x KC block of A in the second and a KC x NC panel
 * of B in the third. 6 x 16 floats are 12 accumulators; with two registers of B and two broadcasts
 * of A that is all 16 vector registers, and 12 independent chains cover the latency of two FMA units.
 *
 * Every element of C is summed over k in blocks of KC, ascending, by fused multiply-add, whatever the
 * position in a tile and whatever m and n are: edge tiles run the same code into a small buffer. So
 * callers may split m and n between threads without changing a bit.
 *
 * Packing pads with zeros up to whole tiles; padded products go only to rows and columns of the buffer
 * that are never copied out, so NaN and infinities at the edges stay where they belong.
 */
#include <immintrin.h>
#include <string.h>

#include "kernel/variants.h"

enum { MR = 6, NR = 16, MC = 120, KC = 320, NC = 2048, FEW = 4 };

/* Row i of the tile gets a[i] (broadcast) times the two vectors of B. */
#define ROW(i)                                                                                 \
    do {                                                                                       \
        __m256 a_ = _mm256_broadcast_ss(a + (i));                                              \
        c##i##0 = _mm256_fmadd_ps(a_, b0, c##i##0);                                            \
        c##i##1 = _mm256_fmadd_ps(a_, b1, c##i##1);                                            \
    } while (0)
#define ZERO(i) __m256 c##i##0 = _mm256_setzero_ps(), c##i##1 = _mm256_setzero_ps()
#define SIX(f)                                                                                 \
    f(0);                                                                                      \
    f(1);                                                                                      \
    f(2);                                                                                      \
    f(3);                                                                                      \
    f(4);                                                                                      \
    f(5)

/* c = alpha * acc, + c when add, + beta * c otherwise unless beta is 0 (then c is not read). */
static inline void put_row(float *c, __m256 lo, __m256 hi, __m256 alpha, float beta)
{
    lo = _mm256_mul_ps(alpha, lo);
    hi = _mm256_mul_ps(alpha, hi);
    if (beta == 1.0F) {
        lo = _mm256_add_ps(lo, _mm256_loadu_ps(c));
        hi = _mm256_add_ps(hi, _mm256_loadu_ps(c + 8));
    } else if (beta != 0.0F) {
        __m256 b = _mm256_set1_ps(beta);
        lo = _mm256_fmadd_ps(b, _mm256_loadu_ps(c), lo);
        hi = _mm256_fmadd_ps(b, _mm256_loadu_ps(c + 8), hi);
    }
    _mm256_storeu_ps(c, lo);
    _mm256_storeu_ps(c + 8, hi);
}
#define PUT(i) put_row(c + (i)*ldc, c##i##0, c##i##1, al, beta)

/* A 6x16 tile: a is packed [k][6], b is packed [k][16]. Not inlined, so that its register use can be seen
 * (tests/kernel/check_spills.sh reads it in the object file). */
void us_f32_gemm_tile_6x16__avx2(size_t k, const float *a, const float *b, float alpha,
                                 float beta, float *c, size_t ldc);
__attribute__((noinline)) void us_f32_gemm_tile_6x16__avx2(size_t k, const float *a,
                                                           const float *b, float alpha,
                                                           float beta, float *c, size_t ldc)
{
    SIX(ZERO);
    for (size_t p = 0; p < k; p++, a += MR, b += NR) {
        __m256 b0 = _mm256_load_ps(b), b1 = _mm256_load_ps(b + 8);
        _mm_prefetch((const char *)(b + 8 * NR), _MM_HINT_T0);
        SIX(ROW);
    }
    __m256 al = _mm256_set1_ps(alpha);
    SIX(PUT);
}

/* Rows i0.. of A (mc of them, kc columns from p0) into panels [mc/6][kc][6], zero-padded. */
static void pack_a(const us_gemm_args *g, size_t i0, size_t mc, size_t p0, size_t kc, float *to)
{
    for (size_t i = 0; i < mc; i += MR, to += MR * kc) {
        size_t rows = US_MIN((size_t)MR, mc - i);
        if (rows < MR) memset(to, 0, MR * kc * sizeof *to);
        for (size_t r = 0; r < rows; r++) {
            const float *a = g->trans_a ? g->a + p0 * g->lda + (i0 + i + r)
                                        : g->a + (i0 + i + r) * g->lda + p0;
            size_t step = g->trans_a ? g->lda : 1;
            for (size_t p = 0; p < kc; p++)
                to[p * MR + r] = a[p * step];
        }
    }
}

/* Columns j0.. of B (nc of them, kc rows from p0) into panels [nc/16][kc][16], zero-padded. */
static void pack_b(const us_gemm_args *g, size_t j0, size_t nc, size_t p0, size_t kc, float *to)
{
    for (size_t j = 0; j < nc; j += NR, to += NR * kc) {
        size_t cols = US_MIN((size_t)NR, nc - j);
        if (cols < NR) memset(to, 0, NR * kc * sizeof *to);
        if (g->trans_b) {
            for (size_t s = 0; s < cols; s++) {
                const float *b = g->b + (j0 + j + s) * g->ldb + p0;
                for (size_t p = 0; p < kc; p++)
                    to[p * NR + s] = b[p];
            }
        } else {
            const float *b = g->b + p0 * g->ldb + j0 + j;
            for (size_t p = 0; p < kc; p++, b += g->ldb)
                memcpy(to + p * NR, b, cols * sizeof *to);
        }
    }
}

/* A tile that sticks out: computed whole into a buffer, of which the real part is merged into c. */
static void edge_tile(size_t k, const float *a, const float *b, const us_gemm_args *g,
                      float beta, float *c, size_t rows, size_t cols)
{
    _Alignas(32) float t[MR * NR];
    for (size_t i = 0; i < rows && beta != 0.0F; i++)
        memcpy(t + i * NR, c + i * g->ldc, cols * sizeof *t);
    if (beta != 0.0F && (rows < MR || cols < NR)) {
        for (size_t i = 0; i < MR; i++)
            for (size_t j = i < rows ? cols : 0; j < NR; j++)
                t[i * NR + j] = 0.0F;
    }
    us_f32_gemm_tile_6x16__avx2(k, a, b, g->alpha, beta, t, NR);
    for (size_t i = 0; i < rows; i++)
        memcpy(c + i * g->ldc, t + i * NR, cols * sizeof *t);
}

/* mc x nc block of C from packed A and B. */
static void block(const us_gemm_args *g, float *c, size_t mc, size_t nc, size_t kc,
                  const float *pa, const float *pb, float beta)
{
    for (size_t j = 0; j < nc; j += NR)
        for (size_t i = 0; i < mc; i += MR) {
            const float *a = pa + i * kc, *b = pb + j * kc;
            float *to = c + i * g->ldc + j;
            if (mc - i >= MR && nc - j >= NR)
                us_f32_gemm_tile_6x16__avx2(kc, a, b, g->alpha, beta, to, g->ldc);
            else
                edge_tile(kc, a, b, g, beta, to, US_MIN((size_t)MR, mc - i),
                          US_MIN((size_t)NR, nc - j));
        }
}

/* --- a few rows: B is read where it lies ------------------------------------------------------------------
 *
 * With one row to multiply, packing B costs more than the product. Each element is summed over k in the same order with
 * the same operations as in a tile, so the two paths give the same bits and callers may still split m as they like. */

static inline __m256i tail_mask(size_t n)
{
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - n));
}

/* Up to 8 columns, fewer by mask: lanes left out are neither read nor written. */
static void row_tail(size_t k, const float *a, size_t step, const float *b, size_t ldb,
                     size_t n, float alpha, float beta, float *c)
{
    __m256i mask = tail_mask(n);
    __m256 acc = _mm256_setzero_ps();
    for (size_t p = 0; p < k; p++)
        acc = _mm256_fmadd_ps(_mm256_broadcast_ss(a + p * step),
                              _mm256_maskload_ps(b + p * ldb, mask), acc);
    acc = _mm256_mul_ps(_mm256_set1_ps(alpha), acc);
    if (beta == 1.0F)
        acc = _mm256_add_ps(acc, _mm256_maskload_ps(c, mask));
    else if (beta != 0.0F)
        acc = _mm256_fmadd_ps(_mm256_set1_ps(beta), _mm256_maskload_ps(c, mask), acc);
    _mm256_maskstore_ps(c, mask, acc);
}

static void row_16(size_t k, const float *a, size_t step, const float *b, size_t ldb,
                   float alpha, float beta, float *c)
{
    __m256 lo = _mm256_setzero_ps(), hi = _mm256_setzero_ps();
    for (size_t p = 0; p < k; p++) {
        __m256 x = _mm256_broadcast_ss(a + p * step);
        lo = _mm256_fmadd_ps(x, _mm256_loadu_ps(b + p * ldb), lo);
        hi = _mm256_fmadd_ps(x, _mm256_loadu_ps(b + p * ldb + 8), hi);
    }
    put_row(c, lo, hi, _mm256_set1_ps(alpha), beta);
}

/* 64 columns: 8 accumulators, enough chains for two FMA units. */
static void row_64(size_t k, const float *a, size_t step, const float *b, size_t ldb,
                   float alpha, float beta, float *c)
{
    __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0,
           s7 = s0;
    for (size_t p = 0; p < k; p++) {
        __m256 x = _mm256_broadcast_ss(a + p * step);
        const float *r = b + p * ldb;
        s0 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r), s0);
        s1 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r + 8), s1);
        s2 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r + 16), s2);
        s3 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r + 24), s3);
        s4 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r + 32), s4);
        s5 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r + 40), s5);
        s6 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r + 48), s6);
        s7 = _mm256_fmadd_ps(x, _mm256_loadu_ps(r + 56), s7);
    }
    __m256 al = _mm256_set1_ps(alpha);
    put_row(c, s0, s1, al, beta);
    put_row(c + 16, s2, s3, al, beta);
    put_row(c + 32, s4, s5, al, beta);
    put_row(c + 48, s6, s7, al, beta);
}

static void row(const us_gemm_args *g, size_t i, size_t p0, size_t kc, float beta)
{
    const float *a = g->trans_a ? g->a + p0 * g->lda + i : g->a + i * g->lda + p0;
    size_t step = g->trans_a ? g->lda : 1, j = 0;
    const float *b = g->b + p0 * g->ldb;
    float *c = g->c + i * g->ldc;
    for (; j + 64 <= g->n; j += 64)
        row_64(kc, a, step, b + j, g->ldb, g->alpha, beta, c + j);
    for (; j + 16 <= g->n; j += 16)
        row_16(kc, a, step, b + j, g->ldb, g->alpha, beta, c + j);
    for (; j < g->n; j += 8)
        row_tail(kc, a, step, b + j, g->ldb, US_MIN((size_t)8, g->n - j), g->alpha, beta,
                 c + j);
}

static void few_rows(const us_gemm_args *g)
{
    for (size_t p = 0; p < g->k; p += KC) {
        size_t kc = US_MIN((size_t)KC, g->k - p);
        for (size_t i = 0; i < g->m; i++)
            row(g, i, p, kc, p == 0 ? g->beta : 1.0F);
    }
}

static size_t round_up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

/* Packed A, rounded to 64 bytes so that packed B is aligned too. */
static size_t a_floats(size_t m, size_t k)
{
    return round_up(round_up(US_MIN(m, (size_t)MC), MR) * US_MIN(k, (size_t)KC), 16);
}

size_t us_f32_gemm_scratch_6x16__avx2(size_t m, size_t n, size_t k)
{
    if (m == 0 || n == 0 || k == 0) return 0;
    /* The few-rows path needs none, but whether B is transposed is not known here. */
    size_t b = round_up(US_MIN(n, (size_t)NC), NR) * US_MIN(k, (size_t)KC);
    /* 8 rows of slack: the tile's prefetch address stays inside */
    return (a_floats(m, k) + b + 8 * NR) * sizeof(float);
}

/* k == 0: nothing to add, but beta still holds. */
static void only_beta(const us_gemm_args *g)
{
    for (size_t i = 0; i < g->m; i++)
        for (size_t j = 0; j < g->n; j++) {
            float *c = g->c + i * g->ldc + j;
            *c = g->beta == 0.0F ? 0.0F : g->beta * *c;
        }
}

void us_f32_gemm_6x16__avx2(const us_gemm_args *g)
{
    if (g->m == 0 || g->n == 0) return;
    if (g->k == 0) {
        only_beta(g);
        return;
    }
    if (g->m <= FEW && !g->trans_b) {
        few_rows(g);
        return;
    }
    float *pa = g->scratch, *pb = pa + a_floats(g->m, g->k);
    for (size_t j = 0; j < g->n; j += NC) {
        size_t nc = US_MIN((size_t)NC, g->n - j);
        for (size_t p = 0; p < g->k; p += KC) {
            size_t kc = US_MIN((size_t)KC, g->k - p);
            float beta = p == 0 ? g->beta : 1.0F;
            pack_b(g, j, nc, p, kc, pb);
            for (size_t i = 0; i < g->m; i += MC) {
                size_t mc = US_MIN((size_t)MC, g->m - i);
                pack_a(g, i, mc, p, kc, pa);
                block(g, g->c + i * g->ldc + j, mc, nc, kc, pa, pb, beta);
            }
        }
    }
}
