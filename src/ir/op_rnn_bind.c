/* ir/op_rnn_bind.c - RNN, GRU and LSTM of floats for known shapes: constant weights packed once per plan, the rest settled per shape.
 *
 * The product with the input is made for many steps at once: there the weights are read once for all of them. What is left per
 * step is the product with the state, whose weights stay in the second-level cache, and one pass of the cell (kernel/cells.h). Steps are
 * made in blocks whose sums over the input stay in the cache too. For a single sequence the product with the state waits for that cache
 * and leaves the units idle: there a step also makes its share of the next block's sums (us_step_fn). The two directions, and parts
 * of a batch, are independent: they are cut for the pool, which changes no bit.
 *
 * Only the activations that the cells have (Sigmoid and Tanh; Tanh or Relu for RNN); all others run as they come, in op_rnn.c.
 * A direction's bias is added where its sums are begun: all of it with the input, but that of GRU's last gate with the
 * state when linear_before_reset puts the reset gate between them.
 */
#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "ir/op_util.h"
#include "ir/product.h"
#include "kernel/cells.h"

enum {
    X,
    W,
    R,
    B,
    LENGTHS,
    H0,
    C0,
    PEEP,
    CELL_RNN = 1, /* gates */
    CELL_GRU = 3,
    CELL_LSTM = 4,
    BLOCK = 1 << 16, /* floats of sums over the input at once */
    MOST_PARTS = 16,
    NEAR = 6000 /* floats that stay in the first-level cache beside others */
};
#define PART_PRODUCTS 1e6 /* worth a thread */

/* Of one direction. after: GRU's weights of the last gate, when they meet r * h and not h. */
typedef struct direction {
    us_weights *w, *r, *after;
} direction;

typedef struct packed {
    size_t gates, dirs, in, h;
    direction dir[2];
} packed;

static const us_tensor *dense_f32(us_eval *k, size_t i, int rank)
{
    const us_tensor *t = us_eval_dense_f32(k, i);
    return t && t->rank == rank ? t : NULL;
}

static bool is_given(const us_eval *k, size_t i)
{
    return i < k->n->n_in && k->n->in[i] != US_NIL;
}

/* --- packing --------------------------------------------------------------------------------------- */

static us_err pack_rows(us_eval *k, const float *rows, size_t n, size_t in, const float *bias,
                        us_weights **out)
{
    us_gemm_weights g = {.n = n, .k = in, .b = rows, .ldb = in, .trans = true, .scale = 1};
    return us_weights_new(k, &g, bias, out);
}

/* b: Wb and Rb, gates * h numbers each, or NULL. */
static us_err pack_direction(us_eval *k, const packed *p, bool linear, const float *w,
                             const float *r, const float *b, direction *d)
{
    size_t n = p->gates * p->h, last = n - p->h;
    bool gru = p->gates == CELL_GRU;
    void *mem;
    US_TRY(us_eval_scratch(k, 2 * n * sizeof(float), &mem));
    float *with_x = mem, *with_h = with_x + n;
    for (size_t i = 0; b && i < n; i++) {
        bool apart = gru && linear && i >= last;
        with_x[i] = apart ? b[i] : b[i] + b[n + i];
        with_h[i] = apart ? b[n + i] : 0.0F;
    }
    US_TRY(pack_rows(k, w, n, p->in, b ? with_x : NULL, &d->w));
    if (!gru || linear) return pack_rows(k, r, n, p->h, b && gru ? with_h : NULL, &d->r);
    US_TRY(pack_rows(k, r, last, p->h, NULL, &d->r));
    return pack_rows(k, r + last * p->h, p->h, p->h, NULL, &d->after);
}

static us_err pack_all(us_eval *k, size_t gates, const void **out)
{
    const us_p_rnn *a = k->params;
    const us_tensor *w = dense_f32(k, W, 3), *r = dense_f32(k, R, 3), *b = dense_f32(k, B, 2);
    if (!w || !r || (is_given(k, B) && !b) || w->dims[0] > 2) return US_OK;
    packed p = {.gates = gates,
                .dirs = (size_t)w->dims[0],
                .in = (size_t)w->dims[2],
                .h = (size_t)r->dims[2]};
    size_t n = gates * p.h;
    if (r->dims[0] != w->dims[0] || (size_t)w->dims[1] != n || (size_t)r->dims[1] != n ||
        (b && (b->dims[0] != w->dims[0] || (size_t)b->dims[1] != 2 * n)))
        return US_OK; /* eval says it */
    void *keep;
    for (size_t d = 0; d < p.dirs; d++)
        US_TRY(pack_direction(k, &p, a->linear_before_reset != 0,
                              (const float *)w->data + d * n * p.in,
                              (const float *)r->data + d * n * p.h,
                              b ? (const float *)b->data + d * 2 * n : NULL, &p.dir[d]));
    US_TRY(us_eval_keep(k, sizeof p, &keep));
    memcpy(keep, &p, sizeof p);
    *out = keep;
    return US_OK;
}

