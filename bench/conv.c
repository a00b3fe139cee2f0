/* bench/conv.c - the measured side of `make bench-conv`: each layer of ResNet-50, those of MobileNetV2 (dw: depthwise, m2: 1x1),
 * dense ones of larger and smaller pictures (d), and groups (g); one thread, blocked in and out, bias and clamp; the fastest of many short windows, as
 * a share of what a 1x1 convolution of one register tile reaches in the first cache in the same run. One line of JSON on stdout.
 * `bench_conv NAME` runs layers with that in their name.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ctx.h"
#include "kernel/conv.h"
#include "kernel/kernels.h"

#define LAYER_NS 60000000u

typedef struct layer {
    const char *name;
    size_t c, m, hw, k, stride, pad;
    bool depthwise, plain;
    size_t groups; /* 0: one */
} layer;
/* clang-format off */
static const layer layers[] = {
    {"stem 7x7s2 3->64 @224",       3,   64, 224, 7, 2, 3, false, true},
    {"stem 3x3s2 3->32 @224",       3,   32, 224, 3, 2, 1, false, true},
    {"1x1 64->64 @56",             64,   64,  56, 1, 1, 0, false, false},
    {"3x3 64->64 @56",             64,   64,  56, 3, 1, 1, false, false},
    {"1x1 64->256 @56",            64,  256,  56, 1, 1, 0, false, false},
    {"1x1 256->64 @56",           256,   64,  56, 1, 1, 0, false, false},
    {"3x3s2 128->128 @56",        128,  128,  56, 3, 2, 1, false, false},
    {"3x3 128->128 @28",          128,  128,  28, 3, 1, 1, false, false},
    {"1x1 128->512 @28",          128,  512,  28, 1, 1, 0, false, false},
    {"1x1 512->128 @28",          512,  128,  28, 1, 1, 0, false, false},
    {"1x1s2 256->512 @56",        256,  512,  56, 1, 2, 0, false, false},
    {"3x3 256->256 @14",          256,  256,  14, 3, 1, 1, false, false},
    {"1x1 256->1024 @14",         256, 1024,  14, 1, 1, 0, false, false},
    {"1x1 1024->256 @14",        1024,  256,  14, 1, 1, 0, false, false},
    {"3x3 512->512 @7",           512,  512,   7, 3, 1, 1, false, false},
    {"1x1 512->2048 @7",          512, 2048,   7, 1, 1, 0, false, false},
    {"1x1 2048->512 @7",         2048,  512,   7, 1, 1, 0, false, false},
    {"dw 3x3 32 @112",             32,   32, 112, 3, 1, 1, true,  false},
    {"dw 3x3s2 96 @112",           96,   96, 112, 3, 2, 1, true,  false},
    {"dw 3x3 144 @56",            144,  144,  56, 3, 1, 1, true,  false},
    {"dw 3x3 192 @28",            192,  192,  28, 3, 1, 1, true,  false},
    {"dw 3x3 384 @14",            384,  384,  14, 3, 1, 1, true,  false},
    {"dw 3x3 576 @14",            576,  576,  14, 3, 1, 1, true,  false},
    {"dw 3x3 960 @7",             960,  960,   7, 3, 1, 1, true,  false},
    {"dw 5x5 240 @28",            240,  240,  28, 5, 1, 2, true,  false},
    {"dw 5x5s2 240 @28",          240,  240,  28, 5, 2, 2, true,  false},
    {"m2 1x1 32->16 @112",         32,   16, 112, 1, 1, 0, false, false},
    {"m2 1x1 16->96 @112",         16,   96, 112, 1, 1, 0, false, false},
    {"m2 1x1 96->24 @56",          96,   24,  56, 1, 1, 0, false, false},
    {"m2 1x1 24->144 @56",         24,  144,  56, 1, 1, 0, false, false},
    {"m2 1x1 144->24 @56",        144,   24,  56, 1, 1, 0, false, false},
    {"m2 1x1 144->32 @28",        144,   32,  28, 1, 1, 0, false, false},
    {"m2 1x1 32->192 @28",         32,  192,  28, 1, 1, 0, false, false},
    {"m2 1x1 192->32 @28",        192,   32,  28, 1, 1, 0, false, false},
    {"m2 1x1 192->64 @14",        192,   64,  14, 1, 1, 0, false, false},
    {"m2 1x1 64->384 @14",         64,  384,  14, 1, 1, 0, false, false},
    {"m2 1x1 384->64 @14",        384,   64,  14, 1, 1, 0, false, false},
    {"m2 1x1 384->96 @14",        384,   96,  14, 1, 1, 0, false, false},
    {"m2 1x1 96->576 @14",         96,  576,  14, 1, 1, 0, false, false},
    {"m2 1x1 576->96 @14",        576,   96,  14, 1, 1, 0, false, false},
    {"m2 1x1 576->160 @7",        576,  160,   7, 1, 1, 0, false, false},
    {"m2 1x1 160->960 @7",        160,  960,   7, 1, 1, 0, false, false},
    {"m2 1x1 960->160 @7",        960,  160,   7, 1, 1, 0, false, false},
    {"m2 1x1 960->320 @7",        960,  320,   7, 1, 1, 0, false, false},
    {"m2 1x1 320->1280 @7",       320, 1280,   7, 1, 1, 0, false, false},
    {"d 3x3 64->64 @150",          64,   64, 150, 3, 1, 1, false, false},
    {"d 1x1 64->256 @150",         64,  256, 150, 1, 1, 0, false, false},
    {"d 1x1 64->64 @150",          64,   64, 150, 1, 1, 0, false, false},
    {"d 3x3 64->64 @224",          64,   64, 224, 3, 1, 1, false, false},
    {"d 3x3 64->32 @224",          64,   32, 224, 3, 1, 1, false, false},
    {"d 3x3 32->9 @224",           32,    9, 224, 3, 1, 1, false, false},
    {"d 3x3 16->16 @32",           16,   16,  32, 3, 1, 1, false, false},
    {"d 3x3 32->32 @16",           32,   32,  16, 3, 1, 1, false, false},
    {"d 3x3 64->64 @8",            64,   64,   8, 3, 1, 1, false, false},
    {"d 3x3 96->24 @80",           96,   24,  80, 3, 1, 1, false, false},
    {"d 1x1s2 128->256 @28",      128,  256,  28, 1, 2, 0, false, false},
    {"g4 3x3 128 @56",            128,  128,  56, 3, 1, 1, false, false, 32},
    {"g8 3x3 256 @28",            256,  256,  28, 3, 1, 1, false, false, 32},
    {"g8 3x3s2 256 @56",          256,  256,  56, 3, 2, 1, false, false, 32},
    {"g16 3x3 512 @14",           512,  512,  14, 3, 1, 1, false, false, 32},
    {"g32 3x3 1024 @7",          1024, 1024,   7, 3, 1, 1, false, false, 32},
    {"g24 3x3 168 @28",           168,  168,  28, 3, 1, 1, false, false, 7},
    {"g12 3x3 48 @28",             48,   48,  28, 3, 1, 1, false, false, 4},
    {"g40 3x3 240 @14",           240,  240,  14, 3, 1, 1, false, false, 6},
    {"g2 3x3 64 @56",              64,   64,  56, 3, 1, 1, false, false, 32},
    {"g 1x1 240->60 in 3 @28",    240,   60,  28, 1, 1, 0, false, false, 3},
    {"g 1x1 60->240 in 3 @28",     60,  240,  28, 1, 1, 0, false, false, 3},
    {"g 1x1 144 in 8 @28",        144,  144,  28, 1, 1, 0, false, false, 8},
    {"g 3x3 32->64 in 32 @56",     32,   64,  56, 3, 1, 1, false, false, 32},
};
/* clang-format on */

