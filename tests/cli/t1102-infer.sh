# usta infer: files in, files out, exactly as other programs rely on.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data

# x = [[1, 1], [0, 2]] as .npy version 1.0, header padded to 64.
npy() { # FILE DESCR SHAPE, data on stdin
    t_h="{'descr': '$2', 'fortran_order': False, 'shape': $3, }"
    { printf '\223NUMPY\001\000\166\000'; printf '%-117s\n' "$t_h"; cat; } >"$1"
}
printf '\000\000\200\077\000\000\200\077\000\000\000\000\000\000\000\100' | npy "$T/x.npy" "<f4" "(2, 2)"
printf '["one", "two"]' >"$T/text.json"

ok "infer runs" "$USTA" infer "$D/net.onnx" -i x="$T/x.npy" -i text="$T/text.json" -o "$T/out"
ok "the output's name is made a file name" test -f "$T/out/out_y_0.npy"
is "strings travel as JSON" "$(cat "$T/out/words.json")" '["one","two"]'
is "data are right" "$(tail -c 24 "$T/out/out_y_0.npy" | od -An -tf4 | tr -s ' \n' ' ')" " 5.5 0 9 8.5 0 12 "

ok "infer --json runs" "$USTA" infer --json "$D/net.onnx" -i x="$T/x.npy" -i text="$T/text.json"
is "nothing on stderr" "$(wc -c <"$ERR")" 0
has "outputs on stdout" '"data":[[5.5,0.0,9.0],[8.5,0.0,12.0]]'
has "with their shape" '"shape":[2,3]'

ok "random inputs" "$USTA" infer --json --random --seed 3 "$D/net.onnx"
cp "$OUT" "$T/first"
ok "again" "$USTA" infer --json --random --seed 3 "$D/net.onnx"
is "the same seed gives the same outputs" "$(cmp "$OUT" "$T/first" && echo same)" same
ok "another seed" "$USTA" infer --json --random --seed 4 "$D/net.onnx"
is "gives others" "$(cmp -s "$OUT" "$T/first" || echo differ)" differ

printf '[1, 2, 3]' >"$T/v.json"
ok "an old file runs with its own initialiser" "$USTA" infer --json "$D/old.onnx" -i x="$T/v.json"
has "x + b" '"data":[1.5,-98.0,3.0]'
ok "which may be given" "$USTA" infer --json "$D/old.onnx" -i x="$T/v.json" -i b="$T/v.json"
has "x + x" '"data":[2.0,4.0,6.0]'

printf '{"c": 2.5, "a": 1}' >"$T/map.json"
ok "a map is a JSON object" "$USTA" infer --json "$D/map.onnx" -i m="$T/map.json"
has "its values by key" '"data":[[1.0,0.0,2.5]]'
printf '[1, 2]' >"$T/nomap.json"
status 2 "an array for a map" "$USTA" infer --json "$D/map.onnx" -i m="$T/nomap.json"
has "says what is expected" "an object for a map"
printf '{"a": "x"}' >"$T/badmap.json"
status 2 "a map of strings for a map of numbers" "$USTA" infer --json "$D/map.onnx" -i m="$T/badmap.json"

status 2 "a missing input" "$USTA" infer "$D/net.onnx" -i x="$T/x.npy" -o "$T/out2"
has "is named" "'text'"
is "and nothing is left behind" "$(test -e "$T/out2" && echo there)" ""
status 2 "an input the model does not have" "$USTA" infer "$D/net.onnx" -i z="$T/x.npy" -o "$T/out2"
has "the message lists those it has" "x, text"
status 2 "a wrong shape" "$USTA" infer "$D/old.onnx" -i x="$T/x.npy" -o "$T/out2"
has "says which" "'x'"
status 2 "neither -o nor --json" "$USTA" infer --random "$D/net.onnx"
status 2 "operators this build lacks" "$USTA" infer --random --json "$D/odd.onnx"
has "are named" "my.domain.Wonder"
printf '[[1, 2], [3]]' >"$T/ragged.json"
status 2 "ragged arrays" "$USTA" infer "$D/old.onnx" -i x="$T/ragged.json" -o "$T/out2"
status 2 "a file that is no .npy" "$USTA" infer "$D/old.onnx" -i x="$D/net.onnx" -o "$T/out2"
t_end
