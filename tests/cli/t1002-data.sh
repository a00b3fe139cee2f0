# init, data, models, lineage on a small project.
. "$US_TESTS/us_test.sh"
cd "$T" || exit 99
awk 'BEGIN { print "id,age,city,when,bought"; for (i = 1; i <= 300; i++) printf "%d,%s,%s,2024-01-%02dT10:00:00,%s\n", i, (i % 17 == 0) ? "" : 20 + (i * 7) % 50, (i % 3) ? "Ankara" : "Izmir", 1 + i % 28, ((20 + (i * 7) % 50) + (i % 5) * 3 > 48) ? "yes" : "no" }' >shop.csv

ok "init" "$USTA" init --json --target bought
is "one line of JSON" "$(wc -l <"$OUT")" 1
has "names the target" '"target":"bought"'
ok "the file is there" test -s usta.yaml
ok "its data section" cat usta.yaml
has "path" "path: shop.csv"
has "the id is left out" 'exclude: ["id"]'
has "every setting is in it" "# patience: 10"
status 2 "a second init" "$USTA" init
has "leaves the file alone" "it was left as it is"
status 2 "an unknown target" "$USTA" init other --csv shop.csv --target boght
has "names the nearest column" "bought"
ok "init of another folder" "$USTA" init other --csv shop.csv
ok "prints on request" "$USTA" init third --csv shop.csv --print
is "and writes nothing" "$(ls third 2>&1 | wc -l)" 1

ok "data stats of a file" "$USTA" data stats shop.csv
has "rows" "300 rows, 5 columns"
ok "data schema of a file, JSON" "$USTA" data schema shop.csv --json
is "one line" "$(wc -l <"$OUT")" 1
has "a timestamp" '"timestamp"'
status 2 "data of a project nobody has read" "$USTA" data stats
has "says what to do" "usta run"
ok "run until data" "$USTA" run --until data --json
is "JSON alone on stdout" "$(wc -l <"$OUT")" 1
has "two stages" '"executed":2'
ok "data stats of the project" "$USTA" data stats
ok "data split" "$USTA" data split --json
has "parts" '"rows":300'
ok "data check: the same file agrees" "$USTA" data check shop.csv
sed 's/,Izmir,/,Mars,/; s/^7,[0-9]*/7,old/' shop.csv >bad.csv
status 1 "data check: a file that cannot be used" "$USTA" data check bad.csv
has "names the column" "age"
status 2 "an unknown action" "$USTA" data stat
ok "models, none yet" "$USTA" models --json
is "an empty list" "$(cat "$OUT")" "[]"

printf 'Name,Size,Colour,Survived\n' >old.csv
awk 'BEGIN { for (i = 0; i < 60; i++) printf "n%d,%s,%s,%d\n", i, i % 7 ? i % 9 : "NA", i % 5 ? i % 4 : "?", i % 2 }' >>old.csv
ok "init of a file with NA and ?" "$USTA" init old --csv old.csv
has "guesses the target by its name" "predicts 'Survived'"
has "and says that it is a guess" "is a guess"
ok "its statistics, before there is a project" "$USTA" data stats old.csv
is "NA is missing there, too" "$(grep -c '^Size *int64' "$OUT")" 1
ok "the project" "$USTA" run --project old --until data
ok "its schema" "$USTA" data schema --project old
is "the columns with gaps are numbers" "$(grep -c '^\(Size\|Colour\) *integer' "$OUT")" 2
lacks "no length of a text among the numbers" "n59"
t_end
