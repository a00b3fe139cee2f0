/* base/rng.h - counter-based random numbers: Philox 4x32-10.
 *
 * A number is a function of (seed, purpose, index) and of how many came before it in that stream, never
 * of the order in which threads run. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as
 * easy as 1, 2, 3", SC 2011, section 3.3; known answers from the Random123 distribution.
 */
#ifndef USTA_BASE_RNG_H
#define USTA_BASE_RNG_H

#include "base/err.h"

typedef struct us_rng {
    uint32_t key[2];
    uint32_t ctr[4];
    uint32_t out[4];
    unsigned n_left; /* numbers of out not yet given */
} us_rng;

/* The block function itself (10 rounds). */
void us_philox4x32(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]);

/* A stream. purpose: a short word that names the use ("split", "init", "shuffle"). */
us_rng us_rng_new(uint64_t seed, const char *purpose, uint64_t index);
uint32_t us_rng_u32(us_rng *r);
uint64_t us_rng_u64(us_rng *r);
double us_rng_f64(us_rng *r);                 /* uniform in [0, 1), 53 bits */
float us_rng_f32(us_rng *r);                  /* uniform in [0, 1), 24 bits */
uint64_t us_rng_below(us_rng *r, uint64_t n); /* uniform in [0, n), unbiased; n > 0 */
double us_rng_normal(us_rng *r);              /* standard normal (Box-Muller, cosine branch) */
void us_rng_shuffle_u32(us_rng *r, uint32_t *p, size_t n); /* Fisher-Yates */

#endif
