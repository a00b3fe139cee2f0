# usta diff: two models, whose nodes are matched by structure.
. "$US_TESTS/us_test.sh"
D=$US_SOURCE/tests/cli/data
change() { LC_ALL=C sed "$1" "$D/net.onnx" >"$T/b.onnx"; } # of the bytes, as many as before

cp "$D/net.onnx" "$T/same.onnx"
ok "the same bytes" "$USTA" diff "$D/net.onnx" "$T/same.onnx"
has "says so" "are the same bytes"
ok "as JSON" "$USTA" diff --json "$D/net.onnx" "$T/same.onnx"
has "too" '"identical_files":true,"same":true'

change 's/first/erste/; s/act/tat/; s/\x01h/\x01k/g'
ok "other names" "$USTA" diff "$D/net.onnx" "$T/b.onnx"
has "are no difference" "no differences (3 nodes matched)"

change 's/Relu/Tanh/'
status 1 "another operator" "$USTA" diff "$D/net.onnx" "$T/b.onnx"
has "is one change" "they differ: 0 nodes removed, 0 added, 1 changed; 0 of 2 constants"
has "of that node" "~ Relu 'act'"
has "told as old and new" "operator: Relu -> Tanh"
is "and nothing on stderr" "$(wc -c <"$ERR")" 0
ok "no matter for weights" "$USTA" diff --weights-only "$D/net.onnx" "$T/b.onnx"

change 's/J\x18\x00\x00\x80?/J\x18\x00\x00\x90?/'
status 1 "another weight" "$USTA" diff "$D/net.onnx" "$T/b.onnx"
has "of how many" "constants: 1 of 2 differ (9 numbers compared)"
has "by how much" "0.125"
status 1 "as JSON" "$USTA" diff --json "$D/net.onnx" "$T/b.onnx"
has "in figures" '"changed":1,"cosine":0.99'
is "one line" "$(wc -l <"$OUT")" 1
ok "within a tolerance" "$USTA" diff --tolerance 0.03 "$D/net.onnx" "$T/b.onnx"
status 1 "beyond it" "$USTA" diff --tolerance 0.02 "$D/net.onnx" "$T/b.onnx"
ok "no matter for structure" "$USTA" diff --structure-only "$D/net.onnx" "$T/b.onnx"
has "which is said" "no differences of structure"

ok "a part of the model" "$USTA" extract "$D/net.onnx" "$T/part.onnx" --to h
status 1 "against the whole" "$USTA" diff --cost "$T/part.onnx" "$D/net.onnx"
has "what was added" "+ Relu 'act'  reads Gemm 'first'; read by output 'out/y:0'"
has "inputs that are new" "input text: (none) -> string[N]"
has "costs" "multiply-accumulates: 6 -> 6"

status 2 "one file" "$USTA" diff "$D/net.onnx"
status 2 "nothing left to compare" "$USTA" diff --structure-only --weights-only "$D/net.onnx" "$D/old.onnx"
head -c 60 "$D/net.onnx" >"$T/cut.onnx"
status 2 "a file that cannot be read" "$USTA" diff "$D/net.onnx" "$T/cut.onnx"
has "is named" "cut.onnx"

# Real models: simplified, and quantised.
M=$CORPUS/models
if [ -e "$M/vision-detect/ultraface_RFB-320_simplified.onnx" ]; then
    status 1 "ultraface and its simplified form" "$USTA" diff "$M/vision-detect/ultraface_RFB-320.onnx" "$M/vision-detect/ultraface_RFB-320_simplified.onnx"
    has "each node of the simplified form is one of the original" "nodes: 211 and 110, 110 matched; 101 removed, 0 added"
    status 1 "micro_kws and its form with QDQ" "$USTA" diff --json "$M/audio/micro_kws_m_static_fp32.onnx" "$M/audio/micro_kws_m_static_qdq.onnx"
    has "all but Relu stays" '"matched":16,"nodes_a":21,"nodes_b":60'
    has "weights are compared as dequantised" '"quantised":true'
    status 1 "and with integer operators" "$USTA" diff --json "$M/audio/micro_kws_m_static_fp32.onnx" "$M/audio/micro_kws_m_static_qoperator.onnx"
    has "which are the float ones of old" '"a":"Conv","b":"QLinearConv"'
    ok "a real model, simplified" "$USTA" simplify "$M/vision-classify/mlperftiny_resnet8_cifar10.onnx" "$T/s.onnx"
    ok "is the same in other bytes" "$USTA" diff "$M/vision-classify/mlperftiny_resnet8_cifar10.onnx" "$T/s.onnx"
else
    t_skip "real models" "no corpus (set USTA_CORPUS)"
fi
t_end
