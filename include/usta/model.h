/* usta/model.h - an ONNX model as its file says: read, checked for sense, and asked about its inputs, outputs and origin.
 *
 *     usta_model *model;
 *     usta_value_info x = {.struct_size = sizeof x};
 *     if (usta_model_open(env, "digits.onnx", NULL, &model) != USTA_OK) puts(usta_env_error(env));
 *     else if (usta_model_input(model, 0, &x) == USTA_OK) puts(x.name);
 *     usta_model_free(model);
 *
 * Opening reads; it plans nothing and does not ask whether this build has all operators, so a viewer or checker opens what it
 * could not run. The first usta_session_new plans (usta/session.h). The graph itself is in usta/graph.h.
 *
 * The file is never trusted: malformed or hostile ones give an error within bounded memory. Weights are used where they lie in the
 * file when their place is aligned for their type; neither reading nor looking at them copies them otherwise.
 *
 * Threading: a model never changes once opened, but for usta_model_infer. Functions that take a const usta_model may be called from
 * any threads at once; they keep no error text, for their only errors are those that each of them names.
 */
#ifndef USTA_MODEL_H
#define USTA_MODEL_H

#include "usta/env.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- reading ------------------------------------------------------------------------------------ */

/* Opaque.
 * Since:   0.1 */
typedef struct usta_model usta_model;

/* How to read; usta_model_defaults fills it.
 * Since:   0.1 */
typedef struct usta_model_settings {
    size_t struct_size;
    const char *name; /* usta_model_parse: for messages; NULL: "model" */
    const char *dir;  /* usta_model_parse: where external data may lie; NULL: nowhere */
    /* Not 0: tensors over 64 KiB keep type and dims, their data stay in the file; such a model gets no sessions (USTA_UNSUPP). */
    int32_t no_weights;
    /* Initialisers that the file lists as inputs, too, and that runs are to give: they then are inputs like others, in the file's
     * order. All others are constants. */
    size_t n_overrides;
    const char *const *overrides; /* their names */
} usta_model_settings;

/* Fills *s, struct_size included; NULL is fine.
 * Since:   0.1 */
USTA_API void usta_model_defaults(usta_model_settings *s);

/* Reads a model from a file.
 *
 * env      in whose memory it lives; keeps the error text.
 * path     an ONNX file, or a plan that `usta compile` made of one (whose graph, as passes left it, is then what there is to look
 *          at; it is mapped). External data is taken only from inside its folder. Files over 256 KiB are mapped and must not be
 *          changed while the model lives (if one shrinks, reads give zeros, not a crash); smaller ones are read.
 * s        borrowed for the call; NULL: the defaults.
 * out      the model; the caller frees it with usta_model_free, after its sessions.
 *
 * Errors:  USTA_NOTFOUND  no such file        USTA_IO  cannot be read   USTA_FORMAT  not an ONNX model, or a broken one
 *          USTA_ARG  NULL, settings that were not filled, an override that is no initialiser listed as input
 *          USTA_LIMIT  a limit on what a file may cost   USTA_UNSUPP, USTA_NOMEM, USTA_CANCELLED
 * Since:   0.1 */
USTA_API usta_err usta_model_open(usta_env *env, const char *path, const usta_model_settings *s,
                                  usta_model **out) USTA_MUST;

/* Reads a model from memory.
 *
 * bytes    n_bytes of an ONNX file; must stay unchanged until usta_model_free (weights are used where they lie).
 * others   as for usta_model_open.
 *
 * Errors:  as for usta_model_open, but for files: USTA_NOTFOUND and USTA_IO come from external data only
 * Since:   0.1 */
USTA_API usta_err usta_model_parse(usta_env *env, const void *bytes, size_t n_bytes,
                                   const usta_model_settings *s, usta_model **out) USTA_MUST;

/* Sessions of m must be gone. NULL is fine.
 * Since:   0.1 */
USTA_API void usta_model_free(usta_model *m);

/* --- inputs and outputs -------------------------------------------------------------------------- */

/* How many inputs a run takes (initialisers that are listed as inputs do not count, unless overridden) and how many outputs it
 * gives; 0 when m is NULL.
 * Since:   0.1 */
USTA_API size_t usta_model_n_inputs(const usta_model *m);
USTA_API size_t usta_model_n_outputs(const usta_model *m);

/* What is known of a type beyond the fields below: for usta_typing_text and usta_typing_inner. Opaque; owned by the model.
 * Since:   0.1 */
typedef struct usta_typing usta_typing;

/* What the file, or usta_model_infer, says about a value.
 * Since:   0.1 */