us_err rnn_prepare(us_eval *k, const void **out)
{
    return pack_all(k, CELL_RNN, out);
}
us_err gru_prepare(us_eval *k, const void **out)
{
    return pack_all(k, CELL_GRU, out);
}
us_err lstm_prepare(us_eval *k, const void **out)
{
    return pack_all(k, CELL_LSTM, out);
}

/* --- what is settled per shape ------------------------------------------------------------------------ */

typedef struct recurrence {
    const packed *p;
    us_cell_fn *cell, *reset; /* reset: GRU in two steps */
    us_step_fn *step;         /* of single sequences; NULL: product and cell apart */
    size_t panel;             /* of its weights */
    bool reverse, batch_first, coupled, lengths, peep;
    float clip;
    size_t t, n;         /* steps, sequences */
    size_t block;        /* steps at once */
    size_t parts, rows;  /* of the sequences, per direction; rows in a part */
    size_t floats, each; /* scratch of a part: floats of its buffers; bytes in all */
} recurrence;

static bool is_named(us_sv name, const char *lower)
{
    size_t i = 0;
    for (; i < name.n && lower[i]; i++) {
        char c = name.p[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c) != lower[i]) return false;
    }
    return i == name.n && !lower[i];
}

/* Whether the activations of all directions are these. */
static bool are_named(us_strs names, size_t n, const char *const *lower, size_t dirs)
{
    if (names.n != n * dirs) return false;
    for (size_t i = 0; i < names.n; i++)
        if (!is_named(names.p[i], lower[i % n])) return false;
    return true;
}

/* The cell that computes this; NULL: none. */
static us_cell_fn *cell_of(const us_p_rnn *a, const packed *p, const us_cell_kernels *c,
                           us_cell_fn **reset)
{
    static const char *const names[] = {"sigmoid", "tanh", "tanh"}, *const relu[] = {"relu"};
    const char *const *want = p->gates == CELL_RNN ? names + 1 : names;
    size_t n = p->gates == CELL_RNN ? 1 : p->gates == CELL_GRU ? 2 : 3;
    *reset = NULL;
    if (p->gates == CELL_RNN && are_named(a->activations, 1, relu, p->dirs)) return c->relu;
    if (a->activations.n && !are_named(a->activations, n, want, p->dirs)) return NULL;
    if (p->gates == CELL_RNN) return c->tanh;
    if (p->gates == CELL_LSTM) return c->lstm;
    if (a->linear_before_reset) return c->gru;
    *reset = c->gru_reset;
    return c->gru_state;
}

static bool has_dims(const us_tensor *t, size_t a, size_t b, size_t c)
{
    return t && (size_t)t->dims[0] == a && (size_t)t->dims[1] == b &&
           (t->rank == 2 || (size_t)t->dims[2] == c);
}

/* A state, absent or [dirs, n, h] (batch first: [n, dirs, h]). */
static bool is_state(us_eval *k, size_t i, const recurrence *u)
{
    size_t d = u->p->dirs;
    return !us_eval_opt(k, i) || has_dims(dense_f32(k, i, 3), u->batch_first ? u->n : d,
                                          u->batch_first ? d : u->n, u->p->h);
}

