/* kernel/x86/int8_avx2.c - 8-bit products for AVX2: tiles of 4x16. Loads and stores of a part of a vector go through the stack. */
#include <immintrin.h>
#include <string.h>

#include "kernel/variants.h"
#include "kernel/x86/quad_sse2.h"

typedef __m256i VI;
typedef __m256 VF;

enum { W = 8 };

#define BYTES 32
#define NR    16
#define MR    4
#define ISA   __avx2

/* clang-format off */
#define ZERO()          _mm256_setzero_si256()
#define SETI(x)         _mm256_set1_epi32(x)
#define SET8(x)         _mm256_set1_epi8(x)
#define SETF(x)         _mm256_set1_ps(x)
#define LOAD_B(p)       _mm256_loadu_si256((const void *)(p))
#define LOAD_N(p, n)    load_bytes((p), (n))
#define STORE_N(p, n, x) store_bytes((p), (n), (x))
#define SPREAD(p)       _mm256_set1_epi32(int_at(p))
#define LOADI(p)        _mm256_loadu_si256((const void *)(p))
#define STORE_W(p, x)   _mm256_storeu_si256((void *)(p), (x))
#define LOADF(p)        _mm256_loadu_ps(p)
#define LOADF_N(p, n)   load_floats((p), (n))
#define ADDI(a, b)      _mm256_add_epi32((a), (b))
#define SUBI(a, b)      _mm256_sub_epi32((a), (b))
#define MULI(a, b)      _mm256_mullo_epi32((a), (b))
#define XORI(a, b)      _mm256_xor_si256((a), (b))
#define FLOAT(a)        _mm256_cvtepi32_ps(a)
#define ROUND(a)        _mm256_cvtps_epi32(a)
#define SUBF(a, b)      _mm256_sub_ps((a), (b))
#define MAXB(a, b)      _mm256_max_epu8((a), (b))
#define ADDF(a, b)      _mm256_add_ps((a), (b))
#define MULF(a, b)      _mm256_mul_ps((a), (b))
#define DIVF(a, b)      _mm256_div_ps((a), (b))
#define FMAF(a, b, c)   _mm256_fmadd_ps((a), (b), (c))
#define MINF(a, b)      _mm256_min_ps((a), (b))
#define MAXF(a, b)      _mm256_max_ps((a), (b))
#define LEAST(a)        least_of(a)
#define MOST(a)         most_of(a)
#define STOREI(p, n, x) store_some((p), (n), (x))
#define STOREF(p, n, x) store_some((p), (n), _mm256_castps_si256(x))
#define STOREB(p, n, x) store_low((p), (n), (x))
#define WIDEN8(p, n)    _mm256_cvtepu8_epi32(load_low((p), (n)))
#define ZERO_NAN(q, r)  _mm256_and_si256(_mm256_castps_si256(_mm256_cmp_ps((q), (q), _CMP_ORD_Q)), (r))
#define UNPACKLO8(a, b)  _mm256_unpacklo_epi8((a), (b))
#define UNPACKHI8(a, b)  _mm256_unpackhi_epi8((a), (b))
#define UNPACKLO16(a, b) _mm256_unpacklo_epi16((a), (b))
#define UNPACKHI16(a, b) _mm256_unpackhi_epi16((a), (b))
#define PACK16(a, b)    _mm256_packs_epi32((a), (b))
#define PACK8(a, b)     _mm256_packus_epi16(_mm256_and_si256((a), _mm256_set1_epi16(255)), _mm256_and_si256((b), _mm256_set1_epi16(255)))
#define SAD8(a)         _mm256_sad_epu8((a), _mm256_setzero_si256())
#define ADD64(a, b)     _mm256_add_epi64((a), (b))
#define SUM64(a)        sum_of_4(a)

#define WORDS_OF_W(v, x) const VI w_##v = (x), we_##v = _mm256_srai_epi16(_mm256_slli_epi16(w_##v, 8), 8), wo_##v = _mm256_srai_epi16(w_##v, 8);
#define WORDS_OF_A(x)    const VI a_x = (x), ae = _mm256_and_si256(a_x, _mm256_set1_epi16(255)), ao = _mm256_srli_epi16(a_x, 8);
#define DP(c, v)         c = ADDI(c, ADDI(_mm256_madd_epi16(ae, we_##v), _mm256_madd_epi16(ao, wo_##v)));
/* clang-format on */

static inline __m256i load_bytes(const void *p, size_t n)
{
    uint8_t room[32] = {0};
    if (n >= sizeof room) return LOAD_B(p);
    memcpy(room, p, n);
    return LOAD_B(room);
}

static inline void store_bytes(void *p, size_t n, __m256i x)
{
    uint8_t room[32];
    if (n >= sizeof room) {
        _mm256_storeu_si256(p, x);
        return;
    }
    _mm256_storeu_si256((void *)room, x);
    memcpy(p, room, n);
}

static inline void store_some(void *p, size_t n, __m256i x)
{
    store_bytes(p, n * 4, x);
}

static inline __m256 load_floats(const float *p, size_t n)
{
    return _mm256_castsi256_ps(load_bytes(p, n * 4));
}

static inline __m128i load_low(const void *p, size_t n)
{
    uint8_t room[8] = {0};
    if (n >= sizeof room) return _mm_loadl_epi64(p);
    memcpy(room, p, n);
    return _mm_loadl_epi64((const void *)room);
}

/* The low byte of each number. */
static inline void store_low(uint8_t *p, size_t n, __m256i x)
{
    const __m256i low = _mm256_and_si256(x, _mm256_set1_epi32(255));
    const __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
    const __m128i bytes = _mm_packus_epi16(words, words);
    uint8_t room[8];
    if (n >= sizeof room) {
        _mm_storel_epi64((void *)p, bytes);
        return;
    }
    _mm_storel_epi64((void *)room, bytes);
    memcpy(p, room, n);
}

static inline int64_t sum_of_4(__m256i x)
{
    int64_t v[4];
    _mm256_storeu_si256((void *)v, x);
    return v[0] + v[1] + v[2] + v[3];
}

static inline float least_of(__m256 x)
{
    float v[8], r;
    _mm256_storeu_ps(v, x);
    r = v[0];
    for (size_t i = 1; i < 8; i++)
        r = v[i] < r ? v[i] : r;
    return r;
}

static inline float most_of(__m256 x)
{
    float v[8], r;
    _mm256_storeu_ps(v, x);
    r = v[0];
    for (size_t i = 1; i < 8; i++)
        r = v[i] > r ? v[i] : r;
    return r;
}

#include "kernel/simd/int8.inc"
