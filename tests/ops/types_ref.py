"""types_ref.py RUN_BATCH DIR... [--all] [--op NAME] [-v] [--excused]: the official node cases with other element types and in older versions.

For each official case of one node (DIR/node/*, models below 20 KB) and each element type that the operator's schema allows for a type
variable, a variant of the model is made with that type and seeded random inputs in the range of the case's own (indices stay
indices). It runs in our engine (run_batch: one process for all), in onnx.reference.ReferenceEvaluator and, where it takes the
types, in ONNX Runtime. Half precision is also worked out in float32 by the reference, since it rounds after each step itself. Ours
must agree with one of them; where it agrees with none, or refuses what another one runs, the variant fails, unless
types_exceptions.txt says who is wrong and why. The same cases run at every older version of the operator whose schema has the same
form; there ONNX Runtime's answer is asked first, since the recorded one is of the newer version. Cast is run for every pair of types, whether saturating or not.

Tolerances, as share of the largest magnitude of the output plus that of the element: float 2e-5, double 1e-5 (the reference works some operators out in
float), float16 and bfloat16 four roundings, 8-bit and 4-bit floats one step; integers, strings, truth values equal.

--excused prints what each excused variant gives. Without --all one variant in PART is run, chosen by its name, and at least one of each operator.
"""
import argparse
import collections
import multiprocessing
import os
import pickle
import re
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib

import ml_dtypes
import numpy as np
import onnx
import onnx.defs
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from types_mended import MENDED

warnings.filterwarnings("ignore")
PART = 16
NEWEST = onnx.defs.onnx_opset_version()
WORDS = {"float": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "string": 8, "bool": 9, "float16": 10,
         "double": 11, "uint32": 12, "uint64": 13, "complex64": 14, "complex128": 15, "bfloat16": 16, "float8e4m3fn": 17,
         "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20, "uint4": 21, "int4": 22, "float4e2m1": 23}
NAMES = {v: k for k, v in WORDS.items()}
NP = {t: np.dtype(object) if t == 8 else np.dtype(helper.tensor_dtype_to_np_dtype(t)) for t in NAMES}
FLOATS = {1, 10, 11, 16, 17, 18, 19, 20, 23}
NATIVE = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}  # what numpy can give to ONNX Runtime
STEP = {1: 2e-5, 11: 1e-5, 10: 4e-3, 16: 3.2e-2, 17: 0.13, 18: 0.13, 19: 0.26, 20: 0.26, 23: 0.51}
# Answers are draws, depend on graphs of their own, or are not tensors.
SKIP = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli", "Dropout", "ImageDecoder", "If",
        "Loop", "Scan", "SequenceMap", "Constant", "FlexAttention"}
HISTORY = collections.defaultdict(list)
for schema in onnx.defs.get_all_schemas_with_history():
    if not schema.deprecated:
        HISTORY[schema.domain, schema.name].append(schema)


def schema_at(domain, op, version):
    known = [s for s in HISTORY[domain, op] if s.since_version <= version]
    return max(known, key=lambda s: s.since_version) if known else None


def formal(params, i):
    if i < len(params):
        return params[i]
    last = params[-1] if params else None
    return last if last and last.option.name == "Variadic" else None


def fixed_by_case(node, p):
    """Whether an output keeps its type when those of the inputs change: one type alone, or statistics of stash_type."""
    return p.type_str.startswith("tensor(") or node.op_type == "LayerNormalization" and p.type_str == "U"


