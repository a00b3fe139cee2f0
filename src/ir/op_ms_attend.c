/* ir/op_ms_attend.c - see op_ms_attend.h. */
#include "ir/op_ms_attend.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/pool.h"

enum { PARTS = 8 };

us_ms_heads us_ms_heads_packed(const float *p, int64_t n, int64_t len, int64_t h, int64_t d)
{
    return (us_ms_heads){p, n, h, len, d, len * h * d, d, h * d};
}

us_ms_heads us_ms_heads_apart(const float *p, int64_t n, int64_t h, int64_t len, int64_t d)
{
    return (us_ms_heads){p, n, h, len, d, h * len * d, len * d, d};
}

/* --- inputs ---------------------------------------------------------------------------------------- */

us_err us_ms_floats(us_eval *k, size_t i, int rank, us_tensor *out, bool *there)
{
    const us_tensor *t = us_eval_opt(k, i);
    if (there) *there = t != NULL;
    if (!t) return there ? US_OK : us_eval_fail(k, US_ARG, "input %zu is missing", i);
    if (t->dtype != US_F32) return us_eval_no_type(k, t->dtype);
    if (rank >= 0 && t->rank != rank)
        return us_eval_fail(k, US_SHAPE, "input %zu has rank %d, expected %d", i, (int)t->rank,
                            rank);
    return us_eval_in_dense(k, i, out);
}

us_err us_ms_room(us_eval *k, int rank, const int64_t *dims, float **out)
{
    us_tensor t;
    US_TRY(us_tensor_init(k->c, &t, US_F32, rank, dims, NULL));
    US_TRY(us_eval_scratch(k, us_tensor_bytes(&t) + sizeof **out, &t.data));
    *out = t.data;
    return US_OK;
}

/* --- masks ----------------------------------------------------------------------------------------- */

/* One sequence of the mask: m[len,keys] from what the operator got. */
typedef struct mask_form {
    const int64_t *v;
    const us_tensor *t;
} mask_form;

static void mask_lengths(const us_ms_masking *o, const mask_form *f, int64_t b, float *m)
{
    bool starts = f->t->dims[0] ==
                  2 * o->n; /* 3n + 2 has offsets behind the lengths, that say nothing new */
    int64_t end = US_MAX(f->v[b], 0), start = starts ? US_MIN(f->v[b + o->n], o->keys) : 0;
    for (int64_t l = 0; l < o->len; l++)
        for (int64_t j = 0; j < o->keys; j++)
            m[l * o->keys + j] = j >= end || j < start ? o->filter : 0;
}

static void mask_values(const us_ms_masking *o, const mask_form *f, int64_t b, float *m)
{
    const int64_t *v = f->v, *d = f->t->dims;
    int64_t row = 0;
    if (f->t->rank == 2) v += b * o->keys;
    if (f->t->rank == 3) {
        v += b * o->len * o->keys;
        row = o->keys;
    }
    if (f->t->rank == 4) { /* of the longest sequence there may be */
        v += (b * d[2] + o->past) * d[3];
        row = d[3];
    }
    for (int64_t l = 0; l < o->len; l++)
        for (int64_t j = 0; j < o->keys; j++)
            m[l * o->keys + j] = v[l * row + j] > 0 ? 0 : o->filter;
}

static us_err mask_check(us_eval *k, const us_ms_masking *o, const us_tensor *t)
{
    const int64_t *d = t->dims;
    bool fits = false;
    char found[160];
    if (t->rank == 1) fits = d[0] == o->n || d[0] == 2 * o->n || d[0] == 3 * o->n + 2;
    if (t->rank == 2) fits = d[0] == o->n && d[1] == o->keys;
    if (t->rank == 3) fits = d[0] == o->n && d[1] == o->len && d[2] == o->keys;
    if (t->rank == 4)
        fits = d[0] == o->n && d[1] == 1 && d[2] == d[3] && d[2] >= o->past + o->len &&
               d[3] >= o->keys;
    if (fits) return US_OK;
    return us_eval_fail(k, US_SHAPE,
                        "a mask %s for %lld sequences of %lld queries and %lld keys",
                        us_dims_print(t->rank, d, found, sizeof found), (long long)o->n,
                        (long long)o->len, (long long)o->keys);
}

