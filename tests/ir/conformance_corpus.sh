#!/bin/sh
# conformance_corpus.sh PROGRAM FOLDER [FLAG] - unpack the backend tests of ONNX 1.23 from the corpus once, and run them.
set -u
archive=${USTA_CORPUS:-$US_SOURCE/../shared/corpus}/onnx-backend-tests-1.23.tar.xz
[ -f "$archive" ] || { echo "no $archive"; exit 77; }
if [ ! -f "$2/.unpacked" ]; then
    mkdir -p "$2" && tar -xf "$archive" -C "$2" && touch "$2/.unpacked" || exit 1
fi
exec "$1" ${3:+"$3"} "$2"
