/* base/pow10.h - powers of ten to 128 bits, for reading and printing floating-point numbers.
 *
 * Row q - US_POW10_MIN holds t with 2^127 <= t < 2^128 and 10^q = t * 2^e within one unit of t, where
 * e = floor(log2(10^q)) - 127. Exact for 0 <= q <= 55; rounded up for -27 <= q < 0; cut elsewhere (what
 * the proof of the reading algorithm in num.c asks for).
 * Source: Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51, 2021.
 */
#ifndef USTA_BASE_POW10_H
#define USTA_BASE_POW10_H

#include "base/wide.h"

#define US_POW10_MIN (-342)
#define US_POW10_MAX 324

extern const us_wide us_pow10_table[US_POW10_MAX - US_POW10_MIN + 1];

#endif
