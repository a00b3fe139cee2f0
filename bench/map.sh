#!/bin/sh
# bench-map: elementwise operators, rows and moves beside ONNX Runtime, one model of one operator each. PAIRS may be set.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
python=build/peers/bin/python
[ -x "$python" ] || tools/setup --peers
ninja -C "$build" bench/bench_infer >/dev/null
mkdir -p "$build/bench/map"
"$python" bench/map.py "$build" --pairs "${PAIRS:-15}" "$@"
