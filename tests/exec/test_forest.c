/* Forests bound to shapes against their evals, bit for bit: both generations of the operators, post transforms, base values, NaN, rows that
 * fill groups and rows that do not, with and without threads; and forests of rare kinds, which are to be left to eval. */
#include "exec_fixture.h"

enum { MOST = 20000 };

/* One forest in the lists of the older operators. */
typedef struct lists {
    int64_t tree[MOST], node[MOST], feature[MOST], yes[MOST], no[MOST], nan[MOST];
    float value[MOST];
    us_sv mode[MOST];
    int64_t w_tree[MOST], w_node[MOST], w_id[MOST];
    float weight[MOST];
    size_t n, n_w;
} lists;

typedef struct forest_case {
    const char *op; /* C, R or 5 */
    int64_t trees, depth, d, n_out;
    const char *post, *how;
    size_t n_base;
    bool modes, nans, signs; /* all comparisons; NaN goes either way; negative weights */
    int kind; /* weights of a leaf: 0 one, of the tree's class; 1 all classes; 2 none here and there */
    bool eval;
    bool fine; /* thresholds are all different */
    bool full; /* every leaf is on the lowest level */
} forest_case;

static const forest_case table[] = {
    {.op = "R", .trees = 100, .depth = 6, .d = 20, .n_out = 1, .post = "NONE", .signs = true},
    {.op = "R",
     .trees = 7,
     .depth = 9,
     .d = 3,
     .n_out = 3,
     .post = "SOFTMAX",
     .kind = 1,
     .how = "AVERAGE",
     .n_base = 3,
     .modes = true,
     .nans = true,
     .signs = true},
    {.op = "R",
     .trees = 100,
     .depth = 6,
     .d = 9,
     .n_out = 1,
     .post = "NONE",
     .nans = true,
     .fine = true,
     .full = true},
    {.op = "C",
     .trees = 300,
     .depth = 5,
     .d = 20,
     .n_out = 3,
     .post = "NONE",
     .nans = true,
     .fine = true,
     .full = true},
    {.op = "R",
     .trees = 290,
     .depth = 5,
     .d = 19,
     .n_out = 2,
     .kind = 1,
     .post = "NONE",
     .signs = true,
     .fine = true},
    {.op = "R",
     .trees = 130,
     .depth = 4,
     .d = 3,
     .n_out = 7,
     .post = "NONE",
     .kind = 1,
     .nans = true,
     .modes = true,
     .fine = true},
    {.op = "C",
     .trees = 70,
     .depth = 4,
     .d = 6,
     .n_out = 3,
     .post = "NONE",
     .kind = 1,
     .nans = true,
     .modes = true,
     .full = true},
    {.op = "5",
     .trees = 33,
     .depth = 3,
     .d = 300,
     .n_out = 2,
     .post = "0",
     .how = "1",
     .modes = true},
    {.op = "C", .trees = 64, .depth = 1, .d = 2, .n_out = 3, .post = "NONE", .kind = 1},
    {.op = "C",
     .trees = 12,
     .depth = 11,
     .d = 100,
     .n_out = 5,
     .post = "SOFTMAX",
     .fine = true},
    {.op = "R", .trees = 3, .depth = 0, .d = 1, .n_out = 1, .post = "NONE"},
    {.op = "R",
     .trees = 9,
     .depth = 4,
     .d = 5,
     .n_out = 1,
     .post = "NONE",
     .how = "MAX",
     .eval = true},
    {.op = "R",
     .trees = 9,
     .depth = 4,
     .d = 5,
     .n_out = 2,
     .post = "NONE",
     .kind = 2,
     .eval = true},
    {.op = "C", .trees = 50, .depth = 7, .d = 10, .n_out = 3, .post = "NONE", .kind = 1},
    {.op = "C",
     .trees = 30,
     .depth = 5,
     .d = 10,
     .n_out = 6,
     .post = "SOFTMAX",
     .signs = true,
     .nans = true},
    {.op = "C",
     .trees = 33,
     .depth = 5,
     .d = 10,
     .n_out = 2,
     .post = "LOGISTIC",
     .signs = true,
     .n_base = 1,
     .kind = 3,
     .modes = true},
    {.op = "C", .trees = 33, .depth = 5, .d = 10, .n_out = 2, .post = "NONE", .kind = 3},
    {.op = "C",
     .trees = 65,
     .depth = 8,
     .d = 300,
     .n_out = 4,
     .post = "SOFTMAX_ZERO",
     .n_base = 4,
     .modes = true,
     .nans = true},
    {.op = "5",
     .trees = 20,
     .depth = 6,
     .d = 8,
     .n_out = 1,
     .post = "0",
     .how = "1",
     .signs = true,
     .nans = true},
    {.op = "5",
     .trees = 20,
     .depth = 6,
     .d = 8,
     .n_out = 3,
     .post = "2",
     .how = "0",
     .kind = 0,
     .modes = true},
};

