/* data/schema_json.c - the schema as JSON and back. */
#include <math.h>

#include "data/jsonout.h"
#include "data/schema.h"

static json_t *column_json(us_jout *o, const us_data_col *k)
{
    json_t *j = us_jo_object(o);
    us_jo_set(o, j, "name", us_jo_sv(o, k->name));
    us_jo_set(o, j, "kind", us_jo_z(o, us_data_kind_name(k->kind)));
    us_jo_set(o, j, "role", us_jo_z(o, us_data_role_name(k->role)));
    us_jo_set(o, j, "storage", us_jo_z(o, us_coltype_name(k->storage)));
    us_jo_set(o, j, "n", us_jo_int(o, k->n));
    us_jo_set(o, j, "n_missing", us_jo_int(o, k->n_missing));
    us_jo_set(o, j, "n_distinct", us_jo_num(o, k->n_distinct));
    us_jo_set(o, j, "distinct_exact", us_jo_bool(o, k->distinct_exact));
    us_jo_set(o, j, "min", us_jo_num(o, k->min));
    us_jo_set(o, j, "max", us_jo_num(o, k->max));
    us_jo_set(o, j, "mean", us_jo_num(o, k->mean));
    us_jo_set(o, j, "std", us_jo_num(o, k->std));
    us_jo_set(o, j, "epoch_s", us_jo_bool(o, k->epoch_s));
    us_jo_set(o, j, "vocab", us_jo_svs(o, k->vocab, k->n_vocab));
    us_jo_set(o, j, "vocab_counts", us_jo_counts(o, k->vocab_counts, k->n_vocab));
    return j;
}

us_err us_schema_to_json(us_ctx *c, us_arena *a, const us_data_schema *s, json_t **out)
{
    us_jout o = {0};
    char delimiter[2] = {s->delimiter, 0};
    json_t *j = us_jo_object(&o), *cols = us_jo_array(&o), *maps = us_jo_array(&o);
    for (size_t i = 0; i < s->n_cols; i++)
        us_jo_push(&o, cols, column_json(&o, &s->cols[i]));
    for (size_t i = 0; i < s->n_maps; i++) {
        json_t *m = us_jo_object(&o);
        us_jo_set(&o, m, "column", us_jo_sv(&o, s->maps[i].column));
        us_jo_set(&o, m, "from", us_jo_sv(&o, s->maps[i].from));
        us_jo_set(&o, m, "to", us_jo_sv(&o, s->maps[i].to));
        us_jo_push(&o, maps, m);
    }
    us_jo_set(&o, j, "version", us_jo_int(&o, US_DATA_SCHEMA_VERSION));
    us_jo_set(&o, j, "n_rows", us_jo_int(&o, s->n_rows));
    us_jo_set(&o, j, "delimiter", us_jo_z(&o, delimiter));
    us_jo_set(&o, j, "trim", us_jo_bool(&o, s->trim));
    us_jo_set(&o, j, "missing", us_jo_svs(&o, s->missing, s->n_missing));
    us_jo_set(&o, j, "maps", maps);
    us_jo_set(&o, j, "columns", cols);
    US_TRY(us_json_keep(c, a, j));
    if (o.failed) return us_nomem(c);
    *out = j;
    return US_OK;
}

static us_err read_storage(us_ctx *c, const json_t *j, const char *what, us_coltype *out)
{
    const char *z;
    US_TRY(us_json_get_text(c, j, what, "storage", &z));
    for (int t = US_COL_F64; t <= US_COL_TIME; t++)
        if (us_sv_is(us_sv_of(z), us_coltype_name((us_coltype)t))) {
            *out = (us_coltype)t;
            return US_OK;
        }
    return us_fail(c, US_FORMAT, "%s: unknown storage '%.40s'", what, z);
}

