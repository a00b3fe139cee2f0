# usta extract: what it cuts, what it says, and when it refuses.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data

ok "extract runs" "$USTA" extract "$D/net.onnx" "$T/head.onnx" --from h --to out/y:0
has "the cut value has its inferred type" "float[N,3]"
has "nodes are counted" "1 of 3 nodes"
ok "the result is a model" "$USTA" info --json "$T/head.onnx"
has "one operator" '"operators":{"Relu":1}'
has "the input keeps its name" '"inputs":[{"name":"h","type":"float[N,3]"}]'
has "no weight is left" '"parameters":0'
has "metadata stays" '"colour":"blue"'
has "opsets stay" '"opsets":{"ai.onnx":17}'

ok "extract --json" "$USTA" extract --json "$D/net.onnx" "$T/tail.onnx" --to h
is "one line" "$(wc -l <"$OUT")" 1
has "inputs are those needed" '"inputs":[{"name":"x","type":"float[N,2]"}]'
has "outputs" '"outputs":[{"name":"h","type":"float[N,3]"}]'
ok "same file again" "$USTA" extract "$D/net.onnx" "$T/tail2.onnx" --to h
is "same bytes" "$(cksum <"$T/tail.onnx")" "$(cksum <"$T/tail2.onnx")"

# What the part computes is what the whole computes there.
ok "values of the whole" "$USTA" trace "$D/net.onnx" --random --seed 3 --save "$T/all"
ok "the part, fed with them, gives them" "$USTA" trace "$T/head.onnx" -i h="$T/all/h.npy" --against "$T/all" --tolerance 0
has "the value was compared" "1 values compared"
ok "so does the front" "$USTA" trace "$T/tail.onnx" -i x="$T/all/x.npy" --against "$T/all" --tolerance 0

ok "a cut above several outputs" "$USTA" extract --json "$D/net.onnx" "$T/two.onnx" --from h --to out/y:0,words --add-inputs
has "brings the other input" '"inputs_added":1'
status 2 "without --add-inputs" "$USTA" extract "$D/net.onnx" "$T/x.onnx" --from h --to out/y:0,words
has "names what is missing" "needs the input 'text'"
is "nothing was written" "$(ls "$T" | grep -c x.onnx)" 0
ok "a value nobody needs" "$USTA" extract "$D/net.onnx" "$T/y.onnx" --from h,words --to out/y:0
has "is said" "nothing needs 'words'"

LC_ALL=C sed 's/words/w\xff\xferd/g' "$D/net.onnx" >"$T/odd.onnx"
ok "a name that is no UTF-8" "$USTA" extract --json "$T/odd.onnx" "$T/odd2.onnx" --from h --add-inputs
has "is shown as such" '"name":"�"'

status 2 "an unknown name" "$USTA" extract "$D/net.onnx" "$T/x.onnx" --from hh --to out/y:0
has "with the near one" "is it 'h'?"
status 2 "a name twice" "$USTA" extract "$D/net.onnx" "$T/x.onnx" --from h,h --to out/y:0
status 2 "neither flag" "$USTA" extract "$D/net.onnx" "$T/x.onnx"
status 2 "one file" "$USTA" extract "$D/net.onnx" --to h
head -c 60 "$D/net.onnx" >"$T/cut.onnx"
status 2 "a truncated file" "$USTA" extract "$T/cut.onnx" "$T/x.onnx" --to h
is "nothing was written" "$(ls "$T" | grep -c x.onnx)" 0
t_end
