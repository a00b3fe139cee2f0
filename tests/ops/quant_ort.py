"""quant_ort.py - quantised operators, of the standard and of com.microsoft, against ONNX Runtime.

Integers are compared exactly but where a step of one is stated: QLinearSoftmax goes through a table of exponentials in ONNX
Runtime, so that a result next to a half may fall to the other side; and results computed here, with another order of roundings.
Floats are sums of up to 64 products: 1e-5.
"""
import itertools, sys
import numpy as np
from onnx import TensorProto, helper, numpy_helper
import ort_diff
from ort_diff import Report

MS = {"": 21, "com.microsoft": 1}
rng = np.random.default_rng(20)
R = Report()
u8, i8, f32 = np.uint8, np.int8, np.float32


def ints(t, *shape):
    return rng.integers(np.iinfo(t).min, np.iinfo(t).max, shape, endpoint=True, dtype=t)


def zp(t, *shape):
    return rng.integers(np.iinfo(t).min, np.iinfo(t).max, shape, endpoint=True, dtype=t)


def scale(*shape):
    return rng.uniform(0.005, 0.09, shape).astype(f32)


def real(*shape):
    return rng.normal(0, 2, shape).astype(f32)


def node(group, op, ins, attrs=None, domain="com.microsoft", const=(), opset=21, outs=1, **kw):
    """ins: list of arrays (None: absent, also at the end: ONNX Runtime aborts where its kernels look at inputs that are not even named);
    const: which of them are initialisers."""
    ins = [None if x is None else np.asarray(x) for x in ins]
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(ins)]
    outs = [f"y{i}" for i in range(outs)]
    n = helper.make_node(op, names, outs, domain=domain, **(attrs or {}))
    inits = [numpy_helper.from_array(ins[i], f"x{i}") for i in const if ins[i] is not None]
    R.check(group, [n], {f"x{i}": x for i, x in enumerate(ins) if x is not None and i not in const}, outs,
            opsets={"": opset, "com.microsoft": 1}, inits=inits, **kw)


def quantised(y, s, z, t):
    lim = np.iinfo(t)
    return np.clip(np.rint((y / s).astype(f32)) + (0 if z is None else z), lim.min, lim.max).astype(t)


def as_bytes(x):
    """int8 as uint8, moved by 128: the same number when its zero point moves too."""
    return x if x is None or x.dtype != i8 else (x.astype(np.int16) + 128).astype(u8)


def by_bytes(op, ins, attrs, domain=""):
    """What ONNX Runtime answers for products of int8 that it has for uint8 only."""
    m = [None if x is None else np.asarray(as_bytes(np.asarray(x))) for x in ins]
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(m)]
    feeds = {n: x for n, x in zip(names, m) if n}
    model = ort_diff.make_model([helper.make_node(op, names, ["y0"], domain=domain, **attrs)], feeds, ["y0"], MS)
    want = ort_diff.run_ort(model, feeds, ["y0"])
    assert isinstance(want, dict), want
    return want


# --- QLinearAdd, QLinearMul
for op, t in itertools.product(["QLinearAdd", "QLinearMul"], [u8, i8]):
    for sa, sb in [((3, 40), (3, 40)), ((2, 3, 17), (17,)), ((4,), (3, 4)), ((2, 1, 5), (1, 3, 1)), ((6, 7), ()), ((), (33,)), ((0, 3), (3,))]:
        for with_zero in [True, False]:
            z = lambda: zp(t) if with_zero else None
            ins = [ints(t, *sa), scale(), z(), ints(t, *sb), scale(), z(), scale() * f32(3), z()]
            want = None
            if not with_zero:  # optional by the schema, refused by ONNX Runtime's type inference
                a, b = ins[0].astype(f32) * ins[1], ins[3].astype(f32) * ins[4]
                want = {"y0": quantised(a + b if op == "QLinearAdd" else a * b, ins[6], None, t)}
            node(op, op, ins, const=(1, 2, 4, 5, 6, 7), tol_int=1 if want else 0, want=want)

