/* kernel/conv.c - the candidates for a convolution and the choice among them; layouts.
 *
 * The table `ways` has one row per way to compute a convolution: an algorithm, with its own test, cost, packing, geometry and loop, and
 * the sizes of its blocks. The cheapest row that takes a shape is chosen; costs are cycles of one core as a model sees them, so the
 * choice depends on the shape and the instruction set alone. Rows the model cannot tell apart from another are there for who
 * times candidates on the machine at hand (exec/tune.h). What comes later (Winograd, bf16, int8) is a further row.
 */
#include "kernel/conv_algo.h"

#include <string.h>

/* clang-format off */
static const struct way {
    const char *name;
    const us_conv_algo *algo;
    size_t q;         /* output blocks of a tile */
    size_t item_bytes; /* weights of an item of work: they stay near while rows go by */
    bool timed;       /* never by the model */
} ways[] = {
    {"direct 1",       &us_conv_direct,    1, US_CONV_ITEM_BYTES,     false},
    {"direct 2",       &us_conv_direct,    2, US_CONV_ITEM_BYTES,     false},
    {"direct 3",       &us_conv_direct,    3, US_CONV_ITEM_BYTES,     false},
    {"direct 4",       &us_conv_direct,    4, US_CONV_ITEM_BYTES,     false},
    {"few outputs",    &us_conv_narrow,    1, US_CONV_ITEM_BYTES,     false},
    {"depthwise",      &us_conv_depthwise, 1, US_CONV_ITEM_BYTES,     false},
    {"narrow groups",  &us_conv_by_lanes,  1, US_CONV_ITEM_BYTES,     false},
    {"direct 1 small", &us_conv_direct,    1, US_CONV_ITEM_BYTES / 8, true},
    {"direct 2 small", &us_conv_direct,    2, US_CONV_ITEM_BYTES / 8, true},
    {"direct 3 small", &us_conv_direct,    3, US_CONV_ITEM_BYTES / 8, true},
    {"direct 1 large", &us_conv_direct,    1, US_CONV_ITEM_BYTES * 3, true},
    {"direct 2 large", &us_conv_direct,    2, US_CONV_ITEM_BYTES * 3, true},
    {"direct 3 large", &us_conv_direct,    3, US_CONV_ITEM_BYTES * 3, true},
};
/* clang-format on */
_Static_assert(US_LEN(ways) <= US_CONV_WAYS, "who lists candidates has room for all");

/* Groups of a tile's output blocks that are one item. */
static size_t in_item(const us_conv_kernels *f, const us_conv_dims *s, size_t q, size_t bytes)
{
    size_t blocks = us_conv_blocks(s->m / s->groups, f->block),
           group = q * f->block * (s->c / s->groups) * s->kh * s->kw * sizeof(float);
    return US_MIN((blocks + q - 1) / q, US_MAX(bytes / US_MAX(group, 1), 1));
}

static bool takes(const struct way *w, const us_conv_kernels *f, const us_conv_dims *s,
                  bool grid)
{
    if ((grid && !w->algo->grid) || !w->algo->fits(f, s)) return false;
    if (w->q > 1 && (!f->max_p[w->q] || w->q > us_conv_blocks(s->m / s->groups, f->block)))
        return false;
    return !w->timed ||
           in_item(f, s, w->q, w->item_bytes) != in_item(f, s, w->q, US_CONV_ITEM_BYTES);
}

size_t us_conv_candidates(const us_conv_kernels *f, const us_conv_dims *s, bool grid,
                          us_conv_choice out[US_CONV_WAYS], size_t *best)
{
    double least = 0;
    size_t n = 0;
    bool any = false;
    for (size_t i = 0; i < US_LEN(ways); i++) {
        const struct way *w = &ways[i];
        if (!takes(w, f, s, grid)) continue;
        out[n] = (us_conv_choice){w->algo, w->q, w->algo->floats(f, s), w->item_bytes, w->name};
        double cost = w->timed ? 0 : w->algo->cost(f, s, w->q);
        if (!w->timed && (!any || cost < least)) {
            least = cost;
            *best = n;
            any = true;
        }
        n++;
    }
    return any ? n : 0;
}

void us_conv_choose(const us_conv_kernels *f, const us_conv_dims *s, us_conv_choice *out)
{
    us_conv_choice all[US_CONV_WAYS];
    size_t best = 0, n = us_conv_candidates(f, s, false, all, &best);
    *out = n ? all[best] : (us_conv_choice){0};
}

