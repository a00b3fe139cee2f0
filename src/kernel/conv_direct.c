/* kernel/conv_direct.c - dense and grouped convolution as it is defined, over register tiles.
 *
 * A tile is p neighbouring pixels of an output row times q output blocks; all of its sums stay in registers while the input
 * blocks, taps and lanes go by. So that one tile kernel serves every stride, dilation and padding, its p pixels must be
 * neighbours under every tap. Where they are not (stride over columns, padding left or right) the input rows of a band
 * of output rows are first copied, padded with zeros and sorted by column modulo stride: a copy per input element
 * against out_blocks * taps * B products, a percent or less. Rows above and below the image are left out, not copied.
 * A 1x1 kernel without stride sees the image as one row.
 *
 * Order of loops: output blocks in items whose weights fit in half of a second-level cache, over rows, so that weights are read
 * from memory once; a sum whose weights are too many even for one group is made in chunks of input blocks. The chunks
 * depend on the shape alone.
 *
 * Groups of any width: where one does not begin or end at a block, its tiles start at a lane of the input and leave lanes of the
 * output as they are, which another group fills (span). What follows then waits for all groups.
 *
 * Layouts: see "Anatomy of High-Performance Deep Learning Convolutions on SIMD Architectures" (Georganas et al., 2018).
 */
#include <string.h>

#include "base/pool.h"
#include "kernel/conv_algo.h"

#define BAND_BYTES ((size_t)512 << 10) /* packed input */
#define CHUNK_BYTES                                                                            \
    ((size_t)384 << 10) /* weights of one group of a tile: more is summed in chunks */
#define CHUNK_TILES 8   /* tiles that share a chunk of weights */
#define LONG_ROW    16  /* tiles: longer rows are divided */

/* --- choice ------------------------------------------------------------------------------------------------------------ */

static bool fits(const us_conv_kernels *f, const us_conv_dims *s)
{
    (void)f;
    return s->groups > 0;
}

/* Output blocks that a group meets: from lane `from` of the first to lane `to` of the last. The first (head) and the last (tail) go
 * by themselves where half of their lanes are the group's at most and tiles of half the price exist. */
typedef struct span {
    size_t block, n, from, to;
    bool head, tail;
} span;

static span span_of(const us_conv_kernels *f, const us_conv_dims *s, size_t g)
{
    size_t b = f->block, mg = s->m / s->groups, at = g * mg;
    span p = {.block = at / b, .from = at % b};
    p.n = us_conv_blocks(p.from + mg, b);
    p.to = p.from + mg - (p.n ? p.n - 1 : 0) * b;
    p.head = f->half && p.from >= b / 2;
    p.tail = f->half && p.to <= b / 2 && !(p.head && p.n == 1);
    if (at + mg == s->m) p.to = b; /* past the last channel is anything */
    return p;
}

static size_t span_tiles(const span *p, size_t q)
{
    return p->head + p->tail + us_conv_blocks(p->n - p->head - p->tail, q);
}

/* Tile k: blocks *b0 ... of the span; how many. */
static size_t span_tile(const span *p, size_t q, size_t k, size_t *b0)
{
    size_t end = p->n - p->tail;
    *b0 = p->head && k == 0 ? 0 : US_MIN(p->head + (k - p->head) * q, end);
    bool alone = (p->head && k == 0) || *b0 == end;
    return alone ? 1 : US_MIN(q, end - *b0);
}

/* Groups that share blocks of the output. */
static bool shares(const us_conv_kernels *f, const us_conv_dims *s)
{
    return s->groups > 1 && s->m / s->groups % f->block > 0;
}

static bool is_flat(const us_conv_dims *s)
{
    return s->kh == 1 && s->kw == 1 && s->sh == 1 && s->sw == 1 && s->top == 0 &&
           s->left == 0 && s->oh == s->h && s->ow == s->w;
}

/* Cycles that one lane of one tap takes for `blocks` output blocks and a row of `ow` pixels: multiplications, loads, and
 * what a chain of sums too short for the latency loses. */
