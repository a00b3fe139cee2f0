/* test_op_expand - every composite: the kernel that keeps it whole against its expansion into core operators.
 *
 * Rows are graphs over x: float[2,3,4]; numbers around the places where the formulas change, large ones and
 * NaN included (where the formula itself keeps it). A composite without a row here fails the last case.
 */
#include "op_fixture.h"

typedef struct expand_case {
    const char *op, *body;
} expand_case;

/* clang-format off */
#define STEP   "const r: float[] = {0.1}\nconst t: int64[] = {3}\nconst o: int64[] = {0}\nconst w: float[2] = {0.5, 2}\nq = Mul(x, x)\n"
#define QIN    "q = Cast(x) {to=3}\nconst s: float[] = {0.3}\nconst z: int8[] = {3}\nconst t: float[1] = {0.2}\nconst o: int8[] = {-5}\n"
#define BIAS   "const b: float[4] = {1, -2, 0.5, 4}\n"
#define SKIP   BIAS "const g: float[4] = {1, 2, -3, 4}\nconst d: float[4] = {0.5, 0, 1, -1}\nconst k: float[3,4] = {1,2,3,4,-1,2,-3,4,1,0,0,4}\n"
#define EMBED  BIAS "const g: float[4] = {1, 2, -3, 4}\nconst f: int64[2] = {6, 4}\nw = Reshape(x, f)\nconst p: float[3,4] = {1,2,3,4,-1,2,-3,4,1,0,0,4}\n" \
    "const ids: int32[2,3] = {5, 0, 3, 3, 1, 2}\nconst seg: int32[2,3] = {0, 0, 1, 1, 2, 0}\nconst mask: int32[2,3] = {1, 1, 0, 1, 2, 0}\n"
#define QEMBED "const qw: uint8[6,4] = {1,92,43,204,55,6,170,8,190,200,11,72,13,214,105,16,17,180,19,220,121,22,63,240}\nconst qp: uint8[3,4] = {9,8,7,6,5,4,3,2,1,0,99,255}\n" \
    "const qg: uint8[4] = {1, 200, 3, 90}\nconst qb: uint8[4] = {1, 2, 3, 100}\nconst s1: float[] = {0.05}\nconst s2: float[1] = {0.02}\nconst z1: uint8[] = {120}\nconst z2: uint8[1] = {3}\n"
#define QUANT  "const s: float[] = {0.05}\nconst r: float[1] = {0.11}\nconst z: uint8[] = {120}\nconst n: uint8[1] = {7}\nq = QuantizeLinear(x, s, z)\n" \
    "const w: uint8[4,2] = {1,92,43,204,55,6,170,8}\nconst e: float[2] = {0.1, 0.02}\nconst f: uint8[2] = {3, 200}\nconst b: float[2] = {1, -2}\n"
