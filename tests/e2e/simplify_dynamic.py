"""simplify_dynamic.py USTA: models whose axes are dynamic stay so.

Each case is a pattern exporters write: shape arithmetic in front of Reshape, Expand, Tile, Slice, Resize, Range, Loop and If, heads and masks
of transformers, caches, windows. Simplified, a model must still declare every input and output with the same type and the same names of
dimensions, must have got smaller where the case says so, and must give equal outputs at three sizes of its dimensions (ONNX Runtime runs the
original and the result; usta runs the result). Prints TAP.
"""
import json, subprocess, sys, tempfile
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T, helper as h, numpy_helper as nh

ort.set_default_logger_severity(4)
usta = sys.argv[1]
CASES = []
DTYPES = {T.FLOAT: np.float32, T.INT64: np.int64, T.BOOL: np.bool_}
rng = np.random.default_rng(7)


class Net:
    """x = net("Op", inputs...): names are made up; arrays and lists become initialisers."""

    def __init__(self):
        self.nodes, self.weights, self.n = [], [], 0

    def name(self, stem):
        self.n += 1
        return f"{stem}_{self.n}"

    def const(self, v, dtype=None):
        if isinstance(v, str):
            return v
        a = np.asarray(v)
        a = a.astype(dtype or (np.float32 if a.dtype.kind == "f" else np.int64 if a.dtype.kind == "i" else a.dtype))
        name = self.name("const")
        self.weights.append(nh.from_array(a, name))
        return name

    def __call__(self, op, *inputs, outputs=1, out=None, **attrs):
        names = [out] if out else [self.name(op.lower()) for _ in range(outputs)]
        self.nodes.append(h.make_node(op, [self.const(i) if i is not None else "" for i in inputs], names,
                                      name=self.name("node"), **attrs))
        return names[0] if len(names) == 1 else names

    def dim(self, x, i):
        """Axis i of x as a vector of one."""
        return self("Unsqueeze", self("Gather", self("Shape", x), np.int64(i)), [0])

    def dim11(self, x, i):
        """The same as opset 11 writes it."""
        return self("Unsqueeze", self("Gather", self("Shape", x), np.int64(i)), axes=[0])

    def join(self, *parts):
        return self("Concat", *[p if isinstance(p, str) else [p] for p in parts], axis=0)


def case(inputs, outputs, sizes, smaller=True, opset=17):
    """inputs, outputs: NAME -> (dims, type) or dims; sizes: three settings of the named dimensions."""

    def wrap(fn):
        net = Net()
        fn(net)

        def info(v):
            return [h.make_tensor_value_info(k, *(reversed(s) if isinstance(s, tuple) else (T.FLOAT, s))) for k, s in v.items()]

        g = h.make_graph(net.nodes, "dynamic", info(inputs), info(outputs), net.weights)
        CASES.append((fn.__name__, h.make_model(g, ir_version=8, opset_imports=[h.make_opsetid("", opset)]), sizes, smaller))
        return fn

    return wrap


S1 = [{"N": 3, "S": 5, "P": 4, "H": 8, "W": 12}, {"N": 1, "S": 9, "P": 1, "H": 12, "W": 4}, {"N": 6, "S": 2, "P": 11, "H": 4, "W": 20}]


def weight(*dims):
    return (rng.random(dims) - 0.5).astype(np.float32)


@case({"x": ["N", 4, 6]}, {"y": ["N", 24]}, S1)
def flatten_keeping_the_batch(n):
    n("Reshape", n("Relu", "x"), n.join(n.dim("x", 0), -1), out="y")


@case({"x": ["N", 4, "H", "W"]}, {"y": ["N", "H", "W", 4]}, S1)
def reshape_of_three_open_axes(n):
    flat = n("Reshape", "x", n.join(n.dim("x", 0), 4, -1))
    back = n("Reshape", n("Relu", flat), n.join(n.dim("x", 0), 4, n.dim("x", 2), n.dim("x", 3)))
    n("Transpose", back, perm=[0, 2, 3, 1], out="y")


