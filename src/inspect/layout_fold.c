/* inspect/layout_fold.c - a tall drawing as columns, like a newspaper's, so that a slide holds it.
 *
 * A network is a hundred layers high and one box wide; a screen is not. The drawing is cut between layers, where few lines pass,
 * and the parts stand beside each other; the lines that were cut turn round in the space between: down, up beside the column,
 * and in at the top of the next. The line furthest right turns innermost, so turning makes no crossings. How many columns:
 * the number that shows largest on the page, unless it is given. Everything before this step knows nothing of it.
 */
#include <math.h>
#include <stdlib.h>

#include "inspect/layout_net.h"

#define MAX_COLUMNS 64
#define MAX_LINES   8      /* that pass a cut */
#define TURN        16.0F  /* from a column's end to the first line that turns */
#define LANE        7.0F   /* between lines that turn */
#define GUTTER      26.0F  /* beside the lines between columns */
#define LARGE       1.5F   /* shown so large, nothing is won by more */
#define WORTH       1.06F  /* an additional column must show that much larger */
#define LINE_COST   0.025F /* of a line that passes a cut, beside columns of uneven height */

typedef struct column {
    uint32_t first, last; /* layers */
    float lo, hi;         /* what its vertices take */
    float dx, dy;         /* where it moves */
} column;

typedef struct plan {
    uint32_t n;
    column at[MAX_COLUMNS];
    float w, h, show; /* size; how large it shows on the page */
    float room;       /* above and below columns, for lines that turn */
} plan;

typedef struct fold {
    us_lay *k;
    const float *top, *bottom; /* of layers */
    uint32_t *passing;         /* nets that pass between layer i and the next */
    float *lo, *hi;            /* of layers */
    uint32_t *last;            /* per net: layer of its furthest reader that is drawn */
    uint32_t *turn,
        *turn_of; /* per cut MAX_LINES nets, the innermost first; where they begin, per layer */
    uint32_t *column_of; /* per layer */
} fold;

/* --- where to cut ---------------------------------------------------------------------------------------- */

static float shift_after(const fold *f, uint32_t layer)
{
    uint32_t n = f->passing[layer];
    return n ? 2 * GUTTER + (float)(n - 1) * LANE : 2 * GUTTER;
}

/* The layer after which a column that begins with `first` is cut best; UINT32_MAX: nowhere near `high`. */
static uint32_t cut_after(const fold *f, uint32_t first, float high)
{
    uint32_t best = UINT32_MAX, n = f->k->l->n_layers;
    float cost = INFINITY;
    for (uint32_t i = first; i + 1 < n; i++) {
        float h = f->bottom[i] - f->top[first];
        float c = fabsf(h / high - 1) + LINE_COST * (float)f->passing[i];
        if (h > 1.25F * high) break;
        if (h < 0.6F * high || f->passing[i] > MAX_LINES || c >= cost) continue;
        cost = c;
        best = i;
    }
    return best;
}

static bool try_columns(const fold *f, uint32_t n, plan *p)
{
    const us_layout *l = f->k->l;
    uint32_t first = 0;
    *p = (plan){.n = n};
    for (uint32_t c = 0; c < n; c++) {
        column *at = &p->at[c];
        float left = f->bottom[l->n_layers - 1] - f->top[first];
        uint32_t last =
            c + 1 < n ? cut_after(f, first, left / (float)(n - c)) : l->n_layers - 1;
        if (last == UINT32_MAX) return false;
        *at = (column){first, last, INFINITY, -INFINITY, p->w, -f->top[first]};
        for (uint32_t i = first; i <= last; i++) {
            at->lo = fminf(at->lo, f->lo[i]);
            at->hi = fmaxf(at->hi, f->hi[i]);
        }
        at->dx -= at->lo;
        if (c + 1 < n) p->room = fmaxf(p->room, TURN + (float)f->passing[last] * LANE);
        p->w += at->hi - at->lo + (c + 1 < n ? shift_after(f, last) : 0);
        p->h = fmaxf(p->h, f->bottom[last] - f->top[first]);
        first = last + 1;
    }
    p->h += 2 * p->room;
    p->show = fminf(LARGE, fminf(l->page_w / p->w, l->page_h / p->h));
    return true;
}

