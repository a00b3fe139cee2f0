/* check_forest - walks of groups against one step at a time with floats: keys' order, NaN, zeros, infinities, trees of any shape. */
#include "us_test.h"

#include "base/rng.h"
#include "kernel/forest.h"

static const float odd[] = {0.0F,   -0.0F,   1.0F,    -1.0F,    INFINITY, -INFINITY, NAN,
                            1e-45F, -1e-45F, 3.4e38F, -3.4e38F, 0.5F,     -0.5F};

static uint32_t key_of(float x)
{
    uint32_t k;
    (void)us_forest_keys(1, &x, &k);
    return k;
}

static void test_keys__are_in_the_order_of_numbers(void)
{
    us_rng r = us_rng_new(3, "keys", 0);
    for (size_t i = 0; i < 20000; i++) {
        uint32_t bits[2] = {us_rng_u32(&r), us_rng_u32(&r)};
        float x[2];
        memcpy(x, bits, sizeof x);
        if (i < US_LEN(odd) * US_LEN(odd)) {
            x[0] = odd[i % US_LEN(odd)];
            x[1] = odd[i / US_LEN(odd)];
        }
        uint32_t keys[2];
        CHECK(us_forest_keys(2, x, keys) == (isnan(x[0]) || isnan(x[1])));
        if (isnan(x[0])) CHECK(keys[0] == UINT32_MAX);
        if (isnan(x[0]) || isnan(x[1])) continue;
        CHECK((keys[0] < keys[1]) == (x[0] < x[1]));
        CHECK((keys[0] == keys[1]) == (x[0] == x[1]));
    }
    CHECK(!us_forest_keys(0, odd, NULL));
}

enum { TREES = 24, DEPTH = 9, FEATURES = 5, ROWS = 32, NODES = TREES * 2048 };

typedef struct forest {
    us_tree_node *nodes;
    float *t; /* as floats, of branches */
    uint32_t n, roots[TREES], depth[TREES], groups[TREES / US_FOREST_GROUP];
} forest;

static void grow(forest *f, us_rng *r, uint32_t at, uint32_t level, uint32_t most,
                 uint32_t *depth)
{
    if (level == most || (level > 0 && us_rng_below(r, 5) == 0)) {
        f->nodes[at] = (us_tree_node){.child = at, .more = at % 3};
        if (level > *depth) *depth = level;
        return;
    }
    float t = us_rng_below(r, 6) == 0 ? odd[us_rng_below(r, 6)] : us_rng_f32(r) * 2 - 1;
    uint32_t child = f->n;
    f->n += 2;
    f->t[at] = t;
    f->nodes[at] = (us_tree_node){.t = key_of(t),
                                  .feature = (uint32_t)us_rng_below(r, FEATURES),
                                  .child = child,
                                  .more = (uint32_t)us_rng_below(r, 2)};
    grow(f, r, child, level + 1, most, depth);
    grow(f, r, child + 1, level + 1, most, depth);
}

static void make(forest *f, us_rng *r)
{
    memset(f, 0, sizeof *f);
    f->nodes = malloc(NODES * sizeof *f->nodes);
    f->t = malloc(NODES * sizeof *f->t);
    for (uint32_t i = 0; i < TREES; i++) {
        uint32_t *deepest = &f->groups[i / US_FOREST_GROUP];
        f->roots[i] = f->n++;
        grow(f, r, f->roots[i], 0, i % (DEPTH + 1), &f->depth[i]);
        if (f->depth[i] > *deepest) *deepest = f->depth[i];
    }
}

static uint32_t walk(const forest *f, uint32_t at, const float *x)
{
    while (f->nodes[at].child != at) {
        const us_tree_node *n = &f->nodes[at];
        float v = x[n->feature];
        at = n->child + (isnan(v) ? n->more : v < f->t[at]);
    }
    return at;
}

static void test_walks__arrive_where_single_steps_do(void)
{
    us_rng r = us_rng_new(4, "walks", 0);
    forest f;
    for (int round = 0; round < 20; round++) {
        float x[ROWS * FEATURES];
        uint32_t keys[ROWS * FEATURES], leaves[ROWS];
        make(&f, &r);
        for (size_t i = 0; i < US_LEN(x); i++) {
            x[i] = us_rng_below(&r, 4) == 0 ? odd[us_rng_below(&r, US_LEN(odd))]
                                            : us_rng_f32(&r) * 2 - 1;
            if (round % 2 && isnan(x[i])) x[i] = 0;
        }
        bool nan = us_forest_keys(US_LEN(x), x, keys);
        for (size_t i = 0; i < ROWS; i++) {
            us_forest_walk_trees(f.nodes, nan, TREES, f.roots, f.groups, keys + i * FEATURES,
                                 leaves);
            for (size_t t = 0; t < TREES; t++)
                CHECK_EQ_U64(leaves[t], walk(&f, f.roots[t], x + i * FEATURES));
        }
        for (size_t t = 0; t < TREES; t++) {
            us_forest_walk_rows(f.nodes, nan, f.roots[t], f.depth[t], ROWS, keys, FEATURES,
                                leaves);
            for (size_t i = 0; i < ROWS; i++)
                CHECK_EQ_U64(leaves[i], walk(&f, f.roots[t], x + i * FEATURES));
        }
        free(f.nodes);
        free(f.t);
    }
}

static const us_test_case cases[] = {
    US_CASE(test_keys__are_in_the_order_of_numbers),
    US_CASE(test_walks__arrive_where_single_steps_do),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
