/* inspect/layout_layers.c - which box stands in which layer.
 *
 * Longest path from the top gives the fewest layers. It leaves boxes that start a side branch far above the place
 * where they are needed, so from the bottom up each box sinks as long as that does not make lines longer in all: a side
 * branch as a whole stands beside its first reader.
 */
#include "inspect/layout_net.h"

#define SINK_ROUNDS 3

typedef struct links {
    uint32_t *out0, *out; /* boxes below box b (one entry a link): out[out0[b]] .. */
    uint32_t *in0, *in;   /* nets that end in box b, one entry a link */
    uint32_t *order;      /* boxes, each after those above it */
} links;

static us_err index_links(us_lay *k, links *t)
{
    const us_layout *l = k->l;
    size_t n = (size_t)l->n_boxes + 1, n_links = 0;
    for (uint32_t i = 0; i < l->n_nets; i++)
        n_links += l->nets[i].n_links;
    t->out0 = us_new_n(k->a, uint32_t, n + 1);
    t->in0 = us_new_n(k->a, uint32_t, n + 1);
    t->out = us_new_n(k->a, uint32_t, n_links + 1);
    t->in = us_new_n(k->a, uint32_t, n_links + 1);
    t->order = us_new_n(k->a, uint32_t, n);
    if (!t->out0 || !t->in0 || !t->out || !t->in || !t->order) return us_arena_fail(k->c, k->a);
    /* counted one place further on, so that filling moves each start to where it belongs */
    for (uint32_t i = 0; i < l->n_nets; i++)
        for (uint32_t j = 0; j < l->nets[i].n_links; j++) {
            t->out0[l->nets[i].from + 2]++;
            t->in0[l->nets[i].links[j].to + 2]++;
        }
    for (size_t b = 2; b <= n; b++) {
        t->out0[b] += t->out0[b - 1];
        t->in0[b] += t->in0[b - 1];
    }
    for (uint32_t i = 0; i < l->n_nets; i++)
        for (uint32_t j = 0; j < l->nets[i].n_links; j++) {
            t->out[t->out0[l->nets[i].from + 1]++] = l->nets[i].links[j].to;
            t->in[t->in0[l->nets[i].links[j].to + 1]++] = i;
        }
    return US_OK;
}

static us_err longest_path(us_lay *k, links *t)
{
    const us_layout *l = k->l;
    uint32_t n = 0, *left = us_new_n(k->a, uint32_t, l->n_boxes + 1);
    if (!left) return us_arena_fail(k->c, k->a);
    for (uint32_t b = 0; b < l->n_boxes; b++) {
        left[b] = t->in0[b + 1] - t->in0[b];
        if (left[b] == 0) t->order[n++] = b;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t b = t->order[i];
        k->above[b] = k->layer[b];
        for (uint32_t j = t->out0[b]; j < t->out0[b + 1]; j++) {
            uint32_t d = t->out[j];
            k->layer[d] = US_MAX(k->layer[d], k->layer[b] + 1);
            if (--left[d] == 0) t->order[n++] = d;
        }
    }
    if (n < l->n_boxes)
        return us_fail(k->c, US_FORMAT, "the links to be drawn go round in a circle");
    return US_OK;
}

/* Lines into box b that grow when it sinks: those whose furthest reader it is. */
static uint32_t grows(const us_lay *k, const links *t, uint32_t b)
{
    uint32_t n = 0;
    for (uint32_t j = t->in0[b]; j < t->in0[b + 1]; j++) {
        const us_lay_net *net = &k->l->nets[t->in[j]];
        bool furthest = true;
        for (uint32_t i = 0; i < net->n_links && furthest; i++)
            furthest = k->layer[net->links[i].to] <= k->layer[b];
        n += furthest;
    }
    return n;
}

static void sink(us_lay *k, const links *t, const uint32_t *n_nets)
{
    for (uint32_t i = k->l->n_boxes; i-- > 0;) {
        uint32_t b = t->order[i], low = UINT32_MAX;
        for (uint32_t j = t->out0[b]; j < t->out0[b + 1]; j++)
            low = US_MIN(low, k->layer[t->out[j]]);
        if (low != UINT32_MAX && low - 1 > k->layer[b] && grows(k, t, b) <= n_nets[b])
            k->layer[b] = low - 1;
    }
}

us_err us_lay_layers(us_lay *k)
{
    links t;
    uint32_t *n_nets = us_new_n(k->a, uint32_t, k->l->n_boxes + 1);
    k->above = us_new_n(k->a, uint32_t, k->l->n_boxes + 1);
    if (!n_nets || !k->above) return us_arena_fail(k->c, k->a);
    for (uint32_t i = 0; i < k->l->n_nets; i++)
        n_nets[k->l->nets[i].from]++;
    US_TRY(index_links(k, &t));
    US_TRY(longest_path(k, &t));
    for (int r = 0; r < SINK_ROUNDS; r++)
        sink(k, &t, n_nets);
    uint32_t top = UINT32_MAX, bottom = 0;
    for (uint32_t b = 0; b < k->l->n_boxes; b++) {
        top = US_MIN(top, k->layer[b]);
        bottom = US_MAX(bottom, k->layer[b]);
    }
    for (uint32_t b = 0; b < k->l->n_boxes; b++)
        k->layer[b] -= top;
    k->l->n_layers = k->l->n_boxes ? bottom - top + 1 : 0;
    return US_OK;
}
