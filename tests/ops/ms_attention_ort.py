"""ms_attention_ort.py USTA: the com.microsoft operators of transformers, ours against ONNX Runtime's CPU kernels.

Each case is one node in a model of its own with seeded random inputs. Both are float32 programs that sum in another order, so
float outputs must agree to 2e-5 of the largest magnitude (2e-3 for float16: its step is 1e-3); integers must be equal. Prints a line
per operator: cases, largest difference. Exit status 1 when a case differs.
"""
import os, subprocess, sys, tempfile
import numpy as np
import onnx
from onnx import TensorProto as TP, helper as oh
import onnxruntime as ort

usta = sys.argv[1]
only = sys.argv[2:] # operators
MS = "com.microsoft"
rng = np.random.default_rng(7)
NP = {np.dtype("float32"): TP.FLOAT, np.dtype("float16"): TP.FLOAT16, np.dtype("float64"): TP.DOUBLE, np.dtype("int32"): TP.INT32,
      np.dtype("int64"): TP.INT64, np.dtype("uint8"): TP.UINT8, np.dtype("int8"): TP.INT8, np.dtype("bool"): TP.BOOL}
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
options.intra_op_num_threads = 1
options.log_severity_level = 4
tally, failed = {}, 0


def f(*dims, scale=1.0, dtype=np.float32):
    return (rng.standard_normal(dims) * scale).astype(dtype)


def i32(v):
    return np.array(v, dtype=np.int32)


def run_usta(path, inputs, folder):
    args = [usta, "infer", path, "-o", folder]
    for name, value in inputs.items():
        np.save(f"{folder}/{name}.in.npy", value)
        args += ["-i", f"{name}={folder}/{name}.in.npy"]
    return subprocess.run(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def model_of(op, inputs, outputs, attrs, domain, opset):
    """inputs: arrays, None for one left out; outputs: element types, None for one left out."""
    ins = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    outs = ["" if t is None else f"y{i}" for i, t in enumerate(outputs)]
    node = oh.make_node(op, ins, outs, domain=domain, **attrs)
    graph = oh.make_graph([node], "g",
                          [oh.make_tensor_value_info(n, NP[x.dtype], list(x.shape)) for n, x in zip(ins, inputs) if n],
                          [oh.make_tensor_value_info(n, t, None) for n, t in zip(outs, outputs) if n])
    return oh.make_model(graph, opset_imports=[oh.make_opsetid("", opset), oh.make_opsetid(MS, 1)], ir_version=10)


def case(name, op, inputs, outputs=(TP.FLOAT,), domain=MS, opset=17, keep=None, **attrs):
    """keep: called with (index of the output, array) gives what of it is defined."""
    if only and op not in only: return
    check(name, op, model_of(op, inputs, list(outputs), attrs, domain, opset),
          {f"x{i}": x for i, x in enumerate(inputs) if x is not None}, keep)


def check(name, op, model, inputs, keep=None):
    global failed
    row = tally.setdefault(op, [0, 0.0])
    row[0] += 1
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/m.onnx"
        onnx.save(model, path)
        names = [o.name for o in model.graph.output]
        try:
            want = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(names, inputs)
        except Exception as e:
            failed += 1
            print(f"{op}: {name}: the peer refuses it: {str(e)[:300]}")
            return
        ran = run_usta(path, inputs, folder)
        if ran.returncode:
            failed += 1
            print(f"{op}: {name}: {ran.stderr.strip()}")
            return
        for i, (n, w) in enumerate(zip(names, want)):
            g = np.load(f"{folder}/{n}.npy")
            if g.dtype != w.dtype or g.shape != w.shape:
                failed += 1
                print(f"{op}: {name}: output {i} is {g.dtype}{g.shape}, expected {w.dtype}{w.shape}")
                continue
            if keep: g, w = keep(i, g), keep(i, w)
            if w.dtype.kind in "iu":
                worst, limit = float((g != w).sum()), 0
            else:
                a, b = g.astype(np.float64), w.astype(np.float64)
                top = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0)))
                gap = np.where(a == b, 0, np.abs(a - b))
                worst, limit = float(gap.max(initial=0)) / top, 2e-3 if w.dtype == np.float16 else 2e-5
                row[1] = max(row[1], worst if worst == worst else np.inf)
            if not worst <= limit:
                failed += 1
                print(f"{op}: {name}: output {i} differs by {worst:.3g}")


