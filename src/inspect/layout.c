/* inspect/layout.c - the layered drawing: dummies, heights, and the curves once places are known. */
#include "inspect/layout.h"

#include <math.h>
#include <stdlib.h>

#include "inspect/layout_net.h"

#define WIDER_GAP 0.07F /* room between layers for each unit a line moves sideways, */
#define MAX_WIDER 90    /* at most */
#define PORT_STEP 24    /* between lines that enter a box, when there is room */

/* --- which links are drawn ----------------------------------------------------------------------------- */

static uint32_t length(const us_lay *k, const us_lay_net *net, const us_lay_link *link)
{
    return k->layer[link->to] - k->layer[net->from];
}

/* Layers the net's line runs to, of links at most `span` long. */
static uint32_t reach(const us_lay *k, const us_lay_net *net, uint32_t span)
{
    uint32_t far = 0;
    for (uint32_t j = 0; j < net->n_links; j++) {
        uint32_t n = length(k, net, &net->links[j]);
        if (n <= span) far = US_MAX(far, n);
    }
    return far;
}

static uint64_t count_dummies(const us_lay *k, uint32_t span)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < k->l->n_nets; i++) {
        uint32_t far = reach(k, &k->l->nets[i], span);
        n += far > 1 ? far - 1 : 0;
    }
    return n;
}

static void choose_span(us_lay *k)
{
    uint64_t max = US_MIN(US_LAYOUT_MAX_DUMMIES, (uint64_t)16 * k->n_boxes + 4096);
    uint32_t span = US_MAX(k->l->n_layers, 1);
    while (span > 1 && count_dummies(k, span) > max)
        span -= span / 4 + 1;
    k->l->span = US_MAX(span, 1);
}

/* --- vertices and edges ----------------------------------------------------------------------------------- */

static us_err add_dummies(us_lay *k)
{
    us_layout *l = k->l;
    uint64_t n = l->n_boxes + count_dummies(k, l->span);
    uint32_t *layer = us_new_n(k->a, uint32_t, n + 1);
    k->w = us_new_n(k->a, float, n + 1);
    k->pos = us_new_n(k->a, uint32_t, n + 1);
    k->right = us_new_n(k->a, float, n + 1);
    k->owner = us_new_n(k->a, uint32_t, n + 1);
    k->net0 = us_new_n(k->a, uint32_t, (size_t)l->n_nets + 1);
    k->net_n = us_new_n(k->a, uint32_t, (size_t)l->n_nets + 1);
    if (!layer || !k->w || !k->pos || !k->right || !k->owner || !k->net0 || !k->net_n)
        return us_arena_fail(k->c, k->a);
    for (uint32_t b = 0; b < l->n_boxes; b++) {
        layer[b] = k->layer[b];
        k->w[b] = l->boxes[b].w;
        k->right[b] = fmaxf(l->boxes[b].w / 2, l->boxes[b].right);
        k->owner[b] = b;
    }
    k->n = l->n_boxes;
    for (uint32_t i = 0; i < l->n_nets; i++) {
        uint32_t far = reach(k, &l->nets[i], l->span);
        k->net0[i] = k->n;
        k->net_n[i] = far > 1 ? far - 1 : 0;
        for (uint32_t j = 0; j < k->net_n[i]; j++) {
            layer[k->n] = k->layer[l->nets[i].from] + 1 + j;
            k->owner[k->n] = l->nets[i].from;
            k->right[k->n] = 0.5F;
            k->w[k->n++] = 1;
        }
    }
    k->layer = layer;
    return US_OK;
}

/* The vertex of net i in the layer above where a link of this length ends. */
static uint32_t above(const us_lay *k, uint32_t i, uint32_t n)
{
    return n > 1 ? k->net0[i] + n - 2 : k->l->nets[i].from;
}

static us_err add_edges(us_lay *k)
{
    us_layout *l = k->l;
    size_t max = k->n + 1;
    for (uint32_t i = 0; i < l->n_nets; i++)
        max += l->nets[i].n_links;
    k->edges = us_new_n(k->a, us_lay_edge, max);
    if (!k->edges) return us_arena_fail(k->c, k->a);
    for (uint32_t i = 0; i < l->n_nets; i++) {
        const us_lay_net *net = &l->nets[i];
        for (uint32_t j = 0; j < k->net_n[i]; j++)
            k->edges[k->n_edges++] = (us_lay_edge){above(k, i, j + 1), k->net0[i] + j};
        for (uint32_t j = 0; j < net->n_links; j++) {
            uint32_t n = length(k, net, &net->links[j]);
            if (n <= l->span)
                k->edges[k->n_edges++] = (us_lay_edge){above(k, i, n), net->links[j].to};
        }
    }
    return US_OK;
}

