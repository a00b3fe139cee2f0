# BeamSearch, GreedySearch and Sampling on small models of both forms, with every attribute, against ONNX Runtime.
. "$US_TESTS/us_test.sh"
need_peers
ok "no case differs from ONNX Runtime" "$PEERS" "$US_TESTS/ops/ms_generate_ort.py" "$USTA"
sed 's/^/# /' "$OUT"
has "all cases ran" " cases, 0 differ"
t_end