static void add_weights(lists *l, const forest_case *t, us_rng *r, int64_t tree, int64_t node)
{
    int64_t n = t->kind == 1 ? t->n_out : t->kind == 2 && us_rng_below(r, 3) == 0 ? 0 : 1;
    for (int64_t i = 0; i < n; i++, l->n_w++) {
        l->w_tree[l->n_w] = tree;
        l->w_node[l->n_w] = node;
        l->w_id[l->n_w] = t->kind == 1 ? i : t->kind == 3 ? 0 : tree % t->n_out;
        l->weight[l->n_w] = us_rng_f32(r) - (t->signs ? 0.5F : 0.0F);
    }
}

static void grow(lists *l, const forest_case *t, us_rng *r, int64_t tree, int64_t *next,
                 int64_t node, int64_t level)
{
    static const char *const modes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"};
    CHECK(l->n < MOST && l->n_w + 8 < MOST);
    size_t i = l->n++;
    l->tree[i] = tree;
    l->node[i] = node;
    l->mode[i] = US_SV("LEAF");
    if (level == t->depth || (level > 1 && !t->full && us_rng_below(r, 6) == 0)) {
        add_weights(l, t, r, tree, node);
        return;
    }
    l->mode[i] = us_sv_of(modes[t->modes ? us_rng_below(r, 4) : 0]);
    l->feature[i] = (int64_t)us_rng_below(r, (uint64_t)t->d);
    l->value[i] = t->fine ? us_rng_f32(r) * 2 - 1 /* else inputs are often the same */
                          : (float)us_rng_below(r, 9) / 4 - 1;
    l->nan[i] = t->nans && us_rng_below(r, 2);
    l->yes[i] = *next;
    l->no[i] = *next + 1;
    *next += 2;
    grow(l, t, r, tree, next, l->yes[i], level + 1);
    grow(l, t, r, tree, next, l->no[i], level + 1);
}

static void put_old(us_builder *b, const lists *l, const forest_case *t)
{
    static const float base[] = {0.25F, -0.5F, 1, 0.125F};
    bool c = t->op[0] == 'C';
    int64_t labels[8] = {3, -1, 7, 9, 11, 2, 5, 6};
    us_b_ints(b, "nodes_treeids", l->n, l->tree);
    us_b_ints(b, "nodes_nodeids", l->n, l->node);
    us_b_ints(b, "nodes_featureids", l->n, l->feature);
    us_b_ints(b, "nodes_truenodeids", l->n, l->yes);
    us_b_ints(b, "nodes_falsenodeids", l->n, l->no);
    us_b_ints(b, "nodes_missing_value_tracks_true", l->n, l->nan);
    us_b_floats(b, "nodes_values", l->n, l->value);
    us_b_strs(b, "nodes_modes", l->n, l->mode);
    us_b_ints(b, c ? "class_treeids" : "target_treeids", l->n_w, l->w_tree);
    us_b_ints(b, c ? "class_nodeids" : "target_nodeids", l->n_w, l->w_node);
    us_b_ints(b, c ? "class_ids" : "target_ids", l->n_w, l->w_id);
    us_b_floats(b, c ? "class_weights" : "target_weights", l->n_w, l->weight);
    us_b_str(b, "post_transform", t->post);
    if (t->n_base) us_b_floats(b, "base_values", t->n_base, base);
    if (c) us_b_ints(b, "classlabels_int64s", (size_t)t->n_out, labels);
    if (!c) us_b_int(b, "n_targets", t->n_out);
    if (t->how) us_b_str(b, "aggregate_function", t->how);
}

