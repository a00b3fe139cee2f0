#!/bin/sh
# bench-core: CSV, training, start-up and size, each beside its peer in alternating runs (medians of ratios).
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
ninja -C "$build" bench/bench_core src/cli/usta >/dev/null
exec /usr/bin/python3 bench/core.py "$build"
