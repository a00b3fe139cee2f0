"""simplify_large.py USTA [BYTES]: a model with more weights than a protobuf file can hold, end to end.

Writes a language model's shape of thing: an embedding, dense layers with BatchNormalization, heads reshaped by shape arithmetic, an Identity
here and there; BYTES (default 2.3 GB) of float32 weights in external data. `usta simplify` must write a result whose weights are external again,
smaller in nodes, with the same named axes, without taking more memory than MEMORY times the weights. ONNX Runtime, one model at a time, must
give equal outputs for both. Needs three times BYTES of disk (TMPDIR) and twice of memory; says so and skips where they are not.
"""
import json, os, resource, shutil, subprocess, sys, tempfile, time
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

usta, BYTES = sys.argv[1], int(float(sys.argv[2])) if len(sys.argv) > 2 else 2_300_000_000
MEMORY = 2.5
LAYERS, D, ROWS = 6, 2048, 256
RUN = """
import sys, numpy as np, onnxruntime as ort
o = ort.SessionOptions(); o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
o.log_severity_level = 4
s = ort.InferenceSession(sys.argv[1], o, providers=["CPUExecutionProvider"])
np.save(sys.argv[2], s.run(None, {"ids": np.arange(10, dtype=np.int64).reshape(2, 5) * 7})[0])
"""


def enough_room(folder):
    with open("/proc/meminfo") as f:
        free = int(next(l for l in f if l.startswith("MemAvailable")).split()[1]) * 1024
    disk = shutil.disk_usage(folder).free
    if free < 2.5 * BYTES or disk < 3.5 * BYTES:
        print(f"skipped: needs {2.5 * BYTES / 1e9:.1f} GB of memory and {3.5 * BYTES / 1e9:.1f} GB of disk under {folder}; "
              f"there are {free / 1e9:.1f} and {disk / 1e9:.1f}")
        sys.exit(0)


def write(folder):
    """Streams the weights; a proto never holds them."""
    r = np.random.default_rng(3)
    path, at, weights, nodes = os.path.join(folder, "large.onnx"), 0, [], []
    vocabulary = BYTES // (4 * D) - LAYERS * D
    with open(os.path.join(folder, "large.onnx.data"), "wb") as f:
        def stored(name, *dims):
            nonlocal at
            block = (r.random((ROWS, dims[1]), np.float32) - 0.5) / np.float32(16)
            for i in range(0, dims[0], ROWS):
                f.write(block[: min(ROWS, dims[0] - i)].tobytes())
                block[:, 0] += np.float32(0.001)
            size = 4 * dims[0] * dims[1]
            t = T(name=name, dims=dims, data_type=T.FLOAT, data_location=T.EXTERNAL)
            for k, v in (("location", "large.onnx.data"), ("offset", str(at)), ("length", str(size))):
                t.external_data.add(key=k, value=v)
            weights.append(t)
            at += size
            return name

        def small(name, a):
            weights.append(nh.from_array(np.asarray(a), name))
            return name

        def node(op, *inputs, **attrs):
            nodes.append(h.make_node(op, list(inputs), [f"v{len(nodes)}"], **attrs))
            return nodes[-1].output[0]

        x = node("Reshape", node("Gather", stored("embedding", vocabulary, D), "ids"), small("rows", np.array([-1, D])))
        for i in range(LAYERS):
            y = node("Gemm", x, stored(f"w{i}", D, D), small(f"b{i}", np.zeros(D, np.float32)))
            p = [small(f"{k}{i}", (r.random(D) + 0.5).astype(np.float32)) for k in ("scale", "shift", "mean", "var")]
            x = node("Identity", node("Relu", node("BatchNormalization", y, *p)))
        shape = node("Shape", "ids")
        parts = [node("Unsqueeze", node("Gather", shape, small(f"i{k}", np.array(k))), small(f"u{k}", np.array([0]))) for k in (0, 1)]
        y = node("Reshape", x, node("Concat", *parts, small("d", np.array([D])), axis=0))
        nodes[-1].output[0] = "y"
    g = h.make_graph(nodes, "large", [h.make_tensor_value_info("ids", T.INT64, ["batch", "length"])],
                     [h.make_tensor_value_info("y", T.FLOAT, ["batch", "length", D])], weights)
    onnx.save(h.make_model(g, ir_version=8, opset_imports=[h.make_opsetid("", 17)]), path)
    return path, at


def main():
    folder = tempfile.mkdtemp(prefix="usta-large-", dir=os.environ.get("TMPDIR"))
    try:
        enough_room(folder)
        before, weights = write(folder)
        after = os.path.join(folder, "out.onnx")
        start = time.time()
        p = subprocess.run([usta, "simplify", "--json", before, after], capture_output=True, text=True)
        seconds, peak = time.time() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        assert p.returncode == 0, p.stderr
        answer, m, was = json.loads(p.stdout), onnx.load(after, load_external_data=False), onnx.load(before, load_external_data=False)
        assert answer["nodes_after"] < answer["nodes_before"] - 2 * LAYERS, answer
        assert list(m.graph.input) == list(was.graph.input) and list(m.graph.output) == list(was.graph.output)
        external = [t for t in m.graph.initializer if t.data_location == T.EXTERNAL]
        assert os.path.getsize(after) < 1 << 20 and os.path.getsize(after + ".data") > 1 << 31, "weights are not external"
        assert {"embedding"} <= {t.name for t in external}
        onnx.checker.check_model(after)
        out = []
        for i, path in enumerate((before, after)):
            subprocess.run([sys.executable, "-c", RUN, path, f"{folder}/{i}.npy"], check=True)
            out.append(np.load(f"{folder}/{i}.npy"))
        top = np.abs(out[0]).max()
        assert out[0].shape == out[1].shape and np.abs(out[0] - out[1]).max() <= 1e-4 * top, "ONNX Runtime gives other outputs"
        assert peak < MEMORY * weights, f"{peak / 1e9:.2f} GB of memory"
        print(f"e2e simplify-large: weights_gb={weights / 1e9:.2f} nodes_before={answer['nodes_before']} nodes_after={answer['nodes_after']} "
              f"seconds={seconds:.1f} peak_gb={peak / 1e9:.2f} difference={answer['proof']['largest_difference']:.1e} ort=equal")
    finally:
        shutil.rmtree(folder)


main()
