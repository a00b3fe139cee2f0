# Operators, versions, types and attributes of our tables against the registries of Debian's onnx and of the peers' newer one.
. "$US_TESTS/us_test.sh"
"$1" >"$T/schemas.json" || exit 1
for python in /usr/bin/python3 "$PEERS"; do
    name="schemas of the standard by $(basename "$(dirname "$(dirname "$python")")")"
    if "$python" -c 'import onnx' 2>"$ERR"; then
        ok "$name" "$python" "$US_TESTS/ir/schemas.py" "$T/schemas.json" "$US_TESTS/ir/schema_exceptions.txt"
    else
        t_skip "$name" "no onnx for $python"
    fi
done
t_end
