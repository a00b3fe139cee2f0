/* kernel/x86/fft_avx2.c - Fourier transforms with AVX2 and FMA. */
#include "kernel/variants.h"
#include "kernel/x86/words_avx2.h"

#define TABLE      us_fft__avx2
#define TABLE_NAME "us_fft__avx2"

#include "kernel/simd/fft.inc"