static double step_cost(const us_conv_kernels *f, size_t q, size_t ow, size_t blocks)
{
    double sum = 0;
    for (size_t left = blocks; left > 0;) {
        size_t now = US_MIN(q, left), most = f->max_p[now];
        size_t n = (ow + most - 1) / most;
        double p = (double)ow / (double)n, fma = p * (double)now / 2,
               loads = (p + (double)now) / 2;
        sum += (double)n * (US_MAX(US_MAX(fma, loads), 4.0) + 0.5);
        left -= now;
    }
    return sum;
}

static double cost(const us_conv_kernels *f, const us_conv_dims *s, size_t q)
{
    size_t ow = s->ow ? s->ow : 4 * US_CONV_MAX_P, oh = s->ow ? s->oh : 1;
    if (s->kh * s->kw * s->sh * s->sw == 1 && s->ow) {
        ow *= oh;
        oh = 1;
    }
    double sum = 0, alone = step_cost(f, 1, ow, 1);
    for (size_t g = 0; g < s->groups; g++) {
        span p = span_of(f, s, g);
        sum += step_cost(f, q, ow, p.n - p.head - p.tail) + (p.head + p.tail) * alone;
    }
    return sum * (double)oh * (double)(s->c / s->groups) * (double)(s->kh * s->kw);
}

/* --- weights ---------------------------------------------------------------------------------------------------------- */

/* Blocks that the widest group meets: room for each one's weights. */
static size_t widest(const us_conv_kernels *f, const us_conv_dims *s)
{
    size_t n = 0;
    for (size_t g = 0; g < s->groups; g++)
        n = US_MAX(n, span_of(f, s, g).n);
    return n;
}

static size_t floats(const us_conv_kernels *f, const us_conv_dims *s)
{
    return us_conv_blocks(s->m, f->block) * f->block +
           widest(f, s) * f->block * s->c * s->kh * s->kw;
}

enum { ROWS = 8 };

/* to[tap][lane][row] = from[row][lane][tap] for ROWS rows: each line of both sides is met once, while it is near. */
static void turn_rows(const float *from, size_t ld, size_t lanes, size_t taps, size_t wide,
                      float *to)
{
    for (size_t l = 0; l < lanes; l++)
        for (size_t t = 0; t < taps; t++, from++) {
            float *y = to + (t * lanes + l) * wide;
            y[0] = from[0];
            y[1] = from[ld];
            y[2] = from[2 * ld];
            y[3] = from[3 * ld];
            y[4] = from[4 * ld];
            y[5] = from[5 * ld];
            y[6] = from[6 * ld];
            y[7] = from[7 * ld];
        }
}

/* The same for n rows, of which there are [r0, r1), the first of them `from`, with zeros around. */
static void turn_some(const float *from, size_t ld, size_t n, size_t r0, size_t r1,
                      size_t lanes, size_t taps, size_t wide, float *to)
{
    for (size_t l = 0; l < lanes; l++)
        for (size_t t = 0; t < taps; t++)
            for (size_t r = 0; r < n; r++)
                to[(t * lanes + l) * wide + r] =
                    r >= r0 && r < r1 ? from[(r - r0) * ld + l * taps + t] : 0.0F;
}

/* Lanes of the input block that channel c of a group lies in, from c on. */
static size_t lanes_from(size_t deep, size_t first, size_t c, size_t cg)
{
    return US_MIN(deep - (first + c) % deep, cg - c);
}

/* [group][q blocks][input block][tap][lane][q][B]. A few rows at a time from end to end: reading goes along as many streams. */
static void pack_group(const us_conv_kernels *f, const us_conv_dims *s, size_t g, size_t q,
                       const float *w, float *to)
{
    size_t cg = s->c / s->groups, mg = s->m / s->groups, taps = s->kh * s->kw, b = f->block;
    size_t deep = s->plain ? 1 : b, first = g * cg % deep, ld = cg * taps;
    const span p = span_of(f, s, g);
    for (size_t k = 0; k < span_tiles(&p, q); k++) {
        size_t b0, wide = span_tile(&p, q, k, &b0) * b;
        for (size_t r = 0; r < wide; r += ROWS) {
            size_t at = b0 * b + r; /* lane of the span: output at - from of the group */
            size_t n = US_MIN(wide - r, (size_t)ROWS),
                   r0 = US_MIN(p.from > at ? p.from - at : 0, n),
                   r1 = US_MIN(p.from + mg > at ? p.from + mg - at : 0, n);
            for (size_t c = 0, lanes; c < cg; c += lanes) {
                lanes = lanes_from(deep, first, c, cg);
                const float *from = r0 < r1 ? w + (at + r0 - p.from) * ld + c * taps : w;
                if (r0 == 0 && r1 == ROWS)
                    turn_rows(from, ld, lanes, taps, wide, to + c * taps * wide + r);
                else
                    turn_some(from, ld, n, r0, r1, lanes, taps, wide, to + c * taps * wide + r);
            }
        }
        to += ld * wide;
    }
}