# --- activations and sums ----------------------------------------------------------------------------

wide = np.concatenate([f(2, 3, 8, scale=3), np.array([0, -0.0, 20, -20, 1e-4, -1e-4, 88, -88], np.float32).reshape(1, 1, 8).repeat(3, 1)])
case("plain", "Gelu", [wide])
case("plain", "QuickGelu", [wide])
case("alpha", "QuickGelu", [wide], alpha=0.5)
case("bias", "BiasGelu", [wide, f(8)])
case("plain", "FastGelu", [wide])
case("bias", "FastGelu", [wide, f(8)])

# --- normalisation -----------------------------------------------------------------------------------

for dt, tp in ((np.float32, TP.FLOAT), (np.float16, TP.FLOAT16)):
    x, s, g, b, bias = f(2, 3, 16, dtype=dt), f(2, 3, 16, dtype=dt), f(16, dtype=dt), f(16, dtype=dt), f(16, dtype=dt)
    sums = (tp, None, None, tp)
    case(f"{dt.__name__}", "SkipLayerNormalization", [x, s, g], epsilon=1e-5, outputs=(tp,))
    case(f"{dt.__name__} beta, bias, sum", "SkipLayerNormalization", [x, s, g, b, bias], epsilon=1e-5, outputs=sums)
    case(f"{dt.__name__} bias without beta", "SkipLayerNormalization", [x, s, g, None, bias], outputs=sums)
    case(f"{dt.__name__} skip of one sequence", "SkipLayerNormalization", [x, s[:1], g, b], outputs=sums)
    case(f"{dt.__name__} skip of rank 2", "SkipLayerNormalization", [x, s[0], g, b], outputs=sums)
    case(f"{dt.__name__} rows", "SkipLayerNormalization", [x[0], s[0], g, b], outputs=sums)
    case(f"{dt.__name__}", "SkipSimplifiedLayerNormalization", [x, s, g], epsilon=1e-6, outputs=(tp,))
    case(f"{dt.__name__} bias, sum", "SkipSimplifiedLayerNormalization", [x, s, g, bias], epsilon=1e-6, outputs=sums)
    case(f"{dt.__name__}", "SimplifiedLayerNormalization", [x, g], domain="", epsilon=1e-6, outputs=(tp,))
    case(f"{dt.__name__} axis", "SimplifiedLayerNormalization", [x, f(3, 16, dtype=dt)], domain="", axis=1, outputs=(tp,))
    case(f"{dt.__name__} of opset 11", "LayerNormalization", [x, g, b], domain="", opset=11, axis=-1, epsilon=1e-5, outputs=(tp,))
x, g = f(2, 3, 16, dtype=np.float64), f(16, dtype=np.float64)
case("float64", "SimplifiedLayerNormalization", [x, g], domain="", epsilon=1e-6, outputs=(TP.DOUBLE,))
case("float64 of opset 11", "LayerNormalization", [x, g, g], domain="", opset=11, axis=-1, epsilon=1e-5, outputs=(TP.DOUBLE,))
x, g = f(2, 3, 16), f(16)
case("with inv_std_var", "SimplifiedLayerNormalization", [x, g], domain="", outputs=(TP.FLOAT, TP.FLOAT))

