/* inspect/view.c - making and freeing a view. */
#include "inspect/view.h"

#include "inspect/scene.h"

#define ARENA_CAP ((size_t)4 << 30)

us_err us_view_new(us_ctx *c, us_model *m, const us_view_opts *o, us_view **out)
{
    us_arena *a;
    US_TRY(us_arena_new(c, "view", ARENA_CAP, &a));
    us_view *v = us_new(a, us_view);
    if (!v) {
        us_err e = us_arena_fail(c, a);
        us_arena_free(a);
        return e;
    }
    *v = (us_view){.c = c, .a = a, .m = m, .o = *o};
    us_map_init(&v->kinds, a);
    us_err e = us_scene_build(v);
    if (e != US_OK) {
        us_view_free(v);
        return e;
    }
    *out = v;
    return US_OK;
}

void us_view_free(us_view *v)
{
    if (!v) return;
    us_model_free(v->typed);
    us_arena_free(v->a);
}

size_t us_view_n_nodes(const us_view *v)
{
    size_t n = 0;
    for (size_t i = 0; i < v->items.n; i++)
        n += v->items.at[i]->role == US_ITEM_NODE;
    return n;
}
