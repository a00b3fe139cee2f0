# usta compile on real models: at every level the processor has, the plan gives the bytes that the model gives.
. "$US_TESTS/us_test.sh"
need_corpus models
M=$CORPUS/models
has=$("$USTA" doctor --json | sed -n 's/.*"cpu level":"\([a-z0-9]*\)".*/\1/p')

# Inputs of a model: random ones, but where those do not fit together (a rate beside samples) or are no tensors.
given() { # MODEL
    case $1 in
    */silero_vad_16k_op15.onnx)
        g=${1%.onnx}.golden
        echo "-i input=$g/input_0.npy -i state=$g/input_1.npy -i sr=$g/input_2.npy" ;;
    */ort_pipeline_vectorize.onnx)
        echo '{"0": 0.5, "3": 1.25}' >"$T/map.json"
        echo "-i float_input=$T/map.json" ;;
    *) echo "--random --seed 5" ;;
    esac
}

same() { # LEVEL MODEL
    name=${2##*/}
    rm -rf "$T/a" "$T/b"
    # shellcheck disable=SC2046
    ok "$1 $name runs" "$USTA" infer "$2" $(given "$2") --threads 1 -o "$T/a"
    ok "$1 $name is compiled" "$USTA" compile "$2" -o "$T/m.plan"
    # shellcheck disable=SC2046
    ok "$1 its plan runs" "$USTA" infer "$T/m.plan" $(given "$2") --threads 2 -o "$T/b"
    is "$1 $name: as many outputs" "$(ls "$T/a" | wc -l)" "$(ls "$T/b" | wc -l)"
    is "$1 $name: the same bytes" "$(cat "$T"/a/* | cksum)" "$(cat "$T"/b/* | cksum)"
}

beyond=
for level in ref avx2 avx512 vnni vbmi; do
    if [ -n "$beyond" ]; then
        t_skip "$level models" "this processor has $has at most"
        continue
    fi
    USTA_CPU=$level; export USTA_CPU
    is "$level is in force" "$("$USTA" doctor --json | grep -c "\"level in force\":\"$level\"")" 1
    for f in "$M"/audio/*.onnx "$M"/ocr/*.onnx "$M"/tabular/*.onnx "$M/vision-classify/mnist8_cntk.onnx" \
        "$M/vision-classify/mlperftiny_resnet8_cifar10.onnx" "$M/vision-detect/ultraface_RFB-320.onnx"; do
        same "$level" "$f"
    done
    [ "$level" != "$has" ] || beyond=1
done
t_end
