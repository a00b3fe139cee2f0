/* test_op_text - regular expressions, splitting, equal values and pools over regions, against values worked out by hand. */
#include "op_fixture.h"

#define RE(pattern, a, b, c, d)                                                                \
    "const x: string[4] = {\"" a "\", \"" b "\", \"" c "\", \"" d "\"}\n"                      \
    "y = RegexFullMatch(x) {pattern=\"" pattern "\"}"

/* clang-format off */
static const op_case rows[] = {
    {"whole text only", RE("b+", "b", "bbb", "abb", ""), 1, {4}, {1, 1, 0, 0}, {0}, 0},
    {"empty pattern", RE("", "", "a", " ", "\\x0a"), 1, {4}, {1, 0, 0, 0}, {0}, 0},
    {"alternatives, one empty", RE("a|", "", "a", "aa", "|"), 1, {4}, {1, 1, 0, 0}, {0}, 0},
    {"counted", RE("(ab){2,3}", "ab", "abab", "ababab", "abababab"), 1, {4}, {0, 1, 1, 0}, {0}, 0},
    {"braces that count nothing", RE("a{,2}", "a{,2}", "a", "aa", ""), 1, {4}, {1, 0, 0, 0}, {0}, 0},
    {"dot and new line", RE("a.b", "a\\x0ab", "aéb", "ab", "axb"), 1, {4}, {0, 1, 0, 1}, {0}, 0},
    {"dot for all", RE("(?s)a.b", "a\\x0ab", "aéb", "ab", "axb"), 1, {4}, {1, 1, 0, 1}, {0}, 0},
    {"any case", RE("(?i)kÉ", "Ké", "KÉ", "ké", "kE"), 1, {4}, {1, 1, 1, 0}, {0}, 0},
    {"any case in a group only", RE("(?i:a)b", "Ab", "ab", "AB", "aB"), 1, {4}, {1, 1, 0, 0}, {0}, 0},
    {"any case up to the end of the group", RE("(a(?i)b)c", "aBc", "abc", "ABc", "aBC"), 1, {4}, {1, 1, 0, 0}, {0}, 0},
    {"not in a class, any case", RE("(?i)[^a]+", "bcd", "bA", "a", "B"), 1, {4}, {1, 0, 0, 1}, {0}, 0},
    {"lines", RE("(?m)a$\\\\n^b", "a\\x0ab", "ab", "a\\x0a", "b"), 1, {4}, {1, 0, 0, 0}, {0}, 0},
    {"ends of the text", RE("(?m)\\\\Aa\\\\z", "a", "a\\x0a", "\\x0aa", ""), 1, {4}, {1, 0, 0, 0}, {0}, 0},
    {"words", RE("\\\\bab\\\\b.*", "ab c", "abc", "ab", "a b"), 1, {4}, {1, 0, 1, 0}, {0}, 0},
    {"named group", RE("(?P<one>a)(?<two>b)", "ab", "a", "b", "a)b"), 1, {4}, {1, 0, 0, 0}, {0}, 0},
    {"quoted, its last letter repeated", RE("\\\\Q(*\\\\E+", "(*", "(**", "((*", ""), 1, {4}, {1, 1, 0, 0}, {0}, 0},
    {"numbers of characters", RE("\\\\x41\\\\x{e9}\\\\101", "AéA", "aéa", "A", "AA"), 1, {4}, {1, 0, 0, 0}, {0}, 0},
    {"class with ] and -", RE("[]a-]+", "]a-", "-", "b", "a]b"), 1, {4}, {1, 1, 0, 0}, {0}, 0},
    {"a repeat of a repeat", RE("a{2}{3}", "", "", "", ""), -1, {0}, {0}, {0}, US_ARG},
    {"no back references", RE("(a)\\\\1", "", "", "", ""), -1, {0}, {0}, {0}, US_ARG},
    {"unknown group", RE("(?=a)", "", "", "", ""), -1, {0}, {0}, {0}, US_ARG},
    {"group without end", RE("(?i", "", "", "", ""), -1, {0}, {0}, {0}, US_ARG},
    {"properties", RE("\\\\pL", "", "", "", ""), -1, {0}, {0}, {0}, US_UNSUPP},

    {"split at white space", "const x: string[2] = {\"  a\\x09b  c \", \"\"}\ny, n = StringSplit(x) {maxsplit=1}", 2, {2, 2}, {0}, {"a", "b  c", "", ""}, 0},
    {"split at a delimiter", "const x: string[2] = {\",a,,\", \"\"}\ny, n = StringSplit(x) {delimiter=\",\"}", 2, {2, 4}, {0}, {"", "a", "", "", "", "", "", ""}, 0},
    {"parts", "const x: string[2] = {\",a,,\", \"\"}\ns, y = StringSplit(x) {delimiter=\",\"}", 1, {2}, {4, 1}, {0}, 0},

    {"unique words", "const x: string[5] = {\"b\", \"\", \"b\", \"B\", \"a\"}\ny = Unique(x)", 1, {4}, {0}, {"", "B", "a", "b"}, 0},
    {"unique words as they come", "const x: string[5] = {\"b\", \"\", \"b\", \"B\", \"a\"}\ny = Unique(x) {sorted=0}", 1, {4}, {0}, {"b", "", "B", "a"}, 0},
    {"unique, NaN is the largest and one", "const x: float[6] = {nan, 2, nan, -inf, inf, 2}\ny = Unique(x)", 1, {4}, {-(double)INFINITY, 2, (double)INFINITY, (double)NAN}, {0}, 0},
    {"unique, where each went", "const x: float[6] = {nan, 2, nan, -inf, inf, 2}\nu, f, y = Unique(x)", 1, {6}, {3, 1, 3, 0, 2, 1}, {0}, 0},
    {"unique, how often", "const x: float[6] = {nan, 2, nan, -inf, inf, 2}\nu, f, i, y = Unique(x)", 1, {4}, {1, 2, 1, 2}, {0}, 0},
    {"unique rows", "const x: int64[3,2] = {1, 2, 0, 5, 1, 2}\ny = Unique(x) {axis=0}", 2, {2, 2}, {0, 5, 1, 2}, {0}, 0},
    {"unique of nothing", "const x: float[0] = {}\ny = Unique(x)", 1, {0}, {0}, {0}, 0},

    {"roi pool", "const x: float[1,1,3,4] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}\nconst r: float[2,5] = {0, 0, 0, 3, 2, 0, 1, 1, 2, 2}\ny = MaxRoiPool(x, r) {pooled_shape=[1, 2]}", 4, {2, 1, 1, 2}, {10, 12, 10, 11}, {0}, 0},
    {"roi pool, scaled, partly outside", "const x: float[1,1,2,2] = {-1, -2, -3, -4}\nconst r: float[1,5] = {0, 2, 2, 8, 8}\ny = MaxRoiPool(x, r) {pooled_shape=[2, 2], spatial_scale=0.5}", 4, {1, 1, 2, 2}, {-4, 0, 0, 0}, {0}, 0},
};
/* clang-format on */

