/* test_op_nn - recurrent operators, attention and the pieces around them where the official tests are thin.
 *
 * The rows of RNN, GRU, LSTM and of operators that opset 10 dropped were recorded from ONNX Runtime 1.23.2 (for batch-first ones the same numbers, transposed);
 * the others are worked out by hand: with Q = 0 each visible key has the same weight. Bad input is an error.
 */
#define OP_OPSETS "opset=28,ai.onnx.preview:1,ai.onnx.preview.training:1"
#include "op_fixture.h"

#define XWR                                                                                    \
    "const x: float[1,1,2] = {1, 2}\nconst w: float[1,1,2] = {1, 1}\nconst r: float[1,1,1] = " \
    "{1}\n"
#define OLD "const x: float[2,3] = {-1.5, 0.5, 2, 3, -4, 100}\n"
#define QKV                                                                                    \
    "const q: float[1,1,3,1] = {0, 0, 0}\nconst k: float[1,1,3,1] = {1, 2, 3}\nconst v: "      \
    "float[1,1,3,1] = {3, 6, 12}\n"
#define LIN                                                                                    \
    "const q: float[1,2,1] = {1, 2}\nconst k: float[1,2,1] = {1, 1}\nconst v: float[1,2,1] = " \
    "{3, 5}\n"