static bool fits(us_eval *k, const us_p_rnn *a, recurrence *u)
{
    const packed *p = u->p;
    const us_tensor *x = dense_f32(k, X, 3), *len = us_eval_opt(k, LENGTHS);
    size_t dirs = us_sv_is(a->direction, "bidirectional") ? 2 : 1;
    u->reverse = us_sv_is(a->direction, "reverse");
    if (!u->reverse && dirs == 1 && !us_sv_is(a->direction, "forward")) return false;
    if (!x || (size_t)x->dims[2] != p->in || p->dirs != dirs ||
        (a->hidden_size && (size_t)a->hidden_size != p->h))
        return false;
    u->batch_first = a->layout != 0;
    u->t = (size_t)x->dims[u->batch_first];
    u->n = (size_t)x->dims[!u->batch_first];
    u->coupled = a->input_forget != 0;
    u->clip = a->clip > 0 ? a->clip : INFINITY;
    u->lengths = len != NULL;
    if (len && (len->dtype != US_I32 || len->rank != 1 || (size_t)len->dims[0] != u->n ||
                !us_tensor_contiguous(len)))
        return false;
    bool lstm = p->gates == CELL_LSTM;
    u->peep = lstm && us_eval_opt(k, PEEP);
    return is_state(k, H0, u) && (!lstm || is_state(k, C0, u)) &&
           (!u->peep || has_dims(dense_f32(k, PEEP, 2), dirs, 3 * p->h, 0));
}

/* The step that computes this for one sequence at a time; NULL: none. Sums of different steps end together, so no lengths. */
static us_step_fn *step_of(const us_p_rnn *a, const recurrence *u, const us_cell_kernels *c)
{
    const packed *p = u->p;
    bool lstm = p->gates == CELL_LSTM, gru = p->gates == CELL_GRU && a->linear_before_reset;
    if (u->n != 1 || u->lengths || (!lstm && !gru) || c->panel == 0 || p->in == 0 ||
        p->h == 0 || p->h % c->panel != 0)
        return NULL;
    for (size_t d = 0; d < p->dirs; d++)
        if (p->dir[d].w->kernels->layout.nr != c->panel ||
            p->dir[d].r->kernels->layout.nr != c->panel)
            return NULL;
    return lstm ? c->lstm_step : c->gru_step;
}

/* Buffers of a single sequence: h, c, a copy of h; sums over the state; no bias; sums over the input of two blocks; some of one panel. */
static bool settle_single(recurrence *u)
{
    const packed *p = u->p;
    const us_gemm_kernels *g = p->dir[0].w->kernels;
    size_t wide = p->gates * p->h, sums;
    u->parts = u->rows = 1;
    if (!us_mul_size(wide, 2 * u->block + 2, &sums) ||
        !us_add_size(sums, 3 * p->h + u->block * u->panel, &u->floats))
        return false;
    u->floats = (u->floats + 15) / 16 * 16;
    return us_mul_size(u->floats, sizeof(float), &u->each) &&
           us_add_size(u->each, (g->scratch(u->block, wide, p->in) + 63) / 64 * 64, &u->each);
}

/* Buffers of a part: h, c, y of each sequence; sums over the state; sums over the input of a block. Then the products'. */
static bool settle(recurrence *u, size_t threads)
{
    const packed *p = u->p;
    const us_gemm_kernels *g = p->dir[0].w->kernels;
    if (u->step) return settle_single(u);
    size_t wide = p->gates * p->h;
    double work = (double)u->t * (double)u->n * (double)wide * (double)(p->in + p->h);
    size_t worth = work < 2 * PART_PRODUCTS ? 1 : MOST_PARTS;
    u->parts = US_MAX(US_MIN(US_MIN(worth, threads), u->n / US_MAX(g->mr, 1)), (size_t)1);
    u->rows = (u->n + u->parts - 1) / u->parts;
    u->parts = (u->n + u->rows - 1) / u->rows;
    size_t per_step, per_row, sums;
    if (!us_mul_size(u->rows, wide, &per_step) || !us_mul_size(u->rows, 3 * p->h, &per_row))
        return false;
    u->block = US_MIN(u->t, US_MAX((size_t)BLOCK / per_step, (size_t)1));
    if (!us_mul_size(per_step, u->block + 1, &sums) || !us_add_size(sums, per_row, &u->floats))
        return false;
    size_t most = u->rows * u->block, a = g->scratch(most, wide, p->in),
           b = g->scratch(u->rows, wide, p->h);
    u->floats = (u->floats + 15) / 16 * 16;
    return us_mul_size(u->floats, sizeof(float), &u->each) &&
           us_add_size(u->each, (US_MAX(a, b) + 63) / 64 * 64, &u->each);
}

/* --- running ------------------------------------------------------------------------------------------ */

