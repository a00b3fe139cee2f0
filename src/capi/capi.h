/* capi/capi.h - inside of the public C API: what its opaque structs hold.
 *
 * The layer translates structs and checks what callers pass; what it tells of a model is the model as it was read. A session plans
 * a clone of it, made at the first usta_session_new, and shape inference works on another one: so what a caller looks at never
 * changes under him, and weights are shared by all three.
 */
#ifndef USTA_CAPI_CAPI_H
#define USTA_CAPI_CAPI_H

#include <string.h>

#include "exec/session.h"
#include "ir/image.h"
#include "usta/usta.h"

#define US_CAPI_MEM ((size_t)1 << 30) /* what this layer adds to one model or session */

struct usta_env {
    us_ctx c;
    struct us_pool *own_pool; /* NULL: lent by another environment */
    usta_env_settings set;
};

/* A public usta_graph: enough to answer without its model at hand. */
struct usta_graph {
    const usta_model *m;
    const us_graph *g;
    const uint32_t *place;       /* of a node in the order; USTA_NO_NODE: dead */
    const us_type *const *types; /* per value, after usta_model_infer; NULL before */
};

struct usta_model {
    usta_env *env;
    us_arena *arena;
    us_model *ir; /* as read; names of attributes, operator sets and the like are terminated */
    us_model *inferred; /* NULL before usta_model_infer */
    us_plan *plan;      /* NULL before the first session */
    bool no_weights;
    /* opened from a compiled plan: there at once, and ir is a clone of its model */
    bool compiled;
    usta_graph *graphs; /* one per ir->graphs */
    us_vid *in;         /* inputs of a run */
    size_t n_in;
    const us_syms *syms;
    const char *const
        *sym_name; /* of dimensions the file names; NULL for expressions and made-up symbols */
    usta_model_info about;
};

struct usta_session {
    us_ctx c;
    usta_model *m;
    us_session *s;
    size_t n_in, n_out;
    us_value *in;    /* of the last call: what is as it was is not checked again */
    usta_value *out; /* room for a call */
    us_tensor *into;
    bool same;             /* the engine's last call was with inputs like in */
    us_image_codec images; /* calls decode_image; ud is the session */
    usta_decode_image_fn *decode_image;
    void *decode_image_user;
    usta_cancelled_fn *env_cancelled;
    void *env_cancelled_user;
    _Atomic(int) stop; /* set by usta_session_cancel */
    us_arena *taken;   /* items of inputs that are no tensors: of the last call */
    us_mark taken_start;
    struct us_kept *kept; /* two per output */
    us_arena *kept_items;
    us_mark kept_start;
    us_arena *values
        [2]; /* items of outputs: of the last run and of the one before, which may be the inputs of this */
    us_mark start[2];
    int now;
    size_t n_rows;
    const us_profile_row *rows;
    const char **row_text; /* three per row: node, operator, type of the output */
    us_arena *arena;
};

/* Copies as much as both know; false when the caller's struct_size is not set. */
bool us_capi_give(void *out, const void *info, size_t size);

/* types.c: tensor i of a call (or what `what` names) as ours. Elements must be there when any are counted; strings must have bytes. */
us_err us_capi_tensor(us_ctx *c, const usta_tensor *t, const char *what, size_t i, bool filled,
                      us_tensor *out) US_MUST;
/* Dense ones only. */
void us_capi_public(const us_tensor *t, usta_tensor *out);

/* model.c: description of a type. */
void us_capi_describe(const usta_model *m, const char *name, const us_type *t,
                      usta_value_info *info);
const us_type *us_capi_type(const usta_graph *g, us_vid v);

/* graph.c: the public graphs of a model as read. */
us_err us_capi_graphs(us_ctx *c, usta_model *m) US_MUST;
us_err us_capi_infer_types(us_ctx *c, usta_model *m, const us_model *inferred) US_MUST;

/* values.c: values that are no tensors, in the arena. */
us_err us_capi_value_in(us_ctx *c, us_arena *a, const usta_value *v, size_t i,
                        us_value *out) US_MUST;
us_err us_capi_value_out(us_ctx *c, us_arena *a, const us_value *v, usta_value *out) US_MUST;
/* The same without a copy: tensors are dense and stay where they are. */
us_err us_capi_value_view(us_ctx *c, us_arena *a, const us_value *v, usta_value *out) US_MUST;
/* Whether *v is like the value that have was made of, but for the places of its data, which have takes over; have is of no use when not. */
bool us_capi_like(us_value *have, const usta_value *v);
bool us_capi_like_tensor(us_value *have, const usta_tensor *t);

/* A view of an output that stays (us_session_output_kept). */
typedef struct us_kept {
    uint64_t number;
    const us_value *items;
    usta_value value;
} us_kept;

/* profile.c: makes the rows of a session that profiles. */
us_err us_capi_profile(us_ctx *c, usta_session *s) US_MUST;

#endif
