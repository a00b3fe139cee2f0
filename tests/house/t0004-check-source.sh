# tools/check-source: every rule fires on a file that breaks it, and stays quiet on one that does not.
. "$US_TESTS/us_test.sh"
check=$US_SOURCE/tools/check-source
mkdir -p "$T/src/base" "$T/src/ir" "$T/src/cli" "$T/src/store" "$T/src/serve" "$T/tools"

file() { printf '%s\n' "/* top */" "$2" >"$T/$1"; }
breaks() { # NAME PATH LINE RULE
    file "$2" "$3"
    status 1 "$1" "$check" "$T"
    has "$1: by its rule" "$2:2: [$4]"
    rm "$T/$2"
}
allows() { # NAME PATH LINE
    file "$2" "$3"
    ok "$1" "$check" "$T"
    rm "$T/$2"
}

breaks "strcpy is banned everywhere" src/base/a.c 'void f(char *a) { strcpy(a, "x"); }' banned
breaks "malloc is banned outside base" src/ir/a.c 'void *f(void) { return malloc (3); }' banned
allows "malloc is at home in base" src/base/a.c 'void *f(void) { return malloc(3); }'
allows "a word in a comment is no call" src/ir/a.c '/* malloc(3) and strcpy(a, b) */ int x; // free(x)'
allows "a word in a string is no call" src/ir/a.c 'const char *s = "free(x) \" malloc(3)";'
allows "a longer name is no call" src/ir/a.c 'void f(void) { us_time(1); t->free(t); snprintf(a, 1, "x"); }'
breaks "printf is banned outside base and cli" src/ir/a.c 'void f(void) { printf("x"); }' banned
allows "the program prints" src/cli/a.c 'void f(void) { printf("x"); }'
breaks "exit is for the program" src/ir/a.c 'void f(void) { exit(1); }' exit
breaks "stdout is for the program" src/ir/a.c 'void f(void) { fprintf(stdout, "x"); }' stdout
breaks "SQLite is for store" src/ir/a.c '#include <sqlite3.h>' sqlite
allows "store has it" src/store/a.c '#include <sqlite3.h>'
breaks "sockets are for serve" src/ir/a.c '#include <sys/socket.h>' sockets
allows "serve has them" src/serve/a.c '#include <sys/socket.h>'
breaks "threads are for base" src/ir/a.c '#include <pthread.h>' threads
breaks "the engine has no JSON library" src/ir/a.c '#include <jansson.h>' engine
breaks "no switch on operators" src/ir/a.c '    case US_OP_ADD: return 1;' switch-op
breaks "an unnumbered to-do" src/ir/a.c '/* TODO: later */' todo
allows "a numbered one" src/ir/a.c '/* TODO(#12): later */'
breaks "code switched off" src/ir/a.c '#if 0' if0
breaks "includes name their folder" src/ir/a.c '#include "graph.h"' include
allows "a full include" src/ir/a.c '#include "ir/graph.h"'
breaks "compiler extensions stay low" src/ir/a.c 'int x __attribute__((unused));' extension
breaks "paths of one machine" src/ir/a.c 'const char *p = "/home/me/x";' path 2>/dev/null

echo 'int x;' >"$T/src/ir/a.c"
status 1 "a file begins with a comment" "$check" "$T"
has "that rule has a name" "src/ir/a.c:1: [top]"
{ echo '/* top */'; yes 'int x;' | head -n 800; } >"$T/src/ir/a.c"
status 1 "801 lines are too many" "$check" "$T"
has "that rule has a name" "src/ir/a.c:801: [length]"
rm "$T/src/ir/a.c"

file src/ir/a.c 'void f(void) { exit(1); }'
echo 'src/ir/a.c exit it is a child process here' >"$T/tools/source-exceptions.txt"
ok "an exception with a reason is honoured" "$check" "$T"
rm "$T/src/ir/a.c"
status 1 "one that is not needed is an error" "$check" "$T"
has "and says so" "no longer needed"
t_end
