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
            if (got.n[b] > 0) got.p[b][us_rng_below(r, got.n[b])] = odd[us_rng_below(r, 7)];
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

static void test_cells__are_as_defined(void)
{
    us_rng r = us_rng_new(5, "cells", 0);
    for (size_t l = 0; l < US_LEN(levels); l++) {
        if (!can_run(&levels[l])) continue;
        for (size_t s = 0; s < US_LEN(sizes); s++)
            for (size_t cell = 0; cell < N_CELLS; cell++)
                for (int variant = 0; variant < 4; variant++)
                    check_one(&levels[l], &r, cell, sizes[s], variant);
    }
}

/* A unit's result does not depend on where it stands. */
static void test_cells__position_does_not_matter(void)
{
    us_rng r = us_rng_new(6, "cells", 0);
    for (size_t l = 0; l < US_LEN(levels); l++) {
        if (!can_run(&levels[l])) continue;
        for (size_t cell = 0; cell < N_CELLS; cell++) {
            enum { N = 37 };
            buffers b;
            make(&b, N, &r, 6);
            for (size_t i = 0; i < N_BUFFERS; i++)
                for (size_t j = 0; j < b.n[i]; j++)
                    b.p[i][j] = b.p[i][j / N * N]; /* all units alike */
            us_cell_args a = args_of(&b, N, true, false, INFINITY);
            cell_of(levels[l].k.cells, cell)(&a);
            for (size_t j = 1; j < N; j++)
                CHECK(memcmp(&b.p[PY][j], &b.p[PY][0], sizeof(float)) == 0);
            free(b.all);
        }
    }
}

static const us_test_case cases[] = {
    US_CASE(test_cells__are_as_defined),
    US_CASE(test_cells__position_does_not_matter),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
