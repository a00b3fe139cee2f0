/* base/map.h - hash map from byte strings to 32-bit indices, in an arena.
 *
 * Keys are borrowed: they must outlive the map. Iteration order is insertion order, so everything built
 * from it is reproducible. No deletion.
 */
#ifndef USTA_BASE_MAP_H
#define USTA_BASE_MAP_H

#include "base/str.h"

#define US_MAP_NONE UINT32_MAX

typedef struct us_map_slot {
    us_sv key;
    uint32_t value;
} us_map_slot;

typedef struct us_map {
    us_arena *arena;
    US_VEC(us_map_slot) items; /* in insertion order */
    uint32_t *table;           /* open addressing: index into items + 1, 0 = free */
    size_t n_table;
} us_map;

void us_map_init(us_map *m, us_arena *arena);
/* Room for n keys in all. */
us_err us_map_reserve(struct us_ctx *c, us_map *m, size_t n) US_MUST;
/* Insert or overwrite; *was (may be NULL) gets the former value or US_MAP_NONE. */
us_err us_map_put(struct us_ctx *c, us_map *m, us_sv key, uint32_t value,
                  uint32_t *was) US_MUST;
/* Overwrite the value of a key that is there (never allocates); false when it is not. */
bool us_map_set(us_map *m, us_sv key, uint32_t value);
uint32_t us_map_get(const us_map *m, us_sv key); /* US_MAP_NONE when absent */

#endif
