/* kernel/x86/conv_avx512.c - convolution tiles in AVX-512: 32 registers, of which up to 28 are sums. */
#include <immintrin.h>

#define V             __m512
#define LANES         16
#define LD(p)         _mm512_loadu_ps(p)
#define ST(p, v)      _mm512_storeu_ps((p), (v))
#define ST_PAST(p, v) _mm512_stream_ps((p), (v))
#define FENCE()       _mm_sfence()
#define SET1(x)       _mm512_set1_ps(x)
#define BC(p)         _mm512_set1_ps(*(p))
#define FMA(a, b, c)  _mm512_fmadd_ps((a), (b), (c))
#define ADD(a, b)     _mm512_add_ps((a), (b))
#define MAX(a, b)     _mm512_max_ps((a), (b))
#define MIN(a, b)     _mm512_min_ps((a), (b))

#define DIV(a, b)      _mm512_div_ps((a), (b))
#define IN_REGISTER(x) __asm__("" : "+v"(x))
#define DW_TWO_ROWS

#define SUM(v)            _mm512_reduce_add_ps(v)
#define MASK              __mmask16
#define FIRST(n)          ((__mmask16)(0xffffu >> (16 - (n))))
#define BETWEEN(a, b)     ((__mmask16)(FIRST(b) & ~FIRST(a)))
#define LD_FIRST(p, mask) _mm512_maskz_loadu_ps((mask), (p))
#define ST_SOME(p, m, v)  _mm512_mask_storeu_ps((p), (m), (v))

/* Lanes in which one of two vectors has a NaN. */
#define BAD            __mmask16
#define NOT_BAD        0
#define BAD_IF(a, b)   _mm512_cmp_ps_mask((a), (b), _CMP_UNORD_Q)
#define BAD_OR(a, b)   _mm512_kor((a), (b))
#define IS_BAD(b)      ((b) != 0)
#define BLEND(a, b, m) _mm512_mask_mov_ps((a), (m), (b))

#define PICK_2(a, b, first)                                                                    \
    _mm512_permutex2var_ps((a),                                                                \
                           _mm512_setr_epi32(first, first + 2, first + 4, first + 6,           \
                                             first + 8, first + 10, first + 12, first + 14,    \
                                             first + 16, first + 18, first + 20, first + 22,   \
                                             first + 24, first + 26, first + 28, first + 30),  \
                           (b))
#define EVENS(a, b) PICK_2(a, b, 0)
#define ODDS(a, b)  PICK_2(a, b, 1)

#define TILE_NAME(q, p, in) tile_conv_##q##x##p##_##in##__avx512
/* clang-format off */
#define TILES(X) \
    X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8) X(1, 9) X(1, 10) X(1, 11) X(1, 12) X(1, 13) X(1, 14) \
    X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8) X(2, 9) X(2, 10) X(2, 11) X(2, 12) X(2, 13) X(2, 14) \
    X(3, 1) X(3, 2) X(3, 3) X(3, 4) X(3, 5) X(3, 6) X(3, 7) X(3, 8) X(3, 9) \
    X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6)
/* clang-format on */

#include "kernel/simd/conv.inc"

/* What a step's words say: where each lane reads, and which do. */
typedef struct turn_step {
    __m512i from;
    __mmask16 some;
} turn_step;

static inline turn_step turn_of(const float *words)
{
    turn_step t = {.from = _mm512_loadu_si512(words)};
    t.some = _mm512_cmpge_epi32_mask(t.from, _mm512_setzero_si512());
    return t;
}

#define TURN         turn_step
#define TURN_OF(p)   turn_of(p)
#define TURNED(v, t) _mm512_maskz_permutexvar_ps((t).some, (t).from, (v))
#include "kernel/simd/conv_lanes.inc"

/* --- half a block: vectors of 32 bytes, which some processors do two of in the time of one of 64 ----------------------------- */

#define HALF_START(i)                                                                          \
    __m256 h##i = _mm256_setzero_ps();                                                         \
    if ((i) < p) h##i = _mm256_loadu_ps(t->bias ? t->bias + at : from + (i)*LANES);
#define HALF_PIXEL(i)                                                                          \
    if ((i) < p) h##i = _mm256_fmadd_ps(w0, _mm256_set1_ps(x[(i)*step]), h##i);
#define HALF_RES(i)                                                                            \
    if ((i) < p) h##i = _mm256_add_ps(h##i, _mm256_loadu_ps(res + (i)*LANES));
