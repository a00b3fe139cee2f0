/* The digits of examples/digits: an mlp reaches 96 % on rows it never saw, and beats the line it is compared with, or says that it
 * does not. Every seventh row is for testing, the one after it for validation. */
#include "train_fixture.h"

#include "data/csv.h"

#define D 64

typedef struct parts {
    float *x[3];
    int32_t *cls[3];
    size_t n[3];
} parts;

static double number(const us_column *k, size_t i)
{
    return k->type == US_COL_I64 ? (double)((const int64_t *)k->data)[i]
                                 : ((const double *)k->data)[i];
}

static void read_digits(trial *t, parts *p)
{
    char path[1024];
    us_table *table;
    us_test_source(path, sizeof path, "examples/digits/digits.csv.gz");
    CHECK_OK(&t->c, us_csv_read(&t->c, path, NULL, &table, NULL));
    CHECK_EQ_U64(table->n_cols, D + 1);
    for (int s = 0; s < 3; s++) {
        p->x[s] = us_new_n(t->a, float, table->n_rows *D);
        p->cls[s] = us_new_n(t->a, int32_t, table->n_rows);
        CHECK(p->x[s] && p->cls[s]);
    }
    for (size_t i = 0; i < table->n_rows; i++) {
        int s = i % 7 == 0 ? 2 : i % 7 == 1 ? 1 : 0;
        for (size_t f = 0; f < D; f++)
            p->x[s][p->n[s] * D + f] = (float)(number(&table->cols[f], i) / 8 - 1);
        p->cls[s][p->n[s]++] = (int32_t)number(&table->cols[D], i);
    }
    us_table_free(table);
}

static void test_digits__96_percent(void)
{
    trial t;
    parts p = {0};
    trial_begin(&t, US_TASK_CLASSES, D, 10);
    read_digits(&t, &p);
    t.d.train = (us_train_rows){.n = p.n[0], .x = p.x[0], .cls = p.cls[0]};
    t.d.valid = (us_train_rows){.n = p.n[1], .x = p.x[1], .cls = p.cls[1]};
    t.o.patience = 10;
    t.h.no_baselines = false;
    trial_run(&t);
    us_train_rows test = {.n = p.n[2], .x = p.x[2], .cls = p.cls[2]};
    float *prob = us_new_n(t.a, float, test.n * 10);
    us_train_metrics m;
    CHECK(prob != NULL);
    CHECK_OK(&t.c, us_net_predict(&t.c, &t.r.net, test.n, test.x, prob));
    CHECK_OK(&t.c, us_train_measure(&t.c, US_TASK_CLASSES, 10, &test, prob, &m));
    printf("# test accuracy %.4f, validation %.4f, epoch %zu of %zu, %.0f steps/s\n# %s\n",
           m.accuracy, t.r.valid.accuracy, t.r.best_epoch, t.r.n_epochs, t.r.steps_per_second,
           t.r.verdict);
    CHECK(m.accuracy >= 0.96);
    CHECK(t.r.baselines[0].beaten);
    trial_end(&t);
}

int main(int argc, char **argv)
{
    static const us_test_case cases[] = {US_CASE(test_digits__96_percent)};
    return us_test_main(cases, US_LEN(cases), argc, argv);
}