bool us_conv_plain_out(const us_conv_choice *choice)
{
    return choice->algo && choice->algo->plain_y;
}

void us_conv_pack(const us_conv_kernels *f, const us_conv_dims *s, const us_conv_choice *choice,
                  const float *w, const float *bias, float *to)
{
    size_t padded = us_conv_blocks(s->m, f->block) * f->block;
    memset(to, 0, padded * sizeof *to);
    if (bias) memcpy(to, bias, s->m * sizeof *to);
    choice->algo->pack(f, s, choice->q, w, to + padded);
}

bool us_conv_open(const us_conv_kernels *f, const us_conv_dims *s, const us_conv_choice *choice,
                  ptrdiff_t *taps, us_conv *cv)
{
    us_conv_grid all = {.h = s->oh, .w = s->ow, .row_step = 1, .col_step = 1};
    return us_conv_open_grid(f, s, choice, &all, taps, cv);
}

/* Larger than the caches of most: written past them, a line is not read first. */
#define STREAM_BYTES ((size_t)24 << 20)

bool us_conv_open_grid(const us_conv_kernels *f, const us_conv_dims *s,
                       const us_conv_choice *choice, const us_conv_grid *grid, ptrdiff_t *taps,
                       us_conv *cv)
{
    size_t blocks = us_conv_blocks(s->m, f->block), b = grid->plain ? 1 : f->block;
    *cv = (us_conv){.f = f,
                    .choice = *choice,
                    .s = *s,
                    .taps = taps,
                    .name = choice->algo->name,
                    .out_blocks = blocks,
                    .y_first = (grid->first_row * grid->w + grid->first_col) * b,
                    .y_step = grid->col_step * b,
                    .y_row = grid->row_step * grid->w * b,
                    .y_plane = grid->h * grid->w * b,
                    .y_image = (grid->plain ? s->m : blocks) * grid->h * grid->w * b,
                    .plain_y = grid->plain};
    cv->stream = f->fence && !grid->plain && s->n > 0 &&
                 cv->y_image > STREAM_BYTES / sizeof(float) / s->n;
    cv->work = 2.0 * (double)s->n * (double)s->m * (double)s->oh * (double)s->ow *
               (double)(s->c / s->groups) * (double)s->kh * (double)s->kw;
    choice->algo->open(cv);
    return cv->scratch <= US_CONV_SCRATCH;
}

void us_conv_run(const us_conv *cv, const us_conv_args *a, struct us_pool *pool)
{
    const us_conv_dims *s = &cv->s;
    if (s->n == 0 || s->m == 0 || s->oh == 0 || s->ow == 0) return;
    cv->choice.algo->run(cv, a, pool);
}

/* --- layouts ------------------------------------------------------------------------------------------------------- */

enum { RUN = 64 }; /* pixels at a time: their rows of one block stay in the first cache */

void us_conv_block(size_t block, size_t c, size_t pixels, const float *x, float *y)
{
    for (size_t c0 = 0; c0 < c; c0 += block) {
        size_t lanes = US_MIN(block, c - c0);
        const float *from = x + c0 * pixels;
        float *to = y + c0 * pixels;
        for (size_t p0 = 0; p0 < pixels; p0 += RUN) {
            size_t p1 = US_MIN(pixels, p0 + RUN);
            for (size_t p = p0; p < p1; p++) {
                for (size_t l = 0; l < lanes; l++)
                    to[p * block + l] = from[l * pixels + p];
                for (size_t l = lanes; l < block; l++)
                    to[p * block + l] = 0;
            }
        }
    }
}

void us_conv_unblock(size_t block, size_t c, size_t pixels, const float *x, float *y)
{
    for (size_t c0 = 0; c0 < c; c0 += block) {
        size_t lanes = US_MIN(block, c - c0);
        const float *from = x + c0 * pixels;
        float *to = y + c0 * pixels;
        for (size_t p0 = 0; p0 < pixels; p0 += RUN) {
            size_t p1 = US_MIN(pixels, p0 + RUN);
            for (size_t l = 0; l < lanes; l++)
                for (size_t p = p0; p < p1; p++)
                    to[l * pixels + p] = from[p * block + l];
        }
    }
}
