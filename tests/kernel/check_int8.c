/* check_int8 - 8-bit products, depthwise convolutions and conversions: every level of kernel/levels.def against plain loops.
 *
 * All of it is exact, so results are compared byte for byte. Numbers are extreme more often than not (0, 255, -128, 127): products
 * that saturate at 16 bits on the way show. Inputs end where their memory ends, results have guard bytes around them; a
 * split of M and N changes nothing.
 */
#include "levels.h"

#include <math.h>
#include <string.h>

enum { GUARD = 64 };
#define GUARD_BYTE 0xA5

static size_t up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

static uint32_t below(us_rng *r, size_t n)
{
    return (uint32_t)us_rng_below(r, n);
}

static uint8_t some_byte(us_rng *r)
{
    static const uint8_t ends[] = {0, 255, 128, 127, 1, 254};
    return below(r, 3) ? ends[below(r, US_LEN(ends))] : (uint8_t)below(r, 256);
}

static uint8_t *some_bytes(us_rng *r, size_t n)
{
    uint8_t *p = malloc(US_MAX(n, (size_t)1));
    for (size_t i = 0; i < n; i++)
        p[i] = some_byte(r);
    return p;
}

static uint8_t *guarded(size_t n)
{
    uint8_t *p = malloc(n + 2 * GUARD);
    memset(p, GUARD_BYTE, n + 2 * GUARD);
    return p;
}

static bool guards_hold(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < GUARD; i++)
        if (p[i] != GUARD_BYTE || p[GUARD + n + i] != GUARD_BYTE) return false;
    return true;
}

static uint8_t byte_of(int32_t sum, const us_int8_end *e, size_t j)
{
    double q = (double)((float)sum * e->scale[j]);
    q = nearbyint(q) + e->zero;
    return (uint8_t)(int)fmin(fmax(q, e->lo), e->hi);
}

/* Arrays per column, `wide` long. */
static us_int8_end some_end(us_rng *r, us_int8_type type, size_t wide, bool by_row,
                            bool is_signed)
{
    int32_t *add = malloc(wide * sizeof *add), *rows = malloc(wide * sizeof *rows);
    float *scale = malloc(wide * sizeof *scale), *bias = malloc(wide * sizeof *bias);
    for (size_t j = 0; j < wide; j++) {
        add[j] = (int32_t)below(r, 100000) - 50000;
        rows[j] = (int32_t)below(r, 256) - 128;
        scale[j] = us_rng_f32(r) * 0.01F;
        bias[j] = us_rng_f32(r) - 0.5F;
    }
    us_int8_end e = {.type = type, .add = add, .by_row = rows, .scale = scale, .bias = bias};
    if (!by_row) {
        free(rows);
        e.by_row = NULL;
    }
    e.zero = (int32_t)below(r, 256) - (is_signed ? 128 : 0);
    e.lo = is_signed ? -128 : 0;
    e.hi = is_signed ? 127 : 255;
    return e;
}

static void free_end(us_int8_end *e)
{
    free((void *)(uintptr_t)e->add);
    free((void *)(uintptr_t)e->by_row);
    free((void *)(uintptr_t)e->scale);
    free((void *)(uintptr_t)e->bias);
}

typedef struct gemm_case {
    size_t m, n, k, pad;
    bool trans, flip, by_row, is_signed;
    us_int8_type type;
} gemm_case;

static int32_t sum_of(const gemm_case *t, const uint8_t *a, const uint8_t *b, size_t ldb,
                      size_t j)
{
    uint32_t sum = 0;
    for (size_t p = 0; p < t->k; p++) {
        uint8_t w = t->trans ? b[j * ldb + p] : b[p * ldb + j];
        sum += (uint32_t)(a[p] * (int8_t)(uint8_t)(w ^ (t->flip ? 0x80 : 0)));
    }
    return (int32_t)sum;
}

