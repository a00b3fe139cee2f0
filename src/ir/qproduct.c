/* ir/qproduct.c - see qproduct.h. */
#include "ir/qproduct.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "ir/op_util.h"

enum {
    QUAD = 4,
    MOST_PARTS = 16,
    CHUNK_PANELS = 2,
    BLOCK_BYTES = 64 * 1024, /* rows that are multiplied by one panel after the other */
};
#define PART_PRODUCTS 1e6 /* some 5 us */

const us_qterms us_qterms_none = {.a = 0,
                                  .a_zero = -1,
                                  .a_scale = -1,
                                  .b_scale = -1,
                                  .y_scale = -1,
                                  .y_zero = -1,
                                  .bias = -1,
                                  .alpha = 1};

static size_t up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

/* --- weights -------------------------------------------------------------------------------------------- */

static int32_t byte_at(const us_tensor *t, size_t i)
{
    const uint8_t *u = t->data;
    const int8_t *s = t->data;
    return t->dtype == US_U8 ? u[i] - 128 : s[i];
}

static bool any_zero(const us_tensor *zero)
{
    for (size_t i = 0, n = zero ? (size_t)us_tensor_count(zero) : 0; i < n; i++)
        if (byte_at(zero, i) != 0) return true;
    return false;
}

/* Zero points of columns j0.. ; unsigned weights without one have 0, which is -128 here. */
static void spread_zero(const us_tensor *zero, bool flip, size_t j0, size_t n, int32_t *to)
{
    for (size_t j = 0; j < n; j++)
        to[j] = !zero                        ? (flip ? -128 : 0)
                : us_tensor_count(zero) == 1 ? byte_at(zero, 0)
                                             : byte_at(zero, j0 + j);
}

static us_err pack_matrix(us_eval *k, const us_int8_kernels *f, us_qsource *from, size_t g,
                          void *packed)
{
    if (from->make) US_TRY(from->make(k, from->arg, &from->w.b));
    from->make = NULL;
    us_int8_weights one = from->w;
    one.b = (const char *)one.b + g * from->step;
    f->pack(&one, packed);
    return US_OK;
}

static us_err pack_group(us_eval *k, const us_int8_kernels *f, us_qsource *from, size_t g,
                         const us_tensor *zero, us_qweights *out)
{
    const us_int8_weights *w = &from->w;
    size_t bytes, n_up = up(w->n, f->layout.vw), j0 = g * w->n;
    void *packed, *sums, *zeros = NULL;
    bool there;
    if (!us_int8_pack_bytes(&f->layout, w->n, w->k, &bytes))
        return us_eval_fail(k, US_LIMIT, "weights are too large");
    bytes = US_MAX(bytes, (size_t)1);
    US_TRY(us_eval_packed(k, bytes, &packed, &there));
    if (!there) {
        memset(packed, 0, bytes);
        US_TRY(pack_matrix(k, f, from, g, packed));
    }
    US_TRY(us_eval_packed(k, n_up * sizeof(int32_t), &sums, &there));
    if (!there) {
        memset(sums, 0, n_up * sizeof(int32_t));
        f->col_sums(w->n, w->k, packed, sums);
    }
    if (any_zero(zero) || (!zero && w->flip)) {
        US_TRY(us_eval_keep(k, n_up * sizeof(int32_t), &zeros));
        spread_zero(zero, w->flip, j0, w->n, zeros);
    }
    *out = (us_qweights){.n = w->n, .k = w->k, .w = packed, .col_sums = sums, .zero = zeros};
    return US_OK;
}

us_err us_qpacked_new(us_eval *k, const us_qsource *source, const us_tensor *zero,
                      const us_qpacked **out)
{
    const us_int8_kernels *f = us_kernels_get(k->c)->int8;
    us_qsource from = *source;
    size_t n_groups = from.n_groups;
    void *p, *groups;
    if (zero && us_tensor_count(zero) != 1 &&
        (size_t)us_tensor_count(zero) != n_groups * from.w.n)
        return US_OK;
    US_TRY(us_eval_keep(k, sizeof(us_qpacked), &p));
    US_TRY(us_eval_keep(k, n_groups * sizeof(us_qweights), &groups));
    for (size_t g = 0; g < n_groups; g++)
        US_TRY(pack_group(k, f, &from, g, zero, (us_qweights *)groups + g));
    us_qpacked *made = p;
    *made = (us_qpacked){.kernels = f, .n_groups = n_groups, .group = groups};
    *out = made;
    return US_OK;
}

