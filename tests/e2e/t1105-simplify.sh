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
t_end