static void pack(const us_conv_kernels *f, const us_conv_dims *s, size_t q, const float *w,
                 float *to)
{
    size_t cg = s->c / s->groups, mg = s->m / s->groups, taps = s->kh * s->kw;
    size_t step = widest(f, s) * f->block * cg * taps;
    for (size_t g = 0; g < s->groups; g++)
        pack_group(f, s, g, q, w + g * mg * cg * taps, to + g * step);
}

/* --- a few outputs: the lanes of a block of outputs would mostly be padding ----------------------------------------- */

static bool narrow_fits(const us_conv_kernels *f, const us_conv_dims *s)
{
    return f->narrow && s->groups == 1 && !s->plain && s->m <= US_CONV_NARROW_M;
}

/* Products, and for each output what adding up its lanes takes, in the cycles of `cost`; less what a blocked output of mostly padding
 * costs those who read it. */
static double narrow_cost(const us_conv_kernels *f, const us_conv_dims *s, size_t q)
{
    double pixels = s->ow ? (double)s->oh * (double)s->ow : 4 * US_CONV_MAX_P;
    (void)q;
    return pixels * (double)s->m *
           ((double)(us_conv_blocks(s->c, f->block) * s->kh * s->kw) * 0.75 + 6);
}

static size_t narrow_floats(const us_conv_kernels *f, const us_conv_dims *s)
{
    return f->block * (1 + us_conv_blocks(s->c, f->block) * s->kh * s->kw * s->m);
}

/* [input block][tap][output][lane] */
static void narrow_pack(const us_conv_kernels *f, const us_conv_dims *s, size_t q,
                        const float *w, float *to)
{
    size_t taps = s->kh * s->kw, b = f->block;
    (void)q;
    memset(to, 0, us_conv_blocks(s->c, b) * taps * s->m * b * sizeof *to);
    for (size_t m = 0; m < s->m; m++)
        for (size_t c = 0; c < s->c; c++)
            for (size_t t = 0; t < taps; t++)
                to[((c / b * taps + t) * s->m + m) * b + c % b] = w[(m * s->c + c) * taps + t];
}

/* --- geometry ----------------------------------------------------------------------------------------------------------- */

/* Every column that any tap of any pixel meets is one of the image, and neighbours stay neighbours. */
static bool columns_inside(const us_conv_dims *s)
{
    ptrdiff_t last = (ptrdiff_t)(s->ow - 1 + (s->kw - 1) * s->dw) - s->left;
    return s->sw == 1 && s->left <= 0 && last < (ptrdiff_t)s->w;
}

static size_t rows_under(const us_conv_dims *s, size_t rows)
{
    return US_MIN(s->h, (rows - 1) * s->sh + (s->kh - 1) * s->dh + 1);
}

/* Output rows made from one packing of the input. */
static void set_band(us_conv *cv)
{
    const us_conv_dims *s = &cv->s;
    cv->band = s->oh;
    cv->band_rows = s->h;
    if (!cv->packs) return;
    size_t row_bytes = cv->in_blocks * cv->pitch * sizeof(float);
    size_t most = US_MAX(BAND_BYTES / US_MAX(row_bytes, 1), 1);
    cv->band_rows = rows_under(s, s->oh);
    if (cv->band_rows > most) {
        size_t tap_rows = (s->kh - 1) * s->dh + 1;
        cv->band = most > tap_rows ? (most - tap_rows) / s->sh + 1 : 1;
        cv->band = US_MIN(cv->band, s->oh);
        cv->band_rows = rows_under(s, cv->band);
    }
    cv->plane = cv->band_rows * cv->pitch;
    cv->scratch = cv->in_blocks * cv->plane * sizeof(float);
}

