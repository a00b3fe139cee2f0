/* base/map.c - open addressing over an insertion-ordered array. */
#include "base/map.h"

#include "base/ctx.h"

void us_map_init(us_map *m, us_arena *arena)
{
    *m = (us_map){.arena = arena};
}

/* Index of the table cell that holds key, or of the free one where it belongs. */
static size_t find_cell(const us_map *m, us_sv key)
{
    size_t mask = m->n_table - 1;
    size_t i = (size_t)us_hash64(key.p, key.n, 0) & mask;
    while (m->table[i] && !us_sv_eq(m->items.at[m->table[i] - 1].key, key))
        i = (i + 1) & mask;
    return i;
}

static us_err resize(us_ctx *c, us_map *m, size_t n)
{
    uint32_t *t = us_new_n(m->arena, uint32_t, n);
    if (!t) return us_arena_fail(c, m->arena);
    m->table = t;
    m->n_table = n;
    for (size_t i = 0; i < m->items.n; i++)
        t[find_cell(m, m->items.at[i].key)] = (uint32_t)i + 1;
    return US_OK;
}

us_err us_map_reserve(us_ctx *c, us_map *m, size_t n)
{
    size_t cells = 16;
    US_TRY(us_vec_reserve(c, m->arena, &m->items, n));
    while (cells / 2 < n)
        cells *= 2;
    return cells > m->n_table ? resize(c, m, cells) : US_OK;
}

us_err us_map_put(us_ctx *c, us_map *m, us_sv key, uint32_t value, uint32_t *was)
{
    if (m->items.n >= US_MAP_NONE - 1)
        return us_fail(c, US_LIMIT, "too many names in one table");
    if ((m->items.n + 1) * 2 > m->n_table)
        US_TRY(resize(c, m, m->n_table ? m->n_table * 2 : 16));
    size_t i = find_cell(m, key);
    if (m->table[i]) {
        us_map_slot *s = &m->items.at[m->table[i] - 1];
        if (was) *was = s->value;
        s->value = value;
        return US_OK;
    }
    US_TRY(us_vec_push(c, m->arena, &m->items, (us_map_slot){key, value}));
    m->table[i] = (uint32_t)m->items.n;
    if (was) *was = US_MAP_NONE;
    return US_OK;
}

bool us_map_set(us_map *m, us_sv key, uint32_t value)
{
    if (!m->n_table) return false;
    size_t i = find_cell(m, key);
    if (!m->table[i]) return false;
    m->items.at[m->table[i] - 1].value = value;
    return true;
}

uint32_t us_map_get(const us_map *m, us_sv key)
{
    if (!m->n_table) return US_MAP_NONE;
    size_t i = find_cell(m, key);
    return m->table[i] ? m->items.at[m->table[i] - 1].value : US_MAP_NONE;
}
