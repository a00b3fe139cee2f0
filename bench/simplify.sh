#!/bin/sh
# bench-simplify: nodes before and after usta simplify and onnxsim, every model of the corpus.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
ninja -C "$build" src/cli/usta >/dev/null
tools/setup -q --peers
corpus=${USTA_CORPUS:-../shared/corpus}
[ -x build/peers/bin/python ] && [ -d "$corpus/models" ] || {
    echo "bench-simplify: needs build/peers (tools/setup --peers) and a corpus (USTA_CORPUS)" >&2
    exit 0
}
exec build/peers/bin/python bench/simplify.py "$build" "$corpus/models" "$corpus/tiny"
