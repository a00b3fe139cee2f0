/* ir/op_text.c - strings: StringNormalizer, StringConcat, StringSplit, RegexFullMatch.
 *
 * New strings lie in the dynamic arena. Text is UTF-8. Case changes are those of
 * ir/letters.h (the standard leaves them to the locale).
 */
#include "ir/op_util.h"

#include <string.h>

#include "ir/letters.h"
#include "ir/regex.h"

/* clang-format off */
static const us_param str_in[] = {{"X", '\0', US_M(STRING), 0}, US_PARAM_END};
static const us_param str_out[] = {{"Y", '\0', US_M(STRING), 0}, US_PARAM_END};
static const us_attr_row normalizer_attrs[] = {
    US_AS(us_p_string_normalizer, case_change_action, "case_change_action", "NONE"),
    US_AI(us_p_string_normalizer, is_case_sensitive, "is_case_sensitive", 0),
    US_AS(us_p_string_normalizer, locale, "locale", ""),
    US_ASS(us_p_string_normalizer, stopwords, "stopwords"), US_ATTR_END};
const us_schema string_normalizer_schemas[] = {
    {10, str_in, str_out, normalizer_attrs, sizeof(us_p_string_normalizer), NULL},
    {0}};

static const us_param concat_in[] = {{"X", 'T', US_M(STRING), 0}, {"Y", 'T', US_M(STRING), 0}, US_PARAM_END};
static const us_param concat_out[] = {{"Z", 'T', US_M(STRING), 0}, US_PARAM_END};
const us_schema string_concat_schemas[] = {{20, concat_in, concat_out, NULL, 0, NULL}, {0}};

static const us_param split_out[] = {{"Y", '\0', US_M(STRING), 0}, {"Z", '\0', US_M(I64), 0}, US_PARAM_END};
static const us_attr_row split_attrs[] = {
    US_AS(us_p_string_split, delimiter, "delimiter", ""),
    {.name = "maxsplit", .kind = US_AT_INT, .offset = offsetof(us_p_string_split, maxsplit),
     .has_offset = offsetof(us_p_string_split, has_maxsplit)}, US_ATTR_END};
const us_schema string_split_schemas[] = {{20, str_in, split_out, split_attrs, sizeof(us_p_string_split), NULL}, {0}};

static const us_param match_out[] = {{"Y", '\0', US_M(BOOL), 0}, US_PARAM_END};
static const us_attr_row match_attrs[] = {US_AS(us_p_regex_full_match, pattern, "pattern", ""), US_ATTR_END};
const us_schema regex_full_match_schemas[] = {
    {20, str_in, match_out, match_attrs, sizeof(us_p_regex_full_match), NULL},
    {0}};
/* clang-format on */

static us_err strings_in(us_eval *k, size_t i, us_tensor *x)
{
    US_TRY(us_eval_in_dense(k, i, x));
    return x->dtype == US_STRING ? US_OK : us_eval_no_type(k, x->dtype);
}

static us_err bytes(us_eval *k, size_t n, char **out)
{
    us_arena *a = k->env->dynamic(k->env, k);
    *out = us_new_n(a, char, n ? n : 1);
    return *out ? US_OK : us_arena_fail(k->c, a);
}

/* --- StringNormalizer ------------------------------------------------------------------------------- */

/* Both cases of each letter in the table take the same number of bytes, so the length stays. */
static void copy_case(char *to, us_sv s, bool upper)
{
    for (size_t i = 0; i < s.n; i++) {
        uint32_t a = (uint8_t)s.p[i], b = i + 1 < s.n ? (uint8_t)s.p[i + 1] : 0;
        if (a >= 0xC2 && a <= 0xDF && (b & 0xC0) == 0x80) {
            uint32_t ch = us_change_case((a & 31) << 6 | (b & 63), upper);
            to[i] = (char)(0xC0 | ch >> 6);
            i++;
            to[i] = (char)(0x80 | (ch & 63));
        } else {
            to[i] = a < 128 ? (char)us_change_case(a, upper) : s.p[i];
        }
    }
}

static us_err with_case(us_eval *k, us_sv s, bool upper, us_sv *out)
{
    char *p;
    US_TRY(bytes(k, s.n, &p));
    copy_case(p, s, upper);
    *out = (us_sv){p, s.n};
    return US_OK;
}

static us_err check_normalizer(us_eval *k, const us_tensor *x, bool *change, bool *upper)
{
    const us_p_string_normalizer *p = k->params;
    *upper = us_sv_is(p->case_change_action, "UPPER");
    *change = *upper || us_sv_is(p->case_change_action, "LOWER");
    if (!*change && !us_sv_is(p->case_change_action, "NONE"))
        return us_eval_fail(k, US_ARG, "case_change_action '" US_SV_FMT "'",
                            US_SV_ARG(p->case_change_action));
    if (x->rank != 1 && !(x->rank == 2 && x->dims[0] == 1))
        return us_eval_fail(k, US_SHAPE, "the input is not of shape [C] or [1,C]");
    return US_OK;
}

