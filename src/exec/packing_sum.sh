#!/bin/sh
# packing_sum.sh OUTPUT.c DEPFILE SRC - one number for all sources that decide how weights are packed and what passes make of a graph. A
# compiled plan holds it and is refused where it is another: nobody has to remember to raise a version when a packing changes.
set -eu
out=$1
deps=$2
cd "$3"
here=$(pwd)
files=$(find kernel ir pass -type f \( -name '*.c' -o -name '*.h' -o -name '*.inc' -o -name '*.def' \) | LC_ALL=C sort)
# shellcheck disable=SC2086 # names of ours, without spaces
sum=$(cksum $files | cksum | cut -d ' ' -f 1)
cd "$OLDPWD"
printf '#include "exec/planhead.h"\n\nconst uint32_t us_packing_sum = %su;\n' "$sum" >"$out"
{
    printf '%s:' "$out"
    for f in $files; do printf ' %s' "$here/$f"; done
    echo
} >"$deps"
