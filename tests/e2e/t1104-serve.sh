# From a validated model to a watched server: start, ask in every form, drift, stop; no serving without a record.
. "$US_TESTS/us_test.sh"
. "$US_TESTS/e2e/untimed.sh"
P=$T/digits
mkdir "$P"
untimed digits "$P"
cp "$US_SOURCE/examples/digits/digits.csv.gz" "$P"
cd "$P"
trap '"$USTA" serve --stop >/dev/null 2>&1; rm -rf "$T"' EXIT
ok "a model without its validation" "$USTA" run --until package
status 1 "is not served" "$USTA" serve --background
has "and the reason is given" "no validation record"
ok "forced, it is" "$USTA" serve --background --force
has "and that is said" "serving http://127.0.0.1:"
status 1 "a second server is refused" "$USTA" serve --background --force
ok "stop" "$USTA" serve --stop
status 2 "nothing to stop" "$USTA" serve --stop

ok "validate" "$USTA" run
ok "now it is served" "$USTA" serve --background --json
url=$(sed -n 's/.*"endpoint": *"\([^"]*\)".*/\1/p' "$OUT")
ask() { curl -sS -m 20 "$@"; }
ok "ready" ask -f "$url/v2/health/ready"
ok "metadata" ask -f "$url/v2/models/digits"
has "one input of 64 numbers" '"name":"features","datatype":"FP32","shape":[-1,64]'
for b in clean:1 noise:2; do
    zcat digits.csv.gz | awk -F, -v n=4 -v first="${b#*:}" -v kind="${b%:*}" -v truth="$T/truth" -f "$US_SOURCE/examples/digits/requests.awk" >"$T/rows.csv"
    ok "rows: ${b%:*}" ask -f -H 'Content-Type: text/csv' --data-binary @"$T/rows.csv" "$url/predict"
    has "are answered" '"confidence":'
    if [ "${b%:*}" = clean ]; then
        ok "the monitor is calm" "$USTA" monitor
    else
        status 1 "the monitor alarms" "$USTA" monitor
        has "with words" "DRIFT"
    fi
done
ok "metrics" ask -f "$url/metrics"
has "for Prometheus" 'usta_requests_total{model="digits"'
has "for Triton's dashboards" nv_inference_count
status 22 "a bad request is 4xx" ask -f -H 'Content-Type: application/json' -d '{"rows":[[1,2]]}' "$url/predict"
ok "stop" "$USTA" serve --stop
status 7 "the port is closed" ask "$url/v2"
t_end
