/* operators_doc - docs/operators.md out of the tables.
 *
 *     operators_doc COUNTS_1.12 COUNTS_1.23 NO_GRADIENT COVERED >docs/operators.md
 *
 * COUNTS_*: what `conformance --counts` wrote for the two sets. NO_GRADIENT: a line US_NO_GRAD(prefix) for each operator said to
 * have none. COVERED: lines `domain name file` for operators without official cases. tools/operators-doc makes them all. Exit
 * status 1: an operator has neither an official case nor a test of its own (asked only when COUNTS_1.23 holds something).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grad/grad_table.h"

/* The front of an operator's functions. */
static const char *const prefixes[US_OP_N] = {
    [US_OP_NONE] = "",
#define US_CORE(id, domain, name, flags, fn)      [US_OP_##id] = #fn,
#define US_COMPOSITE(id, domain, name, flags, fn) [US_OP_##id] = #fn,
#include "ir/ops.def"
#undef US_CORE
#undef US_COMPOSITE
};

static const us_op_id direct[] = {
#define DIRECT(id, fn) US_OP_##id,
    US_GRAD_DIRECT(DIRECT)
#undef DIRECT
};

enum { N_TEXTS = 4, TEXT_MAX = 1 << 20, NAME_MAX_LEN = 128 };
static char texts[N_TEXTS][TEXT_MAX]; /* each begins and ends with a line feed */

static bool load(const char *path, char *text)
{
    FILE *f = fopen(path, "r");
    if (!f) return false;
    text[0] = '\n';
    size_t n = fread(text + 1, 1, TEXT_MAX - 3, f);
    text[n + 1] = '\n';
    text[n + 2] = 0;
    return fclose(f) == 0;
}

static const char *domain_of(const us_op *op)
{
    return op->domain[0] ? op->domain : "ai.onnx";
}

/* What follows "domain name " on its line; NULL when there is none. */
static const char *line_of(const us_op *op, const char *text)
{
    char key[NAME_MAX_LEN];
    (void)snprintf(key, sizeof key, "\n%s %s ", domain_of(op), op->name);
    const char *p = strstr(text, key);
    return p ? p + strlen(key) : NULL;
}

/* Sets of types by words, the largest first; what is left is named one by one. */
typedef struct type_word {
    us_dtype_mask set;
    const char *word;
} type_word;
static const type_word words[] = {
    {US_M_ALL, "all"},         {US_M_NUM, "numbers"},         {US_M_FLOATS, "floats"},
    {US_M_INTS, "integers"},   {US_M_SMALLF, "small floats"}, {US_M_SMALLI, "small integers"},
    {US_M_COMPLEX, "complex"},
};

static void print_types(us_dtype_mask set, char *out, size_t n_out)
{
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < US_LEN(words); i++) {
        if ((set & words[i].set) != words[i].set) continue;
        set &= ~words[i].set;
        n += (size_t)snprintf(out + n, n_out - n, "%s%s", n ? ", " : "", words[i].word);
    }
    for (int t = 1; t < US_DTYPE_N; t++)
        if (set & ((us_dtype_mask)1 << t))
            n += (size_t)snprintf(out + n, n_out - n, "%s%s", n ? ", " : "",
                                  us_dtype_get((us_dtype)t)->name);
}

static void print_param(const us_param *p, char *out, size_t n_out)
{
    char types[512];
    const char *kind = "";
    if (p->flags & US_P_SEQ) kind = "sequence of ";
    if (p->flags & US_P_OPT) kind = "optional of ";
    if (p->flags & US_P_MAP) kind = "map of ";
    print_types(p->types, types, sizeof types);
    (void)snprintf(out, n_out, "%s%s", kind, types);
}

/* "T: floats; I: int64": a variable once; parameters with a type of their own by name. */
static void print_signature(const us_schema *s)
{
    char last[600] = "", text[600];
    const us_param *sides[2] = {s->in, s->out};
    const char *sep = "";
    us_dtype_mask seen[256] = {0};
    for (int side = 0; side < 2; side++)
        for (const us_param *p = sides[side]; p && p->name; p++) {
            uint8_t v = (uint8_t)p->var;
            bool letter = v >= 'A';
            if (v && seen[v] == p->types) continue;
            seen[v] = p->types;
            print_param(p, text, sizeof text);
            if (!v && strcmp(text, last) == 0) continue;
            (void)snprintf(last, sizeof last, "%s", v ? "" : text);
            if (letter)
                printf("%s%c: %s", sep, p->var, text);
            else
                printf("%s%s: %s", sep, p->name, text);
            sep = "; ";
        }
}

static const char *gradient_of(us_op_id id)
{
    char key[NAME_MAX_LEN];
    const us_op *op = us_op_get(id);
    for (size_t i = 0; i < US_LEN(direct); i++)
        if (direct[i] == id) return "yes";
    if (op->expand) return "parts";
    (void)snprintf(key, sizeof key, "\nUS_NO_GRAD(%s)", prefixes[id]);
    return strstr(texts[2], key) ? "no" : "yes";
}

static void print_count(const char *line)
{
    long n[3] = {0};
    char *end;
    for (int i = 0; line && i < 3; i++) {
        n[i] = strtol(line, &end, 10);
        line = end;
    }
    printf(" %ld", n[0]);
    if (n[1]) printf(", %ld failed", n[1]);
    if (n[2]) printf(", %ld unsupported", n[2]);
    printf(" |");
}

