/* check/tables.c - what the standard says of operators beyond their schemas, as tables.
 *
 * Deprecations: the registry of onnx 1.19.1. Experimental operators: the list of its checker. Choices: docs/Operators.md and
 * Operators-ml.md of ONNX. IR versions: docs/Versioning.md. Runtimes: ONNX Runtime's table of compatibility.
 */
#include <string.h>

#include "check/checker.h"

static bool same_domain(us_sv domain, const char *z)
{
    return us_sv_is(domain, z) || (!z[0] && us_sv_is(domain, "ai.onnx"));
}

bool us_ck_deprecated(us_sv domain, us_sv name, int version, int *since)
{
    static const struct {
        const char *domain, *name;
        int from, until; /* 0: for good */
    } rows[] = {
        {"", "GroupNormalization", 18, 21},
        {"", "Scatter", 11, 0},
        {"", "Upsample", 10, 0},
        {"ai.onnx.ml", "TreeEnsembleClassifier", 5, 0},
        {"ai.onnx.ml", "TreeEnsembleRegressor", 5, 0},
    };
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (us_sv_is(name, rows[i].name) && same_domain(domain, rows[i].domain) &&
            version >= rows[i].from && (!rows[i].until || version < rows[i].until)) {
            *since = rows[i].from;
            return true;
        }
    return false;
}

bool us_ck_experimental(us_sv domain, us_sv name)
{
    static const char *const names[] = {
        "ATen",    "Affine",          "ConstantFill", "Crop",
        "GRUUnit", "DynamicSlice",    "ImageScaler",  "ParametricSoftplus",
        "Scale",   "GivenTensorFill", "ScaledTanh",
    };
    for (size_t i = 0; same_domain(domain, "") && i < US_LEN(names); i++)
        if (us_sv_is(name, names[i])) return true;
    return false;
}

bool us_ck_standard(us_sv domain)
{
    return same_domain(domain, "") || us_sv_is(domain, "ai.onnx.ml") ||
           us_sv_is(domain, "ai.onnx.training") || us_sv_is(domain, "ai.onnx.preview.training");
}

/* op NULL: every operator with an attribute of that name. Values between bars. */
static const struct {
    const char *domain, *op, *attr, *values;
} choices[] = {
    {"", NULL, "auto_pad", "|NOTSET|SAME_UPPER|SAME_LOWER|VALID|"},
    {"", "Pad", "mode", "|constant|reflect|edge|wrap|"},
    {"", "Resize", "mode", "|nearest|linear|cubic|"},
    {"", "Upsample", "mode", "|nearest|linear|"},
    {"", "Resize", "coordinate_transformation_mode",
     "|half_pixel|half_pixel_symmetric|pytorch_half_pixel|align_corners|asymmetric|"
     "tf_half_pixel_for_nn|tf_crop_and_resize|"},
    {"", "Resize", "nearest_mode", "|round_prefer_floor|round_prefer_ceil|floor|ceil|"},
    {"", "Resize", "keep_aspect_ratio_policy", "|stretch|not_larger|not_smaller|"},
    {"", "RoiAlign", "mode", "|avg|max|"},
    {"", "RoiAlign", "coordinate_transformation_mode", "|half_pixel|output_half_pixel|"},
    {"", "GridSample", "mode", "|linear|nearest|cubic|bilinear|bicubic|"},
    {"", "GridSample", "padding_mode", "|zeros|border|reflection|"},
    {"", "DepthToSpace", "mode", "|DCR|CRD|"},
    {"", "ScatterND", "reduction", "|none|add|mul|max|min|"},
    {"", "ScatterElements", "reduction", "|none|add|mul|max|min|"},
    {"", "TensorScatter", "mode", "|linear|circular|"},
    {"", "NegativeLogLikelihoodLoss", "reduction", "|none|sum|mean|"},
    {"", "SoftmaxCrossEntropyLoss", "reduction", "|none|sum|mean|"},
    {"", "BitShift", "direction", "|LEFT|RIGHT|"},
    {"", "RNN", "direction", "|forward|reverse|bidirectional|"},
    {"", "GRU", "direction", "|forward|reverse|bidirectional|"},
    {"", "LSTM", "direction", "|forward|reverse|bidirectional|"},
    {"", "Gelu", "approximate", "|none|tanh|"},
    {"", "StringNormalizer", "case_change_action", "|NONE|LOWER|UPPER|"},
    {"", "TfIdfVectorizer", "mode", "|TF|IDF|TFIDF|"},
    {"", NULL, "keepdims", "|0|1|"},
    {"", "ImageDecoder", "pixel_format", "|RGB|BGR|Grayscale|"},
    {"ai.onnx.ml", NULL, "post_transform", "|NONE|SOFTMAX|LOGISTIC|SOFTMAX_ZERO|PROBIT|"},
    {"ai.onnx.ml", NULL, "kernel_type", "|LINEAR|POLY|RBF|SIGMOID|"},
    {"ai.onnx.ml", NULL, "norm", "|MAX|L1|L2|"},
    {"ai.onnx.ml", "TreeEnsembleRegressor", "aggregate_function", "|SUM|AVERAGE|MIN|MAX|"},
    {"ai.onnx.ml", "CastMap", "cast_to", "|TO_FLOAT|TO_INT64|TO_STRING|"},
    {"ai.onnx.ml", "CastMap", "map_form", "|DENSE|SPARSE|"},
};

