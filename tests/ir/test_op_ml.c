/* test_op_ml - ai.onnx.ml operators against values worked out by hand (the rules are ONNX Runtime's). */
#include "op_fixture.h"
#include "us_torture.h"

#define ML  "ai.onnx.ml."
#define X23 "const x: float[2,3] = {1, -2, 3, 0, 5, -0.5}\n"

/* Two trees on x[0] and x[1]: tree 0: x0 <= 0.5 ? A : B; tree 1: x1 > 1 ? C : D. */
#define TREES                                                                                  \
    "nodes_treeids=[0, 0, 0, 1, 1, 1], nodes_nodeids=[0, 1, 2, 0, 1, 2], "                     \
    "nodes_featureids=[0, 0, 0, 1, 0, 0], nodes_values=[0.5, 0.0, 0.0, 1.0, 0.0, 0.0], "       \
    "nodes_modes=[\"BRANCH_LEQ\", \"LEAF\", \"LEAF\", \"BRANCH_GT\", \"LEAF\", \"LEAF\"], "    \
    "nodes_truenodeids=[1, 0, 0, 1, 0, 0], nodes_falsenodeids=[2, 0, 0, 2, 0, 0]"
#define REG                                                                                    \
    TREES ", target_treeids=[0, 0, 1, 1], target_nodeids=[1, 2, 1, 2], target_ids=[0, 0, 0, "  \
          "0], "                                                                               \
          "target_weights=[1.0, 2.0, 10.0, 20.0], n_targets=1"
/* Two vectors per class in two columns; pairs of two classes. */
#define SVM2                                                                                   \
    "support_vectors=[1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0, -1.0], vectors_per_class=[2, 2], "   \
    "coefficients=[1.0, 0.5, -1.0, -0.5], rho=[0.25], classlabels_ints=[4, 7]"
#define SVM3                                                                                   \
    "support_vectors=[1.0, 0.0, 0.0, 1.0, -1.0, -1.0], vectors_per_class=[1, 1, 1], "          \
    "coefficients=[1.0, 2.0, -1.0, 0.5, -0.5, 1.5], rho=[0.5, -0.25, 0.125], "                 \
    "classlabels_strings=[\"a\", \"b\", \"c\"]"
#define X22 "const x: float[2,2] = {1, 2, -0.5, 0.25}\n"
/* A map of the first row: ZipMap makes a sequence of maps. */
#define MAP(labels)                                                                            \
    "const x: float[1,3] = {1.5, -2, 4}\nconst i: int64[] = {0}\n"                             \
    "s = " ML "ZipMap(x) {" labels "}\nm = SequenceAt(s, i)\n"
#define CLF(ids)                                                                               \
    TREES ", class_treeids=[0, 0, 1, 1], class_nodeids=[1, 2, 1, 2], class_ids=" ids           \
          ", class_weights=[0.25, 0.5, 0.125, 0.375]"

