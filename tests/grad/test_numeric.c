/* Every gradient against central differences in double precision.
 *
 * Nothing is checked at a kink: the draws avoid them with probability one, and a kink within h of a draw would show as a
 * failure here.
 */
#include "grad_check.h"

/* clang-format off */
static const grad_case unary[] = {
    {"Abs",        "x: double[3,4]", "y = Abs(x)", -2, 2, TIGHT, NULL},
    {"Neg",        "x: double[3,4]", "y = Neg(x)", -2, 2, TIGHT, NULL},
    {"Exp",        "x: double[3,4]", "y = Exp(x)", -2, 2, TIGHT, NULL},
    {"Log",        "x: double[3,4]", "y = Log(x)", 0.5, 3, TIGHT, NULL},
    {"Sqrt",       "x: double[3,4]", "y0 = Sqrt(x)\n y = Exp(y0)", 0.5, 3, TIGHT, NULL},
    {"Reciprocal", "x: double[3,4]", "y = Reciprocal(x)", 0.5, 3, TIGHT, NULL},
    {"Sin",        "x: double[3,4]", "y = Sin(x)", -3, 3, TIGHT, NULL},
    {"Cos",        "x: double[3,4]", "y = Cos(x)", -3, 3, TIGHT, NULL},
    {"Tan",        "x: double[3,4]", "y = Tan(x)", -1.2, 1.2, LOOSE, NULL},
    {"Asin",       "x: double[3,4]", "y = Asin(x)", -0.9, 0.9, LOOSE, NULL},
    {"Acos",       "x: double[3,4]", "y = Acos(x)", -0.9, 0.9, LOOSE, NULL},
    {"Atan",       "x: double[3,4]", "y = Atan(x)", -3, 3, TIGHT, NULL},
    {"Sinh",       "x: double[3,4]", "y = Sinh(x)", -2, 2, TIGHT, NULL},
    {"Cosh",       "x: double[3,4]", "y = Cosh(x)", -2, 2, TIGHT, NULL},
    {"Asinh",      "x: double[3,4]", "y = Asinh(x)", -3, 3, TIGHT, NULL},
    {"Acosh",      "x: double[3,4]", "y = Acosh(x)", 1.2, 4, LOOSE, NULL},
    {"Atanh",      "x: double[3,4]", "y = Atanh(x)", -0.9, 0.9, LOOSE, NULL},
    {"Tanh",       "x: double[3,4]", "y = Tanh(x)", -2, 2, TIGHT, NULL},
    {"Sigmoid",    "x: double[3,4]", "y = Sigmoid(x)", -3, 3, TIGHT, NULL},
    {"Erf",        "x: double[3,4]", "y = Erf(x)", -2, 2, TIGHT, NULL},
    {"Relu",       "x: double[3,4]", "y = Relu(x)", -2, 2, TIGHT, NULL},
    {"LeakyRelu",  "x: double[3,4]", "y = LeakyRelu(x) {alpha=0.1}", -2, 2, TIGHT, NULL},
    {"Elu",        "x: double[3,4]", "y = Elu(x) {alpha=0.7}", -2, 2, TIGHT, NULL},
    {"Selu",       "x: double[3,4]", "y = Selu(x)", -2, 2, TIGHT, NULL},
    {"Celu",       "x: double[3,4]", "y = Celu(x) {alpha=2.0}", -2, 2, TIGHT, NULL},
    {"Softplus",   "x: double[3,4]", "y = Softplus(x)", -3, 3, TIGHT, NULL},
    {"Softsign",   "x: double[3,4]", "y = Softsign(x)", -3, 3, TIGHT, NULL},
    {"HardSigmoid","x: double[3,4]", "y = HardSigmoid(x) {alpha=0.25, beta=0.5}", -4, 4, TIGHT, NULL},
    {"HardSwish",  "x: double[3,4]", "y = HardSwish(x)", -5, 5, TIGHT, NULL},
    {"ThresholdedRelu", "x: double[3,4]", "y = ThresholdedRelu(x) {alpha=0.5}", -2, 2, TIGHT, NULL},
    {"Identity",   "x: double[3,4]", "y = Identity(x)", -2, 2, TIGHT, NULL},
    {"Floor",      "x: double[3,4]", "f = Floor(x)\n y = Sub(x, f)", -2, 2, TIGHT, NULL},
    {"Sign",       "x: double[3,4]", "s = Sign(x)\n y = Mul(x, s)", -2, 2, TIGHT, NULL},
    {"Round",      "x: double[3,4]", "f = Round(x)\n y = Sub(x, f)", -2, 2, TIGHT, NULL},
    {"Ceil",       "x: double[3,4]", "f = Ceil(x)\n y = Sub(x, f)", -2, 2, TIGHT, NULL},
    {"Cast",       "x: double[3,4]", "f = Exp(x)\n y = Cast(f) {to=11}", -2, 2, TIGHT, NULL},
    {"Clip both",  "x: double[3,4], lo: double[], hi: double[]", "l = Sub(lo, hi)\n y = Clip(x, l, hi)", 0.5, 2, TIGHT, NULL},
    {"Clip low",   "x: double[3,4]", "const lo: double[] = {-0.5}\n y = Clip(x, lo)", -2, 2, TIGHT, NULL},
    {"Dropout inference", "x: double[3,4]", "y = Dropout(x)", -2, 2, TIGHT, NULL},
};

