/* ir/op_ml_trees.c - ai.onnx.ml.TreeEnsemble (version 5): trees as node and leaf lists that point by index; checked
 * and converted once per plan.
 *
 * A walk takes at most as many steps as there are nodes, so a cycle in a hostile file ends in an error. Inputs and
 * splits are compared as doubles; sums run in double, in parts (kernel/forest.h).
 */
#include "ir/forest.h"
#include "ir/ml_post.h"

#include <math.h>
#include <string.h>

/* clang-format off */
static const us_param trees_in[] = {{"X", 'T', US_M_FLOAT3, 0}, US_PARAM_END};
static const us_param trees_out[] = {{"Y", 'T', US_M_FLOAT3, 0}, US_PARAM_END};
#define S us_p_ml_tree_ensemble
#define NEEDED(field, kind_) {.name = #field, .kind = (kind_), .offset = offsetof(S, field), .required = true}
static const us_attr_row trees_attrs[] = {
    US_AI(S, aggregate_function, "aggregate_function", 1), NEEDED(leaf_targetids, US_AT_INTS),
    NEEDED(leaf_weights, US_AT_TENSOR), US_AT(S, membership_values, "membership_values"),
    {.name = "n_targets", .kind = US_AT_INT, .offset = offsetof(S, n_targets), .has_offset = offsetof(S, has_n_targets)},
    NEEDED(nodes_falseleafs, US_AT_INTS), NEEDED(nodes_falsenodeids, US_AT_INTS),
    NEEDED(nodes_featureids, US_AT_INTS), US_AT(S, nodes_hitrates, "nodes_hitrates"),
    US_AIS(S, nodes_missing_value_tracks_true, "nodes_missing_value_tracks_true"),
    NEEDED(nodes_modes, US_AT_TENSOR), NEEDED(nodes_splits, US_AT_TENSOR), NEEDED(nodes_trueleafs, US_AT_INTS),
    NEEDED(nodes_truenodeids, US_AT_INTS), US_AI(S, post_transform, "post_transform", 0),
    NEEDED(tree_roots, US_AT_INTS), US_ATTR_END};
#undef S
const us_schema ml_tree_ensemble_schemas[] = {
    {5, trees_in, trees_out, trees_attrs, sizeof(us_p_ml_tree_ensemble), NULL},
    {0}};
/* clang-format on */

enum { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, N_MODES };
enum { AVERAGE, SUM, MIN, MAX, N_AGGREGATES };

typedef struct forest {
    const us_p_ml_tree_ensemble *p;
    size_t n;                 /* nodes */
    const int64_t *modes;     /* of each node */
    const double *splits;     /* of each node */
    const double *weights;    /* of each leaf */
    const double *members;    /* of MEMBER nodes in order, each set ended by NaN */
    const int64_t *member_at; /* of each node: where its set begins */
    size_t n_members;
    int64_t n_targets, n_features;
    const us_forest *packed; /* for calls; NULL: of a rare kind */
} forest;

us_err ml_tree_ensemble_infer(us_infer *k)
{
    const us_p_ml_tree_ensemble *p = k->params;
    us_dim n;
    US_TRY(us_ml_infer_rows(k, &n));
    return us_infer_out(k, 0, US_DT_NONE, 2,
                        (us_dim[]){n, US_DIM(p->has_n_targets ? p->n_targets : 1)});
}

static us_err bad(us_eval *k)
{
    return us_eval_fail(k, US_ARG, "the lists of nodes and leaves do not fit each other");
}

static bool all_below(us_ints v, us_ints leaf, size_t n_nodes, size_t n_leaves)
{
    for (size_t i = 0; i < v.n; i++) {
        int64_t end = (int64_t)(leaf.p[i] ? n_leaves : n_nodes);
        if (v.p[i] < 0 || v.p[i] >= end) return false;
    }
    return true;
}