static span span_in(const us_conv *cv, size_t g)
{
    span p = span_of(cv->f, &cv->s, g);
    if (cv->narrow) p.head = p.tail = false;
    return p;
}

static void set_items(us_conv *cv)
{
    const us_conv_dims *s = &cv->s;
    size_t q = cv->choice.q, taps = s->kh * s->kw, deep = cv->lanes;
    size_t group_bytes = q * cv->f->block * (s->c / s->groups) * taps * sizeof(float);
    size_t most = cv->f->max_p[q], tiles = (s->ow + most - 1) / most;
    for (size_t g = 0; g < s->groups; g++) {
        const span p = span_in(cv, g);
        cv->q_groups = US_MAX(cv->q_groups, span_tiles(&p, q));
    }
    cv->super = US_MIN(cv->q_groups, US_MAX(cv->choice.item_bytes / US_MAX(group_bytes, 1), 1));
    cv->supers = (cv->q_groups + cv->super - 1) / cv->super;
    cv->chunk = US_MAX(cv->in_blocks, 1);
    cv->rows = 1;
    cv->cols = s->ow;
    if (group_bytes > CHUNK_BYTES && s->oh * tiles > 1 && !shares(cv->f, s)) {
        size_t block_bytes = q * cv->f->block * deep * taps * sizeof(float);
        cv->chunk = US_MAX(US_CONV_ITEM_BYTES / block_bytes, 1);
        cv->rows = US_MIN(s->oh, (CHUNK_TILES + tiles - 1) / tiles);
    }
    if (tiles > LONG_ROW) cv->cols = LONG_ROW / 2 * most;
    cv->col_items = (s->ow + cv->cols - 1) / cv->cols;
}

static void open_direct(us_conv *cv);

static void open_narrow(us_conv *cv)
{
    cv->narrow = true;
    open_direct(cv);
    cv->chunk = US_MAX(cv->in_blocks, 1); /* its sums are not carried on */
}

static void open_direct(us_conv *cv)
{
    us_conv_dims *s = &cv->s;
    size_t b = cv->f->block;
    if (is_flat(s) && cv->y_row == s->ow * cv->y_step) {
        s->w = s->ow = s->w * s->h;
        s->h = s->oh = 1;
    }
    cv->step = s->plain ? 1 : b;
    cv->lanes = s->plain ? 1 : b;
    cv->in_blocks = us_conv_blocks(s->c, cv->lanes);
    cv->shares = shares(cv->f, s);
    cv->widest = widest(cv->f, s);
    if (s->n == 0 || s->m == 0 || s->oh == 0 || s->ow == 0) return;
    cv->packs = !columns_inside(s);
    size_t wide = (s->ow - 1) * s->sw + (s->kw - 1) * s->dw + 1;
    cv->part = (wide + s->sw - 1) / s->sw;
    cv->pitch = (cv->packs ? cv->part * s->sw : s->w) * cv->step;
    cv->plane = s->h * cv->pitch;
    for (size_t y = 0; y < s->kh; y++)
        for (size_t x = 0; x < s->kw; x++) {
            size_t col = x * s->dw;
            if (cv->packs) col = col % s->sw * cv->part + col / s->sw;
            cv->taps[y * s->kw + x] = (ptrdiff_t)(y * s->dh * cv->pitch + col * cv->step);
        }
    set_band(cv);
    set_items(cv);
    if (s->kh * s->kw == 1 && !cv->narrow) cv->name = "conv 1x1";
}

#define ITEM_WORK 5e5 /* operations worth a thread: some 5 us */
enum { MOST_ITEMS = 16, PACK_FLOATS = 16384 /* of input rows: an item */ };

/* --- packing of the input ------------------------------------------------------------------------------------------------- */

