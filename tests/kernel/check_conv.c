/* check_conv - convolutions over blocked channels, every level of kernel/levels.def against sums in double precision.
 *
 * The bound is Higham's ("Accuracy and Stability of Numerical Algorithms", 2002, section 3.5): |err| <= (k + 4) eps times the
 * sum of absolute terms, bias and residual among them. Shapes come from a seed: sides 1 to 40, kernels 1 to 7, strides 1
 * to 3, dilation, padding on each side by itself, groups, channels that fill no block. Lanes past the last channel of
 * the input hold NaN, which must reach nothing. Input, weights and residual end where their memory ends (a sanitizer sees one float too
 * many), the output has guard values behind it. NaN and infinities reach exactly the outputs that their pixels and
 * channels have a tap on; runs with one thread and with three give the same bytes.
 */
#include "levels.h"

#include <float.h>

#include "base/pool.h"

enum { GUARD = 17 };
#define GUARD_VALUE 12345.0F

typedef struct conv_case {
    us_conv_dims s;
    size_t way; /* of the candidates, from 1 on; 0: that of the model */
    bool bias, res;
    float lo, hi;
} conv_case;

typedef struct buffers {
    float *x, *blocked, *w, *bias, *res, *y, *packed, *scratch;
    size_t n_x, n_y;
    ptrdiff_t *taps;
    us_conv cv;
} buffers;

static size_t padded(size_t c, size_t b)
{
    return (c + b - 1) / b * b;
}

static void *aligned(size_t bytes)
{
    return aligned_alloc(64, (bytes + 64) / 64 * 64);
}

/* x [n, c, h, w] to blocks, lanes past c NaN. */
static float *blocked_of(const us_conv_dims *s, size_t b, const float *x)
{
    size_t pixels = s->h * s->w, cp = padded(s->c, b);
    float *y = malloc(US_MAX(s->n * cp * pixels, 1) * sizeof *y);
    for (size_t n = 0; n < s->n; n++)
        for (size_t c = 0; c < cp; c++)
            for (size_t p = 0; p < pixels; p++)
                y[((n * cp + c / b * b) * pixels) + p * b + c % b] =
                    c < s->c ? x[(n * s->c + c) * pixels + p] : NAN;
    return y;
}

static void make(const us_conv_kernels *f, const conv_case *t, us_rng *r, buffers *b)
{
    const us_conv_dims *s = &t->s;
    size_t mp = padded(s->m, f->block), taps = s->kh * s->kw;
    b->n_x = s->n * s->c * s->h * s->w;
    b->n_y = s->n * mp * s->oh * s->ow;
    b->x = some_floats(r, b->n_x);
    b->w = some_floats(r, s->m * (s->c / s->groups) * taps);
    b->bias = some_floats(r, s->m);
    b->res = some_floats(r, b->n_y);
    b->y = malloc((b->n_y + GUARD) * sizeof *b->y);
    for (size_t i = 0; i < b->n_y + GUARD; i++)
        b->y[i] = GUARD_VALUE;
    b->blocked = blocked_of(s, f->block, b->x);
    b->taps = malloc(taps * sizeof *b->taps);
}

static void settle(const us_conv_kernels *f, const conv_case *t, buffers *b)
{
    us_conv_choice all[US_CONV_WAYS], ch;
    size_t best, n = us_conv_candidates(f, &t->s, false, all, &best);
    us_conv_choose(f, &t->s, &ch);
    CHECK(n > 0 && best < n && ch.algo == all[best].algo && ch.q == all[best].q);
    if (t->way) ch = all[(t->way - 1) % n];
    b->packed = aligned(ch.floats * sizeof(float));
    us_conv_pack(f, &t->s, &ch, b->w, t->bias ? b->bias : NULL, b->packed);
    CHECK(us_conv_open(f, &t->s, &ch, b->taps, &b->cv));
    b->scratch = aligned(b->cv.scratch);
}

