#!/bin/sh
# bench-infer: inference beside ONNX Runtime, every model of the corpus and of the zoo. PAIRS and THREADS may be set; arguments go to
# bench/infer.py (--only WORD, --quick, --folder DIR). OpenVINO beside it: tools/setup --openvino first.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
python=build/peers/bin/python
[ -x "$python" ] || tools/setup --peers
library=$(ninja -C "$build" -t targets all | sed -n 's/^\(src\/libusta\.so\.[0-9.]*\): .*/\1/p')
# shellcheck disable=SC2086 # none, where no library is built
ninja -C "$build" bench/bench_infer bench/zoo.made src/cli/usta $library >/dev/null
"$python" bench/infer.py "$build" --pairs "${PAIRS:-15}" --threads "${THREADS:-1}" "$@"
