/* check_cells - recurrent cells: every level against the definition, at sizes around vectors, with infinities and NaN, in guarded buffers. */
#include "levels.h"

#include "kernel/cells.h"

enum { GUARD = 32, N_CELLS = 6 };
#define GUARD_VALUE 12345.0F
static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100};

static us_cell_fn *cell_of(const us_cell_kernels *k, size_t i)
{
    us_cell_fn *const all[N_CELLS] = {k->lstm,      k->gru,  k->gru_reset,
                                      k->gru_state, k->tanh, k->relu};
    return all[i];
}

/* x, s, peep, c, h, y of a cell, each between guards. */
enum { PX, PS, PPEEP, PC, PH, PY, N_BUFFERS };
typedef struct buffers {
    float *all;
    float *p[N_BUFFERS];
    size_t n[N_BUFFERS], total;
} buffers;

static void make(buffers *b, size_t n, us_rng *r, float scale)
{
    const size_t sizes_of[N_BUFFERS] = {4 * n, 4 * n, 3 * n, n, n, n};
    b->total = GUARD;
    for (size_t i = 0; i < N_BUFFERS; i++)
        b->total += sizes_of[i] + GUARD;
    b->all = malloc(b->total * sizeof *b->all);
    float *at = b->all + GUARD;
    for (size_t i = 0; i < b->total; i++)
        b->all[i] = GUARD_VALUE;
    for (size_t i = 0; i < N_BUFFERS; i++, at += GUARD) {
        b->p[i] = at;
        b->n[i] = sizes_of[i];
        for (size_t j = 0; j < b->n[i]; j++)
            *at++ = (us_rng_f32(r) - 0.5F) * (i < PC ? scale : 2);
    }
}

static void copy(buffers *to, const buffers *from)
{
    *to = *from;
    to->all = malloc(from->total * sizeof *to->all);
    memcpy(to->all, from->all, from->total * sizeof *to->all);
    for (size_t i = 0; i < N_BUFFERS; i++)
        to->p[i] = to->all + (from->p[i] - from->all);
}

static us_cell_args args_of(const buffers *b, size_t n, bool peep, bool coupled, float clip)
{
    return (us_cell_args){.n = n,
                          .x = b->p[PX],
                          .s = b->p[PS],
                          .peep = peep ? b->p[PPEEP] : NULL,
                          .clip = clip,
                          .coupled = coupled,
                          .c = b->p[PC],
                          .h = b->p[PH],
                          .y = b->p[PY]};
}

/* All of both, guards and what is not to be written included. */
static void compare(const char *name, size_t cell, size_t n, const buffers *got,
                    const buffers *want)
{
    for (size_t i = 0; i < got->total; i++) {
        double g = (double)got->all[i], w = (double)want->all[i];
        bool same = (isnan(g) && isnan(w)) || g == w || fabs(g - w) <= 2e-6 * (1 + fabs(w));
        if (!same)
            US_TEST_FAIL("%s cell %zu n=%zu: number %zu is %g, expected %g", name, cell, n, i,
                         g, w);
    }
}

static void check_one(const level *l, us_rng *r, size_t cell, size_t n, int variant)
{
    static const float odd[] = {INFINITY, -INFINITY, NAN, -0.0F, 3e38F, -3e38F, 1e-45F};
    buffers got, want;
    make(&got, n, r, variant == 3 ? 60 : 6);
    if (variant == 2)
        for (size_t i = 0; i < 8; i++) {
            size_t b = (size_t)us_rng_below(r, N_BUFFERS - 1);
            got.p[b][us_rng_below(r, got.n[b])] = odd[us_rng_below(r, 7)];
        }
    copy(&want, &got);
    bool peep = variant & 1;
    float clip = variant == 1 ? 0.75F : INFINITY;
    us_cell_args g = args_of(&got, n, peep, variant == 3, clip),
                 w = args_of(&want, n, peep, variant == 3, clip);
    cell_of(l->k.cells, cell)(&g);
    cell_of(&us_cells__ref, cell)(&w);
    compare(l->name, cell, n, &got, &want);
    free(got.all);
    free(want.all);
}

static void check_level(const level *l)
{
    us_rng r = us_rng_new(5, "cells", 0);
    for (size_t s = 0; s < US_LEN(sizes); s++)
        for (size_t cell = 0; cell < N_CELLS; cell++)
            for (int variant = 0; variant < 4; variant++)
                check_one(l, &r, cell, sizes[s], variant);
}
static void test_cells__are_as_defined(void)
{
    each_level(check_level);
}

/* A unit's result does not depend on where it stands. */
static void check_position(const level *l)
{
    enum { N = 37 };
    us_rng r = us_rng_new(6, "cells", 0);
    for (size_t cell = 0; cell < N_CELLS; cell++) {
        buffers b;
        make(&b, N, &r, 6);
        for (size_t i = 0; i < N_BUFFERS; i++)
            for (size_t j = 0; j < b.n[i]; j++)
                b.p[i][j] = b.p[i][j / N * N]; /* all units alike */
        us_cell_args a = args_of(&b, N, true, false, INFINITY);
        cell_of(l->k.cells, cell)(&a);
        for (size_t j = 1; j < N; j++)
            CHECK(memcmp(&b.p[PY][j], &b.p[PY][0], sizeof(float)) == 0);
        free(b.all);
    }
}
static void test_cells__position_does_not_matter(void)
{
    each_level(check_position);
}

/* --- steps -------------------------------------------------------------------------------------------- */

