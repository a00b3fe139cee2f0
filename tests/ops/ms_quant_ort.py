"""ms_quant_ort.py - quantised and fused operators of com.microsoft against ONNX Runtime on small seeded models.

Bytes must be equal; floats agree to 1e-5: both sum in float, in another order."""
import numpy as np
from onnx import helper
from ort_diff import Report

rng = np.random.default_rng(11)
report = Report()
MS = "com.microsoft"
DTYPES = [np.uint8, np.int8]


def q(t, *shape):
    i = np.iinfo(t)
    return rng.integers(i.min, i.max + 1, shape).astype(t)


def s(x):
    return np.float32(x).reshape(())


def check(op, inputs, tol=0, **attrs):
    ins = {f"x{i}": np.asarray(x) for i, x in enumerate(inputs)}
    node = helper.make_node(op, list(ins), ["y"], domain=MS, **attrs)
    report.check(op, [node], ins, ["y"], tol=tol, opsets={MS: 1}, fixed=True)


for t in DTYPES:
    zp = lambda: q(t)[()].reshape(())
    for a, b in [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (4,)), ((3, 1), (1, 5)), ((7,), ()), ((0, 3), (3,))]:
        for op in ("QLinearAdd", "QLinearMul"):
            check(op, [q(t, *a), s(0.03), zp(), q(t, *b), s(0.11), zp(), s(0.17 if op == "QLinearAdd" else 0.4), zp()])
    for alpha in (0.01, 0.5):
        check("QLinearLeakyRelu", [q(t, 300), s(0.1), zp(), s(0.07), zp()], alpha=alpha)
    check("QLinearSigmoid", [q(t, 300), s(0.05), zp(), s(1 / 256), t(0 if t == np.uint8 else -128).reshape(())])
    for kw in (dict(kernel_shape=[2, 2]), dict(kernel_shape=[3, 3], strides=[2, 1], pads=[1, 0, 1, 2]),
               dict(kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1), dict(kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)):
        check("QLinearAveragePool", [q(t, 2, 3, 7, 6), s(0.02), zp(), s(0.025), zp()], **kw)
    check("QLinearGlobalAveragePool", [q(t, 2, 3, 5, 4), s(0.02), zp(), s(0.015), zp()])
    for axis in (-1, 1):
        check("QLinearSoftmax", [q(t, 2, 5, 6), s(0.05), zp(), s(1 / 256), t(0 if t == np.uint8 else -128).reshape(())], axis=axis, opset=13)
    # larger ones: sums of many numbers, borders of the processor's vectors, ties
    for n in (1, 31, 1000):
        for op in ("QLinearAdd", "QLinearMul"):
            check(op, [q(t, 3, n), s(0.0321), zp(), q(t, 3, n), s(0.0173), zp(), s(0.05 if op == "QLinearAdd" else 0.02), zp()])
    check("QLinearAdd", [q(t, 40), s(0.25), zp(), q(t, 40), s(0.5), zp(), s(0.5), zp()])
    check("QLinearAdd", [q(t, 1), s(0.0321), zp(), q(t, 500), s(0.0173), zp(), s(0.05), zp()])
    for shape in ((1, 3, 8, 8), (2, 5, 61, 61), (1, 2, 1, 1)):
        check("QLinearGlobalAveragePool", [q(t, *shape), s(0.0217), zp(), s(0.0113), zp()])
    for ta in (0, 1):
        for tb in (0, 1):
            a, b = q(t, *((70, 5) if ta else (5, 70))), q(np.int8, *((33, 70) if tb else (70, 33)))
            bias = rng.integers(-20000, 20000, 33).astype(np.int32)
            tail = [bias, s(0.9), zp()]
            check("QGemm", [a, s(0.02), zp(), b, s(0.01), q(np.int8)[()].reshape(()), *tail], alpha=0.7, transA=ta, transB=tb)
            per = (rng.random(33).astype(np.float32) + 0.5) * np.float32(0.01)
            check("QGemm", [a, s(0.02), zp(), b, per, q(np.int8, 33), *tail], transA=ta, transB=tb)
            check("QGemm", [a, s(0.02), zp(), b, per, q(np.int8, 33), bias], transA=ta, transB=tb)
for act, params in (("Relu", []), ("LeakyRelu", [0.1]), ("Tanh", []), ("Sigmoid", []), ("", []), ("HardSigmoid", [0.3, 0.4])):
    f = lambda *d: rng.standard_normal(d).astype(np.float32)
    if act:
        extra = {"activation_alpha": params[0]} if params else {}
        if len(params) > 1:
            extra["activation_beta"] = params[1]
        check("FusedGemm", [f(3, 4), f(4, 5), f(5)], 1e-5, activation=act, alpha=0.5, beta=1.5, **extra)
        check("FusedGemm", [f(4, 3), f(5, 4)], 1e-5, activation=act, transA=1, transB=1, **extra)
    extra = {"activation": act} if act else {}
    if params:
        extra["activation_params"] = params
    check("FusedConv", [f(2, 4, 6, 5), f(6, 2, 3, 3), f(6)], 1e-5, kernel_shape=[3, 3], group=2, pads=[1, 1, 1, 1], **extra)
    if act in ("Relu", ""):
        check("FusedConv", [f(1, 2, 6, 5), f(3, 2, 3, 3), f(3), f(1, 3, 4, 3)], 1e-5, kernel_shape=[3, 3], **extra)
# QLinearConv: dense, grouped and depthwise, every border of the fast ways; the third: signs of x and w.
for tx, tw in ((np.uint8, np.int8), (np.uint8, np.uint8), (np.int8, np.int8)):
    for x, w, kw in [((1, 3, 20, 19), (8, 3, 3, 3), dict(strides=[2, 2], pads=[1, 1, 1, 1])), ((2, 16, 9, 9), (40, 16, 1, 1), {}),
                     ((1, 12, 17, 18), (12, 1, 3, 3), dict(group=12, pads=[1, 1, 1, 1])), ((1, 6, 23, 40), (12, 1, 3, 5), dict(group=6, pads=[2, 0, 1, 3], strides=[2, 3])),
                     ((1, 4, 15, 15), (6, 2, 3, 3), dict(group=2, dilations=[2, 3])), ((1, 3, 30), (4, 3, 5), dict(pads=[2, 2])),
                     ((1, 8, 7, 7), (8, 1, 3, 3), dict(group=8, dilations=[2, 2], pads=[2, 2, 2, 2])), ((1, 2, 5, 6, 7), (3, 2, 2, 3, 2), dict(pads=[1, 0, 1, 0, 1, 0])),
                     ((1, 2, 6, 6), (2, 1, 3, 3), dict(group=2, strides=[5, 5], pads=[1, 1, 1, 1]))]:
        m, k = w[0], int(np.prod(w[1:]))
        scales = (rng.random(m).astype(np.float32) + 0.5) * np.float32(0.02)
        for per in (True, False):
            zw = np.zeros(m if per else (), tw) if tw == np.int8 else np.full(m if per else (), 121, tw)
            report.check("QLinearConv", [helper.make_node("QLinearConv", [f"x{i}" for i in range(9)], ["y"], **kw)],
                         {f"x{i}": np.asarray(v) for i, v in enumerate([
                             q(tx, *x), s(0.02), q(tx)[()].reshape(()), q(tw, *w), scales if per else s(0.02), zw, s(0.08 * k ** 0.5), q(tx)[()].reshape(()),
                             rng.integers(-3000, 3000, m).astype(np.int32)])}, ["y"], tol=0, opsets={}, fixed=True)
report.end()
