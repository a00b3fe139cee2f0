/* kernel/map_run.c - how a map program walks over its operands; the instructions themselves are the level's (map_kernels).
 *
 * Three ways, by how the operands lie:
 *   - one long row: nothing is copied, inputs and output are used where they are, tile by tile (all at once when there is one instruction);
 *     A row that repeats and is as long as a vector (channels in a block) is a constant to the instructions;
 *   - rows of a good length: the same, row by row; a number per row is spread over a vector first;
 *   - short rows: as many as fill a tile are done together; operands that do not lie without gaps are gathered into registers, one that
 *     repeats the same row (a bias, channels in a block) only once.
 * Bytes (BOOL) are turned into numbers as they are gathered, and back as they are written.
 */
#include <string.h>

#include "base/ctx.h"
#include "kernel/map.h"

/* What of an operand has to be done again for each tile. */
typedef enum way { DIRECT, CONSTANT, REPEATED, ROW_NUMBER, GATHER, GATHER_ONCE } way;
enum {
    REPEATING = 2
}; /* step of an operand whose rows are one vector, the same again and again */

typedef struct walk {
    const us_ew_kernels *k;
    const us_ew_args *a;
    const float *at[US_EW_SLOTS];
    size_t step[US_EW_SLOTS];
    float *tile[US_EW_IN]; /* where a gathered operand goes */
    float *splat[US_EW_IN];
    float *result; /* a tile for an output that is not written in place */
    way ways[US_EW_IN];
    bool out_direct;
} walk;

static void spread(float *to, float value)
{
    for (int i = 0; i < US_EW_SPLAT; i++)
        to[i] = value;
}

static float number_at(const us_ew_in *in, ptrdiff_t at)
{
    if (in->type == US_EW_F32) return ((const float *)in->p)[at];
    return ((const uint8_t *)in->p)[at] != 0;
}

static void execute(walk *w, size_t n, float *out)
{
    const us_ew_prog *m = w->a->prog;
    for (size_t i = 0; i < m->n_ins; i++) {
        const us_ew_ins *s = &m->ins[i];
        float *to = i + 1 == m->n_ins ? out : (float *)(uintptr_t)w->at[s->to];
        w->k->codes[s->code](n, to, w->at[s->arg[0]], w->step[s->arg[0]], w->at[s->arg[1]],
                             w->step[s->arg[1]], w->at[s->arg[2]], w->step[s->arg[2]]);
    }
}

/* Rows r .. r + rows of one operand, columns i .. i + n, one after the other into its tile. */
static void gather(const us_ew_in *in, size_t r, size_t rows, size_t i, size_t n, float *to)
{
    for (size_t j = 0; j < rows; j++, to += n) {
        ptrdiff_t from = (ptrdiff_t)(r + j) * in->row + (ptrdiff_t)(i * in->step);
        if (in->step == 0) {
            float v = number_at(in, from);
            for (size_t x = 0; x < n; x++)
                to[x] = v;
        } else if (in->type == US_EW_F32) {
            const float *p = (const float *)in->p + from;
            for (size_t x = 0; x < n; x++)
                to[x] = p[x];
        } else {
            const uint8_t *p = (const uint8_t *)in->p + from;
            for (size_t x = 0; x < n; x++)
                to[x] = p[x] != 0;
        }
    }
}

static void scatter(const us_ew_args *a, size_t r, size_t rows, size_t i, size_t n,
                    const float *from)
{
    for (size_t j = 0; j < rows; j++, from += n) {
        ptrdiff_t at = (ptrdiff_t)(r + j) * a->out_row + (ptrdiff_t)i;
        if (a->out_type == US_EW_F32) {
            memcpy((float *)a->out + at, from, n * sizeof *from);
        } else {
            uint8_t *to = (uint8_t *)a->out + at;
            for (size_t x = 0; x < n; x++)
                to[x] = from[x] != 0;
        }
    }
}