/* The stop words in a table, in lower case when case does not matter. */
static us_err stop_words(us_eval *k, us_map *stop)
{
    const us_p_string_normalizer *p = k->params;
    us_map_init(stop, k->env->dynamic(k->env, k));
    for (size_t i = 0; i < p->stopwords.n; i++) {
        us_sv s = p->stopwords.p[i];
        if (!p->is_case_sensitive) US_TRY(with_case(k, s, false, &s));
        if (us_map_get(stop, s) == US_MAP_NONE) US_TRY(us_map_put(k->c, stop, s, 1, NULL));
    }
    return US_OK;
}

us_err string_normalizer_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[2] = {US_DIM(1), US_DIM(1)};
    if (!x) return us_infer_out(k, 0, US_STRING, -1, NULL);
    if (x->rank < 1 || x->rank > 2) return us_infer_fail(k, US_SHAPE, "input of another rank");
    US_TRY(us_infer_fresh(k, &d[x->rank - 1]));
    return us_infer_out(k, 0, US_STRING, x->rank, d);
}

us_err string_normalizer_eval(us_eval *k)
{
    const us_p_string_normalizer *p = k->params;
    us_tensor x, *y;
    us_map stop;
    bool change, upper;
    us_sv *kept;
    US_TRY(strings_in(k, 0, &x));
    US_TRY(check_normalizer(k, &x, &change, &upper));
    US_TRY(stop_words(k, &stop));
    int64_t n = us_tensor_count(&x), n_kept = 0;
    US_TRY(us_eval_scratch(k, (size_t)(n + 1) * sizeof *kept, (void **)&kept));
    for (int64_t i = 0; i < n; i++) {
        us_sv s = ((const us_sv *)x.data)[i], key = s;
        if (p->stopwords.n && !p->is_case_sensitive) US_TRY(with_case(k, s, false, &key));
        if (us_map_get(&stop, key) != US_MAP_NONE) continue;
        if (change) US_TRY(with_case(k, s, upper, &s));
        kept[n_kept++] = s;
    }
    if (n_kept == 0) kept[n_kept++] = (us_sv){"", 0}; /* nothing left: one empty string */
    int64_t dims[2] = {1, 1};
    dims[x.rank - 1] = n_kept;
    US_TRY(us_eval_out(k, 0, US_STRING, x.rank, dims, &y));
    memcpy(y->data, kept, (size_t)n_kept * sizeof *kept);
    return US_OK;
}

/* --- StringConcat ------------------------------------------------------------------------------------ */

US_INFER_AS(string_concat, us_infer_broadcast)
us_err string_concat_eval(us_eval *k)
{
    const us_tensor *a, *b;
    us_tensor va, vb, *y;
    int rank;
    int64_t dims[US_MAX_RANK], at = 0;
    US_TRY(us_eval_in(k, 0, &a));
    US_TRY(us_eval_in(k, 1, &b));
    if (a->dtype != US_STRING || b->dtype != US_STRING)
        return us_eval_fail(k, US_ARG, "the inputs are not strings");
    US_TRY(us_dims_broadcast(k->c, a->rank, a->dims, b->rank, b->dims, &rank, dims));
    US_TRY(us_tensor_broadcast_view(k->c, a, rank, dims, &va));
    US_TRY(us_tensor_broadcast_view(k->c, b, rank, dims, &vb));
    US_TRY(us_eval_out(k, 0, US_STRING, rank, dims, &y));
    us_nd_iter it;
    for (us_nd_iter_init(&it, 2, (const us_tensor *[]){&va, &vb}); !it.done;
         us_nd_iter_next(&it))
        for (int64_t i = 0; i < it.inner; i++) {
            us_sv s = ((const us_sv *)va.data)[it.offset[0] + i * it.inner_stride[0]],
                  t = ((const us_sv *)vb.data)[it.offset[1] + i * it.inner_stride[1]];
            char *p;
            US_TRY(bytes(k, s.n + t.n, &p));
            if (s.n) memcpy(p, s.p, s.n);
            if (t.n) memcpy(p + s.n, t.p, t.n);
            ((us_sv *)y->data)[at++] = (us_sv){p, s.n + t.n};
        }
    return US_OK;
}

/* --- StringSplit ------------------------------------------------------------------------------------- */

/* Without a delimiter parts are what blanks part, and there are no empty ones; as Python's str.split. */
typedef struct splitter {
    us_sv delimiter;
    int64_t left; /* splits that may still be done; -1: no limit */
} splitter;

