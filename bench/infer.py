"""make bench-infer: usta beside ONNX Runtime, model by model, by classes, and the geometric mean.

    infer.py BUILD [--pairs N] [--threads N] [--only WORD] [--folder DIR]... [--quick]

Every model of the corpus (its folder of very small ones, tiny/, stands beside and is no part of the corpus figure) and of the zoo
(bench/zoo.c). bench_infer times both engines in one process, alternating; ONNX Runtime gets a copy in
which initialisers are no inputs. Columns:
    usta us, ORT us   the least time of a run over the windows of all pairs
    ratio, cpu        median over the pairs of (theirs / ours): wall time, processor time (the one to read while others use the machine)
    OV us             OpenVINO, the least time of a run, driven by its Python package (some 5 us a call): only for models over 200 us, and
                      only when `tools/setup --openvino` put it into build/peers-openvino; else "-"
    2 thr             our time with one thread over our time with two, models over 1 ms
    first, ORT        milliseconds from the file to the first result, the least of FIRSTS processes of each engine, alternating
    MB, ORT, weights  resident memory that the session added before its first run (median of the same processes); bytes of the weights
    apart             largest difference of both engines' outputs relative to the largest magnitude of the output; over the tolerance the row has
                      FAILED, does not count as measured, and the bench ends with status 1
--quick leaves out first results, memory, threads and OpenVINO, whose targets are "not measured" then. The last lines are the targets and a summary; everything is in
build/bench/infer.json.
"""
import argparse
import glob
import json
import math
import os
import shutil
import statistics
import subprocess
import sys

import onnx
import onnxruntime

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.environ.get("USTA_CORPUS") or os.path.join(HERE, "..", "..", "shared", "corpus")
FIRSTS = 3

# Outputs may differ by rounding: sums in another order. Integers inside: a rounding that falls to the other side moves by a step.
TOLERANCE, TOLERANCE_QUANTISED = 1e-3, 5e-2

# What the targets speak of. Words are looked for in names of models.
TREES = ("trees", "lgbm", "xgboost", "randomforest", "treeensemble")
CLASSES = [  # title, target, members: words that names start with, or for trees contain
    ("MLP, linear, trees, one row", 10.0, ("mlp_20", "linear_20") + TREES),
    ("ResNet-18/50, SqueezeNet f32", 1.0, ("resnet18", "resnet50", "squeezenet")),
    ("MobileNetV2, EfficientNet-B0 f32", 1.2, ("mobilenet_v2", "efficientnet_b0")),
    ("BERT-mini, MiniLM-shaped f32", 1.15, ("bert_mini", "minilm")),
    ("PRelu/HardSwish/Resize/ConvTranspose", 1.5, ("prelu_", "hardswish_", "resize_", "convtranspose_", "ppocr")),
    ("LSTM class", 1.3, ("lstm_", "gru_", "dtln", "silero", "g2p")),
]
QUANTISED = [  # int8 form, its f32 form
    ("resnet18_qdq", "resnet18"),
    ("mobilenetv2_imagenet1000_int8_qdq", "mobilenet_v2"),
    ("micro_kws_m_static_qdq", "micro_kws_m_static_fp32"),
    ("kws_qdq", "kws"),
    ("mobilenet_v2_qdq", "mobilenet_v2"),
    ("ad_i8_qdq", "ad_f32"),
]


# --- models ---------------------------------------------------------------------------------------------------


def library():
    found = glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so*"))
    if not found:
        sys.exit("bench: this onnxruntime package has no libonnxruntime.so")
    return found[0]


def repaired(path, m, folder):
    """A copy without initialisers among the inputs, where there are any."""
    weights = {t.name for t in m.graph.initializer}
    kept = [i for i in m.graph.input if i.name not in weights]
    if len(kept) == len(m.graph.input):
        return path
    del m.graph.input[:]
    m.graph.input.extend(kept)
    m.ir_version = max(m.ir_version, 4)
    copy = os.path.join(folder, os.path.basename(path))
    onnx.save(m, copy)
    return copy


def given(path):
    """NAME=FILE of the recorded inputs, if there are any."""
    folder = path[: -len(".onnx")] + ".golden"
    try:
        with open(os.path.join(folder, "golden.json")) as f:
            inputs = json.load(f)["inputs"]
    except OSError:
        return []
    return ["%s=%s" % (i["name"], os.path.join(folder, i["file"] + ".npy")) for i in inputs]


def models(args):
    folders = args.folder or [os.path.join(CORPUS, "models"), os.path.join(CORPUS, "tiny"), os.path.join(args.build, "bench", "zoo")]
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "**", "*.onnx"), recursive=True)):
            if not args.only or args.only in path:
                yield path


