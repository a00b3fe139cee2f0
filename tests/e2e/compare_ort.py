"""compare_ort.py MODEL.onnx ROWS.csv USTA: the same rows through ONNX Runtime and `usta infer` give the same outputs.

Builds the model's inputs from the CSV by the passport's schema in NumPy (an independent decoder), runs both, and
compares: labels exactly, floats within 1e-5 of the largest of their output (at least 1). Also has the onnx package's checker read the file.
Prints the largest difference; exit status 1 when they differ.
"""
import csv, json, os, subprocess, sys, tempfile
import numpy as np
import onnx
import onnxruntime as ort

model_path, rows_path, usta = sys.argv[1:4]
model = onnx.load(model_path)
onnx.checker.check_model(model, full_check=True)
passport = json.loads({p.key: p.value for p in model.metadata_props}["usta.passport"])
schema = passport["schema"]
kinds = {c["name"]: c["kind"] for c in schema["columns"]}
missing = set(schema.get("missing", [])) | {""}
trim = schema.get("trim", False)

with open(rows_path, newline="") as f:
    rows = [{k: (v.strip() if trim else v) for k, v in r.items()} for r in csv.DictReader(f)]


def column(name):
    cells = ["" if r[name] in missing else r[name] for r in rows]
    if kinds[name] in ("categorical", "text"):
        return np.array(cells, dtype=object).reshape(-1, 1)
    if kinds[name] == "timestamp":
        times = [np.iinfo(np.int64).min if c == "" else np.datetime64(c.rstrip("Z").replace(" ", "T"), "us").astype(np.int64)
                 for c in cells]
        return np.array(times, dtype=np.int64).reshape(-1, 1)
    words = {"true": "1", "false": "0"}
    return np.array([np.nan if c == "" else float(words.get(c.lower(), c)) for c in cells], dtype=np.float32).reshape(-1, 1)


names = [i.name for i in model.graph.input]
if names == ["features"] and "features" not in kinds:
    features = [c["name"] for c in schema["columns"] if c["role"] == "feature"]
    inputs = {"features": np.hstack([column(n) for n in features])}
else:
    inputs = {n: column(n) for n in names}

session = ort.InferenceSession(model_path, providers=["CPUExecutionProvider"])
want = dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs)))

with tempfile.TemporaryDirectory() as d:
    args = [usta, "infer", model_path, "-o", f"{d}/out"]
    for i, (n, x) in enumerate(inputs.items()):
        path = f"{d}/in{i}.npy"
        np.save(path, x.astype(str) if x.dtype == object else x)
        args += ["-i", f"{n}={path}"]
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)
    worst, bad = 0.0, 0
    for n, w in want.items():
        if w.dtype == object:
            got = np.array(json.load(open(f"{d}/out/{n}.json")), dtype=object).reshape(w.shape)
            bad += int((got != w).sum())
            continue
        got = np.load(f"{d}/out/{n}.npy").reshape(w.shape)
        if w.dtype.kind in "iu":
            bad += int((got != w).sum())
            continue
        finite = np.abs(w[np.isfinite(w)])
        size = float(finite.max()) if finite.size else 1.0  # sums are rounded by what they are made of, not by what is left
        diff = np.abs(got.astype(np.float64) - w) / max(1.0, size)
        worst = max(worst, float(diff.max()))
        bad += int((~(diff <= 1e-5)).sum())
print(f"{len(rows)} rows, {len(want)} outputs: largest difference {worst:.3g}, {bad} elements differ")
sys.exit(1 if bad else 0)
