# The digits from CSV to a validated model: gate, cache, determinism, refusals, and the same answers in ONNX Runtime.
. "$US_TESTS/us_test.sh"
. "$US_TESTS/e2e/untimed.sh"
P=$T/digits
mkdir "$P"
untimed digits "$P"
cp "$US_SOURCE/examples/digits/digits.csv.gz" "$P"
cd "$P"
executed() { sed -n 's/.*"executed": *\([0-9]*\).*/\1/p' "$OUT" | head -n 1; }

ok "the whole lifecycle runs and the gate passes" "$USTA" run --json
has "accuracy of at least 0.96 was required and found" '">= 0.96"'
cp build/model.onnx "$T/first.onnx"
ok "a second run" "$USTA" run --json
is "executes nothing" "$(executed)" 0
ok "status says so" "$USTA" status
has "up to date" "up to date"

ok "another learning rate" "$USTA" run --json --train.lr=0.002 --until package
has "is the reason" "train.lr"
is "repeats from training on" "$(executed)" 2
ok "back again" "$USTA" run --json
is "finds the old results" "$(executed)" 0

status 1 "an impossible requirement is refused" "$USTA" run --requirements='[{metric: accuracy, min: 1.01}]'
has "with what was required" ">= 1.01"
has "and that it failed" "NO"
status 2 "a misspelt key is wrong usage" "$USTA" run --train.lrr=1
has "and the nearest is named" "train.lr"

# the same bytes in another folder, at one thread and at two
for n in 1 2; do
    mkdir "$T/again$n"
    cp usta.yaml digits.csv.gz "$T/again$n"
    ok "again with $n threads" "$USTA" run --project "$T/again$n" --threads $n --until package
    if cmp -s "$T/first.onnx" "$T/again$n/build/model.onnx"; then t_ok "the same bytes"; else t_not_ok "the same bytes" "$(cksum "$T/first.onnx" "$T/again$n/build/model.onnx")"; fi
done

ok "validate shows the judgement" "$USTA" validate
has "with the standing checks" "bad input: wrong type"
status 1 "and says no" "$USTA" validate --requirements='[{metric: accuracy, min: 1.01}]'

ok "info prints the passport" "$USTA" info "$T/first.onnx"
has "with the target" "digit"
id=$("$USTA" models --json | tr ',' '\n' | sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' | head -n 1)
ok "lineage of the model" "$USTA" lineage --json "$id"
has "leads to the snapshot" "snapshot"

if [ -x "$PEERS" ]; then
    zcat digits.csv.gz >"$T/rows.csv"
    ok "ONNX Runtime gives the same outputs" "$PEERS" "$US_TESTS/e2e/compare_ort.py" "$T/first.onnx" "$T/rows.csv" "$USTA"
    has "within 1e-5" "0 elements differ"
else
    t_skip "ONNX Runtime gives the same outputs" "no build/peers (tools/setup --peers)"
fi
t_end
