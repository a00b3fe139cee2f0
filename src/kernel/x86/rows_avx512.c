/* kernel/x86/rows_avx512.c - softmax, normalisations, reductions with AVX-512 (F, DQ). */
#include <string.h>

#include "kernel/variants.h"
#include "kernel/x86/words_avx512.h"

#define TABLE      us_rows__avx512
#define TABLE_NAME "us_rows__avx512"

#include "kernel/simd/rows.inc"
