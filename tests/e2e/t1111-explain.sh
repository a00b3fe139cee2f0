# usta explain on real models: each one is run on inputs that it takes, without a word from anybody; token numbers, lengths and sizes follow from the graph.
. "$US_TESTS/us_test.sh"
need_corpus models
for m in "$CORPUS"/models/*/*.onnx; do
    name=${m##*/}
    ok "$name" "$USTA" explain --time 1 --threads 1 --json "$m"
    case $name in
    mnist8_cntk.onnx)
        has "a convolution has a share of the peak" '"node":"Convolution110","of_peak":'
        lacks "a pool has none" '"node":"Pooling66","of_peak"' ;;
    micro_kws_m_static_qdq.onnx) lacks "its products are of 8-bit numbers" '"macs_8bit":0.0,' ;;
    esac
done
ok "a model that takes no short input" "$USTA" explain --time 1 "$CORPUS/models/audio/silero_vad_16k_op15.onnx"
has "says what it was given" 'sequence=512 (smaller ones do not run)'
ok "at another size" "$USTA" explain --time 1 --dim sequence=576 "$CORPUS/models/audio/silero_vad_16k_op15.onnx"
has "the batch is still ours" 'inputs of batch=1;'
status 2 "infer takes what it is told" "$USTA" infer "$CORPUS/models/audio/silero_vad_16k_op15.onnx" --random -o "$T/o"
has "and says what to give" "give -i input=FILE.npy -i state=FILE.npy -i sr=FILE.npy, or sizes by --dim NAME=SIZE"
ok "which helps" "$USTA" infer "$CORPUS/models/audio/silero_vad_16k_op15.onnx" --random --dim sequence=512 -o "$T/o"
t_end
