/* test_check.c - findings of the checker on small files (the seeds of its fuzz target): which rule, where, and all of them. The
 * comparison with the onnx package is tests/e2e/t1107-check.sh. */
#include "base/file.h"
#include "check/check.h"
#include "us_test.h"
#include "us_torture.h"

static us_err check_seed(us_ctx *c, const char *name, us_check_report **out)
{
    char path[512];
    snprintf(path, sizeof path, "%s/fuzz/seeds/check/%s", US_TEST_SOURCE_ROOT, name);
    return us_check_file(c, path, out);
}

static size_t count(const us_check_report *r, us_rule rule)
{
    size_t n = 0;
    for (size_t i = 0; i < r->found.n; i++)
        n += r->found.at[i].rule == rule;
    return n;
}

static void test_check__rules(void)
{
    static const struct {
        const char *seed;
        us_rule rule;
    } rows[] = {
        {"adam_types.onnx", US_RULE_OPERAND},
        {"attention_past.onnx", US_RULE_INFERENCE},
        {"batchnorm_two_outputs.onnx", US_RULE_ARITY},
        {"constant_two_values.onnx", US_RULE_ATTR_REQUIRED},
        {"constantofshape_rank.onnx", US_RULE_INFERENCE},
        {"dup_init.onnx", US_RULE_SINGLE},
        {"expand_other_dim.onnx", US_RULE_INFERENCE},
        {"erase_from_tensor.onnx", US_RULE_OPERAND},
        {"external_missing.onnx", US_RULE_EXTERNAL},
        {"fn_recursive.onnx", US_RULE_RECURSION},
        {"fn_recursive_2.onnx", US_RULE_RECURSION},
        {"gru_hidden_size.onnx", US_RULE_INFERENCE},
        {"if_shadow_outer_input.onnx", US_RULE_SINGLE},
        {"init_two_fields.onnx", US_RULE_TENSOR_FIELD},
        {"labelencoder_no_values.onnx", US_RULE_ATTR_REQUIRED},
        {"list_with_gap.onnx", US_RULE_REQUIRED},
        {"loop_condition.onnx", US_RULE_INFERENCE},
        {"metadata_dup.onnx", US_RULE_METADATA},
        {"resize_without_size.onnx", US_RULE_REQUIRED},
        {"sparse_unsorted.onnx", US_RULE_SPARSE},
        {"split_count.onnx", US_RULE_INFERENCE},
        {"upsample10.onnx", US_RULE_DEPRECATED},
        {"value_info_wrong_type.onnx", US_RULE_INFERENCE},
        {"xor1_broadcast.onnx", US_RULE_INFERENCE},
    };
    us_ctx c;
    us_ctx_init(&c);
    for (size_t i = 0; i < US_LEN(rows); i++) {
        us_check_report *r = NULL;
        CHECK_OK(&c, check_seed(&c, rows[i].seed, &r));
        if (!count(r, rows[i].rule))
            US_TEST_FAIL("%s: no finding of %s", rows[i].seed, us_rule_get(rows[i].rule)->name);
        CHECK(r->n_errors > 0);
        us_check_free(r);
    }
    us_ctx_deinit(&c);
}

static void test_check__clean(void)
{
    static const char *const seeds[] = {"if_good.onnx", "fn_ref_attr.onnx",
                                        "loop_input_shadow.onnx", "dropout7_mask.onnx"};
    us_ctx c;
    us_ctx_init(&c);
    for (size_t i = 0; i < US_LEN(seeds); i++) {
        us_check_report *r = NULL;
        CHECK_OK(&c, check_seed(&c, seeds[i], &r));
        CHECK_EQ_U64(r->n_errors, 0);
        CHECK(r->inferred && r->complete);
        us_check_free(r);
    }
    us_ctx_deinit(&c);
}

static void test_check__place(void)
{
    us_ctx c;
    us_check_report *r = NULL;
    us_ctx_init(&c);
    CHECK_OK(&c, check_seed(&c, "upsample10.onnx", &r));
    for (size_t i = 0; i < r->found.n; i++) {
        if (r->found.at[i].rule != US_RULE_DEPRECATED) continue;
        CHECK(us_sv_is(r->found.at[i].op_type, "Upsample"));
        CHECK(us_sv_is(r->found.at[i].graph, "g"));
        CHECK(r->found.at[i].offset > 0);
    }
    us_check_free(r);
    us_ctx_deinit(&c);
}

/* What many nodes do wrong for one reason is said once, for the first of them, with their number. */
static void test_check__one_finding_per_cause(void)
{
    us_ctx c;
    us_check_report *r = NULL;
    us_ctx_init(&c);
    CHECK_OK(&c, check_seed(&c, "no_import_many.onnx", &r));
    CHECK_EQ_U64(count(r, US_RULE_OPSET_IMPORT), 1);
    CHECK_EQ_U64(count(r, US_RULE_OPERATOR), 1);
    CHECK_EQ_U64(r->n_errors, 2);
    for (size_t i = 0; i < r->found.n; i++) {
        const us_finding *f = &r->found.at[i];
        if (f->rule == US_RULE_OPSET_IMPORT)
            CHECK(strstr(f->text, "(the same for 2 more nodes)"));
        if (f->rule == US_RULE_OPERATOR) CHECK(strstr(f->text, "(the same for 1 more node)"));
    }
    us_check_free(r);
    us_ctx_deinit(&c);
}

static void test_check__malformed(void)
{
    us_ctx c;
    us_check_report *r = NULL;
    us_ctx_init(&c);
    CHECK_ERR(us_check_bytes(&c, "x", "\x0a\xff", 2, NULL, &r), US_FORMAT);
    CHECK_ERR(us_check_bytes(&c, "x", "", 0, NULL, &r), US_FORMAT);
    CHECK(r == NULL);
    us_ctx_deinit(&c);
}

/* Names of rules are for other programs: there once, in small letters. */
static void test_rules__names(void)
{
    for (int i = 0; i < US_RULE_N; i++) {
        const us_rule_info *a = us_rule_get((us_rule)i);
        CHECK(a->name[0] && a->help[0]);
        CHECK_EQ_U64(strspn(a->name, "abcdefghijklmnopqrstuvwxyz-0123456789"), strlen(a->name));
        for (int j = 0; j < i; j++)
            CHECK(strcmp(a->name, us_rule_get((us_rule)j)->name) != 0);
    }
}

static us_err check_all(us_ctx *c, void *arg)
{
    us_check_report *r = NULL;
    us_err e = check_seed(c, arg, &r);
    us_check_free(r);
    return e;
}

static void test_check__nomem(void)
{
    char good[] = "if_good.onnx", fn[] = "fn_ref_attr.onnx", bad[] = "sparse_unsorted.onnx";
    us_torture("check if", check_all, good);
    us_torture("check function", check_all, fn);
    us_torture("check sparse", check_all, bad);
}

static const us_test_case cases[] = {
    US_CASE(test_check__rules),     US_CASE(test_check__clean),
    US_CASE(test_check__place),     US_CASE(test_check__one_finding_per_cause),
    US_CASE(test_check__malformed), US_CASE(test_rules__names),
    US_CASE(test_check__nomem),
};

int main(int argc, char **argv)
{
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