/* Constant, dense, not empty. */
static const us_tensor *held(us_eval *k, int i)
{
    const us_tensor *t = i < 0 ? NULL : us_eval_opt(k, (size_t)i);
    return t && t->data && us_tensor_contiguous(t) && us_tensor_count(t) > 0 ? t : NULL;
}

static bool is_given(us_eval *k, int i)
{
    return i >= 0 && us_eval_opt(k, (size_t)i) != NULL;
}

us_err us_qpacked_of(us_eval *k, int i, int iz, bool trans, const us_qpacked **out)
{
    const us_tensor *b = held(k, i), *zero = held(k, iz);
    if (!us_is_8bit(b) || b->rank != 2) return US_OK;
    if (iz >= 0 && !zero && k->n->n_in > (uint32_t)iz && k->n->in[iz] != US_NIL) return US_OK;
    if (zero && zero->dtype != b->dtype) return US_OK;
    us_qsource from = {.w = {.n = (size_t)b->dims[!trans],
                             .k = (size_t)b->dims[trans],
                             .b = b->data,
                             .ldb = (size_t)b->dims[1],
                             .trans = trans,
                             .flip = b->dtype == US_U8},
                       .n_groups = 1};
    return us_qpacked_new(k, &from, zero, out);
}

/* --- terms ---------------------------------------------------------------------------------------------- */

static bool is_f32(us_eval *k, int i, size_t n)
{
    const us_tensor *t = us_eval_opt(k, (size_t)i);
    if (!t || t->dtype != US_F32 || !us_tensor_contiguous(t)) return false;
    size_t count = (size_t)us_tensor_count(t);
    return count == 1 || (count == n && t->rank == 1);
}

/* One number of 8 bits. */
static bool is_zero_point(us_eval *k, int i, us_dtype type)
{
    const us_tensor *t = us_eval_opt(k, (size_t)i);
    return t && t->dtype == type && us_tensor_count(t) == 1;
}

static size_t columns(const us_qproduct *p)
{
    return p->n * (p->w ? p->w->n_groups : 1);
}

/* NULL, or why the terms are not those this is made for. */
static const char *refuse_terms(us_eval *k, const us_qproduct *p)
{
    const us_qterms *t = &p->terms;
    const us_tensor *a = us_eval_opt(k, (size_t)t->a), *y = us_eval_opt_out(k, 0),
                    *bias = is_given(k, t->bias) ? us_eval_opt(k, (size_t)t->bias) : NULL;
    size_t n = columns(p);
    if (!y || !a || !us_tensor_contiguous(a)) return "inputs are missing";
    if (is_given(k, t->a_zero) && !is_zero_point(k, t->a_zero, a->dtype))
        return "a zero point for each row";
    if (t->a_scale >= 0 && !is_f32(k, t->a_scale, 1)) return "a scale for each row";
    if (t->b_scale >= 0 && !is_f32(k, t->b_scale, n)) return "scales that are not float32";
    if (is_given(k, t->y_scale) &&
        (!is_f32(k, t->y_scale, 1) || !is_zero_point(k, t->y_zero, y->dtype)))
        return "several scales of the output";
    if (bias && ((size_t)us_tensor_count(bias) != n ||
                 bias->dims[bias->rank - 1] != (int64_t)n || !us_tensor_contiguous(bias)))
        return "a bias that is not one number per column";
    return NULL;
}

static float float_at(const us_eval *k, int i, size_t j)
{
    const us_tensor *t = &k->in[i]->t;
    return ((const float *)t->data)[us_tensor_count(t) == 1 ? 0 : j];
}

/* The zero point of input i in the unsigned form of a, or as it is. */
static int32_t zero_at(const us_eval *k, int i, bool unsigned_form)
{
    if (i < 0 || (size_t)i >= k->n_in || !k->in[i]) return 0;
    const us_tensor *t = &k->in[i]->t;
    if (t->dtype == US_U8) return *(const uint8_t *)t->data;
    return *(const int8_t *)t->data + (unsigned_form ? 128 : 0);
}

static uint32_t wrap(int32_t a, int32_t b)
{
    return (uint32_t)a * (uint32_t)b;
}

/* Arrays per column in the memory that end's pointers show. */
typedef struct arrays {
    int32_t *add, *by_row;
    float *scale, *bias;
} arrays;

