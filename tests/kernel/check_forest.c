/* check_forest - keys, walks, ranks, hops, tops and sums of kernel/forest.h against one step at a time with floats: the order of numbers, NaN, zeros,
 * infinities, trees of any shape, columns of one limit and of the most; the levels against the reference, byte for byte. */
#include "levels.h"

static const float odd[] = {0.0F,   -0.0F,   1.0F,    -1.0F,    INFINITY, -INFINITY, NAN,
                            1e-45F, -1e-45F, 3.4e38F, -3.4e38F, 0.5F,     -0.5F};

static uint32_t key_of(float x)
{
    const uint32_t first = 0;
    uint32_t k;
    us_forest_keys(1, &first, &x, &k, NULL);
    return k;
}

static float some_number(us_rng *r)
{
    return us_rng_below(r, 4) == 0 ? odd[us_rng_below(r, US_LEN(odd))] : us_rng_f32(r) * 2 - 1;
}

static void test_keys__are_in_the_order_of_numbers(void)
{
    static const uint32_t which[] = {1, 0};
    us_rng r = us_rng_new(3, "keys", 0);
    for (size_t i = 0; i < 20000; i++) {
        uint32_t bits[2] = {us_rng_u32(&r), us_rng_u32(&r)}, low[2], keys[2];
        float x[2];
        memcpy(x, bits, sizeof x);
        if (i < US_LEN(odd) * US_LEN(odd)) {
            x[0] = odd[i % US_LEN(odd)];
            x[1] = odd[i / US_LEN(odd)];
        }
        us_forest_keys(2, which, x, keys, low);
        CHECK(keys[0] == key_of(x[1]) && keys[1] == key_of(x[0]));
        for (int j = 0; j < 2; j++) {
            CHECK(low[j] == (isnan(x[!j]) ? 0 : keys[j]));
            CHECK((keys[j] == US_FOREST_LAST) == (isnan(x[!j]) != 0));
        }
        if (isnan(x[0]) || isnan(x[1])) continue;
        CHECK((keys[1] < keys[0]) == (x[0] < x[1]));
        CHECK((keys[1] == keys[0]) == (x[0] == x[1]));
    }
}

/* --- walks ------------------------------------------------------------------------------------------ */

enum { TREES = 24, DEPTH = 9, FEATURES = 5, ROWS = 32, NODES = TREES * 2048 };

typedef struct forest {
    us_tree_node *nodes;
    float *t; /* as floats, of branches */
    uint32_t n, roots[TREES], depth[TREES], groups[TREES / US_FOREST_GROUP];
} forest;

