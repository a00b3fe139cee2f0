/* bench/gemm.c - the measured side of `make bench-gemm`: matrix products beside what the processor can do.
 *
 * Peak is measured in the same run by a loop of independent multiply-adds at the width of the level in force. Each product is timed in
 * short windows, peak windows between them, the best of each kept: interruptions only ever add. One JSON line per product on
 * stdout: shape, kind (weights packed once, or both matrices as they come), GFLOP/s, share of peak. `bench_gemm M N K w|b|t`: another product, alone.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/ctx.h"
#include "base/rng.h"
#include "kernel/gemm.h"

/* --- peak -------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#    define TWELVE(f, r)                                                                       \
        f(r, 0) f(r, 1) f(r, 2) f(r, 3) f(r, 4) f(r, 5) f(r, 6) f(r, 7) f(r, 8) f(r, 9)        \
            f(r, 10) f(r, 11)
#    define ONE(r, i) "vfmadd231ps %%" r "mm14, %%" r "mm15, %%" r "mm" #    i "\n\t"
#    define LOOP(r)                                                                            \
        __asm__ volatile("1:\n\t" TWELVE(ONE, r) "dec %0\n\tjnz 1b"                            \
                         : "+r"(n)::"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",    \
                           "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "cc")

/* GFLOP/s of one short window of independent fused multiply-adds. */
static double peak_window(unsigned cpu)
{
    enum { TURNS = 4000 };
    long n = TURNS;
    bool zmm = (cpu & US_CPU_AVX512) != 0, fma = (cpu & US_CPU_AVX2) != 0;
    uint64_t t = us_now_ns();
    if (zmm)
        LOOP("z");
    else if (fma)
        LOOP("y");
    else
        return 0;
    return 2.0 * 12 * TURNS * (zmm ? 16 : 8) / (double)(us_now_ns() - t);
}
#else
static double peak_window(unsigned cpu)
{
    (void)cpu;
    return 0;
}
#endif

/* --- products ------------------------------------------------------------------------------------------ */

typedef struct product {
    size_t m, n, k;
    char kind; /* 'w' packed weights, 'b' both as they come, 't' both, B transposed */
} product;

static const product products[] = {
    {1, 64, 20, 'w'},      {1, 64, 64, 'w'},        {1, 1, 64, 'w'},
    {1, 10, 512, 'w'},     {1, 1000, 512, 'w'},     {1, 768, 768, 'w'},
    {1, 4096, 4096, 'w'},  {2, 768, 768, 'w'},      {3, 768, 768, 'w'},
    {4, 768, 768, 'w'},    {7, 768, 768, 'w'},      {13, 768, 768, 'w'},
    {16, 64, 64, 'w'},     {64, 64, 64, 'w'},       {128, 256, 256, 'w'},
    {128, 384, 384, 'w'},  {128, 768, 768, 'w'},    {128, 3072, 768, 'w'},
    {128, 768, 3072, 'w'}, {512, 512, 512, 'w'},    {1024, 1024, 1024, 'w'},
    {3136, 64, 64, 'w'},   {196, 256, 1024, 'w'},   {1000, 10, 100, 'w'},
    {128, 128, 64, 't'},   {128, 64, 128, 'b'},     {64, 64, 64, 'b'},
    {256, 256, 256, 'b'},  {512, 512, 512, 'b'},    {512, 512, 512, 't'},
    {30, 30, 30, 'b'},     {1024, 1024, 1024, 'b'},
};

typedef struct work {
    product p;
    us_pgemm_args w;
    us_gemm_args b;
    const us_kernels *k;
} work;

static float *floats(us_rng *r, size_t n)
{
    float *p = aligned_alloc(64, (n * sizeof(float) + 127) / 64 * 64);
    if (!p) exit(2);
    for (size_t i = 0; i < n; i++)
        p[i] = us_rng_f32(r) - 0.5F;
    return p;
}