static us_err check(us_eval *k, forest *f)
{
    const us_p_ml_tree_ensemble *p = f->p;
    size_t n = f->n, n_leaves = p->leaf_targetids.n;
    us_ints nan = p->nodes_missing_value_tracks_true;
    if (p->nodes_falseleafs.n != n || p->nodes_falsenodeids.n != n ||
        p->nodes_trueleafs.n != n || p->nodes_truenodeids.n != n || (nan.n && nan.n != n) ||
        (size_t)us_tensor_count(p->nodes_modes) != n ||
        (size_t)us_tensor_count(p->nodes_splits) != n ||
        (size_t)us_tensor_count(p->leaf_weights) != n_leaves ||
        !all_below(p->nodes_truenodeids, p->nodes_trueleafs, n, n_leaves) ||
        !all_below(p->nodes_falsenodeids, p->nodes_falseleafs, n, n_leaves))
        return bad(k);
    for (size_t i = 0; i < n; i++) {
        if (p->nodes_featureids.p[i] < 0 || p->nodes_featureids.p[i] >= INT32_MAX)
            return bad(k);
        f->n_features = US_MAX(f->n_features, p->nodes_featureids.p[i] + 1);
    }
    for (size_t i = 0; i < n_leaves; i++)
        if (p->leaf_targetids.p[i] < 0 || p->leaf_targetids.p[i] >= f->n_targets) return bad(k);
    for (size_t i = 0; i < p->tree_roots.n; i++)
        if (p->tree_roots.p[i] < 0 || (size_t)p->tree_roots.p[i] >= n) return bad(k);
    return US_OK;
}

/* Where each node's set of members begins. */
static us_err place_members(us_eval *k, forest *f)
{
    int64_t *at;
    size_t next = 0;
    US_TRY(us_eval_keep(k, f->n * sizeof *at, (void **)&at));
    for (size_t i = 0; i < f->n; i++) {
        if (f->modes[i] < 0 || f->modes[i] >= N_MODES) return bad(k);
        at[i] = (int64_t)next;
        if (f->modes[i] != MEMBER) continue;
        while (next < f->n_members && !isnan(f->members[next]))
            next++;
        if (next == f->n_members) return bad(k);
        next++;
    }
    f->member_at = at;
    return US_OK;
}

/* The tensor's elements as another type, where they stay. */
static us_err kept_as(us_eval *k, const us_tensor *t, us_dtype to, const void **out)
{
    us_tensor as;
    void *p;
    US_TRY(us_eval_as(k, t, to, &as));
    if (as.data == t->data) {
        *out = t->data;
        return US_OK;
    }
    US_TRY(us_eval_keep(k, us_tensor_bytes(&as), &p));
    if (us_tensor_bytes(&as)) memcpy(p, as.data, us_tensor_bytes(&as));
    *out = p;
    return US_OK;
}

/* Nodes, and after them leaves of a weight each, as the older operators have them. */
static us_err pack(us_eval *k, forest *f)
{
    const us_p_ml_tree_ensemble *p = f->p;
    size_t n = f->n, n_leaves = p->leaf_targetids.n;
    us_ints nan = p->nodes_missing_value_tracks_true;
    void *nodes, *weights, *roots;
    if (n + n_leaves > UINT32_MAX / 2) return US_OK;
    US_TRY(us_eval_scratch(k, (n + n_leaves) * sizeof(us_raw_node), &nodes));
    US_TRY(us_eval_scratch(k, (n_leaves + 1) * sizeof(us_raw_weight), &weights));
    US_TRY(us_eval_scratch(k, (p->tree_roots.n + 1) * sizeof(uint32_t), &roots));
    us_raw_node *to = nodes;
    for (size_t i = 0; i < n; i++)
        to[i] = (us_raw_node){.value = f->splits[i],
                              .yes = (uint32_t)(p->nodes_truenodeids.p[i] +
                                                (p->nodes_trueleafs.p[i] ? (int64_t)n : 0)),
                              .no = (uint32_t)(p->nodes_falsenodeids.p[i] +
                                               (p->nodes_falseleafs.p[i] ? (int64_t)n : 0)),
                              .feature = (uint32_t)p->nodes_featureids.p[i],
                              .mode = f->modes[i] == MEMBER ? US_TREE_N : (uint8_t)f->modes[i],
                              .nan_yes = nan.n && nan.p[i] != 0};
    for (size_t i = 0; i < n_leaves; i++) {
        to[n + i] =
            (us_raw_node){.w0 = (uint32_t)i, .w1 = (uint32_t)i + 1, .mode = US_TREE_LEAF};
        ((us_raw_weight *)weights)[i] =
            (us_raw_weight){f->weights[i], (uint32_t)p->leaf_targetids.p[i]};
    }
    for (size_t i = 0; i < p->tree_roots.n; i++)
        ((uint32_t *)roots)[i] = (uint32_t)p->tree_roots.p[i];
    us_raw_forest raw = {nodes,           n + n_leaves, roots,
                         p->tree_roots.n, weights,      (size_t)f->n_targets};
    return us_forest_pack(k, &raw, &f->packed);
}

