/* kernel/x86/conv_avx2.c - convolution tiles in AVX2: 16 registers, of which 12 are sums. */
#include <immintrin.h>

#define V            __m256
#define LANES        8
#define LD(p)        _mm256_loadu_ps(p)
#define ST(p, v)     _mm256_storeu_ps((p), (v))
#define SET1(x)      _mm256_set1_ps(x)
#define BC(p)        _mm256_broadcast_ss(p)
#define FMA(a, b, c) _mm256_fmadd_ps((a), (b), (c))
#define ADD(a, b)    _mm256_add_ps((a), (b))
#define MAX(a, b)    _mm256_max_ps((a), (b))
#define MIN(a, b)    _mm256_min_ps((a), (b))

#define TILE_NAME(q, p, in) tile_conv_##q##x##p##_##in##__avx2
/* clang-format off */
#define TILES(X) \
    X(1, 1) X(1, 2) X(1, 3) X(1, 4) X(1, 5) X(1, 6) X(1, 7) X(1, 8) X(1, 9) X(1, 10) X(1, 11) X(1, 12) \
    X(2, 1) X(2, 2) X(2, 3) X(2, 4) X(2, 5) X(2, 6) \
    X(3, 1) X(3, 2) X(3, 3) X(3, 4)
/* clang-format on */

#include "kernel/x86/conv.inc"

const us_conv_kernels us_conv__avx2 = {
    .name = "avx2", .block = LANES, .max_p = {0, 12, 6, 4, 0}, .tile = tile, .dw = dw};