static us_err read_column(us_ctx *c, us_arena *a, const json_t *j, us_data_col *k)
{
    static const char what[] = "schema column";
    const char *kind, *role;
    size_t n_counts;
    if (!json_is_object(j)) return us_fail(c, US_FORMAT, "%s: not an object", what);
    US_TRY(us_ji_sv(c, a, j, what, "name", &k->name));
    US_TRY(us_json_get_text(c, j, what, "kind", &kind));
    US_TRY(us_json_get_text(c, j, what, "role", &role));
    if (!us_data_kind_find(us_sv_of(kind), &k->kind) ||
        !us_data_role_find(us_sv_of(role), &k->role))
        return us_fail(c, US_FORMAT, "%s: unknown kind '%.40s' or role '%.40s'", what, kind,
                       role);
    if (k->name.n == 0 || k->name.n > 4096)
        return us_fail(c, US_FORMAT, "%s: a name of %zu bytes", what, k->name.n);
    US_TRY(read_storage(c, j, what, &k->storage));
    US_TRY(us_ji_count(c, j, what, "n", &k->n));
    US_TRY(us_ji_count(c, j, what, "n_missing", &k->n_missing));
    US_TRY(us_ji_num(c, j, what, "n_distinct", &k->n_distinct));
    US_TRY(us_json_get_bool(c, j, what, "distinct_exact", &k->distinct_exact));
    US_TRY(us_ji_num(c, j, what, "min", &k->min));
    US_TRY(us_ji_num(c, j, what, "max", &k->max));
    US_TRY(us_ji_num(c, j, what, "mean", &k->mean));
    US_TRY(us_ji_num(c, j, what, "std", &k->std));
    US_TRY(us_json_get_bool(c, j, what, "epoch_s", &k->epoch_s));
    US_TRY(us_ji_svs(c, a, j, what, "vocab", US_DATA_MAX_VOCAB, &k->vocab, &k->n_vocab));
    US_TRY(us_ji_counts(c, a, j, what, "vocab_counts", US_DATA_MAX_VOCAB, &k->vocab_counts,
                        &n_counts));
    if (n_counts != k->n_vocab)
        return us_fail(c, US_FORMAT, "%s '" US_SV_FMT "': %zu texts with %zu counts", what,
                       US_SV_ARG(k->name), k->n_vocab, n_counts);
    return US_OK;
}

static us_err read_maps(us_ctx *c, us_arena *a, const json_t *j, us_data_schema *s)
{
    json_t *maps;
    US_TRY(us_ji_array(c, j, "schema", "maps", US_DATA_MAX_VOCAB, &maps, &s->n_maps));
    s->maps = us_new_n(a, us_csv_map, s->n_maps);
    if (!s->maps) return us_arena_fail(c, a);
    for (size_t i = 0; i < s->n_maps; i++) {
        const json_t *m = json_array_get(maps, i);
        if (!json_is_object(m)) return us_fail(c, US_FORMAT, "schema map: not an object");
        US_TRY(us_ji_sv(c, a, m, "schema map", "column", &s->maps[i].column));
        US_TRY(us_ji_sv(c, a, m, "schema map", "from", &s->maps[i].from));
        US_TRY(us_ji_sv(c, a, m, "schema map", "to", &s->maps[i].to));
    }
    return US_OK;
}

us_err us_schema_from_json(us_ctx *c, us_arena *a, const json_t *j, us_data_schema *out)
{
    us_data_schema s = {0};
    us_sv delimiter;
    uint64_t version;
    json_t *cols;
    us_map names;
    if (!json_is_object(j)) return us_fail(c, US_FORMAT, "schema: not an object");
    US_TRY(us_ji_count(c, j, "schema", "version", &version));
    if (version != US_DATA_SCHEMA_VERSION)
        return us_fail(c, US_FORMAT, "schema of version %llu, this program reads %d",
                       (unsigned long long)version, US_DATA_SCHEMA_VERSION);
    s.version = US_DATA_SCHEMA_VERSION;
    US_TRY(us_ji_count(c, j, "schema", "n_rows", &s.n_rows));
    US_TRY(us_ji_sv(c, a, j, "schema", "delimiter", &delimiter));
    if (delimiter.n != 1)
        return us_fail(c, US_FORMAT, "schema: delimiter of %zu bytes", delimiter.n);
    s.delimiter = delimiter.p[0];
    US_TRY(us_json_get_bool(c, j, "schema", "trim", &s.trim));
    US_TRY(
        us_ji_svs(c, a, j, "schema", "missing", US_DATA_MAX_VOCAB, &s.missing, &s.n_missing));
    US_TRY(read_maps(c, a, j, &s));
    US_TRY(us_ji_array(c, j, "schema", "columns", US_TABLE_MAX_COLS, &cols, &s.n_cols));
    s.cols = us_new_n(a, us_data_col, s.n_cols);
    if (!s.cols) return us_arena_fail(c, a);
    us_map_init(&names, a);
    for (size_t i = 0; i < s.n_cols; i++) {
        uint32_t was = US_MAP_NONE;
        US_TRY(read_column(c, a, json_array_get(cols, i), &s.cols[i]));
        US_TRY(us_map_put(c, &names, s.cols[i].name, (uint32_t)i, &was));
        if (was != US_MAP_NONE)
            return us_fail(c, US_FORMAT, "schema: two columns '" US_SV_FMT "'",
                           US_SV_ARG(s.cols[i].name));
    }
    *out = s;
    return US_OK;
}