#define HALF_CLAMP(i)                                                                          \
    if ((i) < p) h##i = _mm256_min_ps(hi, _mm256_max_ps(lo, h##i));
#define HALF_PUT(i)                                                                            \
    if ((i) < p) _mm512_storeu_ps(to + (i)*LANES, _mm512_zextps256_ps512(h##i));

INLINE void half_one(const us_conv_tile *t, const float *x_first, const float *res, float *y,
                     const int p, const size_t step)
{
    const size_t at = t->y_first / 8 * 8; /* of the half */
    float apart[US_CONV_MAX_P * LANES + 8];
    float *to = t->near ? y : apart + at;
    if (!t->bias && !t->near) sums_from_y(t, y, apart);
    const float *from = to;
    EACH_P(HALF_START)
    const float *w_block = t->w + at, *x_block = x_first + t->first;
    for (size_t i = t->n_blocks, first = t->first; i > 0; i--, first = 0) {
        const size_t lanes = (i > 1 ? t->lanes : t->last_lanes) - first;
        const float *w = w_block + t->skip * lanes * LANES;
        for (size_t k = 0; k < t->n_taps; k++) {
            const float *x = x_block + t->taps[k];
            size_t l = step == 1 ? 1 : lanes; /* plain input: one lane */
            do {
                const __m256 w0 = _mm256_loadu_ps(w);
                EACH_P(HALF_PIXEL)
                w += LANES;
                x++;
            } while (--l > 0);
        }
        w_block += t->all_taps * lanes * LANES;
        x_block += t->plane - first;
    }
    if (t->near && !t->more) {
        const __m256 lo = _mm256_set1_ps(t->lo), hi = _mm256_set1_ps(t->hi);
        if (res) {
            EACH_P(HALF_RES)
        }
        EACH_P(HALF_CLAMP)
    }
    EACH_P(HALF_PUT)
    if (!t->near) sums_to_y(t, apart, res, y);
}

INLINE void half_body(const us_conv_tile *t, const int p, const size_t step)
{
    for (size_t i = 0; i < t->n; i++, t = anew(t)) {
        const size_t at = i * (size_t)p;
        half_one(t, t->x + at * step, t->res ? t->res + at * t->y_step : NULL,
                 t->y + at * t->y_step, p, step);
    }
}

/* clang-format off */
#define HALVES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
/* clang-format on */
#define DEFINE_HALF(p)                                                                         \
    static __attribute__((noinline)) void tile_conv_half_##p##_blocked__avx512(                \
        const us_conv_tile *t)                                                                 \
    {                                                                                          \
        half_body(t, p, LANES);                                                                \
    }                                                                                          \
    static __attribute__((noinline)) void tile_conv_half_##p##_plain__avx512(                  \
        const us_conv_tile *t)                                                                 \
    {                                                                                          \
        half_body(t, p, 1);                                                                    \
    }
HALVES(DEFINE_HALF)

static us_conv_tile_fn *half(size_t p, bool plain)
{
#define ROW(p) [p] = {tile_conv_half_##p##_blocked__avx512, tile_conv_half_##p##_plain__avx512},
    static us_conv_tile_fn *const fns[US_CONV_MAX_P + 1][2] = {HALVES(ROW)};
#undef ROW
    return fns[p][plain];
}

/* --- layout -------------------------------------------------------------------------------------------------------------- */

/* 16 rows of 16 turned: row i of the result is column i. */
static inline void turn_registers(__m512 r[16])
{
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 16; i += 8)
        for (int k = 0; k < 4; k++) {
            t[i + k] = _mm512_shuffle_f32x4(r[i + k], r[i + 4 + k], 0x88);
            t[i + 4 + k] = _mm512_shuffle_f32x4(r[i + k], r[i + 4 + k], 0xdd);
        }
    for (int k = 0; k < 8; k++) {
        r[k] = _mm512_shuffle_f32x4(t[k], t[8 + k], 0x88);
        r[8 + k] = _mm512_shuffle_f32x4(t[k], t[8 + k], 0xdd);
    }
}

#define HALF       half
#define TABLE      us_conv__avx512
#define TABLE_NAME "avx512"
#define MOST_P                                                                                 \
    {                                                                                          \
        0, 14, 14, 9, 6                                                                        \
    }
#include "kernel/simd/conv_table.inc"