static size_t array_bytes(size_t n)
{
    return 4 * n * sizeof(int32_t);
}

static arrays arrays_in(void *mem, size_t n)
{
    int32_t *i = mem;
    float *f = (float *)(void *)(i + 2 * n);
    return (arrays){i, i + n, f, f + n};
}

static bool is_biased(const us_eval *k, const us_qterms *t)
{
    return t->bias >= 0 && (size_t)t->bias < k->n_in && k->in[t->bias];
}

/* Columns of w, which are those from `col` on, at `at` in the arrays. */
static void fill_columns(const us_eval *k, const us_qproduct *p, const us_qweights *w,
                         size_t col, size_t at, const arrays *to)
{
    const us_qterms *t = &p->terms;
    const bool biased = is_biased(k, t);
    const int32_t za = t->a_zero >= 0 && (size_t)t->a_zero < k->n_in && k->in[t->a_zero]
                           ? zero_at(k, t->a_zero, true)
                           : p->flip;
    for (size_t j = 0; j < w->n; j++, at++, col++) {
        int32_t zw = w->zero ? w->zero[j] : 0;
        uint32_t add = wrap((int32_t)p->k * za, zw) - wrap(za, w->col_sums[j]);
        if (biased && k->in[t->bias]->t.dtype == US_I32)
            add += (uint32_t)((const int32_t *)k->in[t->bias]->t.data)[col];
        else if (biased)
            to->bias[at] = ((const float *)k->in[t->bias]->t.data)[col];
        to->add[at] = (int32_t)add;
        to->by_row[at] = -zw;
        if (t->a_scale < 0) continue;
        float s = t->alpha * float_at(k, t->a_scale, 0) * float_at(k, t->b_scale, col);
        to->scale[at] = p->end.type == US_INT8_BYTE ? s / float_at(k, t->y_scale, 0) : s;
    }
}

static us_int8_end end_of(const us_eval *k, const us_qproduct *p, const arrays *a, bool zeros)
{
    us_int8_end end = p->end;
    end.add = a->add;
    end.by_row = zeros ? a->by_row : NULL;
    end.scale = a->scale;
    end.bias =
        is_biased(k, &p->terms) && k->in[p->terms.bias]->t.dtype == US_F32 ? a->bias : NULL;
    if (p->end.type == US_INT8_BYTE) end.zero = zero_at(k, p->terms.y_zero, false);
    return end;
}

/* Of packed weights, all groups. */
static us_int8_end fill_end(const us_eval *k, const us_qproduct *p, void *mem)
{
    arrays to = arrays_in(mem, p->w->n_groups * p->n_up);
    bool zeros = false;
    memset(mem, 0, array_bytes(p->w->n_groups * p->n_up));
    for (size_t g = 0; g < p->w->n_groups; g++) {
        fill_columns(k, p, &p->w->group[g], g * p->n, g * p->n_up, &to);
        zeros = zeros || p->w->group[g].zero;
    }
    return end_of(k, p, &to, zeros);
}

/* --- cutting -------------------------------------------------------------------------------------------- */

/* Rows in blocks of about BLOCK_BYTES, lower where there would be too few for the threads; then columns in parts. */
static void cut(us_qproduct *p)
{
    size_t mr = p->kernels->mr, nr = p->kernels->layout.nr, groups = p->w ? p->w->n_groups : 1;
    double work = (double)p->m * (double)p->n * (double)p->k * (double)groups;
    size_t worth = (size_t)US_MIN(US_MAX(work / PART_PRODUCTS, 1.0), (double)MOST_PARTS);
    p->k4 = up(p->k, QUAD);
    p->block = US_MIN(US_MAX(BLOCK_BYTES / US_MAX(p->k4, (size_t)1) / mr, (size_t)1) * mr,
                      up(p->m, mr));
    if (p->w && worth > (p->m + p->block - 1) / p->block * groups && p->m >= 2 * mr * worth)
        p->block = up((p->m + worth - 1) / worth, mr);
    p->n_blocks = (p->m + p->block - 1) / p->block;
    p->part_cols = p->n;
    if (!p->w)
        p->part_cols = US_MIN(p->n, CHUNK_PANELS * nr);
    else if (worth > p->n_blocks * groups && p->n > nr)
        p->part_cols = US_MIN(p->n, up((p->n + worth - 1) / worth, nr));
    p->n_col_parts = (p->n + p->part_cols - 1) / p->part_cols;
    p->n_parts = US_MIN(p->n_col_parts * (p->w ? p->n_blocks * groups : 1), worth);
}

