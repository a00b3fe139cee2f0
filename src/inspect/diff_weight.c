/* inspect/diff_weight.c - constants: hashed, and compared number by number.
 *
 * Numbers go through double in blocks, so nothing is copied whole. A constant that is dequantised is compared as what its
 * DequantizeLinear makes of it: y = (x - zero) * scale, one scale for all, one per slice of an axis, or one per block of it.
 */
#include <math.h>
#include <string.h>

#include "base/ctx.h"
#include "inspect/diff_in.h"

#define BLOCK 512 /* numbers converted at a time */

static bool readable(const us_tensor *t)
{
    return (t->data || us_tensor_count(t) == 0) && us_tensor_contiguous(t);
}

uint64_t us_dtensor_hash(const us_tensor *t, bool contents)
{
    uint64_t h = us_dmix(7, (uint64_t)t->dtype);
    h = us_dmix(h, us_hash64(t->dims, (size_t)t->rank * sizeof *t->dims, 8));
    if (!contents || !readable(t)) return h;
    if (t->dtype != US_STRING) return us_dmix(h, us_hash64(t->data, us_tensor_bytes(t), 9));
    for (int64_t i = 0; i < us_tensor_count(t); i++) {
        us_sv s = us_tensor_str_at(t, i);
        h = us_dmix(h, us_hash64(s.n ? s.p : "", s.n, 10));
    }
    return h;
}

bool us_dtensor_equal(const us_tensor *a, const us_tensor *b)
{
    if (a->dtype != b->dtype || !us_tensor_same_dims(a, b)) return false;
    if (!readable(a) || !readable(b)) return a->data == b->data;
    int64_t n = us_tensor_count(a);
    if (a->dtype != US_STRING)
        return n == 0 || memcmp(a->data, b->data, us_tensor_bytes(a)) == 0;
    for (int64_t i = 0; i < n; i++)
        if (!us_sv_eq(us_tensor_str_at(a, i), us_tensor_str_at(b, i))) return false;
    return true;
}

/* "float[64,3]"; of few elements also what they are. */
void us_dtensor_type(const us_tensor *t, us_buf *b)
{
    char dims[160], z[32];
    int64_t n = us_tensor_count(t);
    const us_dtype_info *d = us_dtype_get(t->dtype);
    us_buf_addf(b, "%s%s", d->name, us_dims_print(t->rank, t->dims, dims, sizeof dims));
    if (n > 4 || n == 0 || !readable(t) || (!d->to_f64 && t->dtype != US_STRING)) return;
    us_buf_adds(b, " {");
    for (int64_t i = 0; i < n; i++) {
        us_sv s = t->dtype == US_STRING ? us_tensor_str_at(t, i) : (us_sv){0};
        if (i) us_buf_addc(b, ',');
        if (t->dtype == US_STRING)
            us_buf_addf(b, "'%.*s'", (int)US_MIN(s.n, 24), s.n ? s.p : "");
        else if (t->dtype == US_F32)
            us_buf_add(b, z, us_print_f32((float)us_tensor_f64_at(t, i), z));
        else if (d->cls == US_DC_FLOAT)
            us_buf_add(b, z, us_print_f64(us_tensor_f64_at(t, i), z));
        else
            us_buf_addf(b, "%lld", (long long)us_tensor_i64_at(t, i));
    }
    us_buf_addc(b, '}');
}

/* --- numbers, dequantised where that is asked ------------------------------------------------------------------ */

static void read_plain(const us_tensor *t, int64_t at, size_t n, double *x)
{
    const us_dtype_info *d = us_dtype_get(t->dtype);
    bool packed = d->bits < 8;
    const char *p = t->data;
    d->to_f64(packed ? p : p + (size_t)at * d->bits / 8, packed ? (size_t)at : 0, n, x);
}

/* Which scale goes with element i of q->x. */
static int64_t scale_of(const us_dquant *q, int64_t i)
{
    const us_tensor *x = q->x;
    int64_t inner = 1;
    if (us_tensor_count(q->scale) == 1) return 0;
    for (int32_t d = (int32_t)q->axis + 1; d < x->rank; d++)
        inner *= x->dims[d];
    int64_t dim = x->dims[q->axis], at = i / inner % dim;
    if (q->block == 0) return at;
    return (i / inner / dim * q->scale->dims[q->axis] + at / q->block) * inner + i % inner;
}

static void read_numbers(const us_tensor *t, const us_dquant *q, int64_t at, size_t n,
                         double *x)
{
    read_plain(t, at, n, x);
    for (size_t i = 0; q && i < n; i++) {
        int64_t s = scale_of(q, at + (int64_t)i);
        double zero = q->zero ? us_tensor_f64_at(q->zero, s) : 0;
        x[i] = (x[i] - zero) * us_tensor_f64_at(q->scale, s);
    }
}

