"""check_standard.py DUMP: what the registry of the onnx package takes less than the engine's rows, as src/check/standard.def.

DUMP is what build/tests/ir/dump_schemas prints. The engine computes with more element types than the standard lists, in older
versions above all; the checker holds a file against the standard's own lists, and this table is the difference.
"""
import json
import re
import sys

from onnx import defs

NUMBERS = {n: i for i, n in enumerate(
    "undefined float uint8 int8 uint16 int16 int32 int64 string bool float16 double uint32 uint64 complex64 complex128 bfloat16 "
    "float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 float4e2m1 float8e8m0 uint2 int2".split())}

OUTPUT = 64  # US_CK_OUTPUT


def element(text):
    m = re.search(r"map\((\w+)", text)
    return m[1] if m else re.search(r"(\w+)\)+$", text)[1]


def rows(ours):
    mine = {(s["domain"], s["name"], s["since"]): s for s in ours}
    for s in sorted(defs.get_all_schemas_with_history(), key=lambda s: (s.name, s.domain, s.since_version)):
        row = mine.get((s.domain, s.name, s.since_version))
        if s.domain not in ("", "ai.onnx.ml") or row is None or s.deprecated:
            continue
        for i, p in enumerate(s.inputs):
            names = {element(t) for t in p.types}
            if i < len(row["in"]) and set(row["in"][i]["types"]) - names:
                yield s.name, s.domain, s.since_version, i, sum(1 << NUMBERS[n] for n in names)
        bound = {p.type_str for p in s.inputs}
        for i, p in enumerate(s.outputs):
            names = {element(t) for t in p.types}
            if p.type_str not in bound and i < len(row["out"]) and set(row["out"][i]["types"]) - names:
                yield s.name, s.domain, s.since_version, OUTPUT + i, sum(1 << NUMBERS[n] for n in names)


print("/* clang-format off */")
print("/* check/standard.def - element types the standard takes, where the engine's rows take more: US_STD(operator, domain, since,")
print(" * input or 64 + output, mask of element types). Sorted by operator. Made by tests/e2e/check_standard.py from the registry of onnx 1.19.1. */")
for name, domain, since, i, mask in rows(json.load(open(sys.argv[1], encoding="utf-8"))):
    print(f'US_STD("{name}", "{domain}", {since}, {i}, 0x{mask:07x})')
