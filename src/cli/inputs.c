/* cli/inputs.c - see inputs.h. */
#include "cli/inputs.h"

#include <string.h>

#include "cli/models.h"
#include "cli/tensors.h"
#include "exec/sample.h"

#define DIM_MAX ((int64_t)1 << 40)

/* Sizes that are tried where the model leaves them open: of all axes but the first ones, then of those, too. */
static const int64_t steps[] = {8, 64, 512, 8, 64, 512};
enum { FIRST_TOO = 3, MOST_NAMED = 6 };

/* --- sizes ---------------------------------------------------------------------------------------------- */

static const us_syms *syms_of(const us_inputs *x)
{
    return &us_plan_model(x->p)->syms;
}

/* The symbol that d is; 0: a number, or an expression. */
static us_sym symbol_of(const us_syms *s, us_dim d)
{
    bool is = d.sym && d.mul == 1 && d.add == 0 && s->defs.at[d.sym].op == US_SYM_NAME;
    return is ? d.sym : 0;
}

/* Symbols of the plan's inputs by name, for a message. */
static us_err no_such_dim(const us_inputs *x, const char *name)
{
    const us_syms *s = syms_of(x);
    us_buf b;
    us_buf_init(&b, x->c, 4096);
    for (size_t i = 0; i < us_plan_n_inputs(x->p); i++) {
        const us_type *t = us_plan_input_type(x->p, i);
        for (int32_t d = 0; t->kind == US_KIND_TENSOR && d < t->rank; d++) {
            us_sym y = symbol_of(s, t->dims[d]);
            if (!y || us_sym_made_up(s, y)) continue;
            us_buf_addf(&b, "%s" US_SV_FMT, b.n ? ", " : "", US_SV_ARG(s->names.at[y]));
        }
    }
    us_sv names = us_buf_sv(&b);
    us_err e =
        us_fail(x->c, US_ARG, "--dim %s: no dimension of the inputs has this name%s" US_SV_FMT,
                name, names.n ? "; there are: " : "", US_SV_ARG(names));
    us_buf_deinit(&b);
    return e;
}

static us_err read_dims(us_inputs *x)
{
    const us_textmap *d = &x->args.dims;
    const us_syms *s = syms_of(x);
    for (size_t i = 0; i < d->n; i++) {
        uint32_t at = us_map_get(&s->by_name, us_sv_of(d->key[i]));
        int64_t size;
        if (at == US_MAP_NONE) return no_such_dim(x, d->key[i]);
        if (!us_parse_i64(us_sv_of(d->at[i]), &size) || size < 0 || size > DIM_MAX)
            return us_fail(x->c, US_ARG, "--dim %s=%s: expected a size of 0 to %lld", d->key[i],
                           d->at[i], (long long)DIM_MAX);
        x->sizes[at] = size;
    }
    return US_OK;
}

us_err us_inputs_begin(us_ctx *c, us_arena *a, const us_plan *p, const us_input_args *args,
                       us_inputs *x)
{
    *x = (us_inputs){.c = c, .a = a, .p = p, .args = *args};
    size_t n = us_plan_n_inputs(p), n_syms = syms_of(x)->names.n;
    x->in = us_new_n(a, us_value, n);
    x->have = us_new_n(a, bool, n);
    x->bounds = us_new_n(a, us_bounds, n);
    x->sizes = us_new_n(a, int64_t, n_syms);
    x->open = us_new_n(a, bool, n_syms);
    x->first = us_new_n(a, bool, n_syms);
    if (!x->in || !x->have || !x->bounds || !x->sizes || !x->open || !x->first)
        return us_arena_fail(c, a);
    for (size_t i = 0; i < n_syms; i++)
        x->sizes[i] = -1;
    return read_dims(x);
}

