/* ir/product.c - how matrix products of operators are cut for threads, and run. See product.h. */
#include "ir/product.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/pool.h"
#include "ir/op_util.h"

/* A part for a thread is worth some 20 us: a million multiply-adds, or as many bytes of weights as memory gives in that time. */
#define PART_PRODUCTS 1e6
#define PART_WEIGHTS  (double)(1 << 18)
enum { MOST_PARTS = 16 };

/* The candidates for a product by packed weights. The first is the model's: the level's own kernels, parts as above. */
static const struct way {
    us_candidate is;
    /* with the level's kernels of narrower vectors: less is padded where n is odd */
    bool narrow;
    double part;
} ways[] = {{{"packed", false}, false, 1},
            {{"large parts", true}, false, 4},
            {{"small parts", true}, false, 0.25},
            {{"narrow vectors", false}, true, 1}};

static us_err make_weights(us_eval *k, const us_gemm_weights *b, const float *bias,
                           const struct way *way, us_weights **out)
{
    const us_gemm_kernels *kernels = us_kernels_get(k->c)->gemm;
    if (way->narrow) kernels = kernels->narrow;
    size_t bytes;
    void *p, *w, *copy = NULL;
    bool there;
    if (!us_gemm_pack_bytes(&kernels->layout, b->n, b->k, &bytes))
        return us_eval_fail(k, US_LIMIT, "weights are too large");
    US_TRY(us_eval_keep(k, sizeof(us_weights), &p));
    US_TRY(us_eval_packed(k, bytes, &w, &there));
    if (!there) kernels->pack(b, w);
    if (bias) {
        US_TRY(us_eval_keep(k, b->n * sizeof(float), &copy));
        memcpy(copy, bias, b->n * sizeof(float));
    }
    us_weights *s = p;
    *s = (us_weights){
        .kernels = kernels, .n = b->n, .k = b->k, .w = w, .bias = copy, .part = way->part};
    *out = s;
    return US_OK;
}

us_err us_weights_new(us_eval *k, const us_gemm_weights *b, const float *bias, us_weights **out)
{
    return make_weights(k, b, bias, &ways[0], out);
}

us_err us_weights_choose(us_eval *k, const us_gemm_weights *b, const float *bias,
                         us_weights **out)
{
    us_candidate list[US_LEN(ways)];
    size_t n = us_kernels_get(k->c)->gemm->narrow ? US_LEN(ways) : US_LEN(ways) - 1, at;
    for (size_t i = 0; i < n; i++)
        list[i] = ways[i].is;
    US_TRY(us_eval_choose(k, n, list, 0, &at));
    return make_weights(k, b, bias, &ways[at], out);
}

/* A constant C that is a number per column, or one for all: times beta, in working memory. */
static us_err constant_bias(us_eval *k, size_t n, float beta, const float **out)
{
    const us_tensor *c = us_eval_dense_f32(k, 2);
    void *mem;
    if (!c) return US_OK;
    size_t count = (size_t)us_tensor_count(c);
    bool row = count == n && (c->rank == 0 || (size_t)c->dims[c->rank - 1] == n);
    if (!row && count != 1) return US_OK;
    US_TRY(us_eval_scratch(k, n * sizeof(float), &mem));
    float *bias = mem;
    for (size_t j = 0; j < n; j++)
        bias[j] = beta * ((const float *)c->data)[count == 1 ? 0 : j];
    *out = bias;
    return US_OK;
}

us_err us_weights_of(us_eval *k, bool trans, float alpha, float beta, us_weights **out)
{
    const us_tensor *b = us_eval_dense_f32(k, 1);
    const float *bias = NULL;
    if (!b || b->rank != 2) return US_OK;
    us_gemm_weights g = {.n = (size_t)b->dims[!trans],
                         .k = (size_t)b->dims[trans],
                         .b = b->data,
                         .ldb = (size_t)b->dims[1],
                         .trans = trans,
                         .scale = alpha};
    US_TRY(constant_bias(k, g.n, beta, &bias));
    return us_weights_choose(k, &g, bias, out);
}

const us_product us_product_none = {.lo = -INFINITY,
                                    .hi = INFINITY,
                                    .in_bias = -1,
                                    .in_res = -1,
                                    .in_c = -1,
                                    .batch = 1,
                                    .alpha = 1};

/* --- cutting ----------------------------------------------------------------------------------------- */

static size_t up(size_t x, size_t to)
{
    return (x + to - 1) / to * to;
}

static size_t parts_worth(double products, double weights)
{
    double n = US_MAX(products / PART_PRODUCTS, weights / PART_WEIGHTS);
    return n < 2 ? 1 : (size_t)US_MIN(n, (double)MOST_PARTS);
}

/* m in at most n parts of about the same height, none lower than a tile. */
static size_t even_rows(size_t m, size_t n, size_t mr)
{
    size_t parts = US_MAX(US_MIN(n, m / mr), (size_t)1);
    return (m + parts - 1) / parts;
}