ids, seg = i32([[1, 5, 9, 0], [3, 3, 2, 7]]), i32([[0, 0, 1, 1], [1, 0, 1, 0]])
words, places, segs, g, b = f(10, 16), f(6, 16), f(2, 16), f(16), f(16)
mask = i32([[1, 1, 1, 0], [1, 0, 0, 0]])
e = dict(epsilon=1e-5)
case("segments", "EmbedLayerNormalization", [ids, seg, words, places, segs, g, b], outputs=(TP.FLOAT, TP.INT32), **e)
case("mask", "EmbedLayerNormalization", [ids, seg, words, places, segs, g, b, mask], outputs=(TP.FLOAT, TP.INT32), **e)
case("no segments", "EmbedLayerNormalization", [ids, None, words, places, None, g, b, mask], outputs=(TP.FLOAT, TP.INT32), **e)
case("sum", "EmbedLayerNormalization", [ids, seg, words, places, segs, g, b, mask], outputs=(TP.FLOAT, TP.INT32, TP.FLOAT), **e)
case("position_ids", "EmbedLayerNormalization", [ids, seg, words, places, segs, g, b, mask, i32([[5, 4, 3, 2], [1, 0, 1, 0]])],
     outputs=(TP.FLOAT, TP.INT32, TP.FLOAT), **e)
case("position_ids for all", "EmbedLayerNormalization", [ids, None, words, places, None, g, b, None, i32([[5, 4, 3, 2]])],
     outputs=(TP.FLOAT, TP.INT32, TP.FLOAT), **e)
case("no mask_index", "EmbedLayerNormalization", [ids, None, words, places, None, g, b], outputs=(TP.FLOAT, None, TP.FLOAT),
     mask_index_type=0, **e)
for dt in (np.uint8, np.int8):
    q = lambda *d: rng.integers(0 if dt == np.uint8 else -100, 100, d).astype(dt)
    sc, z = [np.array(v, np.float32) for v in (0.02, 0.03, 0.01, 0.05, 0.04)], [np.array(v, dt) for v in (3, 50, 7, 0, 9)]
    case(f"{dt.__name__}", "QEmbedLayerNormalization", [ids, seg, q(10, 16), q(6, 16), q(2, 16), q(16), q(16), mask, *sc, *z],
         outputs=(TP.FLOAT, TP.INT32), **e)
    case(f"{dt.__name__} no segments, no mask", "QEmbedLayerNormalization",
         [ids, None, q(10, 16), q(6, 16), None, q(16), q(16), None, *sc[:2], None, *sc[3:], *z[:2], None, *z[3:]],
         outputs=(TP.FLOAT, TP.INT32), **e)

# --- RotaryEmbedding ---------------------------------------------------------------------------------


def angles(n, half, dtype=np.float32):
    a = rng.uniform(-3, 3, (n, half))
    return np.cos(a).astype(dtype), np.sin(a).astype(dtype)


for dt, tp in ((np.float32, TP.FLOAT), (np.float16, TP.FLOAT16)):
    for woven in (0, 1):
        c, s = angles(12, 4, dt)
        pos = np.array([[0, 3, 11, 2, 2], [7, 1, 0, 4, 5]], np.int64)
        name = f"{dt.__name__} interleaved={woven}"
        case(name, "RotaryEmbedding", [f(2, 5, 24, dtype=dt), pos, c, s], interleaved=woven, outputs=(tp,))
        case(name + " offset", "RotaryEmbedding", [f(2, 5, 24, dtype=dt), np.array([6], np.int64), c, s], interleaved=woven, outputs=(tp,))
        case(name + " rank 4", "RotaryEmbedding", [f(2, 3, 5, 8, dtype=dt), pos, c, s], interleaved=woven, outputs=(tp,))
        case(name + " part", "RotaryEmbedding", [f(2, 5, 48, dtype=dt), pos, c, s], interleaved=woven, num_heads=3,
             rotary_embedding_dim=8, outputs=(tp,))

# --- Attention ---------------------------------------------------------------------------------------

