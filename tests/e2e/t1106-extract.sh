# usta extract and usta trace on real models: a part cut out at a third and two thirds of a model, fed with the values of the
# whole, gives the values of the whole, to the bit; the onnx package's checker and ONNX Runtime accept the part.
. "$US_TESTS/us_test.sh"
need_peers
need_corpus models
need_corpus tiny
ok "parts of real models" "$PEERS" "$US_SOURCE/tests/e2e/extract_peers.py" "$USTA" "$CORPUS/tiny" "$CORPUS/models/audio" \
    "$CORPUS/models/quantised-graphs" "$CORPUS/models/tabular" "$CORPUS/models/mnist8_cntk" "$CORPUS/models/vision-detect"
grep -E '^[0-9]' "$OUT" | sed 's/^/# /'
has "without a failure" "; 0 failures"
n=$(sed -n 's/.* \([0-9]*\) equal in ONNX Runtime.*/\1/p' "$OUT")
is "and most of 37 models were compared" "$([ "${n:-0}" -ge 30 ] && echo yes)" yes
t_end
