"""check_peers.py USTA [--mutants N [--seed S]] [--light] [--no-models] DIR...: `usta check` beside the onnx package's checker (full_check).

Three kinds of models: all under the folders; those of check_cases.py; and mutants: one small change, drawn by a fixed seed, of
the models under the folders. What onnx refuses usta must refuse; where usta is stricter, or laxer, the difference stands in
check_differences.txt with who is right, by the name of the model or case, or for mutants by the rule usta names (stricter) or by the
change and operator (laxer). Bytes usta calls malformed (exit 2) count as refused only where onnx refuses too. Prints each
difference that is not listed, counts, and exits 1 when there is one. --light: without the large models. --no-models: only cases
and mutants. KEEP=FOLDER in the environment keeps the mutants that fail.
"""
import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper
from check_cases import cases

HERE = os.path.dirname(os.path.abspath(__file__))


def listed():
    out = {}
    for line in open(os.path.join(HERE, "check_differences.txt"), encoding="utf-8"):
        m = re.match(r"(\S+) (.+?) : (.+)", line)
        if m and not line.startswith("#"):
            out[(m[1], m[2])] = m[3]
    return out


LISTED = listed()
USED = set()
counts = {}
failures = 0


def count(what):
    counts[what] = counts.get(what, 0) + 1


