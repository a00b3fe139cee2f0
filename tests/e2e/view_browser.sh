#!/bin/sh
# view_browser: `usta view` of models of every size in headless Chromium (view_browser.py); pictures in BUILD/view.
#
#   tests/e2e/view_browser.sh BUILD      skipped, and said so, when no Chromium is installed (tools/setup browser)
set -eu
cd "$(dirname "$0")/../.."
build=$1
corpus=${USTA_CORPUS:-../shared/corpus}
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
    echo "1..0 # SKIP no chromium (tools/setup browser)"
    exit 0
}
mkdir -p "$build/view"
n=0 bad=0 skipped=0
for model in tests/cli/data/net.onnx "$corpus"/models/vision-classify/mnist8_cntk.onnx \
    "$corpus"/models/vision-detect/ultraface_RFB-320.onnx "$corpus"/models/audio/silero_vad_16k_op15.onnx \
    "$corpus"/models/vision-classify/mobilenetv2_imagenet1000_int8_qdq.onnx "$corpus"/models/text/tf_bert_seqclass_tiny.onnx \
    "$corpus"/models/tabular/tract_lgbm_regressor_tensor.onnx; do
    name=$(basename "$model" .onnx)
    n=$((n + 1))
    if [ ! -f "$model" ]; then
        echo "ok $n - $name # SKIP no corpus (set USTA_CORPUS)"
        skipped=$((skipped + 1))
        continue
    fi
    "$build/src/cli/usta" view "$model" -o "$build/view/$name.svg" >/dev/null
    "$build/src/cli/usta" view "$model" -o "$build/view/$name.html" >/dev/null
    if python3 tests/e2e/view_browser.py "$browser" "$build/view/$name.html" "$build/view/$name.png" >"$build/view/$name.log"; then
        echo "ok $n - $name"
    else
        bad=$((bad + 1))
        grep -v '^ok' "$build/view/$name.log" | sed 's/^/# /'
        echo "not ok $n - $name"
    fi
done
echo "1..$n"
echo "# $bad failed, $skipped skipped; pictures: $build/view/*.png"
[ "$bad" = 0 ]
