# usta view: the three forms, that they are well-formed, and how it fails.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data
PY=/usr/bin/python3

ok "an SVG" "$USTA" view "$D/net.onnx" -o "$T/net.svg"
has "says what was drawn" "net.svg: 3 nodes"
ok "an HTML page" "$USTA" view "$D/net.onnx" -o "$T/net.html"
ok "a DOT file" "$USTA" view "$D/net.onnx" -o "$T/net.dot"
ok "--json" "$USTA" view --json "$D/net.onnx" -o "$T/net.svg"
has "as an object" '"nodes":3'
if [ -x $PY ]; then
    ok "the SVG is well-formed XML" $PY -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$T/net.svg"
    ok "the page's elements nest and its data is JSON" $PY "$US_SOURCE/tests/inspect/check_page.py" "$T/net.html"
else
    t_skip "well-formed" "no python3"
fi
ok "unknown operators are drawn" "$USTA" view "$D/odd.onnx" -o "$T/odd.svg"
ok "twice" "$USTA" view "$D/odd.onnx" -o "$T/odd2.svg"
ok "gives the same bytes" cmp "$T/odd.svg" "$T/odd2.svg"
ok "brief, in two columns" "$USTA" view "$D/net.onnx" --detail brief --columns 2 -o "$T/brief.svg"
ok "leaves out the details" sh -c "grep -q '>Gemm<' '$T/brief.svg' && ! grep -q '>B ' '$T/brief.svg'"
status 2 "an unknown detail" "$USTA" view "$D/net.onnx" --detail some -o "$T/x.svg"
has "is refused with those that are known" "full"
status 2 "another ending" "$USTA" view "$D/net.onnx" -o "$T/net.gif"
has "is refused with those that are known" ".html, .svg or .dot"
status 2 "no output" "$USTA" view "$D/net.onnx"
has "is told how" "-o FILE.html"
status 2 "a missing file" "$USTA" view "$T/none.onnx" -o "$T/x.svg"
t_end