static void drop(buffers *b)
{
    free(b->x);
    free(b->blocked);
    free(b->w);
    free(b->bias);
    free(b->res);
    free(b->y);
    free(b->packed);
    free(b->scratch);
    free(b->taps);
}

static void run(const conv_case *t, const buffers *b, us_pool *pool)
{
    us_conv_args a = {.x = t->s.plain ? b->x : b->blocked,
                      .packed = b->packed,
                      .res = t->res ? b->res : NULL,
                      .y = b->y,
                      .lo = t->lo,
                      .hi = t->hi,
                      .scratch = b->scratch};
    us_conv_run(&b->cv, &a, pool);
}

/* Output (n, m, oy, ox) in double; *bound for what floats may make of it. `res` is the residual there. */
static double wanted(const conv_case *t, const buffers *b, const size_t at[4], double res,
                     double *bound)
{
    const us_conv_dims *s = &t->s;
    size_t cg = s->c / s->groups, g = at[1] / (s->m / s->groups);
    double sum = (t->bias ? (double)b->bias[at[1]] : 0) + res,
           sum_abs = (t->bias ? fabs((double)b->bias[at[1]]) : 0) + fabs(res);
    for (size_t c = 0; c < cg; c++)
        for (size_t i = 0; i < s->kh; i++)
            for (size_t k = 0; k < s->kw; k++) {
                ptrdiff_t y = (ptrdiff_t)(at[2] * s->sh + i * s->dh) - s->top,
                          x = (ptrdiff_t)(at[3] * s->sw + k * s->dw) - s->left;
                if (y < 0 || y >= (ptrdiff_t)s->h || x < 0 || x >= (ptrdiff_t)s->w) continue;
                double v =
                    (double)b->x[((at[0] * s->c + g * cg + c) * s->h + (size_t)y) * s->w +
                                 (size_t)x] *
                    (double)b->w[((at[1] * cg + c) * s->kh + i) * s->kw + k];
                sum += v;
                sum_abs += fabs(v);
            }
    *bound = ((double)(cg * s->kh * s->kw) + 4) * (double)FLT_EPSILON * sum_abs;
    return fmin(fmax(sum, (double)t->lo), (double)t->hi);
}

static void say(const us_conv_kernels *f, const conv_case *t)
{
    const us_conv_dims *s = &t->s;
    printf("# %s n=%zu c=%zu h=%zu w=%zu m=%zu oh=%zu ow=%zu k=%zux%zu s=%zux%zu d=%zux%zu "
           "top=%td left=%td g=%zu plain=%d\n",
           f->name, s->n, s->c, s->h, s->w, s->m, s->oh, s->ow, s->kh, s->kw, s->sh, s->sw,
           s->dh, s->dw, s->top, s->left, s->groups, s->plain);
}

static void compare(const us_conv_kernels *f, const conv_case *t, const buffers *b)
{
    const us_conv_dims *s = &t->s;
    size_t blk = f->block, mp = padded(s->m, blk), pixels = s->oh * s->ow, bad = 0;
    for (size_t i = 0; i < s->n * s->m * pixels; i++) {
        size_t p = i % pixels, m = i / pixels % s->m, n = i / pixels / s->m;
        size_t at[4] = {n, m, p / s->ow, p % s->ow};
        size_t o = (n * mp + m / blk * blk) * pixels + p * blk + m % blk;
        double bound, want = wanted(t, b, at, t->res ? (double)b->res[o] : 0, &bound);
        if (fabs((double)b->y[o] - want) <= bound) continue;
        if (bad++ == 0) {
            say(f, t);
            printf("# at n=%zu m=%zu y=%zu x=%zu: %g, expected %g\n", n, m, at[2], at[3],
                   (double)b->y[o], want);
        }
    }
    CHECK_EQ_U64(bad, 0);
    for (size_t i = b->n_y; i < b->n_y + GUARD; i++)
        CHECK(b->y[i] == GUARD_VALUE);
}

static size_t up_to(us_rng *r, size_t n)
{
    return us_rng_u32(r) % n;
}