us_err us_ms_mask(us_eval *k, const us_ms_masking *o, us_ms_attend *a)
{
    const us_tensor *t = us_eval_opt(k, o->input);
    const int64_t dims[] = {o->n, o->len, o->keys};
    mask_form f = {NULL, t};
    size_t n;
    float *m;
    /* [n,1] or [1,1] is the same for every key: no mask at all */
    if (t && t->rank == 2 && t->dims[1] == 1 && (t->dims[0] == o->n || t->dims[0] == 1) &&
        o->keys != 1)
        t = NULL;
    if (!t && (!o->causal || o->len < 2)) return US_OK;
    if (t) US_TRY(mask_check(k, o, t));
    US_TRY(us_ms_room(k, 3, dims, &m));
    if (t) US_TRY(us_eval_ints(k, o->input, &n, &f.v));
    for (int64_t b = 0; b < o->n; b++) {
        float *to = m + b * o->len * o->keys;
        if (!t)
            memset(to, 0, (size_t)(o->len * o->keys) * sizeof *to);
        else if (t->rank == 1)
            mask_lengths(o, &f, b, to);
        else
            mask_values(o, &f, b, to);
        for (int64_t l = 0; l < o->len && o->causal; l++)
            for (int64_t j = o->past + l + 1; j < o->keys; j++)
                to[l * o->keys + j] = -FLT_MAX;
    }
    a->mask = m;
    a->mask_n = o->len * o->keys;
    a->mask_l = o->keys;
    return US_OK;
}

us_err us_ms_bias(us_eval *k, size_t i, const us_ms_attend *shape, us_ms_attend *a)
{
    us_tensor t;
    bool there;
    US_TRY(us_ms_floats(k, i, 4, &t, &there));
    if (!there) return US_OK;
    const int64_t want[] = {t.dims[0] == 1 ? 1 : shape->q.n, t.dims[1] == 1 ? 1 : shape->q.h,
                            shape->q.len, shape->k.len};
    US_TRY(us_eval_want_dims(k, i, &t, 4, want));
    a->bias = t.data;
    a->bias_l = t.dims[3];
    a->bias_h = t.dims[1] == 1 ? 0 : t.dims[2] * t.dims[3];
    a->bias_n = t.dims[0] == 1 ? 0 : t.dims[1] * t.dims[2] * t.dims[3];
    return US_OK;
}

/* --- the cache --------------------------------------------------------------------------------------- */

void us_ms_join(float *to, int64_t len, const float *old, int64_t old_len, int64_t past,
                const us_ms_heads *now)
{
    int64_t d = now->d, left = (len - past - now->len) * d;
    for (int64_t r = 0; r < now->n * now->h && d; r++) {
        if (past) memcpy(to, old + r * old_len * d, (size_t)(past * d) * sizeof *to);
        to += past * d;
        for (int64_t l = 0; l < now->len; l++, to += d)
            memcpy(to, us_ms_row(now, r / now->h, r % now->h, l), (size_t)d * sizeof *to);
        memset(to, 0, (size_t)left * sizeof *to);
        to += left;
    }
}

/* --- softmax(Q K') V --------------------------------------------------------------------------------- */

typedef struct job {
    const us_ms_attend *a;
    us_f32_gemm_fn *gemm;
    double scale;
    char *scratch; /* per part */
    size_t scratch_bytes;
    float *scores; /* per part: len x keys */
    size_t grain;
} job;

static void softmax(float *s, int64_t n, const float *sink)
{
    float top = sink ? *sink : -INFINITY;
    double sum;
    for (int64_t i = 0; i < n; i++)
        if (s[i] > top || isnan(s[i])) top = s[i];
    sum = sink ? (double)expf(*sink - top) : 0;
    for (int64_t i = 0; i < n; i++) {
        s[i] = expf(s[i] - top);
        sum += (double)s[i];
    }
    float by = (float)(1 / sum);
    for (int64_t i = 0; i < n; i++)
        s[i] *= by;
}

/* The scores of one query become its probabilities. */
static void one_query(const us_ms_attend *a, int64_t b, int64_t h, int64_t l, float *s)
{
    int64_t keys = a->k.len, hi = a->end ? a->end[b * a->q.len + l] : keys,
            lo = a->window > 0 ? US_MAX(hi - a->window, 0) : 0;
    const float *mask = a->mask ? a->mask + b * a->mask_n + l * a->mask_l : NULL,
                *bias =
                    a->bias ? a->bias + b * a->bias_n + h * a->bias_h + l * a->bias_l : NULL;
    float *shown = a->scores ? a->scores + ((b * a->q.h + h) * a->q.len + l) * keys : NULL;
    for (int64_t j = lo; j < hi; j++) {
        double v = (double)s[j];
        if (a->softcap > 0) v = a->softcap * tanh(v / a->softcap);
        float add = (mask ? mask[j] : 0) + (bias ? bias[j] : 0);
        s[j] = (float)v + add;
    }
    if (shown && !a->after_softmax) memcpy(shown + lo, s + lo, (size_t)(hi - lo) * sizeof *s);
    softmax(s + lo, hi - lo, a->sink ? a->sink + h : NULL);
    memset(s, 0, (size_t)lo * sizeof *s);
    memset(s + hi, 0, (size_t)(keys - hi) * sizeof *s);
    if (shown && a->after_softmax) memcpy(shown, s, (size_t)keys * sizeof *s);
}

