# Install into an empty folder; compile the C examples with pkg-config's flags against it, as C and as C++; run them, also under valgrind.
# `make e2e-capi` gives US_PREFIX, a folder that `make install` has filled, and two compilers in US_COMPILERS; then nothing is skipped.
. "$US_TESTS/us_test.sh"
root=${US_PREFIX:-$T/root}
if [ -z "${US_PREFIX:-}" ]; then
    ok "meson install" meson install -C "$US_BUILD" --no-rebuild --quiet --destdir "$root"
    PKG_CONFIG_SYSROOT_DIR=$root
    export PKG_CONFIG_SYSROOT_DIR
fi
pc=$(find "$root" -name usta.pc)
is "one pkg-config file" "$(printf '%s\n' "$pc" | grep -c .)" 1
so=$(find "$root" -name 'libusta.so.*.*.*' -type f)
is "one shared library with its version" "$(printf '%s\n' "$so" | grep -c .)" 1
is "the program" "$(find "$root" -name usta -type f -perm -u+x | grep -c .)" 1
is "only headers of include/usta" "$(find "$root" -name '*.h' | sed 's|.*/include/||' | sort | tr '\n' ' ')" \
    "$(cd "$US_SOURCE/include" && find . -name '*.h' | sed 's|^\./||' | sort | tr '\n' ' ')"

PKG_CONFIG_PATH=$(dirname "$pc")
LD_LIBRARY_PATH=$(dirname "$so")
export PKG_CONFIG_PATH LD_LIBRARY_PATH
version=$(pkg-config --modversion usta)
flags=$(pkg-config --cflags --libs usta)
is "SONAME carries the major version" "$(readelf -d "$so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" "libusta.so.${version%%.*}"

# The examples, against what was installed only.
warn='-Wall -Wextra -Wpedantic -Werror -D_POSIX_C_SOURCE=200809L'
alone() { # COMPILER...
    for h in "$US_SOURCE"/include/usta/*.h; do
        printf '#include <usta/%s>\n' "$(basename "$h")" >"$T/alone.c"
        # shellcheck disable=SC2046,SC2086
        "$@" $warn -fsyntax-only "$T/alone.c" $(pkg-config --cflags usta) || return 1
    done
}
for cc in ${US_COMPILERS:-${CC:-cc}}; do
    case $cc in *clang) cxx=clang++ ;; *) cxx=g++ ;; esac
    ok "each header compiles alone, $cc" alone $cc -std=c11
    ok "each header compiles alone, $cxx" alone $cxx -std=c++11 -xc++
    for x in first score; do
        # shellcheck disable=SC2086
        ok "$x.c compiles as C, $cc" $cc -std=c11 $warn "$US_SOURCE/examples/c/$x.c" -o "$T/$x" $flags -lpthread
        # shellcheck disable=SC2086
        ok "$x.c compiles as C++, $cxx" $cxx -std=c++11 $warn -xc++ "$US_SOURCE/examples/c/$x.c" -o "$T/$x++" $flags -lpthread
    done
done
is "first.c has at most 40 lines" "$([ "$(wc -l <"$US_SOURCE/examples/c/first.c")" -le 40 ] && echo yes)" yes
# README shows the whole of it; blank lines are blank there.
sed -n '/^#include <stdio.h>/,$s/^\(.\)/    \1/p; /^$/p' "$US_SOURCE/examples/c/first.c" >"$T/shown"
awk '/^    #include <stdio.h>/ { on = 1 } on { print } /^    }$/ { on = 0 }' "$US_SOURCE/README.md" >"$T/readme"
is "README shows first.c as it is" "$(cksum <"$T/readme")" "$(cksum <"$T/shown")"

# A model of the digits, made by the installed program.
usta=$(find "$root" -name usta -type f -perm -u+x)
mkdir "$T/digits"
cp "$US_SOURCE/examples/digits/usta.yaml" "$US_SOURCE/examples/digits/digits.csv.gz" "$T/digits"
cd "$T/digits" || exit 99
ok "a model" "$usta" run --until package --train.epochs 3
m=$T/digits/build/model.onnx
gunzip digits.csv.gz
sed -n 2p digits.csv | cut -d, -f1-64 >row
run_first() { "$@" "$m" <row; }
ok "first.c runs" run_first "$T/first"
cp "$OUT" c.txt
has "names the outputs and their values" "label: 0"
is "two outputs" "$(grep -c : "$OUT")" 2
ok "first.c runs, compiled as C++" run_first "$T/first++"
is "with the same result" "$(cat "$OUT")" "$(cat c.txt)"
status 1 "first.c: no such model" "$T/first" "$T/none.onnx"
has "the reason" "none.onnx"

ok "score.c, one thread" "$T/score" -t 1 -b 1000 "$m" digits.csv
cp "$OUT" one.txt
is "a line per row" "$(wc -l <one.txt)" 1797
right=$(tail -n +2 digits.csv | cut -d, -f65 | paste -d, one.txt - | awk -F, '$2 == $3' | wc -l)
is "and most of them right" "$([ "$right" -gt 1500 ] && echo yes)" yes
ok "score.c, four threads, small batches, as C++" "$T/score++" -t 4 -b 7 -p "$m" digits.csv
is "the same bytes" "$(cksum <"$OUT")" "$(cksum <one.txt)"
has "a profile: operators" "Gemm"
has "and kernels" "us_f32_gemm_"
printf 'a,b\n1,x\n' >bad.csv
status 1 "score.c: a file that does not fit" "$T/score" "$m" bad.csv
has "says where" "line 2 does not begin with 64 numbers"
status 1 "score.c: not a model" "$T/score" digits.csv digits.csv
has "says what is wrong" "score: model: digits.csv"
status 2 "score.c: wrong usage" "$T/score" -t 0 "$m" digits.csv

if [ -n "${US_PREFIX:-}" ] || command -v valgrind >/dev/null; then
    grind="valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=all --errors-for-leak-kinds=all"
    # shellcheck disable=SC2086
    ok "first.c is clean under valgrind" run_first $grind "$T/first"
    head -n 200 digits.csv >some.csv
    # shellcheck disable=SC2086
    ok "score.c, too, with threads and a profile" $grind "$T/score" -t 3 -b 16 -p "$m" some.csv
    # shellcheck disable=SC2086
    status 1 "and after an error" $grind "$T/score" "$m" bad.csv
else
    t_skip "the examples under valgrind" "no valgrind (tools/setup test)"
fi
t_end
