# usta compile on real models: at every level the processor has, the plan gives the bytes that the model gives.
. "$US_TESTS/us_test.sh"
need_corpus models
M=$CORPUS/models

same() { # LEVEL MODEL
    name=${2##*/}
    rm -rf "$T/a" "$T/b"
    ok "$1 $name runs" "$USTA" infer "$2" --random --seed 5 --threads 1 -o "$T/a"
    ok "$1 $name is compiled" "$USTA" compile "$2" -o "$T/m.plan"
    ok "$1 its plan runs" "$USTA" infer "$T/m.plan" --random --seed 5 --threads 2 -o "$T/b"
    is "$1 $name: as many outputs" "$(ls "$T/a" | wc -l)" "$(ls "$T/b" | wc -l)"
    is "$1 $name: the same bytes" "$(cat "$T"/a/* | cksum)" "$(cat "$T"/b/* | cksum)"
}

for level in ref avx2 avx512; do
    USTA_CPU=$level; export USTA_CPU
    for m in audio/*.onnx ocr/*.onnx tabular/*.onnx vision-classify/mnist8_cntk.onnx vision-classify/mlperftiny_resnet8_cifar10.onnx \
        vision-detect/ultraface_RFB-320.onnx; do
        for f in $M/$m; do
            [ -f "$f" ] && "$USTA" infer "$f" --random --seed 5 -o "$T/try" >/dev/null 2>&1 && same $level "$f"
        done
    done
done
unset USTA_CPU
is "models were compared" "$([ $t_n -ge 60 ] && echo yes)" yes
t_end