B, S, N, H, D = 2, 5, 3, 4, 10
x, w, bias = f(B, S, D), f(D, 3 * N * H, scale=0.4), f(3 * N * H)
P = 3
past = f(2, B, N, P, H)
for uni in (0, 1):
    u = dict(num_heads=N, unidirectional=uni)
    for T, pst, tag in ((S, None, ""), (S + P, past, " past")):
        outs = (TP.FLOAT, TP.FLOAT) if pst is not None else (TP.FLOAT,)
        a = lambda nm, m=None, extra=(), **kw: case(nm + tag + f" unidirectional={uni}", "Attention", [x, w, bias, m, pst, *extra], outputs=outs,
                                                   **{**u, **kw})
        a("plain")
        a("lengths", i32([T, T - 2]))
        a("length 0", i32([T, 0]))
        a("ends and starts", i32([T, T - 1, 0, 2]))
        a("keys", i32(rng.integers(0, 2, (B, T))))
        a("no key", i32(np.zeros((B, T))))
        a("one for all", i32([[1], [0]]))
        a("queries and keys", i32(rng.integers(0, 2, (B, S, T))))
        a("scale", scale=0.3)
        a("filter", i32(rng.integers(0, 2, (B, T))), mask_filter_value=-2.0)
        if pst is None:
            a("bias", None, [f(B, N, S, T)])
            a("bias for all", None, [f(1, 1, S, T)])
            a("bias of heads, mask", i32(rng.integers(0, 2, (B, T))), [f(1, N, S, T)])
            a("bias of batch", None, [f(B, 1, S, T)])
    case(f"no past, present unidirectional={uni}", "Attention", [x, w, bias], outputs=(TP.FLOAT, TP.FLOAT), **u)
    case(f"sizes unidirectional={uni}", "Attention", [x, f(D, 2 * N * H + N * 6), f(2 * N * H + N * 6)], qkv_hidden_sizes=[N * H, N * H, N * 6], **u)
    case(f"one step unidirectional={uni}", "Attention", [x[:, :1], w, bias, None, past], outputs=(TP.FLOAT, TP.FLOAT), **u)
case("empty past", "Attention", [x, w, bias, None, past[:, :, :, :0]], outputs=(TP.FLOAT, TP.FLOAT), num_heads=N, unidirectional=1)

# --- QAttention --------------------------------------------------------------------------------------

xq = rng.integers(0, 256, (B, S, D)).astype(np.uint8)
for wt in (np.int8, np.uint8):
    wq = rng.integers(-100 if wt == np.int8 else 0, 100, (D, 3 * N * H)).astype(wt)
    sx, sw = np.array(0.02, np.float32), np.array(0.015, np.float32)
    zx, zw = np.array(120, np.uint8), np.array(5, wt)
    per = (f(3 * N * H, scale=0.01) ** 2 + 0.005).astype(np.float32)
    zper = rng.integers(0, 20, 3 * N * H).astype(wt)
    tag = wt.__name__
    case(f"{tag}", "QAttention", [xq, wq, bias, sx, sw, None, zx, zw], num_heads=N)
    case(f"{tag} no zero points", "QAttention", [xq, wq, bias, sx, sw], num_heads=N)
    case(f"{tag} per column", "QAttention", [xq, wq, bias, sx, per, None, zx, zper], num_heads=N)
    case(f"{tag} mask", "QAttention", [xq, wq, bias, sx, sw, i32([S, S - 2]), zx, zw], num_heads=N)
    case(f"{tag} unidirectional, past", "QAttention", [xq, wq, bias, sx, sw, None, zx, zw, past], outputs=(TP.FLOAT, TP.FLOAT), num_heads=N,
         unidirectional=1)

# --- MultiHeadAttention ------------------------------------------------------------------------------

