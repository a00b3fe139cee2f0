# The pages of the C API are what the headers say, and complete; and the tool that says so notices when they are not.
. "$US_TESTS/us_test.sh"
doc=$US_SOURCE/tools/api-doc
ok "docs/api is what the headers say, and every exported name is there" "$doc" --check "$US_SOURCE"

copy() {
    rm -rf "$T/tree"
    mkdir -p "$T/tree/tools" "$T/tree/docs"
    cp -r "$US_SOURCE/include" "$T/tree"
    cp -r "$US_SOURCE/docs/api" "$T/tree/docs"
    cp "$US_SOURCE/tools/abi-symbols.txt" "$T/tree/tools"
}
copy
ok "a copy is as good" "$doc" --check "$T/tree"
sed -i 's/Makes an environment/Makes a new environment/' "$T/tree/include/usta/env.h"
status 1 "a changed comment" "$doc" --check "$T/tree"
has "says what to do" "make docs"
ok "which writes the pages" "$doc" "$T/tree"
ok "and then they are right" "$doc" --check "$T/tree"

copy
echo usta_secret >>"$T/tree/tools/abi-symbols.txt"
status 1 "an exported function without an entry" "$doc" --check "$T/tree"
has "is named" "usta_secret is exported and not documented"

copy
sed -i 's/^ \* Errors:  USTA_ARG  NULL, i out of range, or struct_size not set/ * It may fail./' "$T/tree/include/usta/model.h"
status 1 "a function that does not say how it fails" "$doc" "$T/tree"
has "is named, too" '`usta_model_input`, `usta_model_output`: no Errors:'

copy
printf '\nUSTA_API int usta_bare(void);\n' >>"$T/tree/include/usta/env.h"
status 1 "a function without a comment" "$doc" "$T/tree"
has "is found by its line" "env.h:"

copy
echo '/* usta/more.h - more */' >"$T/tree/include/usta/more.h"
status 1 "a header without a page" "$doc" --check "$T/tree"
t_end