us_err ml_tree_ensemble_prepare(us_eval *k, const void **out)
{
    const us_p_ml_tree_ensemble *p = k->params;
    forest *f;
    const void *modes, *splits, *weights, *members = NULL;
    US_TRY(us_eval_keep(k, sizeof *f, (void **)&f));
    f->p = p;
    f->n = p->nodes_featureids.n;
    f->n_targets = p->has_n_targets ? p->n_targets : 1;
    if (p->aggregate_function < 0 || p->aggregate_function >= N_AGGREGATES ||
        p->post_transform < 0 || p->post_transform > US_POST_PROBIT || f->n_targets < 1 ||
        f->n_targets > INT32_MAX)
        return us_eval_fail(k, US_ARG, "aggregate_function, post_transform or n_targets");
    US_TRY(check(k, f));
    US_TRY(kept_as(k, p->nodes_modes, US_I64, &modes));
    US_TRY(kept_as(k, p->nodes_splits, US_F64, &splits));
    US_TRY(kept_as(k, p->leaf_weights, US_F64, &weights));
    if (p->membership_values) US_TRY(kept_as(k, p->membership_values, US_F64, &members));
    f->modes = modes;
    f->splits = splits;
    f->weights = weights;
    f->members = members;
    f->n_members = p->membership_values ? (size_t)us_tensor_count(p->membership_values) : 0;
    US_TRY(place_members(k, f));
    US_TRY(pack(k, f));
    *out = f;
    return US_OK;
}

static bool is_member(const forest *f, size_t i, double x)
{
    for (const double *m = f->members + f->member_at[i]; !isnan(*m); m++)
        if (*m == x) return true;
    return false;
}

static bool yes(const forest *f, size_t i, double x)
{
    us_ints nan = f->p->nodes_missing_value_tracks_true;
    double s = f->splits[i];
    if (isnan(x) && nan.n && nan.p[i]) return true; /* else by the comparison: only NEQ holds */
    const bool is[] = {
        [LEQ] = x <= s, [LT] = x<s, [GTE] = x >= s, [GT] = x> s, [EQ] = x == s, [NEQ] = x != s};
    return f->modes[i] == MEMBER ? is_member(f, i, x) : is[f->modes[i]];
}

/* The leaf that a row comes to, or -1 when the walk does not end. */
static int64_t leaf_of(const forest *f, int64_t root, const double *row)
{
    const us_p_ml_tree_ensemble *p = f->p;
    int64_t i = root;
    for (size_t step = 0; step <= f->n; step++) {
        bool t = yes(f, (size_t)i, row[p->nodes_featureids.p[i]]);
        bool leaf = (t ? p->nodes_trueleafs : p->nodes_falseleafs).p[i] != 0;
        i = (t ? p->nodes_truenodeids : p->nodes_falsenodeids).p[i];
        if (leaf) return i;
    }
    return -1;
}

static double join(int64_t how, double was, double v, bool first)
{
    if (first) return v;
    return how == MIN ? fmin(was, v) : fmax(was, v);
}

/* s: the scores, and behind them room for US_FOREST_PARTS times as many sums. */
static us_err row_scores(us_eval *k, const forest *f, const double *row, double *s, bool *seen,
                         size_t width)
{
    const us_p_ml_tree_ensemble *p = f->p;
    double *parts = s + width;
    bool sums = p->aggregate_function == SUM || p->aggregate_function == AVERAGE;
    US_TRY(us_eval_work(k, 32 * (double)p->tree_roots.n)); /* a leaf is some steps away */
    memset(s, 0, (1 + US_FOREST_PARTS) * width * sizeof *s);
    memset(seen, 0, width * sizeof *seen);
    for (size_t t = 0; t < p->tree_roots.n; t++) {
        int64_t leaf = leaf_of(f, p->tree_roots.p[t], row);
        if (leaf < 0) return us_eval_fail(k, US_ARG, "tree %zu goes in a circle", t);
        size_t target = (size_t)p->leaf_targetids.p[leaf];
        if (sums)
            parts[t % US_FOREST_PARTS * width + target] += f->weights[leaf];
        else
            s[target] = join(p->aggregate_function, s[target], f->weights[leaf], !seen[target]);
        seen[target] = true;
    }
    for (size_t i = 0; sums && i < width; i++)
        s[i] = us_forest_total(parts + i, width);
    for (size_t i = 0; p->aggregate_function == AVERAGE && i < width; i++)
        s[i] /= (double)p->tree_roots.n;
    return US_OK;
}

