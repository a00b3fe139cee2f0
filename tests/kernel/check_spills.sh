#!/bin/sh
# check_spills.sh LIBRARY FUNCTION - a micro-kernel lives in registers: inside its loop no vector
# may go to or come from the stack. Reads the disassembly: between the first and the last fused
# multiply-add there may be no ymm move that names rsp or rbp. Skipped (77) without objdump.
set -u
command -v objdump >/dev/null || exit 77
text=$(objdump -d --disassemble="$2" "$1") || exit 1
n=$(printf '%s\n' "$text" | grep -c vfmadd231ps)
[ "$n" -ge 12 ] || { echo "found $n fused multiply-adds in $2, expected at least 12"; exit 1; }
loop=$(printf '%s\n' "$text" | awk '/vfmadd231ps/{last=NR; if(!first) first=NR} {line[NR]=$0}
    END {for (i = first; i <= last; i++) print line[i]}')
if printf '%s\n' "$loop" | grep -E 'ymm.*\(%r[sb]p|\(%r[sb]p.*ymm'; then
    echo "$2 spills vectors inside its loop"
    exit 1
fi
exit 0
