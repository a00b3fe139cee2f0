/* test_core - the core set is written down: ir/core.def against ir/ops.def and the functions of the standard. */
#include "us_test.h"

#include "ir/op.h"
#include "onnx_functions.h"

/* A sentence short enough for a row of a table says something, and a kind alone does not. */
enum { LEAST_REASON = 5, LONGEST_REASON = 240 };

static bool in_standard_a_function(const us_op *op)
{
    if (op->domain[0] && strcmp(op->domain, "ai.onnx.preview") != 0) return false;
    for (size_t i = 0; i < US_LEN(onnx_functions); i++)
        if (strcmp(onnx_functions[i], op->name) == 0) return true;
    return false;
}

static void test_core__every_core_row_has_a_reason_and_no_composite(void)
{
    size_t bad = 0;
    for (int id = 1; id < US_OP_N; id++) {
        const us_op *op = us_op_get((us_op_id)id);
        const char *reason;
        us_core_kind kind = us_op_why(op, &reason);
        size_t n = strlen(reason);
        if (op->expand && kind != US_WHY_NONE) {
            printf("# %s is a composite: its line in src/ir/core.def must go\n", op->name);
            bad++;
        } else if (!op->expand &&
                   (kind == US_WHY_NONE || n < LEAST_REASON || n > LONGEST_REASON)) {
            printf("# %s is core: it needs a line with a reason in src/ir/core.def\n",
                   op->name);
            bad++;
        }
    }
    CHECK(bad == 0);
}

static void test_core__functions_of_the_standard_are_not_primitive(void)
{
    size_t bad = 0, n = 0;
    for (int id = 1; id < US_OP_N; id++) {
        const us_op *op = us_op_get((us_op_id)id);
        if (!in_standard_a_function(op)) continue;
        n++;
        if (us_op_why(op, NULL) != US_WHY_PRIMITIVE) continue;
        printf("# %s: ONNX defines it by other operators, so it is not PRIMITIVE\n", op->name);
        bad++;
    }
    CHECK(bad == 0);
    CHECK_EQ_U64(n, US_LEN(onnx_functions)); /* all of them have rows */
}

static const us_test_case cases[] = {
    US_CASE(test_core__every_core_row_has_a_reason_and_no_composite),
    US_CASE(test_core__functions_of_the_standard_are_not_primitive),
};
int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
