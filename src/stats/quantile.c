/* stats/quantile.c - radix sort, quantiles of sorted arrays, the KLL sketch. */
#include "stats/quantile.h"

#include <math.h>
#include <string.h>

/* --- radix sort ------------------------------------------------------------------------------------- */

#define BITS   11
#define PASSES 6 /* 6 * 11 >= 64 */
#define TOP    3 /* the first of the upper half */
#define BINS   (1u << BITS)

/* Integers in the order of the doubles: negative numbers have all bits turned, others the sign bit. NaNs of either sign go
 * last. */
static uint64_t key_of(double x)
{
    uint64_t u;
    if (isnan(x)) return UINT64_MAX;
    memcpy(&u, &x, 8);
    return u ^ ((uint64_t)((int64_t)u >> 63) | 0x8000000000000000u);
}

static double of_key(uint64_t k)
{
    double x;
    if (k == UINT64_MAX) return (double)NAN;
    uint64_t u = k >> 63 ? k ^ 0x8000000000000000u : ~k;
    memcpy(&x, &u, 8);
    return x;
}

/* Counting passes over digits first..5 (11 bits each, least significant first) with *tmp as the other half; a pass whose digit is the
 * same everywhere is skipped. Returns whether the result lies in k. */
static bool radix(uint64_t *k, uint64_t *tmp, uint32_t *index, uint32_t *tmp_index, size_t n,
                  unsigned first)
{
    uint32_t h[PASSES][BINS];
    uint64_t *from = k, *to = tmp;
    uint32_t *fi = index, *ti = tmp_index;
    memset(h, 0, sizeof h);
    for (size_t i = 0; i < n; i++)
        for (unsigned p = first; p < PASSES; p++)
            h[p][k[i] >> (p * BITS) & (BINS - 1)]++;
    for (unsigned p = first; p < PASSES; p++) {
        uint32_t sum = 0, shift = p * BITS;
        if (h[p][from[0] >> shift & (BINS - 1)] == n) continue;
        for (size_t b = 0; b < BINS; b++) {
            uint32_t c = h[p][b];
            h[p][b] = sum;
            sum += c;
        }
        for (size_t i = 0; i < n; i++) {
            uint32_t at = h[p][from[i] >> shift & (BINS - 1)]++;
            to[at] = from[i];
            if (fi) ti[at] = fi[i];
        }
        uint64_t *t = from;
        from = to;
        to = t;
        uint32_t *t2 = fi;
        fi = ti;
        ti = t2;
    }
    return from == k;
}

/* Insertion sort of an array that is nearly in order; gives up after `budget` moves (it is still a permutation). Stable. */
static bool settle(uint64_t *k, uint32_t *index, size_t n, size_t budget)
{
    for (size_t i = 1; i < n; i++) {
        uint64_t v = k[i];
        if (k[i - 1] <= v) continue;
        uint32_t vi = index ? index[i] : 0;
        size_t j = i;
        for (; j > 0 && k[j - 1] > v; j--) {
            k[j] = k[j - 1];
            if (index) index[j] = index[j - 1];
        }
        k[j] = v;
        if (index) index[j] = vi;
        if (i - j > budget) return false;
        budget -= i - j;
    }
    return true;
}

/* Sorted keys end in k. The top three digits (sign, exponent, 21 bits of fraction) tell most values of most columns apart; what they
 * leave is a few neighbours to swap. Where it is more than that, all six digits are done. (One element may move n places before the
 * budget is noticed: that is one pass.) */
static void sort_keys(uint64_t *k, uint64_t *tmp, uint32_t *index, uint32_t *tmp_index,
                      size_t n)
{
    if (n < 64) {
        (void)settle(k, index, n, SIZE_MAX);
        return;
    }
    for (unsigned first = TOP;; first = 0) {
        if (!radix(k, tmp, index, tmp_index, n, first)) {
            memcpy(k, tmp, n * sizeof *k);
            if (index) memcpy(index, tmp_index, n * sizeof *index);
        }
        if (first == 0 || settle(k, index, n, 2 * n)) return;
    }
}

void us_sort_f64(double *x, double *tmp, size_t n)
{
    /* the same memory seen as keys; memcpy keeps the aliasing rules, the compiler makes moves of it */
    uint64_t *k = (uint64_t *)(void *)x, *t = (uint64_t *)(void *)tmp;
    if (n == 0) return;
    for (size_t i = 0; i < n; i++) {
        uint64_t v = key_of(x[i]);
        memcpy(&x[i], &v, 8);
    }
    sort_keys(k, t, NULL, NULL, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t v;
        memcpy(&v, &x[i], 8);
        x[i] = of_key(v);
    }
}

void us_sort_index_f64(const double *x, uint32_t *index, size_t n, uint64_t *key, uint64_t *tmp,
                       uint32_t *tmp_index)
{
    for (size_t i = 0; i < n; i++) {
        key[i] = key_of(x[i] + 0.0); /* -0 ties with 0 */
        index[i] = (uint32_t)i;
    }
    sort_keys(key, tmp, index, tmp_index, n);
}

