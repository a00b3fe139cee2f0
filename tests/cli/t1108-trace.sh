# usta trace: every value of a run, saved, and compared with another run.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data

ok "trace runs" "$USTA" trace "$D/net.onnx" --random
has "a value in the middle with its shape" "float[1,3]"
has "says all is finite" "3 values, all finite"
ok "trace --json" "$USTA" trace "$D/net.onnx" --random --json
is "one line" "$(wc -l <"$OUT")" 1
has "values in order" '"name":"h"'
has "nothing is wrong" '"error":null'

ok "values are saved" "$USTA" trace "$D/net.onnx" --random --seed 5 --save "$T/d"
is "inputs, values, text" "$(ls "$T/d" | tr '\n' ' ')" "h.npy out_y_0.npy text.json words.json x.npy "
ok "against what was saved" "$USTA" trace "$D/net.onnx" --random --seed 5 --against "$T/d" --tolerance 0
has "all were compared" "3 values compared"
status 1 "against values of other inputs" "$USTA" trace "$D/net.onnx" --random --seed 6 --against "$T/d"
has "the first that differs is named" "first to differ by more than 0.0001: 'h' of Gemm 'first'"
status 1 "as JSON" "$USTA" trace --json "$D/net.onnx" --random --seed 6 --against "$T/d"
has "too" '"first_difference":"h"'

ok "against a second model" "$USTA" extract "$D/net.onnx" "$T/b.onnx" --to h,out/y:0
ok "that computes the same" "$USTA" trace "$D/net.onnx" --random --against "$T/b.onnx" --tolerance 0
has "by name" "2 values compared"
status 2 "a folder without any" "$USTA" trace "$D/net.onnx" --random --against "$D"
has "says so" "has no value of a name"
status 2 "against nothing" "$USTA" trace "$D/net.onnx" --random --against "$T/none.onnx"
has "is named" "none.onnx"

printf '["a"]' >"$T/text.json"
status 2 "a missing input" "$USTA" trace "$D/net.onnx" -i text="$T/text.json"
has "is named" "input 'x' is missing"
status 2 "an unknown input" "$USTA" trace "$D/net.onnx" -i z="$T/text.json"
has "the inputs are listed" "its inputs: x, text"
status 2 "operators we do not have" "$USTA" trace "$D/odd.onnx" --random
t_end
