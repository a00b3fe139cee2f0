"""ort_diff.py - one-node models through ONNX Runtime and `usta infer`: the same inputs must give the same outputs.

A family's script makes cases and calls `check`; `Report.end` prints TAP, one line per group of cases. Numbers are compared within
|got - want| <= tol * max(1, |want|), strings, integers and maps exactly, NaN equals NaN.
"""
import copy, ctypes, json, os, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, TensorProto

ort.set_default_logger_severity(4)
USTA = os.environ["USTA"]
OPSETS = {"": 21, "ai.onnx.ml": 4}


def value_info(name, x, fixed):
    """The graph input for a value: a tensor, with free dimensions unless fixed, or a map."""
    if isinstance(x, dict):
        key, val = next(iter(x.items()))
        kt = TensorProto.STRING if isinstance(key, str) else TensorProto.INT64
        vt = TensorProto.STRING if isinstance(val, str) else TensorProto.INT64 if isinstance(val, int) else TensorProto.FLOAT
        scalar = helper.make_tensor_type_proto(vt, None)
        return helper.make_value_info(name, helper.make_map_type_proto(kt, scalar))
    t = TensorProto.STRING if x.dtype == object else helper.np_dtype_to_tensor_dtype(x.dtype)
    return helper.make_tensor_value_info(name, t, x.shape if fixed else [f"{name}_{i}" for i in range(x.ndim)])


def make_model(nodes, inputs, outputs, opsets=None, inits=(), fixed=False):
    g = helper.make_graph(nodes, "g", [value_info(n, x, fixed) for n, x in inputs.items()],
                          [onnx.ValueInfoProto(name=n) for n in outputs], initializer=list(inits))
    ids = [helper.make_opsetid(d, v) for d, v in {**OPSETS, **(opsets or {})}.items()]
    return helper.make_model(g, opset_imports=ids, ir_version=8)


def run_ort(model, inputs, outputs):
    so = ort.SessionOptions()
    so.intra_op_num_threads = 1
    so.log_severity_level = 4
    held = copy.deepcopy(inputs)
    for x in held.values():
        if isinstance(x, dict):  # run() gives away a reference to it that it does not have
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(x))
    try:
        s = ort.InferenceSession(model.SerializeToString(), so, providers=["CPUExecutionProvider"])
        return dict(zip(outputs, s.run(outputs, held)))
    except Exception as e:  # noqa: whatever it refuses
        return str(e).splitlines()[-1][:200]


def run_usta(model, inputs, outputs):
    with tempfile.TemporaryDirectory() as d:
        onnx.save(model, f"{d}/m.onnx")
        args = [USTA, "infer", f"{d}/m.onnx", "-o", f"{d}/out", "--threads=1"]
        for n, x in inputs.items():
            if isinstance(x, dict) or x.dtype == object:
                json.dump(x if isinstance(x, dict) else x.tolist(), open(f"{d}/{n}.json", "w"))
                args += ["-i", f"{n}={d}/{n}.json"]
            else:
                np.save(f"{d}/{n}.npy", x)
                args += ["-i", f"{n}={d}/{n}.npy"]
        r = subprocess.run(args, capture_output=True, text=True)
        if r.returncode not in (0, 2):
            return f"exit status {r.returncode}: {r.stderr.strip()}!"
        if r.returncode:
            return r.stderr.strip()
        got = {}
        for n in outputs:
            path = f"{d}/out/{n}"
            got[n] = np.load(path + ".npy") if os.path.exists(path + ".npy") else json.load(open(path + ".json"))
        return got


def plain(v):
    """Sequences of maps as JSON would have them."""
    if isinstance(v, dict):
        return {str(k): plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if isinstance(v, np.ndarray) and v.dtype == object:
        return v.tolist()
    return v


def close(a, b, tol, steps=0):
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(close(a[k], b[k], tol) for k in b)
    if isinstance(b, list):
        return isinstance(a, list) and len(a) == len(b) and all(close(x, y, tol) for x, y in zip(a, b))
    if isinstance(b, np.ndarray):
        if not isinstance(a, np.ndarray) or a.shape != b.shape or a.dtype != b.dtype:
            return False
        if b.dtype.kind in "iu" and steps:
            return bool((np.abs(a.astype(np.int64) - b.astype(np.int64)) <= steps).all())
        if b.dtype.kind in "iub":
            return bool((a == b).all())
        with np.errstate(all="ignore"):
            x, y = a.astype(np.float64), b.astype(np.float64)
            same = (x == y) | (np.isnan(x) & np.isnan(y)) | (np.abs(x - y) <= tol * np.maximum(1, np.abs(y)))
        return bool(same.all())
    if isinstance(b, float):
        return a is not None and abs(a - b) <= tol * max(1, abs(b))
    return a == b


class Report:
    def __init__(self):
        self.groups, self.show = {}, int(os.environ.get("SHOW", "3"))
        self.pool, self.jobs = ThreadPoolExecutor(2), []

    def check(self, group, nodes, inputs, outputs, tol=1e-5, opsets=None, inits=(), fix=None, want=None, fixed=False, tol_int=0):
        """want: what must come out where ONNX Runtime refuses the model or is not followed (None: its own outputs, or an
        error on both sides). tol_int: the steps an integer may be off. fix: applied to its outputs where it is not followed; it may also take out what is not to be compared."""
        model = make_model(nodes, inputs, outputs, opsets, inits, fixed)
        self.jobs.append((group, model, inputs, outputs, tol, tol_int, fix, want, self.pool.submit(run_usta, model, inputs, outputs)))

    def settle(self, group, model, inputs, outputs, tol, steps, fix, want, job):
        w = run_ort(model, inputs, outputs) if want is None else want
        g = job.result()
        n = self.groups.setdefault(group, [0, 0, [], 0])
        n[0] += 1
        if isinstance(w, str) and isinstance(g, str) and not g.endswith("!"):
            n[3] += 1
            return
        if isinstance(w, dict) and isinstance(g, dict):
            w = fix(w) if fix else w
            bad = [o for o in w if not close(g[o], plain(w[o]), tol, steps)]
            if not bad:
                return
            what = "".join(f"\n#   {o}: got {str(g[o])[:900]}\n#   {o}: ort {str(w[o])[:900]}".replace("\n ", "\n#  ") for o in bad)
        else:
            what = f"\n#   got {g if isinstance(g, str) else 'a result'}\n#   ort {w if isinstance(w, str) else 'a result'}"
        n[1] += 1
        if len(n[2]) < self.show:
            node = str(helper.printable_node(model.graph.node[-1]))[:1500]
            ins = {k: v if isinstance(v, dict) else (v.dtype.name, v.shape, v.tolist() if v.size < 40 else "...") for k, v in inputs.items()}
            n[2].append(f"#   {node}\n#   inputs {ins}{what}")

    def end(self):
        for j in self.jobs:
            self.settle(*j)
        bad = 0
        for i, (g, (n, failed, texts, refused)) in enumerate(self.groups.items()):
            idle = refused == n  # nothing was compared
            bad += failed > 0 or idle
            for t in texts:
                print(t)
            print(f"{'not ok' if failed or idle else 'ok'} {i + 1} - {g}: {n} models" + (f", {refused} refused by both" if refused else "") +
                  (f", {failed} differ" if failed else ""))
        print(f"1..{len(self.groups)}")
        sys.exit(1 if bad else 0)