/* clang-format off */
static const op_case recorded[] = {
    {"parametric softplus", OLD "y = ParametricSoftplus(x) {alpha=1.5, beta=0.5}", 2, {2, 3}, {0.58030653, 1.23890913, 1.9698925, 2.55211997, 0.19039208, 75}, {0}, 0},
    {"scaled tanh", OLD "y = ScaledTanh(x) {alpha=1.5, beta=0.5}", 2, {2, 3}, {-0.95272338, 0.367378, 1.1423912, 1.35772252, -1.44604135, 1.5}, {0}, 0},
    {"scale", OLD "y = Scale(x) {scale=2.5}", 2, {2, 3}, {-3.75, 1.25, 5, 7.5, -10, 250}, {0}, 0},
    {"scale of 1", OLD "y = Scale(x)", 2, {2, 3}, {-1.5, 0.5, 2, 3, -4, 100}, {0}, 0},
    {"dynamic slice", OLD "const s: int64[2] = {0, 1}\nconst e: int64[2] = {2, 3}\ny = DynamicSlice(x, s, e)", 2, {2, 2}, {0.5, 2, -4, 100}, {0}, 0},
    {"dynamic slice of an axis", OLD "const s: int64[1] = {1}\nconst e: int64[1] = {3}\ny = DynamicSlice(x, s, e, s)", 2, {2, 2}, {0.5, 2, -4, 100}, {0}, 0},
    {"rnn both ways", "const x: float[3,2,2] = {0.25, 0.75, 0.5, -0.5, -0.375, 0.75, -1, 0.625, 0.625, -0.125, -0.375, -0.5}\nconst w: float[2,2,2] = {-0.5, -0.125, 0, 0.125, 1, 0.625, 0.25, 1}\nconst r: float[2,2,2] = {-0.625, -0.625, 0.25, -0.875, -0.875, 0, -0.125, 0.875}\nconst b: float[2,4] = {0.25, 0, -0, -0.5, -1, -0.625, 0.375, -0.625}\nconst h: float[2,2,2] = {-0.25, -1, 0.625, -0.75, -0.5, 0.75, 0, 0.75}\ny = RNN(x, w, r, b, _, h) {direction=\"bidirectional\", activations=[\"ScaledTanh\", \"LeakyRelu\"], activation_alpha=[0.5, 0.1], activation_beta=[1.5, 0.0]}",
     4, {3, 2, 2, 2}, {0.4196426, 0.2718435, 0.1039318, 0.1791787, 0.167749, -0.04866406, -0.0339541, -0.1695225, -0.06593534, -0.3344649, 0.3152954, -0.3399721, -0.08457031, -0.06824218, -0.1119531, -0.09625, 0.1479694, -0.1722449, 0.3243741, -0.136129, 0.359375, -0.05, -0.13125, -0.11875}, {0}, 0},
    {"rnn backwards within lengths", "const x: float[3,2,2] = {0.25, 0.5, -0.875, 0.125, 0, 0.75, -0.25, 0.25, -0.875, -0.25, -0.375, -0.75}\nconst w: float[1,2,2] = {0.625, -0.25, 1, 0.125}\nconst r: float[1,2,2] = {0.25, 0.25, 0.375, -0.75}\nconst b: float[1,4] = {-0.125, -0.5, -0.25, -0.75}\nconst l: int32[2] = {2, 3}\nconst h: float[1,2,2] = {0.875, -0.625, 0.375, -0.375}\ny = RNN(x, w, r, b, l, h) {direction=\"reverse\", activations=[\"Softsign\"]}",
     4, {3, 1, 2, 2}, {-0.3302863, -0.4635838, -0.5452493, -0.6521577, -0.3333333, -0.2643678, -0.4472335, -0.5362952, 0, 0, -0.2967033, -0.5646259}, {0}, 0},
    {"rnn clipped affine", "const x: float[3,2,2] = {0.75, 0.375, -0.75, 0.75, 0.875, 0.75, 0.125, -0.75, -0.625, 0.875, 0.125, -0.625}\nconst w: float[1,2,2] = {0.75, 0.25, 0.125, -0.25}\nconst r: float[1,2,2] = {-0.125, -0.5, -0.875, 0.75}\nconst b: float[1,4] = {-0.125, 0.125, -0.375, 0.5}\nconst h: float[1,2,2] = {-1, -0.25, -1, -0.75}\ny = RNN(x, w, r, b, _, h) {direction=\"forward\", activations=[\"Affine\"], activation_alpha=[0.75], activation_beta=[0.25], clip=0.5}",
     4, {3, 1, 2, 2}, {0.5546875, 0.625, -0.03125, 0.625, 0.2214355, 0.625, -0.125, 0.625, -0.125, 0.625, -0.125, 0.625}, {0}, 0},
    {"rnn batch first", "const x: float[2,3,2] = {0.875, 0.375, -0.125, 0, 0.75, -0.25, 0.125, 0.375, -0.25, 0, 0.5, 0.875}\nconst w: float[2,2,2] = {-0.75, 0.875, -1, 0.5, 0.625, -0.75, -0.125, 0.625}\nconst r: float[2,2,2] = {-1, 0.25, 0.625, 0, 0.5, -0.5, -0.625, -0.25}\nconst b: float[2,4] = {-0.625, -0.25, 0.875, 0.125, -0.375, -0.5, 0.875, -0.125}\nconst h: float[2,2,2] = {1, 0, 0, 0.75, 0.5, 0.125, -0.125, 0.75}\ny = RNN(x, w, r, b, _, h) {direction=\"bidirectional\", activations=[\"LeakyRelu\", \"ThresholdedRelu\"], activation_alpha=[0.25, 0.125], layout=1}",
     4, {2, 3, 2, 2}, {-0.2695312, -0.046875, 1.171875, 0, 0.6015625, -0.04211426, 0.8125, 0, -0.2858353, -0.1560059, 0.78125, 0, 0.015625, 0.25, 0.46875, 0, 0.484375, 0.1347656, 0.34375, 0, 0.1899414, 0.1152344, 0, 0}, {0}, 0},
    {"gru both ways, lengths", "const x: float[3,2,2] = {-0.125, 0.875, -0.875, -0.125, 0, 0.875, -0.5, 0.625, 0.375, 0.375, 0.25, 1}\nconst w: float[2,6,2] = {-0.375, -0.25, -0.625, -0.875, -0.625, 0.875, 0.625, -0.75, 0.25, -0, 0.25, 0.375, -0.375, 0.875, -0.125, 0.25, 0.25, -0.625, -0.875, -0.125, 0.5, 0.625, 0.5, -0.75}\nconst r: float[2,6,2] = {0.875, 0.625, 0.75, 0, 0.875, -0.875, -1, -1, -0.5, -0.5, -0.625, 0.125, -0.875, 0.125, -0.625, 0.375, -1, -0.375, 0.875, 0.125, 0.625, 0.375, 0.25, -0.625}\nconst b: float[2,12] = {0.125, -0.875, 0.625, 0.875, 0.75, -0.875, -0.375, -0.375, -0.75, 0.25, 0.625, -0.375, 0.75, 0.625, -0.75, 0.5, 0.75, -0.625, 0.125, 0.25, 0.25, -0.75, 0.375, 0.25}\nconst l: int32[2] = {3, 1}\nconst h: float[2,2,2] = {0.625, 0.625, -0.375, 0.5, 0.75, 0.75, -0.625, -1}\ny = GRU(x, w, r, b, l, h) {direction=\"bidirectional\", linear_before_reset=1}",
     4, {3, 2, 2, 2}, {0.6216854, -0.4148337, 0.1063731, -0.4391268, 0.8364002, -0.3212627, -0.5116516, -0.8792766, 0.7340217, -0.7034886, 0, 0, 0.8220548, -0.06348298, 0, 0, 0.8090118, -0.8313298, 0, 0, 0.7968192, 0.3037457, 0, 0}, {0}, 0},
    {"gru both ways", "const x: float[3,2,2] = {0.25, -0.625, 0.125, 0.875, -0.25, -0.5, -0.125, 0.375, -0.75, -0.25, -0.75, 0.375}\nconst w: float[2,6,2] = {0.625, -0.25, -0.25, 0.125, -0.625, -0.5, -0.375, -0.125, -0.875, 0.5, 0.125, -0.375, -0.875, 0.5, -0.75, -0.75, -0.75, -0.875, 0.875, -0.5, -0.375, 0.625, 0.25, -0.625}\nconst r: float[2,6,2] = {-0.125, 0.75, -0.25, 0.375, -0.75, 0.5, 0.5, 0.625, 0.375, -0.25, -0.875, 0, 0.5, -0.625, -0.5, 0.125, 0.5, 0.75, -0.75, -0.625, 0.625, 0.25, 0.5, 1}\nconst h: float[2,2,2] = {0.875, 0.625, 0.5, -0.25, 0.25, -0.625, 0.5, 0.5}\ny = GRU(x, w, r, _, _, h) {direction=\"bidirectional\", activations=[\"HardSigmoid\", \"Softplus\", \"Sigmoid\", \"Elu\"], activation_alpha=[0.3, 0.5], activation_beta=[0.4]}",
     4, {3, 2, 2, 2}, {0.7124096, 0.6692225, 0.7833314, 0.2519648, -0.0728459, 0.02822247, 0.5799736, -0.09784828, 0.6978732, 0.6462307, 0.8379464, 0.4321534, 0.09615932, -0.2227002, 0.5492398, 0.07725985, 0.8834739, 0.5935968, 1.113366, 0.4552004, 0.2251934, -0.4316334, 0.5808341, 0.227019}, {0}, 0},
    {"gru clipped", "const x: float[3,2,2] = {0.5, -0.125, -0.25, -0.125, -0.875, 0.75, 0.125, -0.25, 0.125, 0.5, -0.25, 0.625}\nconst w: float[1,6,2] = {0.875, -0.25, -0.75, 0.5, 1, -0.75, 0.375, 0.625, 0.875, -0.75, -0.875, 1}\nconst r: float[1,6,2] = {-0.75, -0.625, 0.125, -0.125, 0.5, -0.625, 0.875, -0.625, 0.5, -0.875, -0, -0.875}\nconst b: float[1,12] = {-0.375, -0.375, 0.5, -0.125, -0.875, 1, 0.75, 0.875, -0.5, -0.25, -0.5, -0.75}\nconst h: float[1,2,2] = {-0.875, 0, -0.75, -0.625}\ny = GRU(x, w, r, b, _, h) {direction=\"reverse\", linear_before_reset=1, clip=0.25}",
     4, {3, 1, 2, 2}, {-0.3347687, 0.1059443, -0.3346573, 0.0906527, -0.404744, 0.167514, -0.4045458, -0.02948976, -0.5991356, 0.1072312, -0.5288635, -0.2441291}, {0}, 0},
    {"lstm both ways, peepholes", "const x: float[3,2,2] = {0.75, -0, -0.625, 0.375, -0.5, 0, -0.375, 0, 0.25, 0.125, -0.25, 0.625}\nconst w: float[2,8,2] = {0.75, -0.625, -0.75, -0.75, 1, 0.875, -0.5, 1, -0.625, 0, -0, 0.875, -0.875, -0.375, 0.25, -0.875, -0.5, -0.125, 0.75, 0.5, 0.625, 0.5, 0.375, 0.75, 0.375, 0.5, -0.375, -0.625, 0.5, -0.625, 0.875, 0.25}\nconst r: float[2,8,2] = {-0.375, 0.875, -0.75, 0, -0.875, 0.875, 0.125, 0.625, -0.375, 0.625, 0.375, 0.25, 0.875, -0.125, -0.125, 0.375, 0.625, -0.375, 0.375, -0.625, 0.125, 0.5, -0.875, 0.5, -1, 0.875, -0.125, -0.125, 0.5, 0, 0.5, -0.875}\nconst b: float[2,16] = {0.125, 0.125, 0.875, -0.875, -0.125, 0.25, 0.125, -0.875, 0.125, -0.5, -0.625, 0.75, -0.625, -0.125, 0.5, 0.375, 0.125, 0.625, -0.125, 0.25, 0.625, 0.375, 0.25, -0.25, 0.125, -0.25, 0.5, -0.25, -0.125, 0.5, 0, -0.375}\nconst h: float[2,2,2] = {0.625, -0.25, 0.75, 0.625, -0.125, 0.375, -0.875, -0.25}\nconst c: float[2,2,2] = {0.75, 0.125, 0.125, 0.375, 0.375, 0.125, -0.125, -0.625}\nconst p: float[2,6] = {-0.375, -0.375, -0.125, 1, -0.25, -0.125, -0.25, 0.125, 0.875, 0.75, -0.25, -0.5}\ny = LSTM(x, w, r, b, _, h, c, p) {direction=\"bidirectional\"}",
     4, {3, 2, 2, 2}, {0.1914818, -0.004987052, 0.1926593, 0.04662521, 0.3241285, -0.1149854, -0.1492209, -0.2450252, 0.1703725, -0.1251289, 0.1985794, -0.09435194, 0.1418284, -0.1471386, -0.09891462, -0.2139127, 0.1962968, -0.1223421, 0.2010987, -0.2093095, 0.2710975, -0.1637424, -0.1797295, -0.4128182}, {0}, 0},
    {"lstm both ways, lengths", "const x: float[3,2,2] = {0.75, -0, 0.375, -0.875, 0.75, -0.375, -0, -0.625, -0.125, 0.625, 0.625, -0}\nconst w: float[2,8,2] = {0.5, -0.125, -0.25, 0.125, -0.625, -0.375, 0.375, 0.5, -0.875, 0.5, 0.625, -0.125, -0.875, 0.375, -0.5, 0.25, -0.25, 0.25, -0.5, -0, 0, 0.25, -0.625, 0.875, -0.375, -0.375, -0.5, -0.875, -0.125, 0.5, 0.375, -0.625}\nconst r: float[2,8,2] = {-0.75, -0.375, 0.5, -0, 0.875, 0.375, 0.25, 0.5, 0.5, -0.25, -0.5, -0.125, -0, -0.75, -0.125, 0.25, -0.75, -0.75, -0.625, -0.375, 0.875, -1, -0.625, -0.625, -0, -1, -0.125, -0.625, -0.5, 0.625, -0.625, 0.25}\nconst b: float[2,16] = {-0.125, -0.125, 0.625, -0.625, 0.875, 0.75, 0.375, -0.875, 0.375, 0.25, 0.5, -0.625, 0.875, 0.75, -0.75, -0.375, -0.875, 0.625, 0.875, 1, 0.25, 0.375, 0.375, 0.125, 0.875, 0.25, -0.375, 0, -1, 0.5, 0.375, -0.125}\nconst l: int32[2] = {1, 3}\nconst h: float[2,2,2] = {0.75, 0.5, -0.375, -0.875, -0.75, -0.625, -0.375, -0.125}\nconst c: float[2,2,2] = {0.875, -0.5, 0.75, 0.375, 0.75, -0.25, -1, 0.625}\ny = LSTM(x, w, r, b, l, h, c) {direction=\"bidirectional\", activations=[\"HardSigmoid\", \"Softsign\", \"Tanh\", \"Sigmoid\", \"Relu\", \"Elu\"], activation_alpha=[0.3, 0.7], activation_beta=[0.6]}",
     4, {3, 2, 2, 2}, {0.4977166, -0.3211517, 0.3053197, 0, 0.4599741, 0.2199081, 0.1127053, 0.4423541, 0, 0, 0.1798538, -0.05202261, 0, 0, 0.1378676, 0.4411879, 0, 0, -0.1399658, -0.1877491, 0, 0, 0.07785394, 0.5163969}, {0}, 0},
    {"lstm coupled", "const x: float[3,2,2] = {-0.5, -0.75, 0.625, 0.375, -0.625, -0.5, 0.875, -0.5, 0.375, -0.75, 0.625, -0.75}\nconst w: float[1,8,2] = {0, -0.875, 0.125, 0.75, -0.875, -0.5, 0.5, 0.25, -0.375, 0.25, -0.125, 0.75, -0.375, 0.5, 0.25, 0.5}\nconst r: float[1,8,2] = {-0.25, 0.5, 0.375, -0.25, -1, 0.875, 0.375, -0.625, 0.5, -0.5, -0, 0.75, -0.125, -0.375, -0.375, -0.875}\nconst b: float[1,16] = {-0.5, -0.5, -0.625, -0.875, -0.125, -0.625, 0.5, 0.875, -0.5, 0.125, 0, -0.875, -0.75, 0.75, -0, 0.625}\nconst h: float[1,2,2] = {-0.875, 0.25, 0.75, 0.75}\nconst c: float[1,2,2] = {-1, 0, -0.25, 0.5}\nconst p: float[1,6] = {-0.875, -0.5, 0.625, -0, -0.125, 0.875}\ny = LSTM(x, w, r, b, _, h, c, p) {direction=\"forward\", input_forget=1}",
     4, {3, 1, 2, 2}, {-0.05462686, 0.01027054, -0.02718487, 0.09552646, 0.07418212, 0.03239677, -0.03375648, 0.1070302, 0.02313434, 0.0649268, -0.04461855, 0.09426161}, {0}, 0},
    {"lstm clipped", "const x: float[3,2,2] = {-0.375, -0.875, -0.25, -0.75, -0.875, 0.125, 0.875, 0.125, 0.25, -0.375, 0.125, 0.5}\nconst w: float[1,8,2] = {0.125, 0.625, 0.125, -0.625, 0.125, -0, -0.625, 0.25, 0.625, -0.75, 0.125, 0.5, -0.25, -0.5, -0.25, 0.125}\nconst r: float[1,8,2] = {0.375, 0.125, -0.75, 0.625, 0.875, -0.75, -0.5, -0.625, 0.75, 0.875, -0.875, -0.375, -0.625, -0, 0.875, -0.875}\nconst b: float[1,16] = {-0.625, -0, 0, 0.5, -0.125, -0.75, -0.25, 1, 0.5, -0.75, 0.625, -0.375, 0.625, -1, 0.75, -0.625}\nconst h: float[1,2,2] = {-0.125, 0.375, 0, -0.625}\nconst c: float[1,2,2] = {-0.75, -0.375, -0.875, -0.625}\ny = LSTM(x, w, r, b, _, h, c) {direction=\"reverse\", clip=0.3}",
     4, {3, 1, 2, 2}, {0.07028504, 0.07302719, 0.0699789, 0.06218604, -0.001000672, 0.01301821, -0.001541661, -0.004909475, -0.1684354, -0.09961141, -0.144992, -0.08102874}, {0}, 0},
    {"lstm batch first", "const x: float[2,3,2] = {-0.75, -0.125, -0.25, 0.125, -0.5, -0.875, -0.375, 0.5, -0.5, -0.25, 0.5, -0.125}\nconst w: float[2,8,2] = {0.75, 0.875, -0.375, 0.5, -0.5, -0.75, -0.125, 0.25, 0.875, -0.75, 0.375, -0, -0.75, 1, 0.375, -0.75, 0.75, -0.75, -0.875, -0.375, 0.875, -0.875, 0.875, 0.25, -0.875, 0.125, -0.125, 0.125, 0.5, 0.375, 1, -0.625}\nconst r: float[2,8,2] = {0.625, -0.125, 0.625, 0.75, 1, -0.5, -0.125, 0.875, 0.875, -0.25, 0.875, -0.25, -0.25, 0.5, -0, -0.125, -0.25, -0.125, -0.75, -0.875, 0.5, 0.125, 0.375, 0.625, -0.5, -0.5, -0.5, -0.375, 0.5, -0.25, -0.375, 0.25}\nconst b: float[2,16] = {-0.625, -0.75, 0.375, 0.5, -0.375, 0.25, -0.875, -0.25, 0.125, -0.5, -0.25, 0.25, 0.125, -0.75, 0.375, -0.875, 1, -0.625, -0.5, -0.625, 1, -0.375, 0.25, 1, 0.875, -0.875, 0, 0.25, 0.375, -0.375, -0.375, -1}\nconst h: float[2,2,2] = {-0.875, 0.125, -0.875, -0.625, -0.375, -0.875, -1, 0.875}\nconst c: float[2,2,2] = {-0.125, -0.625, 0.375, -1, -0.5, 0.875, 0.75, 0.25}\ny = LSTM(x, w, r, b, _, h, c) {direction=\"bidirectional\", layout=1}",
     4, {2, 3, 2, 2}, {0.004758978, -0.1925743, -0.173321, -0.06110068, -0.05462176, -0.1860439, -0.134033, -0.06299441, -0.1292534, -0.1117631, -0.1125054, -0.04799858, -0.07563588, 0.07976908, -0.08880875, -0.04559081, -0.07767829, -0.1007305, -0.1150135, -0.0056814, -0.1872118, -0.1092175, 0.01002387, 0.1045088}, {0}, 0},
};

