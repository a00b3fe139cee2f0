# Quantised and fused operators, of the standard and of com.microsoft, against ONNX Runtime on some 1,200 small models.
. "$US_TESTS/us_test.sh"
need_peers
USTA=$USTA exec "$PEERS" "$US_TESTS/ops/quant_ort.py"