L, HV = 6, 5
q, k, v = f(B, S, N * H), f(B, L, N * H), f(B, L, N * HV)
bias = f(2 * N * H + N * HV)
m = lambda nm, ins, outs=(TP.FLOAT,), **kw: case(nm, "MultiHeadAttention", ins, outputs=outs, **{**dict(num_heads=N), **kw})
m("plain", [q, k, v])
m("bias", [q, k, v, bias])
m("scale", [q, k, v], scale=0.2)
m("lengths", [q, k, v, bias, i32([L, 3])])
m("keys", [q, k, v, None, i32(rng.integers(0, 2, (B, L)))])
m("queries and keys", [q, k, v, None, i32(rng.integers(0, 2, (B, S, L)))])
m("filter", [q, k, v, None, i32(rng.integers(0, 2, (B, L)))], mask_filter_value=-1.5)
m("attention_bias", [q, k, v, bias, None, f(B, N, S, L)])
m("attention_bias for all", [q, k, v, bias, None, f(1, 1, S, L)])
m("attention_bias and mask", [q, k, v, bias, i32([L, 3]), f(1, N, S, L)])
m("cross", [q, f(B, N, L, H), f(B, N, L, H)])
m("present", [q, k, v, bias], (TP.FLOAT, TP.FLOAT, TP.FLOAT))
ks, vs = f(B, S, N * H), f(B, S, N * H)
pk, pv = f(B, N, P, H), f(B, N, P, H)
three = (TP.FLOAT, TP.FLOAT, TP.FLOAT)
m("past", [q, ks, vs, None, None, None, pk, pv], three)
m("past, bias", [q, ks, vs, f(3 * N * H), None, None, pk, pv], three)
m("past, unidirectional", [q, ks, vs, None, None, None, pk, pv], three, unidirectional=1)
m("past, mask of all", [q, ks, vs, None, i32(rng.integers(0, 2, (B, S + P))), None, pk, pv], three)
m("past, attention_bias", [q, ks, vs, None, None, f(1, N, S, S + P), pk, pv], three)
m("unidirectional", [q, ks, vs], unidirectional=1)
m("scores", [q, k, v, None, i32(rng.integers(0, 2, (B, L)))], (TP.FLOAT, None, None, TP.FLOAT))
m("scores with attention_bias", [q, k, v, None, None, f(B, N, S, L)], (TP.FLOAT, None, None, TP.FLOAT))

# --- DecoderMaskedMultiHeadAttention -----------------------------------------------------------------

M = 8
q1, k1, v1 = f(4, 1, N * H), f(4, 1, N * H), f(4, 1, N * H)
pk, pv = f(4, N, M, H), f(4, N, M, H)
d = lambda nm, ins, outs=three, **kw: case(nm, "DecoderMaskedMultiHeadAttention", ins, outputs=outs, keep=kw.pop("keep", None),
                                           **{**dict(num_heads=N, past_present_share_buffer=1), **kw})
used = lambda i, y: y[:, :, :6] if i in (1, 2) else y
d("self", [q1, k1, v1, None, None, pk, pv, i32([5])], keep=used)
d("mask", [q1, k1, v1, i32(rng.integers(0, 2, (4, 6))), None, pk, pv, i32([5])], keep=used)
d("bias", [q1, k1, v1, None, None, pk, pv, i32([5]), None, None, f(3 * N * H)], keep=used)
d("attention_bias", [q1, k1, v1, None, f(1, N, 1, 6), pk, pv, i32([5])], keep=used)
indir = i32(rng.integers(0, 2, (2, 2, M)))
d("beams", [q1, k1, v1, i32(np.ones((4, 6))), np.zeros((1, 1, 1, 6), np.float32), pk, pv, i32([5]), i32([2]), indir], keep=used)
d("cross", [q1, f(4, N, 7, H), f(4, N, 7, H)], (TP.FLOAT,), past_present_share_buffer=0)
d("cross, mask", [q1, f(4, N, 7, H), f(4, N, 7, H), i32(rng.integers(0, 2, (4, 7)))], (TP.FLOAT,), past_present_share_buffer=0)
d("cross, scores", [q1, f(4, N, 7, H), f(4, N, 7, H)], (TP.FLOAT, None, None, TP.FLOAT), past_present_share_buffer=0, output_qk=1)