static work make(const us_kernels *k, const product *p, us_rng *r)
{
    float *a = floats(r, p->m * p->k), *b = floats(r, p->k * p->n), *c = floats(r, p->m * p->n);
    work x = {.p = *p, .k = k};
    if (p->kind == 'w') {
        size_t bytes;
        if (!us_gemm_pack_bytes(&k->gemm->layout, p->n, p->k, &bytes)) exit(2);
        float *w = floats(r, bytes / sizeof(float));
        us_gemm_pack(&k->gemm->layout,
                     &(us_gemm_weights){.n = p->n, .k = p->k, .b = b, .ldb = p->n, .scale = 1},
                     w);
        x.w = (us_pgemm_args){
            .m = p->m,
            .n = p->n,
            .k = p->k,
            .j1 = p->n,
            .a = a,
            .lda = p->k,
            .w = w,
            .bias = floats(r, p->n),
            .lo = 0,
            .hi = INFINITY,
            .c = c,
            .ldc = p->n,
            .scratch = floats(r, k->gemm->scratch(p->m, p->n, p->k) / sizeof(float))};
        return x;
    }
    bool t = p->kind == 't';
    x.b = (us_gemm_args){.trans_b = t,
                         .m = p->m,
                         .n = p->n,
                         .k = p->k,
                         .alpha = 1,
                         .a = a,
                         .lda = p->k,
                         .b = b,
                         .ldb = t ? p->k : p->n,
                         .c = c,
                         .ldc = p->n,
                         .scratch =
                             floats(r, k->f32_gemm_scratch(p->m, p->n, p->k) / sizeof(float))};
    return x;
}

static double window(const work *x, size_t turns)
{
    uint64_t t = us_cpu_ns();
    for (size_t i = 0; i < turns; i++) {
        if (x->p.kind == 'w')
            x->k->gemm->run(&x->w);
        else
            x->k->f32_gemm(&x->b);
    }
    return (double)(us_cpu_ns() - t) / (double)turns;
}

/* Best nanoseconds of a product, and the peak beside it. Products may take longer than a time slice: their windows are in processor
 * time, which leaves out the neighbours of a busy machine; those of the peak are too short to be cut. */
static double best_of(const work *x, double *peak)
{
    enum { WINDOWS = 60 };
    double flop = 2.0 * (double)x->p.m * (double)x->p.n * (double)x->p.k;
    size_t turns = (size_t)(2e7 / (flop + 1000)) + 1; /* about 0.2 ms */
    double best = 1e30, limit = flop > 1e9 ? 12 : WINDOWS;
    (void)window(x, 1);
    for (int i = 0; i < limit; i++) {
        best = fmin(best, window(x, turns));
        *peak = fmax(*peak, peak_window(x->k->cpu));
    }
    return best;
}

static void measure(const us_kernels *k, const product *p, double *peak)
{
    us_rng r = us_rng_new(1, "gemm", p->n);
    work x = make(k, p, &r);
    double ns = best_of(&x, peak);
    double gflops = 2.0 * (double)p->m * (double)p->n * (double)p->k / ns;
    (void)printf("{\"m\":%zu,\"n\":%zu,\"k\":%zu,\"kind\":\"%c\",\"us\":%.4f,\"gflops\":%.2f,"
                 "\"peak\":%.1f,\"share\":%.3f}\n",
                 p->m, p->n, p->k, p->kind, ns / 1e3, gflops, *peak,
                 *peak > 0 ? gflops / *peak : 0);
}

int main(int argc, char **argv)
{
    us_ctx c;
    us_ctx_init(&c);
    const us_kernels *k = us_kernels_get(&c);
    double peak = 0;
    for (int i = 0; i < 200; i++)
        peak = fmax(peak, peak_window(k->cpu));
    if (argc > 4)
        measure(k,
                &(product){strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10),
                           strtoul(argv[3], NULL, 10), argv[4][0]},
                &peak);
    for (size_t i = 0; i < US_LEN(products) && argc <= 4; i++)
        measure(k, &products[i], &peak);
    us_ctx_deinit(&c);
    return 0;
}
