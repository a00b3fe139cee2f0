# Operators on text, Unique, MaxRoiPool and growing sequences against ONNX Runtime.
. "$US_TESTS/us_test.sh"
need_peers
USTA=$USTA exec "$PEERS" "$US_TESTS/ops/text_ort.py" 2>"$ERR"