typedef struct job {
    const recurrence *u;
    us_eval *k;
    char *scratch;
} job;

/* Sequences j0 .. j0 + m of direction d. */
typedef struct part {
    const recurrence *u;
    us_eval *k;
    const direction *dir;
    size_t d, j0, m;
    const float *x, *peep;
    const int32_t *len;
    float *h, *c, *next, *s, *z, *y;
    void *scratch;
} part;

static us_pgemm_args args_of(const part *a, const us_weights *w, size_t m, const float *x,
                             size_t ldx, float *to, size_t ld)
{
    return (us_pgemm_args){.m = m,
                           .n = w->n,
                           .k = w->k,
                           .j1 = w->n,
                           .a = x,
                           .lda = ldx,
                           .w = w->w,
                           .bias = w->bias,
                           .lo = -INFINITY,
                           .hi = INFINITY,
                           .c = to,
                           .ldc = ld,
                           .scratch = a->scratch};
}

static void product(const part *a, const us_weights *w, size_t m, const float *x, size_t ldx,
                    float *to, size_t ld)
{
    us_pgemm_args g = args_of(a, w, m, x, ldx, to, ld);
    w->kernels->run(&g);
}

/* Sums over the input of steps t0 .. t0 + n, a step's sequences one after the other; batch first: a sequence's steps. */
static void sum_inputs(const part *a, size_t t0, size_t n)
{
    const recurrence *u = a->u;
    size_t in = u->p->in, wide = u->p->gates * u->p->h;
    if (u->batch_first) {
        for (size_t j = 0; j < a->m; j++)
            product(a, a->dir->w, n, a->x + ((a->j0 + j) * u->t + t0) * in, in,
                    a->z + j * u->block * wide, wide);
    } else if (a->m == u->n) {
        product(a, a->dir->w, n * a->m, a->x + t0 * u->n * in, in, a->z, wide);
    } else {
        for (size_t i = 0; i < n; i++)
            product(a, a->dir->w, a->m, a->x + ((t0 + i) * u->n + a->j0) * in, in,
                    a->z + i * a->m * wide, wide);
    }
}

static size_t at_y(const recurrence *u, size_t t, size_t d, size_t j)
{
    size_t dirs = u->p->dirs;
    return (u->batch_first ? (j * u->t + t) * dirs + d : (t * dirs + d) * u->n + j) * u->p->h;
}

static size_t at_state(const recurrence *u, size_t d, size_t j)
{
    return (u->batch_first ? j * u->p->dirs + d : d * u->n + j) * u->p->h;
}

/* The cells of one step; z: its sums over the input, of the first sequence. */
static void run_cells(const part *a, us_cell_fn *cell, size_t gate0, bool last, size_t t,
                      const float *z)
{
    const recurrence *u = a->u;
    size_t h = u->p->h, wide = u->p->gates * h, ld = u->batch_first ? u->block * wide : wide;
    size_t lds = u->reset ? (last ? h : 2 * h) : wide;
    us_cell_args c = {.n = h, .peep = a->peep, .clip = u->clip, .coupled = u->coupled};
    for (size_t j = 0; j < a->m; j++) {
        float *y = a->y && last ? a->y + at_y(u, t, a->d, a->j0 + j) : NULL;
        if (a->len && t >= (size_t)a->len[a->j0 + j]) {
            if (y) memset(y, 0, h * sizeof *y);
            continue;
        }
        c.x = z + j * ld + gate0 * h;
        c.s = a->s + j * lds;
        c.c = a->c + j * h;
        c.h = a->h + j * h;
        c.y = !last ? a->next + j * h : y ? y : c.h;
        cell(&c);
    }
}

/* The product with the state of one sequence: its weights are all there is to read, and what was read last is still in the first-level cache. So every
 * other step goes through the columns the other way round; a column's sum is the same. */
static void product_of_state(const part *a, const us_weights *w, size_t t, const float *x,
                             float *to, size_t ld)
{
    size_t wide = 2 * w->kernels->layout.nr, n = (w->n + wide - 1) / wide;
    us_pgemm_args g = args_of(a, w, a->m, x, w->k, to, ld);
    bool pays = a->m == 1 && n > 1 && wide * w->k < NEAR && w->n * w->k > NEAR;
    for (size_t i = 0; i < n && pays; i++) {
        g.j0 = (t & 1 ? n - 1 - i : i) * wide;
        g.j1 = US_MIN(g.j0 + wide, w->n);
        w->kernels->run(&g);
    }
    if (!pays) w->kernels->run(&g);
}