static bool same_result(const gemm_case *t, const us_int8_end *e, int32_t sum, int32_t row,
                        size_t j, const uint8_t *c, size_t at)
{
    sum = (int32_t)((uint32_t)sum + (uint32_t)e->add[j] +
                    (e->by_row ? (uint32_t)row * (uint32_t)e->by_row[j] : 0U));
    if (t->type == US_INT8_BYTE) return c[at] == byte_of(sum, e, j);
    int32_t have;
    memcpy(&have, c + 4 * at, sizeof have);
    if (t->type == US_INT8_I32) return have == sum;
    float want = (float)sum * e->scale[j], got;
    want += e->bias[j];
    memcpy(&got, &have, sizeof got);
    return want == got;
}

static void gemm_one(const us_int8_kernels *k, const gemm_case *t, us_rng *r)
{
    size_t lda = up(t->k, 4) + t->pad, ldb = (t->trans ? t->k : t->n) + t->pad,
           ldc = t->n + t->pad, each = t->type == US_INT8_BYTE ? 1 : 4, bytes,
           n_c = ((t->m - 1) * ldc + t->n) * each, wide = up(t->n, k->layout.vw);
    uint8_t *a = some_bytes(r, (t->m - 1) * lda + up(t->k, 4)),
            *b = some_bytes(r, ((t->trans ? t->n : t->k) - 1) * ldb + (t->trans ? t->k : t->n)),
            *c = guarded(n_c);
    int32_t *rows = malloc(t->m * sizeof *rows);
    us_int8_end e = some_end(r, t->type, wide, t->by_row, t->is_signed);
    CHECK(us_int8_pack_bytes(&k->layout, t->n, t->k, &bytes));
    int8_t *w = malloc(bytes);
    us_int8_weights from = {
        .n = t->n, .k = t->k, .b = b, .ldb = ldb, .trans = t->trans, .flip = t->flip};
    k->pack(&from, w);
    k->row_sums(t->m, t->k, a, lda, 0, rows);
    us_int8_args g = {.m = t->m,
                      .n = t->n,
                      .k = t->k,
                      .j1 = t->n,
                      .a = a,
                      .lda = lda,
                      .row_sums = rows,
                      .w = w,
                      .end = &e,
                      .c = c + GUARD,
                      .ldc = ldc};
    size_t cut_m = below(r, t->m + 1), cut_n = up(below(r, t->n), k->layout.nr);
    if (cut_n >= t->n) cut_n = 0;
    for (size_t i = 0; i < 4; i++) {
        us_int8_args part = g;
        size_t i0 = i / 2 ? cut_m : 0;
        part.m = i / 2 ? t->m - cut_m : cut_m;
        part.a += i0 * lda;
        part.row_sums += i0;
        part.c = (uint8_t *)part.c + i0 * ldc * each;
        part.j0 = i % 2 ? cut_n : 0;
        part.j1 = i % 2 ? t->n : cut_n;
        if (part.j0 < part.j1) k->gemm(&part);
    }
    size_t wrong = 0;
    for (size_t i = 0; i < t->m; i++) {
        int32_t row = 0;
        for (size_t p = 0; p < t->k; p++)
            row += a[i * lda + p];
        wrong += rows[i] != row;
        for (size_t j = 0; j < t->n; j++)
            wrong += !same_result(t, &e, sum_of(t, a + i * lda, b, ldb, j), row, j, c + GUARD,
                                  i * ldc + j);
    }
    CHECK_EQ_I64((int64_t)wrong, 0);
    CHECK(guards_hold(c, n_c));
    free_end(&e);
    free(a);
    free(b);
    free(c);
    free(w);
    free(rows);
}