static const grad_case binary[] = {
    {"Add",            "a: double[3,4], b: double[3,4]", "y = Add(a, b)", -2, 2, TIGHT, NULL},
    {"Add row",        "a: double[3,4], b: double[4]", "y = Add(a, b)", -2, 2, TIGHT, NULL},
    {"Add scalar",     "a: double[3,4], b: double[]", "y = Add(a, b)", -2, 2, TIGHT, NULL},
    {"Sub column",     "a: double[3,1], b: double[2,3,4]", "y = Sub(a, b)", -2, 2, TIGHT, NULL},
    {"Mul both",       "a: double[3,1], b: double[1,4]", "y = Mul(a, b)", -2, 2, TIGHT, NULL},
    {"Mul symbolic",   "a: double[N,4], b: double[4]", "y = Mul(a, b)", -2, 2, TIGHT, NULL},
    {"Div",            "a: double[3,4], b: double[2,1,4]", "y = Div(a, b)", 0.5, 2, TIGHT, NULL},
    {"Pow",            "a: double[3,4], b: double[4]", "y = Pow(a, b)", 0.5, 2, LOOSE, NULL},
    {"Pow constant",   "a: double[3,4]", "const e: double[] = {3}\n y = Pow(a, e)", -2, 2, LOOSE, NULL},
    {"Pow int",        "a: double[3,4]", "const e: int64[] = {2}\n y = Pow(a, e)", -2, 2, LOOSE, NULL},
    {"Where",          "a: double[3,4], b: double[4]", "const c: bool[3,1] = {1, 0, 1}\n y = Where(c, a, b)", -2, 2, TIGHT, NULL},
    {"Mod",            "a: double[3,4], b: double[3,4]", "y = Mod(a, b) {fmod=1}", 0.5, 3, TIGHT, NULL},
    {"Max",            "a: double[3,4], b: double[4], c: double[]", "y = Max(a, b, c)", -2, 2, TIGHT, NULL},
    {"Min",            "a: double[3,4], b: double[4]", "y = Min(a, b)", -2, 2, TIGHT, NULL},
    {"Sum",            "a: double[3,4], b: double[4], c: double[1]", "y = Sum(a, b, c)", -2, 2, TIGHT, NULL},
    {"Mean",           "a: double[3,4], b: double[4]", "y = Mean(a, b)", -2, 2, TIGHT, NULL},
    {"PRelu",          "x: double[3,4], s: double[4]", "y = PRelu(x, s)", -2, 2, TIGHT, NULL},
    {"fan-out",        "a: double[3,4]", "s = Sin(a)\n t = Mul(s, a)\n u = Add(t, s)\n y = Mul(u, a)", -2, 2, TIGHT, NULL},
    {"the same twice", "a: double[3,4]", "y = Mul(a, a)", -2, 2, TIGHT, NULL},
    {"one branch does not reach the loss", "a: double[3], b: double[3]", "z = Exp(b)\n y = Sin(a)", -2, 2, TIGHT, NULL},
    {"through a comparison", "a: double[3,4], b: double[3,4]", "c = Less(a, b)\n y = Where(c, a, b)", -2, 2, TIGHT, NULL},
};

