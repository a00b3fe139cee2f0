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

ok "info counts" "$USTA" info "$D/net.onnx"
has "multiply-accumulates" "6 multiply-accumulates, 6 other operations, 40 B of activations"
has "and says for which sizes" "counted for N = 1 (--dim NAME=SIZE sets others)"
ok "for a size" "$USTA" info --json --layers --dim N=5 "$D/net.onnx"
has "in sum" '"macs":30.0'
has "says which" '"dims":{"N":5}'
has "by layer" '{"activation_bytes":60,"domain":"","graph":"","known":true,"macs":30.0,"node":"first","operations":15.0,"operator":"Gemm","output":"h","parameters":9,"type":"float[5,3]","weight_bytes":36}'
ok "as a table" "$USTA" info --layers "$D/net.onnx"
has "with a sum" "all "
ok "unknown operators" "$USTA" info --layers "$D/odd.onnx"
has "are said to be unknown" "not counted: 1 of 1 nodes"
ok "values" "$USTA" info --json --values "$D/net.onnx"
has "each with its type, whole and in parts" '{"attribute":"","graph":"","holder":"","name":"h","parts":{"dims":["N",3],"element":"float","kind":"tensor"},"storage":"computed","type":"float[N,3]"}'
ok "as a table" "$USTA" info --values "$D/net.onnx"
has "with where they come from" "computed"
ok "of operators that nobody knows" "$USTA" info --json --values "$D/odd.onnx"
has "nothing is known" '"parts":{"kind":"unknown"}'
status 2 "a dimension that is not there" "$USTA" info --dim M=5 "$D/net.onnx"
has "those that are, are named" "there are: N"
status 2 "no size" "$USTA" info --dim N=many "$D/net.onnx"

status 2 "a missing file" "$USTA" info "$T/none.onnx"
has "is named" "none.onnx"
head -c 60 "$D/net.onnx" >"$T/cut.onnx"
status 2 "a truncated file" "$USTA" info "$T/cut.onnx"
status 2 "no file given" "$USTA" info
t_end
