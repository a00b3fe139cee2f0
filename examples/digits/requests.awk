# requests.awk - rows of digits.csv as a served request would bring them: every nth row, without the label.
#   awk -F, -v n=6 -v first=1 -v kind=clean|noise|bright -v truth=FILE -f requests.awk
# noise: each pixel moves by up to 8 of 16; bright: every pixel gains 4. truth: file that gets the labels.
function clamp(v) { return v < 0 ? 0 : v > 16 ? 16 : v }
BEGIN { OFS = ","; srand(7) }
NR == 1 || (NR - 2) % n == first - 1 {
    if (NR > 1) {
        print $65 > truth
        for (i = 1; i <= 64; i++) {
            if (kind == "noise") $i = clamp($i + int(rand() * 17) - 8)
            if (kind == "bright") $i = clamp($i + 4)
        }
    }
    line = $1
    for (i = 2; i <= 64; i++) line = line "," $i
    print line
}