typedef struct job {
    const us_conv *cv;
    const us_conv_args *a;
    const float *x;                        /* of this image */
    size_t image, y0, y1;                  /* output rows of the band */
    size_t in0, in1;                       /* input rows under them */
    size_t cols, col_items, super, supers; /* of an item: cv's, or less of it for threads */
} job;

/* Pixels of a phase: [p0, p1) of its part are inside of the image, the first of them at column x. */
typedef struct phase {
    bool met; /* some tap is in it; others are left as they are */
    size_t p0, p1, x;
} phase;

static phase phase_of(const us_conv *cv, size_t f)
{
    const us_conv_dims *s = &cv->s;
    ptrdiff_t first = (ptrdiff_t)f - s->left, sw = (ptrdiff_t)s->sw, w = (ptrdiff_t)s->w;
    ptrdiff_t p0 = first < 0 ? (-first + sw - 1) / sw : 0;
    ptrdiff_t p1 = first < w ? (w - first + sw - 1) / sw : 0;
    phase p = {.p0 = US_MIN((size_t)p0, cv->part), .x = (size_t)(p0 * sw + first)};
    p.p1 = US_MAX(US_MIN((size_t)p1, cv->part), p.p0);
    for (size_t k = 0; k < s->kw && !p.met; k++)
        p.met = k * s->dw % s->sw == f;
    return p;
}

enum { PHASES = 4 };
/* What all rows have in common: the first phases, worked out once. */
typedef struct row_plan {
    phase p[PHASES];
    bool both; /* plain, stride 2, both phases met */
} row_plan;

static row_plan plan_of(const us_conv *cv)
{
    row_plan r = {.both = cv->s.sw == 2 && cv->step == 1};
    for (size_t f = 0; f < US_MIN(cv->s.sw, (size_t)PHASES); f++) {
        r.p[f] = phase_of(cv, f);
        r.both = r.both && r.p[f].met;
    }
    return r;
}

/* Every sw-th pixel of a row. */
static void pick(const us_conv *cv, size_t n, const float *x, float *to)
{
    const size_t sw = cv->s.sw;
    if (n == 0) return;
    if (sw == 1)
        memcpy(to, x, n * cv->step * sizeof *to);
    else if (cv->step == cv->f->block)
        cv->f->pick(n, sw * cv->step, x, to);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = x[i * sw];
}

/* Both phases of a plain row at stride 2: as far as they go side by side, each number is read once. */
static void pick_both(const us_conv *cv, const phase *p, const float *x, float *const to[])
{
    const size_t e = p[0].x < p[1].x ? 0 : 1, o = 1 - e; /* which has the column further left */
    const size_t n_e = p[e].p1 - p[e].p0, n_o = p[o].p1 - p[o].p0;
    const size_t n = p[e].x + 1 == p[o].x ? US_MIN(n_e, n_o) : 0;
    cv->f->apart(n, x + p[e].x, to[e], to[o]);
    pick(cv, n_e - n, x + p[e].x + 2 * n, to[e] + n);
    pick(cv, n_o - n, x + p[o].x + 2 * n, to[o] + n);
}

/* One input row: columns sorted by phase, those outside of the image zero. */
static void pack_row(const us_conv *cv, const row_plan *r, const float *x, float *to)
{
    const size_t step = cv->step;
    float *inside[PHASES] = {to};
    for (size_t f = 0; f < cv->s.sw; f++, to += cv->part * step) {
        const phase p = f < PHASES ? r->p[f] : phase_of(cv, f);
        if (!p.met) continue;
        memset(to, 0, p.p0 * step * sizeof *to);
        memset(to + p.p1 * step, 0, (cv->part - p.p1) * step * sizeof *to);
        if (r->both)
            inside[f] = to + p.p0;
        else
            pick(cv, p.p1 - p.p0, x + p.x * step, to + p.p0 * step);
    }
    if (r->both) pick_both(cv, r->p, x, inside);
}

/* Some output row has a tap on input row r. */
static bool row_is_met(const us_conv_dims *s, size_t r)
{
    for (size_t k = 0; k < s->kh; k++) {
        ptrdiff_t at = (ptrdiff_t)r + s->top - (ptrdiff_t)(k * s->dh);
        if (at >= 0 && at % (ptrdiff_t)s->sh == 0) return true;
    }
    return false;
}