/* Output size for padding before and after; 0 when there is none. */
static size_t out_size(size_t in, size_t k, size_t stride, size_t dil, ptrdiff_t pads)
{
    ptrdiff_t room = (ptrdiff_t)in + pads - (ptrdiff_t)((k - 1) * dil + 1);
    return room < 0 ? 0 : (size_t)room / stride + 1;
}

/* kind 0: dense, 1: groups of blocks, 2: depthwise, 3: plain input, 4: 1x1, 5: few outputs, 6: groups of any width */
enum { KINDS = 7 };
static bool some_case(us_rng *r, size_t block, int kind, conv_case *t)
{
    us_conv_dims *s = &t->s;
    *t = (conv_case){.lo = -INFINITY, .hi = INFINITY};
    *s = (us_conv_dims){.n = 1 + up_to(r, 2), .groups = 1};
    s->h = 1 + up_to(r, up_to(r, 3) ? 12 : 40);
    s->w = 1 + up_to(r, up_to(r, 3) ? 20 : 40);
    s->kh = 1 + up_to(r, 7);
    s->kw = up_to(r, 3) ? s->kh : 1 + up_to(r, 7);
    if (kind == 2 && up_to(r, 2)) s->kh = s->kw = 3 + 2 * up_to(r, 2);
    if (kind == 4) s->kh = s->kw = 1;
    s->sh = 1 + up_to(r, 3);
    s->sw = up_to(r, 3) ? s->sh : 1 + up_to(r, 3);
    s->dh = up_to(r, 3) ? 1 : 1 + up_to(r, 3);
    s->dw = up_to(r, 3) ? 1 : 1 + up_to(r, 3);
    s->c = 1 + up_to(r, 40);
    s->m = 1 + up_to(r, 70);
    if (kind == 5) s->m = 1 + up_to(r, 5);
    if (kind == 1 || kind == 3) s->groups = 1 + up_to(r, 3);
    if (kind == 1) s->c = s->groups * block * (1 + up_to(r, 2));
    if (kind == 3) s->c = s->groups * (1 + up_to(r, 4));
    if (s->groups > 1) s->m = s->groups * block * (1 + up_to(r, 3));
    if (kind == 2) s->groups = s->m = s->c;
    if (kind == 6) {
        bool small = up_to(r, 2);
        s->groups = 2 + up_to(r, small ? 9 : 4);
        s->c = s->groups * (1 + up_to(r, small ? 8 : 30));
        s->m = up_to(r, 2) ? s->c : s->groups * (1 + up_to(r, small ? 8 : 30));
        if (up_to(r, 2)) s->dh = s->dw = 1;
        if (up_to(r, 2)) s->kh = s->kw = 3;
    }
    s->plain = kind == 3;
    ptrdiff_t pads[4];
    for (int i = 0; i < 4; i++)
        pads[i] = (ptrdiff_t)up_to(r, 6) - (up_to(r, 4) ? 0 : 3);
    if (up_to(r, 3) == 0) memset(pads, 0, sizeof pads);
    s->top = pads[0];
    s->left = pads[1];
    s->oh = out_size(s->h, s->kh, s->sh, s->dh, pads[0] + pads[2]);
    s->ow = out_size(s->w, s->kw, s->sw, s->dw, pads[1] + pads[3]);
    t->bias = up_to(r, 2);
    t->res = up_to(r, 2);
    if (up_to(r, 2)) t->lo = -0.5F;
    if (up_to(r, 3) == 0) t->hi = 0.75F;
    return s->oh > 0 && s->ow > 0;
}

enum { CASES = 130 };

static void check_level(const level *l)
{
    const us_conv_kernels *f = l->k.conv;
    us_rng r = us_rng_new(1, "conv", 0);
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < CASES;) {
            conv_case t;
            buffers b;
            if (!some_case(&r, f->block, kind, &t)) continue;
            t.way = (size_t)i / 2 * (size_t)(i % 2); /* every other: each candidate in turn */
            make(f, &t, &r, &b);
            settle(f, &t, &b);
            run(&t, &b, NULL);
            compare(f, &t, &b);
            drop(&b);
            i++;
        }
}
static void test_conv__shapes_from_a_seed(void)
{
    each_level(check_level);
}

