# tools/run-tests: the counts of a recorded test log with every kind of ending.
. "$US_TESTS/us_test.sh"
run=$US_SOURCE/tools/run-tests
bad=$US_TESTS/house/testlog-bad.txt good=$US_TESTS/house/testlog-good.txt
CI= ; export CI

status 1 "a log with failures fails" "$run" --sum "$bad"
is "the last line has the counts" "$(tail -n 1 "$OUT")" "6 passed, 5 failed, 3 skipped"
has "a failed case is named" "FAILED   x:s / bad: b"
has "what it printed is shown" "f.c:3: x is 1"
has "a crash is a failed case" "FAILED   x / crash: case 2 of 3 did not end: killed by signal 11"
has "so is a time-out" "FAILED   x / slow: case 2 of 3 did not end"
has "so is a leak found at exit" "FAILED   x / leak: all cases passed but: exit status 23"
has "a skip is listed with its reason" "skipped  x:s / good: b: no corpus file"
ok "skips alone do not fail" "$run" --sum "$good"
is "they are counted" "$(tail -n 1 "$OUT")" "1 passed, 0 failed, 1 skipped"
CI=true
status 1 "in CI a skip fails" "$run" --sum "$good"
is "and is counted as failed" "$(tail -n 1 "$OUT")" "1 passed, 1 failed, 0 skipped"
: >"$T/empty.txt"
status 1 "no test at all is a failure" "$run" --sum "$T/empty.txt"
has "and says so" "no test program ran"
t_end