/* Branches and leaves of l counted each by themselves, as TreeEnsemble has them. */
static void put_new(us_ctx *c, us_arena *a, us_builder *b, const lists *l, const forest_case *t)
{
    static int64_t number[MOST], yes[MOST], no[MOST], yes_leaf[MOST], no_leaf[MOST],
        feature[MOST], nan[MOST], roots[MOST];
    size_t n = 0, n_leaves = 0, n_roots = 0;
    us_tensor modes, splits, weights;
    for (size_t i = 0; i < l->n; i++)
        number[i] = (int64_t)(us_sv_is(l->mode[i], "LEAF") ? n_leaves++ : n++);
    CHECK_OK(c, us_tensor_new(c, a, US_U8, 1, (int64_t[]){(int64_t)n}, &modes));
    CHECK_OK(c, us_tensor_new(c, a, US_F32, 1, (int64_t[]){(int64_t)n}, &splits));
    CHECK_OK(c, us_tensor_new(c, a, US_F32, 1, (int64_t[]){(int64_t)n_leaves}, &weights));
    memcpy(weights.data, l->weight, n_leaves * sizeof(float)); /* in the order of the leaves */
    for (size_t i = 0, first = 0; i < l->n; i++) {
        if (l->node[i] == 0) first = i;
        if (us_sv_is(l->mode[i], "LEAF")) continue;
        size_t at = (size_t)number[i], y = first, o = first;
        while (l->node[y] != l->yes[i])
            y++;
        while (l->node[o] != l->no[i])
            o++;
        yes[at] = number[y];
        yes_leaf[at] = us_sv_is(l->mode[y], "LEAF");
        no[at] = number[o];
        no_leaf[at] = us_sv_is(l->mode[o], "LEAF");
        feature[at] = l->feature[i];
        nan[at] = l->nan[i];
        ((float *)splits.data)[at] = l->value[i];
        us_sv m = l->mode[i];
        ((uint8_t *)modes.data)[at] = us_sv_is(m, "BRANCH_LEQ")   ? 0
                                      : us_sv_is(m, "BRANCH_LT")  ? 1
                                      : us_sv_is(m, "BRANCH_GTE") ? 2
                                                                  : 3;
        if (l->node[i] == 0) roots[n_roots++] = (int64_t)at;
    }
    us_b_ints(b, "nodes_featureids", n, feature);
    us_b_ints(b, "nodes_truenodeids", n, yes);
    us_b_ints(b, "nodes_falsenodeids", n, no);
    us_b_ints(b, "nodes_trueleafs", n, yes_leaf);
    us_b_ints(b, "nodes_falseleafs", n, no_leaf);
    us_b_ints(b, "nodes_missing_value_tracks_true", n, nan);
    us_b_tensor(b, "nodes_modes", &modes);
    us_b_tensor(b, "nodes_splits", &splits);
    us_b_tensor(b, "leaf_weights", &weights);
    us_b_ints(b, "leaf_targetids", n_leaves, l->w_id);
    us_b_ints(b, "tree_roots", n_roots, roots);
    us_b_int(b, "n_targets", t->n_out);
    us_b_int(b, "aggregate_function", t->how[0] - '0');
    us_b_int(b, "post_transform", t->post[0] - '0');
}

