#!/bin/sh
# bench-threads: two threads beside one on networks of over a millisecond, alone and with a busy neighbour. PAIRS and MODELS may be set.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
ninja -C "$build" bench/bench_threads bench/zoo.made >/dev/null
models=
for name in ${MODELS:-bert_mini efficientnet_b0 mobilenet_v2 prelu_segment resnet18 resnet50 squeezenet1_1}; do
    models="$models $build/bench/zoo/$name.onnx"
done
# shellcheck disable=SC2086
"$build/bench/bench_threads" --pairs "${PAIRS:-15}" $models | tee "$build/bench/threads.lines" |
    sed 's/[{}"]//g; s/model://; s/,/  /g'
awk -F'[:,}]' 'BEGIN { s = 0; w = 99; b = 99 }
    { n++; s += log($6); if ($6 < w) w = $6; if ($8 < b) b = $8; lines = lines (n > 1 ? ",\n" : "") $0 }
    END { printf "{\"models\":[\n%s\n]}\n", lines > out
          printf "bench threads: geomean=%.3f worst=%.3f worst_with_neighbour=%.3f models=%d processors=%s\n", exp(s / n), w, b, n, cpus }' \
    out="$build/bench/threads.json" cpus="$(nproc)" "$build/bench/threads.lines"
rm -f "$build/bench/threads.lines"
