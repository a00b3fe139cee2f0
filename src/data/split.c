/* data/split.c - see split.h. */
#include "data/split.h"

#include <math.h>
#include <string.h>

#include "base/crc.h"
#include "base/rng.h"
#include "stats/quantile.h"

static const char *const part_names[] = {"train", "validation", "test", "none"};
/* ORDER us_split_kind */
static const char *const kind_names[] = {"random", "stratified", "time", "group", "column"};

const char *us_part_name(int part)
{
    return part >= 0 && part < 4 ? part_names[part] : "invalid";
}

const char *us_split_kind_name(us_split_kind k)
{
    return (size_t)k < US_LEN(kind_names) ? kind_names[k] : "invalid";
}

bool us_split_kind_find(us_sv name, us_split_kind *out)
{
    for (size_t i = 0; i < US_LEN(kind_names); i++)
        if (us_sv_is(name, kind_names[i])) {
            *out = (us_split_kind)i;
            return true;
        }
    return false;
}

void us_split_defaults(us_split_opts *o)
{
    *o = (us_split_opts){.kind = US_SPLIT_RANDOM, .validation = 0.15, .test = 0.15};
}

typedef struct splitter {
    us_ctx *c;
    us_arena *scratch;
    const us_table *t;
    const us_split_opts *o;
    const us_column *col;
    uint8_t *part;
    size_t n;    /* rows to share out: all but a given test part */
    double test; /* share of n */
    double validation;
} splitter;

/* How many of n rows go to test and validation: rounded, but never none when a share was asked for and rows are left. */
static void shares(const splitter *s, size_t n, size_t *n_valid, size_t *n_test)
{
    size_t t = (size_t)llround(s->test * (double)n),
           v = (size_t)llround(s->validation * (double)n);
    if (t > n) t = n;
    if (v > n - t) v = n - t;
    *n_valid = v;
    *n_test = t;
}

/* rows: in the order in which they are given to test, validation, train. */
static void deal(const splitter *s, const uint32_t *rows, size_t n)
{
    size_t n_valid, n_test;
    shares(s, n, &n_valid, &n_test);
    for (size_t i = 0; i < n; i++)
        s->part[rows[i]] = i < n_test             ? US_PART_TEST
                           : i < n_test + n_valid ? US_PART_VALID
                                                  : US_PART_TRAIN;
}

static us_err rows_of(const splitter *s, uint32_t **rows)
{
    uint32_t *r = us_new_n(s->scratch, uint32_t, US_MAX(s->n, 1));
    if (!r) return us_arena_fail(s->c, s->scratch);
    for (size_t i = 0; i < s->n; i++)
        r[i] = (uint32_t)i;
    *rows = r;
    return US_OK;
}

static us_err split_random(splitter *s)
{
    uint32_t *rows;
    us_rng rng = us_rng_new(s->o->seed, "split", 0);
    US_TRY(rows_of(s, &rows));
    us_rng_shuffle_u32(&rng, rows, s->n);
    deal(s, rows, s->n);
    return US_OK;
}

/* Which group each row belongs to, numbered in order of appearance; missing values are a group of their own. */
static us_err group_rows(const splitter *s, uint32_t **out, size_t *n_groups)
{
    us_map seen;
    us_buf b;
    us_err e = US_OK;
    size_t n = 0;
    uint32_t *g = us_new_n(s->scratch, uint32_t, US_MAX(s->n, 1));
    if (!g) return us_arena_fail(s->c, s->scratch);
    us_map_init(&seen, s->scratch);
    us_buf_init(&b, s->c, (size_t)1 << 25);
    for (size_t i = 0; i < s->n; i++) {
        us_buf_clear(&b);
        us_buf_addc(&b, us_col_valid(s->col, i) ? '=' : '-');
        us_col_print(s->col, i, &b);
        US_GO(us_buf_check(&b));
        uint32_t at = us_map_get(&seen, us_buf_sv(&b));
        if (at == US_MAP_NONE) {
            us_sv key = {0};
            at = (uint32_t)n++;
            US_GO(us_sv_dup(s->c, s->scratch, us_buf_sv(&b), &key));
            US_GO(us_map_put(s->c, &seen, key, at, NULL));
        }
        g[i] = at;
    }
    *out = g;
    *n_groups = n;
out:
    us_buf_deinit(&b);
    return e;
}

