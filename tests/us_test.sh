# us_test.sh - TAP for test programs written in shell (the program's commands from outside).
#
#     . "$US_TESTS/us_test.sh"            # meson sets US_TESTS (this folder), US_SOURCE and USTA (the program)
#     ok      "info prints the inputs" "$USTA" info "$T/m.onnx"
#     has     "names the input" "features"           # in what the last command printed (stdout and stderr)
#     status 2 "a missing file is unreadable input" "$USTA" info "$T/none.onnx"
#     is      "one line" "$(wc -l <"$OUT")" 1
#     t_end
#
# T: a temporary folder, removed at the end. OUT, ERR: files with what the last command printed.
# Each line is one case; a failed one prints what was run and its output. t_skip NAME REASON skips.
set -u
T=$(mktemp -d "${TMPDIR:-/tmp}/usta-test-XXXXXX") || exit 99
OUT=$T/.out ERR=$T/.err
: >"$OUT"; : >"$ERR"
t_n=0 t_bad=0
trap 'rm -rf "$T"' EXIT
trap 'exit 98' INT TERM

t_ok() { t_n=$((t_n + 1)); echo "ok $t_n - $1"; }
t_not_ok() { t_n=$((t_n + 1)); t_bad=$((t_bad + 1)); shift_name=$1; shift; for l in "$@"; do printf '%s\n' "$l" | sed 's/^/# /'; done; sed 's/^/#   out: /' "$OUT" | head -n 30; sed 's/^/#   err: /' "$ERR" | head -n 30; echo "not ok $t_n - $shift_name"; }
t_skip() { t_n=$((t_n + 1)); echo "ok $t_n - $1 # SKIP $2"; }
t_run() { "$@" >"$OUT" 2>"$ERR" </dev/null; }

status() { # STATUS NAME COMMAND...
    t_want=$1 t_name=$2; shift 2
    t_run "$@"; t_rc=$?
    if [ $t_rc -eq "$t_want" ]; then t_ok "$t_name"; else t_not_ok "$t_name" "$*" "exit status $t_rc, expected $t_want"; fi
}
ok() { t_name=$1; shift; status 0 "$t_name" "$@"; }
has() { if grep -qF -- "$2" "$OUT" "$ERR"; then t_ok "$1"; else t_not_ok "$1" "expected in the output: $2"; fi; }
lacks() { if grep -qF -- "$2" "$OUT" "$ERR"; then t_not_ok "$1" "not expected in the output: $2"; else t_ok "$1"; fi; }
is() { if [ "$2" = "$3" ]; then t_ok "$1"; else t_not_ok "$1" "found \"$2\", expected \"$3\""; fi; }
t_end() { echo "1..$t_n"; [ $t_bad -eq 0 ]; exit; }

# The corpus (larger real files outside the repository) and the peers (ONNX Runtime) may be missing.
CORPUS=${USTA_CORPUS:-$US_SOURCE/../shared/corpus}
PEERS=${USTA_PEERS_PYTHON:-$US_SOURCE/build/peers/bin/python}
need_corpus() { [ -e "$CORPUS/$1" ] || { echo "1..0 # SKIP no corpus file $1 (set USTA_CORPUS)"; exit 0; }; }
need_peers() { [ -x "$PEERS" ] || { echo "1..0 # SKIP no build/peers (tools/setup --peers)"; exit 0; }; }