/* Rows [i0, i1) of the band, counted over all its planes. */
static void pack_rows(void *arg, size_t i0, size_t i1)
{
    const job *j = arg;
    const us_conv *cv = j->cv;
    const row_plan plan = plan_of(cv);
    size_t high = j->in1 - j->in0;
    for (size_t i = i0; i < i1; i++) {
        size_t plane = i / high, r = i % high;
        if (row_is_met(&cv->s, j->in0 + r))
            pack_row(cv, &plan, j->x + (plane * cv->s.h + j->in0 + r) * cv->s.w * cv->step,
                     (float *)j->a->scratch + plane * cv->plane + r * cv->pitch);
    }
}

/* --- products ----------------------------------------------------------------------------------------------------------------- */

/* Output blocks b0.. (q of them) of those that group g meets, columns [x0, x1) of row y, input blocks [c0, c1) of the n_in that it meets. */
typedef struct part {
    span to;
    size_t g, b0, q, y, x0, x1, c0, c1, n_in;
} part;

static bool streams(const us_conv *cv, const us_conv_args *a)
{
    return cv->stream && !a->tail && (uintptr_t)a->y % (cv->f->block * sizeof(float)) == 0;
}

#define FEW_TILES 16

/* Where a few tiles share their weights, the first of them waits for those to come from memory, faster than memory gives them. So each
 * brings its share of those that follow, which lie right behind, from one group of blocks to the next. */
static void look_ahead(const job *j, const part *p, us_conv_tile *t)
{
    const us_conv *cv = j->cv;
    size_t most = cv->f->max_p[p->q], b = cv->f->block,
           tiles = (p->x1 - p->x0 + most - 1) / most * US_MIN(cv->rows, j->y1 - j->y0);
    size_t floats = t->n_blocks * t->all_taps * t->lanes * t->q * b;
    const float *end = j->a->packed + cv->choice.floats;
    if (tiles < 2 || tiles > FEW_TILES || t->lanes != b || (size_t)(end - t->w) < 2 * floats)
        return;
    size_t line = 64 / sizeof(float), share = t->lanes * t->q * b / tiles;
    t->ahead_tap = (share + line - 1) / line * line;
    t->ahead = t->w + floats + p->y % cv->rows * (floats / US_MAX(cv->rows, 1));
}

