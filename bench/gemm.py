"""The driving side of `make bench-gemm`: runs build/bench/bench_gemm and, where onnxruntime is there, a MatMul model for each
shape, in alternating rounds; keeps the best of each; prints a table and a last line, writes build/bench/gemm.json.

Both sides are timed in processor time of one thread, so that a busy machine matters little. ONNX Runtime's side has its call
through Python in it (about 5 us with bound inputs and outputs), so ratios of products below 50 us say little and are left out of the mean.
"""
import json
import math
import subprocess
import sys
import time

ROUNDS = 3
build = sys.argv[1]


def ours():
    out = subprocess.run([f"{build}/bench/bench_gemm"], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def peer_session(p):
    import numpy as np
    import onnx.helper as h
    import onnxruntime as ort

    f32 = 1
    r = np.random.default_rng(1)
    a = r.random((p["m"], p["k"]), dtype=np.float32)
    b = r.random((p["n"], p["k"]) if p["kind"] == "t" else (p["k"], p["n"]), dtype=np.float32)
    ins = [h.make_tensor_value_info("a", f32, a.shape)]
    const = []
    if p["kind"] == "w":
        const = [h.make_tensor("b", f32, b.shape, b.tobytes(), raw=True)]
    else:
        ins.append(h.make_tensor_value_info("b", f32, b.shape))
    node = h.make_node("Gemm", ["a", "b"], ["y"], transB=1) if p["kind"] == "t" else h.make_node("MatMul", ["a", "b"], ["y"])
    g = h.make_graph([node], "g", ins, [h.make_tensor_value_info("y", f32, (p["m"], p["n"]))], const)
    m = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    o = ort.SessionOptions()
    o.intra_op_num_threads = 1
    s = ort.InferenceSession(m.SerializeToString(), o, providers=["CPUExecutionProvider"])
    io = s.io_binding()
    keep = [ort.OrtValue.ortvalue_from_numpy(a)]
    io.bind_ortvalue_input("a", keep[0])
    if p["kind"] != "w":
        keep.append(ort.OrtValue.ortvalue_from_numpy(b))
        io.bind_ortvalue_input("b", keep[1])
    keep.append(ort.OrtValue.ortvalue_from_numpy(np.zeros((p["m"], p["n"]), np.float32)))
    io.bind_ortvalue_output("y", keep[-1])
    return s, io, keep


def peer_us(session):
    s, io, _ = session
    s.run_with_iobinding(io)
    best, until = 1e9, time.perf_counter() + 0.1
    n = 1
    while time.perf_counter() < until:
        t = time.process_time()
        for _ in range(n):
            s.run_with_iobinding(io)
        d = time.process_time() - t
        best = min(best, d / n)
        n = max(1, min(1000, int(3e-4 * n / max(d, 1e-6))))
    return best * 1e6


def main():
    rows = ours()
    try:
        sessions = [peer_session(p) for p in rows]
    except ImportError:
        sessions = []
    for i in range(ROUNDS):
        if i:
            for row, again in zip(rows, ours()):
                if again["us"] < row["us"]:
                    row.update(again)
        for row, s in zip(rows, sessions):
            row["ort_us"] = min(row.get("ort_us", 1e9), peer_us(s))
    kinds = {"w": "packed weights", "b": "both change", "t": "both, B transposed"}
    print(f"{'M x N x K':>18}  {'kind':<18} {'us':>10} {'GFLOP/s':>8} {'% peak':>7} {'ORT us':>10} {'ratio':>6}")
    ratios = []
    for r in rows:
        peer = f"{r['ort_us']:10.2f} {r['ort_us'] / r['us']:6.2f}" if "ort_us" in r else f"{'-':>10} {'-':>6}"
        if r.get("ort_us", 0) > 50:
            ratios.append(r["ort_us"] / r["us"])
        shape = f"{r['m']} x {r['n']} x {r['k']}"
        print(f"{shape:>18}  {kinds[r['kind']]:<18} {r['us']:10.3f} {r['gflops']:8.1f} {100 * r['share']:7.1f} {peer}")
    large = [r["share"] for r in rows if r["m"] * r["n"] * r["k"] >= 1 << 23 and r["m"] > 3]
    end = f"bench gemm: peak={rows[-1]['peak']:.0f} worst_large_percent={100 * min(large):.0f} mean_large_percent={100 * sum(large) / len(large):.0f}"
    if ratios:
        end += f" ort_ratio={math.exp(sum(map(math.log, ratios)) / len(ratios)):.2f} ort_worst={min(ratios):.2f}"
    with open(f"{build}/bench/gemm.json", "w") as f:
        json.dump(rows, f, indent=1)
    print(end)


main()
