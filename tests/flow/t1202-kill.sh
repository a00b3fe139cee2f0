# Killed at any moment, the next run finishes correctly: same bytes, a sound database, every object under its hash.
# 20 kills, 200 with USTA_TORTURE (make torture).
. "$US_TESTS/us_test.sh"
cd "$T" || exit 99
kills=20
[ "${USTA_TORTURE:-0}" != 0 ] && kills=200
mkdir calm wild
cp "$US_SOURCE/examples/digits/digits.csv.gz" calm/
cat >calm/usta.yaml <<'EOF'
requirements:
  - {metric: accuracy, min: 0.5}
data: {path: digits.csv.gz, target: digit}
model: {hidden: [32]}
train: {epochs: 8}
validate: {resamples: 200}
EOF
cp calm/* wild/
start=$(date +%s%N)
ok "an undisturbed run" "$USTA" run --project calm --json
took_ms=$((($(date +%s%N) - start) / 1000000))
want=$(sha256sum <calm/build/model.onnx)

# Moments from a fixed sequence, spread over a little more than a whole run.
awk -v n=$kills -v ms=$took_ms 'BEGIN { x = 12345; for (i = 0; i < n; i++) { x = (x * 1103515245 + 12345) % 2147483648; printf "%.4f\n", (1 + x / 2147483648 * ms * 1.1) / 1000 } }' >moments
killed=0 finished=0 wrong=0
while read -r s; do
    # after a run that finished, begin anew half of the time so that every stage is met
    [ $((finished % 2)) -eq 1 ] && rm -rf wild/.usta wild/build
    "$USTA" run --project wild --json >/dev/null 2>"$T/wild.err" &
    pid=$!
    sleep "$s"
    if kill -9 $pid 2>/dev/null; then killed=$((killed + 1)); fi
    wait $pid 2>/dev/null
    rc=$?
    if [ $rc -eq 0 ]; then finished=$((finished + 1)); elif [ $rc -ne 137 ]; then wrong=$((wrong + 1)); cat "$T/wild.err" >&2; fi
    # a model file that is there is whole
    if [ -f wild/build/model.onnx ] && [ "$(sha256sum <wild/build/model.onnx)" != "$want" ]; then wrong=$((wrong + 1)); fi
done <moments
echo "# $kills runs: $killed killed, $finished finished"
is "no run failed otherwise and no half file was seen" $wrong 0
ok "the final run finishes" "$USTA" run --project wild --json
is "with the bytes of the undisturbed one" "$(sha256sum <wild/build/model.onnx)" "$want"
ok "every object matches its hash, the database is sound" "$USTA" doctor --project wild --json
ok "and a run after it" "$USTA" run --project wild --json
has "executes nothing" '"executed":0'
t_end