double us_quantile_sorted(const double *x, size_t n, double q)
{
    if (n == 0 || isnan(q)) return (double)NAN;
    double at = q * (double)(n - 1);
    if (at <= 0) return x[0];
    if (at >= (double)(n - 1)) return x[n - 1];
    size_t i = (size_t)at;
    double f = at - (double)i;
    return f == 0 || x[i] == x[i + 1] ? x[i] : x[i] + f * (x[i + 1] - x[i]);
}

size_t us_distinct_sorted(const double *x, size_t n)
{
    size_t k = n > 0;
    for (size_t i = 1; i < n; i++)
        k += x[i] != x[i - 1];
    return k;
}

/* --- KLL -------------------------------------------------------------------------------------------- */

#define ROOM (US_KLL_K + 2)

void us_kll_init(us_kll *s, us_arena *arena)
{
    *s = (us_kll){.min = (double)INFINITY, .max = -(double)INFINITY, .arena = arena};
}

/* Items level l may hold: k (2/3)^(height above it), at least 8; the top level has the most. */
static uint32_t capacity(const us_kll *s, uint32_t l)
{
    double cap = US_KLL_K;
    for (uint32_t i = l + 1; i < s->n_levels && cap > 8; i++)
        cap = cap * 2 / 3;
    return cap < 8 ? 8 : (uint32_t)cap & ~1u;
}

static us_err room(us_ctx *c, us_kll *s, uint32_t l)
{
    if (l >= US_KLL_LEVELS) return us_fail(c, US_LIMIT, "quantile sketch is full");
    if (!s->item[l]) s->item[l] = us_new_n(s->arena, double, ROOM);
    if (!s->item[l]) return us_arena_fail(c, s->arena);
    if (l >= s->n_levels) s->n_levels = l + 1;
    return US_OK;
}

static us_err put(us_ctx *c, us_kll *s, uint32_t l, double x);

/* Sort a full level, send every second item up, starting with the first or the second in turn. */
static us_err compact(us_ctx *c, us_kll *s, uint32_t l)
{
    union {
        double d;
        uint64_t key; /* what the sort keeps there */
    } tmp[ROOM];
    double up[ROOM];
    uint32_t n = s->len[l] & ~1u, n_up = 0;
    us_sort_f64(s->item[l], &tmp[0].d, s->len[l]);
    uint32_t first = s->parity >> (l & 31) & 1;
    s->parity ^= 1u << (l & 31);
    for (uint32_t i = first; i < n; i += 2)
        up[n_up++] = s->item[l][i];
    if (s->len[l] & 1) s->item[l][0] = s->item[l][n];
    s->len[l] &= 1;
    for (uint32_t i = 0; i < n_up; i++)
        US_TRY(put(c, s, l + 1, up[i]));
    return US_OK;
}

static us_err put(us_ctx *c, us_kll *s, uint32_t l, double x)
{
    US_TRY(room(c, s, l));
    if (s->len[l] >= capacity(s, l)) US_TRY(compact(c, s, l));
    s->item[l][s->len[l]++] = x;
    return US_OK;
}

us_err us_kll_add(us_ctx *c, us_kll *s, double x)
{
    if (isnan(x)) return US_OK;
    s->n++;
    if (x < s->min) s->min = x;
    if (x > s->max) s->max = x;
    return put(c, s, 0, x);
}

us_err us_kll_merge(us_ctx *c, us_kll *s, const us_kll *o)
{
    s->n += o->n;
    if (o->min < s->min) s->min = o->min;
    if (o->max > s->max) s->max = o->max;
    for (uint32_t l = 0; l < o->n_levels; l++)
        for (uint32_t i = 0; i < o->len[l]; i++)
            US_TRY(put(c, s, l, o->item[l][i]));
    return US_OK;
}

us_err us_kll_quantiles(us_ctx *c, const us_kll *s, size_t n_q, const double *qs, double *out)
{
    enum { MAX = US_KLL_LEVELS * ROOM };
    if (s->n == 0) return us_fail(c, US_NO, "quantiles of nothing");
    us_arena *a = NULL;
    US_TRY(us_arena_new(c, "quantiles", (size_t)8 << 20, &a));
    double *x = us_new_n(a, double, MAX);
    uint64_t *key = us_new_n(a, uint64_t, MAX), *tmp = us_new_n(a, uint64_t, MAX);
    uint32_t *ix = us_new_n(a, uint32_t, MAX), *tix = us_new_n(a, uint32_t, MAX);
    uint8_t *level = us_new_n(a, uint8_t, MAX);
    if (!x || !key || !tmp || !ix || !tix || !level) {
        us_err e = us_arena_fail(c, a);
        us_arena_free(a);
        return e;
    }
    size_t n = 0, at = 0;
    double total = 0, seen = 0;
    for (uint32_t l = 0; l < s->n_levels; l++)
        for (uint32_t i = 0; i < s->len[l]; i++, n++) {
            x[n] = s->item[l][i];
            level[n] = (uint8_t)l;
            total += ldexp(1, (int)l);
        }
    us_sort_index_f64(x, ix, n, key, tmp, tix);
    for (size_t j = 0; j < n_q; j++) {
        double want = qs[j] * total;
        while (at < n && seen + ldexp(1, level[ix[at]]) <= want)
            seen += ldexp(1, level[ix[at++]]);
        out[j] = qs[j] <= 0 ? s->min : qs[j] >= 1 || at == n ? s->max : x[ix[at]];
    }
    us_arena_free(a);
    return US_OK;
}