static float *floats(size_t n)
{
    float *p = aligned_alloc(64, (n * sizeof *p + 4096) / 64 * 64);
    if (!p) exit(3);
    for (size_t i = 0; i < n + 256; i++)
        p[i] = (float)((double)(i * 2654435761u % 1000) / 1000 - 0.5);
    return p;
}

static double best_of(const us_conv *cv, const us_conv_args *a)
{
    double best = 1e18;
    uint64_t start = us_now_ns();
    while (us_now_ns() - start < LAYER_NS) {
        size_t runs = 1;
        uint64_t t = us_now_ns();
        us_conv_run(cv, a, NULL);
        double one = (double)(us_now_ns() - t);
        if (one < 100000) runs = (size_t)(100000 / (one + 1)) + 1;
        t = us_now_ns();
        for (size_t i = 0; i < runs; i++)
            us_conv_run(cv, a, NULL);
        best = fmin(best, (double)(us_now_ns() - t) / (double)runs);
    }
    return best;
}

static double measure(const us_conv_kernels *f, const us_conv_dims *s, double *work)
{
    us_conv_choice ch;
    us_conv cv;
    ptrdiff_t taps[64];
    us_conv_choose(f, s, &ch);
    size_t out = (s->m + f->block - 1) / f->block * f->block * s->oh * s->ow;
    float *x = floats((s->c + f->block) * s->h * s->w), *y = floats(out),
          *w = floats(s->m * s->c / s->groups * s->kh * s->kw), *bias = floats(s->m),
          *packed = floats(ch.floats);
    us_conv_pack(f, s, &ch, w, bias, packed);
    if (!us_conv_open(f, s, &ch, taps, &cv)) exit(3);
    float *scratch = floats(cv.scratch / sizeof(float));
    us_conv_args a = {
        .x = x, .packed = packed, .y = y, .lo = 0, .hi = INFINITY, .scratch = scratch};
    *work = cv.work;
    double ns = best_of(&cv, &a);
    free(x);
    free(y);
    free(w);
    free(bias);
    free(packed);
    free(scratch);
    return ns;
}