static bool listed(const char *values, us_sv v)
{
    for (const char *p = values; p[1];) {
        size_t n = strcspn(p + 1, "|");
        if (us_sv_eq((us_sv){p + 1, n}, v)) return true;
        p += 1 + n;
    }
    return false;
}

const char *us_ck_not_allowed(us_sv domain, us_sv op, us_sv attr, us_sv value)
{
    for (size_t i = 0; i < US_LEN(choices); i++) {
        bool here = same_domain(domain, choices[i].domain) &&
                    (!choices[i].op || us_sv_is(op, choices[i].op)) &&
                    us_sv_is(attr, choices[i].attr);
        if (here && !listed(choices[i].values, value)) return choices[i].values;
    }
    return NULL;
}

int us_ck_ir_of_opset(int opset)
{
    static const struct {
        int opset, ir;
    } rows[] = {{25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8},
                {12, 7},  {11, 6},  {10, 5},  {9, 4},   {1, 3}};
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (opset >= rows[i].opset) return rows[i].ir;
    return 0;
}

const char *us_ck_runtime_for(us_sv domain, int opset)
{
    static const struct {
        const char *domain;
        int from;
        const char *what;
    } rows[] = {
        {"", 24, "ONNX Runtime 1.23 ends at 23"},
        {"", 22, "ONNX Runtime 1.20 ends at 21"},
        {"ai.onnx.ml", 6, "ONNX Runtime 1.23 ends at 5"},
        {"ai.onnx.ml", 5, "ONNX Runtime 1.20 ends at 4"},
    };
    for (size_t i = 0; i < US_LEN(rows); i++)
        if (same_domain(domain, rows[i].domain) && opset >= rows[i].from) return rows[i].what;
    return NULL;
}

/* Operators the engine knows in versions older than their entry into the standard. */
int us_ck_first_version(us_sv domain, us_sv name)
{
    static const struct {
        const char *name;
        int first;
    } rows[] = {{"LayerNormalization", 17}};
    for (size_t i = 0; same_domain(domain, "") && i < US_LEN(rows); i++)
        if (us_sv_is(name, rows[i].name)) return rows[i].first;
    return 1;
}

us_dtype_mask us_ck_standard_types(us_sv domain, us_sv name, int since, size_t operand)
{
    static const struct {
        const char *op, *domain;
        us_dtype_mask mask;
        uint8_t since, operand;
    } rows[] = {
#define US_STD(op, domain, since, operand, mask) {op, domain, mask, since, operand},
#include "check/standard.def"
#undef US_STD
    };
    size_t lo = 0, hi = US_LEN(rows); /* the first row of the operator */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (us_sv_cmp(us_sv_of(rows[mid].op), name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < US_LEN(rows) && us_sv_is(name, rows[lo].op); lo++)
        if (rows[lo].since == since && rows[lo].operand == operand &&
            same_domain(domain, rows[lo].domain))
            return rows[lo].mask;
    return US_M_ALL;
}
