# The list of operators that ONNX defines by others, against Debian's onnx and the newer one of the peers.
. "$US_TESTS/us_test.sh"
for python in /usr/bin/python3 "$PEERS"; do
    name="functions of the standard by $(basename "$(dirname "$(dirname "$python")")")"
    if "$python" -c 'import onnx' 2>"$ERR"; then
        ok "$name" "$python" "$US_TESTS/ir/onnx_functions.py" "$US_TESTS/ir/onnx_functions.h"
    else
        t_skip "$name" "no onnx for $python"
    fi
done
t_end