/* Rows of each group one after the other (counting sort), start: n_groups + 1. */
static us_err bucket(const splitter *s, const uint32_t *g, size_t n_groups, uint32_t **rows,
                     size_t **start)
{
    size_t *at = us_new_n(s->scratch, size_t, n_groups + 2);
    uint32_t *r = us_new_n(s->scratch, uint32_t, US_MAX(s->n, 1));
    if (!at || !r) return us_arena_fail(s->c, s->scratch);
    for (size_t i = 0; i < s->n; i++)
        at[g[i] + 2]++;
    for (size_t i = 2; i < n_groups + 2; i++)
        at[i] += at[i - 1];
    for (size_t i = 0; i < s->n; i++)
        r[at[g[i] + 1]++] = (uint32_t)i;
    *rows = r;
    *start = at;
    return US_OK;
}

/* Within each class a seeded order; places along the classes laid end to end decide, so that the totals come out right even
 * when a class has one row: row j of a class of m is at (j + u) / m, and the smallest places go to test, then validation. */
static us_err split_stratified(splitter *s)
{
    uint32_t *g, *rows, *order;
    size_t *start, n_groups;
    US_TRY(group_rows(s, &g, &n_groups));
    US_TRY(bucket(s, g, n_groups, &rows, &start));
    double *place = us_new_n(s->scratch, double, US_MAX(s->n, 1));
    uint64_t *key = us_new_n(s->scratch, uint64_t, US_MAX(s->n, 1));
    uint64_t *tmp = us_new_n(s->scratch, uint64_t, US_MAX(s->n, 1));
    uint32_t *tmp_index = us_new_n(s->scratch, uint32_t, US_MAX(s->n, 1));
    if (!place || !key || !tmp || !tmp_index) return us_arena_fail(s->c, s->scratch);
    US_TRY(rows_of(s, &order));
    for (size_t k = 0; k < n_groups; k++) {
        us_rng rng = us_rng_new(s->o->seed, "split", k);
        size_t m = start[k + 1] - start[k];
        uint32_t *r = rows + start[k];
        us_rng_shuffle_u32(&rng, r, m);
        double u = us_rng_f64(&rng);
        for (size_t j = 0; j < m; j++)
            place[r[j]] = ((double)j + u) / (double)m;
    }
    us_sort_index_f64(place, order, s->n, key, tmp, tmp_index);
    deal(s, order, s->n);
    return US_OK;
}

static us_err split_groups(splitter *s)
{
    uint32_t *g, *rows;
    size_t *start, n_groups, n_valid, n_test, done = 0;
    us_rng rng = us_rng_new(s->o->seed, "split", 0);
    US_TRY(group_rows(s, &g, &n_groups));
    US_TRY(bucket(s, g, n_groups, &rows, &start));
    uint32_t *order = us_new_n(s->scratch, uint32_t, US_MAX(n_groups, 1));
    if (!order) return us_arena_fail(s->c, s->scratch);
    for (size_t i = 0; i < n_groups; i++)
        order[i] = (uint32_t)i;
    us_rng_shuffle_u32(&rng, order, n_groups);
    shares(s, s->n, &n_valid, &n_test);
    for (size_t i = 0; i < n_groups; i++) {
        size_t k = order[i], m = start[k + 1] - start[k];
        /* the part whose border lies past the middle of the group takes it whole */
        double mid = (double)done + (double)m / 2;
        uint8_t part = mid < (double)n_test               ? US_PART_TEST
                       : mid < (double)(n_test + n_valid) ? US_PART_VALID
                                                          : US_PART_TRAIN;
        for (size_t j = start[k]; j < start[k + 1]; j++)
            s->part[rows[j]] = part;
        done += m;
    }
    return US_OK;
}

