/* inspect/kinds.c - the tables made of kinds.def. */
#include "inspect/scene.h"

static const us_vkind_row rows[] = {
#define US_VIEW_KIND(id, text, colour, light, dark) {text, colour, light, dark},
#define US_VIEW_OP(id, name)
#include "inspect/kinds.def"
#undef US_VIEW_KIND
#undef US_VIEW_OP
};

static const struct {
    const char *name;
    us_vkind kind;
} ops[] = {
#define US_VIEW_KIND(id, text, colour, light, dark)
#define US_VIEW_OP(id, name) {name, US_VK_##id},
#include "inspect/kinds.def"
#undef US_VIEW_KIND
#undef US_VIEW_OP
};

const us_vkind_row *us_vkind_get(us_vkind k)
{
    return &rows[(unsigned)k < US_LEN(rows) ? k : US_VK_OTHER];
}

us_err us_vkinds_fill(us_ctx *c, us_map *map)
{
    for (size_t i = 0; i < US_LEN(ops); i++)
        US_TRY(us_map_put(c, map, us_sv_of(ops[i].name), (uint32_t)ops[i].kind, NULL));
    return US_OK;
}
