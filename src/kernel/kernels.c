/* kernel/kernels.c - which kernel runs on the CPU at hand.
 *
 * levels.def has one row per step of the instruction-set ladder with the whole table of that step; the
 * last row whose needs are met is in force. Detection asks the processor and the operating system
 * (XGETBV: are the wide registers saved on a context switch?). Tables are constant and shared by all
 * threads; a row that needs instructions the compiler's target lacks lives in x86/, built with its own flags.
 */
#include "kernel/kernels.h"

#include <string.h>

#include "base/ctx.h"
#include "base/file.h"
#include "kernel/variants.h"

#if defined(__x86_64__)
#    include <cpuid.h>

/* Register state the OS saves; the instruction is spelled out so that this file needs no -mxsave. */
static uint64_t os_saved_state(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return ((uint64_t)hi << 32) | lo;
}

unsigned us_cpu_detect(void)
{
    unsigned a, b, c, d, flags = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    bool fma = (c & bit_FMA) && (c & bit_F16C) && (c & bit_AVX) && (c & bit_OSXSAVE);
    if (!fma || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    uint64_t saved = os_saved_state();
    if ((saved & 0x6) != 0x6) return 0; /* XMM and YMM */
    if (b & bit_AVX2) flags |= US_CPU_AVX2;
    unsigned wide = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    bool zmm = (saved & 0xe6) == 0xe6; /* opmask, ZMM 0-15, ZMM 16-31 */
    if (flags && zmm && (b & wide) == wide) flags |= US_CPU_AVX512;
    if ((flags & US_CPU_AVX512) && (c & bit_AVX512VNNI)) flags |= US_CPU_VNNI;
    unsigned bytes = bit_AVX512VBMI | bit_AVX512BITALG;
    if ((flags & US_CPU_AVX512) && (c & bytes) == bytes) flags |= US_CPU_VBMI;
    return flags;
}
#elif defined(__aarch64__)
#    if defined(__linux__)
#        include <asm/hwcap.h>
#        include <sys/auxv.h>
#    endif

/* NEON is always there; of the rest the kernel of the operating system tells. */
unsigned us_cpu_detect(void)
{
    unsigned flags = US_CPU_NEON;
#    if defined(__linux__) && defined(HWCAP_ASIMDDP)
    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) flags |= US_CPU_DOTPROD;
#        if defined(HWCAP2_I8MM)
    if ((flags & US_CPU_DOTPROD) && (getauxval(AT_HWCAP2) & HWCAP2_I8MM)) flags |= US_CPU_I8MM;
#        endif
#    endif
    return flags;
}
#else
unsigned us_cpu_detect(void)
{
    return 0;
}
#endif

#define US_LEVEL(name, need, ...) {#name, {.cpu = (need), __VA_ARGS__}},
typedef struct cpu_level {
    const char *name;
    us_kernels table;
} cpu_level;
static const cpu_level levels[] = {
#include "kernel/levels.def"
};
#undef US_LEVEL

static const char level_names[] =
#define US_LEVEL(name, ...) " " #name
#include "kernel/levels.def"
    ;
#undef US_LEVEL

/* The last row whose needs are met; the first (ref) always is. */
static const cpu_level *best_row(unsigned cpu)
{
    size_t best = 0;
    for (size_t i = 1; i < US_LEN(levels); i++)
        if ((cpu & levels[i].table.cpu) == levels[i].table.cpu) best = i;
    return &levels[best];
}

static const us_kernels *best_level(unsigned cpu)
{
    return &best_row(cpu)->table;
}

const char *us_cpu_level(unsigned flags)
{
    return best_row(flags)->name;
}

us_err us_cpu_mask(us_ctx *c, const char *level, unsigned *flags)
{
    for (size_t i = 0; i < US_LEN(levels); i++)
        if (strcmp(levels[i].name, level) == 0) {
            *flags &= levels[i].table.cpu;
            return US_OK;
        }
    return us_fail(c, US_ARG, "USTA_CPU is '%s': expected one of:%s", level, level_names);
}

void us_kernels_init(us_kernels *k, unsigned cpu)
{
    *k = *best_level(cpu);
}

const us_kernels *us_kernels_get(us_ctx *c)
{
    if (c->kernels) return c->kernels;
    unsigned cpu = us_cpu_detect();
    const char *level = us_env("USTA_CPU");
    if (level && us_cpu_mask(c, level, &cpu) != US_OK)
        us_logf(c, US_LOG_WARN, "%s; using all that the processor has", c->diag.text);
    c->kernels = best_level(cpu);
    return c->kernels;
}