/* Each width around the tiles, with the paddings of 3x3 and 5x5. */
static void check_widths(const level *l)
{
    const us_conv_kernels *f = l->k.conv;
    us_rng r = us_rng_new(2, "conv", 0);
    for (size_t w = 1; w <= 40; w++)
        for (size_t i = 0; i < 6; i++) {
            size_t k = i < 3 ? 3 : 5;
            conv_case t = {.lo = 0, .hi = INFINITY, .bias = true};
            t.s = (us_conv_dims){.n = 1,
                                 .c = f->block + 3,
                                 .h = 3,
                                 .w = w,
                                 .m = f->block * (1 + w % 5),
                                 .kh = k,
                                 .kw = k,
                                 .sh = 1,
                                 .sw = 1 + i % 2,
                                 .dh = 1,
                                 .dw = 1,
                                 .top = (ptrdiff_t)k / 2,
                                 .left = (ptrdiff_t)k / 2,
                                 .oh = 3,
                                 .groups = 1};
            t.s.ow = out_size(w, k, t.s.sw, 1, (ptrdiff_t)k / 2 * 2);
            if (i % 3 == 2) t.s.m = t.s.groups = t.s.c;
            buffers b;
            make(f, &t, &r, &b);
            settle(f, &t, &b);
            run(&t, &b, NULL);
            compare(f, &t, &b);
            drop(&b);
        }
}
static void test_conv__every_width_to_40(void)
{
    each_level(check_widths);
}

enum { WAYS = 2 }; /* the model's choice and another candidate for each shape */

/* Sums in chunks of input blocks, several bands of packed rows, several items of output blocks; three threads, same bytes. */
static void check_large(const level *l)
{
    const us_conv_kernels *f = l->k.conv;
    static const us_conv_dims shapes[] = {
        {1, 900, 4, 5, 40, 4, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1, false},     /* chunks */
        {1, 64, 90, 70, 20, 90, 70, 3, 3, 1, 1, 1, 1, 1, 1, 1, false},  /* bands */
        {2, 48, 40, 40, 30, 20, 20, 5, 5, 2, 2, 1, 1, 2, 2, 1, false},  /* bands with stride */
        {1, 70, 33, 31, 200, 33, 31, 1, 1, 1, 1, 1, 1, 0, 0, 1, false}, /* long flat row */
        {1, 3, 64, 61, 35, 32, 31, 7, 7, 2, 2, 1, 1, 3, 3, 1, true},    /* first layer */
        {2, 37, 50, 50, 37, 50, 50, 3, 3, 1, 1, 1, 1, 1, 1, 37, false}, /* depthwise */
        {2, 40, 40, 40, 40, 40, 40, 3, 3, 1, 1, 1, 1, 1, 1, 10, false}, /* narrow groups */
        {2, 72, 30, 30, 72, 30, 30, 3, 3, 1, 1, 1, 1, 1, 1, 3, false},  /* across blocks */
    };
    us_rng r = us_rng_new(3, "conv", 0);
    us_pool *pool;
    us_ctx c;
    us_ctx_init(&c);
    CHECK_OK(&c, us_pool_new(&c, 3, &pool));
    for (size_t i = 0; i < US_LEN(shapes) * WAYS; i++) {
        conv_case t = {.s = shapes[i / WAYS], .lo = -4, .hi = 4, .bias = true, .res = true};
        buffers b;
        t.way = i % WAYS * (1 + i);
        make(f, &t, &r, &b);
        settle(f, &t, &b);
        run(&t, &b, NULL);
        compare(f, &t, &b);
        float *once = malloc(b.n_y * sizeof *once);
        memcpy(once, b.y, b.n_y * sizeof *once);
        for (size_t k = 0; k < b.n_y; k++)
            b.y[k] = GUARD_VALUE;
        run(&t, &b, pool);
        CHECK(memcmp(once, b.y, b.n_y * sizeof *once) == 0);
        free(once);
        drop(&b);
    }
    us_pool_free(pool);
    us_ctx_deinit(&c);
}
static void test_conv__chunks_bands_and_threads(void)
{
    each_level(check_large);
}

