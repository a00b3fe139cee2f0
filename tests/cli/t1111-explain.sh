# usta explain: steps of a run, their kernels and times.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data

ok "a small net" "$USTA" explain --time 5 "$D/net.onnx"
has "says what a run takes" " a run ("
has "and the peak" "billion multiply-adds a second"
has "a row per step" "Gemm"
ok "as JSON" "$USTA" explain --time 5 --json "$D/net.onnx"
is "one line" "$(wc -l <"$OUT")" 1
has "the level in force" '"level":"'
has "the kernel of a step" '"kernel":"'
has "its time" '"us":'
ok "one row" "$USTA" explain --time 5 --top 1 "$D/old.onnx"
ok "all, in order" "$USTA" explain --time 5 --order "$D/old.onnx"
lacks "nothing is left out" "more steps"
USTA_CPU=ref; export USTA_CPU
ok "without the processor's instructions" "$USTA" explain --time 5 --json "$D/net.onnx"
has "says so" '"level":"ref"'
unset USTA_CPU
status 2 "an operator this build lacks" "$USTA" explain "$D/odd.onnx"
status 2 "no such file" "$USTA" explain "$T/none.onnx"
status 2 "no such input" "$USTA" explain -i nope=x.npy "$D/net.onnx"
t_end
