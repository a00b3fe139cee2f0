/* kernel/x86/conv_avx512.c - convolution tiles in AVX-512: 32 registers, of which up to 28 are sums. */
#include <immintrin.h>

#define V            __m512
#define LANES        16
#define LD(p)        _mm512_loadu_ps(p)
#define ST(p, v)     _mm512_storeu_ps((p), (v))
#define SET1(x)      _mm512_set1_ps(x)
#define BC(p)        _mm512_set1_ps(*(p))
#define FMA(a, b, c) _mm512_fmadd_ps((a), (b), (c))
#define ADD(a, b)    _mm512_add_ps((a), (b))
#define MAX(a, b)    _mm512_max_ps((a), (b))
#define MIN(a, b)    _mm512_min_ps((a), (b))

#define TILE_NAME(q, p, in) tile_conv_##q##x##p##_##in##__avx512
/* clang-format off */
#define TILES(X) \
    X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8) X(1, 9) X(1, 10) X(1, 11) X(1, 12) X(1, 13) X(1, 14) \
    X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) X(2, 7) X(2, 8) X(2, 9) X(2, 10) X(2, 11) X(2, 12) X(2, 13) X(2, 14) \
    X(3, 1) X(3, 2) X(3, 3) X(3, 4) X(3, 5) X(3, 6) X(3, 7) X(3, 8) X(3, 9) \
    X(4, 1) X(4, 2) X(4, 3) X(4, 4) X(4, 5) X(4, 6)
/* clang-format on */

#include "kernel/x86/conv.inc"

const us_conv_kernels us_conv__avx512 = {
    .name = "avx512", .block = LANES, .max_p = {0, 14, 14, 9, 6}, .tile = tile, .dw = dw};
