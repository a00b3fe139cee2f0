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

/* Which of i to i + 15 are below n. */
INLINE __mmask16 first_lanes(size_t n, size_t i)
{
    return n <= i ? 0 : n - i < 16 ? (__mmask16)((1U << (n - i)) - 1) : 0xffff;
}

/* Numbers i to i + 15 of a row with NaN as infinity, and their buckets. */
INLINE void find_buckets(const us_tree_features *f, size_t i, const float *x, float *to,
                         uint32_t *bucket)
{
    const __m512 most = _mm512_set1_ps(INFINITY), least = _mm512_set1_ps(-INFINITY);
    const __mmask16 some = first_lanes(f->n, i), high = first_lanes(f->n_high, i);
    __m512 v = f->straight
                   ? _mm512_maskz_loadu_ps(some, x + f->x[0] + i)
                   : _mm512_mask_i32gather_ps(_mm512_setzero_ps(), some,
                                              _mm512_maskz_loadu_epi32(some, f->x + i), x, 4);
    v = _mm512_mask_blend_ps(high, _mm512_max_ps(v, least), _mm512_min_ps(v, most));
    __m512 at = _mm512_mul_ps(_mm512_sub_ps(v, _mm512_loadu_ps(f->least + i)),
                              _mm512_loadu_ps(f->scale + i));
    at = _mm512_min_ps(_mm512_max_ps(at, _mm512_setzero_ps()),
                       _mm512_set1_ps(US_FOREST_BUCKETS - 1));
    _mm512_store_ps(to + i, v);
    _mm512_store_si512(bucket + i, _mm512_cvttps_epi32(at));
}

/* The column after a feature's first gets what is over: where it is another feature's, that one's rank comes later. */
static void ranks_by_buckets(const us_tree_features *f, const float *x, uint8_t *restrict out)
{
    float v[US_FOREST_COLUMNS] __attribute__((aligned(64)));
    uint32_t bucket[US_FOREST_COLUMNS] __attribute__((aligned(64)));
    const uint16_t *ranks = f->ranks;
    const float *limits = f->limits;
    const uint32_t *first = f->first;
    const uint8_t *column = f->column;
    size_t n = f->n;
    for (size_t i = 0; i < n; i += 16)
        find_buckets(f, i, x, v, bucket);
    for (size_t i = 0; i < n; i++, ranks += US_FOREST_BUCKETS) {
        unsigned rank = ranks[bucket[i]];
        __mmask8 close = _mm256_cmp_ps_mask(_mm256_loadu_ps(limits + first[i] + rank),
                                            _mm256_broadcast_ss(v + i), _CMP_LE_OQ);
        rank += (unsigned)_mm_popcnt_u32(_cvtmask8_u32(close));
        unsigned low = US_MIN(rank, (unsigned)US_FOREST_LIMITS);
        uint8_t *to = out + column[i];
        to[0] = (uint8_t)low;
        to[1] = (uint8_t)(rank - low);
    }
}

static void ranks(const us_tree_columns *c, const float *x, uint8_t *restrict out)
{
    if (c->features.n) {
        ranks_by_buckets(&c->features, x, out);
        return;
    }
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

/* Where the comparisons of a subtree, a bit each, lead to; the highest bit is none. */
#define SECOND(bits, i) ((bits) >> (i)&1)
#define LEFT(b)         (SECOND(b, 1) ? 2 + SECOND(b, 4) : SECOND(b, 3))
#define RIGHT(b)        (SECOND(b, 2) ? 2 + SECOND(b, 6) : SECOND(b, 5))
#define END(b)          (SECOND(b, 0) ? 4 + RIGHT(b) : LEFT(b))
#define ENDS4(b)        END(b), END((b) + 1), END((b) + 2), END((b) + 3)
#define ENDS16(b)       ENDS4(b), ENDS4((b) + 4), ENDS4((b) + 8), ENDS4((b) + 12)
static const uint8_t ends_of_bits[128]
    __attribute__((aligned(64))) = {ENDS16(0),  ENDS16(16), ENDS16(32), ENDS16(48),
                                    ENDS16(64), ENDS16(80), ENDS16(96), ENDS16(112)};

/* The subtree of tree i of eight; from: bytes of their subtrees to step over. */
INLINE const __m128i *subtree(const uint8_t *under, uint64_t from, int i)
{
    const uint8_t *tree = under + i * US_FOREST_SUBTREES * US_FOREST_HOP;
    return (const void *)(tree + (uint8_t)(from >> (8 * i)));
}
/* Those of trees i and i + 2. */
INLINE __m256i two_subtrees(const uint8_t *under, uint64_t from, int i)
{
    __m256i one = _mm256_castsi128_si256(_mm_load_si128(subtree(under, from, i)));
    return _mm256_inserti128_si256(one, _mm_load_si128(subtree(under, from, i + 2)), 1);
}
INLINE __m512i join(__m256i a, __m256i b)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
}