/* Earliest rows train. A border moves forward until the value changes, so equal times stay together. */
static us_err split_time(splitter *s)
{
    double *x = us_new_n(s->scratch, double, US_MAX(s->n, 1));
    uint64_t *key = us_new_n(s->scratch, uint64_t, US_MAX(s->n, 1));
    uint64_t *tmp = us_new_n(s->scratch, uint64_t, US_MAX(s->n, 1));
    uint32_t *order = us_new_n(s->scratch, uint32_t, US_MAX(s->n, 1));
    uint32_t *tmp_index = us_new_n(s->scratch, uint32_t, US_MAX(s->n, 1));
    if (!x || !key || !tmp || !order || !tmp_index) return us_arena_fail(s->c, s->scratch);
    US_TRY(us_col_to_f64(s->c, s->col, NULL, s->n, x));
    for (size_t i = 0; i < s->n; i++)
        if (isnan(x[i]))
            return us_fail(s->c, US_FORMAT,
                           "split by time: column '" US_SV_FMT "' is missing in row %zu",
                           US_SV_ARG(s->col->name), i + 1);
    us_sort_index_f64(x, order, s->n, key, tmp, tmp_index);
    size_t n_valid, n_test;
    shares(s, s->n, &n_valid, &n_test);
    size_t border[2] = {s->n - n_test - n_valid, s->n - n_test};
    for (int b = 0; b < 2; b++)
        while (border[b] > 0 && border[b] < s->n &&
               x[order[border[b]]] == x[order[border[b] - 1]])
            border[b]++;
    for (size_t i = 0; i < s->n; i++)
        s->part[order[i]] = i < border[0]   ? US_PART_TRAIN
                            : i < border[1] ? US_PART_VALID
                                            : US_PART_TEST;
    return US_OK;
}

static us_err split_column(splitter *s)
{
    static const struct {
        const char *name;
        uint8_t part;
    } words[] = {{"train", US_PART_TRAIN},      {"training", US_PART_TRAIN},
                 {"validation", US_PART_VALID}, {"valid", US_PART_VALID},
                 {"val", US_PART_VALID},        {"test", US_PART_TEST},
                 {"testing", US_PART_TEST}};
    if (s->col->type != US_COL_STR)
        return us_fail(s->c, US_ARG, "split column '" US_SV_FMT "' holds %s, expected texts",
                       US_SV_ARG(s->col->name), us_coltype_name(s->col->type));
    for (size_t i = 0; i < s->n; i++) {
        us_sv v = us_col_str(s->col, i);
        size_t w = 0;
        while (w < US_LEN(words) && !us_sv_is(v, words[w].name))
            w++;
        if (w == US_LEN(words) && us_col_valid(s->col, i))
            return us_fail(s->c, US_FORMAT,
                           "split column '" US_SV_FMT "', row %zu: '" US_SV_FMT
                           "', expected train, validation or test",
                           US_SV_ARG(s->col->name), i + 1, US_SV_ARG(v));
        s->part[i] = w == US_LEN(words) ? US_PART_NONE : words[w].part;
    }
    return US_OK;
}

/* ORDER us_split_kind */
static us_err (*const splitters[])(splitter *) = {split_random, split_stratified, split_time,
                                                  split_groups, split_column};

static us_err check(us_ctx *c, const us_table *t, const us_split_opts *o)
{
    if (!(o->validation >= 0) || !(o->test >= 0) || o->validation + o->test >= 1)
        return us_fail(
            c, US_ARG,
            "split: shares validation %g and test %g; each at least 0, the sum under 1",
            o->validation, o->test);
    if (o->n_given_test > t->n_rows)
        return us_fail(c, US_ARG, "split: %zu given test rows of %zu", o->n_given_test,
                       t->n_rows);
    if ((size_t)o->kind >= US_LEN(splitters)) return us_fail(c, US_ARG, "split: unknown kind");
    if (o->kind != US_SPLIT_RANDOM && o->column.n == 0)
        return us_fail(c, US_ARG, "split '%s' needs a column", us_split_kind_name(o->kind));
    if (t->n_rows > UINT32_MAX) return us_fail(c, US_LIMIT, "split: more than 2^32 rows");
    return US_OK;
}

