# Bicycle rentals: split by time, R2 of at least 0.80, better than linear; the leaking columns must be named when left in.
. "$US_TESTS/us_test.sh"
. "$US_TESTS/e2e/untimed.sh"
need_corpus data/drift/bike-hour.csv.gz
P=$T/bike
mkdir "$P"
untimed bike "$P"
D=$CORPUS/data/drift
ok "bike: the whole lifecycle" "$USTA" run --project "$P" --json --data.path="$D/bike-hour.csv.gz"
has "better than linear" "better than linear"
lacks "no leak without casual and registered" "casual"
mkdir "$T/leak"
grep -v 'exclude:' "$US_SOURCE/examples/bike/usta.yaml" >"$T/leak/usta.yaml"
ok "with the leaking columns left in" "$USTA" run --project "$T/leak" --until data --data.path="$D/bike-hour.csv.gz"
has "the warning names casual" "casual"
has "and registered" "registered"
if [ -x "$PEERS" ]; then
    zcat "$D/bike-hour.csv.gz" | tail -n 2607 | { zcat "$D/bike-hour.csv.gz" | head -n 1; cat; } >"$T/rows.csv"
    ok "ONNX Runtime gives the same outputs" "$PEERS" "$US_TESTS/e2e/compare_ort.py" "$P/build/model.onnx" "$T/rows.csv" "$USTA"
    has "within 1e-5" "0 elements differ"
else
    t_skip "ONNX Runtime gives the same outputs" "no build/peers (tools/setup --peers)"
fi
t_end
