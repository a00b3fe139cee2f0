/* bench/zoo_small.c - networks of microseconds: a perceptron, a linear model, a forest, and recurrent ones. */
#include <math.h>

#include "zoo.h"

enum { FEATURES = 20, TREES = 100, DEPTH = 6, INNER = (1 << DEPTH) - 1, TREE = 2 * INNER + 1 };

void zoo_mlp(zoo_net *n)
{
    static const int64_t widths[] = {FEATURES, 64, 64, 1};
    us_vid x = zoo_input(n, "input", "float[N,20]");
    for (int i = 0; i < 3; i++) {
        x = zoo_dense(n, x, widths[i], widths[i + 1]);
        if (i < 2) x = us_b1(&n->b, "Relu", x);
    }
    zoo_output(n, x, "output", "float[N,1]");
}

void zoo_linear(zoo_net *n)
{
    us_vid x = zoo_input(n, "input", "float[N,20]");
    zoo_output(n, zoo_dense(n, x, FEATURES, 1), "output", "float[N,1]");
}

/* --- a forest ------------------------------------------------------------------------------------------- */

typedef struct forest {
    int64_t tree[TREES * TREE], node[TREES * TREE], feature[TREES * TREE];
    int64_t yes[TREES * TREE], no[TREES * TREE];
    float at[TREES * TREE];
    us_sv mode[TREES * TREE];
    int64_t leaf_tree[TREES * (INNER + 1)], leaf[TREES * (INNER + 1)];
    int64_t target[TREES * (INNER + 1)];
    float weight[TREES * (INNER + 1)];
} forest;

/* Complete trees: node i has children 2i+1 and 2i+2. */
static void grow(forest *f)
{
    us_rng r = us_rng_new(1, "forest", 0);
    size_t leaves = 0;
    for (int64_t t = 0, k = 0; t < TREES; t++)
        for (int64_t i = 0; i < TREE; i++, k++) {
            bool inner = i < INNER;
            f->tree[k] = t;
            f->node[k] = i;
            f->feature[k] = inner ? (int64_t)us_rng_below(&r, FEATURES) : 0;
            f->at[k] = inner ? us_rng_f32(&r) : 0;
            f->yes[k] = inner ? 2 * i + 1 : 0;
            f->no[k] = inner ? 2 * i + 2 : 0;
            f->mode[k] = inner ? US_SV("BRANCH_LEQ") : US_SV("LEAF");
            if (inner) continue;
            f->leaf_tree[leaves] = t;
            f->leaf[leaves] = i;
            f->weight[leaves++] = us_rng_f32(&r) - 0.5F;
        }
}

void zoo_trees(zoo_net *n)
{
    us_builder *b = &n->b;
    forest *f = us_arena_alloc(n->m->arena, 1, sizeof *f, _Alignof(forest));
    us_vid x = zoo_input(n, "input", "float[N,20]");
    if (!f || n->b.err != US_OK) return;
    grow(f);
    size_t nodes = TREES * TREE, leaves = TREES * (INNER + 1);
    us_vid y = us_b_node(b, "ai.onnx.ml", "TreeEnsembleRegressor", 1, &x, 1, NULL);
    us_b_int(b, "n_targets", 1);
    us_b_str(b, "aggregate_function", "SUM");
    us_b_str(b, "post_transform", "NONE");
    us_b_ints(b, "nodes_treeids", nodes, f->tree);
    us_b_ints(b, "nodes_nodeids", nodes, f->node);
    us_b_ints(b, "nodes_featureids", nodes, f->feature);
    us_b_ints(b, "nodes_truenodeids", nodes, f->yes);
    us_b_ints(b, "nodes_falsenodeids", nodes, f->no);
    us_b_floats(b, "nodes_values", nodes, f->at);
    us_b_strs(b, "nodes_modes", nodes, f->mode);
    us_b_ints(b, "target_treeids", leaves, f->leaf_tree);
    us_b_ints(b, "target_nodeids", leaves, f->leaf);
    us_b_ints(b, "target_ids", leaves, f->target);
    us_b_floats(b, "target_weights", leaves, f->weight);
    zoo_output(n, y, "output", "float[N,1]");
}

/* --- recurrent ---------------------------------------------------------------------------------------------- */

enum { STEPS = 50, SIGNALS = 64, HIDDEN = 128 };

/* One layer over [T,N,in]: [T,1,N,HIDDEN], its direction squeezed away as exporters do. */
static us_vid recurrent(zoo_net *n, us_vid x, const char *op, int64_t gates, int64_t in)
{
    double d = 1 / sqrt(HIDDEN);
    us_vid args[4] = {x, zoo_weights(n, d, 3, (int64_t[]){1, gates * HIDDEN, in}),
                      zoo_weights(n, d, 3, (int64_t[]){1, gates * HIDDEN, HIDDEN}),
                      zoo_weights(n, 0.1, 2, (int64_t[]){1, 2 * gates * HIDDEN})};
    us_vid y = us_b_node(&n->b, "", op, 4, args, 1, NULL);
    us_b_int(&n->b, "hidden_size", HIDDEN);
    if (gates == 3) us_b_int(&n->b, "linear_before_reset", 1);
    return us_b2(&n->b, "Squeeze", y, us_b_i64s(&n->b, 1, (int64_t[]){1}));
}

static void two_layers(zoo_net *n, const char *op, int64_t gates)
{
    us_builder *b = &n->b;
    us_vid x = zoo_input(n, "input", "float[50,N,64]");
    x = recurrent(n, recurrent(n, x, op, gates, SIGNALS), op, gates, HIDDEN);
    x = us_b2(b, "Gather", x, us_b_i64(b, -1));
    us_b_int(b, "axis", 0);
    zoo_output(n, zoo_dense(n, x, HIDDEN, 10), "output", "float[N,10]");
}

void zoo_lstm(zoo_net *n)
{
    two_layers(n, "LSTM", 4);
}

void zoo_gru(zoo_net *n)
{
    two_layers(n, "GRU", 3);
}
