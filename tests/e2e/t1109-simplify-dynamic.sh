# usta simplify keeps dynamic axes: patterns of exporters, by name, run at three sizes.
. "$US_TESTS/us_test.sh"
need_peers
exec "$PEERS" "$US_SOURCE/tests/e2e/simplify_dynamic.py" "$USTA"
