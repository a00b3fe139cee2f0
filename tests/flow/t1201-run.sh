# usta run: caching by content, reasons, the same bytes at any number of threads, the gate, damage.
. "$US_TESTS/us_test.sh"
cd "$T" || exit 99
cp "$US_SOURCE/examples/digits/digits.csv.gz" .
cat >usta.yaml <<'EOF'
requirements:
  - {metric: accuracy, min: 0.8}
data: {path: digits.csv.gz, target: digit}
model: {hidden: [32]}
train: {epochs: 6, lr: 0.005}
package: {name: digits}
EOF
executed() { sed -n 's/.*"executed":\([0-9]*\).*/\1/p' "$OUT"; }
model_id() { "$USTA" models --json | sed 's/.*"id":"\([0-9a-f]*\)".*/\1/'; }

ok "the first run" "$USTA" run --json
is "executes every stage" "$(executed)" 8
is "says nothing but JSON" "$(wc -l <"$OUT")" 1
has "is ok" '"ok":true'
first=$(sha256sum <build/model.onnx)
ok "the second run" "$USTA" run --json
is "executes nothing" "$(executed)" 0
ok "status" "$USTA" status
has "up to date" "up to date"
ok "the model opens" "$USTA" info build/model.onnx
has "with its passport" "usta.passport"

ok "status with another learning rate" "$USTA" status --train.lr=0.01
has "names the reason" "train.lr 0.005 -> 0.01"
has "and what follows" "follows train"
ok "a changed learning rate" "$USTA" run --json --train.lr=0.01
is "repeats from training on" "$(executed)" 5
ok "changed back" "$USTA" run --json
is "finds the old results" "$(executed)" 0
is "and the old file" "$(sha256sum <build/model.onnx)" "$first"
is "the current model is the old one" "$("$USTA" lineage --json --way up | sed 's/^\[{[^}]*"id":"\([0-9a-f]*\)".*/\1/' | cut -c1-64 | wc -c)" 65

rm -r build
ok "a deleted model file" "$USTA" run --json
is "is put back" "$(sha256sum <build/model.onnx)" "$first"
is "without executing anything" "$(executed)" 0
for threads in 1 2; do
    mkdir p$threads && cp usta.yaml digits.csv.gz p$threads/
    ok "a fresh run at $threads threads" "$USTA" run --json --project p$threads --threads $threads
    is "gives the same bytes" "$(sha256sum <p$threads/build/model.onnx)" "$first"
done

status 1 "an impossible requirement" "$USTA" run --requirements='[{metric: accuracy, min: 0.99999}]'
has "required" ">= "
has "found and why" "REFUSED"
status 1 "again, with JSON" "$USTA" run --json --requirements='[{metric: accuracy, min: 0.99999}]'
has "not ok" '"ok":false'
status 1 "and its model is not served" "$USTA" serve
status 2 "a requirement that makes no sense" "$USTA" run --requirements='[{metric: acuracy, min: 0.8}]'
status 2 "a requirement without a bound" "$USTA" run --requirements='[{metric: accuracy}]'
status 2 "an unknown target" "$USTA" run --data.target=digits
has "names the nearest" "digit"

ok "a good run again" "$USTA" run --json
snapshot=$("$USTA" lineage --json --way up | tr '{' '\n' | sed -n 's/.*"id":"\([0-9a-f]*\)".*"kind":"snapshot".*/\1/p')
ok "lineage of the model" "$USTA" lineage
has "reaches the run" "run"
has "and the snapshot" "snapshot"
ok "lineage of the snapshot, down" "$USTA" lineage --way down "$snapshot"
has "reaches the validation" "validation"
status 2 "lineage of nothing" "$USTA" lineage 0123456789abcdef

object=.usta/objects/$(echo "$snapshot" | cut -c1-2)/$(echo "$snapshot" | cut -c3-)
ok "the snapshot is an object" test -f "$object"
rm -f "$object"
ok "a run with the snapshot gone" "$USTA" run --json
has "says why" "its output 'snapshot' is missing"
ok "made it again" test -f "$object"
is "and the same model" "$(sha256sum <build/model.onnx)" "$first"
chmod u+w "$object" && printf 'X' | dd of="$object" bs=1 seek=2000 conv=notrunc 2>/dev/null
status 2 "a run that needs a damaged snapshot" "$USTA" run --features.numeric.scale=minmax
has "says which is damaged" "damaged"
t_end
