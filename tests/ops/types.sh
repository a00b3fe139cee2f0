# Element types and versions of the official operator cases: types.sh RUN_BATCH BUILD [further arguments of types_ref.py].
. "$US_TESTS/us_test.sh"
need_peers
batch=$1 build=$2
shift 2
newer=$build/conformance/onnx-backend-tests-1.23 # unpacked by make conformance, or by the tests of the suite conformance
[ -d "$newer" ] || newer=$build/onnx-backend-tests
exec "$PEERS" "$US_TESTS/ops/types_ref.py" "$batch" /usr/share/libonnx-testdata/data "$newer" "$@"