static us_err index_edges(us_lay *k)
{
    size_t n = (size_t)k->n + 3;
    k->up0 = us_new_n(k->a, uint32_t, n);
    k->down0 = us_new_n(k->a, uint32_t, n);
    k->up = us_new_n(k->a, uint32_t, (size_t)k->n_edges + 1);
    k->down = us_new_n(k->a, uint32_t, (size_t)k->n_edges + 1);
    if (!k->up0 || !k->down0 || !k->up || !k->down) return us_arena_fail(k->c, k->a);
    for (uint32_t e = 0; e < k->n_edges; e++) {
        k->up0[k->edges[e].down + 2]++;
        k->down0[k->edges[e].up + 2]++;
    }
    for (uint32_t v = 2; v <= k->n + 1; v++) {
        k->up0[v] += k->up0[v - 1];
        k->down0[v] += k->down0[v - 1];
    }
    for (uint32_t e = 0; e < k->n_edges; e++) {
        k->up[k->up0[k->edges[e].down + 1]++] = e;
        k->down[k->down0[k->edges[e].up + 1]++] = e;
    }
    return US_OK;
}

static us_err make_layers(us_lay *k)
{
    uint32_t n = k->l->n_layers;
    k->at = us_new_n(k->a, uint32_t *, (size_t)n + 1);
    k->n_at = us_new_n(k->a, uint32_t, (size_t)n + 1);
    uint32_t *all = us_new_n(k->a, uint32_t, (size_t)k->n + 1);
    if (!k->at || !k->n_at || !all) return us_arena_fail(k->c, k->a);
    for (uint32_t v = 0; v < k->n; v++)
        k->n_at[k->layer[v]]++;
    for (uint32_t i = 0; i < n; i++) {
        k->at[i] = all;
        all += k->n_at[i];
        k->n_at[i] = 0;
    }
    return US_OK;
}

/* --- where lines leave and enter --------------------------------------------------------------------------- */

typedef struct port {
    uint32_t box, net, link;
    float x; /* where the line comes from or goes to */
} port;

static int by_box_and_x(const void *pa, const void *pb)
{
    const port *a = pa, *b = pb;
    if (a->box != b->box) return a->box < b->box ? -1 : 1;
    if (a->x != b->x) return a->x < b->x ? -1 : 1;
    if (a->net != b->net) return a->net < b->net ? -1 : 1;
    return a->link < b->link ? -1 : a->link > b->link;
}

/* Each port as near as may be to where its line comes from, so that straight lines stay straight; a single one is in the
 * middle. n ports of one box, sorted. */
static void spread_box(port *p, uint32_t n, const us_lay_box *b)
{
    float step = fminf(PORT_STEP, b->w / (float)(n + 1));
    float lo = b->x + step / 2, hi = b->x + b->w - step / 2;
    if (n == 1) p[0].x = b->x + b->w / 2;
    if (n == 1) return;
    for (uint32_t i = 0; i < n; i++, lo += step)
        p[i].x = lo = fmaxf(lo, fminf(p[i].x, hi));
    for (uint32_t i = n; i-- > 0; hi -= step)
        p[i].x = hi = fminf(hi, p[i].x);
}

/* ends: end_x of links, else start_x of nets. */
static void spread(us_lay *k, port *p, uint32_t n, bool ends)
{
    us_layout *l = k->l;
    qsort(p, n, sizeof *p, by_box_and_x);
    for (uint32_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && p[j].box == p[i].box;)
            j++;
        spread_box(p + i, j - i, &l->boxes[p[i].box]);
        for (uint32_t q = i; q < j; q++) {
            float x = p[q].x;
            us_lay_net *net = &l->nets[p[q].net];
            if (ends) {
                net->links[p[q].link].end_x = x;
            } else {
                net->start_x = x;
                net->n_right = j - 1 - q;
            }
        }
    }
}

static us_err place_ports(us_lay *k)
{
    us_layout *l = k->l;
    uint32_t n = 0;
    size_t max = (size_t)l->n_nets + 1;
    for (uint32_t i = 0; i < l->n_nets; i++)
        max += l->nets[i].n_links;
    port *p = us_new_n(k->a, port, max);
    if (!p) return us_arena_fail(k->c, k->a);
    for (uint32_t i = 0; i < l->n_nets; i++) {
        const us_lay_net *net = &l->nets[i];
        float x = k->net_n[i] ? k->x[k->net0[i]] : 0;
        if (k->net_n[i] == 0 && net->n_links > 0) x = k->x[net->links[0].to];
        p[n++] = (port){net->from, i, 0, x};
    }
    spread(k, p, n, false);
    n = 0;
    for (uint32_t i = 0; i < l->n_nets; i++) {
        const us_lay_net *net = &l->nets[i];
        for (uint32_t j = 0; j < net->n_links; j++) {
            uint32_t far = length(k, net, &net->links[j]);
            float x = far == 1         ? net->start_x
                      : far <= l->span ? k->x[above(k, i, far)]
                                       : INFINITY;
            p[n++] = (port){net->links[j].to, i, j, x};
        }
    }
    spread(k, p, n, true);
    return US_OK;
}

