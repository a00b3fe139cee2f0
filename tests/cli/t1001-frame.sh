# The frame of the commands: help, version, mistakes, exit status, purity of stdout.
. "$US_TESTS/us_test.sh"
cd "$T" || exit 99

ok "--version" "$USTA" --version
is "says the version" "$(cat "$OUT")" "usta $("$USTA" doctor --json | sed 's/.*"usta":"\([^"]*\)".*/\1/')"
ok "help" "$USTA" help
sed 's/^usta [0-9.]*:/usta VERSION:/' "$OUT" >help.txt
if cmp -s help.txt "$US_SOURCE/tests/cli/data/help.txt"; then same=yes; else diff help.txt "$US_SOURCE/tests/cli/data/help.txt" >&2; same=no; fi
is "help is the golden page" $same yes
ok "--help" "$USTA" --help
ok "no command at all prints help" "$USTA"
has "usage" "usage: usta COMMAND"
for cmd in init run status data train models lineage serve monitor info infer doctor help; do
    ok "$cmd --help" "$USTA" $cmd --help
    has "$cmd: usage" "usage: usta $cmd"
done
ok "help run" "$USTA" help run
has "names a flag" "--until=STAGE"
ok "help settings" "$USTA" help settings
has "a setting with its range" "--train.lr=NUMBER"

status 2 "unknown command" "$USTA" rnu
has "nearest command" "did you mean 'run'?"
status 2 "unknown option" "$USTA" run --utnil data
has "nearest option" "did you mean '--until'?"
status 2 "an option without its value" "$USTA" run --until
status 2 "too many arguments" "$USTA" status a b
has "says how to call it" "usage: usta status"
status 2 "no project" "$USTA" run
has "says what to do" "usta init"
status 2 "a setting where none is taken" "$USTA" doctor --train.lr=1
lacks "stdout stays empty on mistakes" "usage: usta COMMAND"
is "stdout is empty" "$(wc -c <"$OUT")" 0

printf 'data: {path: x.csv, target: y}\ntrain:\n  lrr: 1\n' >usta.yaml
status 2 "unknown key in the project file" "$USTA" run
has "line and nearest key" "usta.yaml: line 3: unknown key 'train.lrr'; did you mean 'train.lr'?"
printf 'data: {path: x.csv, target: y}\n' >usta.yaml
status 2 "unknown setting as a flag" "$USTA" run --train.lrr=1
has "nearest setting" "did you mean '--train.lr'?"
status 2 "a value out of range" "$USTA" run --train.lr=100
has "says the range" "'100' is not a number from 0 to 10"
status 2 "environment" env USTA_TRAIN_LR=x "$USTA" run
has "names the variable" "environment USTA_TRAIN_LR"
status 2 "missing data file" "$USTA" run
has "names it" "x.csv"
status 2 "unknown stage" "$USTA" run --until trian
has "nearest stage" "did you mean 'train'?"

if [ -w /dev/full ]; then
    status 2 "a full disk is found" sh -c '"$USTA" help settings >/dev/full'
    has "and said" "standard output"
fi
t_end