static void test_text__by_hand(void)
{
    op_check_all(rows, US_LEN(rows));
}

/* Three rounds put 1, 2, 3 ... elements of x in front of a sequence. */
static void test_loop__grows_a_sequence(void)
{
    op_run r;
    op_open(&r,
            "const n: int64[] = {3}\n"
            "const x: string[1] = {\"a\"}\n"
            "const zero: int64[] = {0}\n"
            "s0 = SequenceEmpty() {dtype=8}\n"
            "all, last = Loop(n, _, s0, x) {body=graph b (i: int64[], c: bool[], s: "
            "seq(string), w: "
            "string[M]) -> (^c2, s2, w2) {\n"
            "      c2 = Identity(c)\n"
            "      w2 = Concat(w, ^x) {axis=0}\n"
            "      s2 = SequenceInsert(s, w, ^zero)\n"
            "    }}\n"
            "y = ConcatFromSequence(all) {axis=0}\n",
            "all, y");
    CHECK(r.err == US_OK);
    CHECK(r.out[0].kind == US_KIND_SEQUENCE && r.out[0].n_items == 3);
    for (size_t i = 0; r.err == US_OK && i < r.out[0].n_items; i++)
        CHECK_EQ_I64(r.out[0].items[i].t.dims[0], 3 - (int64_t)i);
    CHECK_EQ_I64(us_tensor_count(&r.out[1].t), 6);
    op_close(&r);
}

static const us_test_case cases[] = {US_CASE(test_text__by_hand),
                                     US_CASE(test_loop__grows_a_sequence)};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
