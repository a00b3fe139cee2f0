/* pass/fuser.c - the sweep that looks back from each node: readers counted once, nodes dropped at the end. */
#include "pass/fuser.h"

us_err us_fuse(us_ctx *c, us_graph *g, const char *name, us_fuse_fn *one, const void *arg,
               bool *changed)
{
    us_arena *a;
    us_fuser f = {.c = c, .g = g, .changed = changed, .arg = arg};
    US_TRY(us_arena_new(c, name, (size_t)1 << 30, &a));
    us_err e = us_graph_uses(c, g, a, &f.uses);
    if (e == US_OK) e = us_rewire_begin(c, g, a, &f.r);
    f.place = us_new_n(a, uint32_t, g->nodes.n);
    if (e == US_OK && !f.place) e = us_arena_fail(c, a);
    for (size_t i = 0; e == US_OK && i < g->order.n; i++)
        f.place[g->order.at[i]] = (uint32_t)i;
    for (size_t i = 0; e == US_OK && i < g->order.n; i++)
        e = one(&f, g->order.at[i]);
    if (e == US_OK) us_rewire_end(&f.r);
    us_arena_free(a);
    return e;
}

us_nid us_fuse_maker(const us_fuser *f, us_vid v, uint32_t readers)
{
    if (v == US_NIL || v >= f->r.n || f->uses[v] != readers) return US_NIL;
    const us_val *val = &f->g->vals.at[v];
    return val->storage == US_ST_TEMP ? val->def : US_NIL;
}

us_err us_fuse_set_float(us_fuser *f, us_nid nid, const char *name, float v)
{
    us_attr a = {.name = us_sv_of(name), .kind = US_AT_FLOAT, .f = v};
    return us_node_set_attr(f->c, f->g, nid, &a);
}

us_err us_fuse_set_as(us_fuser *f, us_nid nid, const char *name, const us_attr *from)
{
    if (!from) return US_OK;
    us_attr a = *from;
    a.name = us_sv_of(name);
    return us_node_set_attr(f->c, f->g, nid, &a);
}
