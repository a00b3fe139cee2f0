#!/bin/sh
# bench-exec: what a run of a small network costs beside its arithmetic.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
ninja -C "$build" bench/bench_exec >/dev/null
out=$build/bench/exec.json
mkdir -p "$build/bench"
"$build/bench/bench_exec" >"$out"
printf '%-28s %10s\n' "MLP 20-64-64-1, one thread" "us"
tr -d '{}"' <"$out" | tr ',' '\n' | sed 's/_us:/ /; s/_/ /g' | while read -r a b c d; do
    set -- $a $b ${c:-} ${d:-}
    for last; do :; done
    printf '%-28s %10s\n' "$(echo "$*" | sed "s/ $last\$//")" "$last"
done
echo "bench exec: $(tr -d '{}"' <"$out" | tr ':' '=' | tr ',' ' ')"
