/* kernel/x86/forest_vbmi.c - kernel/forest.h with AVX-512, VBMI, whose permutation of bytes reads 64 ranks at once, and BITALG.
 *
 * In tops a set of trees is a mask. At a node those that get there are split by one masked comparison, and where they go to the right a bit is
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

/* The heads tell the block of 16 limits, these the rest. Comparisons with NaN, where limits end, are false. */
INLINE uint8_t rank_of(const float *limits, __m512 x)
{
    size_t block = 16 * count(_mm512_cmp_ps_mask(_mm512_load_ps(limits), x, _CMP_LE_OQ));
    __m512 rest = _mm512_load_ps(limits + 16 + block);
    return (uint8_t)(block + count(_mm512_cmp_ps_mask(rest, x, _CMP_LE_OQ)));
}

static void ranks(const us_tree_columns *c, const float *x, uint8_t *restrict out)
{
    const __m512 most = _mm512_set1_ps(INFINITY), least = _mm512_set1_ps(-INFINITY);
    const float *l = c->limits;
    const uint32_t *which = c->x;
    size_t i = 0, n_high = c->n_high, n = c->n;
    for (; i < n_high;
         i++, l += US_FOREST_STRIDE) /* of NaN and a number both give the second */
        out[i] = rank_of(l, _mm512_min_ps(_mm512_set1_ps(x[which[i]]), most));
    for (; i < n; i++, l += US_FOREST_STRIDE)
        out[i] = rank_of(l, _mm512_max_ps(_mm512_set1_ps(x[which[i]]), least));
}

#define PUT(base, at, i, wide)                                                                 \
    _mm512_storeu_si512((at) + 16 * (i),                                                       \
                        _mm512_add_epi32(wide, _mm512_loadu_si512((base) + 16 * (i))))

static void sets(const us_tree_sets *s, const uint8_t *rank, uint32_t *at)
{
    const __m512i one = _mm512_set1_epi16(1);
    const uint16_t *rows = s->rows;
    const uint32_t *first = s->first;
    __m512i a = _mm512_load_si512(s->all), b = _mm512_load_si512(s->all + 32);
    for (size_t i = 0, n = s->n; i < n; i++) {
        const uint16_t *row = rows + (first[i] + rank[i]) * (size_t)US_FOREST_WIDE;
        a = _mm512_and_si512(a, _mm512_load_si512(row));
        b = _mm512_and_si512(b, _mm512_load_si512(row + 32));
    }
    a = _mm512_popcnt_epi16(_mm512_sub_epi16(a, one)); /* zeros below the one bit */
    b = _mm512_popcnt_epi16(_mm512_sub_epi16(b, one));
    PUT(s->base, at, 0, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(a)));
    PUT(s->base, at, 1, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(a, 1)));
    PUT(s->base, at, 2, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(b)));
    PUT(s->base, at, 3, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(b, 1)));
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
    PUT(t->base, at, 0, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(ends)));
    PUT(t->base, at, 1, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(ends, 1)));
    PUT(t->base, at, 2, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(ends, 2)));
    PUT(t->base, at, 3, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(ends, 3)));
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

const us_forest_kernels us_forest__vbmi = {
    "us_forest__vbmi", true, 5.5, ranks, tops, sets, add};
