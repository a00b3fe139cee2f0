# usta simplify: what it writes, what it says, and when it refuses.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data

ok "simplify runs" "$USTA" simplify "$D/net.onnx" "$T/out.onnx"
has "says it is proven" "proven equal on 4 random inputs"
has "counts nodes" "all"
ok "the result is a model" "$USTA" info --json "$T/out.onnx"
has "opsets stay" '"opsets":{"ai.onnx":17}'
has "metadata stays" '"colour":"blue"'
has "Identity went or makes the output" '"Gemm":1'

ok "simplify --json" "$USTA" simplify --json "$D/net.onnx" "$T/out2.onnx"
is "one line" "$(wc -l <"$OUT")" 1
has "proof" '"proof":{"elements":'
is "same bytes again" "$(cksum <"$T/out.onnx")" "$(cksum <"$T/out2.onnx")"

ok "an initialiser listed as input becomes a constant" "$USTA" simplify "$D/old.onnx" "$T/old.onnx"
ok "in a version that allows it" "$USTA" info --json "$T/old.onnx"
lacks "IR 3" '"ir_version":3'

ok "--dump-after" "$USTA" simplify --dump-after all "$D/net.onnx" "$T/out3.onnx"
is "dumps go to stderr" "$(grep -c 'graph ' "$OUT")" 0

status 2 "a model we cannot run is refused" "$USTA" simplify "$D/odd.onnx" "$T/odd.onnx"
has "it says how to go on" "--unproven"
is "nothing was written" "$(ls "$T" | grep -c odd.onnx)" 0
ok "with --unproven it is written" "$USTA" simplify --unproven "$D/odd.onnx" "$T/odd.onnx"
has "and that is said" "not proven"

status 2 "an unknown pass" "$USTA" simplify --passes identiy "$D/net.onnx" "$T/x.onnx"
has "names the near one" "identity"
status 2 "an unknown pass to dump" "$USTA" simplify --dump-after nothing "$D/net.onnx" "$T/x.onnx"
status 2 "one file" "$USTA" simplify "$D/net.onnx"
head -c 60 "$D/net.onnx" >"$T/cut.onnx"
status 2 "a truncated file" "$USTA" simplify "$T/cut.onnx" "$T/x.onnx"
is "nothing was written" "$(ls "$T" | grep -c x.onnx)" 0
t_end