/* rows x n elements from (r, i), in one call of each instruction. rows > 1 only where i is 0 and n the whole row. */
static void one_tile(walk *w, size_t r, size_t rows, size_t i, size_t n)
{
    const us_ew_args *a = w->a;
    for (size_t k = 0; k < a->prog->n_in; k++) {
        const us_ew_in *in = &a->in[k];
        if (w->ways[k] == DIRECT)
            w->at[k] = (const float *)in->p + (ptrdiff_t)r * in->row + (ptrdiff_t)i;
        else if (w->ways[k] == GATHER)
            gather(in, r, rows, i, n, w->tile[k]);
    }
    float *out = w->result;
    if (w->out_direct) out = (float *)a->out + (ptrdiff_t)r * a->out_row + (ptrdiff_t)i;
    execute(w, rows * n, out);
    if (!w->out_direct) scatter(a, r, rows, i, n, out);
}

static void row_numbers(walk *w, size_t r)
{
    for (size_t k = 0; k < w->a->prog->n_in; k++)
        if (w->ways[k] == ROW_NUMBER)
            spread(w->splat[k], number_at(&w->a->in[k], (ptrdiff_t)r * w->a->in[k].row));
}

/* --- the three ways ------------------------------------------------------------------------------- */

static void long_rows(walk *w, size_t rows, size_t n)
{
    bool whole = w->a->prog->n_ins == 1 && w->out_direct;
    for (size_t k = 0; k < w->a->prog->n_in; k++)
        if (w->ways[k] == GATHER) whole = false;
    size_t most = whole ? n : US_EW_TILE;
    for (size_t r = 0; r < rows; r++) {
        row_numbers(w, r);
        for (size_t i = 0; i < n; i += most)
            one_tile(w, r, 1, i, US_MIN(most, n - i));
    }
}

static void short_rows(walk *w)
{
    const us_ew_args *a = w->a;
    size_t group = US_EW_TILE / a->n;
    for (size_t k = 0; k < a->prog->n_in; k++)
        if (w->ways[k] == GATHER_ONCE)
            gather(&a->in[k], 0, US_MIN(group, a->rows), 0, a->n, w->tile[k]);
    for (size_t r = 0; r < a->rows; r += group)
        one_tile(w, r, US_MIN(group, a->rows - r), 0, a->n);
}

/* --- the choice ----------------------------------------------------------------------------------- */

static bool repeats(const us_ew_args *a, const us_ew_in *in, size_t width)
{
    return in->row == 0 && in->step == 1 && in->type == US_EW_F32 && a->n == width;
}

static bool no_gaps(const us_ew_args *a, size_t width)
{
    if (a->rows == 1) return true;
    if (a->out_row != (ptrdiff_t)a->n) return false;
    for (size_t k = 0; k < a->prog->n_in; k++)
        if (a->in[k].row != (a->in[k].step ? (ptrdiff_t)a->n : 0) &&
            !repeats(a, &a->in[k], width))
            return false;
    return true;
}

static way way_of(const us_ew_args *a, const us_ew_in *in, bool is_short)
{
    if (in->step == REPEATING) return REPEATED;
    if (in->step == 0 && (in->row == 0 || a->rows == 1)) return CONSTANT;
    if (in->step == 0 && !is_short) return ROW_NUMBER;
    if (is_short && in->row == 0) return GATHER_ONCE;
    bool lies = in->type == US_EW_F32 && in->step == 1;
    return lies && (!is_short || in->row == (ptrdiff_t)a->n) ? DIRECT : GATHER;
}

static void place_slots(walk *w, bool is_short)
{
    // cppcheck-suppress ctuuninitvar ; us_ew_run has set the two it reads
    const us_ew_args *a = w->a;
    const us_ew_prog *m = a->prog;
    float *free_at = a->scratch;
    for (size_t k = 0; k < m->n_in; k++) {
        w->ways[k] = way_of(a, &a->in[k], is_short);
        if (w->ways[k] == REPEATED) {
            w->at[k] = a->in[k].p;
            w->step[k] = 0;
            continue;
        }
        bool one = w->ways[k] == CONSTANT || w->ways[k] == ROW_NUMBER;
        w->step[k] = one ? 0 : w->k->width;
        w->at[k] = w->tile[k] = w->splat[k] = free_at;
        if (w->ways[k] != DIRECT) free_at += one ? US_EW_SPLAT : US_EW_TILE;
        if (w->ways[k] == CONSTANT) spread(w->splat[k], number_at(&a->in[k], 0));
    }
    for (size_t k = m->n_in; k < (size_t)m->n_in + m->n_imm; k++, free_at += US_EW_SPLAT) {
        spread(free_at, m->imm[k - m->n_in]);
        w->at[k] = free_at;
        w->step[k] = 0;
    }
    size_t n_slots = (size_t)m->n_in + m->n_imm + m->n_regs;
    for (size_t k = (size_t)m->n_in + m->n_imm; k < n_slots; k++, free_at += US_EW_TILE) {
        w->at[k] = free_at;
        w->step[k] = w->k->width;
    }
    w->result = free_at;
    w->out_direct = a->out_type == US_EW_F32 && (!is_short || a->out_row == (ptrdiff_t)a->n);
}

