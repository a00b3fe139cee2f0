# The com.microsoft operators of transformers: every attribute and input, against ONNX Runtime.
. "$US_TESTS/us_test.sh"
need_peers
ok "no case differs from ONNX Runtime" "$PEERS" "$US_TESTS/ops/ms_attention_ort.py" "$USTA"
sed 's/^/# /' "$OUT"
has "all cases ran" " cases, 0 differ"
t_end
