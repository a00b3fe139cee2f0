/* cli/models.c - see models.h. */
#include "cli/models.h"

#include "ir/text.h"

#define TEXT_MAX ((size_t)1 << 20)

json_t *us_text_json(us_sv s)
{
    json_t *j = json_stringn(s.n ? s.p : "", s.n);
    return j ? j : json_string("\xEF\xBF\xBD");
}

us_err us_ends_json(us_ctx *c, us_arena *a, const us_model *m, bool inputs, json_t **out)
{
    json_t *list = json_array();
    const us_graph *g = m->main;
    us_err e = us_json_keep(c, a, list);
    size_t n = inputs ? g->inputs.n : g->outputs.n;
    us_buf b;
    us_buf_init(&b, c, TEXT_MAX);
    for (size_t i = 0; e == US_OK && i < n; i++) {
        const us_val *v = &g->vals.at[inputs ? g->inputs.at[i] : g->outputs.at[i]];
        if (inputs && v->storage != US_ST_INPUT) continue;
        us_buf_clear(&b);
        us_type_print(&m->syms, &v->type, &b);
        e = us_buf_check(&b);
        if (e == US_OK &&
            json_array_append_new(list, json_pack("{s:o, s:o}", "name", us_text_json(v->name),
                                                  "type", us_text_json(us_buf_sv(&b)))))
            e = us_nomem(c);
    }
    us_buf_deinit(&b);
    if (e == US_OK) *out = list;
    return e;
}

us_err us_input_find(us_ctx *c, const us_plan *p, us_sv name, size_t *out)
{
    us_buf names;
    for (size_t i = 0; i < us_plan_n_inputs(p); i++)
        if (us_sv_eq(us_plan_input_name(p, i), name)) {
            *out = i;
            return US_OK;
        }
    us_buf_init(&names, c, 300);
    for (size_t i = 0; i < us_plan_n_inputs(p); i++)
        us_buf_addf(&names, "%s" US_SV_FMT, i ? ", " : "", US_SV_ARG(us_plan_input_name(p, i)));
    us_err e =
        us_fail(c, US_ARG, "the model has no input '" US_SV_FMT "'; its inputs: " US_SV_FMT,
                US_SV_ARG(name), US_SV_ARG(us_buf_sv(&names)));
    us_buf_deinit(&names);
    return e;
}

us_err us_tally_new(us_ctx *c, us_arena *a, us_tally **out)
{
    us_tally *t = us_new(a, us_tally);
    if (!t) return us_arena_fail(c, a);
    t->arena = a;
    us_map_init(&t->names, a);
    *out = t;
    return US_OK;
}

us_err us_tally_add(us_ctx *c, us_tally *t, int side, const us_node *n)
{
    us_sv name = n->op_type;
    if (n->domain.n > 0) {
        char *z = us_str_printf(t->arena, US_SV_FMT "." US_SV_FMT, US_SV_ARG(n->domain),
                                US_SV_ARG(n->op_type));
        if (!z) return us_arena_fail(c, t->arena);
        name = us_sv_of(z);
    }
    uint32_t i = us_map_get(&t->names, name);
    if (i == US_MAP_NONE) {
        i = (uint32_t)t->names.items.n;
        if (i >= US_TALLY_OPS)
            return us_fail(c, US_LIMIT, "more than %d different operators", US_TALLY_OPS);
        US_TRY(us_map_put(c, &t->names, name, i, NULL));
    }
    t->n[side][i]++;
    return US_OK;
}