static void grow(forest *f, us_rng *r, uint32_t at, uint32_t from, uint32_t most,
                 uint32_t *depth)
{
    if (from == most || (from > 0 && us_rng_below(r, 5) == 0)) {
        f->nodes[at] = (us_tree_node){.t = at % 3, .key = 2 * FEATURES, .child = at};
        if (from > *depth) *depth = from;
        return;
    }
    float t = us_rng_below(r, 6) == 0 ? odd[us_rng_below(r, 6)] : us_rng_f32(r) * 2 - 1;
    uint32_t child = f->n, key = (uint32_t)us_rng_below(r, 2 * FEATURES);
    f->n += 2;
    f->t[at] = t;
    f->nodes[at] = (us_tree_node){.t = key_of(t), .key = key, .child = child};
    grow(f, r, child, from + 1, most, depth);
    grow(f, r, child + 1, from + 1, most, depth);
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

/* Keys from FEATURES on are those that take NaN for low. */
static uint32_t walk(const forest *f, uint32_t at, const float *x)
{
    while (f->nodes[at].child != at) {
        const us_tree_node *n = &f->nodes[at];
        float v = x[n->key % FEATURES];
        at = n->child + (isnan(v) ? n->key >= FEATURES : v < f->t[at]);
    }
    return at;
}

static void test_walks__arrive_where_single_steps_do(void)
{
    enum { KEYS = 2 * FEATURES + 1 };
    static const uint32_t which[FEATURES] = {0, 1, 2, 3, 4};
    us_rng r = us_rng_new(4, "walks", 0);
    forest f;
    for (int round = 0; round < 20; round++) {
        float x[ROWS * FEATURES];
        uint32_t keys[ROWS * KEYS], at[US_MAX(ROWS, TREES)];
        make(&f, &r);
        for (size_t i = 0; i < US_LEN(x); i++)
            x[i] = some_number(&r);
        for (size_t i = 0; i < ROWS; i++) {
            uint32_t *k = keys + i * KEYS;
            us_forest_keys(FEATURES, which, x + i * FEATURES, k, k + FEATURES);
            k[KEYS - 1] = US_FOREST_LAST;
            memcpy(at, f.roots, sizeof f.roots);
            us_forest_walk_trees(f.nodes, TREES, f.groups, k, at);
            for (size_t t = 0; t < TREES; t++)
                CHECK_EQ_U64(at[t], walk(&f, f.roots[t], x + i * FEATURES));
        }
        for (size_t t = 0; t < TREES; t++) {
            for (size_t i = 0; i < ROWS; i++)
                at[i] = f.roots[t];
            us_forest_walk_rows(f.nodes, f.depth[t], ROWS, keys, KEYS, at);
            for (size_t i = 0; i < ROWS; i++)
                CHECK_EQ_U64(at[i], walk(&f, f.roots[t], x + i * FEATURES));
        }
        free(f.nodes);
        free(f.t);
    }
}

/* --- tops and sums ----------------------------------------------------------------------------------- */

static int rising(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Columns of n limits each, laid out as forest.h says; sorted are the limits alone. */
typedef struct columns {
    _Alignas(64) float limits[US_FOREST_COLUMNS][US_FOREST_STRIDE];
    float sorted[US_FOREST_COLUMNS][US_FOREST_LIMITS];
    size_t n[US_FOREST_COLUMNS];
    uint32_t x[US_FOREST_COLUMNS];
} columns;

static void fill_columns(us_rng *r, columns *c)
{
    static const size_t sizes[] = {1, 15, 16, 17, 32, 33, 224, 239, US_FOREST_LIMITS};
    for (size_t i = 0; i < US_FOREST_COLUMNS; i++) {
        size_t n = c->n[i] = sizes[us_rng_below(r, US_LEN(sizes))];
        for (size_t j = 0; j < n; j++)
            c->sorted[i][j] =
                us_rng_below(r, 50) == 0 ? odd[us_rng_below(r, 4)] : us_rng_f32(r) * 4 - 2;
        qsort(c->sorted[i], n, sizeof(float), rising);
        for (size_t j = 0; j < US_FOREST_STRIDE; j++)
            c->limits[i][j] = NAN;
        memcpy(c->limits[i] + 16, c->sorted[i], n * sizeof(float));
        for (size_t b = 0; b < US_FOREST_HEADS; b++)
            c->limits[i][b] = c->limits[i][16 + 16 * b + 15];
        c->x[i] = (uint32_t)us_rng_below(r, FEATURES);
    }
}

static void check_ranks(const level *l)
{
    static columns c;
    us_rng r = us_rng_new(5, "ranks", 0);
    for (int round = 0; round < 400; round++) {
        float x[FEATURES];
        uint8_t ranks[US_FOREST_COLUMNS];
        if (round % 20 == 0) fill_columns(&r, &c);
        us_tree_columns all = {.limits = c.limits[0],
                               .x = c.x,
                               .n_high = us_rng_below(&r, US_FOREST_COLUMNS + 1),
                               .n = US_FOREST_COLUMNS};
        for (size_t i = 0; i < FEATURES; i++)
            x[i] = some_number(&r) * 2;
        if (round % 3 == 0) x[round % FEATURES] = c.sorted[0][us_rng_below(&r, c.n[0])];
        l->k.forest->ranks(&all, x, ranks);
        for (size_t i = 0; i < US_FOREST_COLUMNS; i++) {
            float v = x[c.x[i]];
            CHECK(ranks[i] <= c.n[i]);
            for (size_t j = 0; j < c.n[i]; j++) /* what a node asks for */
                CHECK_EQ_I64(ranks[i] <= j, isnan(v) ? i >= all.n_high : v < c.sorted[i][j]);
        }
    }
}

/* Limits of features one after the other, spread so that few are close; columns of them as forest.h says. */
enum { SIZES = 9, MOST = 2 * US_FOREST_LIMITS };
typedef struct features {
    columns c;
    _Alignas(64) float least[16], scale[16];
    float limits[SIZES * (MOST + US_FOREST_CLOSE)], sorted[SIZES][MOST];
    uint16_t ranks[SIZES * US_FOREST_BUCKETS];
    uint32_t first[SIZES], x[SIZES];
    uint8_t column[SIZES];
    size_t n[SIZES], n_columns, high_columns;
} features;

static void fill_feature(us_rng *r, features *f, size_t i, size_t n, float *limits)
{
    float width = us_rng_f32(r) * 10 + 0.01F, from = us_rng_f32(r) * 20 - 10;
    f->n[i] = n;
    for (size_t j = 0; j < n; j++)
        limits[j] = f->sorted[i][j] = from + width * ((float)j + us_rng_f32(r) * 0.9F);
    for (size_t j = 0; j < US_FOREST_CLOSE; j++)
        limits[n + j] = NAN;
    f->least[i] = limits[0];
    f->scale[i] = n > 1 ? US_FOREST_BUCKETS / (limits[n - 1] - limits[0]) : 1;
    for (size_t b = 0, k = 0; b < US_FOREST_BUCKETS; b++) {
        size_t begin = k;
        f->ranks[i * US_FOREST_BUCKETS + b] = (uint16_t)k;
        while (k < n && us_forest_bucket(limits[k], f->least[i], f->scale[i]) == b)
            k++;
        CHECK(k - begin <= US_FOREST_CLOSE);
    }
}

static void fill_columns_of(features *f, size_t i)
{
    f->column[i] = (uint8_t)f->n_columns;
    for (size_t at = 0; at < f->n[i]; at += US_FOREST_LIMITS, f->n_columns++) {
        float *to = f->c.limits[f->n_columns];
        for (size_t j = 0; j < US_FOREST_STRIDE; j++)
            to[j] = NAN;
        memcpy(to + 16, f->sorted[i] + at,
               US_MIN(f->n[i] - at, (size_t)US_FOREST_LIMITS) * sizeof(float));
        for (size_t b = 0; b < US_FOREST_HEADS; b++)
            to[b] = to[16 + 16 * b + 15];
        f->c.x[f->n_columns] = f->x[i];
    }
}

static us_tree_columns fill_features(us_rng *r, features *f, size_t n_high, bool straight)
{
    static const size_t sizes[SIZES] = {1, 2, 16, 100, 239, 240, 241, 300, MOST};
    size_t at = 0;
    f->n_columns = f->high_columns = 0;
    for (size_t i = 0; i < SIZES; i++) {
        f->first[i] = (uint32_t)at;
        f->x[i] = (uint32_t)(straight ? i + 1 : (i * 4 + 3) % (SIZES + 2));
        fill_feature(r, f, i, sizes[us_rng_below(r, SIZES)], f->limits + at);
        at += f->n[i] + US_FOREST_CLOSE;
        fill_columns_of(f, i);
        if (i < n_high) f->high_columns = f->n_columns;
    }
    return (us_tree_columns){.limits = f->c.limits[0],
                             .x = f->c.x,
                             .n_high = f->high_columns,
                             .n = f->n_columns,
                             .features = {n_high, SIZES, f->x, straight, f->least, f->scale,
                                          f->ranks, f->first, f->limits, f->column}};
}

/* Rows of just the numbers there are: nothing behind them is read. */
static void check_features(const level *l)
{
    static features f;
    us_rng r = us_rng_new(9, "features", 0);
    us_tree_columns all = {0};
    for (size_t round = 0; round < 600; round++) {
        bool straight = round / 20 % 2;
        uint8_t ranks[US_FOREST_COLUMNS], want[US_FOREST_COLUMNS];
        size_t width = straight ? SIZES + 1 : SIZES + 2;
        float *x = malloc(width * sizeof *x);
        if (round % 20 == 0) all = fill_features(&r, &f, us_rng_below(&r, SIZES + 1), straight);
        for (size_t i = 0; i < width; i++)
            x[i] = some_number(&r);
        for (size_t i = 0; i < SIZES; i++) {
            float limit = f.sorted[i][us_rng_below(&r, f.n[i])];
            if (us_rng_below(&r, 2)) x[f.x[i]] = limit;
            if (us_rng_below(&r, 4) == 0) x[f.x[i]] = nextafterf(limit, -INFINITY);
        }
        l->k.forest->ranks(&all, x, ranks);
        us_forest__ref.ranks(&all, x, want);
        CHECK(memcmp(ranks, want, all.n) == 0);
        free(x);
    }
}

/* Perfect trees as heaps. */
static uint32_t walk_heap(const uint8_t (*tree)[2], const uint8_t *ranks, uint32_t ends)
{
    size_t h = 1;
    while (h < ends)
        h = 2 * h + (ranks[tree[h][0]] <= tree[h][1]);
    return (uint32_t)h - ends;
}

static void put_heap(const uint8_t (*tree)[2], size_t i, uint8_t *tops, uint8_t *under)
{
    static const uint8_t down[7][2] = {{0, 0}, {1, 0}, {1, 1}, {2, 0}, {2, 1}, {2, 2}, {2, 3}};
    tops += i / US_FOREST_WIDE * 21 * US_FOREST_WIDE + i % US_FOREST_WIDE;
    for (size_t h = 1; h < 8; h++)
        for (size_t j = 0; j < 2; j++)
            tops[((h - 1) * 3 + j) * US_FOREST_WIDE] = tree[h][j];
    for (size_t s = 0; s < 8; s++)
        for (size_t k = 0; k < 7; k++)
            for (size_t j = 0; j < 2; j++)
                under[(i * 8 + s) * US_FOREST_HOP + 8 * j + k] =
                    tree[((8 + s) << down[k][0]) + down[k][1]][j];
}

static void check_hops(const level *l)
{
    static _Alignas(64) uint8_t tops[4 * 21 * US_FOREST_WIDE];
    static _Alignas(64) uint8_t under[US_FOREST_MANY * 8 * US_FOREST_HOP];
    static uint8_t trees[US_FOREST_MANY][US_FOREST_ENDS][2];
    us_rng r = us_rng_new(10, "hops", 0);
    for (size_t round = 0; round < 120; round++) {
        static const uint32_t sizes[] = {1, 7, 8, 9, 63, 64, 65, 100, 128, 129, 200, 255, 256};
        uint8_t ranks[US_FOREST_COLUMNS];
        uint32_t at[US_FOREST_MANY + 1], n = sizes[round % US_LEN(sizes)];
        bool low = us_rng_below(&r, 3) == 0;
        uint32_t ends = low ? US_FOREST_SUBTREES : US_FOREST_ENDS;
        us_tree_hops h = {tops, low ? NULL : under, us_rng_u32(&r) / 2, n};
        for (size_t i = 0; i < US_FOREST_COLUMNS; i++)
            ranks[i] = (uint8_t)us_rng_below(&r, US_FOREST_LIMITS + 1);
        for (size_t i = 0; i < US_FOREST_MANY; i++) {
            for (size_t k = 0; k < US_FOREST_ENDS; k++) {
                trees[i][k][0] = (uint8_t)us_rng_below(&r, US_FOREST_COLUMNS);
                trees[i][k][1] = (uint8_t)us_rng_below(&r, US_FOREST_LIMITS);
            }
            put_heap((const uint8_t(*)[2])trees[i], i, tops, under);
        }
        at[US_FOREST_MANY] = 0xA5A5;
        l->k.forest->hops(&h, ranks, at);
        CHECK(at[US_FOREST_MANY] == 0xA5A5);
        for (uint32_t i = 0; i < n; i++)
            CHECK_EQ_U64(at[i], h.first + i * ends +
                                    walk_heap((const uint8_t(*)[2])trees[i], ranks, ends));
    }
}

static void check_tops(const level *l)
{
    static _Alignas(64) uint8_t nodes[63 * 3 * US_FOREST_WIDE];
    us_rng r = us_rng_new(6, "tops", 0);
    for (unsigned round = 0; round < 300; round++) {
        uint8_t ranks[US_FOREST_COLUMNS];
        uint32_t base[US_FOREST_WIDE], got[US_FOREST_WIDE + 1], want[US_FOREST_WIDE];
        us_tree_tops t = {.levels = US_FOREST_LEAST +
                                    round % (US_FOREST_LEVELS - US_FOREST_LEAST + 1),
                          .even = us_rng_below(&r, 2) != 0,
                          .nodes = nodes,
                          .base = base};
        for (size_t i = 0; i < US_FOREST_COLUMNS; i++)
            ranks[i] = (uint8_t)us_rng_below(&r, 256);
        for (size_t i = 0; i < US_FOREST_WIDE; i++)
            base[i] = us_rng_u32(&r);
        for (size_t i = 0; i < sizeof nodes; i++) {
            static const uint64_t below[] = {US_FOREST_COLUMNS, 256, 32};
            nodes[i] = (uint8_t)us_rng_below(&r, below[i / US_FOREST_WIDE % 3]);
        }
        got[US_FOREST_WIDE] = 0xA5A5;
        l->k.forest->tops(&t, ranks, got);
        us_forest__ref.tops(&t, ranks, want);
        CHECK(got[US_FOREST_WIDE] == 0xA5A5);
        for (size_t i = 0; i < US_FOREST_WIDE; i++)
            CHECK_EQ_U64(got[i], want[i]);
    }
}

/* A tree that is written down here. */
static void test_tops__ends_are_counted_from_the_first_child(void)
{
    static _Alignas(64) uint8_t nodes[7 * 3 * US_FOREST_WIDE];
    uint8_t ranks[US_FOREST_COLUMNS] = {7, 3};
    uint32_t base[US_FOREST_WIDE] = {0}, at[US_FOREST_WIDE];
    /* 7 > 6: the first; 3 <= 3: its second; 7 <= 7: its second. The first child of the first, a leaf, is one end */
    static const uint8_t tree[7][3] = {{0, 6, 3}, {1, 3, 1}, {0, 9, 1}, {0},
                                       {0, 7, 1}, {0},       {0}};
    for (size_t i = 0; i < 7; i++)
        for (size_t j = 0; j < 3; j++)
            nodes[(i * 3 + j) * US_FOREST_WIDE + 5] = tree[i][j];
    base[5] = 1000;
    us_forest__ref.tops(&(us_tree_tops){3, false, nodes, base}, ranks, at);
    CHECK_EQ_U64(at[5], 1002);
    us_forest__ref.tops(&(us_tree_tops){3, true, nodes, base}, ranks, at);
    CHECK_EQ_U64(at[5], 1003);
}

static void check_sets(const level *l)
{
    enum { COLUMNS = 9, RANKS = 5 };
    static _Alignas(64) uint16_t rows[COLUMNS * RANKS * US_FOREST_WIDE], all[US_FOREST_WIDE];
    us_rng r = us_rng_new(8, "sets", 0);
    for (unsigned round = 0; round < 300; round++) {
        uint8_t ranks[COLUMNS];
        uint32_t first[COLUMNS], base[US_FOREST_WIDE], got[US_FOREST_WIDE + 1];
        unsigned last[US_FOREST_WIDE];
        us_tree_sets s = {rows, first, us_rng_below(&r, COLUMNS + 1), all, base};
        for (size_t i = 0; i < COLUMNS; i++) {
            first[i] = (uint32_t)(i * RANKS);
            ranks[i] = (uint8_t)us_rng_below(&r, RANKS);
        }
        for (size_t t = 0; t < US_FOREST_WIDE; t++) {
            base[t] = us_rng_u32(&r) / 2;
            last[t] = (unsigned)us_rng_below(&r, US_FOREST_FEW);
            all[t] = (uint16_t)(us_rng_u32(&r) | 1U << last[t]);
        }
        for (size_t i = 0; i < US_LEN(rows); i++)
            rows[i] = (uint16_t)us_rng_u32(&r);
        for (size_t t = 0; t < US_FOREST_WIDE; t++) { /* one leaf is left */
            uint16_t left = all[t];
            for (size_t i = 0; i < s.n; i++) {
                uint16_t *row = &rows[(first[i] + ranks[i]) * US_FOREST_WIDE + t];
                *row = (uint16_t)(*row | 1U << last[t]);
                left &= *row;
            }
            all[t] = (uint16_t)(all[t] & ~(left & ~(1U << last[t])));
        }
        got[US_FOREST_WIDE] = 0xA5A5;
        l->k.forest->sets(&s, ranks, got);
        CHECK(got[US_FOREST_WIDE] == 0xA5A5);
        for (size_t t = 0; t < US_FOREST_WIDE; t++)
            CHECK_EQ_U64(got[t], base[t] + last[t]);
    }
}

static void check_add(const level *l)
{
    static double values[40 * 9];
    us_rng r = us_rng_new(7, "add", 0);
    for (size_t i = 0; i < US_LEN(values); i++)
        values[i] = us_rng_f64(&r) - 0.5;
    for (size_t d = 1; d < 10; d++)
        for (size_t n = 0; n <= US_FOREST_WIDE; n++) {
            uint32_t leaves[US_FOREST_WIDE];
            double got[US_FOREST_PARTS * 9], want[US_FOREST_PARTS * 9];
            for (size_t i = 0; i < n; i++)
                leaves[i] = (uint32_t)us_rng_below(&r, 40);
            for (size_t i = 0; i < US_FOREST_PARTS * d; i++)
                got[i] = want[i] = us_rng_f64(&r);
            l->k.forest->add(n, leaves, values, d, got);
            for (size_t i = 0; i < n; i++)
                for (size_t o = 0; o < d; o++)
                    want[i % US_FOREST_PARTS * d + o] += values[leaves[i] * d + o];
            CHECK(memcmp(got, want, US_FOREST_PARTS * d * sizeof *got) == 0);
        }
}

static void test_ranks__decide_as_comparisons_do(void)
{
    each_level(check_ranks);
}
static void test_ranks__of_features_are_those_of_columns(void)
{
    each_level(check_features);
}
static void test_hops__arrive_where_single_steps_do(void)
{
    each_level(check_hops);
}
static void test_tops__of_all_levels_are_those_of_the_reference(void)
{
    each_level(check_tops);
}
static void test_sets__leave_one_leaf(void)
{
    each_level(check_sets);
}
static void test_add__keeps_the_order_of_each_part(void)
{
    each_level(check_add);
}

static const us_test_case cases[] = {
    US_CASE(test_keys__are_in_the_order_of_numbers),
    US_CASE(test_walks__arrive_where_single_steps_do),
    US_CASE(test_ranks__decide_as_comparisons_do),
    US_CASE(test_ranks__of_features_are_those_of_columns),
    US_CASE(test_hops__arrive_where_single_steps_do),
    US_CASE(test_tops__ends_are_counted_from_the_first_child),
    US_CASE(test_tops__of_all_levels_are_those_of_the_reference),
    US_CASE(test_sets__leave_one_leaf),
    US_CASE(test_add__keeps_the_order_of_each_part),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
