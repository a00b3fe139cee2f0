/* dump_schemas - every operator, version, parameter, type and attribute of our tables as JSON, one schema a line.
 *
 *     dump_schemas >schemas.json
 *
 * schemas.py compares it with the registry of the installed onnx package.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "ir/op.h"

static void print_types(us_dtype_mask set)
{
    const char *sep = "";
    printf("[");
    for (int t = 1; t < US_DTYPE_N; t++)
        if (set & ((us_dtype_mask)1 << t)) {
            printf("%s\"%s\"", sep, us_dtype_get((us_dtype)t)->name);
            sep = ", ";
        }
    printf("]");
}

static void print_params(const char *side, const us_param *p)
{
    const char *sep = "";
    printf(", \"%s\": [", side);
    for (; p && p->name; p++, sep = ", ") {
        printf("%s{\"name\": \"%s\", \"flags\": %d, \"types\": ", sep, p->name, p->flags);
        print_types(p->types);
        printf("}");
    }
    printf("]");
}

/* %.9g is exact for a float; infinities as JSON's readers of Python take them. */
static void print_float(float f)
{
    if (isinf(f))
        printf("%sInfinity", f < 0 ? "-" : "");
    else
        printf("%.9g", (double)f);
}

static void print_default(const us_attr_row *a)
{
    if (a->kind == US_AT_INT)
        printf("%" PRId64, a->def_i);
    else if (a->kind == US_AT_FLOAT)
        print_float(a->def_f);
    else if (a->kind == US_AT_STRING && a->def_s)
        printf("\"%s\"", a->def_s);
    else
        printf("null");
}

static void print_attrs(const us_attr_row *a)
{
    const char *sep = "";
    printf(", \"attrs\": [");
    for (; a && a->name; a++, sep = ", ") {
        printf("%s{\"name\": \"%s\", \"kind\": %d, \"required\": %s, \"default\": ", sep,
               a->name, (int)a->kind, a->required ? "true" : "false");
        print_default(a);
        printf("}");
    }
    printf("]");
}

static void print_arity(const char *side, size_t n, size_t n_min)
{
    printf(", \"n_%s\": [%zu, %" PRId64 "]", side, n_min, n == SIZE_MAX ? -1 : (int64_t)n);
}

static void print_schema(const us_op *op, const us_schema *s)
{
    size_t n_min;
    printf("{\"domain\": \"%s\", \"name\": \"%s\", \"since\": %d", op->domain, op->name,
           s->since);
    size_t n = us_schema_n_in(s, &n_min);
    print_arity("in", n, n_min);
    n = us_schema_n_out(s, &n_min);
    print_arity("out", n, n_min);
    print_params("in", s->in);
    print_params("out", s->out);
    print_attrs(s->attrs);
    printf("}");
}

int main(void)
{
    const char *sep = "";
    printf("[");
    for (int id = US_OP_NONE + 1; id < US_OP_N; id++) {
        const us_op *op = us_op_get((us_op_id)id);
        if (op->flags & US_OP_INTERNAL) continue;
        for (const us_schema *s = op->schemas; s->since; s++, sep = ",") {
            printf("%s\n", sep);
            print_schema(op, s);
        }
    }
    printf("\n]\n");
    return 0;
}
