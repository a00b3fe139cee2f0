# usta doctor: facts about build and machine, checks that pass.
. "$US_TESTS/us_test.sh"
cd "$T" || exit 99

ok "doctor runs" "$USTA" doctor
has "names the kernel" "f32 matrix product"
has "a check passed" "exact on integers"
ok "doctor --json runs" "$USTA" doctor --json
is "one line" "$(wc -l <"$OUT")" 1
has "version" '"usta":"0.1.0"'
has "libraries" '"jansson":"'
has "formats of images" '"PNG":"libpng"'
USTA_CPU=ref ok "the level can be masked" env USTA_CPU=ref "$USTA" doctor --json
has "and is the reference then" '"level in force":"ref"'
t_end
