/* ir/attend.c - attention in blocks of queries. See attend.h.
 *
 * Keys are packed once per item, as the panels that products by packed weights read; values are read where they lie, unless by columns. The
 * softmax leaves its division to the rows of the result, which are shorter than those of the scores. A single query needs no panels:
 * its scores are dot products.
 */
#include "ir/attend.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "kernel/gemm.h"
#include "kernel/map.h"
#include "kernel/rows.h"

enum {
    BLOCK_FLOATS = 4096, /* scores of a block: half of the first-level cache */
    MOST_PARTS = 16,
    PAD = 16 /* floats, so that rows do not fall on the same sets */
};
#define PART_PRODUCTS 1e6 /* worth a thread */

static size_t up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

/* Floats from one row of scores to the next. */
static size_t score_row(const us_attend *a)
{
    size_t n = up(a->keys, 16);
    return n % 512 ? n : n + PAD;
}

double us_attend_work(const us_attend *a)
{
    double items = 1;
    for (int i = 0; i < a->n_outer; i++)
        items *= (double)a->outer[i];
    return items * (double)a->len * (double)a->keys * ((double)a->d + (double)a->dv);
}

/* --- cutting ----------------------------------------------------------------------------------------- */

static bool is_matrix(const us_attend *a, us_attend_side s)
{
    return a->at[s].row == 1 || a->at[s].col == 1;
}

static bool set_packing(us_attend *a)
{
    const us_gemm_kernels *g = a->kernels->gemm;
    a->one = a->len == 1 && g->layout.thin >= 1 && a->at[US_ATTEND_K].col == 1;
    a->pack_v = a->at[US_ATTEND_V].col != 1;
    a->k_bytes = a->v_bytes = 0;
    if (!us_gemm_pack_bytes(&g->layout, a->one ? 1 : a->keys, a->d, &a->k_bytes)) return false;
    if (a->pack_v && !us_gemm_pack_bytes(&g->layout, a->dv, a->keys, &a->v_bytes)) return false;
    a->k_bytes = up(a->k_bytes, 64);
    a->v_bytes = up(a->v_bytes, 64);
    return true;
}

/* Scratch of a part: packed keys, packed values, a block of scores, what goes with its rows, queries, the products' own. */
static bool set_scratch(us_attend *a, size_t *bytes)
{
    const us_gemm_kernels *g = a->kernels->gemm;
    size_t scores, row = sizeof(float) + 2 * sizeof(size_t);
    if (!us_mul_size(a->rows, score_row(a), &scores) ||
        !us_mul_size(scores, sizeof(float), &scores) || a->d > SIZE_MAX / 2)
        return false;
    if (a->at[US_ATTEND_Q].col != 1) row += a->d * sizeof(float);
    a->s_bytes = up(scores, 64);
    if (!us_mul_size(a->rows, row, &a->row_bytes)) return false;
    a->row_bytes = up(a->row_bytes, 64);
    size_t work = g->scratch(a->rows, a->keys, a->d),
           more = a->pack_v ? g->scratch(a->rows, a->dv, a->keys)
                            : a->kernels->f32_gemm_scratch(a->rows, a->dv, a->keys);
    if (a->one) work = g->scratch(a->keys, 1, a->d);
    a->each = a->k_bytes + a->v_bytes + a->s_bytes + a->row_bytes + up(US_MAX(work, more), 64);
    return us_mul_size(a->each, a->parts, bytes);
}

