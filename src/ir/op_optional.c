/* ir/op_optional.c - Optional, OptionalHasElement, OptionalGetElement.
 *
 * A present optional value is its content; an empty one is of kind NONE (tensor/value.h), so these only pass on.
 */
#include "ir/op_util.h"

/* clang-format off */
#define PLAIN (US_M_NUM | US_M_COMPLEX | US_M(STRING) | US_M(BOOL))
static const us_param optional_in[] = {{"input", 'V', PLAIN, US_P_OPTIONAL | US_P_SEQ}, US_PARAM_END};
static const us_param optional_out[] = {{"output", 'V', PLAIN, US_P_OPT | US_P_SEQ}, US_PARAM_END};
static const us_attr_row optional_attrs[] = {
    {.name = "type", .kind = US_AT_TYPE, .offset = offsetof(us_p_optional, type)}, US_ATTR_END};
const us_schema optional_schemas[] = {{15, optional_in, optional_out, optional_attrs, sizeof(us_p_optional), NULL}, {0}};

static const us_param has_in[] = {{"input", 'O', PLAIN, US_P_OPT | US_P_SEQ}, US_PARAM_END};
static const us_param has_in_18[] = {{"input", 'O', PLAIN, US_P_OPTIONAL | US_P_OPT | US_P_SEQ}, US_PARAM_END};
static const us_param has_out[] = {{"output", '\0', US_M(BOOL), 0}, US_PARAM_END};
const us_schema optional_has_element_schemas[] = {
    {15, has_in, has_out, NULL, 0, NULL},
    {18, has_in_18, has_out, NULL, 0, NULL},
    {0}};

static const us_param get_out[] = {{"output", 'O', PLAIN, US_P_SEQ}, US_PARAM_END};
const us_schema optional_get_element_schemas[] = {
    {15, has_in, get_out, NULL, 0, NULL},
    {18, has_in, get_out, NULL, 0, NULL},
    {0}};
/* clang-format on */

us_err optional_infer(us_infer *k)
{
    const us_p_optional *p = k->params;
    const us_type *x = us_infer_in(k, 0);
    us_type t = {.kind = US_KIND_OPTIONAL, .elem = p->type};
    if (x && x->kind != US_KIND_NONE) {
        us_type *elem = us_new(k->arena, us_type);
        if (!elem) return us_arena_fail(k->c, k->arena);
        *elem = *x;
        t.elem = elem;
    }
    return t.elem ? us_infer_out_type(k, 0, &t) : US_OK;
}

us_err optional_has_element_infer(us_infer *k)
{
    return us_infer_out(k, 0, US_BOOL, 0, NULL);
}

us_err optional_get_element_infer(us_infer *k)
{
    const us_type *x = us_infer_in(k, 0);
    if (x && x->kind == US_KIND_OPTIONAL) x = x->elem;
    return x && x->kind != US_KIND_NONE ? us_infer_out_type(k, 0, x) : US_OK;
}

static bool present(const us_eval *k)
{
    return k->n_in && k->in[0] && k->in[0]->kind != US_KIND_NONE;
}

static us_err pass_on(us_eval *k)
{
    if (!us_eval_wants(k, 0)) return US_OK;
    if (k->in[0]->kind == US_KIND_TENSOR) return us_eval_put_view(k, 0, &k->in[0]->t);
    *k->out[0] = *k->in[0];
    return US_OK;
}

us_err optional_eval(us_eval *k)
{
    if (present(k)) return pass_on(k);
    if (us_eval_wants(k, 0)) *k->out[0] = (us_value){.kind = US_KIND_NONE};
    return US_OK;
}

us_err optional_has_element_eval(us_eval *k)
{
    us_tensor *y;
    US_TRY(us_eval_out(k, 0, US_BOOL, 0, NULL, &y));
    *(uint8_t *)y->data = present(k);
    return US_OK;
}

us_err optional_get_element_eval(us_eval *k)
{
    if (!present(k)) return us_eval_fail(k, US_ARG, "the optional value is empty");
    return pass_on(k);
}
