/* kernel/x86/cells_avx512.c - recurrent cells with AVX-512 (F, DQ). */
#include "kernel/variants.h"
#include "kernel/x86/words_avx512.h"

#define TABLE      us_cells__avx512
#define TABLE_NAME "us_cells__avx512"
#define STEPS

#include "kernel/simd/cells.inc"
