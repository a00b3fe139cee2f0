"""shapes_peers.py USTA [--light] DIR...: types and shapes of every value, as `usta info --values` and the onnx package infer them.

What files claim of computed values is taken out of a copy first (value_info, shapes of outputs), so that both infer. onnx is asked
with data propagation, strictly where it can. Compared are kind, element type, rank, each dimension (number or name), and
which unnamed dimensions are the same; in sub-graphs too. A value where onnx says more, or the contrary, stands in
shapes_differences.txt with who is right, by model or operator; else it is a failure. Prints those and counts; exit status 1 when
there is one. --light: every 12th of the small models.
"""
import argparse
import json
import os
import re
import subprocess
import sys

import onnx
from onnx import AttributeProto, TensorProto

HERE = os.path.dirname(os.path.abspath(__file__))
ELEMENT = {25: "uint2", 26: "int2", **{v: k.lower() for k, v in TensorProto.DataType.items()}}  # 1.19 knows no 2-bit types
counts, failures, used = {}, 0, set()


def count(what, n=1):
    counts[what] = counts.get(what, 0) + n


def listed():
    out = {}
    for line in open(os.path.join(HERE, "shapes_differences.txt"), encoding="utf-8"):
        m = re.match(r"(conflict|theirs) (\S+) (\S+) : (.+)", line)
        if m:
            out[(m[1], m[2], m[3])] = m[4]
    return out


LISTED = listed()


# --- theirs -------------------------------------------------------------------------------------------------------------


def graphs_of(g, holder="", attribute=""):
    """(graph, first output of the node that holds it, attribute)"""
    yield g, holder, attribute
    for n in g.node:
        name = next((o for o in n.output if o), "")
        for a in n.attribute:
            if a.type == AttributeProto.GRAPH:
                yield from graphs_of(a.g, name, a.name)


def forget(t):
    which = t.WhichOneof("value")
    if which == "tensor_type":
        t.tensor_type.ClearField("shape")
    elif which in ("sequence_type", "optional_type"):
        forget(getattr(t, which).elem_type)


def theirs(m):
    """{(holder, attribute, name): type}, strict, or None and why not"""
    for g, _, _ in graphs_of(m.graph):
        del g.value_info[:]
        for o in g.output:
            forget(o.type)
    strict = True
    try:
        r = onnx.shape_inference.infer_shapes(m, strict_mode=True, data_prop=True)
    except Exception:
        strict = False
        r = onnx.shape_inference.infer_shapes(m, data_prop=True)
    out, makers = {}, {}
    for g, holder, attribute in graphs_of(r.graph):
        for v in list(g.value_info) + list(g.output):
            out[(holder, attribute, v.name)] = v.type
        for n in g.node:
            for o in n.output:
                makers[(holder, attribute, o)] = n.op_type
    return out, makers, strict


def dim(d):
    if d.HasField("dim_value"):
        return d.dim_value
    made_up = d.dim_param.startswith("unk__") or d.dim_param == "?"
    return d.dim_param if d.dim_param and not made_up else "?" + d.dim_param.lstrip("?")


def parts(t):
    """The form of `usta info --values`."""
    which = t.WhichOneof("value")
    if which in ("tensor_type", "sparse_tensor_type"):
        v = getattr(t, which)
        out = {"kind": "tensor" if which == "tensor_type" else "sparse"}
        if v.elem_type:
            out["element"] = ELEMENT[v.elem_type]
        if v.HasField("shape"):
            out["dims"] = [dim(d) for d in v.shape.dim]
        return out
    if which == "sequence_type":
        return {"kind": "sequence", "of": parts(t.sequence_type.elem_type)}
    if which == "optional_type":
        return {"kind": "optional", "of": parts(t.optional_type.elem_type)}
    if which == "map_type":
        return {"kind": "map", "key": ELEMENT[t.map_type.key_type], "of": parts(t.map_type.value_type)}
    return {"kind": "unknown"}


# --- comparison -----------------------------------------------------------------------------------------------------------


