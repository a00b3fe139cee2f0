/* kernel/int8.h - products of 8-bit numbers by weights that are packed once, and what stands around them.
 *
 * Everything is a product of unsigned a by signed w, which is what processors multiply. Signed a are given with their top bit flipped
 * (a + 128), unsigned w are packed so (w - 128); zero points move along. What zero points subtract is added per column
 * and, where a column of w has one, per row and column:
 *
 *     sum (a - za)(w - zw) = sum a w - za sum w - zw sum a + k za zw
 *
 * Sums are exact modulo 2^32 at every level, without saturation on the way, so callers may split M and N (at multiples of nr)
 * between threads, and no level changes a bit. A result of 8 bits is (float)sum * scale rounded half to even, plus its zero point,
 * saturated; scales are finite.
 *
 * Order of W, told by the level's us_int8_layout: columns go in panels of nr, four rows of k together: [K/4][nr][4]. The last panel
 * may be narrower, its columns rounded up to vw; rows beyond K and columns beyond N are zero. Column j, a multiple of
 * nr, starts at byte j * K, K rounded up to 4.
 */
#ifndef USTA_KERNEL_INT8_H
#define USTA_KERNEL_INT8_H

#include "kernel/kernels.h"

typedef struct us_int8_layout {
    size_t nr, vw;
    size_t lanes; /* channels of a block of a depthwise convolution: 16 times this */
} us_int8_layout;

/* Weights as they come: [K,N], or [N,K] when trans, rows of ldb bytes; flip: unsigned. */
typedef struct us_int8_weights {
    size_t n, k;
    const void *b;
    size_t ldb;
    bool trans, flip;
} us_int8_weights;

/* What sums become. lo and hi are within the type's range; zero is added before they cut. */
typedef enum us_int8_type { US_INT8_I32, US_INT8_F32, US_INT8_BYTE } us_int8_type;
typedef struct us_int8_end {
    us_int8_type type;
    const int32_t *add;    /* per column, added to the sum */
    const int32_t *by_row; /* per column: times the row's sum, added too; NULL: none */
    const float *scale;    /* per column; not for I32 */
    const float *bias;     /* per column, added after scaling: F32 only; NULL: none */
    int32_t zero, lo, hi;  /* BYTE */
} us_int8_end;

/* C[M,N] of A[M,K] and packed W. Rows of A may be read up to K rounded up to 4 (the rest counts nothing); arrays per column have room, with
 * finite numbers, for N rounded up to vw. */
typedef struct us_int8_args {
    size_t m, n, k;
    size_t j0, j1; /* columns to make: j0 a multiple of nr, j1 too, or n */
    const uint8_t *a;
    size_t lda;
    const int32_t *row_sums; /* of A; when end.by_row */
    const int8_t *w;         /* all of it, whatever j0 */
    const us_int8_end *end;
    void *c;    /* column 0, whatever j0 */
    size_t ldc; /* elements */
} us_int8_args;

/* y[i * ldy + c] for n positions of c channels: each channel's own sum over taps of tap[t][i * step[t] + c] * w. end.add and end.scale
 * as us_int8_dw_place says. */
typedef struct us_int8_dw_args {
    size_t n, c, taps;
    const uint8_t *const *tap;
    const size_t *step;
    uint8_t flip; /* 0x80: inputs are signed */
    const int8_t *w;
    const us_int8_end *end; /* BYTE, no by_row */
    uint8_t *y;
    size_t ldy;
} us_int8_dw_args;

/* Factors of an addition: constants gather the zero points. */
typedef struct us_int8_add {
    bool is_signed; /* all three */
    float ra, rb, fixed;
} us_int8_add;

typedef struct us_int8_mul {
    bool is_signed; /* all three */
    float za, zb, ratio, zero;
} us_int8_mul;

typedef struct us_int8_kernels {
    const char *name, *dw_name, *rows_name; /* of gemm, of dw, of the rest */
    us_int8_layout layout;
    size_t mr; /* rows of a tile: multiples of it are good places to split M */
    void (*gemm)(const us_int8_args *g);
    void (*pack)(const us_int8_weights *w, int8_t *to);
    /* sums[j] of column j of packed weights, for n rounded up to vw. */
    void (*col_sums)(size_t n, size_t k, const int8_t *w, int32_t *sums);
    void (*dw)(const us_int8_dw_args *g);
    /* y = x with the bits of mask flipped; y may be x. */
    void (*flip)(const uint8_t *x, size_t n, uint8_t mask, uint8_t *y);
    /* y[i] = table[x[i]], of 256 */
    void (*look_up)(const uint8_t *table, const uint8_t *x, size_t n, uint8_t *y);
    /* sums[i] = the sum of k numbers of row i; flip 0x80: they are signed, and count from -128 on. */
    void (*row_sums)(size_t m, size_t k, const uint8_t *a, size_t lda, uint8_t flip,
                     int32_t *sums);
    /* 8-bit y of floats: x / scale rounded, plus zero, saturated to lo..hi; what is no number becomes 0. */
    void (*quantize)(const float *x, size_t n, float scale, int32_t zero, int32_t lo,
                     int32_t hi, uint8_t *y);
    /* (x - zero) * scale; flip 0x80: x is signed, and zero counts from -128 on. */
    void (*dequantize)(const uint8_t *x, size_t n, uint8_t flip, float scale, int32_t zero,
                       float *y);
    /* Smallest and largest of n >= 1 numbers and 0; what is no number is passed over. */
    void (*range)(const float *x, size_t n, float *lo, float *hi);
    /* sums[c] += x[i * ldx + c] for i < rows; flip 0x80: x is signed, and counts from -128 on. */
    void (*sum_rows)(size_t rows, const uint8_t *x, size_t ldx, size_t c, uint8_t flip,
                     int32_t *sums);
    /* y[c] = the largest of tap[t][c], t < taps, taps >= 1; flip 0x80: signed. */
    void (*max)(size_t taps, const uint8_t *const *tap, size_t c, uint8_t flip, uint8_t *y);
    /* y = fma(a, ra, fma(b, rb, fixed)), cut to lo..hi and rounded, for 8-bit a and b. */
    void (*add)(const uint8_t *a, const uint8_t *b, size_t n, const us_int8_add *p, uint8_t *y);
    /* y = (a - za) * (b - zb) * ratio + zero, cut to lo..hi and rounded. */
    void (*mul)(const uint8_t *a, const uint8_t *b, size_t n, const us_int8_mul *p, uint8_t *y);
} us_int8_kernels;

/* Bytes of packed weights; false when they are past all bounds. */
bool us_int8_pack_bytes(const us_int8_layout *l, size_t n, size_t k, size_t *bytes) US_MUST;
/* Depthwise weights [channels][taps] (flip: unsigned) in the order of the level: blocks of 16 * lanes channels, in a block [taps/4][16 * lanes][4]. */
static inline size_t us_int8_dw_block(const us_int8_layout *l)
{
    return 16 * l->lanes;
}
void us_int8_dw_pack(const us_int8_layout *l, size_t c, size_t taps, const void *w, bool flip,
                     int8_t *to);
/* Where the number of channel i goes in arrays per channel, which have room for whole blocks. */
size_t us_int8_dw_place(const us_int8_layout *l, size_t i);

#endif