/* One pixel of one channel is NaN, one infinite: exactly the outputs with a tap on them are touched. */
static void check_specials(const level *l)
{
    const us_conv_kernels *f = l->k.conv;
    us_rng r = us_rng_new(4, "conv", 0);
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < 30;) {
            conv_case t;
            buffers b, ok;
            if (!some_case(&r, f->block, kind, &t)) continue;
            t.lo = -1e30F;
            t.hi = INFINITY;
            t.res = false;
            us_rng same = r, again = r;
            make(f, &t, &same, &b);
            make(f, &t, &again, &ok);
            size_t at = us_rng_u32(&r) % b.n_x;
            b.x[at] = i % 2 ? INFINITY : NAN;
            free(b.blocked);
            b.blocked = blocked_of(&t.s, f->block, b.x);
            settle(f, &t, &b);
            settle(f, &t, &ok);
            run(&t, &b, NULL);
            run(&t, &ok, NULL);
            size_t mp = padded(t.s.m, f->block), pixels = t.s.oh * t.s.ow, bad = 0;
            for (size_t o = 0; o < b.n_y; o++) {
                size_t m = o / (pixels * f->block) % (mp / f->block) * f->block + o % f->block;
                if (m >= t.s.m) continue;
                size_t p = o / f->block % pixels,
                       where[4] = {o / (mp * pixels), m, p / t.s.ow, p % t.s.ow};
                double bound;
                (void)wanted(&t, &b, where, 0, &bound);
                bool touched = !isfinite(bound);
                if (!touched) bad += memcmp(&b.y[o], &ok.y[o], sizeof(float)) != 0;
                if (touched && i % 2 == 0) bad += !isnan(b.y[o]);
                if (touched && i % 2 == 1) bad += isfinite(b.y[o]) && b.y[o] != -1e30F;
            }
            if (bad) say(f, &t);
            CHECK_EQ_U64(bad, 0);
            drop(&b);
            drop(&ok);
            i++;
        }
}
static void test_conv__nan_and_infinity_stay_where_their_taps_are(void)
{
    each_level(check_specials);
}

static void check_reorder(const level *l)
{
    const us_conv_kernels *f = l->k.conv;
    us_rng r = us_rng_new(5, "conv", 0);
    size_t block = f->block;
    for (size_t c = 1; c <= 40; c += 3)
        for (size_t pixels = 1; pixels < 200; pixels += 1 + pixels / 3) {
            float *x = some_floats(&r, c * pixels), *back = some_floats(&r, c * pixels);
            float *y = some_floats(&r, padded(c, block) * pixels), *z = NULL;
            us_conv_block(block, c, pixels, x, y);
            for (size_t i = 0; i < padded(c, block) * pixels; i++) {
                size_t ch = i / (block * pixels) * block + i % block;
                CHECK(y[i] == (ch < c ? x[ch * pixels + i / block % pixels] : 0));
            }
            us_conv_unblock(block, c, pixels, y, back);
            CHECK(memcmp(x, back, c * pixels * sizeof *x) == 0);
            z = some_floats(&r, padded(c, block) * pixels);
            memset(back, 0, c * pixels * sizeof *x);
            for (size_t c0 = 0; c0 < c; c0 += block) {
                size_t lanes = US_MIN(block, c - c0), at = c0 * pixels;
                f->block_in(lanes, pixels, x + at, z + at);
                f->block_out(lanes, pixels, z + at, back + at);
            }
            CHECK(memcmp(y, z, padded(c, block) * pixels * sizeof *x) == 0);
            CHECK(memcmp(x, back, c * pixels * sizeof *x) == 0);
            free(x);
            free(y);
            free(z);
            free(back);
        }
}
static void test_block__there_and_back(void)
{
    each_level(check_reorder);
}

