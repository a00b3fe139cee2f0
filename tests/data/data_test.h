/* data_test.h - what the tests of src/data share: a context, tables from literal CSV. */
#ifndef DATA_TEST_H
#define DATA_TEST_H

#include "us_test.h"

#include "data/csv.h"
#include "data/table.h"

typedef struct env {
    us_ctx c;
    us_arena *a;
} env;

static inline env env_open(void)
{
    env e;
    us_ctx_init(&e.c);
    if (us_arena_new(&e.c, "test", (size_t)1 << 32, &e.a) != US_OK) abort();
    return e;
}

static inline void env_close(env *e)
{
    us_arena_free(e->a);
    us_ctx_deinit(&e->c);
}

static inline us_table *parse_ok(env *e, const char *text, const us_csv_opts *o)
{
    us_table *t = NULL;
    CHECK_OK(&e->c, us_csv_parse(&e->c, "t.csv", us_sv_of(text), o, &t, NULL));
    return t;
}

static inline const us_column *col_of(const us_table *t, const char *name)
{
    const us_column *k = us_table_find(t, us_sv_of(name));
    if (!k) US_TEST_FAIL("no column %s", name);
    return k;
}

static inline void check_str(const us_column *k, size_t i, const char *want)
{
    char got[256];
    CHECK_EQ_I64(k->type, US_COL_STR);
    us_sv s = us_col_str(k, i);
    snprintf(got, sizeof got, "%.*s", (int)s.n, s.p);
    CHECK_EQ_STR(got, want);
}

static inline bool said(const env *e, const char *what)
{
    if (strstr(e->c.diag.text, what)) return true;
    printf("# the message was: %s\n", e->c.diag.text);
    return false;
}

#endif