static bool settle_packed(us_product *p)
{
    const us_gemm_kernels *g = p->w->kernels;
    double rows = (double)p->m, wn = (double)p->n * (double)p->k;
    size_t n = parts_worth(rows * wn / p->w->part, wn / p->w->part);
    p->part_rows = US_MAX(p->m, 1);
    p->part_cols = p->n;
    if (n > 1 && p->m >= 2 * g->mr)
        p->part_rows = even_rows(p->m, n, g->mr);
    else if (n > 1 && p->n >= 2 * g->layout.nr)
        p->part_cols = up((p->n + n - 1) / n, g->layout.nr);
    size_t in_rows = (p->m + p->part_rows - 1) / p->part_rows,
           in_cols = (p->n + p->part_cols - 1) / p->part_cols;
    p->n_parts = in_rows * in_cols;
    size_t whole = up(g->scratch(p->m, p->n, p->k), 64) + p->tail_scratch;
    p->scratch_each = up(g->scratch(p->part_rows, p->part_cols, p->k), 64) + p->tail_scratch;
    if (!us_mul_size(p->scratch_each, p->n_parts, &p->scratch)) return false;
    p->scratch = US_MAX(p->scratch, whole);
    return true;
}

static bool settle_both(us_product *p)
{
    double each = (double)p->m * (double)p->n * (double)p->k;
    size_t n = parts_worth(each * (double)p->batch, 0), mr = p->kernels->gemm->mr;
    p->part_rows = p->m;
    p->part_cols = p->n;
    p->part_items = 1;
    if (p->batch >= n)
        p->part_items = (p->batch + n - 1) / n;
    else if (p->m >= 2 * mr)
        p->part_rows = even_rows(p->m, (n + p->batch - 1) / p->batch, mr);
    size_t in_rows = (p->m + p->part_rows - 1) / p->part_rows;
    if (!us_mul_size((p->batch + p->part_items - 1) / p->part_items, in_rows, &p->n_parts))
        return false;
    size_t whole = up(p->kernels->f32_gemm_scratch(p->m, p->n, p->k), 64);
    p->scratch_each = up(p->kernels->f32_gemm_scratch(p->part_rows, p->n, p->k), 64);
    if (p->n_parts > 4 * MOST_PARTS && p->part_items == 1) { /* many items of few parts */
        p->part_rows = p->m;
        p->n_parts = p->batch;
        p->scratch_each = whole;
    }
    if (!us_mul_size(p->scratch_each, p->n_parts, &p->scratch)) return false;
    p->scratch = US_MAX(p->scratch, whole);
    return true;
}

bool us_product_settle(us_product *p, const us_kernels *kernels)
{
    p->kernels = kernels;
    return p->w ? settle_packed(p) : settle_both(p);
}

/* --- running by packed weights ---------------------------------------------------------------------------- */

typedef struct job {
    const us_product *p;
    us_eval *k;
    char *scratch;
} job;

typedef struct tail_job {
    const us_product *p;
    us_eval *k;
    void *scratch;
    size_t row0;
} tail_job;

static void run_tail(void *arg, size_t i0, size_t rows, size_t j0, size_t cols, float *c,
                     size_t ldc)
{
    const tail_job *t = arg;
    t->p->tail(t->p->tail_state, t->k, t->scratch, t->row0 + i0, rows, j0, cols, c, ldc);
}

static const float *data_of(const us_eval *k, int i)
{
    return k->in[i]->t.data;
}

static void packed_part(const us_product *p, us_eval *k, char *scratch, size_t i0, size_t i1,
                        size_t j0, size_t j1)
{
    tail_job t = {p, k, scratch, i0};
    us_pgemm_args g;
    g.m = i1 - i0;
    g.n = p->n;
    g.k = p->k;
    g.j0 = j0;
    g.j1 = j1;
    g.a = data_of(k, 0) + i0 * p->k;
    g.lda = p->k;
    g.w = p->w->w;
    g.bias = p->in_bias >= 0 ? data_of(k, p->in_bias) : p->w->bias;
    g.res = p->in_res >= 0 ? data_of(k, p->in_res) + i0 * p->n : NULL;
    g.ldres = p->n;
    g.lo = p->lo;
    g.hi = p->hi;
    g.c = (float *)k->out[0]->t.data + i0 * p->n;
    g.ldc = p->n;
    g.tail = p->tail ? run_tail : NULL;
    g.tail_arg = &t;
    g.scratch = scratch + p->tail_scratch;
    p->w->kernels->run(&g);
}

static void packed_parts(void *arg, size_t x0, size_t x1)
{
    const job *j = arg;
    const us_product *p = j->p;
    size_t in_cols = (p->n + p->part_cols - 1) / p->part_cols;
    for (size_t x = x0; x < x1; x++) {
        size_t i0 = x / in_cols * p->part_rows, j0 = x % in_cols * p->part_cols;
        packed_part(p, j->k, j->scratch + x * p->scratch_each, i0,
                    US_MIN(p->m, i0 + p->part_rows), j0, US_MIN(p->n, j0 + p->part_cols));
    }
}