typedef struct usta_value_info {
    size_t struct_size; /* set by the caller to sizeof(usta_value_info) */
    const char *name;   /* owned by the model; "" for types inside of others */
    usta_type type;     /* of a tensor's elements, of a map's keys; USTA_TYPE_NONE: not known */
    int32_t rank;       /* of a tensor; -1: not known */
    int64_t dims[USTA_MAX_RANK]; /* -1: decided at run time */
    /* "N" where a dimension has a name, else NULL; owned by the model */
    const char *dim_names[USTA_MAX_RANK];
    usta_kind kind;            /* USTA_KIND_NONE: not known */
    const usta_typing *typing; /* the whole type */
} usta_value_info;

/* Description of input or output i, in the order in which runs take and give them.
 *
 * i        below usta_model_n_inputs or usta_model_n_outputs.
 * out      filled as far as its struct_size goes.
 *
 * Errors:  USTA_ARG  NULL, i out of range, or struct_size not set
 * Since:   0.1 */
USTA_API usta_err usta_model_input(const usta_model *m, size_t i,
                                   usta_value_info *out) USTA_MUST;
USTA_API usta_err usta_model_output(const usta_model *m, size_t i,
                                    usta_value_info *out) USTA_MUST;

/* The type as text: "float[N,3,2*N+1]", "seq(map(int64,float[]))", "float" when the rank is not known, "?" when nothing is.
 *
 * t        of a usta_value_info of this model.
 * text     room for n bytes, written like snprintf's: cut to fit, always terminated; may be NULL when n is 0.
 *
 * Returns  the length without the cut, the final zero not counted; 0 when an argument is NULL or memory is out.
 * Since:   0.1 */
USTA_API size_t usta_typing_text(const usta_model *m, const usta_typing *t, char *text,
                                 size_t n);

/* What a sequence or an optional holds, or the values of a map.
 *
 * t        of a usta_value_info of this model.
 * out      filled as far as its struct_size goes; name is "".
 *
 * Errors:  USTA_ARG  NULL or struct_size not set   USTA_NOTFOUND  a tensor, or not known
 * Since:   0.1 */
USTA_API usta_err usta_typing_inner(const usta_model *m, const usta_typing *t,
                                    usta_value_info *out) USTA_MUST;

/* --- what else the file says ---------------------------------------------------------------------- */

/* Origin and size of a model. Strings are owned by the model, never NULL.
 * Since:   0.1 */
typedef struct usta_model_info {
    size_t struct_size; /* set by the caller */
    int64_t ir_version, model_version;
    const char *producer_name, *producer_version, *domain;
    usta_str doc;
    size_t n_opsets, n_props, n_functions;
    size_t n_graphs; /* the main graph, those in attributes of nodes, bodies of functions */
    size_t n_nodes;  /* of all graphs */
    size_t n_initialisers; /* of all graphs */
    uint64_t weight_bytes; /* of all initialisers, whether read or left in the file */
} usta_model_info;

/* Fills *out as far as its struct_size goes.
 *
 * Errors:  USTA_ARG  NULL or struct_size not set
 * Since:   0.1 */
USTA_API usta_err usta_model_about(const usta_model *m, usta_model_info *out) USTA_MUST;

/* Operator set i that the file imports.
 *
 * domain   "" for ONNX's own; owned by the model. May be NULL.
 * version  may be NULL.
 *
 * Errors:  USTA_ARG  m is NULL or i out of range
 * Since:   0.1 */
USTA_API usta_err usta_model_opset(const usta_model *m, size_t i, const char **domain,
                                   int32_t *version) USTA_MUST;

/* Entry i of metadata_props, in the file's order.
 *
 * key      owned by the model. May be NULL.
 * value    likewise, not terminated. May be NULL.
 *
 * Errors:  USTA_ARG  m is NULL or i out of range
 * Since:   0.1 */
USTA_API usta_err usta_model_prop_at(const usta_model *m, size_t i, const char **key,
                                     usta_str *value) USTA_MUST;

/* An entry of metadata_props by key (those of a passport start with "usta.").
 *
 * value    set when the entry is there; owned by the model. May be NULL.
 *
 * Returns  1 when it is there, else 0.
 * Since:   0.1 */
USTA_API int usta_model_prop(const usta_model *m, const char *key, usta_str *value);

/* Infers types and shapes of all values, with symbols ("N", "2*N+1") where a dimension depends on inputs; from then on
 * usta_model_output, usta_graph_value and the like tell what was found, in place of what the file declares, where more was found.
 * What the file says of inputs is believed. Calling it again does nothing.
 *
 * Threading: changes the model: in the thread of its environment, before others use it.
 * Errors:  USTA_SHAPE, USTA_FORMAT  the model contradicts itself: node and reason are named   USTA_ARG, USTA_NOMEM, USTA_LIMIT,
 *          USTA_UNSUPP; the model stays as it was
 * Since:   0.1 */
USTA_API usta_err usta_model_infer(usta_model *m) USTA_MUST;

#ifdef __cplusplus
}
#endif

#endif
