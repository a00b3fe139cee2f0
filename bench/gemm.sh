#!/bin/sh
# bench-gemm: matrix products, GFLOP/s and share of the peak of an FMA loop in the same run; ONNX Runtime's MatMul beside it
# where the peers are installed (build/peers), in alternating rounds, best of each.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
ninja -C "$build" bench/bench_gemm >/dev/null
mkdir -p "$build/bench"
python=/usr/bin/python3
[ -x "$build/peers/bin/python" ] && python=$build/peers/bin/python
exec "$python" bench/gemm.py "$build"
