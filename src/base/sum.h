/* base/sum.h - a fast 64-bit sum of bytes, against damage (a flipped bit, a lost page), not against malice.
 *
 * Four lanes of 64x64 to 128 bit multiplications, each over 16 of 64 bytes at a time, as wyhash does (Wang Yi, public domain): as fast
 * as memory is read. The same bytes give the same sum however they are cut into pieces, on every little-endian machine.
 */
#ifndef USTA_BASE_SUM_H
#define USTA_BASE_SUM_H

#include "base/err.h"

typedef struct us_sum {
    uint64_t lane[4];
    uint64_t n; /* bytes so far */
    uint8_t rest[64];
} us_sum;

void us_sum_init(us_sum *s);
void us_sum_add(us_sum *s, const void *p, size_t n);
uint64_t us_sum_done(const us_sum *s); /* of all bytes so far; more may follow */
uint64_t us_sum_of(const void *p, size_t n);

#endif