bool us_attend_settle(us_attend *a, const us_kernels *k, size_t *scratch)
{
    a->kernels = k;
    size_t mr = k->gemm->mr;
    if (!is_matrix(a, US_ATTEND_Q) || !is_matrix(a, US_ATTEND_K) || !is_matrix(a, US_ATTEND_V))
        return false;
    a->items = 1;
    for (int i = 0; i < a->n_outer; i++)
        if (!us_mul_size(a->items, a->outer[i], &a->items)) return false;
    if (a->items == 0 || a->len == 0 || a->keys == 0 || a->dv == 0 || a->keys > SIZE_MAX / 64)
        return false;
    size_t fit = US_MAX(BLOCK_FLOATS / score_row(a) / mr, (size_t)1) * mr;
    a->blocks = (a->len + fit - 1) / fit;
    a->rows = (a->len + a->blocks - 1) / a->blocks;
    a->blocks = (a->len + a->rows - 1) / a->rows;
    size_t all;
    if (!us_mul_size(a->items, a->blocks, &all)) return false;
    double worth = us_attend_work(a) / PART_PRODUCTS;
    a->parts = worth < 2 ? 1 : (size_t)US_MIN(worth, (double)US_MIN(all, (size_t)MOST_PARTS));
    a->per_part = (all + a->parts - 1) / a->parts;
    a->parts = (all + a->per_part - 1) / a->per_part;
    return set_packing(a) && set_scratch(a, scratch);
}

/* --- one item ---------------------------------------------------------------------------------------- */

typedef struct item {
    const us_attend *a;
    const float *p[US_ATTEND_Y];
    float *y, *shown;
    const int64_t *end;
    size_t keys; /* that any query sees */
    char *scratch;
    float *k, *v, *s, *inverse, *q; /* in scratch */
    size_t *begins, *ends;
    void *work;
} item;

static void place(item *t)
{
    const us_attend *a = t->a;
    char *at = t->scratch;
    t->k = (float *)(void *)at;
    at += a->k_bytes;
    t->v = (float *)(void *)at;
    at += a->v_bytes;
    t->s = (float *)(void *)at;
    at += a->s_bytes;
    t->begins = (size_t *)(void *)at;
    t->ends = t->begins + a->rows;
    t->inverse = (float *)(void *)(t->ends + a->rows);
    t->q = t->inverse + a->rows;
    t->work = at + a->row_bytes;
}

/* Where item i begins on each side. */
static void find_item(item *t, const us_attend_data *x, size_t i)
{
    const us_attend *a = t->a;
    size_t at[US_ATTEND_SIDES] = {0}, batch = 0, rest = i;
    for (int d = a->n_outer - 1; d >= 0; d--) {
        size_t n = rest % a->outer[d];
        rest /= a->outer[d];
        for (int s = 0; s < US_ATTEND_SIDES; s++)
            at[s] += n * a->at[s].outer[d];
        if (d == 0) batch = n;
    }
    for (int s = 0; s < US_ATTEND_Y; s++)
        t->p[s] = x->p[s] ? x->p[s] + at[s] : NULL;
    t->y = x->y + at[US_ATTEND_Y];
    t->shown = a->shows ? x->shown + i * a->len * a->keys : NULL;
    t->end = a->ends ? x->end + batch * a->len : NULL;
    t->keys = a->causal ? US_MIN(a->keys, a->past + a->len) : a->keys;
    if (!a->ends) return;
    t->keys = 0;
    for (size_t l = 0; l < a->len; l++)
        t->keys = US_MAX(t->keys, (size_t)US_MAX(t->end[l], (int64_t)0));
    t->keys = US_MIN(t->keys, a->keys);
}

static void pack(const item *t, us_attend_side s, size_t n, size_t k, bool trans, float *to)
{
    const us_attend_lies *l = &t->a->at[s];
    t->a->kernels->gemm->pack(&(us_gemm_weights){.n = n,
                                                 .k = k,
                                                 .b = t->p[s],
                                                 .ldb = l->col == 1 ? l->row : l->col,
                                                 .trans = trans,
                                                 .scale = 1},
                              to);
}

static void open_item(item *t, const us_attend_data *x, size_t i)
{
    const us_attend *a = t->a;
    find_item(t, x, i);
    if (t->keys == 0) return;
    if (!a->one) pack(t, US_ATTEND_K, t->keys, a->d, a->at[US_ATTEND_K].col == 1, t->k);
    if (a->pack_v) pack(t, US_ATTEND_V, a->dv, t->keys, true, t->v);
}