static size_t n_groups(const us_qproduct *p)
{
    return p->w ? p->w->n_groups : 1;
}

/* Beside its block of rows a part has, for weights packed as it goes, a chunk of them and all that belongs to its columns. */
static bool lay_scratch(us_qproduct *p, size_t *bytes)
{
    size_t packed = 0, each = up(p->part_cols, p->kernels->layout.vw) * sizeof(int32_t);
    p->at_parts = p->is_settled || !p->w ? 0 : up(array_bytes(p->w->n_groups * p->n_up), 64);
    p->at_sums = up(p->block * p->k4, 64);
    p->at_chunk = p->at_sums + up(p->block * sizeof(int32_t), 64);
    p->part_bytes = p->at_chunk;
    if (!p->w) {
        if (!us_int8_pack_bytes(&p->kernels->layout, p->part_cols, p->k, &packed)) return false;
        p->part_bytes += up(packed, 64) + up(6 * each, 64);
    }
    *bytes = p->at_parts + p->n_parts * p->part_bytes;
    return true;
}

/* --- running -------------------------------------------------------------------------------------------- */

typedef struct job {
    const us_qproduct *p;
    us_eval *k;
    const us_int8_end *end; /* of packed weights */
    char *scratch;
    size_t n_units, per_part;
} job;

static void copy_rows(const us_qproduct *p, const us_eval *k, size_t i0, size_t rows,
                      uint8_t *room)
{
    const uint8_t *a = (const uint8_t *)k->in[p->terms.a]->t.data + i0 * p->k;
    for (size_t i = 0; i < rows; i++)
        p->kernels->flip(a + i * p->k, p->k, p->flip, room + i * p->k4);
}

/* A block of rows by columns g->j0.. of g->w, whose end starts at its first; g->c is where that column is in row 0 of all. */
static void multiply(const job *j, us_int8_args *g, size_t group, size_t block, char *scratch)
{
    const us_qproduct *p = j->p;
    size_t i0 = block * p->block, each = p->end.type == US_INT8_BYTE ? 1 : 4;
    uint8_t *room = (uint8_t *)scratch;
    int32_t *sums = (int32_t *)(void *)(scratch + p->at_sums);
    g->m = US_MIN(p->block, p->m - i0);
    g->k = p->k;
    g->a = room;
    g->lda = p->k4;
    g->row_sums = sums;
    g->ldc = p->n * n_groups(p);
    g->c = (char *)g->c + i0 * g->ldc * each;
    if (p->fetch)
        p->fetch(p->fetch_state, j->k, group, i0, g->m, room, p->k4);
    else if (p->k != p->k4 || p->flip)
        copy_rows(p, j->k, i0, g->m, room);
    else
        g->a = (const uint8_t *)j->k->in[p->terms.a]->t.data + i0 * p->k;
    if (g->end->by_row) p->kernels->row_sums(g->m, p->k, g->a, g->lda, 0, sums);
    p->kernels->gemm(g);
}

/* Packed before: a unit is a block of rows by a part of the columns of a group. */
static void run_packed(const job *j, size_t unit, char *scratch)
{
    const us_qproduct *p = j->p;
    size_t cols = unit % p->n_col_parts, rest = unit / p->n_col_parts,
           group = rest / p->n_blocks, each = p->end.type == US_INT8_BYTE ? 1 : 4;
    us_int8_end end = *j->end;
    end.add += group * p->n_up;
    end.scale += group * p->n_up;
    if (end.by_row) end.by_row += group * p->n_up;
    if (end.bias) end.bias += group * p->n_up;
    us_int8_args g = {.n = p->n,
                      .j0 = cols * p->part_cols,
                      .w = p->w->group[group].w,
                      .end = &end,
                      .c = (char *)j->k->out[0]->t.data + group * p->n * each};
    g.j1 = US_MIN(p->n, g.j0 + p->part_cols);
    multiply(j, &g, group, rest % p->n_blocks, scratch);
}

static const us_tensor *given(const us_eval *k, int i)
{
    return i >= 0 && (size_t)i < k->n_in && k->in[i] ? &k->in[i]->t : NULL;
}