class Pair:
    """One value by both; what is found adds up to: equal, ours (knows more), theirs, conflict."""

    def __init__(self, same, scope):
        self.same, self.scope = same, scope
        self.ours = self.theirs = self.conflict = False

    def dims(self, a, b):
        if len(a) != len(b):
            self.conflict = True
            return
        for x, y in zip(a, b):
            x_is, y_is = isinstance(x, int), isinstance(y, int)
            x_no, y_no = not x_is and x.startswith("?"), not y_is and y.startswith("?")
            if x_is and y_is:
                self.conflict |= x != y
            elif x_is:
                self.ours = True
            elif y_is:
                self.theirs = True
            elif y_no:
                self.ours |= not x_no
                if y != "?":  # the same unnamed dimension is the same with us
                    self.theirs |= self.same.setdefault((self.scope, y), x) != x
            elif x_no:
                self.theirs = True
            else:
                self.conflict |= x != y

    def types(self, a, b):
        if b["kind"] == "unknown" or a["kind"] == "unknown":
            self.ours |= a["kind"] != "unknown"
            self.theirs |= b["kind"] != "unknown"
            return
        if a["kind"] != b["kind"]:
            self.conflict = True
            return
        for key in ("element", "key"):
            if key in a and key in b:
                self.conflict |= a[key] != b[key]
            else:
                self.ours |= key in a
                self.theirs |= key in b
        if "dims" in a and "dims" in b:
            self.dims(a["dims"], b["dims"])
        else:
            self.ours |= "dims" in a
            self.theirs |= "dims" in b
        if "of" in a or "of" in b:
            self.types(a.get("of", {"kind": "unknown"}), b.get("of", {"kind": "unknown"}))

    def verdict(self):
        return "conflict" if self.conflict else "theirs" if self.theirs else "ours" if self.ours else "equal"


def text(p):
    if p["kind"] in ("tensor", "sparse"):
        return p.get("element", "?") + (str(p["dims"]).replace("'", "") if "dims" in p else "")
    return f"{p['kind']}({text(p['of'])})" if "of" in p else p["kind"]


def one(usta, path):
    global failures
    p = subprocess.run([usta, "info", "--values", "--json", path], capture_output=True, text=True, check=False)
    if p.returncode:
        count("models only one can read")
        return
    said = json.loads(p.stdout)
    try:
        out, makers, strict = theirs(onnx.load(path, load_external_data=False))
    except Exception:
        count("models only one can read")
        return
    count("models")
    count("models onnx infers only when not strict", not strict)
    case = os.path.basename(path)
    if case == "model.onnx":
        case = os.path.basename(os.path.dirname(path))
    if "not_inferred" in said:
        failures += 1
        print(f"FAIL {case}: not inferred: {said['not_inferred']}")
        return
    same = {}
    for v in said["values"]:
        key = (v["holder"], v["attribute"], v["name"])
        if v["storage"] != "computed":
            continue
        count("values")
        a, b = v["parts"], parts(out[key]) if key in out else {"kind": "unknown"}
        pair = Pair(same, key[:2])
        pair.types(a, b)
        verdict = pair.verdict()
        op = makers.get(key, "?")
        if verdict in ("theirs", "conflict"):
            keys = [(verdict, case, v["name"]), (verdict, case, "*"), (verdict, "*", op)]
            hit = next((k for k in keys if k in LISTED), None)
            if hit:
                used.add(hit)
                verdict += ", listed"
            else:
                failures += 1
                print(f"FAIL {verdict} {case} {v['name']} {op} {v['holder']}.{v['attribute']}: ours {text(a)}, onnx {text(b)}"[:400])
        count({"equal": "equal", "ours": "ours says more", "theirs": "onnx says more"}.get(verdict, verdict))


def main():
    global failures
    p = argparse.ArgumentParser()
    p.add_argument("usta")
    p.add_argument("dirs", nargs="+")
    p.add_argument("--light", action="store_true")
    a = p.parse_intermixed_args()
    models = []
    for d in a.dirs:
        for root, dirs, files in os.walk(d):
            dirs.sort()
            models += [os.path.join(root, f) for f in sorted(files) if f.endswith(".onnx")]
    if a.light:
        models = [m for m in models if os.path.getsize(m) < 200_000][::12]
    for m in models:
        one(a.usta, m)
    if not a.light:
        for k in sorted(set(LISTED) - used):
            failures += 1
            print("FAIL listed, but not found any more:", *k)
    print(", ".join(f"{n} {k}" for k, n in sorted(counts.items())) + f"; {failures} failures")
    sys.exit(failures > 0)


main()
