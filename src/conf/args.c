/* conf/args.c - a command line read by tables of options.
 *
 * Options and positionals may be mixed; "--" ends the options. A flag of kind bool takes no value except by '=' and has a twin
 * --no-<key>. A list given twice grows. What is unknown is an error with the nearest known flag.
 */
#include <string.h>

#include "conf/opt.h"

typedef struct parser {
    us_ctx *c;
    us_arena *a;
    const us_opt *const *tables;
    void *const *bases;
    size_t n_tables;
    int argc;
    const char *const *argv;
    int i; /* next argument */
    US_VEC(const char *) pos;
    US_VEC(us_setting) set;
    US_VEC(const us_opt *) seen; /* lists that were given already: the next one appends */
    bool help;
} parser;

static const us_opt *find_key(const parser *p, us_sv key, void **base)
{
    for (size_t t = 0; t < p->n_tables; t++)
        for (const us_opt *r = p->tables[t]; r->kind != US_OPT_END; r++)
            if (us_sv_is(key, r->key)) {
                *base = p->bases[t];
                return r;
            }
    return NULL;
}

static const us_opt *find_letter(const parser *p, char letter, void **base)
{
    for (size_t t = 0; t < p->n_tables; t++)
        for (const us_opt *r = p->tables[t]; r->kind != US_OPT_END; r++)
            if (r->letter == letter && letter) {
                *base = p->bases[t];
                return r;
            }
    return NULL;
}

static us_err unknown(parser *p, us_sv key)
{
    size_t n = 0;
    for (size_t t = 0; t < p->n_tables; t++)
        for (const us_opt *r = p->tables[t]; r->kind != US_OPT_END; r++)
            n++;
    const char **names = us_new_n(p->a, const char *, n + 1);
    if (!names) return us_arena_fail(p->c, p->a);
    n = 0;
    for (size_t t = 0; t < p->n_tables; t++)
        for (const us_opt *r = p->tables[t]; r->kind != US_OPT_END; r++)
            names[n++] = r->key;
    names[n++] = "help";
    const char *near = us_nearest(key, names, n);
    if (near)
        return us_fail(p->c, US_ARG, "unknown option '--" US_SV_FMT "'; did you mean '--%s'?",
                       US_SV_ARG(key), near);
    return us_fail(p->c, US_ARG, "unknown option '--" US_SV_FMT "'; --help lists them",
                   US_SV_ARG(key));
}

static us_err give(parser *p, const us_opt *r, void *base, us_sv value)
{
    bool again = false;
    for (size_t i = 0; i < p->seen.n; i++)
        again = again || p->seen.at[i] == r;
    if (!again) US_TRY(us_vec_push(p->c, p->a, &p->seen, r));
    char *where = us_str_printf(p->a, "option --%s", r->key);
    if (!where) return us_arena_fail(p->c, p->a);
    return us_opt_set_text(p->c, p->a, r, base, value, again, where);
}

static us_err next_value(parser *p, const char *flag, us_sv *value)
{
    if (p->i >= p->argc) return us_fail(p->c, US_ARG, "option '%s' needs a value", flag);
    *value = us_sv_of(p->argv[p->i++]);
    return US_OK;
}

static us_err long_flag(parser *p, const char *arg)
{
    const char *eq = strchr(arg, '=');
    us_sv key = {arg + 2, eq ? (size_t)(eq - arg - 2) : strlen(arg + 2)};
    us_sv value = eq ? us_sv_of(eq + 1) : (us_sv){NULL, 0};
    void *base = NULL;
    const us_opt *r = find_key(p, key, &base);
    if (r) {
        if (!eq && r->kind == US_OPT_BOOL)
            value = US_SV("true");
        else if (!eq)
            US_TRY(next_value(p, arg, &value));
        return give(p, r, base, value);
    }
    if (us_sv_is(key, "help")) {
        p->help = true;
        return US_OK;
    }
    if (us_sv_starts(key, "no-") && !eq) {
        r = find_key(p, (us_sv){key.p + 3, key.n - 3}, &base);
        if (r && r->kind == US_OPT_BOOL) return give(p, r, base, US_SV("false"));
    }
    if (!memchr(key.p, '.', key.n) && !us_sv_is(key, "requirements")) return unknown(p, key);
    if (!eq) US_TRY(next_value(p, arg, &value));
    return us_vec_push(p->c, p->a, &p->set, (us_setting){key, value});
}

static us_err short_flag(parser *p, const char *arg)
{
    for (const char *z = arg + 1; *z; z++) {
        void *base = NULL;
        const us_opt *r = find_letter(p, *z, &base);
        if (!r && *z == 'h') {
            p->help = true;
            continue;
        }
        if (!r) return us_fail(p->c, US_ARG, "unknown option '-%c'; --help lists them", *z);
        if (r->kind == US_OPT_BOOL) {
            US_TRY(give(p, r, base, US_SV("true")));
            continue;
        }
        us_sv value = us_sv_of(z + 1);
        if (!value.n) US_TRY(next_value(p, arg, &value));
        return give(p, r, base, value);
    }
    return US_OK;
}

us_err us_args_parse(us_ctx *c, us_arena *a, const us_opt *const *tables, void *const *bases,
                     size_t n_tables, int argc, const char *const *argv, us_args *out)
{
    parser p = {c, a, tables, bases, n_tables, argc, argv, 0, {0}, {0}, {0}, false};
    bool ended = false;
    while (p.i < argc) {
        const char *arg = argv[p.i++];
        if (ended || arg[0] != '-' || arg[1] == 0)
            US_TRY(us_vec_push(c, a, &p.pos, arg));
        else if (strcmp(arg, "--") == 0)
            ended = true;
        else if (arg[1] == '-')
            US_TRY(long_flag(&p, arg));
        else
            US_TRY(short_flag(&p, arg));
    }
    *out = (us_args){p.pos.at, p.pos.n, p.set.at, p.set.n, p.help};
    return US_OK;
}