/* --- heights and curves ---------------------------------------------------------------------------------------- */

typedef struct bands { /* per layer */
    float *top, *bottom;
} bands;

static us_err place_layers(us_lay *k, bands *t)
{
    us_layout *l = k->l;
    size_t n = (size_t)l->n_layers + 1;
    float *wide = us_new_n(k->a, float, n), y = 0;
    t->top = us_new_n(k->a, float, n);
    t->bottom = us_new_n(k->a, float, n);
    if (!wide || !t->top || !t->bottom) return us_arena_fail(k->c, k->a);
    for (uint32_t e = 0; e < k->n_edges; e++) {
        const us_lay_edge *d = &k->edges[e];
        uint32_t i = k->layer[d->up];
        wide[i] = fmaxf(wide[i], fabsf(k->x[d->up] - k->x[d->down]));
    }
    for (uint32_t b = 0; b < l->n_boxes; b++)
        t->bottom[k->layer[b]] = fmaxf(t->bottom[k->layer[b]], l->boxes[b].h);
    for (uint32_t i = 0; i < l->n_layers; i++) {
        t->top[i] = y;
        t->bottom[i] += y;
        y = t->bottom[i] + l->gap_y + fminf(MAX_WIDER, wide[i] * WIDER_GAP);
    }
    l->h = l->n_layers ? t->bottom[l->n_layers - 1] : 0;
    for (uint32_t b = 0; b < l->n_boxes; b++) {
        l->boxes[b].x = k->x[b] - l->boxes[b].w / 2;
        l->boxes[b].y = t->top[k->layer[b]];
        l->boxes[b].layer = k->layer[b];
    }
    return US_OK;
}

static us_err draw_link(us_lay *k, const bands *t, uint32_t i, us_lay_link *link)
{
    const us_lay_net *net = &k->l->nets[i];
    const us_lay_box *from = &k->l->boxes[net->from];
    uint32_t far = length(k, net, link), n = 0;
    link->at = NULL;
    link->n_at = 0;
    if (far > k->l->span) return US_OK;
    us_lay_point *p = us_new_n(k->a, us_lay_point, 2 * (size_t)far + 1);
    if (!p) return us_arena_fail(k->c, k->a);
    p[n++] = (us_lay_point){net->start_x, from->y + from->h, false};
    p[n++] = (us_lay_point){net->start_x, t->bottom[from->layer], false};
    for (uint32_t j = 0; j + 1 < far; j++) {
        uint32_t v = k->net0[i] + j;
        p[n++] = (us_lay_point){k->x[v], t->top[k->layer[v]], false};
        p[n++] = (us_lay_point){k->x[v], t->bottom[k->layer[v]], false};
    }
    p[n++] = (us_lay_point){link->end_x, k->l->boxes[link->to].y, false};
    link->at = p;
    link->n_at = n;
    link->first = link->trunk ? 0 : n - 2;
    return US_OK;
}

static void mark_trunk(const us_lay *k, us_lay_net *net)
{
    uint32_t far = reach(k, net, k->l->span);
    for (uint32_t j = 0; j < net->n_links; j++) {
        net->links[j].trunk = length(k, net, &net->links[j]) == far;
        if (net->links[j].trunk) return;
    }
}

us_err us_layout_run(us_ctx *c, us_arena *a, us_layout *l)
{
    us_lay k = {.c = c, .a = a, .l = l, .n_boxes = l->n_boxes};
    bands t;
    if (l->n_boxes > US_LAYOUT_MAX_BOXES)
        return us_fail(c, US_LIMIT, "%u boxes are too many for a drawing, at most %u",
                       l->n_boxes, US_LAYOUT_MAX_BOXES);
    k.layer = us_new_n(a, uint32_t, (size_t)l->n_boxes + 1);
    if (!k.layer) return us_arena_fail(c, a);
    US_TRY(us_lay_layers(&k));
    choose_span(&k);
    US_TRY(add_dummies(&k));
    US_TRY(add_edges(&k));
    US_TRY(index_edges(&k));
    US_TRY(make_layers(&k));
    US_TRY(us_lay_order(&k));
    US_TRY(us_lay_place(&k));
    US_TRY(place_layers(&k, &t));
    US_TRY(place_ports(&k));
    for (uint32_t i = 0; i < l->n_nets; i++)
        mark_trunk(&k, &l->nets[i]);
    for (uint32_t i = 0; i < l->n_nets; i++)
        for (uint32_t j = 0; j < l->nets[i].n_links; j++)
            US_TRY(draw_link(&k, &t, i, &l->nets[i].links[j]));
    l->n_columns = 1;
    return l->page_w > 0 ? us_lay_fold(&k, t.top, t.bottom) : US_OK;
}
