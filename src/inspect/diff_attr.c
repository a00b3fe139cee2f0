/* inspect/diff_attr.c - attributes of nodes: equal, hashed, as text.
 *
 * What a schema says by default needs no attribute, and exporters differ in whether they write it. Rows of schemas know the
 * defaults of numbers and texts; of lists they do not, and the few that exporters write out are in a table here.
 */
#include <string.h>

#include "base/ctx.h"
#include "inspect/diff_in.h"

#define SHOWN 6 /* elements of a list in a text */

static const struct {
    const char *name;
    int64_t all; /* every element, when left out */
} list_defaults[] = {{"pads", 0}, {"strides", 1}, {"dilations", 1}, {"output_padding", 0}};

static bool default_list(const us_attr *a)
{
    for (size_t i = 0; i < US_LEN(list_defaults); i++) {
        if (!us_sv_is(a->name, list_defaults[i].name)) continue;
        for (size_t j = 0; j < a->n; j++)
            if (a->ints[j] != list_defaults[i].all) return false;
        return true;
    }
    return false;
}

bool us_dattr_default(const us_node *n, const us_attr *a)
{
    const us_attr_row *row = n->schema ? n->schema->attrs : NULL;
    while (row && row->name && !us_sv_is(a->name, row->name))
        row++;
    if (!row || !row->name || row->required || row->has_offset || (int)row->kind != a->kind ||
        a->ref.n)
        return false;
    if (a->kind == US_AT_INT) return a->i == row->def_i;
    if (a->kind == US_AT_FLOAT) return memcmp(&a->f, &row->def_f, sizeof a->f) == 0;
    if (a->kind == US_AT_STRING) return row->def_s && us_sv_is(a->s, row->def_s);
    return a->kind == US_AT_INTS && default_list(a);
}

/* --- equal -------------------------------------------------------------------------------------------------- */

static bool same_types(us_dwork *k, const us_attr *a, const us_attr *b)
{
    us_buf x, y;
    us_buf_init(&x, k->c, 4096);
    us_buf_init(&y, k->c, 4096);
    for (size_t i = 0; i < a->n; i++) {
        us_type_print(&k->side[0].m->syms, &a->types[i], &x);
        us_type_print(&k->side[1].m->syms, &b->types[i], &y);
    }
    bool same = us_sv_eq(us_buf_sv(&x), us_buf_sv(&y));
    us_buf_deinit(&x);
    us_buf_deinit(&y);
    return same;
}

static bool same_items(us_dwork *k, const us_attr *a, const us_attr *b)
{
    if (a->n != b->n) return false;
    if (a->types && b->types && !same_types(k, a, b)) return false;
    for (size_t i = 0; i < a->n; i++) {
        if (a->ints && b->ints && a->ints[i] != b->ints[i]) return false;
        if (a->floats && b->floats && memcmp(&a->floats[i], &b->floats[i], sizeof(float)) != 0)
            return false;
        if (a->strs && b->strs && !us_sv_eq(a->strs[i], b->strs[i])) return false;
        if (a->tensors && b->tensors && !us_dtensor_equal(&a->tensors[i], &b->tensors[i]))
            return false;
    }
    return true;
}

bool us_dattr_equal(us_dwork *k, const us_attr *a, const us_attr *b)
{
    return a->kind == b->kind && us_sv_eq(a->ref, b->ref) && a->i == b->i &&
           memcmp(&a->f, &b->f, sizeof a->f) == 0 && us_sv_eq(a->s, b->s) &&
           us_sv_eq(a->raw, b->raw) && same_items(k, a, b);
}

/* --- hashed --------------------------------------------------------------------------------------------------- */

static uint64_t hash_sv(uint64_t h, us_sv s)
{
    return us_dmix(h, us_hash64(s.n ? s.p : "", s.n, 1));
}

static uint64_t hash_types(us_dwork *k, const us_dside *s, const us_attr *a)
{
    us_buf b;
    us_buf_init(&b, k->c, 4096);
    for (size_t i = 0; i < a->n; i++)
        us_type_print(&s->m->syms, &a->types[i], &b);
    uint64_t h = hash_sv(2, us_buf_sv(&b));
    us_buf_deinit(&b);
    return h;
}