/* Whether scales and zero points fit, so that scale_of stays within them. */
static bool quant_fits(const us_dquant *q)
{
    const us_tensor *x = q->x, *s = q->scale;
    if (!readable(s) || !us_dtype_get(s->dtype)->to_f64) return false;
    if (q->zero && (us_tensor_count(q->zero) != us_tensor_count(s) || !readable(q->zero) ||
                    !us_dtype_get(q->zero->dtype)->to_f64))
        return false;
    if (us_tensor_count(s) == 1) return true;
    if (q->axis < 0 || q->axis >= x->rank) return false;
    if (q->block == 0) return us_tensor_count(s) == x->dims[q->axis];
    if (q->block < 0 || s->rank != x->rank) return false;
    for (int32_t d = 0; d < x->rank; d++) {
        int64_t want = d == q->axis ? (x->dims[d] + q->block - 1) / q->block : x->dims[d];
        if (s->dims[d] != want) return false;
    }
    return true;
}

/* --- the comparison ------------------------------------------------------------------------------------------------ */

typedef struct sums {
    double top, total, aa, bb, ab;
    uint64_t n_finite;
} sums;

static void add_pair(us_diff_weight *w, sums *s, double a, double b)
{
    bool na = isnan(a), nb = isnan(b);
    w->n_nan_a += na;
    w->n_nan_b += nb;
    if (!(a == b || (na && nb))) w->n_changed++;
    if (!isfinite(a) || !isfinite(b)) {
        if (!(a == b || (na && nb))) w->largest = (double)INFINITY;
        return;
    }
    double d = fabs(a - b);
    if (d > w->largest) w->largest = d;
    if (fabs(a) > s->top) s->top = fabs(a);
    s->total += d;
    s->aa += a * a;
    s->bb += b * b;
    s->ab += a * b;
    s->n_finite++;
}

static us_err compare_numbers(us_dwork *k, const us_tensor *a, const us_dquant *qa,
                              const us_tensor *b, const us_dquant *qb, us_diff_weight *w)
{
    double x[BLOCK], y[BLOCK];
    sums s = {0};
    int64_t n = us_tensor_count(a);
    for (int64_t at = 0; at < n; at += BLOCK) {
        size_t m = (size_t)US_MIN(n - at, BLOCK);
        if (at % (BLOCK * 4096) == 0) US_TRY(us_ctx_poll(k->c));
        read_numbers(a, qa, at, m, x);
        read_numbers(b, qb, at, m, y);
        for (size_t i = 0; i < m; i++)
            add_pair(w, &s, x[i], y[i]);
    }
    w->mean = s.n_finite ? s.total / (double)s.n_finite : 0;
    w->relative = w->largest > 0 ? w->largest / (s.top > 0 ? s.top : 1) : 0;
    w->cosine = s.aa > 0 && s.bb > 0 ? s.ab / (sqrt(s.aa) * sqrt(s.bb)) : (double)NAN;
    return US_OK;
}

/* 64-bit integers that are the same as doubles may still differ; texts and complex numbers are no doubles at all. */
static uint64_t count_changed(const us_tensor *a, const us_tensor *b)
{
    uint64_t changed = 0;
    size_t size = us_dtype_get(a->dtype)->bits / 8u;
    const char *p = a->data, *q = b->data;
    for (int64_t i = 0; i < us_tensor_count(a); i++)
        if (a->dtype == US_STRING)
            changed += !us_sv_eq(us_tensor_str_at(a, i), us_tensor_str_at(b, i));
        else
            changed += memcmp(p + (size_t)i * size, q + (size_t)i * size, size) != 0;
    return changed;
}

/* The same but for dimensions of one. */
static bool same_but_ones(const us_tensor *a, const us_tensor *b)
{
    int32_t i = 0, j = 0;
    for (;;) {
        while (i < a->rank && a->dims[i] == 1)
            i++;
        while (j < b->rank && b->dims[j] == 1)
            j++;
        if (i == a->rank || j == b->rank) return i == a->rank && j == b->rank;
        if (a->dims[i++] != b->dims[j++]) return false;
    }
}

us_err us_dweight(us_dwork *k, const us_tensor *a, const us_dquant *qa, const us_tensor *b,
                  const us_dquant *qb, us_diff_weight *w, bool *differs)
{
    bool types = !us_tensor_same_dims(a, b) || (a->dtype != b->dtype && !qa && !qb);
    bool numbers = us_dtype_get(a->dtype)->to_f64 && us_dtype_get(b->dtype)->to_f64;
    bool wide = a->dtype == US_I64 || a->dtype == US_U64 || !numbers;
    *differs = types;
    w->n = (uint64_t)us_tensor_count(a);
    w->cosine = (double)NAN;
    w->quantised = qa || qb;
    if (k->o.structure_only || !readable(a) || !readable(b) || !same_but_ones(a, b))
        return US_OK;
    if ((qa && !quant_fits(qa)) || (qb && !quant_fits(qb))) return US_OK;
    if (numbers) US_TRY(compare_numbers(k, a, qa, b, qb, w));
    if (wide && a->dtype == b->dtype && !w->quantised) w->n_changed = count_changed(a, b);
    w->compared = numbers || a->dtype == b->dtype;
    bool far = w->n_changed > 0 && !(numbers && w->relative <= k->o.tolerance);
    if (wide && w->n_changed > 0) far = true;
    *differs = types || far || !w->compared;
    return US_OK;
}
