/* kernel/x86/i16_avx2.c - products of centred 8-bit numbers for AVX2: pmaddwd on pairs of 16-bit integers.
 *
 * pmaddwd multiplies 16 pairs and adds neighbours in 32 bits, exactly for numbers of 9 bits; pmaddubsw, on bytes, would do twice
 * as many but saturates its sums. A tile is 4 x 16: 8 accumulators, two registers of B, one broadcast pair of A.
 */
#include <immintrin.h>
#include <string.h>

#include "kernel/variants.h"

enum { MR = 4, NR = US_I16_NR };

static inline __m256i pair(const int16_t *a)
{
    int32_t two;
    memcpy(&two, a, sizeof two);
    return _mm256_set1_epi32(two);
}

static inline __m256i load(const int16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline void store(int32_t *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

#define ROW(i)                                                                                 \
    do {                                                                                       \
        __m256i a_ = pair(a + (i)*lda + p);                                                    \
        c##i##0 = _mm256_add_epi32(c##i##0, _mm256_madd_epi16(a_, b0));                        \
        c##i##1 = _mm256_add_epi32(c##i##1, _mm256_madd_epi16(a_, b1));                        \
    } while (0)

static void tile_4(size_t k, const int16_t *a, size_t lda, const int16_t *b, int32_t *c,
                   size_t ldc)
{
    __m256i c00 = _mm256_setzero_si256(), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00,
            c30 = c00, c31 = c00;
    for (size_t p = 0; p < k; p += 2, b += 2 * NR) {
        __m256i b0 = load(b), b1 = load(b + NR);
        ROW(0);
        ROW(1);
        ROW(2);
        ROW(3);
    }
    store(c, c00);
    store(c + 8, c01);
    store(c + ldc, c10);
    store(c + ldc + 8, c11);
    store(c + 2 * ldc, c20);
    store(c + 2 * ldc + 8, c21);
    store(c + 3 * ldc, c30);
    store(c + 3 * ldc + 8, c31);
}

/* One row; two sets of accumulators hide the latency. */
static void tile_1(size_t k, const int16_t *a, const int16_t *b, int32_t *c)
{
    __m256i c00 = _mm256_setzero_si256(), c01 = c00, d0 = c00, d1 = c00;
    size_t p = 0, lda = 0;
    for (; p + 4 <= k; p += 4, b += 4 * NR) {
        __m256i b0 = load(b), b1 = load(b + NR), a2 = pair(a + p + 2);
        ROW(0);
        d0 = _mm256_add_epi32(d0, _mm256_madd_epi16(a2, load(b + 2 * NR)));
        d1 = _mm256_add_epi32(d1, _mm256_madd_epi16(a2, load(b + 3 * NR)));
    }
    if (p < k) {
        __m256i b0 = load(b), b1 = load(b + NR);
        ROW(0);
    }
    store(c, _mm256_add_epi32(c00, d0));
    store(c + 8, _mm256_add_epi32(c01, d1));
}

void us_i16_gemm_4x16__avx2(const us_i16_gemm_args *g)
{
    for (size_t j = 0; j < g->n; j += NR) {
        const int16_t *b = g->b + j * g->k;
        size_t i = 0;
        for (; i + MR <= g->m; i += MR)
            tile_4(g->k, g->a + i * g->lda, g->lda, b, g->c + i * g->ldc + j, g->ldc);
        for (; i < g->m; i++)
            tile_1(g->k, g->a + i * g->lda, b, g->c + i * g->ldc + j);
    }
}

/* Rows are interleaved on the way; a last odd one is paired with zeros. */
void us_i16_rows__avx2(size_t k, const int16_t *w, const int16_t *const *rows, size_t n,
                       int32_t *c)
{
    for (size_t j = 0; j < n; j += 16) {
        __m256i lo = _mm256_setzero_si256(), hi = lo, zero = lo;
        for (size_t p = 0; p < k; p += 2) {
            int16_t two[2] = {w[p], 0};
            __m256i r0 = load(rows[p] + j), r1 = zero;
            if (p + 1 < k) {
                two[1] = w[p + 1];
                r1 = load(rows[p + 1] + j);
            }
            __m256i a = pair(two);
            lo = _mm256_add_epi32(lo, _mm256_madd_epi16(a, _mm256_unpacklo_epi16(r0, r1)));
            hi = _mm256_add_epi32(hi, _mm256_madd_epi16(a, _mm256_unpackhi_epi16(r0, r1)));
        }
        store(c + j, _mm256_permute2x128_si256(lo, hi, 0x20));
        store(c + j + 8, _mm256_permute2x128_si256(lo, hi, 0x31));
    }
}
