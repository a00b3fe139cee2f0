#!/bin/sh
# demo: the digits through the whole lifecycle: train, package, validate, serve, then clean and corrupted requests.
# Works in build/demo; leaves the project there for you to play with.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
usta=$(pwd)/$build/src/cli/usta
here=build/demo

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() { printf '\033[2m$ usta %s\033[0m\n' "$*"; "$usta" "$@"; }

if [ -d $here ]; then (cd $here && "$usta" serve --stop >/dev/null 2>&1) || true; fi
rm -rf $here
mkdir -p $here
cp examples/digits/usta.yaml examples/digits/digits.csv.gz $here/
cd $here
# a server must not outlive a demo that fails half-way
trap '"$usta" serve --stop >/dev/null 2>&1 || true' EXIT

say "1. From data to a validated model: requirements, data, features, train, package, validate, deploy"
run run

say "2. The same again: nothing has changed, so nothing is done"
run run

say "3. Serve it (in the background)"
run serve --background
endpoint=$("$usta" serve --status --json | sed -n 's/.*"endpoint": *"\([^"]*\)".*/\1/p')

# send NAME KIND FIRST: 300 rows as CSV to the server, answers compared with the labels
send() {
    zcat digits.csv.gz | awk -F, -v n=6 -v first="$3" -v kind="$2" -v truth="$1.truth" -f ../../examples/digits/requests.awk >"$1.csv"
    curl -sS -f -H 'Content-Type: text/csv' --data-binary @"$1.csv" "$endpoint/predict" >"$1.json"
    tr ',' '\n' <"$1.json" | sed -n 's/.*"label":"\([0-9]\)".*/\1/p' >"$1.labels"
    right=$(paste -d= "$1.truth" "$1.labels" | awk -F= '$1 == $2' | wc -l)
    printf '%s requests: %d rows sent, %d right\n' "$1" "$(wc -l <"$1.truth")" "$right"
}

say "4. Clean requests, then the monitor: no alarm"
send clean clean 1
run monitor --columns 3

say "5. Corrupted requests (noise, then shifted brightness), then the monitor: alarm"
send noisy noise 2
send brighter bright 3
if run monitor --columns 6; then
    echo "demo: the monitor missed the drift" >&2
    exit 1
fi

say "6. Stop the server"
run serve --stop

say "7. What happened, with the evidence"
run status

say "Three things to try next, in $here"
cat <<'EOF'
  usta run --train.lr=0.01          only training and what follows is repeated; `usta status` says why
  usta info build/model.onnx        the model's passport: data, schema, configuration, metrics
  usta run --requirements='[{metric: accuracy, min: 0.999}]'    the gate says no (exit status 1), with the reason
EOF
printf '(usta is %s)\n' "$usta"