/* Packed as we go: a unit is some columns, packed and multiplied while they are in the cache. */
static void run_unpacked(const job *j, size_t unit, char *scratch)
{
    const us_qproduct *p = j->p;
    const us_tensor *b = &j->k->in[p->b]->t, *zero = given(j->k, p->b_zero);
    size_t j0 = unit * p->part_cols, n = US_MIN(p->part_cols, p->n - j0),
           n_up = up(n, p->kernels->layout.vw), each = p->end.type == US_INT8_BYTE ? 1 : 4;
    int32_t *sums = (int32_t *)(void *)(scratch + p->at_chunk), *zeros = sums + n_up;
    int8_t *packed =
        (int8_t *)(scratch + p->at_chunk +
                   up(6 * up(p->part_cols, p->kernels->layout.vw) * sizeof *sums, 64));
    us_int8_weights from = {
        .n = n, .k = p->k, .b = (const char *)b->data + j0, .ldb = p->n, .flip = p->b_flip};
    bool some = any_zero(zero) || (!zero && p->b_flip);
    p->kernels->pack(&from, packed);
    p->kernels->col_sums(n, p->k, packed, sums);
    if (some) spread_zero(zero, p->b_flip, j0, n, zeros);
    us_qweights w = {
        .n = n, .k = p->k, .w = packed, .col_sums = sums, .zero = some ? zeros : NULL};
    arrays to = arrays_in(zeros + n_up, n_up);
    memset(zeros + n_up, 0, array_bytes(n_up));
    fill_columns(j->k, p, &w, j0, 0, &to);
    us_int8_end end = end_of(j->k, p, &to, some);
    for (size_t i = 0; i < p->n_blocks; i++) {
        us_int8_args g = {.n = n,
                          .j1 = n,
                          .w = packed,
                          .end = &end,
                          .c = (char *)j->k->out[0]->t.data + j0 * each};
        multiply(j, &g, 0, i, scratch);
    }
}

static void run_parts(void *arg, size_t x0, size_t x1)
{
    const job *j = arg;
    for (size_t x = x0; x < x1; x++)
        for (size_t u = x * j->per_part; u < US_MIN(j->n_units, (x + 1) * j->per_part); u++) {
            char *scratch = j->scratch + x * j->p->part_bytes;
            if (j->p->w)
                run_packed(j, u, scratch);
            else
                run_unpacked(j, u, scratch);
        }
}

static us_err run(us_eval *k, const void *state, void *scratch)
{
    const us_qproduct *p = state;
    us_int8_end end = p->end;
    job j = {.p = p, .k = k, .end = &end, .scratch = (char *)scratch + p->at_parts};
    j.n_units = p->n_col_parts * (p->w ? p->n_blocks * p->w->n_groups : 1);
    j.per_part = (j.n_units + p->n_parts - 1) / p->n_parts;
    if (p->w && !p->is_settled) end = fill_end(k, p, scratch);
    us_pool_run(k->c->pool, p->n_parts, 1, run_parts, &j);
    return US_OK;
}

/* --- binding -------------------------------------------------------------------------------------------- */

static bool is_constant(us_eval *k, int i)
{
    return !is_given(k, i) || held(k, i);
}

static bool all_constant(us_eval *k, const us_qproduct *p)
{
    const us_qterms *t = &p->terms;
    return p->w && is_constant(k, t->a_zero) && is_constant(k, t->a_scale) &&
           is_constant(k, t->b_scale) && is_constant(k, t->y_scale) &&
           is_constant(k, t->y_zero) && is_constant(k, t->bias);
}

/* Results of 8 bits need to know it before: the kernels take no scale that is not finite. */
static bool has_finite_scales(us_eval *k, const us_qproduct *p)
{
    const us_qterms *t = &p->terms;
    if (!is_constant(k, t->a_scale) || !is_constant(k, t->b_scale) ||
        !is_constant(k, t->y_scale) || !is_constant(k, t->y_zero))
        return false;
    for (size_t j = 0; j < columns(p); j++)
        if (!isfinite(t->alpha * float_at(k, t->a_scale, 0) * float_at(k, t->b_scale, j) /
                      float_at(k, t->y_scale, 0)))
            return false;
    return true;
}

