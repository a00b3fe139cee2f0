/* capi/types.c - version, words, tensors: translations without state. */
#include "capi/capi.h"

#include "kernel/kernels.h"

#define TEXT2(x) #x
#define TEXT(x)  TEXT2(x)

_Static_assert(USTA_MAX_RANK == US_MAX_RANK, "one limit");
_Static_assert(sizeof(usta_str) == sizeof(us_sv) && offsetof(usta_str, n) == offsetof(us_sv, n),
               "string elements are the same struct");
#define X(name, value, text)                                                                   \
    _Static_assert((int)USTA_##name == (int)US_##name, "one list of errors");
US_ERR_LIST(X)
#undef X
_Static_assert(USTA_TYPE_FLOAT == (int)US_F32 && USTA_TYPE_STRING == (int)US_STRING &&
                   USTA_TYPE_COMPLEX128 == (int)US_C128 &&
                   USTA_TYPE_INT2 + 1 == (int)US_DTYPE_N,
               "one list of element types");
_Static_assert(USTA_KIND_TENSOR == (int)US_KIND_TENSOR &&
                   USTA_KIND_SEQUENCE == (int)US_KIND_SEQUENCE &&
                   USTA_KIND_MAP == (int)US_KIND_MAP &&
                   USTA_KIND_OPTIONAL == (int)US_KIND_OPTIONAL &&
                   USTA_KIND_SPARSE == (int)US_KIND_SPARSE,
               "one list of kinds");

const char *usta_version(void)
{
    return TEXT(USTA_VERSION_MAJOR) "." TEXT(USTA_VERSION_MINOR) "." TEXT(USTA_VERSION_PATCH);
}

uint64_t usta_features(void)
{
    unsigned cpu = us_cpu_detect();
    uint64_t f = USTA_FEATURE_THREADS;
    if (cpu & US_CPU_AVX2) f |= USTA_FEATURE_AVX2;
    if (cpu & US_CPU_AVX512) f |= USTA_FEATURE_AVX512;
    if (cpu & US_CPU_NEON) f |= USTA_FEATURE_NEON;
    return f;
}

const char *usta_err_text(usta_err e)
{
    return us_err_text((us_err)e);
}

const char *usta_err_name(usta_err e)
{
    return us_err_name((us_err)e);
}

const char *usta_type_name(usta_type t)
{
    return us_dtype_get((us_dtype)t)->name;
}

bool us_capi_give(void *out, const void *info, size_t size)
{
    size_t theirs;
    memcpy(&theirs, out, sizeof theirs);
    if (theirs <= sizeof theirs) return false;
    size_t skip = sizeof theirs; /* the size stays what the caller said */
    memcpy((char *)out + skip, (const char *)info + skip, US_MIN(theirs, size) - skip);
    return true;
}

/* --- tensors ----------------------------------------------------------------------------------------- */

int64_t usta_tensor_count(const usta_tensor *t)
{
    int64_t n;
    if (!t || t->rank < 0 || t->rank > US_MAX_RANK || !us_dims_count(t->rank, t->dims, &n))
        return -1;
    return n;
}

size_t usta_tensor_bytes(const usta_tensor *t)
{
    size_t bytes;
    int64_t n = usta_tensor_count(t);
    return n >= 0 && us_dtype_bytes((us_dtype)t->type, (size_t)n, &bytes) ? bytes : 0;
}

static us_err check_strings(us_ctx *c, const us_tensor *t, const char *what, size_t i)
{
    const us_sv *s = t->data;
    int64_t n = us_tensor_count(t);
    for (int64_t k = 0; k < n; k++)
        if (!s[k].p && s[k].n)
            return us_fail(c, US_ARG, "%s %zu: string %lld has %zu bytes and no address", what,
                           i, (long long)k, s[k].n);
    return US_OK;
}

us_err us_capi_tensor(us_ctx *c, const usta_tensor *t, const char *what, size_t i, bool filled,
                      us_tensor *out)
{
    if (us_dtype_get((us_dtype)t->type)->bits == 0)
        return us_fail(c, US_ARG, "%s %zu: %d is not an element type", what, i, (int)t->type);
    if (t->rank < 0 || t->rank > US_MAX_RANK)
        return us_fail(c, US_ARG, "%s %zu: rank %d is not in 0..%d", what, i, (int)t->rank,
                       US_MAX_RANK);
    us_err e = us_tensor_init(c, out, (us_dtype)t->type, t->rank, t->dims, t->data);
    if (e != US_OK) return us_wrap(c, e, "%s %zu", what, i);
    if (!t->data && us_tensor_count(out) > 0)
        return us_fail(c, US_ARG, "%s %zu has elements but no data", what, i);
    return filled && out->dtype == US_STRING ? check_strings(c, out, what, i) : US_OK;
}

void us_capi_public(const us_tensor *t, usta_tensor *out)
{
    *out = (usta_tensor){.type = (usta_type)t->dtype, .rank = t->rank, .data = t->data};
    for (int32_t d = 0; d < t->rank; d++)
        out->dims[d] = t->dims[d];
}