us_err ml_tree_ensemble_eval(us_eval *k)
{
    const us_tensor *in;
    us_tensor x, *y;
    const void *prepared = k->prepared;
    double *s;
    bool *seen;
    US_TRY(us_eval_in(k, 0, &in));
    if (us_dtype_get(in->dtype)->cls != US_DC_FLOAT) return us_eval_no_type(k, in->dtype);
    if (in->rank != 2) return us_eval_fail(k, US_SHAPE, "input of rank %d", in->rank);
    if (!prepared) US_TRY(ml_tree_ensemble_prepare(k, &prepared));
    const forest *f = prepared;
    int64_t d = in->dims[1];
    size_t n_targets = (size_t)f->n_targets;
    if (f->n_features > d)
        return us_eval_fail(k, US_SHAPE, "trees use %lld columns, the input has %lld",
                            (long long)f->n_features, (long long)d);
    US_TRY(us_eval_as(k, in, US_F64, &x));
    US_TRY(us_eval_scratch(k, (1 + US_FOREST_PARTS) * n_targets * sizeof *s, (void **)&s));
    US_TRY(us_eval_scratch(k, n_targets * sizeof *seen, (void **)&seen));
    US_TRY(us_eval_out(k, 0, in->dtype, 2, (int64_t[]){in->dims[0], f->n_targets}, &y));
    for (int64_t i = 0; i < in->dims[0]; i++) {
        US_TRY(us_ctx_poll(k->c));
        US_TRY(row_scores(k, f, (const double *)x.data + i * d, s, seen, n_targets));
        us_ml_post((us_post)f->p->post_transform, s, n_targets);
        us_dtype_get(y->dtype)->from_f64(y->data, (size_t)i * n_targets, n_targets, s);
    }
    return US_OK;
}

/* --- calls ----------------------------------------------------------------------------------------- */

typedef struct trees_call {
    const forest *f;
    us_forest_run rows;
    size_t d;
} trees_call;

typedef struct trees_run {
    const forest *f;
    float *y;
} trees_run;

static void put_row(void *arg, size_t row, double *s, uint8_t *has)
{
    const trees_run *r = arg;
    const us_p_ml_tree_ensemble *p = r->f->p;
    size_t n = (size_t)r->f->n_targets;
    (void)has;
    for (size_t i = 0; p->aggregate_function == AVERAGE && i < n; i++)
        s[i] /= (double)p->tree_roots.n;
    us_ml_post((us_post)p->post_transform, s, n);
    for (size_t i = 0; i < n; i++)
        r->y[row * n + i] = (float)s[i];
}

static us_err run(us_eval *k, const void *state, void *scratch)
{
    const trees_call *t = state;
    trees_run r = {t->f, k->out[0]->t.data};
    us_forest_sums(t->f->packed, &t->rows, k->c, k->in[0]->t.data, t->d, scratch, put_row, &r);
    return US_OK;
}

us_err ml_tree_ensemble_bind(us_eval *k, us_call *call)
{
    trees_call t = {.f = k->prepared};
    const us_tensor *x = us_eval_opt(k, 0), *y = us_eval_opt_out(k, 0);
    if (!x || !y || x->dtype != US_F32 || x->rank != 2 || !us_tensor_contiguous(x)) {
        call->kernel = "not rows of float32";
        return US_OK;
    }
    if (!t.f || !t.f->packed || t.f->p->aggregate_function > SUM) {
        call->kernel = "a forest of a rare kind";
        return US_OK;
    }
    t.d = (size_t)x->dims[1];
    if (t.f->n_features > x->dims[1] || us_tensor_count(y) != x->dims[0] * t.f->n_targets ||
        !us_forest_plan(t.f->packed, (size_t)x->dims[0], &t.rows, &call->scratch))
        return US_OK;
    US_TRY(us_eval_work(k, 32 * (double)t.f->p->tree_roots.n * (double)x->dims[0]));
    return us_call_make(k, call, run, &t, sizeof t, "us_forest");
}
