# usta info: what it shows, as text and as JSON, and how it fails.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data

ok "info runs" "$USTA" info "$D/net.onnx"
has "names the input and its type" "float[N,2]"
has "names the output" "out/y:0"
has "counts parameters" "9 parameters"
has "lists operators" "Gemm"
has "prints foreign properties as text" "colour: blue"
has "prints its own properties as a tree" '"rows": 7'

ok "info --json runs" "$USTA" info --json "$D/net.onnx"
is "nothing on stderr" "$(wc -c <"$ERR")" 0
is "one line" "$(wc -l <"$OUT")" 1
has "operators are counted" '"operators":{"Gemm":1,"Identity":1,"Relu":1}'
has "opsets" '"opsets":{"ai.onnx":17}'
has "inputs in order" '"inputs":[{"name":"x","type":"float[N,2]"},{"name":"text","type":"string[N]"}]'
has "the property is a tree" '"usta.note":{"rows":7,"version":1}'

ok "an initialiser listed as input is no input" "$USTA" info --json "$D/old.onnx"
has "one input" '"inputs":[{"name":"x","type":"float[3]"}]'
ok "unknown operators are shown" "$USTA" info --json "$D/odd.onnx"
has "with their domain" '"my.domain.Wonder":1'

status 2 "a missing file" "$USTA" info "$T/none.onnx"
has "is named" "none.onnx"
head -c 60 "$D/net.onnx" >"$T/cut.onnx"
status 2 "a truncated file" "$USTA" info "$T/cut.onnx"
status 2 "no file given" "$USTA" info
t_end
