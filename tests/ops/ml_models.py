"""ml_models.py DIR USTA: the corpus models made of ai.onnx.ml, ONNX Runtime against usta on seeded random rows.

Labels must be equal, numbers within 1e-4 absolute or relative: ONNX Runtime sums some hundred terms in float.
"""
import os, sys
import numpy as np
import onnx

os.environ["USTA"] = sys.argv[2]
from ort_diff import close, plain, run_ort, run_usta

rng = np.random.default_rng(11)


def worst(a, b):
    if isinstance(b, dict):
        return max([worst(a[k], b[k]) for k in b], default=0)
    if isinstance(b, list):
        return max([worst(x, y) for x, y in zip(a, b)], default=0)
    if isinstance(b, np.ndarray) and b.dtype.kind == "f":
        return float((np.abs(a - b) / np.maximum(1, np.abs(b))).max(initial=0))
    return abs(a - b) / max(1, abs(b)) if isinstance(b, float) else 0


def input_of(t, model):
    if t.HasField("map_type"):
        words = [s for n in model.graph.node for a in n.attribute if a.name == "int64_vocabulary" for s in a.ints]
        words += [s.decode() for n in model.graph.node for a in n.attribute if a.name == "string_vocabulary" for s in a.strings]
        return {w: float(np.float32(rng.uniform(0, 100))) for w in words}
    dims = [d.dim_value if d.dim_value else 5 for d in t.tensor_type.shape.dim]
    if max(dims) > 100:  # pixels
        return rng.uniform(0, 1, dims).astype(np.float32)
    return rng.integers(0, 8, dims).astype(np.float32)


bad = 0
names = ["tabular/" + f for f in sorted(os.listdir(sys.argv[1] + "/tabular")) if f.endswith(".onnx")] + ["vision-classify/lr_mnist_scikit.onnx"]
for i, name in enumerate(names):
    model = onnx.load(f"{sys.argv[1]}/{name}")
    outputs = [o.name for o in model.graph.output]
    far, same = 0, True
    for _ in range(10):
        inputs = {v.name: input_of(v.type, model) for v in model.graph.input if v.name not in {t.name for t in model.graph.initializer}}
        w, g = run_ort(model, inputs, outputs), run_usta(model, inputs, outputs)
        if isinstance(w, str) or isinstance(g, str):
            print(f"#   ort {w}\n#   got {g}"[:600])
            same = False
            break
        w = {k: plain(v) for k, v in w.items()}
        same = same and all(close(g[o], w[o], 1e-4) for o in outputs)
        far = max([far] + [worst(g[o], w[o]) for o in outputs])
    bad += not same
    print(f"{'ok' if same else 'not ok'} {i + 1} - {name}: largest relative difference {far:.2g}")
print(f"1..{len(names)}")
sys.exit(1 if bad else 0)
