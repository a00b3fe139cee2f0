/* test_op_edge - what the official operator tests leave out: empty tensors, negative axes and steps, strides,
 * sizes that overflow, indices out of range. Every bad input is an error, never a crash. */
#include "op_fixture.h"

/* double, where the C library has floats */
#define INF          ((double)INFINITY)
#define NOT_A_NUMBER ((double)NAN)

#define X23 "const x: float[2,3] = {1, 2, 3, 4, 5, 6}\n"

/* clang-format off */
static const op_case edges[] = {
    {"sum of nothing", "const x: float[0,3] = {}\nconst a: int64[1] = {0}\ny = ReduceSum(x, a) {keepdims=0}", 1, {3}, {0, 0, 0}, {0}, 0},
    {"largest of nothing", "const x: float[0,2] = {}\nconst a: int64[1] = {0}\ny = ReduceMax(x, a) {keepdims=0}", 1, {2}, {-INF, -INF}, {0}, 0},
    {"product of nothing", "const x: float[2,0] = {}\nconst a: int64[1] = {-1}\ny = ReduceProd(x, a)", 2, {2, 1}, {1, 1}, {0}, 0},
    {"matmul over nothing", "const a: float[2,0] = {}\nconst b: float[0,3] = {}\ny = MatMul(a, b)", 2, {2, 3}, {0}, {0}, 0},
    {"matmul without rows", "const a: float[0,2] = {}\nconst b: float[2,3] = {1,2,3,4,5,6}\ny = MatMul(a, b)", 2, {0, 3}, {0}, {0}, 0},
    {"matmul of vectors", "const a: float[3] = {1, 2, 3}\nconst b: float[3] = {4, 5, 6}\ny = MatMul(a, b)", 0, {0}, {32}, {0}, 0},
    {"matmul inner mismatch", X23 "y = MatMul(x, x)", -1, {0}, {0}, {0}, US_SHAPE},
    {"matmul wraps", "const a: int32[1,2] = {2147483647, 1}\nconst b: int32[2,1] = {2, 5}\ny = MatMul(a, b)", 2, {1, 1}, {3}, {0}, 0},
    {"concat with an empty one", X23 "const e: float[2,0] = {}\ny = Concat(e, x, e) {axis=-1}", 2, {2, 3}, {1, 2, 3, 4, 5, 6}, {0}, 0},
    {"concat mismatch", X23 "const e: float[1,3] = {7, 8, 9}\ny = Concat(x, e) {axis=1}", -1, {0}, {0}, {0}, US_SHAPE},
    {"reversed and strided slice", "const x: float[5] = {0, 1, 2, 3, 4}\nconst s: int64[1] = {-1}\nconst e: int64[1] = {-100}\nconst a: int64[1] = {0}\nconst t: int64[1] = {-2}\ny = Slice(x, s, e, a, t)", 1, {3}, {4, 2, 0}, {0}, 0},
    {"slice past the end is empty", "const x: float[3] = {0, 1, 2}\nconst s: int64[1] = {7}\nconst e: int64[1] = {9}\ny = Slice(x, s, e)", 1, {0}, {0}, {0}, 0},
    {"slice with the smallest step", "const x: float[3] = {0, 1, 2}\nconst s: int64[1] = {2}\nconst e: int64[1] = {-9223372036854775808}\nconst a: int64[1] = {0}\nconst t: int64[1] = {-9223372036854775808}\ny = Slice(x, s, e, a, t)", 1, {1}, {2}, {0}, 0},
    {"slice step 0", "const x: float[3] = {0, 1, 2}\nconst s: int64[1] = {0}\nconst t: int64[1] = {0}\ny = Slice(x, s, s, s, t)", -1, {0}, {0}, {0}, US_ARG},
    {"reshape overflow", X23 "const s: int64[3] = {4611686018427387904, 4611686018427387904, 16}\ny = Reshape(x, s)", -1, {0}, {0}, {0}, US_SHAPE},
    {"reshape does not divide", X23 "const s: int64[2] = {4, -1}\ny = Reshape(x, s)", -1, {0}, {0}, {0}, US_SHAPE},
    {"reshape zero copies", X23 "const s: int64[3] = {0, -1, 1}\ny = Reshape(x, s)", 3, {2, 3, 1}, {1, 2, 3, 4, 5, 6}, {0}, 0},
    {"expand too far", X23 "const s: int64[2] = {4, 3}\ny = Expand(x, s)", -1, {0}, {0}, {0}, US_SHAPE},
    {"slope of a higher rank", "const x: float[2] = {-1, 1}\nconst s: float[1,1,2] = {2, 3}\ny = PRelu(x, s)", -1, {0}, {0}, {0}, US_SHAPE},
    {"constant of two values", "y = Constant() {value_int=1, value_ints=[2]}", -1, {0}, {0}, {0}, US_UNSUPP},
    {"constant of a negative shape", "const s: int64[1] = {-4}\ny = ConstantOfShape(s)", -1, {0}, {0}, {0}, US_SHAPE},
    {"constant of a huge shape", "const s: int64[2] = {1099511627776, 1099511627776}\ny = ConstantOfShape(s)", -1, {0}, {0}, {0}, US_LIMIT},
    {"gather from the end", X23 "const i: int64[2] = {-1, 0}\ny = Gather(x, i) {axis=-1}", 2, {2, 2}, {3, 1, 6, 4}, {0}, 0},
    {"gather outside", X23 "const i: int64[1] = {2}\ny = Gather(x, i)", -1, {0}, {0}, {0}, US_ARG},
    {"gather far outside", X23 "const i: int64[1] = {-9223372036854775808}\ny = Gather(x, i)", -1, {0}, {0}, {0}, US_ARG},
    {"gathernd outside", X23 "const i: int64[1,2] = {1, 3}\ny = GatherND(x, i)", -1, {0}, {0}, {0}, US_ARG},
    {"scatter outside", X23 "const i: int64[1,1] = {5}\nconst u: float[1,1] = {9}\ny = ScatterElements(x, i, u) {axis=1}", -1, {0}, {0}, {0}, US_ARG},
    {"scatter adds twice", "const x: float[2] = {1, 1}\nconst i: int64[3,1] = {0, 0, -1}\nconst u: float[3] = {5, 6, 7}\ny = ScatterND(x, i, u) {reduction=\"add\"}", 1, {2}, {12, 8}, {0}, 0},
    {"unsqueeze twice the same", X23 "const a: int64[2] = {0, 0}\ny = Unsqueeze(x, a)", -1, {0}, {0}, {0}, US_SHAPE},
    {"squeeze what is not 1", X23 "const a: int64[1] = {0}\ny = Squeeze(x, a)", -1, {0}, {0}, {0}, US_SHAPE},
    {"transpose with a repeated axis", X23 "y = Transpose(x) {perm=[0, 0]}", -1, {0}, {0}, {0}, US_SHAPE},
    {"division by zero", "const a: int32[3] = {7, -7, 0}\nconst b: int32[1] = {0}\ny = Div(a, b)", 1, {3}, {0, 0, 0}, {0}, 0},
    {"division of the smallest", "const a: int32[1] = {-2147483648}\nconst b: int32[1] = {-1}\ny = Div(a, b)", 1, {1}, {-2147483648.0}, {0}, 0},
    {"negative power of integers", "const a: int64[3] = {2, -1, 1}\nconst b: int64[1] = {-3}\ny = Pow(a, b)", 1, {3}, {0, -1, 1}, {0}, 0},
    {"softmax of large numbers", "const x: float[1,2] = {10000, 10000}\ny = Softmax(x)", 2, {1, 2}, {0.5, 0.5}, {0}, 0},
    {"softmax of one number", "const x: float[2,1] = {-inf, 3}\ny = LogSoftmax(x) {axis=0}", 2, {2, 1}, {-INF, 0}, {0}, 0},
    {"logsumexp of infinity", "const x: float[2] = {inf, 1}\ny = ReduceLogSumExp(x) {keepdims=0}", 0, {0}, {INF}, {0}, 0},
    {"max keeps nan", "const a: float[2] = {nan, 1}\nconst b: float[2] = {0, nan}\ny = Max(a, b)", 1, {2}, {NOT_A_NUMBER, NOT_A_NUMBER}, {0}, 0},
    {"argmax prefers the first", "const x: float[4] = {3, 5, 5, 1}\ny = ArgMax(x) {keepdims=0}", 0, {0}, {1}, {0}, 0},
    {"argmax of nothing", "const x: float[0] = {}\ny = ArgMax(x)", -1, {0}, {0}, {0}, US_SHAPE},
    {"topk of ties", "const x: float[4] = {2, 7, 7, 1}\nconst k: int64[1] = {3}\nv, y = TopK(x, k)", 1, {3}, {1, 2, 0}, {0}, 0},
    {"topk too many", "const x: float[2] = {2, 7}\nconst k: int64[1] = {3}\ny, i = TopK(x, k)", -1, {0}, {0}, {0}, US_SHAPE},
    {"endless range", "const a: float[] = {0}\nconst b: float[] = {1}\nconst s: float[] = {0}\ny = Range(a, b, s)", -1, {0}, {0}, {0}, US_SHAPE},
    {"pad negative", X23 "const p: int64[4] = {0, -1, 1, 0}\ny = Pad(x, p)", 2, {3, 2}, {2, 3, 5, 6, 0, 0}, {0}, 0},
    {"pad huge", X23 "const p: int64[4] = {0, 9223372036854775807, 0, 1}\ny = Pad(x, p)", -1, {0}, {0}, {0}, US_SHAPE},
    {"tile overflow", X23 "const r: int64[2] = {4611686018427387904, 4}\ny = Tile(x, r)", -1, {0}, {0}, {0}, US_SHAPE},
    {"resize by no number", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst s: float[4] = {1, 1, nan, 1}\ny = Resize(x, _, s)", -1, {0}, {0}, {0}, US_ARG},
    {"resize by too much", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst s: float[4] = {1, 1, 1e30, 1}\ny = Resize(x, _, s)", -1, {0}, {0}, {0}, US_ARG},
    {"resize by a negative scale", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst s: float[4] = {1, 1, -1, 1}\ny = Resize(x, _, s)", -1, {0}, {0}, {0}, US_ARG},
    {"resize to a negative size", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst z: int64[4] = {1, 1, -3, 1}\ny = Resize(x, _, _, z)", -1, {0}, {0}, {0}, US_SHAPE},
    {"resize along an axis twice", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst s: float[2] = {2, 2}\ny = Resize(x, _, s) {axes=[2, -2]}", -1, {0}, {0}, {0}, US_SHAPE},
    {"resize to a region of no numbers", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst r: float[8] = {0, 0, nan, 0, 1, 1, 1, 1}\nconst s: float[4] = {1, 1, 1, 1}\ny = Resize(x, r, s) {coordinate_transformation_mode=\"tf_crop_and_resize\"}", -1, {0}, {0}, {0}, US_ARG},
    {"roi of another picture", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst r: float[1,4] = {0, 0, 1, 1}\nconst b: int64[1] = {7}\ny = RoiAlign(x, r, b)", -1, {0}, {0}, {0}, US_ARG},
    {"roi beyond everything", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst r: float[1,4] = {0, 0, 1e30, 1e30}\nconst b: int64[1] = {0}\ny = RoiAlign(x, r, b)", -1, {0}, {0}, {0}, US_ARG},
    {"roi pool of no number", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst r: float[1,5] = {0, nan, 0, 1, 1}\ny = MaxRoiPool(x, r) {pooled_shape=[2, 2]}", -1, {0}, {0}, {0}, US_ARG},
    {"unpool outside", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst i: int64[1,1,2,2] = {0, 1, 2, 999}\ny = MaxUnpool(x, i) {kernel_shape=[2, 2], strides=[2, 2]}", -1, {0}, {0}, {0}, US_ARG},
    {"unpool with a huge stride", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst i: int64[1,1,2,2] = {0, 1, 2, 3}\ny = MaxUnpool(x, i) {kernel_shape=[2, 2], strides=[9223372036854775807, 2]}", -1, {0}, {0}, {0}, US_SHAPE},
    {"col2im of a block of 0", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst c: float[1,4,1] = {1, 2, 3, 4}\nconst s: int64[2] = {2, 2}\nconst b: int64[2] = {0, 2}\ny = Col2Im(c, s, b)", -1, {0}, {0}, {0}, US_SHAPE},
    {"grid of infinite size", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst t: float[1,2,3] = {1, 0, 0, 0, 1, 0}\nconst s: int64[4] = {1, 1, 1099511627776, 1099511627776}\ny = AffineGrid(t, s)", -1, {0}, {0}, {0}, US_LIMIT},
    {"crop to a negative size", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst s: int64[4] = {1, 1, -1, 1}\ny = CenterCropPad(x, s)", -1, {0}, {0}, {0}, US_SHAPE},
    {"deform with groups of 0", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst w: float[1,1,1,1] = {1}\nconst o: float[1,2,2,2] = {0,0,0,0,0,0,0,0}\ny = DeformConv(x, w, o) {offset_group=0}", -1, {0}, {0}, {0}, US_SHAPE},
    {"grid position that is no number", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst g: float[1,1,2,2] = {nan, 0, inf, -inf}\ny = GridSample(x, g) {padding_mode=\"zeros\"}", 4, {1, 1, 1, 2}, {0, 0}, {0}, 0},
    {"grid reflected from infinity stays inside", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst g: float[1,1,1,2] = {1e30, 0}\nz = GridSample(x, g) {padding_mode=\"border\", mode=\"nearest\"}\ny = Identity(z)", 4, {1, 1, 1, 1}, {2}, {0}, 0},
    {"deform far outside", "const x: float[1,1,2,2] = {1, 2, 3, 4}\nconst w: float[1,1,1,1] = {1}\nconst o: float[1,2,2,2] = {1e30,0,nan,0,0,0,0,0}\ny = DeformConv(x, w, o)", 4, {1, 1, 2, 2}, {0, 2, 0, 4}, {0}, 0},
    {"conv groups and dilation", "const x: float[1,2,5] = {1,2,3,4,5, 6,7,8,9,10}\nconst w: float[2,1,2] = {1, 1, 1, -1}\ny = Conv(x, w) {group=2, dilations=[2]}", 3, {1, 2, 3}, {4, 6, 8, -2, -2, -2}, {0}, 0},
    {"conv window too large", "const x: float[1,1,2] = {1, 2}\nconst w: float[1,1,3] = {1, 1, 1}\ny = Conv(x, w)", -1, {0}, {0}, {0}, US_SHAPE},
    {"conv stride 0", "const x: float[1,1,2] = {1, 2}\nconst w: float[1,1,1] = {1}\ny = Conv(x, w) {strides=[0]}", -1, {0}, {0}, {0}, US_SHAPE},
    {"conv of no images", "const x: float[0,1,3] = {}\nconst w: float[2,1,2] = {1, 1, 1, 1}\ny = Conv(x, w)", 3, {0, 2, 2}, {0}, {0}, 0},
    {"pool only padding", "const x: float[1,1,2] = {-3, -4}\ny = MaxPool(x) {kernel_shape=[1], strides=[1], pads=[1, 0]}", 3, {1, 1, 3}, {0, -3, -4}, {0}, 0},
    {"cast text", "const x: string[4] = {\"1.5\", \"-inf\", \"NaN\", \" 7 \"}\ny = Cast(x) {to=1}", 1, {4}, {1.5, -INF, NOT_A_NUMBER, 7}, {0}, 0},
    {"cast what is no number", "const x: string[1] = {\"1.5x\"}\ny = Cast(x) {to=1}", -1, {0}, {0}, {0}, US_FORMAT},
    {"means that are whole but for rounding", "const x: int8[1,1,1,3] = {1, 2, 4}\nconst n: int64[4] = {1, 1, 1, 7}\ny = Resize(x, _, _, n) {mode=\"linear\", coordinate_transformation_mode=\"align_corners\"}", 4, {1, 1, 1, 7}, {1, 1, 1, 2, 2, 3, 4}, {0}, 0},
    {"a half past the largest float8 of even bits", "const x: float[4] = {464, 464.5, -464, -465}\nh = Cast(x) {to=17, saturate=0}\ny = Cast(h) {to=1}", 1, {4}, {448, NOT_A_NUMBER, -448, NOT_A_NUMBER}, {0}, 0},
    {"quantised without saturation", "const x: float[3] = {100000, -100000, 3}\nconst s: float[] = {0.5}\nconst o: float[] = {0}\nz = Cast(o) {to=19}\nh = QuantizeLinear(x, s, z) {saturate=0}\ny = Cast(h) {to=1}", 1, {3}, {INF, -INF, 6}, {0}, 0},
    {"a zero point of float8 is added", "const x: float[2] = {1, -1}\nconst s: float[] = {0.5}\nconst o: float[] = {4}\nz = Cast(o) {to=17}\nh = QuantizeLinear(x, s, z)\ny = Cast(h) {to=1}", 1, {2}, {6, 2}, {0}, 0},
    {"product of float8", "const a: float[1,2] = {1.5, 2}\nconst b: float[2,1] = {0.5, -3}\nconst o: float[] = {0}\nconst s: float[] = {1}\np = Cast(a) {to=17}\nq = Cast(b) {to=19}\nz = Cast(o) {to=17}\nw = Cast(o) {to=19}\nh = QLinearMatMul(p, s, z, q, s, w, s, z)\ny = Cast(h) {to=1}", 2, {1, 1}, {-5}, {0}, 0},
    {"or of truth values that arrive at one place", "const x: bool[2] = {0, 1}\nconst i: int64[3] = {0, 0, 1}\nconst u: bool[3] = {1, 0, 0}\nh = ScatterElements(x, i, u) {reduction=\"add\"}\ny = Cast(h) {to=1}", 1, {2}, {1, 1}, {0}, 0},
    {"cast to text", "const x: float[3] = {0.1, nan, -inf}\ny = Cast(x) {to=8}", 1, {3}, {0}, {"0.1", "NaN", "-INF"}, 0},
    {"cast to an unknown type", X23 "y = Cast(x) {to=99}", -1, {0}, {0}, {0}, US_ARG},
    {"target of no class", "const x: float[1,2] = {1, 2}\nconst t: int64[1] = {2}\ny = SoftmaxCrossEntropyLoss(x, t)", -1, {0}, {0}, {0}, US_ARG},
};
/* clang-format on */

static void test_edges__table(void)
{
    op_check_all(edges, US_LEN(edges));
}

static const us_test_case cases[] = {US_CASE(test_edges__table)};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
