# ai.onnx.ml, and the text operators of ai.onnx, against ONNX Runtime on a thousand small random models.
. "$US_TESTS/us_test.sh"
need_peers
USTA=$USTA exec "$PEERS" "$US_TESTS/ops/ml_ort.py"