/* clang-format off */
static const op_case numbers[] = {
    {"imputer nan", "const x: float[2,2] = {nan, 2, 3, nan}\ny = " ML "Imputer(x) {imputed_value_floats=[7.0, 8.0], replaced_value_float=nan}", 2, {2, 2}, {7, 2, 3, 8}, {0}, 0},
    {"imputer value", X23 "y = " ML "Imputer(x) {imputed_value_floats=[9.0], replaced_value_float=5.0}", 2, {2, 3}, {1, -2, 3, 0, 9, -0.5}, {0}, 0},
    {"imputer int", "const x: int64[1,3] = {1, 0, 2}\ny = " ML "Imputer(x) {imputed_value_int64s=[4, 5, 6], replaced_value_int64=0}", 2, {1, 3}, {1, 5, 2}, {0}, 0},
    {"imputer wrong length", X23 "y = " ML "Imputer(x) {imputed_value_floats=[1.0, 2.0]}", -1, {0}, {0}, {0}, US_ARG},
    {"scaler", X23 "y = " ML "Scaler(x) {offset=[1.0, 0.0, 1.0], scale=[2.0, 0.5, 1.0]}", 2, {2, 3}, {0, -1, 2, -2, 2.5, -1.5}, {0}, 0},
    {"scaler one for all", X23 "y = " ML "Scaler(x) {offset=[1.0], scale=[2.0]}", 2, {2, 3}, {0, -6, 4, -2, 8, -3}, {0}, 0},
    {"normalizer l1", "const x: float[2,2] = {1, -3, 0, 0}\ny = " ML "Normalizer(x) {norm=\"L1\"}", 2, {2, 2}, {0.25, -0.75, 0, 0}, {0}, 0},
    {"normalizer l2", "const x: float[1,2] = {3, -4}\ny = " ML "Normalizer(x) {norm=\"L2\"}", 2, {1, 2}, {0.6, -0.8}, {0}, 0},
    {"normalizer max", "const x: float[1,3] = {2, -8, 4}\ny = " ML "Normalizer(x) {norm=\"MAX\"}", 2, {1, 3}, {0.5, -2, 1}, {0}, 0},
    {"binarizer", X23 "y = " ML "Binarizer(x) {threshold=0.0}", 2, {2, 3}, {1, 0, 1, 0, 1, 0}, {0}, 0},
    {"extractor", X23 "const i: int64[2] = {2, 0}\ny = " ML "ArrayFeatureExtractor(x, i)", 2, {2, 2}, {3, 1, -0.5, 0}, {0}, 0},
    {"extractor outside", X23 "const i: int64[1] = {3}\ny = " ML "ArrayFeatureExtractor(x, i)", -1, {0}, {0}, {0}, US_ARG},
    {"vectorizer", X23 "const z: float[2,1] = {7, 8}\ny = " ML "FeatureVectorizer(x, z) {inputdimensions=[2, 2]}", 2, {2, 4}, {1, -2, 7, 0, 0, 5, 8, 0}, {0}, 0},
    {"one hot int", "const x: int64[3] = {5, 1, 9}\ny = " ML "OneHotEncoder(x) {cats_int64s=[1, 5], zeros=1}", 2, {3, 2}, {0, 1, 1, 0, 0, 0}, {0}, 0},
    {"one hot unknown refused", "const x: int64[1] = {9}\ny = " ML "OneHotEncoder(x) {cats_int64s=[1, 5], zeros=0}", -1, {0}, {0}, {0}, US_ARG},
    {"one hot string", "const x: string[2,1] = {\"b\", \"\"}\ny = " ML "OneHotEncoder(x) {cats_strings=[\"a\", \"b\"], zeros=1}", 3, {2, 1, 2}, {0, 1, 0, 0}, {0}, 0},
    {"label string to int", "const x: string[3] = {\"b\", \"q\", \"a\"}\ny = " ML "LabelEncoder(x) {keys_strings=[\"a\", \"b\"], values_int64s=[10, 20], default_int64=-7}", 1, {3}, {20, -7, 10}, {0}, 0},
    {"label float nan", "const x: float[3] = {nan, 1.5, 2}\ny = " ML "LabelEncoder(x) {keys_floats=[1.5, nan], values_int64s=[1, 2]}", 1, {3}, {2, 1, -1}, {0}, 0},
    {"label equal keys: last", "const x: int64[1] = {4}\ny = " ML "LabelEncoder(x) {keys_int64s=[4, 4], values_floats=[1.0, 2.0]}", 1, {1}, {2}, {0}, 0},
    {"label int to string", "const x: int64[2] = {2, 3}\ny = " ML "LabelEncoder(x) {keys_int64s=[1, 2], values_strings=[\"u\", \"v\"]}", 1, {2}, {0}, {"v", "_Unused"}, 0},
    {"mapper", "const x: string[2] = {\"b\", \"c\"}\ny = " ML "CategoryMapper(x) {cats_int64s=[3, 4], cats_strings=[\"a\", \"b\"]}", 1, {2}, {4, -1}, {0}, 0},
    {"linear regressor", X23 "y = " ML "LinearRegressor(x) {coefficients=[1.0, 2.0, 3.0], intercepts=[0.5]}", 2, {2, 1}, {6.5, 9}, {0}, 0},
    {"linear regressor widths", X23 "y = " ML "LinearRegressor(x) {coefficients=[1.0, 2.0]}", -1, {0}, {0}, {0}, US_SHAPE},
    {"linear label, pair", X23 "y, p = " ML "LinearClassifier(x) {coefficients=[1.0, 0.0, 0.0], intercepts=[-0.5], classlabels_ints=[4, 7]}", 1, {2}, {7, 4}, {0}, 0},
    {"linear scores, pair", X23 "l, y = " ML "LinearClassifier(x) {coefficients=[1.0, 0.0, 0.0], intercepts=[-0.5], classlabels_ints=[4, 7], post_transform=\"LOGISTIC\"}", 2, {2, 2}, {0.37754067, 0.62245933, 0.62245933, 0.37754067}, {0}, 0},
    {"linear softmax", X23 "l, y = " ML "LinearClassifier(x) {coefficients=[1.0, 0.0, 0.0, 0.0, 0.0, 0.0], intercepts=[0.0, 0.0], classlabels_strings=[\"a\", \"b\"], post_transform=\"SOFTMAX\"}", 2, {2, 2}, {0.73105858, 0.26894142, 0.5, 0.5}, {0}, 0},
    {"trees sum", X23 "y = " ML "TreeEnsembleRegressor(x) {" REG "}", 2, {2, 1}, {22, 11}, {0}, 0},
    {"trees average", X23 "y = " ML "TreeEnsembleRegressor(x) {" REG ", aggregate_function=\"AVERAGE\", base_values=[1.0]}", 2, {2, 1}, {12, 6.5}, {0}, 0},
    {"trees min", X23 "y = " ML "TreeEnsembleRegressor(x) {" REG ", aggregate_function=\"MIN\"}", 2, {2, 1}, {2, 1}, {0}, 0},
    {"trees max", X23 "y = " ML "TreeEnsembleRegressor(x) {" REG ", aggregate_function=\"MAX\"}", 2, {2, 1}, {20, 10}, {0}, 0},
    {"trees missing value goes by the flag", "const x: float[1,2] = {nan, nan}\ny = " ML "TreeEnsembleRegressor(x) {" REG ", nodes_missing_value_tracks_true=[1, 0, 0, 0, 0, 0]}", 2, {1, 1}, {21}, {0}, 0},
    {"one class in trees: probabilities", X23 "l, y = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 0, 0, 0]") ", classlabels_int64s=[3, 4]}", 2, {2, 2}, {0.125, 0.875, 0.625, 0.375}, {0}, 0},
    {"one class in trees: label at 0.5", X23 "y, p = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 0, 0, 0]") ", classlabels_int64s=[3, 4]}", 1, {2}, {4, 3}, {0}, 0},
    {"three classes", X23 "l, y = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 1, 2, 1]") ", classlabels_strings=[\"a\", \"b\", \"c\"]}", 2, {2, 3}, {0, 0.875, 0, 0.25, 0, 0.125}, {0}, 0},
    {"three classes, label", X23 "y, p = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 1, 2, 1]") ", classlabels_strings=[\"a\", \"b\", \"c\"]}", 1, {2}, {0}, {"b", "a"}, 0},
    {"base values of two classes, each its own", X23 "l, y = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 1, 0, 1]") ", classlabels_int64s=[3, 4], base_values=[1.0, 0.5]}", 2, {2, 2}, {1, 1.375, 1.375, 0.5}, {0}, 0},
    {"two classes with scores: the top one", X23 "y, p = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 1, 0, 1]") ", classlabels_int64s=[3, 4], base_values=[1.0, 0.5]}", 1, {2}, {4, 3}, {0}, 0},
    {"one class, its label", X23 "y, p = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 0, 0, 0]") ", classlabels_strings=[\"only\"]}", 1, {2}, {0}, {"only", "only"}, 0},
    {"logistic of one positive score", X23 "l, y = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 0, 0, 0]") ", classlabels_int64s=[3, 4], post_transform=\"LOGISTIC\"}", 2, {2, 2}, {0.2942150, 0.7057850, 0.4073334, 0.5926666}, {0}, 0},
    {"logistic of one positive score, label", X23 "y, p = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 0, 0, 0]") ", classlabels_int64s=[3, 4], post_transform=\"LOGISTIC\"}", 1, {2}, {4, 4}, {0}, 0},
    {"probit of one score", X23 "l, y = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 0, 0, 0]") ", classlabels_int64s=[3, 4], post_transform=\"PROBIT\"}", 2, {2, 2}, {-1.15053502, 1.15053502, 0.31865060, -0.31865060}, {0}, 0},
    {"more base values than classes", X23 "y, p = " ML "TreeEnsembleClassifier(x) {" CLF("[0, 0, 0, 0]") ", classlabels_int64s=[3], base_values=[1.0, 2.0]}", -1, {0}, {0}, {0}, US_ARG},
    {"no rows", "const x: float[0,3] = {}\ny = " ML "TreeEnsembleRegressor(x) {" REG "}", 2, {0, 1}, {0}, {0}, 0},
    {"svm regressor, linear", X22 "y = " ML "SVMRegressor(x) {n_supports=2, support_vectors=[1.0, 0.0, 0.0, 1.0], coefficients=[2.0, -1.0], rho=[0.5]}", 2, {2, 1}, {0.5, -0.75}, {0}, 0},
    {"svm regressor, poly", X22 "y = " ML "SVMRegressor(x) {kernel_type=\"POLY\", kernel_params=[0.5, 1.0, 2.0], n_supports=2, support_vectors=[1.0, 0.0, 0.0, 1.0], coefficients=[2.0, -1.0], rho=[0.5]}", 2, {2, 1}, {1, 0.359375}, {0}, 0},
    {"svm regressor, rbf", X22 "y = " ML "SVMRegressor(x) {kernel_type=\"RBF\", kernel_params=[0.5, 0.0, 0.0], n_supports=1, support_vectors=[1.0, 1.0], coefficients=[2.0], rho=[0.0]}", 2, {2, 1}, {1.21306132, 0.49012100}, {0}, 0},
    {"svm regressor, sigmoid", X22 "y = " ML "SVMRegressor(x) {kernel_type=\"SIGMOID\", kernel_params=[0.5, 0.25, 0.0], n_supports=1, support_vectors=[1.0, 1.0], coefficients=[2.0], rho=[0.0]}", 2, {2, 1}, {1.88275157, 0.24870600}, {0}, 0},
    {"svm regressor, one class", X22 "y = " ML "SVMRegressor(x) {one_class=1, coefficients=[1.0, 1.0], rho=[-1.0]}", 2, {2, 1}, {1, -1}, {0}, 0},
    {"svm regressor without rho", X22 "y = " ML "SVMRegressor(x) {coefficients=[1.0, 1.0]}", -1, {0}, {0}, {0}, US_ARG},
    {"svm regressor, other columns", X22 "y = " ML "SVMRegressor(x) {coefficients=[1.0, 1.0, 1.0], rho=[0.0]}", -1, {0}, {0}, {0}, US_SHAPE},
    {"svm kernel unknown", X22 "y = " ML "SVMRegressor(x) {kernel_type=\"CUBIC\", coefficients=[1.0, 1.0], rho=[0.0]}", -1, {0}, {0}, {0}, US_ARG},
    {"svm two classes, label by vote", X22 "y, p = " ML "SVMClassifier(x) {" SVM2 "}", 1, {2}, {4, 7}, {0}, 0},
    {"svm two classes, scores", X22 "l, y = " ML "SVMClassifier(x) {" SVM2 "}", 2, {2, 2}, {-4.25, 4.25, 0.5, -0.5}, {0}, 0},
    {"svm two classes, probabilities", X22 "l, y = " ML "SVMClassifier(x) {" SVM2 ", prob_a=[-1.0], prob_b=[0.0]}", 2, {2, 2}, {0.98575002, 0.01424998, 0.37553600, 0.62446400}, {0}, 0},
    {"svm three classes, a column per pair", X22 "l, y = " ML "SVMClassifier(x) {" SVM3 "}", 2, {2, 3}, {5.5, 3.25, -5.375, 0.5, -0.75, 0.375}, {0}, 0},
    {"svm three classes, label", X22 "y, p = " ML "SVMClassifier(x) {" SVM3 "}", 1, {2}, {0}, {"a", "a"}, 0},
    {"svm by class", X22 "l, y = " ML "SVMClassifier(x) {coefficients=[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], rho=[0.5], classlabels_ints=[1, 2, 3]}", 2, {2, 3}, {1.5, 2.5, 3.5, 0, 0.75, 0.25}, {0}, 0},
    {"svm classifier, too few coefficients", X22 "y, p = " ML "SVMClassifier(x) {support_vectors=[1.0, 0.0, 0.0, 1.0], vectors_per_class=[1, 1], coefficients=[1.0], rho=[0.0], classlabels_ints=[0, 1]}", -1, {0}, {0}, {0}, US_ARG},
    {"svm classifier, classes without counts", X22 "y, p = " ML "SVMClassifier(x) {support_vectors=[1.0, 0.0], vectors_per_class=[1], coefficients=[1.0], rho=[0.0], classlabels_ints=[0, 1]}", -1, {0}, {0}, {0}, US_ARG},
    {"svm classifier, two numbers for a kernel", X22 "y, p = " ML "SVMClassifier(x) {kernel_params=[1.0, 2.0], coefficients=[1.0, 1.0], rho=[0.0], classlabels_ints=[0]}", -1, {0}, {0}, {0}, US_ARG},
    {"set with zero, NaN is in none", "const x: float[4,1] = {0, 2, nan, 5}\ny = " ML "TreeEnsemble@5(x) {nodes_featureids=[0], nodes_modes=tensor uint8[1] {6}, nodes_splits=tensor float[1] {0}, membership_values=tensor float[3] {0, 5, nan}, nodes_truenodeids=[0], nodes_falsenodeids=[1], nodes_trueleafs=[1], nodes_falseleafs=[1], leaf_targetids=[0, 0], leaf_weights=tensor float[2] {1, 2}, tree_roots=[0]}", 2, {4, 1}, {1, 2, 2, 1}, {0}, 0},
    {"set that does not end", "const x: float[1,1] = {0}\ny = " ML "TreeEnsemble@5(x) {nodes_featureids=[0], nodes_modes=tensor uint8[1] {6}, nodes_splits=tensor float[1] {0}, membership_values=tensor float[2] {0, 5}, nodes_truenodeids=[0], nodes_falsenodeids=[1], nodes_trueleafs=[1], nodes_falseleafs=[1], leaf_targetids=[0, 0], leaf_weights=tensor float[2] {1, 2}, tree_roots=[0]}", -1, {0}, {0}, {0}, US_ARG},
    {"map to a row", MAP("classlabels_int64s=[7, 2, 5]") "y = " ML "CastMap(m)", 2, {1, 3}, {-2, 4, 1.5}, {0}, 0},
    {"map to integers by key", MAP("classlabels_int64s=[3, 0, 2]") "y = " ML "CastMap(m) {cast_to=\"TO_INT64\", map_form=\"SPARSE\", max_map=5}", 2, {1, 5}, {-2, 0, 4, 1, 0}, {0}, 0},
    {"map to text", MAP("classlabels_int64s=[3, 0, 2]") "y = " ML "CastMap(m) {cast_to=\"TO_STRING\", map_form=\"SPARSE\", max_map=4}", 2, {1, 4}, {0}, {"-2.000000", "0.f", "4.000000", "1.500000"}, 0},
    {"map with a key too large", MAP("classlabels_int64s=[3, 0, 2]") "y = " ML "CastMap(m) {map_form=\"SPARSE\", max_map=3}", -1, {0}, {0}, {0}, US_ARG},
    {"map of words where numbers are wanted", MAP("classlabels_strings=[\"a\", \"b\", \"c\"]") "y = " ML "CastMap(m)", -1, {0}, {0}, {0}, US_ARG},
    {"dictionary of words", MAP("classlabels_strings=[\"a\", \"b\", \"c\"]") "y = " ML "DictVectorizer(m) {string_vocabulary=[\"c\", \"x\", \"a\", \"b\"]}", 2, {1, 4}, {4, 0, 1.5, -2}, {0}, 0},
    {"dictionary of numbers", MAP("classlabels_int64s=[7, 2, 5]") "y = " ML "DictVectorizer(m) {int64_vocabulary=[2, 7]}", 2, {1, 2}, {-2, 1.5}, {0}, 0},
    {"dictionary with another vocabulary", MAP("classlabels_int64s=[7, 2, 5]") "y = " ML "DictVectorizer(m) {string_vocabulary=[\"a\"]}", -1, {0}, {0}, {0}, US_ARG},
    {"mapper, equal keys: last", "const x: string[1] = {\"a\"}\ny = " ML "CategoryMapper(x) {cats_int64s=[3, 4], cats_strings=[\"a\", \"a\"]}", 1, {1}, {4}, {0}, 0},
    {"tree with a cycle", X23 "y = " ML "TreeEnsembleRegressor(x) {nodes_treeids=[0, 0, 0], nodes_nodeids=[0, 1, 2], nodes_featureids=[0, 0, 0], nodes_values=[9.0, 9.0, 0.0], nodes_modes=[\"BRANCH_LEQ\", \"BRANCH_LEQ\", \"LEAF\"], nodes_truenodeids=[1, 1, 0], nodes_falsenodeids=[2, 2, 0], target_treeids=[0], target_nodeids=[2], target_ids=[0], target_weights=[1.0], n_targets=1}", -1, {0}, {0}, {0}, US_FORMAT},
    {"tree with a missing child", X23 "y = " ML "TreeEnsembleRegressor(x) {nodes_treeids=[0, 0], nodes_nodeids=[0, 1], nodes_featureids=[0, 0], nodes_values=[9.0, 0.0], nodes_modes=[\"BRANCH_LEQ\", \"LEAF\"], nodes_truenodeids=[1, 0], nodes_falsenodeids=[5, 0], target_treeids=[0], target_nodeids=[1], target_ids=[0], target_weights=[1.0], n_targets=1}", -1, {0}, {0}, {0}, US_FORMAT},
    {"tree on a column that is not there", "const x: float[1,1] = {1}\ny = " ML "TreeEnsembleRegressor(x) {" REG "}", -1, {0}, {0}, {0}, US_SHAPE},
};
/* clang-format on */

