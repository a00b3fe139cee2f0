"""schemas.py OURS EXCEPTIONS: what the registry of the installed onnx package has and our tables lack.

OURS is what dump_schemas prints. Looked for, per operator and version of ai.onnx, ai.onnx.ml and ai.onnx.preview*: a missing
operator, version, allowed type or attribute; fewer inputs or outputs allowed; another default, kind or `required`. Our tables
may allow more. Each difference is one line `domain.Operator@version: what`; one that is not in EXCEPTIONS (the same line,
then ` # reason`) fails, and so does an exception that no longer holds for a package of opset 24 or newer. A reason that begins
with "old:" is about a mistake of older registries only.
"""
import json
import math
import re
import sys

import onnx
from onnx import defs

SEQ, MAP, OPT = 8, 16, 32
DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training")


def words_of(names):
    """A set of types as the exceptions spell it."""
    return ",".join(sorted(names))


def leaf(text):
    """(container flags, element types) of "seq(tensor(float))" and the like."""
    flags = 0
    flags |= SEQ if "seq(" in text else 0
    flags |= OPT if "optional(" in text else 0
    flags |= MAP if "map(" in text else 0
    if flags & MAP:
        return flags, [re.search(r"map\((\w+)", text)[1]]  # of a map our tables say the keys
    return flags, [re.search(r"(\w+)\)+$", text)[1]]


def lacking_types(ours, wanted):
    """Types of the registry's parameter that ours does not take."""
    out = set()
    for text in wanted:
        flags, names = leaf(text)
        if flags and not flags & ours["flags"]:
            out.add(text)
        out |= {n for n in names if n not in ours["types"]}
    return out


def params_of(side, ours, wanted):
    for i, p in enumerate(wanted):
        mine = ours[min(i, len(ours) - 1)] if ours and (i < len(ours) or ours[-1]["flags"] & 2) else None
        if mine is None:
            yield f"{side} {p.name} is missing"
            continue
        lack = lacking_types(mine, p.types)
        if lack:
            yield f"{side} {p.name} lacks {words_of(lack)}"


def arity_of(side, ours, low, high):
    if ours[0] > low:
        yield f"fewest {side}puts {ours[0]}, the standard says {low}"
    if ours[1] >= 0 and ours[1] < min(high, 1 << 20):
        yield f"most {side}puts {ours[1]}, the standard says {high}"


def same_default(ours, kind, text):
    if kind == 1:
        return math.isclose(float(ours), text, rel_tol=1e-6, abs_tol=1e-30) or (math.isinf(text) and ours == text)
    return ours == text


def attrs_of(ours, wanted):
    mine = {a["name"]: a for a in ours}
    for name, a in sorted(wanted.items()):
        if name not in mine:
            yield f"attribute {name} is missing"
            continue
        m = mine[name]
        kind = int(getattr(a.type, "value", a.type))  # numbers of the registry's enum are AttributeProto's
        if m["kind"] != kind:
            yield f"attribute {name} is of kind {m['kind']}, the standard says {kind}"
        if bool(a.required) != m["required"]:
            yield f"attribute {name} is {'' if m['required'] else 'not '}required, the standard says otherwise"
        if a.required or not a.default_value.name:
            continue
        value = onnx.helper.get_attribute_value(a.default_value)
        value = value.decode() if isinstance(value, bytes) else value
        if kind in (1, 2, 3) and not same_default(m["default"], kind, value):
            yield f"attribute {name} is {m['default']} by default, the standard says {value}"


def differences(ours):
    rows = {}
    for s in ours:
        rows.setdefault((s["domain"], s["name"]), {})[s["since"]] = s
    for s in sorted(defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version)):
        if s.domain not in DOMAINS:
            continue
        at = f"{s.domain or 'ai.onnx'}.{s.name}@{s.since_version}"
        versions = rows.get((s.domain, s.name))
        if versions is None:
            yield f"{at}: the operator is missing"
            continue
        mine = versions.get(s.since_version)
        if s.deprecated:
            continue  # the registry says from when on an operator is gone
        if mine is None:
            yield f"{at}: the version is missing"
            continue
        for what in [
            *arity_of("in", mine["n_in"], s.min_input, s.max_input),
            *arity_of("out", mine["n_out"], s.min_output, s.max_output),
            *params_of("input", mine["in"], s.inputs),
            *params_of("output", mine["out"], s.outputs),
            *attrs_of(mine["attrs"], s.attributes),
        ]:
            yield f"{at}: {what}"


def main():
    ours = json.load(open(sys.argv[1], encoding="utf-8"))
    excused = {}
    for line in open(sys.argv[2], encoding="utf-8"):
        m = re.match(r"([^#].*?) +# (.+)", line)
        if m:
            excused[m[1]] = m[2]
    found = list(differences(ours))
    newest = max(s.since_version for s in defs.get_all_schemas() if s.domain == "")
    bad = [d for d in found if d not in excused]
    stale = [d for d, why in excused.items() if d not in found and not why.startswith("old:")] if newest >= 24 else []
    for d in bad:
        print(f"# {d}")
    for d in stale:
        print(f"# no longer different, take it out of the exceptions: {d}")
    ok = "not ok" if bad or stale else "ok"
    n = len(list(defs.get_all_schemas_with_history()))
    print(f"1..1\n{ok} 1 - our tables and onnx {onnx.__version__}: {n} schemas, {len(found) - len(bad)} differences excused")
    sys.exit(bool(bad or stale))


main()