/* --- two that change ------------------------------------------------------------------------------------ */

void us_product_dense(us_product *p)
{
    p->lda = p->trans_a ? p->m : p->k;
    p->ldb = p->trans_b ? p->k : p->n;
    p->ldc = p->n;
}

us_err us_product_items(us_eval *k, us_product *p, int rank, const int64_t *dims,
                        const size_t (*steps)[3])
{
    void *mem;
    US_TRY(us_eval_keep(k, 3 * p->batch * sizeof(size_t), &mem));
    size_t *at = mem;
    for (size_t i = 0; i < p->batch; i++) {
        size_t rest = i;
        for (int d = rank - 1; d >= 0; d--) {
            size_t x = rest % (size_t)dims[d];
            rest /= (size_t)dims[d];
            for (int s = 0; s < 3; s++)
                at[3 * i + (size_t)s] += x * steps[d][s];
        }
    }
    p->at = at;
    return US_OK;
}

static void spread_c(const us_product *p, const us_eval *k, float *y, size_t i0, size_t i1)
{
    const float *c = data_of(k, p->in_c);
    for (size_t i = i0; i < i1; i++)
        memcpy(y + i * p->ldc, c + (p->c_rows == 1 ? 0 : i * p->n), p->n * sizeof *y);
}

static void both_part(const us_product *p, us_eval *k, char *scratch, size_t item, size_t i0,
                      size_t i1)
{
    const float *a = data_of(k, 0), *b = data_of(k, 1);
    float *y = k->out[0]->t.data;
    if (p->at) {
        a += p->at[3 * item];
        b += p->at[3 * item + 1];
        y += p->at[3 * item + 2];
    }
    if (p->in_c >= 0) spread_c(p, k, y, i0, i1);
    us_gemm_args g = {.trans_a = p->trans_a,
                      .trans_b = p->trans_b,
                      .m = i1 - i0,
                      .n = p->n,
                      .k = p->k,
                      .alpha = p->alpha,
                      .beta = p->beta,
                      .a = a + (p->trans_a ? i0 : i0 * p->lda),
                      .lda = p->lda,
                      .b = b,
                      .ldb = p->ldb,
                      .c = y + i0 * p->ldc,
                      .ldc = p->ldc,
                      .scratch = scratch};
    p->kernels->f32_gemm(&g);
}

static void both_parts(void *arg, size_t x0, size_t x1)
{
    const job *j = arg;
    const us_product *p = j->p;
    size_t in_rows = (p->m + p->part_rows - 1) / p->part_rows;
    for (size_t x = x0; x < x1; x++) {
        size_t first = x / in_rows * p->part_items, i0 = x % in_rows * p->part_rows;
        for (size_t i = first; i < US_MIN(p->batch, first + p->part_items); i++)
            both_part(p, j->k, j->scratch + x * p->scratch_each, i, i0,
                      US_MIN(p->m, i0 + p->part_rows));
    }
}

/* One thread needs no parts: smaller products of the same rows read B more often. */
void us_product_run(const us_product *p, us_eval *k, void *scratch)
{
    bool alone = p->n_parts == 1 || us_pool_n_threads(k->c->pool) == 1;
    job j = {p, k, scratch};
    if (!alone)
        us_pool_run(k->c->pool, p->n_parts, 1, p->w ? packed_parts : both_parts, &j);
    else if (p->w)
        packed_part(p, k, scratch, 0, p->m, 0, p->n);
    else
        for (size_t i = 0; i < p->batch; i++)
            both_part(p, k, scratch, i, 0, p->m);
}

us_err us_product_eval(us_eval *k, us_product *p)
{
    void *scratch;
    double items = p->w ? 1 : (double)p->batch;
    US_TRY(us_eval_work(k, items * (double)p->m * (double)p->n * (double)p->k));
    if (!us_product_settle(p, us_kernels_get(k->c)))
        return us_eval_fail(k, US_LIMIT, "too large");
    US_TRY(us_eval_scratch(k, p->scratch, &scratch));
    us_product_run(p, k, scratch);
    return US_OK;
}

static us_err run_call(us_eval *k, const void *state, void *scratch)
{
    us_product_run(state, k, scratch);
    return US_OK;
}

us_err us_product_bind(us_eval *k, const us_product *p, us_call *call)
{
    us_product settled = *p;
    if (!us_product_settle(&settled, us_kernels_get(k->c))) return US_OK;
    double items = p->w ? 1 : (double)p->batch;
    call->macs = items * (double)p->m * (double)p->n * (double)p->k;
    US_TRY(us_eval_work(k, call->macs));
    call->scratch = settled.scratch;
    return us_call_make(k, call, run_call, &settled, sizeof settled,
                        p->w ? p->w->kernels->name : us_kernels_get(k->c)->f32_gemm_name);
}