uint64_t us_dattr_hash(us_dwork *k, const us_dside *s, const us_attr *a, int level)
{
    uint64_t h = us_dmix(hash_sv(3, a->name), (uint64_t)a->kind);
    uint32_t f;
    memcpy(&f, &a->f, sizeof f);
    h = us_dmix(us_dmix(us_dmix(h, (uint64_t)a->i), f), a->n);
    h = hash_sv(hash_sv(hash_sv(h, a->s), a->ref), a->raw);
    if (a->ints) h = us_dmix(h, us_hash64(a->ints, a->n * sizeof *a->ints, 4));
    if (a->floats) h = us_dmix(h, us_hash64(a->floats, a->n * sizeof *a->floats, 5));
    if (a->types && a->n) h = us_dmix(h, hash_types(k, s, a));
    for (size_t i = 0; i < a->n; i++) {
        if (a->strs) h = hash_sv(h, a->strs[i]);
        if (a->tensors)
            h = us_dmix(
                h, us_dtensor_hash(&a->tensors[i], level == US_DH_EXACT && !s->no_contents));
    }
    return h;
}

/* --- as text ---------------------------------------------------------------------------------------------------- */

static void item_text(us_dwork *k, const us_dside *s, const us_attr *a, size_t i, us_buf *b)
{
    char z[32];
    (void)k;
    if (a->ints) us_buf_addf(b, "%lld", (long long)a->ints[i]);
    if (a->floats) us_buf_add(b, z, us_print_f32(a->floats[i], z));
    if (a->strs)
        us_buf_addf(b, "'%.*s'", (int)US_MIN(a->strs[i].n, 40),
                    a->strs[i].n ? a->strs[i].p : "");
    if (a->types) us_type_print(&s->m->syms, &a->types[i], b);
    if (a->tensors) us_dtensor_type(&a->tensors[i], b);
    if (a->graphs) us_buf_addf(b, "graph of %zu nodes", a->graphs[i]->order.n);
}

static void add_text(us_dwork *k, const us_dside *s, const us_attr *a, us_buf *b)
{
    char z[32];
    bool list = a->kind != US_AT_TENSOR && a->kind != US_AT_GRAPH && a->kind != US_AT_TYPE;
    if (a->ref.n) {
        us_buf_addf(b, "the function's " US_SV_FMT, US_SV_ARG(a->ref));
    } else if (a->kind == US_AT_INT) {
        us_buf_addf(b, "%lld", (long long)a->i);
    } else if (a->kind == US_AT_FLOAT) {
        us_buf_add(b, z, us_print_f32(a->f, z));
    } else if (a->kind == US_AT_STRING) {
        us_buf_addf(b, "'%.*s'", (int)US_MIN(a->s.n, 120), a->s.n ? a->s.p : "");
    } else if (a->raw.n) {
        us_buf_addf(b, "%zu bytes", a->raw.n);
    } else {
        if (list) us_buf_addc(b, '[');
        for (size_t i = 0; i < a->n && i < SHOWN; i++) {
            if (i) us_buf_addc(b, ',');
            item_text(k, s, a, i, b);
        }
        if (a->n > SHOWN) us_buf_addf(b, ",... %zu", a->n);
        if (list) us_buf_addc(b, ']');
    }
}

us_err us_dtext(us_dwork *k, us_buf *b, us_sv *out)
{
    us_err e = us_buf_check(b);
    if (e == US_OK) e = us_sv_dup(k->c, k->d->arena, us_buf_sv(b), out);
    us_buf_deinit(b);
    return e;
}

us_err us_dattr_text(us_dwork *k, const us_dside *s, const us_attr *a, us_sv *out)
{
    us_buf b;
    us_buf_init(&b, k->c, 65536);
    add_text(k, s, a, &b);
    return us_dtext(k, &b, out);
}
