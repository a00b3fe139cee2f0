/* kernel/conv_transposed.c - transposed convolution, phase by phase (conv.h, "transposed").
 *
 * Output row oy is a sum over the taps ky with (oy + top - ky) a multiple of sh; input row (oy + top - ky) / sh lies under such a tap.
 * With r = (oy + top) mod sh, taps r, r + sh, ... are met by input rows q, q - 1, ... where q = (oy + top - r) / sh, and q
 * grows by one from an output row of the phase to the next: a convolution by taps in reverse. A phase no tap of the
 * kernel falls into (strides wider than the kernel) is one tap of zeros: its outputs are the bias.
 */
#include <string.h>

#include "kernel/conv_algo.h"

/* Taps of residue r. */
static size_t taps_of(size_t kernel, size_t stride, size_t r)
{
    return r < kernel ? (kernel - r + stride - 1) / stride : 0;
}

/* What does not depend on sizes: the phase of residues ry and rx. */
static us_conv_dims phase_dims(const us_conv_dims *s, size_t ry, size_t rx)
{
    us_conv_dims p = *s;
    p.kh = taps_of(s->kh, s->sh, ry);
    p.kw = taps_of(s->kw, s->sw, rx);
    if (p.kh * p.kw == 0) p.kh = p.kw = 1;
    p.sh = p.sw = p.dh = p.dw = 1;
    p.oh = s->h;
    p.ow = s->w;
    return p;
}

/* Phase i by this row, or by the model's where name is NULL. */
static bool choose_phase(const us_conv_kernels *f, const us_conv_dims *p, const char *name,
                         us_conv_choice *out)
{
    us_conv_choice all[US_CONV_WAYS];
    size_t at = 0, n = us_conv_candidates(f, p, true, all, &at);
    for (size_t i = 0; name && i < n; i++)
        if (strcmp(all[i].name, name) == 0) {
            *out = all[i];
            return true;
        }
    if (n == 0 || name) return false;
    *out = all[at];
    return true;
}

static bool choose(const us_conv_kernels *f, const us_conv_dims *s, const char *name,
                   us_deconv_choice *out)
{
    size_t n = s->sh * s->sw;
    *out = (us_deconv_choice){0};
    if (s->dh != 1 || s->dw != 1 || n > US_CONV_MAX_PHASES) return false;
    for (size_t i = 0; i < n; i++) {
        us_conv_dims p = phase_dims(s, i / s->sw, i % s->sw);
        if (!choose_phase(f, &p, name, &out->phase[i])) return false;
        out->phase[i].floats = (out->phase[i].floats + 15) / 16 * 16; /* the next is aligned */
        out->floats += out->phase[i].floats;
        out->work_floats = US_MAX(out->work_floats, s->m * (s->c / s->groups) * p.kh * p.kw);
    }
    out->n = n;
    return true;
}

void us_deconv_choose(const us_conv_kernels *f, const us_conv_dims *s, us_deconv_choice *out)
{
    (void)choose(f, s, NULL, out);
}

size_t us_deconv_ways(const us_conv_kernels *f, const us_conv_dims *s,
                      const char *names[US_CONV_WAYS])
{
    us_conv_choice all[US_CONV_WAYS];
    us_conv_dims p = phase_dims(s, 0, 0);
    size_t best, n = us_conv_candidates(f, &p, true, all, &best);
    for (size_t i = 0; i < n; i++)
        names[i] = all[i].name;
    return n;
}

bool us_deconv_choose_way(const us_conv_kernels *f, const us_conv_dims *s, size_t way,
                          us_deconv_choice *out)
{
    const char *names[US_CONV_WAYS];
    return way < us_deconv_ways(f, s, names) && choose(f, s, names[way], out);
}

bool us_deconv_plain_out(const us_deconv_choice *choice)
{
    for (size_t i = 0; i < choice->n; i++)
        if (!us_conv_plain_out(&choice->phase[i])) return false;
    return choice->n > 0;
}

/* The weights of a phase as Conv has them: [m][c / groups][kh][kw]. */
static void turn_weights(const us_conv_dims *s, const us_conv_dims *p, size_t ry, size_t rx,
                         const float *w, float *to)
{
    size_t cg = s->c / s->groups, mg = s->m / s->groups;
    for (size_t m = 0; m < s->m; m++)
        for (size_t c = 0; c < cg; c++)
            for (size_t y = 0; y < p->kh; y++)
                for (size_t x = 0; x < p->kw; x++, to++) {
                    size_t ky = ry + (p->kh - 1 - y) * s->sh, kx = rx + (p->kw - 1 - x) * s->sw;
                    const float *of = w + ((m / mg * cg + c) * mg + m % mg) * s->kh * s->kw;
                    *to = ky < s->kh && kx < s->kw ? of[ky * s->kw + kx] : 0;
                }
}

void us_deconv_pack(const us_conv_kernels *f, const us_conv_dims *s,
                    const us_deconv_choice *choice, const float *w, const float *bias,
                    float *work, float *to)
{
    for (size_t i = 0; i < choice->n; i++) {
        us_conv_dims p = phase_dims(s, i / s->sw, i % s->sw);
        turn_weights(s, &p, i / s->sw, i % s->sw, w, work);
        us_conv_pack(f, &p, &choice->phase[i], work, bias, to);
        to += choice->phase[i].floats;
    }
}

/* One dimension of a phase of `taps`: the first output, how many there are, the padding before. */
static void phase_span(size_t r, size_t taps, size_t stride, ptrdiff_t before, size_t out,
                       size_t *first, size_t *n, ptrdiff_t *pad)
{
    ptrdiff_t step = (ptrdiff_t)stride, at = ((ptrdiff_t)r - before) % step;
    at += at < 0 ? step : 0;
    *first = (size_t)at;
    *n = *first < out ? (out - *first + stride - 1) / stride : 0;
    *pad = (ptrdiff_t)taps - 1 - (at + before - (ptrdiff_t)r) / step;
}

bool us_deconv_open(const us_conv_kernels *f, const us_conv_dims *s,
                    const us_deconv_choice *choice, bool plain_y, us_conv *phase,
                    ptrdiff_t *taps, us_deconv *dv)
{
    bool ok = true;
    *dv = (us_deconv){.n = choice->n, .phase = phase};
    for (size_t i = 0; i < choice->n; i++) {
        size_t ry = i / s->sw, rx = i % s->sw;
        us_conv_dims p = phase_dims(s, ry, rx);
        us_conv_grid g = {
            .h = s->oh, .w = s->ow, .row_step = s->sh, .col_step = s->sw, .plain = plain_y};
        phase_span(ry, p.kh, s->sh, s->top, s->oh, &g.first_row, &p.oh, &p.top);
        phase_span(rx, p.kw, s->sw, s->left, s->ow, &g.first_col, &p.ow, &p.left);
        ok = us_conv_open_grid(f, &p, &choice->phase[i], &g, taps, &phase[i]) && ok;
        taps += p.kh * p.kw;
        dv->scratch = US_MAX(dv->scratch, phase[i].scratch);
        dv->work += phase[i].work;
    }
    return ok;
}

void us_deconv_run(const us_deconv *dv, const us_conv_args *a, struct us_pool *pool)
{
    us_conv_args p = *a;
    for (size_t i = 0; i < dv->n; i++) {
        us_conv_run(&dv->phase[i], &p, pool);
        p.packed += dv->phase[i].choice.floats;
    }
}
