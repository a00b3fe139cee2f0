/* ir/op_ms_attend.c - see op_ms_attend.h. */
#include "ir/op_ms_attend.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/ctx.h"
#include "ir/attend.h"

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

/* Axes of the items: sequence, heads of keys, heads of queries that share one. */
static us_attend_lies lie(const us_ms_heads *x, int64_t group, bool shared)
{
    return (us_attend_lies){.outer = {(size_t)x->sn, (size_t)(shared ? x->sh : x->sh * group),
                                      shared ? 0 : (size_t)x->sh},
                            .row = (size_t)x->sl,
                            .col = 1};
}

static us_attend_lies lie_by(int64_t n, int64_t h, int64_t row, int64_t group)
{
    return (us_attend_lies){
        .outer = {(size_t)n, (size_t)(h * group), (size_t)h}, .row = (size_t)row, .col = 1};
}

static void describe(const us_ms_attend *a, us_attend *o, us_attend_data *x)
{
    int64_t group = a->q.h / a->k.h, row = a->q.h * a->v.d;
    *o = (us_attend){.n_outer = 3,
                     .outer = {(size_t)a->q.n, (size_t)a->k.h, (size_t)group},
                     .len = (size_t)a->q.len,
                     .keys = (size_t)a->k.len,
                     .d = (size_t)a->q.d,
                     .dv = (size_t)a->v.d,
                     .scale = (float)a->scale,
                     .softcap = (float)a->softcap,
                     .ends = a->end != NULL,
                     .window = (size_t)US_MAX(a->window, (int64_t)0),
                     .sink = a->sink != NULL,
                     .shows = a->scores != NULL,
                     .shows_weights = a->after_softmax};
    if (a->scale == 0) o->scale = (float)(1 / sqrt((double)US_MAX(a->q.d, (int64_t)1)));
    *x = (us_attend_data){.y = a->y, .end = a->end, .shown = a->scores};
    o->at[US_ATTEND_Q] = lie(&a->q, group, false);
    o->at[US_ATTEND_K] = lie(&a->k, group, true);
    o->at[US_ATTEND_V] = lie(&a->v, group, true);
    o->at[US_ATTEND_Y] = lie_by(a->q.len * row, a->v.d, row, group);
    o->at[US_ATTEND_SINK] = lie_by(0, 1, 0, group);
    x->p[US_ATTEND_Q] = a->q.p;
    x->p[US_ATTEND_K] = a->k.p;
    x->p[US_ATTEND_V] = a->v.p;
    x->p[US_ATTEND_SINK] = a->sink;
    us_attend_side free_side = US_ATTEND_ADD;
    if (a->mask) {
        o->add = true;
        o->at[free_side] = lie_by(a->mask_n, 0, a->mask_l, group);
        x->p[free_side] = a->mask;
        free_side = US_ATTEND_ADD2;
    }
    if (a->bias) {
        o->add2 = o->add;
        o->add = true;
        o->at[free_side] = lie_by(a->bias_n, a->bias_h, a->bias_l, group);
        x->p[free_side] = a->bias;
    }
}

us_err us_ms_attend_run(us_eval *k, const us_ms_attend *a)
{
    us_attend o;
    us_attend_data x;
    size_t bytes;
    void *room;
    if (a->q.h < 1 || a->k.h < 1 || a->q.h % a->k.h)
        return us_eval_fail(k, US_SHAPE, "%lld query heads cannot share %lld key heads",
                            (long long)a->q.h, (long long)a->k.h);
    size_t all = (size_t)(a->q.n * a->q.len * a->q.h * a->v.d);
    if (all == 0) return US_OK;
    if (a->k.len == 0) { /* a sum of nothing */
        memset(a->y, 0, all * sizeof *a->y);
        return US_OK;
    }
    describe(a, &o, &x);
    US_TRY(us_eval_work(k, us_attend_work(&o)));
    if (!us_attend_settle(&o, us_kernels_get(k->c), &bytes))
        return us_eval_fail(k, US_LIMIT, "too large");
    US_TRY(us_eval_scratch(k, bytes, &room));
    us_attend_run(&o, k->c->pool, &x, room);
    return US_OK;
}
