# Hostile files through the program: one sentence on stderr, exit status 2, nothing left behind.
. "$US_TESTS/us_test.sh"
cd "$T" || exit 99

# refused NAME COMMAND...: status 2 within 20 s, one line "usta: ..." on stderr, and the same files as before
refused() {
    r_name=$1; shift
    find . -name '.out' -o -name '.err' -o -path '*/.usta' -prune -o -print | sort >../"${T##*/}".before
    t_run timeout 20 "$@"; r_rc=$?
    find . -name '.out' -o -name '.err' -o -path '*/.usta' -prune -o -print | sort >../"${T##*/}".after
    r_lines=$(wc -l <"$ERR"); r_first=$(head -c 6 "$ERR")
    if [ $r_rc -ne 2 ]; then t_not_ok "$r_name" "$*" "exit status $r_rc, expected 2"
    elif [ "$r_lines" -ne 1 ] || [ "$r_first" != "usta: " ]; then t_not_ok "$r_name" "$*" "expected one line that begins with 'usta: '"
    elif ! cmp -s ../"${T##*/}".before ../"${T##*/}".after; then t_not_ok "$r_name" "$*" "files were left behind or lost" "$(diff ../"${T##*/}".before ../"${T##*/}".after)"
    else t_ok "$r_name"; fi
}
trap 'rm -rf "$T" "$T.before" "$T.after"' EXIT

# A small project: 200 rows, a number, a category with every third value red, two classes.
rows() { awk -v n="${1:-200}" 'BEGIN { print "x,colour,y"; for (i = 0; i < n; i++) printf "%d,%s,%s\n", i, i % 3 ? "red" : "blue", ((i * 7) % 11 > 5) ? "yes" : "no" }'; }
project() { printf 'data:\n  path: d.csv\n  target: y\nmodel:\n  hidden: [4]\ntrain:\n  epochs: 2\n'; }
mkdir p; project >p/usta.yaml; rows >p/d.csv
ok "a good project" "$USTA" run --project p
cp p/build/model.onnx m.onnx
rows 3 | cut -d, -f1,2 >three.csv
ok "a good model" "$USTA" infer m.onnx -i three.csv -o good
rm -r good
size=$(wc -c <m.onnx)

# ---- what is no readable file ----
mkdir dir; mkfifo fifo; : >empty
for f in dir fifo empty none /dev/zero; do
    refused "info $f" "$USTA" info $f
    refused "infer $f" "$USTA" infer $f --random -o o
    refused "infer an input from $f" "$USTA" infer m.onnx -i x=$f -o o
    refused "data stats $f" "$USTA" data stats $f
    refused "init from $f" "$USTA" init q --csv $f
done
printf 'x,y\n1,2\n' >unreadable.csv; chmod 0 unreadable.csv
if [ "$(id -u)" -eq 0 ]; then t_skip "a file we may not read" "root may read everything"; else refused "a file we may not read" "$USTA" data stats unreadable.csv; fi

# ---- ONNX: cut short, bits flipped ----
for n in 1 7 64 500 2000 $((size / 2)) $((size - 1)); do
    head -c "$n" m.onnx >b.onnx
    refused "model cut to $n bytes" "$USTA" infer b.onnx --random -o o
done
# A flipped bit may be harmless (status 0) or seen (2): never anything else, and never half of the outputs.
flips=$(awk -v n="$size" 'BEGIN { srand(42); for (i = 0; i < 150; i++) print int(rand() * (i % 2 ? n : 3000)), 2 ^ int(rand() * 8) }')
bad=0 seen=0
while read -r at bit; do
    cp m.onnx b.onnx
    old=$(od -An -tu1 -j "$at" -N 1 m.onnx)
    new=$((old ^ bit))
    printf "\\$(printf %03o "$new")" | dd of=b.onnx bs=1 seek="$at" conv=notrunc 2>/dev/null
    rm -rf o
    timeout 20 "$USTA" infer b.onnx --random -o o >"$OUT" 2>"$ERR" </dev/null; rc=$?
    [ $rc -eq 2 ] && seen=$((seen + 1))
    if [ $rc -ne 0 ] && [ $rc -ne 2 ] || { [ $rc -eq 2 ] && { [ -e o ] || [ "$(wc -l <"$ERR")" -ne 1 ]; }; }; then
        bad=$((bad + 1)); echo "# bit $bit of byte $at: exit status $rc, $(cat "$ERR")"
    fi
done <<EOF
$flips
EOF
is "150 flipped bits: an answer or one sentence" $bad 0
is "some were seen" $((seen > 10)) 1
rm -rf o b.onnx

# ---- npy and JSON ----
npy() { # HEADER BYTES: a version 1.0 file
    l=${#1}; printf '\223NUMPY\001\000'; printf "\\$(printf %03o $((l % 256)))\\$(printf %03o $((l / 256)))"; printf '%s' "$1"; head -c "$2" /dev/zero
}
bad_npy() { npy "$2" "$3" >t.npy; refused "npy: $1" "$USTA" infer m.onnx -i x=t.npy -o o; }
bad_npy "10^12 elements" "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 1), }" 64
bad_npy "more elements than a number holds" "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }" 64
bad_npy "a negative dimension" "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 1), }" 64
bad_npy "objects" "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1), }" 64
bad_npy "cut data" "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 1), }" 15
bad_npy "another shape" "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" 24
bad_npy "no dictionary" "[[[[[[[[[[" 0
printf '\223NUMPY\001' >t.npy; refused "npy: cut header" "$USTA" infer m.onnx -i x=t.npy -o o
bad_json() { printf '%s' "$2" >t.json; refused "JSON: $1" "$USTA" infer m.onnx -i colour=t.json -o o; }
bad_json "cut" '[["red"'
bad_json "nested 100,000 deep" "$(head -c 100000 /dev/zero | tr '\0' '[')"
bad_json "ragged" '[["a"],["b","c"]]'
bad_json "an object" '{}'
bad_json "a lone surrogate" '["\ud800"]'
rm -f t.npy t.json
refused "the same input twice" "$USTA" infer m.onnx -i x=three.csv -i x=three.csv -o o
refused "an output folder that is a file" "$USTA" infer m.onnx --random -o three.csv

# ---- CSV ----
bad_csv() { refused "CSV: $1" "$USTA" run --project p --until train; has "... names what is wrong" "$2"; }
: >p/d.csv; bad_csv "empty" "no records"
echo 'x,colour,y' >p/d.csv; bad_csv "only a header" "0 rows"
rows 2 >p/d.csv; bad_csv "two rows" "2 rows"
{ rows; printf '1,r\000d,yes\n'; } >p/d.csv; bad_csv "a zero byte" "zero byte"
{ rows; echo '1,red'; } >p/d.csv; bad_csv "a short record" "d.csv:202"
{ rows; echo '1,red,yes,no'; } >p/d.csv; bad_csv "a long record" "d.csv:202"
{ rows; echo '1,"red,yes'; } >p/d.csv; bad_csv "a quote never closed" "d.csv:202"
{ rows; printf '1,'; head -c 17000000 /dev/zero | tr '\0' a; echo ',yes'; } >p/d.csv; bad_csv "a field of 17 MB" "d.csv:202"
rows | sed '1s/colour/x/' >p/d.csv; bad_csv "a name twice" "no column 'y'"
rows | sed '1s/y/z/' >p/d.csv; bad_csv "no target" "x, colour, z"
rows | sed 's/,[a-z]*$/,/; 1s/$/y/' >p/d.csv; bad_csv "a target with no value" "target 'y'"
rows | sed 's/no$/yes/' >p/d.csv; bad_csv "one class" "1 class;"
rows | sed '3s/yes$\|no$//' >p/d.csv; bad_csv "one target missing" "row 2"
awk 'BEGIN { print "x,colour,y"; for (i = 0; i < 99; i++) printf "%d,red,%s\n", i, i % 9 ? i * 1.5 : "nan" }' >p/d.csv; bad_csv "numbers to predict, some NaN" "target 'y'"
awk 'BEGIN { print "x,colour,y"; for (i = 0; i < 99; i++) printf "1e300,red,%s\n", i % 2 ? "a" : "b" }' >p/d.csv; bad_csv "numbers beyond float32" "'x'"
rows | sed 's/red/r\xe9d/' >p/d.csv; bad_csv "not UTF-8" "not UTF-8"
rows | sed 's/./&\x00/g' >p/d.csv; bad_csv "UTF-16" "zero byte"
rows | gzip -c | head -c 300 >p/d.csv; bad_csv "gzip cut short" "gzip"
good_csv() { ok "CSV: $1" "$USTA" run --project p --until package; }
rows | sed 's/red//' >p/d.csv; good_csv "half a column missing"
rows | sed 's/red\|blue//' >p/d.csv; good_csv "a column all missing"
rows | sed 's/blue/red/' >p/d.csv; good_csv "a constant column"
rows | sed 's/^1[0-9],/inf,/' >p/d.csv; good_csv "infinite values"
{ printf '\357\273\277'; rows; } >p/d.csv; good_csv "a byte order mark"
rows | sed 's/$/\r/' >p/d.csv; good_csv "CRLF"
rows 12 >p/d.csv; good_csv "twelve rows"
rows >p/d.csv

# ---- the project file ----
bad_yaml() { refused "project: $1" "$USTA" run --project p --until train; has "... names what is wrong" "$2"; is "... leaves the data alone" "$(cksum <p/d.csv)" "$sum"; }
sum=$(cksum <p/d.csv)
printf 'data:\000' >p/usta.yaml; bad_yaml "a zero byte" "byte"
printf 'data:\n\tpath: d.csv\n' >p/usta.yaml; bad_yaml "a tab" "line 2"
head -c 100000 /dev/zero | tr '\0' '[' >p/usta.yaml; bad_yaml "nested 100,000 deep" "nested too deep"
printf 'a: &a [*a]\n' >p/usta.yaml; bad_yaml "an anchor in itself" "anchors"
printf '\377\376d\000' >p/usta.yaml; bad_yaml "UTF-16" "usta.yaml"
head -c 2000000 /dev/zero | tr '\0' '#' >p/usta.yaml; bad_yaml "2 MB" "limit"
printf 'data: {path: d.csv' >p/usta.yaml; bad_yaml "cut" "line"
{ project; echo 'trian: {lr: 1}'; } >p/usta.yaml; bad_yaml "an unknown section" "did you mean 'train'"
{ project; echo '  lr: .nan'; } >p/usta.yaml; bad_yaml "a rate that is no number" "train.lr"
project | sed 's/\[4\]/[65536, 65536, 65536]/' >p/usta.yaml; bad_yaml "a network of 17 GB" "model.hidden"
{ project; printf 'package:\n  path: d.csv\n'; } >p/usta.yaml; bad_yaml "a model over the data" ".onnx"
project | sed 's/target: y/target: y\n  exclude: [y]/' >p/usta.yaml; bad_yaml "an excluded target" "data.exclude"
project | sed 's/target: y/target: y\n  delimiter: "\\n"/' >p/usta.yaml; bad_yaml "a delimiter that ends lines" "data.delimiter"
{ project; printf 'requirements:\n  - {metric: accuracy, min: 0.9, max: 0.1}\n'; } >p/usta.yaml; bad_yaml "a requirement nothing can meet" "requirement 1"
project >p/usta.yaml
rm -r p/build
ok "and the project still works" "$USTA" run --project p
is "no temporary files" "$(find . -name '*tmp*' | wc -l)" 0
t_end
