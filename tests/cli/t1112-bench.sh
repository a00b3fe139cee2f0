# usta bench: the scenarios, their figures, unfit options. No case depends on how fast the machine is.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data
S="--seconds 0.01 --limit 1"

ok "all scenarios" "$USTA" bench $S "$D/net.onnx"
for s in SingleStream MultiStream Server Offline; do has "a row of $s" "$s"; done
has "what was run on" " processors, seed 0"
ok "as JSON" "$USTA" bench $S --json --seed 5 --threads 2 "$D/net.onnx"
is "one line" "$(wc -l <"$OUT")" 1
has "the seed" '"seed":5'
has "threads" '"threads":2'
has "the level in force" '"level":"'
has "the hash of the file" '"hash":"'
for s in SingleStream MultiStream Server Offline; do has "$s" "\"scenario\":\"$s\""; done
has "percentiles" '"percentile":99.9'
has "what early stopping asks for" '"queries_needed":64'
has "of multi" '"queries_needed":662'
has "eight samples" '"samples_per_query":8'

ok "one scenario" "$USTA" bench $S --scenario single --json "$D/net.onnx"
lacks "no other" "Offline"
ok "inputs from files" "$USTA" trace "$D/net.onnx" --random --save "$T/d"
ok "are taken" "$USTA" bench $S --scenario single --json -i x="$T/d/x.npy" -i text="$T/d/text.json" "$D/net.onnx"
ok "a bound anybody meets" "$USTA" bench $S --scenario server --qps 1000 --latency 100000 "$D/net.onnx"
status 1 "a bound nobody meets: the answer is no" "$USTA" bench $S --scenario server --qps 1000 --latency 0.000001 "$D/net.onnx"
has "and says so" "over the bound"

status 2 "an unknown scenario" "$USTA" bench --scenario singel "$D/net.onnx"
has "with the nearest" "did you mean 'single'?"
status 2 "no time" "$USTA" bench --seconds 0 "$D/net.onnx"
status 2 "less than no time" "$USTA" bench --seconds=-1 "$D/net.onnx"
status 2 "no number" "$USTA" bench --seconds much "$D/net.onnx"
status 2 "nan" "$USTA" bench --seconds nan "$D/net.onnx"
status 2 "a limit below the least time" "$USTA" bench --seconds 2 --limit 1 "$D/net.onnx"
has "says what it should be" "expected at least --seconds (2)"
status 2 "no samples a query" "$USTA" bench --per-query 0 "$D/net.onnx"
status 2 "no samples" "$USTA" bench --samples 0 "$D/net.onnx"
status 2 "a rate below 0" "$USTA" bench --qps=-5 "$D/net.onnx"
status 2 "a model this build cannot run" "$USTA" bench "$D/odd.onnx"
status 2 "no such file" "$USTA" bench "$T/none.onnx"
status 2 "no such input" "$USTA" bench -i nope=x.npy "$D/net.onnx"
status 2 "no model" "$USTA" bench
t_end
