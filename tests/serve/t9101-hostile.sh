# A server among bad clients: half requests, crowds, large bodies, kills; same answers in every form; a log without torn lines.
. "$US_TESTS/us_test.sh"
# The address sanitizer keeps freed memory back for a while; with its usual 256 MB nothing could be said about growth.
[ "$US_SANITIZE" = none ] || export ASAN_OPTIONS="${ASAN_OPTIONS:-}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
P=$T/p
mkdir "$P"
cd "$P" || exit 99
trap 'cd "$P" && "$USTA" serve --stop >/dev/null 2>&1; rm -rf "$T"' EXIT
awk 'BEGIN { print "x,z,y"; for (i = 0; i < 300; i++) printf "%d,%d,%s\n", i % 37, (i * 7) % 29, (i % 37 + (i * 7) % 29 > 30) ? "yes" : "no" }' >d.csv
printf 'data:\n  path: d.csv\n  target: y\nmodel:\n  hidden: [4]\ntrain:\n  epochs: 3\ndeploy:\n  port: 0\n  max_body_mb: 2\nmonitor:\n  window: 100\n' >usta.yaml
ok "a model" "$USTA" run
field() { "$USTA" serve --status --json | sed -n 's/.*"'"$1"'":"\{0,1\}\([^",}]*\).*/\1/p'; }
start() { ok "$1" "$USTA" serve --background --deploy.log_max_mb=0.2; url=$(field endpoint); pid=$(field pid); port=${url##*:}; }
ask() { curl -sS -m 20 "$@"; }
code() { curl -s -m 20 -o "$T/body" -w '%{http_code}' "$@"; }
rss() { awk '/VmRSS/ { print $2 }' "/proc/$pid/status"; }
json="Content-Type: application/json" csv="Content-Type: text/csv"
start "serve"

# ---- one model, three ways to ask, the same bits ----
probs() { grep -o '"no":[^,}]*,"yes":[^,}]*' "$1" | sed 's/"no":\|"yes"://g' | tr '\n' ',' | sed 's/,$//'; }
ask -H "$json" -d '[[3,4],[30,20],[null,7]]' "$url/predict" >"$T/a"
printf 'x,z\n3,4\n30,20\n,7\n' | ask -H "$csv" --data-binary @- "$url/predict" >"$T/b"
ask -d '{"inputs":[{"name":"features","datatype":"FP32","shape":[3,2],"data":[3,4,30,20,null,7]}]}' "$url/v2/models/p/infer" >"$T/c"
is "rows in JSON and in CSV: equal answers" "$(cat "$T/a")" "$(cat "$T/b")"
is "tensors: equal answers" "$(sed 's/.*"probabilities".*"data":\[\([^]]*\)\].*/\1/' "$T/c")" "$(probs "$T/a")"
is "a number beyond float32 is refused" "$(code -H "$json" -d '[[1e39,1]]' "$url/predict")" 400

log=$(echo .usta/served/*.jsonl)

# ---- bad clients ----
head -c 3000000 /dev/zero | tr '\0' 1 >"$T/big"
is "a body over deploy.max_body_mb" "$(code -H "$json" --data-binary @"$T/big" "$url/predict")" 413
is "JSON nested deep is refused" "$(head -c 100000 "$T/big" | tr 1 '[' | code -H "$json" --data-binary @- "$url/predict" | cut -c1)" 4
is "CSV with zero bytes is refused" "$(head -c 100 /dev/zero | code -H "$csv" --data-binary @- "$url/predict")" 400
# a body that never comes whole: 40 clients promise 100,000 bytes, send few and hang up
i=0
while [ $i -lt 40 ]; do
    { printf 'POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[[1'; sleep 0.2; } | timeout 1 curl -s -m 1 "telnet://127.0.0.1:$port" >/dev/null 2>&1 &
    i=$((i + 1))
done
ok "while clients hang up, others are answered" ask -f -H "$json" -d '[[1,2]]' "$url/predict"
for i in 1 2 3; do { sleep 3; } | timeout 4 curl -s "telnet://127.0.0.1:$port" >/dev/null 2>&1 & done
ok "while clients say nothing, others are answered" ask -f -H "$json" -d '[[1,2]]' "$url/predict"

# ---- a crowd: 50 clients, 20 requests each ----
i=0
while [ $i -lt 50 ]; do
    curl -s -m 30 -H "$json" -d '[[1,2]]' "$url/predict?[1-20]" >"$T/crowd.$i" &
    clients="${clients:-} $!"
    i=$((i + 1))
done
wait $clients
is "1,000 answers, all equal" "$(cat "$T"/crowd.* | sort | uniq -c | awk '{ print $1 == 1000 ? 1000 : $0 }')" 1000
before=$(rss)
one() { curl -s -m 60 -H "$json" -d '[[1,2]]' "$url/predict?[1-5000]" >/dev/null; }
one & a=$!; one & b=$!; one & c=$!; one; wait $a $b $c
after=$(rss)
room=4096 # kB; the address sanitizer keeps 256 MB of freed memory aside
grep -q __asan_init "$USTA" && room=400000
is "20,000 requests later: no more memory ($before kB, then $after kB)" $((after - before < room)) 1
is "the log was rotated" "$(test -f "$log.1" && echo yes)" yes
is "and is small" $(($(cat "$log" "$log.1" | wc -c) < 500000)) 1

# ---- the end, while answers are on their way ----
awk 'BEGIN { printf "["; for (i = 0; i < 40000; i++) printf "%s[%d,%d]", i ? "," : "", i % 37, i % 29; print "]" }' >"$T/many"
for i in 1 2; do ask -f -H "$json" --data-binary @"$T/many" -o "$T/many.$i" "$url/predict" & eval "m$i=$!"; done
sleep 0.05
kill -TERM "$pid"
wait "$m1"; is "a request on its way is answered" $? 0
wait "$m2"; is "and another" $? 0
is "whole" "$(tail -c 4 "$T/many.1")" "}]}"
i=0; while kill -0 "$pid" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done
is "the server has ended" "$(kill -0 "$pid" 2>/dev/null && echo alive)" ""
is "no line of the log is torn" "$(cat "$log.1" "$log" | grep -vc '^{"t":.*]}$')" 0
printf 'junk\n{"t":1}\n{"t":1,"in":[[1,2' >>"$log"
ok "monitor of a log with junk" "$USTA" monitor
has "counts it" "2 lines of the log could not be read"
has "and still judges" "no drift in 4 columns"

# ---- killed, and started again ----
start "serve again"
kill -9 "$pid"
sleep 0.2
status 2 "a killed server is noticed" "$USTA" serve --status
start "and may be started again"
cp -r "$P" "$T/q"
rm -r "$T/q/.usta"; cd "$T/q" || exit 99
ok "another project" "$USTA" run
status 2 "wants the same port" "$USTA" serve --background --deploy.port="$port"
has "and is told" "is another program using it?"
is "in one line" "$(wc -l <"$ERR")" 1
cd "$P" || exit 99
ok "stop" "$USTA" serve --stop
t_end