def load_case(path):
    model = onnx.load(os.path.join(path, "model.onnx"))
    g = model.graph
    if len(g.node) != 1 or g.initializer or model.functions or g.node[0].op_type in SKIP:
        return None
    if any(a.type in (5, 10) for a in g.node[0].attribute):
        return None
    if any(v.type.WhichOneof("value") != "tensor_type" for v in list(g.input) + list(g.output)):
        return None
    data = os.path.join(path, "test_data_set_0")
    read = lambda kind, i: onnx.load_tensor(os.path.join(data, f"{kind}_{i}.pb"))
    try:
        ins = [read("input", i) for i in range(len(g.input))]
        outs = [read("output", i) for i in range(len(g.output))]
        if any(t.data_type not in NAMES for t in ins + outs):
            return None
        if any(t.data_type != v.type.tensor_type.elem_type for t, v in zip(ins + outs, list(g.input) + list(g.output))):
            return None
        return model, [numpy_helper.to_array(t) for t in ins], [numpy_helper.to_array(t) for t in outs]
    except (OSError, ValueError, TypeError):
        return None


def typed(model, types, opset):
    """A copy at this version; types: element type by value name. The shapes of outputs are left open."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    for v in list(m.graph.input) + list(m.graph.output):
        v.type.tensor_type.elem_type = types.get(v.name, v.type.tensor_type.elem_type)
    for v in m.graph.output:
        v.type.tensor_type.ClearField("shape")
        if not types.get(v.name, 1):  # an attribute or another input's type gives it
            v.ClearField("type")
    for o in m.opset_import:
        if o.domain == m.graph.node[0].domain:
            o.version = opset
    m.ir_version = min(m.ir_version, 10)
    return m


def drawn(x, to, rng):
    """Numbers like x's in another type: floats are stirred, integers (which may be indices) kept as they are, in range."""
    if x.dtype == object or to == 8:
        if x.dtype == object and to != 8:
            return None
        flat = [str(v) if isinstance(v, (str, complex)) or not np.isfinite(float(v)) else str(int(v) % 7) for v in x.ravel()]
        return np.array(flat, dtype=object).reshape(x.shape)
    if x.dtype.kind == "c":
        return x.astype(NP[to]) if NP[to].kind == "c" else None
    was_float = x.dtype.kind not in "iub" and not x.dtype.name.startswith(("int", "uint"))
    v = x.astype(np.float64)
    if was_float:
        v = v * (1 + 0.25 * rng.uniform(-1, 1, x.shape))
    if to == 9:
        return v > np.median(v) if was_float and v.size else v.astype(np.int64) % 2 != 0
    if to in FLOATS or NP[to].kind == "c":
        return v.astype(np.float32).astype(NP[to]) if to not in (11, 15) else v.astype(NP[to])
    v = np.nan_to_num(v, posinf=100, neginf=-100)
    if was_float:
        top = np.abs(v).max() if v.size else 0
        v = np.rint(v * 10 if top <= 4 else v)
    info = ml_dtypes.iinfo(NP[to])
    low, high = (int(info.min), int(info.max)) if not was_float else (max(int(info.min), -100), min(int(info.max), 100))
    v = np.abs(v) if low == 0 else v
    if not was_float and x.dtype.kind in "iu" and NP[to].kind in "iu":
        return np.asarray(np.clip(x.astype(object), low, high), dtype=object).astype(np.int64 if low < 0 else np.uint64).astype(NP[to])
    return np.clip(v, low, min(high, 2 ** 53)).astype(np.int64).astype(NP[to])