static void test_ml__by_hand(void)
{
    op_check_all(numbers, US_LEN(numbers));
}

static void test_ml__zip_map(void)
{
    op_run r;
    op_open(&r,
            "const x: float[2,2] = {0.25, 0.75, 1, 0}\ny = ai.onnx.ml.ZipMap(x) "
            "{classlabels_strings=[\"no\", \"yes\"]}",
            "y");
    CHECK(r.err == US_OK);
    const us_value *y = &r.out[0];
    CHECK(y->kind == US_KIND_SEQUENCE && y->n_items == 2);
    CHECK(y->items[0].kind == US_KIND_MAP && y->items[0].n_items == 2);
    CHECK(us_sv_is(us_tensor_str_at(&y->items[0].t, 1), "yes"));
    CHECK(us_tensor_f64_at(&y->items[0].items[1].t, 0) == 0.75);
    CHECK(us_tensor_f64_at(&y->items[1].items[0].t, 0) == 1);
    op_close(&r);
}

/* Inputs that are not constant, so that nothing is folded: trees, keys and a pool are prepared with the plan, and serve two
 * sessions that run in turn. */
static const char *const prepared_model =
    "model ir=8 " OP_OPSETS "\n"
    "graph main(x: float[N,3], w: string[M]) -> (a, l, b, e, h, t) {\n"
    "  a = " ML "TreeEnsembleRegressor(x) {" REG "}\n"
    "  l, p = " ML "TreeEnsembleClassifier(x) {" CLF(
        "[0, 1, 2, 1]") ", classlabels_strings=[\"a\", \"b\", \"c\"]}\n"
                        "  b = " ML "TreeEnsemble@5(x) {nodes_featureids=[0], "
                        "nodes_modes=tensor uint8[1] {6}, "
                        "nodes_splits=tensor float[1] {0}, membership_values=tensor float[3] "
                        "{1, 5, "
                        "nan}, nodes_truenodeids=[0], nodes_falsenodeids=[1], "
                        "nodes_trueleafs=[1], "
                        "nodes_falseleafs=[1], leaf_targetids=[0, 0], leaf_weights=tensor "
                        "float[2] "
                        "{1, 2}, tree_roots=[0]}\n"
                        "  e = " ML
                        "LabelEncoder(w) {keys_strings=[\"u\", \"v\"], values_int64s=[5, 6]}\n"
                        "  h = " ML "OneHotEncoder(w) {cats_strings=[\"v\", \"u\"]}\n"
                        "  t = TfIdfVectorizer(w) {mode=\"TF\", min_gram_length=1, "
                        "max_gram_length=2, max_skip_count=0, ngram_counts=[0, 1], "
                        "ngram_indexes=[0, 1], pool_strings=[\"u\", \"u\", \"v\"]}\n"
                        "}\n";