static void choose(const fold *f, plan *best)
{
    const us_layout *l = f->k->l;
    plan p;
    (void)try_columns(f, 1, best);
    if (l->columns) {
        for (uint32_t n = US_MIN(l->columns, MAX_COLUMNS); n > 1; n--)
            if (try_columns(f, n, best)) return;
        return;
    }
    for (uint32_t n = 2; n <= MAX_COLUMNS; n++)
        if (try_columns(f, n, &p) && p.show > best->show * WORTH) *best = p;
}

/* --- moving ------------------------------------------------------------------------------------------------ */

typedef struct passer { /* a net at a cut */
    uint32_t net;
    float x;
} passer;

static int from_the_right(const void *pa, const void *pb)
{
    const passer *a = pa, *b = pb;
    if (a->x != b->x) return a->x > b->x ? -1 : 1;
    return a->net < b->net ? -1 : a->net > b->net;
}

static uint32_t last_layer(const us_lay *k, uint32_t net)
{
    const us_lay_net *n = &k->l->nets[net];
    uint32_t last = k->layer[n->from];
    for (uint32_t j = 0; j < n->n_links; j++)
        if (n->links[j].at) last = US_MAX(last, k->layer[n->links[j].to]);
    return last;
}

/* Ranks of the nets that pass between `layer` and the next, the one furthest right first: f->turn. */
static us_err rank(fold *f, uint32_t layer)
{
    us_lay *k = f->k;
    uint32_t n = 0;
    passer *p = us_new_n(k->a, passer, (size_t)f->passing[layer] + 1);
    if (!p) return us_arena_fail(k->c, k->a);
    for (uint32_t i = 0; i < k->l->n_nets; i++) {
        uint32_t from = k->layer[k->l->nets[i].from];
        if (from > layer || f->last[i] <= layer) continue;
        float x = from == layer ? k->l->nets[i].start_x : k->x[k->net0[i] + layer - from - 1];
        p[n++] = (passer){i, x};
    }
    qsort(p, n, sizeof *p, from_the_right);
    for (uint32_t i = 0; i < n; i++)
        f->turn[i + f->turn_of[layer]] = p[i].net;
    return US_OK;
}

static uint32_t lane(const fold *f, uint32_t layer, uint32_t net)
{
    uint32_t r = 0;
    while (r < f->passing[layer] && f->turn[f->turn_of[layer] + r] != net)
        r++;
    return r;
}

/* Four corners from the end of one column to the top of the next; x0, x1: where the line comes from and goes to. */
static void turn_round(const fold *f, const plan *p, uint32_t layer, uint32_t net, float x0,
                       float x1, us_lay_point *at)
{
    const column *a = &p->at[f->column_of[layer]], *b = a + 1;
    uint32_t r = lane(f, layer, net), n = f->passing[layer];
    float x = a->hi + a->dx + GUTTER + (float)r * LANE;
    float low = f->bottom[a->last] + a->dy + TURN + (float)r * LANE;
    float high = f->top[b->first] + b->dy - TURN - (float)(n - 1 - r) * LANE;
    at[0] = (us_lay_point){x0, low, true};
    at[1] = (us_lay_point){x, low, true};
    at[2] = (us_lay_point){x, high, true};
    at[3] = (us_lay_point){x1, high, true};
}

