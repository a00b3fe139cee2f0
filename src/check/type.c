/* check/type.c - TypeProto: what a value says of itself. */
#include "check/checker.h"

static us_err elem(us_checker *k, const us_pb_tensor_type *p, us_sv what, bool strict)
{
    if (strict && !us_pb_has(&p->h, 1))
        return us_ck_found(k, US_RULE_VALUE_TYPE, p->h.offset,
                           "'" US_SV_FMT "' says no element type", US_SV_ARG(what));
    if (p->elem < 0 || p->elem >= US_DTYPE_N)
        return us_ck_found(k, US_RULE_VALUE_TYPE, p->h.offset,
                           "'" US_SV_FMT "' has element type %d, which does not exist",
                           US_SV_ARG(what), (int)p->elem);
    return US_OK;
}

static us_err shape(us_checker *k, const us_pb_tensor_type *p, us_sv what, bool strict)
{
    us_pb_shape s = {0};
    if (!us_pb_has(&p->h, 2)) {
        if (!strict) return US_OK;
        return us_ck_found(k, US_RULE_VALUE_TYPE, p->h.offset, "'" US_SV_FMT "' says no shape",
                           US_SV_ARG(what));
    }
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_shape_msg, p->shape, &s));
    for (size_t i = 0; i < s.dims.n; i++) {
        us_pb_dim d = {0};
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_dim_msg, s.dims.at[i], &d));
        if (us_pb_has(&d.h, 1) && d.value < 0)
            US_TRY(us_ck_found(k, US_RULE_VALUE_TYPE, d.h.offset,
                               "dimension %zu of '" US_SV_FMT
                               "' is %lld; one that is not known has a name or nothing",
                               i, US_SV_ARG(what), (long long)d.value));
    }
    return US_OK;
}

/* strict: inside of a sequence or optional as well, the inner type has to be there. */
static us_err inner(us_checker *k, const us_pb_head *h, bool has, us_sv span, us_sv what,
                    bool strict, int depth)
{
    if (has) return us_ck_type(k, span, what, false, depth + 1);
    if (!strict) return US_OK;
    return us_ck_found(k, US_RULE_VALUE_TYPE, h->offset,
                       "'" US_SV_FMT "' does not say what it holds", US_SV_ARG(what));
}

us_err us_ck_type(us_checker *k, us_sv span, us_sv what, bool strict, int depth)
{
    us_pb_type p = {0};
    if (depth > US_MAX_VALUE_DEPTH)
        return us_ck_found(k, US_RULE_LIMITS, 0,
                           "the type of '" US_SV_FMT "' is nested deeper than %d",
                           US_SV_ARG(what), US_MAX_VALUE_DEPTH);
    US_TRY(us_pb_parse(&k->r.pb, &us_pb_type_msg, span, &p));
    if (us_pb_has(&p.h, 1) || us_pb_has(&p.h, 8)) {
        us_pb_tensor_type t = {0};
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_tensor_type_msg,
                           us_pb_has(&p.h, 1) ? p.tensor : p.sparse, &t));
        US_TRY(elem(k, &t, what, strict));
        return shape(k, &t, what, strict);
    }
    if (us_pb_has(&p.h, 5)) {
        us_pb_tensor_type m = {0};
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_map_type_msg, p.map, &m));
        US_TRY(elem(k, &m, what, strict));
        return inner(k, &m.h, us_pb_has(&m.h, 2), m.shape, what, strict, depth);
    }
    if (us_pb_has(&p.h, 4) || us_pb_has(&p.h, 9)) {
        us_pb_elem e = {0};
        US_TRY(us_pb_parse(&k->r.pb, &us_pb_elem_msg,
                           us_pb_has(&p.h, 4) ? p.sequence : p.optional, &e));
        return inner(k, &e.h, us_pb_has(&e.h, 1), e.elem, what, strict, depth);
    }
    bool opaque = p.h.unknown.n > 0; /* an opaque type, of which nothing is known */
    if (!strict || opaque) return US_OK;
    return us_ck_found(k, US_RULE_VALUE_TYPE, p.h.offset, "'" US_SV_FMT "' has an empty type",
                       US_SV_ARG(what));
}
