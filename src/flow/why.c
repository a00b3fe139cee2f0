/* flow/why.c - what changed since a stage last ran: the answer of `usta status`. */
#include <string.h>

#include "flow/stage.h"

#define MOST 3 /* differences named; the rest is counted */

typedef struct diff {
    us_buf b;
    size_t n;
} diff;

static void begin(diff *d)
{
    d->n++;
    if (d->n > 1 && d->n <= MOST) us_buf_adds(&d->b, ", ");
}

static us_err add_value(us_ctx *c, us_buf *b, const json_t *v)
{
    if (!v) {
        us_buf_adds(b, "unset");
        return US_OK;
    }
    if (json_is_string(v)) {
        us_buf_adds(b, json_string_value(v));
        return US_OK;
    }
    return us_json_print(c, v, b);
}

/* Objects are gone through key by key; everything else is one value. */
static us_err compare(us_ctx *c, us_arena *a, diff *d, const char *path, const json_t *was,
                      const json_t *now)
{
    if (json_equal(was, now)) return US_OK;
    if (!json_is_object(was) || !json_is_object(now)) {
        begin(d);
        if (d->n > MOST) return US_OK;
        us_buf_addf(&d->b, "%s ", path);
        US_TRY(add_value(c, &d->b, was));
        us_buf_adds(&d->b, " -> ");
        return add_value(c, &d->b, now);
    }
    for (int side = 0; side < 2; side++) {
        json_t *obj = json_incref((json_t *)(uintptr_t)(side ? now : was));
        us_err e = US_OK;
        for (void *it = json_object_iter(obj); it && e == US_OK;
             it = json_object_iter_next(obj, it)) {
            const char *key = json_object_iter_key(it);
            if (side && json_object_get(was, key)) continue; /* seen from the other side */
            char *sub = us_str_printf(a, "%s%s%s", path, path[0] ? "." : "", key);
            e = sub ? compare(c, a, d, sub, json_object_get(was, key),
                              json_object_get(now, key))
                    : us_arena_fail(c, a);
        }
        json_decref(obj);
        US_TRY(e);
    }
    return US_OK;
}

static void compare_inputs(diff *d, const us_stage_rec *was, const us_io *in, size_t n_in)
{
    for (size_t i = 0; i < n_in; i++) {
        const us_hash *before = NULL;
        for (size_t k = 0; k < was->n_in; k++)
            if (strcmp(was->in[k].name, in[i].name) == 0) before = &was->in[k].hash;
        if (before && us_hash_eq(before, &in[i].hash)) continue;
        begin(d);
        if (d->n <= MOST)
            us_buf_addf(&d->b, "%s %s", in[i].name, before ? "changed" : "is new");
    }
    for (size_t k = 0; k < was->n_in; k++) {
        bool still = false;
        for (size_t i = 0; i < n_in; i++)
            still = still || strcmp(was->in[k].name, in[i].name) == 0;
        if (still) continue;
        begin(d);
        if (d->n <= MOST) us_buf_addf(&d->b, "%s is no longer used", was->in[k].name);
    }
}

us_err us_flow_why(us_flow *f, const us_stage *st, const json_t *config, const us_io *in,
                   size_t n_in, const char **out)
{
    us_stage_rec was;
    us_err e = us_store_current_stage(f->s, f->c, f->a, st->name, &was);
    if (e == US_NOTFOUND) {
        *out = "never finished";
        return US_OK;
    }
    US_TRY(e);
    diff d = {.n = 0};
    us_buf_init(&d.b, f->c, (size_t)1 << 20);
    if (strcmp(was.program, US_VERSION) != 0) {
        begin(&d);
        us_buf_addf(&d.b, "program %s -> %s", was.program, US_VERSION);
    }
    US_GO(compare(f->c, f->a, &d, "", was.config, config));
    compare_inputs(&d, &was, in, n_in);
    if (d.n > MOST) us_buf_addf(&d.b, " and %zu more", d.n - MOST);
    if (!d.n) us_buf_adds(&d.b, "the stage itself has a new version");
    US_GO(us_buf_check(&d.b));
    *out = us_str_dup(f->a, us_buf_sv(&d.b));
    if (!*out) e = us_arena_fail(f->c, f->a);
out:
    us_buf_deinit(&d.b);
    return e;
}