# --- one operand
for t in [u8, i8]:
    every = np.arange(256, dtype=np.int64).astype(u8).view(t) if t == u8 else np.arange(-128, 128).astype(i8)
    for x in [every, ints(t, 2, 3, 5)]:
        for s in [scale(), scale() * f32(4)]:
            node("QLinearSigmoid", "QLinearSigmoid", [x, s, zp(t), f32(1 / 256) * np.ones((), f32), zp(t)], const=(1, 2, 3, 4))
            node("QLinearLeakyRelu", "QLinearLeakyRelu", [x, s, zp(t), scale(), zp(t)], {"alpha": float(rng.uniform(-1, 1))}, const=(1, 2, 3, 4))
            node("QLinearLeakyRelu", "QLinearLeakyRelu", [x, s, None, scale(), None], const=(1, 3))
    for axis, opset in itertools.product([-1, 0, 1], [12, 13]):
        z = np.array(0 if t == u8 else -128, t)
        node("QLinearSoftmax", "QLinearSoftmax", [ints(t, 3, 4, 9), scale(), zp(t), np.array(1 / 255, f32), z],
             {"axis": axis, "opset": opset}, const=(1, 2, 3, 4), tol_int=1)

# --- pools
for t, last in itertools.product([u8, i8], [0, 1]):
    for shape, attrs in [((1, 3, 9), {"kernel_shape": [3]}), ((2, 3, 8, 9), {"kernel_shape": [2, 3], "strides": [2, 1]}),
                         ((1, 20, 7, 7), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
                         ((1, 4, 7, 6), {"kernel_shape": [3, 3], "pads": [1, 0, 2, 1], "count_include_pad": 1, "strides": [2, 2]}),
                         ((1, 4, 8, 7), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
                         ((1, 4, 8, 7), {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
                         ((1, 2, 4, 5, 6), {"kernel_shape": [2, 2, 2]})]:
        s = shape if not last else (shape[0], *shape[2:], shape[1])
        node(f"QLinearAveragePool channels_last={last}", "QLinearAveragePool", [ints(t, *s), scale(), zp(t), scale(), zp(t)],
             {**attrs, "channels_last": last}, const=(1, 2, 3, 4))
        node(f"QLinearGlobalAveragePool channels_last={last}", "QLinearGlobalAveragePool", [ints(t, *s), scale(), zp(t), scale(), zp(t)],
             {"channels_last": last}, const=(1, 2, 3, 4))
for t in [u8, i8]:
    for shape, attrs in [((2, 8, 9, 3), {"kernel_shape": [2, 3], "strides": [2, 1]}), ((1, 7, 7, 20), {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
                         ((1, 8, 7, 4), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}), ((1, 9, 4), {"kernel_shape": [2], "dilations": [2]}),
                         ((1, 4, 5, 6, 2), {"kernel_shape": [2, 2, 2]}), ((1, 8, 7, 4), {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"})]:
        node("NhwcMaxPool", "NhwcMaxPool", [ints(t, *shape)], attrs)

# --- QLinearConcat, QLinearWhere
for t in [u8, i8]:
    for shapes, axis in [([(2, 3), (2, 4)], 1), ([(2, 3, 4), (1, 3, 4), (5, 3, 4)], 0), ([(3, 2)], -1), ([(2, 3), (2, 0)], 1)]:
        ins, same = [scale(), zp(t)], scale()
        for s in shapes:
            ins += [ints(t, *s), same if len(shapes) > 2 else scale(), zp(t)]
        node("QLinearConcat", "QLinearConcat", ins, {"axis": axis}, const=[i for i in range(len(ins)) if i < 2 or (i - 2) % 3])
    for sc, sx, sy in [((3, 4), (3, 4), (3, 4)), ((2, 1, 4), (3, 4), (1,)), ((5,), (2, 5), (2, 1)), ((1,), (3,), (2, 3))]:
        ins = [rng.integers(0, 2, sc).astype(bool), ints(t, *sx), scale(), zp(t), ints(t, *sy), scale(), zp(t), scale(), zp(t)]
        node("QLinearWhere", "QLinearWhere", ins, const=(2, 3, 5, 6, 7, 8))

# --- QuantizeLinear, DequantizeLinear
NP = {"int8": i8, "uint8": u8, "int16": np.int16, "uint16": np.uint16}
for t, ft in itertools.product(NP.values(), [f32, np.float16]):
    big = 300 if t in (u8, i8) else 70000
    for shape, axis in [((5, 7), 0), ((5, 7), 1), ((2, 3, 4), -1), ((3, 33), None), ((2, 3, 4), 1)]:
        n = () if axis is None else (shape[axis],)
        sc = (scale(*n) * 10).astype(ft)
        x = (real(*shape) * big / 20).astype(ft)
        x.flat[:4] = (np.array([0.5, 1.5, 2.5, -0.5]) * (sc if sc.ndim == 0 else sc[0])).astype(ft)
        for domain in ["com.microsoft", ""]:
            for z in [zp(t, *n), None]:
                at = {} if axis is None else {"axis": axis}
                want = None
                if domain == "" and ft == np.float16:  # ONNX Runtime 1.23 cuts these quotients off instead of rounding them
                    along = [1] * len(shape)
                    if axis is not None:
                        along[axis] = shape[axis]
                    with np.errstate(over="ignore"):  # saturates below
                        q = np.rint(x / sc.reshape(along if sc.ndim else ())).astype(f32)
                    lim = np.iinfo(t)
                    want = {"y0": np.clip(q + (0 if z is None else z.reshape(along if z.ndim else ()).astype(f32)), lim.min, lim.max).astype(t)}
                if z is not None or t == u8:
                    node(f"QuantizeLinear {domain or 'ai.onnx'}", "QuantizeLinear", [x, sc, z], at, domain, const=(1, 2), want=want)
                node(f"DequantizeLinear {domain or 'ai.onnx'}", "DequantizeLinear", [ints(t, *shape), sc, z], at, domain, const=(1, 2), tol=2e-3 if ft == np.float16 else 1e-6)
for t, axis, block in itertools.product([u8, i8, np.int16, np.uint16], [0, 1, 2], [2, 3, 5]):
    shape = (4, 6, 5)
    ss = tuple((d + block - 1) // block if i == axis else d for i, d in enumerate(shape))
    node("QuantizeLinear blocks", "QuantizeLinear", [real(*shape) * 4, scale(*ss), zp(t, *ss)], {"axis": axis, "block_size": block}, "")
    node("DequantizeLinear blocks", "DequantizeLinear", [ints(t, *shape), scale(*ss), zp(t, *ss)], {"axis": axis, "block_size": block}, "")
node("DequantizeLinear int32", "DequantizeLinear", [rng.integers(-2**30, 2**30, (4, 5), dtype=np.int32), scale(5)], {"axis": 1}, "")
node("DequantizeLinear int32", "DequantizeLinear", [rng.integers(-2**30, 2**30, (4, 5), dtype=np.int32), scale(), np.array(0, np.int32)], {}, "")
for shape in [(3,), (2, 3, 4), (50, 50), (1,)]:
    for shift in [0, 5, -9]:
        node("DynamicQuantizeLinear", "DynamicQuantizeLinear", [real(*shape) + f32(shift)], {}, "", outs=3)
node("DynamicQuantizeLinear", "DynamicQuantizeLinear", [np.zeros(4, f32)], {}, "", outs=3)

# --- integer products
for ta, tb in itertools.product([u8, i8], [u8, i8]):
    for sa, sb in [((3, 5), (5, 4)), ((2, 3, 16), (16, 8)), ((2, 3, 5), (2, 5, 7)), ((5,), (5, 3)), ((3, 5), (5,)), ((2, 1, 3, 40), (3, 40, 2))]:
        n = (sb[-1],) if len(sb) > 1 else ()
        for per in [(), n] if n else [()]:
            za, zb = zp(ta), zp(tb, *per) if len(sb) == 2 or per == () else zp(tb)
            ins = [ints(ta, *sa), ints(tb, *sb), za, zb]
            mixed = ta == i8 and tb == u8
            node("MatMulInteger", "MatMulInteger", ins, {}, "", want=by_bytes("MatMulInteger", ins, {}) if mixed else None)
            if mixed and len(sa) > 1 and len(sb) > 1:
                ins = [*ins[:2], scale(), scale(), *ins[2:]]
                node("MatMulIntegerToFloat", "MatMulIntegerToFloat", ins, want=by_bytes("MatMulIntegerToFloat", ins, {}, "com.microsoft"))
            elif len(sa) > 1 and len(sb) > 1:
                sbs = scale(*per) if len(sb) == 2 or per == () else scale()
                node("QLinearMatMul", "QLinearMatMul", [ints(ta, *sa), scale(), za, ints(tb, *sb), sbs, zb, scale() * f32(60), zp(ta)], {}, "", const=(1, 2, 4, 5, 6, 7))
                bias = real(sb[-1]) if per else None
                node("MatMulIntegerToFloat", "MatMulIntegerToFloat", [ints(ta, *sa), ints(tb, *sb), scale(), sbs, za, zb, bias])
                node("MatMulIntegerToFloat", "MatMulIntegerToFloat", [ints(ta, *sa), ints(tb, *sb), scale(), sbs])
                if ta == u8:
                    node("DynamicQuantizeMatMul", "DynamicQuantizeMatMul", [real(*sa), ints(tb, *sb), sbs, zb, bias])
                    node("DynamicQuantizeMatMul", "DynamicQuantizeMatMul", [real(*sa) + 4, ints(tb, *sb), sbs], const=(1,))
    for trans_a, trans_b, per, out in itertools.product([0, 1], [0, 1], [0, 1], [0, 1]):
        if ta == i8 and tb == u8:
            continue
        M, K, N = 3, 17, 6
        a, b = ints(ta, *((K, M) if trans_a else (M, K))), ints(tb, *((N, K) if trans_b else (K, N)))
        n = (N,) if per else ()
        c = rng.integers(-9000, 9000, [(N,), (M, 1), (1, N), (M, N), (), (1,)][rng.integers(6)], dtype=np.int32) if rng.random() < 0.8 else None
        y = [scale() * f32(60), zp(ta)] if out else [None, None]
        node("QGemm", "QGemm", [a, scale(), zp(ta), b, scale(*n), zp(tb, *n), c, *y],
             {"transA": trans_a, "transB": trans_b, "alpha": float(rng.choice([1, 0.5, 1.7]))})
    for shape, ws, at in [((1, 4, 9, 8), (6, 4, 3, 3), {"pads": [1, 1, 1, 1]}), ((2, 4, 7, 7), (4, 1, 3, 3), {"group": 4, "strides": [2, 2]}),
                          ((1, 6, 8, 8), (4, 3, 1, 1), {"group": 2}), ((1, 3, 12), (5, 3, 3), {"dilations": [2]}), ((1, 2, 5, 5, 5), (3, 2, 2, 2, 2), {})]:
        ins = [ints(ta, *shape), ints(tb, *ws), zp(ta), zp(tb)]
        k = {**at, "kernel_shape": list(ws[2:])}
        node("ConvInteger", "ConvInteger", ins, k, "", want=by_bytes("ConvInteger", ins, k))
        if ta == i8 and tb == u8:
            continue
        for per, last in itertools.product([0, 1], [None, 0, 1]):
            m = (ws[0],) if per else ()
            bias = rng.integers(-4000, 4000, ws[0], dtype=np.int32) if per else None
            x = ints(ta, *(shape if last != 1 else (shape[0], *shape[2:], shape[1])))
            ins = [x, scale(), zp(ta), ints(tb, *ws), scale(*m), np.zeros(m, tb) if per else zp(tb), scale() * f32(90), zp(ta), bias]
            node("QLinearConv " + ("ai.onnx" if last is None else f"channels_last={last}"), "QLinearConv", ins,
                 {**at, "kernel_shape": list(ws[2:]), **({} if last is None else {"channels_last": last})}, "" if last is None else "com.microsoft",
                 const=range(1, 9))
for sa, sb in [((3, 5), (5, 4)), ((2, 3, 6), (6, 2))]:
    node("MatMulInteger16", "MatMulInteger16", [rng.integers(-3000, 3000, sa, dtype=np.int16), rng.integers(-3000, 3000, sb, dtype=np.int16)])

# --- FusedMatMul, TransposeMatMul
for ta, tb, ba, bb in itertools.product([0, 1], repeat=4):
    at = {"transA": ta, "transB": tb, "transBatchA": ba, "transBatchB": bb, "alpha": float(rng.choice([1, 0.25, -2]))}
    def operand(batch, m, k, trans, tbatch):
        tail = (k, m) if trans else (m, k)
        return (tail[0], *batch, tail[1]) if tbatch else (*batch, *tail)
    for batch in [(2,), (2, 3)]:
        node("FusedMatMul", "FusedMatMul", [real(*operand(batch, 3, 5, ta, ba)), real(*operand(batch, 5, 4, tb, bb))], at)
    if not ba and not bb:
        del at["transBatchA"], at["transBatchB"]
        for A, B in [((3, 5), (5, 4)), ((2, 3, 5), (5, 4)), ((7, 1, 3, 5), (2, 5, 4)), ((5,), (5, 4)), ((3, 5), (5,))]:
            if ta and len(A) > 1: A = (*A[:-2], A[-1], A[-2])
            if tb and len(B) > 1: B = (*B[:-2], B[-1], B[-2])
            for op in ["FusedMatMul", "TransposeMatMul"]:
                a, b = real(*A), real(*B)
                # ONNX Runtime 1.23 reads A as if it were not transposed when B is a vector
                want = {"y0": (at["alpha"] * (np.swapaxes(a, -1, -2) @ b)).astype(f32)} if ta and b.ndim == 1 else None
                node(op, op, [a, b], at, want=want)

# --- weights of few bits
for bits, bs, sh, zero, bias in itertools.product([4, 8, 2], [16, 32], [(3, 32, 5), (2, 50, 7), (1, 64, 32)], [None, "packed", "float"], [False, True]):
    M, K, N = sh
    nb = (K + bs - 1) // bs
    b, sc = ints(u8, N, nb, bs * bits // 8), scale(N * nb)
    z = None if zero is None else ints(u8, N * ((nb * bits + 7) // 8)) if zero == "packed" else rng.uniform(0, 2**bits, (N, nb)).astype(f32)
    at = {"K": K, "N": N, "bits": bits, "block_size": bs, "accuracy_level": int(rng.integers(0, 2))}
    a, v = real(M, K), real(N) if bias else None
    ins, want = [a, b, sc, z, None, v], None
    if bits == 2 or (bits == 8 and zero == "float"):  # not in ONNX Runtime 1.23, or on some machines only
        def unpacked(x):
            return np.stack([(x >> (bits * i)) & (2**bits - 1) for i in range(8 // bits)], -1).reshape(N, -1).astype(f32)
        zz = f32(2 ** (bits - 1)) if z is None else z[..., None] if zero == "float" else unpacked(z)[:, :nb, None]
        w = ((unpacked(b).reshape(N, nb, bs) - zz) * sc.reshape(N, nb, 1)).reshape(N, -1)[:, :K]
        want = {"y0": a @ w.T + (f32(0) if v is None else v)}
    node(f"MatMulNBits {bits} bits" + (", by hand" if want else ""), "MatMulNBits", ins, at, const=(1, 2, 3, 5), tol=1e-4, want=want)
for K, bs in [(64, 16), (64, 32)]:
    g = rng.permutation(np.repeat(np.arange(K // bs), bs)).astype(np.int32)
    node("MatMulNBits g_idx", "MatMulNBits", [real(3, K), ints(u8, 5, K // bs, bs // 2), scale(5 * K // bs), None, g],
         {"K": K, "N": 5, "bits": 4, "block_size": bs}, const=(1, 2, 3, 4), tol=1e-4)
for kind, bs, (M, K, N) in itertools.product([0, 1], [16, 64], [(3, 32, 4), (2, 64, 6), (1, 128, 16)]):
    node("MatMulBnb4", "MatMulBnb4", [real(M, K), ints(u8, N * K // 2), scale((N * K + bs - 1) // bs)],
         {"K": K, "N": N, "block_size": bs, "quant_type": kind}, const=(1, 2), tol=1e-4)
for (rows, cols), bs, bits, zero in itertools.product([(5, 32), (3, 64), (2, 3 * 16)], [16, 32], [4, 8], [False, True]):
    nb, packed = (cols + bs - 1) // bs, 2 if bits == 4 else 1
    data, ss = ints(u8, rows, cols // packed), scale(rows, nb)
    z = ints(u8, rows, (nb + packed - 1) // packed) if zero else None
    ix, want = np.array([[0, rows - 1], [1, -1]], np.int64), None
    if zero and nb % packed:  # rows of zero points are padded to bytes by the text; ONNX Runtime 1.23 reads them as if they were not
        nib = lambda x: np.stack([x & 15, x >> 4], -1).reshape(rows, -1).astype(f32)
        w = (nib(data) - np.repeat(nib(z)[:, :nb], bs, 1)[:, :cols]) * np.repeat(ss, bs, 1)[:, :cols]
        want = {"y0": w[ix]}
    node("GatherBlockQuantized", "GatherBlockQuantized", [data, ix, ss, z],
         {"bits": bits, "block_size": bs, "gather_axis": 0, "quantize_axis": 1}, const=(0, 2, 3), want=want)

# --- FusedConv, FusedGemm
for act, par in [("", None), ("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 1.5]), ("HardSigmoid", [0.3, 0.4])]:
    at = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], **({"activation": act} if act else {}), **({"activation_params": par} if par else {})}
    for z in [False, True]:
        node("FusedConv", "FusedConv", [real(1, 4, 6, 5), real(4, 2, 3, 3), real(4), real(1, 4, 6, 5) if z else None], {**at, "group": 2})
for act, par in [("Relu", {}), ("LeakyRelu", {"activation_alpha": 0.3}), ("Tanh", {}), ("Sigmoid", {}), ("Elu", {"activation_alpha": 1.5}), ("ThresholdedRelu", {"activation_alpha": 0.7}), ("HardSigmoid", {"activation_alpha": 0.3, "activation_beta": 0.4}), ("Softplus", {}), ("Softsign", {})]:
    for ta, tb in itertools.product([0, 1], [0, 1]):
        node("FusedGemm", "FusedGemm", [real(*((5, 3) if ta else (3, 5))), real(*((4, 5) if tb else (5, 4))), real(4) if ta or tb else None],
             {"activation": act, **par, "transA": ta, "transB": tb, "alpha": 0.5, "beta": 1.5})

# --- larger ones: sums of many numbers, borders of the processor's vectors, ties
for t in [u8, i8]:
    for sa, sb, ss in [((3, 1), (3, 1), None), ((3, 31), (3, 31), None), ((3, 1000), (3, 1000), None), ((1,), (500,), None), ((40,), (40,), (0.25, 0.5, 0.5))]:
        for op in ["QLinearAdd", "QLinearMul"]:
            a, b, y = ss or (0.0321, 0.0173, 0.05 if op == "QLinearAdd" else 0.02)
            node(op, op, [ints(t, *sa), f32(a), zp(t), ints(t, *sb), f32(b), zp(t), f32(y), zp(t)])
    for shape in [(1, 3, 8, 8), (2, 5, 61, 61), (1, 2, 1, 1)]:
        node("QLinearGlobalAveragePool channels_last=0", "QLinearGlobalAveragePool", [ints(t, *shape), f32(0.0217), zp(t), f32(0.0113), zp(t)])
    for ta, tb, last in itertools.product([0, 1], [0, 1], range(3)):
        a, b = ints(t, *((70, 5) if ta else (5, 70))), ints(i8, *((33, 70) if tb else (70, 33)))
        per = (33,) if last else ()
        node("QGemm", "QGemm", [a, f32(0.02), zp(t), b, rng.uniform(0.005, 0.015, per).astype(f32), zp(i8, *per),
                                rng.integers(-20000, 20000, 33).astype(np.int32), *([f32(0.9), zp(t)] if last < 2 else [])],
             {"transA": ta, "transB": tb, "alpha": 1.0 if last else 0.7})
# QLinearConv: dense, grouped and depthwise, every border of the fast ways; the pairs: signs of x and w.
for tx, tw in [(u8, i8), (u8, u8), (i8, i8)]:
    for x, w, at in [((1, 3, 20, 19), (8, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}), ((2, 16, 9, 9), (40, 16, 1, 1), {}),
                     ((1, 12, 17, 18), (12, 1, 3, 3), {"group": 12, "pads": [1, 1, 1, 1]}),
                     ((1, 6, 23, 40), (12, 1, 3, 5), {"group": 6, "pads": [2, 0, 1, 3], "strides": [2, 3]}),
                     ((1, 4, 15, 15), (6, 2, 3, 3), {"group": 2, "dilations": [2, 3]}), ((1, 3, 30), (4, 3, 5), {"pads": [2, 2]}),
                     ((1, 8, 7, 7), (8, 1, 3, 3), {"group": 8, "dilations": [2, 2], "pads": [2, 2, 2, 2]}),
                     ((1, 2, 5, 6, 7), (3, 2, 2, 3, 2), {"pads": [1, 0, 1, 0, 1, 0]}),
                     ((1, 2, 6, 6), (2, 1, 3, 3), {"group": 2, "strides": [5, 5], "pads": [1, 1, 1, 1]})]:
        for m in [(w[0],), ()]:
            node("QLinearConv ai.onnx", "QLinearConv", [
                ints(tx, *x), f32(0.02), zp(tx), ints(tw, *w), rng.uniform(0.01, 0.03, m).astype(f32), np.full(m, 0 if tw == i8 else 121, tw),
                f32(0.08 * np.prod(w[1:]) ** 0.5), zp(tx), rng.integers(-3000, 3000, w[0]).astype(np.int32)], at, "")
R.end()