/* Comparisons in the subtrees of eight trees: lanes of a are those of trees 0 2 4 6, of b the others', so that columns and limits come out in
 * order. */
INLINE __mmask64 eight_subtrees(const uint8_t *under, uint64_t from, __m512i ranks)
{
    __m512i a = join(two_subtrees(under, from, 0), two_subtrees(under, from, 4));
    __m512i b = join(two_subtrees(under, from, 1), two_subtrees(under, from, 5));
    __m512i columns = _mm512_unpacklo_epi64(a, b), limits = _mm512_unpackhi_epi64(a, b);
    return _mm512_cmple_epu8_mask(_mm512_permutexvar_epi8(columns, ranks), limits);
}

/* Ends of 64 trees, `each` a tree, as numbers. */
INLINE void put_ends(__m512i ends, uint32_t first, uint32_t each, uint32_t *at)
{
    const __m512i count =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i apart = _mm512_set1_epi32((int)(16 * each));
    __m512i a = _mm512_add_epi32(_mm512_set1_epi32((int)first),
                                 _mm512_mullo_epi32(count, _mm512_set1_epi32((int)each)));
    __m512i b = _mm512_add_epi32(a, apart), c = _mm512_add_epi32(b, apart);
#define PUT_ENDS(i, tree)                                                                      \
    _mm512_storeu_si512(                                                                       \
        at + 16 * (i),                                                                         \
        _mm512_add_epi32(tree, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(ends, i))))
    PUT_ENDS(0, a);
    PUT_ENDS(1, b);
    PUT_ENDS(2, c);
    PUT_ENDS(3, _mm512_add_epi32(c, apart));
}

/* Step by step for all trees: what one step leaves in memory is there long before the next reads it. */
INLINE void two_steps(const us_tree_hops *h, __m512i ranks, uint32_t *at)
{
    uint64_t from[US_FOREST_MANY / 8] __attribute__((aligned(64)));
    uint64_t bits[US_FOREST_MANY / 8] __attribute__((aligned(64)));
    const size_t eights = (h->n + 7) / 8, n = (eights + 7) / 8;
    const uint8_t *under = h->under, *tops = h->tops;
    for (size_t i = 0; i < n; i++, tops += 7 * 3 * US_FOREST_WIDE)
        _mm512_store_si512(from + 8 * i, _mm512_slli_epi16(even3(tops, ranks), 4));
    _mm512_store_si512(bits + 8 * (n - 1), _mm512_setzero_si512());
    for (size_t i = 0; i < eights; i++, under += 8 * US_FOREST_SUBTREES * US_FOREST_HOP)
        bits[i] = _cvtmask64_u64(eight_subtrees(under, from[i], ranks));
    for (size_t i = 0; i < n; i++, at += US_FOREST_WIDE) {
        __m512i under_top = _mm512_permutex2var_epi8(_mm512_load_si512(ends_of_bits),
                                                     _mm512_load_si512(bits + 8 * i),
                                                     _mm512_load_si512(ends_of_bits + 64));
        __m512i top = _mm512_srli_epi16(_mm512_load_si512(from + 8 * i), 1);
        __m512i ends = _mm512_or_si512(top, under_top);
        put_ends(ends, h->first + (uint32_t)(i * US_FOREST_WIDE * US_FOREST_ENDS),
                 US_FOREST_ENDS, at);
    }
}

static void hops(const us_tree_hops *h, const uint8_t *rank, uint32_t *at)
{
    const __m512i ranks = _mm512_loadu_si512(rank);
    const uint8_t *tops = h->tops;
    if (h->under) {
        two_steps(h, ranks, at);
        return;
    }
    for (uint32_t i = 0; i < h->n; i += US_FOREST_WIDE, tops += 7 * 3 * US_FOREST_WIDE)
        put_ends(even3(tops, ranks), h->first + i * US_FOREST_SUBTREES, US_FOREST_SUBTREES,
                 at + i);
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
    "us_forest__vbmi", true, true, 5.5, ranks, tops, hops, sets, add};