static void gemm_level(const level *l)
{
    const us_int8_kernels *k = l->k.int8;
    static const size_t ms[] = {1, 2, 3, 5, 13, 14, 15, 29},
                        ns[] = {1, 7, 8, 15, 16, 17, 31, 32, 33, 50},
                        ks[] = {1, 3, 4, 5, 64, 67, 300};
    us_rng r = us_rng_new(5, "int8", 0);
    size_t i = 0;
    for (size_t m = 0; m < US_LEN(ms); m++)
        for (size_t n = 0; n < US_LEN(ns); n++)
            for (size_t p = 0; p < US_LEN(ks); p++, i++) {
                gemm_case t = {.m = ms[m],
                               .n = ns[n],
                               .k = ks[p],
                               .pad = i % 3 ? 0 : 5,
                               .trans = i % 2,
                               .flip = i / 2 % 2,
                               .by_row = i % 5 < 2,
                               .is_signed = i % 7 < 3,
                               .type = (us_int8_type)(i % 3)};
                gemm_one(k, &t, &r);
            }
}

/* All products as large as they come: 255 * -128, more than 16 bits hold twice. */
static void extremes(const level *l)
{
    const us_int8_kernels *k = l->k.int8;
    enum { K = 1024, N = 40 };
    uint8_t *a = malloc(K), *b = malloc(K * N);
    int32_t c[N], add[48] = {0};
    memset(a, 255, K);
    for (size_t side = 0; side < 2; side++) {
        memset(b, side ? 0x80 : 0x7f, K * N);
        size_t bytes;
        CHECK(us_int8_pack_bytes(&k->layout, N, K, &bytes));
        int8_t *w = malloc(bytes);
        k->pack(&(us_int8_weights){.n = N, .k = K, .b = b, .ldb = N}, w);
        us_int8_end e = {.type = US_INT8_I32, .add = add};
        k->gemm(&(us_int8_args){.m = 1,
                                .n = N,
                                .k = K,
                                .j1 = N,
                                .a = a,
                                .lda = K,
                                .w = w,
                                .end = &e,
                                .c = c,
                                .ldc = N});
        for (size_t j = 0; j < N; j++)
            CHECK_EQ_I64(c[j], K * 255 * (side ? -128 : 127));
        int32_t sums[48];
        k->col_sums(N, K, w, sums);
        CHECK_EQ_I64(sums[N - 1], K * (side ? -128 : 127));
        free(w);
    }
    free(a);
    free(b);
}

/* --- depthwise ------------------------------------------------------------------------------------------ */

static void dw_one(const us_int8_kernels *k, size_t n, size_t c, size_t taps, bool flip,
                   us_rng *r)
{
    size_t t4 = up(taps, 4), wide = up(c, us_int8_dw_block(&k->layout)), ldy = c + 3,
           n_y = (n - 1) * ldy + c;
    uint8_t *x[64], *w = some_bytes(r, c * taps), *y = guarded(n_y);
    size_t step[64];
    for (size_t t = 0; t < taps; t++) {
        step[t] = t % 3 ? c + t : 0;
        x[t] = some_bytes(r, (n - 1) * step[t] + c);
    }
    int8_t *packed = malloc(wide * t4);
    us_int8_dw_pack(&k->layout, c, taps, w, flip, packed);
    us_int8_end e = some_end(r, US_INT8_BYTE, wide, false, flip);
    us_int8_dw_args g = {.n = n,
                         .c = c,
                         .taps = taps,
                         .tap = (const uint8_t *const *)x,
                         .step = step,
                         .flip = flip ? 0x80 : 0,
                         .w = packed,
                         .end = &e,
                         .y = y + GUARD,
                         .ldy = ldy};
    k->dw(&g);
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++) {
            size_t at = us_int8_dw_place(&k->layout, j);
            int32_t sum = e.add[at];
            for (size_t t = 0; t < taps; t++)
                sum += (x[t][i * step[t] + j] ^ g.flip) *
                       (int8_t)(uint8_t)(w[j * taps + t] ^ g.flip);
            wrong += y[GUARD + i * ldy + j] != byte_of(sum, &e, at);
        }
    CHECK_EQ_I64((int64_t)wrong, 0);
    CHECK(guards_hold(y, n_y));
    for (size_t t = 0; t < taps; t++)
        free(x[t]);
    free(w);
    free(y);
    free(packed);
    free_end(&e);
}