static us_model *forest_model(us_ctx *c, const forest_case *t)
{
    static lists l;
    us_model *m;
    us_vid x, y[2];
    us_sym rows;
    us_rng r = us_rng_new(17, "forest", (uint64_t)t->trees);
    memset(&l, 0, sizeof l);
    for (int64_t i = 0; i < t->trees; i++) {
        int64_t next = 1;
        grow(&l, t, &r, i, &next, 0, 0);
    }
    CHECK_OK(c, us_model_new(c, &m));
    CHECK_OK(c, us_model_set_opset(c, m, US_SV("ai.onnx.ml"), t->op[0] == '5' ? 5 : 3));
    CHECK_OK(c, us_syms_named(c, &m->syms, US_SV("N"), &rows));
    us_dim dims[2] = {US_DIM_SYM(rows), US_DIM(t->d)};
    us_type type = us_type_tensor(US_F32, 2, dims);
    CHECK_OK(c, us_graph_add_input(c, m->main, US_SV("x"), &type, &x));
    us_builder b = us_b_begin(c, m->main, "net");
    const char *op = t->op[0] == 'C'   ? "TreeEnsembleClassifier"
                     : t->op[0] == 'R' ? "TreeEnsembleRegressor"
                                       : "TreeEnsemble";
    size_t n_out = t->op[0] == 'C' ? 2 : 1;
    (void)us_b_node(&b, "ai.onnx.ml", op, 1, &x, n_out, y);
    if (t->op[0] == '5')
        put_new(c, m->arena, &b, &l, t);
    else
        put_old(&b, &l, t);
    CHECK_OK(c, us_b_end(&b));
    for (size_t i = 0; i < n_out; i++)
        CHECK_OK(c, us_graph_add_output(c, m->main, y[i]));
    return m;
}

static us_value rows_of(fixture *f, const forest_case *t, int64_t n)
{
    us_value x = random_f32(f, DIMS(n, t->d), (uint64_t)n);
    float *p = x.t.data;
    us_rng r = us_rng_new(19, "rows", (uint64_t)n);
    for (int64_t i = 0; i < n * t->d; i++) {
        uint64_t what = us_rng_below(&r, 12);
        if (what < 4) p[i] = (float)us_rng_below(&r, 9) / 4 - 1; /* as the thresholds */
        if (what == 4) p[i] = -0.0F;
        if (what == 5 && t->nans) p[i] = NAN;
        if (what == 6) p[i] = us_rng_below(&r, 2) ? INFINITY : -INFINITY;
    }
    return x;
}

static void check_rows(fixture *f, const forest_case *t, int64_t n)
{
    us_value x, y[3][2];
    for (int i = 0; i < 3; i++) {
        x = rows_of(&f[i], t, n);
        CHECK_OK(&f[i].c, us_session_run(&f[i].c, f[i].s, &x, y[i]));
    }
    for (int o = 0; o < (t->op[0] == 'C' ? 2 : 1); o++)
        for (int i = 1; i < 3; i++) {
            CHECK_EQ_I64(us_tensor_count(&y[i][o].t), us_tensor_count(&y[0][o].t));
            if (memcmp(y[i][o].t.data, y[0][o].t.data, us_tensor_bytes(&y[0][o].t)) != 0)
                US_TEST_FAIL("case %d: output %d of %lld rows differs", (int)(t - table), o,
                             (long long)n);
        }
}

static void check_case(const forest_case *t)
{
    fixture f[3];
    us_pool *pool;
    for (int i = 0; i < 3; i++) {
        us_session_opts o = {.plain = i == 0, .profile = i == 1};
        fixture_begin(&f[i]);
        CHECK_OK(&f[i].c, us_plan_new(&f[i].c, forest_model(&f[i].c, t), NULL, &f[i].plan));
        CHECK_OK(&f[i].c, us_session_new(&f[i].c, f[i].plan, &o, &f[i].s));
    }
    CHECK_OK(&f[2].c, us_pool_new(&f[2].c, 3, &pool));
    f[2].c.pool = pool;
    static const int64_t rows[] = {1, 2, 7, 8, 9, 63, 65, 1500};
    for (size_t i = 0; i < US_LEN(rows); i++)
        check_rows(f, t, rows[i]);
    const us_profile_row *row;
    CHECK_EQ_U64(us_session_profile(f[1].s, &row), 1);
    bool bound = row->kernel && strcmp(row->kernel, "us_forest") == 0;
    if (bound == t->eval) US_TEST_FAIL("case %d: bound or not", (int)(t - table));
    f[2].c.pool = NULL;
    us_pool_free(pool);
    for (int i = 0; i < 3; i++)
        fixture_end(&f[i]);
}

static void test_forests__give_what_evals_give(void)
{
    for (size_t i = 0; i < US_LEN(table); i++)
        check_case(&table[i]);
}

static const us_test_case cases[] = {
    US_CASE(test_forests__give_what_evals_give),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