static bool print_row(us_op_id id)
{
    static const char *const kinds[] = {
#define X(name, meaning) #name,
        US_CORE_KINDS(X)
#undef X
    };
    const us_op *op = us_op_get(id);
    const char *reason;
    us_core_kind kind = us_op_why(op, &reason);
    printf("| %s |", op->name);
    const char *sep = " ";
    for (const us_schema *s = op->schemas; s->since; s++, sep = ", ")
        printf("%s%d", sep, s->since);
    printf(" | ");
    print_signature(us_op_current(op));
    if (op->expand)
        printf(" | composite |");
    else
        printf(" | core, %s: %s |", kinds[kind], reason);
    printf(" %s |", gradient_of(id));
    const char *covered = line_of(op, texts[3]);
    bool official = line_of(op, texts[0]) || line_of(op, texts[1]);
    if (official)
        printf(" official |");
    else
        printf(" %.*s |", covered ? (int)strcspn(covered, "\n") : 4,
               covered ? covered : "none");
    print_count(line_of(op, texts[0]));
    print_count(line_of(op, texts[1]));
    printf("\n");
    return official || covered;
}

/* Operators that passes make for a plan are nobody's business but the plan's. */
static bool is_of_files(const us_op *op)
{
    return !(op->flags & US_OP_INTERNAL);
}

static size_t n_of_files(void)
{
    size_t n = 0;
    for (int id = 1; id < US_OP_N; id++)
        n += is_of_files(us_op_get((us_op_id)id));
    return n;
}

static void print_head(void)
{
    size_t n_core = 0, n_all = n_of_files();
    for (int id = 1; id < US_OP_N; id++)
        n_core +=
            is_of_files(us_op_get((us_op_id)id)) && us_op_get((us_op_id)id)->expand == NULL;
    printf("# Operators\n\n"
           "<!-- Made by `make docs` from src/ir/ops.def, the schemas, src/ir/core.def, "
           "src/grad and "
           "the official cases; do not edit. -->\n\n"
           "%zu operators, %zu of them core. A *composite* is written with others and is "
           "expanded where a consumer wants only core ones; a *core* operator has the reason "
           "why it "
           "is none. Each has a reference kernel that defines what it means, composites as "
           "well.\n\n",
           n_all, n_core);
    printf(
        "* **Versions**: of the operator's domain, in which its form or types changed; a model "
        "of "
        "any opset from the first on runs. What the standard leaves open: "
        "[onnx-notes.md](onnx-notes.md).\n"
        "* **Types**: of the current version, by type variable or by parameter. *floats*: "
        "float, double, "
        "float16, bfloat16. *integers*: of 8 to 64 bits with and without sign. *numbers*: "
        "both. "
        "*small floats*: of 8 and 4 bits. *small integers*: of 4 and 2 bits. *all*: these, "
        "bool, string, complex.\n"
        "* **Gradient**: *yes*, by a rule of its own; *parts*, if all that its expansion is "
        "made "
        "of have one; *no*.\n"
        "* **Tests**: the official cases, or what tests an operator that has none "
        "(`tests/ops` compares with ONNX Runtime). **1.12**, **1.23**: official cases of these "
        "versions of ONNX in whose models it stands and which passed (`make conformance`).\n\n"
        "Why an operator is core:\n\n");
#define X(name, meaning)                                                                       \
    if (US_WHY_##name != US_WHY_NONE) printf("* **%s**: %s\n", #name, meaning);
    US_CORE_KINDS(X)
#undef X
}

int main(int argc, char **argv)
{
    bool ok = argc == N_TEXTS + 1;
    for (int i = 1; ok && i < argc; i++)
        ok = load(argv[i], texts[i - 1]);
    if (!ok) {
        (void)fprintf(stderr, "operators_doc: four readable files are wanted\n");
        return 2;
    }
    const bool with_1_23 = texts[1][strspn(texts[1], "\n")] != '\0';
    print_head();
    static const char *const domains[] = {"", "ai.onnx.ml", "ai.onnx.preview",
                                          "ai.onnx.preview.training", "com.microsoft"};
    size_t n_printed = 0;
    for (size_t d = 0; d < US_LEN(domains); d++) {
        printf("\n## %s\n\n| operator | versions | types | core or composite | gradient | "
               "tests | 1.12 | "
               "1.23 |\n|---|---|---|---|---|---|---|---|\n",
               d ? domains[d] : "ai.onnx");
        /* By name: the table of a reader, where ops.def goes by kind. */
        const char *last = "";
        for (;;) {
            us_op_id next = US_OP_NONE;
            for (int id = 1; id < US_OP_N; id++) {
                const us_op *op = us_op_get((us_op_id)id);
                if (strcmp(op->domain, domains[d]) != 0 || strcmp(op->name, last) <= 0)
                    continue;
                if (next == US_OP_NONE || strcmp(op->name, us_op_get(next)->name) < 0)
                    next = (us_op_id)id;
            }
            if (next == US_OP_NONE) break;
            last = us_op_get(next)->name;
            n_printed++;
            if (print_row(next) || !with_1_23) continue;
            (void)fprintf(stderr, "operators_doc: nothing tests %s %s\n", domains[d], last);
            ok = false;
        }
    }
    if (n_printed != n_of_files()) {
        (void)fprintf(stderr, "operators_doc: a domain of ops.def is missing here\n");
        ok = false;
    }
    return ok ? 0 : 1;
}
