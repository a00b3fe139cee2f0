#!/bin/sh
# conformance_corpus.sh PROGRAM FOLDER [FLAG] - unpack the backend tests of ONNX 1.23 from the corpus once, and run them.
set -u
archive=${USTA_CORPUS:-$US_SOURCE/../shared/corpus}/onnx-backend-tests-1.23.tar.xz
[ -f "$archive" ] || { echo "no $archive"; exit 77; }
if [ ! -d "$2" ]; then # complete under its name or not there: two of these may run at once
    mkdir -p "$2.$$" && tar -xf "$archive" -C "$2.$$" || exit 1
    mv -T "$2.$$" "$2" 2>/dev/null || rm -rf "$2.$$"
fi
exec "$1" ${3:+"$3"} "$2"