static void dw_level(const level *l)
{
    const us_int8_kernels *k = l->k.int8;
    static const size_t cs[] = {1, 3, 15, 16, 31, 32, 33, 63, 64, 65, 144},
                        ts[] = {1, 2, 3, 4, 9, 25};
    us_rng r = us_rng_new(6, "int8", 0);
    for (size_t c = 0; c < US_LEN(cs); c++)
        for (size_t t = 0; t < US_LEN(ts); t++)
            dw_one(k, 1 + (c + t) % 5, cs[c], ts[t], (c + t) % 2, &r);
}

/* --- conversions ---------------------------------------------------------------------------------------- */

static void conversions(const level *of)
{
    const us_int8_kernels *k = of->k.int8;
    us_rng r = us_rng_new(7, "int8", 0);
    for (size_t n = 1; n < 80; n++) {
        float *x = malloc(n * sizeof *x), *back = malloc(n * sizeof *back), lo = 0, hi = 0, l,
              h;
        uint8_t *y = guarded(n);
        for (size_t i = 0; i < n; i++) {
            static const float odd[] = {NAN,   INFINITY, -INFINITY, -0.0F,
                                        0.75F, 1.25F,    1e30F,     2.25F};
            x[i] = below(&r, 4) ? (us_rng_f32(&r) - 0.5F) * 300 : odd[below(&r, US_LEN(odd))];
            lo = fminf(lo, x[i]);
            hi = fmaxf(hi, x[i]);
        }
        bool is_signed = n % 2;
        int32_t zero = (int32_t)(n % 7) * 20, least = is_signed ? -128 : 0,
                most = is_signed ? 127 : 255;
        k->quantize(x, n, 0.5F, zero, least, most, y + GUARD);
        k->dequantize(y + GUARD, n, is_signed ? 0x80 : 0, 0.3F, zero, back);
        k->range(x, n, &l, &h);
        CHECK(l == lo && h == hi);
        size_t wrong = 0;
        for (size_t i = 0; i < n; i++) {
            double q = nearbyint((double)(x[i] / 0.5F)) + zero;
            int want = isnan(q) ? 0 : (int)fmin(fmax(q, least), most);
            int have = y[GUARD + i];
            wrong += have != (uint8_t)want;
            wrong += back[i] != (float)((have ^ (is_signed ? 0x80 : 0)) - zero) * 0.3F;
        }
        CHECK_EQ_I64((int64_t)wrong, 0);
        CHECK(guards_hold(y, n));
        free(x);
        free(back);
        free(y);
    }
}

static void additions(const level *l)
{
    const us_int8_kernels *k = l->k.int8;
    us_rng r = us_rng_new(8, "int8", 0);
    for (size_t n = 1; n < 80; n++) {
        uint8_t *a = some_bytes(&r, n), *b = some_bytes(&r, n), *y = guarded(n);
        us_int8_add p = {
            .is_signed = n % 2, .ra = 0.7F, .rb = 0.37F, .fixed = n % 3 ? -3.5F : 120.5F};
        k->add(a, b, n, &p, y + GUARD);
        size_t wrong = 0;
        for (size_t i = 0; i < n; i++) {
            float va = p.is_signed ? (int8_t)a[i] : a[i],
                  vb = p.is_signed ? (int8_t)b[i] : b[i];
            float q = fmaf(va, p.ra, fmaf(vb, p.rb, p.fixed));
            q = nearbyintf(fminf(fmaxf(q, p.is_signed ? -128 : 0), p.is_signed ? 127 : 255));
            wrong += y[GUARD + i] != (uint8_t)(int)q;
        }
        CHECK_EQ_I64((int64_t)wrong, 0);
        CHECK(guards_hold(y, n));
        free(a);
        free(b);
        free(y);
    }
}