def nodes(graph):
    for n in graph.node:
        yield n
        for a in n.attribute:
            for g in ([a.g] if a.HasField("g") else []) + list(a.graphs):
                yield from nodes(g)


def weights_mb(m):
    size = sum(t.ByteSize() for t in m.graph.initializer)
    for n in nodes(m.graph):
        size += sum(a.ByteSize() for a in n.attribute if a.type in (a.TENSOR, a.FLOATS, a.INTS, a.STRINGS) and a.ByteSize() > 64)
    return size / 1e6


def quantised(m):
    return any("Quant" in n.op_type or n.op_type.startswith(("QLinear", "QAttention", "QGemm", "MatMulInteger", "ConvInteger")) for n in nodes(m.graph))


# --- measures -----------------------------------------------------------------------------------------------------


def told(cmd, timeout=600):
    """The JSON that a program prints, or why there is none."""
    try:
        r = subprocess.run(cmd, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return None, "took more than ten minutes"
    if r.returncode != 0:
        last = (r.stderr.strip().splitlines() or ["ended with %d" % r.returncode])[-1]
        return None, last.removeprefix("bench_infer: ")
    return json.loads(r.stdout.strip().splitlines()[-1]), ""


def openvino(path, inputs):
    python = os.path.join(HERE, "..", "build", "peers-openvino", "bin", "python")
    if not os.path.exists(python):
        return None
    r, _ = told([python, os.path.join(HERE, "infer_ov.py"), path] + inputs, 120)
    return r and r["us"]


def first_results(base, files, r):
    runs = {"usta": [], "ort": []}
    for i in range(FIRSTS):
        for engine in ("usta", "ort") if i % 2 == 0 else ("ort", "usta"):
            x, why = told(base + ["--first", engine] + files)
            if x is None:
                return why
            runs[engine].append(x)
    for engine, xs in runs.items():
        r[engine + "_first_ms"] = min(x["first_ms"] for x in xs)
        r[engine + "_open_ms"] = min(x["open_ms"] for x in xs)
        r[engine + "_load_mb"] = statistics.median(x["load_mb"] for x in xs)
        r[engine + "_first_mb"] = statistics.median(x["first_mb"] for x in xs)
    return ""


def compiled(args, base, files, r, folder):
    """Adds the first result of the compiled file to the row; or says why there is none."""
    plan = os.path.join(folder, "model.plan")
    c = subprocess.run([os.path.join(args.build, "src", "cli", "usta"), "compile", files[0], "-o", plan], capture_output=True, text=True)
    if c.returncode != 0:
        return (c.stderr.strip().splitlines() or ["?"])[0]
    runs = [told(base + ["--first", "usta", "--plan", plan] + files) for _ in range(FIRSTS)]
    os.remove(plan)
    for x, why in runs:
        if x is None:
            return why
    r["plan_first_ms"] = min(x["first_ms"] for x, _ in runs)
    r["plan_load_mb"] = statistics.median(x["load_mb"] for x, _ in runs)
    return ""


def measure(args, path, folder):
    """A row, or why there is none."""
    m = onnx.load(path)
    r = {"model": os.path.splitext(os.path.basename(path))[0], "corpus": os.path.abspath(path).startswith(os.path.abspath(os.path.join(CORPUS, "models")) + os.sep),
         "quantised": quantised(m), "weights_mb": weights_mb(m)}
    inputs = given(path)
    files = [path, repaired(path, m, folder)] + inputs
    base = [os.path.join(args.build, "bench", "bench_infer"), "--ort", library(), "--threads", str(args.threads)]
    x, why = told(base + ["--pairs", str(args.pairs), "--scaling", "0" if args.quick else "1"] + files)
    if x is None:
        return r, why
    r.update(x)
    r["tolerance"] = TOLERANCE_QUANTISED if r["quantised"] else TOLERANCE
    if not r["apart"] <= r["tolerance"]:
        return r, "FAILED: outputs are %.2g apart, allowed %g" % (r["apart"], r["tolerance"])
    if args.quick:
        return r, ""
    why = first_results(base, files, r)
    if not why and r["weights_mb"] > 20:
        r["plan_why"] = compiled(args, base, files, r, folder)
    if not why and r["ort_us"] > 200:
        r["openvino_us"] = openvino(files[1], inputs)
    return r, why


# --- the table --------------------------------------------------------------------------------------------------------

COLUMNS = [  # title, width, format, key
    ("usta us", 11, "%.2f", "usta_us"), ("ORT us", 11, "%.2f", "ort_us"), ("ratio", 6, "%.2f", "ratio"), ("cpu", 6, "%.2f", "cpu_ratio"),
    ("OV us", 9, "%.0f", "openvino_us"), ("2 thr", 6, "%.2f", "two_threads"), ("first ms", 9, "%.2f", "usta_first_ms"),
    ("ORT", 9, "%.2f", "ort_first_ms"), ("MB", 7, "%.1f", "usta_load_mb"), ("ORT", 7, "%.1f", "ort_load_mb"), ("weights", 7, "%.1f", "weights_mb"),
    ("apart", 8, "%.1g", "apart"),
]


def head():
    return "%-36s" % "model" + "".join(" %*s" % (w, t) for t, w, _, _ in COLUMNS)


def line(r):
    return "%-36s" % r["model"][:36] + "".join(" %*s" % (w, f % r[k] if r.get(k) else "0" if k == "apart" else "-") for _, w, f, k in COLUMNS)


def geomean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else float("nan")


# --- targets --------------------------------------------------------------------------------------------------------------


class Targets:
    """Rows of (what, target, measured, verdict)."""

    def __init__(self):
        self.rows = []

    def add(self, what, target, measured, met):
        self.rows.append({"what": what, "target": target, "measured": measured, "met": met})

    def ratios(self, what, target, rows, floor=None, missing=()):
        """Every member at the target: met; their mean only: met in the mean. With a floor: mean at the target, all at the floor.
        Not met while a member is missing."""
        if not rows:
            return self.add(what, ">= %g" % target, "nothing measured", "no")
        g, worst = geomean([r["ratio"] for r in rows]), min(rows, key=lambda r: r["ratio"])
        below = [r for r in rows if r["ratio"] < (floor or target)]
        met = "yes" if g >= target and not below else "mean only" if g >= target else "no"
        text = "geomean %.2f of %d, worst %.2f %s" % (g, len(rows), worst["ratio"], worst["model"][:28])
        if floor:
            text += ", %d below %g" % (len(below), floor)
        if missing:
            met, text = "no", text + ", not measured: " + " ".join(missing)
        self.add(what, ">= %g" % target + (", none < %g" % floor if floor else ""), text, met)

    def unmeasured(self, what, target, why=""):
        self.add(what, target, "not measured" + (": " + why[:60] if why else ""), "no")

    def print(self):
        print("\n%-42s %-18s %-86s %s" % ("target", "is", "measured", "met"))
        for r in self.rows:
            print("%-42s %-18s %-86s %s" % (r["what"], r["target"], r["measured"], r["met"]))


def quantised_targets(t, rows):
    by_name = {r["model"]: r for r in rows}
    for q, f in QUANTISED:
        if q not in by_name:
            t.unmeasured("int8 " + q[:36], ">= 0.9, < own f32")
            continue
        r = by_name[q]
        own = by_name[f]["usta_us"] / r["usta_us"] if f in by_name else float("nan")
        t.add("int8 " + q[:36], ">= 0.9, < own f32", "%.2f; %.2f x own f32 (%s)" % (r["ratio"], own, f), "yes" if r["ratio"] >= 0.9 and own > 1 else "no")


def load_targets(t, rows):
    big = next((r for r in rows if r["model"] == "resnet50"), {})
    for what, key, part in (("ResNet-50 .onnx to first result", "usta_first_ms", 3), ("ResNet-50 compiled to first result", "plan_first_ms", 15)):
        if not big.get(key):
            t.unmeasured(what, "<= 1/%d of ORT" % part, big.get("plan_why", "") if key == "plan_first_ms" else "")
            continue
        x = big[key] / big["ort_first_ms"]
        t.add(what, "<= 1/%d of ORT" % part, "%.1f ms, ORT %.1f ms: 1/%.2f" % (big[key], big["ort_first_ms"], 1 / x), "yes" if x <= 1 / part else "no")
    sized = [r for r in rows if r.get("usta_load_mb")]
    if not sized:
        return t.unmeasured("resident after load", "<= 1.1 weights + 3 MB")
    over = [r for r in sized if r["usta_load_mb"] > 1.1 * r["weights_mb"] + 3]
    worst = max(sized, key=lambda r: r["usta_load_mb"] - 1.1 * r["weights_mb"])
    t.add("resident after load", "<= 1.1 weights + 3 MB", "%d of %d over; worst %s %.1f MB for %.1f MB" % (len(over), len(sized), worst["model"][:24], worst["usta_load_mb"], worst["weights_mb"]),
          "no" if over else "yes")


def library_target(t, build):
    found = [f for f in glob.glob(os.path.join(build, "src", "libusta.so*.*.*")) if os.path.isfile(f)]
    if not found or not shutil.which("strip") or not shutil.which("readelf"):
        return t.unmeasured("engine library, stripped", "<= 2 MB; libc, libm", "no library, or no strip and readelf")
    copy = os.path.join(build, "bench", "libusta.stripped")
    subprocess.run(["strip", "-o", copy, found[0]], check=True)
    needs = subprocess.run(["readelf", "-d", copy], capture_output=True, text=True, check=True).stdout
    names = sorted(line.split("[")[1].rstrip("]") for line in needs.splitlines() if "NEEDED" in line)
    mb = os.path.getsize(copy) / 1e6
    alien = [n for n in names if not n.startswith(("libc.", "libm.", "libpthread.", "ld-linux"))]
    t.add("engine library, stripped", "<= 2 MB; libc, libm", "%.2f MB; %s" % (mb, " ".join(names)), "yes" if mb <= 2 and not alien else "no")


def fits(r, word):
    return r["model"].startswith(word) or (word in TREES and word in r["model"])


def targets(rows, build):
    t = Targets()
    f32 = [r for r in rows if not r["quantised"]]
    t.ratios("corpus models, f32", 1.4, [r for r in f32 if r["corpus"]], 0.9)
    for what, target, words in CLASSES:
        members = [r for r in f32 if any(fits(r, w) for w in words)]
        t.ratios(what, target, members, missing=[w for w in words if not any(fits(r, w) for r in members)])
    t.ratios("models under 100 us in ONNX Runtime", 3.0, [r for r in rows if r["ort_us"] < 100])
    quantised_targets(t, rows)
    load_targets(t, rows)
    library_target(t, build)
    two = [r for r in rows if r.get("two_threads")]
    if not two:
        t.unmeasured("2 threads, models over 1 ms", ">= 1.7 x own 1")
    else:
        g, worst = geomean([r["two_threads"] for r in two]), min(two, key=lambda r: r["two_threads"])
        t.add("2 threads, models over 1 ms", ">= 1.7 x own 1", "geomean %.2f of %d, worst %.2f %s" % (g, len(two), worst["two_threads"], worst["model"][:28]),
              "yes" if worst["two_threads"] >= 1.7 else "mean only" if g >= 1.7 else "no")
    return t


# --- all of it ------------------------------------------------------------------------------------------------------------------


def summary(rows, refused, args):
    worst = min(rows, key=lambda r: r["ratio"]) if rows else {"ratio": float("nan"), "model": "-"}
    corpus = [r["ratio"] for r in rows if r["corpus"] and not r["quantised"]]
    first = [r["ort_first_ms"] / r["usta_first_ms"] for r in rows if r.get("usta_first_ms")]
    failed = sum("FAILED" in x["why"] for x in refused)
    return "bench infer: geomean=%.3f cpu=%.3f worst=%.3f worst_model=%s corpus_f32=%.3f under_100us=%.3f first_ratio=%.3f models=%d not_measured=%d failed=%d threads=%d" % (
        geomean([r["ratio"] for r in rows]), geomean([r["cpu_ratio"] for r in rows]), worst["ratio"], worst["model"], geomean(corpus), geomean([r["ratio"] for r in rows if r["ort_us"] < 100]),
        geomean(first), len(rows), len(refused) - failed, failed, args.threads)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--pairs", type=int, default=15)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--only", default="")
    p.add_argument("--folder", action="append")
    p.add_argument("--quick", action="store_true")
    args = p.parse_args()
    folder = os.path.join(args.build, "bench", "repaired")
    os.makedirs(folder, exist_ok=True)
    rows, refused = [], []
    print(head())
    for path in models(args):
        r, why = measure(args, path, folder)
        if why:
            refused.append({"model": r["model"], "why": why, "row": r})
            print("%-36s %s%s" % (r["model"][:36], "" if "FAILED" in why else "not measured: ", why[:160]), flush=True)
        else:
            rows.append(r)
            print(line(r), flush=True)
    t = targets(rows, args.build)
    if not args.only:
        t.print()
    load, processors = os.getloadavg()[0], os.cpu_count()
    if load > processors:
        print("the machine is busy (load %.1f on %d processors): read cpu for ratio, and neither first results nor two threads" % (load, processors))
    with open(os.path.join(args.build, "bench", "infer.json"), "w") as f:
        json.dump({"threads": args.threads, "pairs": args.pairs, "onnxruntime": onnxruntime.__version__, "load": load, "models": rows, "not_measured": refused, "targets": t.rows}, f, indent=1)
    print(summary(rows, refused, args))
    return 1 if any("FAILED" in x["why"] for x in refused) else 0


if __name__ == "__main__":
    sys.exit(main())