static void run_part(const job *j, const part *p)
{
    const us_conv *cv = j->cv;
    const us_conv_dims *s = &cv->s;
    const us_conv_args *a = j->a;
    size_t b = cv->f->block, k0, k1, taps = s->kh * s->kw, cg = s->c / s->groups;
    size_t in = p->g * cg / cv->lanes; /* the group's first input block */
    us_conv_tap_rows(s, p->y, &k0, &k1);
    size_t block = p->to.block + p->b0;
    float *y =
        a->y + cv->y_first + j->image * cv->y_image + block * cv->y_plane + p->y * cv->y_row;
    const float *res = a->res ? a->res + (y - a->y) : NULL;
    const float *base = cv->packs ? (const float *)a->scratch : j->x;
    ptrdiff_t row =
        (ptrdiff_t)(p->y * s->sh + k0 * s->dh) - s->top - (ptrdiff_t)(cv->packs ? j->in0 : 0);
    ptrdiff_t col = cv->packs ? 0 : -s->left;
    if (k1 == 0) row = 0;
    bool last = p->c1 == p->n_in, begins = p->b0 == 0, ends = p->b0 + p->q == p->to.n;
    bool half = (begins && p->to.head) || (ends && p->to.tail);
    us_conv_tile t = {
        .q = p->q,
        .taps = cv->taps,
        .n_taps = (k1 - k0) * s->kw,
        .skip = k0 * s->kw,
        .n_blocks = p->c1 - p->c0,
        .plane = cv->plane,
        .first = p->c0 == 0 ? p->g * cg % cv->lanes : 0,
        .lanes = cv->lanes,
        .last_lanes = last ? (p->g + 1) * cg - (in + p->n_in - 1) * cv->lanes : cv->lanes,
        .all_taps = taps,
        .w = a->packed + (cv->out_blocks + (p->g * cv->widest + p->b0) * cg * taps +
                          p->c0 * taps * cv->lanes * p->q) *
                             b,
        .y_first = begins ? p->to.from : 0,
        .y_last = ends ? p->to.to : b,
        .y_step = cv->y_step,
        .y_plane = cv->y_plane,
        .plain_y = cv->plain_y,
        .bias = p->c0 == 0 ? a->packed + block * b : NULL,
        .lo = a->lo,
        .hi = a->hi,
        .more = !last,
        .stream = last && streams(cv, a)};
    const float *x = base + (in + p->c0) * cv->plane + row * (ptrdiff_t)cv->pitch +
                     col * (ptrdiff_t)cv->step;
    us_conv_tile_fn *narrow = cv->narrow ? cv->f->narrow : NULL;
    if (narrow) {
        t.q = s->m;
        t.w = a->packed + b;
    }
    if (!narrow && !half) look_ahead(j, p, &t);
    t.near = cv->y_step == b && t.y_first == 0 && t.y_last == b && !t.stream;
    /* as even as can be: first some of p pixels, then of one less */
    size_t most = narrow ? US_CONV_NARROW_P : cv->f->max_p[p->q], wide = p->x1 - p->x0;
    size_t n = (wide + most - 1) / most, less = n * ((wide + n - 1) / n) - wide;
    t.p = (wide + n - 1) / n;
    t.n = n - less;
    for (size_t at = p->x0; at < p->x1; at += t.n * t.p, t.n = less, t.p--) {
        t.x = x + at * cv->step;
        t.y = y + at * cv->y_step;
        t.res = res ? res + at * cv->y_step : NULL;
        us_conv_tile_fn *tile =
            half ? cv->f->half(t.p, s->plain) : cv->f->tile(p->q, t.p, s->plain);
        (narrow ? narrow : tile)(&t);
    }
}

/* What follows, on the row or part of one that is done. */
static void run_tail(const job *j, const part *p)
{
    const us_conv *cv = j->cv;
    const us_conv_args *a = j->a;
    size_t runs = cv->plain_y ? cv->s.m : p->q,
           first = j->image * (cv->plain_y ? cv->s.m : cv->out_blocks) +
                   (cv->plain_y ? 0 : p->to.block + p->b0);
    for (size_t i = first; i < first + runs; i++) {
        size_t at = i * cv->y_plane + p->y * cv->y_row + p->x0 * cv->y_step;
        a->tail(a->tail_arg, i, at, a->y + at, (p->x1 - p->x0) * cv->y_step);
    }
}

/* Items of a band: (group, super of output blocks) outermost, so that weights stay while rows go by. */
static void run_items(void *arg, size_t i0, size_t i1)
{
    const job *j = arg;
    const us_conv *cv = j->cv;
    const us_conv_dims *s = &cv->s;
    size_t row_items = (j->y1 - j->y0 + cv->rows - 1) / cv->rows, q = cv->choice.q,
           cg = s->c / s->groups;
    for (size_t i = i0; i < i1; i++) {
        size_t cols = i % j->col_items, rows = i / j->col_items % row_items,
               sup = i / j->col_items / row_items, g = sup / j->supers;
        size_t j0 = sup % j->supers * j->super, j1 = US_MIN(j0 + j->super, cv->q_groups);
        size_t y0 = j->y0 + rows * cv->rows, y1 = US_MIN(y0 + cv->rows, j->y1);
        part p = {.to = span_in(cv, g),
                  .g = g,
                  .x0 = cols * j->cols,
                  .x1 = US_MIN(s->ow, (cols + 1) * j->cols)};
        j1 = US_MIN(j1, span_tiles(&p.to, q));
        p.n_in = us_conv_blocks((g + 1) * cg, cv->lanes) - g * cg / cv->lanes;
        for (size_t k = j0; k < j1; k++) {
            p.q = span_tile(&p.to, q, k, &p.b0);
            size_t c = 0;
            do {
                p.c0 = c;
                p.c1 = US_MIN(c + cv->chunk, p.n_in);
                for (p.y = y0; p.y < y1; p.y++) {
                    run_part(j, &p);
                    if (j->a->tail && p.c1 == p.n_in && !cv->shares) run_tail(j, &p);
                }
                c = p.c1;
            } while (c < p.n_in);
        }
    }
    if (streams(cv, j->a)) cv->f->fence();
}