def variants(name, model, ins, outs):
    """(name, model, inputs, types of outputs, upcast or None, recorded outputs or None)"""
    node = model.graph.node[0]
    domain = node.domain
    opset = next((o.version for o in model.opset_import if o.domain == domain), 0)
    opset = min(opset, NEWEST) if domain == "" else opset
    schema = schema_at(domain, node.op_type, opset)
    if not schema:
        return
    values = {v.name: (v.type.tensor_type.elem_type, i) for i, v in enumerate(model.graph.input)}
    var_of = {n: formal(schema.inputs, i) for i, n in enumerate(node.input) if n}
    out_of = {n: formal(schema.outputs, i) for i, n in enumerate(node.output) if n}
    if any(p is None for p in list(var_of.values()) + list(out_of.values())):
        return
    base = {v.name: v.type.tensor_type.elem_type for v in list(model.graph.input) + list(model.graph.output)}
    inner = {p.type_str for p in var_of.values() if p.is_homogeneous} | {"tensor(int64)", "tensor(bool)"}
    for tc in schema.type_constraints:
        var = tc.type_param_str
        bound = [n for n, p in var_of.items() if p.type_str == var and p.is_homogeneous]
        if not bound:
            continue
        old = base[bound[0]]
        for text in tc.allowed_type_strs:
            t = re.fullmatch(r"tensor\((\w+)\)", text)
            t = WORDS.get(t[1]) if t else None
            if t is None or t == old:
                continue
            types = dict(base)
            types.update({n: t for n in bound})
            types.update({n: t for n, p in out_of.items() if p.type_str == var})
            types.update({n: 0 for n, p in out_of.items() if p.type_str not in inner and not fixed_by_case(node, p)})
            title = f"{name} {var}={NAMES[t]}"
            rng = np.random.default_rng(zlib.crc32(title.encode()))
            new = [drawn(x, t, rng) if v.name in bound else x for x, v in zip(ins, model.graph.input)]
            if any(x is None for x in new):
                continue
            up = None
            divides = node.op_type == "QuantizeLinear" and var == "T2"  # its type is that of the quotient
            if t in (10, 16) and "tensor(float)" in tc.allowed_type_strs and not divides:
                wide = dict(types)
                wide.update({n: 1 for n, k in types.items() if k == t})
                up = typed(model, wide, opset), [x.astype(np.float32) if v.name in bound else x for x, v in zip(new, model.graph.input)]
            yield title, typed(model, types, opset), new, [types[v.name] for v in model.graph.output], up, None
    form = lambda s: ([(p.name, p.option) for p in s.inputs], [(p.name, p.option) for p in s.outputs],
                      {k: str(a.default_value) for k, a in s.attributes.items()})
    for s in HISTORY[domain, node.op_type]:
        if s.since_version >= schema.since_version or form(s) != form(schema):
            continue
        limits = {tc.type_param_str: tc.allowed_type_strs for tc in s.type_constraints}
        fits = lambda n, p: p is None or f"tensor({NAMES[base[n]]})" in limits.get(p.type_str, [p.type_str])
        if all(fits(n, formal(s.inputs, i)) for i, n in enumerate(node.input) if n):
            yield (f"{name} opset={s.since_version}", typed(model, base, s.since_version), ins,
                   [base[v.name] for v in model.graph.output], None, outs)


SPECIAL = [0, -0.0, 0.5, -0.5, 1, 1.5, 2.5, -2.5, 3, 5.25, 7, 8, -8, -9, 15, 16, 100, 127.5, -129, 240, 247, 248, 249, 256, 300, 448, 463,
           464, 465, 1e-3, 1e-7, 2 ** -10, 3 * 2.0 ** -10, 2 ** -17, 57344, 61439, 61440, 61441, 65504, 65520, 70000, -70000, 1e10, 1e30, -1e30,
           0.1, 1 / 3, 123456.789, np.nan, np.inf, -np.inf]


def casts():
    """Every pair of types that Cast allows, with and without saturation, in each rounding mode."""
    schema = onnx.defs.get_schema("Cast")
    allowed = [sorted(WORDS[re.fullmatch(r"tensor\((\w+)\)", t)[1]] for t in c.allowed_type_strs if t[7:-1] in WORDS)
               for c in schema.type_constraints]
    for a in allowed[0]:
        x = np.array(SPECIAL)
        if a == 8:
            x = np.array([repr(float(v)) for v in x], dtype=object)
        elif a in FLOATS:
            x = x.astype(np.float32).astype(NP[a]) if a != 11 else x
        else:
            top, low = (1, 0) if a == 9 else (int(ml_dtypes.iinfo(NP[a]).max), int(ml_dtypes.iinfo(NP[a]).min))
            x = np.array([int(min(max(v, low), top)) for v in x if np.isfinite(v)] + [low, top], dtype=object).astype(NP[a])
        for b in allowed[1]:
            if b == a:
                continue
            ways = [{}] + [{"saturate": 0}] * (17 <= b <= 20)
            for way in ways:
                node = helper.make_node("Cast", ["x"], ["y"], to=b, **way)
                graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", a, x.shape)],
                                          [helper.make_tensor_value_info("y", b, None)])
                model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", NEWEST)])
                yield f"cast {NAMES[a]} to {NAMES[b]}{' no saturate' if way else ''}", model, [x], [b], None, None


