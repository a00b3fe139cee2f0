/* ir/op_ml_tree.c - ai.onnx.ml.TreeEnsembleClassifier and TreeEnsembleRegressor.
 *
 * The attributes are parallel lists; once per plan they become an array of nodes with indices instead of
 * (tree, node) pairs and leaf weights grouped by node; an evaluation walks every row down every tree.
 * A walk takes at most as many steps as there are nodes, so a cycle in a hostile file ends in an error.
 * Float inputs are compared with float thresholds, as ONNX Runtime does; sums run in double, in parts (kernel/forest.h).
 * How one score for two classes becomes two is ONNX Runtime's rule.
 */
#include "ir/forest.h"
#include "ir/ml_post.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param tree_ensemble_classifier_in[] = {
    {"X", '1', US_M(F32) | US_M(I32) | US_M(I64) | US_M(F64), 0}, US_PARAM_END};
static const us_param tree_ensemble_classifier_out[] = {
    {"Y", '2', US_M(I64) | US_M(STRING), 0}, {"Z", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row tree_ensemble_classifier_attrs[] = {
    US_AFS(us_p_ml_tree_ensemble_classifier, base_values, "base_values"),
    US_AIS(us_p_ml_tree_ensemble_classifier, class_ids, "class_ids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, class_nodeids, "class_nodeids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, class_treeids, "class_treeids"),
    US_AFS(us_p_ml_tree_ensemble_classifier, class_weights, "class_weights"),
    US_AIS(us_p_ml_tree_ensemble_classifier, classlabels_int64s, "classlabels_int64s"),
    US_ASS(us_p_ml_tree_ensemble_classifier, classlabels_strings, "classlabels_strings"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_falsenodeids, "nodes_falsenodeids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_featureids, "nodes_featureids"),
    US_AFS(us_p_ml_tree_ensemble_classifier, nodes_hitrates, "nodes_hitrates"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_missing_value_tracks_true, "nodes_missing_value_tracks_true"),
    US_ASS(us_p_ml_tree_ensemble_classifier, nodes_modes, "nodes_modes"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_nodeids, "nodes_nodeids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_treeids, "nodes_treeids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_truenodeids, "nodes_truenodeids"),
    US_AFS(us_p_ml_tree_ensemble_classifier, nodes_values, "nodes_values"),
    US_AS(us_p_ml_tree_ensemble_classifier, post_transform, "post_transform", "NONE"), US_ATTR_END};
static const us_attr_row tree_ensemble_classifier_attrs_3[] = {
    US_AFS(us_p_ml_tree_ensemble_classifier, base_values, "base_values"),
    US_AT(us_p_ml_tree_ensemble_classifier, base_values_as_tensor, "base_values_as_tensor"),
    US_AIS(us_p_ml_tree_ensemble_classifier, class_ids, "class_ids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, class_nodeids, "class_nodeids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, class_treeids, "class_treeids"),
    US_AFS(us_p_ml_tree_ensemble_classifier, class_weights, "class_weights"),
    US_AT(us_p_ml_tree_ensemble_classifier, class_weights_as_tensor, "class_weights_as_tensor"),
    US_AIS(us_p_ml_tree_ensemble_classifier, classlabels_int64s, "classlabels_int64s"),
    US_ASS(us_p_ml_tree_ensemble_classifier, classlabels_strings, "classlabels_strings"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_falsenodeids, "nodes_falsenodeids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_featureids, "nodes_featureids"),
    US_AFS(us_p_ml_tree_ensemble_classifier, nodes_hitrates, "nodes_hitrates"),
    US_AT(us_p_ml_tree_ensemble_classifier, nodes_hitrates_as_tensor, "nodes_hitrates_as_tensor"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_missing_value_tracks_true, "nodes_missing_value_tracks_true"),
    US_ASS(us_p_ml_tree_ensemble_classifier, nodes_modes, "nodes_modes"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_nodeids, "nodes_nodeids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_treeids, "nodes_treeids"),
    US_AIS(us_p_ml_tree_ensemble_classifier, nodes_truenodeids, "nodes_truenodeids"),
    US_AFS(us_p_ml_tree_ensemble_classifier, nodes_values, "nodes_values"),
    US_AT(us_p_ml_tree_ensemble_classifier, nodes_values_as_tensor, "nodes_values_as_tensor"),
    US_AS(us_p_ml_tree_ensemble_classifier, post_transform, "post_transform", "NONE"), US_ATTR_END};
const us_schema ml_tree_ensemble_classifier_schemas[] = {
    {1, tree_ensemble_classifier_in, tree_ensemble_classifier_out, tree_ensemble_classifier_attrs, sizeof(us_p_ml_tree_ensemble_classifier), NULL},
    {3, tree_ensemble_classifier_in, tree_ensemble_classifier_out, tree_ensemble_classifier_attrs_3, sizeof(us_p_ml_tree_ensemble_classifier), NULL},
    {0}};

static const us_param tree_ensemble_regressor_in[] = {
    {"X", 'T', US_M(F32) | US_M(I32) | US_M(I64) | US_M(F64), 0}, US_PARAM_END};
static const us_param tree_ensemble_regressor_out[] = {{"Y", '\0', US_M(F32), 0}, US_PARAM_END};
static const us_attr_row tree_ensemble_regressor_attrs[] = {
    US_AS(us_p_ml_tree_ensemble_regressor, aggregate_function, "aggregate_function", "SUM"),
    US_AFS(us_p_ml_tree_ensemble_regressor, base_values, "base_values"),
    {.name = "n_targets", .kind = US_AT_INT, .offset = offsetof(us_p_ml_tree_ensemble_regressor, n_targets), .has_offset = offsetof(us_p_ml_tree_ensemble_regressor, has_n_targets)},
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_falsenodeids, "nodes_falsenodeids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_featureids, "nodes_featureids"),
    US_AFS(us_p_ml_tree_ensemble_regressor, nodes_hitrates, "nodes_hitrates"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_missing_value_tracks_true, "nodes_missing_value_tracks_true"),
    US_ASS(us_p_ml_tree_ensemble_regressor, nodes_modes, "nodes_modes"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_nodeids, "nodes_nodeids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_treeids, "nodes_treeids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_truenodeids, "nodes_truenodeids"),
    US_AFS(us_p_ml_tree_ensemble_regressor, nodes_values, "nodes_values"),
    US_AS(us_p_ml_tree_ensemble_regressor, post_transform, "post_transform", "NONE"),
    US_AIS(us_p_ml_tree_ensemble_regressor, target_ids, "target_ids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, target_nodeids, "target_nodeids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, target_treeids, "target_treeids"),
    US_AFS(us_p_ml_tree_ensemble_regressor, target_weights, "target_weights"), US_ATTR_END};
static const us_attr_row tree_ensemble_regressor_attrs_3[] = {
    US_AS(us_p_ml_tree_ensemble_regressor, aggregate_function, "aggregate_function", "SUM"),
    US_AFS(us_p_ml_tree_ensemble_regressor, base_values, "base_values"),
    US_AT(us_p_ml_tree_ensemble_regressor, base_values_as_tensor, "base_values_as_tensor"),
    {.name = "n_targets", .kind = US_AT_INT, .offset = offsetof(us_p_ml_tree_ensemble_regressor, n_targets), .has_offset = offsetof(us_p_ml_tree_ensemble_regressor, has_n_targets)},
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_falsenodeids, "nodes_falsenodeids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_featureids, "nodes_featureids"),
    US_AFS(us_p_ml_tree_ensemble_regressor, nodes_hitrates, "nodes_hitrates"),
    US_AT(us_p_ml_tree_ensemble_regressor, nodes_hitrates_as_tensor, "nodes_hitrates_as_tensor"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_missing_value_tracks_true, "nodes_missing_value_tracks_true"),
    US_ASS(us_p_ml_tree_ensemble_regressor, nodes_modes, "nodes_modes"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_nodeids, "nodes_nodeids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_treeids, "nodes_treeids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, nodes_truenodeids, "nodes_truenodeids"),
    US_AFS(us_p_ml_tree_ensemble_regressor, nodes_values, "nodes_values"),
    US_AT(us_p_ml_tree_ensemble_regressor, nodes_values_as_tensor, "nodes_values_as_tensor"),
    US_AS(us_p_ml_tree_ensemble_regressor, post_transform, "post_transform", "NONE"),
    US_AIS(us_p_ml_tree_ensemble_regressor, target_ids, "target_ids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, target_nodeids, "target_nodeids"),
    US_AIS(us_p_ml_tree_ensemble_regressor, target_treeids, "target_treeids"),
    US_AFS(us_p_ml_tree_ensemble_regressor, target_weights, "target_weights"),
    US_AT(us_p_ml_tree_ensemble_regressor, target_weights_as_tensor, "target_weights_as_tensor"), US_ATTR_END};
const us_schema ml_tree_ensemble_regressor_schemas[] = {
    {1, tree_ensemble_regressor_in, tree_ensemble_regressor_out, tree_ensemble_regressor_attrs, sizeof(us_p_ml_tree_ensemble_regressor), NULL},
    {3, tree_ensemble_regressor_in, tree_ensemble_regressor_out, tree_ensemble_regressor_attrs_3, sizeof(us_p_ml_tree_ensemble_regressor), NULL},
    {0}};
/* clang-format on */

/* The lists of either operator. */
typedef struct lists {
    us_ints node_tree, node_id, feature, yes, no, nan_yes;
    us_strs modes;
    us_floats values;
    const us_tensor *values_t;
    us_ints w_tree, w_node, w_id;
    us_floats weights;
    const us_tensor *weights_t;
    us_floats base;
    const us_tensor *base_t;
} lists;

typedef struct forest {
    us_raw_node *nodes;
    size_t n_nodes;
    uint32_t *roots;
    size_t n_roots;
    us_raw_weight *weights;
    size_t n_weights;
    double *base;
    size_t n_base;
    size_t n_out;       /* classes or targets */
    int64_t n_features; /* one past the largest feature used */
    /* two classes whose weights all belong to one of them: a row has one score */
    bool one_score;
    bool all_positive; /* no weight is negative: one score is a probability, decided at 0.5 */
    const us_forest *packed; /* for calls; NULL: of a rare kind */
} forest;

static size_t list_len(us_floats f, const us_tensor *t)
{
    return t ? (size_t)us_tensor_count(t) : f.n;
}
static double list_at(us_floats f, const us_tensor *t, size_t i)
{
    return t ? us_tensor_f64_at(t, (int64_t)i) : (double)f.p[i];
}

static us_err mode_of(us_eval *k, us_sv s, uint8_t *out)
{
    static const char *const names[US_TREE_N] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                                 "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ",
                                                 "LEAF"};
    for (uint8_t i = 0; i < US_TREE_N; i++)
        if (us_sv_is(s, names[i])) {
            *out = i;
            return US_OK;
        }
    return us_eval_fail(k, US_FORMAT, "node mode '" US_SV_FMT "'", US_SV_ARG(s));
}

/* (tree, node) to index: open addressing over the nodes. */
typedef struct node_index {
    const lists *l;
    uint32_t *table;
    size_t mask;
} node_index;
static uint64_t pair_hash(int64_t tree, int64_t node)
{
    return us_hash64((int64_t[]){tree, node}, 16, 7);
}
static uint32_t index_find(const node_index *x, int64_t tree, int64_t node)
{
    for (size_t at = (size_t)pair_hash(tree, node) & x->mask; x->table[at];
         at = (at + 1) & x->mask) {
        uint32_t i = x->table[at] - 1;
        if (x->l->node_tree.p[i] == tree && x->l->node_id.p[i] == node) return i;
    }
    return UINT32_MAX;
}
static us_err index_make(us_eval *k, const lists *l, node_index *x)
{
    size_t size = 8, n = l->node_id.n;
    while (size < 2 * n)
        size *= 2;
    *x = (node_index){.l = l, .mask = size - 1};
    US_TRY(us_eval_scratch(k, size * sizeof *x->table, (void **)&x->table));
    memset(x->table, 0, size * sizeof *x->table);
    for (size_t i = 0; i < n; i++) {
        if (index_find(x, l->node_tree.p[i], l->node_id.p[i]) != UINT32_MAX)
            return us_eval_fail(k, US_FORMAT, "node %lld of tree %lld occurs twice",
                                (long long)l->node_id.p[i], (long long)l->node_tree.p[i]);
        size_t at = (size_t)pair_hash(l->node_tree.p[i], l->node_id.p[i]) & x->mask;
        while (x->table[at])
            at = (at + 1) & x->mask;
        x->table[at] = (uint32_t)i + 1;
    }
    return US_OK;
}

static us_err check_lengths(us_eval *k, const lists *l)
{
    size_t n = l->node_id.n, w = l->w_id.n;
    bool nodes = l->node_tree.n == n && l->feature.n == n && l->yes.n == n && l->no.n == n &&
                 l->modes.n == n && list_len(l->values, l->values_t) == n &&
                 (l->nan_yes.n == 0 || l->nan_yes.n == n);
    bool leaves =
        l->w_tree.n == w && l->w_node.n == w && list_len(l->weights, l->weights_t) == w;
    if (nodes && leaves && n > 0 && n < UINT32_MAX / 2 && w < UINT32_MAX / 2) return US_OK;
    return us_eval_fail(k, US_FORMAT,
                        "lists of nodes or weights are empty or differ in length");
}

/* Nodes with indices for children. */
static us_err build_nodes(us_eval *k, const lists *l, const node_index *x, forest *f)
{
    f->n_nodes = l->node_id.n;
    US_TRY(us_eval_keep(k, f->n_nodes * sizeof *f->nodes, (void **)&f->nodes));
    for (size_t i = 0; i < f->n_nodes; i++) {
        us_raw_node *t = &f->nodes[i];
        *t = (us_raw_node){
            .value = list_at(l->values, l->values_t, i), .yes = UINT32_MAX, .no = UINT32_MAX};
        US_TRY(mode_of(k, l->modes.p[i], &t->mode));
        t->nan_yes = l->nan_yes.n && l->nan_yes.p[i] != 0;
        if (t->mode == US_TREE_LEAF) continue;
        int64_t tree = l->node_tree.p[i], feature = l->feature.p[i];
        t->yes = index_find(x, tree, l->yes.p[i]);
        t->no = index_find(x, tree, l->no.p[i]);
        if (t->yes == UINT32_MAX || t->no == UINT32_MAX || feature < 0 || feature > INT32_MAX)
            return us_eval_fail(k, US_FORMAT,
                                "node %lld of tree %lld has no such child or feature",
                                (long long)l->node_id.p[i], (long long)tree);
        t->feature = (uint32_t)feature;
        f->n_features = US_MAX(f->n_features, feature + 1);
    }
    return US_OK;
}

/* A root is a node that is nobody's child. */
static us_err build_roots(us_eval *k, forest *f)
{
    US_TRY(us_eval_keep(k, f->n_nodes * sizeof *f->roots, (void **)&f->roots));
    f->n_roots = 0;
    uint8_t *child;
    US_TRY(us_eval_scratch(k, f->n_nodes, (void **)&child));
    memset(child, 0, f->n_nodes);
    for (size_t i = 0; i < f->n_nodes; i++)
        if (f->nodes[i].mode != US_TREE_LEAF)
            child[f->nodes[i].yes] = child[f->nodes[i].no] = 1;
    for (size_t i = 0; i < f->n_nodes; i++)
        if (!child[i]) f->roots[f->n_roots++] = (uint32_t)i;
    if (f->n_roots == 0) return us_eval_fail(k, US_FORMAT, "no tree has a root");
    return US_OK;
}

/* Weights grouped by leaf, in the order of the lists within a leaf. */
static us_err build_weights(us_eval *k, const lists *l, const node_index *x, forest *f)
{
    f->n_weights = l->w_id.n;
    uint32_t *node;
    US_TRY(us_eval_keep(k, (f->n_weights + 1) * sizeof *f->weights, (void **)&f->weights));
    US_TRY(us_eval_scratch(k, (f->n_weights + 1) * sizeof *node, (void **)&node));
    for (size_t i = 0; i < f->n_weights; i++) {
        node[i] = index_find(x, l->w_tree.p[i], l->w_node.p[i]);
        if (node[i] == UINT32_MAX || l->w_id.p[i] < 0 || (uint64_t)l->w_id.p[i] >= f->n_out)
            return us_eval_fail(k, US_FORMAT, "weight %zu belongs to no leaf or no output", i);
        f->nodes[node[i]].w1++;
    }
    uint32_t at = 0;
    for (size_t i = 0; i < f->n_nodes; i++) {
        uint32_t n = f->nodes[i].w1;
        f->nodes[i].w0 = f->nodes[i].w1 = at;
        at += n;
    }
    for (size_t i = 0; i < f->n_weights; i++)
        f->weights[f->nodes[node[i]].w1++] =
            (us_raw_weight){list_at(l->weights, l->weights_t, i), (uint32_t)l->w_id.p[i]};
    return US_OK;
}

static us_err build(us_eval *k, const lists *l, size_t n_out, const void **out)
{
    node_index x;
    forest *f;
    US_TRY(us_eval_keep(k, sizeof *f, (void **)&f));
    f->n_out = n_out;
    US_TRY(check_lengths(k, l));
    US_TRY(index_make(k, l, &x));
    US_TRY(build_nodes(k, l, &x, f));
    US_TRY(build_roots(k, f));
    US_TRY(build_weights(k, l, &x, f));
    f->n_base = list_len(l->base, l->base_t);
    US_TRY(us_eval_keep(k, (f->n_base + 1) * sizeof *f->base, (void **)&f->base));
    for (size_t i = 0; i < f->n_base; i++)
        f->base[i] = list_at(l->base, l->base_t, i);
    f->one_score = f->n_out == 2 && f->n_weights > 0 && f->n_base < 2;
    f->all_positive = true;
    for (size_t i = 0; i < f->n_weights; i++) {
        f->one_score = f->one_score && f->weights[i].id == f->weights[0].id;
        f->all_positive = f->all_positive && f->weights[i].value >= 0;
    }
    us_raw_forest raw = {f->nodes, f->n_nodes, f->roots, f->n_roots, f->weights, f->n_out};
    US_TRY(us_forest_pack(k, &raw, &f->packed));
    *out = f;
    return US_OK;
}

/* The forest that the plan prepared, or one made now; it must fit rows of d columns. */
static us_err forest_of(us_eval *k, us_prepare_fn *prepare, int64_t d, const forest **out)
{
    const void *f = k->prepared;
    if (!f) US_TRY(prepare(k, &f));
    *out = f;
    if ((*out)->n_features <= d) return US_OK;
    return us_eval_fail(k, US_SHAPE, "trees use %lld columns, the input has %lld",
                        (long long)(*out)->n_features, (long long)d);
}

static bool test(us_tree_mode m, double x, double v)
{
    const bool by_mode[US_TREE_N] = {x <= v, x<v, x >= v, x> v, x == v, x != v, false};
    return by_mode[m];
}

/* The leaf a row ends in; UINT32_MAX when the tree has a cycle. */
static uint32_t leaf_of(const forest *f, uint32_t at, const us_tensor *x, int64_t row,
                        int64_t d)
{
    for (size_t steps = 0; steps <= f->n_nodes; steps++) {
        const us_raw_node *t = &f->nodes[at];
        if (t->mode == US_TREE_LEAF) return at;
        int64_t i = row * d + t->feature;
        double v = x->dtype == US_F64 ? ((const double *)x->data)[i]
                                      : (double)((const float *)x->data)[i];
        bool yes =
            t->mode == US_TREE_LEQ ? v <= t->value : test((us_tree_mode)t->mode, v, t->value);
        if (isnan(v)) yes = t->nan_yes || (t->mode == US_TREE_NEQ);
        at = yes ? t->yes : t->no;
    }
    return UINT32_MAX;
}

typedef enum aggregate { AGG_SUM, AGG_AVERAGE, AGG_MIN, AGG_MAX } aggregate;

/* s[o] over all trees; has[o]: some leaf gave a value. parts: room for US_FOREST_PARTS times as many sums. */
static us_err row_scores(us_eval *k, const forest *f, aggregate how, const us_tensor *x,
                         int64_t row, int64_t d, double *parts, double *s, uint8_t *has)
{
    US_TRY(us_eval_work(k, 32 * (double)f->n_roots)); /* a leaf is some steps away */
    memset(has, 0, f->n_out);
    memset(s, 0, f->n_out * sizeof *s);
    memset(parts, 0, US_FOREST_PARTS * f->n_out * sizeof *parts);
    for (size_t r = 0; r < f->n_roots; r++) {
        uint32_t leaf = leaf_of(f, f->roots[r], x, row, d);
        if (leaf == UINT32_MAX) return us_eval_fail(k, US_FORMAT, "tree %zu has a cycle", r);
        for (uint32_t w = f->nodes[leaf].w0; w < f->nodes[leaf].w1; w++) {
            const us_raw_weight *v = &f->weights[w];
            double was = s[v->id];
            if (how == AGG_MIN)
                s[v->id] = has[v->id] ? fmin(was, v->value) : v->value;
            else if (how == AGG_MAX)
                s[v->id] = has[v->id] ? fmax(was, v->value) : v->value;
            else
                parts[r % US_FOREST_PARTS * f->n_out + v->id] += v->value;
            has[v->id] = 1;
        }
    }
    for (size_t o = 0; o < f->n_out && how != AGG_MIN && how != AGG_MAX; o++)
        s[o] = us_forest_total(parts + o, f->n_out);
    return US_OK;
}

/* --- regressor ----------------------------------------------------------------------------------- */

us_err ml_tree_ensemble_regressor_infer(us_infer *k)
{
    const us_p_ml_tree_ensemble_regressor *p = k->params;
    us_dim n;
    US_TRY(us_ml_infer_rows(k, &n));
    return us_infer_out(k, 0, US_F32, 2,
                        (us_dim[]){n, US_DIM(p->has_n_targets ? p->n_targets : 1)});
}

us_err ml_tree_ensemble_regressor_prepare(us_eval *k, const void **out)
{
    const us_p_ml_tree_ensemble_regressor *p = k->params;
    lists l = {p->nodes_treeids,
               p->nodes_nodeids,
               p->nodes_featureids,
               p->nodes_truenodeids,
               p->nodes_falsenodeids,
               p->nodes_missing_value_tracks_true,
               p->nodes_modes,
               p->nodes_values,
               p->nodes_values_as_tensor,
               p->target_treeids,
               p->target_nodeids,
               p->target_ids,
               p->target_weights,
               p->target_weights_as_tensor,
               p->base_values,
               p->base_values_as_tensor};
    int64_t n_out = p->has_n_targets ? p->n_targets : 1;
    if (n_out < 1 || n_out > INT32_MAX)
        return us_eval_fail(k, US_ARG, "n_targets is %lld", (long long)n_out);
    return build(k, &l, (size_t)n_out, out);
}

static us_err aggregate_of(us_eval *k, us_sv name, aggregate *out)
{
    static const char *const names[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    for (size_t i = 0; i < US_LEN(names); i++)
        if (us_sv_is(name, names[i])) {
            *out = (aggregate)i;
            return US_OK;
        }
    return us_eval_fail(k, US_ARG, "aggregate_function '" US_SV_FMT "'", US_SV_ARG(name));
}

static void put_targets(const forest *f, aggregate how, us_post post, double *s, float *y)
{
    for (size_t o = 0; o < f->n_out; o++) {
        if (how == AGG_AVERAGE) s[o] /= (double)f->n_roots;
        if (f->n_base == f->n_out) s[o] += f->base[o]; /* else none, as in ONNX Runtime */
    }
    us_ml_post(post, s, f->n_out);
    for (size_t o = 0; o < f->n_out; o++)
        y[o] = (float)s[o];
}

us_err ml_tree_ensemble_regressor_eval(us_eval *k)
{
    const us_p_ml_tree_ensemble_regressor *p = k->params;
    us_tensor x, *y;
    int64_t n, d;
    const forest *f = NULL;
    us_post post;
    double *s, *parts;
    uint8_t *has;
    aggregate how = AGG_SUM;
    US_TRY(aggregate_of(k, p->aggregate_function, &how));
    US_TRY(us_ml_post_find(k, p->post_transform, &post));
    US_TRY(us_ml_rows(k, &x, &n, &d));
    US_TRY(forest_of(k, ml_tree_ensemble_regressor_prepare, d, &f));
    US_TRY(us_eval_scratch(k, f->n_out * sizeof *s, (void **)&s));
    US_TRY(us_eval_scratch(k, US_FOREST_PARTS * f->n_out * sizeof *parts, (void **)&parts));
    US_TRY(us_eval_scratch(k, f->n_out, (void **)&has));
    US_TRY(us_eval_out(k, 0, US_F32, 2, (int64_t[]){n, (int64_t)f->n_out}, &y));
    for (int64_t i = 0; i < n; i++) {
        US_TRY(row_scores(k, f, how, &x, i, d, parts, s, has));
        put_targets(f, how, post, s, (float *)y->data + i * (int64_t)f->n_out);
    }
    return US_OK;
}

/* --- classifier ---------------------------------------------------------------------------------- */

us_err ml_tree_ensemble_classifier_infer(us_infer *k)
{
    const us_p_ml_tree_ensemble_classifier *p = k->params;
    us_labels l = {p->classlabels_int64s, p->classlabels_strings};
    us_dim n;
    US_TRY(us_ml_infer_rows(k, &n));
    US_TRY(us_infer_out(k, 0, us_labels_type(&l), 1, &n));
    return us_infer_out(k, 1, US_F32, 2, (us_dim[]){n, US_DIM((int64_t)us_labels_count(&l))});
}

/* One score for two classes, as ONNX Runtime has it: that of class 0 becomes a pair, that of class 1
 * stands beside a 0. Above 0 the label is the second, whichever class had the weights; above 0.5 when the score is a
 * probability. LOGISTIC makes one of any score, as the standard says; ONNX Runtime leaves positive ones as they are. */
static size_t finish_one_score(const forest *f, us_post post, double *s, const uint8_t *has)
{
    bool probability = f->all_positive && post != US_POST_LOGISTIC;
    if (f->n_base == 1 && !has[1]) s[0] += f->base[0];
    size_t label = (has[1] ? s[1] : s[0]) > (probability ? 0.5 : 0);
    if (has[1])
        us_ml_post(post, s, 2);
    else
        us_ml_post_pair(post, f->all_positive, s[0], s);
    return label;
}

/* The top class of those that have a score. */
static size_t finish(const forest *f, us_post post, double *s, uint8_t *has)
{
    size_t best = SIZE_MAX;
    for (size_t o = 0; o < f->n_base; o++) {
        s[o] += f->base[o];
        has[o] = 1;
    }
    for (size_t o = 0; o < f->n_out; o++)
        if (has[o] && (best == SIZE_MAX || s[o] > s[best])) best = o;
    us_ml_post(post, s, f->n_out);
    return best == SIZE_MAX ? 0 : best;
}

static void put_class(const forest *f, us_post post, const us_labels *labels, double *s,
                      uint8_t *has, size_t row, us_tensor *yl, us_tensor *ys)
{
    size_t label = f->one_score ? finish_one_score(f, post, s, has) : finish(f, post, s, has);
    if (yl) us_labels_put(labels, label, yl, (int64_t)row);
    for (size_t o = 0; ys && o < f->n_out; o++)
        ((float *)ys->data)[row * f->n_out + o] = (float)s[o];
}

us_err ml_tree_ensemble_classifier_prepare(us_eval *k, const void **out)
{
    const us_p_ml_tree_ensemble_classifier *p = k->params;
    lists l = {p->nodes_treeids,
               p->nodes_nodeids,
               p->nodes_featureids,
               p->nodes_truenodeids,
               p->nodes_falsenodeids,
               p->nodes_missing_value_tracks_true,
               p->nodes_modes,
               p->nodes_values,
               p->nodes_values_as_tensor,
               p->class_treeids,
               p->class_nodeids,
               p->class_ids,
               p->class_weights,
               p->class_weights_as_tensor,
               p->base_values,
               p->base_values_as_tensor};
    us_labels labels = {p->classlabels_int64s, p->classlabels_strings};
    size_t n_out = us_labels_count(&labels), n_base = list_len(l.base, l.base_t);
    if (n_out < 1) return us_eval_fail(k, US_ARG, "no class labels");
    if (n_base > n_out)
        return us_eval_fail(k, US_ARG, "%zu base values for %zu classes", n_base, n_out);
    return build(k, &l, n_out, out);
}

us_err ml_tree_ensemble_classifier_eval(us_eval *k)
{
    const us_p_ml_tree_ensemble_classifier *p = k->params;
    us_labels labels = {p->classlabels_int64s, p->classlabels_strings};
    us_tensor x, *yl = NULL, *ys = NULL;
    int64_t n, d;
    const forest *f = NULL;
    us_post post;
    double *s, *parts;
    uint8_t *has;
    US_TRY(us_ml_post_find(k, p->post_transform, &post));
    US_TRY(us_ml_rows(k, &x, &n, &d));
    US_TRY(forest_of(k, ml_tree_ensemble_classifier_prepare, d, &f));
    size_t n_out = f->n_out;
    US_TRY(us_eval_scratch(k, (n_out + 2) * sizeof *s, (void **)&s));
    US_TRY(us_eval_scratch(k, US_FOREST_PARTS * n_out * sizeof *parts, (void **)&parts));
    US_TRY(us_eval_scratch(k, n_out + 1, (void **)&has));
    if (us_eval_wants(k, 0)) US_TRY(us_eval_out(k, 0, us_labels_type(&labels), 1, &n, &yl));
    if (us_eval_wants(k, 1))
        US_TRY(us_eval_out(k, 1, US_F32, 2, (int64_t[]){n, (int64_t)n_out}, &ys));
    for (int64_t i = 0; i < n; i++) {
        US_TRY(row_scores(k, f, AGG_SUM, &x, i, d, parts, s, has));
        put_class(f, post, &labels, s, has, (size_t)i, yl, ys);
    }
    return US_OK;
}

/* --- calls ----------------------------------------------------------------------------------------- */

typedef struct tree_call {
    const forest *f;
    aggregate how;
    us_post post;
    us_labels labels;
    us_forest_run rows;
    size_t d;
} tree_call;

typedef struct tree_run {
    const tree_call *t;
    us_tensor *yl, *ys;
} tree_run;

static us_tensor *output(const us_eval *k, size_t i)
{
    return us_eval_wants(k, i) ? &k->out[i]->t : NULL;
}

static void class_row(void *arg, size_t row, double *s, uint8_t *has)
{
    const tree_run *r = arg;
    put_class(r->t->f, r->t->post, &r->t->labels, s, has, row, r->yl, r->ys);
}

static us_err run_classifier(us_eval *k, const void *state, void *scratch)
{
    const tree_call *t = state;
    tree_run r = {t, output(k, 0), output(k, 1)};
    us_forest_sums(t->f->packed, &t->rows, k->c, k->in[0]->t.data, t->d, scratch, class_row,
                   &r);
    return US_OK;
}

static void target_row(void *arg, size_t row, double *s, uint8_t *has)
{
    const tree_run *r = arg;
    const forest *f = r->t->f;
    (void)has;
    put_targets(f, r->t->how, r->t->post, s, (float *)r->ys->data + row * f->n_out);
}

static us_err run_regressor(us_eval *k, const void *state, void *scratch)
{
    const tree_call *t = state;
    tree_run r = {t, NULL, output(k, 0)};
    us_forest_sums(t->f->packed, &t->rows, k->c, k->in[0]->t.data, t->d, scratch, target_row,
                   &r);
    return US_OK;
}

/* t is filled in but for rows and columns. */
static us_err bind(us_eval *k, tree_call *t, us_call_fn *run, us_call *call)
{
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, run == run_classifier);
    if (!x || x->dtype != US_F32 || x->rank < 1 || x->rank > 2 || !us_tensor_contiguous(x)) {
        call->kernel = "not rows of float32";
        return US_OK;
    }
    size_t rows = x->rank == 2 ? (size_t)x->dims[0] : 1;
    t->d = (size_t)x->dims[x->rank - 1];
    if (!t->f || !t->f->packed || t->how > AGG_AVERAGE) {
        call->kernel = "a forest of a rare kind";
        return US_OK;
    }
    if (t->f->n_features > (int64_t)t->d ||
        (y && us_tensor_count(y) != (int64_t)(rows * t->f->n_out)) ||
        !us_forest_plan(t->f->packed, rows, &t->rows, &call->scratch))
        return US_OK;
    US_TRY(us_eval_work(k, 32 * (double)t->f->n_roots * (double)rows));
    return us_call_make(k, call, run, t, sizeof *t, "us_forest");
}

us_err ml_tree_ensemble_classifier_bind(us_eval *k, us_call *call)
{
    const us_p_ml_tree_ensemble_classifier *p = k->params;
    tree_call t = {.f = k->prepared, .labels = {p->classlabels_int64s, p->classlabels_strings}};
    if (us_ml_post_find(k, p->post_transform, &t.post) != US_OK) return US_OK;
    return bind(k, &t, run_classifier, call);
}

us_err ml_tree_ensemble_regressor_bind(us_eval *k, us_call *call)
{
    const us_p_ml_tree_ensemble_regressor *p = k->params;
    tree_call t = {.f = k->prepared};
    if (us_ml_post_find(k, p->post_transform, &t.post) != US_OK ||
        aggregate_of(k, p->aggregate_function, &t.how) != US_OK)
        return US_OK;
    return bind(k, &t, run_regressor, call);
}
