# Quantised and fused operators of com.microsoft against ONNX Runtime on small random models.
. "$US_TESTS/us_test.sh"
need_peers
USTA=$USTA exec "$PEERS" "$US_TESTS/ops/ms_quant_ort.py"
