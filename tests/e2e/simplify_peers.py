"""simplify_peers.py USTA DIR...: what `usta simplify` writes, seen by others.

For every model under the folders: simplify it; the onnx package's checker accepts the result whenever it accepts the original;
ONNX Runtime loads the result whenever it loads the original, and on the same inputs (the model's own test data, else random
ones) gives the same outputs. Prints a line for each failure and counts; exit status 1 when there is one.
"""
import json, os, subprocess, sys, tempfile
import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

ort.set_default_logger_severity(4)
usta, roots = sys.argv[1], sys.argv[2:]
TOLERANCE = 1e-4  # of an output's largest element: folded weights are rounded once more
counts = {}
failures = 0


def count(what):
    counts[what] = counts.get(what, 0) + 1


def fail(path, why):
    global failures
    failures += 1
    print(f"FAIL {path}: {why}"[:600])


def checks(path):
    for full in (True, False):
        try:
            onnx.checker.check_model(path, full_check=full)
            return 2 if full else 1
        except Exception:
            pass
    return 0


def session(path):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception:
        return None


def recorded(path, s):
    """Inputs from test_data_set_0, or None."""
    folder, feed = os.path.join(os.path.dirname(path), "test_data_set_0"), {}
    for i, node in enumerate(s.get_inputs()):
        file = os.path.join(folder, f"input_{i}.pb")
        if not os.path.exists(file) or not node.type.startswith("tensor"):
            return None
        with open(file, "rb") as f:
            feed[node.name] = numpy_helper.to_array(onnx.TensorProto.FromString(f.read()))
    return feed


TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64, "tensor(int32)": np.int32,
         "tensor(bool)": np.bool_, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(float16)": np.float16}


def drawn(s):
    r, feed = np.random.default_rng(0), {}
    for node in s.get_inputs():
        if node.type not in TYPES:
            return None
        dims = [d if isinstance(d, int) and d > 0 else 2 for d in node.shape]
        feed[node.name] = (r.random(dims) * 2).astype(TYPES[node.type])
    return feed


def run(s, feed):
    try:
        return s.run(None, feed)
    except Exception:
        return None


def same(a, b):
    if isinstance(a, list):
        return isinstance(b, list) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return bool((a == b).all())
    finite = np.abs(a[np.isfinite(a)])
    top = float(finite.max()) if finite.size else 1.0
    return bool(np.allclose(b, a, rtol=0, atol=TOLERANCE * (top or 1.0), equal_nan=True))


def one(path, out):
    p = subprocess.run([usta, "simplify", "--json", path, out], capture_output=True, text=True)
    if p.returncode != 0:
        count("refused")
        if p.returncode not in (1, 2):
            fail(path, f"exit status {p.returncode}: {p.stderr}")
        elif "not equal" in p.stderr:
            fail(path, p.stderr.strip())
        return
    answer = json.loads(p.stdout)
    count("fewer nodes" if answer["nodes_after"] < answer["nodes_before"] else "as small as before")
    if answer["nodes_after"] > answer["nodes_before"]:
        fail(path, "more nodes than before")
    before, after = checks(path), checks(out)
    if after < before:
        try:
            onnx.checker.check_model(out, full_check=before == 2)
        except Exception as e:
            fail(path, f"the checker accepts the original only: {e}")
    s = session(path)
    if s is None:
        count("ONNX Runtime does not load the original")
        return
    t = session(out)
    if t is None:
        fail(path, "ONNX Runtime loads the original only")
        return
    feed = recorded(path, s) or drawn(s)
    want = run(s, feed) if feed is not None else None
    if want is None:
        count("ONNX Runtime does not run the original on these inputs")
        return
    names = {i.name for i in t.get_inputs()}
    got = run(t, {k: v for k, v in feed.items() if k in names})
    if got is None or not same(want, got):
        fail(path, "ONNX Runtime gives other outputs")
        return
    count("ONNX Runtime agrees")


def main():
    with tempfile.TemporaryDirectory() as tmp:
        for root in roots:
            for folder, dirs, files in os.walk(root):
                dirs.sort()
                for f in sorted(files):
                    if f.endswith(".onnx"):
                        count("models")
                        one(os.path.join(folder, f), os.path.join(tmp, "out.onnx"))
    print("; ".join(f"{v} {k}" for k, v in sorted(counts.items())) + f"; {failures} failures")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
