# usta check: what it says of good, broken and unreadable files.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data

ok "a good model" "$USTA" check "$D/net.onnx"
has "keeps the rules" "keeps the rules"
ok "as JSON" "$USTA" check --json "$D/net.onnx"
is "one line" "$(wc -l <"$OUT")" 1
has "valid" '"valid":true'
has "types too" '"types_checked":true'
ok "--no-advice" "$USTA" check --no-advice "$D/old.onnx"
lacks "no advice" ": advice: "
ok "an initialiser listed as input" "$USTA" check "$D/old.onnx"
has "is said to be a constant" "initializer-overridable"
ok "an operator this build lacks" "$USTA" check "$D/odd.onnx"
has "is advice" "not-runnable"

# Another operator of the same length: the file stays well-formed.
sed 's/Gemm/Grmm/' "$D/net.onnx" >"$T/unknown.onnx"
status 1 "an unknown operator" "$USTA" check "$T/unknown.onnx"
has "the rule's name" "[operator]"
has "the operator" "Grmm"
has "the place in the file" "unknown.onnx:13: error: "
status 1 "as JSON" "$USTA" check --json "$T/unknown.onnx"
has "the same rule" '"rule":"operator"'
has "not valid" '"valid":false'

head -c 60 "$D/net.onnx" >"$T/cut.onnx"
status 2 "malformed bytes" "$USTA" check "$T/cut.onnx"
status 2 "no such file" "$USTA" check "$T/none.onnx"
status 2 "no file" "$USTA" check
ok "--rules" "$USTA" check --rules
has "lists them" "single-assignment"
ok "--rules as JSON" "$USTA" check --rules --json
has "with help" '"rule":"topological-order"'
t_end