static us_err run_prepared(us_ctx *c, us_session *s, float x0, us_value *out)
{
    float x[3] = {x0, 0, 0};
    us_sv w[2] = {US_SV("u"), US_SV("v")};
    us_tensor t[2];
    US_TRY(us_tensor_init(c, &t[0], US_F32, 2, (int64_t[]){1, 3}, x));
    US_TRY(us_tensor_init(c, &t[1], US_STRING, 1, (int64_t[]){2}, w));
    us_value in[2] = {us_value_of(&t[0]), us_value_of(&t[1])};
    return us_session_run(c, s, in, out);
}

static us_err check_outputs(us_ctx *c, us_session *s)
{
    us_value out[6];
    US_TRY(run_prepared(c, s, 1, out));
    CHECK(us_tensor_f64_at(&out[0].t, 0) == 22);
    CHECK(us_sv_is(us_tensor_str_at(&out[1].t, 0), "b"));
    CHECK(us_tensor_f64_at(&out[2].t, 0) == 1);
    CHECK(us_tensor_i64_at(&out[3].t, 1) == 6);
    CHECK(us_tensor_f64_at(&out[4].t, 1) == 1);
    CHECK(us_tensor_f64_at(&out[5].t, 1) == 1);
    US_TRY(run_prepared(c, s, 0, out));
    CHECK(us_tensor_f64_at(&out[0].t, 0) == 21);
    CHECK(us_tensor_f64_at(&out[2].t, 0) == 2);
    return US_OK;
}

