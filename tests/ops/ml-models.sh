# The corpus models made of ai.onnx.ml, labels, numbers and maps against ONNX Runtime.
. "$US_TESTS/us_test.sh"
need_peers
need_corpus models/tabular
exec "$PEERS" "$US_TESTS/ops/ml_models.py" "$CORPUS/models" "$USTA"
