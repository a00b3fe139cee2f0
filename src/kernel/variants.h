/* kernel/variants.h - the functions that levels.def names: the reference and the instruction-set variants. */
#ifndef USTA_KERNEL_VARIANTS_H
#define USTA_KERNEL_VARIANTS_H

#include "kernel/cells.h"
#include "kernel/conv.h"
#include "kernel/fft.h"
#include "kernel/forest.h"
#include "kernel/gemm.h"
#include "kernel/int8.h"
#include "kernel/map.h"
#include "kernel/move.h"
#include "kernel/rows.h"

us_f32_gemm_fn us_f32_gemm__ref;
size_t us_f32_gemm_scratch__ref(size_t m, size_t n, size_t k);

us_f32_gemm_fn us_f32_gemm_6x16__avx2, us_f32_gemm_14x32__avx512, us_f32_gemm_8x8__neon;
size_t us_f32_gemm_scratch_6x16__avx2(size_t m, size_t n, size_t k);
size_t us_f32_gemm_scratch_14x32__avx512(size_t m, size_t n, size_t k);
size_t us_f32_gemm_scratch_8x8__neon(size_t m, size_t n, size_t k);

extern const us_gemm_kernels us_gemm__ref, us_gemm__avx2, us_gemm__avx512, us_gemm__neon;

extern const us_fft_kernels us_fft__ref, us_fft__avx2, us_fft__avx512, us_fft__neon;
extern const us_cell_kernels us_cells__ref, us_cells__avx2, us_cells__avx512, us_cells__neon;
extern const us_forest_kernels us_forest__ref, us_forest__vbmi;
extern const us_int8_kernels us_int8__ref, us_int8__avx2, us_int8__avx512, us_int8__vnni,
    us_int8__neon, us_int8__dotprod, us_int8__i8mm;

extern const us_conv_kernels us_conv__ref, us_conv__avx2, us_conv__avx512, us_conv__neon;

extern const us_ew_kernels us_ew__ref, us_ew__avx2, us_ew__avx512, us_ew__neon;
extern const us_row_kernels us_rows__ref, us_rows__avx2, us_rows__avx512, us_rows__neon;
extern const us_move_kernels us_move__ref, us_move__avx2, us_move__neon;
us_transpose_fn us_transpose__ref;

#endif