# --- GroupQueryAttention -----------------------------------------------------------------------------

QN, KN, GH = 4, 2, 16
for dt, tp in ((np.float32, TP.FLOAT), (np.float16, TP.FLOAT16)):
    def g(nm, ins, n_out=3, keep=None, **kw):
        case(f"{dt.__name__} {nm}", "GroupQueryAttention", ins, outputs=(tp,) * n_out, keep=keep, **{**dict(num_heads=QN, kv_num_heads=KN), **kw})
    F = lambda *a: f(*a, dtype=dt)
    cs, sn = angles(32, 8, dt)
    prompt = [F(B, S, QN * GH), F(B, S, KN * GH), F(B, S, KN * GH)]
    full = [i32([S - 1, S - 1]), i32(S).reshape(())]
    g("prompt", [*prompt, None, None, *full])
    ragged = lambda i, y: y[0] if i else np.concatenate([y[0].ravel(), y[1, :3].ravel()])
    g("ragged prompt", [*prompt, None, None, i32([S - 1, 2]), i32([S])], keep=ragged)
    g("packed", [F(B, S, (QN + 2 * KN) * GH), None, None, None, None, *full])
    g("scale, softcap", [*prompt, None, None, *full], scale=0.2, softcap=1.5)
    g("rotary", [*prompt, None, None, *full, cs, sn], do_rotary=1)
    g("rotary interleaved", [*prompt, None, None, *full, cs, sn], do_rotary=1, rotary_interleaved=1)
    g("packed rotary", [F(B, S, (QN + 2 * KN) * GH), None, None, None, None, *full, cs, sn], do_rotary=1)
    for win in (1, 2, 4, 9):
        g(f"window {win}", [*prompt, None, None, *full], local_window_size=win)
    g("window, softcap", [*prompt, None, None, *full], local_window_size=3, softcap=2.0)
    g("smooth", [*prompt, None, None, *full], smooth_softmax=1)
    g("sink", [*prompt, None, None, *full, None, None, None, None, F(QN)])
    g("attention_bias", [*prompt, None, None, *full, None, None, None, F(1, QN, S, S)])
    g("attention_bias, softcap", [*prompt, None, None, *full, None, None, None, F(B, 1, S, S)], softcap=2.0)
    step = [F(B, 1, QN * GH), F(B, 1, KN * GH), F(B, 1, KN * GH)]
    cache = [F(B, KN, 7, GH), F(B, KN, 7, GH)]
    g("step", [*step, *cache, i32([7, 7]), i32([8])])
    g("step, lengths", [*step, *cache, i32([7, 4]), i32([8])])
    g("step in a buffer", [*step, *cache, i32([5, 3]), i32([6])])
    g("step, rotary", [*step, *cache, i32([7, 4]), i32([8]), cs, sn], do_rotary=1)
    g("step, window", [*step, *cache, i32([7, 4]), i32([8])], local_window_size=3)
    g("step, position_ids", [*step, *cache, i32([7, 4]), i32([8]), cs, sn, np.array([[9], [2]], np.int64)], do_rotary=1)
    g("step, attention_bias", [*step, *cache, i32([7, 7]), i32([8]), None, None, None, F(B, QN, 1, 8)])
    one = [F(1, 3, QN * GH), F(1, 3, KN * GH), F(1, 3, KN * GH), F(1, KN, 4, GH), F(1, KN, 4, GH)]
    g("more of a prompt", [*one, i32([6]), i32([7])])
    g("more of a prompt, rotary", [*one, i32([6]), i32([7]), cs, sn], do_rotary=1)
    g("scores", [*prompt, None, None, *full], 4, qk_output=1)
    g("probabilities", [*prompt, None, None, *full], 4, qk_output=2)

for op, (n, worst) in tally.items():
    print(f"{op}: {n} cases, largest difference {worst:.2g}")
print(f"{sum(n for n, _ in tally.values())} cases, {failed} differ")
sys.exit(1 if failed else 0)
