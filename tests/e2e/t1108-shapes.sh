# Inferred types and shapes beside the onnx package's, on a selection of the official tests (all: make e2e-shapes).
. "$US_TESTS/us_test.sh"
need_peers
[ -d /usr/share/libonnx-testdata ] || { echo "1..0 # SKIP no libonnx-testdata"; exit 0; }
ok "onnx says nothing that usta does not; other differences are listed with who is right" \
    "$PEERS" "$US_SOURCE/tests/e2e/shapes_peers.py" "$USTA" --light /usr/share/libonnx-testdata "$US_SOURCE/tests/cli/data"
tail -1 "$OUT" | sed 's/^/# /'
has "without a failure" "; 0 failures"
t_end
