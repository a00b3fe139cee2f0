"""make bench-infer: usta beside ONNX Runtime, model by model, and the geometric mean.

Every model that both run, of the corpus and of the zoo (bench/zoo.py): bench_infer times both in one process, alternating. ONNX Runtime
gets a copy in which initialisers are no inputs. One line per model, a summary line at the end, all of it in build/bench/infer.json.
    infer.py BUILD [--pairs N] [--threads N] [--only WORD] [--folder DIR]...
"""
import argparse
import glob
import json
import math
import os
import subprocess
import sys

import onnx
import onnxruntime

HERE = os.path.dirname(os.path.abspath(__file__))


def library():
    found = glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), "capi", "libonnxruntime.so*"))
    if not found:
        sys.exit("bench infer: this onnxruntime package has no libonnxruntime.so")
    return found[0]


def repaired(path, folder):
    """A copy without initialisers among the inputs, where there are any."""
    m = onnx.load(path)
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
    folders = args.folder or [os.path.join(HERE, "..", "..", "shared", "corpus", "models"), os.path.join(args.build, "bench", "zoo")]
    for folder in folders:
        for path in sorted(glob.glob(os.path.join(folder, "**", "*.onnx"), recursive=True)):
            if not args.only or args.only in path:
                yield path


def measure(args, path, folder):
    cmd = [os.path.join(args.build, "bench", "bench_infer"), "--ort", library(), "--pairs", str(args.pairs), "--threads",
           str(args.threads), path, repaired(path, folder)] + given(path)
    try:
        r = subprocess.run(cmd, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        return None, "took more than ten minutes"
    if r.returncode != 0:
        return None, (r.stderr.strip().splitlines() or ["ended with %d" % r.returncode])[-1]
    return json.loads(r.stdout), ""


def geomean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values)) if values else float("nan")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--pairs", type=int, default=15)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--only", default="")
    p.add_argument("--folder", action="append")
    args = p.parse_args()
    folder = os.path.join(args.build, "bench", "repaired")
    os.makedirs(folder, exist_ok=True)
    rows, refused = [], []
    print("%-44s %12s %12s %8s %8s %10s %10s %8s" % ("model", "usta us", "ORT us", "ratio", "cpu", "first ms", "ORT ms", "apart"))
    for path in models(args):
        name = os.path.splitext(os.path.basename(path))[0]
        r, why = measure(args, path, folder)
        if r is None:
            refused.append({"model": name, "why": why})
            print("%-44s not measured: %s" % (name[:44], why[:110]), flush=True)
            continue
        r["model"] = name
        rows.append(r)
        print("%-44s %12.2f %12.2f %8.2f %8.2f %10.2f %10.2f %8.1g" % (name[:44], r["usta_us"], r["ort_us"], r["ratio"], r["cpu_ratio"],
              r["usta_first_ms"], r["ort_first_ms"], r["apart"]), flush=True)
    with open(os.path.join(args.build, "bench", "infer.json"), "w") as f:
        json.dump({"threads": args.threads, "pairs": args.pairs, "onnxruntime": onnxruntime.__version__, "models": rows, "not_measured": refused}, f, indent=1)
    ratios = [r["ratio"] for r in rows]
    small = [r["ratio"] for r in rows if r["ort_us"] < 100]
    worst = min(rows, key=lambda r: r["ratio"]) if rows else {"ratio": float("nan"), "model": "-"}
    print("bench infer: geomean=%.3f worst=%.3f worst_model=%s under_100us=%.3f first_ratio=%.3f models=%d not_measured=%d threads=%d" % (
        geomean(ratios), worst["ratio"], worst["model"], geomean(small), geomean([r["ort_first_ms"] / r["usta_first_ms"] for r in rows]),
        len(rows), len(refused), args.threads))


if __name__ == "__main__":
    main()
