/* kernel/arm/cells_neon.c - recurrent cells with NEON. */
#include "kernel/arm/words_neon.h"
#include "kernel/variants.h"

#define TABLE      us_cells__neon
#define TABLE_NAME "us_cells__neon"

#include "kernel/simd/cells.inc"