static void step(const part *a, size_t t, const float *z)
{
    const recurrence *u = a->u;
    size_t h = u->p->h, wide = u->p->gates * h;
    if (!u->reset) {
        product_of_state(a, a->dir->r, t, a->h, a->s, wide);
        run_cells(a, u->cell, 0, true, t, z);
        return;
    }
    product_of_state(a, a->dir->r, t, a->h, a->s, 2 * h);
    run_cells(a, u->reset, 0, false, t, z);
    product_of_state(a, a->dir->after, t, a->next, a->s, h);
    run_cells(a, u->cell, 2, true, t, z);
}

/* Blocks, and steps in a block, forwards or backwards. A sequence that ended before, or has not begun yet going backwards, keeps its state. */
static void all_steps(const part *a)
{
    const recurrence *u = a->u;
    size_t wide = u->p->gates * u->p->h, n_blocks = (u->t + u->block - 1) / u->block;
    size_t ld = u->batch_first ? wide : a->m * wide;
    bool back = u->reverse || a->d == 1;
    for (size_t b = 0; b < n_blocks; b++) {
        size_t t0 = (back ? n_blocks - 1 - b : b) * u->block, n = US_MIN(u->block, u->t - t0);
        sum_inputs(a, t0, n);
        for (size_t i = 0; i < n; i++) {
            size_t at = back ? n - 1 - i : i;
            step(a, t0 + at, a->z + at * ld);
        }
    }
}

/* One sequence, in steps that also make the sums of the next block. The first block's steps are what the whole blocks leave over; its sums
 * are the only ones made apart, and lie as the input does. */
static void all_steps_single(const part *a)
{
    const recurrence *u = a->u;
    size_t in = u->p->in, h = u->p->h, wide = u->p->gates * h, rows = u->block;
    size_t n = u->t % rows ? u->t % rows : US_MIN(rows, u->t);
    bool back = u->reverse || a->d == 1;
    float *z = a->z, *later = z + rows * wide, *none = later + rows * wide;
    const us_weights *w = a->dir->w, *r = a->dir->r;
    size_t all = wide / u->panel * in; /* rows of panels of the input's weights */
    us_step_args g = {.cell = {.n = h, .s = a->s, .peep = a->peep, .clip = u->clip},
                      .s = a->s,
                      .state = a->next,
                      .r = r->w,
                      .bias = r->bias,
                      .in = in,
                      .ldx = back ? -(ptrdiff_t)in : (ptrdiff_t)in,
                      .w = w->w,
                      .w_bias = w->bias ? w->bias : none,
                      .sums = none + wide};
    g.cell.coupled = u->coupled;
    g.cell.c = a->c;
    g.cell.h = a->h;
    memset(none, 0, wide * sizeof *none);
    if (n > 0) product(a, w, n, back ? a->x + (u->t - n) * in : a->x, in, z, wide);
    for (size_t t = 0; t < u->t; t += n, n = rows) {
        bool more = t + n < u->t, apart = t == 0 && back;
        g.x = more ? a->x + (back ? u->t - 1 - t - n : t + n) * in : NULL;
        g.z = later;
        for (size_t i = 0; i < n; i++) {
            g.back = (t + i) % 2 != 0;
            g.i0 = more ? all * i / n : 0;
            g.i1 = more ? all * (i + 1) / n : 0;
            g.cell.x = z + (apart ? n - 1 - i : i) * wide;
            g.cell.y = a->y ? a->y + at_y(u, back ? u->t - 1 - t - i : t + i, a->d, 0) : a->h;
            u->step(&g);
        }
        float *spare = z;
        z = later;
        later = spare;
    }
}

static float *data_out(const us_eval *k, size_t i)
{
    return us_eval_wants(k, i) ? k->out[i]->t.data : NULL;
}

static const void *data_in(const us_eval *k, size_t i)
{
    return i < k->n_in && k->in[i] ? k->in[i]->t.data : NULL;
}

static void load_state(const part *a, const float *from, float *to)
{
    size_t h = a->u->p->h;
    for (size_t j = 0; j < a->m; j++, to += h) {
        if (from)
            memcpy(to, from + at_state(a->u, a->d, a->j0 + j), h * sizeof *to);
        else
            memset(to, 0, h * sizeof *to);
    }
}

