#!/bin/sh
# bench-infer: inference beside ONNX Runtime, every model of the corpus and of the zoo. PAIRS and THREADS may be set; arguments go to
# bench/infer.py (--only WORD, --quick, --folder DIR). OpenVINO beside it: tools/setup --openvino first.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
python=$build/peers/bin/python
[ -x "$python" ] || tools/setup --peers
ninja -C "$build" bench/bench_infer src/cli/usta src/libusta.so >/dev/null
mkdir -p "$build/bench"
"$python" bench/infer.py "$build" --pairs "${PAIRS:-15}" --threads "${THREADS:-1}" "$@"