/* Window o of k columns, `stride` after the one before, padded by one column; cut by the image. */
static us_conv_span regular(size_t o, size_t k, size_t stride, size_t w)
{
    size_t lo = o * stride < 1 ? 0 : o * stride - 1, hi = US_MIN(o * stride + k - 1, w);
    lo = US_MIN(lo, hi);
    return (us_conv_span){lo, hi - lo, (float)k};
}

/* A row of windows, regular ones and some from anywhere, some empty, of values with a NaN now and then; the sum of a window of k is right within k eps of its terms. */
static void check_pool(const level *l)
{
    const us_conv_kernels *f = l->k.conv;
    enum { H = 5, W = 37, OW = 23 };
    us_rng r = us_rng_new(6, "conv", 0);
    for (int i = 0; i < 300; i++) {
        size_t b = f->block, n_x = H * W * b;
        float *x = some_floats(&r, n_x), *y = some_floats(&r, OW * b + GUARD);
        us_conv_span spans[OW];
        us_conv_pool t = {.x = x, .row = W * b, .step = b * (1 + up_to(&r, 2)), .y = y};
        t.n_kh = up_to(&r, H + 1);
        t.count = (float)(t.n_kh + up_to(&r, 2));
        t.spans = spans;
        t.ow = 1 + up_to(&r, OW);
        if (i % 2) x[up_to(&r, n_x)] = i % 4 == 1 ? NAN : -INFINITY;
        for (size_t o = 0; o < t.ow; o++) {
            size_t n = up_to(&r, 12), last = n ? (n - 1) * (t.step / b) : 0;
            spans[o] = (us_conv_span){up_to(&r, W - last), n, (float)(n + up_to(&r, 2))};
            if (i % 3 && t.step == b)
                spans[o] = regular(o, 1 + (size_t)i % 5, 1 + (size_t)i % 4, W);
        }
        for (size_t k = 0; k < GUARD; k++)
            y[t.ow * b + k] = GUARD_VALUE;
        for (int max = 0; max < 2; max++) {
            (max ? f->pool_max : f->pool_mean)(&t);
            for (size_t o = 0; o < t.ow * b; o++) {
                const us_conv_span *s = &spans[o / b];
                double top = -(double)INFINITY, sum = 0, abs = 0;
                bool nan_ = false;
                for (size_t k = 0; k < t.n_kh * s->n; k++) {
                    double v =
                        (double)x[k / s->n * t.row + s->x * b + k % s->n * t.step + o % b];
                    nan_ = nan_ || isnan(v);
                    top = fmax(top, v);
                    sum += v;
                    abs += fabs(v);
                }
                double n = fmax((double)(t.count * s->count), 1), got = (double)y[o];
                if (t.n_kh * s->n == 0) top = 0;
                if (nan_)
                    CHECK(y[o] != y[o]);
                else if (max || isinf(abs))
                    CHECK(got == (max ? top : sum));
                else
                    CHECK_NEAR(got, sum / n, 64.0 * (double)FLT_EPSILON * abs / n);
            }
        }
        for (size_t k = 0; k < GUARD; k++)
            CHECK(y[t.ow * b + k] == GUARD_VALUE);
        free(x);
        free(y);
    }
}
static void test_pool__windows_along_a_row(void)
{
    each_level(check_pool);
}

static const us_test_case cases[] = {
    US_CASE(test_conv__shapes_from_a_seed),
    US_CASE(test_conv__every_width_to_40),
    US_CASE(test_conv__chunks_bands_and_threads),
    US_CASE(test_conv__nan_and_infinity_stay_where_their_taps_are),
    US_CASE(test_block__there_and_back),
    US_CASE(test_pool__windows_along_a_row),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