static const grad_case reduce[] = {
    {"ReduceSum",      "x: double[2,3,4]", "const a: int64[1] = {1}\n y = ReduceSum(x, a) {keepdims=0}", -2, 2, TIGHT, NULL},
    {"ReduceSum keep", "x: double[2,3,4]", "const a: int64[2] = {0, -1}\n y = ReduceSum(x, a)", -2, 2, TIGHT, NULL},
    {"ReduceSum all",  "x: double[2,3,4]", "y = ReduceSum(x) {keepdims=0}", -2, 2, TIGHT, NULL},
    {"ReduceSum symbolic", "x: double[N,4]", "const a: int64[1] = {0}\n y = ReduceSum(x, a)", -2, 2, TIGHT, NULL},
    {"ReduceMean",     "x: double[2,3,4]", "y = ReduceMean(x) {axes=[0, 2], keepdims=0}", -2, 2, TIGHT, NULL},
    {"ReduceMean symbolic", "x: double[N,4]", "y = ReduceMean(x) {axes=[0], keepdims=0}", -2, 2, TIGHT, NULL},
    {"ReduceMax",      "x: double[2,3,4]", "y = ReduceMax(x) {axes=[1], keepdims=0}", -2, 2, TIGHT, NULL},
    {"ReduceMin",      "x: double[2,3,4]", "y = ReduceMin(x) {axes=[2]}", -2, 2, TIGHT, NULL},
    {"ReduceL1",       "x: double[2,3,4]", "y = ReduceL1(x) {axes=[1], keepdims=0}", -2, 2, TIGHT, NULL},
    {"ReduceL2",       "x: double[2,3,4]", "y0 = ReduceL2(x) {axes=[1], keepdims=0}\n y = Exp(y0)", -1, 1, LOOSE, NULL},
    {"ReduceLogSum",   "x: double[2,3,4]", "y = ReduceLogSum(x) {axes=[1], keepdims=0}", 0.5, 2, TIGHT, NULL},
    {"ReduceLogSumExp","x: double[2,3,4]", "y = ReduceLogSumExp(x) {axes=[1], keepdims=0}", -2, 2, TIGHT, NULL},
    {"ReduceSumSquare","x: double[2,3,4]", "y = ReduceSumSquare(x) {axes=[1], keepdims=0}", -2, 2, LOOSE, NULL},
    {"Softmax",        "x: double[3,4]", "y = Softmax(x) {axis=1}", -2, 2, TIGHT, NULL},
    {"Softmax first axis", "x: double[3,4]", "y = Softmax(x) {axis=0}", -2, 2, TIGHT, NULL},
    {"LogSoftmax",     "x: double[3,4]", "y = LogSoftmax(x) {axis=-1}", -2, 2, TIGHT, NULL},
    {"CumSum",         "x: double[3,4]", "const a: int64[] = {1}\n y = CumSum(x, a)", -2, 2, TIGHT, NULL},
    {"CumSum exclusive reverse", "x: double[3,4]", "const a: int64[] = {0}\n y = CumSum(x, a) {exclusive=1, reverse=1}", -2, 2, TIGHT, NULL},
};

