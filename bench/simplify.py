"""bench-simplify: nodes before and after `usta simplify` and onnxsim on every model of the corpus, time, and what became of
dynamic axes. Prints the table, writes build/bench/simplify.json.

Nodes are counted alike on all sides: those of sub-graphs too, those of the model's own functions not (a call is one node), nor
Constant nodes (weights in another place). `axes` are named or unknown dimensions of inputs and outputs that still are so afterwards, of those that were. A
result counts only when ONNX Runtime gives equal outputs on the same inputs (tests/e2e/simplify_peers.py); `-` when it does
not load the original either. Domains: what operators outside of the standard a simplifier put into a model that had none.
"""
import json, os, subprocess, sys, tempfile, time

BUILD, ROOTS = sys.argv[1], sys.argv[2:]
USTA = f"{BUILD}/src/cli/usta"
HERE = os.path.dirname(os.path.abspath(__file__))
sys.argv = ["simplify_peers", USTA]  # its functions, without folders to walk
sys.path.insert(0, os.path.join(HERE, "..", "tests", "e2e"))
sys.dont_write_bytecode = True
import onnx  # noqa: E402
import simplify_peers as peers  # noqa: E402

LIMIT_S = 300
ONNXSIM = """
import sys, onnx, onnxsim
m, _ = onnxsim.simplify(onnx.load(sys.argv[1]))
onnx.save(m, sys.argv[2])
"""


def graphs(g):
    yield g
    for n in g.node:
        for a in n.attribute:
            for s in ([a.g] if a.HasField("g") else []) + list(a.graphs):
                yield from graphs(s)


def nodes(m):
    return sum(n.op_type != "Constant" for g in graphs(m.graph) for n in g.node)


def domains(m):
    return {n.domain for g in graphs(m.graph) for n in g.node} - {"", "ai.onnx"}


def open_axes(m):
    """(value, axis): name, or "" of one without, for inputs and outputs."""
    axes = {}
    weights = {t.name for t in m.graph.initializer}
    for side, values in (("in", m.graph.input), ("out", m.graph.output)):
        for v in values:
            t = v.type.tensor_type
            if v.name in weights or not t.HasField("shape"):
                continue
            for i, d in enumerate(t.shape.dim):
                if not d.HasField("dim_value") or d.dim_value < 0:  # -1 and "?" stand for an axis without a name
                    axes[(side, v.name, i)] = d.dim_param.strip("?")
    return axes


def kept(before, after):
    a, b = open_axes(before), open_axes(after)
    return sum(k in b and b[k] == v for k, v in a.items()), len(a)


def equal(path, out):
    """True, False, or None when ONNX Runtime cannot run the original."""
    s = peers.session(path)
    feed = s and (peers.recorded(path, s) or peers.drawn(s))
    want = peers.run(s, feed) if feed is not None and s else None
    if want is None:
        return None
    t = peers.session(out)
    if t is None:
        return False
    names = {i.name for i in t.get_inputs()}
    got = peers.run(t, {k: v for k, v in feed.items() if k in names})
    return got is not None and peers.same(want, got)


def attempt(command, path, before, out):
    if os.path.exists(out):
        os.remove(out)
    start = time.perf_counter()
    try:
        p = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        rc, why = p.returncode, (p.stderr.strip().splitlines() or [""])[-1]
    except subprocess.TimeoutExpired:
        rc, why = 124, f"over {LIMIT_S} s"
    seconds = time.perf_counter() - start
    if rc != 0 or not os.path.exists(out):
        return {"nodes": None, "seconds": seconds, "status": rc, "why": why[:200]}
    m = onnx.load(out)
    k, n = kept(before, m)
    return {"nodes": nodes(m), "seconds": seconds, "status": 0, "axes_kept": k, "axes": n, "equal": equal(path, out),
            "bytes": os.path.getsize(out), "domains": sorted(domains(m) - domains(before))}


def shown(r):
    if r["nodes"] is None:
        return f"{'crash' if r['status'] < 0 else 'refused':>7} {r['seconds']:7.2f}s {'':>7} {'':5}"
    verdict = {True: "equal", False: "WRONG", None: "-"}[r["equal"]]
    axes = f"{r['axes_kept']}/{r['axes']}" if r["axes"] else ""
    return f"{r['nodes']:>7} {r['seconds']:7.2f}s {axes:>7} {verdict:5}"


def main():
    rows = []
    files = sorted(os.path.join(d, f) for root in ROOTS for d, _, fs in os.walk(root) for f in fs if f.endswith(".onnx"))
    print(f"{'model':40} {'before':>6} | {'usta':>7} {'':8} {'axes':>7} {'':5} | {'onnxsim':>7} {'':8} {'axes':>7}")
    with tempfile.TemporaryDirectory() as tmp:
        out = os.path.join(tmp, "out.onnx")
        for path in files:
            m = onnx.load(path)
            row = {"model": os.path.basename(path)[:-5], "bytes": os.path.getsize(path), "before": nodes(m)}
            row["usta"] = attempt([USTA, "simplify", "--json", path, out], path, m, out)
            row["onnxsim"] = attempt([sys.executable, "-c", ONNXSIM, path, out], path, m, out)
            rows.append(row)
            u, o = row["usta"], row["onnxsim"]
            note = ""
            if u["nodes"] is not None and o["nodes"] is not None and o["nodes"] < u["nodes"]:
                note = "  more than onnxsim"
            if o.get("domains"):
                note += "  onnxsim: " + ", ".join(o["domains"])
            print(f"{row['model'][:40]:40} {row['before']:>6} | {shown(u)} | {shown(o)}{note}", flush=True)
    sums = summary(rows)
    os.makedirs(f"{BUILD}/bench", exist_ok=True)
    with open(f"{BUILD}/bench/simplify.json", "w") as f:
        json.dump({"rows": rows, "summary": sums}, f, indent=1)
    print("bench simplify: " + " ".join(f"{k}={v}" for k, v in sums.items()))


def summary(rows):
    done = [r for r in rows if r["usta"]["nodes"] is not None]
    both = [r for r in done if r["onnxsim"]["nodes"] is not None and r["onnxsim"]["equal"] is not False]
    total = lambda side, over: sum(r[side]["nodes"] for r in over)  # noqa: E731
    s = {"models": len(rows), "before": sum(r["before"] for r in done), "usta": total("usta", done),
         "usta_refused": len(rows) - len(done), "usta_wrong": sum(r["usta"]["equal"] is False for r in done),
         "usta_axes": f"{sum(r['usta']['axes_kept'] for r in done)}/{sum(r['usta']['axes'] for r in done)}",
         "usta_s": round(sum(r["usta"]["seconds"] for r in rows), 1),
         "onnxsim_s": round(sum(r["onnxsim"]["seconds"] for r in rows), 1),
         "onnxsim_failed": sum(r["onnxsim"]["nodes"] is None for r in rows),
         "onnxsim_wrong": sum(r["onnxsim"].get("equal") is False for r in rows)}
    sides = [r for r in rows if r["onnxsim"]["nodes"] is not None]
    s["onnxsim_axes"] = f"{sum(r['onnxsim']['axes_kept'] for r in sides)}/{sum(r['onnxsim']['axes'] for r in sides)}"
    s.update({"both": len(both), "both_before": sum(r["before"] for r in both), "both_usta": total("usta", both),
              "both_onnxsim": total("onnxsim", both), "fewer": sum(r["usta"]["nodes"] < r["onnxsim"]["nodes"] for r in both),
              "more": sum(r["usta"]["nodes"] > r["onnxsim"]["nodes"] for r in both)})
    return s


if __name__ == "__main__":
    main()
