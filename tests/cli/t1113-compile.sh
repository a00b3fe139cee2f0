# usta compile: a plan in a file, taken in place of the model, refused when it is not ours.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data
P=$T/net.plan

ok "compile" "$USTA" compile "$D/net.onnx" -o "$P"
has "says what it made" "packed pieces"
ok "as JSON" "$USTA" compile "$D/net.onnx" -o "$T/again.plan" --json
is "one line" "$(wc -l <"$OUT")" 1
has "with sizes" '"packed_bytes":'
is "the same model gives the same file" "$(cksum <"$P")" "$(cksum <"$T/again.plan")"

ok "infer takes the model" "$USTA" infer "$D/net.onnx" --random --seed 4 -o "$T/a"
ok "and the plan" "$USTA" infer "$P" --random --seed 4 -o "$T/b"
for f in "$T"/a/*; do is "the same output ${f##*/}" "$(cksum <"$f")" "$(cksum <"$T/b/${f##*/}")"; done
ok "explain takes it" "$USTA" explain --time 5 "$P"
has "with its steps" "Gemm"
ok "bench takes it" "$USTA" bench --seconds 0.01 --limit 0.1 --scenario single "$P"
ok "tuned" "$USTA" compile "$D/net.onnx" -o "$T/tuned.plan" --tune --tune-seconds 0.05 --threads 2
has "says what was timed" "timed the kernels of 1 step"
ok "tuned, as JSON" "$USTA" compile "$D/net.onnx" -o "$T/tuned2.plan" --tune --tune-seconds 0.05 --json
has "with what it found" '"tune":{"choices":'
ok "explain takes it" "$USTA" explain --time 5 --json "$T/tuned.plan"
has "says that the choice was timed" '"choice":{"by":"time"'
has "and what it took" '"name":"packed","us":'
ok "and of one that was not" "$USTA" explain --time 5 --json "$P"
has "that a model chose" '"choice":{"by":"model"'
ok "the tuned plan runs" "$USTA" infer "$T/tuned.plan" --random --seed 4 -o "$T/t1"
ok "and again" "$USTA" infer "$T/tuned.plan" --random --seed 4 -o "$T/t2"
for f in "$T"/t1/*; do is "the same output ${f##*/}" "$(cksum <"$f")" "$(cksum <"$T/t2/${f##*/}")"; done
status 2 "an input that is none" "$USTA" compile "$D/net.onnx" -o "$T/x.plan" --tune -i nope=x.npy

status 2 "an unknown input" "$USTA" infer "$P" -i nope=x.npy -o "$T/c"
has "names those there are" "its inputs: x, text"

ok "verify" "$USTA" compile --verify "$P"
has "says so" "all its sums are right"
status 2 "verify and write" "$USTA" compile --verify "$P" -o "$T/x.plan"
status 2 "verify a model" "$USTA" compile --verify "$D/net.onnx"
has "is no plan" "this is no compiled plan"
status 2 "compile a plan" "$USTA" compile "$P" -o "$T/x.plan"
has "says what it is" "is a compiled plan already"
status 2 "where to?" "$USTA" compile "$D/net.onnx"
status 2 "no such folder" "$USTA" compile "$D/net.onnx" -o "$T/none/x.plan"
status 2 "no such model" "$USTA" compile "$T/none.onnx" -o "$T/x.plan"
status 2 "a model this build cannot run" "$USTA" compile "$D/odd.onnx" -o "$T/x.plan"
is "nothing was left" "$(ls "$T" | grep -c x.plan)" 0

head -c 4200 "$P" >"$T/short.plan"
status 2 "cut short" "$USTA" infer "$T/short.plan" --random -o "$T/c"
has "says so" "the plan is cut short"
{ head -c 4100 "$P"; printf 'damage'; tail -c +4107 "$P"; } >"$T/bad.plan"
status 2 "damaged weights" "$USTA" infer "$T/bad.plan" --random -o "$T/c"
has "say so" "the weights do not give their sum"
status 2 "found by verify, too" "$USTA" compile --verify "$T/bad.plan"
USTA_CPU=ref; export USTA_CPU
ok "for the reference kernels" "$USTA" compile "$D/net.onnx" -o "$T/ref.plan"
ok "runs with them" "$USTA" infer "$T/ref.plan" --random -o "$T/r"
unset USTA_CPU
if "$USTA" doctor --json | grep -q '"level in force":"ref"'; then
    t_skip "another instruction set is refused" "this machine has the reference kernels only"
    t_skip "with what to do" "this machine has the reference kernels only"
else
    status 2 "another instruction set is refused" "$USTA" infer "$T/ref.plan" --random -o "$T/c"
    has "with what to do" "compile the model again"
fi
# A plan is bound to the sources that decide what is in it.
sum() { sh "$US_SOURCE/src/exec/packing_sum.sh" "$T/sum.c" "$T/sum.d" "$1" && grep -o '= [0-9]*u' "$T/sum.c"; }
mkdir -p "$T/src" && cp -r "$US_SOURCE/src/kernel" "$US_SOURCE/src/ir" "$US_SOURCE/src/pass" "$T/src"
was=$(sum "$US_SOURCE/src")
is "the same sources, the same number" "$(sum "$T/src")" "$was"
is "all of them are looked at" "$(tr ' ' '\n' <"$T/sum.d" | grep -c 'src/pass/passes.c')" 1
echo '/* ' '*/' >>"$T/src/kernel/gemm.h"
is "another source, another number" "$([ "$(sum "$T/src")" != "$was" ] && echo other)" other
for c in info check simplify trace view; do
    status 2 "$c wants the model" "$USTA" $c "$P" "$T/out"
done
t_end
