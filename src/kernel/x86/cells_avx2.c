/* kernel/x86/cells_avx2.c - recurrent cells with AVX2. */
#include "kernel/variants.h"
#include "kernel/x86/words_avx2.h"

#define TABLE      us_cells__avx2
#define TABLE_NAME "us_cells__avx2"

#include "kernel/simd/cells.inc"