static const op_case by_hand[] = {
    {"no step taken", XWR "const l: int32[1] = {0}\nconst h: float[1,1,1] = {7}\nz, y = RNN(x, w, r, _, l, h)", 3, {1, 1, 1}, {7}, {0}, 0},
    {"affine default", XWR "y = RNN(x, w, r) {activations=[\"affine\"]}", 4, {1, 1, 1, 1}, {3}, {0}, 0},
    {"no sequences", "const x: float[3,0,2] = {}\nconst w: float[1,1,2] = {1, 1}\nconst r: float[1,1,1] = {1}\ny = RNN(x, w, r)", 4, {3, 1, 0, 1}, {0}, {0}, 0},
    {"causal", QKV "y = Attention(q, k, v) {is_causal=1}", 4, {1, 1, 3, 1}, {3, 4.5, 7}, {0}, 0},
    {"one to the left", QKV "y = Attention(q, k, v) {left_window_size=1}", 4, {1, 1, 3, 1}, {7, 7, 9}, {0}, 0},
    {"itself and the next", QKV "y = Attention(q, k, v) {left_window_size=0, right_window_size=1}", 4, {1, 1, 3, 1}, {4.5, 9, 12}, {0}, 0},
    {"causal window", QKV "y = Attention(q, k, v) {left_window_size=1, right_window_size=1, is_causal=1}", 4, {1, 1, 3, 1}, {3, 4.5, 9}, {0}, 0},
    {"window after the past", QKV "const o: float[1,1,1,1] = {0}\nconst p: float[1,1,1,1] = {100}\ny = Attention(q, k, v, _, o, p) {left_window_size=1, right_window_size=0}", 4, {1, 1, 3, 1}, {51.5, 4.5, 9}, {0}, 0},
    {"short mask", QKV "const m: bool[1,2] = {1, 1}\ny = Attention(q, k, v, m)", 4, {1, 1, 3, 1}, {4.5, 4.5, 4.5}, {0}, 0},
    {"nothing visible", QKV "const m: bool[3,3] = {0, 0, 0, 1, 0, 0, 0, 0, 1}\ny = Attention(q, k, v, m)", 4, {1, 1, 3, 1}, {0, 3, 12}, {0}, 0},
    {"hidden keys take no part", "const q: float[1,1,1,1] = {1}\nconst k: float[1,1,2,1] = {1, nan}\nconst v: float[1,1,2,1] = {3, inf}\nconst m: bool[1,2] = {1, 0}\ny = Attention(q, k, v, m)", 4, {1, 1, 1, 1}, {3}, {0}, 0},
    {"shared keys", "const q: float[1,2,2] = {0, 0, 0, 0}\nconst k: float[1,1,1] = {5}\nconst v: float[1,1,2] = {6, 7}\ny = Attention(q, k, v) {q_num_heads=2, kv_num_heads=1}", 3, {1, 2, 4}, {6, 7, 6, 7, 6, 7, 6, 7}, {0}, 0},
    {"flex without modifiers", QKV "y = ai.onnx.preview.FlexAttention(q, k, v)", 4, {1, 1, 3, 1}, {7, 7, 7}, {0}, 0},
    {"linear", LIN "y = LinearAttention(q, k, v) {q_num_heads=1, kv_num_heads=1, update_rule=\"linear\"}", 3, {1, 2, 1}, {3, 16}, {0}, 0},
    {"delta forgets", LIN "const b: float[1,2,1] = {1, 1}\ny = LinearAttention(q, k, v, _, _, b) {q_num_heads=1, kv_num_heads=1, update_rule=\"delta\"}", 3, {1, 2, 1}, {3, 10}, {0}, 0},
    {"quarter turn", "const x: float[1,1,1,4] = {1, 2, 3, 4}\nconst c: float[2,1] = {1, 0}\nconst s: float[2,1] = {0, 1}\nconst p: int64[1,1] = {1}\ny = RotaryEmbedding(x, c, s, p) {rotary_embedding_dim=2}", 4, {1, 1, 1, 4}, {-2, 1, 3, 4}, {0}, 0},
    {"momentum at rest", "const r: float[] = {0.5}\nconst t: int64[] = {0}\nconst x: float[2] = {1, 2}\nconst g: float[2] = {2, 4}\nconst v: float[2] = {0, 1}\ny, z = ai.onnx.preview.training.Momentum(r, t, x, g, v) {alpha=0.5, beta=9.0, mode=\"standard\", norm_coefficient=0.0}", 1, {2}, {0, -0.25}, {0}, 0},
};