/* Keys beyond the last one in sight of a sequence may hold anything: they take no part in the products. */
static int64_t keys_of(const us_ms_attend *a, int64_t b)
{
    int64_t n = 0;
    if (!a->end) return a->k.len;
    for (int64_t l = 0; l < a->q.len; l++)
        n = US_MAX(n, a->end[b * a->q.len + l]);
    return n;
}

static void one_head(const job *o, int64_t b, int64_t h, float *s, void *scratch)
{
    const us_ms_attend *a = o->a;
    int64_t keys = keys_of(a, b), shared = h / (a->q.h / a->k.h);
    float *y = a->y + (b * a->q.len * a->q.h + h) * a->v.d;
    us_gemm_args g = {.trans_b = true,
                      .m = (size_t)a->q.len,
                      .n = (size_t)keys,
                      .k = (size_t)a->q.d,
                      .alpha = (float)o->scale,
                      .a = us_ms_row(&a->q, b, h, 0),
                      .lda = (size_t)a->q.sl,
                      .b = us_ms_row(&a->k, b, shared, 0),
                      .ldb = (size_t)a->k.sl,
                      .c = s,
                      .ldc = (size_t)a->k.len,
                      .scratch = scratch};
    if (keys) o->gemm(&g);
    for (int64_t l = 0; l < a->q.len; l++)
        one_query(a, b, h, l, s + l * a->k.len);
    g = (us_gemm_args){.m = (size_t)a->q.len,
                       .n = (size_t)a->v.d,
                       .k = (size_t)keys,
                       .alpha = 1,
                       .a = s,
                       .lda = (size_t)a->k.len,
                       .b = us_ms_row(&a->v, b, shared, 0),
                       .ldb = (size_t)a->v.sl,
                       .c = y,
                       .ldc = (size_t)(a->q.h * a->v.d),
                       .scratch = scratch};
    if (a->v.d) o->gemm(&g);
}

static void heads(void *arg, size_t i0, size_t i1)
{
    const job *o = arg;
    size_t part = i0 / o->grain;
    float *s = o->scores + part * (size_t)(o->a->q.len * o->a->k.len);
    for (size_t i = i0; i < i1; i++)
        one_head(o, (int64_t)i / o->a->q.h, (int64_t)i % o->a->q.h, s,
                 o->scratch + part * o->scratch_bytes);
}

us_err us_ms_attend_run(us_eval *k, const us_ms_attend *a)
{
    const us_kernels *table = us_kernels_get(k->c);
    size_t n = (size_t)(a->q.n * a->q.h), m = (size_t)a->q.len, keys = (size_t)a->k.len, bytes;
    job o = {.a = a, .gemm = table->f32_gemm, .scale = a->scale};
    void *room;
    if (a->q.h < 1 || a->k.h < 1 || a->q.h % a->k.h)
        return us_eval_fail(k, US_SHAPE, "%lld query heads cannot share %lld key heads",
                            (long long)a->q.h, (long long)a->k.h);
    if (!n || !m) return US_OK;
    if (o.scale == 0) o.scale = 1 / sqrt((double)US_MAX(a->q.d, 1));
    US_TRY(us_eval_work(k, (double)n * (double)m * (double)keys * (double)(a->q.d + a->v.d)));
    o.grain = (n + PARTS - 1) / PARTS;
    size_t parts = (n + o.grain - 1) / o.grain;
    o.scratch_bytes = US_MAX(table->f32_gemm_scratch(m, keys, (size_t)a->q.d),
                             table->f32_gemm_scratch(m, (size_t)a->v.d, keys));
    o.scratch_bytes = (o.scratch_bytes + 63) & ~(size_t)63;
    if (!us_mul_size(o.scratch_bytes, parts, &bytes))
        return us_eval_fail(k, US_LIMIT, "too large");
    US_TRY(us_eval_scratch(k, bytes + 1, &room));
    o.scratch = room;
    US_TRY(us_ms_room(k, 3, (const int64_t[]){(int64_t)parts, (int64_t)m, (int64_t)keys},
                      &o.scores));
    us_pool_run(k->c->pool, n, o.grain, heads, &o);
    return US_OK;
}