enum { SS, SSTATE, SR, SBIAS, SX, SW, SWBIAS, SSUMS, SZ, N_STEP };
typedef struct step_case {
    size_t gates, n, in, panel, rows, all;
    buffers b; /* the cell's */
    float *p[N_STEP];
    size_t size[N_STEP];
} step_case;

static void make_step(step_case *s, us_rng *r)
{
    size_t wide = s->gates * s->n;
    const size_t size[N_STEP] = {
        wide,         s->n, wide * s->n,        wide,          s->rows * s->in,
        wide * s->in, wide, s->rows * s->panel, s->rows * wide};
    make(&s->b, s->n, r, 2);
    for (size_t i = 0; i < N_STEP; i++) {
        s->size[i] = size[i];
        s->p[i] = aligned_alloc(64, (size[i] + GUARD) / 16 * 64 + 64);
        for (size_t j = 0; j < size[i] + GUARD; j++)
            s->p[i][j] = j < size[i] ? us_rng_f32(r) - 0.5F : GUARD_VALUE;
    }
}

/* Sums of m rows of weights in panels by x, from a start. */
static double column(const step_case *s, const float *w, size_t m, size_t col, const float *x,
                     const float *start)
{
    const float *p = w + col / s->panel * s->panel * m + col % s->panel;
    double sum = start ? (double)start[col] : 0;
    for (size_t k = 0; k < m; k++)
        sum += (double)p[k * s->panel] * (double)x[k];
    return sum;
}

/* What a step does to the cell, by the definition: into `want`, whose sums over the state are those of now. */
static void define_step(const step_case *s, const us_step_args *g, const buffers *want)
{
    us_cell_args c = g->cell;
    c.c = want->p[PC];
    c.h = want->p[PH];
    c.y = want->p[PY];
    c.s = want->p[PS];
    for (size_t j = 0; j < s->gates * s->n; j++)
        want->p[PS][j] = (float)column(s, g->r, s->n, j, want->p[PH], g->bias);
    (s->gates == 4 ? us_cells__ref.lstm : us_cells__ref.gru)(&c);
}

static void check_near(const char *what, size_t n, double got, double want)
{
    if (!(fabs(got - want) <= 2e-5 * (1 + fabs(want))))
        US_TEST_FAIL("%s n=%zu: %g, expected %g", what, n, got, want);
}

static void check_sums(const step_case *s, const us_step_args *g)
{
    size_t wide = s->gates * s->n;
    for (size_t i = 0; i < s->rows; i++)
        for (size_t j = 0; j < wide; j++)
            check_near("sum over the input", s->n, (double)g->z[i * wide + j],
                       column(s, g->w, s->in, j, g->x + (ptrdiff_t)i * g->ldx, g->w_bias));
}

/* A block of steps with all of the sums over the input in `n_shares` shares, the last step without one; every other step backwards. */
static void check_steps(const level *l, us_rng *r, size_t gates, size_t n, size_t in,
                        size_t n_shares)
{
    const us_cell_kernels *k = l->k.cells;
    step_case s = {
        .gates = gates, .n = n * k->panel, .in = in, .panel = k->panel, .rows = k->step_rows};
    s.all = gates * n * in;
    make_step(&s, r);
    buffers want;
    copy(&want, &s.b);
    bool turned = n_shares % 2;
    us_step_args g = {.cell = args_of(&s.b, s.n, n_shares == 3, n_shares == 2, INFINITY),
                      .s = s.p[SS],
                      .state = s.p[SSTATE],
                      .r = s.p[SR],
                      .bias = gates == 3 ? s.p[SBIAS] : NULL,
                      .in = in,
                      .x = turned ? s.p[SX] + (s.rows - 1) * in : s.p[SX],
                      .ldx = turned ? -(ptrdiff_t)in : (ptrdiff_t)in,
                      .w = s.p[SW],
                      .w_bias = s.p[SWBIAS],
                      .sums = s.p[SSUMS],
                      .z = s.p[SZ]};
    g.cell.s = g.s;
    for (size_t i = 0; i <= n_shares; i++) {
        g.back = i & 1;
        g.i0 = i == n_shares ? 0 : s.all * i / n_shares;
        g.i1 = i == n_shares ? 0 : s.all * (i + 1) / n_shares;
        define_step(&s, &g, &want);
        (gates == 4 ? k->lstm_step : k->gru_step)(&g);
        for (size_t p = PC; p < N_BUFFERS; p++)
            for (size_t j = 0; j < s.n; j++)
                check_near("state", s.n, (double)s.b.p[p][j], (double)want.p[p][j]);
    }
    check_sums(&s, &g);
    for (size_t i = 0; i < N_STEP; i++) {
        for (size_t j = s.size[i]; j < s.size[i] + GUARD; j++)
            CHECK(s.p[i][j] == GUARD_VALUE);
        free(s.p[i]);
    }
    free(s.b.all);
    free(want.all);
}

static void test_steps__are_as_defined(void)
{
    us_rng r = us_rng_new(7, "steps", 0);
    static const size_t ins[] = {1, 2, 7, 33, 64, 200};
    for (size_t l = 0; l < US_LEN(levels); l++) {
        if (!can_run(&levels[l]) || levels[l].k.cells->panel == 0) continue;
        for (size_t gates = 3; gates <= 4; gates++)
            for (size_t n = 1; n <= 4; n++)
                for (size_t i = 0; i < US_LEN(ins); i++)
                    for (size_t n_shares = 1; n_shares <= 8; n_shares++)
                        check_steps(&levels[l], &r, gates, n, ins[i], n_shares);
    }
}

static const us_test_case cases[] = {
    US_CASE(test_cells__are_as_defined),
    US_CASE(test_cells__position_does_not_matter),
    US_CASE(test_steps__are_as_defined),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
