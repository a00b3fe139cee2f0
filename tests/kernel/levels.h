/* levels.h - what the checks of kernels share: the rows of kernel/levels.def, those of them that run here, numbers to multiply. */
#ifndef TESTS_KERNEL_LEVELS_H
#define TESTS_KERNEL_LEVELS_H

#include "us_test.h"

#include "base/rng.h"
#include "kernel/variants.h"

typedef struct level {
    const char *name;
    us_kernels k;
} level;
#define US_LEVEL(name, need, ...) {#name, {.cpu = (need), __VA_ARGS__}},
static const level levels[] = {
#include "kernel/levels.def"
};
#undef US_LEVEL

static inline bool can_run(const level *l)
{
    return (us_cpu_detect() & l->k.cpu) == l->k.cpu;
}

static inline void each_level(void (*f)(const level *))
{
    for (size_t i = 0; i < US_LEN(levels); i++)
        if (can_run(&levels[i])) f(&levels[i]);
}

/* n numbers from -1 to 1 that end where their memory ends: a sanitizer sees one read too many. */
static inline float *some_floats(us_rng *r, size_t n)
{
    CHECK(n <= (size_t)1 << 28);
    float *p = malloc(US_MAX(n, 1) * sizeof *p);
    CHECK(p != NULL);
    for (size_t i = 0; i < n; i++)
        p[i] = us_rng_f32(r) * 2 - 1;
    return p;
}

#endif
