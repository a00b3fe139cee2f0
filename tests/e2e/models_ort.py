"""models_ort.py USTA CORPUS DUMP - ONNX Runtime beside usta on the real models of the corpus.

1. The photographs: DUMP has the tensors that `e2e_models --dump` ran and our answers; ONNX Runtime, as it runs by itself (its default optimisation, with the
   islands of the quantised network as integers), gives the same top-1 on each. Ours are the scores of the same integer arithmetic, so they are equal to the bit.
2. The models without recorded outputs: both run on the same made inputs and give the same, within 1e-4 of the output's largest
   magnitude (sums of products in another order), labels and keys exactly. Maps and sequences of maps travel as JSON.
Prints a line per comparison; exit status 1 when one differs.
"""
import json, subprocess, sys, tempfile
from pathlib import Path
import numpy as np
import onnxruntime as ort

usta, corpus, dump = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
bad = 0


def open_model(path, level=ort.GraphOptimizationLevel.ORT_DISABLE_ALL):
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def report(name, good, words):
    global bad
    bad += not good
    print(f"{name:44} {'same' if good else 'DIFFERS'}  {words}", flush=True)


def photographs():
    path = corpus / "models/vision-classify/mobilenetv2_imagenet1000_int8_qdq.onnx"
    session = open_model(path, ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
    rows = [line.split(None, 2) for line in (dump / "ours.txt").read_text().splitlines()]
    name = session.get_inputs()[0].name
    n_same = n_equal = 0
    for number, ours, picture in rows:
        want = session.run(None, {name: np.load(dump / f"{number}.npy")})[0]
        got = np.load(dump / f"{number}.scores.npy")
        n_same += int(want.argmax()) == int(ours)
        n_equal += want.shape == got.shape and (want == got).all()
        if int(want.argmax()) != int(ours):
            print(f"  {picture}: ours {ours}, ONNX Runtime {int(want.argmax())}")
    report("mobilenetv2 on photographs: top-1", n_same == len(rows) == 100, f"{n_same} of {len(rows)}")
    report("mobilenetv2 on photographs: scores", n_equal == len(rows), f"{n_equal} of {len(rows)} equal to the bit")


def made_input(rng, arg):
    if arg.type.startswith("map("):
        return {int(k): float(v) for k, v in zip(rng.permutation(20)[:5], rng.random(5, dtype=np.float32))}
    dims = [d if isinstance(d, int) else 3 for d in arg.shape]
    return rng.random(dims, dtype=np.float32) * (255 if len(dims) == 4 else 1)


def difference(want, got):
    """Largest difference over the largest magnitude; structures and whole numbers must be equal."""
    if isinstance(want, list):
        assert len(want) == len(got), "length"
        return max([difference(w, g) for w, g in zip(want, got)], default=0.0)
    if isinstance(want, dict):
        assert {str(k) for k in want} == set(got), "keys"
        return max([difference(np.float32(v), np.float32(got[str(k)])) for k, v in want.items()], default=0.0)
    want, got = np.asarray(want), np.asarray(got)
    assert want.shape == got.shape, f"{got.shape} instead of {want.shape}"
    if want.dtype.kind in "iub":
        assert (want == got).all(), "whole numbers"
        return 0.0
    return float(np.abs(got - want).max() / max(np.abs(want).max(), 1e-2)) if want.size else 0.0


def both(path):
    rng = np.random.default_rng(1)
    session = open_model(path)
    inputs = {a.name: made_input(rng, a) for a in session.get_inputs()}
    want = dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs)))
    with tempfile.TemporaryDirectory() as d:
        args = [usta, "infer", str(path), "-o", f"{d}/out"]
        for i, (name, x) in enumerate(inputs.items()):
            file = f"{d}/in{i}." + ("json" if isinstance(x, dict) else "npy")
            if isinstance(x, dict):
                Path(file).write_text(json.dumps({str(k): v for k, v in x.items()}))
            else:
                np.save(file, x)
            args += ["-i", f"{name}={file}"]
        done = subprocess.run(args, capture_output=True, text=True)
        if done.returncode != 0:
            return report(path.stem, False, done.stderr.strip())
        worst = 0.0
        for name, w in want.items():
            stem = Path(d) / "out" / name.replace("/", "_").replace(":", "_")
            npy = stem.with_name(stem.name + ".npy")
            got = np.load(npy) if npy.exists() else json.loads(stem.with_name(stem.name + ".json").read_text())
            try:
                worst = max(worst, difference(w, got))
            except AssertionError as e:
                return report(path.stem, False, f"output {name}: {e}")
    report(path.stem, worst <= 1e-4, f"largest relative difference {worst:.2e}")


photographs()
for path in sorted((corpus / "models").rglob("*.onnx")):
    if not (path.parent / (path.stem + ".golden")).exists():
        try:
            both(path)
        except Exception as e:
            report(path.stem, False, f"ONNX Runtime: {str(e).splitlines()[0][:160]}")
sys.exit(1 if bad else 0)
