/* kernel/x86/forest_vbmi.c - tops and sums of kernel/forest.h with AVX-512 and VBMI, whose permutation of bytes reads 64 ranks at once.
 *
 * A set of trees is a mask. At a node those that get there are split by one masked comparison, and where they go to the right a bit is
 * added to their place; the left half is the mask of one child, the rest that of the other. Levels are unrolled: seven masks are alive at
 * the lowest.
 */
#include <immintrin.h>
#include <math.h>

#include "kernel/variants.h"

#define INLINE static inline __attribute__((always_inline))

INLINE size_t count(__mmask16 m)
{
    return (size_t)_mm_popcnt_u32(_cvtmask16_u32(m));
}

/* high: NaN is above all. The heads tell the block of 16 limits, these the rest. */
INLINE uint8_t rank_of(const float *limits, __m512 x, bool high)
{
    const __mmask16 heads = (1U << US_FOREST_HEADS) - 1;
    __m512 first = _mm512_load_ps(limits);
    size_t block = 16 * count(high ? _mm512_mask_cmp_ps_mask(heads, x, first, _CMP_NLT_UQ)
                                   : _mm512_mask_cmp_ps_mask(heads, x, first, _CMP_GE_OQ));
    __m512 second = _mm512_load_ps(limits + 16 + block);
    return (uint8_t)(block + count(high ? _mm512_cmp_ps_mask(x, second, _CMP_NLT_UQ)
                                        : _mm512_cmp_ps_mask(x, second, _CMP_GE_OQ)));
}

static void ranks(const us_tree_columns *c, const float *x, uint8_t *out)
{
    const float *l = c->limits;
    size_t i = 0;
    for (; i < c->n_high; i++, l += US_FOREST_STRIDE)
        out[i] = rank_of(l, _mm512_set1_ps(x[c->x[i]]), true);
    for (; i < c->n; i++, l += US_FOREST_STRIDE)
        out[i] = rank_of(l, _mm512_set1_ps(x[c->x[i]]), false);
}

/* The trees of `here` that go on to the second child of node n. */
INLINE __mmask64 to_second(const uint8_t *n, __m512i ranks, __mmask64 here)
{
    __m512i rank = _mm512_permutexvar_epi8(_mm512_load_si512(n), ranks);
    return _mm512_mask_cmple_epu8_mask(here, rank, _mm512_load_si512(n + US_FOREST_WIDE));
}

/* All levels from node i on, of which there are h. */
#define UNDER(h, lower)                                                                        \
    INLINE __m512i under##h(__m512i at, const uint8_t *nodes, size_t i, __m512i ranks,         \
                            __mmask64 here, bool even)                                         \
    {                                                                                          \
        const uint8_t *n = nodes + 3 * US_FOREST_WIDE * i;                                     \
        __mmask64 second = to_second(n, ranks, here);                                          \
        __m512i steps =                                                                        \
            even ? _mm512_set1_epi8(1 << ((h)-1)) : _mm512_load_si512(n + 2 * US_FOREST_WIDE); \
        at = _mm512_mask_add_epi8(at, second, at, steps);                                      \
        at = lower(at, nodes, 2 * i + 2, ranks, second, even);                                 \
        return lower(at, nodes, 2 * i + 1, ranks, _kandn_mask64(second, here), even);          \
    }
INLINE __m512i under0(__m512i at, const uint8_t *nodes, size_t i, __m512i ranks, __mmask64 here,
                      bool even)
{
    (void)nodes, (void)i, (void)ranks, (void)here, (void)even;
    return at;
}
UNDER(1, under0)
UNDER(2, under1)
UNDER(3, under2)
UNDER(4, under3)
UNDER(5, under4)
UNDER(6, under5)

typedef __m512i under_fn(const uint8_t *nodes, __m512i ranks);
#define FROM_ROOT(h)                                                                           \
    static __m512i even##h(const uint8_t *nodes, __m512i ranks)                                \
    {                                                                                          \
        return under##h(_mm512_setzero_si512(), nodes, 0, ranks, ~(__mmask64)0, true);         \
    }                                                                                          \
    static __m512i uneven##h(const uint8_t *nodes, __m512i ranks)                              \
    {                                                                                          \
        return under##h(_mm512_setzero_si512(), nodes, 0, ranks, ~(__mmask64)0, false);        \
    }
FROM_ROOT(3)
FROM_ROOT(4)
FROM_ROOT(5)
FROM_ROOT(6)

static void tops(const us_tree_tops *t, const uint8_t *rank, uint32_t *at)
{
    static under_fn *const by_levels[][2] = {
        {uneven3, even3}, {uneven4, even4}, {uneven5, even5}, {uneven6, even6}};
    __m512i ends =
        by_levels[t->levels - US_FOREST_LEAST][t->even](t->nodes, _mm512_loadu_si512(rank));
#define PUT(i)                                                                                 \
    _mm512_storeu_si512(                                                                       \
        at + 16 * (i),                                                                         \
        _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(ends, i)),             \
                         _mm512_loadu_si512(t->base + 16 * (i))));
    PUT(0) PUT(1) PUT(2) PUT(3)
#undef PUT
}

/* Four columns of all parts. */
INLINE void add_four(size_t n, const uint32_t *leaves, const double *values, size_t d,
                     double *parts)
{
    __m256d s0 = _mm256_loadu_pd(parts), s1 = _mm256_loadu_pd(parts + d);
    __m256d s2 = _mm256_loadu_pd(parts + 2 * d), s3 = _mm256_loadu_pd(parts + 3 * d);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 = _mm256_add_pd(s0, _mm256_loadu_pd(values + leaves[i] * d));
        s1 = _mm256_add_pd(s1, _mm256_loadu_pd(values + leaves[i + 1] * d));
        s2 = _mm256_add_pd(s2, _mm256_loadu_pd(values + leaves[i + 2] * d));
        s3 = _mm256_add_pd(s3, _mm256_loadu_pd(values + leaves[i + 3] * d));
    }
    if (i < n) s0 = _mm256_add_pd(s0, _mm256_loadu_pd(values + leaves[i] * d));
    if (i + 1 < n) s1 = _mm256_add_pd(s1, _mm256_loadu_pd(values + leaves[i + 1] * d));
    if (i + 2 < n) s2 = _mm256_add_pd(s2, _mm256_loadu_pd(values + leaves[i + 2] * d));
    _mm256_storeu_pd(parts, s0);
    _mm256_storeu_pd(parts + d, s1);
    _mm256_storeu_pd(parts + 2 * d, s2);
    _mm256_storeu_pd(parts + 3 * d, s3);
}

#include "kernel/simd/forest_add.inc"

/* Rows of one or four numbers are the usual ones: their lengths are known where they are added. */
static void add(size_t n, const uint32_t *leaves, const double *values, size_t d, double *parts)
{
    size_t o = 0;
    if (d == 1) {
        add_column(n, leaves, values, 1, parts);
        return;
    }
    if (d == 4) {
        add_four(n, leaves, values, 4, parts);
        return;
    }
    for (; o + 4 <= d; o += 4)
        add_four(n, leaves, values + o, d, parts + o);
    for (; o < d; o++)
        add_column(n, leaves, values + o, d, parts + o);
}

const us_forest_kernels us_forest__vbmi = {"us_forest__vbmi", true, ranks, tops, add};
