#!/bin/sh
# bench-conv: convolution layers of ResNet-50 and MobileNetV2, one thread, as a share of a register tile's speed.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
ninja -C "$build" bench/bench_conv >/dev/null
out=$build/bench/conv.json
mkdir -p "$build/bench"
"$build/bench/bench_conv" >"$out"
printf '%-28s %10s %10s %6s\n' "layer, one thread" us GFLOP/s '%'
grep ':\[' "$out" | tr -d '"]}' | sed 's/:\[/,/' | awk -F, '
    { printf "%-28s %10.1f %10.1f %6.0f\n", $1, $2, $3, $4; if ($1 ~ /^dw/) { d += $4; nd++ } else if ($1 ~ /^g/) { g += $4; ng++ } else { s += $4; n++ } }
    END { printf "bench conv: dense=%.0f%% groups=%.0f%% depthwise=%.0f%% of the tile\n", s / n, g / ng, d / nd }'
