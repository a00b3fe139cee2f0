"""onnx_functions.py LIST: the operators that the installed onnx package defines by others stand in LIST (a C header)."""
import re
import sys

import onnx
from onnx import defs

listed = set(re.findall(r'"(\w+)"', open(sys.argv[1], encoding="utf-8").read()))
there = {s.name for s in defs.get_all_schemas() if s.domain == ""}
functions = {
    s.name
    for s in defs.get_all_schemas()
    if s.domain == "" and (s.has_function or s.has_context_dependent_function)
}
missing = sorted(functions - listed)
# A newer package turned more operators into functions: what it knows and does not call one must be newer than it.
newest = max(s.since_version for s in defs.get_all_schemas() if s.domain == "")
extra = sorted((listed & there) - functions) if newest >= 24 else []
for name in missing:
    print(f"# onnx {onnx.__version__} defines {name} by other operators: add it to {sys.argv[1]}")
for name in extra:
    print(f"# onnx {onnx.__version__} does not define {name} by other operators: take it out of {sys.argv[1]}")
print(f"1..1\n{'not ok' if missing or extra else 'ok'} 1 - functions of the standard, onnx {onnx.__version__}")
sys.exit(bool(missing or extra))