def by_onnx(path):
    """None, or why it is refused; in a child, for the checker overflows its stack on functions that call themselves."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            onnx.checker.check_model(path, full_check=True)
        except BaseException as e:  # noqa: BLE001 - whatever it says is an answer
            os.write(w, (" ".join(str(e).split())[:200] or "refused").encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r, "rb") as f:
        text = f.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    return "it crashed" if status else text or None


def by_usta(usta, path):
    """(exit status, rules broken, text)"""
    p = subprocess.run([usta, "check", "--json", "--no-advice", path], capture_output=True, text=True, check=False)
    if p.returncode not in (0, 1):
        return p.returncode, [], p.stderr.strip()
    found = json.loads(p.stdout)["findings"]
    return p.returncode, sorted({f["rule"] for f in found}), "; ".join(f["text"] for f in found)


def compare(usta, path, names):
    """names: keys under which a difference may be listed."""
    global failures
    theirs, (status, rules, text) = by_onnx(path), by_usta(usta, path)
    if status == 0 and theirs and "ir_version 13 is higher" in theirs:
        count("newer than the onnx package")
        return
    ok = (status == 0) == (theirs is None)
    if status not in (0, 1, 2):
        ok = False
    if ok:
        count("alike: accepted" if status == 0 else "alike: refused")
        return
    way = "stricter" if theirs is None else "laxer"
    keys = [(way, n) for n in names]
    if way == "stricter" and status == 1:
        keys += [(way, "rule " + r) for r in rules]
    hit = [k for k in keys if k in LISTED]
    if hit and status in (0, 1):
        USED.update(hit)
        count(way + ", listed")
        return
    failures += 1
    print(f"FAIL {way} {names[0]}: usta {status} {rules} {text[:200]!r}; onnx: {theirs}")


# --- mutants -------------------------------------------------------------------------------------------------------


def nodes_of(g):
    for n in g.node:
        yield n
        for a in n.attribute:
            if a.type == onnx.AttributeProto.GRAPH:
                yield from nodes_of(a.g)


def pick_attr(r, m, kinds=None):
    found = [(n, a) for n in nodes_of(m.graph) for a in n.attribute if kinds is None or a.type in kinds]
    return r.choice(found) if found else (None, None)


def m_drop_attr(r, m):
    n, a = pick_attr(r, m)
    if n is None:
        return None
    n.attribute.remove(a)
    return n.op_type


def m_unknown_attr(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    n.attribute.append(helper.make_attribute("no_such_thing", 1))
    return n.op_type


def m_attr_kind(r, m):
    n, a = pick_attr(r, m, (1, 2, 3, 6, 7, 8))
    if n is None:
        return None
    name = a.name
    n.attribute.remove(a)
    n.attribute.append(helper.make_attribute(name, r.choice([1, 1.5, "text", [1, 2], [1.5], ["a"]])))
    return n.op_type


def m_attr_int(r, m):
    n, a = pick_attr(r, m, (2,))
    if n is None:
        return None
    a.i = r.choice([99, -99])
    return n.op_type


def m_attr_ints(r, m):
    n, a = pick_attr(r, m, (7,))
    if n is None:
        return None
    a.ints.append(r.choice([1, -5]))
    return n.op_type


def m_attr_twice(r, m):
    n, a = pick_attr(r, m)
    if n is None:
        return None
    n.attribute.append(a)
    return n.op_type


def m_attr_text(r, m):
    n, a = pick_attr(r, m, (3,))
    if n is None:
        return None
    a.s = b"bogus"
    return n.op_type


def m_drop_input(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    if not n.input:
        return None
    del n.input[r.randrange(len(n.input))]
    return n.op_type


def m_empty_input(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    if not n.input:
        return None
    n.input[r.randrange(len(n.input))] = ""
    return n.op_type


def m_more_inputs(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    if not n.input:
        return None
    n.input.extend([n.input[0]] * r.choice([1, 3, 8]))
    return n.op_type


def m_undefined_input(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    if not n.input:
        return None
    n.input[0] = "not_there"
    return n.op_type


def m_drop_output(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    del n.output[-1]
    return n.op_type


def m_more_outputs(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    n.output.extend(f"more_{i}" for i in range(r.choice([1, 6])))
    return n.op_type


def m_same_output(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    if not n.input or not n.output:
        return None
    n.output[0] = n.input[0]
    return n.op_type


def m_backwards(r, m):
    if len(m.graph.node) < 2:
        return None
    nodes = list(m.graph.node)[::-1]
    del m.graph.node[:]
    m.graph.node.extend(nodes)
    return "graph"


def m_input_elem(r, m):
    if not m.graph.input:
        return None
    v = r.choice(list(m.graph.input))
    if not v.type.HasField("tensor_type"):
        return None
    v.type.tensor_type.elem_type = r.choice([1, 2, 6, 7, 8, 9, 10, 11, 16, 77])
    return m.graph.node[0].op_type if m.graph.node else "graph"


def m_output_elem(r, m):
    v = r.choice(list(m.graph.output))
    if not v.type.HasField("tensor_type"):
        return None
    v.type.tensor_type.elem_type = r.choice([1, 2, 6, 7, 8, 9, 11])
    return m.graph.node[-1].op_type if m.graph.node else "graph"


def m_output_dim(r, m):
    v = r.choice(list(m.graph.output))
    if not v.type.tensor_type.shape.dim:
        return None
    r.choice(list(v.type.tensor_type.shape.dim)).dim_value = 4711
    return m.graph.node[-1].op_type if m.graph.node else "graph"


def m_output_rank(r, m):
    v = r.choice(list(m.graph.output))
    if not v.type.tensor_type.HasField("shape"):
        return None
    v.type.tensor_type.shape.dim.add().dim_value = 3
    return m.graph.node[-1].op_type if m.graph.node else "graph"


def m_input_dim(r, m):
    if not m.graph.input:
        return None
    v = r.choice(list(m.graph.input))
    if not v.type.tensor_type.shape.dim:
        return None
    r.choice(list(v.type.tensor_type.shape.dim)).dim_value = 4711
    return m.graph.node[0].op_type if m.graph.node else "graph"


def m_input_rank(r, m):
    if not m.graph.input:
        return None
    v = r.choice(list(m.graph.input))
    if not v.type.tensor_type.HasField("shape"):
        return None
    v.type.tensor_type.shape.dim.add().dim_value = 3
    return m.graph.node[0].op_type if m.graph.node else "graph"


def m_no_type(r, m):
    r.choice(list(m.graph.output)).ClearField("type")
    return "graph"


def m_no_import(r, m):
    del m.opset_import[r.randrange(len(m.opset_import))]
    return "model"


def m_opset(r, m):
    m.opset_import[0].version = r.choice([1, 6, 10, 18, 23, 99])
    return m.graph.node[0].op_type if m.graph.node else "graph"


def m_ir(r, m):
    m.ir_version = r.choice([0, 1, 2, 3, 99])
    return "model"


def m_domain(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    n.domain = r.choice(["ai.onnx", "ai.onnx.ml", "elsewhere"])
    return n.op_type


def m_op_type(r, m):
    n = r.choice(list(nodes_of(m.graph)))
    n.op_type = r.choice(["", "Bogus", "Relu", "Add", "Scatter", "Upsample", "Affine", "Conv"])
    return n.op_type or "none"


def m_graph_name(r, m):
    m.graph.name = ""
    return "graph"


def m_init_size(r, m):
    found = list(m.graph.initializer)
    if not found:
        return None
    t = r.choice(found)
    if not t.dims:
        return None
    t.dims[0] += r.choice([1, 7])
    return "tensor"


def m_init_twice(r, m):
    if not m.graph.initializer:
        return None
    m.graph.initializer.append(m.graph.initializer[0])
    return "tensor"


def m_init_type(r, m):
    if not m.graph.initializer:
        return None
    m.graph.initializer[0].data_type = r.choice([0, 6, 8, 77])
    return "tensor"


def m_init_input(r, m):
    if not m.graph.initializer:
        return None
    t = m.graph.initializer[0]
    m.graph.input.append(helper.make_tensor_value_info(t.name, r.choice([t.data_type, TensorProto.BOOL]), list(t.dims)))
    return "tensor"


MUTATIONS = {k[2:]: v for k, v in sorted(globals().items()) if k.startswith("m_")}


def parsed(path):
    """None: what the onnx package cannot judge: bytes that it does not read (test data holds some on purpose), newer opsets."""
    with open(path, "rb") as f:
        try:
            m = onnx.ModelProto.FromString(f.read())
        except DecodeError:
            return None
    newer = any(o.domain in ("", "ai.onnx") and o.version > onnx.defs.onnx_opset_version() for o in m.opset_import)
    return None if newer else m


def mutants(usta, sources, n, folder, seed):
    r = random.Random(seed)
    path = os.path.join(folder, "mutant.onnx")
    made = 0
    while made < n:
        source = r.choice(sources)
        m = parsed(source)
        if m is None:
            continue
        name = r.choice(list(MUTATIONS))
        if not list(nodes_of(m.graph)) or not m.graph.output:
            continue
        op = MUTATIONS[name](r, m)
        if op is None:
            continue
        made += 1
        with open(path, "wb") as f:
            f.write(m.SerializeToString())
        before = failures
        compare(usta, path, [f"mutant {name} {op}", f"mutant {name}", f"{name} of {os.path.basename(os.path.dirname(source))}"])
        if failures > before and os.environ.get("KEEP"):
            os.replace(path, os.path.join(os.environ["KEEP"], f"{name}_{op}_{made}.onnx"))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("usta")
    p.add_argument("dirs", nargs="*")
    p.add_argument("--mutants", type=int, default=0)
    p.add_argument("--seed", type=int, default=4711)
    p.add_argument("--light", action="store_true")
    p.add_argument("--no-models", action="store_true")
    a = p.parse_intermixed_args()
    models = []
    for d in a.dirs:
        for root, _, files in sorted(os.walk(d)):
            models += [os.path.join(root, f) for f in sorted(files) if f.endswith(".onnx")]
    if a.light:
        models = [m for m in models if os.path.getsize(m) < 100_000][::25]
    for m in [] if a.no_models else models:
        compare(a.usta, m, [os.path.basename(m), os.path.basename(os.path.dirname(m))])
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "f.bin"), "wb") as f:
            f.write(b"12345678")
        path = os.path.join(folder, "case.onnx")
        for name, m in cases.items():
            with open(path, "wb") as f:
                f.write(m.SerializeToString())
            compare(a.usta, path, ["case " + name])
        small = [m for m in models if os.path.getsize(m) < 20_000]
        mutants(a.usta, small, a.mutants, folder, a.seed)
    for way, name in sorted(set(LISTED) - USED) if a.mutants >= 5000 else []:
        print(f"listed, not met this time: {way} {name}")
    print(", ".join(f"{n} {k}" for k, n in sorted(counts.items())), f"; {failures} failures", sep="")
    sys.exit(failures > 0)


main()