static us_err prepare_and_run(us_ctx *c, void *arg)
{
    us_model *m;
    us_plan *p = NULL;
    us_session *s[2] = {NULL, NULL};
    (void)arg;
    US_TRY(us_model_parse(c, us_sv_of(prepared_model), &m));
    us_err e = us_plan_new(c, m, NULL, &p);
    if (e != US_OK) us_model_free(m);
    for (int i = 0; i < 2 && e == US_OK; i++)
        e = us_session_new(c, p, NULL, &s[i]);
    for (int i = 0; i < 4 && e == US_OK; i++)
        e = check_outputs(c, s[i % 2]);
    us_session_free(s[0]);
    us_session_free(s[1]);
    us_plan_free(p);
    return e;
}

static void test_ml__prepared_once_for_all_sessions(void)
{
    us_ctx c;
    us_ctx_init(&c);
    CHECK_OK(&c, prepare_and_run(&c, NULL));
    us_ctx_deinit(&c);
}

static void test_ml__preparing_runs_out_of_memory(void)
{
    us_torture("plan with prepared nodes", prepare_and_run, NULL);
}

/* What is wrong with a node's lists is said when the plan is made. */
static void test_ml__bad_trees_make_no_plan(void)
{
    us_ctx c;
    us_model *m;
    us_plan *p;
    us_ctx_init(&c);
    CHECK_OK(&c, us_model_parse(
                     &c,
                     US_SV("model ir=8 " OP_OPSETS "\ngraph main(x: float[N,3]) -> (y) {\n"
                           "y = " ML "TreeEnsembleRegressor(x) {nodes_modes=[\"LEAF\"]}\n}\n"),
                     &m));
    CHECK(us_plan_new(&c, m, NULL, &p) == US_FORMAT);
    us_model_free(m);
    us_ctx_deinit(&c);
}

static const us_test_case cases[] = {US_CASE(test_ml__by_hand), US_CASE(test_ml__zip_map),
                                     US_CASE(test_ml__prepared_once_for_all_sessions),
                                     US_CASE(test_ml__preparing_runs_out_of_memory),
                                     US_CASE(test_ml__bad_trees_make_no_plan)};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