/* The queries of a block as rows. */
static const float *queries(const item *t, size_t i0, size_t rows, size_t *ld)
{
    const us_attend *a = t->a;
    const us_attend_lies *l = &a->at[US_ATTEND_Q];
    const float *from = t->p[US_ATTEND_Q] + i0 * l->row;
    *ld = l->row;
    if (l->col == 1) return from;
    *ld = a->d;
    for (size_t i = 0; i < rows; i++)
        for (size_t e = 0; e < a->d; e++)
            t->q[i * a->d + e] = from[i * l->row + e * l->col];
    return t->q;
}

static void multiply_keys(const item *t, size_t i0, size_t rows)
{
    const us_attend *a = t->a;
    const us_gemm_kernels *kernels = a->kernels->gemm;
    us_pgemm_args g = {.m = rows,
                       .n = t->keys,
                       .k = a->d,
                       .j1 = t->keys,
                       .w = t->k,
                       .lo = -INFINITY,
                       .hi = INFINITY,
                       .c = t->s,
                       .ldc = score_row(a),
                       .scratch = t->work};
    g.a = queries(t, i0, rows, &g.lda);
    if (a->one) { /* the query is the weights, the keys are the rows */
        kernels->pack(
            &(us_gemm_weights){
                .n = 1, .k = a->d, .b = g.a, .ldb = a->d, .trans = true, .scale = 1},
            t->k);
        g.m = t->keys;
        g.n = g.j1 = g.ldc = 1;
        g.a = t->p[US_ATTEND_K];
        g.lda = a->at[US_ATTEND_K].row;
    }
    kernels->run(&g);
}

static void cap(const item *t, size_t rows)
{
    const us_attend *a = t->a;
    const us_ew_kernels *m = a->kernels->map;
    float by[US_EW_SPLAT], back[US_EW_SPLAT], *s = t->s;
    for (int i = 0; i < US_EW_SPLAT; i++) {
        by[i] = a->scale / a->softcap;
        back[i] = a->softcap;
    }
    for (size_t i = 0; i < rows; i++, s += score_row(a)) {
        m->codes[US_EW_MUL](t->keys, s, s, m->width, by, 0, by, 0);
        m->codes[US_EW_TANH](t->keys, s, s, m->width, s, 0, s, 0);
        m->codes[US_EW_MUL](t->keys, s, s, m->width, back, 0, back, 0);
    }
}

/* Which keys each query of the block sees; false: all. */
static bool set_sight(const item *t, size_t i0, size_t rows)
{
    const us_attend *a = t->a;
    if (!a->causal && !a->ends && a->window == 0) return false;
    for (size_t i = 0; i < rows; i++) {
        size_t end = t->keys;
        if (a->causal) end = US_MIN(end, a->past + i0 + i + 1);
        if (t->end) end = US_MIN(end, (size_t)US_MAX(t->end[i0 + i], (int64_t)0));
        t->ends[i] = end;
        t->begins[i] = a->window && end > a->window ? end - a->window : 0;
    }
    return true;
}

/* The sums as the softmax gets them, for those who want to see them; then nothing is left to add. */
static void show_sums(const item *t, size_t i0, us_scores_args *s)
{
    const us_attend *a = t->a;
    for (size_t i = 0; i < s->rows; i++) {
        float *row = s->s + i * s->ld, *to = t->shown + (i0 + i) * a->keys;
        for (size_t j = s->begin ? s->begin[i] : 0; j < (s->end ? s->end[i] : s->n); j++) {
            row[j] *= s->scale;
            for (int n = 0; n < 2 && s->add[n]; n++)
                row[j] += s->add[n][i * s->add_row[n] + j];
            to[j] = row[j];
        }
    }
    s->add[0] = s->add[1] = NULL;
    s->scale = 1;
}