us_err us_split_make(us_ctx *c, us_arena *a, const us_table *t, const us_split_opts *o,
                     us_split *out)
{
    us_split r = {.n_rows = t->n_rows};
    splitter s = {.c = c, .t = t, .o = o, .n = t->n_rows - o->n_given_test};
    us_err e = US_OK;
    US_TRY(check(c, t, o));
    if (o->kind != US_SPLIT_RANDOM) US_TRY(us_table_get(c, t, o->column, &s.col));
    r.part = us_new_n(a, uint8_t, US_MAX(t->n_rows, 1));
    if (!r.part) return us_arena_fail(c, a);
    s.part = r.part;
    s.test = o->n_given_test ? 0 : o->test;
    s.validation = o->validation;
    US_TRY(us_arena_new(c, "split", US_TABLE_CAP, &s.scratch));
    US_GO(splitters[o->kind](&s));
    memset(r.part + s.n, US_PART_TEST, o->n_given_test);
    for (size_t i = 0; i < r.n_rows; i++)
        r.counts[r.part[i]]++;
    if (r.counts[US_PART_TRAIN] == 0) {
        e = us_fail(c, US_ARG, "split '%s' of %zu rows leaves no row to train on",
                    us_split_kind_name(o->kind), r.n_rows);
        goto out;
    }
    *out = r;
out:
    us_arena_free(s.scratch);
    return e;
}

us_err us_split_rows(us_ctx *c, us_arena *a, const us_split *s, int part, uint32_t **rows,
                     size_t *n)
{
    size_t k = 0, want = part >= 0 && part < 4 ? s->counts[part] : 0;
    uint32_t *r = us_new_n(a, uint32_t, US_MAX(want, 1));
    if (!r) return us_arena_fail(c, a);
    for (size_t i = 0; i < s->n_rows && k < want; i++)
        if (s->part[i] == part) r[k++] = (uint32_t)i;
    *rows = r;
    *n = k;
    return US_OK;
}

/* --- bytes: "USTASPLT", version, rows, crc, parts ----------------------------------------------------- */

#define MAGIC   "USTASPLT"
#define VERSION 1u
#define HEAD    24

static void put_le(char *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (char)(v >> (8 * i) & 0xFF);
}

static uint64_t get_le(const char *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v |= (uint64_t)(uint8_t)p[i] << (8 * i);
    return v;
}

us_err us_split_print(us_ctx *c, const us_split *s, us_buf *b)
{
    char h[HEAD];
    (void)c;
    memcpy(h, MAGIC, 8);
    put_le(h + 8, VERSION, 4);
    put_le(h + 12, us_crc32c(0, s->part, s->n_rows), 4);
    put_le(h + 16, s->n_rows, 8);
    us_buf_add(b, h, HEAD);
    us_buf_add(b, s->part, s->n_rows);
    return us_buf_check(b);
}

us_err us_split_parse(us_ctx *c, us_arena *a, const char *name, us_sv bytes, us_split *out)
{
    if (bytes.n < HEAD || memcmp(bytes.p, MAGIC, 8) != 0)
        return us_fail(c, US_FORMAT, "%s: not a split file", name);
    if (get_le(bytes.p + 8, 4) != VERSION)
        return us_fail(c, US_FORMAT, "%s: split file of version %llu, this program reads %u",
                       name, (unsigned long long)get_le(bytes.p + 8, 4), VERSION);
    us_split s = {.n_rows = bytes.n - HEAD};
    if (get_le(bytes.p + 16, 8) != s.n_rows ||
        get_le(bytes.p + 12, 4) != us_crc32c(0, bytes.p + HEAD, s.n_rows))
        return us_fail(c, US_FORMAT, "%s: damaged split file (%zu bytes)", name, bytes.n);
    s.part = us_new_n(a, uint8_t, US_MAX(s.n_rows, 1));
    if (!s.part) return us_arena_fail(c, a);
    for (size_t i = 0; i < s.n_rows; i++) {
        s.part[i] = (uint8_t)bytes.p[HEAD + i];
        if (s.part[i] > US_PART_NONE)
            return us_fail(c, US_FORMAT, "%s: row %zu has part %u", name, i + 1, s.part[i]);
        s.counts[s.part[i]]++;
    }
    *out = s;
    return US_OK;
}