def comparable(job, got):
    """What a cast leaves open is made the same: integers from NaN, infinity, or a number outside them; how a number is written."""
    _, model, inputs, _, _, _ = job
    if model.graph.node[0].op_type not in ("Cast", "CastLike") or got is None or got[0] is None:
        return got
    x, y = inputs[0], np.array(got[0])
    if x.shape != y.shape:
        return got
    if y.dtype.kind in "OU" and x.dtype != object and x.dtype.kind not in "iub" and "int" not in x.dtype.name:
        as_number = lambda s: str(np.float64(s).astype(x.dtype).astype(np.float64))
        return [np.array([as_number(s) for s in y.ravel()], dtype=object).reshape(y.shape)]
    if "int" in y.dtype.name:
        info, v = ml_dtypes.iinfo(y.dtype), x.astype(np.float64)
        top = np.nextafter(float(info.max) + 1, 0) if int(info.max) > 2 ** 53 else float(info.max)
        whole = x.dtype.kind in "iub" or "int" in x.dtype.name  # the low bits: no question
        out = ~np.isfinite(v) | (~whole & ((np.trunc(v) < int(info.min)) | (np.trunc(v) > top)))
        y = np.where(out, np.zeros((), y.dtype), y)
    return [y]


def run_reference(model, inputs):
    try:
        out = ReferenceEvaluator(model, new_ops=MENDED).run(None, {v.name: x for v, x in zip(model.graph.input, inputs)})
        return [np.asarray(x) for x in out]
    except Exception:  # noqa: whatever it cannot do is no answer
        return None


def run_ort(model, inputs, types):
    import onnxruntime as ort
    if any(v.type.tensor_type.elem_type not in NATIVE for v in model.graph.input) or any(t and t not in NATIVE for t in types):
        return None
    so = ort.SessionOptions()
    so.intra_op_num_threads = 1
    so.log_severity_level = 4
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        s = ort.InferenceSession(model.SerializeToString(), so, providers=["CPUExecutionProvider"])
        return [np.asarray(x) for x in s.run(None, {v.name: x for v, x in zip(model.graph.input, inputs)})]
    except Exception:  # noqa
        return None


def as_f64(x):
    return x.astype(np.complex128) if x.dtype.kind == "c" else x.astype(np.float64)


def agree(got, want, types):
    for g, w, t in zip(got, want, types):
        if g is None:
            continue
        if g.shape != w.shape:
            return False
        if t == 8:
            if [str(a) for a in g.ravel()] != [str(a) for a in w.ravel()]:
                return False
        elif t in STEP or NP[t].kind == "c":
            a, b = as_f64(g), as_f64(w)
            with np.errstate(all="ignore"):
                finite = np.abs(b[np.isfinite(b)])
                tol = STEP.get(t, 1e-5) * (0.5 * np.abs(b) + 0.5 * (finite.max() if finite.size else 0) + 1e-6)
                if not np.all((a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= tol)):
                    return False
        elif not np.array_equal(g.astype(object), w.astype(object) if w.dtype.kind != "f" else w.astype(g.dtype).astype(object)):
            return False
    return True