/* What follows, on rows of the band in which groups share blocks. */
static void run_tails(void *arg, size_t i0, size_t i1)
{
    const job *j = arg;
    const us_conv *cv = j->cv;
    for (size_t i = i0; i < i1; i++) {
        part p = {.to = {.block = i}, .q = 1, .x1 = cv->s.ow};
        for (p.y = j->y0; p.y < j->y1; p.y++)
            run_tail(j, &p);
    }
}

static size_t split(size_t n, size_t parts)
{
    return (n + parts - 1) / parts;
}

/* Enough items for threads where one would do for one: columns first, whole tiles of them, then blocks of outputs. No sum changes. */
static void cut(job *j)
{
    const us_conv *cv = j->cv;
    const us_conv_dims *s = &cv->s;
    size_t rows = split(US_MIN(cv->band, s->oh), cv->rows), most = cv->f->max_p[cv->choice.q];
    double bands = (double)s->n * (double)split(s->oh, cv->band);
    size_t worth = (size_t)US_MIN(cv->work / bands / ITEM_WORK, (double)MOST_ITEMS),
           have = s->groups * j->supers * rows * j->col_items;
    if (have >= worth) return;
    j->cols = split(split(j->cols, most), split(worth, have)) * most;
    j->col_items = split(s->ow, j->cols);
    have = s->groups * j->supers * rows * j->col_items;
    if (have >= worth) return;
    j->super = split(j->super, split(worth, have));
    j->supers = split(cv->q_groups, j->super);
}

static void run(const us_conv *cv, const us_conv_args *a, us_pool *pool)
{
    const us_conv_dims *s = &cv->s;
    if (cv->work < US_CONV_SERIAL_WORK) pool = NULL;
    job j = {.cv = cv, .a = a, .x = a->x};
    j.cols = cv->cols;
    j.col_items = cv->col_items;
    j.super = cv->super;
    j.supers = cv->supers;
    if (us_pool_n_threads(pool) > 1) cut(&j);
    for (; j.image < s->n; j.image++, j.x += cv->in_blocks * s->h * s->w * cv->step)
        for (j.y0 = 0; j.y0 < s->oh; j.y0 = j.y1) {
            j.y1 = US_MIN(j.y0 + cv->band, s->oh);
            ptrdiff_t in0 = (ptrdiff_t)(j.y0 * s->sh) - s->top,
                      in1 = (ptrdiff_t)((j.y1 - 1) * s->sh + (s->kh - 1) * s->dh) + 1 - s->top,
                      h = (ptrdiff_t)s->h;
            j.in0 = (size_t)US_MIN(US_MAX(in0, 0), h);
            j.in1 = (size_t)US_MAX(US_MIN(in1, h), (ptrdiff_t)j.in0);
            size_t pack = US_MAX(PACK_FLOATS / cv->pitch, 1);
            if (cv->packs)
                us_pool_run(pool, cv->in_blocks * (j.in1 - j.in0), pack, pack_rows, &j);
            size_t rows = (j.y1 - j.y0 + cv->rows - 1) / cv->rows;
            us_pool_run(pool, s->groups * j.supers * rows * j.col_items, 1, run_items, &j);
            if (a->tail && cv->shares) us_pool_run(pool, cv->out_blocks, 1, run_tails, &j);
        }
}

const us_conv_algo us_conv_direct = {.name = "conv direct",
                                     .grid = true,
                                     .fits = fits,
                                     .cost = cost,
                                     .floats = floats,
                                     .pack = pack,
                                     .open = open_direct,
                                     .run = run};

const us_conv_algo us_conv_narrow = {.name = "conv few outputs",
                                     .grid = true,
                                     .plain_y = true,
                                     .fits = narrow_fits,
                                     .cost = narrow_cost,
                                     .floats = narrow_floats,
                                     .pack = narrow_pack,
                                     .open = open_narrow,
                                     .run = run};
