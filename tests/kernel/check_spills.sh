#!/bin/sh
# check_spills.sh LIBRARY TILES [OBJDUMP] - micro-kernels live in registers: in none of the library's functions tile_*__ISA may a vector
# go to or come from the stack between its first and its last multiply-add. Reads the disassembly; at least
# TILES functions must be found. Skipped (77) without objdump.
set -u
objdump=${3:-objdump}
command -v "$objdump" >/dev/null || exit 77
"$objdump" -d --no-show-raw-insn "$1" | awk -v want="$2" '
    function judge(  i) {
        if (name == "") return
        if (!last) { print name " has no multiply-add"; bad = 1 }
        for (i in at) if (i + 0 > first && i + 0 < last) { print name ":" at[i]; bad = 1 }
        n++
    }
    /^[0-9a-f]+ <.*>:$/ {
        judge()
        name = ""; first = last = 0; delete at
        if ($2 ~ /<tile_.*__(avx|vnni|neon|dotprod|i8mm)/) name = $2
        next
    }
    name != "" {
        if (/vfn?madd|vpdpbusd|vpmaddwd|\tfmla|\tsmlal|\t(s|u|us|su)dot\t/) { last = NR; if (!first) first = NR }
        if (/[yz]mm.*\(%r[sb]p|\(%r[sb]p.*[yz]mm|\tq[0-9].*\[(sp|x29)/) at[NR] = $0
    }
    END {
        judge()
        if (n < want) { print "found " n + 0 " tiles, expected at least " want; bad = 1 }
        exit bad
    }'