static bool blank(char ch)
{
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

static us_sv from(us_sv s, size_t at)
{
    return (us_sv){s.p + at, s.n - at};
}

static bool next_word(splitter *q, us_sv *rest, us_sv *part)
{
    size_t i = 0, n = 0;
    while (i < rest->n && blank(rest->p[i]))
        i++;
    *rest = from(*rest, i);
    if (rest->n == 0) return false;
    while (n < rest->n && !blank(rest->p[n]))
        n++;
    if (q->left == 0) { /* all the rest, without the blanks at its end */
        n = rest->n;
        while (n && blank(rest->p[n - 1]))
            n--;
        *part = (us_sv){rest->p, n};
        *rest = from(*rest, rest->n);
        return true;
    }
    *part = (us_sv){rest->p, n};
    *rest = from(*rest, n);
    if (q->left > 0) q->left--;
    return true;
}

/* A NULL rest says that the last part has been given. */
static bool next_part(splitter *q, us_sv *rest, us_sv *part)
{
    us_sv d = q->delimiter;
    if (d.n == 0) return next_word(q, rest, part);
    if (!rest->p) return false;
    for (size_t i = 0; q->left != 0 && i + d.n <= rest->n; i++)
        if (memcmp(rest->p + i, d.p, d.n) == 0) {
            *part = (us_sv){rest->p, i};
            *rest = from(*rest, i + d.n);
            if (q->left > 0) q->left--;
            return true;
        }
    *part = *rest;
    rest->p = NULL;
    return true;
}

static splitter start(const us_eval *k, us_sv *s)
{
    const us_p_string_split *p = k->params;
    if (!s->p) s->p = "";
    return (splitter){p->delimiter, p->has_maxsplit ? US_MAX(p->maxsplit, -1) : -1};
}

us_err string_split_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    us_dim d[US_MAX_RANK + 1];
    if (!x) {
        US_TRY(us_infer_out(k, 0, US_STRING, -1, NULL));
        return us_infer_out(k, 1, US_I64, -1, NULL);
    }
    us_copy_dims(d, x);
    US_TRY(us_infer_fresh(k, &d[x->rank]));
    US_TRY(us_infer_out(k, 0, US_STRING, x->rank + 1, d));
    return us_infer_out(k, 1, US_I64, x->rank, d);
}

us_err string_split_eval(us_eval *k)
{
    us_tensor x, *y, *z;
    int64_t dims[US_MAX_RANK], most = 0;
    US_TRY(strings_in(k, 0, &x));
    if (x.rank + 1 > US_MAX_RANK) return us_eval_fail(k, US_SHAPE, "input of rank %d", x.rank);
    US_TRY(us_eval_out(k, 1, US_I64, x.rank, x.dims, &z));
    int64_t n = us_tensor_count(&x);
    for (int64_t i = 0; i < n; i++) {
        us_sv rest = ((const us_sv *)x.data)[i], part;
        splitter q = start(k, &rest);
        int64_t count = 0;
        while (next_part(&q, &rest, &part))
            count++;
        ((int64_t *)z->data)[i] = count;
        most = US_MAX(most, count);
    }
    memcpy(dims, x.dims, sizeof dims);
    dims[x.rank] = most;
    US_TRY(us_eval_out(k, 0, US_STRING, x.rank + 1, dims, &y));
    for (int64_t i = 0; i < n; i++) {
        us_sv rest = ((const us_sv *)x.data)[i], part, *to = (us_sv *)y->data + i * most;
        splitter q = start(k, &rest);
        int64_t j = 0;
        while (next_part(&q, &rest, &part))
            to[j++] = part;
        while (j < most)
            to[j++] = (us_sv){"", 0};
    }
    return US_OK;
}

/* --- RegexFullMatch ---------------------------------------------------------------------------------- */

us_err regex_full_match_infer(us_infer *k)
{
    const us_type *x = us_infer_ranked(k, 0);
    return us_infer_out(k, 0, US_BOOL, x ? x->rank : -1, x ? x->dims : NULL);
}

us_err regex_full_match_eval(us_eval *k)
{
    const us_p_regex_full_match *p = k->params;
    us_tensor x, *y;
    us_regex *r = NULL;
    US_TRY(strings_in(k, 0, &x));
    US_TRY(us_regex_new(k->c, k->env->dynamic(k->env, k), p->pattern, &r));
    US_TRY(us_eval_out(k, 0, US_BOOL, x.rank, x.dims, &y));
    for (int64_t i = 0, n = us_tensor_count(&x); i < n; i++) {
        double n_bytes = (double)((const us_sv *)x.data)[i].n;
        US_TRY(us_ctx_poll(k->c));
        US_TRY(us_eval_work(k, (n_bytes + 1) * (double)(p->pattern.n + 1)));
        ((uint8_t *)y->data)[i] = us_regex_full_match(r, ((const us_sv *)x.data)[i]);
    }
    return US_OK;
}
