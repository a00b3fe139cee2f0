# Install into an empty folder, compile a small program with pkg-config's flags against it, run it, and in C++ too.
. "$US_TESTS/us_test.sh"
ok "meson install" meson install -C "$US_BUILD" --no-rebuild --quiet --destdir "$T/root"
pc=$(find "$T/root" -name usta.pc)
is "one pkg-config file" "$(printf '%s\n' "$pc" | grep -c .)" 1
so=$(find "$T/root" -name 'libusta.so.*.*.*' -type f)
is "one shared library with its version" "$(printf '%s\n' "$so" | grep -c .)" 1
is "the program" "$(find "$T/root" -name usta -type f -perm -u+x | grep -c .)" 1
is "only headers of include/usta" "$(find "$T/root" -name '*.h' | sed 's|.*/include/||' | sort | tr '\n' ' ')" \
    "$(cd "$US_SOURCE/include" && find . -name '*.h' | sed 's|^\./||' | sort | tr '\n' ' ')"

PKG_CONFIG_PATH=$(dirname "$pc") PKG_CONFIG_SYSROOT_DIR=$T/root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
version=$(pkg-config --modversion usta)
cat >"$T/main.c" <<'C'
#include <stdio.h>
#include <usta/usta.h>
int main(void)
{
    usta_env *env = NULL;
    usta_model *model = NULL;
    if (usta_env_new(NULL, &env) != USTA_OK) return 1;
    if (usta_model_open(env, "/no/such/model.onnx", &model) == USTA_OK) return 1;
    fprintf(stderr, "%s\n", usta_env_error(env));
    usta_env_free(env);
    puts(usta_version());
    return 0;
}
C
flags=$(pkg-config --cflags --libs usta)
# shellcheck disable=SC2086
ok "compiles as C" ${CC:-cc} -std=c11 -Wall -Wextra -Werror "$T/main.c" -o "$T/main" $flags
LD_LIBRARY_PATH=$(dirname "$so")
export LD_LIBRARY_PATH
ok "runs" "$T/main"
has "a missing model is a message, not a crash" "model.onnx"
is "prints the version that pkg-config knows" "$(cat "$OUT")" "$version"
# shellcheck disable=SC2086
ok "compiles as C++" g++ -std=c++11 -Wall -Wextra -Werror -xc++ "$T/main.c" -o "$T/main++" $flags
ok "runs" "$T/main++"
is "SONAME carries the major version" "$(readelf -d "$so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')" "libusta.so.${version%%.*}"
t_end
