# usta explain: steps of a run, their kernels and times.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data

ok "a small net" "$USTA" explain --time 5 "$D/net.onnx"
has "says what a run takes" " a run at best, "
has "and the peak" "billion multiply-adds a second"
has "what was run, where that is open" "inputs of N="
has "how to say otherwise" "--dim NAME=SIZE sets others"
has "a row per step" "Gemm"
ok "as JSON" "$USTA" explain --time 5 --json "$D/net.onnx"
is "one line" "$(wc -l <"$OUT")" 1
has "the level in force" '"level":"'
has "the kernel of a step" '"kernel":"'
has "its time" '"us":'
ok "one row" "$USTA" explain --time 5 --top 1 "$D/old.onnx"
ok "all, in order" "$USTA" explain --time 5 --order "$D/old.onnx"
lacks "nothing is left out" "more steps"
ok "another size" "$USTA" explain --time 5 --dim N=3 "$D/net.onnx"
lacks "is not ours to tell" "inputs of"
status 2 "no such dimension" "$USTA" explain --dim M=3 "$D/net.onnx"
has "says which there are" "there are: N"
status 2 "no size" "$USTA" explain --dim N=-3 "$D/net.onnx"
ok "an input that is a map" "$USTA" explain --time 5 "$D/map.onnx"
USTA_CPU=ref; export USTA_CPU
ok "without the processor's instructions" "$USTA" explain --time 5 --json "$D/net.onnx"
has "says so" '"level":"ref"'
unset USTA_CPU
status 2 "an operator this build lacks" "$USTA" explain "$D/odd.onnx"
status 2 "no such file" "$USTA" explain "$T/none.onnx"
status 2 "no such input" "$USTA" explain -i nope=x.npy "$D/net.onnx"
t_end