def work(job):
    """All references of one variant: what they gave, or None."""
    title, model, inputs, types, up, recorded = job
    with np.errstate(all="ignore"):
        return [run_ort(model, inputs, types), run_reference(model, inputs), run_reference(*up) if up else None, recorded]


def worker(jobs, at, step, path):
    with open(path, "ab") as f:
        for i in range(at, len(jobs), step):
            signal.alarm(20)  # nobody catches it: the process ends
            pickle.dump((i, work(jobs[i])), f)
            f.flush()


def run_references(jobs, n_workers=2):
    """Answers to all jobs. Another runtime may crash or hang on a model: that one has no answer, and the rest goes on."""
    answers = [[None, None, None, job[5]] for job in jobs]
    with tempfile.TemporaryDirectory() as d:
        running = {}
        start = lambda k, at: running.__setitem__(k, (multiprocessing.Process(target=worker, args=(jobs, at, n_workers, f"{d}/{k}")), at))
        for k in range(n_workers):
            start(k, k)
            running[k][0].start()
        while running:
            for k, (process, at) in list(running.items()):
                process.join(0.2)
                if process.is_alive():
                    continue
                del running[k]
                last = at - n_workers
                with open(f"{d}/{k}", "ab+") as f:
                    f.seek(0)
                    try:
                        while True:
                            last, answer = pickle.load(f)
                            answers[last] = answer
                    except (EOFError, pickle.UnpicklingError):
                        f.truncate(0)
                if last + 2 * n_workers < len(jobs):  # the one after `last` ended the process
                    start(k, last + 2 * n_workers)
                    running[k][0].start()
    return answers


def tensor_bytes(x, t):
    if t == 8:
        return helper.make_tensor("x", 8, x.shape, [s.encode() for s in x.ravel()]).SerializeToString()
    return numpy_helper.from_array(np.ascontiguousarray(x).reshape(x.shape)).SerializeToString()


def read_tensor(b, at):
    t, = struct.unpack_from("<I", b, at)
    at += 4
    if t == 0:
        return 0, None, at
    rank, = struct.unpack_from("<I", b, at)
    dims = struct.unpack_from(f"<{rank}q", b, at + 4)
    n, = struct.unpack_from("<Q", b, at + 4 + 8 * rank)
    at += 12 + 8 * rank
    raw, at = b[at:at + n], at + n
    if t == 8:
        texts, p = [], 0
        while p < n:
            k, = struct.unpack_from("<I", raw, p)
            texts.append(raw[p + 4:p + 4 + k].decode())
            p += 4 + k
        return t, np.array(texts, dtype=object).reshape(dims), at
    return t, numpy_helper.to_array(TensorProto(data_type=t, dims=dims, raw_data=raw)), at


def run_ours(batch, jobs):
    with tempfile.TemporaryDirectory() as d:
        with open(f"{d}/in", "wb") as f:
            for _, model, inputs, _, _, _ in jobs:
                parts = [model.SerializeToString()]
                parts += [tensor_bytes(x, v.type.tensor_type.elem_type) for x, v in zip(inputs, model.graph.input)]
                f.write(struct.pack("<I", len(parts[0])) + parts[0] + struct.pack("<I", len(parts) - 1))
                for p in parts[1:]:
                    f.write(struct.pack("<I", len(p)) + p)
        subprocess.run([batch, f"{d}/in", f"{d}/out"], check=False)
        with open(f"{d}/out", "rb") as f:
            b = f.read()
    at, results = 0, []
    while at + 8 <= len(b):
        status, n = struct.unpack_from("<II", b, at)
        at += 8
        if status:
            results.append(b[at:at + n].decode())
            at += n
            continue
        out = []
        for _ in range(n):
            t, x, at = read_tensor(b, at)
            out.append((t, x))
        results.append(out)
    return results


