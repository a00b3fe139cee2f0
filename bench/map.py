"""make bench-map: single operators and chains beside ONNX Runtime, and the geometric mean of the ratios.

One model per row, made here; bench_infer times both engines in one process through their C interfaces, in alternating windows, one thread. So
the call itself (about 1 us of theirs) is in the figure: sizes are such that it matters little.
    map.py BUILD [--pairs N] [--only WORD]
"""
import argparse
import json
import math
import os
import sys

import onnx
import onnx.helper as h

sys.dont_write_bytecode = True
from infer import geomean, library, told  # noqa: E402

F, B, I = onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL, onnx.TensorProto.INT64


def model(nodes, ins, out_type=F, consts=()):
    g = h.make_graph(nodes, "g", [h.make_tensor_value_info(n, t, s) for n, t, s in ins],
                     [h.make_tensor_value_info("y", out_type, None)], list(consts))
    return h.make_model(g, opset_imports=[h.make_opsetid("", 20)], ir_version=9)


def num(name, x):
    return h.make_tensor(name, F, [], [x])


def ints(name, v):
    return h.make_tensor(name, I, [len(v)], v)


def one(op, ins, consts=(), **attrs):
    out = attrs.pop("out_type", F)
    names = [n for n, _, _ in ins] + [c.name for c in consts]
    return model([h.make_node(op, names, ["y"], **attrs)], ins, out, consts)


def chain(text, ins, consts=()):
    """'t = Sigmoid(x); y = Mul(x, t)'"""
    nodes = []
    for s in text.split(";"):
        to, call = [p.strip() for p in s.split("=", 1)]
        op, args = call[:-1].split("(")
        nodes.append(h.make_node(op, [a.strip() for a in args.split(",")], [to]))
    return model(nodes, ins, F, consts)