int main(int argc, char **argv)
{
    us_ctx c;
    us_ctx_init(&c);
    const us_conv_kernels *f = us_kernels_get(&c)->conv;
    us_conv_dims peak = {
        .n = 1, .c = 256, .h = 1, .w = 56, .m = f->block * 2, .oh = 1, .ow = 56};
    peak.kh = peak.kw = peak.sh = peak.sw = peak.dh = peak.dw = peak.groups = 1;
    double work, top = 0;
    for (int i = 0; i < 3; i++) {
        double ns = measure(f, &peak, &work);
        top = fmax(top, work / ns);
    }
    printf("{\"isa\":\"%s\",\"tile_gflops\":%.1f", f->name, top);
    for (size_t i = 0; i < US_LEN(layers); i++) {
        const layer *l = &layers[i];
        if (argc > 1 && !strstr(l->name, argv[1])) continue;
        size_t o = (l->hw + 2 * l->pad - l->k) / l->stride + 1;
        us_conv_dims s = {
            .n = 1, .c = l->c, .h = l->hw, .w = l->hw, .m = l->m, .oh = o, .ow = o};
        s.kh = s.kw = l->k;
        s.sh = s.sw = l->stride;
        s.dh = s.dw = 1;
        s.top = s.left = (ptrdiff_t)l->pad;
        s.groups = l->depthwise ? l->c : US_MAX(l->groups, (size_t)1);
        s.plain = l->plain;
        double ns = measure(f, &s, &work);
        printf(",\n\"%s\":[%.1f,%.1f,%.0f]", l->name, ns / 1e3, work / ns,
               100 * work / ns / top);
    }
    printf("}\n");
    us_ctx_deinit(&c);
    return 0;
}