static void store_state(const part *a, const float *from, float *to)
{
    size_t h = a->u->p->h;
    for (size_t j = 0; to && j < a->m; j++)
        memcpy(to + at_state(a->u, a->d, a->j0 + j), from + j * h, h * sizeof *to);
}

static void run_part(const recurrence *u, us_eval *k, size_t d, size_t j0, char *scratch)
{
    const packed *p = u->p;
    size_t h = p->h;
    bool lstm = p->gates == CELL_LSTM;
    part a = {.u = u, .k = k, .dir = &p->dir[d], .d = d, .j0 = j0};
    a.m = US_MIN(u->rows, u->n - j0);
    a.x = data_in(k, X);
    a.len = u->lengths ? data_in(k, LENGTHS) : NULL;
    a.peep = u->peep ? (const float *)data_in(k, PEEP) + d * 3 * h : NULL;
    a.y = data_out(k, 0);
    a.s = (void *)scratch; /* products write to aligned places */
    a.z = a.s + u->rows * p->gates * h;
    a.h = a.z + (u->step ? 2 * u->block + 1 : u->block * u->rows) * p->gates * h;
    if (u->step) a.h += u->block * u->panel;
    a.c = a.h + u->rows * h;
    a.next = a.c + u->rows * h;
    a.scratch = scratch + u->floats * sizeof(float);
    load_state(&a, data_in(k, H0), a.h);
    load_state(&a, lstm ? data_in(k, C0) : NULL, a.c);
    if (u->step)
        all_steps_single(&a);
    else
        all_steps(&a);
    store_state(&a, a.h, data_out(k, 1));
    if (lstm) store_state(&a, a.c, data_out(k, 2));
}

static void run_parts(void *arg, size_t i0, size_t i1)
{
    const job *j = arg;
    const recurrence *u = j->u;
    for (size_t i = i0; i < i1; i++)
        run_part(u, j->k, i / u->parts, i % u->parts * u->rows, j->scratch + i * u->each);
}

static us_err check_lengths(us_eval *k, const recurrence *u)
{
    const int32_t *len = u->lengths ? data_in(k, LENGTHS) : NULL;
    for (size_t i = 0; len && i < u->n; i++)
        if (len[i] < 0 || (size_t)len[i] > u->t)
            return us_eval_fail(k, US_ARG, "sequence length %lld of %lld steps",
                                (long long)len[i], (long long)u->t);
    return US_OK;
}

static us_err run(us_eval *k, const void *state, void *scratch)
{
    const recurrence *u = state;
    job j = {u, k, scratch};
    size_t n = u->parts * u->p->dirs;
    US_TRY(check_lengths(k, u));
    us_pool_run(k->c->pool, n, 1, run_parts, &j);
    return US_OK;
}

static us_err bind(us_eval *k, us_call *call)
{
    const us_p_rnn *a = k->params;
    const us_cell_kernels *cells = us_kernels_get(k->c)->cells;
    recurrence u = {.p = k->prepared};
    if (!u.p) {
        call->kernel = "weights are not constant float32";
        return US_OK;
    }
    u.cell = cell_of(a, u.p, cells, &u.reset);
    if (!u.cell) {
        call->kernel = "rare activations";
        return US_OK;
    }
    if (!fits(k, a, &u)) return US_OK;
    u.step = step_of(a, &u, cells);
    u.block = cells->step_rows;
    u.panel = cells->panel;
    if (!settle(&u, (size_t)us_pool_n_threads(k->c->pool))) return US_OK;
    if (!us_mul_size(u.each, u.parts * u.p->dirs, &call->scratch)) return US_OK;
    double wide = (double)(u.p->gates * u.p->h), deep = (double)(u.p->in + u.p->h + 1);
    call->macs = (double)u.p->dirs * (double)u.n * (double)u.t * wide * deep;
    US_TRY(us_eval_work(k, call->macs));
    return us_call_make(k, call, run, &u, sizeof u, cells->name);
}

us_err rnn_bind(us_eval *k, us_call *call)
{
    return bind(k, call);
}
us_err gru_bind(us_eval *k, us_call *call)
{
    return bind(k, call);
}
us_err lstm_bind(us_eval *k, us_call *call)
{
    return bind(k, call);
}