size_t us_ew_scratch(const us_ew_prog *p)
{
    size_t tiles = (size_t)p->n_in + p->n_regs + 1;
    return sizeof(float) * (US_EW_TILE * tiles + US_EW_SPLAT * ((size_t)p->n_in + p->n_imm));
}

void us_ew_run(const us_ew_kernels *k, const us_ew_args *a)
{
    if (a->rows == 0 || a->n == 0) return;
    us_ew_tile_fn *tile = k->tiles[a->prog->ins[0].code];
    bool floats = a->in[0].type == US_EW_F32 && a->out_type == US_EW_F32;
    if (a->prog->n_ins == 1 && tile && a->prog->ins[0].arg[0] == 0 && a->in[0].step == 1 &&
        floats && a->rows > 1) {
        tile(a->rows, a->n, a->out, a->out_row, a->in[0].p, a->in[0].row);
        return;
    }
    walk w;
    w.k = k;
    w.a = a;
    if (no_gaps(a, k->width)) {
        us_ew_args flat = *a;
        for (size_t i = 0; a->rows > 1 && i < a->prog->n_in; i++)
            if (repeats(a, &a->in[i], k->width)) flat.in[i].step = REPEATING;
        flat.n = a->rows * a->n;
        flat.rows = 1;
        w.a = &flat;
        place_slots(&w, false);
        long_rows(&w, 1, flat.n);
        return;
    }
    /* one instruction needs no tile, and whole vectors no copies */
    bool direct = a->prog->n_ins == 1 && a->n % k->width == 0 && a->out_type == US_EW_F32;
    bool is_short = a->n <= US_EW_TILE / 2 && !direct;
    place_slots(&w, is_short);
    if (is_short)
        short_rows(&w);
    else
        long_rows(&w, a->rows, a->n);
}

/* --- settled before -------------------------------------------------------------------------------------- */

void us_ew_ready_init(us_ew_ready *r, const us_ew_kernels *k, const us_ew_prog *prog)
{
    *r = (us_ew_ready){.kernels = k, .prog = *prog};
    for (size_t i = 0; i < prog->n_imm; i++)
        spread(r->splat[i], prog->imm[i]);
}

size_t us_ew_ready_scratch(const us_ew_prog *p)
{
    return sizeof(float) * US_EW_TILE * p->n_regs;
}

void us_ew_ready_run(const us_ew_ready *r, size_t n, float *out, const float *const *in,
                     void *scratch)
{
    const us_ew_prog *p = &r->prog;
    const size_t width = r->kernels->width, first = p->n_in, regs = first + p->n_imm;
    const float *at[US_EW_SLOTS];
    size_t step[US_EW_SLOTS];
    for (size_t k = 0; k < first; k++) {
        at[k] = in[k];
        step[k] = r->repeats[k] ? 0 : width;
    }
    for (size_t k = first; k < regs; k++) {
        at[k] = r->splat[k - first];
        step[k] = 0;
    }
    for (size_t k = 0; k < p->n_regs; k++) {
        at[regs + k] = (const float *)scratch + k * US_EW_TILE;
        step[regs + k] = width;
    }
    for (size_t i = 0; i < n; i += US_EW_TILE) {
        const size_t m = US_MIN(n - i, (size_t)US_EW_TILE);
        for (size_t s = 0; s < p->n_ins; s++) {
            const us_ew_ins *c = &p->ins[s];
            float *to = s + 1 == p->n_ins ? out + i : (float *)(uintptr_t)at[c->to];
            r->kernels->codes[c->code](m, to, at[c->arg[0]], step[c->arg[0]], at[c->arg[1]],
                                       step[c->arg[1]], at[c->arg[2]], step[c->arg[2]]);
        }
        for (size_t k = 0; k < first; k++)
            at[k] += r->repeats[k] ? 0 : US_EW_TILE;
    }
}