static const grad_case linear[] = {
    {"MatMul",         "a: double[3,4], b: double[4,2]", "y = MatMul(a, b)", -1, 1, TIGHT, NULL},
    {"MatMul batched", "a: double[2,3,4], b: double[2,4,2]", "y = MatMul(a, b)", -1, 1, TIGHT, NULL},
    {"MatMul broadcast", "a: double[2,1,3,4], b: double[5,4,2]", "y = MatMul(a, b)", -1, 1, TIGHT, NULL},
    {"MatMul rows",    "a: double[2,3,4], b: double[4,2]", "y = MatMul(a, b)", -1, 1, TIGHT, NULL},
    {"MatMul vector matrix", "a: double[4], b: double[4,2]", "y = MatMul(a, b)", -1, 1, TIGHT, NULL},
    {"MatMul matrix vector", "a: double[3,4], b: double[4]", "y = MatMul(a, b)", -1, 1, TIGHT, NULL},
    {"MatMul dot",     "a: double[4], b: double[4]", "y = MatMul(a, b)", -1, 1, TIGHT, NULL},
    {"Gemm",           "a: double[3,4], b: double[4,2], c: double[2]", "y = Gemm(a, b, c)", -1, 1, TIGHT, NULL},
    {"Gemm transA",    "a: double[4,3], b: double[4,2], c: double[3,1]", "y = Gemm(a, b, c) {transA=1, alpha=0.5}", -1, 1, TIGHT, NULL},
    {"Gemm transB",    "a: double[3,4], b: double[2,4], c: double[]", "y = Gemm(a, b, c) {transB=1, beta=2.0}", -1, 1, TIGHT, NULL},
    {"Gemm both",      "a: double[4,3], b: double[2,4]", "y = Gemm(a, b) {transA=1, transB=1}", -1, 1, TIGHT, NULL},
    {"Gemm symbolic",  "a: double[N,4], b: double[4,2], c: double[2]", "y = Gemm(a, b, c)", -1, 1, TIGHT, NULL},
    {"BatchNormalization", "x: double[3,2,4], s: double[2], b: double[2], m: double[2], v: double[2]",
                       "y = BatchNormalization(x, s, b, m, v)", 0.5, 2, TIGHT, NULL},
    {"BatchNormalization training", "x: double[3,2,4], s: double[2], b: double[2]",
                       "const m: double[2] = {0, 0}\n const v: double[2] = {1, 1}\n y, rm, rv = BatchNormalization(x, s, b, m, v) {training_mode=1}", 0.5, 2, LOOSE, NULL},
};

static const grad_case spatial[] = {
    {"Conv",           "x: double[2,3,5,6], w: double[4,3,3,2], b: double[4]", "y = Conv(x, w, b)", -1, 1, TIGHT, NULL},
    {"Conv pads",      "x: double[2,2,5,5], w: double[3,2,3,3]", "y = Conv(x, w) {pads=[1, 2, 0, 1]}", -1, 1, TIGHT, NULL},
    {"Conv strides",   "x: double[2,2,7,8], w: double[3,2,3,3]", "y = Conv(x, w) {strides=[2, 3], pads=[1, 1, 1, 1]}", -1, 1, TIGHT, NULL},
    {"Conv dilations", "x: double[1,2,9,7], w: double[2,2,3,2]", "y = Conv(x, w) {dilations=[2, 3], strides=[2, 1]}", -1, 1, TIGHT, NULL},
    {"Conv groups",    "x: double[2,4,5,5], w: double[6,2,3,3], b: double[6]", "y = Conv(x, w, b) {group=2, pads=[1, 1, 1, 1]}", -1, 1, TIGHT, NULL},
    {"Conv depthwise", "x: double[2,3,5,5], w: double[3,1,3,3]", "y = Conv(x, w) {group=3, strides=[2, 2]}", -1, 1, TIGHT, NULL},
    {"Conv same",      "x: double[2,2,6,5], w: double[2,2,3,2]", "y = Conv(x, w) {auto_pad=\"SAME_UPPER\", strides=[2, 2]}", -1, 1, TIGHT, NULL},
    {"Conv 1d symbolic batch", "x: double[N,2,6], w: double[3,2,3]", "y = Conv(x, w)", -1, 1, TIGHT, NULL},
    {"MaxPool",        "x: double[2,2,5,6]", "y = MaxPool(x) {kernel_shape=[2, 3], strides=[1, 2], pads=[0, 1, 1, 0]}", -1, 1, TIGHT, NULL},
    {"AveragePool",    "x: double[2,2,5,6]", "y = AveragePool(x) {kernel_shape=[2, 3], strides=[2, 1], pads=[1, 1, 0, 1]}", -1, 1, TIGHT, NULL},
    {"AveragePool pads count", "x: double[2,2,5,6]", "y = AveragePool(x) {kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1}", -1, 1, TIGHT, NULL},
    {"AveragePool symbolic batch", "x: double[N,2,6]", "y = AveragePool(x) {kernel_shape=[2]}", -1, 1, TIGHT, NULL},
    {"GlobalAveragePool", "x: double[2,3,4,5]", "y = GlobalAveragePool(x)", -1, 1, TIGHT, NULL},
    {"GlobalMaxPool",  "x: double[2,3,4,5]", "y = GlobalMaxPool(x)", -1, 1, TIGHT, NULL},
};

