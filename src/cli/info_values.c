/* cli/info_values.c - `usta info --values`: each value's type as text, and for programs taken apart: kind, element type, dimensions
 * as numbers or texts. A text that begins with ? is a dimension without a name; the same text is the same size.
 */
#include "cli/info_values.h"

#include "cli/models.h"

#define TEXT_MAX ((size_t)1 << 20)

static const char *const storages[] = {[US_ST_INPUT] = "input",
                                       [US_ST_CONST] = "constant",
                                       [US_ST_VARIABLE] = "variable",
                                       [US_ST_TEMP] = "computed",
                                       [US_ST_OUTER] = "captured"};
static const char *const kinds[] = {
    [US_KIND_NONE] = "unknown",      [US_KIND_TENSOR] = "tensor",
    [US_KIND_SEQUENCE] = "sequence", [US_KIND_MAP] = "map",
    [US_KIND_OPTIONAL] = "optional", [US_KIND_SPARSE] = "sparse"};

static json_t *dim_json(us_ctx *c, const us_syms *s, us_dim d)
{
    if (us_dim_known(d)) return json_integer((json_int_t)d.add);
    us_buf b;
    us_buf_init(&b, c, TEXT_MAX);
    us_dim_spell(s, d, &b);
    json_t *j = us_buf_check(&b) == US_OK ? us_text_json(us_buf_sv(&b)) : NULL;
    us_buf_deinit(&b);
    return j;
}

static json_t *dims_json(us_ctx *c, const us_syms *s, size_t n, const us_dim *d)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(list, dim_json(c, s, d[i]))) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *type_json(us_ctx *c, const us_syms *s, const us_type *t)
{
    json_t *j = json_pack("{s:s}", "kind", kinds[t->kind]);
    int bad = 0;
    if (t->dtype != US_DT_NONE)
        bad |= json_object_set_new(j, t->kind == US_KIND_MAP ? "key" : "element",
                                   json_string(us_dtype_get(t->dtype)->name));
    bool tensor = t->kind == US_KIND_TENSOR || t->kind == US_KIND_SPARSE;
    if (tensor && t->rank >= 0)
        bad |= json_object_set_new(j, "dims", dims_json(c, s, (size_t)t->rank, t->dims));
    if (t->elem) bad |= json_object_set_new(j, "of", type_json(c, s, t->elem));
    if (bad) {
        json_decref(j);
        return NULL;
    }
    return j;
}

static us_err row_json(us_ctx *c, const us_syms *s, const us_value_info *v, json_t **out)
{
    us_buf b;
    us_buf_init(&b, c, TEXT_MAX);
    us_type_print(s, &v->type, &b);
    us_err e = us_buf_check(&b);
    json_t *j =
        e != US_OK ? NULL
                   : json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "graph",
                               us_text_json(v->graph), "holder", us_text_json(v->holder),
                               "attribute", us_text_json(v->attribute), "name",
                               us_text_json(v->name), "storage", storages[v->storage], "type",
                               us_text_json(us_buf_sv(&b)), "parts", type_json(c, s, &v->type));
    us_buf_deinit(&b);
    US_TRY(e);
    if (j && v->known &&
        json_object_set_new(j, "contents", dims_json(c, s, v->n_known, v->known))) {
        json_decref(j);
        j = NULL;
    }
    if (!j) return us_nomem(c);
    *out = j;
    return US_OK;
}

us_err us_cli_values_json(us_cli *cli, const us_values *v, json_t *all)
{
    json_t *list = json_array();
    US_TRY(us_json_keep(cli->c, cli->arena, list));
    for (size_t i = 0; i < v->n; i++) {
        json_t *row = NULL;
        US_TRY(row_json(cli->c, &v->from->syms, &v->at[i], &row));
        if (json_array_append_new(list, row)) return us_nomem(cli->c);
    }
    if (json_object_set(all, "values", list)) return us_nomem(cli->c);
    if (!v->inferred && json_object_set_new(all, "not_inferred", json_string(v->why)))
        return us_nomem(cli->c);
    return US_OK;
}

static us_err add_row(us_rtable *t, us_ctx *c, const us_syms *s, const us_value_info *v)
{
    us_buf b;
    us_buf_init(&b, c, TEXT_MAX);
    us_type_print(s, &v->type, &b);
    us_err e = us_buf_check(&b);
    us_rtable_cellsv(t, v->name);
    if (v->holder.n)
        us_rtable_cellf(t, US_SV_FMT " of " US_SV_FMT, US_SV_ARG(v->attribute),
                        US_SV_ARG(v->holder));
    else
        us_rtable_cell(t, "");
    us_rtable_cell(t, storages[v->storage]);
    us_rtable_cellsv(t, us_buf_sv(&b));
    us_buf_clear(&b);
    for (uint32_t i = 0; v->known && i < v->n_known; i++) {
        if (i) us_buf_addc(&b, ' ');
        us_dim_spell(s, v->known[i], &b);
    }
    if (e == US_OK) e = us_buf_check(&b);
    us_rtable_cellsv(t, us_buf_sv(&b));
    us_buf_deinit(&b);
    return e;
}

us_err us_cli_print_values(us_cli *cli, const us_values *v)
{
    us_rtable *t;
    US_TRY(us_rtable_new(cli->c, cli->arena, "Values", "value|in|storage|type|contents", &t));
    for (size_t i = 0; i < v->n; i++)
        US_TRY(add_row(t, cli->c, &v->from->syms, &v->at[i]));
    US_TRY(us_out_table(cli, t));
    if (!v->inferred) us_outf(cli->out, "types are what the file declares: %s\n", v->why);
    return US_OK;
}