/* Sums that float results are made of fit 32 bits: the products and what is added. */
static bool sums_fit(us_eval *k, const us_qproduct *p)
{
    int64_t most = 0;
    const us_tensor *bias = held(k, p->terms.bias);
    for (int64_t i = 0; bias && bias->dtype == US_I32 && i < us_tensor_count(bias); i++) {
        int64_t v = ((const int32_t *)bias->data)[i];
        most = US_MAX(most, v < 0 ? -v : v);
    }
    return p->k <= (size_t)(US_MAX((int64_t)INT32_MAX - most, 0) / (255 * 255));
}

static void decline(us_call *call, const char *why)
{
    *call = (us_call){.kernel = why};
}

us_err us_qproduct_bind(us_eval *k, us_qproduct *p, us_call *call)
{
    const us_tensor *a = us_eval_opt(k, (size_t)p->terms.a), *y = us_eval_opt_out(k, 0);
    void *mem;
    size_t bytes;
    const char *why = refuse_terms(k, p);
    if (why) {
        decline(call, why);
        return US_OK;
    }
    p->kernels = p->w ? p->w->kernels : us_kernels_get(k->c)->int8;
    p->n_up = up(p->n, p->kernels->layout.vw);
    p->flip = a->dtype == US_I8 ? 0x80 : 0;
    p->end.type = p->terms.a_scale < 0            ? US_INT8_I32
                  : is_given(k, p->terms.y_scale) ? US_INT8_BYTE
                                                  : US_INT8_F32;
    p->end.lo = y->dtype == US_I8 ? -128 : 0;
    p->end.hi = y->dtype == US_I8 ? 127 : 255;
    p->is_settled = all_constant(k, p);
    if (p->end.type != US_INT8_I32 && !sums_fit(k, p)) {
        decline(call, "sums that do not fit 32 bits");
        return US_OK;
    }
    if (p->end.type == US_INT8_BYTE && !has_finite_scales(k, p)) {
        decline(call, "scales that are not constant, or not finite");
        return US_OK;
    }
    if (p->is_settled) {
        US_TRY(us_eval_keep(k, array_bytes(p->w->n_groups * p->n_up), &mem));
        p->end = fill_end(k, p, mem);
    }
    cut(p);
    if (!lay_scratch(p, &bytes)) return US_OK;
    call->macs = (double)p->m * (double)columns(p) * (double)p->k;
    call->bytes = true;
    US_TRY(us_eval_work(k, call->macs));
    call->scratch = bytes;
    return us_call_make(k, call, run, p, sizeof *p, p->kernels->name);
}

us_err us_qproduct_dw_end(us_eval *k, const us_qterms *t, const us_int8_kernels *f, size_t c,
                          const int32_t *sums, us_int8_end *end, const char **why)
{
    size_t block = us_int8_dw_block(&f->layout), wide = up(c, block);
    us_qproduct p = {.terms = *t, .n = c};
    const us_tensor *y = us_eval_opt_out(k, 0);
    void *mem;
    *why = refuse_terms(k, &p);
    if (*why) return US_OK;
    *why = "scales or zero points that are not constant, or not finite";
    const int inputs[] = {t->a_zero, t->a_scale, t->b_scale, t->y_scale, t->y_zero, t->bias};
    for (size_t i = 0; i < US_LEN(inputs); i++)
        if (!is_constant(k, inputs[i])) return US_OK;
    US_TRY(us_eval_keep(k, array_bytes(wide), &mem));
    arrays to = arrays_in(mem, wide);
    int32_t za = zero_at(k, t->a_zero, true);
    const us_tensor *bias = is_given(k, t->bias) ? us_eval_opt(k, (size_t)t->bias) : NULL;
    for (size_t i = 0; i < c; i++) {
        size_t at = us_int8_dw_place(&f->layout, i);
        uint32_t add = bias ? (uint32_t)((const int32_t *)bias->data)[i] : 0;
        to.add[at] = (int32_t)(add - wrap(za, sums[i]));
        to.scale[at] = float_at(k, t->a_scale, 0) * float_at(k, t->b_scale, i) /
                       float_at(k, t->y_scale, 0);
        if (!isfinite(to.scale[at])) return US_OK;
    }
    *why = NULL;
    *end = (us_int8_end){.type = US_INT8_BYTE, .add = to.add, .scale = to.scale};
    end->zero = zero_at(k, t->y_zero, false);
    end->lo = y->dtype == US_I8 ? -128 : 0;
    end->hi = y->dtype == US_I8 ? 127 : 255;
    return US_OK;
}