static void products_and_pools(const level *l)
{
    const us_int8_kernels *k = l->k.int8;
    us_rng r = us_rng_new(9, "int8", 0);
    for (size_t n = 1; n < 140; n += n < 70 ? 1 : 13) {
        uint8_t *a = some_bytes(&r, n), *b = some_bytes(&r, n), *y = guarded(n),
                *m = guarded(n), *rows = some_bytes(&r, 2 * n + 5);
        const uint8_t *tap[] = {a, b, a};
        const uint8_t flip = (uint8_t)(n % 2 ? 0x80 : 0);
        int32_t *sums = calloc(n, sizeof *sums);
        uint8_t *f = guarded(n);
        k->flip(a, n, 0x80, f + GUARD);
        int32_t row = 0, want = 0;
        k->row_sums(1, n, a, n, flip, &row);
        uint8_t table[256], *u = guarded(n);
        for (size_t i = 0; i < US_LEN(table); i++)
            table[i] = some_byte(&r);
        k->look_up(table, a, n, u + GUARD);
        us_int8_mul p = {.is_signed = n % 2, .za = 3, .zb = -7, .ratio = 0.013F, .zero = 11};
        k->mul(a, b, n, &p, y + GUARD);
        k->max(3, tap, n, flip, m + GUARD);
        k->sum_rows(1, a, n, n, flip, sums);
        k->sum_rows(2, rows, n + 5, n, flip, sums);
        size_t wrong = 0;
        for (size_t i = 0; i < n; i++) {
            float va = p.is_signed ? (int8_t)a[i] : a[i],
                  vb = p.is_signed ? (int8_t)b[i] : b[i];
            float q = (va - 3) * (vb + 7) * 0.013F + 11;
            q = nearbyintf(fminf(fmaxf(q, p.is_signed ? -128 : 0), p.is_signed ? 127 : 255));
            wrong += y[GUARD + i] != (uint8_t)(int)q;
            wrong += m[GUARD + i] != (uint8_t)(int)fmaxf(va, vb);
            want += a[i] ^ flip;
            wrong += u[GUARD + i] != table[a[i]];
            wrong += f[GUARD + i] != (a[i] ^ 0x80);
            wrong += sums[i] != (a[i] ^ flip) + (rows[i] ^ flip) + (rows[n + 5 + i] ^ flip);
        }
        CHECK_EQ_I64((int64_t)wrong, 0);
        CHECK_EQ_I64(row, want);
        CHECK(guards_hold(y, n) && guards_hold(m, n) && guards_hold(f, n) && guards_hold(u, n));
        free(u);
        free(f);
        free(a);
        free(b);
        free(y);
        free(m);
        free(rows);
        free(sums);
    }
}

static void test_int8_gemm__every_level_sizes_and_ends(void)
{
    each_level(gemm_level);
}

static void test_int8_gemm__largest_products_do_not_saturate(void)
{
    each_level(extremes);
}

static void test_int8_dw__every_level_channels_and_taps(void)
{
    each_level(dw_level);
}

static void test_int8_conversions__halves_ends_and_no_numbers(void)
{
    each_level(conversions);
}

static void test_int8_add__rounded_once(void)
{
    each_level(additions);
}

static void test_int8_mul_max_sums__every_level(void)
{
    each_level(products_and_pools);
}

static const us_test_case cases[] = {
    US_CASE(test_int8_gemm__every_level_sizes_and_ends),
    US_CASE(test_int8_gemm__largest_products_do_not_saturate),
    US_CASE(test_int8_dw__every_level_channels_and_taps),
    US_CASE(test_int8_conversions__halves_ends_and_no_numbers),
    US_CASE(test_int8_add__rounded_once),
    US_CASE(test_int8_mul_max_sums__every_level),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
