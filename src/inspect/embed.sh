#!/bin/sh
# embed.sh NAME FILE OUT: FILE as a C array us_NAME with its length us_NAME_n (od and sed only).
set -eu
{
    echo "/* made by embed.sh, do not edit */"
    echo "#include <stddef.h>"
    echo "extern const unsigned char us_$1[]; extern const size_t us_$1_n;"
    echo "const unsigned char us_$1[] = {"
    od -An -v -tx1 "$2" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo "0}; const size_t us_$1_n = sizeof us_$1 - 1;"
} >"$3"
