/* The layout's promises on graphs of many kinds: links go down, boxes stay apart, the same bytes again, in bounded work. */
#include "us_test.h"

#include "base/rng.h"
#include "inspect/layout.h"

typedef struct drawing {
    us_ctx c;
    us_arena *a;
    us_layout l;
} drawing;

/* n boxes; each reads up to `most` results of boxes at most `back` before it. most 0: no links. */
static void make(drawing *d, uint32_t n, uint32_t most, uint32_t back, uint64_t seed)
{
    us_rng r = us_rng_new(seed, "layout", 0);
    us_ctx_init(&d->c);
    CHECK_OK(&d->c, us_arena_new(&d->c, "test", (size_t)2 << 30, &d->a));
    d->l = (us_layout){.n_boxes = n, .n_nets = n, .gap_x = 30, .gap_y = 40};
    d->l.boxes = us_new_n(d->a, us_lay_box, n + 1);
    d->l.nets = us_new_n(d->a, us_lay_net, n + 1);
    us_lay_link *links = us_new_n(d->a, us_lay_link, (size_t)n * (most + 1) + 1);
    uint32_t *reads = us_new_n(d->a, uint32_t, (size_t)n * (most + 1) + 1), n_reads = 0;
    uint32_t *reader = us_new_n(d->a, uint32_t, (size_t)n * (most + 1) + 1);
    CHECK(d->l.boxes && d->l.nets && links && reads && reader);
    for (uint32_t i = 0; i < n; i++) {
        d->l.boxes[i].w = 60 + (float)us_rng_below(&r, 200);
        d->l.boxes[i].h = 24 + (float)us_rng_below(&r, 100);
        d->l.nets[i].from = i;
        for (uint32_t k = i && most ? (uint32_t)us_rng_below(&r, most) + 1 : 0; k > 0; k--) {
            reads[n_reads] = i - 1 - (uint32_t)us_rng_below(&r, US_MIN(i, back));
            reader[n_reads] = i;
            d->l.nets[reads[n_reads++]].n_links++;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        d->l.nets[i].links = links;
        links += d->l.nets[i].n_links;
        d->l.nets[i].n_links = 0;
    }
    for (uint32_t i = 0; i < n_reads; i++) {
        us_lay_net *net = &d->l.nets[reads[i]];
        net->links[net->n_links++].to = reader[i];
    }
}

static void drop(drawing *d)
{
    us_arena_free(d->a);
    us_ctx_deinit(&d->c);
}

static const us_lay_box *boxes; /* of the drawing being sorted */
static int by_place(const void *pa, const void *pb)
{
    const us_lay_box *a = &boxes[*(const uint32_t *)pa], *b = &boxes[*(const uint32_t *)pb];
    if (a->layer != b->layer) return a->layer < b->layer ? -1 : 1;
    return a->x < b->x ? -1 : a->x > b->x;
}

static void check_boxes_apart(drawing *d)
{
    uint32_t *at = us_new_n(d->a, uint32_t, d->l.n_boxes + 1);
    float bottom = 0, top = 0;
    CHECK(at);
    boxes = d->l.boxes;
    for (uint32_t i = 0; i < d->l.n_boxes; i++)
        at[i] = i;
    qsort(at, d->l.n_boxes, sizeof *at, by_place);
    for (uint32_t i = 0; i < d->l.n_boxes; i++) {
        const us_lay_box *b = &boxes[at[i]], *a = i ? &boxes[at[i - 1]] : NULL;
        CHECK(b->x >= -1 && b->y >= 0 && b->x + b->w <= d->l.w + 1 &&
              b->y + b->h <= d->l.h + 1);
        if (a && a->layer == b->layer) {
            CHECK(b->x >= a->x + a->w + d->l.gap_x - 1);
            CHECK(b->y == a->y);
        } else {
            CHECK(!a || b->y >= bottom + d->l.gap_y - 1);
            top = b->y;
        }
        bottom = US_MAX(bottom, top + b->h);
    }
}

static void check_links_down(const drawing *d)
{
    for (uint32_t i = 0; i < d->l.n_nets; i++)
        for (uint32_t j = 0; j < d->l.nets[i].n_links; j++) {
            const us_lay_link *k = &d->l.nets[i].links[j];
            const us_lay_box *from = &d->l.boxes[d->l.nets[i].from], *to = &d->l.boxes[k->to];
            CHECK(to->layer > from->layer);
            CHECK((k->at == NULL) == (to->layer - from->layer > d->l.span));
            if (!k->at) continue;
            for (uint32_t p = 1; p < k->n_at; p++)
                CHECK(k->at[p].y >= k->at[p - 1].y);
            CHECK(k->at[0].y == from->y + from->h && k->at[k->n_at - 1].y == to->y);
            CHECK(k->at[0].x >= from->x && k->at[0].x <= from->x + from->w);
            CHECK(k->end_x >= to->x && k->end_x <= to->x + to->w);
        }
}

static void check_graph(uint32_t n, uint32_t most, uint32_t back, uint64_t seed)
{
    drawing d, e;
    make(&d, n, most, back, seed);
    make(&e, n, most, back, seed);
    CHECK_OK(&d.c, us_layout_run(&d.c, d.a, &d.l));
    CHECK_OK(&e.c, us_layout_run(&e.c, e.a, &e.l));
    check_boxes_apart(&d);
    check_links_down(&d);
    CHECK(n == 0 || memcmp(d.l.boxes, e.l.boxes, n * sizeof *d.l.boxes) == 0);
    CHECK_EQ_U64(d.l.crossings, e.l.crossings);
    drop(&d);
    drop(&e);
}

static void test_layout__no_boxes_and_few(void)
{
    for (uint32_t n = 0; n < 6; n++)
        check_graph(n, 2, 3, n);
}

static void test_layout__boxes_without_links_stand_side_by_side(void)
{
    check_graph(50, 0, 1, 1);
}

static void test_layout__random_graphs(void)
{
    for (uint64_t seed = 0; seed < 60; seed++)
        check_graph(20 + (uint32_t)seed * 5, 1 + seed % 4, 1 + (uint32_t)seed, seed);
}

/* --- columns -------------------------------------------------------------------------------------------- */

static void check_none_overlap(const drawing *d)
{
    for (uint32_t i = 0; i < d->l.n_boxes; i++)
        for (uint32_t j = 0; j < i; j++) {
            const us_lay_box *a = &d->l.boxes[i], *b = &d->l.boxes[j];
            CHECK(a->x >= b->x + b->w || b->x >= a->x + a->w || a->y >= b->y + b->h ||
                  b->y >= a->y + a->h);
        }
}

/* A line begins and ends at its boxes, stays within the drawing, and outside of turns goes down. */
static void check_folded_line(const drawing *d, const us_lay_net *net, const us_lay_link *k)
{
    const us_lay_box *from = &d->l.boxes[net->from], *to = &d->l.boxes[k->to];
    CHECK_NEAR(k->at[0].y, from->y + from->h, 0.1);
    CHECK_NEAR(k->at[0].x, net->start_x, 0.1);
    CHECK_NEAR(k->at[k->n_at - 1].y, to->y, 0.1);
    CHECK_NEAR(k->at[k->n_at - 1].x, k->end_x, 0.1);
    CHECK(k->end_x >= to->x && k->end_x <= to->x + to->w && k->first < k->n_at);
    for (uint32_t p = 0; p < k->n_at; p++) {
        CHECK(k->at[p].x >= -1 && k->at[p].x <= d->l.w + 1);
        CHECK(k->at[p].y >= -1 && k->at[p].y <= d->l.h + 1);
        if (p && k->at[p].corner)
            CHECK(k->at[p].x == k->at[p - 1].x || k->at[p].y == k->at[p - 1].y);
        else if (p)
            CHECK(k->at[p].y >= k->at[p - 1].y);
    }
}

static uint32_t fold(uint32_t n, uint32_t most, uint32_t back, uint32_t columns, uint64_t seed)
{
    drawing d;
    make(&d, n, most, back, seed);
    d.l.page_w = 1600;
    d.l.page_h = 900;
    d.l.columns = columns;
    CHECK_OK(&d.c, us_layout_run(&d.c, d.a, &d.l));
    check_none_overlap(&d);
    for (uint32_t i = 0; i < d.l.n_nets; i++)
        for (uint32_t j = 0; j < d.l.nets[i].n_links; j++)
            if (d.l.nets[i].links[j].at)
                check_folded_line(&d, &d.l.nets[i], &d.l.nets[i].links[j]);
    CHECK(columns == 0 || d.l.n_columns <= columns);
    uint32_t found = d.l.n_columns;
    drop(&d);
    return found;
}

static void test_layout__columns(void)
{
    CHECK_EQ_U64(fold(0, 1, 1, 0, 1), 1);
    CHECK_EQ_U64(fold(3, 1, 1, 0, 1), 1);
    CHECK(fold(200, 1, 1, 0, 1) > 3); /* a chain */
    CHECK_EQ_U64(fold(200, 1, 1, 3, 1), 3);
    CHECK_EQ_U64(fold(200, 1, 1, 1, 1), 1);
    CHECK(fold(200, 1, 1, 1000, 1) > 40);
    uint32_t folded = 0;
    for (uint64_t seed = 0; seed < 60; seed++)
        folded += fold(30 + (uint32_t)seed * 5, 1 + (uint32_t)seed % 3, 2 + (uint32_t)seed % 7,
                       (uint32_t)seed % 5, seed) > 1;
    CHECK(folded > 30);
}

/* Constants and shortcuts hang on the trunk, they do not bend it. */
static void test_layout__the_trunk_is_straight(void)
{
    enum { N = 60 };
    us_lay_box all[2 * N];
    us_lay_net nets[2 * N];
    us_lay_link links[3 * N];
    us_ctx c;
    us_arena *a;
    us_layout l = {.boxes = all, .nets = nets, .n_boxes = 2 * N, .n_nets = 2 * N};
    us_lay_link *next = links;
    us_ctx_init(&c);
    CHECK_OK(&c, us_arena_new(&c, "test", (size_t)64 << 20, &a));
    memset(all, 0, sizeof all);
    memset(nets, 0, sizeof nets);
    memset(links, 0, sizeof links);
    l.gap_x = 30;
    l.gap_y = 40;
    for (uint32_t i = 0; i < N;
         i++) { /* box i reads box i - 1, box N + i, and now and then box i - 4 */
        all[i].w = all[N + i].w = 100;
        all[i].h = all[N + i].h = 30;
        nets[i] = (us_lay_net){.from = i, .links = next};
        if (i + 1 < N) nets[i].links[nets[i].n_links++].to = i + 1;
        if (i % 5 == 1 && i + 4 < N) nets[i].links[nets[i].n_links++].to = i + 4;
        next += nets[i].n_links;
        nets[N + i] = (us_lay_net){.from = N + i, .links = next, .n_links = 1};
        next++->to = i;
    }
    CHECK_OK(&c, us_layout_run(&c, a, &l));
    for (uint32_t i = 2; i < N; i++)
        CHECK(all[i].x == all[1].x);
    us_arena_free(a);
    us_ctx_deinit(&c);
}

static void test_layout__a_chain_is_straight(void)
{
    drawing d;
    make(&d, 100, 1, 1, 3);
    CHECK_OK(&d.c, us_layout_run(&d.c, d.a, &d.l));
    CHECK_EQ_U64(d.l.n_layers, 100);
    CHECK_EQ_U64(d.l.crossings, 0);
    for (uint32_t i = 1; i < 100; i++)
        CHECK_NEAR(d.l.boxes[i].x + d.l.boxes[i].w / 2, d.l.boxes[0].x + d.l.boxes[0].w / 2,
                   0.1);
    drop(&d);
}

/* Lines that could run side by side do: two chains joined at both ends cross nowhere. */
static void test_layout__a_ladder_has_no_crossings(void)
{
    drawing d;
    make(&d, 42, 0, 1, 5);
    us_lay_link *links = us_new_n(d.a, us_lay_link, 100);
    CHECK(links);
    for (uint32_t i = 0; i + 1 < 42; i++) { /* 0 -> 1, 2; i -> i + 2; both ends -> 41 */
        d.l.nets[i].links = links;
        uint32_t first = i == 0 ? 1 : US_MIN(i + 2, 41), n = i == 0 ? 2 : 1;
        for (uint32_t j = 0; j < n; j++)
            links[j].to = first + j;
        d.l.nets[i].n_links = n;
        links += n;
    }
    CHECK_OK(&d.c, us_layout_run(&d.c, d.a, &d.l));
    CHECK_EQ_U64(d.l.crossings, 0);
    check_boxes_apart(&d);
    drop(&d);
}

static void test_layout__a_circle_is_refused(void)
{
    drawing d;
    make(&d, 3, 0, 1, 1);
    us_lay_link l[3] = {{.to = 1}, {.to = 2}, {.to = 0}};
    for (int i = 0; i < 3; i++) {
        d.l.nets[i].links = &l[i];
        d.l.nets[i].n_links = 1;
    }
    CHECK_ERR(us_layout_run(&d.c, d.a, &d.l), US_FORMAT);
    drop(&d);
}

static void test_layout__too_many_boxes_are_refused(void)
{
    drawing d;
    make(&d, 1, 0, 1, 1);
    d.l.n_boxes = US_LAYOUT_MAX_BOXES + 1;
    CHECK_ERR(us_layout_run(&d.c, d.a, &d.l), US_LIMIT);
    drop(&d);
}

/* Work is bounded by what is drawn: long links are cut before dummies outnumber boxes by more than the limit. */
static void test_layout__five_thousand_boxes_within_the_limits(void)
{
    drawing d;
    make(&d, 5000, 3, 4000, 7);
    CHECK_OK(&d.c, us_layout_run(&d.c, d.a, &d.l));
    check_boxes_apart(&d);
    check_links_down(&d);
    CHECK(us_arena_used(d.a) < (size_t)64 << 20);
    drop(&d);
    make(&d, 5000, 2, 12, 8);
    CHECK_OK(&d.c, us_layout_run(&d.c, d.a, &d.l));
    check_boxes_apart(&d);
    CHECK(d.l.span >= 64);
    drop(&d);
}

static const us_test_case cases[] = {
    US_CASE(test_layout__no_boxes_and_few),
    US_CASE(test_layout__boxes_without_links_stand_side_by_side),
    US_CASE(test_layout__random_graphs),
    US_CASE(test_layout__columns),
    US_CASE(test_layout__the_trunk_is_straight),
    US_CASE(test_layout__a_chain_is_straight),
    US_CASE(test_layout__a_ladder_has_no_crossings),
    US_CASE(test_layout__a_circle_is_refused),
    US_CASE(test_layout__too_many_boxes_are_refused),
    US_CASE(test_layout__five_thousand_boxes_within_the_limits)};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