def judge(ours, job, answers):
    """'' when ours is right, '-' when nobody else runs it, else what is wrong."""
    types = job[3]
    answers = [comparable(job, a) for a in answers]
    there = [a for a in answers if a is not None]
    if isinstance(ours, str):
        return f"refused: {ours}" if there and answers[3] is None or answers[0] is not None else "-"
    for (t, x), want in zip(ours, types):
        if x is not None and want and t != want:
            return f"gives {NAMES.get(t, t)}, not {NAMES[want]}"
    if not there:
        return "-"
    got, types = comparable(job, [x for _, x in ours]), [t for t, _ in ours]
    if answers[3] is not None and answers[0] is not None:
        there = [answers[0]]
    if any(agree(got, a, types) for a in there):
        return ""
    show = lambda a: "none" if a is None else " ".join(str(x.ravel()[:8]) for x in a).replace("\n", " ")
    return f"differs: ours {show([x for x in got if x is not None])}; ort {show(answers[0])}; reference {show(answers[1])}; in float {show(answers[2])}"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("batch")
    p.add_argument("dirs", nargs="+")
    p.add_argument("--all", action="store_true")
    p.add_argument("--op")
    p.add_argument("-v", action="store_true")
    p.add_argument("--excused", action="store_true")
    args = p.parse_args()
    exceptions = []
    for line in open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "types_exceptions.txt"), encoding="utf-8"):
        if line.strip() and not line.startswith("#"):
            op, pattern, reason = (x.strip() for x in line.split(" ; ", 2))
            exceptions.append([op, re.compile(pattern), reason, 0])
    jobs, seen, ops_seen = [], set(), set()
    for d in reversed(args.dirs):
        folder = os.path.join(d, "node")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            if "_expanded" in name or name in seen or os.path.getsize(os.path.join(path, "model.onnx")) > 20000:
                continue
            seen.add(name)
            case = load_case(path)
            if not case or args.op and case[0].graph.node[0].op_type != args.op:
                continue
            for job in variants(name.removeprefix("test_"), *case):
                op = case[0].graph.node[0].op_type
                if args.all or args.op or op not in ops_seen or zlib.crc32(job[0].encode()) % PART == 0:
                    jobs.append(job)
                    ops_seen.add(op)
    for job in casts() if args.op in (None, "Cast") else ():
        if args.all or args.op or zlib.crc32(job[0].encode()) % PART == 0:
            jobs.append(job)
    ours = run_ours(args.batch, jobs)
    answers = run_references(jobs)
    tally = collections.OrderedDict()
    n_bad = n_alone = n_excused = 0
    for i, (title, model, _, _, _, _) in enumerate(jobs):
        op = model.graph.node[0].op_type
        row = tally.setdefault(op, [0, []])
        row[0] += 1
        what = judge(ours[i], jobs[i], answers[i]) if i < len(ours) else "the process ended here or before"
        if what == "-":
            n_alone += 1
        elif what:
            excuse = next((e for e in exceptions if e[0] == op and e[1].search(title)), None)
            if excuse:
                excuse[3] += 1
                n_excused += 1
                if args.excused:
                    print(f"# excused by '{excuse[1].pattern}': {title}: {what[:900]}")
            else:
                row[1].append(f"{title}: {what}")
                n_bad += 1
    for n, (op, (count, bad)) in enumerate(sorted(tally.items())):
        for text in bad if args.v else bad[:3]:
            print("# " + text[:700])
        print(f"{'not ok' if bad else 'ok'} {n + 1} - {op}: {count} variants" + (f", {len(bad)} wrong" if bad else ""))
    print(f"1..{len(tally)}")
    print(f"# {len(jobs)} variants, {n_bad} wrong, {n_excused} excused, {n_alone} that only we run")
    if args.all and not args.op:
        for op, pattern, reason, n in exceptions:
            if not n:
                print(f"# not needed any more: {op} {pattern.pattern}: {reason}")
    sys.exit(1 if n_bad else 0)


if __name__ == "__main__":
    main()
