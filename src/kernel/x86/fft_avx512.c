/* kernel/x86/fft_avx512.c - Fourier transforms with AVX-512 (F, DQ). */
#include "kernel/variants.h"
#include "kernel/x86/words_avx512.h"

#define TABLE      us_fft__avx512
#define TABLE_NAME "us_fft__avx512"

#include "kernel/simd/fft.inc"