/* Sizes that given inputs have; then those that nobody said. */
static void settle_sizes(us_inputs *x)
{
    const us_syms *s = syms_of(x);
    for (size_t i = 0; i < us_plan_n_inputs(x->p); i++) {
        const us_type *t = us_plan_input_type(x->p, i);
        const us_value *v = &x->in[i];
        bool known = x->have[i] && v->kind == US_KIND_TENSOR && v->t.rank == t->rank;
        for (int32_t d = 0; known && d < t->rank; d++) {
            us_sym y = symbol_of(s, t->dims[d]);
            if (y && x->sizes[y] < 0) x->sizes[y] = v->t.dims[d];
        }
    }
    for (size_t i = 0; i < us_plan_n_inputs(x->p); i++) {
        const us_type *t = us_plan_input_type(x->p, i);
        if (x->have[i] || t->kind != US_KIND_TENSOR) continue;
        for (int32_t d = 0; d < t->rank; d++) {
            us_sym y = symbol_of(s, t->dims[d]);
            if (!y || (x->sizes[y] >= 0 && !x->open[y])) continue;
            x->open[y] = x->any_open = true;
            x->sizes[y] = 1;
            if (d == 0) x->first[y] = true;
        }
    }
}

void us_inputs_print(const us_inputs *x, us_buf *b)
{
    const us_syms *s = syms_of(x);
    size_t n = 0, unnamed = 0;
    for (size_t i = 0; i < s->names.n; i++) {
        if (!x->open[i]) continue;
        if (us_sym_made_up(s, (us_sym)i)) {
            unnamed++;
            continue;
        }
        us_buf_addf(b, "%s" US_SV_FMT "=%lld", n++ ? ", " : "", US_SV_ARG(s->names.at[i]),
                    (long long)x->sizes[i]);
    }
    if (unnamed)
        us_buf_addf(b, "%s%zu dimension%s without a name", n ? ", " : "", unnamed,
                    unnamed == 1 ? "" : "s");
}

/* --- contents ------------------------------------------------------------------------------------------- */

static us_err read_one(us_inputs *x, const char *text)
{
    const char *eq = strchr(text, '=');
    size_t i;
    us_pictures pics;
    if (!eq) return us_fail(x->c, US_ARG, "-i %s: expected NAME=FILE", text);
    us_sv name = {text, (size_t)(eq - text)};
    US_TRY(us_input_find(x->c, x->p, name, &i));
    if (x->have[i]) return us_fail(x->c, US_ARG, "-i %s: this input is given twice", text);
    x->have[i] = true;
    const us_type *type = us_plan_input_type(x->p, i);
    if (!us_pictures_given(eq + 1))
        return us_value_file_read(x->c, x->a, eq + 1, type, &x->in[i]);
    US_TRY(us_pictures_open(x->c, x->a, name, type, eq + 1, x->args.images, &pics));
    if (us_pictures_n_runs(&pics) > 1)
        return us_fail(x->c, US_ARG, "-i %s: pictures for more than one run; give one picture",
                       text);
    return us_pictures_read(x->c, x->a, &pics, 0, &x->in[i]);
}

static bool has_word(us_sv s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.n; i++)
        if (memcmp(s.p + i, word, n) == 0) return true;
    return false;
}

/* Where the graph does not say it, the name may: a mask has ones, a length is not 0. */
static us_bounds bounds_of(const us_inputs *x, size_t i)
{
    us_bounds b = x->bounds[i];
    us_sv name = us_plan_input_name(x->p, i);
    bool asked = b.lo != INT64_MIN || b.hi != INT64_MAX;
    if (!asked && has_word(name, "mask")) return (us_bounds){1, 1};
    if (!asked && has_word(name, "length")) return (us_bounds){1, INT64_MAX};
    return b;
}

static us_err make_one(us_inputs *x, size_t i)
{
    const us_type *t = us_plan_input_type(x->p, i);
    us_sv name = us_plan_input_name(x->p, i);
    us_bounds b = bounds_of(x, i);
    us_dim dims[US_MAX_RANK];
    us_tensor made;
    if (t->kind != US_KIND_TENSOR) {
        us_sample s = {.seed = (uint64_t)x->args.seed, .kind = US_SAMPLE_POSITIVE, .size = 1};
        us_err e = us_sample_value(x->c, x->a, t, &s, i, &x->in[i]);
        return e == US_OK ? e
                          : us_wrap(x->c, e, "input '" US_SV_FMT "' (give it with -i)",
                                    US_SV_ARG(name));
    }
    us_type known = *t;
    for (int32_t d = 0; d < t->rank; d++) {
        int64_t size;
        dims[d] =
            US_DIM(us_dim_eval(syms_of(x), t->dims[d], x->sizes, &size) ? US_MAX(size, 0) : 1);
    }
    known.dims = dims;
    if (b.lo > b.hi) b = (us_bounds){INT64_MIN, INT64_MAX};
    US_TRY(us_tensor_random(x->c, x->a, &known, name, (uint64_t)x->args.seed, i, b.lo, b.hi,
                            &made));
    x->in[i] = us_value_of(&made);
    return US_OK;
}