static const expand_case rows[] = {
    {"Sum", "const z: float[4] = {1, 2, 3, 4}\ny = Sum(x, z, x)"},
    {"Mean", "const z: float[4] = {1, 2, 3, 4}\ny = Mean(x, z, x)"},
    {"HardSigmoid", "y = HardSigmoid(x) {alpha=0.3, beta=0.4}"},
    {"LeakyRelu", "y = LeakyRelu(x) {alpha=0.1}"},
    {"PRelu", "const s: float[4] = {0.1, -1, 0, 2}\ny = PRelu(x, s)"},
    {"Elu", "y = Elu(x) {alpha=1.5}"},
    {"Selu", "y = Selu(x)"},
    {"Celu", "y = Celu(x) {alpha=2.0}"},
    {"Affine", "y = Affine(x) {alpha=-2.5, beta=0.75}"},
    {"Affine", "y = Affine(x)"},
    {"ParametricSoftplus", "y = ParametricSoftplus(x) {alpha=1.5, beta=-0.5}"},
    {"ScaledTanh", "y = ScaledTanh(x) {alpha=1.5, beta=0.5}"},
    {"Scale", "y = Scale(x) {scale=-2.5}"},
    {"DynamicSlice", "const s: int64[1] = {1}\nconst e: int64[1] = {-1}\nconst a: int64[1] = {2}\ny = DynamicSlice(x, s, e, a)"},
    {"DynamicSlice", "const s: int32[2] = {0, 1}\nconst e: int32[2] = {2, 3}\ny = DynamicSlice(x, s, e)"},
    {"ImageScaler", "const k: int64[4] = {2, 3, 2, 2}\nv = Reshape(x, k)\ny = ImageScaler(v) {scale=0.5, bias=[1.0, -103.939, 3.5]}"},
    {"Crop", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\ny = Crop(v) {border=[1, 0, 2, 1]}"},
    {"Crop", "const k: int64[4] = {2, 1, 4, 3}\nv = Reshape(x, k)\ny = Crop(v) {border=[0, 1, 0, 0]}"},
    {"ThresholdedRelu", "y = ThresholdedRelu(x) {alpha=0.5}"},
    {"Softplus", "y = Softplus(x)"},
    {"Softsign", "y = Softsign(x)"},
    {"HardSwish", "y = HardSwish(x)"},
    {"Mish", "y = Mish(x)"},
    {"Gelu", "y = Gelu(x)"},
    {"Gelu", "y = Gelu(x) {approximate=\"tanh\"}"},
    {"Swish", "y = Swish(x) {alpha=1.5}"},
    {"Shrink", "y = Shrink(x) {lambd=0.6, bias=0.25}"},
    {"Clip", "const a: float[] = {-1}\nconst b: float[] = {0.75}\ny = Clip(x, a, b)"},
    {"Clip", "const b: float[] = {0.75}\ny = Clip(x, _, b)"},
    {"GreaterOrEqual", "const z: float[] = {0.5}\nb = GreaterOrEqual(x, z)\ny = Cast(b) {to=1}"},
    {"LessOrEqual", "const z: float[] = {0.5}\nb = LessOrEqual(x, z)\ny = Cast(b) {to=1}"},
    {"CastLike", "const z: int32[] = {1}\nb = CastLike(x, z)\ny = Cast(b) {to=1}"},
    {"ReduceL1", "const a: int64[1] = {1}\ny = ReduceL1(x, a)"},
    {"ReduceL2", "y = ReduceL2(x) {keepdims=0}"},
    {"ReduceLogSum", "const a: int64[2] = {0, -1}\ne = Exp(x)\ny = ReduceLogSum(e, a)"},
    {"ReduceLogSumExp", "const a: int64[1] = {2}\ny = ReduceLogSumExp(x, a) {keepdims=0}"},
    {"ReduceSumSquare", "const a: int64[1] = {0}\ny = ReduceSumSquare(x, a)"},
    {"GlobalAveragePool", "y = GlobalAveragePool(x)"},
    {"GlobalMaxPool", "y = GlobalMaxPool(x)"},
    {"LayerNormalization", "const s: float[4] = {1, 2, 3, 4}\nconst b: float[4] = {0, 1, 0, -1}\ny = LayerNormalization(x, s, b)"},
    {"LayerNormalization", "const s: float[3,4] = {1,2,3,4,1,2,3,4,1,2,3,4}\ny, m, i = LayerNormalization(x, s) {axis=1}"},
    {"RMSNormalization", "const s: float[4] = {1, 2, 3, 4}\ny = RMSNormalization(x, s)"},
    {"SwiGLU", "const z: float[2,3,4] = {1,2,3,4,5,6,7,8,9,1,2,3,-4,5,6,7,8,9,1,2,3,4,5,6}\ny = SwiGLU(x, z) {alpha=0.75}"},
    {"RotaryEmbedding", "const c: float[3,1] = {1, 0.5, -1}\nconst s: float[3,1] = {0, 0.8, 0.25}\nconst p: int64[2,3] = {2, 0, 1, 1, 1, 0}\ny = RotaryEmbedding(x, c, s, p) {num_heads=2}"},
    {"RotaryEmbedding", "const c: float[3,1] = {1, 0.5, -1}\nconst s: float[3,1] = {0, 0.8, 0.25}\nconst p: int64[2,3] = {2, 0, 1, 1, 1, 0}\ny = RotaryEmbedding(x, c, s, p) {num_heads=1, rotary_embedding_dim=2, interleaved=1}"},
    {"RotaryEmbedding", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\nconst c: float[1,3,2] = {1, 0.5, -1, 2, 0, 3}\nconst s: float[1,3,2] = {0, 0.8, 0.25, 1, 2, 3}\ny = RotaryEmbedding(v, c, s) {interleaved=1}"},
    {"RotaryEmbedding", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\nconst c: float[1,3,1] = {1, 0.5, -1}\nconst s: float[1,3,1] = {0, 0.8, 0.25}\ny = RotaryEmbedding(v, c, s) {rotary_embedding_dim=2}"},
    {"CausalConvWithState", "const w: float[3,1,3] = {1,2,3,4,5,6,7,8,9}\nconst b: float[3] = {1, 2, 3}\nz, y = CausalConvWithState(x, w, b)"},
    {"CausalConvWithState", "const w: float[3,1,2] = {1,2,3,-4,5,0.5}\nconst p: float[2,3,1] = {1,2,3,4,5,6}\ny = CausalConvWithState(x, w, _, p) {activation=\"silu\"}"},
    {"CausalConvWithState", "const w: float[3,1,1] = {1,2,3}\ny, s = CausalConvWithState(x, w)"},
    {"Upsample", "const s: float[3] = {1, 2, 0.5}\ny = Upsample(x, s)"},
    {"Upsample", "const s: float[3] = {1, 1, 0.75}\ny = Upsample(x, s)"},
    {"Upsample", "const s: float[3] = {0.5, 1, 2}\ny = Upsample(x, s) {mode=\"linear\"}"},
    {"InstanceNormalization", "const s: float[3] = {1, 2, 3}\nconst b: float[3] = {0, 1, -1}\ny = InstanceNormalization(x, s, b)"},
    {"Min", "const z: float[4] = {1, 2, -0.5, 0}\ny = Min(x, z)"},
    {"Min", "i = Cast(x) {to=6}\nconst z: int32[] = {1}\nm = Min(i, z, i)\ny = Cast(m) {to=1}"},
    {"Neg", "y = Neg(x)"},
    {"Neg", "i = Cast(x) {to=3}\nn = Neg(i)\ny = Cast(n) {to=1}"},
    {"Reciprocal", "y = Reciprocal(x)"},
    {"Ceil", "y = Ceil(x)"},
    {"Sign", "y = Sign(x)"},
    {"Sign", "const n: float[3,1] = {nan, 1, 0}\nz = Mul(x, n)\ny = Sign(z)"},
    {"Tan", "y = Tan(x)"},
    {"Sinh", "y = Sinh(x)"},
    {"Sinh", "const f: float[3,1] = {1e-4, 11.1, -11.1}\nz = Mul(x, f)\ny = Sinh(z)"},
    {"Cosh", "y = Cosh(x)"},
    {"Cosh", "const f: float[] = {11.1}\nz = Mul(x, f)\ny = Cosh(z)"},
    {"Asinh", "y = Asinh(x)"},
    {"Asinh", "const f: float[3,1] = {1e-4, 1e12, -1e36}\nz = Mul(x, f)\ny = Asinh(z)"},
    {"Acosh", "const f: float[] = {1}\na = Abs(x)\nz = Add(a, f)\ny = Acosh(z)"},
    {"Acosh", "const f: float[3,1] = {1.1, 1e12, 1e37}\na = Abs(x)\nz = Mul(a, f)\ny = Acosh(z)"},
    {"Atanh", "const f: float[3,1] = {0.1, 1e-4, 1}\nz = Mul(x, f)\ny = Atanh(z)"},
    {"Or", "const z: float[] = {0.5}\na = Greater(x, z)\nb = Greater(z, x)\nc = Or(a, b)\ny = Cast(c) {to=1}"},
    {"Xor", "const z: float[] = {0.5}\nconst m: bool[4] = {1, 0, 1, 0}\na = Greater(x, z)\nc = Xor(a, m)\ny = Cast(c) {to=1}"},
    {"Less", "const z: float[4] = {0.5, nan, -1, 2}\nb = Less(x, z)\ny = Cast(b) {to=1}"},
    {"BitwiseOr", "const z: int8[4] = {5, -1, 64, 0}\ni = Cast(x) {to=3}\nb = BitwiseOr(i, z)\ny = Cast(b) {to=1}"},
    {"BitwiseXor", "const z: uint16[4] = {5, 1, 64, 0}\ni = Cast(x) {to=4}\nb = BitwiseXor(i, z)\ny = Cast(b) {to=1}"},
    {"IsNaN", "const f: float[3,1] = {nan, inf, 1}\nz = Mul(x, f)\nb = IsNaN(z)\ny = Cast(b) {to=1}"},
    {"IsNaN", "const f: float[3,1] = {nan, inf, 1}\nz = Mul(x, f)\ne = Cast(z) {to=17}\nb = IsNaN(e)\ny = Cast(b) {to=1}"},
    {"IsInf", "const f: float[3,1] = {nan, inf, -inf}\nz = Mul(x, f)\nb = IsInf(z)\ny = Cast(b) {to=1}"},
    {"IsInf", "const f: float[3,1] = {nan, inf, -inf}\nz = Mul(x, f)\nb = IsInf(z) {detect_negative=0}\ny = Cast(b) {to=1}"},
    {"IsInf", "const f: float[3,1] = {nan, inf, -inf}\nz = Mul(x, f)\nb = IsInf(z) {detect_positive=0}\ny = Cast(b) {to=1}"},
    {"IsInf", "const f: float[3,1] = {nan, inf, -inf}\nz = Mul(x, f)\nb = IsInf(z) {detect_positive=0, detect_negative=0}\ny = Cast(b) {to=1}"},
    {"Softmax", "y = Softmax(x)"},
    {"Softmax", "const f: float[] = {1000}\nz = Mul(x, f)\ny = Softmax(z) {axis=1}"},
    {"LogSoftmax", "const f: float[] = {100}\nz = Mul(x, f)\ny = LogSoftmax(z) {axis=-2}"},
    {"Hardmax", "y = Hardmax(x) {axis=1}"},
    {"Hardmax", "const f: float[] = {0}\nz = Mul(x, f)\ny = Hardmax(z)"},
    {"ReduceMin", "const a: int64[1] = {1}\ny = ReduceMin(x, a)"},
    {"ReduceMin", "i = Cast(x) {to=2}\nr = ReduceMin(i) {keepdims=0}\ny = Cast(r) {to=1}"},
    {"ReduceMin", "const z: float[] = {0.5}\nconst a: int64[1] = {0}\nb = Greater(x, z)\nr = ReduceMin(b, a)\ny = Cast(r) {to=1}"},
    {"ArgMin", "r = ArgMin(x) {axis=2}\ny = Cast(r) {to=1}"},
    {"ArgMin", "const f: float[] = {0}\nz = Mul(x, f)\nr = ArgMin(z) {axis=1, keepdims=0, select_last_index=1}\ny = Cast(r) {to=1}"},
    {"Flatten", "y = Flatten(x)"},
    {"Flatten", "y = Flatten(x) {axis=0}"},
    {"Flatten", "y = Flatten(x) {axis=-1}"},
    {"Squeeze", "const a: int64[2] = {0, 2}\nu = Unsqueeze(x, a)\ny = Squeeze(u, a)"},
    {"Squeeze", "const a: int64[2] = {0, 2}\nu = Unsqueeze(x, a)\ny = Squeeze(u)"},
    {"Unsqueeze", "const a: int64[2] = {-1, 0}\ny = Unsqueeze(x, a)"},
    {"Size", "s = Size(x)\ny = Cast(s) {to=1}"},
    {"Tile", "const r: int64[3] = {1, 2, 1}\nconst a: int64[3] = {0, 0, 0}\nconst e: int64[3] = {1, 3, 2}\nz = Slice(x, a, e)\ny = Tile(z, r)"},
    {"Tile", "const r: int64[3] = {0, 2, 1}\ny = Tile(x, r)"},
    {"DepthToSpace", "const k: int64[4] = {1, 8, 1, 3}\nv = Reshape(x, k)\ny = DepthToSpace(v) {blocksize=2}"},
    {"DepthToSpace", "const k: int64[4] = {1, 8, 1, 3}\nv = Reshape(x, k)\ny = DepthToSpace(v) {blocksize=2, mode=\"CRD\"}"},
    {"SpaceToDepth", "const k: int64[4] = {1, 1, 4, 6}\nv = Reshape(x, k)\ny = SpaceToDepth(v) {blocksize=2}"},
    {"SpaceToDepth", "const k: int64[4] = {2, 3, 2, 2}\nv = Reshape(x, k)\ny = SpaceToDepth(v) {blocksize=2, mode=\"CRD\"}"},
    {"Split", "const s: int64[3] = {1, 0, 3}\na, b, y = Split(x, s) {axis=-1}"},
    {"Split", "a, y = Split(x) {axis=1, num_outputs=2}"},
    {"CenterCropPad", "const s: int64[3] = {1, 4, 5}\ny = CenterCropPad(x, s)"},
    {"CenterCropPad", "const s: int64[2] = {3, 2}\ny = CenterCropPad(x, s) {axes=[-1, 1]}"},
    {"Compress", "const c: bool[3] = {0, 1, 1}\ny = Compress(x, c) {axis=-1}"},
    {"Compress", "const c: bool[5] = {0, 1, 1, 0, 1}\ny = Compress(x, c)"},
    {"ReverseSequence", "const l: int64[3] = {2, 0, 1}\ny = ReverseSequence(x, l) {batch_axis=1, time_axis=0}"},
    {"ReverseSequence", "const l: int64[2] = {3, 2}\ny = ReverseSequence(x, l) {batch_axis=0, time_axis=1}"},
    {"Scatter", "const i: int64[1,2,1] = {2, 0}\nconst u: float[1,2,1] = {7, 8}\ny = Scatter(x, i, u) {axis=1}"},
    {"ConstantOfShape", "s = Shape(x)\ny = ConstantOfShape(s)"},
    {"ConstantOfShape", "s = Shape(x)\nc = ConstantOfShape(s) {value=tensor int32[1] {3}}\ny = Cast(c) {to=1}"},
    {"OneHot", "const i: int64[2,2] = {0, -1, 5, -4}\nconst d: int64[] = {3}\nconst v: float[2] = {-1, 4}\ny = OneHot(i, d, v) {axis=1}"},
    {"OneHot", "const i: float[3] = {2, -3, 3}\nconst d: float[1] = {3}\nconst v: float[2] = {0, 1}\ny = OneHot(i, d, v)"},
    {"EyeLike", "const k: int64[2] = {4, 6}\nv = Reshape(x, k)\ny = EyeLike(v) {k=-1}"},
    {"EyeLike", "const k: int64[2] = {4, 6}\nv = Reshape(x, k)\ne = EyeLike(v) {k=2, dtype=9}\ny = Cast(e) {to=1}"},
    {"Trilu", "y = Trilu(x)"},
    {"Trilu", "const k: int64[] = {-1}\ny = Trilu(x, k) {upper=0}"},
    {"Adagrad", STEP "y, a, b, d = ai.onnx.preview.training.Adagrad(r, t, x, w, x, w, q, w) {decay_factor=0.1, epsilon=0.01, norm_coefficient=0.5}"},
    {"Adam", STEP "z, a, y, d, e, f = ai.onnx.preview.training.Adam(r, t, x, w, x, w, q, w, q, w) {norm_coefficient=0.5, norm_coefficient_post=0.25, epsilon=0.01}"},
    {"Adam", STEP "z, y, b, d, e, f = ai.onnx.preview.training.Adam(r, o, x, w, x, w, q, w, q, w) {alpha=0.8, beta=0.9, epsilon=0.01}"},
    {"Momentum", STEP "y, p = ai.onnx.preview.training.Momentum(r, t, x, x, q) {alpha=0.9, beta=0.7, norm_coefficient=0.5, mode=\"nesterov\"}"},
    {"Momentum", STEP "z, y = ai.onnx.preview.training.Momentum(r, o, x, x, q) {alpha=0.9, beta=0.7, norm_coefficient=0.5, mode=\"standard\"}"},
    {"STFT", "const k: int64[2] = {2, 12}\nv = Reshape(x, k)\nconst s: int64[] = {3}\nconst w: float[4] = {1, 0.5, 2, -1}\nz = STFT(v, s, w)\nconst a: int64[1] = {0}\nconst e: int64[1] = {1}\nconst d: int64[1] = {0}\ny = Slice(z, a, e, d)"},
    {"STFT", "const k: int64[3] = {1, 12, 2}\nv = Reshape(x, k)\nconst s: int64[] = {8}\nconst n: int64[] = {5}\ny = STFT(v, s, _, n) {onesided=0}"},
    {"TensorScatter", "const u: float[2,2,4] = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\nconst w: int64[2] = {0, 1}\ny = TensorScatter(x, u, w)"},
    {"TensorScatter", "const u: float[2,3,2] = {1,2,3,4,5,6,7,8,9,1,2,3}\nconst w: int64[2] = {3, 1}\ny = TensorScatter(x, u, w) {axis=2, mode=\"circular\"}"},
    {"TensorScatter", "const u: float[2,2,4] = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}\ny = TensorScatter(x, u) {axis=1}"},
    {"Scaler", "y = ai.onnx.ml.Scaler(x) {offset=[1.0, 0.0, 1.0, 2.0], scale=[2.0]}"},
    {"Scaler", "i = Cast(x) {to=7}\ny = ai.onnx.ml.Scaler(i) {scale=[0.1, 2.0, 3.0, 4.0]}"},
    {"Imputer", "const f: float[3,1] = {1, nan, 1}\nz = Mul(x, f)\ny = ai.onnx.ml.Imputer(z) {imputed_value_floats=[1.0, 2.0, 3.0, 4.0], replaced_value_float=nan}"},
    {"Imputer", "y = ai.onnx.ml.Imputer(x) {imputed_value_floats=[7.0], replaced_value_float=5.0}"},
    {"Imputer", "i = Cast(x) {to=7}\nz = ai.onnx.ml.Imputer(i) {imputed_value_int64s=[4, 5, 6, 7], replaced_value_int64=0}\ny = Cast(z) {to=1}"},
    {"Binarizer", "y = ai.onnx.ml.Binarizer(x) {threshold=0.5}"},
    {"Binarizer", "i = Cast(x) {to=6}\nz = ai.onnx.ml.Binarizer(i) {threshold=-0.5}\ny = Cast(z) {to=1}"},
    {"Normalizer", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\ny = ai.onnx.ml.Normalizer(v) {norm=\"L1\"}"},
    {"Normalizer", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\ny = ai.onnx.ml.Normalizer(v) {norm=\"L2\"}"},
    {"Normalizer", "const k: int64[2] = {6, 4}\nconst f: float[4] = {1, 0, nan, 1}\nz = Mul(x, f)\nv = Reshape(z, k)\ny = ai.onnx.ml.Normalizer(v) {norm=\"MAX\"}"},
    {"ArrayFeatureExtractor", "const i: int64[1,2] = {3, 0}\ny = ai.onnx.ml.ArrayFeatureExtractor(x, i)"},
    {"ArrayFeatureExtractor", "const k: int64[1] = {24}\nv = Reshape(x, k)\nconst i: int64[2] = {23, 0}\ny = ai.onnx.ml.ArrayFeatureExtractor(v, i)"},
    {"FeatureVectorizer", "const k: int64[2] = {4, 6}\nv = Reshape(x, k)\nconst z: float[4,1] = {7, 8, 9, 1}\ny = ai.onnx.ml.FeatureVectorizer(v, z) {inputdimensions=[3, 2]}"},
    {"LinearRegressor", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\ny = ai.onnx.ml.LinearRegressor(v) {coefficients=[1.0, 2.0, 3.0, -4.0, 0.1, 0.2, 0.3, 0.5], intercepts=[0.5, 1.0], targets=2}"},
    {"LinearRegressor", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\ny = ai.onnx.ml.LinearRegressor(v) {coefficients=[1.0, 2.0, 3.0, -4.0, 0.1, 0.2, 0.3, 0.5], targets=2, post_transform=\"SOFTMAX_ZERO\"}"},
    {"LinearRegressor", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\ny = ai.onnx.ml.LinearRegressor(v) {coefficients=[0.01, 0.02, 0.03, -0.04], intercepts=[0.5], post_transform=\"PROBIT\"}"},
    {"LinearClassifier", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\nl, y = ai.onnx.ml.LinearClassifier(v) {coefficients=[1.0, 2.0, 3.0, -4.0, 0.1, 0.2, 0.3, 0.5], intercepts=[0.5, 1.0], classlabels_strings=[\"a\", \"b\"], post_transform=\"SOFTMAX\"}"},
    {"LinearClassifier", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\nl, p = ai.onnx.ml.LinearClassifier(v) {coefficients=[1.0, 2.0, 3.0, -4.0, 0.1, 0.2, 0.3, 0.5], classlabels_ints=[7, 9]}\ny = Cast(l) {to=1}"},
    {"LinearClassifier", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\nl, y = ai.onnx.ml.LinearClassifier(v) {coefficients=[1.0, 2.0, 3.0, -4.0], intercepts=[0.5], classlabels_ints=[7, 9], post_transform=\"LOGISTIC\"}"},
    {"LinearClassifier", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\nl, p = ai.onnx.ml.LinearClassifier(v) {coefficients=[1.0, 2.0, 3.0, -4.0], classlabels_ints=[7, 9]}\ny = Cast(l) {to=1}"},
    {"FusedGemm", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\nconst w: float[2,4] = {1,2,3,4,-5,6,7,8}\nconst b: float[2] = {1, -20}\ny = com.microsoft.FusedGemm(v, w, b) {transB=1, alpha=0.5, activation=\"LeakyRelu\", activation_alpha=0.1}"},
    {"FusedGemm", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\nconst w: float[4,2] = {1,2,3,4,-5,6,7,8}\ny = com.microsoft.FusedGemm(v, w) {activation=\"HardSigmoid\", activation_alpha=0.01, activation_beta=0.4}"},
    {"FusedConv", "const w: float[2,3,2] = {1,2,3,4,-5,6,7,8,9,1,2,3}\nconst b: float[2] = {1, -20}\nconst z: float[2,2,3] = {1,2,3,4,-5,6,7,8,9,1,2,3}\ny = com.microsoft.FusedConv(x, w, b, z) {activation=\"Clip\", activation_params=[-3.0, 40.0]}"},
    {"QLinearAdd", QIN "const u: int8[4] = {-9, 8, 0, 100}\nr = com.microsoft.QLinearAdd(q, s, z, u, t, o, s, z)\ny = Cast(r) {to=1}"},
    {"QLinearMul", QIN "const u: int8[4] = {-9, 8, 0, 100}\nr = com.microsoft.QLinearMul(q, s, z, u, t, o, s, z)\ny = Cast(r) {to=1}"},
    {"QLinearSigmoid", QIN "const v: float[] = {0.00390625}\nr = com.microsoft.QLinearSigmoid(q, s, z, v, o)\ny = Cast(r) {to=1}"},
    {"QLinearLeakyRelu", QIN "r = com.microsoft.QLinearLeakyRelu(q, s, z, t, o) {alpha=0.1}\ny = Cast(r) {to=1}"},
    {"QLinearSoftmax", QIN "const v: float[] = {0.00390625}\nconst w: int8[] = {-128}\nr = com.microsoft.QLinearSoftmax(q, s, z, v, w) {axis=1, opset=12}\ny = Cast(r) {to=1}"},
    {"QLinearSoftmax", QIN "const v: float[] = {0.00390625}\nconst w: int8[] = {-128}\nr = com.microsoft.QLinearSoftmax(q, s, z, v, w) {axis=1, opset=13}\ny = Cast(r) {to=1}"},
    {"QLinearAveragePool", QIN "r = com.microsoft.QLinearAveragePool(q, s, z, t, o) {kernel_shape=[3], pads=[1, 1]}\ny = Cast(r) {to=1}"},
    {"QLinearGlobalAveragePool", QIN "r = com.microsoft.QLinearGlobalAveragePool(q, s, z, t, o) {channels_last=0}\ny = Cast(r) {to=1}"},
    {"Einsum", "const w: float[4,2] = {1,2,3,4,5,6,7,8}\ny = Einsum(x, w) {equation=\"bij,jk->bik\"}"},
    {"Einsum", "const w: float[4,3] = {1,2,3,4,5,6,7,8,9,1,2,3}\ny = Einsum(x, w) {equation=\"bij,ji\"}"},
    {"Einsum", "const w: float[4,3] = {1,2,3,4,5,6,7,8,9,1,2,3}\ny = Einsum(x, w, x) {equation=\"bij,ji,cij->ibc\"}"},
    {"Einsum", "y = Einsum(x, x) {equation=\"...j,...j->...\"}"},
    {"Einsum", "const a: int64[3] = {0, 0, 0}\nconst e: int64[3] = {2, 2, 2}\nz = Slice(x, a, e)\ny = Einsum(z) {equation=\"iji->j\"}"},
    {"Einsum", "const a: int64[3] = {0, 0, 0}\nconst e: int64[3] = {2, 2, 2}\nz = Slice(x, a, e)\ny = Einsum(z) {equation=\"iii->i\"}"},
    {"Einsum", "i = Cast(x) {to=3}\nconst w: int8[4] = {100, 2, 3, 4}\np = Einsum(i, w) {equation=\"abc,c->ab\"}\ny = Cast(p) {to=1}"},
    {"Einsum", "const w: float[2] = {1, -1}\ny = Einsum(w, w) {equation=\"i,j->ji\"}"},
    {"Attention", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\ny = Attention(v, v, v)"},
    {"Attention", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\nconst m: bool[3,3] = {1,0,1,0,0,0,1,1,1}\ny = Attention(v, v, v, m) {is_causal=1, softcap=2.0}"},
    {"Attention", "const w: float[1,4,2] = {1,2,3,4,5,6,-7,0.5}\nconst m: float[1,3] = {0.5, 0, -1}\nconst k: int64[3] = {1, 6, 4}\nq = Reshape(x, k)\ny = Attention(q, w, w, m) {q_num_heads=2, kv_num_heads=1, scale=0.25}"},
    {"Attention", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\nconst p: float[1,2,1,4] = {1,2,3,4,5,6,7,8}\ny, a, b, c = Attention(v, v, v, _, p, p) {is_causal=1}"},
    {"Attention", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\nconst p: float[1,2,1,4] = {1,2,3,4,5,6,7,8}\nz, a, b, y = Attention(v, v, v, _, p, p) {right_window_size=0, left_window_size=1, qk_matmul_output_mode=3}"},
    {"Attention", "const k: int64[4] = {2, 1, 3, 4}\nv = Reshape(x, k)\nconst n: int64[2] = {3, 2}\ny = Attention(v, v, v, _, _, _, n)"},
    {"Attention", "const k: int64[4] = {1, 2, 3, 4}\nv = Reshape(x, k)\nconst p: float[1,2,3,4] = {1,2,3,4,nan,inf,7,8,1,-inf,3,4,1,2,3,4,5,6,7,8,1,2,3,nan}\nconst m: bool[3,3] = {1,0,0,1,0,0,1,0,0}\ny = Attention(v, v, p, m)"},
    {"SimplifiedLayerNormalization", "const s: float[4] = {1, 2, 3, 4}\ny = SimplifiedLayerNormalization(x, s)"},
    {"SimplifiedLayerNormalization", "const s: float[3,4] = {1,2,3,4,1,2,3,4,1,2,3,4}\nz, y = SimplifiedLayerNormalization(x, s) {axis=1}"},
    {"Gelu", "y = com.microsoft.Gelu(x)"},
    {"BiasGelu", BIAS "y = com.microsoft.BiasGelu(x, b)"},
    {"FastGelu", BIAS "y = com.microsoft.FastGelu(x, b)"},
    {"FastGelu", "y = com.microsoft.FastGelu(x)"},
    {"QuickGelu", "y = com.microsoft.QuickGelu(x) {alpha=1.25}"},
    {"BiasAdd", BIAS "y = com.microsoft.BiasAdd(x, b, x)"},
    {"SkipLayerNormalization", SKIP "y, m, i, t = com.microsoft.SkipLayerNormalization(x, k, g, b, d) {epsilon=0.001}"},
    {"SkipLayerNormalization", SKIP "z, y = com.microsoft.SkipLayerNormalization(x, k, g)"},
    {"SkipLayerNormalization", SKIP "z, m, y = com.microsoft.SkipLayerNormalization(x, k, g, _, d)"},
    {"SkipLayerNormalization", SKIP "z, _, _, y = com.microsoft.SkipLayerNormalization(x, k, g, b, d)"},
    {"SkipSimplifiedLayerNormalization", SKIP "y, m, i, t = com.microsoft.SkipSimplifiedLayerNormalization(x, k, g, d) {epsilon=0.001}"},
    {"SkipSimplifiedLayerNormalization", SKIP "z, m, y = com.microsoft.SkipSimplifiedLayerNormalization(x, k, g)"},
    {"EmbedLayerNormalization", EMBED "y, c, s = com.microsoft.EmbedLayerNormalization(ids, seg, w, p, w, g, b, mask)"},
    {"EmbedLayerNormalization", EMBED "z, c = com.microsoft.EmbedLayerNormalization(ids, seg, w, p, w, g, b, mask)\ny = Cast(c) {to=1}"},
    {"EmbedLayerNormalization", EMBED "z, c = com.microsoft.EmbedLayerNormalization(ids, _, w, p, _, g, b)\ny = Cast(c) {to=1}"},
    {"EmbedLayerNormalization", EMBED "z, _, y = com.microsoft.EmbedLayerNormalization(ids, _, w, p, _, g, b, _, seg)"},
    {"QEmbedLayerNormalization", EMBED QEMBED "y, c = com.microsoft.QEmbedLayerNormalization(ids, seg, qw, qp, qw, qg, qb, mask, s1, s2, s1, s1, s2, z1, z2, z1, z1, z2)"},
    {"QEmbedLayerNormalization", EMBED QEMBED "z, c = com.microsoft.QEmbedLayerNormalization(ids, _, qw, qp, _, qg, qb, mask, s1, s2, _, s1, s2, z1, z2, _, z1, z2)\ny = Cast(c) {to=1}"},
    {"QuantizeLinear", QUANT "h = com.microsoft.QuantizeLinear(x, s, z)\ny = Cast(h) {to=1}"},
    {"DequantizeLinear", QUANT "y = com.microsoft.DequantizeLinear(q, s, z)"},
    {"QLinearConcat", QUANT "h = com.microsoft.QLinearConcat(r, n, w, s, z, w, r, n) {axis=1}\ny = Cast(h) {to=1}"},
    {"QLinearWhere", QUANT "const c: bool[3,1] = {1, 0, 1}\nh = com.microsoft.QLinearWhere(c, q, s, z, q, r, n, s, n)\ny = Cast(h) {to=1}"},
    {"QLinearConv", QUANT "const k: uint8[2,3,2] = {1,2,3,4,5,6,70,8,9,10,11,12}\nconst i: int32[2] = {100, -900}\nh = com.microsoft.QLinearConv(q, s, z, k, e, f, r, n, i) {pads=[1,0]}\ny = Cast(h) {to=1}"},
    {"QLinearConv", QUANT "const k: uint8[2,4,2] = {1,2,3,4,5,6,70,8,9,10,11,12,13,14,15,16}\nh = com.microsoft.QLinearConv(q, s, z, k, e, f, r, n) {channels_last=1}\ny = Cast(h) {to=1}"},
    {"NhwcMaxPool", QUANT "h = com.microsoft.NhwcMaxPool(q) {kernel_shape=[2]}\ny = Cast(h) {to=1}"},
    {"FusedMatMul", "const w: float[2,4,2] = {1,2,3,4,5,6,-7,0.5,1,2,3,-4,5,6,7,8}\ny = com.microsoft.FusedMatMul(x, w) {alpha=0.5}"},
    {"FusedMatMul", "const w: float[2,2,4] = {1,2,3,4,5,6,-7,0.5,1,2,3,-4,5,6,7,8}\ny = com.microsoft.FusedMatMul(x, w) {transBatchB=1, transB=1, alpha=-1.5}"},
    {"TransposeMatMul", "const w: float[3,2] = {1,2,3,4,5,6}\ny = com.microsoft.TransposeMatMul(x, w) {transA=1}"},
    {"DynamicQuantizeMatMul", QUANT "const g: float[2,4] = {1,2,3,-4,0.5,-0.75,0.25,2}\ny = com.microsoft.DynamicQuantizeMatMul(g, w, e, f, b)"},
    {"DynamicQuantizeMatMul", QUANT "const g: float[2,4] = {1,2,3,-4,0.5,-0.75,0.25,2}\ny = com.microsoft.DynamicQuantizeMatMul(g, w, s)"},
    {"MatMulIntegerToFloat", QUANT "y = com.microsoft.MatMulIntegerToFloat(q, w, s, e, z, f, b)"},
    {"MatMulIntegerToFloat", QUANT "y = com.microsoft.MatMulIntegerToFloat(q, w, s, r)"},
    {"QGemm", QUANT "const k: int64[2] = {6, 4}\nm = Reshape(q, k)\nconst c: int32[2] = {500, -70}\ny = com.microsoft.QGemm(m, s, z, w, e, f, c) {alpha=0.5}"},
    {"QGemm", QUANT "const k: int64[2] = {4, 6}\nm = Reshape(q, k)\nh = com.microsoft.QGemm(m, s, z, w, e, f, _, r, n) {transA=1}\ny = Cast(h) {to=1}"},
    {"MatMulInteger16", "const a: int16[2,3] = {1,2,3,-4,5,300}\nconst b: int16[3,2] = {1000,2,3,4,5,6}\nh = com.microsoft.MatMulInteger16(a, b)\ny = Cast(h) {to=1}"},
    {"BatchNormalization", "const s: float[3] = {1, 2, 3}\nconst b: float[3] = {0, 1, -1}\nconst e: float[3] = {0.5, 1, -1}\nconst v: float[3] = {0.5, 1, 0}\ny = BatchNormalization(x, s, b, e, v) {epsilon=0.01}"},
    {"BatchNormalization", "const s: float[3] = {1, 2, 3}\nconst b: float[3] = {0, 1, -1}\nconst e: float[3] = {0.5, 1, -1}\nconst v: float[3] = {0.5, 1, 0}\ny, m, w = BatchNormalization(x, s, b, e, v) {training_mode=1}"},
    {"BatchNormalization", "const s: float[3] = {1, 2, 3}\nconst b: float[3] = {0, 1, -1}\nconst e: float[3] = {0.5, 1, -1}\nconst v: float[3] = {0.5, 1, 0}\nz, m, y = BatchNormalization(x, s, b, e, v) {training_mode=1, momentum=0.7}"},
    {"GroupNormalization", "const k: int64[4] = {1, 6, 2, 2}\nv = Reshape(x, k)\nconst s: float[6] = {1, 2, 3, 4, 5, 6}\nconst b: float[6] = {0, 1, -1, 0, 1, 2}\ny = GroupNormalization(v, s, b) {num_groups=3}"},
    {"GroupNormalization", "h = Cast(x) {to=10}\nconst s: float16[3] = {1, 2, 3}\nconst b: float16[3] = {0, 1, -1}\nn = GroupNormalization(h, s, b) {num_groups=1}\ny = Cast(n) {to=1}"},
    {"LpNormalization", "y = LpNormalization(x) {axis=1}"},
    {"LpNormalization", "const f: float[3,1] = {1, 0, 3}\nz = Mul(x, f)\ny = LpNormalization(z) {p=1}"},
    {"MeanVarianceNormalization", "y = MeanVarianceNormalization(x) {axes=[0, 2]}"},
    {"MeanVarianceNormalization", "const k: int64[4] = {2, 3, 2, 2}\nv = Reshape(x, k)\ny = MeanVarianceNormalization(v)"},
    {"LRN", "y = LRN(x) {size=3, alpha=0.5, beta=0.6, bias=2.0}"},
    {"LRN", "const k: int64[4] = {1, 6, 2, 2}\nv = Reshape(x, k)\ny = LRN(v) {size=4}"},
    {"LpPool", "y = LpPool(x) {kernel_shape=[2]}"},
    {"LpPool", "y = LpPool(x) {kernel_shape=[3], strides=[2], ceil_mode=1, p=3}"},
    {"LpPool", "y = LpPool(x) {kernel_shape=[2], dilations=[2], pads=[1, 1], p=1}"},
    {"LpPool", "const k: int64[4] = {1, 1, 4, 6}\nv = Reshape(x, k)\ny = LpPool(v) {kernel_shape=[3, 2], strides=[2, 1], auto_pad=\"SAME_LOWER\"}"},
    {"GlobalLpPool", "y = GlobalLpPool(x)"},
    {"GlobalLpPool", "y = GlobalLpPool(x) {p=3}"},
    {"NegativeLogLikelihoodLoss", "const t: int64[2,4] = {0, 2, 1, 1, 2, 0, 0, 1}\ny = NegativeLogLikelihoodLoss(x, t)"},
    {"NegativeLogLikelihoodLoss", "const t: int32[2,4] = {0, 2, 1, -7, 2, -7, 0, 1}\nconst w: float[3] = {0.5, 1, 2}\ny = NegativeLogLikelihoodLoss(x, t, w) {ignore_index=-7, reduction=\"none\"}"},
    {"NegativeLogLikelihoodLoss", "const t: int64[2,4] = {0, 2, 1, 1, 2, 0, 0, 1}\nconst w: float[3] = {0.5, 1, 2}\ny = NegativeLogLikelihoodLoss(x, t, w) {reduction=\"sum\"}"},
    {"SoftmaxCrossEntropyLoss", "const t: int64[2,4] = {0, 2, 1, 1, 2, 0, 0, 1}\nz, y = SoftmaxCrossEntropyLoss(x, t)"},
    {"SoftmaxCrossEntropyLoss", "const t: int64[2,4] = {0, 2, 9, 1, 2, 0, 9, 1}\nconst w: float[3] = {0.5, 1, 2}\ny = SoftmaxCrossEntropyLoss(x, t, w) {ignore_index=9}"},
    {"Dropout", "y = Dropout(x)"},
    {"Dropout", "const r: float[] = {0.5}\nconst t: bool[] = {0}\nz, m = Dropout(x, r, t)\ny = Cast(m) {to=1}"},
    {"Dropout", "const r: float[] = {0}\nconst t: bool[] = {1}\ny, m = Dropout(x, r, t) {seed=7}"},
    {"HannWindow", "const n: int64[] = {9}\ny = HannWindow(n)"},
    {"HannWindow", "const n: int32[] = {1}\ny = HannWindow(n) {periodic=0}"},
    {"HammingWindow", "const n: int64[] = {10}\ny = HammingWindow(n) {periodic=0}"},
    {"BlackmanWindow", "const n: int64[] = {8}\nw = BlackmanWindow(n) {output_datatype=11}\ny = Cast(w) {to=1}"},
    {"AffineGrid", "const k: int64[3] = {4, 2, 3}\nv = Reshape(x, k)\nconst s: int64[4] = {4, 9, 1, 3}\ny = AffineGrid(v, s)"},
    {"AffineGrid", "const k: int64[3] = {2, 3, 4}\nv = Reshape(x, k)\nconst s: int64[5] = {2, 9, 2, 1, 2}\ny = AffineGrid(v, s) {align_corners=1}"},
    {"DynamicQuantizeLinear", "q, s, z = DynamicQuantizeLinear(x)\ny = Cast(q) {to=1}"},
    {"DynamicQuantizeLinear", "q, y, z = DynamicQuantizeLinear(x)"},
    {"MatMulInteger", "a = Cast(x) {to=3}\nconst b: uint8[4,2] = {1, 2, 3, 4, 250, 6, 7, 8}\nconst za: int8[] = {3}\nconst zb: uint8[2] = {128, 0}\np = MatMulInteger(a, b, za, zb)\ny = Cast(p) {to=1}"},
    {"MatMulInteger", "const k: int64[2] = {6, 4}\nv = Reshape(x, k)\na = Cast(v) {to=3}\nconst b: uint8[4,2] = {1, 2, 3, 4, 250, 6, 7, 8}\nconst za: int8[6] = {3, 1, 2, 0, -1, 5}\np = MatMulInteger(a, b, za)\ny = Cast(p) {to=1}"},
    {"ConvInteger", "a = Cast(x) {to=2}\nconst w: int8[2,3,2] = {1, 2, 3, 4, -5, 6, 7, 8, 9, 1, 2, 3}\nconst za: uint8[] = {3}\nconst zw: int8[2] = {1, -2}\np = ConvInteger(a, w, za, zw) {pads=[1, 0], strides=[2]}\ny = Cast(p) {to=1}"},
    {"QLinearMatMul", "a = Cast(x) {to=3}\nconst b: int8[4,2] = {1, 2, 3, 4, -50, 6, 7, 8}\nconst sa: float[] = {0.3}\nconst za: int8[] = {3}\nconst sb: float[2] = {0.7, 0.2}\nconst zb: int8[2] = {12, 0}\nconst sy: float[] = {1.7}\nconst zy: int8[] = {-5}\nq = QLinearMatMul(a, sa, za, b, sb, zb, sy, zy)\ny = Cast(q) {to=1}"},
    {"QLinearConv", "a = Cast(x) {to=2}\nconst w: int8[2,3,2] = {1, 2, 3, 4, -5, 6, 7, 8, 9, 1, 2, 3}\nconst sa: float[] = {0.3}\nconst za: uint8[] = {3}\nconst sw: float[2] = {0.7, 0.2}\nconst zw: int8[2] = {1, -2}\nconst sy: float[] = {1.7}\nconst zy: uint8[] = {100}\nconst b: int32[2] = {40, -60}\nq = QLinearConv(a, sa, za, w, sw, zw, sy, zy, b)\ny = Cast(q) {to=1}"},
};
/* clang-format on */

static const float x_data[24] = {0,     1,      -1,   0.5F,  -0.5F, 0.6F,   -0.6F, 3,
                                 -3,    5,      -5,   0.25F, 0.1F,  -0.1F,  8,     -8,
                                 1e-3F, -1e-3F, 2.5F, -2.5F, 0.75F, -0.75F, 1.5F,  4};

static us_model *parse(us_ctx *c, const expand_case *t)
{
    char text[2048];
    us_model *m;
    (void)snprintf(
        text, sizeof text,
        "model ir=8 opset=28,ai.onnx.ml:5,ai.onnx.preview.training:1,com.microsoft:1\ngraph "
        "main(x: "
        "float[2,3,4]) -> (y) {\n%s\n}\n",
        t->body);
    us_err e = us_model_parse(c, us_sv_of(text), &m);
    if (e != US_OK) printf("# %s: %s\n", t->op, c->diag.text);
    CHECK(e == US_OK);
    return m;
}

/* Expands every composite of the graph until none is left; returns how many there were. */
static size_t expand_all(us_ctx *c, us_model *m)
{
    us_graph *g = m->main;
    size_t n = 0;
    for (us_nid i = 0; i < g->nodes.n; i++) {
        const us_op *op = g->nodes.at[i].op;
        if (g->nodes.at[i].dead || !op || !op->expand) continue;
        CHECK(us_graph_infer(c, g) == US_OK);
        us_err e = op->expand(c, m, g, i);
        if (e != US_OK) printf("# %s\n", c->diag.text);
        CHECK(e == US_OK);
        us_graph_remove_node(g, i);
        n++;
    }
    CHECK(us_graph_verify(c, g) == US_OK);
    return n;
}

static void run(us_ctx *c, us_model *m, float *y, size_t *n)
{
    us_plan *p;
    us_session *s;
    us_tensor x;
    union {
        const float *in;
        void *out;
    } data = {.in = x_data};
    us_value in, out;
    us_err e = us_plan_new(c, m, &(us_plan_opts){.no_passes = true}, &p);
    if (e != US_OK) printf("# %s\n", c->diag.text);
    CHECK(e == US_OK);
    CHECK(us_session_new(c, p, NULL, &s) == US_OK);
    CHECK(us_tensor_init(c, &x, US_F32, 3, (int64_t[]){2, 3, 4}, data.out) == US_OK);
    in = us_value_of(&x);
    CHECK(us_session_run(c, s, &in, &out) == US_OK);
    *n = (size_t)us_tensor_count(&out.t);
    for (size_t i = 0; i < *n && i < 24; i++)
        y[i] = (float)us_tensor_f64_at(&out.t, (int64_t)i);
    us_session_free(s);
    us_plan_free(p);
}

static void test_expand__equals_kernel(void)
{
    us_ctx c;
    size_t bad = 0;
    us_ctx_init(&c);
    for (size_t r = 0; r < US_LEN(rows); r++) {
        float whole[24], parts[24];
        size_t n, n_parts;
        us_model *m = parse(&c, &rows[r]);
        run(&c, m, whole, &n);
        m = parse(&c, &rows[r]);
        CHECK(expand_all(&c, m) > 0);
        run(&c, m, parts, &n_parts);
        if (n != n_parts || n > 24)
            printf("# %s: %zu and %zu elements\n", rows[r].op, n, n_parts);
        CHECK(n == n_parts && n <= 24);
        for (size_t i = 0; i < n; i++) {
            double a = (double)whole[i], b = (double)parts[i];
            if (fabs(a - b) <= 2e-6 + 1e-5 * fabs(a) || a == b || (isnan(a) && isnan(b)))
                continue;
            printf("# %s: element %zu: kernel %g, expansion %g\n", rows[r].op, i, a, b);
            bad++;
        }
    }
    CHECK(bad == 0);
    us_ctx_deinit(&c);
}

/* Drawn numbers: another node draws others, so only type and shape could be compared. The official tests do. */
static const char *const random_ops[] = {"RandomNormal", "RandomUniform", "Bernoulli"};

static void test_expand__every_composite_has_a_row(void)
{
    for (int id = 1; id < US_OP_N; id++) {
        const us_op *op = us_op_get((us_op_id)id);
        bool there = !op->expand;
        char call[96]; /* how a body names it: two domains may have an operator of one name */
        (void)snprintf(call, sizeof call, " %s%s%s(", op->domain, *op->domain ? "." : "",
                       op->name);
        for (size_t r = 0; r < US_LEN(rows); r++)
            there = there || strstr(rows[r].body, call);
        for (size_t r = 0; r < US_LEN(random_ops); r++)
            there = there || (!*op->domain && strcmp(random_ops[r], op->name) == 0);
        if (!there) printf("# no row for%s\n", call);
        CHECK(there);
    }
}

static const us_test_case cases[] = {US_CASE(test_expand__equals_kernel),
                                     US_CASE(test_expand__every_composite_has_a_row)};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
