# Census income: headerless, padded, `?` for missing, labels of the test file with a dot; the gate must pass.
. "$US_TESTS/us_test.sh"
. "$US_TESTS/e2e/untimed.sh"
need_corpus data/tabular/adult-train.csv.gz
P=$T/adult
mkdir "$P"
untimed adult "$P"
D=$CORPUS/data/tabular
ok "adult: the whole lifecycle, accuracy of at least 0.853" "$USTA" run --project "$P" --json \
    --data.path="$D/adult-train.csv.gz" --data.test_path="$D/adult-test.csv.gz"
has "judged on the whole test file" "16281 test rows"
if [ -x "$PEERS" ]; then
    { echo age,workclass,fnlwgt,education,education_num,marital_status,occupation,relationship,race,sex,capital_gain,capital_loss,hours_per_week,native_country,income
      zcat "$D/adult-test.csv.gz" | grep -v '^|' | grep , | head -n 3000; } >"$T/rows.csv"
    ok "ONNX Runtime gives the same outputs" "$PEERS" "$US_TESTS/e2e/compare_ort.py" "$P/build/model.onnx" "$T/rows.csv" "$USTA"
    has "within 1e-5" "0 elements differ"
else
    t_skip "ONNX Runtime gives the same outputs" "no build/peers (tools/setup --peers)"
fi
t_end
