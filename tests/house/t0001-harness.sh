# The harness: what a failed, a skipped and a passed case look like.   t0001-harness.sh SAMPLE_PROGRAM
. "$US_TESTS/us_test.sh"
sample=$1
status 1 "a failed case makes the program fail" "$sample"
has "the plan counts all cases" "1..11"
is "good cases pass" "$(grep -c '^ok .*test_pass' "$OUT")" 2
is "bad cases fail" "$(grep -c '^not ok .*test_fail' "$OUT")" 8
has "both integers are printed" "three is 3, expected -4 = -4"
has "both strings are printed" 'is "left", expected "right"'
has "a NaN is near nothing" "expected NAN = nan"
has "the first differing byte is named" "at byte 2 of 4: 63, expected 58"
has "the detail of a failure is printed" "gave FORMAT: byte 7 is odd"
has "the place is printed" "sample.c:"
has "a missing corpus file skips, and says how to get it" "# SKIP no corpus file"
has "torture counts its points" "# torture two_blocks: 2 allocations made to fail"
has "torture sees a leak" "leaks_one: 10 bytes leaked when allocation 2 fails"
has "torture sees a swallowed failure" "swallows: allocation 1 failed and nobody said so"
has "torture sees a wrong code" "wrong_code: allocation 1 failed, returned IO (disk on fire)"
tmp=$(sed -n 's/^# tmp //p' "$OUT")
is "the temporary folder is gone" "$([ -n "$tmp" ] && [ ! -e "$tmp" ] && echo gone)" gone
ok "one case by name" "$sample" test_pass__torture
has "only that one is planned" "1..1"
lacks "no other case ran" "test_fail"
status 2 "an unknown name is wrong usage" "$sample" no_such_case
ok "--list prints the names" "$sample" --list
has "the names are there" "test_fail__i64"
t_end