static us_err move_link(const fold *f, const plan *p, uint32_t net, us_lay_link *link)
{
    us_lay *k = f->k;
    uint32_t from = k->layer[k->l->nets[net].from], to = k->layer[link->to], n = 0;
    if (!link->at) {
        link->end_x += p->at[f->column_of[to]].dx;
        return US_OK;
    }
    us_lay_point *at = us_new_n(k->a, us_lay_point, link->n_at + 4 * (size_t)p->n);
    if (!at) return us_arena_fail(k->c, k->a);
    for (uint32_t i = 0; i < link->n_at; i++) {
        uint32_t layer =
            US_MIN(from + i / 2, to); /* two points in each layer, one in the last */
        const column *c = &p->at[f->column_of[layer]];
        us_lay_point q = {link->at[i].x + c->dx, link->at[i].y + c->dy, false};
        bool new_column = i > 0 && i % 2 == 0 && f->column_of[layer] != f->column_of[layer - 1];
        if (i == link->first) link->first = n;
        if (new_column) {
            turn_round(f, p, layer - 1, net, at[n - 1].x, q.x, at + n);
            n += 4;
            if (!link->trunk && i + 1 == link->n_at) link->first = n - 2;
        }
        at[n++] = q;
    }
    link->at = at;
    link->n_at = n;
    link->end_x += p->at[f->column_of[to]].dx;
    return US_OK;
}

static us_err move(fold *f, plan *p)
{
    us_lay *k = f->k;
    us_layout *l = k->l;
    for (uint32_t c = 0; c < p->n; c++) {
        column *at = &p->at[c];
        at->dy += p->room;
        for (uint32_t i = at->first; i <= at->last; i++)
            f->column_of[i] = c;
        if (c + 1 == p->n) continue;
        f->turn_of[at->last] = c * MAX_LINES;
        US_TRY(rank(f, at->last));
    }
    for (uint32_t i = 0; i < l->n_nets; i++) {
        for (uint32_t j = 0; j < l->nets[i].n_links; j++)
            US_TRY(move_link(f, p, i, &l->nets[i].links[j]));
        l->nets[i].start_x += p->at[f->column_of[k->layer[l->nets[i].from]]].dx;
    }
    for (uint32_t b = 0; b < l->n_boxes; b++) {
        const column *c = &p->at[f->column_of[k->layer[b]]];
        l->boxes[b].x += c->dx;
        l->boxes[b].y += c->dy;
    }
    l->w = p->w;
    l->h = p->h;
    return US_OK;
}

/* --- the whole ------------------------------------------------------------------------------------------------ */

static us_err measure(fold *f)
{
    us_lay *k = f->k;
    us_layout *l = k->l;
    for (uint32_t i = 0; i < l->n_layers; i++) {
        f->lo[i] = INFINITY;
        f->hi[i] = -INFINITY;
        for (uint32_t j = 0; j < k->n_at[i]; j++) {
            uint32_t v = k->at[i][j];
            f->lo[i] = fminf(f->lo[i], k->x[v] - k->w[v] / 2);
            f->hi[i] = fmaxf(f->hi[i], k->x[v] + k->right[v]);
        }
    }
    for (uint32_t i = 0; i < l->n_nets; i++) {
        f->last[i] = last_layer(k, i);
        for (uint32_t j = k->layer[l->nets[i].from]; j < f->last[i]; j++)
            f->passing[j]++;
    }
    return US_OK;
}

us_err us_lay_fold(us_lay *k, const float *top, const float *bottom)
{
    us_layout *l = k->l;
    size_t n = (size_t)l->n_layers + 1;
    fold f = {.k = k,
              .top = top,
              .bottom = bottom,
              .passing = us_new_n(k->a, uint32_t, n),
              .lo = us_new_n(k->a, float, n),
              .hi = us_new_n(k->a, float, n),
              .last = us_new_n(k->a, uint32_t, (size_t)l->n_nets + 1),
              .turn = us_new_n(k->a, uint32_t, MAX_COLUMNS * MAX_LINES),
              .turn_of = us_new_n(k->a, uint32_t, n),
              .column_of = us_new_n(k->a, uint32_t, n)};
    plan *p = us_new(k->a, plan);
    if (!f.passing || !f.lo || !f.hi || !f.last || !f.turn || !f.turn_of || !f.column_of || !p)
        return us_arena_fail(k->c, k->a);
    if (l->n_layers == 0) return US_OK;
    US_TRY(measure(&f));
    choose(&f, p);
    l->n_columns = p->n;
    return p->n > 1 ? move(&f, p) : US_OK;
}