static void weigh(const item *t, size_t i0, size_t rows)
{
    const us_attend *a = t->a;
    bool part = set_sight(t, i0, rows);
    us_scores_args s = {.rows = rows,
                        .n = t->keys,
                        .ld = score_row(a),
                        .s = t->s,
                        .scale = a->softcap > 0 ? 1 : a->scale,
                        .begin = part ? t->begins : NULL,
                        .end = part ? t->ends : NULL,
                        .sink = a->sink ? t->p[US_ATTEND_SINK] : NULL,
                        .zeros = a->zeros,
                        .inverse = t->inverse};
    if (a->softcap > 0) cap(t, rows);
    for (int n = 0; n < 2; n++) {
        us_attend_side side = n ? US_ATTEND_ADD2 : US_ATTEND_ADD;
        if (!(n ? a->add2 : a->add)) continue;
        s.add_row[n] = a->at[side].row;
        s.add[n] = t->p[side] + i0 * a->at[side].row;
    }
    if (t->shown && !a->shows_weights) show_sums(t, i0, &s);
    a->kernels->rows->scores(&s);
    for (size_t i = 0; t->shown && a->shows_weights && i < rows; i++)
        for (size_t j = 0; j < t->keys; j++)
            t->shown[(i0 + i) * a->keys + j] = t->s[i * s.ld + j] * t->inverse[i];
}

static void multiply_values(const item *t, float *y, size_t rows)
{
    const us_attend *a = t->a;
    size_t ldy = a->at[US_ATTEND_Y].row;
    if (a->pack_v) {
        a->kernels->gemm->run(&(us_pgemm_args){.m = rows,
                                               .n = a->dv,
                                               .k = t->keys,
                                               .j1 = a->dv,
                                               .a = t->s,
                                               .lda = score_row(a),
                                               .w = t->v,
                                               .lo = -INFINITY,
                                               .hi = INFINITY,
                                               .c = y,
                                               .ldc = ldy,
                                               .scratch = t->work});
        return;
    }
    a->kernels->f32_gemm(&(us_gemm_args){.m = rows,
                                         .n = a->dv,
                                         .k = t->keys,
                                         .alpha = 1,
                                         .a = t->s,
                                         .lda = score_row(a),
                                         .b = t->p[US_ATTEND_V],
                                         .ldb = a->at[US_ATTEND_V].row,
                                         .c = y,
                                         .ldc = ldy,
                                         .scratch = t->work});
}

static void run_block(const item *t, size_t i0, size_t rows)
{
    const us_attend *a = t->a;
    float *y = t->y + i0 * a->at[US_ATTEND_Y].row;
    if (t->keys == 0) {
        for (size_t i = 0; i < rows; i++)
            memset(y + i * a->at[US_ATTEND_Y].row, 0, a->dv * sizeof *y);
        return;
    }
    multiply_keys(t, i0, rows);
    weigh(t, i0, rows);
    multiply_values(t, y, rows);
    a->kernels->rows->scale(rows, a->dv, y, a->at[US_ATTEND_Y].row, t->inverse);
}

/* --- all --------------------------------------------------------------------------------------------- */

typedef struct job {
    const us_attend *a;
    const us_attend_data *x;
    char *scratch;
} job;

static void run_parts(void *arg, size_t p0, size_t p1)
{
    const job *j = arg;
    const us_attend *a = j->a;
    size_t all = a->items * a->blocks;
    for (size_t p = p0; p < p1; p++) {
        item t = {.a = a, .scratch = j->scratch + p * a->each};
        place(&t);
        for (size_t u = p * a->per_part; u < US_MIN(all, (p + 1) * a->per_part); u++) {
            size_t i0 = u % a->blocks * a->rows;
            if (i0 == 0 || u == p * a->per_part) open_item(&t, j->x, u / a->blocks);
            run_block(&t, i0, US_MIN(a->rows, a->len - i0));
        }
    }
}

void us_attend_run(const us_attend *a, us_pool *pool, const us_attend_data *x, void *scratch)
{
    job j = {a, x, scratch};
    us_pool_run(pool, a->parts, 1, run_parts, &j);
}
