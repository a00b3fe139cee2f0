# tools/setup: says what it will do, does nothing twice. dpkg-query and apt-get are stood in for.
. "$US_TESTS/us_test.sh"
setup=$US_SOURCE/tools/setup
mkdir "$T/bin" "$T/state"
cat >"$T/bin/dpkg-query" <<'FAKE'
#!/bin/sh
shift 2
for p in "$@"; do [ ! -f "$STATE/$p" ] || echo "$p installed"; done
FAKE
cat >"$T/bin/apt-get" <<'FAKE'
#!/bin/sh
echo "$*" >>"$STATE/.calls"
[ "$1" = install ] || exit 0
for p in "$@"; do case $p in -* | install) ;; *) : >"$STATE/$p" ;; esac; done
FAKE
cat >"$T/bin/sudo" <<'FAKE'
#!/bin/sh
echo sudo >>"$STATE/.calls"
exec "$@"
FAKE
chmod +x "$T/bin/"*
STATE=$T/state PATH=$T/bin:$PATH
USTA_SETUP=
export STATE PATH USTA_SETUP

ok "the first run installs" "$setup" build
has "it says what it will do" "will install with"
has "and what each is for" "the workspace database"
has "and what it did" "installed"
is "apt-get installed libyaml-dev" "$(grep -c 'install.*libyaml-dev' "$STATE/.calls")" 1
is "but nothing of other groups" "$(grep -c cppcheck "$STATE/.calls")" 0
rm "$STATE/.calls"
ok "the second run" "$setup" build
has "says that there is nothing to do" "nothing to do"
is "in one line" "$(wc -l <"$OUT" | tr -d ' ')" 1
is "and runs no apt-get" "$([ ! -e "$STATE/.calls" ] && echo none)" none
ok "quiet when asked" "$setup" -q build
is "no line at all" "$(wc -c <"$OUT" | tr -d ' ')" 0
rm "$STATE/libyaml-dev"
ok "only what is missing is installed" "$setup" build
is "one package" "$(grep -c 'install.* libyaml-dev$' "$STATE/.calls")" 1
status 2 "an unknown group is wrong usage" "$setup" everything
has "and the usage is printed" "tools/setup --peers"
ok "the table prints" "$setup" --list
is "every row names a package, its groups and what for" "$(awk 'NF < 3' "$OUT" | wc -l | tr -d ' ')" 0
t_end
