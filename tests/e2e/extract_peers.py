"""extract_peers.py USTA DIR...: parts of models, cut by `usta extract`, against the whole and seen by others.

For every model under the folders that runs on random inputs: trace it with all values saved; cut it between a value at a third
and one at two thirds of the run; the part, fed with the saved values, must give the saved values to the bit (usta trace
--against, tolerance 0); the onnx package's checker accepts the part whenever it accepts the whole; ONNX Runtime loads the part
whenever it loads the whole, and agrees with the saved output. Exit status 1 when something fails.
"""
import json, os, subprocess, sys, tempfile
import numpy as np
import onnx
import onnxruntime as ort

ort.set_default_logger_severity(4)
usta, roots = sys.argv[1], sys.argv[2:]
TOLERANCE = 1e-3  # of the output's largest element: sums in another order
QUANTISED = 2e-2  # the same where a value between is quantised: rounding the other way is a step of 1/127 or 1/255
MAX_BYTES = 12 << 20
counts, failures = {}, 0


def count(what):
    counts[what] = counts.get(what, 0) + 1


def fail(path, why):
    global failures
    failures += 1
    print(f"FAIL {path}: {why}"[:600])


def call(*args):
    return subprocess.run([usta, *args], capture_output=True, text=True)


def accepted(path):
    try:
        onnx.checker.check_model(path)
        return True
    except Exception:
        return False


def session(path):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception:
        return None


def file_of(folder, name):
    return os.path.join(folder, name.replace("/", "_").replace(":", "_") + ".npy")


def compare_ort(path, part, values, to, quantised):
    if session(path) is None:
        return
    s = session(part)
    if s is None:
        return fail(path, "ONNX Runtime does not load the part")
    feed = {i.name: np.load(file_of(values, i.name)) for i in s.get_inputs()}
    want, got = np.load(file_of(values, to)), s.run([to], feed)[0]
    if want.shape != got.shape or want.dtype != got.dtype:
        return fail(path, f"ONNX Runtime: {got.dtype}{got.shape}, not {want.dtype}{want.shape}")
    a, b = want.astype(np.float64), got.astype(np.float64)
    top = np.abs(b).max(initial=0) or 1
    step = 1 if want.dtype.kind in "iu" else 0  # quantised values may round the other way
    if np.abs(a - b).max(initial=0) > max((QUANTISED if quantised else TOLERANCE) * top, step):
        return fail(path, f"ONNX Runtime differs by {np.abs(a - b).max()} of {top}")
    count("equal in ONNX Runtime")


def one(path, folder):
    values, part = os.path.join(folder, "values"), os.path.join(folder, "part.onnx")
    r = call("trace", "--json", path, "--random", "--save", values)
    if r.returncode:
        return count("do not run on random inputs")
    rows = [v for v in json.loads(r.stdout)["values"] if not v["made"] and not v["graph"] and "," not in v["name"]
            and v["type"][0] not in "sm" and len(v["name"]) < 200]
    if len(rows) < 3:
        return count("too small to cut")
    since, to = rows[len(rows) // 3]["name"], rows[2 * len(rows) // 3]["name"]
    r = call("extract", "--json", path, part, "--from", since, "--to", to, "--add-inputs")
    if r.returncode:
        return fail(path, f"{since} to {to}: {r.stderr}")
    inputs = [i["name"] for i in json.loads(r.stdout)["inputs"]]
    given = [x for i in inputs for x in ("-i", f"{i}={file_of(values, i)}")]
    r = call("trace", part, *given, "--against", values, "--tolerance", "0")
    if r.returncode:
        return fail(path, f"{since} to {to}: {r.stderr}")
    count("equal to the bit")
    if accepted(path):
        if not accepted(part):
            return fail(path, f"{since} to {to}: the onnx checker refuses the part")
        count("accepted by the onnx checker")
    compare_ort(path, part, values, to, any("Quant" in v["operator"] or "QLinear" in v["operator"] for v in rows))


for root in roots:
    for at, _, files in sorted(os.walk(root)):
        for name in sorted(files):
            path = os.path.join(at, name)
            if name.endswith(".onnx") and os.path.getsize(path) <= MAX_BYTES:
                count("models")
                with tempfile.TemporaryDirectory() as folder:
                    one(path, folder)
print(", ".join(f"{n} {what}" for what, n in counts.items()) + f"; {failures} failures")
sys.exit(failures > 0)