static const grad_case movement[] = {
    {"Reshape",        "x: double[2,3,4]", "const s: int64[2] = {4, -1}\n y = Reshape(x, s)", -2, 2, TIGHT, NULL},
    {"Flatten",        "x: double[N,3,4]", "z = Flatten(x) {axis=1}\n y = Sin(z)", -2, 2, TIGHT, NULL},
    {"Squeeze",        "x: double[2,1,4]", "const a: int64[1] = {1}\n y = Squeeze(x, a)", -2, 2, TIGHT, NULL},
    {"Unsqueeze",      "x: double[2,4]", "const a: int64[2] = {0, 2}\n y = Unsqueeze(x, a)", -2, 2, TIGHT, NULL},
    {"Transpose",      "x: double[2,3,4], w: double[4,2,3]", "t = Transpose(x) {perm=[2, 0, 1]}\n y = Mul(t, w)", -2, 2, TIGHT, NULL},
    {"Transpose reversed", "x: double[2,3,4], w: double[4,3,2]", "t = Transpose(x)\n y = Mul(t, w)", -2, 2, TIGHT, NULL},
    {"Expand",         "x: double[3,1]", "const s: int64[3] = {2, 3, 4}\n y = Expand(x, s)", -2, 2, TIGHT, NULL},
    {"Tile",           "x: double[2,3]", "const r: int64[2] = {2, 3}\n y = Tile(x, r)", -2, 2, TIGHT, NULL},
    {"Concat",         "a: double[2,3], b: double[2,1], c: double[2,2]", "y = Concat(a, b, c) {axis=1}", -2, 2, TIGHT, NULL},
    {"Concat symbolic","a: double[N,3], b: double[N,3]", "y = Concat(a, b) {axis=0}", -2, 2, TIGHT, NULL},
    {"Split",          "x: double[2,6], w: double[2,4]", "const s: int64[2] = {2, 4}\n p, q = Split(x, s) {axis=1}\n y = Mul(q, w)", -2, 2, TIGHT, NULL},
    {"Slice steps",    "x: double[5,6], w: double[3,2]", "const s: int64[2] = {-1, 1}\n const e: int64[2] = {-1000, 6}\n const a: int64[2] = {0, 1}\n const t: int64[2] = {-2, 3}\n z = Slice(x, s, e, a, t)\n y = Mul(z, w)", -2, 2, TIGHT, NULL},
    {"DepthToSpace",   "x: double[1,8,2,3], w: double[1,2,4,6]", "z = DepthToSpace(x) {blocksize=2}\n y = Mul(z, w)", -2, 2, TIGHT, NULL},
    {"SpaceToDepth",   "x: double[1,2,4,6], w: double[1,8,2,3]", "z = SpaceToDepth(x) {blocksize=2}\n y = Mul(z, w)", -2, 2, TIGHT, NULL},
    {"Trilu",          "x: double[3,4]", "const k: int64[] = {1}\n y = Trilu(x, k) {upper=0}", -2, 2, TIGHT, NULL},
    {"Gather",         "x: double[4,3]", "const i: int64[2,2] = {0, 3, 3, -1}\n y = Gather(x, i)", -2, 2, TIGHT, NULL},
    {"Gather axis 1",  "x: double[2,4,3], w: double[2,2,2,3]", "const i: int64[2,2] = {0, 3, 3, 1}\n z = Gather(x, i) {axis=1}\n y = Mul(z, w)", -2, 2, TIGHT, NULL},
    {"GatherElements", "x: double[3,4]", "const i: int64[3,2] = {0, 0, 1, 3, 2, 2}\n y = GatherElements(x, i) {axis=1}", -2, 2, TIGHT, NULL},
    {"GatherND",       "x: double[3,4]", "const i: int64[3,2] = {0, 0, 1, 3, 0, 0}\n y = GatherND(x, i)", -2, 2, TIGHT, NULL},
    {"ScatterElements","x: double[3,4], u: double[3,2]", "const i: int64[3,2] = {0, 1, 1, 3, 2, 3}\n y = ScatterElements(x, i, u) {axis=1}", -2, 2, TIGHT, NULL},
    {"ScatterElements add", "x: double[3,4], u: double[3,2]", "const i: int64[3,2] = {0, 0, 1, 3, 2, 2}\n y = ScatterElements(x, i, u) {axis=1, reduction=\"add\"}", -2, 2, TIGHT, NULL},
    {"ScatterND",      "x: double[4,3], u: double[2,3]", "const i: int64[2,1] = {2, 0}\n y = ScatterND(x, i, u)", -2, 2, TIGHT, NULL},
    {"TopK",           "x: double[3,5]", "const k: int64[1] = {2}\n y, i = TopK(x, k)", -2, 2, TIGHT, NULL},
    {"Pad",            "x: double[2,3]", "const p: int64[4] = {1, 0, 2, 1}\n y = Pad(x, p)", -2, 2, TIGHT, NULL},
    {"Pad negative",   "x: double[4,4]", "const p: int64[4] = {-1, 1, 0, -2}\n y = Pad(x, p)", -2, 2, TIGHT, NULL},
    {"Slice",          "x: double[5,6]", "const s: int64[2] = {1, -3}\n const e: int64[2] = {4, 1000}\n y = Slice(x, s, e)", -2, 2, TIGHT, NULL},
};

