/* Options: the table's defaults, and what is refused with which words. */
#include "us_test.h"

#include "train/opts.h"

static void refused(us_train_opts *o, const char *word)
{
    us_ctx c;
    us_ctx_init(&c);
    CHECK_ERR(us_train_opts_check(&c, o), US_ARG);
    if (!strstr(c.diag.text, word)) US_TEST_FAIL("'%s' does not name '%s'", c.diag.text, word);
    us_ctx_deinit(&c);
}

static us_train_opts defaults(void)
{
    us_ctx c;
    us_train_opts o;
    us_ctx_init(&c);
    CHECK_OK(&c, us_train_opts_default(&c, &o));
    us_ctx_deinit(&c);
    return o;
}

static void test_opts__defaults(void)
{
    us_train_opts o = defaults();
    us_ctx c;
    us_ctx_init(&c);
    CHECK_EQ_I64(o.family, US_FAMILY_MLP);
    CHECK(o.n_hidden >= 1);
    CHECK(o.lr > 0);
    CHECK_OK(&c, us_train_opts_check(&c, &o));
    us_ctx_deinit(&c);
}

static void test_opts__out_of_range(void)
{
    us_train_opts o = defaults();
    o.lr = -1;
    refused(&o, "train.lr");
    o = defaults();
    o.lr = (double)NAN;
    refused(&o, "train.lr");
    o = defaults();
    o.batch = 0;
    refused(&o, "train.batch");
    o = defaults();
    o.epochs = 0;
    refused(&o, "train.epochs");
    o = defaults();
    o.dropout = 1;
    refused(&o, "model.dropout");
    o = defaults();
    o.momentum = 1;
    refused(&o, "train.momentum");
    o = defaults();
    o.hidden[0] = 0;
    refused(&o, "model.hidden");
    o = defaults();
    o.n_hidden = 0;
    refused(&o, "model.hidden");
    o = defaults();
    o.n_hidden = US_TRAIN_MAX_HIDDEN + 1;
    refused(&o, "model.hidden");
}

static void test_opts__combinations(void)
{
    us_train_opts o = defaults();
    o.optim = US_OPTIM_EXACT;
    refused(&o, "exact");
    o = defaults();
    o.family = US_FAMILY_LINEAR;
    o.label_smoothing = 0.1;
    refused(&o, "label_smoothing");
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {
        US_CASE(test_opts__defaults),
        US_CASE(test_opts__out_of_range),
        US_CASE(test_opts__combinations),
    };
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