@case({"x": ["N", "S", 12]}, {"y": ["N", "S", 12]}, S1)
def attention_heads(n):
    def heads(w):
        t = n("MatMul", "x", w)
        return n("Transpose", n("Reshape", t, n.join(n.dim(t, 0), n.dim(t, 1), 3, 4)), perm=[0, 2, 1, 3])

    q, k, v = heads(weight(12, 12)), heads(weight(12, 12)), heads(weight(12, 12))
    scores = n("Div", n("MatMul", q, n("Transpose", k, perm=[0, 1, 3, 2])), np.float32(2.0))
    mixed = n("Transpose", n("MatMul", n("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    n("Reshape", mixed, n.join(n.dim(mixed, 0), n.dim(mixed, 1), 12), out="y")


@case({"mask": (["N", "S"], T.INT64)}, {"y": ["N", 1, "S", "S"]}, S1)
def expand_of_a_mask_as_pytorch_writes_it(n):
    m = n("Unsqueeze", "mask", [1, 2])
    want = n.join(n.dim("mask", 0), 1, n.dim("mask", 1), n.dim("mask", 1))
    ones = n("ConstantOfShape", n("Shape", want), value=h.make_tensor("v", T.INT64, [1], [1]))
    minus = n("Mul", ones, np.int64(-1))
    shape = n("Where", n("Equal", want, minus), ones, want)
    inverted = n("Sub", np.float32(1), n("Cast", n("Expand", m, shape), to=T.FLOAT))
    n("Mul", inverted, np.float32(-1e4), out="y")


@case({"ids": (["N", "S"], T.INT64)}, {"y": ["N", "S", 8]}, S1, smaller=False)
def positions_by_range(n):
    length = n("Gather", n("Shape", "ids"), np.int64(1))
    at = n("Unsqueeze", n("Range", np.int64(0), length, np.int64(1)), [0])
    n("Add", n("Gather", weight(2, 8), "ids"), n("Gather", weight(32, 8), at), out="y")


@case({"x": ["N", "S", "S"]}, {"y": ["N", "S", "S"]}, S1, smaller=False)
def causal_mask_by_range(n):
    length = n("Squeeze", n.dim("x", 1), [0])
    r = n("Range", np.int64(0), length, np.int64(1))
    later = n("Less", n("Unsqueeze", r, [1]), n("Unsqueeze", r, [0]))
    n("Where", later, np.float32(-100), "x", out="y")


@case({"x": ["N", "S", 4]}, {"y": ["N", "S", 4]}, S1, smaller=False)
def causal_mask_cut_from_a_table(n):
    s = n.dim("x", 1)
    table = n("Slice", n("Slice", np.tril(np.ones((32, 32), np.float32)), [0], s, [0]), [0], s, [1])
    n("MatMul", table, "x", out="y")


@case({"x": ["N", "S", 4], "z": ["N", 4]}, {"y": ["N", "S", 4]}, S1)
def tile_by_the_length(n):
    row = n("Unsqueeze", "z", [1])
    n("Add", "x", n("Tile", row, n.join(1, n.dim("x", 1), 1)), out="y")


@case({"x": ["N", "S", 4]}, {"y": ["N", "Q", 4]}, S1, smaller=False)
def halves_by_division(n):
    half = n("Div", n.dim("x", 1), [2])
    n("Slice", "x", [0], half, [1], out="y")


@case({"x": ["N", "S", 6]}, {"y": ["N", "S", 6]}, S1)
def rotary_halves_of_a_known_axis(n):
    half = n("Div", n.dim("x", 2), [2])
    a, b = n("Slice", "x", [0], half, [2]), n("Slice", "x", half, [2 ** 62], [2])
    n("Concat", n("Neg", b), a, axis=2, out="y")


@case({"x": ["N", 3, "H", "W"]}, {"y": ["N", 4, "H", "W"]}, S1, smaller=False)
def resize_to_the_size_of_a_skip(n):
    skip = n("Conv", "x", weight(4, 3, 3, 3), pads=[1, 1, 1, 1])
    low = n("MaxPool", skip, kernel_shape=[2, 2], strides=[2, 2])
    sizes = n.join(n("Slice", n("Shape", low), [0], [2], [0]), n("Slice", n("Shape", skip), [2], [4], [0]))
    n("Add", n("Resize", low, None, None, sizes, mode="nearest"), skip, out="y")


@case({"x": ["N", 3, "H", "W"]}, {"y": ["N", 3, "H2", "W2"]}, S1, smaller=False, opset=11)
def resize_to_twice_the_size(n):
    shape = n("Shape", "x")
    hw = n("Slice", shape, [2], [4], [0])
    big = n("Cast", n("Floor", n("Mul", n("Cast", hw, to=T.FLOAT), np.float32([2, 2]))), to=T.INT64)
    sizes = n.join(n("Slice", shape, [0], [2], [0]), big)
    n("Resize", "x", np.zeros(0, np.float32), np.zeros(0, np.float32), sizes, mode="linear", out="y",
      coordinate_transformation_mode="pytorch_half_pixel")


@case({"x": ["N", 8, "H", "W"]}, {"y": ["N", 2, "H2", "W2"]}, S1, smaller=False)
def pixel_shuffle_by_shapes(n):
    nn, hh, ww = n.dim("x", 0), n.dim("x", 2), n.dim("x", 3)
    a = n("Transpose", n("Reshape", "x", n.join(nn, 2, 2, 2, hh, ww)), perm=[0, 1, 4, 2, 5, 3])
    n("Reshape", a, n.join(nn, 2, n("Mul", hh, [2]), n("Mul", ww, [2])), out="y")


@case({"x": ["N", "H", "W", 4]}, {"y": ["N", "H", "W", 4]}, S1, smaller=False)
def windows_and_back(n):
    nn, hh, ww = (n.dim("x", i) for i in range(3))
    hn, wn = n("Div", hh, [4]), n("Div", ww, [4])
    a = n("Transpose", n("Reshape", "x", n.join(nn, hn, 4, wn, 4, 4)), perm=[0, 1, 3, 2, 4, 5])
    w = n("Softmax", n("Reshape", a, n.join(-1, 16, 4)), axis=1)
    b = n("Transpose", n("Reshape", w, n.join(nn, hn, wn, 4, 4, 4)), perm=[0, 1, 3, 2, 4, 5])
    n("Reshape", b, n.join(nn, hh, ww, -1), out="y")


@case({"x": ["N", 6, "H", "W"]}, {"y": ["N", 6, "H", "W"]}, S1)
def group_normalisation_as_pytorch_writes_it(n):
    a = n("Reshape", "x", [0, 3, -1])
    b = n("InstanceNormalization", a, np.ones(3, np.float32), np.zeros(3, np.float32))
    c = n("Reshape", b, n("Shape", "x"))
    d = n("Add", n("Mul", c, weight(6, 1, 1)), weight(6, 1, 1))
    n("Identity", d, out="y")


@case({"x": ["N", 3, "H", "W"]}, {"y": ["N", "T", 4]}, S1)
def patches_with_a_class_token(n):
    p = n("Conv", "x", weight(4, 3, 4, 4), strides=[4, 4])
    seq = n("Transpose", n("Reshape", p, n.join(n.dim(p, 0), n.dim(p, 1), -1)), perm=[0, 2, 1])
    token = n("Expand", weight(1, 1, 4), n.join(n.dim("x", 0), 1, 4))
    n("Concat", token, seq, axis=1, out="y")


@case({"x": ["N", "S", 4], "past": ["N", 2, "P", 2]}, {"y": ["N", "S", 4], "present": ["N", 2, "P + S", 2]}, S1)
def keys_with_a_past(n):
    k = n("Transpose", n("Reshape", "x", n.join(n.dim("x", 0), n.dim("x", 1), 2, 2)), perm=[0, 2, 1, 3])
    n("Concat", "past", k, axis=2, out="present")
    p = n("Softmax", n("MatMul", k, n("Transpose", "present", perm=[0, 1, 3, 2])), axis=-1)
    o = n("Transpose", n("MatMul", p, "present"), perm=[0, 2, 1, 3])
    n("Reshape", o, n.join(n.dim("x", 0), n.dim("x", 1), 4), out="y")


@case({"x": ["S", "N", 3]}, {"y": ["S", 1, "N", 4], "last": [1, "N", 4]}, S1, smaller=False)
def lstm_with_a_state_by_batch(n):
    zero = n("ConstantOfShape", n.join(1, n.dim("x", 1), 4))
    n.nodes.append(h.make_node("LSTM", ["x", n.const(weight(1, 16, 3)), n.const(weight(1, 16, 4)), "", "", zero, zero],
                               ["y", "last"], hidden_size=4))


@case({"x": ["N", "S", 4]}, {"y": ["S", "N", 4], "sum": ["N", 4]}, S1, smaller=False)
def loop_over_the_length(n):
    length = n("Squeeze", n.dim("x", 1), [0])
    body = h.make_graph(
        [h.make_node("Gather", ["x", "i"], ["row"], axis=1), h.make_node("Add", ["acc", "row"], ["next"]),
         h.make_node("Identity", ["next"], ["out"]), h.make_node("Identity", ["go"], ["on"])], "body",
        [h.make_tensor_value_info("i", T.INT64, []), h.make_tensor_value_info("go", T.BOOL, []),
         h.make_tensor_value_info("acc", T.FLOAT, None)],
        [h.make_tensor_value_info("on", T.BOOL, []), h.make_tensor_value_info("next", T.FLOAT, None),
         h.make_tensor_value_info("out", T.FLOAT, None)])
    zero = n("ConstantOfShape", n.join(n.dim("x", 0), 4))
    n.nodes.append(h.make_node("Loop", [length, n.const(np.array(True)), zero], ["sum", "y"], body=body))


@case({"x": ["N", "S", 4]}, {"y": ["N", "S", 4]}, S1, smaller=False)
def if_by_the_length(n):
    short = n("Less", n("Gather", n("Shape", "x"), np.int64(1)), np.int64(4))
    branch = lambda name, op: h.make_graph([h.make_node(op, ["x"], [name])], name, [],  # noqa: E731
                                           [h.make_tensor_value_info(name, T.FLOAT, None)])
    n.nodes.append(h.make_node("If", [short], ["y"], then_branch=branch("a", "Neg"), else_branch=branch("b", "Exp")))


@case({"x": ["N", "S"]}, {"y": (["K"], T.INT64)}, S1, smaller=False)
def where_things_are(n):
    n("Squeeze", n("Slice", n("Transpose", n("NonZero", n("Greater", "x", np.float32(0.5)))), [0], [1], [1]), [1], out="y")


@case({"x": ["N", "S"]}, {"y": ["N", "R"]}, S1, smaller=False)
def top_k_of_what_there_is(n):
    k = n("Concat", n.dim("x", 1), [3], axis=0)
    n.nodes.append(h.make_node("TopK", ["x", n("ReduceMin", k, axes=[0], keepdims=1)], ["y", n.name("at")]))


@case({"x": ["N", 4, "H", "W"]}, {"y": ["N", 10]}, S1)
def pooled_classifier(n):
    a = n("Conv", "x", weight(8, 4, 3, 3), pads=[1, 1, 1, 1])
    b = n("BatchNormalization", a, *(np.abs(weight(8)) + np.float32(0.1) for _ in range(4)))
    c = n("Clip", b, np.float32(0), np.float32(6))
    d = n("GlobalAveragePool", c)
    e = n("Reshape", d, n.join(n.dim(d, 0), -1))
    n("Add", n("MatMul", e, weight(8, 10)), weight(10), out="y")


@case({"x": ["N", 2, "H", "W"]}, {"y": ["N", 2, "H", "W"]}, S1)
def padded_to_a_multiple_and_cut_back(n):
    hh = n.dim("x", 2)
    more = n("Mod", n("Sub", [8], n("Mod", hh, [8])), [8])
    pads = n("Concat", [0, 0], [0, 0, 0, 0], n("Identity", more), [0], axis=0)
    a = n("Relu", n("Pad", "x", pads, np.float32(0)))
    n("Slice", a, [0], hh, [2], out="y")


@case({"x": [None, "S", 4]}, {"y": [None, "S", 4], "z": [None, None]}, S1, smaller=True)
def axes_without_names(n):
    n("Reshape", n("Reshape", "x", n.join(-1, 4)), n("Shape", "x"), out="y")
    n("ReduceSum", n("Relu", "x"), [2], keepdims=0, out="z")


@case({"x": ["N", "S", 4]}, {"y": ["N", 4, "S"]}, S1, opset=11)
def split_and_stack_of_opset_11(n):
    a, b = n("Split", "x", outputs=2, axis=2, split=[2, 2])
    t = [n("Transpose", n("Reshape", v, n("Concat", n.dim11("x", 0), n.dim11("x", 1), [2], axis=0)), perm=[0, 2, 1]) for v in (a, b)]
    n("Concat", *t, axis=1, out="y")


def open_types(m):
    def of(v):
        t = v.type.tensor_type
        return v.name, t.elem_type, [d.dim_value if d.HasField("dim_value") else d.dim_param for d in t.shape.dim]

    return [of(v) for v in m.graph.input], [of(v) for v in m.graph.output]


def feed(m, sizes):
    out = {}
    for v in m.graph.input:
        dims = [d.dim_value or sizes.get(d.dim_param, 3) for d in v.type.tensor_type.shape.dim]
        dtype = DTYPES[v.type.tensor_type.elem_type]
        out[v.name] = (rng.random(dims) * 2).astype(dtype)
    return out


def run(path, x):
    o = ort.SessionOptions()
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    o.intra_op_num_threads = 1
    return ort.InferenceSession(path, o, providers=["CPUExecutionProvider"]).run(None, x)


def ours(path, x, names, tmp):
    args = [usta, "infer", path, "-o", tmp]
    for k, v in x.items():
        np.save(f"{tmp}/in_{k}.npy", v)
        args += ["-i", f"{k}={tmp}/in_{k}.npy"]
    subprocess.run(args, check=True, capture_output=True)
    return [np.load(f"{tmp}/{k}.npy") for k in names]


def near(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and bool(np.allclose(a, b, rtol=1e-4, atol=1e-4))


def why_not(name, m, sizes, smaller, tmp):
    before, after = f"{tmp}/before.onnx", f"{tmp}/after.onnx"
    onnx.checker.check_model(m)
    onnx.save(m, before)
    p = subprocess.run([usta, "simplify", "--json", before, after], capture_output=True, text=True)
    if p.returncode != 0:
        return p.stderr.strip()
    answer, s = json.loads(p.stdout), onnx.load(after)
    onnx.checker.check_model(s)
    if open_types(s) != open_types(m):
        return f"was {open_types(m)}, is {open_types(s)}"
    if smaller and answer["nodes_after"] >= answer["nodes_before"]:
        return f"{answer['nodes_after']} nodes are left of {answer['nodes_before']}"
    for z in sizes:
        x = feed(m, z)
        want = run(before, x)
        for who, got in (("ONNX Runtime", run(after, x)), ("usta", ours(after, x, [o.name for o in m.graph.output], tmp))):
            if not all(near(a, b) for a, b in zip(want, got, strict=True)):
                return f"{who} gives other outputs at {z}"
    print(f"# {answer['nodes_before']} -> {answer['nodes_after']} nodes")
    return None


failed = 0
with tempfile.TemporaryDirectory() as tmp:
    for i, (name, m, sizes, smaller) in enumerate(CASES, 1):
        try:
            why = why_not(name, m, sizes, smaller, tmp)
        except Exception as e:
            why = f"{type(e).__name__}: {e}"
        if why:
            print("# " + why.replace("\n", "\n# ")[:1500])
        failed += bool(why)
        print(f"{'not ' if why else ''}ok {i} - {name.replace('_', ' ')}")
print(f"1..{len(CASES)}")
sys.exit(failed > 0)