static const op_case bad[] = {
    {"parametric softplus: no beta", OLD "y = ParametricSoftplus(x) {alpha=1.5}", -1, {0}, {0}, {0}, US_FORMAT},
    {"dynamic slice: an axis too far", OLD "const s: int64[1] = {7}\ny = DynamicSlice(x, s, s, s)", -1, {0}, {0}, {0}, US_SHAPE},
    {"rnn: W of another size", "const x: float[1,1,2] = {1, 2}\nconst w: float[1,1,3] = {1, 1, 1}\nconst r: float[1,1,1] = {1}\ny = RNN(x, w, r)", -1, {0}, {0}, {0}, US_SHAPE},
    {"rnn: direction", XWR "y = RNN(x, w, r) {direction=\"up\"}", -1, {0}, {0}, {0}, US_ARG},
    {"rnn: activation", XWR "y = RNN(x, w, r) {activations=[\"Cube\"]}", -1, {0}, {0}, {0}, US_UNSUPP},
    {"rnn: two activations", XWR "y = RNN(x, w, r) {activations=[\"Tanh\", \"Tanh\"]}", -1, {0}, {0}, {0}, US_ARG},
    {"rnn: hidden size", XWR "y = RNN(x, w, r) {hidden_size=2}", -1, {0}, {0}, {0}, US_SHAPE},
    {"rnn: too long", XWR "const l: int32[1] = {2}\ny = RNN(x, w, r, _, l)", -1, {0}, {0}, {0}, US_ARG},
    {"rnn: negative length", XWR "const l: int32[1] = {-1}\ny = RNN(x, w, r, _, l)", -1, {0}, {0}, {0}, US_ARG},
    {"rnn: absurd empty input", "const x: float[1099511627776,1,0] = {}\nconst w: float[1,1,0] = {}\nconst r: float[1,1,1] = {1}\nz, y = RNN(x, w, r)", -1, {0}, {0}, {0}, US_LIMIT},
    {"attention: heads", "const q: float[1,1,3] = {0, 0, 0}\ny = Attention(q, q, q) {q_num_heads=2, kv_num_heads=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"attention: no heads", "const q: float[1,1,3] = {0, 0, 0}\ny = Attention(q, q, q)", -1, {0}, {0}, {0}, US_SHAPE},
    {"attention: mask", QKV "const m: float[2,3] = {0, 0, 0, 0, 0, 0}\ny = Attention(q, k, v, m)", -1, {0}, {0}, {0}, US_SHAPE},
    {"attention: mode", QKV "y = Attention(q, k, v) {qk_matmul_output_mode=4}", -1, {0}, {0}, {0}, US_ARG},
    {"attention: half a past", QKV "y = Attention(q, k, v, _, k)", -1, {0}, {0}, {0}, US_SHAPE},
    {"rotary: position", "const x: float[1,1,1,2] = {1, 2}\nconst c: float[2,1] = {1, 0}\nconst p: int64[1,1] = {2}\ny = RotaryEmbedding(x, c, c, p)", -1, {0}, {0}, {0}, US_ARG},
    {"rotary: odd", "const x: float[1,1,1,3] = {1, 2, 3}\nconst c: float[2,1] = {1, 0}\nconst p: int64[1,1] = {1}\ny = RotaryEmbedding(x, c, c, p)", -1, {0}, {0}, {0}, US_SHAPE},
    {"linear: rule", LIN "y = LinearAttention(q, k, v) {q_num_heads=1, kv_num_heads=1, update_rule=\"other\"}", -1, {0}, {0}, {0}, US_ARG},
    {"linear: no gate", LIN "y = LinearAttention(q, k, v) {q_num_heads=1, kv_num_heads=1}", -1, {0}, {0}, {0}, US_ARG},
    {"swiglu: shapes", "const a: float[2] = {1, 2}\nconst b: float[1] = {1}\ny = SwiGLU(a, b)", -1, {0}, {0}, {0}, US_SHAPE},
    {"adam: groups", "const r: float[] = {1}\nconst t: int64[] = {0}\ny = ai.onnx.preview.training.Adam(r, t, r, r, r)", -1, {0}, {0}, {0}, US_ARG},
};
/* clang-format on */

static void test_recurrent__as_onnx_runtime(void)
{
    op_check_all(recorded, US_LEN(recorded));
}
/* The first version of each, its extra attribute given, answers what the seventh does, bit for bit. */
static void test_recurrent__first_version(void)
{
    static const struct {
        const char *op, *inputs;
    } forms[] = {{"RNN", "x, w, r, b"}, {"LSTM", "x, lw, lr, lb"}, {"GRU", "x, gw, gr, gb"}};
    for (size_t i = 0; i < US_LEN(forms); i++) {
        op_run runs[2];
        for (int first = 0; first < 2; first++) {
            char node[256], body[1536];
            (void)snprintf(node, sizeof node,
                           "y = %s@%d(%s) {direction=\"bidirectional\", hidden_size=1%s}",
                           forms[i].op, first ? 1 : 7, forms[i].inputs,
                           first ? ", output_sequence=1" : "");
            (void)snprintf(
                body, sizeof body,
                "const x: float[2,2,1] = {0.5, -1, 2, 0.25}\n"
                "const w: float[2,1,1] = {0.5, -1}\nconst r: float[2,1,1] = {-0.25, 0.5}\n"
                "const b: float[2,2] = {0.1, 0.2, 0.3, 0.4}\n"
                "const lw: float[2,4,1] = {1, -0.5, 0.25, 2, -1, 0.5, 0.75, -2}\n"
                "const lr: float[2,4,1] = {0.5, 1, -1, 0.25, 0.5, 2, -0.5, 1}\n"
                "const lb: float[2,8] = {1, 2, 3, 4, 1, 2, 3, 4, -1, 0, 1, 0, 2, 0, 1, 0}\n"
                "const gw: float[2,3,1] = {1, -0.5, 0.25, -1, 0.5, 0.75}\n"
                "const gr: float[2,3,1] = {0.5, 1, -1, 0.5, 2, -0.5}\n"
                "const gb: float[2,6] = {1, 2, 3, 1, 2, 3, -1, 0, 1, 2, 0, 1}\n%s",
                node);
            op_open(&runs[first], body, "y");
            CHECK_OK(&runs[first].c, runs[first].err);
        }
        const us_tensor *y7 = &runs[0].out[0].t, *y1 = &runs[1].out[0].t;
        CHECK_EQ_I64(us_tensor_count(y7), 8);
        CHECK_EQ_U64(us_tensor_bytes(y1), us_tensor_bytes(y7));
        CHECK(memcmp(y1->data, y7->data, us_tensor_bytes(y7)) == 0);
        op_close(&runs[0]);
        op_close(&runs[1]);
    }
}

static void test_nn__by_hand(void)
{
    op_check_all(by_hand, US_LEN(by_hand));
}
static void test_nn__bad_input_is_an_error(void)
{
    op_check_all(bad, US_LEN(bad));
}

static const us_test_case cases[] = {
    US_CASE(test_recurrent__as_onnx_runtime), US_CASE(test_recurrent__first_version),
    US_CASE(test_nn__by_hand), US_CASE(test_nn__bad_input_is_an_error)};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