def rows():
    flat = [("x", F, [64, 1024])]
    two = [("x", F, [64, 1024]), ("z", F, [64, 1024])]
    for op in ("Relu", "Sigmoid", "Tanh", "Exp", "Log", "Sqrt", "Erf", "Softplus", "Neg", "Abs", "Floor", "Reciprocal", "Sin", "HardSwish", "Elu",
               "LeakyRelu", "Selu", "HardSigmoid", "Mish", "Gelu"):
        yield op, one(op, flat)
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        yield op, one(op, two)
    yield "Pow by 2", one("Pow", flat, [num("c", 2.0)])
    yield "Pow by 0.5", one("Pow", flat, [num("c", 0.5)])
    yield "Clip 0..6", one("Clip", flat, [num("a", 0.0), num("b", 6.0)])
    yield "Add number", one("Add", flat, [num("c", 2.0)])
    yield "Add row", one("Add", [("x", F, [64, 1024]), ("z", F, [1024])])
    yield "Mul column", one("Mul", [("x", F, [64, 1024]), ("z", F, [64, 1])])
    yield "Mul per channel 56x56", one("Mul", [("x", F, [1, 32, 56, 56]), ("z", F, [1, 32, 1, 1])])
    yield "Mul per channel 7x7", one("Mul", [("x", F, [1, 960, 7, 7]), ("z", F, [1, 960, 1, 1])])
    yield "PRelu per channel", one("PRelu", [("x", F, [1, 32, 56, 56]), ("z", F, [32, 1, 1])])
    yield "Greater", one("Greater", two, out_type=B)
    yield "Where", chain("c = Greater(x, z); y = Where(c, x, z)", two)
    yield "SiLU, 2 nodes", chain("s = Sigmoid(x); y = Mul(x, s)", flat)
    yield "HardSwish, 4 nodes", chain("a = Add(x, three); c = Clip(a, zero, six); m = Mul(x, c); y = Div(m, six)", flat,
                                      [num("three", 3), num("zero", 0), num("six", 6)])
    yield "GELU erf, 5 nodes", chain("d = Div(x, r); e = Erf(d); a = Add(e, one); m = Mul(x, a); y = Mul(m, half)", flat,
                                     [num("r", math.sqrt(2)), num("one", 1), num("half", 0.5)])
    yield "GELU tanh, 8 nodes", chain(
        "p = Pow(x, three); q = Mul(p, c); a = Add(x, q); b = Mul(a, k); t = Tanh(b); u = Add(t, one); g = Mul(x, half); y = Mul(g, u)",
        flat, [num("three", 3), num("c", 0.044715), num("k", 0.7978846), num("one", 1), num("half", 0.5)])
    yield "Softmax 128x128", one("Softmax", [("x", F, [4, 128, 128])], axis=-1)
    yield "Softmax 1000", one("Softmax", [("x", F, [16, 1000])], axis=-1)
    yield "Softmax channels", one("Softmax", [("x", F, [1, 8, 80, 80])], axis=1)
    yield "LogSoftmax", one("LogSoftmax", [("x", F, [64, 256])], axis=-1)
    yield "LayerNorm 384", one("LayerNormalization", [("x", F, [128, 384]), ("s", F, [384]), ("b", F, [384])])
    yield "InstanceNorm", one("InstanceNormalization", [("x", F, [1, 32, 56, 56]), ("s", F, [32]), ("b", F, [32])])
    yield "BatchNorm", one("BatchNormalization", [("x", F, [1, 32, 56, 56])], [h.make_tensor(n, F, [32], [0.5] * 32) for n in "sbmv"])
    yield "ReduceMean last", one("ReduceMean", [("x", F, [128, 384])], [ints("a", [-1])])
    yield "ReduceMean 7x7", one("ReduceMean", [("x", F, [1, 960, 7, 7])], [ints("a", [2, 3])])
    yield "ReduceSum first", one("ReduceSum", [("x", F, [128, 384])], [ints("a", [0])])
    yield "ReduceMax middle", one("ReduceMax", [("x", F, [16, 32, 128])], [ints("a", [1])])
    yield "Transpose 2-D", one("Transpose", [("x", F, [256, 384])], perm=[1, 0])
    yield "Transpose heads", one("Transpose", [("x", F, [1, 128, 12, 32])], perm=[0, 2, 1, 3])
    yield "Transpose keys", one("Transpose", [("x", F, [1, 128, 12, 32])], perm=[0, 2, 3, 1])
    yield "NCHW to NHWC", one("Transpose", [("x", F, [1, 32, 56, 56])], perm=[0, 2, 3, 1])
    yield "Concat channels", one("Concat", [("x", F, [1, 64, 28, 28]), ("z", F, [1, 64, 28, 28])], axis=1)
    yield "Concat last", one("Concat", [("x", F, [256, 64]), ("z", F, [256, 64])], axis=1)
    yield "Slice", one("Slice", [("x", F, [64, 64, 16])], [ints("s", [8]), ints("e", [40]), ints("a", [1])])
    yield "DepthToSpace", one("DepthToSpace", [("x", F, [1, 36, 56, 56])], blocksize=3)
    yield "Expand", one("Expand", [("x", F, [1, 64, 1, 28])], [ints("s", [1, 64, 28, 28])])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--pairs", default="15")
    p.add_argument("--only", default="")
    args = p.parse_args()
    table = []
    for name, m in rows():
        if args.only and args.only not in name:
            continue
        path = os.path.join(args.build, "bench", "map", "".join(c if c.isalnum() else "_" for c in name) + ".onnx")
        onnx.save(m, path)
        run, why = told([os.path.join(args.build, "bench", "bench_infer"), "--ort", library(), "--pairs", args.pairs, path, path])
        if run is None:
            sys.exit("bench map: %s: %s" % (name, why))
        row = dict(run, name=name)
        table.append(row)
        if len(table) == 1:
            print("%-24s %10s %10s %8s" % ("one thread, float32", "usta us", "ORT us", "ratio"))
        print("%-24s %10.2f %10.2f %8.2f" % (name, row["usta_us"], row["ort_us"], row["ratio"]), flush=True)
    mean = geomean([r["ratio"] for r in table])
    worst = min(table, key=lambda r: r["ratio"])
    with open(os.path.join(args.build, "bench", "map.json"), "w") as f:
        json.dump({"geomean": mean, "rows": table}, f, indent=1)
    print("bench map: geomean=%.2f worst=%.2f (%s) rows=%d" % (mean, worst["ratio"], worst["name"], len(table)))


main()
