/* kernel/x86/move_avx2.c - transposes of 4-byte elements, 8 x 8 at a time in registers. */
#include "kernel/variants.h"
#include "kernel/x86/turn_avx2.h"

#define TABLE      us_move__avx2
#define TABLE_NAME "us_move__avx2"

#include "kernel/simd/move.inc"
