# usta check beside the onnx package's checker: hand-made cases, small models and mutants of them (all: make e2e-check).
. "$US_TESTS/us_test.sh"
need_peers
need_corpus tiny
ok "what onnx refuses is refused; other differences are listed with who is right" \
    "$PEERS" "$US_SOURCE/tests/e2e/check_peers.py" "$USTA" --mutants 120 "$CORPUS/tiny"
tail -1 "$OUT" | sed 's/^/# /'
has "without a failure" "; 0 failures"
"$US_BUILD/tests/ir/dump_schemas" >"$T/ours.json"
"$PEERS" "$US_SOURCE/tests/e2e/check_standard.py" "$T/ours.json" >"$T/standard.def"
ok "the table of element types is what the registry says" cmp "$T/standard.def" "$US_SOURCE/src/check/standard.def"
t_end