static const grad_case networks[] = {
    {"Gelu by hand",   "x: double[3,4]", "const r: double[] = {0.7071067811865476}\n const h: double[] = {0.5}\n const o: double[] = {1}\n t = Mul(x, r)\n e = Erf(t)\n f = Add(e, o)\n g = Mul(x, h)\n y = Mul(f, g)", -2, 2, TIGHT, NULL},
    {"mlp with cross-entropy", "x: double[N,4], w: double[4,5], b: double[5], v: double[5,3], d: double[3], t: double[N,3]",
        "h = Gemm(x, w, b)\n r = Relu(h)\n z = Gemm(r, v, d)\n l = LogSoftmax(z) {axis=1}\n p = Mul(t, l)", -1, 1, TIGHT,
        "s = ReduceSum(p) {keepdims=0}\n loss = Neg(s)"},
    {"softmax cross-entropy operator", "x: double[3,4]", "const t: int64[3] = {0, 3, 1}", -1, 1, TIGHT,
        "loss = SoftmaxCrossEntropyLoss(x, t)"},
    {"weighted cross-entropy operator", "x: double[3,4]", "const t: int64[3] = {0, 3, 1}\n const w: double[4] = {1, 2, 0.5, 0.25}", -1, 1, TIGHT,
        "loss = SoftmaxCrossEntropyLoss(x, t, w) {reduction=\"mean\"}"},
    {"cross-entropy with ignored rows", "x: double[2,4,3]", "const t: int64[2,3] = {0, -7, 1, 3, 3, -7}", -1, 1, TIGHT,
        "loss = SoftmaxCrossEntropyLoss(x, t) {ignore_index=-7}"},
    {"likelihood of every row", "x: double[3,4]", "const t: int64[3] = {0, 3, 1}\n y = NegativeLogLikelihoodLoss(x, t) {reduction=\"none\"}", -1, 1, TIGHT, NULL},
    {"likelihood summed", "x: double[3,4]", "const t: int64[3] = {0, 3, 1}\n const w: double[4] = {1, 2, 0.5, 0.25}", -1, 1, TIGHT,
        "loss = NegativeLogLikelihoodLoss(x, t, w) {reduction=\"sum\"}"},
    {"LayerNormalization", "x: double[3,4], s: double[4], b: double[4]", "y = LayerNormalization(x, s, b)", -2, 2, LOOSE, NULL},
    {"convolutional", "x: double[2,1,6,6], w: double[2,1,3,3], b: double[2], v: double[8,3]",
        "const s: int64[2] = {0, -1}\n h = Conv(x, w, b)\n r = Tanh(h)\n p = MaxPool(r) {kernel_shape=[2, 2], strides=[2, 2]}\n f = Reshape(p, s)\n y = MatMul(f, v)", -1, 1, TIGHT, NULL},
};
/* clang-format on */

#define ALL(table)                                                                             \
    static void test_gradients__##table(void)                                                  \
    {                                                                                          \
        for (size_t i = 0; i < US_LEN(table); i++)                                             \
            gc_run(&table[i]);                                                                 \
    }
ALL(unary)
ALL(binary)
ALL(reduce)
ALL(linear)
ALL(spatial)
ALL(movement)
ALL(networks)

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_gradients__unary),    US_CASE(test_gradients__binary),
        US_CASE(test_gradients__reduce),   US_CASE(test_gradients__linear),
        US_CASE(test_gradients__spatial),  US_CASE(test_gradients__movement),
        US_CASE(test_gradients__networks),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