static us_err make_all(us_inputs *x)
{
    us_arena *scratch;
    US_TRY(us_arena_new(x->c, "bounds of inputs", (size_t)1 << 28, &scratch));
    us_err e = us_plan_bounds(x->c, scratch, x->p, x->sizes, x->bounds);
    us_arena_free(scratch);
    for (size_t i = 0; e == US_OK && i < us_plan_n_inputs(x->p); i++)
        if (!x->have[i]) e = make_one(x, i);
    return e;
}

us_err us_inputs_make(us_inputs *x)
{
    for (size_t i = 0; !x->args.random && i < us_plan_n_inputs(x->p); i++) {
        us_sv name = us_plan_input_name(x->p, i);
        if (!x->have[i])
            return us_fail(x->c, US_ARG,
                           "input '" US_SV_FMT "' is missing: give -i " US_SV_FMT
                           "=FILE.npy, or --random",
                           US_SV_ARG(name), US_SV_ARG(name));
    }
    settle_sizes(x);
    return make_all(x);
}

us_err us_inputs_open(us_ctx *c, us_arena *a, const us_plan *p, const us_input_args *args,
                      us_inputs *x)
{
    US_TRY(us_inputs_begin(c, a, p, args, x));
    for (size_t i = 0; i < args->in.n; i++)
        US_TRY(read_one(x, args->in.at[i]));
    return us_inputs_make(x);
}

/* --- larger ones ------------------------------------------------------------------------------------------ */

us_err us_inputs_larger(us_inputs *x, bool *done)
{
    bool any = false;
    *done = false;
    while (!any && x->step < (int)US_LEN(steps)) {
        int step = x->step++;
        for (size_t i = 0; i < syms_of(x)->names.n; i++) {
            if (!x->open[i] || (x->first[i] && step < FIRST_TOO)) continue;
            x->sizes[i] = steps[step];
            any = true;
        }
    }
    *done = !any;
    return any ? make_all(x) : US_OK;
}

us_err us_inputs_wrap(us_inputs *x, us_err e)
{
    us_buf b;
    size_t n = 0;
    us_diag said = x->c->diag;
    us_buf_init(&b, x->c, 4096);
    for (size_t i = 0; i < us_plan_n_inputs(x->p); i++) {
        us_sv name = us_plan_input_name(x->p, i);
        if (x->have[i]) continue;
        if (n++ < MOST_NAMED) us_buf_addf(&b, " -i " US_SV_FMT "=FILE.npy", US_SV_ARG(name));
    }
    if (n > MOST_NAMED) us_buf_adds(&b, " ...");
    us_sv names = us_buf_sv(&b);
    if (n > 0)
        e = us_fail(
            x->c, e, "%s; the model does not run on what was made up: give" US_SV_FMT "%s",
            said.text, US_SV_ARG(names), x->any_open ? ", or sizes by --dim NAME=SIZE" : "");
    us_buf_deinit(&b);
    return e;
}

us_err us_inputs_run(us_inputs *x, us_session *s, us_value *out)
{
    us_err first = us_session_run(x->c, s, x->in, out);
    if (first == US_OK) return US_OK;
    us_diag said = x->c->diag;
    us_err e = first;
    bool done = false;
    while (e != US_NOMEM && e != US_LIMIT && e != US_BUG) {
        e = us_inputs_larger(x, &done);
        if (done) break;
        if (e == US_OK) e = us_session_run(x->c, s, x->in, out);
        if (e == US_OK) return US_OK;
    }
    x->c->diag = said;
    return us_inputs_wrap(x, first);
}
