# usta simplify on real models that run in milliseconds, seen by the onnx checker and ONNX Runtime (all models and all official
# tests: make e2e-simplify).
. "$US_TESTS/us_test.sh"
need_peers
need_corpus models
need_corpus tiny
ok "what it writes is valid and gives equal outputs" "$PEERS" "$US_SOURCE/tests/e2e/simplify_peers.py" "$USTA" "$CORPUS/tiny" \
    "$CORPUS/models/audio" "$CORPUS/models/ocr" "$CORPUS/models/quantised-graphs" "$CORPUS/models/tabular"
grep -E '^[0-9]' "$OUT" | sed 's/^/# /'
has "without a failure" "; 0 failures"
n=$(sed -n 's/^\([0-9]*\) ONNX Runtime agrees.*/\1/p' "$OUT")
is "and most of 33 models were compared" "$([ "${n:-0}" -ge 28 ] && echo yes)" yes

# Weights in a file beside the model, as past 2 GB (make e2e-simplify-large), from a lower size on.
ad=$CORPUS/tiny/ad_f32.onnx
ok "in one file" "$USTA" simplify "$ad" "$T/whole.onnx"
ok "with weights outside" "$USTA" simplify --external-over 100000 "$ad" "$T/ext.onnx"
is "they lie beside it" "$(test "$(wc -c <"$T/ext.onnx.data")" -gt 500000 && test "$(wc -c <"$T/ext.onnx")" -lt 50000 && echo yes)" yes
ok "which the onnx checker accepts" "$PEERS" -c 'import onnx, sys; onnx.checker.check_model(sys.argv[1])' "$T/ext.onnx"
ok "the whole runs" "$USTA" infer "$T/whole.onnx" --random -o "$T/a"
ok "the other runs" "$USTA" infer "$T/ext.onnx" --random -o "$T/b"
for f in "$T"/a/*.npy; do is "equal output" "$(cksum <"$f")" "$(cksum <"$T/b/${f##*/}")"; done
ok "weights outside are read" "$USTA" simplify "$T/ext.onnx" "$T/back.onnx"
is "into the same file" "$(cksum <"$T/whole.onnx")" "$(cksum <"$T/back.onnx")"

# The published simplified form of this model leaves out how boxes are decoded: its output `boxes` is the original's value 460. Up to there we
# have no more nodes than it.
published=$CORPUS/models/vision-detect/ultraface_RFB-320_simplified.onnx
ok "ultraface_RFB-320" "$USTA" simplify "$CORPUS/models/vision-detect/ultraface_RFB-320.onnx" "$T/face.onnx"
ok "cut where the published form ends" "$USTA" extract "$T/face.onnx" "$T/cut.onnx" --to scores,460 --json
nodes() { "$PEERS" -c 'import onnx, sys; print(len(onnx.load(sys.argv[1]).graph.node))' "$1"; }
is "no more nodes than the published form" "$(($(nodes "$T/cut.onnx") <= $(nodes "$published")))" 1
is "and ten for the boxes" "$(($(nodes "$T/face.onnx") - $(nodes "$T/cut.onnx")))" 10
t_end
